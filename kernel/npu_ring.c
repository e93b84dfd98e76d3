// SPDX-License-Identifier: GPL-2.0-only
/*
 * The jobs in flight of a queue: ring slots, doorbell, completion records.
 *
 * Everything here is on the way from a running job to its fence. What the
 * device writes is not trusted: a completion counts for the oldest job only,
 * and only with its id; the rest of the record is read once, for statistics.
 *
 * While a queue is off the hardware (reset), jobs are still taken; starting it
 * writes the ring anew from the list.
 */

#include <drm/drm_drv.h>

#include "npu_drv.h"
#include "npu_job.h"
#include "npu_queue.h"
#include "npu_trace.h"
#include "uapi/drm/npu_accel.h"

static const struct npu_job_done *npu_ring_record(struct npu_queue *queue, u32 slot)
{
	return (const struct npu_job_done *)(queue->ring + NPU_RING_ENTRIES) + slot;
}

static dma_addr_t npu_ring_record_dma(struct npu_queue *queue, u32 slot)
{
	return queue->ring_dma + NPU_RING_BYTES + slot * sizeof(struct npu_job_done);
}

static struct npu_job *npu_ring_head(struct npu_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	return list_first_entry_or_null(&queue->in_flight, struct npu_job, link);
}

static void npu_ring_fill(struct npu_queue *queue, struct npu_job *job)
{
	job->slot = queue->tail++ % NPU_RING_ENTRIES;
	queue->ring[job->slot] = (struct npu_job_entry) {
		.cmd_va = cpu_to_le64(job->cmd_va),
		.cmd_bytes = cpu_to_le32(job->cmd_bytes),
		.bind_va = cpu_to_le64(job->bind_va),
		.bind_count = cpu_to_le32(job->bind_count),
		.done_addr = cpu_to_le64(npu_ring_record_dma(queue, job->slot)),
		.seqno = cpu_to_le64(job->id),
	};
}

static void npu_ring_doorbell_locked(struct npu_queue *queue)
{
	int idx;

	if (!queue->hw_live || !drm_dev_enter(&queue->ndev->drm, &idx))
		return;
	npu_hw_queue_doorbell(queue->ndev, queue->index, queue->tail);
	drm_dev_exit(idx);
}

/* The job at the head is another one, or the queue was started: its budget begins. */
static void npu_ring_watch_locked(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;
	struct npu_job *job = npu_ring_head(queue);
	int idx;

	if (!job || !queue->hw_live || !drm_dev_enter(&ndev->drm, &idx))
		return;
	queue->watch = (struct npu_watch) {
		.job_id = job->id,
		.start_run_ns = npu_hw_queue_run_ns(ndev, queue->index),
		.progress = npu_hw_queue_progress(ndev, queue->index),
		.budgets = 1,
	};
	drm_dev_exit(idx);
	queue_delayed_work(ndev->reset_wq, &queue->watchdog,
			   nsecs_to_jiffies(queue->timeout_ns) + 1);
}

/**
 * npu_ring_push() - give a job to the hardware, or end it if none runs any more
 * @queue: queue; drm_sched sees to it that the ring has room
 * @job: job, @job->fence is initialised
 */
void npu_ring_push(struct npu_queue *queue, struct npu_job *job)
{
	unsigned long flags;
	int error;

	spin_lock_irqsave(&queue->lock, flags);
	error = queue->error;
	if (!error) {
		npu_job_get(job);
		list_add_tail(&job->link, &queue->in_flight);
		npu_ring_fill(queue, job);
		if (npu_ring_head(queue) == job)
			npu_ring_watch_locked(queue);
		trace_npu_job_run(job);
		npu_ring_doorbell_locked(queue);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (error)
		npu_job_done(job, error);
}

static void npu_ring_account(struct npu_queue *queue, const struct npu_job *job,
			     const struct npu_job_done *record)
{
	struct npu_queue_totals *totals = &queue->totals;
	u64 cycles = le64_to_cpu(READ_ONCE(record->cycles));

	totals->jobs++;
	totals->descriptors += le32_to_cpu(READ_ONCE(record->descriptors));
	totals->macs += le64_to_cpu(READ_ONCE(record->macs));
	totals->read_bytes += le64_to_cpu(READ_ONCE(record->read_bytes));
	totals->write_bytes += le64_to_cpu(READ_ONCE(record->write_bytes));
	totals->cycles += cycles;
	atomic64_inc(&queue->ndev->jobs);
	trace_npu_job_done(job, cycles, le64_to_cpu(READ_ONCE(record->start_ns)),
			   le64_to_cpu(READ_ONCE(record->end_ns)));
}

/* Whether @job's completion record is there; the rest of it may be read then. */
static bool npu_ring_complete(struct npu_queue *queue, const struct npu_job *job)
{
	if (le64_to_cpu(READ_ONCE(npu_ring_record(queue, job->slot)->seqno)) != job->id)
		return false;
	dma_rmb();
	return true;
}

static u32 npu_ring_status(struct npu_queue *queue, const struct npu_job *job)
{
	return le32_to_cpu(READ_ONCE(npu_ring_record(queue, job->slot)->status));
}

/**
 * npu_ring_reap() - signal the jobs that completed
 * @queue: queue
 *
 * A job that faulted stays: its queue's state has to be set before its fence.
 *
 * Return: whether the job at the head faulted
 */
bool npu_ring_reap(struct npu_queue *queue)
{
	struct npu_job *job, *next;
	bool faulted = false;
	unsigned long flags;
	LIST_HEAD(done);

	spin_lock_irqsave(&queue->lock, flags);
	list_for_each_entry_safe(job, next, &queue->in_flight, link) {
		if (!npu_ring_complete(queue, job))
			break;
		if (npu_ring_status(queue, job)) {
			faulted = true;
			break;
		}
		npu_ring_account(queue, job, npu_ring_record(queue, job->slot));
		list_move_tail(&job->link, &done);
	}
	if (!list_empty(&done))
		npu_ring_watch_locked(queue);
	spin_unlock_irqrestore(&queue->lock, flags);

	list_for_each_entry_safe(job, next, &done, link) {
		npu_job_done(job, 0);
		npu_job_put(job);
	}
	return faulted;
}

/**
 * npu_ring_fail() - end all jobs in flight and let none run any more
 * @queue: queue that the hardware no longer serves
 * @state: DRM_NPU_QUEUE_*
 * @error: of the jobs, also of those to come
 * @head_error: of the oldest job in flight
 *
 * A queue that has failed before keeps its first state and error.
 */
void npu_ring_fail(struct npu_queue *queue, u32 state, int error, int head_error)
{
	struct npu_job *job, *next;
	unsigned long flags;
	LIST_HEAD(dead);

	spin_lock_irqsave(&queue->lock, flags);
	if (!queue->error) {
		queue->state = state;
		WRITE_ONCE(queue->error, error);
		trace_npu_queue_fail(queue, state, npu_ring_head(queue));
	}
	list_splice_init(&queue->in_flight, &dead);
	spin_unlock_irqrestore(&queue->lock, flags);

	list_for_each_entry_safe(job, next, &dead, link) {
		npu_job_done(job, head_error);
		npu_job_put(job);
		head_error = error;
	}
}

/* Return: id of the oldest job in flight, 0 if there is none */
u64 npu_ring_head_id(struct npu_queue *queue)
{
	struct npu_job *job;
	unsigned long flags;
	u64 id;

	spin_lock_irqsave(&queue->lock, flags);
	job = npu_ring_head(queue);
	id = job ? job->id : 0;
	spin_unlock_irqrestore(&queue->lock, flags);
	return id;
}

/* Return: fault code in the completion record of the oldest job, 0 if there is none */
u32 npu_ring_head_status(struct npu_queue *queue)
{
	struct npu_job *job;
	unsigned long flags;
	u32 status = 0;

	spin_lock_irqsave(&queue->lock, flags);
	job = npu_ring_head(queue);
	if (job && npu_ring_complete(queue, job))
		status = npu_ring_status(queue, job);
	spin_unlock_irqrestore(&queue->lock, flags);
	return status;
}

/* Ring again, in case the device missed it. */
void npu_ring_doorbell(struct npu_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	npu_ring_doorbell_locked(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * npu_ring_start() - start the disabled hardware queue with all jobs in flight
 * @queue: queue
 *
 * Context: holds npu_device.reset_lock
 * Return: 0, or -EIO when the device does not accept it
 */
int npu_ring_start(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;
	struct npu_job *job;
	unsigned long flags;
	int ret;

	lockdep_assert_held(&ndev->reset_lock);
	spin_lock_irqsave(&queue->lock, flags);
	queue->tail = 0;
	list_for_each_entry(job, &queue->in_flight, link)
		npu_ring_fill(queue, job);
	ret = npu_hw_queue_start(ndev, queue->index, &queue->hw);
	if (!ret) {
		queue->start_run_ns = npu_hw_queue_run_ns(ndev, queue->index);
		queue->hw_live = true;
		npu_ring_watch_locked(queue);
		if (queue->tail)
			npu_ring_doorbell_locked(queue);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	return ret;
}

/**
 * npu_ring_stop() - ring no doorbell any more
 * @queue: queue, about to be taken off the hardware
 *
 * Context: holds npu_device.reset_lock
 */
void npu_ring_stop(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;
	unsigned long flags;
	u64 run_ns;

	lockdep_assert_held(&ndev->reset_lock);
	spin_lock_irqsave(&queue->lock, flags);
	if (queue->hw_live) {
		run_ns = npu_hw_queue_run_ns(ndev, queue->index);
		if (run_ns > queue->start_run_ns)
			queue->past_run_ns += run_ns - queue->start_run_ns;
		queue->hw_live = false;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
}
