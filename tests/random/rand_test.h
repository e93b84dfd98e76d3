/* SPDX-License-Identifier: MIT */
/* For tests that make a small model, run it on two devices and ask the oracle. */
#ifndef RAND_TEST_H
#define RAND_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "rand_case.h"

static struct rc_device devices[] = {
	{ .spec = "sim,threads=1" },
	{ .spec = "sim,threads=1,array_rows=8,array_cols=8,spm_bytes=128K,acc_bytes=16K" },
};

static char folder[64] = "/tmp/npu-graph-XXXXXX";

static inline struct rg *begin(int64_t opset)
{
	struct rg *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->seed = g->state = 1;
	g->elems = 100000;
	g->opset = opset;
	ob_begin(&g->b, opset);
	g->b.graph.name = ob_alloc(&g->b, 1);
	return g;
}

static inline int tensor(struct rg *g, enum rg_source source, int type, int rank, const int64_t *dims)
{
	int v = rg_new(g, type, rank, dims, RG_ANY, source);

	assert_true(v >= 0);
	return v;
}

/* The last @outs values are the node's. */
static inline void commit(struct rg *g, unsigned int outs)
{
	if (!rg_commit(g, outs))
		fail_msg("%s", g->why);
}

/* The last @outs values become outputs; the graph goes. */
static inline void expect(struct rg *g, unsigned int outs)
{
	uint64_t loose = 0, judged = 0;
	char why[RC_TEXT];
	struct rc_case *c;

	for (unsigned int v = g->values - outs; v < g->values; v++)
		ob_output(&g->b, g->value[v].name);
	c = rc_from_graph(g);
	assert_non_null(c);
	assert_int_equal(rc_evaluate(c, why), 0);
	for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++)
		if (rc_run(c, &devices[d], folder, &loose, &judged, why) != RC_PASS)
			fail_msg("%s: %s", devices[d].spec, why);
	rc_destroy(c);
	rg_destroy(g);
}

static inline int make_folder(void **state)
{
	(void)state;
	return !mkdtemp(folder);
}

static inline int drop_folder(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

#endif
