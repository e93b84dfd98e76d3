/* SPDX-License-Identifier: MIT */
/*
 * The naive operator oracle: what the ONNX operator specification says, in
 * plain loops over dense row-major fp32 tensors. It shares nothing with the
 * stack it judges. Every result is computed in double and rounded to fp32
 * once, so it stands for the true value and is compared with a tolerance.
 *
 * Rules that hold for every function here:
 * - The return value is 0, -EINVAL (the arguments make no sense) or -ENOMEM.
 * - An output tensor is overwritten, never freed first; on success the caller
 *   owns its data (ref_tensor_free), on error data is NULL.
 * - An output must not be the same struct as an input.
 * - A NULL optional tensor or array means "input not given".
 * - NaN goes through Min, Max, Relu, Clip and the maximum in MaxPool.
 */
#ifndef REF_H
#define REF_H

#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REF_MAX_RANK 8
#define REF_MAX_SPATIAL 3

/* Rank 0 is a scalar of one element; a dimension of 0 makes no elements. */
struct ref_tensor {
	int rank;
	int64_t dims[REF_MAX_RANK];
	float *data;
};

/* Zero-filled. */
int ref_tensor_alloc(struct ref_tensor *t, int rank, const int64_t *dims);
/* A copy of elems values in row-major order. */
int ref_tensor_from(struct ref_tensor *t, int rank, const int64_t *dims,
		    const float *values);
void ref_tensor_free(struct ref_tensor *t);
/* The number of elements, or -EINVAL for a rank or dimensions out of range. */
int64_t ref_tensor_elems(const struct ref_tensor *t);

/* One row per operator of one input: ONNX name, default alpha and beta. */
#define REF_UNARY_OPS(X)						\
	X(ABS, "Abs", 0, 0)						\
	X(ACOS, "Acos", 0, 0)						\
	X(ACOSH, "Acosh", 0, 0)						\
	X(AFFINE, "Affine", 1.0f, 0.0f)					\
	X(ASIN, "Asin", 0, 0)						\
	X(ASINH, "Asinh", 0, 0)						\
	X(ATAN, "Atan", 0, 0)						\
	X(ATANH, "Atanh", 0, 0)						\
	X(CEIL, "Ceil", 0, 0)						\
	X(CELU, "Celu", 1.0f, 0)					\
	X(CLIP, "Clip", -FLT_MAX, FLT_MAX)				\
	X(COS, "Cos", 0, 0)						\
	X(COSH, "Cosh", 0, 0)						\
	X(ELU, "Elu", 1.0f, 0)						\
	X(ERF, "Erf", 0, 0)						\
	X(EXP, "Exp", 0, 0)						\
	X(FLOOR, "Floor", 0, 0)						\
	X(GELU, "Gelu", 0, 0)						\
	X(GELU_TANH, "GeluTanh", 0, 0)					\
	X(HARD_SIGMOID, "HardSigmoid", 0.2f, 0.5f)			\
	X(HARD_SWISH, "HardSwish", 0, 0)				\
	X(IDENTITY, "Identity", 0, 0)					\
	X(LEAKY_RELU, "LeakyRelu", 0.01f, 0)				\
	X(LOG, "Log", 0, 0)						\
	X(MISH, "Mish", 0, 0)						\
	X(NEG, "Neg", 0, 0)						\
	X(NOT, "Not", 0, 0)						\
	X(RECIPROCAL, "Reciprocal", 0, 0)				\
	X(RELU, "Relu", 0, 0)						\
	X(ROUND, "Round", 0, 0)						\
	X(SCALED_TANH, "ScaledTanh", 1.0f, 1.0f)			\
	X(SELU, "Selu", 1.67326319217681884765625f,			\
	  1.05070102214813232421875f)					\
	X(SHRINK, "Shrink", 0.5f, 0.0f)					\
	X(SIGMOID, "Sigmoid", 0, 0)					\
	X(SIGN, "Sign", 0, 0)						\
	X(SIN, "Sin", 0, 0)						\
	X(SINH, "Sinh", 0, 0)						\
	X(SOFTPLUS, "Softplus", 0, 0)					\
	X(SOFTSIGN, "Softsign", 0, 0)					\
	X(SQRT, "Sqrt", 0, 0)						\
	X(TAN, "Tan", 0, 0)						\
	X(TANH, "Tanh", 0, 0)						\
	X(THRESHOLDED_RELU, "ThresholdedRelu", 1.0f, 0)

enum ref_unary_op {
#define REF_UNARY_ENUM(id, name, alpha, beta) REF_##id,
	REF_UNARY_OPS(REF_UNARY_ENUM)
#undef REF_UNARY_ENUM
	REF_UNARY_COUNT,
};

/*
 * alpha and beta mean what the operator's attributes of that name mean; Clip
 * takes them as (min, max), Selu as (alpha, gamma), Shrink as (lambd, bias).
 * An operator without such attributes ignores them.
 */
struct ref_unary_attr {
	float alpha;
	float beta;
};

/* NULL attr: the operator's defaults. */
int ref_unary(enum ref_unary_op op, const struct ref_unary_attr *attr,
	      const struct ref_tensor *x, struct ref_tensor *y);
/* The same for one value, unrounded. op must be valid, attr is required. */
double ref_unary_value(enum ref_unary_op op, const struct ref_unary_attr *attr,
		       double x);
/* From the ONNX operator name ("GeluTanh" is Gelu, approximate = "tanh"). */
int ref_unary_from_name(const char *name);
const char *ref_unary_name(enum ref_unary_op op);
int ref_unary_defaults(enum ref_unary_op op, struct ref_unary_attr *attr);

/* Logic operators take zero as false and give 0.0 or 1.0. */
#define REF_BINARY_OPS(X)						\
	X(ADD, "Add")							\
	X(SUB, "Sub")							\
	X(MUL, "Mul")							\
	X(DIV, "Div")							\
	X(MIN, "Min")							\
	X(MAX, "Max")							\
	X(POW, "Pow")							\
	X(PRELU, "PRelu")						\
	X(MOD, "Mod")							\
	X(FMOD, "Fmod")							\
	X(EQUAL, "Equal")						\
	X(LESS, "Less")							\
	X(LESS_OR_EQUAL, "LessOrEqual")					\
	X(GREATER, "Greater")						\
	X(GREATER_OR_EQUAL, "GreaterOrEqual")				\
	X(AND, "And")							\
	X(OR, "Or")							\
	X(XOR, "Xor")

enum ref_binary_op {
#define REF_BINARY_ENUM(id, name) REF_##id,
	REF_BINARY_OPS(REF_BINARY_ENUM)
#undef REF_BINARY_ENUM
	REF_BINARY_COUNT,
};

/* numpy broadcasting; PRelu's slope b must broadcast to the shape of a. */
int ref_binary(enum ref_binary_op op, const struct ref_tensor *a,
	       const struct ref_tensor *b, struct ref_tensor *y);
/* From the ONNX operator name ("Fmod" is Mod with fmod = 1). */
int ref_binary_from_name(const char *name);
const char *ref_binary_name(enum ref_binary_op op);

enum ref_variadic_op {
	REF_VARIADIC_SUM,
	REF_VARIADIC_MEAN,
	REF_VARIADIC_MAX,
	REF_VARIADIC_MIN,
	REF_VARIADIC_COUNT,
};

/* 1 to 64 inputs, broadcast against each other. */
int ref_variadic(enum ref_variadic_op op, const struct ref_tensor *const *xs,
		 int count, struct ref_tensor *y);
/* cond != 0 ? a : b, all three broadcast. */
int ref_where(const struct ref_tensor *cond, const struct ref_tensor *a,
	      const struct ref_tensor *b, struct ref_tensor *y);

enum ref_auto_pad {
	REF_PAD_NOTSET,
	REF_PAD_SAME_UPPER,
	REF_PAD_SAME_LOWER,
	REF_PAD_VALID,
};

/*
 * One, two or three spatial axes, in the tensor's order. A stride or dilation
 * of 0 stands for the default 1, negative is an error. kernel may be all 0 for
 * Conv (taken from w). pads is as in ONNX, begins then ends: for two axes
 * {top, left, bottom, right}; it must be 0 unless auto_pad is NOTSET.
 */
struct ref_window {
	enum ref_auto_pad auto_pad;
	int64_t kernel[REF_MAX_SPATIAL];
	int64_t strides[REF_MAX_SPATIAL];
	int64_t dilations[REF_MAX_SPATIAL];
	int64_t pads[2 * REF_MAX_SPATIAL];
};

/* x [n, c, spatial], w [m, c / groups, kernel], b [m] or NULL. groups 0 = 1. */
int ref_conv(const struct ref_window *win, int64_t groups,
	     const struct ref_tensor *x, const struct ref_tensor *w,
	     const struct ref_tensor *b, struct ref_tensor *y);

/*
 * x [n, c, spatial], w [c, m / groups, kernel], b [m] or NULL; pads are taken
 * off the output, extra (output_padding, or NULL) is added at its end. Only
 * explicit pads.
 */
int ref_conv_transpose(const struct ref_window *win, const int64_t *extra, int64_t groups,
		       const struct ref_tensor *x, const struct ref_tensor *w,
		       const struct ref_tensor *b, struct ref_tensor *y);

struct ref_pool {
	struct ref_window win;
	bool ceil_mode;
	bool count_include_pad; /* AveragePool */
	int storage_order;	/* MaxPool's indices: 0 row, 1 column major */
};

/*
 * A window without a single input element is -EINVAL: its value is not
 * defined. indices, when not NULL, receives a malloc'ed array as large as y;
 * the first of equal maxima wins.
 */
int ref_max_pool(const struct ref_pool *pool, const struct ref_tensor *x,
		 struct ref_tensor *y, int64_t **indices);
int ref_average_pool(const struct ref_pool *pool, const struct ref_tensor *x,
		     struct ref_tensor *y);
/* Any number of spatial axes; each becomes 1. */
int ref_global_max_pool(const struct ref_tensor *x, struct ref_tensor *y);
int ref_global_average_pool(const struct ref_tensor *x, struct ref_tensor *y);

/*
 * Gradient of ref_conv() in w, for x [n, c, spatial] and dy as y: dw [m, c /
 * groups, kernel]. The kernel is win's.
 */
int ref_conv_weight_grad(const struct ref_window *win, int64_t groups,
			 const struct ref_tensor *x, const struct ref_tensor *dy,
			 struct ref_tensor *dw);
/*
 * Gradient of a maximum: every element of dy is added to the element of its
 * plane of dx that position names, row-major; -1 to none.
 */
int ref_unpool(const struct ref_tensor *dy, const int64_t *position, int64_t spatial_rank,
	       const int64_t *sizes, struct ref_tensor *dx);

struct ref_gemm {
	float alpha;
	float beta;
	bool trans_a;
	bool trans_b;
};

/* NULL attr: alpha = beta = 1, nothing transposed. c broadcasts to [m, n]. */
int ref_gemm(const struct ref_gemm *attr, const struct ref_tensor *a,
	     const struct ref_tensor *b, const struct ref_tensor *c,
	     struct ref_tensor *y);
/* numpy.matmul: 1-D operands and broadcast batches included. */
int ref_matmul(const struct ref_tensor *a, const struct ref_tensor *b,
	       struct ref_tensor *y);

/*
 * softmax(scale * q k^T + mask) v over the last two axes: q [.., tq, d],
 * k [.., tk, d], v [.., tk, dv], mask broadcast to [.., tq, tk] or NULL. The
 * leading axes must be equal. scale 0 stands for 1 / sqrt(d).
 */
int ref_attention(const struct ref_tensor *q, const struct ref_tensor *k,
		  const struct ref_tensor *v, const struct ref_tensor *mask,
		  float scale, struct ref_tensor *y);

enum ref_softmax_op {
	REF_SOFTMAX,
	REF_LOG_SOFTMAX,
};

/* Opset 13 on: along one axis. */
int ref_softmax(enum ref_softmax_op op, const struct ref_tensor *x, int axis,
		struct ref_tensor *y);
/* Before opset 13: over all axes from axis on, coerced to two dimensions. */
int ref_softmax_2d(enum ref_softmax_op op, const struct ref_tensor *x, int axis,
		   struct ref_tensor *y);

#define REF_REDUCE_OPS(X)						\
	X(SUM, "ReduceSum")						\
	X(MEAN, "ReduceMean")						\
	X(MAX, "ReduceMax")						\
	X(MIN, "ReduceMin")						\
	X(PROD, "ReduceProd")						\
	X(L1, "ReduceL1")						\
	X(L2, "ReduceL2")						\
	X(LOG_SUM, "ReduceLogSum")					\
	X(LOG_SUM_EXP, "ReduceLogSumExp")				\
	X(SUM_SQUARE, "ReduceSumSquare")

enum ref_reduce_op {
#define REF_REDUCE_ENUM(id, name) REF_REDUCE_##id,
	REF_REDUCE_OPS(REF_REDUCE_ENUM)
#undef REF_REDUCE_ENUM
	REF_REDUCE_COUNT,
};

/* axis_count 0: all axes, or none when noop_with_empty_axes. */
struct ref_reduce {
	const int64_t *axes;
	int axis_count;
	bool keepdims;
	bool noop_with_empty_axes;
};

int ref_reduce(enum ref_reduce_op op, const struct ref_reduce *attr,
	       const struct ref_tensor *x, struct ref_tensor *y);
int ref_reduce_from_name(const char *name);
const char *ref_reduce_name(enum ref_reduce_op op);

/*
 * (x - mean) / sqrt(mean square - mean^2 + epsilon) over the axes whose bit is
 * set; without @centre the mean is taken as 0.
 */
int ref_normalize(const struct ref_tensor *x, unsigned int axes, bool centre, double epsilon,
		  struct ref_tensor *y);
/* x / (bias + alpha / size * sum of squares over neighbouring channels)^beta */
int ref_lrn(const struct ref_tensor *x, int64_t size, double alpha, double beta, double bias,
	    struct ref_tensor *y);

/* perm NULL: axes reversed. */
int ref_transpose(const struct ref_tensor *x, const int64_t *perm,
		  struct ref_tensor *y);
/* 0 copies the dimension unless allow_zero; one -1 is inferred. */
int ref_reshape(const struct ref_tensor *x, int rank, const int64_t *shape,
		bool allow_zero, struct ref_tensor *y);
/* axis in [-rank, rank]. */
int ref_flatten(const struct ref_tensor *x, int axis, struct ref_tensor *y);
int ref_concat(const struct ref_tensor *const *xs, int count, int axis,
	       struct ref_tensor *y);

/* axes NULL: 0, 1, .. count - 1; steps NULL: all 1. */
struct ref_slice {
	int count;
	const int64_t *starts;
	const int64_t *ends;
	const int64_t *axes;
	const int64_t *steps;
};

int ref_slice(const struct ref_slice *attr, const struct ref_tensor *x,
	      struct ref_tensor *y);

/* pads holds count begins then count ends, negative crops; axes NULL: all. */
int ref_pad(const struct ref_tensor *x, int count, const int64_t *pads,
	    const int64_t *axes, float value, struct ref_tensor *y);

enum ref_direction {
	REF_FORWARD,
	REF_REVERSE,
	REF_BIDIRECTIONAL,
};

/*
 * All ONNX attributes, in ONNX form; a zeroed struct holds the defaults.
 * activations: 3 per direction (f, g, h), NULL for Sigmoid, Tanh, Tanh. The
 * values of activation_alpha and _beta are consumed in order by those
 * activations that have such a parameter; when they run out, the operator's
 * own default is used (the specification has none for Affine and ScaledTanh;
 * here they are 1, 0 and 1, 1). clip 0 means none; it bounds the input of every
 * activation, as the specification words it, the cell state's way into h
 * included; ONNX Runtime leaves that one out. In an LSTM ThresholdedRelu gives
 * x for x >= alpha.
 */
struct ref_lstm {
	enum ref_direction direction;
	int64_t hidden_size; /* 0: taken from r */
	const enum ref_unary_op *activations;
	const float *activation_alpha;
	int alpha_count;
	const float *activation_beta;
	int beta_count;
	float clip;
	bool input_forget;
	int layout;
};

/*
 * Gate order i, o, f, c in w, r and b; i, o, f in p. The shapes are those of
 * layout 0; with layout 1 batch comes first in x, initial_h, initial_c and the
 * outputs.
 */
struct ref_lstm_inputs {
	const struct ref_tensor *x;    /* [seq, batch, input] */
	const struct ref_tensor *w;    /* [dirs, 4 hidden, input] */
	const struct ref_tensor *r;    /* [dirs, 4 hidden, hidden] */
	const struct ref_tensor *b;    /* [dirs, 8 hidden] or NULL */
	const int32_t *sequence_lens;  /* [batch] or NULL */
	const struct ref_tensor *initial_h; /* [dirs, batch, hidden] or NULL */
	const struct ref_tensor *initial_c; /* [dirs, batch, hidden] or NULL */
	const struct ref_tensor *p;    /* [dirs, 3 hidden] or NULL */
};

/*
 * y [seq, dirs, batch, hidden], y_h and y_c [dirs, batch, hidden]; any of them
 * may be NULL. Steps at and beyond a sequence's length are 0 in y. A sequence
 * of length 0 leaves the initial state in y_h and y_c.
 */
int ref_lstm(const struct ref_lstm *attr, const struct ref_lstm_inputs *in,
	     struct ref_tensor *y, struct ref_tensor *y_h,
	     struct ref_tensor *y_c);

#define REF_RNN_HIDDEN_MAX	16

/* RNN, or GRU; activations are sigmoid and tanh, or relu instead of tanh. */
struct ref_rnn {
	bool gru;
	bool linear_before_reset;
	bool reverse;	/* with one direction; two are forward and reverse */
	bool relu;
	float clip;	/* 0: none */
};

/* Shapes as in struct ref_lstm_inputs with 1 or 3 gates (z, r, h). */
struct ref_rnn_inputs {
	const struct ref_tensor *x, *w, *r;
	const struct ref_tensor *b;		/* or NULL */
	const int32_t *sequence_lens;		/* or NULL */
	const struct ref_tensor *initial_h;	/* or NULL */
};

/* At most REF_RNN_HIDDEN_MAX units; layout 0. */
int ref_rnn(const struct ref_rnn *attr, const struct ref_rnn_inputs *in,
	    struct ref_tensor *y, struct ref_tensor *y_h);

#endif
