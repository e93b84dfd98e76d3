/* SPDX-License-Identifier: MIT */
/* Dispatch into the engines' instructions, and their host threads. */
#ifdef __x86_64__
#include <xmmintrin.h>
#else
#include <fenv.h>
#endif
#include "engine.h"

#define PARTS_PER_THREAD	4	/* evens out parts of unequal cost */
#define MXCSR_DEFAULT		0x1f80	/* nearest even, denormals, no traps */

struct engine_run {
	void (*fn)(void *arg, uint32_t part);
	void *arg;
};

uint32_t npu_engine_parts(const struct npu_exec *x, uint64_t units, uint64_t work)
{
	unsigned int threads = npu_pool_threads(x->pool);
	uint64_t parts = work / NPU_ENGINE_PART_WORK + 1;

	if (threads == 1)
		return 1;
	if (parts > threads * PARTS_PER_THREAD)
		parts = threads * PARTS_PER_THREAD;
	if (parts > units)
		parts = units;
	return parts ? (uint32_t)parts : 1;
}

static void run_part(void *arg, uint32_t part)
{
	const struct engine_run *run = arg;
#ifdef __x86_64__
	unsigned int saved = _mm_getcsr();

	_mm_setcsr(MXCSR_DEFAULT);
	run->fn(run->arg, part);
	_mm_setcsr(saved);
#else
	fenv_t saved;

	fegetenv(&saved);
	fesetenv(FE_DFL_ENV);
	run->fn(run->arg, part);
	fesetenv(&saved);
#endif
}

void npu_engine_run(const struct npu_exec *x, void (*fn)(void *arg, uint32_t part),
		    void *arg, uint32_t parts)
{
	struct engine_run run = { .fn = fn, .arg = arg };

	if (parts == 1)
		run_part(&run, 0);
	else
		npu_pool_run(x->pool, run_part, &run, parts);
}

enum npu_fault_code npu_te_exec(const struct npu_exec *x, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	switch (hdr->opcode) {
	case NPU_OP_CONV:
		return npu_te_conv(x, desc);
	case NPU_OP_WGRAD:
		return npu_te_wgrad(x, desc);
	case NPU_OP_MATMUL:
		return npu_te_matmul(x, desc);
	default:
		return NPU_FAULT_UNSUPPORTED;
	}
}

enum npu_fault_code npu_ve_exec(const struct npu_exec *x, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	switch (hdr->opcode) {
	case NPU_OP_MAP:
		return npu_ve_map(x, desc);
	case NPU_OP_REDUCE:
		return npu_ve_reduce(x, desc);
	case NPU_OP_POOL:
		return npu_ve_pool(x, desc);
	case NPU_OP_UNPOOL:
		return npu_ve_unpool(x, desc);
	default:
		return NPU_FAULT_UNSUPPORTED;
	}
}
