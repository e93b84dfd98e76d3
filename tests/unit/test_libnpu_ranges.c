/* SPDX-License-Identifier: MIT */
/* Sets of ranges against a map of bits, and first fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ranges.h"

#define PLACES	97u

static void check_equal(const struct npu_ranges *r, const bool *used)
{
	bool seen[PLACES] = { false };

	for (size_t i = 0; i < r->count; i++) {
		assert_true(r->range[i].start < r->range[i].end);
		assert_true(!i || r->range[i - 1].end < r->range[i].start);
		for (uint64_t k = r->range[i].start; k < r->range[i].end; k++)
			seen[k] = true;
	}
	assert_memory_equal(seen, used, sizeof(seen));
}

static uint64_t naive_find(const bool *used, uint64_t bytes, uint64_t align, uint64_t guard)
{
	for (uint64_t at = 0; at + bytes <= PLACES; at += align) {
		uint64_t low = at < guard ? 0 : at - guard;
		bool good = true;

		for (uint64_t k = low; k < at + bytes + guard && k < PLACES; k++)
			good &= !used[k];
		if (good)
			return at;
	}
	return PLACES;
}

static void test_random(void **state)
{
	const char *text = getenv("NPU_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : (unsigned int)time(NULL);
	struct npu_ranges r = { .range = NULL };
	bool used[PLACES] = { false };

	(void)state;
	print_message("NPU_SEED=%u\n", seed);
	srand(seed);
	for (int round = 0; round < 20000; round++) {
		unsigned int start = (unsigned int)rand() % (PLACES - 1);
		unsigned int end = start + 1 + (unsigned int)rand() % (PLACES - start < 8 ?
								       PLACES - start - 1 + 1 : 8);
		uint64_t bytes = 1 + (unsigned int)rand() % 9;
		uint64_t align = 1u << rand() % 3;
		uint64_t guard = (unsigned int)rand() % 3;
		uint64_t naive;
		uint64_t at = PLACES;
		bool add = rand() % 2;

		assert_int_equal(npu_ranges_reserve(&r), 0);
		if (add)
			npu_ranges_add(&r, start, end);
		else
			npu_ranges_remove(&r, start, end);
		memset(used + start, add, end - start);
		check_equal(&r, used);

		naive = naive_find(used, bytes, align, guard);
		assert_int_equal(npu_ranges_find(&r, 0, PLACES, bytes, align, guard, &at),
				 naive < PLACES);
		assert_int_equal(at, naive);
	}
	npu_ranges_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
