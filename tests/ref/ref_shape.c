// SPDX-License-Identifier: MIT
/* Operators that move elements without computing. */
#include <errno.h>
#include <string.h>

#include "ref_priv.h"

int ref_transpose(const struct ref_tensor *x, const int64_t *perm,
		  struct ref_tensor *y)
{
	int64_t dims[REF_MAX_RANK], strides[REF_MAX_RANK];
	int64_t coord[REF_MAX_RANK] = { 0 };
	int from[REF_MAX_RANK];
	bool used[REF_MAX_RANK] = { false };
	int64_t elems;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!ref_valid(x))
		return -EINVAL;
	for (int i = 0; i < x->rank; i++) {
		int64_t axis = perm ? perm[i] : x->rank - 1 - i;

		if (axis < 0 || axis >= x->rank || used[axis])
			return -EINVAL;
		used[axis] = true;
		from[i] = (int)axis;
		dims[i] = x->dims[axis];
	}
	ret = ref_tensor_alloc(y, x->rank, dims);
	if (ret)
		return ret;
	ref_strides(x, strides);
	elems = ref_tensor_elems(y);
	for (int64_t n = 0; n < elems; n++) {
		int64_t off = 0;

		for (int i = 0; i < x->rank; i++)
			off += coord[i] * strides[from[i]];
		y->data[n] = x->data[off];
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}

int ref_reshape(const struct ref_tensor *x, int rank, const int64_t *shape,
		bool allow_zero, struct ref_tensor *y)
{
	struct ref_tensor want = { .rank = rank };
	int64_t elems, known;
	int inferred = -1;
	bool zero = false;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!ref_valid(x) || rank < 0 || rank > REF_MAX_RANK ||
	    (rank && !shape))
		return -EINVAL;
	for (int i = 0; i < rank; i++) {
		want.dims[i] = shape[i];
		if (shape[i] == -1) {
			if (inferred >= 0)
				return -EINVAL;
			inferred = i;
			want.dims[i] = 1;
		} else if (shape[i] == 0 && !allow_zero) {
			if (i >= x->rank)
				return -EINVAL;
			want.dims[i] = x->dims[i];
		}
		zero |= want.dims[i] == 0;
	}
	elems = ref_tensor_elems(x);
	known = ref_tensor_elems(&want);
	if (known < 0)
		return -EINVAL;
	if (inferred >= 0) {
		if (zero || elems % known)
			return -EINVAL;
		want.dims[inferred] = elems / known;
	}
	if (ref_tensor_elems(&want) != elems)
		return -EINVAL;
	return ref_tensor_from(y, rank, want.dims, x->data);
}

int ref_flatten(const struct ref_tensor *x, int axis, struct ref_tensor *y)
{
	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!ref_valid(x) || axis < -x->rank || axis > x->rank)
		return -EINVAL;
	if (axis < 0)
		axis += x->rank;
	return ref_tensor_from(y, 2,
			       (int64_t[]){ ref_count(x, 0, axis),
					    ref_count(x, axis, x->rank) },
			       x->data);
}

/* The shape of the concatenation. */
static int concat_shape(const struct ref_tensor *const *xs, int count, int axis,
			struct ref_tensor *shape)
{
	*shape = *xs[0];
	for (int n = 1; n < count; n++) {
		if (!ref_valid(xs[n]) || xs[n]->rank != shape->rank)
			return -EINVAL;
		for (int i = 0; i < shape->rank; i++)
			if (i != axis && xs[n]->dims[i] != shape->dims[i])
				return -EINVAL;
		shape->dims[axis] += xs[n]->dims[axis];
	}
	return 0;
}

int ref_concat(const struct ref_tensor *const *xs, int count, int axis,
	       struct ref_tensor *y)
{
	struct ref_tensor shape;
	int64_t outer, inner, done = 0;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!xs || count < 1 || !ref_valid(xs[0]))
		return -EINVAL;
	axis = ref_axis(axis, xs[0]->rank);
	if (axis < 0)
		return -EINVAL;
	ret = concat_shape(xs, count, axis, &shape);
	if (!ret)
		ret = ref_tensor_alloc(y, shape.rank, shape.dims);
	if (ret)
		return ret;
	outer = ref_count(&shape, 0, axis);
	inner = ref_count(&shape, axis + 1, shape.rank);
	for (int n = 0; n < count; n++) {
		int64_t width = xs[n]->dims[axis] * inner;

		for (int64_t o = 0; o < outer; o++)
			for (int64_t i = 0; i < width; i++)
				y->data[o * shape.dims[axis] * inner + done + i] =
					xs[n]->data[o * width + i];
		done += width;
	}
	return 0;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* First index and number of indices of one sliced axis. */
static int slice_axis(int64_t dim, int64_t start, int64_t end, int64_t step,
		      int64_t *first, int64_t *count)
{
	int64_t span;

	if (!step)
		return -EINVAL;
	if (start < 0)
		start += dim;
	if (end < 0)
		end += dim;
	if (step > 0) {
		start = clamp(start, 0, dim);
		end = clamp(end, 0, dim);
		span = end - start;
	} else {
		start = clamp(start, 0, dim - 1);
		end = clamp(end, -1, dim - 1);
		span = start - end;
		/* INT64_MIN has no positive counterpart. */
		step = step == INT64_MIN ? INT64_MAX : -step;
	}
	*first = start;
	*count = span > 0 && dim ? (span - 1) / step + 1 : 0;
	return 0;
}

int ref_slice(const struct ref_slice *attr, const struct ref_tensor *x,
	      struct ref_tensor *y)
{
	int64_t first[REF_MAX_RANK] = { 0 }, step[REF_MAX_RANK];
	int64_t dims[REF_MAX_RANK], strides[REF_MAX_RANK];
	int64_t coord[REF_MAX_RANK] = { 0 };
	bool used[REF_MAX_RANK] = { false };
	int64_t elems;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!attr || !ref_valid(x) || attr->count < 0 ||
	    attr->count > x->rank ||
	    (attr->count && (!attr->starts || !attr->ends)))
		return -EINVAL;
	for (int i = 0; i < x->rank; i++) {
		step[i] = 1;
		dims[i] = x->dims[i];
	}
	for (int i = 0; i < attr->count; i++) {
		int axis = ref_axis(attr->axes ? attr->axes[i] : i, x->rank);

		if (axis < 0 || used[axis])
			return -EINVAL;
		used[axis] = true;
		step[axis] = attr->steps ? attr->steps[i] : 1;
		ret = slice_axis(x->dims[axis], attr->starts[i], attr->ends[i],
				 step[axis], &first[axis], &dims[axis]);
		if (ret)
			return ret;
	}
	ret = ref_tensor_alloc(y, x->rank, dims);
	if (ret)
		return ret;
	ref_strides(x, strides);
	elems = ref_tensor_elems(y);
	for (int64_t n = 0; n < elems; n++) {
		int64_t off = 0;

		for (int i = 0; i < x->rank; i++)
			off += (first[i] + (coord[i] ? coord[i] * step[i] : 0)) *
			       strides[i];
		y->data[n] = x->data[off];
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}

int ref_pad(const struct ref_tensor *x, int count, const int64_t *pads,
	    const int64_t *axes, float value, struct ref_tensor *y)
{
	int64_t begin[REF_MAX_RANK] = { 0 }, dims[REF_MAX_RANK];
	int64_t coord[REF_MAX_RANK] = { 0 }, strides[REF_MAX_RANK];
	bool used[REF_MAX_RANK] = { false };
	int64_t elems;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!ref_valid(x) || count < 0 || count > x->rank ||
	    (count && !pads) || (!axes && count != x->rank))
		return -EINVAL;
	memcpy(dims, x->dims, sizeof(dims));
	for (int i = 0; i < count; i++) {
		int axis = ref_axis(axes ? axes[i] : i, x->rank);
		int64_t end = pads[count + i];

		if (axis < 0 || used[axis] || pads[i] > REF_MAX_ELEMS ||
		    pads[i] < -REF_MAX_ELEMS || end > REF_MAX_ELEMS ||
		    end < -REF_MAX_ELEMS)
			return -EINVAL;
		used[axis] = true;
		begin[axis] = pads[i];
		dims[axis] += pads[i] + end;
	}
	ret = ref_tensor_alloc(y, x->rank, dims);
	if (ret)
		return ret;
	ref_strides(x, strides);
	elems = ref_tensor_elems(y);
	for (int64_t n = 0; n < elems; n++) {
		bool inside = true;
		int64_t off = 0;

		for (int i = 0; i < x->rank; i++) {
			int64_t at = coord[i] - begin[i];

			inside &= at >= 0 && at < x->dims[i];
			off += at * strides[i];
		}
		y->data[n] = inside ? x->data[off] : value;
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}
