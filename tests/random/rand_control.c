/* SPDX-License-Identifier: MIT */
/*
 * Recipes of If, Loop, Scan and functions of the model. What other recipes make is
 * moved into a body; the graph inputs and initialisers that they needed stay outside
 * and are seen from there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rand.h"

#define DEPTH_MAX	2
#define RESULTS_MAX	2
#define STATES_MAX	2
/* Iteration, condition, states, elements of sequences. */
#define PLACES_MAX	(2 + STATES_MAX + RESULTS_MAX)

#define STATE_TYPES	(1u << EV_F32 | 1u << EV_F16 | 1u << EV_I32 | 1u << EV_I64)

/**
 * struct body - nodes that will move
 * @start: where they begin
 * @place: names of what the body gets
 * @out: of its results
 */
struct body {
	struct rg_mark start;
	char *place[PLACES_MAX], *out[1 + STATES_MAX + RESULTS_MAX];
	size_t places, outs;
};

static char *name_of(struct rg *g, int v)
{
	return strcpy(ob_alloc(&g->b, sizeof(g->value->name)), g->value[v].name);
}

/* What stands in the body for a tensor like @x, which is taken over run by run. */
static int add_place(struct rg *g, struct body *b, struct ev_value run[RG_RUNS])
{
	struct rg_value *v = &g->value[g->values];

	memset(v, 0, sizeof(*v));
	snprintf(v->name, sizeof(v->name), "p%u", g->names++);
	memcpy(v->run, run, sizeof(v->run));
	b->place[b->places++] = name_of(g, (int)g->values);
	return (int)g->values++;
}

/* The same for a number that is 0 at first, or a truth value that is true. */
static int add_scalar(struct rg *g, struct body *b, int type)
{
	struct ev_value run[RG_RUNS];

	for (int r = 0; r < RG_RUNS; r++) {
		if (ev_alloc(&run[r], type, 0, NULL))
			abort();
		run[r].v[0] = type == EV_BOOL;
	}
	return add_place(g, b, run);
}

static int add_state(struct rg *g, struct body *b, int from)
{
	struct ev_value run[RG_RUNS];

	for (int r = 0; r < RG_RUNS; r++)
		if (ev_copy(&run[r], &g->value[from].run[r]))
			abort();
	return add_place(g, b, run);
}

static void add_out(struct rg *g, struct body *b, int v)
{
	b->out[b->outs++] = name_of(g, v);
}

/* Nodes from other recipes; the latest results of them, at most @most: how many, or 0. */
static unsigned int draw_results(struct rg *g, unsigned int most, int *result)
{
	unsigned int before = g->values, n = 0;

	g->depth++;
	for (int64_t i = rg_between(g, 1, 2); i > 0; i--)
		rg_step(g);
	g->depth--;
	for (unsigned int v = g->values; v-- > before && n < most;)
		if (*g->value[v].name == 't')
			result[n++] = (int)v;
	return n;
}

static Onnx__ValueInfoProto **infos(struct rg *g, char *const *name, size_t count)
{
	Onnx__ValueInfoProto **list = ob_alloc(&g->b, count * sizeof(*list));

	for (size_t i = 0; i < count; i++) {
		list[i] = ob_alloc(&g->b, sizeof(**list));
		onnx__value_info_proto__init(list[i]);
		list[i]->name = name[i];
	}
	return list;
}

/* All nodes since @b->start; they and what they compute are no more in the graph. */
static Onnx__NodeProto **move_nodes(struct rg *g, const struct body *b, size_t *count)
{
	Onnx__NodeProto **list;
	unsigned int keep = b->start.values;

	*count = g->b.graph.n_node - b->start.nodes;
	list = ob_alloc(&g->b, *count * sizeof(*list));
	memcpy(list, g->b.graph.node + b->start.nodes, *count * sizeof(*list));
	g->b.graph.n_node = b->start.nodes;
	for (unsigned int v = keep; v < g->values; v++) {
		if (strchr("xw", *g->value[v].name)) {
			g->value[keep++] = g->value[v];
			continue;
		}
		for (int r = 0; r < RG_RUNS; r++)
			ev_free(&g->value[v].run[r]);
	}
	g->values = keep;
	return list;
}

static Onnx__GraphProto *close_body(struct rg *g, const struct body *b)
{
	Onnx__GraphProto *body = ob_alloc(&g->b, sizeof(*body));

	onnx__graph_proto__init(body);
	body->name = strcpy(ob_alloc(&g->b, 8), "body");
	body->node = move_nodes(g, b, &body->n_node);
	body->n_input = b->places;
	body->input = infos(g, b->place, b->places);
	body->n_output = b->outs;
	body->output = infos(g, b->out, b->outs);
	return body;
}

static void put_body(struct rg *g, const char *name, Onnx__GraphProto *body)
{
	Onnx__AttributeProto *a = ob_attr(&g->b, g->node, name);

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
	a->g = body;
}

/* ---- If ---- */

/* The other branch gives tensors of the same types and shapes. */
static Onnx__GraphProto *other_branch(struct rg *g, unsigned int outs, const struct ev_value *like)
{
	struct body b = { .start = rg_mark(g) };

	for (unsigned int i = 0; i < outs; i++) {
		int x = rg_like(g, like[i].type, like[i].rank, like[i].dims, RG_ANY);

		rg_begin(g, like[i].type == EV_F32 && rg_once(g, 2) ? "Neg" : "Identity");
		rg_arg(g, x);
		if (!rg_commit(g, 1))
			return NULL;
		add_out(g, &b, (int)g->values - 1);
	}
	return close_body(g, &b);
}

static bool make_if(struct rg *g, const char *op)
{
	double taken = rg_below(g, 2);
	int cond = rg_given(g, EV_BOOL, 0, NULL, &taken, RG_DRAWN), result[RESULTS_MAX];
	struct ev_value like[RESULTS_MAX];
	Onnx__GraphProto *first, *second;
	unsigned int outs;
	struct body b;

	if (g->depth == DEPTH_MAX)
		return false;
	b = (struct body){ .start = rg_mark(g) };
	outs = draw_results(g, (unsigned int)rg_between(g, 1, RESULTS_MAX), result);
	if (!outs || cond < 0)
		return false;
	for (unsigned int i = 0; i < outs; i++) {
		like[i] = *rg_get(g, result[i]);
		add_out(g, &b, result[i]);
	}
	first = close_body(g, &b);
	second = other_branch(g, outs, like);
	if (!second)
		return false;
	rg_begin(g, op);
	rg_arg(g, cond);
	put_body(g, taken || rg_once(g, 2) ? "then_branch" : "else_branch", first);
	put_body(g, strcmp(g->node->attribute[0]->name, "then_branch") ? "then_branch" :
							      "else_branch", second);
	return rg_commit(g, outs);
}

/* ---- Loop and Scan ---- */

/* What the state at @from is in the next iteration; false: nothing came of it. */
static bool next_state(struct rg *g, struct body *b, int from)
{
	static const char *const ops[] = { "Add", "Sub", "Identity", "Add" };
	const struct ev_value *x = rg_get(g, from);
	uint32_t op = rg_below(g, 4);
	int other = rg_like(g, x->type, x->rank, x->dims, RG_ANY);

	rg_begin(g, ops[op]);
	if (op != 2)
		rg_arg(g, from);
	rg_arg(g, other);
	if (!rg_commit(g, 1))
		return false;
	add_out(g, b, (int)g->values - 1);
	return true;
}

/* Whether there is another iteration; @trips is what the graph says, or 0. */
static bool next_condition(struct rg *g, struct body *b, int iteration, int cond, int64_t trips)
{
	bool ends = !trips || rg_once(g, 4);
	double limit = (double)rg_between(g, 0, 2), yes = 1;
	int known = ends ? rg_given(g, EV_I64, 0, NULL, &limit, RG_KNOWN) :
			   rg_given(g, EV_BOOL, 0, NULL, &yes, RG_KNOWN);

	rg_begin(g, ends ? "Less" : "Identity");
	rg_arg(g, ends ? iteration : rg_once(g, 2) ? cond : known);
	if (ends)
		rg_arg(g, known);
	if (!rg_commit(g, 1))
		return false;
	add_out(g, b, (int)g->values - 1);
	return true;
}

/* States, then results that are collected. Their number, or 0. */
static unsigned int body_outs(struct rg *g, struct body *b, const int *state, unsigned int states)
{
	int result[RESULTS_MAX];
	unsigned int scans = draw_results(g, (unsigned int)rg_below(g, 1 + RESULTS_MAX), result);
	char *late[RESULTS_MAX];

	for (unsigned int i = 0; i < scans; i++)
		late[i] = name_of(g, result[i]);
	for (unsigned int i = 0; i < states; i++)
		if (!next_state(g, b, state[i]))
			return 0;
	for (unsigned int i = 0; i < scans; i++)
		b->out[b->outs++] = late[i];
	return states + scans;
}

static bool draw_states(struct rg *g, int *state, unsigned int states)
{
	for (unsigned int i = 0; i < states; i++) {
		state[i] = rg_some(g, STATE_TYPES, 0, 3, RG_ANY);
		if (state[i] < 0)
			return false;
	}
	return true;
}

static bool make_loop(struct rg *g, const char *op)
{
	int64_t trips = rg_once(g, 4) ? 0 : rg_between(g, 1, 4);
	unsigned int states = rg_below(g, 1 + STATES_MAX), outs;
	int count = trips ? rg_scalar(g, EV_I64, (double)trips) : -1, cond = -1;
	int state[STATES_MAX], place[STATES_MAX] = { 0 }, iteration, go;
	Onnx__GraphProto *body;
	struct body b;

	if (g->depth == DEPTH_MAX || !draw_states(g, state, states))
		return false;
	if (rg_once(g, 2))
		cond = rg_scalar(g, EV_BOOL, !states || !rg_once(g, 20));
	b = (struct body){ .start = rg_mark(g) };
	iteration = add_scalar(g, &b, EV_I64);
	go = add_scalar(g, &b, EV_BOOL);
	for (unsigned int i = 0; i < states; i++)
		place[i] = add_state(g, &b, state[i]);
	if (!next_condition(g, &b, iteration, go, trips))
		return false;
	outs = body_outs(g, &b, place, states);
	if (!outs)
		return false;
	body = close_body(g, &b);
	rg_begin(g, op);
	rg_arg(g, count);
	rg_arg(g, cond);
	for (unsigned int i = 0; i < states; i++)
		rg_arg(g, state[i]);
	put_body(g, "body", body);
	return rg_commit(g, outs);
}

/* A tensor with @steps elements along @axis. */
static int draw_sequence(struct rg *g, int64_t steps, int *axis)
{
	int rank = (int)rg_between(g, 0, 2);
	int64_t dims[REF_MAX_RANK], elems = steps;

	*axis = (int)rg_between(g, 0, rank);
	rg_shape(g, rank, dims);
	memmove(dims + *axis + 1, dims + *axis, (size_t)(rank - *axis) * sizeof(*dims));
	dims[*axis] = steps;
	for (int i = 0; i <= rank; i++)
		elems *= i == *axis ? 1 : dims[i];
	if (elems > 2 * g->elems)
		return -2;
	return rg_like(g, rg_type(g, STATE_TYPES), rank + 1, dims, RG_ANY);
}

/* The first element of each run. */
static int add_element(struct rg *g, struct body *b, int from, int axis)
{
	const struct ev_value *x = rg_get(g, from);
	struct ev_value run[RG_RUNS];
	int64_t dims[REF_MAX_RANK], inner = 1;
	int rank = 0;

	for (int i = 0; i < x->rank; i++) {
		inner *= i > axis ? x->dims[i] : 1;
		if (i != axis)
			dims[rank++] = x->dims[i];
	}
	for (int r = 0; r < RG_RUNS; r++) {
		if (ev_alloc(&run[r], x->type, rank, dims))
			abort();
		for (int64_t e = 0; e < run[r].elems; e++)
			run[r].v[e] = g->value[from].run[r].v[e / inner * x->dims[axis] * inner +
							      e % inner];
	}
	return add_place(g, b, run);
}

/* Lists of directions and axes, some of them. */
static void scan_attributes(struct rg *g, int inputs, const int64_t *axes, unsigned int scans)
{
	int64_t list[RESULTS_MAX], zero[RESULTS_MAX] = { 0 };

	rg_int(g, "num_scan_inputs", inputs);
	if (memcmp(axes, zero, (size_t)inputs * sizeof(*axes)) || rg_once(g, 2))
		rg_ints(g, "scan_input_axes", (size_t)inputs, axes);
	for (int i = 0; i < RESULTS_MAX; i++)
		list[i] = rg_below(g, 2);
	if (rg_once(g, 3))
		rg_ints(g, "scan_input_directions", (size_t)inputs, list);
	if (scans && rg_once(g, 3))
		rg_ints(g, "scan_output_directions", scans, list);
	/* Of a scalar only axis 0 is possible. */
	for (int i = 0; i < RESULTS_MAX; i++)
		list[i] = g->opset >= 11 && rg_once(g, 2) ? -1 : 0;
	if (scans && rg_once(g, 3))
		rg_ints(g, "scan_output_axes", scans, list);
}

static bool make_scan(struct rg *g, const char *op)
{
	unsigned int states = rg_below(g, 1 + STATES_MAX), outs;
	int inputs = (int)rg_between(g, 1, RESULTS_MAX), axis[RESULTS_MAX], x[RESULTS_MAX];
	int state[STATES_MAX], place[STATES_MAX] = { 0 };
	int64_t steps = rg_between(g, 1, 4), axes[RESULTS_MAX];
	Onnx__GraphProto *body;
	struct body b;

	if (g->depth == DEPTH_MAX || !draw_states(g, state, states))
		return false;
	for (int i = 0; i < inputs; i++) {
		x[i] = draw_sequence(g, steps, &axis[i]);
		if (x[i] < 0)
			return false;
		axes[i] = g->opset >= 11 && rg_once(g, 3) ? axis[i] - rg_get(g, x[i])->rank : axis[i];
	}
	b = (struct body){ .start = rg_mark(g) };
	for (unsigned int i = 0; i < states; i++)
		place[i] = add_state(g, &b, state[i]);
	for (int i = 0; i < inputs; i++)
		add_element(g, &b, x[i], axis[i]);
	outs = body_outs(g, &b, place, states);
	if (!outs)
		return false;
	body = close_body(g, &b);
	rg_begin(g, op);
	for (unsigned int i = 0; i < states; i++)
		rg_arg(g, state[i]);
	for (int i = 0; i < inputs; i++)
		rg_arg(g, x[i]);
	scan_attributes(g, inputs, axes, outs - states);
	put_body(g, "body", body);
	return rg_commit(g, outs);
}

/* ---- Functions ---- */

/**
 * struct names - a set of names in the order of their first use
 */
struct names {
	char *name[EV_MAX_IO];
	size_t count;
};

static bool has(const struct names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->name[i], name))
			return true;
	return false;
}

/* Names that @node takes from outside: not in @inside. */
static bool find_free(Onnx__NodeProto *const *node, size_t nodes, struct names *inside,
		      struct names *found)
{
	for (size_t i = 0; i < nodes; i++) {
		const Onnx__NodeProto *n = node[i];

		for (size_t k = 0; k < n->n_input; k++) {
			if (!*n->input[k] || has(inside, n->input[k]) || has(found, n->input[k]))
				continue;
			if (found->count == EV_MAX_IO)
				return false;
			found->name[found->count++] = n->input[k];
		}
		for (size_t a = 0; a < n->n_attribute; a++) {
			const Onnx__GraphProto *body = n->attribute[a]->g;
			struct names within = *inside;

			for (size_t k = 0; body && k < body->n_input; k++)
				if (within.count < EV_MAX_IO)
					within.name[within.count++] = body->input[k]->name;
			if (body && !find_free(body->node, body->n_node, &within, found))
				return false;
		}
		for (size_t k = 0; k < n->n_output; k++) {
			if (inside->count == EV_MAX_IO)
				return false;
			inside->name[inside->count++] = n->output[k];
		}
	}
	return true;
}

/* An attribute of a node inside becomes one of the call, which is returned; or NULL. */
static Onnx__AttributeProto *lift_attribute(struct rg *g, Onnx__FunctionProto *f)
{
	const Onnx__NodeProto *n = f->node[rg_below(g, (uint32_t)f->n_node)];
	Onnx__AttributeProto *a, *lifted;
	char *name;

	if (!n->n_attribute)
		return NULL;
	a = n->attribute[rg_below(g, (uint32_t)n->n_attribute)];
	if (a->g || (a->ref_attr_name && *a->ref_attr_name))
		return NULL;
	name = a->name;
	lifted = ob_alloc(&g->b, sizeof(*lifted));
	*lifted = *a;
	lifted->name = strcpy(ob_alloc(&g->b, 8), "lifted");
	onnx__attribute_proto__init(a);
	a->name = name;
	a->has_type = 1;
	a->type = lifted->type;
	a->ref_attr_name = lifted->name;
	f->n_attribute = 1;
	f->attribute = ob_alloc(&g->b, sizeof(*f->attribute));
	f->attribute[0] = lifted->name;
	return lifted;
}

static bool make_function(struct rg *g, const char *op)
{
	struct names inside = { .count = 0 }, inputs = { .count = 0 };
	Onnx__FunctionProto *f = ob_alloc(&g->b, sizeof(*f));
	int result[RESULTS_MAX], in[EV_MAX_IO];
	Onnx__AttributeProto *lifted = NULL;
	struct body b = { .start = rg_mark(g) };
	unsigned int outs;

	(void)op;
	if (g->depth == DEPTH_MAX || g->b.model.n_functions == RG_FUNCTIONS)
		return false;
	outs = draw_results(g, (unsigned int)rg_between(g, 1, RESULTS_MAX), result);
	for (unsigned int i = 0; i < outs; i++)
		add_out(g, &b, result[i]);
	onnx__function_proto__init(f);
	f->node = move_nodes(g, &b, &f->n_node);
	if (!outs || !find_free(f->node, f->n_node, &inside, &inputs))
		return false;
	f->name = ob_alloc(&g->b, 16);
	snprintf(f->name, 16, "Function%u", g->names++);
	f->n_input = inputs.count;
	f->input = memcpy(ob_alloc(&g->b, sizeof(inputs.name)), inputs.name, sizeof(inputs.name));
	f->n_output = outs;
	f->output = memcpy(ob_alloc(&g->b, sizeof(b.out)), b.out, sizeof(b.out));
	f->n_opset_import = 2;
	f->opset_import = g->opset_import;
	for (size_t i = 0; i < inputs.count; i++) {
		in[i] = -2;
		for (unsigned int v = 0; v < g->values; v++)
			if (!strcmp(g->value[v].name, inputs.name[i]))
				in[i] = (int)v;
	}
	if (rg_once(g, 2))
		lifted = lift_attribute(g, f);
	rg_add_function(g, f);
	rg_begin(g, f->name);
	g->node->domain = f->domain;
	for (size_t i = 0; i < inputs.count; i++)
		rg_arg(g, in[i]);
	if (lifted)
		g->node->attribute[g->node->n_attribute++] = lifted;
	return rg_commit(g, outs);
}

const struct rg_recipe rg_control[] = {
	{ "If", 11, 3, make_if },
	{ "Loop", 11, 3, make_loop },
	{ "Scan", 9, 3, make_scan },
	{ "Function", 7, 3, make_function },
	{ NULL, 0, 0, NULL }
};
