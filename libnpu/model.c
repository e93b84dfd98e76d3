/* SPDX-License-Identifier: MIT */
/* Models: a program, and which tensors go in and come out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"

static int list_tensors(struct npu_model *model)
{
	const struct npu_prog_view *view = &model->prog->view;
	unsigned int next = 0;

	model->tensor = calloc(view->tensor_count + 1, sizeof(*model->tensor));
	if (!model->tensor)
		return npu_fail_memory("model");
	for (int kind = NPU_PROG_INPUT; kind <= NPU_PROG_OUTPUT; kind++) {
		for (unsigned int i = 0; i < view->tensor_count; i++)
			if (view->tensors[i].kind == kind)
				model->tensor[next++] = &view->tensors[i];
		if (kind == NPU_PROG_INPUT)
			model->inputs = next;
	}
	model->outputs = next - model->inputs;
	return 0;
}

struct npu_model *npu_model_from_program(struct npu_device *dev, struct npu_program *prog)
{
	struct npu_model *model = calloc(1, sizeof(*model));

	if (!model)
		return npu_fail_null(-ENOMEM, "model: out of memory");
	model->dev = dev;
	model->prog = prog;
	if (npu_program_check_device(prog, dev) || list_tensors(model)) {
		npu_model_close(model);
		return NULL;
	}
	return model;
}

/* With a program that nobody else has; NULL after npu_fail() is passed on. */
static struct npu_model *take_program(struct npu_device *dev, struct npu_program *prog)
{
	struct npu_model *model = prog ? npu_model_from_program(dev, prog) : NULL;

	if (model)
		model->owned = true;
	else
		npu_program_close(prog);
	return model;
}

/* 1 if the file starts as a program does, 0 if not; -errno. */
static int is_program(const char *path)
{
	uint32_t magic = 0;
	uint64_t bytes;
	int fd = npu_file_open(path, &bytes);
	ssize_t got;

	if (fd < 0)
		return fd;
	got = pread(fd, &magic, sizeof(magic), 0);
	close(fd);
	return got == sizeof(magic) && magic == NPU_PROG_MAGIC;
}

static bool has_suffix(const char *path, const char *suffix)
{
	size_t length = strlen(path);
	size_t suffix_length = strlen(suffix);

	return length >= suffix_length && !strcmp(path + length - suffix_length, suffix);
}

/* @what is what the message names. */
static struct npu_model *compile(struct npu_device *dev, struct npu_graph *graph,
				 const struct npu_step *step, const char *what)
{
	struct npu_model *model;
	void *image;
	size_t bytes;
	int ret;

	if (step)
		ret = npu_graph_compile_step(graph, step, &dev->target, NULL, NULL, &image, &bytes);
	else
		ret = npu_graph_compile(graph, &dev->target, NULL, NULL, &image, &bytes);
	if (ret)
		return npu_fail_null(ret, "%s: %s", what, npu_graph_error(graph));
	model = take_program(dev, npu_program_from_image(image, bytes));
	free(image);
	return model;
}

struct npu_model *npu_model_open(struct npu_device *dev, const char *path, const char *bind)
{
	struct npu_graph *graph;
	struct npu_model *model;
	char error[512] = "";
	int ret = is_program(path);

	if (ret < 0)
		return NULL;
	if (ret && bind)
		return npu_fail_null(-EINVAL, "%s: is compiled already, its dimensions cannot be "
				     "bound; open the ONNX model instead", path);
	if (ret || has_suffix(path, ".npu"))
		return take_program(dev, npu_program_open(path));
	graph = npu_graph_read_onnx(path, bind, error, sizeof(error));
	if (!graph)
		return npu_fail_null(-EINVAL, "%s", error);
	model = compile(dev, graph, NULL, path);
	npu_graph_destroy(graph);
	return model;
}

struct npu_model *npu_model_from_graph(struct npu_device *dev, struct npu_graph *graph)
{
	return compile(dev, graph, NULL, "compile");
}

struct npu_model *npu_model_from_step(struct npu_device *dev, struct npu_graph *graph,
				      const struct npu_step *step)
{
	return compile(dev, graph, step, "compile");
}

void npu_model_close(struct npu_model *model)
{
	if (!model)
		return;
	if (model->owned)
		npu_program_close(model->prog);
	free(model->tensor);
	free(model);
}

const char *npu_model_name(const struct npu_model *model)
{
	return model->prog->view.strings + model->prog->view.header->name;
}

unsigned int npu_model_inputs(const struct npu_model *model)
{
	return model->inputs;
}

unsigned int npu_model_outputs(const struct npu_model *model)
{
	return model->outputs;
}

static int tensor_info(const struct npu_model *model, unsigned int index,
		       struct npu_tensor_info *info)
{
	const struct npu_prog_tensor *t = model->tensor[index];

	*info = (struct npu_tensor_info){
		.name = model->prog->view.strings + t->name,
		.type = (enum npu_dtype_public)t->dtype,
		.rank = t->rank,
		.bytes = t->size_bytes,
	};
	memcpy(info->dim, t->dim, sizeof(info->dim));
	return 0;
}

int npu_model_input_info(const struct npu_model *model, unsigned int index,
			 struct npu_tensor_info *info)
{
	if (index >= model->inputs)
		return npu_fail(-EINVAL, "%s: there is no input %u, only %u",
				npu_model_name(model), index, model->inputs);
	return tensor_info(model, index, info);
}

int npu_model_output_info(const struct npu_model *model, unsigned int index,
			  struct npu_tensor_info *info)
{
	if (index >= model->outputs)
		return npu_fail(-EINVAL, "%s: there is no output %u, only %u",
				npu_model_name(model), index, model->outputs);
	return tensor_info(model, model->inputs + index, info);
}
