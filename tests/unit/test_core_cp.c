/* SPDX-License-Identifier: MIT */
/* The command stream: fetch, checks, registers, loops, semaphores (HW 7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_bus.h"
#include "npu_check.h"

#define CTX		1u
#define DATA_VA		0x10000000ull
#define CMD_VA		0x20000000ull
#define DATA_BYTES	(256u << 10)
#define SPM_BYTES	(128u << 10)

static struct core_cmds cmds;
static const struct npu_core_config config = {
	.spm_bytes = SPM_BYTES,
	.acc_bytes = 16u << 10,
	.synchronous = true,
};

struct fixture {
	struct core_bus *bus;
	uint32_t *data;
	uint64_t jobs;	/* where the allocator puts jobs */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->bus = core_bus_create(&config, 8u << 20);
	core_bus_context(f->bus, CTX);
	core_bus_queue(f->bus, 0, CTX, 1, 1, 3);
	f->data = core_bus_ptr(f->bus, core_bus_buffer(f->bus, CTX, DATA_VA, DATA_BYTES),
			       DATA_BYTES);
	core_bus_pte(f->bus, CTX, CMD_VA, 0);
	f->jobs = f->bus->next;
	cmds.used = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	core_bus_destroy(f->bus);
	free(f);
	return 0;
}

static uint64_t qread64(struct fixture *f, uint64_t reg)
{
	return core_bus_read64(f->bus, core_bus_queue_reg(0, reg));
}

static void reenable(struct fixture *f)
{
	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_STOP);
	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	f->bus->tail[0] = 0;
}

/* r0 is the data; the commands are at @va. */
static uint32_t run_at(struct fixture *f, uint64_t va, struct core_job *job)
{
	const uint64_t regs[1] = { DATA_VA };

	reenable(f);
	core_bus_invalidate(f->bus);
	/* The tables of CMD_VA exist; the job before this one is over. */
	f->bus->next = f->jobs;
	*job = core_bus_job(f->bus, CTX, va, &cmds, regs, 1);
	return core_bus_run(f->bus, 0, job);
}

static uint32_t run(struct fixture *f)
{
	struct core_job job;

	return run_at(f, CMD_VA, &job);
}

/* The commands so far fault at the descriptor with @tag, which is of @engine. */
static void expect_fault(struct fixture *f, enum npu_fault_code code, uint32_t tag,
			 enum npu_engine engine)
{
	struct core_job job;
	uint32_t info;

	assert_int_equal(run_at(f, CMD_VA, &job), code);
	info = core_bus_read(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_INFO));
	assert_int_equal(info & NPU_FAULT_INFO_CODE_MASK, code);
	assert_int_equal((info & NPU_FAULT_INFO_ENGINE_MASK) >> NPU_FAULT_INFO_ENGINE_SHIFT, engine);
	assert_int_equal(core_bus_read(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_TAG)), tag);
	assert_int_equal(qread64(f, NPU_QUEUE_FAULT_DESC_VA),
			 job.entry.cmd_va + (uint64_t)tag * NPU_LINE_BYTES);
	cmds.used = 0;
}

/* Store register @reg's low word: as the address within the data it names. */
static void store_mark(unsigned int reg, uint32_t spm)
{
	core_cmds_copy(&cmds, NPU_OP_STORE, reg, 0, spm, 4);
}

static void test_registers(void **state)
{
	struct fixture *f = *state;

	core_cmds_fill(&cmds, 0, 4, 0xa1);
	core_cmds_setr(&cmds, NPU_OP_SETR, 31, (int64_t)(DATA_VA + 4096));
	core_cmds_setr(&cmds, NPU_OP_ADDR, 31, -4096 + 12);
	store_mark(31, 0);
	core_cmds_setr(&cmds, NPU_OP_SETR, 5, -8);
	core_cmds_setr(&cmds, NPU_OP_ADDR, 5, (int64_t)(DATA_VA + 28));
	store_mark(5, 0);
	/* A negative offset from a bound register. */
	core_cmds_setr(&cmds, NPU_OP_ADDR, 0, 100);
	core_cmds_copy(&cmds, NPU_OP_STORE, 0, -64, 0, 4);
	core_cmds_end(&cmds);
	assert_int_equal(run(f), 0);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(f->data[i], i == 3 || i == 5 || i == 9 ? 0xa1 : 0);
}

/* Registers that are not bound are 0, and SPM operands use their low half. */
static void test_register_of_spm(void **state)
{
	struct fixture *f = *state;

	core_cmds_fill(&cmds, 256, 4, 0xb2);
	core_cmds_setr(&cmds, NPU_OP_ADDR, 7, (int64_t)0xffffffff00000100ull);
	core_cmds_copy(&cmds, NPU_OP_STORE, 0, 0, 0, 4)->spm.reg = 7;
	core_cmds_setr(&cmds, NPU_OP_SETR, 8, 0xffffffffll);
	core_cmds_end(&cmds);
	assert_int_equal(run(f), 0);
	assert_int_equal(f->data[0], 0xb2);
	cmds.used = 0;
	core_cmds_setr(&cmds, NPU_OP_SETR, 8, 0xfffffffcll);
	core_cmds_copy(&cmds, NPU_OP_STORE, 0, 0, 8, 4)->spm.reg = 8;
	expect_fault(f, NPU_FAULT_SPM_BOUNDS, 1, NPU_ENGINE_DO);
}

/* Four levels with steps, against four loops in C. */
static void test_loops(void **state)
{
	struct fixture *f = *state;
	static const uint32_t count[4] = { 3, 2, 5, 4 };
	static const int64_t step[4] = { 16384, 4096, 256, 8 };
	static uint32_t expect[DATA_BYTES / 4];

	core_cmds_fill(&cmds, 0, 4, 1);
	for (unsigned int i = 0; i < 4; i++)
		core_cmds_loop(&cmds, count[i]);
	store_mark(0, 0);
	for (unsigned int i = 4; i-- > 0;) {
		struct npu_desc_endl *d = core_cmds_endl(&cmds);

		/* The outer step undoes what the inner loop added in total. */
		d->step[2].reg = 0;
		d->step[2].step = step[i] - (i < 3 ? (int64_t)count[i + 1] * step[i + 1] : 0);
	}
	core_cmds_end(&cmds);
	assert_int_equal(run(f), 0);
	memset(expect, 0, sizeof(expect));
	for (uint32_t a = 0; a < count[0]; a++)
		for (uint32_t b = 0; b < count[1]; b++)
			for (uint32_t c = 0; c < count[2]; c++)
				for (uint32_t d = 0; d < count[3]; d++)
					expect[(a * 16384 + b * 4096 + c * 256 + d * 8) / 4] = 1;
	assert_memory_equal(f->data, expect, sizeof(expect));
	assert_int_equal(qread64(f, NPU_QUEUE_PROGRESS),
			 /* FILL, END, and per level: LOOP, ENDL; innermost STORE */
			 2 + 1 + 3 + 3 + 3 * 2 + 3 * 2 + 3 * 2 * 5 + 3 * 2 * 5 + 3 * 2 * 5 * 4 * 2);
}

/* Several steps in one ENDL; the last iteration steps too. */
static void test_step_after_last(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_endl *d;

	core_cmds_fill(&cmds, 0, 4, 7);
	core_cmds_setr(&cmds, NPU_OP_SETR, 1, (int64_t)DATA_VA);
	core_cmds_loop(&cmds, 3);
	d = core_cmds_endl(&cmds);
	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++) {
		d->step[i].reg = i < 2 ? 1 : NPU_REG_NONE;
		d->step[i].step = i < 2 ? 4 : 0;
	}
	store_mark(1, 0);
	core_cmds_end(&cmds);
	assert_int_equal(run(f), 0);
	for (uint32_t i = 0; i < 32; i++)
		assert_int_equal(f->data[i], i == 6 ? 7 : 0);
}

static void test_loop_faults(void **state)
{
	struct fixture *f = *state;

	core_cmds_endl(&cmds);
	expect_fault(f, NPU_FAULT_LOOP, 0, NPU_ENGINE_CP);
	for (unsigned int i = 0; i < 5; i++)
		core_cmds_loop(&cmds, 2);
	expect_fault(f, NPU_FAULT_LOOP, 4, NPU_ENGINE_CP);
	core_cmds_loop(&cmds, 2);
	core_cmds_end(&cmds);
	expect_fault(f, NPU_FAULT_LOOP, 1, NPU_ENGINE_CP);
	core_cmds_loop(&cmds, 0);
	expect_fault(f, NPU_FAULT_OPERAND, 0, NPU_ENGINE_CP);
	core_cmds_loop(&cmds, 2);
	core_cmds_endl(&cmds);
	core_cmds_endl(&cmds);
	expect_fault(f, NPU_FAULT_LOOP, 3, NPU_ENGINE_CP);
}

/* Loop bodies of every size around the pages that the device keeps. */
static void test_long_loops(void **state)
{
	struct fixture *f = *state;

	for (unsigned int lines = 1; lines <= 400; lines += 57) {
		cmds.used = 0;
		core_cmds_loop(&cmds, 5);
		for (unsigned int i = 0; i < lines; i++)
			core_cmds_nop(&cmds);
		core_cmds_copy(&cmds, NPU_OP_STORE, 0, 0, 0, 4);
		core_cmds_endl(&cmds)->step[0] = (struct npu_loop_step){ .reg = 0, .step = 4 };
		core_cmds_end(&cmds);
		struct core_job job;

		assert_int_equal(run_at(f, CMD_VA, &job), 0);
		assert_int_equal(job.done->descriptors, 2 + 5 * (lines + 2));
	}
}

static void test_missing_end(void **state)
{
	struct fixture *f = *state;
	struct core_job job;

	core_cmds_nop(&cmds);
	core_cmds_nop(&cmds);
	assert_int_equal(run_at(f, CMD_VA, &job), NPU_FAULT_CMD_END);
	assert_int_equal(qread64(f, NPU_QUEUE_FAULT_DESC_VA), job.entry.cmd_va + 128);
	assert_int_equal(job.done->descriptors, 2);
	/* Truncated in its second line. */
	cmds.used = 0;
	core_cmds_nop(&cmds);
	core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0, 4);
	cmds.used -= 64;
	expect_fault(f, NPU_FAULT_CMD_END, 1, NPU_ENGINE_DI);
}

static void test_descriptor_faults(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_hdr *hdr;

	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		if (npu_op_engine(opcode) != NPU_ENGINES)
			continue;
		core_cmds_nop(&cmds);
		core_cmds_nop(&cmds)->opcode = (uint8_t)opcode;
		core_cmds_end(&cmds);
		expect_fault(f, NPU_FAULT_OPCODE, 1, NPU_ENGINE_CP);
	}
	for (unsigned int lines = 0; lines < 256; lines++) {
		if (lines == 1)
			continue;
		core_cmds_nop(&cmds)->lines = (uint8_t)lines;
		for (unsigned int i = 0; i < 300; i++)
			core_cmds_end(&cmds);
		expect_fault(f, NPU_FAULT_RESERVED, 0, NPU_ENGINE_CP);
	}
	hdr = core_cmds_nop(&cmds);
	((uint8_t *)hdr)[63] = 1;
	expect_fault(f, NPU_FAULT_RESERVED, 0, NPU_ENGINE_CP);
	core_cmds_nop(&cmds)->flags = NPU_F_TRACE;
	expect_fault(f, NPU_FAULT_UNSUPPORTED, 0, NPU_ENGINE_CP);
	core_cmds_nop(&cmds)->flags = 1;
	expect_fault(f, NPU_FAULT_RESERVED, 0, NPU_ENGINE_CP);
	core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, SPM_BYTES - 4, 8);
	expect_fault(f, NPU_FAULT_SPM_BOUNDS, 0, NPU_ENGINE_DI);
	core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 2, 0, 8);
	expect_fault(f, NPU_FAULT_ALIGN, 0, NPU_ENGINE_DI);
}

/* UNPOOL of two outputs into an image of 1 x 3; @first and @second are their indices. */
static void unpool_pair(uint32_t first, uint32_t second)
{
	struct npu_desc_pool *d;

	core_cmds_fill(&cmds, 0, 32, 0);
	core_cmds_fill(&cmds, 64, 4, first);
	core_cmds_signal(core_cmds_fill(&cmds, 68, 4, second), 0, 1, 1);
	d = core_cmds_add(&cmds, NPU_OP_UNPOOL, sizeof(*d));
	core_cmds_wait(d, 0, 1, 1);
	d->hdr.flags = NPU_F_POOL_INDEX;
	d->hdr.tag = 6;
	d->shape = (struct npu_conv_shape) {
		.n = 1, .h = 1, .w = 3, .c = 1, .oh = 1, .ow = 2, .k = 1, .kh = 1, .kw = 2,
		.stride_h = 1, .stride_w = 1, .dil_h = 1, .dil_w = 1, .up_h = 1, .up_w = 1,
	};
	d->in = (struct npu_ref) { .addr = 16, .reg = NPU_REG_NONE };
	d->out = (struct npu_ref) { .addr = 0, .reg = NPU_REG_NONE };
	d->index = (struct npu_ref) { .addr = 64, .dtype = NPU_I32, .reg = NPU_REG_NONE };
	d->in_stride[2] = 1;
	d->out_stride[2] = 1;
	d->index_row = 3;
	core_cmds_end(&cmds);
}

/* The index that no position has is reported; -1 is none. */
static void test_index_fault(void **state)
{
	struct fixture *f = *state;

	unpool_pair(0, 2);
	assert_int_equal(run(f), 0);
	cmds.used = 0;
	unpool_pair(UINT32_MAX, UINT32_MAX);
	assert_int_equal(run(f), 0);
	cmds.used = 0;
	unpool_pair(1, 3);
	expect_fault(f, NPU_FAULT_INDEX, 6, NPU_ENGINE_VE);
	assert_int_equal(core_bus_read(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_AUX)), 3);
	assert_int_equal(qread64(f, NPU_QUEUE_FAULT_VA), 0);
	unpool_pair(0xfffffffe, 77);
	expect_fault(f, NPU_FAULT_INDEX, 6, NPU_ENGINE_VE);
	assert_int_equal(core_bus_read(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_AUX)),
			 0xfffffffe);
}

static void test_semaphore_order(void **state)
{
	struct fixture *f = *state;

	/* A ring of two buffers: LOAD, STORE, LOAD, STORE with credit both ways. */
	for (uint32_t i = 0; i < 1024; i++)
		f->data[i] = i * 3 + 1;
	core_cmds_signal(core_cmds_nop(&cmds), 0, 1, 2);
	core_cmds_loop(&cmds, 8);
	struct npu_desc_dma *load = core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0, 128);
	struct npu_desc_dma *store = core_cmds_copy(&cmds, NPU_OP_STORE, 0, 8192, 0, 128);

	core_cmds_signal(load, 2, 63, 3);
	core_cmds_wait(store, 1, 63, 3);
	core_cmds_signal(store, 0, 2, 1);
	core_cmds_wait(load, 0, 1, 2);
	/* What LOAD waits for must come from one engine: CP gives it back. */
	core_cmds_signal(core_cmds_nop(&cmds), 0, 1, 2);
	core_cmds_endl(&cmds)->step[0] = (struct npu_loop_step){ .reg = 0, .step = 128 };
	core_cmds_end(&cmds);
	assert_int_equal(run(f), 0);
	assert_memory_equal(f->data, f->data + 2048, 1024);
}

static void expect_stall(struct fixture *f, uint64_t retired)
{
	struct core_job job;
	uint64_t before = qread64(f, NPU_QUEUE_PROGRESS);

	assert_int_equal(run_at(f, CMD_VA, &job), UINT32_MAX);
	assert_int_equal(core_bus_state(f->bus, 0), NPU_QUEUE_STATE_RUNNING);
	assert_int_equal(qread64(f, NPU_QUEUE_PROGRESS), before + retired);
	cmds.used = 0;
}

/* A wait that earlier signals do not cover is never met, whatever follows. */
static void test_uncovered_waits(void **state)
{
	struct fixture *f = *state;

	core_cmds_wait(core_cmds_nop(&cmds), 2, 0, 1);
	core_cmds_signal(core_cmds_nop(&cmds), 0, 0, 1);
	core_cmds_end(&cmds);
	expect_stall(f, 0);
	core_cmds_signal(core_cmds_nop(&cmds), 0, 9, 254);
	core_cmds_wait(core_cmds_nop(&cmds), 1, 9, 255);
	core_cmds_end(&cmds);
	expect_stall(f, 1);
	/* One of two waits is met: nothing is taken. */
	core_cmds_signal(core_cmds_nop(&cmds), 0, 9, 5);
	core_cmds_wait(core_cmds_nop(&cmds), 1, 9, 5);
	core_cmds_wait(core_cmds_nop(&cmds), 1, 9, 1);
	core_cmds_end(&cmds);
	expect_stall(f, 2);
	/* Its own signal comes too late. */
	struct npu_desc_hdr *hdr = core_cmds_nop(&cmds);

	core_cmds_wait(hdr, 0, 4, 1);
	core_cmds_signal(hdr, 0, 4, 1);
	core_cmds_end(&cmds);
	expect_stall(f, 0);
	/* Semaphores start at 0 again. */
	core_cmds_signal(core_cmds_nop(&cmds), 0, 9, 5);
	core_cmds_end(&cmds);
	assert_int_equal(run(f), 0);
	cmds.used = 0;
	core_cmds_wait(core_cmds_nop(&cmds), 0, 9, 1);
	core_cmds_end(&cmds);
	expect_stall(f, 0);
	/* END's ports work as well. */
	core_cmds_end(&cmds);
	core_cmds_wait(cmds.bytes, 0, 1, 1);
	expect_stall(f, 0);
	reenable(f);
}

static void test_semaphore_faults(void **state)
{
	struct fixture *f = *state;

	/* 257 * 255 = 65535 is the limit. */
	core_cmds_loop(&cmds, 257);
	core_cmds_signal(core_cmds_nop(&cmds), 1, 8, 255);
	core_cmds_endl(&cmds);
	core_cmds_end(&cmds);
	assert_int_equal(run(f), 0);
	cmds.used -= 64;
	core_cmds_signal(core_cmds_nop(&cmds), 1, 8, 1);
	expect_fault(f, NPU_FAULT_SEMAPHORE, 4, NPU_ENGINE_CP);
	/* Two producers, two consumers. */
	core_cmds_signal(core_cmds_nop(&cmds), 0, 8, 1);
	core_cmds_signal(core_cmds_fill(&cmds, 0, 4, 0), 0, 8, 1);
	expect_fault(f, NPU_FAULT_SEMAPHORE, 1, NPU_ENGINE_DI);
	core_cmds_signal(core_cmds_nop(&cmds), 0, 8, 2);
	core_cmds_wait(core_cmds_fill(&cmds, 0, 4, 0), 0, 8, 1);
	core_cmds_wait(core_cmds_nop(&cmds), 0, 8, 1);
	expect_fault(f, NPU_FAULT_SEMAPHORE, 3, NPU_ENGINE_CP);
	/* The fault comes before the stall: who waits matters first. */
	core_cmds_signal(core_cmds_nop(&cmds), 0, 8, 1);
	core_cmds_wait(core_cmds_fill(&cmds, 0, 4, 0), 0, 8, 1);
	core_cmds_wait(core_cmds_nop(&cmds), 0, 8, 1);
	expect_fault(f, NPU_FAULT_SEMAPHORE, 3, NPU_ENGINE_CP);
}

/* Bytes after END are not run, and need not be mapped. */
static void test_nothing_after_end(void **state)
{
	struct fixture *f = *state;
	struct core_job job;
	const uint64_t regs[1] = { DATA_VA };

	for (unsigned int i = 0; i < 63; i++)
		core_cmds_nop(&cmds);
	core_cmds_end(&cmds);
	for (unsigned int i = 0; i < 64; i++)
		core_cmds_nop(&cmds)->opcode = 0xee;
	job = core_bus_job(f->bus, CTX, CMD_VA, &cmds, regs, 1);
	*core_bus_pte(f->bus, CTX, job.entry.cmd_va + 4096, 0) = 0;
	assert_int_equal(core_bus_run(f->bus, 0, &job), 0);
	assert_int_equal(job.done->descriptors, 64);
	/* In the same page: the bus refuses what comes after END only. */
	cmds.used = 0;
	core_cmds_nop(&cmds);
	core_cmds_end(&cmds);
	core_cmds_nop(&cmds);
	job = core_bus_job(f->bus, CTX, CMD_VA + (1u << 20), &cmds, regs, 1);
	core_bus_hole(f->bus, job.cmd_bus + 128, 64);
	assert_int_equal(core_bus_run(f->bus, 0, &job), 0);
}

static void test_fetch_fault(void **state)
{
	struct fixture *f = *state;
	struct core_job job;
	const uint64_t regs[1] = { DATA_VA };

	/* A descriptor of two lines over a page boundary, the second not mapped. */
	for (unsigned int i = 0; i < 63; i++)
		core_cmds_nop(&cmds);
	core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0, 4);
	core_cmds_end(&cmds);
	job = core_bus_job(f->bus, CTX, CMD_VA, &cmds, regs, 1);
	assert_int_equal(core_bus_run(f->bus, 0, &job), 0);
	*core_bus_pte(f->bus, CTX, job.entry.cmd_va + 4096, 0) = 0;
	core_bus_invalidate(f->bus);
	assert_int_equal(core_bus_run(f->bus, 0, &job), NPU_FAULT_MMU_UNMAPPED);
	assert_int_equal(qread64(f, NPU_QUEUE_FAULT_VA), job.entry.cmd_va + 4096);
	assert_int_equal(qread64(f, NPU_QUEUE_FAULT_DESC_VA), job.entry.cmd_va + 63 * 64);
	/* Bindings. */
	reenable(f);
	*core_bus_pte(f->bus, CTX, job.entry.bind_va, 0) = 0;
	core_bus_invalidate(f->bus);
	assert_int_equal(core_bus_run(f->bus, 0, &job), NPU_FAULT_MMU_UNMAPPED);
	assert_int_equal(qread64(f, NPU_QUEUE_FAULT_VA), job.entry.bind_va);
	assert_int_equal(qread64(f, NPU_QUEUE_FAULT_DESC_VA), 0);
}

/* Someone rewrites commands while they are fetched: each byte counts once. */
static struct {
	uint64_t lo, hi;
	unsigned int reads;
	uint8_t *lines;
} watched;

static void on_read(struct core_bus *bus, uint64_t addr, size_t bytes)
{
	(void)bus;
	if (addr < watched.hi && addr + bytes > watched.lo) {
		watched.reads++;
		*watched.lines = watched.reads & 1 ? 2 : 8;
	}
}

static void test_fetched_once(void **state)
{
	struct fixture *f = *state;
	struct core_job job;
	const uint64_t regs[1] = { DATA_VA };

	for (unsigned int i = 0; i < 63; i++)
		core_cmds_nop(&cmds);
	core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0, 4);
	core_cmds_end(&cmds);
	job = core_bus_job(f->bus, CTX, CMD_VA, &cmds, regs, 1);
	watched.lo = job.cmd_bus;
	watched.hi = job.cmd_bus + 4096;
	watched.reads = 0;
	watched.lines = core_bus_ptr(f->bus, job.cmd_bus + 63 * 64 + 1, 1);
	f->bus->on_read = on_read;
	assert_int_equal(core_bus_run(f->bus, 0, &job), 0);
	assert_int_equal(watched.reads, 1);
	assert_int_equal(job.done->descriptors, 65);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_register_of_spm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_step_after_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_loops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptor_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_index_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_semaphore_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uncovered_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_semaphore_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_after_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetched_once, setup, teardown),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
