/* SPDX-License-Identifier: MIT */
/*
 * The seam inside the core between control (queues, MMU, CP, DMA, timing) and
 * arithmetic (TE and VE). Control checks a descriptor and its bounds before
 * it calls an engine, so the engines trust addresses and shapes.
 */
#ifndef NPU_CORE_EXEC_H
#define NPU_CORE_EXEC_H

#include <stdatomic.h>
#include "npu_isa.h"

struct npu_pool;
struct npu_kern;

/**
 * struct npu_exec - what an engine sees of the device
 * @spm: scratchpad, 64-byte aligned
 * @acc: accumulators, 64-byte aligned
 * @array_cols: multiplier columns (packing of CONV weights)
 * @regs: CP registers
 * @kern: kernels of the chosen variant
 * @pool: host threads
 * @cancel: set when the job must end; polled at least every millisecond
 * @fault_aux: set by an instruction that returns NPU_FAULT_INDEX
 */
struct npu_exec {
	uint8_t *spm;
	uint8_t *acc;
	uint32_t array_cols;
	const uint64_t *regs;
	const struct npu_kern *kern;
	struct npu_pool *pool;
	const atomic_bool *cancel;
	uint32_t *fault_aux;
};

/*
 * Execute a checked TE or VE descriptor. Returns a fault code; a cancelled
 * one returns NPU_FAULT_NONE with its outputs partly written.
 */
enum npu_fault_code npu_te_exec(const struct npu_exec *x, const void *desc);
enum npu_fault_code npu_ve_exec(const struct npu_exec *x, const void *desc);

/*
 * Run fn(arg, 0) .. fn(arg, parts - 1), each exactly once, on the threads of
 * @pool and the caller; returns when all have finished. Results may not depend
 * on which thread runs a part. With one thread it is a plain loop.
 */
void npu_pool_run(struct npu_pool *pool, void (*fn)(void *arg, uint32_t part),
		  void *arg, uint32_t parts);

/* Threads that npu_pool_run() uses, the caller included. */
unsigned int npu_pool_threads(const struct npu_pool *pool);

#endif
