// SPDX-License-Identifier: MIT
/* The oracle's elementwise, softmax, reduction and movement operators. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "ref_test.h"

struct unary_case {
	const char *name;
	float x;
	double want;
	struct ref_unary_attr attr;
	bool use_attr;
};

#define CASE(op, in, out) { .name = op, .x = in, .want = out }
#define CASE_AB(op, a, b, in, out) { .name = op, .x = in, .want = out,	\
	.attr = { .alpha = a, .beta = b }, .use_attr = true }

/* Worked out by hand or read off function tables. */
static const struct unary_case unary_cases[] = {
	CASE("Abs", -2.5f, 2.5),
	CASE("Acos", 0, 1.5707963267948966),
	CASE("Acosh", 1, 0),
	CASE("Affine", 3, 3),
	CASE_AB("Affine", 2, 1, 3, 7),
	CASE("Asin", 1, 1.5707963267948966),
	CASE("Asinh", 1, 0.881373587019543),
	CASE("Atan", 1, 0.7853981633974483),
	CASE("Atanh", 0.5f, 0.5493061443340549),
	CASE("Ceil", -1.5f, -1),
	CASE("Ceil", 1.2f, 2),
	CASE("Celu", -1, -0.6321205588285577),
	CASE_AB("Celu", 2, 0, -2, -1.2642411176571153),
	CASE("Celu", 3, 3),
	CASE("Clip", INFINITY, FLT_MAX),
	CASE_AB("Clip", -1, 1, 5, 1),
	CASE_AB("Clip", -1, 1, -5, -1),
	CASE_AB("Clip", -1, 1, 0.5f, 0.5),
	CASE_AB("Clip", 2, 1, 0, 1),
	CASE("Cos", 1, 0.5403023058681398),
	CASE("Cosh", 1, 1.5430806348152437),
	CASE("Elu", -1, -0.6321205588285577),
	CASE_AB("Elu", 2, 0, -1, -1.2642411176571153),
	CASE("Elu", 2, 2),
	CASE("Erf", 1, 0.8427007929497149),
	CASE("Exp", 1, 2.718281828459045),
	CASE("Exp", 100, INFINITY),
	CASE("Floor", -1.5f, -2),
	CASE("Gelu", 1, 0.8413447460685429),
	CASE("Gelu", -10, -7.61985302416052e-23),
	CASE("GeluTanh", 1, 0.8411919906082768),
	CASE("HardSigmoid", 1, 0.7),
	CASE("HardSigmoid", -3, 0),
	CASE("HardSigmoid", 4, 1),
	CASE_AB("HardSigmoid", 0.5f, 0.25f, 1, 0.75),
	CASE("HardSwish", 1, 0.6666666666666666),
	CASE("HardSwish", -4, 0),
	CASE("Identity", -0.1f, -0.1f),
	CASE("LeakyRelu", -2, -0.02),
	CASE("LeakyRelu", 2, 2),
	CASE_AB("LeakyRelu", 0.25f, 0, -2, -0.5),
	CASE("Log", 10, 2.302585092994046),
	CASE("Log", 0, -INFINITY),
	CASE("Log", -1, NAN),
	CASE("Mish", 1, 0.8650983882673103),
	CASE("Neg", 3, -3),
	CASE("Not", 0, 1),
	CASE("Not", 2, 0),
	CASE("Reciprocal", 4, 0.25),
	CASE("Relu", -3, 0),
	CASE("Relu", 3, 3),
	CASE("Relu", NAN, NAN),
	CASE("Round", 0.9f, 1),
	CASE("Round", 2.5f, 2),
	CASE("Round", 1.5f, 2),
	CASE("Round", -4.5f, -4),
	CASE("ScaledTanh", 1, 0.7615941559557649),
	CASE_AB("ScaledTanh", 2, 0.5f, 2, 1.5231883119115297),
	CASE("Selu", 1, 1.0507009873554805),
	CASE("Selu", -1, -1.1113307378125628),
	CASE_AB("Selu", 2, 3, -1, -3.7927233529713463),
	CASE("Shrink", 1, 1),
	CASE("Shrink", 0.25f, 0),
	CASE_AB("Shrink", 1.5f, 1, -2, -1),
	CASE_AB("Shrink", 1.5f, 1, 2, 1),
	CASE("Sigmoid", 0, 0.5),
	CASE("Sigmoid", 1, 0.7310585786300049),
	CASE("Sigmoid", -90, 8.194012623990515e-40),
	CASE("Sign", -3, -1),
	CASE("Sign", 0, 0),
	CASE("Sign", 0.1f, 1),
	CASE("Sin", 1, 0.8414709848078965),
	CASE("Sinh", 1, 1.1752011936438014),
	CASE("Softplus", 0, 0.6931471805599453),
	CASE("Softplus", 100, 100),
	CASE("Softplus", -50, 1.928749847963918e-22),
	CASE("Softsign", 1, 0.5),
	CASE("Softsign", -3, -0.75),
	CASE("Sqrt", 2, 1.4142135623730951),
	CASE("Sqrt", -1, NAN),
	CASE("Tan", 1, 1.5574077246549023),
	CASE("Tanh", 1, 0.7615941559557649),
	CASE("ThresholdedRelu", 1, 0),
	CASE("ThresholdedRelu", 1.5f, 1.5),
	CASE_AB("ThresholdedRelu", 2, 0, 1.5f, 0),
};

static void unary_values(void **state)
{
	bool covered[REF_UNARY_COUNT] = { false };

	(void)state;
	for (size_t i = 0; i < sizeof(unary_cases) / sizeof(*unary_cases); i++) {
		const struct unary_case *c = &unary_cases[i];
		struct ref_tensor x = tensor(SCALAR, &c->x), y;
		float want = (float)c->want;
		int op = ref_unary_from_name(c->name);

		assert_true(op >= 0);
		covered[op] = true;
		assert_int_equal(ref_unary(op, c->use_attr ? &c->attr : NULL,
					   &x, &y), 0);
		/* The table's 16 digits leave one unit in the last place. */
		if (ref_ulp_distance(y.data[0], want) > 1)
			fail_msg("%s(%.9g) = %.9g, want %.9g", c->name, c->x,
				 y.data[0], want);
		ref_tensor_free(&x);
		ref_tensor_free(&y);
	}
	for (int op = 0; op < REF_UNARY_COUNT; op++)
		if (!covered[op])
			fail_msg("no case for %s", ref_unary_name(op));
}

static void unary_nan_goes_through(void **state)
{
	(void)state;
	for (int op = 0; op < REF_UNARY_COUNT; op++) {
		struct ref_unary_attr attr;

		assert_int_equal(ref_unary_defaults(op, &attr), 0);
		if (op != REF_NOT && !isnan(ref_unary_value(op, &attr, NAN)))
			fail_msg("%s hides NaN", ref_unary_name(op));
	}
}

static void unary_keeps_shape(void **state)
{
	struct ref_tensor x = counting(SHAPE(2, 1, 3), -3), y;

	(void)state;
	assert_int_equal(ref_unary(REF_RELU, NULL, &x, &y), 0);
	expect(&y, SHAPE(2, 1, 3), VALUES(0, 0, 0, 0, 1, 2));
	ref_tensor_free(&x);
	x = tensor(SHAPE(2, 0), NULL);
	assert_int_equal(ref_unary(REF_EXP, NULL, &x, &y), 0);
	assert_int_equal(ref_tensor_elems(&y), 0);
	ref_tensor_free(&x);
	ref_tensor_free(&y);
}

static void names_round_trip(void **state)
{
	(void)state;
	for (int op = 0; op < REF_UNARY_COUNT; op++)
		assert_int_equal(ref_unary_from_name(ref_unary_name(op)), op);
	for (int op = 0; op < REF_BINARY_COUNT; op++)
		assert_int_equal(ref_binary_from_name(ref_binary_name(op)), op);
	for (int op = 0; op < REF_REDUCE_COUNT; op++)
		assert_int_equal(ref_reduce_from_name(ref_reduce_name(op)), op);
	assert_int_equal(ref_unary_from_name("NoSuchOp"), -EINVAL);
	assert_int_equal(ref_unary_from_name(NULL), -EINVAL);
	assert_int_equal(ref_binary_from_name("Relu"), -EINVAL);
	assert_int_equal(ref_reduce_from_name("Sum"), -EINVAL);
	assert_null(ref_unary_name(REF_UNARY_COUNT));
	assert_null(ref_binary_name(-1));
}

static void bad_tensors_are_refused(void **state)
{
	struct ref_tensor x = { .rank = 1, .dims = { 2 } }, y;

	(void)state;
	assert_refused(ref_unary(REF_RELU, NULL, &x, &y), y);
	assert_refused(ref_unary(REF_RELU, NULL, NULL, &y), y);
	assert_int_equal(ref_tensor_alloc(&y, 9, INTS(1, 1, 1, 1, 1, 1, 1, 1, 1)),
			 -EINVAL);
	assert_int_equal(ref_tensor_alloc(&y, 1, INTS(-1)), -EINVAL);
	assert_int_equal(ref_tensor_alloc(&y, 2, INTS(1LL << 40, 1LL << 40)),
			 -EINVAL);
	assert_int_equal(ref_tensor_from(&y, 1, INTS(2), NULL), -EINVAL);
	x = counting(SHAPE(2), 0);
	assert_refused(ref_unary(REF_UNARY_COUNT, NULL, &x, &y), y);
	assert_int_equal(ref_unary(REF_RELU, NULL, &x, NULL), -EINVAL);
	ref_tensor_free(&x);
	ref_tensor_free(&x);
}

static const struct {
	const char *name;
	float a, b, want;
} binary_cases[] = {
	{ "Add", 2, 3, 5 },
	{ "Sub", 2, 3, -1 },
	{ "Mul", 2, 3, 6 },
	{ "Div", 3, 2, 1.5f },
	{ "Div", 1, 0, INFINITY },
	{ "Min", 2, 3, 2 },
	{ "Min", NAN, 3, NAN },
	{ "Max", 2, 3, 3 },
	{ "Max", 2, NAN, NAN },
	{ "Pow", 2, 10, 1024 },
	{ "Pow", -2, 3, -8 },
	{ "Pow", 2, 0.5f, 1.41421356f },
	{ "PRelu", -2, 0.25f, -0.5f },
	{ "PRelu", 2, 0.25f, 2 },
	{ "Mod", -4, 3, 2 },
	{ "Mod", 4, -3, -2 },
	{ "Mod", 6, 3, 0 },
	{ "Fmod", -4, 3, -1 },
	{ "Fmod", 4.5f, 2, 0.5f },
	{ "Equal", 2, 2, 1 },
	{ "Equal", NAN, NAN, 0 },
	{ "Less", 2, 3, 1 },
	{ "Less", 2, 2, 0 },
	{ "LessOrEqual", 2, 2, 1 },
	{ "Greater", 3, 2, 1 },
	{ "Greater", 2, 2, 0 },
	{ "GreaterOrEqual", 2, 2, 1 },
	{ "And", 1, 0, 0 },
	{ "And", 1, 2, 1 },
	{ "Or", 0, 3, 1 },
	{ "Or", 0, 0, 0 },
	{ "Xor", 1, 2, 0 },
	{ "Xor", 0, 2, 1 },
};

static void binary_values(void **state)
{
	bool covered[REF_BINARY_COUNT] = { false };

	(void)state;
	for (size_t i = 0; i < sizeof(binary_cases) / sizeof(*binary_cases);
	     i++) {
		struct ref_tensor a = tensor(SCALAR, &binary_cases[i].a);
		struct ref_tensor b = tensor(SCALAR, &binary_cases[i].b);
		struct ref_tensor y;
		int op = ref_binary_from_name(binary_cases[i].name);

		assert_true(op >= 0);
		covered[op] = true;
		assert_int_equal(ref_binary(op, &a, &b, &y), 0);
		expect(&y, SCALAR, &binary_cases[i].want);
		ref_tensor_free(&a);
		ref_tensor_free(&b);
	}
	for (int op = 0; op < REF_BINARY_COUNT; op++)
		if (!covered[op])
			fail_msg("no case for %s", ref_binary_name(op));
}

static void binary_broadcasts(void **state)
{
	struct ref_tensor a = counting(SHAPE(2, 1, 3), 0);
	struct ref_tensor b = tensor(SHAPE(2, 1), VALUES(10, 20));
	struct ref_tensor s = tensor(SCALAR, VALUES(100));
	struct ref_tensor bad = counting(SHAPE(2), 0), y;

	(void)state;
	assert_int_equal(ref_binary(REF_ADD, &a, &b, &y), 0);
	expect(&y, SHAPE(2, 2, 3), VALUES(10, 11, 12, 20, 21, 22,
					  13, 14, 15, 23, 24, 25));
	assert_int_equal(ref_binary(REF_SUB, &s, &b, &y), 0);
	expect(&y, SHAPE(2, 1), VALUES(90, 80));
	assert_refused(ref_binary(REF_ADD, &a, &bad, &y), y);
	/* PRelu's slope must not make its input larger. */
	assert_refused(ref_binary(REF_PRELU, &a, &b, &y), y);
	assert_refused(ref_binary(REF_PRELU, &s, &b, &y), y);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
	ref_tensor_free(&s);
	ref_tensor_free(&bad);
}

static void variadic_and_where(void **state)
{
	struct ref_tensor a = tensor(SHAPE(3), VALUES(3, 0, 2));
	struct ref_tensor b = tensor(SHAPE(3), VALUES(1, 3, 4));
	struct ref_tensor c = tensor(SHAPE(2, 1), VALUES(2, 5)), y;
	const struct ref_tensor *xs[] = { &a, &b, &c };

	(void)state;
	assert_int_equal(ref_variadic(REF_VARIADIC_SUM, xs, 3, &y), 0);
	expect(&y, SHAPE(2, 3), VALUES(6, 5, 8, 9, 8, 11));
	assert_int_equal(ref_variadic(REF_VARIADIC_MEAN, xs, 2, &y), 0);
	expect(&y, SHAPE(3), VALUES(2, 1.5f, 3));
	assert_int_equal(ref_variadic(REF_VARIADIC_MAX, xs, 3, &y), 0);
	expect(&y, SHAPE(2, 3), VALUES(3, 3, 4, 5, 5, 5));
	assert_int_equal(ref_variadic(REF_VARIADIC_MIN, xs, 3, &y), 0);
	expect(&y, SHAPE(2, 3), VALUES(1, 0, 2, 1, 0, 2));
	assert_int_equal(ref_variadic(REF_VARIADIC_MIN, xs, 1, &y), 0);
	expect_same(&y, &a);
	assert_refused(ref_variadic(REF_VARIADIC_SUM, xs, 0, &y), y);
	assert_refused(ref_variadic(REF_VARIADIC_SUM, xs, 65, &y), y);
	assert_int_equal(ref_where(&a, &b, &c, &y), 0);
	expect(&y, SHAPE(2, 3), VALUES(1, 2, 4, 1, 5, 4));
	ref_tensor_free(&a);
	ref_tensor_free(&b);
	ref_tensor_free(&c);
}

static void softmax_values(void **state)
{
	struct ref_tensor x = tensor(SHAPE(1, 3), VALUES(-1, 0, 1));
	struct ref_tensor big, y;

	(void)state;
	assert_int_equal(ref_softmax(REF_SOFTMAX, &x, 1, &y), 0);
	expect(&y, SHAPE(1, 3), VALUES(0.09003058f, 0.24472848f, 0.66524094f));
	assert_int_equal(ref_softmax(REF_LOG_SOFTMAX, &x, -1, &y), 0);
	expect(&y, SHAPE(1, 3), VALUES(-2.4076059f, -1.4076059f, -0.4076059f));
	assert_refused(ref_softmax(REF_SOFTMAX, &x, 2, &y), y);
	assert_refused(ref_softmax(REF_SOFTMAX, &x, -3, &y), y);
	ref_tensor_free(&x);
	big = tensor(SHAPE(2, 4), VALUES(0, 1, 2, 3,
					 10000, 10001, 10002, 10003));
	assert_int_equal(ref_softmax(REF_SOFTMAX, &big, 1, &y), 0);
	expect(&y, SHAPE(2, 4),
	       VALUES(0.0320586033f, 0.0871443187f, 0.236882818f, 0.643914260f,
		      0.0320586033f, 0.0871443187f, 0.236882818f, 0.643914260f));
	ref_tensor_free(&big);
}

static void softmax_sums_to_one(void **state)
{
	uint32_t rng = 7;
	struct ref_tensor x = scattered(SHAPE(3, 4, 5), &rng), y;

	(void)state;
	assert_int_equal(ref_softmax(REF_SOFTMAX, &x, 1, &y), 0);
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 5; k++) {
			double sum = 0;

			for (int j = 0; j < 4; j++)
				sum += y.data[(i * 4 + j) * 5 + k];
			assert_true(fabs(sum - 1) < 1e-6);
		}
	ref_tensor_free(&y);
	assert_int_equal(ref_softmax_2d(REF_SOFTMAX, &x, 1, &y), 0);
	for (int i = 0; i < 3; i++) {
		double sum = 0;

		for (int j = 0; j < 20; j++)
			sum += y.data[i * 20 + j];
		assert_true(fabs(sum - 1) < 1e-6);
	}
	ref_tensor_free(&y);
	assert_int_equal(ref_softmax_2d(REF_LOG_SOFTMAX, &x, 0, &y), 0);
	for (int i = 1; i < 60; i++)
		assert_true(fabs((double)y.data[i] - y.data[0] -
				 ((double)x.data[i] - x.data[0])) < 1e-6);
	ref_tensor_free(&y);
	assert_refused(ref_softmax_2d(REF_SOFTMAX, &x, 3, &y), y);
	ref_tensor_free(&x);
}

static void reduce_values(void **state)
{
	static const struct {
		const char *name;
		int64_t axis;
		float want[6];
	} cases[] = {
		{ "ReduceSum", 1, { 4, 6, 12, 14, 20, 22 } },
		{ "ReduceMean", 1, { 2, 3, 6, 7, 10, 11 } },
		{ "ReduceMax", 1, { 3, 4, 7, 8, 11, 12 } },
		{ "ReduceMin", -2, { 1, 2, 5, 6, 9, 10 } },
		{ "ReduceProd", 1, { 3, 8, 35, 48, 99, 120 } },
		{ "ReduceL1", 2, { 3, 7, 11, 15, 19, 23 } },
		{ "ReduceL2", 2, { 2.23606798f, 5, 7.81024968f, 10.6301458f,
				   13.4536240f, 16.2788206f } },
		{ "ReduceLogSum", 2, { 1.09861229f, 1.94591015f, 2.39789527f,
				       2.70805020f, 2.94443898f, 3.13549422f } },
		{ "ReduceLogSumExp", 2, { 2.31326169f, 4.31326169f, 6.31326169f,
					  8.31326169f, 10.3132617f,
					  12.3132617f } },
		{ "ReduceSumSquare", 1, { 10, 20, 74, 100, 202, 244 } },
	};
	struct ref_tensor x = counting(SHAPE(3, 2, 2), 1), y;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ref_reduce attr = { .axes = &cases[i].axis,
					   .axis_count = 1 };
		int op = ref_reduce_from_name(cases[i].name);

		assert_int_equal(ref_reduce(op, &attr, &x, &y), 0);
		expect(&y, SHAPE(3, 2), cases[i].want);
	}
	ref_tensor_free(&x);
}

static void reduce_attributes(void **state)
{
	struct ref_tensor x = counting(SHAPE(2, 3), 1), y;
	struct ref_tensor big = tensor(SHAPE(2), VALUES(1000, -INFINITY));
	struct ref_tensor empty = tensor(SHAPE(2, 0), NULL);
	struct ref_reduce all = { .keepdims = true };
	struct ref_reduce noop = { .noop_with_empty_axes = true };
	struct ref_reduce both = { .axes = INTS(1, -2), .axis_count = 2 };
	struct ref_reduce twice = { .axes = INTS(1, -1), .axis_count = 2 };
	struct ref_reduce beyond = { .axes = INTS(2), .axis_count = 1 };
	struct ref_reduce last = { .axes = INTS(1), .axis_count = 1 };

	(void)state;
	assert_int_equal(ref_reduce(REF_REDUCE_SUM, &all, &x, &y), 0);
	expect(&y, SHAPE(1, 1), VALUES(21));
	assert_int_equal(ref_reduce(REF_REDUCE_SUM, &both, &x, &y), 0);
	expect(&y, SCALAR, VALUES(21));
	assert_int_equal(ref_reduce(REF_REDUCE_SUM_SQUARE, &noop, &x, &y), 0);
	expect(&y, SHAPE(2, 3), VALUES(1, 4, 9, 16, 25, 36));
	assert_int_equal(ref_reduce(REF_REDUCE_LOG_SUM_EXP, &all, &big, &y), 0);
	expect(&y, SHAPE(1), VALUES(1000));
	assert_int_equal(ref_reduce(REF_REDUCE_SUM, &last, &empty, &y), 0);
	expect(&y, SHAPE(2), VALUES(0, 0));
	assert_int_equal(ref_reduce(REF_REDUCE_MAX, &last, &empty, &y), 0);
	expect(&y, SHAPE(2), VALUES(-INFINITY, -INFINITY));
	assert_int_equal(ref_reduce(REF_REDUCE_PROD, &last, &empty, &y), 0);
	expect(&y, SHAPE(2), VALUES(1, 1));
	assert_refused(ref_reduce(REF_REDUCE_SUM, &twice, &x, &y), y);
	assert_refused(ref_reduce(REF_REDUCE_SUM, &beyond, &x, &y), y);
	assert_refused(ref_reduce(REF_REDUCE_COUNT, &all, &x, &y), y);
	ref_tensor_free(&x);
	ref_tensor_free(&big);
	ref_tensor_free(&empty);
}

static void transpose_forms(void **state)
{
	struct ref_tensor x = counting(SHAPE(2, 3, 2), 0), y, back;

	(void)state;
	assert_int_equal(ref_transpose(&x, INTS(1, 0, 2), &y), 0);
	expect(&y, SHAPE(3, 2, 2), VALUES(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11));
	assert_int_equal(ref_transpose(&x, NULL, &y), 0);
	assert_int_equal(y.dims[1], 3);
	assert_float_equal(y.data[1], 6, 0);
	assert_int_equal(ref_transpose(&y, NULL, &back), 0);
	expect_same(&back, &x);
	ref_tensor_free(&y);
	assert_refused(ref_transpose(&x, INTS(0, 0, 1), &y), y);
	assert_refused(ref_transpose(&x, INTS(0, 1, 3), &y), y);
	assert_refused(ref_transpose(&x, INTS(0, -1, 1), &y), y);
	ref_tensor_free(&x);
}

static void reshape_and_flatten(void **state)
{
	struct ref_tensor x = counting(SHAPE(2, 3, 4), 0), y;
	struct ref_tensor none = tensor(SHAPE(0, 3), NULL);

	(void)state;
	assert_int_equal(ref_reshape(&x, 2, INTS(-1, 6), false, &y), 0);
	assert_int_equal(y.dims[0], 4);
	ref_tensor_free(&y);
	assert_int_equal(ref_reshape(&x, 3, INTS(0, -1, 2), false, &y), 0);
	assert_int_equal(y.dims[0], 2);
	assert_int_equal(y.dims[1], 6);
	ref_tensor_free(&y);
	assert_refused(ref_reshape(&x, 2, INTS(-1, -1), false, &y), y);
	assert_refused(ref_reshape(&x, 2, INTS(-1, 5), false, &y), y);
	assert_refused(ref_reshape(&x, 1, INTS(23), false, &y), y);
	assert_refused(ref_reshape(&x, 2, INTS(-2, -12), false, &y), y);
	assert_refused(ref_reshape(&x, 4, INTS(2, 3, 4, 0), false, &y), y);
	assert_refused(ref_reshape(&none, 2, INTS(0, -1), true, &y), y);
	assert_int_equal(ref_reshape(&none, 2, INTS(7, 0), true, &y), 0);
	assert_int_equal(y.dims[0], 7);
	ref_tensor_free(&y);
	assert_int_equal(ref_flatten(&x, 0, &y), 0);
	assert_int_equal(y.dims[0], 1);
	ref_tensor_free(&y);
	assert_int_equal(ref_flatten(&x, -1, &y), 0);
	assert_int_equal(y.dims[0], 6);
	assert_int_equal(y.dims[1], 4);
	ref_tensor_free(&y);
	assert_int_equal(ref_flatten(&x, 3, &y), 0);
	assert_int_equal(y.dims[1], 1);
	ref_tensor_free(&y);
	assert_refused(ref_flatten(&x, 4, &y), y);
	ref_tensor_free(&x);
	ref_tensor_free(&none);
}

static void concat_forms(void **state)
{
	struct ref_tensor a = counting(SHAPE(2, 2), 1);
	struct ref_tensor b = tensor(SHAPE(2, 1), VALUES(8, 9)), y;
	const struct ref_tensor *xs[] = { &a, &b, &a };
	const struct ref_tensor *same[] = { &a, &a };

	(void)state;
	assert_int_equal(ref_concat(xs, 3, 1, &y), 0);
	expect(&y, SHAPE(2, 5), VALUES(1, 2, 8, 1, 2, 3, 4, 9, 3, 4));
	assert_int_equal(ref_concat(same, 2, -2, &y), 0);
	expect(&y, SHAPE(4, 2), VALUES(1, 2, 3, 4, 1, 2, 3, 4));
	assert_refused(ref_concat(xs, 3, 0, &y), y);
	assert_refused(ref_concat(xs, 3, 2, &y), y);
	assert_refused(ref_concat(xs, 0, 0, &y), y);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
}

static void slice_case(const struct ref_tensor *x, int64_t start, int64_t end,
		       int64_t step, int64_t count, const float *want)
{
	struct ref_slice attr = { .count = 1, .starts = &start, .ends = &end,
				  .steps = &step };
	struct ref_tensor y;

	assert_int_equal(ref_slice(&attr, x, &y), 0);
	expect(&y, 1, &count, want);
}

static void slice_forms(void **state)
{
	struct ref_tensor m = counting(SHAPE(2, 4), 1), y;
	struct ref_tensor v = counting(SHAPE(5), 0);
	struct ref_slice steps = { .count = 2, .starts = INTS(1, 0),
				   .ends = INTS(2, 3), .axes = INTS(0, 1),
				   .steps = INTS(1, 2) };
	struct ref_slice plain = { .count = 2, .starts = INTS(0, 1),
				   .ends = INTS(-1, 1000) };
	struct ref_slice last = { .count = 1, .starts = INTS(1),
				  .ends = INTS(3), .axes = INTS(-1) };
	struct ref_slice zero = { .count = 1, .starts = INTS(0),
				  .ends = INTS(1), .steps = INTS(0) };
	struct ref_slice twice = { .count = 2, .starts = INTS(0, 0),
				   .ends = INTS(1, 1), .axes = INTS(0, -2) };

	(void)state;
	assert_int_equal(ref_slice(&steps, &m, &y), 0);
	expect(&y, SHAPE(1, 2), VALUES(5, 7));
	assert_int_equal(ref_slice(&plain, &m, &y), 0);
	expect(&y, SHAPE(1, 3), VALUES(2, 3, 4));
	assert_int_equal(ref_slice(&last, &m, &y), 0);
	expect(&y, SHAPE(2, 2), VALUES(2, 3, 6, 7));
	assert_refused(ref_slice(&zero, &m, &y), y);
	assert_refused(ref_slice(&twice, &m, &y), y);

	slice_case(&v, 0, INT64_MAX, 2, 3, VALUES(0, 2, 4));
	slice_case(&v, -1, INT64_MIN, -1, 5, VALUES(4, 3, 2, 1, 0));
	slice_case(&v, 100, -100, -2, 3, VALUES(4, 2, 0));
	slice_case(&v, -2, -4, -1, 2, VALUES(3, 2));
	slice_case(&v, 3, 1, 1, 0, NULL);
	slice_case(&v, 1, 3, -1, 0, NULL);
	slice_case(&v, INT64_MIN, INT64_MAX, INT64_MAX, 1, VALUES(0));
	slice_case(&v, INT64_MAX, INT64_MIN, INT64_MIN, 1, VALUES(4));
	ref_tensor_free(&m);
	ref_tensor_free(&v);
}

static void pad_forms(void **state)
{
	struct ref_tensor x = tensor(SHAPE(3, 2),
				     VALUES(1.0f, 1.2f, 2.3f, 3.4f, 4.5f, 5.7f));
	struct ref_tensor y;

	(void)state;
	assert_int_equal(ref_pad(&x, 2, INTS(0, 2, 0, 0), NULL, 0, &y), 0);
	expect(&y, SHAPE(3, 4), VALUES(0, 0, 1.0f, 1.2f, 0, 0, 2.3f, 3.4f,
				       0, 0, 4.5f, 5.7f));
	assert_int_equal(ref_pad(&x, 1, INTS(-1, 1), INTS(-2), 9, &y), 0);
	expect(&y, SHAPE(3, 2), VALUES(2.3f, 3.4f, 4.5f, 5.7f, 9, 9));
	assert_int_equal(ref_pad(&x, 2, INTS(0, -1, -2, 0), NULL, 9, &y), 0);
	expect(&y, SHAPE(1, 1), VALUES(1.2f));
	assert_refused(ref_pad(&x, 1, INTS(1, 1), NULL, 0, &y), y);
	assert_refused(ref_pad(&x, 1, INTS(1, 1), INTS(2), 0, &y), y);
	assert_refused(ref_pad(&x, 2, INTS(0, -2, 0, -1), NULL, 0, &y), y);
	assert_refused(ref_pad(&x, 2, INTS(0, INT64_MAX, 0, 0), NULL, 0, &y), y);
	ref_tensor_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unary_values),
		cmocka_unit_test(unary_nan_goes_through),
		cmocka_unit_test(unary_keeps_shape),
		cmocka_unit_test(names_round_trip),
		cmocka_unit_test(bad_tensors_are_refused),
		cmocka_unit_test(binary_values),
		cmocka_unit_test(binary_broadcasts),
		cmocka_unit_test(variadic_and_where),
		cmocka_unit_test(softmax_values),
		cmocka_unit_test(softmax_sums_to_one),
		cmocka_unit_test(reduce_values),
		cmocka_unit_test(reduce_attributes),
		cmocka_unit_test(transpose_forms),
		cmocka_unit_test(reshape_and_flatten),
		cmocka_unit_test(concat_forms),
		cmocka_unit_test(slice_forms),
		cmocka_unit_test(pad_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
