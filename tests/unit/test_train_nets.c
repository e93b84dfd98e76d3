/* SPDX-License-Identifier: MIT */
/*
 * The mission's networks in training, step by step beside a training loop of the
 * oracle's own: the same initial values, the same random images, the same optimizer.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libnpu_rig.h"
#include "npu_models.h"
#include "npu_train.h"
#include "ref_train.h"

#define BATCH		8
#define STEPS		12
/* Largest difference in loss: at first, and relative through step 10. */
#define FIRST_ERROR	1e-5
#define ERROR		1e-4

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % below;
}

/* Blots whose place and size depend on the class, so that there is something to learn. */
static void make_batch(float *image, int32_t *label, unsigned int samples)
{
	for (unsigned int s = 0; s < samples; s++) {
		label[s] = (int32_t)rnd(10);
		for (unsigned int i = 0; i < REF_MODEL_PIXELS; i++) {
			unsigned int y = i / 28, x = i % 28, c = (unsigned int)label[s];
			bool on = y / 6 == c / 2 && x / 14 == c % 2;

			image[s * REF_MODEL_PIXELS + i] = on ? 0.5f + (float)rnd(128) / 255 :
							       (float)rnd(64) / 255;
		}
	}
}

struct pair {
	struct npu_graph *graph;
	struct npu_train *train;
	struct ref_train ref;
};

static void begin(struct npu_device *dev, struct pair *p, enum npu_net net,
		  enum npu_optimizer optimizer)
{
	static const enum ref_optimizer same[] = {
		[NPU_OPTIMIZER_SGD] = REF_SGD, [NPU_OPTIMIZER_MOMENTUM] = REF_MOMENTUM,
		[NPU_OPTIMIZER_NESTEROV] = REF_NESTEROV, [NPU_OPTIMIZER_ADAM] = REF_ADAM,
		[NPU_OPTIMIZER_ADAMW] = REF_ADAMW,
	};
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
							optimizer);
	struct ref_rates r = {
		.rate = (double)o.learning_rate, .momentum = (double)o.momentum,
		.beta1 = (double)o.beta1, .beta2 = (double)o.beta2,
		.epsilon = (double)o.epsilon, .decay = (double)o.weight_decay,
	};
	float *param[NPU_NET_PARAMS_MAX] = { NULL };
	struct npu_net_param info;

	for (unsigned int i = 0; !npu_net_param(net, i, &info); i++)
		param[i] = calloc(info.elems, sizeof(float));
	assert_int_equal(npu_net_init(net, rng, param), 0);
	p->graph = npu_net_build(net, BATCH, (const float *const *)param);
	assert_int_equal(ref_train_begin(&p->ref, (enum ref_model)net, same[optimizer], r,
					 (const float *const *)param), 0);
	for (unsigned int i = 0; i < NPU_NET_PARAMS_MAX; i++)
		free(param[i]);
	p->train = npu_train_create(dev, p->graph, &o);
	assert_some(p->train);
}

static void end(struct pair *p)
{
	npu_train_destroy(p->train);
	npu_graph_destroy(p->graph);
	ref_train_end(&p->ref);
}

/* Steps of full batches, but for a partial one. */
static void compare(struct npu_device *dev, enum npu_net net, enum npu_optimizer optimizer)
{
	struct npu_train_metrics m;
	struct pair p;

	begin(dev, &p, net, optimizer);
	for (unsigned int step = 0; step < STEPS; step++) {
		unsigned int samples = step == 3 ? BATCH - 3 : BATCH;
		float *x = npu_train_map_input(p.train, 0);
		int32_t *y = npu_train_map_labels(p.train);
		int64_t correct;
		double loss;

		assert_some(x);
		assert_some(y);
		make_batch(x, y, samples);
		loss = ref_train_step(&p.ref, x, y, samples, &correct);
		assert_ok(npu_train_start(p.train, samples));
		assert_ok(npu_train_wait(p.train, &m));
		if (!(fabs(m.loss - loss) <= (step ? ERROR * fmax(loss, 0.1) : FIRST_ERROR)))
			fail_msg("%s, optimizer %d, step %u: loss %.9g, not %.9g", npu_net_name(net),
				 optimizer, step, m.loss, loss);
		assert_int_equal(m.samples, samples);
		assert_int_equal(m.correct, correct);
	}
	assert_int_equal(npu_train_steps(p.train), STEPS);
	end(&p);
}

static void test_networks(void **state)
{
	for (int net = 0; net < NPU_NETS; net++)
		for (int o = 0; o < NPU_OPTIMIZERS; o++)
			compare(*state, (enum npu_net)net, (enum npu_optimizer)o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
	};
	const char *seed = getenv("NPU_TEST_SEED");

	rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("# NPU_TEST_SEED=%" PRIu64 "\n", rng);
	return rig_run_tests(tests, rig_open_device, rig_close_device);
}
