/* SPDX-License-Identifier: MIT */
/* Operators that put the same elements elsewhere. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ev_priv.h"

/* The elements of input 0 in their order, in another shape. */
static int reshaped(struct ev_call *c, int rank, const int64_t *dims)
{
	const struct ev_value *x = c->in[0];
	double *y = ev_out(c, 0, x->type, rank, dims);

	if (!y || c->out[0].elems != x->elems)
		return ev_bad(c, "the shapes have different numbers of elements");
	memcpy(y, x->v, (size_t)x->elems * sizeof(*y));
	return 0;
}

static int run_identity(struct ev_call *c)
{
	int ret = ev_need(c, 1);

	return ret ? ret : reshaped(c, c->in[0]->rank, c->in[0]->dims);
}

static int run_dropout(struct ev_call *c)
{
	int ret = run_identity(c);
	double *mask;

	/* Training is random. */
	if (c->ins > 2 && c->in[2] && c->in[2]->v[0] && !(c->in[1] && c->in[1]->v[0] == 0))
		return -ENOSYS;
	if (ret || c->outs < 2)
		return ret;
	mask = ev_out(c, 1, c->opset < 10 ? c->in[0]->type : EV_BOOL, c->in[0]->rank,
		      c->in[0]->dims);
	for (int64_t i = 0; mask && i < c->in[0]->elems; i++)
		mask[i] = 1;
	return mask ? 0 : -EINVAL;
}

static int run_reshape(struct ev_call *c)
{
	int ret = ev_need(c, 2), rank, open = -1;
	int64_t dims[REF_MAX_RANK], known = 1;

	if (ret)
		return ret;
	rank = ev_ints(c, 1, dims, REF_MAX_RANK);
	if (rank < 0)
		return ev_bad(c, "shape");
	for (int i = 0; i < rank; i++) {
		if (dims[i] == 0 && !ev_attr_i(c, "allowzero", 0)) {
			if (i >= c->in[0]->rank)
				return ev_bad(c, "0 copies no dimension");
			dims[i] = c->in[0]->dims[i];
		}
		if (dims[i] == -1) {
			if (open >= 0)
				return ev_bad(c, "two open dimensions");
			open = i;
		} else {
			known *= dims[i];
		}
	}
	if (open >= 0) {
		if (!known)
			return ev_bad(c, "the open dimension may be anything");
		dims[open] = c->in[0]->elems / known;
	}
	return reshaped(c, rank, dims);
}

static int run_flatten(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	int64_t axis = ev_attr_i(c, "axis", 1), dims[2];

	if (ret)
		return ret;
	if (axis < 0)
		axis += c->in[0]->rank;
	if (axis < 0 || axis > c->in[0]->rank)
		return ev_bad(c, "axis");
	dims[0] = ev_count(c->in[0]->dims, 0, (int)axis);
	dims[1] = ev_count(c->in[0]->dims, (int)axis, c->in[0]->rank);
	return reshaped(c, 2, dims);
}

static int run_squeeze(struct ev_call *c)
{
	int ret = ev_need(c, 1), axes, rank = 0;
	int64_t dims[REF_MAX_RANK];
	bool given;

	if (ret)
		return ret;
	axes = ev_axes(c, 1, c->in[0]->rank, &given);
	if (axes < 0)
		return ev_bad(c, "axes");
	for (int i = 0; i < c->in[0]->rank; i++) {
		bool one = c->in[0]->dims[i] == 1;

		if (given && axes >> i & 1 && !one)
			return ev_bad(c, "an axis is not 1");
		if (!(given ? axes >> i & 1 : one))
			dims[rank++] = c->in[0]->dims[i];
	}
	return reshaped(c, rank, dims);
}

static int run_unsqueeze(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], list[REF_MAX_RANK];
	int ret = ev_need(c, 1), axes, rank, from = 0, n;
	size_t count;
	bool given;

	if (ret)
		return ret;
	n = ev_ints(c, 1, list, REF_MAX_RANK);
	if (ev_attr_ints(c, "axes", &count))
		n = (int)count;
	rank = c->in[0]->rank + n;
	if (n < 0 || rank > REF_MAX_RANK)
		return ev_bad(c, "rank");
	axes = ev_axes(c, 1, rank, &given);
	if (axes < 0)
		return ev_bad(c, "axes");
	for (int i = 0; i < rank; i++)
		dims[i] = axes >> i & 1 ? 1 : c->in[0]->dims[from++];
	return reshaped(c, rank, dims);
}

static int run_transpose(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 }, from[REF_MAX_RANK];
	int ret = ev_need(c, 1);
	const struct ev_value *x = c->in[0];
	const int64_t *perm;
	size_t count;
	double *y;

	if (ret)
		return ret;
	perm = ev_attr_ints(c, "perm", &count);
	if (perm && count != (size_t)x->rank)
		return ev_bad(c, "perm");
	for (int i = 0; i < x->rank; i++) {
		if (perm && (perm[i] < 0 || perm[i] >= x->rank))
			return ev_bad(c, "perm");
		dims[i] = x->dims[perm ? perm[i] : x->rank - 1 - i];
	}
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(x->rank, dims, coord)) {
		for (int k = 0; k < x->rank; k++)
			from[perm ? perm[k] : x->rank - 1 - k] = coord[k];
		y[i] = x->v[ev_at(x, from)];
	}
	return y ? 0 : -EINVAL;
}

/**
 * struct range - what Slice takes of an axis
 */
struct range {
	int64_t start, step, count;
};

static struct range range_of(int64_t dim, int64_t start, int64_t end, int64_t step)
{
	struct range r = { .step = step };

	if (start < 0)
		start += dim;
	if (end < 0)
		end += dim;
	if (step > 0) {
		start = start < 0 ? 0 : start > dim ? dim : start;
		end = end < 0 ? 0 : end > dim ? dim : end;
		r.count = end > start ? (end - start + step - 1) / step : 0;
	} else {
		/* Unlike numpy's, a start before the first element is that. */
		start = start < 0 ? 0 : start > dim - 1 ? dim - 1 : start;
		end = end < -1 ? -1 : end > dim - 1 ? dim - 1 : end;
		r.count = dim && start > end ? (start - end - step - 1) / -step : 0;
	}
	r.start = start;
	return r;
}

/* Slice's list @i, an attribute in old models. */
static int list_of(const struct ev_call *c, const char *name, unsigned int i, int64_t *list)
{
	size_t count;
	const int64_t *a = ev_attr_ints(c, name, &count);

	if (!a)
		return ev_ints(c, i, list, REF_MAX_RANK);
	if (count > REF_MAX_RANK)
		return -1;
	memcpy(list, a, count * sizeof(*a));
	return (int)count;
}

static int run_slice(struct ev_call *c)
{
	int64_t starts[REF_MAX_RANK], ends[REF_MAX_RANK], axes[REF_MAX_RANK], steps[REF_MAX_RANK];
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 }, from[REF_MAX_RANK];
	struct range range[REF_MAX_RANK];
	int ret = ev_need(c, 1), n, axes_n, steps_n;
	const struct ev_value *x = c->in[0];
	double *y;

	if (ret)
		return ret;
	n = list_of(c, "starts", 1, starts);
	if (n < 0 || list_of(c, "ends", 2, ends) != n)
		return ev_bad(c, "starts and ends");
	axes_n = list_of(c, "axes", 3, axes);
	steps_n = ev_ints(c, 4, steps, REF_MAX_RANK);
	for (int i = 0; i < x->rank; i++)
		range[i] = (struct range){ 0, 1, x->dims[i] };
	for (int i = 0; i < n; i++) {
		int axis = ev_axis(axes_n > 0 ? axes[i] : i, x->rank);
		int64_t step = steps_n > 0 ? steps[i] : 1;

		if (axis < 0 || !step)
			return ev_bad(c, "axis or step");
		range[axis] = range_of(x->dims[axis], starts[i], ends[i], step);
	}
	for (int i = 0; i < x->rank; i++)
		dims[i] = range[i].count;
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(x->rank, dims, coord)) {
		for (int k = 0; k < x->rank; k++)
			from[k] = range[k].start + coord[k] * range[k].step;
		y[i] = x->v[ev_at(x, from)];
	}
	return y ? 0 : -EINVAL;
}

static int run_expand(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], want[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	int ret = ev_need(c, 2), n, rank;
	const struct ev_value *x = c->in[0];
	double *y;

	if (ret)
		return ret;
	n = ev_ints(c, 1, want, REF_MAX_RANK);
	if (n < 0)
		return ev_bad(c, "shape");
	rank = n > x->rank ? n : x->rank;
	for (int i = 0; i < rank; i++) {
		int64_t have = i < rank - x->rank ? 1 : x->dims[i - (rank - x->rank)];
		int64_t to = i < rank - n ? 1 : want[i - (rank - n)];

		if (have != 1 && to != 1 && have != to)
			return ev_bad(c, "shapes do not broadcast");
		dims[i] = have == 1 ? to : have;
	}
	y = ev_out(c, 0, x->type, rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(rank, dims, coord))
		y[i] = x->v[ev_at_broadcast(x, rank, coord)];
	return y ? 0 : -EINVAL;
}

/* Elements [start, start + count) of an axis as output @o. */
static int part(struct ev_call *c, unsigned int o, int axis, int64_t start, int64_t count)
{
	const struct ev_value *x = c->in[0];
	int64_t inner = ev_count(x->dims, axis + 1, x->rank), outer = ev_count(x->dims, 0, axis);
	int64_t dims[REF_MAX_RANK];
	double *y;

	memcpy(dims, x->dims, sizeof(dims));
	dims[axis] = count;
	y = ev_out(c, o, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < outer; i++)
		memcpy(y + i * count * inner, x->v + (i * x->dims[axis] + start) * inner,
		       (size_t)(count * inner) * sizeof(*y));
	return y ? 0 : -EINVAL;
}

static int run_split(struct ev_call *c)
{
	int ret = ev_need(c, 1), axis;
	int64_t sizes[EV_MAX_IO], at = 0;
	const int64_t *attr;
	size_t count;
	int n;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", 0), c->in[0]->rank);
	if (axis < 0)
		return ev_bad(c, "axis");
	n = ev_ints(c, 1, sizes, EV_MAX_IO);
	attr = ev_attr_ints(c, "split", &count);
	if (attr && count <= EV_MAX_IO) {
		memcpy(sizes, attr, count * sizeof(*attr));
		n = (int)count;
	}
	if (n < 0) {
		int64_t dim = c->in[0]->dims[axis], chunk = (dim + c->outs - 1) / c->outs;

		for (n = 0; n < (int)c->outs; n++, dim -= sizes[n - 1])
			sizes[n] = dim < chunk ? dim : chunk;
	}
	if (n != (int)c->outs)
		return ev_bad(c, "another number of outputs");
	for (int i = 0; i < n; at += sizes[i++])
		if (sizes[i] < 0 || at + sizes[i] > c->in[0]->dims[axis] ||
		    part(c, (unsigned int)i, axis, at, sizes[i]))
			return ev_bad(c, "sizes");
	return at == c->in[0]->dims[axis] ? 0 : ev_bad(c, "sizes");
}

static int run_concat(struct ev_call *c)
{
	int ret = c->ins ? ev_need(c, c->ins) : -EINVAL, axis;
	int64_t dims[REF_MAX_RANK], inner, outer, at = 0;
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", 1), c->in[0]->rank);
	if (axis < 0)
		return ev_bad(c, "axis");
	memcpy(dims, c->in[0]->dims, sizeof(dims));
	dims[axis] = 0;
	for (unsigned int k = 0; k < c->ins; k++) {
		for (int i = 0; i < c->in[0]->rank; i++)
			if (c->in[k]->rank != c->in[0]->rank ||
			    (i != axis && c->in[k]->dims[i] != dims[i]))
				return ev_bad(c, "shapes differ");
		dims[axis] += c->in[k]->dims[axis];
	}
	inner = ev_count(dims, axis + 1, c->in[0]->rank);
	outer = ev_count(dims, 0, axis);
	y = ev_out(c, 0, c->in[0]->type, c->in[0]->rank, dims);
	for (unsigned int k = 0; y && k < c->ins; k++) {
		int64_t size = c->in[k]->dims[axis] * inner;

		for (int64_t i = 0; i < outer; i++)
			memcpy(y + (i * dims[axis] + at) * inner, c->in[k]->v + i * size,
			       (size_t)size * sizeof(*y));
		at += c->in[k]->dims[axis];
	}
	return y ? 0 : -EINVAL;
}

/* Where coordinate @i of a padded axis comes from, or -1 for the constant. */
static int64_t pad_source(char mode, int64_t i, int64_t dim)
{
	if (i >= 0 && i < dim)
		return i;
	switch (mode) {
	case 'e':
		return i < 0 ? 0 : dim - 1;
	case 'w':
		return (i % dim + dim) % dim;
	case 'r':
		if (dim == 1)
			return 0;
		while (i < 0 || i >= dim)
			i = i < 0 ? -i : 2 * (dim - 1) - i;
		return i;
	default:
		return -1;
	}
}

static int run_pad(struct ev_call *c)
{
	int64_t pads[2 * REF_MAX_RANK], axes[REF_MAX_RANK], begin[REF_MAX_RANK] = { 0 };
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 }, from[REF_MAX_RANK];
	int ret = ev_need(c, 1), n, axes_n;
	const struct ev_value *x = c->in[0];
	const Onnx__AttributeProto *a = ev_attr(c, "mode");
	char mode = a ? (char)a->s.data[0] : 'c';
	double value = ev_attr_f(c, "value", 0), *y;
	const int64_t *attr;
	size_t count;

	if (ret)
		return ret;
	n = ev_ints(c, 1, pads, 2 * REF_MAX_RANK);
	attr = ev_attr_ints(c, "pads", &count);
	if (attr && count <= 2 * REF_MAX_RANK) {
		memcpy(pads, attr, count * sizeof(*attr));
		n = (int)count;
	}
	if (c->ins > 2 && c->in[2])
		value = c->in[2]->v[0];
	axes_n = ev_ints(c, 3, axes, REF_MAX_RANK);
	if (n < 0 || n % 2 || (axes_n >= 0 ? axes_n : x->rank) != n / 2)
		return ev_bad(c, "pads");
	memcpy(dims, x->dims, sizeof(dims));
	for (int i = 0; i < n / 2; i++) {
		int axis = ev_axis(axes_n >= 0 ? axes[i] : i, x->rank);

		if (axis < 0)
			return ev_bad(c, "axis");
		begin[axis] = pads[i];
		dims[axis] += pads[i] + pads[n / 2 + i];
		if (!x->dims[axis] && dims[axis] && mode != 'c')
			return ev_bad(c, "nothing to pad with");
	}
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(x->rank, dims, coord)) {
		bool inside = true;

		for (int k = 0; k < x->rank; k++) {
			from[k] = pad_source(mode, coord[k] - begin[k], x->dims[k]);
			inside = inside && from[k] >= 0;
		}
		y[i] = inside ? x->v[ev_at(x, from)] : value;
	}
	return y ? 0 : -EINVAL;
}

static int run_tile(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 }, from[REF_MAX_RANK];
	int ret = ev_need(c, 2);
	const struct ev_value *x = c->in[0];
	double *y;

	if (ret)
		return ret;
	if (ev_ints(c, 1, dims, REF_MAX_RANK) != x->rank)
		return ev_bad(c, "repeats");
	for (int i = 0; i < x->rank; i++)
		dims[i] *= x->dims[i];
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(x->rank, dims, coord)) {
		for (int k = 0; k < x->rank; k++)
			from[k] = coord[k] % x->dims[k];
		y[i] = x->v[ev_at(x, from)];
	}
	return y ? 0 : -EINVAL;
}

/* Both directions between depth and space: [n, c, h, w] by blocks of b x b. */
static int run_depth(struct ev_call *c)
{
	bool to_space = *c->node->op_type == 'D', crd = ev_attr_is(c, "mode", "CRD", "DCR");
	int64_t b = ev_attr_i(c, "blocksize", 0), coord[4] = { 0 };
	int ret = ev_need(c, 1);
	const struct ev_value *x = c->in[0];
	int64_t deep[4], wide[4], *dims = to_space ? wide : deep;
	double *y;

	if (ret)
		return ret;
	if (x->rank != 4 || b < 1)
		return ev_bad(c, "rank or blocksize");
	memcpy(to_space ? deep : wide, x->dims, sizeof(deep));
	if (to_space) {
		memcpy(wide, (int64_t[]){ deep[0], deep[1] / b / b, deep[2] * b, deep[3] * b },
		       sizeof(wide));
		if (deep[1] % (b * b))
			return ev_bad(c, "channels");
	} else {
		memcpy(deep, (int64_t[]){ wide[0], wide[1] * b * b, wide[2] / b, wide[3] / b },
		       sizeof(deep));
		if (wide[2] % b || wide[3] % b)
			return ev_bad(c, "size");
	}
	y = ev_out(c, 0, x->type, 4, dims);
	if (!y)
		return -EINVAL;
	for (int64_t i = 0; i < x->elems; i++, ev_step(4, wide, coord)) {
		int64_t block = coord[2] % b * b + coord[3] % b;
		int64_t channel = crd ? coord[1] * b * b + block : block * wide[1] + coord[1];
		int64_t at = ((coord[0] * deep[1] + channel) * deep[2] + coord[2] / b) * deep[3] +
			coord[3] / b;

		if (to_space)
			y[i] = x->v[at];
		else
			y[at] = x->v[i];
	}
	return 0;
}

static int run_trilu(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	const struct ev_value *x = c->in[0];
	bool upper = ev_attr_i(c, "upper", 1);
	int64_t k = 0, rows, cols;
	double *y;

	if (ret)
		return ret;
	if (x->rank < 2)
		return ev_bad(c, "rank");
	ev_ints(c, 1, &k, 1);
	rows = x->dims[x->rank - 2];
	cols = x->dims[x->rank - 1];
	y = ev_out_like(c, 0, x);
	for (int64_t i = 0; y && i < x->elems; i++) {
		int64_t row = i / cols % rows, col = i % cols;

		y[i] = (upper ? col - row >= k : col - row <= k) ? x->v[i] : 0;
	}
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_move[] = {
	{ "Identity", run_identity, true },
	{ "Dropout", run_dropout, true },
	{ "Reshape", run_reshape, true },
	{ "Flatten", run_flatten, true },
	{ "Squeeze", run_squeeze, true },
	{ "Unsqueeze", run_unsqueeze, true },
	{ "Transpose", run_transpose, true },
	{ "Slice", run_slice, true },
	{ "Expand", run_expand, true },
	{ "Split", run_split, true },
	{ "Concat", run_concat, true },
	{ "Pad", run_pad, true },
	{ "Tile", run_tile, true },
	{ "DepthToSpace", run_depth, true },
	{ "SpaceToDepth", run_depth, true },
	{ "Trilu", run_trilu, true },
	{ NULL, NULL, false }
};
