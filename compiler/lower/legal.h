/* SPDX-License-Identifier: MIT */
/*
 * Legalisation: graph -> kernel IR. legalise.c walks the nodes; the lowerings in
 * legal_*.c ask it for views of their inputs and places for their outputs, and
 * add operations by the functions below, one for each loop shape. These take
 * views of any rank: they join, order and split dimensions as the IR needs.
 */
#ifndef NPU_COMPILER_LEGAL_H
#define NPU_COMPILER_LEGAL_H

#include "kir/kir.h"
#include "kir/map.h"
#include "graph/view.h"

/* An operator, and a network, that became more operations than this is refused. */
#define NC_NODE_OPS_MAX		(1u << 16)
#define NC_OPS_MAX		(1u << 18)

/**
 * struct nc_value - what legalisation knows of a graph tensor
 * @needed: an output depends on its run-time data
 * @has_view: it has been computed, and lies at @view
 * @has_home: it should be computed at @home: a program output, or a part of a
 *	concatenation
 * @view: where it is
 * @home: where it should be
 * @order: axes in the order they should lie in memory
 */
struct nc_value {
	bool needed;
	bool has_view;
	bool has_home;
	struct nc_view view;
	struct nc_view home;
	unsigned int order[NPU_GRAPH_RANK_MAX];
};

/**
 * struct nc_legal - one legalisation
 * @g: the graph
 * @k: its kernel IR, growing
 * @diag: message (the graph's)
 * @val: per graph tensor
 * @node: kernel IR node of the operator being lowered
 * @first_op: kernel IR operations before this operator
 * @traps: its results have more than 32 bits in the model: overflow must fault
 * @err: why nc_legal_op() returned NULL
 */
struct nc_legal {
	struct npu_graph *g;
	struct kir *k;
	struct nc_diag *diag;
	struct nc_value *val;
	uint32_t node;
	uint32_t first_op;
	bool traps;
	int err;
};

/*
 * requires: folded
 * establishes: @k does what the graph says; kir_verify() holds
 */
int nc_legalise(struct npu_graph *g, struct kir *k);

/* What the device computes @t as. */
enum npu_dtype nc_legal_dtype(const struct nc_tensor *t);
/* Input @i, which must be of floats, integers (or truth values), or any. */
int nc_legal_in(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v);
int nc_legal_in_int(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v);
int nc_legal_in_any(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v);
/* Where output @i ends up, if this operator may write there; else false. */
bool nc_legal_home(const struct nc_legal *l, const struct nc_node *n, uint32_t i,
		   struct nc_view *v);
/* Where to write output @i: its home or a new tensor. */
int nc_legal_out(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v);
/* Output @i is elsewhere: at @v. */
void nc_legal_set(struct nc_legal *l, const struct nc_node *n, uint32_t i,
		  const struct nc_view *v);
/* Output @i is asked for. */
bool nc_legal_wanted(const struct nc_legal *l, const struct nc_node *n, uint32_t i);
/* The value of a one-element constant input; false when it is none. */
bool nc_legal_scalar(const struct nc_legal *l, const struct nc_node *n, uint32_t i, float *value);

/* A new row-major tensor between operations; @order may be NULL. */
int nc_legal_temp(struct nc_legal *l, enum npu_dtype dtype, unsigned int rank,
		  const int64_t *dim, const unsigned int *order, struct nc_view *v);
/* A new constant; @data lives as long as the graph. */
int nc_legal_const(struct nc_legal *l, const char *name, enum npu_dtype dtype,
		   unsigned int rank, const int64_t *dim, const void *data, struct nc_view *v);

/* The data of a graph constant, in the type that the device computes with. */
int nc_legal_value(struct nc_legal *l, const struct nc_tensor *t, struct nc_view *v);

/* Add an operation; NULL with a message, and l->err, when there are too many. */
struct kir_op *nc_legal_op(struct nc_legal *l, const struct nc_node *n, enum kir_kind kind);

int nc_legal_copy(struct nc_legal *l, const struct nc_node *n, const struct nc_view *in,
		  const struct nc_view *out);
int nc_legal_fill(struct nc_legal *l, const struct nc_node *n, uint32_t value,
		  const struct nc_view *out);
/* Bit i of @axes: dimension i is reduced; there @out has dimension 1. */
int nc_legal_reduce(struct nc_legal *l, const struct nc_node *n, enum npu_rop rop,
		    unsigned int axes, const struct nc_view *in, const struct nc_view *out);

/**
 * struct nc_loop - a micro-program under construction, over graph views
 * @rank: of the loop nest
 * @dim: of the loop nest
 * @m: the program; the tensor of its operand views is an index into @view
 * @view: the operands over the loop nest
 */
struct nc_loop {
	unsigned int rank;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	struct nc_map m;
	unsigned int views;
	struct nc_view view[NC_MAP_OPERANDS];
};

void nc_loop_init(struct nc_loop *lp, unsigned int rank, const int64_t *dim);
/* The value at a view, which broadcasts to the loop nest. */
int nc_loop_load(struct nc_loop *lp, const struct nc_view *v);
int nc_loop_store(struct nc_loop *lp, const struct nc_view *v, int value);
/* Add it as one or more maps. -E2BIG without a message: too long for the device. */
int nc_loop_emit(struct nc_legal *l, const struct nc_node *n, struct nc_loop *lp);
/* As the epilogue of an operation over four dimensions. */
int nc_loop_epilogue(struct nc_legal *l, const struct nc_node *n, const struct nc_loop *lp,
		     struct kir_map *map);
/* out = op(in): a whole one-input map. */
int nc_legal_unary(struct nc_legal *l, const struct nc_node *n, enum npu_uop op,
		   const struct nc_view *in, const struct nc_view *out);

/**
 * struct nc_product - out = alpha (a b) + beta c
 * @a: [batch..., m, k]
 * @b: [batch..., k, n]
 * @c: broadcast to @out, if @has_c
 * @out: [batch..., m, n]
 */
struct nc_product {
	struct nc_view a, b, c, out;
	bool has_c;
	float alpha, beta;
};

int nc_legal_product(struct nc_legal *l, const struct nc_node *n, const struct nc_product *p);

/**
 * struct nc_gather - rows of a table that indices choose
 * @scatter: rows go to the table
 * @data: the rows; its dimensions are the loops
 * @table: over the same loops, at indices 0; runs forward
 * @index: over the same loops, the first index
 * @index_step: from an index of a row to the next
 * @coords: indices per row
 * @limit: per index
 * @step: elements of the table per unit of each index
 */
struct nc_gather {
	bool scatter;
	struct nc_view data, table, index;
	int64_t index_step;
	unsigned int coords;
	int64_t limit[NPU_GATHER_COORDS], step[NPU_GATHER_COORDS];
};

int nc_legal_gather(struct nc_legal *l, const struct nc_node *n, struct nc_gather *x);
/* Take, and Put without a reduction, by an index that is known at run time. */
int nc_legal_gather_rows(struct nc_legal *l, const struct nc_node *n);
int nc_legal_scatter_rows(struct nc_legal *l, const struct nc_node *n);

/* Loop strides of @v's dimensions from @first on, as a KIR view of @count loops. */
struct kir_view nc_legal_loops(const struct nc_view *v, unsigned int first, unsigned int count);

/* Input @i as a value of @lp: a constant of the program when it is one number. */
int nc_legal_load(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_loop *lp);
/* Integers of 8 and 16 bits wrap around. */
int nc_legal_narrow(struct nc_map *m, enum npu_graph_dtype dtype, int value);
/* @ret, with a message if it is -E2BIG. */
int nc_legal_too_long(struct nc_legal *l, const struct nc_node *n, int ret);
/* Emit operator @n over values @x, with a message when its attributes forbid it. */
int nc_legal_emit(struct nc_legal *l, const struct nc_node *n, struct nc_map *m, const int *x);

#endif
