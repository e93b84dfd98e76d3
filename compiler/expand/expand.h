/* SPDX-License-Identifier: MIT */
/*
 * Operators in terms of others: an operator's expansion appends nodes to the
 * graph that compute its outputs. The functions below make one node each and
 * return the tensor that it computes. After an error they do nothing and return
 * NC_NONE, so an expansion checks once, at its end: nc_x_done().
 */
#ifndef NPU_COMPILER_EXPAND_H
#define NPU_COMPILER_EXPAND_H

#include "graph/ops.h"
#include "graph/shape.h"

/* What an expansion returns that leaves the node as it is. */
#define NC_EXPAND_KEEP	1

/**
 * struct nc_expand - an operator being expanded
 * @g: the graph that gets the new nodes
 * @n: the operator; not in the graph's list any more
 */
struct nc_expand {
	struct npu_graph *g;
	const struct nc_node *n;
};

/* Attributes of nc_x_node(): a list that ends with NC_X_END. */
#define NC_X_INT(n, v)		{ .name = n, .type = NC_ATTR_INT, .i = v }
#define NC_X_FLOAT(n, v)	{ .name = n, .type = NC_ATTR_FLOAT, .f = v }
#define NC_X_STRING(n, v)	{ .name = n, .type = NC_ATTR_STRING, .s = v }
#define NC_X_INTS(n, p, c)	{ .name = n, .type = NC_ATTR_INTS, .ints = p, .count = c }
#define NC_X_END		{ .name = NULL }
#define NC_X_ATTRS(...)		((const struct nc_attr[]){ __VA_ARGS__, NC_X_END })

/*
 * requires: a graph
 * establishes: only operators with a lowering are left, and nodes that @keep, if it is
 *	not NULL, says are to stay
 */
int nc_expand(struct npu_graph *g,
	      bool (*keep)(const struct npu_graph *g, const struct nc_node *n));

/* Input @i, or NC_NONE. */
uint32_t nc_x_in(const struct nc_expand *e, uint32_t i);
/* Type and shape; after an error those of a scalar. */
const struct nc_tensor *nc_x_get(const struct nc_expand *e, uint32_t tensor);
/* Its elements do not depend on a run. */
bool nc_x_known(const struct nc_expand *e, uint32_t tensor);
/* Output @i is wanted by the model. */
bool nc_x_wanted(const struct nc_expand *e, uint32_t i);

/* Zeroed memory of the graph; NULL is an error of the graph. */
void *nc_x_alloc(const struct nc_expand *e, int64_t count, size_t bytes);
/* The first output of a new node, others that it must have follow; @attr may be NULL. */
uint32_t nc_x_node(const struct nc_expand *e, enum nc_opcode code, const struct nc_attr *attr,
		   uint32_t ins, const uint32_t *in);
uint32_t nc_x_1(const struct nc_expand *e, enum nc_opcode code, uint32_t a);
uint32_t nc_x_2(const struct nc_expand *e, enum nc_opcode code, uint32_t a, uint32_t b);
uint32_t nc_x_float(const struct nc_expand *e, float value);
uint32_t nc_x_ints(const struct nc_expand *e, const int64_t *value, uint32_t count);
uint32_t nc_x_cast(const struct nc_expand *e, uint32_t t, enum npu_graph_dtype dtype);
uint32_t nc_x_where(const struct nc_expand *e, uint32_t cond, uint32_t yes, uint32_t no);
/* @t with a number of its type: t op value. */
uint32_t nc_x_scalar(const struct nc_expand *e, enum nc_opcode code, uint32_t t, float value);
uint32_t nc_x_reshape(const struct nc_expand *e, uint32_t t, unsigned int rank,
		      const int64_t *dim);
uint32_t nc_x_transpose(const struct nc_expand *e, uint32_t t, const int64_t *perm);
/* Along one axis; @end is exclusive, a negative @step runs backwards. */
uint32_t nc_x_slice(const struct nc_expand *e, uint32_t t, unsigned int axis, int64_t start,
		    int64_t end, int64_t step);
/* With zeroes; @pad holds all begins, then all ends. */
uint32_t nc_x_pad(const struct nc_expand *e, uint32_t t, const int64_t *pad);
/* @up - 1 zeroes after each element along @axis but the last. */
uint32_t nc_x_spread(const struct nc_expand *e, uint32_t t, unsigned int axis, int64_t up);
uint32_t nc_x_concat(const struct nc_expand *e, int axis, uint32_t count, const uint32_t *t);
/* Over the axes whose bit is set; they become 1. */
uint32_t nc_x_reduce(const struct nc_expand *e, enum nc_opcode code, uint32_t t,
		     unsigned int axes);
/* What each tap of a window sees of @x, zeroes outside of it: [n, c, taps, places]. */
uint32_t nc_x_taps(const struct nc_expand *e, uint32_t x, const struct nc_window *w);
/*
 * Weights of a convolution, [k, c / group, ...], as its way back wants them: [c, k / group,
 * ...], each axis of the window backwards.
 */
uint32_t nc_x_turned_weights(const struct nc_expand *e, uint32_t w, int64_t group);
/* Output @i of the operator is @t, which has its shape. */
void nc_x_result(const struct nc_expand *e, uint32_t i, uint32_t t);
/* 0, or the error of what has been made. */
int nc_x_done(const struct nc_expand *e);

#endif
