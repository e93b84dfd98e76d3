/* SPDX-License-Identifier: MIT */
/*
 * Values of images at computed places: pixels are rows of channels, taken by
 * index, and weighted. An axis of the image at a time gives the indices and
 * weights of the pixels around a place; their combinations are summed up.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "expand.h"

#define TAPS_MAX	4

enum padding { PAD_ZEROS, PAD_BORDER, PAD_REFLECTION };

/**
 * struct sample - a GridSample
 * @axes: spatial axes
 * @points: places for each image
 * @taps: pixels along an axis that make a value: 1 nearest, 2 linear, 4 cubic
 * @index: pixel number along an axis, times its distance, [n, points] in I64
 * @weight: of the pixel along the axis, [n, points]; NC_NONE: 1
 */
struct sample {
	const struct nc_expand *e;
	unsigned int axes, taps;
	int64_t points;
	enum padding padding;
	bool corners;
	uint32_t index[NC_SPATIAL_MAX][TAPS_MAX];
	uint32_t weight[NC_SPATIAL_MAX][TAPS_MAX];
};

static int choice(struct npu_graph *g, const struct nc_node *n, const char *attr,
		  const char *const *list)
{
	const char *text = nc_attr(n, attr)->s;

	for (int i = 0; list[i]; i++)
		if (!strcmp(list[i], text))
			return i;
	return nc_node_error(&g->diag, n, -EINVAL, "%s \"%s\" is unknown", attr, text);
}

/* 0 nearest, 1 linear, 2 cubic; before opset 20 two have another name. */
static int mode_of(struct npu_graph *g, const struct nc_node *n)
{
	static const char *const modes[] = {
		"nearest", "linear", "cubic", "bilinear", "bicubic", NULL
	};
	int mode = choice(g, n, "mode", modes);

	return mode > 2 ? mode - 2 : mode;
}

static int padding_of(struct npu_graph *g, const struct nc_node *n)
{
	static const char *const modes[] = { "zeros", "border", "reflection", NULL };

	return choice(g, n, "padding_mode", modes);
}

int nc_infer_grid_sample(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *grid = nc_in(g, n, 1);
	unsigned int axes = x->rank - 2;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	char text[2][NC_SHAPE_TEXT];
	int ret = mode_of(g, n);

	ret = ret < 0 ? ret : padding_of(g, n);
	if (ret < 0)
		return ret;
	if (x->rank < 3 || axes > NC_SPATIAL_MAX || grid->rank != x->rank ||
	    grid->dim[0] != x->dim[0] || grid->dim[grid->rank - 1] != (int64_t)axes ||
	    nc_dtype_class(grid->dtype) != NC_CLASS_FLOAT || !x->elems)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "grid %s does not fit the input %s: it must hold a place of the %u spatial axes for each output",
				     nc_shape_text(grid, text[0]), nc_shape_text(x, text[1]), axes);
	memcpy(dim, x->dim, 2 * sizeof(*dim));
	for (unsigned int i = 0; i < axes; i++)
		dim[2 + i] = grid->dim[1 + i];
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

static uint32_t scalar(const struct sample *s, enum nc_opcode code, uint32_t t, float value)
{
	return nc_x_scalar(s->e, code, t, value);
}

static uint32_t clamp(const struct sample *s, uint32_t t, float low, float high)
{
	return nc_x_node(s->e, NC_OP_Clip, NULL, 3,
			 (const uint32_t[]){ t, nc_x_float(s->e, low), nc_x_float(s->e, high) });
}

/* Not in low .. high; NaN is inside. */
static uint32_t outside(const struct sample *s, uint32_t t, float low, float high)
{
	return nc_x_2(s->e, NC_OP_Or, scalar(s, NC_OP_Less, t, low),
		      scalar(s, NC_OP_Greater, t, high));
}

/* Where the borders are mirrors: |t - low| has a period of twice their distance. */
static uint32_t reflect(const struct sample *s, uint32_t t, float low, float high)
{
	const struct nc_expand *e = s->e;
	float range = high - low;
	uint32_t far, whole;

	if (!(range > 0))
		return clamp(s, t, low, low);
	far = nc_x_1(e, NC_OP_Abs, scalar(s, NC_OP_Sub, t, low));
	whole = nc_x_1(e, NC_OP_Floor, scalar(s, NC_OP_Div, far, 2 * range));
	far = nc_x_2(e, NC_OP_Sub, far, scalar(s, NC_OP_Mul, whole, 2 * range));
	/* range - |far - range| */
	far = nc_x_1(e, NC_OP_Abs, scalar(s, NC_OP_Sub, far, range));
	far = scalar(s, NC_OP_Add, nc_x_1(e, NC_OP_Neg, far), high);
	return nc_x_where(e, outside(s, t, low, high), far, t);
}

/* Keep a place within the image, as the padding says. */
static uint32_t inside(const struct sample *s, uint32_t t, int64_t size)
{
	float last = (float)(size - 1), margin = s->corners ? 0 : 0.5f;

	switch (s->padding) {
	case PAD_BORDER:
		return nc_x_where(s->e, outside(s, t, -margin, last + margin), clamp(s, t, 0, last), t);
	case PAD_REFLECTION:
		return reflect(s, t, -margin, last + margin);
	default:
		return t;
	}
}

/* Coefficients of the pixels around a place that is @f beyond the second of four. */
static uint32_t cubic(const struct sample *s, uint32_t f, unsigned int tap)
{
	const struct nc_expand *e = s->e;
	const float a = -0.75f;
	float from = tap == 0 ? 1 : tap == 3 ? 2 : tap == 2 ? 1 : 0;
	uint32_t x = f, r;

	if (tap == 0 || tap == 2 || tap == 3) {
		if (tap > 1)
			x = nc_x_1(e, NC_OP_Neg, x);
		x = scalar(s, NC_OP_Add, x, from);
	}
	if (tap == 0 || tap == 3) {
		/* ((a x - 5 a) x + 8 a) x - 4 a */
		r = scalar(s, NC_OP_Add, scalar(s, NC_OP_Mul, x, a), -5 * a);
		r = scalar(s, NC_OP_Add, nc_x_2(e, NC_OP_Mul, r, x), 8 * a);
		return scalar(s, NC_OP_Add, nc_x_2(e, NC_OP_Mul, r, x), -4 * a);
	}
	/* ((a + 2) x - (a + 3)) x x + 1 */
	r = scalar(s, NC_OP_Add, scalar(s, NC_OP_Mul, x, a + 2), -(a + 3));
	r = nc_x_2(e, NC_OP_Mul, nc_x_2(e, NC_OP_Mul, r, x), x);
	return scalar(s, NC_OP_Add, r, 1);
}

static uint32_t tap_weight(const struct sample *s, uint32_t f, unsigned int tap)
{
	if (s->taps == 1)
		return NC_NONE;
	if (s->taps == 4)
		return cubic(s, f, tap);
	return tap ? f : scalar(s, NC_OP_Add, nc_x_1(s->e, NC_OP_Neg, f), 1);
}

/* Pixels that are not there count nothing. */
static uint32_t count_inside(const struct sample *s, uint32_t at, uint32_t weight, float last)
{
	uint32_t zero = nc_x_float(s->e, 0);

	if (s->padding != PAD_ZEROS)
		return weight;
	return nc_x_where(s->e, outside(s, at, 0, last), zero,
			  weight == NC_NONE ? nc_x_float(s->e, 1) : weight);
}

/* Pixels and weights along axis @a for coordinates @t in -1 .. 1, [n, points]. */
static void axis_taps(struct sample *s, unsigned int a, uint32_t t, int64_t size, int64_t stride)
{
	const struct nc_expand *e = s->e;
	float last = (float)(size - 1);
	uint32_t base, f, at;

	t = scalar(s, NC_OP_Mul, scalar(s, NC_OP_Add, t, 1),
		   (s->corners ? last : (float)size) / 2);
	if (!s->corners)
		t = scalar(s, NC_OP_Sub, t, 0.5f);
	if (s->taps == 1)
		t = nc_x_1(e, NC_OP_Round, t);
	t = inside(s, t, size);
	base = nc_x_1(e, NC_OP_Floor, t);
	f = nc_x_2(e, NC_OP_Sub, t, base);
	for (unsigned int k = 0; k < s->taps; k++) {
		float offset = (float)k - (s->taps == 4);

		at = s->taps == 1 ? t : scalar(s, NC_OP_Add, base, offset);
		s->weight[a][k] = count_inside(s, at, tap_weight(s, f, k), last);
		if (s->padding == PAD_REFLECTION)
			at = reflect(s, at, s->corners ? 0 : -0.5f, last + (s->corners ? 0 : 0.5f));
		at = nc_x_cast(e, clamp(s, at, 0, last), NPU_GRAPH_I64);
		s->index[a][k] = nc_x_2(e, NC_OP_Mul, at, nc_x_ints(e, &stride, 1));
	}
}

/* All pixels of combination @c: rows of channels times weight, [n, points, channels]. */
static uint32_t combination(const struct sample *s, uint32_t rows, uint32_t base, unsigned int c,
			    const int64_t *dim)
{
	const struct nc_expand *e = s->e;
	enum npu_graph_dtype dtype = nc_x_get(e, rows)->dtype;
	const int64_t column[] = { dim[0], dim[1], 1 };
	uint32_t at = base, weight = NC_NONE, t;

	for (unsigned int a = 0; a < s->axes; a++, c /= s->taps) {
		uint32_t w = s->weight[a][c % s->taps];

		at = nc_x_2(e, NC_OP_Add, at, s->index[a][c % s->taps]);
		weight = weight == NC_NONE ? w : w == NC_NONE ? weight : nc_x_2(e, NC_OP_Mul, weight, w);
	}
	t = nc_x_2(e, NC_OP_Gather, rows, nc_x_reshape(e, at, 1, (const int64_t[]){ dim[0] * dim[1] }));
	t = nc_x_reshape(e, t, 3, dim);
	if (weight == NC_NONE)
		return t;
	return nc_x_2(e, NC_OP_Mul, t, nc_x_cast(e, nc_x_reshape(e, weight, 3, column), dtype));
}

/* Where each image's pixels begin, [n, 1]. */
static uint32_t image_starts(const struct nc_expand *e, int64_t images, int64_t pixels)
{
	const int64_t dim[] = { images, 1 };
	int64_t *start = nc_x_alloc(e, images, sizeof(*start));

	for (int64_t i = 0; start && i < images; i++)
		start[i] = i * pixels;
	return start ? nc_x_reshape(e, nc_x_ints(e, start, (uint32_t)images), 2, dim) : NC_NONE;
}

int nc_expand_grid_sample(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int64_t last[NPU_GRAPH_RANK_MAX] = { 0 }, pixels = (int64_t)x->elems / x->dim[0] / x->dim[1];
	struct sample s = {
		.e = e, .axes = x->rank - 2, .taps = 1u << mode_of(e->g, e->n),
		.points = (int64_t)y->elems / y->dim[0] / y->dim[1],
		.padding = (enum padding)padding_of(e->g, e->n),
		.corners = nc_attr(e->n, "align_corners")->i,
	};
	const int64_t flat[] = { x->dim[0], s.points }, whole[] = { x->dim[0], s.points, x->dim[1] };
	const int64_t back[] = { 0, 2, 1 };
	uint32_t grid = nc_x_cast(e, nc_x_in(e, 1), NPU_GRAPH_F32), rows, base, sum = NC_NONE, t;
	unsigned int combinations = 1;
	int64_t stride = 1;

	for (unsigned int a = s.axes; a-- > 0; stride *= x->dim[2 + a]) {
		/* The grid names the last axis first. */
		int64_t at = s.axes - 1 - a;

		t = nc_x_slice(e, grid, s.axes + 1, at, at + 1, 1);
		axis_taps(&s, a, nc_x_reshape(e, t, 2, flat), x->dim[2 + a], stride);
		combinations *= s.taps;
		last[1 + a] = 2 + a;
	}
	last[s.axes + 1] = 1;
	rows = nc_x_reshape(e, nc_x_transpose(e, nc_x_in(e, 0), last), 2,
			    (const int64_t[]){ x->dim[0] * pixels, x->dim[1] });
	base = image_starts(e, x->dim[0], pixels);
	for (unsigned int c = 0; c < combinations; c++) {
		t = combination(&s, rows, base, c, whole);
		sum = c ? nc_x_2(e, NC_OP_Add, sum, t) : t;
	}
	nc_x_result(e, 0, nc_x_reshape(e, nc_x_transpose(e, sum, back), y->rank, y->dim));
	return nc_x_done(e);
}

int nc_infer_affine_grid(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *theta = nc_in(g, n, 0);
	int64_t size[NPU_GRAPH_RANK_MAX], dim[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, size, 5);
	char text[NC_SHAPE_TEXT];

	if (count < 0)
		return count;
	if (count < 4 || theta->rank != 3 || theta->dim[0] != size[0] ||
	    theta->dim[1] != count - 2 || theta->dim[2] != count - 1)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "theta %s does not fit a size of %d numbers: [n,2,3] goes with 4, [n,3,4] with 5",
				     nc_shape_text(theta, text), count);
	dim[0] = size[0];
	memcpy(dim + 1, size + 2, (size_t)(count - 2) * sizeof(*dim));
	dim[count - 1] = count - 2;
	return nc_tensor_shape(g, n, n->out[0], theta->dtype, (unsigned int)count, dim);
}

/* Places in -1 .. 1, and a 1: the last axis first; times theta. */
int nc_expand_affine_grid(const struct nc_expand *e)
{
	static const int64_t swap[] = { 0, 2, 1 };
	const struct nc_tensor *y = nc_x_get(e, e->n->out[0]);
	unsigned int axes = y->rank - 2;
	int64_t dim[2] = { 1, axes + 1 }, base;
	bool corners = nc_attr(e->n, "align_corners")->i;
	float *data;
	uint32_t t;

	for (unsigned int i = 0; i < axes; i++)
		dim[0] *= y->dim[1 + i];
	data = nc_x_alloc(e, dim[0] * dim[1], sizeof(*data));
	for (int64_t p = 0; data && p < dim[0]; p++) {
		int64_t rest = p;

		for (unsigned int k = 0; k < axes; k++) {
			int64_t size = y->dim[axes - k], i = rest % size;

			data[p * dim[1] + k] = !corners ? (float)(2 * i + 1) / (float)size - 1 :
					       size > 1 ? 2 * (float)i / (float)(size - 1) - 1 : -1;
			rest /= size;
		}
		data[p * dim[1] + axes] = 1;
	}
	if (!data)
		return nc_x_done(e);
	base = nc_graph_const(e->g, NULL, NPU_GRAPH_F32, 2, dim, data);
	t = base < 0 ? NC_NONE : nc_x_cast(e, (uint32_t)base, y->dtype);
	t = nc_x_2(e, NC_OP_MatMul, t, nc_x_transpose(e, nc_x_in(e, 0), swap));
	nc_x_result(e, 0, nc_x_reshape(e, t, y->rank, y->dim));
	return nc_x_done(e);
}
