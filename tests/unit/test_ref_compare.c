// SPDX-License-Identifier: MIT
/* The judge of all results: tolerance, NaN, infinity, ulp, argmax. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "ref_test.h"

static void ulp_distances(void **state)
{
	(void)state;
	assert_int_equal(ref_ulp_distance(1, 1), 0);
	assert_int_equal(ref_ulp_distance(1, nextafterf(1, 2)), 1);
	assert_int_equal(ref_ulp_distance(1, nextafterf(1, 0)), 1);
	assert_int_equal(ref_ulp_distance(0.0f, -0.0f), 0);
	assert_int_equal(ref_ulp_distance(FLT_TRUE_MIN, -FLT_TRUE_MIN), 2);
	assert_int_equal(ref_ulp_distance(FLT_MAX, INFINITY), 1);
	assert_int_equal(ref_ulp_distance(1, 2), 1 << 23);
	assert_true(ref_ulp_distance(INFINITY, -INFINITY) == 0xff000000u);
	assert_true(ref_ulp_distance(NAN, 1) == UINT32_MAX);
	assert_int_equal(ref_ulp_distance(NAN, NAN), 0);
}

static void tolerances(void **state)
{
	static const float want[] = { 100, 0, -10 };
	static const float got[] = { 100.5f, 0.25f, -10 };
	struct ref_compare res;

	(void)state;
	assert_int_equal(ref_compare(want, want, 3, 0, 0, &res), 0);
	assert_true(res.max_abs_err == 0 && res.max_ulp == 0);
	assert_int_equal(ref_compare(got, want, 3, 0.25, 0.0025, &res), 0);
	assert_true(res.max_abs_err == 0.5);
	assert_true(fabs(res.max_rel_err - 0.005) < 1e-12);
	assert_int_equal(res.worst_idx, 0);
	assert_int_equal(ref_compare(got, want, 3, 0.2, 0.01, &res), -ERANGE);
	assert_int_equal(res.mismatch_count, 1);
	/* Outside its tolerance counts more than far away. */
	assert_int_equal(res.worst_idx, 1);
	assert_true(res.worst_got == 0.25f && res.worst_want == 0);
	assert_int_equal(ref_compare(got, want, 3, 0, 0, &res), -ERANGE);
	assert_int_equal(res.mismatch_count, 2);
	assert_int_equal(res.worst_idx, 0);
	assert_int_equal(ref_compare(got, want, 0, 0, 0, &res), 0);
	assert_int_equal(res.worst_idx, -1);
	assert_int_equal(ref_compare(got, want, 3, -1, 0, &res), -EINVAL);
	assert_int_equal(ref_compare(got, want, 3, 0, NAN, &res), -EINVAL);
	assert_int_equal(ref_compare(NULL, want, 3, 0, 0, &res), -EINVAL);
	assert_int_equal(ref_compare(got, want, -1, 0, 0, &res), -EINVAL);
}

static void special_values(void **state)
{
	static const float want[] = { NAN, INFINITY, -INFINITY, 1 };
	static const float nan_got[] = { NAN, INFINITY, -INFINITY, NAN };
	static const float inf_got[] = { 0, FLT_MAX, INFINITY, 1 };
	struct ref_compare res;

	(void)state;
	assert_int_equal(ref_compare(want, want, 4, 0, 0, &res), 0);
	assert_true(res.max_abs_err == 0 && res.nan_count == 0);
	/* No tolerance makes a NaN or a wrong infinity acceptable. */
	assert_int_equal(ref_compare(nan_got, want, 4, INFINITY, 1, &res),
			 -ERANGE);
	assert_int_equal(res.nan_count, 1);
	assert_int_equal(res.mismatch_count, 1);
	assert_int_equal(res.worst_idx, 3);
	assert_true(isinf(res.max_abs_err) && res.max_ulp == UINT32_MAX);
	assert_int_equal(ref_compare(inf_got, want, 4, INFINITY, 1, &res),
			 -ERANGE);
	assert_int_equal(res.mismatch_count, 3);
	assert_int_equal(res.worst_idx, 0);
}

static void tensors_need_one_shape(void **state)
{
	struct ref_tensor a = counting(SHAPE(2, 3), 0);
	struct ref_tensor b = counting(SHAPE(3, 2), 0);
	struct ref_tensor c = counting(SHAPE(6), 0);
	struct ref_compare res;

	(void)state;
	assert_int_equal(ref_compare_tensors(&a, &a, 0, 0, &res), 0);
	assert_int_equal(ref_compare_tensors(&a, &b, 0, 0, &res), -EINVAL);
	assert_int_equal(ref_compare_tensors(&a, &c, 0, 0, &res), -EINVAL);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
	ref_tensor_free(&c);
}

static void argmax_agreement(void **state)
{
	static const float want[] = { 0, 1, 0, 0.25f, 0.5f, 0.25f, 1, 1, 0 };
	static const float got[] = { 0, 2, 0, 0.6f, 0.5f, 0.1f, 3, 3, 1 };
	static const float nan_got[] = { NAN, 1, 0, 0, 1, 0, 1, 0, 0 };
	struct ref_argmax res;

	(void)state;
	assert_int_equal(ref_compare_argmax(want, want, 3, 3, &res), 0);
	assert_int_equal(res.agree, 3);
	assert_int_equal(res.first_row, -1);
	assert_int_equal(ref_compare_argmax(got, want, 3, 3, &res), -ERANGE);
	assert_int_equal(res.agree, 2);
	assert_int_equal(res.first_row, 1);
	assert_int_equal(res.first_got, 0);
	assert_int_equal(res.first_want, 1);
	assert_true(res.first_margin == 0.25);
	assert_int_equal(ref_compare_argmax(nan_got, want, 3, 3, &res), -ERANGE);
	assert_int_equal(res.first_row, 0);
	assert_int_equal(ref_compare_argmax(got, want, 3, 0, &res), -EINVAL);
}

static void reports_name_the_worst(void **state)
{
	static const float want[] = { 1, 2 }, got[] = { 1, 3 };
	struct ref_argmax choice;
	struct ref_compare res;
	char line[256];

	(void)state;
	assert_int_equal(ref_compare(got, want, 2, 0.5, 0, &res), -ERANGE);
	assert_in_range(ref_compare_report(&res, "conv", line, sizeof(line)), 1,
			sizeof(line) - 1);
	assert_non_null(strstr(line, "conv: 1 of 2 outside"));
	assert_non_null(strstr(line, "worst at 1: got 3 want 2"));
	assert_int_equal(ref_compare_argmax(got, want, 1, 2, &choice), 0);
	ref_argmax_report(&choice, "cnn", line, sizeof(line));
	assert_string_equal(line, "cnn: all 1 predictions agree");
	assert_int_equal(ref_compare_argmax(VALUES(2, 1), want, 1, 2, &choice),
			 -ERANGE);
	ref_argmax_report(&choice, "cnn", line, sizeof(line));
	assert_non_null(strstr(line, "row 0: got 0 want 1, margin 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ulp_distances),
		cmocka_unit_test(tolerances),
		cmocka_unit_test(special_values),
		cmocka_unit_test(tensors_need_one_shape),
		cmocka_unit_test(argmax_agreement),
		cmocka_unit_test(reports_name_the_worst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
