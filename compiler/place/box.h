/* SPDX-License-Identifier: MIT */
/* Names of packed copies, for place.c. */
#ifndef NPU_COMPILER_BOX_H
#define NPU_COMPILER_BOX_H

#include "nc.h"

/**
 * struct box - what makes two packed copies the same; compared as bytes
 * @tensor: whose elements
 * @ndim: dimensions in use, the others are 0
 * @offset: element at position 0
 * @dim: trip counts
 * @stride: elements of the tensor
 * @spm_stride: elements of SPM, descending
 */
struct box {
	uint32_t tensor;
	uint32_t ndim;
	int64_t offset;
	uint64_t dim[NC_LOOPS];
	int64_t stride[NC_LOOPS];
	int64_t spm_stride[NC_LOOPS];
};

struct box_table {
	struct box *entry;
	uint32_t count;
	uint32_t room;
	uint32_t *bucket;
};

/* Index of the box of @o; UINT32_MAX and a message without memory. */
uint32_t box_name(struct box_table *t, struct nc_back *b, const struct nc_operand *o);

#endif
