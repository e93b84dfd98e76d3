/* SPDX-License-Identifier: MIT */
/* Recipes of operators that work element by element. */
#include <string.h>

#include "rand.h"

/* Opset from which an operator takes integers of 8 and 16 bits. */
#define SMALL_SINCE	14

static unsigned int with_small(const struct rg *g, unsigned int types)
{
	return g->opset >= SMALL_SINCE ? types : types & (RG_FLOATS | RG_WIDE | RG_BOOL);
}

static bool one(struct rg *g, const char *op, unsigned int types, enum rg_style style)
{
	rg_begin(g, op);
	rg_arg(g, rg_some(g, types, 0, 6, style));
	return rg_commit(g, 1);
}

static bool smooth(struct rg *g, const char *op)
{
	return one(g, op, RG_FLOATS, RG_ANY);
}

static bool unit(struct rg *g, const char *op)
{
	return one(g, op, RG_FLOATS, RG_UNIT);
}

static bool positive(struct rg *g, const char *op)
{
	return one(g, op, RG_FLOATS, RG_POSITIVE);
}

static bool acosh_like(struct rg *g, const char *op)
{
	double one_more = 1.125;
	int x = rg_some(g, RG_FLOATS, 0, 5, RG_POSITIVE);

	if (x < 0)
		return false;
	rg_begin(g, "Max");
	rg_arg(g, x);
	rg_arg(g, rg_given(g, rg_get(g, x)->type, 0, NULL, &one_more, RG_KNOWN));
	if (!rg_commit(g, 1))
		return false;
	x = (int)g->values - 1;
	rg_begin(g, op);
	rg_arg(g, x);
	return rg_commit(g, 1);
}

static bool floats_and_ints(struct rg *g, const char *op)
{
	unsigned int ints = !strcmp(op, "Neg") ? RG_INTS & ~(1u << EV_U8) : RG_INTS;

	return one(g, op, RG_FLOATS | with_small(g, !strcmp(op, "Relu") ? ints & ~(1u << EV_U8) :
						 ints), RG_ANY);
}

static bool bits_not(struct rg *g, const char *op)
{
	return one(g, op, RG_INTS, RG_ANY);
}

static bool not(struct rg *g, const char *op)
{
	return one(g, op, RG_BOOL, RG_ANY);
}

static bool classify(struct rg *g, const char *op)
{
	bool inf = !strcmp(op, "IsInf");

	rg_begin(g, op);
	if (inf && rg_once(g, 2))
		rg_int(g, "detect_negative", rg_below(g, 2));
	if (inf && rg_once(g, 2))
		rg_int(g, "detect_positive", rg_below(g, 2));
	rg_arg(g, rg_some(g, inf && g->opset < 20 ? 1u << EV_F32 : RG_FLOATS, 0, 5, RG_SPECIAL));
	return rg_commit(g, 1);
}

/* Activations with parameters, each given or not. */
static bool parametric(struct rg *g, const char *op)
{
	bool alpha_beta = !strcmp(op, "HardSigmoid"), selu = !strcmp(op, "Selu");

	rg_begin(g, op);
	if (!strcmp(op, "Gelu")) {
		if (!rg_once(g, 3))
			rg_text(g, "approximate", rg_once(g, 2) ? "tanh" : "none");
	} else if (!strcmp(op, "Shrink")) {
		if (!rg_once(g, 3))
			rg_float(g, "lambd", (float)rg_uniform(g, 0, 2));
		if (!rg_once(g, 3))
			rg_float(g, "bias", (float)rg_uniform(g, -1, 1));
	} else {
		if (!rg_once(g, 3))
			rg_float(g, "alpha", (float)rg_uniform(g, 0.05, 2));
		if ((alpha_beta || selu) && !rg_once(g, 3))
			rg_float(g, selu ? "gamma" : "beta", (float)rg_uniform(g, 0.05, 2));
	}
	rg_arg(g, rg_some(g, RG_FLOATS, 0, 5, RG_ANY));
	return rg_commit(g, 1);
}

/* A partner that broadcasts with @x, either way. */
static int partner(struct rg *g, int x, enum rg_style style, bool one_way)
{
	const struct ev_value *v = rg_get(g, x);
	int64_t dims[REF_MAX_RANK];
	int lead = v->rank ? (int)rg_below(g, (uint32_t)v->rank + 1) : 0, rank;

	if (rg_once(g, 3))
		return rg_like(g, v->type, v->rank, v->dims, style);
	lead = rg_once(g, 2) ? 0 : lead;
	rank = v->rank - lead;
	for (int i = 0; i < rank; i++)
		dims[i] = rg_once(g, 3) ? 1 : v->dims[lead + i];
	if (!one_way && !lead && rank < 5 && rg_once(g, 4)) {
		memmove(dims + 1, dims, (size_t)rank * sizeof(*dims));
		dims[0] = rg_between(g, 1, 3);
		rank++;
	}
	for (int i = 0; i < rank && !one_way; i++)
		if (dims[i] == 1 && v->elems < g->elems / 4 && rg_once(g, 5) &&
		    (lead + i >= v->rank || v->dims[v->rank - rank + i >= 0 ?
						    v->rank - rank + i : 0] == 1))
			dims[i] = rg_between(g, 1, 4);
	return rg_like(g, v->type, rank, dims, style);
}

static bool binary_of(struct rg *g, const char *op, unsigned int types, enum rg_style style)
{
	int x = rg_some(g, types, 0, 5, RG_ANY), y;

	if (x < 0)
		return false;
	y = partner(g, x, style, false);
	rg_begin(g, op);
	/* A divisor stays where it is. */
	rg_arg(g, style == RG_ANY && rg_once(g, 2) ? y : x);
	rg_arg(g, style != RG_ANY || g->in[0] == x ? y : x);
	return rg_commit(g, 1);
}

static bool arithmetic(struct rg *g, const char *op)
{
	return binary_of(g, op, RG_FLOATS | with_small(g, RG_INTS), RG_ANY);
}

static bool divide(struct rg *g, const char *op)
{
	return binary_of(g, op, RG_FLOATS | with_small(g, RG_INTS), RG_POSITIVE);
}

static bool modulo(struct rg *g, const char *op)
{
	/* Halves are too coarse: what is left of a division may be anything. */
	int x = rg_some(g, 1u << EV_F32 | RG_INTS, 0, 5, RG_ANY), y;
	bool like_c;

	if (x < 0)
		return false;
	like_c = ev_is_float(rg_get(g, x)->type) || rg_once(g, 2);
	y = partner(g, x, RG_POSITIVE, false);
	rg_begin(g, op);
	if (like_c)
		rg_int(g, "fmod", 1);
	rg_arg(g, x);
	rg_arg(g, y);
	return rg_commit(g, 1);
}

static bool compare(struct rg *g, const char *op)
{
	bool equal = !strcmp(op, "Equal");

	return binary_of(g, op, RG_FLOATS | with_small(g, RG_INTS) | (equal ? RG_BOOL : 0),
			 RG_ANY);
}

static bool logic(struct rg *g, const char *op)
{
	return binary_of(g, op, RG_BOOL, RG_ANY);
}

static bool bitwise(struct rg *g, const char *op)
{
	return binary_of(g, op, RG_INTS, RG_ANY);
}

static bool shift(struct rg *g, const char *op)
{
	int x = rg_some(g, 1u << EV_U8, 0, 4, RG_ANY);

	if (x < 0)
		return false;
	rg_begin(g, op);
	rg_text(g, "direction", rg_once(g, 2) ? "LEFT" : "RIGHT");
	rg_arg(g, x);
	rg_arg(g, partner(g, x, RG_ANY, false));
	return rg_commit(g, 1);
}

static bool power(struct rg *g, const char *op)
{
	static const double exponent[] = { 2, 3, 0.5, -1, -2, 0, 1, 1.5, -0.5, 4, 7 };
	int x = rg_some(g, RG_FLOATS | RG_WIDE, 0, 5, RG_POSITIVE), y, type;
	double e = exponent[rg_below(g, 11)];

	if (x < 0)
		return false;
	type = rg_get(g, x)->type;
	if (!ev_is_float(type)) {
		e = (double)rg_below(g, 4);
		y = rg_given(g, type, 0, NULL, &e, RG_DRAWN);
	} else if (rg_once(g, 2)) {
		/* Bases of any sign with whole exponents; others are refused. */
		y = rg_given(g, type, 0, NULL, &e, RG_DRAWN);
	} else {
		y = partner(g, x, RG_ANY, false);
	}
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, y);
	return rg_commit(g, 1);
}

static bool prelu(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS, 1, 5, RG_ANY), y;

	if (x < 0)
		return false;
	y = partner(g, x, RG_UNIT, true);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, y);
	return rg_commit(g, 1);
}

static bool variadic(struct rg *g, const char *op)
{
	bool extremes = op[0] == 'M' && op[1] != 'e';
	int x = rg_some(g, extremes ? RG_FLOATS | with_small(g, RG_INTS) : RG_FLOATS, 0, 4, RG_ANY);
	int list[12], n = (int)rg_between(g, 1, rg_once(g, 6) ? 11 : 4);

	if (x < 0)
		return false;
	list[0] = x;
	for (int i = 1; i < n; i++)
		list[i] = partner(g, x, RG_ANY, true);
	rg_begin(g, op);
	for (int i = 0; i < n; i++)
		rg_arg(g, list[i]);
	return rg_commit(g, 1);
}

static bool where(struct rg *g, const char *op)
{
	unsigned int types = g->opset >= 16 ? RG_ALL : RG_ALL & ~(1u << EV_BF16);
	int x = rg_some(g, types, 0, 4, RG_ANY), y, mask;
	const struct ev_value *v;

	if (x < 0)
		return false;
	y = partner(g, x, RG_ANY, false);
	v = rg_get(g, rg_once(g, 2) && y >= 0 ? y : x);
	mask = rg_like(g, EV_BOOL, v->rank, v->dims, RG_ANY);
	if (mask >= 0 && rg_once(g, 3))
		mask = partner(g, mask, RG_ANY, true);
	rg_begin(g, op);
	rg_arg(g, mask);
	rg_arg(g, x);
	rg_arg(g, y);
	return rg_commit(g, 1);
}

static bool clip(struct rg *g, const char *op)
{
	int x = rg_some(g, RG_FLOATS | with_small(g, RG_INTS), 0, 5, RG_ANY), type;
	double low, high;

	if (x < 0)
		return false;
	type = rg_get(g, x)->type;
	low = ev_is_float(type) ? rg_uniform(g, -2, 1) : (double)rg_between(g, type == EV_U8 ? 0 : -5, 3);
	high = low + (ev_is_float(type) ? rg_uniform(g, 0, 3) : (double)rg_between(g, 0, 5));
	rg_begin(g, op);
	rg_arg(g, x);
	if (!rg_once(g, 6)) {
		rg_arg(g, rg_once(g, 4) ? -1 : rg_given(g, type, 0, NULL, &low, RG_DRAWN));
		if (!rg_once(g, 4))
			rg_arg(g, rg_given(g, type, 0, NULL, &high, RG_DRAWN));
	}
	return rg_commit(g, 1);
}

static bool cast(struct rg *g, const char *op)
{
	unsigned int types = g->opset >= 13 ? RG_ALL : RG_ALL & ~(1u << EV_BF16);
	int x = rg_some(g, types, 0, 5, RG_ANY), to = rg_type(g, types);

	if (x < 0)
		return false;
	rg_begin(g, op);
	rg_arg(g, x);
	if (!strcmp(op, "CastLike")) {
		int like = rg_pick(g, 1u << to, 0, 6);

		rg_arg(g, like >= 0 ? like : rg_scalar(g, to, 1));
	} else {
		rg_int(g, "to", to);
	}
	return rg_commit(g, 1);
}

const struct rg_recipe rg_point[] = {
	{ "Abs", 7, 2, floats_and_ints },
	{ "Neg", 7, 2, floats_and_ints },
	{ "Sign", 9, 2, floats_and_ints },
	{ "Relu", 7, 4, floats_and_ints },
	{ "Acos", 7, 1, unit },
	{ "Asin", 7, 1, unit },
	{ "Atanh", 9, 1, unit },
	{ "Acosh", 9, 1, acosh_like },
	{ "Asinh", 9, 1, smooth },
	{ "Atan", 7, 1, smooth },
	{ "Ceil", 7, 1, smooth },
	{ "Floor", 7, 1, smooth },
	{ "Round", 11, 1, smooth },
	{ "Cos", 7, 1, smooth },
	{ "Sin", 7, 1, smooth },
	{ "Tan", 7, 1, unit },
	{ "Cosh", 9, 1, smooth },
	{ "Sinh", 9, 1, smooth },
	{ "Erf", 9, 2, smooth },
	{ "Exp", 7, 2, smooth },
	{ "Log", 7, 2, positive },
	{ "Sqrt", 7, 2, positive },
	{ "Reciprocal", 7, 1, positive },
	{ "HardSwish", 14, 1, smooth },
	{ "Mish", 18, 1, smooth },
	{ "Sigmoid", 7, 3, smooth },
	{ "Softplus", 7, 1, smooth },
	{ "Softsign", 7, 1, smooth },
	{ "Tanh", 7, 3, smooth },
	{ "Not", 7, 2, not },
	{ "BitwiseNot", 18, 1, bits_not },
	{ "IsNaN", 13, 1, classify },
	{ "IsInf", 10, 1, classify },
	{ "Celu", 12, 1, parametric },
	{ "Elu", 7, 1, parametric },
	{ "Gelu", 20, 2, parametric },
	{ "HardSigmoid", 7, 1, parametric },
	{ "LeakyRelu", 7, 1, parametric },
	{ "Selu", 7, 1, parametric },
	{ "Shrink", 9, 1, parametric },
	{ "Swish", 24, 1, parametric },
	{ "ThresholdedRelu", 10, 1, parametric },
	{ "Add", 7, 8, arithmetic },
	{ "Sub", 7, 5, arithmetic },
	{ "Mul", 7, 8, arithmetic },
	{ "Div", 7, 4, divide },
	{ "Mod", 13, 2, modulo },
	{ "Equal", 11, 2, compare },
	{ "Less", 9, 1, compare },
	{ "LessOrEqual", 12, 1, compare },
	{ "Greater", 9, 1, compare },
	{ "GreaterOrEqual", 12, 1, compare },
	{ "And", 7, 1, logic },
	{ "Or", 7, 1, logic },
	{ "Xor", 7, 1, logic },
	{ "BitwiseAnd", 18, 1, bitwise },
	{ "BitwiseOr", 18, 1, bitwise },
	{ "BitwiseXor", 18, 1, bitwise },
	{ "BitShift", 11, 1, shift },
	{ "Pow", 13, 2, power },
	{ "PRelu", 9, 2, prelu },
	{ "Max", 13, 2, variadic },
	{ "Min", 13, 2, variadic },
	{ "Sum", 13, 2, variadic },
	{ "Mean", 13, 2, variadic },
	{ "Where", 9, 4, where },
	{ "Clip", 12, 3, clip },
	{ "Cast", 9, 6, cast },
	{ "CastLike", 15, 2, cast },
	{ NULL, 0, 0, NULL }
};
