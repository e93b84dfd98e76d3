/* SPDX-License-Identifier: MIT */
/* Operators as opsets 1 to 13 had them, where later ones say it otherwise. */
#include <string.h>

#include "onnx/onnx.h"
#include "onnx_read.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT

static const float factor[] = { 1, -2, 3 };

/* A model of one node from x, and what is known in x's model too, to y. */
static Onnx__NodeProto *begin(struct ob *b, int64_t opset, const struct ref_tensor *x,
			      const char *op, const char *in)
{
	ob_begin(b, opset);
	ob_input(b, "x", FLOAT, (size_t)x->rank, x->dims);
	ob_output(b, "y");
	return ob_node(b, op, in, "y");
}

static void vector(struct ob *b, const char *name, size_t count, const float *value)
{
	ob_initializer(b, name, FLOAT, 1, INTS((int64_t)count), value, count * sizeof(*value));
}

static void expect_values(struct ob *b, const struct ref_tensor *x, struct ref_tensor *want)
{
	struct net net;

	expect_read(b, NULL, &net);
	net_bind(&net, 0, x->data);
	net_expect(&net, want, 1e-5);
}

/* The second input's dimensions are some of the first's in the middle, or the last. */
static void test_broadcast(void **state)
{
	static const enum ref_binary_op ops[] = { REF_ADD, REF_MUL, REF_DIV, REF_SUB };
	static const char *const names[] = { "Add", "Mul", "Div", "Sub" };
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -2, 2), want;
	struct ref_tensor middle = tensor(SHAPE(3, 1), factor), one = tensor(SHAPE(1), factor);
	struct ref_tensor last = net_values(SHAPE(3, 4), 1, 2);
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	for (int i = 0; i < 4; i++) {
		n = begin(&b, 6, &x, names[i], "x b");
		vector(&b, "b", 3, factor);
		ob_int(&b, n, "broadcast", 1);
		ob_int(&b, n, "axis", 1);
		ref_binary(ops[i], &x, &middle, &want);
		expect_values(&b, &x, &want);

		n = begin(&b, 1, &x, names[i], "x b");
		ob_initializer(&b, "b", FLOAT, 2, last.dims, last.data, 12 * sizeof(float));
		ob_int(&b, n, "broadcast", 1);
		ob_ints(&b, n, "consumed_inputs", 2, INTS(0, 0));
		ref_binary(ops[i], &x, &last, &want);
		expect_values(&b, &x, &want);

		n = begin(&b, 6, &x, names[i], "x b");
		vector(&b, "b", 1, factor);
		ob_int(&b, n, "broadcast", 1);
		ob_int(&b, n, "axis", 0);
		ref_binary(ops[i], &x, &one, &want);
		expect_values(&b, &x, &want);
	}
	ref_tensor_free(&x);
	ref_tensor_free(&middle);
	ref_tensor_free(&one);
	ref_tensor_free(&last);
}

static void test_broadcast_refused(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -2, 2);
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	begin(&b, 6, &x, "Add", "x b");
	vector(&b, "b", 3, factor);
	expect_refused(&b, NULL, WORDS("f32[2,3,4]", "f32[3]", "broadcast=1"));

	n = begin(&b, 6, &x, "Add", "x b");
	ob_initializer(&b, "b", FLOAT, 2, INTS(3, 1), factor, sizeof(factor));
	ob_int(&b, n, "broadcast", 1);
	ob_int(&b, n, "axis", 2);
	expect_refused(&b, NULL, WORDS("no place at axis 2"));

	n = begin(&b, 7, &x, "Add", "x b");
	vector(&b, "b", 1, factor);
	ob_int(&b, n, "broadcast", 1);
	expect_refused(&b, NULL, WORDS("\"broadcast\"", "opset 7"));
	ref_tensor_free(&x);
}

/* Slopes per channel; constants with fewer digits; an axis that is 1 unless said. */
static void test_elements(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -2, 2), want;
	struct ref_tensor slope = tensor(SHAPE(3, 1), factor);
	const struct ref_tensor *twice[] = { &x, &x };
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	begin(&b, 6, &x, "PRelu", "x s");
	vector(&b, "s", 3, factor);
	ref_binary(REF_PRELU, &x, &slope, &want);
	expect_values(&b, &x, &want);

	begin(&b, 5, &x, "Selu", "x");
	ref_unary(REF_SELU, &(struct ref_unary_attr){ 1.6732f, 1.0507f }, &x, &want);
	expect_values(&b, &x, &want);

	begin(&b, 3, &x, "Concat", "x x");
	ref_concat(twice, 2, 1, &want);
	expect_values(&b, &x, &want);

	n = begin(&b, 1, &x, "Cast", "x");
	ob_string(&b, n, "to", "FLOAT");
	ref_unary(REF_IDENTITY, NULL, &x, &want);
	expect_values(&b, &x, &want);

	n = begin(&b, 6, &x, "Dropout", "x");
	ob_int(&b, n, "is_test", 1);
	ref_unary(REF_IDENTITY, NULL, &x, &want);
	expect_values(&b, &x, &want);

	begin(&b, 6, &x, "Dropout", "x");
	expect_refused(&b, NULL, WORDS("is_test"));
	ref_tensor_free(&slope);
	ref_tensor_free(&x);
}

static void test_movement(void **state)
{
	static const float three = 3, axis = 2;
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -2, 2), want;
	const struct ref_tensor *thrice[] = { &x, &x, &x };
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	n = begin(&b, 4, &x, "Reshape", "x");
	ob_ints(&b, n, "shape", 2, INTS(4, -1));
	ref_reshape(&x, 2, INTS(4, 6), false, &want);
	expect_values(&b, &x, &want);

	n = begin(&b, 1, &x, "Pad", "x");
	ob_ints(&b, n, "paddings", 6, INTS(0, 1, 0, 0, 0, 2));
	ob_float(&b, n, "value", 7);
	ref_pad(&x, 3, INTS(0, 1, 0, 0, 0, 2), NULL, 7, &want);
	expect_values(&b, &x, &want);

	begin(&b, 5, &x, "Tile", "x t a");
	ob_initializer(&b, "t", FLOAT, 0, NULL, &three, sizeof(three));
	ob_initializer(&b, "a", FLOAT, 0, NULL, &axis, sizeof(axis));
	ref_concat(thrice, 3, 2, &want);
	expect_values(&b, &x, &want);

	begin(&b, 5, &x, "Tile", "x x a");
	ob_initializer(&b, "a", FLOAT, 0, NULL, &axis, sizeof(axis));
	expect_refused(&b, NULL, WORDS("input 1", "scalar"));
	ref_tensor_free(&x);
}

static void test_upsample(void **state)
{
	struct ref_tensor x = tensor(SHAPE(1, 1, 2, 2), VALUES(1, 2, 3, 4)), want;
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	n = begin(&b, 1, &x, "Upsample", "x");
	ob_float(&b, n, "height_scale", 1);
	ob_float(&b, n, "width_scale", 2);
	want = tensor(SHAPE(1, 1, 2, 4), VALUES(1, 1, 2, 2, 3, 3, 4, 4));
	expect_values(&b, &x, &want);
	ref_tensor_free(&x);
}

/* Statistics for each element; batches may train. */
static void test_batch_norm(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 2), -2, 2), want, scaled;
	struct ref_tensor two = tensor(SHAPE(1), VALUES(2));
	static const float ones[] = { 1, 1, 1, 1, 1, 1 };
	struct ref_tensor s = net_values(SHAPE(3, 2), 0.5, 2);
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	n = begin(&b, 6, &x, "BatchNormalization", "x s b b v");
	ob_int(&b, n, "spatial", 0);
	ob_int(&b, n, "is_test", 1);
	ob_float(&b, n, "epsilon", 0);
	ob_initializer(&b, "s", FLOAT, 2, s.dims, s.data, sizeof(ones));
	ob_initializer(&b, "b", FLOAT, 2, s.dims, ones, sizeof(ones));
	ob_initializer(&b, "v", FLOAT, 2, s.dims, VALUES(4, 4, 4, 4, 4, 4), sizeof(ones));
	/* (x - 1) s / 2 + 1 */
	{
		struct ref_tensor one = tensor(SHAPE(1), ones), t;

		ref_binary(REF_SUB, &x, &one, &t);
		ref_binary(REF_MUL, &t, &s, &scaled);
		ref_tensor_free(&t);
		ref_binary(REF_DIV, &scaled, &two, &t);
		ref_tensor_free(&scaled);
		ref_binary(REF_ADD, &t, &one, &want);
		ref_tensor_free(&t);
		ref_tensor_free(&one);
	}
	expect_values(&b, &x, &want);

	n = begin(&b, 9, &x, "BatchNormalization", "x x x x x");
	ob_int(&b, n, "spatial", 0);
	expect_refused(&b, NULL, WORDS("\"spatial\"", "opset 9"));
	ref_tensor_free(&s);
	ref_tensor_free(&two);
	ref_tensor_free(&x);
}

/* What is given counts, a 0 too; and what a later opset has no more is no default. */
static void test_given(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -2, 2), w = net_values(SHAPE(1, 5, 4), -1, 1);
	struct ref_tensor r = net_values(SHAPE(1, 5, 5), -1, 1);
	const float scale[] = { 1, 1, 2 };
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	n = begin(&b, 18, &x, "Split", "x");
	ob_int(&b, n, "num_outputs", 0);
	expect_refused(&b, NULL, WORDS("num_outputs is 0", "1 outputs"));

	n = begin(&b, 14, &x, "RNN", "x w r");
	ob_initializer(&b, "w", FLOAT, 3, w.dims, w.data, 20 * sizeof(float));
	ob_initializer(&b, "r", FLOAT, 3, r.dims, r.data, 25 * sizeof(float));
	ob_int(&b, n, "hidden_size", 0);
	expect_refused(&b, NULL, WORDS("hidden_size 0"));

	n = begin(&b, 13, &x, "Resize", "x - scale");
	vector(&b, "scale", 3, scale);
	ob_string(&b, n, "coordinate_transformation_mode", "tf_half_pixel_for_nn");
	expect_refused(&b, NULL, WORDS("tf_half_pixel_for_nn", "opset 13"));
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broadcast),
		cmocka_unit_test(test_broadcast_refused),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_movement),
		cmocka_unit_test(test_upsample),
		cmocka_unit_test(test_batch_norm),
		cmocka_unit_test(test_given),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
