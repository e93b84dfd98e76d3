// SPDX-License-Identifier: MIT
/* What the tests of the driver share; see util.h and tap.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <xf86drm.h>

#include "util.h"

jmp_buf tap_abort;
int tap_child;

int tap_run(const struct tap_test *tests, size_t count)
{
	static int failed;	/* kept over longjmp() */
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	at_work = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at_work == MAP_FAILED) {
		printf("Bail out! no memory\n");
		return 1;
	}
	printf("TAP version 13\n1..%zu\n", count);
	for (i = 0; i < count; i++) {
		if (setjmp(tap_abort)) {
			printf("not ok %zu %s\n", i + 1, tests[i].name);
			failed++;
			continue;
		}
		tests[i].run();
		printf("ok %zu %s\n", i + 1, tests[i].name);
	}
	return failed ? 1 : 0;
}

/* ---- ioctls ---- */

int npu_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Its number changes when it is bound again while an old file is open. */
const char *node_path(void)
{
	static char path[300];
	struct dirent *entry;
	char name[80];
	DIR *dir;

	snprintf(name, sizeof(name), "/sys/bus/pci/devices/%s/accel", need_pci_address());
	path[0] = 0;
	dir = opendir(name);
	if (!dir)
		return NULL;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "accel", 5))
			snprintf(path, sizeof(path), "/dev/accel/%s", entry->d_name);
	closedir(dir);
	return path[0] ? path : NULL;
}

int need_open(void)
{
	const char *path = node_path();
	int fd;

	if (!path)
		tap_fail("the driver has no device");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		tap_fail("%s: %s", path, strerror(errno));
	return fd;
}

struct drm_npu_device_info need_device_info(int fd)
{
	struct drm_npu_device_info info;
	struct drm_npu_dev_query query = {
		.type = DRM_NPU_QUERY_DEVICE,
		.size = sizeof(info),
		.pointer = (uintptr_t)&info,
	};

	memset(&info, 0xff, sizeof(info));
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_DEV_QUERY, &query), 0);
	check_eq(query.size, sizeof(info));
	return info;
}

struct drm_npu_usage_info need_usage(int fd)
{
	struct drm_npu_usage_info info;
	struct drm_npu_dev_query query = {
		.type = DRM_NPU_QUERY_USAGE,
		.size = sizeof(info),
		.pointer = (uintptr_t)&info,
	};

	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_DEV_QUERY, &query), 0);
	return info;
}

struct drm_npu_queue_query need_query(int fd, uint32_t queue)
{
	struct drm_npu_queue_query query = { .queue_id = queue };

	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_QUEUE_QUERY, &query), 0);
	return query;
}

int bo_create(int fd, uint64_t bytes, uint32_t *handle)
{
	struct drm_npu_bo_create create = { .size = bytes };
	int ret = npu_ioctl(fd, DRM_IOCTL_NPU_BO_CREATE, &create);

	if (!ret)
		*handle = create.handle;
	return ret;
}

/* What is mapped, because a mapping keeps its file open: see node_close(). */
static struct {
	int fd;
	void *map;
	uint64_t bytes;
} mappings[256];

#define MAPPINGS	(sizeof(mappings) / sizeof(mappings[0]))

static void mapping_add(int fd, void *map, uint64_t bytes)
{
	size_t i;

	for (i = 0; i < MAPPINGS && mappings[i].map; i++)
		;
	check(i < MAPPINGS);
	mappings[i].fd = fd;
	mappings[i].map = map;
	mappings[i].bytes = bytes;
}

void node_close(int fd)
{
	size_t i;

	for (i = 0; i < MAPPINGS; i++)
		if (mappings[i].map && mappings[i].fd == fd) {
			munmap(mappings[i].map, mappings[i].bytes);
			mappings[i].map = NULL;
		}
	close(fd);
}

struct buffer need_buffer(int fd, uint64_t bytes)
{
	struct buffer buffer = { .bytes = (bytes + PAGE - 1) / PAGE * PAGE };
	struct drm_npu_bo_mmap_offset offset = {};

	check_eq(bo_create(fd, bytes, &buffer.handle), 0);
	offset.handle = buffer.handle;
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset), 0);
	buffer.map = mmap(NULL, buffer.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  offset.offset);
	check(buffer.map != MAP_FAILED);
	mapping_add(fd, buffer.map, buffer.bytes);
	return buffer;
}

void buffer_close(int fd, struct buffer *buffer)
{
	struct drm_gem_close gem_close = { .handle = buffer->handle };
	size_t i;

	for (i = 0; i < MAPPINGS; i++)
		if (mappings[i].map == buffer->map)
			mappings[i].map = NULL;
	munmap(buffer->map, buffer->bytes);
	check_eq(npu_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem_close), 0);
}

int vm_create(int fd, uint32_t *vm)
{
	struct drm_npu_vm_create create = {};
	int ret = npu_ioctl(fd, DRM_IOCTL_NPU_VM_CREATE, &create);

	if (!ret)
		*vm = create.vm_id;
	return ret;
}

int vm_destroy(int fd, uint32_t vm)
{
	struct drm_npu_vm_destroy destroy = { .vm_id = vm };

	return npu_ioctl(fd, DRM_IOCTL_NPU_VM_DESTROY, &destroy);
}

struct drm_npu_obj_array obj_array(const void *elems, uint32_t count, uint32_t stride)
{
	return (struct drm_npu_obj_array) {
		.stride = stride,
		.count = count,
		.array = count ? (uintptr_t)elems : 0,
	};
}

int vm_bind(int fd, uint32_t vm, const struct drm_npu_vm_bind_op *ops, uint32_t count)
{
	struct drm_npu_vm_bind bind = {
		.vm_id = vm,
		.ops = obj_array(ops, count, sizeof(*ops)),
	};

	return npu_ioctl(fd, DRM_IOCTL_NPU_VM_BIND, &bind);
}

int vm_map(int fd, uint32_t vm, const struct buffer *buffer, uint64_t va, uint32_t flags)
{
	struct drm_npu_vm_bind_op op = {
		.op = DRM_NPU_VM_BIND_OP_MAP,
		.flags = flags,
		.handle = buffer->handle,
		.va = va,
		.size = buffer->bytes,
	};

	return vm_bind(fd, vm, &op, 1);
}

int vm_unmap(int fd, uint32_t vm, uint64_t va, uint64_t bytes)
{
	struct drm_npu_vm_bind_op op = {
		.op = DRM_NPU_VM_BIND_OP_UNMAP,
		.va = va,
		.size = bytes,
	};

	return vm_bind(fd, vm, &op, 1);
}

uint32_t need_vm(int fd)
{
	uint32_t vm = 0;

	check_eq(vm_create(fd, &vm), 0);
	check(vm > 0);
	return vm;
}

void need_map(int fd, uint32_t vm, struct buffer *buffer, uint64_t va)
{
	check_eq(vm_map(fd, vm, buffer, va, 0), 0);
	buffer->va = va;
}

int queue_create(int fd, uint32_t vm, uint32_t priority, uint32_t timeout_ms, uint32_t *queue)
{
	struct drm_npu_queue_create create = {
		.vm_id = vm,
		.priority = priority,
		.timeout_ms = timeout_ms,
	};
	int ret = npu_ioctl(fd, DRM_IOCTL_NPU_QUEUE_CREATE, &create);

	if (!ret)
		*queue = create.queue_id;
	return ret;
}

int queue_destroy(int fd, uint32_t queue)
{
	struct drm_npu_queue_destroy destroy = { .queue_id = queue };

	return npu_ioctl(fd, DRM_IOCTL_NPU_QUEUE_DESTROY, &destroy);
}

uint32_t need_queue(int fd, uint32_t vm, uint32_t timeout_ms)
{
	uint32_t queue = 0;

	check_eq(queue_create(fd, vm, DRM_NPU_PRIORITY_NORMAL, timeout_ms, &queue), 0);
	check(queue > 0);
	return queue;
}

int submit(int fd, uint32_t queue, const struct drm_npu_job *jobs, uint32_t count)
{
	struct drm_npu_submit args = {
		.queue_id = queue,
		.jobs = obj_array(jobs, count, sizeof(*jobs)),
	};

	return npu_ioctl(fd, DRM_IOCTL_NPU_SUBMIT, &args);
}

/* ---- Synchronisation ---- */

uint32_t need_syncobj(int fd, bool signalled)
{
	uint32_t handle = 0;

	check_eq(drmSyncobjCreate(fd, signalled ? DRM_SYNCOBJ_CREATE_SIGNALED : 0, &handle), 0);
	return handle;
}

static int64_t deadline_ns(int seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec + seconds) * 1000000000ll + now.tv_nsec;
}

int syncobj_wait(int fd, uint32_t handle, int seconds)
{
	return drmSyncobjWait(fd, &handle, 1, deadline_ns(seconds), 0, NULL);
}

int syncobj_wait_point(int fd, uint32_t handle, uint64_t point, int seconds)
{
	return drmSyncobjTimelineWait(fd, &handle, &point, 1, deadline_ns(seconds), 0, NULL);
}

int syncobj_status(int fd, uint32_t handle)
{
	struct sync_fence_info fences[16] = {};
	struct sync_file_info info = {
		.num_fences = 16,
		.sync_fence_info = (uintptr_t)fences,
	};
	int file = -1;
	uint32_t i;

	check_eq(drmSyncobjExportSyncFile(fd, handle, &file), 0);
	check_eq(npu_ioctl(file, SYNC_IOC_FILE_INFO, &info), 0);
	close(file);
	for (i = 0; i < info.num_fences && info.status == 1; i++)
		if (fences[i].status < 0)
			return fences[i].status;
	return info.status;
}

int syncobj_point_status(int fd, uint32_t handle, uint64_t point)
{
	uint32_t binary = need_syncobj(fd, false);
	int status;

	check_eq(drmSyncobjTransfer(fd, binary, 0, handle, point, 0), 0);
	status = syncobj_status(fd, binary);
	drmSyncobjDestroy(fd, binary);
	return status;
}

/* ---- Commands ---- */

static void *cmd_add(struct commands *cmds, uint8_t opcode, uint32_t bytes, uint32_t tag)
{
	struct npu_desc_hdr *hdr = (void *)(cmds->bytes + cmds->used);
	uint32_t lines = (bytes + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES;

	check(cmds->used + lines * NPU_LINE_BYTES <= cmds->limit);
	memset(hdr, 0, lines * NPU_LINE_BYTES);
	hdr->opcode = opcode;
	hdr->lines = lines;
	hdr->tag = tag;
	cmds->used += lines * NPU_LINE_BYTES;
	return hdr;
}

void cmd_nop_wait(struct commands *cmds, uint8_t sem)
{
	struct npu_desc_ctrl *desc = cmd_add(cmds, NPU_OP_NOP, sizeof(*desc), 0);

	desc->hdr.wait[0] = (struct npu_sem_ref) { .sem = sem, .count = 1 };
}

void cmd_loop(struct commands *cmds, uint32_t count)
{
	struct npu_desc_loop *desc = cmd_add(cmds, NPU_OP_LOOP, sizeof(*desc), 0);

	desc->count = count;
}

void cmd_endl(struct commands *cmds)
{
	struct npu_desc_endl *desc = cmd_add(cmds, NPU_OP_ENDL, sizeof(*desc), 0);
	unsigned int i;

	for (i = 0; i < NPU_LOOP_STEPS; i++)
		desc->step[i].reg = NPU_REG_NONE;
}

static struct npu_desc_dma *cmd_dma(struct commands *cmds, uint8_t opcode, uint8_t reg,
				    uint32_t spm_bytes, uint32_t elems, uint32_t tag)
{
	struct npu_desc_dma *desc = cmd_add(cmds, opcode, sizeof(*desc), tag);
	unsigned int i;

	for (i = 0; i < 5; i++) {
		desc->dim[i] = i == 4 ? elems : 1;
		desc->mem.stride_bytes[i] = i == 4 ? 4 : 0;
		desc->spm_stride[i] = i == 4 ? 1 : 0;
	}
	desc->mem.reg = reg;
	desc->mem.dtype = NPU_I32;
	desc->spm = (struct npu_ref) {
		.addr = spm_bytes,
		.space = NPU_SPACE_SPM,
		.dtype = NPU_I32,
		.reg = NPU_REG_NONE,
	};
	return desc;
}

void cmd_load(struct commands *cmds, uint8_t reg, uint32_t spm_bytes, uint32_t elems, uint32_t tag)
{
	cmd_dma(cmds, NPU_OP_LOAD, reg, spm_bytes, elems, tag);
}

void cmd_store(struct commands *cmds, uint8_t reg, uint32_t spm_bytes, uint32_t elems,
	       uint32_t tag)
{
	cmd_dma(cmds, NPU_OP_STORE, reg, spm_bytes, elems, tag);
}

void cmd_end(struct commands *cmds)
{
	cmd_add(cmds, NPU_OP_END, sizeof(struct npu_desc_ctrl), 0);
}

/* ---- Clients ---- */

struct client need_client(uint32_t timeout_ms)
{
	struct client client = { .fd = need_open() };

	client.vm = need_vm(client.fd);
	client.queue = need_queue(client.fd, client.vm, timeout_ms);
	client.jobs = need_buffer(client.fd, CLIENT_JOBS * CLIENT_JOB_BYTES);
	need_map(client.fd, client.vm, &client.jobs, CLIENT_VA);
	return client;
}

void client_close(struct client *client)
{
	node_close(client->fd);
	client->fd = -1;
}

struct commands client_commands(struct client *client, unsigned int slot)
{
	check(slot < CLIENT_JOBS);
	return (struct commands) {
		.bytes = (uint8_t *)client->jobs.map + slot * CLIENT_JOB_BYTES,
		.limit = CLIENT_JOB_BYTES - CLIENT_BIND_BYTES,
	};
}

struct drm_npu_job client_job(struct client *client, unsigned int slot,
			      const struct commands *cmds, const uint64_t *regs, uint32_t count)
{
	uint64_t va = client->jobs.va + slot * CLIENT_JOB_BYTES;
	uint64_t bind = CLIENT_JOB_BYTES - CLIENT_BIND_BYTES;

	check(count * sizeof(*regs) <= CLIENT_BIND_BYTES);
	if (count)
		memcpy(cmds->bytes + bind, regs, count * sizeof(*regs));
	return (struct drm_npu_job) {
		.cmd_va = va,
		.cmd_bytes = cmds->used,
		.bind_va = count ? va + bind : 0,
		.bind_count = count,
	};
}

struct drm_npu_job job_copy(struct client *client, unsigned int slot, uint64_t src, uint64_t dst,
			    uint32_t words)
{
	struct commands cmds = client_commands(client, slot);
	const uint64_t regs[] = { src, dst };
	struct npu_desc_dma *desc;

	desc = cmd_dma(&cmds, NPU_OP_LOAD, 0, 0, words, 0x10);
	desc->hdr.signal[0] = (struct npu_sem_ref) { .sem = 0, .count = 1 };
	desc = cmd_dma(&cmds, NPU_OP_STORE, 1, 0, words, 0x20);
	desc->hdr.wait[0] = (struct npu_sem_ref) { .sem = 0, .count = 1 };
	cmd_end(&cmds);
	return client_job(client, slot, &cmds, regs, 2);
}

struct drm_npu_job job_hang(struct client *client, unsigned int slot)
{
	struct commands cmds = client_commands(client, slot);

	cmd_nop_wait(&cmds, 1);
	cmd_end(&cmds);
	return client_job(client, slot, &cmds, NULL, 0);
}

struct drm_npu_job job_long(struct client *client, unsigned int slot, uint64_t src, uint32_t words,
			    uint32_t loops)
{
	struct commands cmds = client_commands(client, slot);
	const uint64_t regs[] = { src };

	cmd_loop(&cmds, loops);
	cmd_load(&cmds, 0, 0, words, 0x30);
	cmd_endl(&cmds);
	cmd_end(&cmds);
	return client_job(client, slot, &cmds, regs, 1);
}

uint32_t need_submit(struct client *client, struct drm_npu_job job)
{
	struct drm_npu_sync syncs[16];
	uint32_t count = job.syncs.count;

	check(count < 16);
	if (count)
		memcpy(syncs, (void *)(uintptr_t)job.syncs.array, count * sizeof(syncs[0]));
	syncs[count] = (struct drm_npu_sync) {
		.flags = DRM_NPU_SYNC_SIGNAL,
		.handle = need_syncobj(client->fd, false),
	};
	job.syncs = obj_array(syncs, count + 1, sizeof(syncs[0]));
	check_eq(submit(client->fd, client->queue, &job, 1), 0);
	return syncs[count].handle;
}

void need_submit_two(struct client *client, struct drm_npu_job first, struct drm_npu_job second,
		     uint32_t done[2])
{
	struct drm_npu_job jobs[2] = { first, second };
	struct drm_npu_sync syncs[2];
	int i;

	for (i = 0; i < 2; i++) {
		syncs[i] = (struct drm_npu_sync) {
			.flags = DRM_NPU_SYNC_SIGNAL,
			.handle = need_syncobj(client->fd, false),
		};
		done[i] = syncs[i].handle;
		jobs[i].syncs = obj_array(&syncs[i], 1, sizeof(syncs[i]));
	}
	check_eq(submit(client->fd, client->queue, jobs, 2), 0);
}

void need_running(struct client *client)
{
	int tries;

	for (tries = 0; tries < 6000; tries++) {
		if (need_query(client->fd, client->queue).run_ns)
			return;
		usleep(10000);
	}
	tap_fail("the job does not start");
}

void need_run(struct client *client, struct drm_npu_job job, int error)
{
	uint32_t done = need_submit(client, job);

	check_eq(syncobj_wait(client->fd, done, 60), 0);
	check_eq(syncobj_status(client->fd, done), error ? error : 1);
	drmSyncobjDestroy(client->fd, done);
}

int rounds(int count)
{
	struct utsname name;

	if (uname(&name) || !strstr(name.release, "debug"))
		return count;
	return count / 5 ? count / 5 : 1;
}

/* ---- Processes and files ---- */

volatile int *at_work;

void need_at_work(int count)
{
	int tries;

	for (tries = 0; *at_work < count && tries < 6000; tries++)
		usleep(10000);
	check(*at_work >= count);
}

pid_t need_fork(void (*run)(void *arg), void *arg)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	check(child >= 0);
	if (!child) {
		tap_child = 1;
		run(arg);
		fflush(stdout);
		_exit(0);
	}
	return child;
}

void need_exit(pid_t child)
{
	int status = 0;

	check_eq(waitpid(child, &status, 0), child);
	check_eq(status, 0);
}

void need_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		tap_fail("%s: %s", path, strerror(errno));
	ret = write(fd, text, strlen(text));
	if (ret != (ssize_t)strlen(text))
		tap_fail("%s: %s", path, ret < 0 ? strerror(errno) : "short write");
	close(fd);
}

uint64_t need_fdinfo(int fd, const char *key)
{
	size_t key_bytes = strlen(key);
	uint64_t value = 0;
	bool found = false;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	check(file);
	while (!found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, key_bytes) || line[key_bytes] != ':')
			continue;
		value = strtoull(line + key_bytes + 1, NULL, 0);
		if (strstr(line, "KiB"))
			value *= 1024;
		if (strstr(line, "MiB"))
			value *= 1024 * 1024;
		found = true;
	}
	fclose(file);
	if (!found)
		tap_fail("fdinfo has no %s", key);
	return value;
}

/* The id of a PCI device as sysfs writes it. */
static unsigned int read_id(const char *device, const char *file)
{
	unsigned int id = 0;
	char path[300];
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, file);
	stream = fopen(path, "re");
	if (!stream)
		return 0;
	if (fscanf(stream, "%x", &id) != 1)
		id = 0;
	fclose(stream);
	return id;
}

const char *need_pci_address(void)
{
	static char address[32];
	struct dirent *entry;
	DIR *dir;

	if (address[0])
		return address;
	dir = opendir("/sys/bus/pci/devices");
	check(dir);
	while ((entry = readdir(dir)))
		if (read_id(entry->d_name, "vendor") == NPU_PCI_VENDOR_ID &&
		    read_id(entry->d_name, "device") == NPU_PCI_DEVICE_ID)
			snprintf(address, sizeof(address), "%.31s", entry->d_name);
	closedir(dir);
	if (!address[0])
		tap_fail("no NPU on the PCI bus");
	return address;
}

void need_in_use(uint32_t queues, uint32_t contexts)
{
	struct drm_npu_usage_info usage = {};
	int fd = need_open();
	int tries;

	/* A killed process's files are closed a moment after it was waited for. */
	for (tries = 0; tries < 500; tries++) {
		usage = need_usage(fd);
		if (usage.queues_used == queues && usage.contexts_used == contexts)
			break;
		usleep(10000);
	}
	node_close(fd);
	check_eq(usage.queues_used, queues);
	check_eq(usage.contexts_used, contexts);
}

void fill_words(uint32_t *words, size_t count, uint32_t seed)
{
	size_t i;

	for (i = 0; i < count; i++) {
		seed = seed * 1664525 + 1013904223;
		words[i] = seed;
	}
}
