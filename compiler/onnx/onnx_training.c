/* SPDX-License-Identifier: MIT */
/* Operators of ai.onnx.preview.training. */
#include "onnx_import.h"

#include <errno.h>
#include <string.h>

#define TRAINING	"ai.onnx.preview.training"

bool nc_onnx_is_training(const char *domain)
{
	return domain && !strcmp(domain, TRAINING);
}

bool nc_onnx_has_training(const Onnx__ModelProto *model)
{
	for (size_t i = 0; i < model->n_opset_import; i++)
		if (nc_onnx_is_training(model->opset_import[i]->domain))
			return model->opset_import[i]->version == 1;
	return false;
}

const struct nc_op *nc_onnx_training_op(const char *type)
{
	static const enum nc_opcode ops[] = { NC_OP_Adagrad, NC_OP_Adam, NC_OP_Momentum };

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (!strcmp(nc_op_get(ops[i])->name, type))
			return nc_op_get(ops[i]);
	return NULL;
}

static const Onnx__AttributeProto *attribute(const Onnx__NodeProto *p, const char *name)
{
	for (size_t i = 0; i < p->n_attribute; i++)
		if (!strcmp(nc_onnx_text(p->attribute[i]->name), name))
			return p->attribute[i];
	return NULL;
}

/* The tensor of that name, if it is there already. */
static uint32_t tensor_named(const struct nc_onnx_import *im, const char *name, size_t bytes)
{
	char *text = nc_alloc(im->g->arena, bytes + 1);
	const struct nc_onnx_def *d;

	if (!text)
		return NC_NONE;
	memcpy(text, name, bytes);
	d = nc_onnx_find(im, text);
	return d && d->tensor != NC_ONNX_ABSENT ? d->tensor : NC_NONE;
}

/*
 * The inputs are values for the tensors that xs and zs name. They could be others than
 * those tensors have; here they must be the same.
 */
static int check_inputs(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number,
			const Onnx__AttributeProto *list, size_t first)
{
	for (size_t i = 0; list && i < list->n_strings; i++) {
		const ProtobufCBinaryData *name = &list->strings[i];
		const struct nc_onnx_def *d;

		if (first + i >= p->n_input)
			return nc_onnx_refuse_node(im, p, number, -EINVAL,
						   "has fewer inputs than names in xs and zs", "");
		d = nc_onnx_find(im, p->input[first + i]);
		if (!d || d->tensor == NC_NONE ||
		    d->tensor != tensor_named(im, (const char *)name->data, name->len))
			return nc_onnx_refuse_node(im, p, number, -ENOTSUP,
						   "the values for xs and zs must be the tensors of these names, unlike ",
						   p->input[first + i]);
	}
	return 0;
}

int nc_onnx_gradient(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number)
{
	const Onnx__AttributeProto *xs = attribute(p, "xs"), *zs = attribute(p, "zs");
	const Onnx__AttributeProto *y = attribute(p, "y");
	struct nc_node *n;
	uint32_t target;
	int ret;

	if (!xs || !xs->n_strings || xs->n_strings > NC_NODE_ARGS_MAX || !y || !y->has_s ||
	    p->n_output > xs->n_strings)
		return nc_onnx_refuse_node(im, p, number, -EINVAL,
					   "needs y, and xs with a name for each output", "");
	target = tensor_named(im, (const char *)y->s.data, y->s.len);
	if (target == NC_NONE)
		return nc_onnx_refuse_node(im, p, number, -EINVAL,
					   "y is the name of no tensor that is computed before", "");
	ret = check_inputs(im, p, number, xs, 0);
	ret = ret ? ret : check_inputs(im, p, number, zs, xs->n_strings);
	if (ret)
		return ret;
	n = nc_node_new(im->g, nc_op_get(NC_OP_Gradient), p->name, (uint32_t)xs->n_strings + 1,
			(uint32_t)xs->n_strings);
	if (!n)
		return -ENOMEM;
	n->number = (uint32_t)number;
	n->in[0] = target;
	for (uint32_t i = 0; i < n->outs; i++) {
		int64_t tensor;

		n->in[i + 1] = nc_onnx_find(im, p->input[i])->tensor;
		if (i >= p->n_output || !*p->output[i])
			continue;
		tensor = nc_graph_tensor(im->g, p->output[i]);
		if (tensor < 0)
			return (int)tensor;
		nc_onnx_define(im, p->output[i], tensor);
		n->out[i] = (uint32_t)tensor;
	}
	return nc_graph_node(im->g, n);
}
