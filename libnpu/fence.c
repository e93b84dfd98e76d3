/* SPDX-License-Identifier: MIT */
/* Fences: sleeping until a job has ended, and what became of it. */
#include <errno.h>
#include <stdlib.h>
#include "internal.h"

static int fail_job(struct npu_fence *fence, int err)
{
	struct npu_queue_fault fault;

	switch (err) {
	case -EFAULT:
	case -EDEADLK:
	case -ECANCELED:
		if (npu_queue_get_fault(fence->queue, &fault))
			return npu_fail(err, "job: its queue was destroyed");
		return npu_fail(err, "job: %s%s", err == -ECANCELED ? "cancelled, as " : "",
				fault.text);
	case -ENODEV:
		return npu_fail(err, "job: the device is gone");
	default:
		return npu_fail(err, "job: lost, the device was reset");
	}
}

int npu_fence_wait(struct npu_fence *fence, int timeout_ms)
{
	bool job_error = false;
	int ret = fence->dev->ops->fence_wait(fence, timeout_ms, &job_error);

	if (ret == -ETIME)
		return npu_fail(ret, "fence: not signalled within %d ms", timeout_ms);
	return job_error ? fail_job(fence, ret) : ret;
}

void npu_fence_destroy(struct npu_fence *fence)
{
	if (!fence)
		return;
	fence->dev->ops->fence_destroy(fence);
	npu_queue_put(fence->queue);
	free(fence);
}
