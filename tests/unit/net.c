/* SPDX-License-Identifier: MIT */
/* Networks under test. */
#include "net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "front.h"

void net_take(struct net *net, struct npu_graph *g)
{
	memset(net, 0, sizeof(*net));
	net->g = g;
	assert_non_null(g);
}

void net_begin(struct net *net)
{
	net_take(net, npu_graph_create("test"));
}

void net_end(struct net *net)
{
	kir_data_destroy(net->data);
	if (net->k)
		nc_arena_destroy(net->k->arena);
	npu_graph_destroy(net->g);
	memset(net, 0, sizeof(*net));
}

static int checked(struct net *net, int tensor)
{
	if (tensor < 0)
		fail_msg("%s", npu_graph_error(net->g));
	return tensor;
}

void net_bind(struct net *net, unsigned int index, const void *value)
{
	assert_true(index < net->g->inputs && index < NET_TENSORS);
	net->input[index] = value;
}

int net_input(struct net *net, const struct ref_tensor *t)
{
	char name[32];
	int tensor;

	snprintf(name, sizeof(name), "x%u", net->g->inputs);
	tensor = checked(net, npu_graph_input(net->g, name, NPU_GRAPH_F32, (unsigned int)t->rank,
					      t->dims));
	net_bind(net, net->g->inputs - 1, t->data);
	return tensor;
}

int net_input_i32(struct net *net, int64_t count, const int32_t *value)
{
	char name[32];
	int tensor;

	snprintf(name, sizeof(name), "x%u", net->g->inputs);
	tensor = checked(net, npu_graph_input(net->g, name, NPU_GRAPH_I32, 1, &count));
	net_bind(net, net->g->inputs - 1, value);
	return tensor;
}

int net_const(struct net *net, const struct ref_tensor *t)
{
	return checked(net, npu_graph_const(net->g, NULL, NPU_GRAPH_F32, (unsigned int)t->rank,
					    t->dims, t->data));
}

int net_ints(struct net *net, const int64_t *value, int64_t count)
{
	return checked(net, npu_graph_const(net->g, NULL, NPU_GRAPH_I64, 1, &count, value));
}

struct nc_node *net_node(struct net *net, const char *op, uint32_t ins, const int *in,
			 uint32_t outs)
{
	const struct nc_op *row = nc_op_find(op);
	struct nc_node *n;

	assert_non_null(row);
	n = nc_node_new(net->g, row, "node", ins, outs);
	assert_non_null(n);
	for (uint32_t i = 0; i < ins; i++)
		n->in[i] = in[i] == NPU_TENSOR_NONE ? NC_NONE : (uint32_t)in[i];
	for (uint32_t i = 0; i < outs; i++)
		n->out[i] = (uint32_t)nc_graph_tensor(net->g, NULL);
	return n;
}

void net_add(struct net *net, struct nc_node *n)
{
	if (nc_graph_node(net->g, n))
		fail_msg("%s", npu_graph_error(net->g));
}

int net_out(const struct nc_node *n, uint32_t i)
{
	return (int)n->out[i];
}

void net_run(struct net *net)
{
	struct nc_diag diag = { "" };
	unsigned int next = 0;

	if (nc_front(net->g, NULL, NULL, &net->k))
		fail_msg("%s", npu_graph_error(net->g));
	if (kir_verify(net->k, &diag))
		fail_msg("%s", diag.text);
	net->data = kir_data_create(net->k);
	assert_non_null(net->data);
	for (uint32_t i = 0; i < net->k->tensors; i++) {
		const struct kir_tensor *t = &net->k->tensor[i];

		if (t->kind != KIR_INPUT)
			continue;
		assert_non_null(net->input[next]);
		memcpy(net->data->word[i], net->input[next++], t->elems * sizeof(uint32_t));
	}
	assert_int_equal(next, net->g->inputs);
	kir_eval(net->data);
}

struct ref_tensor net_result(struct net *net, unsigned int index)
{
	struct ref_tensor r;

	for (uint32_t i = 0; i < net->k->tensors; i++) {
		const struct kir_tensor *t = &net->k->tensor[i];

		if (t->kind != KIR_OUTPUT || index--)
			continue;
		assert_int_equal(ref_tensor_from(&r, (int)t->rank, t->dim,
						 (const float *)net->data->word[i]), 0);
		return r;
	}
	fail_msg("there is no such output");
	return r;
}

unsigned int net_count(const struct net *net, enum kir_kind kind)
{
	unsigned int count = 0;

	for (uint32_t i = 0; i < net->k->ops; i++)
		count += net->k->op[i]->kind == kind;
	return count;
}

void net_refused(struct net *net, int err, const char *const *words)
{
	int ret = nc_front(net->g, NULL, NULL, &net->k);

	if (ret != err)
		fail_msg("%d instead of %d: %s", ret, err, npu_graph_error(net->g));
	for (; *words; words++)
		if (!strstr(npu_graph_error(net->g), *words))
			fail_msg("no \"%s\" in: %s", *words, npu_graph_error(net->g));
}
