/* SPDX-License-Identifier: MIT */
/*
 * Gradients of what works on one element at a time: the derivative, as far as
 * possible in terms of the result, so that the input need not be kept. Where there
 * is none (relu at 0), the one from the left.
 */
#include "grad.h"

#include <math.h>
#include <string.h>

#define SQRT_HALF	0.70710678118654752440f
#define TWO_OVER_SQRT_PI 1.12837916709551257390f
#define SQRT_TWO_PI_INV	0.39894228040143267794f
#define SQRT_TWO_OVER_PI 0.79788456080286535588f

/**
 * struct point - one operator, element by element
 * @n: the operator
 * @x: its input
 * @y: its output
 */
struct point {
	const struct nc_grad *d;
	const struct nc_node *n;
	uint32_t x, y;
};

static uint32_t f1(const struct point *p, enum nc_opcode code, uint32_t a)
{
	return nc_x_1(&p->d->e, code, a);
}

static uint32_t f2(const struct point *p, enum nc_opcode code, uint32_t a, uint32_t b)
{
	return nc_x_2(&p->d->e, code, a, b);
}

static uint32_t plus(const struct point *p, uint32_t t, float c)
{
	return nc_grad_plus(p->d, t, c);
}

static uint32_t times(const struct point *p, uint32_t t, float c)
{
	return nc_grad_times(p->d, t, c);
}

/* c - t */
static uint32_t from(const struct point *p, float c, uint32_t t)
{
	return plus(p, f1(p, NC_OP_Neg, t), c);
}

static float attr(const struct point *p, const char *name)
{
	return nc_attr(p->n, name)->f;
}

static uint32_t above(const struct point *p, uint32_t t, float limit)
{
	return nc_x_scalar(&p->d->e, NC_OP_Greater, t, limit);
}

static uint32_t number(const struct point *p, float c)
{
	return nc_x_float(&p->d->e, c);
}

static uint32_t choose(const struct point *p, uint32_t cond, uint32_t yes, uint32_t no)
{
	return nc_x_where(&p->d->e, cond, yes, no);
}

/* 1 / sqrt(t) */
static uint32_t inverse_root(const struct point *p, uint32_t t)
{
	return f1(p, NC_OP_Reciprocal, f1(p, NC_OP_Sqrt, t));
}

static uint32_t square(const struct point *p, uint32_t t)
{
	return nc_grad_square(p->d, t);
}

/* s (1 - s) for s = sigmoid(t) */
static uint32_t sigmoid_slope(const struct point *p, uint32_t s)
{
	return f2(p, NC_OP_Mul, s, from(p, 1, s));
}

/* x Phi(x), or its approximation x / 2 (1 + tanh(u)), u = c (x + 0.044715 x^3). */
static uint32_t gelu(const struct point *p)
{
	bool rough = !strcmp(nc_attr(p->n, "approximate")->s, "tanh");
	uint32_t phi, slope, t;

	if (!rough) {
		phi = times(p, plus(p, f1(p, NC_OP_Erf, times(p, p->x, SQRT_HALF)), 1), 0.5f);
		t = f1(p, NC_OP_Exp, times(p, square(p, p->x), -0.5f));
		return f2(p, NC_OP_Add, phi,
			  f2(p, NC_OP_Mul, p->x, times(p, t, SQRT_TWO_PI_INV)));
	}
	t = plus(p, times(p, square(p, p->x), 0.044715f), 1);
	t = f1(p, NC_OP_Tanh, times(p, f2(p, NC_OP_Mul, p->x, t), SQRT_TWO_OVER_PI));
	slope = plus(p, times(p, square(p, p->x), 3 * 0.044715f), 1);
	slope = f2(p, NC_OP_Mul, times(p, slope, SQRT_TWO_OVER_PI / 2), from(p, 1, square(p, t)));
	return f2(p, NC_OP_Add, times(p, plus(p, t, 1), 0.5f), f2(p, NC_OP_Mul, p->x, slope));
}

/* y = x sigmoid(alpha x) */
static uint32_t swish(const struct point *p)
{
	float alpha = attr(p, "alpha");
	uint32_t s = f1(p, NC_OP_Sigmoid, times(p, p->x, alpha));

	return f2(p, NC_OP_Add, s, times(p, f2(p, NC_OP_Mul, p->y, from(p, 1, s)), alpha));
}

/* y = x t, t = tanh(softplus(x)) */
static uint32_t mish(const struct point *p)
{
	uint32_t t = f1(p, NC_OP_Tanh, f1(p, NC_OP_Softplus, p->x));
	uint32_t slope = f2(p, NC_OP_Mul, f1(p, NC_OP_Sigmoid, p->x), from(p, 1, square(p, t)));

	return f2(p, NC_OP_Add, t, f2(p, NC_OP_Mul, p->x, slope));
}

/* 1 between -3 and 3 would be x / 3 + 1 / 2. */
static uint32_t hard_swish(const struct point *p)
{
	uint32_t slope = plus(p, times(p, p->x, 1.0f / 3), 0.5f);

	slope = choose(p, above(p, p->x, 3), number(p, 1), slope);
	return choose(p, above(p, p->x, -3), slope, number(p, 0));
}

static uint32_t hard_sigmoid(const struct point *p)
{
	uint32_t inside = f2(p, NC_OP_And, above(p, p->y, 0),
			     nc_x_scalar(&p->d->e, NC_OP_Less, p->y, 1));

	return choose(p, inside, number(p, attr(p, "alpha")), number(p, 0));
}

/* Exponential below 0, where the derivative is y plus a constant, times another. */
static uint32_t exponential(const struct point *p, float low_plus, float low_times, float high)
{
	uint32_t low = times(p, plus(p, p->y, low_plus), low_times);

	return choose(p, above(p, p->x, 0), number(p, high), low);
}

static uint32_t step(const struct point *p, uint32_t t, float limit, float low)
{
	return choose(p, above(p, t, limit), number(p, 1), number(p, low));
}

static uint32_t activation(const struct point *p)
{
	float alpha = attr(p, "alpha");
	float beta = attr(p, "beta"), gamma = attr(p, "gamma");

	switch (p->n->op->code) {
	case NC_OP_Affine:
		return number(p, alpha);
	case NC_OP_Celu:
		return exponential(p, alpha, 1 / alpha, 1);
	case NC_OP_Elu:
		return exponential(p, alpha, 1, 1);
	case NC_OP_Gelu:
		return gelu(p);
	case NC_OP_HardSigmoid:
		return hard_sigmoid(p);
	case NC_OP_HardSwish:
		return hard_swish(p);
	case NC_OP_LeakyRelu:
		return step(p, p->x, 0, alpha);
	case NC_OP_Mish:
		return mish(p);
	case NC_OP_Relu:
		return step(p, p->y, 0, 0);
	case NC_OP_ScaledTanh:
		return times(p, from(p, alpha, times(p, square(p, p->y), 1 / alpha)), beta);
	case NC_OP_Selu:
		return exponential(p, gamma * alpha, 1, gamma);
	case NC_OP_Shrink:
		return step(p, f1(p, NC_OP_Abs, p->x), attr(p, "lambd"), 0);
	case NC_OP_Sigmoid:
		return sigmoid_slope(p, p->y);
	case NC_OP_Softplus:
		return f1(p, NC_OP_Sigmoid, p->x);
	case NC_OP_Softsign:
		return square(p, f1(p, NC_OP_Reciprocal,
				    plus(p, f1(p, NC_OP_Abs, p->x), 1)));
	case NC_OP_Swish:
		return swish(p);
	case NC_OP_Tanh:
		return from(p, 1, square(p, p->y));
	case NC_OP_ThresholdedRelu:
		return step(p, p->x, alpha, 0);
	default:
		return NC_NONE;
	}
}

static uint32_t function(const struct point *p)
{
	uint32_t x = p->x, y = p->y;

	switch (p->n->op->code) {
	case NC_OP_Abs:
		return f1(p, NC_OP_Sign, x);
	case NC_OP_Acos:
		return f1(p, NC_OP_Neg, inverse_root(p, from(p, 1, square(p, x))));
	case NC_OP_Acosh:
		return inverse_root(p, plus(p, square(p, x), -1));
	case NC_OP_Asin:
		return inverse_root(p, from(p, 1, square(p, x)));
	case NC_OP_Asinh:
		return inverse_root(p, plus(p, square(p, x), 1));
	case NC_OP_Atan:
		return f1(p, NC_OP_Reciprocal, plus(p, square(p, x), 1));
	case NC_OP_Atanh:
		return f1(p, NC_OP_Reciprocal, from(p, 1, square(p, x)));
	case NC_OP_Cos:
		return f1(p, NC_OP_Neg, f1(p, NC_OP_Sin, x));
	case NC_OP_Cosh:
		return f1(p, NC_OP_Sinh, x);
	case NC_OP_Erf:
		return times(p, f1(p, NC_OP_Exp, f1(p, NC_OP_Neg, square(p, x))),
			     TWO_OVER_SQRT_PI);
	case NC_OP_Exp:
		return y;
	case NC_OP_Log:
		return f1(p, NC_OP_Reciprocal, x);
	case NC_OP_Neg:
		return number(p, -1);
	case NC_OP_Reciprocal:
		return f1(p, NC_OP_Neg, square(p, y));
	case NC_OP_Sin:
		return f1(p, NC_OP_Cos, x);
	case NC_OP_Sinh:
		return f1(p, NC_OP_Cosh, x);
	case NC_OP_Sqrt:
		return times(p, f1(p, NC_OP_Reciprocal, y), 0.5f);
	case NC_OP_Tan:
		return plus(p, square(p, y), 1);
	default:
		return activation(p);
	}
}

uint32_t nc_grad_slope(const struct nc_grad *d, const struct nc_node *n, uint32_t x, uint32_t y)
{
	struct point p = { .d = d, .n = n, .x = x, .y = y };

	return function(&p);
}

/* One operator, which stays with the others of the way back: a slope of its own would be kept. */
void nc_grad_relu(const struct nc_grad *d)
{
	nc_grad_add(d, 0, nc_x_2(&d->e, NC_OP_ReluGrad, nc_grad_out(d, 0), d->e.n->out[0]));
}

void nc_grad_unary(const struct nc_grad *d)
{
	uint32_t slope = nc_grad_slope(d, d->e.n, nc_x_in(&d->e, 0), d->e.n->out[0]);

	nc_grad_add(d, 0, nc_x_2(&d->e, NC_OP_Mul, nc_grad_out(d, 0), slope));
}

/* Flat wherever there is a derivative. */
void nc_grad_none(const struct nc_grad *d)
{
	(void)d;
}

void nc_grad_cast(const struct nc_grad *d)
{
	nc_grad_add(d, 0, nc_x_cast(&d->e, nc_grad_out(d, 0),
				    nc_x_get(&d->e, nc_x_in(&d->e, 0))->dtype));
}

/* To the one of value and bounds that the result is. */
void nc_grad_clip(const struct nc_grad *d)
{
	static const enum nc_opcode beyond[] = { NC_OP_Less, NC_OP_Greater };
	uint32_t x = nc_x_in(&d->e, 0), zero = nc_x_float(&d->e, 0), rest = nc_grad_out(d, 0);

	for (uint32_t i = 1; i < 3; i++) {
		uint32_t bound = nc_x_in(&d->e, i), is;

		if (bound == NC_NONE)
			continue;
		is = nc_x_2(&d->e, beyond[i - 1], x, bound);
		if (nc_grad_wants(d, i))
			nc_grad_add_broadcast(d, i, nc_x_where(&d->e, is, rest, zero));
		rest = nc_x_where(&d->e, is, zero, rest);
	}
	nc_grad_add(d, 0, rest);
}
