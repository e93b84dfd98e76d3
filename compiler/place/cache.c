/* SPDX-License-Identifier: MIT */
/*
 * Allocation of SPM (and ACC) at compile time. Space is handed out in
 * rotation, so that data which is written next goes where nothing was used for
 * the longest time: that is what makes double buffering happen.
 */
#include "cache.h"

#include <string.h>

#define ALIGN(bytes) (((bytes) + NC_ALIGN_BYTES - 1) / NC_ALIGN_BYTES * NC_ALIGN_BYTES)

int cache_init(struct cache *c, struct nc_back *b, uint32_t from, uint32_t to)
{
	*c = (struct cache){ .from = ALIGN(from), .to = to, .next = ALIGN(from) };
	c->room = (to - from) / NC_ALIGN_BYTES + 1;
	c->slot = nc_alloc_array(b->arena, c->room, sizeof(*c->slot));
	return c->slot ? 0 : nc_no_memory(b);
}

/* The hole in front of slot @i, or after the last one. */
static uint32_t hole_from(const struct cache *c, uint32_t i)
{
	return i ? c->slot[i - 1].hi : c->from;
}

static uint32_t hole_to(const struct cache *c, uint32_t i)
{
	return i < c->slots ? c->slot[i].lo : c->to;
}

/* First fit from @start on; false when there is none. */
static bool find_hole(const struct cache *c, uint32_t start, uint32_t bytes, uint32_t *index,
		      uint32_t *at)
{
	for (uint32_t i = 0; i <= c->slots; i++) {
		uint32_t lo = hole_from(c, i), hi = hole_to(c, i);

		if (lo < start)
			lo = start;
		if (lo > hi || hi - lo < bytes)
			continue;
		*index = i;
		*at = lo;
		return true;
	}
	return false;
}

struct slot *cache_alloc(struct cache *c, uint32_t bytes)
{
	uint32_t index, at;

	bytes = ALIGN(bytes ? bytes : 1);
	if (!find_hole(c, c->next, bytes, &index, &at) &&
	    !find_hole(c, c->from, bytes, &index, &at))
		return NULL;
	memmove(&c->slot[index + 1], &c->slot[index], (c->slots - index) * sizeof(*c->slot));
	c->slot[index] = (struct slot){ .lo = at, .hi = at + bytes };
	c->slots++;
	c->next = at + bytes;
	if (c->next > c->top)
		c->top = c->next;
	return &c->slot[index];
}

void cache_free(struct cache *c, uint32_t index)
{
	c->slots--;
	memmove(&c->slot[index], &c->slot[index + 1], (c->slots - index) * sizeof(*c->slot));
}

struct slot *cache_find(struct cache *c, uint32_t owner)
{
	for (uint32_t i = 0; i < c->slots; i++)
		if (c->slot[i].owner == owner)
			return &c->slot[i];
	return NULL;
}
