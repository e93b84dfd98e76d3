/* SPDX-License-Identifier: MIT */
/*
 * Gradients of convolutions and pooling over one or two axes, which are windows again:
 * what an output saw of the input is what the input's gradient sees of the output's,
 * with stride and distance of elements exchanged and the kernel turned around.
 */
#include "grad.h"

#include <string.h>

#include "graph/ops.h"
#include "graph/shape.h"

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

/* The gradient of the input: @weights are turned already. */
static uint32_t back(const struct nc_grad *d, const struct nc_window *w, int64_t group,
		     uint32_t dy, uint32_t weights)
{
	unsigned int n = w->spatial;
	int64_t pad[NC_SPATIAL_MAX];

	for (unsigned int i = 0; i < n; i++)
		pad[i] = (w->kernel[i] - 1) * w->dilation[i] - w->pad[0][i];
	return nc_x_node(&d->e, NC_OP_WindowConv,
			 NC_X_ATTRS(NC_X_INTS("strides", w->up, n),
				    NC_X_INTS("dilations", w->dilation, n),
				    NC_X_INTS("pads", pad, n), NC_X_INTS("ups", w->stride, n),
				    NC_X_INTS("sizes", w->in, n), NC_X_INT("group", group)),
			 2, (const uint32_t[]){ dy, weights });
}

static uint32_t weight_gradient(const struct nc_grad *d, const struct nc_window *w, int64_t group,
				uint32_t dy)
{
	unsigned int n = w->spatial;

	return nc_x_node(&d->e, NC_OP_WeightGrad,
			 NC_X_ATTRS(NC_X_INTS("strides", w->stride, n),
				    NC_X_INTS("dilations", w->dilation, n),
				    NC_X_INTS("pads", w->pad[0], n), NC_X_INTS("ups", w->up, n),
				    NC_X_INTS("sizes", w->out, n),
				    NC_X_INTS("kernel_shape", w->kernel, n),
				    NC_X_INT("group", group)),
			 2, (const uint32_t[]){ nc_x_in(&d->e, 0), dy });
}

void nc_grad_conv(const struct nc_grad *d)
{
	int64_t group = nc_grad_int(d, "group");
	uint32_t dy = nc_grad_out(d, 0), weights = nc_x_in(&d->e, 1);
	struct nc_window w;

	if (nc_window_get(d->e.g, d->e.n, &w))
		return;
	if (nc_grad_wants(d, 0))
		nc_grad_add(d, 0, back(d, &w, group, dy,
				       nc_x_turned_weights(&d->e, weights, group)));
	if (nc_grad_wants(d, 1))
		nc_grad_add(d, 1, weight_gradient(d, &w, group, dy));
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

/* How many elements of the input, or of it and its padding, a place of an axis sees. */
static int64_t seen_by(const struct nc_window *w, unsigned int axis, int64_t place, bool pad)
{
	int64_t first = place * w->stride[axis] - w->pad[0][axis], seen = 0;
	int64_t from = pad ? -w->pad[0][axis] : 0;
	int64_t to = w->in[axis] + (pad ? w->pad[1][axis] : 0);

	for (int64_t k = 0; k < w->kernel[axis]; k++)
		seen += first + k * w->dilation[axis] >= from &&
			first + k * w->dilation[axis] < to;
	return seen;
}

/* What each place of an average divides by. */
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

		for (unsigned int i = w->spatial; i-- > 0; rest /= w->out[i])
			count *= seen_by(w, i, rest % w->out[i], pad);
		data[p] = (float)count;
	}
	tensor = data ? nc_graph_const(d->e.g, NULL, NPU_GRAPH_F32, 2 + w->spatial, dim, data) : -1;
	return tensor < 0 ? NC_NONE : (uint32_t)tensor;
}

void nc_grad_average_pool(const struct nc_grad *d)
{
	int64_t channels = nc_x_get(&d->e, nc_x_in(&d->e, 0))->dim[1];
	uint32_t dy = nc_grad_out(d, 0);
	struct nc_window w;

	if (nc_window_get(d->e.g, d->e.n, &w))
		return;
	if (d->e.n->op->code == NC_OP_AveragePool)
		dy = nc_x_2(&d->e, NC_OP_Div, dy, counts(d, &w));
	nc_grad_add(d, 0, back(d, &w, channels, dy, ones(d, &w, channels)));
}

/* The operator with the positions of its maxima. */
static uint32_t with_positions(const struct nc_grad *d)
{
	struct npu_graph *g = d->e.g;
	const struct nc_node *n = d->e.n;
	struct nc_node *r;
	int64_t t;

	if (n->op->code == NC_OP_MaxPoolAt)
		return n->out[1];
	r = nc_node_new(g, nc_op_get(NC_OP_MaxPoolAt), g->node[d->node]->name, 1, 2);
	t = r ? nc_graph_tensor(g, NULL) : -1;
	if (t < 0)
		return NC_NONE;
	r->type = n->type;
	r->in[0] = n->in[0];
	r->out[0] = n->out[0];
	r->out[1] = (uint32_t)t;
	r->attr = n->attr;
	r->attrs = n->attrs;
	g->err = r->op->infer(g, r);
	nc_grad_replace(d, r);
	return (uint32_t)t;
}

static const struct nc_node *producer(const struct nc_grad *d, uint32_t tensor)
{
	uint32_t node = nc_x_get(&d->e, tensor)->node;

	return node == NC_NONE ? NULL : d->e.g->node[node];
}

/* The relu that computed @tensor, but for transposes; or NULL. */
static const struct nc_node *relu_before(const struct nc_grad *d, uint32_t tensor)
{
	const struct nc_node *n = producer(d, tensor);

	while (n && n->op->code == NC_OP_Transpose)
		n = producer(d, n->in[0]);
	return n && n->op->code == NC_OP_Relu ? n : NULL;
}

/* @t, shaped like @tensor, shaped like the result of the relu before it. */
static uint32_t transposed_back(const struct nc_grad *d, uint32_t tensor, uint32_t t)
{
	const struct nc_node *n = producer(d, tensor);
	unsigned int perm[NPU_GRAPH_RANK_MAX];
	int64_t inverse[NPU_GRAPH_RANK_MAX];

	for (; n->op->code == NC_OP_Transpose; n = producer(d, n->in[0])) {
		if (nc_perm_get(d->e.g, n, perm))
			return NC_NONE;
		for (unsigned int i = 0; i < nc_x_get(&d->e, t)->rank; i++)
			inverse[perm[i]] = i;
		t = nc_x_transpose(&d->e, t, inverse);
	}
	return t;
}

/*
 * Each output's gradient to the element that was its maximum. If that was computed by relu,
 * it goes on to relu's input: the maximum says whether it was above 0, and there are fewer
 * maxima than elements.
 */
void nc_grad_max_pool(const struct nc_grad *d)
{
	uint32_t x = nc_x_in(&d->e, 0), dy = nc_grad_out(d, 0), dx;
	const struct nc_node *relu = relu_before(d, x);
	struct nc_window w;

	if (nc_window_get(d->e.g, d->e.n, &w))
		return;
	if (relu)
		dy = nc_x_2(&d->e, NC_OP_ReluGrad, dy, d->e.n->out[0]);
	dx = nc_x_node(&d->e, NC_OP_Unpool,
		       NC_X_ATTRS(NC_X_INTS("sizes", w.in, w.spatial),
				  NC_X_INTS("kernel_shape", w.kernel, w.spatial),
				  NC_X_INTS("strides", w.stride, w.spatial),
				  NC_X_INTS("dilations", w.dilation, w.spatial),
				  NC_X_INTS("pads", w.pad[0], w.spatial)),
		       2, (const uint32_t[]){ dy, with_positions(d) });
	if (relu)
		nc_grad_add_to(d, relu->in[0], transposed_back(d, x, dx));
	else
		nc_grad_add(d, 0, dx);
}
