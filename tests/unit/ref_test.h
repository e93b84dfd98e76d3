/* SPDX-License-Identifier: MIT */
/* Tensors in one line, for the tests of the oracle. */
#ifndef REF_TEST_H
#define REF_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "ref.h"
#include "ref_compare.h"

/* A list of integers or of values as an argument; SHAPE is rank and dims. */
#define INTS(...) ((const int64_t[]){ __VA_ARGS__ })
#define VALUES(...) ((const float[]){ __VA_ARGS__ })
#define SHAPE(...)							\
	(int)(sizeof(INTS(__VA_ARGS__)) / sizeof(int64_t)), INTS(__VA_ARGS__)
#define SCALAR 0, NULL

static inline struct ref_tensor tensor(int rank, const int64_t *dims,
				       const float *values)
{
	struct ref_tensor t;

	assert_int_equal(ref_tensor_from(&t, rank, dims, values), 0);
	return t;
}

/* first, first + 1, ... */
static inline struct ref_tensor counting(int rank, const int64_t *dims,
					 float first)
{
	struct ref_tensor t;
	int64_t elems;

	assert_int_equal(ref_tensor_alloc(&t, rank, dims), 0);
	elems = ref_tensor_elems(&t);
	for (int64_t i = 0; i < elems; i++)
		t.data[i] = first + (float)i;
	return t;
}

/* Values in [-1, 1) that depend on *state only. */
static inline struct ref_tensor scattered(int rank, const int64_t *dims,
					  uint32_t *state)
{
	struct ref_tensor t;
	int64_t elems;

	assert_int_equal(ref_tensor_alloc(&t, rank, dims), 0);
	elems = ref_tensor_elems(&t);
	for (int64_t i = 0; i < elems; i++) {
		*state = *state * 1664525u + 1013904223u;
		t.data[i] = (float)(*state >> 8) / (float)(1 << 23) - 1;
	}
	return t;
}

/* y is want within rtol, and then freed. */
static inline void expect_within(struct ref_tensor *y,
				 const struct ref_tensor *want, double rtol)
{
	struct ref_compare res;
	char line[256];
	int ret = ref_compare_tensors(y, want, rtol * 1e-2, rtol, &res);

	if (ret == -EINVAL)
		fail_msg("shapes differ");
	if (ret) {
		ref_compare_report(&res, "values", line, sizeof(line));
		fail_msg("%s", line);
	}
	ref_tensor_free(y);
}

static inline void expect(struct ref_tensor *y, int rank, const int64_t *dims,
			  const float *values)
{
	struct ref_tensor want = tensor(rank, dims, values);

	expect_within(y, &want, 1e-6);
	ref_tensor_free(&want);
}

/* The same, without giving up the expected tensor. */
static inline void expect_same(struct ref_tensor *y,
			       const struct ref_tensor *want)
{
	expect_within(y, want, 1e-6);
}

/* A refused call leaves nothing to free. */
#define assert_refused(call, y)						\
	do {								\
		assert_int_equal(call, -EINVAL);			\
		assert_null((y).data);					\
	} while (0)

#endif
