/* SPDX-License-Identifier: MIT */
/*
 * Random legal ONNX graphs: made node by node, each evaluated by the oracle as
 * soon as it is there; a node that the oracle finds illegal, or whose results
 * no comparison could judge, is taken back.
 */
#ifndef RAND_H
#define RAND_H

#include "ev.h"
#include "onnx_build.h"

/* Evaluations with rounding errors put in, beside the one without. */
#define RG_NOISE	4
#define RG_RUNS		(RG_NOISE + 1)
#define RG_VALUES	96
#define RG_NODES	40
#define RG_FUNCTIONS	8

/* Sets of element types. */
#define RG_FLOATS	(1u << EV_F32 | 1u << EV_F16 | 1u << EV_BF16)
#define RG_INTS		(1u << EV_I32 | 1u << EV_I64 | 1u << EV_I8 | 1u << EV_U8 | 1u << EV_I16)
#define RG_WIDE		(1u << EV_I32 | 1u << EV_I64)
#define RG_BOOL		(1u << EV_BOOL)
#define RG_ALL		(RG_FLOATS | RG_INTS | RG_BOOL)

/* What the elements of a new tensor are like. */
enum rg_style {
	RG_ANY,		/* of both signs, around 1; integers small */
	RG_UNIT,	/* within -0.95 .. 0.95 */
	RG_POSITIVE,	/* 0.1 .. 3; integers from 1 */
	RG_SPECIAL,	/* infinities and NaN among them */
	RG_WEIGHT,	/* small enough that sums stay small */
};

/* How the model gets a new tensor. */
enum rg_source {
	RG_INPUT,
	RG_INITIALIZER,
	RG_CONSTANT,	/* a Constant node */
	RG_SOURCES,
	RG_DRAWN = RG_SOURCES,
	RG_KNOWN,	/* drawn, but no input */
};

/**
 * struct rg_value - a tensor of the graph
 * @run: its values: without noise, with it
 * @uses: nodes that take it
 * @is_input: of the graph
 * @known: it does not depend on any input
 * @odd: it has numbers that most operators have no use for
 */
struct rg_value {
	char name[12];
	struct ev_value run[RG_RUNS];
	unsigned int uses;
	bool is_input, known, odd;
};

/**
 * struct rg - a graph in the making
 * @b: the model
 * @seed: of the whole graph
 * @elems: the most elements of a tensor
 * @node: the node in the making
 * @in: its inputs, -1 for none
 * @why: why the last node was taken back
 * @only: operators to use, or NULL
 * @depth: of the body in the making
 * @names: given so far
 */
struct rg {
	struct ob b;
	uint64_t seed, state;
	const char *only;
	unsigned int depth, names;
	Onnx__FunctionProto *function[RG_FUNCTIONS];
	Onnx__OperatorSetIdProto local, *opset_import[2];
	int64_t opset, elems;
	struct rg_value value[RG_VALUES];
	unsigned int values;
	Onnx__NodeProto *node;
	int in[EV_MAX_IO];
	unsigned int ins;
	char why[192];
};

/* ---- rand_core.c ---- */

uint32_t rg_below(struct rg *g, uint32_t n);
/* True once in @n times. */
bool rg_once(struct rg *g, uint32_t n);
int64_t rg_between(struct rg *g, int64_t low, int64_t high);
double rg_uniform(struct rg *g, double low, double high);
/* A member of a set of types; f32 more often than others. */
int rg_type(struct rg *g, unsigned int types);
/* A shape of at most the graph's elements, dimensions around those of tiles. */
void rg_shape(struct rg *g, int rank, int64_t *dims);
/* One dimension of at most @most. */
int64_t rg_dim(struct rg *g, int64_t most);

const struct ev_value *rg_get(const struct rg *g, int v);
/* A value there is: of these types, rank, at least one element unless @empty; -1: none. */
int rg_pick(struct rg *g, unsigned int types, int rank_min, int rank_max);
/* A value there is, or a new one of such a kind. */
int rg_some(struct rg *g, unsigned int types, int rank_min, int rank_max, enum rg_style style);
/* A value there is of this very type and shape, or a new one. */
int rg_like(struct rg *g, int type, int rank, const int64_t *dims, enum rg_style style);
int rg_new(struct rg *g, int type, int rank, const int64_t *dims, enum rg_style style,
	   enum rg_source source);
/* A new one with these elements. */
int rg_given(struct rg *g, int type, int rank, const int64_t *dims, const double *elem,
	     enum rg_source source);
/* A vector of i64; most often known. */
int rg_list(struct rg *g, int count, const int64_t *value);
int rg_scalar(struct rg *g, int type, double value);

/* ---- A node ---- */

Onnx__NodeProto *rg_begin(struct rg *g, const char *op);
/* Add input @v; -1: not given. */
void rg_arg(struct rg *g, int v);
/* True if the node has come to stay. */
bool rg_commit(struct rg *g, unsigned int outs);
void rg_floats(struct rg *g, const char *name, size_t count, const float *value);
void rg_int(struct rg *g, const char *name, int64_t value);
void rg_float(struct rg *g, const char *name, float value);
void rg_text(struct rg *g, const char *name, const char *value);
void rg_ints(struct rg *g, const char *name, size_t count, const int64_t *value);

/**
 * struct rg_mark - a state to go back to
 */
struct rg_mark {
	unsigned int used, values;
	size_t nodes, inputs, initializers, functions;
};

struct rg_mark rg_mark(const struct rg *g);
void rg_add_function(struct rg *g, Onnx__FunctionProto *f);
void rg_back(struct rg *g, const struct rg_mark *m);

/* ---- Recipes ---- */

/**
 * struct rg_recipe - how nodes of an operator are made
 * @since: first opset that has it in this form
 * @weight: how often
 * @make: false if nothing came of it
 */
struct rg_recipe {
	const char *op;
	int64_t since;
	unsigned int weight;
	bool (*make)(struct rg *g, const char *op);
};

/* Each ended by a row without a name. */
extern const struct rg_recipe rg_control[], rg_point[], rg_move[], rg_index[], rg_nn[], rg_seq[], rg_reduce[],
	rg_signal[];

/* ---- rand_graph.c ---- */

/* A graph from @seed; NULL when nothing came of it. @only: operators to use, or NULL. */
struct rg *rg_create(uint64_t seed, int64_t elems, const char *only);
void rg_destroy(struct rg *g);
/* Whether some recipe makes it. */
bool rg_draws(const char *op);
/* Why none does, or NULL. */
const char *rg_left_out(const char *op);
/* One more recipe; false, and nothing has changed, if nothing came of it. */
bool rg_step(struct rg *g);

#endif
