/* SPDX-License-Identifier: MIT */
/* What expansions of movement and index operators share. */
#ifndef NPU_COMPILER_EXPAND_UTIL_H
#define NPU_COMPILER_EXPAND_UTIL_H

#include "expand.h"

/* A vector of one element @value, of @like's type. */
uint32_t nc_x_number(const struct nc_expand *e, uint32_t like, int64_t value);
/* The I64 vector 0 .. count - 1. */
uint32_t nc_x_range(const struct nc_expand *e, int64_t count);
/* Axis @axis becomes the last one; or, with @back, the last one becomes @axis. */
uint32_t nc_x_last(const struct nc_expand *e, uint32_t t, unsigned int axis, bool back);
/* Elements index[0 .. count - 1] along an axis. */
uint32_t nc_x_take(const struct nc_expand *e, uint32_t t, unsigned int axis, const int64_t *index,
		   int64_t count);

#endif
