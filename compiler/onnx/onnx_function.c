/* SPDX-License-Identifier: MIT */
/*
 * Functions of a model: a call becomes the nodes of the function's body. Names
 * inside are the body's own; attributes may refer to those of the call.
 */
#include "onnx_import.h"

#include <errno.h>
#include <stdlib.h>

/* Defaults of attributes: a field that came after the format file we build with. */
#define ATTRIBUTE_PROTO_FIELD	11
/* In all of a model: few functions that call each other may be calls without end. */
#define CALLS_MAX		1000000

/**
 * struct nc_onnx_function - where a function is found
 * @domain: "" for ai.onnx
 * @proto: it; of those with the same name the first counts
 */
struct nc_onnx_function {
	const char *domain;
	const char *name;
	const Onnx__FunctionProto *const *proto;
};

static struct nc_onnx_function key_of(const char *domain, const char *name)
{
	return (struct nc_onnx_function){
		.domain = nc_onnx_ours(domain) ? "" : domain, .name = nc_onnx_text(name),
	};
}

static int compare_names(const void *a, const void *b)
{
	const struct nc_onnx_function *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->domain, y->domain);
}

static int compare_functions(const void *a, const void *b)
{
	const struct nc_onnx_function *x = a, *y = b;
	int order = compare_names(a, b);

	return order ? order : (x->proto > y->proto) - (x->proto < y->proto);
}

int nc_onnx_index_functions(struct nc_onnx_import *im)
{
	size_t count = im->model->n_functions, kept = 0;
	struct nc_onnx_function *list = nc_alloc_array(im->g->arena, count, sizeof(*list));

	if (!list)
		return nc_onnx_no_memory(im);
	for (size_t i = 0; i < count; i++) {
		const Onnx__FunctionProto *const *f =
			(const Onnx__FunctionProto *const *)&im->model->functions[i];

		if ((*f)->n_opset_import > NC_ONNX_LIST_MAX ||
		    (*f)->base.n_unknown_fields > NC_ONNX_LIST_MAX)
			return refuse(im, -E2BIG,
				      "function \"%.100s\" has more than %u opsets or attributes",
				      nc_onnx_text((*f)->name), NC_ONNX_LIST_MAX);
		list[i] = key_of((*f)->domain, (*f)->name);
		list[i].proto = f;
	}
	qsort(list, count, sizeof(*list), compare_functions);
	for (size_t i = 0; i < count; i++)
		if (!kept || compare_names(&list[kept - 1], &list[i]))
			list[kept++] = list[i];
	im->functions = list;
	im->function_count = kept;
	return 0;
}

const Onnx__FunctionProto *nc_onnx_function(const struct nc_onnx_import *im,
					    const Onnx__NodeProto *p)
{
	const struct nc_onnx_function key = key_of(p->domain, p->op_type), *found;

	found = bsearch(&key, im->functions, im->function_count, sizeof(key), compare_names);
	return found ? *found->proto : NULL;
}

static void *arena_alloc(void *arena, size_t bytes)
{
	return nc_alloc(arena, bytes);
}

static void arena_free(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

/* The function's own value of attribute @name, unpacked; NULL without one. */
static int default_value(struct nc_onnx_import *im, const char *name,
			 const Onnx__AttributeProto **value)
{
	ProtobufCAllocator memory = { .alloc = arena_alloc, .free = arena_free,
				      .allocator_data = im->g->arena };
	const ProtobufCMessage *m = &im->function->base;

	*value = NULL;
	for (unsigned int i = 0; i < m->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &m->unknown_fields[i];
		size_t skip = 0;
		Onnx__AttributeProto *a;
		int ret;

		if (u->tag != ATTRIBUTE_PROTO_FIELD ||
		    u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			continue;
		/* Its data begin with their length. */
		while (skip < u->len && u->data[skip] & 0x80)
			skip++;
		skip += skip < u->len;
		ret = nc_onnx_scan_message(&onnx__attribute_proto__descriptor, u->data + skip,
					   u->len - skip, &im->g->diag);
		if (ret)
			return ret;
		a = onnx__attribute_proto__unpack(&memory, u->len - skip, u->data + skip);
		if (a && !strcmp(nc_onnx_text(a->name), name))
			*value = a;
	}
	return 0;
}

int nc_onnx_resolve(struct nc_onnx_import *im, const Onnx__AttributeProto *a,
		    const Onnx__AttributeProto **value)
{
	*value = a;
	while (*value && *nc_onnx_text((*value)->ref_attr_name)) {
		const char *name = (*value)->ref_attr_name;

		if (!im->outer)
			return refuse(im, -EINVAL,
				      "attribute \"%.100s\" refers to a caller, but is in no function",
				      name);
		*value = NULL;
		for (size_t i = 0; i < im->call->n_attribute; i++)
			if (!strcmp(nc_onnx_text(im->call->attribute[i]->name), name))
				*value = im->call->attribute[i];
		if (!*value)
			return default_value(im, name, value);
		im = im->outer;
	}
	return 0;
}

/* Everything that has a name in the body. */
static int collect(struct nc_onnx_import *im)
{
	const Onnx__FunctionProto *f = im->function;
	size_t count = f->n_input;
	int ret = 0;

	for (size_t i = 0; i < f->n_node; i++)
		count += f->node[i]->n_output;
	if (count > NC_TENSORS_MAX)
		return refuse(im, -E2BIG, "function \"%.100s\" has %zu tensors; at most %u are possible",
			      nc_onnx_text(f->name), count, NC_TENSORS_MAX);
	im->defs = 0;
	im->def = nc_alloc_array(im->g->arena, count, sizeof(*im->def));
	if (!im->def)
		return nc_onnx_no_memory(im);
	for (size_t i = 0; !ret && i < f->n_input; i++)
		ret = nc_onnx_add_def(im, "an input of a function", f->input[i]);
	for (size_t i = 0; i < f->n_node; i++)
		for (size_t k = 0; !ret && k < f->node[i]->n_output; k++)
			if (*f->node[i]->output[k])
				ret = nc_onnx_add_def(im, "a node output", f->node[i]->output[k]);
	return ret ? ret : nc_onnx_sort_defs(im);
}

/* Inputs of the body are the call's. */
static int bind_inputs(struct nc_onnx_import *im, size_t number)
{
	const Onnx__FunctionProto *f = im->function;
	const Onnx__NodeProto *p = im->call;

	if (p->n_input > f->n_input || p->n_output > f->n_output)
		return nc_onnx_refuse_node(im->outer, p, number, -EINVAL,
					   "has more inputs or outputs than the function", "");
	for (size_t i = 0; i < f->n_input; i++) {
		const char *name = i < p->n_input ? p->input[i] : "";
		const struct nc_onnx_def *d = *name ? nc_onnx_find(im->outer, name) : NULL;

		if (*name && (!d || d->tensor == NC_NONE))
			return nc_onnx_refuse_node(im->outer, p, number, -EINVAL,
						   "no earlier node computes its input ", name);
		nc_onnx_find(im, f->input[i])->tensor = d ? d->tensor : NC_ONNX_ABSENT;
	}
	return 0;
}

static int return_outputs(struct nc_onnx_import *im, size_t number)
{
	const Onnx__FunctionProto *f = im->function;
	const Onnx__NodeProto *p = im->call;

	for (size_t i = 0; i < p->n_output; i++) {
		const struct nc_onnx_def *d = nc_onnx_find(im, f->output[i]);

		if (!*p->output[i])
			continue;
		if (!d || d->tensor >= NC_ONNX_ABSENT)
			return nc_onnx_refuse_node(im->outer, p, number, -EINVAL,
						   "its function does not compute output ",
						   f->output[i]);
		nc_onnx_find(im->outer, p->output[i])->tensor = d->tensor;
	}
	return 0;
}

int nc_onnx_call(struct nc_onnx_import *im, const Onnx__FunctionProto *f,
		 const Onnx__NodeProto *p, size_t number)
{
	struct nc_onnx_import in = *im;
	int64_t opset = nc_onnx_opset(f->opset_import, f->n_opset_import);
	int ret;

	in.enclosing = NULL;
	in.outer = im;
	in.function = f;
	in.call = p;
	if (++in.depth > NC_ONNX_CALLS_MAX)
		return nc_onnx_refuse_node(im, p, number, -EINVAL,
					   "functions call each other too deeply, or themselves", "");
	if (++*im->calls > CALLS_MAX)
		return nc_onnx_refuse_node(im, p, number, -E2BIG,
					   "functions are called more than a million times", "");
	if (opset >= 0)
		in.opset = opset;
	ret = nc_onnx_check_opset(&in);
	ret = ret ? ret : collect(&in);
	ret = ret ? ret : bind_inputs(&in, number);
	for (size_t i = 0; !ret && i < f->n_node; i++)
		ret = nc_onnx_node(&in, f->node[i], number);
	return ret ? ret : return_outputs(&in, number);
}
