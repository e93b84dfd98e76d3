/* SPDX-License-Identifier: MIT */
/* Pooling that the device's window does not do as it is. */
#include <string.h>

#include "expand.h"
#include "shape.h"

/* Axes @first .. + @count of @w as a pooling node of the same kind over @x. */
static uint32_t pool_axes(const struct nc_expand *e, const struct nc_window *w,
			  unsigned int first, unsigned int count, uint32_t x)
{
	const char *auto_pad = nc_attr(e->n, "auto_pad")->s;
	bool ceil = nc_attr(e->n, "ceil_mode")->i && !strcmp(auto_pad, "NOTSET");
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

/*
 * Three axes: the last two first, with the depth among the channels, then the
 * depth. Maximum and sum do not care; an average is one of averages, as the
 * number of elements in a window is a product over the axes.
 */
int nc_expand_pool(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	struct nc_window w;
	int ret = nc_window_get(e->g, e->n, &w);
	uint32_t t;

	if (ret || w.spatial < 3 || nc_x_wanted(e, 1))
		return ret ? ret : NC_EXPAND_KEEP;

	const int64_t flat[] = { x->dim[0], x->dim[1] * x->dim[2], x->dim[3], x->dim[4] };
	const int64_t deep[] = { x->dim[0], x->dim[1], x->dim[2], w.out[1] * w.out[2] };

	t = nc_x_reshape(e, nc_x_in(e, 0), 4, flat);
	t = nc_x_reshape(e, pool_axes(e, &w, 1, 2, t), 4, deep);
	t = pool_axes(e, &w, 0, 1, t);
	nc_x_result(e, 0, nc_x_reshape(e, t, y->rank, y->dim));
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
