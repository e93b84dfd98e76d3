/* SPDX-License-Identifier: MIT */
/*
 * Tiles of convolutions. A tile of the output is the sum of pieces of the
 * contraction in the order of HW 9.1: whole blocks of 64 channels, or rows of
 * taps of one block, or taps of one row.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

#include "kir/kir_view.h"

enum { N, OH, OW, KO, C, KH, KW, DIMS };

struct conv_arg {
	struct nc_back *b;
	const struct kir_conv *op;
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
	{ N, OH, OW, KO, C, KH, KW },
	{ KO, N, OH, OW, C, KH, KW },
};

/* Weights of a piece: panels of the array's columns, each one run of memory. */
static void weight_operand(const struct conv_arg *a, const struct piece *p, struct nc_operand *o)
{
	const struct kir_window *w = &a->op->win;
	int64_t cols = a->b->target.array_cols, taps = (int64_t)w->kh * w->kw;
	uint32_t dim[NC_LOOPS] = { 1, 1, 1, 1 };
	struct kir_view v = a->op->weights;

	if (a->depthwise) {
		v.offset += ((int64_t)p->at[KH] * w->kw + p->at[KW]) * w->k + p->at[KO];
		v.stride[1] = (int64_t)w->kw * w->k;
		v.stride[2] = w->k;
		dim[1] = p->size[KH];
		dim[2] = p->size[KW];
		dim[3] = p->size[KO];
	} else {
		int64_t panel = a->full[C] * taps * cols;
		int64_t block = p->size[C] * cols;

		v.offset += (int64_t)(p->group * npu_ceil_div(a->full[KO], (uint64_t)cols) +
				      p->at[KO] / cols) * panel + p->at[C] * taps * cols +
			((int64_t)p->at[KH] * w->kw + p->at[KW]) * block;
		v.stride[2] = panel;
		dim[2] = (uint32_t)npu_ceil_div(p->size[KO], (uint64_t)cols);
		dim[3] = (uint32_t)(p->size[KH] * p->size[KW] * block);
	}
	v.stride[3] = 1;
	nc_operand_view(a->b, o, &v, NULL, dim, NC_PACK_ROWS);
}

static uint32_t first_channel(const struct conv_arg *a, const struct piece *p)
{
	return a->depthwise ? p->at[KO] : p->group * a->full[C] + p->at[C];
}

static void input_operand(const struct conv_arg *a, const struct piece *p,
			  const struct nc_axis_tile *rows, const struct nc_axis_tile *columns,
			  struct nc_operand *o)
{
	nc_operand_view(a->b, o, &a->op->in,
			(int64_t[]){ p->at[N], rows->first, columns->first, first_channel(a, p) },
			(uint32_t[]){ p->size[N], rows->count, columns->count,
				      a->depthwise ? p->size[KO] : p->size[C] },
			NC_PACK_INNER);
}

/*
 * In their place in SPM, weights of a descriptor must follow each other as they
 * do in its packed copy: one panel's, or all of each panel.
 */
static bool in_place(const struct conv_arg *a, const uint32_t *tile)
{
	return !nc_resident(a->b, a->op->weights.tensor) || tile[KO] <= a->op->panel ||
		(tile[C] == a->full[C] && tile[KH] == a->full[KH] && tile[KW] == a->full[KW]);
}

/* ---- cost ---- */

/* Splitting taps keeps the order of HW 9.1 only inside one block of channels. */
static bool keeps_order(const struct conv_arg *a, const uint32_t *tile)
{
	if (tile[KH] == a->full[KH] && tile[KW] == a->full[KW])
		return true;
	return tile[C] <= NPU_CONV_CBLOCK && (tile[KH] == 1 || tile[KW] == a->full[KW]);
}

static bool fits_fields(const struct conv_arg *a, const uint32_t *tile)
{
	for (unsigned int i = 0; i < DIMS; i++)
		if (tile[i] > UINT16_MAX)
			return false;
	return nc_axis_rows(&a->rows, tile[OH], tile[KH]) <= UINT16_MAX &&
	       nc_axis_rows(&a->columns, tile[OW], tile[KW]) <= UINT16_MAX;
}

static void model_operands(const struct conv_arg *a, const uint32_t *tile,
			   const struct nc_nest *nest, struct nc_model *m)
{
	const struct kir_window *w = &a->op->win;
	const unsigned int taps = 1u << C | 1u << KH | 1u << KW;
	const unsigned int image = 1u << N | 1u << OH | 1u << OW | taps |
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
	weight_operand(a, &p, &o);
	nc_model_dma(a->b, m, &o,
		     nc_nest_fetches(a->b, nest, nc_nest_loops(DIMS, a->order, 1u << KO | taps),
				     kir_conv_packed_elems(a->op)));
	if (a->op->bias.tensor != KIR_NO_TENSOR)
		m->bytes += (uint64_t)tile[KO] * 4 + NC_ALIGN_BYTES;
}

static struct nc_cost conv_cost(const void *arg, const uint32_t *tile)
{
	const struct conv_arg *a = arg;
	union nc_desc d = {
		.hdr = { .opcode = NPU_OP_CONV, .flags = a->depthwise ? NPU_F_DEPTHWISE : 0 },
	};
	struct nc_nest nest = { 0 };
	struct nc_model m = { 0 };
	uint64_t pieces;

	if (!keeps_order(a, tile) || !in_place(a, tile))
		return (struct nc_cost){ .pressure = UINT64_MAX, .cycles = UINT64_MAX };
	nc_nest_order(&nest, DIMS, a->order, a->full, tile);
	m.tiles = nc_nest_tiles(&nest);
	pieces = npu_ceil_div(a->full[C], tile[C]) * npu_ceil_div(a->full[KH], tile[KH]) *
		npu_ceil_div(a->full[KW], tile[KW]);
	m.acc_bytes = npu_sat_mul((uint64_t)tile[N] * tile[OH],
				  (uint64_t)tile[OW] * tile[KO] * 4);
	model_operands(a, tile, &nest, &m);
	nc_model_map(a->b, &m, &a->op->epilogue, a->map_desc,
		     (uint32_t[]){ tile[N], tile[OH], tile[OW], tile[KO] }, m.tiles / pieces);
	if (!fits_fields(a, tile)) {
		/* Beyond what a descriptor holds: like memory that is not there, by size. */
		struct nc_cost c = nc_model_cost(a->b, &m);

		c.pressure = npu_sat_add(1025 + c.pressure, m.acc_bytes);
		return c;
	}
	d.conv.shape = (struct npu_conv_shape){
		.n = (uint16_t)tile[N], .oh = (uint16_t)tile[OH], .ow = (uint16_t)tile[OW],
		.k = (uint16_t)tile[KO], .kh = (uint16_t)tile[KH], .kw = (uint16_t)tile[KW],
		.c = (uint16_t)(a->depthwise ? tile[KO] : tile[C]),
	};
	m.te = npu_te_cycles(&a->b->timing, &d) * m.tiles;
	return nc_model_cost(a->b, &m);
}

/* ---- tiles ---- */

static int add_conv(struct conv_arg *a, uint32_t node, const struct piece *p,
		    const struct nc_acc *acc)
{
	const struct kir_window *w = &a->op->win;
	bool first = !p->at[C] && !p->at[KH] && !p->at[KW];
	bool bias = first && a->op->bias.tensor != KIR_NO_TENSOR;
	struct nc_tile *t = nc_add_tile(a->b, NPU_OP_CONV, node, bias ? 4 : 3);
	struct nc_axis_tile rows = nc_axis_tile(&a->rows, p->at[OH], p->size[OH], p->at[KH],
						p->size[KH]);
	struct nc_axis_tile columns = nc_axis_tile(&a->columns, p->at[OW], p->size[OW],
						   p->at[KW], p->size[KW]);

	if (!t)
		return -ENOMEM;
	t->flags = (uint16_t)((bias ? NPU_F_BIAS : first ? 0 : NPU_F_ACCUMULATE) |
			      (a->depthwise ? NPU_F_DEPTHWISE : 0));
	t->shape = (struct npu_conv_shape){
		.n = (uint16_t)p->size[N], .oh = (uint16_t)p->size[OH],
		.ow = (uint16_t)p->size[OW], .k = (uint16_t)p->size[KO],
		.kh = (uint16_t)p->size[KH], .kw = (uint16_t)p->size[KW],
		.c = (uint16_t)(a->depthwise ? p->size[KO] : p->size[C]),
	};
	input_operand(a, p, &rows, &columns, &t->operand[0]);
	weight_operand(a, p, &t->operand[1]);
	nc_operand_buffer(a->b, &t->operand[2], acc->buffer, 0,
			  (uint32_t[]){ p->size[N], p->size[OH], p->size[OW], p->size[KO] },
			  acc->stride);
	t->operand[2].write = true;
	if (bias) {
		struct kir_view v = a->op->bias;

		v.stride[NC_LOOPS - 1] = v.stride[0];
		v.stride[0] = 0;
		nc_operand_view(a->b, &t->operand[3], &v,
				(int64_t[]){ 0, 0, 0, p->group * a->full[KO] + p->at[KO] },
				(uint32_t[]){ 1, 1, 1, p->size[KO] }, NC_PACK_INNER);
	}
	return nc_window_shape(a->b, node, w, &rows, &columns, &t->shape);
}

static int add_piece(struct conv_arg *a, uint32_t node, const struct piece *p, struct nc_acc *acc)
{
	bool first = !p->at[C] && !p->at[KH] && !p->at[KW];
	bool last = p->at[C] + p->size[C] == a->full[C] &&
		p->at[KH] + p->size[KH] == a->full[KH] && p->at[KW] + p->size[KW] == a->full[KW];
	int ret;

	if (first) {
		int32_t k = (int32_t)p->size[KO], ow = (int32_t)p->size[OW];
		int32_t oh = (int32_t)p->size[OH];

		*acc = (struct nc_acc){
			.buffer = nc_add_buffer(a->b, NPU_SPACE_ACC, NPU_F32,
						(uint64_t)p->size[N] * p->size[OH] * p->size[OW] *
						p->size[KO]),
			.stride = { oh * ow * k, ow * k, k, 1 },
		};
		if (acc->buffer == UINT32_MAX)
			return -ENOMEM;
	}
	ret = add_conv(a, node, p, acc);
	if (ret || !last)
		return ret;
	return nc_add_map(a->b, node, &a->op->epilogue,
			  (int64_t[]){ p->at[N], p->at[OH], p->at[OW],
				       p->group * a->full[KO] + p->at[KO] },
			  (uint32_t[]){ p->size[N], p->size[OH], p->size[OW], p->size[KO] },
			  acc, 0);
}

static int add_tiles(struct conv_arg *a, uint32_t node, uint32_t group, const uint32_t *tile)
{
	struct piece p = { .group = group };
	struct nc_nest nest = { 0 };
	struct nc_acc acc = { 0 };
	int ret;

	nc_nest_order(&nest, DIMS, a->order, a->full, tile);
	nc_nest_first(&nest);
	do {
		nc_nest_piece(&nest, a->order, p.at, p.size);
		ret = add_piece(a, node, &p, &acc);
	} while (!ret && nc_nest_next(&nest));
	return ret;
}

static int search(struct conv_arg *a, uint32_t node, uint32_t *tile)
{
	uint64_t best_cycles = UINT64_MAX;
	const uint8_t *best = NULL;

	for (unsigned int i = 0; i < 2; i++) {
		struct nc_search s = { .dims = DIMS, .cost = conv_cost, .arg = a };

		a->order = orders[i];
		memcpy(s.full, a->full, sizeof(a->full));
		s.granule[KO] = a->b->target.array_cols;
		s.granule[C] = NPU_CONV_CBLOCK;
		if (nc_search(&s) && conv_cost(a, s.tile).cycles < best_cycles) {
			best_cycles = conv_cost(a, s.tile).cycles;
			memcpy(tile, s.tile, DIMS * sizeof(*tile));
			best = orders[i];
		}
	}
	a->order = best;
	if (!best)
		return nc_op_error(a->b, node, "the smallest tile of the convolution does not fit %u bytes of scratchpad and %u of accumulators",
				   nc_cache_bytes(a->b), a->b->limits.acc_bytes);
	return 0;
}

int nc_tile_conv(struct nc_back *b, const struct kir_op *op)
{
	const struct kir_conv *c = &op->conv;
	const struct kir_window *w = &c->win;
	union nc_desc desc;
	struct conv_arg a = {
		.b = b, .op = c, .map_desc = &desc,
		.rows = nc_window_rows(w), .columns = nc_window_columns(w),
		.depthwise = kir_depthwise(&c->win, c->groups),
	};
	uint32_t groups = a.depthwise ? 1 : c->groups;
	uint32_t tile[DIMS] = { 0 };
	int ret = nc_window_check(b, op->node, w);

	if (!ret)
		ret = nc_map_template(b, &c->epilogue, &desc);
	if (ret)
		return ret;
	memcpy(a.full, (uint32_t[]){ w->n, w->oh, w->ow, w->k / groups,
				     a.depthwise ? 1 : w->c / groups, w->kh, w->kw },
	       sizeof(a.full));
	ret = search(&a, op->node, tile);
	for (uint32_t g = 0; g < groups && !ret; g++)
		ret = add_tiles(&a, op->node, g, tile);
	return ret;
}
