/* SPDX-License-Identifier: MIT */
/*
 * RNN and GRU, unrolled over time. The input's part of all steps is one
 * product. A step is one product with the state and what is made of it; Y is
 * the concatenation of the states, which are computed at their places in it.
 */
#include <errno.h>
#include <string.h>

#include "graph/activation.h"
#include "expand.h"

/**
 * struct rnn - one node, direction by direction
 * @x: [steps, batch, features]
 * @r: recurrence weights of this direction [gates hidden, hidden]
 * @rb: bias of the recurrence that the reset gate sees too, or NC_NONE
 * @proj: x W^T + biases of this direction [steps, batch, gates hidden]
 */
struct rnn {
	const struct nc_expand *e;
	int64_t steps, batch, hidden, dirs, gates;
	bool layout, linear_before_reset;
	float clip;
	struct nc_activation act[NC_ACTIVATIONS_MAX];
	unsigned int dir;
	uint32_t x, r, rb, proj;
};

/* Direction @dir of a weight or bias, without that axis. */
static uint32_t of_direction(const struct rnn *s, uint32_t t)
{
	const struct nc_tensor *w = nc_x_get(s->e, t);

	return nc_x_reshape(s->e, nc_x_slice(s->e, t, 0, s->dir, s->dir + 1, 1), w->rank - 1,
			    w->dim + 1);
}

static uint32_t activate(const struct rnn *s, unsigned int func, uint32_t t)
{
	unsigned int per = s->gates == 1 ? 1 : 2;
	const struct nc_activation *a = &s->act[s->dir * per + func];

	if (s->clip > 0)
		t = nc_x_node(s->e, NC_OP_Clip, NULL, 3,
			      (const uint32_t[]){ t, nc_x_float(s->e, -s->clip),
						  nc_x_float(s->e, s->clip) });
	return nc_x_node(s->e, a->n.op->code, a->attr, 1, &t);
}

/* Columns of gates @from .. @to - 1 of a matrix. */
static uint32_t gates(const struct rnn *s, uint32_t t, int64_t from, int64_t to)
{
	return nc_x_slice(s->e, t, nc_x_get(s->e, t)->rank - 1, from * s->hidden,
			  to * s->hidden, 1);
}

/* h r^T + c */
static uint32_t recur(const struct rnn *s, uint32_t h, uint32_t r, uint32_t c)
{
	return nc_x_node(s->e, NC_OP_Gemm, NC_X_ATTRS(NC_X_INT("transB", 1)), 3,
			 (const uint32_t[]){ h, r, c });
}

/* Gates in ONNX's order: update, reset, hidden. */
static uint32_t gru_step(const struct rnn *s, uint32_t x, uint32_t h)
{
	const struct nc_expand *e = s->e;
	uint32_t zr, z, reset, hidden, all;

	if (s->linear_before_reset) {
		all = recur(s, h, s->r, s->rb);
		zr = nc_x_2(e, NC_OP_Add, gates(s, all, 0, 2), gates(s, x, 0, 2));
		zr = activate(s, 0, zr);
		reset = nc_x_2(e, NC_OP_Mul, gates(s, zr, 1, 2), gates(s, all, 2, 3));
		hidden = nc_x_2(e, NC_OP_Add, reset, gates(s, x, 2, 3));
	} else {
		uint32_t rows = nc_x_slice(e, s->r, 0, 0, 2 * s->hidden, 1);

		zr = activate(s, 0, recur(s, h, rows, gates(s, x, 0, 2)));
		reset = nc_x_2(e, NC_OP_Mul, gates(s, zr, 1, 2), h);
		rows = nc_x_slice(e, s->r, 0, 2 * s->hidden, 3 * s->hidden, 1);
		hidden = recur(s, reset, rows, gates(s, x, 2, 3));
	}
	hidden = activate(s, 1, hidden);
	z = gates(s, zr, 0, 1);
	hidden = nc_x_2(e, NC_OP_Mul, nc_x_2(e, NC_OP_Sub, nc_x_float(e, 1), z), hidden);
	return nc_x_2(e, NC_OP_Add, hidden, nc_x_2(e, NC_OP_Mul, z, h));
}

static uint32_t zeros(const struct rnn *s, unsigned int rank, const int64_t *dim)
{
	uint32_t shape = nc_x_ints(s->e, dim, rank);

	return nc_x_node(s->e, NC_OP_ConstantOfShape, NULL, 1, &shape);
}

/*
 * Biases of input and recurrence add up, but for the hidden gate's where the
 * reset gate comes in between.
 */
static uint32_t biases(struct rnn *s)
{
	const struct nc_expand *e = s->e;
	uint32_t b = nc_x_in(e, 3), wb, rb;

	s->rb = NC_NONE;
	if (b == NC_NONE)
		return NC_NONE;
	b = of_direction(s, b);
	wb = gates(s, b, 0, s->gates);
	rb = gates(s, b, s->gates, 2 * s->gates);
	if (!s->linear_before_reset)
		return nc_x_2(e, NC_OP_Add, wb, rb);
	s->rb = rb;
	return wb;
}

/* The input's part of all steps. */
static void project(struct rnn *s)
{
	static const int64_t swap[] = { 1, 0 };
	const struct nc_expand *e = s->e;
	uint32_t b = biases(s);

	s->r = of_direction(s, nc_x_in(e, 2));
	s->proj = nc_x_2(e, NC_OP_MatMul, s->x,
			 nc_x_transpose(e, of_direction(s, nc_x_in(e, 1)), swap));
	if (b != NC_NONE)
		s->proj = nc_x_2(e, NC_OP_Add, s->proj, b);
}

/* Is step @t inside of each sequence? [batch, 1], or NC_NONE: always. */
static uint32_t inside(const struct rnn *s, int64_t t)
{
	const int64_t dim[] = { s->batch, 1 };
	uint32_t len = nc_x_in(s->e, 4), step;

	if (len == NC_NONE)
		return NC_NONE;
	step = nc_x_cast(s->e, nc_x_ints(s->e, &t, 1), nc_x_get(s->e, len)->dtype);
	return nc_x_2(s->e, NC_OP_Less, step, nc_x_reshape(s->e, len, 2, dim));
}

/* The state before the first step. */
static uint32_t first_state(const struct rnn *s)
{
	const int64_t dim[] = { s->batch, s->hidden };
	uint32_t h = nc_x_in(s->e, 5);

	if (h == NC_NONE)
		return zeros(s, 2, dim);
	return nc_x_reshape(s->e, nc_x_slice(s->e, h, s->layout, s->dir, s->dir + 1, 1), 2, dim);
}

/* All steps of a direction; their states go to @y, the last one is returned. */
static uint32_t run_direction(struct rnn *s, bool reverse, uint32_t *y)
{
	const int64_t dim[] = { 1, 1, s->batch, s->hidden };
	const int64_t row[] = { s->batch, s->gates * s->hidden };
	uint32_t h = first_state(s);

	project(s);
	for (int64_t i = 0; i < s->steps && !s->e->g->err; i++) {
		int64_t t = reverse ? s->steps - 1 - i : i;
		uint32_t x = nc_x_slice(s->e, s->proj, 0, t, t + 1, 1), next, seen;

		x = nc_x_reshape(s->e, x, 2, row);
		next = s->gates == 1 ? activate(s, 0, recur(s, h, s->r, x)) : gru_step(s, x, h);
		seen = inside(s, t);
		y[t] = next;
		/* Beyond a sequence's end the state stays and Y is 0. */
		if (seen != NC_NONE) {
			y[t] = nc_x_where(s->e, seen, next, nc_x_float(s->e, 0));
			next = nc_x_where(s->e, seen, next, h);
		}
		h = next;
		y[t] = nc_x_reshape(s->e, y[t], 4, dim);
	}
	return h;
}

static int get(struct rnn *s)
{
	static const char *const standard[][2] = { { "Tanh", NULL }, { "Sigmoid", "Tanh" } };
	static const int64_t swap[] = { 1, 0, 2 };
	const struct nc_expand *e = s->e;
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *r = nc_x_get(e, nc_x_in(e, 2));

	s->layout = nc_attr(e->n, "layout")->i;
	s->linear_before_reset = nc_attr(e->n, "linear_before_reset")->i;
	s->clip = nc_attr(e->n, "clip")->f;
	s->gates = e->n->op->arg;
	s->steps = x->dim[s->layout];
	s->batch = x->dim[!s->layout];
	s->dirs = r->dim[0];
	s->hidden = r->dim[2];
	s->x = nc_x_in(e, 0);
	if (s->layout)
		s->x = nc_x_transpose(e, s->x, swap);
	return nc_activations_get(&e->g->diag, e->n, (unsigned int)s->dirs,
				  s->gates == 1 ? 1 : 2, standard[s->gates > 1], s->act);
}

/* The same in fp32, between casts of everything but the lengths. */
static int half_precision(const struct nc_expand *e)
{
	struct nc_node *n = nc_node_new(e->g, e->n->op, e->n->name, e->n->ins, e->n->outs);
	enum npu_graph_dtype dtype = nc_x_get(e, nc_x_in(e, 0))->dtype;

	if (!n)
		return nc_x_done(e);
	n->type = e->n->type;
	n->number = e->n->number;
	n->attr = e->n->attr;
	n->attrs = e->n->attrs;
	for (uint32_t i = 0; i < n->ins; i++)
		n->in[i] = i == 4 ? nc_x_in(e, i) : nc_x_cast(e, nc_x_in(e, i), NPU_GRAPH_F32);
	for (uint32_t i = 0; i < n->outs && !e->g->err; i++)
		n->out[i] = nc_x_wanted(e, i) ? (uint32_t)nc_graph_tensor(e->g, NULL) : NC_NONE;
	if (!e->g->err)
		nc_graph_node(e->g, n);
	for (uint32_t i = 0; i < n->outs && !e->g->err; i++)
		if (nc_x_wanted(e, i))
			nc_x_result(e, i, nc_x_cast(e, n->out[i], dtype));
	return nc_x_done(e);
}

int nc_expand_lstm(const struct nc_expand *e)
{
	bool fp32 = nc_x_get(e, nc_x_in(e, 0))->dtype == NPU_GRAPH_F32;

	return fp32 ? NC_EXPAND_KEEP : half_precision(e);
}

int nc_expand_rnn(const struct nc_expand *e)
{
	static const int64_t y_perm[] = { 2, 0, 1, 3 }, h_perm[] = { 1, 0, 2 };
	const char *direction = nc_attr(e->n, "direction")->s;
	struct rnn s = { .e = e };
	uint32_t *steps, y[2], y_h[2];
	int ret;

	if (nc_x_get(e, nc_x_in(e, 0))->dtype != NPU_GRAPH_F32)
		return half_precision(e);
	ret = get(&s);
	if (ret)
		return ret;
	steps = nc_x_alloc(e, s.steps, sizeof(*steps));
	if (!steps)
		return nc_x_done(e);
	for (s.dir = 0; s.dir < s.dirs; s.dir++) {
		const int64_t dim[] = { 1, s.batch, s.hidden };
		bool reverse = s.dir || !strcmp(direction, "reverse");

		y_h[s.dir] = nc_x_reshape(e, run_direction(&s, reverse, steps), 3, dim);
		y[s.dir] = nc_x_concat(e, 0, (uint32_t)s.steps, steps);
	}
	y[0] = nc_x_concat(e, 1, (uint32_t)s.dirs, y);
	y_h[0] = nc_x_concat(e, 0, (uint32_t)s.dirs, y_h);
	nc_x_result(e, 0, s.layout ? nc_x_transpose(e, y[0], y_perm) : y[0]);
	nc_x_result(e, 1, s.layout ? nc_x_transpose(e, y_h[0], h_perm) : y_h[0]);
	return nc_x_done(e);
}
