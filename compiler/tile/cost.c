/* SPDX-License-Identifier: MIT */
/*
 * What a tiling costs, by the device's own cycle formulas, and the loops
 * around tiles.
 */
#include "nc.h"

#include <string.h>

/* Cycles of CP for the descriptors of one step, about: they are fetched line by line. */
#define STEP_CP_CYCLES	16

void nc_model_dma(const struct nc_back *b, struct nc_model *m, const struct nc_operand *o,
		  uint64_t times)
{
	union nc_desc desc;
	uint64_t data, latency;

	if (!o->spm_elems)
		return;
	nc_desc_dma(b, o, o->write ? NPU_OP_STORE : NPU_OP_LOAD, 0, 0, &desc);
	data = npu_dma_cycles(&b->timing, &desc) * times;
	latency = npu_dma_latency(&b->timing, &desc) * times;
	m->mem += data;
	if (o->write)
		m->dout += data + latency;
	else
		m->di += data + latency;
	m->bytes += nc_operand_bytes(o);
}

struct nc_cost nc_model_cost(const struct nc_back *b, const struct nc_model *m)
{
	uint64_t sum = m->te + m->ve + m->di + m->dout;
	uint64_t longest = npu_max_u64(npu_max_u64(m->te, m->ve),
				       npu_max_u64(npu_max_u64(m->di, m->dout), m->mem));
	uint64_t spm = npu_ceil_div(npu_sat_mul(m->bytes, 1024), nc_cache_bytes(b));
	uint64_t acc = npu_ceil_div(npu_sat_mul(m->acc_bytes, 1024), b->limits.acc_bytes);
	bool overlaps = spm <= 512 && acc <= 512 && m->tiles;
	/* Steps overlap but for the first one's way through the engines. */
	uint64_t cycles = overlaps ? longest + (sum - longest) / m->tiles : sum;

	return (struct nc_cost){
		.pressure = npu_max_u64(spm, acc),
		.cycles = cycles + m->tiles * STEP_CP_CYCLES,
	};
}

static void clip(struct nc_nest *n, unsigned int i)
{
	uint32_t left = n->full[i] - n->at[i];

	n->size[i] = left < n->tile[i] ? left : n->tile[i];
}

void nc_nest_order(struct nc_nest *n, unsigned int dims, const uint8_t *order,
		   const uint32_t *full, const uint32_t *tile)
{
	n->dims = dims;
	for (unsigned int i = 0; i < dims; i++) {
		n->full[i] = full[order[i]];
		n->tile[i] = tile[order[i]];
	}
}

unsigned int nc_nest_loops(unsigned int dims, const uint8_t *order, unsigned int bits)
{
	unsigned int loops = 0;

	for (unsigned int i = 0; i < dims; i++)
		if (bits >> order[i] & 1)
			loops |= 1u << i;
	return loops;
}

void nc_nest_piece(const struct nc_nest *n, const uint8_t *order, uint32_t *at, uint32_t *size)
{
	for (unsigned int i = 0; i < n->dims; i++) {
		at[order[i]] = n->at[i];
		size[order[i]] = n->size[i];
	}
}

void nc_nest_first(struct nc_nest *n)
{
	for (unsigned int i = 0; i < n->dims; i++) {
		n->at[i] = 0;
		clip(n, i);
	}
}

bool nc_nest_next(struct nc_nest *n)
{
	for (unsigned int i = n->dims; i-- > 0;) {
		n->at[i] += n->size[i];
		if (n->at[i] < n->full[i]) {
			clip(n, i);
			return true;
		}
		n->at[i] = 0;
		clip(n, i);
	}
	return false;
}

uint64_t nc_nest_tiles(const struct nc_nest *n)
{
	uint64_t tiles = 1;

	for (unsigned int i = 0; i < n->dims; i++)
		tiles = npu_sat_mul(tiles, npu_ceil_div(n->full[i], n->tile[i]));
	return tiles;
}

uint64_t nc_nest_fetches(const struct nc_back *b, const struct nc_nest *n, unsigned int depends,
			 uint64_t elems)
{
	uint64_t pieces = 1, moves = 1, outer = 1;

	for (unsigned int i = 0; i < n->dims; i++) {
		uint64_t count = npu_ceil_div(n->full[i], n->tile[i]);

		outer = npu_sat_mul(outer, count);
		if (!(depends >> i & 1))
			continue;
		pieces = npu_sat_mul(pieces, count);
		if (count > 1)
			moves = outer;
	}
	return npu_sat_mul(elems, 4) <= nc_cache_bytes(b) / 4 ? pieces : moves;
}
