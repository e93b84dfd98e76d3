/* SPDX-License-Identifier: MIT */
/* Types and shapes of operators that work element by element or make values. */
#include "shape.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops.h"

int nc_broadcast(unsigned int *rank, int64_t *out, unsigned int more_rank, const int64_t *more)
{
	unsigned int wide = *rank > more_rank ? *rank : more_rank;
	int64_t joined[NPU_GRAPH_RANK_MAX];

	for (unsigned int i = 0; i < wide; i++) {
		int64_t a = i + *rank < wide ? 1 : out[i + *rank - wide];
		int64_t b = i + more_rank < wide ? 1 : more[i + more_rank - wide];

		if (a != b && a != 1 && b != 1)
			return -EINVAL;
		joined[i] = a == 1 ? b : a;
	}
	*rank = wide;
	memcpy(out, joined, wide * sizeof(*joined));
	return 0;
}

static int same_type(struct npu_graph *g, const struct nc_node *n, uint32_t a, uint32_t b)
{
	char ta[NC_SHAPE_TEXT], tb[NC_SHAPE_TEXT];

	if (nc_in(g, n, a)->dtype == nc_in(g, n, b)->dtype)
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL,
			     "inputs %u (%s) and %u (%s) have different element types", a,
			     nc_shape_text(nc_in(g, n, a), ta), b,
			     nc_shape_text(nc_in(g, n, b), tb));
}

/* All inputs broadcast against each other; those from @typed on have one type. */
static int broadcast_all(struct npu_graph *g, struct nc_node *n, uint32_t typed,
			 enum npu_graph_dtype dtype)
{
	char ta[NC_SHAPE_TEXT], tb[NC_SHAPE_TEXT];
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int rank = 0;

	for (uint32_t i = 0; i < n->ins; i++) {
		const struct nc_tensor *t = nc_in(g, n, i);
		int ret = i < typed ? 0 : same_type(g, n, typed, i);

		if (ret)
			return ret;
		ret = nc_broadcast(&rank, dim, t->rank, t->dim);
		if (ret)
			return nc_node_error(&g->diag, n, ret,
					     "inputs 0 (%s) and %u (%s) do not broadcast: each dimension, counted from the last, must be equal or 1",
					     nc_shape_text(nc_in(g, n, 0), ta), i,
					     nc_shape_text(t, tb));
	}
	return nc_tensor_shape(g, n, n->out[0], dtype, rank, dim);
}

int nc_infer_broadcast(struct npu_graph *g, struct nc_node *n)
{
	return broadcast_all(g, n, 0, nc_in(g, n, 0)->dtype);
}

int nc_infer_compare(struct npu_graph *g, struct nc_node *n)
{
	return broadcast_all(g, n, 0, NPU_GRAPH_BOOL);
}

int nc_infer_where(struct npu_graph *g, struct nc_node *n)
{
	return broadcast_all(g, n, 1, nc_in(g, n, 1)->dtype);
}

/* The exponent may have another type. */
int nc_infer_pow(struct npu_graph *g, struct nc_node *n)
{
	return broadcast_all(g, n, n->ins, nc_in(g, n, 0)->dtype);
}

int nc_infer_same(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);

	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, x->dim);
}

int nc_infer_test(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);

	return nc_tensor_shape(g, n, n->out[0], NPU_GRAPH_BOOL, x->rank, x->dim);
}

int nc_infer_axis(struct npu_graph *g, struct nc_node *n)
{
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, nc_in(g, n, 0)->rank);

	return axis < 0 ? axis : nc_infer_same(g, n);
}

int nc_infer_prelu(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *slope = nc_in(g, n, 1);
	char ta[NC_SHAPE_TEXT], tb[NC_SHAPE_TEXT];
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int rank = x->rank;
	int ret = same_type(g, n, 0, 1);

	if (ret)
		return ret;
	memcpy(dim, x->dim, sizeof(dim));
	ret = nc_broadcast(&rank, dim, slope->rank, slope->dim);
	if (ret || rank != x->rank || memcmp(dim, x->dim, rank * sizeof(*dim)))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "slope %s does not broadcast to the input %s",
				     nc_shape_text(slope, tb), nc_shape_text(x, ta));
	return nc_infer_same(g, n);
}

int nc_infer_clip(struct npu_graph *g, struct nc_node *n)
{
	char text[NC_SHAPE_TEXT];

	for (uint32_t i = 1; i < n->ins; i++) {
		const struct nc_tensor *t = nc_in(g, n, i);
		int ret;

		if (!t)
			continue;
		ret = same_type(g, n, 0, i);
		if (ret)
			return ret;
		if (t->elems != 1)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "bound %s must be a scalar",
					     nc_shape_text(t, text));
	}
	return nc_infer_same(g, n);
}

/* A scalar constant as double. */
static int scalar(struct npu_graph *g, const struct nc_node *n, uint32_t i, double *value)
{
	struct nc_tensor *t = nc_in(g, n, i);
	uint32_t word;
	float f;

	if (t->elems != 1 || t->dtype == NPU_GRAPH_BOOL || !nc_known(g, t))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "input %u (\"%s\") must be a scalar that is known while compiling",
				     i, t->name);
	nc_word_get(t, 0, &word);
	memcpy(&f, &word, sizeof(f));
	if (nc_dtype_class(t->dtype) == NC_CLASS_FLOAT)
		*value = f;
	else if (t->dtype == NPU_GRAPH_I64)
		*value = (double)*(const int64_t *)t->data;
	else
		*value = (int32_t)word;
	return 0;
}

int nc_infer_dropout(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_tensor *training = nc_in(g, n, 2);
	double ratio = 0.5;

	if (training && (training->dtype != NPU_GRAPH_BOOL || training->elems != 1 ||
			 !nc_known(g, training)))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "training_mode must be a constant scalar");
	if (training && *(const uint8_t *)training->data) {
		int ret = nc_in(g, n, 1) ? scalar(g, n, 1, &ratio) : 0;

		if (ret)
			return ret;
		if (ratio != 0)
			return nc_node_error(&g->diag, n, -ENOTSUP,
					     "training_mode is set; export the model for inference");
	}
	if (nc_out(g, n, 1)) {
		int ret = nc_tensor_shape(g, n, n->out[1], NPU_GRAPH_BOOL, x->rank, x->dim);

		if (ret)
			return ret;
	}
	return nc_infer_same(g, n);
}

int nc_infer_cast(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t to = nc_attr(n, "to")->i;
	int dtype = nc_dtype_of_onnx(to);

	if (dtype < 0)
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "casts to element type %" PRId64 "; float, float16, bfloat16, int8, uint8, int16, int32, int64 and bool are supported",
				     to);
	return nc_tensor_shape(g, n, n->out[0], (enum npu_graph_dtype)dtype, x->rank, x->dim);
}

int nc_infer_constant_of_shape(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_attr *value = nc_attr_given(n, "value");
	enum npu_graph_dtype dtype = NPU_GRAPH_F32;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int rank = nc_in_ints(g, n, 0, dim, NPU_GRAPH_RANK_MAX);

	if (rank < 0)
		return rank;
	if (value) {
		const struct nc_tensor *t = g->tensor[value->tensor];

		if (t->elems != 1 || !t->data)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "value has %" PRIu64 " elements; it must have 1",
					     t->elems);
		dtype = t->dtype;
	}
	return nc_tensor_shape(g, n, n->out[0], dtype, (unsigned int)rank, dim);
}

int nc_infer_shape(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t rank = x->rank;
	int64_t start = nc_attr(n, "start")->i, end = nc_attr(n, "end")->i;
	int64_t dim;

	start = start < -rank ? 0 : start < 0 ? start + rank : start > rank ? rank : start;
	end = end < -rank ? 0 : end < 0 ? end + rank : end > rank ? rank : end;
	dim = end > start ? end - start : 0;
	return nc_tensor_shape(g, n, n->out[0], NPU_GRAPH_I64, 1, &dim);
}

/* The value decides the shape: indices of what is not 0, one row for each axis. */
int nc_infer_non_zero(struct npu_graph *g, struct nc_node *n)
{
	struct nc_tensor *x = nc_in(g, n, 0);
	int64_t dim[2] = { x->rank, 0 };

	if (!nc_known(g, x))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "the input decides the shape; it must be known while compiling");
	for (uint64_t i = 0; i < x->elems; i++)
		dim[1] += !nc_is_zero(x, i);
	return nc_tensor_shape(g, n, n->out[0], NPU_GRAPH_I64, 2, dim);
}

/* Tensors are all the optional things there are: they are there, or are not said. */
int nc_infer_has_element(struct npu_graph *g, struct nc_node *n)
{
	return nc_tensor_shape(g, n, n->out[0], NPU_GRAPH_BOOL, 0, NULL);
}

int nc_infer_size(struct npu_graph *g, struct nc_node *n)
{
	return nc_tensor_shape(g, n, n->out[0], NPU_GRAPH_I64, 0, NULL);
}

int nc_infer_range(struct npu_graph *g, struct nc_node *n)
{
	double v[3], count;
	int64_t dim;

	for (uint32_t i = 0; i < 3; i++) {
		int ret = scalar(g, n, i, &v[i]);

		if (!ret)
			ret = same_type(g, n, 0, i);
		if (ret)
			return ret;
	}
	count = ceil((v[1] - v[0]) / v[2]);
	if (!(fabs(count) < 1e9))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "would make %g elements; start, limit and delta are %g, %g, %g",
				     count, v[0], v[1], v[2]);
	dim = count > 0 ? (int64_t)count : 0;
	return nc_tensor_shape(g, n, n->out[0], nc_in(g, n, 0)->dtype, 1, &dim);
}
