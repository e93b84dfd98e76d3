/* SPDX-License-Identifier: MIT */
/* If and Loop of ONNX models: bodies become nodes of the graph. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"
#include "onnx_read.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64
#define BOOL	ONNX__TENSOR_PROTO__DATA_TYPE__BOOL

static const uint8_t truth[] = { 0, 1 };

static void begin(struct ob *b)
{
	ob_begin(b, 17);
	ob_input(b, "x", FLOAT, 1, INTS(3));
}

/* The nodes made from @from on, as attribute @name of @n, with values by name. */
static void body(struct ob *b, Onnx__NodeProto *n, const char *name, size_t from,
		 const char *const *in, size_t ins, const char *const *out, size_t outs)
{
	Onnx__GraphProto *g = ob_alloc(b, sizeof(*g));
	Onnx__AttributeProto *a = ob_attr(b, n, name);
	Onnx__ValueInfoProto *v = ob_alloc(b, (ins + outs) * sizeof(*v));

	onnx__graph_proto__init(g);
	g->input = ob_alloc(b, ins * sizeof(*g->input));
	g->output = ob_alloc(b, outs * sizeof(*g->output));
	for (size_t i = 0; i < ins + outs; i++) {
		onnx__value_info_proto__init(&v[i]);
		v[i].name = (char *)(uintptr_t)(i < ins ? in[i] : out[i - ins]);
		*(i < ins ? &g->input[i] : &g->output[i - ins]) = &v[i];
	}
	g->n_input = ins;
	g->n_output = outs;
	g->n_node = b->graph.n_node - from;
	g->node = ob_alloc(b, g->n_node * sizeof(*g->node));
	memcpy(g->node, b->graph.node + from, g->n_node * sizeof(*g->node));
	b->graph.n_node = from;
	a->g = g;
}
#define NAMES(...)	((const char *const[]){ __VA_ARGS__ }),			\
			sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static void expect_values(struct ob *b, const struct ref_tensor *x, int rank,
			  const int64_t *dims, const float *want)
{
	struct ref_tensor y = tensor(rank, dims, want);
	struct net net;

	ob_output(b, "y");
	expect_read(b, NULL, &net);
	net_bind(&net, 0, x->data);
	net_expect(&net, &y, 1e-6);
}

static void refused(struct ob *b, const char *const *words)
{
	ob_output(b, "y");
	expect_refused(b, NULL, words);
}

/* Both branches see names around them; what is inside may have the same ones. */
static void branches(struct ob *b, const char *then_op, const char *else_op, const char *cond)
{
	size_t from = b->graph.n_node;
	Onnx__NodeProto *n = ob_node(b, "If", cond, "y");

	ob_node(b, then_op, "x", "t");
	body(b, n, "then_branch", from + 1, NULL, 0, NAMES("t"));
	ob_node(b, else_op, "x", "t");
	body(b, n, "else_branch", from + 1, NULL, 0, NAMES("t"));
}

/* A branch that is not taken may be anything. */
static void test_if_known(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, -2, 3));

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ob b;

		begin(&b);
		ob_initializer(&b, "c", BOOL, 0, NULL, &truth[i], 1);
		branches(&b, i ? "Neg" : "Nonsense", i ? "Nonsense" : "Abs", "c");
		expect_values(&b, &x, 1, INTS(3), i ? VALUES(-1, 2, -3) : VALUES(1, 2, 3));
	}
	ref_tensor_free(&x);
}

/* The sum decides, at run time. */
static void test_if_run(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ref_tensor x = tensor(1, INTS(3), i ? VALUES(1, -2, 3) : VALUES(1, -2, -3));
		float zero = 0;
		struct ob b;

		begin(&b);
		ob_initializer(&b, "z", FLOAT, 1, INTS(1), &zero, sizeof(zero));
		ob_node(&b, "ReduceSum", "x", "s");
		ob_node(&b, "Greater", "s z", "c");
		branches(&b, "Neg", "Abs", "c");
		expect_values(&b, &x, 1, INTS(3), i ? VALUES(-1, 2, -3) : VALUES(1, 2, 3));
		ref_tensor_free(&x);
	}
}

/* s = s + x, stops after @trips or when the body says so; y is each s. */
static Onnx__NodeProto *loop(struct ob *b, const char *in, const char *out)
{
	size_t from = b->graph.n_node;
	Onnx__NodeProto *n = ob_node(b, "Loop", in, out);

	ob_node(b, "Identity", "go", "more");
	ob_node(b, "Add", "s x", "sum");
	body(b, n, "body", from + 1, NAMES("i", "go", "s"), NAMES("more", "sum", "sum"));
	return n;
}

static void test_loop(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, -2, 3));
	const int64_t trips = 3;
	struct ob b;

	(void)state;
	begin(&b);
	ob_initializer(&b, "m", INT64, 0, NULL, &trips, sizeof(trips));
	loop(&b, "m - x", "last y");
	expect_values(&b, &x, 2, INTS(3, 3), VALUES(2, -4, 6, 3, -6, 9, 4, -8, 12));

	begin(&b);
	ob_initializer(&b, "m", INT64, 0, NULL, &trips, sizeof(trips));
	ob_initializer(&b, "c", BOOL, 0, NULL, &truth[1], 1);
	loop(&b, "m c x", "y");
	expect_values(&b, &x, 1, INTS(3), VALUES(4, -8, 12));

	/* Not once: the state is what it was. */
	begin(&b);
	ob_initializer(&b, "m", INT64, 0, NULL, &trips, sizeof(trips));
	ob_initializer(&b, "c", BOOL, 0, NULL, &truth[0], 1);
	loop(&b, "m c x", "y");
	expect_values(&b, &x, 1, INTS(3), VALUES(1, -2, 3));
	ref_tensor_free(&x);
}

/* While i < 2, without a trip count. */
static void test_while(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, -2, 3));
	const int64_t most = 2;
	Onnx__NodeProto *n;
	struct ob b;

	(void)state;
	begin(&b);
	ob_initializer(&b, "most", INT64, 0, NULL, &most, sizeof(most));
	n = ob_node(&b, "Loop", "- - x", "y");
	ob_node(&b, "Less", "i most", "more");
	ob_node(&b, "Add", "s x", "sum");
	body(&b, n, "body", 1, NAMES("i", "go", "s"), NAMES("more", "sum"));
	expect_values(&b, &x, 1, INTS(3), VALUES(4, -8, 12));
	ref_tensor_free(&x);
}

/* Sums of what came so far, from either end. */
static void test_scan(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, -2, 3));
	const float zero = 0;
	struct ob b;

	(void)state;
	for (int back = 0; back < 2; back++) {
		Onnx__NodeProto *n;

		begin(&b);
		ob_initializer(&b, "z", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, &zero,
			       sizeof(zero));
		n = ob_node(&b, "Scan", "z x", "last y");
		ob_node(&b, "Add", "s e", "sum");
		body(&b, n, "body", 1, NAMES("s", "e"), NAMES("sum", "sum"));
		ob_int(&b, n, "num_scan_inputs", 1);
		if (back) {
			ob_ints(&b, n, "scan_input_directions", 1, INTS(1));
			ob_ints(&b, n, "scan_output_directions", 1, INTS(1));
			ob_ints(&b, n, "scan_input_axes", 1, INTS(-1));
		}
		if (back)
			expect_values(&b, &x, 1, INTS(3), VALUES(2, 1, 3));
		else
			expect_values(&b, &x, 1, INTS(3), VALUES(1, -1, 2));
	}
	begin(&b);
	ob_node(&b, "Scan", "x", "y");
	refused(&b, WORDS("Scan", "do not fit its body"));
	ref_tensor_free(&x);
}

static void test_refused(void **state)
{
	const int64_t many = INT64_MAX;
	struct ob b;

	(void)state;
	begin(&b);
	ob_input(&b, "m", INT64, 0, NULL);
	loop(&b, "m - x", "last y");
	refused(&b, WORDS("Loop", "iterations", "while compiling"));

	begin(&b);
	ob_initializer(&b, "m", INT64, 0, NULL, &many, sizeof(many));
	loop(&b, "m - x", "last y");
	refused(&b, WORDS("Loop", "65536"));

	begin(&b);
	ob_initializer(&b, "m", INT64, 0, NULL, (const int64_t[]){ 0 }, sizeof(int64_t));
	loop(&b, "m - x", "last y");
	refused(&b, WORDS("Loop", "never runs"));

	begin(&b);
	ob_initializer(&b, "m", INT64, 0, NULL, &many, sizeof(many));
	loop(&b, "m - x x", "last y");
	refused(&b, WORDS("Loop", "do not fit its body"));

	begin(&b);
	ob_initializer(&b, "c", BOOL, 0, NULL, &truth[1], 1);
	ob_node(&b, "If", "c", "y");
	refused(&b, WORDS("If", "then_branch"));

	begin(&b);
	branches(&b, "Neg", "Abs", "x");
	refused(&b, WORDS("If", "truth value"));
}

/* A Scan over @in, with a body of the sum of a state and an element. */
static void scan(struct ob *b, const char *in)
{
	Onnx__NodeProto *n = ob_node(b, "Scan", in, "last y");

	ob_node(b, "Add", "s e", "sum");
	body(b, n, "body", b->graph.n_node - 1, NAMES("s", "e"), NAMES("sum", "sum"));
	ob_int(b, n, "num_scan_inputs", 1);
}

/* Names, types and lengths that bodies and nodes do not agree on. */
static void test_disagreement(void **state)
{
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	begin(&b);
	branches(&b, "Neg", "Abs", "nowhere");
	refused(&b, WORDS("If", "no earlier node computes its input nowhere"));

	begin(&b);
	ob_initializer(&b, "c", BOOL, 0, NULL, &truth[1], 1);
	n = ob_node(&b, "If", "c", "y");
	body(&b, n, "then_branch", 1, NULL, 0, NAMES("lost"));
	refused(&b, WORDS("If", "its body does not compute output lost"));

	begin(&b);
	ob_input(&b, "c", BOOL, 0, NULL);
	n = ob_node(&b, "If", "c", "y");
	ob_node(&b, "Neg", "x", "t");
	body(&b, n, "then_branch", 1, NULL, 0, NAMES("t"));
	ob_node(&b, "ReduceSum", "x", "t");
	body(&b, n, "else_branch", 1, NULL, 0, NAMES("t"));
	refused(&b, WORDS("If", "different shapes or types"));

	begin(&b);
	loop(&b, "x - x", "last y");
	refused(&b, WORDS("Loop", "an int64 and a truth value"));

	begin(&b);
	ob_initializer(&b, "m", INT64, 0, NULL, INTS(2), sizeof(int64_t));
	n = loop(&b, "m - -", "last y");
	refused(&b, WORDS("Loop", "a state has no value before the loop"));

	begin(&b);
	scan(&b, "- x");
	refused(&b, WORDS("Scan", "an input is missing"));

	begin(&b);
	ob_input(&b, "none", FLOAT, 1, INTS(0));
	scan(&b, "x none");
	refused(&b, WORDS("Scan", "has no iterations, or more than 65536"));

	begin(&b);
	ob_input(&b, "four", FLOAT, 1, INTS(4));
	n = ob_node(&b, "Scan", "x four", "y");
	ob_node(&b, "Add", "s e", "sum");
	body(&b, n, "body", 1, NAMES("s", "e"), NAMES("sum"));
	ob_int(&b, n, "num_scan_inputs", 2);
	refused(&b, WORDS("Scan", "its sequences have different lengths"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_if_known),
		cmocka_unit_test(test_if_run),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_while),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_disagreement),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
