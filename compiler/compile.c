/* SPDX-License-Identifier: MIT */
/*
 * The compiler as one call. The passes, each in its folder, with the letters that
 * dump their result:
 *
 *	G import	onnx/, graph/builder.c: ONNX or calls to a graph
 *	C fold		graph/fold.c: what is constant becomes a constant
 *	D differentiate	grad/: gradients as nodes
 *	E expand	expand/: operators as simpler ones, until each has a lowering
 *	K legalise	lower/: graph to kernel IR
 *	F S P T A O	opt/, place/, tile/, emit/: fuse, slice, plan, tile, place, order
 */
#include <stdio.h>

#include "back.h"
#include "front.h"
#include "npu_train_graph.h"

static int compile(struct npu_graph *g, const struct npu_step *step,
		   const struct npu_target *target, const char *dump, void *dump_file,
		   void **image, size_t *image_bytes)
{
	FILE *out = dump_file ? dump_file : stdout;
	struct kir *k;
	int ret = nc_front(g, step, dump, out, &k);

	if (ret)
		return ret;
	ret = nc_back(k, target, dump, out, image, image_bytes, &g->diag);
	ret = nc_arena_explain(k->arena, &g->diag, ret);
	nc_arena_destroy(k->arena);
	return ret;
}

int npu_graph_compile(struct npu_graph *g, const struct npu_target *target,
		      const char *dump, void *dump_file, void **image, size_t *image_bytes)
{
	return compile(g, NULL, target, dump, dump_file, image, image_bytes);
}

int npu_graph_compile_step(struct npu_graph *g, const struct npu_step *step,
			   const struct npu_target *target, const char *dump, void *dump_file,
			   void **image, size_t *image_bytes)
{
	return compile(g, step, target, dump, dump_file, image, image_bytes);
}
