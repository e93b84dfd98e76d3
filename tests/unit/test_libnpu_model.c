/* SPDX-License-Identifier: MIT */
/* From a graph to a result: compiled for the device that is there. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libnpu_rig.h"
#include "npu_graph.h"

#define BATCH	9
#define INPUTS	70
#define UNITS	37

static float weight(int i, int u)
{
	return (float)((i * 31 + u * 17) % 23 - 11) / 16;
}

static struct npu_graph *dense_graph(void)
{
	const int64_t x_dim[] = { BATCH, INPUTS };
	const int64_t w_dim[] = { INPUTS, UNITS };
	struct npu_graph *g = npu_graph_create("dense");
	float w[INPUTS][UNITS];
	int x;

	assert_non_null(g);
	for (int i = 0; i < INPUTS; i++)
		for (int u = 0; u < UNITS; u++)
			w[i][u] = weight(i, u);
	x = npu_graph_input(g, "x", NPU_GRAPH_F32, 2, x_dim);
	x = npu_graph_dense(g, x, npu_graph_const(g, "w", NPU_GRAPH_F32, 2, w_dim, w),
			    NPU_TENSOR_NONE);
	x = npu_graph_unary(g, NPU_UNARY_RELU, x, 0, 0);
	assert_int_equal(npu_graph_output(g, "y", x), 0);
	return g;
}

/* Sums of small multiples of 1/16 are exact, whatever their order. */
static void check_dense(struct npu_model *model)
{
	struct npu_session *s;
	struct npu_counters c;
	const float *y;
	float *x;

	assert_some(model);
	s = npu_session_create(model);
	assert_some(s);
	x = npu_session_map_input(s, 0);
	y = npu_session_map_output(s, 0);
	for (int i = 0; i < BATCH * INPUTS; i++)
		x[i] = (float)(i % 13 - 6);
	for (int run = 0; run < 2; run++) {
		assert_ok(npu_session_run(s));
		for (int n = 0; n < BATCH; n++) {
			for (int u = 0; u < UNITS; u++) {
				double sum = 0;

				for (int i = 0; i < INPUTS; i++)
					sum += (double)x[n * INPUTS + i] * weight(i, u);
				assert_true(y[n * UNITS + u] == (sum > 0 ? sum : 0));
			}
		}
	}
	assert_ok(npu_session_get_counters(s, &c));
	assert_int_equal(c.jobs, 2);
	assert_int_equal(c.macs, 2 * BATCH * INPUTS * UNITS);
	npu_session_destroy(s);
	npu_model_close(model);
}

static void test_dense(void **state)
{
	struct npu_device *dev = rig_open();
	struct npu_graph *g = dense_graph();

	(void)state;
	check_dense(npu_model_from_graph(dev, g));
	npu_graph_destroy(g);
	npu_device_close(dev);
}

static void test_onnx(void **state)
{
	struct npu_device *dev = rig_open();
	struct npu_graph *g = dense_graph();
	char *path = rig_file("", 0);

	(void)state;
	assert_int_equal(npu_graph_write_onnx(g, path), 0);
	npu_graph_destroy(g);
	check_dense(npu_model_open(dev, path, NULL));
	/* Cut off. */
	assert_int_equal(truncate(path, 1000), 0);
	assert_null(npu_model_open(dev, path, NULL));
	assert_non_null(strstr(npu_error(), path));
	assert_int_equal(truncate(path, 0), 0);
	assert_null(npu_model_open(dev, path, NULL));
	assert_non_null(strstr(npu_error(), path));
	unlink(path);
	free(path);
	path = rig_file("something else altogether", 25);
	assert_null(npu_model_open(dev, path, NULL));
	assert_non_null(strstr(npu_error(), path));
	unlink(path);
	free(path);
	npu_device_close(dev);
}

static void test_small_device(void **state)
{
	struct npu_device *dev = npu_device_open("sim,array_rows=8,array_cols=8,spm_bytes=128K,"
						 "acc_bytes=16K");
	struct npu_graph *g = dense_graph();

	(void)state;
	assert_some(dev);
	check_dense(npu_model_from_graph(dev, g));
	npu_graph_destroy(g);
	npu_device_close(dev);
}

/* Tensors without elements are set and got like others, and run beside them, or alone. */
static void test_empty(void **state)
{
	const int64_t none[] = { 3, 0 }, some[] = { 2 };
	const float x[] = { 1, -2 };
	float y[2];

	(void)state;
	for (int alone = 0; alone < 2; alone++) {
		struct npu_device *dev = rig_open();
		struct npu_graph *g = npu_graph_create("empty");
		struct npu_model *model;
		struct npu_tensor_info info;
		struct npu_session *s;
		int t = npu_graph_input(g, "nothing", NPU_GRAPH_F32, 2, none);

		npu_graph_output(g, "no", npu_graph_unary(g, NPU_UNARY_NEG, t, 0, 0));
		if (!alone) {
			t = npu_graph_input(g, "x", NPU_GRAPH_F32, 1, some);
			npu_graph_output(g, "y", npu_graph_unary(g, NPU_UNARY_NEG, t, 0, 0));
		}
		model = npu_model_from_graph(dev, g);
		assert_some(model);
		assert_ok(npu_model_output_info(model, 0, &info));
		assert_int_equal(info.rank, 2);
		assert_int_equal(info.bytes, 0);
		s = npu_session_create(model);
		assert_some(s);
		assert_some(npu_session_map_input(s, 0));
		assert_ok(npu_session_set_input(s, 0, NULL, 0));
		if (!alone)
			assert_ok(npu_session_set_input(s, 1, x, sizeof(x)));
		assert_ok(npu_session_run(s));
		assert_ok(npu_session_get_output(s, 0, NULL, 0));
		if (!alone) {
			assert_ok(npu_session_get_output(s, 1, y, sizeof(y)));
			assert_true(y[0] == -1 && y[1] == 2);
		}
		npu_session_destroy(s);
		npu_model_close(model);
		npu_graph_destroy(g);
		npu_device_close(dev);
	}
}

static void test_bad_graph(void **state)
{
	struct npu_device *dev = rig_open();
	struct npu_graph *g = npu_graph_create("bad");
	const int64_t dim[] = { 2, 3 };
	int a = npu_graph_input(g, "a", NPU_GRAPH_F32, 2, dim);

	(void)state;
	assert_true(npu_graph_output(g, "y", npu_graph_matmul(g, a, a)) < 0);
	errno = 0;
	assert_null(npu_model_from_graph(dev, g));
	assert_true(errno);
	assert_non_null(strstr(npu_error(), "compile: "));
	assert_non_null(strstr(npu_error(), npu_graph_error(g)));
	npu_graph_destroy(g);
	npu_device_close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_onnx),
		cmocka_unit_test(test_small_device),
		cmocka_unit_test(test_bad_graph),
		cmocka_unit_test(test_empty),
	};

	return rig_run_tests(tests, NULL, NULL);
}
