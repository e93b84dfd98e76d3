/* SPDX-License-Identifier: MIT */
/* How far training is: a bar on a terminal, else a line for each epoch. */
#ifndef NPU_TRAIN_PROGRESS_H
#define NPU_TRAIN_PROGRESS_H

#include "npu_train.h"

/**
 * struct train_progress - of a run
 * @on_terminal: standard output is one
 * @places: predictions of a sample; 0: the loss does not say what is right
 * @end: the last step, counted over all epochs
 * @start_s: when the run began
 * @step_s: when the last step ended
 * @drawn_s: when the bar was drawn last
 * @steps: of the run
 * @epoch_samples: of the run in this epoch, in @epoch_s; without steps that an evaluation
 *	came with
 */
struct train_progress {
	bool on_terminal;
	uint64_t places, end;
	double start_s, step_s, drawn_s;
	uint64_t steps, epoch_samples;
	double epoch_s;
};

void train_progress_begin(struct train_progress *p);
void train_progress_step(struct train_progress *p, const struct npu_train_progress *now);
/* The bar, if there is one, stays. */
void train_progress_end(struct train_progress *p);

#endif
