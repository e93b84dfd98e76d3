// SPDX-License-Identifier: MIT
/* Jobs and their fences: order, dependencies, many at once, priorities. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

#include "util.h"

#define DATA_VA		0x40000000ull
#define PAGES		64

/* A client with a row of pages, of which page 0 has something in it. */
static struct client data_client(struct buffer *data)
{
	struct client client = need_client(0);

	*data = need_buffer(client.fd, PAGES * PAGE);
	need_map(client.fd, client.vm, data, DATA_VA);
	fill_words(data->map, 1024, 7);
	return client;
}

static struct drm_npu_job copy_page(struct client *client, unsigned int slot, unsigned int from,
				    unsigned int to)
{
	return job_copy(client, slot, DATA_VA + from * PAGE, DATA_VA + to * PAGE, 1024);
}

static bool same_page(const struct buffer *data, unsigned int a, unsigned int b)
{
	return !memcmp((char *)data->map + a * PAGE, (char *)data->map + b * PAGE, PAGE);
}

static void one_job(void)
{
	struct buffer data;
	struct client client = data_client(&data);

	need_run(&client, copy_page(&client, 0, 0, 1), 0);
	check(same_page(&data, 0, 1));
	client_close(&client);
}

/* Each job of a call reads what the one before wrote. */
static void jobs_run_in_order(void)
{
	struct buffer data;
	struct client client = data_client(&data);
	struct drm_npu_sync sync = {
		.flags = DRM_NPU_SYNC_SIGNAL,
		.handle = need_syncobj(client.fd, false),
	};
	struct drm_npu_job jobs[PAGES - 1];
	unsigned int i;

	for (i = 0; i < PAGES - 1; i++)
		jobs[i] = copy_page(&client, i, i, i + 1);
	jobs[PAGES - 2].syncs = obj_array(&sync, 1, sizeof(sync));
	check_eq(submit(client.fd, client.queue, jobs, PAGES - 1), 0);
	check_eq(syncobj_wait(client.fd, sync.handle, 60), 0);
	for (i = 1; i < PAGES; i++)
		check(same_page(&data, 0, i));
	client_close(&client);
}

/* More jobs than the ring has slots, from many calls. */
static void many_in_flight(void)
{
	struct buffer data;
	struct client client = data_client(&data);
	struct drm_npu_job jobs[DRM_NPU_JOBS_MAX];
	uint32_t done;
	unsigned int i, round;

	for (i = 0; i < DRM_NPU_JOBS_MAX; i++)
		jobs[i] = copy_page(&client, i, i % (PAGES - 1), i % (PAGES - 1) + 1);
	for (round = 0; round < 20; round++)
		check_eq(submit(client.fd, client.queue, jobs, DRM_NPU_JOBS_MAX), 0);
	done = need_submit(&client, copy_page(&client, DRM_NPU_JOBS_MAX, 0, 1));
	check_eq(syncobj_wait(client.fd, done, 120), 0);
	check_eq(need_query(client.fd, client.queue).jobs, 20 * DRM_NPU_JOBS_MAX + 1);
	check(same_page(&data, 0, PAGES - 1));
	client_close(&client);
}

static void queue_of_jobs_is_limited(void)
{
	struct buffer data;
	struct client client = data_client(&data), gate = need_client(60000);
	struct drm_npu_job jobs[DRM_NPU_JOBS_MAX];
	struct drm_npu_sync wait = {};
	int ret = 0, calls, file = -1;
	unsigned int i;

	/* They wait for a job that does not end. */
	check_eq(drmSyncobjExportSyncFile(gate.fd, need_submit(&gate, job_hang(&gate, 0)), &file),
		 0);
	wait.handle = need_syncobj(client.fd, false);
	check_eq(drmSyncobjImportSyncFile(client.fd, wait.handle, file), 0);
	for (i = 0; i < DRM_NPU_JOBS_MAX; i++) {
		jobs[i] = copy_page(&client, i, 0, 1);
		jobs[i].syncs = obj_array(&wait, 1, sizeof(wait));
	}
	for (calls = 0; !ret && calls < 1000; calls++)
		ret = submit(client.fd, client.queue, jobs, DRM_NPU_JOBS_MAX);
	check_eq(ret, -ENOSPC);
	check(calls > 16);
	check_eq(queue_destroy(gate.fd, gate.queue), 0);
	client_close(&gate);
	close(file);
	client_close(&client);
	need_in_use(0, 0);
}

/*
 * The reader asks on a queue that goes before the writer's: what keeps it back is
 * its wait, and not that it came later.
 */
static void waits_for_another_queue(void)
{
	struct buffer data;
	struct client client = data_client(&data), gate = need_client(60000);
	struct drm_npu_sync first = {
		.flags = DRM_NPU_SYNC_SIGNAL,
		.handle = need_syncobj(client.fd, false),
	};
	struct drm_npu_sync then[2] = {
		{ .handle = first.handle },
		{ .handle = need_syncobj(client.fd, false), .flags = DRM_NPU_SYNC_SIGNAL },
	};
	struct drm_npu_job write = copy_page(&client, 1, 0, 1);
	struct drm_npu_job read = copy_page(&client, 2, 1, 2);
	uint32_t high = 0;

	check_eq(queue_create(client.fd, client.vm, DRM_NPU_PRIORITY_HIGH, 0, &high), 0);
	write.syncs = obj_array(&first, 1, sizeof(first));
	read.syncs = obj_array(then, 2, sizeof(then[0]));
	need_submit(&gate, job_hang(&gate, 0));
	need_running(&gate);
	check_eq(submit(client.fd, client.queue, &write, 1), 0);
	check_eq(submit(client.fd, high, &read, 1), 0);
	/* Nothing tells when what can reach the hardware has done so. */
	usleep(200000);
	client_close(&gate);
	check_eq(syncobj_wait(client.fd, then[1].handle, 60), 0);
	check(same_page(&data, 0, 2));
	client_close(&client);
}

static void timeline(void)
{
	struct buffer data;
	struct client client = data_client(&data);
	uint32_t other = need_queue(client.fd, client.vm, 0);
	uint32_t handle = need_syncobj(client.fd, false);
	struct drm_npu_sync syncs[4][2];
	struct drm_npu_job jobs[4];
	uint64_t value = 0;
	unsigned int i;

	/* Job i waits for point 10 i and signals 10 (i + 1), on alternating queues. */
	for (i = 0; i < 4; i++) {
		syncs[i][0] = (struct drm_npu_sync) {
			.flags = DRM_NPU_SYNC_SIGNAL | DRM_NPU_SYNC_TIMELINE,
			.handle = handle, .point = 10 * (i + 1),
		};
		syncs[i][1] = (struct drm_npu_sync) {
			.flags = DRM_NPU_SYNC_TIMELINE, .handle = handle, .point = 10 * i,
		};
		jobs[i] = copy_page(&client, i, i, i + 1);
		jobs[i].syncs = obj_array(syncs[i], i ? 2 : 1, sizeof(syncs[i][0]));
		check_eq(submit(client.fd, i % 2 ? other : client.queue, &jobs[i], 1), 0);
	}
	check_eq(syncobj_wait_point(client.fd, handle, 40, 60), 0);
	check_eq(drmSyncobjQuery(client.fd, &handle, &value, 1), 0);
	check_eq(value, 40);
	check(same_page(&data, 0, 4));
	/* A point between two is there with the later one. */
	check_eq(syncobj_wait_point(client.fd, handle, 35, 60), 0);
	/* One that nobody has promised is an error, not a wait. */
	syncs[0][1] = (struct drm_npu_sync) {
		.flags = DRM_NPU_SYNC_TIMELINE, .handle = handle, .point = 41,
	};
	jobs[0].syncs = obj_array(&syncs[0][1], 1, sizeof(syncs[0][0]));
	check_eq(submit(client.fd, client.queue, &jobs[0], 1), -EINVAL);
	client_close(&client);
}

static void waits_inside_a_call(void)
{
	struct buffer data;
	struct client client = data_client(&data);
	uint32_t timeline = need_syncobj(client.fd, false), binary = need_syncobj(client.fd, false);
	struct drm_npu_sync signal[2] = {
		{ .flags = DRM_NPU_SYNC_SIGNAL | DRM_NPU_SYNC_TIMELINE, .handle = timeline,
		  .point = 5 },
		{ .flags = DRM_NPU_SYNC_SIGNAL, .handle = binary },
	};
	struct drm_npu_sync wait[2] = {
		{ .flags = DRM_NPU_SYNC_TIMELINE, .handle = timeline, .point = 3 },
		{ .handle = binary },
	};
	struct drm_npu_sync beyond = {
		.flags = DRM_NPU_SYNC_TIMELINE, .handle = timeline, .point = 6,
	};
	struct drm_npu_sync again = {
		.flags = DRM_NPU_SYNC_SIGNAL | DRM_NPU_SYNC_TIMELINE, .handle = timeline,
		.point = 12,
	};
	struct drm_npu_job jobs[3] = {
		copy_page(&client, 0, 0, 1), copy_page(&client, 1, 1, 2),
		copy_page(&client, 3, 2, 4),
	};

	jobs[0].syncs = obj_array(signal, 2, sizeof(signal[0]));
	jobs[1].syncs = obj_array(&beyond, 1, sizeof(beyond));
	check_eq(submit(client.fd, client.queue, jobs, 2), -EINVAL);
	/* Only earlier jobs count. */
	jobs[0].syncs = obj_array(wait, 2, sizeof(wait[0]));
	jobs[1].syncs = obj_array(signal, 2, sizeof(signal[0]));
	check_eq(submit(client.fd, client.queue, jobs, 2), -EINVAL);
	jobs[0].syncs = obj_array(signal, 2, sizeof(signal[0]));
	jobs[1].syncs = obj_array(wait, 2, sizeof(wait[0]));
	check_eq(submit(client.fd, client.queue, jobs, 2), 0);
	need_run(&client, copy_page(&client, 2, 2, 3), 0);
	check(same_page(&data, 0, 3));
	/* Of two points that the call signals, the higher one counts. */
	signal[0].point = 10;
	beyond.point = 11;
	jobs[1].syncs = obj_array(&again, 1, sizeof(again));
	jobs[2].syncs = obj_array(&beyond, 1, sizeof(beyond));
	check_eq(submit(client.fd, client.queue, jobs, 3), 0);
	need_run(&client, copy_page(&client, 4, 4, 5), 0);
	check(same_page(&data, 0, 5));
	client_close(&client);
}

/* A fence of another device's file, as a sync file, and one that is over. */
static void waits_for_imported_and_signalled(void)
{
	struct buffer data;
	struct client client = data_client(&data), other = need_client(0);
	struct drm_npu_sync syncs[2] = {};
	struct drm_npu_job job = copy_page(&client, 0, 0, 1);
	struct pollfd poll_fd = { .events = POLLIN };
	int file = -1;

	check_eq(drmSyncobjExportSyncFile(other.fd, need_submit(&other,
			job_copy(&other, 0, CLIENT_VA, CLIENT_VA, 1)), &file), 0);
	syncs[0].handle = need_syncobj(client.fd, false);
	check_eq(drmSyncobjImportSyncFile(client.fd, syncs[0].handle, file), 0);
	syncs[1].handle = need_syncobj(client.fd, true);
	job.syncs = obj_array(syncs, 2, sizeof(syncs[0]));
	need_run(&client, job, 0);
	/* A sync file can be polled. */
	poll_fd.fd = file;
	check_eq(poll(&poll_fd, 1, 60000), 1);
	close(file);
	client_close(&other);
	client_close(&client);
}

static uint32_t need_copy_on(struct client *client, uint32_t queue, unsigned int slot,
			     unsigned int from, unsigned int to)
{
	struct drm_npu_job job = copy_page(client, slot, from, to);
	struct drm_npu_sync sync = {
		.flags = DRM_NPU_SYNC_SIGNAL,
		.handle = need_syncobj(client->fd, false),
	};

	job.syncs = obj_array(&sync, 1, sizeof(sync));
	check_eq(submit(client->fd, queue, &job, 1), 0);
	return sync.handle;
}

/* High before low when both wait: the order in which their data arrives says so. */
static void priorities(void)
{
	struct buffer data;
	struct client client = data_client(&data), gate = need_client(60000);
	uint32_t low = 0, high = 0, done[2];

	check_eq(queue_create(client.fd, client.vm, DRM_NPU_PRIORITY_LOW, 0, &low), 0);
	check_eq(queue_create(client.fd, client.vm, DRM_NPU_PRIORITY_HIGH, 0, &high), 0);
	memset((char *)data.map + 1 * PAGE, 0x11, PAGE);
	memset((char *)data.map + 2 * PAGE, 0x22, PAGE);
	/* While the device is busy, low asks first. Both write page 5. */
	need_submit(&gate, job_hang(&gate, 0));
	need_running(&gate);
	done[0] = need_copy_on(&client, low, 1, 1, 5);
	done[1] = need_copy_on(&client, high, 2, 2, 5);
	/* Nothing tells when both have reached the hardware. */
	usleep(500000);
	client_close(&gate);
	check_eq(syncobj_wait(client.fd, done[0], 60), 0);
	check_eq(syncobj_wait(client.fd, done[1], 60), 0);
	check(same_page(&data, 5, 1));
	client_close(&client);
}

/* ---- Two processes, threads ---- */

static void process_child(void *arg)
{
	uint32_t seed = *(uint32_t *)arg;
	struct buffer data;
	struct client client = data_client(&data);
	unsigned int round;

	for (round = 0; round < (unsigned int)rounds(100); round++) {
		fill_words(data.map, 1024, seed + round);
		need_run(&client, copy_page(&client, 0, 0, 1), 0);
		check(same_page(&data, 0, 1));
	}
	client_close(&client);
}

static void processes_at_once(void)
{
	uint32_t seeds[4] = { 100, 200, 300, 400 };
	pid_t children[4];
	int i;

	for (i = 0; i < 4; i++)
		children[i] = need_fork(process_child, &seeds[i]);
	for (i = 0; i < 4; i++)
		need_exit(children[i]);
	need_in_use(0, 0);
}

struct thread_arg {
	struct client *client;
	unsigned int first;
	int ret;
};

static void *submit_thread(void *arg)
{
	struct thread_arg *thread = arg;
	struct drm_npu_job job = copy_page(thread->client, thread->first, 0, thread->first);
	int i;

	for (i = 0; i < 200 && !thread->ret; i++)
		thread->ret = submit(thread->client->fd, thread->client->queue, &job, 1);
	return NULL;
}

static void threads_share_a_queue(void)
{
	struct buffer data;
	struct client client = data_client(&data);
	struct thread_arg args[4];
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++) {
		args[i] = (struct thread_arg) { .client = &client, .first = i + 1 };
		check_eq(pthread_create(&threads[i], NULL, submit_thread, &args[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		check_eq(args[i].ret, 0);
	}
	need_run(&client, copy_page(&client, 10, 4, 10), 0);
	check_eq(need_query(client.fd, client.queue).jobs, 801);
	for (i = 1; i <= 4; i++)
		check(same_page(&data, 0, i));
	client_close(&client);
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(one_job),
		TAP_TEST(jobs_run_in_order),
		TAP_TEST(many_in_flight),
		TAP_TEST(queue_of_jobs_is_limited),
		TAP_TEST(waits_for_another_queue),
		TAP_TEST(timeline),
		TAP_TEST(waits_inside_a_call),
		TAP_TEST(waits_for_imported_and_signalled),
		TAP_TEST(priorities),
		TAP_TEST(processes_at_once),
		TAP_TEST(threads_share_a_queue),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
