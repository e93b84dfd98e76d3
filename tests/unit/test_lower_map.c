/* SPDX-License-Identifier: MIT */
/* Operators that work element by element, through front half and kernel IR. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

struct unary {
	enum ref_unary_op op;
	float low, high;
	bool alpha, beta;	/* has such attributes */
	double rtol;
};

static const struct unary unaries[] = {
	{ REF_ABS, -4, 4, false, false, 1e-6 },
	{ REF_ACOS, -1, 1, false, false, 1e-5 },
	{ REF_ACOSH, 1, 9, false, false, 1e-5 },
	{ REF_ASIN, -1, 1, false, false, 1e-5 },
	{ REF_ASINH, -9, 9, false, false, 1e-5 },
	{ REF_ATAN, -9, 9, false, false, 1e-5 },
	{ REF_ATANH, -1, 1, false, false, 1e-5 },
	{ REF_CEIL, -4, 4, false, false, 1e-6 },
	{ REF_CELU, -6, 4, true, false, 1e-6 },
	{ REF_COS, -9, 9, false, false, 1e-5 },
	{ REF_COSH, -9, 9, false, false, 1e-5 },
	{ REF_ELU, -6, 4, true, false, 1e-6 },
	{ REF_ERF, -4, 4, false, false, 1e-6 },
	{ REF_EXP, -9, 9, false, false, 1e-6 },
	{ REF_FLOOR, -4, 4, false, false, 1e-6 },
	{ REF_HARD_SIGMOID, -6, 6, true, true, 1e-6 },
	{ REF_HARD_SWISH, -6, 6, false, false, 1e-5 },
	{ REF_LEAKY_RELU, -4, 4, true, false, 1e-6 },
	{ REF_LOG, 0.01f, 9, false, false, 1e-5 },
	{ REF_MISH, -9, 9, false, false, 1e-6 },
	{ REF_NEG, -4, 4, false, false, 1e-6 },
	{ REF_RECIPROCAL, 0.1f, 4, false, false, 1e-6 },
	{ REF_RELU, -4, 4, false, false, 1e-6 },
	{ REF_ROUND, -4, 4, false, false, 1e-6 },
	{ REF_SIGMOID, -9, 9, false, false, 1e-6 },
	{ REF_SIGN, -4, 4, false, false, 1e-6 },
	{ REF_SIN, -9, 9, false, false, 1e-5 },
	{ REF_SINH, -9, 9, false, false, 1e-5 },
	{ REF_SOFTPLUS, -20, 20, false, false, 1e-6 },
	{ REF_SOFTSIGN, -4, 4, false, false, 1e-6 },
	{ REF_SQRT, 0, 9, false, false, 1e-6 },
	{ REF_TANH, -9, 9, false, false, 1e-6 },
	{ REF_THRESHOLDED_RELU, -4, 4, true, false, 1e-6 },
};

static float parameter(void)
{
	return 0.1f + (float)net_rand(30) / 10;
}

static void unary(const struct unary *u)
{
	struct ref_unary_attr attr;
	struct ref_tensor x, want;
	int64_t dims[4];
	struct nc_node *n;
	struct net net;
	int in;

	net_shape(4, 6, dims);
	x = net_values((int)net_rand(5), dims, u->low, u->high);
	ref_unary_defaults(u->op, &attr);
	net_begin(&net);
	in = net_feed(&net, &x);
	n = net_node(&net, ref_unary_name(u->op), 1, &in, 1);
	if (u->alpha && net_rand(2)) {
		attr.alpha = parameter();
		nc_attr_set_float(net.g, n, "alpha", attr.alpha);
	}
	if (u->beta && net_rand(2)) {
		attr.beta = parameter();
		nc_attr_set_float(net.g, n, "beta", attr.beta);
	}
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_unary(u->op, &attr, &x, &want), 0);
	net_expect(&net, &want, u->rtol);
	ref_tensor_free(&x);
}

static void test_unary(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unaries) / sizeof(*unaries); i++)
		for (int again = 0; again < 8; again++)
			unary(&unaries[i]);
}

/* Selu and Gelu, whose attributes have other names. */
static void test_selu_gelu(void **state)
{
	struct ref_tensor x = net_values(SHAPE(300), -8, 8), want;
	static const enum ref_unary_op op[] = { REF_SELU, REF_SELU, REF_GELU, REF_GELU_TANH };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct ref_unary_attr attr = { .alpha = 2, .beta = 3 };
		struct nc_node *n;
		struct net net;
		int in;

		net_begin(&net);
		in = net_feed(&net, &x);
		n = net_node(&net, i < 2 ? "Selu" : "Gelu", 1, &in, 1);
		if (i == 1) {
			nc_attr_set_float(net.g, n, "alpha", 2);
			nc_attr_set_float(net.g, n, "gamma", 3);
		}
		if (i == 3)
			nc_attr_set_string(net.g, n, "approximate", "tanh");
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		assert_int_equal(ref_unary(op[i], i == 1 ? &attr : NULL, &x, &want), 0);
		/* erf cancels for negative x: 1.2e-7 |x|. */
		net_expect(&net, &want, i == 2 ? 1e-4 : 1e-5);
	}
	ref_tensor_free(&x);
}

/* What the functions promise at the ends of their range, both ways to zero. */
static void test_special(void **state)
{
	static const float values[] = {
		0.0f, -0.0f, INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX, 1e-38f, -1e-38f,
		1e-6f, -1e-6f, 88.5f, -88.5f, -104.0f, 1.0f, -1.0f, 0.5f, 1.5f, 2.5f,
		1e30f, -1e30f,
	};
	struct ref_tensor x = tensor(1, INTS(sizeof(values) / sizeof(*values)), values), want;

	(void)state;
	for (size_t i = 0; i < sizeof(unaries) / sizeof(*unaries); i++) {
		struct nc_node *n;
		struct net net;
		int in;

		/* The device says NaN for large arguments of neither. */
		if (unaries[i].op == REF_SIN || unaries[i].op == REF_COS ||
		    unaries[i].op == REF_HARD_SWISH || unaries[i].op == REF_SOFTSIGN ||
		    unaries[i].op == REF_MISH)
			continue;
		net_begin(&net);
		in = net_input(&net, &x);
		n = net_node(&net, ref_unary_name(unaries[i].op), 1, &in, 1);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		assert_int_equal(ref_unary(unaries[i].op, NULL, &x, &want), 0);
		net_expect(&net, &want, 1e-5);
	}
	ref_tensor_free(&x);
}

/* Shapes that broadcast to @dims: dimensions of 1 and missing leading ones. */
static struct ref_tensor broadcastable(int rank, const int64_t *dims, float low, float high)
{
	int drop = net_rand(3) ? 0 : (int)net_rand((uint32_t)rank + 1);
	int64_t mine[8];

	for (int i = drop; i < rank; i++)
		mine[i - drop] = net_rand(3) ? dims[i] : 1;
	return net_values(rank - drop, mine, low, high);
}

static void binary(const char *name, enum ref_binary_op op, float low, float high, double rtol)
{
	struct ref_tensor a, b, want;
	int64_t dims[6];
	struct nc_node *n;
	struct net net;
	int in[2], rank = (int)net_rand(7);

	net_shape(rank, 4, dims);
	a = broadcastable(rank, dims, low, high);
	b = broadcastable(rank, dims, low, high);
	if (op == REF_PRELU) {
		ref_tensor_free(&a);
		a = net_values(rank, dims, low, high);
	}
	net_begin(&net);
	in[0] = net_feed(&net, &a);
	in[1] = net_rand(8) ? net_feed(&net, &b) : in[0];
	n = net_node(&net, name, 2, in, 1);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_binary(op, &a, in[1] == in[0] ? &a : &b, &want), 0);
	net_expect(&net, &want, rtol);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
}

static void test_binary(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		binary("Add", REF_ADD, -3, 3, 1e-6);
		binary("Sub", REF_SUB, -3, 3, 1e-6);
		binary("Mul", REF_MUL, -3, 3, 1e-6);
		binary("Div", REF_DIV, 0.5f, 3, 1e-6);
		binary("PRelu", REF_PRELU, -3, 3, 1e-6);
		binary("Pow", REF_POW, 0.1f, 9, 1e-6);
	}
}

static void test_variadic(void **state)
{
	static const char *const name[] = { "Sum", "Mean", "Max", "Min" };

	(void)state;
	for (int i = 0; i < 60; i++) {
		uint32_t count = 1 + net_rand(net_rand(4) ? 4 : 30);
		const struct ref_tensor *list[64];
		struct ref_tensor x[64], want;
		struct nc_node *n;
		int64_t dims[3];
		struct net net;
		int in[64];

		net_shape(3, 5, dims);
		net_begin(&net);
		for (uint32_t k = 0; k < count; k++) {
			x[k] = broadcastable(3, dims, -3, 3);
			list[k] = &x[k];
			in[k] = net_feed(&net, &x[k]);
		}
		n = net_node(&net, name[i % 4], count, in, 1);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		assert_int_equal(ref_variadic(i % 4, list, (int)count, &want), 0);
		net_expect(&net, &want, 1e-5);
		for (uint32_t k = 0; k < count; k++)
			ref_tensor_free(&x[k]);
	}
}

/* Clip with each combination of bounds, constant and not. */
static void test_clip(void **state)
{
	(void)state;
	for (int i = 0; i < 32; i++) {
		float low = -1 - (float)net_rand(3), high = (float)net_rand(3);
		struct ref_tensor x = net_values(SHAPE(40), -4, 4), want;
		struct ref_tensor min = tensor(SCALAR, &low), max = tensor(SCALAR, &high);
		struct ref_unary_attr attr = { .alpha = i & 1 ? low : -FLT_MAX,
					       .beta = i & 2 ? high : FLT_MAX };
		struct nc_node *n;
		struct net net;
		int in[3];

		net_begin(&net);
		in[0] = net_feed(&net, &x);
		in[1] = i & 1 ? net_feed(&net, &min) : NPU_TENSOR_NONE;
		in[2] = i & 2 ? net_feed(&net, &max) : NPU_TENSOR_NONE;
		n = net_node(&net, "Clip", i & 2 ? 3 : i & 1 ? 2 : 1, in, 1);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		assert_int_equal(ref_unary(REF_CLIP, &attr, &x, &want), 0);
		net_expect(&net, &want, 1e-6);
		ref_tensor_free(&x);
		ref_tensor_free(&min);
		ref_tensor_free(&max);
	}
}

static void pow_pairs(const struct ref_tensor *a, const struct ref_tensor *b, double rtol,
		      bool constant)
{
	struct ref_tensor want;
	struct nc_node *n;
	struct net net;
	int in[2];

	net_begin(&net);
	in[0] = net_input(&net, a);
	in[1] = constant ? net_const(&net, b) : net_input(&net, b);
	n = net_node(&net, "Pow", 2, in, 1);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_binary(REF_POW, a, b, &want), 0);
	net_expect(&net, &want, rtol);
}

/* Signs, zeroes, infinities, whole and other exponents; accuracy over the range. */
static void test_pow(void **state)
{
	static const float base[] = { 0.0f, -0.0f, 1, -1, 2, -2, 0.5f, -0.5f, 3, -7, INFINITY,
				      NAN, 1e-40f, 1e30f, 1.0000001f };
	static const float exponent[] = { 0, 1, -1, 2, 3, -3, 0.5f, 1.5f, -0.5f, 9, 11, -12, 33,
					  INFINITY, -INFINITY, NAN, 1e9f, 0.3f };
	struct ref_tensor a = tensor(SHAPE(15, 1), base), b = tensor(SHAPE(18), exponent), one;

	(void)state;
	pow_pairs(&a, &b, 1e-6, false);
	ref_tensor_free(&b);
	for (int i = -8; i <= 16; i++) {
		float y = (float)i / 2;

		one = tensor(SCALAR, &y);
		b = net_values(SHAPE(50), 0.2f, 5);
		pow_pairs(&b, &one, 1e-6, true);
		ref_tensor_free(&b);
		ref_tensor_free(&one);
	}
	ref_tensor_free(&a);
	a = net_values(SHAPE(40, 1), 1e-3f, 100);
	b = net_values(SHAPE(50), -12, 12);
	pow_pairs(&a, &b, 1e-6, false);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
}

/* An integer exponent is a constant that is converted. */
static void test_pow_integers(void **state)
{
	const int64_t power[] = { 4, 5, 6 };
	const float x[] = { 1, 2, 3 }, want[] = { 1, 32, 729 };
	struct ref_tensor a = tensor(SHAPE(3), x), w = tensor(SHAPE(3), want);
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &a);
	in[1] = net_ints(&net, power, 3);
	n = net_node(&net, "Pow", 2, in, 1);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &w, 1e-6);
	ref_tensor_free(&a);
}

/* As 64-bit integers; 0 where there is no such integer. */
static int32_t int_power(int32_t x, int32_t y)
{
	int64_t r = 1;

	if (y < 0)
		return x == 1 || x == -1 ? (y % 2 ? x : 1) : 0;
	while (y--)
		r *= x;
	return (int32_t)r;
}

/* Integers stay integers, beyond what fp32 holds; @how: input, list or number. */
static void int_powers(int how, bool folded)
{
	static const int32_t x[] = { 0, 1, -1, 2, -2, 3, -3, 7, 10, 46340, 1290, 19, -5 };
	static const int32_t y[] = { 5, 40, 33, 30, 31, 19, 13, 11, 9, 2, 3, 7, 0 };
	static const int32_t negative[] = { 1, -3, -3, -1, -2, -1, -1, -1, -1, -1, -1, -1, -1 };
	enum { COUNT = sizeof(x) / sizeof(*x) };

	for (int one = how == 2 ? 0 : 12; one < 13; one++) {
		const int32_t *power = how == 3 ? negative : y, same = (int32_t)one;
		const int64_t list[] = { COUNT };
		struct nc_node *n;
		struct net net;
		int in[2];

		net_begin(&net);
		in[0] = folded ? npu_graph_const(net.g, NULL, NPU_GRAPH_I32, 1, list, x) :
				 net_input_i32(&net, COUNT, x);
		if (how == 2)
			in[1] = npu_graph_const(net.g, NULL, NPU_GRAPH_I32, 0, NULL, &same);
		else if (how == 1)
			in[1] = npu_graph_const(net.g, NULL, NPU_GRAPH_I32, 1, list, power);
		else
			in[1] = net_input_i32(&net, COUNT, power);
		n = net_node(&net, "Pow", 2, in, 1);
		net_add(&net, n);
		npu_graph_output(net.g, "y", net_out(n, 0));
		assert_int_equal(folded && how, net.g->tensor[net_out(n, 0)]->data != NULL);
		net_run(&net);
		for (uint32_t t = 0; t < net.k->tensors; t++)
			for (int i = 0; net.k->tensor[t].kind == KIR_OUTPUT && i < COUNT; i++)
				if (how != 2 || (abs(x[i]) < 5 && same < 12))
					assert_int_equal((int32_t)net.data->word[t][i],
							 int_power(x[i], how == 2 ? same : power[i]));
		net_end(&net);
	}
}

static void test_int_pow(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++)
		int_powers(how, false);
	int_powers(1, true);
	int_powers(2, true);
}

/* Integers to the power of floats, which may be fractions. */
static void test_int_float_pow(void **state)
{
	static const int32_t x[] = { 8, 9, 1000000, 3, 2, 16777217, 4 };
	static const float y[] = { 0.5f, 0.5f, 0.5f, 18, 2.5f, 1, -1 };
	static const int32_t want[] = { 2, 3, 1000, 387420489, 5, 16777217, 0 };
	const struct ref_tensor power = tensor(SHAPE(7), y);
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = net_input_i32(&net, 7, x);
	in[1] = net_input(&net, &power);
	n = net_node(&net, "Pow", 2, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_run(&net);
	for (uint32_t t = 0; t < net.k->tensors; t++)
		for (int i = 0; net.k->tensor[t].kind == KIR_OUTPUT && i < 7; i++)
			assert_int_equal((int32_t)net.data->word[t][i], want[i]);
	net_end(&net);
	ref_tensor_free((struct ref_tensor *)(uintptr_t)&power);
}

/* Arithmetic on constants makes the device's NaN; a change of sign does not. */
static void test_folded_nan(void **state)
{
	const float inf = INFINITY, nan = NAN;
	static const struct {
		const char *op;
		bool inf;
		uint32_t want;
	} cases[] = {
		{ "Sub", true, 0x7fc00000 }, { "Div", true, 0x7fc00000 },
		{ "Sin", true, 0x7fc00000 }, { "Neg", false, 0xffc00000 },
		{ "Abs", false, 0x7fc00000 }, { "Sqrt", false, 0x7fc00000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct nc_node *n;
		struct net net;
		uint32_t bits;
		int in[2];

		net_begin(&net);
		in[0] = npu_graph_const(net.g, NULL, NPU_GRAPH_F32, 0, NULL,
					cases[i].inf ? &inf : &nan);
		in[1] = in[0];
		n = net_node(&net, cases[i].op, nc_op_find(cases[i].op)->in_max, in, 1);
		net_add(&net, n);
		assert_non_null(net.g->tensor[net_out(n, 0)]->data);
		memcpy(&bits, net.g->tensor[net_out(n, 0)]->data, sizeof(bits));
		assert_int_equal(bits, cases[i].want);
		net_end(&net);
	}
}

/* Without joining, eight dimensions do not fit the kernel IR's six. */
static void test_many_dimensions(void **state)
{
	const int64_t dims[] = { 2, 2, 3, 2, 2, 2, 2, 2 };
	const int64_t other[] = { 2, 1, 3, 1, 2, 1, 2, 1 };
	struct ref_tensor a = net_values(8, dims, -3, 3), b = net_values(8, other, -3, 3), want;
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &a);
	in[1] = net_input(&net, &b);
	n = net_node(&net, "Add", 2, in, 1);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_binary(REF_ADD, &a, &b, &want), 0);
	net_expect(&net, &want, 1e-6);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unary),
		cmocka_unit_test(test_selu_gelu),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_variadic),
		cmocka_unit_test(test_clip),
		cmocka_unit_test(test_pow),
		cmocka_unit_test(test_pow_integers),
		cmocka_unit_test(test_int_pow),
		cmocka_unit_test(test_int_float_pow),
		cmocka_unit_test(test_folded_nan),
		cmocka_unit_test(test_many_dimensions),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
