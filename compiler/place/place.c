/* SPDX-License-Identifier: MIT */
/*
 * Place: SPM and ACC as caches that are managed at compile time. Walks the
 * tile operations in order; what an operation reads is loaded unless a copy of
 * exactly that box is still there; what it writes is stored. The copy that is
 * needed last is evicted first. Then stores that nobody loads from are dropped
 * and the tensors in memory get their addresses (memory.c).
 *
 * requires: tiles (tile), homes in SPM (plan)
 * establishes: nc_back.code without semaphores, in an order in which it could
 *	be run one descriptor after the other; homes in memory
 */
#include "place.h"

#include <errno.h>
#include <string.h>

#include "box.h"
#include "cache.h"

#define NO_NAME		UINT32_MAX
#define OWNER_BUFFER	0x80000000u	/* + buffer */
#define OWNER_OUTPUT	0xc0000000u	/* + operand, until its tile is placed */

struct place {
	struct nc_back *b;
	struct cache spm;
	struct cache acc;
	struct box_table boxes;
	/* Box of each operand: entry operand_start[tile] + operand. */
	uint32_t *operand_start;
	uint32_t *name;
	/* Tiles that read each box, ascending: use[use_start[box]] ... */
	uint32_t *use_start;
	uint32_t *use;
	uint32_t *next_use;
	struct nc_dma_log log;
};

/* ---- what is read when ---- */

static bool is_resident(const struct nc_back *b, const struct nc_operand *o)
{
	return o->tensor != KIR_NO_TENSOR && b->home[o->tensor].resident;
}

/* Rows come from memory and go there without the cache. */
static bool is_table(const struct nc_tile *t, uint32_t j)
{
	return (t->opcode == NPU_OP_GATHER || t->opcode == NPU_OP_SCATTER) && j == NC_GATHER_TABLE;
}

/* Whether operand @j of @t is a packed copy in the cache. */
static bool is_cached(const struct nc_back *b, const struct nc_tile *t, uint32_t j)
{
	if (t->operand[j].tensor == KIR_NO_TENSOR || is_resident(b, &t->operand[j]))
		return false;
	if (t->opcode == NC_COPY)
		return j == 0 && !is_resident(b, &t->operand[1]);
	if (is_table(t, j))
		return false;
	return true;
}

static int name_operands(struct place *p)
{
	struct nc_back *b = p->b;
	uint32_t total = 0;

	p->operand_start = nc_alloc_array(b->arena, (size_t)b->tiles + 1, sizeof(uint32_t));
	if (!p->operand_start)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < b->tiles; i++) {
		p->operand_start[i] = total;
		total += b->tile[i]->operands;
	}
	p->name = nc_alloc_array(b->arena, (size_t)total + 1, sizeof(uint32_t));
	if (!p->name)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < b->tiles; i++)
		for (uint32_t j = 0; j < b->tile[i]->operands; j++) {
			uint32_t *name = &p->name[p->operand_start[i] + j];

			*name = NO_NAME;
			if (!is_cached(b, b->tile[i], j))
				continue;
			*name = box_name(&p->boxes, b, &b->tile[i]->operand[j]);
			if (*name == NO_NAME)
				return -ENOMEM;
		}
	return 0;
}

static bool reads_box(const struct place *p, uint32_t tile, uint32_t j)
{
	return p->name[p->operand_start[tile] + j] != NO_NAME &&
		!p->b->tile[tile]->operand[j].write;
}

static int list_uses(struct place *p)
{
	struct nc_back *b = p->b;
	uint32_t boxes = p->boxes.count, total = 0;
	uint32_t *fill;

	p->use_start = nc_alloc_array(b->arena, (size_t)boxes + 1, sizeof(uint32_t));
	p->next_use = nc_alloc_array(b->arena, (size_t)boxes + 1, sizeof(uint32_t));
	fill = nc_alloc_array(b->arena, (size_t)boxes + 1, sizeof(uint32_t));
	if (!p->use_start || !p->next_use || !fill)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < b->tiles; i++)
		for (uint32_t j = 0; j < b->tile[i]->operands; j++)
			if (reads_box(p, i, j))
				fill[p->name[p->operand_start[i] + j]]++;
	for (uint32_t i = 0; i < boxes; i++) {
		p->use_start[i] = total;
		p->next_use[i] = total;
		total += fill[i];
		fill[i] = p->use_start[i];
	}
	p->use_start[boxes] = total;
	p->use = nc_alloc_array(b->arena, (size_t)total + 1, sizeof(uint32_t));
	if (!p->use)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < b->tiles; i++)
		for (uint32_t j = 0; j < b->tile[i]->operands; j++)
			if (reads_box(p, i, j))
				p->use[fill[p->name[p->operand_start[i] + j]]++] = i;
	return 0;
}

/* First tile after @tile that reads @box, or UINT32_MAX. */
static uint32_t use_after(struct place *p, uint32_t box, uint32_t tile)
{
	uint32_t *at = &p->next_use[box];

	while (*at < p->use_start[box + 1] && p->use[*at] <= tile)
		(*at)++;
	return *at < p->use_start[box + 1] ? p->use[*at] : UINT32_MAX;
}

/* ---- space ---- */

/* Free the copy that is needed last; false when all are pinned. */
static bool evict(struct cache *c)
{
	uint32_t victim = c->slots;

	for (uint32_t i = 0; i < c->slots; i++) {
		const struct slot *s = &c->slot[i];

		if (s->pinned || s->buffer)
			continue;
		if (victim == c->slots || s->next_use > c->slot[victim].next_use)
			victim = i;
	}
	if (victim == c->slots)
		return false;
	cache_free(c, victim);
	return true;
}

static struct slot *alloc_slot(struct cache *c, uint64_t bytes, uint32_t owner)
{
	struct slot *s;

	if (bytes > c->to - c->from)
		return NULL;
	for (;;) {
		s = cache_alloc(c, (uint32_t)bytes);
		if (s)
			break;
		if (!evict(c))
			return NULL;
	}
	s->owner = owner;
	s->pinned = true;
	s->tensor = KIR_NO_TENSOR;
	return s;
}

/* The elements of its tensor that an operand sees; views were checked to fit. */
static void elements(const struct nc_operand *o, struct kir_span *span)
{
	struct kir_view view = { .tensor = o->tensor, .offset = o->offset };

	memcpy(view.stride, o->stride, sizeof(o->stride));
	kir_span(&view, NC_LOOPS, o->dim, span);
}

static uint32_t slot_owner(const struct place *p, uint32_t tile, uint32_t j)
{
	if (p->b->tile[tile]->operand[j].write)
		return OWNER_OUTPUT + j;
	return p->name[p->operand_start[tile] + j];
}

/* Give every cached operand of @tile a slot; those in @load have no data yet. */
static bool take_slots(struct place *p, uint32_t tile, bool *load)
{
	const struct nc_tile *t = p->b->tile[tile];

	for (uint32_t j = 0; j < t->operands; j++) {
		struct slot *s = reads_box(p, tile, j) ?
			cache_find(&p->spm, p->name[p->operand_start[tile] + j]) : NULL;

		if (s)
			s->pinned = true;
	}
	for (uint32_t j = 0; j < t->operands; j++) {
		uint32_t owner = slot_owner(p, tile, j);
		struct slot *s;

		load[j] = false;
		if (p->name[p->operand_start[tile] + j] == NO_NAME ||
		    cache_find(&p->spm, owner))
			continue;
		s = alloc_slot(&p->spm, nc_operand_bytes(&t->operand[j]), owner);
		if (!s)
			return false;
		s->tensor = t->operand[j].tensor;
		elements(&t->operand[j], &s->data);
		load[j] = !t->operand[j].write;
	}
	return true;
}

static void drop_all(struct cache *c)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->slots; i++)
		if (c->slot[i].buffer)
			c->slot[kept++] = c->slot[i];
	c->slots = kept;
	c->next = c->from;
}

/* Buffers whose life begins here. One in SPM comes first in an empty cache. */
static int take_buffers(struct place *p, uint32_t tile)
{
	const struct nc_tile *t = p->b->tile[tile];

	for (uint32_t j = 0; j < t->operands; j++) {
		const struct nc_operand *o = &t->operand[j];
		struct cache *c;
		struct slot *s;

		if (o->tensor != KIR_NO_TENSOR || p->b->buffer[o->buffer].first_tile != tile)
			continue;
		c = p->b->buffer[o->buffer].space == NPU_SPACE_ACC ? &p->acc : &p->spm;
		if (c == &p->spm)
			drop_all(c);
		if (cache_find(c, OWNER_BUFFER + o->buffer))
			continue;
		s = alloc_slot(c, p->b->buffer[o->buffer].bytes, OWNER_BUFFER + o->buffer);
		if (!s)
			return nc_op_error(p->b, t->node, "internal error: a tile does not fit accumulators or scratchpad");
		s->buffer = true;
	}
	return 0;
}

static void give_back(struct place *p, uint32_t tile)
{
	const struct nc_tile *t = p->b->tile[tile];

	for (uint32_t j = 0; j < t->operands; j++) {
		const struct nc_operand *o = &t->operand[j];
		struct cache *c;
		struct slot *s;

		if (o->tensor != KIR_NO_TENSOR || p->b->buffer[o->buffer].last_tile != tile)
			continue;
		c = p->b->buffer[o->buffer].space == NPU_SPACE_ACC ? &p->acc : &p->spm;
		s = cache_find(c, OWNER_BUFFER + o->buffer);
		if (s)
			cache_free(c, (uint32_t)(s - c->slot));
	}
}

/* ---- code ---- */

static uint32_t operand_addr(struct place *p, uint32_t tile, uint32_t j)
{
	const struct nc_operand *o = &p->b->tile[tile]->operand[j];
	int64_t within = o->offset * (int64_t)npu_dtype_bytes(o->dtype);

	if (o->tensor == KIR_NO_TENSOR) {
		bool acc = p->b->buffer[o->buffer].space == NPU_SPACE_ACC;

		return (uint32_t)(cache_find(acc ? &p->acc : &p->spm,
					     OWNER_BUFFER + o->buffer)->lo + within);
	}
	if (is_resident(p->b, o))
		return (uint32_t)(p->b->home[o->tensor].spm_bytes + within);
	return cache_find(&p->spm, slot_owner(p, tile, j))->lo;
}

/* The descriptor touches memory; what it leaves of a table is needed, like a load. */
static int log_memory(struct place *p, const struct nc_operand *o, uint32_t desc, bool store)
{
	struct nc_dma_ref ref = { .desc = desc, .tensor = o->tensor, .store = store };
	struct kir_span span;

	elements(o, &span);
	ref.lo = span.lo;
	ref.hi = span.hi;
	return nc_dma_log_add(p->b, &p->log, &ref);
}

static int add_dma(struct place *p, const struct nc_tile *t, const struct nc_operand *o,
		   unsigned int opcode, uint32_t addr)
{
	union nc_desc desc;
	size_t bytes = nc_desc_dma(p->b, o, opcode, t->node, addr, &desc);

	if (!nc_code_add(p->b, &desc, bytes))
		return -ENOMEM;
	return log_memory(p, o, p->b->code.count - 1, opcode == NPU_OP_STORE);
}

/* Memory to memory by way of a slot; memory to SPM and back directly. */
static int add_copy(struct place *p, uint32_t tile, bool load)
{
	const struct nc_tile *t = p->b->tile[tile];
	const struct nc_operand *in = &t->operand[0], *out = &t->operand[1];
	struct nc_operand o = *in;

	if (is_resident(p->b, out)) {
		memcpy(o.spm_stride, out->spm_stride, sizeof(o.spm_stride));
		return add_dma(p, t, &o, NPU_OP_LOAD, operand_addr(p, tile, 1));
	}
	if (load) {
		int ret = add_dma(p, t, in, NPU_OP_LOAD, operand_addr(p, tile, 0));

		if (ret)
			return ret;
	}
	o = *out;
	memcpy(o.spm_stride, in->spm_stride, sizeof(o.spm_stride));
	return add_dma(p, t, &o, NPU_OP_STORE, operand_addr(p, tile, 0));
}

/* What UNPOOL adds to. */
static int add_zeroes(struct place *p, const struct nc_tile *t, const struct nc_operand *o,
		      uint32_t addr)
{
	struct nc_tile *fill = nc_alloc(p->b->arena, sizeof(*fill) + sizeof(*o));
	union nc_desc desc;

	if (!fill)
		return nc_no_memory(p->b);
	fill->opcode = NPU_OP_FILL;
	fill->node = t->node;
	fill->operands = 1;
	fill->operand[0] = *o;
	return nc_code_add(p->b, &desc, nc_desc_build(p->b, fill, &addr, &desc)) ? 0 : -ENOMEM;
}

static int add_code(struct place *p, uint32_t tile, const bool *load)
{
	const struct nc_tile *t = p->b->tile[tile];
	union nc_desc desc;
	uint32_t addr[NPU_MAP_OPERANDS];
	int ret = 0;

	if (t->opcode == NC_COPY)
		return add_copy(p, tile, load[0]);
	for (uint32_t j = 0; j < t->operands && !ret; j++) {
		if (is_table(t, j))
			continue;
		addr[j] = operand_addr(p, tile, j);
		if (load[j])
			ret = add_dma(p, t, &t->operand[j], NPU_OP_LOAD, addr[j]);
	}
	if (!ret && t->opcode == NPU_OP_UNPOOL)
		ret = add_zeroes(p, t, &t->operand[1], addr[1]);
	if (ret)
		return ret;
	if (!nc_code_add(p->b, &desc, nc_desc_build(p->b, t, addr, &desc)))
		return -ENOMEM;
	if (t->operands == NC_GATHER_OPERANDS && is_table(t, NC_GATHER_TABLE))
		ret = log_memory(p, &t->operand[NC_GATHER_TABLE], p->b->code.count - 1, false);
	for (uint32_t j = 0; j < t->operands && !ret; j++) {
		const struct nc_operand *o = &t->operand[j];

		if (!is_table(t, j) && o->write && o->tensor != KIR_NO_TENSOR && p->b->home[o->tensor].in_memory)
			ret = add_dma(p, t, o, NPU_OP_STORE, addr[j]);
	}
	return ret;
}

/* ---- after a tile ---- */

/* Copies of what @written has changed are stale. */
static void invalidate(struct place *p, const struct nc_operand *written)
{
	struct kir_span span;

	elements(written, &span);
	for (uint32_t i = p->spm.slots; i-- > 0;) {
		const struct slot *s = &p->spm.slot[i];

		if (s->tensor == written->tensor && s->owner < OWNER_BUFFER &&
		    !kir_span_disjoint(&s->data, &span))
			cache_free(&p->spm, i);
	}
}

static void retire(struct place *p, uint32_t tile)
{
	const struct nc_tile *t = p->b->tile[tile];

	for (uint32_t j = 0; j < t->operands; j++)
		if (t->operand[j].write && t->operand[j].tensor != KIR_NO_TENSOR)
			invalidate(p, &t->operand[j]);
	for (uint32_t j = 0; j < t->operands; j++) {
		uint32_t name = p->name[p->operand_start[tile] + j];
		struct slot *s;

		if (name == NO_NAME)
			continue;
		s = cache_find(&p->spm, slot_owner(p, tile, j));
		if (!s)
			continue;
		s->owner = name;
		s->pinned = false;
		s->next_use = use_after(p, name, tile);
		if (s->next_use == UINT32_MAX)
			cache_free(&p->spm, (uint32_t)(s - p->spm.slot));
	}
	give_back(p, tile);
}

static int place_tile(struct place *p, uint32_t tile)
{
	bool load[NPU_MAP_OPERANDS];
	int ret = take_buffers(p, tile);

	if (ret)
		return ret;
	if (!take_slots(p, tile, load)) {
		/* Holes too small: everything but this tile's own data goes. */
		drop_all(&p->spm);
		if (!take_slots(p, tile, load))
			return nc_op_error(p->b, p->b->tile[tile]->node,
					   "internal error: a tile does not fit the scratchpad");
	}
	ret = add_code(p, tile, load);
	if (!ret)
		retire(p, tile);
	return ret;
}

int nc_place(struct nc_back *b)
{
	struct place p = { .b = b };
	int ret = cache_init(&p.spm, b, b->cache_from, b->limits.spm_bytes);

	if (!ret)
		ret = cache_init(&p.acc, b, 0, b->limits.acc_bytes);
	if (!ret)
		ret = name_operands(&p);
	if (!ret)
		ret = list_uses(&p);
	for (uint32_t i = 0; i < b->tiles && !ret; i++)
		ret = place_tile(&p, i);
	if (!ret)
		ret = nc_assign_memory(b, &p.log);
	b->spm_bytes = npu_max_u64(p.spm.top, b->cache_from);
	b->acc_bytes = p.acc.top;
	return ret;
}
