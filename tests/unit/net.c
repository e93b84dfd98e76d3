/* SPDX-License-Identifier: MIT */
/* Networks under test. */
#include "net.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "front.h"
#include "ref_compare.h"

static uint64_t rng;

void net_seed(void)
{
	const char *text = getenv("NPU_TEST_SEED");

	rng = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	printf("# NPU_TEST_SEED=%" PRIu64 "\n", rng);
}

uint32_t net_rand(uint32_t below)
{
	uint64_t z = rng += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ z >> 31) >> 32) % below;
}

struct ref_tensor net_values(int rank, const int64_t *dims, float low, float high)
{
	struct ref_tensor t;

	assert_int_equal(ref_tensor_alloc(&t, rank, dims), 0);
	for (int64_t i = 0; i < ref_tensor_elems(&t); i++)
		t.data[i] = low + (high - low) * (float)net_rand(1 << 20) / (1 << 20);
	return t;
}

void net_shape(int rank, int64_t most, int64_t *dims)
{
	for (int i = 0; i < rank; i++)
		dims[i] = 1 + net_rand((uint32_t)most);
}

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
	for (unsigned int i = 0; i < net->owned_count; i++)
		ref_tensor_free(&net->owned[i]);
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

/* The net frees it. */
static const struct ref_tensor *own(struct net *net, struct ref_tensor t)
{
	assert_true(net->owned_count < NET_TENSORS);
	net->owned[net->owned_count] = t;
	return &net->owned[net->owned_count++];
}

static int feed_transposed(struct net *net, const struct ref_tensor *t)
{
	int64_t perm[REF_MAX_RANK], back[REF_MAX_RANK];
	unsigned int back_u[REF_MAX_RANK];
	struct ref_tensor turned;

	for (int i = 0; i < t->rank; i++) {
		int j = (int)net_rand((uint32_t)i + 1);

		perm[i] = perm[j];
		perm[j] = i;
	}
	for (int i = 0; i < t->rank; i++)
		back[perm[i]] = i;
	for (int i = 0; i < t->rank; i++)
		back_u[i] = (unsigned int)back[i];
	assert_int_equal(ref_transpose(t, perm, &turned), 0);
	return checked(net, npu_graph_transpose(net->g, net_input(net, own(net, turned)),
						back_u));
}

static int feed_sliced(struct net *net, const struct ref_tensor *t)
{
	int64_t pads[2 * REF_MAX_RANK], start[REF_MAX_RANK], end[REF_MAX_RANK];
	int64_t step[REF_MAX_RANK];
	struct ref_tensor wide;

	for (int i = 0; i < t->rank; i++) {
		pads[i] = net_rand(3);
		pads[t->rank + i] = net_rand(3);
		start[i] = pads[i];
		end[i] = pads[i] + t->dims[i];
		step[i] = 1;
	}
	assert_int_equal(ref_pad(t, t->rank, pads, NULL, 1e9f, &wide), 0);
	return checked(net, npu_graph_slice(net->g, net_input(net, own(net, wide)), start, end,
					    step));
}

int net_feed(struct net *net, const struct ref_tensor *t)
{
	int x;

	switch (net_rand(6)) {
	case 0:
		return net_const(net, t);
	case 1:
		return feed_transposed(net, t);
	case 2:
		return feed_sliced(net, t);
	case 3:
		x = npu_graph_unary(net->g, NPU_UNARY_NEG, net_input(net, t), 0, 0);
		return checked(net, npu_graph_unary(net->g, NPU_UNARY_NEG, x, 0, 0));
	default:
		return net_input(net, t);
	}
}

void net_output(struct net *net, int tensor)
{
	unsigned int perm[REF_MAX_RANK], rank = net->g->tensor[tensor]->rank;
	uint32_t index = net->g->outputs;
	char name[32];

	assert_true(index < NET_TENSORS);
	if (rank > 1 && !net_rand(3)) {
		for (unsigned int i = 0; i < rank; i++)
			perm[i] = rank - 1 - i;
		tensor = checked(net, npu_graph_transpose(net->g, tensor, perm));
		net->twisted[index] = true;
	}
	snprintf(name, sizeof(name), "y%u", index);
	checked(net, npu_graph_output(net->g, name, tensor));
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

	if (nc_front(net->g, NULL, NULL, NULL, &net->k))
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
	unsigned int left = index;
	struct ref_tensor r, turned;

	for (uint32_t i = 0; i < net->k->tensors; i++) {
		const struct kir_tensor *t = &net->k->tensor[i];

		if (t->kind != KIR_OUTPUT || left--)
			continue;
		assert_int_equal(ref_tensor_from(&r, (int)t->rank, t->dim,
						 (const float *)net->data->word[i]), 0);
		if (!net->twisted[index])
			return r;
		assert_int_equal(ref_transpose(&r, NULL, &turned), 0);
		ref_tensor_free(&r);
		return turned;
	}
	fail_msg("there is no such output");
	return r;
}

void net_expect(struct net *net, struct ref_tensor *want, double rtol)
{
	struct ref_compare res;
	struct ref_tensor got;
	char line[256];
	int ret;

	net_run(net);
	got = net_result(net, 0);
	ret = ref_compare_tensors(&got, want, rtol * 1e-2, rtol, &res);
	if (ret == -EINVAL)
		fail_msg("shapes differ");
	if (ret) {
		ref_compare_report(&res, "values", line, sizeof(line));
		kir_print(net->k, stdout);
		fail_msg("%s", line);
	}
	ref_tensor_free(&got);
	ref_tensor_free(want);
	net_end(net);
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
	int ret = nc_front(net->g, NULL, NULL, NULL, &net->k);

	if (ret != err)
		fail_msg("%d instead of %d: %s", ret, err, npu_graph_error(net->g));
	for (; *words; words++)
		if (!strstr(npu_graph_error(net->g), *words))
			fail_msg("no \"%s\" in: %s", *words, npu_graph_error(net->g));
}
