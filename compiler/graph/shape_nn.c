/* SPDX-License-Identifier: MIT */
/* Shapes of windows, products and reductions. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops.h"
#include "shape.h"

/* The device's window fields are 16 bits wide; so is everything here. */
#define WINDOW_MAX	65535

/* A list attribute with one value per spatial axis, or @fill. */
static int window_list(struct npu_graph *g, const struct nc_node *n, const char *name,
		       uint32_t count, int64_t min, int64_t fill, int64_t *value)
{
	const struct nc_attr *a = nc_attr(n, name);

	if (a->count && a->count != count)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "%s has %u entries; %u are needed", name, a->count, count);
	for (uint32_t i = 0; i < count; i++) {
		value[i] = a->count ? a->ints[i] : fill;
		if (value[i] < min || value[i] > WINDOW_MAX)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "%s[%u] is %" PRId64 "; it must be in %" PRId64 " .. %d",
					     name, i, value[i], min, WINDOW_MAX);
	}
	return 0;
}

/* The output size of one axis, and its padding when that follows from it. */
static int window_axis(struct npu_graph *g, const struct nc_node *n, struct nc_window *w,
		       unsigned int i, const char *auto_pad, bool ceil_mode)
{
	int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
	int64_t padded, rest, total;

	if (!strcmp(auto_pad, "SAME_UPPER") || !strcmp(auto_pad, "SAME_LOWER")) {
		w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
		total = (w->out[i] - 1) * w->stride[i] + reach - w->in[i];
		if (total < 0)
			total = 0;
		w->pad[0][i] = auto_pad[5] == 'U' ? total / 2 : total - total / 2;
		w->pad[1][i] = total - w->pad[0][i];
		return 0;
	}
	padded = w->in[i] + w->pad[0][i] + w->pad[1][i];
	if (padded < reach)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "spatial axis %u: a window of %" PRId64 " does not fit into %" PRId64 " elements with padding",
				     i, reach, padded);
	w->out[i] = (padded - reach) / w->stride[i] + 1;
	rest = (padded - reach) % w->stride[i];
	/* One more window if it starts inside the input or the leading padding. */
	if (ceil_mode && rest && w->out[i] * w->stride[i] < w->in[i] + w->pad[0][i]) {
		w->out[i]++;
		w->ceil = true;
	}
	return 0;
}

/* The transposed convolution's output, and the padding of the equal convolution. */
static int transposed_axis(struct npu_graph *g, const struct nc_node *n, struct nc_window *w,
			   unsigned int i, int64_t extra)
{
	const struct nc_attr *shape = nc_attr(n, "output_shape");
	const char *auto_pad = nc_attr(n, "auto_pad")->s;
	int64_t stride = w->stride[i], reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
	int64_t all = stride * (w->in[i] - 1) + extra + reach, total;
	bool same = !strncmp(auto_pad, "SAME_", 5);

	w->out[i] = all - w->pad[0][i] - w->pad[1][i];
	if (shape->count || same) {
		w->out[i] = shape->count ? shape->ints[shape->count - w->spatial + i] :
					   w->in[i] * stride;
		total = all > w->out[i] ? all - w->out[i] : 0;
		w->pad[0][i] = !strcmp(auto_pad, "SAME_UPPER") ? total / 2 : total - total / 2;
	}
	if (w->out[i] < 1 || w->out[i] > WINDOW_MAX || extra >= WINDOW_MAX)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "spatial axis %u would have %" PRId64 " elements; it must have 1 to %d",
				     i, w->out[i], WINDOW_MAX);
	w->pad[0][i] = reach - 1 - w->pad[0][i];
	w->pad[1][i] = 0;
	w->up[i] = stride;
	w->stride[i] = 1;
	return 0;
}

static int transposed_axes(struct npu_graph *g, const struct nc_node *n, struct nc_window *w)
{
	const struct nc_attr *shape = nc_attr(n, "output_shape");
	int64_t extra[NC_SPATIAL_MAX];
	int ret = window_list(g, n, "output_padding", w->spatial, 0, 0, extra);

	if (!ret && shape->count && shape->count != w->spatial && shape->count != w->spatial + 2)
		ret = nc_node_error(&g->diag, n, -EINVAL,
				    "output_shape has %u entries; %u are needed", shape->count,
				    w->spatial);
	for (unsigned int i = 0; !ret && i < w->spatial; i++)
		ret = transposed_axis(g, n, w, i, extra[i]);
	return ret;
}

/* Pads of the attribute, or what auto_pad names is left for later. */
static int window_pads(struct npu_graph *g, const struct nc_node *n, struct nc_window *w)
{
	const char *auto_pad = nc_attr(n, "auto_pad")->s;
	int64_t pads[2 * NC_SPATIAL_MAX];
	int ret = window_list(g, n, "pads", 2 * w->spatial, 0, 0, pads);

	if (ret)
		return ret;
	if (!strcmp(auto_pad, "NOTSET")) {
		for (unsigned int i = 0; i < w->spatial; i++) {
			w->pad[0][i] = pads[i];
			w->pad[1][i] = pads[w->spatial + i];
		}
	} else if (strcmp(auto_pad, "VALID") && strcmp(auto_pad, "SAME_UPPER") &&
		   strcmp(auto_pad, "SAME_LOWER")) {
		return nc_node_error(&g->diag, n, -EINVAL, "auto_pad \"%s\" is unknown", auto_pad);
	}
	return 0;
}

/* WindowConv and WeightGrad say everything themselves. */
static void window_explicit(const struct nc_node *n, struct nc_window *w)
{
	for (unsigned int i = 0; i < w->spatial; i++) {
		w->pad[0][i] = nc_attr(n, "pads")->ints[i];
		w->out[i] = nc_attr(n, "sizes")->ints[i];
		w->up[i] = nc_attr(n, "ups")->ints[i];
	}
}

static int window_kernel(struct npu_graph *g, const struct nc_node *n, struct nc_window *w)
{
	const struct nc_tensor *kernel = nc_in(g, n, 1);
	unsigned int s = w->spatial;

	/* A convolution without kernel_shape takes it from the weights. */
	if (nc_attr(n, "kernel_shape")->count || !kernel)
		return window_list(g, n, "kernel_shape", s, 1, 0, w->kernel);
	memcpy(w->kernel, kernel->dim + 2, s * sizeof(*w->kernel));
	return 0;
}

int nc_window_get(struct npu_graph *g, const struct nc_node *n, struct nc_window *w)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	char text[NC_SHAPE_TEXT];
	uint32_t s;
	int ret;

	memset(w, 0, sizeof(*w));
	if (x->rank < 3 || x->rank > 2 + NC_SPATIAL_MAX)
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "input %s must be [batch, channels, 1 to %d spatial axes]",
				     nc_shape_text(x, text), NC_SPATIAL_MAX);
	s = x->rank - 2;
	w->spatial = s;
	ret = window_kernel(g, n, w);
	ret = ret ? ret : window_list(g, n, "strides", s, 1, 1, w->stride);
	ret = ret ? ret : window_list(g, n, "dilations", s, 1, 1, w->dilation);
	for (uint32_t i = 0; !ret && i < s; i++) {
		w->up[i] = 1;
		w->in[i] = x->dim[2 + i];
		if (w->in[i] < 1)
			ret = nc_node_error(&g->diag, n, -ENOTSUP, "input %s is empty",
					    nc_shape_text(x, text));
	}
	if (!ret && (n->op->code == NC_OP_WindowConv || n->op->code == NC_OP_WeightGrad)) {
		window_explicit(n, w);
		return 0;
	}
	ret = ret ? ret : window_pads(g, n, w);
	if (!ret && n->op->code == NC_OP_ConvTranspose)
		return transposed_axes(g, n, w);
	for (uint32_t i = 0; !ret && i < s; i++)
		ret = window_axis(g, n, w, i, nc_attr(n, "auto_pad")->s,
				  nc_attr(n, "ceil_mode")->i);
	return ret;
}

/* [n, c, out...] */
static int window_output(struct npu_graph *g, struct nc_node *n, const struct nc_window *w,
			 int64_t channels)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t dim[NPU_GRAPH_RANK_MAX] = { x->dim[0], channels };

	memcpy(dim + 2, w->out, w->spatial * sizeof(*dim));
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

static int check_kernel(struct npu_graph *g, const struct nc_node *n,
			const struct nc_window *win)
{
	const struct nc_tensor *w = nc_in(g, n, 1);
	char text[NC_SHAPE_TEXT];

	for (unsigned int i = 0; i < win->spatial; i++)
		if (win->kernel[i] != w->dim[2 + i] || win->kernel[i] > WINDOW_MAX)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "kernel_shape differs from the weights %s, or a side is larger than %d",
					     nc_shape_text(w, text), WINDOW_MAX);
	return 0;
}

int nc_infer_conv(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *w = nc_in(g, n, 1), *b = nc_in(g, n, 2);
	char tx[NC_SHAPE_TEXT], tw[NC_SHAPE_TEXT];
	int64_t group = nc_attr(n, "group")->i;
	struct nc_window win;
	int ret;

	if (x->rank < 3 || w->rank != x->rank || w->dtype != x->dtype)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s and weights %s must have the same type and number of dimensions, at least 3",
				     nc_shape_text(x, tx), nc_shape_text(w, tw));
	if (group < 1 || !w->elems || x->dim[1] % group || x->dim[1] / group != w->dim[1] ||
	    w->dim[0] % group)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s, weights %s and %" PRId64 " groups do not fit: weights are [out, in / groups, window], both divisible",
				     nc_shape_text(x, tx), nc_shape_text(w, tw), group);
	if (b && (b->rank != 1 || b->dim[0] != w->dim[0] || b->dtype != x->dtype))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "bias %s must have one value for each of %" PRId64 " output channels",
				     nc_shape_text(b, tx), w->dim[0]);
	ret = nc_window_get(g, n, &win);
	ret = ret ? ret : check_kernel(g, n, &win);
	return ret ? ret : window_output(g, n, &win, w->dim[0]);
}

int nc_infer_window_conv(struct npu_graph *g, struct nc_node *n)
{
	struct nc_window win;
	int ret = nc_window_get(g, n, &win);

	return ret ? ret : window_output(g, n, &win, nc_in(g, n, 1)->dim[0]);
}

/* [k, c / group, window] */
int nc_infer_weight_grad(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *dy = nc_in(g, n, 1);
	int64_t dim[NPU_GRAPH_RANK_MAX], group = nc_attr(n, "group")->i;
	char tx[NC_SHAPE_TEXT], ty[NC_SHAPE_TEXT];
	struct nc_window win;
	int ret = nc_window_get(g, n, &win);
	bool fits = !ret && dy->rank == x->rank && dy->dtype == x->dtype && group >= 1 &&
		x->dim[0] == dy->dim[0] && x->dim[1] % group == 0 && dy->dim[1] % group == 0;

	if (ret)
		return ret;
	for (unsigned int i = 0; fits && i < win.spatial; i++)
		fits = dy->dim[2 + i] == win.out[i];
	if (!fits)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s and gradient %s do not belong to one convolution of %" PRId64 " groups",
				     nc_shape_text(x, tx), nc_shape_text(dy, ty), group);
	dim[0] = dy->dim[1];
	dim[1] = x->dim[1] / group;
	memcpy(dim + 2, win.kernel, win.spatial * sizeof(*dim));
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

int nc_infer_conv_transpose(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *w = nc_in(g, n, 1), *b = nc_in(g, n, 2);
	char tx[NC_SHAPE_TEXT], tw[NC_SHAPE_TEXT];
	int64_t group = nc_attr(n, "group")->i;
	struct nc_window win;
	int ret;

	if (x->rank < 3 || w->rank != x->rank || w->dtype != x->dtype || group < 1 ||
	    !w->elems || x->dim[1] != w->dim[0] || x->dim[1] % group)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s, weights %s and %" PRId64 " groups do not fit: weights are [in, out / groups, window] of the same type",
				     nc_shape_text(x, tx), nc_shape_text(w, tw), group);
	if (b && (b->rank != 1 || b->dim[0] / group != w->dim[1] || b->dim[0] % group ||
		  b->dtype != x->dtype))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "bias %s must have one value for each of %" PRId64 " output channels",
				     nc_shape_text(b, tx), w->dim[1] * group);
	ret = nc_window_get(g, n, &win);
	ret = ret ? ret : check_kernel(g, n, &win);
	return ret ? ret : window_output(g, n, &win, w->dim[1] * group);
}

int nc_infer_pool(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_window win;
	int ret = nc_window_get(g, n, &win);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < win.spatial; i++) {
		int64_t reach = (win.kernel[i] - 1) * win.dilation[i] + 1;

		if (win.pad[0][i] >= reach || win.pad[1][i] >= reach)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "spatial axis %u is padded by a whole window or more", i);
	}
	ret = window_output(g, n, &win, x->dim[1]);
	if (ret || !nc_out(g, n, 1))
		return ret;
	x = nc_out(g, n, 0);
	return nc_tensor_shape(g, n, n->out[1], n->op->code == NC_OP_MaxPoolAt ?
			       NPU_GRAPH_I32 : NPU_GRAPH_I64, x->rank, x->dim);
}

/* [n, c, sizes] */
int nc_infer_unpool(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *dy = nc_in(g, n, 0), *at = nc_in(g, n, 1);
	const struct nc_attr *sizes = nc_attr(n, "sizes");
	int64_t dim[NPU_GRAPH_RANK_MAX], plane = 1;
	char ty[NC_SHAPE_TEXT], ta[NC_SHAPE_TEXT];
	bool fits = dy->rank >= 3 && dy->rank <= 4 && at->rank == dy->rank &&
		at->dtype == NPU_GRAPH_I32 && !memcmp(at->dim, dy->dim, sizeof(dy->dim)) &&
		sizes->count == dy->rank - 2;

	for (uint32_t i = 0; fits && i < sizes->count; i++) {
		fits = sizes->ints[i] >= 1 && sizes->ints[i] <= WINDOW_MAX && dy->dim[2 + i] >= 1;
		plane *= fits ? sizes->ints[i] : 1;
	}
	if (!fits || plane > INT32_MAX)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "gradient %s and positions %s must be [batch, channels, 1 or 2 spatial axes], with a size for each",
				     nc_shape_text(dy, ty), nc_shape_text(at, ta));
	memcpy(dim, dy->dim, 2 * sizeof(*dim));
	memcpy(dim + 2, sizes->ints, sizes->count * sizeof(*dim));
	return nc_tensor_shape(g, n, n->out[0], dy->dtype, dy->rank, dim);
}

/* The window that Unpool's positions lie in: what it says, or one that sees everything. */
int nc_unpool_window(struct npu_graph *g, const struct nc_node *n, struct nc_window *w)
{
	const struct nc_tensor *dy = nc_in(g, n, 0), *dx = nc_out(g, n, 0);
	bool given = nc_attr(n, "kernel_shape")->count;
	int64_t pads[NC_SPATIAL_MAX];
	uint32_t s = dy->rank - 2;
	int ret = 0;

	memset(w, 0, sizeof(*w));
	w->spatial = s;
	if (given)
		ret = window_list(g, n, "kernel_shape", s, 1, 0, w->kernel);
	ret = ret ? ret : window_list(g, n, "strides", s, 1, 1, w->stride);
	ret = ret ? ret : window_list(g, n, "dilations", s, 1, 1, w->dilation);
	ret = ret ? ret : window_list(g, n, "pads", s, 0, 0, pads);
	for (uint32_t i = 0; !ret && i < s; i++) {
		w->up[i] = 1;
		w->in[i] = dx->dim[2 + i];
		w->out[i] = dy->dim[2 + i];
		w->pad[0][i] = pads[i];
		if (given)
			continue;
		w->stride[i] = w->dilation[i] = 1;
		w->pad[0][i] = w->out[i] - 1;
		w->kernel[i] = w->in[i] + w->out[i] - 1;
	}
	return ret;
}

int nc_unpool_get(struct npu_graph *g, const struct nc_node *n, int64_t *dim)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *idx = nc_in(g, n, 1);
	int64_t kernel[NC_SPATIAL_MAX], stride[NC_SPATIAL_MAX], pads[2 * NC_SPATIAL_MAX];
	char tx[NC_SHAPE_TEXT], ti[NC_SHAPE_TEXT];
	uint32_t s = x->rank - 2;
	int ret;

	if (x->rank < 3 || s > NC_SPATIAL_MAX || idx->dtype != NPU_GRAPH_I64 ||
	    idx->rank != x->rank || memcmp(idx->dim, x->dim, sizeof(x->dim)))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s and indices %s must both be [batch, channels, 1 to %d spatial axes]",
				     nc_shape_text(x, tx), nc_shape_text(idx, ti), NC_SPATIAL_MAX);
	ret = window_list(g, n, "kernel_shape", s, 1, 0, kernel);
	ret = ret ? ret : window_list(g, n, "strides", s, 1, 1, stride);
	ret = ret ? ret : window_list(g, n, "pads", 2 * s, 0, 0, pads);
	memcpy(dim, x->dim, 2 * sizeof(*dim));
	for (uint32_t i = 0; !ret && i < s; i++) {
		dim[2 + i] = (x->dim[2 + i] - 1) * stride[i] + kernel[i] - pads[i] - pads[s + i];
		if (dim[2 + i] < 1 || x->dim[2 + i] < 1)
			ret = nc_node_error(&g->diag, n, -EINVAL,
					    "spatial axis %u of %s has nothing that is not padding",
					    i, nc_shape_text(x, tx));
	}
	return ret;
}

int nc_infer_max_unpool(struct npu_graph *g, struct nc_node *n)
{
	int64_t dim[NPU_GRAPH_RANK_MAX], given[NPU_GRAPH_RANK_MAX];
	const struct nc_tensor *x = nc_in(g, n, 0);
	int ret = nc_unpool_get(g, n, dim), count;

	if (ret)
		return ret;
	if (!nc_in(g, n, 2))
		return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
	count = nc_in_ints(g, n, 2, given, NPU_GRAPH_RANK_MAX);
	if (count < 0)
		return count;
	if (count != (int)x->rank)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "output_shape has %d entries; %u are needed", count, x->rank);
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, given);
}

int nc_col2im_get(struct npu_graph *g, const struct nc_node *n, struct nc_window *w)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int count = nc_in_ints(g, n, 1, w->out, NC_SPATIAL_MAX);
	int64_t pads[2 * NC_SPATIAL_MAX], taps = 1, places = 1;
	char text[NC_SHAPE_TEXT];
	int blocks = count < 0 ? count : nc_in_ints(g, n, 2, w->kernel, NC_SPATIAL_MAX);
	int ret;

	if (blocks < 0)
		return blocks;
	if (blocks != count || !count)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "image_shape has %d entries, block_shape %d", count, blocks);
	w->spatial = (unsigned int)count;
	ret = window_list(g, n, "strides", w->spatial, 1, 1, w->stride);
	ret = ret ? ret : window_list(g, n, "dilations", w->spatial, 1, 1, w->dilation);
	ret = ret ? ret : window_list(g, n, "pads", 2 * w->spatial, 0, 0, pads);
	for (unsigned int i = 0; !ret && i < w->spatial; i++) {
		w->pad[0][i] = pads[i];
		w->pad[1][i] = pads[w->spatial + i];
		if (w->kernel[i] < 1 || w->kernel[i] > WINDOW_MAX || w->out[i] < 1 ||
		    w->out[i] > WINDOW_MAX)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "image and block sides must be in 1 .. %d", WINDOW_MAX);
		w->in[i] = (w->out[i] + pads[i] + pads[w->spatial + i] -
			    (w->kernel[i] - 1) * w->dilation[i] - 1) / w->stride[i] + 1;
		taps *= w->kernel[i];
		places *= w->in[i];
	}
	if (ret)
		return ret;
	if (x->rank == 3 && x->elems && x->dim[1] % taps == 0 && x->dim[2] == places)
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL,
			     "input %s must be [batch, channels * %" PRId64 ", %" PRId64 "]",
			     nc_shape_text(x, text), taps, places);
}

int nc_infer_col2im(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	struct nc_window w;
	int ret = nc_col2im_get(g, n, &w);

	if (ret)
		return ret;
	dim[0] = x->dim[0];
	dim[1] = x->dim[1];
	for (unsigned int i = 0; i < w.spatial; i++) {
		dim[1] /= w.kernel[i];
		dim[2 + i] = w.out[i];
	}
	return nc_tensor_shape(g, n, n->out[0], x->dtype, 2 + w.spatial, dim);
}

int nc_infer_global_pool(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	char text[NC_SHAPE_TEXT];

	if (x->rank < 2)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s must be [batch, channels, spatial axes]",
				     nc_shape_text(x, text));
	for (unsigned int i = 0; i < x->rank; i++)
		dim[i] = i < 2 ? x->dim[i] : 1;
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

int nc_infer_gemm(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *a = nc_in(g, n, 0), *b = nc_in(g, n, 1), *c = nc_in(g, n, 2);
	bool ta = nc_attr(n, "transA")->i, tb = nc_attr(n, "transB")->i;
	char text[2][NC_SHAPE_TEXT];
	int64_t dim[NPU_GRAPH_RANK_MAX], joined[NPU_GRAPH_RANK_MAX];
	unsigned int rank = 2;

	if (a->rank != 2 || b->rank != 2 || a->dtype != b->dtype || a->dim[!ta] != b->dim[tb])
		return nc_node_error(&g->diag, n, -EINVAL,
				     "%s%s times %s%s: must be matrices of one type with equal inner dimensions",
				     nc_shape_text(a, text[0]), ta ? " transposed" : "",
				     nc_shape_text(b, text[1]), tb ? " transposed" : "");
	dim[0] = a->dim[ta];
	dim[1] = b->dim[!tb];
	memcpy(joined, dim, 2 * sizeof(*dim));
	if (c && (c->rank > 2 || c->dtype != a->dtype ||
		  nc_broadcast(&rank, joined, c->rank, c->dim) ||
		  joined[0] != dim[0] || joined[1] != dim[1]))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "C %s does not broadcast to [%" PRId64 ",%" PRId64 "]",
				     nc_shape_text(c, text[0]), dim[0], dim[1]);
	return nc_tensor_shape(g, n, n->out[0], a->dtype, 2, dim);
}

int nc_infer_matmul(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *a = nc_in(g, n, 0), *b = nc_in(g, n, 1);
	char ta[NC_SHAPE_TEXT], tb[NC_SHAPE_TEXT];
	int64_t dim[NPU_GRAPH_RANK_MAX + 2];
	bool fits = a->rank && b->rank && a->dtype == b->dtype;
	unsigned int rank;

	if (fits)
		fits = a->dim[a->rank - 1] == b->dim[b->rank > 1 ? b->rank - 2 : 0];
	rank = a->rank > 2 ? a->rank - 2 : 0;
	memcpy(dim, a->dim, rank * sizeof(*dim));
	if (!fits || nc_broadcast(&rank, dim, b->rank > 2 ? b->rank - 2 : 0, b->dim))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "%s times %s: inner dimensions must be equal, outer ones broadcast, types equal",
				     nc_shape_text(a, ta), nc_shape_text(b, tb));
	if (a->rank > 1)
		dim[rank++] = a->dim[a->rank - 2];
	if (b->rank > 1)
		dim[rank++] = b->dim[b->rank - 1];
	return nc_tensor_shape(g, n, n->out[0], a->dtype, rank, dim);
}

int nc_reduce_axes(struct npu_graph *g, const struct nc_node *n, unsigned int *axes)
{
	unsigned int rank = nc_in(g, n, 0)->rank;
	int64_t value[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, value, NPU_GRAPH_RANK_MAX);

	*axes = 0;
	if (count < 0)
		return count;
	if (!count && !nc_attr(n, "noop_with_empty_axes")->i)
		*axes = (1u << rank) - 1;
	for (int i = 0; i < count; i++) {
		int axis = nc_axis(g, n, value[i], rank);

		if (axis < 0)
			return axis;
		if (*axes & 1u << axis)
			return nc_node_error(&g->diag, n, -EINVAL, "axis %d is there twice", axis);
		*axes |= 1u << axis;
	}
	return 0;
}

int nc_infer_reduce(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	bool keep = nc_attr(n, "keepdims")->i;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int axes, rank = 0;
	int ret = nc_reduce_axes(g, n, &axes);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < x->rank; i++)
		if (!(axes & 1u << i))
			dim[rank++] = x->dim[i];
		else if (keep)
			dim[rank++] = 1;
	return nc_tensor_shape(g, n, n->out[0], x->dtype, rank, dim);
}
