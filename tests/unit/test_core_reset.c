/* SPDX-License-Identifier: MIT */
/* Reset, stop and invalidation at any moment of a running job (HW 2.4, 5.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core_bus.h"

#define CTX		1u
#define DATA_VA		0x10000000ull
#define CMD_VA		0x20000000ull
#define DATA_BYTES	(1u << 20)
#define SPM_BYTES	(256u << 10)

static struct core_cmds cmds;

struct fixture {
	struct core_bus *bus;
	struct core_job storer;		/* writes memory for ever */
	struct core_job quick;
	uint64_t data;
};

static int setup(void **state)
{
	static const struct npu_core_config config = {
		.spm_bytes = SPM_BYTES,
		.acc_bytes = 16u << 10,
		.threads = 2,
	};
	struct fixture *f = calloc(1, sizeof(*f));
	const uint64_t regs[1] = { DATA_VA };

	f->bus = core_bus_create(&config, 8u << 20);
	core_bus_context(f->bus, CTX);
	core_bus_queue(f->bus, 0, CTX, 1, 1, 3);
	f->data = core_bus_buffer(f->bus, CTX, DATA_VA, DATA_BYTES);
	cmds.used = 0;
	for (unsigned int i = 0; i < 3; i++)
		core_cmds_loop(&cmds, 65535);
	core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 4096, 0, 200u << 10);
	core_cmds_copy(&cmds, NPU_OP_STORE, 0, 512u << 10, 64, 200u << 10);
	for (unsigned int i = 0; i < 3; i++)
		core_cmds_endl(&cmds);
	core_cmds_end(&cmds);
	f->storer = core_bus_job(f->bus, CTX, CMD_VA, &cmds, regs, 1);
	cmds.used = 0;
	core_cmds_fill(&cmds, 0, 4, 0x1234);
	core_cmds_copy(&cmds, NPU_OP_STORE, 0, 0, 0, 4);
	core_cmds_end(&cmds);
	f->quick = core_bus_job(f->bus, CTX, CMD_VA + (1u << 20), &cmds, regs, 1);
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

static void set_up_again(struct fixture *f, uint32_t queue)
{
	core_bus_write64(f->bus, NPU_REG_CTX_TABLE, f->bus->ctx_table);
	core_bus_queue(f->bus, queue, CTX, 1, 1, 3);
}

static void start_storer(struct fixture *f)
{
	core_bus_push(f->bus, 0, &f->storer.entry);
	core_bus_doorbell(f->bus, 0);
}

/* Spend a random time that covers start, middle and end of chunks and descriptors. */
static void dawdle(void)
{
	unsigned int turns = (unsigned int)rand() % 30;

	for (unsigned int i = 0; i < turns; i++)
		sched_yield();
	if (rand() % 4 == 0)
		nanosleep(&(struct timespec){ .tv_nsec = rand() % 300000 }, NULL);
}

static void wait_ready(struct core_bus *bus)
{
	for (unsigned int i = 0; i < 5000; i++) {
		if (core_bus_read(bus, NPU_REG_STATUS) & NPU_STATUS_READY)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	fail_msg("the device does not become ready");
}

static unsigned int all_irqs(struct core_bus *bus)
{
	unsigned int sum = 0;

	pthread_mutex_lock(&bus->lock);
	for (unsigned int v = 1; v < NPU_VECTORS; v++)
		sum += bus->irqs[v];
	pthread_mutex_unlock(&bus->lock);
	return sum;
}

/* From the return of the reset on, no byte is written and no queue interrupts. */
static void test_reset_any_time(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;

	for (unsigned int round = 0; round < 80; round++) {
		unsigned int irqs;

		start_storer(f);
		dawdle();
		if (round % 2)
			npu_core_reset(bus->core);
		else
			core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RESET);
		atomic_store(&bus->frozen, true);
		irqs = all_irqs(bus);
		assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_DISABLED);
		assert_int_equal(core_bus_read64(bus, core_bus_queue_reg(0, NPU_QUEUE_PROGRESS)), 0);
		wait_ready(bus);
		assert_int_equal(core_bus_read(bus, NPU_REG_STATUS), NPU_STATUS_READY);
		assert_int_equal(atomic_load(&bus->late_writes), 0);
		assert_int_equal(all_irqs(bus), irqs);
		assert_int_equal(core_bus_read64(bus, core_bus_queue_reg(0, NPU_QUEUE_PROGRESS)), 0);
		assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_DESCRIPTORS), 0);
		atomic_store(&bus->frozen, false);
		f->bus->next = f->quick.entry.done_addr + 64;
		set_up_again(f, 0);
	}
	assert_int_equal(core_bus_run(bus, 0, &f->quick), 0);
	assert_int_equal(*(uint32_t *)core_bus_ptr(bus, f->data, 4), 0x1234);
}

/*
 * The reset comes while the run thread reads the clock or logs: at the start of
 * a job, when its last descriptor is done, before its record is written, before
 * it interrupts.
 */
static struct {
	pthread_t tester;
	unsigned int readings;	/* of the run thread, until it is held */
	atomic_bool held;
	/* Rounds that were begun, and let go: a late thread finds its round gone. */
	atomic_uint round;
	atomic_uint gone;
} gate;

static void gate_close(unsigned int readings)
{
	atomic_store(&gate.held, false);
	atomic_fetch_add(&gate.round, 1);
	gate.readings = readings;
}

static void gate_open(void)
{
	atomic_store(&gate.gone, atomic_load(&gate.round));
}

static void on_now(struct core_bus *bus)
{
	unsigned int round;

	(void)bus;
	if (pthread_equal(pthread_self(), gate.tester) || !gate.readings || --gate.readings)
		return;
	round = atomic_load(&gate.round);
	atomic_store(&gate.held, true);
	while (atomic_load(&gate.gone) < round)
		sched_yield();
}

static void test_reset_while_ending(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;

	gate.tester = pthread_self();
	bus->on_now = on_now;
	for (unsigned int round = 0; round < 12; round++) {
		gate_close(1 + round % 4);
		memset(f->quick.done, 0, sizeof(*f->quick.done));
		core_bus_push(bus, 0, &f->quick.entry);
		core_bus_doorbell(bus, 0);
		while (!atomic_load(&gate.held))
			sched_yield();
		core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RESET);
		atomic_store(&bus->frozen, true);
		gate_open();
		wait_ready(bus);
		assert_int_equal(atomic_load(&bus->late_writes), 0);
		if (round % 4 != 3)
			assert_int_equal(f->quick.done->seqno, 0);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		assert_int_equal(all_irqs(bus), 0);
		assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 0);
		assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_JOBS), 0);
		atomic_store(&bus->frozen, false);
		f->bus->next = f->quick.entry.done_addr + 64;
		set_up_again(f, 0);
	}
}

/* Likewise a stop: no record, HEAD stays. */
static void test_stop_while_ending(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;

	gate.tester = pthread_self();
	bus->on_now = on_now;
	for (unsigned int round = 0; round < 4; round++) {
		gate_close(1 + round % 2);
		core_bus_push(bus, 0, &f->quick.entry);
		core_bus_doorbell(bus, 0);
		while (!atomic_load(&gate.held))
			sched_yield();
		core_bus_write(bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_STOP |
			       NPU_QUEUE_CTRL_ENABLE);
		assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_STOPPING);
		gate_open();
		assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_STOPPED));
		assert_int_equal(core_bus_read(bus, core_bus_queue_reg(0, NPU_QUEUE_HEAD)), 0);
		assert_int_equal(f->quick.done->seqno, 0);
		assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 0);
		core_bus_write(bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), 0);
		core_bus_write(bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
		bus->tail[0] = 0;
	}
}

/* Completions race with the reset: a queue's interrupt never comes after it. */
static void test_reset_against_completion(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;

	for (unsigned int round = 0; round < 240; round++) {
		unsigned int irqs;

		core_bus_push(bus, 0, &f->quick.entry);
		core_bus_doorbell(bus, 0);
		if (round % 4)
			while (core_bus_state(bus, 0) != NPU_QUEUE_STATE_IDLE)
				;
		else
			for (int i = rand() % 20; i > 0; i--)
				sched_yield();
		core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RESET);
		atomic_store(&bus->frozen, true);
		irqs = all_irqs(bus);
		wait_ready(bus);
		dawdle();
		assert_int_equal(atomic_load(&bus->late_writes), 0);
		assert_int_equal(all_irqs(bus), irqs);
		assert_int_equal(core_bus_read64(bus, NPU_REG_DONE_QUEUES), 0);
		atomic_store(&bus->frozen, false);
		f->bus->next = f->quick.entry.done_addr + 64;
		set_up_again(f, 0);
	}
}

/* While READY is 0 only IRQ_ENABLE and another reset are accepted. */
static atomic_bool hold;
static atomic_bool holding;

static void on_write(struct core_bus *bus, uint64_t addr, size_t bytes)
{
	(void)bus;
	(void)addr;
	(void)bytes;
	atomic_store(&holding, true);
	while (atomic_load(&hold))
		sched_yield();
	atomic_store(&holding, false);
}

static void *reset_in_thread(void *arg)
{
	struct core_bus *bus = arg;

	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RESET);
	return NULL;
}

static void test_not_ready(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;
	pthread_t thread;

	atomic_store(&hold, true);
	bus->on_write = on_write;
	start_storer(f);
	while (!core_bus_read64(bus, core_bus_queue_reg(0, NPU_QUEUE_PROGRESS)))
		sched_yield();
	assert_int_equal(pthread_create(&thread, NULL, reset_in_thread, bus), 0);
	while (core_bus_read(bus, NPU_REG_STATUS) & NPU_STATUS_READY)
		sched_yield();
	core_bus_write64(bus, NPU_REG_CTX_TABLE, bus->ctx_table);
	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RUN);
	core_bus_write(bus, core_bus_queue_reg(0, NPU_QUEUE_RING_LOG2), 3);
	core_bus_doorbell(bus, 0);
	assert_int_equal(bus->errors, 4);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, NPU_IRQ_RESET_DONE);
	assert_int_equal(bus->errors, 4);
	assert_int_equal(core_bus_read64(bus, NPU_REG_CTX_TABLE), 0);
	assert_int_equal(core_bus_read(bus, NPU_REG_CONTROL), 0);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), 0);
	atomic_store(&hold, false);
	assert_int_equal(pthread_join(thread, NULL), 0);
	wait_ready(bus);
	for (unsigned int i = 0; i < 1000 && !bus->irqs[0]; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_RESET_DONE);
	pthread_mutex_lock(&bus->lock);
	assert_int_equal(bus->irqs[0], 1);
	pthread_mutex_unlock(&bus->lock);
}

/* An invalidation that finds a chunk in flight, the job's last one. */
static void test_acknowledge_after_chunk(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;
	const uint64_t regs[1] = { DATA_VA };
	struct core_job job;
	uint32_t seq;

	cmds.used = 0;
	core_cmds_copy(&cmds, NPU_OP_STORE, 0, 0, 0, 4);
	core_cmds_wait(core_cmds_nop(&cmds), 0, 1, 1);
	core_cmds_end(&cmds);
	job = core_bus_job(bus, CTX, CMD_VA + (2u << 20), &cmds, regs, 1);
	atomic_store(&hold, true);
	bus->on_write = on_write;
	core_bus_push(bus, 0, &job.entry);
	core_bus_doorbell(bus, 0);
	while (!atomic_load(&holding))
		sched_yield();
	seq = core_bus_invalidate(bus);
	assert_int_equal(core_bus_read(bus, NPU_REG_TLB_ACK_SEQ), seq - 1);
	atomic_store(&hold, false);
	for (unsigned int i = 0; core_bus_read(bus, NPU_REG_TLB_ACK_SEQ) != seq; i++) {
		assert_true(i < 5000);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	assert_int_equal(core_bus_state(bus, 0), NPU_QUEUE_STATE_RUNNING);
}

/* A reset finds a job that waits for ever, or none at all. */
static void test_reset_at_rest(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;
	struct core_job stalled;

	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RESET);
	assert_int_equal(core_bus_read(bus, NPU_REG_STATUS), NPU_STATUS_READY);
	assert_int_equal(core_bus_read(bus, NPU_REG_IRQ_STATUS), NPU_IRQ_RESET_DONE);
	set_up_again(f, 0);
	cmds.used = 0;
	core_cmds_wait(core_cmds_nop(&cmds), 0, 1, 1);
	core_cmds_end(&cmds);
	stalled = core_bus_job(bus, CTX, CMD_VA + (2u << 20), &cmds, NULL, 0);
	core_bus_push(bus, 0, &stalled.entry);
	core_bus_doorbell(bus, 0);
	assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_RUNNING));
	dawdle();
	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RESET);
	wait_ready(bus);
	set_up_again(f, 0);
	assert_int_equal(core_bus_run(bus, 0, &f->quick), 0);
}

/* Stops at random moments, while the other queue's jobs must all come out right. */
static void test_stop_any_time(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;
	uint64_t ctrl = core_bus_queue_reg(0, NPU_QUEUE_CTRL);

	core_bus_queue(bus, 1, CTX, 1, 2, 3);
	for (unsigned int round = 0; round < 50; round++) {
		start_storer(f);
		dawdle();
		core_bus_push(bus, 1, &f->quick.entry);
		core_bus_doorbell(bus, 1);
		core_bus_write(bus, ctrl, NPU_QUEUE_CTRL_ENABLE | NPU_QUEUE_CTRL_STOP);
		assert_true(core_bus_wait(bus, 0, NPU_QUEUE_STATE_STOPPED));
		assert_int_equal(core_bus_read(bus, core_bus_queue_reg(0, NPU_QUEUE_HEAD)), 0);
		assert_true(core_bus_wait(bus, 1, NPU_QUEUE_STATE_IDLE));
		core_bus_write(bus, ctrl, 0);
		core_bus_write(bus, ctrl, NPU_QUEUE_CTRL_ENABLE);
		bus->tail[0] = 0;
	}
	assert_int_equal(core_bus_read64(bus, NPU_REG_COUNT_JOBS), 50);
}

/* Unmapped is unmapped once acknowledged: the page is never written again. */
static void test_unmap_while_running(void **state)
{
	struct fixture *f = *state;
	struct core_bus *bus = f->bus;
	uint64_t page_va = DATA_VA + (520u << 10);
	uint64_t page = f->data + (520u << 10);
	uint64_t elsewhere = core_bus_alloc(bus, NPU_PAGE_BYTES, NPU_PAGE_BYTES);
	_Atomic uint64_t *pte = (_Atomic uint64_t *)(void *)core_bus_pte(bus, CTX, page_va, 0);

	start_storer(f);
	for (unsigned int round = 0; round < 50; round++) {
		uint64_t target = round % 2 ? page : elsewhere;
		uint32_t seq;

		atomic_store(pte, target | NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_READ | NPU_PTE_WRITE);
		seq = core_bus_invalidate(bus);
		for (unsigned int i = 0; core_bus_read(bus, NPU_REG_TLB_ACK_SEQ) != seq; i++) {
			assert_true(i < 1000000);
			sched_yield();
		}
		/* From now on the other page is ours. */
		target = round % 2 ? elsewhere : page;
		memset(core_bus_ptr(bus, target, NPU_PAGE_BYTES), 0xa5, NPU_PAGE_BYTES);
		dawdle();
		for (unsigned int i = 0; i < NPU_PAGE_BYTES; i++)
			assert_int_equal(((uint8_t *)core_bus_ptr(bus, target, NPU_PAGE_BYTES))[i], 0xa5);
	}
}

/* Registers are hammered from two threads while jobs run and resets come. */
struct hammer {
	struct core_bus *bus;
	unsigned int seed;
	atomic_bool *over;
};

static void *hammer_main(void *arg)
{
	struct hammer *h = arg;

	while (!atomic_load(h->over)) {
		uint64_t offset = (uint64_t)rand_r(&h->seed) % (NPU_QUEUE_BASE / 8) * 4;

		if (rand_r(&h->seed) % 2)
			offset = NPU_QUEUE_BASE + (uint64_t)rand_r(&h->seed) % NPU_QUEUE_STRIDE / 4 * 4;
		npu_core_mmio_read(h->bus->core, offset, 4);
		if (rand_r(&h->seed) % 8 == 0)
			core_bus_write(h->bus, NPU_REG_TLB_INV, NPU_TLB_INV_ALL);
		if (rand_r(&h->seed) % 8 == 0)
			core_bus_write(h->bus, NPU_REG_IRQ_STATUS, NPU_IRQ_MASK);
		if (rand_r(&h->seed) % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void test_concurrent_registers(void **state)
{
	struct fixture *f = *state;
	atomic_bool over = false;
	struct hammer hammer[2];
	pthread_t thread[2];

	for (unsigned int i = 0; i < 2; i++) {
		hammer[i] = (struct hammer){ f->bus, (unsigned int)rand(), &over };
		assert_int_equal(pthread_create(&thread[i], NULL, hammer_main, &hammer[i]), 0);
	}
	for (unsigned int round = 0; round < 60; round++) {
		if (round % 3) {
			assert_int_equal(core_bus_run(f->bus, 0, &f->quick), 0);
			continue;
		}
		start_storer(f);
		dawdle();
		core_bus_write(f->bus, NPU_REG_CONTROL, NPU_CONTROL_RESET);
		wait_ready(f->bus);
		f->bus->next = f->quick.entry.done_addr + 64;
		set_up_again(f, 0);
	}
	atomic_store(&over, true);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
}

/* Destroying the device ends a running job. */
static void test_destroy_running(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		void *fixture;

		setup(&fixture);
		start_storer(fixture);
		dawdle();
		teardown(&fixture);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_any_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_while_ending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_while_ending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acknowledge_after_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_against_completion, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_at_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_any_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmap_while_running, setup, teardown),
		cmocka_unit_test_setup_teardown(test_concurrent_registers, setup, teardown),
		cmocka_unit_test(test_destroy_running),
	};
	unsigned int seed = (unsigned int)time(NULL);

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (argc > 2)
		seed = (unsigned int)strtoul(argv[2], NULL, 0);
	print_message("seed %u\n", seed);
	srand(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
