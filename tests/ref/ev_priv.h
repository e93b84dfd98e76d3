/* SPDX-License-Identifier: MIT */
/* What the operators of the oracle share. */
#ifndef EV_PRIV_H
#define EV_PRIV_H

#include "ev.h"

typedef int (*ev_run_fn)(struct ev_call *c);

/**
 * struct ev_op - an operator
 * @exact: no result is ever rounded
 */
struct ev_op {
	const char *name;
	ev_run_fn run;
	bool exact;
};

/* One table per file, ended by a row without a name. */
extern const struct ev_op ev_ops_point[], ev_ops_reduce[], ev_ops_move[], ev_ops_index[],
	ev_ops_window[], ev_ops_matmul[], ev_ops_norm[], ev_ops_rnn[], ev_ops_attention[],
	ev_ops_resize[], ev_ops_shape[], ev_ops_signal[], ev_ops_loss[], ev_ops_sample[];

/* If, Loop, Scan or a function: @c->noise goes to the nodes inside. NULL: none of these. */
ev_run_fn ev_control(const struct ev_call *c);

/**
 * struct ev_block - nodes in their order, as graphs and functions have them
 * @opset, @model, @caller: as of struct ev_call
 */
struct ev_block {
	Onnx__NodeProto *const *node;
	size_t nodes;
	Onnx__TensorProto *const *initializer;
	size_t initializers;
	int64_t opset;
	const Onnx__ModelProto *model;
	const struct ev_call *caller;
};

/* Evaluate all of them; as ev_graph_run(). */
int ev_block_run(const struct ev_block *b, struct ev_env *env, struct ev_noise *noise,
		 char why[256]);

/* Say why the node is not legal; -EINVAL, for the caller to return. */
int ev_bad(struct ev_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const Onnx__AttributeProto *ev_attr(const struct ev_call *c, const char *name);
int64_t ev_attr_i(const struct ev_call *c, const char *name, int64_t unset);
double ev_attr_f(const struct ev_call *c, const char *name, double unset);
/* Whether the attribute, or what it is without being given, is @text. */
bool ev_attr_is(const struct ev_call *c, const char *name, const char *text, const char *unset);
const int64_t *ev_attr_ints(const struct ev_call *c, const char *name, size_t *count);

/* The output's elements, zero; NULL without memory or for a shape out of range. */
double *ev_out(struct ev_call *c, unsigned int i, int type, int rank, const int64_t *dims);
double *ev_out_like(struct ev_call *c, unsigned int i, const struct ev_value *x);
/* -EINVAL when the input is not there. */
int ev_need(struct ev_call *c, unsigned int ins);
/* -EINVAL when input @i is there, but not of this shape; or, does not broadcast to it. */
int ev_shaped(struct ev_call *c, unsigned int i, int rank, const int64_t *dims);
int ev_spreads(struct ev_call *c, unsigned int i, int rank, const int64_t *dims);
/* An axis made non-negative, or -1. */
int ev_axis(int64_t axis, int rank);
/* Input @i as whole numbers, at most @most; how many, or -1. */
int ev_ints(const struct ev_call *c, unsigned int i, int64_t *value, int most);
/* Axes from the attribute or input @i, made non-negative: a set of bits, or -1. */
int ev_axes(const struct ev_call *c, unsigned int i, int rank, bool *given);

int64_t ev_count(const int64_t *dims, int from, int to);
void ev_step(int rank, const int64_t *dims, int64_t *coord);
/* Row-major number of the element at @coord. */
int64_t ev_at(const struct ev_value *x, const int64_t *coord);
/* Of the element of @x that broadcasts to @coord of @rank axes. */
int64_t ev_at_broadcast(const struct ev_value *x, int rank, const int64_t *coord);
/* Shape of the inputs [from, to) broadcast; rank or -1. */
int ev_broadcast(const struct ev_call *c, unsigned int from, unsigned int to, int64_t *dims);

double ev_sigmoid(double v);
/* @v, rounded in between as the type of input 0 is. */
double ev_jitter(const struct ev_call *c, double v);
/* @sum of a long row, rounded as fp32: that is what halves are summed up in, too. */
double ev_jitter_sum(const struct ev_call *c, double sum);

#endif
