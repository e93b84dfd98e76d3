/* SPDX-License-Identifier: MIT */
/*
 * A set of address ranges: which addresses of a space have a mapping. The
 * array is sorted, ranges are disjoint and do not touch each other.
 */
#ifndef NPU_RANGES_H
#define NPU_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct npu_range {
	uint64_t start;
	uint64_t end;
};

struct npu_ranges {
	struct npu_range *range;
	size_t count;
	size_t room;
};

void npu_ranges_free(struct npu_ranges *r);
/*
 * Make room for one change, so that npu_ranges_add() or npu_ranges_remove()
 * after it cannot fail: -ENOMEM.
 */
int npu_ranges_reserve(struct npu_ranges *r);
void npu_ranges_add(struct npu_ranges *r, uint64_t start, uint64_t end);
void npu_ranges_remove(struct npu_ranges *r, uint64_t start, uint64_t end);
/*
 * First fit for @bytes in [@start, @end) at a multiple of @align, with @guard
 * bytes free before and after. False if there is no such place.
 */
bool npu_ranges_find(const struct npu_ranges *r, uint64_t start, uint64_t end, uint64_t bytes,
		     uint64_t align, uint64_t guard, uint64_t *at);

#endif
