/* SPDX-License-Identifier: MIT */
/* Operators of ai.onnx.preview.training: what is right is in ONNX's own tests. */
#include <errno.h>
#include <string.h>

#include "onnx_read.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64

static const int64_t three[] = { 3 };

static Onnx__NodeProto *training(struct ob *b, const char *op, const char *in, const char *out)
{
	Onnx__NodeProto *n = ob_node(b, op, in, out);

	n->domain = "ai.onnx.preview.training";
	return n;
}

static void names(struct ob *b, Onnx__NodeProto *n, const char *attr, size_t count,
		  const char *const *name)
{
	Onnx__AttributeProto *a = ob_attr(b, n, attr);

	a->has_type = true;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
	a->n_strings = count;
	a->strings = ob_alloc(b, count * sizeof(*a->strings));
	for (size_t i = 0; i < count; i++)
		a->strings[i] = (ProtobufCBinaryData){ strlen(name[i]),
						       (uint8_t *)(uintptr_t)name[i] };
}

/* c = a b, and a Gradient of @y in @xs with inputs @in. */
static void gradient(struct ob *b, const char *in, const char *y, size_t count,
		     const char *const *xs, const char *out)
{
	Onnx__NodeProto *n;

	ob_begin(b, 17);
	ob_input(b, "a", FLOAT, 1, three);
	ob_input(b, "b", FLOAT, 1, three);
	ob_node(b, "Mul", "a b", "c");
	n = training(b, "Gradient", in, out);
	names(b, n, "xs", count, xs);
	if (y)
		ob_string(b, n, "y", y);
	ob_output(b, "c");
}

static void test_gradient(void **state)
{
	static const char *const ab[] = { "a", "b" };
	struct net net;
	struct ob b;

	(void)state;
	gradient(&b, "a b", "c", 2, ab, "da db");
	ob_output(&b, "db");
	expect_read(&b, NULL, &net);
	assert_int_equal(net.g->outputs, 2);
	net_end(&net);

	gradient(&b, "a b", "d", 2, ab, "da db");
	expect_refused(&b, NULL, WORDS("Gradient", "y is the name of no tensor"));
	gradient(&b, "a b", NULL, 2, ab, "da db");
	expect_refused(&b, NULL, WORDS("needs y, and xs with a name for each output"));
	gradient(&b, "a b", "c", 1, ab, "da db");
	expect_refused(&b, NULL, WORDS("needs y, and xs with a name for each output"));
	gradient(&b, "a", "c", 2, ab, "da db");
	expect_refused(&b, NULL, WORDS("has fewer inputs than names"));
	gradient(&b, "b a", "c", 2, ab, "da db");
	expect_refused(&b, NULL, WORDS("must be the tensors of these names", "b"));
	gradient(&b, "a x", "c", 2, ab, "da db");
	expect_refused(&b, NULL, WORDS("must be the tensors of these names", "x"));
}

/* A Momentum whose number of updates is of @type, and whose kept value has @dim. */
static void momentum(struct ob *b, int type, const int64_t *dim, const char *in)
{
	static const int64_t one[] = { 1 };

	ob_begin(b, 17);
	ob_input(b, "R", FLOAT, 1, one);
	ob_input(b, "T", type, 1, one);
	ob_input(b, "X", FLOAT, 1, three);
	ob_input(b, "G", FLOAT, 1, three);
	ob_input(b, "V", FLOAT, 1, dim);
	training(b, "Momentum", in, "Y W");
	ob_output(b, "Y");
}

static void test_optimizer(void **state)
{
	static const int64_t two[] = { 2 };
	struct ob b;

	(void)state;
	momentum(&b, INT64, three, "R T X G V X");
	expect_refused(&b, NULL, WORDS("Momentum", "takes 2 and 3, and gives 2, for each tensor"));
	momentum(&b, FLOAT, three, "R T X G V");
	expect_refused(&b, NULL, WORDS("must be one f32 and one i64"));
	momentum(&b, INT64, two, "R T X G V");
	expect_refused(&b, NULL, WORDS("input 4 is f32[2]", "of its tensor, f32[3]"));
}

static void test_unknown(void **state)
{
	struct ob b;

	(void)state;
	ob_begin(&b, 17);
	ob_input(&b, "a", FLOAT, 1, three);
	training(&b, "Relu", "a", "b");
	ob_output(&b, "b");
	expect_refused(&b, NULL, WORDS("Relu", "not supported"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradient),
		cmocka_unit_test(test_optimizer),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
