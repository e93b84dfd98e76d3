/* SPDX-License-Identifier: MIT */
/*
 * A view: how the elements of a graph tensor lie in a linear array. Operators
 * that only move elements are functions from views to views.
 */
#ifndef NPU_COMPILER_VIEW_H
#define NPU_COMPILER_VIEW_H

#include "graph.h"

/**
 * struct nc_view - a tensor of @rank dimensions inside an array
 * @tensor: the array: a KIR tensor when lowering, unused on the host
 * @rank: dimensions
 * @dim: outermost first
 * @stride: elements per step, may be 0 or negative
 * @offset: element at position 0
 */
struct nc_view {
	uint32_t tensor;
	unsigned int rank;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int64_t stride[NPU_GRAPH_RANK_MAX];
	int64_t offset;
};

/* Row-major from offset 0. */
void nc_view_dense(struct nc_view *v, uint32_t tensor, unsigned int rank, const int64_t *dim);
/* As nc_view_dense(), but laid out in memory in the order of axes @order. */
void nc_view_ordered(struct nc_view *v, uint32_t tensor, unsigned int rank, const int64_t *dim,
		     const unsigned int *order);
/* Other dimensions, same elements in row-major order; false when no view can say it. */
bool nc_view_reshape(const struct nc_view *v, unsigned int rank, const int64_t *dim,
		     struct nc_view *out);
void nc_view_permute(const struct nc_view *v, const unsigned int *perm, struct nc_view *out);
/* Broadcast to the shape, which must fit. */
void nc_view_expand(const struct nc_view *v, unsigned int rank, const int64_t *dim,
		    struct nc_view *out);
/* Both describe the same elements at the same places. */
bool nc_view_equal(const struct nc_view *a, const struct nc_view *b);

/*
 * Output @i of a movement node as a view, given that of its input 0. 0, -EDOM
 * when no view can say it, or another error with a message.
 */
int nc_view_through(struct npu_graph *g, const struct nc_node *n, uint32_t i,
		    const struct nc_view *in, struct nc_view *out);
/*
 * The reverse for operators that keep all elements: where the input must lie
 * for the output to be @out. -EDOM when there is no such view.
 */
int nc_view_back(struct npu_graph *g, const struct nc_node *n, const struct nc_view *out,
		 struct nc_view *in);

/* Offset of the row-major position @index. */
int64_t nc_view_at(const struct nc_view *v, uint64_t index);

/**
 * struct nc_walk - a loop nest over several arrays
 * @ndim: dimensions
 * @dim: trip counts
 * @views: arrays
 * @stride: per dimension and array
 *
 * Trip counts of 1 are dropped and dimensions joined where all arrays allow it
 * and the trip count stays below 2^32.
 */
#define NC_WALK_VIEWS	20
struct nc_walk {
	unsigned int ndim;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int views;
	int64_t stride[NC_WALK_VIEWS][NPU_GRAPH_RANK_MAX];
	unsigned int tag[NPU_GRAPH_RANK_MAX];
};

/* All @view must have the shape of the first. Dimensions with different @tag stay apart. */
void nc_walk_init(struct nc_walk *n, unsigned int views, const struct nc_view *const *view,
		  const unsigned int *tag);
/* Order the dimensions as they lie in memory for array @lead; tags are ignored. */
void nc_walk_sort(struct nc_walk *n, unsigned int lead);
void nc_walk_collapse(struct nc_walk *n);

#endif
