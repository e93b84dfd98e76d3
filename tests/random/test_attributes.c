/* SPDX-License-Identifier: MIT */
/* Attributes and types that random graphs make seldom or never, one node a case. */
#include "rand_test.h"

#define ARGS	8
#define ATTRS	4

/**
 * struct arg - an input
 * @type: 0: not given
 * @given: @elem are the values, else they are random
 * @known: while compiling
 */
struct arg {
	int type, rank;
	int64_t dims[5];
	double elem[24];
	bool given, known;
};

/* @text, else @count integers, else one (@count 0). */
struct attr {
	const char *name, *text;
	size_t count;
	int64_t ints[5];
};

struct node {
	const char *op;
	int64_t opset;
	struct arg arg[ARGS];
	struct attr attr[ATTRS];
	unsigned int outs;
};

static int argument(struct rg *g, const struct arg *a)
{
	enum rg_source source = a->known ? RG_INITIALIZER : RG_INPUT;

	if (!a->type)
		return -1;
	if (a->given)
		return rg_given(g, a->type, a->rank, a->dims, a->elem, source);
	return tensor(g, source, a->type, a->rank, a->dims);
}

static void check(const struct node *n)
{
	struct rg *g = begin(n->opset);
	int in[ARGS];

	for (int i = 0; i < ARGS; i++)
		in[i] = argument(g, &n->arg[i]);
	rg_begin(g, n->op);
	for (int i = 0; i < ARGS; i++)
		rg_arg(g, in[i]);
	for (const struct attr *a = n->attr; a < n->attr + ATTRS && a->name; a++) {
		if (a->text)
			rg_text(g, a->name, a->text);
		else if (a->count)
			rg_ints(g, a->name, a->count, a->ints);
		else
			rg_int(g, a->name, a->ints[0]);
	}
	commit(g, n->outs ? n->outs : 1);
	expect(g, n->outs ? n->outs : 1);
}

#define CHECK(nodes) do { \
	for (size_t i_ = 0; i_ < sizeof(nodes) / sizeof((nodes)[0]); i_++) \
		check(&(nodes)[i_]); \
} while (0)

/* Inputs: random ones of some dimensions, values in one or two dimensions. */
#define RANDOM(t, r, ...)	{ .type = EV_##t, .rank = r, .dims = { __VA_ARGS__ } }
#define VALUES(t, n, ...)	{ .type = EV_##t, .rank = 1, .dims = { n }, .given = true, \
				  .elem = { __VA_ARGS__ } }
#define KNOWN(t, n, ...)	{ .type = EV_##t, .rank = 1, .dims = { n }, .given = true, \
				  .known = true, .elem = { __VA_ARGS__ } }
#define NONE			{ .type = 0 }
/* Attributes */
#define INT(n, value)		{ .name = n, .ints = { value } }
#define INTS(n, c, ...)		{ .name = n, .count = c, .ints = { __VA_ARGS__ } }
#define TEXT(n, value)		{ .name = n, .text = value }

#define QUERY	RANDOM(F32, 4, 2, 2, 4, 3)
#define KEY	RANDOM(F32, 4, 2, 2, 6, 3)
#define PAST	RANDOM(F32, 4, 2, 2, 2, 3)
#define ATTENTION(version, ...)	.op = "Attention", .opset = version, \
				.arg = { QUERY, KEY, KEY, __VA_ARGS__ }

/* The last query is at the last key that is there; windows are around that. */
static void test_attention_windows(void **state)
{
	static const struct node nodes[] = {
		{ ATTENTION(25, NONE), .attr = { INT("left_window_size", 1) } },
		{ ATTENTION(25, NONE),
		  .attr = { INT("left_window_size", 0), INT("right_window_size", 2) } },
		{ ATTENTION(25, NONE, PAST, PAST), .outs = 3,
		  .attr = { INT("left_window_size", 2), INT("is_causal", 1) } },
		{ ATTENTION(24, NONE, NONE, NONE, VALUES(I64, 2, 3, 6)),
		  .attr = { INT("is_causal", 1) } },
		{ ATTENTION(25, NONE, NONE, NONE, VALUES(I64, 2, 3, 6)),
		  .attr = { INT("left_window_size", 1), INT("right_window_size", 1) } },
	};

	(void)state;
	CHECK(nodes);
}

/* A query that sees no key makes zeroes, not NaN. */
static void test_attention_without_keys(void **state)
{
	static const struct node nodes[] = {
		{ ATTENTION(23, { .type = EV_BOOL, .rank = 2, .dims = { 4, 6 }, .given = true,
				  .elem = { 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1 } }) },
		{ ATTENTION(23, { .type = EV_BOOL, .rank = 2, .dims = { 4, 6 }, .given = true,
				  .elem = { 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1 },
				  .known = true }) },
		{ ATTENTION(24, NONE, NONE, NONE, VALUES(I64, 2, 0, 2)),
		  .attr = { INT("is_causal", 1) } },
	};

	(void)state;
	CHECK(nodes);
}

/* Sums are whether one is true, products whether all are. */
static void test_scatter_of_bools(void **state)
{
#define SCATTER(how, index) \
	{ .op = "ScatterElements", .opset = 18, .attr = { TEXT("reduction", how) }, \
	  .arg = { VALUES(BOOL, 4, 1, 0, 1, 0), index(I64, 5, 0, 1, 1, 2, 3), \
		   VALUES(BOOL, 5, 1, 1, 1, 0, 0) } }
	static const struct node nodes[] = {
		SCATTER("add", VALUES), SCATTER("mul", VALUES), SCATTER("max", KNOWN),
		SCATTER("min", VALUES), SCATTER("add", KNOWN), SCATTER("mul", KNOWN),
	};

	(void)state;
	CHECK(nodes);
}

/* Opset 10 has one way without a name, opsets 11 and 12 one that is gone since. */
static void test_resize_of_old(void **state)
{
	static const struct node nodes[] = {
		{ .op = "Resize", .opset = 10,
		  .arg = { RANDOM(F32, 2, 4, 7), KNOWN(F32, 2, 0.6, 1.7) } },
		{ .op = "Resize", .opset = 10,
		  .arg = { RANDOM(F32, 2, 4, 7), KNOWN(F32, 2, 2.6, 0.4) } },
		{ .op = "Resize", .opset = 10, .attr = { TEXT("mode", "linear") },
		  .arg = { RANDOM(F32, 2, 4, 7), KNOWN(F32, 2, 2.6, 0.4) } },
		{ .op = "Resize", .opset = 11,
		  .attr = { TEXT("coordinate_transformation_mode", "tf_half_pixel_for_nn") },
		  .arg = { RANDOM(F32, 2, 4, 7), KNOWN(F32, 0), KNOWN(F32, 2, 2.6, 0.4) } },
		{ .op = "Resize", .opset = 12,
		  .attr = { TEXT("coordinate_transformation_mode", "tf_half_pixel_for_nn"),
			    TEXT("mode", "linear") },
		  .arg = { RANDOM(F32, 2, 4, 7), KNOWN(F32, 0), KNOWN(F32, 2, 2.6, 0.4) } },
	};

	(void)state;
	CHECK(nodes);
}

/* The mask was of the input's type. */
static void test_dropout_of_old(void **state)
{
	static const struct node nodes[] = {
		{ .op = "Dropout", .opset = 7, .arg = { RANDOM(F32, 2, 3, 4) }, .outs = 2 },
		{ .op = "Dropout", .opset = 9, .arg = { RANDOM(F16, 1, 5) }, .outs = 2 },
		{ .op = "Dropout", .opset = 10, .arg = { RANDOM(F32, 2, 3, 4) }, .outs = 2 },
	};

	(void)state;
	CHECK(nodes);
}

/* Types that the operators have, and the device does not. */
static void test_norms_of_integers(void **state)
{
#define REDUCE(name, t) \
	{ .op = name, .opset = 18, \
	  .arg = { { .type = t, .rank = 2, .dims = { 2, 3 }, .given = true, \
		     .elem = { 3, 4, 12, 1, 0, 7 } }, KNOWN(I64, 1, 1) } }
	static const struct node nodes[] = {
		REDUCE("ReduceL2", EV_I32), REDUCE("ReduceL2", EV_I64),
		REDUCE("ReduceLogSum", EV_I32), REDUCE("ReduceLogSumExp", EV_I64),
	};

	(void)state;
	CHECK(nodes);
}

/* Rows that are cut into parts: equal elements stay in the order of their indices. */
static void test_long_topk(void **state)
{
#define TOPK(t, n, k, high) \
	{ .op = "TopK", .opset = 11, .outs = 2, .attr = { INT("largest", high) }, \
	  .arg = { RANDOM(t, 2, 2, n), KNOWN(I64, 1, k) } }
	static const struct node nodes[] = {
		TOPK(F32, 2500, 7, 1), TOPK(I64, 1200, 299, 0), TOPK(F16, 1025, 130, 0),
		{ .op = "TopK", .opset = 11, .outs = 2, .attr = { INT("axis", 0) },
		  .arg = { RANDOM(I32, 2, 1301, 2), KNOWN(I64, 1, 3) } },
	};

	(void)state;
	CHECK(nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attention_windows),
		cmocka_unit_test(test_attention_without_keys),
		cmocka_unit_test(test_scatter_of_bools),
		cmocka_unit_test(test_norms_of_integers),
		cmocka_unit_test(test_long_topk),
		cmocka_unit_test(test_resize_of_old),
		cmocka_unit_test(test_dropout_of_old),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
