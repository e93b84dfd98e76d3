// SPDX-License-Identifier: MIT
/* Comparison of results with the oracle's. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ref.h"
#include "ref_compare.h"

/* Maps fp32 to integers in the same order, both zeros to 0. */
static int64_t ordered(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	if (bits & 0x80000000u)
		return -(int64_t)(bits & 0x7fffffffu);
	return bits;
}

uint32_t ref_ulp_distance(float a, float b)
{
	int64_t distance;

	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b) ? 0 : UINT32_MAX;
	distance = ordered(a) - ordered(b);
	return (uint32_t)(distance < 0 ? -distance : distance);
}

/* The verdict on one element. */
struct verdict {
	bool agree;
	double err;
	double excess;	/* error minus tolerance */
	uint32_t ulp;
};

static struct verdict judge(float got, float want, double atol, double rtol)
{
	struct verdict v = {
		.err = fabs((double)got - want),
		.ulp = ref_ulp_distance(got, want),
	};

	if (isfinite(got) && isfinite(want)) {
		v.excess = v.err - (atol + rtol * fabs((double)want));
		v.agree = v.excess <= 0;
		return v;
	}
	v.agree = (isnan(got) && isnan(want)) || got == want;
	v.err = v.agree ? 0 : INFINITY;
	v.ulp = v.agree ? 0 : UINT32_MAX;
	v.excess = v.agree ? -INFINITY : INFINITY;
	return v;
}

/* Whether v is worse than the worst so far, whose verdict is worst. */
static bool is_worse(const struct verdict *v, const struct verdict *worst)
{
	if (v->agree != worst->agree)
		return !v->agree;
	return v->agree ? v->err > worst->err : v->excess > worst->excess;
}

int ref_compare(const float *got, const float *want, int64_t count, double atol,
		double rtol, struct ref_compare *res)
{
	struct verdict worst = { .agree = true };

	if (!res || count < 0 || (count && (!got || !want)) || !(atol >= 0) ||
	    !(rtol >= 0))
		return -EINVAL;
	*res = (struct ref_compare){ .count = count, .worst_idx = -1,
				     .atol = atol, .rtol = rtol };
	for (int64_t i = 0; i < count; i++) {
		struct verdict v = judge(got[i], want[i], atol, rtol);
		double rel = want[i] != 0 ? v.err / fabs((double)want[i]) : 0;

		res->mismatch_count += !v.agree;
		res->nan_count += isnan(got[i]) && !isnan(want[i]);
		if (res->worst_idx < 0 || is_worse(&v, &worst)) {
			res->worst_idx = i;
			res->worst_got = got[i];
			res->worst_want = want[i];
			worst = v;
		}
		if (v.err > res->max_abs_err)
			res->max_abs_err = v.err;
		if (rel > res->max_rel_err)
			res->max_rel_err = rel;
		if (v.ulp > res->max_ulp)
			res->max_ulp = v.ulp;
	}
	return res->mismatch_count ? -ERANGE : 0;
}

int ref_compare_tensors(const struct ref_tensor *got,
			const struct ref_tensor *want, double atol, double rtol,
			struct ref_compare *res)
{
	int64_t elems = ref_tensor_elems(want);

	if (elems < 0 || ref_tensor_elems(got) != elems ||
	    got->rank != want->rank ||
	    memcmp(got->dims, want->dims,
		   (size_t)want->rank * sizeof(*want->dims)))
		return -EINVAL;
	return ref_compare(got->data, want->data, elems, atol, rtol, res);
}

int ref_compare_report(const struct ref_compare *res, const char *label,
		       char *buf, size_t buf_bytes)
{
	return snprintf(buf, buf_bytes,
			"%s: %" PRId64 " of %" PRId64
			" outside atol %g rtol %g (NaN %" PRId64
			"), max abs %.3g rel %.3g ulp %" PRIu32
			", worst at %" PRId64 ": got %.9g want %.9g",
			label, res->mismatch_count, res->count, res->atol,
			res->rtol, res->nan_count, res->max_abs_err,
			res->max_rel_err, res->max_ulp, res->worst_idx,
			res->worst_got, res->worst_want);
}

static int64_t argmax(const float *row, int64_t cols)
{
	int64_t best = 0;

	for (int64_t i = 1; i < cols; i++)
		if (row[i] > row[best])
			best = i;
	return best;
}

int ref_compare_argmax(const float *got, const float *want, int64_t rows,
		       int64_t cols, struct ref_argmax *res)
{
	if (!res || rows < 0 || cols < 1 || (rows && (!got || !want)))
		return -EINVAL;
	*res = (struct ref_argmax){ .rows = rows, .first_row = -1 };
	for (int64_t r = 0; r < rows; r++) {
		const float *want_row = want + r * cols;
		int64_t a = argmax(got + r * cols, cols);
		int64_t b = argmax(want_row, cols);

		if (a == b && !isnan(got[r * cols + a])) {
			res->agree++;
			continue;
		}
		if (res->first_row >= 0)
			continue;
		res->first_row = r;
		res->first_got = a;
		res->first_want = b;
		res->first_margin = (double)want_row[b] - want_row[a];
	}
	return res->agree == rows ? 0 : -ERANGE;
}

int ref_argmax_report(const struct ref_argmax *res, const char *label,
		      char *buf, size_t buf_bytes)
{
	if (res->first_row < 0)
		return snprintf(buf, buf_bytes,
				"%s: all %" PRId64 " predictions agree", label,
				res->rows);
	return snprintf(buf, buf_bytes,
			"%s: %" PRId64 " of %" PRId64
			" predictions agree, first difference in row %" PRId64
			": got %" PRId64 " want %" PRId64 ", margin %.3g",
			label, res->agree, res->rows, res->first_row,
			res->first_got, res->first_want, res->first_margin);
}
