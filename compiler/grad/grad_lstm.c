/* SPDX-License-Identifier: MIT */
/*
 * LSTM, back through time. What every step needs of the forward pass is computed for
 * all steps at once: the gates, from the kept states by two products, and the factors
 * that turn the gradients of h and c into those of the gates' sums. What is left of a
 * step is a few products of elements and one of matrices. The gradients of weights and
 * input are products over all steps again.
 */
#include "grad.h"

#include <string.h>

#include "graph/activation.h"

/* In the order of ONNX's weights. */
enum gate { GATE_I, GATE_O, GATE_F, GATE_C, GATES };
enum func { FUNC_F, FUNC_G, FUNC_H, FUNCS };

/**
 * struct lstm - one LSTM node, direction by direction
 * @x: [steps, batch, features]
 * @y: all states, @c: all cells: [steps, directions, batch, hidden]
 * @dx: gradient of @x so far, or NC_NONE
 * @dw: @dr: @db: @dh0: @dc0: gradients of each direction
 */
struct lstm {
	const struct nc_grad *d;
	const struct nc_expand *e;
	int64_t steps, batch, features, hidden, dirs;
	struct nc_activation act[2 * FUNCS];
	unsigned int dir;
	bool reverse;
	uint32_t x, y, c;
	uint32_t dx, dw[2], dr[2], db[2], dh0[2], dc0[2];
};

/**
 * struct factors - of one direction, for all steps [steps, batch, ...]
 * @before: states before each step [.., hidden]
 * @c_of_h: o h'(c)
 * @keep: the forget gate: how much of a cell's gradient the step before gets
 * @gate: of the gates' sums: of c's gradient, but for GATE_O of h's
 */
struct factors {
	uint32_t before, c_of_h, keep;
	uint32_t gate[GATES];
};

static uint32_t f2(const struct lstm *s, enum nc_opcode code, uint32_t a, uint32_t b)
{
	return nc_x_2(s->e, code, a, b);
}

static uint32_t mul(const struct lstm *s, uint32_t a, uint32_t b)
{
	return f2(s, NC_OP_Mul, a, b);
}

/* This direction of a weight, a bias, or all states, without that axis. */
static uint32_t of_direction(const struct lstm *s, uint32_t t, unsigned int axis)
{
	const struct nc_tensor *w = nc_x_get(s->e, t);
	int64_t dim[NPU_GRAPH_RANK_MAX];

	for (unsigned int i = 0; i + 1 < w->rank; i++)
		dim[i] = w->dim[i + (i >= axis)];
	t = nc_x_slice(s->e, t, axis, s->dir, s->dir + 1, 1);
	return nc_x_reshape(s->e, t, w->rank - 1, dim);
}

static uint32_t transposed(const struct lstm *s, uint32_t t)
{
	static const int64_t swap[] = { 1, 0 };

	return nc_x_transpose(s->e, t, swap);
}

/* Columns of gates @from .. @to - 1. */
static uint32_t gates(const struct lstm *s, uint32_t t, unsigned int from, unsigned int to)
{
	return nc_x_slice(s->e, t, nc_x_get(s->e, t)->rank - 1, from * s->hidden, to * s->hidden,
			  1);
}

/* The state that step 0 starts from, [1, batch, hidden]. */
static uint32_t first_state(const struct lstm *s, uint32_t input)
{
	const int64_t dim[] = { 1, s->batch, s->hidden };
	uint32_t t = nc_x_in(s->e, input);

	if (t != NC_NONE)
		return nc_x_reshape(s->e, nc_x_slice(s->e, t, (unsigned int)nc_grad_int(s->d, "layout"),
						     s->dir, s->dir + 1, 1), 3, dim);
	t = nc_x_ints(s->e, dim, 3);
	return nc_x_node(s->e, NC_OP_ConstantOfShape, NULL, 1, &t);
}

/* What was there before each step: all states @t, moved on by one. */
static uint32_t before(const struct lstm *s, uint32_t t, uint32_t input)
{
	uint32_t part[2] = { first_state(s, input) };

	if (s->steps == 1)
		return part[0];
	if (!s->reverse) {
		part[1] = nc_x_slice(s->e, t, 0, 0, s->steps - 1, 1);
		return nc_x_concat(s->e, 0, 2, part);
	}
	part[1] = part[0];
	part[0] = nc_x_slice(s->e, t, 0, 1, s->steps, 1);
	return nc_x_concat(s->e, 0, 2, part);
}

static uint32_t activate(const struct lstm *s, enum func func, uint32_t t)
{
	const struct nc_activation *a = &s->act[s->dir * FUNCS + func];

	return nc_x_node(s->e, a->n.op->code, a->attr, 1, &t);
}

/* For each element, also where it is the same for all. */
static uint32_t slope(const struct lstm *s, enum func func, uint32_t x, uint32_t y)
{
	uint32_t t = nc_grad_slope(s->d, &s->act[s->dir * FUNCS + func].n, x, y);
	const struct nc_tensor *all = nc_x_get(s->e, y);

	if (nc_x_get(s->e, t)->rank)
		return t;
	return f2(s, NC_OP_Expand, t, nc_x_ints(s->e, all->dim, all->rank));
}

/* Sums of all gates: x W^T + h R^T + Wb + Rb. */
static uint32_t sums(const struct lstm *s, uint32_t h)
{
	uint32_t w = of_direction(s, nc_x_in(s->e, 1), 0), r = of_direction(s, nc_x_in(s->e, 2), 0);
	uint32_t b = nc_x_in(s->e, 3), t;

	t = f2(s, NC_OP_Add, f2(s, NC_OP_MatMul, s->x, transposed(s, w)),
	       f2(s, NC_OP_MatMul, h, transposed(s, r)));
	if (b == NC_NONE)
		return t;
	b = of_direction(s, b, 0);
	b = f2(s, NC_OP_Add, nc_x_slice(s->e, b, 0, 0, GATES * s->hidden, 1),
	       nc_x_slice(s->e, b, 0, GATES * s->hidden, 2 * GATES * s->hidden, 1));
	return f2(s, NC_OP_Add, t, b);
}

static struct factors find_factors(const struct lstm *s)
{
	uint32_t c = of_direction(s, s->c, 1), all, iof, g, h, iof_slope, i, o;
	struct factors k = { .before = before(s, of_direction(s, s->y, 1), 5) };

	all = sums(s, k.before);
	iof = activate(s, FUNC_F, gates(s, all, GATE_I, GATE_C));
	iof_slope = slope(s, FUNC_F, gates(s, all, GATE_I, GATE_C), iof);
	g = activate(s, FUNC_G, gates(s, all, GATE_C, GATES));
	h = activate(s, FUNC_H, c);
	i = gates(s, iof, GATE_I, GATE_I + 1);
	o = gates(s, iof, GATE_O, GATE_O + 1);
	k.keep = gates(s, iof, GATE_F, GATE_F + 1);
	k.c_of_h = mul(s, o, slope(s, FUNC_H, c, h));
	k.gate[GATE_I] = mul(s, g, gates(s, iof_slope, GATE_I, GATE_I + 1));
	k.gate[GATE_O] = mul(s, h, gates(s, iof_slope, GATE_O, GATE_O + 1));
	k.gate[GATE_F] = mul(s, before(s, c, 6), gates(s, iof_slope, GATE_F, GATE_F + 1));
	k.gate[GATE_C] = mul(s, i, slope(s, FUNC_G, gates(s, all, GATE_C, GATES), g));
	return k;
}

/* Step @t of all steps, [batch, columns]. */
static uint32_t step(const struct lstm *s, uint32_t all, int64_t t)
{
	const struct nc_tensor *x = nc_x_get(s->e, all);

	return nc_x_reshape(s->e, nc_x_slice(s->e, all, 0, t, t + 1, 1), 2, x->dim + 1);
}

static uint32_t sum_of(const struct lstm *s, uint32_t a, uint32_t b)
{
	if (a == NC_NONE || b == NC_NONE)
		return a == NC_NONE ? b : a;
	return f2(s, NC_OP_Add, a, b);
}

/* This direction of the gradient of output @i, a last state, or NC_NONE. */
static uint32_t last_gradient(const struct lstm *s, uint32_t i)
{
	const int64_t dim[] = { s->batch, s->hidden };
	uint32_t t = nc_grad_out(s->d, i);

	if (t == NC_NONE)
		return t;
	t = nc_x_slice(s->e, t, (unsigned int)nc_grad_int(s->d, "layout"), s->dir, s->dir + 1, 1);
	return nc_x_reshape(s->e, t, 2, dim);
}

/* Of all states of this direction, [steps, batch, hidden], or NC_NONE. */
static uint32_t states_gradient(const struct lstm *s)
{
	static const int64_t perm[] = { 1, 2, 0, 3 };
	uint32_t t = nc_grad_out(s->d, 0);

	if (t != NC_NONE && nc_grad_int(s->d, "layout"))
		t = nc_x_transpose(s->e, t, perm);
	return t == NC_NONE ? t : of_direction(s, t, 1);
}

/* From the last step to the first; the gradient of the gates' sums, [steps, batch, ..]. */
static uint32_t run(struct lstm *s, const struct factors *k)
{
	const int64_t row[] = { 1, s->batch, GATES * s->hidden };
	uint32_t r = of_direction(s, nc_x_in(s->e, 2), 0), dy = states_gradient(s);
	uint32_t dh = last_gradient(s, 1), dc = last_gradient(s, 2), *all;

	all = nc_x_alloc(s->e, s->steps, sizeof(*all));
	for (int64_t n = s->steps; n-- > 0 && all && !s->e->g->err;) {
		int64_t t = s->reverse ? s->steps - 1 - n : n;
		uint32_t gate[GATES];

		dh = sum_of(s, dh, dy == NC_NONE ? NC_NONE : step(s, dy, t));
		if (dh != NC_NONE)
			dc = sum_of(s, dc, mul(s, dh, step(s, k->c_of_h, t)));
		for (unsigned int g = 0; g < GATES; g++) {
			uint32_t from = g == GATE_O ? dh : dc;
			uint32_t factor = step(s, k->gate[g], t);

			gate[g] = from == NC_NONE ? nc_grad_zeros(s->d, factor) :
						    mul(s, from, factor);
		}
		all[t] = nc_x_concat(s->e, 1, GATES, gate);
		dc = dc == NC_NONE ? dc : mul(s, dc, step(s, k->keep, t));
		dh = f2(s, NC_OP_MatMul, all[t], r);
		all[t] = nc_x_reshape(s->e, all[t], 3, row);
	}
	s->dh0[s->dir] = dh;
	s->dc0[s->dir] = dc;
	return all ? nc_x_concat(s->e, 0, (uint32_t)s->steps, all) : NC_NONE;
}

static uint32_t flat(const struct lstm *s, uint32_t t, int64_t columns)
{
	return nc_x_reshape(s->e, t, 2, (const int64_t[]){ s->steps * s->batch, columns });
}

static void run_direction(struct lstm *s)
{
	const int64_t columns = GATES * s->hidden;
	struct factors k = find_factors(s);
	uint32_t all = run(s, &k), turned, b;

	turned = transposed(s, flat(s, all, columns));
	s->dw[s->dir] = f2(s, NC_OP_MatMul, turned, flat(s, s->x, s->features));
	s->dr[s->dir] = f2(s, NC_OP_MatMul, turned, flat(s, k.before, s->hidden));
	b = nc_x_reduce(s->e, NC_OP_ReduceSum, all, 3);
	b = nc_x_reshape(s->e, b, 1, &columns);
	s->db[s->dir] = nc_x_concat(s->e, 0, 2, (const uint32_t[]){ b, b });
	s->dx = sum_of(s, s->dx, f2(s, NC_OP_MatMul, all, of_direction(s, nc_x_in(s->e, 1), 0)));
}

/* The directions of @part, each with an axis of 1 in place of @axis, as input @i's. */
static void add_directions(const struct lstm *s, uint32_t i, const uint32_t *part,
			   unsigned int axis)
{
	uint32_t t[2];

	if (!nc_grad_wants(s->d, i))
		return;
	for (unsigned int k = 0; k < s->dirs; k++) {
		const struct nc_tensor *x = nc_x_get(s->e, nc_x_in(s->e, i));
		int64_t dim[NPU_GRAPH_RANK_MAX];

		memcpy(dim, x->dim, sizeof(dim));
		dim[axis] = 1;
		t[k] = part[k] == NC_NONE ? nc_grad_zeros(s->d, nc_x_in(s->e, i)) :
					    nc_x_reshape(s->e, part[k], x->rank, dim);
	}
	nc_grad_add(s->d, i, nc_x_concat(s->e, (int)axis, (uint32_t)s->dirs, t));
}

/* The node with all states and cells as outputs, which the forward pass has anyway. */
static void keep_states(struct lstm *s)
{
	static const int64_t perm[] = { 1, 2, 0, 3 };
	const struct nc_node *n = s->e->n;
	struct npu_graph *g = s->e->g;
	struct nc_node *r = nc_node_new(g, nc_op_get(NC_OP_LstmCells),
					g->node[s->d->node]->name, n->ins, 4);

	if (!r)
		return;
	memcpy(r->in, n->in, n->ins * sizeof(*r->in));
	r->attr = n->attr;
	r->attrs = n->attrs;
	for (uint32_t i = 0; i < 4 && !g->err; i++) {
		uint32_t t = i < n->outs ? n->out[i] : NC_NONE;

		if (t == NC_NONE && (i == 0 || i == 3))
			t = (uint32_t)nc_graph_tensor(g, NULL);
		r->out[i] = t;
	}
	if (!g->err)
		g->err = r->op->infer(g, r);
	if (g->err)
		return;
	nc_grad_replace(s->d, r);
	s->y = r->out[0];
	s->c = r->out[3];
	if (nc_grad_int(s->d, "layout"))
		s->y = nc_x_transpose(s->e, s->y, perm);
}

static const char *refusal(const struct nc_grad *d)
{
	const struct nc_expand *e = &d->e;

	if (nc_x_in(e, 4) != NC_NONE)
		return "it has sequence lengths; pad or cut the sequences to one length";
	if (nc_x_in(e, 7) != NC_NONE)
		return "it has peepholes";
	if (nc_grad_float(d, "clip") > 0)
		return "it clips its gates";
	if (nc_grad_int(d, "input_forget"))
		return "its input and forget gates are coupled";
	return NULL;
}

void nc_grad_lstm(const struct nc_grad *d)
{
	static const char *const standard[FUNCS] = { "Sigmoid", "Tanh", "Tanh" };
	static const int64_t swap[] = { 1, 0, 2 };
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, 0));
	const struct nc_tensor *r = nc_x_get(&d->e, nc_x_in(&d->e, 2));
	int64_t layout = nc_grad_int(d, "layout");
	struct lstm s = {
		.d = d, .e = &d->e, .x = nc_x_in(&d->e, 0), .dx = NC_NONE,
		.steps = x->dim[layout], .batch = x->dim[!layout], .features = x->dim[2],
		.hidden = r->dim[2], .dirs = r->dim[0],
	};

	if (refusal(d)) {
		nc_grad_refuse(d, refusal(d));
		return;
	}
	if (nc_activations_get(&d->e.g->diag, d->e.n, (unsigned int)s.dirs, FUNCS, standard, s.act))
		return;
	keep_states(&s);
	if (layout)
		s.x = nc_x_transpose(s.e, s.x, swap);
	for (s.dir = 0; s.dir < s.dirs && !d->e.g->err; s.dir++) {
		s.reverse = s.dir || !strcmp(nc_attr(d->e.n, "direction")->s, "reverse");
		run_direction(&s);
	}
	nc_grad_add(d, 0, layout ? nc_x_transpose(s.e, s.dx, swap) : s.dx);
	add_directions(&s, 1, s.dw, 0);
	add_directions(&s, 2, s.dr, 0);
	add_directions(&s, 3, s.db, 0);
	add_directions(&s, 5, s.dh0, (unsigned int)layout);
	add_directions(&s, 6, s.dc0, (unsigned int)layout);
}
