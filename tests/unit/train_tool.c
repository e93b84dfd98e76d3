/* SPDX-License-Identifier: MIT */
/*
 * Small models and data sets for tests of npu train and npu evaluate.
 *
 *	train_tool DIR	writes to DIR
 *			mlp.onnx logits.onnx: x [N, 2, 2, 1] to 3 classes, with and without
 *			softmax; line.onnx: x [N, 2, 2, 1] to y [N, 1]; eye.onnx: x [N, 3] to
 *			logits x; fixed.onnx: as mlp.onnx for a batch of 8, and with a
 *			parameter that nothing depends on
 *			x.npy y.npy p.npy r.npy x.idx y.idx: 150 samples: classes, the same
 *			as probabilities, and a number for line.onnx
 *			d.csv: the samples of x.npy and y.npy; nan.npy: x.npy with a NaN
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "onnx_build.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INTS(...)	((const int64_t[]){ __VA_ARGS__ })
#define SAMPLES	150
#define PIXELS	4
#define HIDDEN	8
#define CLASSES	3
#define NAN_ROW	97

static const char *dir;
static uint32_t state = 1;

static float uniform(void)
{
	state = state * 1664525u + 1013904223u;
	return (float)(state >> 8) / (float)(1 << 24);
}

static void put(const char *name, const void *head, size_t head_bytes, const void *data,
		size_t bytes)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(head, 1, head_bytes, f) != head_bytes ||
	    fwrite(data, 1, bytes, f) != bytes || fclose(f)) {
		fprintf(stderr, "%s: not written\n", path);
		exit(1);
	}
}

/* ---- models ---- */

static void weights(struct ob *b, const char *name, size_t rank, const int64_t *dim)
{
	int64_t elems = rank == 2 ? dim[0] * dim[1] : dim[0];
	float value[64];

	for (int64_t i = 0; i < elems; i++)
		value[i] = rank == 2 ? uniform() - 0.5f : 0;
	ob_initializer(b, name, FLOAT, rank, dim, value, (size_t)elems * sizeof(float));
}

static void put_model(struct ob *b, const char *name)
{
	size_t bytes;
	const uint8_t *data;

	ob_output(b, "y");
	data = ob_pack(b, &bytes);
	put(name, NULL, 0, data, bytes);
	ob_end(b);
}

/* Two layers to @outputs, then @last if there is one. */
static void make_net(const char *name, int64_t batch, int64_t outputs, const char *last)
{
	struct ob b;

	state = 7;
	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 4, INTS(batch, 2, 2, 1));
	weights(&b, "first.weight", 2, INTS(PIXELS, HIDDEN));
	weights(&b, "first.bias", 1, INTS(HIDDEN));
	weights(&b, "second.weight", 2, INTS(HIDDEN, outputs));
	weights(&b, "second.bias", 1, INTS(outputs));
	if (batch > 0)
		weights(&b, "unused", 1, INTS(3));
	ob_node(&b, "Flatten", "x", "f");
	ob_node(&b, "Gemm", "f first.weight first.bias", "g");
	ob_node(&b, "Relu", "g", "h");
	ob_node(&b, "Gemm", "h second.weight second.bias", last ? "l" : "y");
	if (last)
		ob_node(&b, last, "l", "y");
	put_model(&b, name);
}

static void make_eye(void)
{
	static const float eye[] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
	struct ob b;

	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 2, INTS(-1, CLASSES));
	ob_initializer(&b, "eye", FLOAT, 2, INTS(CLASSES, CLASSES), eye, sizeof(eye));
	ob_node(&b, "MatMul", "x eye", "y");
	put_model(&b, "eye.onnx");
}

/* ---- data ---- */

static void put_npy(const char *name, const char *type, const char *shape, const void *data,
		    size_t bytes)
{
	static const uint8_t magic[] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0 };
	char head[128];
	int length = snprintf(head + 10, sizeof(head) - 10,
			      "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, shape);

	memcpy(head, magic, sizeof(magic));
	memset(head + 10 + length, ' ', sizeof(head) - 10 - (size_t)length);
	head[127] = '\n';
	put(name, head, sizeof(head), data, bytes);
}

static void make_data(void)
{
	static const uint8_t image_head[] = {
		0, 0, 8, 3, 0, 0, 0, SAMPLES, 0, 0, 0, 2, 0, 0, 0, 2,
	};
	static const uint8_t label_head[] = { 0, 0, 8, 1, 0, 0, 0, SAMPLES };
	static float x[SAMPLES][PIXELS], p[SAMPLES][CLASSES], r[SAMPLES];
	static uint8_t image[SAMPLES][PIXELS], label[SAMPLES];
	static int32_t y[SAMPLES];
	static char text[SAMPLES * 64];
	int used = 0;

	for (int i = 0; i < SAMPLES; i++) {
		label[i] = (uint8_t)(uniform() * CLASSES);
		y[i] = label[i];
		p[i][y[i]] = 1;
		for (int k = 0; k < PIXELS; k++) {
			image[i][k] = (uint8_t)((k == y[i] ? 150 : 0) + 100 * uniform());
			x[i][k] = (float)image[i][k] / 255;
			r[i] += (float)k * x[i][k];
			used += sprintf(text + used, "%.9g,", (double)x[i][k]);
		}
		used += sprintf(text + used, "%d\n", y[i]);
	}
	put_npy("x.npy", "<f4", "150, 2, 2, 1", x, sizeof(x));
	put_npy("y.npy", "<i4", "150,", y, sizeof(y));
	put_npy("p.npy", "<f4", "150, 3", p, sizeof(p));
	put_npy("r.npy", "<f4", "150,", r, sizeof(r));
	put("x.idx", image_head, sizeof(image_head), image, sizeof(image));
	put("y.idx", label_head, sizeof(label_head), label, sizeof(label));
	put("d.csv", NULL, 0, text, (size_t)used);
	x[NAN_ROW][2] = NAN;
	put_npy("nan.npy", "<f4", "150, 2, 2, 1", x, sizeof(x));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	dir = argv[1];
	make_net("mlp.onnx", -1, CLASSES, "Softmax");
	make_net("logits.onnx", -1, CLASSES, NULL);
	make_net("line.onnx", -1, 1, NULL);
	make_net("fixed.onnx", 8, CLASSES, "Softmax");
	make_eye();
	make_data();
	return 0;
}
