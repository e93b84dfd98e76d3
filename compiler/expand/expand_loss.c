/* SPDX-License-Identifier: MIT */
/*
 * Losses of classifiers, forward: the log-probability of each target, weighted,
 * and what is left of all of them.
 */
#include <errno.h>
#include <string.h>

#include "expand.h"

static bool reduces(const struct nc_node *n)
{
	return strcmp(nc_attr(n, "reduction")->s, "none");
}

int nc_infer_loss(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *t = nc_in(g, n, 1), *w = nc_in(g, n, 2);
	const char *how = nc_attr(n, "reduction")->s;
	char text[2][NC_SHAPE_TEXT];
	bool fits = x->rank >= 2 && t->rank == x->rank - 1 &&
		    (t->dtype == NPU_GRAPH_I64 || t->dtype == NPU_GRAPH_I32);
	int ret;

	if (strcmp(how, "none") && strcmp(how, "mean") && strcmp(how, "sum"))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "reduction \"%s\" is none of none, mean, sum", how);
	for (unsigned int i = 0; fits && i < t->rank; i++)
		fits = t->dim[i] == x->dim[i + (i > 0)];
	if (!fits)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "targets %s do not fit the input %s: they must be integers, without its axis 1",
				     nc_shape_text(t, text[0]), nc_shape_text(x, text[1]));
	if (w && (w->rank != 1 || w->dim[0] != x->dim[1] || w->dtype != x->dtype))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "weights %s do not fit the input %s: one for each class",
				     nc_shape_text(w, text[0]), nc_shape_text(x, text[1]));
	ret = nc_tensor_shape(g, n, n->out[0], x->dtype, reduces(n) ? 0 : t->rank, t->dim);
	if (!ret && n->outs > 1)
		ret = nc_tensor_shape(g, n, n->out[1], x->dtype, x->rank, x->dim);
	return ret;
}

/**
 * struct loss - one loss
 * @target: classes; those to be ignored are class 0
 * @counts: weight of each target, or NC_NONE: all are 1
 * @ignored: targets to be ignored, or NC_NONE
 */
struct loss {
	const struct nc_expand *e;
	uint32_t target, counts, ignored;
};

static uint32_t number(const struct loss *s, uint32_t like, int64_t value)
{
	return nc_x_cast(s->e, nc_x_ints(s->e, &value, 1), nc_x_get(s->e, like)->dtype);
}

static void find_ignored(struct loss *s)
{
	const struct nc_attr *index = nc_attr_given(s->e->n, "ignore_index");

	s->target = nc_x_in(s->e, 1);
	s->ignored = NC_NONE;
	if (!index)
		return;
	s->ignored = nc_x_2(s->e, NC_OP_Equal, s->target, number(s, s->target, index->i));
	s->target = nc_x_where(s->e, s->ignored, number(s, s->target, 0), s->target);
}

/* Of the input's type. */
static uint32_t zero(const struct nc_expand *e)
{
	return nc_x_cast(e, nc_x_float(e, 0), nc_x_get(e, nc_x_in(e, 0))->dtype);
}

static void find_counts(struct loss *s)
{
	const struct nc_expand *e = s->e;
	uint32_t one = nc_x_cast(e, nc_x_float(e, 1), nc_x_get(e, nc_x_in(e, 0))->dtype);

	s->counts = nc_x_in(e, 2);
	if (s->counts != NC_NONE)
		s->counts = nc_x_2(e, NC_OP_Gather, s->counts, s->target);
	if (s->ignored != NC_NONE)
		s->counts = nc_x_where(e, s->ignored, zero(e), s->counts == NC_NONE ? one : s->counts);
}

static uint32_t sum_all(const struct nc_expand *e, enum nc_opcode code, uint32_t t)
{
	t = nc_x_reduce(e, code, t, (1u << nc_x_get(e, t)->rank) - 1);
	return nc_x_reshape(e, t, 0, NULL);
}

/* Minus the input at the targets. */
static uint32_t picked(const struct loss *s, uint32_t x)
{
	const struct nc_expand *e = s->e;
	const struct nc_tensor *t = nc_x_get(e, s->target);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	uint32_t in[2] = { x };

	for (unsigned int i = 0; i <= t->rank; i++)
		dim[i] = i == 1 ? 1 : t->dim[i - (i > 1)];
	in[1] = nc_x_reshape(e, s->target, t->rank + 1, dim);
	x = nc_x_node(e, NC_OP_GatherElements, NC_X_ATTRS(NC_X_INT("axis", 1)), 2, in);
	return nc_x_1(e, NC_OP_Neg, nc_x_reshape(e, x, t->rank, t->dim));
}

int nc_expand_loss(const struct nc_expand *e)
{
	bool softmax = e->n->op->code == NC_OP_SoftmaxCrossEntropyLoss;
	bool mean = !strcmp(nc_attr(e->n, "reduction")->s, "mean");
	struct loss s = { .e = e };
	uint32_t x = nc_x_in(e, 0), t;

	if (softmax) {
		x = nc_x_node(e, NC_OP_LogSoftmax, NC_X_ATTRS(NC_X_INT("axis", 1)), 1, &x);
		nc_x_result(e, 1, x);
	}
	find_ignored(&s);
	find_counts(&s);
	t = picked(&s, x);
	if (s.counts != NC_NONE)
		t = nc_x_2(e, NC_OP_Mul, t, s.counts);
	if (s.ignored != NC_NONE)
		t = nc_x_where(e, s.ignored, zero(e), t);
	if (mean && s.counts != NC_NONE)
		t = nc_x_2(e, NC_OP_Div, sum_all(e, NC_OP_ReduceSum, t),
			   sum_all(e, NC_OP_ReduceSum, s.counts));
	else if (reduces(e->n))
		t = sum_all(e, mean ? NC_OP_ReduceMean : NC_OP_ReduceSum, t);
	nc_x_result(e, 0, t);
	return nc_x_done(e);
}
