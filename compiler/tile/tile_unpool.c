/* SPDX-License-Identifier: MIT */
/*
 * Tiles of sums at positions: whole planes, or the rows of some windows where
 * windows do not overlap. A tile is filled with zero by place, then added to.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

enum { N, OH, C, DIMS };

struct unpool_arg {
	struct nc_back *b;
	const struct kir_unpool *op;
	bool rows_apart;
	uint32_t full[DIMS];
};

/* Rows of the output belong to one row of windows each, and every one has some. */
static bool rows_apart(const struct kir_window *w)
{
	int64_t reach = (int64_t)(w->kh - 1) * w->dil_h + 1, stride = w->stride_h;

	return stride >= reach && w->pad_top < stride &&
	       (int64_t)(w->oh - 1) * stride - w->pad_top < (int64_t)w->h;
}

/* First row of the tile whose windows start at @at. */
static uint32_t first_row(const struct kir_window *w, uint32_t at)
{
	if (!at)
		return 0;
	return at == w->oh ? w->h : (uint32_t)((int64_t)at * w->stride_h - w->pad_top);
}

static void operands(const struct unpool_arg *a, const uint32_t *at, const uint32_t *size,
		     struct nc_operand o[3])
{
	const struct kir_window *w = &a->op->win;
	uint32_t row = first_row(w, at[OH]), rows = first_row(w, at[OH] + size[OH]) - row;
	const int64_t from[] = { at[N], at[OH], 0, at[C] }, to[] = { at[N], row, 0, at[C] };
	const uint32_t dim[] = { size[N], size[OH], w->ow, size[C] };

	nc_operand_view(a->b, &o[0], &a->op->in, from, dim, NC_PACK_INNER);
	nc_operand_view(a->b, &o[1], &a->op->out, to,
			(uint32_t[]){ size[N], rows, w->w, size[C] }, NC_PACK_INNER);
	nc_operand_view(a->b, &o[2], &a->op->index, from, dim, NC_PACK_INNER);
	o[1].write = true;
}

static struct npu_conv_shape shape_of(const struct unpool_arg *a, const uint32_t *at,
				      const uint32_t *size)
{
	const struct kir_window *w = &a->op->win;

	return (struct npu_conv_shape){
		.n = (uint16_t)size[N], .c = (uint16_t)size[C], .k = (uint16_t)size[C],
		.oh = (uint16_t)size[OH], .ow = (uint16_t)w->ow, .w = (uint16_t)w->w,
		.h = (uint16_t)(first_row(w, at[OH] + size[OH]) - first_row(w, at[OH])),
		.kh = 1, .kw = 1, .stride_h = 1, .stride_w = 1, .dil_h = 1, .dil_w = 1,
		.up_h = 1, .up_w = 1,
	};
}

static struct nc_cost unpool_cost(const void *arg, const uint32_t *tile)
{
	const struct unpool_arg *a = arg;
	const uint32_t at[DIMS] = { 0 };
	union nc_desc d = {
		.hdr = { .opcode = NPU_OP_UNPOOL, .flags = NPU_F_POOL_INDEX },
	};
	struct nc_nest nest = { .dims = DIMS };
	struct nc_operand o[3] = { 0 };
	struct nc_model m = { 0 };
	struct nc_cost c;

	if (tile[OH] < a->full[OH] && !a->rows_apart)
		return (struct nc_cost){ .pressure = UINT64_MAX, .cycles = UINT64_MAX };
	memcpy(nest.full, a->full, sizeof(a->full));
	memcpy(nest.tile, tile, DIMS * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	operands(a, at, tile, o);
	for (unsigned int i = 0; i < 3; i++)
		nc_model_dma(a->b, &m, &o[i], m.tiles);
	d.pool.shape = shape_of(a, at, tile);
	m.ve = npu_ve_cycles(&a->b->timing, &d) * m.tiles;
	c = nc_model_cost(a->b, &m);
	if (tile[N] > UINT16_MAX || tile[OH] > UINT16_MAX || tile[C] > UINT16_MAX ||
	    first_row(&a->op->win, tile[OH]) > UINT16_MAX)
		c.pressure = npu_sat_add(1025 + c.pressure, m.bytes);
	return c;
}

static int add_unpool(const struct unpool_arg *a, uint32_t node, const uint32_t *at,
		      const uint32_t *size)
{
	struct nc_tile *t = nc_add_tile(a->b, NPU_OP_UNPOOL, node, 3);

	if (!t)
		return -ENOMEM;
	t->flags = NPU_F_POOL_INDEX;
	t->shape = shape_of(a, at, size);
	t->index_row = (int32_t)a->op->win.w;
	t->index_base = (int32_t)(first_row(&a->op->win, at[OH]) * a->op->win.w);
	operands(a, at, size, t->operand);
	return 0;
}

int nc_tile_unpool(struct nc_back *b, const struct kir_op *op)
{
	const struct kir_window *w = &op->unpool.win;
	struct unpool_arg a = {
		.b = b, .op = &op->unpool, .rows_apart = rows_apart(w),
		.full = { w->n, w->oh, w->c },
	};
	struct nc_search s = { .dims = DIMS, .cost = unpool_cost, .arg = &a };
	struct nc_nest nest = { .dims = DIMS };
	int ret;

	if (w->w > UINT16_MAX || w->ow > UINT16_MAX)
		return nc_op_error(b, op->node, "rows must be shorter than 65536 elements");
	memcpy(s.full, a.full, sizeof(a.full));
	if (!nc_search(&s))
		return nc_op_error(b, op->node, "a plane of %u x %u does not fit %u bytes of scratchpad",
				   w->h, w->w, nc_cache_bytes(b));
	memcpy(nest.full, a.full, sizeof(a.full));
	memcpy(nest.tile, s.tile, sizeof(a.full));
	nc_nest_first(&nest);
	do
		ret = add_unpool(&a, op->node, nest.at, nest.size);
	while (!ret && nc_nest_next(&nest));
	return ret;
}
