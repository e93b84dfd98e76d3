/* SPDX-License-Identifier: MIT */
/* Arithmetic on views. */
#include "kir_view.h"

#include <errno.h>
#include <string.h>

struct kir_map *kir_op_map(struct kir_op *op)
{
	switch (op->kind) {
	case KIR_MAP:
		return &op->map;
	case KIR_MATMUL:
		return &op->matmul.epilogue;
	case KIR_CONV:
		return &op->conv.epilogue;
	case KIR_WGRAD:
		return &op->wgrad.epilogue;
	default:
		return NULL;
	}
}

struct access_list {
	struct kir_access *access;
	unsigned int count;
};

static void add_access(struct access_list *l, struct kir_view *view, const char *name,
		       bool write, unsigned int ndim, const uint32_t *dim)
{
	struct kir_access *a = &l->access[l->count];

	if (view->tensor == KIR_NO_TENSOR)
		return;
	*a = (struct kir_access){ .view = view, .name = name, .write = write, .ndim = ndim };
	memcpy(a->dim, dim, ndim * sizeof(*dim));
	l->count++;
}

static void add_map(struct access_list *l, struct kir_map *map)
{
	for (unsigned int i = 0; i < map->operands; i++) {
		struct kir_operand *o = &map->operand[i];
		unsigned int before = l->count;

		if (o->acc)
			continue;
		add_access(l, &o->view, o->write ? "map output" : "map input", o->write,
			   map->ndim, map->dim);
		for (unsigned int j = before; j < l->count; j++)
			l->access[j].in_map = true;
	}
}

uint32_t kir_gather_elems(const struct kir_gather *g)
{
	uint64_t elems = g->dim[3], reach;

	for (unsigned int i = 0; i < 3 + g->coords; i++) {
		uint64_t count = i < 3 ? g->dim[i] : g->limit[i - 3];
		int64_t step = i < 3 ? g->row_step[i] : g->step[i - 3];

		if (__builtin_mul_overflow(count - 1, (uint64_t)step, &reach) ||
		    __builtin_add_overflow(elems, reach, &elems))
			return 0;
	}
	return elems > UINT32_MAX ? 0 : (uint32_t)elems;
}

bool kir_depthwise(const struct kir_window *w, uint32_t groups)
{
	return groups > 1 && groups == w->c && w->k == w->c;
}

static uint64_t group_elems(const struct kir_conv *c)
{
	const struct kir_window *w = &c->win;

	return npu_weight_elems(w->k / c->groups, w->c / c->groups, w->kh, w->kw, c->panel);
}

uint32_t kir_conv_packed_elems(const struct kir_conv *c)
{
	const struct kir_window *w = &c->win;
	uint64_t elems = kir_depthwise(&c->win, c->groups) ? w->k : (uint64_t)w->k / c->groups + c->panel;
	uint64_t limit = UINT32_MAX;

	/* An upper bound first: the product of five dimensions may be too large for 64 bits. */
	if (elems > limit || w->kh > limit / elems || w->kw > limit / (elems *= w->kh))
		return 0;
	elems *= w->kw;
	if (kir_depthwise(&c->win, c->groups))
		return (uint32_t)elems;
	if (w->c > limit / elems)
		return 0;
	return (uint32_t)(group_elems(c) * c->groups);
}

uint64_t kir_conv_packed_at(const struct kir_conv *conv, uint32_t k, uint32_t c, uint32_t y,
			    uint32_t x)
{
	const struct kir_window *w = &conv->win;
	uint32_t k_group = w->k / conv->groups;

	if (kir_depthwise(w, conv->groups))
		return ((uint64_t)y * w->kw + x) * w->k + k;
	return k / k_group * group_elems(conv) +
		npu_weight_index(k % k_group, c, y, x, w->c / conv->groups, w->kh, w->kw,
				 conv->panel);
}

static void add_gather(struct access_list *l, struct kir_gather *g)
{
	const uint32_t index[4] = { g->dim[0], g->dim[1], g->dim[2], g->coords };
	uint32_t elems = kir_gather_elems(g);

	/* What no index names stays, so a scatter needs all of the table. */
	add_access(l, &g->table, "table", false, 1, &elems);
	if (g->scatter)
		add_access(l, &g->table, "table", true, 1, &elems);
	add_access(l, &g->index, "index", false, 4, index);
	add_access(l, &g->data, "data", !g->scatter, 4, g->dim);
}

unsigned int kir_op_accesses(struct kir_op *op, struct kir_access access[KIR_ACCESSES_MAX])
{
	struct access_list l = { .access = access };

	switch (op->kind) {
	case KIR_MATMUL: {
		struct kir_matmul *m = &op->matmul;

		add_access(&l, &m->a, "a", false, 4, (uint32_t[]){ m->b0, m->b1, m->m, m->k });
		add_access(&l, &m->b, "b", false, 4, (uint32_t[]){ m->b0, m->b1, m->k, m->n });
		add_access(&l, &m->bias, "bias", false, 1, (uint32_t[]){ m->n });
		add_map(&l, &m->epilogue);
		break;
	}
	case KIR_CONV: {
		struct kir_conv *c = &op->conv;
		const struct kir_window *w = &c->win;

		add_access(&l, &c->in, "in", false, 4, (uint32_t[]){ w->n, w->h, w->w, w->c });
		if (c->panel)
			add_access(&l, &c->weights, "weights", false, 1,
				   (uint32_t[]){ kir_conv_packed_elems(c) });
		else
			add_access(&l, &c->weights, "weights", false, 4,
				   (uint32_t[]){ w->k, w->c / c->groups, w->kh, w->kw });
		add_access(&l, &c->bias, "bias", false, 1, (uint32_t[]){ w->k });
		add_map(&l, &c->epilogue);
		break;
	}
	case KIR_WGRAD: {
		struct kir_wgrad *g = &op->wgrad;
		const struct kir_window *w = &g->win;

		add_access(&l, &g->in, "in", false, 4, (uint32_t[]){ w->n, w->h, w->w, w->c });
		add_access(&l, &g->dy, "dy", false, 4, (uint32_t[]){ w->n, w->oh, w->ow, w->k });
		add_map(&l, &g->epilogue);
		break;
	}
	case KIR_MAP:
		add_map(&l, &op->map);
		break;
	case KIR_REDUCE: {
		struct kir_reduce *r = &op->reduce;
		uint32_t kept[KIR_DIMS];

		for (unsigned int i = 0; i < r->ndim; i++)
			kept[i] = r->axes >> i & 1 ? 1 : r->dim[i];
		add_access(&l, &r->in, "in", false, r->ndim, r->dim);
		add_access(&l, &r->out, "out", true, r->ndim, kept);
		break;
	}
	case KIR_POOL: {
		struct kir_pool *p = &op->pool;
		const struct kir_window *w = &p->win;

		add_access(&l, &p->in, "in", false, 4, (uint32_t[]){ w->n, w->h, w->w, w->c });
		add_access(&l, &p->out, "out", true, 4, (uint32_t[]){ w->n, w->oh, w->ow, w->c });
		add_access(&l, &p->index, "index", true, 4,
			   (uint32_t[]){ w->n, w->oh, w->ow, w->c });
		break;
	}
	case KIR_UNPOOL: {
		struct kir_unpool *p = &op->unpool;
		const struct kir_window *w = &p->win;

		add_access(&l, &p->in, "in", false, 4, (uint32_t[]){ w->n, w->oh, w->ow, w->c });
		add_access(&l, &p->index, "index", false, 4,
			   (uint32_t[]){ w->n, w->oh, w->ow, w->c });
		add_access(&l, &p->out, "out", true, 4, (uint32_t[]){ w->n, w->h, w->w, w->c });
		break;
	}
	case KIR_COPY:
		add_access(&l, &op->copy.in, "in", false, op->copy.ndim, op->copy.dim);
		add_access(&l, &op->copy.out, "out", true, op->copy.ndim, op->copy.dim);
		break;
	case KIR_GATHER:
		add_gather(&l, &op->gather);
		break;
	}
	return l.count;
}

/* Insert by descending stride; equal strides keep their order. */
static void insert_dim(struct kir_span *s, uint64_t dim, int64_t stride)
{
	unsigned int i = s->ndim++;

	for (; i > 0 && s->stride[i - 1] < stride; i--) {
		s->dim[i] = s->dim[i - 1];
		s->stride[i] = s->stride[i - 1];
	}
	s->dim[i] = dim;
	s->stride[i] = stride;
}

static void merge_dims(struct kir_span *s)
{
	unsigned int kept = 0;

	for (unsigned int i = 1; i < s->ndim; i++) {
		if (s->stride[kept] == (int64_t)s->dim[i] * s->stride[i]) {
			s->dim[kept] *= s->dim[i];
			s->stride[kept] = s->stride[i];
		} else {
			kept++;
			s->dim[kept] = s->dim[i];
			s->stride[kept] = s->stride[i];
		}
	}
	if (s->ndim)
		s->ndim = kept + 1;
}

int kir_span(const struct kir_view *view, unsigned int ndim, const uint32_t *dim,
	     struct kir_span *span)
{
	int64_t lo = view->offset, hi = view->offset;

	*span = (struct kir_span){ .elems = 1 };
	for (unsigned int i = 0; i < ndim; i++) {
		int64_t stride = view->stride[i];
		int64_t extent;

		if (dim[i] <= 1 || stride == 0)
			continue;
		if (__builtin_mul_overflow(stride, (int64_t)dim[i] - 1, &extent) ||
		    stride == INT64_MIN ||
		    __builtin_mul_overflow(span->elems, dim[i], &span->elems) ||
		    __builtin_add_overflow(stride < 0 ? lo : hi, extent, stride < 0 ? &lo : &hi))
			return -EOVERFLOW;
		insert_dim(span, dim[i], stride < 0 ? -stride : stride);
	}
	if (hi == INT64_MAX || span->elems > INT64_MAX)
		return -EOVERFLOW;
	span->lo = lo;
	span->hi = hi + 1;
	merge_dims(span);
	return 0;
}

bool kir_span_injective(const struct kir_span *s)
{
	int64_t reach = 0;

	for (unsigned int i = s->ndim; i-- > 0;) {
		if (s->stride[i] <= reach)
			return false;
		reach += s->stride[i] * (int64_t)(s->dim[i] - 1);
	}
	return true;
}

bool kir_span_dense(const struct kir_span *s)
{
	return kir_span_injective(s) && (uint64_t)(s->hi - s->lo) == s->elems;
}

/* Elements that the dimensions with strides below @period reach, in one period. */
static bool residues(const struct kir_span *s, int64_t period, int64_t *lo, int64_t *hi)
{
	int64_t reach = 0;

	for (unsigned int i = 0; i < s->ndim; i++) {
		if (s->stride[i] < period)
			reach += s->stride[i] * (int64_t)(s->dim[i] - 1);
		else if (s->stride[i] % period)
			return false;
	}
	*lo = s->lo % period;
	if (*lo < 0)
		*lo += period;
	*hi = *lo + reach + 1;
	return *hi <= period;
}

static bool interleaved(const struct kir_span *a, const struct kir_span *b, int64_t period)
{
	int64_t alo, ahi, blo, bhi;

	return residues(a, period, &alo, &ahi) && residues(b, period, &blo, &bhi) &&
	       (ahi <= blo || bhi <= alo);
}

bool kir_span_disjoint(const struct kir_span *a, const struct kir_span *b)
{
	if (a->hi <= b->lo || b->hi <= a->lo)
		return true;
	for (unsigned int i = 0; i < a->ndim; i++)
		if (interleaved(a, b, a->stride[i]))
			return true;
	for (unsigned int i = 0; i < b->ndim; i++)
		if (interleaved(a, b, b->stride[i]))
			return true;
	return false;
}

bool kir_view_equal(const struct kir_view *a, const struct kir_view *b, unsigned int ndim,
		    const uint32_t *dim)
{
	if (a->tensor != b->tensor || a->offset != b->offset)
		return false;
	for (unsigned int i = 0; i < ndim; i++)
		if (dim[i] > 1 && a->stride[i] != b->stride[i])
			return false;
	return true;
}
