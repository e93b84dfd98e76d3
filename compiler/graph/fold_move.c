/* SPDX-License-Identifier: MIT */
/* Constant folding of operators that put elements elsewhere. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops.h"
#include "shape.h"
#include "view.h"

static void *room(struct npu_graph *g, const struct nc_node *n, const struct nc_tensor *t)
{
	void *data = nc_alloc_array(g->arena, t->elems ? t->elems : 1, nc_dtype_bytes(t->dtype));

	if (!data)
		nc_node_error(&g->diag, n, -ENOMEM, "out of memory for constant \"%s\"", t->name);
	return data;
}

/* @dense, in row-major order of @view's positions, between @view of @array. */
static void copy_elems(const struct nc_view *view, char *array, char *dense, size_t bytes,
		       uint64_t elems, bool gather)
{
	unsigned int last = view->rank - 1;
	uint64_t row = view->rank ? (uint64_t)view->dim[last] : 1;
	int64_t step = view->rank ? view->stride[last] * (int64_t)bytes : 0;

	for (uint64_t e = 0; e < elems; e += row) {
		char *at = array + nc_view_at(view, e) * (int64_t)bytes;

		for (uint64_t i = 0; i < row; i++, at += step, dense += bytes)
			memcpy(gather ? dense : at, gather ? at : dense, bytes);
	}
}

int nc_eval_copy(struct npu_graph *g, struct nc_node *n)
{
	nc_out(g, n, 0)->data = nc_in(g, n, 0)->data;
	return 0;
}

int nc_eval_move(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_view dense, view;

	nc_view_dense(&dense, 0, x->rank, x->dim);
	for (uint32_t i = 0; i < n->outs; i++) {
		struct nc_tensor *y = nc_out(g, n, i);
		char *data;
		int ret;

		if (!y)
			continue;
		data = room(g, n, y);
		if (!data)
			return -ENOMEM;
		ret = nc_view_through(g, n, i, &dense, &view);
		if (ret)
			return ret == -EDOM ? -ENOTSUP : ret;
		copy_elems(&view, (char *)(uintptr_t)x->data, data, nc_dtype_bytes(y->dtype),
			   y->elems, true);
		y->data = data;
	}
	return 0;
}

int nc_eval_concat(struct npu_graph *g, struct nc_node *n)
{
	struct nc_tensor *y = nc_out(g, n, 0);
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, y->rank);
	char *data = room(g, n, y);
	struct nc_view view;

	if (axis < 0)
		return axis;
	if (!data)
		return -ENOMEM;
	nc_view_dense(&view, 0, y->rank, y->dim);
	for (uint32_t i = 0; i < n->ins; i++) {
		const struct nc_tensor *x = nc_in(g, n, i);

		view.dim[axis] = x->dim[axis];
		copy_elems(&view, data, (char *)(uintptr_t)x->data, nc_dtype_bytes(y->dtype),
			   x->elems, false);
		view.offset += x->dim[axis] * view.stride[axis];
	}
	y->data = data;
	return 0;
}

int nc_eval_fill(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_attr *value = nc_attr_given(n, "value");
	struct nc_tensor *y = nc_out(g, n, 0);
	size_t bytes = nc_dtype_bytes(y->dtype);
	char *data = room(g, n, y);

	if (!data)
		return -ENOMEM;
	for (uint64_t e = 0; value && e < y->elems; e++)
		memcpy(data + e * bytes, g->tensor[value->tensor]->data, bytes);
	y->data = data;
	return 0;
}

int nc_eval_pad(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *value = nc_in(g, n, 2);
	struct nc_tensor *y = nc_out(g, n, 0);
	size_t bytes = nc_dtype_bytes(y->dtype);
	int64_t pad[2][NPU_GRAPH_RANK_MAX];
	int ret = nc_pads_get(g, n, pad);
	char *data = room(g, n, y);
	struct nc_view in;

	if (ret || strcmp(nc_attr(n, "mode")->s, "constant"))
		return ret ? ret : -ENOTSUP;
	if (!data)
		return -ENOMEM;
	nc_view_dense(&in, 0, x->rank, x->dim);
	for (uint64_t e = 0; e < y->elems; e++) {
		const char *from = value ? value->data : NULL;
		uint64_t rest = e;
		int64_t at = 0;
		bool inside = true;

		for (unsigned int i = y->rank; i-- > 0;) {
			int64_t pos = (int64_t)(rest % (uint64_t)y->dim[i]) - pad[0][i];

			rest /= (uint64_t)y->dim[i];
			inside &= pos >= 0 && pos < x->dim[i];
			at += pos * in.stride[i];
		}
		if (inside)
			from = (const char *)x->data + at * (int64_t)bytes;
		if (from)
			memcpy(data + e * bytes, from, bytes);
	}
	y->data = data;
	return 0;
}

int nc_eval_gather(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *idx = nc_in(g, n, 1);
	struct nc_tensor *y = nc_out(g, n, 0);
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, x->rank);
	uint64_t outer = 1, run = nc_dtype_bytes(x->dtype);
	char *data = room(g, n, y);

	if (axis < 0)
		return axis;
	if (!data)
		return -ENOMEM;
	for (int i = 0; i < axis; i++)
		outer *= (uint64_t)x->dim[i];
	for (unsigned int i = (unsigned int)axis + 1; i < x->rank; i++)
		run *= (uint64_t)x->dim[i];
	for (uint64_t o = 0; y->elems && o < outer; o++) {
		for (uint64_t k = 0; k < idx->elems; k++) {
			int64_t at = idx->dtype == NPU_GRAPH_I64 ? ((const int64_t *)idx->data)[k] :
								   ((const int32_t *)idx->data)[k];

			if (at < -x->dim[axis] || at >= x->dim[axis])
				return nc_node_error(&g->diag, n, -EINVAL,
						     "index %" PRId64 " is outside of axis %d with %" PRId64 " elements",
						     at, axis, x->dim[axis]);
			if (at < 0)
				at += x->dim[axis];
			memcpy(data + (o * idx->elems + k) * run,
			       (const char *)x->data + (o * (uint64_t)x->dim[axis] + (uint64_t)at) * run,
			       run);
		}
	}
	y->data = data;
	return 0;
}
