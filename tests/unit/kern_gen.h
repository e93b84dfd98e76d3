/* SPDX-License-Identifier: MIT */
/*
 * Random CONV, WGRAD, MATMUL, MAP, REDUCE, POOL and UNPOOL descriptors whose results are
 * defined to the bit, sized around the blocks of the device's kernels, with
 * operands placed anywhere in SPM and ACC.
 */
#ifndef KERN_GEN_H
#define KERN_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "npu_isa.h"

/**
 * struct kern_gen - random numbers and the memories operands are placed in
 * @state: of the random numbers
 * @spm_elems: size of SPM in 32-bit elements
 * @acc_elems: size of ACC
 * @spm_next: first free element
 * @acc_next: first free element
 * @array_cols: packing of weights
 * @work: bound for multiply-accumulates of a descriptor
 * @regs: registers that operands may be relative to
 */
struct kern_gen {
	uint64_t state;
	uint32_t spm_elems;
	uint32_t acc_elems;
	uint32_t spm_next;
	uint32_t acc_next;
	uint32_t array_cols;
	uint64_t work;
	uint64_t regs[NPU_REGS];
};

union kern_desc {
	uint64_t words[NPU_DESC_BYTES_MAX / 8];
	struct npu_desc_hdr hdr;
	struct npu_desc_conv conv;
	struct npu_desc_wgrad wgrad;
	struct npu_desc_matmul matmul;
	struct npu_desc_map map;
	struct npu_desc_reduce reduce;
	struct npu_desc_pool pool;
};

uint32_t kern_below(struct kern_gen *g, uint32_t n);
uint32_t kern_range(struct kern_gen *g, uint32_t first, uint32_t last);

/* A float in -2 .. 2, or now and then one of the values that need care. */
uint32_t kern_value(struct kern_gen *g);

/* False: it does not fit the memories or the work; try again. */
bool kern_conv(struct kern_gen *g, union kern_desc *d);
bool kern_wgrad(struct kern_gen *g, union kern_desc *d);
bool kern_matmul(struct kern_gen *g, union kern_desc *d);
bool kern_map(struct kern_gen *g, union kern_desc *d);
bool kern_reduce(struct kern_gen *g, union kern_desc *d);
bool kern_pool(struct kern_gen *g, union kern_desc *d);
bool kern_unpool(struct kern_gen *g, union kern_desc *d);

/* Write what an UNPOOL reads as positions; now and then one that is wrong. */
void kern_unpool_indices(struct kern_gen *g, const struct npu_desc_pool *v, uint32_t *spm);

#endif
