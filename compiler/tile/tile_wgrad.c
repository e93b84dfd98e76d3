/* SPDX-License-Identifier: MIT */
/*
 * Tiles of weight gradients. A tile of the weights is the sum of pieces of the
 * positions in the order of HW 9.1: whole images, or rows of one image, or
 * parts of one row. Its accumulators are packed like the weights of its own
 * shape, so its epilogue runs once per panel and block of channels.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

#include "kir/kir_view.h"

enum { KO, C, KH, KW, N, OH, OW, DIMS };

struct wgrad_arg {
	struct nc_back *b;
	const struct kir_wgrad *op;
	struct nc_axis rows;
	struct nc_axis columns;
	bool depthwise;
	const uint8_t *order;
	uint32_t full[DIMS];
	union nc_desc *map_desc;
};

/* A piece of work: @at and @size per dimension, in group @group. */
struct piece {
	uint32_t group;
	uint32_t at[DIMS];
	uint32_t size[DIMS];
};

static const uint8_t orders[2][DIMS] = {
	{ KO, C, KH, KW, N, OH, OW },
	{ C, KH, KW, KO, N, OH, OW },
};

static uint32_t first_channel(const struct wgrad_arg *a, const struct piece *p)
{
	return a->depthwise ? p->at[KO] : p->group * a->full[C] + p->at[C];
}

static void input_operand(const struct wgrad_arg *a, const struct piece *p,
			  const struct nc_axis_tile *rows, const struct nc_axis_tile *columns,
			  struct nc_operand *o)
{
	nc_operand_view(a->b, o, &a->op->in,
			(int64_t[]){ p->at[N], rows->first, columns->first, first_channel(a, p) },
			(uint32_t[]){ p->size[N], rows->count, columns->count,
				      a->depthwise ? p->size[KO] : p->size[C] },
			NC_PACK_INNER);
}

static void dy_operand(const struct wgrad_arg *a, const struct piece *p, struct nc_operand *o)
{
	nc_operand_view(a->b, o, &a->op->dy,
			(int64_t[]){ p->at[N], p->at[OH], p->at[OW],
				     p->group * a->full[KO] + p->at[KO] },
			(uint32_t[]){ p->size[N], p->size[OH], p->size[OW], p->size[KO] },
			NC_PACK_INNER);
}

static struct npu_conv_shape shape_of(const struct wgrad_arg *a, const uint32_t *size)
{
	return (struct npu_conv_shape){
		.n = (uint16_t)size[N], .oh = (uint16_t)size[OH], .ow = (uint16_t)size[OW],
		.k = (uint16_t)size[KO], .kh = (uint16_t)size[KH], .kw = (uint16_t)size[KW],
		.c = (uint16_t)(a->depthwise ? size[KO] : size[C]),
	};
}

static uint64_t acc_elems(const struct wgrad_arg *a, const uint32_t *size)
{
	if (a->depthwise)
		return npu_sat_mul((uint64_t)size[KH] * size[KW], size[KO]);
	return npu_sat_mul(npu_ceil_div(size[KO], a->b->target.array_cols) *
			   a->b->target.array_cols * size[C], (uint64_t)size[KH] * size[KW]);
}

/* ---- cost ---- */

static bool keeps_order(const struct wgrad_arg *a, const uint32_t *tile)
{
	if (tile[OW] < a->full[OW] && (tile[OH] > 1 || tile[N] > 1))
		return false;
	return tile[OH] == a->full[OH] || tile[N] == 1;
}

static bool fits_fields(const struct wgrad_arg *a, const uint32_t *tile)
{
	for (unsigned int i = 0; i < DIMS; i++)
		if (tile[i] > UINT16_MAX)
			return false;
	return nc_axis_rows(&a->rows, tile[OH], tile[KH]) <= UINT16_MAX &&
	       nc_axis_rows(&a->columns, tile[OW], tile[KW]) <= UINT16_MAX;
}

static void model_operands(const struct wgrad_arg *a, const uint32_t *tile,
			   const struct nc_nest *nest, struct nc_model *m)
{
	const struct kir_window *w = &a->op->win;
	const unsigned int places = 1u << N | 1u << OH | 1u << OW;
	const unsigned int image = places | 1u << C | 1u << KH | 1u << KW |
				   (a->depthwise ? 1u << KO : 0);
	struct nc_axis_tile rows = { .count = nc_axis_rows(&a->rows, tile[OH], tile[KH]) };
	struct nc_axis_tile columns = { .count = nc_axis_rows(&a->columns, tile[OW], tile[KW]) };
	struct piece p = { .group = 0 };
	struct nc_operand o = { 0 };

	memcpy(p.size, tile, sizeof(p.size));
	input_operand(a, &p, &rows, &columns, &o);
	nc_model_dma(a->b, m, &o,
		     nc_nest_fetches(a->b, nest, nc_nest_loops(DIMS, a->order, image),
				     npu_sat_mul((uint64_t)w->n * w->h, (uint64_t)w->w * w->c)));
	o = (struct nc_operand){ 0 };
	dy_operand(a, &p, &o);
	nc_model_dma(a->b, m, &o,
		     nc_nest_fetches(a->b, nest, nc_nest_loops(DIMS, a->order, places | 1u << KO),
				     npu_sat_mul((uint64_t)w->n * w->oh, (uint64_t)w->ow * w->k)));
}

/* The epilogue of one panel and block, as often as there are such. */
static void model_epilogue(const struct wgrad_arg *a, const uint32_t *tile, uint64_t tiles,
			   struct nc_model *m)
{
	uint32_t columns = a->b->target.array_cols;
	uint32_t dim[NC_LOOPS] = { tile[KH], tile[KW], tile[C], tile[KO] };

	if (!a->depthwise) {
		tiles *= npu_ceil_div(tile[KO], columns) * npu_ceil_div(tile[C], NPU_CONV_CBLOCK);
		dim[2] = tile[C] < NPU_CONV_CBLOCK ? tile[C] : NPU_CONV_CBLOCK;
		dim[3] = tile[KO] < columns ? tile[KO] : columns;
	}
	nc_model_map(a->b, m, &a->op->epilogue, a->map_desc, dim, tiles);
}

static struct nc_cost wgrad_cost(const void *arg, const uint32_t *tile)
{
	const struct wgrad_arg *a = arg;
	union nc_desc d = {
		.hdr = { .opcode = NPU_OP_WGRAD, .flags = a->depthwise ? NPU_F_DEPTHWISE : 0 },
	};
	struct nc_nest nest = { 0 };
	struct nc_model m = { 0 };
	uint64_t pieces;

	if (!keeps_order(a, tile))
		return (struct nc_cost){ .pressure = UINT64_MAX, .cycles = UINT64_MAX };
	nc_nest_order(&nest, DIMS, a->order, a->full, tile);
	m.tiles = nc_nest_tiles(&nest);
	pieces = npu_ceil_div(a->full[N], tile[N]) * npu_ceil_div(a->full[OH], tile[OH]) *
		npu_ceil_div(a->full[OW], tile[OW]);
	m.acc_bytes = npu_sat_mul(acc_elems(a, tile), 4);
	model_operands(a, tile, &nest, &m);
	model_epilogue(a, tile, m.tiles / pieces, &m);
	if (!fits_fields(a, tile)) {
		/* Beyond what a descriptor holds: like memory that is not there, by size. */
		struct nc_cost c = nc_model_cost(a->b, &m);

		c.pressure = npu_sat_add(1025 + c.pressure, m.acc_bytes);
		return c;
	}
	d.wgrad.shape = shape_of(a, tile);
	m.te = npu_te_cycles(&a->b->timing, &d) * m.tiles;
	return nc_model_cost(a->b, &m);
}

/* ---- tiles ---- */

static int add_wgrad(struct wgrad_arg *a, uint32_t node, const struct piece *p, uint32_t buffer)
{
	bool first = !p->at[N] && !p->at[OH] && !p->at[OW];
	struct nc_tile *t = nc_add_tile(a->b, NPU_OP_WGRAD, node, 3);
	struct nc_axis_tile rows = nc_axis_tile(&a->rows, p->at[OH], p->size[OH], p->at[KH],
						p->size[KH]);
	struct nc_axis_tile columns = nc_axis_tile(&a->columns, p->at[OW], p->size[OW],
						   p->at[KW], p->size[KW]);

	if (!t)
		return -ENOMEM;
	t->flags = (uint16_t)((first ? 0 : NPU_F_ACCUMULATE) |
			      (a->depthwise ? NPU_F_DEPTHWISE : 0));
	t->shape = shape_of(a, p->size);
	input_operand(a, p, &rows, &columns, &t->operand[0]);
	dy_operand(a, p, &t->operand[1]);
	nc_operand_buffer(a->b, &t->operand[2], buffer, 0,
			  (uint32_t[]){ 1, 1, 1, (uint32_t)acc_elems(a, p->size) }, NULL);
	t->operand[2].write = true;
	return nc_window_shape(a->b, node, &a->op->win, &rows, &columns, &t->shape);
}

static int add_epilogue(const struct wgrad_arg *a, uint32_t node, const struct piece *p,
			struct nc_acc *acc, const uint32_t at[2], const uint32_t size[2])
{
	return nc_add_map(a->b, node, &a->op->epilogue,
			  (int64_t[]){ p->at[KH], p->at[KW], p->at[C] + at[1],
				       p->group * a->full[KO] + p->at[KO] + at[0] },
			  (uint32_t[]){ p->size[KH], p->size[KW], size[1], size[0] }, acc, 0);
}

/* A map per panel and block: only there the accumulators have four strides. */
static int add_epilogues(const struct wgrad_arg *a, uint32_t node, const struct piece *p,
			 uint32_t buffer)
{
	uint32_t columns = a->b->target.array_cols, ko = p->size[KO], c = p->size[C];
	int32_t kw = (int32_t)p->size[KW];
	struct nc_acc acc = { .buffer = buffer };
	int ret = 0;

	if (a->depthwise) {
		memcpy(acc.stride, (int32_t[]){ kw * (int32_t)ko, (int32_t)ko, 0, 1 },
		       sizeof(acc.stride));
		return add_epilogue(a, node, p, &acc, (uint32_t[]){ 0, 0 }, (uint32_t[]){ ko, c });
	}
	for (uint32_t k = 0; k < ko; k += columns)
		for (uint32_t block = 0; block < c && !ret; block += NPU_CONV_CBLOCK) {
			uint32_t rows = c - block < NPU_CONV_CBLOCK ? c - block : NPU_CONV_CBLOCK;
			int32_t run = (int32_t)(rows * columns);

			acc.offset = (int64_t)npu_weight_index(k, block, 0, 0, c, p->size[KH],
							       p->size[KW], columns);
			memcpy(acc.stride, (int32_t[]){ kw * run, run, (int32_t)columns, 1 },
			       sizeof(acc.stride));
			ret = add_epilogue(a, node, p, &acc, (uint32_t[]){ k, block },
					   (uint32_t[]){ ko - k < columns ? ko - k : columns, rows });
		}
	return ret;
}

static int add_piece(struct wgrad_arg *a, uint32_t node, const struct piece *p, uint32_t *buffer)
{
	bool last = p->at[N] + p->size[N] == a->full[N] &&
		p->at[OH] + p->size[OH] == a->full[OH] && p->at[OW] + p->size[OW] == a->full[OW];
	int ret;

	if (!p->at[N] && !p->at[OH] && !p->at[OW]) {
		*buffer = nc_add_buffer(a->b, NPU_SPACE_ACC, NPU_F32, acc_elems(a, p->size));
		if (*buffer == UINT32_MAX)
			return -ENOMEM;
	}
	ret = add_wgrad(a, node, p, *buffer);
	return ret || !last ? ret : add_epilogues(a, node, p, *buffer);
}

static int add_tiles(struct wgrad_arg *a, uint32_t node, uint32_t group, const uint32_t *tile)
{
	struct piece p = { .group = group };
	struct nc_nest nest = { 0 };
	uint32_t buffer = 0;
	int ret;

	nc_nest_order(&nest, DIMS, a->order, a->full, tile);
	nc_nest_first(&nest);
	do {
		nc_nest_piece(&nest, a->order, p.at, p.size);
		ret = add_piece(a, node, &p, &buffer);
	} while (!ret && nc_nest_next(&nest));
	return ret;
}

static int search(struct wgrad_arg *a, uint32_t node, uint32_t *tile)
{
	uint64_t best_cycles = UINT64_MAX;
	const uint8_t *best = NULL;

	for (unsigned int i = 0; i < 2; i++) {
		struct nc_search s = { .dims = DIMS, .cost = wgrad_cost, .arg = a };

		a->order = orders[i];
		memcpy(s.full, a->full, sizeof(a->full));
		s.granule[KO] = a->b->target.array_cols;
		if (nc_search(&s) && wgrad_cost(a, s.tile).cycles < best_cycles) {
			best_cycles = wgrad_cost(a, s.tile).cycles;
			memcpy(tile, s.tile, DIMS * sizeof(*tile));
			best = orders[i];
		}
	}
	a->order = best;
	if (!best)
		return nc_op_error(a->b, node, "the smallest tile of the weights' gradient does not fit %u bytes of scratchpad and %u of accumulators",
				   nc_cache_bytes(a->b), a->b->limits.acc_bytes);
	return 0;
}

int nc_tile_wgrad(struct nc_back *b, const struct kir_op *op)
{
	const struct kir_wgrad *g = &op->wgrad;
	const struct kir_window *w = &g->win;
	union nc_desc desc;
	struct wgrad_arg a = {
		.b = b, .op = g, .map_desc = &desc,
		.rows = nc_window_rows(w), .columns = nc_window_columns(w),
		.depthwise = kir_depthwise(w, g->groups),
	};
	uint32_t groups = a.depthwise ? 1 : g->groups;
	uint32_t tile[DIMS] = { 0 };
	int ret = nc_window_check(b, op->node, w);

	if (!ret)
		ret = nc_map_template(b, &g->epilogue, &desc);
	if (ret)
		return ret;
	memcpy(a.full, (uint32_t[]){ w->k / groups, a.depthwise ? 1 : w->c / groups, w->kh, w->kw,
				     w->n, w->oh, w->ow }, sizeof(a.full));
	ret = search(&a, op->node, tile);
	for (uint32_t i = 0; i < groups && !ret; i++)
		ret = add_tiles(&a, op->node, i, tile);
	return ret;
}
