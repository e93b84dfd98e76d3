/* SPDX-License-Identifier: MIT */
/*
 * Slice: a run of operations over a batch becomes, chunk of samples after chunk
 * of samples, the run over that chunk. Tensors inside of the run are then small
 * enough to stay in the scratchpad from their producer to their consumers.
 *
 * requires: legal kernel IR, fused
 * establishes: the same results; tensors inside of sliced runs are per chunk
 *
 * A tensor is sliced by a period: element e belongs to sample
 * e % period / (period / samples), so both [batch][...] and [steps][batch][...]
 * are covered. An operation is sliced along one of its dimensions, if every
 * view of a tensor that the run writes stays within its sample.
 */
#include "nc.h"

#include <string.h>

#include "kir/kir_view.h"

struct use {
	uint32_t first;
	uint32_t last;
	uint32_t last_write;
	uint32_t accesses;
};

struct slice {
	struct nc_back *b;
	struct kir *k;
	/* Tensors before there were chunks. */
	uint32_t tensors;
	int64_t samples;
	/* Per tensor: where it is used, and its period in the current run. */
	struct use *use;
	int64_t *period;
	/* Per tensor of the run: its stand-in for the current chunk. */
	uint32_t *local;
	/* Per operation: the dimension that is sliced. */
	uint8_t *dim;
	uint32_t from;
	uint32_t to;
	struct kir_op **out;
	uint32_t outs;
	uint32_t room;
};

/* ---- dimensions of operations ---- */

static unsigned int op_dims(const struct kir_op *op)
{
	switch (op->kind) {
	case KIR_MATMUL:
		return 3;
	case KIR_CONV:
	case KIR_POOL:
	case KIR_UNPOOL:
		return 1;
	case KIR_MAP:
		return op->map.ndim;
	case KIR_REDUCE:
		return op->reduce.ndim;
	case KIR_COPY:
		return op->copy.ndim;
	case KIR_WGRAD: /* its sum goes over the samples */
	case KIR_GATHER:
		return 0;
	}
	return 0;
}

static uint32_t *op_dim(struct kir_op *op, unsigned int d)
{
	switch (op->kind) {
	case KIR_MATMUL:
		return d == 0 ? &op->matmul.b0 : d == 1 ? &op->matmul.b1 : &op->matmul.m;
	case KIR_CONV:
		return &op->conv.win.n;
	case KIR_POOL:
		return &op->pool.win.n;
	case KIR_UNPOOL:
		return &op->unpool.win.n;
	case KIR_MAP:
		return &op->map.dim[d];
	case KIR_REDUCE:
		return &op->reduce.dim[d];
	default:
		return &op->copy.dim[d];
	}
}

static void set_dim(struct kir_op *op, unsigned int d, uint32_t size)
{
	*op_dim(op, d) = size;
	if (op->kind == KIR_MATMUL || op->kind == KIR_CONV)
		kir_op_map(op)->dim[d] = size;
}

/* Loop of an access that dimension @d drives, or -1. */
static int loop_of(const struct kir_op *op, const struct kir_access *a, unsigned int d)
{
	if (op->kind == KIR_MATMUL && !a->in_map) {
		if (a->view == &op->matmul.bias)
			return -1;
		return a->view == &op->matmul.b && d == 2 ? -1 : (int)d;
	}
	if (op->kind == KIR_CONV && !a->in_map)
		return a->view == &op->conv.in ? 0 : -1;
	return (int)d;
}

static bool has_iota(const struct kir_map *m)
{
	for (unsigned int i = 0; m && i < m->uops; i++)
		if (NPU_UOP_OP(m->uop[i]) == NPU_UOP_IOTA)
			return true;
	return false;
}

/* ---- which dimension ---- */

/* Whether chunks of the run could disturb each other through this tensor. */
static bool is_bound(const struct slice *s, uint32_t tensor)
{
	enum kir_tensor_kind kind = s->k->tensor[tensor].kind;

	return kind != KIR_INPUT && kind != KIR_CONST && s->use[tensor].last_write >= s->from &&
		s->use[tensor].last_write != UINT32_MAX;
}

/* The period that this view has if loop @l is the one over the samples; 0: none. */
static int64_t period_of(const struct slice *s, const struct kir_access *a, int l, uint32_t rows)
{
	const struct kir_view *v = a->view;
	int64_t period, reach;

	if (l < 0 || v->stride[l] <= 0)
		return 0;
	period = v->stride[l] * rows * s->samples;
	if ((int64_t)s->k->tensor[v->tensor].elems % period)
		return 0;
	reach = v->offset % period + v->stride[l] * (rows - 1);
	for (unsigned int i = 0; i < a->ndim; i++) {
		if ((int)i == l || a->dim[i] == 1 || v->stride[i] % period == 0)
			continue;
		if (v->stride[i] < 0)
			return 0;
		reach += v->stride[i] * (int64_t)(a->dim[i] - 1);
	}
	return reach < v->stride[l] * rows ? period : 0;
}

/* Whether @op can be sliced along @d; the periods that follow are in @period. */
static bool try_dim(const struct slice *s, struct kir_op *op, unsigned int d,
		    int64_t period[KIR_ACCESSES_MAX])
{
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count = kir_op_accesses(op, access);
	uint32_t size = *op_dim(op, d), rows;

	if (size < s->samples || size % s->samples ||
	    (op->kind == KIR_REDUCE && (op->reduce.axes >> d & 1)))
		return false;
	rows = (uint32_t)(size / s->samples);
	for (unsigned int i = 0; i < count; i++) {
		uint32_t tensor = access[i].view->tensor;

		period[i] = 0;
		if (!is_bound(s, tensor))
			continue;
		period[i] = period_of(s, &access[i], loop_of(op, &access[i], d), rows);
		if (!period[i] || (s->period[tensor] && s->period[tensor] != period[i]))
			return false;
		for (unsigned int j = 0; j < i; j++)
			if (access[j].view->tensor == tensor && period[j] != period[i])
				return false;
	}
	return true;
}

/*
 * A product over [steps x samples] rows has them as one dimension; its batch
 * dimension takes the steps.
 */
static bool split_rows(const struct slice *s, struct kir_op *op)
{
	struct kir_matmul *m = &op->matmul;
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count = kir_op_accesses(op, access);
	int64_t steps = 0;

	if (op->kind != KIR_MATMUL || m->b1 != 1)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		int64_t period = s->period[access[i].view->tensor];
		int l = loop_of(op, &access[i], 2);
		int64_t span = l < 0 ? 0 : access[i].view->stride[l] * (int64_t)m->m;

		if (period && span > period && span % period == 0 && m->m % (span / period) == 0)
			steps = span / period;
	}
	if (!steps)
		return false;
	m->m /= (uint32_t)steps;
	m->b1 = (uint32_t)steps;
	m->epilogue.dim[1] = m->b1;
	m->epilogue.dim[2] = m->m;
	for (unsigned int i = 0; i < count; i++) {
		int l = loop_of(op, &access[i], 2);

		access[i].view->stride[1] = l < 0 ? 0 : access[i].view->stride[2] * (int64_t)m->m;
	}
	m->bias.stride[1] = 0;
	return true;
}

/* Add operation @index to the run, if it can be sliced. */
static bool extend(struct slice *s, uint32_t index)
{
	int64_t period[KIR_ACCESSES_MAX];
	struct kir_op *op = s->k->op[index];
	struct kir_op before = *op;

	if (has_iota(kir_op_map(op)))
		return false;
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int d = 0; d < op_dims(op); d++) {
			struct kir_access access[KIR_ACCESSES_MAX];
			unsigned int count = kir_op_accesses(op, access);

			if (!try_dim(s, op, d, period))
				continue;
			s->dim[index] = (uint8_t)d;
			for (unsigned int i = 0; i < count; i++)
				if (period[i])
					s->period[access[i].view->tensor] = period[i];
			return true;
		}
		if (round || !split_rows(s, op))
			break;
	}
	*op = before;
	return false;
}

/* ---- what it is worth ---- */

/* Used by the run alone, in slices. */
static bool is_local(const struct slice *s, uint32_t tensor)
{
	return s->k->tensor[tensor].kind == KIR_TEMP && s->period[tensor] &&
		s->use[tensor].first >= s->from && s->use[tensor].last < s->to;
}

/* Most bytes of a sample that local tensors hold at a time, in @peak. */
static int peak_bytes(const struct slice *s, uint64_t *peak)
{
	uint64_t *delta = nc_alloc_array(s->b->arena, (size_t)(s->to - s->from) + 1, sizeof(*delta));
	uint64_t live = 0;

	if (!delta)
		return nc_no_memory(s->b);
	for (uint32_t i = 0; i < s->tensors; i++) {
		uint64_t bytes = npu_ceil_div(s->k->tensor[i].elems * 4, (uint64_t)s->samples);

		if (!is_local(s, i))
			continue;
		delta[s->use[i].first - s->from] += bytes;
		delta[s->use[i].last + 1 - s->from] -= bytes;
	}
	*peak = 0;
	for (uint32_t i = 0; i < s->to - s->from; i++) {
		live += delta[i];
		*peak = npu_max_u64(*peak, live);
	}
	return 0;
}

/* Memory traffic that local tensors save, and what every chunk reads again. */
static void traffic(const struct slice *s, uint64_t *saved, uint64_t *again)
{
	*saved = 0;
	*again = 0;
	for (uint32_t i = 0; i < s->tensors; i++)
		if (is_local(s, i))
			*saved += s->use[i].accesses * s->k->tensor[i].elems * 4;
	for (uint32_t op = s->from; op < s->to; op++) {
		struct kir_access access[KIR_ACCESSES_MAX];
		unsigned int count = kir_op_accesses(s->k->op[op], access);

		for (unsigned int i = 0; i < count; i++) {
			int l = loop_of(s->k->op[op], &access[i], s->dim[op]);
			struct kir_span span;

			if ((l < 0 || !access[i].view->stride[l]) &&
			    !kir_span(access[i].view, access[i].ndim, access[i].dim, &span))
				*again += span.elems * 4;
		}
	}
}

/* Fewest samples with which the array's rows are in use. */
static int64_t least_samples(const struct slice *s)
{
	int64_t least = 1;

	for (uint32_t i = s->from; i < s->to; i++) {
		const struct kir_op *op = s->k->op[i];
		int64_t rows, need;

		if (op->kind != KIR_MATMUL || s->dim[i] != 2)
			continue;
		rows = op->matmul.m / s->samples;
		need = ((int64_t)s->b->target.array_rows + rows - 1) / rows;
		least = need > least ? need : least;
	}
	return least < s->samples ? least : s->samples;
}

/* Samples per chunk; 0: the run stays whole; or -errno. */
static int64_t chunk_samples(const struct slice *s)
{
	uint64_t peak = 0, saved, again, room = nc_resident_limit(s->b);
	int64_t chunk, chunks;
	int ret = peak_bytes(s, &peak);

	if (ret || !peak)
		return ret;
	room -= room / 8;
	chunk = (int64_t)(room / peak);
	if (chunk >= s->samples || chunk < least_samples(s))
		return 0;
	chunks = (s->samples + chunk - 1) / chunk;
	traffic(s, &saved, &again);
	if (again > s->b->limits.spm_bytes / 4 && again * (uint64_t)(chunks - 1) > saved)
		return 0;
	return (s->samples + chunks - 1) / chunks;
}

/* ---- chunks ---- */

static int add_op(struct slice *s, struct kir_op *op)
{
	if (s->outs == s->room) {
		uint32_t room = s->room ? s->room * 2 : 256;
		struct kir_op **out = nc_alloc_array(s->b->arena, room, sizeof(struct kir_op *));

		if (!out)
			return nc_no_memory(s->b);
		if (s->outs)
			memcpy(out, s->out, s->outs * sizeof(struct kir_op *));
		s->out = out;
		s->room = room;
	}
	s->out[s->outs++] = op;
	return 0;
}

/* The stand-in of a local tensor for @samples samples. */
static int64_t local_tensor(struct slice *s, uint32_t tensor, int64_t samples)
{
	struct kir_tensor t = s->k->tensor[tensor];
	int64_t index;

	if (s->local[tensor] != KIR_NO_TENSOR)
		return s->local[tensor];
	t.elems = t.elems / (uint64_t)s->samples * (uint64_t)samples;
	index = kir_add_tensor(s->k, &t);
	if (index >= 0)
		s->local[tensor] = (uint32_t)index;
	return index;
}

/* From the whole tensor to the stand-in, where periods are shorter. */
static void shorten(const struct slice *s, struct kir_view *v, unsigned int ndim,
		    int64_t samples)
{
	int64_t period = s->period[v->tensor], local = period / s->samples * samples;

	for (unsigned int i = 0; i < ndim; i++)
		if (v->stride[i] % period == 0)
			v->stride[i] = v->stride[i] / period * local;
	v->offset = v->offset / period * local + v->offset % period;
}

static int add_sliced(struct slice *s, uint32_t index, int64_t first, int64_t samples)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	struct kir_op *op = nc_alloc(s->b->arena, sizeof(*op));
	unsigned int d = s->dim[index], count;
	uint32_t rows;

	if (!op)
		return nc_no_memory(s->b);
	*op = *s->k->op[index];
	rows = (uint32_t)(*op_dim(op, d) / s->samples);
	count = kir_op_accesses(op, access);
	for (unsigned int i = 0; i < count; i++) {
		struct kir_view *v = access[i].view;
		int l = loop_of(op, &access[i], d);

		if (is_local(s, v->tensor)) {
			int64_t local = local_tensor(s, v->tensor, samples);

			if (local < 0)
				return nc_no_memory(s->b);
			shorten(s, v, access[i].ndim, samples);
			v->tensor = (uint32_t)local;
		} else if (l >= 0) {
			v->offset += first * rows * v->stride[l];
		}
	}
	set_dim(op, d, (uint32_t)(rows * samples));
	return add_op(s, op);
}

static int close_run(struct slice *s)
{
	int64_t chunk = s->to - s->from > 1 ? chunk_samples(s) : 0;
	int ret = 0;

	if (chunk < 0)
		return (int)chunk;
	if (!chunk) {
		for (uint32_t i = s->from; i < s->to && !ret; i++)
			ret = add_op(s, s->k->op[i]);
		return ret;
	}
	for (int64_t first = 0; first < s->samples && !ret; first += chunk) {
		int64_t left = s->samples - first;

		memset(s->local, 0xff, s->tensors * sizeof(*s->local));
		for (uint32_t i = s->from; i < s->to && !ret; i++)
			ret = add_sliced(s, i, first, left < chunk ? left : chunk);
	}
	return ret;
}

/* ---- runs ---- */

static int find_uses(struct slice *s)
{
	s->use = nc_alloc_array(s->b->arena, (size_t)s->k->tensors + 1, sizeof(*s->use));
	if (!s->use)
		return nc_no_memory(s->b);
	for (uint32_t i = 0; i < s->k->tensors; i++)
		s->use[i] = (struct use){ .first = UINT32_MAX, .last_write = UINT32_MAX };
	for (uint32_t i = 0; i < s->k->ops; i++) {
		struct kir_access access[KIR_ACCESSES_MAX];
		unsigned int count = kir_op_accesses(s->k->op[i], access);

		for (unsigned int j = 0; j < count; j++) {
			struct use *u = &s->use[access[j].view->tensor];

			if (u->first == UINT32_MAX)
				u->first = i;
			u->last = i;
			u->accesses++;
			if (access[j].write)
				u->last_write = i;
		}
	}
	return 0;
}

/* The batch: what the first input counts in its first dimension. */
static int64_t find_samples(const struct kir *k)
{
	for (uint32_t i = 0; i < k->tensors; i++)
		if (k->tensor[i].kind == KIR_INPUT)
			return k->tensor[i].rank ? k->tensor[i].dim[0] : 1;
	return 1;
}

int nc_slice(struct nc_back *b)
{
	struct slice s = {
		.b = b, .k = b->k, .tensors = b->k->tensors, .samples = find_samples(b->k),
	};
	int ret;

	if (s.samples < 2)
		return 0;
	ret = find_uses(&s);
	s.period = nc_alloc_array(b->arena, (size_t)s.tensors + 1, sizeof(*s.period));
	s.local = nc_alloc_array(b->arena, (size_t)s.tensors + 1, sizeof(*s.local));
	s.dim = nc_alloc_array(b->arena, (size_t)b->k->ops + 1, sizeof(*s.dim));
	if (!ret && (!s.period || !s.local || !s.dim))
		ret = nc_no_memory(b);
	while (!ret && s.from < b->k->ops) {
		memset(s.period, 0, s.tensors * sizeof(*s.period));
		s.to = s.from;
		while (s.to < b->k->ops && extend(&s, s.to))
			s.to++;
		if (s.to == s.from) {
			ret = add_op(&s, b->k->op[s.from]);
			s.to++;
		} else {
			ret = close_run(&s);
		}
		s.from = s.to;
	}
	if (ret)
		return ret;
	b->k->op = s.out;
	b->k->ops = s.outs;
	return 0;
}
