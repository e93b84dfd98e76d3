/* SPDX-License-Identifier: MIT */
/* The graph builder and IR: shapes, errors that stay, messages, folding, memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "net.h"
#include "npu_models.h"
#include "ref_test.h"

static void expect_shape(const struct npu_graph *g, int tensor, int rank, const int64_t *want)
{
	int64_t dim[NPU_GRAPH_RANK_MAX];

	if (tensor < 0)
		fail_msg("%s", npu_graph_error(g));
	assert_int_equal(npu_graph_shape(g, tensor, dim), rank);
	for (int i = 0; i < rank; i++)
		assert_int_equal(dim[i], want[i]);
}

static int input(struct npu_graph *g, int rank, const int64_t *dim)
{
	return npu_graph_input(g, "x", NPU_GRAPH_F32, (unsigned int)rank, dim);
}

/* A constant of that shape. */
static int zeros(struct npu_graph *g, int rank, const int64_t *dim)
{
	struct ref_tensor t;
	int tensor;

	assert_int_equal(ref_tensor_alloc(&t, rank, dim), 0);
	tensor = npu_graph_const(g, NULL, NPU_GRAPH_F32, (unsigned int)rank, dim, t.data);
	ref_tensor_free(&t);
	return tensor;
}

static void test_shapes(void **state)
{
	const struct npu_window_attr same = { .pad = NPU_PAD_SAME, .stride = { 2, 2 } };
	const struct npu_window_attr explicit = { .pad = NPU_PAD_EXPLICIT, .pads = { 1, 0, 2, 1 },
						  .kernel = { 3, 2 } };
	const struct npu_lstm_attr lstm = { .activation = NPU_UNARY_TANH,
					    .recurrent_activation = NPU_UNARY_SIGMOID };
	struct npu_graph *g = npu_graph_create(NULL);
	int x = input(g, SHAPE(2, 9, 8, 3));
	int list[2];

	(void)state;
	expect_shape(g, x, SHAPE(2, 9, 8, 3));
	expect_shape(g, npu_graph_conv2d(g, x, zeros(g, SHAPE(3, 3, 3, 5)), NPU_TENSOR_NONE,
					 &same), SHAPE(2, 5, 4, 5));
	expect_shape(g, npu_graph_max_pool2d(g, x, &explicit), SHAPE(2, 10, 8, 3));
	expect_shape(g, npu_graph_average_pool2d(g, x, &explicit), SHAPE(2, 10, 8, 3));
	expect_shape(g, npu_graph_dense(g, x, zeros(g, SHAPE(3, 7)), zeros(g, SHAPE(7))),
		     SHAPE(2, 9, 8, 7));
	expect_shape(g, npu_graph_flatten(g, x), SHAPE(2, 216));
	expect_shape(g, npu_graph_reshape(g, x, 2, INTS(-1, 12)), SHAPE(36, 12));
	expect_shape(g, npu_graph_reduce(g, NPU_REDUCE_SUM, x, 2, (int[]){ 1, -1 }, false),
		     SHAPE(2, 8));
	expect_shape(g, npu_graph_reduce(g, NPU_REDUCE_MEAN, x, 0, NULL, true),
		     SHAPE(1, 1, 1, 1));
	list[0] = x;
	list[1] = npu_graph_slice(g, x, INTS(0, 0, 7, 0), INTS(2, 9, -9, 3), INTS(1, 1, -2, 1));
	expect_shape(g, list[1], SHAPE(2, 9, 4, 3));
	expect_shape(g, npu_graph_concat(g, 2, list, 2), SHAPE(2, 9, 12, 3));
	expect_shape(g, npu_graph_binary(g, NPU_BINARY_ADD, x, zeros(g, SHAPE(8, 1))),
		     SHAPE(2, 9, 8, 3));
	expect_shape(g, npu_graph_softmax(g, x, -2), SHAPE(2, 9, 8, 3));
	x = npu_graph_reshape(g, x, 3, INTS(2, 9, 24));
	expect_shape(g, npu_graph_lstm(g, x, zeros(g, SHAPE(24, 20)), zeros(g, SHAPE(5, 20)),
				       NPU_TENSOR_NONE, &lstm), SHAPE(2, 5));
	expect_shape(g, npu_graph_attention(g, x, x, x, 0), SHAPE(2, 9, 24));
	assert_int_equal(npu_graph_shape(g, 100000, (int64_t[8]){ 0 }), -EINVAL);
	npu_graph_destroy(g);
	npu_graph_destroy(NULL);
}

static void test_transformer_shapes(void **state)
{
	struct npu_graph *g = npu_graph_create(NULL);
	int x = input(g, SHAPE(2, 5, 12));
	int rows = npu_graph_input(g, "rows", NPU_GRAPH_I64, 2, INTS(3, 4));
	int part[2], y, heads;

	(void)state;
	expect_shape(g, npu_graph_gather(g, zeros(g, SHAPE(100, 7)), rows, 0), SHAPE(3, 4, 7));
	expect_shape(g, npu_graph_gather(g, x, rows, 1), SHAPE(2, 3, 4, 12));
	expect_shape(g, npu_graph_layer_norm(g, x, -1, zeros(g, SHAPE(12)), NPU_TENSOR_NONE, 1e-5f),
		     SHAPE(2, 5, 12));
	expect_shape(g, npu_graph_layer_norm(g, x, 1, zeros(g, SHAPE(5, 12)),
					     zeros(g, SHAPE(5, 12)), 1e-5f), SHAPE(2, 5, 12));
	heads = npu_graph_split_heads(g, x, 3);
	expect_shape(g, heads, SHAPE(2, 3, 5, 4));
	expect_shape(g, npu_graph_merge_heads(g, heads), SHAPE(2, 5, 12));
	expect_shape(g, npu_graph_masked_attention(g, heads, heads, heads, zeros(g, SHAPE(5, 5)), 0),
		     SHAPE(2, 3, 5, 4));
	expect_shape(g, npu_graph_multi_head_attention(g, x, x, x, 4, NPU_TENSOR_NONE),
		     SHAPE(2, 5, 12));
	assert_int_equal(npu_graph_split(g, x, -1, 2, INTS(5, 7), part), 0);
	expect_shape(g, part[0], SHAPE(2, 5, 5));
	expect_shape(g, part[1], SHAPE(2, 5, 7));
	expect_shape(g, npu_graph_arg_max(g, x, -1, false), SHAPE(2, 5));
	y = npu_graph_arg_max(g, x, -1, true);
	y = npu_graph_binary(g, NPU_BINARY_GREATER_OR_EQUAL, y, y);
	expect_shape(g, npu_graph_where(g, y, part[0], zeros(g, SHAPE(1))), SHAPE(2, 5, 5));
	expect_shape(g, npu_graph_cast(g, y, NPU_GRAPH_F32), SHAPE(2, 5, 1));
	assert_string_equal(npu_graph_error(g), "");
	npu_graph_destroy(g);
}

/* The first error is kept; a chain of calls only has to be checked at its end. */
static void test_errors_stay(void **state)
{
	struct npu_graph *g = npu_graph_create("errors");
	int x = input(g, SHAPE(2, 3)), y;

	(void)state;
	y = npu_graph_matmul(g, x, x);
	assert_int_equal(y, -EINVAL);
	assert_non_null(strstr(npu_graph_error(g), "f32[2,3] times f32[2,3]"));
	y = npu_graph_unary(g, NPU_UNARY_RELU, y, 0, 0);
	assert_int_equal(y, -EINVAL);
	assert_int_equal(npu_graph_output(g, "y", y), -EINVAL);
	assert_int_equal(npu_graph_softmax(g, x, 0), -EINVAL);
	assert_non_null(strstr(npu_graph_error(g), "times"));
	assert_int_equal(npu_graph_compile(g, NULL, NULL, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(npu_graph_write_onnx(g, "/nonexistent/x"), -EINVAL);
	npu_graph_destroy(g);
}

/* One call that must fail, and words of its message. */
#define REFUSED(call, ...)						\
	do {								\
		static const char *const words[] = { __VA_ARGS__, NULL }; \
		struct npu_graph *g = npu_graph_create("refused");	\
		int x = npu_graph_input(g, "x", NPU_GRAPH_F32, 3, INTS(2, 6, 4)); \
		int m = npu_graph_input(g, "m", NPU_GRAPH_F32, 2, INTS(4, 4)); \
									\
		(void)x;						\
		(void)m;						\
		assert_true((call) < 0);				\
		for (int i_ = 0; words[i_]; i_++)			\
			if (!strstr(npu_graph_error(g), words[i_]))	\
				fail_msg("no \"%s\" in: %s", words[i_], npu_graph_error(g)); \
		npu_graph_destroy(g);					\
	} while (0)

static void test_refused(void **state)
{
	const struct npu_window_attr window = { .kernel = { 9, 9 } };

	(void)state;
	REFUSED(npu_graph_input(g, "", NPU_GRAPH_F32, 0, NULL), "needs a name");
	REFUSED(npu_graph_input(g, "y", NPU_GRAPH_F32, 1, INTS(-1)), "dimension");
	REFUSED(npu_graph_input(g, "y", NPU_GRAPH_F32, 9, INTS(1, 1, 1, 1, 1, 1, 1, 1, 1)), "8 dim");
	REFUSED(npu_graph_input(g, "y", NPU_GRAPH_F32, 2, INTS(1 << 30, 1 << 30)), "larger than");
	REFUSED(npu_graph_input(g, "y", NPU_GRAPH_F32, 2, INTS(INT64_MAX, INT64_MAX)), "larger");
	REFUSED(npu_graph_unary(g, NPU_UNARY_RELU, 77, 0, 0), "no such tensor");
	REFUSED(npu_graph_unary(g, NPU_UNARY_RELU, NPU_TENSOR_NONE, 0, 0), "missing");
	REFUSED(npu_graph_unary(g, 99, x, 0, 0), "no such operator");
	REFUSED(npu_graph_binary(g, NPU_BINARY_MUL, x, npu_graph_flatten(g, x)),
		"node #1 (Mul)", "f32[2,6,4]", "f32[2,24]", "broadcast");
	REFUSED(npu_graph_softmax(g, x, 3), "axis 3", "3 dimensions");
	REFUSED(npu_graph_reshape(g, x, 2, INTS(5, -1)), "48 elements");
	REFUSED(npu_graph_reshape(g, x, 2, INTS(-1, -1)), "one may be -1");
	REFUSED(npu_graph_reshape(g, x, 4, INTS(2, 6, 4, 0)), "no such dimension");
	REFUSED(npu_graph_transpose(g, x, (unsigned int[]){ 0, 1, 1 }), "each axis once");
	REFUSED(npu_graph_concat(g, 2, (int[]){ x, m }, 0), "differ in axis 0 only");
	REFUSED(npu_graph_slice(g, x, INTS(0, 0, 0), INTS(1, 1, 1), INTS(1, 0, 1)), "step", "0");
	REFUSED(npu_graph_reduce(g, NPU_REDUCE_SUM, x, 2, (int[]){ 1, -2 }, true), "twice");
	REFUSED(npu_graph_reduce(g, NPU_REDUCE_SUM, x, 1, (int[]){ 4 }, true), "axis 4");
	REFUSED(npu_graph_conv2d(g, x, x, NPU_TENSOR_NONE, &window), "4 dimensions");
	REFUSED(npu_graph_max_pool2d(g, npu_graph_reshape(g, x, 4, INTS(1, 6, 8, 1)), &window),
		"MaxPool", "window of 9", "6 elements");
	REFUSED(npu_graph_attention(g, x, m, x, 0), "same number of dimensions");
	REFUSED(npu_graph_gather(g, x, m, 0), "Gather", "must be integers");
	REFUSED(npu_graph_gather(g, x, NPU_TENSOR_NONE, 0), "gather", "missing");
	REFUSED(npu_graph_layer_norm(g, x, -1, m, NPU_TENSOR_NONE, 0), "LayerNormalization");
	REFUSED(npu_graph_split(g, x, 1, 2, INTS(3, 4), (int[2]){ 0 }), "Split", "cannot be split", "f32[2,6,4]");
	REFUSED(npu_graph_split(g, x, 1, 0, NULL, NULL), "1 to 4096");
	REFUSED(npu_graph_split_heads(g, m, 2), "3 dimensions");
	REFUSED(npu_graph_split_heads(g, x, 3), "multiple of the number of heads");
	REFUSED(npu_graph_split_heads(g, x, 0), "multiple of the number of heads");
	REFUSED(npu_graph_merge_heads(g, x), "4 dimensions");
	REFUSED(npu_graph_multi_head_attention(g, x, x, x, 5, NPU_TENSOR_NONE), "multiple");
	REFUSED(npu_graph_cast(g, x, 99), "no such element type");
	REFUSED(npu_graph_arg_max(g, x, 3, true), "axis 3");
	REFUSED(npu_graph_lstm(g, x, m, m, NPU_TENSOR_NONE, &(struct npu_lstm_attr){ 0 }), "do not fit");
	REFUSED(npu_graph_output(g, "", x), "needs a name");
}

/* What the device has no fields for is refused by name. */
static void test_refused_by_device(void **state)
{
	struct npu_graph *g = npu_graph_create("rows");
	int x = input(g, SHAPE(1, 1ll << 31, 1, 1));
	int w = npu_graph_input(g, "kernel", NPU_GRAPH_F32, 4, INTS(1, 1, 1, 1));
	struct net net;

	(void)state;
	npu_graph_output(g, "y", npu_graph_conv2d(g, x, w, NPU_TENSOR_NONE,
						  &(struct npu_window_attr){ 0 }));
	net_take(&net, g);
	net_refused(&net, -ENOTSUP, (const char *const[]){ "2147483648", "below 2^31", NULL });
	/* A later attempt has its own message. */
	net_refused(&net, -ENOTSUP, (const char *const[]){ "2147483648", NULL });
	net_end(&net);
}

static void test_no_output(void **state)
{
	struct npu_graph *g = npu_graph_create("none");
	struct net net;

	(void)state;
	input(g, SHAPE(1));
	net_take(&net, g);
	net_refused(&net, -EINVAL, (const char *const[]){ "no outputs", NULL });
	net_end(&net);
}

/* What an operator does not compute, and what the device's integers do not hold. */
static void test_types(void **state)
{
	static const int64_t wide[] = { 1, INT64_MAX };
	struct npu_graph *g = npu_graph_create("types");
	int x = npu_graph_input(g, "ids", NPU_GRAPH_I64, 1, INTS(2));
	struct net net;

	(void)state;
	npu_graph_output(g, "y", npu_graph_unary(g, NPU_UNARY_EXP, x, 0, 0));
	net_take(&net, g);
	net_refused(&net, -ENOTSUP,
		    (const char *const[]){ "Exp", "\"ids\"", "i64[2]", "floats", NULL });
	net_end(&net);
	g = npu_graph_create("types");
	x = npu_graph_input(g, "ids", NPU_GRAPH_I64, 1, INTS(2));
	x = npu_graph_binary(g, NPU_BINARY_ADD, x,
			     npu_graph_const(g, "c", NPU_GRAPH_I64, 1, INTS(2), wide));
	npu_graph_output(g, "y", x);
	net_take(&net, g);
	net_refused(&net, -ERANGE,
		    (const char *const[]){ "\"c\"", "9223372036854775807", "32-bit", NULL });
	net_end(&net);
}

/* fp32 constants are folded by the operator's own program: all of them once. */
static void test_fold_floats(void **state)
{
	struct npu_graph *g = npu_graph_create("fold");
	const float values[] = { -2, -0.5f, 0.25f, 3 };
	int c = npu_graph_const(g, "c", NPU_GRAPH_F32, 1, INTS(4), values);
	static const struct {
		enum npu_graph_unary op;
		double (*f)(double);
	} known[] = {
		{ NPU_UNARY_EXP, exp }, { NPU_UNARY_TANH, tanh }, { NPU_UNARY_ERF, erf },
		{ NPU_UNARY_SIN, sin }, { NPU_UNARY_COS, cos }, { NPU_UNARY_FLOOR, floor },
		{ NPU_UNARY_CEIL, ceil }, { NPU_UNARY_ROUND, rint }, { NPU_UNARY_ABS, fabs },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		int y = npu_graph_unary(g, known[i].op, c, 0, 0);
		const float *got = g->tensor[y]->data;

		assert_non_null(got);
		for (int k = 0; k < 4; k++)
			assert_true(fabs(got[k] - known[i].f(values[k])) < 1e-6);
	}
	c = npu_graph_binary(g, NPU_BINARY_POW, npu_graph_unary(g, NPU_UNARY_ABS, c, 0, 0), c);
	for (int k = 0; k < 4; k++)
		assert_true(fabs(((const float *)g->tensor[c]->data)[k] -
				 pow(fabs(values[k]), values[k])) < 1e-5);
	npu_graph_destroy(g);
}

static int op(struct npu_graph *g, const char *name, uint32_t ins, const int *in)
{
	struct nc_node *n = nc_node_new(g, nc_op_find(name), NULL, ins, 1);

	for (uint32_t i = 0; i < ins; i++)
		n->in[i] = (uint32_t)in[i];
	n->out[0] = (uint32_t)nc_graph_tensor(g, NULL);
	return nc_graph_node(g, n) ? -1 : (int)n->out[0];
}

static void test_fold_integers(void **state)
{
	struct npu_graph *g = npu_graph_create("fold");
	const int64_t a_data[] = { 7, -7, INT64_MAX }, b_data[] = { 2, 2, 3 }, zero = 0;
	int a = npu_graph_const(g, NULL, NPU_GRAPH_I64, 1, INTS(3), a_data);
	int b = npu_graph_const(g, NULL, NPU_GRAPH_I64, 1, INTS(3), b_data);
	static const struct {
		const char *name;
		int64_t want[3];
	} known[] = {
		{ "Add", { 9, -5, INT64_MIN + 2 } }, { "Sub", { 5, -9, INT64_MAX - 3 } },
		{ "Mul", { 14, -14, INT64_MAX - 2 } }, { "Div", { 3, -3, INT64_MAX / 3 } },
		{ "Min", { 2, -7, 3 } }, { "Max", { 7, 2, INT64_MAX } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		int y = op(g, known[i].name, 2, (int[]){ a, b });

		assert_true(y >= 0);
		assert_memory_equal(g->tensor[y]->data, known[i].want, sizeof(known[i].want));
	}
	b = npu_graph_const(g, NULL, NPU_GRAPH_I64, 0, NULL, &zero);
	assert_true(op(g, "Div", 2, (int[]){ a, b }) < 0);
	assert_non_null(strstr(npu_graph_error(g), "constant 0"));
	npu_graph_destroy(g);
}

static void test_gather_bounds(void **state)
{
	const int64_t good = -3, bad = 3, data[] = { 4, 5, 6 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct npu_graph *g = npu_graph_create("gather");
		int x = npu_graph_const(g, NULL, NPU_GRAPH_I64, 1, INTS(3), data);
		int at = npu_graph_const(g, NULL, NPU_GRAPH_I64, 0, NULL, i ? &bad : &good);
		int y = op(g, "Gather", 2, (int[]){ x, at });

		if (i)
			assert_non_null(strstr(npu_graph_error(g), "index 3"));
		else
			assert_int_equal(*(const int64_t *)g->tensor[y]->data, 4);
		npu_graph_destroy(g);
	}
}

/* Out of memory at every allocation of building and lowering: an error, no more. */
static void test_out_of_memory(void **state)
{
	float *param[NPU_NET_PARAMS_MAX];
	struct npu_net_param p;
	float *room = calloc(1 << 20, sizeof(float));
	bool whole = false;

	(void)state;
	for (unsigned int i = 0; !npu_net_param(NPU_NET_RNN, i, &p); i++)
		param[i] = room;
	for (size_t limit = 4096; !whole; limit += limit / 16) {
		struct npu_graph *g = npu_net_build(NPU_NET_RNN, 1, (const float *const *)param);
		struct kir *k = NULL;
		int ret;

		assert_non_null(g);
		nc_arena_limit(g->arena, nc_arena_bytes(g->arena) + limit - 4096);
		ret = nc_front(g, NULL, NULL, NULL, &k);
		if (ret)
			assert_string_not_equal(npu_graph_error(g), "");
		else
			nc_arena_destroy(k->arena);
		whole = !ret;
		npu_graph_destroy(g);
	}
	free(room);
}

static void test_print(void **state)
{
	struct npu_graph *g = npu_graph_create("print");
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	npu_graph_output(g, "y", npu_graph_unary(g, NPU_UNARY_LEAKY_RELU, input(g, SHAPE(2, 3)),
						 0.5f, 0));
	assert_int_equal(nc_graph_print(g, out), 0);
	fclose(out);
	assert_string_equal(text,
		"graph \"print\"\n"
		"tensor %0 f32[2,3] input \"x\"\n"
		"tensor %1 f32[2,3] \"\"\n"
		"node #0 LeakyRelu \"\" %0 -> %1 alpha=0.5\n"
		"output \"y\" %1\n");
	free(text);
	npu_graph_destroy(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_transformer_shapes),
		cmocka_unit_test(test_errors_stay),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_by_device),
		cmocka_unit_test(test_no_output),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_fold_floats),
		cmocka_unit_test(test_fold_integers),
		cmocka_unit_test(test_gather_bounds),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
