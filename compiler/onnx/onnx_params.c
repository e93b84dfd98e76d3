/* SPDX-License-Identifier: MIT */
/*
 * Models read for training: which initialisers are parameters, and the model written
 * again with their new values. All else in it stays as it was.
 */
#include "onnx_import.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "npu_train_graph.h"

int nc_onnx_params(struct nc_onnx_import *im)
{
	const Onnx__GraphProto *graph = im->graph;
	int ret = 0;

	for (size_t i = 0; !ret && i < graph->n_initializer; i++) {
		uint32_t tensor = nc_onnx_find(im, graph->initializer[i]->name)->tensor;
		const struct nc_tensor *t = im->g->tensor[tensor];

		if (t->dtype == NPU_GRAPH_F32 && t->rank && t->elems)
			ret = nc_graph_add_param(im->g, tensor);
	}
	return ret;
}

int npu_graph_freeze(struct npu_graph *g, const char *pattern)
{
	uint32_t kept = 0, count = g->params;

	for (uint32_t i = 0; i < count; i++) {
		struct nc_tensor *t = g->tensor[g->param[i]];

		if (fnmatch(pattern, t->name, 0)) {
			g->param[kept++] = g->param[i];
			continue;
		}
		t->data = t->init;
		t->init = NULL;
	}
	g->params = kept;
	return (int)(count - kept);
}

/* ---- writing ---- */

/* The tensor that was read from an initialiser. */
static const struct nc_tensor *find_tensor(const struct npu_graph *g, const char *name)
{
	for (uint32_t i = 0; i < g->tensors; i++)
		if (!strcmp(g->tensor[i]->name, name))
			return g->tensor[i];
	return NULL;
}

/* @t has the elements of @from, in the model itself. */
static int replace(struct npu_graph *g, Onnx__TensorProto *t, const struct nc_tensor *from)
{
	size_t bytes = from->elems * nc_dtype_bytes(from->dtype);
	uint8_t *copy = malloc(bytes ? bytes : 1);

	if (!copy)
		return nc_error(&g->diag, -ENOMEM, "out of memory");
	if (bytes)
		memcpy(copy, from->init ? from->init : from->data, bytes);
	for (size_t i = 0; i < t->n_external_data; i++)
		onnx__string_string_entry_proto__free_unpacked(t->external_data[i], NULL);
	free(t->external_data);
	free(t->float_data);
	free(t->raw_data.data);
	t->external_data = NULL;
	t->float_data = NULL;
	t->n_external_data = t->n_float_data = 0;
	t->has_data_location = false;
	t->has_raw_data = true;
	t->raw_data = (ProtobufCBinaryData){ .len = bytes, .data = copy };
	return 0;
}

/* Parameters are in the order of initialisers. */
static int replace_all(struct npu_graph *g, Onnx__GraphProto *graph)
{
	uint32_t next = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < graph->n_initializer; i++) {
		Onnx__TensorProto *t = graph->initializer[i];
		const struct nc_tensor *from = NULL;

		if (next < g->params && !strcmp(g->tensor[g->param[next]]->name, t->name))
			from = g->tensor[g->param[next++]];
		else if (t->n_external_data)
			from = find_tensor(g, t->name);
		if (from)
			ret = replace(g, t, from);
	}
	return ret;
}

int nc_onnx_write_source(struct npu_graph *g, const char *path)
{
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, g->source_bytes, g->source);
	int ret;

	if (!model)
		return nc_error(&g->diag, -ENOMEM, "%s: out of memory", path);
	ret = replace_all(g, model->graph);
	ret = ret ? ret : nc_onnx_write_file(&g->diag, model, path);
	onnx__model_proto__free_unpacked(model, NULL);
	return ret;
}
