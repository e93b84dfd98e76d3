/* SPDX-License-Identifier: MIT */
/*
 * Values that a shape depends on. A model may take them as inputs: then the
 * caller has given them along with the model, and they become constants, but
 * only when something asks for them. So do parameters: none that decides about
 * a shape can be trained.
 */
#include "graph.h"

#include <errno.h>
#include <string.h>

/* Bounds on the search for what a value is made from. */
#define DEPTH_MAX	32
#define VISITS_MAX	4096

int nc_graph_give(struct npu_graph *g, const struct npu_graph_given *given, unsigned int count)
{
	struct npu_graph_given *copy;

	if (!count)
		return 0;
	copy = nc_alloc_array(g->arena, count, sizeof(*copy));
	if (!copy)
		return nc_error(&g->diag, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < count; i++) {
		int64_t elems;
		void *data;

		if (given[i].rank > NPU_GRAPH_RANK_MAX)
			return nc_error(&g->diag, -EINVAL,
					"input \"%s\" is given with %u dimensions; at most %d are possible",
					given[i].name, given[i].rank, NPU_GRAPH_RANK_MAX);
		copy[i] = given[i];
		copy[i].data = NULL;
		elems = nc_elems(given[i].dtype, given[i].rank, given[i].dim);
		copy[i].name = nc_strdup(g->arena, given[i].name);
		if (!copy[i].name)
			return nc_error(&g->diag, -ENOMEM, "out of memory");
		if (!given[i].data || elems < 0 || elems > NC_EAGER_ELEMS)
			continue;
		data = nc_alloc_array(g->arena, elems ? (size_t)elems : 1,
				      nc_dtype_bytes(given[i].dtype));
		if (!data)
			return nc_error(&g->diag, -ENOMEM, "out of memory");
		if (elems)
			memcpy(data, given[i].data, (size_t)elems * nc_dtype_bytes(given[i].dtype));
		copy[i].data = data;
	}
	g->given = copy;
	g->givens = count;
	return 0;
}

const struct npu_graph_given *nc_given(const struct npu_graph *g, const char *name)
{
	for (unsigned int i = 0; i < g->givens; i++)
		if (!strcmp(g->given[i].name, name))
			return &g->given[i];
	return NULL;
}

/* The value given for input @t, or NULL. */
static const void *given_value(const struct npu_graph *g, const struct nc_tensor *t)
{
	const struct npu_graph_given *given = t->input ? nc_given(g, t->name) : NULL;

	if (!given || given->dtype != t->dtype || given->rank != t->rank ||
	    memcmp(given->dim, t->dim, t->rank * sizeof(*t->dim)))
		return NULL;
	return given->data;
}

/* Whether know() would succeed. */
static bool can_know(const struct npu_graph *g, const struct nc_tensor *t, unsigned int depth,
		     unsigned int *visits)
{
	const struct nc_node *n;

	if (t->data || t->init || given_value(g, t))
		return true;
	if (t->node == NC_NONE || depth == DEPTH_MAX || ++*visits > VISITS_MAX)
		return false;
	n = g->node[t->node];
	if (!n->op->eval)
		return false;
	for (uint32_t i = 0; i < n->ins; i++)
		if (nc_in(g, n, i) && !can_know(g, nc_in(g, n, i), depth + 1, visits))
			return false;
	return true;
}

static void forget(const struct npu_graph *g, const struct nc_tensor *t, uint32_t *list,
		   uint32_t *count)
{
	for (uint32_t i = 0; i < *count; i++) {
		if (g->tensor[list[i]] != t)
			continue;
		--*count;
		memmove(&list[i], &list[i + 1], (*count - i) * sizeof(*list));
		return;
	}
}

static int know(struct npu_graph *g, struct nc_tensor *t)
{
	int ret = 0;

	if (t->data)
		return 0;
	if (t->input) {
		t->data = given_value(g, t);
		t->input = false;
		g->const_elems += t->elems;
		forget(g, t, g->input, &g->inputs);
		return 0;
	}
	if (t->init) {
		t->data = t->init;
		t->init = NULL;
		forget(g, t, g->param, &g->params);
		return 0;
	}
	for (uint32_t i = 0; !ret && i < g->node[t->node]->ins; i++)
		if (nc_in(g, g->node[t->node], i))
			ret = know(g, nc_in(g, g->node[t->node], i));
	return ret ? ret : nc_fold_node(g, g->node[t->node]);
}

bool nc_known(struct npu_graph *g, struct nc_tensor *t)
{
	unsigned int visits = 0;

	if (!t)
		return false;
	if (!t->data && (g->givens || g->params) && can_know(g, t, 0, &visits))
		know(g, t);
	return t->data;
}
