/* SPDX-License-Identifier: MIT */
/*
 * Older versions of operators in the form of the newest: attributes that became
 * inputs, broadcasting that is asked for, and other old meanings.
 */
#include <errno.h>
#include <inttypes.h>
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

/*
 * Before opset 7 the second input's dimensions are those of the first from
 * an axis on, or its last ones.
 */
int nc_upgrade_broadcast(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_expand e = { .g = g, .n = n };
	const struct nc_attr *given = nc_attr_given(n, "axis");
	const struct nc_tensor *a = nc_in(g, n, 0), *b = nc_in(g, n, 1);
	bool broadcast = nc_attr(n, "broadcast")->i;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	char text[2][NC_SHAPE_TEXT];

	if (opset >= 7 || !a || !b)
		return 0;
	if (!broadcast && (a->rank != b->rank || memcmp(a->dim, b->dim, sizeof(a->dim))))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "inputs %s and %s differ in shape; before opset 7 this needs broadcast=1",
				     nc_shape_text(a, text[0]), nc_shape_text(b, text[1]));
	if (broadcast && given && b->elems != 1) {
		int axis = nc_axis(g, n, given->i, a->rank);

		if (axis < 0)
			return axis;
		if ((unsigned int)axis + b->rank > a->rank)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "input %s has no place at axis %d of %s",
					     nc_shape_text(b, text[0]), axis,
					     nc_shape_text(a, text[1]));
		for (unsigned int i = 0; i < a->rank; i++)
			dim[i] = i < b->rank ? b->dim[i] : 1;
		n->in[1] = nc_x_reshape(&e, n->in[1], a->rank - (unsigned int)axis, dim);
	}
	nc_attr_drop(n, "axis");
	nc_attr_drop(n, "broadcast");
	return nc_x_done(&e);
}

/* Before opset 7 a vector of slopes is one for each channel. */
int nc_upgrade_prelu(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_expand e = { .g = g, .n = n };
	const struct nc_tensor *x = nc_in(g, n, 0), *slope = nc_in(g, n, 1);
	int64_t dim[NPU_GRAPH_RANK_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	if (opset >= 7 || !x || !slope || slope->rank != 1 || x->rank < 3)
		return 0;
	dim[0] = slope->dim[0];
	n->in[1] = nc_x_reshape(&e, n->in[1], x->rank - 1, dim);
	return nc_x_done(&e);
}

/* Before opset 6 the type is named. */
int nc_upgrade_cast(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	static const char *const name[] = {
		"", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING",
		"BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64",
	};
	const struct nc_attr *to = nc_attr_given(n, "to");
	int64_t type = 0;

	if (opset >= 6 || !to || to->type != NC_ATTR_STRING)
		return 0;
	for (size_t i = 0; i < sizeof(name) / sizeof(*name); i++)
		if (!strcmp(name[i], to->s))
			type = (int64_t)i;
	return nc_attr_set_int(g, n, "to", type);
}

/* Before opset 4 it is axis 1 when it is not said. */
int nc_upgrade_concat(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	return opset < 4 && !nc_attr_given(n, "axis") ? nc_attr_set_int(g, n, "axis", 1) : 0;
}

/* Before opset 6 its constants have fewer digits. */
int nc_upgrade_selu(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	int ret = 0;

	if (opset < 6 && !nc_attr_given(n, "alpha"))
		ret = nc_attr_set_float(g, n, "alpha", 1.6732f);
	if (!ret && opset < 6 && !nc_attr_given(n, "gamma"))
		ret = nc_attr_set_float(g, n, "gamma", 1.0507f);
	return ret;
}

/* Before opset 2 the norm may be a fraction. */
int nc_upgrade_lp_pool(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_attr *p = nc_attr_given(n, "p");

	if (opset >= 2 || !p || p->type != NC_ATTR_FLOAT)
		return 0;
	if (p->f < 1 || p->f > INT16_MAX || p->f != (float)(int64_t)p->f)
		return nc_node_error(&g->diag, n, -ENOTSUP, "p is %g; whole numbers are supported",
				     p->f);
	return nc_attr_set_int(g, n, "p", (int64_t)p->f);
}

/* Before opset 5. */
int nc_upgrade_reshape(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	(void)opset;
	return ints_to_input(g, n, "shape", 1);
}

/* A scalar input that is known. */
static int known_scalar(struct npu_graph *g, const struct nc_node *n, uint32_t i, float *value)
{
	struct nc_tensor *t = nc_in(g, n, i);
	uint32_t word;

	if (!t || t->elems != 1 || !nc_known(g, t) || nc_word_get(t, 0, &word))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "input %u must be a scalar that is known while compiling", i);
	if (nc_dtype_class(t->dtype) == NC_CLASS_FLOAT)
		memcpy(value, &word, sizeof(*value));
	else
		*value = (float)(int32_t)word;
	return 0;
}

/* Before opset 6: how often, and along which axis. */
int nc_upgrade_tile(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t repeats[NPU_GRAPH_RANK_MAX];
	float tiles, axis;
	int ret, at;

	if (opset >= 6 || !x)
		return 0;
	ret = known_scalar(g, n, 1, &tiles);
	ret = ret ? ret : known_scalar(g, n, 2, &axis);
	if (ret)
		return ret;
	at = nc_axis(g, n, axis >= -8 && axis < 8 ? (int64_t)axis : INT8_MAX, x->rank);
	if (at < 0)
		return at;
	if (!(tiles >= 0 && tiles < 0x1p31f))
		return nc_node_error(&g->diag, n, -EINVAL, "cannot repeat %g times", tiles);
	for (unsigned int i = 0; i < x->rank; i++)
		repeats[i] = i == (unsigned int)at ? (int64_t)tiles : 1;
	n->ins = 2;
	return set_input(g, n, 1, nc_graph_ints(g, repeats, x->rank));
}

/* Before opset 10 the mask has the input's type: ones that nothing is computed for. */
static int mask_of_ones(struct npu_graph *g, struct nc_node *n)
{
	struct nc_node *mask = nc_node_new(g, nc_op_get(NC_OP_Expand), n->name, 2, 1);
	const struct nc_expand e = { .g = g, .n = n };
	const struct nc_tensor *x = nc_in(g, n, 0);

	if (!mask || !x)
		return nc_x_done(&e);
	mask->type = n->type;
	mask->number = n->number;
	mask->in[0] = nc_x_cast(&e, nc_x_float(&e, 1), x->dtype);
	mask->in[1] = nc_x_ints(&e, x->dim, x->rank);
	mask->out[0] = n->out[1];
	n->outs = 1;
	return nc_x_done(&e) ? nc_x_done(&e) : nc_graph_node(g, mask);
}

/* Before opset 7 it says itself whether it trains; before 12 the ratio does not matter here. */
int nc_upgrade_dropout(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	if (opset < 7 && !nc_attr(n, "is_test")->i)
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "is_test is 0: it trains; export the model for inference");
	nc_attr_drop(n, "is_test");
	nc_attr_drop(n, "ratio");
	return opset < 10 && n->outs > 1 && n->out[1] != NC_NONE ? mask_of_ones(g, n) : 0;
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
	int ret = ints_to_input(g, n, opset < 2 ? "paddings" : "pads", 1);

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

/* Statistics per element: elements as channels. */
static int per_element(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_expand e = { .g = g, .n = n };
	const struct nc_tensor *x = nc_in(g, n, 0);
	uint32_t in[5];
	int64_t dim[2];

	if (n->outs > 1 || !x || x->rank < 2 || !x->elems || n->ins != 5)
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "spatial=0 is supported for inference, with [batch, channels, ...]");
	dim[0] = x->dim[0];
	dim[1] = (int64_t)x->elems / x->dim[0];
	for (uint32_t i = 0; i < 5; i++)
		in[i] = i ? nc_x_reshape(&e, n->in[i], 1, &dim[1]) :
			    nc_x_reshape(&e, n->in[i], 2, dim);
	in[0] = nc_x_node(&e, NC_OP_BatchNormalization,
			  NC_X_ATTRS(NC_X_FLOAT("epsilon", nc_attr(n, "epsilon")->f)), 5, in);
	n->op = nc_op_get(NC_OP_Reshape);
	n->attrs = 0;
	n->in[0] = in[0];
	n->in[1] = nc_x_ints(&e, x->dim, x->rank);
	n->ins = 2;
	return nc_x_done(&e);
}

/* Before opset 14 the number of outputs says whether it trains; before 9 see above. */
int nc_upgrade_batch_norm(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	bool spatial = nc_attr(n, "spatial")->i;

	nc_attr_drop(n, "is_test");
	nc_attr_drop(n, "spatial");
	if (opset < 9 && !spatial)
		return per_element(g, n);
	return opset < 14 && n->outs > 1 ? nc_attr_set_int(g, n, "training_mode", 1) : 0;
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
	n->type = like->type;
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
	t = set_input(g, n, 1, nc_graph_ints(g, x->dim, x->rank));
	return t ? (int)t : nc_attr_set_int(g, n, "allowzero", 1);
}
