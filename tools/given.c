/* SPDX-License-Identifier: MIT */
/* What files say about inputs; see given.h. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "given.h"
#include "tool.h"

/* Values that decide about shapes are few. */
#define VALUES_MAX	1024

void given_from_file(struct npu_graph_given *given, const char *name, const struct tensor_file *t)
{
	static const struct {
		struct tensor_type type;
		enum npu_graph_dtype dtype;
	} types[] = {
		{ { 'f', 4 }, NPU_GRAPH_F32 }, { { 'i', 4 }, NPU_GRAPH_I32 },
		{ { 'i', 8 }, NPU_GRAPH_I64 }, { { 'b', 1 }, NPU_GRAPH_BOOL },
		{ { 'i', 1 }, NPU_GRAPH_I8 }, { { 'u', 1 }, NPU_GRAPH_U8 },
		{ { 'i', 2 }, NPU_GRAPH_I16 }, { { 'f', 2 }, NPU_GRAPH_F16 },
		{ { 'h', 2 }, NPU_GRAPH_BF16 },
	};

	*given = (struct npu_graph_given){ .name = name, .rank = t->rank };
	memcpy(given->dim, t->dim, sizeof(t->dim));
	if (t->big_endian)
		return;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type.kind != t->type.kind || types[i].type.bytes != t->type.bytes)
			continue;
		given->dtype = types[i].dtype;
		given->data = t->data;
	}
}

bool given_from_text(struct npu_graph_given *given, const char *name, const char *text)
{
	*given = (struct npu_graph_given){ .name = name };
	while (*text) {
		char *end;
		long long dim;

		errno = 0;
		dim = strtoll(text, &end, 10);
		if (errno || end == text || dim < 0 || dim > INT32_MAX ||
		    given->rank == NPU_GRAPH_RANK_MAX || (*end && (*end != 'x' || !end[1])))
			return false;
		given->dim[given->rank++] = dim;
		text = *end ? end + 1 : end;
	}
	return true;
}

/* Look into @path if its format tells a shape; *@given stays empty otherwise. */
static int look_into(struct npu_graph_given *given, const char *name, const char *path,
		     struct tensor_file *t)
{
	const struct npu_tensor_info any = { .name = name };
	char error[TENSOR_ERROR_BYTES];

	if (!tensor_has_suffix(path, ".npy") && !tensor_has_suffix(path, ".pb"))
		return TOOL_OK;
	if (!tensor_file_open(t, path, &any, error))
		return tool_fail("%s", error);
	if (t->count <= VALUES_MAX && !tensor_file_load(t, t->count, error))
		return tool_fail("%s", error);
	given_from_file(given, name, t);
	return TOOL_OK;
}

static struct npu_model *compile(struct npu_device *dev, const char *path, const char *bind,
				 const struct npu_graph_given *given, unsigned int count)
{
	char error[512] = "";
	struct npu_graph *graph = npu_graph_read_onnx_given(path, bind, given, count, error,
							    sizeof(error));
	struct npu_model *model = NULL;

	if (!graph) {
		tool_fail("%s", error);
		return NULL;
	}
	model = npu_model_from_graph(dev, graph);
	if (!model)
		tool_fail_npu();
	npu_graph_destroy(graph);
	return model;
}

struct npu_model *given_open_model(struct npu_device *dev, const char *path, const char *bind,
				   const struct onnx_head *head, const char *const *file,
				   const char *const *shape)
{
	struct npu_graph_given *given = calloc(head->inputs + 1, sizeof(*given));
	struct tensor_file *t = calloc(head->inputs + 1, sizeof(*t));
	struct npu_model *model = NULL;
	unsigned int count = 0;
	int status = TOOL_OK;

	if (!given || !t)
		status = tool_fail("%s: out of memory", path);
	for (unsigned int i = 0; !status && i < head->inputs; i++) {
		if (shape[i] && !given_from_text(&given[count], head->input[i], shape[i]))
			status = tool_fail("%s: \"%s\" is not a shape like 1x3x224x224",
					   head->input[i], shape[i]);
		else if (!shape[i] && file[i])
			status = look_into(&given[count], head->input[i], file[i], &t[i]);
		count += given[count].name != NULL;
	}
	if (!status)
		model = compile(dev, path, bind, given, count);
	for (unsigned int i = 0; t && i < head->inputs; i++)
		tensor_file_close(&t[i]);
	free(t);
	free(given);
	return model;
}
