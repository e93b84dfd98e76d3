/* SPDX-License-Identifier: MIT */
/* The register map: reset values, access rules, interrupts (HW 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_bus.h"

#define QUEUE_ERROR_TAIL	9u

static const struct npu_core_config small = {
	.array_rows = 8,
	.array_cols = 12,
	.spm_bytes = 128u << 10,
	.acc_bytes = 16u << 10,
	.clock_khz = 250000,
	.dma_bytes_per_kcycle = 7000,
	.dma_latency_cycles = 300,
	.dma_bursts = 17,
	.ve_bytes_per_cycle = 32,
	.synchronous = true,
};

/* Every register of the device block, as in the table of HW 2.3. */
static const struct {
	uint32_t offset;
	unsigned int bytes;
	bool readable;
	uint64_t reset;
} device_regs[] = {
	{ NPU_REG_ID, 4, true, 0x3055504e },
	{ NPU_REG_VERSION, 4, true, 4 },
	{ NPU_REG_CAPS, 8, true, NPU_CAP_FP32 | NPU_CAP_CAST | NPU_CAP_WGRAD | NPU_CAP_UNPOOL |
				 NPU_CAP_GATHER | NPU_CAP_SCATTER_ADD | NPU_CAP_RNG |
				 NPU_CAP_TRAP },
	{ NPU_REG_ARRAY, 4, true, 12 << 16 | 8 },
	{ NPU_REG_SPM_BYTES, 4, true, 128u << 10 },
	{ NPU_REG_ACC_BYTES, 4, true, 16u << 10 },
	{ NPU_REG_LIMITS, 4, true, 0x00114040 },
	{ NPU_REG_CLOCK_KHZ, 4, true, 250000 },
	{ NPU_REG_DMA_BW, 4, true, 7000 },
	{ NPU_REG_DMA_LATENCY, 4, true, 17u << 16 | 300 },
	{ NPU_REG_VE_BW, 4, true, 32 },
	{ NPU_REG_CONTROL, 4, true, 0 },
	{ NPU_REG_STATUS, 4, true, 1 },
	{ NPU_REG_CTX_TABLE, 8, true, 0 },
	{ NPU_REG_TLB_INV_VA, 8, true, 0 },
	{ NPU_REG_TLB_INV_PAGES, 4, true, 0 },
	{ NPU_REG_TLB_INV, 4, false, 0 },
	{ NPU_REG_TLB_INV_SEQ, 4, true, 0 },
	{ NPU_REG_TLB_ACK_SEQ, 4, true, 0 },
	{ NPU_REG_IRQ_STATUS, 4, true, 0 },
	{ NPU_REG_IRQ_ENABLE, 4, true, 0 },
	{ NPU_REG_DONE_QUEUES, 8, true, 0 },
	{ NPU_REG_FAULT_QUEUES, 8, true, 0 },
	{ NPU_REG_COUNT_JOBS, 8, true, 0 },
	{ NPU_REG_COUNT_DESCRIPTORS, 8, true, 0 },
	{ NPU_REG_COUNT_MACS, 8, true, 0 },
	{ NPU_REG_COUNT_READ_BYTES, 8, true, 0 },
	{ NPU_REG_COUNT_WRITE_BYTES, 8, true, 0 },
	{ NPU_REG_COUNT_CYCLES, 8, true, 0 },
	{ NPU_REG_COUNT_FAULTS, 8, true, 0 },
	{ NPU_REG_TIME_NS, 8, true, 0 },
};

static const struct {
	uint32_t offset;
	unsigned int bytes;
} queue_regs[] = {
	{ NPU_QUEUE_CTRL, 4 },		{ NPU_QUEUE_CONFIG, 4 },
	{ NPU_QUEUE_RING, 8 },		{ NPU_QUEUE_RING_LOG2, 4 },
	{ NPU_QUEUE_HEAD, 4 },		{ NPU_QUEUE_TAIL, 4 },
	{ NPU_QUEUE_STATE, 4 },		{ NPU_QUEUE_RUN_NS, 8 },
	{ NPU_QUEUE_PROGRESS, 8 },	{ NPU_QUEUE_CYCLES, 8 },
	{ NPU_QUEUE_FAULT_INFO, 4 },	{ NPU_QUEUE_FAULT_TAG, 4 },
	{ NPU_QUEUE_FAULT_VA, 8 },	{ NPU_QUEUE_FAULT_DESC_VA, 8 },
	{ NPU_QUEUE_FAULT_SEQNO, 8 },	{ NPU_QUEUE_FAULT_CYCLE, 8 },
	{ NPU_QUEUE_FAULT_AUX, 4 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int setup(void **state)
{
	*state = core_bus_create(&small, 1u << 20);
	npu_core_reset(((struct core_bus *)*state)->core);
	return 0;
}

static int teardown(void **state)
{
	core_bus_destroy(*state);
	return 0;
}

static void assert_reset_values(struct core_bus *bus, uint32_t irq_status)
{
	for (size_t i = 0; i < COUNT(device_regs); i++) {
		uint64_t expect = device_regs[i].reset;
		uint64_t value;

		if (!device_regs[i].readable || device_regs[i].offset == NPU_REG_TIME_NS)
			continue;
		if (device_regs[i].offset == NPU_REG_IRQ_STATUS)
			expect = irq_status;
		value = npu_core_mmio_read(bus->core, device_regs[i].offset, device_regs[i].bytes);
		if (value != expect)
			fail_msg("register 0x%03x is 0x%llx, not 0x%llx", device_regs[i].offset,
				 (unsigned long long)value, (unsigned long long)expect);
	}
	for (uint32_t q = 0; q < NPU_QUEUES; q++)
		for (size_t i = 0; i < COUNT(queue_regs); i++)
			assert_int_equal(npu_core_mmio_read(bus->core,
							    core_bus_queue_reg(q, queue_regs[i].offset),
							    queue_regs[i].bytes), 0);
	assert_int_equal(bus->errors, 0);
}

static void test_reset_values(void **state)
{
	struct core_bus *bus = *state;
	uint64_t time;

	assert_reset_values(bus, 0);
	time = core_bus_read64(bus, NPU_REG_TIME_NS);
	assert_true(core_bus_read64(bus, NPU_REG_TIME_NS) > time);
}

static void test_reset_restores(void **state)
{
	struct core_bus *bus = *state;

	for (int by_register = 0; by_register < 2; by_register++) {
		for (uint32_t q = 0; q < NPU_QUEUES; q++)
			core_bus_queue(bus, q, 3, q % 4, 2, 3);
		core_bus_write64(bus, NPU_REG_CTX_TABLE, bus->ctx_table);
		core_bus_write(bus, NPU_REG_TLB_INV_PAGES, 9);
		core_bus_write64(bus, NPU_REG_TLB_INV_VA, 0x5000);
		core_bus_invalidate(bus);
		if (by_register)
			core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RESET | NPU_CONTROL_RUN);
		else
			npu_core_reset(bus->core);
		assert_reset_values(bus, by_register ? NPU_IRQ_RESET_DONE : 0);
	}
}

static bool is_register(uint64_t offset, bool *readable)
{
	*readable = true;
	if (offset < NPU_QUEUE_BASE) {
		for (size_t i = 0; i < COUNT(device_regs); i++)
			if (offset >= device_regs[i].offset &&
			    offset < device_regs[i].offset + device_regs[i].bytes) {
				*readable = device_regs[i].readable;
				return true;
			}
		return false;
	}
	if (offset < NPU_DOORBELL_BASE) {
		uint64_t rest = offset - NPU_QUEUE_BASE;

		for (size_t i = 0; i < COUNT(queue_regs); i++)
			if (rest / NPU_QUEUE_STRIDE < NPU_QUEUES &&
			    rest % NPU_QUEUE_STRIDE >= queue_regs[i].offset &&
			    rest % NPU_QUEUE_STRIDE < queue_regs[i].offset + queue_regs[i].bytes)
				return true;
		return false;
	}
	*readable = false;
	return offset % NPU_DOORBELL_PAGE_BYTES == NPU_DOORBELL_TAIL &&
	       (offset - NPU_DOORBELL_BASE) / NPU_DOORBELL_PAGE_BYTES < NPU_QUEUES;
}

/* Each word of the BAR: a register or a logged error, never anything else. */
static void test_every_offset(void **state)
{
	struct core_bus *bus = *state;

	for (uint64_t offset = 0; offset < NPU_BAR_REGS_BYTES + 64; offset += 4) {
		unsigned int before = bus->errors;
		bool readable;
		bool exists = is_register(offset, &readable);
		uint64_t value = npu_core_mmio_read(bus->core, offset, 4);

		assert_int_equal(bus->errors, before + !(exists && readable));
		if (!exists) {
			assert_int_equal(value, 0);
			npu_core_mmio_write(bus->core, offset, 0xffffffff, 4);
			assert_int_equal(bus->errors, before + 2);
		}
	}
	bus->errors = 0;
	assert_reset_values(bus, 0);
}

static void test_bad_sizes(void **state)
{
	struct core_bus *bus = *state;
	static const struct { uint64_t offset; unsigned int bytes; } bad[] = {
		{ NPU_REG_ID, 1 }, { NPU_REG_ID, 2 }, { NPU_REG_ID, 8 }, { NPU_REG_ID + 1, 4 },
		{ NPU_REG_ID + 2, 4 }, { NPU_REG_CAPS + 4, 8 }, { NPU_REG_ARRAY, 8 },
		{ NPU_REG_CAPS, 0 }, { NPU_REG_CAPS, 3 }, { NPU_REG_CAPS, 16 },
		{ NPU_REG_IRQ_STATUS, 8 }, { NPU_DOORBELL_BASE, 8 }, { UINT64_MAX - 7, 8 },
		{ UINT64_MAX - 3, 4 }, { NPU_QUEUE_BASE + NPU_QUEUE_HEAD - 4, 8 },
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		bus->errors = 0;
		assert_int_equal(npu_core_mmio_read(bus->core, bad[i].offset, bad[i].bytes), 0);
		assert_int_equal(bus->errors, 1);
		npu_core_mmio_write(bus->core, bad[i].offset, UINT64_MAX, bad[i].bytes);
		assert_int_equal(bus->errors, 2);
	}
	bus->errors = 0;
	assert_reset_values(bus, 0);
}

static void test_halves(void **state)
{
	struct core_bus *bus = *state;
	uint64_t ring = core_bus_queue_reg(5, NPU_QUEUE_RING);

	core_bus_write(bus, NPU_REG_CTX_TABLE, 0x89abcdef);
	assert_int_equal(core_bus_read64(bus, NPU_REG_CTX_TABLE), 0x89abc000);
	core_bus_write(bus, NPU_REG_CTX_TABLE + 4, 0xffffffff);
	assert_int_equal(core_bus_read64(bus, NPU_REG_CTX_TABLE), 0x000fffff89abc000);
	assert_int_equal(core_bus_read(bus, NPU_REG_CTX_TABLE), 0x89abc000);
	assert_int_equal(core_bus_read(bus, NPU_REG_CTX_TABLE + 4), 0x000fffff);
	core_bus_write64(bus, ring, 0x123456789abcdef0);
	assert_int_equal(core_bus_read64(bus, ring), 0x000456789abcd000);
	core_bus_write(bus, ring, 0);
	assert_int_equal(core_bus_read64(bus, ring), 0x0004567800000000);
	assert_int_equal(bus->errors, 0);
}

static void test_reserved_bits(void **state)
{
	struct core_bus *bus = *state;

	core_bus_write(bus, NPU_REG_CONTROL, 0xfffffffe);
	assert_int_equal(core_bus_read(bus, NPU_REG_CONTROL), NPU_CONTROL_RUN);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, 0xffffffff);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_ENABLE), NPU_IRQ_MASK);
	core_bus_write(bus, core_bus_queue_reg(1, NPU_QUEUE_CONFIG), 0xffffffff);
	assert_int_equal(core_bus_read(bus, core_bus_queue_reg(1, NPU_QUEUE_CONFIG)),
			 NPU_QUEUE_CONFIG_MASK);
	assert_int_equal(bus->errors, 0);
}

static void test_read_only(void **state)
{
	struct core_bus *bus = *state;

	core_bus_write(bus, NPU_REG_ID, 1);
	core_bus_write(bus, NPU_REG_STATUS, 0);
	core_bus_write64(bus, NPU_REG_COUNT_JOBS, 77);
	core_bus_write(bus, core_bus_queue_reg(1, NPU_QUEUE_HEAD), 5);
	assert_reset_values(bus, 0);
}

static void expect_error(struct core_bus *bus)
{
	assert_int_equal(bus->errors, 1);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_ERROR);
	bus->errors = 0;
	core_bus_write(bus, NPU_REG_IRQ_STATUS, NPU_IRQ_ERROR);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), 0);
}

static void test_enable_needs_valid_config(void **state)
{
	struct core_bus *bus = *state;
	static const struct { uint32_t config; uint32_t log2; bool good; } tries[] = {
		{ 0, 0, false }, { 0, 1, true }, { 0, 12, true }, { 0, 13, false },
		{ 0, 0xffffffff, false }, { 0, 0x101, false }, { 63, 4, true }, { 64, 4, false },
		{ 255, 4, false }, { 16u << 16, 4, true }, { 17u << 16, 4, false },
		{ 31u << 16, 4, false }, { 3u << 8, 4, true },
	};

	for (size_t i = 0; i < COUNT(tries); i++) {
		core_bus_write(bus, core_bus_queue_reg(7, NPU_QUEUE_CONFIG), tries[i].config);
		core_bus_write(bus, core_bus_queue_reg(7, NPU_QUEUE_RING_LOG2), tries[i].log2);
		core_bus_write(bus, core_bus_queue_reg(7, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
		assert_int_equal(core_bus_state(bus, 7), tries[i].good ? NPU_QUEUE_STATE_IDLE :
									 NPU_QUEUE_STATE_DISABLED);
		assert_int_equal(core_bus_read(bus, core_bus_queue_reg(7, NPU_QUEUE_CTRL)),
				 tries[i].good);
		if (!tries[i].good)
			expect_error(bus);
		core_bus_write(bus, core_bus_queue_reg(7, NPU_QUEUE_CTRL), 0);
		assert_int_equal(core_bus_state(bus, 7), NPU_QUEUE_STATE_DISABLED);
	}
	assert_int_equal(bus->errors, 0);
}

static void test_config_only_while_disabled(void **state)
{
	struct core_bus *bus = *state;
	static const uint32_t regs[] = { NPU_QUEUE_CONFIG, NPU_QUEUE_RING, NPU_QUEUE_RING + 4,
					 NPU_QUEUE_RING_LOG2 };

	core_bus_queue(bus, 2, 1, 0, 1, 3);
	for (size_t i = 0; i < COUNT(regs); i++) {
		uint32_t before = core_bus_read(bus, core_bus_queue_reg(2, regs[i]));

		core_bus_write(bus, core_bus_queue_reg(2, regs[i]), 0x1000);
		assert_int_equal(core_bus_read(bus, core_bus_queue_reg(2, regs[i])), before);
		expect_error(bus);
	}
}

static void test_doorbell_misuse(void **state)
{
	struct core_bus *bus = *state;
	uint64_t doorbell = NPU_DOORBELL_BASE + 4 * NPU_DOORBELL_PAGE_BYTES;

	core_bus_write(bus, doorbell, 1);
	expect_error(bus);
	core_bus_queue(bus, 4, 1, 0, 1, 3);
	core_bus_write(bus, NPU_REG_CONTROL, 0);
	core_bus_write(bus, doorbell, QUEUE_ERROR_TAIL);
	expect_error(bus);
	core_bus_write(bus, doorbell, 0xffffffff);
	expect_error(bus);
	assert_int_equal(core_bus_state(bus, 4), NPU_QUEUE_STATE_IDLE);
	core_bus_write(bus, doorbell, 8);
	assert_int_equal(core_bus_state(bus, 4), NPU_QUEUE_STATE_RUNNABLE);
	assert_int_equal(core_bus_read(bus, core_bus_queue_reg(4, NPU_QUEUE_TAIL)), 8);
	assert_int_equal(bus->errors, 0);
	core_bus_write(bus, core_bus_queue_reg(4, NPU_QUEUE_CTRL), 0);
	expect_error(bus);
	core_bus_write(bus, core_bus_queue_reg(4, NPU_QUEUE_CTRL),
		       NPU_QUEUE_CTRL_ENABLE | NPU_QUEUE_CTRL_STOP);
	core_bus_write(bus, NPU_REG_IRQ_STATUS, NPU_IRQ_STOPPED);
	core_bus_write(bus, doorbell, 8);
	expect_error(bus);
}

/* Vector 0 is raised per 0 -> 1 of status & enable, by event or by enabling. */
static void test_vector_0(void **state)
{
	struct core_bus *bus = *state;

	core_bus_invalidate(bus);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_TLB_ACK);
	assert_int_equal(bus->irqs[0], 0);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, NPU_IRQ_FAULT);
	assert_int_equal(bus->irqs[0], 0);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, NPU_IRQ_TLB_ACK);
	assert_int_equal(bus->irqs[0], 1);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, NPU_IRQ_TLB_ACK | NPU_IRQ_FAULT);
	core_bus_invalidate(bus);
	assert_int_equal(bus->irqs[0], 1);
	core_bus_write(bus, NPU_REG_IRQ_STATUS, NPU_IRQ_FAULT);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_TLB_ACK);
	core_bus_write(bus, NPU_REG_IRQ_STATUS, NPU_IRQ_TLB_ACK);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), 0);
	core_bus_invalidate(bus);
	assert_int_equal(bus->irqs[0], 2);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, 0);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, NPU_IRQ_TLB_ACK);
	assert_int_equal(bus->irqs[0], 3);
}

static void test_invalidation_sequence(void **state)
{
	struct core_bus *bus = *state;

	for (uint32_t i = 1; i < 10; i++) {
		assert_int_equal(core_bus_invalidate(bus), i);
		assert_int_equal(core_bus_read(bus, NPU_REG_TLB_ACK_SEQ), i);
	}
}

static const char *refusal(const struct npu_core_config *config)
{
	const struct npu_core_ops ops = { .dma_read = NULL };
	const char *error = NULL;
	struct npu_core *core = npu_core_create(config, &ops, NULL, &error);

	assert_null(core);
	assert_null(npu_core_create(config, &ops, NULL, NULL));
	return error;
}

static void test_bad_properties(void **state)
{
	(void)state;
	static const struct npu_core_config bad[] = {
		{ .array_rows = 3 }, { .array_rows = 257 }, { .array_cols = 2 },
		{ .array_cols = 260 }, { .array_cols = 10 }, { .spm_bytes = 65535 },
		{ .spm_bytes = 60u << 10 }, { .spm_bytes = 32u << 20 }, { .acc_bytes = 8u << 10 },
		{ .acc_bytes = 2u << 20 }, { .acc_bytes = 20000 }, { .dma_latency_cycles = 65536 },
		{ .dma_bursts = 65536 }, { .ve_bytes_per_cycle = 3 },
		{ .ve_bytes_per_cycle = 8192 }, { .threads = 65 },
		{ .variant = (enum npu_core_variant)99 },
	};

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_non_null(refusal(&bad[i]));
}

static void test_default_properties(void **state)
{
	static const struct npu_core_config config = { .synchronous = true };
	struct core_bus *bus = core_bus_create(&config, 1u << 20);

	(void)state;
	assert_int_equal(core_bus_read(bus, NPU_REG_ARRAY), 32u << 16 | 16);
	assert_int_equal(core_bus_read(bus, NPU_REG_SPM_BYTES), 8u << 20);
	assert_int_equal(core_bus_read(bus, NPU_REG_ACC_BYTES), 256u << 10);
	assert_int_equal(core_bus_read(bus, NPU_REG_CLOCK_KHZ), 1000000);
	assert_int_equal(core_bus_read(bus, NPU_REG_DMA_BW), 16000);
	assert_int_equal(core_bus_read(bus, NPU_REG_DMA_LATENCY), 32u << 16 | 100);
	assert_int_equal(core_bus_read(bus, NPU_REG_VE_BW), 64);
	core_bus_destroy(bus);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_restores, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_offset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reserved_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enable_needs_valid_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_only_while_disabled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doorbell_misuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vector_0, setup, teardown),
		cmocka_unit_test_setup_teardown(test_invalidation_sequence, setup, teardown),
		cmocka_unit_test(test_bad_properties),
		cmocka_unit_test(test_default_properties),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
