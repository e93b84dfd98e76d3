/* SPDX-License-Identifier: MIT */
/* Recipes of windows, products and normalisations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rand.h"

/* The most products in a node: the oracle is slow. */
#define WORK_MOST	1000000

static const char *const auto_pads[] = { "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET" };

/**
 * struct image - what a window slides over
 * @n: spatial axes
 * @kernel: of the window
 */
struct image {
	int n;
	int64_t dims[5], kernel[3];
};

/* Attributes of a window that fits; the operator's own are still to come. */
static void window(struct rg *g, struct image *m, bool dilations, bool auto_pad)
{
	int64_t pads[6], value[3];
	int automatic = auto_pad && rg_once(g, 4) ? (int)rg_below(g, 4) : 3;
	bool same = automatic < 2;

	for (int i = 0; i < m->n; i++)
		value[i] = rg_once(g, 2) ? 1 : rg_between(g, 1, 4);
	if (rg_once(g, 2))
		rg_ints(g, "strides", (size_t)m->n, value);
	for (int i = 0; i < m->n; i++)
		value[i] = rg_once(g, 2) ? 1 : rg_between(g, 1, 3);
	if (dilations && !same && rg_once(g, 3))
		rg_ints(g, "dilations", (size_t)m->n, value);
	for (int i = 0; i < 2 * m->n; i++)
		pads[i] = rg_between(g, 0, m->kernel[i % m->n] - 1);
	if (automatic < 3 || rg_once(g, 5))
		rg_text(g, "auto_pad", auto_pads[automatic]);
	if (automatic == 3 && rg_once(g, 2))
		rg_ints(g, "pads", 2 * (size_t)m->n, pads);
}

/* An image of @channels, or of some when that is 0. */
static int draw_image(struct rg *g, struct image *m, unsigned int types, int64_t channels)
{
	int v = channels || rg_once(g, 2) ? -1 : rg_pick(g, types, 3, 5);
	int64_t left = g->elems;

	if (v >= 0) {
		m->n = rg_get(g, v)->rank - 2;
		memcpy(m->dims, rg_get(g, v)->dims, sizeof(m->dims));
	} else {
		m->n = rg_once(g, 2) ? 2 : (int)rg_between(g, 1, 3);
		m->dims[0] = rg_once(g, 2) ? 1 : rg_between(g, 1, 3);
		m->dims[1] = channels ? channels : rg_dim(g, left / m->dims[0] < 130 ?
							  left / m->dims[0] : 130);
		left /= m->dims[0] * m->dims[1];
		for (int i = 0; i < m->n; i++) {
			m->dims[2 + i] = rg_dim(g, left < 1 ? 1 : left < 70 ? left : 70);
			left /= m->dims[2 + i];
		}
		v = rg_new(g, rg_type(g, types), m->n + 2, m->dims, RG_ANY, RG_DRAWN);
	}
	for (int i = 0; i < m->n; i++)
		m->kernel[i] = rg_between(g, 1, m->dims[2 + i] < 1 ? 1 : m->dims[2 + i] < 5 ?
					  m->dims[2 + i] : rg_once(g, 6) ? 7 : 4);
	return v;
}

static int64_t product(const int64_t *v, int n)
{
	int64_t p = 1;

	for (int i = 0; i < n; i++)
		p *= v[i];
	return p;
}

static int64_t divisor(struct rg *g, int64_t n)
{
	int64_t d = n > 0 ? rg_between(g, 1, n < 8 ? n : 8) : 1;

	while (n % d)
		d--;
	return rg_once(g, 4) && n > 0 ? n : d;
}

static bool conv(struct rg *g, const char *op)
{
	bool back = op[4];
	unsigned int types = RG_FLOATS & ~(g->opset < 22 ? 1u << EV_BF16 : 0);
	struct image m;
	int x = draw_image(g, &m, types, 0), w, b = -1, type;
	int64_t groups, filters, dims[5], per;

	if (x < 0 || !m.dims[1])
		return false;
	type = rg_get(g, x)->type;
	groups = rg_once(g, 2) ? 1 : divisor(g, m.dims[1]);
	per = rg_once(g, 2) ? rg_between(g, 1, 4) : rg_dim(g, 70 / groups < 1 ? 1 : 70 / groups);
	filters = groups * per;
	dims[0] = back ? m.dims[1] : filters;
	dims[1] = back ? per : m.dims[1] / groups;
	memcpy(dims + 2, m.kernel, sizeof(m.kernel));
	if (product(m.dims, m.n + 2) * per * product(m.kernel, m.n) * (back ? 4 : 1) > WORK_MOST)
		return false;
	w = rg_new(g, type, m.n + 2, dims, RG_WEIGHT, rg_once(g, 3) ? RG_INPUT : RG_KNOWN);
	if (rg_once(g, 2))
		b = rg_new(g, type, 1, &filters, RG_ANY, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, w);
	if (b >= 0)
		rg_arg(g, b);
	window(g, &m, true, true);
	if (groups > 1 || rg_once(g, 4))
		rg_int(g, "group", groups);
	if (rg_once(g, 2))
		rg_ints(g, "kernel_shape", (size_t)m.n, m.kernel);
	return rg_commit(g, 1);
}

static bool pool(struct rg *g, const char *op)
{
	bool max = *op == 'M', lp = *op == 'L', indices = max && rg_once(g, 4);
	unsigned int types = RG_FLOATS & ~(g->opset < 22 ? 1u << EV_BF16 : 0);
	struct image m;
	int x;

	if (max && g->opset >= 12)
		types |= 1u << EV_I8 | 1u << EV_U8;
	x = draw_image(g, &m, types, 0);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_ints(g, "kernel_shape", (size_t)m.n, m.kernel);
	window(g, &m, g->opset >= (max ? 10 : lp ? 18 : 19), true);
	if (rg_once(g, 3) && (!lp || g->opset >= 18))
		rg_int(g, "ceil_mode", rg_below(g, 2));
	if (*op == 'A' && rg_once(g, 2))
		rg_int(g, "count_include_pad", rg_below(g, 2));
	if (lp && rg_once(g, 2))
		rg_int(g, "p", rg_between(g, 1, 3));
	if (indices && rg_once(g, 3))
		rg_int(g, "storage_order", rg_below(g, 2));
	return rg_commit(g, 1 + indices);
}

static bool global_pool(struct rg *g, const char *op)
{
	struct image m;
	int x = draw_image(g, &m, RG_FLOATS & ~(g->opset < 22 ? 1u << EV_BF16 : 0), 0);

	rg_begin(g, op);
	rg_arg(g, x);
	if (op[6] == 'L' && rg_once(g, 2))
		rg_int(g, "p", rg_between(g, 1, 3));
	return rg_commit(g, 1);
}

/* A pooling with indices, and its inverse. */
static bool unpool(struct rg *g, const char *op)
{
	struct image m;
	int x = draw_image(g, &m, 1u << EV_F32 | 1u << EV_F16, 0), index;

	rg_begin(g, "MaxPool");
	rg_arg(g, x);
	rg_ints(g, "kernel_shape", (size_t)m.n, m.kernel);
	rg_ints(g, "strides", (size_t)m.n, m.kernel);
	if (!rg_commit(g, 2))
		return false;
	index = (int)g->values - 1;
	rg_begin(g, op);
	rg_arg(g, index - 1);
	rg_arg(g, index);
	/* What the windows leave at the ends changes the indices' meaning. */
	for (int i = 0; i < m.n; i++)
		if (m.dims[2 + i] % m.kernel[i])
			return false;
	rg_ints(g, "kernel_shape", (size_t)m.n, m.kernel);
	rg_ints(g, "strides", (size_t)m.n, m.kernel);
	return rg_commit(g, 1);
}

static bool col2im(struct rg *g, const char *op)
{
	struct image m;
	int64_t dims[3] = { rg_between(g, 1, 2), rg_between(g, 1, 3), 1 }, stride[3];
	int x;

	m.n = (int)rg_between(g, 2, 3);
	for (int i = 0; i < m.n; i++) {
		m.dims[2 + i] = rg_between(g, 1, 9);
		m.kernel[i] = rg_between(g, 1, m.dims[2 + i] < 3 ? m.dims[2 + i] : 3);
		stride[i] = rg_between(g, 1, 3);
		dims[1] *= m.kernel[i];
		dims[2] *= (m.dims[2 + i] - m.kernel[i]) / stride[i] + 1;
	}
	x = rg_new(g, rg_type(g, 1u << EV_F32 | 1u << EV_F16), 3, dims, RG_ANY, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, rg_list(g, m.n, m.dims + 2));
	rg_arg(g, rg_list(g, m.n, m.kernel));
	rg_ints(g, "strides", (size_t)m.n, stride);
	return rg_commit(g, 1);
}

/* ---- Products ---- */

static bool gemm(struct rg *g, const char *op)
{
	int a = rg_some(g, RG_FLOATS, 2, 2, RG_ANY), c = -1, b, type;
	bool ta = rg_once(g, 3), tb = rg_once(g, 2);
	int64_t m, n, k, dims[2];

	if (a < 0)
		return false;
	type = rg_get(g, a)->type;
	k = rg_get(g, a)->dims[!ta];
	m = rg_get(g, a)->dims[ta];
	n = rg_dim(g, 130);
	if (m * n * k > WORK_MOST || n * k > g->elems)
		return false;
	dims[tb] = k;
	dims[!tb] = n;
	b = rg_like(g, type, 2, dims, RG_WEIGHT);
	dims[0] = rg_once(g, 2) ? 1 : m;
	dims[1] = rg_once(g, 4) ? 1 : n;
	if (!rg_once(g, 3))
		c = rg_once(g, 2) ? rg_like(g, type, 1, dims + 1, RG_ANY) :
				    rg_like(g, type, 2, dims, RG_ANY);
	rg_begin(g, op);
	rg_arg(g, a);
	rg_arg(g, b);
	if (c >= 0)
		rg_arg(g, c);
	if (ta)
		rg_int(g, "transA", 1);
	if (tb)
		rg_int(g, "transB", 1);
	if (rg_once(g, 3))
		rg_float(g, "alpha", (float)rg_uniform(g, -1, 2));
	if (rg_once(g, 3))
		rg_float(g, "beta", (float)rg_uniform(g, -1, 2));
	return rg_commit(g, 1);
}

static bool matmul(struct rg *g, const char *op)
{
	int a = rg_some(g, rg_once(g, 20) ? RG_WIDE : RG_FLOATS, 1, 4, RG_ANY), b, rank = 2;
	int64_t dims[REF_MAX_RANK], k, n;
	const struct ev_value *v;

	if (a < 0)
		return false;
	v = rg_get(g, a);
	k = v->dims[v->rank - 1];
	n = rg_dim(g, 130);
	if (v->elems * n > WORK_MOST)
		return false;
	if (rg_once(g, 6)) {
		dims[0] = k;
		rank = 1;
	} else {
		/* Batches of the second are those of the first, one, or more. */
		int lead = v->rank > 2 ? (int)rg_below(g, (uint32_t)v->rank - 1) : 0;

		rank = 0;
		if (v->rank < 4 && rg_once(g, 5) && v->elems * n * 3 < WORK_MOST)
			dims[rank++] = rg_between(g, 1, 3);
		for (int i = 0; v->rank > 2 && !rank && i < lead; i++)
			dims[i] = rg_once(g, 3) ? 1 : v->dims[v->rank - 2 - lead + i];
		rank = rank ? rank : v->rank > 2 ? lead : 0;
		if (rank == 1 && v->rank == 3 && dims[0] != 1 && v->dims[0] != 1)
			dims[0] = v->dims[0];
		dims[rank++] = k;
		dims[rank++] = n;
	}
	if (product(dims, rank) > g->elems)
		return false;
	b = rg_like(g, v->type, rank, dims, RG_WEIGHT);
	rg_begin(g, op);
	rg_arg(g, a);
	rg_arg(g, b);
	return rg_commit(g, 1);
}

static bool einsum(struct rg *g, const char *op)
{
	static const char *const equations[] = {
		"ij,jk->ik", "ij,jk", "ij,kj->ik", "bij,bjk->bik", "i,i->", "i,j->ij", "ij->ji",
		"ij->", "ii->i", "ii->", "bhqd,bhkd->bhqk", "bqhd,bkhd->bhqk", "...ij,...jk->...ik",
		"...i->...", "ij,ij->i", "abc,cd->abd", "abc,bad->dc", "ij,jk,kl->il", "aij,jk->ak",
		"...ii->...i", "bi , oi -> bo", "ab,cd->abcd",
	};
	const char *e = equations[rg_below(g, 22)];
	int64_t size[128], dims[REF_MAX_RANK], work = 1;
	int rank = 0, args[4], n = 0, type = rg_type(g, 1u << EV_F32 | 1u << EV_F16);
	int dots = (int)rg_below(g, 3);

	for (int l = 0; l < 128; l++)
		size[l] = rg_once(g, 3) ? rg_between(g, 1, 3) : rg_dim(g, 33);
	for (const char *s = e;; s++) {
		if (*s == '-' || *s == ',' || !*s) {
			if (product(dims, rank) > g->elems)
				return false;
			args[n++] = rg_like(g, type, rank, dims, RG_ANY);
			work *= product(dims, rank);
			rank = 0;
			if (*s != ',')
				break;
		} else if (*s == '.') {
			for (int d = 0; d < dots; d++)
				dims[rank++] = size[d];
			s += 2;
		} else if (*s != ' ') {
			dims[rank++] = size[(int)*s];
		}
	}
	if (work > WORK_MOST)
		return false;
	rg_begin(g, op);
	for (int i = 0; i < n; i++)
		rg_arg(g, args[i]);
	rg_text(g, "equation", e);
	return rg_commit(g, 1);
}

/* ---- Normalisations ---- */

/* A vector of one value per channel. */
static int per_channel(struct rg *g, int type, int64_t channels, enum rg_style style)
{
	return rg_new(g, type, 1, &channels, style, rg_once(g, 3) ? RG_INPUT : RG_KNOWN);
}

static void epsilon(struct rg *g)
{
	if (rg_once(g, 2))
		rg_float(g, "epsilon", rg_once(g, 2) ? 1e-3f : 0.01f);
}

static bool batch_norm(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS, 2, 5, RG_ANY), args[4], type;
	int64_t channels;

	if (x < 0)
		return false;
	type = rg_get(g, x)->type;
	channels = rg_get(g, x)->dims[1];
	for (int i = 0; i < 4; i++)
		args[i] = per_channel(g, type, channels, i == 3 ? RG_POSITIVE : RG_ANY);
	rg_begin(g, op);
	rg_arg(g, x);
	for (int i = 0; i < 4; i++)
		rg_arg(g, args[i]);
	epsilon(g);
	return rg_commit(g, 1);
}

static bool channel_norm(struct rg *g, const char *op)
{
	bool instance = *op == 'I';
	int x = rg_some(g, RG_FLOATS & ~(g->opset < 22 && instance ? 1u << EV_BF16 : 0), 3, 5,
			RG_ANY), scale, bias, type;
	int64_t channels, groups;

	if (x < 0)
		return false;
	type = rg_get(g, x)->type;
	channels = rg_get(g, x)->dims[1];
	groups = divisor(g, channels);
	if (!channels)
		return false;
	scale = per_channel(g, type, instance || g->opset >= 21 ? channels : groups, RG_ANY);
	bias = per_channel(g, type, instance || g->opset >= 21 ? channels : groups, RG_ANY);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, scale);
	rg_arg(g, bias);
	if (!instance)
		rg_int(g, "num_groups", groups);
	epsilon(g);
	return rg_commit(g, 1);
}

static bool layer_norm(struct rg *g, const char *op)
{
	bool layer = *op == 'L';
	int x = rg_some(g, RG_FLOATS, 1, 4, RG_ANY), scale, bias = -1, axis, rank;
	unsigned int outs = layer && rg_once(g, 5) ? 3 : 1;
	const struct ev_value *v;
	int64_t dims[REF_MAX_RANK];
	int type;

	if (x < 0)
		return false;
	v = rg_get(g, x);
	type = v->type;
	rank = v->rank;
	axis = rg_once(g, 2) ? rank - 1 : (int)rg_below(g, (uint32_t)rank);
	for (int i = axis; i < rank; i++)
		dims[i - axis] = v->dims[i];
	scale = rg_like(g, type, rank - axis, dims, RG_POSITIVE);
	if (layer && rg_once(g, 2))
		bias = rg_like(g, type, rank - axis, dims, RG_ANY);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, scale);
	if (bias >= 0)
		rg_arg(g, bias);
	if (axis != rank - 1 || rg_once(g, 2))
		rg_int(g, "axis", rg_once(g, 2) ? axis : axis - rank);
	epsilon(g);
	return rg_commit(g, outs);
}

static bool mean_variance(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS, 4, 4, RG_ANY), n = 0;
	int64_t axes[4];

	if (x < 0 || rg_get(g, x)->elems > 800)
		return false;
	for (int i = 0; i < 4; i++)
		if (rg_once(g, 2))
			axes[n++] = i;
	rg_begin(g, op);
	rg_arg(g, x);
	if (n && rg_once(g, 2))
		rg_ints(g, "axes", (size_t)n, axes);
	return rg_commit(g, 1);
}

static bool lp_norm(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS & ~(g->opset < 22 ? 1u << EV_BF16 : 0), 1, 4, RG_ANY);

	if (x < 0)
		return false;
	rg_begin(g, op);
	rg_arg(g, x);
	if (rg_once(g, 2))
		rg_int(g, "axis", rg_between(g, -rg_get(g, x)->rank, rg_get(g, x)->rank - 1));
	if (rg_once(g, 2))
		rg_int(g, "p", rg_between(g, 1, 2));
	return rg_commit(g, 1);
}

static bool lrn(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS, 3, 5, RG_ANY);

	rg_begin(g, op);
	rg_arg(g, x);
	rg_int(g, "size", 2 * rg_between(g, 0, 3) + 1);
	if (rg_once(g, 2))
		rg_float(g, "alpha", (float)rg_uniform(g, 0.001, 1));
	if (rg_once(g, 2))
		rg_float(g, "beta", (float)rg_uniform(g, 0.3, 1.2));
	if (rg_once(g, 2))
		rg_float(g, "bias", (float)rg_uniform(g, 0.5, 2));
	return rg_commit(g, 1);
}

const struct rg_recipe rg_nn[] = {
	{ "Conv", 11, 8, conv },
	{ "ConvTranspose", 11, 4, conv },
	{ "MaxPool", 11, 3, pool },
	{ "AveragePool", 11, 3, pool },
	{ "LpPool", 11, 1, pool },
	{ "GlobalMaxPool", 7, 1, global_pool },
	{ "GlobalAveragePool", 7, 1, global_pool },
	{ "GlobalLpPool", 7, 1, global_pool },
	{ "MaxUnpool", 11, 1, unpool },
	{ "Col2Im", 18, 1, col2im },
	{ "Gemm", 13, 6, gemm },
	{ "MatMul", 13, 8, matmul },
	{ "Einsum", 12, 3, einsum },
	{ "BatchNormalization", 15, 2, batch_norm },
	{ "InstanceNormalization", 7, 1, channel_norm },
	{ "GroupNormalization", 18, 1, channel_norm },
	{ "LayerNormalization", 17, 2, layer_norm },
	{ "RMSNormalization", 23, 2, layer_norm },
	{ "MeanVarianceNormalization", 13, 1, mean_variance },
	{ "LpNormalization", 7, 1, lp_norm },
	{ "LRN", 13, 1, lrn },
	{ NULL, 0, 0, NULL }
};
