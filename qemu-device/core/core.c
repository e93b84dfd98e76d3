/* SPDX-License-Identifier: MIT */
/*
 * Making, resetting and destroying a device: properties and their defaults,
 * memories, the reset of HW 2.4.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core.h"
#include "kern.h"

#define THREADS_MAX	64u

static void set_defaults(struct npu_core_config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!c->array_rows)
		c->array_rows = 16;
	if (!c->array_cols)
		c->array_cols = 32;
	if (!c->spm_bytes)
		c->spm_bytes = 8u << 20;
	if (!c->acc_bytes)
		c->acc_bytes = 256u << 10;
	if (!c->clock_khz)
		c->clock_khz = 1000000;
	if (!c->dma_bytes_per_kcycle)
		c->dma_bytes_per_kcycle = 16000;
	if (!c->dma_latency_cycles)
		c->dma_latency_cycles = 100;
	if (!c->dma_bursts)
		c->dma_bursts = 32;
	if (!c->ve_bytes_per_cycle)
		c->ve_bytes_per_cycle = 64;
	if (!c->threads)
		c->threads = cores < 1 ? 1 : cores > (long)THREADS_MAX ? THREADS_MAX :
						       (unsigned int)cores;
	if (c->synchronous)
		c->threads = 1;
}

static bool in_range(uint32_t value, uint32_t lo, uint32_t hi, uint32_t multiple)
{
	return value >= lo && value <= hi && value % multiple == 0;
}

/* Returns why not, or NULL. */
static const char *check_config(const struct npu_core_config *c)
{
	if (!in_range(c->array_rows, 4, 256, 1))
		return "array rows must be 4 .. 256";
	if (!in_range(c->array_cols, 4, 256, 4))
		return "array columns must be a multiple of 4, 4 .. 256";
	if (!in_range(c->spm_bytes, 64u << 10, 16u << 20, 4096))
		return "SPM size must be a multiple of 4 KiB, 64 KiB .. 16 MiB";
	if (!in_range(c->acc_bytes, 16u << 10, 1u << 20, 4096))
		return "ACC size must be a multiple of 4 KiB, 16 KiB .. 1 MiB";
	if (c->dma_latency_cycles > UINT16_MAX)
		return "memory latency must be 1 .. 65535 cycles";
	if (c->dma_bursts > UINT16_MAX)
		return "bursts in flight must be 1 .. 65535";
	if (!in_range(c->ve_bytes_per_cycle, 4, 4096, 4))
		return "vector width must be a multiple of 4, 4 .. 4096 bytes";
	if (c->threads > THREADS_MAX)
		return "threads must be 1 .. 64";
	if (!npu_core_variant_available(c->variant))
		return "this host lacks the instructions of the wanted kernels";
	return NULL;
}

const char *npu_core_variant_name(const struct npu_core *core)
{
	return core->exec.kern->name;
}

static void init_locks(struct npu_core *core)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&core->bus_lock, NULL);
	pthread_mutex_init(&core->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&core->work, &attr);
	pthread_cond_init(&core->watch, &attr);
	pthread_condattr_destroy(&attr);
}

static bool alloc_memories(struct npu_core *core)
{
	core->spm = aligned_alloc(NPU_PAGE_BYTES, core->config.spm_bytes);
	core->acc = aligned_alloc(NPU_PAGE_BYTES, core->config.acc_bytes);
	core->staging = aligned_alloc(64, NPU_BUS_CHUNK_BYTES);
	core->window = aligned_alloc(64, NPU_PAGE_BYTES);
	if (!core->spm || !core->acc || !core->staging || !core->window)
		return false;
	memset(core->spm, 0, core->config.spm_bytes);
	memset(core->acc, 0, core->config.acc_bytes);
	return true;
}

static void set_engines(struct npu_core *core)
{
	const struct npu_core_config *c = &core->config;

	core->limits = (struct npu_limits){
		.caps = NPU_CAP_FP32 | NPU_CAP_CAST | NPU_CAP_WGRAD | NPU_CAP_UNPOOL |
			NPU_CAP_GATHER | NPU_CAP_SCATTER_ADD | NPU_CAP_RNG | NPU_CAP_TRAP,
		.spm_bytes = c->spm_bytes,
		.acc_bytes = c->acc_bytes,
		.array_rows = c->array_rows,
		.array_cols = c->array_cols,
	};
	core->model.params = (struct npu_timing){
		.rows = c->array_rows,
		.cols = c->array_cols,
		.dma_bytes_per_kcycle = c->dma_bytes_per_kcycle,
		.dma_latency_cycles = c->dma_latency_cycles,
		.dma_bursts = c->dma_bursts,
		.ve_bytes_per_cycle = c->ve_bytes_per_cycle,
	};
	core->exec = (struct npu_exec){
		.spm = core->spm,
		.acc = core->acc,
		.array_cols = c->array_cols,
		.regs = core->job.regs,
		.kern = npu_kern_get(c->variant),
		.pool = core->pool,
		.cancel = &core->cancel,
		.fault_aux = &core->index_aux,
	};
	core->spm_dirty = (struct npu_extent){ .lo = UINT32_MAX };
	core->acc_dirty = (struct npu_extent){ .lo = UINT32_MAX };
	core->memory_owner = NPU_CTX_NONE;
}

static struct npu_core *refuse(struct npu_core *core, const char *why, const char **error)
{
	if (error)
		*error = why;
	npu_core_destroy(core);
	return NULL;
}

struct npu_core *npu_core_create(const struct npu_core_config *config,
				 const struct npu_core_ops *ops, void *opaque,
				 const char **error)
{
	struct npu_core_config c = *config;
	struct npu_core *core;
	const char *why;

	set_defaults(&c);
	why = check_config(&c);
	if (why)
		return refuse(NULL, why, error);
	core = aligned_alloc(64, (sizeof(*core) + 63) / 64 * 64);
	if (!core)
		return refuse(NULL, "out of memory", error);
	memset(core, 0, sizeof(*core));
	core->config = c;
	core->ops = *ops;
	core->opaque = opaque;
	core->ready = true;
	memset(core->last_served, NPU_QUEUES - 1, sizeof(core->last_served));
	atomic_store(&core->tlb.epoch, 1);
	init_locks(core);
	if (!alloc_memories(core))
		return refuse(core, "out of memory", error);
	core->pool = npu_pool_create(c.threads, &core->ops, opaque);
	if (!core->pool)
		return refuse(core, "cannot start threads", error);
	set_engines(core);
	if (npu_run_threads_start(core))
		return refuse(core, "cannot start threads", error);
	return core;
}

void npu_core_destroy(struct npu_core *core)
{
	if (!core)
		return;
	npu_run_threads_stop(core);
	npu_pool_destroy(core->pool);
	pthread_mutex_destroy(&core->bus_lock);
	pthread_mutex_destroy(&core->lock);
	pthread_cond_destroy(&core->work);
	pthread_cond_destroy(&core->watch);
	free(core->spm);
	free(core->acc);
	free(core->staging);
	free(core->window);
	free(core);
}

static void reset_values_locked(struct npu_core *core)
{
	core->control = 0;
	core->irq_status = 0;
	core->irq_enable = 0;
	core->done_queues = 0;
	core->fault_queues = 0;
	core->ctx_table = 0;
	core->tlb_inv_va = 0;
	core->tlb_inv_pages = 0;
	core->tlb_inv_seq = 0;
	core->tlb_ack_seq = 0;
	core->totals = (struct npu_totals){ .jobs = 0 };
	memset(core->queue, 0, sizeof(core->queue));
	memset(core->runnable, 0, sizeof(core->runnable));
	memset(core->last_served, NPU_QUEUES - 1, sizeof(core->last_served));
	core->forget_owner = true;
	atomic_store(&core->tlb_stale, true);
}

void npu_core_reset_registers(struct npu_core *core, bool announce)
{
	struct npu_fx fx = { .vectors = 0 };

	pthread_mutex_lock(&core->lock);
	/* First the reason, then the sign: whoever sees cancel finds the reason. */
	atomic_fetch_add(&core->generation, 1);
	atomic_store(&core->cancel, true);
	reset_values_locked(core);
	core->job_parked = false;
	core->ready = !core->job_active;
	if (core->ready && announce)
		npu_irq_event_locked(core, NPU_IRQ_RESET_DONE, &fx);
	npu_fx_log(&fx, NPU_CORE_LOG_TRACE, "reset%s", core->ready ? "" : " with a job running");
	pthread_cond_signal(&core->work);
	pthread_cond_signal(&core->watch);
	pthread_mutex_unlock(&core->lock);
	/* Wait for a chunk in flight: later ones see the new generation. */
	pthread_mutex_lock(&core->bus_lock);
	npu_bus_leave(core);
	npu_fx_flush(core, &fx);
}

void npu_core_reset(struct npu_core *core)
{
	npu_core_reset_registers(core, false);
}
