/* SPDX-License-Identifier: MIT */
/* Functions of ONNX models: calls become the nodes of the body. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"
#include "onnx_read.h"
#include "ref_test.h"

#define FLOAT		ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define DOMAIN		"local"
#define FUNCTIONS_MAX	4

/**
 * struct fb - a model with functions in the making
 * @b: the model
 */
struct fb {
	struct ob b;
	Onnx__FunctionProto *function[FUNCTIONS_MAX];
};

static void fb_begin(struct fb *f, const int64_t *dim)
{
	ob_begin(&f->b, 17);
	f->b.model.functions = f->function;
	ob_input(&f->b, "x", FLOAT, 1, dim);
}

/* Nodes made since the last call, or since @from, are the body. */
static Onnx__FunctionProto *fb_function(struct fb *f, const char *name, size_t from, char **in,
					size_t ins, char **out)
{
	Onnx__FunctionProto *fn = ob_alloc(&f->b, sizeof(*fn));
	size_t nodes = f->b.graph.n_node - from;

	onnx__function_proto__init(fn);
	fn->name = (char *)(uintptr_t)name;
	fn->domain = (char *)(uintptr_t)DOMAIN;
	fn->input = in;
	fn->n_input = ins;
	fn->output = out;
	fn->n_output = 1;
	fn->node = ob_alloc(&f->b, nodes * sizeof(*fn->node));
	memcpy(fn->node, f->b.graph.node + from, nodes * sizeof(*fn->node));
	fn->n_node = nodes;
	f->b.graph.n_node = from;
	f->function[f->b.model.n_functions++] = fn;
	return fn;
}

static Onnx__NodeProto *fb_call(struct fb *f, const char *name, const char *in, const char *out)
{
	Onnx__NodeProto *n = ob_node(&f->b, name, in, out);

	n->domain = (char *)(uintptr_t)DOMAIN;
	return n;
}

static void refer(struct fb *f, Onnx__NodeProto *n, const char *name, const char *to)
{
	ob_attr(&f->b, n, name)->ref_attr_name = (char *)(uintptr_t)to;
}

static void expect_values(struct fb *f, const struct ref_tensor *x, const float *want)
{
	struct ref_tensor y = tensor(1, x->dims, want);
	struct net net;

	ob_output(&f->b, "y");
	expect_read(&f->b, NULL, &net);
	net_bind(&net, 0, x->data);
	net_expect(&net, &y, 1e-6);
}

/* Attributes of control flow may stand for those of the call, too. */
static void test_scan_in_function(void **state)
{
	char *in[] = { (char []){ "a" } }, *out[] = { (char []){ "s" } };
	const int64_t three = 3;
	const float data[] = { 1, -2, 3 }, want[] = { -1, 2, -3 };
	struct ref_tensor x = tensor(1, &three, data);
	Onnx__GraphProto *body;
	Onnx__AttributeProto *a;
	Onnx__NodeProto *n;
	struct fb f;

	(void)state;
	fb_begin(&f, &three);
	ob_node(&f.b, "Neg", "e", "o");
	body = ob_alloc(&f.b, sizeof(*body));
	onnx__graph_proto__init(body);
	body->n_node = 1;
	body->node = ob_alloc(&f.b, sizeof(*body->node));
	body->node[0] = f.b.graph.node[--f.b.graph.n_node];
	body->input = ob_alloc(&f.b, sizeof(*body->input));
	body->input[body->n_input++] = ob_output(&f.b, "e");
	body->output = ob_alloc(&f.b, sizeof(*body->output));
	body->output[body->n_output++] = ob_output(&f.b, "o");
	f.b.graph.n_output = 0;
	n = ob_node(&f.b, "Scan", "a", "s");
	a = ob_attr(&f.b, n, "body");
	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
	a->g = body;
	refer(&f, n, "num_scan_inputs", "count");
	fb_function(&f, "Each", 0, in, 1, out);
	ob_int(&f.b, fb_call(&f, "Each", "x", "y"), "count", 1);
	expect_values(&f, &x, want);
}

static void refused(struct fb *f, const char *const *words)
{
	ob_output(&f->b, "y");
	expect_refused(&f->b, NULL, words);
}

static char *ab[] = { (char []){ "a" }, (char []){ "x" } };
static char *t_out[] = { (char []){ "t" } };

/* Blend(a, x) = k a + x, whose names are also those of the graph. */
static void add_blend(struct fb *f)
{
	size_t from = f->b.graph.n_node;

	refer(f, ob_node(&f->b, "Constant", "", "c"), "value_float", "k");
	ob_node(&f->b, "Mul", "a c", "y");
	ob_node(&f->b, "Add", "y x", "t");
	fb_function(f, "Blend", from, ab, 2, t_out);
}

static void test_call(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, 2, -3));
	struct fb f = { 0 };

	(void)state;
	fb_begin(&f, INTS(3));
	add_blend(&f);
	ob_node(&f.b, "Neg", "x", "c");
	/* 3 (-x) + x, then 0.5 of that + x */
	ob_float(&f.b, fb_call(&f, "Blend", "c x", "t"), "k", 3);
	ob_float(&f.b, fb_call(&f, "Blend", "t x", "y"), "k", 0.5f);
	expect_values(&f, &x, VALUES(0, 0, 0));
	ref_tensor_free(&x);
}

/* A function that calls another, and hands its attribute on under another name. */
static void test_nested(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, 2, -3));
	struct fb f = { 0 };

	(void)state;
	fb_begin(&f, INTS(3));
	add_blend(&f);
	refer(&f, fb_call(&f, "Blend", "a a", "b"), "k", "weight");
	refer(&f, fb_call(&f, "Blend", "b a", "t"), "k", "weight");
	fb_function(&f, "Twice", 0, ab, 1, t_out);
	ob_float(&f.b, fb_call(&f, "Twice", "x", "y"), "weight", 2);
	/* 2 (2 x + x) + x */
	expect_values(&f, &x, VALUES(7, 14, -21));
	ref_tensor_free(&x);
}

/* An attribute that nobody gives is the operator's default; so is an input. */
static void test_absent(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, 2, -3));
	struct fb f = { 0 };

	(void)state;
	fb_begin(&f, INTS(3));
	refer(&f, ob_node(&f.b, "LeakyRelu", "a", "l"), "alpha", "slope");
	ob_node(&f.b, "Clip", "l x", "t");
	fb_function(&f, "Leak", 0, ab, 2, t_out);
	fb_call(&f, "Leak", "x", "y");
	expect_values(&f, &x, VALUES(1, 2, -0.03f));
	ref_tensor_free(&x);
}

/* A default of the function itself, in a field that is younger than the file format here. */
static void test_default(void **state)
{
	struct ref_tensor x = tensor(1, INTS(3), VALUES(1, 2, -3));
	Onnx__AttributeProto a = ONNX__ATTRIBUTE_PROTO__INIT;
	ProtobufCMessageUnknownField field = { .tag = 11, .wire_type =
					       PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
	uint8_t packed[64];
	struct fb f = { 0 };

	(void)state;
	a.name = (char *)(uintptr_t)"k";
	a.has_f = true;
	a.f = 4;
	a.has_type = true;
	a.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
	packed[0] = (uint8_t)onnx__attribute_proto__pack(&a, packed + 1);
	field.data = packed;
	field.len = 1u + packed[0];
	fb_begin(&f, INTS(3));
	add_blend(&f);
	f.function[0]->base.n_unknown_fields = 1;
	f.function[0]->base.unknown_fields = &field;
	fb_call(&f, "Blend", "x x", "y");
	expect_values(&f, &x, VALUES(5, 10, -15));
	ref_tensor_free(&x);
}

static void test_refused(void **state)
{
	struct fb f = { 0 };

	(void)state;
	fb_begin(&f, INTS(3));
	fb_call(&f, "Loop", "a", "t");
	fb_function(&f, "Loop", 0, ab, 1, t_out);
	fb_call(&f, "Loop", "x", "y");
	refused(&f, WORDS("Loop", "too deeply"));

	f = (struct fb){ 0 };
	fb_begin(&f, INTS(3));
	fb_call(&f, "Pong", "a", "t");
	fb_function(&f, "Ping", 0, ab, 1, t_out);
	fb_call(&f, "Ping", "a", "t");
	fb_function(&f, "Pong", 0, ab, 1, t_out);
	fb_call(&f, "Ping", "x", "y");
	refused(&f, WORDS("call each other too deeply"));

	f = (struct fb){ 0 };
	fb_begin(&f, INTS(3));
	add_blend(&f);
	fb_call(&f, "Blend", "x x x", "y");
	refused(&f, WORDS("Blend", "more inputs"));

	f = (struct fb){ 0 };
	fb_begin(&f, INTS(3));
	add_blend(&f);
	fb_call(&f, "Blend", "x nothing", "y");
	refused(&f, WORDS("Blend", "nothing"));

	f = (struct fb){ 0 };
	fb_begin(&f, INTS(3));
	ob_node(&f.b, "Neg", "a", "b");
	fb_function(&f, "Lost", 0, ab, 1, t_out);
	fb_call(&f, "Lost", "x", "y");
	refused(&f, WORDS("Lost", "does not compute", "t"));

	f = (struct fb){ 0 };
	fb_begin(&f, INTS(3));
	refer(&f, ob_node(&f.b, "LeakyRelu", "x", "y"), "alpha", "slope");
	refused(&f, WORDS("slope", "no function"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan_in_function),
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
