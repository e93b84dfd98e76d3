/* SPDX-License-Identifier: MIT */
/*
 * Legality and footprint of descriptors, for everybody who reads them: the
 * device (before it runs one), the compiler's verifier, the disassembler,
 * fuzzers. Pure functions on const buffers: no allocation, no I/O, no state.
 */
#ifndef NPU_CHECK_H
#define NPU_CHECK_H

#include "npu_isa.h"

/**
 * struct npu_limits - what a descriptor is judged against
 * @caps: NPU_CAP_* of the device
 * @spm_bytes: scratchpad
 * @acc_bytes: accumulators
 * @array_rows: multiplier rows
 * @array_cols: multiplier columns, >= 1
 */
struct npu_limits {
	uint64_t caps;
	uint32_t spm_bytes;
	uint32_t acc_bytes;
	uint32_t array_rows;
	uint32_t array_cols;
};

/**
 * struct npu_diag - why a descriptor was refused
 * @code: what the device would report
 * @field: static name of the field as in struct and text; never NULL
 * @text: static text that states the broken rule; never NULL
 */
struct npu_diag {
	enum npu_fault_code code;
	const char *field;
	const char *text;
};

/**
 * struct npu_access - one range of bytes that a descriptor reads or writes
 * @space: enum npu_mem_space
 * @write: the range is written (an accumulating operand has two entries)
 * @elem_bytes: size of an element
 * @contiguous: every byte of the range is accessed
 * @reg: CP register the range is relative to, or NPU_REG_NONE; see below
 * @name: static operand name as in struct and disassembly
 * @lo_bytes: first byte
 * @hi_bytes: one past the last byte
 */
struct npu_access {
	uint8_t space;
	uint8_t write;
	uint8_t elem_bytes;
	uint8_t contiguous;
	uint8_t reg;
	const char *name;
	int64_t lo_bytes;
	int64_t hi_bytes;
};

#define NPU_ACCESSES_MAX	(2 * NPU_MAP_OPERANDS)

/*
 * Check everything that does not depend on register values: opcode, length
 * against @avail_bytes, capability, reserved bytes, flags, field ranges,
 * types, and the bounds of SPM and ACC operands without a register.
 * Returns 0, or the fault code that is also in @diag (may be NULL).
 */
enum npu_fault_code npu_check_desc(const struct npu_limits *limits, const void *desc,
				   size_t avail_bytes, struct npu_diag *diag);

/*
 * The ranges that a legal descriptor touches, the bounding interval of each
 * operand; packed weights depend on the columns of @limits. With @regs
 * (NPU_REGS values) ranges are absolute and reg is NPU_REG_NONE; MEM ranges are
 * then context addresses. Without, an operand with a register yields a range
 * relative to it. GATHER and SCATTER yield the whole indexable table. Returns
 * the number of entries. A range that does not fit 63 bits has lo = INT64_MIN
 * and hi = INT64_MAX.
 */
unsigned int npu_desc_accesses(const struct npu_limits *limits, const void *desc,
			       const uint64_t *regs,
			       struct npu_access access[NPU_ACCESSES_MAX]);

/*
 * Bounds of SPM and ACC with register values known, natural alignment, and
 * memory ranges within NPU_VA_BITS. To be called after npu_check_desc().
 */
enum npu_fault_code npu_check_bounds(const struct npu_limits *limits, const void *desc,
				     const uint64_t *regs, struct npu_diag *diag);

/*
 * A whole command buffer: every descriptor, LOOP nesting, one END at its end
 * (only 0 bytes after it), and semaphores in stream order: every wait is
 * covered by earlier signals, none counts beyond NPU_SEM_MAX, none has two
 * producing or two consuming engines (a loop is judged by its first and last
 * iteration). @cmds is 8-byte aligned, as single descriptors are. @at_bytes
 * (may be NULL) receives the offset of the descriptor that was refused.
 */
enum npu_fault_code npu_check_stream(const struct npu_limits *limits, const void *cmds,
				     size_t bytes, size_t *at_bytes, struct npu_diag *diag);

/* Static tables made from npu_ops.h.inc; NULL, or NPU_ENGINES, for unknown codes. */
const char *npu_op_name(unsigned int opcode);
enum npu_engine npu_op_engine(unsigned int opcode);
uint64_t npu_op_cap(unsigned int opcode);
const char *npu_uop_name(unsigned int code);
unsigned int npu_uop_sources(unsigned int code);
unsigned int npu_uop_cost(unsigned int code);
uint64_t npu_uop_cap(unsigned int code);
const char *npu_rop_name(unsigned int code);
const char *npu_dtype_name(unsigned int dtype);
const char *npu_engine_name(unsigned int engine);
const char *npu_fault_name(unsigned int code);

/* MAP: the micro-op words and the constants that follow the views. */
static inline const uint32_t *npu_map_uops(const struct npu_desc_map *d)
{
	return (const uint32_t *)(const void *)&d->view[d->operands];
}

static inline const uint32_t *npu_map_consts(const struct npu_desc_map *d)
{
	return npu_map_uops(d) + d->uops;
}

#endif
