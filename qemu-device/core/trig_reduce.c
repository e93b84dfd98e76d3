/* SPDX-License-Identifier: MIT */
/* Argument reduction of large SIN and COS arguments in integers (HW A.7). */
#include <string.h>
#include "kern.h"

uint32_t npu_kern_trig_reduce(float x, float *r)
{
	/* 2/pi after the binary point, behind a word of integer part. */
	static const uint32_t two_over_pi[] = {
		0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1,
		0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
	};
	uint32_t bits, mantissa, skip, n, hi, window[3];
	uint64_t turns, fraction;
	unsigned int zeros;
	float scale;

	memcpy(&bits, &x, sizeof(bits));
	mantissa = (bits & 0x007fffff) | 0x00800000;
	/* Bits of 2/pi before these give multiples of 4 quarter turns. */
	skip = (bits >> 23) - 150 + 30;
	for (unsigned int i = 0; i < 3; i++) {
		const uint32_t *word = &two_over_pi[skip / 32 + i];

		window[i] = (uint32_t)(((uint64_t)word[0] << 32 | word[1]) >> (32 - skip % 32));
	}

	/* Quarter turns modulo 4 in units of 2^-62. */
	turns = (uint64_t)(mantissa * window[0]) << 32;
	turns += (uint64_t)mantissa * window[1];
	turns += (uint64_t)mantissa * window[2] >> 32;
	n = (uint32_t)((turns + (1ull << 61)) >> 62);
	fraction = turns - ((uint64_t)n << 62);

	bits = fraction >> 63 ? 0x80000000 : 0;
	if (bits)
		fraction = -fraction;
	zeros = fraction ? (unsigned int)__builtin_clzll(fraction) : 63;
	hi = (uint32_t)(fraction << zeros >> 32);
	bits |= (127 - 61 - zeros) << 23;
	memcpy(&scale, &bits, sizeof(scale));
	*r = (float)((uint64_t)hi * 0xc90fdaa2u) * scale;
	return n & 3;
}
