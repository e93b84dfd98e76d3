/* SPDX-License-Identifier: MIT */
/*
 * 64-bit integers on a device of 32 bits: a result that fits is right, any other
 * is a fault, and those of 32 bits go on wrapping around.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"

#define ONNX_I32	6
#define ONNX_I64	7
#define ELEMS		6

enum { ADD, SUB, MUL, DIV, POW, NEG, ABS, SUM, PROD, SUM_SQUARE, L1, DOT, CUM_SUM, POW3,
	SCATTER_ADD, OPS };

static const char *const names[OPS] = {
	"Add", "Sub", "Mul", "Div", "Pow", "Neg", "Abs", "ReduceSum", "ReduceProd", "ReduceSumSquare",
	"ReduceL1", "MatMul", "CumSum", "Pow", "ScatterElements",
};

static int cast_to(struct net *net, int x, int64_t type)
{
	struct nc_node *n = net_node(net, "Cast", 1, &x, 1);

	nc_attr_set_int(net->g, n, "to", type);
	net_add(net, n);
	return net_out(n, 0);
}

/* The words of the only output, after a run. */
static const uint32_t *words(const struct net *net)
{
	for (uint32_t i = 0; i < net->k->tensors; i++)
		if (net->k->tensor[i].kind == KIR_OUTPUT)
			return net->data->word[i];
	fail();
	return NULL;
}

static int64_t power(int64_t x, int64_t y)
{
	int64_t r = 1;

	if (y < 0)
		return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
	if (y > 1000 && llabs(x) > 1)
		return INT64_MAX;
	for (y = y > 1000 ? 2 + y % 2 : y; y && llabs(r) <= INT32_MAX + 1ll; y--)
		r *= x;
	return r;
}

/* Result @e of @op in as many bits as it takes; @all: every value on the way fits 32. */
static int64_t exact(int op, const int64_t *a, const int64_t *b, int e, bool *all)
{
	int64_t r = op == PROD ? 1 : 0;

	switch (op) {
	case ADD: r = a[e] + b[e]; break;
	case SUB: r = a[e] - b[e]; break;
	case MUL: r = a[e] * b[e]; break;
	case DIV: r = a[e] / (b[e] ? b[e] : 1); break;
	case POW: r = power(a[e], b[e]); break;
	case NEG: r = -a[e]; break;
	case ABS: r = llabs(a[e]); break;
	case POW3: r = a[e] * a[e]; *all = *all && llabs(r) <= INT32_MAX; r *= a[e]; break;
	case SCATTER_ADD: r = b[e] + (e == 2 ? a[0] + a[1] : 0); break;
	case CUM_SUM:
		for (int i = 0; i <= e; i++)
			r += a[i];
		break;
	default:
		for (int i = 0; i < ELEMS; i++) {
			int64_t x = op == SUM_SQUARE ? a[i] * a[i] : op == L1 ? llabs(a[i]) :
				op == DOT ? a[i] * b[i] : a[i];

			*all = *all && x >= INT32_MIN && x <= INT32_MAX;
			r = op == PROD ? r * x : r + x;
			/* Some order overflows, or none does. */
			*all = *all && r >= INT32_MIN && r <= INT32_MAX;
		}
	}
	*all = *all && r >= INT32_MIN && r <= INT32_MAX;
	return r;
}

static bool is_reduction(int op)
{
	return op >= SUM && op <= DOT;
}

static int add_node(struct net *net, int op, int a, int b)
{
	static const int64_t three = 3, axis = 0;
	int in[3] = { a, b };
	uint32_t ins = op <= POW || op >= DOT ? 2 : 1;
	struct nc_node *n;

	if (op == CUM_SUM)
		in[1] = net_ints(net, &axis, 1);
	if (op == POW3)
		in[1] = net_ints(net, &three, 1);
	if (op == SCATTER_ADD) {
		in[0] = b;
		in[1] = cast_to(net, net_input_i32(net, 2, (int32_t[]){ 2, 2 }), ONNX_I64);
		in[2] = npu_graph_slice(net->g, a, (int64_t[]){ 0 }, (int64_t[]){ 2 },
					(int64_t[]){ 1 });
		ins = 3;
	}
	n = net_node(net, names[op], ins, in, 1);
	if (is_reduction(op) && op != DOT)
		nc_attr_set_int(net->g, n, "keepdims", 1);
	if (op == SCATTER_ADD)
		nc_attr_set_string(net->g, n, "reduction", "add");
	net_add(net, n);
	return net_out(n, 0);
}

/* Values around 0, around the edges, or anything. */
static int32_t pick(void)
{
	switch (net_rand(4)) {
	case 0:
		return (int32_t)net_rand(7) - 3;
	case 1:
		return net_rand(2) ? INT32_MAX - (int32_t)net_rand(3) : INT32_MIN + (int32_t)net_rand(3);
	case 2:
		return (int32_t)net_rand(60000) - 30000;
	default:
		return (int32_t)(net_rand(UINT32_MAX) >> net_rand(28));
	}
}

/* Whether it faulted. */
static bool run_op(int op, int64_t type)
{
	int64_t wide[2][ELEMS], want[ELEMS];
	int32_t value[2][ELEMS];
	bool all = true, fault, calm = net_rand(2);
	struct net net;
	int a, b, count = is_reduction(op) ? 1 : ELEMS;

	for (int i = 0; i < 2; i++)
		for (int e = 0; e < ELEMS; e++) {
			value[i][e] = calm ? (int32_t)net_rand(11) - 5 : pick();
			/* The only quotient that does not fit has to come up. */
			if (op == DIV && !i && !net_rand(8))
				value[i][e] = INT32_MIN;
			if (op == DIV && i && (!value[i][e] || net_rand(2)))
				value[i][e] = -1;
			if (op == POW && i && net_rand(4))
				value[i][e] = (int32_t)net_rand(9);
			if (op == POW && !i)
				value[i][e] >>= net_rand(32);
			wide[i][e] = value[i][e];
		}
	for (int e = 0; e < count; e++)
		want[e] = exact(op, wide[0], wide[1], e, &all);
	net_begin(&net);
	a = cast_to(&net, net_input_i32(&net, ELEMS, value[0]), type);
	b = cast_to(&net, net_input_i32(&net, ELEMS, value[1]), type);
	npu_graph_output(net.g, "y", add_node(&net, op, a, b));
	net_run(&net);
	fault = net.data->fault;
	if (type == ONNX_I32)
		assert_false(fault);
	/* Sums may overflow on the way only; nothing is wrong without a fault. */
	if (type == ONNX_I64 && all && fault && op <= ABS)
		fail_msg("%s faulted", names[op]);
	for (int e = 0; e < count && !fault; e++) {
		if ((uint32_t)want[e] != words(&net)[e] ||
		    (type == ONNX_I64 && (want[e] > INT32_MAX || want[e] < INT32_MIN)))
			fail_msg("%s: element %d is %d, not %lld", names[op], e,
				 (int32_t)words(&net)[e], (long long)want[e]);
	}
	net_end(&net);
	return fault;
}

static void test_exact_or_fault(void **state)
{
	(void)state;
	for (int op = 0; op < OPS; op++) {
		unsigned int faults = 0;

		for (int round = 0; round < 60; round++)
			faults += run_op(op, ONNX_I64);
		if (!faults || faults == 60)
			fail_msg("%s: %u of 60 faulted", names[op], faults);
	}
}

static void test_32_bits_wrap(void **state)
{
	(void)state;
	for (int op = 0; op < OPS; op++)
		for (int round = 0; round < 10 && op != POW && op != DIV; round++)
			run_op(op, ONNX_I32);
}

/* A float that is no 32-bit integer: a fault for 64 bits, the nearest one for 32. */
static void test_cast(void **state)
{
	static const struct {
		float x;
		int32_t i;
		bool faults;
	} test[] = {
		{ 1.9f, 1, false }, { -1.9f, -1, false }, { 2147483520.0f, 2147483520, false },
		{ 0x1p31f, INT32_MAX, true }, { -0x1p31f, INT32_MIN, false },
		{ -2147483904.0f, INT32_MIN, true }, { INFINITY, INT32_MAX, true },
		{ -INFINITY, INT32_MIN, true }, { NAN, 0, true }, { 0x1p40f, INT32_MAX, true },
	};
	struct ref_tensor x = net_values(1, (int64_t[]){ 1 }, 0, 1);

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(test) / sizeof(test[0]); i++) {
		bool wide = i % 2;
		struct net net;

		x.data[0] = test[i / 2].x;
		net_begin(&net);
		npu_graph_output(net.g, "y", cast_to(&net, net_input(&net, &x),
						     wide ? ONNX_I64 : ONNX_I32));
		net_run(&net);
		assert_int_equal(net.data->fault, wide && test[i / 2].faults);
		if (!net.data->fault)
			assert_int_equal((int32_t)words(&net)[0], test[i / 2].i);
		net_end(&net);
	}
	ref_tensor_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_or_fault),
		cmocka_unit_test(test_32_bits_wrap),
		cmocka_unit_test(test_cast),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
