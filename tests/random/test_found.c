/* SPDX-License-Identifier: MIT */
/* What random graphs have found, as small as it is: models against the oracle, on two devices. */
#include "graph/graph.h"
#include "rand_test.h"

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

/* A product with a zero in it is zero, however large the others are. */
static void test_products_with_a_zero(void **state)
{
	(void)state;
	for (int split = 0; split < 2; split++) {
		struct rg *g = begin(18);
		int64_t dims[] = { 3, split ? 40 : 2000 }, last = -1, one = 1;
		double *elem = calloc(3 * 2000, sizeof(*elem));
		int x, axes;

		assert_non_null(elem);
		for (int64_t i = 0; i < 3 * dims[1]; i++)
			elem[i] = i / dims[1] == 1 ? (i % 9 ? 1 : -1) : 11 - i % 23;
		x = rg_given(g, EV_I64, 2, dims, elem, RG_INPUT);
		axes = rg_given(g, EV_I64, 1, &one, (double[]){ (double)last }, RG_INITIALIZER);
		rg_begin(g, "ReduceProd");
		rg_arg(g, x);
		rg_arg(g, axes);
		commit(g, 1);
		expect(g, 1);
		free(elem);
	}
}

/* The node in the making is nothing that the oracle takes; so it ends, and says @words. */
static void expect_failure(struct rg *g, enum rc_verdict verdict, const char *words)
{
	uint64_t loose = 0, judged = 0;
	char why[RC_TEXT];
	struct rc_case *c;

	assert_false(rg_commit(g, 1));
	g->b.graph.node[g->b.graph.n_node++] = g->node;
	ob_output(&g->b, g->node->output[0]);
	c = rc_from_graph(g);
	assert_non_null(c);
	assert_int_not_equal(rc_evaluate(c, why), 0);
	for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++) {
		assert_int_equal(rc_run(c, &devices[d], folder, &loose, &judged, why), verdict);
		if (!strstr(why, words))
			fail_msg("no \"%s\" in: %s", words, why);
	}
	rc_destroy(c);
	rg_destroy(g);
}

/* And one without, which is not to be had in 32 bits, still faults. */
static void test_products_that_overflow(void **state)
{
	struct rg *g = begin(18);
	int64_t dims[] = { 2, 32 };
	double elem[64];
	int x;

	(void)state;
	for (int i = 0; i < 64; i++)
		elem[i] = i < 32 ? i % 4 : 2;
	x = rg_given(g, EV_I64, 2, dims, elem, RG_INPUT);
	rg_begin(g, "ReduceProd");
	rg_arg(g, x);
	rg_int(g, "keepdims", 0);
	rg_arg(g, rg_list(g, 1, (const int64_t[]){ 1 }));
	expect_failure(g, RC_BROKEN, "OVERFLOW");
}

/* Something cannot be made of nothing; nothing stays nothing. */
static void test_resize_of_empty_axes(void **state)
{
	(void)state;
	for (int64_t size = 0; size < 2; size++) {
		struct rg *g = begin(18);
		int64_t dims[] = { 0, 3 };
		int x = tensor(g, RG_INPUT, EV_F32, 2, dims);

		rg_begin(g, "Resize");
		rg_arg(g, x);
		rg_arg(g, -1);
		rg_arg(g, -1);
		rg_arg(g, rg_list(g, 2, (const int64_t[]){ size, 6 }));
		if (size) {
			expect_failure(g, RC_REFUSED, "axis 0 is empty");
			continue;
		}
		commit(g, 1);
		x = (int)g->values - 1;
		rg_begin(g, "Shape");
		rg_arg(g, x);
		commit(g, 1);
		expect(g, 1);
	}
}

/* Rounding up was not done for windows without padding. */
static void test_valid_windows_rounded_up(void **state)
{
	static const char *const ops[] = { "MaxPool", "AveragePool", "LpPool" };

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct rg *g = begin(18);
		int64_t dims[] = { 1, 2, 7, 5, 8 }, kernel[] = { 2, 3, 1 }, strides[] = { 2, 3, 3 };
		size_t spatial = i < 3 ? 2 : 3;
		int x = tensor(g, RG_INPUT, EV_F32, 2 + (int)spatial, dims);

		rg_begin(g, ops[i % 3]);
		rg_arg(g, x);
		rg_ints(g, "kernel_shape", spatial, kernel);
		rg_ints(g, "strides", spatial, strides);
		rg_text(g, "auto_pad", "VALID");
		rg_int(g, "ceil_mode", 1);
		commit(g, 1);
		assert_int_equal(rg_get(g, x + 1)->dims[2], 4);
		expect(g, 1);
	}
}

/* What has no elements was refused, or its shape lost, beside what is asked for. */
static void test_empty_branches(void **state)
{
	struct rg *g = begin(11);
	int64_t dims[] = { 0, 3, 4 }, kernel = 2, more[] = { 4, 7, 0 };
	int x = tensor(g, RG_INPUT, EV_F32, 3, dims);

	(void)state;
	rg_begin(g, "MaxPool");
	rg_arg(g, x);
	rg_ints(g, "kernel_shape", 1, &kernel);
	rg_ints(g, "strides", 1, &kernel);
	commit(g, 2);
	rg_begin(g, "MaxUnpool");
	rg_arg(g, x + 1);
	rg_arg(g, x + 2);
	rg_ints(g, "kernel_shape", 1, &kernel);
	rg_ints(g, "strides", 1, &kernel);
	commit(g, 1);
	x = tensor(g, RG_INPUT, EV_F32, 3, more);
	rg_begin(g, "Softmax");
	rg_arg(g, x);
	rg_int(g, "axis", 1);
	commit(g, 1);
	rg_begin(g, "Flatten");
	rg_arg(g, x + 1);
	rg_int(g, "axis", 2);
	commit(g, 1);
	rg_begin(g, "Shape");
	rg_arg(g, x + 1);
	commit(g, 1);
	expect(g, 1);
}

/* Each operator of a model file is in random graphs, or somebody says why it is not. */
static void test_every_operator(void **state)
{
	(void)state;
	for (int i = 0; i < NC_OPS; i++) {
		const struct nc_op *op = nc_op_get((enum nc_opcode)i);

		if (op->since && !rg_draws(op->name) && !rg_left_out(op->name))
			fail_msg("no random graph has %s", op->name);
		if (rg_draws(op->name) && rg_left_out(op->name))
			fail_msg("%s is drawn, though it is said to be left out", op->name);
	}
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
		cmocka_unit_test(test_products_with_a_zero),
		cmocka_unit_test(test_products_that_overflow),
		cmocka_unit_test(test_resize_of_empty_axes),
		cmocka_unit_test(test_valid_windows_rounded_up),
		cmocka_unit_test(test_empty_branches),
		cmocka_unit_test(test_every_operator),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
