/* SPDX-License-Identifier: MIT */
/*
 * The NPU without QEMU: the whole interface of the device core.
 *
 * The owner (QEMU glue, the library's in-process device, unit tests, fuzzers)
 * forwards register accesses and resets, and gives callbacks for the bus. The
 * core owns its threads, the scratchpad and all device state. It never aborts
 * and never prints: what a guest did wrong goes to the log callback.
 *
 * Locking: npu_core_mmio_*() and npu_core_reset() may be called from any thread.
 * Register accesses only latch and notify; they take a short lock and never wait
 * for a worker. A reset, also one by register, waits for one chunk of DMA at most.
 * Callbacks come from a worker or from a register access (irq, now_ns, log). They
 * may access registers, but may not reset or destroy the core.
 */
#ifndef NPU_CORE_H
#define NPU_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct npu_core;

enum npu_core_variant {
	NPU_CORE_VARIANT_AUTO = 0,	/* the best that the host has */
	NPU_CORE_VARIANT_SCALAR,
	NPU_CORE_VARIANT_AVX2,
	NPU_CORE_VARIANT_AVX512,
};

/**
 * struct npu_core_config - properties of a device; 0 means the default
 * @array_rows: multiplier rows, 4 .. 256 (default 16)
 * @array_cols: multiplier columns, a multiple of 4, 4 .. 256 (default 32)
 * @spm_bytes: scratchpad, multiple of 4 KiB, 64 KiB .. 16 MiB (default 8 MiB)
 * @acc_bytes: accumulators, multiple of 4 KiB, 16 KiB .. 1 MiB (default 256 KiB)
 * @clock_khz: clock of the timing model (default 1 GHz)
 * @dma_bytes_per_kcycle: memory bandwidth (default 16000: 16 GB/s at 1 GHz)
 * @dma_latency_cycles: memory latency, >= 1 (default 100)
 * @dma_bursts: 64-byte bursts in flight (default 32)
 * @ve_bytes_per_cycle: vector width (default 64)
 * @threads: host threads that compute, the run thread included (default: host's cores, at most 64)
 * @variant: kernels to use
 * @watchdog_ms: a job that runs longer faults WATCHDOG; 0: never. In
 *	synchronous mode, longer in modelled time
 * @synchronous: no threads; jobs run inside npu_core_run() (tests, fuzzing)
 */
struct npu_core_config {
	uint32_t array_rows;
	uint32_t array_cols;
	uint32_t spm_bytes;
	uint32_t acc_bytes;
	uint32_t clock_khz;
	uint32_t dma_bytes_per_kcycle;
	uint32_t dma_latency_cycles;
	uint32_t dma_bursts;
	uint32_t ve_bytes_per_cycle;
	uint32_t threads;
	enum npu_core_variant variant;
	uint32_t watchdog_ms;
	bool synchronous;
};

enum npu_core_log {
	NPU_CORE_LOG_GUEST_ERROR,	/* the guest broke a rule of docs/hardware.md */
	NPU_CORE_LOG_FAULT,		/* a job faulted */
	NPU_CORE_LOG_TRACE,		/* job start and end, resets */
};

/**
 * struct npu_core_ops - what the core needs from its owner
 * @dma_read: copy from the bus, at most 64 KiB a call; 0, or -EFAULT when any
 *	byte is not RAM (nothing the device does may touch other devices)
 * @dma_write: copy to the bus, same rules
 * @irq: raise MSI-X @vector; must not wait for a core thread
 * @now_ns: device clock, monotonic
 * @log: one line of text, no newline
 * @thread_enter: called first in each core thread, may be NULL
 * @thread_exit: called last in each core thread, may be NULL
 */
struct npu_core_ops {
	int (*dma_read)(void *opaque, uint64_t bus_addr, void *buf, size_t bytes);
	int (*dma_write)(void *opaque, uint64_t bus_addr, const void *buf, size_t bytes);
	void (*irq)(void *opaque, unsigned int vector);
	uint64_t (*now_ns)(void *opaque);
	void (*log)(void *opaque, enum npu_core_log level, const char *text);
	void (*thread_enter)(void *opaque);
	void (*thread_exit)(void *opaque);
};

/*
 * Check @config and make a device in its reset state. Returns NULL and a
 * static text in @error (may be NULL) when a property is out of range, the
 * variant is not there on this host, or memory or threads are lacking.
 */
struct npu_core *npu_core_create(const struct npu_core_config *config,
				 const struct npu_core_ops *ops, void *opaque,
				 const char **error);

/*
 * Stop all threads and free. The caller guarantees that no other call is in
 * progress. No callback runs after it returns.
 */
void npu_core_destroy(struct npu_core *core);

/*
 * Register access, BAR 0 offset; @bytes is 4 or 8 and @offset a multiple of
 * it. Anything else, and unknown registers, read 0, change nothing and log.
 */
uint64_t npu_core_mmio_read(struct npu_core *core, uint64_t offset, unsigned int bytes);
void npu_core_mmio_write(struct npu_core *core, uint64_t offset, uint64_t value,
			 unsigned int bytes);

/*
 * Function-level, bus or machine reset: all state as after create. Returns at
 * once; a running job is abandoned, and once this returns, no byte of guest
 * memory is written and no interrupt raised on its behalf.
 */
void npu_core_reset(struct npu_core *core);

/*
 * Synchronous mode: serve queues in the calling thread until none is
 * runnable, at most @max_jobs jobs. A job that would wait for ever stays
 * RUNNING and this returns. Returns the number of jobs that ended.
 */
unsigned int npu_core_run(struct npu_core *core, unsigned int max_jobs);

/* Names of the kernels in use ("scalar", "avx2", "avx512"). */
const char *npu_core_variant_name(const struct npu_core *core);

/* Whether the host can run @variant. */
bool npu_core_variant_available(enum npu_core_variant variant);

#endif
