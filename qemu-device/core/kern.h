/* SPDX-License-Identifier: MIT */
/*
 * The inner loops of the tensor and vector engine. Each variant (scalar, AVX2,
 * AVX-512) compiles the same bodies, kern_*.h, over other vector primitives,
 * vec_*.h, so that all give the same bits. te_*.c and ve_*.c decode, block and
 * divide work; they know no vector width.
 *
 * Kernels never read or write beyond the elements they are told of.
 */
#ifndef NPU_CORE_KERN_H
#define NPU_CORE_KERN_H

#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "npu_core.h"
#include "npu_isa.h"

#define NPU_KERN_ROWS_MAX	16	/* rows of one product tile */
#define NPU_KERN_PIXELS_MAX	4	/* outputs of one depthwise call */
#define NPU_KERN_DEPTH		256	/* row stride of a packed tile of inputs */
#define NPU_KERN_UOPS		0x47	/* entries of the micro-op table */

/**
 * struct npu_kern_gemm - acc[i][j] = init + sum over t ascending of a[i][t] * w[t][j]
 * @rows: 1 .. tile_rows of the variant
 * @cols: columns j, any number
 * @depth: t = 0 .. depth-1
 * @a: rows x depth, rows NPU_KERN_DEPTH elements apart; or, with a_by_depth,
 *	depth x rows, a_step elements apart
 * @a_by_depth: see a
 * @a_step: see a
 * @w: depth x cols
 * @w_stride: step between rows of w in elements
 * @init: start values of a row, or NULL: start from acc
 * @acc: first element of each row
 */
struct npu_kern_gemm {
	uint32_t rows;
	uint32_t cols;
	uint32_t depth;
	const float *a;
	bool a_by_depth;
	ptrdiff_t a_step;
	const float *w;
	ptrdiff_t w_stride;
	const float *init;
	float *acc[NPU_KERN_ROWS_MAX];
};

/**
 * struct npu_kern_depthwise - acc[p][j] = init + sum over t of x[p][t][j] * w[t][j]
 * @pixels: 1 .. NPU_KERN_PIXELS_MAX
 * @channels: j
 * @taps: t
 * @offset: x[p][t] is at base[p] + offset[t]; NULL: it is at tap[p][t], or 0
 *	where that is NULL
 * @base: see offset
 * @tap: see offset
 * @w: taps x channels
 * @w_stride: step between taps
 * @init: start values, or NULL
 * @from_zero: without init: start from 0, not from acc
 * @acc: first channel of each pixel
 */
struct npu_kern_depthwise {
	uint32_t pixels;
	uint32_t channels;
	uint32_t taps;
	const ptrdiff_t *offset;
	const float *base[NPU_KERN_PIXELS_MAX];
	const float *const *tap[NPU_KERN_PIXELS_MAX];
	const float *w;
	ptrdiff_t w_stride;
	const float *init;
	bool from_zero;
	float *acc[NPU_KERN_PIXELS_MAX];
};

/**
 * struct npu_kern_correlate - acc[i][j] = init + sum over p ascending of x[p][i][j] * dy[p][j]
 * @taps: i, 1 .. tile_rows of the variant
 * @channels: j
 * @count: p
 * @x: x[p][i] is at x[p * taps + i], or 0 where that is NULL
 * @dy: dy[p] is at dy[p]
 * @from_zero: start from 0, not from acc
 * @acc: taps x channels
 * @acc_stride: step between taps
 */
struct npu_kern_correlate {
	uint32_t taps;
	uint32_t channels;
	uint32_t count;
	const float *const *x;
	const float *const *dy;
	bool from_zero;
	float *acc;
	ptrdiff_t acc_stride;
};

/**
 * struct npu_kern_uop - dst[i] = op(src[0][i], src[1][i], src[2][i])
 * @dst: destination; may be equal to a source
 * @src: sources
 * @splat: bit s set: source s is 16 equal words that serve for every i
 * @count: i
 * @trapped: set to 1 by a trapping micro-op that overflows for any i
 */
struct npu_kern_uop {
	uint32_t *dst;
	const uint32_t *src[3];
	uint32_t splat;
	size_t count;
	atomic_uint *trapped;
};

typedef void npu_kern_uop_fn(const struct npu_kern_uop *u);

/**
 * struct npu_kern_pool - out[j] = maximum or sum over the window
 * @src: first tap inside the input
 * @rows: taps inside the input
 * @cols: taps inside the input
 * @row_step: elements between tap rows
 * @col_step: elements between tap columns
 * @channels: j
 * @out: channels results
 * @index: channels positions of the first maximum, for pool_max_index
 * @position: of the first tap
 * @position_row: between tap rows
 * @position_col: between tap columns
 * @divisor: sums are divided by it
 * @cancel: looked at every few rows of taps; without results when it is set
 */
struct npu_kern_pool {
	const float *src;
	uint32_t rows;
	uint32_t cols;
	ptrdiff_t row_step;
	ptrdiff_t col_step;
	uint32_t channels;
	float *out;
	uint32_t *index;
	uint32_t position;
	uint32_t position_row;
	uint32_t position_col;
	float divisor;
	const atomic_bool *cancel;
};

/**
 * struct npu_kern_unpool - out at the tap that index[j] is the position of += in[j]
 * @in: values
 * @index: positions
 * @out: first tap
 * @rows: taps
 * @cols: taps
 * @row_step: elements between tap rows
 * @col_step: elements between tap columns
 * @position: of the first tap; no two taps have the same
 * @position_row: between tap rows
 * @position_col: between tap columns
 * @channels: j
 */
struct npu_kern_unpool {
	const float *in;
	const uint32_t *index;
	float *out;
	uint32_t rows;
	uint32_t cols;
	ptrdiff_t row_step;
	ptrdiff_t col_step;
	uint32_t position;
	uint32_t position_row;
	uint32_t position_col;
	uint32_t channels;
};

/**
 * struct npu_kern_lanes - rows of 16 partial results take in elements
 * @lanes: rows x NPU_REDUCE_LANES
 * @src: element 0 of row 0, which goes to lane 0
 * @rows: independent reductions
 * @row_step: elements between rows of src
 * @count: contiguous elements per row
 * @trapped: as in npu_kern_uop, for kernels [2]
 */
struct npu_kern_lanes {
	uint32_t *lanes;
	const uint32_t *src;
	uint32_t rows;
	ptrdiff_t row_step;
	size_t count;
	atomic_uint *trapped;
};

typedef void npu_kern_lanes_fn(const struct npu_kern_lanes *l);

/**
 * struct npu_kern_columns - lane (first + i) mod 16 of column j takes in src[i][j]
 * @lanes: NPU_REDUCE_LANES rows of columns
 * @lane_step: elements between lanes
 * @first: lane of row 0
 * @src: row 0
 * @row_step: elements between rows of src
 * @rows: i
 * @columns: j
 * @trapped: as in npu_kern_uop, for kernels [2]
 */
struct npu_kern_columns {
	uint32_t *lanes;
	ptrdiff_t lane_step;
	uint32_t first;
	const uint32_t *src;
	ptrdiff_t row_step;
	size_t rows;
	uint32_t columns;
	atomic_uint *trapped;
};

typedef void npu_kern_columns_fn(const struct npu_kern_columns *c);

/**
 * struct npu_kern - one variant
 * @name: as npu_core_variant_name() gives it
 * @tile_rows: rows that gemm takes, and taps that correlate takes
 * @gemm: dense tile of a product
 * @depthwise: depthwise tile
 * @correlate: tile of depthwise weight gradients
 * @copy_rows: dst[i * dst_stride + j] = src[i][j]
 * @transpose: dst[j * dst_stride + i] = src[i * src_stride + j]
 * @gather: dst[i] = src[i * stride]
 * @scatter: dst[i * stride] = src[i]
 * @spread: dst[i * count + j] = src[i * stride], i below rows and j below count
 * @iota: dst[i] = first + i
 * @uop: by enum npu_uop; NULL for LD, ST, MOV, IOTA
 * @uop_canon: the same with the one NaN of HW 9, for results whose bits are
 *	looked at; NULL where uop gives that one
 * @lanes: reductions by enum npu_rop, of F32 [0], I32 [1], I32 with TRAP [2]
 * @columns: the same for many neighbouring outputs
 * @pool_max: POOL maximum; -inf without taps
 * @pool_max_index: with positions; -1 without taps
 * @pool_avg: POOL average
 * @unpool: UNPOOL where positions are in the window; false: some are not
 */
struct npu_kern {
	const char *name;
	uint32_t tile_rows;
	void (*gemm)(const struct npu_kern_gemm *g);
	void (*depthwise)(const struct npu_kern_depthwise *d);
	void (*correlate)(const struct npu_kern_correlate *c);
	void (*copy_rows)(float *dst, ptrdiff_t dst_stride, const float *const *src,
			  uint32_t rows, uint32_t count);
	void (*transpose)(float *dst, ptrdiff_t dst_stride, const float *src,
			  ptrdiff_t src_stride, uint32_t rows, uint32_t cols);
	void (*gather)(uint32_t *dst, const uint32_t *src, ptrdiff_t stride, size_t count);
	void (*scatter)(uint32_t *dst, ptrdiff_t stride, const uint32_t *src, size_t count);
	void (*spread)(uint32_t *dst, const uint32_t *src, ptrdiff_t stride, uint32_t rows,
		       uint32_t count);
	void (*iota)(uint32_t *dst, uint32_t first, size_t count);
	npu_kern_uop_fn *uop[NPU_KERN_UOPS];
	npu_kern_uop_fn *uop_canon[NPU_KERN_UOPS];
	npu_kern_lanes_fn *lanes[3][5];
	npu_kern_columns_fn *columns[3][5];
	void (*pool_max)(const struct npu_kern_pool *p);
	void (*pool_max_index)(const struct npu_kern_pool *p);
	void (*pool_avg)(const struct npu_kern_pool *p);
	bool (*unpool)(const struct npu_kern_unpool *u);
};

extern const struct npu_kern npu_kern_scalar;
extern const struct npu_kern npu_kern_avx2;
extern const struct npu_kern npu_kern_avx512;

/* The kernels of a variant, or NULL when the host cannot run it. */
const struct npu_kern *npu_kern_get(enum npu_core_variant variant);

/*
 * Argument reduction of SIN and COS for 2^18 <= x < inf (HW A.7): x = n * pi/2
 * + r with |r| <= pi/4. Returns n mod 4.
 */
uint32_t npu_kern_trig_reduce(float x, float *r);

#endif
