/* SPDX-License-Identifier: MIT */
/*
 * CONV (HW 9.1). A dense convolution is a product of im2col rows with packed
 * weights: the flat order (block of channels, y, x, c) is both the order of
 * accumulation and that of the weights. Rows of a tile are packed in chunks of
 * NPU_KERN_DEPTH; padding and inserted zeros become zeros in the chunk.
 */
#include <string.h>
#include "engine.h"

#define GROUP_BYTES	(512u << 10)	/* weights that share one packing of inputs */
#define SEGMENTS_MAX	NPU_KERN_DEPTH
#define DW_CHANNELS	256		/* channels per depthwise call */
#define DW_TAPS		64		/* taps per depthwise call */

static const float zeros[NPU_KERN_DEPTH];
_Static_assert(NPU_KERN_DEPTH >= 256, "zeros start a row of an array of 256 columns");

struct conv {
	const struct npu_exec *x;
	struct npu_conv_shape s;
	const float *in;
	const float *weights;
	const float *bias;
	float *acc;
	ptrdiff_t in_stride[3];
	ptrdiff_t acc_stride[3];
	bool accumulate;
	bool rot180;
	/* Dense: taps of a row that are contiguous in memory, and the blocking. */
	uint32_t run_taps;
	uint32_t cols;
	uint32_t panels;
	uint32_t group_panels;
	uint32_t tile_rows;
	uint64_t rows;
	uint64_t tiles;
	uint64_t units;
	uint32_t parts;
};

/* An output pixel: its image, the input position of tap (0, 0), its result. */
struct conv_row {
	const float *image;
	int32_t top;
	int32_t left;
	float *acc;
};

/* Where the next chunk of the flat order begins; c within block and run. */
struct conv_cursor {
	uint32_t block;
	uint32_t y;
	uint32_t x;
	uint32_t c;
};

/* Consecutive elements of a chunk with consecutive weights. */
struct conv_segment {
	uint32_t depth;
	uint32_t count;
	size_t weight;
};

/* Row @index of all output pixels in order n, oh, ow. */
static struct conv_row conv_row(const struct conv *v, uint64_t index)
{
	const struct npu_conv_shape *s = &v->s;
	const uint32_t ow = (uint32_t)(index % s->ow);
	const uint32_t oh = (uint32_t)(index / s->ow % s->oh);
	const uint32_t n = (uint32_t)(index / s->ow / s->oh);

	return (struct conv_row) {
		.image = v->in + n * v->in_stride[0],
		.top = (int32_t)oh * s->stride_h - s->pad_top,
		.left = (int32_t)ow * s->stride_w - s->pad_left,
		.acc = v->acc + n * v->acc_stride[0] + oh * v->acc_stride[1] +
		       ow * v->acc_stride[2],
	};
}

/* Input row or column at position @at of the upsampled image, or -1. */
static int32_t conv_input(int64_t at, uint32_t size, uint32_t up)
{
	if (at < 0)
		return -1;
	if (up > 1) {
		if (at % up)
			return -1;
		at /= up;
	}
	return at < size ? (int32_t)at : -1;
}

static const float *conv_input_row(const struct conv *v, const struct conv_row *row, uint32_t y)
{
	int32_t h = conv_input(row->top + (int64_t)y * v->s.dil_h, v->s.h, v->s.up_h);

	return h < 0 ? NULL : row->image + h * v->in_stride[1];
}

static const float *conv_tap(const struct conv *v, const struct conv_row *row,
			     const float *input_row, uint32_t x)
{
	int32_t w = conv_input(row->left + (int64_t)x * v->s.dil_w, v->s.w, v->s.up_w);

	return w < 0 ? NULL : input_row + w * v->in_stride[2];
}

/*
 * Elements at .. at + count of a run of all taps of one kernel row, which is
 * contiguous in memory but reaches over the left or right edge: to @dst.
 */
static void conv_edge_run(const struct conv *v, const struct conv_row *row,
			  const float *input_row, uint32_t at, uint32_t count, float *dst)
{
	const int32_t c = v->s.c;
	const int64_t first = (int64_t)row->left * c + at;
	const int64_t end = (int64_t)v->s.w * c;

	for (uint32_t i = 0; i < count; i++) {
		const int64_t from = first + i;

		dst[i] = from >= 0 && from < end ? input_row[from] : 0.0f;
	}
}

/* One piece of each row into column @depth of the chunk. */
static void conv_pack_run(const struct conv *v, const struct conv_row *row, uint32_t rows,
			  const struct conv_cursor *at, uint32_t count, float *chunk,
			  uint32_t depth)
{
	const float *src[NPU_KERN_ROWS_MAX];

	for (uint32_t i = 0; i < rows; i++) {
		const float *input_row = conv_input_row(v, &row[i], at->y);
		const float *tap;

		src[i] = zeros;
		if (!input_row)
			continue;
		if (v->run_taps == 1) {
			tap = conv_tap(v, &row[i], input_row, at->x);
			if (tap)
				src[i] = tap + at->block + at->c;
		} else if (row[i].left >= 0 && row[i].left + v->s.kw <= v->s.w) {
			src[i] = input_row + row[i].left * v->in_stride[2] + at->c;
		} else {
			src[i] = chunk + i * NPU_KERN_DEPTH + depth;
			conv_edge_run(v, &row[i], input_row, at->c, count,
				      chunk + i * NPU_KERN_DEPTH + depth);
		}
	}
	v->x->kern->copy_rows(chunk + depth, NPU_KERN_DEPTH, src, rows, count);
}

static uint32_t conv_block_channels(const struct conv *v, uint32_t block)
{
	return v->s.c - block < NPU_CONV_CBLOCK ? v->s.c - block : NPU_CONV_CBLOCK;
}

/*
 * Pack up to NPU_KERN_DEPTH elements of each row from the cursor on. Returns
 * the number of segments; the cursor's block is s.c after the last element.
 */
static uint32_t conv_pack(const struct conv *v, const struct conv_row *row, uint32_t rows,
			  struct conv_cursor *at, float *chunk, struct conv_segment *segment)
{
	const uint32_t kh = v->s.kh, kw = v->s.kw;
	uint32_t depth = 0, segments = 0;

	while (depth < NPU_KERN_DEPTH && at->block < v->s.c) {
		const uint32_t block_c = conv_block_channels(v, at->block);
		const uint32_t run = v->run_taps * block_c;
		const uint32_t room = NPU_KERN_DEPTH - depth;
		const uint32_t count = run - at->c < room ? run - at->c : room;
		const uint32_t y = v->rot180 ? kh - 1 - at->y : at->y;
		const uint32_t x = v->rot180 ? kw - 1 - at->x : at->x;

		conv_pack_run(v, row, rows, at, count, chunk, depth);
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

/* Add a packed chunk to the accumulators of one panel. */
static void conv_panel(const struct conv *v, const struct conv_row *row, uint32_t rows,
		       uint32_t panel, const float *chunk, const struct conv_segment *segment,
		       uint32_t segments, bool first)
{
	const uint32_t k = panel * v->cols;
	const size_t panel_elems = (size_t)v->s.c * v->s.kh * v->s.kw * v->cols;
	struct npu_kern_gemm g = {
		.rows = rows,
		.cols = v->s.k - k < v->cols ? v->s.k - k : v->cols,
		.w_stride = v->cols,
	};

	for (uint32_t i = 0; i < rows; i++)
		g.acc[i] = row[i].acc + k;
	if (first && !v->accumulate)
		g.init = v->bias ? v->bias + k : zeros;
	for (uint32_t i = 0; i < segments; i++) {
		g.depth = segment[i].count;
		g.a = chunk + segment[i].depth;
		g.w = v->weights + panel * panel_elems + segment[i].weight * v->cols;
		v->x->kern->gemm(&g);
		g.init = NULL;
	}
}

/* A tile of rows against a group of panels. */
static void conv_tile(const struct conv *v, uint64_t tile, uint32_t group)
{
	_Alignas(64) float chunk[NPU_KERN_ROWS_MAX * NPU_KERN_DEPTH];
	struct conv_segment segment[SEGMENTS_MAX];
	struct conv_row row[NPU_KERN_ROWS_MAX];
	struct conv_cursor at = { 0 };
	const uint64_t first_row = tile * v->tile_rows;
	const uint32_t rows = v->rows - first_row < v->tile_rows ?
			      (uint32_t)(v->rows - first_row) : v->tile_rows;
	const uint32_t panel = group * v->group_panels;
	const uint32_t panel_end = v->panels - panel < v->group_panels ?
				   v->panels : panel + v->group_panels;
	bool first = true;

	for (uint32_t i = 0; i < rows; i++)
		row[i] = conv_row(v, first_row + i);
	while (at.block < v->s.c && !npu_cancelled(v->x)) {
		uint32_t segments = conv_pack(v, row, rows, &at, chunk, segment);

		for (uint32_t p = panel; p < panel_end; p++)
			conv_panel(v, row, rows, p, chunk, segment, segments, first);
		first = false;
	}
}

static void conv_dense_part(void *arg, uint32_t part)
{
	const struct conv *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t u = npu_part_first(v->units, v->parts, part); u < end; u++) {
		if (npu_cancelled(v->x))
			return;
		conv_tile(v, u % v->tiles, (uint32_t)(u / v->tiles));
	}
}

static void conv_dense(struct conv *v)
{
	const struct npu_conv_shape *s = &v->s;
	const struct npu_kern *kern = v->x->kern;
	const uint64_t weights = (uint64_t)s->c * s->kh * s->kw;
	const uint64_t panel_bytes = weights * v->cols * sizeof(float);
	const unsigned int threads = npu_pool_threads(v->x->pool);
	uint32_t groups;

	v->run_taps = s->dil_w == 1 && s->up_w == 1 && s->c <= NPU_CONV_CBLOCK &&
		      v->in_stride[2] == s->c && !v->rot180 ? s->kw : 1;
	v->tiles = (v->rows + kern->tile_rows - 1) / kern->tile_rows;
	v->tile_rows = (uint32_t)((v->rows + v->tiles - 1) / v->tiles);
	v->tiles = (v->rows + v->tile_rows - 1) / v->tile_rows;
	v->panels = (s->k + v->cols - 1) / v->cols;
	v->group_panels = panel_bytes > GROUP_BYTES ? 1 : (uint32_t)(GROUP_BYTES / panel_bytes);
	if (v->group_panels > v->panels || v->tiles == 1)
		v->group_panels = v->panels;
	if (v->tiles < 2 * threads)
		v->group_panels = (v->group_panels + threads - 1) / threads;
	groups = (v->panels + v->group_panels - 1) / v->group_panels;
	v->units = groups * v->tiles;
	v->parts = npu_engine_parts(v->x, v->units, v->rows * s->k * weights);
	npu_engine_run(v->x, conv_dense_part, v, v->parts);
}

/* Up to NPU_KERN_PIXELS_MAX pixels by up to DW_CHANNELS channels. */
static void conv_depthwise_tile(const struct conv *v, const struct conv_row *row,
				uint32_t pixels, uint32_t channel)
{
	const struct npu_conv_shape *s = &v->s;
	const uint32_t taps = (uint32_t)s->kh * s->kw;
	const uint32_t channels = s->c - channel < DW_CHANNELS ? s->c - channel : DW_CHANNELS;
	const float *x[NPU_KERN_PIXELS_MAX * DW_TAPS];
	struct npu_kern_depthwise d = {
		.pixels = pixels,
		.channels = channels,
		.x = x,
		.w_stride = v->rot180 ? -(ptrdiff_t)s->c : s->c,
	};

	for (uint32_t p = 0; p < pixels; p++)
		d.acc[p] = row[p].acc + channel;
	if (!v->accumulate)
		d.init = v->bias ? v->bias + channel : zeros;
	for (uint32_t t = 0; t < taps && !npu_cancelled(v->x); t += d.taps) {
		d.taps = taps - t < DW_TAPS ? taps - t : DW_TAPS;
		for (uint32_t p = 0; p < pixels; p++) {
			for (uint32_t i = 0; i < d.taps; i++) {
				const uint32_t ky = (t + i) / s->kw, kx = (t + i) % s->kw;
				const float *from = conv_input_row(v, &row[p], ky);

				from = from ? conv_tap(v, &row[p], from, kx) : NULL;
				x[p * d.taps + i] = from ? from + channel : zeros;
			}
		}
		d.w = v->weights + (size_t)(v->rot180 ? taps - 1 - t : t) * s->c + channel;
		v->x->kern->depthwise(&d);
		d.init = NULL;
	}
}

static void conv_depthwise_part(void *arg, uint32_t part)
{
	const struct conv *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t u = npu_part_first(v->units, v->parts, part); u < end; u++) {
		const uint64_t first = u * NPU_KERN_PIXELS_MAX;
		const uint32_t pixels = v->rows - first < NPU_KERN_PIXELS_MAX ?
					(uint32_t)(v->rows - first) : NPU_KERN_PIXELS_MAX;
		struct conv_row row[NPU_KERN_PIXELS_MAX];

		if (npu_cancelled(v->x))
			return;
		for (uint32_t p = 0; p < pixels; p++)
			row[p] = conv_row(v, first + p);
		for (uint32_t channel = 0; channel < v->s.c; channel += DW_CHANNELS)
			conv_depthwise_tile(v, row, pixels, channel);
	}
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
		v.units = (v.rows + NPU_KERN_PIXELS_MAX - 1) / NPU_KERN_PIXELS_MAX;
		v.parts = npu_engine_parts(x, v.units, v.rows * v.s.c * v.s.kh * v.s.kw);
		npu_engine_run(x, conv_depthwise_part, &v, v.parts);
	} else {
		conv_dense(&v);
	}
	return NPU_FAULT_NONE;
}
