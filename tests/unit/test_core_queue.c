/* SPDX-License-Identifier: MIT */
/* Queues: rings, arbitration, states, stop, faults, completion (HW 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_bus.h"

#define CMD_VA		0x20000000ull
#define DATA_VA		0x10000000ull
#define CTX		1u
#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static struct core_cmds cmds;

static struct core_bus *make_bus(bool threads, uint32_t watchdog_ms)
{
	const struct npu_core_config config = {
		.spm_bytes = 128u << 10,
		.acc_bytes = 16u << 10,
		.threads = 2,
		.watchdog_ms = watchdog_ms,
		.synchronous = !threads,
	};
	struct core_bus *bus = core_bus_create(&config, 8u << 20);

	core_bus_context(bus, CTX);
	cmds.used = 0;
	return bus;
}

static struct core_job nop_job(struct core_bus *bus, unsigned int nops)
{
	static uint64_t va = CMD_VA;

	cmds.used = 0;
	for (unsigned int i = 0; i < nops; i++)
		core_cmds_nop(&cmds);
	core_cmds_end(&cmds);
	va += 1u << 20;
	return core_bus_job(bus, CTX, va, &cmds, NULL, 0);
}

/* Runs for hours, in bounded steps. */
static struct core_job long_job(struct core_bus *bus)
{
	cmds.used = 0;
	for (unsigned int i = 0; i < 4; i++)
		core_cmds_loop(&cmds, 65535);
	core_cmds_nop(&cmds);
	for (unsigned int i = 0; i < 4; i++)
		core_cmds_endl(&cmds);
	core_cmds_end(&cmds);
	return core_bus_job(bus, CTX, CMD_VA, &cmds, NULL, 0);
}

/* Never gets beyond its second descriptor. */
static struct core_job stalled_job(struct core_bus *bus)
{
	cmds.used = 0;
	core_cmds_nop(&cmds);
	core_cmds_wait(core_cmds_nop(&cmds), 0, 7, 1);
	core_cmds_end(&cmds);
	return core_bus_job(bus, CTX, CMD_VA, &cmds, NULL, 0);
}

static uint32_t qread(struct core_bus *bus, uint32_t q, uint64_t reg)
{
	return core_bus_read(bus, core_bus_queue_reg(q, reg));
}

static uint64_t qread64(struct core_bus *bus, uint32_t q, uint64_t reg)
{
	return core_bus_read64(bus, core_bus_queue_reg(q, reg));
}

static void ctrl(struct core_bus *bus, uint32_t q, uint32_t value)
{
	core_bus_write(bus, core_bus_queue_reg(q, NPU_QUEUE_CTRL), value);
}

static void stop(struct core_bus *bus, uint32_t q)
{
	ctrl(bus, q, NPU_QUEUE_CTRL_ENABLE | NPU_QUEUE_CTRL_STOP);
}

static void test_completion(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job = nop_job(bus, 5);
	uint64_t addr = job.entry.done_addr;

	(void)state;
	core_bus_queue(bus, 9, CTX, 1, 4, 3);
	assert_int_equal(core_bus_run(bus, 9, &job), 0);
	assert_int_equal(job.done->descriptors, 6);
	assert_int_equal(job.done->macs, 0);
	assert_true(job.done->end_ns > job.done->start_ns && job.done->start_ns >= 1000000);
	assert_true(job.done->cycles >= 3 * 100 + 6 * 2);
	assert_int_equal(qread(bus, 9, NPU_QUEUE_HEAD), 1);
	assert_int_equal(qread(bus, 9, NPU_QUEUE_TAIL), 1);
	assert_int_equal(qread64(bus, 9, NPU_QUEUE_PROGRESS), 6);
	assert_int_equal(qread64(bus, 9, NPU_QUEUE_CYCLES), job.done->cycles);
	assert_int_equal(qread64(bus, 9, NPU_QUEUE_RUN_NS),
			 job.done->end_ns - job.done->start_ns);
	assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 1ull << 9);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_JOBS), 1);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_DESCRIPTORS), 6);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_CYCLES), job.done->cycles);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_FAULTS), 0);
	assert_int_equal(core_bus_read(bus, NPU_REG_STATUS), NPU_STATUS_READY);
	/* The record without its seqno first, then the seqno at once. */
	assert_int_equal(bus->write_log[1].addr, addr);
	assert_int_equal(bus->write_log[1].bytes, 56);
	assert_int_equal(bus->write_log[0].addr, addr + 56);
	assert_int_equal(bus->write_log[0].bytes, 8);
	core_bus_destroy(bus);
}

static void test_no_record_wanted(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job = nop_job(bus, 0);

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	job.entry.done_addr = 0;
	assert_int_equal(core_bus_run(bus, 0, &job), UINT32_MAX);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_IDLE);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_HEAD), 1);
	assert_int_equal(atomic_load(&bus->writes), 0);
	core_bus_destroy(bus);
}

/* The queue's vector is raised when its bit goes from 0 to 1. */
static void test_queue_vector(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job = nop_job(bus, 0);

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 16, 3);
	core_bus_queue(bus, 1, CTX, 1, 0, 3);
	for (unsigned int i = 0; i < 3; i++)
		core_bus_run(bus, 0, &job);
	assert_int_equal(bus->irqs[16], 1);
	core_bus_write64(bus, NPU_REG_DONE_QUEUES, ~1ull);
	core_bus_run(bus, 0, &job);
	assert_int_equal(bus->irqs[16], 1);
	core_bus_write64(bus, NPU_REG_DONE_QUEUES, 1);
	assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 0);
	core_bus_run(bus, 0, &job);
	assert_int_equal(bus->irqs[16], 2);
	/* Vector 0 means none for a queue. */
	core_bus_run(bus, 1, &job);
	assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 3);
	assert_int_equal(bus->irqs[0], 0);
	core_bus_destroy(bus);
}

static void test_ring_wraps(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job[4];

	(void)state;
	core_bus_queue(bus, 3, CTX, 1, 1, 1);
	for (unsigned int i = 0; i < 4; i++)
		job[i] = nop_job(bus, i);
	for (unsigned int round = 0; round < 10; round++) {
		memset(job[0].done, 0, sizeof(*job[0].done));
		memset(job[round % 3 + 1].done, 0, sizeof(*job[0].done));
		core_bus_push(bus, 3, &job[0].entry);
		core_bus_push(bus, 3, &job[round % 3 + 1].entry);
		core_bus_doorbell(bus, 3);
		assert_true(core_bus_wait(bus, 3, NPU_QUEUE_STATE_IDLE));
		assert_int_equal(job[0].done->seqno, job[0].entry.seqno);
		assert_int_equal(job[round % 3 + 1].done->descriptors, round % 3 + 2);
		assert_int_equal(qread(bus, 3, NPU_QUEUE_HEAD), 2 * round + 2);
	}
	core_bus_destroy(bus);
}

/* Order in which the completion records of @jobs jobs were written. */
static void ring_all(struct core_bus *bus, const uint32_t *queues, struct core_job *job,
		     unsigned int jobs)
{
	core_bus_write(bus, NPU_REG_CONTROL, 0);
	for (unsigned int i = 0; i < jobs; i++) {
		job[i] = nop_job(bus, 1);
		core_bus_push(bus, queues[i], &job[i].entry);
		core_bus_doorbell(bus, queues[i]);
		assert_int_equal(core_bus_state(bus, queues[i]), NPU_QUEUE_STATE_RUNNABLE);
	}
	assert_int_equal(npu_core_run(bus->core, 100), 0);
	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RUN);
}

static void test_priorities(void **state)
{
	static const uint32_t queues[] = { 5, 6, 7, 8, 5, 7 };
	/* Queue 5 has priority 0 ... queue 8 has priority 3. */
	static const unsigned int order[] = { 3, 2, 5, 1, 0, 4 };
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job[COUNT(queues)];

	(void)state;
	for (uint32_t q = 5; q <= 8; q++)
		core_bus_queue(bus, q, CTX, q - 5, 1, 3);
	ring_all(bus, queues, job, COUNT(queues));
	for (unsigned int i = 0; i < COUNT(order); i++) {
		assert_int_equal(job[order[i]].done->seqno, 0);
		assert_int_equal(npu_core_run(bus->core, 1), 1);
		assert_int_equal(job[order[i]].done->seqno, job[order[i]].entry.seqno);
	}
	assert_int_equal(npu_core_run(bus->core, 1), 0);
	core_bus_destroy(bus);
}

static void test_round_robin(void **state)
{
	static const uint32_t queues[] = { 0, 0, 0, 63, 63, 63, 31, 31, 31 };
	static const unsigned int order[] = { 0, 6, 3, 1, 7, 4, 2, 8, 5 };
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job[COUNT(queues)];

	(void)state;
	core_bus_queue(bus, 0, CTX, 2, 1, 3);
	core_bus_queue(bus, 31, CTX, 2, 1, 3);
	core_bus_queue(bus, 63, CTX, 2, 1, 3);
	ring_all(bus, queues, job, COUNT(queues));
	for (unsigned int i = 0; i < COUNT(order); i++) {
		assert_int_equal(job[order[i]].done->seqno, 0);
		assert_int_equal(npu_core_run(bus->core, 1), 1);
		assert_int_equal(job[order[i]].done->seqno, job[order[i]].entry.seqno);
	}
	core_bus_destroy(bus);
}

/* STOP and a cleared ENABLE in every state that software can see at rest. */
static void test_control_by_state(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job = nop_job(bus, 1);

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	ctrl(bus, 0, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_DISABLED);
	ctrl(bus, 0, NPU_QUEUE_CTRL_STOP);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_DISABLED);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), 0);
	ctrl(bus, 0, NPU_QUEUE_CTRL_ENABLE);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_IDLE);
	stop(bus, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_STOPPED);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_STOPPED);
	assert_int_equal(bus->irqs[0], 1);
	core_bus_write(bus, NPU_REG_IRQ_STATUS, NPU_IRQ_STOPPED);
	stop(bus, 0);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), 0);
	ctrl(bus, 0, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_DISABLED);
	/* Runnable: its jobs are dropped, HEAD stays. */
	ctrl(bus, 0, NPU_QUEUE_CTRL_ENABLE);
	core_bus_write(bus, NPU_REG_CONTROL, 0);
	bus->tail[0] = 0;
	core_bus_push(bus, 0, &job.entry);
	core_bus_doorbell(bus, 0);
	ctrl(bus, 0, 0);
	assert_int_equal(bus->errors, 1);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_RUNNABLE);
	stop(bus, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_STOPPED);
	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RUN);
	assert_int_equal(npu_core_run(bus->core, 5), 0);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_HEAD), 0);
	/* STOP with ENABLE cleared does both. */
	ctrl(bus, 0, 0);
	ctrl(bus, 0, NPU_QUEUE_CTRL_ENABLE);
	ctrl(bus, 0, NPU_QUEUE_CTRL_STOP);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_DISABLED);
	assert_int_equal(bus->errors, 1);
	core_bus_destroy(bus);
}

static void test_enable_restarts_ring(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job = nop_job(bus, 3);

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	core_bus_run(bus, 0, &job);
	core_bus_run(bus, 0, &job);
	ctrl(bus, 0, 0);
	ctrl(bus, 0, NPU_QUEUE_CTRL_ENABLE);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_HEAD), 0);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_TAIL), 0);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_PROGRESS), 8);
	bus->tail[0] = 0;
	assert_int_equal(core_bus_run(bus, 0, &job), 0);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_PROGRESS), 12);
	core_bus_destroy(bus);
}

static void test_malformed_slots(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job good = nop_job(bus, 1);
	struct npu_job_entry bad[12];

	(void)state;
	for (unsigned int i = 0; i < COUNT(bad); i++)
		bad[i] = good.entry;
	bad[0].cmd_va += 32;
	bad[1].cmd_bytes = 0;
	bad[2].cmd_bytes = 100;
	bad[3].cmd_bytes = NPU_CMD_BYTES_MAX + 64;
	bad[4].flags = 1;
	bad[5].bind_va += 4;
	bad[6].bind_count = 33;
	bad[7].rsvd0 = 1;
	bad[8].rsvd1[0] = 1;
	bad[9].rsvd1[1] = 1ull << 63;
	bad[10].done_addr += 32;
	bad[11].cmd_bytes = 0xffffffc0;
	for (unsigned int i = 0; i < COUNT(bad); i++) {
		struct core_job job = good;

		core_bus_queue(bus, i, CTX, 1, 1, 3);
		job.entry = bad[i];
		assert_int_equal(core_bus_run(bus, i, &job), i == 10 ? UINT32_MAX : NPU_FAULT_JOB);
		assert_int_equal(core_bus_state(bus, i), NPU_QUEUE_STATE_FAULTED);
		assert_int_equal(qread(bus, i, NPU_QUEUE_FAULT_INFO), NPU_FAULT_JOB | CTX << 24);
		assert_int_equal(qread64(bus, i, NPU_QUEUE_FAULT_SEQNO), good.entry.seqno);
		assert_int_equal(qread(bus, i, NPU_QUEUE_HEAD), 0);
	}
	core_bus_destroy(bus);
}

/* A fault ends its job and its queue; the others go on. */
static void test_fault_is_contained(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job good = nop_job(bus, 1);
	struct core_job bad = nop_job(bus, 2);
	struct npu_desc_hdr *hdr = core_bus_ptr(bus, bad.cmd_bus + 64, 64);

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	core_bus_queue(bus, 1, CTX, 1, 2, 3);
	hdr->opcode = 0xee;
	hdr->tag = 0xabcd1234;
	core_bus_push(bus, 0, &bad.entry);
	core_bus_push(bus, 0, &good.entry);
	core_bus_doorbell(bus, 0);
	assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_FAULTED));
	assert_int_equal(bad.done->seqno, bad.entry.seqno);
	assert_int_equal(bad.done->status, NPU_FAULT_OPCODE);
	assert_int_equal(bad.done->descriptors, 1);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_FAULT_INFO),
			 NPU_FAULT_OPCODE | 0xee << 16 | CTX << 24);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_FAULT_TAG), 0xabcd1234);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_FAULT_DESC_VA), bad.entry.cmd_va + 64);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_FAULT_VA), 0);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_FAULT_SEQNO), bad.entry.seqno);
	assert_true(qread64(bus, 0, NPU_QUEUE_FAULT_CYCLE) >= 200);
	assert_int_equal(core_bus_read64(bus, NPU_REG_FAULT_QUEUES), 1);
	assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 0);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_FAULT);
	assert_int_equal(bus->irqs[0], 1);
	assert_int_equal(bus->irqs[1], 0);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_FAULTS), 1);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_JOBS), 0);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_DESCRIPTORS), 1);
	assert_non_null(strstr(bus->fault_text, "OPCODE"));
	/* Neither its next job nor a doorbell moves it. */
	assert_int_equal(good.done->seqno, 0);
	core_bus_doorbell(bus, 0);
	assert_int_equal(bus->errors, 1);
	stop(bus, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_FAULTED);
	assert_int_equal(core_bus_run(bus, 1, &good), 0);
	assert_int_equal(bus->irqs[2], 1);
	/* And back to work. */
	core_bus_write64(bus, NPU_REG_FAULT_QUEUES, 1);
	assert_int_equal(core_bus_read64(bus, NPU_REG_FAULT_QUEUES), 0);
	ctrl(bus, 0, 0);
	ctrl(bus, 0, NPU_QUEUE_CTRL_ENABLE);
	bus->tail[0] = 0;
	assert_int_equal(core_bus_run(bus, 0, &good), 0);
	core_bus_destroy(bus);
}

static void expect_bus_fault(struct core_bus *bus, uint32_t q, uint64_t va, bool write)
{
	assert_int_equal(core_bus_state(bus, q), NPU_QUEUE_STATE_FAULTED);
	assert_int_equal(qread(bus, q, NPU_QUEUE_FAULT_INFO),
			 NPU_FAULT_BUS | CTX << 24 | (write ? NPU_FAULT_INFO_WRITE : 0));
	assert_int_equal(qread64(bus, q, NPU_QUEUE_FAULT_VA), va);
}

/* Structures of the queue that are not RAM. */
static void test_bus_refuses(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job = nop_job(bus, 1);

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	core_bus_hole(bus, bus->ring[0], 64);
	assert_int_equal(core_bus_run(bus, 0, &job), UINT32_MAX);
	expect_bus_fault(bus, 0, bus->ring[0], false);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_FAULT_SEQNO), 0);

	core_bus_queue(bus, 1, CTX, 1, 1, 3);
	core_bus_hole(bus, job.entry.done_addr, 8);
	assert_int_equal(core_bus_run(bus, 1, &job), UINT32_MAX);
	expect_bus_fault(bus, 1, job.entry.done_addr, true);
	assert_int_equal(qread64(bus, 1, NPU_QUEUE_FAULT_SEQNO), job.entry.seqno);
	bus->holes = 0;

	core_bus_queue(bus, 2, CTX, 1, 1, 3);
	core_bus_hole(bus, job.entry.done_addr + 56, 8);
	assert_int_equal(core_bus_run(bus, 2, &job), UINT32_MAX);
	expect_bus_fault(bus, 2, job.entry.done_addr + 56, true);
	bus->holes = 0;

	core_bus_queue(bus, 3, CTX, 1, 1, 3);
	core_bus_hole(bus, bus->ctx_table + 16, 16);
	assert_int_equal(core_bus_run(bus, 3, &job), NPU_FAULT_BUS);
	expect_bus_fault(bus, 3, bus->ctx_table + 16, false);
	core_bus_destroy(bus);
}

static void test_stalled_job(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	struct core_job job = stalled_job(bus);
	struct core_job other = nop_job(bus, 1);
	uint64_t run_ns;
	uint32_t seq;

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	core_bus_queue(bus, 1, CTX, 3, 1, 3);
	core_bus_push(bus, 0, &job.entry);
	core_bus_doorbell(bus, 0);
	assert_int_equal(npu_core_run(bus->core, 10), 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_RUNNING);
	assert_int_equal(core_bus_read(bus, NPU_REG_STATUS), NPU_STATUS_READY | NPU_STATUS_BUSY);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_PROGRESS), 1);
	run_ns = qread64(bus, 0, NPU_QUEUE_RUN_NS);
	assert_true(qread64(bus, 0, NPU_QUEUE_RUN_NS) > run_ns);
	/* One job at a time: the other queue waits, and is not running. */
	core_bus_push(bus, 1, &other.entry);
	core_bus_doorbell(bus, 1);
	assert_int_equal(npu_core_run(bus->core, 10), 0);
	assert_int_equal(core_bus_state(bus, 1), NPU_QUEUE_STATE_RUNNABLE);
	assert_int_equal(qread64(bus, 1, NPU_QUEUE_RUN_NS), 0);
	/* Invalidations are acknowledged all the same. */
	seq = core_bus_invalidate(bus);
	assert_int_equal(core_bus_read(bus, NPU_REG_TLB_ACK_SEQ), seq);
	ctrl(bus, 0, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_RUNNING);
	assert_int_equal(bus->errors, 1);
	stop(bus, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_STOPPED);
	assert_true(core_bus_read(bus, NPU_REG_IRQ_STATUS) & NPU_IRQ_STOPPED);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_HEAD), 0);
	assert_int_equal(job.done->seqno, 0);
	assert_int_equal(qread64(bus, 0, NPU_QUEUE_PROGRESS), 1);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_DESCRIPTORS), 0);
	assert_true(core_bus_wait(bus, 1, NPU_QUEUE_STATE_IDLE));
	assert_int_equal(other.done->seqno, other.entry.seqno);
	core_bus_destroy(bus);
}

static void test_stalled_threaded(void **state)
{
	struct core_bus *bus = make_bus(true, 0);
	struct core_job job = stalled_job(bus);
	uint32_t seq;

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	core_bus_push(bus, 0, &job.entry);
	core_bus_doorbell(bus, 0);
	assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_RUNNING));
	seq = core_bus_invalidate(bus);
	while (core_bus_read(bus, NPU_REG_TLB_ACK_SEQ) != seq)
		;
	stop(bus, 0);
	assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_STOPPED));
	assert_int_equal(job.done->seqno, 0);
	core_bus_destroy(bus);
}

static void test_stop_running(void **state)
{
	struct core_bus *bus = make_bus(true, 0);
	struct core_job job = long_job(bus);
	struct core_job after = nop_job(bus, 1);
	uint64_t progress;

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	core_bus_push(bus, 0, &job.entry);
	core_bus_push(bus, 0, &after.entry);
	core_bus_doorbell(bus, 0);
	do
		progress = qread64(bus, 0, NPU_QUEUE_PROGRESS);
	while (progress < 1000);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_RUNNING);
	core_bus_doorbell(bus, 0);
	stop(bus, 0);
	assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_STOPPED));
	assert_true(qread64(bus, 0, NPU_QUEUE_PROGRESS) >= progress);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_HEAD), 0);
	assert_int_equal(job.done->seqno, 0);
	assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 0);
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_DESCRIPTORS), 0);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_STOPPED);
	ctrl(bus, 0, 0);
	ctrl(bus, 0, NPU_QUEUE_CTRL_ENABLE);
	bus->tail[0] = 0;
	assert_int_equal(core_bus_run(bus, 0, &after), 0);
	core_bus_destroy(bus);
}

/* RUN = 0 keeps new jobs out, and only them. */
static void test_run_bit(void **state)
{
	struct core_bus *bus = make_bus(true, 0);
	struct core_job job = nop_job(bus, 2);

	(void)state;
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	core_bus_write(bus, NPU_REG_CONTROL, 0);
	core_bus_push(bus, 0, &job.entry);
	core_bus_doorbell(bus, 0);
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_RUNNABLE);
	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RUN);
	assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_IDLE));
	assert_int_equal(job.done->status, 0);
	core_bus_destroy(bus);
}

static void expect_watchdog(struct core_bus *bus, struct core_job *job)
{
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_FAULTED);
	assert_int_equal(job->done->seqno, job->entry.seqno);
	assert_int_equal(job->done->status, NPU_FAULT_WATCHDOG);
	assert_int_equal(qread(bus, 0, NPU_QUEUE_FAULT_INFO) & 0xff, NPU_FAULT_WATCHDOG);
}

static void test_watchdog_threaded(void **state)
{
	for (int stalled = 0; stalled < 2; stalled++) {
		struct core_bus *bus = make_bus(true, 20);
		struct core_job job = stalled ? stalled_job(bus) : long_job(bus);
		struct core_job after = nop_job(bus, 1);

		(void)state;
		core_bus_queue(bus, 0, CTX, 1, 1, 3);
		core_bus_queue(bus, 1, CTX, 1, 1, 3);
		core_bus_push(bus, 0, &job.entry);
		core_bus_doorbell(bus, 0);
		assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_RUNNING));
		atomic_fetch_add(&bus->now_ns, 30000000);
		assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_FAULTED));
		expect_watchdog(bus, &job);
		if (stalled)
			assert_int_equal(qread64(bus, 0, NPU_QUEUE_FAULT_DESC_VA),
					 job.entry.cmd_va + 64);
		assert_int_equal(core_bus_run(bus, 1, &after), 0);
		core_bus_destroy(bus);
	}
}

static void test_watchdog_synchronous(void **state)
{
	for (int stalled = 0; stalled < 2; stalled++) {
		struct core_bus *bus = make_bus(false, 2);
		struct core_job job = stalled ? stalled_job(bus) : long_job(bus);

		(void)state;
		core_bus_queue(bus, 0, CTX, 1, 1, 3);
		core_bus_push(bus, 0, &job.entry);
		core_bus_doorbell(bus, 0);
		assert_int_equal(npu_core_run(bus->core, 1), !stalled);
		if (stalled) {
			assert_int_equal(npu_core_run(bus->core, 1), 0);
			atomic_fetch_add(&bus->now_ns, 30000000);
			assert_int_equal(npu_core_run(bus->core, 1), 1);
		}
		expect_watchdog(bus, &job);
		core_bus_destroy(bus);
	}
}

/* Nothing of a context's SPM is seen by the next one, and only by it. */
static void test_memories_change_hands(void **state)
{
	struct core_bus *bus = make_bus(false, 0);
	const uint64_t regs[1] = { DATA_VA };
	uint64_t buffer[3] = { 0 };
	struct core_job fill[2];
	struct core_job dump[3];
	static const uint32_t word = 0x5ec2e7ed;

	(void)state;
	for (uint32_t ctx = 1; ctx <= 2; ctx++) {
		if (ctx > 1)
			core_bus_context(bus, ctx);
		buffer[ctx] = core_bus_buffer(bus, ctx, DATA_VA, 128u << 10);
		core_bus_queue(bus, ctx, ctx, 1, 1, 3);
		cmds.used = 0;
		core_cmds_copy(&cmds, NPU_OP_STORE, 0, 0, 0, 128u << 10);
		core_cmds_end(&cmds);
		dump[ctx] = core_bus_job(bus, ctx, CMD_VA, &cmds, regs, 1);
	}
	cmds.used = 0;
	core_cmds_fill(&cmds, 4096, 4096, word);
	core_cmds_fill(&cmds, (128u << 10) - 4, 4, word);
	core_cmds_end(&cmds);
	fill[0] = core_bus_job(bus, 1, CMD_VA + (1u << 20), &cmds, regs, 1);
	fill[1] = core_bus_job(bus, 2, CMD_VA + (1u << 20), &cmds, regs, 1);
	for (int round = 0; round < 4; round++) {
		const uint32_t *seen = core_bus_ptr(bus, buffer[1], 128u << 10);
		const uint32_t *other = core_bus_ptr(bus, buffer[2], 128u << 10);

		assert_int_equal(core_bus_run(bus, 1, &fill[0]), 0);
		assert_int_equal(core_bus_run(bus, 1, &dump[1]), 0);
		assert_int_equal(seen[1024], word);
		assert_int_equal(seen[1023], 0);
		assert_int_equal(seen[(32u << 10) - 1], word);
		assert_int_equal(core_bus_run(bus, 2, &dump[2]), 0);
		for (unsigned int i = 0; i < 32u << 10; i++)
			assert_int_equal(other[i], 0);
		assert_int_equal(core_bus_run(bus, 2, &fill[1]), 0);
	}
	/* A context that is invalidated as a whole may belong to somebody else next. */
	core_bus_write(bus, NPU_REG_TLB_INV, 2);
	assert_int_equal(core_bus_run(bus, 2, &dump[2]), 0);
	assert_int_equal(((const uint32_t *)core_bus_ptr(bus, buffer[2], 8192))[1024], 0);
	core_bus_destroy(bus);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_no_record_wanted),
		cmocka_unit_test(test_queue_vector),
		cmocka_unit_test(test_ring_wraps),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_control_by_state),
		cmocka_unit_test(test_enable_restarts_ring),
		cmocka_unit_test(test_malformed_slots),
		cmocka_unit_test(test_fault_is_contained),
		cmocka_unit_test(test_bus_refuses),
		cmocka_unit_test(test_stalled_job),
		cmocka_unit_test(test_stalled_threaded),
		cmocka_unit_test(test_stop_running),
		cmocka_unit_test(test_run_bit),
		cmocka_unit_test(test_watchdog_threaded),
		cmocka_unit_test(test_watchdog_synchronous),
		cmocka_unit_test(test_memories_change_hands),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
