/* SPDX-License-Identifier: MIT */
/* Normalisations, and norms of integers. */
#include <errno.h>
#include <string.h>

#include "expand.h"

static unsigned int all_axes(const struct nc_tensor *x)
{
	return (1u << x->rank) - 1;
}

/* A value per channel, seen over [n, c, ...]; a vector of one is over everything. */
static uint32_t per_channel(const struct nc_expand *e, uint32_t vector, const struct nc_tensor *x)
{
	int64_t dim[NPU_GRAPH_RANK_MAX];

	if (x->rank < 2)
		return vector;
	for (unsigned int i = 0; i < x->rank; i++)
		dim[i] = i == 1 ? x->dim[1] : 1;
	return nc_x_reshape(e, vector, x->rank, dim);
}

/**
 * struct moments - elements and their statistics over some axes
 * @mean: of the elements
 * @centred: elements minus mean
 * @var: mean of their squares
 */
struct moments {
	uint32_t mean, centred, var;
};

static struct moments moments(const struct nc_expand *e, uint32_t x, unsigned int axes)
{
	struct moments m;

	m.mean = nc_x_reduce(e, NC_OP_ReduceMean, x, axes);
	m.centred = nc_x_2(e, NC_OP_Sub, x, m.mean);
	m.var = nc_x_reduce(e, NC_OP_ReduceMean, nc_x_2(e, NC_OP_Mul, m.centred, m.centred), axes);
	return m;
}

/* 1 / sqrt(var + epsilon) */
static uint32_t inverse_deviation(const struct nc_expand *e, uint32_t var)
{
	uint32_t t = nc_x_scalar(e, NC_OP_Add, var, nc_attr(e->n, "epsilon")->f);

	return nc_x_1(e, NC_OP_Reciprocal, nc_x_1(e, NC_OP_Sqrt, t));
}

/* a m + b (1 - m) */
static uint32_t running(const struct nc_expand *e, uint32_t a, uint32_t b)
{
	float momentum = nc_attr(e->n, "momentum")->f;

	return nc_x_2(e, NC_OP_Add, nc_x_scalar(e, NC_OP_Mul, a, momentum),
		      nc_x_scalar(e, NC_OP_Mul, b, 1 - momentum));
}

static void batch_norm_training(const struct nc_expand *e, const struct nc_tensor *x)
{
	unsigned int axes = x->rank < 2 ? all_axes(x) : all_axes(x) & ~2u;
	struct moments m = moments(e, nc_x_in(e, 0), axes);
	int64_t channels = x->rank < 2 ? 1 : x->dim[1];
	uint32_t t = nc_x_2(e, NC_OP_Mul, m.centred, inverse_deviation(e, m.var));

	t = nc_x_2(e, NC_OP_Mul, t, per_channel(e, nc_x_in(e, 1), x));
	nc_x_result(e, 0, nc_x_2(e, NC_OP_Add, t, per_channel(e, nc_x_in(e, 2), x)));
	nc_x_result(e, 1, running(e, nc_x_in(e, 3), nc_x_reshape(e, m.mean, 1, &channels)));
	nc_x_result(e, 2, running(e, nc_x_in(e, 4), nc_x_reshape(e, m.var, 1, &channels)));
	nc_x_result(e, 3, nc_x_reshape(e, m.mean, 1, &channels));
	nc_x_result(e, 4, nc_x_reshape(e, m.var, 1, &channels));
}

/*
 * With constant parameters x * factor + rest, where both are constants; else in
 * the order that cancels less.
 */
static void batch_norm_inference(const struct nc_expand *e, const struct nc_tensor *x)
{
	uint32_t scale = nc_x_in(e, 1), bias = nc_x_in(e, 2), mean = nc_x_in(e, 3);
	uint32_t t, factor = nc_x_2(e, NC_OP_Mul, inverse_deviation(e, nc_x_in(e, 4)), scale);
	bool known = true;

	for (uint32_t i = 1; i < 5; i++)
		known &= nc_x_known(e, nc_x_in(e, i));
	if (known) {
		bias = nc_x_2(e, NC_OP_Sub, bias, nc_x_2(e, NC_OP_Mul, mean, factor));
		t = nc_x_in(e, 0);
	} else {
		t = nc_x_2(e, NC_OP_Sub, nc_x_in(e, 0), per_channel(e, mean, x));
	}
	t = nc_x_2(e, NC_OP_Mul, t, per_channel(e, factor, x));
	nc_x_result(e, 0, nc_x_2(e, NC_OP_Add, t, per_channel(e, bias, x)));
}

int nc_expand_batch_norm(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	bool training = nc_attr(e->n, "training_mode")->i;

	if (!training && e->n->outs > 1)
		return nc_node_error(&e->g->diag, e->n, -ENOTSUP,
				     "has %u outputs; 1 is possible without training mode",
				     e->n->outs);
	if (training)
		batch_norm_training(e, x);
	else
		batch_norm_inference(e, x);
	return nc_x_done(e);
}

/* Within a group of channels, then a scale and a bias per channel. */
static int grouped_norm(const struct nc_expand *e, int64_t groups)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	const int64_t dim[] = { x->dim[0], groups, (int64_t)x->elems / x->dim[0] / groups };
	struct moments m = moments(e, nc_x_reshape(e, nc_x_in(e, 0), 3, dim), 4u);
	uint32_t t = nc_x_2(e, NC_OP_Mul, m.centred, inverse_deviation(e, m.var));

	t = nc_x_reshape(e, t, x->rank, x->dim);
	t = nc_x_2(e, NC_OP_Mul, t, per_channel(e, nc_x_in(e, 1), x));
	nc_x_result(e, 0, nc_x_2(e, NC_OP_Add, t, per_channel(e, nc_x_in(e, 2), x)));
	return nc_x_done(e);
}

int nc_expand_instance_norm(const struct nc_expand *e)
{
	return grouped_norm(e, nc_x_get(e, nc_x_in(e, 0))->dim[1]);
}

int nc_expand_group_norm(const struct nc_expand *e)
{
	return grouped_norm(e, nc_attr(e->n, "num_groups")->i);
}

/* The axes from the node's axis on. */
static unsigned int trailing_axes(const struct nc_expand *e, const struct nc_tensor *x)
{
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);

	return all_axes(x) & ~((1u << axis) - 1);
}

int nc_expand_layer_norm(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	struct moments m = moments(e, nc_x_in(e, 0), trailing_axes(e, x));
	uint32_t inverse = inverse_deviation(e, m.var), t;

	t = nc_x_2(e, NC_OP_Mul, nc_x_2(e, NC_OP_Mul, m.centred, inverse), nc_x_in(e, 1));
	if (nc_x_in(e, 2) != NC_NONE)
		t = nc_x_2(e, NC_OP_Add, t, nc_x_in(e, 2));
	nc_x_result(e, 0, t);
	for (uint32_t i = 1; i < e->n->outs; i++)
		if (nc_x_wanted(e, i))
			nc_x_result(e, i, nc_x_cast(e, i == 1 ? m.mean : inverse,
						    nc_x_get(e, e->n->out[i])->dtype));
	return nc_x_done(e);
}

int nc_expand_rms_norm(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	uint32_t t = nc_x_2(e, NC_OP_Mul, nc_x_in(e, 0), nc_x_in(e, 0));

	t = inverse_deviation(e, nc_x_reduce(e, NC_OP_ReduceMean, t, trailing_axes(e, x)));
	t = nc_x_2(e, NC_OP_Mul, nc_x_in(e, 0), t);
	nc_x_result(e, 0, nc_x_2(e, NC_OP_Mul, t, nc_x_in(e, 1)));
	return nc_x_done(e);
}

int nc_expand_mean_variance(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	const struct nc_attr *list = nc_attr(e->n, "axes");
	unsigned int axes = 0;
	struct moments m;
	uint32_t t;

	for (uint32_t i = 0; i < list->count; i++) {
		int axis = nc_axis(e->g, e->n, list->ints[i], x->rank);

		if (axis < 0)
			return axis;
		axes |= 1u << axis;
	}
	if (!nc_attr_given(e->n, "axes"))
		axes = 0xd & all_axes(x);
	m = moments(e, nc_x_in(e, 0), axes);
	t = nc_x_scalar(e, NC_OP_Add, nc_x_1(e, NC_OP_Sqrt, m.var), 1e-9f);
	nc_x_result(e, 0, nc_x_2(e, NC_OP_Div, m.centred, t));
	return nc_x_done(e);
}

int nc_expand_lp_norm(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);
	int64_t p = nc_attr(e->n, "p")->i;
	uint32_t t;

	if (p != 1 && p != 2)
		return nc_node_error(&e->g->diag, e->n, -EINVAL, "p must be 1 or 2");
	t = nc_x_reduce(e, p == 1 ? NC_OP_ReduceL1 : NC_OP_ReduceL2, nc_x_in(e, 0), 1u << axis);
	nc_x_result(e, 0, nc_x_2(e, NC_OP_Div, nc_x_in(e, 0), t));
	return nc_x_done(e);
}

/* Squares summed over neighbouring channels: an average that counts what is not there. */
int nc_expand_lrn(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	int64_t size = nc_attr(e->n, "size")->i;
	const int64_t kernel[] = { size, 1 }, pads[] = { (size - 1) / 2, 0, size / 2, 0 };
	uint32_t t;

	if (x->rank < 3 || !x->elems || size < 1)
		return nc_node_error(&e->g->diag, e->n, x->elems ? -EINVAL : -ENOTSUP,
				     "needs elements, [batch, channels, spatial axes] and a size of at least 1");

	const int64_t dim[] = { x->dim[0], 1, x->dim[1],
				(int64_t)x->elems / x->dim[0] / x->dim[1] };

	t = nc_x_2(e, NC_OP_Mul, nc_x_in(e, 0), nc_x_in(e, 0));
	t = nc_x_reshape(e, t, 4, dim);
	t = nc_x_node(e, NC_OP_AveragePool,
		      NC_X_ATTRS(NC_X_INTS("kernel_shape", kernel, 2), NC_X_INTS("pads", pads, 4),
				 NC_X_INT("count_include_pad", 1)), 1, &t);
	t = nc_x_scalar(e, NC_OP_Mul, nc_x_reshape(e, t, x->rank, x->dim),
			nc_attr(e->n, "alpha")->f);
	t = nc_x_scalar(e, NC_OP_Add, t, nc_attr(e->n, "bias")->f);
	t = nc_x_scalar(e, NC_OP_Pow, t, nc_attr(e->n, "beta")->f);
	nc_x_result(e, 0, nc_x_2(e, NC_OP_Div, nc_x_in(e, 0), t));
	return nc_x_done(e);
}

/* Roots and logarithms of integers: those of floats, towards 0. */
int nc_expand_reduce(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	struct nc_attr attr[4] = { { .name = NULL } };
	char text[NC_SHAPE_TEXT];
	uint32_t t;

	if (nc_dtype_class(x->dtype) == NC_CLASS_FLOAT)
		return NC_EXPAND_KEEP;
	if (x->dtype == NPU_GRAPH_BOOL)
		return nc_node_error(&e->g->diag, e->n, -ENOTSUP,
				     "input 0 (\"%s\") is %s; the NPU computes this operator on floats and integers",
				     x->name, nc_shape_text(x, text));
	memcpy(attr, e->n->attr, e->n->attrs * sizeof(*attr));
	t = nc_x_node(e, e->n->op->code, attr, 2,
		      (const uint32_t[]){ nc_x_cast(e, nc_x_in(e, 0), NPU_GRAPH_F32),
					  nc_x_in(e, 1) });
	nc_x_result(e, 0, nc_x_cast(e, t, x->dtype));
	return nc_x_done(e);
}
