/* SPDX-License-Identifier: GPL-2.0-only */
/* Jobs and their hardware fences; see npu_job.c. */
#ifndef NPU_JOB_H
#define NPU_JOB_H

#include <linux/dma-fence.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <drm/gpu_scheduler.h>

struct npu_queue;

/**
 * struct npu_fence - signalled when the hardware is done with a job
 * @base: drm_sched's fences are the ones that user space sees; they hold this
 *	one as their parent
 * @lock: of @base
 * @queue: its memory is held, see struct npu_queue
 */
struct npu_fence {
	struct dma_fence base;
	spinlock_t lock;	/* of @base */
	struct npu_queue *queue;
};

/**
 * struct npu_job - one job
 * @base: drm_sched's part
 * @ref: drm_sched, and the ring while the job is in flight
 * @queue: queue, held
 * @fence: made with the job, so that running it allocates nothing
 * @id: device-wide number, in the ring slot and in all trace events
 * @link: in npu_queue.in_flight
 * @slot: of the ring; protected by npu_queue.lock
 * @accepted: counted in npu_queue.pending
 * @started: @fence is initialised
 * @cmd_va: command buffer
 * @bind_va: binding table
 * @cmd_bytes: size of the command buffer
 * @bind_count: entries of the binding table
 */
struct npu_job {
	struct drm_sched_job base;
	struct kref ref;
	struct npu_queue *queue;
	struct npu_fence *fence;
	u64 id;
	struct list_head link;
	u32 slot;
	bool accepted;
	bool started;
	u64 cmd_va;
	u64 bind_va;
	u32 cmd_bytes;
	u32 bind_count;
};

extern const struct drm_sched_backend_ops npu_sched_ops;

void npu_job_get(struct npu_job *job);
void npu_job_put(struct npu_job *job);
void npu_job_done(struct npu_job *job, int error);

int npu_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *file);

#endif
