// SPDX-License-Identifier: MIT
/* Tensors of the oracle: storage, index arithmetic, broadcasting. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_priv.h"

int64_t ref_tensor_elems(const struct ref_tensor *t)
{
	int64_t elems = 1;
	bool empty = false;

	if (!t || t->rank < 0 || t->rank > REF_MAX_RANK)
		return -EINVAL;
	for (int i = 0; i < t->rank; i++) {
		if (t->dims[i] < 0)
			return -EINVAL;
		if (t->dims[i] == 0) {
			empty = true;
			continue;
		}
		if (t->dims[i] > REF_MAX_ELEMS / elems)
			return -EINVAL;
		elems *= t->dims[i];
	}
	return empty ? 0 : elems;
}

int ref_tensor_alloc(struct ref_tensor *t, int rank, const int64_t *dims)
{
	int64_t elems;

	if (!t || rank < 0 || rank > REF_MAX_RANK || (rank && !dims))
		return -EINVAL;
	memset(t, 0, sizeof(*t));
	t->rank = rank;
	if (rank)
		memcpy(t->dims, dims, (size_t)rank * sizeof(*dims));
	elems = ref_tensor_elems(t);
	if (elems < 0)
		return (int)elems;
	t->data = calloc(elems ? (size_t)elems : 1, sizeof(*t->data));
	return t->data ? 0 : -ENOMEM;
}

int ref_tensor_from(struct ref_tensor *t, int rank, const int64_t *dims,
		    const float *values)
{
	int ret = ref_tensor_alloc(t, rank, dims);
	int64_t elems;

	if (ret)
		return ret;
	elems = ref_tensor_elems(t);
	if (elems && !values) {
		ref_tensor_free(t);
		return -EINVAL;
	}
	if (elems)
		memcpy(t->data, values, (size_t)elems * sizeof(*values));
	return 0;
}

void ref_tensor_free(struct ref_tensor *t)
{
	if (!t)
		return;
	free(t->data);
	memset(t, 0, sizeof(*t));
}

bool ref_valid(const struct ref_tensor *t)
{
	return ref_tensor_elems(t) >= 0 && t->data;
}

int64_t ref_count(const struct ref_tensor *t, int from, int to)
{
	int64_t n = 1;

	for (int i = from; i < to; i++)
		n *= t->dims[i];
	return n;
}

int ref_axis(int64_t axis, int rank)
{
	if (axis < -rank || axis >= rank)
		return -EINVAL;
	return (int)(axis < 0 ? axis + rank : axis);
}

void ref_strides(const struct ref_tensor *t, int64_t *strides)
{
	int64_t stride = 1;

	for (int i = t->rank - 1; i >= 0; i--) {
		strides[i] = stride;
		stride *= t->dims[i];
	}
}

void ref_step(int rank, const int64_t *dims, int64_t *coord)
{
	for (int i = rank - 1; i >= 0; i--) {
		if (++coord[i] < dims[i])
			return;
		coord[i] = 0;
	}
}

int ref_broadcast(const struct ref_tensor *const *xs, int count,
		  struct ref_tensor *out)
{
	memset(out, 0, sizeof(*out));
	for (int n = 0; n < count; n++)
		if (xs[n]->rank > out->rank)
			out->rank = xs[n]->rank;
	for (int i = 0; i < out->rank; i++)
		out->dims[i] = 1;
	for (int n = 0; n < count; n++) {
		int lead = out->rank - xs[n]->rank;

		for (int i = 0; i < xs[n]->rank; i++) {
			int64_t dim = xs[n]->dims[i];
			int64_t *common = &out->dims[lead + i];

			if (*common == 1)
				*common = dim;
			else if (dim != 1 && dim != *common)
				return -EINVAL;
		}
	}
	return ref_tensor_elems(out) < 0 ? -EINVAL : 0;
}

int64_t ref_broadcast_off(const struct ref_tensor *x, int rank,
			  const int64_t *coord)
{
	int lead = rank - x->rank;
	int64_t off = 0;

	for (int i = 0; i < x->rank; i++)
		off = off * x->dims[i] +
		      (x->dims[i] == 1 ? 0 : coord[lead + i]);
	return off;
}

double ref_max(double a, double b)
{
	if (isnan(a) || isnan(b))
		return NAN;
	return a > b ? a : b;
}

double ref_min(double a, double b)
{
	if (isnan(a) || isnan(b))
		return NAN;
	return a < b ? a : b;
}
