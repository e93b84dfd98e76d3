// SPDX-License-Identifier: MIT
/* The networks of the mission: layer by layer, one image at a time. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "ref_models.h"

#define SIDE 28
#define CLASSES REF_MODEL_CLASSES

enum cnn_param {
	CNN_CONV1_K, CNN_CONV1_B, CNN_CONV2_K, CNN_CONV2_B,
	CNN_DENSE1_K, CNN_DENSE1_B, CNN_DENSE2_K, CNN_DENSE2_B, CNN_PARAMS,
};

enum rnn_param {
	RNN_LSTM1_K, RNN_LSTM1_R, RNN_LSTM1_B,
	RNN_LSTM2_K, RNN_LSTM2_R, RNN_LSTM2_B,
	RNN_DENSE_K, RNN_DENSE_B, RNN_PARAMS,
};

enum attn_param {
	ATTN_EMBED_K, ATTN_EMBED_B, ATTN_Q_K, ATTN_Q_B, ATTN_K_K, ATTN_K_B,
	ATTN_V_K, ATTN_V_B, ATTN_DENSE1_K, ATTN_DENSE1_B,
	ATTN_DENSE2_K, ATTN_DENSE2_B, ATTN_PARAMS,
};

#define KERNEL(text, ...)						\
	{ .name = text, .init = REF_INIT_GLOROT_UNIFORM,		\
	  .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t),	\
	  .dims = { __VA_ARGS__ } }
#define VECTOR(text, kind, n)						\
	{ .name = text, .init = kind, .rank = 1, .dims = { n } }

static const struct ref_model_param cnn_params[CNN_PARAMS] = {
	[CNN_CONV1_K] = KERNEL("conv1/kernel", 3, 3, 1, 32),
	[CNN_CONV1_B] = VECTOR("conv1/bias", REF_INIT_ZEROS, 32),
	[CNN_CONV2_K] = KERNEL("conv2/kernel", 3, 3, 32, 64),
	[CNN_CONV2_B] = VECTOR("conv2/bias", REF_INIT_ZEROS, 64),
	[CNN_DENSE1_K] = KERNEL("dense1/kernel", 1600, 64),
	[CNN_DENSE1_B] = VECTOR("dense1/bias", REF_INIT_ZEROS, 64),
	[CNN_DENSE2_K] = KERNEL("dense2/kernel", 64, CLASSES),
	[CNN_DENSE2_B] = VECTOR("dense2/bias", REF_INIT_ZEROS, CLASSES),
};

static const struct ref_model_param rnn_params[RNN_PARAMS] = {
	[RNN_LSTM1_K] = KERNEL("lstm1/kernel", SIDE, 256),
	[RNN_LSTM1_R] = { .name = "lstm1/recurrent_kernel",
			  .init = REF_INIT_ORTHOGONAL,
			  .rank = 2, .dims = { 64, 256 } },
	[RNN_LSTM1_B] = VECTOR("lstm1/bias", REF_INIT_LSTM_BIAS, 256),
	[RNN_LSTM2_K] = KERNEL("lstm2/kernel", 64, 256),
	[RNN_LSTM2_R] = { .name = "lstm2/recurrent_kernel",
			  .init = REF_INIT_ORTHOGONAL,
			  .rank = 2, .dims = { 64, 256 } },
	[RNN_LSTM2_B] = VECTOR("lstm2/bias", REF_INIT_LSTM_BIAS, 256),
	[RNN_DENSE_K] = KERNEL("dense/kernel", 64, CLASSES),
	[RNN_DENSE_B] = VECTOR("dense/bias", REF_INIT_ZEROS, CLASSES),
};

static const struct ref_model_param attn_params[ATTN_PARAMS] = {
	[ATTN_EMBED_K] = KERNEL("embed/kernel", SIDE, 32),
	[ATTN_EMBED_B] = VECTOR("embed/bias", REF_INIT_ZEROS, 32),
	[ATTN_Q_K] = KERNEL("query/kernel", 32, 32),
	[ATTN_Q_B] = VECTOR("query/bias", REF_INIT_ZEROS, 32),
	[ATTN_K_K] = KERNEL("key/kernel", 32, 32),
	[ATTN_K_B] = VECTOR("key/bias", REF_INIT_ZEROS, 32),
	[ATTN_V_K] = KERNEL("value/kernel", 32, 32),
	[ATTN_V_B] = VECTOR("value/bias", REF_INIT_ZEROS, 32),
	[ATTN_DENSE1_K] = KERNEL("dense1/kernel", 896, 64),
	[ATTN_DENSE1_B] = VECTOR("dense1/bias", REF_INIT_ZEROS, 64),
	[ATTN_DENSE2_K] = KERNEL("dense2/kernel", 64, CLASSES),
	[ATTN_DENSE2_B] = VECTOR("dense2/bias", REF_INIT_ZEROS, CLASSES),
};

/* The largest intermediate results of any of the networks, in doubles. */
struct scratch {
	double a[26 * 26 * 32];
	double b[26 * 26 * 32];
	double gates[4 * 64];
	double h[64];
	double c[64];
	double out[CLASSES];
};

static void relu(double *x, int64_t count)
{
	for (int64_t i = 0; i < count; i++)
		x[i] = x[i] > 0 ? x[i] : 0;
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static void softmax(double *x, int64_t count)
{
	double max = x[0], sum = 0;

	for (int64_t i = 1; i < count; i++)
		max = x[i] > max ? x[i] : max;
	for (int64_t i = 0; i < count; i++) {
		x[i] = exp(x[i] - max);
		sum += x[i];
	}
	for (int64_t i = 0; i < count; i++)
		x[i] /= sum;
}

/* y += x w for x [in], w [in, out]. */
static void accumulate(const double *x, int64_t in, const float *w,
		       int64_t out, double *y)
{
	for (int64_t i = 0; i < in; i++)
		for (int64_t o = 0; o < out; o++)
			y[o] += x[i] * w[i * out + o];
}

static void dense(const double *x, int64_t in, const float *w, const float *b,
		  int64_t out, double *y)
{
	for (int64_t o = 0; o < out; o++)
		y[o] = b[o];
	accumulate(x, in, w, out, y);
}

/* 3x3, valid, stride 1: x [side, side, cin] to y [side-2, side-2, cout]. */
static void conv3x3(const double *x, int64_t side, int64_t cin, const float *w,
		    const float *b, int64_t cout, double *y)
{
	int64_t out = side - 2;

	for (int64_t r = 0; r < out; r++)
	for (int64_t q = 0; q < out; q++) {
		double *point = y + (r * out + q) * cout;

		for (int64_t o = 0; o < cout; o++)
			point[o] = b[o];
		for (int64_t kr = 0; kr < 3; kr++)
		for (int64_t kq = 0; kq < 3; kq++)
			accumulate(x + ((r + kr) * side + q + kq) * cin, cin,
				   w + (kr * 3 + kq) * cin * cout, cout, point);
	}
}

/* 2x2, stride 2; an odd last row and column are left out. */
static void max_pool2(const double *x, int64_t side, int64_t chans, double *y)
{
	int64_t out = side / 2;

	for (int64_t r = 0; r < out; r++)
	for (int64_t q = 0; q < out; q++)
	for (int64_t c = 0; c < chans; c++) {
		double max = -INFINITY;

		for (int64_t k = 0; k < 4; k++) {
			int64_t row = 2 * r + k / 2, col = 2 * q + k % 2;
			double v = x[(row * side + col) * chans + c];

			max = v > max ? v : max;
		}
		y[(r * out + q) * chans + c] = max;
	}
}

static void cnn_image(const float *const *p, const double *image,
		      struct scratch *s)
{
	conv3x3(image, SIDE, 1, p[CNN_CONV1_K], p[CNN_CONV1_B], 32, s->b);
	relu(s->b, 26 * 26 * 32);
	max_pool2(s->b, 26, 32, s->a);
	conv3x3(s->a, 13, 32, p[CNN_CONV2_K], p[CNN_CONV2_B], 64, s->b);
	relu(s->b, 11 * 11 * 64);
	max_pool2(s->b, 11, 64, s->a);
	dense(s->a, 1600, p[CNN_DENSE1_K], p[CNN_DENSE1_B], 64, s->b);
	relu(s->b, 64);
	dense(s->b, 64, p[CNN_DENSE2_K], p[CNN_DENSE2_B], CLASSES, s->out);
}

/* All 28 steps of one LSTM(64): x [28, in] to y [28, 64]; h ends as the last. */
static void lstm64(const double *x, int64_t in, const float *k, const float *r,
		   const float *b, double *y, struct scratch *s)
{
	const double *zi = s->gates, *zf = zi + 64, *zc = zf + 64, *zo = zc + 64;

	for (int64_t u = 0; u < 64; u++) {
		s->h[u] = 0;
		s->c[u] = 0;
	}
	for (int64_t t = 0; t < SIDE; t++) {
		dense(x + t * in, in, k, b, 256, s->gates);
		accumulate(s->h, 64, r, 256, s->gates);
		for (int64_t u = 0; u < 64; u++) {
			double cand = zc[u] > 0 ? zc[u] : 0;

			s->c[u] = sigmoid(zf[u]) * s->c[u] +
				  sigmoid(zi[u]) * cand;
			s->h[u] = sigmoid(zo[u]) * (s->c[u] > 0 ? s->c[u] : 0);
			y[t * 64 + u] = s->h[u];
		}
	}
}

static void rnn_image(const float *const *p, const double *image,
		      struct scratch *s)
{
	lstm64(image, SIDE, p[RNN_LSTM1_K], p[RNN_LSTM1_R], p[RNN_LSTM1_B],
	       s->a, s);
	lstm64(s->a, 64, p[RNN_LSTM2_K], p[RNN_LSTM2_R], p[RNN_LSTM2_B], s->b,
	       s);
	dense(s->h, 64, p[RNN_DENSE_K], p[RNN_DENSE_B], CLASSES, s->out);
}

static void attention_image(const float *const *p, const double *image,
			    struct scratch *s)
{
	double *tokens = s->a, *q = s->b, *k = q + SIDE * 32;
	double *v = k + SIDE * 32, *mixed = v + SIDE * 32;
	double score[SIDE];

	for (int64_t t = 0; t < SIDE; t++) {
		double *token = tokens + t * 32;

		dense(image + t * SIDE, SIDE, p[ATTN_EMBED_K], p[ATTN_EMBED_B],
		      32, token);
		dense(token, 32, p[ATTN_Q_K], p[ATTN_Q_B], 32, q + t * 32);
		dense(token, 32, p[ATTN_K_K], p[ATTN_K_B], 32, k + t * 32);
		dense(token, 32, p[ATTN_V_K], p[ATTN_V_B], 32, v + t * 32);
	}
	for (int64_t t = 0; t < SIDE; t++) {
		for (int64_t j = 0; j < SIDE; j++) {
			score[j] = 0;
			for (int64_t c = 0; c < 32; c++)
				score[j] += q[t * 32 + c] * k[j * 32 + c];
			score[j] /= sqrt(32);
		}
		softmax(score, SIDE);
		for (int64_t c = 0; c < 32; c++) {
			mixed[t * 32 + c] = 0;
			for (int64_t j = 0; j < SIDE; j++)
				mixed[t * 32 + c] += score[j] * v[j * 32 + c];
		}
	}
	dense(mixed, SIDE * 32, p[ATTN_DENSE1_K], p[ATTN_DENSE1_B], 64, s->a);
	relu(s->a, 64);
	dense(s->a, 64, p[ATTN_DENSE2_K], p[ATTN_DENSE2_B], CLASSES, s->out);
}

static const struct {
	const char *name;
	const struct ref_model_param *params;
	int param_count;
	/* Leaves the logits in s->out. */
	void (*image)(const float *const *p, const double *image,
		      struct scratch *s);
} models[REF_MODEL_COUNT] = {
	[REF_MODEL_CNN] = { .name = "cnn", .params = cnn_params,
			    .param_count = CNN_PARAMS, .image = cnn_image },
	[REF_MODEL_RNN] = { .name = "rnn", .params = rnn_params,
			    .param_count = RNN_PARAMS, .image = rnn_image },
	[REF_MODEL_ATTENTION] = { .name = "attention", .params = attn_params,
				  .param_count = ATTN_PARAMS,
				  .image = attention_image },
};

static int model_known(enum ref_model model)
{
	return (int)model >= 0 && model < REF_MODEL_COUNT;
}

const char *ref_model_name(enum ref_model model)
{
	return model_known(model) ? models[model].name : NULL;
}

int ref_model_param_count(enum ref_model model)
{
	return model_known(model) ? models[model].param_count : -EINVAL;
}

const struct ref_model_param *ref_model_param(enum ref_model model, int idx)
{
	if (!model_known(model) || idx < 0 || idx >= models[model].param_count)
		return NULL;
	return &models[model].params[idx];
}

int64_t ref_model_param_elems(const struct ref_model_param *param)
{
	int64_t elems = 1;

	for (int i = 0; i < param->rank; i++)
		elems *= param->dims[i];
	return elems;
}

int ref_model_forward(enum ref_model model, const float *const *params,
		      const float *images, int64_t batch, float *probs)
{
	double image[REF_MODEL_PIXELS];
	struct scratch *s;

	if (!model_known(model) || !params || batch < 0 ||
	    (batch && (!images || !probs)))
		return -EINVAL;
	for (int i = 0; i < models[model].param_count; i++)
		if (!params[i])
			return -EINVAL;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (int64_t n = 0; n < batch; n++) {
		for (int i = 0; i < REF_MODEL_PIXELS; i++)
			image[i] = images[n * REF_MODEL_PIXELS + i];
		models[model].image(params, image, s);
		softmax(s->out, CLASSES);
		for (int i = 0; i < CLASSES; i++)
			probs[n * CLASSES + i] = (float)s->out[i];
	}
	free(s);
	return 0;
}
