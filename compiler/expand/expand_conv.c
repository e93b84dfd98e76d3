/* SPDX-License-Identifier: MIT */
/* Convolutions as the device's: over two axes at most. Others are sums of those. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "expand.h"

/**
 * struct conv - a convolution, transposed ones included
 * @x: input [n, c, ...]
 * @w: weights [k, c / group, ...]
 * @b: bias [k], or NC_NONE
 * @group: groups
 * @win: its window
 */
struct conv {
	uint32_t x, w, b;
	int64_t group;
	struct nc_window win;
};

/* The device's own, over axes @first and following. */
static uint32_t window_conv(const struct nc_expand *e, const struct conv *c, unsigned int first,
			    uint32_t x, uint32_t w, uint32_t b)
{
	uint32_t count = c->win.spatial - first;

	return nc_x_node(e, NC_OP_WindowConv,
			 NC_X_ATTRS(NC_X_INTS("strides", c->win.stride + first, count),
				    NC_X_INTS("dilations", c->win.dilation + first, count),
				    NC_X_INTS("pads", c->win.pad[0] + first, count),
				    NC_X_INTS("ups", c->win.up + first, count),
				    NC_X_INTS("sizes", c->win.out + first, count),
				    NC_X_INT("group", c->group)),
			 3, (const uint32_t[]){ x, w, b });
}

uint32_t nc_x_spread(const struct nc_expand *e, uint32_t t, unsigned int axis, int64_t up)
{
	const struct nc_tensor *x = nc_x_get(e, t);
	int64_t outer = 1, inner = 1, size = x->dim[axis], pad[8] = { 0 };
	int64_t dim[NPU_GRAPH_RANK_MAX];

	if (up == 1)
		return t;
	for (unsigned int i = 0; i < x->rank; i++) {
		dim[i] = i == axis ? size * up : x->dim[i];
		outer *= i < axis ? x->dim[i] : 1;
		inner *= i > axis ? x->dim[i] : 1;
	}
	t = nc_x_reshape(e, t, 4, (const int64_t[]){ outer, size, 1, inner });
	pad[6] = up - 1;
	t = nc_x_reshape(e, nc_x_pad(e, t, pad), x->rank, dim);
	return nc_x_slice(e, t, axis, 0, (size - 1) * up + 1, 1);
}

/* The input over the first @count spatial axes as a window without padding sees it. */
static uint32_t padded(const struct nc_expand *e, uint32_t t, const struct nc_window *w,
		       unsigned int count)
{
	int64_t pad[2 * NPU_GRAPH_RANK_MAX] = { 0 };
	unsigned int rank = w->spatial + 2;

	for (unsigned int i = 0; i < count; i++) {
		int64_t in = (w->in[i] - 1) * w->up[i] + 1;
		int64_t seen = (w->out[i] - 1) * w->stride[i] +
			       (w->kernel[i] - 1) * w->dilation[i] + 1;

		t = nc_x_spread(e, t, 2 + i, w->up[i]);
		pad[2 + i] = w->pad[0][i];
		pad[rank + 2 + i] = seen - in - w->pad[0][i];
	}
	return nc_x_pad(e, t, pad);
}

/* What tap @tap of an axis sees of the padded input. */
static uint32_t tap_slice(const struct nc_expand *e, const struct nc_window *w, uint32_t t,
			  unsigned int axis, int64_t tap)
{
	int64_t start = tap * w->dilation[axis], stride = w->stride[axis];

	return nc_x_slice(e, t, 2 + axis, start, start + (w->out[axis] - 1) * stride + 1, stride);
}

uint32_t nc_x_taps(const struct nc_expand *e, uint32_t x, const struct nc_window *w)
{
	const struct nc_tensor *in = nc_x_get(e, x);
	uint32_t wide = padded(e, x, w, w->spatial), *tap;
	int64_t taps = 1, places = 1;

	for (unsigned int i = 0; i < w->spatial; i++) {
		taps *= w->kernel[i];
		places *= w->out[i];
	}
	if (taps > NC_NODE_ARGS_MAX) {
		e->g->err = nc_node_error(&e->g->diag, e->n, -ENOTSUP,
					  "a window with indices may have at most %d taps, not %" PRId64,
					  NC_NODE_ARGS_MAX, taps);
		return NC_NONE;
	}
	tap = nc_x_alloc(e, taps, sizeof(*tap));
	for (int64_t i = 0; tap && i < taps; i++) {
		int64_t rest = i;

		tap[i] = wide;
		for (unsigned int a = w->spatial; a-- > 0; rest /= w->kernel[a])
			tap[i] = tap_slice(e, w, tap[i], a, rest % w->kernel[a]);
		tap[i] = nc_x_reshape(e, tap[i], 4,
				      (const int64_t[]){ in->dim[0], in->dim[1], 1, places });
	}
	return tap ? nc_x_concat(e, 2, (uint32_t)taps, tap) : NC_NONE;
}

/* A sum over the depth's taps of convolutions with depths in the batch. */
static uint32_t conv_3d(const struct nc_expand *e, const struct conv *c)
{
	static const int64_t swap[] = { 0, 2, 1, 3, 4 };
	const struct nc_tensor *x = nc_x_get(e, c->x), *w = nc_x_get(e, c->w);
	const int64_t flat[] = { x->dim[0] * c->win.out[0], x->dim[1], x->dim[3], x->dim[4] };
	const int64_t deep[] = { x->dim[0], c->win.out[0], w->dim[0], c->win.out[1],
				 c->win.out[2] };
	const int64_t taps[] = { w->dim[0], w->dim[1], w->dim[3], w->dim[4] };
	uint32_t sum = NC_NONE, wide = padded(e, c->x, &c->win, 1);

	for (int64_t z = 0; z < c->win.kernel[0] && !e->g->err; z++) {
		uint32_t t = nc_x_transpose(e, tap_slice(e, &c->win, wide, 0, z), swap);
		uint32_t wz = nc_x_reshape(e, nc_x_slice(e, c->w, 2, z, z + 1, 1), 4, taps);

		t = nc_x_reshape(e, t, 4, flat);
		t = window_conv(e, c, 1, t, wz, z ? NC_NONE : c->b);
		sum = z ? nc_x_2(e, NC_OP_Add, sum, t) : t;
	}
	return nc_x_transpose(e, nc_x_reshape(e, sum, 5, deep), swap);
}

int nc_expand_conv(const struct nc_expand *e)
{
	struct conv c = { .x = nc_x_in(e, 0), .w = nc_x_in(e, 1), .b = nc_x_in(e, 2),
			  .group = nc_attr(e->n, "group")->i };
	int ret = nc_window_get(e->g, e->n, &c.win);

	if (ret || c.win.spatial < 3)
		return ret ? ret : NC_EXPAND_KEEP;
	nc_x_result(e, 0, conv_3d(e, &c));
	return nc_x_done(e);
}

/* [c, k / group, ...] as [k, c / group, ...], each axis of the window backwards. */
uint32_t nc_x_turned_weights(const struct nc_expand *e, uint32_t w, int64_t group)
{
	static const int64_t perm[] = { 0, 2, 1, 3 };
	const struct nc_tensor *t = nc_x_get(e, w);
	int64_t dim[NPU_GRAPH_RANK_MAX] = { group * t->dim[1], t->dim[0] / group };
	int64_t taps = 1;

	for (unsigned int i = 2; i < t->rank; i++) {
		dim[i] = t->dim[i];
		taps *= t->dim[i];
		w = nc_x_slice(e, w, i, -1, INT64_MIN, -1);
	}
	w = nc_x_reshape(e, w, 4, (const int64_t[]){ group, dim[1], t->dim[1], taps });
	return nc_x_reshape(e, nc_x_transpose(e, w, perm), t->rank, dim);
}

/*
 * Every input element adds to a window of outputs: the convolution of the
 * spread input with the weights turned around.
 */
int nc_expand_conv_transpose(const struct nc_expand *e)
{
	struct conv c = { .x = nc_x_in(e, 0), .b = nc_x_in(e, 2),
			  .group = nc_attr(e->n, "group")->i };
	int ret = nc_window_get(e->g, e->n, &c.win);

	if (ret)
		return ret;
	c.w = nc_x_turned_weights(e, nc_x_in(e, 1), c.group);
	nc_x_result(e, 0, c.win.spatial > 2 ? conv_3d(e, &c) :
		    window_conv(e, &c, 0, c.x, c.w, c.b));
	return nc_x_done(e);
}

/* Weights that put tap i of a block's values at tap i of the window. */
static uint32_t unit_taps(const struct nc_expand *e, const struct nc_window *w, int64_t channels,
			  int64_t taps)
{
	int64_t dim[2 + NC_SPATIAL_MAX] = { channels * taps, 1 }, tensor;
	float *data = nc_x_alloc(e, channels * taps * taps, sizeof(*data));

	if (!data)
		return NC_NONE;
	memcpy(dim + 2, w->kernel, w->spatial * sizeof(*dim));
	for (int64_t i = 0; i < channels * taps; i++)
		data[i * taps + i % taps] = 1;
	tensor = nc_graph_const(e->g, NULL, NPU_GRAPH_F32, 2 + w->spatial, dim, data);
	return tensor < 0 ? NC_NONE : (uint32_t)tensor;
}

/* Blocks added up to images: a transposed convolution with a channel for each tap. */
int nc_expand_col2im(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int64_t dim[2 + NC_SPATIAL_MAX] = { x->dim[0], x->dim[1] };
	struct nc_window w;
	int ret = nc_col2im_get(e->g, e->n, &w);
	struct conv c = { .b = NC_NONE, .group = y->dim[1] };
	int64_t taps = x->dim[1] / y->dim[1];

	if (ret)
		return ret;
	for (unsigned int i = 0; i < w.spatial; i++) {
		dim[2 + i] = w.in[i];
		w.up[i] = w.stride[i];
		w.stride[i] = 1;
		w.pad[0][i] = (w.kernel[i] - 1) * w.dilation[i] - w.pad[0][i];
	}
	c.win = w;
	c.x = nc_x_reshape(e, nc_x_in(e, 0), 2 + w.spatial, dim);
	c.w = nc_x_turned_weights(e, unit_taps(e, &w, y->dim[1], taps), c.group);
	nc_x_result(e, 0, w.spatial > 2 ? conv_3d(e, &c) : window_conv(e, &c, 0, c.x, c.w, c.b));
	return nc_x_done(e);
}
