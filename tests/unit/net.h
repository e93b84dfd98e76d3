/* SPDX-License-Identifier: MIT */
/*
 * Networks under test: made node by node or by the builder, lowered by the
 * compiler's front half, run by kir_eval, results as tensors of the oracle.
 * Everything that goes wrong ends the test with a message.
 */
#ifndef NET_H
#define NET_H

#include "graph/graph.h"
#include "kir_eval.h"
#include "ref.h"

#define NET_TENSORS	4096

/**
 * struct net - a network under test
 * @input: of each graph input: its values
 * @twisted: output is the transpose of what net_output() was given
 * @owned: tensors to be freed with the net
 */
struct net {
	struct npu_graph *g;
	struct kir *k;
	struct kir_data *data;
	const void *input[NET_TENSORS];
	bool twisted[NET_TENSORS];
	struct ref_tensor owned[NET_TENSORS];
	unsigned int owned_count;
};

/* Seeds the numbers below from NPU_TEST_SEED or the clock, and prints it. */
void net_seed(void);
uint32_t net_rand(uint32_t below);
/* Uniform in [low, high). */
struct ref_tensor net_values(int rank, const int64_t *dims, float low, float high);
/* A shape of @rank dimensions in 1 .. @most. */
void net_shape(int rank, int64_t most, int64_t *dims);

void net_begin(struct net *net);
/* @g is the net's from now on. */
void net_take(struct net *net, struct npu_graph *g);
void net_end(struct net *net);

/* A graph input or a constant with the values of @t, which must live on. */
int net_input(struct net *net, const struct ref_tensor *t);
int net_const(struct net *net, const struct ref_tensor *t);
int net_input_i32(struct net *net, int64_t count, const int32_t *value);
int net_ints(struct net *net, const int64_t *value, int64_t count);
/*
 * The values of @t by one of the ways data can come: an input, a constant, an
 * input seen through a transpose or a slice, something computed.
 */
int net_feed(struct net *net, const struct ref_tensor *t);
/* An output, by one of the ways it can go: as it is or transposed. */
void net_output(struct net *net, int tensor);
/* Values of input @index (in the order of the graph's inputs). */
void net_bind(struct net *net, unsigned int index, const void *value);

/* A node with @ins inputs (NPU_TENSOR_NONE allowed); attributes may be set now. */
struct nc_node *net_node(struct net *net, const char *op, uint32_t ins, const int *in,
			 uint32_t outs);
/* Add it; tensor number of output @i, all outputs exist from then on. */
void net_add(struct net *net, struct nc_node *n);
int net_out(const struct nc_node *n, uint32_t i);

/* Compile and run; outputs are those of the graph. */
void net_run(struct net *net);
/* Output @index as a new tensor, transposed back. */
struct ref_tensor net_result(struct net *net, unsigned int index);
/* Run, compare the only output with @want within @rtol (and 1e-2 of it), end. */
void net_expect(struct net *net, struct ref_tensor *want, double rtol);
/* Number of kernel IR operations of a kind. */
unsigned int net_count(const struct net *net, enum kir_kind kind);
/* Compile, which must fail with @err and a message that holds all of @words. */
void net_refused(struct net *net, int err, const char *const *words);

#endif
