// SPDX-License-Identifier: MIT
/*
 * The ioctl ABI says no: every field of every ioctl at values that it must not
 * have, sizes and strides, stale and foreign handles, and the ioctls of the DRM
 * core that must not be reachable. Each case changes one thing in a call that
 * works.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xf86drm.h>

#include "util.h"

/* A page-aligned 16 MiB window for buffers in tests. */
#define TEST_VA		0x1000000ull

/* Call @request with @args copied, field at @offset of @bytes set to @value. */
static int with_field(int fd, unsigned long request, const void *args, size_t args_bytes,
		      size_t offset, size_t bytes, uint64_t value)
{
	uint8_t copy[256];

	check(args_bytes <= sizeof(copy));
	memcpy(copy, args, args_bytes);
	memcpy(copy + offset, &value, bytes);
	return npu_ioctl(fd, request, copy);
}

#define WITH(fd, request, args, field, value) \
	with_field(fd, request, &(args), sizeof(args), offsetof(typeof(args), field), \
		   sizeof((args).field), value)

/* ---- DEV_QUERY ---- */

static void dev_query_sizes(void)
{
	uint8_t buffer[2 * sizeof(struct drm_npu_device_info)];
	struct drm_npu_dev_query query = {};
	int fd = need_open();
	size_t i;

	/* Only the size. */
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_DEV_QUERY, &query), 0);
	check_eq(query.size, sizeof(struct drm_npu_device_info));

	/* An older caller: what it knows and not a byte more. */
	memset(buffer, 0xa5, sizeof(buffer));
	query = (struct drm_npu_dev_query) { .size = 8, .pointer = (uintptr_t)buffer };
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_DEV_QUERY, &query), 0);
	check_eq(query.size, sizeof(struct drm_npu_device_info));
	check_eq(buffer[8], 0xa5);

	/* A newer one: zeroes behind. */
	query.size = sizeof(buffer);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_DEV_QUERY, &query), 0);
	for (i = sizeof(struct drm_npu_device_info); i < sizeof(buffer); i++)
		check_eq(buffer[i], 0);

	query.size = sizeof(buffer);
	query.pointer = 8;
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_DEV_QUERY, &query), -EFAULT);
	node_close(fd);
}

static void dev_query_type(void)
{
	struct drm_npu_dev_query query = {};
	int fd = need_open();

	check_eq(WITH(fd, DRM_IOCTL_NPU_DEV_QUERY, query, type, 2), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_DEV_QUERY, query, type, UINT32_MAX), -EINVAL);
	node_close(fd);
}

static void device_info(void)
{
	int fd = need_open();
	struct drm_npu_device_info info = need_device_info(fd);

	check_eq(info.version >> 16, NPU_VERSION_MAJOR);
	check(info.array_rows && info.array_cols && info.spm_bytes && info.acc_bytes);
	check(info.caps & NPU_CAP_FP32);
	check_eq(info.page_bytes, PAGE);
	check(info.va_start > 0 && info.va_start % PAGE == 0);
	check_eq(info.va_end, 1ull << NPU_VA_BITS);
	check(info.queues >= 1 && info.queues <= NPU_QUEUES);
	check(info.contexts >= 1 && info.contexts < NPU_CONTEXTS);
	check_eq(info.max_priority, DRM_NPU_PRIORITY_REALTIME);
	check(info.default_timeout_ms > 0 && info.default_timeout_ms <= info.max_timeout_ms);
	check_eq(info.pad, 0);
	node_close(fd);
}

/* ---- BO_CREATE, BO_MMAP_OFFSET, GEM_CLOSE ---- */

static void bo_create_fields(void)
{
	struct drm_npu_bo_create create = { .size = PAGE };
	int fd = need_open();

	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_CREATE, create, size, 0), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_CREATE, create, size, UINT64_MAX), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_CREATE, create, size, 1ull << 63), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_CREATE, create, size, 1ull << 48), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_CREATE, create, size, 1ull << 46), -ENOMEM);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_CREATE, create, flags, 1), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_CREATE, create, flags, 1u << 31), -EINVAL);

	create.size = PAGE + 1;
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_BO_CREATE, &create), 0);
	check_eq(create.size, 2 * PAGE);
	check(create.handle > 0);
	node_close(fd);
}

static void bo_mmap_offset_fields(void)
{
	struct drm_npu_bo_mmap_offset offset = {};
	struct drm_gem_close gem_close = {};
	int fd = need_open(), other = need_open();

	check_eq(bo_create(fd, PAGE, &offset.handle), 0);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, offset, pad, 1), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, offset, handle, 0), -ENOENT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, offset, handle, UINT32_MAX), -ENOENT);
	/* A handle means something in its own file only. */
	check_eq(npu_ioctl(other, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset), -ENOENT);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset), 0);
	/* So does the offset. */
	check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other, offset.offset) == MAP_FAILED);
	check_eq(errno, EACCES);

	gem_close.handle = offset.handle;
	check_eq(npu_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem_close), 0);
	check_eq(npu_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem_close), -EINVAL);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset), -ENOENT);
	node_close(other);
	node_close(fd);
}

/* ---- VM_CREATE, VM_DESTROY, VM_BIND ---- */

static void vm_create_fields(void)
{
	struct drm_npu_vm_create create = {};
	struct drm_npu_vm_destroy destroy = {};
	int fd = need_open(), other = need_open();

	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_CREATE, create, flags, 1), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_CREATE, create, flags, 1u << 31), -EINVAL);
	destroy.vm_id = need_vm(fd);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_DESTROY, destroy, pad, 1), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_DESTROY, destroy, vm_id, 0), -ENOENT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_DESTROY, destroy, vm_id, UINT32_MAX), -ENOENT);
	check_eq(npu_ioctl(other, DRM_IOCTL_NPU_VM_DESTROY, &destroy), -ENOENT);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_VM_DESTROY, &destroy), 0);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_VM_DESTROY, &destroy), -ENOENT);
	node_close(other);
	node_close(fd);
}

/* VM_BIND of one operation that works, with one of its fields changed. */
static int bind_with(int fd, uint32_t vm, const struct drm_npu_vm_bind_op *op, size_t offset,
		     size_t bytes, uint64_t value)
{
	struct drm_npu_vm_bind_op copy = *op;

	memcpy((uint8_t *)&copy + offset, &value, bytes);
	return vm_bind(fd, vm, &copy, 1);
}

#define BIND_WITH(fd, vm, op, field, value) \
	bind_with(fd, vm, &(op), offsetof(struct drm_npu_vm_bind_op, field), \
		  sizeof((op).field), value)

static void vm_bind_fields(void)
{
	int fd = need_open(), other = need_open();
	struct buffer buffer = need_buffer(fd, 4 * PAGE);
	uint32_t vm = need_vm(fd), foreign;
	struct drm_npu_vm_bind_op map = {
		.op = DRM_NPU_VM_BIND_OP_MAP,
		.handle = buffer.handle,
		.va = TEST_VA,
		.size = 4 * PAGE,
	};
	struct drm_npu_vm_bind_op unmap = {
		.op = DRM_NPU_VM_BIND_OP_UNMAP,
		.va = TEST_VA,
		.size = 4 * PAGE,
	};

	check_eq(BIND_WITH(fd, vm, map, op, 2), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, op, UINT32_MAX), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, flags, 2), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, flags, 1u << 31), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, handle, 0), -ENOENT);
	check_eq(BIND_WITH(fd, vm, map, handle, UINT32_MAX), -ENOENT);
	check_eq(BIND_WITH(fd, vm, map, pad, 1), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, bo_offset, 1), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, bo_offset, PAGE), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, bo_offset, -PAGE), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, va, TEST_VA + 1), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, va, 0), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, va, 1ull << 48), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, va, (1ull << 48) - PAGE), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, va, -PAGE), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, size, 0), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, size, PAGE + 1), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, size, 5 * PAGE), -EINVAL);
	check_eq(BIND_WITH(fd, vm, map, size, -PAGE), -EINVAL);
	check_eq(BIND_WITH(fd, vm, unmap, flags, 1), -EINVAL);
	check_eq(BIND_WITH(fd, vm, unmap, handle, buffer.handle), -EINVAL);
	check_eq(BIND_WITH(fd, vm, unmap, bo_offset, PAGE), -EINVAL);
	check_eq(BIND_WITH(fd, vm, unmap, size, 1ull << 48), -EINVAL);

	check_eq(bo_create(other, PAGE, &foreign), 0);
	check_eq(vm_bind(other, vm, &map, 1), -ENOENT);
	check_eq(vm_bind(fd, 0, &map, 1), -ENOENT);
	check_eq(vm_bind(fd, vm, &map, 1), 0);
	check_eq(vm_bind(fd, vm, &unmap, 1), 0);
	node_close(other);
	node_close(fd);
}

static void vm_bind_checks_first(void)
{
	int fd = need_open();
	struct buffer buffer = need_buffer(fd, PAGE);
	uint32_t vm = need_vm(fd);
	struct drm_npu_vm_bind_op ops[2] = {
		{ .handle = buffer.handle, .va = TEST_VA, .size = PAGE },
		{ .handle = buffer.handle, .va = TEST_VA + 1, .size = PAGE },
	};
	struct drm_gem_close gem_close = { .handle = buffer.handle };

	check_eq(vm_bind(fd, vm, ops, 2), -EINVAL);
	/* Had the first been done, the address space would still hold the buffer. */
	check_eq(npu_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem_close), 0);
	check_eq(need_fdinfo(fd, "drm-total-memory"), 0);
	node_close(fd);
}

static void vm_bind_array(void)
{
	struct {
		struct drm_npu_vm_bind_op op;
		uint64_t future;
	} newer = {};
	static struct drm_npu_vm_bind_op many[DRM_NPU_VM_BIND_OPS_MAX + 1];
	int fd = need_open();
	struct buffer buffer = need_buffer(fd, PAGE);
	struct drm_npu_vm_bind bind = { .vm_id = need_vm(fd) };
	unsigned int i;

	newer.op = (struct drm_npu_vm_bind_op) {
		.handle = buffer.handle, .va = TEST_VA, .size = PAGE,
	};
	bind.ops = obj_array(&newer, 1, sizeof(newer));
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_VM_BIND, &bind), 0);
	newer.future = 1;
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_VM_BIND, &bind), -E2BIG);
	newer.future = 0;
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, flags, 1), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, ops.stride, 0), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, ops.stride, sizeof(newer.op) - 8), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, ops.stride, UINT32_MAX), -E2BIG);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, ops.count, 0), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, ops.count, UINT32_MAX), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, ops.array, 0), -EFAULT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_VM_BIND, bind, ops.array, UINT64_MAX - 8), -EFAULT);

	for (i = 0; i <= DRM_NPU_VM_BIND_OPS_MAX; i++)
		many[i] = (struct drm_npu_vm_bind_op) {
			.handle = buffer.handle, .va = TEST_VA + i * PAGE, .size = PAGE,
		};
	check_eq(vm_bind(fd, bind.vm_id, many, DRM_NPU_VM_BIND_OPS_MAX + 1), -EINVAL);
	check_eq(vm_bind(fd, bind.vm_id, many, DRM_NPU_VM_BIND_OPS_MAX), 0);
	node_close(fd);
}

/* ---- QUEUE_CREATE, QUEUE_DESTROY, QUEUE_QUERY ---- */

static void queue_create_fields(void)
{
	int fd = need_open(), other = need_open();
	struct drm_npu_device_info info = need_device_info(fd);
	struct drm_npu_queue_create create = { .vm_id = need_vm(fd), .priority = 1 };

	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, vm_id, 0), -ENOENT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, vm_id, UINT32_MAX), -ENOENT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, priority, 4), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, priority, UINT32_MAX), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, timeout_ms, info.max_timeout_ms + 1),
		 -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, timeout_ms, UINT32_MAX), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, flags, 1), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, flags, 1u << 31), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, pad, 1), -EINVAL);
	check_eq(npu_ioctl(other, DRM_IOCTL_NPU_QUEUE_CREATE, &create), -ENOENT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, timeout_ms, info.max_timeout_ms), 0);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_CREATE, create, priority, 3), 0);
	node_close(other);
	node_close(fd);
}

static void queue_handles(void)
{
	int fd = need_open(), other = need_open();
	struct drm_npu_queue_destroy destroy = {};
	struct drm_npu_queue_query query = {};

	destroy.queue_id = need_queue(fd, need_vm(fd), 0);
	query.queue_id = destroy.queue_id;
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_DESTROY, destroy, pad, 1), -EINVAL);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_DESTROY, destroy, queue_id, 0), -ENOENT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_QUERY, query, queue_id, 0), -ENOENT);
	check_eq(WITH(fd, DRM_IOCTL_NPU_QUEUE_QUERY, query, queue_id, UINT32_MAX), -ENOENT);
	check_eq(npu_ioctl(other, DRM_IOCTL_NPU_QUEUE_QUERY, &query), -ENOENT);
	check_eq(npu_ioctl(other, DRM_IOCTL_NPU_QUEUE_DESTROY, &destroy), -ENOENT);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_QUEUE_QUERY, &query), 0);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_QUEUE_DESTROY, &destroy), 0);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_QUEUE_DESTROY, &destroy), -ENOENT);
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_QUEUE_QUERY, &query), -ENOENT);
	node_close(other);
	node_close(fd);
}

/* ---- SUBMIT ---- */

static int submit_with(struct client *client, const struct drm_npu_job *job, size_t offset,
		       size_t bytes, uint64_t value)
{
	struct drm_npu_job copy = *job;

	memcpy((uint8_t *)&copy + offset, &value, bytes);
	return submit(client->fd, client->queue, &copy, 1);
}

#define SUBMIT_WITH(client, job, field, value) \
	submit_with(client, &(job), offsetof(struct drm_npu_job, field), sizeof((job).field), value)

static void submit_job_fields(void)
{
	struct client client = need_client(0);
	struct drm_npu_job job = job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1);

	check_eq(SUBMIT_WITH(&client, job, cmd_va, 0), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, cmd_va, CLIENT_VA + 32), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, cmd_va, 1ull << 48), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, cmd_va, -64ull), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, cmd_bytes, 0), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, cmd_bytes, 32), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, cmd_bytes, NPU_CMD_BYTES_MAX + 64), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, cmd_bytes, -64u), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, bind_va, 0), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, bind_va, CLIENT_VA + 4), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, bind_va, (1ull << 48) - 8), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, bind_va, -8ull), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, bind_count, 0), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, bind_count, NPU_REGS + 1), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, bind_count, UINT32_MAX), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, flags, 1), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, flags, 1u << 31), -EINVAL);
	check_eq(SUBMIT_WITH(&client, job, pad, 1), -EINVAL);
	need_run(&client, job, 0);
	check_eq(need_query(client.fd, client.queue).jobs, 1);
	client_close(&client);
}

static void submit_array(void)
{
	struct client client = need_client(0), other = need_client(0);
	struct {
		struct drm_npu_job job;
		uint64_t future;
	} newer = { .job = job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1) };
	struct drm_npu_submit args = {
		.queue_id = client.queue,
		.jobs = obj_array(&newer, 1, sizeof(newer)),
	};
	static struct drm_npu_job many[DRM_NPU_JOBS_MAX + 1];
	unsigned int i;

	check_eq(npu_ioctl(client.fd, DRM_IOCTL_NPU_SUBMIT, &args), 0);
	newer.future = 1;
	check_eq(npu_ioctl(client.fd, DRM_IOCTL_NPU_SUBMIT, &args), -E2BIG);
	newer.future = 0;
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, queue_id, 0), -ENOENT);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, queue_id, UINT32_MAX), -ENOENT);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, flags, 1), -EINVAL);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, jobs.stride, 0), -EINVAL);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, jobs.stride, 8), -EINVAL);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, jobs.stride, 1u << 31), -E2BIG);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, jobs.count, 0), -EINVAL);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, jobs.count, UINT32_MAX), -EINVAL);
	check_eq(WITH(client.fd, DRM_IOCTL_NPU_SUBMIT, args, jobs.array, 0), -EFAULT);

	for (i = 0; i <= DRM_NPU_JOBS_MAX; i++)
		many[i] = newer.job;
	check_eq(submit(client.fd, client.queue, many, DRM_NPU_JOBS_MAX + 1), -EINVAL);
	check_eq(submit(client.fd, client.queue, many, DRM_NPU_JOBS_MAX), 0);
	/* The queue's id in another file is another queue, or none. */
	check_eq(queue_destroy(other.fd, other.queue), 0);
	check_eq(submit(other.fd, client.queue, many, 1), -ENOENT);
	client_close(&other);
	client_close(&client);
}

static int submit_sync(struct client *client, const struct drm_npu_sync *syncs, uint32_t count)
{
	struct drm_npu_job job = job_copy(client, 0, CLIENT_VA, CLIENT_VA, 1);

	job.syncs = obj_array(syncs, count, sizeof(*syncs));
	return submit(client->fd, client->queue, &job, 1);
}

static void submit_sync_fields(void)
{
	static struct drm_npu_sync many[DRM_NPU_SYNCS_MAX + 1];
	struct client client = need_client(0);
	uint32_t handle = need_syncobj(client.fd, true), empty = need_syncobj(client.fd, false);
	struct drm_npu_sync sync;
	unsigned int i;

	sync = (struct drm_npu_sync) { .handle = handle, .flags = 4 };
	check_eq(submit_sync(&client, &sync, 1), -EINVAL);
	sync.flags = 1u << 31;
	check_eq(submit_sync(&client, &sync, 1), -EINVAL);
	/* A binary syncobj has no point, a timeline's is not 0. */
	sync = (struct drm_npu_sync) { .handle = handle, .point = 1 };
	check_eq(submit_sync(&client, &sync, 1), -EINVAL);
	sync = (struct drm_npu_sync) { .handle = handle, .flags = DRM_NPU_SYNC_TIMELINE };
	check_eq(submit_sync(&client, &sync, 1), -EINVAL);
	sync = (struct drm_npu_sync) { .handle = handle, .point = 1,
				       .flags = DRM_NPU_SYNC_SIGNAL };
	check_eq(submit_sync(&client, &sync, 1), -EINVAL);

	sync = (struct drm_npu_sync) { .handle = 0 };
	check_eq(submit_sync(&client, &sync, 1), -ENOENT);
	sync = (struct drm_npu_sync) { .handle = 0xffffff };
	check_eq(submit_sync(&client, &sync, 1), -ENOENT);
	sync.flags = DRM_NPU_SYNC_SIGNAL;
	check_eq(submit_sync(&client, &sync, 1), -ENOENT);
	/* Nothing will ever signal it. */
	sync = (struct drm_npu_sync) { .handle = empty };
	check_eq(submit_sync(&client, &sync, 1), -EINVAL);

	for (i = 0; i <= DRM_NPU_SYNCS_MAX; i++)
		many[i] = (struct drm_npu_sync) { .handle = handle };
	check_eq(submit_sync(&client, many, DRM_NPU_SYNCS_MAX + 1), -EINVAL);
	check_eq(submit_sync(&client, many, DRM_NPU_SYNCS_MAX), 0);
	client_close(&client);
}

static void submit_all_or_none(void)
{
	struct client client = need_client(0);
	struct drm_npu_job jobs[2] = {
		job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1),
		job_copy(&client, 1, CLIENT_VA, CLIENT_VA, 1),
	};
	struct drm_npu_sync sync = {
		.flags = DRM_NPU_SYNC_SIGNAL,
		.handle = need_syncobj(client.fd, false),
	};

	jobs[0].syncs = obj_array(&sync, 1, sizeof(sync));
	jobs[1].flags = 1;
	check_eq(submit(client.fd, client.queue, jobs, 2), -EINVAL);
	/* The first was not accepted either: its syncobj has no fence. */
	check_eq(syncobj_wait(client.fd, sync.handle, 0), -EINVAL);
	check_eq(need_query(client.fd, client.queue).jobs, 0);
	client_close(&client);
}

/* ---- Core ioctls, privilege ---- */

static bool core_allowed(unsigned int nr)
{
	switch (nr) {
	case DRM_IOCTL_NR(DRM_IOCTL_VERSION):
	case DRM_IOCTL_NR(DRM_IOCTL_GET_CAP):
	case DRM_IOCTL_NR(DRM_IOCTL_GEM_CLOSE):
	case DRM_IOCTL_NR(DRM_IOCTL_PRIME_HANDLE_TO_FD):
	case DRM_IOCTL_NR(DRM_IOCTL_PRIME_FD_TO_HANDLE):
	case 0xbf ... 0xc5:	/* SYNCOBJ_CREATE .. SYNCOBJ_SIGNAL */
	case 0xca ... 0xcd:	/* SYNCOBJ_TIMELINE_WAIT .. SYNCOBJ_TIMELINE_SIGNAL */
	case 0xcf:		/* SYNCOBJ_EVENTFD */
		return true;
	default:
		return false;
	}
}

/* All 256 numbers, all directions, several fill patterns. */
static void core_sweep(void *unused)
{
	static const uint8_t fills[] = { 0x00, 0xff, 0x01, 0x7f };
	static const unsigned int dirs[] = {
		_IOC_NONE, _IOC_READ, _IOC_WRITE, _IOC_READ | _IOC_WRITE
	};
	static const unsigned int sizes[] = { 0, 4, 16, 24, 64, 256, 4096 };
	static uint8_t args[16384];
	unsigned int nr, dir, size, fill;
	int fd = need_open(), ret;

	(void)unused;
	for (nr = 0; nr < 256; nr++)
		for (dir = 0; dir < 4; dir++)
			for (size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++)
				for (fill = 0; fill < sizeof(fills); fill++) {
					memset(args, fills[fill], sizeof(args));
					ret = ioctl(fd, _IOC(dirs[dir], DRM_IOCTL_BASE, nr,
							     sizes[size]), args) < 0 ? -errno : 0;
					if (nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END)
						continue;
					if (!core_allowed(nr))
						check_eq(ret, -EACCES);
				}
	node_close(fd);
}

static void core_ioctls_as_root(void)
{
	core_sweep(NULL);
}

static void drop_root(void)
{
	check_eq(setresgid(1000, 1000, 1000), 0);
	check_eq(setresuid(1000, 1000, 1000), 0);
}

static void core_sweep_as_user(void *unused)
{
	drop_root();
	core_sweep(unused);
}

static void core_ioctls_as_user(void)
{
	check_eq(chmod(node_path(), 0666), 0);
	need_exit(need_fork(core_sweep_as_user, NULL));
}

static void unknown_driver_ioctls(void)
{
	unsigned int nr;
	uint8_t args[256];
	int fd = need_open();

	for (nr = DRM_COMMAND_BASE + DRM_NPU_SUBMIT + 1; nr < DRM_COMMAND_END; nr++) {
		memset(args, 0, sizeof(args));
		check_eq(npu_ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, DRM_IOCTL_BASE, nr, 16), args),
			 -EINVAL);
	}
	node_close(fd);
}

static void priority_as_user_child(void *unused)
{
	uint32_t vm, queue;
	int fd;

	(void)unused;
	drop_root();
	fd = need_open();
	vm = need_vm(fd);
	check_eq(need_device_info(fd).max_priority, DRM_NPU_PRIORITY_NORMAL);
	check_eq(queue_create(fd, vm, DRM_NPU_PRIORITY_HIGH, 0, &queue), -EACCES);
	check_eq(queue_create(fd, vm, DRM_NPU_PRIORITY_REALTIME, 0, &queue), -EACCES);
	check_eq(queue_create(fd, vm, DRM_NPU_PRIORITY_NORMAL, 0, &queue), 0);
	check_eq(queue_create(fd, vm, DRM_NPU_PRIORITY_LOW, 0, &queue), 0);
}

static void priority_needs_privilege(void)
{
	check_eq(chmod(node_path(), 0666), 0);
	need_exit(need_fork(priority_as_user_child, NULL));
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(device_info),
		TAP_TEST(dev_query_sizes),
		TAP_TEST(dev_query_type),
		TAP_TEST(bo_create_fields),
		TAP_TEST(bo_mmap_offset_fields),
		TAP_TEST(vm_create_fields),
		TAP_TEST(vm_bind_fields),
		TAP_TEST(vm_bind_checks_first),
		TAP_TEST(vm_bind_array),
		TAP_TEST(queue_create_fields),
		TAP_TEST(queue_handles),
		TAP_TEST(submit_job_fields),
		TAP_TEST(submit_array),
		TAP_TEST(submit_sync_fields),
		TAP_TEST(submit_all_or_none),
		TAP_TEST(unknown_driver_ioctls),
		TAP_TEST(core_ioctls_as_root),
		TAP_TEST(core_ioctls_as_user),
		TAP_TEST(priority_needs_privilege),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
