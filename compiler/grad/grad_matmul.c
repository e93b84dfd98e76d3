/* SPDX-License-Identifier: MIT */
/* Gradients of products. */
#include "grad.h"

static uint32_t transposed(const struct nc_grad *d, uint32_t t)
{
	unsigned int rank = nc_x_get(&d->e, t)->rank;
	int64_t perm[NPU_GRAPH_RANK_MAX];

	for (unsigned int i = 0; i < rank; i++)
		perm[i] = i + 2 < rank ? i : 2 * rank - 3 - i;
	return nc_x_transpose(&d->e, t, perm);
}

static uint32_t product(const struct nc_grad *d, uint32_t a, uint32_t b)
{
	return nc_x_2(&d->e, NC_OP_MatMul, a, b);
}

/* All axes but the last as one. */
static uint32_t rows(const struct nc_grad *d, uint32_t t)
{
	const struct nc_tensor *x = nc_x_get(&d->e, t);
	int64_t dim[2] = { 1, x->dim[x->rank - 1] };

	for (unsigned int i = 0; i + 1 < x->rank; i++)
		dim[0] *= x->dim[i];
	return nc_x_reshape(&d->e, t, 2, dim);
}

/* Vectors take part as a row, or a column. */
static uint32_t matrix(const struct nc_grad *d, uint32_t t, bool row)
{
	const struct nc_tensor *x = nc_x_get(&d->e, t);
	const int64_t dim[] = { row ? 1 : x->dim[0], row ? x->dim[0] : 1 };

	return x->rank > 1 ? t : nc_x_reshape(&d->e, t, 2, dim);
}

/* @t as a part of input @i's gradient; that input may be a vector. */
static void add_matrix(const struct nc_grad *d, uint32_t i, uint32_t t)
{
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, i));
	const struct nc_tensor *g = nc_x_get(&d->e, t);

	if (x->rank == 1 && g->rank > 2)
		t = nc_x_reduce(&d->e, NC_OP_ReduceSum, t, (1u << (g->rank - 2)) - 1);
	if (x->rank == 1)
		t = nc_x_reshape(&d->e, t, 1, x->dim);
	nc_grad_add_broadcast(d, i, t);
}

void nc_grad_matmul(const struct nc_grad *d)
{
	const struct nc_expand *e = &d->e;
	const struct nc_tensor *xa = nc_x_get(e, nc_x_in(e, 0)), *xb = nc_x_get(e, nc_x_in(e, 1));
	const struct nc_tensor *y = nc_x_get(e, e->n->out[0]);
	uint32_t a = matrix(d, nc_x_in(e, 0), true), b = matrix(d, nc_x_in(e, 1), false);
	uint32_t dy = nc_grad_out(d, 0);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int rank = 0;

	/* The result of a vector lacks an axis. */
	if (xa->rank == 1 || xb->rank == 1) {
		for (; rank + (xa->rank > 1) + (xb->rank > 1) < y->rank; rank++)
			dim[rank] = y->dim[rank];
		dim[rank++] = xa->rank > 1 ? y->dim[y->rank - 1 - (xb->rank > 1)] : 1;
		dim[rank++] = xb->rank > 1 ? y->dim[y->rank - 1] : 1;
		dy = nc_x_reshape(e, dy, rank, dim);
	}
	if (nc_grad_wants(d, 0))
		add_matrix(d, 0, product(d, dy, transposed(d, b)));
	if (!nc_grad_wants(d, 1))
		return;
	/* One weight matrix for all: one product, not a sum of many. */
	if (xb->rank == 2 && xa->rank > 2)
		nc_grad_add(d, 1, product(d, transposed(d, rows(d, a)), rows(d, dy)));
	else
		add_matrix(d, 1, product(d, transposed(d, a), dy));
}

/* alpha op(a) op(b) + beta c */
void nc_grad_gemm(const struct nc_grad *d)
{
	const struct nc_expand *e = &d->e;
	bool trans_a = nc_grad_int(d, "transA"), trans_b = nc_grad_int(d, "transB");
	uint32_t a = nc_x_in(e, 0), b = nc_x_in(e, 1);
	uint32_t dy = nc_grad_times(d, nc_grad_out(d, 0), nc_grad_float(d, "alpha")), t;

	if (nc_grad_wants(d, 0)) {
		t = product(d, dy, trans_b ? b : transposed(d, b));
		nc_grad_add(d, 0, trans_a ? transposed(d, t) : t);
	}
	if (nc_grad_wants(d, 1)) {
		t = product(d, trans_a ? a : transposed(d, a), dy);
		nc_grad_add(d, 1, trans_b ? transposed(d, t) : t);
	}
	if (nc_grad_wants(d, 2))
		nc_grad_add_broadcast(d, 2, nc_grad_times(d, nc_grad_out(d, 0),
							  nc_grad_float(d, "beta")));
}
