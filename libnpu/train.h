/* SPDX-License-Identifier: MIT */
/* What the files of training share. */
#ifndef NPU_TRAIN_INTERNAL_H
#define NPU_TRAIN_INTERNAL_H

#include "internal.h"
#include "npu_train.h"

#define TRAIN_INPUTS_MAX	16
#define TRAIN_SLOTS_MAX		2

/**
 * struct train_program - a compiled step, or an evaluation
 * @labels: @weights: @scalars: @random: @params: index of these inputs; slots follow the parameters
 * @out_params: index of this output; slots follow
 */
struct train_program {
	struct npu_model *model;
	struct npu_session *session;
	unsigned int labels, weights, scalars, random, params;
	unsigned int out_params;
};

/**
 * struct train_flight - a step in flight
 * @samples: of its batch that count
 * @input: its inputs
 */
struct train_flight {
	unsigned int samples;
	const void *input[TRAIN_INPUTS_MAX];
};

/**
 * struct npu_train - a network in training
 * @dev: where
 * @graph: what
 * @options: how
 * @batch: samples
 * @inputs: of the graph
 * @slots: of the optimizer
 * @elems: of all parameters
 * @params: their number
 * @step: the program of a step
 * @eval: that of an evaluation, when there was one
 * @steps: that have ended
 * @started: steps that have been started, @flight: by number modulo NPU_TRAIN_AHEAD
 * @epoch: what has been measured of the epoch that @steps is in
 */
struct npu_train {
	struct npu_device *dev;
	struct npu_graph *graph;
	struct npu_train_options options;
	unsigned int batch, inputs, slots;
	uint64_t elems;
	unsigned int params;
	struct train_program step, eval;
	uint64_t steps, started;
	struct train_flight flight[NPU_TRAIN_AHEAD];
	struct npu_train_metrics epoch;
};

/* ---- train.c ---- */

/* Sums of losses, not means, while they are being added up. */
void train_add(struct npu_train_metrics *sum, const struct npu_train_metrics *more);
/* Steps in flight end, and do not count. */
void train_abandon(struct npu_train *t);
/* Weights of a batch of which @samples count. */
int train_set_weights(struct npu_train *t, struct train_program *p, unsigned int samples);
/* Compile and open; @step is what npu_graph_compile_step() takes. */
int train_open(struct npu_train *t, struct train_program *p, bool train, unsigned int ahead);
void train_close(struct train_program *p);

/* ---- train_fit.c ---- */

/* The sample at place @at of the order of epoch @epoch. */
uint64_t train_shuffled(uint64_t seed, uint64_t epoch, uint64_t samples, uint64_t at);

#endif
