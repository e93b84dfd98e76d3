// SPDX-License-Identifier: MIT
/* Queues: limits, what a query tells, what fdinfo tells. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <xf86drm.h>

#include "util.h"

#define DATA_VA		0x40000000ull

static void queues_run_out(void)
{
	int fds[8], count = 0, taken = 0, ret = 0, i;
	uint32_t vms[8], queue = 0;
	struct drm_npu_device_info info;

	for (i = 0; i < 8; i++) {
		fds[i] = need_open();
		vms[i] = need_vm(fds[i]);
	}
	info = need_device_info(fds[0]);
	while (!(ret = queue_create(fds[0], vms[0], 1, 0, &queue)))
		taken++;
	check_eq(ret, -ENOSPC);
	check(taken < (int)info.queues);
	/* Being refused costs nothing: one given back can be had again. */
	check_eq(queue_destroy(fds[0], queue), 0);
	check_eq(queue_create(fds[0], vms[0], 1, 0, &queue), 0);
	check_eq(queue_create(fds[0], vms[0], 1, 0, &queue), -ENOSPC);
	count = taken;
	for (i = 1; i < 8; i++)
		while (!(ret = queue_create(fds[i], vms[i], 1, 0, &queue)))
			count++;
	check_eq(ret, -ENOSPC);
	check_eq(count, info.queues);
	need_in_use(info.queues, 8);
	for (i = 0; i < 8; i++)
		node_close(fds[i]);
	need_in_use(0, 0);
}

static void ids_are_not_reused_at_once(void)
{
	int fd = need_open();
	uint32_t vm = need_vm(fd), first = need_queue(fd, vm, 0);

	check_eq(queue_destroy(fd, first), 0);
	check(need_queue(fd, vm, 0) != first);
	node_close(fd);
}

static void totals_add_up(void)
{
	struct client client = need_client(0);
	struct buffer in = need_buffer(client.fd, PAGE), out = need_buffer(client.fd, PAGE);
	struct drm_npu_queue_query before, after;
	int i;

	need_map(client.fd, client.vm, &in, DATA_VA);
	need_map(client.fd, client.vm, &out, DATA_VA + PAGE);
	need_run(&client, job_copy(&client, 0, in.va, out.va, 256), 0);
	before = need_query(client.fd, client.queue);
	check_eq(before.state, DRM_NPU_QUEUE_OK);
	check_eq(before.jobs, 1);
	check_eq(before.descriptors, 3);
	check_eq(before.read_bytes, 1024);
	check_eq(before.write_bytes, 1024);
	check_eq(before.macs, 0);
	check(before.cycles > 0 && before.run_ns > 0);
	for (i = 0; i < 9; i++)
		need_run(&client, job_copy(&client, 0, in.va, out.va, 256), 0);
	after = need_query(client.fd, client.queue);
	check_eq(after.jobs, 10);
	check_eq(after.descriptors, 30);
	check_eq(after.read_bytes, 10240);
	/* The timing model is deterministic for a job that runs alone. */
	check_eq(after.cycles, 10 * before.cycles);
	check(after.run_ns > before.run_ns);
	client_close(&client);
}

static void usage_counts_jobs(void)
{
	struct client client = need_client(0);
	struct drm_npu_usage_info before = need_usage(client.fd), after;

	need_run(&client, job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1), 0);
	after = need_usage(client.fd);
	check_eq(after.jobs, before.jobs + 1);
	check_eq(after.faults, before.faults);
	check_eq(after.queues_used, 1);
	check_eq(after.contexts_used, 1);
	check(after.time_ns > before.time_ns);
	client_close(&client);
}

static void fdinfo_counts_time(void)
{
	struct client client = need_client(0);
	uint64_t time_ns, cycles;

	check_eq(need_fdinfo(client.fd, "drm-engine-npu"), 0);
	need_run(&client, job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1), 0);
	time_ns = need_fdinfo(client.fd, "drm-engine-npu");
	cycles = need_fdinfo(client.fd, "drm-cycles-npu");
	check(time_ns > 0);
	check_eq(cycles, need_query(client.fd, client.queue).cycles);
	/* The figures do not go down when a queue goes. */
	check_eq(queue_destroy(client.fd, client.queue), 0);
	check(need_fdinfo(client.fd, "drm-engine-npu") >= time_ns);
	check_eq(need_fdinfo(client.fd, "drm-cycles-npu"), cycles);
	client_close(&client);
}

/* Destroying a queue ends what it was asked to do, at once, with -ECANCELED. */
static void destroy_cancels(void)
{
	struct client client = need_client(60000);
	uint32_t running = need_submit(&client, job_hang(&client, 0));
	uint32_t waiting = need_submit(&client, job_copy(&client, 1, CLIENT_VA, CLIENT_VA, 1));

	check_eq(queue_destroy(client.fd, client.queue), 0);
	check_eq(syncobj_wait(client.fd, running, 10), 0);
	check_eq(syncobj_wait(client.fd, waiting, 10), 0);
	check_eq(syncobj_status(client.fd, running), -ECANCELED);
	check_eq(syncobj_status(client.fd, waiting), -ECANCELED);
	/* The address space is none the worse for it. */
	client.queue = need_queue(client.fd, client.vm, 0);
	need_run(&client, job_copy(&client, 1, CLIENT_VA, CLIENT_VA, 1), 0);
	client_close(&client);
	need_in_use(0, 0);
}

/* A fence outlives its queue, and 6.12 reads the scheduler's name from it. */
static void fence_outlives_queue(void)
{
	struct client client = need_client(0);
	int other = need_open(), file = -1;
	uint32_t done = need_submit(&client, job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1));
	uint32_t imported = need_syncobj(other, false);

	check_eq(drmSyncobjExportSyncFile(client.fd, done, &file), 0);
	check_eq(queue_destroy(client.fd, client.queue), 0);
	client_close(&client);
	need_in_use(0, 0);
	usleep(100000);
	check_eq(drmSyncobjImportSyncFile(other, imported, file), 0);
	check_eq(syncobj_wait(other, imported, 10), 0);
	/* It had run, or was cancelled: both are an end. */
	check(syncobj_status(other, imported) == 1 ||
	      syncobj_status(other, imported) == -ECANCELED);
	close(file);
	node_close(other);
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(queues_run_out),
		TAP_TEST(ids_are_not_reused_at_once),
		TAP_TEST(totals_add_up),
		TAP_TEST(usage_counts_jobs),
		TAP_TEST(fdinfo_counts_time),
		TAP_TEST(destroy_cancels),
		TAP_TEST(fence_outlives_queue),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
