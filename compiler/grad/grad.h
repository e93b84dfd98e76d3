/* SPDX-License-Identifier: MIT */
/*
 * Reverse-mode differentiation of the graph. A node Gradient(y, x0, x1, ..) stands
 * for the gradients of the sum of y's elements; the pass puts nodes in its place
 * that compute them. An operator's rule says what its inputs' gradients are, given
 * those of its outputs, in operators that are expanded and lowered like any other.
 * Operators without a rule are expanded first, until all have one.
 */
#ifndef NPU_COMPILER_GRAD_H
#define NPU_COMPILER_GRAD_H

#include "expand/expand.h"

/**
 * struct nc_grad - an operator being differentiated
 * @e: makes nodes, at the end of the graph; its node is the operator
 * @node: the operator's place in the graph
 * @sum: per tensor of the graph: its gradient so far, or NC_NONE for zero
 * @wanted: per tensor: it depends on what the gradient is asked for
 * @tensors: how many tensors have these
 */
struct nc_grad {
	struct nc_expand e;
	uint32_t node;
	uint32_t *sum;
	const bool *wanted;
	uint32_t tensors;
};

/* A rule; an error is the graph's. */
typedef void (*nc_grad_rule)(const struct nc_grad *d);

/* Else expand it. */
bool nc_grad_has_rule(const struct npu_graph *g, const struct nc_node *n);

/* Is there a Gradient in @g? */
bool nc_has_gradients(const struct npu_graph *g);
/*
 * requires: operators have rules or lowerings
 * establishes: no Gradient is left; expand again
 */
int nc_gradients(struct npu_graph *g);

/* ---- for rules (grad_util.c unless said otherwise) ---- */

/* The gradient of output @i; NC_NONE: zero. */
uint32_t nc_grad_out(const struct nc_grad *d, uint32_t i);
/* The gradient of input @i matters. */
bool nc_grad_wants(const struct nc_grad *d, uint32_t i);
/* @t, of input @i's shape, is a part of its gradient. NC_NONE: nothing. */
void nc_grad_add(const struct nc_grad *d, uint32_t i, uint32_t t);
/* The same for any tensor of the graph that is computed before. */
void nc_grad_add_to(const struct nc_grad *d, uint32_t tensor, uint32_t t);
/* The same for a @t that has the shape which input @i was broadcast to. */
void nc_grad_add_broadcast(const struct nc_grad *d, uint32_t i, uint32_t t);
/* The operator is @n from now on: the same inputs and outputs, and perhaps more outputs. */
void nc_grad_replace(const struct nc_grad *d, struct nc_node *n);
/* There is no gradient, and why. */
void nc_grad_refuse(const struct nc_grad *d, const char *why);
/* Attribute @name of the operator, as for nc_x_node(). */
int64_t nc_grad_int(const struct nc_grad *d, const char *name);
float nc_grad_float(const struct nc_grad *d, const char *name);

/* Zeroes of @like's type and shape. */
uint32_t nc_grad_zeros(const struct nc_grad *d, uint32_t like);
/* t + c, t * c, and t^2, which are what derivatives are mostly made of. */
uint32_t nc_grad_plus(const struct nc_grad *d, uint32_t t, float c);
uint32_t nc_grad_times(const struct nc_grad *d, uint32_t t, float c);
uint32_t nc_grad_square(const struct nc_grad *d, uint32_t t);

/* f'(x) for y = f(x), f the operator of @n, which has only attributes. (grad_map.c) */
uint32_t nc_grad_slope(const struct nc_grad *d, const struct nc_node *n, uint32_t x, uint32_t y);

/* The rules, by the file they are in. */
#define GRAD(f) void nc_grad_##f(const struct nc_grad *d)
/* grad_map.c: element by element */
GRAD(cast);
GRAD(clip);
GRAD(none);
GRAD(relu);
GRAD(unary);
/* grad_binary.c: several elements in */
GRAD(div);
GRAD(extreme);
GRAD(mean);
GRAD(mul);
GRAD(pow);
GRAD(prelu);
GRAD(sub);
GRAD(sum);
GRAD(where);
/* grad_move.c: the same elements elsewhere */
GRAD(concat);
GRAD(expand);
GRAD(pad);
GRAD(put);
GRAD(reshape);
GRAD(slice);
GRAD(split);
GRAD(take);
GRAD(transpose);
/* grad_reduce.c: along axes */
GRAD(global_pool);
GRAD(log_softmax);
GRAD(reduce);
GRAD(softmax);
/* grad_lstm.c */
GRAD(lstm);
/* grad_matmul.c */
GRAD(gemm);
GRAD(matmul);
/* grad_window.c */
GRAD(conv);
GRAD(max_pool);
GRAD(average_pool);
#undef GRAD

#endif
