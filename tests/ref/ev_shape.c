/* SPDX-License-Identifier: MIT */
/* Operators about shapes, and those that make tensors from nothing. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

/* The node's only output from a tensor of the file. */
static int from_proto(struct ev_call *c, const Onnx__TensorProto *p)
{
	ev_free(&c->out[0]);
	return p ? ev_from_proto(&c->out[0], p) : ev_bad(c, "value");
}

static int run_constant(struct ev_call *c)
{
	const Onnx__AttributeProto *a = c->node->n_attribute ? c->node->attribute[0] : NULL;
	int64_t count;
	double *y;

	if (!a)
		return ev_bad(c, "no value");
	if (!strcmp(a->name, "value"))
		return from_proto(c, a->t);
	if (!strncmp(a->name, "value_float", 11)) {
		count = (int64_t)a->n_floats;
		y = ev_out(c, 0, EV_F32, a->name[11] == 's', &count);
		for (size_t i = 0; y && i < (a->name[11] ? a->n_floats : 1); i++)
			y[i] = a->name[11] ? a->floats[i] : a->f;
		return y ? 0 : -EINVAL;
	}
	if (strncmp(a->name, "value_int", 9))
		return ev_bad(c, "%s", a->name);
	count = (int64_t)a->n_ints;
	y = ev_out(c, 0, EV_I64, a->name[9] == 's', &count);
	for (size_t i = 0; y && i < (a->name[9] ? a->n_ints : 1); i++)
		y[i] = (double)(a->name[9] ? a->ints[i] : a->i);
	return y ? 0 : -EINVAL;
}

static int run_constant_of_shape(struct ev_call *c)
{
	const Onnx__AttributeProto *a = ev_attr(c, "value");
	int ret = ev_need(c, 1), rank, type = EV_F32;
	int64_t dims[REF_MAX_RANK];
	struct ev_value one = { 0 };
	double value = 0, *y;

	if (ret)
		return ret;
	rank = ev_ints(c, 0, dims, REF_MAX_RANK);
	if (rank < 0 || (a && (!a->t || ev_from_proto(&one, a->t))))
		return ev_bad(c, "shape or value");
	if (a && one.elems) {
		type = one.type;
		value = one.v[0];
	}
	ev_free(&one);
	y = ev_out(c, 0, type, rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++)
		y[i] = value;
	return y ? 0 : -EINVAL;
}

static int run_eye_like(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	int64_t k = ev_attr_i(c, "k", 0);
	double *y;

	if (ret)
		return ret;
	if (c->in[0]->rank != 2)
		return ev_bad(c, "rank");
	y = ev_out(c, 0, (int)ev_attr_i(c, "dtype", c->in[0]->type), 2, c->in[0]->dims);
	for (int64_t i = 0; y && i < c->in[0]->elems; i++)
		y[i] = i % c->in[0]->dims[1] - i / c->in[0]->dims[1] == k;
	return y ? 0 : -EINVAL;
}

static int64_t clamp(int64_t v, int64_t rank)
{
	v = v < 0 ? v + rank : v;
	return v < 0 ? 0 : v > rank ? rank : v;
}

static int run_shape(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	int64_t start, end, count;
	double *y;

	if (ret)
		return ret;
	start = clamp(ev_attr_i(c, "start", 0), c->in[0]->rank);
	end = clamp(ev_attr_i(c, "end", c->in[0]->rank), c->in[0]->rank);
	count = end > start ? end - start : 0;
	y = ev_out(c, 0, EV_I64, 1, &count);
	for (int64_t i = 0; y && i < count; i++)
		y[i] = (double)c->in[0]->dims[start + i];
	return y ? 0 : -EINVAL;
}

static int run_size(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	double *y = ret ? NULL : ev_out(c, 0, EV_I64, 0, NULL);

	if (y)
		y[0] = (double)c->in[0]->elems;
	return y ? 0 : -EINVAL;
}

static int run_non_zero(struct ev_call *c)
{
	int64_t dims[2], coord[REF_MAX_RANK] = { 0 }, n = 0;
	int ret = ev_need(c, 1);
	const struct ev_value *x = c->in[0];
	double *y;

	if (ret)
		return ret;
	dims[0] = x->rank;
	dims[1] = 0;
	for (int64_t i = 0; i < x->elems; i++)
		dims[1] += x->v[i] != 0;
	y = ev_out(c, 0, EV_I64, 2, dims);
	for (int64_t i = 0; y && i < x->elems; i++, ev_step(x->rank, x->dims, coord)) {
		if (!x->v[i])
			continue;
		for (int k = 0; k < x->rank; k++)
			y[k * dims[1] + n] = (double)coord[k];
		n++;
	}
	return y ? 0 : -EINVAL;
}

/* The middle of each axis: what is there, or with zeroes around it. */
static int run_center_crop_pad(struct ev_call *c)
{
	int64_t size[REF_MAX_RANK], dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	int ret = ev_need(c, 2), axes, n = 0;
	const struct ev_value *x = c->in[0];
	bool given;
	double *y;

	if (ret)
		return ret;
	axes = ev_axes(c, EV_MAX_IO, x->rank, &given);
	axes = given ? axes : (1 << x->rank) - 1;
	if (axes < 0 || ev_ints(c, 1, size, REF_MAX_RANK) != __builtin_popcount((unsigned int)axes))
		return ev_bad(c, "axes or shape");
	memcpy(dims, x->dims, sizeof(dims));
	/* Sizes are in the order of the attribute. */
	for (int i = 0; i < __builtin_popcount((unsigned int)axes); i++) {
		size_t count;
		const int64_t *list = ev_attr_ints(c, "axes", &count);

		dims[list ? ev_axis(list[i], x->rank) : n++] = size[i];
	}
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(x->rank, dims, coord)) {
		int64_t from[REF_MAX_RANK];
		bool inside = true;

		for (int k = 0; k < x->rank; k++) {
			int64_t more = x->dims[k] - dims[k];

			from[k] = coord[k] + (more > 0 ? more / 2 : -(-more / 2));
			inside = inside && from[k] >= 0 && from[k] < x->dims[k];
		}
		y[i] = inside ? x->v[ev_at(x, from)] : 0;
	}
	return y ? 0 : -EINVAL;
}

static int run_range(struct ev_call *c)
{
	int ret = ev_need(c, 3);
	int64_t count;
	double *y, steps;

	if (ret)
		return ret;
	for (int i = 0; i < 3; i++)
		if (c->in[i]->elems != 1)
			return ev_bad(c, "input %d is no number", i);
	steps = ceil((c->in[1]->v[0] - c->in[0]->v[0]) / c->in[2]->v[0]);
	if (!(fabs(steps) < 1e9))
		return ev_bad(c, "delta");
	count = steps > 0 ? (int64_t)steps : 0;
	y = ev_out(c, 0, c->in[0]->type, 1, &count);
	for (int64_t i = 0; y && i < count; i++)
		y[i] = c->in[0]->v[0] + (double)i * c->in[2]->v[0];
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_shape[] = {
	{ "Constant", run_constant, true },
	{ "ConstantOfShape", run_constant_of_shape, true },
	{ "EyeLike", run_eye_like, true },
	{ "Shape", run_shape, true },
	{ "Size", run_size, true },
	{ "NonZero", run_non_zero, true },
	{ "Range", run_range, false },
	{ "CenterCropPad", run_center_crop_pad, true },
	{ NULL, NULL, false }
};
