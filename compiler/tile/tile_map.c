/* SPDX-License-Identifier: MIT */
/*
 * Tiles of maps, and of the epilogues of products and convolutions.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

int nc_add_map(struct nc_back *b, uint32_t node, const struct kir_map *map,
	       const int64_t at[NC_LOOPS], const uint32_t dim[NC_LOOPS],
	       const struct nc_acc *acc, uint32_t iota_base)
{
	struct nc_tile *t = nc_add_tile(b, NPU_OP_MAP, node, map->operands);

	if (!t)
		return -ENOMEM;
	t->map = map;
	t->iota_base = iota_base;
	memcpy(t->dim, dim, NC_LOOPS * sizeof(*dim));
	for (unsigned int i = 0; i < map->operands; i++) {
		const struct kir_operand *o = &map->operand[i];

		if (o->acc)
			nc_operand_buffer(b, &t->operand[i], acc->buffer,
					  acc->offset + (int64_t)o->acc_group * acc->group, dim,
					  acc->stride);
		else
			nc_operand_view(b, &t->operand[i], &o->view, at, dim, NC_PACK_MEMORY);
		t->operand[i].write = o->write;
	}
	return 0;
}

int nc_map_template(struct nc_back *b, const struct kir_map *map, union nc_desc *desc)
{
	uint32_t addr[NPU_MAP_OPERANDS] = { 0 };
	size_t bytes = sizeof(struct nc_tile) + map->operands * sizeof(struct nc_operand);
	struct nc_tile *t = nc_alloc(b->arena, bytes);

	if (!t)
		return nc_no_memory(b);
	t->opcode = NPU_OP_MAP;
	t->map = map;
	t->operands = map->operands;
	memcpy(t->dim, map->dim, NC_LOOPS * sizeof(t->dim[0]));
	for (unsigned int i = 0; i < map->operands; i++) {
		const struct kir_operand *o = &map->operand[i];

		if (!o->acc) {
			nc_operand_view(b, &t->operand[i], &o->view, NULL, map->dim,
					NC_PACK_MEMORY);
			continue;
		}
		t->operand[i] = (struct nc_operand){ .spm_stride = { 1, 1, 1, 1 } };
	}
	nc_desc_build(b, t, addr, desc);
	return 0;
}

void nc_model_map(struct nc_back *b, struct nc_model *m, const struct kir_map *map,
		  union nc_desc *desc, const uint32_t dim[NC_LOOPS], uint64_t times)
{
	uint64_t before = m->bytes;

	memcpy(desc->map.dim, dim, sizeof(desc->map.dim));
	m->ve += npu_ve_cycles(&b->timing, desc) * times;
	m->bytes = 0;
	for (unsigned int i = 0; i < map->operands; i++) {
		struct nc_operand o = { .write = map->operand[i].write };

		if (map->operand[i].acc)
			continue;
		nc_operand_view(b, &o, &map->operand[i].view, NULL, dim, NC_PACK_MEMORY);
		nc_model_dma(b, m, &o, times);
	}
	m->bytes = npu_max_u64(m->bytes, before);
}

/* ---- maps of their own ---- */

static bool composes(const struct kir_map *m, unsigned int outer, unsigned int inner)
{
	for (unsigned int i = 0; i < m->operands; i++) {
		const int64_t *stride = m->operand[i].view.stride;

		if (stride[outer] != stride[inner] * (int64_t)m->dim[inner])
			return false;
	}
	return true;
}

static void keep_dim(struct kir_map *m, unsigned int to, unsigned int from)
{
	m->dim[to] = m->dim[from];
	for (unsigned int i = 0; i < m->operands; i++)
		m->operand[i].view.stride[to] = m->operand[i].view.stride[from];
}

static void set_dim_1(struct kir_map *m, unsigned int at)
{
	m->dim[at] = 1;
	for (unsigned int i = 0; i < m->operands; i++)
		m->operand[i].view.stride[at] = 0;
}

void nc_map_collapse(struct kir_map *m)
{
	unsigned int ndim = 0;

	for (unsigned int i = 0; i < m->ndim; i++) {
		uint64_t merged;

		if (m->dim[i] == 1)
			continue;
		merged = ndim ? (uint64_t)m->dim[ndim - 1] * m->dim[i] : 0;
		if (ndim && merged <= UINT32_MAX && composes(m, ndim - 1, i)) {
			keep_dim(m, ndim - 1, i);
			m->dim[ndim - 1] = (uint32_t)merged;
		} else {
			keep_dim(m, ndim++, i);
		}
	}
	/* Four dimensions at least: in front, ones. */
	for (unsigned int shift = ndim < NC_LOOPS ? NC_LOOPS - ndim : 0; shift; shift--, ndim++) {
		for (unsigned int i = ndim; i > 0; i--)
			keep_dim(m, i, i - 1);
		set_dim_1(m, 0);
	}
	m->ndim = ndim;
}

struct kir_map nc_map_inner(const struct kir_map *m)
{
	struct kir_map inner = *m;

	for (unsigned int i = 0; i < NC_LOOPS; i++)
		keep_dim(&inner, i, m->ndim - NC_LOOPS + i);
	inner.ndim = NC_LOOPS;
	return inner;
}

struct map_arg {
	struct nc_back *b;
	const struct kir_map *map;
	union nc_desc *desc;
	bool iota;
	bool iota_fits;
	unsigned int outer;
};

/* Tiles that are ranges of the row-major numbering. */
static bool is_range(const struct kir_map *map, const uint32_t *tile)
{
	bool one = true;

	for (unsigned int i = 0; i < map->ndim; i++) {
		if (!one && tile[i] < map->dim[i])
			return false;
		one = one && tile[i] == 1;
	}
	return true;
}

static struct nc_cost map_cost(const void *arg, const uint32_t *tile)
{
	const struct map_arg *a = arg;
	struct nc_nest nest = { .dims = a->map->ndim };
	struct nc_model m = { 0 };
	struct kir_map inner;

	memcpy(nest.full, a->map->dim, sizeof(a->map->dim));
	memcpy(nest.tile, tile, a->map->ndim * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	if (a->iota && m.tiles > 1 && (!a->iota_fits || !is_range(a->map, tile)))
		return (struct nc_cost){ .pressure = UINT64_MAX, .cycles = UINT64_MAX };
	inner = nc_map_inner(a->map);
	nc_model_map(a->b, &m, &inner, a->desc, tile + a->outer, m.tiles);
	return nc_model_cost(a->b, &m);
}

static unsigned int count_iota(const struct kir_map *map)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < map->uops; i++)
		count += NPU_UOP_OP(map->uop[i]) == NPU_UOP_IOTA;
	return count;
}

static int add_tiles(struct nc_back *b, uint32_t node, const struct kir_map *map,
		     struct nc_nest *nest, bool iota)
{
	unsigned int outer = map->ndim - NC_LOOPS;
	struct kir_map *inner = nc_alloc(b->arena, sizeof(*inner));

	if (!inner)
		return nc_no_memory(b);
	*inner = nc_map_inner(map);
	nc_nest_first(nest);
	do {
		const uint32_t *at = nest->at + outer;
		struct kir_map *moved = inner;
		uint64_t first = 0;
		int ret;

		for (unsigned int i = 0; i < nest->dims; i++)
			first = first * nest->full[i] + nest->at[i];
		if (outer) {
			moved = nc_alloc(b->arena, sizeof(*moved));
			if (!moved)
				return nc_no_memory(b);
			*moved = *inner;
			for (unsigned int i = 0; i < map->operands; i++)
				for (unsigned int d = 0; d < outer; d++)
					moved->operand[i].view.offset += nest->at[d] *
						map->operand[i].view.stride[d];
		}
		ret = nc_add_map(b, node, moved, (int64_t[]){ at[0], at[1], at[2], at[3] },
				 nest->size + outer, NULL, iota ? (uint32_t)first : 0);
		if (ret)
			return ret;
	} while (nc_nest_next(nest));
	return 0;
}

int nc_tile_map(struct nc_back *b, const struct kir_op *op)
{
	union nc_desc desc;
	struct kir_map *map = nc_alloc(b->arena, sizeof(*map));
	unsigned int iota = count_iota(&op->map);
	struct map_arg arg = { .b = b, .map = map, .desc = &desc, .iota = iota };
	struct nc_search s = { .cost = map_cost, .arg = &arg };
	struct nc_nest nest;
	struct kir_map inner;
	int ret;

	if (!map)
		return nc_no_memory(b);
	*map = op->map;
	nc_map_collapse(map);
	arg.outer = map->ndim - NC_LOOPS;
	arg.iota_fits = map->uops + iota <= NPU_MAP_UOPS && map->consts < NPU_MAP_CONSTS &&
		sizeof(struct npu_desc_map) + map->operands * sizeof(struct npu_view) +
		4 * (map->uops + iota + map->consts + 1) <= NPU_DESC_BYTES_MAX;
	inner = nc_map_inner(map);
	ret = nc_map_template(b, &inner, &desc);
	if (ret)
		return ret;
	s.dims = map->ndim;
	for (unsigned int i = 0; i < map->ndim; i++)
		s.full[i] = i < arg.outer ? 1 : map->dim[i];
	if (!nc_search(&s))
		return nc_op_error(b, op->node, "the smallest tile of its elements does not fit %u bytes of scratchpad",
				   nc_cache_bytes(b));
	nest = (struct nc_nest){ .dims = map->ndim };
	memcpy(nest.full, map->dim, sizeof(map->dim));
	memcpy(nest.tile, s.tile, sizeof(nest.tile));
	return add_tiles(b, op->node, map, &nest, iota);
}
