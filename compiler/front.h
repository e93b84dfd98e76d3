/* SPDX-License-Identifier: MIT */
/* The front half of the compiler as one call. */
#ifndef NPU_COMPILER_FRONT_H
#define NPU_COMPILER_FRONT_H

#include "graph/graph.h"
#include "kir/kir.h"

struct npu_step;

/*
 * @g to kernel IR: the passes of front.c. @step: a step of training, or NULL. @dump may be NULL or a list of pass
 * letters whose result is printed to @out. The result's arena is the caller's
 * (nc_arena_destroy((*k)->arena)); its constants are the graph's.
 * 0, or -errno with the message in the graph.
 */
int nc_front(struct npu_graph *g, const struct npu_step *step, const char *dump, FILE *out,
	     struct kir **k);

#endif
