/* SPDX-License-Identifier: MIT */
/*
 * The program file (*.npu): what the compiler writes and the library loads.
 * docs/architecture.md section "Program file" tells how it is used.
 *
 * Layout: header, section table, sections; each section starts at a multiple
 * of 64 bytes, so a mapped file can be used in place. All fields are
 * little-endian. The loader treats a file as hostile: it checks every count,
 * offset and size against the file before use, and the device checks each
 * descriptor again.
 */
#ifndef NPU_PROG_H
#define NPU_PROG_H

#include <stdint.h>

#define NPU_PROG_MAGIC			0x4755504eu	/* "NPUG" */
#define NPU_PROG_VERSION_MAJOR		0
#define NPU_PROG_VERSION_MINOR		2
#define NPU_PROG_ALIGN			64

#define NPU_PROG_SECTIONS_MAX		16
#define NPU_PROG_TENSORS_MAX		4096
#define NPU_PROG_RANK_MAX		8
#define NPU_PROG_NODES_MAX		(1u << 20)
#define NPU_PROG_BYTES_MAX		(1ull << 36)

enum npu_prog_section_type {
	NPU_PROG_CMDS = 1,	/* descriptors, ends with END */
	NPU_PROG_CONSTS = 2,	/* weights and tables, read-only for the device */
	NPU_PROG_TENSORS = 3,	/* struct npu_prog_tensor[] */
	NPU_PROG_NODES = 4,	/* struct npu_prog_node[]: descriptor tags to graph nodes */
	NPU_PROG_STRINGS = 5,	/* zero-terminated UTF-8, offset 0 is "" */
};

/**
 * struct npu_prog_header - start of the file
 * @magic: NPU_PROG_MAGIC
 * @version_major: a loader refuses another major
 * @version_minor: a loader accepts smaller and equal ones
 * @file_bytes: whole file
 * @crc32: of the file with this field as 0 (IEEE 802.3, as zlib's crc32())
 * @sections: entries of the section table, which follows the header
 * @isa_version: NPU_REG_VERSION the code was made for; same major, device minor >= it
 * @array: NPU_REG_ARRAY the weights are packed for; columns must be equal
 * @spm_bytes: least SPM that the code needs
 * @acc_bytes: least ACC that the code needs
 * @caps: NPU_CAP_* that the code needs
 * @scratch_bytes: memory for tensors between nodes, bound to NPU_PROG_REG_SCRATCH
 * @macs: multiply-accumulates of one run
 * @name: string offset, the model's name
 */
struct npu_prog_header {
	uint32_t magic;
	uint16_t version_major;
	uint16_t version_minor;
	uint64_t file_bytes;
	uint32_t crc32;
	uint32_t sections;
	uint32_t isa_version;
	uint32_t array;
	uint32_t spm_bytes;
	uint32_t acc_bytes;
	uint64_t caps;
	uint64_t scratch_bytes;
	uint64_t macs;
	uint32_t name;
	uint32_t rsvd[15];
};

struct npu_prog_section {
	uint32_t type;
	uint32_t rsvd;
	uint64_t offset_bytes;
	uint64_t size_bytes;
};

/* Binding registers. Inputs and outputs have one each, from FIRST_IO on. */
#define NPU_PROG_REG_CONSTS		0
#define NPU_PROG_REG_SCRATCH		1
#define NPU_PROG_REG_FIRST_IO		2
/*
 * Programs with more inputs and outputs than registers are packed: several
 * tensors share a register and differ in offset_bytes. Registers from
 * NPU_PROG_REG_FIRST_TEMP on belong to the code (loops).
 */
#define NPU_PROG_REG_FIRST_TEMP		24

enum npu_prog_tensor_kind {
	NPU_PROG_INPUT = 1,
	NPU_PROG_OUTPUT = 2,
};

/**
 * struct npu_prog_tensor - an input or output of the program
 * @name: string offset
 * @kind: enum npu_prog_tensor_kind
 * @dtype: enum npu_dtype of the data in memory
 * @reg: binding register
 * @rank: dimensions, 0 .. NPU_PROG_RANK_MAX
 * @offset_bytes: from the register's address
 * @size_bytes: dense row-major, product of dims times element size
 * @dim: dimensions, outermost first; unused ones are 0. One of 0 makes a tensor
 *	without elements, which may be at the end of what its register is bound to
 */
struct npu_prog_tensor {
	uint32_t name;
	uint8_t kind;
	uint8_t dtype;
	uint8_t reg;
	uint8_t rank;
	uint64_t offset_bytes;
	uint64_t size_bytes;
	int64_t dim[NPU_PROG_RANK_MAX];
};

/**
 * struct npu_prog_node - what a descriptor's tag means
 * @name: string offset, the graph node's name
 * @op: string offset, the operator
 * A tag t names node t-1; tag 0 is code without a node.
 */
struct npu_prog_node {
	uint32_t name;
	uint32_t op;
};

_Static_assert(sizeof(struct npu_prog_header) == 128, "header");
_Static_assert(sizeof(struct npu_prog_section) == 24, "section");
_Static_assert(sizeof(struct npu_prog_tensor) == 88, "tensor");
_Static_assert(sizeof(struct npu_prog_node) == 8, "node");

#endif
