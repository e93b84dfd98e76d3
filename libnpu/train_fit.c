/* SPDX-License-Identifier: MIT */
/*
 * Training over data sets: one batch is read while the device works on the one before.
 * Where training is follows from the number of steps alone, so that a run that goes on
 * from a checkpoint sees the same batches.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "train.h"

/* splitmix64's output function. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

#define ROUNDS	6

/*
 * A permutation without a table: a Feistel network over the next power of four, followed
 * until it is back among the samples.
 */
uint64_t train_shuffled(uint64_t seed, uint64_t epoch, uint64_t samples, uint64_t at)
{
	uint64_t key = mix(mix(seed + 0x9e3779b97f4a7c15u) + epoch + 0x9e3779b97f4a7c15u);
	unsigned int half = 1;
	uint64_t mask;

	while (half < 32 && samples > 1ull << 2 * half)
		half++;
	mask = (1ull << half) - 1;
	do {
		uint64_t left = at >> half, right = at & mask;

		for (unsigned int i = 0; i < ROUNDS; i++) {
			uint64_t next = left ^ (mix(key + right * ROUNDS + i) & mask);

			left = right;
			right = next;
		}
		at = left << half | right;
	} while (at >= samples);
	return at;
}

static unsigned int batch_at(const struct npu_train *t, const struct npu_dataset *data,
			     uint64_t first)
{
	uint64_t left = data->samples - first;

	return left < t->batch ? (unsigned int)left : t->batch;
}

static uint64_t steps_of(const struct npu_train *t, const struct npu_dataset *data)
{
	return (data->samples + t->batch - 1) / t->batch;
}

static int check_data(const struct npu_dataset *data)
{
	if (data && data->samples && data->samples <= 1ull << 62)
		return 0;
	return npu_fail(-EINVAL, "train: the data set is empty");
}

/* Read a batch of epoch @epoch into the next step's memory, and submit it. */
static int start_step(struct npu_train *t, const struct npu_fit *fit, uint64_t epoch,
		      uint64_t step, uint64_t *index)
{
	void *input[TRAIN_INPUTS_MAX], *labels = npu_train_map_labels(t);
	uint64_t first = step * t->batch;
	unsigned int samples = batch_at(t, fit->data, first);
	int ret;

	for (unsigned int i = 0; labels && i < t->inputs; i++) {
		input[i] = npu_train_map_input(t, i);
		if (!input[i])
			return -errno;
	}
	if (!labels)
		return -errno;
	for (unsigned int i = 0; i < samples; i++)
		index[i] = fit->shuffle ? train_shuffled(t->options.seed, epoch, fit->data->samples,
							 first + i) : first + i;
	ret = fit->data->read(fit->data->ctx, index, samples, input, labels);
	return ret ? ret : npu_train_start(t, samples);
}

/**
 * struct fitting - a call of npu_train_fit()
 * @steps: of an epoch
 * @end: number of the last step
 * @saved: step of the last checkpoint
 * @index: of the samples of a batch
 */
struct fitting {
	struct npu_train *t;
	const struct npu_fit *fit;
	uint64_t steps, end, saved;
	uint64_t *index;
};

static int save(struct fitting *f)
{
	if (!f->fit->checkpoint || f->saved == f->t->steps)
		return 0;
	f->saved = f->t->steps;
	return npu_train_save_checkpoint(f->t, f->fit->checkpoint);
}

/* After step @t->steps has ended: tell the caller; -errno, or what the caller says. */
static int report(struct fitting *f, const struct npu_train_metrics *last)
{
	struct npu_train *t = f->t;
	struct npu_train_metrics validation;
	struct npu_train_progress p = {
		.epoch = (unsigned int)((t->steps - 1) / f->steps), .epochs = f->fit->epochs,
		.step = (t->steps - 1) % f->steps, .steps = f->steps,
		.last = *last, .sum = t->epoch,
		.epoch_ended = t->steps % f->steps == 0,
	};
	int ret = 0;

	p.sum.loss /= (double)p.sum.samples;
	if (p.epoch_ended && f->fit->validation) {
		ret = npu_train_evaluate(t, f->fit->validation, NULL, NULL, &validation);
		p.validation = &validation;
	}
	if (p.epoch_ended)
		memset(&t->epoch, 0, sizeof(t->epoch));
	if (!ret && f->fit->on_step)
		ret = f->fit->on_step(f->fit->ctx, &p);
	return ret;
}

/* Does something happen after step @step that needs it to be the last one? */
static bool stops_after(const struct fitting *f, uint64_t step)
{
	return step % f->steps == 0 || step == f->end ||
	       (f->fit->checkpoint_steps && step % f->fit->checkpoint_steps == 0);
}

/* Keep the device busy up to the next stop. */
static int run_ahead(struct fitting *f)
{
	struct npu_train *t = f->t;
	int ret = 0;

	while (!ret && t->started < f->end && t->started - t->steps < NPU_TRAIN_AHEAD &&
	       (t->started == t->steps || !stops_after(f, t->started)))
		ret = start_step(t, f->fit, t->started / f->steps, t->started % f->steps, f->index);
	return ret;
}

static int run(struct fitting *f)
{
	struct npu_train *t = f->t;
	struct npu_train_metrics m;
	int ret = 0;

	while (!ret && t->steps < f->end) {
		ret = run_ahead(f);
		ret = ret ? ret : npu_train_wait(t, &m);
		ret = ret ? ret : report(f, &m);
		if (!ret && stops_after(f, t->steps))
			ret = save(f);
	}
	return ret;
}

int npu_train_fit(struct npu_train *t, const struct npu_fit *fit)
{
	struct fitting f = { .t = t, .fit = fit, .saved = UINT64_MAX };
	int ret = check_data(fit->data), saved;

	if (!ret && fit->validation)
		ret = check_data(fit->validation);
	if (ret)
		return ret;
	f.steps = steps_of(t, fit->data);
	f.end = f.steps * fit->epochs;
	if (fit->max_steps && fit->max_steps < f.end)
		f.end = fit->max_steps;
	f.index = calloc(t->batch, sizeof(*f.index));
	if (!f.index)
		return npu_fail_memory("train");
	ret = run(&f);
	/* What has been reported is kept, whatever the reason to stop. */
	if (ret) {
		char text[512];

		snprintf(text, sizeof(text), "%s", npu_error());
		train_abandon(t);
		saved = save(&f);
		if (ret < 0)
			npu_fail(ret, "%s", text);
		else if (saved)
			ret = saved;
	}
	free(f.index);
	return ret;
}

/* ---- evaluation ---- */

static int eval_batch(struct npu_train *t, const struct npu_dataset *data, uint64_t first,
		      uint64_t *index, struct npu_train_metrics *m)
{
	struct train_program *p = &t->eval;
	void *input[TRAIN_INPUTS_MAX], *labels = npu_session_map_input(p->session, p->labels);
	unsigned int samples = batch_at(t, data, first);
	float loss, correct = 0;
	int ret;

	for (unsigned int i = 0; i < t->inputs; i++) {
		input[i] = npu_session_map_input(p->session, i);
		if (!input[i] || !labels)
			return -errno;
	}
	for (unsigned int i = 0; i < samples; i++)
		index[i] = first + i;
	ret = data->read(data->ctx, index, samples, input, labels);
	ret = ret ? ret : train_set_weights(t, p, samples);
	ret = ret ? ret : npu_session_run(p->session);
	ret = ret ? ret : npu_session_get_output(p->session, 0, &loss, sizeof(loss));
	if (!ret && t->options.loss != NPU_LOSS_MSE)
		ret = npu_session_get_output(p->session, 1, &correct, sizeof(correct));
	if (!ret)
		*m = (struct npu_train_metrics){
			.loss = (double)loss, .correct = (uint64_t)correct, .samples = samples,
		};
	return ret;
}

/* The parameters of training, as they are. */
static int open_eval(struct npu_train *t)
{
	const float *value;
	int ret;

	if (!t->eval.session) {
		ret = train_open(t, &t->eval, false, 1);
		if (ret) {
			train_close(&t->eval);
			memset(&t->eval, 0, sizeof(t->eval));
			return ret;
		}
	}
	value = npu_session_peek_input(t->step.session, t->step.params);
	return value ? npu_session_set_input(t->eval.session, t->eval.params, value,
					     t->elems * sizeof(*value)) : -errno;
}

int npu_train_evaluate(struct npu_train *t, const struct npu_dataset *data,
		       int (*on_batch)(void *ctx, const float *prediction, const void *labels,
				       unsigned int samples),
		       void *ctx, struct npu_train_metrics *metrics)
{
	struct npu_train_metrics sum = { 0 }, m;
	uint64_t *index;
	int ret = check_data(data);

	if (ret)
		return ret;
	if (t->steps != t->started)
		return npu_fail(-EBUSY, "train: steps are in flight; wait for them first");
	index = calloc(t->batch, sizeof(*index));
	if (!index)
		return npu_fail_memory("evaluate");
	ret = open_eval(t);
	for (uint64_t first = 0; !ret && first < data->samples; first += t->batch) {
		ret = eval_batch(t, data, first, index, &m);
		if (ret)
			break;
		train_add(&sum, &m);
		if (on_batch)
			ret = on_batch(ctx, npu_session_map_output(t->eval.session, t->eval.out_params),
				       npu_session_peek_input(t->eval.session, t->eval.labels),
				       (unsigned int)m.samples);
	}
	free(index);
	if (sum.samples)
		sum.loss /= (double)sum.samples;
	*metrics = sum;
	return ret;
}
