// SPDX-License-Identifier: MIT
/* Elementwise operators of one input. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "ref_priv.h"

static const struct {
	const char *name;
	struct ref_unary_attr defaults;
} unary_ops[REF_UNARY_COUNT] = {
#define UNARY_ROW(id, text, a, b) \
	[REF_##id] = { .name = text, .defaults = { .alpha = a, .beta = b } },
	REF_UNARY_OPS(UNARY_ROW)
#undef UNARY_ROW
};

static double sigmoid(double x)
{
	return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double softplus(double x)
{
	return ref_max(x, 0) + log1p(exp(-fabs(x)));
}

static double hard_sigmoid(double x, double alpha, double beta)
{
	return ref_max(0, ref_min(1, alpha * x + beta));
}

static double gelu_tanh(double x)
{
	double inner = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);

	return 0.5 * x * (1 + tanh(inner));
}

static double shrink(double x, double lambd, double bias)
{
	if (x < -lambd)
		return x + bias;
	if (x > lambd)
		return x - bias;
	return isnan(x) ? x : 0;
}

/* Operators that take alpha or beta. */
static double parametric(enum ref_unary_op op, double alpha, double beta,
			 double x)
{
	switch (op) {
	case REF_AFFINE:
		return alpha * x + beta;
	case REF_CELU:
		return ref_max(0, x) +
		       ref_min(0, alpha * expm1(x / alpha));
	case REF_CLIP:
		return ref_min(beta, ref_max(x, alpha));
	case REF_ELU:
		return x < 0 ? alpha * expm1(x) : x;
	case REF_HARD_SIGMOID:
		return hard_sigmoid(x, alpha, beta);
	case REF_LEAKY_RELU:
		return x < 0 ? alpha * x : x;
	case REF_SCALED_TANH:
		return alpha * tanh(beta * x);
	case REF_SELU:
		return beta * (x > 0 ? x : alpha * expm1(x));
	case REF_SHRINK:
		return shrink(x, alpha, beta);
	case REF_THRESHOLDED_RELU:
		return x > alpha || isnan(x) ? x : 0;
	default:
		return NAN;
	}
}

/* The elementary functions. */
static double elementary(enum ref_unary_op op, double x)
{
	switch (op) {
	case REF_ABS:
		return fabs(x);
	case REF_ACOS:
		return acos(x);
	case REF_ACOSH:
		return acosh(x);
	case REF_ASIN:
		return asin(x);
	case REF_ASINH:
		return asinh(x);
	case REF_ATAN:
		return atan(x);
	case REF_ATANH:
		return atanh(x);
	case REF_CEIL:
		return ceil(x);
	case REF_COS:
		return cos(x);
	case REF_COSH:
		return cosh(x);
	case REF_ERF:
		return erf(x);
	case REF_EXP:
		return exp(x);
	case REF_FLOOR:
		return floor(x);
	case REF_LOG:
		return log(x);
	case REF_NEG:
		return -x;
	case REF_RECIPROCAL:
		return 1 / x;
	case REF_ROUND:
		return rint(x);
	case REF_SIN:
		return sin(x);
	case REF_SINH:
		return sinh(x);
	case REF_SQRT:
		return sqrt(x);
	case REF_TAN:
		return tan(x);
	case REF_TANH:
		return tanh(x);
	default:
		return NAN;
	}
}

double ref_unary_value(enum ref_unary_op op, const struct ref_unary_attr *attr,
		       double x)
{
	switch (op) {
	case REF_GELU:
		/* erfc keeps the digits that 1 + erf loses below zero. */
		return 0.5 * x * erfc(-x / sqrt(2));
	case REF_GELU_TANH:
		return gelu_tanh(x);
	case REF_HARD_SWISH:
		return x * hard_sigmoid(x, 1.0 / 6, 0.5);
	case REF_IDENTITY:
		return x;
	case REF_MISH:
		return x * tanh(softplus(x));
	case REF_NOT:
		return x == 0;
	case REF_RELU:
		return ref_max(0, x);
	case REF_SIGMOID:
		return sigmoid(x);
	case REF_SIGN:
		return isnan(x) ? x : (x > 0) - (x < 0);
	case REF_SOFTPLUS:
		return softplus(x);
	case REF_SOFTSIGN:
		return x / (1 + fabs(x));
	case REF_AFFINE:
	case REF_CELU:
	case REF_CLIP:
	case REF_ELU:
	case REF_HARD_SIGMOID:
	case REF_LEAKY_RELU:
	case REF_SCALED_TANH:
	case REF_SELU:
	case REF_SHRINK:
	case REF_THRESHOLDED_RELU:
		return parametric(op, attr->alpha, attr->beta, x);
	default:
		return elementary(op, x);
	}
}

static bool unary_known(enum ref_unary_op op)
{
	return (int)op >= 0 && op < REF_UNARY_COUNT;
}

int ref_unary_defaults(enum ref_unary_op op, struct ref_unary_attr *attr)
{
	if (!unary_known(op) || !attr)
		return -EINVAL;
	*attr = unary_ops[op].defaults;
	return 0;
}

int ref_unary_from_name(const char *name)
{
	for (int i = 0; name && i < REF_UNARY_COUNT; i++)
		if (!strcmp(unary_ops[i].name, name))
			return i;
	return -EINVAL;
}

const char *ref_unary_name(enum ref_unary_op op)
{
	return unary_known(op) ? unary_ops[op].name : NULL;
}

int ref_unary(enum ref_unary_op op, const struct ref_unary_attr *attr,
	      const struct ref_tensor *x, struct ref_tensor *y)
{
	int64_t elems;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!unary_known(op) || !ref_valid(x))
		return -EINVAL;
	if (!attr)
		attr = &unary_ops[op].defaults;
	ret = ref_tensor_alloc(y, x->rank, x->dims);
	if (ret)
		return ret;
	elems = ref_tensor_elems(x);
	for (int64_t i = 0; i < elems; i++)
		y->data[i] = (float)ref_unary_value(op, attr, x->data[i]);
	return 0;
}
