/* SPDX-License-Identifier: MIT */
/*
 * hello: a small network on the NPU, from C.
 *
 * Builds softmax(relu(x W + b)), compiles it for the device, runs it on a
 * batch, and compares with the same computed here.
 *
 *	hello [DEVICE]		a node such as /dev/accel/accel0, or "sim"
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <npu.h>
#include <npu_graph.h>

#define BATCH	8
#define INPUTS	20
#define UNITS	6

static float kernel[INPUTS][UNITS];
static float bias[UNITS];

static void fill(float *value, int count, unsigned int seed)
{
	srand(seed);
	for (int i = 0; i < count; i++)
		value[i] = (float)rand() / (float)RAND_MAX * 2 - 1;
}

static struct npu_graph *build(void)
{
	const int64_t x_dim[] = { BATCH, INPUTS };
	const int64_t kernel_dim[] = { INPUTS, UNITS };
	const int64_t bias_dim[] = { UNITS };
	struct npu_graph *g = npu_graph_create("hello");
	int x;
	int w;
	int b;

	if (!g)
		return NULL;
	x = npu_graph_input(g, "x", NPU_GRAPH_F32, 2, x_dim);
	w = npu_graph_const(g, "kernel", NPU_GRAPH_F32, 2, kernel_dim, kernel);
	b = npu_graph_const(g, "bias", NPU_GRAPH_F32, 1, bias_dim, bias);
	x = npu_graph_dense(g, x, w, b);
	x = npu_graph_unary(g, NPU_UNARY_RELU, x, 0, 0);
	x = npu_graph_softmax(g, x, -1);
	/* A failure of any call above ends up here: tensors carry it along. */
	if (npu_graph_output(g, "y", x)) {
		fprintf(stderr, "hello: %s\n", npu_graph_error(g));
		npu_graph_destroy(g);
		return NULL;
	}
	return g;
}

/* The same in plain C, for one row. */
static void reference(const float *x, double *y)
{
	double sum = 0;

	for (int u = 0; u < UNITS; u++) {
		y[u] = bias[u];
		for (int i = 0; i < INPUTS; i++)
			y[u] += (double)x[i] * kernel[i][u];
		y[u] = exp(y[u] > 0 ? y[u] : 0);
		sum += y[u];
	}
	for (int u = 0; u < UNITS; u++)
		y[u] /= sum;
}

/* Run on the device; the largest difference, or -1. */
static double run(struct npu_session *s)
{
	float (*x)[INPUTS] = npu_session_map_input(s, 0);
	const float (*y)[UNITS] = npu_session_map_output(s, 0);
	double worst = 0;

	if (!x || !y)
		return -1;
	fill(&x[0][0], BATCH * INPUTS, 3);
	if (npu_session_run(s))
		return -1;
	for (int n = 0; n < BATCH; n++) {
		double expected[UNITS];

		reference(x[n], expected);
		for (int u = 0; u < UNITS; u++)
			worst = fmax(worst, fabs(y[n][u] - expected[u]));
	}
	return worst;
}

int main(int argc, char **argv)
{
	struct npu_graph *graph = NULL;
	struct npu_model *model = NULL;
	struct npu_session *session = NULL;
	struct npu_device_info info;
	struct npu_device *dev = npu_device_open(argc > 1 ? argv[1] : NULL);
	double worst = -1;

	fill(&kernel[0][0], INPUTS * UNITS, 1);
	fill(bias, UNITS, 2);
	if (dev)
		graph = build();
	if (graph)
		model = npu_model_from_graph(dev, graph);
	if (model)
		session = npu_session_create(model);
	if (session)
		worst = run(session);
	if (worst < 0) {
		fprintf(stderr, "hello: %s\n", npu_error());
	} else {
		npu_device_get_info(dev, &info);
		printf("hello: %s (%s): largest difference %.2g: %s\n", info.name, info.path,
		       worst, worst < 1e-5 ? "ok" : "WRONG");
	}
	npu_session_destroy(session);
	npu_model_close(model);
	npu_graph_destroy(graph);
	npu_device_close(dev);
	return worst >= 0 && worst < 1e-5 ? 0 : 1;
}
