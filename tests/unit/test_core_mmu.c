/* SPDX-License-Identifier: MIT */
/* Address translation: walks, rights, faults, TLB and invalidation (HW 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core_bus.h"

#define CTX		1u
#define VA		0x123456789000ull	/* every index of its walk differs */
#define CMD_VA		0x20000000ull
#define SPM_BYTES	(256u << 10)
#define RW		(NPU_PTE_READ | NPU_PTE_WRITE)

static struct core_cmds cmds;
static const struct npu_core_config config = {
	.spm_bytes = SPM_BYTES,
	.acc_bytes = 16u << 10,
	.synchronous = true,
};

/* One queue that is enabled anew for each job, so that faults do not stay. */
static struct core_bus *make_bus(size_t ram_bytes)
{
	struct core_bus *bus = core_bus_create(&config, ram_bytes);

	core_bus_context(bus, CTX);
	core_bus_queue(bus, 0, CTX, 1, 1, 3);
	cmds.used = 0;
	return bus;
}

static uint64_t qread64(struct core_bus *bus, uint64_t reg)
{
	return core_bus_read64(bus, core_bus_queue_reg(0, reg));
}

static uint32_t rerun(struct core_bus *bus, const struct core_job *job)
{
	core_bus_write(bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), 0);
	core_bus_write(bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	bus->tail[0] = 0;
	return core_bus_run(bus, 0, job);
}

/* A job that copies @bytes between r0 and SPM. */
static struct core_job copy_job(struct core_bus *bus, unsigned int opcode, uint64_t va,
				uint32_t bytes)
{
	static uint64_t cmd_va = CMD_VA;

	cmd_va += 1u << 20;
	cmds.used = 0;
	core_cmds_copy(&cmds, opcode, 0, 0, 0, bytes);
	core_cmds_end(&cmds);
	return core_bus_job(bus, CTX, cmd_va, &cmds, &va, 1);
}

static void expect_fault(struct core_bus *bus, const struct core_job *job,
			 enum npu_fault_code code, uint64_t va, bool write)
{
	uint32_t info;

	core_bus_invalidate(bus);
	assert_int_equal(rerun(bus, job), code);
	info = core_bus_read(bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_INFO));
	assert_int_equal(info & NPU_FAULT_INFO_CODE_MASK, code);
	assert_int_equal(!!(info & NPU_FAULT_INFO_WRITE), write);
	assert_int_equal(info >> NPU_FAULT_INFO_CTX_SHIFT, CTX);
	assert_int_equal(qread64(bus, NPU_QUEUE_FAULT_VA), va);
	assert_int_equal(qread64(bus, NPU_QUEUE_FAULT_DESC_VA),
			 code == NPU_FAULT_CONTEXT ? 0 : job->entry.cmd_va);
}

static void test_walk_every_level(void **state)
{
	struct core_bus *bus = make_bus(4u << 20);
	uint64_t data = core_bus_buffer(bus, CTX, VA, 8192);
	struct core_job load = copy_job(bus, NPU_OP_LOAD, VA + 4, 64);
	struct core_job store = copy_job(bus, NPU_OP_STORE, VA + 4, 64);

	(void)state;
	(void)data;
	for (unsigned int level = 0; level < NPU_PT_LEVELS; level++) {
		uint64_t *pte = core_bus_pte(bus, CTX, VA, level);
		uint64_t good = *pte;

		assert_int_equal(rerun(bus, &load), 0);
		*pte = 0;
		expect_fault(bus, &load, NPU_FAULT_MMU_UNMAPPED, VA + 4, false);
		/* Without VALID all other bits are ignored. */
		*pte = ~NPU_PTE_VALID;
		expect_fault(bus, &store, NPU_FAULT_MMU_UNMAPPED, VA + 4, true);
		for (unsigned int bit = 52; bit < 64; bit++) {
			*pte = good | 1ull << bit;
			expect_fault(bus, &load, NPU_FAULT_MMU_PTE, VA + 4, false);
		}
		for (unsigned int bit = 4; bit < 12; bit++) {
			*pte = good | 1ull << bit;
			expect_fault(bus, &store, NPU_FAULT_MMU_PTE, VA + 4, true);
		}
		if (level > 0) {
			*pte = good | NPU_PTE_READ;
			expect_fault(bus, &load, NPU_FAULT_MMU_PTE, VA + 4, false);
			*pte = good | NPU_PTE_WRITE;
			expect_fault(bus, &load, NPU_FAULT_MMU_PTE, VA + 4, false);
		}
		/* A leaf where none may be, or none where one must be. */
		if (level != 1) {
			*pte = good ^ NPU_PTE_LEAF;
			expect_fault(bus, &load, NPU_FAULT_MMU_PTE, VA + 4, false);
		}
		if (level > 0) {
			/* The table itself is not RAM. */
			*pte = NPU_PTE_VALID | 0x7000;
			expect_fault(bus, &load, NPU_FAULT_BUS, VA + 4, false);
		} else {
			*pte = NPU_PTE_VALID | NPU_PTE_LEAF | RW | 0x7000;
			expect_fault(bus, &load, NPU_FAULT_BUS, VA + 4, false);
			expect_fault(bus, &store, NPU_FAULT_BUS, VA + 4, true);
		}
		*pte = good;
		core_bus_invalidate(bus);
	}
	assert_int_equal(rerun(bus, &store), 0);
	core_bus_destroy(bus);
}

static void test_rights(void **state)
{
	struct core_bus *bus = make_bus(4u << 20);
	struct core_job load = copy_job(bus, NPU_OP_LOAD, VA, 64);
	struct core_job store = copy_job(bus, NPU_OP_STORE, VA, 64);
	uint64_t *pte;
	uint64_t base;

	(void)state;
	base = core_bus_buffer(bus, CTX, VA, 4096) | NPU_PTE_VALID | NPU_PTE_LEAF;
	pte = core_bus_pte(bus, CTX, VA, 0);
	*pte = base | NPU_PTE_READ;
	assert_int_equal(rerun(bus, &load), 0);
	expect_fault(bus, &store, NPU_FAULT_MMU_PERM, VA, true);
	*pte = base | NPU_PTE_WRITE;
	core_bus_invalidate(bus);
	assert_int_equal(rerun(bus, &store), 0);
	expect_fault(bus, &load, NPU_FAULT_MMU_PERM, VA, false);
	*pte = base;
	expect_fault(bus, &load, NPU_FAULT_MMU_PERM, VA, false);
	expect_fault(bus, &store, NPU_FAULT_MMU_PERM, VA, true);
	/* Commands need READ. */
	pte = core_bus_pte(bus, CTX, load.entry.cmd_va, 0);
	*pte = (*pte & ~NPU_PTE_READ) | NPU_PTE_WRITE;
	expect_fault(bus, &load, NPU_FAULT_MMU_PERM, load.entry.cmd_va, false);
	core_bus_destroy(bus);
}

static void test_context_entries(void **state)
{
	struct core_bus *bus = make_bus(4u << 20);
	struct core_job load = copy_job(bus, NPU_OP_LOAD, VA, 64);
	uint64_t *entry = core_bus_ptr(bus, bus->ctx_table + CTX * 16, 16);
	uint64_t good = entry[0];

	(void)state;
	core_bus_buffer(bus, CTX, VA, 4096);
	assert_int_equal(rerun(bus, &load), 0);
	entry[0] = good & ~NPU_CTX_VALID;
	expect_fault(bus, &load, NPU_FAULT_CONTEXT, 0, false);
	for (unsigned int bit = 1; bit < 64; bit++) {
		if (NPU_CTX_ROOT_MASK >> bit & 1)
			continue;
		entry[0] = good | 1ull << bit;
		expect_fault(bus, &load, NPU_FAULT_CONTEXT, 0, false);
	}
	entry[0] = good;
	entry[1] = 1;
	expect_fault(bus, &load, NPU_FAULT_CONTEXT, 0, false);
	entry[1] = 0;
	core_bus_invalidate(bus);
	assert_int_equal(rerun(bus, &load), 0);
	core_bus_destroy(bus);
}

/* The first byte that cannot be accessed, wherever the transfer began. */
static void test_precise_address(void **state)
{
	struct core_bus *bus = make_bus(4u << 20);
	static const uint32_t starts[] = { 0, 4, 2048, 4092, 8188 };

	(void)state;
	core_bus_buffer(bus, CTX, VA, 5 * 4096);
	*core_bus_pte(bus, CTX, VA + 3 * 4096, 0) = 0;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct core_job load = copy_job(bus, NPU_OP_LOAD, VA + starts[i], 16384);
		struct core_job store = copy_job(bus, NPU_OP_STORE, VA + starts[i], 16384);

		expect_fault(bus, &load, NPU_FAULT_MMU_UNMAPPED, VA + 3 * 4096, false);
		expect_fault(bus, &store, NPU_FAULT_MMU_UNMAPPED, VA + 3 * 4096, true);
	}
	core_bus_destroy(bus);
}

/* The bus refuses from some byte on, inside a page and inside a chunk. */
static void test_precise_bus_fault(void **state)
{
	struct core_bus *bus = make_bus(4u << 20);
	uint64_t data = core_bus_buffer(bus, CTX, VA, 64u << 10);
	struct core_job load = copy_job(bus, NPU_OP_LOAD, VA, 64u << 10);
	struct core_job store = copy_job(bus, NPU_OP_STORE, VA, 64u << 10);
	static const uint32_t at[] = { 0, 1, 4095, 4096, 20001, 65535 };

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		bus->holes = 0;
		core_bus_hole(bus, data + at[i], 1);
		expect_fault(bus, &load, NPU_FAULT_BUS, VA + at[i], false);
		expect_fault(bus, &store, NPU_FAULT_BUS, VA + at[i], true);
	}
	core_bus_destroy(bus);
}

static void test_address_range(void **state)
{
	struct core_bus *bus = make_bus(4u << 20);
	const uint64_t top = 1ull << 48;
	const uint64_t far[] = { top, top + 64, 1ull << 63, UINT64_MAX - 63, UINT64_MAX - 3 };

	(void)state;
	core_bus_buffer(bus, CTX, top - 4096, 4096);
	core_bus_buffer(bus, CTX, 0, 4096);
	struct core_job job = copy_job(bus, NPU_OP_STORE, top - 4096, 4096);

	assert_int_equal(rerun(bus, &job), 0);
	job = copy_job(bus, NPU_OP_STORE, top - 4, 8);
	expect_fault(bus, &job, NPU_FAULT_MMU_UNMAPPED, top, true);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		job = copy_job(bus, NPU_OP_LOAD, far[i], 64);
		expect_fault(bus, &job, NPU_FAULT_MMU_UNMAPPED, far[i], false);
	}
	/* Address 0 is an address like any other. */
	job = copy_job(bus, NPU_OP_STORE, 0, 64);
	assert_int_equal(rerun(bus, &job), 0);
	core_bus_destroy(bus);
}

static void test_large_pages(void **state)
{
	struct core_bus *bus = make_bus(16u << 20);
	const uint64_t va = 0x40000000ull;
	uint64_t data = core_bus_alloc(bus, 4u << 20, 2u << 20);
	uint32_t *words = core_bus_ptr(bus, data, 4u << 20);
	struct core_job load = copy_job(bus, NPU_OP_LOAD, va + (2u << 20) - 4096, 8192);
	uint64_t *pte;
	uint64_t dst;

	(void)state;
	/* Second page first, so that the boundary is a real one. */
	core_bus_map_large(bus, CTX, va, data + (2u << 20), 2u << 20, RW);
	core_bus_map_large(bus, CTX, va + (2u << 20), data, 2u << 20, RW);
	dst = core_bus_buffer(bus, CTX, VA, 8192);
	for (uint32_t i = 0; i < 1u << 20; i++)
		words[i] = i * 2654435761u;
	assert_int_equal(rerun(bus, &load), 0);
	struct core_job store = copy_job(bus, NPU_OP_STORE, VA, 8192);

	assert_int_equal(rerun(bus, &store), 0);
	assert_memory_equal(core_bus_ptr(bus, dst, 4096), words + (1u << 20) - 1024, 4096);
	assert_memory_equal(core_bus_ptr(bus, dst + 4096, 4096), words, 4096);
	pte = core_bus_pte(bus, CTX, va + (2u << 20), 1);
	*pte |= 4096;
	expect_fault(bus, &load, NPU_FAULT_MMU_PTE, va + (2u << 20), false);
	*pte = (*pte & ~4096ull) | 1u << 20;
	expect_fault(bus, &load, NPU_FAULT_MMU_PTE, va + (2u << 20), false);
	*pte = (data | NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_WRITE);
	expect_fault(bus, &load, NPU_FAULT_MMU_PERM, va + (2u << 20), false);
	core_bus_destroy(bus);
}

/* A changed entry is used after the acknowledgement at the latest. */
static void test_invalidation(void **state)
{
	struct core_bus *bus = make_bus(8u << 20);
	uint64_t first = core_bus_buffer(bus, CTX, VA, 4096);
	uint64_t second = core_bus_alloc(bus, 4096, 4096);
	struct core_job load = copy_job(bus, NPU_OP_LOAD, VA, 4);
	struct core_job store = copy_job(bus, NPU_OP_STORE, VA + 64, 4);
	uint64_t *pte = core_bus_pte(bus, CTX, VA, 0);
	unsigned int reads;

	(void)state;
	*(uint32_t *)core_bus_ptr(bus, first, 4) = 1;
	*(uint32_t *)core_bus_ptr(bus, second, 4) = 2;
	assert_int_equal(rerun(bus, &load), 0);
	/* A warm TLB reads no tables: slot, context entry, binding, commands, data. */
	reads = atomic_load(&bus->reads);
	assert_int_equal(rerun(bus, &load), 0);
	assert_int_equal(atomic_load(&bus->reads) - reads, 5);
	*pte = second | NPU_PTE_VALID | NPU_PTE_LEAF | RW;
	core_bus_invalidate(bus);
	assert_int_equal(rerun(bus, &load), 0);
	assert_int_equal(rerun(bus, &store), 0);
	assert_int_equal(*(uint32_t *)core_bus_ptr(bus, second + 64, 4), 2);
	assert_int_equal(*(uint32_t *)core_bus_ptr(bus, first + 64, 4), 0);
	*pte = 0;
	expect_fault(bus, &load, NPU_FAULT_MMU_UNMAPPED, VA, false);
	/* What was not valid is not remembered: no invalidation needed. */
	*pte = first | NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_READ;
	assert_int_equal(rerun(bus, &load), 0);
	assert_int_equal(rerun(bus, &store), NPU_FAULT_MMU_PERM);
	*pte |= NPU_PTE_WRITE;
	assert_int_equal(rerun(bus, &store), 0);
	core_bus_destroy(bus);
}

/* A table that is given an entry beside a cached one, and a table that moves. */
static void test_upper_levels(void **state)
{
	struct core_bus *bus = make_bus(8u << 20);
	struct core_job near = copy_job(bus, NPU_OP_LOAD, VA, 4);
	struct core_job far = copy_job(bus, NPU_OP_LOAD, VA + (1ull << 30), 4);
	uint64_t old_root = bus->root[CTX];
	uint64_t *entry = core_bus_ptr(bus, bus->ctx_table + CTX * 16, 16);

	(void)state;
	core_bus_buffer(bus, CTX, VA, 4096);
	assert_int_equal(rerun(bus, &near), 0);
	expect_fault(bus, &far, NPU_FAULT_MMU_UNMAPPED, VA + (1ull << 30), false);
	core_bus_buffer(bus, CTX, VA + (1ull << 30), 4096);
	assert_int_equal(rerun(bus, &far), 0);
	/* The context gets another root. */
	bus->root[CTX] = core_bus_alloc(bus, 4096, 4096);
	memcpy(core_bus_ptr(bus, bus->root[CTX], 4096), core_bus_ptr(bus, old_root, 4096), 4096);
	*core_bus_pte(bus, CTX, VA, 3) = 0;
	entry[0] = bus->root[CTX] | NPU_CTX_VALID;
	expect_fault(bus, &near, NPU_FAULT_MMU_UNMAPPED, VA, false);
	core_bus_destroy(bus);
}

/* Two contexts, same addresses, more pages than the TLB has entries: no flush helps. */
static void test_random_mappings(void **state)
{
	enum { PAGES = 1500, ROUNDS = 6000 };
	unsigned int seed = (unsigned int)time(NULL);
	struct core_bus *bus = make_bus(64u << 20);
	static uint64_t page_va[PAGES];
	static uint64_t page_bus[2][PAGES];
	struct core_job job[2];
	const uint64_t none[2] = { 0, 0 };

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	core_bus_context(bus, 2);
	core_bus_queue(bus, 1, 2, 1, 1, 3);
	cmds.used = 0;
	core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0, 4096);
	core_cmds_copy(&cmds, NPU_OP_STORE, 1, 0, 0, 4096);
	core_cmds_end(&cmds);
	for (unsigned int i = 0; i < PAGES; i++)
		page_va[i] = VA + ((uint64_t)rand() % 100000 * PAGES + i) * 4096;
	for (unsigned int c = 0; c < 2; c++) {
		for (unsigned int i = 0; i < PAGES; i++) {
			page_bus[c][i] = core_bus_buffer(bus, c + 1, page_va[i], 4096);
			memset(core_bus_ptr(bus, page_bus[c][i], 4096), rand(), 4096);
		}
		job[c] = core_bus_job(bus, c + 1, CMD_VA, &cmds, none, 2);
	}
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int c = (unsigned int)rand() % 2;
		unsigned int from = (unsigned int)rand() % PAGES;
		unsigned int to = (unsigned int)rand() % PAGES;
		uint64_t *regs = core_bus_ptr(bus, job[c].cmd_bus - NPU_PAGE_BYTES, 16);
		uint8_t *target = core_bus_ptr(bus, page_bus[c][to], 4096);
		int byte = rand();

		memset(core_bus_ptr(bus, page_bus[c][from], 4096), byte, 4096);
		regs[0] = page_va[from];
		regs[1] = page_va[to];
		assert_int_equal(core_bus_run(bus, c, &job[c]), 0);
		for (unsigned int i = 0; i < 4096; i++)
			assert_int_equal(target[i], (uint8_t)byte);
	}
	core_bus_destroy(bus);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk_every_level),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_context_entries),
		cmocka_unit_test(test_precise_address),
		cmocka_unit_test(test_precise_bus_fault),
		cmocka_unit_test(test_address_range),
		cmocka_unit_test(test_large_pages),
		cmocka_unit_test(test_invalidation),
		cmocka_unit_test(test_upper_levels),
		cmocka_unit_test(test_random_mappings),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
