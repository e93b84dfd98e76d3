/* SPDX-License-Identifier: MIT */
/*
 * Steps of training. Parameters and optimizer slots stay on the device: what a step
 * makes of them is the input of the next one, in other memory, so that a step can be
 * repeated from what it started with as long as it has not been waited for.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "train.h"

/* A step is repeated this often when the device is reset under it. */
#define RESETS_MAX	16

struct npu_train_options npu_train_defaults(enum npu_loss loss, enum npu_optimizer optimizer)
{
	bool adam = optimizer == NPU_OPTIMIZER_ADAM || optimizer == NPU_OPTIMIZER_ADAMW;

	return (struct npu_train_options){
		.loss = loss,
		.optimizer = optimizer,
		.learning_rate = adam ? 0.001f : 0.01f,
		.momentum = 0.9f,
		.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-7f,
		.weight_decay = optimizer == NPU_OPTIMIZER_ADAMW ? 0.004f : 0,
		.seed = 1,
	};
}

static bool between(float value, float low, float high)
{
	return value >= low && value <= high;
}

static int check_options(const struct npu_train_options *o)
{
	const char *what = NULL;

	if (!(o->learning_rate > 0) || !isfinite(o->learning_rate))
		what = "the learning rate must be above 0";
	else if (!between(o->momentum, 0, 1))
		what = "the momentum must be between 0 and 1";
	else if (!between(o->beta1, 0, 1) || !between(o->beta2, 0, 1))
		what = "beta 1 and beta 2 must be between 0 and 1";
	else if (!(o->epsilon > 0) || !isfinite(o->epsilon))
		what = "epsilon must be above 0";
	else if (!between(o->weight_decay, 0, 1e6f) || !between(o->clip_norm, 0, INFINITY))
		what = "weight decay and clip norm must not be negative";
	return what ? npu_fail(-EINVAL, "train: %s", what) : 0;
}

/* ---- programs ---- */

int train_open(struct npu_train *t, struct train_program *p, bool train, unsigned int ahead)
{
	const struct npu_step step = {
		.train = train,
		.loss = t->options.loss,
		.from_logits = t->options.from_logits,
		.optimizer = t->options.optimizer,
		.clip_norm = t->options.clip_norm > 0,
		.gradient_norms = t->options.gradient_norms,
	};
	int ret = 0;

	p->model = npu_model_from_step(t->dev, t->graph, &step);
	p->session = p->model ? npu_session_create_ahead(p->model, ahead) : NULL;
	if (!p->session)
		return -errno;
	p->labels = npu_model_inputs(p->model) - 3 - (train ? 2 + t->slots : 0);
	p->weights = p->labels + 1;
	p->scalars = p->labels + 2;
	p->random = p->scalars + 1;
	p->params = p->scalars + (train ? 2 : 0);
	p->out_params = t->options.loss == NPU_LOSS_MSE ? 1 : 2;
	for (unsigned int i = 0; train && !ret && i <= t->slots; i++)
		ret = npu_session_feed(p->session, p->out_params + i, p->params + i);
	return ret;
}

void train_close(struct train_program *p)
{
	npu_session_destroy(p->session);
	npu_model_close(p->model);
}

/* The first dimension of all inputs is the batch. */
static int find_batch(struct npu_train *t)
{
	struct npu_tensor_info info;

	t->inputs = t->step.labels;
	if (!t->inputs || t->inputs > TRAIN_INPUTS_MAX)
		return npu_fail(-EINVAL, "train: the graph has %u inputs; 1 to %d can be fed", t->inputs,
				TRAIN_INPUTS_MAX);
	npu_model_input_info(t->step.model, t->step.weights, &info);
	t->batch = (unsigned int)info.dim[0];
	for (unsigned int i = 0; i < t->inputs; i++) {
		npu_model_input_info(t->step.model, i, &info);
		if (!info.rank || info.dim[0] != t->batch)
			return npu_fail(-EINVAL, "train: input \"%s\" does not have the batch of the prediction, %u, as its first dimension",
					info.name, t->batch);
	}
	return 0;
}

static int first_values(struct npu_train *t)
{
	for (unsigned int i = 0; i <= t->slots; i++) {
		float *value = npu_session_map_input(t->step.session, t->step.params + i);

		if (!value)
			return -errno;
		if (i)
			memset(value, 0, t->elems * sizeof(*value));
		else
			npu_graph_get_params(t->graph, value);
	}
	return 0;
}

struct npu_train *npu_train_create(struct npu_device *dev, struct npu_graph *graph,
				   const struct npu_train_options *options)
{
	struct npu_train *t;
	int slots = npu_optimizer_slots(options->optimizer);

	if (slots < 0)
		return npu_fail_null(-EINVAL, "train: there is no optimizer %d", options->optimizer);
	if (check_options(options))
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return npu_fail_null(-ENOMEM, "train: out of memory");
	*t = (struct npu_train){
		.dev = dev, .graph = graph, .options = *options, .slots = (unsigned int)slots,
		.elems = npu_graph_param_elems(graph),
		.params = (unsigned int)npu_graph_params(graph),
	};
	if (train_open(t, &t->step, true, NPU_TRAIN_AHEAD) || find_batch(t) || first_values(t)) {
		npu_train_destroy(t);
		return NULL;
	}
	return t;
}

void npu_train_destroy(struct npu_train *t)
{
	int err = errno;

	if (!t)
		return;
	train_close(&t->step);
	train_close(&t->eval);
	free(t);
	errno = err;
}

unsigned int npu_train_batch(const struct npu_train *t)
{
	return t->batch;
}

unsigned int npu_train_inputs(const struct npu_train *t)
{
	return t->inputs;
}

static uint64_t sample_bytes(const struct npu_train *t, unsigned int input)
{
	struct npu_tensor_info info;

	return npu_model_input_info(t->step.model, input, &info) ? 0 : info.bytes / t->batch;
}

uint64_t npu_train_input_bytes(const struct npu_train *t, unsigned int input)
{
	return input < t->inputs ? sample_bytes(t, input) : 0;
}

uint64_t npu_train_label_bytes(const struct npu_train *t)
{
	return sample_bytes(t, t->step.labels);
}

uint64_t npu_train_memory_bytes(const struct npu_train *t)
{
	return npu_session_memory_bytes(t->step.session);
}

/* ---- steps ---- */

void *npu_train_map_input(struct npu_train *t, unsigned int input)
{
	if (input >= t->inputs)
		return npu_fail_null(-EINVAL, "train: there is no input %u, only %u", input,
				     t->inputs);
	return npu_session_map_input(t->step.session, input);
}

void *npu_train_map_labels(struct npu_train *t)
{
	return npu_session_map_input(t->step.session, t->step.labels);
}

int train_set_weights(struct npu_train *t, struct train_program *p, unsigned int samples)
{
	float *weight = npu_session_map_input(p->session, p->weights);

	if (!weight)
		return -errno;
	for (unsigned int i = 0; i < t->batch; i++)
		weight[i] = i < samples ? 1 / (float)samples : 0;
	return 0;
}

/* The scalars of the step with number @step, from 1. */
static int set_scalars(struct npu_train *t, uint64_t step)
{
	const struct npu_train_options *o = &t->options;
	float *s = npu_session_map_input(t->step.session, t->step.scalars);
	uint32_t *random = npu_session_map_input(t->step.session, t->step.random);
	double rate = (double)o->learning_rate, k = (double)step;

	if (!s || !random)
		return -errno;
	random[0] = (uint32_t)(o->seed ^ o->seed >> 32);
	random[1] = (uint32_t)step;
	memset(s, 0, NPU_HYPERS * sizeof(*s));
	if (t->slots == 2)
		rate *= sqrt(1 - pow((double)o->beta2, k)) / (1 - pow((double)o->beta1, k));
	s[NPU_HYPER_RATE] = (float)rate;
	s[NPU_HYPER_KEEP] = o->momentum;
	s[NPU_HYPER_MIX1] = (float)(1 - (double)o->beta1);
	s[NPU_HYPER_MIX2] = (float)(1 - (double)o->beta2);
	s[NPU_HYPER_EPSILON] = o->epsilon;
	s[NPU_HYPER_DECAY] = (float)((double)o->learning_rate * (double)o->weight_decay);
	s[NPU_HYPER_CLIP_NORM] = o->clip_norm;
	return 0;
}

/* What does not count is zero, so that the rest of a batch never makes a difference. */
static int clear_rest(struct npu_train *t, struct train_flight *f)
{
	for (unsigned int i = 0; i < t->inputs; i++) {
		char *x = npu_session_map_input(t->step.session, i);
		uint64_t bytes = sample_bytes(t, i);

		if (!x)
			return -errno;
		f->input[i] = x;
		memset(x + f->samples * bytes, 0, (t->batch - f->samples) * bytes);
	}
	return 0;
}

/* Resets are nobody's fault; a step that hangs does so again. */
static bool is_lost(int err, unsigned int tries)
{
	return err == -EIO || err == -ECANCELED ? tries < RESETS_MAX : err == -EDEADLK && !tries;
}

/* The last @runs steps, of which @ended have been waited for, have not happened. */
static void forget(struct npu_train *t, unsigned int runs, unsigned int ended)
{
	for (unsigned int i = ended; i < runs; i++)
		npu_session_wait(t->step.session, -1);
	if (runs)
		npu_session_rewind(t->step.session, runs);
}

/*
 * The device lost a step: all in flight again, of which @ended have been waited for. Those
 * that had ended well do the same once more. After an error none is in flight.
 */
static int repeat(struct npu_train *t, unsigned int ended)
{
	unsigned int runs = (unsigned int)(t->started - t->steps), again = 0;
	int ret = -EIO;

	forget(t, runs, ended);
	for (unsigned int i = 0; is_lost(ret, i); i++) {
		forget(t, again, 0);
		ret = npu_session_reopen(t->step.session);
		for (again = 0; !ret && again < runs; again += !ret)
			ret = npu_session_start(t->step.session);
	}
	if (ret) {
		forget(t, again, 0);
		t->started = t->steps;
	}
	return ret;
}

int npu_train_start(struct npu_train *t, unsigned int samples)
{
	struct train_flight *f = &t->flight[t->started % NPU_TRAIN_AHEAD];
	int ret;

	if (!samples || samples > t->batch)
		return npu_fail(-EINVAL, "train: a batch of %u samples; 1 to %u are possible", samples,
				t->batch);
	ret = train_set_weights(t, &t->step, samples);
	ret = ret ? ret : set_scalars(t, t->started + 1);
	if (ret)
		return ret;
	f->samples = samples;
	ret = clear_rest(t, f);
	if (ret)
		return ret;
	ret = npu_session_start(t->step.session);
	for (unsigned int i = 0; is_lost(ret, i); i++) {
		ret = repeat(t, 0);
		ret = ret ? ret : npu_session_start(t->step.session);
	}
	if (!ret)
		t->started++;
	return ret;
}

/*
 * Steps in flight, all of them, end; neither they nor the @ended ones that have been waited
 * for count.
 */
static void take_back(struct npu_train *t, unsigned int ended)
{
	forget(t, (unsigned int)(t->started - t->steps), ended);
	t->started = t->steps;
}

void train_abandon(struct npu_train *t)
{
	take_back(t, 0);
}

/* Which of @count numbers is not finite; @count: none. */
static uint64_t find_odd(const float *value, uint64_t count)
{
	uint64_t i = 0;

	while (i < count && isfinite(value[i]))
		i++;
	return i;
}

/* Name what made the loss of the oldest step in flight infinite: the batch, or what was learnt. */
static int explain_loss(struct npu_train *t, float loss)
{
	const struct train_flight *f = &t->flight[t->steps % NPU_TRAIN_AHEAD];
	unsigned long long step = t->steps + 1;
	struct npu_tensor_info info;

	for (unsigned int i = 0; i < t->inputs; i++) {
		uint64_t count, odd;

		npu_model_input_info(t->step.model, i, &info);
		count = sample_bytes(t, i) / sizeof(float) * f->samples;
		odd = info.type == NPU_TYPE_F32 ? find_odd(f->input[i], count) : count;
		if (odd < count)
			return npu_fail(-EDOM, "train: step %llu: input \"%s\" is not finite in sample %llu of the batch",
					step, info.name,
					(unsigned long long)(odd / (count / f->samples)));
	}
	return npu_fail(-EDOM, "train: step %llu: the loss is %g; lower the learning rate, or clip gradients",
			step, (double)loss);
}

/* The parameter that a failed step started with and that is not finite, if any. */
static int explain_params(struct npu_train *t, float loss)
{
	const float *value = npu_session_map_input(t->step.session, t->step.params);
	const char *name;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	uint64_t odd = value ? find_odd(value, t->elems) : t->elems, first;

	for (unsigned int i = t->params; odd < t->elems && i-- > 0;) {
		npu_graph_param_info(t->graph, i, &name, dim, &first);
		if (first <= odd)
			return npu_fail(-EDOM, "train: step %llu: the loss is %g, as parameter \"%s\" is not finite; lower the learning rate, or clip gradients",
					(unsigned long long)t->steps + 1, (double)loss, name);
	}
	return -EDOM;
}

static int refuse_loss(struct npu_train *t, float loss)
{
	take_back(t, 1);
	explain_loss(t, loss);
	return explain_params(t, loss);
}

static int read_metrics(struct npu_train *t, const struct train_flight *f,
			struct npu_train_metrics *m)
{
	float loss, correct = 0;
	int ret = npu_session_get_output(t->step.session, 0, &loss, sizeof(loss));

	if (!ret && t->options.loss != NPU_LOSS_MSE)
		ret = npu_session_get_output(t->step.session, 1, &correct, sizeof(correct));
	if (ret)
		return ret;
	if (!isfinite(loss))
		return refuse_loss(t, loss);
	*m = (struct npu_train_metrics){
		.loss = (double)loss, .correct = (uint64_t)correct, .samples = f->samples,
	};
	return 0;
}

void train_add(struct npu_train_metrics *sum, const struct npu_train_metrics *more)
{
	sum->loss += more->loss * (double)more->samples;
	sum->correct += more->correct;
	sum->samples += more->samples;
}

int npu_train_wait(struct npu_train *t, struct npu_train_metrics *metrics)
{
	struct npu_train_metrics m;
	int ret;

	if (t->steps == t->started)
		return npu_fail(-EINVAL, "train: no step is in flight; start one first");
	ret = npu_session_wait(t->step.session, -1);
	for (unsigned int i = 0; is_lost(ret, i); i++) {
		ret = repeat(t, 1);
		ret = ret ? ret : npu_session_wait(t->step.session, -1);
	}
	if (ret) {
		char text[512];

		snprintf(text, sizeof(text), "%s", npu_error());
		take_back(t, 1);
		return npu_fail(ret, "%s", text);
	}
	ret = read_metrics(t, &t->flight[t->steps % NPU_TRAIN_AHEAD], &m);
	if (ret)
		return ret;
	t->steps++;
	train_add(&t->epoch, &m);
	if (metrics)
		*metrics = m;
	return 0;
}

const float *npu_train_norms(struct npu_train *t)
{
	if (!t->options.gradient_norms)
		return npu_fail_null(-EINVAL, "train: gradient norms are not measured; ask for them when training begins");
	return npu_session_map_output(t->step.session, t->step.out_params + 1 + t->slots);
}

uint64_t npu_train_steps(const struct npu_train *t)
{
	return t->steps;
}

int npu_train_set_learning_rate(struct npu_train *t, float rate)
{
	struct npu_train_options o = t->options;
	int ret;

	o.learning_rate = rate;
	ret = check_options(&o);
	if (!ret)
		t->options = o;
	return ret;
}

int npu_train_get_counters(struct npu_train *t, struct npu_counters *counters)
{
	return npu_session_get_counters(t->step.session, counters);
}

int npu_train_update_graph(struct npu_train *t)
{
	const float *value;

	if (t->steps != t->started)
		return npu_fail(-EBUSY, "train: steps are in flight; wait for them first");
	value = npu_session_peek_input(t->step.session, t->step.params);
	if (!value)
		return -errno;
	npu_graph_set_params(t->graph, value);
	return 0;
}
