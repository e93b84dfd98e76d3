/* SPDX-License-Identifier: MIT */
/*
 * im2col of a tile: the inputs of its pixels in the flat order (block of
 * channels, y, x, c), zeros where there is padding or an inserted zero.
 */
#include "te_conv.h"

static const float zeros[NPU_KERN_DEPTH];

/*
 * Elements at .. at + count of a run of all taps of one kernel row, which is
 * contiguous in memory but reaches over the left or right edge: to @dst.
 */
static void pack_edge(const struct conv *v, const float *input_row, int64_t left, uint32_t at,
		      uint32_t count, float *dst)
{
	const int64_t first = left * v->s.c + at;
	const int64_t end = (int64_t)v->s.w * v->s.c;

	for (uint32_t i = 0; i < count; i++) {
		const int64_t from = first + i;

		dst[i] = from >= 0 && from < end ? input_row[from] : 0.0f;
	}
}

/* One tap of a span's pixels. */
static void span_tap(const struct conv *v, const struct conv_span *span,
		     const struct conv_cursor *at, const float **src)
{
	const float *row = span->input_row + at->block + at->c;
	int64_t w = span->left + (int64_t)at->x * v->s.dil_w;

	for (uint32_t i = 0; i < span->count; i++, w += v->s.stride_w) {
		const int64_t col = v->s.up_w == 1 ? w : conv_input(w, v->s.w, v->s.up_w);

		src[i] = (uint64_t)col < v->s.w ? row + col * v->in_stride[2] : zeros;
	}
}

/* A run of all taps of one kernel row, for a span's pixels. */
static void span_run(const struct conv *v, const struct conv_span *span,
		     const struct conv_cursor *at, uint32_t count, float *dst, const float **src)
{
	int64_t left = span->left;

	for (uint32_t i = 0; i < span->count; i++, left += v->s.stride_w) {
		if (left >= 0 && left + v->s.kw <= v->s.w) {
			src[i] = span->input_row + left * v->s.c + at->c;
			continue;
		}
		src[i] = dst + i * NPU_KERN_DEPTH;
		pack_edge(v, span->input_row, left, at->c, count, dst + i * NPU_KERN_DEPTH);
	}
}

/* One piece of each row of the chunk. */
static void pack_run(const struct conv *v, const struct conv_tile *tile,
		     const struct conv_cursor *at, uint32_t count, float *chunk)
{
	const float *src[NPU_KERN_ROWS_MAX];

	for (uint32_t j = 0; j < tile->spans; j++) {
		const struct conv_span *span = &tile->span[j];

		if (!span->input_row)
			for (uint32_t i = 0; i < span->count; i++)
				src[span->first + i] = zeros;
		else if (v->run_taps == 1)
			span_tap(v, span, at, &src[span->first]);
		else
			span_run(v, span, at, count, chunk + span->first * NPU_KERN_DEPTH,
				 &src[span->first]);
	}
	v->x->kern->copy_rows(chunk, NPU_KERN_DEPTH, src, tile->rows, count);
}

/* Taps x .. x + count of one kernel row: line t of the chunk is tap t of all pixels. */
static void pack_taps(const struct conv *v, const struct conv_span *span, uint32_t x,
		      uint32_t count, float *chunk)
{
	const float *src[NPU_KERN_DEPTH];

	for (uint32_t t = 0; t < count; t++) {
		const int64_t left = span->left + (int64_t)(x + t) * v->s.dil_w;
		float *dst = chunk + t * NPU_KERN_ROWS_MAX;

		src[t] = zeros;
		if (!span->input_row)
			continue;
		if (left >= 0 && left + span->count <= v->s.w) {
			src[t] = span->input_row + left;
			continue;
		}
		src[t] = dst;
		for (int64_t i = 0; i < span->count; i++)
			dst[i] = left + i >= 0 && left + i < v->s.w ?
				 span->input_row[left + i] : 0.0f;
	}
	v->x->kern->copy_rows(chunk, NPU_KERN_ROWS_MAX, src, count, span->count);
}

static void pack_piece(const struct conv *v, const struct conv_tile *tile,
		       const struct conv_cursor *at, uint32_t count, float *chunk,
		       uint32_t depth)
{
	if (!v->by_depth) {
		pack_run(v, tile, at, count, chunk + depth);
		return;
	}
	for (uint32_t j = 0; j < tile->spans; j++)
		pack_taps(v, &tile->span[j], at->c, count,
			  chunk + depth * NPU_KERN_ROWS_MAX + tile->span[j].first);
}

static void seek_row(const struct conv *v, struct conv_tile *tile, uint32_t y)
{
	for (uint32_t j = 0; j < tile->spans; j++) {
		struct conv_span *span = &tile->span[j];

		span->input_row = conv_input_row(v, span->image,
						 span->top + (int64_t)y * v->s.dil_h);
	}
}

uint32_t npu_conv_pack(const struct conv *v, struct conv_tile *tile, struct conv_cursor *at,
		       struct conv_segment segment[CONV_SEGMENTS_MAX])
{
	const uint32_t kh = v->s.kh, kw = v->s.kw;
	uint32_t depth = 0, segments = 0;

	while (depth < NPU_KERN_DEPTH && at->block < v->s.c) {
		const uint32_t left_c = v->s.c - at->block;
		const uint32_t block_c = left_c < v->block_c ? left_c : v->block_c;
		const uint32_t run = v->run_taps * block_c;
		const uint32_t room = NPU_KERN_DEPTH - depth;
		const uint32_t count = run - at->c < room ? run - at->c : room;
		const uint32_t y = v->rot180 ? kh - 1 - at->y : at->y;
		const uint32_t x = v->rot180 ? kw - 1 - at->x : at->x;

		if (!at->x && !at->c)
			seek_row(v, tile, at->y);
		pack_piece(v, tile, at, count, tile->chunk, depth);
		if (!segments || v->rot180)
			segment[segments++] = (struct conv_segment) {
				.depth = depth,
				.weight = (size_t)at->block * kh * kw +
					  (size_t)(y * kw + x) * block_c + at->c,
			};
		segment[segments - 1].count += count;
		depth += count;
		at->c += count;
		if (at->c < run)
			continue;
		at->c = 0;
		at->x += v->run_taps;
		if (at->x < kw)
			continue;
		at->x = 0;
		if (++at->y < kh)
			continue;
		at->y = 0;
		at->block += block_c;
	}
	return segments;
}
