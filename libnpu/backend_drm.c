/* SPDX-License-Identifier: MIT */
/* A device behind npu.ko: each operation is an ioctl of the accel node. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xf86drm.h>
#include "internal.h"

#define NODE_DIR	"/dev/accel"
#define NODES_MAX	64

struct drm_device {
	struct npu_device base;
	int fd;
};

static struct drm_device *to_drm(struct npu_device *dev)
{
	return (struct drm_device *)(void *)dev;
}

/* Why an ioctl failed, in words that help. */
static const char *reason(int err)
{
	switch (err) {
	case -ENODEV: return "the device is gone";
	case -EIO: return "the device is dead until its driver is bound again";
	case -ENOSPC: return "the device has no more of them";
	case -ECANCELED: return "the queue was stopped because a job failed";
	case -EBUSY: return "queues use it; destroy them first";
	case -EACCES: return "not permitted; priorities above normal need CAP_SYS_NICE";
	default: return strerror(-err);
	}
}

static int call(struct npu_device *dev, unsigned long request, void *arg, const char *what)
{
	int err;

	if (!drmIoctl(to_drm(dev)->fd, request, arg))
		return 0;
	err = -errno;
	return npu_fail(err, "%s: %s", what, reason(err));
}

static void drm_close(struct npu_device *dev)
{
	close(to_drm(dev)->fd);
	free(dev);
}

static int drm_buffer_create(struct npu_buffer *buf)
{
	struct drm_npu_bo_create create = { .size = buf->bytes };
	int ret = call(buf->dev, DRM_IOCTL_NPU_BO_CREATE, &create, "buffer");

	if (ret)
		return ret;
	buf->bytes = create.size;
	buf->handle = create.handle;
	return 0;
}

static void drm_buffer_destroy(struct npu_buffer *buf)
{
	if (buf->map)
		munmap(buf->map, buf->bytes);
	drmCloseBufferHandle(to_drm(buf->dev)->fd, (uint32_t)buf->handle);
}

static int drm_buffer_map(struct npu_buffer *buf)
{
	struct drm_npu_bo_mmap_offset offset = { .handle = (uint32_t)buf->handle };
	int ret = call(buf->dev, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset, "map buffer");
	void *map;

	if (ret)
		return ret;
	map = mmap(NULL, buf->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   to_drm(buf->dev)->fd, (off_t)offset.offset);
	if (map == MAP_FAILED)
		return npu_fail(-errno, "map buffer: %s", strerror(errno));
	buf->map = map;
	return 0;
}

static int drm_space_create(struct npu_space *space)
{
	struct drm_npu_vm_create create = { .flags = 0 };
	int ret = call(space->dev, DRM_IOCTL_NPU_VM_CREATE, &create, "address space");

	space->id = create.vm_id;
	return ret;
}

static int drm_space_destroy(struct npu_space *space)
{
	struct drm_npu_vm_destroy destroy = { .vm_id = space->id };

	return call(space->dev, DRM_IOCTL_NPU_VM_DESTROY, &destroy, "destroy address space");
}

static int drm_space_bind(struct npu_space *space, struct npu_buffer *buf,
			  const struct drm_npu_vm_bind_op *op)
{
	struct drm_npu_vm_bind_op one = *op;
	struct drm_npu_vm_bind bind = {
		.vm_id = space->id,
		.ops = { .stride = sizeof(one), .count = 1, .array = (uintptr_t)&one },
	};

	one.handle = buf ? (uint32_t)buf->handle : 0;
	return call(space->dev, DRM_IOCTL_NPU_VM_BIND, &bind, buf ? "map" : "unmap");
}

static int drm_queue_create(struct npu_queue *queue)
{
	struct drm_npu_queue_create create = {
		.vm_id = queue->space->id,
		.priority = queue->priority,
		.timeout_ms = queue->timeout_ms,
	};
	int ret = call(queue->space->dev, DRM_IOCTL_NPU_QUEUE_CREATE, &create, "queue");

	queue->id = create.queue_id;
	return ret;
}

static void drm_queue_destroy(struct npu_queue *queue)
{
	struct drm_npu_queue_destroy destroy = { .queue_id = queue->id };

	/* It fails only if the device is gone, and then there is nothing to destroy. */
	drmIoctl(to_drm(queue->space->dev)->fd, DRM_IOCTL_NPU_QUEUE_DESTROY, &destroy);
}

static int drm_queue_query(struct npu_queue *queue, struct drm_npu_queue_query *query)
{
	return call(queue->space->dev, DRM_IOCTL_NPU_QUEUE_QUERY, query, "queue state");
}

static int drm_submit(struct npu_queue *queue, const struct npu_job *job,
		      struct npu_fence *const *wait, unsigned int waits,
		      struct npu_fence *done)
{
	struct npu_device *dev = queue->space->dev;
	struct drm_npu_sync sync[DRM_NPU_SYNCS_MAX] = { 0 };
	struct drm_npu_job args = {
		.cmd_va = job->cmd_va,
		.bind_va = job->bind_va,
		.cmd_bytes = job->cmd_bytes,
		.bind_count = job->bind_count,
	};
	struct drm_npu_submit submit = {
		.queue_id = queue->id,
		.jobs = { .stride = sizeof(args), .count = 1, .array = (uintptr_t)&args },
	};
	int ret;

	if (waits || done)
		args.syncs = (struct drm_npu_obj_array){
			.stride = sizeof(sync[0]), .count = waits + !!done,
			.array = (uintptr_t)sync,
		};
	for (unsigned int i = 0; i < waits; i++)
		sync[i].handle = wait[i]->handle;
	if (done) {
		if (drmSyncobjCreate(to_drm(dev)->fd, 0, &done->handle))
			return npu_fail(-errno, "submit: no sync object: %s", strerror(errno));
		sync[waits].handle = done->handle;
		sync[waits].flags = DRM_NPU_SYNC_SIGNAL;
	}
	ret = call(dev, DRM_IOCTL_NPU_SUBMIT, &submit, "submit");
	if (ret == -ENOSPC)
		npu_fail(ret, "submit: too many jobs are waiting already; wait for some");
	if (ret && done)
		drmSyncobjDestroy(to_drm(dev)->fd, done->handle);
	return ret;
}

/* The job's result: a sync file shows it. 0, or what npu_fence_wait() returns. */
static int job_result(struct npu_fence *fence, bool *job_error)
{
	struct sync_file_info info = { .num_fences = 0 };
	int fd;
	int ret;

	if (drmSyncobjExportSyncFile(to_drm(fence->dev)->fd, fence->handle, &fd))
		return npu_fail(-errno, "fence: no sync file: %s", strerror(errno));
	ret = ioctl(fd, SYNC_IOC_FILE_INFO, &info) ? -errno : 0;
	close(fd);
	if (ret)
		return npu_fail(ret, "fence: no information: %s", strerror(-ret));
	if (info.status >= 0)
		return 0;
	*job_error = true;
	return info.status == -ETIME ? -EDEADLK : info.status;
}

static int drm_fence_wait(struct npu_fence *fence, int timeout_ms, bool *job_error)
{
	int64_t until_ns = INT64_MAX;
	int ret;

	if (timeout_ms >= 0) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		until_ns = now.tv_sec * 1000000000ll + now.tv_nsec + timeout_ms * 1000000ll;
	}
	ret = drmSyncobjWait(to_drm(fence->dev)->fd, &fence->handle, 1, until_ns, 0, NULL);
	if (ret == -ETIME)
		return ret;
	if (ret)
		return npu_fail(ret, "fence: %s", reason(ret));
	return job_result(fence, job_error);
}

static void drm_fence_destroy(struct npu_fence *fence)
{
	drmSyncobjDestroy(to_drm(fence->dev)->fd, fence->handle);
}

static const struct npu_backend drm_backend = {
	.close = drm_close,
	.buffer_create = drm_buffer_create,
	.buffer_destroy = drm_buffer_destroy,
	.buffer_map = drm_buffer_map,
	.space_create = drm_space_create,
	.space_destroy = drm_space_destroy,
	.space_bind = drm_space_bind,
	.queue_create = drm_queue_create,
	.queue_destroy = drm_queue_destroy,
	.queue_query = drm_queue_query,
	.submit = drm_submit,
	.fence_wait = drm_fence_wait,
	.fence_destroy = drm_fence_destroy,
};

/* Whether npu.ko drives the node: 0, -ENOTTY if another driver does. */
static int check_driver(int fd)
{
	drmVersionPtr version = drmGetVersion(fd);
	int ret = version && !strcmp(version->name, "npu") ? 0 : -ENOTTY;

	if (!ret && version->version_major != DRM_NPU_DRIVER_MAJOR)
		ret = -EPROTO;
	drmFreeVersion(version);
	return ret;
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = check_driver(fd);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

static int fail_open(const char *path, int err)
{
	switch (err) {
	case -ENOENT:
		return npu_fail(err, "%s: no such device; load the driver (modprobe npu) on a "
				"machine with an NPU, or use the device in process (sim)", path);
	case -EACCES:
	case -EPERM:
		return npu_fail(err, "%s: permission denied; join the group that owns it "
				"(ls -l %s; usually render)", path, path);
	case -ENOTTY:
		return npu_fail(-ENODEV, "%s: not an NPU: npu.ko does not drive it", path);
	case -EPROTO:
		return npu_fail(err, "%s: npu.ko has another version of the interface; install "
				"driver and library of the same release", path);
	default:
		return npu_fail(err, "%s: %s", path, reason(err));
	}
}

/*
 * The first node of ours. If there is none, the most helpful reason: one that
 * we may not open, then one of another driver, then nothing there.
 */
static int open_first(char *path, size_t path_bytes)
{
	char worst_path[64] = NODE_DIR "/accel0";
	int worst = -ENOENT;

	for (unsigned int i = 0; i < NODES_MAX; i++) {
		int fd;

		snprintf(path, path_bytes, NODE_DIR "/accel%u", i);
		fd = open_node(path);
		if (fd >= 0)
			return fd;
		if (fd == -ENOENT || (worst != -ENOENT && worst != -ENOTTY))
			continue;
		worst = fd;
		snprintf(worst_path, sizeof(worst_path), "%s", path);
	}
	return fail_open(worst_path, worst);
}

static int query_device(struct drm_device *drm)
{
	struct drm_npu_device_info hw = { .version = 0 };
	struct drm_npu_dev_query query = {
		.type = DRM_NPU_QUERY_DEVICE,
		.size = sizeof(hw),
		.pointer = (uintptr_t)&hw,
	};
	int ret = call(&drm->base, DRM_IOCTL_NPU_DEV_QUERY, &query, "query device");

	if (!ret)
		npu_device_describe(&drm->base, &hw);
	return ret;
}

struct npu_device *npu_drm_open(const char *path)
{
	struct drm_device *drm = calloc(1, sizeof(*drm));
	char *node;
	int fd;

	if (!drm)
		return npu_fail_null(-ENOMEM, "device: out of memory");
	drm->base.ops = &drm_backend;
	node = drm->base.info.path;
	if (path) {
		snprintf(node, sizeof(drm->base.info.path), "%s", path);
		fd = open_node(path);
		if (fd < 0)
			fail_open(path, fd);
	} else {
		fd = open_first(node, sizeof(drm->base.info.path));
	}
	drm->fd = fd;
	if (fd < 0 || query_device(drm)) {
		if (fd >= 0)
			close(fd);
		free(drm);
		return NULL;
	}
	return &drm->base;
}
