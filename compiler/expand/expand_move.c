/* SPDX-License-Identifier: MIT */
/* Movement operators in terms of reshapes, transposes, pads and known indices. */
#include "expand.h"

#include <errno.h>
#include <string.h>

#include "expand_util.h"
#include "graph/shape.h"

/* One axis at a time: a dimension of 1 in front of it, expanded. */
int nc_expand_tile(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	uint32_t t = nc_x_in(e, 0);

	memcpy(dim, x->dim, sizeof(dim));
	for (unsigned int i = 0; i < x->rank && y->elems; i++) {
		int64_t split[] = { 1, 1, 1 };

		if (y->dim[i] == x->dim[i])
			continue;
		for (unsigned int k = 0; k < x->rank; k++)
			split[k < i ? 0 : 2] *= dim[k];
		t = nc_x_reshape(e, t, 3, split);
		split[1] = y->dim[i] / x->dim[i];
		t = nc_x_2(e, NC_OP_Expand, t, nc_x_ints(e, split, 3));
		dim[i] = y->dim[i];
		t = nc_x_reshape(e, t, x->rank, dim);
	}
	/* Nothing, repeated or not, is nothing of another shape. */
	if (!y->elems) {
		const int64_t all = (int64_t)x->elems;

		t = nc_x_slice(e, nc_x_reshape(e, t, 1, &all), 0, 0, 0, 1);
		t = nc_x_reshape(e, t, y->rank, y->dim);
	}
	nc_x_result(e, 0, t);
	return nc_x_done(e);
}

/* What is odd is cut off at the end, or added there. */
int nc_expand_center_crop_pad(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int64_t pad[2 * NPU_GRAPH_RANK_MAX] = { 0 };
	uint32_t t = nc_x_in(e, 0);

	for (unsigned int i = 0; i < x->rank; i++) {
		int64_t more = y->dim[i] - x->dim[i];

		if (more < 0)
			t = nc_x_slice(e, t, i, -more / 2, -more / 2 + y->dim[i], 1);
		pad[i] = more > 0 ? more / 2 : 0;
		pad[x->rank + i] = more > 0 ? more - more / 2 : 0;
	}
	nc_x_result(e, 0, nc_x_pad(e, t, pad));
	return nc_x_done(e);
}

int nc_expand_depth_to_space(const struct nc_expand *e)
{
	static const int64_t dcr[] = { 0, 3, 4, 1, 5, 2 }, crd[] = { 0, 1, 4, 2, 5, 3 };
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	bool columns = !strcmp(nc_attr(e->n, "mode")->s, "CRD");
	int64_t b = nc_attr(e->n, "blocksize")->i, c = y->dim[1];
	const int64_t dcr_dim[] = { x->dim[0], b, b, c, x->dim[2], x->dim[3] };
	const int64_t crd_dim[] = { x->dim[0], c, b, b, x->dim[2], x->dim[3] };
	uint32_t t = nc_x_reshape(e, nc_x_in(e, 0), 6, columns ? crd_dim : dcr_dim);

	t = nc_x_transpose(e, t, columns ? crd : dcr);
	nc_x_result(e, 0, nc_x_reshape(e, t, 4, y->dim));
	return nc_x_done(e);
}

int nc_expand_space_to_depth(const struct nc_expand *e)
{
	static const int64_t perm[] = { 0, 3, 5, 1, 2, 4 };
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	int64_t b = nc_attr(e->n, "blocksize")->i;
	const int64_t dim[] = { x->dim[0], x->dim[1], y->dim[2], b, y->dim[3], b };
	uint32_t t = nc_x_transpose(e, nc_x_reshape(e, nc_x_in(e, 0), 6, dim), perm);

	nc_x_result(e, 0, nc_x_reshape(e, t, 4, y->dim));
	return nc_x_done(e);
}

/* A constant bool matrix: column - row >= k (upper), <= k (lower), or == k. */
enum triangle { UPPER, LOWER, DIAGONAL };

static uint32_t triangle(const struct nc_expand *e, int64_t rows, int64_t columns, int64_t k,
			 enum triangle kind)
{
	const int64_t dim[] = { rows, columns };
	uint8_t *data = nc_x_alloc(e, rows * columns, 1);
	int64_t t;

	if (!data)
		return NC_NONE;
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < columns; j++)
			data[i * columns + j] = kind == UPPER ? j - i >= k :
						kind == LOWER ? j - i <= k : j - i == k;
	t = nc_graph_const(e->g, NULL, NPU_GRAPH_BOOL, 2, dim, data);
	return t < 0 ? NC_NONE : (uint32_t)t;
}

int nc_expand_trilu(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	int64_t k = 0;
	uint32_t mask;
	int count = nc_in_ints(e->g, e->n, 1, &k, 1);

	if (count < 0)
		return count;
	if (!x->elems)
		return NC_EXPAND_KEEP;
	mask = triangle(e, x->dim[x->rank - 2], x->dim[x->rank - 1], k,
			nc_attr(e->n, "upper")->i ? UPPER : LOWER);
	nc_x_result(e, 0, nc_x_node(e, NC_OP_Where, NULL, 3,
				    (const uint32_t[]){ mask, nc_x_in(e, 0),
							nc_x_number(e, nc_x_in(e, 0), 0) }));
	return nc_x_done(e);
}

int nc_expand_eye_like(const struct nc_expand *e)
{
	const struct nc_tensor *y = nc_x_get(e, e->n->out[0]);
	uint32_t t = triangle(e, y->dim[0], y->dim[1], nc_attr(e->n, "k")->i, DIAGONAL);

	nc_x_result(e, 0, nc_x_cast(e, t, y->dtype));
	return nc_x_done(e);
}

/* Element of an axis of @size elements that position @i of its extension shows. */
static int64_t extended(const char *mode, int64_t i, int64_t size)
{
	int64_t period = !strcmp(mode, "wrap") ? size : 2 * (size - 1);

	if (!strcmp(mode, "edge") || size == 1)
		return i < 0 ? 0 : i >= size ? size - 1 : i;
	i %= period;
	i = i < 0 ? i + period : i;
	return i < size ? i : period - i;
}

int nc_expand_pad(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *y = nc_x_get(e, e->n->out[0]);
	const char *mode = nc_attr(e->n, "mode")->s;
	int64_t pad[2][NPU_GRAPH_RANK_MAX];
	uint32_t t = nc_x_in(e, 0);
	int ret = nc_pads_get(e->g, e->n, pad);

	if (ret || !strcmp(mode, "constant"))
		return ret ? ret : NC_EXPAND_KEEP;
	for (unsigned int i = 0; i < x->rank; i++) {
		int64_t *index;

		if (!pad[0][i] && !pad[1][i])
			continue;
		index = nc_x_alloc(e, y->dim[i], sizeof(*index));
		if (!index)
			return -ENOMEM;
		for (int64_t k = 0; k < y->dim[i]; k++)
			index[k] = extended(mode, k - pad[0][i], x->dim[i]);
		t = nc_x_take(e, t, i, index, y->dim[i]);
	}
	nc_x_result(e, 0, t);
	return nc_x_done(e);
}

/* @t moved along @axis by @by elements towards the end, zeroes in front. */
static uint32_t shifted(const struct nc_expand *e, uint32_t t, unsigned int axis, int64_t by)
{
	const struct nc_tensor *x = nc_x_get(e, t);
	int64_t pad[2 * NPU_GRAPH_RANK_MAX] = { 0 }, size = x->dim[axis];

	pad[axis] = by;
	pad[x->rank + axis] = -by;
	if (by >= size) {
		pad[axis] = size;
		pad[x->rank + axis] = -size;
	}
	return nc_x_pad(e, t, pad);
}

/* Sums of 1, 2, 4, ... elements that end at each position. */
int nc_expand_cum_sum(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	bool reverse = nc_attr(e->n, "reverse")->i;
	uint32_t t = nc_x_in(e, 0);
	int64_t given = 0, size;
	int axis = nc_in_ints(e->g, e->n, 1, &given, 1);

	axis = axis < 0 ? axis : nc_axis(e->g, e->n, given, x->rank);
	if (axis < 0)
		return axis;
	size = x->dim[axis];
	if (reverse)
		t = nc_x_slice(e, t, (unsigned int)axis, size - 1, INT64_MIN, -1);
	if (nc_attr(e->n, "exclusive")->i)
		t = shifted(e, t, (unsigned int)axis, 1);
	for (int64_t by = 1; by < size; by *= 2)
		t = nc_x_2(e, NC_OP_Add, t, shifted(e, t, (unsigned int)axis, by));
	if (reverse)
		t = nc_x_slice(e, t, (unsigned int)axis, size - 1, INT64_MIN, -1);
	nc_x_result(e, 0, t);
	return nc_x_done(e);
}
