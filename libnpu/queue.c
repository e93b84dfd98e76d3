/* SPDX-License-Identifier: MIT */
/* Queues: jobs in, counters and the reason of a failure out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "internal.h"
#include "npu_check.h"
#include "npu_isa.h"

struct npu_queue *npu_queue_create(struct npu_space *space, enum npu_priority priority,
				   uint32_t timeout_ms)
{
	const struct npu_device *dev = space->dev;
	struct npu_queue *queue;

	if (priority < NPU_PRIORITY_LOW || priority > NPU_PRIORITY_REALTIME)
		return npu_fail_null(-EINVAL, "queue: there is no priority %d", (int)priority);
	if (timeout_ms > dev->info.max_timeout_ms)
		return npu_fail_null(-EINVAL, "queue: a timeout of %u ms is above the limit of %u",
				     timeout_ms, dev->info.max_timeout_ms);
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return npu_fail_null(-ENOMEM, "queue: out of memory");
	queue->space = space;
	queue->priority = priority;
	queue->timeout_ms = timeout_ms;
	atomic_init(&queue->refs, 1);
	if (dev->ops->queue_create(queue)) {
		free(queue);
		return NULL;
	}
	pthread_mutex_init(&queue->lock, NULL);
	return queue;
}

void npu_queue_put(struct npu_queue *queue)
{
	if (atomic_fetch_sub(&queue->refs, 1) > 1)
		return;
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

void npu_queue_destroy(struct npu_queue *queue)
{
	if (!queue)
		return;
	pthread_mutex_lock(&queue->lock);
	queue->dead = true;
	queue->space->dev->ops->queue_destroy(queue);
	pthread_mutex_unlock(&queue->lock);
	npu_queue_put(queue);
}

int npu_queue_query(struct npu_queue *queue, struct drm_npu_queue_query *query)
{
	int ret = -ENOENT;

	*query = (struct drm_npu_queue_query){ .queue_id = queue->id };
	pthread_mutex_lock(&queue->lock);
	if (!queue->dead)
		ret = queue->space->dev->ops->queue_query(queue, query);
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

int npu_queue_get_counters(struct npu_queue *queue, struct npu_counters *counters)
{
	struct drm_npu_queue_query q;
	int ret = npu_queue_query(queue, &q);

	if (ret)
		return ret;
	*counters = (struct npu_counters){
		.jobs = q.jobs,
		.descriptors = q.descriptors,
		.macs = q.macs,
		.read_bytes = q.read_bytes,
		.write_bytes = q.write_bytes,
		.cycles = q.cycles,
		.run_ns = q.run_ns,
		.faults = q.state == DRM_NPU_QUEUE_FAULTED || q.state == DRM_NPU_QUEUE_HUNG,
	};
	return 0;
}

static const char *name_or(const char *name, const char *other)
{
	return name ? name : other;
}

static void describe_fault(const struct drm_npu_queue_query *q, char *text, size_t bytes)
{
	const char *code = name_or(npu_fault_name(q->fault_code), "unknown fault");
	const char *op = name_or(npu_op_name(q->fault_opcode), "job");
	int used;

	used = snprintf(text, bytes, "%s fault by %s", code, op);
	if (q->fault_code == NPU_FAULT_MMU_UNMAPPED || q->fault_code == NPU_FAULT_MMU_PERM ||
	    q->fault_code == NPU_FAULT_MMU_PTE || q->fault_code == NPU_FAULT_BUS)
		used += snprintf(text + used, bytes - (size_t)used, " %s address %#llx",
				 q->fault_flags & 1 ? "writing" : "reading",
				 (unsigned long long)q->fault_va);
	used += snprintf(text + used, bytes - (size_t)used, ", descriptor at %#llx, tag %u",
			 (unsigned long long)q->fault_desc_va, q->fault_tag);
	if (q->fault_code == NPU_FAULT_INDEX)
		snprintf(text + used, bytes - (size_t)used, ", index %d of a dimension of %llu",
			 (int32_t)q->fault_aux, (unsigned long long)q->fault_va);
	if (q->fault_code == NPU_FAULT_DATA_RACE)
		snprintf(text + used, bytes - (size_t)used, ", against tag %u", q->fault_aux);
}

int npu_queue_get_fault(struct npu_queue *queue, struct npu_queue_fault *fault)
{
	struct drm_npu_queue_query q;
	int ret = npu_queue_query(queue, &q);

	if (ret)
		return ret;
	*fault = (struct npu_queue_fault){
		.banned = q.state != DRM_NPU_QUEUE_OK,
		.hung = q.state == DRM_NPU_QUEUE_HUNG,
		.code = q.fault_code,
		.tag = q.fault_tag,
		.va = q.fault_va,
	};
	switch (q.state) {
	case DRM_NPU_QUEUE_OK:
		snprintf(fault->text, sizeof(fault->text), "no fault");
		break;
	case DRM_NPU_QUEUE_FAULTED:
		describe_fault(&q, fault->text, sizeof(fault->text));
		break;
	case DRM_NPU_QUEUE_HUNG:
		snprintf(fault->text, sizeof(fault->text),
			 "a job ran longer than its budget and was stopped");
		break;
	case DRM_NPU_QUEUE_BANNED:
		snprintf(fault->text, sizeof(fault->text),
			 "a job of another queue of the same address space failed");
		break;
	default:
		snprintf(fault->text, sizeof(fault->text), "the device was reset");
	}
	return 0;
}

static int check_job(const struct npu_job *job)
{
	if (!job->cmd_bytes || job->cmd_bytes % NPU_LINE_BYTES || job->cmd_va % NPU_LINE_BYTES ||
	    job->cmd_bytes > NPU_CMD_BYTES_MAX)
		return npu_fail(-EINVAL, "submit: %u bytes of commands at %#llx: not whole lines of 64",
				job->cmd_bytes, (unsigned long long)job->cmd_va);
	if (job->bind_count > NPU_REGS || job->bind_va % sizeof(uint64_t) ||
	    (!job->bind_count && job->bind_va))
		return npu_fail(-EINVAL, "submit: a table of %u registers at %#llx is not valid",
				job->bind_count, (unsigned long long)job->bind_va);
	return 0;
}

int npu_queue_submit(struct npu_queue *queue, const struct npu_job *job,
		     struct npu_fence *const *wait, unsigned int waits,
		     struct npu_fence **done)
{
	const struct npu_backend *ops = queue->space->dev->ops;
	struct npu_fence *fence = NULL;
	int ret = check_job(job);

	if (ret)
		return ret;
	if (waits >= DRM_NPU_SYNCS_MAX)
		return npu_fail(-EINVAL, "submit: %u fences to wait for, the limit is %u", waits,
				DRM_NPU_SYNCS_MAX - 1);
	for (unsigned int i = 0; i < waits; i++)
		if (wait[i]->dev != queue->space->dev)
			return npu_fail(-EINVAL, "submit: fence %u belongs to another device", i);
	if (done) {
		fence = calloc(1, sizeof(*fence));
		if (!fence)
			return npu_fail_memory("submit");
		fence->dev = queue->space->dev;
		fence->queue = queue;
	}
	ret = ops->submit(queue, job, wait, waits, fence);
	if (ret) {
		free(fence);
		return ret;
	}
	if (done) {
		atomic_fetch_add(&queue->refs, 1);
		*done = fence;
	}
	return 0;
}
