// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens when a job does not end well, and the only file that takes
 * queues off the hardware. Everything runs under npu_device.reset_lock.
 *
 * The watchdog of a queue compares the time that the device spent RUNNING the
 * job at the head with its budget; waiting for a turn costs nothing. A job that
 * retires descriptors gets up to NPU_TIMEOUT_EXTENSIONS budgets, one at a time.
 *
 *   hang or fault -> stop the queue -> end its jobs, ban its address space
 *                       | the device does not stop it in time
 *                       v
 *                    reset the device -> start the innocent queues again
 *                       | the device does not come back
 *                       v
 *                    dead: DMA off, all jobs end with -EIO, until rebind
 *
 * An innocent job that was on the engines when the device was reset may have
 * overwritten its own input, so it is not run again: its queue is LOST. All
 * other jobs of innocent queues had not started and run as if nothing happened.
 */

#include <linux/pci.h>
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "npu_drv.h"
#include "npu_job.h"
#include "npu_queue.h"
#include "npu_reset.h"
#include "npu_trace.h"
#include "npu_vm.h"

/* The watchdog does not look more often than this. */
#define NPU_WATCH_MIN_MS	10

/**
 * struct npu_verdict - how a queue ends
 * @state: DRM_NPU_QUEUE_*
 * @error: of its jobs
 * @head_error: of the job that was running
 */
struct npu_verdict {
	u32 state;
	int error;
	int head_error;
};

static const struct npu_verdict npu_verdict_hung = {
	.state = DRM_NPU_QUEUE_HUNG, .error = -ECANCELED, .head_error = -ETIME,
};

static const struct npu_verdict npu_verdict_faulted = {
	.state = DRM_NPU_QUEUE_FAULTED, .error = -ECANCELED, .head_error = -EFAULT,
};

static const struct npu_verdict npu_verdict_banned = {
	.state = DRM_NPU_QUEUE_BANNED, .error = -ECANCELED, .head_error = -ECANCELED,
};

static const struct npu_verdict npu_verdict_lost = {
	.state = DRM_NPU_QUEUE_LOST, .error = -ECANCELED, .head_error = -EIO,
};

/**
 * npu_reset_lock() - begin a section in which hardware queues change hands
 * @ndev: device
 *
 * Fences wait for whoever is inside, so all of it is a signalling section, and
 * that begins before the lock is taken.
 *
 * Return: cookie for npu_reset_unlock()
 */
bool npu_reset_lock(struct npu_device *ndev)
{
	bool cookie = dma_fence_begin_signalling();

	mutex_lock(&ndev->reset_lock);
	return cookie;
}

void npu_reset_unlock(struct npu_device *ndev, bool cookie)
{
	mutex_unlock(&ndev->reset_lock);
	dma_fence_end_signalling(cookie);
}

static void npu_reset_end(struct npu_queue *queue, const struct npu_verdict *verdict)
{
	npu_ring_fail(queue, verdict->state, verdict->error, verdict->head_error);
}

/* ---- One queue ---- */

static bool npu_reset_halted(struct npu_device *ndev, u32 index)
{
	u32 state = npu_hw_queue_state(ndev, index);

	return state == NPU_QUEUE_STATE_STOPPED || state == NPU_QUEUE_STATE_FAULTED ||
	       state == NPU_QUEUE_STATE_DISABLED;
}

/* Take the queue off the hardware: 0, or -EIO when only a reset can do that. */
static int npu_reset_halt(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;

	lockdep_assert_held(&ndev->reset_lock);
	npu_ring_stop(queue);
	if (!npu_hw_present(ndev))
		return -EIO;
	if (!npu_reset_halted(ndev, queue->index)) {
		npu_hw_queue_stop(ndev, queue->index);
		if (!wait_event_timeout(ndev->event_wq, npu_reset_halted(ndev, queue->index),
					msecs_to_jiffies(NPU_ACK_TIMEOUT_MS)))
			return -EIO;
	}
	return npu_hw_queue_disable(ndev, queue->index);
}

static void npu_reset_device_locked(struct npu_device *ndev, struct npu_queue *guilty,
				    const struct npu_verdict *verdict, const char *reason);

/* Stop a queue for good, and all others of its address space. */
static void npu_reset_queue_locked(struct npu_queue *guilty, const struct npu_verdict *verdict)
{
	struct npu_device *ndev = guilty->ndev;
	struct npu_vm *vm = guilty->vm;
	bool halted = true;
	u32 index;

	lockdep_assert_held(&ndev->reset_lock);
	WRITE_ONCE(vm->banned, true);
	/* The guilty one last: the others' jobs would run once the device is free. */
	for (index = 0; index < NPU_QUEUES; index++) {
		struct npu_queue *queue = ndev->queues[index];

		if (queue && queue != guilty && queue->vm == vm && !queue->error)
			halted &= !npu_reset_halt(queue);
	}
	halted &= !npu_reset_halt(guilty);
	if (!halted) {
		npu_reset_device_locked(ndev, guilty, verdict, "queue does not stop");
		return;
	}
	for (index = 0; index < NPU_QUEUES; index++) {
		struct npu_queue *queue = ndev->queues[index];

		if (!queue || queue == guilty || queue->vm != vm)
			continue;
		npu_ring_reap(queue);
		npu_reset_end(queue, &npu_verdict_banned);
	}
	/* Last, too: who sees this job's fence finds the others banned. */
	npu_ring_reap(guilty);
	npu_reset_end(guilty, verdict);
}

/**
 * npu_reset_detach_locked() - take a queue that is being closed off the hardware
 * @queue: queue
 * @error: for its jobs, also those that still wait for fences
 */
void npu_reset_detach_locked(struct npu_queue *queue, int error)
{
	const struct npu_verdict verdict = {
		.state = DRM_NPU_QUEUE_LOST, .error = error, .head_error = error,
	};
	struct npu_device *ndev = queue->ndev;

	lockdep_assert_held(&ndev->reset_lock);
	/* A device that is dead or being reset has no queues; it is not touched. */
	if (!ndev->dead && !ndev->function_reset && !queue->error && npu_reset_halt(queue))
		npu_reset_device_locked(ndev, queue, &verdict, "closed queue does not stop");
	npu_ring_reap(queue);
	npu_reset_end(queue, &verdict);
}

/* ---- The device ---- */

/* DMA off for good. Whatever the device still does, it cannot reach memory. */
static void npu_reset_dead_locked(struct npu_device *ndev, struct npu_queue *guilty, int error)
{
	const struct npu_verdict verdict = {
		.state = DRM_NPU_QUEUE_LOST, .error = error, .head_error = error,
	};
	u32 index;

	WRITE_ONCE(ndev->dead, error);
	npu_hw_pause(ndev);
	pci_clear_master(to_pci_dev(ndev->drm.dev));
	for (index = 0; index < NPU_QUEUES; index++) {
		struct npu_queue *queue = ndev->queues[index];

		if (!queue)
			continue;
		npu_ring_stop(queue);
		npu_ring_reap(queue);
		if (queue != guilty)
			npu_reset_end(queue, &verdict);
	}
	WRITE_ONCE(ndev->reset_gen, ndev->reset_gen + 1);
	wake_up_all(&ndev->event_wq);
}

/*
 * Before a reset: keep the device from taking jobs and find out which queue's
 * job is on the engines. Return: its id, 0 if there is none; one job runs at a
 * time (HW 3.4).
 */
static u64 npu_reset_begin_locked(struct npu_device *ndev)
{
	u64 running = 0;
	u32 index, state;

	npu_hw_pause(ndev);
	for (index = 0; index < NPU_QUEUES; index++) {
		struct npu_queue *queue = ndev->queues[index];

		if (!queue || !queue->hw_live)
			continue;
		npu_ring_stop(queue);
		npu_ring_reap(queue);
		state = npu_hw_queue_state(ndev, index);
		if (state == NPU_QUEUE_STATE_RUNNING || state == NPU_QUEUE_STATE_STOPPING)
			running = npu_ring_head_id(queue);
	}
	return running;
}

static void npu_reset_set_fault(struct npu_queue *queue, const struct npu_fault *fault)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->fault = *fault;
	spin_unlock_irqrestore(&queue->lock, flags);
	atomic64_inc(&queue->ndev->faults);
}

/* What a queue that was on the hardware is to become after a reset; NULL: it goes on. */
static const struct npu_verdict *npu_reset_judge(struct npu_queue *queue, u64 running)
{
	if (npu_ring_reap(queue)) {
		/* The fault record went with the reset; the completion has the code. */
		const struct npu_fault fault = { .code = npu_ring_head_status(queue) };

		npu_reset_set_fault(queue, &fault);
		WRITE_ONCE(queue->vm->banned, true);
		return &npu_verdict_faulted;
	}
	if (running && npu_ring_head_id(queue) == running)
		return &npu_verdict_lost;
	return NULL;
}

/* After a reset: end who has to end, but not @guilty, and start the others again. */
static void npu_reset_resume_locked(struct npu_device *ndev, struct npu_queue *guilty, u64 running)
{
	const struct npu_verdict *verdict;
	u32 index;

	for (index = 0; index < NPU_QUEUES; index++) {
		struct npu_queue *queue = ndev->queues[index];

		if (!queue || queue == guilty || queue->error)
			continue;
		verdict = npu_reset_judge(queue, running);
		if (verdict)
			npu_reset_end(queue, verdict);
	}
	atomic64_inc(&ndev->device_resets);
	npu_hw_run(ndev);
	for (index = 0; index < NPU_QUEUES; index++) {
		struct npu_queue *queue = ndev->queues[index];

		if (!queue || queue == guilty || queue->error)
			continue;
		if (queue->vm->banned)
			npu_reset_end(queue, &npu_verdict_banned);
		else if (npu_ring_start(queue))
			npu_reset_end(queue, &npu_verdict_lost);
	}
	WRITE_ONCE(ndev->reset_gen, ndev->reset_gen + 1);
	wake_up_all(&ndev->event_wq);
}

static void npu_reset_give_up_locked(struct npu_device *ndev, struct npu_queue *guilty,
				     const char *reason, int error)
{
	drm_err(&ndev->drm, "%s, and a reset does not help (%d): dead until rebind\n",
		reason, error);
	npu_reset_dead_locked(ndev, guilty, -EIO);
	queue_work(npu_release_wq, &ndev->wedge_work);
}

static void npu_reset_device_locked(struct npu_device *ndev, struct npu_queue *guilty,
				    const struct npu_verdict *verdict, const char *reason)
{
	u64 running;
	int ret;

	lockdep_assert_held(&ndev->reset_lock);
	running = npu_reset_begin_locked(ndev);
	ret = npu_hw_reset(ndev);
	trace_npu_reset(ndev, reason, ret);
	if (ret) {
		npu_reset_give_up_locked(ndev, guilty, reason, ret);
	} else {
		drm_warn(&ndev->drm, "%s: device was reset\n", reason);
		npu_reset_resume_locked(ndev, guilty, running);
	}
	if (guilty) {
		npu_ring_reap(guilty);
		npu_reset_end(guilty, verdict);
	}
}

/**
 * npu_reset_device() - reset the device, unless that happened in the meantime
 * @ndev: device
 * @gen: npu_device.reset_gen when the caller began to wait
 * @reason: for the log
 *
 * Context: between drm_dev_enter() and drm_dev_exit()
 */
void npu_reset_device(struct npu_device *ndev, u32 gen, const char *reason)
{
	bool cookie = npu_reset_lock(ndev);

	if (!ndev->dead && !ndev->function_reset && ndev->reset_gen == gen)
		npu_reset_device_locked(ndev, NULL, NULL, reason);
	npu_reset_unlock(ndev, cookie);
}

/**
 * npu_reset_prepare_function() - the PCI core is going to reset the function
 * @ndev: device
 *
 * The lock cannot be kept until npu_reset_finish_function(), because the PCI
 * core takes locks under which it allocates. So the device is made quiet here,
 * and nobody else touches it while @function_reset is set.
 */
void npu_reset_prepare_function(struct npu_device *ndev)
{
	bool cookie = npu_reset_lock(ndev);
	int ret;

	if (!ndev->dead) {
		ndev->function_reset_running = npu_reset_begin_locked(ndev);
		ret = npu_hw_reset(ndev);
		if (ret)
			npu_reset_give_up_locked(ndev, NULL, "function reset", ret);
	}
	ndev->function_reset = true;
	npu_reset_unlock(ndev, cookie);
}

void npu_reset_finish_function(struct npu_device *ndev)
{
	bool cookie = npu_reset_lock(ndev);
	int ret;

	ndev->function_reset = false;
	if (!ndev->dead) {
		ret = npu_hw_reset(ndev);
		trace_npu_reset(ndev, "function reset", ret);
		if (ret)
			npu_reset_give_up_locked(ndev, NULL, "function reset", ret);
		else
			npu_reset_resume_locked(ndev, NULL, ndev->function_reset_running);
	}
	npu_reset_unlock(ndev, cookie);
}

/* The bus says that the device cannot be used any more. */
void npu_reset_dead(struct npu_device *ndev, const char *reason)
{
	bool cookie = npu_reset_lock(ndev);

	if (!ndev->dead) {
		drm_err(&ndev->drm, "%s: dead until rebind\n", reason);
		npu_reset_dead_locked(ndev, NULL, -EIO);
		queue_work(npu_release_wq, &ndev->wedge_work);
	}
	npu_reset_unlock(ndev, cookie);
}

/**
 * npu_reset_shutdown() - stop the device for good, because the driver unbinds
 * @ndev: device
 *
 * When it returns, the device touches no memory and all jobs that it had have
 * ended with -ENODEV.
 */
void npu_reset_shutdown(struct npu_device *ndev)
{
	bool cookie = npu_reset_lock(ndev);

	npu_hw_reset(ndev);
	npu_reset_dead_locked(ndev, NULL, -ENODEV);
	npu_reset_unlock(ndev, cookie);
}

/* ---- Watchdog ---- */

/* A job that has waited for long although the device does nothing. */
static bool npu_watch_stalled(struct npu_queue *queue, struct npu_watch *watch)
{
	struct npu_device *ndev = queue->ndev;
	u64 jobs = atomic64_read(&ndev->jobs) + atomic64_read(&ndev->faults);

	if (npu_hw_busy(ndev) || (watch->stalls && watch->stall_jobs != jobs)) {
		watch->stalls = 0;
		return false;
	}
	watch->stall_jobs = jobs;
	/* A doorbell may have got lost; the device has earned a second chance. */
	if (!watch->stalls++)
		npu_ring_doorbell(queue);
	return watch->stalls > 2;
}

/*
 * Look at the job at the head. Return: when to look again, in jiffies, 0 when
 * there is no need to, or -ETIME when it hangs.
 */
static long npu_watch_look(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;
	struct npu_watch watch;
	unsigned long flags;
	u64 run_ns, budget_ns, progress, left_ns;

	spin_lock_irqsave(&queue->lock, flags);
	watch = queue->watch;
	if (list_empty(&queue->in_flight) || queue->error || !queue->hw_live)
		watch.job_id = 0;
	spin_unlock_irqrestore(&queue->lock, flags);
	if (!watch.job_id)
		return 0;

	run_ns = npu_hw_queue_run_ns(ndev, queue->index) - watch.start_run_ns;
	progress = npu_hw_queue_progress(ndev, queue->index);
	budget_ns = watch.budgets * queue->timeout_ns;
	if (run_ns >= budget_ns) {
		if (progress == watch.progress || watch.budgets == NPU_TIMEOUT_EXTENSIONS)
			return -ETIME;
		watch.progress = progress;
		watch.budgets++;
		left_ns = queue->timeout_ns;
	} else {
		if (npu_watch_stalled(queue, &watch))
			return -ETIME;
		left_ns = watch.stalls ? NPU_ACK_TIMEOUT_MS * NSEC_PER_MSEC : budget_ns - run_ns;
	}

	spin_lock_irqsave(&queue->lock, flags);
	if (queue->watch.job_id == watch.job_id)
		queue->watch = watch;
	spin_unlock_irqrestore(&queue->lock, flags);
	return nsecs_to_jiffies(max_t(u64, left_ns, NPU_WATCH_MIN_MS * NSEC_PER_MSEC)) + 1;
}

static void npu_reset_hang_locked(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;

	atomic64_inc(&ndev->queue_resets);
	atomic64_inc(&ndev->faults);
	npu_reset_queue_locked(queue, &npu_verdict_hung);
}

static void npu_reset_fault_locked(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;
	struct npu_fault fault = {};
	bool faulted;

	faulted = npu_ring_reap(queue);
	if (npu_hw_queue_state(ndev, queue->index) == NPU_QUEUE_STATE_FAULTED)
		npu_hw_queue_fault(ndev, queue->index, &fault);
	else if (faulted)
		fault.code = npu_ring_head_status(queue);
	else
		return;

	npu_reset_set_fault(queue, &fault);
	npu_reset_queue_locked(queue, fault.code == NPU_FAULT_WATCHDOG ? &npu_verdict_hung :
									&npu_verdict_faulted);
}

/**
 * npu_reset_watchdog() - work: look at the job at the head of a queue
 * @work: npu_queue.watchdog
 */
void npu_reset_watchdog(struct work_struct *work)
{
	struct npu_queue *queue = container_of(to_delayed_work(work), struct npu_queue, watchdog);
	struct npu_device *ndev = queue->ndev;
	long again = 0;
	bool cookie;
	int idx;

	if (!drm_dev_enter(&ndev->drm, &idx))
		return;
	cookie = npu_reset_lock(ndev);
	if (!ndev->dead && !ndev->function_reset && !queue->error && queue->vm) {
		if (npu_ring_reap(queue))
			npu_reset_fault_locked(queue);
		else
			again = npu_watch_look(queue);
		if (again < 0)
			npu_reset_hang_locked(queue);
	}
	if (again > 0)
		queue_delayed_work(ndev->reset_wq, &queue->watchdog, again);
	npu_reset_unlock(ndev, cookie);
	drm_dev_exit(idx);
}

static void npu_reset_fault_work(struct work_struct *work)
{
	struct npu_device *ndev = container_of(work, struct npu_device, fault_work);
	u64 queues = atomic64_xchg(&ndev->fault_mask, 0);
	bool cookie;
	u32 index;
	int idx;

	if (!drm_dev_enter(&ndev->drm, &idx))
		return;
	cookie = npu_reset_lock(ndev);
	for (index = 0; index < NPU_QUEUES; index++) {
		struct npu_queue *queue = ndev->queues[index];

		if (!(queues & BIT_ULL(index)) || !queue || queue->error)
			continue;
		/* After a function reset, the completion tells what there was. */
		if (!ndev->dead && !ndev->function_reset)
			npu_reset_fault_locked(queue);
	}
	npu_reset_unlock(ndev, cookie);
	drm_dev_exit(idx);
}

/**
 * npu_reset_faults() - have faults looked at soon
 * @ndev: device
 * @queues: bit q: queue q
 */
void npu_reset_faults(struct npu_device *ndev, u64 queues)
{
	atomic64_or(queues, &ndev->fault_mask);
	queue_work(ndev->reset_wq, &ndev->fault_work);
}

/* Tell user space, which may rebind the driver. */
static void npu_reset_wedge_work(struct work_struct *work)
{
	struct npu_device *ndev = container_of(work, struct npu_device, wedge_work);
	char event[] = "WEDGED=rebind";
	char *env[2] = { event };

	kobject_uevent_env(&ndev->drm.accel->kdev->kobj, KOBJ_CHANGE, env);
}

static void npu_reset_destroy_wq(struct drm_device *drm, void *wq)
{
	destroy_workqueue(wq);
}

int npu_reset_init(struct npu_device *ndev)
{
	int ret;

	ret = drmm_mutex_init(&ndev->drm, &ndev->reset_lock);
	if (ret)
		return ret;
	atomic64_set(&ndev->fault_mask, 0);
	INIT_WORK(&ndev->fault_work, npu_reset_fault_work);
	INIT_WORK(&ndev->wedge_work, npu_reset_wedge_work);
	init_waitqueue_head(&ndev->event_wq);

	ndev->reset_wq = alloc_ordered_workqueue("npu-reset", WQ_MEM_RECLAIM);
	if (!ndev->reset_wq)
		return -ENOMEM;
	ret = drmm_add_action_or_reset(&ndev->drm, npu_reset_destroy_wq, ndev->reset_wq);
	if (ret)
		return ret;
	ndev->submit_wq = alloc_ordered_workqueue("npu-submit", WQ_MEM_RECLAIM);
	if (!ndev->submit_wq)
		return -ENOMEM;
	return drmm_add_action_or_reset(&ndev->drm, npu_reset_destroy_wq, ndev->submit_wq);
}
