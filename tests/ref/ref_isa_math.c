/* SPDX-License-Identifier: MIT */
/* The functions of docs/hardware.md appendix A, operation by operation. */
#include <math.h>
#include <string.h>
#include "ref_isa.h"

static uint32_t bits_of(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static float float_of(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static float horner(float x, unsigned int n, const float *c)
{
	float p = c[0];

	for (unsigned int i = 1; i <= n; i++)
		p = fmaf(p, x, c[i]);
	return p;
}

#define P(x, ...)	horner((x), sizeof((float[]){ __VA_ARGS__ }) / sizeof(float) - 1, \
			       (float[]){ __VA_ARGS__ })

/* A.1 */
static float exp_number(float x)
{
	float t = x < 89.0f ? x : 89.0f;
	float k, r, p;
	int n, h;

	t = t > -105.0f ? t : -105.0f;
	k = rintf(t * 0x1.715476p+0f);
	r = fmaf(k, -0x1.62e43p-1f, t);
	r = fmaf(k, 0x1.05c61p-29f, r);
	p = P(r, 0x1.694caap-10f, 0x1.123982p-7f, 0x1.555a26p-5f, 0x1.555492p-3f,
	      0x1.fffffap-2f, 1.0f, 1.0f);
	n = (int)k;
	h = n >= 0 ? n / 2 : -((1 - n) / 2);
	return ldexpf(ldexpf(p, h), n - h);
}

float ref_isa_exp(float x)
{
	return isnan(x) ? x : exp_number(x);
}

/* A.2 */
float ref_isa_log(float x)
{
	int64_t d, q;
	int e0 = 0;
	float f, k, y;

	if (isnan(x) || x < 0)
		return NAN;
	if (x == 0)
		return -INFINITY;
	if (isinf(x))
		return x;
	if (x < 0x1p-126f) {
		x = ldexpf(x, 23);
		e0 = -23;
	}
	d = (int64_t)bits_of(x) - 0x3f3504f3;
	q = d / 0x800000;
	if (d % 0x800000 < 0)
		q--;
	k = (float)(q + e0);
	f = float_of((uint32_t)(d - q * 0x800000) + 0x3f3504f3) - 1.0f;
	y = fmaf(f * f, P(f, -0x1.37cc3p-4f, 0x1.051b1p-3f, -0x1.0d9736p-3f, 0x1.22e66ap-3f,
			  -0x1.54717ep-3f, 0x1.999f4ap-3f, -0x1.000228p-2f, 0x1.555556p-2f,
			  -0.5f), f);
	y = fmaf(k, -0x1.05c61p-29f, y);
	return fmaf(k, 0x1.62e43p-1f, y);
}

/* A.3 */
float ref_isa_tanh(float x)
{
	float t = fabsf(x), s = t * t, e, y;

	if (isnan(x))
		return x;
	if (t < 0.65625f) {
		y = P(s, -0x1.6452a4p-8f, 0x1.4e27d4p-6f, -0x1.b79d74p-5f, 0x1.110258p-3f,
		      -0x1.55551cp-2f);
		y = fmaf(y * s, t, t);
	} else {
		e = exp_number(-2.0f * t);
		y = fmaf(-2.0f, e / (e + 1.0f), 1.0f);
	}
	return copysignf(y, x);
}

/* A.4 */
float ref_isa_sigmoid(float x)
{
	float e, d, l, q, w;

	if (isnan(x))
		return x;
	e = exp_number(-fabsf(x));
	d = e + 1.0f;
	l = e - (d - 1.0f);
	q = e / d;
	w = fmaf(-q, l, fmaf(-q, d, e));
	q = fmaf(w, 1.0f - q, q);
	return x < 0 ? q : 1.0f - q;
}

/* A.5 */
float ref_isa_erf(float x)
{
	float t = fabsf(x), y;

	if (isnan(x))
		return x;
	if (t < 0.921875f) {
		y = P(t * t, 0x1.41be72p-14f, -0x1.a2861ep-11f, 0x1.53fadcp-8f, -0x1.b7fbb4p-6f,
		      0x1.ce2d48p-4f, -0x1.81274p-2f, 0x1.06eba8p-3f);
		y = fmaf(y, t, t);
	} else {
		y = P(t < 4.0f ? t : 4.0f, -0x1.ae39b6p-20f, 0x1.7c8044p-15f, -0x1.35ba0cp-11f,
		      0x1.36046ep-8f, -0x1.af7dep-6f, 0x1.c24222p-4f, 0x1.4394b8p-1f,
		      0x1.21505ap+0f, -0x1.34cb9ap-12f);
		y = 1.0f - exp_number(-y);
	}
	return copysignf(y, x);
}

/* Bit @i of W in A.6, the first one being 0. */
static unsigned int two_over_pi_bit(unsigned int i)
{
	static const char digits[] =
		"00000000a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163ab";
	const char c = digits[i / 4];
	const unsigned int digit = c <= '9' ? (unsigned int)(c - '0') : (unsigned int)(c - 'a' + 10);

	return digit >> (3 - i % 4) & 1;
}

/* A.6, t >= 2^18: shift-and-add in a number of four 32-bit digits, lowest first. */
static unsigned int reduce_far(float t, float *r)
{
	const uint32_t b = bits_of(t) >> 23, m = (bits_of(t) & 0x7fffff) | 0x800000;
	uint64_t digit[4] = { 0, 0, 0, 0 }, turns, g, h;
	unsigned int n, z = 0;
	bool negative;

	/* digit = M * V, bit by bit of V from its highest */
	for (unsigned int i = 0; i < 96; i++) {
		uint64_t carry = two_over_pi_bit(b - 120 + i) ? m : 0;

		for (int j = 0; j < 4; j++) {
			carry += digit[j] << 1;
			digit[j] = carry & 0xffffffff;
			carry >>= 32;
		}
	}
	turns = digit[2] << 32 | digit[1];
	n = (unsigned int)(turns >> 62) + (unsigned int)(turns >> 61 & 1);
	g = turns - ((uint64_t)n << 62);
	negative = g >> 63;
	if (negative)
		g = 0 - g;
	while (!(g >> 63)) {
		g <<= 1;
		z++;
	}
	h = g >> 32;
	*r = ldexpf((float)(h * 0xc90fdaa2), -61 - (int)z);
	if (negative)
		*r = -*r;
	return n % 4;
}

static unsigned int reduce(float t, float *r)
{
	float n;

	if (t >= 0x1p18f)
		return reduce_far(t, r);
	n = rintf(t * 0x1.45f306p-1f);
	*r = fmaf(n, -0x1.921fb6p+0f, t);
	*r = fmaf(n, 0x1.777a5cp-25f, *r);
	*r = fmaf(n, 0x1.ee59dap-50f, *r);
	return (unsigned int)n % 4;
}

static float quarter(unsigned int n, float r)
{
	float s = r * r;
	float sine = fmaf(P(s, -0x1.992abcp-13f, 0x1.1106e2p-7f, -0x1.555544p-3f) * s, r, r);
	float cosine = P(s, 0x1.99e7fep-16f, -0x1.6c0c28p-10f, 0x1.55554ap-5f, -0.5f, 1.0f);
	float y = n % 2 ? cosine : sine;

	return n % 4 < 2 ? y : -y;
}

float ref_isa_sin(float x)
{
	unsigned int n;
	float r;

	if (isnan(x) || isinf(x))
		return NAN;
	n = reduce(fabsf(x), &r);
	return signbit(x) ? -quarter(n, r) : quarter(n, r);
}

float ref_isa_cos(float x)
{
	unsigned int n;
	float r;

	if (isnan(x) || isinf(x))
		return NAN;
	n = reduce(fabsf(x), &r);
	return quarter(n + 1, r);
}
