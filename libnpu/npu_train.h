/* SPDX-License-Identifier: MIT */
/*
 * Training on the NPU: forward pass, loss, backward pass and optimizer are one program
 * per step; the host feeds batches and reads the loss. Part of libnpu.
 *
 * Functions return 0 or -errno with a message in npu_error(), or NULL and errno. One
 * npu_train is used by one thread at a time.
 */
#ifndef NPU_TRAIN_H
#define NPU_TRAIN_H

#include "npu.h"
#include "npu_graph.h"
#include "npu_train_graph.h"

#ifdef __cplusplus
extern "C" {
#endif

struct npu_train;

/**
 * struct npu_train_options - what Keras's compile() takes
 * @loss: of the graph's first output
 * @from_logits: see struct npu_step
 * @optimizer: and its scalars, as Keras defines them:
 * @learning_rate: above 0
 * @momentum: NPU_OPTIMIZER_MOMENTUM and NESTEROV, 0 .. 1
 * @beta1: @beta2: @epsilon: ADAM and ADAMW
 * @weight_decay: ADAMW
 * @clip_norm: largest norm of all gradients together; 0: any
 * @gradient_norms: measure the norms, see npu_train_norms()
 * @seed: of dropout, and of the order of samples in npu_train_fit()
 */
struct npu_train_options {
	enum npu_loss loss;
	bool from_logits;
	enum npu_optimizer optimizer;
	float learning_rate;
	float momentum;
	float beta1, beta2, epsilon;
	float weight_decay;
	float clip_norm;
	bool gradient_norms;
	uint64_t seed;
};

/* The defaults of Keras for @optimizer; seed 1. */
struct npu_train_options npu_train_defaults(enum npu_loss loss, enum npu_optimizer optimizer);

/**
 * struct npu_train_metrics - of a step, or of an evaluation
 * @loss: mean over the samples
 * @correct: samples (places, if a sample has several) predicted right; not for
 *	NPU_LOSS_MSE
 * @samples: how many there were
 */
struct npu_train_metrics {
	double loss;
	uint64_t correct;
	uint64_t samples;
};

/*
 * Compile a step of @graph, whose first dimension of inputs is the batch. The graph
 * must live as long as the result; its parameters are the first values.
 */
struct npu_train *npu_train_create(struct npu_device *dev, struct npu_graph *graph,
				   const struct npu_train_options *options);
void npu_train_destroy(struct npu_train *t);

/* Samples of a batch, inputs of the graph, and what one sample takes. */
unsigned int npu_train_batch(const struct npu_train *t);
unsigned int npu_train_inputs(const struct npu_train *t);
uint64_t npu_train_input_bytes(const struct npu_train *t, unsigned int input);
uint64_t npu_train_label_bytes(const struct npu_train *t);
/* Memory of the device that a step takes, in all. */
uint64_t npu_train_memory_bytes(const struct npu_train *t);

/*
 * Where the next step's batch goes, dense; labels are i32 for
 * NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, else f32. -EBUSY as long as
 * NPU_TRAIN_AHEAD steps are in flight.
 */
#define NPU_TRAIN_AHEAD		2
void *npu_train_map_input(struct npu_train *t, unsigned int input);
void *npu_train_map_labels(struct npu_train *t);
/* Submit a step over the first @samples (1 .. batch) of it. */
int npu_train_start(struct npu_train *t, unsigned int samples);
/*
 * Sleep until the oldest step in flight has ended. A step that the device lost is repeated,
 * to the same bits: after resets up to 16 times, after a hang once. -EDOM: the loss is not finite; the
 * parameters are what they were before the step, and no step is in flight any more.
 */
int npu_train_wait(struct npu_train *t, struct npu_train_metrics *metrics);
/* Norms of the last step's gradients, one for each of npu_graph_params(). */
const float *npu_train_norms(struct npu_train *t);

/* Steps that have ended since training began, checkpoints included. */
uint64_t npu_train_steps(const struct npu_train *t);
/* For the steps that are started from now on. */
int npu_train_set_learning_rate(struct npu_train *t, float rate);

int npu_train_get_counters(struct npu_train *t, struct npu_counters *counters);

/* Parameters to the graph (see npu_graph_get_params(), npu_graph_write_onnx()). */
int npu_train_update_graph(struct npu_train *t);

/* ---- Data ---- */

/**
 * struct npu_dataset - samples, in any order
 * @samples: how many
 * @read: write samples @index[0 .. count - 1] to @input (one pointer for each input of
 *	the graph) and @labels, dense. 0, or -errno after npu_set_error()
 * @ctx: for @read
 */
struct npu_dataset {
	uint64_t samples;
	int (*read)(void *ctx, const uint64_t *index, unsigned int count, void *const *input,
		    void *labels);
	void *ctx;
};

/**
 * struct npu_train_progress - for callbacks of npu_train_fit()
 * @epoch: from 0
 * @epochs: to come in all
 * @step: that has ended, in this epoch, from 0
 * @steps: of an epoch
 * @last: of the step
 * @sum: of the epoch so far; its loss is the mean over all samples
 * @validation: of the epoch, when it ends and there is a validation set
 * @epoch_ended: with this step
 */
struct npu_train_progress {
	unsigned int epoch, epochs;
	uint64_t step, steps;
	struct npu_train_metrics last, sum;
	const struct npu_train_metrics *validation;
	bool epoch_ended;
};

/**
 * struct npu_fit - what Keras's fit() takes
 * @data: to train with; the last batch of an epoch may be partial
 * @validation: to evaluate after each epoch, or NULL
 * @epochs: how often
 * @max_steps: stop after so many steps of all epochs; 0: do not
 * @shuffle: another order in each epoch, which the seed decides
 * @checkpoint: file to write to, or NULL
 * @checkpoint_steps: how often, in steps; 0: after each epoch only
 * @on_step: called after each step; anything but 0 ends training with a checkpoint, and
 *	is what npu_train_fit() returns
 * @ctx: for @on_step
 */
struct npu_fit {
	const struct npu_dataset *data, *validation;
	unsigned int epochs;
	uint64_t max_steps;
	bool shuffle;
	const char *checkpoint;
	uint64_t checkpoint_steps;
	int (*on_step)(void *ctx, const struct npu_train_progress *progress);
	void *ctx;
};

/* Go on from npu_train_steps() to the end. */
int npu_train_fit(struct npu_train *t, const struct npu_fit *fit);
/*
 * Loss and accuracy of the parameters as they are. @on_batch, if not NULL, sees the
 * predictions of each batch, dense, and the labels; anything but 0 ends it.
 */
int npu_train_evaluate(struct npu_train *t, const struct npu_dataset *data,
		       int (*on_batch)(void *ctx, const float *prediction, const void *labels,
				       unsigned int samples),
		       void *ctx, struct npu_train_metrics *metrics);

/* ---- Checkpoints ---- */

/* All that a step depends on; the file appears whole or not at all. */
int npu_train_save_checkpoint(struct npu_train *t, const char *path);
/* Of the same graph, optimizer and seed; nothing changes if it is not. */
int npu_train_load_checkpoint(struct npu_train *t, const char *path);

#ifdef __cplusplus
}
#endif

#endif
