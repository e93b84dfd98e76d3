/* SPDX-License-Identifier: MIT */
/*
 * Depthwise CONV (HW 9.1): a few neighbouring pixels at a time, all channels.
 * Taps of pixels inside the image are at the same offsets from each pixel's
 * first; at the edges every tap is looked up.
 */
#include "te_conv.h"

#define TAPS_MAX	64	/* per call of the kernel */

/* An output row: its input image and position, its first result. */
struct depthwise_row {
	const float *image;
	float *acc;
	int64_t top;
	bool inside;		/* all rows of taps */
};

/* Pixels ow .. ow + d->pixels - 1 of an edge: where taps t .. t + d->taps - 1 are. */
static void look_up_taps(const struct conv *v, const struct depthwise_row *row, uint32_t ow,
			 uint32_t t, const struct npu_kern_depthwise *d,
			 const float *tap[][TAPS_MAX])
{
	const struct npu_conv_shape *s = &v->s;
	uint32_t y = t / s->kw, x = t % s->kw;

	for (uint32_t i = 0; i < d->taps; i++) {
		const float *from = conv_input_row(v, row->image,
						   row->top + (int64_t)y * s->dil_h);
		int64_t w = (int64_t)ow * s->stride_w - s->pad_left + (int64_t)x * s->dil_w;

		for (uint32_t p = 0; p < d->pixels; p++, w += s->stride_w) {
			const int64_t col = conv_input(w, s->w, s->up_w);

			tap[p][i] = from && col >= 0 ? from + col * v->in_stride[2] : NULL;
		}
		if (++x == s->kw) {
			x = 0;
			y++;
		}
	}
}

static void compute_offsets(const struct conv *v, uint32_t t, uint32_t taps,
			    ptrdiff_t offset[TAPS_MAX])
{
	const struct npu_conv_shape *s = &v->s;
	uint32_t y = t / s->kw, x = t % s->kw;

	for (uint32_t i = 0; i < taps; i++) {
		offset[i] = y * s->dil_h * v->in_stride[1] + x * s->dil_w * v->in_stride[2];
		if (++x == s->kw) {
			x = 0;
			y++;
		}
	}
}

/* Pixels @ow .. end - 1 of a row, taps t .. t + taps - 1; @offset: they are inside. */
static void run_pixels(const struct conv *v, const struct depthwise_row *row, uint32_t ow,
		       uint32_t end, uint32_t t, uint32_t taps, const ptrdiff_t *offset)
{
	const struct npu_conv_shape *s = &v->s;
	const uint32_t all = (uint32_t)s->kh * s->kw;
	const float *tap[NPU_KERN_PIXELS_MAX][TAPS_MAX];
	struct npu_kern_depthwise d = {
		.channels = s->c,
		.taps = taps,
		.offset = offset,
		.w = v->weights + (size_t)(v->rot180 ? all - 1 - t : t) * s->c,
		.w_stride = v->rot180 ? -(ptrdiff_t)s->c : s->c,
		.init = t || v->accumulate ? NULL : v->bias,
		.from_zero = !t && !v->accumulate,
	};

	for (; ow < end && !npu_cancelled(v->x); ow += d.pixels) {
		d.pixels = end - ow < NPU_KERN_PIXELS_MAX ? end - ow : NPU_KERN_PIXELS_MAX;
		for (uint32_t p = 0; p < d.pixels; p++) {
			const int64_t left = (int64_t)(ow + p) * s->stride_w - s->pad_left;

			d.acc[p] = row->acc + (ow + p) * v->acc_stride[2];
			d.tap[p] = tap[p];
			if (offset)
				d.base[p] = row->image + row->top * v->in_stride[1] +
					    left * v->in_stride[2];
		}
		if (!offset)
			look_up_taps(v, row, ow, t, &d, tap);
		v->x->kern->depthwise(&d);
	}
}

/* First output column of which no tap is left of the image. */
static uint32_t first_inside(const struct npu_conv_shape *s)
{
	const uint32_t ow = s->pad_left <= 0 ? 0 :
			    ((uint32_t)s->pad_left + s->stride_w - 1) / s->stride_w;

	return ow < s->ow ? ow : s->ow;
}

/* One past the last output column of which no tap is right of the image. */
static uint32_t end_inside(const struct npu_conv_shape *s)
{
	const int64_t room = (int64_t)s->w - 1 - (int64_t)(s->kw - 1) * s->dil_w + s->pad_left;
	const int64_t end = room < 0 ? 0 : room / s->stride_w + 1;

	return end < s->ow ? (uint32_t)end : s->ow;
}

static void run_row(const struct conv *v, const struct depthwise_row *row)
{
	const struct npu_conv_shape *s = &v->s;
	const uint32_t all = (uint32_t)s->kh * s->kw;
	uint32_t first = first_inside(s), end = end_inside(s);
	ptrdiff_t offset[TAPS_MAX];
	uint32_t taps;

	if (!row->inside || s->up_w > 1 || end < first)
		first = end = 0;
	for (uint32_t t = 0; t < all && !npu_cancelled(v->x); t += taps) {
		taps = all - t < TAPS_MAX ? all - t : TAPS_MAX;
		if (first < end)	/* else they may be out of range */
			compute_offsets(v, t, taps, offset);
		run_pixels(v, row, 0, first, t, taps, NULL);
		run_pixels(v, row, first, end, t, taps, offset);
		run_pixels(v, row, end, s->ow, t, taps, NULL);
	}
}

static void run_part(void *arg, uint32_t part)
{
	const struct conv *v = arg;
	const struct npu_conv_shape *s = &v->s;
	const uint64_t last = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t u = npu_part_first(v->units, v->parts, part); u < last; u++) {
		const uint32_t n = (uint32_t)(u / s->oh), oh = (uint32_t)(u % s->oh);
		const int64_t top = (int64_t)oh * s->stride_h - s->pad_top;
		const struct depthwise_row row = {
			.image = v->in + n * v->in_stride[0],
			.acc = v->acc + n * v->acc_stride[0] + oh * v->acc_stride[1],
			.top = top,
			.inside = s->up_h == 1 && top >= 0 &&
				  top + (int64_t)(s->kh - 1) * s->dil_h < s->h,
		};

		if (npu_cancelled(v->x))
			return;
		run_row(v, &row);
	}
}

void npu_conv_depthwise(struct conv *v)
{
	const struct npu_conv_shape *s = &v->s;

	v->units = (uint64_t)s->n * s->oh;
	v->parts = npu_engine_parts(v->x, v->units, v->rows * s->c * s->kh * s->kw);
	npu_engine_run(v->x, run_part, v, v->parts);
}
