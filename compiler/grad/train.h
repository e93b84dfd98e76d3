/* SPDX-License-Identifier: MIT */
/* The pass that makes a training step, or an evaluation, of a network. */
#ifndef NPU_COMPILER_TRAIN_H
#define NPU_COMPILER_TRAIN_H

#include "npu_train_graph.h"
#include "expand/expand.h"

/*
 * requires: a graph as it was read or built
 * establishes: inputs and outputs of npu_graph_compile_step(); gradients as nodes
 */
int nc_train(struct npu_graph *g, const struct npu_step *step);

/* train_optimizer.c */

/**
 * struct nc_update - parameters before and after a step, f32[elements]
 * @gradient: of the loss in each
 * @hyper: the scalars
 * @param: the parameters
 * @slot: the optimizer's
 */
struct nc_update {
	uint32_t gradient, hyper;
	uint32_t param, slot[2];
};

/* Replaces @u's parameters and slots by the new ones. */
void nc_train_update(const struct nc_expand *e, const struct npu_step *step, struct nc_update *u);

#endif
