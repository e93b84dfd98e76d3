/* SPDX-License-Identifier: MIT */
/*
 * The reader of program files (npu_prog.h): judges an image that nobody
 * vouches for, and says where its parts are. No allocation, no I/O.
 */
#ifndef NPU_PROG_READ_H
#define NPU_PROG_READ_H

#include <stddef.h>
#include <stdint.h>
#include "npu_prog.h"

/**
 * struct npu_prog_view - the parts of an image that has been checked
 * @header: its start
 * @cmds: command stream; the device judges its descriptors
 * @cmd_bytes: a multiple of 64, > 0
 * @consts: constants, or NULL
 * @const_bytes: their size
 * @const_offset_bytes: where they start in the file
 * @tensors: inputs and outputs, or NULL
 * @tensor_count: their number
 * @nodes: what tags mean, or NULL
 * @node_count: their number
 * @strings: any offset below @string_bytes is a terminated string
 * @string_bytes: size
 * @io_bytes: memory that each binding register's tensors need; 0: not bound
 */
struct npu_prog_view {
	const struct npu_prog_header *header;
	const void *cmds;
	uint32_t cmd_bytes;
	const void *consts;
	uint64_t const_bytes;
	uint64_t const_offset_bytes;
	const struct npu_prog_tensor *tensors;
	uint32_t tensor_count;
	const struct npu_prog_node *nodes;
	uint32_t node_count;
	const char *strings;
	uint64_t string_bytes;
	uint64_t io_bytes[NPU_PROG_REG_FIRST_TEMP];
};

/*
 * Check the @bytes at @image, 8-byte aligned, and fill @view with pointers
 * into them. 0, or -EINVAL (not a program, or damaged), -EOPNOTSUPP (another
 * version) and a static text in @error.
 */
int npu_prog_read(const void *image, size_t bytes, struct npu_prog_view *view,
		  const char **error);

/* The value of header.crc32 for this image; 0 if it is shorter than a header. */
uint32_t npu_prog_crc32(const void *image, size_t bytes);

/* Names of the node that @tag stands for; "" for none. */
const char *npu_prog_node_name(const struct npu_prog_view *view, uint32_t tag);
const char *npu_prog_node_op(const struct npu_prog_view *view, uint32_t tag);

#endif
