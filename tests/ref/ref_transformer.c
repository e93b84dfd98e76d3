/* SPDX-License-Identifier: MIT */
/* The transformers' oracle, see ref_transformer.h. */
#include "ref_transformer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the encoder adds to the score of a token that does not count. */
#define MASKED	(-10000.0)

static void dense(const double *x, const float *kernel, const float *bias, int ins, int outs,
		  double *y)
{
	for (int o = 0; o < outs; o++) {
		y[o] = bias[o];
		for (int i = 0; i < ins; i++)
			y[o] += x[i] * kernel[(int64_t)i * outs + o];
	}
}

static void norm(const double *x, const float *scale, const float *bias, int n, double epsilon,
		 double *y)
{
	double mean = 0, variance = 0;

	for (int i = 0; i < n; i++)
		mean += x[i] / n;
	for (int i = 0; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean) / n;
	for (int i = 0; i < n; i++)
		y[i] = (x[i] - mean) / sqrt(variance + epsilon) * scale[i] + bias[i];
}

/* One head of one query: a weighted mean of the values. */
static void attend(const double *q, const double *k, const double *v, int keys, int features,
		   int width, const int64_t *keep, double *score, double *y)
{
	double max = -INFINITY, sum = 0;

	for (int s = 0; s < keys; s++) {
		score[s] = 0;
		for (int i = 0; i < features; i++)
			score[s] += q[i] * k[s * width + i];
		score[s] = score[s] / sqrt(features) + (keep && !keep[s] ? MASKED : 0);
		max = fmax(max, score[s]);
	}
	for (int s = 0; s < keys; s++)
		sum += score[s] = exp(score[s] - max);
	for (int i = 0; i < features; i++) {
		y[i] = 0;
		for (int s = 0; s < keys; s++)
			y[i] += score[s] / sum * v[s * width + i];
	}
}

/**
 * struct work - rows of [steps, width] but for @inner and @score
 * @in: what a half of a layer is applied to
 */
struct work {
	double *in, *q, *k, *v, *mixed, *part, *inner, *score;
};

static void attention(const struct ref_transformer *t, const struct ref_block *b, int steps,
		      const int64_t *keep, struct work *w)
{
	int width = t->width, features = width / t->heads;

	for (int s = 0; s < steps; s++) {
		dense(w->in + s * width, b->q, b->q_bias, width, width, w->q + s * width);
		dense(w->in + s * width, b->k, b->k_bias, width, width, w->k + s * width);
		dense(w->in + s * width, b->v, b->v_bias, width, width, w->v + s * width);
	}
	for (int s = 0; s < steps; s++)
		for (int h = 0; h < t->heads; h++) {
			int at = h * features;

			attend(w->q + s * width + at, w->k + at, w->v + at,
			       t->decoder ? s + 1 : steps, features, width, keep, w->score,
			       w->mixed + s * width + at);
		}
	for (int s = 0; s < steps; s++)
		dense(w->mixed + s * width, b->out, b->out_bias, width, width, w->part + s * width);
}

static void feed_forward(const struct ref_transformer *t, const struct ref_block *b, int steps,
			 struct work *w)
{
	for (int s = 0; s < steps; s++) {
		dense(w->in + s * t->width, b->up, b->up_bias, t->width, t->inner, w->inner);
		for (int i = 0; i < t->inner; i++)
			w->inner[i] *= 0.5 * (1 + erf(w->inner[i] / sqrt(2)));
		dense(w->inner, b->down, b->down_bias, t->inner, t->width, w->part + s * t->width);
	}
}

/* @half of a layer, the sum with its input, and the norm before or after. */
static void run_half(const struct ref_transformer *t, const struct ref_block *b, int half, int steps,
		     const int64_t *keep, double *x, struct work *w)
{
	const float *scale = half ? b->norm2 : b->norm1;
	const float *bias = half ? b->norm2_bias : b->norm1_bias;
	int width = t->width;

	memcpy(w->in, x, (size_t)steps * (size_t)width * sizeof(*x));
	for (int s = 0; t->decoder && s < steps; s++)
		norm(x + s * width, scale, bias, width, t->epsilon, w->in + s * width);
	if (half)
		feed_forward(t, b, steps, w);
	else
		attention(t, b, steps, keep, w);
	for (int i = 0; i < steps * width; i++)
		x[i] += w->part[i];
	for (int s = 0; !t->decoder && s < steps; s++) {
		norm(x + s * width, scale, bias, width, t->epsilon, w->in);
		memcpy(x + s * width, w->in, (size_t)width * sizeof(*x));
	}
}

static int embed(const struct ref_transformer *t, int steps, const int64_t *token,
		 const int64_t *type, double *x)
{
	for (int s = 0; s < steps; s++) {
		if (token[s] < 0 || token[s] >= t->vocabulary)
			return -EINVAL;
		for (int i = 0; i < t->width; i++) {
			x[s * t->width + i] = (double)t->tokens[token[s] * t->width + i] +
				t->positions[s * t->width + i];
			if (type)
				x[s * t->width + i] += t->types[type[s] * t->width + i];
		}
	}
	return 0;
}

static void norm_all(const struct ref_transformer *t, int steps, double *x, struct work *w)
{
	for (int s = 0; s < steps; s++) {
		norm(x + s * t->width, t->norm, t->norm_bias, t->width, t->epsilon, w->in);
		memcpy(x + s * t->width, w->in, (size_t)t->width * sizeof(*x));
	}
}

int ref_transformer_forward(const struct ref_transformer *t, int steps, const int64_t *token,
			    const int64_t *type, const int64_t *keep, double *hidden)
{
	size_t row = (size_t)(steps > 0 ? steps : 0) * (size_t)t->width;
	double *memory;
	struct work w;
	int ret;

	if (steps < 1 || t->layers > REF_TRANSFORMER_LAYERS_MAX || t->width % t->heads)
		return -EINVAL;
	memory = calloc(6 * row + (size_t)t->inner + (size_t)steps, sizeof(*memory));
	if (!memory)
		return -ENOMEM;
	w = (struct work){
		.in = memory, .q = memory + row, .k = memory + 2 * row, .v = memory + 3 * row,
		.mixed = memory + 4 * row, .part = memory + 5 * row, .inner = memory + 6 * row,
		.score = memory + 6 * row + t->inner,
	};
	ret = embed(t, steps, token, type, hidden);
	if (!ret && !t->decoder)
		norm_all(t, steps, hidden, &w);
	for (int i = 0; !ret && i < t->layers; i++)
		for (int half = 0; half < 2; half++)
			run_half(t, &t->block[i], half, steps, keep, hidden, &w);
	if (!ret && t->decoder)
		norm_all(t, steps, hidden, &w);
	free(memory);
	return ret;
}

void ref_transformer_logits(const struct ref_transformer *t, const double *hidden, double *logits)
{
	for (int v = 0; v < t->vocabulary; v++) {
		logits[v] = 0;
		for (int i = 0; i < t->width; i++)
			logits[v] += hidden[i] * t->tokens[(int64_t)v * t->width + i];
	}
}

void ref_transformer_pool(const struct ref_transformer *t, const double *hidden, double *pooled)
{
	dense(hidden, t->pool, t->pool_bias, t->width, t->width, pooled);
	for (int i = 0; i < t->width; i++)
		pooled[i] = tanh(pooled[i]);
}
