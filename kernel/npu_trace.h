/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events: the life of a job, by the id that the device's own trace shows
 * as seqno. Names and fields are stable; new fields come at the end.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM npu

#if !defined(NPU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define NPU_TRACE_H

#include <linux/tracepoint.h>

#include "npu_drv.h"
#include "npu_job.h"
#include "npu_queue.h"
#include "uapi/drm/npu_accel.h"

DECLARE_EVENT_CLASS(npu_job,
		    TP_PROTO(const struct npu_job *job),
		    TP_ARGS(job),
		    TP_STRUCT__entry(__string(dev, dev_name(job->queue->ndev->drm.dev))
				     __field(u64, job)
				     __field(u32, queue)
				     __field(u32, cmd_bytes)
				     __field(u64, cmd_va)
				     ),
		    TP_fast_assign(__assign_str(dev);
				   __entry->job = job->id;
				   __entry->queue = job->queue->index;
				   __entry->cmd_bytes = job->cmd_bytes;
				   __entry->cmd_va = job->cmd_va;
				   ),
		    TP_printk("dev=%s job=%llu queue=%u cmd_va=0x%llx cmd_bytes=%u", __get_str(dev),
			      __entry->job, __entry->queue, __entry->cmd_va, __entry->cmd_bytes)
);

/* Accepted from user space. */
DEFINE_EVENT(npu_job, npu_job_submit,
	     TP_PROTO(const struct npu_job *job),
	     TP_ARGS(job)
);

/* Its dependencies have signalled and it is in the ring. */
DEFINE_EVENT(npu_job, npu_job_run,
	     TP_PROTO(const struct npu_job *job),
	     TP_ARGS(job)
);

/* Completed; times are the device's clock. */
TRACE_EVENT(npu_job_done,
	    TP_PROTO(const struct npu_job *job, u64 cycles, u64 start_ns, u64 end_ns),
	    TP_ARGS(job, cycles, start_ns, end_ns),
	    TP_STRUCT__entry(__string(dev, dev_name(job->queue->ndev->drm.dev))
			     __field(u64, job)
			     __field(u32, queue)
			     __field(u64, cycles)
			     __field(u64, start_ns)
			     __field(u64, end_ns)
			     ),
	    TP_fast_assign(__assign_str(dev);
			   __entry->job = job->id;
			   __entry->queue = job->queue->index;
			   __entry->cycles = cycles;
			   __entry->start_ns = start_ns;
			   __entry->end_ns = end_ns;
			   ),
	    TP_printk("dev=%s job=%llu queue=%u cycles=%llu start_ns=%llu end_ns=%llu",
		      __get_str(dev), __entry->job, __entry->queue, __entry->cycles,
		      __entry->start_ns, __entry->end_ns)
);

/* Its fence is about to be signalled, with this error. */
TRACE_EVENT(npu_job_signal,
	    TP_PROTO(const struct npu_job *job, int error),
	    TP_ARGS(job, error),
	    TP_STRUCT__entry(__string(dev, dev_name(job->queue->ndev->drm.dev))
			     __field(u64, job)
			     __field(u32, queue)
			     __field(int, error)
			     ),
	    TP_fast_assign(__assign_str(dev);
			   __entry->job = job->id;
			   __entry->queue = job->queue->index;
			   __entry->error = error;
			   ),
	    TP_printk("dev=%s job=%llu queue=%u error=%d", __get_str(dev), __entry->job,
		      __entry->queue, __entry->error)
);

/* A queue ends; job is the oldest in flight, 0 if there is none. */
TRACE_EVENT(npu_queue_fail,
	    TP_PROTO(const struct npu_queue *queue, u32 state, const struct npu_job *job),
	    TP_ARGS(queue, state, job),
	    TP_STRUCT__entry(__string(dev, dev_name(queue->ndev->drm.dev))
			     __field(u64, job)
			     __field(u32, queue)
			     __field(u32, state)
			     __field(u32, fault_code)
			     __field(u32, fault_tag)
			     __field(u64, fault_va)
			     ),
	    TP_fast_assign(__assign_str(dev);
			   __entry->job = job ? job->id : 0;
			   __entry->queue = queue->index;
			   __entry->state = state;
			   __entry->fault_code = queue->fault.code;
			   __entry->fault_tag = queue->fault.tag;
			   __entry->fault_va = queue->fault.va;
			   ),
	    TP_printk("dev=%s job=%llu queue=%u state=%u fault_code=%u fault_tag=0x%x fault_va=0x%llx",
		      __get_str(dev), __entry->job, __entry->queue, __entry->state,
		      __entry->fault_code, __entry->fault_tag, __entry->fault_va)
);

/* The device was reset, or could not be (error). */
TRACE_EVENT(npu_reset,
	    TP_PROTO(struct npu_device *ndev, const char *reason, int error),
	    TP_ARGS(ndev, reason, error),
	    TP_STRUCT__entry(__string(dev, dev_name(ndev->drm.dev))
			     __string(reason, reason)
			     __field(int, error)
			     ),
	    TP_fast_assign(__assign_str(dev);
			   __assign_str(reason);
			   __entry->error = error;
			   ),
	    TP_printk("dev=%s reason=\"%s\" error=%d", __get_str(dev), __get_str(reason),
		      __entry->error)
);

/* One operation of VM_BIND has been done. */
TRACE_EVENT(npu_vm_bind,
	    TP_PROTO(struct npu_device *ndev, u32 ctx, const struct drm_npu_vm_bind_op *op),
	    TP_ARGS(ndev, ctx, op),
	    TP_STRUCT__entry(__string(dev, dev_name(ndev->drm.dev))
			     __field(u32, ctx)
			     __field(u32, op)
			     __field(u32, flags)
			     __field(u64, va)
			     __field(u64, size)
			     ),
	    TP_fast_assign(__assign_str(dev);
			   __entry->ctx = ctx;
			   __entry->op = op->op;
			   __entry->flags = op->flags;
			   __entry->va = op->va;
			   __entry->size = op->size;
			   ),
	    TP_printk("dev=%s ctx=%u op=%s flags=0x%x va=0x%llx size=0x%llx", __get_str(dev),
		      __entry->ctx, __entry->op == DRM_NPU_VM_BIND_OP_MAP ? "map" : "unmap",
		      __entry->flags, __entry->va, __entry->size)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE npu_trace
#include <trace/define_trace.h>
