/* SPDX-License-Identifier: MIT */
/*
 * Fuse: a map that reads what a product, a convolution or another map has just
 * computed becomes part of it, so that the tensor between them is never stored.
 *
 * requires: legal kernel IR
 * establishes: the same results with fewer operations; tensors that lose their
 *	last reader are no longer written
 */
#include "fuse.h"

#include <string.h>

#include "kir/kir_view.h"
#include "nc.h"

/* How far apart in the list two operations may be: each one between is looked at. */
#define REACH	64

struct fuse {
	struct nc_back *b;
	/* Per tensor: operations that write and read it, and the last writer. */
	uint32_t *writers;
	uint32_t *readers;
	uint32_t *writer;
};

static bool uses_tensor(struct kir_op *op, uint32_t tensor, bool write)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count = kir_op_accesses(op, access);

	for (unsigned int i = 0; i < count; i++)
		if (access[i].view->tensor == tensor && access[i].write == write)
			return true;
	return false;
}

/* Add @by to the counts of the tensors that @op uses, once per tensor. */
static void count_uses(struct fuse *f, uint32_t index, uint32_t by)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count = kir_op_accesses(f->b->k->op[index], access);

	for (unsigned int i = 0; i < count; i++) {
		uint32_t tensor = access[i].view->tensor;
		bool seen = false;

		for (unsigned int j = 0; j < i; j++)
			seen = seen || (access[j].view->tensor == tensor &&
					access[j].write == access[i].write);
		if (seen)
			continue;
		if (access[i].write) {
			f->writers[tensor] += by;
			f->writer[tensor] = index;
		} else {
			f->readers[tensor] += by;
		}
	}
}

static bool has_iota(const struct kir_map *m)
{
	for (unsigned int i = 0; i < m->uops; i++)
		if (NPU_UOP_OP(m->uop[i]) == NPU_UOP_IOTA)
			return true;
	return false;
}

/*
 * Whether @moved can change places with all operations between @from and @to:
 * none of them writes what it uses, or reads what it writes.
 */
static bool can_pass(struct fuse *f, struct kir_op *moved, uint32_t from, uint32_t to)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count = kir_op_accesses(moved, access);

	for (uint32_t i = from + 1; i < to; i++) {
		struct kir_op *op = f->b->k->op[i];

		if (!op)
			continue;
		for (unsigned int j = 0; j < count; j++) {
			uint32_t tensor = access[j].view->tensor;

			if (uses_tensor(op, tensor, true) ||
			    (access[j].write && uses_tensor(op, tensor, false)))
				return false;
		}
	}
	return true;
}

/* The operand of @p that stores what operand @o of @m loads; the nests are one. */
static unsigned int stored_by(const struct kir_map *p, const struct kir_operand *o)
{
	for (unsigned int i = 0; i < p->operands; i++)
		if (p->operand[i].write &&
		    kir_view_equal(&p->operand[i].view, &o->view, p->ndim, p->dim))
			return i;
	return NPU_MAP_OPERANDS;
}

/*
 * Whether the elements of one iteration only meet elements of the same one:
 * what both maps use, one of them writing, they use by one view.
 */
static bool independent(struct kir_op *producer, const struct kir_map *p, const struct kir_map *m)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count;

	for (unsigned int i = 0; i < m->operands; i++) {
		const struct kir_operand *o = &m->operand[i];

		for (unsigned int j = 0; j < p->operands; j++) {
			const struct kir_operand *q = &p->operand[j];

			if (q->acc || q->view.tensor != o->view.tensor || (!q->write && !o->write))
				continue;
			if (!kir_view_equal(&q->view, &o->view, p->ndim, p->dim) ||
			    (q->write && o->write))
				return false;
		}
	}
	if (producer->kind == KIR_MAP)
		return true;
	/* An epilogue runs while other tiles still read what the operation is about. */
	count = kir_op_accesses(producer, access);
	for (unsigned int i = 0; i < m->operands; i++)
		for (unsigned int j = 0; j < count; j++)
			if (m->operand[i].write && !access[j].in_map &&
			    access[j].view->tensor == m->operand[i].view.tensor)
				return false;
	return true;
}

/* Stores of @p that only @m reads. */
static void find_dead_stores(struct fuse *f, const struct kir_map *m, const unsigned int *forward,
			     bool *drop)
{
	memset(drop, 0, NPU_MAP_OPERANDS * sizeof(*drop));
	for (unsigned int i = 0; i < m->operands; i++) {
		uint32_t tensor = m->operand[i].view.tensor;

		if (forward[i] == NPU_MAP_OPERANDS)
			continue;
		drop[forward[i]] = f->b->k->tensor[tensor].kind == KIR_TEMP &&
			f->readers[tensor] == 1 && f->writers[tensor] == 1;
	}
}

/* Values that nobody needs are left out; an epilogue must need its product. */
static bool reads_accumulators(const struct kir_map *m)
{
	for (unsigned int i = 0; i < m->operands; i++)
		if (m->operand[i].acc)
			return true;
	return false;
}

/* The merged map of @producer and @m in @out; false when there is none. */
static bool merge(struct fuse *f, struct kir_op *producer, const struct kir_map *consumer,
		  unsigned int operand, struct kir_map *out)
{
	struct kir_map p = *kir_op_map(producer), m = *consumer;
	struct fuse_atom atom[FUSE_ATOMS];
	unsigned int forward[NPU_MAP_OPERANDS];
	bool drop[NPU_MAP_OPERANDS];
	int atoms = -1;

	for (unsigned int i = 0; i < p.operands && atoms < 0; i++)
		if (p.operand[i].write &&
		    p.operand[i].view.tensor == m.operand[operand].view.tensor)
			atoms = fuse_atoms(&p, &p.operand[i].view, &m, &m.operand[operand].view,
					   atom);
	if (atoms < 0 || !fuse_space(&p, &m, atom, (unsigned int)atoms,
				     producer->kind != KIR_MAP))
		return false;
	if (!independent(producer, &p, &m))
		return false;
	for (unsigned int i = 0; i < m.operands; i++)
		forward[i] = m.operand[i].write ? NPU_MAP_OPERANDS : stored_by(&p, &m.operand[i]);
	find_dead_stores(f, &m, forward, drop);
	if (!fuse_programs(&p, &m, forward, drop, out))
		return false;
	return producer->kind == KIR_MAP || reads_accumulators(out);
}

/* Put the map at @*index into its producer, and say where; false when nothing changes. */
static bool fuse_into(struct fuse *f, uint32_t *at, unsigned int operand)
{
	struct kir *k = f->b->k;
	uint32_t index = *at;
	struct kir_op *op = k->op[index], *producer;
	uint32_t tensor = op->map.operand[operand].view.tensor, from = f->writer[tensor];
	bool hoist, sink;
	struct kir_map out;

	if (k->tensor[tensor].kind == KIR_INPUT || k->tensor[tensor].kind == KIR_CONST ||
	    f->writers[tensor] != 1 || from >= index || index - from > REACH)
		return false;
	producer = k->op[from];
	if (!kir_op_map(producer) || has_iota(&op->map) || has_iota(kir_op_map(producer)))
		return false;
	if (!merge(f, producer, &op->map, operand, &out))
		return false;
	hoist = can_pass(f, op, from, index);
	sink = !hoist && can_pass(f, producer, from, index);
	if (!hoist && !sink)
		return false;
	count_uses(f, from, UINT32_MAX);
	count_uses(f, index, UINT32_MAX);
	*kir_op_map(producer) = out;
	k->op[index] = sink ? producer : NULL;
	k->op[from] = sink ? NULL : producer;
	*at = sink ? index : from;
	count_uses(f, *at, 1);
	return true;
}

static bool fuse_once(struct fuse *f, uint32_t *at)
{
	const struct kir_op *op = f->b->k->op[*at];

	if (op->kind != KIR_MAP)
		return false;
	for (unsigned int i = 0; i < op->map.operands; i++)
		if (!op->map.operand[i].write && fuse_into(f, at, i))
			return true;
	return false;
}

/* What it became may in turn go into another producer. */
static void fuse_op(struct fuse *f, uint32_t index)
{
	while (fuse_once(f, &index))
		;
}

int nc_fuse(struct nc_back *b)
{
	struct kir *k = b->k;
	struct fuse f = { .b = b };
	uint32_t kept = 0;

	f.writers = nc_alloc_array(b->arena, (size_t)k->tensors + 1, sizeof(uint32_t));
	f.readers = nc_alloc_array(b->arena, (size_t)k->tensors + 1, sizeof(uint32_t));
	f.writer = nc_alloc_array(b->arena, (size_t)k->tensors + 1, sizeof(uint32_t));
	if (!f.writers || !f.readers || !f.writer)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < k->ops; i++)
		count_uses(&f, i, 1);
	for (uint32_t i = 0; i < k->ops; i++)
		if (k->op[i])
			fuse_op(&f, i);
	for (uint32_t i = 0; i < k->ops; i++)
		if (k->op[i])
			k->op[kept++] = k->op[i];
	k->ops = kept;
	return 0;
}
