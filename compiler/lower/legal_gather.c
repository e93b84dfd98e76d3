/* SPDX-License-Identifier: MIT */
/*
 * Elements by indices that are known at run time only: GATHER and SCATTER,
 * which fault at an index that is out of range. All the operators are loops over
 * their indices (or outputs), in which an index stands in for some dimensions
 * of the table.
 */
#include <errno.h>
#include <string.h>

#include "legal.h"
#include "graph/ops.h"

/* The table between its first and last element holds nothing else. */
static bool is_dense(const struct nc_view *v)
{
	int64_t reach = 1, elems = 1;

	for (unsigned int i = 0; i < v->rank; i++) {
		if (v->dim[i] == 1)
			continue;
		if (v->stride[i] <= 0)
			return false;
		reach += (v->dim[i] - 1) * v->stride[i];
		elems *= v->dim[i];
	}
	return reach == elems;
}

static bool runs_forward(const struct nc_view *v)
{
	for (unsigned int i = 0; i < v->rank; i++)
		if (v->dim[i] > 1 && v->stride[i] < 0)
			return false;
	return true;
}

/* Whether rows can be read where they are: nothing between them may be undefined. */
static bool readable(const struct nc_legal *l, const struct nc_view *v)
{
	enum kir_tensor_kind kind = l->k->tensor[v->tensor].kind;

	return is_dense(v) || (runs_forward(v) && (kind == KIR_INPUT || kind == KIR_CONST));
}

/* A row-major copy of @v, in @v. */
static int make_dense(struct nc_legal *l, const struct nc_node *n, struct nc_view *v)
{
	struct nc_view dense;
	int ret = nc_legal_temp(l, kir_dtype(l->k->tensor[v->tensor].dtype), v->rank, v->dim, NULL,
				&dense);

	ret = ret ? ret : nc_legal_copy(l, n, v, &dense);
	*v = dense;
	return ret;
}

/* Loops of the walk to rows and their elements; those before @from are unrolled. */
static void set_rows(struct kir_gather *k, const struct nc_walk *w, unsigned int from,
		     unsigned int rows)
{
	for (unsigned int i = 0; i < 4; i++)
		k->dim[i] = 1;
	for (unsigned int i = from; i < rows; i++) {
		unsigned int to = 3 - (rows - i);

		k->dim[to] = (uint32_t)w->dim[i];
		k->data.stride[to] = w->stride[0][i];
		k->row_step[to] = w->stride[1][i];
		k->index.stride[to] = w->stride[2][i];
	}
	if (rows == w->ndim)
		return;
	k->dim[3] = (uint32_t)w->dim[rows];
	k->data.stride[3] = w->stride[0][rows];
}

static int add_gather(struct nc_legal *l, const struct nc_node *n, const struct nc_gather *x)
{
	const struct nc_view *view[] = { &x->data, &x->table, &x->index };
	int64_t at[NPU_GRAPH_RANK_MAX] = { 0 };
	unsigned int rows, from, i;
	struct nc_walk w;

	nc_walk_init(&w, 3, view, NULL);
	rows = w.ndim;
	if (rows && w.stride[1][rows - 1] == 1 && !w.stride[2][rows - 1])
		rows--;
	from = rows > 3 ? rows - 3 : 0;
	do {
		struct kir_op *op = nc_legal_op(l, n, KIR_GATHER);
		struct kir_gather *k;

		if (!op)
			return l->err;
		k = &op->gather;
		k->scatter = x->scatter;
		k->coords = x->coords;
		set_rows(k, &w, from, rows);
		for (i = 0; i < x->coords; i++) {
			k->limit[i] = (uint32_t)x->limit[i];
			k->step[i] = x->limit[i] > 1 ? x->step[i] : 0;
		}
		k->table.tensor = x->table.tensor;
		k->table.offset = x->table.offset;
		k->table.stride[0] = 1;
		k->index.tensor = x->index.tensor;
		k->index.offset = x->index.offset;
		k->index.stride[3] = x->coords > 1 ? x->index_step : 0;
		k->data.tensor = x->data.tensor;
		k->data.offset = x->data.offset;
		for (i = 0; i < from; i++) {
			k->data.offset += at[i] * w.stride[0][i];
			k->table.offset += at[i] * w.stride[1][i];
			k->index.offset += at[i] * w.stride[2][i];
		}
		for (i = from; i > 0; i--) {
			if (++at[i - 1] < w.dim[i - 1])
				break;
			at[i - 1] = 0;
		}
	} while (i);
	return 0;
}

/* One operation may not write where it reads. */
int nc_legal_gather(struct nc_legal *l, const struct nc_node *n, struct nc_gather *x)
{
	struct nc_view out = x->data;
	int ret;

	if (x->scatter || (out.tensor != x->table.tensor && out.tensor != x->index.tensor))
		return add_gather(l, n, x);
	ret = nc_legal_temp(l, kir_dtype(l->k->tensor[out.tensor].dtype), out.rank, out.dim, NULL,
			    &x->data);
	ret = ret ? ret : add_gather(l, n, x);
	return ret ? ret : nc_legal_copy(l, n, &x->data, &out);
}

/* Index @j of a row stands in for dimension @d of @table. */
static void add_coord(struct nc_gather *x, const struct nc_view *table, unsigned int d)
{
	x->limit[x->coords] = table->dim[d];
	x->step[x->coords++] = table->stride[d];
}

/* Loop @i over the next dimension: of the table, or none of it (-1); with the index or not. */
static void add_loop(struct nc_gather *x, unsigned int i, const struct nc_view *table, int d,
		     const struct nc_view *index, int e)
{
	x->table.dim[i] = x->data.dim[i];
	x->table.stride[i] = d < 0 || table->dim[d] == 1 ? 0 : table->stride[d];
	x->index.dim[i] = x->data.dim[i];
	x->index.stride[i] = e < 0 || index->dim[e] == 1 ? 0 : index->stride[e];
}

static void begin(struct nc_gather *x, const struct nc_view *table, const struct nc_view *index,
		  const struct nc_view *data)
{
	*x = (struct nc_gather) { .data = *data };
	x->table = (struct nc_view) { .tensor = table->tensor, .rank = data->rank,
				      .offset = table->offset };
	x->index = (struct nc_view) { .tensor = index->tensor, .rank = data->rank,
				      .offset = index->offset };
}

/* [batch, elements, rest] by [batch or 1, count]. */
static void rows_of(struct nc_gather *x, const struct nc_view *table, const struct nc_view *index,
		    const struct nc_view *data)
{
	begin(x, table, index, data);
	add_loop(x, 0, table, 0, index, 0);
	add_loop(x, 1, table, -1, index, 1);
	add_loop(x, 2, table, 2, index, -1);
	add_coord(x, table, 1);
}

/* An index for each element, in place of its position on @axis. */
static void elements_of(struct nc_gather *x, const struct nc_view *table,
			const struct nc_view *index, const struct nc_view *data, int axis)
{
	begin(x, table, index, data);
	for (unsigned int i = 0; i < data->rank; i++)
		add_loop(x, i, table, (int)i == axis ? -1 : (int)i, index, (int)i);
	add_coord(x, table, (unsigned int)axis);
}

/* Indices in the last dimension, in place of those behind the @first of the table. */
static void slices_of(struct nc_gather *x, const struct nc_view *table,
		      const struct nc_view *index, const struct nc_view *data, unsigned int first)
{
	unsigned int outer = index->rank - 1, coords = (unsigned int)index->dim[outer];

	begin(x, table, index, data);
	x->index_step = index->stride[outer];
	for (unsigned int i = 0; i < data->rank; i++) {
		if (i < outer)
			add_loop(x, i, table, i < first ? (int)i : -1, index, (int)i);
		else
			add_loop(x, i, table, (int)(i - outer + first + coords), index, -1);
	}
	for (unsigned int i = 0; i < coords; i++)
		add_coord(x, table, first + i);
}

/* Inputs 0 and 1, and output 0 of a gather. */
static int gather_views(struct nc_legal *l, const struct nc_node *n, struct nc_view *in,
			struct nc_view *at, struct nc_view *out)
{
	int ret = nc_legal_in_any(l, n, 0, in);

	ret = ret ? ret : nc_legal_in_int(l, n, 1, at);
	ret = ret ? ret : nc_legal_out(l, n, 0, out);
	return ret || readable(l, in) ? ret : make_dense(l, n, in);
}

int nc_legal_gather_rows(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_view in, at, out;
	struct nc_gather x;
	int ret = gather_views(l, n, &in, &at, &out);

	if (ret)
		return ret;
	rows_of(&x, &in, &at, &out);
	return nc_legal_gather(l, n, &x);
}

int nc_lower_gather_elements(struct nc_legal *l, const struct nc_node *n)
{
	int axis = nc_axis(l->g, n, nc_attr(n, "axis")->i, nc_in(l->g, n, 0)->rank);
	struct nc_view in, at, out;
	struct nc_gather x;
	int ret = axis < 0 ? axis : gather_views(l, n, &in, &at, &out);

	if (ret)
		return ret;
	elements_of(&x, &in, &at, &out, axis);
	return nc_legal_gather(l, n, &x);
}

int nc_lower_gather_nd(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_view in, at, out;
	struct nc_gather x;
	int ret = gather_views(l, n, &in, &at, &out);

	if (ret)
		return ret;
	slices_of(&x, &in, &at, &out, (unsigned int)nc_attr(n, "batch_dims")->i);
	return nc_legal_gather(l, n, &x);
}

/**
 * struct scatter - input 0 with some of its elements replaced
 * @at: input 1
 * @updates: input 2
 * @table: input 0, copied to where it can be changed
 * @out: output 0
 * @apart: that is elsewhere
 */
struct scatter {
	struct nc_view at, updates, table, out;
	bool apart;
};

static int begin_scatter(struct nc_legal *l, const struct nc_node *n, struct scatter *s)
{
	struct nc_view in;
	int ret = nc_legal_in_any(l, n, 0, &in);

	ret = ret ? ret : nc_legal_in_int(l, n, 1, &s->at);
	ret = ret ? ret : nc_legal_in_any(l, n, 2, &s->updates);
	ret = ret ? ret : nc_legal_out(l, n, 0, &s->out);
	if (ret)
		return ret;
	s->table = s->out;
	s->apart = !is_dense(&s->out) || s->out.tensor == s->at.tensor ||
		s->out.tensor == s->updates.tensor;
	if (s->apart)
		ret = nc_legal_temp(l, nc_legal_dtype(nc_in(l->g, n, 0)), in.rank, in.dim, NULL,
				    &s->table);
	return ret ? ret : nc_legal_copy(l, n, &in, &s->table);
}

static int end_scatter(struct nc_legal *l, const struct nc_node *n, const struct scatter *s,
		       struct nc_gather *x)
{
	int ret;

	x->scatter = true;
	ret = nc_legal_gather(l, n, x);
	return ret || !s->apart ? ret : nc_legal_copy(l, n, &s->table, &s->out);
}

int nc_legal_scatter_rows(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_gather x;
	struct scatter s;
	int ret = begin_scatter(l, n, &s);

	if (ret)
		return ret;
	rows_of(&x, &s.table, &s.at, &s.updates);
	return end_scatter(l, n, &s, &x);
}

int nc_lower_scatter_elements(struct nc_legal *l, const struct nc_node *n)
{
	int axis = nc_axis(l->g, n, nc_attr(n, "axis")->i, nc_in(l->g, n, 0)->rank);
	struct nc_gather x;
	struct scatter s;
	int ret = axis < 0 ? axis : begin_scatter(l, n, &s);

	if (ret)
		return ret;
	elements_of(&x, &s.table, &s.at, &s.updates, axis);
	return end_scatter(l, n, &s, &x);
}

int nc_lower_scatter_nd(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_gather x;
	struct scatter s;
	int ret = begin_scatter(l, n, &s);

	if (ret)
		return ret;
	slices_of(&x, &s.table, &s.at, &s.updates, 0);
	return end_scatter(l, n, &s, &x);
}
