/* SPDX-License-Identifier: MIT */
/*
 * The three networks of the mission, forward, in naive double-precision loops
 * over parameters in Keras layouts. Nothing is rounded to fp32 on the way.
 *
 * Parameters are an array of fp32 arrays in the order of ref_model_param():
 * convolution kernels [kh, kw, cin, cout], dense kernels [in, out], LSTM kernels
 * [in, 4 units], recurrent kernels [units, 4 units] and biases [4 units] with
 * the gates in Keras order i, f, c, o.
 */
#ifndef REF_MODELS_H
#define REF_MODELS_H

#include <stddef.h>
#include <stdint.h>

#define REF_MODEL_MAX_PARAMS 12
#define REF_MODEL_PIXELS 784
#define REF_MODEL_CLASSES 10

enum ref_model {
	/*
	 * Conv 32 3x3 valid relu, max pool 2, conv 64 3x3 valid relu, max
	 * pool 2, flatten (h, w, c), dense 64 relu, dense 10 softmax.
	 */
	REF_MODEL_CNN,
	/*
	 * Two LSTM(64) over 28 rows of 28: gates sigmoid, candidate and output
	 * relu; the first gives all steps, the second its last; dense 10
	 * softmax.
	 */
	REF_MODEL_RNN,
	/*
	 * 28 tokens of 28: dense 32; q, k, v = dense 32 of that; softmax(q k^T
	 * / sqrt 32) v; flatten; dense 64 relu; dense 10 softmax.
	 */
	REF_MODEL_ATTENTION,
	REF_MODEL_COUNT,
};

/* How a parameter starts: ref_init.h. */
enum ref_init_kind {
	REF_INIT_GLOROT_UNIFORM,
	REF_INIT_ORTHOGONAL,
	REF_INIT_ZEROS,
	REF_INIT_LSTM_BIAS, /* zeros, the forget gate's quarter 1 */
};

struct ref_model_param {
	const char *name;
	enum ref_init_kind init;
	int rank;
	int64_t dims[4];
};

const char *ref_model_name(enum ref_model model);
/* The number of parameter tensors, or -EINVAL. */
int ref_model_param_count(enum ref_model model);
/* NULL when there is no such parameter. */
const struct ref_model_param *ref_model_param(enum ref_model model, int idx);
int64_t ref_model_param_elems(const struct ref_model_param *param);

/*
 * images: [batch, 28, 28] in row-major order, already divided by 255; probs:
 * [batch, 10]. Returns 0, -EINVAL or -ENOMEM.
 */
int ref_model_forward(enum ref_model model, const float *const *params,
		      const float *images, int64_t batch, float *probs);

#endif
