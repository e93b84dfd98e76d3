/* SPDX-License-Identifier: MIT */
/* RNN and GRU, one element at a time. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ref_priv.h"

/**
 * struct step - a step of one direction for one example
 * @x: its features
 * @h: state before
 */
struct step {
	const struct ref_rnn *attr;
	const struct ref_rnn_inputs *in;
	int64_t dir, hidden, features;
	const float *x;
	const double *h;
};

static double dot(const float *w, const float *x, const double *h, int64_t count)
{
	double sum = 0;

	for (int64_t i = 0; i < count; i++)
		sum += (double)w[i] * (x ? x[i] : h[i]);
	return sum;
}

/* Gate @g of unit @u: the input's part. */
static double input_part(const struct step *s, int64_t g, int64_t u)
{
	int64_t gates = s->attr->gru ? 3 : 1, row = (s->dir * gates + g) * s->hidden + u;
	double b = s->in->b ? s->in->b->data[(2 * s->dir * gates + g) * s->hidden + u] : 0;

	return b + dot(s->in->w->data + row * s->features, s->x, NULL, s->features);
}

/* The recurrence's part over @h. */
static double state_part(const struct step *s, int64_t g, int64_t u, const double *h)
{
	int64_t gates = s->attr->gru ? 3 : 1, row = (s->dir * gates + g) * s->hidden + u;
	double b = s->in->b ?
		s->in->b->data[((2 * s->dir + 1) * gates + g) * s->hidden + u] : 0;

	return b + dot(s->in->r->data + row * s->hidden, NULL, h, s->hidden);
}

static double clip(const struct step *s, double v)
{
	double c = s->attr->clip;

	return c > 0 ? fmax(-c, fmin(c, v)) : v;
}

static double sigmoid(double v)
{
	return 1 / (1 + exp(-v));
}

static double unit_rnn(const struct step *s, int64_t u)
{
	double v = clip(s, input_part(s, 0, u) + state_part(s, 0, u, s->h));

	return s->attr->relu ? fmax(v, 0) : tanh(v);
}

static double unit_gru(const struct step *s, int64_t u)
{
	double z = sigmoid(clip(s, input_part(s, 0, u) + state_part(s, 0, u, s->h)));
	double gated[REF_RNN_HIDDEN_MAX], v;

	if (s->attr->linear_before_reset) {
		double r = sigmoid(clip(s, input_part(s, 1, u) + state_part(s, 1, u, s->h)));

		v = input_part(s, 2, u) + r * state_part(s, 2, u, s->h);
	} else {
		for (int64_t k = 0; k < s->hidden; k++)
			gated[k] = s->h[k] * sigmoid(clip(s, input_part(s, 1, k) +
							     state_part(s, 1, k, s->h)));
		v = input_part(s, 2, u) + state_part(s, 2, u, gated);
	}
	v = clip(s, v);
	v = s->attr->relu ? fmax(v, 0) : tanh(v);
	return (1 - z) * v + z * s->h[u];
}

int ref_rnn(const struct ref_rnn *attr, const struct ref_rnn_inputs *in,
	    struct ref_tensor *y, struct ref_tensor *y_h)
{
	int64_t steps = in->x->dims[0], batch = in->x->dims[1], dirs = in->r->dims[0];
	int64_t hidden = in->r->dims[2];
	int64_t dims[] = { steps, dirs, batch, hidden };
	int ret = hidden > REF_RNN_HIDDEN_MAX ? -EINVAL : ref_tensor_alloc(y, 4, dims);

	ret = ret ? ret : ref_tensor_alloc(y_h, 3, dims + 1);
	for (int64_t k = 0; !ret && k < dirs * batch; k++) {
		struct step s = { .attr = attr, .in = in, .dir = k / batch, .hidden = hidden,
				  .features = in->x->dims[2] };
		double h[REF_RNN_HIDDEN_MAX] = { 0 }, next[REF_RNN_HIDDEN_MAX];
		int64_t n = k % batch, length = in->sequence_lens ? in->sequence_lens[n] : steps;

		for (int64_t u = 0; in->initial_h && u < hidden; u++)
			h[u] = in->initial_h->data[k * hidden + u];
		for (int64_t i = 0; i < steps; i++) {
			int64_t t = s.dir || attr->reverse ? steps - 1 - i : i;
			float *out = y->data + ((t * dirs + s.dir) * batch + n) * hidden;

			memset(out, 0, (size_t)hidden * sizeof(*out));
			if (t >= length)
				continue;
			s.x = in->x->data + (t * batch + n) * s.features;
			s.h = h;
			for (int64_t u = 0; u < hidden; u++)
				next[u] = attr->gru ? unit_gru(&s, u) : unit_rnn(&s, u);
			memcpy(h, next, sizeof(h));
			for (int64_t u = 0; u < hidden; u++)
				out[u] = (float)h[u];
		}
		for (int64_t u = 0; u < hidden; u++)
			y_h->data[k * hidden + u] = (float)h[u];
	}
	return ret;
}
