/* SPDX-License-Identifier: MIT */
/* Recipes of operators along axes. */
#include <string.h>

#include "rand.h"

/* A set of axes of @rank, some counted from the end; how many. */
static int draw_axes(struct rg *g, int rank, int64_t *axes)
{
	int n = 0;

	for (int i = 0; i < rank; i++)
		if (rg_once(g, 2))
			axes[n++] = rg_once(g, 2) ? i : i - rank;
	if (!n && rank)
		axes[n++] = rg_between(g, -rank, rank - 1);
	return n;
}

static bool reduce(struct rg *g, const char *op)
{
	bool sum = !strcmp(op, "ReduceSum");
	bool extremes = !strcmp(op, "ReduceMax") || !strcmp(op, "ReduceMin");
	bool whole = sum || extremes || !strcmp(op, "ReduceProd") || !strcmp(op, "ReduceL1") ||
		!strcmp(op, "ReduceSumSquare");
	unsigned int types = RG_FLOATS | (whole ? RG_WIDE : 0);
	bool log = !strncmp(op, "ReduceLogSum", 12) && !op[12];
	int64_t axes[REF_MAX_RANK];
	int x, n;

	if (extremes && g->opset >= 12)
		types |= 1u << EV_I8 | 1u << EV_U8;
	if (extremes && g->opset >= 20)
		types |= RG_BOOL;
	x = rg_some(g, types, 0, 5, log ? RG_POSITIVE : RG_ANY);
	if (x < 0)
		return false;
	n = draw_axes(g, rg_get(g, x)->rank, axes);
	rg_begin(g, op);
	rg_arg(g, x);
	if (!rg_once(g, 3))
		rg_int(g, "keepdims", rg_below(g, 2));
	if (g->opset >= (sum ? 13 : 18)) {
		if (rg_once(g, 6))
			rg_int(g, "noop_with_empty_axes", rg_below(g, 2));
		if (rg_once(g, 12))
			n = 0;
		if (!rg_once(g, 6))
			rg_arg(g, rg_list(g, n, axes));
	} else if (n && !rg_once(g, 6)) {
		rg_ints(g, "axes", (size_t)n, axes);
	}
	return rg_commit(g, 1);
}

static bool arg(struct rg *g, const char *op)
{
	unsigned int types = RG_FLOATS | (g->opset >= 13 ? RG_INTS : RG_WIDE);
	int x = rg_some(g, types, 1, 5, RG_ANY), rank;

	if (x < 0)
		return false;
	rank = rg_get(g, x)->rank;
	rg_begin(g, op);
	rg_arg(g, x);
	if (!rg_once(g, 4))
		rg_int(g, "axis", rg_between(g, -rank, rank - 1));
	if (rg_once(g, 2))
		rg_int(g, "keepdims", rg_below(g, 2));
	if (g->opset >= 12 && rg_once(g, 2))
		rg_int(g, "select_last_index", rg_below(g, 2));
	return rg_commit(g, 1);
}

static bool softmax(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS, 1, 5, RG_ANY), rank;

	if (x < 0)
		return false;
	rank = rg_get(g, x)->rank;
	rg_begin(g, op);
	rg_arg(g, x);
	if (!rg_once(g, 4))
		rg_int(g, "axis", rg_between(g, -rank, rank - 1));
	return rg_commit(g, 1);
}

static bool cum_sum(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS | RG_WIDE, 1, 4, RG_ANY), rank;

	if (x < 0)
		return false;
	rank = rg_get(g, x)->rank;
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, rg_scalar(g, rg_once(g, 2) ? EV_I64 : EV_I32,
			    (double)rg_between(g, -rank, rank - 1)));
	if (rg_once(g, 2))
		rg_int(g, "exclusive", rg_below(g, 2));
	if (rg_once(g, 2))
		rg_int(g, "reverse", rg_below(g, 2));
	return rg_commit(g, 1);
}

const struct rg_recipe rg_reduce[] = {
	{ "ReduceSum", 11, 3, reduce },
	{ "ReduceMean", 11, 3, reduce },
	{ "ReduceMax", 11, 2, reduce },
	{ "ReduceMin", 11, 2, reduce },
	{ "ReduceProd", 11, 1, reduce },
	{ "ReduceL1", 11, 1, reduce },
	{ "ReduceL2", 11, 1, reduce },
	{ "ReduceLogSum", 11, 1, reduce },
	{ "ReduceLogSumExp", 11, 1, reduce },
	{ "ReduceSumSquare", 11, 1, reduce },
	{ "ArgMax", 11, 2, arg },
	{ "ArgMin", 11, 2, arg },
	{ "Softmax", 11, 4, softmax },
	{ "LogSoftmax", 11, 2, softmax },
	{ "Hardmax", 11, 1, softmax },
	{ "CumSum", 11, 1, cum_sum },
	{ NULL, 0, 0, NULL }
};
