/* SPDX-License-Identifier: MIT */
/*
 * Products of integers, which the multiplier array does not take: columns times
 * rows, added up as 32-bit integers: modulo 2^32, or for int64 with a fault.
 */
#include <errno.h>
#include <math.h>

#include "expand.h"

/* A part of all products is at most this large. */
#define PRODUCTS_MAX	(1 << 20)

/* [.., m, k] as [.., m, k, 1], or [.., k, n] as [.., 1, k, n]. */
static uint32_t with_axis(const struct nc_expand *e, uint32_t t, unsigned int at)
{
	const struct nc_tensor *x = nc_x_get(e, t);
	int64_t dim[NPU_GRAPH_RANK_MAX];

	for (unsigned int i = 0; i <= x->rank; i++)
		dim[i] = i == at ? 1 : x->dim[i - (i > at)];
	return nc_x_reshape(e, t, x->rank + 1, dim);
}

/* Elements @from .. @to of the axis that the product sums over. */
static uint32_t part(const struct nc_expand *e, uint32_t a, uint32_t b, int64_t from, int64_t to)
{
	unsigned int ra = nc_x_get(e, a)->rank, rb = nc_x_get(e, b)->rank, rank;
	uint32_t t;

	a = with_axis(e, nc_x_slice(e, a, ra - 1, from, to, 1), ra);
	b = with_axis(e, nc_x_slice(e, b, rb - 2, from, to, 1), rb - 2);
	t = nc_x_2(e, NC_OP_Mul, a, b);
	rank = nc_x_get(e, t)->rank;
	return nc_x_reduce(e, NC_OP_ReduceSum, t, 1u << (rank - 2));
}

/* A vector as a matrix; the output has the vector's axis no more. */
static uint32_t matrix(const struct nc_expand *e, uint32_t t, bool row)
{
	return nc_x_get(e, t)->rank > 1 ? t : with_axis(e, t, row ? 0 : 1);
}

int nc_expand_matmul(const struct nc_expand *e)
{
	const struct nc_tensor *y = nc_x_get(e, e->n->out[0]);
	uint32_t a = matrix(e, nc_x_in(e, 0), true), b = matrix(e, nc_x_in(e, 1), false);
	const struct nc_tensor *x = nc_x_get(e, a);
	int64_t terms = x->dim[x->rank - 1], step = PRODUCTS_MAX / (int64_t)y->elems;
	uint32_t sum = NC_NONE, t;

	if (nc_dtype_class(x->dtype) == NC_CLASS_FLOAT || !terms)
		return NC_EXPAND_KEEP;
	if (x->rank >= NPU_GRAPH_RANK_MAX || nc_x_get(e, b)->rank >= NPU_GRAPH_RANK_MAX)
		return nc_node_error(&e->g->diag, e->n, -ENOTSUP,
				     "a product of integers may have %d dimensions",
				     NPU_GRAPH_RANK_MAX - 1);
	step = step < 1 ? 1 : step;
	if (terms / step > NC_NODE_ARGS_MAX)
		return nc_node_error(&e->g->diag, e->n, -ENOTSUP,
				     "a product of integers this large is not supported; cast to float");
	for (int64_t from = 0; from < terms && !e->g->err; from += step) {
		t = part(e, a, b, from, from + step < terms ? from + step : terms);
		sum = from ? nc_x_2(e, NC_OP_Add, sum, t) : t;
	}
	nc_x_result(e, 0, nc_x_reshape(e, sum, y->rank, y->dim));
	return nc_x_done(e);
}

/* Times a factor, which must be whole. */
static uint32_t times(const struct nc_expand *e, uint32_t t, float factor)
{
	return factor == 1 ? t : nc_x_scalar(e, NC_OP_Mul, t, factor);
}

int nc_expand_gemm(const struct nc_expand *e)
{
	static const int64_t swap[] = { 1, 0 };
	float alpha = nc_attr(e->n, "alpha")->f, beta = nc_attr(e->n, "beta")->f;
	uint32_t a = nc_x_in(e, 0), b = nc_x_in(e, 1), c = nc_x_in(e, 2), t;

	if (nc_dtype_class(nc_x_get(e, a)->dtype) == NC_CLASS_FLOAT || !nc_x_get(e, a)->elems)
		return NC_EXPAND_KEEP;
	if (alpha != rintf(alpha) || beta != rintf(beta))
		return nc_node_error(&e->g->diag, e->n, -ENOTSUP,
				     "alpha is %g and beta %g; for integers they must be whole",
				     alpha, beta);
	if (nc_attr(e->n, "transA")->i)
		a = nc_x_transpose(e, a, swap);
	if (nc_attr(e->n, "transB")->i)
		b = nc_x_transpose(e, b, swap);
	t = times(e, nc_x_2(e, NC_OP_MatMul, a, b), alpha);
	if (c != NC_NONE && beta != 0)
		t = nc_x_2(e, NC_OP_Add, t, times(e, c, beta));
	nc_x_result(e, 0, t);
	return nc_x_done(e);
}
