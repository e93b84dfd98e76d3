/* SPDX-License-Identifier: MIT */
/*
 * A training loop of its own for the three networks of the mission: parameters and the
 * optimizer's slots are fp32, what is between them is double. Optimizers as Keras defines
 * them.
 */
#ifndef REF_TRAIN_H
#define REF_TRAIN_H

#include "ref_models.h"

enum ref_optimizer { REF_SGD, REF_MOMENTUM, REF_NESTEROV, REF_ADAM, REF_ADAMW };

/* The scalars that Keras has for all of them. */
struct ref_rates {
	double rate, momentum, beta1, beta2, epsilon, decay;
};

/**
 * struct ref_train - a network in training
 * @value: @m: @v: parameters and slots, one after the other
 * @gradient: of the last step
 * @elems: of each
 * @steps: so far
 */
struct ref_train {
	enum ref_model model;
	enum ref_optimizer optimizer;
	struct ref_rates rates;
	float *value, *m, *v;
	double *gradient;
	int64_t elems, steps;
};

/* @params: as for ref_model_forward(). 0 or -ENOMEM. */
int ref_train_begin(struct ref_train *t, enum ref_model model, enum ref_optimizer optimizer,
		    struct ref_rates rates, const float *const *params);
void ref_train_end(struct ref_train *t);
/* The first element of a parameter. */
int64_t ref_train_first(const struct ref_train *t, int param);
/* images: [batch, 28, 28] divided by 255. The mean loss before the step. */
double ref_train_step(struct ref_train *t, const float *images, const int32_t *label,
		      int64_t batch, int64_t *correct);

#endif
