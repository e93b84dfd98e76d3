/* SPDX-License-Identifier: MIT */
/* The pass: from y back to the x, one operator after the other. */
#include "grad.h"

#include <errno.h>
#include <string.h>

static const nc_grad_rule rules[NC_OPS] = {
#define NC_GRAD(name, rule) [NC_OP_##name] = nc_grad_##rule,
#include "rules.h.inc"
};

bool nc_grad_has_rule(const struct npu_graph *g, const struct nc_node *n)
{
	switch (n->op->code) {
	case NC_OP_Pad:
		/* Other padding is a concatenation of slices. */
		return !strcmp(nc_attr(n, "mode")->s, "constant");
	case NC_OP_MaxPool:
		/* Indices are made of positions. */
		return nc_in(g, n, 0)->rank <= 4 && !nc_out(g, n, 1);
	case NC_OP_Conv:
	case NC_OP_AveragePool:
	case NC_OP_SumPool:
		/* Three axes are sums of two. */
		return nc_in(g, n, 0)->rank <= 4;
	default:
		return rules[n->op->code];
	}
}

bool nc_has_gradients(const struct npu_graph *g)
{
	for (uint32_t i = 0; i < g->nodes; i++)
		if (g->node[i]->op->code == NC_OP_Gradient)
			return true;
	return false;
}

int nc_infer_gradient(struct npu_graph *g, struct nc_node *n)
{
	char text[NC_SHAPE_TEXT];

	if (n->outs + 1 != n->ins)
		return nc_node_error(&g->diag, n, -EINVAL, "has %u inputs for %u outputs; it takes y and as many x as it has outputs",
				     n->ins, n->outs);
	for (uint32_t i = 0; i < n->ins; i++)
		if (nc_in(g, n, i)->dtype != NPU_GRAPH_F32)
			return nc_node_error(&g->diag, n, -ENOTSUP,
					     "input %u is %s; gradients are of float tensors (f32)",
					     i, nc_shape_text(nc_in(g, n, i), text));
	for (uint32_t i = 0; i < n->outs; i++) {
		const struct nc_tensor *x = nc_in(g, n, i + 1);
		int ret = nc_tensor_shape(g, n, n->out[i], x->dtype, x->rank, x->dim);

		if (ret)
			return ret;
	}
	return 0;
}

/* What depends on the x: only floats can carry a gradient. */
static void mark_wanted(const struct npu_graph *g, const struct nc_node *n, bool *wanted)
{
	for (uint32_t i = 1; i < n->ins; i++)
		wanted[n->in[i]] = true;
	for (uint32_t i = 0; i < g->nodes; i++) {
		const struct nc_node *f = g->node[i];
		bool any = false;

		for (uint32_t k = 0; k < f->ins; k++)
			any |= f->in[k] != NC_NONE && wanted[f->in[k]];
		for (uint32_t k = 0; any && k < f->outs; k++)
			if (nc_out(g, f, k))
				wanted[f->out[k]] |= nc_dtype_class(nc_out(g, f, k)->dtype) ==
						     NC_CLASS_FLOAT;
	}
}

/* Has a gradient to hand on, to someone who wants it. */
static bool takes_part(const struct nc_grad *d, const struct nc_node *f)
{
	bool some = false, wanted = false;

	for (uint32_t i = 0; i < f->outs; i++)
		some |= f->out[i] != NC_NONE && d->sum[f->out[i]] != NC_NONE;
	for (uint32_t i = 0; i < f->ins; i++)
		wanted |= f->in[i] != NC_NONE && d->wanted[f->in[i]];
	return some && wanted;
}

/* Nodes of a gradient are named after the node that they belong to. */
static int differentiate_node(struct nc_grad *d, uint32_t index)
{
	struct npu_graph *g = d->e.g;
	struct nc_node backward = *g->node[index];

	if (!takes_part(d, &backward))
		return 0;
	if (!nc_grad_has_rule(g, &backward))
		return nc_node_error(&g->diag, &backward, -ENOTSUP,
				     "has no gradient: the operator cannot be trained through");
	if (*backward.name) {
		backward.name = nc_printf(g->arena, "%s.grad", backward.name);
		if (!backward.name)
			return nc_error(&g->diag, -ENOMEM, "out of memory");
	}
	d->e.n = &backward;
	d->node = index;
	rules[backward.op->code](d);
	return g->err;
}

static int differentiate(struct npu_graph *g, const struct nc_node *n)
{
	struct nc_grad d = { .e = { .g = g, .n = n }, .tensors = g->tensors };
	const struct nc_tensor *y = nc_in(g, n, 0);
	bool *wanted = nc_x_alloc(&d.e, g->tensors, sizeof(*wanted));
	uint32_t nodes = g->nodes;
	int ret = 0;

	d.sum = nc_x_alloc(&d.e, g->tensors, sizeof(*d.sum));
	if (!wanted || !d.sum)
		return -ENOMEM;
	d.wanted = wanted;
	for (uint32_t i = 0; i < g->tensors; i++)
		d.sum[i] = NC_NONE;
	mark_wanted(g, n, wanted);
	d.sum[n->in[0]] = nc_x_node(&d.e, NC_OP_Expand, NULL, 2,
				    (const uint32_t[]){ nc_x_float(&d.e, 1),
							nc_x_ints(&d.e, y->dim, y->rank) });
	for (uint32_t i = nodes; !ret && i-- > 0;)
		ret = differentiate_node(&d, i);
	d.e.n = n;
	for (uint32_t i = 0; !ret && i < n->outs; i++) {
		uint32_t t = d.sum[n->in[i + 1]];

		nc_x_result(&d.e, i, t == NC_NONE ? nc_grad_zeros(&d, n->in[i + 1]) : t);
	}
	return ret ? ret : g->err;
}

int nc_gradients(struct npu_graph *g)
{
	struct nc_node **list;
	uint32_t count;
	int ret = 0;

	if (!nc_has_gradients(g))
		return 0;
	list = nc_graph_take(g, &count);
	for (uint32_t i = 0; !ret && i < count; i++)
		if (list[i]->op->code == NC_OP_Gradient)
			ret = differentiate(g, list[i]);
		else
			ret = nc_graph_append(g, list[i]);
	return ret;
}
