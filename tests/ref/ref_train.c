// SPDX-License-Identifier: MIT
/* The networks of the mission, forward, backward, and a step of an optimizer. */
#include "ref_train.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_layers.h"

#define SIDE		28
#define CLASSES		REF_MODEL_CLASSES
#define UNITS		64
#define FEATURES	32
#define BUFFERS		24

/**
 * struct pass - one batch
 * @w: @dw: parameters, and their gradients, as doubles
 * @buffer: memory to be freed
 */
struct pass {
	const struct ref_train *t;
	int64_t n;
	const double *x;
	const int32_t *label;
	const double *w;
	double *dw;
	double loss;
	int64_t correct;
	double *buffer[BUFFERS];
	int buffers;
};

static double *room(struct pass *p, int64_t elems)
{
	double *b = calloc((size_t)elems, sizeof(*b));

	if (!b)
		abort();
	p->buffer[p->buffers++] = b;
	return b;
}

static const double *w(const struct pass *p, int param)
{
	return p->w + ref_train_first(p->t, param);
}

static double *dw(const struct pass *p, int param)
{
	return p->dw + ref_train_first(p->t, param);
}

/* Dense layer with parameters @param (kernel) and @param + 1. */
static double *dense(struct pass *p, int param, int64_t rows, int64_t in, int64_t out,
		     const double *x)
{
	double *y = room(p, rows * out);

	ref_dense(rows, in, out, x, w(p, param), w(p, param + 1), y);
	return y;
}

static double *dense_back(struct pass *p, int param, int64_t rows, int64_t in, int64_t out,
			  const double *x, const double *dy)
{
	double *dx = room(p, rows * in);

	ref_dense_back(rows, in, out, x, w(p, param), dy, dx, dw(p, param), dw(p, param + 1));
	return dx;
}

static double *loss(struct pass *p, const double *logits)
{
	double *dx = room(p, p->n * CLASSES);

	p->loss = ref_cross_entropy(p->n, CLASSES, logits, p->label, dx, &p->correct);
	return dx;
}

/* Dense 64 relu, dense 10, cross-entropy; the gradient of what comes in. */
static double *head(struct pass *p, int param, int64_t in, const double *x)
{
	double *y = dense(p, param, p->n, in, UNITS, x), *d;

	ref_relu(p->n * UNITS, y);
	d = loss(p, dense(p, param + 2, p->n, UNITS, CLASSES, y));
	d = dense_back(p, param + 2, p->n, UNITS, CLASSES, y, d);
	ref_relu_back(p->n * UNITS, y, d);
	return dense_back(p, param, p->n, in, UNITS, x, d);
}

static void cnn(struct pass *p)
{
	int64_t n = p->n;
	double *a = room(p, n * 26 * 26 * 32), *pa = room(p, n * 13 * 13 * 32);
	double *b = room(p, n * 11 * 11 * 64), *pb = room(p, n * 5 * 5 * 64);
	double *da = room(p, n * 26 * 26 * 32), *dpa = room(p, n * 13 * 13 * 32);
	double *db = room(p, n * 11 * 11 * 64);

	ref_conv3(n, SIDE, SIDE, 1, 32, p->x, w(p, 0), w(p, 1), a);
	ref_relu(n * 26 * 26 * 32, a);
	ref_pool2(n, 26, 26, 32, a, pa);
	ref_conv3(n, 13, 13, 32, 64, pa, w(p, 2), w(p, 3), b);
	ref_relu(n * 11 * 11 * 64, b);
	ref_pool2(n, 11, 11, 64, b, pb);
	ref_pool2_back(n, 11, 11, 64, b, head(p, 4, 5 * 5 * 64, pb), db);
	ref_relu_back(n * 11 * 11 * 64, b, db);
	ref_conv3_back(n, 13, 13, 32, 64, pa, w(p, 2), db, dpa, dw(p, 2), dw(p, 3));
	ref_pool2_back(n, 26, 26, 32, a, dpa, da);
	ref_relu_back(n * 26 * 26 * 32, a, da);
	ref_conv3_back(n, SIDE, SIDE, 1, 32, p->x, w(p, 0), da, NULL, dw(p, 0), dw(p, 1));
}

static void rnn(struct pass *p)
{
	int64_t n = p->n, all = n * SIDE * UNITS;
	double *h1 = room(p, all), *k1 = room(p, 6 * all), *h2 = room(p, all), *k2 = room(p, 6 * all);
	double *dh1 = room(p, all), *dh2 = room(p, all), *last = room(p, n * UNITS), *d;

	ref_train_lstm(n, SIDE, SIDE, UNITS, p->x, w(p, 0), w(p, 1), w(p, 2), h1, k1);
	ref_train_lstm(n, SIDE, UNITS, UNITS, h1, w(p, 3), w(p, 4), w(p, 5), h2, k2);
	for (int64_t i = 0; i < n; i++)
		memcpy(last + i * UNITS, h2 + (i * SIDE + SIDE - 1) * UNITS, UNITS * sizeof(*last));
	d = loss(p, dense(p, 6, n, UNITS, CLASSES, last));
	d = dense_back(p, 6, n, UNITS, CLASSES, last, d);
	for (int64_t i = 0; i < n; i++)
		memcpy(dh2 + (i * SIDE + SIDE - 1) * UNITS, d + i * UNITS, UNITS * sizeof(*d));
	ref_train_lstm_back(n, SIDE, UNITS, UNITS, h1, w(p, 3), w(p, 4), h2, k2, dh2, dh1, dw(p, 3),
			    dw(p, 4), dw(p, 5));
	ref_train_lstm_back(n, SIDE, SIDE, UNITS, p->x, w(p, 0), w(p, 1), h1, k1, dh1, NULL, dw(p, 0),
			    dw(p, 1), dw(p, 2));
}

static void attention(struct pass *p)
{
	int64_t n = p->n, rows = n * SIDE, all = rows * FEATURES;
	double *x = dense(p, 0, rows, SIDE, FEATURES, p->x), *part[3], *dpart[3], *back[3];
	double *prob = room(p, rows * SIDE), *y = room(p, all), *d;

	for (int i = 0; i < 3; i++) {
		part[i] = dense(p, 2 + 2 * i, rows, FEATURES, FEATURES, x);
		dpart[i] = room(p, all);
	}
	ref_train_attention(n, SIDE, FEATURES, part[0], part[1], part[2], prob, y);
	d = head(p, 8, SIDE * FEATURES, y);
	ref_train_attention_back(n, SIDE, FEATURES, part[0], part[1], part[2], prob, d, dpart[0],
				 dpart[1], dpart[2]);
	for (int i = 0; i < 3; i++)
		back[i] = dense_back(p, 2 + 2 * i, rows, FEATURES, FEATURES, x, dpart[i]);
	for (int64_t i = 0; i < all; i++)
		back[0][i] += back[1][i] + back[2][i];
	dense_back(p, 0, rows, SIDE, FEATURES, p->x, back[0]);
}

int64_t ref_train_first(const struct ref_train *t, int param)
{
	int64_t first = 0;

	for (int i = 0; i < param; i++)
		first += ref_model_param_elems(ref_model_param(t->model, i));
	return first;
}

int ref_train_begin(struct ref_train *t, enum ref_model model, enum ref_optimizer optimizer,
		    struct ref_rates rates, const float *const *params)
{
	int count = ref_model_param_count(model);

	*t = (struct ref_train){ .model = model, .optimizer = optimizer, .rates = rates };
	t->elems = ref_train_first(t, count);
	t->value = calloc((size_t)t->elems, sizeof(*t->value));
	t->m = calloc((size_t)t->elems, sizeof(*t->m));
	t->v = calloc((size_t)t->elems, sizeof(*t->v));
	t->gradient = calloc((size_t)t->elems, sizeof(*t->gradient));
	if (!t->value || !t->m || !t->v || !t->gradient) {
		ref_train_end(t);
		return -ENOMEM;
	}
	for (int i = 0; i < count; i++)
		memcpy(t->value + ref_train_first(t, i), params[i],
		       (size_t)ref_model_param_elems(ref_model_param(model, i)) * sizeof(float));
	return 0;
}

void ref_train_end(struct ref_train *t)
{
	free(t->value);
	free(t->m);
	free(t->v);
	free(t->gradient);
	memset(t, 0, sizeof(*t));
}

/* One parameter. */
static void update(struct ref_train *t, int64_t i)
{
	const struct ref_rates *r = &t->rates;
	double g = t->gradient[i], value = (double)t->value[i], m = (double)t->m[i];
	double v = (double)t->v[i], k = (double)t->steps;
	double rate = r->rate * sqrt(1 - pow(r->beta2, k)) / (1 - pow(r->beta1, k));

	switch (t->optimizer) {
	case REF_SGD:
		value -= r->rate * g;
		break;
	case REF_MOMENTUM:
	case REF_NESTEROV:
		m = r->momentum * m - r->rate * g;
		value += t->optimizer == REF_MOMENTUM ? m : r->momentum * m - r->rate * g;
		break;
	case REF_ADAMW:
		value -= r->rate * r->decay * value;
		/* fallthrough */
	case REF_ADAM:
		m += (g - m) * (1 - r->beta1);
		v += (g * g - v) * (1 - r->beta2);
		value -= rate * m / (sqrt(v) + r->epsilon);
	}
	t->value[i] = (float)value;
	t->m[i] = (float)m;
	t->v[i] = (float)v;
}

double ref_train_step(struct ref_train *t, const float *images, const int32_t *label,
		      int64_t batch, int64_t *correct)
{
	struct pass p = { .t = t, .n = batch, .label = label, .dw = t->gradient };
	double *x = room(&p, batch * REF_MODEL_PIXELS), *values = room(&p, t->elems);

	for (int64_t i = 0; i < batch * REF_MODEL_PIXELS; i++)
		x[i] = (double)images[i];
	for (int64_t i = 0; i < t->elems; i++)
		values[i] = (double)t->value[i];
	memset(t->gradient, 0, (size_t)t->elems * sizeof(*t->gradient));
	p.x = x;
	p.w = values;
	if (t->model == REF_MODEL_CNN)
		cnn(&p);
	else if (t->model == REF_MODEL_RNN)
		rnn(&p);
	else
		attention(&p);
	t->steps++;
	for (int64_t i = 0; i < t->elems; i++)
		update(t, i);
	for (int i = 0; i < p.buffers; i++)
		free(p.buffer[i]);
	*correct = p.correct;
	return p.loss;
}
