/* SPDX-License-Identifier: MIT */
/*
 * What a way to reach a device offers: the kernel driver (backend_drm.c) or a
 * device core in this process (backend_sim.c). Arguments have been checked by
 * the caller; a backend fails with -errno after npu_fail().
 */
#ifndef NPU_BACKEND_H
#define NPU_BACKEND_H

#include <stdint.h>
#include "npu.h"
#include "npu_accel.h"

/**
 * struct npu_backend - operations on a device
 * @close: free the device
 * @buffer_create: zeroed memory of buf->bytes (a multiple of the page); sets buf->handle
 * @buffer_destroy: drop the buffer; mappings in address spaces keep its memory
 * @buffer_map: set buf->map; called at most once
 * @space_create: sets space->id
 * @space_destroy: -EBUSY while queues use it
 * @space_bind: map @buf (op->handle is not set) or unmap (@buf is NULL); when it
 *	returns, the device uses no old mapping
 * @queue_create: sets queue->id
 * @queue_destroy: cancel its jobs and free it; does not fail
 * @queue_query: fill *query, whose queue_id is set
 * @submit: run @job after @wait, and make @done (may be NULL), a fence that the
 *	caller allocated
 * @fence_wait: 0, -ETIME, or the job's error as npu_fence_wait() documents;
 *	sets *job_error when it is the job's
 * @fence_destroy: free what @submit put into the fence
 */
struct npu_backend {
	void (*close)(struct npu_device *dev);
	int (*buffer_create)(struct npu_buffer *buf);
	void (*buffer_destroy)(struct npu_buffer *buf);
	int (*buffer_map)(struct npu_buffer *buf);
	int (*space_create)(struct npu_space *space);
	int (*space_destroy)(struct npu_space *space);
	int (*space_bind)(struct npu_space *space, struct npu_buffer *buf,
			  const struct drm_npu_vm_bind_op *op);
	int (*queue_create)(struct npu_queue *queue);
	void (*queue_destroy)(struct npu_queue *queue);
	int (*queue_query)(struct npu_queue *queue, struct drm_npu_queue_query *query);
	int (*submit)(struct npu_queue *queue, const struct npu_job *job,
		      struct npu_fence *const *wait, unsigned int waits,
		      struct npu_fence *done);
	int (*fence_wait)(struct npu_fence *fence, int timeout_ms, bool *job_error);
	void (*fence_destroy)(struct npu_fence *fence);
};

/*
 * Open a device: NULL after npu_fail(). @path: a node, or NULL for the first
 * one. @properties: what follows "sim,", or "".
 */
struct npu_device *npu_drm_open(const char *path);
struct npu_device *npu_sim_open(const char *properties);

#endif
