/* SPDX-License-Identifier: MIT */
/*
 * Plan: which tensors live in SPM as a whole, from their first write to their
 * last read, and where. The rest of the scratchpad is the tiles'.
 *
 * requires: legal kernel IR
 * establishes: nc_back.home in SPM and of inputs and outputs, .cache_from.
 *	Views of resident tensors can be used in place by every operation.
 */
#include "nc.h"

#include <errno.h>
#include <stdlib.h>

#include "kir/kir_view.h"
#include "npu_prog.h"

#define IO_REGS	(NPU_PROG_REG_FIRST_TEMP - NPU_PROG_REG_FIRST_IO)

/* A register per input and output; more of them share registers in equal parts. */
static int assign_io(struct nc_back *b)
{
	uint64_t end[NPU_PROG_REG_FIRST_TEMP] = { 0 };
	uint32_t count = 0, next = 0;

	for (uint32_t i = 0; i < b->k->tensors; i++)
		count += b->k->tensor[i].kind == KIR_INPUT || b->k->tensor[i].kind == KIR_OUTPUT;
	if (count > NPU_PROG_TENSORS_MAX)
		return nc_error(b->diag, -E2BIG, "%u inputs and outputs; a program has at most %u",
				count, NPU_PROG_TENSORS_MAX);
	for (uint32_t i = 0; i < b->k->tensors; i++) {
		const struct kir_tensor *t = &b->k->tensor[i];
		struct nc_home *home = &b->home[i];
		uint64_t bytes = t->elems * npu_dtype_bytes(t->dtype);

		if (t->kind != KIR_INPUT && t->kind != KIR_OUTPUT)
			continue;
		home->reg = (uint8_t)(NPU_PROG_REG_FIRST_IO +
				      (count <= IO_REGS ? next : (uint64_t)next * IO_REGS / count));
		home->offset_bytes = end[home->reg];
		end[home->reg] += (bytes + NC_ALIGN_BYTES - 1) / NC_ALIGN_BYTES * NC_ALIGN_BYTES;
		next++;
	}
	return 0;
}

/* ---- residents ---- */

/**
 * struct candidate - a tensor that could be resident
 * @first: operation that touches it first
 * @last: and last
 * @uses: how often it is touched
 * @unfit: some operation cannot use it in place
 */
struct candidate {
	uint32_t tensor;
	uint32_t first;
	uint32_t last;
	uint32_t uses;
	bool unfit;
	uint64_t bytes;
	uint64_t at;
};

/* Windows and vectors want their innermost loop contiguous. */
static bool fits_in_place(const struct kir_op *op, const struct kir_access *a)
{
	bool window = op->kind == KIR_CONV || op->kind == KIR_WGRAD || op->kind == KIR_POOL ||
		op->kind == KIR_UNPOOL;
	bool bias = (op->kind == KIR_MATMUL && a->view == &op->matmul.bias) ||
		(op->kind == KIR_CONV && a->view == &op->conv.bias);
	unsigned int inner = a->ndim - 1;

	if (op->kind == KIR_GATHER) {
		/* DMA reaches the table in memory only. */
		if (a->view == &op->gather.table)
			return false;
		return a->view == &op->gather.index || a->dim[inner] == 1 ||
			a->view->stride[inner] == 1;
	}
	if (a->in_map || (!window && !bias))
		return true;
	/* Descriptors of some of the channels need those of all taps together. */
	if (op->kind == KIR_CONV && a->view == &op->conv.weights && kir_depthwise(&op->conv.win, op->conv.groups))
		return false;
	return a->dim[inner] == 1 || a->view->stride[inner] == 1;
}

/* All tensors between operations; returns their number. */
static uint32_t list_candidates(struct nc_back *b, struct candidate *c, uint32_t *index)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < b->k->ops; i++) {
		struct kir_access access[KIR_ACCESSES_MAX];
		unsigned int accesses = kir_op_accesses(b->k->op[i], access);

		for (unsigned int j = 0; j < accesses; j++) {
			uint32_t tensor = access[j].view->tensor;
			const struct kir_tensor *t = &b->k->tensor[tensor];
			struct candidate *at;

			if (t->kind != KIR_TEMP)
				continue;
			if (!index[tensor]) {
				c[count] = (struct candidate){
					.tensor = tensor,
					.first = i,
					.bytes = npu_ceil_div(t->elems * npu_dtype_bytes(kir_dtype(t->dtype)),
							      NC_ALIGN_BYTES) * NC_ALIGN_BYTES,
				};
				index[tensor] = ++count;
			}
			at = &c[index[tensor] - 1];
			at->last = i;
			at->uses++;
			at->unfit = at->unfit || !fits_in_place(b->k->op[i], &access[j]);
		}
	}
	return count;
}

/* Most uses per operation of its life first: those free their place soonest. */
static int by_worth(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	uint64_t xs = (uint64_t)x->uses * (y->last - y->first + 1);
	uint64_t ys = (uint64_t)y->uses * (x->last - x->first + 1);

	if (xs != ys)
		return xs > ys ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static int by_place(const void *a, const void *b)
{
	const struct candidate *const *x = a, *const *y = b;

	return (*x)->at < (*y)->at ? -1 : (*x)->at > (*y)->at;
}

/* Lowest place that nobody has while @c lives; false above @limit. */
static bool find_place(struct candidate *c, struct candidate **placed, uint32_t count,
		       struct candidate **busy, uint64_t limit)
{
	uint32_t n = 0;
	uint64_t at = 0;

	for (uint32_t i = 0; i < count; i++)
		if (placed[i]->first <= c->last && c->first <= placed[i]->last)
			busy[n++] = placed[i];
	qsort(busy, n, sizeof(struct candidate *), by_place);
	for (uint32_t i = 0; i < n && busy[i]->at < at + c->bytes; i++)
		at = npu_max_u64(at, busy[i]->at + busy[i]->bytes);
	c->at = at;
	return at + c->bytes <= limit;
}

/* Values and positions of a window are packed alike: both live in SPM, or none. */
static bool part_pairs(struct nc_back *b, struct candidate *c, uint32_t count)
{
	bool parted = false;

	for (uint32_t i = 0; i < b->k->ops; i++) {
		const struct kir_op *op = b->k->op[i];
		uint32_t pair[2] = { KIR_NO_TENSOR, KIR_NO_TENSOR };

		if (op->kind == KIR_POOL) {
			pair[0] = op->pool.out.tensor;
			pair[1] = op->pool.index.tensor;
		} else if (op->kind == KIR_UNPOOL) {
			pair[0] = op->unpool.in.tensor;
			pair[1] = op->unpool.index.tensor;
		}
		if (pair[1] == KIR_NO_TENSOR ||
		    b->home[pair[0]].resident == b->home[pair[1]].resident)
			continue;
		for (uint32_t j = 0; j < count; j++)
			c[j].unfit = c[j].unfit || c[j].tensor == pair[0] || c[j].tensor == pair[1];
		parted = true;
	}
	return parted;
}

static int place_residents(struct nc_back *b, uint32_t limit)
{
	size_t room = (size_t)b->k->tensors + 1;
	struct candidate *c = nc_alloc_array(b->arena, room, sizeof(*c));
	struct candidate **placed = nc_alloc_array(b->arena, room, sizeof(struct candidate *));
	struct candidate **busy = nc_alloc_array(b->arena, room, sizeof(struct candidate *));
	uint32_t *index = nc_alloc_array(b->arena, room, sizeof(*index));
	uint32_t count, kept = 0;
	uint64_t top = 0;

	if (!c || !placed || !busy || !index)
		return nc_no_memory(b);
	count = list_candidates(b, c, index);
	qsort(c, count, sizeof(*c), by_worth);
	do {
		kept = 0;
		top = 0;
		for (uint32_t i = 0; i < count; i++) {
			struct nc_home *home = &b->home[c[i].tensor];

			home->resident = !c[i].unfit && c[i].bytes <= limit &&
				find_place(&c[i], placed, kept, busy, limit);
			home->in_memory = !home->resident;
			if (!home->resident)
				continue;
			placed[kept++] = &c[i];
			home->spm_bytes = (uint32_t)c[i].at;
			top = npu_max_u64(top, c[i].at + c[i].bytes);
		}
	} while (part_pairs(b, c, count));
	b->cache_from = (uint32_t)top;
	return 0;
}

int nc_plan(struct nc_back *b, uint32_t limit)
{
	int ret;

	b->homes = b->k->tensors;
	b->home = nc_alloc_array(b->arena, (size_t)b->homes + 1, sizeof(*b->home));
	if (!b->home)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < b->homes; i++)
		b->home[i].in_memory = true;
	ret = place_residents(b, limit);
	return ret ? ret : assign_io(b);
}

int nc_plan_dump(const struct nc_back *b, FILE *out)
{
	for (uint32_t i = 0; i < b->homes; i++)
		if (b->home[i].resident)
			fprintf(out, "t%u resident at 0x%x\n", i, b->home[i].spm_bytes);
	fprintf(out, "tiles from 0x%x\n", b->cache_from);
	return ferror(out) ? -EIO : 0;
}
