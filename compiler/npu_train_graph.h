/* SPDX-License-Identifier: MIT */
/*
 * Training steps and evaluations as programs. Part of libnpu; most applications want
 * npu_train_*() of npu.h, which runs them.
 *
 * A graph's parameters (npu_graph_param(), or float initialisers of a model read for
 * training) are one vector of f32, each dense and row-major, in the graph's order. The
 * optimizer keeps slots of the same size. A step reads all of them and writes them anew
 * to other memory: so it can be repeated when it failed.
 */
#ifndef NPU_TRAIN_GRAPH_H
#define NPU_TRAIN_GRAPH_H

#include "npu_graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum npu_loss {
	/* Labels: i32 class numbers, of the prediction's shape without its last axis. */
	NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
	/* Labels: f32 probabilities of the prediction's shape. */
	NPU_LOSS_CATEGORICAL_CROSSENTROPY,
	/* Labels: f32 of the prediction's shape. */
	NPU_LOSS_MSE,
	NPU_LOSSES,
};

/* As Keras defines them; slots in parentheses. */
enum npu_optimizer {
	NPU_OPTIMIZER_SGD,		/* w -= rate g */
	NPU_OPTIMIZER_MOMENTUM,		/* (v) v = keep v - rate g, w += v */
	NPU_OPTIMIZER_NESTEROV,		/* (v) likewise, w += keep v - rate g */
	/*
	 * (m, v) m += (g - m) mix1, v += (g^2 - v) mix2, w -= rate m / (sqrt(v) + epsilon);
	 * rate has the corrections of the step in it.
	 */
	NPU_OPTIMIZER_ADAM,
	/* The same after w -= decay w; decay is the learning rate times the weight decay. */
	NPU_OPTIMIZER_ADAMW,
	NPU_OPTIMIZERS,
};

/* Elements of the input of scalars; they may change with every step. */
enum npu_hyper {
	NPU_HYPER_RATE,
	NPU_HYPER_KEEP,			/* momentum */
	NPU_HYPER_MIX1,			/* 1 - beta 1 */
	NPU_HYPER_MIX2,			/* 1 - beta 2 */
	NPU_HYPER_EPSILON,
	NPU_HYPER_DECAY,
	NPU_HYPER_CLIP_NORM,		/* of all gradients together */
	NPU_HYPERS = 8,
};

/**
 * struct npu_step - what a program of a graph is to do
 * @train: change the parameters; else only compute loss and predictions
 * @loss: of the graph's first output, the prediction [batch, ...]
 * @from_logits: cross-entropy: the prediction is before softmax. Else it is after it; a
 *	softmax at the end of the graph is left out, which is the same but more exact
 * @optimizer: how
 * @clip_norm: gradients are scaled down to norm NPU_HYPER_CLIP_NORM if theirs is larger
 * @gradient_norms: output them, one for each parameter
 */
struct npu_step {
	bool train;
	enum npu_loss loss;
	bool from_logits;
	enum npu_optimizer optimizer;
	bool clip_norm;
	bool gradient_norms;
};

/* Slots of an optimizer, or -EINVAL. */
int npu_optimizer_slots(enum npu_optimizer optimizer);

/* Number of parameters; name, dimensions (rank returned) and first element of each. */
int npu_graph_params(const struct npu_graph *g);
int npu_graph_param_info(const struct npu_graph *g, unsigned int index, const char **name,
			 int64_t dim[NPU_GRAPH_RANK_MAX], uint64_t *first);
/*
 * Parameters whose names match @pattern (fnmatch(3)) are constants from now on; how many
 * these were.
 */
int npu_graph_freeze(struct npu_graph *g, const char *pattern);
/* Elements of all of them. */
uint64_t npu_graph_param_elems(const struct npu_graph *g);
/* Read, and set, the values of all. */
void npu_graph_get_params(const struct npu_graph *g, float *value);
void npu_graph_set_params(struct npu_graph *g, const float *value);

/*
 * Compile a step, like npu_graph_compile(). In one that trains, batch normalisation takes
 * the batch's statistics and keeps running ones, and dropout drops. Its inputs are the graph's, then
 *	labels	as the loss says
 *	weights	f32[batch], of each sample in the loss, 1 / samples say; 0 for none
 *	scalars	f32[NPU_HYPERS] (only to train)
 *	random	i32[2], a key and the number of the step: dropout's (only to train)
 *	params	f32[elements]
 *	slots	f32[elements] each (only to train)
 * and its outputs
 *	loss	f32[1], the sum of the samples' losses times weights
 *	correct	f32[1], samples with weight whose largest prediction is the label's (not
 *		for NPU_LOSS_MSE)
 * then to train
 *	params, slots	after the step
 *	norms	f32[parameters], if asked for
 * and else
 *	prediction	as the graph has it
 */
int npu_graph_compile_step(struct npu_graph *g, const struct npu_step *step,
			   const struct npu_target *target, const char *dump, void *dump_file,
			   void **image, size_t *image_bytes);

#ifdef __cplusplus
}
#endif

#endif
