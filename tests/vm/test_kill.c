// SPDX-License-Identifier: MIT
/* Processes that die in the middle leave nothing behind, and nobody waits for them. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

#include "util.h"

#define DATA_VA		0x40000000ull

static void need_killed(pid_t child)
{
	int status = 0;

	check_eq(kill(child, SIGKILL), 0);
	check_eq(waitpid(child, &status, 0), child);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void hang_child(void *arg)
{
	struct client client = need_client(60000);
	struct buffer data = need_buffer(client.fd, 64 * PAGE);
	struct drm_npu_job jobs[8];
	unsigned int i;

	(void)arg;
	need_map(client.fd, client.vm, &data, DATA_VA);
	need_submit(&client, job_hang(&client, 0));
	for (i = 0; i < 8; i++)
		jobs[i] = job_copy(&client, i + 1, DATA_VA, DATA_VA + PAGE, 1024);
	check_eq(submit(client.fd, client.queue, jobs, 8), 0);
	*at_work = 1;
	pause();
}

static void killed_with_a_hang(void)
{
	int round;

	for (round = 0; round < rounds(5); round++) {
		pid_t child;

		*at_work = 0;
		child = need_fork(hang_child, NULL);
		need_at_work(1);
		need_killed(child);
		need_in_use(0, 0);
	}
}

static void busy_child(void *arg)
{
	struct client client = need_client(0);
	struct buffer data = need_buffer(client.fd, 64 * PAGE);
	struct drm_npu_vm_bind_op op = {
		.handle = data.handle, .va = DATA_VA + 64 * PAGE, .size = 64 * PAGE,
	};
	struct drm_npu_job jobs[16];
	uint32_t queue;
	unsigned int i;

	(void)arg;
	need_map(client.fd, client.vm, &data, DATA_VA);
	for (i = 0; i < 16; i++)
		jobs[i] = job_copy(&client, i, DATA_VA, DATA_VA + PAGE, 1024);
	for (;;) {
		*at_work = 1;
		check_eq(submit(client.fd, client.queue, jobs, 16), 0);
		check_eq(vm_bind(client.fd, client.vm, &op, 1), 0);
		check_eq(queue_create(client.fd, client.vm, 1, 0, &queue), 0);
		check_eq(submit(client.fd, queue, jobs, 1), 0);
		check_eq(vm_unmap(client.fd, client.vm, op.va, op.size), 0);
		need_run(&client, jobs[0], 0);
		check_eq(queue_destroy(client.fd, queue), 0);
	}
}

static void killed_at_work(void)
{
	int round;

	for (round = 0; round < rounds(40); round++) {
		pid_t child;

		*at_work = 0;
		child = need_fork(busy_child, NULL);
		need_at_work(1);
		usleep(1000 * (round * 7 % 50));
		need_killed(child);
		need_in_use(0, 0);
	}
}

/* Jobs that wait for another process's fence end with that, not before. */
static void dependent_child(void *arg)
{
	struct client client = need_client(0);
	struct drm_npu_sync wait = { .handle = need_syncobj(client.fd, false) };
	struct drm_npu_job job = job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1);

	check_eq(drmSyncobjImportSyncFile(client.fd, wait.handle, *(int *)arg), 0);
	job.syncs = obj_array(&wait, 1, sizeof(wait));
	need_submit(&client, job);
	*at_work = 1;
	pause();
}

static void killed_while_waiting_for_a_fence(void)
{
	struct client gate = need_client(60000);
	int file = -1;
	pid_t child;

	check_eq(drmSyncobjExportSyncFile(gate.fd, need_submit(&gate, job_hang(&gate, 0)), &file),
		 0);
	*at_work = 0;
	child = need_fork(dependent_child, &file);
	need_at_work(1);
	need_killed(child);
	/* Its queue is off the hardware although its job cannot end yet. */
	need_in_use(1, 1);
	check_eq(queue_destroy(gate.fd, gate.queue), 0);
	client_close(&gate);
	close(file);
	need_in_use(0, 0);
}

/* A fence that a dead process left in our hands ends, with an error. */
static int sockets[2];

static void send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	check_eq(sendmsg(socket, &msg, 0), 1);
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	check_eq(recvmsg(socket, &msg, 0), 1);
	check(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void fence_child(void *arg)
{
	struct client client = need_client(60000);
	int file = -1;

	(void)arg;
	check_eq(drmSyncobjExportSyncFile(client.fd,
					  need_submit(&client, job_hang(&client, 0)), &file), 0);
	send_fd(sockets[1], file);
	pause();
}

static void fence_of_a_dead_process(void)
{
	int fd = need_open(), file;
	uint32_t handle = need_syncobj(fd, false);
	pid_t child;

	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	child = need_fork(fence_child, NULL);
	file = receive_fd(sockets[0]);
	check_eq(drmSyncobjImportSyncFile(fd, handle, file), 0);
	check_eq(syncobj_wait(fd, handle, 0), -ETIME);
	need_killed(child);
	check_eq(syncobj_wait(fd, handle, 10), 0);
	check_eq(syncobj_status(fd, handle), -ECANCELED);
	close(file);
	node_close(fd);
	close(sockets[0]);
	close(sockets[1]);
	need_in_use(0, 0);
}

/* The first users of a process's memory are its buffers: none is left. */
static uint64_t free_kib(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	check(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %llu", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

static void memory_child(void *arg)
{
	struct client client = need_client(60000);
	struct buffer data = need_buffer(client.fd, 64 << 20);

	(void)arg;
	memset(data.map, 1, data.bytes);
	need_map(client.fd, client.vm, &data, DATA_VA);
	need_submit(&client, job_hang(&client, 0));
	*at_work = 1;
	pause();
}

static void memory_comes_back(void)
{
	uint64_t before = free_kib(), after = 0;
	int round, tries;

	for (round = 0; round < 8; round++) {
		pid_t child;

		*at_work = 0;
		child = need_fork(memory_child, NULL);
		need_at_work(1);
		need_killed(child);
		need_in_use(0, 0);
	}
	/* Eight times 64 MiB were used: one that stayed would show. */
	for (tries = 0; tries < 100; tries++) {
		after = free_kib();
		if (after + 48 * 1024 > before)
			return;
		usleep(100000);
	}
	tap_fail("%llu KiB free, %llu before", (unsigned long long)after,
		 (unsigned long long)before);
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(killed_with_a_hang),
		TAP_TEST(killed_at_work),
		TAP_TEST(killed_while_waiting_for_a_fence),
		TAP_TEST(fence_of_a_dead_process),
		TAP_TEST(memory_comes_back),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
