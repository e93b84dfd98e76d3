/* SPDX-License-Identifier: MIT */
/*
 * The driver's ioctls for its tests, without libnpu: thin wrappers, and command
 * buffers put together by hand. Functions return 0 or -errno as the kernel did;
 * those called need_*() end the test when they fail.
 */
#ifndef VM_UTIL_H
#define VM_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "isa/npu_isa.h"
#include "uapi/drm/npu_accel.h"
#include "tap.h"

#define PAGE	4096ull

/* The device's node; NULL when the driver is not bound. */
const char *node_path(void);

/* ---- ioctls ---- */

int npu_ioctl(int fd, unsigned long request, void *arg);
int need_open(void);
/* Close a file of the device, and unmap its buffers: they would keep it open. */
void node_close(int fd);
struct drm_npu_device_info need_device_info(int fd);
struct drm_npu_usage_info need_usage(int fd);
struct drm_npu_queue_query need_query(int fd, uint32_t queue);

/* A buffer, mapped by the CPU at @map and by the device at @va (0: not yet). */
struct buffer {
	uint32_t handle;
	uint64_t bytes;
	void *map;
	uint64_t va;
};

int bo_create(int fd, uint64_t bytes, uint32_t *handle);
struct buffer need_buffer(int fd, uint64_t bytes);
void buffer_close(int fd, struct buffer *buffer);

int vm_create(int fd, uint32_t *vm);
int vm_destroy(int fd, uint32_t vm);
int vm_bind(int fd, uint32_t vm, const struct drm_npu_vm_bind_op *ops, uint32_t count);
int vm_map(int fd, uint32_t vm, const struct buffer *buffer, uint64_t va, uint32_t flags);
int vm_unmap(int fd, uint32_t vm, uint64_t va, uint64_t bytes);
uint32_t need_vm(int fd);
void need_map(int fd, uint32_t vm, struct buffer *buffer, uint64_t va);

int queue_create(int fd, uint32_t vm, uint32_t priority, uint32_t timeout_ms, uint32_t *queue);
int queue_destroy(int fd, uint32_t queue);
uint32_t need_queue(int fd, uint32_t vm, uint32_t timeout_ms);

struct drm_npu_obj_array obj_array(const void *elems, uint32_t count, uint32_t stride);
int submit(int fd, uint32_t queue, const struct drm_npu_job *jobs, uint32_t count);

/* ---- Synchronisation ---- */

uint32_t need_syncobj(int fd, bool signalled);
/* 0, or -ETIME after @seconds. */
int syncobj_wait(int fd, uint32_t handle, int seconds);
int syncobj_wait_point(int fd, uint32_t handle, uint64_t point, int seconds);
/*
 * Status of the fence in a syncobj: 0 active, 1 signalled, or -errno. A point of
 * a timeline shows the error only in the fences that it is made of.
 */
int syncobj_status(int fd, uint32_t handle);
int syncobj_point_status(int fd, uint32_t handle, uint64_t point);

/* ---- Jobs ---- */

/* A command buffer under construction. */
struct commands {
	uint8_t *bytes;
	uint32_t used;
	uint32_t limit;
};

void cmd_nop_wait(struct commands *cmds, uint8_t sem);
void cmd_loop(struct commands *cmds, uint32_t count);
void cmd_endl(struct commands *cmds);
/* @reg holds the address; @elems words from there to SPM @spm_bytes, or back. */
void cmd_load(struct commands *cmds, uint8_t reg, uint32_t spm_bytes, uint32_t elems, uint32_t tag);
void cmd_store(struct commands *cmds, uint8_t reg, uint32_t spm_bytes, uint32_t elems,
	       uint32_t tag);
void cmd_end(struct commands *cmds);

/*
 * A client: file, address space, queue, and a buffer with room for commands and
 * bindings of JOBS jobs and for DATA bytes.
 */
#define CLIENT_JOBS		256
#define CLIENT_JOB_BYTES	1024
#define CLIENT_BIND_BYTES	256
#define CLIENT_VA		0x100000ull

struct client {
	int fd;
	uint32_t vm;
	uint32_t queue;
	struct buffer jobs;
};

struct client need_client(uint32_t timeout_ms);
void client_close(struct client *client);

/* Job number @slot of the client: empty commands, bindings @regs. */
struct commands client_commands(struct client *client, unsigned int slot);
struct drm_npu_job client_job(struct client *client, unsigned int slot,
			      const struct commands *cmds, const uint64_t *regs, uint32_t count);
/* Jobs: copy words from @src to @dst; never end; run for @loops loads of @src. */
struct drm_npu_job job_copy(struct client *client, unsigned int slot, uint64_t src, uint64_t dst,
			    uint32_t words);
struct drm_npu_job job_hang(struct client *client, unsigned int slot);
struct drm_npu_job job_long(struct client *client, unsigned int slot, uint64_t src, uint32_t words,
			    uint32_t loops);

/* Submit one job with one more syncobj, for it to signal; the syncobj. */
uint32_t need_submit(struct client *client, struct drm_npu_job job);
/* Submit two jobs in one call, with a syncobj each. */
void need_submit_two(struct client *client, struct drm_npu_job first, struct drm_npu_job second,
		     uint32_t done[2]);
/* Wait until a job of the client is on the engines; it has to stay for a while. */
void need_running(struct client *client);
/* Submit, wait, and check that it ends with @error (0 or -errno). */
void need_run(struct client *client, struct drm_npu_job job, int error);

/* @count, or a part of it on a kernel that checks itself and is slow. */
int rounds(int count);

/* ---- Processes and files ---- */

/* A number that a process shares with those it forks afterwards; 0 at first. */
extern volatile int *at_work;
void need_at_work(int count);
/* Fork; the child runs @run(@arg) and exits with 0 if no check failed. */
pid_t need_fork(void (*run)(void *arg), void *arg);
void need_exit(pid_t child);
void need_write_file(const char *path, const char *text);
/* Value of a line "KEY:\tNUMBER" of an fdinfo file. */
uint64_t need_fdinfo(int fd, const char *key);
/* PCI address of the device, "0000:00:05.0". */
const char *need_pci_address(void);
/* Wait until queues, contexts of the device in use are as given. */
void need_in_use(uint32_t queues, uint32_t contexts);

/* Numbers that look random, the same for the same seed. */
void fill_words(uint32_t *words, size_t count, uint32_t seed);

#endif
