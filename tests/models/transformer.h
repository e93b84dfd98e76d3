/* SPDX-License-Identifier: MIT */
/*
 * Transformers with seeded random weights, made with the graph builder: BERT's encoder,
 * and a GPT-2 decoder, whole sequences at a time or step by step with a cache.
 */
#ifndef TRANSFORMER_H
#define TRANSFORMER_H

#include <stdbool.h>
#include <stdint.h>

#include "npu_graph.h"
#include "ref_transformer.h"

/**
 * struct transformer_size - of a network
 * @steps: longest sequence
 */
struct transformer_size {
	int layers, width, heads, inner, vocabulary, steps;
	bool decoder;
};

/* BERT base: 109 million weights. */
extern const struct transformer_size bert_base;
/* A decoder that generates in a second. */
extern const struct transformer_size gpt_small;
/* Of the same shape, for tests. */
extern const struct transformer_size bert_test, gpt_test;

/**
 * struct transformer - a network's weights
 * @ref: the same for the oracle
 * @weight: where they are
 */
struct transformer {
	struct transformer_size size;
	struct ref_transformer ref;
	float *weight;
};

/* 0 or -errno. The same seed gives the same weights everywhere. */
int transformer_init(struct transformer *t, const struct transformer_size *size, uint64_t seed);
void transformer_free(struct transformer *t);

/*
 * All of these: NULL without memory, else see npu_graph_error().
 *
 * Inputs "input_ids", "token_type_ids", "attention_mask" i64[1, steps]; outputs "hidden"
 * [1, steps, width] and "pooled" [1, width].
 */
struct npu_graph *transformer_bert(const struct transformer *t, int64_t steps);
/* Input "tokens" i64[1, steps]; output "logits" [1, steps, vocabulary]. */
struct npu_graph *transformer_gpt(const struct transformer *t, int64_t steps);
/*
 * One token: inputs "token" i64[1, 1] and "position" i64[1], for each layer I
 * "past_key.I" and "past_value.I" [1, heads, size.steps, width / heads]. Outputs "logits"
 * [1, vocabulary], "next_token" and "next_position", "present_key.I", "present_value.I":
 * what the inputs are in the next step.
 */
struct npu_graph *transformer_gpt_step(const struct transformer *t);

#endif
