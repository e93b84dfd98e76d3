/* SPDX-License-Identifier: MIT */
/* Sorted arrays of disjoint ranges; see ranges.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ranges.h"

void npu_ranges_free(struct npu_ranges *r)
{
	free(r->range);
	*r = (struct npu_ranges){ .range = NULL };
}

int npu_ranges_reserve(struct npu_ranges *r)
{
	size_t room = r->room ? r->room * 2 : 16;
	struct npu_range *bigger;

	if (r->count < r->room)
		return 0;
	bigger = realloc(r->range, room * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	r->range = bigger;
	r->room = room;
	return 0;
}

/* Number of ranges that end before @address. */
static size_t count_before(const struct npu_ranges *r, uint64_t address)
{
	size_t low = 0;
	size_t high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->range[middle].end < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Put @count ranges in the place of @old ones at @at. */
static void replace(struct npu_ranges *r, size_t at, size_t old, const struct npu_range *range,
		    size_t count)
{
	memmove(&r->range[at + count], &r->range[at + old],
		(r->count - at - old) * sizeof(*range));
	memcpy(&r->range[at], range, count * sizeof(*range));
	r->count += count - old;
}

void npu_ranges_add(struct npu_ranges *r, uint64_t start, uint64_t end)
{
	size_t at = count_before(r, start);
	struct npu_range all = { .start = start, .end = end };
	size_t old = 0;

	while (at + old < r->count && r->range[at + old].start <= end) {
		const struct npu_range *touched = &r->range[at + old++];

		if (touched->start < all.start)
			all.start = touched->start;
		if (touched->end > all.end)
			all.end = touched->end;
	}
	replace(r, at, old, &all, 1);
}

void npu_ranges_remove(struct npu_ranges *r, uint64_t start, uint64_t end)
{
	size_t at = count_before(r, start);
	struct npu_range rest[2];
	size_t rests = 0;
	size_t old = 0;

	while (at + old < r->count && r->range[at + old].start < end) {
		const struct npu_range *touched = &r->range[at + old++];

		if (touched->start < start)
			rest[rests++] = (struct npu_range){ .start = touched->start, .end = start };
		if (touched->end > end)
			rest[rests++] = (struct npu_range){ .start = end, .end = touched->end };
	}
	replace(r, at, old, rest, rests);
}

bool npu_ranges_find(const struct npu_ranges *r, uint64_t start, uint64_t end, uint64_t bytes,
		     uint64_t align, uint64_t guard, uint64_t *at)
{
	uint64_t place = (start + align - 1) / align * align;

	for (size_t i = 0; i <= r->count; i++) {
		uint64_t limit = i < r->count ? r->range[i].start : end;
		uint64_t after = i < r->count ? guard : 0;

		if (limit >= after && place <= limit - after && bytes <= limit - after - place) {
			*at = place;
			return true;
		}
		if (i < r->count && r->range[i].end + guard > place)
			place = (r->range[i].end + guard + align - 1) / align * align;
	}
	return false;
}
