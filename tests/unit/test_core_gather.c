/* SPDX-License-Identifier: MIT */
/* GATHER and SCATTER: random ones against the reference, and every way to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "core_bus.h"
#include "gen_desc.h"
#include "npu_check.h"
#include "ref_isa.h"

#define CTX		1u
#define SPM_VA		0x10000000ull	/* what SPM holds before */
#define DATA_VA		0x12000000ull
#define OUT_VA		0x14000000ull	/* and after */
#define CMD_VA		0x20000000ull
#define BYTES		(64u << 10)
#define SPM_REG		28
#define OUT_REG		29

static struct core_cmds cmds;

struct fixture {
	struct core_bus *bus;
	uint8_t *spm;
	uint8_t *data;
	uint8_t *out;
	uint64_t jobs;
	uint64_t cmd_va;
};

static int setup(void **state)
{
	static const struct npu_core_config config = {
		.spm_bytes = BYTES,
		.acc_bytes = 16u << 10,
		.synchronous = true,
		.watchdog_ms = 20,
	};
	struct fixture *f = calloc(1, sizeof(*f));

	f->bus = core_bus_create(&config, 4u << 20);
	core_bus_context(f->bus, CTX);
	core_bus_queue(f->bus, 0, CTX, 1, 1, 3);
	f->spm = core_bus_ptr(f->bus, core_bus_buffer(f->bus, CTX, SPM_VA, BYTES), BYTES);
	f->data = core_bus_ptr(f->bus, core_bus_buffer(f->bus, CTX, DATA_VA, BYTES), BYTES);
	f->out = core_bus_ptr(f->bus, core_bus_buffer(f->bus, CTX, OUT_VA, BYTES), BYTES);
	core_bus_pte(f->bus, CTX, CMD_VA, 0);
	f->jobs = f->bus->next;
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

/* LOAD all of SPM, the descriptor, STORE all of it; the status. */
static uint32_t run(struct fixture *f, const struct npu_desc_gather *d, const uint64_t *regs)
{
	struct npu_desc_gather *copy;
	struct core_job job;

	cmds.used = 0;
	core_cmds_copy(&cmds, NPU_OP_LOAD, SPM_REG, 0, 0, BYTES);
	copy = core_cmds_add(&cmds, d->hdr.opcode, sizeof(*d));
	*copy = *d;
	copy->hdr.lines = 3;
	copy->hdr.tag = 77;
	core_cmds_copy(&cmds, NPU_OP_STORE, OUT_REG, 0, 0, BYTES);
	core_cmds_end(&cmds);
	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), 0);
	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	f->bus->tail[0] = 0;
	f->bus->next = f->jobs;
	core_bus_invalidate(f->bus);
	job = core_bus_job(f->bus, CTX, CMD_VA, &cmds, regs, 30);
	f->cmd_va = job.entry.cmd_va;
	return core_bus_run(f->bus, 0, &job);
}

static uint32_t fault_reg(struct fixture *f, uint64_t reg)
{
	return core_bus_read(f->bus, core_bus_queue_reg(0, reg));
}

static uint64_t fault_va(struct fixture *f)
{
	return core_bus_read64(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_VA));
}

/* The fault is the descriptor's, and says what it did. */
static void expect_blame(struct fixture *f, unsigned int opcode)
{
	bool write = fault_reg(f, NPU_QUEUE_FAULT_INFO) & NPU_FAULT_INFO_WRITE;

	assert_int_equal(fault_reg(f, NPU_QUEUE_FAULT_TAG), 77);
	assert_int_equal(write, opcode == NPU_OP_SCATTER);
	assert_int_equal(core_bus_read64(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_DESC_VA)),
			 f->cmd_va + 2 * NPU_LINE_BYTES);
}

static int32_t pick_index(struct gen *g, uint32_t limit, bool from_end, bool wild)
{
	static const int32_t odd[] = { -1, INT32_MIN, INT32_MAX, 0x10000 };

	if (wild && !gen_below(g, 4))
		return gen_below(g, 3) ? (int32_t)limit + (int32_t)gen_below(g, 2) :
			odd[gen_below(g, 4)];
	return (int32_t)gen_below(g, limit) - (from_end && gen_below(g, 2) ? (int32_t)limit : 0);
}

static void write_indices(struct gen *g, const struct npu_desc_gather *d, uint8_t *spm)
{
	int64_t base = d->index.addr;
	bool wild = !gen_below(g, 8);
	uint32_t i[3];

	if (d->index.reg != NPU_REG_NONE)
		base += (uint32_t)g->regs[d->index.reg];
	for (i[0] = 0; i[0] < d->dim[0]; i[0]++)
		for (i[1] = 0; i[1] < d->dim[1]; i[1]++)
			for (i[2] = 0; i[2] < d->dim[2]; i[2]++)
				for (uint32_t j = 0; j < npu_gather_coords(d); j++) {
					int32_t x = pick_index(g, d->limit[j], d->hdr.flags &
							       NPU_F_FROM_END, wild);
					int64_t at = j * (int64_t)d->index_stride[3];

					for (int k = 0; k < 3; k++)
						at += i[k] * (int64_t)d->index_stride[k];
					memcpy(spm + base + 4 * at, &x, 4);
				}
}

static void init_gen(struct gen *g, uint64_t seed)
{
	gen_init(g, seed);
	g->limits.caps = NPU_CAP_FP32 | NPU_CAP_GATHER | NPU_CAP_SCATTER_ADD;
	g->limits.spm_bytes = BYTES;
	g->limits.acc_bytes = 16u << 10;
	g->mem_lo = DATA_VA;
	g->mem_bytes = BYTES;
	g->no_ports = true;
}

static void test_random(void **state)
{
	struct fixture *f = *state;
	uint8_t *spm = malloc(BYTES), *data = malloc(BYTES);
	struct ref_isa_memory mem = { .data = data, .va = DATA_VA };
	unsigned int faults = 0, rounds = 1500;
	struct gen g;

	init_gen(&g, gen_test_seed());
	for (unsigned int round = 0; round < rounds; round++) {
		struct ref_isa m = { .spm = spm, .regs = g.regs };
		struct ref_isa_index bad;
		union gen_any desc;
		uint32_t status;

		gen_regs(&g);
		g.regs[SPM_REG] = SPM_VA;
		g.regs[OUT_REG] = OUT_VA;
		g.defined = true;
		gen_desc(&g, gen_below(&g, 2) ? NPU_OP_GATHER : NPU_OP_SCATTER, &desc);
		for (unsigned int i = 0; i < BYTES; i++) {
			f->spm[i] = (uint8_t)gen_u64(&g);
			f->data[i] = (uint8_t)gen_u64(&g);
		}
		write_indices(&g, &desc.gather, f->spm);
		memcpy(spm, f->spm, BYTES);
		memcpy(data, f->data, BYTES);
		status = run(f, &desc.gather, g.regs);
		if (ref_isa_gather(&m, &desc.gather, &mem, &bad)) {
			assert_int_equal(status, 0);
			assert_memory_equal(f->out, spm, BYTES);
		} else {
			assert_int_equal(status, NPU_FAULT_INDEX);
			assert_int_equal((int32_t)fault_reg(f, NPU_QUEUE_FAULT_AUX), bad.index);
			assert_int_equal(fault_va(f), bad.limit);
			expect_blame(f, desc.hdr.opcode);
			faults++;
		}
		assert_memory_equal(f->data, data, BYTES);
	}
	print_message("%u of %u faulted\n", faults, rounds);
	assert_in_range(faults, 20, rounds / 3);
	free(spm);
	free(data);
}

/* @rows rows of @elems floats, indices at 0x100, rows from 0x1000 on in SPM. */
static struct npu_desc_gather simple(unsigned int opcode, uint32_t rows, uint32_t elems,
				     uint32_t limit)
{
	return (struct npu_desc_gather) {
		.hdr = { .opcode = (uint8_t)opcode, .lines = 3 },
		.dim = { 1, 1, rows },
		.row_elems = elems,
		.limit = { limit },
		.step_bytes = { (int32_t)elems * 4 },
		.mem = { .reg = 16, .dtype = NPU_F32 },
		.spm = { .addr = 0x1000, .reg = NPU_REG_NONE, .dtype = NPU_F32 },
		.spm_stride = { 0, 0, (int32_t)elems },
		.index = { .addr = 0x100, .reg = NPU_REG_NONE, .dtype = NPU_I32 },
		.index_stride = { 0, 0, 1, 0 },
	};
}

static const uint64_t simple_regs[30] = {
	[16] = DATA_VA, [SPM_REG] = SPM_VA, [OUT_REG] = OUT_VA,
};

static void set_indices(struct fixture *f, unsigned int count, const int32_t *index)
{
	memcpy(f->spm + 0x100, index, count * sizeof(*index));
}

/* The last row for an address stays. */
static void test_duplicates(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_gather d = simple(NPU_OP_SCATTER, 5, 2, 4);
	float *row = (float *)(void *)(f->spm + 0x1000), *data = (float *)(void *)f->data;

	set_indices(f, 5, (int32_t[]){ 3, 1, 3, 1, 3 });
	for (unsigned int i = 0; i < 10; i++)
		row[i] = (float)i;
	assert_int_equal(run(f, &d, simple_regs), 0);
	assert_true(data[2] == 6 && data[3] == 7 && data[6] == 8 && data[7] == 9);
	assert_true(data[0] == 0 && data[4] == 0);
}

/* Rows for one address are added from first to last, whatever the rounding then is. */
static void test_add_order(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_gather d = simple(NPU_OP_SCATTER, 200, 37, 3);
	float *row = (float *)(void *)(f->spm + 0x1000), *data = (float *)(void *)f->data;
	float want[3 * 37];
	int32_t index[200];
	struct gen g;

	gen_init(&g, gen_test_seed());
	d.hdr.flags = NPU_F_ADD;
	d.spm_stride[2] = 40;
	for (unsigned int i = 0; i < 3 * 37; i++)
		want[i] = data[i] = (float)gen_below(&g, 1000);
	for (unsigned int i = 0; i < 200; i++) {
		index[i] = (int32_t)gen_below(&g, 3);
		for (unsigned int j = 0; j < 37; j++) {
			row[i * 40 + j] = ((float)gen_below(&g, 1000) - 500.0f) *
					  (float)(1u << gen_below(&g, 30));
			want[index[i] * 37 + (int)j] += row[i * 40 + j];
		}
	}
	set_indices(f, 200, index);
	assert_int_equal(run(f, &d, simple_regs), 0);
	assert_memory_equal(data, want, sizeof(want));
}

/* What is not readable or not writable is not touched; rows and pages before are. */
static void test_add_pages(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_gather d = simple(NPU_OP_SCATTER, 2, 1500, 3);
	uint64_t *pte = core_bus_pte(f->bus, CTX, DATA_VA + NPU_PAGE_BYTES, 0), keep = *pte;
	static const uint64_t taken[] = { NPU_PTE_READ, NPU_PTE_WRITE };
	float *row = (float *)(void *)(f->spm + 0x1000), *data = (float *)(void *)f->data;

	d.hdr.flags = NPU_F_ADD;
	set_indices(f, 2, (int32_t[]){ 0, 1 });
	for (unsigned int i = 0; i < 3000; i++)
		row[i] = 1;
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t info;

		for (unsigned int j = 0; j < BYTES / 4; j++)
			data[j] = 5;
		*pte = keep & ~taken[i];
		assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_MMU_PERM);
		assert_int_equal(fault_va(f), DATA_VA + NPU_PAGE_BYTES);
		info = fault_reg(f, NPU_QUEUE_FAULT_INFO);
		assert_int_equal(!!(info & NPU_FAULT_INFO_WRITE), i);
		assert_true(data[0] == 6 && data[1023] == 6 && data[1024] == 5 && data[2999] == 5);
	}
	*pte = keep;
	assert_int_equal(run(f, &d, simple_regs), 0);
	assert_true(data[0] == 7 && data[1023] == 7 && data[1024] == 6 && data[2999] == 6 &&
		    data[3000] == 5);
}

/* Only rows that are asked for are translated, and the first bad byte is named. */
static void test_pages(void **state)
{
	struct fixture *f = *state;
	static const unsigned int ops[] = { NPU_OP_GATHER, NPU_OP_SCATTER };

	for (unsigned int i = 0; i < 2; i++) {
		struct npu_desc_gather d = simple(ops[i], 3, 300, 13);
		uint64_t *pte = core_bus_pte(f->bus, CTX, DATA_VA + 2 * NPU_PAGE_BYTES, 0);
		uint64_t keep = *pte;

		/* Rows of 1200 bytes: row 6 is the first that touches the third page. */
		*pte = 0;
		set_indices(f, 3, (int32_t[]){ 0, 5, 11 });
		assert_int_equal(run(f, &d, simple_regs), 0);
		set_indices(f, 3, (int32_t[]){ 5, 6, 99 });
		assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_MMU_UNMAPPED);
		assert_int_equal(fault_va(f), DATA_VA + 2 * NPU_PAGE_BYTES);
		expect_blame(f, ops[i]);
		*pte = keep & ~(uint64_t)(i ? NPU_PTE_WRITE : NPU_PTE_READ);
		set_indices(f, 3, (int32_t[]){ 12, 8, 99 });
		assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_MMU_PERM);
		assert_int_equal(fault_va(f), DATA_VA + 8 * 1200);
		expect_blame(f, ops[i]);
		*pte = keep;
	}
}

/* All of the table counts, also what no index names. */
static void test_bounds(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_gather d = simple(NPU_OP_GATHER, 2, 4, 4);
	uint64_t regs[30];

	memcpy(regs, simple_regs, sizeof(regs));
	set_indices(f, 2, (int32_t[]){ 0, 0 });
	regs[16] = (1ull << 48) - 32;
	assert_int_equal(run(f, &d, regs), NPU_FAULT_MMU_UNMAPPED);
	assert_int_equal(fault_va(f), regs[16]);
	regs[16] = DATA_VA;
	d.step_bytes[0] = INT32_MIN;
	assert_int_equal(run(f, &d, regs), NPU_FAULT_MMU_UNMAPPED);
	assert_int_equal(fault_va(f), DATA_VA);
	d.step_bytes[0] = 16;
	regs[16] = DATA_VA + 2;
	assert_int_equal(run(f, &d, regs), NPU_FAULT_ALIGN);
	regs[16] = DATA_VA;
	d.index.addr = BYTES - 4;
	assert_int_equal(run(f, &d, regs), NPU_FAULT_SPM_BOUNDS);
	d.index.addr = 0x100;
	d.spm_stride[2] = 0x4000;
	assert_int_equal(run(f, &d, regs), NPU_FAULT_SPM_BOUNDS);
	assert_int_equal(atomic_load(&f->bus->oversize), 0);
}

/* Counts near 2^32 end by the watchdog or by a check, never by exhaustion. */
static void test_endless(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_gather d = simple(NPU_OP_GATHER, UINT32_MAX, 1, 1);

	set_indices(f, 1, (int32_t[]){ 0 });
	d.index_stride[2] = 0;
	d.spm_stride[2] = 0;
	assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_WATCHDOG);
	d.dim[1] = UINT32_MAX;
	assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_OPERAND);
	d = simple(NPU_OP_SCATTER, 1, UINT32_MAX, 1);
	assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_SPM_BOUNDS);
	d = simple(NPU_OP_SCATTER, 1, 1, UINT32_MAX);
	set_indices(f, 1, (int32_t[]){ 5 });
	assert_int_equal(run(f, &d, simple_regs), 0);
}

/* Element types as in LOAD and STORE. */
static void test_cast(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_gather d = simple(NPU_OP_GATHER, 2, 3, 4);
	int64_t *table = (int64_t *)(void *)f->data;
	const int32_t *out = (const int32_t *)(const void *)(f->out + 0x1000);

	d.mem.dtype = NPU_I64;
	d.spm.dtype = NPU_I32;
	d.step_bytes[0] = 24;
	for (unsigned int i = 0; i < 12; i++)
		table[i] = (int64_t)i - 6;
	table[4] = 1ll << 40;
	set_indices(f, 2, (int32_t[]){ 3, 0 });
	assert_int_equal(run(f, &d, simple_regs), 0);
	assert_true(out[0] == 3 && out[2] == 5 && out[3] == -6 && out[5] == -4);
	set_indices(f, 2, (int32_t[]){ 3, 1 });
	assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_CAST);
	expect_blame(f, NPU_OP_GATHER);
	d.hdr.opcode = NPU_OP_SCATTER;
	memcpy(f->spm + 0x1000, (int32_t[]){ 7, -8, 9, 10, 11, 12 }, 24);
	set_indices(f, 2, (int32_t[]){ 1, 2 });
	assert_int_equal(run(f, &d, simple_regs), 0);
	assert_true(table[3] == 7 && table[4] == -8 && table[5] == 9 && table[8] == 12);
	d.mem.dtype = NPU_U8;
	d.step_bytes[0] = 3;
	assert_int_equal(run(f, &d, simple_regs), NPU_FAULT_CAST);
	expect_blame(f, NPU_OP_SCATTER);
}

/* Casts of rows that are longer than the staging buffer. */
static void test_long_rows(void **state)
{
	struct fixture *f = *state;
	struct npu_desc_gather d = simple(NPU_OP_GATHER, 1, 12000, 5);

	for (unsigned int i = 0; i < BYTES; i++)
		f->data[i] = (uint8_t)(i * 7 + i / 256);
	d.mem.dtype = NPU_U8;
	d.spm.dtype = NPU_I32;
	d.step_bytes[0] = 12001;
	set_indices(f, 1, (int32_t[]){ 4 });
	assert_int_equal(run(f, &d, simple_regs), 0);
	for (unsigned int i = 0; i < 12000; i++) {
		int32_t got;

		memcpy(&got, f->out + 0x1000 + 4 * (size_t)i, 4);
		assert_int_equal(got, f->data[4 * 12001 + i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_add_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_add_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cast, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_rows, setup, teardown),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
