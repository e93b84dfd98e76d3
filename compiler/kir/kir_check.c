/* SPDX-License-Identifier: MIT */
/*
 * What makes a kernel IR legal: shapes and views, micro-programs, aliasing,
 * and that every element is written before it is read. Messages name the
 * operation's node, so that a wrong pass is found by the network it breaks.
 */
#include "kir_view.h"

#include <errno.h>
#include <stdlib.h>

#include "npu_check.h"
#include "npu_prog.h"

/* Of larger tensors, it is not checked that all elements are written before they are read. */
#define TRACKED_ELEMS	(1ull << 28)

struct check {
	const struct kir *k;
	struct nc_diag *diag;
	/* Of each tensor: bit per written element, and how many are set. */
	uint64_t **written;
	uint64_t *written_elems;
	uint32_t op;
};

static int op_error(const struct check *c, const char *rule, const char *operand)
{
	const struct kir_op *op = c->k->op[c->op];
	const char *node = op->node < c->k->nodes ? c->k->node[op->node].name : "?";

	return nc_error(c->diag, -EINVAL, "kernel IR: operation %u (node '%s')%s%s: %s",
			c->op, node, operand ? ", " : "", operand ? operand : "", rule);
}

/* ---- tensors ---- */

static int check_tensor(const struct kir_tensor *t, uint32_t i, struct nc_diag *diag)
{
	bool outside = t->kind == KIR_INPUT || t->kind == KIR_OUTPUT;
	uint64_t elems = 1;

	if (t->kind > KIR_TEMP)
		return nc_error(diag, -EINVAL, "kernel IR: tensor %u has an unknown kind", i);
	if (t->dtype >= NPU_DTYPES || (!outside && t->dtype != kir_dtype(t->dtype)))
		return nc_error(diag, -EINVAL, "kernel IR: tensor %u '%s': element type is neither f32 nor i32",
				i, t->name);
	if ((!t->elems && !outside) || t->elems > NPU_PROG_BYTES_MAX / 8)
		return nc_error(diag, -EINVAL, "kernel IR: tensor %u '%s' has %llu elements", i,
				t->name, (unsigned long long)t->elems);
	if (t->kind == KIR_CONST && !t->data)
		return nc_error(diag, -EINVAL, "kernel IR: constant %u '%s' has no data", i, t->name);
	if (!outside)
		return 0;
	if (t->rank > NPU_PROG_RANK_MAX)
		return nc_error(diag, -EINVAL, "kernel IR: tensor %u '%s' has rank %u", i, t->name,
				t->rank);
	for (unsigned int d = 0; d < t->rank; d++)
		if (t->dim[d] < 0 || __builtin_mul_overflow(elems, (uint64_t)t->dim[d], &elems))
			return nc_error(diag, -EINVAL, "kernel IR: tensor %u '%s' has a bad dimension",
					i, t->name);
	if (elems != t->elems)
		return nc_error(diag, -EINVAL, "kernel IR: tensor %u '%s': dimensions and elements differ",
				i, t->name);
	return 0;
}

/* ---- micro-programs ---- */

struct program_use {
	unsigned int load[NPU_MAP_OPERANDS];
	unsigned int store[NPU_MAP_OPERANDS];
	uint32_t defined;
};

static const char *check_uop(const struct kir_map *m, uint32_t word, struct program_use *use)
{
	unsigned int op = NPU_UOP_OP(word), dst = NPU_UOP_DST(word);
	unsigned int src[3] = { NPU_UOP_A(word), NPU_UOP_B(word), NPU_UOP_C(word) };
	unsigned int sources = npu_uop_sources(op);

	if (!npu_uop_name(op) || word >> 31)
		return "unknown micro-op";
	if (op == NPU_UOP_LD) {
		if (src[0] >= m->operands || m->operand[src[0]].write || src[1] || src[2])
			return "LD of something that is not a loaded operand";
		use->load[src[0]]++;
		use->defined |= 1u << dst;
		return NULL;
	}
	for (unsigned int i = 0; i < 3; i++) {
		if (i >= sources ? src[i] != 0 : src[i] >= NPU_UOP_CONST + m->consts)
			return "micro-op source out of range";
		if (i < sources && src[i] < NPU_UOP_CONST && !(use->defined >> src[i] & 1))
			return "register read before it is written";
	}
	if (op == NPU_UOP_ST) {
		if (dst >= m->operands || !m->operand[dst].write)
			return "ST to something that is not a written operand";
		use->store[dst]++;
	} else {
		use->defined |= 1u << dst;
	}
	return NULL;
}

static const char *check_program(const struct kir_map *m, unsigned int groups)
{
	struct program_use use = { 0 };
	unsigned int acc = 0, written = 0;

	if (m->operands < 1 || m->operands > NPU_MAP_OPERANDS || m->uops < 1 ||
	    m->uops > NPU_MAP_UOPS || m->consts > NPU_MAP_CONSTS)
		return "map without operands or micro-ops, or too many";
	if (sizeof(struct npu_desc_map) + m->operands * sizeof(struct npu_view) +
	    4 * (m->uops + m->consts) > NPU_DESC_BYTES_MAX)
		return "map does not fit a descriptor";
	for (unsigned int i = 0; i < m->uops; i++) {
		const char *error = check_uop(m, m->uop[i], &use);

		if (error)
			return error;
	}
	for (unsigned int i = 0; i < m->operands; i++) {
		const struct kir_operand *o = &m->operand[i];

		if (o->acc && (o->write || o->acc_group >= groups))
			return "accumulator operand is written, or its group is not there";
		if (!o->acc && o->view.tensor == KIR_NO_TENSOR)
			return "map operand without a tensor";
		if (use.load[i] != !o->write || use.store[i] != o->write)
			return "each operand has one LD or one ST";
		acc += o->acc;
		written += o->write;
	}
	for (unsigned int i = 0; groups && i < m->uops; i++)
		if (NPU_UOP_OP(m->uop[i]) == NPU_UOP_IOTA)
			return "IOTA in an epilogue";
	if (!written || (groups && !acc))
		return "map writes nothing, or an epilogue reads no accumulator";
	return NULL;
}

/* ---- operations ---- */

static bool check_dims(const uint32_t *dim, unsigned int ndim)
{
	uint64_t points = 1;

	if (ndim < 1 || ndim > KIR_DIMS)
		return false;
	for (unsigned int i = 0; i < ndim; i++)
		if (!dim[i] || __builtin_mul_overflow(points, dim[i], &points))
			return false;
	return points <= INT64_MAX / 16;
}

static bool same_dims(const struct kir_map *m, const uint32_t *dim)
{
	if (m->ndim != 4)
		return false;
	for (unsigned int i = 0; i < 4; i++)
		if (m->dim[i] != dim[i])
			return false;
	return true;
}

static const char *check_window(const struct kir_window *w)
{
	const uint32_t positive[] = {
		w->n, w->h, w->w, w->c, w->oh, w->ow, w->k, w->kh, w->kw, w->stride_h,
		w->stride_w, w->dil_h, w->dil_w, w->up_h, w->up_w,
	};

	for (unsigned int i = 0; i < sizeof(positive) / sizeof(positive[0]); i++)
		if (positive[i] < 1 || positive[i] > INT32_MAX)
			return "window field out of range";
	return NULL;
}

static const char *check_conv(const struct kir *k, const struct kir_conv *c)
{
	const struct kir_window *w = &c->win;
	const char *error = check_window(w);

	if (error)
		return error;
	if (c->groups < 1 || w->c % c->groups || w->k % c->groups)
		return "channels are not a multiple of groups";
	if (!same_dims(&c->epilogue, (uint32_t[]){ w->n, w->oh, w->ow, w->k }))
		return "epilogue's dimensions are not n, oh, ow, k";
	if (c->in.tensor >= k->tensors || c->weights.tensor >= k->tensors)
		return "no input or weights";
	if (c->panel > INT32_MAX ||
	    (c->panel && (!kir_conv_packed_elems(c) || c->weights.stride[0] != 1)))
		return "packed weights are not one run of less than 2^32 elements";
	return check_program(&c->epilogue, 1);
}

static const char *check_wgrad(const struct kir *k, const struct kir_wgrad *g)
{
	const struct kir_window *w = &g->win;
	const char *error = check_window(w);

	if (error)
		return error;
	if (g->groups < 1 || w->c % g->groups || w->k % g->groups)
		return "channels are not a multiple of groups";
	if (!same_dims(&g->epilogue, (uint32_t[]){ w->kh, w->kw, w->c / g->groups, w->k }))
		return "epilogue's dimensions are not kh, kw, c / groups, k";
	if (g->in.tensor >= k->tensors || g->dy.tensor >= k->tensors)
		return "no input or gradient";
	return check_program(&g->epilogue, 1);
}

static const char *check_matmul(const struct kir *k, const struct kir_matmul *m)
{
	if (!check_dims((uint32_t[]){ m->b0, m->b1, m->m, m->n, m->k }, 5))
		return "dimension is 0 or too large";
	if (m->groups < 1 || m->n % m->groups)
		return "columns are not a multiple of groups";
	if (!same_dims(&m->epilogue, (uint32_t[]){ m->b0, m->b1, m->m, m->n / m->groups }))
		return "epilogue's dimensions are not b0, b1, m, n / groups";
	if (m->a.tensor >= k->tensors || m->b.tensor >= k->tensors)
		return "no left or right operand";
	return check_program(&m->epilogue, m->groups);
}

static const char *check_reduce(const struct kir *k, const struct kir_reduce *r)
{
	bool arg = r->rop == NPU_ROP_ARGMAX || r->rop == NPU_ROP_ARGMIN;
	enum npu_dtype in, out;

	if (!check_dims(r->dim, r->ndim))
		return "dimension is 0 or too large";
	if (!npu_rop_name(r->rop) || !r->axes || r->axes >> r->ndim)
		return "unknown reduction, or axes out of range";
	if (r->in.tensor >= k->tensors || r->out.tensor >= k->tensors)
		return "no input or output";
	for (unsigned int i = 0; i < r->ndim; i++)
		if ((r->axes >> i & 1) && r->out.stride[i])
			return "output moves along a reduced dimension";
	in = kir_dtype(k->tensor[r->in.tensor].dtype);
	out = kir_dtype(k->tensor[r->out.tensor].dtype);
	if (r->trap && in != NPU_I32)
		return "only integers overflow";
	return out != (arg ? NPU_I32 : in) ? "element types do not match" : NULL;
}

/* The device has one set of steps for values and positions. */
static const char *check_positions(const struct kir *k, const struct kir_window *w,
				   const struct kir_view *values, const struct kir_view *index)
{
	const uint32_t dim[] = { w->n, w->oh, w->ow, w->c };

	if (index->tensor >= k->tensors || kir_dtype(k->tensor[index->tensor].dtype) != NPU_I32)
		return "positions are not i32";
	if ((uint64_t)w->h * w->w > INT32_MAX)
		return "a plane has 2^31 positions or more";
	for (unsigned int i = 0; i < 4; i++)
		if (dim[i] > 1 && index->stride[i] != values->stride[i])
			return "values and positions have other steps";
	return NULL;
}

static const char *check_pool(const struct kir *k, const struct kir_pool *p)
{
	const struct kir_window *w = &p->win;
	const char *error = check_window(w);

	if (error)
		return error;
	if (w->k != w->c || w->up_h != 1 || w->up_w != 1)
		return "pooling with other output channels or upsampling";
	if (p->in.tensor >= k->tensors || p->out.tensor >= k->tensors)
		return "no input or output";
	return p->index.tensor == KIR_NO_TENSOR ? NULL :
		p->average ? "an average has no positions" :
		check_positions(k, w, &p->out, &p->index);
}

static const char *check_unpool(const struct kir *k, const struct kir_unpool *p)
{
	const struct kir_window *w = &p->win;
	const char *error = check_window(w);

	if (error)
		return error;
	if (w->k != w->c || w->up_h != 1 || w->up_w != 1)
		return "pooling with other output channels or upsampling";
	if (p->in.tensor >= k->tensors || p->out.tensor >= k->tensors)
		return "no input or output";
	return check_positions(k, w, &p->in, &p->index);
}

static const char *check_copy(const struct kir *k, const struct kir_copy *c)
{
	if (!check_dims(c->dim, c->ndim))
		return "dimension is 0 or too large";
	if (c->out.tensor >= k->tensors)
		return "no output";
	if (c->in.tensor != KIR_NO_TENSOR &&
	    (c->in.tensor >= k->tensors ||
	     kir_dtype(k->tensor[c->in.tensor].dtype) !=
	     kir_dtype(k->tensor[c->out.tensor].dtype)))
		return "element types do not match";
	return NULL;
}

static const char *check_gather(const struct kir *k, const struct kir_gather *g)
{
	if (!check_dims(g->dim, 4))
		return "dimension is 0 or too large";
	if (g->coords < 1 || g->coords > NPU_GATHER_COORDS || !check_dims(g->limit, g->coords))
		return "no indices, or too many, or a limit out of range";
	for (unsigned int i = 0; i < 3; i++)
		if (g->row_step[i] < 0)
			return "the table runs backwards";
	for (unsigned int i = 0; i < g->coords; i++)
		if (g->step[i] < 0)
			return "the table runs backwards";
	if (!kir_gather_elems(g) || g->table.stride[0] != 1)
		return "the table is not one run of less than 2^32 elements";
	if (g->table.tensor >= k->tensors || g->index.tensor >= k->tensors ||
	    g->data.tensor >= k->tensors)
		return "no table, index or data";
	if (kir_dtype(k->tensor[g->index.tensor].dtype) != NPU_I32 ||
	    kir_dtype(k->tensor[g->table.tensor].dtype) !=
	    kir_dtype(k->tensor[g->data.tensor].dtype))
		return "element types do not match";
	return NULL;
}

static const char *check_shape(const struct kir *k, const struct kir_op *op)
{
	switch (op->kind) {
	case KIR_MATMUL:
		return check_matmul(k, &op->matmul);
	case KIR_CONV:
		return check_conv(k, &op->conv);
	case KIR_WGRAD:
		return check_wgrad(k, &op->wgrad);
	case KIR_MAP:
		return check_dims(op->map.dim, op->map.ndim) ? check_program(&op->map, 0) :
			"dimension is 0 or too large";
	case KIR_REDUCE:
		return check_reduce(k, &op->reduce);
	case KIR_POOL:
		return check_pool(k, &op->pool);
	case KIR_UNPOOL:
		return check_unpool(k, &op->unpool);
	case KIR_COPY:
		return check_copy(k, &op->copy);
	case KIR_GATHER:
		return check_gather(k, &op->gather);
	}
	return "unknown kind";
}

/* Array operands of TE and POOL are F32; maps take both types as bits. */
static bool needs_f32(const struct kir_op *op, const struct kir_access *a)
{
	switch (op->kind) {
	case KIR_MATMUL:
	case KIR_CONV:
	case KIR_WGRAD:
		return !a->in_map;
	case KIR_POOL:
		return a->view != &op->pool.index;
	case KIR_UNPOOL:
		return a->view != &op->unpool.index;
	default:
		return false;
	}
}

static const char *check_view(const struct kir *k, const struct kir_op *op,
			      const struct kir_access *a, struct kir_span *span)
{
	const struct kir_tensor *t;

	if (a->view->tensor >= k->tensors)
		return "tensor is not there";
	t = &k->tensor[a->view->tensor];
	if (kir_span(a->view, a->ndim, a->dim, span) || span->lo < 0 ||
	    (uint64_t)span->hi > t->elems)
		return "view leaves its tensor";
	if (needs_f32(op, a) && kir_dtype(t->dtype) != NPU_F32)
		return "element type is not f32";
	if (!a->write)
		return NULL;
	if (t->kind == KIR_INPUT || t->kind == KIR_CONST)
		return "writes an input or a constant";
	for (unsigned int i = 0; i < a->ndim; i++)
		if (a->dim[i] > 1 && !a->view->stride[i])
			return "writes one element more than once";
	return kir_span_injective(span) ? NULL : "writes one element more than once";
}

/* ---- order of writes and reads ---- */

/* Set or test a run of bits; the number of bits that were not set. */
static uint64_t visit_run(uint64_t *bits, uint64_t first, uint64_t count, bool set)
{
	uint64_t missing = 0;

	while (count) {
		unsigned int shift = first % 64;
		uint64_t n = 64 - shift < count ? 64 - shift : count;
		uint64_t mask = (n == 64 ? UINT64_MAX : (1ull << n) - 1) << shift;

		missing += (uint64_t)__builtin_popcountll(mask & ~bits[first / 64]);
		if (set)
			bits[first / 64] |= mask;
		first += n;
		count -= n;
	}
	return missing;
}

static uint64_t visit_span(uint64_t *bits, const struct kir_span *s, bool set)
{
	bool runs = s->ndim && s->stride[s->ndim - 1] == 1;
	unsigned int outer = runs ? s->ndim - 1 : s->ndim;
	uint64_t length = runs ? s->dim[outer] : 1;
	uint64_t index[KIR_DIMS] = { 0 };
	uint64_t missing = 0;
	int64_t at = s->lo;

	for (;;) {
		unsigned int d = outer;

		missing += visit_run(bits, (uint64_t)at, length, set);
		while (d > 0) {
			d--;
			at += s->stride[d];
			if (++index[d] < s->dim[d])
				break;
			at -= s->stride[d] * (int64_t)s->dim[d];
			index[d] = 0;
			if (d == 0)
				return missing;
		}
		if (!outer)
			return missing;
	}
}

static int mark_written(struct check *c, uint32_t tensor, const struct kir_span *s)
{
	const struct kir_tensor *t = &c->k->tensor[tensor];

	if (c->written_elems[tensor] == t->elems)
		return 0;
	/* A write reaches no element twice: as many as there are, are all. */
	if (s->elems == t->elems || t->elems > TRACKED_ELEMS) {
		c->written_elems[tensor] = t->elems;
		return 0;
	}
	if (!c->written[tensor]) {
		c->written[tensor] = calloc((t->elems + 63) / 64, sizeof(uint64_t));
		if (!c->written[tensor])
			return nc_error(c->diag, -ENOMEM, "out of memory");
	}
	c->written_elems[tensor] += visit_span(c->written[tensor], s, true);
	return 0;
}

static bool is_written(struct check *c, uint32_t tensor, const struct kir_span *s)
{
	const struct kir_tensor *t = &c->k->tensor[tensor];

	if (t->kind == KIR_INPUT || t->kind == KIR_CONST || c->written_elems[tensor] == t->elems)
		return true;
	return c->written[tensor] && !visit_span(c->written[tensor], s, false);
}

/* A written view may meet another one as the identical view of a map, or as itself. */
static bool may_alias(const struct kir_access *w, const struct kir_access *other)
{
	return w->view == other->view || (w->in_map && other->in_map && !other->write &&
	       kir_view_equal(w->view, other->view, w->ndim, w->dim));
}

static int check_op(struct check *c, struct kir_op *op)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	struct kir_span span[KIR_ACCESSES_MAX];
	const char *error = check_shape(c->k, op);
	unsigned int count;
	int ret = 0;

	if (!error && op->node >= c->k->nodes)
		error = "node is not there";
	if (error)
		return op_error(c, error, NULL);
	count = kir_op_accesses(op, access);
	for (unsigned int i = 0; i < count; i++) {
		error = check_view(c->k, op, &access[i], &span[i]);
		if (!error && !access[i].write &&
		    !is_written(c, access[i].view->tensor, &span[i]))
			error = "reads elements that no operation has written";
		if (error)
			return op_error(c, error, access[i].name);
	}
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; access[i].write && j < count; j++)
			if (i != j && access[i].view->tensor == access[j].view->tensor &&
			    !may_alias(&access[i], &access[j]) &&
			    !kir_span_disjoint(&span[i], &span[j]))
				return op_error(c, "writes what another operand uses", access[i].name);
	for (unsigned int i = 0; i < count && !ret; i++)
		if (access[i].write)
			ret = mark_written(c, access[i].view->tensor, &span[i]);
	return ret;
}

static int check_ops(struct check *c)
{
	int ret;

	for (c->op = 0; c->op < c->k->ops; c->op++) {
		ret = check_op(c, c->k->op[c->op]);
		if (ret)
			return ret;
	}
	for (uint32_t i = 0; i < c->k->tensors; i++) {
		const struct kir_tensor *t = &c->k->tensor[i];

		if (t->kind == KIR_OUTPUT && c->written_elems[i] != t->elems)
			return nc_error(c->diag, -EINVAL, "kernel IR: output '%s' is not written whole",
					t->name);
	}
	return 0;
}

int kir_verify(const struct kir *k, struct nc_diag *diag)
{
	struct check c = { .k = k, .diag = diag };
	int ret = 0;

	for (uint32_t i = 0; i < k->tensors && !ret; i++)
		ret = check_tensor(&k->tensor[i], i, diag);
	if (ret)
		return ret;
	c.written = calloc((size_t)k->tensors + 1, sizeof(*c.written));
	c.written_elems = calloc((size_t)k->tensors + 1, sizeof(*c.written_elems));
	if (c.written && c.written_elems)
		ret = check_ops(&c);
	else
		ret = nc_error(diag, -ENOMEM, "out of memory");
	for (uint32_t i = 0; c.written && i < k->tensors; i++)
		free(c.written[i]);
	free(c.written);
	free(c.written_elems);
	return ret;
}
