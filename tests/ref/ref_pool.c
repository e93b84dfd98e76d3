// SPDX-License-Identifier: MIT
/* Pooling: windows and global. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "ref_priv.h"

/* What one window sees of one channel. */
struct window_sum {
	double sum;
	double max;
	int64_t max_at[REF_MAX_SPATIAL];
	int64_t taps;		/* in the input */
	int64_t padded_taps;	/* in the input or its explicit padding */
};

static void window_tap(struct window_sum *win, const struct ref_win_axis *axes,
		       const float *x, const int64_t *pos)
{
	double value;

	for (int i = 0; i < REF_MAX_SPATIAL; i++)
		if (pos[i] >= axes[i].in + axes[i].pad_end)
			return;
	win->padded_taps++;
	for (int i = 0; i < REF_MAX_SPATIAL; i++)
		if (pos[i] < 0 || pos[i] >= axes[i].in)
			return;
	value = x[(pos[0] * axes[1].in + pos[1]) * axes[2].in + pos[2]];
	win->sum += value;
	/* The first NaN stays, as does the first of equal maxima. */
	if (!win->taps || value > win->max ||
	    (isnan(value) && !isnan(win->max))) {
		win->max = value;
		for (int i = 0; i < REF_MAX_SPATIAL; i++)
			win->max_at[i] = pos[i];
	}
	win->taps++;
}

static struct window_sum window_scan(const struct ref_win_axis *axes,
				     const float *x, const int64_t *at)
{
	struct window_sum win = { 0 };

	for (int64_t kd = 0; kd < axes[0].kernel; kd++)
	for (int64_t kh = 0; kh < axes[1].kernel; kh++)
	for (int64_t kw = 0; kw < axes[2].kernel; kw++) {
		int64_t tap[] = { kd, kh, kw };
		int64_t pos[REF_MAX_SPATIAL];

		for (int i = 0; i < REF_MAX_SPATIAL; i++)
			pos[i] = at[i] * axes[i].stride - axes[i].pad_begin +
				 tap[i] * axes[i].dilation;
		window_tap(&win, axes, x, pos);
	}
	return win;
}

static int64_t flat_index(const struct ref_win_axis *axes, int storage_order,
			  const int64_t *pos)
{
	if (storage_order)
		return (pos[2] * axes[1].in + pos[1]) * axes[0].in + pos[0];
	return (pos[0] * axes[1].in + pos[1]) * axes[2].in + pos[2];
}

/* Checks the arguments, resolves the window and allocates y. */
static int pool_setup(const struct ref_pool *pool, const struct ref_tensor *x,
		      struct ref_win_axis *axes, struct ref_tensor *y)
{
	int64_t dims[REF_MAX_RANK];
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!pool || !ref_valid(x) || pool->storage_order < 0 ||
	    pool->storage_order > 1)
		return -EINVAL;
	ret = ref_window_resolve(&pool->win, x, pool->ceil_mode, axes);
	if (ret)
		return ret;
	dims[0] = x->dims[0];
	dims[1] = x->dims[1];
	for (int i = 2; i < x->rank; i++)
		dims[i] = axes[REF_MAX_SPATIAL - x->rank + i].out;
	return ref_tensor_alloc(y, x->rank, dims);
}

/* The window of output element i, whose coordinate is coord. */
static struct window_sum pool_window(const struct ref_win_axis *axes,
				     const struct ref_tensor *x,
				     const int64_t *coord)
{
	int64_t channel = coord[0] * x->dims[1] + coord[1];
	int64_t at[REF_MAX_SPATIAL] = { 0 };

	for (int i = 2; i < x->rank; i++)
		at[REF_MAX_SPATIAL - x->rank + i] = coord[i];
	return window_scan(axes, x->data + channel * ref_count(x, 2, x->rank),
			   at);
}

int ref_max_pool(const struct ref_pool *pool, const struct ref_tensor *x,
		 struct ref_tensor *y, int64_t **indices)
{
	struct ref_win_axis axes[REF_MAX_SPATIAL];
	int64_t coord[REF_MAX_RANK] = { 0 };
	int64_t elems, *idx = NULL;
	int ret;

	if (indices)
		*indices = NULL;
	ret = pool_setup(pool, x, axes, y);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	if (indices) {
		idx = calloc(elems ? (size_t)elems : 1, sizeof(*idx));
		if (!idx) {
			ref_tensor_free(y);
			return -ENOMEM;
		}
	}
	for (int64_t i = 0; i < elems; i++) {
		struct window_sum win = pool_window(axes, x, coord);
		int64_t channel = coord[0] * x->dims[1] + coord[1];

		if (!win.taps) {
			free(idx);
			ref_tensor_free(y);
			return -EINVAL;
		}
		y->data[i] = (float)win.max;
		if (idx)
			idx[i] = channel * ref_count(x, 2, x->rank) +
				 flat_index(axes, pool->storage_order,
					    win.max_at);
		ref_step(y->rank, y->dims, coord);
	}
	if (indices)
		*indices = idx;
	return 0;
}

int ref_average_pool(const struct ref_pool *pool, const struct ref_tensor *x,
		     struct ref_tensor *y)
{
	struct ref_win_axis axes[REF_MAX_SPATIAL];
	int64_t coord[REF_MAX_RANK] = { 0 };
	int64_t elems;
	int ret;

	ret = pool_setup(pool, x, axes, y);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	for (int64_t i = 0; i < elems; i++) {
		struct window_sum win = pool_window(axes, x, coord);
		int64_t divisor = pool->count_include_pad ? win.padded_taps :
							    win.taps;

		if (!win.taps) {
			ref_tensor_free(y);
			return -EINVAL;
		}
		y->data[i] = (float)(win.sum / (double)divisor);
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}

static int global_setup(const struct ref_tensor *x, struct ref_tensor *y)
{
	int64_t dims[REF_MAX_RANK];

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!ref_valid(x) || x->rank < 3 || !ref_count(x, 2, x->rank))
		return -EINVAL;
	for (int i = 0; i < x->rank; i++)
		dims[i] = i < 2 ? x->dims[i] : 1;
	return ref_tensor_alloc(y, x->rank, dims);
}

int ref_global_max_pool(const struct ref_tensor *x, struct ref_tensor *y)
{
	int64_t elems, size;
	int ret;

	ret = global_setup(x, y);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	size = ref_count(x, 2, x->rank);
	for (int64_t i = 0; i < elems; i++) {
		const float *in = x->data + i * size;
		double max = in[0];

		for (int64_t s = 1; s < size; s++)
			max = ref_max(max, in[s]);
		y->data[i] = (float)max;
	}
	return 0;
}

int ref_global_average_pool(const struct ref_tensor *x, struct ref_tensor *y)
{
	int64_t elems, size;
	int ret;

	ret = global_setup(x, y);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	size = ref_count(x, 2, x->rank);
	for (int64_t i = 0; i < elems; i++) {
		const float *in = x->data + i * size;
		double sum = 0;

		for (int64_t s = 0; s < size; s++)
			sum += in[s];
		y->data[i] = (float)(sum / (double)size);
	}
	return 0;
}
