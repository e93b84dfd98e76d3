/* SPDX-License-Identifier: MIT */
/* Images sampled where a grid says. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ev_priv.h"

#define AXES_MAX	3

/* ---- AffineGrid ---- */

static double ticks(const struct ev_call *c, int64_t i, int64_t n)
{
	if (ev_attr_i(c, "align_corners", 0))
		return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : -1;
	return -1 + (2 * (double)i + 1) / (double)n;
}

static int run_affine_grid(struct ev_call *c)
{
	int ret = ev_need(c, 2), n;
	const struct ev_value *theta = c->in[0];
	int64_t size[2 + AXES_MAX], dims[2 + AXES_MAX], coord[2 + AXES_MAX] = { 0 };
	double *y;

	if (ret)
		return ret;
	n = ev_ints(c, 1, size, 2 + AXES_MAX) - 2;
	if (n < 2 || theta->rank != 3 || theta->dims[0] != size[0] || theta->dims[1] != n ||
	    theta->dims[2] != n + 1)
		return ev_bad(c, "theta or size");
	dims[0] = size[0];
	memcpy(dims + 1, size + 2, (size_t)n * sizeof(*dims));
	dims[n + 1] = n;
	y = ev_out(c, 0, theta->type, n + 2, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(n + 2, dims, coord)) {
		const double *row = theta->v + (coord[0] * n + coord[n + 1]) * (n + 1);

		/* The last axis of the image is the first coordinate. */
		y[i] = row[n];
		for (int k = 0; k < n; k++)
			y[i] += row[k] * ticks(c, coord[n - k], dims[n - k]);
	}
	return y ? 0 : -EINVAL;
}

/* ---- GridSample ---- */

static bool mode_is(const struct ev_call *c, const char *name)
{
	return ev_attr_is(c, "mode", name, c->opset < 20 ? "bilinear" : "linear");
}

/* Whatever @x is, back into [low, high] by mirrors at both ends. */
static double mirror(double x, double low, double high)
{
	double span = high - low, r;

	if (span <= 0)
		return low;
	r = fmod(fabs(x - low), 2 * span);
	return low + (r > span ? 2 * span - r : r);
}

/* Element @i of an axis of @n; -1: a zero. */
static int64_t element(const struct ev_call *c, int64_t i, int64_t n)
{
	if (ev_attr_is(c, "padding_mode", "zeros", "zeros"))
		return i < 0 || i >= n ? -1 : i;
	if (ev_attr_is(c, "padding_mode", "reflection", "zeros")) {
		bool corners = ev_attr_i(c, "align_corners", 0);

		i = (int64_t)mirror((double)i, corners ? 0 : -0.5,
				    (double)n - (corners ? 1 : 0.5));
	}
	return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static double weight(const struct ev_call *c, double d)
{
	const double a = -0.75;

	d = fabs(d);
	if (mode_is(c, "linear") || mode_is(c, "bilinear"))
		return d < 1 ? 1 - d : 0;
	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* The sum over axes [@axis, @n) of the elements around @at. */
static double sample(const struct ev_call *c, const double *x, const int64_t *dims, int n,
		     const double *at)
{
	bool nearest = mode_is(c, "nearest");
	int64_t inner = ev_count(dims, 1, n), from, count, step;
	double sum = 0;

	if (!n)
		return *x;
	count = nearest ? 1 : mode_is(c, "cubic") || mode_is(c, "bicubic") ? 4 : 2;
	from = (int64_t)(nearest ? nearbyint(*at) : floor(*at) - (double)(count / 2 - 1));
	for (step = 0; step < count; step++) {
		int64_t i = element(c, from + step, dims[0]);
		double w = nearest ? 1 : weight(c, *at - (double)(from + step));

		if (i >= 0 && w != 0)
			sum += ev_jitter(c, w * sample(c, x + i * inner, dims + 1, n - 1, at + 1));
	}
	return sum;
}

static int run_grid_sample(struct ev_call *c)
{
	bool corners = ev_attr_i(c, "align_corners", 0);
	int ret = ev_need(c, 2), n;
	const struct ev_value *x = c->in[0], *grid = c->in[1];
	int64_t dims[REF_MAX_RANK], pixels, places;
	double *y;

	if (ret)
		return ret;
	n = x->rank - 2;
	if (n < 1 || n > AXES_MAX || grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
	    grid->dims[n + 1] != n)
		return ev_bad(c, "shapes");
	memcpy(dims, x->dims, 2 * sizeof(*dims));
	memcpy(dims + 2, grid->dims + 1, (size_t)n * sizeof(*dims));
	pixels = ev_count(x->dims, 2, x->rank);
	places = ev_count(grid->dims, 1, n + 1);
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++) {
		int64_t image = i / places, place = image / x->dims[1] * places + i % places;
		double at[AXES_MAX];

		for (int k = 0; k < n; k++) {
			double g = grid->v[place * n + n - 1 - k], d = (double)x->dims[2 + k];
			double low = corners ? 0 : -0.5, high = d - (corners ? 1 : 0.5);

			/* A place near 0 comes of numbers around 1. */
			g = ev_jitter(c, g + 1);
			at[k] = corners ? g / 2 * (d - 1) : (ev_jitter(c, g * d) - 1) / 2;
			if (mode_is(c, "nearest"))
				at[k] = nearbyint(at[k]);
			/* Places outside are put back, then elements around them are, too. */
			if (at[k] >= low && at[k] <= high)
				continue;
			if (ev_attr_is(c, "padding_mode", "border", "zeros"))
				at[k] = fmin(fmax(at[k], 0), d - 1);
			if (ev_attr_is(c, "padding_mode", "reflection", "zeros"))
				at[k] = mirror(at[k], low, high);
		}
		y[i] = sample(c, x->v + image * pixels, x->dims + 2, n, at);
	}
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_sample[] = {
	{ "AffineGrid", run_affine_grid, false },
	{ "GridSample", run_grid_sample, false },
	{ NULL, NULL, false }
};
