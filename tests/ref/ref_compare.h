/* SPDX-License-Identifier: MIT */
/* How far results are from the oracle's, as numbers and as text. */
#ifndef REF_COMPARE_H
#define REF_COMPARE_H

#include <stddef.h>
#include <stdint.h>

struct ref_tensor;

/*
 * An element agrees when |got - want| <= atol + rtol * |want|; NaN agrees with
 * NaN only, infinity with the same infinity only. Elements that agree and are
 * not finite count as error 0; those that do not agree and are not finite count
 * as infinite error and UINT32_MAX ulp. The worst element is the one furthest
 * outside its tolerance; without a mismatch, the one with the largest error.
 */
struct ref_compare {
	int64_t count;
	int64_t mismatch_count;
	int64_t nan_count;		/* NaN in got where want has none */
	int64_t worst_idx;		/* -1 when count is 0 */
	float worst_got;
	float worst_want;
	double max_abs_err;
	double max_rel_err;		/* over want != 0 */
	uint32_t max_ulp;
	double atol;
	double rtol;
};

/* Distance in representable fp32 values; +0 and -0 are the same. */
uint32_t ref_ulp_distance(float a, float b);

/*
 * 0 when all elements agree, -ERANGE when some do not (res is filled in both
 * cases), -EINVAL for bad arguments or, with tensors, different shapes.
 */
int ref_compare(const float *got, const float *want, int64_t count, double atol,
		double rtol, struct ref_compare *res);
int ref_compare_tensors(const struct ref_tensor *got,
			const struct ref_tensor *want, double atol, double rtol,
			struct ref_compare *res);
/* One line: counts, errors, the worst element. Returns as snprintf does. */
int ref_compare_report(const struct ref_compare *res, const char *label,
		       char *buf, size_t buf_bytes);

struct ref_argmax {
	int64_t rows;
	int64_t agree;
	int64_t first_row;	/* the first row that differs, or -1 */
	int64_t first_got;
	int64_t first_want;
	double first_margin;	/* how much the oracle prefers its choice there */
};

/* Row by row over [rows, cols]; the first of equal maxima is the choice. */
int ref_compare_argmax(const float *got, const float *want, int64_t rows,
		       int64_t cols, struct ref_argmax *res);
int ref_argmax_report(const struct ref_argmax *res, const char *label,
		      char *buf, size_t buf_bytes);

#endif
