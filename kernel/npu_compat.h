/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that knows which kernel this is. The macros are set by
 * Kbuild, which looks into the kernel's headers.
 */
#ifndef NPU_COMPAT_H
#define NPU_COMPAT_H

#include <drm/gpu_scheduler.h>

/* drm_driver.date: the core warns when it is there and not set. */
#ifdef NPU_HAVE_DRIVER_DATE
#define NPU_COMPAT_DRIVER_DATE	.date = "0",
#else
#define NPU_COMPAT_DRIVER_DATE
#endif

static inline int npu_compat_sched_init(struct drm_gpu_scheduler *sched,
					const struct drm_sched_backend_ops *ops,
					struct workqueue_struct *submit_wq,
					u32 credit_limit, const char *name,
					struct device *dev)
{
#ifdef NPU_HAVE_SCHED_INIT_ARGS
	const struct drm_sched_init_args args = {
		.ops = ops,
		.submit_wq = submit_wq,
		.num_rqs = 1,
		.credit_limit = credit_limit,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = name,
		.dev = dev,
	};

	return drm_sched_init(sched, &args);
#else
	return drm_sched_init(sched, ops, submit_wq, 1, credit_limit, 0,
			      MAX_SCHEDULE_TIMEOUT, NULL, NULL, name, dev);
#endif
}

static inline int npu_compat_sched_job_init(struct drm_sched_job *job,
					    struct drm_sched_entity *entity,
					    void *owner, u64 client_id)
{
#ifdef NPU_HAVE_SCHED_CLIENT_ID
	return drm_sched_job_init(job, entity, 1, owner, client_id);
#else
	return drm_sched_job_init(job, entity, 1, owner);
#endif
}

#endif
