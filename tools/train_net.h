/* SPDX-License-Identifier: MIT */
/* What npu train and npu evaluate share: networks, and options that both have. */
#ifndef NPU_TRAIN_NET_H
#define NPU_TRAIN_NET_H

#include "data.h"
#include "npu_graph.h"
#include "npu_models.h"

/**
 * struct train_net - a network, and what it was asked for with
 * @model: ONNX file, or the name of a built-in network
 * @bind: symbolic dimensions but the batch, or NULL
 * @batch: samples
 * @seed: of a built-in network's first parameters
 * @loss: NPU_LOSSES: none has been given
 * @from_logits: the prediction is before softmax
 * @graph: the network, or NULL
 * @want: what it takes
 * @places: predictions of a sample, each of which is right or wrong; 0 for NPU_LOSS_MSE
 */
struct train_net {
	const char *model;
	const char *bind;
	uint32_t batch;
	uint32_t seed;
	enum npu_loss loss;
	bool from_logits;
	struct npu_graph *graph;
	struct data_want want;
	uint64_t places;
};

/* TOOL_OK, or TOOL_FAILED after a message. */
int train_net_open(struct train_net *net);
void train_net_close(struct train_net *net);
/* A data set for it; NULL after a message. */
struct data *train_net_data(const struct train_net *net, const char *spec);
/* NPU_LOSSES: there is none called @name. */
enum npu_loss train_net_loss(const char *name);

#endif
