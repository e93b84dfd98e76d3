/* SPDX-License-Identifier: MIT */
/* The networks of the mission. */
#include "npu_models.h"

#include <errno.h>

#include "npu_graph.h"

/* The images of the mission. */
#define SIDE		28
#define CLASSES		10

#define LSTM_UNITS	64
#define ATTENTION_UNITS	32
#define HIDDEN		64

struct net {
	const char *name;
	unsigned int params;
	const struct npu_net_param *param;
	/* Input [batch, ...] to probabilities [batch, 10]. */
	unsigned int input_rank;
	int (*build)(struct npu_graph *g, int x, const int *param);
};

#define PARAM1(n, a)		{ .name = n, .rank = 1, .dim = { a }, .elems = a }
#define PARAM2(n, a, b)		{ .name = n, .rank = 2, .dim = { a, b }, .elems = (a) * (b) }
#define PARAM4(n, a, b, c, d) \
	{ .name = n, .rank = 4, .dim = { a, b, c, d }, .elems = (a) * (b) * (c) * (d) }

static const struct npu_net_param cnn_param[] = {
	PARAM4("conv1/kernel", 3, 3, 1, 32), PARAM1("conv1/bias", 32),
	PARAM4("conv2/kernel", 3, 3, 32, 64), PARAM1("conv2/bias", 64),
	PARAM2("dense1/kernel", 5 * 5 * 64, HIDDEN), PARAM1("dense1/bias", HIDDEN),
	PARAM2("dense2/kernel", HIDDEN, CLASSES), PARAM1("dense2/bias", CLASSES),
};

static const struct npu_net_param rnn_param[] = {
	PARAM2("lstm1/kernel", SIDE, 4 * LSTM_UNITS),
	PARAM2("lstm1/recurrent", LSTM_UNITS, 4 * LSTM_UNITS),
	PARAM1("lstm1/bias", 4 * LSTM_UNITS),
	PARAM2("lstm2/kernel", LSTM_UNITS, 4 * LSTM_UNITS),
	PARAM2("lstm2/recurrent", LSTM_UNITS, 4 * LSTM_UNITS),
	PARAM1("lstm2/bias", 4 * LSTM_UNITS),
	PARAM2("dense/kernel", LSTM_UNITS, CLASSES), PARAM1("dense/bias", CLASSES),
};

static const struct npu_net_param attention_param[] = {
	PARAM2("embed/kernel", SIDE, ATTENTION_UNITS), PARAM1("embed/bias", ATTENTION_UNITS),
	PARAM2("q/kernel", ATTENTION_UNITS, ATTENTION_UNITS), PARAM1("q/bias", ATTENTION_UNITS),
	PARAM2("k/kernel", ATTENTION_UNITS, ATTENTION_UNITS), PARAM1("k/bias", ATTENTION_UNITS),
	PARAM2("v/kernel", ATTENTION_UNITS, ATTENTION_UNITS), PARAM1("v/bias", ATTENTION_UNITS),
	PARAM2("dense1/kernel", SIDE * ATTENTION_UNITS, HIDDEN), PARAM1("dense1/bias", HIDDEN),
	PARAM2("dense2/kernel", HIDDEN, CLASSES), PARAM1("dense2/bias", CLASSES),
};

static int relu(struct npu_graph *g, int x)
{
	return npu_graph_unary(g, NPU_UNARY_RELU, x, 0, 0);
}

/* p[0] kernel, p[1] bias. */
static int dense(struct npu_graph *g, int x, const int *p)
{
	return npu_graph_dense(g, x, p[0], p[1]);
}

static int build_cnn(struct npu_graph *g, int x, const int *p)
{
	const struct npu_window_attr conv = { .pad = NPU_PAD_VALID };
	const struct npu_window_attr pool = { .kernel = { 2, 2 }, .stride = { 2, 2 } };

	for (unsigned int i = 0; i < 2; i++) {
		x = relu(g, npu_graph_conv2d(g, x, p[2 * i], p[2 * i + 1], &conv));
		x = npu_graph_max_pool2d(g, x, &pool);
	}
	x = relu(g, dense(g, npu_graph_flatten(g, x), &p[4]));
	return npu_graph_softmax(g, dense(g, x, &p[6]), -1);
}

static int build_rnn(struct npu_graph *g, int x, const int *p)
{
	struct npu_lstm_attr attr = {
		.activation = NPU_UNARY_RELU,
		.recurrent_activation = NPU_UNARY_SIGMOID,
		.return_sequences = true,
	};

	x = npu_graph_lstm(g, x, p[0], p[1], p[2], &attr);
	attr.return_sequences = false;
	x = npu_graph_lstm(g, x, p[3], p[4], p[5], &attr);
	return npu_graph_softmax(g, dense(g, x, &p[6]), -1);
}

static int build_attention(struct npu_graph *g, int x, const int *p)
{
	int q, k, v;

	x = dense(g, x, &p[0]);
	q = dense(g, x, &p[2]);
	k = dense(g, x, &p[4]);
	v = dense(g, x, &p[6]);
	x = npu_graph_flatten(g, npu_graph_attention(g, q, k, v, 0));
	x = relu(g, dense(g, x, &p[8]));
	return npu_graph_softmax(g, dense(g, x, &p[10]), -1);
}

#define PARAMS(p)	.params = sizeof(p) / sizeof((p)[0]), .param = p

static const struct net nets[NPU_NETS] = {
	[NPU_NET_CNN] = {
		.name = "cnn", PARAMS(cnn_param), .input_rank = 4, .build = build_cnn,
	},
	[NPU_NET_RNN] = {
		.name = "rnn", PARAMS(rnn_param), .input_rank = 3, .build = build_rnn,
	},
	[NPU_NET_ATTENTION] = {
		.name = "attention", PARAMS(attention_param), .input_rank = 3,
		.build = build_attention,
	},
};

static const struct net *find(enum npu_net net)
{
	return (unsigned int)net < NPU_NETS ? &nets[net] : NULL;
}

const char *npu_net_name(enum npu_net net)
{
	return find(net) ? nets[net].name : NULL;
}

int npu_net_params(enum npu_net net)
{
	return find(net) ? (int)nets[net].params : -EINVAL;
}

int npu_net_param(enum npu_net net, unsigned int index, struct npu_net_param *param)
{
	if (!find(net) || index >= nets[net].params)
		return -EINVAL;
	*param = nets[net].param[index];
	return 0;
}

struct npu_graph *npu_net_build(enum npu_net net, int64_t batch, const float *const *param)
{
	const int64_t dim[] = { batch, SIDE, SIDE, 1 };
	int tensor[NPU_NET_PARAMS_MAX];
	struct npu_graph *g;
	int x;

	if (!find(net) || batch < 1 || !param)
		return NULL;
	g = npu_graph_create(nets[net].name);
	if (!g)
		return NULL;
	x = npu_graph_input(g, "images", NPU_GRAPH_F32, nets[net].input_rank, dim);
	for (unsigned int i = 0; i < nets[net].params; i++) {
		const struct npu_net_param *p = &nets[net].param[i];

		tensor[i] = npu_graph_param(g, p->name, p->rank, p->dim, param[i]);
	}
	npu_graph_output(g, "probabilities", nets[net].build(g, x, tensor));
	return g;
}
