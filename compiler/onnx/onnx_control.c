/* SPDX-License-Identifier: MIT */
/*
 * If, Loop and Scan: bodies become nodes of the graph around them. A branch that is
 * known while compiling is taken; else both are, and a choice. Loops run here,
 * so the number of iterations must be known.
 */
#include "onnx_import.h"

#include <errno.h>

#include "expand/expand.h"

#define ITERATIONS_MAX	(1u << 16)

/**
 * struct control - an If or Loop being inlined
 * @im: where it is
 * @p: the node
 * @number: of the node, for messages
 * @n: the same, for the nodes made for it
 * @e: makes nodes
 */
struct control {
	struct nc_onnx_import *im;
	const Onnx__NodeProto *p;
	size_t number;
	struct nc_node n;
	struct nc_expand e;
};

static int refuse_control(const struct control *c, int err, const char *rule, const char *what)
{
	return nc_onnx_refuse_node(c->im, c->p, c->number, err, rule, what);
}

static void control_init(struct control *c, struct nc_onnx_import *im, const Onnx__NodeProto *p,
			 size_t number)
{
	const char *type = nc_strdup(im->g->arena, p->op_type);

	*c = (struct control){ .im = im, .p = p, .number = number };
	c->n = (struct nc_node){ .op = nc_op_get(NC_OP_Identity), .type = type ? type : "",
				 .number = (uint32_t)number, .name = nc_onnx_text(p->name) };
	c->e = (struct nc_expand){ .g = im->g, .n = &c->n };
}

/* Input @i; NC_NONE when it is not there. */
static int input_of(const struct control *c, size_t i, uint32_t *tensor)
{
	const char *name = i < c->p->n_input ? c->p->input[i] : "";
	const struct nc_onnx_def *d = *name ? nc_onnx_find(c->im, name) : NULL;

	*tensor = d && d->tensor != NC_ONNX_ABSENT ? d->tensor : NC_NONE;
	if (*name && (!d || d->tensor == NC_NONE))
		return refuse_control(c, -EINVAL, "no earlier node computes its input ", name);
	return 0;
}

static const Onnx__GraphProto *body_of(const struct control *c, const char *name)
{
	for (size_t i = 0; i < c->p->n_attribute; i++)
		if (!strcmp(nc_onnx_text(c->p->attribute[i]->name), name))
			return c->p->attribute[i]->g;
	return NULL;
}

/* The names of @graph, which sees those around it. */
static int enter(const struct control *c, const Onnx__GraphProto *graph,
		 struct nc_onnx_import *in)
{
	int ret;

	*in = *c->im;
	in->graph = graph;
	in->enclosing = c->im;
	if (++in->depth > NC_ONNX_CALLS_MAX)
		return refuse_control(c, -EINVAL, "bodies are nested too deeply", "");
	ret = nc_onnx_collect(in);
	return ret ? ret : nc_onnx_initializers(in);
}

/* All nodes; then @out[i] is the tensor of output i. */
static int run(const struct control *c, struct nc_onnx_import *in, uint32_t *out)
{
	const Onnx__GraphProto *graph = in->graph;
	int ret = 0;

	for (size_t i = 0; !ret && i < graph->n_node; i++)
		ret = nc_onnx_node(in, graph->node[i], c->number);
	for (size_t i = 0; !ret && i < graph->n_output; i++) {
		const char *name = nc_onnx_text(graph->output[i]->name);
		const struct nc_onnx_def *d = nc_onnx_find(in, name);

		if (!d || d->tensor >= NC_ONNX_ABSENT)
			return refuse_control(c, -EINVAL, "its body does not compute output ", name);
		out[i] = d->tensor;
	}
	return ret;
}

static void set_output(const struct control *c, size_t i, uint32_t tensor)
{
	if (i < c->p->n_output && *c->p->output[i])
		nc_onnx_find(c->im, c->p->output[i])->tensor = tensor;
}

/* ---- If ---- */

static int branch(const struct control *c, const char *name, uint32_t *out)
{
	const Onnx__GraphProto *graph = body_of(c, name);
	struct nc_onnx_import in;
	int ret;

	if (!graph || graph->n_output < c->p->n_output || graph->n_input)
		return refuse_control(c, -EINVAL, "this attribute is missing or does not fit: ",
				      name);
	ret = enter(c, graph, &in);
	return ret ? ret : run(c, &in, out);
}

static uint32_t *outputs_of(const struct control *c, const char *name)
{
	const Onnx__GraphProto *graph = body_of(c, name);

	return nc_alloc_array(c->im->g->arena, graph ? graph->n_output : 1, sizeof(uint32_t));
}

/* Both branches are computed, and the outputs chosen at run time. */
static int choose(const struct control *c, uint32_t cond, const uint32_t *yes, const uint32_t *no)
{
	for (size_t i = 0; i < c->p->n_output; i++) {
		const struct nc_tensor *a = nc_x_get(&c->e, yes[i]), *b = nc_x_get(&c->e, no[i]);
		uint32_t t;

		if (a->dtype != b->dtype || a->rank != b->rank ||
		    memcmp(a->dim, b->dim, sizeof(a->dim)))
			return refuse_control(c, -ENOTSUP,
					      "the branches give different shapes or types, and the condition is not known while compiling",
					      "");
		t = nc_x_where(&c->e, nc_x_reshape(&c->e, cond, 0, NULL), yes[i], no[i]);
		if (nc_x_done(&c->e))
			return nc_x_done(&c->e);
		set_output(c, i, t);
	}
	return 0;
}

int nc_onnx_if(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number)
{
	uint32_t cond, *yes, *no;
	struct nc_tensor *t;
	struct control c;
	int ret;

	control_init(&c, im, p, number);
	ret = input_of(&c, 0, &cond);
	if (ret)
		return ret;
	t = cond == NC_NONE ? NULL : im->g->tensor[cond];
	if (!t || t->dtype != NPU_GRAPH_BOOL || t->elems != 1)
		return refuse_control(&c, -EINVAL, "the condition must be one truth value", "");
	yes = outputs_of(&c, "then_branch");
	no = outputs_of(&c, "else_branch");
	if (!yes || !no)
		return nc_onnx_no_memory(im);
	if (nc_known(im->g, t)) {
		bool taken = *(const uint8_t *)t->data;

		ret = branch(&c, taken ? "then_branch" : "else_branch", yes);
		for (size_t i = 0; !ret && i < p->n_output; i++)
			set_output(&c, i, yes[i]);
		return ret;
	}
	ret = branch(&c, "then_branch", yes);
	ret = ret ? ret : branch(&c, "else_branch", no);
	return ret ? ret : choose(&c, cond, yes, no);
}

/* ---- Loop ---- */

/**
 * struct loop - a Loop being unrolled
 * @carried: number of tensors that go from one iteration to the next
 * @scans: number of outputs that collect a value of each iteration
 * @state: @carried tensors
 * @out: outputs of the body
 * @scan: of each iteration @scans tensors
 */
struct loop {
	struct control c;
	const Onnx__GraphProto *body;
	int64_t trips;
	size_t carried, scans;
	uint32_t *state, *out, *scan;
	size_t scan_room;
};

/* A constant truth value or number. */
static int known_value(const struct control *c, uint32_t tensor, int64_t *value)
{
	struct nc_tensor *t = c->im->g->tensor[tensor];

	if (t->elems != 1 || (t->dtype != NPU_GRAPH_BOOL && t->dtype != NPU_GRAPH_I64))
		return refuse_control(c, -EINVAL,
				      "trip count and condition must be an int64 and a truth value",
				      "");
	if (!nc_known(c->im->g, t))
		return refuse_control(c, -ENOTSUP,
				      "its number of iterations depends on the data of a run; it must be known while compiling",
				      "");
	*value = t->dtype == NPU_GRAPH_BOOL ? *(const uint8_t *)t->data :
					      *(const int64_t *)t->data;
	return 0;
}

static int loop_get(struct loop *l, bool *go)
{
	struct control *c = &l->c;
	int64_t first = 1;
	uint32_t m, cond;
	int ret = input_of(c, 0, &m);

	ret = ret ? ret : input_of(c, 1, &cond);
	l->trips = INT64_MAX;
	if (!ret && m != NC_NONE)
		ret = known_value(c, m, &l->trips);
	if (!ret && cond != NC_NONE)
		ret = known_value(c, cond, &first);
	*go = first;
	l->body = body_of(c, "body");
	l->carried = c->p->n_input > 2 ? c->p->n_input - 2 : 0;
	if (!ret && (!l->body || l->body->n_input != 2 + l->carried ||
		     l->body->n_output < 1 + l->carried ||
		     c->p->n_output > l->body->n_output - 1))
		ret = refuse_control(c, -EINVAL, "its inputs and outputs do not fit its body", "");
	if (ret)
		return ret;
	l->scans = l->body->n_output - 1 - l->carried;
	l->state = nc_alloc_array(c->im->g->arena, l->carried, sizeof(*l->state));
	l->out = nc_alloc_array(c->im->g->arena, l->body->n_output, sizeof(*l->out));
	if (!l->state || !l->out)
		return nc_onnx_no_memory(c->im);
	for (size_t i = 0; !ret && i < l->carried; i++) {
		ret = input_of(c, 2 + i, &l->state[i]);
		if (!ret && l->state[i] == NC_NONE)
			ret = refuse_control(c, -EINVAL, "a state has no value before the loop", "");
	}
	return ret;
}

/* What one iteration sees: its number, that it runs, and the state. */
static int bind_iteration(struct loop *l, struct nc_onnx_import *in, int64_t i)
{
	static const uint8_t truth = 1;
	uint32_t number = nc_x_reshape(&l->c.e, nc_x_ints(&l->c.e, &i, 1), 0, NULL);
	int ret = nc_x_done(&l->c.e);

	ret = ret ? ret : nc_onnx_define(in, l->body->input[0]->name, number);
	ret = ret ? ret : nc_onnx_define(in, l->body->input[1]->name,
					 nc_graph_const(in->g, NULL, NPU_GRAPH_BOOL, 0, NULL,
							&truth));
	for (size_t k = 0; !ret && k < l->carried; k++)
		ret = nc_onnx_define(in, l->body->input[2 + k]->name, l->state[k]);
	return ret;
}

/* Room for the collected values of iteration @i. */
static int grow_scan(struct loop *l, int64_t i)
{
	size_t need = ((size_t)i + 1) * l->scans;
	uint32_t *more;

	if (need <= l->scan_room)
		return 0;
	more = nc_alloc_array(l->c.im->g->arena, 2 * need, sizeof(*more));
	if (!more)
		return nc_onnx_no_memory(l->c.im);
	if (l->scan_room)
		memcpy(more, l->scan, (size_t)i * l->scans * sizeof(*more));
	l->scan = more;
	l->scan_room = 2 * need;
	return 0;
}

static int iterate(struct loop *l, int64_t i, bool *go)
{
	const struct nc_expand *e = &l->c.e;
	struct nc_onnx_import in;
	int64_t cond = 0;
	int ret = enter(&l->c, l->body, &in);

	ret = ret ? ret : bind_iteration(l, &in, i);
	ret = ret ? ret : run(&l->c, &in, l->out);
	ret = ret ? ret : grow_scan(l, i);
	ret = ret ? ret : known_value(&l->c, l->out[0], &cond);
	if (ret)
		return ret;
	*go = cond;
	if (l->carried)
		memcpy(l->state, l->out + 1, l->carried * sizeof(*l->state));
	for (size_t k = 0; k < l->scans; k++)
		l->scan[(size_t)i * l->scans + k] =
			nc_x_2(e, NC_OP_Unsqueeze, l->out[1 + l->carried + k],
			       nc_x_ints(e, (const int64_t[]){ 0 }, 1));
	return nc_x_done(e);
}

static int collect_scans(struct loop *l, int64_t iterations)
{
	const struct nc_expand *e = &l->c.e;
	uint32_t *list;

	for (size_t k = 0; k < l->scans && l->carried + k < l->c.p->n_output; k++) {
		if (!iterations)
			return refuse_control(&l->c, -ENOTSUP,
					      "it never runs, so that the shape of this output is not known: ",
					      l->c.p->output[l->carried + k]);
		list = nc_x_alloc(e, iterations, sizeof(*list));
		for (int64_t i = 0; list && i < iterations; i++)
			list[i] = l->scan[(size_t)i * l->scans + k];
		if (list)
			set_output(&l->c, l->carried + k,
				   nc_x_concat(e, 0, (uint32_t)iterations, list));
	}
	return nc_x_done(e);
}

int nc_onnx_loop(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number)
{
	struct loop l = { .scan = NULL };
	int64_t i = 0;
	bool go;
	int ret;

	control_init(&l.c, im, p, number);
	ret = loop_get(&l, &go);
	for (; !ret && go && i < l.trips; i++) {
		if (i == ITERATIONS_MAX)
			return refuse_control(&l.c, -E2BIG, "has more than 65536 iterations", "");
		ret = iterate(&l, i, &go);
	}
	for (size_t k = 0; !ret && k < l.carried; k++)
		set_output(&l.c, k, l.state[k]);
	return ret ? ret : collect_scans(&l, i);
}

/* ---- Scan ---- */

/**
 * struct scan - a Scan being unrolled
 * @states: tensors that go from one iteration to the next
 * @ins: inputs that give an element to each iteration
 * @outs: outputs that collect an element of each
 * @steps: iterations
 * @input: all inputs; states change
 * @out: outputs of the body
 * @list: of each collected output @steps tensors
 */
struct scan {
	struct control c;
	const Onnx__GraphProto *body;
	size_t states, ins, outs;
	int64_t steps;
	uint32_t *input, *out, *list;
};

/* All that refer to the call of a function must be right, for attribute(). */
static int check_attributes(const struct control *c)
{
	const Onnx__AttributeProto *value;
	int ret = 0;

	for (size_t i = 0; !ret && i < c->p->n_attribute; i++)
		ret = nc_onnx_resolve(c->im, c->p->attribute[i], &value);
	return ret;
}

static const Onnx__AttributeProto *attribute(const struct control *c, const char *name)
{
	const Onnx__AttributeProto *value = NULL;

	for (size_t i = 0; i < c->p->n_attribute; i++)
		if (!strcmp(nc_onnx_text(c->p->attribute[i]->name), name) &&
		    nc_onnx_resolve(c->im, c->p->attribute[i], &value))
			return NULL;
	return value;
}

/* Entry @i of a list that may be missing: 0. */
static int64_t entry(const struct control *c, const char *name, size_t i)
{
	const Onnx__AttributeProto *a = attribute(c, name);

	return a && i < a->n_ints ? a->ints[i] : 0;
}

/* The elements of a sequence, along its axis: what all have as many of. */
static int scan_steps(struct scan *s, size_t i)
{
	const struct nc_tensor *t = nc_x_get(&s->c.e, s->input[s->states + i]);
	int axis = nc_axis(s->c.im->g, &s->c.n, entry(&s->c, "scan_input_axes", i), t->rank);

	if (axis < 0)
		return axis;
	if (i && t->dim[axis] != s->steps)
		return refuse_control(&s->c, -EINVAL, "its sequences have different lengths", "");
	s->steps = t->dim[axis];
	if (s->steps < 1 || s->steps > ITERATIONS_MAX)
		return refuse_control(&s->c, -E2BIG, "has no iterations, or more than 65536", "");
	return 0;
}

static int scan_get(struct scan *s)
{
	struct control *c = &s->c;
	const Onnx__AttributeProto *count = attribute(c, "num_scan_inputs");
	struct nc_arena *arena = c->im->g->arena;
	size_t n = c->p->n_input;
	int ret = 0;

	s->body = body_of(c, "body");
	s->ins = count && count->i > 0 ? (size_t)count->i : 0;
	if (!s->body || !s->ins || s->ins > n || s->body->n_input != n ||
	    s->body->n_output < n - s->ins || c->p->n_output > s->body->n_output)
		return refuse_control(c, -EINVAL, "its inputs and outputs do not fit its body", "");
	s->states = n - s->ins;
	s->outs = s->body->n_output - s->states;
	s->input = nc_alloc_array(arena, n, sizeof(*s->input));
	s->out = nc_alloc_array(arena, s->body->n_output, sizeof(*s->out));
	if (!s->input || !s->out)
		return nc_onnx_no_memory(c->im);
	for (size_t i = 0; !ret && i < n; i++) {
		ret = input_of(c, i, &s->input[i]);
		if (!ret && s->input[i] == NC_NONE)
			ret = refuse_control(c, -EINVAL, "an input is missing", "");
	}
	for (size_t i = 0; !ret && i < s->ins; i++)
		ret = scan_steps(s, i);
	if (ret)
		return ret;
	s->list = nc_alloc_array(arena, s->outs * (size_t)s->steps, sizeof(*s->list));
	return s->list ? 0 : nc_onnx_no_memory(c->im);
}

/* Element @step of sequence @i. */
static uint32_t scan_element(const struct scan *s, size_t i, int64_t step)
{
	const struct nc_expand *e = &s->c.e;
	uint32_t t = s->input[s->states + i];
	int64_t axis = entry(&s->c, "scan_input_axes", i);

	if (axis < 0)
		axis += nc_x_get(e, t)->rank;
	if (entry(&s->c, "scan_input_directions", i))
		step = s->steps - 1 - step;
	return nc_x_2(e, NC_OP_Squeeze, nc_x_slice(e, t, (unsigned int)axis, step, step + 1, 1),
		      nc_x_ints(e, &axis, 1));
}

static int scan_step(struct scan *s, int64_t step)
{
	const struct nc_expand *e = &s->c.e;
	struct nc_onnx_import in;
	int ret = enter(&s->c, s->body, &in);

	for (size_t i = 0; !ret && i < s->states + s->ins; i++) {
		uint32_t t = i < s->states ? s->input[i] : scan_element(s, i - s->states, step);

		ret = nc_x_done(e);
		ret = ret ? ret : nc_onnx_define(&in, s->body->input[i]->name, t);
	}
	ret = ret ? ret : run(&s->c, &in, s->out);
	if (ret)
		return ret;
	if (s->states)
		memcpy(s->input, s->out, s->states * sizeof(*s->input));
	for (size_t k = 0; k < s->outs; k++) {
		bool back = entry(&s->c, "scan_output_directions", k);
		int64_t axis = entry(&s->c, "scan_output_axes", k);
		int64_t at = back ? s->steps - 1 - step : step;

		s->list[k * (size_t)s->steps + (size_t)at] =
			nc_x_2(e, NC_OP_Unsqueeze, s->out[s->states + k], nc_x_ints(e, &axis, 1));
	}
	return nc_x_done(e);
}

int nc_onnx_scan_node(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number)
{
	struct scan s = { .body = NULL };
	int ret;

	control_init(&s.c, im, p, number);
	if (im->opset < 9)
		return refuse_control(&s.c, -ENOTSUP,
				      "before opset 9 it runs over a batch; convert the model to opset 9",
				      "");
	ret = check_attributes(&s.c);
	ret = ret ? ret : scan_get(&s);
	for (int64_t i = 0; !ret && i < s.steps; i++)
		ret = scan_step(&s, i);
	for (size_t k = 0; !ret && k < s.states; k++)
		set_output(&s.c, k, s.input[k]);
	for (size_t k = 0; !ret && k < s.outs; k++) {
		const uint32_t *list = s.list + k * (size_t)s.steps;

		set_output(&s.c, s.states + k,
			   nc_x_concat(&s.c.e, (int)entry(&s.c, "scan_output_axes", k),
				       (uint32_t)s.steps, list));
		ret = nc_x_done(&s.c.e);
	}
	return ret;
}
