// SPDX-License-Identifier: MIT
/* LSTM with every attribute of the ONNX operator. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ref_priv.h"

enum gate { GATE_I, GATE_O, GATE_F, GATE_C, GATE_COUNT };
enum func { FUNC_F, FUNC_G, FUNC_H, FUNC_COUNT };

struct activation {
	enum ref_unary_op op;
	struct ref_unary_attr attr;
};

/* Everything one run needs; pointers are into the caller's tensors. */
struct lstm {
	const struct ref_lstm *attr;
	const struct ref_lstm_inputs *in;
	int64_t seq, batch, input, hidden, dirs;
	struct activation act[2][FUNC_COUNT];
	double *h, *c, *next_h, *next_c; /* one batch entry, hidden each */
};

static bool takes_alpha(enum ref_unary_op op)
{
	return op == REF_AFFINE || op == REF_LEAKY_RELU ||
	       op == REF_THRESHOLDED_RELU || op == REF_SCALED_TANH ||
	       op == REF_HARD_SIGMOID || op == REF_ELU;
}

static bool takes_beta(enum ref_unary_op op)
{
	return op == REF_AFFINE || op == REF_SCALED_TANH ||
	       op == REF_HARD_SIGMOID;
}

static bool is_activation(enum ref_unary_op op)
{
	return takes_alpha(op) || op == REF_RELU || op == REF_TANH ||
	       op == REF_SIGMOID || op == REF_SOFTSIGN || op == REF_SOFTPLUS;
}

static int lstm_activations(struct lstm *l)
{
	static const enum ref_unary_op defaults[FUNC_COUNT] = {
		[FUNC_F] = REF_SIGMOID, [FUNC_G] = REF_TANH, [FUNC_H] = REF_TANH,
	};
	const struct ref_lstm *attr = l->attr;
	int alphas = 0, betas = 0;

	if (attr->alpha_count < 0 || attr->beta_count < 0 ||
	    (attr->alpha_count && !attr->activation_alpha) ||
	    (attr->beta_count && !attr->activation_beta))
		return -EINVAL;
	for (int i = 0; i < l->dirs * FUNC_COUNT; i++) {
		struct activation *act = &l->act[i / FUNC_COUNT][i % FUNC_COUNT];

		act->op = attr->activations ? attr->activations[i] :
					      defaults[i % FUNC_COUNT];
		if (!is_activation(act->op))
			return -EINVAL;
		ref_unary_defaults(act->op, &act->attr);
		if (takes_alpha(act->op) && alphas < attr->alpha_count)
			act->attr.alpha = attr->activation_alpha[alphas++];
		if (takes_beta(act->op) && betas < attr->beta_count)
			act->attr.beta = attr->activation_beta[betas++];
	}
	return 0;
}

static bool has_shape(const struct ref_tensor *t, int rank, int64_t d0,
		      int64_t d1, int64_t d2)
{
	int64_t want[] = { d0, d1, d2 };

	return ref_valid(t) && t->rank == rank &&
	       !memcmp(t->dims, want, (size_t)rank * sizeof(*want));
}

static bool state_fits(const struct lstm *l, const struct ref_tensor *t)
{
	if (!t)
		return true;
	if (l->attr->layout)
		return has_shape(t, 3, l->batch, l->dirs, l->hidden);
	return has_shape(t, 3, l->dirs, l->batch, l->hidden);
}

static int lstm_check(struct lstm *l)
{
	const struct ref_lstm_inputs *in = l->in;
	const struct ref_lstm *attr = l->attr;

	if ((int)attr->direction < 0 || attr->direction > REF_BIDIRECTIONAL ||
	    (attr->layout != 0 && attr->layout != 1) || !(attr->clip >= 0) ||
	    !ref_valid(in->x) || in->x->rank != 3 || !ref_valid(in->r) ||
	    in->r->rank != 3)
		return -EINVAL;
	l->seq = in->x->dims[attr->layout ? 1 : 0];
	l->batch = in->x->dims[attr->layout ? 0 : 1];
	l->input = in->x->dims[2];
	l->hidden = in->r->dims[2];
	l->dirs = attr->direction == REF_BIDIRECTIONAL ? 2 : 1;
	if (l->hidden < 1 ||
	    (attr->hidden_size && attr->hidden_size != l->hidden) ||
	    !has_shape(in->w, 3, l->dirs, 4 * l->hidden, l->input) ||
	    !has_shape(in->r, 3, l->dirs, 4 * l->hidden, l->hidden) ||
	    (in->b && !has_shape(in->b, 2, l->dirs, 8 * l->hidden, 0)) ||
	    (in->p && !has_shape(in->p, 2, l->dirs, 3 * l->hidden, 0)) ||
	    !state_fits(l, in->initial_h) || !state_fits(l, in->initial_c))
		return -EINVAL;
	for (int64_t n = 0; in->sequence_lens && n < l->batch; n++)
		if (in->sequence_lens[n] < 0 || in->sequence_lens[n] > l->seq)
			return -EINVAL;
	return 0;
}

/* Clips where asked for, then applies f, g or h. */
static double activate(const struct lstm *l, int64_t dir, enum func func,
		       double x)
{
	const struct activation *act = &l->act[dir][func];
	double clip = l->attr->clip;

	if (clip > 0)
		x = ref_max(-clip, ref_min(clip, x));
	if (act->op == REF_THRESHOLDED_RELU)
		return x >= act->attr.alpha ? x : 0;
	return ref_unary_value(act->op, &act->attr, x);
}

/* x W^T + h R^T + Wb + Rb of one gate of one unit. */
static double gate_sum(const struct lstm *l, int64_t dir, enum gate gate,
		       int64_t unit, const float *x)
{
	const struct ref_lstm_inputs *in = l->in;
	int64_t row = gate * l->hidden + unit;
	const float *w = in->w->data + (dir * 4 * l->hidden + row) * l->input;
	const float *r = in->r->data + (dir * 4 * l->hidden + row) * l->hidden;
	double acc = 0;

	for (int64_t i = 0; i < l->input; i++)
		acc += (double)x[i] * w[i];
	for (int64_t i = 0; i < l->hidden; i++)
		acc += l->h[i] * r[i];
	if (in->b) {
		const float *b = in->b->data + dir * 8 * l->hidden;

		acc += (double)b[row] + b[4 * l->hidden + row];
	}
	return acc;
}

/* The peephole weight of a gate: P has its own order, i, o, f. */
static double peephole(const struct lstm *l, int64_t dir, enum gate gate,
		       int64_t unit)
{
	if (!l->in->p)
		return 0;
	return l->in->p->data[(dir * 3 + gate) * l->hidden + unit];
}

/* One time step: h and c move on. */
static void lstm_step(struct lstm *l, int64_t dir, const float *x)
{
	double *swap;

	for (int64_t u = 0; u < l->hidden; u++) {
		double i, o, f, g;

		i = gate_sum(l, dir, GATE_I, u, x) +
		    peephole(l, dir, GATE_I, u) * l->c[u];
		i = activate(l, dir, FUNC_F, i);
		f = gate_sum(l, dir, GATE_F, u, x) +
		    peephole(l, dir, GATE_F, u) * l->c[u];
		f = l->attr->input_forget ? 1 - i :
					    activate(l, dir, FUNC_F, f);
		g = activate(l, dir, FUNC_G, gate_sum(l, dir, GATE_C, u, x));
		l->next_c[u] = f * l->c[u] + i * g;
		o = gate_sum(l, dir, GATE_O, u, x) +
		    peephole(l, dir, GATE_O, u) * l->next_c[u];
		o = activate(l, dir, FUNC_F, o);
		l->next_h[u] = o * activate(l, dir, FUNC_H, l->next_c[u]);
	}
	swap = l->h;
	l->h = l->next_h;
	l->next_h = swap;
	swap = l->c;
	l->c = l->next_c;
	l->next_c = swap;
}

/* Offsets of the first unit, by layout. */
static int64_t state_off(const struct lstm *l, int64_t dir, int64_t n)
{
	if (l->attr->layout)
		return (n * l->dirs + dir) * l->hidden;
	return (dir * l->batch + n) * l->hidden;
}

static int64_t y_off(const struct lstm *l, int64_t t, int64_t dir, int64_t n)
{
	if (l->attr->layout)
		return ((n * l->seq + t) * l->dirs + dir) * l->hidden;
	return ((t * l->dirs + dir) * l->batch + n) * l->hidden;
}

static int64_t x_off(const struct lstm *l, int64_t t, int64_t n)
{
	if (l->attr->layout)
		return (n * l->seq + t) * l->input;
	return (t * l->batch + n) * l->input;
}

static void put(struct ref_tensor *t, int64_t off, const double *values,
		int64_t count)
{
	for (int64_t i = 0; t && i < count; i++)
		t->data[off + i] = (float)values[i];
}

/* One sequence of the batch in one direction. */
static void lstm_sequence(struct lstm *l, int64_t dir, int64_t n,
			  struct ref_tensor *y, struct ref_tensor *y_h,
			  struct ref_tensor *y_c)
{
	const struct ref_lstm_inputs *in = l->in;
	int64_t len = in->sequence_lens ? in->sequence_lens[n] : l->seq;
	int64_t state = state_off(l, dir, n);
	bool backward = l->attr->direction == REF_REVERSE || dir == 1;

	for (int64_t u = 0; u < l->hidden; u++) {
		l->h[u] = in->initial_h ? in->initial_h->data[state + u] : 0;
		l->c[u] = in->initial_c ? in->initial_c->data[state + u] : 0;
	}
	for (int64_t s = 0; s < len; s++) {
		int64_t t = backward ? len - 1 - s : s;

		lstm_step(l, dir, in->x->data + x_off(l, t, n));
		put(y, y_off(l, t, dir, n), l->h, l->hidden);
	}
	put(y_h, state, l->h, l->hidden);
	put(y_c, state, l->c, l->hidden);
}

static int lstm_outputs(const struct lstm *l, struct ref_tensor *y,
			struct ref_tensor *y_h, struct ref_tensor *y_c)
{
	int64_t state[] = { l->dirs, l->batch, l->hidden };
	int64_t all[] = { l->seq, l->dirs, l->batch, l->hidden };
	int ret = 0;

	if (l->attr->layout) {
		state[0] = l->batch;
		state[1] = l->dirs;
		all[0] = l->batch;
		all[1] = l->seq;
		all[2] = l->dirs;
	}
	if (y)
		ret = ref_tensor_alloc(y, 4, all);
	if (!ret && y_h)
		ret = ref_tensor_alloc(y_h, 3, state);
	if (!ret && y_c)
		ret = ref_tensor_alloc(y_c, 3, state);
	if (ret) {
		ref_tensor_free(y);
		ref_tensor_free(y_h);
		ref_tensor_free(y_c);
	}
	return ret;
}

int ref_lstm(const struct ref_lstm *attr, const struct ref_lstm_inputs *in,
	     struct ref_tensor *y, struct ref_tensor *y_h,
	     struct ref_tensor *y_c)
{
	struct lstm l = { .attr = attr, .in = in };
	double *state;
	int ret;

	if (y)
		y->data = NULL;
	if (y_h)
		y_h->data = NULL;
	if (y_c)
		y_c->data = NULL;
	if (!attr || !in)
		return -EINVAL;
	ret = lstm_check(&l);
	if (!ret)
		ret = lstm_activations(&l);
	if (ret)
		return ret;
	state = calloc(4 * (size_t)l.hidden, sizeof(*state));
	if (!state)
		return -ENOMEM;
	l.h = state;
	l.c = state + l.hidden;
	l.next_h = state + 2 * l.hidden;
	l.next_c = state + 3 * l.hidden;
	ret = lstm_outputs(&l, y, y_h, y_c);
	for (int64_t dir = 0; !ret && dir < l.dirs; dir++)
		for (int64_t n = 0; n < l.batch; n++)
			lstm_sequence(&l, dir, n, y, y_h, y_c);
	free(state);
	return ret;
}
