/* SPDX-License-Identifier: MIT */
/* Nodes of an ONNX model and their attributes. */
#include "onnx_import.h"

#include <errno.h>
#include <inttypes.h>

static char *copy_string(struct nc_onnx_import *im, const ProtobufCBinaryData *b)
{
	char *s = nc_alloc(im->g->arena, b->len + 1);

	if (s && b->len)
		memcpy(s, b->data, b->len);
	return s;
}

static int import_list(struct nc_onnx_import *im, const Onnx__AttributeProto *p, struct nc_attr *a)
{
	struct nc_arena *arena = im->g->arena;
	size_t count = a->type == NC_ATTR_INTS ? p->n_ints :
		       a->type == NC_ATTR_FLOATS ? p->n_floats : p->n_strings;
	const char **strings;

	if (count > NC_NODE_ARGS_MAX)
		return refuse(im, -E2BIG, "attribute \"%s\" has %zu entries; at most %d are possible",
			      p->name, count, NC_NODE_ARGS_MAX);
	a->count = (uint32_t)count;
	if (a->type == NC_ATTR_INTS) {
		a->ints = nc_alloc_array(arena, count, sizeof(*a->ints));
		if (a->ints && count)
			memcpy((void *)(uintptr_t)a->ints, p->ints, count * sizeof(*a->ints));
		return a->ints ? 0 : nc_onnx_no_memory(im);
	}
	if (a->type == NC_ATTR_FLOATS) {
		a->floats = nc_alloc_array(arena, count, sizeof(*a->floats));
		if (a->floats && count)
			memcpy((void *)(uintptr_t)a->floats, p->floats, count * sizeof(*a->floats));
		return a->floats ? 0 : nc_onnx_no_memory(im);
	}
	strings = nc_alloc_array(arena, count, sizeof(*strings));
	a->strings = strings;
	for (size_t i = 0; strings && i < count; i++) {
		strings[i] = copy_string(im, &p->strings[i]);
		if (!strings[i])
			return nc_onnx_no_memory(im);
	}
	return strings ? 0 : nc_onnx_no_memory(im);
}

static int import_value(struct nc_onnx_import *im, const Onnx__AttributeProto *p, struct nc_attr *a)
{
	int64_t tensor;

	switch (a->type) {
	case NC_ATTR_INT:
		a->i = p->i;
		return 0;
	case NC_ATTR_FLOAT:
		a->f = p->f;
		return 0;
	case NC_ATTR_STRING:
		a->s = copy_string(im, &p->s);
		return a->s ? 0 : nc_onnx_no_memory(im);
	case NC_ATTR_TENSOR:
		if (!p->t)
			return refuse(im, -EINVAL, "attribute \"%s\" has no value", p->name);
		tensor = nc_onnx_tensor(im, p->t, p->name, "attribute");
		a->tensor = tensor < 0 ? NC_NONE : (uint32_t)tensor;
		return tensor < 0 ? (int)tensor : 0;
	default:
		return import_list(im, p, a);
	}
}

/* The type that a file says, where it says one, must be the operator's. */
static bool type_matches(const Onnx__AttributeProto *p, enum nc_attr_type type)
{
	static const Onnx__AttributeProto__AttributeType onnx[] = {
		[NC_ATTR_INT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
		[NC_ATTR_FLOAT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,
		[NC_ATTR_STRING] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING,
		[NC_ATTR_INTS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS,
		[NC_ATTR_FLOATS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS,
		[NC_ATTR_STRINGS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS,
		[NC_ATTR_TENSOR] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR,
	};

	return !p->has_type || !p->type || p->type == onnx[type];
}

/* What the operator calls @name in this opset: the last of that name; NULL: nothing. */
static const struct nc_attr *find_attribute(const struct nc_onnx_import *im,
					    const struct nc_op *op, const char *name)
{
	const struct nc_attr *found = NULL;

	for (const struct nc_attr *a = op->attr; name && a->name; a++)
		if (!strcmp(a->name, name) && (!a->until || im->opset <= a->until))
			found = a;
	return found;
}

/* Until opset 5 many operators say which inputs they overwrite: nothing for us. */
static bool no_meaning(const struct nc_onnx_import *im, const char *name)
{
	return im->opset < 6 && name && !strcmp(name, "consumed_inputs");
}

static int import_attributes(struct nc_onnx_import *im, const Onnx__NodeProto *p, struct nc_node *n)
{
	n->attr = nc_alloc_array(im->g->arena, p->n_attribute, sizeof(*n->attr));
	if (!n->attr)
		return nc_onnx_no_memory(im);
	for (size_t i = 0; i < p->n_attribute; i++) {
		const Onnx__AttributeProto *attr = p->attribute[i], *value;
		const struct nc_attr *spec = find_attribute(im, n->op, attr->name);
		struct nc_attr *a = &n->attr[n->attrs];
		int ret = nc_onnx_resolve(im, attr, &value);

		if (ret)
			return ret;
		if (!value || no_meaning(im, attr->name))
			continue;
		if (!spec)
			return nc_node_error(&im->g->diag, n, -ENOTSUP,
					     "attribute \"%.100s\" is unknown to this operator in opset %" PRId64,
					     nc_onnx_text(attr->name), im->opset);
		if (nc_attr_given(n, spec->name) || !type_matches(value, spec->type))
			return nc_node_error(&im->g->diag, n, -EINVAL,
					     "attribute \"%s\" is there twice, or has another type than the operator's",
					     spec->name);
		*a = (struct nc_attr){ .name = spec->name, .type = spec->type };
		ret = import_value(im, value, a);
		if (ret)
			return ret;
		n->attrs++;
	}
	return 0;
}

int nc_onnx_refuse_node(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number,
			int err, const char *rule, const char *what)
{
	const char *name = nc_onnx_text(p->name), *type = nc_onnx_text(p->op_type);

	if (!*name)
		return refuse(im, err, "node #%zu (%.100s): %s%.100s", number, type, rule, what);
	return refuse(im, err, "node \"%.100s\" (#%zu, %.100s): %s%.100s", name, number, type,
		      rule, what);
}

/* Constant: its value is the output. */
static int import_constant(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number)
{
	const Onnx__AttributeProto *a = p->n_attribute == 1 ? p->attribute[0] : NULL;
	const char *name = p->n_output == 1 ? p->output[0] : "";
	const char *kind = a && a->name ? a->name : "";
	struct npu_graph *g = im->g;
	int64_t count, t;
	void *data;
	int ret = a ? nc_onnx_resolve(im, a, &a) : 0;

	if (ret)
		return ret;
	if (!*name || !a)
		return nc_onnx_refuse_node(im, p, number, -EINVAL, "must have one output and one attribute",
				   "");
	if (!strcmp(kind, "value") && a->t)
		return nc_onnx_define(im, name, nc_onnx_tensor(im, a->t, name, "constant"));
	if (!strcmp(kind, "value_float") || !strcmp(kind, "value_floats")) {
		bool list = kind[11];

		count = list ? (int64_t)a->n_floats : 1;
		data = nc_alloc_array(g->arena, (size_t)count, sizeof(float));
		if (!data)
			return nc_onnx_no_memory(im);
		if (count)
			memcpy(data, list ? a->floats : &a->f, (size_t)count * sizeof(float));
		t = nc_graph_const(g, name, NPU_GRAPH_F32, list, &count, data);
		return nc_onnx_define(im, name, t);
	}
	if (!strcmp(kind, "value_int") || !strcmp(kind, "value_ints")) {
		bool list = kind[9];

		count = list ? (int64_t)a->n_ints : 1;
		data = nc_alloc_array(g->arena, (size_t)count, sizeof(int64_t));
		if (!data)
			return nc_onnx_no_memory(im);
		if (count)
			memcpy(data, list ? a->ints : &a->i, (size_t)count * sizeof(int64_t));
		t = nc_graph_const(g, name, NPU_GRAPH_I64, list, &count, data);
		return nc_onnx_define(im, name, t);
	}
	return nc_onnx_refuse_node(im, p, number, -ENOTSUP,
			   "value, value_float(s) and value_int(s) are supported, not ", kind);
}

static const struct nc_op *find_op(struct nc_onnx_import *im, const Onnx__NodeProto *p,
				   size_t number)
{
	const char *domain = nc_onnx_text(p->domain), *type = nc_onnx_text(p->op_type);
	bool training = nc_onnx_is_training(domain);
	const struct nc_op *op = training ? nc_onnx_training_op(type) : nc_op_find(type);

	if (!training && !nc_onnx_ours(domain)) {
		nc_onnx_refuse_node(im, p, number, -ENOTSUP,
			    "only operators of ai.onnx are supported, this one is of ", domain);
		return NULL;
	}
	if (!op || (!op->since && !training)) {
		nc_onnx_refuse_node(im, p, number, -ENOTSUP, "this operator is not supported", "");
		return NULL;
	}
	if (im->opset < op->since) {
		nc_onnx_refuse_node(im, p, number, -EINVAL,
			    "the opset that the model uses does not have this operator yet", "");
		return NULL;
	}
	return op;
}

/* Names at the end may be empty: not there. */
static size_t trimmed(char *const *name, size_t count)
{
	while (count && !*name[count - 1])
		count--;
	return count;
}

/* Outputs that the operator always computes are there even if the model has no name for them. */
static int name_outputs(struct nc_onnx_import *im, const Onnx__NodeProto *p, struct nc_node *n)
{
	for (uint32_t i = 0; i < n->outs; i++) {
		const char *name = p->output[i];
		int64_t tensor;

		if (!*name && i >= n->op->out_min)
			continue;
		tensor = nc_graph_tensor(im->g, name);
		if (tensor < 0)
			return (int)tensor;
		if (*name)
			nc_onnx_define(im, name, tensor);
		n->out[i] = (uint32_t)tensor;
	}
	return 0;
}

int nc_onnx_node(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number)
{
	size_t ins = trimmed(p->input, p->n_input), outs = trimmed(p->output, p->n_output);
	const Onnx__FunctionProto *f = nc_onnx_function(im, p);
	const struct nc_op *op;
	struct nc_node *n;
	int ret;

	if (p->n_attribute > NC_ONNX_LIST_MAX)
		return nc_onnx_refuse_node(im, p, number, -E2BIG, "has more than 256 attributes", "");
	if (f)
		return nc_onnx_call(im, f, p, number);
	if (nc_onnx_ours(p->domain) && !strcmp(nc_onnx_text(p->op_type), "Constant"))
		return import_constant(im, p, number);
	if (nc_onnx_ours(p->domain) && !strcmp(nc_onnx_text(p->op_type), "If"))
		return nc_onnx_if(im, p, number);
	if (nc_onnx_ours(p->domain) && !strcmp(nc_onnx_text(p->op_type), "Loop"))
		return nc_onnx_loop(im, p, number);
	if (nc_onnx_ours(p->domain) && !strcmp(nc_onnx_text(p->op_type), "Scan"))
		return nc_onnx_scan_node(im, p, number);
	if (nc_onnx_is_training(p->domain) && !strcmp(nc_onnx_text(p->op_type), "Gradient"))
		return nc_onnx_gradient(im, p, number);
	op = find_op(im, p, number);
	if (!op)
		return -ENOTSUP;
	if (ins > NC_NODE_ARGS_MAX || outs > NC_NODE_ARGS_MAX)
		return nc_onnx_refuse_node(im, p, number, -E2BIG, "has thousands of inputs or outputs", "");
	n = nc_node_new(im->g, op, p->name, (uint32_t)ins, (uint32_t)outs);
	if (!n)
		return -ENOMEM;
	n->number = (uint32_t)number;
	for (size_t i = 0; i < ins; i++) {
		const struct nc_onnx_def *d = *p->input[i] ? nc_onnx_find(im, p->input[i]) : NULL;

		if (*p->input[i] && (!d || d->tensor == NC_NONE))
			return nc_node_error(&im->g->diag, n, -EINVAL,
					     d ? "input \"%.100s\" is computed by a later node" :
						 "input \"%.100s\" is computed by no node",
					     p->input[i]);
		if (d)
			n->in[i] = d->tensor == NC_ONNX_ABSENT ? NC_NONE : d->tensor;
	}
	ret = import_attributes(im, p, n);
	ret = ret ? ret : name_outputs(im, p, n);
	if (!ret && op->upgrade)
		ret = op->upgrade(im->g, n, im->opset);
	return ret ? ret : nc_graph_node(im->g, n);
}
