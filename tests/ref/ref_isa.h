/* SPDX-License-Identifier: MIT */
/*
 * What tensor and vector instructions do, straight from docs/hardware.md
 * sections 9, 10 and appendix A: one element at a time, in plain loops. The
 * device's kernels are judged by it to the bit.
 */
#ifndef REF_ISA_H
#define REF_ISA_H

#include <stdbool.h>
#include <stdint.h>
#include "npu_isa.h"

/* The index with which UNPOOL faults INDEX. */
struct ref_isa_unpool {
	bool faulted;
	uint32_t index;
};

/**
 * struct ref_isa - the state that instructions see
 * @spm: scratchpad
 * @acc: accumulators
 * @regs: NPU_REGS CP registers
 * @array_cols: columns of the array
 * @overflow: set by what faults OVERFLOW
 * @unpool: set by an UNPOOL that faults INDEX
 */
struct ref_isa {
	uint8_t *spm;
	uint8_t *acc;
	const uint64_t *regs;
	uint32_t array_cols;
	bool *overflow;
	struct ref_isa_unpool *unpool;
};

/*
 * Execute a legal CONV, WGRAD, MATMUL, MAP, REDUCE, POOL or UNPOOL on fp32 and
 * int32 operands.
 * False: not one of them.
 */
bool ref_isa_exec(const struct ref_isa *m, const void *desc);

/* Memory that context addresses from @va on reach. */
struct ref_isa_memory {
	uint8_t *data;
	uint64_t va;
};

/* An index and the limit that it is outside of. */
struct ref_isa_index {
	int32_t index;
	uint32_t limit;
};

/*
 * Execute a legal GATHER or SCATTER of one type on both sides.
 * False: fault INDEX, of which @bad tells.
 */
bool ref_isa_gather(const struct ref_isa *m, const struct npu_desc_gather *d,
		    const struct ref_isa_memory *mem, struct ref_isa_index *bad);

/* One micro-op other than LD, ST, MOV and IOTA on register contents. */
uint32_t ref_isa_uop(unsigned int op, uint32_t a, uint32_t b, uint32_t c);

/* Whether that is one that traps, and does; @b is not looked at for one source. */
bool ref_isa_overflows(unsigned int op, uint32_t a, uint32_t b);

/* Appendix A */
float ref_isa_exp(float x);
float ref_isa_log(float x);
float ref_isa_tanh(float x);
float ref_isa_sigmoid(float x);
float ref_isa_erf(float x);
float ref_isa_sin(float x);
float ref_isa_cos(float x);

#endif
