// SPDX-License-Identifier: MIT
/*
 * The driver leaves while files are open and jobs run, the function is reset
 * under load, and the module is loaded again and again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xf86drm.h>

#include "util.h"

#define DATA_VA		0x40000000ull

static void need_unbind(void)
{
	need_write_file("/sys/bus/pci/drivers/npu/unbind", need_pci_address());
}

static void need_node(void)
{
	int tries;

	/* devtmpfs makes the node in a thread of its own. */
	for (tries = 0; tries < 500; tries++) {
		if (node_path() && !access(node_path(), F_OK))
			return;
		usleep(10000);
	}
	tap_fail("no node");
}

static void need_bind(void)
{
	need_write_file("/sys/bus/pci/drivers/npu/bind", need_pci_address());
	need_node();
}

static void device_works(void)
{
	struct client client = need_client(0);
	struct buffer data = need_buffer(client.fd, 2 * PAGE);

	need_map(client.fd, client.vm, &data, DATA_VA);
	fill_words(data.map, 1024, 9);
	need_run(&client, job_copy(&client, 0, DATA_VA, DATA_VA + PAGE, 1024), 0);
	check(!memcmp(data.map, (char *)data.map + PAGE, PAGE));
	client_close(&client);
	need_in_use(0, 0);
}

static void unbind_and_bind(void)
{
	int i;

	for (i = 0; i < rounds(10); i++) {
		need_unbind();
		check(!node_path());
		need_bind();
		device_works();
	}
}

static void unbind_with_open_file(void)
{
	struct client client = need_client(60000);
	struct buffer data = need_buffer(client.fd, 4 * PAGE), plain = need_buffer(client.fd, PAGE);
	struct drm_npu_job next = job_copy(&client, 1, DATA_VA, DATA_VA + PAGE, 1024);
	uint32_t running, waiting, handle;
	struct drm_npu_queue_query query = { .queue_id = client.queue };
	int file = -1, other, status;
	uint32_t imported;

	need_map(client.fd, client.vm, &data, DATA_VA);
	strcpy(data.map, "bound");
	strcpy(plain.map, "not bound");
	running = need_submit(&client, job_hang(&client, 0));
	waiting = need_submit(&client, next);
	check_eq(drmSyncobjExportSyncFile(client.fd, running, &file), 0);

	need_unbind();
	check_eq(submit(client.fd, client.queue, &next, 1), -ENODEV);
	check_eq(bo_create(client.fd, PAGE, &handle), -ENODEV);
	check_eq(npu_ioctl(client.fd, DRM_IOCTL_NPU_QUEUE_QUERY, &query), -ENODEV);
	check_eq(vm_destroy(client.fd, client.vm), -ENODEV);
	/* Memory stays, bound or not, and also for writing. */
	check(!strcmp(data.map, "bound"));
	check(!strcmp(plain.map, "not bound"));
	strcpy(data.map, "still here");
	check(!strcmp(data.map, "still here"));
	check_eq(fcntl(client.fd, F_GETFD), FD_CLOEXEC);

	need_bind();
	/* The fences have ended; they can still be looked at, from elsewhere. */
	other = need_open();
	imported = need_syncobj(other, false);
	check_eq(drmSyncobjImportSyncFile(other, imported, file), 0);
	check_eq(syncobj_wait(other, imported, 10), 0);
	status = syncobj_status(other, imported);
	check_eq(status, -ENODEV);
	close(file);
	node_close(other);
	(void)waiting;
	/* The old file does not become the new device's. */
	check_eq(submit(client.fd, client.queue, &next, 1), -ENODEV);
	device_works();
	client_close(&client);
	device_works();
	/* With its number free again, the node gets its old name back. */
	need_unbind();
	need_bind();
	check(!strcmp(node_path(), "/dev/accel/accel0"));
}

static void load_child(void *arg)
{
	struct client client = need_client(0);
	struct buffer data = need_buffer(client.fd, 64 * PAGE);
	struct drm_npu_vm_bind_op op = {
		.handle = data.handle, .va = DATA_VA + 64 * PAGE, .size = 64 * PAGE,
	};
	struct drm_npu_job jobs[16];
	unsigned int i;
	uint32_t queue;
	int ret = 0;

	(void)arg;
	need_map(client.fd, client.vm, &data, DATA_VA);
	for (i = 0; i < 16; i++)
		jobs[i] = job_copy(&client, i, DATA_VA, DATA_VA + PAGE, 1024);
	__atomic_add_fetch(at_work, 1, __ATOMIC_SEQ_CST);
	/* Until the device is gone under it. */
	while (!ret) {
		ret = submit(client.fd, client.queue, jobs, 16);
		if (!ret || ret == -ENOSPC)
			ret = vm_bind(client.fd, client.vm, &op, 1);
		if (!ret)
			ret = vm_unmap(client.fd, client.vm, op.va, op.size);
		if (!ret)
			ret = queue_create(client.fd, client.vm, 1, 0, &queue);
		if (!ret)
			ret = queue_destroy(client.fd, queue);
	}
	check(ret == -ENODEV);
	((volatile char *)data.map)[0] = 1;
}

static void unbind_under_load(void)
{
	pid_t children[3];
	int i, round;

	for (round = 0; round < rounds(5); round++) {
		*at_work = 0;
		for (i = 0; i < 3; i++)
			children[i] = need_fork(load_child, NULL);
		need_at_work(3);
		usleep(200000);
		need_unbind();
		for (i = 0; i < 3; i++)
			need_exit(children[i]);
		need_bind();
	}
	device_works();
}

/* ---- Function-level reset ---- */

static char reset_path[64];

static void need_function_reset(void)
{
	snprintf(reset_path, sizeof(reset_path), "/sys/bus/pci/devices/%s/reset",
		 need_pci_address());
	need_write_file(reset_path, "1");
}

static void reset_when_idle(void)
{
	struct client client = need_client(0);
	uint64_t resets = need_usage(client.fd).device_resets;
	int i;

	for (i = 0; i < 5; i++) {
		need_run(&client, job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1), 0);
		need_function_reset();
	}
	need_run(&client, job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1), 0);
	check_eq(need_usage(client.fd).device_resets, resets + 5);
	client_close(&client);
}

/* The job that ran is lost, and says so; those behind other queues' run. */
static void reset_with_jobs(void)
{
	struct client victim = need_client(60000), good = need_client(0);
	struct buffer data = need_buffer(good.fd, 2 * PAGE);
	uint32_t running, waiting;

	need_map(good.fd, good.vm, &data, DATA_VA);
	fill_words(data.map, 1024, 11);
	running = need_submit(&victim, job_hang(&victim, 0));
	need_running(&victim);
	waiting = need_submit(&good, job_copy(&good, 0, DATA_VA, DATA_VA + PAGE, 1024));
	check_eq(syncobj_wait(victim.fd, running, 0), -ETIME);
	need_function_reset();
	check_eq(syncobj_wait(victim.fd, running, 10), 0);
	check_eq(syncobj_status(victim.fd, running), -EIO);
	check_eq(need_query(victim.fd, victim.queue).state, DRM_NPU_QUEUE_LOST);
	check_eq(syncobj_wait(good.fd, waiting, 60), 0);
	check_eq(syncobj_status(good.fd, waiting), 1);
	check(!memcmp(data.map, (char *)data.map + PAGE, PAGE));
	check_eq(need_query(good.fd, good.queue).state, DRM_NPU_QUEUE_OK);
	/* LOST ends the queue, not the address space. */
	victim.queue = need_queue(victim.fd, victim.vm, 0);
	need_run(&victim, job_copy(&victim, 1, CLIENT_VA, CLIENT_VA, 1), 0);
	client_close(&victim);
	client_close(&good);
	need_in_use(0, 0);
}

static void reset_child(void *arg)
{
	unsigned int round, lost = 0;
	struct client client = need_client(0);
	struct buffer data = need_buffer(client.fd, 2 * PAGE);

	(void)arg;
	need_map(client.fd, client.vm, &data, DATA_VA);
	for (round = 0; round < (unsigned int)rounds(150); round++) {
		struct drm_npu_job job = job_copy(&client, 0, DATA_VA, DATA_VA + PAGE, 1024);
		uint32_t done;
		int status;

		fill_words(data.map, 1024, round);
		done = need_submit(&client, job);
		check_eq(syncobj_wait(client.fd, done, 60), 0);
		status = syncobj_status(client.fd, done);
		drmSyncobjDestroy(client.fd, done);
		if (status == -EIO) {
			lost++;
			check_eq(need_query(client.fd, client.queue).state, DRM_NPU_QUEUE_LOST);
			check_eq(queue_destroy(client.fd, client.queue), 0);
			client.queue = need_queue(client.fd, client.vm, 0);
			continue;
		}
		check_eq(status, 1);
		check(!memcmp(data.map, (char *)data.map + PAGE, PAGE));
		check_eq(vm_map(client.fd, client.vm, &data, DATA_VA + 64 * PAGE, 0), 0);
		check_eq(vm_unmap(client.fd, client.vm, DATA_VA + 64 * PAGE, 2 * PAGE), 0);
	}
	printf("# %u of %u jobs lost\n", lost, round);
	client_close(&client);
}

static void reset_under_load(void)
{
	pid_t children[2];
	int i;

	for (i = 0; i < 2; i++)
		children[i] = need_fork(reset_child, NULL);
	for (i = 0; i < rounds(20); i++) {
		need_function_reset();
		usleep(20000);
	}
	for (i = 0; i < 2; i++)
		need_exit(children[i]);
	need_in_use(0, 0);
}

/* ---- Death ---- */

/* Bits of PCI's command register. */
#define COMMAND_MEMORY	(1u << 1)	/* the function answers on its BARs */
#define COMMAND_MASTER	(1u << 2)	/* it may reach memory */

/* Read the command register, or write it if @set is not negative. */
static uint16_t pci_command(int set)
{
	uint16_t command = (uint16_t)set;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", need_pci_address());
	fd = open(path, O_RDWR | O_CLOEXEC);
	check(fd >= 0);
	if (set < 0)
		check_eq(pread(fd, &command, sizeof(command), 4), sizeof(command));
	else
		check_eq(pwrite(fd, &command, sizeof(command), 4), sizeof(command));
	close(fd);
	return command;
}

static void need_memory_decode(bool on)
{
	uint16_t command = pci_command(-1);

	pci_command(on ? command | COMMAND_MEMORY : command & ~COMMAND_MEMORY);
}

/* A socket that hears what the kernel tells user space about devices. */
static int need_uevents(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	const struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	check(fd >= 0);
	check_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	check_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Whether an event of the node with this word comes; others are skipped. */
static bool uevent_comes(int fd, const char *word)
{
	char event[4096];
	ssize_t bytes;

	while ((bytes = recv(fd, event, sizeof(event) - 1, 0)) > 0) {
		event[bytes] = 0;
		if (!strstr(event, "/accel/"))
			continue;
		for (char *at = event; at < event + bytes; at += strlen(at) + 1)
			if (!strcmp(at, word))
				return true;
	}
	return false;
}

/* A device that no longer answers is given up, and a new start makes it good. */
static void dead_until_rebind(void)
{
	struct client client = need_client(100), other = need_client(0);
	struct drm_npu_job next = job_copy(&client, 1, CLIENT_VA, CLIENT_VA, 1);
	struct buffer data = need_buffer(client.fd, PAGE);
	int status, events = need_uevents();
	uint32_t lost, vm, queue;

	need_map(client.fd, client.vm, &data, DATA_VA);
	need_memory_decode(false);
	lost = need_submit(&client, next);
	check_eq(syncobj_wait(client.fd, lost, 60), 0);
	status = syncobj_status(client.fd, lost);
	check(status == -ETIME || status == -EIO);
	/* It cannot reach memory any more, and user space is told what helps. */
	check(!(pci_command(-1) & COMMAND_MASTER));
	check(uevent_comes(events, "WEDGED=rebind"));
	close(events);
	check_eq(submit(other.fd, other.queue, &next, 1), -EIO);
	check_eq(vm_create(client.fd, &vm), -EIO);
	check_eq(queue_create(other.fd, other.vm, 1, 0, &queue), -EIO);
	check_eq(vm_unmap(client.fd, client.vm, DATA_VA, PAGE), -EIO);
	check_eq(need_query(other.fd, other.queue).state, DRM_NPU_QUEUE_LOST);
	/* What there is can be taken apart. */
	check_eq(queue_destroy(client.fd, client.queue), 0);
	check_eq(vm_destroy(client.fd, client.vm), 0);
	client_close(&client);
	client_close(&other);
	need_unbind();
	need_memory_decode(true);
	need_bind();
	device_works();
}

/* The device goes while jobs run and nobody looks: unbinding ends it all the same. */
static void dead_at_unbind(void)
{
	struct client client = need_client(60000);
	uint32_t running = need_submit(&client, job_hang(&client, 0));
	int file = -1, fd;
	uint32_t imported;

	need_running(&client);
	check_eq(drmSyncobjExportSyncFile(client.fd, running, &file), 0);
	need_memory_decode(false);
	need_unbind();
	client_close(&client);
	need_memory_decode(true);
	need_bind();
	fd = need_open();
	imported = need_syncobj(fd, false);
	check_eq(drmSyncobjImportSyncFile(fd, imported, file), 0);
	check_eq(syncobj_wait(fd, imported, 10), 0);
	check_eq(syncobj_status(fd, imported), -ENODEV);
	close(file);
	node_close(fd);
	need_unbind();
	need_bind();
	device_works();
}

/* ---- The module ---- */

static int module_remove(void)
{
	return syscall(SYS_delete_module, "npu", O_NONBLOCK) ? -errno : 0;
}

static void need_module_load(void)
{
	struct utsname name;
	char path[256];
	int fd;

	check_eq(uname(&name), 0);
	snprintf(path, sizeof(path), "/lib/modules/%s/npu.ko", name.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		tap_fail("%s: %s", path, strerror(errno));
	check_eq(syscall(SYS_finit_module, fd, "", 0), 0);
	close(fd);
	need_node();
}

/* The module goes once nothing of it is left, which may take an RCU period. */
static void need_module_remove(void)
{
	int ret = -EAGAIN, tries;

	for (tries = 0; ret && tries < 500; tries++) {
		ret = module_remove();
		if (ret)
			usleep(10000);
	}
	check_eq(ret, 0);
}

static void load_and_unload(void)
{
	int i;

	for (i = 0; i < rounds(10); i++) {
		device_works();
		need_module_remove();
		check(!node_path());
		need_module_load();
	}
	device_works();
}

static void module_stays_while_used(void)
{
	struct client client = need_client(0);
	uint32_t done = need_submit(&client, job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1));
	int file = -1;

	check(module_remove());
	check_eq(drmSyncobjExportSyncFile(client.fd, done, &file), 0);
	client_close(&client);
	usleep(200000);
	/* A fence is enough: its name is in the module's memory. */
	check(module_remove());
	close(file);
	need_module_remove();
	need_module_load();
	device_works();
}

/* For the programs after this one, whatever happened before. */
static void left_as_found(void)
{
	if (!node_path())
		need_bind();
	device_works();
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(unbind_and_bind),
		TAP_TEST(unbind_with_open_file),
		TAP_TEST(unbind_under_load),
		TAP_TEST(reset_when_idle),
		TAP_TEST(reset_with_jobs),
		TAP_TEST(reset_under_load),
		TAP_TEST(dead_until_rebind),
		TAP_TEST(dead_at_unbind),
		TAP_TEST(load_and_unload),
		TAP_TEST(module_stays_while_used),
		TAP_TEST(left_as_found),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
