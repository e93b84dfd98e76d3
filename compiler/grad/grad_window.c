/* SPDX-License-Identifier: MIT */
/* Gradients of convolutions and pooling. */
#include "grad.h"

#include <string.h>

#include "graph/ops.h"

/* Spatial axes, and the batch, are summed up: a bias per channel. */
static void add_bias(const struct nc_grad *d, uint32_t i)
{
	unsigned int rank = nc_x_get(&d->e, nc_grad_out(d, 0))->rank;
	const struct nc_tensor *b = nc_x_get(&d->e, nc_x_in(&d->e, i));
	uint32_t t;

	if (!nc_grad_wants(d, i))
		return;
	t = nc_x_reduce(&d->e, NC_OP_ReduceSum, nc_grad_out(d, 0), ((1u << rank) - 1) & ~2u);
	nc_grad_add(d, i, nc_x_reshape(&d->e, t, 1, b->dim));
}

/* Attributes of a window that is written out. */
struct window_attrs {
	int64_t pads[2 * NC_SPATIAL_MAX];
	struct nc_attr list[8];
};

static const struct nc_attr *window_attrs(const struct nc_window *w, int64_t group,
					  const int64_t *more, struct window_attrs *a)
{
	unsigned int n = w->spatial, at = 0;

	for (unsigned int i = 0; i < n; i++) {
		a->pads[i] = w->pad[0][i];
		a->pads[n + i] = w->pad[1][i];
	}
	a->list[at++] = (struct nc_attr)NC_X_INTS("pads", a->pads, 2 * n);
	a->list[at++] = (struct nc_attr)NC_X_INTS("strides", w->stride, n);
	a->list[at++] = (struct nc_attr)NC_X_INTS("dilations", w->dilation, n);
	a->list[at++] = (struct nc_attr)NC_X_INT("group", group);
	if (more)
		a->list[at++] = (struct nc_attr)NC_X_INTS("output_padding", more, n);
	a->list[at] = (struct nc_attr)NC_X_END;
	return a->list;
}

/* Every output adds to what its window saw. */
static uint32_t transposed_conv(const struct nc_grad *d, const struct nc_window *w, int64_t group,
				uint32_t dy, uint32_t weights)
{
	int64_t more[NC_SPATIAL_MAX];
	struct window_attrs a;

	/* Inputs that the last window does not reach. */
	for (unsigned int i = 0; i < w->spatial; i++)
		more[i] = w->in[i] + w->pad[0][i] + w->pad[1][i] -
			  ((w->out[i] - 1) * w->stride[i] +
			   (w->kernel[i] - 1) * w->dilation[i] + 1);
	return nc_x_node(&d->e, NC_OP_ConvTranspose, window_attrs(w, group, more, &a), 2,
			 (const uint32_t[]){ dy, weights });
}

/*
 * [k, c / group, ...]: for every tap, what it saw times what came of it, over the
 * batch and all places.
 */
static uint32_t weight_gradient(const struct nc_grad *d, const struct nc_window *w, int64_t group,
				uint32_t x, uint32_t dy, uint32_t weights)
{
	static const int64_t swap[] = { 0, 1, 3, 2 };
	const struct nc_expand *e = &d->e;
	const struct nc_tensor *in = nc_x_get(e, x), *out = nc_x_get(e, dy);
	const struct nc_tensor *like = nc_x_get(e, weights);
	uint32_t taps = nc_x_taps(e, x, w), t;
	const struct nc_tensor *seen = nc_x_get(e, taps);
	int64_t columns = in->dim[1] / group * seen->dim[2], places = seen->dim[3];

	taps = nc_x_reshape(e, taps, 4, (const int64_t[]){ in->dim[0], group, columns, places });
	t = nc_x_reshape(e, dy, 4, (const int64_t[]){ in->dim[0], group, out->dim[1] / group,
						      places });
	t = nc_x_2(e, NC_OP_MatMul, t, nc_x_transpose(e, taps, swap));
	t = nc_x_reduce(e, NC_OP_ReduceSum, t, 1);
	return nc_x_reshape(e, t, like->rank, like->dim);
}

void nc_grad_conv(const struct nc_grad *d)
{
	int64_t group = nc_grad_int(d, "group");
	uint32_t dy = nc_grad_out(d, 0);
	struct nc_window w;

	if (nc_window_get(d->e.g, d->e.n, &w))
		return;
	if (nc_grad_wants(d, 0))
		nc_grad_add(d, 0, transposed_conv(d, &w, group, dy, nc_x_in(&d->e, 1)));
	if (nc_grad_wants(d, 1))
		nc_grad_add(d, 1, weight_gradient(d, &w, group, nc_x_in(&d->e, 0), dy,
						  nc_x_in(&d->e, 1)));
	add_bias(d, 2);
}

/* The window of the convolution that it is the transpose of. */
static int forward_window(const struct nc_grad *d, struct nc_window *w)
{
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, 0));
	const struct nc_tensor *y = nc_x_get(&d->e, d->e.n->out[0]);
	int ret = nc_window_get(d->e.g, d->e.n, w);

	for (unsigned int i = 0; !ret && i < w->spatial; i++) {
		int64_t reach = (w->kernel[i] - 1) * w->dilation[i];

		w->stride[i] = w->up[i];
		w->up[i] = 1;
		w->in[i] = y->dim[2 + i];
		w->out[i] = x->dim[2 + i];
		w->pad[0][i] = reach - w->pad[0][i];
		w->pad[1][i] = (w->out[i] - 1) * w->stride[i] + reach + 1 - w->in[i] -
			       w->pad[0][i];
	}
	return ret;
}

/* Without what no window reaches: that is only bias. */
static uint32_t reached(const struct nc_grad *d, struct nc_window *w, uint32_t dy)
{
	for (unsigned int i = 0; i < w->spatial; i++) {
		int64_t first = w->pad[0][i] < 0 ? -w->pad[0][i] : 0;
		int64_t last = w->pad[1][i] < 0 ? -w->pad[1][i] : 0;

		if (!first && !last)
			continue;
		dy = nc_x_slice(&d->e, dy, 2 + i, first, w->in[i] - last, 1);
		w->in[i] -= first + last;
		w->pad[0][i] += first;
		w->pad[1][i] += last;
	}
	return dy;
}

void nc_grad_conv_transpose(const struct nc_grad *d)
{
	int64_t group = nc_grad_int(d, "group");
	uint32_t dy, weights = nc_x_in(&d->e, 1);
	struct window_attrs a;
	struct nc_window w;

	if (forward_window(d, &w))
		return;
	dy = reached(d, &w, nc_grad_out(d, 0));
	if (nc_grad_wants(d, 0))
		nc_grad_add(d, 0, nc_x_node(&d->e, NC_OP_Conv, window_attrs(&w, group, NULL, &a), 2,
					    (const uint32_t[]){ dy, weights }));
	if (nc_grad_wants(d, 1))
		nc_grad_add(d, 1, weight_gradient(d, &w, group, dy, nc_x_in(&d->e, 0), weights));
	add_bias(d, 2);
}

/* A kernel of ones per channel: what a sum over windows is a convolution with. */
static uint32_t ones(const struct nc_grad *d, const struct nc_window *w, int64_t channels)
{
	int64_t dim[2 + NC_SPATIAL_MAX] = { channels, 1 };

	memcpy(dim + 2, w->kernel, w->spatial * sizeof(*dim));
	return nc_x_node(&d->e, NC_OP_Expand, NULL, 2,
			 (const uint32_t[]){ nc_x_float(&d->e, 1),
					     nc_x_ints(&d->e, dim, 2 + w->spatial) });
}

/* How many elements of the input, or of it and its padding, each place averages. */
static uint32_t counts(const struct nc_grad *d, const struct nc_window *w)
{
	bool pad = nc_attr(d->e.n, "count_include_pad")->i;
	int64_t dim[2 + NC_SPATIAL_MAX] = { 1, 1 }, places = 1, tensor;
	float *data;

	for (unsigned int i = 0; i < w->spatial; i++) {
		dim[2 + i] = w->out[i];
		places *= w->out[i];
	}
	data = nc_x_alloc(&d->e, places, sizeof(*data));
	for (int64_t p = 0; data && p < places; p++) {
		int64_t rest = p, count = 1;

		for (unsigned int i = w->spatial; i-- > 0; rest /= w->out[i]) {
			int64_t first = rest % w->out[i] * w->stride[i] - w->pad[0][i], seen = 0;
			int64_t from = pad ? -w->pad[0][i] : 0;
			int64_t to = w->in[i] + (pad ? w->pad[1][i] : 0);

			for (int64_t k = 0; k < w->kernel[i]; k++)
				seen += first + k * w->dilation[i] >= from &&
					first + k * w->dilation[i] < to;
			count *= seen;
		}
		data[p] = (float)count;
	}
	tensor = data ? nc_graph_const(d->e.g, NULL, NPU_GRAPH_F32, 2 + w->spatial, dim, data) : -1;
	return tensor < 0 ? NC_NONE : (uint32_t)tensor;
}

/* With ceil_mode the last window may reach beyond the padding. */
static void close_window(struct nc_window *w)
{
	for (unsigned int i = 0; i < w->spatial; i++) {
		int64_t seen = (w->out[i] - 1) * w->stride[i] +
			       (w->kernel[i] - 1) * w->dilation[i] + 1;

		if (w->pad[1][i] < seen - w->in[i] - w->pad[0][i])
			w->pad[1][i] = seen - w->in[i] - w->pad[0][i];
	}
}

void nc_grad_average_pool(const struct nc_grad *d)
{
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, 0));
	uint32_t dy = nc_grad_out(d, 0);
	struct nc_window w;

	if (nc_window_get(d->e.g, d->e.n, &w))
		return;
	if (d->e.n->op->code == NC_OP_AveragePool)
		dy = nc_x_2(&d->e, NC_OP_Div, dy, counts(d, &w));
	close_window(&w);
	nc_grad_add(d, 0, transposed_conv(d, &w, x->dim[1], dy, ones(d, &w, x->dim[1])));
}

/* The operator with its indices as an output. */
static uint32_t with_indices(const struct nc_grad *d)
{
	struct npu_graph *g = d->e.g;
	const struct nc_node *n = d->e.n;
	struct nc_node *r;
	int64_t t;

	if (n->outs > 1 && n->out[1] != NC_NONE)
		return n->out[1];
	r = nc_node_new(g, n->op, g->node[d->node]->name, 1, 2);
	t = r ? nc_graph_tensor(g, NULL) : -1;
	if (t < 0)
		return NC_NONE;
	r->in[0] = n->in[0];
	r->out[0] = n->out[0];
	r->out[1] = (uint32_t)t;
	r->attr = n->attr;
	r->attrs = n->attrs;
	g->err = r->op->infer(g, r);
	nc_grad_replace(d, r);
	return (uint32_t)t;
}

/* Each output's gradient to the element that was its maximum. */
void nc_grad_max_pool(const struct nc_grad *d)
{
	const struct nc_expand *e = &d->e;
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	uint32_t dy = nc_grad_out(d, 0), index, t;
	const int64_t in = (int64_t)x->elems, out = (int64_t)nc_x_get(e, dy)->elems;

	if (nc_grad_int(d, "storage_order")) {
		nc_grad_refuse(d, "its indices are in column-major order; use storage_order 0");
		return;
	}
	index = nc_x_reshape(e, with_indices(d), 2, (const int64_t[]){ 1, out });
	t = nc_x_ints(e, (const int64_t[]){ 1, in, 1 }, 3);
	t = nc_x_node(e, NC_OP_ConstantOfShape, NULL, 1, &t);
	t = nc_x_node(e, NC_OP_Put, NC_X_ATTRS(NC_X_STRING("reduction", "add")), 3,
		      (const uint32_t[]){ t, index,
					  nc_x_reshape(e, dy, 3, (const int64_t[]){ 1, out, 1 }) });
	nc_grad_add(d, 0, nc_x_reshape(e, t, x->rank, x->dim));
}
