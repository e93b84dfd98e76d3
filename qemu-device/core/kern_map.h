/* SPDX-License-Identifier: MIT */
/*
 * Micro-ops of MAP over strips. Included once per variant after its vec_*.h
 * and kern_math.h.
 */
#ifndef NPU_CORE_KERN_MAP_H
#define NPU_CORE_KERN_MAP_H

#include "kern.h"

typedef vi vec_op(vi a, vi b, vi c);

/* sources and op are constants wherever this is inlined. */
static inline __attribute__((always_inline))
void uop_strip(const struct npu_kern_uop *u, const unsigned int sources, vec_op *op)
{
	const ptrdiff_t step_a = u->splat & 1 ? 0 : VLEN;
	const ptrdiff_t step_b = u->splat & 2 ? 0 : VLEN;
	const ptrdiff_t step_c = u->splat & 4 ? 0 : VLEN;
	const uint32_t *a = u->src[0];
	const uint32_t *b = sources > 1 ? u->src[1] : a;
	const uint32_t *c = sources > 2 ? u->src[2] : a;
	uint32_t *dst = u->dst;
	size_t left = u->count;

#pragma GCC unroll 4
	for (; left >= VLEN; left -= VLEN) {
		vi x = vi_load(a);
		vi y = sources > 1 ? vi_load(b) : x;
		vi z = sources > 2 ? vi_load(c) : x;

		vi_store(dst, op(x, y, z));
		a += step_a;
		b += step_b;
		c += step_c;
		dst += VLEN;
	}
	if (left) {
		const vm tail = vm_first(left);
		vi x = vi_load_m(tail, a);
		vi y = sources > 1 ? vi_load_m(tail, b) : x;
		vi z = sources > 2 ? vi_load_m(tail, c) : x;

		vi_store_m(dst, tail, op(x, y, z));
	}
}

typedef vm vec_test(vi a, vi b, vi r);

/*
 * A strip that says whether test() holds for any element, r being the result.
 * The sources beyond the strip's end are 0, for which no test holds.
 */
static inline __attribute__((always_inline))
void uop_strip_trap(const struct npu_kern_uop *u, const unsigned int sources, vec_op *op,
		    vec_test *test)
{
	const ptrdiff_t step_a = u->splat & 1 ? 0 : VLEN;
	const ptrdiff_t step_b = u->splat & 2 ? 0 : VLEN;
	const uint32_t *a = u->src[0];
	const uint32_t *b = sources > 1 ? u->src[1] : a;
	uint32_t *dst = u->dst;
	vm bad = vm_none();

	for (size_t left = u->count; left;) {
		const size_t count = left < VLEN ? left : VLEN;
		const vm part = vm_first(count);
		vi x = vi_load_m(part, a);
		vi y = sources > 1 ? vi_load_m(part, b) : x;
		vi r = op(x, y, x);

		bad = vm_or(bad, test(x, y, r));
		vi_store_m(dst, part, r);
		a += step_a;
		b += step_b;
		dst += VLEN;
		left -= count;
	}
	if (vm_bits(bad))
		atomic_store_explicit(u->trapped, 1, memory_order_relaxed);
}

static inline vm vi_negative(vi x)
{
	return vi_lt(x, vi_set1(0));
}

static inline vm test_add(vi a, vi b, vi r)
{
	return vi_negative(vi_and(vi_xor(a, r), vi_xor(b, r)));
}

static inline vm test_sub(vi a, vi b, vi r)
{
	return vi_negative(vi_and(vi_xor(a, b), vi_xor(a, r)));
}

/* The upper half is no copy of the lower one's sign. */
static inline vm test_mul(vi a, vi b, vi r)
{
	return vm_andnot(vm_first(VLEN), vi_eq(vi_mulhi(a, b), vi_sar(r, vi_set1(31))));
}

static inline vm test_div(vi a, vi b, vi r)
{
	(void)r;
	return vi_eq(vi_or(vi_xor(a, vi_set1(0x80000000)), vi_xor(b, vi_set1(UINT32_MAX))),
		     vi_set1(0));
}

static inline vm test_f2i(vi a, vi b, vi r)
{
	const vf f = vf_bits(a);

	(void)b;
	(void)r;
	return vm_or(vf_unord(f, f), vm_or(vf_lt(f, vf_set1(-0x1p31f)),
					   vf_le(vf_set1(0x1p31f), f)));
}

/* IEEE 754-2019 minimum and maximum. */
static inline vf vf_minimum(vf a, vf b)
{
	return vf_sel(vf_unord(a, b), vf_set1(NAN), vf_minnum(a, b));
}

static inline vf vf_maximum(vf a, vf b)
{
	return vf_sel(vf_unord(a, b), vf_set1(NAN), vf_maxnum(a, b));
}

static inline vi vi_low5(vi x)
{
	return vi_and(x, vi_set1(31));
}

/* HW 10.1 */
static inline vi vi_philox(vi a, vi b, vi key)
{
#pragma GCC unroll 10
	for (int round = 0; round < 10; round++) {
		vi hi, lo = vi_mulwide(a, vi_set1(0xd256d193), &hi);

		a = vi_xor(vi_xor(hi, key), b);
		b = lo;
		key = vi_add(key, vi_set1(0x9e3779b9));
	}
	return a;
}

/*
 * UOP(NAME, sources, expression in vi a, b, c and vf fa, fb, fc). A NaN that
 * HOST_UOPS give is of whatever kind the host makes.
 */
#define HOST_UOPS \
	UOP(FADD, 2, vi_bits(vf_add(fa, fb))) \
	UOP(FSUB, 2, vi_bits(vf_sub(fa, fb))) \
	UOP(FMUL, 2, vi_bits(vf_mul(fa, fb))) \
	UOP(FMA, 3, vi_bits(vf_fma(fa, fb, fc))) \
	UOP(FDIV, 2, vi_bits(vf_div(fa, fb))) \
	UOP(FSQRT, 1, vi_bits(vf_sqrt(fa))) \
	UOP(FFLOOR, 1, vi_bits(vf_floor(fa))) \
	UOP(FCEIL, 1, vi_bits(vf_ceil(fa))) \
	UOP(FRINT, 1, vi_bits(vf_rint(fa))) \
	UOP(FTRUNC, 1, vi_bits(vf_trunc(fa)))

#define UOPS \
	HOST_UOPS \
	UOP(RNG, 3, vi_philox(a, b, c)) \
	UOP(SEL, 3, vi_sel(vi_eq(a, vi_set1(0)), c, b)) \
	UOP(FMIN, 2, vi_bits(vf_minimum(fa, fb))) \
	UOP(FMAX, 2, vi_bits(vf_maximum(fa, fb))) \
	UOP(FABS, 1, vi_and(a, vi_set1(0x7fffffff))) \
	UOP(FNEG, 1, vi_xor(a, vi_set1(0x80000000))) \
	UOP(FLT, 2, vm_ones(vf_lt(fa, fb))) \
	UOP(FLE, 2, vm_ones(vf_le(fa, fb))) \
	UOP(FEQ, 2, vm_ones(vf_eq(fa, fb))) \
	UOP(EXP, 1, vi_bits(vf_exp(fa))) \
	UOP(LOG, 1, vi_bits(vf_log(fa))) \
	UOP(TANH, 1, vi_bits(vf_tanh(fa))) \
	UOP(SIGMOID, 1, vi_bits(vf_sigmoid(fa))) \
	UOP(ERF, 1, vi_bits(vf_erf(fa))) \
	UOP(SIN, 1, vi_bits(vf_sin(fa))) \
	UOP(COS, 1, vi_bits(vf_cos(fa))) \
	UOP(IADD, 2, vi_add(a, b)) \
	UOP(ISUB, 2, vi_sub(a, b)) \
	UOP(IMUL, 2, vi_mul(a, b)) \
	UOP(IDIV, 2, vi_div(a, b)) \
	UOP(IREM, 2, vi_sub(a, vi_mul(b, vi_div(a, b)))) \
	UOP(IMIN, 2, vi_min(a, b)) \
	UOP(IMAX, 2, vi_max(a, b)) \
	UOP(IAND, 2, vi_and(a, b)) \
	UOP(IOR, 2, vi_or(a, b)) \
	UOP(IXOR, 2, vi_xor(a, b)) \
	UOP(ISHL, 2, vi_shl(a, vi_low5(b))) \
	UOP(ISHR, 2, vi_shr(a, vi_low5(b))) \
	UOP(ISAR, 2, vi_sar(a, vi_low5(b))) \
	UOP(ILT, 2, vm_ones(vi_lt(a, b))) \
	UOP(IEQ, 2, vm_ones(vi_eq(a, b))) \
	UOP(I2F, 1, vi_bits(vf_of_i(a))) \
	UOP(F2I, 1, vi_of_f_sat(fa))

#define UOP(name, sources, expr) \
static inline vi vec_##name(vi a, vi b, vi c) \
{ \
	const vf fa = vf_bits(a), fb = vf_bits(b), fc = vf_bits(c); \
\
	(void)fa; \
	(void)fb; \
	(void)fc; \
	return expr; \
} \
static void uop_##name(const struct npu_kern_uop *u) \
{ \
	uop_strip(u, sources, vec_##name); \
}
UOPS
#undef UOP

#define UOP(name, sources, expr) \
static inline vi vec_canon_##name(vi a, vi b, vi c) \
{ \
	return vi_bits(vf_canon(vf_bits(vec_##name(a, b, c)))); \
} \
static void uop_canon_##name(const struct npu_kern_uop *u) \
{ \
	uop_strip(u, sources, vec_canon_##name); \
}
HOST_UOPS
#undef UOP

#define TRAP_UOPS \
	UOP(IADDT, 2, vec_IADD, test_add) \
	UOP(ISUBT, 2, vec_ISUB, test_sub) \
	UOP(IMULT, 2, vec_IMUL, test_mul) \
	UOP(IDIVT, 2, vec_IDIV, test_div) \
	UOP(F2IT, 1, vec_F2I, test_f2i)

#define UOP(name, sources, op, test) \
static void uop_##name(const struct npu_kern_uop *u) \
{ \
	uop_strip_trap(u, sources, op, test); \
}
TRAP_UOPS
#undef UOP

static void kern_gather(uint32_t *dst, const uint32_t *src, ptrdiff_t stride, size_t count)
{
	size_t i;

	for (i = 0; i + VLEN <= count; i += VLEN)
		vi_store(dst + i, vi_gather(src + (ptrdiff_t)i * stride, stride));
	for (; i < count; i++)
		dst[i] = src[(ptrdiff_t)i * stride];
}

static void kern_scatter(uint32_t *dst, ptrdiff_t stride, const uint32_t *src, size_t count)
{
	size_t i = 0;

	if (stride == 1)
		for (; i + VLEN <= count; i += VLEN)
			vi_store(dst + i, vi_load(src + i));
	for (; i < count; i++)
		dst[(ptrdiff_t)i * stride] = src[i];
}

static void kern_spread(uint32_t *dst, const uint32_t *src, ptrdiff_t stride, uint32_t rows,
			uint32_t count)
{
	const vm tail = vm_first(count % VLEN);

	for (uint32_t i = 0; i < rows; i++) {
		const vi x = vi_set1(src[i * stride]);
		uint32_t j;

		for (j = 0; j + VLEN <= count; j += VLEN)
			vi_store(dst + j, x);
		if (j < count)
			vi_store_m(dst + j, tail, x);
		dst += count;
	}
}

static void kern_iota(uint32_t *dst, uint32_t first, size_t count)
{
	const vi lanes = vi_lanes();
	size_t i;

	for (i = 0; i + VLEN <= count; i += VLEN)
		vi_store(dst + i, vi_add(vi_set1(first + (uint32_t)i), lanes));
	if (i < count)
		vi_store_m(dst + i, vm_first(count - i),
			   vi_add(vi_set1(first + (uint32_t)i), lanes));
}

#endif
