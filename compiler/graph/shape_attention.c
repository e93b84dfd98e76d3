/* SPDX-License-Identifier: MIT */
/* Shapes of attention and of its position encoding. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops.h"
#include "shape.h"

/* Heads, steps and features of input @i: [b, heads, steps, f] or [b, steps, heads f]. */
static int heads_of(struct npu_graph *g, const struct nc_node *n, uint32_t i, int64_t heads,
		    int64_t dim[3])
{
	const struct nc_tensor *t = nc_in(g, n, i), *q = nc_in(g, n, 0);
	char text[NC_SHAPE_TEXT];

	if (t->rank != q->rank || (t->rank != 3 && t->rank != 4) || t->dtype != q->dtype ||
	    t->dim[0] != q->dim[0] || !t->elems)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %u is %s; Q, K and V must all be [batch, heads, steps, features] or all [batch, steps, heads * features]",
				     i, nc_shape_text(t, text));
	if (t->rank == 4) {
		memcpy(dim, t->dim + 1, 3 * sizeof(*dim));
		if (!heads || heads == dim[0])
			return 0;
	} else if (heads > 0 && t->dim[2] % heads == 0) {
		dim[0] = heads;
		dim[1] = t->dim[1];
		dim[2] = t->dim[2] / heads;
		return 0;
	}
	return nc_node_error(&g->diag, n, -EINVAL,
			     "input %u (%s) does not have %" PRId64 " heads", i,
			     nc_shape_text(t, text), heads);
}

/* Steps of the cache that is input @i: [b, heads, steps, features]. */
static int64_t cache_steps(struct npu_graph *g, const struct nc_node *n, uint32_t i,
			   const int64_t *dim)
{
	const struct nc_tensor *t = nc_in(g, n, i), *q = nc_in(g, n, 0);
	char text[NC_SHAPE_TEXT];

	if (!t)
		return 0;
	if (t->rank == 4 && t->dtype == q->dtype && t->dim[0] == q->dim[0] &&
	    t->dim[1] == dim[0] && t->dim[3] == dim[2])
		return t->dim[2];
	return nc_node_error(&g->diag, n, -EINVAL,
			     "input %u is %s; it must be [%" PRId64 ",%" PRId64 ",steps,%" PRId64 "]",
			     i, nc_shape_text(t, text), q->dim[0], dim[0], dim[2]);
}

static int check_mask(struct npu_graph *g, const struct nc_node *n, const struct nc_attention *a)
{
	const struct nc_tensor *m = nc_in(g, n, 3), *len = nc_in(g, n, 6);
	const int64_t dim[] = { a->batch, a->q_heads, a->steps, a->total };
	char text[NC_SHAPE_TEXT];

	if (m && (m->rank < 1 || m->rank > 4 ||
		  (m->dtype != NPU_GRAPH_BOOL && m->dtype != nc_in(g, n, 0)->dtype) ||
		  m->dim[m->rank - 1] > a->total))
		return nc_node_error(&g->diag, n, -EINVAL, "attn_mask %s does not fit",
				     nc_shape_text(m, text));
	for (unsigned int i = 0; m && i + 1 < m->rank; i++)
		if (m->dim[i] != 1 && m->dim[i] != dim[4 - m->rank + i])
			return nc_node_error(&g->diag, n, -EINVAL,
					     "attn_mask %s does not broadcast to [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "]",
					     nc_shape_text(m, text), dim[0], dim[1], dim[2],
					     dim[3]);
	if (len && (len->dtype != NPU_GRAPH_I64 || len->rank != 1 || len->dim[0] != a->batch))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "nonpad_kv_seqlen is %s; it must be i64[%" PRId64 "]",
				     nc_shape_text(len, text), a->batch);
	return 0;
}

/* Causal is a window, too: nothing after the query's own step. */
static int get_window(struct npu_graph *g, const struct nc_node *n, struct nc_attention *a)
{
	int64_t left = nc_attr(n, "left_window_size")->i, right = nc_attr(n, "right_window_size")->i;

	if (left < -1 || right < -1)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "the window is %" PRId64 " and %" PRId64 " steps; -1 is without end",
				     left, right);
	a->left = left < 0 || left > a->steps + a->total ? INT64_MAX : left;
	a->right = right < 0 || right > a->steps + a->total ? INT64_MAX : right;
	if (nc_attr(n, "is_causal")->i)
		a->right = 0;
	if (!nc_in(g, n, 6) || !a->past)
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL,
			     "nonpad_kv_seqlen is for a cache outside; it cannot be used with past_key");
}

int nc_attention_get(struct npu_graph *g, const struct nc_node *n, struct nc_attention *a)
{
	int64_t q[3], k[3], v[3], past, past_values;
	int ret = heads_of(g, n, 0, nc_attr(n, "q_num_heads")->i, q);

	ret = ret ? ret : heads_of(g, n, 1, nc_attr(n, "kv_num_heads")->i, k);
	ret = ret ? ret : heads_of(g, n, 2, nc_attr(n, "kv_num_heads")->i, v);
	if (ret)
		return ret;
	if (q[2] != k[2] || k[0] != v[0] || k[1] != v[1] || q[0] % k[0])
		return nc_node_error(&g->diag, n, -EINVAL,
				     "Q, K and V do not fit: Q and K need the same features, K and V the same steps and heads, and those must divide Q's %" PRId64 " heads",
				     q[0]);
	past = cache_steps(g, n, 4, k);
	past_values = past < 0 ? past : cache_steps(g, n, 5, v);
	if (past_values < 0)
		return (int)past_values;
	if (past != past_values)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "past_key has %" PRId64 " steps, past_value %" PRId64, past,
				     past_values);
	*a = (struct nc_attention){
		.packed = nc_in(g, n, 0)->rank == 3, .batch = nc_in(g, n, 0)->dim[0],
		.q_heads = q[0], .kv_heads = k[0], .steps = q[1], .past = past,
		.total = past + k[1], .features = q[2], .values = v[2],
	};
	ret = check_mask(g, n, a);
	return ret ? ret : get_window(g, n, a);
}

int nc_infer_attention(struct npu_graph *g, struct nc_node *n)
{
	enum npu_graph_dtype dtype = nc_in(g, n, 0)->dtype;
	struct nc_attention a;
	int ret = nc_attention_get(g, n, &a);

	if (ret)
		return ret;

	const int64_t y[2][4] = {
		{ a.batch, a.q_heads, a.steps, a.values },
		{ a.batch, a.steps, a.q_heads * a.values },
	};
	const int64_t key[] = { a.batch, a.kv_heads, a.total, a.features };
	const int64_t value[] = { a.batch, a.kv_heads, a.total, a.values };
	const int64_t qk[] = { a.batch, a.q_heads, a.steps, a.total };
	const int64_t *const dims[] = { key, value, qk };

	ret = nc_tensor_shape(g, n, n->out[0], dtype, a.packed ? 3 : 4, y[a.packed]);
	for (uint32_t i = 1; !ret && i < n->outs; i++)
		ret = nc_tensor_shape(g, n, n->out[i], dtype, 4, dims[i - 1]);
	return ret;
}

int nc_rotary_get(struct npu_graph *g, const struct nc_node *n, struct nc_rotary *r)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *cos = nc_in(g, n, 1), *sin = nc_in(g, n, 2);
	int64_t rotated = nc_attr(n, "rotary_embedding_dim")->i, dim[3];
	char tc[NC_SHAPE_TEXT], ts[NC_SHAPE_TEXT];
	bool ids = nc_in(g, n, 3), fits;
	int ret = heads_of(g, n, 0, x->rank == 3 ? nc_attr(n, "num_heads")->i : 0, dim);

	if (ret)
		return ret;
	*r = (struct nc_rotary){ .batch = x->dim[0], .heads = dim[0], .steps = dim[1],
				 .features = dim[2], .rotated = rotated ? rotated : dim[2] };
	fits = cos->rank == (ids ? 2 : 3) && cos->dtype == x->dtype && sin->dtype == x->dtype &&
	       sin->rank == cos->rank && !memcmp(sin->dim, cos->dim, sizeof(sin->dim));
	fits = fits && r->rotated % 2 == 0 && r->rotated > 0 && r->rotated <= r->features &&
	       cos->dim[cos->rank - 1] == r->rotated / 2;
	if (!ids)
		fits = fits && cos->dim[0] == r->batch && cos->dim[1] == r->steps;
	if (fits)
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL,
			     "caches %s and %s do not fit %" PRId64 " rotated of %" PRId64 " features",
			     nc_shape_text(cos, tc), nc_shape_text(sin, ts), r->rotated,
			     r->features);
}

int nc_infer_rotary(struct npu_graph *g, struct nc_node *n)
{
	struct nc_rotary r;
	int ret = nc_rotary_get(g, n, &r);

	return ret ? ret : nc_infer_same(g, n);
}
