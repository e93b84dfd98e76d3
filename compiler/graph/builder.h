/* SPDX-License-Identifier: MIT */
/*
 * What the files of the graph builder share: checks of what a call was given, and nodes
 * being made. A call that went wrong makes the ones after it do nothing.
 */
#ifndef NPU_COMPILER_BUILDER_H
#define NPU_COMPILER_BUILDER_H

#include "graph.h"

/* The graph's error from now on, if it has none: "npu_graph_@call(): @what". */
int nc_build_fail(struct npu_graph *g, int err, const char *call, const char *what);
/* A tensor that a call was given: 0 for an index, or the error it stands for. */
int nc_build_check(struct npu_graph *g, const char *call, int tensor);
int nc_build_check_rank(struct npu_graph *g, const char *call, int tensor, unsigned int rank);

/**
 * struct nc_call - one node being made
 * @n: NULL after an error
 * @err: the first one
 */
struct nc_call {
	struct npu_graph *g;
	struct nc_node *n;
	int err;
};

struct nc_call nc_call_begin(struct npu_graph *g, enum nc_opcode code, uint32_t ins);
void nc_call_in(struct nc_call *c, uint32_t i, int64_t tensor);
void nc_call_ints_in(struct nc_call *c, uint32_t i, const int64_t *value, uint32_t count);
void nc_call_int(struct nc_call *c, const char *name, int64_t value);
void nc_call_ints(struct nc_call *c, const char *name, const int64_t *value, uint32_t count);
void nc_call_float(struct nc_call *c, const char *name, float value);
void nc_call_string(struct nc_call *c, const char *name, const char *value);
/* The tensor of its only output. */
int nc_call_end(struct nc_call *c);
/* 0, and the tensors of its @outs outputs. */
int nc_call_end_many(struct nc_call *c, uint32_t outs, int *out);

#endif
