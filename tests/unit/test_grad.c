/* SPDX-License-Identifier: MIT */
/* Gradients of graphs: several ways from y to x, none, of gradients again, and refusals. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "npu_train_graph.h"
#include "ref_test.h"

#define WORDS(...)	((const char *const[]){ __VA_ARGS__, NULL })

static int unary(struct net *net, enum npu_graph_unary op, int x)
{
	return npu_graph_unary(net->g, op, x, 0, 0);
}

static int binary(struct net *net, enum npu_graph_binary op, int a, int b)
{
	return npu_graph_binary(net->g, op, a, b);
}

static int gradient(struct net *net, int y, int x)
{
	int dx;

	if (npu_graph_gradients(net->g, y, 1, &x, &dx))
		fail_msg("%s", npu_graph_error(net->g));
	return dx;
}

static void expect_element(struct net *net, unsigned int index, int64_t i, double want)
{
	struct ref_tensor r = net_result(net, index);

	if (!(fabs((double)r.data[i] - want) <= 1e-5 * fmax(1, fabs(want))))
		fail_msg("output %u, element %lld: %g, not %g", index, (long long)i,
			 (double)r.data[i], want);
	ref_tensor_free(&r);
}

/* y = x^2 sin x + x: both ways add up. The second derivative by the same means. */
static void test_again(void **state)
{
	const int64_t dims[] = { 5 };
	struct ref_tensor x = net_values(1, dims, -2, 2);
	int in, y, first;
	struct net net;

	(void)state;
	net_begin(&net);
	in = net_input(&net, &x);
	y = binary(&net, NPU_BINARY_MUL, binary(&net, NPU_BINARY_MUL, in, in),
		   unary(&net, NPU_UNARY_SIN, in));
	y = binary(&net, NPU_BINARY_ADD, y, in);
	first = gradient(&net, y, in);
	npu_graph_output(net.g, "first", first);
	npu_graph_output(net.g, "second", gradient(&net, first, in));
	net_run(&net);
	for (int64_t i = 0; i < 5; i++) {
		double v = (double)x.data[i], s = sin(v), c = cos(v);

		expect_element(&net, 0, i, 2 * v * s + v * v * c + 1);
		expect_element(&net, 1, i, 2 * s + 4 * v * c - v * v * s);
	}
	ref_tensor_free(&x);
	net_end(&net);
}

/*
 * Pooling of what relu computed takes a short cut past it, which holds also where the result
 * of relu has other uses: z = max_pool(relu(x)) + relu(x)[even rows and columns].
 */
static void test_pool_of_relu(void **state)
{
	static const int64_t dims[] = { 1, 4, 4, 2 }, start[4] = { 0 }, step[] = { 1, 2, 2, 1 };
	const struct npu_window_attr pool = { .kernel = { 2, 2 }, .stride = { 2, 2 } };
	struct ref_tensor x = net_values(4, dims, -2, 1);
	double want[32] = { 0 };
	struct net net;
	int in, y, z;

	(void)state;
	net_begin(&net);
	in = net_input(&net, &x);
	y = unary(&net, NPU_UNARY_RELU, in);
	z = binary(&net, NPU_BINARY_ADD, npu_graph_max_pool2d(net.g, y, &pool),
		   npu_graph_slice(net.g, y, start, dims, step));
	npu_graph_output(net.g, "dx", gradient(&net, z, in));
	for (int i = 0; i < 8; i++) {
		int corner = i / 4 * 16 + i / 2 % 2 * 4 + i % 2, best = corner;
		const int at[] = { 2, 8, 10 };

		for (int k = 0; k < 3; k++)
			if (x.data[corner + at[k]] > x.data[best])
				best = corner + at[k];
		want[best] += x.data[best] > 0;
		want[corner] += x.data[corner] > 0;
	}
	net_run(&net);
	for (int i = 0; i < 32; i++)
		expect_element(&net, 0, i, want[i]);
	ref_tensor_free(&x);
	net_end(&net);
}

/* Of an inner tensor too; of one that y does not depend on, zero; of y itself, one. */
static void test_targets(void **state)
{
	const int64_t dims[] = { 3 };
	struct ref_tensor x = net_values(1, dims, 0.5, 2);
	int in[4], dx[4];
	struct net net;

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = unary(&net, NPU_UNARY_LOG, in[0]);
	in[2] = unary(&net, NPU_UNARY_EXP, in[0]);
	in[3] = binary(&net, NPU_BINARY_MUL, in[1], in[0]);
	assert_int_equal(npu_graph_gradients(net.g, in[3], 4, in, dx), 0);
	for (int i = 0; i < 4; i++) {
		char name[] = { 'd', (char)('0' + i), 0 };

		npu_graph_output(net.g, name, dx[i]);
	}
	net_run(&net);
	for (int64_t i = 0; i < 3; i++) {
		double v = (double)x.data[i];

		expect_element(&net, 0, i, log(v) + 1);
		expect_element(&net, 1, i, v);
		expect_element(&net, 2, i, 0);
		expect_element(&net, 3, i, 1);
	}
	ref_tensor_free(&x);
	net_end(&net);
}

/* A parameter is as constant as a constant, unless gradients of it are asked for. */
static void test_params(void **state)
{
	const int64_t dims[] = { 4 };
	struct ref_tensor x = net_values(1, dims, -1, 1), w = net_values(1, dims, -1, 1);
	int param, y;
	struct net net;

	(void)state;
	net_begin(&net);
	param = npu_graph_param(net.g, "w", 1, dims, w.data);
	y = binary(&net, NPU_BINARY_MUL, net_input(&net, &x), unary(&net, NPU_UNARY_EXP, param));
	npu_graph_output(net.g, "y", y);
	npu_graph_output(net.g, "dw", gradient(&net, y, param));
	assert_int_equal(npu_graph_params(net.g), 1);
	for (int again = 0; again < 2; again++) {
		net_run(&net);
		for (int64_t i = 0; i < 4; i++)
			for (unsigned int k = 0; k < 2; k++)
				expect_element(&net, k, i, (double)x.data[i] * exp((double)w.data[i]));
		kir_data_destroy(net.data);
		nc_arena_destroy(net.k->arena);
		net.data = NULL;
		net.k = NULL;
		/* Another value, and another compilation. */
		w.data[0] += 1;
		npu_graph_set_params(net.g, w.data);
	}
	assert_int_equal(npu_graph_param(net.g, "", 1, dims, w.data), -EINVAL);
	assert_non_null(strstr(npu_graph_error(net.g), "needs a name"));
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	net_end(&net);
}

static void refuse(struct net *net, int y, int x, int err, const char *const *words)
{
	int dx;

	assert_int_equal(npu_graph_gradients(net->g, y, 1, &x, &dx), 0);
	npu_graph_output(net->g, "dx", dx);
	net_refused(net, err, words);
}

static void test_refused(void **state)
{
	const int64_t dims[] = { 2, 3 }, three = 3;
	const int32_t index[] = { 0, 1, 2 };
	struct ref_tensor x = net_values(2, dims, -1, 1);
	const struct ref_tensor cube = { .rank = 3, .dims = { 2, 1, 3 }, .data = x.data };
	struct nc_node *n;
	struct net net;
	int in, dx;

	(void)state;
	net_begin(&net);
	in = net_input(&net, &x);
	n = net_node(&net, "Mod", 2, (const int[]){ in, in }, 1);
	nc_attr_set_int(net.g, n, "fmod", 1);
	net_add(&net, n);
	refuse(&net, net_out(n, 0), in, -ENOTSUP, WORDS("node \"node\"", "Mod", "no gradient"));
	net_end(&net);

	net_begin(&net);
	in = net_input(&net, &x);
	n = net_node(&net, "LSTM", 3, (const int[]){
		net_input(&net, &cube),
		npu_graph_const(net.g, "w", NPU_GRAPH_F32, 3, (const int64_t[]){ 1, 4, 3 },
				(const float[12]){ 0 }),
		npu_graph_const(net.g, "r", NPU_GRAPH_F32, 3, (const int64_t[]){ 1, 4, 1 },
				(const float[4]){ 0 }) }, 1);
	nc_attr_set_float(net.g, n, "clip", 1);
	net_add(&net, n);
	refuse(&net, net_out(n, 0), (int)n->in[0], -ENOTSUP, WORDS("LSTM", "clips its gates"));
	net_end(&net);

	net_begin(&net);
	in = net_input_i32(&net, three, index);
	assert_int_equal(npu_graph_gradients(net.g, in, 1, &in, &dx), -ENOTSUP);
	assert_non_null(strstr(npu_graph_error(net.g), "float tensors"));
	net_end(&net);
	ref_tensor_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_pool_of_relu),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
