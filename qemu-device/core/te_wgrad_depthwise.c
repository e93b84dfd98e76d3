/* SPDX-License-Identifier: MIT */
/*
 * Depthwise WGRAD (HW 9.1): a few taps at a time, all channels of a unit, with
 * their sums in registers over a chunk of positions.
 */
#include "te_wgrad.h"

#define DEPTH		64	/* positions of a chunk */
#define CHANNELS	2048	/* of a unit, at most */

/* Where taps @first .. first + taps - 1 of a chunk's positions are. */
static void look_up(const struct wgrad *v, const struct wgrad_span *span, uint32_t spans,
		    uint32_t first, uint32_t taps, uint32_t channel, const float **x)
{
	const struct npu_conv_shape *s = &v->s;

	for (uint32_t i = 0; i < taps; i++) {
		const uint32_t row = (first + i) / s->kw, tap_x = (first + i) % s->kw;

		for (uint32_t j = 0; j < spans; j++) {
			const float *from = wgrad_input_row(v, &span[j], row);
			const float **at = x + span[j].first * taps + i;
			int64_t w = span[j].left + (int64_t)tap_x * s->dil_w;

			for (uint32_t p = 0; p < span[j].count; p++, w += s->stride_w) {
				const int64_t col = conv_input(w, s->w, s->up_w);

				at[p * taps] = from && col >= 0 ?
					from + channel + col * v->in_stride[2] : NULL;
			}
		}
	}
}

/* Taps @first .. of @channels channels from @channel on. */
static void run_unit(const struct wgrad *v, uint32_t first, uint32_t taps, uint32_t channel,
		     uint32_t channels)
{
	const float *x[DEPTH * NPU_KERN_ROWS_MAX], *dy[DEPTH];
	struct wgrad_span span[DEPTH];
	struct npu_kern_correlate c = {
		.taps = taps,
		.channels = channels,
		.x = x,
		.dy = dy,
		.acc = v->acc + (size_t)first * v->s.c + channel,
		.acc_stride = v->s.c,
	};

	for (uint64_t p = 0; p < v->positions && !npu_cancelled(v->x); p += c.count) {
		uint32_t spans;

		c.count = v->positions - p < DEPTH ? (uint32_t)(v->positions - p) : DEPTH;
		c.from_zero = p == 0 && !v->accumulate;
		spans = npu_wgrad_spans(v, p, c.count, span);
		look_up(v, span, spans, first, taps, channel, x);
		for (uint32_t j = 0; j < spans; j++)
			for (uint32_t i = 0; i < span[j].count; i++)
				dy[span[j].first + i] = span[j].dy + channel +
							i * v->dy_stride[2];
		v->x->kern->correlate(&c);
	}
}

static void run_part(void *arg, uint32_t part)
{
	const struct wgrad *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t u = npu_part_first(v->units, v->parts, part); u < end; u++) {
		const uint32_t first = (uint32_t)(u % v->row_units) * v->unit_rows;
		const uint32_t channel = (uint32_t)(u / v->row_units) * v->unit_panels;

		if (npu_cancelled(v->x))
			return;
		run_unit(v, first, v->rows - first < v->unit_rows ? v->rows - first :
			 v->unit_rows, channel,
			 v->s.c - channel < v->unit_panels ? v->s.c - channel : v->unit_panels);
	}
}

void npu_wgrad_depthwise(struct wgrad *v)
{
	const uint32_t threads = npu_pool_threads(v->x->pool), most = v->x->kern->tile_rows;

	v->rows = (uint32_t)v->s.kh * v->s.kw;
	v->row_units = (v->rows - 1) / most + 1;
	v->unit_rows = (v->rows - 1) / v->row_units + 1;
	v->row_units = (v->rows - 1) / v->unit_rows + 1;
	/* Whole vectors for every thread, and not too many between two looks at cancel. */
	v->unit_panels = v->s.c < CHANNELS ? v->s.c : CHANNELS;
	if (v->row_units < 2 * threads)
		v->unit_panels = ((v->unit_panels - 1) / threads + 1 + 31) / 32 * 32;
	v->units = (uint64_t)v->row_units * ((v->s.c - 1u) / v->unit_panels + 1);
	v->parts = npu_engine_parts(v->x, v->units, v->positions * v->rows * v->s.c);
	npu_engine_run(v->x, run_part, v, v->parts);
}
