// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: from the SUBMIT ioctl through drm_sched to the ring, and their fences.
 *
 * Everything that can fail, memory for fences included, is done before the
 * first job of a call is armed; from there on nothing fails. Armed jobs always
 * reach run_job, also those of a dead queue: there they end with an error. An
 * entity with jobs is never killed, because drm_sched would end them with an
 * error of its own choice, and without a parent fence (see struct npu_queue).
 *
 * drm_sched's timeout is not used: it counts wall time, and waiting for a turn
 * on the device is no hang. npu_reset.c has a watchdog per queue.
 */

#include <linux/slab.h>
#include <drm/drm_drv.h>
#include <drm/drm_syncobj.h>

#include "npu_compat.h"
#include "npu_drv.h"
#include "npu_job.h"
#include "npu_queue.h"
#include "npu_trace.h"
#include "npu_uapi.h"

/* ---- Hardware fences ---- */

static struct npu_fence *to_npu_fence(struct dma_fence *base)
{
	return container_of(base, struct npu_fence, base);
}

static const char *npu_fence_driver_name(struct dma_fence *base)
{
	return "npu";
}

static const char *npu_fence_timeline_name(struct dma_fence *base)
{
	return to_npu_fence(base)->queue->name;
}

static void npu_fence_free(struct npu_fence *fence)
{
	struct npu_queue *queue = fence->queue;

	kfree(fence);
	npu_queue_memory_put(queue);
}

static void npu_fence_free_rcu(struct rcu_head *rcu)
{
	npu_fence_free(to_npu_fence(container_of(rcu, struct dma_fence, rcu)));
}

static void npu_fence_release(struct dma_fence *base)
{
	call_rcu(&base->rcu, npu_fence_free_rcu);
}

static const struct dma_fence_ops npu_fence_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = npu_fence_driver_name,
	.get_timeline_name = npu_fence_timeline_name,
	.release = npu_fence_release,
};

static struct npu_fence *npu_fence_alloc(struct npu_queue *queue)
{
	struct npu_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);

	if (!fence)
		return NULL;
	spin_lock_init(&fence->lock);
	kref_get(&queue->memory_ref);
	fence->queue = queue;
	return fence;
}

/* ---- Jobs ---- */

static struct npu_job *to_npu_job(struct drm_sched_job *base)
{
	return container_of(base, struct npu_job, base);
}

static void npu_job_release(struct kref *ref)
{
	struct npu_job *job = container_of(ref, struct npu_job, ref);
	struct npu_queue *queue = job->queue;

	if (job->started)
		dma_fence_put(&job->fence->base);
	else if (job->fence)
		npu_fence_free(job->fence);
	if (job->accepted)
		atomic_dec(&queue->pending);
	kfree(job);
	npu_queue_put(queue);
}

void npu_job_get(struct npu_job *job)
{
	kref_get(&job->ref);
}

void npu_job_put(struct npu_job *job)
{
	kref_put(&job->ref, npu_job_release);
}

/**
 * npu_job_done() - signal the hardware fence of a job
 * @job: job, started
 * @error: 0 or -errno
 */
void npu_job_done(struct npu_job *job, int error)
{
	trace_npu_job_signal(job, error);
	if (error)
		dma_fence_set_error(&job->fence->base, error);
	dma_fence_signal(&job->fence->base);
}

static struct dma_fence *npu_sched_run_job(struct drm_sched_job *base)
{
	struct npu_job *job = to_npu_job(base);
	struct npu_queue *queue = job->queue;
	bool cookie = dma_fence_begin_signalling();

	dma_fence_init(&job->fence->base, &npu_fence_ops, &job->fence->lock,
		       queue->fence_context, ++queue->fence_seqno);
	job->started = true;
	/* drm_sched takes over a reference. */
	dma_fence_get(&job->fence->base);
	npu_ring_push(queue, job);
	dma_fence_end_signalling(cookie);
	return &job->fence->base;
}

static void npu_sched_free_job(struct drm_sched_job *base)
{
	drm_sched_job_cleanup(base);
	npu_job_put(to_npu_job(base));
}

const struct drm_sched_backend_ops npu_sched_ops = {
	.run_job = npu_sched_run_job,
	.free_job = npu_sched_free_job,
};

static int npu_job_check(const struct drm_npu_job *in)
{
	const u64 bind_bytes = (u64)in->bind_count * sizeof(u64);

	if (in->flags || in->pad)
		return -EINVAL;
	if (!in->cmd_bytes || in->cmd_bytes > NPU_CMD_BYTES_MAX)
		return -EINVAL;
	if (!IS_ALIGNED(in->cmd_va | in->cmd_bytes, 64))
		return -EINVAL;
	if (in->cmd_va < NPU_VA_START || in->cmd_va > NPU_VA_END - in->cmd_bytes)
		return -EINVAL;
	if (in->bind_count > NPU_REGS || !IS_ALIGNED(in->bind_va, sizeof(u64)))
		return -EINVAL;
	if (!in->bind_count)
		return in->bind_va ? -EINVAL : 0;
	if (in->bind_va < NPU_VA_START || in->bind_va > NPU_VA_END - bind_bytes)
		return -EINVAL;
	return 0;
}

/* A job that is not armed yet; it holds @queue. */
static struct npu_job *npu_job_make(struct npu_queue *queue, const struct drm_npu_job *in,
				    struct drm_file *file)
{
	struct npu_job *job;
	int ret;

	job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	if (!job)
		return ERR_PTR(-ENOMEM);
	kref_init(&job->ref);
	kref_get(&queue->ref);
	job->queue = queue;
	job->cmd_va = in->cmd_va;
	job->cmd_bytes = in->cmd_bytes;
	job->bind_va = in->bind_va;
	job->bind_count = in->bind_count;
	job->fence = npu_fence_alloc(queue);
	ret = job->fence ? npu_compat_sched_job_init(&job->base, &queue->entity, file,
						     file->client_id) : -ENOMEM;
	if (ret) {
		npu_job_put(job);
		return ERR_PTR(ret);
	}
	return job;
}

/* ---- Submission ---- */

/**
 * struct npu_signal - a syncobj that a job will signal
 * @syncobj: held
 * @chain: link of its timeline, preallocated; NULL if it is binary
 * @point: of the timeline
 */
struct npu_signal {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;
	u64 point;
};

/**
 * struct npu_submission_job - a job of a call
 * @job: job, ours until it is pushed
 * @signals: what it signals
 * @signal_count: number of @signals
 */
struct npu_submission_job {
	struct npu_job *job;
	struct npu_signal *signals;
	u32 signal_count;
};

/**
 * struct npu_submission - one call
 * @queue: queue, held
 * @file: caller
 * @jobs: its jobs
 * @count: number of @jobs
 * @signalled: struct npu_signal of the jobs so far by address of the syncobj;
 *	for a timeline the one with the highest point
 */
struct npu_submission {
	struct npu_queue *queue;
	struct drm_file *file;
	struct npu_submission_job *jobs;
	u32 count;
	struct xarray signalled;
};

static int npu_sync_check(const struct drm_npu_sync *sync)
{
	if (sync->flags & ~(DRM_NPU_SYNC_SIGNAL | DRM_NPU_SYNC_TIMELINE))
		return -EINVAL;
	return !(sync->flags & DRM_NPU_SYNC_TIMELINE) == !sync->point ? 0 : -EINVAL;
}

/*
 * Whether an earlier job of the call signals what @sync waits for. The queue
 * runs in order, so nothing more has to be waited for.
 */
static bool npu_submission_signals(struct npu_submission *sub, const struct drm_npu_sync *sync)
{
	struct drm_syncobj *syncobj = drm_syncobj_find(sub->file, sync->handle);
	struct npu_signal *signal;

	if (!syncobj)
		return false;
	signal = xa_load(&sub->signalled, (unsigned long)syncobj);
	drm_syncobj_put(syncobj);
	if (!signal)
		return false;
	return !sync->point || (signal->chain && signal->point >= sync->point);
}

static int npu_submission_add_waits(struct npu_submission *sub, struct npu_job *job,
				    const struct drm_npu_sync *syncs, u32 count)
{
	struct dma_fence *fence;
	u32 i;
	int ret;

	for (i = 0; i < count; i++) {
		if (syncs[i].flags & DRM_NPU_SYNC_SIGNAL)
			continue;
		if (npu_submission_signals(sub, &syncs[i]))
			continue;
		ret = drm_syncobj_find_fence(sub->file, syncs[i].handle, syncs[i].point, 0, &fence);
		if (ret)
			return ret;
		ret = drm_sched_job_add_dependency(&job->base, fence);
		if (ret)
			return ret;
	}
	return 0;
}

static int npu_submission_add_signals(struct npu_submission *sub, struct npu_submission_job *sjob,
				      const struct drm_npu_sync *syncs, u32 count)
{
	u32 i;

	sjob->signals = kvcalloc(count, sizeof(*sjob->signals), GFP_KERNEL_ACCOUNT);
	if (!sjob->signals)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		struct npu_signal *signal = &sjob->signals[sjob->signal_count];
		struct npu_signal *before;
		unsigned long key;

		if (!(syncs[i].flags & DRM_NPU_SYNC_SIGNAL))
			continue;
		signal->syncobj = drm_syncobj_find(sub->file, syncs[i].handle);
		if (!signal->syncobj)
			return -ENOENT;
		/* From here on freed with the submission. */
		sjob->signal_count++;
		signal->point = syncs[i].point;
		if (signal->point) {
			signal->chain = dma_fence_chain_alloc();
			if (!signal->chain)
				return -ENOMEM;
		}
		key = (unsigned long)signal->syncobj;
		before = xa_load(&sub->signalled, key);
		if (before && before->chain && signal->chain && before->point > signal->point)
			continue;
		if (xa_is_err(xa_store(&sub->signalled, key, signal, GFP_KERNEL_ACCOUNT)))
			return -ENOMEM;
	}
	return 0;
}

static int npu_submission_add_job(struct npu_submission *sub, struct npu_submission_job *sjob,
				  const struct drm_npu_job *in)
{
	struct drm_npu_sync *syncs;
	int ret;
	u32 i;

	ret = npu_job_check(in);
	if (ret)
		return ret;
	syncs = npu_uapi_array_copy(&in->syncs, sizeof(*syncs), DRM_NPU_SYNCS_MAX);
	if (IS_ERR(syncs))
		return PTR_ERR(syncs);
	for (i = 0; i < in->syncs.count; i++) {
		ret = npu_sync_check(&syncs[i]);
		if (ret)
			goto out;
	}
	sjob->job = npu_job_make(sub->queue, in, sub->file);
	if (IS_ERR(sjob->job)) {
		ret = PTR_ERR(sjob->job);
		sjob->job = NULL;
		goto out;
	}
	ret = npu_submission_add_waits(sub, sjob->job, syncs, in->syncs.count);
	if (!ret && in->syncs.count)
		ret = npu_submission_add_signals(sub, sjob, syncs, in->syncs.count);
out:
	kvfree(syncs);
	return ret;
}

/* Arm and push one job; its signals become visible. Nothing here fails. */
static void npu_submission_push(struct npu_submission_job *sjob)
{
	struct npu_job *job = sjob->job;
	struct dma_fence *done;
	u32 i;

	job->id = atomic64_inc_return(&job->queue->ndev->job_ids);
	job->accepted = true;
	drm_sched_job_arm(&job->base);
	done = dma_fence_get(&job->base.s_fence->finished);
	trace_npu_job_submit(job);
	/* It may be over and freed when this returns. */
	sjob->job = NULL;
	drm_sched_entity_push_job(&job->base);
	for (i = 0; i < sjob->signal_count; i++) {
		struct npu_signal *signal = &sjob->signals[i];

		if (signal->chain) {
			drm_syncobj_add_point(signal->syncobj, signal->chain, done, signal->point);
			signal->chain = NULL;
		} else {
			drm_syncobj_replace_fence(signal->syncobj, done);
		}
	}
	dma_fence_put(done);
}

static int npu_submission_commit(struct npu_submission *sub)
{
	struct npu_queue *queue = sub->queue;
	bool cookie;
	int ret;
	u32 i;

	ret = mutex_lock_interruptible(&queue->submit_lock);
	if (ret)
		return ret;
	ret = queue->closed ? -ENOENT : READ_ONCE(queue->error) ?: READ_ONCE(queue->ndev->dead);
	if (ret)
		goto out_unlock;
	if (atomic_add_return(sub->count, &queue->pending) > NPU_QUEUE_JOBS_MAX) {
		atomic_sub(sub->count, &queue->pending);
		ret = -ENOSPC;
		goto out_unlock;
	}
	cookie = dma_fence_begin_signalling();
	for (i = 0; i < sub->count; i++)
		npu_submission_push(&sub->jobs[i]);
	dma_fence_end_signalling(cookie);
out_unlock:
	mutex_unlock(&queue->submit_lock);
	return ret;
}

/* Free what was not given away. */
static void npu_submission_free(struct npu_submission *sub)
{
	u32 i, k;

	for (i = 0; i < sub->count; i++) {
		struct npu_submission_job *sjob = &sub->jobs[i];

		for (k = 0; k < sjob->signal_count; k++) {
			dma_fence_chain_free(sjob->signals[k].chain);
			drm_syncobj_put(sjob->signals[k].syncobj);
		}
		kvfree(sjob->signals);
		if (sjob->job) {
			drm_sched_job_cleanup(&sjob->job->base);
			npu_job_put(sjob->job);
		}
	}
	kvfree(sub->jobs);
	xa_destroy(&sub->signalled);
}

int npu_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_npu_submit *args = data;
	struct npu_submission sub = { .file = file };
	struct drm_npu_job *in;
	int ret = 0;
	u32 i;

	if (args->flags || !args->jobs.count)
		return -EINVAL;
	in = npu_uapi_array_copy(&args->jobs, sizeof(*in), DRM_NPU_JOBS_MAX);
	if (IS_ERR(in))
		return PTR_ERR(in);
	xa_init(&sub.signalled);
	sub.queue = npu_queue_lookup(to_npu_file(file), args->queue_id);
	if (!sub.queue) {
		ret = -ENOENT;
		goto out_free_in;
	}
	sub.jobs = kvcalloc(args->jobs.count, sizeof(*sub.jobs), GFP_KERNEL_ACCOUNT);
	if (!sub.jobs) {
		ret = -ENOMEM;
		goto out_put;
	}
	sub.count = args->jobs.count;
	for (i = 0; !ret && i < sub.count; i++)
		ret = npu_submission_add_job(&sub, &sub.jobs[i], &in[i]);
	if (!ret)
		ret = npu_submission_commit(&sub);
	npu_submission_free(&sub);
out_put:
	npu_queue_put(sub.queue);
out_free_in:
	kvfree(in);
	return ret;
}
