/* SPDX-License-Identifier: MIT */
/*
 * Product tiles: a block of rows x vectors stays in registers for the whole
 * depth. Included once per variant after its vec_*.h.
 */
#ifndef NPU_CORE_KERN_GEMM_H
#define NPU_CORE_KERN_GEMM_H

#include "kern.h"

/*
 * How far ahead weights are asked for: their rows may be on pages of their own.
 * Blocks of 8 vectors, for few rows of a, are limited by the loads themselves.
 */
#define GEMM_PREFETCH	16

#define VEC_INLINE	static inline __attribute__((always_inline))
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

#define TILE_VECS	8	/* at most, in each row */

/* vf_canon() of a tile that hardly ever has a NaN: one comparison looks at two vectors. */
VEC_INLINE void canon_tile(vf (*x)[TILE_VECS], const unsigned int rows, const unsigned int nv)
{
	vm nan = vm_none();

#pragma GCC unroll 16
	for (unsigned int i = 0; i < rows; i++) {
#pragma GCC unroll 4
		for (unsigned int v = 0; v < nv; v += 2)
			nan = vm_or(nan, vf_unord(x[i][v], x[i][v + 1 < nv ? v + 1 : v]));
	}
	if (__builtin_expect(vm_bits(nan) == 0, 1))
		return;
#pragma GCC unroll 16
	for (unsigned int i = 0; i < rows; i++) {
#pragma GCC unroll 8
		for (unsigned int v = 0; v < nv; v++)
			x[i][v] = vf_canon(x[i][v]);
	}
}

/*
 * Columns col .. col + VLEN * nv - 1; the last vector is masked. rows, nv and
 * by_depth are constants wherever this is inlined, so that acc is in registers.
 */
VEC_INLINE void gemm_block(const struct npu_kern_gemm *g, uint32_t col, vm last,
			   const unsigned int rows, const unsigned int nv, const bool by_depth)
{
	const ptrdiff_t row_step = by_depth ? 1 : NPU_KERN_DEPTH;
	const ptrdiff_t a_step = by_depth ? g->a_step : 1;
	const ptrdiff_t w_stride = g->w_stride;
	const float *a = g->a;
	const float *w = g->w + col;
	vf acc[GEMM_ROWS][TILE_VECS];

#pragma GCC unroll 16
	for (unsigned int i = 0; i < rows; i++) {
		const float *start = (g->init ? g->init : g->acc[i]) + col;

#pragma GCC unroll 8
		for (unsigned int v = 0; v + 1 < nv; v++)
			acc[i][v] = vf_load(start + v * VLEN);
		acc[i][nv - 1] = vf_load_m(last, start + (nv - 1) * VLEN);
	}
	for (uint32_t t = g->depth; t; t--) {
		vf wv[TILE_VECS];

#pragma GCC unroll 8
		for (unsigned int v = 0; v < nv && nv < 8; v++)
			__builtin_prefetch(w + GEMM_PREFETCH * w_stride + v * VLEN);
#pragma GCC unroll 8
		for (unsigned int v = 0; v + 1 < nv; v++)
			wv[v] = vf_load(w + v * VLEN);
		wv[nv - 1] = vf_load_m(last, w + (nv - 1) * VLEN);
#pragma GCC unroll 16
		for (unsigned int i = 0; i < rows; i++) {
			vf av = vf_set1(a[i * row_step]);

#pragma GCC unroll 8
			for (unsigned int v = 0; v < nv; v++)
				acc[i][v] = vf_fma(av, wv[v], acc[i][v]);
		}
		a += a_step;
		w += w_stride;
	}
	canon_tile(acc, rows, nv);
#pragma GCC unroll 16
	for (unsigned int i = 0; i < rows; i++) {
		float *out = g->acc[i] + col;

#pragma GCC unroll 8
		for (unsigned int v = 0; v + 1 < nv; v++)
			vf_store(out + v * VLEN, acc[i][v]);
		vf_store_m(out + (nv - 1) * VLEN, last, acc[i][nv - 1]);
	}
}

typedef void gemm_block_fn(const struct npu_kern_gemm *g, uint32_t col, vm last);

/* A function of its own for each block, so that each has all registers. */
#define GEMM_BLOCK(rows, nv) \
static __attribute__((noinline)) void gemm_##rows##_##nv(const struct npu_kern_gemm *g, \
							 uint32_t col, vm last) \
{ \
	gemm_block(g, col, last, rows, nv, false); \
}
#define GEMM_BLOCK_DEPTH(rows, nv) \
static __attribute__((noinline)) void gemm_depth_##rows##_##nv(const struct npu_kern_gemm *g, \
							       uint32_t col, vm last) \
{ \
	gemm_block(g, col, last, rows, nv, true); \
}
#define GEMM_ENTRY(rows, nv)		gemm_##rows##_##nv,
#define GEMM_ENTRY_DEPTH(rows, nv)	gemm_depth_##rows##_##nv,

/* m(rows, nv) for all rows that a variant has for nv vectors. */
#define GEMM_TO_3(m, nv)	m(1, nv) m(2, nv) m(3, nv)
#define GEMM_TO_4(m, nv)	GEMM_TO_3(m, nv) m(4, nv)
#define GEMM_TO_6(m, nv)	GEMM_TO_4(m, nv) m(5, nv) m(6, nv)
#define GEMM_TO_14(m, nv)	GEMM_TO_6(m, nv) m(7, nv) m(8, nv) m(9, nv) m(10, nv) \
				m(11, nv) m(12, nv) m(13, nv) m(14, nv)

/* What fits the variant's registers: rows for 1 or 2, 4, and 8 vectors. */
#if GEMM_ROWS == 14
#define GEMM_ALL	GEMM_TO_14
#define GEMM_ALL_4	GEMM_TO_6
#define GEMM_ALL_8	GEMM_TO_3
#elif GEMM_ROWS == 6
#define GEMM_ALL	GEMM_TO_6
#define GEMM_ALL_4	GEMM_TO_3
#define GEMM_ALL_8(m, nv)	m(1, nv)
#else
#define GEMM_ALL	GEMM_TO_4
#define GEMM_ALL_4	GEMM_TO_3
#define GEMM_ALL_8(m, nv)	m(1, nv)
#endif

GEMM_ALL_8(GEMM_BLOCK, 8)
GEMM_ALL_4(GEMM_BLOCK, 4)
GEMM_ALL(GEMM_BLOCK, 2)
GEMM_ALL(GEMM_BLOCK, 1)
GEMM_ALL(GEMM_BLOCK_DEPTH, 2)
GEMM_ALL(GEMM_BLOCK_DEPTH, 1)

static void kern_gemm(const struct npu_kern_gemm *g)
{
	static gemm_block_fn *const block_8[] = { GEMM_ALL_8(GEMM_ENTRY, 8) };
	static gemm_block_fn *const block_4[] = { GEMM_ALL_4(GEMM_ENTRY, 4) };
	static gemm_block_fn *const block_2[] = { GEMM_ALL(GEMM_ENTRY, 2) };
	static gemm_block_fn *const block_1[] = { GEMM_ALL(GEMM_ENTRY, 1) };
	static gemm_block_fn *const depth_2[] = { GEMM_ALL(GEMM_ENTRY_DEPTH, 2) };
	static gemm_block_fn *const depth_1[] = { GEMM_ALL(GEMM_ENTRY_DEPTH, 1) };
	const uint32_t at = g->rows - 1;
	gemm_block_fn *block;
	uint32_t nv;

	for (uint32_t col = 0; col < g->cols; col += nv * VLEN) {
		uint32_t left = g->cols - col;

		if (g->a_by_depth) {
			nv = left > VLEN ? 2 : 1;
			block = nv == 2 ? depth_2[at] : depth_1[at];
		} else if (at < COUNT(block_8) && left > 7 * VLEN) {
			nv = 8;
			block = block_8[at];
		} else if (at < COUNT(block_4) && left > 3 * VLEN) {
			nv = 4;
			block = block_4[at];
		} else {
			nv = left > VLEN ? 2 : 1;
			block = nv == 2 ? block_2[at] : block_1[at];
		}
		block(g, col, vm_first(left - (nv - 1) * VLEN));
	}
}

/* nv vectors of channels for each pixel; weights are loaded once a tap. */
VEC_INLINE void depthwise_block(const struct npu_kern_depthwise *d, uint32_t channel, vm last,
				const unsigned int pixels, const unsigned int nv,
				const bool inside)
{
	const float *w = d->w + channel;
	const bool zero = !d->init && d->from_zero;
	vf acc[NPU_KERN_PIXELS_MAX][TILE_VECS];

#pragma GCC unroll 4
	for (unsigned int p = 0; p < pixels; p++) {
		const float *start = (d->init ? d->init : d->acc[p]) + channel;

#pragma GCC unroll 4
		for (unsigned int v = 0; v < nv; v++)
			acc[p][v] = zero ? vf_set1(0.0f) :
				    v + 1 < nv ? vf_load(start + v * VLEN) :
						 vf_load_m(last, start + v * VLEN);
	}
	for (uint32_t t = 0; t < d->taps; t++) {
		vf wv[4];

#pragma GCC unroll 4
		for (unsigned int v = 0; v < nv; v++)
			wv[v] = v + 1 < nv ? vf_load(w + v * VLEN) : vf_load_m(last, w + v * VLEN);
#pragma GCC unroll 4
		for (unsigned int p = 0; p < pixels; p++) {
			const float *x = inside ? d->base[p] + d->offset[t] : d->tap[p][t];

#pragma GCC unroll 4
			for (unsigned int v = 0; v < nv; v++) {
				vf in = vf_set1(0.0f);

				if (inside || x)
					in = v + 1 < nv ? vf_load(x + channel + v * VLEN) :
					     vf_load_m(last, x + channel + v * VLEN);
				acc[p][v] = vf_fma(in, wv[v], acc[p][v]);
			}
		}
		w += d->w_stride;
	}
	canon_tile(acc, pixels, nv);
#pragma GCC unroll 4
	for (unsigned int p = 0; p < pixels; p++) {
		float *out = d->acc[p] + channel;

#pragma GCC unroll 4
		for (unsigned int v = 0; v + 1 < nv; v++)
			vf_store(out + v * VLEN, acc[p][v]);
		vf_store_m(out + (nv - 1) * VLEN, last, acc[p][nv - 1]);
	}
}

VEC_INLINE void depthwise_pixels(const struct npu_kern_depthwise *d, const unsigned int pixels,
				 const bool inside)
{
	uint32_t channel = 0;

	for (; d->channels - channel > 3 * VLEN; channel += 4 * VLEN) {
		const uint32_t left = d->channels - channel - 3 * VLEN;

		depthwise_block(d, channel, vm_first(left), pixels, 4, inside);
		if (left <= VLEN)
			return;
	}
	for (; channel < d->channels; channel += VLEN)
		depthwise_block(d, channel, vm_first(d->channels - channel), pixels, 1, inside);
}

static void kern_depthwise(const struct npu_kern_depthwise *d)
{
	if (d->offset && d->pixels == 4)
		depthwise_pixels(d, 4, true);
	else if (d->offset && d->pixels == 3)
		depthwise_pixels(d, 3, true);
	else if (d->offset && d->pixels == 2)
		depthwise_pixels(d, 2, true);
	else if (d->offset)
		depthwise_pixels(d, 1, true);
	else if (d->pixels == 4)
		depthwise_pixels(d, 4, false);
	else if (d->pixels == 3)
		depthwise_pixels(d, 3, false);
	else if (d->pixels == 2)
		depthwise_pixels(d, 2, false);
	else
		depthwise_pixels(d, 1, false);
}

/*
 * nv vectors of channels for some taps: a position's gradient is loaded once
 * for all of them. taps and nv are constants wherever this is inlined.
 */
VEC_INLINE void correlate_block(const struct npu_kern_correlate *c, uint32_t channel, vm last,
				const unsigned int taps, const unsigned int nv)
{
	const float *const *x = c->x;
	vf acc[GEMM_ROWS][TILE_VECS];

#pragma GCC unroll 16
	for (unsigned int i = 0; i < taps; i++) {
		const float *start = c->acc + i * c->acc_stride + channel;

#pragma GCC unroll 2
		for (unsigned int v = 0; v < nv; v++)
			acc[i][v] = c->from_zero ? vf_set1(0.0f) :
				    v + 1 < nv ? vf_load(start + v * VLEN) :
						 vf_load_m(last, start + v * VLEN);
	}
	for (uint32_t p = 0; p < c->count; p++, x += taps) {
		const float *dy = c->dy[p] + channel;
		vf dv[2];

#pragma GCC unroll 2
		for (unsigned int v = 0; v < nv; v++)
			dv[v] = v + 1 < nv ? vf_load(dy + v * VLEN) :
					     vf_load_m(last, dy + v * VLEN);
#pragma GCC unroll 16
		for (unsigned int i = 0; i < taps; i++) {
#pragma GCC unroll 2
			for (unsigned int v = 0; v < nv; v++) {
				const float *from = x[i] + channel + v * VLEN;
				vf in = vf_set1(0.0f);

				if (x[i])
					in = v + 1 < nv ? vf_load(from) : vf_load_m(last, from);
				acc[i][v] = vf_fma(in, dv[v], acc[i][v]);
			}
		}
	}
	canon_tile(acc, taps, nv);
#pragma GCC unroll 16
	for (unsigned int i = 0; i < taps; i++) {
		float *out = c->acc + i * c->acc_stride + channel;

#pragma GCC unroll 2
		for (unsigned int v = 0; v + 1 < nv; v++)
			vf_store(out + v * VLEN, acc[i][v]);
		vf_store_m(out + (nv - 1) * VLEN, last, acc[i][nv - 1]);
	}
}

typedef void correlate_fn(const struct npu_kern_correlate *c, uint32_t channel, vm last);

#define CORRELATE_BLOCK(taps, nv) \
static __attribute__((noinline)) void correlate_##taps##_##nv(const struct npu_kern_correlate *c, \
							      uint32_t channel, vm last) \
{ \
	correlate_block(c, channel, last, taps, nv); \
}
#define CORRELATE_ENTRY(taps, nv)	correlate_##taps##_##nv,
GEMM_ALL(CORRELATE_BLOCK, 2)
GEMM_ALL(CORRELATE_BLOCK, 1)

static void kern_correlate(const struct npu_kern_correlate *c)
{
	static correlate_fn *const block_2[] = { GEMM_ALL(CORRELATE_ENTRY, 2) };
	static correlate_fn *const block_1[] = { GEMM_ALL(CORRELATE_ENTRY, 1) };
	uint32_t nv;

	for (uint32_t channel = 0; channel < c->channels; channel += nv * VLEN) {
		const uint32_t left = c->channels - channel;

		nv = left > VLEN ? 2 : 1;
		(nv == 2 ? block_2 : block_1)[c->taps - 1](c, channel,
							   vm_first(left - (nv - 1) * VLEN));
	}
}

static void kern_copy_rows(float *dst, ptrdiff_t dst_stride, const float *const *src,
			   uint32_t rows, uint32_t count)
{
	const vm tail = vm_first(count % VLEN);

	for (uint32_t i = 0; i < rows; i++) {
		const float *from = src[i];
		float *to = dst + i * dst_stride;
		uint32_t j;

		for (j = 0; j + VLEN <= count; j += VLEN)
			vf_store(to + j, vf_load(from + j));
		if (j < count)
			vf_store_m(to + j, tail, vf_load_m(tail, from + j));
	}
}

/* Blocks of VLEN x VLEN go through registers. */
static void kern_transpose(float *dst, ptrdiff_t dst_stride, const float *src,
			   ptrdiff_t src_stride, uint32_t rows, uint32_t cols)
{
	for (uint32_t i = 0; i < rows; i += VLEN) {
		const uint32_t ni = rows - i < VLEN ? rows - i : VLEN;
		const vm mask_i = vm_first(ni);

		for (uint32_t j = 0; j < cols; j += VLEN) {
			const uint32_t nj = cols - j < VLEN ? cols - j : VLEN;
			const vm mask_j = vm_first(nj);
			vf r[VLEN];

			for (uint32_t k = 0; k < VLEN; k++)
				r[k] = k < ni ? vf_load_m(mask_j, src + (i + k) * src_stride + j) :
						vf_set1(0.0f);
			vec_transpose(r);
			for (uint32_t k = 0; k < nj; k++)
				vf_store_m(dst + (j + k) * dst_stride + i, mask_i, r[k]);
		}
	}
}

#endif
