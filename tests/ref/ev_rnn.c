/* SPDX-License-Identifier: MIT */
/* LSTM, GRU and RNN: one unit of one example at a time. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

#define GATES_MAX	4
#define FUNCS_MAX	3

/**
 * struct act - an activation with its parameters
 */
struct act {
	enum ref_unary_op op;
	struct ref_unary_attr attr;
};

/**
 * struct rnn - a recurrent node
 * @kind: 'L', 'G', 'R'
 * @funcs: activations of a direction
 * @x: the input, [steps, batch, features] or, by @layout, [batch, steps, features]
 * @h: state of one example, @c: of its cell
 */
struct rnn {
	struct ev_call *call;
	char kind;
	int gates, funcs, dirs;
	bool layout, reverse;
	int64_t steps, batch, features, hidden;
	double clip;
	struct act act[2 * FUNCS_MAX];
	double *h, *c, *next, *gated;
};

/* ---- Attributes ---- */

static bool takes_beta(enum ref_unary_op op)
{
	return op == REF_AFFINE || op == REF_SCALED_TANH || op == REF_HARD_SIGMOID;
}

static bool takes_alpha(enum ref_unary_op op)
{
	return takes_beta(op) || op == REF_LEAKY_RELU || op == REF_THRESHOLDED_RELU ||
	       op == REF_ELU;
}

/* Names are compared without regard to case. */
static int find_act(const ProtobufCBinaryData *name)
{
	for (int op = 0; op < REF_UNARY_COUNT; op++) {
		const char *n = ref_unary_name((enum ref_unary_op)op);
		size_t i = 0;

		while (i < name->len && (n[i] | 32) == (name->data[i] | 32))
			i++;
		if (i == name->len && !n[i])
			return op;
	}
	return -1;
}

static int get_acts(struct rnn *s)
{
	const Onnx__AttributeProto *names = ev_attr(s->call, "activations");
	const Onnx__AttributeProto *alpha = ev_attr(s->call, "activation_alpha");
	const Onnx__AttributeProto *beta = ev_attr(s->call, "activation_beta");
	size_t alphas = 0, betas = 0;

	for (int i = 0; i < s->dirs * s->funcs; i++) {
		int op = i % s->funcs || s->kind == 'R' ? REF_TANH : REF_SIGMOID;

		if (names && (size_t)i < names->n_strings)
			op = find_act(&names->strings[i]);
		if (op < 0)
			return ev_bad(s->call, "activation %d", i);
		s->act[i].op = (enum ref_unary_op)op;
		ref_unary_defaults(s->act[i].op, &s->act[i].attr);
		if (takes_alpha(s->act[i].op) && alpha && alphas < alpha->n_floats)
			s->act[i].attr.alpha = alpha->floats[alphas++];
		if (takes_beta(s->act[i].op) && beta && betas < beta->n_floats)
			s->act[i].attr.beta = beta->floats[betas++];
	}
	return 0;
}

static double activate(const struct rnn *s, int dir, int func, double v)
{
	const struct act *a = &s->act[dir * s->funcs + func];

	if (s->clip > 0)
		v = fmax(-s->clip, fmin(s->clip, v));
	if (a->op == REF_THRESHOLDED_RELU)
		return v >= a->attr.alpha ? v : 0;
	return ref_unary_value(a->op, &a->attr, v);
}

/* ---- A step ---- */

static double dot(const double *a, const double *b, int64_t count)
{
	double sum = 0;

	for (int64_t i = 0; i < count; i++)
		sum += a[i] * b[i];
	return sum;
}

static double bias(const struct rnn *s, int dir, int half, int gate, int64_t u)
{
	const struct ev_value *b = s->call->ins > 3 ? s->call->in[3] : NULL;

	return b ? b->v[((2 * dir + half) * s->gates + gate) * s->hidden + u] : 0;
}

static double input_part(const struct rnn *s, int dir, int gate, int64_t u, const double *x)
{
	int64_t row = (dir * s->gates + gate) * s->hidden + u;

	return dot(s->call->in[1]->v + row * s->features, x, s->features) +
		bias(s, dir, 0, gate, u);
}

static double state_part(const struct rnn *s, int dir, int gate, int64_t u, const double *h)
{
	int64_t row = (dir * s->gates + gate) * s->hidden + u;

	return dot(s->call->in[2]->v + row * s->hidden, h, s->hidden) + bias(s, dir, 1, gate, u);
}

static double gate(const struct rnn *s, int dir, int g, int64_t u, const double *x)
{
	return input_part(s, dir, g, u, x) + state_part(s, dir, g, u, s->h);
}

static double peephole(const struct rnn *s, int dir, int which, int64_t u, double c)
{
	const struct ev_value *p = s->call->ins > 7 ? s->call->in[7] : NULL;

	return p ? p->v[(dir * 3 + which) * s->hidden + u] * c : 0;
}

/* Gates in the order i, o, f, c; peepholes i, o, f. */
static double lstm_unit(struct rnn *s, int dir, int64_t u, const double *x)
{
	double i, f, o, c = s->c[u];

	i = activate(s, dir, 0, gate(s, dir, 0, u, x) + peephole(s, dir, 0, u, c));
	f = 1 - i;
	if (!ev_attr_i(s->call, "input_forget", 0))
		f = activate(s, dir, 0, gate(s, dir, 2, u, x) + peephole(s, dir, 2, u, c));
	c = f * c + i * activate(s, dir, 1, gate(s, dir, 3, u, x));
	o = activate(s, dir, 0, gate(s, dir, 1, u, x) + peephole(s, dir, 1, u, c));
	s->c[u] = c;
	return o * activate(s, dir, 2, c);
}

/* Gates in the order z, r, h. */
static double gru_unit(struct rnn *s, int dir, int64_t u, const double *x)
{
	double z = activate(s, dir, 0, gate(s, dir, 0, u, x)), v = input_part(s, dir, 2, u, x);

	if (ev_attr_i(s->call, "linear_before_reset", 0))
		v += activate(s, dir, 0, gate(s, dir, 1, u, x)) *
			state_part(s, dir, 2, u, s->h);
	else
		v += state_part(s, dir, 2, u, s->gated);
	return (1 - z) * activate(s, dir, 1, v) + z * s->h[u];
}

static void step(struct rnn *s, int dir, const double *x)
{
	for (int64_t u = 0; s->kind == 'G' && u < s->hidden; u++)
		s->gated[u] = activate(s, dir, 0, gate(s, dir, 1, u, x)) * s->h[u];
	for (int64_t u = 0; u < s->hidden; u++) {
		if (s->kind == 'L')
			s->next[u] = lstm_unit(s, dir, u, x);
		else if (s->kind == 'G')
			s->next[u] = gru_unit(s, dir, u, x);
		else
			s->next[u] = activate(s, dir, 0, gate(s, dir, 0, u, x));
	}
	memcpy(s->h, s->next, (size_t)s->hidden * sizeof(*s->h));
}

/* ---- The whole ---- */

/* Place of a state in Y_h, Y_c and the initial ones. */
static int64_t state_at(const struct rnn *s, int dir, int64_t n)
{
	return (s->layout ? n * s->dirs + dir : dir * s->batch + n) * s->hidden;
}

static int64_t y_at(const struct rnn *s, int64_t t, int dir, int64_t n)
{
	return (s->layout ? (n * s->steps + t) * s->dirs + dir :
			    (t * s->dirs + dir) * s->batch + n) * s->hidden;
}

static void run_example(struct rnn *s, int dir, int64_t n, double *const *out)
{
	struct ev_call *c = s->call;
	size_t bytes = (size_t)s->hidden * sizeof(double);
	int64_t length = c->ins > 4 && c->in[4] ? (int64_t)c->in[4]->v[n] : s->steps;

	memset(s->h, 0, bytes);
	memset(s->c, 0, bytes);
	if (c->ins > 5 && c->in[5])
		memcpy(s->h, c->in[5]->v + state_at(s, dir, n), bytes);
	if (s->kind == 'L' && c->ins > 6 && c->in[6])
		memcpy(s->c, c->in[6]->v + state_at(s, dir, n), bytes);
	for (int64_t i = 0; i < length; i++) {
		int64_t t = s->reverse || dir ? length - 1 - i : i;
		int64_t at = s->layout ? n * s->steps + t : t * s->batch + n;

		step(s, dir, c->in[0]->v + at * s->features);
		if (out[0])
			memcpy(out[0] + y_at(s, t, dir, n), s->h, bytes);
	}
	if (out[1])
		memcpy(out[1] + state_at(s, dir, n), s->h, bytes);
	if (out[2])
		memcpy(out[2] + state_at(s, dir, n), s->c, bytes);
}

static int optional_shapes(struct rnn *s)
{
	int64_t state[] = { s->layout ? s->batch : s->dirs, s->layout ? s->dirs : s->batch, s->hidden };
	int64_t bias[] = { s->dirs, 2 * s->gates * s->hidden }, peep[] = { s->dirs, 3 * s->hidden };
	struct ev_call *c = s->call;

	if (ev_shaped(c, 3, 2, bias) || ev_shaped(c, 4, 1, &s->batch) || ev_shaped(c, 5, 3, state))
		return -EINVAL;
	return s->kind == 'L' && (ev_shaped(c, 6, 3, state) || ev_shaped(c, 7, 2, peep)) ?
		-EINVAL : 0;
}

static int check(struct rnn *s)
{
	struct ev_call *c = s->call;
	const struct ev_value *x = c->in[0], *w = c->in[1], *r = c->in[2];

	if (x->rank != 3 || w->rank != 3 || r->rank != 3)
		return ev_bad(c, "rank");
	s->layout = ev_attr_i(c, "layout", 0);
	s->steps = x->dims[s->layout];
	s->batch = x->dims[!s->layout];
	s->features = x->dims[2];
	s->hidden = r->dims[2];
	s->dirs = ev_attr_is(c, "direction", "bidirectional", "forward") ? 2 : 1;
	s->reverse = ev_attr_is(c, "direction", "reverse", "forward");
	s->clip = ev_attr_f(c, "clip", 0);
	if (w->dims[0] != s->dirs || r->dims[0] != s->dirs || w->dims[2] != s->features ||
	    w->dims[1] != s->gates * s->hidden || r->dims[1] != w->dims[1])
		return ev_bad(c, "shapes");
	if (optional_shapes(s))
		return -EINVAL;
	for (int64_t n = 0; c->ins > 4 && c->in[4] && n < s->batch; n++)
		if (c->in[4]->v[n] < 0 || c->in[4]->v[n] > (double)s->steps)
			return ev_bad(c, "sequence length");
	return get_acts(s);
}

static int outputs(struct rnn *s, double **out)
{
	int64_t y[] = { s->steps, s->dirs, s->batch, s->hidden };
	int64_t state[] = { s->dirs, s->batch, s->hidden };
	int type = s->call->in[0]->type;

	if (s->layout) {
		memcpy(y, (int64_t[]){ s->batch, s->steps, s->dirs, s->hidden }, sizeof(y));
		memcpy(state, (int64_t[]){ s->batch, s->dirs, s->hidden }, sizeof(state));
	}
	for (unsigned int i = 0; i < s->call->outs && i < 3; i++) {
		out[i] = ev_out(s->call, i, type, i ? 3 : 4, i ? state : y);
		if (!out[i])
			return -EINVAL;
	}
	return 0;
}

static int run_recurrent(struct ev_call *c)
{
	struct rnn s = { .call = c, .kind = *c->node->op_type };
	int ret = ev_need(c, 3);
	double *out[3] = { NULL };

	s.gates = s.kind == 'L' ? 4 : s.kind == 'G' ? 3 : 1;
	s.funcs = s.kind == 'L' ? 3 : s.kind == 'G' ? 2 : 1;
	ret = ret ? ret : check(&s);
	ret = ret ? ret : outputs(&s, out);
	if (ret)
		return ret;
	s.h = calloc((size_t)(4 * s.hidden) + 1, sizeof(double));
	if (!s.h)
		return -ENOMEM;
	s.c = s.h + s.hidden;
	s.next = s.c + s.hidden;
	s.gated = s.next + s.hidden;
	for (int dir = 0; dir < s.dirs; dir++)
		for (int64_t n = 0; n < s.batch; n++)
			run_example(&s, dir, n, out);
	free(s.h);
	return 0;
}

const struct ev_op ev_ops_rnn[] = {
	{ "LSTM", run_recurrent, false },
	{ "GRU", run_recurrent, false },
	{ "RNN", run_recurrent, false },
	{ NULL, NULL, false }
};
