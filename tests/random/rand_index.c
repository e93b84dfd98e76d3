/* SPDX-License-Identifier: MIT */
/* Recipes of operators that address elements by index. */
#include <stdlib.h>
#include <string.h>

#include "rand.h"

/* Indices into @size elements, some counted from the end. */
static int indices(struct rg *g, int rank, const int64_t *dims, int64_t size, bool negative)
{
	int type = rg_once(g, 2) ? EV_I64 : EV_I32, v;
	int64_t elems = 1;
	double *elem;

	for (int i = 0; i < rank; i++)
		elems *= dims[i];
	if (elems > 4 * g->elems || (!size && elems))
		return -2;
	elem = malloc(((size_t)elems + 1) * sizeof(*elem));
	for (int64_t i = 0; elem && i < elems; i++)
		elem[i] = (double)(rg_between(g, 0, size - 1) - (negative && rg_once(g, 4) ? size : 0));
	v = elem ? rg_given(g, type, rank, dims, elem, RG_DRAWN) : -2;
	free(elem);
	return v;
}

static unsigned int any_type(const struct rg *g)
{
	return g->opset >= 13 ? RG_ALL : RG_ALL & ~(1u << EV_BF16);
}

static bool gather(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g), 1, 4, RG_ANY), axis, rank = (int)rg_between(g, 0, 2), i;
	int64_t dims[REF_MAX_RANK];

	if (x < 0)
		return false;
	axis = (int)rg_below(g, (uint32_t)rg_get(g, x)->rank);
	for (int k = 0; k < rank; k++)
		dims[k] = rg_dim(g, 20);
	i = indices(g, rank, dims, rg_get(g, x)->dims[axis], true);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, i);
	if (axis || rg_once(g, 2))
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rg_get(g, x)->rank);
	return rg_commit(g, 1);
}

static bool gather_elements(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g), 1, 4, RG_ANY), axis, i;
	int64_t dims[REF_MAX_RANK];
	const struct ev_value *v;

	if (x < 0)
		return false;
	v = rg_get(g, x);
	axis = (int)rg_below(g, (uint32_t)v->rank);
	for (int k = 0; k < v->rank; k++)
		dims[k] = k == axis ? rg_dim(g, 20) : v->dims[k] && rg_once(g, 3) ?
			rg_between(g, 1, v->dims[k]) : v->dims[k];
	i = indices(g, v->rank, dims, v->dims[axis], true);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, i);
	if (axis || rg_once(g, 2))
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - v->rank);
	return rg_commit(g, 1);
}

/* Tuples of @count indices, [dims, count]; i64. */
static int tuples(struct rg *g, int rank, int64_t *dims, const int64_t *sizes, int64_t count,
		  bool distinct)
{
	int64_t elems = count, total = 1;
	double *elem;
	int v;

	for (int i = 0; i < rank; i++)
		elems *= dims[i];
	for (int64_t k = 0; k < count; k++)
		total *= sizes[k];
	if (elems > g->elems || !total || (distinct && elems / count > total))
		return -2;
	dims[rank] = count;
	elem = malloc(((size_t)elems + 1) * sizeof(*elem));
	for (int64_t t = 0; elem && t < elems / count; t++) {
		int64_t at = distinct ? t * (total / (elems / count)) : rg_between(g, 0, total - 1);

		for (int64_t k = count - 1; k >= 0; at /= sizes[k--])
			elem[t * count + k] = (double)(at % sizes[k] - (rg_once(g, 6) ? sizes[k] : 0));
	}
	v = elem ? rg_given(g, EV_I64, rank + 1, dims, elem, RG_DRAWN) : -2;
	free(elem);
	return v;
}

static bool gather_nd(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g), 1, 4, RG_ANY), rank, batch, i;
	int64_t dims[REF_MAX_RANK + 1], count;
	const struct ev_value *v;

	if (x < 0)
		return false;
	v = rg_get(g, x);
	batch = g->opset >= 12 && v->rank > 1 && rg_once(g, 3) ? 1 : 0;
	count = rg_between(g, 1, v->rank - batch);
	rank = batch + (int)rg_between(g, 0, 2);
	for (int k = 0; k < rank; k++)
		dims[k] = k < batch ? v->dims[k] : rg_dim(g, 12);
	i = tuples(g, rank, dims, v->dims + batch, count, false);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, i);
	if (batch)
		rg_int(g, "batch_dims", batch);
	return rg_commit(g, 1);
}

static const char *reduction(struct rg *g, int type)
{
	static const char *const names[] = { "none", "add", "mul", "max", "min" };
	uint32_t n = g->opset >= 18 ? 5 : g->opset >= 16 ? 3 : 1;

	return names[type == EV_BOOL ? 0 : rg_below(g, n)];
}

/*
 * A reduction compares every update with every place: 2^30 take more than a minute on the
 * small device.
 */
#define COMPARED_MAX	(1 << 26)

static bool scatter_elements(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g), 1, 3, RG_ANY), axis, i, u;
	int64_t dims[REF_MAX_RANK], inner = 1, count = 1, size;
	const struct ev_value *v;
	const char *how;
	double *elem;

	if (x < 0)
		return false;
	v = rg_get(g, x);
	how = reduction(g, v->type);
	axis = (int)rg_below(g, (uint32_t)v->rank);
	size = v->dims[axis];
	for (int k = 0; k < v->rank; k++) {
		dims[k] = v->dims[k] ? rg_between(g, 1, v->dims[k]) : 0;
		count *= dims[k];
	}
	for (int k = axis + 1; k < v->rank; k++)
		inner *= dims[k];
	if (strcmp(how, "none") && v->elems * count > COMPARED_MAX)
		return false;
	/* Without a reduction no two may meet: along the axis each has an index of its own. */
	if (strcmp(how, "none")) {
		i = indices(g, v->rank, dims, size, true);
	} else {
		int64_t elems = 1, start = size ? rg_between(g, 0, size - 1) : 0;

		for (int k = 0; k < v->rank; k++)
			elems *= dims[k];
		elem = malloc(((size_t)elems + 1) * sizeof(*elem));
		for (int64_t e = 0; elem && e < elems; e++)
			elem[e] = (double)((e / inner % dims[axis] + start) % size);
		i = elem ? rg_given(g, rg_once(g, 2) ? EV_I64 : EV_I32, v->rank, dims, elem,
				    RG_DRAWN) : -2;
		free(elem);
	}
	if (i < 0)
		return false;
	u = rg_like(g, rg_get(g, x)->type, rg_get(g, x)->rank, dims, RG_ANY);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, i);
	rg_arg(g, u);
	if (axis || rg_once(g, 2))
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rg_get(g, x)->rank);
	if (strcmp(how, "none") || (g->opset >= 16 && rg_once(g, 3)))
		rg_text(g, "reduction", how);
	return rg_commit(g, 1);
}

static bool scatter_nd(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g), 1, 3, RG_ANY), rank = (int)rg_between(g, 0, 2), i, u, n;
	int64_t dims[REF_MAX_RANK + 1], count;
	const char *how;

	if (x < 0)
		return false;
	how = reduction(g, rg_get(g, x)->type);
	count = rg_between(g, 1, rg_get(g, x)->rank);
	for (int k = 0; k < rank; k++)
		dims[k] = rg_dim(g, 6);
	i = tuples(g, rank, dims, rg_get(g, x)->dims, count, !strcmp(how, "none"));
	if (i < 0)
		return false;
	n = rank;
	for (int k = (int)count; k < rg_get(g, x)->rank; k++)
		dims[n++] = rg_get(g, x)->dims[k];
	u = rg_like(g, rg_get(g, x)->type, n, dims, RG_ANY);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, i);
	rg_arg(g, u);
	if (strcmp(how, "none") || (g->opset >= 16 && rg_once(g, 3)))
		rg_text(g, "reduction", how);
	return rg_commit(g, 1);
}

static bool one_hot(struct rg *g, const char *op)
{
	int rank = (int)rg_between(g, 0, 3), i, d, v, type = rg_type(g, RG_ALL & ~(1u << EV_BF16));
	int64_t dims[REF_MAX_RANK], two = 2, depth = rg_between(g, 1, 20);
	double values[2] = { type == EV_BOOL ? 0 : (double)rg_between(g, 0, 3), 1 };

	for (int k = 0; k < rank; k++)
		dims[k] = rg_dim(g, 9);
	i = indices(g, rank, dims, depth + (rg_once(g, 3) ? 2 : 0), rg_once(g, 2));
	d = rg_scalar(g, rg_once(g, 2) ? EV_I64 : EV_I32, (double)depth);
	v = rg_given(g, type, 1, &two, values, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, i);
	rg_arg(g, d);
	rg_arg(g, v);
	if (rg_once(g, 2))
		rg_int(g, "axis", rg_between(g, -rank - 1, rank));
	return rg_commit(g, 1);
}

static bool topk(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS & ~(g->opset < 24 ? 1u << EV_BF16 : 0), 1, 4, RG_ANY), axis, k;
	int64_t one = 1, dim;
	double count;

	if (rg_once(g, 3))
		x = rg_some(g, RG_WIDE, 1, 4, RG_ANY);
	if (x < 0)
		return false;
	axis = (int)rg_below(g, (uint32_t)rg_get(g, x)->rank);
	dim = rg_get(g, x)->dims[axis];
	if (!dim)
		return false;
	count = (double)rg_between(g, 1, dim < 12 ? dim : 12);
	k = rg_given(g, EV_I64, 1, &one, &count, rg_once(g, 8) ? RG_INPUT : RG_KNOWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, k);
	if (axis != rg_get(g, x)->rank - 1 || rg_once(g, 2))
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rg_get(g, x)->rank);
	if (rg_once(g, 2))
		rg_int(g, "largest", rg_below(g, 2));
	return rg_commit(g, 2);
}

static bool compress(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g) & ~(1u << EV_BF16), 1, 4, RG_ANY), axis, mask;
	bool flat = rg_once(g, 4);
	int64_t count;

	if (x < 0)
		return false;
	axis = (int)rg_below(g, (uint32_t)rg_get(g, x)->rank);
	count = flat ? rg_get(g, x)->elems : rg_get(g, x)->dims[axis];
	if (count > 1 && rg_once(g, 3))
		count = rg_between(g, 1, count);
	mask = rg_new(g, EV_BOOL, 1, &count, RG_ANY, rg_once(g, 8) ? RG_INPUT : RG_KNOWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, mask);
	if (!flat)
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rg_get(g, x)->rank);
	return rg_commit(g, 1);
}

/* Numbers that are known: the shape of the result is what they are. */
static bool non_zero(struct rg *g, const char *op)
{
	int64_t dims[REF_MAX_RANK];
	int rank = (int)rg_between(g, 1, 3);

	rg_shape(g, rank, dims);
	rg_begin(g, op);
	rg_arg(g, rg_new(g, rg_once(g, 2) ? EV_BOOL : EV_I64, rank, dims, RG_ANY, RG_KNOWN));
	return rg_commit(g, 1);
}

static bool reverse_sequence(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g), 2, 4, RG_ANY), axis = (int)rg_below(g, 2);
	int64_t batch, time;
	double elem[40];

	if (x < 0)
		return false;
	batch = rg_get(g, x)->dims[axis];
	time = rg_get(g, x)->dims[!axis];
	if (batch > 40 || !time)
		return false;
	for (int64_t i = 0; i < batch; i++)
		elem[i] = (double)rg_between(g, 1, time);
	batch = rg_given(g, EV_I64, 1, &batch, elem, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, (int)batch);
	if (!axis || rg_once(g, 2)) {
		rg_int(g, "batch_axis", axis);
		rg_int(g, "time_axis", !axis);
	}
	return rg_commit(g, 1);
}

static bool tensor_scatter(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_ALL, 3, 4, RG_ANY), axis, u, at = -1;
	bool circular = rg_once(g, 2);
	int64_t dims[REF_MAX_RANK], room;
	double elem[20];

	if (x < 0 || rg_get(g, x)->dims[0] > 20)
		return false;
	axis = rg_once(g, 2) ? rg_get(g, x)->rank - 2 : (int)rg_between(g, 1, rg_get(g, x)->rank - 1);
	memcpy(dims, rg_get(g, x)->dims, sizeof(dims));
	if (!dims[axis])
		return false;
	room = dims[axis];
	dims[axis] = rg_between(g, 1, room);
	u = rg_like(g, rg_get(g, x)->type, rg_get(g, x)->rank, dims, RG_ANY);
	for (int64_t i = 0; i < dims[0]; i++)
		elem[i] = (double)rg_between(g, 0, circular ? room - 1 : room - dims[axis]);
	if (rg_once(g, 2))
		at = rg_given(g, EV_I64, 1, dims, elem, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, u);
	if (at != -1)
		rg_arg(g, at);
	if (axis != rg_get(g, x)->rank - 2 || rg_once(g, 2))
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rg_get(g, x)->rank);
	if (circular)
		rg_text(g, "mode", "circular");
	return rg_commit(g, 1);
}

const struct rg_recipe rg_index[] = {
	{ "Gather", 11, 4, gather },
	{ "GatherElements", 11, 2, gather_elements },
	{ "GatherND", 11, 2, gather_nd },
	{ "ScatterElements", 11, 2, scatter_elements },
	{ "ScatterND", 11, 2, scatter_nd },
	{ "Scatter", 9, 2, scatter_elements },
	{ "NonZero", 9, 1, non_zero },
	{ "ReverseSequence", 10, 1, reverse_sequence },
	{ "TensorScatter", 24, 1, tensor_scatter },
	{ "OneHot", 11, 1, one_hot },
	{ "TopK", 11, 2, topk },
	{ "Compress", 11, 1, compress },
	{ NULL, 0, 0, NULL }
};
