/* SPDX-License-Identifier: MIT */
/* Transposed convolution: each input element is added to a window of outputs. */
#include <errno.h>
#include <stdlib.h>

#include "ref_priv.h"

/**
 * struct place - where the taps of one input element go
 * @at: its position, per spatial axis
 */
struct place {
	const struct ref_window *win;
	const struct ref_tensor *w, *y;
	int64_t at[REF_MAX_SPATIAL];
};

/* Output element of tap @tap (row-major in the window), or -1 outside. */
static int64_t target(const struct place *p, int64_t tap)
{
	int spatial = p->w->rank - 2;
	int64_t index = 0, step = 1;

	for (int i = spatial; i-- > 0;) {
		int64_t k = tap % p->w->dims[2 + i];
		int64_t stride = p->win->strides[i] ? p->win->strides[i] : 1;
		int64_t dilation = p->win->dilations[i] ? p->win->dilations[i] : 1;
		int64_t o = p->at[i] * stride + k * dilation - p->win->pads[i];

		tap /= p->w->dims[2 + i];
		if (o < 0 || o >= p->y->dims[2 + i])
			return -1;
		index += o * step;
		step *= p->y->dims[2 + i];
	}
	return index;
}

static int alloc_output(const struct ref_window *win, const int64_t *extra, int64_t groups,
			const struct ref_tensor *x, const struct ref_tensor *w,
			struct ref_tensor *y)
{
	int64_t dims[REF_MAX_RANK] = { x->dims[0], w->dims[1] * groups };
	int spatial = x->rank - 2;

	for (int i = 0; i < spatial; i++) {
		int64_t stride = win->strides[i] ? win->strides[i] : 1;
		int64_t dilation = win->dilations[i] ? win->dilations[i] : 1;

		dims[2 + i] = stride * (x->dims[2 + i] - 1) + (extra ? extra[i] : 0) +
			      (w->dims[2 + i] - 1) * dilation + 1 - win->pads[i] -
			      win->pads[spatial + i];
		if (dims[2 + i] < 1)
			return -EINVAL;
	}
	return ref_tensor_alloc(y, x->rank, dims);
}

int ref_conv_transpose(const struct ref_window *win, const int64_t *extra, int64_t groups,
		       const struct ref_tensor *x, const struct ref_tensor *w,
		       const struct ref_tensor *b, struct ref_tensor *y)
{
	int ret = alloc_output(win, extra, groups, x, w, y);
	struct place p = { .win = win, .w = w, .y = y };
	int64_t coord[REF_MAX_RANK] = { 0 }, inner, taps;
	double *sum;

	if (ret)
		return ret;
	inner = ref_count(y, 2, y->rank);
	taps = ref_count(w, 2, w->rank);
	sum = calloc((size_t)ref_tensor_elems(y), sizeof(*sum));
	if (!sum)
		return -ENOMEM;
	for (int64_t i = 0; i < ref_tensor_elems(x); i++) {
		int64_t group = coord[1] / (x->dims[1] / groups);

		for (int s = 2; s < x->rank; s++)
			p.at[s - 2] = coord[s];
		for (int64_t m = 0; m < w->dims[1]; m++) {
			int64_t channel = coord[0] * y->dims[1] + group * w->dims[1] + m;
			double *out = sum + channel * inner;
			const float *filter = w->data + (coord[1] * w->dims[1] + m) * taps;

			for (int64_t t = 0; t < taps; t++)
				if (target(&p, t) >= 0)
					out[target(&p, t)] += (double)x->data[i] * filter[t];
		}
		ref_step(x->rank, x->dims, coord);
	}
	for (int64_t i = 0; i < ref_tensor_elems(y); i++)
		y->data[i] = (float)(sum[i] + (b ? b->data[i / inner % y->dims[1]] : 0));
	free(sum);
	return 0;
}
