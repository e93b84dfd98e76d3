/* SPDX-License-Identifier: GPL-2.0-only */
/* Queues; see npu_queue.c. */
#ifndef NPU_QUEUE_H
#define NPU_QUEUE_H

#include <linux/bits.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/workqueue.h>
#include <drm/gpu_scheduler.h>

#include "npu_hw.h"

struct npu_device;
struct npu_file;
struct npu_job;
struct npu_vm;

#define NPU_RING_LOG2		6
#define NPU_RING_ENTRIES	BIT(NPU_RING_LOG2)
#define NPU_RING_BYTES		(NPU_RING_ENTRIES * sizeof(struct npu_job_entry))

/**
 * struct npu_queue_totals - sums over completed jobs
 * @jobs: jobs
 * @descriptors: descriptors
 * @macs: multiply-accumulates
 * @read_bytes: bytes read
 * @write_bytes: bytes written
 * @cycles: modelled cycles
 */
struct npu_queue_totals {
	u64 jobs;
	u64 descriptors;
	u64 macs;
	u64 read_bytes;
	u64 write_bytes;
	u64 cycles;
};

/**
 * struct npu_watch - what the watchdog knows about the job at the head
 * @job_id: the job
 * @start_run_ns: RUN_NS when it became the head
 * @progress: PROGRESS when its budget was last extended
 * @budgets: budgets it has been given, 1 .. NPU_TIMEOUT_EXTENSIONS
 * @stalls: looks that found the device idle although the job waits
 * @stall_jobs: jobs that the device had ended at the first of them
 */
struct npu_watch {
	u64 job_id;
	u64 start_run_ns;
	u64 progress;
	u32 budgets;
	u32 stalls;
	u64 stall_jobs;
};

/**
 * struct npu_queue - one queue: one scheduler, one entity, one hardware queue
 * @ref: holders that may use it: its file, its jobs, who looks at it
 * @memory_ref: holders of its memory only: the above as one, and its fences.
 *	drm_sched's fences use the scheduler's name as long as they live, which
 *	may be longer than everything else
 * @ndev: the device
 * @vm: address space of its jobs, until it is off the hardware; protected by
 *	npu_device.reset_lock, written under detach_lock too
 * @sched: hands jobs to npu_job.c one by one, up to the size of the ring
 * @entity: the only one of @sched
 * @name: of @sched and of fences
 * @release_work: takes @sched down, after the last of @ref is gone
 * @index: hardware number
 * @timeout_ns: running time that a job may take
 * @submit_lock: see npu_drv.h
 * @closed: destroyed, takes no jobs; protected by @submit_lock
 * @pending: jobs accepted that have not been freed
 * @watchdog: looks at the job at the head while there is one
 * @fence_context: of the hardware fences
 * @fence_seqno: of the last hardware fence; only used by run_job
 * @hw: how the hardware queue is started
 * @ring: slots, and behind them a completion record for each; protected by
 *	@lock, NULL when the queue is off the hardware
 * @ring_dma: their bus address
 * @lock: see npu_drv.h
 * @in_flight: jobs in the ring, oldest first; protected by @lock
 * @tail: free-running count of slots filled; protected by @lock
 * @hw_live: the hardware queue is enabled: doorbells may be rung; protected by
 *	@lock, written under npu_device.reset_lock too
 * @state: DRM_NPU_QUEUE_*; protected by @lock
 * @error: 0, or why no job runs any more; protected by @lock, read without
 * @fault: record of the fault that ended it; protected by @lock
 * @watch: protected by @lock
 * @totals: protected by @lock
 * @past_run_ns: device time before @start_run_ns; protected by @lock
 * @start_run_ns: RUN_NS when the hardware queue was started; protected by @lock
 */
struct npu_queue {
	struct kref ref;
	struct kref memory_ref;
	struct npu_device *ndev;
	struct npu_vm *vm;
	struct drm_gpu_scheduler sched;
	struct drm_sched_entity entity;
	char name[24];
	struct work_struct release_work;
	u32 index;
	u64 timeout_ns;

	struct mutex submit_lock;	/* see npu_drv.h */
	bool closed;
	atomic_t pending;

	struct delayed_work watchdog;
	u64 fence_context;
	u64 fence_seqno;

	struct npu_hw_queue hw;
	struct npu_job_entry *ring;
	dma_addr_t ring_dma;

	spinlock_t lock;	/* see npu_drv.h */
	struct list_head in_flight;
	u32 tail;
	bool hw_live;
	u32 state;
	int error;
	struct npu_fault fault;
	struct npu_watch watch;
	struct npu_queue_totals totals;
	u64 past_run_ns;
	u64 start_run_ns;
};

struct npu_queue *npu_queue_lookup(struct npu_file *nfile, u32 id);
struct npu_queue *npu_queue_get_by_index(struct npu_device *ndev, u32 index);
void npu_queue_put(struct npu_queue *queue);
void npu_queue_memory_put(struct npu_queue *queue);
void npu_queue_close_file(struct npu_file *nfile);
void npu_queue_unplug_all(struct npu_device *ndev);
u64 npu_queue_run_ns(struct npu_queue *queue);
u64 npu_queue_cycles(struct npu_queue *queue);

int npu_ioctl_queue_create(struct drm_device *drm, void *data, struct drm_file *file);
int npu_ioctl_queue_destroy(struct drm_device *drm, void *data, struct drm_file *file);
int npu_ioctl_queue_query(struct drm_device *drm, void *data, struct drm_file *file);

/* npu_ring.c: the jobs in flight */
void npu_ring_push(struct npu_queue *queue, struct npu_job *job);
bool npu_ring_reap(struct npu_queue *queue);
void npu_ring_fail(struct npu_queue *queue, u32 state, int error, int head_error);
u64 npu_ring_head_id(struct npu_queue *queue);
u32 npu_ring_head_status(struct npu_queue *queue);
void npu_ring_doorbell(struct npu_queue *queue);
int npu_ring_start(struct npu_queue *queue);
void npu_ring_stop(struct npu_queue *queue);

#endif
