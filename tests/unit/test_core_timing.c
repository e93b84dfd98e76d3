/* SPDX-License-Identifier: MIT */
/*
 * The timing model of a job (HW 11) on random command streams: against a
 * simulation that advances cycle by cycle, and what must hold for any of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core_bus.h"
#include "timing.h"

#define DESCS		120u
#define CYCLES_MAX	60000u
#define QUEUE_DEPTH	16u

static struct core_cmds cmds;
static unsigned int seed;

static const struct npu_timing params = {
	.rows = 8,
	.cols = 8,
	.dma_bytes_per_kcycle = 16000,
	.dma_latency_cycles = 30,
	.dma_bursts = 32,
	.ve_bytes_per_cycle = 64,
};

static uint32_t rnd(uint32_t below)
{
	return (uint32_t)rand() % below;
}

/* ---- Random streams of short descriptors on all five engines ---- */

static void *add_map(uint32_t elems)
{
	size_t bytes = sizeof(struct npu_desc_map) + 2 * sizeof(struct npu_view) + 8;
	struct npu_desc_map *d = core_cmds_add(&cmds, NPU_OP_MAP, bytes);
	uint32_t *uop;

	d->operands = 2;
	d->uops = 2;
	for (unsigned int i = 0; i < 4; i++)
		d->dim[i] = i == 3 ? elems : 1;
	for (unsigned int i = 0; i < 2; i++) {
		d->view[i].ref = (struct npu_ref){ .addr = i * 8192, .reg = NPU_REG_NONE };
		d->view[i].stride[3] = 1;
	}
	uop = (uint32_t *)(void *)&d->view[2];
	uop[0] = NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0);
	uop[1] = NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0);
	return d;
}

static void *add_matmul(uint32_t m)
{
	struct npu_desc_matmul *d = core_cmds_add(&cmds, NPU_OP_MATMUL, sizeof(*d));

	for (unsigned int i = 0; i < 5; i++)
		d->dim[i] = i == 2 ? m : i > 2 ? 4 : 1;
	d->a.reg = d->b.reg = d->acc.reg = NPU_REG_NONE;
	d->acc.space = NPU_SPACE_ACC;
	d->a_stride[2] = 4;
	d->a_stride[3] = 1;
	d->b_stride[2] = 4;
	d->b_stride[3] = 1;
	d->acc_stride[2] = 4;
	return d;
}

static const struct npu_conv_shape window = {
	.n = 1, .h = 8, .w = 8, .c = 4, .oh = 4, .ow = 4, .k = 4, .kh = 2, .kw = 2,
	.stride_h = 2, .stride_w = 2, .dil_h = 1, .dil_w = 1, .up_h = 1, .up_w = 1,
};

static void *add_wgrad(uint32_t images)
{
	struct npu_desc_wgrad *d = core_cmds_add(&cmds, NPU_OP_WGRAD, sizeof(*d));

	d->shape = window;
	d->shape.n = (uint16_t)images;
	return d;
}

static void *add_unpool(uint32_t images)
{
	struct npu_desc_pool *d = core_cmds_add(&cmds, NPU_OP_UNPOOL, sizeof(*d));

	d->hdr.flags = NPU_F_POOL_INDEX;
	d->shape = window;
	d->shape.n = (uint16_t)images;
	return d;
}

static void *add_scatter(uint32_t rows)
{
	struct npu_desc_gather *d = core_cmds_add(&cmds, NPU_OP_SCATTER, sizeof(*d));

	d->hdr.flags = NPU_F_ADD;
	d->dim[0] = d->dim[1] = 1;
	d->dim[2] = rows;
	d->row_elems = 1 + rnd(40);
	d->limit[0] = 1;
	return d;
}

/* Waits only take what was signalled before; a semaphore has one engine per side. */
static void add_ports(void *desc, unsigned int engine, int pending[NPU_ENGINES][NPU_ENGINES])
{
	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		unsigned int from = (engine + 1 + i) % NPU_ENGINES;
		unsigned int to = (engine + 1 + i) % NPU_ENGINES;
		int have = pending[from][engine];

		if (have && rnd(2)) {
			unsigned int n = 1 + rnd((uint32_t)(have < 200 ? have : 200));

			core_cmds_wait(desc, i, from * NPU_ENGINES + engine, n);
			pending[from][engine] -= (int)n;
		}
		if (rnd(3) == 0) {
			unsigned int n = 1 + rnd(4);

			core_cmds_signal(desc, i, engine * NPU_ENGINES + to, n);
			pending[engine][to] += (int)n;
		}
	}
}

static unsigned int make_stream(void)
{
	int pending[NPU_ENGINES][NPU_ENGINES] = { { 0 } };
	unsigned int burst = 1 + rnd(40);

	cmds.used = 0;
	for (unsigned int i = 0; i < DESCS; i++) {
		static unsigned int engine;
		void *d;

		if (i % burst == 0 || rnd(2))
			engine = rnd(NPU_ENGINES);
		switch (engine) {
		case NPU_ENGINE_CP:
			d = core_cmds_nop(&cmds);
			break;
		case NPU_ENGINE_TE:
			d = rnd(3) ? add_matmul(1 + rnd(30)) : add_wgrad(1 + rnd(8));
			break;
		case NPU_ENGINE_VE:
			d = rnd(3) ? add_map(1 + rnd(900)) : add_unpool(1 + rnd(8));
			break;
		case NPU_ENGINE_DI:
			d = rnd(4) ? (void *)core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0,
							    4 + 4 * rnd(2000)) :
				     (void *)core_cmds_fill(&cmds, 0, 4 + 4 * rnd(2000), 0);
			break;
		default:
			d = rnd(4) ? (void *)core_cmds_copy(&cmds, NPU_OP_STORE, 0, 0, 0,
							    4 + 4 * rnd(2000)) :
				     add_scatter(1 + rnd(30));
			break;
		}
		add_ports(d, engine, pending);
	}
	return DESCS;
}

static const struct npu_desc_hdr *nth(unsigned int n)
{
	size_t at = 0;

	while (n--)
		at += ((const struct npu_desc_hdr *)(void *)(cmds.bytes + at))->lines * 64u;
	return (const struct npu_desc_hdr *)(void *)(cmds.bytes + at);
}

static bool uses_memory(const struct npu_desc_hdr *hdr)
{
	enum npu_engine engine = npu_op_engine(hdr->opcode);

	return hdr->opcode != NPU_OP_FILL &&
	       (engine == NPU_ENGINE_DI || engine == NPU_ENGINE_DO);
}

/* ---- What must hold for every stream ---- */

static struct npu_model model;

static void issue_all(struct npu_span *span, unsigned int n)
{
	model.params = params;
	npu_model_start(&model);
	for (unsigned int i = 0; i < n; i++)
		span[i] = npu_model_issue(&model, nth(i));
}

/* When the counts that descriptor @n waits for on one port had been signalled. */
static uint64_t signalled_at(const struct npu_span *span, unsigned int n, unsigned int port)
{
	unsigned int sem = nth(n)->wait[port].sem;
	uint32_t need = nth(n)->wait[port].count;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int p = 0; p < NPU_SEM_PORTS; p++)
			if (nth(i)->wait[p].count && nth(i)->wait[p].sem == sem)
				need += nth(i)->wait[p].count;
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int p = 0; p < NPU_SEM_PORTS; p++) {
			if (!nth(i)->signal[p].count || nth(i)->signal[p].sem != sem)
				continue;
			if (need <= nth(i)->signal[p].count)
				return span[i].end;
			need -= nth(i)->signal[p].count;
		}
	fail();
	return 0;
}

static void check_stream(const struct npu_span *span, unsigned int n)
{
	uint64_t engine_end[NPU_ENGINES] = { 0 };
	uint64_t moved_cycles = 0;
	uint64_t first_data = UINT64_MAX;
	uint64_t last_data = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct npu_desc_hdr *hdr = nth(i);
		enum npu_engine engine = npu_op_engine(hdr->opcode);
		uint64_t cycles = npu_desc_cycles(&params, hdr);
		unsigned int behind = 0;

		assert_true(span[i].start >= engine_end[engine]);
		assert_true(span[i].end - span[i].start >= cycles);
		if (!uses_memory(hdr))
			assert_int_equal(span[i].end - span[i].start, cycles);
		for (unsigned int p = 0; p < NPU_SEM_PORTS; p++)
			if (hdr->wait[p].count)
				assert_true(span[i].start >= signalled_at(span, i, p));
		engine_end[engine] = span[i].end;
		if (uses_memory(hdr)) {
			moved_cycles += npu_dma_cycles(&params, hdr);
			if (span[i].start + params.dma_latency_cycles < first_data)
				first_data = span[i].start + params.dma_latency_cycles;
			last_data = span[i].end > last_data ? span[i].end : last_data;
		}
		/* The one 16 before has left the queue before anything later starts. */
		for (unsigned int j = i; j-- > 0;)
			if (npu_op_engine(nth(j)->opcode) == engine && ++behind == QUEUE_DEPTH)
				assert_true(span[i].start >= span[j].start);
	}
	/* No bandwidth is beaten. */
	if (last_data)
		assert_true(last_data - first_data >= moved_cycles);
}

static void test_properties(void **state)
{
	static struct npu_span span[DESCS];
	static struct npu_span again[DESCS];

	(void)state;
	for (unsigned int round = 0; round < 150; round++) {
		unsigned int n = make_stream();

		issue_all(span, n);
		check_stream(span, n);
		issue_all(again, n);
		assert_memory_equal(span, again, n * sizeof(span[0]));
	}
}

/* ---- The same by brute force ---- */

/**
 * struct sim - the machine, one cycle after the other
 * @memory_busy: per cycle, somebody's data moves
 * @sem_time: per semaphore, when each count became available, in order
 * @sem_given: counts given
 * @sem_taken: counts taken
 */
struct sim {
	bool memory_busy[CYCLES_MAX];
	uint64_t sem_time[NPU_SEMAPHORES][DESCS * 12];
	uint32_t sem_given[NPU_SEMAPHORES];
	uint32_t sem_taken[NPU_SEMAPHORES];
};

static uint64_t move_data(struct sim *s, uint64_t cycle, uint64_t cycles)
{
	for (; cycles; cycle++) {
		assert_true(cycle < CYCLES_MAX);
		if (s->memory_busy[cycle])
			continue;
		s->memory_busy[cycle] = true;
		cycles--;
	}
	return cycle;
}

/* Whether all waits of @hdr are satisfied at @cycle. */
static bool satisfied(const struct sim *s, const struct npu_desc_hdr *hdr, uint64_t cycle)
{
	for (unsigned int p = 0; p < NPU_SEM_PORTS; p++) {
		const struct npu_sem_ref *w = &hdr->wait[p];

		for (uint32_t k = 0; k < w->count; k++)
			if (s->sem_time[w->sem][s->sem_taken[w->sem] + k] > cycle)
				return false;
	}
	return true;
}

static void simulate(struct sim *s, struct npu_span *span, unsigned int n)
{
	uint64_t cp = 2 * params.dma_latency_cycles;

	memset(s, 0, sizeof(*s));
	for (unsigned int i = 0; i < n; i++) {
		const struct npu_desc_hdr *hdr = nth(i);
		enum npu_engine engine = npu_op_engine(hdr->opcode);
		uint64_t cycle;
		unsigned int behind = 0;
		uint64_t free_at = 0;

		cp += hdr->lines + 1u;
		for (unsigned int j = i; j-- > 0;) {
			if (npu_op_engine(nth(j)->opcode) != engine)
				continue;
			if (++behind == 1)
				free_at = span[j].end;
			if (behind == QUEUE_DEPTH && span[j].start > cp)
				cp = span[j].start;
		}
		for (cycle = cp; cycle < free_at || !satisfied(s, hdr, cycle); cycle++)
			assert_true(cycle < CYCLES_MAX);
		span[i].start = cycle;
		if (engine == NPU_ENGINE_CP)
			span[i].end = cp = cycle;
		else if (uses_memory(hdr))
			span[i].end = move_data(s, cycle + params.dma_latency_cycles,
						npu_dma_cycles(&params, hdr));
		else
			span[i].end = cycle + npu_desc_cycles(&params, hdr);
		for (unsigned int p = 0; p < NPU_SEM_PORTS; p++) {
			s->sem_taken[hdr->wait[p].sem] += hdr->wait[p].count;
			for (uint32_t k = 0; k < hdr->signal[p].count; k++)
				s->sem_time[hdr->signal[p].sem][s->sem_given[hdr->signal[p].sem]++] =
					span[i].end;
		}
	}
}

static void test_against_simulation(void **state)
{
	static struct npu_span fast[DESCS];
	static struct npu_span slow[DESCS];
	static struct sim sim;

	(void)state;
	for (unsigned int round = 0; round < 150; round++) {
		unsigned int n = make_stream();

		issue_all(fast, n);
		simulate(&sim, slow, n);
		for (unsigned int i = 0; i < n; i++) {
			if (fast[i].start != slow[i].start || fast[i].end != slow[i].end)
				fail_msg("round %u descriptor %u: %llu..%llu, not %llu..%llu", round, i,
					 (unsigned long long)fast[i].start,
					 (unsigned long long)fast[i].end,
					 (unsigned long long)slow[i].start,
					 (unsigned long long)slow[i].end);
		}
	}
}

/* ---- Engines overlap, seen by a job ---- */

static uint64_t job_cycles(bool ordered)
{
	static const struct npu_core_config config = {
		.spm_bytes = 128u << 10,
		.acc_bytes = 16u << 10,
		.synchronous = true,
	};
	struct core_bus *bus = core_bus_create(&config, 2u << 20);
	const uint64_t regs[1] = { 0x10000000 };
	struct core_job job;
	uint64_t cycles;

	core_bus_context(bus, 1);
	core_bus_queue(bus, 0, 1, 1, 1, 3);
	core_bus_buffer(bus, 1, 0x10000000, 64u << 10);
	cmds.used = 0;
	for (unsigned int i = 0; i < 8; i++) {
		void *load = core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0, 64);
		void *store = core_cmds_copy(&cmds, NPU_OP_STORE, 0, 4096, 8192, 64);

		if (ordered) {
			if (i)
				core_cmds_wait(load, 0, 1, 1);
			core_cmds_signal(load, 0, 0, 1);
			core_cmds_wait(store, 0, 0, 1);
			core_cmds_signal(store, 0, 1, 1);
		}
	}
	core_cmds_end(&cmds);
	job = core_bus_job(bus, 1, 0x20000000, &cmds, regs, 1);
	assert_int_equal(core_bus_run(bus, 0, &job), 0);
	cycles = job.done->cycles;
	/* Run alone, the same job takes the same cycles. */
	assert_int_equal(core_bus_run(bus, 0, &job), 0);
	assert_int_equal(job.done->cycles, cycles);
	core_bus_destroy(bus);
	return cycles;
}

static void test_overlap(void **state)
{
	uint64_t free_running = job_cycles(false);
	uint64_t chained = job_cycles(true);

	(void)state;
	/* Slot and bindings, 8 times latency plus one burst, record. */
	assert_true(chained >= 3 * 100 + 16 * (100 + 4));
	assert_true(free_running < 3 * 100 + 8 * (100 + 4) + 60);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_against_simulation),
		cmocka_unit_test(test_overlap),
	};

	seed = (unsigned int)time(NULL);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (argc > 2)
		seed = (unsigned int)strtoul(argv[2], NULL, 0);
	print_message("seed %u (%s '*' %u runs it again)\n", seed, argv[0], seed);
	srand(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
