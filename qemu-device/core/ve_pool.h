/* SPDX-License-Identifier: MIT */
/* Windows and positions of POOL and UNPOOL (HW 9.4). */
#ifndef NPU_CORE_VE_POOL_H
#define NPU_CORE_VE_POOL_H

#include "engine.h"

/* Taps @first .. @end - 1 of @taps are inside 0 .. size - 1. */
static inline void pool_window(int64_t at, uint32_t taps, uint32_t step, uint32_t size,
			       uint32_t *first, uint32_t *end)
{
	int64_t begin, stop;

	if (at >= 0 && at + (int64_t)(taps - 1) * step < size) {
		*first = 0;
		*end = taps;
		return;
	}
	begin = at < 0 ? (-at + step - 1) / step : 0;
	stop = at < size ? (size - at + step - 1) / step : 0;
	*first = (uint32_t)(begin < taps ? begin : taps);
	*end = (uint32_t)(stop < taps ? stop : taps);
	if (*end < *first)
		*end = *first;
}

static inline uint32_t pool_position(uint32_t base, uint32_t row, int64_t h, int64_t w)
{
	return base + (uint32_t)h * row + (uint32_t)w;
}

#endif
