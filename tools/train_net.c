/* SPDX-License-Identifier: MIT */
/* Networks to be trained or evaluated; see train_net.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"
#include "train_net.h"

enum npu_loss train_net_loss(const char *name)
{
	static const char *const names[NPU_LOSSES] = {
		[NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY] = "sparse_categorical_crossentropy",
		[NPU_LOSS_CATEGORICAL_CROSSENTROPY] = "categorical_crossentropy",
		[NPU_LOSS_MSE] = "mse",
	};
	unsigned int loss = 0;

	while (loss < NPU_LOSSES && strcmp(names[loss], name))
		loss++;
	return (enum npu_loss)loss;
}

/* ---- Networks ---- */

/* NPU_NETS: there is none called @name. */
static enum npu_net find_net(const char *name)
{
	unsigned int net = 0;

	while (net < NPU_NETS && strcmp(npu_net_name((enum npu_net)net), name))
		net++;
	return (enum npu_net)net;
}

static struct npu_graph *build(const struct train_net *net, enum npu_net which)
{
	float *value[NPU_NET_PARAMS_MAX] = { NULL };
	struct npu_graph *g = NULL;
	struct npu_net_param param;
	bool good = true;

	for (unsigned int i = 0; !npu_net_param(which, i, &param); i++) {
		value[i] = malloc(param.elems * sizeof(float));
		good = good && value[i];
	}
	if (good && !npu_net_init(which, net->seed, value))
		g = npu_net_build(which, net->batch, (const float *const *)value);
	for (unsigned int i = 0; i < NPU_NET_PARAMS_MAX; i++)
		free(value[i]);
	if (!g)
		tool_fail("out of memory");
	else if (*npu_graph_error(g))
		tool_fail("%s", npu_graph_error(g));
	return g;
}

static int get_graph(struct train_net *net)
{
	enum npu_net which = find_net(net->model);
	char error[512];

	if (which < NPU_NETS) {
		if (net->bind)
			return tool_fail("%s: the built-in network has no dimensions to bind", net->model);
		net->graph = build(net, which);
		return net->graph && !*npu_graph_error(net->graph) ? TOOL_OK : TOOL_FAILED;
	}
	net->graph = npu_graph_read_onnx_params(net->model, net->bind, net->batch, error,
						sizeof(error));
	return net->graph ? TOOL_OK : tool_fail("%s", error);
}

/* ---- What they take ---- */

static struct npu_tensor_info describe(const struct npu_graph *g, int tensor, const char *name)
{
	static const enum npu_dtype_public type[] = {
		[NPU_GRAPH_F32] = NPU_TYPE_F32, [NPU_GRAPH_I32] = NPU_TYPE_I32,
		[NPU_GRAPH_I64] = NPU_TYPE_I64, [NPU_GRAPH_BOOL] = NPU_TYPE_BOOL,
		[NPU_GRAPH_I8] = NPU_TYPE_I8, [NPU_GRAPH_U8] = NPU_TYPE_U8,
		[NPU_GRAPH_I16] = NPU_TYPE_I16, [NPU_GRAPH_F16] = NPU_TYPE_F16,
		[NPU_GRAPH_BF16] = NPU_TYPE_BF16,
	};
	struct npu_tensor_info info = { .name = name, .type = type[npu_graph_type(g, tensor)] };

	info.rank = (unsigned int)npu_graph_shape(g, tensor, info.dim);
	return info;
}

static int check_input(const struct train_net *net)
{
	const char *name, *second;
	int x = npu_graph_get_input(net->graph, 0, &name);

	if (x < 0)
		return tool_fail("%s: has no input", net->model);
	if (npu_graph_get_input(net->graph, 1, &second) >= 0)
		return tool_fail("%s: has several inputs, \"%s\" and \"%s\" say; data sets have one",
				 net->model, name, second);
	return TOOL_OK;
}

static int check_output(const struct train_net *net)
{
	const struct npu_tensor_info *y = &net->want.output;
	unsigned int least = net->loss == NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY ? 2 : 1;

	if (y->type != NPU_TYPE_F32 || y->rank < least || y->dim[0] != net->batch)
		return tool_fail("%s: output \"%s\" is %s %s; a prediction is f32 [%u%s]", net->model,
				 y->name, tool_type_name(y->type), tool_shape(y), net->batch,
				 least == 2 ? ", ..., classes" : ", ...");
	return TOOL_OK;
}

int train_net_open(struct train_net *net)
{
	const char *name;
	int tensor;

	if (get_graph(net) || check_input(net))
		return TOOL_FAILED;
	tensor = npu_graph_get_input(net->graph, 0, &name);
	net->want.input = describe(net->graph, tensor, name);
	tensor = npu_graph_get_output(net->graph, 0, &name);
	if (tensor < 0)
		return tool_fail("%s: has no output", net->model);
	net->want.output = describe(net->graph, tensor, name);
	net->want.loss = net->loss;
	if (check_output(net))
		return TOOL_FAILED;
	if (net->loss != NPU_LOSS_MSE)
		net->places = data_elems(&net->want.output) /
			      (uint64_t)net->want.output.dim[net->want.output.rank - 1];
	return TOOL_OK;
}

void train_net_close(struct train_net *net)
{
	npu_graph_destroy(net->graph);
	net->graph = NULL;
}

struct data *train_net_data(const struct train_net *net, const char *spec)
{
	char error[DATA_ERROR_BYTES];
	struct data *d = data_open(spec, &net->want, error);

	if (!d)
		tool_fail("%s", error);
	return d;
}
