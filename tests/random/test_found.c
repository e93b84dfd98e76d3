/* SPDX-License-Identifier: MIT */
/* What random graphs have found, as small as it is: models against the oracle, on two devices. */
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

static char folder[64] = "/tmp/npu-found-XXXXXX";

static struct rg *begin(int64_t opset)
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

static int tensor(struct rg *g, enum rg_source source, int type, int rank, const int64_t *dims)
{
	int v = rg_new(g, type, rank, dims, RG_ANY, source);

	assert_true(v >= 0);
	return v;
}

/* The last @outs values are the node's. */
static void commit(struct rg *g, unsigned int outs)
{
	if (!rg_commit(g, outs))
		fail_msg("%s", g->why);
}

/* The last @outs values become outputs; the graph goes. */
static void expect(struct rg *g, unsigned int outs)
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

/* Integers that are known were raised as if their bits were those of floats. */
static void test_pow_of_known_integers(void **state)
{
	struct rg *g = begin(17);
	double base[] = { 6, -3, 1, 2 }, exponent[] = { 0, 3, 7, 10 };
	int64_t dims = 4;
	int x = rg_given(g, EV_I64, 1, &dims, base, RG_INITIALIZER);
	int y = rg_given(g, EV_I64, 1, &dims, exponent, RG_CONSTANT);

	(void)state;
	rg_begin(g, "Pow");
	rg_arg(g, x);
	rg_arg(g, y);
	commit(g, 1);
	expect(g, 1);
}

/* The base is a float and the exponent an integer: no program for both may fold it. */
static void test_pow_of_mixed_types(void **state)
{
	struct rg *g = begin(17);
	double base[] = { 1.5, -2, 0.5 }, exponent[] = { 2, 3, 1 };
	int64_t dims = 3;
	int x = rg_given(g, EV_F32, 1, &dims, base, RG_INITIALIZER);
	int y = rg_given(g, EV_I32, 1, &dims, exponent, RG_INITIALIZER);

	(void)state;
	rg_begin(g, "Pow");
	rg_arg(g, x);
	rg_arg(g, y);
	commit(g, 1);
	expect(g, 1);
}

/* Mean and deviation are floats by the attribute, whatever the input is. */
static void test_statistics_of_halves(void **state)
{
	struct rg *g = begin(17);
	int64_t dims[] = { 3, 20 };
	int x = tensor(g, RG_INPUT, EV_F16, 2, dims);
	int scale = tensor(g, RG_INITIALIZER, EV_F16, 1, dims + 1);

	(void)state;
	rg_begin(g, "LayerNormalization");
	rg_arg(g, x);
	rg_arg(g, scale);
	commit(g, 3);
	expect(g, 3);
}

/* Halves met the floats of the weights in one product. */
static void test_resize_of_halves(void **state)
{
	static const char *const transforms[] = { "half_pixel", "tf_crop_and_resize" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct rg *g = begin(19);
		int64_t dims[] = { 5, 7 };
		int x = tensor(g, RG_INPUT, i & 1 ? EV_BF16 : EV_F16, 2, dims);
		double ends[] = { -0.1, 0.2, 0.8, 1.3 };
		int64_t four = 4;
		int roi = rg_given(g, EV_F32, 1, &four, ends, RG_INITIALIZER);
		int sizes = rg_list(g, 2, (const int64_t[]){ 8, 4 });

		rg_begin(g, "Resize");
		rg_arg(g, x);
		rg_arg(g, roi);
		rg_arg(g, -1);
		rg_arg(g, sizes);
		rg_text(g, "mode", "linear");
		rg_text(g, "coordinate_transformation_mode", transforms[i / 2]);
		commit(g, 1);
		expect(g, 1);
	}
}

/* Sums of small integers did not wrap around, and the store of them faulted. */
static void test_scatter_of_small_integers(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rg *g = begin(18);
		double elem[] = { 120, -100, 90 }, at[] = { 0, 1, 0 };
		int64_t dims = 3;
		int x = rg_given(g, EV_I8, 1, &dims, elem, RG_INPUT);
		int index = rg_given(g, EV_I64, 1, &dims, at, i ? RG_INPUT : RG_INITIALIZER);
		int updates = rg_given(g, EV_I8, 1, &dims, elem, RG_INPUT);

		rg_begin(g, "ScatterElements");
		rg_arg(g, x);
		rg_arg(g, index);
		rg_arg(g, updates);
		rg_text(g, "reduction", i ? "mul" : "add");
		commit(g, 1);
		expect(g, 1);
	}
}

/* The order of storage was heeded with two axes only. */
static void test_column_major_of_volumes(void **state)
{
	struct rg *g = begin(18);
	int64_t dims[] = { 1, 2, 4, 3, 5 }, kernel[] = { 2, 1, 3 };
	int x = tensor(g, RG_INPUT, EV_F32, 5, dims);

	(void)state;
	rg_begin(g, "MaxPool");
	rg_arg(g, x);
	rg_ints(g, "kernel_shape", 3, kernel);
	rg_int(g, "storage_order", 1);
	commit(g, 2);
	expect(g, 2);
}

static int make_folder(void **state)
{
	(void)state;
	return !mkdtemp(folder);
}

static int drop_folder(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pow_of_known_integers),
		cmocka_unit_test(test_pow_of_mixed_types),
		cmocka_unit_test(test_statistics_of_halves),
		cmocka_unit_test(test_resize_of_halves),
		cmocka_unit_test(test_scatter_of_small_integers),
		cmocka_unit_test(test_column_major_of_volumes),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
