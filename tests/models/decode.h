/* SPDX-License-Identifier: MIT */
/* Generating tokens with a model as transformer_gpt_step() makes it. */
#ifndef DECODE_H
#define DECODE_H

#include <stdint.h>

#include "npu.h"

/* Index of an input or output by name, or -1. */
int decode_find_input(const struct npu_model *model, const char *name);
int decode_find_output(const struct npu_model *model, const char *name);

/*
 * From now on the host copies and computes nothing: next_* are the next run's inputs *,
 * present_* its past_*. 0, or -errno with npu_error().
 */
int decode_feed(const struct npu_model *model, struct npu_session *s);

/*
 * Run @count steps, the first @given of them with the tokens in @token, and the others
 * with what came out. All go to @token, @count + 1; logits of each step to @logits. 0 or
 * -errno. The session must be fed, with an empty cache and position 0.
 */
int decode_run(const struct npu_model *model, struct npu_session *s, int64_t *token,
	       unsigned int given, unsigned int count, float *logits);

#endif
