/* SPDX-License-Identifier: MIT */
/*
 * Kernel IR: what the compiler's front half (import, shapes, folding,
 * legalisation) hands to its back half (fuse, tile, place, order, emit).
 *
 * A list of operations in execution order, each one loop shape of the device,
 * over dense linear tensors. Operands are views: a tensor, an offset and a
 * stride per loop dimension, in elements. So Reshape, Transpose, Slice, Split,
 * Concat, Squeeze, Expand and layout changes cost nothing here: they are
 * other views of the same tensor, and the DMA engine follows the strides.
 *
 * Dimensions go from outermost to innermost. All memory belongs to the arena
 * of the compilation.
 */
#ifndef NPU_COMPILER_KIR_H
#define NPU_COMPILER_KIR_H

#include "npu_isa.h"
#include "util.h"

#define KIR_DIMS	6
#define KIR_NO_TENSOR	UINT32_MAX

enum kir_tensor_kind {
	KIR_INPUT,	/* bound by the caller, read-only */
	KIR_OUTPUT,	/* bound by the caller, written whole */
	KIR_CONST,	/* data known now */
	KIR_TEMP,	/* between operations */
};

/**
 * struct kir_tensor - a dense linear array
 * @name: for people and for the program's tensor table
 * @kind: who owns its memory at run time
 * @dtype: F32 or I32; of INPUT and OUTPUT any that memory may hold. Operations
 *	see kir_dtype() of it, DMA converts
 * @elems: number of elements, >= 1
 * @rank: of the user's tensor (INPUT, OUTPUT), 0 .. 8
 * @dim: its dimensions, row-major
 * @data: CONST: elems elements
 */
struct kir_tensor {
	const char *name;
	enum kir_tensor_kind kind;
	enum npu_dtype dtype;
	uint64_t elems;
	unsigned int rank;
	int64_t dim[8];
	const void *data;
};

/* What operations see elements of type @dtype as: F32 or I32. */
static inline enum npu_dtype kir_dtype(enum npu_dtype dtype)
{
	return dtype == NPU_F32 || dtype == NPU_F16 || dtype == NPU_BF16 ? NPU_F32 : NPU_I32;
}

/**
 * struct kir_view - how an operation sees a tensor
 * @tensor: index into kir.tensor, or KIR_NO_TENSOR
 * @offset: element at loop position 0
 * @stride: elements per step of each loop dimension; 0 broadcasts (reads
 *	only), negative is allowed
 */
struct kir_view {
	uint32_t tensor;
	int64_t offset;
	int64_t stride[KIR_DIMS];
};

/**
 * struct kir_operand - an operand of a map
 * @view: its elements; unused when @acc is set
 * @write: stored to, else loaded from; never both
 * @acc: epilogue only: accumulator group acc_group of the operation
 * @acc_group: see struct kir_matmul
 */
struct kir_operand {
	struct kir_view view;
	bool write;
	bool acc;
	unsigned int acc_group;
};

/**
 * struct kir_map - a micro-program run for each point of a loop nest
 * @ndim: dimensions, 1 .. KIR_DIMS
 * @dim: trip counts
 * @operands: number of operands; LD and ST name them by index
 * @operand: the operands. A tensor written by one operand is not otherwise an
 *	operand, except with the identical view.
 * @uops: number of micro-op words
 * @consts: number of constants
 * @uop: NPU_UOP_WORD()s. Each loaded operand is loaded by one LD, each written
 *	one stored by one ST. IOTA counts the whole loop nest row-major.
 * @konst: constants, bit patterns
 */
struct kir_map {
	unsigned int ndim;
	uint32_t dim[KIR_DIMS];
	unsigned int operands;
	struct kir_operand operand[NPU_MAP_OPERANDS];
	unsigned int uops;
	unsigned int consts;
	uint32_t uop[NPU_MAP_UOPS];
	uint32_t konst[NPU_MAP_CONSTS];
};

/**
 * struct kir_matmul - out = epilogue(bias + a * b)
 * @b0: outer batch
 * @b1: inner batch
 * @m: rows
 * @n: columns, a multiple of @groups
 * @k: contraction
 * @groups: the n columns are @groups blocks of n / groups; the epilogue runs
 *	over [b0, b1, m, n / groups] and sees block g as accumulator group g
 *	(an LSTM cell has 4; everything else has 1)
 * @a: loops b0, b1, m, k
 * @b: loops b0, b1, k, n
 * @bias: loop n (stride[0]) or no tensor
 * @epilogue: ndim 4, at least one acc operand and one written
 */
struct kir_matmul {
	uint32_t b0, b1, m, n, k;
	unsigned int groups;
	struct kir_view a;
	struct kir_view b;
	struct kir_view bias;
	struct kir_map epilogue;
};

/**
 * struct kir_window - loop nest of convolution and pooling (terms as in
 *	struct npu_conv_shape, without its limits)
 */
struct kir_window {
	uint32_t n, h, w, c;
	uint32_t oh, ow, k;
	uint32_t kh, kw;
	uint32_t stride_h, stride_w;
	uint32_t dil_h, dil_w;
	int32_t pad_top, pad_left;
	uint32_t up_h, up_w;
};

/**
 * struct kir_conv - out = epilogue(bias + conv(in, weights))
 * @win: c and k are totals over all groups
 * @groups: 1 .. c; c and k are multiples. groups == c == k is depthwise
 * @panel: columns of the array that the weights are packed for, or 0
 * @in: loops n, h, w, c
 * @weights: loops k, c / groups, kh, kw. Packed: one loop, kir_conv_packed_at()
 * @bias: loop k or no tensor
 * @epilogue: ndim 4: n, oh, ow, k; accumulator group 0
 */
struct kir_conv {
	struct kir_window win;
	uint32_t groups;
	uint32_t panel;
	struct kir_view in;
	struct kir_view weights;
	struct kir_view bias;
	struct kir_map epilogue;
};

/**
 * struct kir_wgrad - out = epilogue(gradient of a convolution in its weights)
 * @win: of the convolution; c and k are totals over all groups
 * @groups: as in struct kir_conv
 * @in: its input: loops n, h, w, c
 * @dy: gradient of its output: loops n, oh, ow, k
 * @epilogue: ndim 4: kh, kw, c / groups, k; accumulator group 0
 */
struct kir_wgrad {
	struct kir_window win;
	uint32_t groups;
	struct kir_view in;
	struct kir_view dy;
	struct kir_map epilogue;
};

/**
 * struct kir_pool - window reduction per channel
 * @win: k == c, up_h == up_w == 1
 * @average: else maximum
 * @count_pad: average divides by kh * kw always
 * @in: loops n, h, w, c
 * @out: loops n, oh, ow, c
 * @index: I32: h * win.w + w of each maximum, -1 of nothing; the steps of @out,
 *	in a tensor of its own. Or no tensor
 */
struct kir_pool {
	struct kir_window win;
	bool average;
	bool count_pad;
	struct kir_view in;
	struct kir_view out;
	struct kir_view index;
};

/**
 * struct kir_unpool - out = sums of what positions name, zero elsewhere
 * @win: of the maximum that chose them: each is in its window, or -1; c == k,
 *	up_h == up_w == 1
 * @in: loops n, oh, ow, c
 * @index: I32: h * win.w + w; the steps of @in
 * @out: loops n, h, w, c
 */
struct kir_unpool {
	struct kir_window win;
	struct kir_view in;
	struct kir_view index;
	struct kir_view out;
};

/**
 * struct kir_reduce - out = rop over the reduced dimensions
 * @ndim: dimensions, 1 .. KIR_DIMS
 * @dim: trip counts
 * @axes: bit i set: dimension i is reduced
 * @rop: enum npu_rop. Elements combine in row-major order of the reduced
 *	dimensions (HW 9.3), however the operation is tiled.
 * @trap: I32: overflow faults
 * @in: all dimensions
 * @out: stride 0 in reduced dimensions
 */
struct kir_reduce {
	unsigned int ndim;
	uint32_t dim[KIR_DIMS];
	unsigned int axes;
	enum npu_rop rop;
	bool trap;
	struct kir_view in;
	struct kir_view out;
};

/**
 * struct kir_copy - out = in, or out = value
 * @ndim: dimensions, 1 .. KIR_DIMS
 * @dim: trip counts
 * @in: source; no tensor: fill with @value
 * @out: destination
 * @value: bit pattern
 */
struct kir_copy {
	unsigned int ndim;
	uint32_t dim[KIR_DIMS];
	struct kir_view in;
	struct kir_view out;
	uint32_t value;
};

/**
 * struct kir_gather - rows of a table that indices choose (HW 8)
 * @scatter: rows go to the table, the last of those for one place stays; else
 *	they come from it
 * @dim: rows d0, d1, d2, then elements per row, contiguous in the table
 * @coords: indices per row, 1 .. NPU_GATHER_COORDS
 * @limit: per index; negative ones count from the end, others fault
 * @step: elements of the table per unit of each index, >= 0
 * @row_step: elements of the table per d0, d1, d2, >= 0
 * @table: one loop over kir_gather_elems(), from the row at position 0 with
 *	indices 0 on
 * @index: loops d0, d1, d2, index; I32
 * @data: loops @dim
 */
struct kir_gather {
	bool scatter;
	uint32_t dim[4];
	unsigned int coords;
	uint32_t limit[NPU_GATHER_COORDS];
	int64_t step[NPU_GATHER_COORDS];
	int64_t row_step[3];
	struct kir_view table;
	struct kir_view index;
	struct kir_view data;
};

enum kir_kind {
	KIR_MATMUL,
	KIR_CONV,
	KIR_WGRAD,
	KIR_MAP,
	KIR_REDUCE,
	KIR_POOL,
	KIR_UNPOOL,
	KIR_COPY,
	KIR_GATHER,
};

/**
 * struct kir_op - one operation
 * @kind: which arm of the union
 * @node: graph node it came from (index into kir.node)
 */
struct kir_op {
	enum kir_kind kind;
	uint32_t node;
	union {
		struct kir_matmul matmul;
		struct kir_conv conv;
		struct kir_wgrad wgrad;
		struct kir_map map;
		struct kir_reduce reduce;
		struct kir_pool pool;
		struct kir_unpool unpool;
		struct kir_copy copy;
		struct kir_gather gather;
	};
};

/* A node of the user's graph, for messages, traces and reports. */
struct kir_node {
	const char *name;
	const char *op;
};

struct kir {
	struct nc_arena *arena;
	const char *name;
	struct kir_tensor *tensor;
	uint32_t tensors;
	struct kir_op **op;
	uint32_t ops;
	struct kir_node *node;
	uint32_t nodes;
};

struct kir *kir_create(struct nc_arena *arena, const char *name);
/* Append; the copy is the arena's. Index, or -ENOMEM. */
int64_t kir_add_tensor(struct kir *k, const struct kir_tensor *t);
int64_t kir_add_node(struct kir *k, const char *name, const char *op);
/* A zeroed operation at the end of the list, or NULL. */
struct kir_op *kir_add_op(struct kir *k, enum kir_kind kind, uint32_t node);
/* @op, of the same arena, at the end of the list. 0 or -ENOMEM. */
int kir_push_op(struct kir *k, struct kir_op *op);

/*
 * Invariants: indices, trip counts >= 1, views inside their tensors, no reads
 * of a TEMP or OUTPUT element before it is written by an earlier operation
 * (checked by range), programs legal for the device, OUTPUTs covered.
 * Run between passes. 0, or -EINVAL with a message.
 */
int kir_verify(const struct kir *k, struct nc_diag *diag);

/* Text form, one line per tensor and operation; kir_parse() reads it back. */
int kir_print(const struct kir *k, FILE *out);
/* The same for people: data of long constants is replaced by a hash. */
int kir_dump(const struct kir *k, FILE *out);
struct kir *kir_parse(struct nc_arena *arena, const char *text, struct nc_diag *diag);

#endif
