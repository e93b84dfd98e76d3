/* SPDX-License-Identifier: MIT */
/* Operators that address elements by index. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

/* An index from the end when negative; -1 when there is no such element. */
static int64_t element(double index, int64_t dim)
{
	int64_t i = (int64_t)(index < 0 ? index + (double)dim : index);

	return i < 0 || i >= dim ? -1 : i;
}

static int run_gather(struct ev_call *c)
{
	int ret = ev_need(c, 2), axis, rank = 0;
	const struct ev_value *x = c->in[0], *index = c->in[1];
	int64_t dims[2 * REF_MAX_RANK], inner, outer;
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", 0), x->rank);
	if (axis < 0)
		return ev_bad(c, "axis");
	for (int i = 0; i < axis; i++)
		dims[rank++] = x->dims[i];
	for (int i = 0; i < index->rank; i++)
		dims[rank++] = index->dims[i];
	for (int i = axis + 1; i < x->rank; i++)
		dims[rank++] = x->dims[i];
	inner = ev_count(x->dims, axis + 1, x->rank);
	outer = ev_count(x->dims, 0, axis);
	y = ev_out(c, 0, x->type, rank, dims);
	if (!y)
		return -EINVAL;
	for (int64_t o = 0; o < outer; o++)
		for (int64_t k = 0; k < index->elems; k++) {
			int64_t at = element(index->v[k], x->dims[axis]);

			if (at < 0)
				return ev_bad(c, "index");
			memcpy(y + (o * index->elems + k) * inner,
			       x->v + (o * x->dims[axis] + at) * inner,
			       (size_t)inner * sizeof(*y));
		}
	return 0;
}

static int run_gather_elements(struct ev_call *c)
{
	int64_t coord[REF_MAX_RANK] = { 0 }, from[REF_MAX_RANK];
	int ret = ev_need(c, 2), axis;
	const struct ev_value *x = c->in[0], *index = c->in[1];
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", 0), x->rank);
	if (axis < 0 || index->rank != x->rank)
		return ev_bad(c, "axis or rank");
	for (int i = 0; i < x->rank; i++)
		if (i != axis && index->dims[i] > x->dims[i])
			return ev_bad(c, "shape");
	y = ev_out(c, 0, x->type, x->rank, index->dims);
	for (int64_t i = 0; y && i < index->elems; i++, ev_step(x->rank, index->dims, coord)) {
		memcpy(from, coord, sizeof(from));
		from[axis] = element(index->v[i], x->dims[axis]);
		if (from[axis] < 0)
			return ev_bad(c, "index");
		y[i] = x->v[ev_at(x, from)];
	}
	return y ? 0 : -EINVAL;
}

/* Where the tuple @t of an index tensor points to in @x, past @batch axes at @from; or -1. */
static int64_t tuple_at(const struct ev_value *x, const struct ev_value *index, int64_t t,
			int batch, int64_t outer)
{
	int64_t count = index->dims[index->rank - 1], at = outer;

	for (int64_t k = 0; k < count; k++) {
		int64_t i = element(index->v[t * count + k], x->dims[batch + k]);

		if (i < 0)
			return -1;
		at = at * x->dims[batch + k] + i;
	}
	return at;
}

static int run_gather_nd(struct ev_call *c)
{
	int ret = ev_need(c, 2), batch = (int)ev_attr_i(c, "batch_dims", 0), rank = 0;
	const struct ev_value *x = c->in[0], *index = c->in[1];
	int64_t dims[2 * REF_MAX_RANK], tuple, inner, tuples, outer;
	double *y;

	if (ret)
		return ret;
	if (index->rank < 1 || batch < 0 || batch >= index->rank)
		return ev_bad(c, "rank");
	tuple = index->dims[index->rank - 1];
	if (batch + tuple > x->rank)
		return ev_bad(c, "tuples");
	for (int i = 0; i < index->rank - 1; i++)
		dims[rank++] = index->dims[i];
	for (int i = batch + (int)tuple; i < x->rank; i++)
		dims[rank++] = x->dims[i];
	inner = ev_count(x->dims, batch + (int)tuple, x->rank);
	outer = ev_count(index->dims, 0, batch);
	tuples = ev_count(index->dims, batch, index->rank - 1);
	y = ev_out(c, 0, x->type, rank, dims);
	for (int64_t t = 0; y && t < outer * tuples; t++) {
		int64_t at = tuple_at(x, index, t, batch, t / tuples);

		if (at < 0)
			return ev_bad(c, "index");
		memcpy(y + t * inner, x->v + at * inner, (size_t)inner * sizeof(*y));
	}
	return y ? 0 : -EINVAL;
}

/* What becomes of an element that @v is put on. */
static double put(struct ev_call *c, double old, double v)
{
	int type = c->in[0]->type;

	if (ev_attr_is(c, "reduction", "add", "none"))
		return ev_is_float(type) ? old + v : ev_round(type, old + v);
	if (ev_attr_is(c, "reduction", "mul", "none"))
		return ev_is_float(type) ? old * v : ev_round(type, old * v);
	if (ev_attr_is(c, "reduction", "max", "none"))
		return v > old ? v : old;
	if (ev_attr_is(c, "reduction", "min", "none"))
		return v < old ? v : old;
	return v;
}

static int run_scatter_elements(struct ev_call *c)
{
	int64_t coord[REF_MAX_RANK] = { 0 }, to[REF_MAX_RANK];
	int ret = ev_need(c, 3), axis;
	const struct ev_value *x = c->in[0], *index = c->in[1];
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", 0), x->rank);
	if (axis < 0 || index->rank != x->rank || !ev_same_shape(index, c->in[2]) ||
	    c->in[2]->type != x->type)
		return ev_bad(c, "axis or shapes");
	y = ev_out_like(c, 0, x);
	if (!y)
		return -EINVAL;
	memcpy(y, x->v, (size_t)x->elems * sizeof(*y));
	for (int64_t i = 0; i < index->elems; i++, ev_step(x->rank, index->dims, coord)) {
		memcpy(to, coord, sizeof(to));
		to[axis] = element(index->v[i], x->dims[axis]);
		for (int k = 0; k < x->rank; k++)
			if (to[k] < 0 || to[k] >= x->dims[k])
				return ev_bad(c, "index");
		y[ev_at(x, to)] = put(c, y[ev_at(x, to)], c->in[2]->v[i]);
	}
	return 0;
}

static int run_scatter_nd(struct ev_call *c)
{
	int ret = ev_need(c, 3);
	const struct ev_value *x = c->in[0], *index = c->in[1];
	int64_t tuple, inner, tuples;
	double *y;

	if (ret)
		return ret;
	tuple = index->rank ? index->dims[index->rank - 1] : 0;
	if (!index->rank || tuple > x->rank)
		return ev_bad(c, "tuples");
	inner = ev_count(x->dims, (int)tuple, x->rank);
	tuples = ev_count(index->dims, 0, index->rank - 1);
	for (int i = 0; i < x->rank + index->rank - 1 - tuple; i++)
		if (c->in[2]->rank != x->rank + index->rank - 1 - tuple ||
		    c->in[2]->dims[i] != (i < index->rank - 1 ? index->dims[i] :
					  x->dims[i - index->rank + 1 + tuple]))
			return ev_bad(c, "updates");
	if (c->in[2]->elems != tuples * inner || c->in[2]->type != x->type)
		return ev_bad(c, "updates");
	y = ev_out_like(c, 0, x);
	if (!y)
		return -EINVAL;
	memcpy(y, x->v, (size_t)x->elems * sizeof(*y));
	for (int64_t t = 0; t < tuples; t++) {
		int64_t at = tuple_at(x, index, t, 0, 0);

		if (at < 0)
			return ev_bad(c, "index");
		for (int64_t i = 0; i < inner; i++)
			y[at * inner + i] = put(c, y[at * inner + i], c->in[2]->v[t * inner + i]);
	}
	return 0;
}

static int run_one_hot(struct ev_call *c)
{
	int ret = ev_need(c, 3), axis, rank;
	const struct ev_value *index = c->in[0];
	int64_t dims[REF_MAX_RANK + 1], depth, inner;
	double *y;

	if (ret)
		return ret;
	rank = index->rank + 1;
	axis = ev_axis(ev_attr_i(c, "axis", -1), rank);
	if (c->in[1]->elems != 1)
		return ev_bad(c, "depth");
	depth = (int64_t)c->in[1]->v[0];
	if (axis < 0 || c->in[2]->elems != 2 || rank > REF_MAX_RANK)
		return ev_bad(c, "axis or values");
	for (int i = 0, k = 0; i < rank; i++)
		dims[i] = i == axis ? depth : index->dims[k++];
	inner = ev_count(dims, axis + 1, rank);
	y = ev_out(c, 0, c->in[2]->type, rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++) {
		double v = trunc(index->v[i / (inner * depth) * inner + i % inner]);

		v = v < 0 ? v + (double)depth : v;
		y[i] = c->in[2]->v[v == (double)(i / inner % depth)];
	}
	return y ? 0 : -EINVAL;
}

/* Is element @a of a line before element @b in the order of the results? */
static bool before(const double *x, int64_t step, int64_t a, int64_t b, bool largest)
{
	double va = x[a * step], vb = x[b * step];

	if (va == vb)
		return a < b;
	return largest ? va > vb : va < vb;
}

static int run_topk(struct ev_call *c)
{
	bool largest = ev_attr_i(c, "largest", 1);
	int ret = ev_need(c, 1), axis;
	const struct ev_value *x = c->in[0];
	int64_t k = ev_attr_i(c, "k", 0), dims[REF_MAX_RANK], inner, count;
	double *y, *at;

	if (ret)
		return ret;
	ev_ints(c, 1, &k, 1);
	axis = ev_axis(ev_attr_i(c, "axis", -1), x->rank);
	if (axis < 0 || k < 1 || k > x->dims[axis])
		return ev_bad(c, "axis or k");
	memcpy(dims, x->dims, sizeof(dims));
	dims[axis] = k;
	inner = ev_count(x->dims, axis + 1, x->rank);
	count = x->dims[axis];
	y = ev_out(c, 0, x->type, x->rank, dims);
	at = ev_out(c, 1, EV_I64, x->rank, dims);
	if (!y || !at)
		return -EINVAL;
	for (int64_t line = 0; count && line < x->elems / count; line++) {
		const double *v = x->v + line / inner * count * inner + line % inner;

		for (int64_t i = 0; i < count; i++) {
			int64_t rank = 0, to;

			for (int64_t o = 0; o < count; o++)
				rank += before(v, inner, o, i, largest);
			if (rank >= k)
				continue;
			to = (line / inner * k + rank) * inner + line % inner;
			y[to] = v[i * inner];
			at[to] = (double)i;
		}
	}
	return 0;
}

static int run_compress(struct ev_call *c)
{
	int ret = ev_need(c, 2), axis = 0;
	const struct ev_value *x = c->in[0], *mask = c->in[1];
	int64_t dims[REF_MAX_RANK], inner = 1, count, n = 0;
	bool flat = !ev_attr(c, "axis");
	double *y;

	if (ret)
		return ret;
	axis = flat ? 0 : ev_axis(ev_attr_i(c, "axis", 0), x->rank);
	if (axis < 0 || mask->rank != 1)
		return ev_bad(c, "axis");
	memcpy(dims, x->dims, sizeof(dims));
	inner = flat ? 1 : ev_count(x->dims, axis + 1, x->rank);
	count = flat ? x->elems : x->dims[axis];
	dims[axis] = 0;
	for (int64_t i = 0; i < mask->elems && i < count; i++)
		dims[axis] += mask->v[i] != 0;
	y = ev_out(c, 0, x->type, flat ? 1 : x->rank, dims);
	for (int64_t i = 0; y && i < x->elems; i++) {
		int64_t at = i / inner % count;

		if (at < mask->elems && mask->v[at])
			y[n++] = x->v[i];
	}
	return y ? 0 : -EINVAL;
}

/* The first elements of each example in the reverse order. */
static int run_reverse_sequence(struct ev_call *c)
{
	int64_t batch = ev_attr_i(c, "batch_axis", 1), time = ev_attr_i(c, "time_axis", 0);
	int64_t coord[REF_MAX_RANK] = { 0 }, from[REF_MAX_RANK];
	int ret = ev_need(c, 2);
	const struct ev_value *x = c->in[0];
	double *y;

	if (ret)
		return ret;
	if (x->rank < 2 || batch + time != 1 || batch < 0 || time < 0 ||
	    ev_shaped(c, 1, 1, &x->dims[batch]))
		return ev_bad(c, "axes or lengths");
	y = ev_out_like(c, 0, x);
	for (int64_t i = 0; y && i < x->elems; i++, ev_step(x->rank, x->dims, coord)) {
		int64_t length = (int64_t)c->in[1]->v[coord[batch]];

		if (length < 0 || length > x->dims[time])
			return ev_bad(c, "length");
		memcpy(from, coord, sizeof(from));
		if (coord[time] < length)
			from[time] = length - 1 - coord[time];
		y[i] = x->v[ev_at(x, from)];
	}
	return y ? 0 : -EINVAL;
}

/* Steps into a cache, from a place of each example's own. */
static int run_tensor_scatter(struct ev_call *c)
{
	bool circular = ev_attr_is(c, "mode", "circular", "linear");
	int64_t coord[REF_MAX_RANK] = { 0 }, to[REF_MAX_RANK];
	int ret = ev_need(c, 2), axis;
	const struct ev_value *x = c->in[0], *u = c->in[1];
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", -2), x->rank);
	memcpy(to, x->dims, sizeof(to));
	if (axis < 1 || u->rank != x->rank)
		return ev_bad(c, "axis or rank");
	to[axis] = u->dims[axis];
	if (ev_shaped(c, 1, x->rank, to) || ev_shaped(c, 2, 1, x->dims) || u->dims[axis] > x->dims[axis])
		return ev_bad(c, "shapes");
	y = ev_out_like(c, 0, x);
	if (!y)
		return -EINVAL;
	memcpy(y, x->v, (size_t)x->elems * sizeof(*y));
	for (int64_t i = 0; i < u->elems; i++, ev_step(u->rank, u->dims, coord)) {
		memcpy(to, coord, sizeof(to));
		to[axis] += c->ins > 2 && c->in[2] ? (int64_t)c->in[2]->v[coord[0]] : 0;
		if (circular && x->dims[axis])
			to[axis] %= x->dims[axis];
		if (to[axis] < 0 || to[axis] >= x->dims[axis])
			return ev_bad(c, "index");
		y[ev_at(x, to)] = u->v[i];
	}
	return 0;
}

const struct ev_op ev_ops_index[] = {
	{ "Gather", run_gather, true },
	{ "GatherElements", run_gather_elements, true },
	{ "GatherND", run_gather_nd, true },
	{ "Scatter", run_scatter_elements, true },
	{ "ScatterElements", run_scatter_elements, true },
	{ "ScatterND", run_scatter_nd, true },
	{ "OneHot", run_one_hot, true },
	{ "TopK", run_topk, true },
	{ "Compress", run_compress, true },
	{ "ReverseSequence", run_reverse_sequence, true },
	{ "TensorScatter", run_tensor_scatter, true },
	{ NULL, NULL, false }
};
