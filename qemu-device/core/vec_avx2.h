/* SPDX-License-Identifier: MIT */
/* Vectors of 8 elements: AVX2 and FMA. See vec_scalar.h. */
#ifndef NPU_CORE_VEC_AVX2_H
#define NPU_CORE_VEC_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLEN		8
#define VEC_NAME	"avx2"
#define GEMM_ROWS	6

typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vm;

static inline vf vf_set1(float x) { return _mm256_set1_ps(x); }
static inline vi vi_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
static inline vi vi_lanes(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline vi vi_load(const uint32_t *p) { return _mm256_loadu_si256((const void *)p); }
static inline void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline void vi_store(uint32_t *p, vi x) { _mm256_storeu_si256((void *)p, x); }

static inline vm vm_first(size_t n)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < 8 ? (int)n : 8), vi_lanes());
}

static inline vf vf_load_m(vm m, const float *p) { return _mm256_maskload_ps(p, m); }

static inline vi vi_load_m(vm m, const uint32_t *p)
{
	return _mm256_maskload_epi32((const void *)p, m);
}

static inline void vf_store_m(float *p, vm m, vf x) { _mm256_maskstore_ps(p, m, x); }

static inline void vi_store_m(uint32_t *p, vm m, vi x)
{
	_mm256_maskstore_epi32((void *)p, m, x);
}

static inline vi vi_gather(const uint32_t *p, ptrdiff_t stride)
{
	__m256i lo = _mm256_setr_epi64x(0, stride, 2 * stride, 3 * stride);
	__m256i hi = _mm256_add_epi64(lo, _mm256_set1_epi64x(4 * stride));
	__m128i a = _mm256_i64gather_epi32((const void *)p, lo, 4);
	__m128i b = _mm256_i64gather_epi32((const void *)p, hi, 4);

	return _mm256_setr_m128i(a, b);
}

static inline vi vi_bits(vf x) { return _mm256_castps_si256(x); }
static inline vf vf_bits(vi x) { return _mm256_castsi256_ps(x); }

static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
static inline vf vf_floor(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF); }
static inline vf vf_ceil(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_POS_INF); }
static inline vf vf_rint(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT); }
static inline vf vf_trunc(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_ZERO); }
static inline vf vf_minq(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vf_maxq(vf a, vf b) { return _mm256_max_ps(a, b); }

/* The hardware's minimum gives its second operand when both are zeros. */
static inline vf vf_minnum(vf a, vf b)
{
	return _mm256_or_ps(_mm256_min_ps(a, b), _mm256_min_ps(b, a));
}

static inline vf vf_maxnum(vf a, vf b)
{
	return _mm256_and_ps(_mm256_max_ps(a, b), _mm256_max_ps(b, a));
}

static inline vm vec_cmp(vf lanes) { return _mm256_castps_si256(lanes); }
static inline vm vf_lt(vf a, vf b) { return vec_cmp(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
static inline vm vf_le(vf a, vf b) { return vec_cmp(_mm256_cmp_ps(a, b, _CMP_LE_OQ)); }
static inline vm vf_eq(vf a, vf b) { return vec_cmp(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
static inline vm vf_unord(vf a, vf b) { return vec_cmp(_mm256_cmp_ps(a, b, _CMP_UNORD_Q)); }

static inline vf vf_sel(vm m, vf a, vf b)
{
	return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m));
}

static inline vi vi_sel(vm m, vi a, vi b) { return _mm256_blendv_epi8(b, a, m); }
static inline vm vm_none(void) { return _mm256_setzero_si256(); }
static inline vm vm_or(vm a, vm b) { return _mm256_or_si256(a, b); }
static inline vm vm_andnot(vm a, vm b) { return _mm256_andnot_si256(b, a); }

static inline unsigned int vm_bits(vm m)
{
	return (unsigned int)_mm256_movemask_ps(_mm256_castsi256_ps(m));
}

static inline vi vm_ones(vm m) { return m; }

static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi vi_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
/* Products of even elements and of odd ones; each upper half is where it belongs or one below. */
static inline vi vi_mulhi(vi a, vi b)
{
	__m256i even = _mm256_mul_epi32(a, b);
	__m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));

	return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

static inline vi vi_mulwide(vi a, vi b, vi *hi)
{
	__m256i even = _mm256_mul_epu32(a, b);
	__m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));

	*hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
	return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
static inline vi vi_shl(vi a, vi b) { return _mm256_sllv_epi32(a, b); }
static inline vi vi_shr(vi a, vi b) { return _mm256_srlv_epi32(a, b); }
static inline vi vi_sar(vi a, vi b) { return _mm256_srav_epi32(a, b); }
static inline vm vi_lt(vi a, vi b) { return _mm256_cmpgt_epi32(b, a); }
static inline vm vi_eq(vi a, vi b) { return _mm256_cmpeq_epi32(a, b); }
static inline vi vi_min(vi a, vi b) { return _mm256_min_epi32(a, b); }
static inline vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); }

/* Exact: a quotient of 32-bit integers is never within half an ulp below an integer. */
static inline __m128i vec_div4(__m128i a, __m128i b)
{
	return _mm256_cvttpd_epi32(_mm256_div_pd(_mm256_cvtepi32_pd(a), _mm256_cvtepi32_pd(b)));
}

static inline vi vi_div(vi a, vi b)
{
	__m128i lo = vec_div4(_mm256_castsi256_si128(a), _mm256_castsi256_si128(b));
	__m128i hi = vec_div4(_mm256_extracti128_si256(a, 1), _mm256_extracti128_si256(b, 1));

	return vi_sel(vi_eq(b, _mm256_setzero_si256()), vi_set1(UINT32_MAX),
		      _mm256_setr_m128i(lo, hi));
}

/* r[j] lane i = r[i] lane j */
static inline void vec_transpose(vf r[8])
{
	vf t[8];

	for (int i = 0; i < 8; i += 2) {
		t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
	}
	/* r[4g + k], half q: column 4q + k of rows 4g .. 4g + 3. */
	for (int i = 0; i < 8; i += 4) {
		r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
		r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
		r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
		r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
	}
	for (int k = 0; k < 4; k++) {
		t[k] = _mm256_permute2f128_ps(r[k], r[4 + k], 0x20);
		t[4 + k] = _mm256_permute2f128_ps(r[k], r[4 + k], 0x31);
	}
	for (int k = 0; k < 8; k++)
		r[k] = t[k];
}

static inline vf vf_of_i(vi a) { return _mm256_cvtepi32_ps(a); }
static inline vi vi_of_f(vf a) { return _mm256_cvtps_epi32(a); }

static inline vi vi_of_f_sat(vf a)
{
	vi n = vi_sel(vf_le(vf_set1(0x1p31f), a), vi_set1(0x7fffffff), _mm256_cvtps_epi32(a));

	return vi_sel(vf_unord(a, a), _mm256_setzero_si256(), n);
}

#endif
