/* SPDX-License-Identifier: MIT */
/* Tiles of pooling: blocks of outputs; a window is never split. */
#include "nc.h"

#include <errno.h>
#include <string.h>

enum { N, OH, OW, C, DIMS };

struct pool_arg {
	struct nc_back *b;
	const struct kir_pool *op;
	struct nc_axis rows;
	struct nc_axis columns;
	uint32_t full[DIMS];
};

static bool has_index(const struct pool_arg *a)
{
	return a->op->index.tensor != KIR_NO_TENSOR;
}

static struct nc_cost pool_cost(const void *arg, const uint32_t *tile)
{
	const struct pool_arg *a = arg;
	const struct kir_window *w = &a->op->win;
	uint32_t h = nc_axis_rows(&a->rows, tile[OH], w->kh);
	uint32_t wide = nc_axis_rows(&a->columns, tile[OW], w->kw);
	union nc_desc d = { .hdr.opcode = NPU_OP_POOL };
	struct nc_nest nest = { .dims = DIMS };
	struct nc_operand in = { 0 }, out = { .write = true };
	struct nc_model m = { 0 };
	struct nc_cost c;

	memcpy(nest.full, a->full, sizeof(a->full));
	memcpy(nest.tile, tile, DIMS * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	nc_operand_view(a->b, &in, &a->op->in, NULL,
			(uint32_t[]){ tile[N], h, wide, tile[C] }, NC_PACK_INNER);
	nc_operand_view(a->b, &out, &a->op->out, NULL, tile, NC_PACK_INNER);
	nc_model_dma(a->b, &m, &in, m.tiles);
	nc_model_dma(a->b, &m, &out, m.tiles);
	if (has_index(a)) {
		nc_operand_view(a->b, &out, &a->op->index, NULL, tile, NC_PACK_INNER);
		nc_model_dma(a->b, &m, &out, m.tiles);
		d.hdr.flags = NPU_F_POOL_INDEX;
	}
	d.pool.shape = (struct npu_conv_shape){
		.n = (uint16_t)tile[N], .oh = (uint16_t)tile[OH], .ow = (uint16_t)tile[OW],
		.c = (uint16_t)tile[C], .kh = (uint16_t)w->kh, .kw = (uint16_t)w->kw,
	};
	m.ve = npu_ve_cycles(&a->b->timing, &d) * m.tiles;
	c = nc_model_cost(a->b, &m);
	if (tile[N] > UINT16_MAX || tile[OH] > UINT16_MAX || tile[OW] > UINT16_MAX ||
	    tile[C] > UINT16_MAX || h > UINT16_MAX || wide > UINT16_MAX)
		c.pressure = npu_sat_add(1025 + c.pressure, m.bytes);
	return c;
}

static int add_pool(struct pool_arg *a, uint32_t node, const uint32_t *at, const uint32_t *size)
{
	const struct kir_window *w = &a->op->win;
	struct nc_tile *t = nc_add_tile(a->b, NPU_OP_POOL, node, has_index(a) ? 3 : 2);
	struct nc_axis_tile rows = nc_axis_tile(&a->rows, at[OH], size[OH], 0, w->kh);
	struct nc_axis_tile columns = nc_axis_tile(&a->columns, at[OW], size[OW], 0, w->kw);

	if (!t)
		return -ENOMEM;
	t->flags = (uint16_t)((a->op->average ? NPU_F_POOL_AVERAGE : 0) |
			      (a->op->average && a->op->count_pad ? NPU_F_POOL_COUNT_PAD : 0));
	t->shape = (struct npu_conv_shape){
		.n = (uint16_t)size[N], .oh = (uint16_t)size[OH], .ow = (uint16_t)size[OW],
		.c = (uint16_t)size[C], .k = (uint16_t)size[C],
		.kh = (uint16_t)w->kh, .kw = (uint16_t)w->kw,
	};
	nc_operand_view(a->b, &t->operand[0], &a->op->in,
			(int64_t[]){ at[N], rows.first, columns.first, at[C] },
			(uint32_t[]){ size[N], rows.count, columns.count, size[C] },
			NC_PACK_INNER);
	nc_operand_view(a->b, &t->operand[1], &a->op->out,
			(int64_t[]){ at[N], at[OH], at[OW], at[C] }, size, NC_PACK_INNER);
	t->operand[1].write = true;
	if (has_index(a)) {
		t->flags |= NPU_F_POOL_INDEX;
		t->index_row = (int32_t)w->w;
		t->index_base = (int32_t)(rows.first * w->w + columns.first);
		nc_operand_view(a->b, &t->operand[2], &a->op->index,
				(int64_t[]){ at[N], at[OH], at[OW], at[C] }, size, NC_PACK_INNER);
		t->operand[2].write = true;
	}
	return nc_window_shape(a->b, node, w, &rows, &columns, &t->shape);
}

int nc_tile_pool(struct nc_back *b, const struct kir_op *op)
{
	const struct kir_window *w = &op->pool.win;
	struct pool_arg a = {
		.b = b, .op = &op->pool,
		.rows = nc_window_rows(w), .columns = nc_window_columns(w),
		.full = { w->n, w->oh, w->ow, w->c },
	};
	struct nc_search s = { .dims = DIMS, .cost = pool_cost, .arg = &a };
	struct nc_nest nest = { .dims = DIMS };
	int ret = nc_window_check(b, op->node, w);

	if (ret)
		return ret;
	memcpy(s.full, a.full, sizeof(a.full));
	if (!nc_search(&s))
		return nc_op_error(b, op->node, "a pooling window of %u x %u does not fit %u bytes of scratchpad",
				   w->kh, w->kw, nc_cache_bytes(b));
	memcpy(nest.full, a.full, sizeof(a.full));
	memcpy(nest.tile, s.tile, sizeof(a.full));
	nc_nest_first(&nest);
	do
		ret = add_pool(&a, op->node, nest.at, nest.size);
	while (!ret && nc_nest_next(&nest));
	return ret;
}
