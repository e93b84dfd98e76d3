/* SPDX-License-Identifier: MIT */
/* What shape inference and lowering both need to know of an operator. */
#ifndef NPU_COMPILER_SHAPE_H
#define NPU_COMPILER_SHAPE_H

#include "graph.h"

#define NC_SPATIAL_MAX	3

/**
 * struct nc_window - a resolved convolution or pooling window
 * @spatial: number of spatial axes
 * @in: input size per axis
 * @out: output size per axis
 * @pad: padding before and after; with ceil_mode, windows may reach beyond it
 * @up: distance of input elements, with zeroes between them
 * @ceil: some window reaches beyond the padding
 */
struct nc_window {
	unsigned int spatial;
	int64_t in[NC_SPATIAL_MAX];
	int64_t out[NC_SPATIAL_MAX];
	int64_t kernel[NC_SPATIAL_MAX];
	int64_t stride[NC_SPATIAL_MAX];
	int64_t dilation[NC_SPATIAL_MAX];
	int64_t pad[2][NC_SPATIAL_MAX];
	int64_t up[NC_SPATIAL_MAX];
	bool ceil;
};

/* From the attributes of a convolution or pool node whose inputs have shapes. */
int nc_window_get(struct npu_graph *g, const struct nc_node *n, struct nc_window *w);

int nc_unpool_window(struct npu_graph *g, const struct nc_node *n, struct nc_window *w);
/* Shape that the indices of a MaxUnpool count in. */
int nc_unpool_get(struct npu_graph *g, const struct nc_node *n, int64_t *dim);
/* The window of a Col2Im: @out is the image, @in the places of blocks. */
int nc_col2im_get(struct npu_graph *g, const struct nc_node *n, struct nc_window *w);

/**
 * struct nc_attention - a resolved Attention
 * @packed: heads and features are one axis, after the steps
 * @steps: of the queries
 * @past: steps of keys and values in the cache
 * @total: past and new steps
 * @features: of queries and keys, per head
 * @values: of values, per head
 * @left, @right: steps that a query sees before and after its own, INT64_MAX: all
 */
struct nc_attention {
	bool packed;
	int64_t batch, q_heads, kv_heads, steps, past, total, features, values;
	int64_t left, right;
};

int nc_attention_get(struct npu_graph *g, const struct nc_node *n, struct nc_attention *a);

/**
 * struct nc_rotary - a resolved RotaryEmbedding
 * @features: per head
 * @rotated: how many of them take part
 */
struct nc_rotary {
	int64_t batch, heads, steps, features, rotated;
};

int nc_rotary_get(struct npu_graph *g, const struct nc_node *n, struct nc_rotary *r);

/**
 * struct nc_slice - a resolved Slice, per axis
 * @start: first element
 * @step: distance, may be negative
 */
struct nc_slice {
	int64_t start[NPU_GRAPH_RANK_MAX];
	int64_t step[NPU_GRAPH_RANK_MAX];
	int64_t dim[NPU_GRAPH_RANK_MAX];
};

int nc_slice_get(struct npu_graph *g, const struct nc_node *n, struct nc_slice *s);

/* Padding per axis, [0] before and [1] after; may be negative. */
int nc_pads_get(struct npu_graph *g, const struct nc_node *n,
		int64_t pad[2][NPU_GRAPH_RANK_MAX]);

/* Sizes of the parts of a Split; @part holds n->outs. */
int nc_split_get(struct npu_graph *g, const struct nc_node *n, int *axis, int64_t *part);

/* Bit i: axis i of the input is reduced. */
int nc_reduce_axes(struct npu_graph *g, const struct nc_node *n, unsigned int *axes);

/* perm[i]: input axis that becomes output axis i. */
int nc_perm_get(struct npu_graph *g, const struct nc_node *n,
		unsigned int perm[NPU_GRAPH_RANK_MAX]);

/* Join @dim into @rank and @out by the rules of numpy; -EINVAL if they do not fit. */
int nc_broadcast(unsigned int *rank, int64_t *out, unsigned int more_rank, const int64_t *more);

#endif
