/* SPDX-License-Identifier: MIT */
/* Host threads: every part once, nothing left running afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fenv.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include "core.h"

#define PARTS_MAX	200u

static atomic_uint entered;
static atomic_uint left;

static void on_enter(void *opaque)
{
	assert_ptr_equal(opaque, &entered);
	atomic_fetch_add(&entered, 1);
}

static void on_exit_thread(void *opaque)
{
	(void)opaque;
	atomic_fetch_add(&left, 1);
}

static const struct npu_core_ops ops = {
	.thread_enter = on_enter,
	.thread_exit = on_exit_thread,
};

/**
 * struct work - argument of one call
 * @parts: of the call
 * @runs: how often each part has run; plain memory, the call orders it
 * @over: the call has returned
 */
struct work {
	uint32_t parts;
	uint32_t runs[PARTS_MAX];
	atomic_bool over;
};

static void part_of(void *arg, uint32_t part)
{
	struct work *w = arg;

	assert_false(atomic_load(&w->over));
	assert_true(part < w->parts);
	assert_int_equal(fegetround(), FE_TONEAREST);
	w->runs[part]++;
}

static void check_threads(unsigned int threads)
{
	struct npu_pool *pool;

	atomic_store(&entered, 0);
	atomic_store(&left, 0);
	pool = npu_pool_create(threads, &ops, &entered);
	assert_non_null(pool);
	assert_int_equal(npu_pool_threads(pool), threads);
	for (unsigned int round = 0; round < 3000; round++) {
		struct work w = { .parts = round % PARTS_MAX };

		npu_pool_run(pool, part_of, &w, w.parts);
		atomic_store(&w.over, true);
		for (uint32_t i = 0; i < PARTS_MAX; i++)
			assert_int_equal(w.runs[i], i < w.parts);
		if (round % 500 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	npu_pool_destroy(pool);
	assert_int_equal(atomic_load(&left), atomic_load(&entered));
	assert_true(atomic_load(&left) <= threads - 1);
}

static void test_every_part_once(void **state)
{
	(void)state;
	for (unsigned int threads = 1; threads <= 5; threads++)
		check_threads(threads);
}

static void test_destroy_unused(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 50; i++)
		npu_pool_destroy(npu_pool_create(3, &ops, &entered));
	npu_pool_destroy(NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_part_once),
		cmocka_unit_test(test_destroy_unused),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
