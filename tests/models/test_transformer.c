/* SPDX-License-Identifier: MIT */
/*
 * An encoder and a decoder as the builder makes them, compiled and run against the oracle:
 * on the device core in this process, the default device and a small one, or on
 * NPU_TEST_DEVICE.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decode.h"
#include "npu.h"
#include "transformer.h"

#define SEED		5u
#define TOLERANCE	1e-4
#define PROMPT		5u

static const char *const devices[] = {
#ifdef NPU_TEST_DEVICE
	NPU_TEST_DEVICE,
#else
	"sim", "sim,array_rows=8,array_cols=8,spm_bytes=128K,acc_bytes=16K",
#endif
};

/* A model in a session, ready to run. */
struct rig {
	struct npu_device *dev;
	struct npu_model *model;
	struct npu_session *s;
};

/* Takes @g. */
static struct rig rig_create(const char *device, struct npu_graph *g)
{
	struct rig r = { .dev = npu_device_open(device) };

	assert_non_null(r.dev);
	assert_non_null(g);
	assert_string_equal(npu_graph_error(g), "");
	r.model = npu_model_from_graph(r.dev, g);
	if (!r.model)
		fail_msg("%s", npu_error());
	npu_graph_destroy(g);
	r.s = npu_session_create(r.model);
	if (!r.s)
		fail_msg("%s", npu_error());
	return r;
}

static void rig_destroy(struct rig *r)
{
	npu_session_destroy(r->s);
	npu_model_close(r->model);
	npu_device_close(r->dev);
}

static void set(struct rig *r, const char *name, const void *data, size_t bytes)
{
	int i = decode_find_input(r->model, name);

	assert_true(i >= 0);
	if (npu_session_set_input(r->s, (unsigned int)i, data, bytes))
		fail_msg("%s", npu_error());
}

static const float *get(struct rig *r, const char *name)
{
	int i = decode_find_output(r->model, name);

	assert_true(i >= 0);
	return npu_session_map_output(r->s, (unsigned int)i);
}

static void expect(const float *got, const double *want, size_t count)
{
	double largest = 0, worst = 0;

	for (size_t i = 0; i < count; i++) {
		double difference = fabs(got[i] - want[i]);

		largest = fmax(largest, fabs(want[i]));
		worst = difference <= worst ? worst : difference;
	}
	assert_true(largest > 0.1);
	if (!(worst <= TOLERANCE * largest))
		fail_msg("differs by %g, the largest value is %g", worst, largest);
}

static void check_bert(const char *device, const struct transformer *t)
{
	const size_t steps = (size_t)t->size.steps, width = (size_t)t->size.width;
	int64_t token[64], type[64], keep[64];
	double *hidden = calloc(steps * width, sizeof(*hidden));
	double *pooled = calloc(width, sizeof(*pooled));
	struct rig r = rig_create(device, transformer_bert(t, (int64_t)steps));

	for (size_t i = 0; i < steps; i++) {
		token[i] = (int64_t)(i * 37 % (size_t)t->size.vocabulary);
		type[i] = i > steps / 2;
		keep[i] = i < steps - 7;
	}
	assert_int_equal(ref_transformer_forward(&t->ref, (int)steps, token, type, keep, hidden), 0);
	ref_transformer_pool(&t->ref, hidden, pooled);
	set(&r, "input_ids", token, steps * sizeof(*token));
	set(&r, "token_type_ids", type, steps * sizeof(*type));
	set(&r, "attention_mask", keep, steps * sizeof(*keep));
	if (npu_session_run(r.s))
		fail_msg("%s", npu_error());
	expect(get(&r, "hidden"), hidden, steps * width);
	expect(get(&r, "pooled"), pooled, width);
	rig_destroy(&r);
	free(hidden);
	free(pooled);
}

static void test_bert(void **state)
{
	struct transformer t;

	(void)state;
	assert_int_equal(transformer_init(&t, &bert_test, SEED), 0);
	for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++)
		check_bert(devices[d], &t);
	transformer_free(&t);
}

/* Of the first @steps tokens of a sequence. */
static void expect_logits(const struct transformer *t, const int64_t *token, size_t steps,
			  const float *logits)
{
	const size_t width = (size_t)t->size.width, words = (size_t)t->size.vocabulary;
	double *hidden = calloc(steps * width, sizeof(*hidden));
	double *want = calloc(steps * words, sizeof(*want));

	assert_int_equal(ref_transformer_forward(&t->ref, (int)steps, token, NULL, NULL, hidden), 0);
	for (size_t i = 0; i < steps; i++)
		ref_transformer_logits(&t->ref, hidden + i * width, want + i * words);
	expect(logits, want, steps * words);
	free(hidden);
	free(want);
}

/* After the prompt, each token is the one with the largest logit before it. */
static void expect_greedy(const struct transformer *t, const int64_t *token, const float *logits)
{
	const size_t words = (size_t)t->size.vocabulary;
	unsigned int changes = 0;

	for (size_t i = PROMPT - 1; i < (size_t)t->size.steps; i++) {
		for (size_t w = 0; w < words; w++)
			assert_true(logits[i * words + w] <=
				    logits[i * words + (size_t)token[i + 1]]);
		changes += token[i + 1] != token[i];
	}
	/* Not the same word for ever. */
	assert_true(changes > 3);
}

/* Step by step, the cache fed from run to run; then another sequence. */
static void check_steps(const char *device, const struct transformer *t, int64_t *token,
			float *logits)
{
	const size_t steps = (size_t)t->size.steps;
	struct rig r = rig_create(device, transformer_gpt_step(t));
	const int64_t start = 0;

	if (decode_feed(r.model, r.s) ||
	    decode_run(r.model, r.s, token, PROMPT, (unsigned int)steps, logits))
		fail_msg("%s", npu_error());
	expect_logits(t, token, steps, logits);
	expect_greedy(t, token, logits);
	/* What the cache still has of the last one lies behind the mask. */
	set(&r, "position", &start, sizeof(start));
	token[0]++;
	if (decode_run(r.model, r.s, token, PROMPT, (unsigned int)steps, logits))
		fail_msg("%s", npu_error());
	expect_logits(t, token, steps, logits);
	expect_greedy(t, token, logits);
	rig_destroy(&r);
}

static void check_gpt(const char *device, const struct transformer *t)
{
	const size_t steps = (size_t)t->size.steps;
	float *logits = calloc(steps * (size_t)t->size.vocabulary, sizeof(*logits));
	int64_t token[64] = { 3, 14, 15, 92, 65 };
	struct rig r;

	check_steps(device, t, token, logits);
	/* All of the sequence at once, without a cache. */
	r = rig_create(device, transformer_gpt(t, (int64_t)steps));
	set(&r, "tokens", token, steps * sizeof(*token));
	if (npu_session_run(r.s))
		fail_msg("%s", npu_error());
	expect_logits(t, token, steps, get(&r, "logits"));
	rig_destroy(&r);
	free(logits);
}

static void test_gpt(void **state)
{
	struct transformer t;

	(void)state;
	assert_int_equal(transformer_init(&t, &gpt_test, SEED), 0);
	for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++)
		check_gpt(devices[d], &t);
	transformer_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bert),
		cmocka_unit_test(test_gpt),
	};

#ifdef NPU_TEST_DEVICE
	cmocka_set_message_output(CM_OUTPUT_TAP);
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
