/* SPDX-License-Identifier: MIT */
/* LOAD, STORE and FILL against loops over single elements (HW 8). */
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
#define DATA_VA		0x10000000ull
#define DATA_BYTES	(1u << 20)
#define CMD_VA		0x20000000ull
#define SPM_BYTES	(128u << 10)
#define SPM_VA		0x30000000ull	/* image of the SPM */
#define ELEM		4u
#define PAGES		(DATA_BYTES / NPU_PAGE_BYTES)

static struct core_cmds cmds;

/**
 * struct fixture - device and what it should look like
 * @page: bus address of each page of the data, in random order
 * @image: bus address of the SPM image
 * @jobs: where the allocator puts jobs
 * @mem: expected data
 * @spm: expected SPM
 */
struct fixture {
	struct core_bus *bus;
	uint64_t page[PAGES];
	uint64_t image;
	uint64_t jobs;
	uint8_t mem[DATA_BYTES];
	uint8_t spm[SPM_BYTES];
};

static uint32_t rnd(uint32_t below)
{
	return (uint32_t)rand() % below;
}

static int setup(void **state)
{
	static const struct npu_core_config config = {
		.spm_bytes = SPM_BYTES,
		.acc_bytes = 16u << 10,
		.synchronous = true,
	};
	struct fixture *f = calloc(1, sizeof(*f));
	uint64_t data;

	f->bus = core_bus_create(&config, 16u << 20);
	core_bus_context(f->bus, CTX);
	core_bus_queue(f->bus, 0, CTX, 1, 1, 3);
	data = core_bus_alloc(f->bus, DATA_BYTES, NPU_PAGE_BYTES);
	for (uint32_t i = 0; i < PAGES; i++) {
		uint32_t j = rnd(i + 1);

		f->page[i] = f->page[j];
		f->page[j] = data + (uint64_t)i * NPU_PAGE_BYTES;
	}
	/* Some neighbours stay neighbours, so that chunks span pages. */
	for (uint32_t i = 64; i < 128; i++)
		for (uint32_t j = 0; j < PAGES; j++)
			if (f->page[j] == data + (uint64_t)i * NPU_PAGE_BYTES) {
				f->page[j] = f->page[i];
				f->page[i] = data + (uint64_t)i * NPU_PAGE_BYTES;
				break;
			}
	for (uint32_t i = 0; i < PAGES; i++)
		core_bus_map(f->bus, CTX, DATA_VA + (uint64_t)i * NPU_PAGE_BYTES, f->page[i],
			     NPU_PAGE_BYTES, NPU_PTE_READ | NPU_PTE_WRITE);
	f->image = core_bus_buffer(f->bus, CTX, SPM_VA, SPM_BYTES);
	core_bus_pte(f->bus, CTX, CMD_VA, 0);
	f->jobs = f->bus->next;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(atomic_load(&f->bus->oversize), 0);
	core_bus_destroy(f->bus);
	free(f);
	return 0;
}

static void write_data(struct fixture *f)
{
	for (uint32_t i = 0; i < PAGES; i++)
		memcpy(core_bus_ptr(f->bus, f->page[i], NPU_PAGE_BYTES),
		       f->mem + i * NPU_PAGE_BYTES, NPU_PAGE_BYTES);
	memcpy(core_bus_ptr(f->bus, f->image, SPM_BYTES), f->spm, SPM_BYTES);
}

static void randomise(struct fixture *f)
{
	for (uint32_t i = 0; i < DATA_BYTES; i++)
		f->mem[i] = (uint8_t)rand();
	for (uint32_t i = 0; i < SPM_BYTES; i++)
		f->spm[i] = (uint8_t)rand();
	write_data(f);
}

/* Run the commands so far; r0 is the data, r1 the image. */
static uint32_t run(struct fixture *f, struct core_job *job)
{
	const uint64_t regs[2] = { DATA_VA, SPM_VA };

	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), 0);
	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	f->bus->tail[0] = 0;
	f->bus->next = f->jobs;
	core_bus_invalidate(f->bus);
	*job = core_bus_job(f->bus, CTX, CMD_VA, &cmds, regs, 2);
	return core_bus_run(f->bus, 0, job);
}

static void load_image(void)
{
	cmds.used = 0;
	core_cmds_copy(&cmds, NPU_OP_LOAD, 1, 0, 0, SPM_BYTES);
}

static void store_image(void)
{
	core_cmds_copy(&cmds, NPU_OP_STORE, 1, 0, 0, SPM_BYTES);
	core_cmds_end(&cmds);
}

static void expect_memories(struct fixture *f)
{
	for (uint32_t i = 0; i < PAGES; i++)
		assert_memory_equal(core_bus_ptr(f->bus, f->page[i], NPU_PAGE_BYTES),
				    f->mem + i * NPU_PAGE_BYTES, NPU_PAGE_BYTES);
	assert_memory_equal(core_bus_ptr(f->bus, f->image, SPM_BYTES), f->spm, SPM_BYTES);
}

/* ---- Random shapes ---- */

/**
 * struct side - strides of one side in elements
 * @stride: per dimension
 * @lo: lowest element, relative to index 0
 * @hi: highest element, relative to index 0
 */
struct side {
	int64_t stride[5];
	int64_t lo;
	int64_t hi;
};

static void measure(struct side *s, const uint32_t *dim)
{
	s->lo = 0;
	s->hi = 0;
	for (unsigned int i = 0; i < 5; i++) {
		int64_t reach = s->stride[i] * (int64_t)(dim[i] - 1);

		*(reach < 0 ? &s->lo : &s->hi) += reach;
	}
}

/* No element twice: dimensions in random order, each beyond those before. */
static void make_injective(struct side *s, const uint32_t *dim, bool dense)
{
	unsigned int order[5] = { 4, 3, 2, 1, 0 };
	int64_t cover = 1;

	if (!dense || rnd(3) == 0)
		for (unsigned int i = 4; i > 0; i--) {
			unsigned int j = rnd(i + 1);
			unsigned int t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
	for (unsigned int i = 0; i < 5; i++) {
		int64_t gap = dense || rnd(2) ? 0 : rnd(rnd(4) ? 6 : 300);
		int64_t stride = cover + gap;

		cover += stride * (int64_t)(dim[order[i]] - 1);
		s->stride[order[i]] = rnd(4) == 0 && !dense ? -stride : stride;
	}
	measure(s, dim);
}

static void make_any(struct side *s, const uint32_t *dim)
{
	for (unsigned int i = 0; i < 5; i++)
		s->stride[i] = rnd(3) ? (int64_t)rnd(400) - 200 : (int64_t)rnd(3) - 1;
	measure(s, dim);
}

static bool fits(const struct side *s, uint32_t bytes)
{
	return (s->hi - s->lo + 1) * ELEM <= bytes;
}

/* Element of index 0 so that all lie within @bytes. */
static uint32_t place(const struct side *s, uint32_t bytes)
{
	uint32_t room = bytes / ELEM - (uint32_t)(s->hi - s->lo);

	return (rnd(room) + (uint32_t)-s->lo) * ELEM;
}

struct shape {
	uint32_t dim[5];
	struct side mem;
	struct side spm;
	uint32_t mem_at;
	uint32_t spm_at;
};

static void make_shape(struct shape *t, bool store)
{
	do {
		uint32_t elems = 1;

		for (unsigned int i = 0; i < 5; i++) {
			uint32_t most = 20000 / elems;

			t->dim[i] = rnd(3) ? 1 + rnd(most < 12 ? most : 12) : 1 + rnd(most);
			if (rnd(4) == 0)
				t->dim[i] = 1;
			elems *= t->dim[i];
		}
		if (store || rnd(2))
			make_injective(&t->mem, t->dim, rnd(3) == 0);
		else
			make_any(&t->mem, t->dim);
		if (!store || rnd(2))
			make_injective(&t->spm, t->dim, rnd(3) == 0);
		else
			make_any(&t->spm, t->dim);
	} while (!fits(&t->mem, DATA_BYTES) || !fits(&t->spm, SPM_BYTES));
	t->mem_at = place(&t->mem, DATA_BYTES);
	t->spm_at = place(&t->spm, SPM_BYTES);
}

static void add_shape(const struct shape *t, bool store)
{
	struct npu_desc_dma *d = core_cmds_copy(&cmds, store ? NPU_OP_STORE : NPU_OP_LOAD, 0,
						t->mem_at, t->spm_at, ELEM);

	for (unsigned int i = 0; i < 5; i++) {
		d->dim[i] = t->dim[i];
		d->mem.stride_bytes[i] = (int32_t)t->mem.stride[i] * (int32_t)ELEM;
		d->spm_stride[i] = (int32_t)t->spm.stride[i];
	}
}

static void for_each(const struct shape *t,
		     bool (*fn)(struct fixture *f, uint32_t mem, uint32_t spm), struct fixture *f)
{
	uint32_t i[5];

	for (i[0] = 0; i[0] < t->dim[0]; i[0]++)
	for (i[1] = 0; i[1] < t->dim[1]; i[1]++)
	for (i[2] = 0; i[2] < t->dim[2]; i[2]++)
	for (i[3] = 0; i[3] < t->dim[3]; i[3]++)
	for (i[4] = 0; i[4] < t->dim[4]; i[4]++) {
		int64_t mem = t->mem_at;
		int64_t spm = t->spm_at;

		for (unsigned int k = 0; k < 5; k++) {
			mem += i[k] * t->mem.stride[k] * (int64_t)ELEM;
			spm += i[k] * t->spm.stride[k] * (int64_t)ELEM;
		}
		if (!fn(f, (uint32_t)mem, (uint32_t)spm))
			return;
	}
}

static bool load_elem(struct fixture *f, uint32_t mem, uint32_t spm)
{
	memcpy(f->spm + spm, f->mem + mem, ELEM);
	return true;
}

static bool store_elem(struct fixture *f, uint32_t mem, uint32_t spm)
{
	memcpy(f->mem + mem, f->spm + spm, ELEM);
	return true;
}

static void check_random(struct fixture *f, bool store, unsigned int rounds)
{
	for (unsigned int round = 0; round < rounds; round++) {
		struct shape t;
		struct core_job job;

		if (round % 20 == 0)
			randomise(f);
		make_shape(&t, store);
		load_image();
		add_shape(&t, store);
		store_image();
		assert_int_equal(run(f, &job), 0);
		for_each(&t, store ? store_elem : load_elem, f);
		expect_memories(f);
		assert_int_equal(store ? job.done->write_bytes - SPM_BYTES :
					 job.done->read_bytes - SPM_BYTES,
				 (uint64_t)t.dim[0] * t.dim[1] * t.dim[2] * t.dim[3] * t.dim[4] * ELEM);
	}
}

static void test_random_loads(void **state)
{
	check_random(*state, false, 400);
}

static void test_random_stores(void **state)
{
	check_random(*state, true, 400);
}

/* ---- Faults ---- */

static struct {
	uint32_t bad_lo, bad_hi;	/* data that cannot be accessed */
	bool found;
	uint32_t at;			/* first byte of it that is met */
	bool store;
} hunt;

static bool find_bad(struct fixture *f, uint32_t mem, uint32_t spm)
{
	(void)f;
	(void)spm;
	if (mem + ELEM <= hunt.bad_lo || mem >= hunt.bad_hi)
		return true;
	hunt.found = true;
	hunt.at = mem > hunt.bad_lo ? mem : hunt.bad_lo;
	return false;
}

/* What comes before the first bad address in index order has been stored. */
static bool check_stored(struct fixture *f, uint32_t mem, uint32_t spm)
{
	if (mem + ELEM > hunt.bad_lo && mem < hunt.bad_hi)
		return false;
	assert_memory_equal(core_bus_ptr(f->bus, f->page[mem / NPU_PAGE_BYTES] +
						 mem % NPU_PAGE_BYTES, ELEM),
			    f->spm + spm, ELEM);
	return true;
}

static uint32_t random_mem(const struct shape *t)
{
	int64_t mem = t->mem_at;

	for (unsigned int k = 0; k < 5; k++)
		mem += rnd(t->dim[k]) * t->mem.stride[k] * (int64_t)ELEM;
	return (uint32_t)mem;
}

static void check_faults(struct fixture *f, bool store, bool hole)
{
	unsigned int faults = 0;

	while (faults < 60) {
		uint32_t start = hole ? rnd(NPU_PAGE_BYTES) : 0;
		uint32_t bytes = hole ? 1 + rnd(NPU_PAGE_BYTES - start) : NPU_PAGE_BYTES;
		enum npu_fault_code code = hole ? NPU_FAULT_BUS : NPU_FAULT_MMU_UNMAPPED;
		struct core_job job;
		struct shape t;
		uint32_t page;
		uint64_t va;

		if (faults % 20 == 0)
			randomise(f);
		make_shape(&t, store);
		page = random_mem(&t) / NPU_PAGE_BYTES;
		va = DATA_VA + (uint64_t)page * NPU_PAGE_BYTES;
		hunt.bad_lo = page * NPU_PAGE_BYTES + start;
		hunt.bad_hi = hunt.bad_lo + bytes;
		hunt.found = false;
		for_each(&t, find_bad, f);
		if (hole)
			core_bus_hole(f->bus, f->page[page] + start, bytes);
		else
			*core_bus_pte(f->bus, CTX, va, 0) = 0;
		load_image();
		add_shape(&t, store);
		core_cmds_end(&cmds);
		assert_int_equal(run(f, &job), hunt.found ? code : NPU_FAULT_NONE);
		if (hunt.found) {
			uint64_t at = core_bus_read64(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_VA));

			assert_int_equal(at, DATA_VA + hunt.at);
			if (store)
				for_each(&t, check_stored, f);
			faults++;
		}
		f->bus->holes = 0;
		core_bus_map(f->bus, CTX, va, f->page[page], NPU_PAGE_BYTES,
			     NPU_PTE_READ | NPU_PTE_WRITE);
	}
}

static void test_faults_unmapped(void **state)
{
	check_faults(*state, false, false);
	check_faults(*state, true, false);
}

static void test_faults_bus(void **state)
{
	check_faults(*state, false, true);
	check_faults(*state, true, true);
}

/* Steps that leave the address space, up and by wrapping. */
static void test_far_strides(void **state)
{
	struct fixture *f = *state;
	static const struct { uint32_t rows; int32_t step; uint64_t at; } far[] = {
		{ 70000, INT32_MAX - 3, DATA_VA + 0x7ffffffc },
		{ 4, INT32_MIN, DATA_VA - 0x80000000ull },
	};

	for (unsigned int i = 0; i < 2; i++) {
		struct npu_desc_dma *d;
		struct core_job job;

		cmds.used = 0;
		d = core_cmds_copy(&cmds, NPU_OP_LOAD, 0, 0, 0, ELEM);
		d->dim[0] = far[i].rows;
		d->mem.stride_bytes[0] = far[i].step;
		core_cmds_end(&cmds);
		assert_int_equal(run(f, &job), NPU_FAULT_MMU_UNMAPPED);
		assert_int_equal(core_bus_read64(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_VA)),
				 far[i].at);
	}
}

/* ---- FILL ---- */

static uint32_t fill_value;

static bool fill_elem(struct fixture *f, uint32_t mem, uint32_t spm)
{
	(void)mem;
	memcpy(f->spm + spm, &fill_value, ELEM);
	return true;
}

static void test_random_fills(void **state)
{
	struct fixture *f = *state;

	randomise(f);
	for (unsigned int round = 0; round < 300; round++) {
		struct npu_desc_fill *d;
		struct core_job job;
		struct shape t;

		make_shape(&t, true);
		fill_value = (uint32_t)rand() * 2654435761u;
		load_image();
		d = core_cmds_fill(&cmds, t.spm_at, ELEM, fill_value);
		for (unsigned int i = 0; i < 5; i++) {
			d->dim[i] = t.dim[i];
			d->spm_stride[i] = (int32_t)t.spm.stride[i];
		}
		store_image();
		assert_int_equal(run(f, &job), 0);
		for_each(&t, fill_elem, f);
		expect_memories(f);
	}
}

/* ---- Cost on the bus ---- */

static unsigned int reads_of(struct fixture *f, const struct shape *t)
{
	unsigned int before;
	struct core_job job;

	cmds.used = 0;
	core_cmds_end(&cmds);
	before = atomic_load(&f->bus->reads);
	assert_int_equal(run(f, &job), 0);
	before = atomic_load(&f->bus->reads) - before;
	cmds.used = 0;
	add_shape(t, false);
	core_cmds_end(&cmds);
	before += atomic_load(&f->bus->reads);
	assert_int_equal(run(f, &job), 0);
	return atomic_load(&f->bus->reads) - before;
}

/* Rows of 28 floats, columns of a matrix, a transposed matrix: no call per element. */
static void test_few_calls(void **state)
{
	struct fixture *f = *state;
	const struct shape rows = {
		.dim = { 1, 1, 1, 1000, 28 },
		.mem = { .stride = { 0, 0, 0, 56, 1 } },
		.spm = { .stride = { 0, 0, 0, 28, 1 } },
	};
	const struct shape columns = {
		.dim = { 1, 1, 1, 4000, 1 },
		.mem = { .stride = { 0, 0, 0, 16, 1 } },
		.spm = { .stride = { 0, 0, 0, 1, 1 } },
	};
	const struct shape transposed = {
		.dim = { 1, 1, 1, 128, 128 },
		.mem = { .stride = { 0, 0, 0, 1, 128 } },
		.spm = { .stride = { 0, 0, 0, 128, 1 } },
	};

	randomise(f);
	/* A page is read once, and its translation costs a little. */
	assert_true(reads_of(f, &rows) < 1000 * 56 * ELEM / NPU_PAGE_BYTES * 3 / 2);
	assert_true(reads_of(f, &columns) < 4000 * 16 * ELEM / NPU_PAGE_BYTES * 3 / 2);
	assert_true(reads_of(f, &transposed) < 128 * 128 * ELEM / NPU_PAGE_BYTES * 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random_loads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_stores, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults_unmapped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults_bus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_far_strides, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_fills, setup, teardown),
		cmocka_unit_test_setup_teardown(test_few_calls, setup, teardown),
	};
	unsigned int seed = (unsigned int)time(NULL);

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (argc > 2)
		seed = (unsigned int)strtoul(argv[2], NULL, 0);
	print_message("seed %u (%s '*' %u runs it again)\n", seed, argv[0], seed);
	srand(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
