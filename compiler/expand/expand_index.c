/* SPDX-License-Identifier: MIT */
/*
 * Operators that address elements by index, in terms of two: Take and Put on
 * [batch, elements along the axis, rest], and of comparisons with a range.
 */
#include "expand.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "expand_util.h"

static int64_t product(const int64_t *dim, unsigned int from, unsigned int to)
{
	int64_t r = 1;

	for (unsigned int i = from; i < to; i++)
		r *= dim[i];
	return r;
}

static uint32_t reshape3(const struct nc_expand *e, uint32_t t, int64_t a, int64_t b, int64_t c)
{
	const int64_t dim[] = { a, b, c };

	return nc_x_reshape(e, t, 3, dim);
}

static uint32_t reshape2(const struct nc_expand *e, uint32_t t, int64_t a, int64_t b)
{
	const int64_t dim[] = { a, b };

	return nc_x_reshape(e, t, 2, dim);
}

uint32_t nc_x_number(const struct nc_expand *e, uint32_t like, int64_t value)
{
	return nc_x_cast(e, nc_x_ints(e, &value, 1), nc_x_get(e, like)->dtype);
}

uint32_t nc_x_range(const struct nc_expand *e, int64_t count)
{
	int64_t *data = nc_x_alloc(e, count, sizeof(*data));
	uint32_t t;

	if (!data)
		return NC_NONE;
	for (int64_t i = 0; i < count; i++)
		data[i] = i;
	t = nc_x_ints(e, data, (uint32_t)count);
	return t;
}

uint32_t nc_x_last(const struct nc_expand *e, uint32_t t, unsigned int axis, bool back)
{
	unsigned int rank = nc_x_get(e, t)->rank, at = 0;
	int64_t perm[NPU_GRAPH_RANK_MAX], reverse[NPU_GRAPH_RANK_MAX];

	if (axis + 1 == rank)
		return t;
	for (unsigned int i = 0; i < rank; i++)
		if (i != axis)
			perm[at++] = i;
	perm[at] = axis;
	for (unsigned int i = 0; i < rank; i++)
		reverse[perm[i]] = i;
	return nc_x_transpose(e, t, back ? reverse : perm);
}

uint32_t nc_x_take(const struct nc_expand *e, uint32_t t, unsigned int axis, const int64_t *index,
		   int64_t count)
{
	const struct nc_tensor *x = nc_x_get(e, t);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	uint32_t flat, at;

	memcpy(dim, x->dim, sizeof(dim));
	flat = reshape3(e, t, product(dim, 0, axis), dim[axis], product(dim, axis + 1, x->rank));
	at = reshape2(e, nc_x_ints(e, index, (uint32_t)count), 1, count);
	dim[axis] = count;
	return nc_x_reshape(e, nc_x_2(e, NC_OP_Take, flat, at), x->rank, dim);
}

/* @index with its negative elements counted from the end of @size elements. */
static uint32_t from_start(const struct nc_expand *e, uint32_t index, int64_t size)
{
	uint32_t below = nc_x_2(e, NC_OP_Less, index, nc_x_number(e, index, 0));
	uint32_t wrapped = nc_x_2(e, NC_OP_Add, index, nc_x_number(e, index, size));

	return nc_x_node(e, NC_OP_Where, NULL, 3, (const uint32_t[]){ below, wrapped, index });
}

/* Whether an index that is known is outside of 0 .. size - 1, and of as many from the end. */
static bool is_wrong(const struct nc_expand *e, const struct nc_tensor *index, uint64_t first,
		       uint64_t every, int64_t size)
{
	for (uint64_t i = first; i < index->elems; i += every) {
		uint32_t word;
		bool fits = !nc_word_get(index, i, &word);

		if (!fits || (int32_t)word < -size || (int32_t)word >= size)
			e->g->err = nc_node_error(&e->g->diag, e->n, -EINVAL,
						  "index %llu is outside of an axis with %lld elements",
						  (unsigned long long)i, (long long)size);
		if (e->g->err)
			return true;
	}
	return false;
}

/*
 * from_start() for an index that goes into a sum, where a wrong one might pass
 * for another element: what the index takes of 0 .. size - 1, or a fault.
 */
static uint32_t from_start_checked(const struct nc_expand *e, uint32_t index, int64_t size,
				   bool known)
{
	const struct nc_tensor *t = nc_x_get(e, index);
	uint32_t range;

	if (known || !t->elems)
		return from_start(e, index, size);
	range = reshape3(e, nc_x_range(e, size), 1, size, 1);
	range = nc_x_2(e, NC_OP_Take, range, reshape2(e, index, 1, (int64_t)t->elems));
	return nc_x_reshape(e, range, t->rank, t->dim);
}

int nc_expand_gather(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *index = nc_x_get(e, nc_x_in(e, 1));
	const struct nc_tensor *y = nc_x_get(e, e->n->out[0]);
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);
	uint32_t t;

	if (axis < 0 || y->data || !y->elems)
		return axis < 0 ? axis : NC_EXPAND_KEEP;
	t = reshape3(e, nc_x_in(e, 0), product(x->dim, 0, (unsigned int)axis), x->dim[axis],
		     product(x->dim, (unsigned int)axis + 1, x->rank));
	t = nc_x_2(e, NC_OP_Take, t, reshape2(e, nc_x_in(e, 1), 1, (int64_t)index->elems));
	nc_x_result(e, 0, nc_x_reshape(e, t, y->rank, y->dim));
	return nc_x_done(e);
}

/* GATHER and SCATTER do it, with @count indices per row: they check them, too. */
static bool by_rows(const struct nc_expand *e, unsigned int count)
{
	const struct nc_tensor *index = nc_x_get(e, nc_x_in(e, 1));
	const struct nc_attr *how = nc_attr_given(e->n, "reduction");

	return !index->data && index->elems && nc_x_get(e, e->n->out[0])->elems &&
		count <= NPU_GATHER_COORDS && (!how || !strcmp(how->s, "none"));
}

int nc_expand_gather_elements(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *index = nc_x_get(e, nc_x_in(e, 1));
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);
	uint32_t t = nc_x_in(e, 0), at;
	int64_t dim[NPU_GRAPH_RANK_MAX], rows, count;

	if (axis < 0)
		return axis;
	if (by_rows(e, 1))
		return NC_EXPAND_KEEP;
	for (unsigned int i = 0; i < x->rank; i++)
		if ((int)i != axis && index->dim[i] != x->dim[i])
			t = nc_x_slice(e, t, i, 0, index->dim[i], 1);
	count = index->dim[axis];
	rows = count ? (int64_t)index->elems / count : 0;
	t = nc_x_last(e, t, (unsigned int)axis, false);
	at = nc_x_last(e, nc_x_in(e, 1), (unsigned int)axis, false);
	memcpy(dim, nc_x_get(e, at)->dim, sizeof(dim));
	t = nc_x_2(e, NC_OP_Take, reshape3(e, t, rows, x->dim[axis], 1),
		   reshape2(e, at, rows, count));
	t = nc_x_reshape(e, t, x->rank, dim);
	nc_x_result(e, 0, nc_x_last(e, t, (unsigned int)axis, true));
	return nc_x_done(e);
}

/*
 * The last dimension of @index holds @count coordinates in dimensions @first ..
 * of @x: their row-major numbers, as [@batch, rest].
 */
static uint32_t flat_index(const struct nc_expand *e, uint32_t index, const struct nc_tensor *x,
			   unsigned int first, unsigned int count, int64_t batch)
{
	int64_t elems = (int64_t)nc_x_get(e, index)->elems / (count ? count : 1);
	uint32_t all = reshape2(e, nc_x_cast(e, index, NPU_GRAPH_I64), elems, count), sum = NC_NONE;
	bool known = nc_x_get(e, index)->data;

	for (unsigned int i = 0; i < count; i++)
		if (known && is_wrong(e, nc_x_get(e, index), i, count, x->dim[first + i]))
			return NC_NONE;
	for (unsigned int i = 0; i < count; i++) {
		uint32_t part = nc_x_slice(e, all, 1, i, i + 1, 1);
		int64_t step = product(x->dim, first + i + 1, first + count);

		part = from_start_checked(e, part, x->dim[first + i], known);
		part = nc_x_2(e, NC_OP_Mul, part, nc_x_ints(e, &step, 1));
		sum = i ? nc_x_2(e, NC_OP_Add, sum, part) : part;
	}
	return reshape2(e, sum, batch, elems / batch);
}

int nc_expand_gather_nd(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *index = nc_x_get(e, nc_x_in(e, 1));
	const struct nc_tensor *y = nc_x_get(e, e->n->out[0]);
	unsigned int first = (unsigned int)nc_attr(e->n, "batch_dims")->i;
	unsigned int count = (unsigned int)index->dim[index->rank - 1];
	int64_t batch = product(x->dim, 0, first);
	uint32_t at, t;

	if (by_rows(e, count))
		return NC_EXPAND_KEEP;
	at = flat_index(e, nc_x_in(e, 1), x, first, count, batch);
	t = reshape3(e, nc_x_in(e, 0), batch, product(x->dim, first, first + count),
		     product(x->dim, first + count, x->rank));
	t = nc_x_2(e, NC_OP_Take, t, at);
	nc_x_result(e, 0, nc_x_reshape(e, t, y->rank, y->dim));
	return nc_x_done(e);
}

static uint32_t put(const struct nc_expand *e, uint32_t x, uint32_t index, uint32_t updates)
{
	const struct nc_attr *given = nc_attr_given(e->n, "reduction");
	const char *how = given ? given->s : "none";

	/* The sum of bools is whether one is true, their product whether all are. */
	if (nc_x_get(e, x)->dtype == NPU_GRAPH_BOOL)
		how = !strcmp(how, "add") ? "max" : !strcmp(how, "mul") ? "min" : how;
	return nc_x_node(e, NC_OP_Put, NC_X_ATTRS(NC_X_STRING("reduction", how)),
			 3, (const uint32_t[]){ x, index, updates });
}

/* Row-major numbers in @x of the elements that @index names along @axis. */
static uint32_t element_numbers(const struct nc_expand *e, uint32_t index,
				const struct nc_tensor *x, unsigned int axis)
{
	const struct nc_tensor *at = nc_x_get(e, index);
	int64_t *base = nc_x_alloc(e, (int64_t)at->elems, sizeof(*base));
	int64_t step = product(x->dim, axis + 1, x->rank);
	uint32_t t;

	if (!base)
		return NC_NONE;
	for (uint64_t k = 0; k < at->elems; k++) {
		uint64_t rest = k;
		int64_t size = 1;

		for (unsigned int i = x->rank; i-- > 0;) {
			if (i != axis)
				base[k] += (int64_t)(rest % (uint64_t)at->dim[i]) * size;
			rest /= (uint64_t)at->dim[i];
			size *= x->dim[i];
		}
	}
	if (at->data && is_wrong(e, at, 0, 1, x->dim[axis]))
		return NC_NONE;
	t = from_start_checked(e, nc_x_cast(e, index, NPU_GRAPH_I64), x->dim[axis], at->data);
	t = nc_x_2(e, NC_OP_Mul, t, nc_x_ints(e, &step, 1));
	return nc_x_2(e, NC_OP_Add, t,
		      nc_x_reshape(e, nc_x_ints(e, base, (uint32_t)at->elems), at->rank, at->dim));
}

int nc_expand_scatter_elements(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *index = nc_x_get(e, nc_x_in(e, 1));
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);
	int64_t count = (int64_t)index->elems;
	uint32_t t, at;

	if (axis < 0)
		return axis;
	if (by_rows(e, 1))
		return NC_EXPAND_KEEP;
	if (!count) {
		nc_x_result(e, 0, nc_x_in(e, 0));
		return nc_x_done(e);
	}
	at = reshape2(e, element_numbers(e, nc_x_in(e, 1), x, (unsigned int)axis), 1, count);
	t = put(e, reshape3(e, nc_x_in(e, 0), 1, (int64_t)x->elems, 1), at,
		reshape3(e, nc_x_in(e, 2), 1, count, 1));
	nc_x_result(e, 0, nc_x_reshape(e, t, x->rank, x->dim));
	return nc_x_done(e);
}

int nc_expand_scatter_nd(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *index = nc_x_get(e, nc_x_in(e, 1));
	unsigned int count = (unsigned int)index->dim[index->rank - 1];
	int64_t rest = product(x->dim, count, x->rank), rows = product(x->dim, 0, count);
	uint32_t t;

	if (by_rows(e, count))
		return NC_EXPAND_KEEP;
	if (!index->elems) {
		nc_x_result(e, 0, nc_x_in(e, 0));
		return nc_x_done(e);
	}
	t = put(e, reshape3(e, nc_x_in(e, 0), 1, rows, rest),
		flat_index(e, nc_x_in(e, 1), x, 0, count, 1),
		reshape3(e, nc_x_in(e, 2), 1, (int64_t)index->elems / count, rest));
	nc_x_result(e, 0, nc_x_reshape(e, t, x->rank, x->dim));
	return nc_x_done(e);
}

int nc_expand_one_hot(const struct nc_expand *e)
{
	const struct nc_tensor *index = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, y->rank);
	int64_t dim[NPU_GRAPH_RANK_MAX], depth = y->dim[axis < 0 ? 0 : axis];
	uint32_t t, range, off, on;

	if (axis < 0)
		return axis;
	memcpy(dim, y->dim, sizeof(dim));
	dim[axis] = 1;
	t = nc_x_reshape(e, nc_x_in(e, 0), y->rank, dim);
	t = from_start(e, t, depth);
	for (unsigned int i = 0; i < y->rank; i++)
		dim[i] = (int)i == axis ? depth : 1;
	range = nc_x_reshape(e, nc_x_cast(e, nc_x_range(e, depth), index->dtype), y->rank, dim);
	off = nc_x_slice(e, nc_x_in(e, 2), 0, 0, 1, 1);
	on = nc_x_slice(e, nc_x_in(e, 2), 0, 1, 2, 1);
	t = nc_x_2(e, NC_OP_Equal, t, range);
	nc_x_result(e, 0, nc_x_node(e, NC_OP_Where, NULL, 3, (const uint32_t[]){ t, on, off }));
	return nc_x_done(e);
}

/* The first maximum is the element whose number ArgMax gives. */
int nc_expand_hardmax(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	uint32_t t = nc_x_in(e, 0), range;

	if (axis < 0)
		return axis;
	for (unsigned int i = 0; i < x->rank; i++)
		dim[i] = (int)i == axis ? x->dim[i] : 1;
	t = nc_x_node(e, NC_OP_ArgMax, NC_X_ATTRS(NC_X_INT("axis", axis)), 1, &t);
	range = nc_x_reshape(e, nc_x_range(e, x->dim[axis]), x->rank, dim);
	nc_x_result(e, 0, nc_x_cast(e, nc_x_2(e, NC_OP_Equal, t, range), x->dtype));
	return nc_x_done(e);
}

/*
 * The place of an element is the number of those before it: larger (smaller)
 * ones, and equal ones with a smaller index. Elements are put at their place.
 */
static uint32_t places(const struct nc_expand *e, uint32_t x, int64_t rows, int64_t n)
{
	bool largest = nc_attr(e->n, "largest")->i;
	uint32_t mine = reshape3(e, x, rows, n, 1), other = reshape3(e, x, rows, 1, n);
	uint32_t range = nc_x_range(e, n), t, tie;

	tie = nc_x_2(e, NC_OP_Less, reshape3(e, range, 1, 1, n), reshape3(e, range, 1, n, 1));
	tie = nc_x_2(e, NC_OP_And, nc_x_2(e, NC_OP_Equal, other, mine), tie);
	t = nc_x_2(e, largest ? NC_OP_Greater : NC_OP_Less, other, mine);
	t = nc_x_cast(e, nc_x_2(e, NC_OP_Or, t, tie), NPU_GRAPH_I64);
	return reshape2(e, nc_x_reduce(e, NC_OP_ReduceSum, t, 1u << 2), rows, n);
}

/* Where rows are longer than this, each pair of elements is too many. */
#define TOPK_ROW	1024

/* TopK along the last axis: values and indices. */
static void topk_last(const struct nc_expand *e, uint32_t t, int64_t count, uint32_t out[2])
{
	struct nc_node *n = nc_node_new(e->g, e->n->op, e->n->name, 2, 2);

	if (!n)
		return;
	n->type = e->n->type;
	n->number = e->n->number;
	n->in[0] = t;
	n->in[1] = nc_x_ints(e, &count, 1);
	for (uint32_t i = 0; i < 2 && !e->g->err; i++)
		n->out[i] = out[i] = (uint32_t)nc_graph_tensor(e->g, NULL);
	if (!e->g->err && !nc_attr_set_int(e->g, n, "largest", nc_attr(e->n, "largest")->i))
		nc_graph_node(e->g, n);
}

/* The value that any other of the type goes before, as a scalar. */
static uint32_t topk_worst(const struct nc_expand *e, enum npu_graph_dtype dtype)
{
	bool low = nc_attr(e->n, "largest")->i;
	unsigned int bits = nc_dtype_bytes(dtype) > 4 ? 32 : 8 * (unsigned int)nc_dtype_bytes(dtype);
	int64_t end = dtype == NPU_GRAPH_U8 ? (low ? 0 : UINT8_MAX) :
		      low ? -(1ll << (bits - 1)) : (1ll << (bits - 1)) - 1;

	if (nc_dtype_class(dtype) == NC_CLASS_FLOAT)
		return nc_x_cast(e, nc_x_float(e, low ? -INFINITY : INFINITY), dtype);
	return nc_x_cast(e, nc_x_reshape(e, nc_x_ints(e, &end, 1), 0, NULL), dtype);
}

/*
 * The first @count of each part of a row, then of those, as often as it takes.
 * They are in the order of their indices where they are equal, and so is what
 * the last part is filled up with behind all that is there.
 */
static void topk_in_parts(const struct nc_expand *e, uint32_t t, int64_t rows, int64_t n,
			  int64_t count, uint32_t out[2])
{
	int64_t size = 2 * count > TOPK_ROW / 4 ? 2 * count : TOPK_ROW / 4;
	int64_t parts = (n + size - 1) / size, first = 0, *base = nc_x_alloc(e, parts, sizeof(*base));
	const int64_t pad[] = { 0, 0, 0, parts * size - n };
	uint32_t part[2] = { NC_NONE, NC_NONE }, best[2] = { NC_NONE, NC_NONE };

	if (!base)
		return;
	for (int64_t i = 0; i < parts; i++, first += size)
		base[i] = first;
	t = nc_x_node(e, NC_OP_Pad, NULL, 3,
		      (const uint32_t[]){ reshape2(e, t, rows, n), nc_x_ints(e, pad, 4),
					  topk_worst(e, nc_x_get(e, t)->dtype) });
	topk_last(e, reshape3(e, t, rows, parts, size), count, part);
	part[1] = nc_x_2(e, NC_OP_Add, part[1],
			 reshape2(e, nc_x_ints(e, base, (uint32_t)parts), parts, 1));
	topk_last(e, reshape2(e, part[0], rows, parts * count), count, best);
	out[0] = best[0];
	out[1] = nc_x_node(e, NC_OP_GatherElements, NC_X_ATTRS(NC_X_INT("axis", 1)), 2,
			   (const uint32_t[]){ reshape2(e, part[1], rows, parts * count), best[1] });
}

int nc_expand_topk(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);
	int64_t n = x->dim[axis < 0 ? 0 : axis], rows = n ? (int64_t)x->elems / n : 0;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	uint32_t t, at, number;

	if (axis < 0)
		return axis;
	t = nc_x_last(e, nc_x_in(e, 0), (unsigned int)axis, false);
	memcpy(dim, nc_x_get(e, t)->dim, sizeof(dim));
	dim[x->rank - 1] = y->dim[axis];
	if (n > TOPK_ROW && n > 4 * y->dim[axis]) {
		uint32_t best[2] = { NC_NONE, NC_NONE };

		topk_in_parts(e, t, rows, n, y->dim[axis], best);
		for (uint32_t i = 0; i < 2; i++)
			nc_x_result(e, i, nc_x_last(e, nc_x_reshape(e, best[i], x->rank, dim),
						    (unsigned int)axis, true));
		return nc_x_done(e);
	}
	at = places(e, t, rows, n);
	number = reshape3(e, nc_x_range(e, n), 1, n, 1);
	for (uint32_t i = 0; i < 2; i++) {
		const int64_t all[] = { rows, n, 1 };
		uint32_t from = i ? nc_x_2(e, NC_OP_Expand, number, nc_x_ints(e, all, 3)) :
				    reshape3(e, t, rows, n, 1);

		if (!nc_x_wanted(e, i))
			continue;
		from = put(e, from, at, from);
		from = nc_x_slice(e, from, 1, 0, y->dim[axis], 1);
		from = nc_x_reshape(e, from, x->rank, dim);
		nc_x_result(e, i, nc_x_last(e, from, (unsigned int)axis, true));
	}
	return nc_x_done(e);
}

/* The condition is known: the elements where it holds. */
int nc_expand_compress(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *c = nc_x_get(e, nc_x_in(e, 1));
	const struct nc_attr *given = nc_attr_given(e->n, "axis");
	int axis = given ? nc_axis(e->g, e->n, given->i, x->rank) : 0;
	int64_t *index = nc_x_alloc(e, (int64_t)c->elems, sizeof(*index)), count = 0;
	const int64_t flat = (int64_t)x->elems;
	uint32_t t = nc_x_in(e, 0);

	if (axis < 0 || !index)
		return axis < 0 ? axis : -ENOMEM;
	for (uint64_t i = 0; i < c->elems; i++)
		if (((const uint8_t *)c->data)[i])
			index[count++] = (int64_t)i;
	if (!given)
		t = nc_x_reshape(e, t, 1, &flat);
	nc_x_result(e, 0, nc_x_take(e, t, (unsigned int)axis, index, count));
	return nc_x_done(e);
}
