/* SPDX-License-Identifier: MIT */
/*
 * The public graph builder: Keras's layouts become ONNX operators with
 * transposes around them, which cost nothing later. The first error stays: all
 * calls after it return it.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph.h"

struct npu_graph *npu_graph_create(const char *name)
{
	struct nc_arena *a = nc_arena_create();
	struct npu_graph *g = a ? nc_alloc(a, sizeof(*g)) : NULL;

	if (g) {
		g->arena = a;
		g->name = nc_strdup(a, name ? name : "");
		if (g->name)
			return g;
	}
	nc_arena_destroy(a);
	return NULL;
}

void npu_graph_destroy(struct npu_graph *g)
{
	if (g)
		nc_arena_destroy(g->arena);
}

const char *npu_graph_error(const struct npu_graph *g)
{
	return g->diag.text;
}

int npu_graph_shape(const struct npu_graph *g, int tensor, int64_t dim[NPU_GRAPH_RANK_MAX])
{
	if (tensor < 0 || (uint32_t)tensor >= g->tensors)
		return -EINVAL;
	memcpy(dim, g->tensor[tensor]->dim, sizeof(g->tensor[tensor]->dim));
	return (int)g->tensor[tensor]->rank;
}

static int fail(struct npu_graph *g, int err, const char *call, const char *what)
{
	if (!g->err)
		g->err = nc_error(&g->diag, err, "npu_graph_%s(): %s", call, what);
	return g->err;
}

/* A tensor that a call was given: an index, or the error it stands for. */
static int check(struct npu_graph *g, const char *call, int tensor)
{
	if (g->err)
		return g->err;
	if (tensor >= 0 && (uint32_t)tensor < g->tensors)
		return 0;
	return fail(g, -EINVAL, call, tensor == NPU_TENSOR_NONE ? "a tensor is missing" :
								  "there is no such tensor");
}

static int check_rank(struct npu_graph *g, const char *call, int tensor, unsigned int rank)
{
	char what[NC_SHAPE_TEXT + 64], text[NC_SHAPE_TEXT];
	int ret = check(g, call, tensor);

	if (ret || g->tensor[tensor]->rank == rank)
		return ret;
	snprintf(what, sizeof(what), "a tensor is %s; it must have %u dimensions",
		 nc_shape_text(g->tensor[tensor], text), rank);
	return fail(g, -EINVAL, call, what);
}

/* One node with one output. */
struct call {
	struct npu_graph *g;
	struct nc_node *n;
	int err;
};

static struct call begin(struct npu_graph *g, enum nc_opcode code, uint32_t ins)
{
	struct call c = { .g = g, .err = g->err };

	if (c.err)
		return c;
	c.n = nc_node_new(g, nc_op_get(code), NULL, ins, 1);
	if (!c.n)
		c.err = g->err = -ENOMEM;
	return c;
}

static void set_in(struct call *c, uint32_t i, int64_t tensor)
{
	if (tensor < 0 && tensor != NPU_TENSOR_NONE)
		c->err = (int)tensor;
	if (!c->err && tensor >= 0)
		c->n->in[i] = (uint32_t)tensor;
}

static void set_ints_in(struct call *c, uint32_t i, const int64_t *value, uint32_t count)
{
	if (!c->err)
		set_in(c, i, nc_graph_ints(c->g, value, count));
}

static void set_int(struct call *c, const char *name, int64_t value)
{
	if (!c->err)
		c->err = nc_attr_set_int(c->g, c->n, name, value);
}

static void set_ints(struct call *c, const char *name, const int64_t *value, uint32_t count)
{
	if (!c->err)
		c->err = nc_attr_set_ints(c->g, c->n, name, value, count);
}

static void set_float(struct call *c, const char *name, float value)
{
	if (!c->err)
		c->err = nc_attr_set_float(c->g, c->n, name, value);
}

static void set_string(struct call *c, const char *name, const char *value)
{
	if (!c->err)
		c->err = nc_attr_set_string(c->g, c->n, name, value);
}

/* The output's tensor. */
static int end(struct call *c)
{
	int64_t out;

	if (!c->err) {
		out = nc_graph_tensor(c->g, NULL);
		if (out < 0)
			return (int)out;
		c->n->out[0] = (uint32_t)out;
		c->err = nc_graph_node(c->g, c->n);
		if (!c->err)
			return (int)out;
	}
	if (!c->g->err)
		c->g->err = c->err;
	return c->err;
}

static int check_shape(struct npu_graph *g, const char *call, unsigned int rank,
		       const int64_t *dim)
{
	if (g->err)
		return g->err;
	if (rank > NPU_GRAPH_RANK_MAX)
		return fail(g, -EINVAL, call, "more than 8 dimensions");
	for (unsigned int i = 0; i < rank; i++)
		if (dim[i] < 0)
			return fail(g, -EINVAL, call, "a dimension is negative");
	return 0;
}

int npu_graph_input(struct npu_graph *g, const char *name, enum npu_graph_dtype dtype,
		    unsigned int rank, const int64_t *dim)
{
	int64_t t;
	int ret = check_shape(g, "input", rank, dim);

	if (ret)
		return ret;
	if (!name || !*name)
		return fail(g, -EINVAL, "input", "an input needs a name");
	t = nc_graph_tensor(g, name);
	if (t < 0)
		return (int)t;
	ret = nc_tensor_shape(g, NULL, (uint32_t)t, dtype, rank, dim);
	ret = ret ? ret : nc_graph_add_input(g, (uint32_t)t);
	if (ret)
		return g->err = ret;
	return (int)t;
}

int npu_graph_const(struct npu_graph *g, const char *name, enum npu_graph_dtype dtype,
		    unsigned int rank, const int64_t *dim, const void *data)
{
	int64_t elems, t;
	void *copy;
	int ret = check_shape(g, "const", rank, dim);

	if (ret)
		return ret;
	elems = nc_elems(dtype, rank, dim);
	if (elems < 0)
		return fail(g, (int)elems, "const", "the constant is too large");
	copy = nc_alloc_array(g->arena, (size_t)elems, nc_dtype_bytes(dtype));
	if (!copy)
		return fail(g, -ENOMEM, "const", "out of memory");
	if (elems)
		memcpy(copy, data, (size_t)elems * nc_dtype_bytes(dtype));
	t = nc_graph_const(g, name, dtype, rank, dim, copy);
	return (int)t;
}

int npu_graph_output(struct npu_graph *g, const char *name, int tensor)
{
	int ret = check(g, "output", tensor);

	if (ret)
		return ret;
	if (!name || !*name)
		return fail(g, -EINVAL, "output", "an output needs a name");
	return nc_graph_add_output(g, name, (uint32_t)tensor);
}

int npu_graph_transpose(struct npu_graph *g, int x, const unsigned int *perm)
{
	int64_t value[NPU_GRAPH_RANK_MAX];
	struct call c;
	int ret = check(g, "transpose", x);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < g->tensor[x]->rank; i++)
		value[i] = perm[i];
	c = begin(g, NC_OP_Transpose, 1);
	set_in(&c, 0, x);
	set_ints(&c, "perm", value, g->tensor[x]->rank);
	return end(&c);
}

static const unsigned int to_nchw[] = { 0, 3, 1, 2 }, to_nhwc[] = { 0, 2, 3, 1 };

/* Strides, dilations and padding; @kernel in h, w. */
static void set_window(struct call *c, const struct npu_window_attr *a)
{
	int64_t stride[2], dilation[2], pads[4];

	for (unsigned int i = 0; i < 2; i++) {
		stride[i] = a->stride[i] ? a->stride[i] : 1;
		dilation[i] = a->dilation[i] ? a->dilation[i] : 1;
	}
	for (unsigned int i = 0; i < 4; i++)
		pads[i] = a->pads[i];
	set_ints(c, "strides", stride, 2);
	set_ints(c, "dilations", dilation, 2);
	if (a->pad == NPU_PAD_SAME)
		set_string(c, "auto_pad", "SAME_UPPER");
	else if (a->pad == NPU_PAD_EXPLICIT)
		set_ints(c, "pads", pads, 4);
}

int npu_graph_conv2d(struct npu_graph *g, int x, int kernel, int bias,
		     const struct npu_window_attr *attr)
{
	static const unsigned int to_oihw[] = { 3, 2, 0, 1 };
	struct call c;
	int ret = check_rank(g, "conv2d", x, 4);

	ret = ret ? ret : check_rank(g, "conv2d", kernel, 4);
	if (!ret && bias != NPU_TENSOR_NONE)
		ret = check_rank(g, "conv2d", bias, 1);
	if (ret)
		return ret;
	x = npu_graph_transpose(g, x, to_nchw);
	kernel = npu_graph_transpose(g, kernel, to_oihw);
	c = begin(g, NC_OP_Conv, bias == NPU_TENSOR_NONE ? 2 : 3);
	set_in(&c, 0, x);
	set_in(&c, 1, kernel);
	if (bias != NPU_TENSOR_NONE)
		set_in(&c, 2, bias);
	set_window(&c, attr);
	set_int(&c, "group", attr->groups ? attr->groups : 1);
	x = end(&c);
	return x < 0 ? x : npu_graph_transpose(g, x, to_nhwc);
}

static int pool2d(struct npu_graph *g, const char *call, enum nc_opcode code, int x,
		  const struct npu_window_attr *attr)
{
	const int64_t kernel[] = { attr->kernel[0], attr->kernel[1] };
	struct npu_window_attr a = *attr;
	struct call c;
	int ret = check_rank(g, call, x, 4);

	if (ret)
		return ret;
	x = npu_graph_transpose(g, x, to_nchw);
	c = begin(g, code, 1);
	set_in(&c, 0, x);
	set_ints(&c, "kernel_shape", kernel, 2);
	set_window(&c, &a);
	if (code == NC_OP_AveragePool)
		set_int(&c, "count_include_pad", a.count_include_pad);
	x = end(&c);
	return x < 0 ? x : npu_graph_transpose(g, x, to_nhwc);
}

int npu_graph_max_pool2d(struct npu_graph *g, int x, const struct npu_window_attr *attr)
{
	return pool2d(g, "max_pool2d", NC_OP_MaxPool, x, attr);
}

int npu_graph_average_pool2d(struct npu_graph *g, int x, const struct npu_window_attr *attr)
{
	return pool2d(g, "average_pool2d", NC_OP_AveragePool, x, attr);
}

int npu_graph_matmul(struct npu_graph *g, int a, int b)
{
	struct call c;
	int ret = check(g, "matmul", a);

	ret = ret ? ret : check(g, "matmul", b);
	if (ret)
		return ret;
	c = begin(g, NC_OP_MatMul, 2);
	set_in(&c, 0, a);
	set_in(&c, 1, b);
	return end(&c);
}

int npu_graph_dense(struct npu_graph *g, int x, int kernel, int bias)
{
	struct call c;
	int ret = check(g, "dense", x);

	ret = ret ? ret : check_rank(g, "dense", kernel, 2);
	if (!ret && bias != NPU_TENSOR_NONE)
		ret = check_rank(g, "dense", bias, 1);
	if (ret)
		return ret;
	if (g->tensor[x]->rank != 2) {
		x = npu_graph_matmul(g, x, kernel);
		return bias == NPU_TENSOR_NONE ? x : npu_graph_binary(g, NPU_BINARY_ADD, x, bias);
	}
	c = begin(g, NC_OP_Gemm, bias == NPU_TENSOR_NONE ? 2 : 3);
	set_in(&c, 0, x);
	set_in(&c, 1, kernel);
	if (bias != NPU_TENSOR_NONE)
		set_in(&c, 2, bias);
	return end(&c);
}

int npu_graph_softmax(struct npu_graph *g, int x, int axis)
{
	struct call c;
	int ret = check(g, "softmax", x);

	if (ret)
		return ret;
	c = begin(g, NC_OP_Softmax, 1);
	set_in(&c, 0, x);
	set_int(&c, "axis", axis);
	return end(&c);
}

int npu_graph_attention(struct npu_graph *g, int q, int k, int v, float scale)
{
	unsigned int perm[NPU_GRAPH_RANK_MAX], rank;
	int ret = check(g, "attention", q);
	int64_t factor;
	int x;

	ret = ret ? ret : check(g, "attention", k);
	ret = ret ? ret : check(g, "attention", v);
	if (ret)
		return ret;
	rank = g->tensor[q]->rank;
	if (rank < 2 || g->tensor[k]->rank != rank || g->tensor[v]->rank != rank)
		return fail(g, -EINVAL, "attention",
			    "q, k and v must have the same number of dimensions, at least 2");
	for (unsigned int i = 0; i < rank; i++)
		perm[i] = i;
	perm[rank - 1] = rank - 2;
	perm[rank - 2] = rank - 1;
	if (scale == 0)
		scale = 1 / sqrtf((float)g->tensor[q]->dim[rank - 1]);
	factor = nc_graph_float(g, scale);
	if (factor < 0)
		return (int)factor;
	x = npu_graph_transpose(g, k, perm);
	x = npu_graph_matmul(g, q, x);
	x = npu_graph_binary(g, NPU_BINARY_MUL, x, (int)factor);
	x = npu_graph_softmax(g, x, -1);
	return npu_graph_matmul(g, x, v);
}

/* Operator, and which of alpha and beta it takes. */
static const struct unary {
	enum nc_opcode code;
	bool alpha, beta;
	const char *beta_name;
} unaries[] = {
	[NPU_UNARY_IDENTITY] = { NC_OP_Identity, false, false, NULL },
	[NPU_UNARY_RELU] = { NC_OP_Relu, false, false, NULL },
	[NPU_UNARY_LEAKY_RELU] = { NC_OP_LeakyRelu, true, false, NULL },
	[NPU_UNARY_ELU] = { NC_OP_Elu, true, false, NULL },
	[NPU_UNARY_SELU] = { NC_OP_Selu, true, true, "gamma" },
	[NPU_UNARY_SIGMOID] = { NC_OP_Sigmoid, false, false, NULL },
	[NPU_UNARY_HARD_SIGMOID] = { NC_OP_HardSigmoid, true, true, "beta" },
	[NPU_UNARY_TANH] = { NC_OP_Tanh, false, false, NULL },
	[NPU_UNARY_SOFTPLUS] = { NC_OP_Softplus, false, false, NULL },
	[NPU_UNARY_SOFTSIGN] = { NC_OP_Softsign, false, false, NULL },
	[NPU_UNARY_THRESHOLDED_RELU] = { NC_OP_ThresholdedRelu, true, false, NULL },
	[NPU_UNARY_EXP] = { NC_OP_Exp, false, false, NULL },
	[NPU_UNARY_LOG] = { NC_OP_Log, false, false, NULL },
	[NPU_UNARY_SQRT] = { NC_OP_Sqrt, false, false, NULL },
	[NPU_UNARY_RECIPROCAL] = { NC_OP_Reciprocal, false, false, NULL },
	[NPU_UNARY_NEG] = { NC_OP_Neg, false, false, NULL },
	[NPU_UNARY_ABS] = { NC_OP_Abs, false, false, NULL },
	[NPU_UNARY_ERF] = { NC_OP_Erf, false, false, NULL },
	[NPU_UNARY_GELU] = { NC_OP_Gelu, false, false, NULL },
	[NPU_UNARY_FLOOR] = { NC_OP_Floor, false, false, NULL },
	[NPU_UNARY_CEIL] = { NC_OP_Ceil, false, false, NULL },
	[NPU_UNARY_ROUND] = { NC_OP_Round, false, false, NULL },
	[NPU_UNARY_SIGN] = { NC_OP_Sign, false, false, NULL },
	[NPU_UNARY_SIN] = { NC_OP_Sin, false, false, NULL },
	[NPU_UNARY_COS] = { NC_OP_Cos, false, false, NULL },
};

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

int npu_graph_unary(struct npu_graph *g, enum npu_graph_unary op, int x, float alpha, float beta)
{
	struct call c;
	int ret = check(g, "unary", x);

	if (ret)
		return ret;
	if ((unsigned int)op >= COUNT(unaries))
		return fail(g, -EINVAL, "unary", "there is no such operator");
	c = begin(g, unaries[op].code, 1);
	set_in(&c, 0, x);
	if (unaries[op].alpha)
		set_float(&c, "alpha", alpha);
	if (unaries[op].beta)
		set_float(&c, unaries[op].beta_name, beta);
	return end(&c);
}

int npu_graph_binary(struct npu_graph *g, enum npu_graph_binary op, int a, int b)
{
	static const enum nc_opcode code[] = {
		[NPU_BINARY_ADD] = NC_OP_Add, [NPU_BINARY_SUB] = NC_OP_Sub,
		[NPU_BINARY_MUL] = NC_OP_Mul, [NPU_BINARY_DIV] = NC_OP_Div,
		[NPU_BINARY_MIN] = NC_OP_Min, [NPU_BINARY_MAX] = NC_OP_Max,
		[NPU_BINARY_POW] = NC_OP_Pow,
	};
	struct call c;
	int ret = check(g, "binary", a);

	ret = ret ? ret : check(g, "binary", b);
	if (ret)
		return ret;
	if ((unsigned int)op >= COUNT(code))
		return fail(g, -EINVAL, "binary", "there is no such operator");
	c = begin(g, code[op], 2);
	set_in(&c, 0, a);
	set_in(&c, 1, b);
	return end(&c);
}

int npu_graph_reduce(struct npu_graph *g, enum npu_graph_reduce op, int x,
		     unsigned int axes, const int *axis, bool keep_dims)
{
	static const enum nc_opcode code[] = {
		[NPU_REDUCE_SUM] = NC_OP_ReduceSum, [NPU_REDUCE_MEAN] = NC_OP_ReduceMean,
		[NPU_REDUCE_MAX] = NC_OP_ReduceMax, [NPU_REDUCE_MIN] = NC_OP_ReduceMin,
		[NPU_REDUCE_PROD] = NC_OP_ReduceProd, [NPU_REDUCE_L1] = NC_OP_ReduceL1,
		[NPU_REDUCE_L2] = NC_OP_ReduceL2,
		[NPU_REDUCE_SUM_SQUARE] = NC_OP_ReduceSumSquare,
		[NPU_REDUCE_LOG_SUM] = NC_OP_ReduceLogSum,
		[NPU_REDUCE_LOG_SUM_EXP] = NC_OP_ReduceLogSumExp,
	};
	int64_t value[NPU_GRAPH_RANK_MAX];
	struct call c;
	int ret = check(g, "reduce", x);

	if (ret)
		return ret;
	if ((unsigned int)op >= COUNT(code) || axes > NPU_GRAPH_RANK_MAX)
		return fail(g, -EINVAL, "reduce", "there is no such operator, or too many axes");
	for (unsigned int i = 0; i < axes; i++)
		value[i] = axis[i];
	c = begin(g, code[op], axes ? 2 : 1);
	set_in(&c, 0, x);
	if (axes)
		set_ints_in(&c, 1, value, axes);
	set_int(&c, "keepdims", keep_dims);
	return end(&c);
}

int npu_graph_reshape(struct npu_graph *g, int x, unsigned int rank, const int64_t *dim)
{
	struct call c;
	int ret = check(g, "reshape", x);

	if (ret)
		return ret;
	if (rank > NPU_GRAPH_RANK_MAX)
		return fail(g, -EINVAL, "reshape", "more than 8 dimensions");
	c = begin(g, NC_OP_Reshape, 2);
	set_in(&c, 0, x);
	set_ints_in(&c, 1, dim, rank);
	return end(&c);
}

int npu_graph_flatten(struct npu_graph *g, int x)
{
	struct call c;
	int ret = check(g, "flatten", x);

	if (ret)
		return ret;
	c = begin(g, NC_OP_Flatten, 1);
	set_in(&c, 0, x);
	set_int(&c, "axis", 1);
	return end(&c);
}

int npu_graph_concat(struct npu_graph *g, unsigned int count, const int *x, int axis)
{
	struct call c;
	int ret = g->err;

	if (!count || count > NC_NODE_ARGS_MAX)
		return fail(g, -EINVAL, "concat", "needs 1 to 4096 tensors");
	for (unsigned int i = 0; !ret && i < count; i++)
		ret = check(g, "concat", x[i]);
	if (ret)
		return ret;
	c = begin(g, NC_OP_Concat, count);
	for (unsigned int i = 0; i < count; i++)
		set_in(&c, i, x[i]);
	set_int(&c, "axis", axis);
	return end(&c);
}

int npu_graph_slice(struct npu_graph *g, int x, const int64_t *start, const int64_t *end_at,
		    const int64_t *step)
{
	static const int64_t axes[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct call c;
	unsigned int rank;
	int ret = check(g, "slice", x);

	if (ret)
		return ret;
	rank = g->tensor[x]->rank;
	c = begin(g, NC_OP_Slice, 5);
	set_in(&c, 0, x);
	set_ints_in(&c, 1, start, rank);
	set_ints_in(&c, 2, end_at, rank);
	set_ints_in(&c, 3, axes, rank);
	set_ints_in(&c, 4, step, rank);
	return end(&c);
}

static int unsqueeze(struct npu_graph *g, int x, int64_t axis)
{
	struct call c = begin(g, NC_OP_Unsqueeze, 2);

	set_in(&c, 0, x);
	set_ints_in(&c, 1, &axis, 1);
	return end(&c);
}

static int squeeze(struct npu_graph *g, int x, int64_t axis)
{
	struct call c = begin(g, NC_OP_Squeeze, 2);

	set_in(&c, 0, x);
	set_ints_in(&c, 1, &axis, 1);
	return end(&c);
}

/* Gates i, f, c, o along the last axis of @x as i, o, f, c. */
static int gates_to_onnx(struct npu_graph *g, int x, int64_t units)
{
	static const int64_t from[] = { 0, 3, 1, 2 };
	unsigned int rank = g->tensor[x]->rank;
	int part[4];

	for (unsigned int i = 0; i < 4; i++) {
		int64_t start[2] = { 0, 0 }, stop[2] = { INT64_MAX, INT64_MAX };
		const int64_t step[2] = { 1, 1 };

		start[rank - 1] = from[i] * units;
		stop[rank - 1] = (from[i] + 1) * units;
		part[i] = npu_graph_slice(g, x, start, stop, step);
	}
	return npu_graph_concat(g, 4, part, -1);
}

/* [in, 4 units] in Keras's order as [1, 4 units, in] in ONNX's. */
static int lstm_weights(struct npu_graph *g, int x, int64_t units)
{
	static const unsigned int swap[] = { 1, 0 };

	x = gates_to_onnx(g, x, units);
	x = npu_graph_transpose(g, x, swap);
	return unsqueeze(g, x, 0);
}

/* [4 units] as [1, 8 units]: Keras has one bias, ONNX two. */
static int lstm_bias(struct npu_graph *g, int x, int64_t units)
{
	const int64_t dim = 4 * units;
	float *zero = nc_alloc_array(g->arena, (size_t)dim, sizeof(*zero));
	int64_t none = zero ? nc_graph_const(g, NULL, NPU_GRAPH_F32, 1, &dim, zero) : -ENOMEM;
	int part[2];

	if (none < 0)
		return fail(g, (int)none, "lstm", "out of memory");
	part[0] = gates_to_onnx(g, x, units);
	part[1] = (int)none;
	return unsqueeze(g, npu_graph_concat(g, 2, part, 0), 0);
}

/* Sigmoid, Tanh, ... by the ONNX name; @op by its row above. */
static void set_activations(struct call *c, const struct npu_lstm_attr *attr)
{
	const char **name;

	if (c->err)
		return;
	name = nc_alloc_array(c->g->arena, 3, sizeof(*name));
	if (!name) {
		c->err = fail(c->g, -ENOMEM, "lstm", "out of memory");
		return;
	}
	name[0] = nc_op_get(unaries[attr->recurrent_activation].code)->name;
	name[1] = nc_op_get(unaries[attr->activation].code)->name;
	name[2] = name[1];
	c->err = nc_attr_set(c->g, c->n, &(struct nc_attr){
		.name = "activations", .type = NC_ATTR_STRINGS, .count = 3, .strings = name });
}

int npu_graph_lstm(struct npu_graph *g, int x, int kernel, int recurrent, int bias,
		   const struct npu_lstm_attr *attr)
{
	static const unsigned int swap[] = { 1, 0, 2 };
	int ret = check_rank(g, "lstm", x, 3);
	struct call c;
	int64_t units, out;

	ret = ret ? ret : check_rank(g, "lstm", kernel, 2);
	ret = ret ? ret : check_rank(g, "lstm", recurrent, 2);
	if (!ret && bias != NPU_TENSOR_NONE)
		ret = check_rank(g, "lstm", bias, 1);
	if (ret)
		return ret;
	units = g->tensor[recurrent]->dim[0];
	if ((unsigned int)attr->activation >= COUNT(unaries) ||
	    (unsigned int)attr->recurrent_activation >= COUNT(unaries))
		return fail(g, -EINVAL, "lstm", "there is no such activation");
	if (g->tensor[recurrent]->dim[1] != 4 * units || g->tensor[kernel]->dim[1] != 4 * units ||
	    (bias != NPU_TENSOR_NONE && g->tensor[bias]->dim[0] != 4 * units))
		return fail(g, -EINVAL, "lstm",
			    "kernel [in, 4 units], recurrent [units, 4 units] and bias [4 units] do not fit");
	x = npu_graph_transpose(g, x, swap);
	kernel = lstm_weights(g, kernel, units);
	recurrent = lstm_weights(g, recurrent, units);
	if (bias != NPU_TENSOR_NONE)
		bias = lstm_bias(g, bias, units);
	c = begin(g, NC_OP_LSTM, bias == NPU_TENSOR_NONE ? 3 : 4);
	set_in(&c, 0, x);
	set_in(&c, 1, kernel);
	set_in(&c, 2, recurrent);
	if (bias != NPU_TENSOR_NONE)
		set_in(&c, 3, bias);
	set_int(&c, "hidden_size", units);
	set_activations(&c, attr);
	if (!attr->return_sequences && !c.err) {
		/* Y_h instead of Y. */
		c.n->outs = 2;
		c.n->out = nc_alloc_array(g->arena, 2, sizeof(*c.n->out));
		out = nc_graph_tensor(g, NULL);
		if (!c.n->out || out < 0)
			return fail(g, -ENOMEM, "lstm", "out of memory");
		c.n->out[0] = NC_NONE;
		c.n->out[1] = (uint32_t)out;
		c.err = nc_graph_node(g, c.n);
		return c.err ? c.err : squeeze(g, (int)out, 0);
	}
	x = end(&c);
	x = x < 0 ? x : squeeze(g, x, 1);
	return x < 0 ? x : npu_graph_transpose(g, x, swap);
}
