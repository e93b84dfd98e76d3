/* SPDX-License-Identifier: MIT */
/*
 * CONV (HW 9.1) in three files: te_conv.c divides the work, te_conv_pack.c
 * gathers the inputs of a tile, te_depthwise.c is the other kind.
 */
#ifndef NPU_CORE_TE_CONV_H
#define NPU_CORE_TE_CONV_H

#include "engine.h"

#define CONV_SEGMENTS_MAX	NPU_KERN_DEPTH
#define CONV_UNIT_TILES		4	/* tiles that are packed at once */

/**
 * struct conv - a CONV descriptor, and how it is cut
 * @x: the device
 * @s: loop nest
 * @in: input element 0
 * @weights: packed weights
 * @bias: start values, or NULL
 * @acc: output element 0
 * @in_stride: step per image, row, column
 * @acc_stride: step per image, row, column
 * @accumulate: start from the accumulators
 * @rot180: taps in reverse
 * @units: pieces of work
 * @parts: parts for the host's threads
 * @run_taps: taps of a kernel row that are contiguous in memory: all, or 1
 * @block_c: channels per block of the flat order
 * @by_depth: one channel: pixels, not taps, are contiguous
 * @cols: columns of a panel of weights
 * @panels: panels
 * @unit_panels: panels of a unit of work
 * @rows: output pixels
 * @tile_rows: output pixels per tile
 * @tiles: tiles
 * @row_units: units along the pixels, CONV_UNIT_TILES tiles each
 */
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
	uint64_t units;
	uint32_t parts;
	uint32_t run_taps;
	uint32_t block_c;
	bool by_depth;
	uint32_t cols;
	uint32_t panels;
	uint32_t unit_panels;
	uint64_t rows;
	uint32_t tile_rows;
	uint64_t tiles;
	uint64_t row_units;
};

/**
 * struct conv_span - neighbouring output pixels of one output row
 * @first: number of the first pixel in its tile
 * @count: pixels
 * @image: input image
 * @top: input row of tap row 0
 * @left: input column of tap column 0 of the first pixel
 * @input_row: input row of the tap row that is being packed, NULL: outside
 */
struct conv_span {
	uint32_t first;
	uint32_t count;
	const float *image;
	int64_t top;
	int64_t left;
	const float *input_row;
};

/**
 * struct conv_tile - the output pixels that are computed together
 * @rows: pixels
 * @chunk: their inputs, see npu_conv_pack()
 * @spans: spans
 * @span: spans
 * @acc: channel 0 of each pixel's result
 */
struct conv_tile {
	uint32_t rows;
	float *chunk;
	uint32_t spans;
	struct conv_span span[NPU_KERN_ROWS_MAX];
	float *acc[NPU_KERN_ROWS_MAX];
};

/* Where the next chunk of the flat order begins; c is within the run of taps. */
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

/* Input row or column at position @at of the upsampled image, or -1. */
static inline int64_t conv_input(int64_t at, uint32_t size, uint32_t up)
{
	if (up > 1 && at > 0) {
		if (at % up)
			return -1;
		at /= up;
	}
	return at >= 0 && at < size ? at : -1;
}

static inline const float *conv_input_row(const struct conv *v, const float *image, int64_t at)
{
	const int64_t h = conv_input(at, v->s.h, v->s.up_h);

	return h < 0 ? NULL : image + h * v->in_stride[1];
}

/*
 * Pack up to NPU_KERN_DEPTH elements of each pixel from the cursor on into the
 * tile's chunk. Returns the number of segments, the same for all tiles; the
 * cursor's block is s.c after the last element.
 */
uint32_t npu_conv_pack(const struct conv *v, struct conv_tile *tile, struct conv_cursor *at,
		       struct conv_segment segment[CONV_SEGMENTS_MAX]);

void npu_conv_depthwise(struct conv *v);

#endif
