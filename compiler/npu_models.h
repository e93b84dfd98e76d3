/* SPDX-License-Identifier: MIT */
/*
 * The three networks of the mission, made with the graph builder. Part of
 * libnpu. Parameters are arrays of float in Keras layouts, in the order of
 * npu_net_param(): first layer first, per layer kernel, recurrent kernel, bias.
 */
#ifndef NPU_MODELS_H
#define NPU_MODELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct npu_graph;

enum npu_net {
	/*
	 * [n, 28, 28, 1]: conv 32 3x3 relu, max pool 2, conv 64 3x3 relu, max
	 * pool 2, flatten, dense 64 relu, dense 10 softmax.
	 */
	NPU_NET_CNN,
	/* [n, 28, 28]: LSTM 64 (relu, all steps), LSTM 64 (relu, last), dense 10 softmax. */
	NPU_NET_RNN,
	/*
	 * [n, 28, 28]: dense 32; q, k, v dense 32; softmax(q k^T / sqrt 32) v;
	 * flatten; dense 64 relu; dense 10 softmax.
	 */
	NPU_NET_ATTENTION,
	NPU_NETS,
};

#define NPU_NET_PARAMS_MAX	16

/**
 * struct npu_net_param - one parameter tensor
 * @name: "conv1/kernel"; valid for ever
 * @rank: 1 .. 4
 * @dim: Keras layout
 * @elems: product of dim
 */
struct npu_net_param {
	const char *name;
	unsigned int rank;
	int64_t dim[4];
	size_t elems;
};

/* "cnn", "rnn", "attention"; NULL for another value. */
const char *npu_net_name(enum npu_net net);
/* Number of parameter tensors, or -EINVAL. */
int npu_net_params(enum npu_net net);
/* 0, or -EINVAL. */
int npu_net_param(enum npu_net net, unsigned int index, struct npu_net_param *param);

/*
 * Fill @param (arrays of the sizes above) as Keras initialises: glorot_uniform
 * kernels, orthogonal recurrent kernels, zero biases, forget-gate bias 1. The
 * same seed gives the same bits everywhere. 0 or -errno.
 */
int npu_net_init(enum npu_net net, uint64_t seed, float *const *param);

/*
 * The network for a batch of @batch images: input "images", output
 * "probabilities" [batch, 10]. Parameters are copied. NULL without memory or
 * for bad arguments; other errors are in npu_graph_error().
 */
struct npu_graph *npu_net_build(enum npu_net net, int64_t batch, const float *const *param);

#ifdef __cplusplus
}
#endif

#endif
