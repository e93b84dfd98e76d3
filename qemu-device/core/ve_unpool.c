/* SPDX-License-Identifier: MIT */
/*
 * UNPOOL (HW 9.4): positions may be anywhere, but come from POOL as a rule. So a
 * kernel adds those that are in the window of their output, for all channels at
 * once, and the others are looked at one by one.
 */
#include "ve_pool.h"

#define TAPS_MAX	64	/* of a window that is worth it */
#define NO_FAULT	UINT64_MAX

struct unpool {
	const struct npu_exec *x;
	struct npu_conv_shape s;
	const float *in;
	const uint32_t *index;
	float *out;
	ptrdiff_t in_stride[3];
	ptrdiff_t out_stride[3];
	uint32_t index_base;
	uint32_t index_row;
	bool windows;		/* no two positions have the same index */
	uint32_t channels;	/* of a unit */
	uint32_t channel_units;
	uint64_t units;
	uint32_t parts;
	_Atomic uint64_t first_bad;	/* number of the output, or NO_FAULT */
};

static bool in_window(const struct npu_kern_unpool *u, uint32_t index)
{
	for (uint32_t y = 0; y < u->rows; y++)
		for (uint32_t x = 0; x < u->cols; x++)
			if (index == u->position + y * u->position_row + x * u->position_col)
				return true;
	return false;
}

/* The channels of @u that are not in its window; false at an index that is wrong. */
static bool add_others(const struct unpool *v, const struct npu_kern_unpool *u, float *image,
		       uint32_t *bad)
{
	for (uint32_t c = 0; c < u->channels; c++) {
		const uint32_t index = u->index[c], p = index - v->index_base;
		const uint32_t h = p / v->index_row, w = p % v->index_row;
		float *out, sum;

		if (in_window(u, index))
			continue;
		if (h >= v->s.h || w >= v->s.w) {
			if (index == UINT32_MAX)
				continue;
			*bad = c;
			return false;
		}
		out = image + h * v->out_stride[1] + w * v->out_stride[2] + c;
		sum = *out + u->in[c];
		*out = sum != sum ? NAN : sum;
	}
	return true;
}

/* The taps of output (oh, ow) that are in the image, none without windows. */
static void seek_window(const struct unpool *v, uint32_t oh, uint32_t ow, float *image,
			struct npu_kern_unpool *u)
{
	const struct npu_conv_shape *s = &v->s;
	const int64_t top = (int64_t)oh * s->stride_h - s->pad_top;
	const int64_t left = (int64_t)ow * s->stride_w - s->pad_left;
	uint32_t y0, y1, x0, x1;

	u->rows = u->cols = 0;
	if (!v->windows)
		return;
	pool_window(top, s->kh, s->dil_h, s->h, &y0, &y1);
	pool_window(left, s->kw, s->dil_w, s->w, &x0, &x1);
	if (y0 == y1 || x0 == x1)
		return;
	u->rows = y1 - y0;
	u->cols = x1 - x0;
	u->out = image + (top + (int64_t)y0 * s->dil_h) * v->out_stride[1] +
		 (left + (int64_t)x0 * s->dil_w) * v->out_stride[2];
	u->position = pool_position(v->index_base, v->index_row, top + (int64_t)y0 * s->dil_h,
				    left + (int64_t)x0 * s->dil_w);
}

static void note_bad(struct unpool *v, uint64_t number)
{
	uint64_t old = atomic_load(&v->first_bad);

	while (number < old && !atomic_compare_exchange_weak(&v->first_bad, &old, number))
		;
}

/* Some channels of one image, up to the first index that is wrong. */
static void run_unit(struct unpool *v, uint32_t n, uint32_t channel)
{
	const struct npu_conv_shape *s = &v->s;
	float *image = v->out + n * v->out_stride[0] + channel;
	struct npu_kern_unpool u = {
		.row_step = s->dil_h * v->out_stride[1],
		.col_step = s->dil_w * v->out_stride[2],
		.position_row = s->dil_h * v->index_row,
		.position_col = s->dil_w,
		.channels = s->c - channel < v->channels ? s->c - channel : v->channels,
	};

	for (uint32_t oh = 0; oh < s->oh; oh++) {
		for (uint32_t ow = 0; ow < s->ow && !npu_cancelled(v->x); ow++) {
			const ptrdiff_t at = n * v->in_stride[0] + oh * v->in_stride[1] +
					     ow * v->in_stride[2] + channel;
			uint32_t bad;

			u.in = v->in + at;
			u.index = v->index + at;
			seek_window(v, oh, ow, image, &u);
			if (v->x->kern->unpool(&u) || add_others(v, &u, image, &bad))
				continue;
			note_bad(v, (((uint64_t)n * s->oh + oh) * s->ow + ow) * s->c + channel +
				    bad);
			return;
		}
	}
}

static void run_part(void *arg, uint32_t part)
{
	struct unpool *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t i = npu_part_first(v->units, v->parts, part); i < end; i++) {
		if (npu_cancelled(v->x))
			return;
		run_unit(v, (uint32_t)(i / v->channel_units),
			 (uint32_t)(i % v->channel_units) * v->channels);
	}
}

/* Images to threads, and channels when there are few; whole vectors of them. */
static void cut_units(struct unpool *v)
{
	const struct npu_conv_shape *s = &v->s;
	const uint32_t threads = npu_pool_threads(v->x->pool);

	v->channels = s->c;
	if (s->n < 2 * threads)
		v->channels = ((s->c - 1u) / threads + 1 + 15) / 16 * 16;
	v->channel_units = (s->c - 1u) / v->channels + 1;
	v->units = (uint64_t)s->n * v->channel_units;
}

static uint32_t index_at(const struct unpool *v, uint64_t number)
{
	const struct npu_conv_shape *s = &v->s;
	const uint64_t pixel = number / s->c, row = pixel / s->ow;

	return v->index[(ptrdiff_t)(row / s->oh) * v->in_stride[0] +
			(ptrdiff_t)(row % s->oh) * v->in_stride[1] +
			(ptrdiff_t)(pixel % s->ow) * v->in_stride[2] +
			(ptrdiff_t)(number % s->c)];
}

enum npu_fault_code npu_ve_unpool(const struct npu_exec *x, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	struct unpool v = {
		.x = x,
		.s = *s,
		.in = npu_operand(x, &d->in),
		.index = npu_operand(x, &d->index),
		.out = npu_operand(x, &d->out),
		.index_base = (uint32_t)d->index_base,
		.index_row = (uint32_t)d->index_row,
		.windows = (uint32_t)s->kh * s->kw <= TAPS_MAX && d->index_row >= s->w &&
			   (uint64_t)s->h * (uint32_t)d->index_row <= UINT32_MAX,
		.first_bad = NO_FAULT,
	};

	for (int i = 0; i < 3; i++) {
		v.in_stride[i] = d->in_stride[i];
		v.out_stride[i] = d->out_stride[i];
	}
	cut_units(&v);
	v.parts = npu_engine_parts(x, v.units, (uint64_t)s->n * s->oh * s->ow * s->c * 4);
	npu_engine_run(x, run_part, &v, v.parts);
	if (atomic_load(&v.first_bad) == NO_FAULT)
		return NPU_FAULT_NONE;
	*x->fault_aux = index_at(&v, atomic_load(&v.first_bad));
	return NPU_FAULT_INDEX;
}
