/* SPDX-License-Identifier: MIT */
/*
 * What the bytes of each descriptor are called: one table row per field group.
 * The checker derives the reserved bytes from it, the disassembler and the
 * assembler their text. Internal to isa/.
 */
#ifndef NPU_FIELDS_H
#define NPU_FIELDS_H

#include <stdbool.h>
#include "npu_isa.h"

enum npu_field_kind {
	NPU_FIELD_U8,
	NPU_FIELD_U16,
	NPU_FIELD_I16,
	NPU_FIELD_U32,
	NPU_FIELD_I32,
	NPU_FIELD_I64,
	NPU_FIELD_X32,		/* bit pattern */
	NPU_FIELD_COUNT,	/* u8, text implies it */
	NPU_FIELD_AXES,		/* u8, set of dimensions */
	NPU_FIELD_ROP,		/* u8, enum npu_rop */
	NPU_FIELD_REG,		/* u8, mandatory CP register */
	NPU_FIELD_REF,		/* struct npu_ref */
	NPU_FIELD_MEM,		/* struct npu_mem, its strides are inside */
	NPU_FIELD_STEP,		/* struct npu_loop_step */
};

/**
 * struct npu_field - one field group
 * @name: as in the struct; NULL ends a table
 * @kind: enum npu_field_kind
 * @count: elements of an array, else 1
 * @offset: in the descriptor
 * @stride_offset: REF: offset of its int32_t strides
 * @strides: how many strides are in use; REF: may be 0
 * @flag: the field exists only with this flag (else its bytes are 0), or 0
 * @optional: text may leave the field out, it is @preset then
 * @preset: value of every element of an optional field
 */
struct npu_field {
	const char *name;
	uint8_t kind;
	uint8_t count;
	uint16_t offset;
	uint16_t stride_offset;
	uint8_t strides;
	uint16_t flag;
	uint8_t optional;
	int8_t preset;
};

/**
 * struct npu_flag - one flag of an instruction
 * @name: suffix in text
 * @bit: NPU_F_*
 * @cap: capability it needs beyond that of the instruction, or 0
 */
struct npu_flag {
	const char *name;
	uint16_t bit;
	uint64_t cap;
};

/* sizeof the fixed part of the descriptor, or 0 for an unknown opcode. */
unsigned int npu_body_bytes(unsigned int opcode);

/* Bytes of one element of @kind; 0 for REF, MEM and STEP. */
unsigned int npu_field_bytes(unsigned int kind);

/* Fields of a known opcode, ascending by offset, the header left out. */
const struct npu_field *npu_body_fields(unsigned int opcode);

/* Flags of a known opcode, ended by bit 0; those of every instruction included. */
const struct npu_flag *npu_op_flags(unsigned int opcode);

/*
 * Bytes in use of a descriptor with a known opcode. MAP: as its counts say,
 * whether they are legal or not.
 */
size_t npu_desc_bytes(const void *desc);

/*
 * Whether every byte up to the end of the last line that no field names is 0.
 * A field whose flag is not set names nothing. npu_desc_bytes() must fit the
 * lines of the header, and these NPU_DESC_BYTES_MAX.
 */
bool npu_reserved_is_clear(const void *desc);

#endif
