/* SPDX-License-Identifier: MIT */
/*
 * Random jobs: legal ones give the same memory, counters and cycles whatever
 * host threads and kernels do; broken ones end with a fault and harm nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_bus.h"
#include "gen_desc.h"

#define CTX		1u
#define DATA_VA		0x10000000ull
#define DATA_BYTES	(128u << 10)
#define CMD_VA		0x20000000ull
#define SPM_BYTES	(64u << 10)
#define ACC_BYTES	(16u << 10)
#define CMD_BYTES	(16u << 10)
#define RAM_BYTES	(1u << 20)

static struct core_cmds cmds;

/**
 * struct machine - a device and its memory
 * @data: bus address of what jobs load and store
 * @jobs: where the allocator puts jobs
 * @pte: page-table entries of the bindings, by level
 */
struct machine {
	struct core_bus *bus;
	uint64_t data;
	uint64_t jobs;
	uint64_t *pte[NPU_PT_LEVELS];
};

static struct machine make_machine(const struct npu_core_config *config)
{
	struct machine m = { .bus = core_bus_create(config, RAM_BYTES) };

	core_bus_context(m.bus, CTX);
	core_bus_queue(m.bus, 0, CTX, 1, 1, 3);
	m.data = core_bus_buffer(m.bus, CTX, DATA_VA, DATA_BYTES);
	core_bus_pte(m.bus, CTX, CMD_VA, 0);
	for (unsigned int level = 0; level < NPU_PT_LEVELS; level++)
		m.pte[level] = core_bus_pte(m.bus, CTX, CMD_VA, level);
	m.jobs = m.bus->next;
	return m;
}

static void fill_data(struct machine *m, uint64_t seed)
{
	uint8_t *data = core_bus_ptr(m->bus, m->data, DATA_BYTES);

	/* Small floats and small integers alike, and now and then infinity or a NaN. */
	for (uint32_t i = 0; i < DATA_BYTES; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		data[i] = i % 4 == 3 ? (uint8_t)(0x3c + (seed >> 61)) : (uint8_t)(seed >> 56);
		if (i % 4 == 3 && (seed >> 40) % 1024 == 0) {
			data[i] = seed >> 63 ? 0x7f : 0xff;
			data[i - 1] |= 0x80;
		}
	}
}

static struct core_job place_job(struct machine *m, const uint64_t *regs)
{
	m->bus->next = m->jobs;
	core_bus_invalidate(m->bus);
	return core_bus_job(m->bus, CTX, CMD_VA, &cmds, regs, NPU_REGS);
}

static void restart(struct machine *m)
{
	core_bus_write(m->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_STOP);
	core_bus_write(m->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	m->bus->tail[0] = 0;
}

static const struct npu_core_config base = {
	.array_rows = 8,
	.array_cols = 8,
	.spm_bytes = SPM_BYTES,
	.acc_bytes = ACC_BYTES,
	.synchronous = true,
	.watchdog_ms = 2,
};

static void init_gen(struct gen *g, uint64_t seed)
{
	gen_init(g, seed);
	g->limits = (struct npu_limits){
		.caps = NPU_CAP_FP32 | NPU_CAP_WGRAD | NPU_CAP_UNPOOL | NPU_CAP_GATHER |
			NPU_CAP_SCATTER_ADD | NPU_CAP_RNG,
		.spm_bytes = SPM_BYTES,
		.acc_bytes = ACC_BYTES,
		.array_rows = 8,
		.array_cols = 8,
	};
	g->defined = true;
	g->mem_lo = DATA_VA;
	g->mem_bytes = DATA_BYTES;
	gen_regs(g);
}

/* A legal stream between a LOAD and a STORE of all of SPM. */
static void make_stream(struct gen *g)
{
	cmds.used = 0;
	core_cmds_copy(&cmds, NPU_OP_LOAD, 31, 0, 0, SPM_BYTES);
	cmds.used += gen_stream(g, cmds.bytes + cmds.used, CMD_BYTES);
	/* In place of its END; its loops have stepped r31. */
	cmds.used -= NPU_LINE_BYTES;
	core_cmds_setr(&cmds, NPU_OP_SETR, 31, (int64_t)DATA_VA);
	core_cmds_copy(&cmds, NPU_OP_STORE, 31, 0, 0, SPM_BYTES);
	core_cmds_end(&cmds);
}

static void expect_same(const uint32_t *a, const uint32_t *b)
{
	for (uint32_t i = 0; i < DATA_BYTES / 4; i++)
		if (a[i] != b[i])
			fail_msg("word %u is 0x%08x and 0x%08x", i, a[i], b[i]);
}

static void test_same_everywhere(void **state)
{
	static const enum npu_core_variant variant[] = {
		NPU_CORE_VARIANT_SCALAR, NPU_CORE_VARIANT_AVX2, NPU_CORE_VARIANT_AVX512,
		NPU_CORE_VARIANT_AUTO, NPU_CORE_VARIANT_AUTO,
	};
	enum { MACHINES = sizeof(variant) / sizeof(variant[0]) };
	struct machine m[MACHINES];
	uint64_t seed = gen_test_seed();
	unsigned int compared = 0;
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < MACHINES; i++) {
		struct npu_core_config config = base;

		config.variant = npu_core_variant_available(variant[i]) ? variant[i] :
							NPU_CORE_VARIANT_SCALAR;
		config.synchronous = i < MACHINES - 1;
		config.threads = 3;
		m[i] = make_machine(&config);
	}
	init_gen(&g, seed);
	for (unsigned int round = 0; round < 60; round++) {
		uint64_t data_seed = gen_u64(&g);
		struct npu_job_done first = { .status = 0 };

		gen_regs(&g);
		g.regs[31] = DATA_VA;
		make_stream(&g);
		for (unsigned int i = 0; i < MACHINES; i++) {
			struct core_job job = place_job(&m[i], g.regs);
			uint32_t status;

			restart(&m[i]);
			fill_data(&m[i], data_seed);
			status = core_bus_run(m[i].bus, 0, &job);
			if (status == NPU_FAULT_WATCHDOG)
				break;
			if (status)
				fail_msg("round %u: %s", round, m[i].bus->fault_text);
			if (!i)
				first = *job.done;
			assert_int_equal(job.done->cycles, first.cycles);
			assert_int_equal(job.done->descriptors, first.descriptors);
			assert_int_equal(job.done->macs, first.macs);
			assert_int_equal(job.done->read_bytes, first.read_bytes);
			assert_int_equal(job.done->write_bytes, first.write_bytes);
			expect_same(core_bus_ptr(m[i].bus, m[i].data, DATA_BYTES),
				    core_bus_ptr(m[0].bus, m[0].data, DATA_BYTES));
			compared++;
		}
	}
	print_message("%u of %u compared\n", compared, 60 * (unsigned int)MACHINES);
	assert_true(compared >= 20 * MACHINES);
	for (unsigned int i = 0; i < MACHINES; i++)
		core_bus_destroy(m[i].bus);
}

/* Bits of commands, registers, slots and tables flip. */
static void damage(struct machine *m, struct gen *g, struct core_job *job)
{
	uint8_t *at;
	uint32_t bytes;

	switch (gen_below(g, 5)) {
	case 0:
		at = (uint8_t *)&job->entry;
		bytes = sizeof(job->entry);
		break;
	case 1:
		at = core_bus_ptr(m->bus, job->cmd_bus - NPU_PAGE_BYTES, NPU_PAGE_BYTES);
		bytes = NPU_REGS * 8;
		break;
	case 2:
		at = (uint8_t *)m->pte[gen_below(g, NPU_PT_LEVELS)];
		bytes = 64;
		break;
	default:
		at = core_bus_ptr(m->bus, job->cmd_bus, cmds.used);
		bytes = (uint32_t)cmds.used;
		break;
	}
	at += gen_below(g, bytes);
	if (gen_below(g, 2))
		*at ^= (uint8_t)(1u << gen_below(g, 8));
	else
		*at = (uint8_t)gen_u64(g);
}

static void test_damaged(void **state)
{
	uint64_t seed = gen_test_seed();
	unsigned int faults = 0;
	struct machine m = make_machine(&base);
	uint8_t *ram = malloc(RAM_BYTES);
	struct gen g;

	(void)state;
	assert_non_null(ram);
	fill_data(&m, seed);
	memcpy(ram, m.bus->ram, RAM_BYTES);
	init_gen(&g, seed);
	for (unsigned int round = 0; round < 3000; round++) {
		struct core_job job;

		/* Tables were damaged, and the job may have written anywhere. */
		memcpy(m.bus->ram, ram, RAM_BYTES);
		if (round % 10 == 0) {
			g.defined = gen_below(&g, 2);
			gen_regs(&g);
			make_stream(&g);
		}
		g.regs[31] = DATA_VA;
		job = place_job(&m, g.regs);
		for (unsigned int i = 0; i < 3; i++)
			damage(&m, &g, &job);
		restart(&m);
		core_bus_push(m.bus, 0, &job.entry);
		core_bus_doorbell(m.bus, 0);
		core_bus_wait(m.bus, 0, NPU_QUEUE_STATE_IDLE);
		faults += core_bus_state(m.bus, 0) == NPU_QUEUE_STATE_FAULTED;
		assert_true(core_bus_state(m.bus, 0) != NPU_QUEUE_STATE_RUNNABLE);
		assert_int_equal(atomic_load(&m.bus->oversize), 0);
	}
	core_bus_destroy(m.bus);
	free(ram);
	print_message("%u of 3000 faulted\n", faults);
	assert_true(faults > 300);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_everywhere),
		cmocka_unit_test(test_damaged),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
