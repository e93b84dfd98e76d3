/* SPDX-License-Identifier: MIT */
/*
 * Optimizers as operators of ai.onnx.preview.training: a rate, the number of updates so
 * far, then for n tensors all values, all gradients, and all of what the optimizer keeps.
 */
#include <errno.h>
#include <string.h>

#include "expand.h"

/* Of each tensor: value, gradient, and one or two that are kept. */
#define KEPT_MAX	2

static unsigned int kept_by(const struct nc_node *n)
{
	return n->op->code == NC_OP_Adam ? 2 : 1;
}

int nc_infer_optimizer(struct npu_graph *g, struct nc_node *n)
{
	unsigned int kept = kept_by(n), count = (n->ins - 2) / (2 + kept);
	const struct nc_tensor *rate = nc_in(g, n, 0), *updates = nc_in(g, n, 1);
	char text[2][NC_SHAPE_TEXT];

	if (!count || (n->ins - 2) % (2 + kept) || n->outs != count * (1 + kept))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "has %u inputs and %u outputs; it takes 2 and %u, and gives %u, for each tensor",
				     n->ins, n->outs, 2 + kept, 1 + kept);
	if (rate->dtype != NPU_GRAPH_F32 || rate->elems != 1 || updates->dtype != NPU_GRAPH_I64 ||
	    updates->elems != 1)
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "rate %s and count %s must be one f32 and one i64",
				     nc_shape_text(rate, text[0]), nc_shape_text(updates, text[1]));
	for (uint32_t i = 2; i < n->ins; i++) {
		const struct nc_tensor *x = nc_in(g, n, 2 + (i - 2) % count), *t = nc_in(g, n, i);

		if (t->dtype != NPU_GRAPH_F32 || t->rank != x->rank ||
		    memcmp(t->dim, x->dim, x->rank * sizeof(*x->dim)))
			return nc_node_error(&g->diag, n, -ENOTSUP,
					     "input %u is %s; it must be f32 of the shape of its tensor, %s",
					     i, nc_shape_text(t, text[0]), nc_shape_text(x, text[1]));
	}
	for (uint32_t i = 0; i < n->outs; i++) {
		const struct nc_tensor *x = nc_in(g, n, 2 + i % count);
		int ret = nc_tensor_shape(g, n, n->out[i], x->dtype, x->rank, x->dim);

		if (ret)
			return ret;
	}
	return 0;
}

/**
 * struct update - of one tensor
 * @rate: adjusted to the number of updates, [1]
 * @first: there was no update before, [1]
 * @x: @g: value, and gradient with its share of the value
 * @kept: what the optimizer keeps
 */
struct update {
	const struct nc_expand *e;
	uint32_t rate, first;
	uint32_t x, g;
	uint32_t kept[KEPT_MAX];
};

static float attr(const struct update *u, const char *name)
{
	return nc_attr(u->e->n, name)->f;
}

static uint32_t f2(const struct update *u, enum nc_opcode code, uint32_t a, uint32_t b)
{
	return nc_x_2(u->e, code, a, b);
}

static uint32_t times(const struct update *u, uint32_t t, float c)
{
	return nc_x_scalar(u->e, NC_OP_Mul, t, c);
}

/* a t + b s */
static uint32_t mix(const struct update *u, float a, uint32_t t, float b, uint32_t s)
{
	return f2(u, NC_OP_Add, times(u, t, a), times(u, s, b));
}

static uint32_t square(const struct update *u, uint32_t t)
{
	return f2(u, NC_OP_Mul, t, t);
}

/* x - rate t / (sqrt(h) + epsilon) */
static uint32_t step(const struct update *u, uint32_t t, uint32_t h)
{
	uint32_t by = nc_x_scalar(u->e, NC_OP_Add, nc_x_1(u->e, NC_OP_Sqrt, h),
				  attr(u, "epsilon"));

	return f2(u, NC_OP_Sub, u->x, f2(u, NC_OP_Div, f2(u, NC_OP_Mul, u->rate, t), by));
}

static void adagrad(struct update *u)
{
	u->kept[0] = f2(u, NC_OP_Add, u->kept[0], square(u, u->g));
	u->x = step(u, u->g, u->kept[0]);
}

static void adam(struct update *u)
{
	float alpha = attr(u, "alpha"), beta = attr(u, "beta");

	u->kept[0] = mix(u, alpha, u->kept[0], 1 - alpha, u->g);
	u->kept[1] = mix(u, beta, u->kept[1], 1 - beta, square(u, u->g));
	u->x = times(u, step(u, u->kept[0], u->kept[1]), 1 - attr(u, "norm_coefficient_post"));
}

static void momentum(struct update *u)
{
	uint32_t beta = nc_x_where(u->e, u->first, nc_x_float(u->e, 1),
				   nc_x_float(u->e, attr(u, "beta"))), t;

	t = f2(u, NC_OP_Add, times(u, u->kept[0], attr(u, "alpha")), f2(u, NC_OP_Mul, beta, u->g));
	u->kept[0] = t;
	if (!strcmp(nc_attr(u->e->n, "mode")->s, "nesterov"))
		t = f2(u, NC_OP_Add, u->g, times(u, t, attr(u, "alpha")));
	u->x = f2(u, NC_OP_Sub, u->x, f2(u, NC_OP_Mul, u->rate, t));
}

/* 1 - base^updates */
static uint32_t correction(const struct update *u, float base, uint32_t updates)
{
	uint32_t power = f2(u, NC_OP_Pow, nc_x_float(u->e, base), updates);

	return f2(u, NC_OP_Sub, nc_x_float(u->e, 1), power);
}

/* The rate by the number of updates. */
static void find_rate(struct update *u)
{
	const int64_t one = 1;
	uint32_t updates = nc_x_cast(u->e, nc_x_in(u->e, 1), NPU_GRAPH_F32), t;

	updates = nc_x_reshape(u->e, updates, 1, &one);
	u->rate = nc_x_reshape(u->e, nc_x_in(u->e, 0), 1, &one);
	u->first = nc_x_scalar(u->e, NC_OP_Equal, updates, 0);
	if (u->e->n->op->code == NC_OP_Adagrad) {
		t = times(u, updates, attr(u, "decay_factor"));
		u->rate = f2(u, NC_OP_Div, u->rate, nc_x_scalar(u->e, NC_OP_Add, t, 1));
	} else if (u->e->n->op->code == NC_OP_Adam) {
		t = nc_x_1(u->e, NC_OP_Sqrt, correction(u, attr(u, "beta"), updates));
		t = f2(u, NC_OP_Div, t, correction(u, attr(u, "alpha"), updates));
		t = nc_x_where(u->e, u->first, nc_x_float(u->e, 1), t);
		u->rate = f2(u, NC_OP_Mul, u->rate, t);
	}
}

int nc_expand_optimizer(const struct nc_expand *e)
{
	unsigned int kept = kept_by(e->n);
	uint32_t count = (e->n->ins - 2) / (2 + kept);
	struct update u = { .e = e };

	find_rate(&u);
	for (uint32_t i = 0; i < count; i++) {
		u.x = nc_x_in(e, 2 + i);
		u.g = f2(&u, NC_OP_Add, times(&u, u.x, attr(&u, "norm_coefficient")),
			 nc_x_in(e, 2 + count + i));
		for (unsigned int k = 0; k < kept; k++)
			u.kept[k] = nc_x_in(e, 2 + (2 + k) * count + i);
		if (e->n->op->code == NC_OP_Adagrad)
			adagrad(&u);
		else if (e->n->op->code == NC_OP_Adam)
			adam(&u);
		else
			momentum(&u);
		nc_x_result(e, i, u.x);
		for (unsigned int k = 0; k < kept; k++)
			nc_x_result(e, (1 + k) * count + i, u.kept[k]);
	}
	return nc_x_done(e);
}
