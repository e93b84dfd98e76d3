// SPDX-License-Identifier: MIT
/*
 * Faults end the queue and the address space of their owner with a record that
 * says what happened, and touch nobody else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <xf86drm.h>

#include "util.h"

#define DATA_VA		0x40000000ull
#define HOLE_VA		0x50000000ull

static struct drm_npu_job raw_job(struct client *client, unsigned int slot, uint8_t opcode,
				  uint8_t lines)
{
	struct commands cmds = client_commands(client, slot);

	memset(cmds.bytes, 0, NPU_LINE_BYTES);
	cmds.bytes[0] = opcode;
	cmds.bytes[1] = lines;
	cmds.used = NPU_LINE_BYTES;
	return client_job(client, slot, &cmds, NULL, 0);
}

/* Run a job that faults, and look at the record. */
static struct drm_npu_queue_query need_fault(struct client *client, struct drm_npu_job job,
					     uint32_t code)
{
	struct drm_npu_usage_info before = need_usage(client->fd);
	struct drm_npu_queue_query query;

	need_run(client, job, -EFAULT);
	query = need_query(client->fd, client->queue);
	check_eq(query.state, DRM_NPU_QUEUE_FAULTED);
	check_eq(query.fault_code, code);
	check_eq(query.jobs, 0);
	check_eq(need_usage(client->fd).faults, before.faults + 1);
	return query;
}

static void unknown_opcode(void)
{
	struct client client = need_client(0);
	struct drm_npu_queue_query query;

	query = need_fault(&client, raw_job(&client, 3, 0xee, 1), NPU_FAULT_OPCODE);
	check_eq(query.fault_desc_va, CLIENT_VA + 3 * CLIENT_JOB_BYTES);
	check_eq(query.fault_opcode, 0xee);
	check_eq(query.fault_engine, NPU_ENGINE_CP);
	client_close(&client);
}

static void stream_without_end(void)
{
	struct client client = need_client(0);

	need_fault(&client, raw_job(&client, 0, NPU_OP_NOP, 1), NPU_FAULT_CMD_END);
	client_close(&client);
}

static void commands_not_mapped(void)
{
	struct client client = need_client(0);
	struct drm_npu_job job = { .cmd_va = HOLE_VA, .cmd_bytes = 64 };
	struct drm_npu_queue_query query;

	query = need_fault(&client, job, NPU_FAULT_MMU_UNMAPPED);
	check_eq(query.fault_va, HOLE_VA);
	client_close(&client);
}

static void bindings_not_mapped(void)
{
	struct client client = need_client(0);
	struct drm_npu_job job = job_copy(&client, 0, CLIENT_VA, CLIENT_VA, 1);

	job.bind_va = HOLE_VA + 8;
	check_eq(need_fault(&client, job, NPU_FAULT_MMU_UNMAPPED).fault_va, HOLE_VA + 8);
	client_close(&client);
}

static void load_from_nowhere(void)
{
	struct client client = need_client(0);
	struct drm_npu_queue_query query;

	query = need_fault(&client, job_copy(&client, 0, HOLE_VA + 64, CLIENT_VA, 16),
			   NPU_FAULT_MMU_UNMAPPED);
	check_eq(query.fault_va, HOLE_VA + 64);
	check_eq(query.fault_engine, NPU_ENGINE_DI);
	check_eq(query.fault_opcode, NPU_OP_LOAD);
	check_eq(query.fault_tag, 0x10);
	check_eq(query.fault_flags, 0);
	check_eq(query.fault_desc_va, CLIENT_VA);
	client_close(&client);
}

static void store_to_nowhere(void)
{
	struct client client = need_client(0);
	struct drm_npu_queue_query query;

	query = need_fault(&client, job_copy(&client, 0, CLIENT_VA, HOLE_VA, 16),
			   NPU_FAULT_MMU_UNMAPPED);
	check_eq(query.fault_va, HOLE_VA);
	check_eq(query.fault_engine, NPU_ENGINE_DO);
	check_eq(query.fault_flags, 1);
	client_close(&client);
}

/* After the first bad byte, nothing: the page before it may be written or not. */
static void crossing_into_a_hole(void)
{
	struct client client = need_client(0);
	struct buffer data = need_buffer(client.fd, PAGE);

	need_map(client.fd, client.vm, &data, DATA_VA);
	check_eq(need_fault(&client, job_copy(&client, 0, DATA_VA + PAGE - 8, CLIENT_VA, 4),
			    NPU_FAULT_MMU_UNMAPPED).fault_va, DATA_VA + PAGE);
	client_close(&client);
}

static void fault_bans(void)
{
	struct client client = need_client(0);
	uint32_t sibling = need_queue(client.fd, client.vm, 0), queue;
	struct drm_npu_job good = job_copy(&client, 1, CLIENT_VA, CLIENT_VA, 1);
	uint32_t vm, done[2];

	need_submit_two(&client, raw_job(&client, 0, 0xee, 1), good, done);
	check_eq(syncobj_wait(client.fd, done[0], 60), 0);
	check_eq(syncobj_wait(client.fd, done[1], 60), 0);
	check_eq(syncobj_status(client.fd, done[0]), -EFAULT);
	check_eq(syncobj_status(client.fd, done[1]), -ECANCELED);
	check_eq(submit(client.fd, client.queue, &good, 1), -ECANCELED);
	check_eq(need_query(client.fd, sibling).state, DRM_NPU_QUEUE_BANNED);
	check_eq(submit(client.fd, sibling, &good, 1), -ECANCELED);
	check_eq(queue_create(client.fd, client.vm, 1, 0, &queue), -ECANCELED);
	/* Another address space of the same file goes on, and can be had anew. */
	vm = need_vm(client.fd);
	check_eq(vm_map(client.fd, vm, &client.jobs, CLIENT_VA, 0), 0);
	client.queue = need_queue(client.fd, vm, 0);
	need_run(&client, good, 0);
	client_close(&client);
	need_in_use(0, 0);
}

static void neighbour_goes_on(void)
{
	struct client good = need_client(0);
	struct buffer data = need_buffer(good.fd, 2 * PAGE);
	int i;

	need_map(good.fd, good.vm, &data, DATA_VA);
	for (i = 0; i < rounds(30); i++) {
		struct client bad = need_client(0);
		uint32_t done = need_submit(&bad, raw_job(&bad, 0, 0xee, 1));

		fill_words(data.map, 1024, i);
		need_run(&good, job_copy(&good, 0, DATA_VA, DATA_VA + PAGE, 1024), 0);
		check(!memcmp(data.map, (char *)data.map + PAGE, PAGE));
		check_eq(syncobj_wait(bad.fd, done, 60), 0);
		check_eq(syncobj_status(bad.fd, done), -EFAULT);
		client_close(&bad);
	}
	check_eq(need_query(good.fd, good.queue).state, DRM_NPU_QUEUE_OK);
	client_close(&good);
}

/* What depends on a failed job still runs: errors travel by fences, not by force. */
static void dependent_of_a_failed_job(void)
{
	struct client bad = need_client(0), good = need_client(0);
	struct drm_npu_sync wait = { .handle = need_syncobj(good.fd, false) };
	struct drm_npu_job job = job_copy(&good, 0, CLIENT_VA, CLIENT_VA, 1);
	int file = -1;

	check_eq(drmSyncobjExportSyncFile(bad.fd, need_submit(&bad, raw_job(&bad, 0, 0xee, 1)),
					  &file), 0);
	check_eq(drmSyncobjImportSyncFile(good.fd, wait.handle, file), 0);
	close(file);
	job.syncs = obj_array(&wait, 1, sizeof(wait));
	need_run(&good, job, 0);
	check_eq(syncobj_status(good.fd, wait.handle), -EFAULT);
	client_close(&bad);
	client_close(&good);
}

static void error_on_a_timeline(void)
{
	struct client client = need_client(0);
	uint32_t handle = need_syncobj(client.fd, false);
	struct drm_npu_sync sync = {
		.flags = DRM_NPU_SYNC_SIGNAL | DRM_NPU_SYNC_TIMELINE, .handle = handle, .point = 1,
	};
	struct drm_npu_job job = raw_job(&client, 0, 0xee, 1);

	job.syncs = obj_array(&sync, 1, sizeof(sync));
	check_eq(submit(client.fd, client.queue, &job, 1), 0);
	check_eq(syncobj_wait_point(client.fd, handle, 1, 60), 0);
	check_eq(syncobj_point_status(client.fd, handle, 1), -EFAULT);
	client_close(&client);
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(unknown_opcode),
		TAP_TEST(stream_without_end),
		TAP_TEST(commands_not_mapped),
		TAP_TEST(bindings_not_mapped),
		TAP_TEST(load_from_nowhere),
		TAP_TEST(store_to_nowhere),
		TAP_TEST(crossing_into_a_hole),
		TAP_TEST(fault_bans),
		TAP_TEST(neighbour_goes_on),
		TAP_TEST(dependent_of_a_failed_job),
		TAP_TEST(error_on_a_timeline),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
