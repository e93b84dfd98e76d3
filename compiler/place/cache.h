/* SPDX-License-Identifier: MIT */
/* Allocator of SPM and ACC for place.c. */
#ifndef NPU_COMPILER_CACHE_H
#define NPU_COMPILER_CACHE_H

#include "kir/kir_view.h"
#include "nc.h"

/**
 * struct slot - a range that is in use
 * @lo: first byte
 * @hi: one past the last
 * @owner: what is in it, the caller's number
 * @next_use: tile that reads it next, UINT32_MAX: none
 * @pinned: may not be evicted by the current tile
 * @buffer: may not be evicted at all
 * @tensor: the tensor whose data it holds
 * @data: its elements
 */
struct slot {
	uint32_t lo;
	uint32_t hi;
	uint32_t owner;
	uint32_t next_use;
	bool pinned;
	bool buffer;
	uint32_t tensor;
	struct kir_span data;
};

/**
 * struct cache - a memory
 * @from: first byte
 * @to: one past the last
 * @next: where the next search starts
 * @top: highest byte ever in use
 * @slot: by address
 * @slots: their number
 * @room: allocated
 */
struct cache {
	uint32_t from;
	uint32_t to;
	uint32_t next;
	uint32_t top;
	struct slot *slot;
	uint32_t slots;
	uint32_t room;
};

int cache_init(struct cache *c, struct nc_back *b, uint32_t from, uint32_t to);
/* A slot, or NULL without a hole that large. Pointers to slots move by this. */
struct slot *cache_alloc(struct cache *c, uint32_t bytes);
void cache_free(struct cache *c, uint32_t index);
struct slot *cache_find(struct cache *c, uint32_t owner);

#endif
