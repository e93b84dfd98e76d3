/* SPDX-License-Identifier: MIT */
/* Gradients of windows: of a convolution's weights, and of what maxima chose. */
#include <errno.h>
#include <string.h>

#include "ref_priv.h"

/* Element of @x at channel @c (all images counted) and the tap that @at and @tap name. */
static double tap_value(const struct ref_win_axis *axes, const struct ref_tensor *x, int64_t c,
			const int64_t *at, const int64_t *tap)
{
	int64_t elem = c;

	for (int i = 0; i < REF_MAX_SPATIAL; i++) {
		const struct ref_win_axis *ax = &axes[i];
		int64_t p = at[i] * ax->stride - ax->pad_begin + tap[i] * ax->dilation;

		if (p < 0 || p >= ax->in)
			return 0;
		elem = elem * ax->in + p;
	}
	return x->data[elem];
}

/* Sum over images and places; @tap of weight (@k, @c of its group). */
static double weight_sum(const struct ref_win_axis *axes, const struct ref_tensor *x,
			 const struct ref_tensor *dy, int64_t k, int64_t channel,
			 const int64_t *tap)
{
	int64_t places = axes[0].out * axes[1].out * axes[2].out;
	double sum = 0;

	for (int64_t n = 0; n < x->dims[0]; n++)
		for (int64_t p = 0; p < places; p++) {
			int64_t at[REF_MAX_SPATIAL] = {
				p / (axes[1].out * axes[2].out), p / axes[2].out % axes[1].out,
				p % axes[2].out,
			};

			sum += tap_value(axes, x, n * x->dims[1] + channel, at, tap) *
			       dy->data[(n * dy->dims[1] + k) * places + p];
		}
	return sum;
}

int ref_conv_weight_grad(const struct ref_window *win, int64_t groups,
			 const struct ref_tensor *x, const struct ref_tensor *dy,
			 struct ref_tensor *dw)
{
	struct ref_win_axis axes[REF_MAX_SPATIAL];
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 }, elems;
	int lead = 2 + REF_MAX_SPATIAL - x->rank, ret;

	dw->data = NULL;
	if (!ref_valid(x) || !ref_valid(dy) || dy->rank != x->rank || groups < 1 ||
	    x->dims[1] % groups || dy->dims[1] % groups || dy->dims[0] != x->dims[0])
		return -EINVAL;
	ret = ref_window_resolve(win, x, false, axes);
	if (ret)
		return ret;
	dims[0] = dy->dims[1];
	dims[1] = x->dims[1] / groups;
	for (int i = 2; i < x->rank; i++) {
		if (dy->dims[i] != axes[lead + i - 2].out)
			return -EINVAL;
		dims[i] = axes[lead + i - 2].kernel;
	}
	ret = ref_tensor_alloc(dw, x->rank, dims);
	elems = ret ? 0 : ref_tensor_elems(dw);
	for (int64_t i = 0; i < elems; i++) {
		int64_t group = coord[0] / (dims[0] / groups), tap[REF_MAX_SPATIAL] = { 0 };

		for (int s = 2; s < x->rank; s++)
			tap[lead + s - 2] = coord[s];
		dw->data[i] = (float)weight_sum(axes, x, dy, coord[0], group * dims[1] + coord[1],
						tap);
		ref_step(dw->rank, dw->dims, coord);
	}
	return ret;
}

int ref_unpool(const struct ref_tensor *dy, const int64_t *position, int64_t spatial_rank,
	       const int64_t *sizes, struct ref_tensor *dx)
{
	int64_t dims[REF_MAX_RANK], plane = 1, places;
	int ret;

	dx->data = NULL;
	if (!ref_valid(dy) || dy->rank != 2 + spatial_rank)
		return -EINVAL;
	memcpy(dims, dy->dims, 2 * sizeof(*dims));
	for (int i = 0; i < spatial_rank; i++) {
		dims[2 + i] = sizes[i];
		plane *= sizes[i];
	}
	ret = ref_tensor_alloc(dx, dy->rank, dims);
	places = ref_count(dy, 2, dy->rank);
	for (int64_t i = 0; !ret && i < ref_tensor_elems(dy); i++) {
		if (position[i] < -1 || position[i] >= plane)
			return -EINVAL;
		if (position[i] >= 0)
			dx->data[i / places * plane + position[i]] += dy->data[i];
	}
	return ret;
}
