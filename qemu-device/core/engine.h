/* SPDX-License-Identifier: MIT */
/*
 * What the engines share: operand addresses, cancelling, and dividing work
 * among host threads with a defined floating-point environment.
 */
#ifndef NPU_CORE_ENGINE_H
#define NPU_CORE_ENGINE_H

#include "exec.h"
#include "kern.h"

/* Work below this many element operations is not worth waking a thread. */
#define NPU_ENGINE_PART_WORK	100000

static inline void *npu_operand(const struct npu_exec *x, const struct npu_ref *ref)
{
	uint64_t offset = ref->addr;

	if (ref->reg != NPU_REG_NONE)
		offset += (uint32_t)x->regs[ref->reg];
	return (ref->space == NPU_SPACE_ACC ? x->acc : x->spm) + offset;
}

static inline bool npu_cancelled(const struct npu_exec *x)
{
	return atomic_load_explicit(x->cancel, memory_order_relaxed);
}

/*
 * Parts to divide @units into, given the element operations of all. Part p of
 * n takes units p * units / n up to (p + 1) * units / n.
 */
uint32_t npu_engine_parts(const struct npu_exec *x, uint64_t units, uint64_t work);

static inline uint64_t npu_part_first(uint64_t units, uint32_t parts, uint32_t part)
{
	return units / parts * part + units % parts * part / parts;
}

/*
 * npu_pool_run() with rounding to nearest and denormals in every thread,
 * whatever the thread had before.
 */
void npu_engine_run(const struct npu_exec *x, void (*fn)(void *arg, uint32_t part),
		    void *arg, uint32_t parts);

enum npu_fault_code npu_te_conv(const struct npu_exec *x, const struct npu_desc_conv *d);
enum npu_fault_code npu_te_wgrad(const struct npu_exec *x, const struct npu_desc_wgrad *d);
enum npu_fault_code npu_te_matmul(const struct npu_exec *x, const struct npu_desc_matmul *d);
enum npu_fault_code npu_ve_map(const struct npu_exec *x, const struct npu_desc_map *d);
enum npu_fault_code npu_ve_reduce(const struct npu_exec *x, const struct npu_desc_reduce *d);
enum npu_fault_code npu_ve_pool(const struct npu_exec *x, const struct npu_desc_pool *d);
enum npu_fault_code npu_ve_unpool(const struct npu_exec *x, const struct npu_desc_pool *d);

#endif
