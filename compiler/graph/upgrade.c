/* SPDX-License-Identifier: MIT */
/*
 * Older versions of operators in the form of the newest: attributes that became
 * inputs, and softmax's old meaning.
 */
#include <errno.h>
#include <string.h>

#include "expand/expand.h"

/* Input @i becomes @tensor (or -errno), which may be the first of that number. */
static int set_input(struct npu_graph *g, struct nc_node *n, uint32_t i, int64_t tensor)
{
	uint32_t *in;

	if (tensor < 0)
		return (int)tensor;
	if (i >= n->ins) {
		in = nc_alloc_array(g->arena, i + 1, sizeof(*in));
		if (!in)
			return nc_node_error(&g->diag, n, -ENOMEM, "out of memory");
		for (uint32_t k = 0; k <= i; k++)
			in[k] = k < n->ins ? n->in[k] : NC_NONE;
		n->in = in;
		n->ins = i + 1;
	}
	n->in[i] = (uint32_t)tensor;
	return 0;
}

/* A list attribute becomes constant input @i. */
static int ints_to_input(struct npu_graph *g, struct nc_node *n, const char *name, uint32_t i)
{
	const struct nc_attr *a = nc_attr_given(n, name);
	int ret;

	if (!a)
		return 0;
	ret = set_input(g, n, i, nc_graph_ints(g, a->ints, a->count));
	nc_attr_drop(n, name);
	return ret;
}

static int float_to_input(struct npu_graph *g, struct nc_node *n, const char *name, uint32_t i)
{
	const struct nc_attr *a = nc_attr_given(n, name);
	int ret;

	if (!a)
		return 0;
	ret = set_input(g, n, i, nc_graph_float(g, a->f));
	nc_attr_drop(n, name);
	return ret;
}

/* Squeeze, Unsqueeze, ReduceSum before opset 13, other reductions before 18. */
int nc_upgrade_axes(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	(void)opset;
	return ints_to_input(g, n, "axes", 1);
}

/* The second input is there for its type only. */
int nc_upgrade_cast_like(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	enum npu_graph_dtype like;

	(void)opset;
	if (n->ins != 2 || !nc_in(g, n, 1))
		return nc_node_error(&g->diag, n, -EINVAL, "needs two inputs");
	like = nc_in(g, n, 1)->dtype;
	n->ins = 1;
	n->op = nc_op_get(NC_OP_Cast);
	return nc_attr_set_int(g, n, "to", nc_dtype_to_onnx(like));
}

/* Before opset 11. */
int nc_upgrade_clip(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	int ret = float_to_input(g, n, "min", 1);

	(void)opset;
	return ret ? ret : float_to_input(g, n, "max", 2);
}

/* Before opset 11. */
int nc_upgrade_pad(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	int ret = ints_to_input(g, n, "pads", 1);

	(void)opset;
	return ret ? ret : float_to_input(g, n, "value", 2);
}

/* Before opset 10. */
int nc_upgrade_slice(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	int ret = ints_to_input(g, n, "starts", 1);

	(void)opset;
	ret = ret ? ret : ints_to_input(g, n, "ends", 2);
	return ret ? ret : ints_to_input(g, n, "axes", 3);
}

/* Before opset 10. */
int nc_upgrade_topk(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_attr *k = nc_attr_given(n, "k");
	int ret;

	(void)opset;
	if (!k)
		return 0;
	ret = set_input(g, n, 1, nc_graph_ints(g, &k->i, 1));
	nc_attr_drop(n, "k");
	return ret;
}

/* Before opset 13. */
int nc_upgrade_split(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	(void)opset;
	return ints_to_input(g, n, "split", 1);
}

/* Before opset 9. */
int nc_upgrade_batch_norm(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	(void)opset;
	if (nc_attr(n, "spatial")->i)
		return 0;
	return nc_node_error(&g->diag, n, -ENOTSUP,
			     "statistics per element (spatial=0) are not supported; convert the model to opset 9");
}

/* Before opset 21 scale and bias are per group: repeat them for its channels. */
int nc_upgrade_group_norm(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_expand e = { .g = g, .n = n };
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t groups = nc_attr(n, "num_groups")->i;

	if (opset >= 21 || !x || x->rank < 2 || groups < 1 || x->dim[1] % groups)
		return 0;
	for (uint32_t i = 1; i < 3 && i < n->ins; i++) {
		const struct nc_tensor *t = nc_in(g, n, i);
		const int64_t column[] = { groups, 1 }, wide[] = { groups, x->dim[1] / groups };

		if (!t || t->rank != 1 || t->dim[0] != groups)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "input %u must have one value for each group", i);
		n->in[i] = nc_x_2(&e, NC_OP_Expand, nc_x_reshape(&e, n->in[i], 2, column),
				  nc_x_ints(&e, wide, 2));
		n->in[i] = nc_x_reshape(&e, n->in[i], 1, &x->dim[1]);
	}
	return nc_x_done(&e);
}

/* One node between @in and a new tensor, which is returned. */
static int64_t insert(struct npu_graph *g, enum nc_opcode code, const struct nc_node *like,
		      uint32_t in, int64_t axis)
{
	struct nc_node *n = nc_node_new(g, nc_op_get(code), like->name, 1, 1);
	int64_t out = nc_graph_tensor(g, NULL);
	int ret;

	if (!n || out < 0)
		return -ENOMEM;
	n->number = like->number;
	n->in[0] = in;
	n->out[0] = (uint32_t)out;
	ret = nc_attr_set_int(g, n, "axis", axis);
	ret = ret ? ret : nc_graph_node(g, n);
	return ret ? ret : out;
}

/*
 * Before opset 13: over all dimensions from the axis on (1 unless given), taken
 * as one. Flatten, softmax of the last axis, and back.
 */
int nc_upgrade_softmax(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_attr *given = nc_attr_given(n, "axis");
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t axis = given ? given->i : 1, t;

	if (opset >= 13 || !x)
		return 0;
	if (axis == (int64_t)x->rank - 1 || axis == -1)
		return nc_attr_set_int(g, n, "axis", -1);
	/* An axis out of range is refused by Flatten. */
	t = insert(g, NC_OP_Flatten, n, n->in[0], axis);
	if (t >= 0)
		t = insert(g, n->op->code, n, (uint32_t)t, -1);
	if (t < 0)
		return (int)t;
	n->op = nc_op_get(NC_OP_Reshape);
	n->attrs = 0;
	n->in[0] = (uint32_t)t;
	return set_input(g, n, 1, nc_graph_ints(g, x->dim, x->rank));
}
