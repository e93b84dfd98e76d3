// SPDX-License-Identifier: MIT
/* Softmax in both of its ONNX meanings, and the reductions. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_priv.h"

static const char *const reduce_names[REF_REDUCE_COUNT] = {
#define REDUCE_ROW(id, text) [REF_REDUCE_##id] = text,
	REF_REDUCE_OPS(REDUCE_ROW)
#undef REDUCE_ROW
};

/* Softmax of count values, stride elements apart. */
static void softmax_line(enum ref_softmax_op op, const float *x, float *y,
			 int64_t count, int64_t stride)
{
	double max = -INFINITY, sum = 0;

	for (int64_t i = 0; i < count; i++)
		max = ref_max(max, x[i * stride]);
	for (int64_t i = 0; i < count; i++)
		sum += exp(x[i * stride] - max);
	for (int64_t i = 0; i < count; i++) {
		double shifted = x[i * stride] - max;

		y[i * stride] = (float)(op == REF_SOFTMAX ?
					exp(shifted) / sum :
					shifted - log(sum));
	}
}

/* Softmax over axes [axis, end) taken as one, for every other index. */
static int softmax_span(enum ref_softmax_op op, const struct ref_tensor *x,
			int axis, int end, struct ref_tensor *y)
{
	int64_t outer, count, inner;
	int ret;

	ret = ref_tensor_alloc(y, x->rank, x->dims);
	if (ret)
		return ret;
	outer = ref_count(x, 0, axis);
	count = ref_count(x, axis, end);
	inner = ref_count(x, end, x->rank);
	for (int64_t o = 0; o < outer; o++)
		for (int64_t i = 0; i < inner; i++)
			softmax_line(op, x->data + o * count * inner + i,
				     y->data + o * count * inner + i, count,
				     inner);
	return 0;
}

int ref_softmax(enum ref_softmax_op op, const struct ref_tensor *x, int axis,
		struct ref_tensor *y)
{
	if (!y)
		return -EINVAL;
	y->data = NULL;
	if ((op != REF_SOFTMAX && op != REF_LOG_SOFTMAX) || !ref_valid(x))
		return -EINVAL;
	axis = ref_axis(axis, x->rank);
	if (axis < 0)
		return -EINVAL;
	return softmax_span(op, x, axis, axis + 1, y);
}

int ref_softmax_2d(enum ref_softmax_op op, const struct ref_tensor *x, int axis,
		   struct ref_tensor *y)
{
	if (!y)
		return -EINVAL;
	y->data = NULL;
	if ((op != REF_SOFTMAX && op != REF_LOG_SOFTMAX) || !ref_valid(x))
		return -EINVAL;
	axis = ref_axis(axis, x->rank);
	if (axis < 0)
		return -EINVAL;
	return softmax_span(op, x, axis, x->rank, y);
}

static double reduce_start(enum ref_reduce_op op)
{
	switch (op) {
	case REF_REDUCE_PROD:
		return 1;
	case REF_REDUCE_MAX:
		return -INFINITY;
	case REF_REDUCE_MIN:
		return INFINITY;
	default:
		return 0;
	}
}

/* shift is the largest value of the set: only LogSumExp looks at it. */
static double reduce_add(enum ref_reduce_op op, double acc, double x,
			 double shift)
{
	switch (op) {
	case REF_REDUCE_MAX:
		return ref_max(acc, x);
	case REF_REDUCE_MIN:
		return ref_min(acc, x);
	case REF_REDUCE_PROD:
		return acc * x;
	case REF_REDUCE_L1:
		return acc + fabs(x);
	case REF_REDUCE_L2:
	case REF_REDUCE_SUM_SQUARE:
		return acc + x * x;
	case REF_REDUCE_LOG_SUM_EXP:
		return acc + exp(x - shift);
	default:
		return acc + x;
	}
}

static double reduce_end(enum ref_reduce_op op, double acc, int64_t count,
			 double shift)
{
	switch (op) {
	case REF_REDUCE_MEAN:
		return acc / (double)count;
	case REF_REDUCE_L2:
		return sqrt(acc);
	case REF_REDUCE_LOG_SUM:
		return log(acc);
	case REF_REDUCE_LOG_SUM_EXP:
		return log(acc) + shift;
	default:
		return acc;
	}
}

/* Marks the axes to reduce. */
static int reduce_axes(const struct ref_reduce *attr, int rank, bool *reduced)
{
	memset(reduced, 0, REF_MAX_RANK * sizeof(*reduced));
	if (attr->axis_count < 0 || attr->axis_count > rank ||
	    (attr->axis_count && !attr->axes))
		return -EINVAL;
	if (!attr->axis_count)
		for (int i = 0; i < rank; i++)
			reduced[i] = !attr->noop_with_empty_axes;
	for (int i = 0; i < attr->axis_count; i++) {
		int axis = ref_axis(attr->axes[i], rank);

		if (axis < 0 || reduced[axis])
			return -EINVAL;
		reduced[axis] = true;
	}
	return 0;
}

/* Accumulators and shifts, one each per output element. */
static void reduce_run(enum ref_reduce_op op, const struct ref_tensor *x,
		       const struct ref_tensor *kept, double *acc,
		       double *shift)
{
	int64_t coord[REF_MAX_RANK] = { 0 };
	int64_t elems = ref_tensor_elems(x);

	for (int64_t i = 0; i < elems; i++) {
		int64_t at = ref_broadcast_off(kept, x->rank, coord);

		shift[at] = ref_max(shift[at], x->data[i]);
		ref_step(x->rank, x->dims, coord);
	}
	memset(coord, 0, sizeof(coord));
	for (int64_t i = 0; i < elems; i++) {
		int64_t at = ref_broadcast_off(kept, x->rank, coord);
		/* Infinity minus infinity would hide an infinite sum. */
		double by = isinf(shift[at]) ? 0 : shift[at];

		acc[at] = reduce_add(op, acc[at], x->data[i], by);
		ref_step(x->rank, x->dims, coord);
	}
}

int ref_reduce(enum ref_reduce_op op, const struct ref_reduce *attr,
	       const struct ref_tensor *x, struct ref_tensor *y)
{
	bool reduced[REF_MAX_RANK];
	struct ref_tensor kept = { 0 };
	int64_t elems, set = 1, dims[REF_MAX_RANK];
	double *acc;
	int ret, rank = 0;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if ((int)op < 0 || op >= REF_REDUCE_COUNT || !attr || !ref_valid(x))
		return -EINVAL;
	ret = reduce_axes(attr, x->rank, reduced);
	if (ret)
		return ret;
	kept.rank = x->rank;
	for (int i = 0; i < x->rank; i++) {
		kept.dims[i] = reduced[i] ? 1 : x->dims[i];
		set *= reduced[i] ? x->dims[i] : 1;
		if (!reduced[i] || attr->keepdims)
			dims[rank++] = kept.dims[i];
	}
	ret = ref_tensor_alloc(y, rank, dims);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	acc = calloc(elems ? 2 * (size_t)elems : 1, sizeof(*acc));
	if (!acc) {
		ref_tensor_free(y);
		return -ENOMEM;
	}
	for (int64_t i = 0; i < elems; i++) {
		acc[i] = reduce_start(op);
		acc[elems + i] = -INFINITY;
	}
	reduce_run(op, x, &kept, acc, acc + elems);
	for (int64_t i = 0; i < elems; i++) {
		double by = acc[elems + i];

		y->data[i] = (float)reduce_end(op, acc[i], set,
					       isinf(by) ? 0 : by);
	}
	free(acc);
	return 0;
}

int ref_reduce_from_name(const char *name)
{
	for (int i = 0; name && i < REF_REDUCE_COUNT; i++)
		if (!strcmp(reduce_names[i], name))
			return i;
	return -EINVAL;
}

const char *ref_reduce_name(enum ref_reduce_op op)
{
	return (int)op >= 0 && op < REF_REDUCE_COUNT ? reduce_names[op] : NULL;
}
