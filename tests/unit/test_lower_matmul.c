/* SPDX-License-Identifier: MIT */
/* Products, reductions, softmax and attention through front half and kernel IR. */
#include <math.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

static void gemm(void)
{
	struct ref_gemm attr = { .alpha = 1, .beta = 1, .trans_a = net_rand(2),
				 .trans_b = net_rand(2) };
	int64_t m = 1 + net_rand(7), n = 1 + net_rand(7), k = net_rand(8) ? 1 + net_rand(70) : 0;
	int64_t c_dim[] = { net_rand(2) ? m : 1, net_rand(3) ? n : 1 };
	struct ref_tensor a, b, c, want;
	int c_rank = (int)net_rand(3);
	struct nc_node *node;
	struct net net;
	int in[3];

	a = net_values(2, attr.trans_a ? INTS(k, m) : INTS(m, k), -1, 1);
	b = net_values(2, attr.trans_b ? INTS(n, k) : INTS(k, n), -1, 1);
	c = net_values(c_rank, c_dim + 2 - c_rank, -1, 1);
	if (net_rand(2))
		attr.alpha = 0.5f;
	if (net_rand(2))
		attr.beta = (float)net_rand(3);
	net_begin(&net);
	in[0] = net_feed(&net, &a);
	in[1] = net_feed(&net, &b);
	in[2] = net_rand(4) ? net_feed(&net, &c) : NPU_TENSOR_NONE;
	node = net_node(&net, "Gemm", net_rand(2) || in[2] >= 0 ? 3 : 2, in, 1);
	nc_attr_set_float(net.g, node, "alpha", attr.alpha);
	nc_attr_set_float(net.g, node, "beta", attr.beta);
	nc_attr_set_int(net.g, node, "transA", attr.trans_a);
	nc_attr_set_int(net.g, node, "transB", attr.trans_b);
	net_add(&net, node);
	net_output(&net, net_out(node, 0));
	assert_int_equal(ref_gemm(&attr, &a, &b, in[2] < 0 ? NULL : &c, &want), 0);
	net_expect(&net, &want, 1e-4);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
	ref_tensor_free(&c);
}

static void test_gemm(void **state)
{
	(void)state;
	for (int i = 0; i < 80; i++)
		gemm();
}

/* Batches that broadcast, vectors on either side. */
static void matmul(void)
{
	int batch = (int)net_rand(5), drop[2];
	int64_t dims[8], side[2][8], m = 1 + net_rand(5), n = 1 + net_rand(5), k = 1 + net_rand(9);
	struct ref_tensor x[2], want;
	struct nc_node *node;
	struct net net;
	int in[2];

	net_shape(batch, 4, dims);
	for (int s = 0; s < 2; s++) {
		drop[s] = net_rand(2) ? 0 : (int)net_rand((uint32_t)batch + 1);
		for (int i = drop[s]; i < batch; i++)
			side[s][i - drop[s]] = net_rand(3) ? dims[i] : 1;
		side[s][batch - drop[s]] = s ? k : m;
		side[s][batch - drop[s] + 1] = s ? n : k;
		x[s] = net_values(batch - drop[s] + 2, side[s], -1, 1);
		if (!net_rand(6)) {
			ref_tensor_free(&x[s]);
			x[s] = net_values(1, &k, -1, 1);
		}
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x[0]);
	in[1] = net_feed(&net, &x[1]);
	node = net_node(&net, "MatMul", 2, in, 1);
	net_add(&net, node);
	net_output(&net, net_out(node, 0));
	assert_int_equal(ref_matmul(&x[0], &x[1], &want), 0);
	net_expect(&net, &want, 1e-4);
	ref_tensor_free(&x[0]);
	ref_tensor_free(&x[1]);
}

static void test_matmul(void **state)
{
	(void)state;
	for (int i = 0; i < 120; i++)
		matmul();
}

/* A dense layer over many steps is one product, whatever the batch. */
static void test_rows_join(void **state)
{
	struct ref_tensor x = net_values(SHAPE(4, 6, 5), -1, 1);
	struct ref_tensor w = net_values(SHAPE(5, 3), -1, 1);
	struct net net;
	int y;

	(void)state;
	net_begin(&net);
	y = npu_graph_matmul(net.g, net_input(&net, &x), net_const(&net, &w));
	npu_graph_output(net.g, "y", y);
	net_run(&net);
	assert_int_equal(net.k->ops, 1);
	assert_int_equal(net.k->op[0]->matmul.m, 24);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	net_end(&net);
}

static void reduce(enum ref_reduce_op op, int rank)
{
	bool positive = op == REF_REDUCE_LOG_SUM;
	struct ref_reduce attr = { .keepdims = net_rand(2), .noop_with_empty_axes = net_rand(2) };
	int64_t dims[8], axes[8];
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	int in[2];

	net_shape(rank, 8 - rank > 2 ? 8 - rank : 2, dims);
	for (int i = 0; i < rank; i++)
		if (net_rand(2))
			axes[attr.axis_count++] = net_rand(2) ? i : i - rank;
	attr.axes = axes;
	x = net_values(rank, dims, positive ? 0.1f : -1.5f, 1.5f);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = attr.axis_count || net_rand(2) ? net_ints(&net, axes, attr.axis_count) :
						 NPU_TENSOR_NONE;
	n = net_node(&net, ref_reduce_name(op), 2, in, 1);
	nc_attr_set_int(net.g, n, "keepdims", attr.keepdims);
	nc_attr_set_int(net.g, n, "noop_with_empty_axes", attr.noop_with_empty_axes);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	/* log of what may be negative is not compared */
	if (op == REF_REDUCE_LOG_SUM_EXP && !attr.axis_count && attr.noop_with_empty_axes) {
		net_end(&net);
		ref_tensor_free(&x);
		return;
	}
	assert_int_equal(ref_reduce(op, &attr, &x, &want), 0);
	net_expect(&net, &want, 1e-4);
	ref_tensor_free(&x);
}

static void test_reduce(void **state)
{
	(void)state;
	for (enum ref_reduce_op op = 0; op < REF_REDUCE_COUNT; op++)
		for (int i = 0; i < 40; i++)
			reduce(op, (int)net_rand(9));
}

/* Infinities do not become NaN on the way. */
static void test_log_sum_exp_infinite(void **state)
{
	struct ref_tensor x = tensor(SHAPE(3, 2), VALUES(-INFINITY, -INFINITY, INFINITY, 0, 500, 501));
	struct ref_tensor want = tensor(SHAPE(3), VALUES(-INFINITY, INFINITY, 501.3132617f));
	const int axis = 1;
	struct net net;

	(void)state;
	net_begin(&net);
	npu_graph_output(net.g, "y", npu_graph_reduce(net.g, NPU_REDUCE_LOG_SUM_EXP,
						      net_input(&net, &x), 1, &axis, false));
	net_expect(&net, &want, 1e-6);
	ref_tensor_free(&x);
}

static void softmax(bool log)
{
	int rank = 1 + (int)net_rand(4), axis = (int)net_rand((uint32_t)rank);
	struct ref_tensor x, want;
	int64_t dims[4];
	struct nc_node *n;
	struct net net;
	int in;

	net_shape(rank, 20, dims);
	if (rank > 3)
		dims[0] = 2;
	x = net_values(rank, dims, -5, 5);
	if (!net_rand(4))
		for (int64_t i = 0; i < ref_tensor_elems(&x); i++)
			x.data[i] *= 1000;
	net_begin(&net);
	in = net_feed(&net, &x);
	n = net_node(&net, log ? "LogSoftmax" : "Softmax", 1, &in, 1);
	nc_attr_set_int(net.g, n, "axis", net_rand(2) ? axis : axis - rank);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_softmax(log ? REF_LOG_SOFTMAX : REF_SOFTMAX, &x, axis, &want), 0);
	net_expect(&net, &want, 1e-4);
	ref_tensor_free(&x);
}

static void test_softmax(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		softmax(i & 1);
}

static void test_attention(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		int rank = 2 + i % 3;
		int64_t q_dim[4], k_dim[4], v_dim[4];
		struct ref_tensor q, k, v, want;
		float scale = i & 1 ? 0.3f : 0;
		struct net net;

		net_shape(4, 5, q_dim);
		memcpy(k_dim, q_dim, sizeof(k_dim));
		k_dim[rank - 2] = 1 + net_rand(9);
		memcpy(v_dim, k_dim, sizeof(v_dim));
		v_dim[rank - 1] = 1 + net_rand(9);
		q = net_values(rank, q_dim, -2, 2);
		k = net_values(rank, k_dim, -2, 2);
		v = net_values(rank, v_dim, -2, 2);
		net_begin(&net);
		net_output(&net, npu_graph_attention(net.g, net_feed(&net, &q), net_feed(&net, &k),
						     net_feed(&net, &v), scale));
		assert_int_equal(ref_attention(&q, &k, &v, NULL, scale, &want), 0);
		net_expect(&net, &want, 1e-4);
		ref_tensor_free(&q);
		ref_tensor_free(&k);
		ref_tensor_free(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gemm),
		cmocka_unit_test(test_matmul),
		cmocka_unit_test(test_rows_join),
		cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_log_sum_exp_infinite),
		cmocka_unit_test(test_softmax),
		cmocka_unit_test(test_attention),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
