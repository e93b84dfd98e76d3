/* SPDX-License-Identifier: MIT */
/* Between place.c and memory.c: which DMA descriptor touches which tensor. */
#ifndef NPU_COMPILER_PLACE_H
#define NPU_COMPILER_PLACE_H

#include "nc.h"

/**
 * struct nc_dma_ref - a LOAD or STORE, a GATHER or SCATTER
 * @desc: index in the stream
 * @tensor: its memory side
 * @store: all it does is replace elements, else it needs them
 * @lo: first element
 * @hi: one past the last
 */
struct nc_dma_ref {
	uint32_t desc;
	uint32_t tensor;
	bool store;
	int64_t lo;
	int64_t hi;
};

struct nc_dma_log {
	struct nc_dma_ref *ref;
	uint32_t count;
	uint32_t room;
};

int nc_dma_log_add(struct nc_back *b, struct nc_dma_log *log, const struct nc_dma_ref *ref);

/* Drop dead stores, give tensors memory and DMA descriptors their addresses. */
int nc_assign_memory(struct nc_back *b, struct nc_dma_log *log);

#endif
