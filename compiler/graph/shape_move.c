/* SPDX-License-Identifier: MIT */
/* Shapes of operators that put the same elements elsewhere. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops.h"
#include "shape.h"

int nc_infer_concat(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *first = nc_in(g, n, 0);
	char ta[NC_SHAPE_TEXT], tb[NC_SHAPE_TEXT];
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, first->rank);

	if (axis < 0)
		return axis;
	memcpy(dim, first->dim, sizeof(dim));
	for (uint32_t i = 1; i < n->ins; i++) {
		const struct nc_tensor *t = nc_in(g, n, i);
		bool fits = t->rank == first->rank && t->dtype == first->dtype;

		for (unsigned int d = 0; fits && d < t->rank; d++)
			fits = (int)d == axis || t->dim[d] == dim[d];
		if (!fits)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "inputs 0 (%s) and %u (%s) may differ in axis %d only",
					     nc_shape_text(first, ta), i, nc_shape_text(t, tb),
					     axis);
		if (__builtin_add_overflow(dim[axis], t->dim[axis], &dim[axis]))
			return nc_node_error(&g->diag, n, -EINVAL, "the result is too large");
	}
	return nc_tensor_shape(g, n, n->out[0], first->dtype, first->rank, dim);
}

int nc_infer_expand(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, dim, NPU_GRAPH_RANK_MAX);
	unsigned int rank = (unsigned int)count;
	char text[NC_SHAPE_TEXT];

	if (count < 0)
		return count;
	if (nc_broadcast(&rank, dim, x->rank, x->dim))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "%s does not broadcast to the shape asked for",
				     nc_shape_text(x, text));
	return nc_tensor_shape(g, n, n->out[0], x->dtype, rank, dim);
}

int nc_infer_flatten(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t axis = nc_attr(n, "axis")->i;
	int64_t dim[2] = { 1, 1 };

	if (axis < -(int64_t)x->rank || axis > (int64_t)x->rank)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "axis %" PRId64 " is outside of a tensor with %u dimensions",
				     axis, x->rank);
	if (axis < 0)
		axis += x->rank;
	for (unsigned int i = 0; i < x->rank; i++)
		dim[i >= axis] *= x->dim[i];
	return nc_tensor_shape(g, n, n->out[0], x->dtype, 2, dim);
}

int nc_infer_gather(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *idx = nc_in(g, n, 1);
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, x->rank);
	int64_t dim[2 * NPU_GRAPH_RANK_MAX];
	unsigned int rank = 0;

	if (axis < 0)
		return axis;
	if (idx->dtype != NPU_GRAPH_I64 && idx->dtype != NPU_GRAPH_I32)
		return nc_node_error(&g->diag, n, -EINVAL, "the indices must be integers");
	for (int i = 0; i < axis; i++)
		dim[rank++] = x->dim[i];
	for (unsigned int i = 0; i < idx->rank; i++)
		dim[rank++] = idx->dim[i];
	for (unsigned int i = (unsigned int)axis + 1; i < x->rank; i++)
		dim[rank++] = x->dim[i];
	return nc_tensor_shape(g, n, n->out[0], x->dtype, rank, dim);
}

int nc_pads_get(struct npu_graph *g, const struct nc_node *n,
		int64_t pad[2][NPU_GRAPH_RANK_MAX])
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t pads[2 * NPU_GRAPH_RANK_MAX], axes[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, pads, 2 * NPU_GRAPH_RANK_MAX);
	int axis_count = nc_in_ints(g, n, 3, axes, NPU_GRAPH_RANK_MAX);
	unsigned int seen = 0;

	if (count < 0 || axis_count < 0)
		return count < 0 ? count : axis_count;
	if (!nc_in(g, n, 3)) {
		axis_count = (int)x->rank;
		for (int i = 0; i < axis_count; i++)
			axes[i] = i;
	}
	if (count != 2 * axis_count)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "has %d pads for %d axes; it needs two per axis", count,
				     axis_count);
	memset(pad, 0, 2 * sizeof(*pad));
	for (int i = 0; i < axis_count; i++) {
		int axis = nc_axis(g, n, axes[i], x->rank);

		if (axis < 0)
			return axis;
		if (seen & 1u << axis)
			return nc_node_error(&g->diag, n, -EINVAL, "axis %d is there twice", axis);
		seen |= 1u << axis;
		pad[0][axis] = pads[i];
		pad[1][axis] = pads[axis_count + i];
	}
	return 0;
}

int nc_infer_pad(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *value = nc_in(g, n, 2);
	const char *mode = nc_attr(n, "mode")->s;
	int64_t pad[2][NPU_GRAPH_RANK_MAX], dim[NPU_GRAPH_RANK_MAX];
	int ret;

	if (strcmp(mode, "constant") && strcmp(mode, "reflect") && strcmp(mode, "edge") &&
	    strcmp(mode, "wrap"))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "mode \"%s\" is none of constant, reflect, edge, wrap", mode);
	if (value && (value->elems != 1 || value->dtype != x->dtype))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "the constant must be a scalar of the input's type");
	ret = nc_pads_get(g, n, pad);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < x->rank; i++)
		if (__builtin_add_overflow(x->dim[i], pad[0][i], &dim[i]) ||
		    __builtin_add_overflow(dim[i], pad[1][i], &dim[i]) || dim[i] < 0)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "axis %u of %" PRId64 " elements cannot be padded by %" PRId64 " and %" PRId64,
					     i, x->dim[i], pad[0][i], pad[1][i]);
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

int nc_infer_center_crop_pad(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_attr *axes = nc_attr_given(n, "axes");
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t size[NPU_GRAPH_RANK_MAX], dim[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, size, NPU_GRAPH_RANK_MAX);

	if (count < 0)
		return count;
	if (count != (int)(axes ? axes->count : x->rank))
		return nc_node_error(&g->diag, n, -EINVAL, "has %d sizes for %u axes", count,
				     axes ? axes->count : x->rank);
	memcpy(dim, x->dim, sizeof(dim));
	for (int i = 0; i < count; i++) {
		int axis = axes ? nc_axis(g, n, axes->ints[i], x->rank) : i;

		if (axis < 0)
			return axis;
		dim[axis] = size[i];
	}
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

int nc_infer_tile(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t repeats[NPU_GRAPH_RANK_MAX], dim[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, repeats, NPU_GRAPH_RANK_MAX);

	if (count < 0)
		return count;
	if (count != (int)x->rank)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "has %d repeats for a tensor with %u dimensions", count,
				     x->rank);
	for (unsigned int i = 0; i < x->rank; i++)
		if (repeats[i] < 0 || __builtin_mul_overflow(x->dim[i], repeats[i], &dim[i]))
			return nc_node_error(&g->diag, n, -EINVAL,
					     "dimension %u cannot be repeated %" PRId64 " times",
					     i, repeats[i]);
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

/* Blocks of pixels become channels (@into), or channels blocks. */
static int infer_blocks(struct npu_graph *g, struct nc_node *n, bool into)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t b = nc_attr(n, "blocksize")->i, dim[4];
	char text[NC_SHAPE_TEXT];

	if (x->rank != 4 || b < 1 || b > INT16_MAX ||
	    (into ? x->dim[2] % b || x->dim[3] % b : x->dim[1] % (b * b)))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "%s has no whole blocks of size %" PRId64,
				     nc_shape_text(x, text), b);
	dim[0] = x->dim[0];
	dim[1] = into ? x->dim[1] * b * b : x->dim[1] / (b * b);
	dim[2] = into ? x->dim[2] / b : x->dim[2] * b;
	dim[3] = into ? x->dim[3] / b : x->dim[3] * b;
	return nc_tensor_shape(g, n, n->out[0], x->dtype, 4, dim);
}

int nc_infer_depth_to_space(struct npu_graph *g, struct nc_node *n)
{
	const char *mode = nc_attr(n, "mode")->s;

	if (strcmp(mode, "DCR") && strcmp(mode, "CRD"))
		return nc_node_error(&g->diag, n, -EINVAL, "mode \"%s\" is neither DCR nor CRD",
				     mode);
	return infer_blocks(g, n, false);
}

int nc_infer_space_to_depth(struct npu_graph *g, struct nc_node *n)
{
	return infer_blocks(g, n, true);
}

static int need_matrix(struct npu_graph *g, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	char text[NC_SHAPE_TEXT];

	if (x->rank >= 2)
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL, "%s is not a matrix", nc_shape_text(x, text));
}

int nc_infer_trilu(struct npu_graph *g, struct nc_node *n)
{
	int64_t k;
	int ret = nc_in_ints(g, n, 1, &k, 1);

	ret = ret < 0 ? ret : need_matrix(g, n);
	return ret ? ret : nc_infer_same(g, n);
}

int nc_infer_eye_like(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_attr *given = nc_attr_given(n, "dtype");
	const struct nc_tensor *x = nc_in(g, n, 0);
	int dtype = given ? nc_dtype_of_onnx(given->i) : (int)x->dtype, ret = need_matrix(g, n);

	if (ret)
		return ret;
	if (dtype < 0 || x->rank != 2)
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "element type %" PRId64 " is not supported, or the input has %u dimensions",
				     given ? given->i : 0, x->rank);
	return nc_tensor_shape(g, n, n->out[0], (enum npu_graph_dtype)dtype, 2, x->dim);
}

int nc_infer_reshape(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	bool allow_zero = nc_attr(n, "allowzero")->i;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int rank = nc_in_ints(g, n, 1, dim, NPU_GRAPH_RANK_MAX);
	char text[NC_SHAPE_TEXT];
	int64_t known = 1;
	int open = -1;

	if (rank < 0)
		return rank;
	for (int i = 0; i < rank; i++) {
		if (!dim[i] && !allow_zero) {
			if (i >= (int)x->rank)
				return nc_node_error(&g->diag, n, -EINVAL,
						     "dimension %d is 0 (copy), but the input %s has no such dimension",
						     i, nc_shape_text(x, text));
			dim[i] = x->dim[i];
		}
		if (dim[i] == -1 && open < 0)
			open = i;
		else if (dim[i] < 0)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "dimension %d is %" PRId64 "; one may be -1, the others may not be negative",
					     i, dim[i]);
		else if (__builtin_mul_overflow(known, dim[i], &known))
			return nc_node_error(&g->diag, n, -EINVAL, "the shape is too large");
	}
	if (open >= 0) {
		dim[open] = known ? (int64_t)x->elems / known : 0;
		known *= dim[open];
	}
	if (known != (int64_t)x->elems)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "%s has %" PRIu64 " elements, the new shape has %" PRId64,
				     nc_shape_text(x, text), x->elems, known);
	return nc_tensor_shape(g, n, n->out[0], x->dtype, (unsigned int)rank, dim);
}

/*
 * One axis of Slice. Backwards, a start before the axis is its first element
 * (numpy would take nothing).
 */
static void slice_axis(int64_t size, int64_t start, int64_t end, int64_t step,
		       int64_t *from, int64_t *count)
{
	int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;

	*from = 0;
	*count = 0;
	if (!size)
		return;
	/* INT64_MIN and INT64_MAX are usual here: no overflow. */
	if (start < 0)
		start = start < -size ? 0 : start + size;
	if (end < 0)
		end = end < -size ? low : end + size;
	start = start > high ? high : start;
	end = end < low ? low : end > high ? high : end;
	*from = start;
	if (step > 0 && end > start)
		*count = (end - start - 1) / step + 1;
	else if (step < 0 && start > end)
		*count = (start - end - 1) / -step + 1;
}

int nc_slice_get(struct npu_graph *g, const struct nc_node *n, struct nc_slice *s)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t start[NPU_GRAPH_RANK_MAX], end[NPU_GRAPH_RANK_MAX];
	int64_t axes[NPU_GRAPH_RANK_MAX], step[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, start, NPU_GRAPH_RANK_MAX);
	int ends = nc_in_ints(g, n, 2, end, NPU_GRAPH_RANK_MAX);
	int axis_count = nc_in_ints(g, n, 3, axes, NPU_GRAPH_RANK_MAX);
	int steps = nc_in_ints(g, n, 4, step, NPU_GRAPH_RANK_MAX);
	unsigned int seen = 0;

	if (count < 0 || ends < 0 || axis_count < 0 || steps < 0)
		return -EINVAL;
	if (count != ends || (nc_in(g, n, 3) && axis_count != count) ||
	    (nc_in(g, n, 4) && steps != count) || count > (int)x->rank)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "has %d starts, %d ends, %d axes, %d steps for a tensor with %u dimensions",
				     count, ends, axis_count, steps, x->rank);
	for (unsigned int i = 0; i < x->rank; i++) {
		s->start[i] = 0;
		s->step[i] = 1;
		s->dim[i] = x->dim[i];
	}
	for (int i = 0; i < count; i++) {
		int axis = nc_in(g, n, 3) ? nc_axis(g, n, axes[i], x->rank) : i;

		if (axis < 0)
			return axis;
		if (seen & 1u << axis)
			return nc_node_error(&g->diag, n, -EINVAL, "axis %d is there twice", axis);
		seen |= 1u << axis;
		s->step[axis] = nc_in(g, n, 4) ? step[i] : 1;
		if (!s->step[axis] || s->step[axis] == INT64_MIN)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "the step of axis %d is %" PRId64, axis,
					     s->step[axis]);
		slice_axis(x->dim[axis], start[i], end[i], s->step[axis], &s->start[axis],
			   &s->dim[axis]);
		if (s->dim[axis] < 2)
			s->step[axis] = 1;
	}
	return 0;
}

int nc_infer_slice(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_slice s;
	int ret = nc_slice_get(g, n, &s);

	return ret ? ret : nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, s.dim);
}

int nc_split_get(struct npu_graph *g, const struct nc_node *n, int *axis, int64_t *part)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	const struct nc_attr *asked = nc_attr_given(n, "num_outputs");
	int64_t sum = 0, size;
	char text[NC_SHAPE_TEXT];
	int count;

	*axis = nc_axis(g, n, nc_attr(n, "axis")->i, x->rank);
	if (*axis < 0)
		return *axis;
	count = nc_in_ints(g, n, 1, part, n->outs);
	if (count < 0)
		return count;
	if (!nc_in(g, n, 1)) {
		/* Equal parts, the last one smaller. */
		if (asked && asked->i != n->outs)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "num_outputs is %" PRId64 ", but there are %u outputs",
					     asked->i, n->outs);
		count = (int)n->outs;
		size = (x->dim[*axis] + count - 1) / count;
		for (int i = 0; i < count; i++) {
			int64_t left = x->dim[*axis] - sum;

			part[i] = left < size ? left : size;
			sum += part[i];
		}
		if (!asked && x->dim[*axis] % count)
			sum = -1;
	} else {
		for (int i = 0; i < count && sum >= 0; i++)
			if (part[i] < 0 || __builtin_add_overflow(sum, part[i], &sum))
				sum = -1;
	}
	if (count != (int)n->outs || sum != x->dim[*axis])
		return nc_node_error(&g->diag, n, -EINVAL,
				     "axis %d of %s cannot be split into the %u parts asked for",
				     *axis, nc_shape_text(x, text), n->outs);
	return 0;
}

int nc_infer_split(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t *part = nc_alloc_array(g->arena, n->outs, sizeof(*part));
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int axis, ret;

	if (!part)
		return nc_node_error(&g->diag, n, -ENOMEM, "out of memory");
	ret = nc_split_get(g, n, &axis, part);
	if (ret)
		return ret;
	memcpy(dim, x->dim, sizeof(dim));
	for (uint32_t i = 0; i < n->outs; i++) {
		dim[axis] = part[i];
		ret = nc_tensor_shape(g, n, n->out[i], x->dtype, x->rank, dim);
		if (ret)
			return ret;
	}
	return 0;
}

/* The axes input as a bit mask over @rank axes. */
static int axes_mask(struct npu_graph *g, const struct nc_node *n, unsigned int rank,
		     unsigned int *mask)
{
	int64_t axes[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(g, n, 1, axes, NPU_GRAPH_RANK_MAX);

	*mask = 0;
	for (int i = 0; i < count; i++) {
		int axis = nc_axis(g, n, axes[i], rank);

		if (axis < 0)
			return axis;
		if (*mask & 1u << axis)
			return nc_node_error(&g->diag, n, -EINVAL, "axis %d is there twice", axis);
		*mask |= 1u << axis;
	}
	return count;
}

int nc_infer_squeeze(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	char text[NC_SHAPE_TEXT];
	unsigned int mask, rank = 0;
	int count = axes_mask(g, n, x->rank, &mask);

	if (count < 0)
		return count;
	for (unsigned int i = 0; i < x->rank; i++) {
		if (!nc_in(g, n, 1) && x->dim[i] == 1)
			continue;
		if (mask & 1u << i) {
			if (x->dim[i] != 1)
				return nc_node_error(&g->diag, n, -EINVAL,
						     "axis %u of %s is not 1", i,
						     nc_shape_text(x, text));
			continue;
		}
		dim[rank++] = x->dim[i];
	}
	return nc_tensor_shape(g, n, n->out[0], x->dtype, rank, dim);
}

int nc_infer_unsqueeze(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *axes = nc_in(g, n, 1);
	uint64_t rank = x->rank + axes->elems;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int mask, from = 0;
	int count;

	if (rank > NPU_GRAPH_RANK_MAX)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "the result would have %" PRIu64 " dimensions; at most %d are possible",
				     rank, NPU_GRAPH_RANK_MAX);
	count = axes_mask(g, n, (unsigned int)rank, &mask);
	if (count < 0)
		return count;
	for (unsigned int i = 0; i < rank; i++)
		dim[i] = mask & 1u << i ? 1 : x->dim[from++];
	return nc_tensor_shape(g, n, n->out[0], x->dtype, (unsigned int)rank, dim);
}

int nc_perm_get(struct npu_graph *g, const struct nc_node *n,
		unsigned int perm[NPU_GRAPH_RANK_MAX])
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	const struct nc_attr *attr = nc_attr_given(n, "perm");
	unsigned int seen = 0;

	for (unsigned int i = 0; i < x->rank; i++)
		perm[i] = x->rank - 1 - i;
	if (!attr)
		return 0;
	if (attr->count != x->rank)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "perm has %u entries for a tensor with %u dimensions",
				     attr->count, x->rank);
	for (unsigned int i = 0; i < x->rank; i++) {
		int64_t axis = attr->ints[i];

		if (axis < 0 || axis >= (int64_t)x->rank || seen & 1u << axis)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "perm entry %u is %" PRId64 "; perm must name each axis once",
					     i, axis);
		seen |= 1u << axis;
		perm[i] = (unsigned int)axis;
	}
	return 0;
}

int nc_infer_transpose(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	unsigned int perm[NPU_GRAPH_RANK_MAX];
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int ret = nc_perm_get(g, n, perm);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < x->rank; i++)
		dim[i] = x->dim[perm[i]];
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}
