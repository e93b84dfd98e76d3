// SPDX-License-Identifier: MIT
/*
 * Hangs: a job that waits for ever is ended when it used up its budget, and
 * nobody else notices. Budgets count time on the device, and a job that makes
 * progress gets up to eight of them. No check depends on how fast this machine
 * is: budgets are made from what a job was seen to take.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <xf86drm.h>

#include "util.h"

#define DATA_VA		0x40000000ull
#define BUDGET_MS	200

static void hang_is_ended(void)
{
	struct client client = need_client(BUDGET_MS);
	struct drm_npu_usage_info before = need_usage(client.fd), after;
	struct drm_npu_queue_query query;
	struct drm_npu_job next = job_copy(&client, 1, CLIENT_VA, CLIENT_VA, 1);
	uint32_t done[2];

	need_submit_two(&client, job_hang(&client, 0), next, done);
	check_eq(syncobj_wait(client.fd, done[0], 60), 0);
	check_eq(syncobj_status(client.fd, done[0]), -ETIME);
	check_eq(syncobj_wait(client.fd, done[1], 60), 0);
	check_eq(syncobj_status(client.fd, done[1]), -ECANCELED);
	query = need_query(client.fd, client.queue);
	check_eq(query.state, DRM_NPU_QUEUE_HUNG);
	check_eq(query.fault_code, NPU_FAULT_NONE);
	check(query.run_ns >= BUDGET_MS * 1000000ull);
	check_eq(submit(client.fd, client.queue, &next, 1), -ECANCELED);
	after = need_usage(client.fd);
	check_eq(after.queue_resets, before.queue_resets + 1);
	check_eq(after.device_resets, before.device_resets);
	check_eq(after.faults, before.faults + 1);
	client_close(&client);
	need_in_use(0, 0);
}

static void hang_bans_siblings(void)
{
	/* Long enough to ask the sibling for a job before it is over. */
	struct client client = need_client(10 * BUDGET_MS);
	uint32_t sibling = need_queue(client.fd, client.vm, 0), hung;
	struct drm_npu_sync sync = {
		.flags = DRM_NPU_SYNC_SIGNAL,
		.handle = need_syncobj(client.fd, false),
	};
	struct drm_npu_job job = job_copy(&client, 1, CLIENT_VA, CLIENT_VA, 1);

	job.syncs = obj_array(&sync, 1, sizeof(sync));
	hung = need_submit(&client, job_hang(&client, 0));
	need_running(&client);
	check_eq(submit(client.fd, sibling, &job, 1), 0);
	check_eq(syncobj_wait(client.fd, hung, 60), 0);
	check_eq(syncobj_status(client.fd, hung), -ETIME);
	check_eq(syncobj_wait(client.fd, sync.handle, 60), 0);
	check_eq(syncobj_status(client.fd, sync.handle), -ECANCELED);
	check_eq(need_query(client.fd, sibling).state, DRM_NPU_QUEUE_BANNED);
	client_close(&client);
}

/* A neighbour's jobs wait for longer than their own budget, and none is lost. */
static void neighbour_is_unharmed(void)
{
	struct client good = need_client(BUDGET_MS / 4), bad;
	struct buffer data = need_buffer(good.fd, 64 * PAGE);
	struct drm_npu_job jobs[32];
	uint32_t hung, done;
	unsigned int i, round;

	need_map(good.fd, good.vm, &data, DATA_VA);
	for (round = 0; round < 3; round++) {
		bad = need_client(BUDGET_MS);
		fill_words(data.map, 32 * 1024, round);
		memset((char *)data.map + 32 * PAGE, 0, 32 * PAGE);
		for (i = 0; i < 32; i++)
			jobs[i] = job_copy(&good, i, DATA_VA + i * PAGE, DATA_VA + (32 + i) * PAGE,
					   1024);
		check_eq(submit(good.fd, good.queue, jobs, 10), 0);
		hung = need_submit(&bad, job_hang(&bad, 0));
		need_running(&bad);
		check_eq(submit(good.fd, good.queue, jobs + 10, 21), 0);
		done = need_submit(&good, jobs[31]);
		check_eq(syncobj_wait(bad.fd, hung, 60), 0);
		check_eq(syncobj_status(bad.fd, hung), -ETIME);
		check_eq(syncobj_wait(good.fd, done, 60), 0);
		check_eq(syncobj_status(good.fd, done), 1);
		check(!memcmp(data.map, (char *)data.map + 32 * PAGE, 32 * PAGE));
		client_close(&bad);
	}
	check_eq(need_query(good.fd, good.queue).state, DRM_NPU_QUEUE_OK);
	check_eq(need_query(good.fd, good.queue).jobs, 96);
	client_close(&good);
}

/* A job that loads @loops times; its time on the device, and how it ended. */
static int run_long(uint32_t loops, uint32_t timeout_ms, uint64_t *run_ns)
{
	struct client client = need_client(timeout_ms);
	struct buffer data = need_buffer(client.fd, 16 * PAGE);
	uint32_t done;
	int status;

	need_map(client.fd, client.vm, &data, DATA_VA);
	done = need_submit(&client, job_long(&client, 0, DATA_VA, 16 * 1024, loops));
	check_eq(syncobj_wait(client.fd, done, 120), 0);
	status = syncobj_status(client.fd, done);
	*run_ns = need_query(client.fd, client.queue).run_ns;
	client_close(&client);
	return status;
}

/*
 * A job that took longer than its budget, but not eight of them, and was not
 * ended. How long it takes varies, so it may need some tries to see one.
 */
static void progress_extends_the_budget(void)
{
	uint64_t run_ns = 0, budget_ms;
	uint32_t loops;
	int tries, status;

	for (loops = 250; run_ns < 500000000 && loops < 65535 / 2;) {
		loops *= 2;
		check_eq(run_long(loops, 60000, &run_ns), 1);
	}
	for (tries = 0; tries < 10; tries++) {
		budget_ms = run_ns / 1000000 / 3 + 1;
		status = run_long(loops, budget_ms, &run_ns);
		printf("# %llu ms with a budget of %llu: %d\n",
		       (unsigned long long)run_ns / 1000000, (unsigned long long)budget_ms, status);
		if (status == 1 && run_ns > budget_ms * 1000000)
			return;
		if (status != 1)
			check(run_ns >= 8 * budget_ms * 1000000);
	}
	tap_fail("no job took longer than its budget");
}

/* Runs for hours unless it is ended; its time on the device. */
static uint64_t run_for_hours(uint32_t timeout_ms)
{
	struct client client = need_client(timeout_ms);
	const uint64_t regs[] = { CLIENT_VA };
	struct commands cmds = client_commands(&client, 0);
	uint64_t run_ns;

	cmd_loop(&cmds, 65535);
	cmd_loop(&cmds, 65535);
	cmd_load(&cmds, 0, 0, 16 * 1024, 0);
	cmd_endl(&cmds);
	cmd_endl(&cmds);
	cmd_end(&cmds);
	need_run(&client, client_job(&client, 0, &cmds, regs, 1), -ETIME);
	run_ns = need_query(client.fd, client.queue).run_ns;
	client_close(&client);
	return run_ns;
}

/*
 * Eight budgets are the end also of one that makes progress. On a busy host
 * the device may stand still for a budget and the job end earlier: try again.
 */
static void progress_is_not_for_ever(void)
{
	const uint32_t budget_ms = 100;
	uint64_t run_ns;
	int tries;

	for (tries = 0; tries < 10; tries++) {
		run_ns = run_for_hours(budget_ms);
		printf("# ended after %llu ms with a budget of %u\n",
		       (unsigned long long)run_ns / 1000000, budget_ms);
		if (run_ns >= 8ull * budget_ms * 1000000)
			return;
	}
	tap_fail("no job that made progress was given eight budgets");
}

/* Many hangs, one after the other and at the same time. */
static void hangs_in_a_row(void)
{
	struct client clients[6];
	uint32_t done[6];
	int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 6; i++) {
			clients[i] = need_client(20);
			done[i] = need_submit(&clients[i], job_hang(&clients[i], 0));
		}
		for (i = 0; i < 6; i++) {
			check_eq(syncobj_wait(clients[i].fd, done[i], 60), 0);
			check_eq(syncobj_status(clients[i].fd, done[i]), -ETIME);
			client_close(&clients[i]);
		}
	}
	need_in_use(0, 0);
}

/* VM_BIND is answered while a job waits for ever. */
static void unmap_during_a_hang(void)
{
	struct client client = need_client(10000);
	struct buffer data = need_buffer(client.fd, PAGE);
	uint64_t resets = need_usage(client.fd).device_resets;
	uint32_t hung;

	need_map(client.fd, client.vm, &data, DATA_VA);
	hung = need_submit(&client, job_hang(&client, 0));
	need_running(&client);
	check_eq(vm_unmap(client.fd, client.vm, DATA_VA, PAGE), 0);
	check_eq(syncobj_wait(client.fd, hung, 0), -ETIME);
	check_eq(need_usage(client.fd).device_resets, resets);
	client_close(&client);
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(unmap_during_a_hang),
		TAP_TEST(hang_is_ended),
		TAP_TEST(hang_bans_siblings),
		TAP_TEST(neighbour_is_unharmed),
		TAP_TEST(progress_extends_the_budget),
		TAP_TEST(progress_is_not_for_ever),
		TAP_TEST(hangs_in_a_row),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
