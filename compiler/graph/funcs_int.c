/* SPDX-License-Identifier: MIT */
/* Functions of elements: comparisons, logic, integers, casts. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "kir/map.h"
#include "ops.h"

static int bits(struct nc_map *m, uint32_t value)
{
	return nc_map_bits(m, value);
}

static int op2(struct nc_map *m, enum npu_uop op, int a, int b)
{
	return nc_map_op(m, op, a, b, 0);
}

static int sel(struct nc_map *m, int condition, int yes, int no)
{
	return nc_map_op(m, NPU_UOP_SEL, condition, yes, no);
}

/* A micro-op's mask as 0 or 1. */
static int truth(struct nc_map *m, int mask)
{
	return op2(m, NPU_UOP_IAND, mask, bits(m, 1));
}

static int untruth(struct nc_map *m, int mask)
{
	return op2(m, NPU_UOP_IADD, mask, bits(m, 1));
}

int nc_emit_compare(struct nc_map *m, const struct nc_node *n, const int *x)
{
	enum npu_uop less = nc_uop_for(m, NPU_UOP_FLT);

	switch ((enum nc_compare)n->op->arg) {
	case NC_EQUAL:
		return truth(m, op2(m, nc_uop_for(m, NPU_UOP_FEQ), x[0], x[1]));
	case NC_LESS:
		return truth(m, op2(m, less, x[0], x[1]));
	case NC_GREATER:
		return truth(m, op2(m, less, x[1], x[0]));
	case NC_LESS_EQUAL:
		if (m->ints)
			return untruth(m, op2(m, less, x[1], x[0]));
		return truth(m, op2(m, NPU_UOP_FLE, x[0], x[1]));
	case NC_GREATER_EQUAL:
		if (m->ints)
			return untruth(m, op2(m, less, x[0], x[1]));
		return truth(m, op2(m, NPU_UOP_FLE, x[1], x[0]));
	}
	return -EINVAL;
}

int nc_emit_logic(struct nc_map *m, const struct nc_node *n, const int *x)
{
	return op2(m, (enum npu_uop)n->op->arg, x[0], x[1]);
}

int nc_emit_not(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return op2(m, NPU_UOP_IXOR, x[0], bits(m, m->to_bool ? 1 : UINT32_MAX));
}

int nc_emit_where(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return sel(m, x[0], x[1], x[2]);
}

int nc_emit_random_bits(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return nc_map_op(m, NPU_UOP_RNG, x[0], x[1], x[2]);
}

int nc_emit_is_nan(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return untruth(m, op2(m, NPU_UOP_FEQ, x[0], x[0]));
}

int nc_emit_is_inf(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int plus = op2(m, NPU_UOP_FEQ, x[0], nc_map_float(m, INFINITY));
	int minus = op2(m, NPU_UOP_FEQ, x[0], nc_map_float(m, -INFINITY));

	if (!nc_attr(n, "detect_positive")->i)
		plus = bits(m, 0);
	if (!nc_attr(n, "detect_negative")->i)
		minus = bits(m, 0);
	return truth(m, op2(m, NPU_UOP_IOR, plus, minus));
}

/* Shifts by 32 and more give 0, as if bit by bit. */
int nc_emit_bit_shift(struct nc_map *m, const struct nc_node *n, const int *x)
{
	const char *direction = nc_attr(n, "direction")->s;
	enum npu_uop op = !strcmp(direction, "LEFT") ? NPU_UOP_ISHL : NPU_UOP_ISHR;
	int small = op2(m, NPU_UOP_ILT, x[1], bits(m, 32));

	if (op == NPU_UOP_ISHR && strcmp(direction, "RIGHT"))
		return -EINVAL;
	return op2(m, NPU_UOP_IAND, op2(m, op, x[0], x[1]), small);
}

/*
 * fmod of floats from the quotient: exact while that is below 2^24, where one
 * step too far is taken back.
 */
static int float_mod(struct nc_map *m, int a, int b)
{
	int size = nc_map_op(m, NPU_UOP_FABS, b, 0, 0);
	int whole = nc_map_op(m, NPU_UOP_FABS, a, 0, 0);
	int q = nc_map_op(m, NPU_UOP_FTRUNC, op2(m, NPU_UOP_FDIV, whole, size), 0, 0);
	int r = nc_map_op(m, NPU_UOP_FMA, nc_map_op(m, NPU_UOP_FNEG, q, 0, 0), size, whole);
	int sign = op2(m, NPU_UOP_IAND, a, bits(m, 0x80000000));

	r = sel(m, op2(m, NPU_UOP_FLT, r, nc_map_float(m, 0)), op2(m, NPU_UOP_FADD, r, size), r);
	r = sel(m, op2(m, NPU_UOP_FLE, size, r), op2(m, NPU_UOP_FSUB, r, size), r);
	/* Of an infinite divisor the dividend is left. */
	r = sel(m, op2(m, NPU_UOP_FLT, whole, size), whole, r);
	return op2(m, NPU_UOP_IOR, r, sign);
}

int nc_emit_mod(struct nc_map *m, const struct nc_node *n, const int *x)
{
	bool fmod = nc_attr(n, "fmod")->i;
	int r, wrong;

	if (!m->ints)
		return fmod ? float_mod(m, x[0], x[1]) : -EINVAL;
	r = op2(m, NPU_UOP_IREM, x[0], x[1]);
	if (fmod)
		return r;
	/* The sign of the divisor. */
	wrong = op2(m, NPU_UOP_ILT, op2(m, NPU_UOP_IXOR, r, x[1]), bits(m, 0));
	wrong = sel(m, r, wrong, bits(m, 0));
	return op2(m, NPU_UOP_IADD, r, op2(m, NPU_UOP_IAND, wrong, x[1]));
}

int nc_emit_cast(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	if (m->to_bool) {
		if (m->ints)
			return sel(m, x[0], bits(m, 1), bits(m, 0));
		return untruth(m, op2(m, NPU_UOP_FEQ, x[0], nc_map_float(m, 0)));
	}
	if (m->ints == m->to_ints)
		return nc_map_op(m, NPU_UOP_MOV, x[0], 0, 0);
	if (m->ints)
		return nc_map_op(m, NPU_UOP_I2F, x[0], 0, 0);
	return nc_map_op(m, m->traps ? NPU_UOP_F2IT : NPU_UOP_F2I,
			 nc_map_op(m, NPU_UOP_FTRUNC, x[0], 0, 0), 0, 0);
}
