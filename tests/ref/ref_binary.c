// SPDX-License-Identifier: MIT
/* Elementwise operators of several inputs, with numpy broadcasting. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ref_priv.h"

#define MAX_INPUTS 64

static const char *const binary_names[REF_BINARY_COUNT] = {
#define BINARY_ROW(id, text) [REF_##id] = text,
	REF_BINARY_OPS(BINARY_ROW)
#undef BINARY_ROW
};

/* Python's %: the result has the sign of the divisor. */
static double modulo(double a, double b)
{
	double rest = fmod(a, b);

	return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static double binary_value(enum ref_binary_op op, double a, double b)
{
	switch (op) {
	case REF_ADD:
		return a + b;
	case REF_SUB:
		return a - b;
	case REF_MUL:
		return a * b;
	case REF_DIV:
		return a / b;
	case REF_MIN:
		return ref_min(a, b);
	case REF_MAX:
		return ref_max(a, b);
	case REF_POW:
		return pow(a, b);
	case REF_PRELU:
		return a < 0 ? b * a : a;
	case REF_MOD:
		return modulo(a, b);
	case REF_FMOD:
		return fmod(a, b);
	case REF_EQUAL:
		return a == b;
	case REF_LESS:
		return a < b;
	case REF_LESS_OR_EQUAL:
		return a <= b;
	case REF_GREATER:
		return a > b;
	case REF_GREATER_OR_EQUAL:
		return a >= b;
	case REF_AND:
		return a != 0 && b != 0;
	case REF_OR:
		return a != 0 || b != 0;
	case REF_XOR:
		return (a != 0) != (b != 0);
	default:
		return NAN;
	}
}

static double variadic_value(enum ref_variadic_op op, const double *values,
			     int count)
{
	double acc = values[0];

	for (int n = 1; n < count; n++) {
		if (op == REF_VARIADIC_MAX)
			acc = ref_max(acc, values[n]);
		else if (op == REF_VARIADIC_MIN)
			acc = ref_min(acc, values[n]);
		else
			acc += values[n];
	}
	return op == REF_VARIADIC_MEAN ? acc / count : acc;
}

/* Checks the inputs and allocates y with their common shape. */
static int broadcast_alloc(const struct ref_tensor *const *xs, int count,
			   struct ref_tensor *y)
{
	struct ref_tensor shape;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	for (int n = 0; n < count; n++)
		if (!ref_valid(xs[n]))
			return -EINVAL;
	ret = ref_broadcast(xs, count, &shape);
	if (ret)
		return ret;
	return ref_tensor_alloc(y, shape.rank, shape.dims);
}

int ref_binary(enum ref_binary_op op, const struct ref_tensor *a,
	       const struct ref_tensor *b, struct ref_tensor *y)
{
	const struct ref_tensor *xs[] = { a, b };
	int64_t coord[REF_MAX_RANK] = { 0 };
	int64_t elems;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if ((int)op < 0 || op >= REF_BINARY_COUNT)
		return -EINVAL;
	ret = broadcast_alloc(xs, 2, y);
	if (ret)
		return ret;
	if (op == REF_PRELU &&
	    (y->rank != a->rank ||
	     memcmp(y->dims, a->dims, (size_t)a->rank * sizeof(*a->dims)))) {
		ref_tensor_free(y);
		return -EINVAL;
	}
	elems = ref_tensor_elems(y);
	for (int64_t i = 0; i < elems; i++) {
		double va = a->data[ref_broadcast_off(a, y->rank, coord)];
		double vb = b->data[ref_broadcast_off(b, y->rank, coord)];

		y->data[i] = (float)binary_value(op, va, vb);
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}

int ref_binary_from_name(const char *name)
{
	for (int i = 0; name && i < REF_BINARY_COUNT; i++)
		if (!strcmp(binary_names[i], name))
			return i;
	return -EINVAL;
}

const char *ref_binary_name(enum ref_binary_op op)
{
	return (int)op >= 0 && op < REF_BINARY_COUNT ? binary_names[op] : NULL;
}

int ref_variadic(enum ref_variadic_op op, const struct ref_tensor *const *xs,
		 int count, struct ref_tensor *y)
{
	int64_t coord[REF_MAX_RANK] = { 0 };
	double values[MAX_INPUTS];
	int64_t elems;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if ((int)op < 0 || op >= REF_VARIADIC_COUNT || !xs || count < 1 ||
	    count > MAX_INPUTS)
		return -EINVAL;
	ret = broadcast_alloc(xs, count, y);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	for (int64_t i = 0; i < elems; i++) {
		for (int n = 0; n < count; n++)
			values[n] = xs[n]->data[ref_broadcast_off(
				xs[n], y->rank, coord)];
		y->data[i] = (float)variadic_value(op, values, count);
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}

int ref_where(const struct ref_tensor *cond, const struct ref_tensor *a,
	      const struct ref_tensor *b, struct ref_tensor *y)
{
	const struct ref_tensor *xs[] = { cond, a, b };
	int64_t coord[REF_MAX_RANK] = { 0 };
	int64_t elems;
	int ret;

	ret = broadcast_alloc(xs, 3, y);
	if (ret)
		return ret;
	elems = ref_tensor_elems(y);
	for (int64_t i = 0; i < elems; i++) {
		bool take_a =
			cond->data[ref_broadcast_off(cond, y->rank, coord)] != 0;
		const struct ref_tensor *from = take_a ? a : b;

		y->data[i] = from->data[ref_broadcast_off(from, y->rank, coord)];
		ref_step(y->rank, y->dims, coord);
	}
	return 0;
}
