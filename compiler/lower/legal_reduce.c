/* SPDX-License-Identifier: MIT */
/* Reductions, and what is made of them: softmax and global pooling. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "legal.h"
#include "graph/ops.h"
#include "graph/shape.h"

static int temp_like(struct nc_legal *l, const struct nc_view *v, struct nc_view *temp)
{
	return nc_legal_temp(l, kir_dtype(l->k->tensor[v->tensor].dtype), v->rank, v->dim, NULL,
			     temp);
}

/* How an operator is built around a reduction. */
struct recipe {
	enum npu_rop rop;
	bool abs;	/* of the elements first */
	bool mean;	/* divide by their number */
	bool sqrt, log;	/* of the result */
};

static const struct recipe recipes[] = {
	[NPU_REDUCE_SUM] = { .rop = NPU_ROP_SUM },
	[NPU_REDUCE_MEAN] = { .rop = NPU_ROP_SUM, .mean = true },
	[NPU_REDUCE_MAX] = { .rop = NPU_ROP_MAX },
	[NPU_REDUCE_MIN] = { .rop = NPU_ROP_MIN },
	[NPU_REDUCE_PROD] = { .rop = NPU_ROP_PROD },
	[NPU_REDUCE_L1] = { .rop = NPU_ROP_SUM, .abs = true },
	[NPU_REDUCE_L2] = { .rop = NPU_ROP_SUMSQ, .sqrt = true },
	[NPU_REDUCE_SUM_SQUARE] = { .rop = NPU_ROP_SUMSQ },
	[NPU_REDUCE_LOG_SUM] = { .rop = NPU_ROP_SUM, .log = true },
};

static int64_t reduced_elems(const struct nc_view *in, unsigned int axes)
{
	int64_t elems = 1;

	for (unsigned int i = 0; i < in->rank; i++)
		if (axes >> i & 1)
			elems *= in->dim[i];
	return elems;
}

/* out = sum / count. Multiplication is exact for powers of two only. */
static int divide(struct nc_legal *l, const struct nc_node *n, int64_t count,
		  const struct nc_view *sum, const struct nc_view *out)
{
	bool ints = kir_dtype(l->k->tensor[out->tensor].dtype) != NPU_F32;
	bool power = !(count & (count - 1));
	struct nc_loop lp;
	int r;

	nc_loop_init(&lp, out->rank, out->dim);
	if (ints)
		r = nc_map_op(&lp.m, NPU_UOP_IDIV, nc_loop_load(&lp, sum),
			      nc_map_bits(&lp.m, (uint32_t)count), 0);
	else
		r = nc_map_op(&lp.m, power ? NPU_UOP_FMUL : NPU_UOP_FDIV, nc_loop_load(&lp, sum),
			      nc_map_float(&lp.m, power ? 1 / (float)count : (float)count), 0);
	r = nc_loop_store(&lp, out, r);
	return r ? r : nc_loop_emit(l, n, &lp);
}

static int absolute(struct nc_legal *l, const struct nc_node *n, const struct nc_view *in,
		    const struct nc_view *out)
{
	struct nc_loop lp;
	int r;

	if (kir_dtype(l->k->tensor[in->tensor].dtype) == NPU_F32)
		return nc_legal_unary(l, n, NPU_UOP_FABS, in, out);
	nc_loop_init(&lp, out->rank, out->dim);
	r = nc_loop_load(&lp, in);
	r = nc_map_op(&lp.m, NPU_UOP_IMAX, r,
		      nc_map_op(&lp.m, l->traps ? NPU_UOP_ISUBT : NPU_UOP_ISUB,
				nc_map_bits(&lp.m, 0), r, 0), 0);
	r = nc_loop_store(&lp, out, r);
	return r ? r : nc_loop_emit(l, n, &lp);
}

/*
 * @from is @in, but with nothing except zeroes where one is among the factors: their
 * product is zero even if that of the others does not fit. Without a zero no partial
 * product is larger than the whole.
 */
static int zero_products(struct nc_legal *l, const struct nc_node *n, unsigned int axes,
			 const struct nc_view *in, const struct nc_view *out,
			 struct nc_view *from)
{
	struct nc_view zeroes, any;
	struct nc_loop lp;
	int r, ret = temp_like(l, in, &zeroes);

	ret = ret ? ret : temp_like(l, out, &any);
	ret = ret ? ret : temp_like(l, in, from);
	if (ret)
		return ret;
	nc_loop_init(&lp, in->rank, in->dim);
	r = nc_map_op(&lp.m, NPU_UOP_IEQ, nc_loop_load(&lp, in), nc_map_bits(&lp.m, 0), 0);
	ret = nc_loop_store(&lp, &zeroes, r);
	ret = ret ? ret : nc_loop_emit(l, n, &lp);
	/* What is equal is -1. */
	ret = ret ? ret : nc_legal_reduce(l, n, NPU_ROP_MIN, axes, &zeroes, &any);
	if (ret)
		return ret;
	nc_loop_init(&lp, in->rank, in->dim);
	r = nc_loop_load(&lp, &any);
	r = nc_map_op(&lp.m, NPU_UOP_SEL, r, nc_map_bits(&lp.m, 0), nc_loop_load(&lp, in));
	ret = nc_loop_store(&lp, from, r);
	return ret ? ret : nc_loop_emit(l, n, &lp);
}

static int reduce_by(struct nc_legal *l, const struct nc_node *n, const struct recipe *r,
		     unsigned int axes, const struct nc_view *in, const struct nc_view *out)
{
	bool after = r->mean || r->sqrt || r->log;
	struct nc_view from = *in, to = *out;
	int ret = 0;

	if (r->abs) {
		ret = temp_like(l, in, &from);
		ret = ret ? ret : absolute(l, n, in, &from);
	}
	if (!ret && r->rop == NPU_ROP_PROD && l->traps)
		ret = zero_products(l, n, axes, in, out, &from);
	if (!ret && after)
		ret = temp_like(l, out, &to);
	ret = ret ? ret : nc_legal_reduce(l, n, r->rop, axes, &from, &to);
	if (ret || !after)
		return ret;
	if (r->mean)
		return divide(l, n, reduced_elems(in, axes), &to, out);
	return nc_legal_unary(l, n, r->sqrt ? NPU_UOP_FSQRT : NPU_UOP_LOG, &to, out);
}

/* e^(in - shift) into @out. */
static int exp_shifted(struct nc_legal *l, const struct nc_node *n, const struct nc_view *in,
		       const struct nc_view *shift, const struct nc_view *out)
{
	struct nc_loop lp;
	int r;

	nc_loop_init(&lp, in->rank, in->dim);
	r = nc_map_op(&lp.m, NPU_UOP_FSUB, nc_loop_load(&lp, in), nc_loop_load(&lp, shift), 0);
	r = nc_loop_store(&lp, out, nc_map_op(&lp.m, NPU_UOP_EXP, r, 0, 0));
	return r ? r : nc_loop_emit(l, n, &lp);
}

/* max + log(sum e^(x - max)); an infinite maximum is not subtracted. */
static int log_sum_exp(struct nc_legal *l, const struct nc_node *n, unsigned int axes,
		       const struct nc_view *in, const struct nc_view *out)
{
	struct nc_view max, shift, e, sum;
	struct nc_loop lp;
	int r, ret;

	ret = temp_like(l, out, &max);
	ret = ret ? ret : temp_like(l, out, &shift);
	ret = ret ? ret : temp_like(l, in, &e);
	ret = ret ? ret : temp_like(l, out, &sum);
	ret = ret ? ret : nc_legal_reduce(l, n, NPU_ROP_MAX, axes, in, &max);
	if (ret)
		return ret;
	nc_loop_init(&lp, out->rank, out->dim);
	r = nc_loop_load(&lp, &max);
	r = nc_map_op(&lp.m, NPU_UOP_SEL,
		      nc_map_op(&lp.m, NPU_UOP_FEQ, nc_map_op(&lp.m, NPU_UOP_FABS, r, 0, 0),
				nc_map_float(&lp.m, INFINITY), 0),
		      nc_map_float(&lp.m, 0), r);
	ret = nc_loop_store(&lp, &shift, r);
	ret = ret ? ret : nc_loop_emit(l, n, &lp);
	ret = ret ? ret : exp_shifted(l, n, in, &shift, &e);
	ret = ret ? ret : nc_legal_reduce(l, n, NPU_ROP_SUM, axes, &e, &sum);
	if (ret)
		return ret;
	nc_loop_init(&lp, out->rank, out->dim);
	r = nc_map_op(&lp.m, NPU_UOP_LOG, nc_loop_load(&lp, &sum), 0, 0);
	r = nc_map_op(&lp.m, NPU_UOP_FADD, r, nc_loop_load(&lp, &shift), 0);
	r = nc_loop_store(&lp, out, r);
	return r ? r : nc_loop_emit(l, n, &lp);
}

/* The value of a reduction over nothing. */
static float empty_value(int arg)
{
	switch (arg) {
	case NPU_REDUCE_PROD:
		return 1;
	case NPU_REDUCE_MEAN:
		return NAN;
	case NPU_REDUCE_MAX:
	case NPU_REDUCE_LOG_SUM:
	case NPU_REDUCE_LOG_SUM_EXP:
		return -INFINITY;
	case NPU_REDUCE_MIN:
		return INFINITY;
	default:
		return 0;
	}
}

/* The value of a reduction over nothing, as the device computes @dtype. */
static uint32_t empty_bits(int arg, enum npu_graph_dtype dtype)
{
	float value = empty_value(arg);
	bool wide = dtype == NPU_GRAPH_I32 || dtype == NPU_GRAPH_I64;
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	if (nc_dtype_class(dtype) == NC_CLASS_FLOAT)
		return bits;
	if (arg == NPU_REDUCE_MAX)
		return wide ? INT32_MIN : dtype == NPU_GRAPH_I8 ? (uint32_t)INT8_MIN :
		       dtype == NPU_GRAPH_I16 ? (uint32_t)INT16_MIN : 0;
	if (arg == NPU_REDUCE_MIN)
		return wide ? INT32_MAX : dtype == NPU_GRAPH_I8 ? INT8_MAX :
		       dtype == NPU_GRAPH_I16 ? INT16_MAX : dtype == NPU_GRAPH_U8 ? UINT8_MAX : 1;
	return arg == NPU_REDUCE_PROD;
}

int nc_lower_reduce(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(l->g, n, 0);
	int64_t keep_dim[NPU_GRAPH_RANK_MAX];
	struct nc_view in, out, keep;
	unsigned int axes;
	int ret = nc_reduce_axes(l->g, n, &axes);

	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (ret)
		return ret;
	if (!x->elems)
		return nc_legal_fill(l, n, empty_bits(n->op->arg, x->dtype), &out);
	ret = nc_legal_in_any(l, n, 0, &in);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < in.rank; i++)
		keep_dim[i] = axes >> i & 1 ? 1 : in.dim[i];
	/* Dimensions of 1 come back without a copy. */
	if (!nc_view_reshape(&out, in.rank, keep_dim, &keep))
		return nc_node_error(l->diag, n, -EINVAL, "its output has no such view");
	if (n->op->arg == NPU_REDUCE_LOG_SUM_EXP)
		return log_sum_exp(l, n, axes, &in, &keep);
	return reduce_by(l, n, &recipes[n->op->arg], axes, &in, &keep);
}

int nc_lower_global_pool(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_view in, out;
	int ret = nc_legal_in(l, n, 0, &in);

	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	return ret ? ret : reduce_by(l, n, &recipes[n->op->arg ? NPU_REDUCE_MEAN : NPU_REDUCE_MAX],
				     ((1u << in.rank) - 1) & ~3u, &in, &out);
}

/*
 * Softmax: e = exp(x - max), y = e / sum e. LogSoftmax: y = x - max - log sum e.
 * The results of the reductions have dimension 1 along the axis and broadcast.
 */
int nc_lower_softmax(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(l->g, n, 0);
	int axis = nc_axis(l->g, n, nc_attr(n, "axis")->i, x->rank);
	struct nc_view in, out, max, e, sum, small;
	struct nc_loop lp;
	int r, ret;

	if (axis < 0)
		return axis;
	ret = nc_legal_in(l, n, 0, &in);
	if (ret)
		return ret;
	small = in;
	small.dim[axis] = 1;
	ret = temp_like(l, &small, &max);
	ret = ret ? ret : temp_like(l, &small, &sum);
	ret = ret ? ret : nc_legal_temp(l, NPU_F32, in.rank, in.dim, l->val[n->out[0]].order, &e);
	ret = ret ? ret : nc_legal_reduce(l, n, NPU_ROP_MAX, 1u << axis, &in, &max);
	ret = ret ? ret : exp_shifted(l, n, &in, &max, &e);
	ret = ret ? ret : nc_legal_reduce(l, n, NPU_ROP_SUM, 1u << axis, &e, &sum);
	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (ret)
		return ret;
	nc_loop_init(&lp, in.rank, in.dim);
	if (n->op->code == NC_OP_Softmax) {
		r = nc_map_op(&lp.m, NPU_UOP_FDIV, nc_loop_load(&lp, &e),
			      nc_loop_load(&lp, &sum), 0);
	} else {
		r = nc_map_op(&lp.m, NPU_UOP_FSUB, nc_loop_load(&lp, &in),
			      nc_loop_load(&lp, &max), 0);
		r = nc_map_op(&lp.m, NPU_UOP_FSUB, r,
			      nc_map_op(&lp.m, NPU_UOP_LOG, nc_loop_load(&lp, &sum), 0, 0), 0);
	}
	r = nc_loop_store(&lp, &out, r);
	return r ? r : nc_loop_emit(l, n, &lp);
}
