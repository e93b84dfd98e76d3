/* SPDX-License-Identifier: MIT */
/*
 * WGRAD (HW 9.1): a product of inputs, packed by position, with the gradients
 * of the outputs, used in place. Units of work are blocks of weights; each goes
 * through all positions, so no sum is shared between threads.
 */
#include "te_wgrad.h"

static const float zeros[256];	/* start of a row of an array */

uint32_t npu_wgrad_spans(const struct wgrad *v, uint64_t first, uint32_t count,
			 struct wgrad_span *span)
{
	const struct npu_conv_shape *s = &v->s;
	uint32_t ow = (uint32_t)(first % s->ow);
	uint32_t oh = (uint32_t)(first / s->ow % s->oh);
	uint32_t n = (uint32_t)(first / s->ow / s->oh);
	uint32_t spans = 0;

	for (uint32_t i = 0; i < count; i += span[spans++].count) {
		span[spans] = (struct wgrad_span) {
			.first = i,
			.count = s->ow - ow < count - i ? s->ow - ow : count - i,
			.image = v->in + n * v->in_stride[0],
			.top = (int64_t)oh * s->stride_h - s->pad_top,
			.left = (int64_t)ow * s->stride_w - s->pad_left,
			.dy = v->dy + n * v->dy_stride[0] + oh * v->dy_stride[1] +
			      ow * v->dy_stride[2],
		};
		ow = 0;
		if (++oh == s->oh) {
			oh = 0;
			n++;
		}
	}
	return spans;
}

/**
 * struct chunk - packed positions on their way into the sums of a unit
 * @a: their inputs
 * @count: positions
 * @span: spans
 * @spans: spans
 * @row: first weight of the unit
 * @rows: weights
 * @tile_rows: weights of a tile
 * @first: the sums start here
 */
struct chunk {
	const float *a;
	uint32_t count;
	const struct wgrad_span *span;
	uint32_t spans;
	uint32_t row;
	uint32_t rows;
	uint32_t tile_rows;
	bool first;
};

/* Tile of weights @at .. of one panel; at counts from the unit's first. */
static void run_tile(const struct wgrad *v, const struct chunk *c, uint32_t at, uint32_t panel)
{
	const uint32_t k = panel * v->cols;
	const float *a = c->a + at * (v->by_rows ? NPU_KERN_DEPTH : 1);
	float *acc = v->acc + ((size_t)panel * v->rows + c->row + at) * v->cols;
	struct npu_kern_gemm g = {
		.rows = c->rows - at < c->tile_rows ? c->rows - at : c->tile_rows,
		.cols = v->s.k - k < v->cols ? v->s.k - k : v->cols,
		.a_by_depth = !v->by_rows,
		.a_step = WGRAD_ROWS,
		.w_stride = v->dy_step,
		.init = c->first && !v->accumulate ? zeros : NULL,
	};

	for (uint32_t i = 0; i < g.rows; i++)
		g.acc[i] = acc + (size_t)i * v->cols;
	for (uint32_t i = 0; i < c->spans; i++) {
		g.depth = v->dy_even ? c->count : c->span[i].count;
		g.a = a + c->span[i].first * (v->by_rows ? 1 : WGRAD_ROWS);
		g.w = c->span[i].dy + k;
		v->x->kern->gemm(&g);
		if (v->dy_even)
			return;
		g.init = NULL;
	}
}

/* Weights row .. row + rows - 1 of panels panel .. end - 1. */
static void run_unit(const struct wgrad *v, uint32_t row, uint32_t rows, uint32_t panel,
		     uint32_t end)
{
	_Alignas(64) float a[WGRAD_BUFFER];
	struct wgrad_span span[NPU_KERN_DEPTH];
	const uint32_t depth = v->by_rows ? NPU_KERN_DEPTH : WGRAD_DEPTH;
	const uint32_t tiles = (rows - 1) / v->x->kern->tile_rows + 1;
	struct chunk c = {
		.a = a,
		.span = span,
		.row = row,
		.rows = rows,
		.tile_rows = (rows - 1) / tiles + 1,
	};

	for (uint64_t p = 0; p < v->positions; p += c.count) {
		c.count = v->positions - p < depth ? (uint32_t)(v->positions - p) : depth;
		c.spans = npu_wgrad_spans(v, p, c.count, span);
		c.first = p == 0;
		npu_wgrad_pack(v, row, rows, span, c.spans, a);
		for (uint32_t q = panel; q < end; q++) {
			if (npu_cancelled(v->x))
				return;
			for (uint32_t at = 0; at < rows; at += c.tile_rows)
				run_tile(v, &c, at, q);
		}
	}
}

static void run_part(void *arg, uint32_t part)
{
	const struct wgrad *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t u = npu_part_first(v->units, v->parts, part); u < end; u++) {
		const uint32_t row = (uint32_t)(u % v->row_units) * v->unit_rows;
		const uint32_t panel = (uint32_t)(u / v->row_units) * v->unit_panels;

		if (npu_cancelled(v->x))
			return;
		run_unit(v, row, v->rows - row < v->unit_rows ? v->rows - row : v->unit_rows,
			 panel, v->panels - panel < v->unit_panels ? v->panels :
				panel + v->unit_panels);
	}
}

/* Threads divide weights, then panels, then weights again when there are few. */
static void cut_units(struct wgrad *v)
{
	const uint32_t threads = npu_pool_threads(v->x->pool);
	const uint32_t most = v->by_rows ? WGRAD_TAP_ROWS : WGRAD_ROWS;
	uint32_t panel_units = 1;

	v->row_units = (v->rows - 1) / most + 1;
	v->unit_panels = v->panels;
	if (threads > 1 && v->row_units < 2 * threads) {
		v->unit_panels = (v->panels - 1) / threads + 1;
		panel_units = (v->panels - 1) / v->unit_panels + 1;
	}
	if (v->row_units * panel_units < threads)
		v->row_units = (threads - 1) / panel_units + 1;
	v->unit_rows = (v->rows - 1) / v->row_units + 1;
	v->row_units = (v->rows - 1) / v->unit_rows + 1;
	v->units = (uint64_t)v->row_units * panel_units;
}

/* Whether dy's positions have one step, and which. */
static void measure_dy(struct wgrad *v)
{
	const struct npu_conv_shape *s = &v->s;
	const ptrdiff_t *stride = v->dy_stride;
	const ptrdiff_t step = s->ow > 1 ? stride[2] : s->oh > 1 ? stride[1] : stride[0];

	v->dy_step = step;
	v->dy_even = (s->oh == 1 || stride[1] == s->ow * step) &&
		     (s->n == 1 || stride[0] == (ptrdiff_t)s->oh * s->ow * step);
}

enum npu_fault_code npu_te_wgrad(const struct npu_exec *x, const struct npu_desc_wgrad *d)
{
	const struct npu_conv_shape *s = &d->shape;
	struct wgrad v = {
		.x = x,
		.s = *s,
		.in = npu_operand(x, &d->in),
		.dy = npu_operand(x, &d->dy),
		.acc = npu_operand(x, &d->acc),
		.accumulate = d->hdr.flags & NPU_F_ACCUMULATE,
		.positions = (uint64_t)s->n * s->oh * s->ow,
		.cols = x->array_cols,
		.panels = (s->k - 1u) / x->array_cols + 1,
		.run = s->up_w == 1 && s->dil_w == 1 && d->in_stride[2] == s->c &&
		       s->c <= NPU_CONV_CBLOCK,
		.by_rows = s->c == 1 && s->up_w == 1 &&
			   (int64_t)d->in_stride[2] * s->stride_w == 1,
	};

	for (int i = 0; i < 3; i++) {
		v.in_stride[i] = d->in_stride[i];
		v.dy_stride[i] = d->dy_stride[i];
	}
	if (d->hdr.flags & NPU_F_DEPTHWISE) {
		npu_wgrad_depthwise(&v);
		return NPU_FAULT_NONE;
	}
	v.rows = (uint32_t)s->c * s->kh * s->kw;
	measure_dy(&v);
	cut_units(&v);
	v.parts = npu_engine_parts(x, v.units, v.positions * s->k * v.rows);
	npu_engine_run(x, run_part, &v, v.parts);
	return NPU_FAULT_NONE;
}
