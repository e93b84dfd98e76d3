/* SPDX-License-Identifier: MIT */
/* Recipes of operators that put the same elements elsewhere, and of shapes. */
#include <string.h>

#include "rand.h"

static int rank_of(const struct rg *g, int v)
{
	return rg_get(g, v)->rank;
}

/* Types that operators of movement take at this opset. */
static unsigned int any_type(const struct rg *g)
{
	return g->opset >= 13 ? RG_ALL : RG_ALL & ~(1u << EV_BF16);
}

static int anything(struct rg *g, int rank_min, int rank_max)
{
	return rg_some(g, any_type(g), rank_min, rank_max, RG_ANY);
}

static bool same(struct rg *g, const char *op)
{
	rg_begin(g, op);
	rg_arg(g, anything(g, 0, 6));
	return rg_commit(g, 1);
}

static bool dropout(struct rg *g, const char *op)
{
	unsigned int outs = 1 + rg_once(g, 3);
	int x = rg_some(g, g->opset < 22 ? 1u << EV_F32 | 1u << EV_F16 : RG_FLOATS, 0, 4, RG_ANY);

	rg_begin(g, op);
	rg_arg(g, x);
	if (rg_once(g, 3))
		rg_arg(g, rg_scalar(g, EV_F32, 0.25));
	return rg_commit(g, outs);
}

/* Factors of @elems as @rank dimensions. */
static void factor(struct rg *g, int64_t elems, int rank, int64_t *dims)
{
	for (int i = 0; i < rank - 1; i++) {
		int64_t d = 1;

		for (int try = 0; try < 8 && elems > 1; try++) {
			d = rg_between(g, 1, elems < 40 ? elems : 40);
			if (elems % d == 0)
				break;
			d = 1;
		}
		dims[i] = d;
		elems /= d;
	}
	dims[rank - 1] = elems;
}

static bool reshape(struct rg *g, const char *op)
{
	int x = anything(g, 0, 6), rank = (int)rg_between(g, 1, 5);
	int64_t dims[REF_MAX_RANK], open;

	if (x < 0)
		return false;
	if (rg_get(g, x)->elems == 1 && rg_once(g, 3))
		rank = 0;
	if (rank)
		factor(g, rg_get(g, x)->elems, rank, dims);
	for (int i = 0; i < rank && i < rank_of(g, x); i++)
		if (dims[i] == rg_get(g, x)->dims[i] && rg_once(g, 3))
			dims[i] = 0;
	open = rg_between(g, 0, 2 * rank);
	if (open < rank && rg_get(g, x)->elems)
		dims[open] = -1;
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, rg_list(g, rank, dims));
	if (g->opset >= 14 && rg_once(g, 8))
		rg_int(g, "allowzero", 1);
	return rg_commit(g, 1);
}

static bool flatten(struct rg *g, const char *op)
{
	int x = anything(g, 1, 5);

	if (x < 0)
		return false;
	rg_begin(g, op);
	rg_arg(g, x);
	if (!rg_once(g, 3))
		rg_int(g, "axis", rg_between(g, -rank_of(g, x), rank_of(g, x)));
	return rg_commit(g, 1);
}

/* A list as an input from opset 13 on, before as an attribute. */
static void put_axes(struct rg *g, int n, const int64_t *axes)
{
	if (g->opset >= 13)
		rg_arg(g, rg_list(g, n, axes));
	else
		rg_ints(g, "axes", (size_t)n, axes);
}

static bool squeeze(struct rg *g, const char *op)
{
	int x = anything(g, 1, 6), n = 0, rank;
	int64_t axes[REF_MAX_RANK];

	if (x < 0)
		return false;
	rank = rank_of(g, x);
	for (int i = 0; i < rank; i++)
		if (rg_get(g, x)->dims[i] == 1 && !rg_once(g, 3))
			axes[n++] = rg_once(g, 2) ? i : i - rank;
	rg_begin(g, op);
	rg_arg(g, x);
	if (n)
		put_axes(g, n, axes);
	return rg_commit(g, 1);
}

static bool unsqueeze(struct rg *g, const char *op)
{
	int x = anything(g, 0, 4), n = (int)rg_between(g, 1, 2), rank;
	int64_t axes[2];

	if (x < 0)
		return false;
	rank = rank_of(g, x) + n;
	for (int i = 0; i < n; i++)
		axes[i] = rg_between(g, -rank, rank - 1);
	rg_begin(g, op);
	rg_arg(g, x);
	put_axes(g, n, axes);
	return rg_commit(g, 1);
}

static bool transpose(struct rg *g, const char *op)
{
	int x = anything(g, 0, 6), rank;
	int64_t perm[REF_MAX_RANK];

	if (x < 0)
		return false;
	rank = rank_of(g, x);
	for (int i = 0; i < rank; i++) {
		int k = (int)rg_below(g, (uint32_t)i + 1);

		perm[i] = perm[k];
		perm[k] = i;
	}
	rg_begin(g, op);
	rg_arg(g, x);
	if (rank && !rg_once(g, 5))
		rg_ints(g, "perm", (size_t)rank, perm);
	return rg_commit(g, 1);
}

static bool slice(struct rg *g, const char *op)
{
	int64_t starts[REF_MAX_RANK], ends[REF_MAX_RANK], axes[REF_MAX_RANK], steps[REF_MAX_RANK];
	int x = anything(g, 1, 5), n = 0, rank, k, all;

	if (x < 0)
		return false;
	rank = rank_of(g, x);
	all = rg_once(g, 4);
	for (int i = 0; i < rank; i++) {
		int64_t d = rg_get(g, x)->dims[i];

		if (!all && rg_once(g, 2))
			continue;
		axes[n] = rg_once(g, 2) ? i : i - rank;
		steps[n] = rg_once(g, 2) ? 1 : rg_once(g, 3) ? -rg_between(g, 1, 3) :
			rg_between(g, 1, 4);
		starts[n] = rg_between(g, -d - 1, d + 1);
		ends[n] = rg_once(g, 3) ? (steps[n] > 0 ? INT64_MAX : INT64_MIN + 1) :
			rg_between(g, -d - 1, d + 1);
		n++;
	}
	if (!n)
		return false;
	k = rg_list(g, n, starts);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, k);
	rg_arg(g, rg_list(g, n, ends));
	if (n == rank && all && rg_once(g, 2))
		return rg_commit(g, 1);
	rg_arg(g, rg_list(g, n, axes));
	rg_arg(g, rg_list(g, n, steps));
	return rg_commit(g, 1);
}

static bool expand(struct rg *g, const char *op)
{
	int x = anything(g, 0, 4), rank, n = 0;
	int64_t dims[REF_MAX_RANK];

	if (x < 0)
		return false;
	rank = rank_of(g, x);
	if (rg_once(g, 2))
		dims[n++] = rg_between(g, 1, 4);
	for (int i = n ? 0 : (int)rg_below(g, (uint32_t)rank + 1); i < rank; i++) {
		int64_t d = rg_get(g, x)->dims[i];

		dims[n++] = d == 1 ? rg_between(g, 1, 5) : rg_once(g, 2) ? 1 : d;
	}
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, rg_list(g, n, dims));
	return rg_commit(g, 1);
}

static bool split(struct rg *g, const char *op)
{
	int x = anything(g, 1, 5), axis, n = (int)rg_between(g, 1, 4);
	int64_t sizes[4], dim, left;

	if (x < 0)
		return false;
	axis = (int)rg_below(g, (uint32_t)rank_of(g, x));
	dim = left = rg_get(g, x)->dims[axis];
	rg_begin(g, op);
	rg_arg(g, x);
	if (axis || rg_once(g, 2))
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rank_of(g, x));
	if (rg_once(g, 2) || (g->opset < 18 && dim % n)) {
		for (int i = 0; i < n - 1; i++)
			left -= sizes[i] = rg_between(g, 0, left);
		sizes[n - 1] = left;
		if (g->opset >= 13)
			rg_arg(g, rg_list(g, n, sizes));
		else
			rg_ints(g, "split", (size_t)n, sizes);
	} else if (g->opset >= 18) {
		if ((dim + n - 1) / n * (n - 1) > dim)
			return false;
		rg_int(g, "num_outputs", n);
	}
	return rg_commit(g, (unsigned int)n);
}

static bool concat(struct rg *g, const char *op)
{
	int x = anything(g, 1, 5), list[8], n = (int)rg_between(g, 1, 5), axis;
	int64_t dims[REF_MAX_RANK];

	if (x < 0)
		return false;
	axis = (int)rg_below(g, (uint32_t)rank_of(g, x));
	list[0] = x;
	memcpy(dims, rg_get(g, x)->dims, sizeof(dims));
	for (int i = 1; i < n; i++) {
		if (rg_once(g, 2))
			dims[axis] = rg_between(g, 1, 9);
		list[i] = rg_once(g, 5) ? x : rg_like(g, rg_get(g, x)->type, rank_of(g, x), dims,
						      RG_ANY);
		if (list[i] < 0)
			return false;
	}
	rg_begin(g, op);
	for (int i = 0; i < n; i++)
		rg_arg(g, list[i]);
	rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rank_of(g, x));
	return rg_commit(g, 1);
}

static bool pad(struct rg *g, const char *op)
{
	static const char *const modes[] = { "constant", "reflect", "edge", "wrap" };
	unsigned int types = RG_FLOATS | RG_INTS | (g->opset >= 13 ? RG_BOOL : 0);
	const char *mode = modes[rg_below(g, g->opset >= 19 ? 4 : 3)];
	int64_t pads[2 * REF_MAX_RANK], axes[REF_MAX_RANK];
	int x, n = 0, rank, picked[REF_MAX_RANK];
	bool some;

	x = rg_some(g, any_type(g) & types, 1, 5, RG_ANY);
	if (x < 0)
		return false;
	rank = rank_of(g, x);
	some = g->opset >= 18 && rg_once(g, 3);
	for (int i = 0; i < rank; i++)
		if (!some || rg_once(g, 2))
			picked[n++] = i;
	for (int i = 0; i < n; i++) {
		int64_t d = rg_get(g, x)->dims[picked[i]], most = *mode == 'c' ? 5 : d - 1;

		axes[i] = rg_once(g, 2) ? picked[i] : picked[i] - rank;
		for (int side = 0; side < 2; side++) {
			int64_t p = rg_once(g, 3) ? 0 : rg_between(g, 0, most < 0 ? 0 :
								   most > 9 ? 9 : most);

			/* Cropping, and what the last dimension has of it. */
			if (rg_once(g, 8) && d > 3)
				p = -1;
			pads[side * n + i] = p;
		}
	}
	rg_begin(g, op);
	if (*mode != 'c' || rg_once(g, 2))
		rg_text(g, "mode", mode);
	rg_arg(g, x);
	rg_arg(g, rg_list(g, 2 * n, pads));
	if (*mode == 'c' && rg_once(g, 2))
		rg_arg(g, rg_scalar(g, rg_get(g, x)->type, 1));
	else if (some)
		rg_arg(g, -1);
	if (some)
		rg_arg(g, rg_list(g, n, axes));
	return rg_commit(g, 1);
}

static bool tile(struct rg *g, const char *op)
{
	int x = anything(g, 1, 4);
	int64_t repeats[REF_MAX_RANK];

	if (x < 0)
		return false;
	for (int i = 0; i < rank_of(g, x); i++)
		repeats[i] = rg_once(g, 2) ? 1 : rg_between(g, 1, 4);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, rg_list(g, rank_of(g, x), repeats));
	return rg_commit(g, 1);
}

static bool depth(struct rg *g, const char *op)
{
	bool to_space = *op == 'D';
	int64_t b = rg_between(g, 1, 3), dims[4], left = g->elems / b / b;

	for (int i = 0; i < 4; i++) {
		dims[i] = rg_dim(g, left < 40 ? left : 40);
		left /= dims[i];
	}
	if (to_space) {
		dims[1] *= b * b;
	} else {
		dims[2] *= b;
		dims[3] *= b;
	}
	rg_begin(g, op);
	rg_arg(g, rg_like(g, rg_type(g, any_type(g)), 4, dims, RG_ANY));
	rg_int(g, "blocksize", b);
	if (to_space && rg_once(g, 2))
		rg_text(g, "mode", rg_once(g, 2) ? "CRD" : "DCR");
	return rg_commit(g, 1);
}

static bool trilu(struct rg *g, const char *op)
{
	int x = rg_some(g, any_type(g) & ~(1u << EV_BF16), 2, 5, RG_ANY);

	rg_begin(g, op);
	rg_arg(g, x);
	if (rg_once(g, 2))
		rg_int(g, "upper", rg_below(g, 2));
	if (rg_once(g, 2))
		rg_arg(g, rg_scalar(g, EV_I64, (double)rg_between(g, -6, 6)));
	return rg_commit(g, 1);
}

/* Something of a shape: its dimensions as known values, put to use. */
static bool shape(struct rg *g, const char *op)
{
	int x = anything(g, 1, 5);

	rg_begin(g, op);
	rg_arg(g, x);
	if (g->opset >= 15 && *op == 'S' && op[1] == 'h') {
		if (rg_once(g, 3))
			rg_int(g, "start", rg_between(g, -3, 2));
		if (rg_once(g, 3))
			rg_int(g, "end", rg_between(g, -2, 4));
	}
	return rg_commit(g, 1);
}

static bool fill(struct rg *g, const char *op)
{
	int rank = (int)rg_between(g, 0, 4), type = rg_type(g, RG_ALL & ~(1u << EV_BF16));
	int64_t dims[REF_MAX_RANK], one = 1;
	struct ev_value x;
	uint8_t data[8];

	rg_shape(g, rank, dims);
	rg_begin(g, op);
	rg_arg(g, rg_list(g, rank, dims));
	if (rg_once(g, 2)) {
		Onnx__AttributeProto *a = ob_attr(&g->b, g->node, "value");

		if (ev_alloc(&x, type, 1, &one))
			return false;
		x.v[0] = type == EV_BOOL ? 1 : 3;
		ev_to_bytes(&x, data);
		a->has_type = 1;
		a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
		a->t = ob_tensor(&g->b, "value", type, 1, &one, data, ev_type_bytes(type));
		ev_free(&x);
	}
	return rg_commit(g, 1);
}

static bool eye(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_ALL & ~(1u << EV_BF16), 2, 2, RG_ANY);

	rg_begin(g, op);
	rg_arg(g, x);
	if (rg_once(g, 2))
		rg_int(g, "k", rg_between(g, -4, 4));
	if (rg_once(g, 2))
		rg_int(g, "dtype", rg_type(g, RG_ALL & ~(1u << EV_BF16)));
	return rg_commit(g, 1);
}

static bool range(struct rg *g, const char *op)
{
	int type = rg_type(g, 1u << EV_F32 | RG_WIDE);
	double start = (double)rg_between(g, -5, 5), step = (double)rg_between(g, 1, 3);
	double limit = start + step * (double)rg_between(g, 0, 40) + (rg_once(g, 2) ? 0.5 : 0);
	int a, b, c;

	if (rg_once(g, 3)) {
		step = -step;
		limit = 2 * start - limit;
	}
	limit = type == EV_F32 ? limit : (double)(int64_t)limit;
	a = rg_given(g, type, 0, NULL, &start, rg_once(g, 8) ? RG_INPUT : RG_KNOWN);
	b = rg_given(g, type, 0, NULL, &limit, rg_once(g, 8) ? RG_INPUT : RG_KNOWN);
	c = rg_given(g, type, 0, NULL, &step, rg_once(g, 8) ? RG_INPUT : RG_KNOWN);
	rg_begin(g, op);
	rg_arg(g, a);
	rg_arg(g, b);
	rg_arg(g, c);
	return rg_commit(g, 1);
}

static bool center(struct rg *g, const char *op)
{
	int x = anything(g, 1, 4), n = 0;
	int64_t axes[REF_MAX_RANK], size[REF_MAX_RANK];
	bool some = rg_once(g, 2);

	if (x < 0)
		return false;
	for (int i = 0; i < rank_of(g, x); i++) {
		if (some && rg_once(g, 2))
			continue;
		axes[n] = rg_once(g, 2) ? i : i - rank_of(g, x);
		size[n++] = rg_between(g, 1, rg_get(g, x)->dims[i] < 9 ? 9 : rg_get(g, x)->dims[i] + 3);
	}
	if (!n)
		return false;
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, rg_list(g, n, size));
	if (some)
		rg_ints(g, "axes", (size_t)n, axes);
	return rg_commit(g, 1);
}

const struct rg_recipe rg_move[] = {
	{ "Identity", 7, 1, same },
	{ "Dropout", 12, 1, dropout },
	{ "Reshape", 7, 8, reshape },
	{ "Flatten", 9, 2, flatten },
	{ "Squeeze", 11, 2, squeeze },
	{ "Unsqueeze", 11, 3, unsqueeze },
	{ "Transpose", 7, 10, transpose },
	{ "Slice", 11, 8, slice },
	{ "Expand", 8, 3, expand },
	{ "Split", 11, 4, split },
	{ "Concat", 7, 6, concat },
	{ "Pad", 11, 4, pad },
	{ "Tile", 7, 2, tile },
	{ "DepthToSpace", 11, 1, depth },
	{ "SpaceToDepth", 7, 1, depth },
	{ "Trilu", 14, 1, trilu },
	{ "Shape", 7, 1, shape },
	{ "Size", 7, 1, shape },
	{ "ConstantOfShape", 9, 1, fill },
	{ "EyeLike", 9, 1, eye },
	{ "CenterCropPad", 18, 1, center },
	{ "Range", 11, 1, range },
	{ NULL, 0, 0, NULL }
};
