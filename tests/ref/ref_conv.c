// SPDX-License-Identifier: MIT
/* Window geometry as ONNX defines it, and convolution. */
#include <errno.h>
#include <string.h>

#include "ref_priv.h"

/* Bounds kernel, stride, dilation and pads, so that no sum overflows. */
#define MAX_EXTENT ((int64_t)1 << 30)

static bool in_range(int64_t value, int64_t low)
{
	return value >= low && value <= MAX_EXTENT;
}

/* Output size and padding of an axis whose other fields are known. */
static int resolve_axis(struct ref_win_axis *ax, enum ref_auto_pad auto_pad,
			bool ceil_mode)
{
	int64_t extent = ax->dilation * (ax->kernel - 1) + 1;
	int64_t room;

	if (auto_pad == REF_PAD_SAME_UPPER || auto_pad == REF_PAD_SAME_LOWER) {
		int64_t pad;

		ax->out = (ax->in + ax->stride - 1) / ax->stride;
		pad = (ax->out - 1) * ax->stride + extent - ax->in;
		if (pad < 0)
			pad = 0;
		ax->pad_begin = pad / 2;
		if (auto_pad == REF_PAD_SAME_LOWER)
			ax->pad_begin = pad - pad / 2;
		ax->pad_end = pad - ax->pad_begin;
		return ax->out > 0 ? 0 : -EINVAL;
	}
	room = ax->in + ax->pad_begin + ax->pad_end - extent;
	if (room < 0)
		return -EINVAL;
	ax->out = room / ax->stride + 1;
	if (ceil_mode && room % ax->stride) {
		/*
		 * A window that starts in the end padding is ignored. VALID is no exception:
		 * ONNX's own shape inference and ONNX Runtime round up.
		 */
		if (ax->out * ax->stride < ax->in + ax->pad_begin)
			ax->out++;
	}
	return 0;
}

int ref_window_resolve(const struct ref_window *win, const struct ref_tensor *x,
		       bool ceil_mode, struct ref_win_axis *axes)
{
	int spatial = x->rank - 2;
	int lead = REF_MAX_SPATIAL - spatial;

	if (spatial < 1 || spatial > REF_MAX_SPATIAL ||
	    (int)win->auto_pad < 0 || win->auto_pad > REF_PAD_VALID)
		return -EINVAL;
	for (int i = 0; i < lead; i++)
		axes[i] = (struct ref_win_axis){ .in = 1, .out = 1, .kernel = 1,
						 .stride = 1, .dilation = 1 };
	for (int i = 0; i < spatial; i++) {
		struct ref_win_axis *ax = &axes[lead + i];
		int ret;

		*ax = (struct ref_win_axis){
			.in = x->dims[2 + i],
			.kernel = win->kernel[i],
			.stride = win->strides[i] ? win->strides[i] : 1,
			.dilation = win->dilations[i] ? win->dilations[i] : 1,
			.pad_begin = win->pads[i],
			.pad_end = win->pads[spatial + i],
		};
		if (!in_range(ax->in, 1) || !in_range(ax->kernel, 1) ||
		    !in_range(ax->stride, 1) || !in_range(ax->dilation, 1) ||
		    !in_range(ax->pad_begin, 0) || !in_range(ax->pad_end, 0))
			return -EINVAL;
		if (win->auto_pad != REF_PAD_NOTSET &&
		    (ax->pad_begin || ax->pad_end))
			return -EINVAL;
		ret = resolve_axis(ax, win->auto_pad, ceil_mode);
		if (ret)
			return ret;
	}
	return 0;
}

/* The kernel of win, or w's own where win leaves it out. */
static int conv_kernel(const struct ref_window *win, const struct ref_tensor *w,
		       struct ref_window *full)
{
	bool given = false;

	*full = *win;
	for (int i = 0; i < w->rank - 2; i++)
		given |= win->kernel[i] != 0;
	for (int i = 0; i < w->rank - 2; i++) {
		if (given && win->kernel[i] != w->dims[2 + i])
			return -EINVAL;
		full->kernel[i] = w->dims[2 + i];
	}
	return 0;
}

/* One output element: x and w point at the group's input and one filter. */
static double conv_point(const struct ref_win_axis *axes, int64_t channels,
			 const float *x, const float *w, const int64_t *at)
{
	const struct ref_win_axis *d = &axes[0], *h = &axes[1], *v = &axes[2];
	double acc = 0;

	for (int64_t c = 0; c < channels; c++)
	for (int64_t kd = 0; kd < d->kernel; kd++)
	for (int64_t kh = 0; kh < h->kernel; kh++)
	for (int64_t kw = 0; kw < v->kernel; kw++) {
		int64_t id = at[0] * d->stride - d->pad_begin + kd * d->dilation;
		int64_t ih = at[1] * h->stride - h->pad_begin + kh * h->dilation;
		int64_t iw = at[2] * v->stride - v->pad_begin + kw * v->dilation;

		if (id < 0 || id >= d->in || ih < 0 || ih >= h->in ||
		    iw < 0 || iw >= v->in)
			continue;
		acc += (double)x[((c * d->in + id) * h->in + ih) * v->in + iw] *
		       w[((c * d->kernel + kd) * h->kernel + kh) * v->kernel +
			 kw];
	}
	return acc;
}

static int conv_check(int64_t groups, const struct ref_tensor *x,
		      const struct ref_tensor *w, const struct ref_tensor *b)
{
	if (!ref_valid(x) || !ref_valid(w) || (b && !ref_valid(b)))
		return -EINVAL;
	if (x->rank < 3 || x->rank > 2 + REF_MAX_SPATIAL ||
	    w->rank != x->rank || groups < 1 || w->dims[1] < 1 ||
	    w->dims[0] % groups || x->dims[1] % groups ||
	    x->dims[1] / groups != w->dims[1])
		return -EINVAL;
	if (b && (b->rank != 1 || b->dims[0] != w->dims[0]))
		return -EINVAL;
	return 0;
}

int ref_conv(const struct ref_window *win, int64_t groups,
	     const struct ref_tensor *x, const struct ref_tensor *w,
	     const struct ref_tensor *b, struct ref_tensor *y)
{
	struct ref_win_axis axes[REF_MAX_SPATIAL];
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	int64_t elems, x_chan, w_filter;
	struct ref_window full;
	int ret, lead;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	groups = groups ? groups : 1;
	ret = win ? conv_check(groups, x, w, b) : -EINVAL;
	if (!ret)
		ret = conv_kernel(win, w, &full);
	if (!ret)
		ret = ref_window_resolve(&full, x, false, axes);
	if (ret)
		return ret;
	lead = 2 + REF_MAX_SPATIAL - x->rank;
	dims[0] = x->dims[0];
	dims[1] = w->dims[0];
	for (int i = 2; i < x->rank; i++)
		dims[i] = axes[lead + i - 2].out;
	ret = ref_tensor_alloc(y, x->rank, dims);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	x_chan = ref_count(x, 2, x->rank);
	w_filter = ref_count(w, 1, w->rank);
	for (int64_t i = 0; i < elems; i++) {
		int64_t m = coord[1];
		int64_t group = m / (w->dims[0] / groups);
		int64_t at[REF_MAX_SPATIAL] = { 0 };
		int64_t first = coord[0] * x->dims[1] + group * w->dims[1];
		double acc = b ? b->data[m] : 0;

		for (int s = 2; s < x->rank; s++)
			at[lead + s - 2] = coord[s];
		acc += conv_point(axes, w->dims[1], x->data + first * x_chan,
				  w->data + m * w_filter, at);
		y->data[i] = (float)acc;
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}
