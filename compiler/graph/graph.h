/* SPDX-License-Identifier: MIT */
/*
 * Graph IR: the user's network as nodes with ONNX operator semantics.
 *
 * Canonical form: every node has the meaning of its operator's newest version
 * that ops.h.inc knows. What older versions say otherwise (axes as attribute,
 * coerced softmax, ...) is rewritten when a model is read. Nodes are in
 * execution order, and shapes are known when a node is there: nc_graph_node()
 * infers them, and also the values of small constants, which later shapes
 * depend on.
 *
 * A tensor is named by its index, and never changes its index. All memory is
 * the graph's arena's.
 */
#ifndef NPU_COMPILER_GRAPH_H
#define NPU_COMPILER_GRAPH_H

#include "npu_graph.h"
#include "util.h"

#define NC_NONE			UINT32_MAX
#define NC_VARIADIC		UINT8_MAX

/* Caps on what a model may ask for, whoever made it. */
#define NC_TENSORS_MAX		(1u << 20)
#define NC_NODES_MAX		(1u << 20)
#define NC_NODE_ARGS_MAX	4096
#define NC_TENSOR_BYTES_MAX	(1ull << 36)
/* A constant as large as this is computed only when something needs it. */
#define NC_EAGER_ELEMS		1024

struct nc_expand;
struct nc_map;
struct nc_legal;
struct nc_node;
struct npu_graph;

enum nc_attr_type {
	NC_ATTR_INT,
	NC_ATTR_FLOAT,
	NC_ATTR_STRING,
	NC_ATTR_INTS,
	NC_ATTR_FLOATS,
	NC_ATTR_STRINGS,
	NC_ATTR_TENSOR,
};

#define NC_DTYPES		(NPU_GRAPH_BF16 + 1)

/*
 * What the device computes an element type as: fp32, 32-bit integers, and of
 * these the truth values 0 and 1. DMA converts from and to what memory holds.
 */
enum nc_class {
	NC_CLASS_FLOAT	= 1,
	NC_CLASS_INT	= 2,
	NC_CLASS_BOOL	= 4,
};

/**
 * struct nc_attr - an attribute of a node, or a default in an operator's table
 * @name: as in ONNX
 * @type: which of the fields below holds the value
 * @count: elements of the lists
 * @tensor: index of a constant
 * @until: in a table: the last opset that has it; 0: all
 */
struct nc_attr {
	const char *name;
	enum nc_attr_type type;
	int64_t i;
	float f;
	const char *s;
	uint32_t count;
	const int64_t *ints;
	const float *floats;
	const char *const *strings;
	uint32_t tensor;
	uint8_t until;
};

enum nc_opcode {
#define NC_OP(name, ...) NC_OP_##name,
#include "ops.h.inc"
	NC_OPS,
};

/**
 * struct nc_op - an operator: one row of ops.h.inc
 * @name: ONNX operator
 * @code: index in the table
 * @since: first opset whose version of the operator is understood; 0: internal
 * @in_min: inputs that must be there
 * @in_max: inputs that may be there, or NC_VARIADIC
 * @out_min: outputs that must be there
 * @out_max: outputs that may be there, or NC_VARIADIC
 * @attr: legal attributes with their defaults, ends with a NULL name
 * @upgrade: bring a node from an older opset into canonical form; NULL: none
 *	differs. The node's outputs have no shapes yet.
 * @infer: type and shape of the outputs
 * @eval: values of the outputs from constant inputs; NULL: not folded.
 *	-ENOTSUP: not for these types.
 * @expand: the same in other operators; NC_EXPAND_KEEP: leave it as it is.
 *	NULL: none
 * @lower: to kernel IR; NULL: exists only on constants, or is expanded
 * @emit: operators that work element by element: append to a micro-program,
 *	return the result's value number
 * @arg: distinguishes the operators that share functions
 * @types: classes of input 0 that the device computes, enum nc_class
 */
struct nc_op {
	const char *name;
	enum nc_opcode code;
	uint8_t since;
	uint8_t in_min, in_max;
	uint8_t out_min, out_max;
	const struct nc_attr *attr;
	int (*upgrade)(struct npu_graph *g, struct nc_node *n, int64_t opset);
	int (*infer)(struct npu_graph *g, struct nc_node *n);
	int (*eval)(struct npu_graph *g, struct nc_node *n);
	int (*expand)(const struct nc_expand *e);
	int (*lower)(struct nc_legal *l, const struct nc_node *n);
	int (*emit)(struct nc_map *m, const struct nc_node *n, const int *x);
	int arg;
	unsigned int types;
};

/**
 * struct nc_tensor - a value
 * @name: unique or ""
 * @dtype: element type
 * @rank: dimensions
 * @dim: outermost first; 0 is legal between operators
 * @elems: product of @dim
 * @data: the elements, row-major, when they are known while compiling
 * @init: of a parameter: its value, as @data; training changes it
 * @node: index of the node that computes it, or NC_NONE
 * @input: bound by the caller at run time
 */
struct nc_tensor {
	const char *name;
	enum npu_graph_dtype dtype;
	unsigned int rank;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	uint64_t elems;
	const void *data;
	const void *init;
	uint32_t node;
	bool input;
};

/**
 * struct nc_node - one operator applied
 * @op: row of the operator table
 * @type: the operator of the user's model that it stands for, or is part of
 * @name: of the user's model, may be ""
 * @index: position in the graph
 * @number: position in the user's model, for messages
 * @in: tensors, NC_NONE for an optional one that is not there
 * @out: tensors, NC_NONE for one that nobody asked for
 */
struct nc_node {
	const struct nc_op *op;
	const char *type;
	const char *name;
	uint32_t index;
	uint32_t number;
	uint32_t ins, outs;
	uint32_t *in;
	uint32_t *out;
	uint32_t attrs;
	struct nc_attr *attr;
};

struct nc_output {
	const char *name;
	uint32_t tensor;
};

/**
 * struct npu_graph - a network
 * @arena: all of its memory, the graph included
 * @name: of the model
 * @err: first error; everything after it does nothing and returns it
 * @diag: its message
 * @const_elems: elements of all constants that were given
 * @folded_elems: elements of all constants that were computed
 * @free_bytes: memory that compiling may take whatever the size of the graph; 0: the
 *	default
 * @input: tensors bound by the caller, in order
 * @output: results, in order; a tensor may be there more than once
 * @param: parameters, in order
 * @given: what the caller said about inputs before there were any
 * @givens: how many
 * @source: the ONNX file that the graph was read from for training, or NULL
 * @source_bytes: its size
 */
struct npu_graph {
	struct nc_arena *arena;
	const char *name;
	int err;
	struct nc_diag diag;
	uint64_t const_elems;
	uint64_t folded_elems;
	size_t free_bytes;
	struct nc_tensor **tensor;
	uint32_t tensors, tensor_room;
	struct nc_node **node;
	uint32_t nodes, node_room;
	uint32_t *input;
	uint32_t inputs, input_room;
	struct nc_output *output;
	uint32_t outputs, output_room;
	uint32_t *param;
	uint32_t params, param_room;
	const struct npu_graph_given *given;
	unsigned int givens;
	const uint8_t *source;
	size_t source_bytes;
};

/* graph.c */

/* NULL when there is no such operator, internal ones included. */
const struct nc_op *nc_op_find(const char *name);
const struct nc_op *nc_op_get(enum nc_opcode code);

size_t nc_dtype_bytes(enum npu_graph_dtype dtype);
const char *nc_dtype_name(enum npu_graph_dtype dtype);
enum nc_class nc_dtype_class(enum npu_graph_dtype dtype);
/* "f32, i32", for messages about classes. */
const char *nc_class_text(unsigned int classes);
/* enum npu_graph_dtype of a TensorProto.DataType, or -1. */
int nc_dtype_of_onnx(int64_t type);
int nc_dtype_to_onnx(enum npu_graph_dtype dtype);

/* Product of dimensions, or -EOVERFLOW beyond NC_TENSOR_BYTES_MAX bytes. */
int64_t nc_elems(enum npu_graph_dtype dtype, unsigned int rank, const int64_t *dim);

/* A tensor without a shape yet; index, or -errno recorded in the graph. */
int64_t nc_graph_tensor(struct npu_graph *g, const char *name);
/* A constant; @data is not copied and lives as long as the graph. */
int64_t nc_graph_const(struct npu_graph *g, const char *name, enum npu_graph_dtype dtype,
		       unsigned int rank, const int64_t *dim, const void *data);
/* A copied list of integers as a constant vector. */
int64_t nc_graph_ints(struct npu_graph *g, const int64_t *value, uint32_t count);
/* A scalar constant. */
int64_t nc_graph_float(struct npu_graph *g, float value);
/* The caller binds @tensor. */
int nc_graph_add_input(struct npu_graph *g, uint32_t tensor);
int nc_graph_add_output(struct npu_graph *g, const char *name, uint32_t tensor);
/*
 * Constant @tensor becomes a parameter: nothing is folded that depends on it, unless
 * a shape does (nc_known()), or all parameters are constants again (front.c).
 */
int nc_graph_add_param(struct npu_graph *g, uint32_t tensor);
/*
 * Append @n, whose op, name, inputs, outputs and attributes are set; infer
 * shapes; compute small constants. 0, or -errno recorded in the graph.
 */
int nc_graph_node(struct npu_graph *g, struct nc_node *n);
/* The graph's @count nodes, which it has no more: for passes that append them anew. */
struct nc_node **nc_graph_take(struct npu_graph *g, uint32_t *count);
/* Append a node whose outputs have their shapes. */
int nc_graph_append(struct npu_graph *g, struct nc_node *n);
/* An empty node with room for inputs and outputs; NULL without memory. */
struct nc_node *nc_node_new(struct npu_graph *g, const struct nc_op *op, const char *name,
			    uint32_t ins, uint32_t outs);
/* Shape and type of a tensor, with all checks. */
int nc_tensor_shape(struct npu_graph *g, const struct nc_node *n, uint32_t tensor,
		    enum npu_graph_dtype dtype, unsigned int rank, const int64_t *dim);

/* The message of a node: 'node "conv1" (#3, Conv): ' and the text. */
int nc_node_error(struct nc_diag *diag, const struct nc_node *n, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* "f32[1,3,224,224]", in a buffer that nc_shape_text() returns. */
#define NC_SHAPE_TEXT	192
const char *nc_shape_text(const struct nc_tensor *t, char text[NC_SHAPE_TEXT]);

/* NULL when the input or output is not there. */
struct nc_tensor *nc_in(const struct npu_graph *g, const struct nc_node *n, uint32_t i);
struct nc_tensor *nc_out(const struct npu_graph *g, const struct nc_node *n, uint32_t i);

/* Value of an attribute, or its default from the operator's row; never NULL. */
const struct nc_attr *nc_attr(const struct nc_node *n, const char *name);
/* The attribute given, or NULL. */
const struct nc_attr *nc_attr_given(const struct nc_node *n, const char *name);
int nc_attr_set(struct npu_graph *g, struct nc_node *n, const struct nc_attr *attr);
int nc_attr_set_int(struct npu_graph *g, struct nc_node *n, const char *name, int64_t i);
int nc_attr_set_ints(struct npu_graph *g, struct nc_node *n, const char *name,
		     const int64_t *ints, uint32_t count);
int nc_attr_set_float(struct npu_graph *g, struct nc_node *n, const char *name, float f);
int nc_attr_set_string(struct npu_graph *g, struct nc_node *n, const char *name, const char *s);
void nc_attr_drop(struct nc_node *n, const char *name);

/*
 * Element @i of a constant as the device computes with it: fp32 or a 32-bit
 * integer. -ERANGE when it does not fit.
 */
int nc_word_get(const struct nc_tensor *t, uint64_t i, uint32_t *word);
bool nc_is_zero(const struct nc_tensor *t, uint64_t i);
/* The reverse: element @i of @data. -ERANGE likewise. */
int nc_word_put(enum npu_graph_dtype dtype, void *data, uint64_t i, uint32_t word);

/*
 * Integers of constant input @i: count, or -errno with a message when the value
 * is not known or there are more than @max. 0 when the input is not there.
 */
int nc_in_ints(struct npu_graph *g, const struct nc_node *n, uint32_t i,
	       int64_t *value, uint32_t max);
/* An axis in [-rank, rank) as 0 .. rank-1; -EINVAL with a message. */
int nc_axis(struct npu_graph *g, const struct nc_node *n, int64_t axis, unsigned int rank);

/* known.c */

/* Copy what the caller knows about inputs that are still to come. */
int nc_graph_give(struct npu_graph *g, const struct npu_graph_given *given, unsigned int count);
/* NULL: nothing was said about input @name. */
const struct npu_graph_given *nc_given(const struct npu_graph *g, const char *name);
/*
 * Whether the elements of @t are known while compiling. Inputs that were given
 * with their values become constants here if that helps: so ask only for what
 * must be known.
 */
bool nc_known(struct npu_graph *g, struct nc_tensor *t);

/* Text form for dumps. */
int nc_graph_print(const struct npu_graph *g, FILE *out);

/* state.c */

/**
 * struct nc_graph_state - a graph as it was
 * @graph: itself
 * @tensor: its tensors
 */
struct nc_graph_state {
	struct npu_graph graph;
	struct nc_tensor *tensor;
};

/* Before passes run; 0 or -ENOMEM with a message. */
int nc_graph_save(struct npu_graph *g, struct nc_graph_state *s);
/* After them; the message stays. */
void nc_graph_restore(struct npu_graph *g, struct nc_graph_state *s);
/* For anything but training, parameters are constants. */
void nc_graph_params_known(struct npu_graph *g);

/* fold.c */

/* Compute the outputs of @n if all inputs are known; 0 also when it cannot. */
int nc_fold_node(struct npu_graph *g, struct nc_node *n);
/*
 * requires: a graph
 * establishes: what depends on constants only, and is not much larger than
 *	what it is made from, is a constant
 */
int nc_fold(struct npu_graph *g);

/* fold_conv.c */
/*
 * requires: folded
 * establishes: no factors or summands per channel after a convolution that
 *	could be part of its constant weights
 */
int nc_fold_conv(struct npu_graph *g);

#endif
