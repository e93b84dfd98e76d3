// SPDX-License-Identifier: MIT
/*
 * Address spaces are apart: what one maps is not there for another, and nothing
 * that a job left in the device is read by the next owner's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <xf86drm.h>

#include "util.h"

#define VICTIM_VA	0x40000000ull
#define THIEF_VA	0x60000000ull
#define CANARY		0xdeadbeefu

static void fill_canaries(struct buffer *buffer)
{
	uint64_t i;

	for (i = 0; i < buffer->bytes / 4; i++)
		((uint32_t *)buffer->map)[i] = CANARY;
}

static bool has_canary(const struct buffer *buffer)
{
	uint64_t i;

	for (i = 0; i < buffer->bytes / 4; i++)
		if (((uint32_t *)buffer->map)[i] == CANARY)
			return true;
	return false;
}

/* The victim's jobs use its pages, so that the device knows their translations. */
static struct client need_victim(struct buffer *data)
{
	struct client victim = need_client(0);

	*data = need_buffer(victim.fd, 16 * PAGE);
	need_map(victim.fd, victim.vm, data, VICTIM_VA);
	fill_canaries(data);
	return victim;
}

static void other_contexts_address_faults(void)
{
	struct buffer canaries, loot;
	struct client victim = need_victim(&canaries);
	struct drm_npu_queue_query query;
	int i;

	for (i = 0; i < 16; i++) {
		struct client thief = need_client(0);
		uint64_t va = VICTIM_VA + i * PAGE;

		loot = need_buffer(thief.fd, PAGE);
		need_map(thief.fd, thief.vm, &loot, THIEF_VA);
		need_run(&victim, job_copy(&victim, 0, VICTIM_VA, VICTIM_VA + 8 * PAGE, 8192), 0);
		need_run(&thief, job_copy(&thief, 0, va, THIEF_VA, 1024), -EFAULT);
		query = need_query(thief.fd, thief.queue);
		check_eq(query.fault_code, NPU_FAULT_MMU_UNMAPPED);
		check_eq(query.fault_va, va);
		check(!has_canary(&loot));
		check_eq(need_query(victim.fd, victim.queue).state, DRM_NPU_QUEUE_OK);
		client_close(&thief);
	}
	client_close(&victim);
}

static void other_contexts_memory_is_not_written(void)
{
	struct buffer canaries, loot;
	struct client victim = need_victim(&canaries);
	uint64_t i;

	for (i = 0; i < 16; i++) {
		struct client thief = need_client(0);

		loot = need_buffer(thief.fd, PAGE);
		need_map(thief.fd, thief.vm, &loot, THIEF_VA);
		need_run(&victim, job_copy(&victim, 0, VICTIM_VA, VICTIM_VA + 8 * PAGE, 8192), 0);
		need_run(&thief, job_copy(&thief, 0, THIEF_VA, VICTIM_VA + i * PAGE, 1024),
			 -EFAULT);
		client_close(&thief);
	}
	for (i = 0; i < canaries.bytes / 4; i++)
		check_eq(((uint32_t *)canaries.map)[i], CANARY);
	client_close(&victim);
}

/* The same address means each one's own memory. */
static void same_address_in_two_contexts(void)
{
	struct client clients[2] = { need_client(0), need_client(0) };
	struct buffer data[2];
	int i, round;

	for (i = 0; i < 2; i++) {
		data[i] = need_buffer(clients[i].fd, 2 * PAGE);
		need_map(clients[i].fd, clients[i].vm, &data[i], VICTIM_VA);
	}
	for (round = 0; round < rounds(50); round++) {
		for (i = 0; i < 2; i++)
			fill_words(data[i].map, 1024, 2 * round + i);
		for (i = 0; i < 2; i++)
			need_run(&clients[i], job_copy(&clients[i], 0, VICTIM_VA,
						       VICTIM_VA + PAGE, 1024), 0);
		for (i = 0; i < 2; i++)
			check(!memcmp(data[i].map, (char *)data[i].map + PAGE, PAGE));
	}
	client_close(&clients[0]);
	client_close(&clients[1]);
}

/* SPM is empty for the next context's job: store what is there, without a load. */
static void scratchpad_is_cleared(void)
{
	struct buffer canaries, loot;
	struct client victim = need_victim(&canaries), thief = need_client(0);
	const uint64_t regs[] = { THIEF_VA };
	struct drm_npu_job steal;
	struct commands cmds;
	uint64_t i;
	int round;

	loot = need_buffer(thief.fd, 16 * PAGE);
	need_map(thief.fd, thief.vm, &loot, THIEF_VA);
	cmds = client_commands(&thief, 0);
	cmd_store(&cmds, 0, 0, 16 * 1024, 0);
	cmd_end(&cmds);
	steal = client_job(&thief, 0, &cmds, regs, 1);
	for (round = 0; round < rounds(20); round++) {
		memset(loot.map, 0xff, loot.bytes);
		need_run(&victim, job_copy(&victim, 0, VICTIM_VA, VICTIM_VA, 16 * 1024), 0);
		need_run(&thief, steal, 0);
		for (i = 0; i < loot.bytes / 4; i++)
			check_eq(((uint32_t *)loot.map)[i], 0);
	}
	client_close(&victim);
	client_close(&thief);
}

/* Nor after a job that was stopped half-way. */
static void scratchpad_is_cleared_after_a_hang(void)
{
	struct buffer canaries, loot;
	struct client victim = need_client(50), thief = need_client(0);
	const uint64_t victim_regs[] = { VICTIM_VA }, thief_regs[] = { THIEF_VA };
	struct commands cmds;
	uint64_t i;

	canaries = need_buffer(victim.fd, 16 * PAGE);
	fill_canaries(&canaries);
	need_map(victim.fd, victim.vm, &canaries, VICTIM_VA);
	loot = need_buffer(thief.fd, 16 * PAGE);
	need_map(thief.fd, thief.vm, &loot, THIEF_VA);
	memset(loot.map, 0xff, loot.bytes);

	cmds = client_commands(&victim, 0);
	cmd_load(&cmds, 0, 0, 16 * 1024, 0);
	cmd_nop_wait(&cmds, 1);
	cmd_end(&cmds);
	need_run(&victim, client_job(&victim, 0, &cmds, victim_regs, 1), -ETIME);
	cmds = client_commands(&thief, 0);
	cmd_store(&cmds, 0, 0, 16 * 1024, 0);
	cmd_end(&cmds);
	need_run(&thief, client_job(&thief, 0, &cmds, thief_regs, 1), 0);
	for (i = 0; i < loot.bytes / 4; i++)
		check_eq(((uint32_t *)loot.map)[i], 0);
	client_close(&victim);
	client_close(&thief);
}

/* A context number that is used again knows nothing of its last owner. */
static void context_is_clean_when_reused(void)
{
	struct buffer loot;
	int round;

	for (round = 0; round < rounds(20); round++) {
		struct buffer canaries;
		struct client victim = need_victim(&canaries), thief;

		need_run(&victim, job_copy(&victim, 0, VICTIM_VA, VICTIM_VA + 8 * PAGE, 8192), 0);
		client_close(&victim);
		need_in_use(0, 0);
		thief = need_client(0);
		loot = need_buffer(thief.fd, PAGE);
		need_map(thief.fd, thief.vm, &loot, THIEF_VA);
		need_run(&thief, job_copy(&thief, 0, VICTIM_VA, THIEF_VA, 1024), -EFAULT);
		check(!has_canary(&loot));
		client_close(&thief);
		need_in_use(0, 0);
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(other_contexts_address_faults),
		TAP_TEST(other_contexts_memory_is_not_written),
		TAP_TEST(same_address_in_two_contexts),
		TAP_TEST(scratchpad_is_cleared),
		TAP_TEST(scratchpad_is_cleared_after_a_hang),
		TAP_TEST(context_is_clean_when_reused),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
