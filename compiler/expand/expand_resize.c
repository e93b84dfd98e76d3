/* SPDX-License-Identifier: MIT */
/*
 * Resize: each axis on its own. Along one, an output element is a fixed sum of
 * input elements: for "nearest" one of them, an index that is known; else a
 * product with a constant matrix.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "expand.h"
#include "expand_util.h"

#define TAPS_MAX	4096
/* The nearest_mode that opset 10 has without a name: ceil if the axis shrinks, else floor. */
#define INWARD		"ceil_if_smaller"
#define MATRIX_MAX	(1 << 26)

/**
 * struct resize - a resolved Resize
 * @out: size of each axis
 * @scale: output elements per input element
 * @roi: part of the axis that is shown, in tf_crop_and_resize
 * @moved: the axis is resized
 */
struct resize {
	int64_t out[NPU_GRAPH_RANK_MAX];
	double scale[NPU_GRAPH_RANK_MAX];
	double roi[2][NPU_GRAPH_RANK_MAX];
	bool moved[NPU_GRAPH_RANK_MAX];
};

/* Floats of input @i, which must be known; their number. */
static int in_floats(struct npu_graph *g, const struct nc_node *n, uint32_t i, double *value,
		     uint32_t max)
{
	struct nc_tensor *t = nc_in(g, n, i);
	uint32_t word;
	float f;

	if (!t || !t->elems)
		return 0;
	if (nc_dtype_class(t->dtype) != NC_CLASS_FLOAT || t->elems > max)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %u must hold at most %u floats", i, max);
	if (!nc_known(g, t))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "input %u (\"%s\") depends on the data of a run; it must be known while compiling",
				     i, t->name);
	for (uint64_t k = 0; k < t->elems; k++) {
		nc_word_get(t, k, &word);
		memcpy(&f, &word, sizeof(f));
		value[k] = f;
	}
	return (int)t->elems;
}

/* The axes that scales, sizes and roi speak of. */
static int resize_axes(struct npu_graph *g, const struct nc_node *n, int *axes)
{
	const struct nc_attr *given = nc_attr_given(n, "axes");
	unsigned int rank = nc_in(g, n, 0)->rank;

	for (unsigned int i = 0; i < rank; i++)
		axes[i] = (int)i;
	if (!given)
		return (int)rank;
	if (given->count > rank)
		return nc_node_error(&g->diag, n, -EINVAL, "has %u axes for %u dimensions",
				     given->count, rank);
	for (uint32_t i = 0; i < given->count; i++) {
		axes[i] = nc_axis(g, n, given->ints[i], rank);
		if (axes[i] < 0)
			return axes[i];
	}
	return (int)given->count;
}

static void keep_aspect(const char *policy, const struct nc_tensor *x, const int *axes,
			unsigned int count, struct resize *r)
{
	bool larger = !strcmp(policy, "not_smaller");
	double scale = 0;

	if (!strcmp(policy, "stretch"))
		return;
	for (unsigned int i = 0; i < count; i++)
		if (!i || (larger ? r->scale[axes[i]] > scale : r->scale[axes[i]] < scale))
			scale = r->scale[axes[i]];
	for (unsigned int i = 0; i < count; i++) {
		r->scale[axes[i]] = scale;
		r->out[axes[i]] = (int64_t)floor(scale * (double)x->dim[axes[i]] + 0.5);
	}
}

static int resize_get(struct npu_graph *g, const struct nc_node *n, struct resize *r)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t sizes[NPU_GRAPH_RANK_MAX];
	double value[2 * NPU_GRAPH_RANK_MAX];
	int axes[NPU_GRAPH_RANK_MAX], count = resize_axes(g, n, axes);
	int rois = in_floats(g, n, 1, value, 2 * NPU_GRAPH_RANK_MAX), scales, given;

	if (count < 0 || rois < 0)
		return count < 0 ? count : rois;
	memset(r, 0, sizeof(*r));
	for (unsigned int i = 0; i < x->rank; i++) {
		r->out[i] = x->dim[i];
		r->scale[i] = 1;
		r->roi[1][i] = 1;
	}
	for (int i = 0; rois == 2 * count && i < count; i++) {
		r->roi[0][axes[i]] = value[i];
		r->roi[1][axes[i]] = value[count + i];
	}
	scales = in_floats(g, n, 2, value, NPU_GRAPH_RANK_MAX);
	given = nc_in_ints(g, n, 3, sizes, NPU_GRAPH_RANK_MAX);
	if (scales < 0 || given < 0)
		return scales < 0 ? scales : given;
	if ((scales ? scales : given) != count || (scales && given))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "has %d scales and %d sizes for %d axes; it needs one of the two",
				     scales, given, count);
	for (int i = 0; i < count; i++) {
		int a = axes[i];

		if (!scales && !x->dim[a] && sizes[i])
			return nc_node_error(&g->diag, n, -EINVAL,
					     "axis %d is empty and cannot be resized to %" PRId64, a,
					     sizes[i]);
		/* Nothing stays nothing by any scale. */
		r->scale[a] = scales ? value[i] :
			x->dim[a] ? (double)sizes[i] / (double)x->dim[a] : 1;
		if (!(r->scale[a] > 0) || !(r->scale[a] * (double)x->dim[a] < INT32_MAX))
			return nc_node_error(&g->diag, n, -EINVAL, "axis %d is scaled by %g", a,
					     r->scale[a]);
		r->out[a] = scales ? (int64_t)floor((double)x->dim[a] * value[i]) : sizes[i];
	}
	if (given)
		keep_aspect(nc_attr(n, "keep_aspect_ratio_policy")->s, x, axes,
			    (unsigned int)count, r);
	for (int i = 0; i < count; i++)
		r->moved[axes[i]] = r->out[axes[i]] != x->dim[axes[i]] || r->scale[axes[i]] != 1 ||
				    !strcmp(nc_attr(n, "coordinate_transformation_mode")->s,
					    "tf_crop_and_resize");
	return 0;
}

static bool one_of(const char *text, const char *const *list)
{
	while (*list && strcmp(*list, text))
		list++;
	return *list;
}

int nc_infer_resize(struct npu_graph *g, struct nc_node *n)
{
	static const char *const modes[] = { "nearest", "linear", "cubic", NULL };
	static const char *const places[] = {
		"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
		"asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn", NULL
	};
	static const char *const nearest[] = {
		"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", INWARD, NULL
	};
	static const char *const policies[] = { "stretch", "not_larger", "not_smaller", NULL };
	const struct {
		const char *attr;
		const char *const *list;
	} checks[] = {
		{ "mode", modes }, { "coordinate_transformation_mode", places },
		{ "nearest_mode", nearest }, { "keep_aspect_ratio_policy", policies },
	};
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct resize r;
	int ret;

	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
		if (!one_of(nc_attr(n, checks[i].attr)->s, checks[i].list))
			return nc_node_error(&g->diag, n, -EINVAL, "%s \"%s\" is unknown",
					     checks[i].attr, nc_attr(n, checks[i].attr)->s);
	ret = resize_get(g, n, &r);
	return ret ? ret : nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, r.out);
}

/* Where output element @i of axis @a lies on the input's axis. */
static double place(const struct nc_node *n, const struct resize *r, unsigned int a, int64_t size,
		    int64_t i)
{
	const char *mode = nc_attr(n, "coordinate_transformation_mode")->s;
	double s = r->scale[a], in = (double)size, out = s * in, x = (double)i;

	if (!strcmp(mode, "asymmetric"))
		return x / s;
	if (!strcmp(mode, "tf_half_pixel_for_nn"))
		return (x + 0.5) / s;
	if (!strcmp(mode, "align_corners"))
		return out == 1 ? 0 : x * (in - 1) / (out - 1);
	if (!strcmp(mode, "tf_crop_and_resize")) {
		double span = (r->roi[1][a] - r->roi[0][a]) * (in - 1);

		return r->roi[0][a] * (in - 1) + (out == 1 ? span / 2 : x * span / (out - 1));
	}
	if (!strcmp(mode, "pytorch_half_pixel") && r->out[a] == 1)
		return 0;
	x = (x + 0.5) / s - 0.5;
	if (!strcmp(mode, "half_pixel_symmetric"))
		x += in / 2 * (1 - (double)r->out[a] / out);
	return x;
}

static double cubic(double x, double a)
{
	x = fabs(x);
	if (x <= 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/*
 * Coefficients of the elements from *first on for place @x; their number. A
 * whole number counts as the end of the step before it.
 */
static unsigned int taps(const struct nc_node *n, double x, double scale, int64_t *first,
			 double *c)
{
	const char *mode = nc_attr(n, "mode")->s;
	bool wide = !strcmp(mode, "cubic"), filter = nc_attr(n, "antialias")->i;
	double shrink = filter && scale < 1 ? scale : 1, ratio, sum = 0;
	int64_t base = (int64_t)floor(x), start;
	unsigned int count;

	if ((double)base == x)
		base--;
	ratio = x - (double)base;
	start = (int64_t)floor(-(wide ? 2 : 1) / shrink) + 1;
	count = (unsigned int)(2 - 2 * start);
	*first = base + start;
	for (unsigned int i = 0; i < count && i < TAPS_MAX; i++) {
		double at = ((double)start + i - ratio) * shrink;

		c[i] = wide ? cubic(at, nc_attr(n, "cubic_coeff_a")->f) : fmax(1 - fabs(at), 0);
		sum += c[i];
	}
	for (unsigned int i = 0; filter && i < count && i < TAPS_MAX; i++)
		c[i] /= sum;
	return count;
}

static int64_t clamped(int64_t i, int64_t size)
{
	return i < 0 ? 0 : i >= size ? size - 1 : i;
}

static int64_t nearest_index(const char *mode, double x, double scale)
{
	double whole = floor(x), ratio = x - whole;
	bool up = ratio > 0 && (!strcmp(mode, "ceil") || (scale < 1 && !strcmp(mode, INWARD)) ||
				(!strcmp(mode, "round_prefer_floor") && ratio > 0.5) ||
				(!strcmp(mode, "round_prefer_ceil") && ratio >= 0.5));

	return (int64_t)whole + up;
}

static uint32_t resize_nearest(const struct nc_expand *e, const struct resize *r, unsigned int a,
			       uint32_t t)
{
	const char *mode = nc_attr(e->n, "nearest_mode")->s;
	int64_t size = nc_x_get(e, t)->dim[a];
	int64_t *index = nc_x_alloc(e, r->out[a], sizeof(*index));

	if (!index)
		return NC_NONE;
	for (int64_t i = 0; i < r->out[a]; i++)
		index[i] = clamped(nearest_index(mode, place(e->n, r, a, size, i), r->scale[a]),
				   size);
	return nc_x_take(e, t, a, index, r->out[a]);
}

/* The axis as the last one, times [input elements, output elements]. */
static uint32_t resize_product(const struct nc_expand *e, const struct resize *r, unsigned int a,
			       uint32_t t)
{
	int64_t size = nc_x_get(e, t)->dim[a], out = r->out[a];
	const int64_t dim[] = { size, out };
	bool exclude = nc_attr(e->n, "exclude_outside")->i;
	int64_t matrix;
	double *c;
	float *w;

	if (!e->g->err && size * out > MATRIX_MAX)
		e->g->err = nc_node_error(&e->g->diag, e->n, -ENOTSUP,
					  "axis %u goes from %" PRId64 " to %" PRId64 " elements by a matrix of more than %d",
					  a, size, out, MATRIX_MAX);
	w = nc_x_alloc(e, size * out, sizeof(*w));
	c = nc_x_alloc(e, TAPS_MAX, sizeof(*c));
	if (!w || !c)
		return NC_NONE;
	for (int64_t i = 0; i < out; i++) {
		double sum = 0, all = 1;
		int64_t first;
		unsigned int count = taps(e->n, place(e->n, r, a, size, i), r->scale[a], &first, c);

		if (count > TAPS_MAX) {
			e->g->err = nc_node_error(&e->g->diag, e->n, -ENOTSUP,
						  "axis %u shrinks too much for antialias: more than %d elements make one",
						  a, TAPS_MAX);
			return NC_NONE;
		}
		for (unsigned int k = 0; k < count; k++)
			if (first + k >= 0 && first + k < size)
				sum += c[k];
		if (exclude)
			all = sum;
		for (unsigned int k = 0; k < count; k++) {
			int64_t at = clamped(first + k, size);

			if (!exclude || at == first + k)
				w[at * out + i] += (float)(c[k] / all);
		}
	}
	matrix = nc_graph_const(e->g, NULL, NPU_GRAPH_F32, 2, dim, w);
	if (matrix < 0)
		return NC_NONE;
	t = nc_x_2(e, NC_OP_MatMul, nc_x_last(e, t, a, false), (uint32_t)matrix);
	return nc_x_last(e, t, a, true);
}

/* Places outside of the axis show the extrapolation value. */
static uint32_t extrapolate(const struct nc_expand *e, const struct resize *r, unsigned int a,
			    int64_t size, uint32_t t)
{
	const struct nc_tensor *y = nc_x_get(e, e->n->out[0]);
	uint8_t *outside = nc_x_alloc(e, r->out[a], 1);
	int64_t dim[NPU_GRAPH_RANK_MAX], mask;
	bool any = false;

	if (!outside)
		return NC_NONE;
	for (int64_t i = 0; i < r->out[a]; i++) {
		double x = place(e->n, r, a, size, i);

		outside[i] = x < 0 || x > (double)(size - 1);
		any |= outside[i];
	}
	if (!any)
		return t;
	for (unsigned int i = 0; i < y->rank; i++)
		dim[i] = i == a ? r->out[a] : 1;
	mask = nc_graph_const(e->g, NULL, NPU_GRAPH_BOOL, y->rank, dim, outside);
	if (mask < 0)
		return NC_NONE;
	return nc_x_where(e, (uint32_t)mask,
			  nc_x_cast(e, nc_x_float(e, nc_attr(e->n, "extrapolation_value")->f),
				    nc_x_get(e, t)->dtype), t);
}

/* Sums that were made as floats in the integer type: towards 0, and no further than it goes. */
static uint32_t to_integers(const struct nc_expand *e, uint32_t t, enum npu_graph_dtype dtype)
{
	bool is_signed = dtype != NPU_GRAPH_U8;
	unsigned int bits = 8 * (unsigned int)nc_dtype_bytes(dtype);
	float high;

	if (bits < 32) {
		high = (float)((1 << (bits - is_signed)) - 1);
		t = nc_x_node(e, NC_OP_Clip, NULL, 3,
			      (const uint32_t[]){ t, nc_x_float(e, is_signed ? -high - 1 : 0),
						  nc_x_float(e, high) });
	}
	return nc_x_cast(e, t, dtype);
}

int nc_expand_resize(const struct nc_expand *e)
{
	bool crop = !strcmp(nc_attr(e->n, "coordinate_transformation_mode")->s,
			    "tf_crop_and_resize");
	bool nearest = !strcmp(nc_attr(e->n, "mode")->s, "nearest");
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	bool ints = nc_dtype_class(x->dtype) != NC_CLASS_FLOAT && !nearest;
	uint32_t t = nc_x_in(e, 0);
	struct resize r;
	int ret = resize_get(e->g, e->n, &r);

	if (ret)
		return ret;
	/* Weights are floats, and so are the sums in between. */
	if (!nearest)
		t = nc_x_cast(e, t, NPU_GRAPH_F32);
	for (unsigned int a = 0; a < x->rank; a++)
		if (r.moved[a])
			t = nearest ? resize_nearest(e, &r, a, t) : resize_product(e, &r, a, t);
	if (ints)
		t = to_integers(e, t, x->dtype);
	for (unsigned int a = 0; crop && a < x->rank; a++)
		if (r.moved[a])
			t = extrapolate(e, &r, a, x->dim[a], t);
	nc_x_result(e, 0, nc_x_cast(e, t, nc_x_get(e, e->n->out[0])->dtype));
	return nc_x_done(e);
}

static int as_resize(struct npu_graph *g, struct nc_node *n)
{
	int ret = nc_attr_set_string(g, n, "coordinate_transformation_mode", "asymmetric");

	n->op = nc_op_get(NC_OP_Resize);
	return ret ? ret : nc_attr_set_string(g, n, "nearest_mode", INWARD);
}

/* Before opset 11: scales as the second input, no other ways than these. */
int nc_upgrade_resize(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	uint32_t *in;

	if (opset >= 13 && !strcmp(nc_attr(n, "coordinate_transformation_mode")->s,
				   "tf_half_pixel_for_nn"))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "coordinate_transformation_mode \"tf_half_pixel_for_nn\" is gone since opset 13");
	if (opset >= 11)
		return 0;
	in = nc_alloc_array(g->arena, 3, sizeof(*in));
	if (!in)
		return nc_node_error(&g->diag, n, -ENOMEM, "out of memory");
	in[0] = n->ins ? n->in[0] : NC_NONE;
	in[1] = NC_NONE;
	in[2] = n->ins > 1 ? n->in[1] : NC_NONE;
	n->in = in;
	n->ins = 3;
	return as_resize(g, n);
}

/* Before opset 7 height and width of images are scaled, each by its attribute. */
static int image_scales(struct npu_graph *g, struct nc_node *n)
{
	float *scale = nc_alloc_array(g->arena, 4, sizeof(*scale));

	if (!scale)
		return nc_node_error(&g->diag, n, -ENOMEM, "out of memory");
	scale[0] = 1;
	scale[1] = 1;
	scale[2] = nc_attr(n, "height_scale")->f;
	scale[3] = nc_attr(n, "width_scale")->f;
	nc_attr_drop(n, "height_scale");
	nc_attr_drop(n, "width_scale");
	if (!strcmp(nc_attr(n, "mode")->s, "bilinear") && nc_attr_set_string(g, n, "mode", "linear"))
		return g->err;
	return nc_attr_set(g, n, &(struct nc_attr){ .name = "scales", .type = NC_ATTR_FLOATS,
						    .count = 4, .floats = scale });
}

/* Before opset 9 the scales are attributes; from 10 on it is Resize. */
int nc_upgrade_upsample(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	uint32_t in[2] = { n->ins ? n->in[0] : NC_NONE, n->ins > 1 ? n->in[1] : NC_NONE };
	int ret = opset < 7 ? image_scales(g, n) : 0;
	const struct nc_attr *scales = nc_attr_given(n, "scales");
	const int64_t dim = scales ? scales->count : 0;
	int64_t t;

	if (ret)
		return ret;
	if (scales) {
		t = nc_graph_const(g, NULL, NPU_GRAPH_F32, 1, &dim, scales->floats);
		if (t < 0)
			return (int)t;
		in[1] = (uint32_t)t;
		nc_attr_drop(n, "scales");
	}
	n->in = in;
	n->ins = 2;
	return nc_upgrade_resize(g, n, 10);
}
