/* SPDX-License-Identifier: MIT */
/*
 * An ONNX model as a graph. The file is hostile until proven otherwise: every
 * count, size and reference is checked here before it is used, after
 * onnx_scan.c has bounded nesting and memory.
 *
 * Shapes are inferred as nodes come, so all input dimensions must be known.
 */
#include "onnx_import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX	4096
/* A graph takes at most this many times its file, and this much more. */
#define GRAPH_GROWTH		4
#define GRAPH_FREE_BYTES	(1ull << 30)

int nc_onnx_no_memory(struct nc_onnx_import *im)
{
	return refuse(im, -ENOMEM, "out of memory");
}

/* ---- names ---- */

static int compare_defs(const void *a, const void *b)
{
	return strcmp(((const struct nc_onnx_def *)a)->name, ((const struct nc_onnx_def *)b)->name);
}

/* Among the first @count definitions, which are sorted. */
static struct nc_onnx_def *find_among(const struct nc_onnx_import *im, uint32_t count,
				      const char *name)
{
	struct nc_onnx_def key = { .name = name };

	return bsearch(&key, im->def, count, sizeof(key), compare_defs);
}

struct nc_onnx_def *nc_onnx_find(const struct nc_onnx_import *im, const char *name)
{
	struct nc_onnx_def *d = NULL;

	for (; im && !d; im = im->enclosing)
		d = find_among(im, im->defs, name);
	return d;
}

int nc_onnx_add_def(struct nc_onnx_import *im, const char *what, const char *name)
{
	if (!name || !*name)
		return refuse(im, -EINVAL, "the model has %s without a name", what);
	if (strlen(name) > NAME_BYTES_MAX)
		return refuse(im, -EINVAL, "the model has %s whose name is longer than %d bytes",
			      what, NAME_BYTES_MAX);
	im->def[im->defs++] = (struct nc_onnx_def){ .name = name, .tensor = NC_NONE };
	return 0;
}

int nc_onnx_sort_defs(struct nc_onnx_import *im)
{
	qsort(im->def, im->defs, sizeof(*im->def), compare_defs);
	for (uint32_t i = 1; i < im->defs; i++)
		if (!strcmp(im->def[i - 1].name, im->def[i].name))
			return refuse(im, -EINVAL, "tensor \"%s\" is defined twice",
				      im->def[i].name);
	return 0;
}

int nc_onnx_collect(struct nc_onnx_import *im)
{
	const Onnx__GraphProto *graph = im->graph;
	size_t count = graph->n_initializer + graph->n_input;
	uint32_t initializers;
	int ret = 0;

	for (size_t i = 0; i < graph->n_node; i++)
		count += graph->node[i]->n_output;
	if (graph->n_node > NC_NODES_MAX || count > NC_TENSORS_MAX)
		return refuse(im, -E2BIG, "the model has %zu nodes and %zu tensors; at most %u are possible",
			      graph->n_node, count, NC_NODES_MAX);
	im->defs = 0;
	im->def = nc_alloc_array(im->g->arena, count, sizeof(*im->def));
	if (!im->def)
		return nc_onnx_no_memory(im);
	for (size_t i = 0; !ret && i < graph->n_initializer; i++)
		ret = nc_onnx_add_def(im, "an initialiser", graph->initializer[i]->name);
	qsort(im->def, im->defs, sizeof(*im->def), compare_defs);
	initializers = im->defs;
	for (size_t i = 0; !ret && i < graph->n_input; i++) {
		const char *name = graph->input[i]->name;

		/* Before IR version 4, initialisers were inputs too. */
		if (!name || !find_among(im, initializers, name))
			ret = nc_onnx_add_def(im, "an input", name);
	}
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t k = 0; !ret && k < graph->node[i]->n_output; k++)
			if (*graph->node[i]->output[k])
				ret = nc_onnx_add_def(im, "a node output", graph->node[i]->output[k]);
	return ret ? ret : nc_onnx_sort_defs(im);
}

/* The name now stands for @tensor. */
int nc_onnx_define(struct nc_onnx_import *im, const char *name, int64_t tensor)
{
	if (tensor < 0)
		return (int)tensor;
	nc_onnx_find(im, name)->tensor = (uint32_t)tensor;
	return 0;
}

/* ---- tensors ---- */

int nc_onnx_initializers(struct nc_onnx_import *im)
{
	const Onnx__GraphProto *graph = im->graph;

	if (graph->n_sparse_initializer)
		return refuse(im, -ENOTSUP, "sparse initialisers are not supported; store them dense");
	for (size_t i = 0; i < graph->n_initializer; i++) {
		const Onnx__TensorProto *t = graph->initializer[i];
		int ret = nc_onnx_define(im, t->name, nc_onnx_tensor(im, t, t->name, "initialiser"));

		if (ret)
			return ret;
	}
	return 0;
}

/* ---- inputs and outputs ---- */

static int import_input(struct nc_onnx_import *im, const Onnx__ValueInfoProto *v)
{
	const Onnx__TypeProto__Tensor *type = NULL;
	int64_t dim[NPU_GRAPH_RANK_MAX], tensor;
	unsigned int rank = 0;
	int dtype, ret;

	if (v->type && v->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		type = v->type->tensor_type;
	if (!type)
		return refuse(im, -ENOTSUP, "input \"%s\" is not a tensor", v->name);
	dtype = nc_dtype_of_onnx(type->elem_type);
	if (dtype < 0)
		return refuse(im, -ENOTSUP,
			      "input \"%s\": element type %s is not supported; FLOAT, FLOAT16, BFLOAT16, INT8, UINT8, INT16, INT32, INT64 and BOOL are",
			      v->name, nc_onnx_type_name(type->elem_type));
	ret = nc_onnx_shape(im, v->name, type->shape, &rank, dim);
	if (ret)
		return ret;
	tensor = nc_graph_tensor(im->g, v->name);
	ret = nc_onnx_define(im, v->name, tensor);
	ret = ret ? ret : nc_tensor_shape(im->g, NULL, (uint32_t)tensor,
					  (enum npu_graph_dtype)dtype, rank, dim);
	return ret ? ret : nc_graph_add_input(im->g, (uint32_t)tensor);
}

static int import_inputs(struct nc_onnx_import *im)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < im->graph->n_input; i++)
		/* An initialiser with the same name is the input's value. */
		if (nc_onnx_find(im, im->graph->input[i]->name)->tensor == NC_NONE)
			ret = import_input(im, im->graph->input[i]);
	return ret;
}

static int import_outputs(struct nc_onnx_import *im)
{
	for (size_t i = 0; i < im->graph->n_output; i++) {
		const char *name = im->graph->output[i]->name;
		const struct nc_onnx_def *d = name ? nc_onnx_find(im, name) : NULL;
		int ret;

		if (!d || d->tensor == NC_NONE)
			return refuse(im, -EINVAL, "output \"%s\" is computed by no node",
				      name ? name : "");
		ret = nc_graph_add_output(im->g, name, d->tensor);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- the model ---- */

int64_t nc_onnx_opset(Onnx__OperatorSetIdProto *const *set, size_t count)
{
	int64_t opset = -1;

	for (size_t i = 0; i < count; i++)
		if (nc_onnx_ours(set[i]->domain))
			opset = set[i]->version;
	return opset;
}

int nc_onnx_check_opset(struct nc_onnx_import *im)
{
	if (im->opset >= NC_ONNX_OPSET_MIN && im->opset <= NC_ONNX_OPSET_MAX)
		return 0;
	return refuse(im, -ENOTSUP,
		      "the model uses opset %" PRId64 "; %d to %d are supported: convert it",
		      im->opset, NC_ONNX_OPSET_MIN, NC_ONNX_OPSET_MAX);
}

static int check_model(struct nc_onnx_import *im, const Onnx__ModelProto *model)
{
	im->opset = nc_onnx_opset(model->opset_import, model->n_opset_import);
	if (!model->graph)
		return refuse(im, -EINVAL, "not an ONNX model: it has no graph");
	/* Operators of training alone do not say it. */
	if (im->opset < 0 && nc_onnx_has_training(model))
		im->opset = NC_ONNX_OPSET_MAX;
	if (im->opset < 0)
		return refuse(im, -EINVAL, "the model does not say which opset of ai.onnx it uses");
	if (nc_onnx_check_opset(im))
		return -ENOTSUP;
	im->graph = model->graph;
	im->model = model;
	return nc_onnx_index_functions(im);
}

static int import_model(struct nc_onnx_import *im, const Onnx__ModelProto *model, bool train)
{
	int ret = check_model(im, model);

	ret = ret ? ret : nc_onnx_check_bind(im);
	ret = ret ? ret : nc_onnx_learn_dims(im);
	ret = ret ? ret : nc_onnx_collect(im);
	if (ret)
		return ret;
	if (im->graph->name && *im->graph->name)
		im->g->name = nc_strdup(im->g->arena, im->graph->name);
	if (!im->g->name)
		return nc_onnx_no_memory(im);
	ret = nc_onnx_initializers(im);
	if (!ret && train)
		ret = nc_onnx_params(im);
	ret = ret ? ret : import_inputs(im);
	ret = ret ? ret : nc_onnx_check_bind_used(im);
	for (size_t i = 0; !ret && i < im->graph->n_node; i++)
		ret = nc_onnx_node(im, im->graph->node[i], i);
	return ret ? ret : import_outputs(im);
}

int nc_onnx_import(struct npu_graph *g, const uint8_t *data, size_t bytes, const char *bind)
{
	const struct nc_onnx_options options = { .bind = bind, .folder = NC_ONNX_NO_FOLDER };

	return nc_onnx_import_from(g, data, bytes, &options);
}

/* Nobody else has the file as it was. */
static int keep_source(struct npu_graph *g, const uint8_t *data, size_t bytes)
{
	uint8_t *source;

	nc_arena_more(g->arena, bytes);
	source = nc_alloc(g->arena, bytes);
	if (!source)
		return nc_error(&g->diag, -ENOMEM, "out of memory");
	memcpy(source, data, bytes);
	g->source = source;
	g->source_bytes = bytes;
	return 0;
}

int nc_onnx_import_from(struct npu_graph *g, const uint8_t *data, size_t bytes,
			const struct nc_onnx_options *options)
{
	struct nc_onnx_file *files = NULL;
	uint32_t calls = 0;
	struct nc_onnx_import im = {
		.g = g, .bind = options->bind, .batch = options->batch,
		.folder = options->folder, .files = &files, .calls = &calls,
	};
	Onnx__ModelProto *model;
	int ret = nc_onnx_scan(data, bytes, &g->diag);

	if (ret)
		return ret;
	nc_arena_limit(g->arena, GRAPH_FREE_BYTES + GRAPH_GROWTH * bytes);
	model = onnx__model_proto__unpack(NULL, bytes, data);
	if (!model)
		return nc_error(&g->diag, -EINVAL, "not an ONNX model: protobuf cannot read it");
	ret = import_model(&im, model, options->train);
	if (!ret && options->train)
		ret = keep_source(g, data, bytes);
	onnx__model_proto__free_unpacked(model, NULL);
	ret = nc_arena_explain(g->arena, &g->diag, ret);
	if (!g->err)
		g->err = ret;
	return ret;
}
