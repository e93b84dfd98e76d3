/* SPDX-License-Identifier: MIT */
/* Gradients of reductions, and of what relates elements to them. */
#include "grad.h"

#include "graph/ops.h"

/**
 * struct reduction - a reduction, as if it kept the axes
 * @axes: bit i: axis i is reduced
 * @x: input
 * @y: output, with the axes as 1
 * @dy: its gradient, likewise
 */
struct reduction {
	const struct nc_grad *d;
	unsigned int axes;
	uint32_t x, y, dy;
};

static uint32_t f2(const struct reduction *r, enum nc_opcode code, uint32_t a, uint32_t b)
{
	return nc_x_2(&r->d->e, code, a, b);
}

/* Elements that are the extreme share the gradient. */
static uint32_t extreme(const struct reduction *r)
{
	const struct nc_expand *e = &r->d->e;
	uint32_t is = nc_x_cast(e, f2(r, NC_OP_Equal, r->x, r->y), NPU_GRAPH_F32);
	uint32_t count = nc_x_reduce(e, NC_OP_ReduceSum, is, r->axes);

	return f2(r, NC_OP_Mul, is, f2(r, NC_OP_Div, r->dy, count));
}

/*
 * The product of the others, for any number of zeroes: with none y / x, with one
 * only that element has a gradient, the product without it; with more none.
 */
static uint32_t product(const struct reduction *r)
{
	const struct nc_expand *e = &r->d->e;
	uint32_t zero = nc_x_scalar(e, NC_OP_Equal, r->x, 0);
	uint32_t zeroes = nc_x_reduce(e, NC_OP_ReduceSum, nc_x_cast(e, zero, NPU_GRAPH_F32),
				      r->axes);
	uint32_t x = nc_x_where(e, zero, nc_x_float(e, 1), r->x);
	uint32_t rest = f2(r, NC_OP_Mul, r->dy, nc_x_reduce(e, NC_OP_ReduceProd, x, r->axes));
	uint32_t lone = nc_x_where(e, nc_x_scalar(e, NC_OP_Equal, zeroes, 1), rest,
				   nc_x_float(e, 0));
	uint32_t none = nc_x_where(e, nc_x_scalar(e, NC_OP_Equal, zeroes, 0),
				   f2(r, NC_OP_Div, rest, x), nc_x_float(e, 0));

	return nc_x_where(e, zero, lone, none);
}

/* x / y, 0 where all of x is */
static uint32_t over_norm(const struct reduction *r)
{
	const struct nc_expand *e = &r->d->e;
	uint32_t some = nc_x_scalar(e, NC_OP_Greater, r->y, 0);
	uint32_t y = nc_x_where(e, some, r->y, nc_x_float(e, 1));

	return f2(r, NC_OP_Mul, r->x, f2(r, NC_OP_Div, r->dy, y));
}

static uint32_t input_gradient(const struct reduction *r, enum npu_graph_reduce op, int64_t count)
{
	const struct nc_expand *e = &r->d->e;

	switch (op) {
	case NPU_REDUCE_SUM:
		return r->dy;
	case NPU_REDUCE_MEAN:
		return nc_grad_times(r->d, r->dy, 1.0f / (float)count);
	case NPU_REDUCE_MAX:
	case NPU_REDUCE_MIN:
		return extreme(r);
	case NPU_REDUCE_PROD:
		return product(r);
	case NPU_REDUCE_L1:
		return f2(r, NC_OP_Mul, nc_x_1(e, NC_OP_Sign, r->x), r->dy);
	case NPU_REDUCE_L2:
		return over_norm(r);
	case NPU_REDUCE_SUM_SQUARE:
		return f2(r, NC_OP_Mul, r->x, nc_grad_times(r->d, r->dy, 2));
	case NPU_REDUCE_LOG_SUM:
		return f2(r, NC_OP_Div, r->dy, nc_x_1(e, NC_OP_Exp, r->y));
	case NPU_REDUCE_LOG_SUM_EXP:
		return f2(r, NC_OP_Mul, r->dy,
			  nc_x_1(e, NC_OP_Exp, f2(r, NC_OP_Sub, r->x, r->y)));
	}
	return NC_NONE;
}

static void reduction(const struct nc_grad *d, enum npu_graph_reduce op, unsigned int axes)
{
	const struct nc_expand *e = &d->e;
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	struct reduction r = { .d = d, .axes = axes, .x = nc_x_in(e, 0) };
	int64_t kept[NPU_GRAPH_RANK_MAX], count = 1;

	for (unsigned int i = 0; i < x->rank; i++) {
		bool gone = r.axes >> i & 1;

		kept[i] = gone ? 1 : x->dim[i];
		count *= gone ? x->dim[i] : 1;
	}
	r.y = nc_x_reshape(e, e->n->out[0], x->rank, kept);
	r.dy = nc_x_reshape(e, nc_grad_out(d, 0), x->rank, kept);
	nc_grad_add(d, 0, nc_x_2(e, NC_OP_Expand, input_gradient(&r, op, count),
				 nc_x_ints(e, x->dim, x->rank)));
}

void nc_grad_reduce(const struct nc_grad *d)
{
	unsigned int axes;

	if (!nc_reduce_axes(d->e.g, d->e.n, &axes))
		reduction(d, (enum npu_graph_reduce)d->e.n->op->arg, axes);
}

void nc_grad_global_pool(const struct nc_grad *d)
{
	unsigned int rank = nc_x_get(&d->e, nc_x_in(&d->e, 0))->rank;

	reduction(d, d->e.n->op->code == NC_OP_GlobalMaxPool ? NPU_REDUCE_MAX : NPU_REDUCE_MEAN,
		  ((1u << rank) - 1) & ~3u);
}

static unsigned int axis_bit(const struct nc_grad *d)
{
	int axis = nc_axis(d->e.g, d->e.n, nc_grad_int(d, "axis"),
			   nc_x_get(&d->e, d->e.n->out[0])->rank);

	return axis < 0 ? 0 : 1u << axis;
}

/* y (dy - sum(y dy)) */
void nc_grad_softmax(const struct nc_grad *d)
{
	uint32_t y = d->e.n->out[0], dy = nc_grad_out(d, 0);
	uint32_t sum = nc_x_reduce(&d->e, NC_OP_ReduceSum, nc_x_2(&d->e, NC_OP_Mul, y, dy),
				   axis_bit(d));

	nc_grad_add(d, 0, nc_x_2(&d->e, NC_OP_Mul, y, nc_x_2(&d->e, NC_OP_Sub, dy, sum)));
}

/* dy - e^y sum(dy) */
void nc_grad_log_softmax(const struct nc_grad *d)
{
	uint32_t dy = nc_grad_out(d, 0);
	uint32_t sum = nc_x_reduce(&d->e, NC_OP_ReduceSum, dy, axis_bit(d));
	uint32_t p = nc_x_1(&d->e, NC_OP_Exp, d->e.n->out[0]);

	nc_grad_add(d, 0, nc_x_2(&d->e, NC_OP_Sub, dy, nc_x_2(&d->e, NC_OP_Mul, p, sum)));
}
