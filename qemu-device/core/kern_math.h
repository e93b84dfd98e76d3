/* SPDX-License-Identifier: MIT */
/*
 * The functions of HW appendix A on vectors, operation by operation. Included
 * after a vec_*.h; every variant gives the same bits. Coefficients come from
 * minimax fits; test_math.c holds the error bounds.
 */
#ifndef NPU_CORE_KERN_MATH_H
#define NPU_CORE_KERN_MATH_H

#include "kern.h"

/* The NaN that software sees is always the same one (HW 9). */
static inline vf vf_canon(vf x)
{
	return vf_sel(vf_unord(x, x), vf_set1(NAN), x);
}

static inline vf vf_abs(vf x)
{
	return vf_bits(vi_and(vi_bits(x), vi_set1(0x7fffffff)));
}

/* |y| with the sign of x. */
static inline vf vf_sign_of(vf y, vf x)
{
	return vf_bits(vi_or(vi_bits(y), vi_and(vi_bits(x), vi_set1(0x80000000))));
}

/* Horner's scheme, highest coefficient first. */
static inline vf vf_poly(vf x, const float *coeff, unsigned int count)
{
	vf p = vf_set1(coeff[0]);

#pragma GCC unroll 16
	for (unsigned int i = 1; i < count; i++)
		p = vf_fma(p, x, vf_set1(coeff[i]));
	return p;
}

/* 2^n for -126 <= n <= 127 */
static inline vf vf_exp2i(vi n)
{
	return vf_bits(vi_shl(vi_add(n, vi_set1(127)), vi_set1(23)));
}

/* HW A.2, without its care for NaN. */
static inline vf vf_exp_core(vf x)
{
	static const float coeff[] = {
		0x1.694caap-10f, 0x1.123982p-7f, 0x1.555a26p-5f, 0x1.555492p-3f,
		0x1.fffffap-2f, 1.0f, 1.0f,
	};
	vf t = vf_maxq(vf_minq(x, vf_set1(89.0f)), vf_set1(-105.0f));
	vf k = vf_rint(vf_mul(t, vf_set1(0x1.715476p+0f)));
	vf r = vf_fma(k, vf_set1(-0x1.62e43p-1f), t);
	vi n = vi_of_f(k);
	vi half = vi_sar(n, vi_set1(1));
	vf p;

	r = vf_fma(k, vf_set1(0x1.05c61p-29f), r);
	p = vf_poly(r, coeff, 7);
	return vf_mul(vf_mul(p, vf_exp2i(half)), vf_exp2i(vi_sub(n, half)));
}

static inline vf vf_exp(vf x)
{
	return vf_sel(vf_unord(x, x), vf_set1(NAN), vf_exp_core(x));
}

static inline vf vf_log(vf x)
{
	static const float coeff[] = {
		-0x1.37cc3p-4f, 0x1.051b1p-3f, -0x1.0d9736p-3f, 0x1.22e66ap-3f,
		-0x1.54717ep-3f, 0x1.999f4ap-3f, -0x1.000228p-2f, 0x1.555556p-2f,
		-0.5f,
	};
	const vi sqrt_half = vi_set1(0x3f3504f3);
	const vf inf = vf_set1(INFINITY);
	vm tiny = vf_lt(x, vf_set1(0x1p-126f));
	vi d = vi_sub(vi_bits(vf_sel(tiny, vf_mul(x, vf_set1(0x1p23f)), x)), sqrt_half);
	vi m = vi_add(vi_and(d, vi_set1(0x007fffff)), sqrt_half);
	vi e = vi_sub(vi_sar(d, vi_set1(23)), vi_and(vm_ones(tiny), vi_set1(23)));
	vf k = vf_of_i(e);
	vf f = vf_sub(vf_bits(m), vf_set1(1.0f));
	vf y = vf_fma(vf_mul(f, f), vf_poly(f, coeff, 9), f);

	y = vf_fma(k, vf_set1(-0x1.05c61p-29f), y);
	y = vf_fma(k, vf_set1(0x1.62e43p-1f), y);
	return vf_sel(vf_lt(vf_set1(0.0f), x), vf_sel(vf_lt(x, inf), y, x),
		      vf_sel(vf_eq(x, vf_set1(0.0f)), vf_set1(-INFINITY), vf_set1(NAN)));
}

static inline vf vf_tanh(vf x)
{
	static const float coeff[] = {
		-0x1.6452a4p-8f, 0x1.4e27d4p-6f, -0x1.b79d74p-5f, 0x1.110258p-3f,
		-0x1.55551cp-2f,
	};
	vf t = vf_abs(x), s = vf_mul(t, t);
	vf e = vf_exp_core(vf_mul(t, vf_set1(-2.0f)));
	vf large = vf_fma(vf_set1(-2.0f), vf_div(e, vf_add(e, vf_set1(1.0f))), vf_set1(1.0f));
	vf small = vf_fma(vf_mul(vf_poly(s, coeff, 5), s), t, t);
	vf y = vf_sign_of(vf_sel(vf_lt(t, vf_set1(0.65625f)), small, large), x);

	return vf_sel(vf_unord(x, x), vf_set1(NAN), y);
}

static inline vf vf_sigmoid(vf x)
{
	const vf one = vf_set1(1.0f);
	vf e = vf_exp_core(vf_bits(vi_or(vi_bits(x), vi_set1(0x80000000))));
	vf d = vf_add(e, one), d_low = vf_sub(e, vf_sub(d, one));
	vf q = vf_div(e, d), minus_q = vf_sub(vf_set1(0.0f), q);
	vf rest = vf_fma(minus_q, d_low, vf_fma(minus_q, d, e));
	vf y;

	q = vf_fma(rest, vf_sub(one, q), q);
	y = vf_sel(vf_lt(x, vf_set1(0.0f)), q, vf_sub(one, q));
	return vf_sel(vf_unord(x, x), vf_set1(NAN), y);
}

static inline vf vf_erf(vf x)
{
	static const float near[] = {
		0x1.41be72p-14f, -0x1.a2861ep-11f, 0x1.53fadcp-8f, -0x1.b7fbb4p-6f,
		0x1.ce2d48p-4f, -0x1.81274p-2f, 0x1.06eba8p-3f,
	};
	static const float far[] = {	/* -log(erfc) */
		-0x1.ae39b6p-20f, 0x1.7c8044p-15f, -0x1.35ba0cp-11f, 0x1.36046ep-8f,
		-0x1.af7dep-6f, 0x1.c24222p-4f, 0x1.4394b8p-1f, 0x1.21505ap0f,
		-0x1.34cb9ap-12f,
	};
	vf t = vf_abs(x), u = vf_minq(t, vf_set1(4.0f));
	vf small = vf_fma(vf_poly(vf_mul(t, t), near, 7), t, t);
	vf e = vf_exp_core(vf_sub(vf_set1(0.0f), vf_poly(u, far, 9)));
	vf large = vf_sub(vf_set1(1.0f), e);
	vf y = vf_sign_of(vf_sel(vf_lt(t, vf_set1(0.921875f)), small, large), x);

	return vf_sel(vf_unord(x, x), vf_set1(NAN), y);
}

/*
 * |x| = n * pi/2 + r. Below 2^18 n * pi/2 is subtracted in three parts;
 * npu_kern_trig_reduce() does the rest lane by lane.
 */
static inline vf vf_trig_reduce(vf x, vi *quadrant)
{
	vf t = vf_abs(x);
	vm in_range = vf_lt(t, vf_set1(0x1p18f));
	vf u = vf_sel(in_range, t, vf_set1(0.0f));
	vf k = vf_rint(vf_mul(u, vf_set1(0x1.45f306p-1f)));
	vf r = vf_fma(k, vf_set1(-0x1.921fb6p+0f), u);
	unsigned int far;

	r = vf_fma(k, vf_set1(0x1.777a5cp-25f), r);
	r = vf_fma(k, vf_set1(0x1.ee59dap-50f), r);
	*quadrant = vi_of_f(k);
	far = vm_bits(vm_andnot(vf_lt(t, vf_set1(INFINITY)), in_range));
	if (__builtin_expect(far != 0, 0)) {
		float lane_x[VLEN], lane_r[VLEN];
		uint32_t lane_n[VLEN];

		vf_store(lane_x, t);
		vf_store(lane_r, r);
		vi_store(lane_n, *quadrant);
		for (unsigned int i = 0; i < VLEN; i++)
			if (far >> i & 1)
				lane_n[i] = npu_kern_trig_reduce(lane_x[i], &lane_r[i]);
		r = vf_load(lane_r);
		*quadrant = vi_load(lane_n);
	}
	return r;
}

/* sin(r + n * pi/2), with the sign of x flipped in where flip has it. */
static inline vf vf_trig(vf r, vi n, vf x, vi flip)
{
	static const float sin_coeff[] = { -0x1.992abcp-13f, 0x1.1106e2p-7f, -0x1.555544p-3f };
	static const float cos_coeff[] = {
		0x1.99e7fep-16f, -0x1.6c0c28p-10f, 0x1.55554ap-5f, -0.5f, 1.0f,
	};
	const vi one = vi_set1(1);
	vf s = vf_mul(r, r);
	vf y_sin = vf_fma(vf_mul(vf_poly(s, sin_coeff, 3), s), r, r);
	vf y_cos = vf_poly(s, cos_coeff, 5);
	vf y = vf_sel(vi_eq(vi_and(n, one), one), y_cos, y_sin);

	flip = vi_xor(flip, vi_shl(vi_and(n, vi_set1(2)), vi_set1(30)));
	y = vf_bits(vi_xor(vi_bits(y), flip));
	return vf_sel(vf_lt(vf_abs(x), vf_set1(INFINITY)), y, vf_set1(NAN));
}

static inline vf vf_sin(vf x)
{
	vi n;
	vf r = vf_trig_reduce(x, &n);

	return vf_trig(r, n, x, vi_and(vi_bits(x), vi_set1(0x80000000)));
}

static inline vf vf_cos(vf x)
{
	vi n;
	vf r = vf_trig_reduce(x, &n);

	return vf_trig(r, vi_add(n, vi_set1(1)), x, vi_set1(0));
}

#endif
