/* SPDX-License-Identifier: MIT */
/* Operators of integers that floats would round, through front half and kernel IR. */
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

/* Random integers, large ones too; the caller frees them. */
static int32_t *random_ints(int64_t count, int32_t most)
{
	int32_t *x = malloc((size_t)count * sizeof(*x));

	assert_non_null(x);
	for (int64_t i = 0; i < count; i++)
		x[i] = (int32_t)net_rand((uint32_t)most) - most / 2;
	return x;
}

static int input(struct net *net, const int32_t *x, int64_t rows, int64_t columns)
{
	int flat = net_input_i32(net, rows * columns, x);

	return npu_graph_reshape(net->g, flat, 2, INTS(rows, columns));
}

static void expect_ints(struct net *net, const int32_t *want, int64_t count)
{
	net_run(net);
	for (uint32_t t = 0; t < net->k->tensors; t++) {
		if (net->k->tensor[t].kind != KIR_OUTPUT)
			continue;
		assert_int_equal(net->k->tensor[t].elems, count);
		for (int64_t i = 0; i < count; i++)
			assert_int_equal((int32_t)net->data->word[t][i], want[i]);
	}
	net_end(net);
}

/* alpha a b + beta c, either matrix transposed; a MatMul when that is all. */
static void product(bool gemm)
{
	int64_t m = 1 + net_rand(6), k = 1 + net_rand(40), n = 1 + net_rand(6);
	bool ta = gemm && net_rand(2), tb = gemm && net_rand(2);
	int32_t alpha = gemm ? 1 + (int32_t)net_rand(2) : 1, beta = (int32_t)net_rand(4);
	int32_t *a = random_ints(m * k, 1 << 14), *b = random_ints(k * n, 1 << 14);
	int32_t *c = random_ints(m * n, 1 << 30), *want = random_ints(m * n, 1);
	struct nc_node *node;
	struct net net;
	int in[3];

	for (int64_t i = 0; i < m * n; i++) {
		int64_t row = i / n, column = i % n;
		uint32_t sum = 0;

		for (int64_t t = 0; t < k; t++)
			sum += (uint32_t)(a[ta ? t * m + row : row * k + t] *
					  b[tb ? column * k + t : t * n + column]);
		want[i] = (int32_t)(sum * (uint32_t)alpha +
				    (gemm ? (uint32_t)beta * (uint32_t)c[i] : 0));
	}
	net_begin(&net);
	in[0] = input(&net, a, ta ? k : m, ta ? m : k);
	in[1] = input(&net, b, tb ? n : k, tb ? k : n);
	if (gemm)
		in[2] = input(&net, c, m, n);
	node = net_node(&net, gemm ? "Gemm" : "MatMul", gemm ? 3 : 2, in, 1);
	if (gemm) {
		nc_attr_set_float(net.g, node, "alpha", (float)alpha);
		nc_attr_set_float(net.g, node, "beta", (float)beta);
		nc_attr_set_int(net.g, node, "transA", ta);
		nc_attr_set_int(net.g, node, "transB", tb);
	}
	net_add(&net, node);
	npu_graph_output(net.g, "y", net_out(node, 0));
	expect_ints(&net, want, m * n);
	free(a);
	free(b);
	free(c);
	free(want);
}

static void test_product(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		product(i & 1);
}

/* Batches that broadcast, a vector, and more products than one part holds. */
static void test_batches(void **state)
{
	const int32_t a[] = { 1, 2, 3, 4 }, b[] = { 5, 6 };
	enum { SIDE = 110 };
	int32_t *x = random_ints(SIDE * SIDE, 1 << 12), *want = random_ints(SIDE * SIDE, 1);
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = npu_graph_reshape(net.g, net_input_i32(&net, 4, a), 3, INTS(2, 1, 2));
	in[1] = net_input_i32(&net, 2, b);
	npu_graph_output(net.g, "y", npu_graph_matmul(net.g, in[0], in[1]));
	expect_ints(&net, (const int32_t[]){ 17, 39 }, 2);

	for (int i = 0; i < SIDE * SIDE; i++) {
		uint32_t sum = 0;

		for (int t = 0; t < SIDE; t++)
			sum += (uint32_t)(x[i / SIDE * SIDE + t] * x[t * SIDE + i % SIDE]);
		want[i] = (int32_t)sum;
	}
	net_begin(&net);
	in[0] = input(&net, x, SIDE, SIDE);
	npu_graph_output(net.g, "y", npu_graph_matmul(net.g, in[0], in[0]));
	expect_ints(&net, want, SIDE * SIDE);
	free(x);
	free(want);
}

static void test_refused(void **state)
{
	const int32_t a[] = { 1, 2, 3, 4 };
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = input(&net, a, 2, 2);
	in[1] = in[0];
	n = net_node(&net, "Gemm", 2, in, 1);
	nc_attr_set_float(net.g, n, "alpha", 0.5f);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_refused(&net, -ENOTSUP, (const char *const[]){ "alpha is 0.5", "whole", NULL });
	net_end(&net);
}

/* Halves are cut off towards 0; a narrow type ends where it ends. */
static void test_resize(void **state)
{
	const int32_t x[] = { 1, 4, -4, 7 };
	const int32_t linear[] = { 1, 2, 4, 0, -4, 1, 7 }, cubic[] = { 0, 255, 255 };
	const uint8_t edge[] = { 0, 0, 255, 255 };
	const int64_t four[] = { 4 };
	struct nc_node *n;
	struct net net;
	int in[4] = { 0, NPU_TENSOR_NONE, NPU_TENSOR_NONE };

	(void)state;
	net_begin(&net);
	in[0] = net_input_i32(&net, 4, x);
	in[3] = net_ints(&net, INTS(7), 1);
	n = net_node(&net, "Resize", 4, in, 1);
	nc_attr_set_string(net.g, n, "mode", "linear");
	nc_attr_set_string(net.g, n, "coordinate_transformation_mode", "align_corners");
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	expect_ints(&net, linear, 7);

	/* The cubic overshoots on both sides of the step. */
	net_begin(&net);
	in[0] = npu_graph_const(net.g, NULL, NPU_GRAPH_U8, 1, four, edge);
	in[3] = net_ints(&net, INTS(7), 1);
	n = net_node(&net, "Resize", 4, in, 1);
	nc_attr_set_string(net.g, n, "mode", "cubic");
	nc_attr_set_string(net.g, n, "coordinate_transformation_mode", "align_corners");
	net_add(&net, n);
	in[0] = npu_graph_slice(net.g, net_out(n, 0), INTS(1), INTS(7), INTS(4));
	npu_graph_output(net.g, "y", npu_graph_concat(net.g, 2, (const int[]){
		in[0], npu_graph_slice(net.g, net_out(n, 0), INTS(6), INTS(7), INTS(1)) }, 0));
	expect_ints(&net, cubic, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_product),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_resize),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
