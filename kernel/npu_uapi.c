// SPDX-License-Identifier: GPL-2.0-only
/*
 * The grammar of the ioctl ABI: strided arrays and sized queries. What comes
 * from user space is copied once, bounded before memory is allocated for it,
 * and judged by the caller on the copy.
 */

#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <drm/drm_drv.h>

#include "npu_drv.h"
#include "npu_uapi.h"

/**
 * npu_uapi_array_copy() - copy a strided array of structures
 * @in: array as user space describes it
 * @elem_bytes: size of an element here; also of its first version
 * @count_max: most elements
 *
 * Return: array of @in->count elements for kvfree(), NULL when that is 0, or
 * an error pointer
 */
void *npu_uapi_array_copy(const struct drm_npu_obj_array *in, size_t elem_bytes, u32 count_max)
{
	const void __user *from = u64_to_user_ptr(in->array);
	void *to;
	u32 i;
	int ret;

	if (!in->count)
		return in->array ? ERR_PTR(-EINVAL) : NULL;
	if (in->count > count_max || in->stride < elem_bytes)
		return ERR_PTR(-EINVAL);
	if (in->stride > PAGE_SIZE)
		return ERR_PTR(-E2BIG);

	to = kvcalloc(in->count, elem_bytes, GFP_KERNEL_ACCOUNT);
	if (!to)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < in->count; i++) {
		ret = copy_struct_from_user(to + i * elem_bytes, elem_bytes,
					    from + (size_t)i * in->stride, in->stride);
		if (ret) {
			kvfree(to);
			return ERR_PTR(ret);
		}
	}
	return to;
}

/* Answer a sized query; see struct drm_npu_dev_query. */
static int npu_uapi_answer(struct drm_npu_dev_query *args, const void *from, size_t bytes)
{
	void __user *to = u64_to_user_ptr(args->pointer);
	size_t done = min_t(size_t, args->size, bytes);

	if (args->pointer) {
		if (copy_to_user(to, from, done))
			return -EFAULT;
		/* By pages: the size is the caller's choice. */
		while (done < args->size) {
			size_t chunk = min_t(size_t, args->size - done, PAGE_SIZE);

			if (fatal_signal_pending(current))
				return -EINTR;
			if (clear_user(to + done, chunk))
				return -EFAULT;
			done += chunk;
			cond_resched();
		}
	}
	args->size = bytes;
	return 0;
}

static int npu_query_device(struct npu_device *ndev, struct drm_npu_dev_query *args)
{
	const struct npu_hw *hw = &ndev->hw;
	struct drm_npu_device_info info = {
		.version = hw->version,
		.array_rows = hw->array_rows,
		.array_cols = hw->array_cols,
		.spm_bytes = hw->spm_bytes,
		.acc_bytes = hw->acc_bytes,
		.clock_khz = hw->clock_khz,
		.page_bytes = NPU_PAGE_BYTES,
		.caps = hw->caps,
		.va_start = NPU_VA_START,
		.va_end = NPU_VA_END,
		.queues = hw->queues,
		/* Context 0 stays invalid. */
		.contexts = hw->contexts - 1,
		.max_priority = capable(CAP_SYS_NICE) ? DRM_NPU_PRIORITY_REALTIME :
							DRM_NPU_PRIORITY_NORMAL,
		.default_timeout_ms = npu_default_timeout_ms(),
		.max_timeout_ms = NPU_TIMEOUT_MAX_MS,
		.dma_bytes_per_kcycle = hw->dma_bytes_per_kcycle,
		.dma_latency_cycles = hw->dma_latency_cycles,
		.dma_bursts = hw->dma_bursts,
		.ve_bytes_per_cycle = hw->ve_bytes_per_cycle,
	};

	return npu_uapi_answer(args, &info, sizeof(info));
}

static int npu_query_usage(struct npu_device *ndev, struct drm_npu_dev_query *args)
{
	struct drm_npu_usage_info info = {
		.jobs = atomic64_read(&ndev->jobs),
		.faults = atomic64_read(&ndev->faults),
		.queue_resets = atomic64_read(&ndev->queue_resets),
		.device_resets = atomic64_read(&ndev->device_resets),
		.queues_used = atomic_read(&ndev->queues_used),
		.contexts_used = atomic_read(&ndev->vms_used),
	};
	int idx;

	if (!drm_dev_enter(&ndev->drm, &idx))
		return -ENODEV;
	info.time_ns = npu_hw_time_ns(ndev);
	drm_dev_exit(idx);
	return npu_uapi_answer(args, &info, sizeof(info));
}

int npu_ioctl_dev_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct npu_device *ndev = to_npu_device(drm);
	struct drm_npu_dev_query *args = data;

	switch (args->type) {
	case DRM_NPU_QUERY_DEVICE:
		return npu_query_device(ndev, args);
	case DRM_NPU_QUERY_USAGE:
		return npu_query_usage(ndev, args);
	default:
		return -EINVAL;
	}
}
