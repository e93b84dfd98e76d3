/* SPDX-License-Identifier: MIT */
/* A whole graph: recipes by chance, then what comes out of it. */
#include <stdlib.h>
#include <string.h>

#include "rand.h"

#define FAILURES_MAX	60
#define STEPS_MAX	12

static const struct rg_recipe *const tables[] = {
	rg_control, rg_point, rg_move, rg_index, rg_nn, rg_seq, rg_reduce, rg_signal,
};

#define TABLES	(sizeof(tables) / sizeof(tables[0]))

/* Whether @name is one of the names separated by commas. */
static bool named(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *s = list; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
		if (!strncmp(s, name, length) && (!s[length] || s[length] == ','))
			return true;
	return false;
}

static int64_t last_opset(const char *op)
{
	return !strcmp(op, "Upsample") ? 9 : !strcmp(op, "Scatter") ? 10 : INT64_MAX;
}

/* In bodies all operators are possible. */
static bool usable(const struct rg *g, const struct rg_recipe *r)
{
	return r->since <= g->opset && g->opset <= last_opset(r->op) && (g->depth || !g->only || named(g->only, r->op));
}

static const struct rg_recipe *draw(struct rg *g)
{
	uint32_t total = 0, at;

	for (size_t t = 0; t < TABLES; t++)
		for (const struct rg_recipe *r = tables[t]; r->op; r++)
			total += usable(g, r) ? r->weight : 0;
	at = rg_below(g, total);
	for (size_t t = 0; t < TABLES; t++)
		for (const struct rg_recipe *r = tables[t]; r->op; r++) {
			uint32_t w = usable(g, r) ? r->weight : 0;

			if (at < w)
				return r;
			at -= w;
		}
	return NULL;
}

static void count_uses(struct rg *g)
{
	for (unsigned int v = 0; v < g->values; v++) {
		g->value[v].uses = 0;
		for (size_t n = 0; n < g->b.graph.n_node; n++)
			for (size_t i = 0; i < g->b.graph.node[n]->n_input; i++)
				g->value[v].uses += !strcmp(g->b.graph.node[n]->input[i],
							    g->value[v].name);
	}
}

static void put_output(struct rg *g, unsigned int v)
{
	const struct ev_value *x = rg_get(g, (int)v);
	Onnx__ValueInfoProto *o;

	/* Described as an input is, then moved. */
	ob_input(&g->b, g->value[v].name, x->type, (size_t)x->rank, x->dims);
	o = g->b.graph.input[--g->b.graph.n_input];
	for (int i = 0; i < x->rank; i++)
		o->type->tensor_type->shape->dim[i]->dim_value = x->dims[i];
	g->b.graph.output[g->b.graph.n_output++] = o;
}

/* Results that nobody takes, some that somebody does; some branches stay dead. */
static void put_outputs(struct rg *g)
{
	int last = -1;

	count_uses(g);
	for (unsigned int v = 0; v < g->values; v++) {
		/* The device has no tensors without elements outside of a program. */
		if (*g->value[v].name != 't' || !rg_get(g, (int)v)->elems)
			continue;
		last = (int)v;
		if (g->b.graph.n_output < 12 && (g->value[v].uses ? rg_once(g, 6) : !rg_once(g, 10)))
			put_output(g, v);
	}
	if (!g->b.graph.n_output && last >= 0)
		put_output(g, (unsigned int)last);
}

bool rg_draws(const char *op)
{
	for (size_t t = 0; t < TABLES; t++)
		for (const struct rg_recipe *r = tables[t]; r->op; r++)
			if (!strcmp(r->op, op))
				return true;
	return false;
}

const char *rg_left_out(const char *op)
{
	static const char *const reasons[][2] = {
		{ "OptionalGetElement", "of an optional, which the oracle has no value for" },
		{ "OptionalHasElement", "of an optional, which the oracle has no value for" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (!strcmp(reasons[i][0], op))
			return reasons[i][1];
	return NULL;
}

bool rg_step(struct rg *g)
{
	struct rg_mark mark = rg_mark(g);
	const struct rg_recipe *r;

	if (g->values + 24 >= RG_VALUES || g->b.graph.n_node + 12 >= RG_NODES)
		return false;
	r = draw(g);
	if (r && r->make(g, r->op))
		return true;
	rg_back(g, &mark);
	return false;
}

struct rg *rg_create(uint64_t seed, int64_t elems, const char *only)
{
	static const int64_t opsets[] = { 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11,
					  10, 9, 8, 7 };
	struct rg *g = calloc(1, sizeof(*g));
	int steps, done = 0, failures = 0;

	if (!g)
		return NULL;
	g->seed = seed;
	g->state = seed * 0x9e3779b97f4a7c15ull + 1;
	g->elems = elems;
	g->only = only;
	g->opset = rg_once(g, 2) ? 24 : opsets[rg_below(g, sizeof(opsets) / sizeof(*opsets))];
	ob_begin(&g->b, g->opset);
	g->b.graph.name = strcpy(ob_alloc(&g->b, 16), "random");
	steps = (int)rg_between(g, 1, rg_once(g, 2) ? 4 : STEPS_MAX);
	while (done < steps && failures < FAILURES_MAX)
		*(rg_step(g) ? &done : &failures) += 1;
	put_outputs(g);
	if (!g->b.graph.n_output) {
		rg_destroy(g);
		return NULL;
	}
	return g;
}

void rg_destroy(struct rg *g)
{
	for (unsigned int v = 0; v < g->values; v++)
		for (int r = 0; r < RG_RUNS; r++)
			ev_free(&g->value[v].run[r]);
	ob_end(&g->b);
	free(g);
}
