/* SPDX-License-Identifier: MIT */
/* Operators that work element by element, with broadcasting. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "ev_priv.h"

/* ---- One input ---- */

/* The two parameters as ref_unary_value() takes them. */
static int unary_attr(struct ev_call *c, const char *name, struct ref_unary_attr *attr)
{
	int op = ref_unary_from_name(name);

	if (op < 0)
		return op;
	ref_unary_defaults((enum ref_unary_op)op, attr);
	if (op == REF_SHRINK) {
		attr->alpha = (float)ev_attr_f(c, "lambd", attr->alpha);
		attr->beta = (float)ev_attr_f(c, "bias", attr->beta);
	} else {
		attr->alpha = (float)ev_attr_f(c, "alpha", attr->alpha);
		attr->beta = (float)ev_attr_f(c, op == REF_SELU ? "gamma" : "beta", attr->beta);
	}
	if (op == REF_GELU && ev_attr_is(c, "approximate", "tanh", "none"))
		op = REF_GELU_TANH;
	return op;
}

static int run_unary(struct ev_call *c)
{
	struct ref_unary_attr attr;
	int op, ret = ev_need(c, 1);
	double *y;

	if (ret)
		return ret;
	op = unary_attr(c, c->node->op_type, &attr);
	y = ev_out_like(c, 0, c->in[0]);
	if (!y || op < 0)
		return -EINVAL;
	for (int64_t i = 0; i < c->in[0]->elems; i++) {
		y[i] = ref_unary_value((enum ref_unary_op)op, &attr, c->in[0]->v[i]);
		if (!ev_is_float(c->in[0]->type))
			y[i] = ev_round(c->in[0]->type, y[i]);
	}
	return 0;
}

static int run_swish(struct ev_call *c)
{
	double alpha = ev_attr_f(c, "alpha", 1);
	int ret = ev_need(c, 1);
	double *y = ret ? NULL : ev_out_like(c, 0, c->in[0]);

	for (int64_t i = 0; y && i < c->in[0]->elems; i++)
		y[i] = c->in[0]->v[i] * ev_sigmoid(alpha * c->in[0]->v[i]);
	return y ? 0 : -EINVAL;
}

static int run_bitwise_not(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	double *y = ret ? NULL : ev_out_like(c, 0, c->in[0]);

	for (int64_t i = 0; y && i < c->in[0]->elems; i++)
		y[i] = ev_round(c->in[0]->type, -c->in[0]->v[i] - 1);
	return y ? 0 : -EINVAL;
}

static int run_classify(struct ev_call *c)
{
	bool inf = !strcmp(c->node->op_type, "IsInf");
	bool negative = ev_attr_i(c, "detect_negative", 1), positive =
		ev_attr_i(c, "detect_positive", 1);
	int ret = ev_need(c, 1);
	double *y = ret ? NULL : ev_out(c, 0, EV_BOOL, c->in[0]->rank, c->in[0]->dims);

	for (int64_t i = 0; y && i < c->in[0]->elems; i++) {
		double v = c->in[0]->v[i];

		y[i] = inf ? isinf(v) && (v > 0 ? positive : negative) : isnan(v);
	}
	return y ? 0 : -EINVAL;
}

static int cast_to(struct ev_call *c, int to)
{
	const struct ev_value *x = c->in[0];
	double *y;

	if (!ev_is_known(to))
		return -ENOSYS;
	y = ev_out(c, 0, to, x->rank, x->dims);
	if (!y)
		return -EINVAL;
	for (int64_t i = 0; i < x->elems; i++) {
		double v = x->v[i];

		if (ev_is_float(x->type) && !ev_is_float(to) && to != EV_BOOL) {
			v = trunc(v);
			/* What happens to others is not defined. */
			if (ev_round(to, v) != v)
				return -ERANGE;
		}
		/* A wider float holds what there is, rounded by whoever needs it to be. */
		y[i] = ev_is_float(to) && ev_type_bytes(to) >= ev_type_bytes(x->type) ? v :
			ev_round(to, v);
	}
	return 0;
}

static int run_cast(struct ev_call *c)
{
	int ret = ev_need(c, 1);

	return ret ? ret : cast_to(c, (int)ev_attr_i(c, "to", 0));
}

static int run_cast_like(struct ev_call *c)
{
	int ret = ev_need(c, 2);

	return ret ? ret : cast_to(c, c->in[1]->type);
}

/* ---- Several inputs ---- */

typedef double (*binary_fn)(double a, double b);

static double f_add(double a, double b)
{
	return a + b;
}

static double f_sub(double a, double b)
{
	return a - b;
}

static double f_mul(double a, double b)
{
	return a * b;
}

static double f_div(double a, double b)
{
	return a / b;
}

static double f_max(double a, double b)
{
	return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static double f_min(double a, double b)
{
	return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
}

static double f_prelu(double a, double b)
{
	return a < 0 ? a * b : a;
}

static double f_equal(double a, double b)
{
	return a == b;
}

static double f_less(double a, double b)
{
	return a < b;
}

static double f_less_equal(double a, double b)
{
	return a <= b;
}

static double f_greater(double a, double b)
{
	return a > b;
}

static double f_greater_equal(double a, double b)
{
	return a >= b;
}

static double f_and(double a, double b)
{
	return (double)((int64_t)a & (int64_t)b);
}

static double f_or(double a, double b)
{
	return (double)((int64_t)a | (int64_t)b);
}

static double f_xor(double a, double b)
{
	return (double)((int64_t)a ^ (int64_t)b);
}

/* The sign of the divisor. */
static double f_mod(double a, double b)
{
	double r = fmod(a, b);

	return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double f_shift_left(double a, double b)
{
	return b >= 64 ? 0 : (double)((uint64_t)a << (unsigned int)b);
}

static double f_shift_right(double a, double b)
{
	return b >= 64 ? 0 : (double)((uint64_t)a >> (unsigned int)b);
}

static const struct {
	const char *name;
	binary_fn fn;
	bool to_bool;
} binaries[] = {
	{ "Add", f_add, false }, { "Sub", f_sub, false }, { "Mul", f_mul, false },
	{ "Div", f_div, false }, { "Pow", pow, false }, { "PRelu", f_prelu, false },
	{ "Equal", f_equal, true }, { "Less", f_less, true },
	{ "LessOrEqual", f_less_equal, true }, { "Greater", f_greater, true },
	{ "GreaterOrEqual", f_greater_equal, true }, { "And", f_and, true },
	{ "Or", f_or, true }, { "Xor", f_xor, true }, { "BitwiseAnd", f_and, false },
	{ "BitwiseOr", f_or, false }, { "BitwiseXor", f_xor, false }, { "Max", f_max, false },
	{ "Min", f_min, false }, { "Sum", f_add, false }, { "Mean", f_add, false },
};

/* y = fn(a, b) of broadcast elements, whole numbers for integers. */
static int apply(struct ev_call *c, binary_fn fn, int type)
{
	const struct ev_value *a = c->in[0], *b = c->in[1];
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	int rank = ev_broadcast(c, 0, 2, dims);
	bool whole = !ev_is_float(type);
	double *y;

	if (rank < 0)
		return ev_bad(c, "shapes do not broadcast");
	y = ev_out(c, 0, type, rank, dims);
	if (!y)
		return -EINVAL;
	for (int64_t i = 0; i < c->out[0].elems; i++, ev_step(rank, dims, coord)) {
		double q = b->v[ev_at_broadcast(b, rank, coord)];
		double v = fn(a->v[ev_at_broadcast(a, rank, coord)], q);

		if (whole && isfinite(v) && fabs(v) >= 0x1p53)
			return -ERANGE;
		y[i] = whole ? ev_round(type, trunc(v)) : v;
		if (whole && !isfinite(v))
			return ev_bad(c, "division by zero");
	}
	return 0;
}

static int run_binary(struct ev_call *c)
{
	int ret = ev_need(c, 2);

	for (size_t k = 0; !ret && k < sizeof(binaries) / sizeof(binaries[0]); k++)
		if (!strcmp(binaries[k].name, c->node->op_type))
			return apply(c, binaries[k].fn,
				     binaries[k].to_bool ? EV_BOOL : c->in[0]->type);
	return -EINVAL;
}

static int run_prelu(struct ev_call *c)
{
	int ret = ev_need(c, 2);

	ret = ret ? ret : run_binary(c);
	if (!ret && !ev_same_shape(&c->out[0], c->in[0]))
		return ev_bad(c, "the slope is larger than the input");
	return ret;
}

static int run_mod(struct ev_call *c)
{
	int ret = ev_need(c, 2);
	bool like_c = ev_attr_i(c, "fmod", 0);

	if (ret)
		return ret;
	if (!like_c && ev_is_float(c->in[0]->type))
		return ev_bad(c, "floats need fmod = 1");
	return apply(c, like_c ? fmod : f_mod, c->in[0]->type);
}

static int run_bit_shift(struct ev_call *c)
{
	int ret = ev_need(c, 2);

	if (ret)
		return ret;
	return apply(c, ev_attr_is(c, "direction", "LEFT", "") ? f_shift_left : f_shift_right,
		     c->in[0]->type);
}

static int run_variadic(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	binary_fn fn = NULL;
	int rank, ret = c->ins ? ev_need(c, c->ins) : -EINVAL;
	int type;
	double *y;

	if (ret)
		return ret;
	for (size_t k = 0; k < sizeof(binaries) / sizeof(binaries[0]); k++)
		if (!strcmp(binaries[k].name, c->node->op_type))
			fn = binaries[k].fn;
	rank = ev_broadcast(c, 0, c->ins, dims);
	if (rank < 0)
		return ev_bad(c, "shapes do not broadcast");
	type = c->in[0]->type;
	y = ev_out(c, 0, type, rank, dims);
	if (!y)
		return -EINVAL;
	for (int64_t i = 0; i < c->out[0].elems; i++, ev_step(rank, dims, coord)) {
		y[i] = c->in[0]->v[ev_at_broadcast(c->in[0], rank, coord)];
		for (unsigned int k = 1; k < c->ins; k++)
			y[i] = fn(y[i], c->in[k]->v[ev_at_broadcast(c->in[k], rank, coord)]);
		if (!strcmp(c->node->op_type, "Mean"))
			y[i] /= c->ins;
		if (!ev_is_float(type))
			y[i] = ev_round(type, y[i]);
	}
	return 0;
}

static int run_where(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	int rank, ret = ev_need(c, 3);
	double *y;

	if (ret)
		return ret;
	rank = ev_broadcast(c, 0, 3, dims);
	if (rank < 0)
		return ev_bad(c, "shapes do not broadcast");
	y = ev_out(c, 0, c->in[1]->type, rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(rank, dims, coord)) {
		const struct ev_value *x =
			c->in[0]->v[ev_at_broadcast(c->in[0], rank, coord)] ? c->in[1] : c->in[2];

		y[i] = x->v[ev_at_broadcast(x, rank, coord)];
	}
	return y ? 0 : -EINVAL;
}

static int run_clip(struct ev_call *c)
{
	double low = ev_attr_f(c, "min", -INFINITY), high = ev_attr_f(c, "max", INFINITY);
	int ret = ev_need(c, 1);
	double *y;

	if (ret)
		return ret;
	if (c->ins > 1 && c->in[1])
		low = c->in[1]->v[0];
	if (c->ins > 2 && c->in[2])
		high = c->in[2]->v[0];
	y = ev_out_like(c, 0, c->in[0]);
	for (int64_t i = 0; y && i < c->in[0]->elems; i++)
		y[i] = f_min(f_max(c->in[0]->v[i], low), high);
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_point[] = {
	{ "Abs", run_unary, true },
	{ "Acos", run_unary, false },
	{ "Acosh", run_unary, false },
	{ "Asin", run_unary, false },
	{ "Asinh", run_unary, false },
	{ "Atan", run_unary, false },
	{ "Atanh", run_unary, false },
	{ "Ceil", run_unary, true },
	{ "Celu", run_unary, false },
	{ "Cos", run_unary, false },
	{ "Cosh", run_unary, false },
	{ "Elu", run_unary, false },
	{ "Erf", run_unary, false },
	{ "Exp", run_unary, false },
	{ "Floor", run_unary, true },
	{ "Gelu", run_unary, false },
	{ "HardSigmoid", run_unary, false },
	{ "HardSwish", run_unary, false },
	{ "LeakyRelu", run_unary, false },
	{ "Log", run_unary, false },
	{ "Mish", run_unary, false },
	{ "Neg", run_unary, true },
	{ "Not", run_unary, true },
	{ "Reciprocal", run_unary, false },
	{ "Relu", run_unary, true },
	{ "Round", run_unary, true },
	{ "Selu", run_unary, false },
	{ "Shrink", run_unary, false },
	{ "Sigmoid", run_unary, false },
	{ "Sign", run_unary, true },
	{ "Sin", run_unary, false },
	{ "Sinh", run_unary, false },
	{ "Softplus", run_unary, false },
	{ "Softsign", run_unary, false },
	{ "Sqrt", run_unary, false },
	{ "Tan", run_unary, false },
	{ "Tanh", run_unary, false },
	{ "ThresholdedRelu", run_unary, true },
	{ "Swish", run_swish, false },
	{ "BitwiseNot", run_bitwise_not, true },
	{ "IsInf", run_classify, true },
	{ "IsNaN", run_classify, true },
	{ "Cast", run_cast, false },
	{ "CastLike", run_cast_like, false },
	{ "Add", run_binary, false },
	{ "Sub", run_binary, false },
	{ "Mul", run_binary, false },
	{ "Div", run_binary, false },
	{ "Pow", run_binary, false },
	{ "Equal", run_binary, true },
	{ "Less", run_binary, true },
	{ "LessOrEqual", run_binary, true },
	{ "Greater", run_binary, true },
	{ "GreaterOrEqual", run_binary, true },
	{ "And", run_binary, true },
	{ "Or", run_binary, true },
	{ "Xor", run_binary, true },
	{ "BitwiseAnd", run_binary, true },
	{ "BitwiseOr", run_binary, true },
	{ "BitwiseXor", run_binary, true },
	{ "PRelu", run_prelu, false },
	{ "Mod", run_mod, false },
	{ "BitShift", run_bit_shift, true },
	{ "Max", run_variadic, true },
	{ "Min", run_variadic, true },
	{ "Sum", run_variadic, false },
	{ "Mean", run_variadic, false },
	{ "Where", run_where, true },
	{ "Clip", run_clip, true },
	{ NULL, NULL, false }
};
