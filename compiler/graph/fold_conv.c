/* SPDX-License-Identifier: MIT */
/*
 * Factors and summands per channel after a convolution become part of its
 * weights and bias: batch normalisation, and what exporters make of it.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ops.h"

/**
 * struct folder - the graph being rewritten
 * @uses: of each tensor, outputs of the graph counted
 * @user: of each tensor: a node that uses it
 * @gone: of each node: it is part of a convolution now
 */
struct folder {
	struct npu_graph *g;
	uint32_t *uses;
	uint32_t *user;
	bool *gone;
};

/**
 * struct affine - what follows a convolution: y = x * factor + summand per channel
 */
struct affine {
	int64_t channels;
	double *factor, *summand;
};

static int no_memory(struct folder *f)
{
	return nc_error(&f->g->diag, -ENOMEM, "graph \"%s\": out of memory", f->g->name);
}

static int count_uses(struct folder *f)
{
	struct npu_graph *g = f->g;

	f->uses = nc_alloc_array(g->arena, g->tensors, sizeof(*f->uses));
	f->user = nc_alloc_array(g->arena, g->tensors, sizeof(*f->user));
	f->gone = nc_alloc_array(g->arena, g->nodes, sizeof(*f->gone));
	if (!f->uses || !f->user || !f->gone)
		return no_memory(f);
	for (uint32_t i = 0; i < g->outputs; i++)
		f->uses[g->output[i].tensor]++;
	for (uint32_t i = 0; i < g->nodes; i++)
		for (uint32_t k = 0; k < g->node[i]->ins; k++) {
			uint32_t t = g->node[i]->in[k];

			if (t == NC_NONE)
				continue;
			f->uses[t]++;
			f->user[t] = i;
		}
	return 0;
}

static bool is_const_f32(const struct nc_tensor *t)
{
	return t && t->data && t->dtype == NPU_GRAPH_F32;
}

/* One value, or one for each channel of [n, c, ...] with @rank dimensions. */
static bool per_channel(const struct nc_tensor *t, unsigned int rank, int64_t channels)
{
	if (!is_const_f32(t) || t->rank > rank)
		return false;
	return t->elems == 1 || (t->elems == (uint64_t)channels && t->rank + 1 >= rank &&
				 t->dim[t->rank + 1 - rank] == channels);
}

static void batch_norm(const struct npu_graph *g, const struct nc_node *n, struct affine *a)
{
	float epsilon = nc_attr(n, "epsilon")->f;
	const float *v[5] = { NULL };

	for (uint32_t i = 1; i < 5; i++)
		v[i] = nc_in(g, n, i)->data;
	for (int64_t c = 0; c < a->channels; c++) {
		double factor = v[1][c] / sqrt((double)v[4][c] + epsilon);

		a->factor[c] *= factor;
		a->summand[c] = (a->summand[c] - v[3][c]) * factor + v[2][c];
	}
}

/* x op t for a constant t; @first: the constant is on the left. */
static void binary(enum nc_opcode code, bool first, const struct nc_tensor *t, struct affine *a)
{
	const float *v = t->data;

	for (int64_t c = 0; c < a->channels; c++) {
		double value = v[t->elems == 1 ? 0 : c];
		double factor = code == NC_OP_Mul ? value : code == NC_OP_Div ? 1 / value : 1;
		double summand = code == NC_OP_Add ? value : 0;

		if (code == NC_OP_Sub) {
			factor = first ? -1 : 1;
			summand = first ? value : -value;
		}
		a->factor[c] *= factor;
		a->summand[c] = a->summand[c] * factor + summand;
	}
}

/* Take node @n, which uses tensor @x, into @a; false when it is something else. */
static bool take(const struct npu_graph *g, const struct nc_node *n, uint32_t x, struct affine *a)
{
	const struct nc_tensor *t = g->tensor[x];
	bool first = n->ins == 2 && n->in[1] == x;

	switch (n->op->code) {
	case NC_OP_BatchNormalization:
		for (uint32_t i = 1; i < 5; i++)
			if (!is_const_f32(nc_in(g, n, i)))
				return false;
		if (n->outs > 1 || nc_attr(n, "training_mode")->i)
			return false;
		batch_norm(g, n, a);
		return true;
	case NC_OP_Div:
		if (first)
			return false;
		/* fall through */
	case NC_OP_Add:
	case NC_OP_Sub:
	case NC_OP_Mul:
		if (!per_channel(nc_in(g, n, !first), t->rank, a->channels))
			return false;
		binary(n->op->code, first, nc_in(g, n, !first), a);
		return true;
	default:
		return false;
	}
}

/* Everything that can be taken; the tensor that is then the convolution's output. */
static uint32_t follow(struct folder *f, uint32_t x, struct affine *a)
{
	while (f->uses[x] == 1) {
		const struct nc_tensor *t = f->g->tensor[x];
		struct nc_node *n = f->g->node[f->user[x]];
		const struct nc_tensor *y = nc_out(f->g, n, 0);

		/* A graph output is a use without a user. */
		if (f->user[x] <= t->node || !y || y->rank != t->rank ||
		    memcmp(y->dim, t->dim, sizeof(t->dim)) || !take(f->g, n, x, a))
			break;
		f->gone[f->user[x]] = true;
		x = n->out[0];
	}
	return x;
}

/* The convolution with other weights and bias, in the place of the chain. */
static struct nc_node *changed(struct folder *f, const struct nc_node *n, uint32_t y,
			       const struct affine *a)
{
	const struct nc_tensor *w = nc_in(f->g, n, 1), *b = nc_in(f->g, n, 2);
	uint64_t taps = w->elems / (uint64_t)a->channels;
	struct nc_node *r = nc_node_new(f->g, n->op, n->name, 3, 1);
	float *data = nc_alloc_array(f->g->arena, w->elems, sizeof(*data));
	float *bias = nc_alloc_array(f->g->arena, (size_t)a->channels, sizeof(*bias));
	int64_t tensor;

	if (!r || !data || !bias)
		return NULL;
	for (uint64_t i = 0; i < w->elems; i++)
		data[i] = (float)(((const float *)w->data)[i] * a->factor[i / taps]);
	for (int64_t c = 0; c < a->channels; c++)
		bias[c] = (float)((b ? ((const float *)b->data)[c] : 0) * a->factor[c] +
				  a->summand[c]);
	r->type = n->type;
	r->number = n->number;
	r->attr = n->attr;
	r->attrs = n->attrs;
	r->in[0] = n->in[0];
	tensor = nc_graph_const(f->g, w->name, NPU_GRAPH_F32, w->rank, w->dim, data);
	r->in[1] = (uint32_t)tensor;
	if (tensor >= 0)
		tensor = nc_graph_const(f->g, NULL, NPU_GRAPH_F32, 1, &a->channels, bias);
	r->in[2] = (uint32_t)tensor;
	r->out[0] = y;
	return tensor < 0 ? NULL : r;
}

static int fold_conv(struct folder *f, struct nc_node **n)
{
	const struct nc_tensor *w = nc_in(f->g, *n, 1), *b = nc_in(f->g, *n, 2);
	struct affine a;
	uint32_t y;

	if (!is_const_f32(w) || (b && !is_const_f32(b)))
		return 0;
	a.channels = w->dim[0];
	a.factor = nc_alloc_array(f->g->arena, (size_t)a.channels, sizeof(*a.factor));
	a.summand = nc_alloc_array(f->g->arena, (size_t)a.channels, sizeof(*a.summand));
	if (!a.factor || !a.summand)
		return no_memory(f);
	for (int64_t c = 0; c < a.channels; c++)
		a.factor[c] = 1;
	y = follow(f, (*n)->out[0], &a);
	if (y == (*n)->out[0])
		return 0;
	*n = changed(f, *n, y, &a);
	return *n ? 0 : no_memory(f);
}

int nc_fold_conv(struct npu_graph *g)
{
	struct folder f = { .g = g };
	struct nc_node **list = g->node, **next;
	uint32_t count = g->nodes;
	int ret = count_uses(&f);

	next = nc_alloc_array(g->arena, count, sizeof(*next));
	if (!next)
		return no_memory(&f);
	for (uint32_t i = 0; !ret && i < count; i++) {
		next[i] = list[i];
		if (list[i]->op->code == NC_OP_Conv)
			ret = fold_conv(&f, &next[i]);
	}
	if (ret)
		return ret;
	/* Another list: the one that was given comes back after compiling. */
	g->node = NULL;
	g->nodes = 0;
	g->node_room = 0;
	for (uint32_t i = 0; !ret && i < count; i++)
		if (!f.gone[i])
			ret = nc_graph_append(g, next[i]);
	return ret;
}
