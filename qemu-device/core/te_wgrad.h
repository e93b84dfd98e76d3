/* SPDX-License-Identifier: MIT */
/*
 * WGRAD (HW 9.1) in three files: te_wgrad.c divides the work, te_wgrad_pack.c
 * gathers inputs, te_wgrad_depthwise.c is the other kind. What CONV has as rows
 * of a product is its depth here: output positions, in the order n, oh, ow. The
 * rows are weights of one panel in the flat order (block of channels, y, x, c).
 */
#ifndef NPU_CORE_TE_WGRAD_H
#define NPU_CORE_TE_WGRAD_H

#include "te_conv.h"

#define WGRAD_ROWS	112	/* of a unit of work */
#define WGRAD_DEPTH	128	/* positions packed at once */
#define WGRAD_BUFFER	(WGRAD_ROWS * WGRAD_DEPTH)
/* The same buffer, rows NPU_KERN_DEPTH elements apart. */
#define WGRAD_TAP_ROWS	(WGRAD_BUFFER / NPU_KERN_DEPTH)

/**
 * struct wgrad - a WGRAD descriptor, and how it is cut
 * @x: the device
 * @s: loop nest
 * @in: input element 0
 * @dy: gradient element 0
 * @acc: packed weight 0
 * @in_stride: step per image, row, column
 * @dy_stride: step per image, row, column
 * @accumulate: start from the accumulators
 * @positions: outputs, n * oh * ow
 * @rows: weights of an output channel
 * @cols: columns of a panel
 * @panels: panels
 * @run: taps of a kernel row are contiguous in memory
 * @by_rows: one channel: positions, not taps, are contiguous
 * @dy_even: dy's positions are all dy_step apart
 * @dy_step: see dy_even; else the step inside an output row
 * @unit_rows: weights of a unit of work
 * @unit_panels: panels of one, or channels (depthwise)
 * @row_units: units along the rows
 * @units: pieces of work
 * @parts: parts for the host's threads
 */
struct wgrad {
	const struct npu_exec *x;
	struct npu_conv_shape s;
	const float *in;
	const float *dy;
	float *acc;
	ptrdiff_t in_stride[3];
	ptrdiff_t dy_stride[3];
	bool accumulate;
	uint64_t positions;
	uint32_t rows;
	uint32_t cols;
	uint32_t panels;
	bool run;
	bool by_rows;
	bool dy_even;
	ptrdiff_t dy_step;
	uint32_t unit_rows;
	uint32_t unit_panels;
	uint32_t row_units;
	uint64_t units;
	uint32_t parts;
};

/**
 * struct wgrad_span - neighbouring positions of one output row
 * @first: number of the first one in its chunk
 * @count: positions
 * @image: input image
 * @top: input row of tap row 0
 * @left: input column of tap column 0 of the first position
 * @dy: gradient of the first position
 */
struct wgrad_span {
	uint32_t first;
	uint32_t count;
	const float *image;
	int64_t top;
	int64_t left;
	const float *dy;
};

/* Input row of tap row @y, NULL: outside. */
static inline const float *wgrad_input_row(const struct wgrad *v, const struct wgrad_span *span,
					   uint32_t y)
{
	const int64_t h = conv_input(span->top + (int64_t)y * v->s.dil_h, v->s.h, v->s.up_h);

	return h < 0 ? NULL : span->image + h * v->in_stride[1];
}

/* Cut positions first .. first + count - 1 into spans; returns how many. */
uint32_t npu_wgrad_spans(const struct wgrad *v, uint64_t first, uint32_t count,
			 struct wgrad_span *span);

/*
 * The inputs of weights row .. row + rows - 1 at the positions of @spans: a
 * position's are contiguous, WGRAD_ROWS from one to the next; with by_rows, a
 * weight's are contiguous, NPU_KERN_DEPTH from one to the next.
 */
void npu_wgrad_pack(const struct wgrad *v, uint32_t row, uint32_t rows,
		    const struct wgrad_span *span, uint32_t spans, float *buffer);

void npu_wgrad_depthwise(struct wgrad *v);

#endif
