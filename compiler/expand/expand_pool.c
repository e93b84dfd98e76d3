/* SPDX-License-Identifier: MIT */
/* Pooling that the device's window does not do as it is. */
#include <string.h>

#include "expand.h"

/* Windows of more elements are taken apart: a whole one must be in the scratchpad. */
#define LARGE_WINDOW	1024

/* Axes @first .. + @count of @w as a pooling node of the same kind over @x. */
static uint32_t pool_axes(const struct nc_expand *e, const struct nc_window *w,
			  unsigned int first, unsigned int count, uint32_t x)
{
	const char *auto_pad = nc_attr(e->n, "auto_pad")->s;
	bool ceil = nc_attr(e->n, "ceil_mode")->i && strncmp(auto_pad, "SAME_", 5);
	int64_t kernel[2] = { 1, 1 }, stride[2] = { 1, 1 }, dilation[2] = { 1, 1 };
	int64_t pads[4] = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		kernel[i] = w->kernel[first + i];
		stride[i] = w->stride[first + i];
		dilation[i] = w->dilation[first + i];
		pads[i] = w->pad[0][first + i];
		pads[2 + i] = w->pad[1][first + i];
	}
	return nc_x_node(e, e->n->op->code,
			 NC_X_ATTRS(NC_X_INTS("kernel_shape", kernel, 2),
				    NC_X_INTS("strides", stride, 2),
				    NC_X_INTS("dilations", dilation, 2),
				    NC_X_INTS("pads", pads, 4), NC_X_INT("ceil_mode", ceil),
				    NC_X_INT("count_include_pad",
					     nc_attr(e->n, "count_include_pad")->i)),
			 1, &x);
}

/* Element number of each tap of each place in its channel; beyond the input INT32_MAX. */
static uint32_t tap_positions(const struct nc_expand *e, const struct nc_window *w)
{
	int64_t dim[4] = { 1, 1, 1, 1 }, tensor;
	int32_t *data;

	for (unsigned int i = 0; i < w->spatial; i++) {
		dim[2] *= w->kernel[i];
		dim[3] *= w->out[i];
	}
	data = nc_x_alloc(e, dim[2] * dim[3], sizeof(*data));
	if (!data)
		return NC_NONE;
	for (int64_t k = 0; k < dim[2] * dim[3]; k++) {
		int64_t tap = k / dim[3], place = k % dim[3], step = 1, at = 0;
		bool inside = true;

		for (unsigned int i = w->spatial; i-- > 0;) {
			int64_t p = place % w->out[i] * w->stride[i] - w->pad[0][i] +
				    tap % w->kernel[i] * w->dilation[i];

			inside &= p >= 0 && p < w->in[i];
			at += p * step;
			step *= w->in[i];
			tap /= w->kernel[i];
			place /= w->out[i];
		}
		data[k] = inside && at < INT32_MAX ? (int32_t)at : INT32_MAX;
	}
	tensor = nc_graph_const(e->g, NULL, NPU_GRAPH_I32, 4, dim, data);
	return tensor < 0 ? NC_NONE : (uint32_t)tensor;
}

static uint32_t int_scalar(const struct nc_expand *e, enum nc_opcode code, uint32_t t,
			   int64_t value)
{
	return nc_x_2(e, code, t, nc_x_cast(e, nc_x_ints(e, &value, 1), NPU_GRAPH_I32));
}

/* The same element's number when the last axis varies slowest. */
static uint32_t column_major(const struct nc_expand *e, const struct nc_window *w, uint32_t at)
{
	uint32_t sum = NC_NONE;

	for (unsigned int i = w->spatial; i-- > 0;) {
		uint32_t row = int_scalar(e, NC_OP_Div, at, w->in[i]);
		uint32_t digit = nc_x_2(e, NC_OP_Sub, at, int_scalar(e, NC_OP_Mul, row, w->in[i]));

		sum = sum == NC_NONE ? digit :
			nc_x_2(e, NC_OP_Add, int_scalar(e, NC_OP_Mul, sum, w->in[i]), digit);
		at = row;
	}
	return sum;
}

/* Where in its channel the maximum @y is: the first tap that equals it. */
static uint32_t first_tap(const struct nc_expand *e, const struct nc_window *w, uint32_t y,
			  const int64_t row[4])
{
	uint32_t t, at, none;

	t = nc_x_2(e, NC_OP_Equal, nc_x_taps(e, nc_x_in(e, 0), w), nc_x_reshape(e, y, 4, row));
	none = nc_x_cast(e, nc_x_ints(e, (const int64_t[]){ INT32_MAX }, 1), NPU_GRAPH_I32);
	at = nc_x_where(e, t, tap_positions(e, w), none);
	return nc_x_reduce(e, NC_OP_ReduceMin, at, 4u);
}

/* Where in the whole input the maxima @y are; @at: where in their channel, if known. */
static uint32_t pool_indices(const struct nc_expand *e, const struct nc_window *w, uint32_t y,
			     uint32_t at)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *out = nc_x_get(e, y);
	int64_t channels = x->dim[0] * x->dim[1], inner = (int64_t)x->elems / channels;
	const int64_t row[] = { x->dim[0], x->dim[1], 1, (int64_t)out->elems / channels };
	int64_t *base = nc_x_alloc(e, channels, sizeof(*base));
	uint32_t t;

	at = at == NC_NONE ? first_tap(e, w, y, row) : nc_x_reshape(e, at, 4, row);
	if (nc_attr(e->n, "storage_order")->i && w->spatial > 1)
		at = column_major(e, w, at);
	for (int64_t i = 0; base && i < channels; i++)
		base[i] = i * inner;
	t = base ? nc_x_cast(e, nc_x_ints(e, base, (uint32_t)channels), NPU_GRAPH_I32) : NC_NONE;
	t = nc_x_reshape(e, t, 4, (const int64_t[]){ x->dim[0], x->dim[1], 1, 1 });
	t = nc_x_cast(e, nc_x_2(e, NC_OP_Add, at, t), NPU_GRAPH_I64);
	return nc_x_reshape(e, t, out->rank, out->dim);
}

/* The operator's window over @x, by @code. */
static uint32_t pool_values(const struct nc_expand *e, enum nc_opcode code, uint32_t x)
{
	struct nc_attr attr[12] = { { .name = NULL } };

	memcpy(attr, e->n->attr, e->n->attrs * sizeof(*attr));
	return nc_x_node(e, code, attr, 1, &x);
}

/* The device finds positions over up to two axes; beyond, all taps are compared. */
static int pool_with_indices(const struct nc_expand *e, const struct nc_window *w)
{
	enum npu_graph_dtype type = nc_x_get(e, nc_x_in(e, 0))->dtype;
	bool ints = nc_dtype_class(type) == NC_CLASS_INT;
	uint32_t x = nc_x_in(e, 0), y, at = NC_NONE;

	if (w->spatial > 2) {
		y = pool_values(e, NC_OP_MaxPool, x);
	} else {
		/* 8 bits are exact in fp32. */
		y = pool_values(e, NC_OP_MaxPoolAt, ints ? nc_x_cast(e, x, NPU_GRAPH_F32) : x);
		at = y == NC_NONE ? NC_NONE : y + 1;
		y = ints ? nc_x_cast(e, y, type) : y;
	}
	nc_x_result(e, 1, pool_indices(e, w, y, at));
	nc_x_result(e, 0, y);
	return nc_x_done(e);
}

/* One window over everything, without padding: a reduction. */
static bool sees_all(const struct nc_window *w)
{
	for (unsigned int i = 0; i < w->spatial; i++)
		if (w->out[i] != 1 || w->in[i] != w->kernel[i] || w->dilation[i] != 1 ||
		    w->pad[0][i] || w->pad[1][i])
			return false;
	return true;
}

static uint32_t pool_all(const struct nc_expand *e)
{
	unsigned int axes = ((1u << nc_x_get(e, nc_x_in(e, 0))->rank) - 1) & ~3u;

	return nc_x_reduce(e, e->n->op->code == NC_OP_MaxPool ? NC_OP_ReduceMax :
			      e->n->op->code == NC_OP_SumPool ? NC_OP_ReduceSum : NC_OP_ReduceMean,
			   nc_x_in(e, 0), axes);
}

/*
 * More than two axes, or a window too large for a scratchpad: the last two
 * first, with the depth among the channels, then the depth; or the columns,
 * then the rows. Maximum and sum do not care; an average is one of averages, as
 * the number of elements in a window is a product over the axes.
 */
static uint32_t pool_apart(const struct nc_expand *e, const struct nc_window *w)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	const int64_t flat[] = { x->dim[0], x->dim[1] * x->dim[2], x->dim[3], x->dim[4] };
	const int64_t deep[] = { x->dim[0], x->dim[1], x->dim[2], w->out[1] * w->out[2] };
	const int64_t rows[] = { x->dim[0], x->dim[1] * x->dim[2], x->dim[3], 1 };
	const int64_t columns[] = { x->dim[0], x->dim[1], x->dim[2], w->out[1] };
	uint32_t t = nc_x_in(e, 0);

	if (w->spatial == 2) {
		t = pool_axes(e, w, 1, 1, nc_x_reshape(e, t, 4, rows));
		t = pool_axes(e, w, 0, 1, nc_x_reshape(e, t, 4, columns));
	} else {
		t = pool_axes(e, w, 1, 2, nc_x_reshape(e, t, 4, flat));
		t = pool_axes(e, w, 0, 1, nc_x_reshape(e, t, 4, deep));
	}
	return nc_x_reshape(e, t, y->rank, y->dim);
}

int nc_expand_pool(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	struct nc_window w;
	int ret = nc_window_get(e->g, e->n, &w);
	int64_t taps = 1;
	uint32_t t;

	if (ret)
		return ret;
	if (nc_x_wanted(e, 1))
		return pool_with_indices(e, &w);
	if (nc_dtype_class(x->dtype) == NC_CLASS_INT) {
		/* 8 bits are exact in fp32. */
		t = pool_values(e, e->n->op->code, nc_x_cast(e, nc_x_in(e, 0), NPU_GRAPH_F32));
		nc_x_result(e, 0, nc_x_cast(e, t, x->dtype));
		return nc_x_done(e);
	}
	for (unsigned int i = 0; i < w.spatial; i++)
		taps *= w.kernel[i];
	if (taps > LARGE_WINDOW && sees_all(&w))
		nc_x_result(e, 0, pool_all(e));
	else if (w.spatial > 2 || (w.spatial == 2 && taps > LARGE_WINDOW && w.kernel[0] > 1 &&
				   w.kernel[1] > 1))
		nc_x_result(e, 0, pool_apart(e, &w));
	else
		return NC_EXPAND_KEEP;
	return nc_x_done(e);
}

/* |x|^p; its sum to the power of 1 / p is the norm. */
static uint32_t powers(const struct nc_expand *e, uint32_t x, int64_t p)
{
	if (p == 2)
		return nc_x_2(e, NC_OP_Mul, x, x);
	x = nc_x_1(e, NC_OP_Abs, x);
	return p == 1 ? x : nc_x_scalar(e, NC_OP_Pow, x, (float)p);
}

static uint32_t root(const struct nc_expand *e, uint32_t x, int64_t p)
{
	if (p == 2)
		return nc_x_1(e, NC_OP_Sqrt, x);
	return p == 1 ? x : nc_x_scalar(e, NC_OP_Pow, x, 1 / (float)p);
}

int nc_expand_lp_pool(const struct nc_expand *e)
{
	int64_t p = nc_attr(e->n, "p")->i;
	struct nc_attr attr[8] = { { .name = NULL } };
	uint32_t t, count = 0;

	for (uint32_t i = 0; i < e->n->attrs; i++)
		if (strcmp(e->n->attr[i].name, "p"))
			attr[count++] = e->n->attr[i];
	t = powers(e, nc_x_in(e, 0), p);
	t = nc_x_node(e, NC_OP_SumPool, attr, 1, &t);
	nc_x_result(e, 0, root(e, t, p));
	return nc_x_done(e);
}

int nc_expand_global_lp_pool(const struct nc_expand *e)
{
	unsigned int axes = (1u << nc_x_get(e, nc_x_in(e, 0))->rank) - 1;
	int64_t p = nc_attr(e->n, "p")->i;
	uint32_t t = powers(e, nc_x_in(e, 0), p);

	nc_x_result(e, 0, root(e, nc_x_reduce(e, NC_OP_ReduceSum, t, axes & ~3u), p));
	return nc_x_done(e);
}

/* Each value at its index, zeroes elsewhere; in the corner of a larger output. */
int nc_expand_max_unpool(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int64_t dim[NPU_GRAPH_RANK_MAX], pad[2 * NPU_GRAPH_RANK_MAX] = { 0 }, total = 1;
	const int64_t flat = (int64_t)x->elems;
	int ret = nc_unpool_get(e->g, e->n, dim);
	uint32_t t;

	if (ret)
		return ret;
	for (unsigned int i = 0; i < x->rank; i++) {
		total *= dim[i];
		pad[x->rank + i] = y->dim[i] - dim[i];
	}
	t = nc_x_ints(e, &total, 1);
	t = nc_x_cast(e, nc_x_node(e, NC_OP_ConstantOfShape, NULL, 1, &t), x->dtype);
	t = nc_x_node(e, NC_OP_ScatterElements, NULL, 3,
		      (const uint32_t[]){ t, nc_x_reshape(e, nc_x_in(e, 1), 1, &flat),
					  nc_x_reshape(e, nc_x_in(e, 0), 1, &flat) });
	t = nc_x_reshape(e, t, x->rank, dim);
	nc_x_result(e, 0, nc_x_pad(e, t, pad));
	return nc_x_done(e);
}
