/* SPDX-License-Identifier: MIT */
/*
 * The ioctl ABI of the npu driver (DRM accel node, /dev/accel/accelN).
 *
 * Rules that hold for every ioctl:
 *  - Fields are fixed-width and naturally aligned; the layout is the same for
 *    32-bit and 64-bit callers. User pointers are __u64.
 *  - Padding, reserved fields, unknown flags and unknown enumeration values
 *    must be 0 or absent; otherwise -EINVAL.
 *  - Structures grow at the end only, and 0 in a new field means what the
 *    older version did. Arrays are passed as &struct drm_npu_obj_array, whose
 *    stride tells the size the caller was built with: bytes that the kernel
 *    does not know must be 0 (-E2BIG), bytes the caller does not have are 0.
 *  - An ioctl that fails changes nothing, unless its text says otherwise.
 *    -EINTR leaves the arguments as they were: call again.
 *  - Errors: ENOENT unknown handle or id, EINVAL bad argument, EOPNOTSUPP a
 *    feature this device or driver lacks, EACCES privilege, ENOSPC a limit of
 *    device or file is reached, ENOMEM no memory, ENODEV device gone,
 *    EIO device dead until rebind, ECANCELED context banned.
 *  - A handle of a buffer, an address-space id and a queue id belong to the
 *    open file that made them.
 *
 * A job that goes wrong signals its syncobjs with an error that
 * SYNC_IOC_FILE_INFO shows on an exported sync file: -ETIME hang, -EFAULT
 * fault, -ECANCELED banned or destroyed, -ENODEV unplugged, -EIO reset. For a
 * point of a timeline, it is in the struct sync_fence_info of the file's fences
 * only. The queue's state (DRM_IOCTL_NPU_QUEUE_QUERY) tells more.
 */
#ifndef _UAPI_DRM_NPU_ACCEL_H_
#define _UAPI_DRM_NPU_ACCEL_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_NPU_DRIVER_MAJOR		0
#define DRM_NPU_DRIVER_MINOR		1

#define DRM_NPU_DEV_QUERY		0x00
#define DRM_NPU_BO_CREATE		0x01
#define DRM_NPU_BO_MMAP_OFFSET		0x02
#define DRM_NPU_VM_CREATE		0x03
#define DRM_NPU_VM_DESTROY		0x04
#define DRM_NPU_VM_BIND			0x05
#define DRM_NPU_QUEUE_CREATE		0x06
#define DRM_NPU_QUEUE_DESTROY		0x07
#define DRM_NPU_QUEUE_QUERY		0x08
#define DRM_NPU_SUBMIT			0x09

/**
 * struct drm_npu_obj_array - array of structures
 * @stride: Input: size of one element as the caller knows it
 * @count: Input: number of elements
 * @array: Input: user pointer to the first element; 0 if count is 0
 */
struct drm_npu_obj_array {
	__u32 stride;
	__u32 count;
	__u64 array;
};

/* A sync operation signals when set, waits otherwise. */
#define DRM_NPU_SYNC_SIGNAL		(1u << 0)
/* The syncobj is a timeline and @point is meant; binary otherwise. */
#define DRM_NPU_SYNC_TIMELINE		(1u << 1)

/**
 * struct drm_npu_sync - wait for or signal a syncobj
 * @flags: Input: DRM_NPU_SYNC_*
 * @handle: Input: syncobj handle
 * @point: Input: timeline point, > 0; 0 for a binary syncobj
 */
struct drm_npu_sync {
	__u32 flags;
	__u32 handle;
	__u64 point;
};

/* At most this many sync operations per job. */
#define DRM_NPU_SYNCS_MAX		256

/* ---- Device ---- */

#define DRM_NPU_QUERY_DEVICE		0	/* struct drm_npu_device_info */
#define DRM_NPU_QUERY_USAGE		1	/* struct drm_npu_usage_info */

/**
 * struct drm_npu_dev_query - DRM_IOCTL_NPU_DEV_QUERY
 * @type: Input: DRM_NPU_QUERY_*
 * @size: Input: bytes at @pointer. Output: bytes that the kernel has
 * @pointer: Input: user buffer; 0 only asks for @size. The kernel writes the
 *	smaller of both sizes and zeroes the rest of a larger buffer
 */
struct drm_npu_dev_query {
	__u32 type;
	__u32 size;
	__u64 pointer;
};

/**
 * struct drm_npu_device_info - what the device is
 * @version: hardware version, [31:16] major [15:0] minor
 * @array_rows: multiplier rows
 * @array_cols: multiplier columns
 * @spm_bytes: scratchpad
 * @acc_bytes: accumulators
 * @clock_khz: clock of the timing model
 * @caps: NPU_CAP_* bits of the hardware
 * @va_start: first usable device address
 * @va_end: end of the usable device addresses
 * @page_bytes: granularity of mappings
 * @queues: hardware queues
 * @contexts: hardware address spaces
 * @max_priority: highest DRM_NPU_PRIORITY_* that the caller may use
 * @default_timeout_ms: budget of a job when a queue asks for none
 * @max_timeout_ms: largest budget that a queue may ask for
 * @dma_bytes_per_kcycle: memory bandwidth of the timing model, bytes per 1000 cycles
 * @dma_latency_cycles: memory latency of the timing model
 * @dma_bursts: 64-byte bursts in flight
 * @ve_bytes_per_cycle: width of the vector engine
 * @pad: reads as 0
 */
struct drm_npu_device_info {
	__u32 version;
	__u16 array_rows;
	__u16 array_cols;
	__u32 spm_bytes;
	__u32 acc_bytes;
	__u32 clock_khz;
	__u32 page_bytes;
	__u64 caps;
	__u64 va_start;
	__u64 va_end;
	__u32 queues;
	__u32 contexts;
	__u32 max_priority;
	__u32 default_timeout_ms;
	__u32 max_timeout_ms;
	__u32 dma_bytes_per_kcycle;
	__u32 dma_latency_cycles;
	__u32 dma_bursts;
	__u32 ve_bytes_per_cycle;
	__u32 pad;
};

/**
 * struct drm_npu_usage_info - what is in use, device-wide
 * @jobs: jobs completed since the driver bound
 * @faults: jobs ended by a fault or a hang
 * @queue_resets: queues stopped because of a hang
 * @device_resets: resets of the whole device
 * @queues_used: hardware queues in use
 * @contexts_used: hardware address spaces in use
 * @time_ns: device clock
 */
struct drm_npu_usage_info {
	__u64 jobs;
	__u64 faults;
	__u64 queue_resets;
	__u64 device_resets;
	__u32 queues_used;
	__u32 contexts_used;
	__u64 time_ns;
};

/* ---- Buffers ---- */

/**
 * struct drm_npu_bo_create - DRM_IOCTL_NPU_BO_CREATE
 * @size: Input: bytes, > 0. Output: bytes after rounding up to pages
 * @flags: Input: must be 0
 * @handle: Output: GEM handle, closed by DRM_IOCTL_GEM_CLOSE
 *
 * The memory is zeroed. Pages are allocated when first mapped or bound.
 */
struct drm_npu_bo_create {
	__u64 size;
	__u32 flags;
	__u32 handle;
};

/**
 * struct drm_npu_bo_mmap_offset - DRM_IOCTL_NPU_BO_MMAP_OFFSET
 * @handle: Input: GEM handle
 * @pad: must be 0
 * @offset: Output: offset for mmap() of the device node; MAP_SHARED only
 */
struct drm_npu_bo_mmap_offset {
	__u32 handle;
	__u32 pad;
	__u64 offset;
};

/* ---- Address spaces ---- */

/**
 * struct drm_npu_vm_create - DRM_IOCTL_NPU_VM_CREATE
 * @flags: Input: must be 0
 * @vm_id: Output: id, > 0
 *
 * -ENOSPC when the device has no address space left.
 */
struct drm_npu_vm_create {
	__u32 flags;
	__u32 vm_id;
};

/**
 * struct drm_npu_vm_destroy - DRM_IOCTL_NPU_VM_DESTROY
 * @vm_id: Input: id
 * @pad: must be 0
 *
 * -EBUSY while queues use it.
 */
struct drm_npu_vm_destroy {
	__u32 vm_id;
	__u32 pad;
};

#define DRM_NPU_VM_BIND_OP_MAP		0
#define DRM_NPU_VM_BIND_OP_UNMAP	1

#define DRM_NPU_VM_BIND_READONLY	(1u << 0)	/* MAP: the device may not write */

/**
 * struct drm_npu_vm_bind_op - one change of an address space
 * @op: Input: DRM_NPU_VM_BIND_OP_*
 * @flags: Input: DRM_NPU_VM_BIND_*
 * @handle: Input: MAP: GEM handle; UNMAP: 0
 * @pad: must be 0
 * @bo_offset: Input: MAP: first byte of the buffer, page aligned; UNMAP: 0
 * @va: Input: device address, page aligned
 * @size: Input: bytes, page aligned, > 0
 *
 * MAP replaces whatever was mapped in the range. UNMAP of a range that is not
 * or only partly mapped is not an error. When the ioctl returns, the device
 * has acknowledged that it uses no old translation any more.
 */
struct drm_npu_vm_bind_op {
	__u32 op;
	__u32 flags;
	__u32 handle;
	__u32 pad;
	__u64 bo_offset;
	__u64 va;
	__u64 size;
};

#define DRM_NPU_VM_BIND_OPS_MAX		1024

/**
 * struct drm_npu_vm_bind - DRM_IOCTL_NPU_VM_BIND
 * @vm_id: Input: id
 * @flags: Input: must be 0 (synchronous)
 * @ops: Input: array of struct drm_npu_vm_bind_op, 1 .. DRM_NPU_VM_BIND_OPS_MAX
 *
 * Operations are checked first and then done in order. If one fails for lack
 * of memory (-ENOMEM), those before it stay done, and @ops.count is set to
 * their number.
 */
struct drm_npu_vm_bind {
	__u32 vm_id;
	__u32 flags;
	struct drm_npu_obj_array ops;
};

/* ---- Queues ---- */

#define DRM_NPU_PRIORITY_LOW		0
#define DRM_NPU_PRIORITY_NORMAL		1
#define DRM_NPU_PRIORITY_HIGH		2	/* needs CAP_SYS_NICE */
#define DRM_NPU_PRIORITY_REALTIME	3	/* needs CAP_SYS_NICE */

/**
 * struct drm_npu_queue_create - DRM_IOCTL_NPU_QUEUE_CREATE
 * @vm_id: Input: address space of its jobs
 * @priority: Input: DRM_NPU_PRIORITY_*
 * @timeout_ms: Input: running time allowed to a job; 0: the default; above
 *	max_timeout_ms: -EINVAL. A job that still makes progress is given up
 *	to 8 times as much
 * @flags: Input: must be 0
 * @queue_id: Output: id, > 0
 * @pad: must be 0
 *
 * -ENOSPC when the device or the file has no queue left.
 */
struct drm_npu_queue_create {
	__u32 vm_id;
	__u32 priority;
	__u32 timeout_ms;
	__u32 flags;
	__u32 queue_id;
	__u32 pad;
};

/**
 * struct drm_npu_queue_destroy - DRM_IOCTL_NPU_QUEUE_DESTROY
 * @queue_id: Input: id
 * @pad: must be 0
 *
 * Jobs that have not finished are cancelled (-ECANCELED).
 */
struct drm_npu_queue_destroy {
	__u32 queue_id;
	__u32 pad;
};

#define DRM_NPU_QUEUE_OK		0
#define DRM_NPU_QUEUE_FAULTED		1	/* a job of it faulted; banned */
#define DRM_NPU_QUEUE_HUNG		2	/* a job of it exceeded its budget; banned */
#define DRM_NPU_QUEUE_BANNED		3	/* its address space was banned by another queue */
#define DRM_NPU_QUEUE_LOST		4	/* innocent victim of a device reset; banned */

/**
 * struct drm_npu_queue_query - DRM_IOCTL_NPU_QUEUE_QUERY
 * @queue_id: Input: id
 * @state: Output: DRM_NPU_QUEUE_*
 * @fault_code: Output: enum npu_fault_code of the job that ended the queue
 * @fault_engine: Output: engine
 * @fault_opcode: Output: instruction
 * @fault_tag: Output: tag of the descriptor
 * @fault_flags: Output: bit 0: the faulting access was a write
 * @fault_aux: Output: second tag of a race
 * @fault_va: Output: address that faulted, or 0
 * @fault_desc_va: Output: address of the descriptor
 * @jobs: Output: jobs completed
 * @descriptors: Output: descriptors of completed jobs
 * @macs: Output: multiply-accumulates
 * @read_bytes: Output: bytes read from memory
 * @write_bytes: Output: bytes written to memory
 * @cycles: Output: modelled cycles
 * @run_ns: Output: device time spent running
 */
struct drm_npu_queue_query {
	__u32 queue_id;
	__u32 state;
	__u32 fault_code;
	__u32 fault_engine;
	__u32 fault_opcode;
	__u32 fault_tag;
	__u32 fault_flags;
	__u32 fault_aux;
	__u64 fault_va;
	__u64 fault_desc_va;
	__u64 jobs;
	__u64 descriptors;
	__u64 macs;
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 cycles;
	__u64 run_ns;
};

/* ---- Jobs ---- */

/**
 * struct drm_npu_job - one job
 * @cmd_va: Input: command buffer, 64-byte aligned
 * @bind_va: Input: table of __u64 loaded into the registers, 8-byte aligned; 0 if none
 * @cmd_bytes: Input: size of the command buffer, multiple of 64, > 0
 * @bind_count: Input: registers to load, 0 .. 32
 * @flags: Input: must be 0
 * @pad: must be 0
 * @syncs: Input: array of struct drm_npu_sync, waited for and signalled by this job
 */
struct drm_npu_job {
	__u64 cmd_va;
	__u64 bind_va;
	__u32 cmd_bytes;
	__u32 bind_count;
	__u32 flags;
	__u32 pad;
	struct drm_npu_obj_array syncs;
};

#define DRM_NPU_JOBS_MAX		64

/**
 * struct drm_npu_submit - DRM_IOCTL_NPU_SUBMIT
 * @queue_id: Input: id
 * @flags: Input: must be 0
 * @jobs: Input: array of struct drm_npu_job, 1 .. DRM_NPU_JOBS_MAX
 *
 * Jobs of a queue run in order, one after the other. All are accepted or none.
 * A job may wait for a point that an earlier job of the same call signals.
 * Buffers stay allocated while a job that could use them is in flight.
 * -ECANCELED: the queue is banned, see its state.
 */
struct drm_npu_submit {
	__u32 queue_id;
	__u32 flags;
	struct drm_npu_obj_array jobs;
};

#define DRM_IOCTL_NPU_DEV_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_DEV_QUERY, struct drm_npu_dev_query)
#define DRM_IOCTL_NPU_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_BO_CREATE, struct drm_npu_bo_create)
#define DRM_IOCTL_NPU_BO_MMAP_OFFSET \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_BO_MMAP_OFFSET, struct drm_npu_bo_mmap_offset)
#define DRM_IOCTL_NPU_VM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_VM_CREATE, struct drm_npu_vm_create)
#define DRM_IOCTL_NPU_VM_DESTROY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_VM_DESTROY, struct drm_npu_vm_destroy)
#define DRM_IOCTL_NPU_VM_BIND \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_VM_BIND, struct drm_npu_vm_bind)
#define DRM_IOCTL_NPU_QUEUE_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_QUEUE_CREATE, struct drm_npu_queue_create)
#define DRM_IOCTL_NPU_QUEUE_DESTROY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_QUEUE_DESTROY, struct drm_npu_queue_destroy)
#define DRM_IOCTL_NPU_QUEUE_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_QUEUE_QUERY, struct drm_npu_queue_query)
#define DRM_IOCTL_NPU_SUBMIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_NPU_SUBMIT, struct drm_npu_submit)

#if defined(__cplusplus)
}
#endif

#endif
