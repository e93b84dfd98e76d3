// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: their life and their ioctls. One scheduler with one entity feeds one
 * hardware queue, so a bad queue stops nothing but itself.
 *
 * A queue lives in three steps. Its file and its jobs use it (ref). Closing it
 * takes it off the hardware at once and ends the jobs in flight; jobs that
 * still wait for foreign fences end when these signal. When the last job is
 * gone, npu_release_wq takes the scheduler down. The memory stays until the last
 * fence is gone (memory_ref), and with it the module.
 */

#include <linux/capability.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <drm/drm_drv.h>

#include "npu_compat.h"
#include "npu_drv.h"
#include "npu_job.h"
#include "npu_queue.h"
#include "npu_reset.h"
#include "npu_uapi.h"
#include "npu_vm.h"

#define NPU_RING_ALL_BYTES \
	(NPU_RING_BYTES + NPU_RING_ENTRIES * sizeof(struct npu_job_done))

static void npu_queue_memory_release(struct kref *ref)
{
	kfree(container_of(ref, struct npu_queue, memory_ref));
	/* Module exit waits for whoever is here: npu_release_wq or an RCU callback. */
	module_put(THIS_MODULE);
}

void npu_queue_memory_put(struct npu_queue *queue)
{
	kref_put(&queue->memory_ref, npu_queue_memory_release);
}

static void npu_queue_release_work(struct work_struct *work)
{
	struct npu_queue *queue = container_of(work, struct npu_queue, release_work);
	struct npu_device *ndev = queue->ndev;

	drm_sched_entity_fini(&queue->entity);
	drm_sched_fini(&queue->sched);
	/* Its work items may have queued each other while they were cancelled. */
	flush_workqueue(ndev->submit_wq);
	mutex_destroy(&queue->submit_lock);
	npu_queue_memory_put(queue);
	drm_dev_put(&ndev->drm);
}

static void npu_queue_release(struct kref *ref)
{
	struct npu_queue *queue = container_of(ref, struct npu_queue, ref);

	/* Maybe in a job's last moments, on the scheduler's own workqueue. */
	queue_work(npu_release_wq, &queue->release_work);
}

void npu_queue_put(struct npu_queue *queue)
{
	kref_put(&queue->ref, npu_queue_release);
}

/* Return: a reference to the queue @id of the file, or NULL */
struct npu_queue *npu_queue_lookup(struct npu_file *nfile, u32 id)
{
	struct npu_queue *queue;

	xa_lock(&nfile->queues);
	queue = xa_load(&nfile->queues, id);
	if (queue)
		kref_get(&queue->ref);
	xa_unlock(&nfile->queues);
	return queue;
}

/* Return: a reference to the queue with hardware number @index, or NULL */
struct npu_queue *npu_queue_get_by_index(struct npu_device *ndev, u32 index)
{
	struct npu_queue *queue;

	spin_lock(&ndev->queues_lock);
	queue = ndev->queues[index];
	if (queue)
		kref_get(&queue->ref);
	spin_unlock(&ndev->queues_lock);
	return queue;
}

/* Device time spent on the queue's jobs, the present one included. */
u64 npu_queue_run_ns(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;
	unsigned long flags;
	u64 run_ns, now;
	int idx;

	spin_lock_irqsave(&queue->lock, flags);
	run_ns = queue->past_run_ns;
	if (queue->hw_live && drm_dev_enter(&ndev->drm, &idx)) {
		now = npu_hw_queue_run_ns(ndev, queue->index);
		if (now > queue->start_run_ns)
			run_ns += now - queue->start_run_ns;
		drm_dev_exit(idx);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	return run_ns;
}

/* Modelled cycles of the queue's completed jobs. */
u64 npu_queue_cycles(struct npu_queue *queue)
{
	unsigned long flags;
	u64 cycles;

	spin_lock_irqsave(&queue->lock, flags);
	cycles = queue->totals.cycles;
	spin_unlock_irqrestore(&queue->lock, flags);
	return cycles;
}

/* ---- Making ---- */

static int npu_queue_init_sched(struct npu_queue *queue)
{
	struct drm_gpu_scheduler *sched = &queue->sched;
	struct npu_device *ndev = queue->ndev;
	int ret;

	ret = npu_compat_sched_init(sched, &npu_sched_ops, ndev->submit_wq, NPU_RING_ENTRIES,
				    queue->name, ndev->drm.dev);
	if (ret)
		return ret;
	ret = drm_sched_entity_init(&queue->entity, DRM_SCHED_PRIORITY_KERNEL, &sched, 1, NULL);
	if (ret)
		drm_sched_fini(sched);
	return ret;
}

static int npu_queue_init_hw(struct npu_queue *queue, u32 priority)
{
	struct npu_device *ndev = queue->ndev;
	int index;

	index = ida_alloc_max(&ndev->queue_ida, ndev->hw.queues - 1, GFP_KERNEL);
	if (index < 0)
		return index;
	queue->ring = dma_alloc_coherent(ndev->drm.dev, NPU_RING_ALL_BYTES, &queue->ring_dma,
					 GFP_KERNEL_ACCOUNT);
	if (!queue->ring) {
		ida_free(&ndev->queue_ida, index);
		return -ENOMEM;
	}
	queue->index = index;
	queue->hw = (struct npu_hw_queue) {
		.ring_dma = queue->ring_dma,
		.ring_log2 = NPU_RING_LOG2,
		.ctx = queue->vm->ctx,
		.priority = priority,
		.vector = 1 + index % (ndev->vector_count - 1),
	};
	snprintf(queue->name, sizeof(queue->name), "npu-queue-%d", index);
	return 0;
}

/* A queue that the hardware does not know yet. Takes over the caller's hold of @vm. */
static struct npu_queue *npu_queue_make(struct npu_device *ndev, struct npu_vm *vm,
					const struct drm_npu_queue_create *args)
{
	u32 timeout_ms = args->timeout_ms ?: npu_default_timeout_ms();
	struct npu_queue *queue;
	int ret;

	queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	if (!queue)
		return ERR_PTR(-ENOMEM);
	kref_init(&queue->ref);
	kref_init(&queue->memory_ref);
	queue->ndev = ndev;
	queue->vm = vm;
	queue->timeout_ns = (u64)timeout_ms * NSEC_PER_MSEC;
	queue->fence_context = dma_fence_context_alloc(1);
	INIT_WORK(&queue->release_work, npu_queue_release_work);
	INIT_DELAYED_WORK(&queue->watchdog, npu_reset_watchdog);
	INIT_LIST_HEAD(&queue->in_flight);
	spin_lock_init(&queue->lock);
	mutex_init(&queue->submit_lock);

	ret = npu_queue_init_hw(queue, args->priority);
	if (ret)
		goto err_free;
	ret = npu_queue_init_sched(queue);
	if (ret)
		goto err_free_hw;
	/* Both until npu_queue_release_work(), the module until the memory goes. */
	drm_dev_get(&ndev->drm);
	__module_get(THIS_MODULE);
	return queue;

err_free_hw:
	dma_free_coherent(ndev->drm.dev, NPU_RING_ALL_BYTES, queue->ring, queue->ring_dma);
	ida_free(&ndev->queue_ida, queue->index);
err_free:
	mutex_destroy(&queue->submit_lock);
	kfree(queue);
	return ERR_PTR(ret);
}

/* ---- Closing ---- */

/*
 * Take the queue off the hardware, for ever; nothing happens the second time.
 * The lock lets npu_queue_unplug_all() wait for one that is being closed.
 */
static void npu_queue_detach(struct npu_queue *queue, int error)
{
	struct npu_device *ndev = queue->ndev;
	struct npu_job_entry *ring;
	unsigned long flags;
	struct npu_vm *vm;
	bool cookie;

	mutex_lock(&ndev->detach_lock);
	vm = queue->vm;
	if (!vm)
		goto out_unlock;

	cookie = npu_reset_lock(ndev);
	npu_reset_detach_locked(queue, error);
	spin_lock(&ndev->queues_lock);
	ndev->queues[queue->index] = NULL;
	spin_unlock(&ndev->queues_lock);
	queue->vm = NULL;
	spin_lock_irqsave(&queue->lock, flags);
	ring = queue->ring;
	queue->ring = NULL;
	spin_unlock_irqrestore(&queue->lock, flags);
	npu_reset_unlock(ndev, cookie);

	disable_delayed_work_sync(&queue->watchdog);
	dma_free_coherent(ndev->drm.dev, NPU_RING_ALL_BYTES, ring, queue->ring_dma);
	ida_free(&ndev->queue_ida, queue->index);
	npu_vm_detach_queue(vm);
	npu_vm_put(vm);
out_unlock:
	mutex_unlock(&ndev->detach_lock);
}

/* Close a queue that is no longer in its file's table, and drop its reference. */
static void npu_queue_close(struct npu_queue *queue)
{
	mutex_lock(&queue->submit_lock);
	queue->closed = true;
	mutex_unlock(&queue->submit_lock);
	npu_queue_detach(queue, -ECANCELED);
	atomic_dec(&queue->ndev->queues_used);
	npu_queue_put(queue);
}

/* Close what the file still has. */
void npu_queue_close_file(struct npu_file *nfile)
{
	struct npu_queue *queue;
	unsigned long id;

	xa_for_each(&nfile->queues, id, queue) {
		xa_erase(&nfile->queues, id);
		npu_queue_close(queue);
	}
	xa_destroy(&nfile->queues);
}

/**
 * npu_queue_unplug_all() - release the DMA memory of all queues
 * @ndev: device, unplugged and with DMA off
 */
void npu_queue_unplug_all(struct npu_device *ndev)
{
	struct npu_queue *queue;
	u32 index;

	for (index = 0; index < NPU_QUEUES; index++) {
		queue = npu_queue_get_by_index(ndev, index);
		if (!queue)
			continue;
		npu_queue_detach(queue, -ENODEV);
		npu_queue_put(queue);
	}
	/* One that is not in the table any more may still be on its way out. */
	mutex_lock(&ndev->detach_lock);
	mutex_unlock(&ndev->detach_lock);
}

/* ---- ioctls ---- */

static int npu_queue_create_check(const struct drm_npu_queue_create *args)
{
	if (args->flags || args->pad || args->priority >= NPU_PRIORITIES)
		return -EINVAL;
	if (args->timeout_ms > NPU_TIMEOUT_MAX_MS)
		return -EINVAL;
	if (args->priority > DRM_NPU_PRIORITY_NORMAL && !capable(CAP_SYS_NICE))
		return -EACCES;
	return 0;
}

/* Let the hardware know the queue. */
static int npu_queue_attach(struct npu_queue *queue)
{
	struct npu_device *ndev = queue->ndev;
	bool cookie = npu_reset_lock(ndev);
	int ret = ndev->dead;

	if (!ret && queue->vm->banned)
		ret = -ECANCELED;
	/* After a function reset, all queues are started. */
	if (!ret && !ndev->function_reset)
		ret = npu_ring_start(queue);
	if (!ret) {
		spin_lock(&ndev->queues_lock);
		ndev->queues[queue->index] = queue;
		spin_unlock(&ndev->queues_lock);
	}
	npu_reset_unlock(ndev, cookie);
	return ret;
}

static struct npu_queue *npu_queue_create(struct npu_device *ndev, struct npu_file *nfile,
					  const struct drm_npu_queue_create *args)
{
	struct npu_queue *queue;
	struct npu_vm *vm;
	int ret;

	vm = npu_vm_lookup(nfile, args->vm_id);
	if (!vm)
		return ERR_PTR(-ENOENT);
	ret = npu_vm_attach_queue(vm);
	if (ret)
		goto err_put_vm;
	queue = npu_queue_make(ndev, vm, args);
	if (IS_ERR(queue)) {
		ret = PTR_ERR(queue);
		goto err_detach_vm;
	}
	ret = npu_queue_attach(queue);
	atomic_inc(&ndev->queues_used);
	if (ret) {
		npu_queue_close(queue);
		return ERR_PTR(ret);
	}
	return queue;

err_detach_vm:
	npu_vm_detach_queue(vm);
err_put_vm:
	npu_vm_put(vm);
	return ERR_PTR(ret);
}

int npu_ioctl_queue_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct npu_device *ndev = to_npu_device(drm);
	struct npu_file *nfile = to_npu_file(file);
	struct drm_npu_queue_create *args = data;
	struct npu_queue *queue;
	int idx, ret;
	u32 id;

	ret = npu_queue_create_check(args);
	if (ret)
		return ret;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	if (atomic_inc_return(&nfile->queue_count) > NPU_FILE_QUEUES_MAX) {
		ret = -ENOSPC;
		goto err_count;
	}
	/* The id is taken first and leads nowhere until everything is ready. */
	ret = xa_alloc_cyclic(&nfile->queues, &id, NULL, XA_LIMIT(1, INT_MAX),
			      &nfile->next_queue_id, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		goto err_count;
	queue = npu_queue_create(ndev, nfile, args);
	if (IS_ERR(queue)) {
		ret = PTR_ERR(queue);
		goto err_id;
	}
	xa_store(&nfile->queues, id, queue, GFP_KERNEL_ACCOUNT);
	args->queue_id = id;
	drm_dev_exit(idx);
	return 0;

err_id:
	xa_release(&nfile->queues, id);
err_count:
	atomic_dec(&nfile->queue_count);
	drm_dev_exit(idx);
	return ret;
}

int npu_ioctl_queue_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct npu_file *nfile = to_npu_file(file);
	struct drm_npu_queue_destroy *args = data;
	struct npu_queue *queue;

	if (args->pad)
		return -EINVAL;
	xa_lock(&nfile->queues);
	queue = xa_load(&nfile->queues, args->queue_id);
	if (queue) {
		__xa_erase(&nfile->queues, args->queue_id);
		/* The numbers of fdinfo never go down. */
		kref_get(&queue->ref);
		atomic64_add(npu_queue_run_ns(queue), &nfile->past_run_ns);
		atomic64_add(npu_queue_cycles(queue), &nfile->past_cycles);
	}
	xa_unlock(&nfile->queues);
	if (!queue)
		return -ENOENT;
	npu_queue_close(queue);
	npu_queue_put(queue);
	atomic_dec(&nfile->queue_count);
	return 0;
}

int npu_ioctl_queue_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_npu_queue_query *args = data;
	struct npu_queue *queue;
	unsigned long flags;

	queue = npu_queue_lookup(to_npu_file(file), args->queue_id);
	if (!queue)
		return -ENOENT;
	spin_lock_irqsave(&queue->lock, flags);
	*args = (struct drm_npu_queue_query) {
		.queue_id = args->queue_id,
		.state = queue->state,
		.fault_code = queue->fault.code,
		.fault_engine = queue->fault.engine,
		.fault_opcode = queue->fault.opcode,
		.fault_tag = queue->fault.tag,
		.fault_flags = queue->fault.write,
		.fault_aux = queue->fault.aux,
		.fault_va = queue->fault.va,
		.fault_desc_va = queue->fault.desc_va,
		.jobs = queue->totals.jobs,
		.descriptors = queue->totals.descriptors,
		.macs = queue->totals.macs,
		.read_bytes = queue->totals.read_bytes,
		.write_bytes = queue->totals.write_bytes,
		.cycles = queue->totals.cycles,
	};
	spin_unlock_irqrestore(&queue->lock, flags);
	args->run_ns = npu_queue_run_ns(queue);
	npu_queue_put(queue);
	return 0;
}
