/* SPDX-License-Identifier: MIT */
/*
 * REDUCE. Included once per variant after its vec_*.h and kern_map.h.
 */
#ifndef NPU_CORE_KERN_REDUCE_H
#define NPU_CORE_KERN_REDUCE_H

#include "kern.h"

#define LANE_VECS	(NPU_REDUCE_LANES / VLEN)
/* Rows side by side hide the latency of one row's chain. */
#define LANE_ROWS	(VLEN >= 8 ? VLEN / 4 : 1)

typedef vi lane_op(vi lane, vi x);
/* Whether the result @r of the operation is not what it should be; NULL: who cares. */
typedef vm lane_test(vi lane, vi x, vi r);

static inline vi lane_sum_f32(vi l, vi x) { return vi_bits(vf_add(vf_bits(l), vf_bits(x))); }
static inline vi lane_prod_f32(vi l, vi x) { return vi_bits(vf_mul(vf_bits(l), vf_bits(x))); }
static inline vi lane_max_f32(vi l, vi x) { return vi_bits(vf_maxnum(vf_bits(l), vf_bits(x))); }
static inline vi lane_min_f32(vi l, vi x) { return vi_bits(vf_minnum(vf_bits(l), vf_bits(x))); }

static inline vi lane_sumsq_f32(vi l, vi x)
{
	return vi_bits(vf_fma(vf_bits(x), vf_bits(x), vf_bits(l)));
}

static inline vi lane_sum_i32(vi l, vi x) { return vi_add(l, x); }
static inline vi lane_prod_i32(vi l, vi x) { return vi_mul(l, x); }
static inline vi lane_max_i32(vi l, vi x) { return vi_max(l, x); }
static inline vi lane_min_i32(vi l, vi x) { return vi_min(l, x); }
static inline vi lane_sumsq_i32(vi l, vi x) { return vi_add(l, vi_mul(x, x)); }

static inline vm test_sumsq(vi l, vi x, vi r)
{
	const vi square = vi_mul(x, x);

	return vm_or(test_mul(x, x, square), test_add(l, square, r));
}

/* op(), and in @bad whether its result fails the test. */
static inline __attribute__((always_inline))
vi lane_take(vi lane, vi x, lane_op *op, lane_test *test, vm *bad)
{
	const vi r = op(lane, x);

	if (test)
		*bad = vm_or(*bad, test(lane, x, r));
	return r;
}

/*
 * rows, op and test are constants wherever this is inlined. op of MAX and MIN does
 * not carry NaN along (care_nan): which lanes saw one is kept beside.
 */
static inline __attribute__((always_inline))
void lanes_block(const struct npu_kern_lanes *l, uint32_t row, const uint32_t rows,
		 lane_op *op, lane_test *test, const bool care_nan)
{
	uint32_t *state = l->lanes + (size_t)row * NPU_REDUCE_LANES;
	const uint32_t *src = l->src + row * l->row_step;
	vi acc[LANE_ROWS][LANE_VECS];
	vm nan[LANE_ROWS][LANE_VECS], bad = vm_none();
	size_t i;

#pragma GCC unroll 4
	for (uint32_t r = 0; r < rows; r++) {
#pragma GCC unroll 16
		for (unsigned int v = 0; v < LANE_VECS; v++) {
			acc[r][v] = vi_load(state + r * NPU_REDUCE_LANES + v * VLEN);
			nan[r][v] = care_nan ? vf_unord(vf_bits(acc[r][v]), vf_bits(acc[r][v])) :
					       vm_none();
		}
	}
	for (i = 0; i + NPU_REDUCE_LANES <= l->count; i += NPU_REDUCE_LANES) {
#pragma GCC unroll 4
		for (uint32_t r = 0; r < rows; r++) {
			const uint32_t *from = src + r * l->row_step + i;

#pragma GCC unroll 16
			for (unsigned int v = 0; v < LANE_VECS; v++) {
				vi x = vi_load(from + v * VLEN);

				acc[r][v] = lane_take(acc[r][v], x, op, test, &bad);
				if (care_nan)
					nan[r][v] = vm_or(nan[r][v],
							  vf_unord(vf_bits(x), vf_bits(x)));
			}
		}
	}
	if (i < l->count) {
#pragma GCC unroll 16
		for (unsigned int v = 0; v < LANE_VECS; v++) {
			const size_t from = i + v * VLEN;
			const vm tail = vm_first(from < l->count ? l->count - from : 0);

#pragma GCC unroll 4
			for (uint32_t r = 0; r < rows; r++) {
				vi x = vi_load_m(tail, src + r * l->row_step + from);

				acc[r][v] = vi_sel(tail, lane_take(acc[r][v], x, op, test, &bad),
						   acc[r][v]);
				if (care_nan)	/* the other lanes of x are 0 */
					nan[r][v] = vm_or(nan[r][v],
							  vf_unord(vf_bits(x), vf_bits(x)));
			}
		}
	}
#pragma GCC unroll 4
	for (uint32_t r = 0; r < rows; r++) {
#pragma GCC unroll 16
		for (unsigned int v = 0; v < LANE_VECS; v++) {
			if (care_nan)
				acc[r][v] = vi_sel(nan[r][v], vi_set1(0x7fc00000), acc[r][v]);
			vi_store(state + r * NPU_REDUCE_LANES + v * VLEN, acc[r][v]);
		}
	}
	if (test && vm_bits(bad))
		atomic_store_explicit(l->trapped, 1, memory_order_relaxed);
}

static inline __attribute__((always_inline))
void lanes_rows(const struct npu_kern_lanes *l, lane_op *op, lane_test *test,
		const bool care_nan)
{
	uint32_t row = 0;

	for (; row + LANE_ROWS <= l->rows; row += LANE_ROWS)
		lanes_block(l, row, LANE_ROWS, op, test, care_nan);
	for (; row < l->rows; row++)
		lanes_block(l, row, 1, op, test, care_nan);
}

static inline vi lane_maximum_f32(vi l, vi x)
{
	return vi_bits(vf_maximum(vf_bits(l), vf_bits(x)));
}

static inline vi lane_minimum_f32(vi l, vi x)
{
	return vi_bits(vf_minimum(vf_bits(l), vf_bits(x)));
}

/* A vector of columns; op and test are constants wherever this is inlined. */
static inline __attribute__((always_inline))
void columns_block(const struct npu_kern_columns *c, uint32_t column, vm mask, lane_op *op,
		   lane_test *test)
{
	uint32_t *lanes = c->lanes + column;
	const uint32_t *src = c->src + column;
	size_t left = c->rows;
	vi acc[NPU_REDUCE_LANES];
	vm bad = vm_none();

	for (uint32_t i = c->first; i % NPU_REDUCE_LANES && left; i++, left--) {
		uint32_t *lane = lanes + i * c->lane_step;

		vi_store_m(lane, mask, lane_take(vi_load_m(mask, lane), vi_load_m(mask, src), op,
						 test, &bad));
		src += c->row_step;
	}
	if (test && vm_bits(bad))
		atomic_store_explicit(c->trapped, 1, memory_order_relaxed);
	if (!left)
		return;
#pragma GCC unroll 16
	for (unsigned int i = 0; i < NPU_REDUCE_LANES; i++)
		acc[i] = vi_load_m(mask, lanes + i * c->lane_step);
	for (; left >= NPU_REDUCE_LANES; left -= NPU_REDUCE_LANES) {
#pragma GCC unroll 16
		for (unsigned int i = 0; i < NPU_REDUCE_LANES; i++) {
			acc[i] = lane_take(acc[i], vi_load_m(mask, src), op, test, &bad);
			src += c->row_step;
		}
	}
#pragma GCC unroll 16
	for (unsigned int i = 0; i < NPU_REDUCE_LANES; i++) {
		if (i < left) {
			acc[i] = lane_take(acc[i], vi_load_m(mask, src), op, test, &bad);
			src += c->row_step;
		}
		vi_store_m(lanes + i * c->lane_step, mask, acc[i]);
	}
	if (test && vm_bits(bad))
		atomic_store_explicit(c->trapped, 1, memory_order_relaxed);
}

static inline __attribute__((always_inline))
void columns_all(const struct npu_kern_columns *c, lane_op *op, lane_test *test)
{
	for (uint32_t column = 0; column < c->columns; column += VLEN)
		columns_block(c, column, vm_first(c->columns - column), op, test);
}

#define LANES(name, lane, column, test, care_nan) \
static void lanes_##name(const struct npu_kern_lanes *l) \
{ \
	lanes_rows(l, lane, test, care_nan); \
} \
static void columns_##name(const struct npu_kern_columns *c) \
{ \
	columns_all(c, column, test); \
}
LANES(sum_f32, lane_sum_f32, lane_sum_f32, NULL, false)
LANES(prod_f32, lane_prod_f32, lane_prod_f32, NULL, false)
LANES(max_f32, lane_max_f32, lane_maximum_f32, NULL, true)
LANES(min_f32, lane_min_f32, lane_minimum_f32, NULL, true)
LANES(sumsq_f32, lane_sumsq_f32, lane_sumsq_f32, NULL, false)
LANES(sum_i32, lane_sum_i32, lane_sum_i32, NULL, false)
LANES(prod_i32, lane_prod_i32, lane_prod_i32, NULL, false)
LANES(max_i32, lane_max_i32, lane_max_i32, NULL, false)
LANES(min_i32, lane_min_i32, lane_min_i32, NULL, false)
LANES(sumsq_i32, lane_sumsq_i32, lane_sumsq_i32, NULL, false)
LANES(sum_trap, lane_sum_i32, lane_sum_i32, test_add, false)
LANES(prod_trap, lane_prod_i32, lane_prod_i32, test_mul, false)
LANES(sumsq_trap, lane_sumsq_i32, lane_sumsq_i32, test_sumsq, false)
#undef LANES

#endif
