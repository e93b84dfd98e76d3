/* SPDX-License-Identifier: MIT */
/*
 * The windows of POOL and UNPOOL. Included once per variant after its vec_*.h
 * and kern_map.h.
 */
#ifndef NPU_CORE_KERN_POOL_H
#define NPU_CORE_KERN_POOL_H

#include "kern.h"

#define POOL_ROWS	8	/* of taps, between two looks at cancel */

/* nv vectors of channels, the last one masked; nv is constant. */
static inline __attribute__((always_inline))
void pool_block(const struct npu_kern_pool *p, uint32_t channel, vm last,
		const unsigned int nv, const bool average)
{
	vf acc[4];
	vm nan[4];

#pragma GCC unroll 4
	for (unsigned int v = 0; v < nv; v++) {
		acc[v] = vf_set1(average ? 0.0f : -INFINITY);
		nan[v] = vm_none();
	}
	for (uint32_t y = 0; y < p->rows; y++) {
		if (y % POOL_ROWS == 0 && atomic_load_explicit(p->cancel, memory_order_relaxed))
			return;
		for (uint32_t x = 0; x < p->cols; x++) {
			const float *tap = p->src + y * p->row_step + x * p->col_step + channel;

#pragma GCC unroll 4
			for (unsigned int v = 0; v < nv; v++) {
				vf in = v + 1 < nv ? vf_load(tap + v * VLEN) :
						     vf_load_m(last, tap + v * VLEN);

				if (average) {
					acc[v] = vf_add(acc[v], in);
				} else {
					acc[v] = vf_maxnum(acc[v], in);
					nan[v] = vm_or(nan[v], vf_unord(in, in));
				}
			}
		}
	}
#pragma GCC unroll 4
	for (unsigned int v = 0; v < nv; v++) {
		vf out = average ? vf_canon(vf_div(acc[v], vf_set1(p->divisor))) :
				   vf_sel(nan[v], vf_set1(NAN), acc[v]);

		if (v + 1 < nv)
			vf_store(p->out + channel + v * VLEN, out);
		else
			vf_store_m(p->out + channel + v * VLEN, last, out);
	}
}

static inline __attribute__((always_inline))
void pool_channels(const struct npu_kern_pool *p, const bool average)
{
	uint32_t channel = 0;

	for (; channel + 4 * VLEN <= p->channels; channel += 4 * VLEN)
		pool_block(p, channel, vm_first(VLEN), 4, average);
	for (; channel < p->channels; channel += VLEN)
		pool_block(p, channel, vm_first(p->channels - channel), 1, average);
}

static void kern_pool_max(const struct npu_kern_pool *p)
{
	pool_channels(p, false);
}

static void kern_pool_avg(const struct npu_kern_pool *p)
{
	pool_channels(p, true);
}

/*
 * nv vectors of channels, the last one masked; nv is constant. best orders
 * values as ARGMAX does; -0 and +0 are equal to it, but not to the result.
 */
static inline __attribute__((always_inline))
void pool_index_block(const struct npu_kern_pool *p, uint32_t channel, vm last,
		      const unsigned int nv)
{
	const vm all = vm_first(VLEN);
	vf acc[2], best[2];
	vi at[2];

#pragma GCC unroll 2
	for (unsigned int v = 0; v < nv; v++) {
		acc[v] = best[v] = vf_set1(-INFINITY);
		at[v] = vi_set1(p->rows ? p->position : UINT32_MAX);
	}
	for (uint32_t y = 0; y < p->rows; y++) {
		const float *tap = p->src + y * p->row_step + channel;
		uint32_t position = p->position + y * p->position_row;

		if (y % POOL_ROWS == 0 && atomic_load_explicit(p->cancel, memory_order_relaxed))
			return;
		for (uint32_t x = 0; x < p->cols; x++) {
#pragma GCC unroll 2
			for (unsigned int v = 0; v < nv; v++) {
				vf in = v + 1 < nv ? vf_load(tap + v * VLEN) :
						     vf_load_m(last, tap + v * VLEN);
				vm take = vm_andnot(vm_andnot(all, vf_le(in, best[v])),
						    vf_unord(best[v], best[v]));

				acc[v] = vf_maxnum(acc[v], in);
				best[v] = vf_sel(take, in, best[v]);
				at[v] = vi_sel(take, vi_set1(position), at[v]);
			}
			tap += p->col_step;
			position += p->position_col;
		}
	}
#pragma GCC unroll 2
	for (unsigned int v = 0; v < nv; v++) {
		const vm mask = v + 1 < nv ? all : last;
		vf out = vf_sel(vf_unord(best[v], best[v]), vf_set1(NAN), acc[v]);

		vf_store_m(p->out + channel + v * VLEN, mask, out);
		vi_store_m(p->index + channel + v * VLEN, mask, at[v]);
	}
}

static void kern_pool_max_index(const struct npu_kern_pool *p)
{
	uint32_t channel = 0;

	for (; channel + VLEN < p->channels; channel += 2 * VLEN)
		pool_index_block(p, channel, vm_first(p->channels - channel - VLEN), 2);
	if (channel < p->channels)
		pool_index_block(p, channel, vm_first(p->channels - channel), 1);
}

/* A vector of channels: those of @mask whose position no tap has. */
static inline __attribute__((always_inline))
vm unpool_block(const struct npu_kern_unpool *u, uint32_t channel, vm mask)
{
	const vm outside = vm_andnot(vm_first(VLEN), mask);
	const vf in = vf_load_m(mask, u->in + channel);
	const vi index = vi_load_m(mask, u->index + channel);
	vm left = mask;

	for (uint32_t y = 0; y < u->rows; y++) {
		float *tap = u->out + y * u->row_step + channel;
		uint32_t position = u->position + y * u->position_row;

		for (uint32_t x = 0; x < u->cols; x++) {
			const vm hit = vm_andnot(vi_eq(index, vi_set1(position)), outside);

			vf_store_m(tap, hit, vf_canon(vf_add(vf_load_m(mask, tap), in)));
			left = vm_andnot(left, hit);
			tap += u->col_step;
			position += u->position_col;
		}
	}
	return left;
}

static bool kern_unpool(const struct npu_kern_unpool *u)
{
	vm left = vm_none();

	for (uint32_t channel = 0; channel < u->channels; channel += VLEN)
		left = vm_or(left, unpool_block(u, channel, vm_first(u->channels - channel)));
	return vm_bits(left) == 0;
}

#endif
