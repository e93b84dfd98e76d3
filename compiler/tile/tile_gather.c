/* SPDX-License-Identifier: MIT */
/*
 * Tiles of gathers and scatters: rows between the table in memory and SPM. The
 * last of the rows that a scatter writes to one place is the last here, too.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

#include "kir/kir_view.h"

struct gather_arg {
	struct nc_back *b;
	const struct kir_gather *gather;
};

/* Operands of the tile of @size at @at. */
static void set_operands(struct nc_back *b, const struct kir_gather *g, const uint32_t *at,
			 const uint32_t *size, struct nc_operand o[NC_GATHER_OPERANDS])
{
	const uint32_t index[NC_LOOPS] = { size[0], size[1], size[2], g->coords };
	const int64_t index_at[NC_LOOPS] = { at[0], at[1], at[2], 0 };
	const int64_t data_at[NC_LOOPS] = { at[0], at[1], at[2], at[3] };
	struct nc_operand *table = &o[NC_GATHER_TABLE];

	nc_operand_view(b, &o[NC_GATHER_INDEX], &g->index, index_at, index, NC_PACK_MEMORY);
	nc_operand_view(b, &o[NC_GATHER_DATA], &g->data, data_at, size, NC_PACK_INNER);
	o[NC_GATHER_DATA].write = !g->scatter;
	/* As a whole, whatever this tile reaches. */
	*table = (struct nc_operand){
		.tensor = g->table.tensor,
		.write = g->scatter,
		.dtype = o[NC_GATHER_DATA].dtype,
		.offset = g->table.offset,
		.dim = { 1, 1, 1, kir_gather_elems(g) },
		.stride = { 0, 0, 0, 1 },
	};
}

static struct nc_cost gather_cost(const void *arg, const uint32_t *tile)
{
	static const uint32_t origin[NC_LOOPS];
	const struct gather_arg *a = arg;
	struct nc_operand o[NC_GATHER_OPERANDS] = { { 0 } };
	struct nc_nest nest = { .dims = NC_LOOPS };
	struct npu_desc_gather d = { .hdr = { .opcode = NPU_OP_GATHER } };
	struct nc_model m = { 0 };
	uint64_t data, latency;

	memcpy(nest.full, a->gather->dim, NC_LOOPS * sizeof(*tile));
	memcpy(nest.tile, tile, NC_LOOPS * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	set_operands(a->b, a->gather, origin, tile, o);
	nc_model_dma(a->b, &m, &o[NC_GATHER_INDEX], m.tiles);
	nc_model_dma(a->b, &m, &o[NC_GATHER_DATA], m.tiles);
	memcpy(d.dim, tile, sizeof(d.dim));
	d.row_elems = tile[3];
	d.mem.dtype = (uint8_t)a->b->k->tensor[a->gather->table.tensor].dtype;
	data = npu_sat_mul(npu_dma_cycles(&a->b->timing, &d), m.tiles);
	latency = npu_sat_mul(npu_dma_latency(&a->b->timing, &d), m.tiles);
	m.mem += data;
	*(a->gather->scatter ? &m.dout : &m.di) += data + latency;
	return nc_model_cost(a->b, &m);
}

static int add_gather(struct nc_back *b, const struct kir_op *op, const struct nc_nest *nest)
{
	const struct kir_gather *g = &op->gather;
	struct nc_tile *t = nc_add_tile(b, g->scatter ? NPU_OP_SCATTER : NPU_OP_GATHER, op->node,
					NC_GATHER_OPERANDS);

	if (!t)
		return -ENOMEM;
	t->flags = NPU_F_FROM_END;
	t->gather = g;
	memcpy(t->dim, nest->size, NC_LOOPS * sizeof(t->dim[0]));
	set_operands(b, g, nest->at, nest->size, t->operand);
	t->first_row = nest->at[3];
	for (unsigned int i = 0; i < 3; i++)
		t->first_row += nest->at[i] * g->row_step[i];
	return 0;
}

static int check_steps(struct nc_back *b, const struct kir_op *op)
{
	const struct kir_gather *g = &op->gather;

	if (!(b->limits.caps & NPU_CAP_GATHER))
		return nc_op_error(b, op->node, "the device lacks GATHER; its indices must be known while compiling");
	for (unsigned int i = 0; i < 3 + g->coords; i++) {
		int64_t step = i < 3 ? g->row_step[i] : g->step[i - 3];

		if (step > INT32_MAX / 8)
			return nc_op_error(b, op->node,
					   "its table moves by %lld elements per step; the DMA engine's steps are below 2 GiB: use a smaller table",
					   (long long)step);
	}
	return 0;
}

/*
 * Rows that differ in a loop without a step in the table may be for one place.
 * They keep their order if where such a loop is split, those around it go on by
 * single steps.
 */
static void keep_order(const struct kir_gather *g, uint32_t tile[NC_LOOPS])
{
	bool split = false;

	for (unsigned int i = 3; i-- > 0;) {
		if (g->row_step[i])
			continue;
		if (split)
			tile[i] = 1;
		split = split || tile[i] < g->dim[i];
	}
}

int nc_tile_gather(struct nc_back *b, const struct kir_op *op)
{
	struct gather_arg arg = { .b = b, .gather = &op->gather };
	struct nc_search s = { .dims = NC_LOOPS, .cost = gather_cost, .arg = &arg };
	struct nc_nest nest = { .dims = NC_LOOPS };
	int ret = check_steps(b, op);

	if (ret)
		return ret;
	memcpy(s.full, op->gather.dim, NC_LOOPS * sizeof(s.full[0]));
	if (!nc_search(&s))
		return nc_op_error(b, op->node, "the smallest tile of its rows does not fit %u bytes of scratchpad",
				   nc_cache_bytes(b));
	if (op->gather.scatter)
		keep_order(&op->gather, s.tile);
	memcpy(nest.full, s.full, NC_LOOPS * sizeof(s.full[0]));
	memcpy(nest.tile, s.tile, NC_LOOPS * sizeof(s.tile[0]));
	nc_nest_first(&nest);
	do
		ret = add_gather(b, op, &nest);
	while (!ret && nc_nest_next(&nest));
	return ret;
}
