/* SPDX-License-Identifier: MIT */
/*
 * Dimensions of inputs. Symbolic ones have the value that the caller binds, or
 * that an input at hand has where it names them.
 */
#include "onnx_import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* The value of @name in "a=1,b=2,*=3"; -ENOENT when it is not there. */
static int64_t bound(const struct nc_onnx_import *im, const char *name)
{
	for (const char *at = im->bind; at && *at;) {
		size_t length = strcspn(at, "=");

		if (length == strlen(name) && !strncmp(at, name, length))
			return strtoll(at + length + 1, NULL, 10);
		at += strcspn(at, ",");
		at += *at == ',';
	}
	return -ENOENT;
}

static const struct nc_onnx_dim *learned(const struct nc_onnx_import *im, const char *name)
{
	for (uint32_t i = 0; i < im->dims; i++)
		if (!strcmp(im->dim[i].name, name))
			return &im->dim[i];
	return NULL;
}

/* By its name, from another input, by "*"; -ENOENT: by nothing. */
static int64_t value_of(const struct nc_onnx_import *im, const char *name)
{
	const struct nc_onnx_dim *known = learned(im, name);
	int64_t value = bound(im, name);

	if (value < 0 && known)
		value = known->value;
	return value < 0 ? bound(im, "*") : value;
}

static const Onnx__TensorShapeProto *shape_of(const Onnx__ValueInfoProto *v)
{
	if (!v->type || v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		return NULL;
	return v->type->tensor_type->shape;
}

static const char *param_of(const Onnx__TensorShapeProto__Dimension *d)
{
	return d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ?
	       nc_onnx_text(d->dim_param) : "";
}

/* What is given for input @v says that dimension @name is @value. */
static int learn(struct nc_onnx_import *im, const Onnx__ValueInfoProto *v, const char *name,
		 int64_t value)
{
	const struct nc_onnx_dim *known = learned(im, name);
	int64_t bind = bound(im, name);

	if (bind >= 0 && bind != value)
		return refuse(im, -EINVAL,
			      "dimension \"%.100s\" is bound to %" PRId64 ", but is %" PRId64 " in what is given for input \"%.100s\"",
			      name, bind, value, nc_onnx_text(v->name));
	if (known && known->value != value)
		return refuse(im, -EINVAL,
			      "dimension \"%.100s\" is %" PRId64 " in what is given for input \"%.100s\" and %" PRId64 " for \"%.100s\"; give inputs that fit each other",
			      name, known->value, known->input, value, nc_onnx_text(v->name));
	if (!known)
		im->dim[im->dims++] = (struct nc_onnx_dim){
			.name = name, .value = value, .input = nc_onnx_text(v->name),
		};
	return 0;
}

int nc_onnx_learn_dims(struct nc_onnx_import *im)
{
	const Onnx__GraphProto *graph = im->graph;
	size_t count = 0;
	int ret = 0;

	for (unsigned int i = 0; i < im->g->givens; i++)
		count += im->g->given[i].rank;
	count += im->batch ? graph->n_input : 0;
	im->dim = nc_alloc_array(im->g->arena, count, sizeof(*im->dim));
	if (!im->dim)
		return nc_onnx_no_memory(im);
	for (size_t i = 0; i < graph->n_input; i++) {
		const Onnx__TensorShapeProto *shape = shape_of(graph->input[i]);
		const struct npu_graph_given *given;

		given = nc_given(im->g, nc_onnx_text(graph->input[i]->name));
		/* Ranks that differ are refused when the input is read. */
		for (size_t k = 0; !ret && shape && given && given->rank == shape->n_dim &&
				   k < shape->n_dim && im->dims < count; k++)
			if (*param_of(shape->dim[k]))
				ret = learn(im, graph->input[i], param_of(shape->dim[k]),
					    given->dim[k]);
		if (!ret && im->batch && shape && shape->n_dim && *param_of(shape->dim[0]) &&
		    im->dims < count)
			ret = learn(im, graph->input[i], param_of(shape->dim[0]), im->batch);
	}
	return ret;
}

int nc_onnx_check_bind(struct nc_onnx_import *im)
{
	for (const char *at = im->bind; at && *at;) {
		size_t length = strcspn(at, "=,");
		char *end;
		long long value;

		if (!length || at[length] != '=')
			return refuse(im, -EINVAL,
				      "\"%s\" is not a list of dimensions like N=1,seq=28", im->bind);
		value = strtoll(at + length + 1, &end, 10);
		if (end == at + length + 1 || (*end && *end != ',') || value < 0 ||
		    value > INT32_MAX)
			return refuse(im, -EINVAL,
				      "dimension \"%.*s\" must be a number from 0 to %d",
				      (int)length, at, INT32_MAX);
		at = *end ? end + 1 : end;
	}
	return 0;
}

/* @given: the dimension of what the caller has for this input, or -1. */
static int import_dim(struct nc_onnx_import *im, const char *name, size_t i,
		      const Onnx__TensorShapeProto__Dimension *d, int64_t given, int64_t *dim)
{
	const char *param = param_of(d);

	if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
	    d->dim_value >= 0) {
		*dim = d->dim_value;
		if (im->batch && !i && im->batch != *dim)
			return refuse(im, -EINVAL,
				      "input \"%s\": has a batch of %" PRId64 ", not %" PRId64 "; train with that, or export the model with a symbolic batch",
				      name, *dim, im->batch);
		if (given >= 0 && given != *dim)
			return refuse(im, -EINVAL,
				      "input \"%s\": dimension %zu is %" PRId64 ", but %" PRId64 " in what is given for it",
				      name, i, *dim, given);
		return 0;
	}
	if (given >= 0) {
		*dim = given;
		return 0;
	}
	*dim = value_of(im, param);
	if (*dim >= 0)
		return 0;
	if (!*param)
		return refuse(im, -EINVAL,
			      "input \"%s\": dimension %zu is open and has no name; bind it with *=NUMBER",
			      name, i);
	return refuse(im, -EINVAL, "input \"%s\": dimension %zu is \"%s\"; bind it with %s=NUMBER",
		      name, i, param, param);
}

int nc_onnx_shape(struct nc_onnx_import *im, const char *name,
		  const Onnx__TensorShapeProto *shape, unsigned int *rank, int64_t *dim)
{
	const struct npu_graph_given *given = nc_given(im->g, name);

	if (!shape && given) {
		*rank = given->rank;
		memcpy(dim, given->dim, given->rank * sizeof(*dim));
		return 0;
	}
	if (!shape || shape->n_dim > NPU_GRAPH_RANK_MAX)
		return refuse(im, -ENOTSUP, "input \"%s\" has no shape, or more than %d dimensions",
			      name, NPU_GRAPH_RANK_MAX);
	if (im->batch && !shape->n_dim)
		return refuse(im, -EINVAL, "input \"%s\" is a scalar; the batch must be its first dimension",
			      name);
	if (given && given->rank != shape->n_dim)
		return refuse(im, -EINVAL,
			      "input \"%s\" has %zu dimensions, but %u in what is given for it",
			      name, shape->n_dim, given->rank);
	*rank = (unsigned int)shape->n_dim;
	for (size_t i = 0; i < shape->n_dim; i++) {
		int64_t want = given ? given->dim[i] : im->batch && !i ? im->batch : -1;
		int ret = import_dim(im, name, i, shape->dim[i], want, &dim[i]);

		if (ret)
			return ret;
	}
	return 0;
}

static bool has_dim(const Onnx__ValueInfoProto *v, const char *name, size_t length)
{
	const Onnx__TensorShapeProto *shape = shape_of(v);

	for (size_t i = 0; shape && i < shape->n_dim; i++) {
		const char *param = param_of(shape->dim[i]);

		if (strlen(param) == length && !strncmp(param, name, length))
			return true;
	}
	return false;
}

int nc_onnx_check_bind_used(struct nc_onnx_import *im)
{
	for (const char *at = im->bind; at && *at;) {
		size_t length = strcspn(at, "=");
		bool used = length == 1 && *at == '*';

		for (size_t i = 0; !used && i < im->graph->n_input; i++)
			used = has_dim(im->graph->input[i], at, length);
		if (!used)
			return refuse(im, -EINVAL, "no input has a dimension \"%.*s\" to bind",
				      (int)length, at);
		at += strcspn(at, ",");
		at += *at == ',';
	}
	return 0;
}
