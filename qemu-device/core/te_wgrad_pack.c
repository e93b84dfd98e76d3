/* SPDX-License-Identifier: MIT */
/* The inputs of some weights at some output positions, zeros outside of the image. */
#include "te_wgrad.h"

static const float zeros[NPU_KERN_DEPTH];

/**
 * struct piece - weights of a row block that are contiguous in memory
 * @y: tap row
 * @x: tap column; 0 for a run
 * @c: channel, or element of a run of all taps of a kernel row
 * @count: weights
 */
struct piece {
	uint32_t y;
	uint32_t x;
	uint32_t c;
	uint32_t count;
};

/* The piece that starts at weight @row, of at most @rows. */
static struct piece piece_at(const struct wgrad *v, uint32_t row, uint32_t rows)
{
	const struct npu_conv_shape *s = &v->s;
	const uint32_t taps = (uint32_t)s->kh * s->kw;
	const uint32_t block = row / (NPU_CONV_CBLOCK * taps) * NPU_CONV_CBLOCK;
	const uint32_t block_c = s->c - block < NPU_CONV_CBLOCK ? s->c - block : NPU_CONV_CBLOCK;
	const uint32_t run = v->run ? s->kw * block_c : block_c;
	const uint32_t at = row - block * taps, in_run = at % run, tap = at / run;
	struct piece piece = {
		.y = v->run ? tap : tap / s->kw,
		.x = v->run ? 0 : tap % s->kw,
		.c = block + in_run,
		.count = run - in_run < rows ? run - in_run : rows,
	};

	return piece;
}

/* One tap at a span's positions. */
static void tap_sources(const struct wgrad *v, const struct wgrad_span *span,
			const struct piece *piece, const float *input_row, const float **src)
{
	const struct npu_conv_shape *s = &v->s;
	const float *row = input_row + piece->c;
	int64_t w = span->left + (int64_t)piece->x * s->dil_w;

	for (uint32_t i = 0; i < span->count; i++, w += s->stride_w) {
		const int64_t col = s->up_w == 1 ? w : conv_input(w, s->w, s->up_w);

		src[i] = (uint64_t)col < s->w ? row + col * v->in_stride[2] : zeros;
	}
}

/* Elements of a run that reaches over the left or right edge. */
static void pack_edge(const struct wgrad *v, const float *input_row, int64_t first,
		      uint32_t count, float *dst)
{
	const int64_t end = (int64_t)v->s.w * v->s.c;

	for (uint32_t i = 0; i < count; i++)
		dst[i] = first + i >= 0 && first + i < end ? input_row[first + i] : 0.0f;
}

/* Taps of one kernel row at a span's positions; @dst is where they go. */
static void run_sources(const struct wgrad *v, const struct wgrad_span *span,
			const struct piece *piece, const float *input_row, float *dst,
			const float **src)
{
	const struct npu_conv_shape *s = &v->s;
	int64_t left = span->left;

	for (uint32_t i = 0; i < span->count; i++, left += s->stride_w) {
		if (left >= 0 && left + s->kw <= s->w) {
			src[i] = input_row + left * s->c + piece->c;
			continue;
		}
		src[i] = dst + i * WGRAD_ROWS;
		pack_edge(v, input_row, left * s->c + piece->c, piece->count,
			  dst + i * WGRAD_ROWS);
	}
}

static void pack_by_position(const struct wgrad *v, uint32_t row, uint32_t rows,
			     const struct wgrad_span *span, uint32_t spans, float *buffer)
{
	const uint32_t positions = span[spans - 1].first + span[spans - 1].count;
	const float *src[WGRAD_DEPTH];

	for (uint32_t done = 0; done < rows;) {
		const struct piece piece = piece_at(v, row + done, rows - done);
		float *dst = buffer + done;

		for (uint32_t j = 0; j < spans; j++) {
			const float *input_row = wgrad_input_row(v, &span[j], piece.y);
			const uint32_t first = span[j].first;

			if (!input_row)
				for (uint32_t i = 0; i < span[j].count; i++)
					src[first + i] = zeros;
			else if (v->run)
				run_sources(v, &span[j], &piece, input_row,
					    dst + first * WGRAD_ROWS, &src[first]);
			else
				tap_sources(v, &span[j], &piece, input_row, &src[first]);
		}
		v->x->kern->copy_rows(dst, WGRAD_ROWS, src, positions, piece.count);
		done += piece.count;
	}
}

/* One channel, neighbouring positions next to one another: a span of every tap. */
static void pack_by_tap(const struct wgrad *v, uint32_t row, uint32_t rows,
			const struct wgrad_span *span, float *buffer)
{
	const struct npu_conv_shape *s = &v->s;
	const float *src[WGRAD_TAP_ROWS];
	const int64_t count = span->count;
	uint32_t y = row / s->kw, x = row % s->kw;
	const float *input_row = wgrad_input_row(v, span, y);

	for (uint32_t t = 0; t < rows; t++, x++) {
		float *dst = buffer + t * NPU_KERN_DEPTH;
		int64_t left;

		if (x == s->kw) {
			x = 0;
			input_row = wgrad_input_row(v, span, ++y);
		}
		left = span->left + (int64_t)x * s->dil_w;
		src[t] = zeros;
		if (!input_row)
			continue;
		if (left >= 0 && left + count <= s->w) {
			src[t] = input_row + left;
			continue;
		}
		src[t] = dst;
		for (int64_t i = 0; i < count; i++)
			dst[i] = left + i >= 0 && left + i < s->w ? input_row[left + i] : 0.0f;
	}
	v->x->kern->copy_rows(buffer, NPU_KERN_DEPTH, src, rows, span->count);
}

void npu_wgrad_pack(const struct wgrad *v, uint32_t row, uint32_t rows,
		    const struct wgrad_span *span, uint32_t spans, float *buffer)
{
	if (!v->by_rows) {
		pack_by_position(v, row, rows, span, spans, buffer);
		return;
	}
	for (uint32_t j = 0; j < spans; j++)
		pack_by_tap(v, row, rows, &span[j], buffer + span[j].first);
}
