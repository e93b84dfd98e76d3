/* SPDX-License-Identifier: MIT */
/* Shapes of normalisations. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops.h"
#include "shape.h"

/* Input @i must be a vector with a value for each of @count channels. */
static int channel_vector(struct npu_graph *g, const struct nc_node *n, uint32_t i, int64_t count)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *t = nc_in(g, n, i);
	char text[NC_SHAPE_TEXT];

	if (t->rank == 1 && t->dim[0] == count && t->dtype == x->dtype)
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL,
			     "input %u is %s; it must have one %s for each of %" PRId64 " channels",
			     i, nc_shape_text(t, text), nc_dtype_name(x->dtype), count);
}

static int needs_channels(struct npu_graph *g, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	char text[NC_SHAPE_TEXT];

	if (x->rank >= 2 && x->elems)
		return 0;
	return nc_node_error(&g->diag, n, x->elems ? -EINVAL : -ENOTSUP,
			     "input %s must be [batch, channels, ...] and not empty",
			     nc_shape_text(x, text));
}

int nc_infer_batch_norm(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t channels = x->rank > 1 ? x->dim[1] : 1;
	int ret = 0;

	/* Without channels, all elements are of one. */
	for (uint32_t i = 1; !ret && i < 5; i++)
		ret = channel_vector(g, n, i, channels);
	for (uint32_t i = 1; !ret && i < n->outs; i++)
		ret = nc_tensor_shape(g, n, n->out[i], x->dtype, 1, &channels);
	return ret ? ret : nc_infer_same(g, n);
}

/* Instance and group normalisation. */
int nc_infer_channel_norm(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t groups = n->op->code == NC_OP_GroupNormalization ? nc_attr(n, "num_groups")->i : 1;
	int ret = needs_channels(g, n);

	if (!ret && (groups < 1 || x->dim[1] % groups))
		ret = nc_node_error(&g->diag, n, -EINVAL,
				    "num_groups is %" PRId64 "; it must divide the %" PRId64 " channels",
				    groups, x->dim[1]);
	for (uint32_t i = 1; !ret && i < 3; i++)
		ret = channel_vector(g, n, i, x->dim[1]);
	return ret ? ret : nc_infer_same(g, n);
}

/* Layer and RMS normalisation: over all axes from the axis on. */
int nc_infer_layer_norm(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int axis = nc_axis(g, n, nc_attr(n, "axis")->i, x->rank), ret = 0, stash;
	char tx[NC_SHAPE_TEXT], ts[NC_SHAPE_TEXT];
	int64_t dim[NPU_GRAPH_RANK_MAX];

	if (axis < 0)
		return axis;
	for (uint32_t i = 1; i < n->ins; i++) {
		const struct nc_tensor *t = nc_in(g, n, i);
		unsigned int rank = x->rank;

		memcpy(dim, x->dim, sizeof(dim));
		if (t && (t->dtype != x->dtype || nc_broadcast(&rank, dim, t->rank, t->dim) ||
			  rank != x->rank || memcmp(dim, x->dim, rank * sizeof(*dim))))
			return nc_node_error(&g->diag, n, -EINVAL,
					     "input %u (%s) does not broadcast to the input %s", i,
					     nc_shape_text(t, ts), nc_shape_text(x, tx));
	}
	for (unsigned int i = 0; i < x->rank; i++)
		dim[i] = (int)i < axis ? x->dim[i] : 1;
	/* Statistics have the type that they are computed in. */
	stash = nc_dtype_of_onnx(nc_attr(n, "stash_type")->i);
	if (stash < 0 || nc_dtype_class((enum npu_graph_dtype)stash) != NC_CLASS_FLOAT)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "stash_type is %" PRId64 "; it must be a float type that is supported",
				     nc_attr(n, "stash_type")->i);
	for (uint32_t i = 1; !ret && i < n->outs; i++)
		ret = nc_tensor_shape(g, n, n->out[i], (enum npu_graph_dtype)stash, x->rank, dim);
	return ret ? ret : nc_infer_same(g, n);
}
