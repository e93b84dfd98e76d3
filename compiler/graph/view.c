/* SPDX-License-Identifier: MIT */
/* Algebra of views and loop nests. */
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shape.h"

void nc_view_dense(struct nc_view *v, uint32_t tensor, unsigned int rank, const int64_t *dim)
{
	int64_t step = 1;

	memset(v, 0, sizeof(*v));
	v->tensor = tensor;
	v->rank = rank;
	for (unsigned int i = rank; i-- > 0;) {
		v->dim[i] = dim[i];
		v->stride[i] = step;
		step *= dim[i];
	}
}

void nc_view_ordered(struct nc_view *v, uint32_t tensor, unsigned int rank, const int64_t *dim,
		     const unsigned int *order)
{
	int64_t step = 1;

	nc_view_dense(v, tensor, rank, dim);
	for (unsigned int i = rank; i-- > 0;) {
		v->stride[order[i]] = step;
		step *= dim[order[i]];
	}
}

/*
 * Walk both shapes from the left in groups with equal element counts; inside a
 * group the old dimensions must lie in memory like one.
 */
bool nc_view_reshape(const struct nc_view *v, unsigned int rank, const int64_t *dim,
		     struct nc_view *out)
{
	struct nc_view r = { .tensor = v->tensor, .rank = rank, .offset = v->offset };
	int64_t old_dim[NPU_GRAPH_RANK_MAX], old_stride[NPU_GRAPH_RANK_MAX];
	unsigned int old_rank = 0, from = 0, to = 0;

	for (unsigned int i = 0; i < v->rank; i++) {
		if (v->dim[i] == 1)
			continue;
		old_dim[old_rank] = v->dim[i];
		old_stride[old_rank++] = v->stride[i];
	}
	for (unsigned int i = 0; i < rank; i++)
		r.dim[i] = dim[i];
	while (from < old_rank) {
		unsigned int from_end = from + 1, to_end = to + 1;
		int64_t old_count = old_dim[from], count = to < rank ? dim[to] : 1;
		int64_t step;

		while (old_count != count) {
			if (old_count < count) {
				if (from_end >= old_rank)
					return false;
				old_count *= old_dim[from_end++];
			} else {
				if (to_end >= rank)
					return false;
				count *= dim[to_end++];
			}
		}
		for (unsigned int i = from; i + 1 < from_end; i++)
			if (old_stride[i] != old_stride[i + 1] * old_dim[i + 1])
				return false;
		step = old_stride[from_end - 1];
		for (unsigned int i = to_end; i-- > to;) {
			r.stride[i] = step;
			step *= dim[i];
		}
		from = from_end;
		to = to_end;
	}
	*out = r;
	return true;
}

void nc_view_permute(const struct nc_view *v, const unsigned int *perm, struct nc_view *out)
{
	struct nc_view r = *v;

	for (unsigned int i = 0; i < v->rank; i++) {
		r.dim[i] = v->dim[perm[i]];
		r.stride[i] = v->stride[perm[i]];
	}
	*out = r;
}

void nc_view_expand(const struct nc_view *v, unsigned int rank, const int64_t *dim,
		    struct nc_view *out)
{
	struct nc_view r = { .tensor = v->tensor, .rank = rank, .offset = v->offset };

	for (unsigned int i = 0; i < rank; i++) {
		unsigned int from = i + v->rank - rank;

		r.dim[i] = dim[i];
		if (i + v->rank >= rank && v->dim[from] != 1)
			r.stride[i] = v->stride[from];
	}
	*out = r;
}

bool nc_view_equal(const struct nc_view *a, const struct nc_view *b)
{
	if (a->tensor != b->tensor || a->rank != b->rank || a->offset != b->offset)
		return false;
	for (unsigned int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i] || (a->dim[i] != 1 && a->stride[i] != b->stride[i]))
			return false;
	return true;
}

int64_t nc_view_at(const struct nc_view *v, uint64_t index)
{
	int64_t at = v->offset;

	for (unsigned int i = v->rank; i-- > 0;) {
		at += (int64_t)(index % (uint64_t)v->dim[i]) * v->stride[i];
		index /= (uint64_t)v->dim[i];
	}
	return at;
}

static int through_slice(struct npu_graph *g, const struct nc_node *n,
			 const struct nc_view *in, struct nc_view *out)
{
	struct nc_slice s;
	int ret = nc_slice_get(g, n, &s);

	if (ret)
		return ret;
	*out = *in;
	for (unsigned int i = 0; i < in->rank; i++) {
		out->offset += s.start[i] * in->stride[i];
		out->stride[i] = in->stride[i] * s.step[i];
		out->dim[i] = s.dim[i];
	}
	return 0;
}

static int through_split(struct npu_graph *g, const struct nc_node *n, uint32_t i,
			 const struct nc_view *in, struct nc_view *out)
{
	const struct nc_tensor *t = nc_out(g, n, i);
	int64_t *part = nc_alloc_array(g->arena, n->outs, sizeof(*part));
	int axis, ret;

	if (!part)
		return nc_node_error(&g->diag, n, -ENOMEM, "out of memory");
	ret = nc_split_get(g, n, &axis, part);
	if (ret)
		return ret;
	*out = *in;
	for (uint32_t k = 0; k < i; k++)
		out->offset += part[k] * in->stride[axis];
	out->dim[axis] = t->dim[axis];
	return 0;
}

int nc_view_through(struct npu_graph *g, const struct nc_node *n, uint32_t i,
		    const struct nc_view *in, struct nc_view *out)
{
	const struct nc_tensor *t = nc_out(g, n, i);
	unsigned int perm[NPU_GRAPH_RANK_MAX];
	int ret;

	switch (n->op->code) {
	case NC_OP_Transpose:
		ret = nc_perm_get(g, n, perm);
		if (!ret)
			nc_view_permute(in, perm, out);
		return ret;
	case NC_OP_Slice:
		return through_slice(g, n, in, out);
	case NC_OP_Split:
		return through_split(g, n, i, in, out);
	case NC_OP_Expand:
		nc_view_expand(in, t->rank, t->dim, out);
		return 0;
	default:
		return nc_view_reshape(in, t->rank, t->dim, out) ? 0 : -EDOM;
	}
}

int nc_view_back(struct npu_graph *g, const struct nc_node *n, const struct nc_view *out,
		 struct nc_view *in)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	unsigned int perm[NPU_GRAPH_RANK_MAX], back[NPU_GRAPH_RANK_MAX];
	int ret;

	switch (n->op->code) {
	case NC_OP_Slice:
	case NC_OP_Split:
	case NC_OP_Expand:
		return -EDOM;
	case NC_OP_Transpose:
		ret = nc_perm_get(g, n, perm);
		if (ret)
			return ret;
		for (unsigned int i = 0; i < x->rank; i++)
			back[perm[i]] = i;
		nc_view_permute(out, back, in);
		return 0;
	default:
		return nc_view_reshape(out, x->rank, x->dim, in) ? 0 : -EDOM;
	}
}

void nc_walk_collapse(struct nc_walk *n)
{
	unsigned int to = 0;

	for (unsigned int i = 0; i < n->ndim; i++) {
		bool join = to > 0 && n->tag[i] == n->tag[to - 1];

		if (n->dim[i] == 1)
			continue;
		join = join && n->dim[to - 1] <= UINT32_MAX / n->dim[i];
		for (unsigned int v = 0; join && v < n->views; v++)
			join = n->stride[v][to - 1] == n->stride[v][i] * n->dim[i];
		if (join) {
			n->dim[to - 1] *= n->dim[i];
			for (unsigned int v = 0; v < n->views; v++)
				n->stride[v][to - 1] = n->stride[v][i];
			continue;
		}
		n->dim[to] = n->dim[i];
		n->tag[to] = n->tag[i];
		for (unsigned int v = 0; v < n->views; v++)
			n->stride[v][to] = n->stride[v][i];
		to++;
	}
	n->ndim = to;
}

void nc_walk_init(struct nc_walk *n, unsigned int views, const struct nc_view *const *view,
		  const unsigned int *tag)
{
	memset(n, 0, sizeof(*n));
	n->ndim = view[0]->rank;
	n->views = views;
	for (unsigned int i = 0; i < n->ndim; i++) {
		n->dim[i] = view[0]->dim[i];
		n->tag[i] = tag ? tag[i] : 0;
		for (unsigned int v = 0; v < views; v++)
			n->stride[v][i] = view[v]->dim[i] == 1 ? 0 : view[v]->stride[i];
	}
	nc_walk_collapse(n);
}

static void walk_swap(struct nc_walk *n, unsigned int a, unsigned int b)
{
	int64_t dim = n->dim[a];
	unsigned int tag = n->tag[a];

	n->dim[a] = n->dim[b];
	n->dim[b] = dim;
	n->tag[a] = n->tag[b];
	n->tag[b] = tag;
	for (unsigned int v = 0; v < n->views; v++) {
		int64_t s = n->stride[v][a];

		n->stride[v][a] = n->stride[v][b];
		n->stride[v][b] = s;
	}
}

void nc_walk_sort(struct nc_walk *n, unsigned int lead)
{
	for (unsigned int i = 1; i < n->ndim; i++)
		for (unsigned int k = i; k > 0 && llabs(n->stride[lead][k - 1]) <
						 llabs(n->stride[lead][k]); k--)
			walk_swap(n, k - 1, k);
	nc_walk_collapse(n);
}
