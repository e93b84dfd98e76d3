/* SPDX-License-Identifier: MIT */
/*
 * The mission's networks as ONNX files, for tests of the commands.
 *
 *	net_tool NET BATCH DIR	writes DIR/NET.onnx, made by the graph builder,
 *				with the batch as the symbolic dimension N; and
 *				DIR/NET/input_0.bin and output_0.bin, BATCH
 *				images and what the reference makes of them
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "npu_graph.h"
#include "npu_models.h"
#include "onnx.pb-c.h"
#include "ref_init.h"
#include "ref_models.h"

#define SEED		7u
#define BATCH_MAX	100
#define ONNX_BYTES_MAX	(4u << 20)

static bool write_file(const char *path, const void *data, size_t bytes)
{
	FILE *f = fopen(path, "wb");
	bool good = f && fwrite(data, 1, bytes, f) == bytes;

	return f && !fclose(f) && good;
}

static Onnx__ModelProto *read_model(const char *path)
{
	uint8_t *bytes = malloc(ONNX_BYTES_MAX);
	FILE *f = fopen(path, "rb");
	size_t size = f && bytes ? fread(bytes, 1, ONNX_BYTES_MAX, f) : 0;
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);

	if (f)
		fclose(f);
	free(bytes);
	return model;
}

/* The builder knows numbers only: call the first dimension of the input N. */
static bool name_batch(const char *path)
{
	Onnx__ModelProto *model = read_model(path);
	Onnx__TensorShapeProto__Dimension *dim;
	uint8_t *bytes;
	size_t size;
	bool good;

	if (!model)
		return false;
	dim = model->graph->input[0]->type->tensor_type->shape->dim[0];
	dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
	dim->dim_param = strdup("N");
	for (size_t i = 0; i < model->graph->n_output; i++) {
		onnx__type_proto__free_unpacked(model->graph->output[i]->type, NULL);
		model->graph->output[i]->type = NULL;
	}
	size = onnx__model_proto__get_packed_size(model);
	bytes = malloc(size);
	good = bytes && onnx__model_proto__pack(model, bytes) && write_file(path, bytes, size);
	free(bytes);
	onnx__model_proto__free_unpacked(model, NULL);
	return good;
}

static bool write_onnx(enum npu_net net, int64_t batch, float *const *param, const char *path)
{
	struct npu_graph *g = npu_net_build(net, batch, (const float *const *)param);
	bool good = g && !npu_graph_write_onnx(g, path);

	if (!good)
		fprintf(stderr, "%s\n", g ? npu_graph_error(g) : "no graph");
	npu_graph_destroy(g);
	return good && name_batch(path);
}

static bool write_data(enum ref_model net, int64_t batch, float *const *param, const char *dir)
{
	static float images[BATCH_MAX * REF_MODEL_PIXELS];
	static float probs[BATCH_MAX * REF_MODEL_CLASSES];
	size_t pixels = (size_t)batch * REF_MODEL_PIXELS;
	char path[4096];

	for (size_t i = 0; i < pixels; i++)
		images[i] = (float)(ref_rng_bits(SEED, 99, i) & 255) / 255;
	if (ref_model_forward(net, (const float *const *)param, images, batch, probs))
		return false;
	snprintf(path, sizeof(path), "%s/input_0.bin", dir);
	if (!write_file(path, images, pixels * sizeof(float)))
		return false;
	snprintf(path, sizeof(path), "%s/output_0.bin", dir);
	return write_file(path, probs, (size_t)batch * REF_MODEL_CLASSES * sizeof(float));
}

int main(int argc, char **argv)
{
	float *param[REF_MODEL_MAX_PARAMS];
	long batch = argc == 4 ? atol(argv[2]) : 0;
	char path[4096];
	char dir[4000];
	int net = 0;
	bool good;

	while (argc > 1 && net < NPU_NETS && strcmp(argv[1], npu_net_name((enum npu_net)net)))
		net++;
	if (net == NPU_NETS || batch < 1 || batch > BATCH_MAX)
		return 2;
	if (ref_init_model((enum ref_model)net, SEED, param))
		return 1;
	snprintf(dir, sizeof(dir), "%s/%s", argv[3], argv[1]);
	snprintf(path, sizeof(path), "%s.onnx", dir);
	good = write_onnx((enum npu_net)net, batch, param, path) && !mkdir(dir, 0777) &&
	       write_data((enum ref_model)net, batch, param, dir);
	ref_init_model_free(param);
	if (!good)
		fprintf(stderr, "%s: not written\n", path);
	return !good;
}
