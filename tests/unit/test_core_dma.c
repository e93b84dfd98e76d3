/* SPDX-License-Identifier: MIT */
/* LOAD, STORE and FILL against loops over single elements (HW 8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_bus.h"

#define DATA_VA		0x10000000ull
#define CMD_VA		0x20000000ull

static struct core_cmds cmds;

static struct core_bus *make_bus(void)
{
	static const struct npu_core_config config = {
		.spm_bytes = 128u << 10,
		.acc_bytes = 16u << 10,
		.synchronous = true,
	};
	struct core_bus *bus = core_bus_create(&config, 16u << 20);

	core_bus_context(bus, 1);
	core_bus_queue(bus, 0, 1, 1, 1, 4);
	cmds.used = 0;
	return bus;
}

/* Data through SPM and back, more than one chunk. */
static void test_load_store(void **state)
{
	const uint32_t bytes = 100u << 10;
	struct core_bus *bus = make_bus();
	uint64_t src = core_bus_buffer(bus, 1, DATA_VA, bytes);
	uint64_t dst = core_bus_buffer(bus, 1, DATA_VA + (1u << 20), bytes);
	const uint64_t regs[2] = { DATA_VA, DATA_VA + (1u << 20) };
	uint8_t *from = core_bus_ptr(bus, src, bytes);
	struct core_job job;

	(void)state;
	for (uint32_t i = 0; i < bytes; i++)
		from[i] = (uint8_t)(i * 7 + i / 251);
	core_cmds_signal(core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 512, bytes), 0, 3, 1);
	core_cmds_wait(core_cmds_copy(&cmds, NPU_OP_STORE, 1, 0, 512, bytes), 0, 3, 1);
	core_cmds_end(&cmds);
	job = core_bus_job(bus, 1, CMD_VA, &cmds, regs, 2);
	assert_int_equal(core_bus_run(bus, 0, &job), NPU_FAULT_NONE);
	assert_memory_equal(from, core_bus_ptr(bus, dst, bytes), bytes);
	assert_int_equal(job.done->descriptors, 3);
	assert_int_equal(job.done->read_bytes, bytes);
	assert_int_equal(job.done->write_bytes, bytes);
	assert_int_equal(atomic_load(&bus->oversize), 0);
	core_bus_destroy(bus);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load_store),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
