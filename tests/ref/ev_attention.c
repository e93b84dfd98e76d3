/* SPDX-License-Identifier: MIT */
/* Attention of opsets 23 to 25, and rotary embeddings. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

/**
 * struct heads - Q, K or V as [batch, heads, steps, size], whatever its rank
 * @flat: the tensor is [batch, steps, heads * size]
 */
struct heads {
	const struct ev_value *x;
	int64_t batch, heads, steps, size;
	bool flat;
};

static int get_heads(struct ev_call *c, unsigned int i, int64_t heads, struct heads *h)
{
	const struct ev_value *x = c->in[i];

	h->x = x;
	h->batch = x->dims[0];
	h->flat = x->rank == 3;
	if (h->flat) {
		if (heads < 1 || x->dims[2] % heads)
			return ev_bad(c, "heads");
		h->heads = heads;
		h->steps = x->dims[1];
		h->size = x->dims[2] / heads;
		return 0;
	}
	if (x->rank != 4)
		return ev_bad(c, "rank");
	h->heads = x->dims[1];
	h->steps = x->dims[2];
	h->size = x->dims[3];
	return 0;
}

static double head_get(const struct heads *h, int64_t n, int64_t head, int64_t t, int64_t i)
{
	if (h->flat)
		return h->x->v[((n * h->steps + t) * h->heads + head) * h->size + i];
	return h->x->v[((n * h->heads + head) * h->steps + t) * h->size + i];
}

/* Past and present state of K or V as one tensor [batch, heads, past + steps, size]. */
static int join(struct ev_call *c, const struct heads *h, const struct ev_value *past,
		struct ev_value *all)
{
	int64_t before = past ? past->dims[2] : 0;
	int64_t dims[] = { h->batch, h->heads, before + h->steps, h->size }, i = 0;

	if (ev_alloc(all, h->x->type, 4, dims))
		return ev_bad(c, "too large");
	for (int64_t n = 0; n < dims[0]; n++)
		for (int64_t head = 0; head < dims[1]; head++)
			for (int64_t t = 0; t < dims[2]; t++)
				for (int64_t k = 0; k < dims[3]; k++)
					all->v[i++] = t < before ?
						past->v[((n * dims[1] + head) * before + t) *
							dims[3] + k] :
						head_get(h, n, head, t - before, k);
	return 0;
}

/**
 * struct attention - a node
 * @k: all keys, @v: all values, past ones first
 * @total: of them
 */
struct attention {
	struct ev_call *c;
	struct heads q;
	struct ev_value k, v;
	const struct ev_value *mask, *lengths;
	int64_t total, past;
	double scale, cap;
	int64_t left, right;
	bool causal;
	double *score;
};

/* What is added to the score of key @j: a mask, or -infinity. */
static double bias(const struct attention *a, int64_t n, int64_t head, int64_t i, int64_t j)
{
	int64_t coord[] = { n, head, i, j }, offset = a->past;
	double sum = 0;

	if (a->lengths)
		offset = (int64_t)a->lengths->v[n] - a->q.steps;
	if (a->causal && j > i + offset)
		return -INFINITY;
	if ((a->left >= 0 && j < i + offset - a->left) ||
	    (a->right >= 0 && j > i + offset + a->right))
		return -INFINITY;
	if (a->lengths && (double)j >= a->lengths->v[n])
		return -INFINITY;
	if (a->mask) {
		int64_t width = a->mask->dims[a->mask->rank - 1];

		/* A short mask is padded; one of a single column is broadcast. */
		if (j >= width && width > 1)
			return -INFINITY;
		sum = a->mask->v[ev_at_broadcast(a->mask, 4, coord)];
		if (a->mask->type == EV_BOOL)
			sum = sum ? 0 : -INFINITY;
	}
	return sum;
}

static void softmax(double *x, int64_t count)
{
	double max = -INFINITY, sum = 0;

	for (int64_t j = 0; j < count; j++)
		max = x[j] > max ? x[j] : max;
	for (int64_t j = 0; j < count; j++)
		sum += x[j] = exp(x[j] - max);
	for (int64_t j = 0; j < count; j++)
		x[j] /= sum;
}

/* Probabilities of query @i, and the output of scores that was asked for. */
static void row(const struct attention *a, int64_t n, int64_t head, int64_t i, double *scores)
{
	int64_t group = head / (a->q.heads / a->k.dims[1]);
	const double *k = a->k.v + (n * a->k.dims[1] + group) * a->total * a->q.size;
	int64_t mode = ev_attr_i(a->c, "qk_matmul_output_mode", 0);
	bool seen = false;

	for (int64_t j = 0; j < a->total; j++) {
		double sum = 0;

		for (int64_t d = 0; d < a->q.size; d++)
			sum += head_get(&a->q, n, head, i, d) * k[j * a->q.size + d];
		sum *= a->scale;
		if (scores && mode == 0)
			scores[j] = sum;
		seen |= bias(a, n, head, i, j) > -INFINITY;
		sum += bias(a, n, head, i, j);
		if (scores && mode == 1)
			scores[j] = sum;
		if (a->cap > 0)
			sum = a->cap * tanh(sum / a->cap);
		if (scores && mode == 2)
			scores[j] = sum;
		a->score[j] = sum;
	}
	softmax(a->score, a->total);
	/* A query that sees no key makes zeroes. */
	for (int64_t j = 0; j < a->total && !seen; j++)
		a->score[j] = 0;
	if (scores && mode == 3)
		memcpy(scores, a->score, (size_t)a->total * sizeof(*scores));
}

static const struct ev_value *optional(const struct ev_call *c, unsigned int i)
{
	return i < c->ins ? c->in[i] : NULL;
}

/* Masks may be shorter than the keys, which attend() heeds; one per query all the same. */
static int check_shapes(struct attention *a, const struct heads *k, const struct heads *v)
{
	int64_t past_k[] = { k->batch, k->heads, a->past, k->size };
	int64_t past_v[] = { v->batch, v->heads, a->past, v->size };
	int64_t square[] = { a->q.batch, a->q.heads, a->q.steps, a->total };

	if (k->batch != a->q.batch || v->batch != a->q.batch)
		return ev_bad(a->c, "batch");
	if (a->mask && (a->mask->rank < 2 || a->mask->rank > 4))
		return ev_bad(a->c, "mask");
	if (a->mask && a->mask->dims[a->mask->rank - 1] < a->total)
		square[3] = a->mask->dims[a->mask->rank - 1];
	if (!optional(a->c, 4) != !optional(a->c, 5))
		return ev_bad(a->c, "past");
	return ev_shaped(a->c, 4, 4, past_k) || ev_shaped(a->c, 5, 4, past_v) ||
	       ev_shaped(a->c, 6, 1, &a->q.batch) || ev_spreads(a->c, 3, 4, square) ? -EINVAL : 0;
}

static int attend(struct attention *a)
{
	int64_t size = a->v.dims[3], dims[4] = { a->q.batch, a->q.heads, a->q.steps, size };
	int64_t flat[3] = { a->q.batch, a->q.steps, a->q.heads * size };
	int64_t square[4] = { a->q.batch, a->q.heads, a->q.steps, a->total };
	double *y, *scores = NULL;

	y = a->q.flat ? ev_out(a->c, 0, a->q.x->type, 3, flat) :
			ev_out(a->c, 0, a->q.x->type, 4, dims);
	if (a->c->outs > 3)
		scores = ev_out(a->c, 3, a->q.x->type, 4, square);
	if (!y)
		return -EINVAL;
	for (int64_t r = 0; r < dims[0] * dims[1] * dims[2]; r++) {
		int64_t i = r % dims[2], head = r / dims[2] % dims[1], n = r / dims[2] / dims[1];
		int64_t group = head / (a->q.heads / a->v.dims[1]);
		const double *v = a->v.v + (n * a->v.dims[1] + group) * a->total * size;
		double *to = y + r * size;

		row(a, n, head, i, scores ? scores + r * a->total : NULL);
		if (a->q.flat)
			to = y + ((n * dims[2] + i) * dims[1] + head) * size;
		for (int64_t j = 0; j < a->total; j++)
			for (int64_t d = 0; d < size; d++)
				to[d] += a->score[j] * v[j * size + d];
	}
	return 0;
}

static int run_attention(struct ev_call *c)
{
	struct attention a = { .c = c };
	struct heads k, v;
	int ret = ev_need(c, 3);

	ret = ret ? ret : get_heads(c, 0, ev_attr_i(c, "q_num_heads", 0), &a.q);
	ret = ret ? ret : get_heads(c, 1, ev_attr_i(c, "kv_num_heads", 0), &k);
	ret = ret ? ret : get_heads(c, 2, ev_attr_i(c, "kv_num_heads", 0), &v);
	if (ret)
		return ret;
	if (a.q.size != k.size || k.heads < 1 || a.q.heads % k.heads || k.heads != v.heads ||
	    k.steps != v.steps)
		return ev_bad(c, "shapes");
	a.mask = optional(c, 3);
	a.lengths = optional(c, 6);
	a.past = optional(c, 4) && c->in[4]->rank == 4 ? c->in[4]->dims[2] : 0;
	a.causal = ev_attr_i(c, "is_causal", 0);
	a.left = ev_attr_i(c, "left_window_size", -1);
	a.right = ev_attr_i(c, "right_window_size", -1);
	a.cap = ev_attr_f(c, "softcap", 0);
	a.scale = ev_attr_f(c, "scale", 1 / sqrt((double)a.q.size));
	a.total = a.past + k.steps;
	if (check_shapes(&a, &k, &v))
		return -EINVAL;
	a.score = calloc((size_t)a.total + 1, sizeof(double));
	ret = a.score ? join(c, &k, optional(c, 4), &a.k) : -ENOMEM;
	ret = ret ? ret : join(c, &v, optional(c, 5), &a.v);
	ret = ret ? ret : attend(&a);
	free(a.score);
	if (!ret && c->outs > 1)
		ret = ev_copy(&c->out[1], &a.k);
	if (!ret && c->outs > 2)
		ret = ev_copy(&c->out[2], &a.v);
	ev_free(&a.k);
	ev_free(&a.v);
	return ret;
}

static int run_rotary(struct ev_call *c)
{
	bool interleaved = ev_attr_i(c, "interleaved", 0);
	const struct ev_value *ids, *cosines, *sines;
	int ret = ev_need(c, 3);
	struct heads h;
	int64_t dim, half;
	double *y;

	ret = ret ? ret : get_heads(c, 0, ev_attr_i(c, "num_heads", 0), &h);
	if (ret)
		return ret;
	cosines = c->in[1];
	sines = c->in[2];
	ids = optional(c, 3);
	dim = ev_attr_i(c, "rotary_embedding_dim", 0);
	dim = dim ? dim : h.size;
	half = dim / 2;
	if (dim > h.size || cosines->dims[cosines->rank - 1] != half)
		return ev_bad(c, "dim");
	y = ev_out_like(c, 0, h.x);
	for (int64_t r = 0; y && r < h.batch * h.heads * h.steps; r++) {
		int64_t t = r % h.steps, head = r / h.steps % h.heads, n = r / h.steps / h.heads;
		int64_t at = ids ? (int64_t)ids->v[n * h.steps + t] : n * h.steps + t;
		double *to = y + (h.flat ? (n * h.steps + t) * h.heads + head : r) * h.size;

		if (at < 0 || (at + 1) * half > cosines->elems)
			return ev_bad(c, "position");
		for (int64_t i = dim; i < h.size; i++)
			to[i] = head_get(&h, n, head, t, i);
		for (int64_t i = 0; i < half; i++) {
			int64_t i1 = interleaved ? 2 * i : i, i2 = interleaved ? 2 * i + 1 : half + i;
			double x1 = head_get(&h, n, head, t, i1);
			double x2 = head_get(&h, n, head, t, i2);
			double co = cosines->v[at * half + i], si = sines->v[at * half + i];

			to[i1] = co * x1 - si * x2;
			to[i2] = si * x1 + co * x2;
		}
	}
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_attention[] = {
	{ "Attention", run_attention, false },
	{ "RotaryEmbedding", run_rotary, false },
	{ NULL, NULL, false }
};
