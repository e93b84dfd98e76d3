/* SPDX-License-Identifier: MIT */
/*
 * Transformers, forward, in naive double-precision loops: an encoder as BERT (norms after
 * the sums) and a decoder as GPT-2 (norms before, no look ahead). Kernels are [in, out].
 * Nothing is rounded to fp32 on the way.
 */
#ifndef REF_TRANSFORMER_H
#define REF_TRANSFORMER_H

#include <stdbool.h>
#include <stdint.h>

#define REF_TRANSFORMER_LAYERS_MAX	16

/* One layer: attention, then two dense layers with gelu between them. */
struct ref_block {
	const float *q, *q_bias, *k, *k_bias, *v, *v_bias;
	const float *out, *out_bias;
	const float *norm1, *norm1_bias;
	const float *up, *up_bias;	/* [width, inner] */
	const float *down, *down_bias;	/* [inner, width] */
	const float *norm2, *norm2_bias;
};

/**
 * struct ref_transformer - sizes and weights
 * @decoder: GPT-2, else BERT
 * @tokens: [vocabulary, width], and what gives the decoder's logits
 * @positions: [steps at most, width]
 * @types: [2, width]; encoder
 * @norm: encoder: of the embedding; decoder: of the last layer's output
 * @pool: [width, width], of the first token, then tanh; encoder
 */
struct ref_transformer {
	int layers, width, heads, inner, vocabulary;
	bool decoder;
	double epsilon;
	const float *tokens, *positions, *types;
	const float *norm, *norm_bias;
	const float *pool, *pool_bias;
	struct ref_block block[REF_TRANSFORMER_LAYERS_MAX];
};

/*
 * hidden [steps, width] of one sequence. type and keep (0: nobody looks at this token)
 * are the encoder's. 0, -EINVAL or -ENOMEM.
 */
int ref_transformer_forward(const struct ref_transformer *t, int steps, const int64_t *token,
			    const int64_t *type, const int64_t *keep, double *hidden);
/* logits [vocabulary] of one token's hidden [width]. */
void ref_transformer_logits(const struct ref_transformer *t, const double *hidden, double *logits);
/* pooled [width] of the first token's hidden. */
void ref_transformer_pool(const struct ref_transformer *t, const double *hidden, double *pooled);

#endif
