/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device and the open file, the limits and the locks.
 *
 * Locks, outermost first. "Signalling" locks are taken on the way from a job
 * that runs to its fence: whoever holds one allocates nothing, takes no
 * dma_resv and touches no user memory.
 *
 * lock                    protects                                  may sleep
 * npu_queue.submit_lock   order of arm and push, queue's dead flag  yes
 * npu_device.detach_lock  closing of queues                         yes
 * npu_vm.lock             address space, page tables, its queues    yes
 * npu_device.vms_lock     npu_device.vms                            yes
 * dma_resv of a buffer    its pins, DMA mapping, list of mappings   yes
 * npu_device.tlb_lock     invalidation registers                    yes
 * npu_device.reset_lock   hardware state of queues, resets          signalling
 * npu_device.queues_lock  npu_device.queues                         spin
 * npu_queue.lock          jobs in flight, ring, state, counters     signalling, spin, irqsave
 * npu_fence.lock          the fence                                 spin, irqsave
 *
 * Nests: detach_lock > vm.lock > dma_resv; vm.lock > tlb_lock > reset_lock >
 * queue.lock; detach_lock > reset_lock > queues_lock; xa_lock of a file's ids >
 * queue.lock. submit_lock nests nothing but the syncobjs' own locks.
 */
#ifndef NPU_DRV_H
#define NPU_DRV_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/idr.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <drm/drm_device.h>
#include <drm/drm_file.h>

#include "isa/npu_regs.h"
#include "npu_hw.h"

struct npu_queue;
struct npu_vm;

/* What one open file may hold. */
#define NPU_FILE_VMS_MAX	16
#define NPU_FILE_QUEUES_MAX	16
/* Jobs of a queue that have been accepted and have not finished. */
#define NPU_QUEUE_JOBS_MAX	4096

#define NPU_TIMEOUT_MAX_MS	60000
/* How much longer than its budget a job may run while it makes progress. */
#define NPU_TIMEOUT_EXTENSIONS	8

/* The device has to stop a queue, or to acknowledge an invalidation, in this time. */
#define NPU_ACK_TIMEOUT_MS	100
#define NPU_RESET_TIMEOUT_MS	500

/* Usable device addresses; the low ones stay unmapped to catch null pointers. */
#define NPU_VA_START		0x10000ull
#define NPU_VA_END		BIT_ULL(NPU_VA_BITS)

/**
 * struct npu_vector - one MSI-X vector
 * @ndev: the device
 * @queues: bit q: queue q signals completions by this vector
 */
struct npu_vector {
	struct npu_device *ndev;
	u64 queues;
};

/**
 * struct npu_device - one NPU
 * @drm: base; all memory of this struct lives as long as it
 * @hw: registers and what they say about the device; set at probe
 * @ctx_table: context table, NPU_CONTEXTS pairs of root and 0; an entry is
 *	written by the owner of its context number only
 * @ctx_table_dma: its bus address
 * @vectors: MSI-X vectors; set at probe
 * @vector_count: their number, at least 2: one for events, the others for queues
 * @submit_wq: runs all schedulers' run_job and free_job, ordered
 * @reset_wq: runs watchdogs and fault handling, ordered
 * @reset_lock: see the table above
 * @reset_gen: counts device resets: invalidations before one are void
 * @dead: 0; or DMA is off for good because a reset failed (-EIO) or the driver
 *	unbinds (-ENODEV); written under @reset_lock, read without
 * @function_reset_running: job that was running when the PCI core began to
 *	reset the function; protected by @reset_lock
 * @function_reset: the PCI core is at it; protected by @reset_lock
 * @fault_mask: queues with a fault that @fault_work has not looked at
 * @fault_work: handles faults
 * @wedge_work: tells user space that the device is dead
 * @queues_lock: see the table above
 * @queues: queues on the hardware, by hardware number
 * @queue_ida: hardware queues in use, that is also those that come or go
 * @detach_lock: see the table above
 * @vms_lock: see the table above
 * @vms: address spaces on the hardware, by context number
 * @ctx_ida: contexts in use
 * @tlb_lock: see the table above
 * @event_wq: woken by device events: TLB acknowledged, queue stopped, reset
 * @job_ids: last job id given
 * @jobs: jobs completed
 * @faults: jobs ended by a fault or a hang
 * @queue_resets: queues stopped because of a hang
 * @device_resets: resets of the device
 * @queues_used: queues that files hold
 * @vms_used: address spaces that files hold
 */
struct npu_device {
	struct drm_device drm;
	struct npu_hw hw;
	__le64 *ctx_table;
	dma_addr_t ctx_table_dma;
	struct npu_vector vectors[NPU_VECTORS];
	unsigned int vector_count;

	struct workqueue_struct *submit_wq;
	struct workqueue_struct *reset_wq;
	struct mutex reset_lock;	/* table above */
	u32 reset_gen;
	int dead;
	u64 function_reset_running;
	bool function_reset;
	atomic64_t fault_mask;
	struct work_struct fault_work;
	struct work_struct wedge_work;

	spinlock_t queues_lock;	/* table above */
	struct npu_queue *queues[NPU_QUEUES];
	struct ida queue_ida;
	struct mutex detach_lock;	/* table above */

	struct mutex vms_lock;	/* table above */
	struct npu_vm *vms[NPU_CONTEXTS];
	struct ida ctx_ida;

	struct mutex tlb_lock;	/* table above */
	wait_queue_head_t event_wq;

	atomic64_t job_ids;
	atomic64_t jobs;
	atomic64_t faults;
	atomic64_t queue_resets;
	atomic64_t device_resets;
	atomic_t queues_used;
	atomic_t vms_used;
};

static inline struct npu_device *to_npu_device(struct drm_device *drm)
{
	return container_of(drm, struct npu_device, drm);
}

/**
 * struct npu_file - one open of the device node
 * @vms: struct npu_vm by id
 * @queues: struct npu_queue by id
 * @next_vm_id: where the next id is looked for; atomic in xa_alloc_cyclic()
 * @next_queue_id: likewise
 * @vm_count: address spaces held
 * @queue_count: queues held
 * @past_run_ns: device time of queues that are gone
 * @past_cycles: modelled cycles of queues that are gone
 */
struct npu_file {
	struct xarray vms;
	struct xarray queues;
	u32 next_vm_id;
	u32 next_queue_id;
	atomic_t vm_count;
	atomic_t queue_count;
	atomic64_t past_run_ns;
	atomic64_t past_cycles;
};

static inline struct npu_file *to_npu_file(struct drm_file *file)
{
	return file->driver_priv;
}

/* Frees what outlives its device; flushed before the module goes. */
extern struct workqueue_struct *npu_release_wq;

unsigned int npu_default_timeout_ms(void);

int npu_irq_init(struct npu_device *ndev);

#endif
