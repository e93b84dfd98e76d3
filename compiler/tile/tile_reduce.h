/* SPDX-License-Identifier: MIT */
/* Between tile_reduce.c (what the tiles are) and reduce_split.c (ranges that continue each other). */
#ifndef NPU_COMPILER_TILE_REDUCE_H
#define NPU_COMPILER_TILE_REDUCE_H

#include "nc.h"

/**
 * struct reduction - the operation with kept dimensions first
 * @b: the compilation
 * @op: as given
 * @node: graph node
 * @arg: ARGMAX or ARGMIN
 * @ndim: dimensions, four at least
 * @kept: how many of them are kept; the others are reduced
 * @dim: trip counts
 * @in_stride: of the input
 * @out_stride: of the output
 */
struct reduction {
	struct nc_back *b;
	const struct kir_reduce *op;
	uint32_t node;
	bool arg;
	unsigned int ndim;
	unsigned int kept;
	uint32_t dim[NC_SEARCH_DIMS];
	int64_t in_stride[NC_SEARCH_DIMS];
	int64_t out_stride[NC_SEARCH_DIMS];
};

/* The last four dimensions of @view, moved to @at. */
struct kir_view reduction_view(const struct reduction *r, const struct kir_view *view,
			       const int64_t *stride, const uint32_t *at);
/* Trip counts of the output: 1 in reduced dimensions. */
void reduction_kept(const struct reduction *r, const uint32_t *size, uint32_t dim[NC_LOOPS]);
/* REDUCE of the elements at @nest; the output is the caller's. NULL without memory. */
struct nc_tile *reduction_add(struct reduction *r, const struct nc_nest *nest, enum npu_rop rop,
			      unsigned int flags);

/* SPM that a tile of outputs needs between ranges. */
uint64_t reduction_state_bytes(const struct reduction *r, const uint32_t *tile);
/* The outputs at @outs, range after range of @tile. */
int reduction_split(struct reduction *r, const struct nc_nest *outs, const uint32_t *tile);

#endif
