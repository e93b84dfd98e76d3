/* SPDX-License-Identifier: MIT */
/*
 * Attention: softmax(scale q k^T + bias) v per head. Heads that share a key (grouped
 * queries) are rows of one product. RotaryEmbedding turns pairs of features.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "expand.h"

static const int64_t swap_heads[] = { 0, 2, 1, 3 };
static const int64_t swap_last[] = { 0, 1, 3, 2 };

/* [b, steps, heads f] as [b, heads, steps, f]. */
static uint32_t split_heads(const struct nc_expand *e, uint32_t t, int64_t heads)
{
	const struct nc_tensor *x = nc_x_get(e, t);
	const int64_t dim[] = { x->dim[0], x->dim[1], heads, x->dim[2] / heads };

	if (x->rank == 4)
		return t;
	return nc_x_transpose(e, nc_x_reshape(e, t, 4, dim), swap_heads);
}

/* The back way, if the operator has packed heads. */
static uint32_t join_heads(const struct nc_expand *e, uint32_t t, bool packed)
{
	const struct nc_tensor *x = nc_x_get(e, t);
	const int64_t dim[] = { x->dim[0], x->dim[2], x->dim[1] * x->dim[3] };

	if (!packed)
		return t;
	return nc_x_reshape(e, nc_x_transpose(e, t, swap_heads), 3, dim);
}

/* Input @i with the cache of input @past before it; output @present. */
static uint32_t with_past(const struct nc_expand *e, uint32_t i, uint32_t past, uint32_t present,
			  int64_t heads)
{
	uint32_t t[] = { nc_x_in(e, past), split_heads(e, nc_x_in(e, i), heads) };
	bool cached = t[0] != NC_NONE;

	t[0] = nc_x_concat(e, 2, 1 + cached, t + !cached);
	nc_x_result(e, present, t[0]);
	return t[0];
}

/* Queries of heads [b, heads, m, k] times [b, kv_heads, k, n]. */
static uint32_t head_product(const struct nc_expand *e, const struct nc_attention *a,
			     uint32_t left, uint32_t right)
{
	const struct nc_tensor *l = nc_x_get(e, left), *r = nc_x_get(e, right);
	const int64_t group = a->q_heads / a->kv_heads;
	const int64_t wide[] = { a->batch, a->kv_heads, group, l->dim[2], l->dim[3] };
	const int64_t shared[] = { a->batch, a->kv_heads, 1, r->dim[2], r->dim[3] };
	const int64_t flat[] = { a->batch, a->q_heads, l->dim[2], r->dim[3] };

	if (group == 1)
		return nc_x_2(e, NC_OP_MatMul, left, right);
	return nc_x_reshape(e, nc_x_2(e, NC_OP_MatMul, nc_x_reshape(e, left, 5, wide),
				      nc_x_reshape(e, right, 5, shared)), 4, flat);
}

static enum npu_graph_dtype type_of(const struct nc_expand *e)
{
	return nc_x_get(e, nc_x_in(e, 0))->dtype;
}

/* 0 where @seen is true, else -inf. */
static uint32_t exclude(const struct nc_expand *e, uint32_t seen)
{
	return nc_x_where(e, seen, nc_x_cast(e, nc_x_float(e, 0), type_of(e)),
			  nc_x_cast(e, nc_x_float(e, -INFINITY), type_of(e)));
}

/* A mask that is shorter than the keys excludes the rest. */
static uint32_t mask_bias(const struct nc_expand *e, const struct nc_attention *a)
{
	const struct nc_tensor *m = nc_x_get(e, nc_x_in(e, 3));
	uint32_t mask = nc_x_in(e, 3), last = nc_x_float(e, -INFINITY);
	int64_t pad[8] = { 0 };

	if (mask == NC_NONE)
		return mask;
	if (m->dtype == NPU_GRAPH_BOOL)
		mask = exclude(e, mask);
	if (m->dim[m->rank - 1] == a->total)
		return mask;
	pad[2 * m->rank - 1] = a->total - m->dim[m->rank - 1];
	return nc_x_node(e, NC_OP_Pad, NULL, 3,
			 (const uint32_t[]){ mask, nc_x_ints(e, pad, 2 * m->rank),
					     nc_x_cast(e, last, type_of(e)) });
}

/* j - i of query i and key j, as [steps, total]; the past comes off. */
static uint32_t distances(const struct nc_expand *e, const struct nc_attention *a, int64_t past)
{
	const int64_t dim[] = { a->steps, a->total };
	int64_t *data = nc_x_alloc(e, a->steps * a->total, sizeof(*data));
	int64_t t;

	if (!data)
		return NC_NONE;
	for (int64_t i = 0; i < a->steps; i++)
		for (int64_t k = 0; k < a->total; k++)
			data[i * a->total + k] = k - i - past;
	t = nc_graph_const(e->g, NULL, NPU_GRAPH_I64, 2, dim, data);
	return t < 0 ? NC_NONE : (uint32_t)t;
}

/* Both hold; either may be none. */
static uint32_t both(const struct nc_expand *e, uint32_t a, uint32_t b)
{
	return a == NC_NONE || b == NC_NONE ? (a == NC_NONE ? b : a) :
					      nc_x_2(e, NC_OP_And, a, b);
}

/*
 * Which keys a query may see by their places: up to its own if causal, in its
 * window, and none of the padding beyond an example's length. The last query is
 * at the last of the keys that are there. NC_NONE: all.
 */
static uint32_t seen_places(const struct nc_expand *e, const struct nc_attention *a)
{
	const int64_t scalar[] = { a->batch, 1, 1, 1 }, range[] = { 1, a->total };
	uint32_t len = nc_x_in(e, 6), seen = NC_NONE, at;

	if (len != NC_NONE) {
		len = nc_x_reshape(e, len, 4, scalar);
		at = nc_x_slice(e, distances(e, a, 0), 0, 0, 1, 1);
		seen = nc_x_2(e, NC_OP_Less, nc_x_reshape(e, at, 2, range), len);
	}
	if (a->left == INT64_MAX && a->right == INT64_MAX)
		return seen;
	if (len == NC_NONE)
		at = distances(e, a, a->past);
	else
		at = nc_x_2(e, NC_OP_Sub, distances(e, a, -a->steps), len);
	if (a->right < INT64_MAX)
		seen = both(e, seen, nc_x_2(e, NC_OP_LessOrEqual, at, nc_x_ints(e, &a->right, 1)));
	if (a->left < INT64_MAX)
		seen = both(e, seen, nc_x_2(e, NC_OP_GreaterOrEqual, at,
					    nc_x_ints(e, (const int64_t[]){ -a->left }, 1)));
	return seen;
}

static uint32_t add_bias(const struct nc_expand *e, uint32_t t, uint32_t bias)
{
	return bias == NC_NONE ? t : nc_x_2(e, NC_OP_Add, t, bias);
}

/* scale q k^T + @bias, capped: what the softmax sees. */
static uint32_t scores(const struct nc_expand *e, const struct nc_attention *a, uint32_t q,
		       uint32_t k, uint32_t bias)
{
	const struct nc_attr *given = nc_attr_given(e->n, "scale");
	float cap = nc_attr(e->n, "softcap")->f;
	int64_t mode = nc_attr(e->n, "qk_matmul_output_mode")->i;
	uint32_t t;

	t = head_product(e, a, q, nc_x_transpose(e, k, swap_last));
	t = nc_x_scalar(e, NC_OP_Mul, t, given ? given->f : 1 / sqrtf((float)a->features));
	if (mode == 0)
		nc_x_result(e, 3, t);
	t = add_bias(e, t, bias);
	if (mode == 1)
		nc_x_result(e, 3, t);
	if (cap > 0) {
		t = nc_x_1(e, NC_OP_Tanh, nc_x_scalar(e, NC_OP_Div, t, cap));
		t = nc_x_scalar(e, NC_OP_Mul, t, cap);
	}
	if (mode == 2)
		nc_x_result(e, 3, t);
	return t;
}

/* The softmax; a query that sees no key has 0 everywhere. */
static uint32_t weights(const struct nc_expand *e, uint32_t t, uint32_t bias)
{
	uint32_t none, last;

	t = nc_x_node(e, NC_OP_Softmax, NC_X_ATTRS(NC_X_INT("axis", -1)), 1, &t);
	if (bias == NC_NONE)
		return t;
	last = nc_x_reduce(e, NC_OP_ReduceMax, bias, 1u << (nc_x_get(e, bias)->rank - 1));
	none = nc_x_2(e, NC_OP_Equal, last, nc_x_cast(e, nc_x_float(e, -INFINITY), type_of(e)));
	return nc_x_where(e, none, nc_x_cast(e, nc_x_float(e, 0), type_of(e)), t);
}

int nc_expand_attention(const struct nc_expand *e)
{
	uint32_t q, k, v, t, seen, bias;
	struct nc_attention a;
	int ret = nc_attention_get(e->g, e->n, &a);

	if (ret)
		return ret;
	q = split_heads(e, nc_x_in(e, 0), a.q_heads);
	k = with_past(e, 1, 4, 1, a.kv_heads);
	v = with_past(e, 2, 5, 2, a.kv_heads);
	bias = mask_bias(e, &a);
	seen = seen_places(e, &a);
	if (seen != NC_NONE)
		bias = add_bias(e, exclude(e, seen), bias);
	t = scores(e, &a, q, k, bias);
	/* Causal by itself shows the first key to every query. */
	if (nc_x_in(e, 3) == NC_NONE && nc_x_in(e, 6) == NC_NONE && a.left == INT64_MAX)
		bias = NC_NONE;
	t = weights(e, t, bias);
	if (nc_attr(e->n, "qk_matmul_output_mode")->i == 3)
		nc_x_result(e, 3, t);
	nc_x_result(e, 0, join_heads(e, head_product(e, &a, t, v), a.packed));
	return nc_x_done(e);
}

/* A cache over [b, heads, steps, rotated / 2]. */
static uint32_t rotary_cache(const struct nc_expand *e, const struct nc_rotary *r, uint32_t i)
{
	const int64_t dim[] = { r->batch, 1, r->steps, r->rotated / 2 };
	uint32_t t = nc_x_in(e, i);

	if (nc_x_in(e, 3) != NC_NONE)
		t = nc_x_2(e, NC_OP_Gather, t, nc_x_in(e, 3));
	return nc_x_reshape(e, t, 4, dim);
}

/* The first or second features of all pairs. */
static uint32_t rotary_half(const struct nc_expand *e, const struct nc_rotary *r, uint32_t x,
			    int64_t which)
{
	int64_t half = r->rotated / 2;

	if (nc_attr(e->n, "interleaved")->i)
		return nc_x_slice(e, x, 3, which, r->rotated, 2);
	return nc_x_slice(e, x, 3, which * half, (which + 1) * half, 1);
}

/* The halves in their places again. */
static uint32_t rotary_join(const struct nc_expand *e, const struct nc_rotary *r, uint32_t *half)
{
	const int64_t column[] = { r->batch, r->heads, r->steps, r->rotated / 2, 1 };
	const int64_t row[] = { r->batch, r->heads, r->steps, r->rotated };

	if (!nc_attr(e->n, "interleaved")->i)
		return nc_x_concat(e, 3, 2, half);
	half[0] = nc_x_reshape(e, half[0], 5, column);
	half[1] = nc_x_reshape(e, half[1], 5, column);
	return nc_x_reshape(e, nc_x_concat(e, 4, 2, half), 4, row);
}

int nc_expand_rotary(const struct nc_expand *e)
{
	struct nc_rotary r;
	uint32_t x, cos, sin, a, b, part[2];
	int ret = nc_rotary_get(e->g, e->n, &r);

	if (ret)
		return ret;
	x = split_heads(e, nc_x_in(e, 0), r.heads);
	cos = rotary_cache(e, &r, 1);
	sin = rotary_cache(e, &r, 2);
	a = rotary_half(e, &r, x, 0);
	b = rotary_half(e, &r, x, 1);
	part[0] = nc_x_2(e, NC_OP_Sub, nc_x_2(e, NC_OP_Mul, cos, a), nc_x_2(e, NC_OP_Mul, sin, b));
	part[1] = nc_x_2(e, NC_OP_Add, nc_x_2(e, NC_OP_Mul, sin, a), nc_x_2(e, NC_OP_Mul, cos, b));
	part[0] = rotary_join(e, &r, part);
	part[1] = nc_x_slice(e, x, 3, r.rotated, r.features, 1);
	part[0] = nc_x_concat(e, 3, 1 + (r.rotated < r.features), part);
	nc_x_result(e, 0, join_heads(e, part[0], nc_x_get(e, nc_x_in(e, 0))->rank == 3));
	return nc_x_done(e);
}
