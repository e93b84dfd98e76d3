/* SPDX-License-Identifier: MIT */
/*
 * Functions of elements: trigonometric, hyperbolic, their inverses. As in
 * funcs.c nothing overflows or cancels on the way; polynomials are minimax
 * approximations on the reduced interval.
 */
#include <errno.h>
#include <math.h>

#include "kir/map.h"
#include "ops.h"

static int k(struct nc_map *m, float value)
{
	return nc_map_float(m, value);
}

static int op1(struct nc_map *m, enum npu_uop op, int a)
{
	return nc_map_op(m, op, a, 0, 0);
}

static int op2(struct nc_map *m, enum npu_uop op, int a, int b)
{
	return nc_map_op(m, op, a, b, 0);
}

static int op3(struct nc_map *m, enum npu_uop op, int a, int b, int c)
{
	return nc_map_op(m, op, a, b, c);
}

static int sel(struct nc_map *m, int condition, int yes, int no)
{
	return op3(m, NPU_UOP_SEL, condition, yes, no);
}

static int less(struct nc_map *m, int a, float limit)
{
	return op2(m, NPU_UOP_FLT, a, k(m, limit));
}

static int sign_of(struct nc_map *m, int value, int x)
{
	return op2(m, NPU_UOP_IOR, value,
		   op2(m, NPU_UOP_IAND, x, nc_map_bits(m, 0x80000000)));
}

/* Horner, highest power first. */
static int polynomial(struct nc_map *m, int x, const float *c, unsigned int count)
{
	int r = k(m, c[0]);

	for (unsigned int i = 1; i < count; i++)
		r = op3(m, NPU_UOP_FMA, r, x, k(m, c[i]));
	return r;
}

int nc_emit_tan(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return op2(m, NPU_UOP_FDIV, op1(m, NPU_UOP_SIN, x[0]), op1(m, NPU_UOP_COS, x[0]));
}

/* |x| is brought below tan(pi / 8) by the angle of 1, or of infinity. */
int nc_emit_atan(struct nc_map *m, const struct nc_node *n, const int *x)
{
	static const float c[] = {
		8.05374449538e-2f, -1.38776856032e-1f, 1.99777106478e-1f, -3.33329491539e-1f,
	};
	int a = op1(m, NPU_UOP_FABS, x[0]), one = k(m, 1);
	int far = op2(m, NPU_UOP_FLT, k(m, 2.414213562f), a);
	int mid = op2(m, NPU_UOP_FLT, k(m, 0.4142135624f), a);
	int t = op2(m, NPU_UOP_FDIV, op2(m, NPU_UOP_FSUB, a, one), op2(m, NPU_UOP_FADD, a, one));
	int base, z, r;

	(void)n;
	t = sel(m, mid, t, a);
	t = sel(m, far, op2(m, NPU_UOP_FDIV, k(m, -1), a), t);
	base = sel(m, mid, k(m, (float)M_PI_4), k(m, 0));
	base = sel(m, far, k(m, (float)M_PI_2), base);
	z = op2(m, NPU_UOP_FMUL, t, t);
	r = op2(m, NPU_UOP_FMUL, polynomial(m, z, c, 4), op2(m, NPU_UOP_FMUL, z, t));
	return sign_of(m, op2(m, NPU_UOP_FADD, base, op2(m, NPU_UOP_FADD, r, t)), x[0]);
}

/* asin of @t in 0 .. 1/2 */
static int asin_small(struct nc_map *m, int t)
{
	static const float c[] = {
		4.2163199048e-2f, 2.4181311049e-2f, 4.5470025998e-2f, 7.4953002686e-2f,
		1.6666752422e-1f,
	};
	int z = op2(m, NPU_UOP_FMUL, t, t);
	int r = op2(m, NPU_UOP_FMUL, polynomial(m, z, c, 5), op2(m, NPU_UOP_FMUL, z, t));

	return op2(m, NPU_UOP_FADD, r, t);
}

/* sqrt((1 - a) / 2): asin a = pi / 2 - 2 asin of it; exact subtraction. */
static int half_angle(struct nc_map *m, int a)
{
	int r = op2(m, NPU_UOP_FMUL, op2(m, NPU_UOP_FSUB, k(m, 1), a), k(m, 0.5f));

	return op1(m, NPU_UOP_FSQRT, r);
}

int nc_emit_asin(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int a = op1(m, NPU_UOP_FABS, x[0]);
	int small = less(m, a, 0.5f);
	int s = asin_small(m, sel(m, small, a, half_angle(m, a)));
	int large = op3(m, NPU_UOP_FMA, s, k(m, -2), k(m, (float)M_PI_2));

	(void)n;
	return sign_of(m, sel(m, small, s, large), x[0]);
}

int nc_emit_acos(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int a = op1(m, NPU_UOP_FABS, x[0]);
	int small = less(m, a, 0.5f);
	int s = asin_small(m, sel(m, small, a, half_angle(m, a)));
	int twice = op2(m, NPU_UOP_FADD, s, s);
	int large = sel(m, less(m, x[0], 0),
			op2(m, NPU_UOP_FSUB, k(m, (float)M_PI), twice), twice);

	(void)n;
	return sel(m, small, op2(m, NPU_UOP_FSUB, k(m, (float)M_PI_2), sign_of(m, s, x[0])),
		   large);
}

/* (e^a + sign e^-a) / 2 for a >= 0, by e^(a / 2), which overflows later. */
static int half_exponentials(struct nc_map *m, int a, float sign)
{
	int h = op1(m, NPU_UOP_EXP, op2(m, NPU_UOP_FMUL, a, k(m, 0.5f)));
	int up = op2(m, NPU_UOP_FMUL, op2(m, NPU_UOP_FMUL, h, k(m, 0.5f)), h);
	int down = op2(m, NPU_UOP_FDIV, op2(m, NPU_UOP_FDIV, k(m, 0.5f), h), h);

	return op3(m, NPU_UOP_FMA, down, k(m, sign), up);
}

int nc_emit_cosh(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return half_exponentials(m, op1(m, NPU_UOP_FABS, x[0]), 1);
}

/* Near 0 by t = tanh(a / 2): 2 t / (1 - t^2). */
int nc_emit_sinh(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int a = op1(m, NPU_UOP_FABS, x[0]);
	int t = op1(m, NPU_UOP_TANH, op2(m, NPU_UOP_FMUL, a, k(m, 0.5f)));
	int low = op2(m, NPU_UOP_FDIV, op2(m, NPU_UOP_FADD, t, t),
		      op3(m, NPU_UOP_FMA, op1(m, NPU_UOP_FNEG, t), t, k(m, 1)));

	(void)n;
	return sign_of(m, sel(m, less(m, a, 1), low, half_exponentials(m, a, -1)), x[0]);
}

/* log(1 + u), u >= 0, as log(w) (u / (w - 1)), w = 1 + u rounded; see log1p_unit(). */
static int log1p_of(struct nc_map *m, int u)
{
	int w = op2(m, NPU_UOP_FADD, u, k(m, 1));
	int factor = op2(m, NPU_UOP_FDIV, u, op2(m, NPU_UOP_FSUB, w, k(m, 1)));
	int r = op2(m, NPU_UOP_FMUL, op1(m, NPU_UOP_LOG, w), factor);

	r = sel(m, op2(m, NPU_UOP_FEQ, w, k(m, 1)), u, r);
	return sel(m, op2(m, NPU_UOP_FEQ, w, k(m, INFINITY)), w, r);
}

/* log(2 a), for an @a so large that what else there is does not count. */
static int log_twice(struct nc_map *m, int a)
{
	return op2(m, NPU_UOP_FADD, op1(m, NPU_UOP_LOG, a), k(m, (float)M_LN2));
}

/* log1p(a + a^2 / (1 + sqrt(a^2 + 1))) */
int nc_emit_asinh(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int a = op1(m, NPU_UOP_FABS, x[0]);
	int square = op2(m, NPU_UOP_FMUL, a, a);
	int root = op1(m, NPU_UOP_FSQRT, op2(m, NPU_UOP_FADD, square, k(m, 1)));
	int u = op2(m, NPU_UOP_FDIV, square, op2(m, NPU_UOP_FADD, root, k(m, 1)));
	int r = log1p_of(m, op2(m, NPU_UOP_FADD, a, u));

	(void)n;
	return sign_of(m, sel(m, less(m, a, 0x1p14f), r, log_twice(m, a)), x[0]);
}

/* log1p(t + sqrt(t) sqrt(t + 2)), t = x - 1: NaN wherever t is negative */
int nc_emit_acosh(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int t = op2(m, NPU_UOP_FSUB, x[0], k(m, 1));
	int root = op2(m, NPU_UOP_FMUL, op1(m, NPU_UOP_FSQRT, t),
		       op1(m, NPU_UOP_FSQRT, op2(m, NPU_UOP_FADD, t, k(m, 2))));
	int r = log1p_of(m, op2(m, NPU_UOP_FADD, t, root));

	(void)n;
	return sel(m, less(m, x[0], 0x1p14f), r, log_twice(m, x[0]));
}

/* log1p(2 a / (1 - a)) / 2; NaN beyond 1, where the logarithm's argument is negative. */
int nc_emit_atanh(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int a = op1(m, NPU_UOP_FABS, x[0]);
	int u = op2(m, NPU_UOP_FDIV, op2(m, NPU_UOP_FADD, a, a),
		    op2(m, NPU_UOP_FSUB, k(m, 1), a));

	(void)n;
	return sign_of(m, op2(m, NPU_UOP_FMUL, log1p_of(m, u), k(m, 0.5f)), x[0]);
}

/* x < -lambd: x + bias; x > lambd: x - bias; else 0 */
int nc_emit_shrink(struct nc_map *m, const struct nc_node *n, const int *x)
{
	float bias = nc_attr(n, "bias")->f, lambd = nc_attr(n, "lambd")->f;
	int v = m->ints ? op1(m, NPU_UOP_I2F, x[0]) : x[0];
	int r = sel(m, op2(m, NPU_UOP_FLT, k(m, lambd), v),
		    op2(m, NPU_UOP_FSUB, v, k(m, bias)), k(m, 0));

	r = sel(m, less(m, v, -lambd), op2(m, NPU_UOP_FADD, v, k(m, bias)), r);
	return m->ints ? op1(m, m->traps ? NPU_UOP_F2IT : NPU_UOP_F2I,
			     op1(m, NPU_UOP_FTRUNC, r)) : r;
}
