/* SPDX-License-Identifier: MIT */
/*
 * What a user is told whose model does not run on the NPU: which node, which shape or type,
 * which rule. Files that are wrong in themselves are test_onnx_import.c's.
 */
#include <errno.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

/**
 * struct message - one node that is refused
 * @op: operator over inputs "x" (@dtype) and "r" (@dtype), of the shape [2,3]
 * @ins: how many of them it takes
 * @attr: an integer attribute, or NULL
 * @err: what it ends with
 * @words: all in the message
 */
struct message {
	const char *op;
	enum npu_graph_dtype dtype;
	uint32_t ins;
	const char *attr;
	int64_t value;
	int err;
	const char *words[5];
};

static const struct message messages[] = {
	{ "Sin", NPU_GRAPH_I32, 1, .err = -ENOTSUP,
	  .words = { "node \"node\"", "Sin", "i32[2,3]", "computes this operator on floats" } },
	{ "And", NPU_GRAPH_F32, 2, .err = -ENOTSUP, .words = { "And", "f32[2,3]", "bool" } },
	{ "BitwiseOr", NPU_GRAPH_F32, 2, .err = -ENOTSUP, .words = { "f32[2,3]", "integers" } },
	{ "Softmax", NPU_GRAPH_I64, 1, .err = -ENOTSUP, .words = { "i64[2,3]", "floats" } },
	{ "MatMul", NPU_GRAPH_F32, 2, .err = -EINVAL,
	  .words = { "f32[2,3] times f32[2,3]", "inner dimensions" } },
	{ "Reshape", NPU_GRAPH_I64, 2, .err = -EINVAL, .words = { "input 1", "list" } },
	{ "NonZero", NPU_GRAPH_F32, 1, .err = -ENOTSUP,
	  .words = { "decides the shape", "known while compiling" } },
	{ "Cast", NPU_GRAPH_F32, 1, "to", 11, -ENOTSUP, { "element type 11", "bfloat16" } },
	{ "Softmax", NPU_GRAPH_F32, 1, "axis", 2, -EINVAL, { "axis 2", "2 dimensions" } },
	{ "MaxPool", NPU_GRAPH_F32, 1, .err = -ENOTSUP, .words = { "f32[2,3]", "spatial axes" } },
	{ "Conv", NPU_GRAPH_F32, 2, .err = -EINVAL, .words = { "f32[2,3]", "at least 3" } },
	{ "Attention", NPU_GRAPH_F32, 3, .err = -EINVAL, .words = { "f32[2,3]", "Q, K and V" } },
	{ "Gemm", NPU_GRAPH_F32, 2, .err = -EINVAL, .words = { "f32[2,3]" } },
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		const struct message *m = &messages[i];
		struct nc_node *n;
		struct net net;
		int in[3], err;

		net_begin(&net);
		in[0] = npu_graph_input(net.g, "x", m->dtype, 2, INTS(2, 3));
		in[1] = npu_graph_input(net.g, "r", m->dtype, 2, INTS(2, 3));
		in[2] = in[0];
		n = net_node(&net, m->op, m->ins, in, 1);
		if (m->attr)
			nc_attr_set_int(net.g, n, m->attr, m->value);
		err = nc_graph_node(net.g, n);
		if (!err) {
			npu_graph_output(net.g, "y", net_out(n, 0));
			net_refused(&net, m->err, m->words);
		}
		for (int k = 0; m->words[k]; k++)
			if (!strstr(npu_graph_error(net.g), m->words[k]))
				fail_msg("%s: no \"%s\" in: %s", m->op, m->words[k],
					 npu_graph_error(net.g));
		net_end(&net);
	}
}

/* Shapes that do not broadcast, shapes from a run, and more than a device takes. */
static void test_shapes(void **state)
{
	struct net net;
	int x, y;

	(void)state;
	net_begin(&net);
	x = npu_graph_input(net.g, "x", NPU_GRAPH_F32, 2, INTS(2, 3));
	y = npu_graph_input(net.g, "r", NPU_GRAPH_F32, 1, INTS(2));
	assert_true(npu_graph_binary(net.g, NPU_BINARY_ADD, x, y) < 0);
	assert_non_null(strstr(npu_graph_error(net.g), "f32[2,3]"));
	assert_non_null(strstr(npu_graph_error(net.g), "do not broadcast"));
	net_end(&net);

	net_begin(&net);
	x = npu_graph_input(net.g, "x", NPU_GRAPH_F32, 2, INTS(2, 3));
	y = npu_graph_input(net.g, "shape", NPU_GRAPH_I64, 1, INTS(1));
	assert_int_equal(nc_graph_node(net.g, net_node(&net, "Reshape", 2, (int[]){ x, y }, 1)),
			 -ENOTSUP);
	assert_non_null(strstr(npu_graph_error(net.g), "\"shape\""));
	assert_non_null(strstr(npu_graph_error(net.g), "depends on the data of a run"));
	net_end(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
