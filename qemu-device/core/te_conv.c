/* SPDX-License-Identifier: MIT */
/*
 * CONV (HW 9.1). A dense convolution is a product of im2col rows with packed
 * weights: the flat order (block of channels, y, x, c) is both the order of
 * accumulation and that of the weights. A few tiles of output pixels are packed,
 * a chunk of NPU_KERN_DEPTH elements of each, then multiplied with panel after
 * panel: a panel's piece stays in the host's L1 for all of them.
 */
#include "te_conv.h"

static const float zeros[256];	/* start of a row of an array */

/* Output pixels @first .. first + rows - 1 in the order n, oh, ow. */
static void start_tile(const struct conv *v, uint64_t first, uint32_t rows,
		       struct conv_tile *tile)
{
	const struct npu_conv_shape *s = &v->s;
	uint32_t ow = (uint32_t)(first % s->ow);
	uint32_t oh = (uint32_t)(first / s->ow % s->oh);
	uint32_t n = (uint32_t)(first / s->ow / s->oh);

	tile->rows = rows;
	tile->spans = 0;
	for (uint32_t i = 0; i < rows;) {
		struct conv_span *span = &tile->span[tile->spans++];
		float *acc = v->acc + n * v->acc_stride[0] + oh * v->acc_stride[1] +
			     ow * v->acc_stride[2];

		span->first = i;
		span->count = s->ow - ow < rows - i ? s->ow - ow : rows - i;
		span->image = v->in + n * v->in_stride[0];
		span->top = (int64_t)oh * s->stride_h - s->pad_top;
		span->left = (int64_t)ow * s->stride_w - s->pad_left;
		for (uint32_t j = 0; j < span->count; j++, i++, acc += v->acc_stride[2])
			tile->acc[i] = acc;
		ow = 0;
		if (++oh == s->oh) {
			oh = 0;
			n++;
		}
	}
}

/* Add a packed chunk to the accumulators of one panel. */
static void run_panel(const struct conv *v, const struct conv_tile *tile, uint32_t panel,
		      const struct conv_segment *segment, uint32_t segments, bool first)
{
	const uint32_t k = panel * v->cols;
	const size_t panel_elems = (size_t)v->s.c * v->s.kh * v->s.kw * v->cols;
	struct npu_kern_gemm g;

	g.rows = tile->rows;
	g.cols = v->s.k - k < v->cols ? v->s.k - k : v->cols;
	g.a_by_depth = v->by_depth;
	g.a_step = NPU_KERN_ROWS_MAX;
	g.w_stride = v->cols;
	for (uint32_t i = 0; i < tile->rows; i++)
		g.acc[i] = tile->acc[i] + k;
	g.init = NULL;
	if (first && !v->accumulate)
		g.init = v->bias ? v->bias + k : zeros;
	for (uint32_t i = 0; i < segments; i++) {
		g.depth = segment[i].count;
		g.a = tile->chunk + segment[i].depth * (v->by_depth ? NPU_KERN_ROWS_MAX : 1);
		g.w = v->weights + panel * panel_elems + segment[i].weight * v->cols;
		v->x->kern->gemm(&g);
		g.init = NULL;
	}
}

/* Tiles from @first_tile on, at most CONV_UNIT_TILES, against a unit's panels. */
static void run_unit(const struct conv *v, uint64_t first_tile, uint32_t panel)
{
	_Alignas(64) float chunk[CONV_UNIT_TILES][NPU_KERN_ROWS_MAX * NPU_KERN_DEPTH];
	struct conv_segment segment[CONV_SEGMENTS_MAX];
	struct conv_tile tile[CONV_UNIT_TILES];
	struct conv_cursor at = { 0 };
	const uint32_t tiles = v->tiles - first_tile < CONV_UNIT_TILES ?
			       (uint32_t)(v->tiles - first_tile) : CONV_UNIT_TILES;
	const uint32_t panel_end = v->panels - panel < v->unit_panels ?
				   v->panels : panel + v->unit_panels;
	bool first = true;

	for (uint32_t t = 0; t < tiles; t++) {
		const uint64_t row = (first_tile + t) * v->tile_rows;

		tile[t].chunk = chunk[t];
		start_tile(v, row, v->rows - row < v->tile_rows ? (uint32_t)(v->rows - row) :
			   v->tile_rows, &tile[t]);
	}
	while (at.block < v->s.c) {
		const struct conv_cursor start = at;
		uint32_t segments = 0;

		for (uint32_t t = 0; t < tiles; t++) {
			at = start;
			segments = npu_conv_pack(v, &tile[t], &at, segment);
		}
		for (uint32_t p = panel; p < panel_end; p++) {
			if (npu_cancelled(v->x))
				return;
			for (uint32_t t = 0; t < tiles; t++)
				run_panel(v, &tile[t], p, segment, segments, first);
		}
		first = false;
	}
}

static void run_part(void *arg, uint32_t part)
{
	const struct conv *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t u = npu_part_first(v->units, v->parts, part); u < end; u++) {
		if (npu_cancelled(v->x))
			return;
		run_unit(v, u % v->row_units * CONV_UNIT_TILES,
			 (uint32_t)(u / v->row_units) * v->unit_panels);
	}
}

/* How inputs are packed, and what a unit of work is. */
static void cut_dense(struct conv *v)
{
	const struct npu_conv_shape *s = &v->s;
	const unsigned int threads = npu_pool_threads(v->x->pool);
	const bool contiguous = s->up_w == 1 && v->in_stride[2] == s->c && !v->rot180;

	/* With one tap, blocks of channels follow one another in the flat order. */
	v->block_c = s->kh * s->kw == 1 ? s->c : NPU_CONV_CBLOCK;
	v->by_depth = contiguous && s->c == 1 && s->stride_w == 1;
	v->run_taps = contiguous && s->c <= NPU_CONV_CBLOCK && (s->dil_w == 1 || v->by_depth) ?
		      s->kw : 1;
	v->tiles = (v->rows - 1) / v->x->kern->tile_rows + 1;
	v->tile_rows = (uint32_t)((v->rows - 1) / v->tiles + 1);
	v->tiles = (v->rows - 1) / v->tile_rows + 1;
	v->panels = (s->k - 1) / v->cols + 1;
	v->row_units = (v->tiles - 1) / CONV_UNIT_TILES + 1;
	/* Threads first divide pixels; panels when there are too few. */
	v->unit_panels = v->panels;
	if (v->row_units < 2 * threads)
		v->unit_panels = (v->panels - 1) / threads + 1;
	v->units = ((v->panels - 1) / v->unit_panels + 1) * v->row_units;
}

enum npu_fault_code npu_te_conv(const struct npu_exec *x, const struct npu_desc_conv *d)
{
	const uint16_t flags = d->hdr.flags;
	struct conv v = {
		.x = x,
		.s = d->shape,
		.in = npu_operand(x, &d->in),
		.weights = npu_operand(x, &d->weights),
		.bias = flags & NPU_F_BIAS ? npu_operand(x, &d->bias) : NULL,
		.acc = npu_operand(x, &d->acc),
		.accumulate = flags & NPU_F_ACCUMULATE,
		.rot180 = flags & NPU_F_ROT180,
		.cols = x->array_cols,
		.rows = (uint64_t)d->shape.n * d->shape.oh * d->shape.ow,
	};

	for (int i = 0; i < 3; i++) {
		v.in_stride[i] = d->in_stride[i];
		v.acc_stride[i] = d->acc_stride[i];
	}
	if (flags & NPU_F_DEPTHWISE) {
		npu_conv_depthwise(&v);
		return NPU_FAULT_NONE;
	}
	cut_dense(&v);
	v.parts = npu_engine_parts(x, v.units, v.rows * v.s.k * v.s.c * v.s.kh * v.s.kw);
	npu_engine_run(x, run_part, &v, v.parts);
	return NPU_FAULT_NONE;
}
