/* SPDX-License-Identifier: MIT */
/* Vectors of 16 elements: AVX-512 F, BW, DQ and VL. See vec_scalar.h. */
#ifndef NPU_CORE_VEC_AVX512_H
#define NPU_CORE_VEC_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLEN		16
#define VEC_NAME	"avx512"
#define GEMM_ROWS	14

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

static inline vf vf_set1(float x) { return _mm512_set1_ps(x); }
static inline vi vi_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }

static inline vi vi_lanes(void)
{
	return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline vi vi_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline void vi_store(uint32_t *p, vi x) { _mm512_storeu_si512(p, x); }
static inline vm vm_first(size_t n) { return (vm)(n < 16 ? (1u << n) - 1 : 0xffff); }
static inline vf vf_load_m(vm m, const float *p) { return _mm512_maskz_loadu_ps(m, p); }
static inline vi vi_load_m(vm m, const uint32_t *p) { return _mm512_maskz_loadu_epi32(m, p); }
static inline void vf_store_m(float *p, vm m, vf x) { _mm512_mask_storeu_ps(p, m, x); }
static inline void vi_store_m(uint32_t *p, vm m, vi x) { _mm512_mask_storeu_epi32(p, m, x); }

static inline vi vi_gather(const uint32_t *p, ptrdiff_t stride)
{
	__m512i step = _mm512_set1_epi64(stride);
	__m512i lo = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
	__m512i hi = _mm512_setr_epi64(8, 9, 10, 11, 12, 13, 14, 15);
	__m256i a = _mm512_i64gather_epi32(_mm512_mullo_epi64(lo, step), p, 4);
	__m256i b = _mm512_i64gather_epi32(_mm512_mullo_epi64(hi, step), p, 4);

	return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
}

static inline vi vi_bits(vf x) { return _mm512_castps_si512(x); }
static inline vf vf_bits(vi x) { return _mm512_castsi512_ps(x); }

static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf vf_floor(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF); }
static inline vf vf_ceil(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF); }
static inline vf vf_rint(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT); }
static inline vf vf_trunc(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_ZERO); }
static inline vf vf_minq(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vf_maxq(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_minnum(vf a, vf b) { return _mm512_range_ps(a, b, 4); }
static inline vf vf_maxnum(vf a, vf b) { return _mm512_range_ps(a, b, 5); }
static inline vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
static inline vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vm vf_unord(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
static inline vf vf_sel(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline vi vi_sel(vm m, vi a, vi b) { return _mm512_mask_blend_epi32(m, b, a); }
static inline vm vm_none(void) { return 0; }
static inline vm vm_or(vm a, vm b) { return _kor_mask16(a, b); }
static inline vm vm_andnot(vm a, vm b) { return _kandn_mask16(b, a); }
static inline unsigned int vm_bits(vm m) { return m; }
static inline vi vm_ones(vm m) { return _mm512_movm_epi32(m); }

static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
/* Products of even elements and of odd ones; each upper half is where it belongs or one below. */
static inline vi vi_mulhi(vi a, vi b)
{
	__m512i even = _mm512_mul_epi32(a, b);
	__m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));

	return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
}

static inline vi vi_mulwide(vi a, vi b, vi *hi)
{
	__m512i even = _mm512_mul_epu32(a, b);
	__m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));

	*hi = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
	return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
static inline vi vi_shl(vi a, vi b) { return _mm512_sllv_epi32(a, b); }
static inline vi vi_shr(vi a, vi b) { return _mm512_srlv_epi32(a, b); }
static inline vi vi_sar(vi a, vi b) { return _mm512_srav_epi32(a, b); }
static inline vm vi_lt(vi a, vi b) { return _mm512_cmplt_epi32_mask(a, b); }
static inline vm vi_eq(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
static inline vi vi_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
static inline vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }

/* Exact: a quotient of 32-bit integers is never within half an ulp below an integer. */
static inline __m256i vec_div8(__m256i a, __m256i b)
{
	return _mm512_cvttpd_epi32(_mm512_div_pd(_mm512_cvtepi32_pd(a), _mm512_cvtepi32_pd(b)));
}

static inline vi vi_div(vi a, vi b)
{
	__m256i lo = vec_div8(_mm512_castsi512_si256(a), _mm512_castsi512_si256(b));
	__m256i hi = vec_div8(_mm512_extracti64x4_epi64(a, 1), _mm512_extracti64x4_epi64(b, 1));
	__m512i q = _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);

	return vi_sel(vi_eq(b, _mm512_setzero_si512()), vi_set1(UINT32_MAX), q);
}

/* r[j] lane i = r[i] lane j */
static inline void vec_transpose(vf r[16])
{
	vf t[16];

	for (int i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
	}
	/* r[4g + k], 128-bit part q: column 4q + k of rows 4g .. 4g + 3. */
	for (int i = 0; i < 16; i += 4) {
		__m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]);
		__m512d c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);

		r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
		r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
		r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
		r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
	}
	for (int k = 0; k < 4; k++) {
		t[k] = _mm512_shuffle_f32x4(r[k], r[4 + k], 0x88);
		t[4 + k] = _mm512_shuffle_f32x4(r[k], r[4 + k], 0xdd);
		t[8 + k] = _mm512_shuffle_f32x4(r[8 + k], r[12 + k], 0x88);
		t[12 + k] = _mm512_shuffle_f32x4(r[8 + k], r[12 + k], 0xdd);
	}
	for (int k = 0; k < 4; k++) {
		r[k] = _mm512_shuffle_f32x4(t[k], t[8 + k], 0x88);
		r[8 + k] = _mm512_shuffle_f32x4(t[k], t[8 + k], 0xdd);
		r[4 + k] = _mm512_shuffle_f32x4(t[4 + k], t[12 + k], 0x88);
		r[12 + k] = _mm512_shuffle_f32x4(t[4 + k], t[12 + k], 0xdd);
	}
}

static inline vf vf_of_i(vi a) { return _mm512_cvtepi32_ps(a); }
static inline vi vi_of_f(vf a) { return _mm512_cvtps_epi32(a); }

static inline vi vi_of_f_sat(vf a)
{
	vm high = _mm512_cmp_ps_mask(a, vf_set1(0x1p31f), _CMP_GE_OQ);
	vm number = _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q);

	return vi_sel(high, vi_set1(0x7fffffff), _mm512_maskz_cvtps_epi32(number, a));
}

#endif
