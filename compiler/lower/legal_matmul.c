/* SPDX-License-Identifier: MIT */
/* Products of matrices. */
#include <string.h>

#include "legal.h"
#include "graph/ops.h"

/*
 * The operands of a product over no terms at all, over one term of zeroes
 * instead. @p->out is set.
 */
static int no_terms(struct nc_legal *l, struct nc_product *p)
{
	static const uint32_t zero;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int rank = p->out.rank;
	struct nc_view one;
	int ret = nc_legal_const(l, "", NPU_F32, 0, NULL, &zero, &one);

	if (ret)
		return ret;
	memcpy(dim, p->out.dim, rank * sizeof(*dim));
	dim[rank - 1] = 1;
	nc_view_expand(&one, rank, dim, &p->a);
	dim[rank - 1] = p->out.dim[rank - 1];
	dim[rank - 2] = 1;
	nc_view_expand(&one, rank, dim, &p->b);
	return 0;
}

int nc_lower_gemm(struct nc_legal *l, const struct nc_node *n)
{
	static const unsigned int swap[] = { 1, 0 };
	struct nc_product p = {
		.has_c = nc_in(l->g, n, 2) && nc_attr(n, "beta")->f != 0,
		.alpha = nc_attr(n, "alpha")->f,
		.beta = nc_attr(n, "beta")->f,
	};
	int ret = nc_legal_out(l, n, 0, &p.out);

	if (!ret && p.has_c)
		ret = nc_legal_in(l, n, 2, &p.c);
	if (!ret && !nc_in(l->g, n, 0)->elems) {
		ret = no_terms(l, &p);
		return ret ? ret : nc_legal_product(l, n, &p);
	}
	ret = ret ? ret : nc_legal_in(l, n, 0, &p.a);
	ret = ret ? ret : nc_legal_in(l, n, 1, &p.b);
	if (ret)
		return ret;
	if (nc_attr(n, "transA")->i)
		nc_view_permute(&p.a, swap, &p.a);
	if (nc_attr(n, "transB")->i)
		nc_view_permute(&p.b, swap, &p.b);
	return nc_legal_product(l, n, &p);
}

/* A missing row or column dimension comes in as 1. */
static void add_dim(struct nc_view *v, unsigned int at)
{
	memmove(&v->dim[at + 1], &v->dim[at], (v->rank - at) * sizeof(*v->dim));
	memmove(&v->stride[at + 1], &v->stride[at], (v->rank - at) * sizeof(*v->stride));
	v->dim[at] = 1;
	v->stride[at] = 0;
	v->rank++;
}

/* The batch dimensions of @out in front of the last two of @v. */
static void expand_batch(struct nc_view *v, const struct nc_view *out)
{
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int batch = out->rank - 2;

	memcpy(dim, out->dim, batch * sizeof(*dim));
	dim[batch] = v->dim[v->rank - 2];
	dim[batch + 1] = v->dim[v->rank - 1];
	nc_view_expand(v, out->rank, dim, v);
}

int nc_lower_matmul(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_product p = { .alpha = 1 };
	int ret = nc_legal_out(l, n, 0, &p.out);

	if (!ret && !nc_in(l->g, n, 0)->elems)
		return nc_legal_fill(l, n, 0, &p.out);
	ret = ret ? ret : nc_legal_in(l, n, 0, &p.a);
	ret = ret ? ret : nc_legal_in(l, n, 1, &p.b);
	if (ret)
		return ret;
	if (p.b.rank == 1) {
		add_dim(&p.b, 1);
		add_dim(&p.out, p.out.rank);
	}
	if (p.a.rank == 1) {
		add_dim(&p.a, 0);
		add_dim(&p.out, p.out.rank - 1);
	}
	expand_batch(&p.a, &p.out);
	expand_batch(&p.b, &p.out);
	return nc_legal_product(l, n, &p);
}
