/* SPDX-License-Identifier: MIT */
/*
 * How a MAP descriptor is executed: strips of elements at a time, each micro-op
 * a kernel over a strip. ve_map_plan.c makes the plan, ve_map.c runs it.
 */
#ifndef NPU_CORE_VE_MAP_H
#define NPU_CORE_VE_MAP_H

#include "engine.h"

#define MAP_CONSTS	(NPU_MAP_CONSTS + 1)	/* the last one is 0 */
#define MAP_VALUES	(MAP_CONSTS + NPU_MAP_UOPS)
#define MAP_SPLAT	16		/* words in a splat source */
#define MAP_STRIP_MIN	256		/* elements of a strip, a multiple of 16 */
#define MAP_STRIP_MAX	1024
#define MAP_L1_WORDS	6144		/* what all buffers of a thread should fit */
#define MAP_BUFFERS	NPU_MAP_UOPS

/* How a view's elements of one strip lie in memory. */
enum map_access {
	MAP_CONTIGUOUS,	/* used in place */
	MAP_SAME,	/* one element serves all: used as a splat */
	MAP_REPEATED,	/* the same rows in every strip: loaded once per thread */
	MAP_STRIDED,	/* copied row by row */
};

/**
 * struct map_view - an operand after dimensions have been merged
 * @base: element (0, 0, 0, 0)
 * @stride: step per merged dimension in elements
 * @access: see enum
 */
struct map_view {
	uint32_t *base;
	ptrdiff_t stride[4];
	enum map_access access;
};

enum map_place {
	MAP_IN_CONST,
	MAP_IN_BUFFER,
	MAP_IN_VIEW,	/* contiguous or same */
};

/**
 * struct map_value - what a register holds between two writes
 * @place: where the strip is
 * @index: constant, buffer or view
 * @def: step that makes it
 * @last_use: last step that reads it
 * @bits_seen: a reader tells one NaN from another
 */
struct map_value {
	enum map_place place;
	uint8_t index;
	uint8_t def;
	uint8_t last_use;
	bool bits_seen;
};

enum map_step_kind {
	MAP_STEP_OP,
	MAP_STEP_LOAD,
	MAP_STEP_STORE,
	MAP_STEP_IOTA,
	MAP_STEP_NONE,	/* folded into another step */
};

/**
 * struct map_step - one micro-op
 * @kind: see enum
 * @op: micro-op
 * @fn: kernel of an OP
 * @sources: values read
 * @src: value numbers
 * @splat: bit s: source s is a splat
 * @dst: value number of OP, LOAD and IOTA
 * @view: operand of LOAD and STORE
 */
struct map_step {
	enum map_step_kind kind;
	uint8_t op;
	npu_kern_uop_fn *fn;
	uint8_t sources;
	uint8_t src[3];
	uint8_t splat;
	uint8_t dst;
	uint8_t view;
};

/**
 * struct map_plan - a MAP descriptor, ready to run
 * @x: the device
 * @dims: merged dimensions, 1 .. 4
 * @dim: their sizes, outermost first
 * @views: operands
 * @view: operands
 * @steps: micro-ops
 * @step: micro-ops
 * @value: constants first
 * @consts: splats
 * @buffers: strip buffers
 * @strip: elements in a buffer
 * @row_pieces: strips per innermost row, or 0: a strip is strip_rows rows
 * @strip_rows: innermost rows per strip
 * @units: strips
 * @parts: parts for the host's threads
 * @trapped: set when a trapping micro-op overflows
 */
struct map_plan {
	const struct npu_exec *x;
	uint32_t dims;
	uint32_t dim[4];
	uint32_t views;
	struct map_view view[NPU_MAP_OPERANDS];
	uint32_t steps;
	struct map_step step[NPU_MAP_UOPS];
	struct map_value value[MAP_VALUES];
	_Alignas(64) uint32_t consts[MAP_CONSTS][MAP_SPLAT];
	uint32_t buffers;
	uint32_t strip;
	uint32_t row_pieces;
	uint32_t strip_rows;
	uint64_t units;
	uint32_t parts;
	atomic_uint *trapped;
};

/* Returns a fault code when the variant lacks a micro-op. */
enum npu_fault_code npu_map_plan(struct map_plan *plan, const struct npu_exec *x,
				 const struct npu_desc_map *d);

/*
 * A MAP that only moves elements between views that are contiguous along
 * different dimensions: done in blocks. False: not of this kind.
 */
bool npu_map_transpose(const struct npu_exec *x, const struct map_plan *plan,
		       const struct npu_desc_map *d);

#endif
