/* SPDX-License-Identifier: MIT */
/*
 * Memory of the tensors that DMA reaches: constants behind each other, equal
 * ones once; tensors between operations in scratch memory, where those that
 * are not needed at the same time share space.
 */
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "npu_prog.h"

/* Of a constant, to find equal ones. */
#define HASHED_BYTES	4096

int nc_dma_log_add(struct nc_back *b, struct nc_dma_log *log, const struct nc_dma_ref *ref)
{
	if (log->count == log->room) {
		uint32_t room = log->room ? log->room * 2 : 256;
		struct nc_dma_ref *array = nc_alloc_array(b->arena, room, sizeof(*array));

		if (!array)
			return nc_no_memory(b);
		if (log->count)
			memcpy(array, log->ref, log->count * sizeof(*array));
		log->ref = array;
		log->room = room;
	}
	log->ref[log->count++] = *ref;
	return 0;
}

/* ---- dead stores ---- */

static int by_tensor_and_element(const void *a, const void *b)
{
	const struct nc_dma_ref *x = a, *y = b;

	if (x->tensor != y->tensor)
		return x->tensor < y->tensor ? -1 : 1;
	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Ranges of tensors that are loaded, sorted and merged; returns their number. */
static uint32_t loaded_ranges(const struct nc_dma_log *log, struct nc_dma_ref *range)
{
	uint32_t count = 0, kept = 0;

	for (uint32_t i = 0; i < log->count; i++)
		if (!log->ref[i].store)
			range[count++] = log->ref[i];
	qsort(range, count, sizeof(*range), by_tensor_and_element);
	for (uint32_t i = 0; i < count; i++) {
		if (kept && range[kept - 1].tensor == range[i].tensor &&
		    range[i].lo <= range[kept - 1].hi) {
			if (range[i].hi > range[kept - 1].hi)
				range[kept - 1].hi = range[i].hi;
			continue;
		}
		range[kept++] = range[i];
	}
	return kept;
}

static bool is_loaded(const struct nc_dma_ref *range, uint32_t count, const struct nc_dma_ref *s)
{
	uint32_t lo = 0, hi = count;

	/* The last range that starts below the end of @s. */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (range[mid].tensor < s->tensor ||
		    (range[mid].tensor == s->tensor && range[mid].lo < s->hi))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && range[lo - 1].tensor == s->tensor && range[lo - 1].hi > s->lo;
}

/* Take the descriptors out whose @dead flag is set, and renumber the log. */
static void compact(struct nc_back *b, struct nc_dma_log *log, const bool *dead)
{
	struct nc_code *c = &b->code;
	uint32_t count = 0, refs = 0, next = 0;
	size_t bytes = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		const struct npu_desc_hdr *hdr = nc_code_at(c, i);
		size_t length = (size_t)hdr->lines * NPU_LINE_BYTES;
		bool logged = next < log->count && log->ref[next].desc == i;

		if (logged && !dead[i]) {
			log->ref[refs] = log->ref[next];
			log->ref[refs++].desc = count;
		}
		next += logged;
		if (dead[i])
			continue;
		memmove(c->data + bytes, hdr, length);
		c->start[count++] = (uint32_t)(bytes / NPU_LINE_BYTES);
		bytes += length;
	}
	c->count = count;
	c->bytes = bytes;
	log->count = refs;
}

static int drop_dead_stores(struct nc_back *b, struct nc_dma_log *log)
{
	struct nc_dma_ref *range = nc_alloc_array(b->arena, (size_t)log->count + 1, sizeof(*range));
	bool *dead = nc_alloc_array(b->arena, (size_t)b->code.count + 1, sizeof(*dead));
	uint32_t ranges;

	if (!range || !dead)
		return nc_no_memory(b);
	ranges = loaded_ranges(log, range);
	for (uint32_t i = 0; i < log->count; i++) {
		const struct nc_dma_ref *r = &log->ref[i];

		if (r->store && b->k->tensor[r->tensor].kind == KIR_TEMP)
			dead[r->desc] = !is_loaded(range, ranges, r);
	}
	compact(b, log, dead);
	return 0;
}

/* ---- addresses ---- */

static uint64_t tensor_bytes(const struct nc_back *b, uint32_t tensor)
{
	const struct kir_tensor *t = &b->k->tensor[tensor];
	uint64_t bytes = t->elems * npu_dtype_bytes(t->dtype);

	return (bytes + NC_ALIGN_BYTES - 1) / NC_ALIGN_BYTES * NC_ALIGN_BYTES;
}

/**
 * struct life - a tensor in scratch memory
 * @first: first descriptor that touches it
 * @last: last one
 */
struct life {
	uint32_t tensor;
	uint32_t first;
	uint32_t last;
	uint64_t bytes;
	uint64_t offset_bytes;
};

static int by_size(const void *a, const void *b)
{
	const struct life *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static int by_offset(const void *a, const void *b)
{
	const struct life *const *x = a, *const *y = b;

	return (*x)->offset_bytes < (*y)->offset_bytes ? -1 :
		(*x)->offset_bytes > (*y)->offset_bytes;
}

/* Largest first, each at the lowest place that is free while it lives. */
static int share_scratch(struct nc_back *b, struct life *life, uint32_t count)
{
	struct life **busy = nc_alloc_array(b->arena, (size_t)count + 1, sizeof(struct life *));

	if (!busy)
		return nc_no_memory(b);
	qsort(life, count, sizeof(*life), by_size);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t n = 0;
		uint64_t at = 0;

		for (uint32_t j = 0; j < i; j++)
			if (life[j].first <= life[i].last && life[i].first <= life[j].last)
				busy[n++] = &life[j];
		qsort(busy, n, sizeof(struct life *), by_offset);
		for (uint32_t j = 0; j < n && busy[j]->offset_bytes < at + life[i].bytes; j++)
			at = npu_max_u64(at, busy[j]->offset_bytes + busy[j]->bytes);
		life[i].offset_bytes = at;
		b->home[life[i].tensor].offset_bytes = at;
		b->home[life[i].tensor].reg = NPU_PROG_REG_SCRATCH;
		b->scratch_bytes = npu_max_u64(b->scratch_bytes, at + life[i].bytes);
	}
	return 0;
}

static int assign_scratch(struct nc_back *b, const struct nc_dma_log *log)
{
	uint32_t *index = nc_alloc_array(b->arena, (size_t)b->k->tensors + 1, sizeof(*index));
	struct life *life = nc_alloc_array(b->arena, (size_t)b->k->tensors + 1, sizeof(*life));
	uint32_t count = 0;

	if (!index || !life)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < log->count; i++) {
		const struct nc_dma_ref *r = &log->ref[i];

		if (b->k->tensor[r->tensor].kind != KIR_TEMP)
			continue;
		if (!index[r->tensor]) {
			life[count] = (struct life){
				.tensor = r->tensor,
				.first = r->desc,
				.bytes = tensor_bytes(b, r->tensor),
			};
			index[r->tensor] = ++count;
		}
		life[index[r->tensor] - 1].last = r->desc;
	}
	return share_scratch(b, life, count);
}

/* By size and beginning: those that are alike so far are compared as a whole. */
static uint64_t hash_const(const struct kir_tensor *t)
{
	uint64_t bytes = t->elems * npu_dtype_bytes(t->dtype);
	uint64_t h = 0xcbf29ce484222325ull ^ bytes;
	const uint8_t *data = t->data;

	for (uint64_t i = 0; i < bytes && i < HASHED_BYTES; i++)
		h = (h ^ data[i]) * 0x100000001b3ull;
	return h;
}

static bool same_data(const struct kir_tensor *a, const struct kir_tensor *b)
{
	return a->elems == b->elems && a->dtype == b->dtype &&
		!memcmp(a->data, b->data, a->elems * npu_dtype_bytes(a->dtype));
}

static int assign_consts(struct nc_back *b, const struct nc_dma_log *log)
{
	uint32_t tensors = b->k->tensors;
	bool *used = nc_alloc_array(b->arena, (size_t)tensors + 1, sizeof(*used));
	uint32_t *chain = nc_alloc_array(b->arena, (size_t)tensors + 1, sizeof(*chain));
	uint32_t *bucket = nc_alloc_array(b->arena, 4096, sizeof(*bucket));

	if (!used || !chain || !bucket)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < log->count; i++)
		used[log->ref[i].tensor] = true;
	for (uint32_t i = 0; i < tensors; i++) {
		const struct kir_tensor *t = &b->k->tensor[i];
		struct nc_home *home = &b->home[i];
		uint32_t at, j;

		if (t->kind != KIR_CONST || !used[i])
			continue;
		at = hash_const(t) & 4095;
		for (j = bucket[at]; j; j = chain[j - 1])
			if (same_data(&b->k->tensor[j - 1], t))
				break;
		home->reg = NPU_PROG_REG_CONSTS;
		if (j) {
			home->offset_bytes = b->home[j - 1].offset_bytes;
			continue;
		}
		home->offset_bytes = b->consts_bytes;
		home->in_consts = true;
		b->consts_bytes += tensor_bytes(b, i);
		chain[i] = bucket[at];
		bucket[at] = i + 1;
	}
	return 0;
}

static struct npu_mem *memory_side(struct npu_desc_hdr *hdr)
{
	if (hdr->opcode == NPU_OP_GATHER || hdr->opcode == NPU_OP_SCATTER)
		return &((struct npu_desc_gather *)(void *)hdr)->mem;
	return &((struct npu_desc_dma *)(void *)hdr)->mem;
}

int nc_assign_memory(struct nc_back *b, struct nc_dma_log *log)
{
	int ret = drop_dead_stores(b, log);

	if (!ret)
		ret = assign_scratch(b, log);
	if (!ret)
		ret = assign_consts(b, log);
	for (uint32_t i = 0; i < log->count && !ret; i++) {
		const struct nc_home *home = &b->home[log->ref[i].tensor];
		struct npu_mem *mem = memory_side(nc_code_at(&b->code, log->ref[i].desc));

		mem->reg = home->reg;
		mem->offset_bytes += (int64_t)home->offset_bytes;
	}
	return ret;
}
