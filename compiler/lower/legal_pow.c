/* SPDX-License-Identifier: MIT */
/* Pow. */
#include <errno.h>
#include <math.h>

#include "legal.h"
#include "graph/ops.h"

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

static int k(struct nc_map *m, float value)
{
	return nc_map_float(m, value);
}

static int bits(struct nc_map *m, uint32_t value)
{
	return nc_map_bits(m, value);
}

static int sel(struct nc_map *m, int cond, int yes, int no)
{
	return op3(m, NPU_UOP_SEL, cond, yes, no);
}

/*
 * log2 |x| as an unevaluated sum hi + lo with a relative error near 2^-30.
 * |x| = m 2^e with m in [sqrt 1/2, sqrt 2); log m = 2 atanh(s), s = (m - 1) /
 * (m + 1), whose first term is carried in two parts.
 */
static void log2_parts(struct nc_map *m, int x, int *hi, int *lo)
{
	const double scale = 2 / M_LN2;
	const float scale_hi = (float)scale, scale_lo = (float)(scale - scale_hi);
	const uint32_t root = 0x3f3504f3;	/* sqrt 1/2 */
	int ax = op1(m, NPU_UOP_FABS, x);
	int tiny = op2(m, NPU_UOP_FLT, ax, k(m, 0x1p-126f));
	int word, e, mant, f, d, d_lo, s, s_lo, z, tail, t;

	word = sel(m, tiny, op2(m, NPU_UOP_FMUL, ax, k(m, 0x1p24f)), ax);
	word = op2(m, NPU_UOP_IADD, word, bits(m, 0x3f800000 - root));
	e = op2(m, NPU_UOP_ISUB, op2(m, NPU_UOP_ISHR, word, bits(m, 23)), bits(m, 127));
	e = op2(m, NPU_UOP_FSUB, op1(m, NPU_UOP_I2F, e), sel(m, tiny, k(m, 24), k(m, 0)));
	mant = op2(m, NPU_UOP_IAND, word, bits(m, 0x7fffff));
	mant = op2(m, NPU_UOP_IADD, mant, bits(m, root));

	f = op2(m, NPU_UOP_FSUB, mant, k(m, 1));
	d = op2(m, NPU_UOP_FADD, mant, k(m, 1));
	d_lo = op2(m, NPU_UOP_FSUB, mant, op2(m, NPU_UOP_FSUB, d, k(m, 1)));
	s = op2(m, NPU_UOP_FDIV, f, d);
	t = op1(m, NPU_UOP_FNEG, s);
	s_lo = op3(m, NPU_UOP_FMA, t, d, f);
	s_lo = op3(m, NPU_UOP_FMA, t, d_lo, s_lo);
	s_lo = op2(m, NPU_UOP_FDIV, s_lo, d);
	z = op2(m, NPU_UOP_FMUL, s, s);
	tail = op3(m, NPU_UOP_FMA, z, k(m, 1.0f / 11), k(m, 1.0f / 9));
	tail = op3(m, NPU_UOP_FMA, z, tail, k(m, 1.0f / 7));
	tail = op3(m, NPU_UOP_FMA, z, tail, k(m, 1.0f / 5));
	tail = op3(m, NPU_UOP_FMA, z, tail, k(m, 1.0f / 3));
	tail = op2(m, NPU_UOP_FMUL, z, tail);
	s_lo = op3(m, NPU_UOP_FMA, s, tail, s_lo);

	t = op2(m, NPU_UOP_FMUL, s, k(m, scale_hi));
	*lo = op3(m, NPU_UOP_FMA, s, k(m, scale_hi), op1(m, NPU_UOP_FNEG, t));
	*lo = op3(m, NPU_UOP_FMA, s, k(m, scale_lo), *lo);
	*lo = op3(m, NPU_UOP_FMA, s_lo, k(m, scale_hi), *lo);
	*hi = op2(m, NPU_UOP_FADD, e, t);
	*lo = op2(m, NPU_UOP_FADD, *lo,
		  op2(m, NPU_UOP_FSUB, t, op2(m, NPU_UOP_FSUB, *hi, e)));
	*hi = sel(m, op2(m, NPU_UOP_FEQ, ax, k(m, 0)), k(m, -INFINITY), *hi);
	*hi = sel(m, op2(m, NPU_UOP_FEQ, ax, k(m, INFINITY)), k(m, INFINITY), *hi);
}

/*
 * x^y from log2 |x|: 2^(y log2 |x|), split into 2^n and a rest below 1/2, with
 * the sign and the special cases of C's pow(), except that a negative infinite
 * x with a fractional y gives NaN. At most 4 ulp.
 */
static int pow_parts(struct nc_map *m, int x, int y, int hi, int lo)
{
	/* |x| is 1: 1, also for an infinite exponent. */
	int e = sel(m, op2(m, NPU_UOP_FEQ, hi, k(m, 0)), k(m, 0), y);
	int p = op2(m, NPU_UOP_FMUL, e, hi);
	int p_lo = op3(m, NPU_UOP_FMA, e, hi, op1(m, NPU_UOP_FNEG, p));
	int n, r, half, whole, odd, sign;

	p_lo = op3(m, NPU_UOP_FMA, e, lo, p_lo);
	p_lo = sel(m, op2(m, NPU_UOP_FLT, op1(m, NPU_UOP_FABS, p), k(m, 200)), p_lo, k(m, 0));
	p = op2(m, NPU_UOP_FMIN, op2(m, NPU_UOP_FMAX, p, k(m, -200)), k(m, 200));
	n = op1(m, NPU_UOP_FRINT, p);
	r = op2(m, NPU_UOP_FADD, op2(m, NPU_UOP_FSUB, p, n), p_lo);
	r = op1(m, NPU_UOP_EXP, op2(m, NPU_UOP_FMUL, r, k(m, (float)M_LN2)));
	n = op1(m, NPU_UOP_F2I, n);
	half = op2(m, NPU_UOP_ISAR, n, bits(m, 1));
	n = op2(m, NPU_UOP_ISUB, n, half);
	half = op2(m, NPU_UOP_ISHL, op2(m, NPU_UOP_IADD, half, bits(m, 127)), bits(m, 23));
	n = op2(m, NPU_UOP_ISHL, op2(m, NPU_UOP_IADD, n, bits(m, 127)), bits(m, 23));
	r = op2(m, NPU_UOP_FMUL, op2(m, NPU_UOP_FMUL, r, half), n);

	whole = op2(m, NPU_UOP_FEQ, op1(m, NPU_UOP_FRINT, y), y);
	half = op2(m, NPU_UOP_FMUL, y, k(m, 0.5f));
	odd = sel(m, op2(m, NPU_UOP_FEQ, op1(m, NPU_UOP_FRINT, half), half), bits(m, 0), whole);
	sign = op2(m, NPU_UOP_IAND, x, op2(m, NPU_UOP_IAND, odd, bits(m, 0x80000000)));
	r = op2(m, NPU_UOP_IOR, r, sign);
	r = sel(m, op2(m, NPU_UOP_FLT, x, k(m, 0)), sel(m, whole, r, k(m, NAN)), r);
	r = sel(m, op2(m, NPU_UOP_FEQ, x, x), r, x);
	return sel(m, op2(m, NPU_UOP_FEQ, y, k(m, 0)), k(m, 1), r);
}

/* The whole function in one program: for folding of floats; too long for the device. */
int nc_emit_pow(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int hi, lo;

	(void)n;
	log2_parts(m, x[0], &hi, &lo);
	return pow_parts(m, x[0], x[1], hi, lo);
}

/* x^y by squaring for a small whole y, by the square root for 1/2; else -EDOM. */
static int pow_constant(struct nc_map *m, int x, float y)
{
	enum npu_uop mul = nc_uop_for(m, NPU_UOP_FMUL);
	int square = x, r = -1;
	unsigned int left;

	if (y == 0.5f && !m->ints)
		return op1(m, NPU_UOP_FSQRT, x);
	if (y != truncf(y) || fabsf(y) > 8 || (m->ints && y < 0))
		return -EDOM;
	left = (unsigned int)fabsf(y);
	if (!left)
		return op1(m, NPU_UOP_MOV, m->ints ? bits(m, 1) : k(m, 1));
	for (; left; left >>= 1) {
		if (left & 1)
			r = r < 0 ? square : op2(m, mul, r, square);
		if (left > 1)
			square = op2(m, mul, square, square);
	}
	if (y < 0)
		return op2(m, NPU_UOP_FDIV, k(m, 1), r);
	return r == x ? op1(m, NPU_UOP_MOV, r) : r;
}

/* Input @i as an fp32 value. */
static int load_float(struct nc_legal *l, const struct nc_node *n, uint32_t i,
		      struct nc_loop *lp)
{
	bool ints = nc_dtype_class(nc_in(l->g, n, i)->dtype) != NC_CLASS_FLOAT;
	float scalar;
	int r;

	if (nc_legal_scalar(l, n, i, &scalar))
		return k(&lp->m, scalar);
	r = nc_legal_load(l, n, i, lp);
	return ints ? op1(&lp->m, NPU_UOP_I2F, r) : r;
}

/* Two maps: log2 of the base, over its own shape, and the rest. */
static int pow_general(struct nc_legal *l, const struct nc_node *n, struct nc_loop *lp)
{
	const struct nc_tensor *x = nc_in(l->g, n, 0);
	struct nc_view hi, lo;
	struct nc_loop first;
	int r, r_lo, ret;

	ret = nc_legal_temp(l, NPU_F32, x->rank, x->dim, NULL, &hi);
	ret = ret ? ret : nc_legal_temp(l, NPU_F32, x->rank, x->dim, NULL, &lo);
	if (ret)
		return ret;
	nc_loop_init(&first, x->rank, x->dim);
	log2_parts(&first.m, load_float(l, n, 0, &first), &r, &r_lo);
	ret = nc_loop_store(&first, &hi, r);
	ret = ret ? ret : nc_loop_store(&first, &lo, r_lo);
	ret = ret ? ret : nc_loop_emit(l, n, &first);
	if (ret)
		return ret;
	r = load_float(l, n, 1, lp);
	return r < 0 ? r : pow_parts(&lp->m, load_float(l, n, 0, lp), r, nc_loop_load(lp, &hi),
				     nc_loop_load(lp, &lo));
}

/*
 * x^y of integers modulo 2^32 by squaring. Where |x| > 1 and y >= 32 no integer
 * holds the result; for the others a y of the same parity gives the same. With
 * y < 0 it is 0 unless x is 1 or -1.
 */
static int wrapping_power(struct nc_map *m, int x, int y)
{
	int large = op2(m, NPU_UOP_IAND, y, bits(m, ~31u));
	int small = op2(m, NPU_UOP_IADD, op2(m, NPU_UOP_IAND, y, bits(m, 1)), bits(m, 30));
	int unit = op2(m, NPU_UOP_IEQ, op2(m, NPU_UOP_IMUL, x, x), bits(m, 1));
	int square = x, r = bits(m, 1);

	small = sel(m, large, small, y);
	for (uint32_t bit = 1; bit <= 16; bit *= 2) {
		r = sel(m, op2(m, NPU_UOP_IAND, small, bits(m, bit)),
			op2(m, NPU_UOP_IMUL, r, square), r);
		square = op2(m, NPU_UOP_IMUL, square, square);
	}
	return sel(m, op2(m, NPU_UOP_ILT, y, bits(m, 0)), op2(m, NPU_UOP_IAND, r, unit), r);
}

/*
 * The same where overflow must fault, and nothing else may: what does not go
 * into the result is kept at 1.
 */
static int trapping_power(struct nc_map *m, int x, int y)
{
	int one = bits(m, 1);
	int unit = op2(m, NPU_UOP_IOR, op2(m, NPU_UOP_IEQ, x, one),
		       op2(m, NPU_UOP_IEQ, x, bits(m, UINT32_MAX)));
	int large = op2(m, NPU_UOP_ILT, bits(m, 31), y);
	int small = op2(m, NPU_UOP_IAND, y, bits(m, 31));
	int square, r;

	/* Units and 0 care for the parity only, and for whether there is an exponent. */
	small = sel(m, small, small, sel(m, y, bits(m, 2), bits(m, 0)));
	/* 1 / x is 0 but for a unit, and so are the powers of 0. */
	square = sel(m, op2(m, NPU_UOP_ILT, y, bits(m, 0)), op2(m, NPU_UOP_IAND, x, unit), x);
	/* Of all others, powers of 32 and more overflow at once. */
	large = sel(m, large, sel(m, op2(m, NPU_UOP_IOR, unit, op2(m, NPU_UOP_IEQ, x, bits(m, 0))),
				  one, bits(m, 0x10000)), one);
	r = op2(m, NPU_UOP_IMULT, large, large);
	for (uint32_t bit = 1; bit <= 16; bit *= 2) {
		r = op2(m, NPU_UOP_IMULT, r, sel(m, op2(m, NPU_UOP_IAND, small, bits(m, bit)),
						 square, one));
		if (bit == 16)
			break;
		square = sel(m, op2(m, NPU_UOP_IAND, small, bits(m, 31 & ~(2 * bit - 1))), square,
			     one);
		square = op2(m, NPU_UOP_IMULT, square, square);
	}
	return r;
}

/* @r towards 0 as an integer, unless it is one but for the error of pow_parts(). */
static int to_integer(struct nc_map *m, int r)
{
	int near = op1(m, NPU_UOP_FRINT, r);
	int off = op1(m, NPU_UOP_FABS, op2(m, NPU_UOP_FSUB, r, near));
	int close = op2(m, NPU_UOP_FLE, off,
			op2(m, NPU_UOP_FMUL, op1(m, NPU_UOP_FABS, r), k(m, 0x1p-21f)));

	return op1(m, m->traps ? NPU_UOP_F2IT : NPU_UOP_F2I,
		   sel(m, close, near, op1(m, NPU_UOP_FTRUNC, r)));
}

static int power(struct nc_map *m, int x, int y)
{
	return m->traps ? trapping_power(m, x, y) : wrapping_power(m, x, y);
}

/* Integers to the power of floats: fractions through fp32, whole ones exactly. */
static int int_power(struct nc_legal *l, const struct nc_node *n, struct nc_loop *lp)
{
	struct nc_map *m = &lp->m;
	struct nc_view broken;
	struct nc_loop first;
	int y, whole, ret;

	if (nc_dtype_class(nc_in(l->g, n, 1)->dtype) != NC_CLASS_FLOAT)
		return power(m, nc_legal_load(l, n, 0, lp), nc_legal_load(l, n, 1, lp));
	ret = nc_legal_temp(l, NPU_I32, lp->rank, lp->dim, NULL, &broken);
	if (ret)
		return ret;
	nc_loop_init(&first, lp->rank, lp->dim);
	first.m.traps = m->traps;
	ret = nc_loop_store(&first, &broken, to_integer(&first.m, pow_general(l, n, &first)));
	ret = ret ? ret : nc_loop_emit(l, n, &first);
	if (ret)
		return ret;
	y = nc_legal_load(l, n, 1, lp);
	whole = op2(m, NPU_UOP_FEQ, op1(m, NPU_UOP_FRINT, y), y);
	y = op1(m, NPU_UOP_F2I, sel(m, whole, y, bits(m, 0)));
	return sel(m, whole, power(m, nc_legal_load(l, n, 0, lp), y), nc_loop_load(lp, &broken));
}

int nc_lower_pow(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *y = nc_out(l->g, n, 0);
	struct nc_view out;
	struct nc_loop lp;
	float exponent;
	int r = -EDOM, ret;

	nc_loop_init(&lp, y->rank, y->dim);
	nc_map_types(&lp.m, y->dtype, y->dtype);
	if (nc_legal_scalar(l, n, 1, &exponent))
		r = pow_constant(&lp.m, nc_legal_load(l, n, 0, &lp), exponent);
	if (r == -EDOM)
		r = lp.m.ints ? int_power(l, n, &lp) : pow_general(l, n, &lp);
	r = nc_legal_narrow(&lp.m, y->dtype, r);
	if (r < 0)
		return nc_legal_too_long(l, n, r);
	ret = nc_legal_out(l, n, 0, &out);
	ret = ret ? ret : nc_loop_store(&lp, &out, r);
	ret = ret ? ret : nc_loop_emit(l, n, &lp);
	return nc_legal_too_long(l, n, ret);
}
