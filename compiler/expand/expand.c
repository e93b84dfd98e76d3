/* SPDX-License-Identifier: MIT */
/* The pass that expands operators, and what expansions are written with. */
#include "expand.h"

#include <errno.h>
#include <string.h>

/* An expansion may use operators that are expanded in turn, this deep. */
#define EXPAND_DEPTH	8

uint32_t nc_x_in(const struct nc_expand *e, uint32_t i)
{
	return i < e->n->ins ? e->n->in[i] : NC_NONE;
}

const struct nc_tensor *nc_x_get(const struct nc_expand *e, uint32_t tensor)
{
	static const struct nc_tensor nothing = {
		.name = "", .dim = { 1, 1, 1, 1, 1, 1, 1, 1 }, .elems = 1,
	};

	return tensor == NC_NONE ? &nothing : e->g->tensor[tensor];
}

bool nc_x_known(const struct nc_expand *e, uint32_t tensor)
{
	const struct nc_tensor *t = nc_x_get(e, tensor);

	/* Movement that is too large to be done here is still a view of a constant. */
	while (!t->data && t->node != NC_NONE) {
		const struct nc_node *n = e->g->node[t->node];

		if (n->op->code == NC_OP_ConstantOfShape)
			return true;
		if (n->op->lower != nc_lower_view)
			return false;
		t = nc_in(e->g, n, 0);
	}
	return t->data;
}

bool nc_x_wanted(const struct nc_expand *e, uint32_t i)
{
	return i < e->n->outs && e->n->out[i] != NC_NONE;
}

void *nc_x_alloc(const struct nc_expand *e, int64_t count, size_t bytes)
{
	void *p = e->g->err ? NULL : nc_alloc_array(e->g->arena, (size_t)count, bytes);

	if (!p && !e->g->err)
		e->g->err = nc_node_error(&e->g->diag, e->n, -ENOMEM, "out of memory");
	return p;
}

uint32_t nc_x_node(const struct nc_expand *e, enum nc_opcode code, const struct nc_attr *attr,
		   uint32_t ins, const uint32_t *in)
{
	struct npu_graph *g = e->g;
	const struct nc_op *op = nc_op_get(code);
	struct nc_node *n;
	int64_t out;

	if (g->err)
		return NC_NONE;
	while (ins && in[ins - 1] == NC_NONE)
		ins--;
	n = nc_node_new(g, op, e->n->name, ins, op->out_min);
	out = n ? nc_graph_tensor(g, NULL) : -1;
	for (uint32_t i = 1; out >= 0 && i < n->outs; i++) {
		if (nc_graph_tensor(g, NULL) < 0)
			return NC_NONE;
		n->out[i] = (uint32_t)out + i;
	}
	if (out < 0)
		return NC_NONE;
	n->type = e->n->type;
	n->number = e->n->number;
	if (ins)
		memcpy(n->in, in, ins * sizeof(*in));
	n->out[0] = (uint32_t)out;
	for (; attr && attr->name; attr++)
		if (attr->type == NC_ATTR_INTS ?
		    nc_attr_set_ints(g, n, attr->name, attr->ints, attr->count) :
		    nc_attr_set(g, n, attr))
			return NC_NONE;
	return nc_graph_node(g, n) ? NC_NONE : (uint32_t)out;
}

uint32_t nc_x_1(const struct nc_expand *e, enum nc_opcode code, uint32_t a)
{
	return nc_x_node(e, code, NULL, 1, &a);
}

uint32_t nc_x_2(const struct nc_expand *e, enum nc_opcode code, uint32_t a, uint32_t b)
{
	return nc_x_node(e, code, NULL, 2, (const uint32_t[]){ a, b });
}

static uint32_t made(int64_t tensor)
{
	return tensor < 0 ? NC_NONE : (uint32_t)tensor;
}

uint32_t nc_x_float(const struct nc_expand *e, float value)
{
	return e->g->err ? NC_NONE : made(nc_graph_float(e->g, value));
}

uint32_t nc_x_ints(const struct nc_expand *e, const int64_t *value, uint32_t count)
{
	return e->g->err ? NC_NONE : made(nc_graph_ints(e->g, value, count));
}

uint32_t nc_x_cast(const struct nc_expand *e, uint32_t t, enum npu_graph_dtype dtype)
{
	if (t == NC_NONE || nc_x_get(e, t)->dtype == dtype)
		return t;
	return nc_x_node(e, NC_OP_Cast, NC_X_ATTRS(NC_X_INT("to", nc_dtype_to_onnx(dtype))), 1,
			 &t);
}

uint32_t nc_x_scalar(const struct nc_expand *e, enum nc_opcode code, uint32_t t, float value)
{
	enum npu_graph_dtype dtype = nc_x_get(e, t)->dtype;

	/* In half precision an epsilon might be 0; the device computes in fp32 in any case. */
	if (dtype == NPU_GRAPH_F16 || dtype == NPU_GRAPH_BF16) {
		t = nc_x_2(e, code, nc_x_cast(e, t, NPU_GRAPH_F32), nc_x_float(e, value));
		return nc_x_cast(e, t, dtype);
	}
	return nc_x_2(e, code, t, nc_x_cast(e, nc_x_float(e, value), nc_x_get(e, t)->dtype));
}

uint32_t nc_x_where(const struct nc_expand *e, uint32_t cond, uint32_t yes, uint32_t no)
{
	return nc_x_node(e, NC_OP_Where, NULL, 3, (const uint32_t[]){ cond, yes, no });
}

uint32_t nc_x_reshape(const struct nc_expand *e, uint32_t t, unsigned int rank,
		      const int64_t *dim)
{
	return nc_x_node(e, NC_OP_Reshape, NC_X_ATTRS(NC_X_INT("allowzero", 1)), 2,
			 (const uint32_t[]){ t, nc_x_ints(e, dim, rank) });
}

uint32_t nc_x_transpose(const struct nc_expand *e, uint32_t t, const int64_t *perm)
{
	return nc_x_node(e, NC_OP_Transpose,
			 NC_X_ATTRS(NC_X_INTS("perm", perm, nc_x_get(e, t)->rank)), 1, &t);
}

uint32_t nc_x_slice(const struct nc_expand *e, uint32_t t, unsigned int axis, int64_t start,
		    int64_t end, int64_t step)
{
	int64_t at = axis;

	return nc_x_node(e, NC_OP_Slice, NULL, 5,
			 (const uint32_t[]){ t, nc_x_ints(e, &start, 1), nc_x_ints(e, &end, 1),
					     nc_x_ints(e, &at, 1), nc_x_ints(e, &step, 1) });
}

uint32_t nc_x_pad(const struct nc_expand *e, uint32_t t, const int64_t *pad)
{
	return nc_x_2(e, NC_OP_Pad, t, nc_x_ints(e, pad, 2 * nc_x_get(e, t)->rank));
}

uint32_t nc_x_concat(const struct nc_expand *e, int axis, uint32_t count, const uint32_t *t)
{
	if (count == 1)
		return t[0];
	return nc_x_node(e, NC_OP_Concat, NC_X_ATTRS(NC_X_INT("axis", axis)), count, t);
}

uint32_t nc_x_reduce(const struct nc_expand *e, enum nc_opcode code, uint32_t t,
		     unsigned int axes)
{
	int64_t axis[NPU_GRAPH_RANK_MAX];
	uint32_t count = 0;

	for (unsigned int i = 0; i < NPU_GRAPH_RANK_MAX; i++)
		if (axes >> i & 1)
			axis[count++] = i;
	return nc_x_node(e, code, NC_X_ATTRS(NC_X_INT("noop_with_empty_axes", 1)), 2,
			 (const uint32_t[]){ t, nc_x_ints(e, axis, count) });
}

/* The output is another name for it, and must be what the operator said. */
void nc_x_result(const struct nc_expand *e, uint32_t i, uint32_t t)
{
	struct npu_graph *g = e->g;
	const struct nc_tensor *made_t = nc_x_get(e, t), *out;
	char text[2][NC_SHAPE_TEXT];
	struct nc_node *n;

	if (g->err || !nc_x_wanted(e, i))
		return;
	out = g->tensor[e->n->out[i]];
	if (made_t->dtype != out->dtype || made_t->rank != out->rank ||
	    memcmp(made_t->dim, out->dim, out->rank * sizeof(*out->dim))) {
		g->err = nc_node_error(&g->diag, e->n, -EINVAL, "output %u is %s, not %s", i,
				       nc_shape_text(made_t, text[0]),
				       nc_shape_text(out, text[1]));
		return;
	}
	n = nc_node_new(g, nc_op_get(NC_OP_Identity), e->n->name, 1, 1);
	if (!n)
		return;
	n->type = e->n->type;
	n->number = e->n->number;
	n->in[0] = t;
	n->out[0] = e->n->out[i];
	nc_graph_node(g, n);
}

int nc_x_done(const struct nc_expand *e)
{
	return e->g->err;
}

/* Outputs without elements need no computing, and no expansion that divides by their size. */
static bool has_elems(const struct npu_graph *g, const struct nc_node *n)
{
	for (uint32_t i = 0; i < n->outs; i++)
		if (nc_out(g, n, i) && nc_out(g, n, i)->elems)
			return true;
	return false;
}

static int expand_once(struct npu_graph *g,
		       bool (*keep)(const struct npu_graph *g, const struct nc_node *n), bool *changed)
{
	uint32_t count;
	struct nc_node **list = nc_graph_take(g, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct nc_expand e = { .g = g, .n = list[i] };
		int ret = NC_EXPAND_KEEP;

		if (list[i]->op->expand && has_elems(g, list[i]) && !(keep && keep(g, list[i])))
			ret = list[i]->op->expand(&e);
		if (ret == NC_EXPAND_KEEP)
			ret = nc_graph_append(g, list[i]);
		else
			*changed = true;
		if (ret)
			return ret;
	}
	return 0;
}

int nc_expand(struct npu_graph *g,
	      bool (*keep)(const struct npu_graph *g, const struct nc_node *n))
{
	bool changed = true;
	int ret = 0;

	for (unsigned int i = 0; !ret && changed && i < EXPAND_DEPTH; i++) {
		changed = false;
		ret = expand_once(g, keep, &changed);
	}
	return ret;
}
