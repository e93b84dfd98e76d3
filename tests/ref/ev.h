/* SPDX-License-Identifier: MIT */
/*
 * The oracle over ONNX nodes: evaluates nodes and graphs as the operators'
 * specification words them, for every element type. It shares nothing with the
 * stack it judges but the definition of the ONNX file format.
 *
 * Elements are doubles whatever their type: every integer below 2^53 is exact,
 * and floats are not rounded between operators, so that results stand for the
 * true values. How far a correct implementation may be from them is found by
 * evaluating again with rounding errors put in by chance (struct ev_noise).
 */
#ifndef EV_H
#define EV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "onnx.pb-c.h"
#include "ref.h"

#define EV_MAX_IO	64

/* TensorProto.DataType. */
enum ev_type {
	EV_F32 = 1, EV_U8 = 2, EV_I8 = 3, EV_U16 = 4, EV_I16 = 5, EV_I32 = 6, EV_I64 = 7,
	EV_BOOL = 9, EV_F16 = 10, EV_F64 = 11, EV_U32 = 12, EV_U64 = 13, EV_BF16 = 16,
};

/**
 * struct ev_value - a tensor
 * @type: enum ev_type, 0 for no tensor at all
 * @rank: dimensions
 * @dims: outermost first
 * @elems: their product
 * @v: the elements, row-major
 */
struct ev_value {
	int type;
	int rank;
	int64_t dims[REF_MAX_RANK];
	int64_t elems;
	double *v;
};

/**
 * struct ev_noise - rounding errors put in by chance
 * @on: put them in
 * @lean: where a rounding decides, which way: -1, 1, or 0 by chance
 * @state: of the random numbers
 */
struct ev_noise {
	bool on;
	int lean;
	uint64_t state;
};

/**
 * struct ev_call - a node and the tensors around it
 * @node: operator, attributes
 * @opset: version of the default domain
 * @model: has the functions; or NULL
 * @outer: names that the bodies of control flow see; or NULL
 * @caller: of the function that the node is in; or NULL
 * @ins: inputs
 * @in: each, or NULL when it is not given
 * @outs: outputs
 * @out: filled in; the caller frees them, after an error too
 * @noise: rounding errors are put in, also inside; or NULL
 * @why: what is wrong with the node, after an error
 */
struct ev_call {
	const Onnx__NodeProto *node;
	int64_t opset;
	const Onnx__ModelProto *model;
	const struct ev_env *outer;
	const struct ev_call *caller;
	unsigned int ins;
	const struct ev_value *in[EV_MAX_IO];
	unsigned int outs;
	struct ev_value out[EV_MAX_IO];
	struct ev_noise *noise;
	char why[160];
};

/* ---- ev_value.c ---- */

bool ev_is_float(int type);
bool ev_is_known(int type);
size_t ev_type_bytes(int type);
const char *ev_type_name(int type);
/* The distance of neighbouring values around 1. */
double ev_epsilon(int type);
/* Integers wrap around, floats are rounded to the type. */
double ev_round(int type, double v);
/* Zero-filled. 0, -EINVAL, -ENOMEM. */
int ev_alloc(struct ev_value *x, int type, int rank, const int64_t *dims);
int ev_copy(struct ev_value *to, const struct ev_value *from);
void ev_free(struct ev_value *x);
bool ev_same_shape(const struct ev_value *a, const struct ev_value *b);
/* Little-endian elements as in TensorProto.raw_data. */
void ev_from_bytes(struct ev_value *x, const void *data);
void ev_to_bytes(const struct ev_value *x, void *data);
int ev_from_proto(struct ev_value *x, const Onnx__TensorProto *p);

/* ---- ev_call.c ---- */

/*
 * Evaluate a node. -ENOSYS: the oracle does not have the operator; -EINVAL: the
 * node is not legal; -ERANGE: an integer leaves its range; -ENOMEM.
 */
int ev_call_run(struct ev_call *c, struct ev_noise *noise);
void ev_call_free(struct ev_call *c);
bool ev_has_op(const char *name);

/* ---- ev_graph.c ---- */

/**
 * struct ev_env - values by name
 * @name: of each, not owned
 * @value: owned
 * @count: how many
 * @outer: what is visible beside these; or NULL
 */
struct ev_env {
	const char **name;
	struct ev_value *value;
	size_t count, room;
	const struct ev_env *outer;
};

struct ev_value *ev_env_find(const struct ev_env *env, const char *name);
/* Takes @value over; not in @env->outer. */
int ev_env_set(struct ev_env *env, const char *name, struct ev_value *value);
void ev_env_free(struct ev_env *env);
/*
 * Evaluate all nodes; @env has the inputs and gets all other values. @why: what
 * is wrong, with the node.
 */
int ev_graph_run(const Onnx__ModelProto *model, struct ev_env *env, struct ev_noise *noise,
		 char why[256]);

#endif
