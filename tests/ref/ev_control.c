/* SPDX-License-Identifier: MIT */
/* If, Loop, Scan and the functions of a model: bodies of nodes, run as they are written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

#define ITERATIONS_MAX	10000

/* ---- Bodies ---- */

static const Onnx__GraphProto *body_of(const struct ev_call *c, const char *name)
{
	const Onnx__AttributeProto *a = ev_attr(c, name);

	return a ? a->g : NULL;
}

/* The values of @name in @env become @out[i]. */
static int take_out(struct ev_call *c, const struct ev_env *env, const char *name,
		    struct ev_value *out)
{
	const struct ev_value *x = ev_env_find(env, name);

	return x ? ev_copy(out, x) : ev_bad(c, "the body has no result \"%s\"", name);
}

/* Run @g, which sees the names around it; @in are its inputs, @out its outputs. */
static int run_body(struct ev_call *c, const Onnx__GraphProto *g, const struct ev_value *in,
		    size_t ins, struct ev_value *out)
{
	const struct ev_block block = { .node = g->node, .nodes = g->n_node,
					.initializer = g->initializer,
					.initializers = g->n_initializer, .opset = c->opset,
					.model = c->model, .caller = c->caller };
	struct ev_env env = { .outer = c->outer };
	char why[256];
	int ret = 0;

	if (g->n_input != ins)
		return ev_bad(c, "the body has %zu inputs", g->n_input);
	for (size_t i = 0; i < ins && !ret; i++) {
		struct ev_value x;

		ret = ev_copy(&x, &in[i]);
		ret = ret ? ret : ev_env_set(&env, g->input[i]->name, &x);
	}
	ret = ret ? ret : ev_block_run(&block, &env, c->noise, why);
	if (ret)
		ev_bad(c, "%s", why);
	for (size_t i = 0; i < g->n_output && !ret; i++)
		ret = take_out(c, &env, g->output[i]->name, &out[i]);
	ev_env_free(&env);
	return ret;
}

static void free_all(struct ev_value *x, size_t count)
{
	for (size_t i = 0; x && i < count; i++)
		ev_free(&x[i]);
	free(x);
}

/* ---- If ---- */

static int run_if(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	const Onnx__GraphProto *g;

	if (ret)
		return ret;
	if (c->in[0]->elems != 1 || c->in[0]->type != EV_BOOL)
		return ev_bad(c, "condition");
	g = body_of(c, c->in[0]->v[0] ? "then_branch" : "else_branch");
	if (!g || g->n_output != c->outs)
		return ev_bad(c, "branch");
	return run_body(c, g, NULL, 0, c->out);
}

/* ---- Elements along an axis ---- */

/* @x at @at of @axis, which goes away. */
static int element_of(const struct ev_value *x, int axis, int64_t at, struct ev_value *y)
{
	int64_t dims[REF_MAX_RANK], inner = ev_count(x->dims, axis + 1, x->rank);
	int rank = 0;

	for (int i = 0; i < x->rank; i++)
		if (i != axis)
			dims[rank++] = x->dims[i];
	if (ev_alloc(y, x->type, rank, dims))
		return -EINVAL;
	for (int64_t e = 0; e < y->elems; e++)
		y->v[e] = x->v[(e / inner * x->dims[axis] + at) * inner + e % inner];
	return 0;
}

/* @x becomes place @at of the @count along a new axis of @y, which the first one makes. */
static int collect(struct ev_call *c, const struct ev_value *x, int64_t count, int64_t at,
		   int64_t axis, struct ev_value *y)
{
	int64_t dims[REF_MAX_RANK], inner;
	int a = ev_axis(axis, x->rank + 1), n = 0;

	if (a < 0 || x->rank == REF_MAX_RANK)
		return ev_bad(c, "scan axis");
	for (int i = 0; i <= x->rank; i++)
		dims[i] = i == a ? count : x->dims[n++];
	if (!y->v && ev_alloc(y, x->type, x->rank + 1, dims))
		return -EINVAL;
	if (y->type != x->type || y->rank != x->rank + 1 ||
	    memcmp(y->dims, dims, (size_t)y->rank * sizeof(*dims)))
		return ev_bad(c, "a scanned value changes its shape");
	inner = ev_count(dims, a + 1, y->rank);
	for (int64_t e = 0; e < x->elems; e++)
		y->v[(e / inner * count + at) * inner + e % inner] = x->v[e];
	return 0;
}

/* ---- Loop ---- */

/**
 * struct loop - a Loop
 * @states: values that go from one iteration to the next
 * @in: the iteration, the condition, the states
 * @out: what the body makes of them: condition, states, scanned values
 * @scan: all iterations' scanned values, one after the other
 */
struct loop {
	struct ev_call *c;
	const Onnx__GraphProto *g;
	size_t states, scans;
	int64_t trips, done;
	struct ev_value *in, *out, *scan;
};

static int loop_init(struct loop *l)
{
	struct ev_call *c = l->c;
	int ret = 0;

	l->g = body_of(c, "body");
	l->states = c->ins > 2 ? c->ins - 2 : 0;
	l->trips = ITERATIONS_MAX;
	if (!l->g || l->g->n_output < 1 + l->states || c->outs > l->g->n_output - 1)
		return ev_bad(c, "body");
	l->scans = l->g->n_output - 1 - l->states;
	if (c->ins > 0 && c->in[0]) {
		if (c->in[0]->elems != 1 || c->in[0]->v[0] > ITERATIONS_MAX)
			return ev_bad(c, "trip count");
		l->trips = (int64_t)c->in[0]->v[0];
	}
	l->in = calloc(2 + l->states, sizeof(*l->in));
	l->out = calloc(l->g->n_output, sizeof(*l->out));
	l->scan = calloc((size_t)(l->trips > 0 ? l->trips : 0) * l->scans + 1, sizeof(*l->scan));
	if (!l->in || !l->out || !l->scan)
		return -ENOMEM;
	ret = ev_alloc(&l->in[0], EV_I64, 0, NULL);
	ret = ret ? ret : ev_alloc(&l->in[1], EV_BOOL, 0, NULL);
	if (!ret)
		l->in[1].v[0] = c->ins > 1 && c->in[1] ? c->in[1]->v[0] : 1;
	for (size_t i = 0; i < l->states && !ret; i++)
		ret = c->in[2 + i] ? ev_copy(&l->in[2 + i], c->in[2 + i]) :
				     ev_bad(c, "a state has no value");
	return ret;
}

static int iterate(struct loop *l)
{
	int ret;

	l->in[0].v[0] = (double)l->done;
	ret = run_body(l->c, l->g, l->in, 2 + l->states, l->out);
	if (ret)
		return ret;
	if (l->out[0].elems != 1)
		return ev_bad(l->c, "condition");
	l->in[1].v[0] = l->out[0].v[0];
	ev_free(&l->out[0]);
	for (size_t i = 0; i < l->states; i++) {
		ev_free(&l->in[2 + i]);
		l->in[2 + i] = l->out[1 + i];
	}
	memcpy(l->scan + (size_t)l->done * l->scans, l->out + 1 + l->states,
	       l->scans * sizeof(*l->scan));
	memset(l->out, 0, l->g->n_output * sizeof(*l->out));
	l->done++;
	return 0;
}

static int run_loop(struct ev_call *c)
{
	struct loop l = { .c = c };
	int ret = loop_init(&l);

	while (!ret && l.done < l.trips && l.in[1].v[0])
		ret = iterate(&l);
	if (!ret && l.done == ITERATIONS_MAX)
		ret = ev_bad(c, "no end");
	for (size_t i = 0; i < c->outs && !ret; i++) {
		if (i < l.states) {
			ret = ev_copy(&c->out[i], &l.in[2 + i]);
			continue;
		}
		/* Without an iteration nobody knows the shape. */
		if (!l.done)
			ret = ev_bad(c, "no iteration");
		for (int64_t k = 0; k < l.done && !ret; k++)
			ret = collect(c, &l.scan[(size_t)k * l.scans + i - l.states], l.done, k, 0,
				      &c->out[i]);
	}
	free_all(l.in, 2 + l.states);
	free_all(l.out, l.g ? l.g->n_output : 0);
	free_all(l.scan, (size_t)l.done * l.scans);
	return ret;
}

/* ---- Scan ---- */

static int64_t entry(const struct ev_call *c, const char *name, size_t i)
{
	size_t count;
	const int64_t *list = ev_attr_ints(c, name, &count);

	return i < count ? list[i] : 0;
}

/* Iterations: what all sequences have along their axes; or an error. */
static int64_t scan_steps(struct ev_call *c, size_t states, int *axis)
{
	int64_t steps = -1;

	for (size_t i = states; i < c->ins; i++) {
		const struct ev_value *x = c->in[i];

		axis[i] = ev_axis(entry(c, "scan_input_axes", i - states), x->rank);
		if (axis[i] < 0 || (steps >= 0 && x->dims[axis[i]] != steps))
			return ev_bad(c, "sequences");
		steps = x->dims[axis[i]];
	}
	return steps > 0 && steps < ITERATIONS_MAX ? steps : ev_bad(c, "steps");
}

/* One iteration: @in has the states and gets the elements; results are collected. */
static int scan_step(struct ev_call *c, const Onnx__GraphProto *g, size_t states,
		     const int *axis, int64_t steps, int64_t step, struct ev_value *in)
{
	struct ev_value out[EV_MAX_IO] = { 0 };
	int ret = 0;

	for (size_t i = states; i < c->ins && !ret; i++) {
		bool back = entry(c, "scan_input_directions", i - states);

		ev_free(&in[i]);
		ret = element_of(c->in[i], axis[i], back ? steps - 1 - step : step, &in[i]);
	}
	ret = ret ? ret : run_body(c, g, in, c->ins, out);
	for (size_t i = 0; i < g->n_output && !ret; i++) {
		size_t k = i - states;

		if (i < states) {
			ev_free(&in[i]);
			in[i] = out[i];
			memset(&out[i], 0, sizeof(out[i]));
		} else {
			ret = collect(c, &out[i], steps, entry(c, "scan_output_directions", k) ?
				      steps - 1 - step : step, entry(c, "scan_output_axes", k),
				      &c->out[i]);
		}
	}
	for (size_t i = 0; i < EV_MAX_IO; i++)
		ev_free(&out[i]);
	return ret;
}

static int run_scan(struct ev_call *c)
{
	const Onnx__GraphProto *g = body_of(c, "body");
	int64_t ins = ev_attr_i(c, "num_scan_inputs", 0), steps;
	struct ev_value in[EV_MAX_IO] = { 0 };
	int ret = ev_need(c, c->ins), axis[EV_MAX_IO];
	size_t states;

	if (c->opset < 9)
		return -ENOSYS;
	if (ret || !g || ins < 1 || ins > (int64_t)c->ins || g->n_output > EV_MAX_IO ||
	    g->n_output != c->outs || g->n_output < c->ins - (size_t)ins)
		return ev_bad(c, "body or inputs");
	states = c->ins - (size_t)ins;
	steps = scan_steps(c, states, axis);
	ret = steps < 0 ? (int)steps : 0;
	for (size_t i = 0; i < states && !ret; i++)
		ret = ev_copy(&in[i], c->in[i]);
	for (int64_t i = 0; i < steps && !ret; i++)
		ret = scan_step(c, g, states, axis, steps, i, in);
	for (size_t i = 0; i < states && !ret; i++)
		ret = ev_copy(&c->out[i], &in[i]);
	for (size_t i = 0; i < EV_MAX_IO; i++)
		ev_free(&in[i]);
	return ret;
}

/* ---- Functions ---- */

static bool is_default(const char *domain)
{
	return !domain || !*domain || !strcmp(domain, "ai.onnx");
}

static const Onnx__FunctionProto *function_of(const struct ev_call *c)
{
	const char *domain = c->node->domain ? c->node->domain : "";

	for (size_t i = 0; c->model && i < c->model->n_functions; i++) {
		const Onnx__FunctionProto *f = c->model->functions[i];

		if (!strcmp(f->name, c->node->op_type) &&
		    (!strcmp(f->domain ? f->domain : "", domain) ||
		     (is_default(f->domain) && is_default(domain))))
			return f;
	}
	return NULL;
}

/* A function sees its inputs, and nothing else; its attributes are the call's. */
static int run_function(struct ev_call *c)
{
	const Onnx__FunctionProto *f = function_of(c);
	struct ev_block block = { .node = f->node, .nodes = f->n_node, .opset = c->opset,
				  .model = c->model, .caller = c };
	struct ev_env env = { 0 };
	char why[256];
	int ret = 0;

	if (c->ins > f->n_input || c->outs > f->n_output)
		return ev_bad(c, "inputs or outputs");
	for (size_t i = 0; i < f->n_opset_import; i++)
		if (is_default(f->opset_import[i]->domain))
			block.opset = f->opset_import[i]->version;
	for (size_t i = 0; i < c->ins && !ret; i++) {
		struct ev_value x;

		if (!c->in[i])
			continue;
		ret = ev_copy(&x, c->in[i]);
		ret = ret ? ret : ev_env_set(&env, f->input[i], &x);
	}
	ret = ret ? ret : ev_block_run(&block, &env, c->noise, why);
	if (ret)
		ev_bad(c, "%s", why);
	for (size_t i = 0; i < c->outs && !ret; i++)
		if (*c->node->output[i])
			ret = take_out(c, &env, f->output[i], &c->out[i]);
	ev_env_free(&env);
	return ret;
}

ev_run_fn ev_control(const struct ev_call *c)
{
	if (function_of(c))
		return run_function;
	if (!is_default(c->node->domain))
		return NULL;
	return !strcmp(c->node->op_type, "If") ? run_if :
	       !strcmp(c->node->op_type, "Loop") ? run_loop :
	       !strcmp(c->node->op_type, "Scan") ? run_scan : NULL;
}
