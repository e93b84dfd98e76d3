/* SPDX-License-Identifier: MIT */
/*
 * Functions of elements as micro-programs. Used by the operators of that name,
 * by LSTM for its activations, and by constant folding.
 *
 * Each is written so that no intermediate overflows or cancels where the
 * result does not; errors below are in ulp of the result over those of the
 * device's functions (at most 2).
 */
#include <errno.h>
#include <math.h>
#include <string.h>

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

static float alpha(const struct nc_node *n)
{
	return nc_attr(n, "alpha")->f;
}

static float beta(const struct nc_node *n)
{
	return nc_attr(n, "beta")->f;
}

void nc_map_types(struct nc_map *m, enum npu_graph_dtype from, enum npu_graph_dtype to)
{
	m->ints = nc_dtype_class(from) != NC_CLASS_FLOAT;
	m->to_ints = nc_dtype_class(to) != NC_CLASS_FLOAT;
	m->to_bool = nc_dtype_class(to) == NC_CLASS_BOOL;
	m->traps = to == NPU_GRAPH_I64;
}

enum npu_uop nc_uop_for(const struct nc_map *m, enum npu_uop op)
{
	if (!m->ints)
		return op;
	switch (op) {
	case NPU_UOP_FADD: return m->traps ? NPU_UOP_IADDT : NPU_UOP_IADD;
	case NPU_UOP_FSUB: return m->traps ? NPU_UOP_ISUBT : NPU_UOP_ISUB;
	case NPU_UOP_FMUL: return m->traps ? NPU_UOP_IMULT : NPU_UOP_IMUL;
	case NPU_UOP_FDIV: return m->traps ? NPU_UOP_IDIVT : NPU_UOP_IDIV;
	case NPU_UOP_FMIN: return NPU_UOP_IMIN;
	case NPU_UOP_FMAX: return NPU_UOP_IMAX;
	case NPU_UOP_FLT: return NPU_UOP_ILT;
	case NPU_UOP_FEQ: return NPU_UOP_IEQ;
	default: return op;
	}
}

static int int_unary(struct nc_map *m, enum npu_uop op, int x)
{
	int minus = op2(m, nc_uop_for(m, NPU_UOP_FSUB), nc_map_bits(m, 0), x);

	return op == NPU_UOP_FABS ? op2(m, NPU_UOP_IMAX, x, minus) : minus;
}

/* The micro-op that the operator's row names, over all inputs from the left. */
int nc_emit_uop(struct nc_map *m, const struct nc_node *n, const int *x)
{
	enum npu_uop op = nc_uop_for(m, (enum npu_uop)n->op->arg);
	int r = x[0];

	if (n->op->in_max == 1)
		return m->ints ? int_unary(m, op, r) : op1(m, op, r);
	for (uint32_t i = 1; i < n->ins; i++)
		r = op2(m, op, r, x[i]);
	return n->ins == 1 ? op1(m, NPU_UOP_MOV, r) : r;
}

int nc_emit_mean(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int r = x[0];

	for (uint32_t i = 1; i < n->ins; i++)
		r = op2(m, NPU_UOP_FADD, r, x[i]);
	return op2(m, NPU_UOP_FDIV, r, k(m, (float)n->ins));
}

int nc_emit_relu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return op2(m, nc_uop_for(m, NPU_UOP_FMAX), x[0], nc_map_bits(m, 0));
}

/* x < 0 ? slope x : x */
static int leaky(struct nc_map *m, int x, int slope)
{
	return op3(m, NPU_UOP_SEL, op2(m, nc_uop_for(m, NPU_UOP_FLT), x, nc_map_bits(m, 0)),
		   op2(m, nc_uop_for(m, NPU_UOP_FMUL), x, slope), x);
}

int nc_emit_leaky_relu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	float a = alpha(n);

	if (a > 0 && a <= 1)
		return op2(m, NPU_UOP_FMAX, x[0], op2(m, NPU_UOP_FMUL, x[0], k(m, a)));
	return leaky(m, x[0], k(m, a));
}

int nc_emit_prelu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return leaky(m, x[0], x[1]);
}

int nc_emit_relu_grad(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FLT, k(m, 0), x[1]), x[0], k(m, 0));
}

int nc_emit_clip(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int r = x[0];

	if (n->ins > 1 && n->in[1] != NC_NONE)
		r = op2(m, nc_uop_for(m, NPU_UOP_FMAX), r, x[1]);
	if (n->ins > 2 && n->in[2] != NC_NONE)
		r = op2(m, nc_uop_for(m, NPU_UOP_FMIN), r, x[2]);
	/* Without bounds the value itself, which must be computed. */
	return r == x[0] ? op1(m, NPU_UOP_MOV, r) : r;
}

/*
 * e^x - 1 for x <= 0 as 2 t / (1 - t), t = tanh(x / 2): relatively accurate
 * near 0, where exp(x) - 1 cancels. 0 for x > 0.
 */
static int expm1_negative(struct nc_map *m, int x)
{
	int t = op2(m, NPU_UOP_FMUL, op2(m, NPU_UOP_FMIN, x, k(m, 0)), k(m, 0.5f));

	t = op1(m, NPU_UOP_TANH, t);
	return op2(m, NPU_UOP_FDIV, op2(m, NPU_UOP_FADD, t, t),
		   op2(m, NPU_UOP_FSUB, k(m, 1), t));
}

int nc_emit_elu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	return op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FLT, x[0], k(m, 0)),
		   op2(m, NPU_UOP_FMUL, expm1_negative(m, x[0]), k(m, alpha(n))), x[0]);
}

/* max(x, 0) + min(0, alpha (e^(x / alpha) - 1)) */
int nc_emit_celu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int scaled = op2(m, NPU_UOP_FDIV, x[0], k(m, alpha(n)));
	int low = op2(m, NPU_UOP_FMUL, expm1_negative(m, scaled), k(m, alpha(n)));

	if (!(alpha(n) > 0))
		return -EINVAL;
	return op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FLT, x[0], k(m, 0)), low, x[0]);
}

/* x <= 0 takes the exponential's side, as ONNX says, also with odd gammas. */
int nc_emit_selu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	float gamma = nc_attr(n, "gamma")->f;
	int low = op2(m, NPU_UOP_FMUL, expm1_negative(m, x[0]), k(m, alpha(n)));
	int r = op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FLE, x[0], k(m, 0)), low, x[0]);

	return op2(m, NPU_UOP_FMUL, r, k(m, gamma));
}

int nc_emit_hard_sigmoid(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int r = op3(m, NPU_UOP_FMA, x[0], k(m, alpha(n)), k(m, beta(n)));

	return op2(m, NPU_UOP_FMAX, op2(m, NPU_UOP_FMIN, r, k(m, 1)), k(m, 0));
}

int nc_emit_hard_swish(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int r = op3(m, NPU_UOP_FMA, x[0], k(m, 1.0f / 6), k(m, 0.5f));

	(void)n;
	r = op2(m, NPU_UOP_FMAX, op2(m, NPU_UOP_FMIN, r, k(m, 1)), k(m, 0));
	return op2(m, NPU_UOP_FMUL, x[0], r);
}

int nc_emit_swish(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int s = op1(m, NPU_UOP_SIGMOID, op2(m, NPU_UOP_FMUL, x[0], k(m, alpha(n))));

	return op2(m, NPU_UOP_FMUL, x[0], s);
}

/*
 * log(1 + u), 0 <= u <= 1, as log(w) * (u / (w - 1)) with w = 1 + u rounded: the
 * factor takes back what the rounding of w lost. u itself where w is 1.
 */
static int log1p_unit(struct nc_map *m, int u)
{
	int w = op2(m, NPU_UOP_FADD, u, k(m, 1));
	int factor = op2(m, NPU_UOP_FDIV, u, op2(m, NPU_UOP_FSUB, w, k(m, 1)));
	int r = op2(m, NPU_UOP_FMUL, op1(m, NPU_UOP_LOG, w), factor);

	return op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FEQ, w, k(m, 1)), u, r);
}

/* max(x, 0) + log(1 + e^-|x|) */
static int softplus(struct nc_map *m, int x)
{
	int u = op1(m, NPU_UOP_EXP, op1(m, NPU_UOP_FNEG, op1(m, NPU_UOP_FABS, x)));

	return op2(m, NPU_UOP_FADD, op2(m, NPU_UOP_FMAX, x, k(m, 0)), log1p_unit(m, u));
}

int nc_emit_softplus(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return softplus(m, x[0]);
}

int nc_emit_mish(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return op2(m, NPU_UOP_FMUL, x[0], op1(m, NPU_UOP_TANH, softplus(m, x[0])));
}

int nc_emit_softsign(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return op2(m, NPU_UOP_FDIV, x[0],
		   op2(m, NPU_UOP_FADD, op1(m, NPU_UOP_FABS, x[0]), k(m, 1)));
}

int nc_emit_thresholded_relu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	/* NaN is not <= alpha and stays. */
	return op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FLE, x[0], k(m, alpha(n))), k(m, 0), x[0]);
}

int nc_emit_reciprocal(struct nc_map *m, const struct nc_node *n, const int *x)
{
	(void)n;
	return op2(m, NPU_UOP_FDIV, k(m, 1), x[0]);
}

/* 0 and NaN stay. */
int nc_emit_sign(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int r;

	(void)n;
	if (m->ints) {
		r = op2(m, NPU_UOP_IMAX, x[0], nc_map_bits(m, UINT32_MAX));
		return op2(m, NPU_UOP_IMIN, r, nc_map_bits(m, 1));
	}
	r = op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FLT, k(m, 0), x[0]), k(m, 1), x[0]);
	return op3(m, NPU_UOP_SEL, op2(m, NPU_UOP_FLT, x[0], k(m, 0)), k(m, -1), r);
}

int nc_emit_affine(struct nc_map *m, const struct nc_node *n, const int *x)
{
	return op3(m, NPU_UOP_FMA, x[0], k(m, alpha(n)), k(m, beta(n)));
}

int nc_emit_scaled_tanh(struct nc_map *m, const struct nc_node *n, const int *x)
{
	int t = op1(m, NPU_UOP_TANH, op2(m, NPU_UOP_FMUL, x[0], k(m, beta(n))));

	return op2(m, NPU_UOP_FMUL, t, k(m, alpha(n)));
}

/*
 * "none": 0.5 x (1 + erf(x / sqrt 2)), absolute error below 1.2e-7 |x|.
 * "tanh": 0.5 x (1 + tanh(z)) = x sigmoid(2 z), which does not cancel;
 * z = sqrt(2 / pi) (x + 0.044715 x^3).
 */
int nc_emit_gelu(struct nc_map *m, const struct nc_node *n, const int *x)
{
	const char *approximate = nc_attr(n, "approximate")->s;
	int r;

	if (!strcmp(approximate, "none")) {
		r = op1(m, NPU_UOP_ERF, op2(m, NPU_UOP_FMUL, x[0], k(m, (float)M_SQRT1_2)));
		return op2(m, NPU_UOP_FMUL, op2(m, NPU_UOP_FMUL, x[0], k(m, 0.5f)),
			   op2(m, NPU_UOP_FADD, r, k(m, 1)));
	}
	if (strcmp(approximate, "tanh"))
		return -EINVAL;
	r = op2(m, NPU_UOP_FMUL, x[0], x[0]);
	r = op3(m, NPU_UOP_FMA, r, k(m, 0.044715f), k(m, 1));
	r = op2(m, NPU_UOP_FMUL, r, k(m, (float)(2 * M_2_SQRTPI * M_SQRT1_2)));
	return op2(m, NPU_UOP_FMUL, x[0],
		   op1(m, NPU_UOP_SIGMOID, op2(m, NPU_UOP_FMUL, r, x[0])));
}
