/* SPDX-License-Identifier: MIT */
/* Resize and Upsample, one axis after the other. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

/**
 * struct axis - one axis
 * @width: of the output, before it is made whole
 * @from: start of what is shown, @to: its end
 * @moved: it is resized at all
 */
struct axis {
	int64_t in, out;
	double scale, width, from, to;
	bool moved;
};

static bool mode_is(const struct ev_call *c, const char *mode)
{
	return ev_attr_is(c, "mode", mode, "nearest");
}

/* Opset 10 has no choice. */
static bool transform_is(const struct ev_call *c, const char *name)
{
	return ev_attr_is(c, "coordinate_transformation_mode", name,
			  c->opset < 11 || *c->node->op_type == 'U' ? "asymmetric" : "half_pixel");
}

static double coordinate(const struct ev_call *c, const struct axis *a, int64_t x)
{
	double half = ((double)x + 0.5) / a->scale - 0.5, in = (double)a->in;

	if (transform_is(c, "asymmetric"))
		return (double)x / a->scale;
	if (transform_is(c, "tf_half_pixel_for_nn"))
		return half + 0.5;
	if (transform_is(c, "align_corners"))
		return a->width == 1 ? 0 : (double)x * (in - 1) / (a->width - 1);
	if (transform_is(c, "tf_crop_and_resize"))
		return a->out > 1 ? a->from * (in - 1) + (double)x * (a->to - a->from) * (in - 1) /
				    (double)(a->out - 1) :
				    0.5 * (a->from + a->to) * (in - 1);
	if (transform_is(c, "pytorch_half_pixel"))
		return a->width > 1 ? half : 0;
	if (transform_is(c, "half_pixel_symmetric"))
		return in / 2 * (1 - (double)a->out / a->width) + half;
	return half;
}

static double nearest(const struct ev_call *c, const struct axis *a, double x)
{
	/* Opset 10 does not say it; its test of a smaller image shows it. */
	const char *old = a->scale < 1 ? "ceil" : "floor";
	const char *unset = c->opset < 11 || *c->node->op_type == 'U' ? old :
			    "round_prefer_floor";

	if (ev_attr_is(c, "nearest_mode", "floor", unset))
		return floor(x);
	if (ev_attr_is(c, "nearest_mode", "ceil", unset))
		return ceil(x);
	if (ev_attr_is(c, "nearest_mode", "round_prefer_ceil", unset))
		return floor(x + 0.5);
	return ceil(x - 0.5);
}

/* The weight of an element at distance @d from the coordinate. */
static double weight(const struct ev_call *c, double d)
{
	double a = ev_attr_f(c, "cubic_coeff_a", -0.75);

	d = fabs(d);
	if (!mode_is(c, "cubic"))
		return d < 1 ? 1 - d : 0;
	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* One element of the output from a line of @a->in elements @step apart. */
static double sample(const struct ev_call *c, const struct axis *a, const double *line,
		     int64_t step, int64_t i)
{
	double x = coordinate(c, a, i), sum = 0, total = 0, stretch = 1, reach;

	if (mode_is(c, "nearest")) {
		x = fmin(fmax(nearest(c, a, x), 0), (double)(a->in - 1));
		return line[(int64_t)x * step];
	}
	if (ev_attr_i(c, "antialias", 0) && a->scale < 1)
		stretch = a->scale;
	reach = (mode_is(c, "cubic") ? 2 : 1) / stretch;
	for (int64_t k = (int64_t)floor(x - reach); k <= (int64_t)ceil(x + reach); k++) {
		double w = weight(c, ((double)k - x) * stretch);
		int64_t at = k < 0 ? 0 : k >= a->in ? a->in - 1 : k;

		if (k != at && ev_attr_i(c, "exclude_outside", 0))
			w = 0;
		sum += w * line[at * step];
		total += w;
	}
	return sum / total;
}

static int resize_axis(const struct ev_call *c, const struct axis *a, int axis,
		       struct ev_value *x)
{
	int64_t dims[REF_MAX_RANK], step = ev_count(x->dims, axis + 1, x->rank);
	struct ev_value y;

	memcpy(dims, x->dims, sizeof(dims));
	dims[axis] = a->out;
	if (ev_alloc(&y, x->type, x->rank, dims))
		return -EINVAL;
	for (int64_t e = 0; e < y.elems; e++) {
		int64_t i = e / step % a->out, outer = e / step / a->out;

		y.v[e] = sample(c, a, x->v + outer * a->in * step + e % step, step, i);
	}
	ev_free(x);
	*x = y;
	return 0;
}

static const struct ev_value *given(const struct ev_call *c, unsigned int i)
{
	return i < c->ins && c->in[i] && c->in[i]->elems ? c->in[i] : NULL;
}

/* All sizes by one scale, the smallest or the largest. */
static void keep_aspect(struct ev_call *c, struct axis *a, int set)
{
	bool larger = ev_attr_is(c, "keep_aspect_ratio_policy", "not_smaller", "stretch");
	double scale = larger ? 0 : INFINITY;

	if (ev_attr_is(c, "keep_aspect_ratio_policy", "stretch", "stretch"))
		return;
	for (int i = 0; i < REF_MAX_RANK; i++)
		if (set >> i & 1)
			scale = larger ? fmax(scale, a[i].scale) : fmin(scale, a[i].scale);
	for (int i = 0; i < REF_MAX_RANK; i++) {
		if (!(set >> i & 1))
			continue;
		a[i].scale = scale;
		a[i].width = scale * (double)a[i].in;
		a[i].out = (int64_t)floor(a[i].width + 0.5);
	}
}

/* Sizes of all axes. @scales, @sizes, @roi: the inputs that have them, or NULL. */
static int resolve(struct ev_call *c, struct axis *a, const struct ev_value *scales,
		   const struct ev_value *sizes, const struct ev_value *roi)
{
	const struct ev_value *x = c->in[0], *by = scales ? scales : sizes;
	int axes[REF_MAX_RANK], n = x->rank, set = 0;
	size_t count;
	const int64_t *list = ev_attr_ints(c, "axes", &count);

	for (int i = 0; i < x->rank; i++) {
		a[i] = (struct axis){ x->dims[i], x->dims[i], 1, (double)x->dims[i], 0, 1, false };
		axes[i] = i;
	}
	for (size_t i = 0; list && i < count && i < REF_MAX_RANK; i++) {
		n = (int)count;
		axes[i] = ev_axis(list[i], x->rank);
		if (axes[i] < 0)
			return ev_bad(c, "axis");
	}
	if (!by || by->elems != n)
		return ev_bad(c, "scales or sizes");
	for (int i = 0; i < n; i++) {
		struct axis *k = &a[axes[i]];

		set |= 1 << axes[i];
		if (!scales && !k->in && sizes->v[i] != 0)
			return ev_bad(c, "an empty axis cannot grow");
		k->scale = scales ? scales->v[i] : k->in ? sizes->v[i] / (double)k->in : 1;
		k->width = scales ? k->scale * (double)k->in : sizes->v[i];
		if (roi && roi->elems == 2 * n && transform_is(c, "tf_crop_and_resize")) {
			k->from = roi->v[i];
			k->to = roi->v[n + i];
		}
		k->out = (int64_t)floor(k->width);
	}
	if (sizes)
		keep_aspect(c, a, set);
	for (int i = 0; i < n; i++)
		a[axes[i]].moved = a[axes[i]].out != a[axes[i]].in || a[axes[i]].scale != 1 ||
			transform_is(c, "tf_crop_and_resize");
	return 0;
}

/* What lies outside of the image in tf_crop_and_resize. */
static void extrapolate(const struct ev_call *c, const struct axis *a, struct ev_value *y)
{
	int64_t coord[REF_MAX_RANK] = { 0 };

	for (int64_t e = 0; e < y->elems; e++, ev_step(y->rank, y->dims, coord))
		for (int i = 0; i < y->rank; i++) {
			double x = coordinate(c, &a[i], coord[i]);

			if (x < 0 || x > (double)(a[i].in - 1))
				y->v[e] = ev_attr_f(c, "extrapolation_value", 0);
		}
}

/* Until opset 8 Upsample had an attribute, which becomes a tensor; no elements: none. */
static int attribute_scales(struct ev_call *c, struct ev_value *scales)
{
	const Onnx__AttributeProto *a = ev_attr(c, "scales");
	const int64_t count = a ? (int64_t)a->n_floats : 0;
	int ret = ev_alloc(scales, EV_F32, 1, &count);

	for (int64_t i = 0; !ret && i < count; i++)
		scales->v[i] = a->floats[i];
	return ret;
}

static int run_resize(struct ev_call *c)
{
	bool upsample = *c->node->op_type == 'U', old = upsample || c->opset < 11;
	struct axis a[REF_MAX_RANK];
	int ret = ev_need(c, 1);
	struct ev_value scales;

	ret = ret ? ret : attribute_scales(c, &scales);
	if (ret)
		return ret;
	ret = resolve(c, a, scales.elems ? &scales : given(c, old ? 1 : 2),
		      old ? NULL : given(c, 3), old ? NULL : given(c, 1));
	ev_free(&scales);
	ret = ret ? ret : ev_copy(&c->out[0], c->in[0]);
	for (int i = 0; i < c->in[0]->rank && !ret; i++)
		if (a[i].moved)
			ret = resize_axis(c, &a[i], i, &c->out[0]);
	if (!ret && transform_is(c, "tf_crop_and_resize"))
		extrapolate(c, a, &c->out[0]);
	return ret;
}

const struct ev_op ev_ops_resize[] = {
	{ "Resize", run_resize, false },
	{ "Upsample", run_resize, false },
	{ NULL, NULL, false }
};
