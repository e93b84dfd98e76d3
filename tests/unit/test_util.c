/* SPDX-License-Identifier: MIT */
/* The arena: alignment, zeroes, limits, overflow; and the first message wins. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util.h"

static void test_alloc(void **state)
{
	struct nc_arena *a = nc_arena_create();
	size_t sum = 0, most = 0;
	char *last = NULL;

	(void)state;
	assert_non_null(a);
	for (size_t bytes = 1; bytes < (2u << 20); bytes = bytes * 5 / 2 + 1) {
		char *p = nc_alloc(a, bytes);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 64, 0);
		for (size_t i = 0; i < bytes; i += 1 + bytes / 64)
			assert_int_equal(p[i], 0);
		memset(p, 0xa5, bytes);
		if (last)
			assert_int_equal((unsigned char)last[0], 0xa5);
		last = p;
		sum += bytes;
		most += bytes + 63;
	}
	assert_in_range(nc_arena_bytes(a), sum, most);
	nc_arena_destroy(a);
}

static void test_limits(void **state)
{
	struct nc_arena *a = nc_arena_create();
	struct nc_diag diag = { "" };
	size_t sum;

	(void)state;
	nc_arena_limit(a, 1000);
	assert_non_null(nc_alloc(a, 512));
	assert_null(nc_alloc(a, 489));
	assert_int_equal(nc_arena_explain(a, &diag, -EINVAL), -EINVAL);
	nc_error(&diag, -ENOMEM, "no memory for it");
	assert_int_equal(nc_arena_explain(a, &diag, -ENOMEM), -E2BIG);
	assert_non_null(strstr(diag.text, "smaller shapes or a smaller batch (no memory for it)"));
	assert_non_null(nc_alloc(a, 384));
	assert_null(nc_alloc(a, 105));
	nc_arena_more(a, 200);
	assert_non_null(nc_alloc(a, 64));
	nc_arena_more(a, SIZE_MAX);
	assert_non_null(nc_alloc(a, 4096));
	nc_arena_limit(a, 0);
	nc_arena_more(a, 1);
	/* Alignment counts: small things are not for nothing. */
	sum = nc_arena_bytes(a);
	for (int i = 0; i < 100; i++)
		assert_non_null(nc_alloc(a, 1));
	assert_true(nc_arena_bytes(a) > sum + 99 * 64);
	assert_null(nc_alloc_array(a, SIZE_MAX / 2, 3));
	assert_null(nc_alloc(a, SIZE_MAX));
	assert_null(nc_alloc(a, SIZE_MAX - 64));
	assert_non_null(nc_alloc_array(a, 0, 8));
	nc_arena_destroy(a);
	nc_arena_destroy(NULL);
}

static void test_strings(void **state)
{
	struct nc_arena *a = nc_arena_create();

	(void)state;
	assert_string_equal(nc_strdup(a, "conv"), "conv");
	assert_string_equal(nc_printf(a, "%s_%d", "x", 7), "x_7");
	nc_arena_destroy(a);
}

static void test_first_message(void **state)
{
	struct nc_diag diag = { "" };

	(void)state;
	assert_int_equal(nc_error(&diag, -EINVAL, "first %d", 1), -EINVAL);
	assert_int_equal(nc_error(&diag, -ENOMEM, "second"), -ENOMEM);
	assert_string_equal(diag.text, "first 1");
	assert_int_equal(nc_error(NULL, -EIO, "nowhere"), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_first_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
