/* SPDX-License-Identifier: MIT */
/* Normalisations: statistics over axes, and over neighbouring channels. */
#include <errno.h>
#include <math.h>

#include "ref_priv.h"

/* Is coordinate @c in the same group as @at: equal in all axes that stay? */
static bool same_group(const struct ref_tensor *x, unsigned int axes, const int64_t *at,
		       const int64_t *c)
{
	for (int i = 0; i < x->rank; i++)
		if (!(axes >> i & 1) && at[i] != c[i])
			return false;
	return true;
}

int ref_normalize(const struct ref_tensor *x, unsigned int axes, bool centre, double epsilon,
		  struct ref_tensor *y)
{
	int64_t at[REF_MAX_RANK] = { 0 }, elems;
	int ret = ref_valid(x) ? ref_tensor_alloc(y, x->rank, x->dims) : -EINVAL;

	if (ret)
		return ret;
	elems = ref_tensor_elems(x);
	for (int64_t i = 0; i < elems; i++) {
		int64_t c[REF_MAX_RANK] = { 0 }, count = 0;
		double sum = 0, squares = 0, mean;

		for (int64_t k = 0; k < elems; k++, ref_step(x->rank, x->dims, c)) {
			if (!same_group(x, axes, at, c))
				continue;
			count++;
			sum += x->data[k];
			squares += (double)x->data[k] * x->data[k];
		}
		mean = centre ? sum / (double)count : 0;
		y->data[i] = (float)((x->data[i] - mean) /
				     sqrt(squares / (double)count - mean * mean + epsilon));
		ref_step(x->rank, x->dims, at);
	}
	return 0;
}

int ref_lrn(const struct ref_tensor *x, int64_t size, double alpha, double beta, double bias,
	    struct ref_tensor *y)
{
	int ret = ref_valid(x) && x->rank > 2 ? ref_tensor_alloc(y, x->rank, x->dims) : -EINVAL;
	int64_t inner, channels;

	if (ret)
		return ret;
	inner = ref_count(x, 2, x->rank);
	channels = x->dims[1];
	for (int64_t i = 0; i < ref_tensor_elems(x); i++) {
		int64_t c = i / inner % channels;
		double sum = 0;

		for (int64_t k = c - (size - 1) / 2; k <= c + size / 2; k++) {
			double v;

			if (k < 0 || k >= channels)
				continue;
			v = x->data[i + (k - c) * inner];
			sum += v * v;
		}
		y->data[i] = (float)(x->data[i] / pow(bias + alpha / (double)size * sum, beta));
	}
	return 0;
}
