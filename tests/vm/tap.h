/* SPDX-License-Identifier: MIT */
/*
 * Tests that print TAP. A program is a table of functions; a check that fails
 * says where and ends its test, not the program.
 */
#ifndef TAP_H
#define TAP_H

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct tap_test {
	const char *name;
	void (*run)(void);
};

extern jmp_buf tap_abort;
/* Set in a process forked by a test: a failed check ends it with status 1. */
extern int tap_child;

#define TAP_TEST(name)	{ #name, name }

#define tap_fail(...) \
	do { \
		printf("# %s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__); \
		printf("\n"); \
		fflush(stdout); \
		if (tap_child) \
			_exit(1); \
		longjmp(tap_abort, 1); \
	} while (0)

#define check(condition) \
	do { \
		if (!(condition)) \
			tap_fail("not so: %s", #condition); \
	} while (0)

/* Both as long long; prints both when they differ. */
#define check_eq(a, b) \
	do { \
		long long a_value = (long long)(a), b_value = (long long)(b); \
		if (a_value != b_value) \
			tap_fail("%s is %lld (0x%llx), not %lld (0x%llx)", #a, a_value, \
				 (unsigned long long)a_value, b_value, \
				 (unsigned long long)b_value); \
	} while (0)

/* Exit status for main(). */
int tap_run(const struct tap_test *tests, size_t count);

#endif
