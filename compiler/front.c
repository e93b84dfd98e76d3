/* SPDX-License-Identifier: MIT */
/* The front half of the compiler: its passes in order. */
#include "front.h"

#include <errno.h>
#include <string.h>

#include "expand/expand.h"
#include "grad/grad.h"
#include "grad/train.h"
#include "lower/legal.h"

/* Kernel IR and program take this many times the graph's memory, and this much more. */
#define GROWTH		4
#define FREE_BYTES	(1ull << 30)

/* What passes work on: the graph, what is to be made of it, and what it becomes. */
struct front {
	struct npu_graph *g;
	const struct npu_step *step;
	struct kir *k;
};

/* The graph as it was read or built. */
static int pass_none(struct front *f)
{
	(void)f;
	return 0;
}

/* A step has parameters; for inference they are constants. */
static int pass_train(struct front *f)
{
	if (f->step)
		return nc_train(f->g, f->step);
	nc_graph_params_known(f->g);
	return 0;
}

static int pass_fold(struct front *f)
{
	return nc_fold(f->g);
}

static int pass_fold_conv(struct front *f)
{
	return nc_fold_conv(f->g);
}

/* Operators without a gradient rule become some that have one. */
static int pass_gradients(struct front *f)
{
	int ret = nc_has_gradients(f->g) ? nc_expand(f->g, nc_grad_has_rule) : 0;

	return ret ? ret : nc_gradients(f->g);
}

static int pass_expand(struct front *f)
{
	return nc_expand(f->g, NULL);
}

static int pass_legalise(struct front *f)
{
	return nc_legalise(f->g, f->k);
}

static const struct {
	char letter;
	int (*run)(struct front *f);
} passes[] = {
	{ 'G', pass_none },
	{ '\0', pass_train },
	{ 'C', pass_fold },
	{ 'D', pass_gradients },
	{ '\0', pass_fold_conv },
	{ 'E', pass_expand },
	{ '\0', pass_fold },
	/* its result is the back half's K */
	{ '\0', pass_legalise },
};

static int run_passes(struct front *f, const char *dump, FILE *out)
{
	for (size_t i = 0; i < sizeof(passes) / sizeof(*passes); i++) {
		int ret = passes[i].run(f);

		if (ret)
			return ret;
		if (!dump || !passes[i].letter || !strchr(dump, passes[i].letter))
			continue;
		fprintf(out, "## %c\n", passes[i].letter);
		ret = nc_graph_print(f->g, out);
		if (ret)
			return nc_error(&f->g->diag, ret, "cannot write the dump");
	}
	return 0;
}

int nc_front(struct npu_graph *g, const struct npu_step *step, const char *dump, FILE *out,
	     struct kir **k)
{
	struct front f = { .g = g, .step = step };
	struct nc_graph_state saved;
	struct nc_arena *arena;
	int ret;

	if (g->err)
		return g->err;
	/* What an earlier attempt said does not hold for this one. */
	g->diag.text[0] = 0;
	ret = nc_graph_save(g, &saved);
	if (ret)
		return ret;
	arena = nc_arena_create();
	if (arena)
		nc_arena_limit(arena, (g->free_bytes ? g->free_bytes : FREE_BYTES) +
				      GROWTH * nc_arena_bytes(g->arena));
	f.k = arena ? kir_create(arena, g->name) : NULL;
	if (!f.k)
		ret = nc_error(&g->diag, -ENOMEM, "graph \"%s\": out of memory", g->name);
	else
		ret = run_passes(&f, dump, out);
	nc_graph_restore(g, &saved);
	if (ret) {
		ret = nc_arena_explain(g->arena, &g->diag, ret);
		ret = arena ? nc_arena_explain(arena, &g->diag, ret) : ret;
		nc_arena_destroy(arena);
		return ret;
	}
	*k = f.k;
	return 0;
}
