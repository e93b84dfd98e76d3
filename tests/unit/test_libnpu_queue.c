/* SPDX-License-Identifier: MIT */
/* Queues and fences: order, dependencies, failures and whom they touch. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libnpu_rig.h"

static struct npu_fence *submit(struct npu_queue *queue, struct npu_job job,
				struct npu_fence *wait)
{
	struct npu_fence *fence;

	assert_ok(npu_queue_submit(queue, &job, &wait, wait ? 1 : 0, &fence));
	return fence;
}

static void test_counters(void **state)
{
	struct rig *rig = *state;
	struct npu_counters c;

	assert_ok(npu_queue_get_counters(rig->queue, &c));
	assert_int_equal(c.jobs + c.descriptors + c.cycles, 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_ok(rig_run(rig->queue, rig_job_copy(rig, 0, 8 + i, 0)));
	assert_ok(npu_queue_get_counters(rig->queue, &c));
	assert_int_equal(c.jobs, 5);
	assert_int_equal(c.descriptors, 15);
	assert_int_equal(c.read_bytes, 20);
	assert_int_equal(c.write_bytes, 20);
	assert_true(c.cycles > 0);
	assert_int_equal(c.faults, 0);
	assert_err(rig_run(rig->queue, rig_job_read(rig, 0, -8, 1)), -EFAULT, "LOAD");
	assert_ok(npu_queue_get_counters(rig->queue, &c));
	assert_int_equal(c.jobs, 5);
	assert_int_equal(c.faults, 1);
}

/* Many jobs, more than a ring holds, in order: each adds to a chain of copies. */
static void test_order(void **state)
{
	struct rig *rig = *state;
	struct npu_fence *fence = NULL;
	struct npu_job copy[2];

	rig->word[10] = 77;
	copy[0] = rig_job_copy(rig, 0, 11, 10);
	copy[1] = rig_job_copy(rig, 1, 10, 11);
	for (int i = 0; i < 400; i++)
		assert_ok(npu_queue_submit(rig->queue, &copy[i % 2], NULL, 0, NULL));
	fence = submit(rig->queue, rig_job_copy(rig, 2, 12, 10), NULL);
	assert_ok(npu_fence_wait(fence, -1));
	/* Again: a signalled fence stays signalled. */
	assert_ok(npu_fence_wait(fence, 0));
	npu_fence_destroy(fence);
	npu_fence_destroy(NULL);
	assert_int_equal(rig->word[12], 77);
}

/* A job of another queue waits for a late job, though the device is free before. */
static void test_dependency(void **state)
{
	struct rig *rig = *state;
	struct npu_queue *second = npu_queue_create(rig->space, NPU_PRIORITY_NORMAL, 0);
	struct npu_fence *slow;
	struct npu_fence *set;
	struct npu_fence *copy;
	struct npu_fence *both[2];
	struct npu_job job;

	assert_some(second);
	rig->word[20] = 0;
	slow = submit(rig->queue, rig_job_slow_set(rig, 0, 21, 5), NULL);
	set = submit(rig->queue, rig_job_set(rig, 1, 20, 6), NULL);
	copy = submit(second, rig_job_copy(rig, 2, 22, 20), set);
	/* And back, with two fences, one of its own queue. */
	both[0] = copy;
	both[1] = slow;
	job = rig_job_copy(rig, 3, 23, 22);
	assert_ok(npu_queue_submit(rig->queue, &job, both, 2, &both[1]));
	assert_ok(npu_fence_wait(both[1], -1));
	assert_int_equal(rig->word[21], 5);
	assert_int_equal(rig->word[22], 6);
	assert_int_equal(rig->word[23], 6);
	npu_fence_destroy(both[1]);
	npu_fence_destroy(copy);
	npu_fence_destroy(set);
	npu_fence_destroy(slow);
	npu_queue_destroy(second);
}

static void test_many_waits(void **state)
{
	struct rig *rig = *state;
	struct npu_fence *fence[256];
	struct npu_fence *last;
	struct npu_job set = rig_job_set(rig, 0, 1, 2);
	struct npu_job copy = rig_job_copy(rig, 1, 2, 1);

	for (unsigned int i = 0; i < 256; i++)
		fence[i] = submit(rig->queue, set, NULL);
	assert_err(npu_queue_submit(rig->queue, &copy, fence, 256, &last), -EINVAL, "limit");
	assert_ok(npu_queue_submit(rig->queue, &copy, fence, 255, &last));
	assert_ok(npu_fence_wait(last, -1));
	assert_int_equal(rig->word[2], 2);
	npu_fence_destroy(last);
	for (unsigned int i = 0; i < 256; i++)
		npu_fence_destroy(fence[i]);
}

static void test_arguments(void **state)
{
	struct rig *rig = *state;
	struct npu_job good = rig_job_set(rig, 0, 0, 1);
	struct npu_device *other_dev = rig_open();
	struct rig other = { 0 };
	struct npu_fence *fence;
	struct npu_job job;

	job = good; job.cmd_bytes = 0;
	assert_err(npu_queue_submit(rig->queue, &job, NULL, 0, NULL), -EINVAL, "lines");
	job = good; job.cmd_bytes += 4;
	assert_err(npu_queue_submit(rig->queue, &job, NULL, 0, NULL), -EINVAL, "lines");
	job = good; job.cmd_bytes = (1u << 30) + 64;
	assert_err(npu_queue_submit(rig->queue, &job, NULL, 0, NULL), -EINVAL, "lines");
	job = good; job.cmd_va += 8;
	assert_err(npu_queue_submit(rig->queue, &job, NULL, 0, NULL), -EINVAL, "lines");
	job = good; job.bind_count = 33;
	assert_err(npu_queue_submit(rig->queue, &job, NULL, 0, NULL), -EINVAL, "table");
	job = good; job.bind_va += 4;
	assert_err(npu_queue_submit(rig->queue, &job, NULL, 0, NULL), -EINVAL, "table");
	job = good; job.bind_count = 0;
	assert_err(npu_queue_submit(rig->queue, &job, NULL, 0, NULL), -EINVAL, "table");
	assert_none(npu_queue_create(rig->space, 4, 0), -EINVAL, "priority");
	assert_none(npu_queue_create(rig->space, -1, 0), -EINVAL, "priority");
	assert_none(npu_queue_create(rig->space, NPU_PRIORITY_LOW, UINT32_MAX), -EINVAL, "limit");
	npu_queue_destroy(NULL);

	rig_init(&other, other_dev, 0);
	fence = submit(other.queue, rig_job_set(&other, 0, 0, 1), NULL);
	assert_err(npu_queue_submit(rig->queue, &good, &fence, 1, NULL), -EINVAL, "another device");
	npu_fence_destroy(fence);
	rig_exit(&other);
	npu_device_close(other_dev);
	assert_ok(rig_run(rig->queue, good));
}

static void test_queue_limit(void **state)
{
	struct rig *rig = *state;
	struct npu_queue *queue[65];
	unsigned int count = 0;

	while (count < 65 && (queue[count] = npu_queue_create(rig->space, NPU_PRIORITY_LOW, 0)))
		count++;
	assert_in_range(count, 1, 63);
	assert_int_equal(errno, ENOSPC);
	assert_non_null(strstr(npu_error(), "no more"));
	assert_ok(rig_run(queue[count - 1], rig_job_set(rig, 0, 0, 9)));
	assert_int_equal(rig->word[0], 9);
	while (count)
		npu_queue_destroy(queue[--count]);
}

/* The line has an end; what is in it is cancelled with the queue. */
static void test_job_limit(void **state)
{
	struct rig *rig = *state;
	struct npu_queue *queue = npu_queue_create(rig->space, NPU_PRIORITY_NORMAL, 60000);
	struct npu_fence *first = submit(queue, rig_job_hang(rig, 0), NULL);
	struct npu_job job = rig_job_set(rig, 1, 0, 1);
	unsigned int count = 1;
	int ret;

	while (!(ret = npu_queue_submit(queue, &job, NULL, 0, NULL)))
		count++;
	assert_int_equal(ret, -ENOSPC);
	assert_non_null(strstr(npu_error(), "too many jobs"));
	assert_in_range(count, 64, 1 << 16);
	npu_queue_destroy(queue);
	assert_err(npu_fence_wait(first, -1), -ECANCELED, "destroyed");
	npu_fence_destroy(first);
	assert_ok(rig_run(rig->queue, rig_job_copy(rig, 2, 1, 0)));
	assert_int_equal(rig->word[1], 0);
}

static void test_timeout_of_wait(void **state)
{
	struct rig *rig = *state;
	struct npu_fence *fence = submit(rig->queue, rig_job_hang(rig, 0), NULL);
	struct npu_fence *behind = submit(rig->queue, rig_job_set(rig, 1, 0, 1), NULL);

	assert_err(npu_fence_wait(fence, 0), -ETIME, "0 ms");
	assert_err(npu_fence_wait(fence, 30), -ETIME, "30 ms");
	/* Destroying the queue ends its jobs; the fences outlive it. */
	npu_queue_destroy(rig->queue);
	assert_err(npu_fence_wait(fence, -1), -ECANCELED, "destroyed");
	assert_err(npu_fence_wait(behind, -1), -ECANCELED, "destroyed");
	npu_fence_destroy(fence);
	npu_fence_destroy(behind);
	assert_int_equal(rig->word[0], 0);
	rig->queue = npu_queue_create(rig->space, NPU_PRIORITY_NORMAL, 0);
	assert_ok(rig_run(rig->queue, rig_job_set(rig, 1, 0, 4)));
	assert_int_equal(rig->word[0], 4);
}

/* A hang: its queue and its space are banned, others go on undisturbed. */
static void test_hang(void **state)
{
	struct rig *rig = *state;
	struct rig other = { 0 };
	struct npu_queue *hanging = npu_queue_create(rig->space, NPU_PRIORITY_NORMAL, 500);
	struct npu_queue *sibling = npu_queue_create(rig->space, NPU_PRIORITY_NORMAL, 0);
	struct npu_fence *fence[4];
	struct npu_queue_fault fault;
	struct npu_job job;

	assert_some(hanging);
	assert_some(sibling);
	rig_init(&other, rig->dev, 300);
	fence[0] = submit(hanging, rig_job_hang(rig, 0), NULL);
	fence[1] = submit(hanging, rig_job_set(rig, 1, 0, 1), NULL);
	/* These wait longer than their budget, which only counts running time. */
	fence[2] = submit(other.queue, rig_job_slow_set(&other, 0, 3, 4), NULL);
	fence[3] = submit(other.queue, rig_job_copy(&other, 1, 5, 3), fence[0]);
	assert_err(npu_fence_wait(fence[0], -1), -EDEADLK, "budget");
	assert_err(npu_fence_wait(fence[1], -1), -ECANCELED, "cancelled");
	assert_ok(npu_fence_wait(fence[2], -1));
	assert_ok(npu_fence_wait(fence[3], -1));
	assert_int_equal(other.word[3], 4);
	assert_int_equal(other.word[5], 4);
	assert_int_equal(rig->word[0], 0);

	assert_ok(npu_queue_get_fault(hanging, &fault));
	assert_true(fault.banned && fault.hung);
	assert_ok(npu_queue_get_fault(sibling, &fault));
	assert_true(fault.banned && !fault.hung);
	assert_ok(npu_queue_get_fault(other.queue, &fault));
	assert_false(fault.banned);
	assert_string_equal(fault.text, "no fault");
	job = rig_job_set(rig, 2, 0, 1);
	assert_err(npu_queue_submit(hanging, &job, NULL, 0, NULL), -ECANCELED, "stopped");
	assert_err(npu_queue_submit(sibling, &job, NULL, 0, NULL), -ECANCELED, "stopped");
	for (int i = 0; i < 4; i++)
		npu_fence_destroy(fence[i]);
	npu_queue_destroy(hanging);
	npu_queue_destroy(sibling);
	rig_exit(&other);
}

/* A job of another queue of the space runs for ever while its neighbour faults. */
static void test_fault_bans_space(void **state)
{
	struct rig *rig = *state;
	struct npu_queue *sibling = npu_queue_create(rig->space, NPU_PRIORITY_LOW, 0);
	struct npu_job job = rig_job_hang(rig, 1);
	struct npu_fence *bad;
	struct npu_fence *later = NULL;
	struct npu_queue_fault fault;
	int ret;

	assert_some(sibling);
	bad = submit(rig->queue, rig_job_read(rig, 0, -64, 99), NULL);
	/* Refused, if the fault was faster than this. */
	ret = npu_queue_submit(sibling, &job, &bad, 1, &later);
	assert_true(!ret || ret == -ECANCELED);
	assert_err(npu_fence_wait(bad, -1), -EFAULT, "tag 99");
	if (later)
		assert_err(npu_fence_wait(later, -1), -ECANCELED, "another queue");
	assert_ok(npu_queue_get_fault(rig->queue, &fault));
	assert_int_equal(fault.va, rig->data_va - 64);
	npu_fence_destroy(bad);
	npu_fence_destroy(later);
	npu_queue_destroy(sibling);
}

/* Work that takes longer than the budget but gets on is not a hang. */
static void test_progress(void **state)
{
	struct rig *rig = *state;
	struct npu_queue *queue = npu_queue_create(rig->space, NPU_PRIORITY_NORMAL, 1000);

	assert_some(queue);
	for (int i = 0; i < 3; i++)
		assert_ok(rig_run(queue, rig_job_slow_set(rig, 0, 0, 8)));
	npu_queue_destroy(queue);
}

static void test_bad_commands(void **state)
{
	struct rig *rig = *state;
	struct npu_job job = rig_job_set(rig, 0, 0, 1);
	char *code = npu_buffer_map(rig->code);
	struct npu_queue_fault fault;

	code[0] = 0x7f;
	assert_err(rig_run(rig->queue, job), -EFAULT, "OPCODE");
	assert_ok(npu_queue_get_fault(rig->queue, &fault));
	assert_int_equal(fault.code, 4);
}

struct worker {
	struct rig rig;
	uint32_t seed;
	int wrong;
};

/* Own space and queue per thread, one device for all. */
static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < 60; i++) {
		uint32_t value = w->seed * 1000 + i;
		struct npu_fence *fence[2];

		fence[0] = submit(w->rig.queue, rig_job_set(&w->rig, i % 8, i, value), NULL);
		fence[1] = submit(w->rig.queue, rig_job_copy(&w->rig, 8 + i % 8, 500 + i, i), NULL);
		if (npu_fence_wait(fence[1], -1) || w->rig.word[500 + i] != value)
			w->wrong++;
		npu_fence_destroy(fence[0]);
		npu_fence_destroy(fence[1]);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct rig *rig = *state;
	struct worker worker[4] = { 0 };
	pthread_t thread[4];

	for (uint32_t i = 0; i < 4; i++) {
		worker[i].seed = i + 1;
		rig_init(&worker[i].rig, rig->dev, 0);
		assert_int_equal(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(worker[i].wrong, 0);
		rig_exit(&worker[i].rig);
	}
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_rig(test_counters),
		with_rig(test_order),
		with_rig(test_dependency),
		with_rig(test_many_waits),
		with_rig(test_arguments),
		with_rig(test_queue_limit),
		with_rig(test_job_limit),
		with_rig(test_timeout_of_wait),
		with_rig(test_hang),
		with_rig(test_fault_bans_space),
		with_rig(test_progress),
		with_rig(test_bad_commands),
		with_rig(test_threads),
	};

	return rig_run_tests(tests, NULL, NULL);
}
