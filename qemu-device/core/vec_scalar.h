/* SPDX-License-Identifier: MIT */
/*
 * Vectors of one element in portable C: the kernels' primitives for any host.
 * vec_avx2.h and vec_avx512.h define the same names with the same results.
 *
 * vf: floats, vi: 32-bit integers, vm: lane mask. vf_minq(a, b) is a < b ? a : b
 * and vf_maxq(a, b) is a > b ? a : b: cheap, and b when one is NaN.
 * vi_mulhi() is the upper half of the signed product; vi_mulwide() gives the
 * lower half of the unsigned one and sets *hi to its upper half.
 * vf_minnum(), vf_maxnum() order -0 below +0 but take no care of NaN.
 * vi_of_f() converts integral values that fit. vec_transpose() transposes VLEN
 * vectors.
 */
#ifndef NPU_CORE_VEC_SCALAR_H
#define NPU_CORE_VEC_SCALAR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VLEN		1
#define VEC_NAME	"scalar"
#define GEMM_ROWS	4

typedef float vf;
typedef uint32_t vi;
typedef bool vm;

static inline vf vf_set1(float x) { return x; }
static inline vi vi_set1(uint32_t x) { return x; }
static inline vi vi_lanes(void) { return 0; }
static inline vf vf_load(const float *p) { return *p; }
static inline vi vi_load(const uint32_t *p) { return *p; }
static inline void vf_store(float *p, vf x) { *p = x; }
static inline void vi_store(uint32_t *p, vi x) { *p = x; }
static inline vm vm_first(size_t n) { return n > 0; }
static inline vf vf_load_m(vm m, const float *p) { return m ? *p : 0.0f; }
static inline vi vi_load_m(vm m, const uint32_t *p) { return m ? *p : 0; }

static inline void vf_store_m(float *p, vm m, vf x)
{
	if (m)
		*p = x;
}

static inline void vi_store_m(uint32_t *p, vm m, vi x)
{
	if (m)
		*p = x;
}

static inline vi vi_gather(const uint32_t *p, ptrdiff_t stride)
{
	(void)stride;
	return *p;
}

static inline vi vi_bits(vf x)
{
	vi bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline vf vf_bits(vi x)
{
	vf f;

	memcpy(&f, &x, sizeof(f));
	return f;
}

static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_div(vf a, vf b) { return a / b; }
static inline vf vf_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
static inline vf vf_sqrt(vf a) { return sqrtf(a); }
static inline vf vf_floor(vf a) { return floorf(a); }
static inline vf vf_ceil(vf a) { return ceilf(a); }
static inline vf vf_rint(vf a) { return rintf(a); }
static inline vf vf_trunc(vf a) { return truncf(a); }
static inline vf vf_minq(vf a, vf b) { return a < b ? a : b; }
static inline vf vf_maxq(vf a, vf b) { return a > b ? a : b; }

static inline vf vf_minnum(vf a, vf b)
{
	if (a == b)
		return vf_bits(vi_bits(a) | vi_bits(b));
	return a < b ? a : b;
}

static inline vf vf_maxnum(vf a, vf b)
{
	if (a == b)
		return vf_bits(vi_bits(a) & vi_bits(b));
	return a > b ? a : b;
}

static inline vm vf_lt(vf a, vf b) { return a < b; }
static inline vm vf_le(vf a, vf b) { return a <= b; }
static inline vm vf_eq(vf a, vf b) { return a == b; }
static inline vm vf_unord(vf a, vf b) { return a != a || b != b; }
static inline vf vf_sel(vm m, vf a, vf b) { return m ? a : b; }
static inline vi vi_sel(vm m, vi a, vi b) { return m ? a : b; }
static inline vm vm_none(void) { return false; }
static inline vm vm_or(vm a, vm b) { return a || b; }
static inline vm vm_andnot(vm a, vm b) { return a && !b; }
static inline unsigned int vm_bits(vm m) { return m; }
static inline vi vm_ones(vm m) { return m ? UINT32_MAX : 0; }

static inline vi vi_add(vi a, vi b) { return a + b; }
static inline vi vi_sub(vi a, vi b) { return a - b; }
static inline vi vi_mul(vi a, vi b) { return a * b; }
static inline vi vi_mulhi(vi a, vi b) { return (vi)(((int64_t)(int32_t)a * (int32_t)b) >> 32); }

static inline vi vi_mulwide(vi a, vi b, vi *hi)
{
	const uint64_t p = (uint64_t)a * b;

	*hi = (vi)(p >> 32);
	return (vi)p;
}

static inline vi vi_and(vi a, vi b) { return a & b; }
static inline vi vi_or(vi a, vi b) { return a | b; }
static inline vi vi_xor(vi a, vi b) { return a ^ b; }
static inline vi vi_shl(vi a, vi b) { return a << b; }
static inline vi vi_shr(vi a, vi b) { return a >> b; }

static inline vi vi_sar(vi a, vi b)
{
	return a >> b | (a >> 31 ? ~(UINT32_MAX >> b) : 0);
}

static inline vm vi_lt(vi a, vi b) { return (a ^ 0x80000000u) < (b ^ 0x80000000u); }
static inline vm vi_eq(vi a, vi b) { return a == b; }
static inline vi vi_min(vi a, vi b) { return vi_lt(b, a) ? b : a; }
static inline vi vi_max(vi a, vi b) { return vi_lt(a, b) ? b : a; }

/* Signed quotient towards 0; x / 0 = -1 and INT_MIN / -1 = INT_MIN. */
static inline vi vi_div(vi a, vi b)
{
	uint32_t ua = a >> 31 ? -a : a, ub = b >> 31 ? -b : b;

	if (!b)
		return UINT32_MAX;
	return (a ^ b) >> 31 ? -(ua / ub) : ua / ub;
}

static inline void vec_transpose(vf r[1]) { (void)r; }
static inline vf vf_of_i(vi a) { return (float)(int32_t)a; }
static inline vi vi_of_f(vf a) { return (uint32_t)(int32_t)a; }

/* Round to nearest even, saturate, NaN to 0. */
static inline vi vi_of_f_sat(vf a)
{
	if (a != a)
		return 0;
	if (a >= 0x1p31f)
		return 0x7fffffff;
	if (a < -0x1p31f)
		return 0x80000000;
	return (uint32_t)(int32_t)rintf(a);
}

#endif
