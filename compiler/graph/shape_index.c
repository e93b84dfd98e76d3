/* SPDX-License-Identifier: MIT */
/* Shapes of operators that address elements by index, or compute indices. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops.h"
#include "shape.h"

static int need_integers(struct npu_graph *g, const struct nc_node *n, uint32_t i)
{
	char text[NC_SHAPE_TEXT];

	if (nc_dtype_class(nc_in(g, n, i)->dtype) == NC_CLASS_INT)
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL, "input %u is %s; indices must be integers", i,
			     nc_shape_text(nc_in(g, n, i), text));
}

static int bad_shape(struct npu_graph *g, const struct nc_node *n, uint32_t i)
{
	char ta[NC_SHAPE_TEXT], tb[NC_SHAPE_TEXT];

	return nc_node_error(&g->diag, n, -EINVAL, "input %u (%s) does not fit input 0 (%s)", i,
			     nc_shape_text(nc_in(g, n, i), ta),
			     nc_shape_text(nc_in(g, n, 0), tb));
}

int nc_infer_arg(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, x->rank);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int rank = 0;

	if (axis < 0)
		return axis;
	for (unsigned int i = 0; i < x->rank; i++) {
		if ((int)i != axis)
			dim[rank++] = x->dim[i];
		else if (nc_attr(n, "keepdims")->i)
			dim[rank++] = 1;
	}
	if (!x->dim[axis])
		return nc_node_error(&g->diag, n, -EINVAL, "axis %d has no elements", axis);
	return nc_tensor_shape(g, n, n->out[0], NPU_GRAPH_I64, rank, dim);
}

/* Indices may be fewer than elements, on every axis but the one that they index. */
static int element_shapes(struct npu_graph *g, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *index = nc_in(g, n, 1);
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, x->rank);

	if (axis < 0)
		return axis;
	if (index->rank != x->rank)
		return bad_shape(g, n, 1);
	for (unsigned int i = 0; i < x->rank; i++)
		if ((int)i != axis && index->dim[i] > x->dim[i])
			return bad_shape(g, n, 1);
	return need_integers(g, n, 1);
}

int nc_infer_gather_elements(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *index = nc_in(g, n, 1);
	int ret = element_shapes(g, n);

	return ret ? ret : nc_tensor_shape(g, n, n->out[0], x->dtype, index->rank, index->dim);
}

int nc_infer_gather_nd(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *index = nc_in(g, n, 1);
	int64_t batch = nc_attr(n, "batch_dims")->i, dim[2 * NPU_GRAPH_RANK_MAX], count;
	unsigned int rank = 0;
	int ret = need_integers(g, n, 1);

	if (ret)
		return ret;
	count = index->rank ? index->dim[index->rank - 1] : 0;
	if (!index->rank || batch < 0 || batch >= index->rank || count < 1 ||
	    batch + count > x->rank)
		return bad_shape(g, n, 1);
	for (unsigned int i = 0; i + 1 < index->rank; i++) {
		if (i < batch && index->dim[i] != x->dim[i])
			return bad_shape(g, n, 1);
		dim[rank++] = index->dim[i];
	}
	for (unsigned int i = (unsigned int)(batch + count); i < x->rank; i++)
		dim[rank++] = x->dim[i];
	return nc_tensor_shape(g, n, n->out[0], x->dtype, rank, dim);
}

static int infer_like(struct npu_graph *g, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);

	if (nc_in(g, n, 2)->dtype != x->dtype)
		return bad_shape(g, n, 2);
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, x->dim);
}

int nc_infer_scatter_elements(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *index = nc_in(g, n, 1), *updates = nc_in(g, n, 2);
	int ret = element_shapes(g, n);

	if (ret)
		return ret;
	if (updates->rank != index->rank ||
	    memcmp(updates->dim, index->dim, index->rank * sizeof(*index->dim)))
		return bad_shape(g, n, 2);
	return infer_like(g, n);
}

int nc_infer_scatter_nd(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *index = nc_in(g, n, 1);
	const struct nc_tensor *updates = nc_in(g, n, 2);
	unsigned int outer;
	int ret = need_integers(g, n, 1);
	int64_t count;

	if (ret)
		return ret;
	count = index->rank ? index->dim[index->rank - 1] : 0;
	if (count < 1 || count > x->rank)
		return bad_shape(g, n, 1);
	outer = index->rank - 1;
	if (updates->rank != outer + x->rank - count ||
	    memcmp(updates->dim, index->dim, outer * sizeof(*index->dim)) ||
	    memcmp(updates->dim + outer, x->dim + count,
		   (x->rank - (size_t)count) * sizeof(*x->dim)))
		return bad_shape(g, n, 2);
	return infer_like(g, n);
}

/* A scalar (or vector of one element) that is known, of any number type. */
static int known_number(struct npu_graph *g, const struct nc_node *n, uint32_t i, int64_t *value)
{
	struct nc_tensor *t = nc_in(g, n, i);
	uint32_t word;
	float f;

	if (t->elems != 1 || !nc_known(g, t))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "input %u (\"%s\") must be one number that is known while compiling",
				     i, t->name);
	if (nc_word_get(t, 0, &word))
		return nc_node_error(&g->diag, n, -EINVAL, "input %u (\"%s\") is too large", i,
				     t->name);
	memcpy(&f, &word, sizeof(f));
	if (nc_dtype_class(t->dtype) != NC_CLASS_FLOAT)
		*value = (int32_t)word;
	else if (f >= -0x1p31f && f < 0x1p31f)
		*value = (int64_t)f;
	else
		return nc_node_error(&g->diag, n, -EINVAL, "input %u (\"%s\") is %g", i, t->name, f);
	return 0;
}

int nc_infer_one_hot(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *index = nc_in(g, n, 0), *values = nc_in(g, n, 2);
	int64_t dim[NPU_GRAPH_RANK_MAX + 1], depth;
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, index->rank + 1);
	int ret = known_number(g, n, 1, &depth);

	if (axis < 0 || ret)
		return axis < 0 ? axis : ret;
	if (values->rank != 1 || values->dim[0] != 2 || depth < 1)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "needs two values and a depth of at least 1; depth is %" PRId64,
				     depth);
	for (unsigned int i = 0, from = 0; i <= index->rank; i++)
		dim[i] = (int)i == axis ? depth : index->dim[from++];
	return nc_tensor_shape(g, n, n->out[0], values->dtype, index->rank + 1, dim);
}

int nc_infer_topk(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, x->rank);
	int64_t dim[NPU_GRAPH_RANK_MAX], count;
	int ret = known_number(g, n, 1, &count);

	if (axis < 0 || ret)
		return axis < 0 ? axis : ret;
	if (count < 1 || count > x->dim[axis])
		return nc_node_error(&g->diag, n, -EINVAL,
				     "k is %" PRId64 "; axis %d has %" PRId64 " elements", count,
				     axis, x->dim[axis]);
	memcpy(dim, x->dim, sizeof(dim));
	dim[axis] = count;
	ret = nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
	if (!ret && nc_out(g, n, 1))
		ret = nc_tensor_shape(g, n, n->out[1], NPU_GRAPH_I64, x->rank, dim);
	return ret;
}

int nc_infer_compress(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_tensor *c = nc_in(g, n, 1);
	const struct nc_attr *given = nc_attr_given(n, "axis");
	int axis = given ? nc_axis(g, n, given->i, x->rank) : 0;
	int64_t dim[NPU_GRAPH_RANK_MAX], count = 0;
	unsigned int rank = given ? x->rank : 1;

	if (axis < 0)
		return axis;
	if (c->dtype != NPU_GRAPH_BOOL || c->rank != 1 ||
	    (int64_t)c->elems > (given ? x->dim[axis] : (int64_t)x->elems))
		return bad_shape(g, n, 1);
	if (!nc_known(g, c))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "the condition decides the shape; it must be known while compiling");
	for (uint64_t i = 0; i < c->elems; i++)
		count += ((const uint8_t *)c->data)[i];
	if (given)
		memcpy(dim, x->dim, sizeof(dim));
	dim[axis] = count;
	return nc_tensor_shape(g, n, n->out[0], x->dtype, rank, dim);
}

/* Take: x [batch, k, rest], index [batch or 1, i]: [batch, i, rest] */
int nc_infer_take(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *index = nc_in(g, n, 1);
	const int64_t dim[] = { x->dim[0], index->dim[1], x->dim[2] };
	int ret = need_integers(g, n, 1);

	return ret ? ret : nc_tensor_shape(g, n, n->out[0], x->dtype, 3, dim);
}

int nc_infer_put(struct npu_graph *g, struct nc_node *n)
{
	int ret = need_integers(g, n, 1);

	return ret ? ret : infer_like(g, n);
}
