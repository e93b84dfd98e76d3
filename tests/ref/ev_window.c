/* SPDX-License-Identifier: MIT */
/* Windows over images of any number of axes: convolution, pooling and their inverses. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

#define SPATIAL_MAX	(REF_MAX_RANK - 2)

/**
 * struct window - a window that slides over an image
 * @n: spatial axes
 * @taps: product of @kernel
 * @outs: product of @out
 */
struct window {
	int n;
	int64_t in[SPATIAL_MAX], out[SPATIAL_MAX], kernel[SPATIAL_MAX], stride[SPATIAL_MAX];
	int64_t dilation[SPATIAL_MAX], begin[SPATIAL_MAX], end[SPATIAL_MAX];
	int64_t taps, outs;
};

/* The attribute's list, or @unset for each axis. */
static int list(struct ev_call *c, const char *name, int n, int64_t unset, int64_t *value)
{
	size_t count;
	const int64_t *given = ev_attr_ints(c, name, &count);

	if (given && count != (size_t)n)
		return ev_bad(c, "%s has %zu values", name, count);
	for (int i = 0; i < n; i++)
		value[i] = given ? given[i] : unset;
	return 0;
}

static int common(struct ev_call *c, struct window *w, const int64_t *dims, int n)
{
	int64_t pads[2 * SPATIAL_MAX];

	if (n < 1 || n > SPATIAL_MAX)
		return ev_bad(c, "rank");
	w->n = n;
	memcpy(w->in, dims, (size_t)n * sizeof(*dims));
	if (list(c, "strides", n, 1, w->stride) || list(c, "dilations", n, 1, w->dilation) ||
	    list(c, "pads", 2 * n, 0, pads))
		return -EINVAL;
	memcpy(w->begin, pads, sizeof(w->begin));
	memcpy(w->end, pads + n, sizeof(w->end));
	w->taps = ev_count(w->kernel, 0, n);
	return 0;
}

static int64_t div_up(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* Output sizes of a window over the image @dims; @w->kernel is set. */
static int slide(struct ev_call *c, struct window *w, const int64_t *dims, int n)
{
	bool upper = ev_attr_is(c, "auto_pad", "SAME_UPPER", "NOTSET");
	bool same = upper || ev_attr_is(c, "auto_pad", "SAME_LOWER", "NOTSET");
	bool valid = ev_attr_is(c, "auto_pad", "VALID", "NOTSET");
	bool up = ev_attr_i(c, "ceil_mode", 0);

	if (common(c, w, dims, n))
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1, room;

		if (valid)
			w->begin[i] = w->end[i] = 0;
		if (same) {
			int64_t pad;

			w->out[i] = div_up(w->in[i], w->stride[i]);
			pad = (w->out[i] - 1) * w->stride[i] + reach - w->in[i];
			pad = pad < 0 ? 0 : pad;
			w->begin[i] = upper ? pad / 2 : pad - pad / 2;
			w->end[i] = pad - w->begin[i];
			continue;
		}
		room = w->in[i] + w->begin[i] + w->end[i] - reach;
		if (room < 0)
			return ev_bad(c, "the window is larger than the image");
		w->out[i] = (up ? div_up(room, w->stride[i]) : room / w->stride[i]) + 1;
		/* A window that starts beyond image and first padding is none. */
		if (up && (w->out[i] - 1) * w->stride[i] >= w->in[i] + w->begin[i])
			w->out[i]--;
	}
	w->outs = ev_count(w->out, 0, n);
	return 0;
}

/*
 * Element of the image under tap @k of window @o; -1: in the padding, -2: beyond
 * that.
 */
static int64_t under(const struct window *w, const int64_t *o, const int64_t *k)
{
	int64_t at = 0;
	bool inside = true;

	for (int i = 0; i < w->n; i++) {
		int64_t p = o[i] * w->stride[i] - w->begin[i] + k[i] * w->dilation[i];

		if (p >= w->in[i] + w->end[i])
			return -2;
		inside = inside && p >= 0 && p < w->in[i];
		at = at * w->in[i] + p;
	}
	return inside ? at : -1;
}

/* ---- Convolution ---- */

static double conv_sum(const struct ev_call *c, const struct window *w, const int64_t *o,
		       const double *x, const double *weight, int64_t channels, int64_t pixels)
{
	double sum = 0;
	int64_t k[SPATIAL_MAX] = { 0 };

	for (int64_t t = 0; t < w->taps; t++, ev_step(w->n, w->kernel, k)) {
		int64_t at = under(w, o, k);

		for (int64_t ch = 0; at >= 0 && ch < channels; ch++)
			sum = ev_jitter_sum(c, sum + x[ch * pixels + at] * weight[ch * w->taps + t]);
	}
	return sum;
}

/* What of a convolution the weights decide: @channels, and a window. */
static int fits_weights(struct ev_call *c, struct window *w, int64_t channels)
{
	int64_t kernel[SPATIAL_MAX];
	int n = c->in[1]->rank - 2;

	if (n < 1 || n > SPATIAL_MAX)
		return ev_bad(c, "rank");
	memcpy(w->kernel, c->in[1]->dims + 2, sizeof(w->kernel));
	if (list(c, "kernel_shape", n, -1, kernel) || ev_shaped(c, 2, 1, &channels))
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if (w->kernel[i] < 1 || (kernel[i] >= 0 && kernel[i] != w->kernel[i]))
			return ev_bad(c, "kernel_shape");
	return 0;
}

static int run_conv(struct ev_call *c)
{
	int ret = ev_need(c, 2);
	const struct ev_value *x = c->in[0], *weight = c->in[1];
	const double *b = c->ins > 2 && c->in[2] ? c->in[2]->v : NULL;
	int64_t dims[REF_MAX_RANK], groups = ev_attr_i(c, "group", 1), pixels, cg, m;
	struct window w;
	double *y;

	if (ret)
		return ret;
	if (x->rank < 3 || weight->rank != x->rank || groups < 1 ||
	    x->dims[1] != weight->dims[1] * groups || weight->dims[0] % groups)
		return ev_bad(c, "channels");
	if (fits_weights(c, &w, weight->dims[0]) || slide(c, &w, x->dims + 2, x->rank - 2))
		return -EINVAL;
	cg = weight->dims[1];
	m = weight->dims[0];
	dims[0] = x->dims[0];
	dims[1] = m;
	memcpy(dims + 2, w.out, sizeof(w.out));
	pixels = ev_count(w.in, 0, w.n);
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < dims[0] * m; i++) {
		int64_t o[SPATIAL_MAX] = { 0 }, n = i / m, f = i % m;
		const double *from = x->v + (n * x->dims[1] + f / (m / groups) * cg) * pixels;

		for (int64_t p = 0; p < w.outs; p++, ev_step(w.n, w.out, o))
			y[i * w.outs + p] = (b ? b[f] : 0) +
				conv_sum(c, &w, o, from, weight->v + f * cg * w.taps, cg, pixels);
	}
	return y ? 0 : -EINVAL;
}

/* Sizes and padding of ConvTranspose: the window slides over the output. */
static int slide_back(struct ev_call *c, struct window *w, const struct ev_value *x)
{
	bool upper = ev_attr_is(c, "auto_pad", "SAME_UPPER", "NOTSET");
	bool same = upper || ev_attr_is(c, "auto_pad", "SAME_LOWER", "NOTSET");
	int64_t extra[SPATIAL_MAX], want[SPATIAL_MAX];
	int n = x->rank - 2;

	if (common(c, w, x->dims + 2, n) || list(c, "output_padding", n, 0, extra) ||
	    list(c, "output_shape", n, -1, want))
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		int64_t full = w->stride[i] * (x->dims[2 + i] - 1) + extra[i] +
			(w->kernel[i] - 1) * w->dilation[i] + 1;
		int64_t total;

		w->out[i] = x->dims[2 + i];
		if (want[i] < 0 && same)
			want[i] = x->dims[2 + i] * w->stride[i];
		if (want[i] >= 0) {
			/* What lies beyond the last window is the bias alone. */
			total = full > want[i] ? full - want[i] : 0;
			w->begin[i] = upper ? total / 2 : total - total / 2;
			w->in[i] = want[i];
		} else {
			w->in[i] = full - w->begin[i] - w->end[i];
		}
		w->end[i] = INT32_MAX;
		if (w->in[i] < 1)
			return ev_bad(c, "no output is left");
	}
	w->outs = ev_count(w->out, 0, n);
	return 0;
}

static int run_conv_transpose(struct ev_call *c)
{
	int ret = ev_need(c, 2);
	const struct ev_value *x = c->in[0], *weight = c->in[1];
	const double *b = c->ins > 2 && c->in[2] ? c->in[2]->v : NULL;
	int64_t dims[REF_MAX_RANK], groups = ev_attr_i(c, "group", 1), pixels, mg, m;
	struct window w;
	double *y;

	if (ret)
		return ret;
	if (x->rank < 3 || weight->rank != x->rank || groups < 1 ||
	    x->dims[1] != weight->dims[0] || x->dims[1] % groups)
		return ev_bad(c, "channels");
	if (fits_weights(c, &w, weight->dims[1] * groups) || slide_back(c, &w, x))
		return -EINVAL;
	mg = weight->dims[1];
	m = mg * groups;
	dims[0] = x->dims[0];
	dims[1] = m;
	memcpy(dims + 2, w.in, sizeof(w.in));
	pixels = ev_count(w.in, 0, w.n);
	y = ev_out(c, 0, x->type, x->rank, dims);
	if (!y)
		return -EINVAL;
	for (int64_t i = 0; b && i < c->out[0].elems; i++)
		y[i] = b[i / pixels % m];
	for (int64_t i = 0; i < x->dims[0] * x->dims[1]; i++) {
		int64_t o[SPATIAL_MAX] = { 0 }, n = i / x->dims[1], ch = i % x->dims[1];
		int64_t g = ch / (x->dims[1] / groups);

		for (int64_t p = 0; p < w.outs; p++, ev_step(w.n, w.out, o)) {
			int64_t k[SPATIAL_MAX] = { 0 };

			for (int64_t t = 0; t < w.taps; t++, ev_step(w.n, w.kernel, k)) {
				int64_t at = under(&w, o, k);

				for (int64_t f = 0; at >= 0 && f < mg; f++)
					y[(n * m + g * mg + f) * pixels + at] +=
						x->v[i * w.outs + p] *
						weight->v[(ch * mg + f) * w.taps + t];
			}
		}
	}
	return 0;
}

/* ---- Pooling ---- */

/**
 * struct seen - what a window sees of a channel
 * @count: elements of the image
 * @padded: those, and the padding
 */
struct seen {
	double sum, power, max;
	int64_t max_at, count, padded;
};

static struct seen look(const struct window *w, const int64_t *o, const double *x, double p)
{
	struct seen s = { .max = -INFINITY, .max_at = -1 };
	int64_t k[SPATIAL_MAX] = { 0 };

	for (int64_t t = 0; t < w->taps; t++, ev_step(w->n, w->kernel, k)) {
		int64_t at = under(w, o, k);

		s.padded += at >= -1;
		if (at < 0)
			continue;
		s.count++;
		s.sum += x[at];
		s.power += p ? pow(fabs(x[at]), p) : 0;
		if (s.max_at < 0 || x[at] > s.max || (isnan(x[at]) && !isnan(s.max))) {
			s.max = x[at];
			s.max_at = at;
		}
	}
	return s;
}

/* The number of element @at when the last axis varies slowest. */
static int64_t column_major(const struct window *w, int64_t at)
{
	int64_t r = 0, coord[SPATIAL_MAX];

	for (int i = w->n - 1; i >= 0; at /= w->in[i--])
		coord[i] = at % w->in[i];
	for (int i = w->n - 1; i >= 0; i--)
		r = r * w->in[i] + coord[i];
	return r;
}

static int run_pool(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	bool max = *c->node->op_type == 'M', lp = *c->node->op_type == 'L';
	const struct ev_value *x = c->in[0];
	double p = lp ? (double)ev_attr_i(c, "p", 2) : 0, *y, *index = NULL;
	int64_t dims[REF_MAX_RANK], pixels;
	struct window w;

	if (ret)
		return ret;
	if (x->rank < 3 || list(c, "kernel_shape", x->rank - 2, -1, w.kernel) || w.kernel[0] < 0 ||
	    slide(c, &w, x->dims + 2, x->rank - 2))
		return ev_bad(c, "window");
	memcpy(dims, x->dims, sizeof(dims));
	memcpy(dims + 2, w.out, sizeof(w.out));
	pixels = ev_count(w.in, 0, w.n);
	y = ev_out(c, 0, x->type, x->rank, dims);
	if (max && c->outs > 1)
		index = ev_out(c, 1, EV_I64, x->rank, dims);
	for (int64_t i = 0; y && i < dims[0] * dims[1]; i++) {
		int64_t o[SPATIAL_MAX] = { 0 };

		for (int64_t q = 0; q < w.outs; q++, ev_step(w.n, w.out, o)) {
			struct seen s = look(&w, o, x->v + i * pixels, p);

			if (!s.count)
				return ev_bad(c, "a window without an element");
			y[i * w.outs + q] = max ? s.max : lp ? pow(s.power, 1 / p) : s.sum /
				(double)(ev_attr_i(c, "count_include_pad", 0) ? s.padded : s.count);
			if (index)
				index[i * w.outs + q] = (double)(i * pixels +
					(ev_attr_i(c, "storage_order", 0) ?
					 column_major(&w, s.max_at) : s.max_at));
		}
	}
	return y ? 0 : -EINVAL;
}

static int run_global_pool(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	const char kind = c->node->op_type[6];	/* Global[M]axPool */
	const struct ev_value *x = c->in[0];
	double p = (double)ev_attr_i(c, "p", 2), *y;
	int64_t dims[REF_MAX_RANK], pixels;

	if (ret)
		return ret;
	if (x->rank < 3)
		return ev_bad(c, "rank");
	for (int i = 0; i < x->rank; i++)
		dims[i] = i < 2 ? x->dims[i] : 1;
	pixels = ev_count(x->dims, 2, x->rank);
	if (!pixels)
		return ev_bad(c, "a window without an element");
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < dims[0] * dims[1]; i++) {
		double sum = 0, max = -INFINITY;

		for (int64_t k = 0; k < pixels; k++) {
			double v = x->v[i * pixels + k];

			sum += kind == 'L' ? pow(fabs(v), p) : v;
			max = isnan(v) || v > max ? v : max;
		}
		y[i] = kind == 'M' ? max : kind == 'A' ? sum / (double)pixels : pow(sum, 1 / p);
	}
	return y ? 0 : -EINVAL;
}

/* Indices count in the image that fits the window; a larger output has zeroes at its ends. */
static int run_max_unpool(struct ev_call *c)
{
	int ret = ev_need(c, 2), n;
	const struct ev_value *x = c->in[0];
	int64_t dims[REF_MAX_RANK], want[REF_MAX_RANK];
	struct window w;
	double *y;

	if (ret)
		return ret;
	n = x->rank - 2;
	if (n < 1 || list(c, "kernel_shape", n, -1, w.kernel) || common(c, &w, x->dims + 2, n) ||
	    !ev_same_shape(x, c->in[1]))
		return ev_bad(c, "window or shapes");
	memcpy(dims, x->dims, sizeof(dims));
	for (int i = 0; i < n; i++)
		dims[2 + i] = (x->dims[2 + i] - 1) * w.stride[i] - w.begin[i] - w.end[i] +
			w.kernel[i];
	memcpy(want, dims, sizeof(want));
	if (c->ins > 2 && c->in[2] && ev_ints(c, 2, want, REF_MAX_RANK) != x->rank)
		return ev_bad(c, "output_shape");
	y = ev_out(c, 0, x->type, x->rank, want);
	for (int64_t i = 0; y && i < x->elems; i++) {
		int64_t at = (int64_t)c->in[1]->v[i], to[REF_MAX_RANK];

		for (int k = x->rank - 1; k >= 0; at /= dims[k--])
			to[k] = at % dims[k];
		for (int k = 0; k < x->rank; k++)
			if (to[k] < 0 || to[k] >= want[k])
				return ev_bad(c, "index");
		y[ev_at(&c->out[0], to)] = x->v[i];
	}
	return y ? 0 : -EINVAL;
}

static int run_col2im(struct ev_call *c)
{
	int64_t image[SPATIAL_MAX], dims[REF_MAX_RANK], pixels, channels;
	int ret = ev_need(c, 3), n;
	const struct ev_value *x = c->in[0];
	struct window w;
	double *y;

	if (ret)
		return ret;
	n = ev_ints(c, 1, image, SPATIAL_MAX);
	if (n < 1 || x->rank != 3 || ev_ints(c, 2, w.kernel, SPATIAL_MAX) != n)
		return ev_bad(c, "shapes");
	if (slide(c, &w, image, n))
		return -EINVAL;
	channels = x->dims[1] / w.taps;
	if (x->dims[1] % w.taps || x->dims[2] != w.outs)
		return ev_bad(c, "blocks");
	dims[0] = x->dims[0];
	dims[1] = channels;
	memcpy(dims + 2, image, (size_t)n * sizeof(*image));
	pixels = ev_count(image, 0, n);
	y = ev_out(c, 0, x->type, n + 2, dims);
	for (int64_t i = 0; y && i < dims[0] * channels; i++) {
		int64_t k[SPATIAL_MAX] = { 0 };

		for (int64_t t = 0; t < w.taps; t++, ev_step(n, w.kernel, k)) {
			int64_t o[SPATIAL_MAX] = { 0 };

			for (int64_t q = 0; q < w.outs; q++, ev_step(n, w.out, o)) {
				int64_t at = under(&w, o, k);

				if (at >= 0)
					y[i * pixels + at] += x->v[(i * w.taps + t) * w.outs + q];
			}
		}
	}
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_window[] = {
	{ "Conv", run_conv, false },
	{ "ConvTranspose", run_conv_transpose, false },
	{ "MaxPool", run_pool, true },
	{ "AveragePool", run_pool, false },
	{ "LpPool", run_pool, false },
	{ "GlobalMaxPool", run_global_pool, true },
	{ "GlobalAveragePool", run_global_pool, false },
	{ "GlobalLpPool", run_global_pool, false },
	{ "MaxUnpool", run_max_unpool, true },
	{ "Col2Im", run_col2im, false },
	{ NULL, NULL, false }
};
