/* SPDX-License-Identifier: MIT */
/*
 * Product tiles: a block of rows x vectors stays in registers for the whole
 * depth. Included once per variant after its vec_*.h.
 */
#ifndef NPU_CORE_KERN_GEMM_H
#define NPU_CORE_KERN_GEMM_H

#include "kern.h"

#define VEC_INLINE	static inline __attribute__((always_inline))

/*
 * Columns col .. col + VLEN * nv - 1; the last vector is masked. rows and nv
 * are constants wherever this is inlined, so that acc is in registers.
 */
VEC_INLINE void gemm_block(const struct npu_kern_gemm *g, uint32_t col, vm last,
			   const unsigned int rows, const unsigned int nv)
{
	const ptrdiff_t w_stride = g->w_stride;
	const float *a = g->a;
	const float *w = g->w + col;
	vf acc[GEMM_ROWS][8];

#pragma GCC unroll 16
	for (unsigned int i = 0; i < rows; i++) {
		const float *start = (g->init ? g->init : g->acc[i]) + col;

#pragma GCC unroll 8
		for (unsigned int v = 0; v + 1 < nv; v++)
			acc[i][v] = vf_load(start + v * VLEN);
		acc[i][nv - 1] = vf_load_m(last, start + (nv - 1) * VLEN);
	}
	for (uint32_t t = g->depth; t; t--) {
		vf wv[8];

#pragma GCC unroll 8
		for (unsigned int v = 0; v + 1 < nv; v++)
			wv[v] = vf_load(w + v * VLEN);
		wv[nv - 1] = vf_load_m(last, w + (nv - 1) * VLEN);
#pragma GCC unroll 16
		for (unsigned int i = 0; i < rows; i++) {
			vf av = vf_set1(a[i * NPU_KERN_DEPTH]);

#pragma GCC unroll 8
			for (unsigned int v = 0; v < nv; v++)
				acc[i][v] = vf_fma(av, wv[v], acc[i][v]);
		}
		a++;
		w += w_stride;
	}
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
#define GEMM_BLOCK(rows, nv, max) \
static __attribute__((noinline)) void gemm_##rows##_##nv(const struct npu_kern_gemm *g, \
							 uint32_t col, vm last) \
{ \
	gemm_block(g, col, last, (rows) <= (max) ? (rows) : 1, nv); \
}

GEMM_BLOCK(1, 1, GEMM_ROWS)
GEMM_BLOCK(2, 1, GEMM_ROWS)
GEMM_BLOCK(3, 1, GEMM_ROWS)
GEMM_BLOCK(4, 1, GEMM_ROWS)
GEMM_BLOCK(5, 1, GEMM_ROWS)
GEMM_BLOCK(6, 1, GEMM_ROWS)
GEMM_BLOCK(7, 1, GEMM_ROWS)
GEMM_BLOCK(8, 1, GEMM_ROWS)
GEMM_BLOCK(9, 1, GEMM_ROWS)
GEMM_BLOCK(10, 1, GEMM_ROWS)
GEMM_BLOCK(11, 1, GEMM_ROWS)
GEMM_BLOCK(12, 1, GEMM_ROWS)
GEMM_BLOCK(13, 1, GEMM_ROWS)
GEMM_BLOCK(14, 1, GEMM_ROWS)
GEMM_BLOCK(1, 2, GEMM_ROWS)
GEMM_BLOCK(2, 2, GEMM_ROWS)
GEMM_BLOCK(3, 2, GEMM_ROWS)
GEMM_BLOCK(4, 2, GEMM_ROWS)
GEMM_BLOCK(5, 2, GEMM_ROWS)
GEMM_BLOCK(6, 2, GEMM_ROWS)
GEMM_BLOCK(7, 2, GEMM_ROWS)
GEMM_BLOCK(8, 2, GEMM_ROWS)
GEMM_BLOCK(9, 2, GEMM_ROWS)
GEMM_BLOCK(10, 2, GEMM_ROWS)
GEMM_BLOCK(11, 2, GEMM_ROWS)
GEMM_BLOCK(12, 2, GEMM_ROWS)
GEMM_BLOCK(13, 2, GEMM_ROWS)
GEMM_BLOCK(14, 2, GEMM_ROWS)
GEMM_BLOCK(1, 4, GEMM_ROWS_4)
GEMM_BLOCK(2, 4, GEMM_ROWS_4)
GEMM_BLOCK(3, 4, GEMM_ROWS_4)
GEMM_BLOCK(4, 4, GEMM_ROWS_4)
GEMM_BLOCK(5, 4, GEMM_ROWS_4)
GEMM_BLOCK(6, 4, GEMM_ROWS_4)
GEMM_BLOCK(1, 8, GEMM_ROWS_8)
GEMM_BLOCK(2, 8, GEMM_ROWS_8)
GEMM_BLOCK(3, 8, GEMM_ROWS_8)

static void kern_gemm(const struct npu_kern_gemm *g)
{
	static gemm_block_fn *const block_1[] = {
		gemm_1_1, gemm_2_1, gemm_3_1, gemm_4_1, gemm_5_1, gemm_6_1, gemm_7_1,
		gemm_8_1, gemm_9_1, gemm_10_1, gemm_11_1, gemm_12_1, gemm_13_1, gemm_14_1,
	};
	static gemm_block_fn *const block_2[] = {
		gemm_1_2, gemm_2_2, gemm_3_2, gemm_4_2, gemm_5_2, gemm_6_2, gemm_7_2,
		gemm_8_2, gemm_9_2, gemm_10_2, gemm_11_2, gemm_12_2, gemm_13_2, gemm_14_2,
	};
	static gemm_block_fn *const block_4[] = {
		gemm_1_4, gemm_2_4, gemm_3_4, gemm_4_4, gemm_5_4, gemm_6_4,
	};
	static gemm_block_fn *const block_8[] = { gemm_1_8, gemm_2_8, gemm_3_8 };
	const uint32_t rows = g->rows;
	gemm_block_fn *block;
	uint32_t nv;

	for (uint32_t col = 0; col < g->cols; col += nv * VLEN) {
		uint32_t left = g->cols - col;

		if (rows <= GEMM_ROWS_8 && left > 7 * VLEN) {
			nv = 8;
			block = block_8[rows - 1];
		} else if (rows <= GEMM_ROWS_4 && left > 3 * VLEN) {
			nv = 4;
			block = block_4[rows - 1];
		} else if (left > VLEN) {
			nv = 2;
			block = block_2[rows - 1];
		} else {
			nv = 1;
			block = block_1[rows - 1];
		}
		block(g, col, vm_first(left - (nv - 1) * VLEN));
	}
}

/* Two vectors of channels for each pixel; weights are loaded once a tap. */
VEC_INLINE void depthwise_block(const struct npu_kern_depthwise *d, uint32_t channel,
				vm first, vm second, const unsigned int pixels)
{
	const float *w = d->w + channel;
	vf acc[NPU_KERN_PIXELS_MAX][2];

#pragma GCC unroll 4
	for (unsigned int p = 0; p < pixels; p++) {
		const float *start = (d->init ? d->init : d->acc[p]) + channel;

		acc[p][0] = vf_load_m(first, start);
		acc[p][1] = vf_load_m(second, start + VLEN);
	}
	for (uint32_t t = 0; t < d->taps; t++) {
		vf w0 = vf_load_m(first, w);
		vf w1 = vf_load_m(second, w + VLEN);

#pragma GCC unroll 4
		for (unsigned int p = 0; p < pixels; p++) {
			const float *x = d->x[p * d->taps + t] + channel;

			acc[p][0] = vf_fma(vf_load_m(first, x), w0, acc[p][0]);
			acc[p][1] = vf_fma(vf_load_m(second, x + VLEN), w1, acc[p][1]);
		}
		w += d->w_stride;
	}
#pragma GCC unroll 4
	for (unsigned int p = 0; p < pixels; p++) {
		vf_store_m(d->acc[p] + channel, first, acc[p][0]);
		vf_store_m(d->acc[p] + channel + VLEN, second, acc[p][1]);
	}
}

static void kern_depthwise(const struct npu_kern_depthwise *d)
{
	for (uint32_t channel = 0; channel < d->channels; channel += 2 * VLEN) {
		uint32_t left = d->channels - channel;
		vm first = vm_first(left);
		vm second = vm_first(left > VLEN ? left - VLEN : 0);

		switch (d->pixels) {
		case 1:
			depthwise_block(d, channel, first, second, 1);
			break;
		case 2:
			depthwise_block(d, channel, first, second, 2);
			break;
		case 3:
			depthwise_block(d, channel, first, second, 3);
			break;
		default:
			depthwise_block(d, channel, first, second, 4);
			break;
		}
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
