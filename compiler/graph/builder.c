/* SPDX-License-Identifier: MIT */
/*
 * The public graph builder: Keras's layouts become ONNX operators with
 * transposes around them, which cost nothing later. The first error stays: all
 * calls after it return it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "builder.h"

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

int npu_graph_type(const struct npu_graph *g, int tensor)
{
	if (tensor < 0 || (uint32_t)tensor >= g->tensors)
		return -EINVAL;
	return (int)g->tensor[tensor]->dtype;
}

int npu_graph_get_input(const struct npu_graph *g, unsigned int index, const char **name)
{
	if (index >= g->inputs)
		return -EINVAL;
	*name = g->tensor[g->input[index]]->name;
	return (int)g->input[index];
}

int npu_graph_get_output(const struct npu_graph *g, unsigned int index, const char **name)
{
	if (index >= g->outputs)
		return -EINVAL;
	*name = g->output[index].name;
	return (int)g->output[index].tensor;
}

int nc_build_fail(struct npu_graph *g, int err, const char *call, const char *what)
{
	if (!g->err)
		g->err = nc_error(&g->diag, err, "npu_graph_%s(): %s", call, what);
	return g->err;
}

int nc_build_check(struct npu_graph *g, const char *call, int tensor)
{
	if (g->err)
		return g->err;
	if (tensor >= 0 && (uint32_t)tensor < g->tensors)
		return 0;
	return nc_build_fail(g, -EINVAL, call, tensor == NPU_TENSOR_NONE ? "a tensor is missing" :
								  "there is no such tensor");
}

int nc_build_check_rank(struct npu_graph *g, const char *call, int tensor, unsigned int rank)
{
	char what[NC_SHAPE_TEXT + 64], text[NC_SHAPE_TEXT];
	int ret = nc_build_check(g, call, tensor);

	if (ret || g->tensor[tensor]->rank == rank)
		return ret;
	snprintf(what, sizeof(what), "a tensor is %s; it must have %u dimensions",
		 nc_shape_text(g->tensor[tensor], text), rank);
	return nc_build_fail(g, -EINVAL, call, what);
}

struct nc_call nc_call_begin(struct npu_graph *g, enum nc_opcode code, uint32_t ins)
{
	struct nc_call c = { .g = g, .err = g->err };

	if (c.err)
		return c;
	c.n = nc_node_new(g, nc_op_get(code), NULL, ins, 1);
	if (!c.n)
		c.err = g->err = -ENOMEM;
	return c;
}

void nc_call_in(struct nc_call *c, uint32_t i, int64_t tensor)
{
	if (tensor < 0 && tensor != NPU_TENSOR_NONE)
		c->err = (int)tensor;
	if (!c->err && tensor >= 0)
		c->n->in[i] = (uint32_t)tensor;
}

void nc_call_ints_in(struct nc_call *c, uint32_t i, const int64_t *value, uint32_t count)
{
	if (!c->err)
		nc_call_in(c, i, nc_graph_ints(c->g, value, count));
}

void nc_call_int(struct nc_call *c, const char *name, int64_t value)
{
	if (!c->err)
		c->err = nc_attr_set_int(c->g, c->n, name, value);
}

void nc_call_ints(struct nc_call *c, const char *name, const int64_t *value, uint32_t count)
{
	if (!c->err)
		c->err = nc_attr_set_ints(c->g, c->n, name, value, count);
}

void nc_call_float(struct nc_call *c, const char *name, float value)
{
	if (!c->err)
		c->err = nc_attr_set_float(c->g, c->n, name, value);
}

void nc_call_string(struct nc_call *c, const char *name, const char *value)
{
	if (!c->err)
		c->err = nc_attr_set_string(c->g, c->n, name, value);
}

int nc_call_end_many(struct nc_call *c, uint32_t outs, int *out)
{
	uint32_t *list = c->err ? NULL : nc_alloc_array(c->g->arena, outs, sizeof(*list));
	int64_t t = 0;

	for (uint32_t i = 0; i < outs; i++)
		out[i] = -EINVAL;
	if (!c->err && !list)
		c->err = nc_error(&c->g->diag, -ENOMEM, "out of memory");
	for (uint32_t i = 0; !c->err && i < outs; i++) {
		t = nc_graph_tensor(c->g, NULL);
		if (t < 0)
			c->err = (int)t;
		list[i] = (uint32_t)t;
	}
	if (!c->err) {
		c->n->out = list;
		c->n->outs = outs;
		c->err = nc_graph_node(c->g, c->n);
	}
	for (uint32_t i = 0; i < outs; i++)
		out[i] = c->err ? c->err : (int)list[i];
	if (c->err && !c->g->err)
		c->g->err = c->err;
	return c->err;
}

int nc_call_end(struct nc_call *c)
{
	int out;

	nc_call_end_many(c, 1, &out);
	return out;
}

static int check_shape(struct npu_graph *g, const char *call, unsigned int rank,
		       const int64_t *dim)
{
	if (g->err)
		return g->err;
	if (rank > NPU_GRAPH_RANK_MAX)
		return nc_build_fail(g, -EINVAL, call, "more than 8 dimensions");
	for (unsigned int i = 0; i < rank; i++)
		if (dim[i] < 0)
			return nc_build_fail(g, -EINVAL, call, "a dimension is negative");
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
		return nc_build_fail(g, -EINVAL, "input", "an input needs a name");
	t = nc_graph_tensor(g, name);
	if (t < 0)
		return (int)t;
	ret = nc_tensor_shape(g, NULL, (uint32_t)t, dtype, rank, dim);
	ret = ret ? ret : nc_graph_add_input(g, (uint32_t)t);
	if (ret)
		return g->err = ret;
	return (int)t;
}

static int add_const(struct npu_graph *g, const char *call, const char *name,
		     enum npu_graph_dtype dtype, unsigned int rank, const int64_t *dim,
		     const void *data)
{
	int64_t elems;
	void *copy;
	int ret = check_shape(g, call, rank, dim);

	if (ret)
		return ret;
	elems = nc_elems(dtype, rank, dim);
	if (elems < 0)
		return nc_build_fail(g, (int)elems, call, "it is too large");
	copy = nc_alloc_array(g->arena, (size_t)elems, nc_dtype_bytes(dtype));
	if (!copy)
		return nc_build_fail(g, -ENOMEM, call, "out of memory");
	if (elems)
		memcpy(copy, data, (size_t)elems * nc_dtype_bytes(dtype));
	return (int)nc_graph_const(g, name, dtype, rank, dim, copy);
}

int npu_graph_const(struct npu_graph *g, const char *name, enum npu_graph_dtype dtype,
		    unsigned int rank, const int64_t *dim, const void *data)
{
	return add_const(g, "const", name, dtype, rank, dim, data);
}

int npu_graph_param(struct npu_graph *g, const char *name, unsigned int rank, const int64_t *dim,
		    const float *data)
{
	int t, ret;

	if (!g->err && (!name || !*name))
		return nc_build_fail(g, -EINVAL, "param", "a parameter needs a name");
	t = add_const(g, "param", name, NPU_GRAPH_F32, rank, dim, data);
	ret = t < 0 ? t : nc_graph_add_param(g, (uint32_t)t);
	return ret ? ret : t;
}

int npu_graph_gradients(struct npu_graph *g, int y, unsigned int count, const int *x, int *dx)
{
	int ret = nc_build_check(g, "gradients", y);
	struct nc_call c;

	for (unsigned int i = 0; i < count; i++) {
		dx[i] = -EINVAL;
		ret = ret ? ret : nc_build_check(g, "gradients", x[i]);
	}
	if (ret || !count)
		return ret;
	c = nc_call_begin(g, NC_OP_Gradient, count + 1);
	nc_call_in(&c, 0, y);
	for (unsigned int i = 0; i < count; i++)
		nc_call_in(&c, i + 1, x[i]);
	return nc_call_end_many(&c, count, dx);
}

int npu_graph_output(struct npu_graph *g, const char *name, int tensor)
{
	int ret = nc_build_check(g, "output", tensor);

	if (ret)
		return ret;
	if (!name || !*name)
		return nc_build_fail(g, -EINVAL, "output", "an output needs a name");
	return nc_graph_add_output(g, name, (uint32_t)tensor);
}

int npu_graph_transpose(struct npu_graph *g, int x, const unsigned int *perm)
{
	int64_t value[NPU_GRAPH_RANK_MAX];
	struct nc_call c;
	int ret = nc_build_check(g, "transpose", x);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < g->tensor[x]->rank; i++)
		value[i] = perm[i];
	c = nc_call_begin(g, NC_OP_Transpose, 1);
	nc_call_in(&c, 0, x);
	nc_call_ints(&c, "perm", value, g->tensor[x]->rank);
	return nc_call_end(&c);
}

static const unsigned int to_nchw[] = { 0, 3, 1, 2 }, to_nhwc[] = { 0, 2, 3, 1 };

/* Strides, dilations and padding; @kernel in h, w. */
static void set_window(struct nc_call *c, const struct npu_window_attr *a)
{
	int64_t stride[2], dilation[2], pads[4];

	for (unsigned int i = 0; i < 2; i++) {
		stride[i] = a->stride[i] ? a->stride[i] : 1;
		dilation[i] = a->dilation[i] ? a->dilation[i] : 1;
	}
	for (unsigned int i = 0; i < 4; i++)
		pads[i] = a->pads[i];
	nc_call_ints(c, "strides", stride, 2);
	nc_call_ints(c, "dilations", dilation, 2);
	if (a->pad == NPU_PAD_SAME)
		nc_call_string(c, "auto_pad", "SAME_UPPER");
	else if (a->pad == NPU_PAD_EXPLICIT)
		nc_call_ints(c, "pads", pads, 4);
}

int npu_graph_conv2d(struct npu_graph *g, int x, int kernel, int bias,
		     const struct npu_window_attr *attr)
{
	static const unsigned int to_oihw[] = { 3, 2, 0, 1 };
	struct nc_call c;
	int ret = nc_build_check_rank(g, "conv2d", x, 4);

	ret = ret ? ret : nc_build_check_rank(g, "conv2d", kernel, 4);
	if (!ret && bias != NPU_TENSOR_NONE)
		ret = nc_build_check_rank(g, "conv2d", bias, 1);
	if (ret)
		return ret;
	x = npu_graph_transpose(g, x, to_nchw);
	kernel = npu_graph_transpose(g, kernel, to_oihw);
	c = nc_call_begin(g, NC_OP_Conv, bias == NPU_TENSOR_NONE ? 2 : 3);
	nc_call_in(&c, 0, x);
	nc_call_in(&c, 1, kernel);
	if (bias != NPU_TENSOR_NONE)
		nc_call_in(&c, 2, bias);
	set_window(&c, attr);
	nc_call_int(&c, "group", attr->groups ? attr->groups : 1);
	x = nc_call_end(&c);
	return x < 0 ? x : npu_graph_transpose(g, x, to_nhwc);
}

static int pool2d(struct npu_graph *g, const char *call, enum nc_opcode code, int x,
		  const struct npu_window_attr *attr)
{
	const int64_t kernel[] = { attr->kernel[0], attr->kernel[1] };
	struct npu_window_attr a = *attr;
	struct nc_call c;
	int ret = nc_build_check_rank(g, call, x, 4);

	if (ret)
		return ret;
	x = npu_graph_transpose(g, x, to_nchw);
	c = nc_call_begin(g, code, 1);
	nc_call_in(&c, 0, x);
	nc_call_ints(&c, "kernel_shape", kernel, 2);
	set_window(&c, &a);
	if (code == NC_OP_AveragePool)
		nc_call_int(&c, "count_include_pad", a.count_include_pad);
	x = nc_call_end(&c);
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
	struct nc_call c;
	int ret = nc_build_check(g, "matmul", a);

	ret = ret ? ret : nc_build_check(g, "matmul", b);
	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_MatMul, 2);
	nc_call_in(&c, 0, a);
	nc_call_in(&c, 1, b);
	return nc_call_end(&c);
}

int npu_graph_dense(struct npu_graph *g, int x, int kernel, int bias)
{
	struct nc_call c;
	int ret = nc_build_check(g, "dense", x);

	ret = ret ? ret : nc_build_check_rank(g, "dense", kernel, 2);
	if (!ret && bias != NPU_TENSOR_NONE)
		ret = nc_build_check_rank(g, "dense", bias, 1);
	if (ret)
		return ret;
	if (g->tensor[x]->rank != 2) {
		x = npu_graph_matmul(g, x, kernel);
		return bias == NPU_TENSOR_NONE ? x : npu_graph_binary(g, NPU_BINARY_ADD, x, bias);
	}
	c = nc_call_begin(g, NC_OP_Gemm, bias == NPU_TENSOR_NONE ? 2 : 3);
	nc_call_in(&c, 0, x);
	nc_call_in(&c, 1, kernel);
	if (bias != NPU_TENSOR_NONE)
		nc_call_in(&c, 2, bias);
	return nc_call_end(&c);
}

int npu_graph_softmax(struct npu_graph *g, int x, int axis)
{
	struct nc_call c;
	int ret = nc_build_check(g, "softmax", x);

	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_Softmax, 1);
	nc_call_in(&c, 0, x);
	nc_call_int(&c, "axis", axis);
	return nc_call_end(&c);
}

/* Axis @from of @x becomes axis @to; the others keep their order. */
static int move_axis(struct npu_graph *g, int x, unsigned int from, unsigned int to)
{
	unsigned int perm[NPU_GRAPH_RANK_MAX], at = 0;

	for (unsigned int i = 0; i < g->tensor[x]->rank; i++) {
		at += at == from;
		perm[i] = i == to ? from : at++;
	}
	return npu_graph_transpose(g, x, perm);
}

int npu_graph_batch_norm(struct npu_graph *g, int x, int scale, int bias, int mean, int variance,
			 float epsilon, float momentum)
{
	const int in[] = { scale, bias, mean, variance };
	unsigned int last;
	struct nc_call c;
	int ret = nc_build_check(g, "batch_norm", x);

	for (unsigned int i = 0; i < 4; i++)
		ret = ret ? ret : nc_build_check_rank(g, "batch_norm", in[i], 1);
	if (!ret && g->tensor[x]->rank < 2)
		ret = nc_build_fail(g, -EINVAL, "batch_norm", "x must be [batch, ..., channels]");
	if (ret)
		return ret;
	last = g->tensor[x]->rank - 1;
	x = move_axis(g, x, last, 1);
	c = nc_call_begin(g, NC_OP_BatchNormalization, 5);
	nc_call_in(&c, 0, x);
	for (unsigned int i = 0; i < 4; i++)
		nc_call_in(&c, i + 1, in[i]);
	nc_call_float(&c, "epsilon", epsilon);
	nc_call_float(&c, "momentum", momentum);
	x = nc_call_end(&c);
	return x < 0 ? x : move_axis(g, x, 1, last);
}

int npu_graph_dropout(struct npu_graph *g, int x, float ratio)
{
	struct nc_call c;
	int ret = nc_build_check(g, "dropout", x);

	if (ret)
		return ret;
	if (!(ratio >= 0 && ratio < 1))
		return nc_build_fail(g, -EINVAL, "dropout", "the ratio must be at least 0 and below 1");
	c = nc_call_begin(g, NC_OP_Dropout, 2);
	nc_call_in(&c, 0, x);
	nc_call_in(&c, 1, c.err ? c.err : nc_graph_float(g, ratio));
	return nc_call_end(&c);
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
	struct nc_call c;
	int ret = nc_build_check(g, "unary", x);

	if (ret)
		return ret;
	if ((unsigned int)op >= COUNT(unaries))
		return nc_build_fail(g, -EINVAL, "unary", "there is no such operator");
	c = nc_call_begin(g, unaries[op].code, 1);
	nc_call_in(&c, 0, x);
	if (unaries[op].alpha)
		nc_call_float(&c, "alpha", alpha);
	if (unaries[op].beta)
		nc_call_float(&c, unaries[op].beta_name, beta);
	return nc_call_end(&c);
}

int npu_graph_binary(struct npu_graph *g, enum npu_graph_binary op, int a, int b)
{
	static const enum nc_opcode code[] = {
		[NPU_BINARY_ADD] = NC_OP_Add, [NPU_BINARY_SUB] = NC_OP_Sub,
		[NPU_BINARY_MUL] = NC_OP_Mul, [NPU_BINARY_DIV] = NC_OP_Div,
		[NPU_BINARY_MIN] = NC_OP_Min, [NPU_BINARY_MAX] = NC_OP_Max,
		[NPU_BINARY_POW] = NC_OP_Pow,
		[NPU_BINARY_EQUAL] = NC_OP_Equal, [NPU_BINARY_LESS] = NC_OP_Less,
		[NPU_BINARY_LESS_OR_EQUAL] = NC_OP_LessOrEqual,
		[NPU_BINARY_GREATER] = NC_OP_Greater,
		[NPU_BINARY_GREATER_OR_EQUAL] = NC_OP_GreaterOrEqual,
	};
	struct nc_call c;
	int ret = nc_build_check(g, "binary", a);

	ret = ret ? ret : nc_build_check(g, "binary", b);
	if (ret)
		return ret;
	if ((unsigned int)op >= COUNT(code))
		return nc_build_fail(g, -EINVAL, "binary", "there is no such operator");
	c = nc_call_begin(g, code[op], 2);
	nc_call_in(&c, 0, a);
	nc_call_in(&c, 1, b);
	return nc_call_end(&c);
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
	struct nc_call c;
	int ret = nc_build_check(g, "reduce", x);

	if (ret)
		return ret;
	if ((unsigned int)op >= COUNT(code) || axes > NPU_GRAPH_RANK_MAX)
		return nc_build_fail(g, -EINVAL, "reduce", "there is no such operator, or too many axes");
	for (unsigned int i = 0; i < axes; i++)
		value[i] = axis[i];
	c = nc_call_begin(g, code[op], axes ? 2 : 1);
	nc_call_in(&c, 0, x);
	if (axes)
		nc_call_ints_in(&c, 1, value, axes);
	nc_call_int(&c, "keepdims", keep_dims);
	return nc_call_end(&c);
}

int npu_graph_reshape(struct npu_graph *g, int x, unsigned int rank, const int64_t *dim)
{
	struct nc_call c;
	int ret = nc_build_check(g, "reshape", x);

	if (ret)
		return ret;
	if (rank > NPU_GRAPH_RANK_MAX)
		return nc_build_fail(g, -EINVAL, "reshape", "more than 8 dimensions");
	c = nc_call_begin(g, NC_OP_Reshape, 2);
	nc_call_in(&c, 0, x);
	nc_call_ints_in(&c, 1, dim, rank);
	return nc_call_end(&c);
}

int npu_graph_flatten(struct npu_graph *g, int x)
{
	struct nc_call c;
	int ret = nc_build_check(g, "flatten", x);

	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_Flatten, 1);
	nc_call_in(&c, 0, x);
	nc_call_int(&c, "axis", 1);
	return nc_call_end(&c);
}

int npu_graph_concat(struct npu_graph *g, unsigned int count, const int *x, int axis)
{
	struct nc_call c;
	int ret = g->err;

	if (!count || count > NC_NODE_ARGS_MAX)
		return nc_build_fail(g, -EINVAL, "concat", "needs 1 to 4096 tensors");
	for (unsigned int i = 0; !ret && i < count; i++)
		ret = nc_build_check(g, "concat", x[i]);
	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_Concat, count);
	for (unsigned int i = 0; i < count; i++)
		nc_call_in(&c, i, x[i]);
	nc_call_int(&c, "axis", axis);
	return nc_call_end(&c);
}

int npu_graph_slice(struct npu_graph *g, int x, const int64_t *start, const int64_t *end_at,
		    const int64_t *step)
{
	static const int64_t axes[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct nc_call c;
	unsigned int rank;
	int ret = nc_build_check(g, "slice", x);

	if (ret)
		return ret;
	rank = g->tensor[x]->rank;
	c = nc_call_begin(g, NC_OP_Slice, 5);
	nc_call_in(&c, 0, x);
	nc_call_ints_in(&c, 1, start, rank);
	nc_call_ints_in(&c, 2, end_at, rank);
	nc_call_ints_in(&c, 3, axes, rank);
	nc_call_ints_in(&c, 4, step, rank);
	return nc_call_end(&c);
}

static int unsqueeze(struct npu_graph *g, int x, int64_t axis)
{
	struct nc_call c = nc_call_begin(g, NC_OP_Unsqueeze, 2);

	nc_call_in(&c, 0, x);
	nc_call_ints_in(&c, 1, &axis, 1);
	return nc_call_end(&c);
}

static int squeeze(struct npu_graph *g, int x, int64_t axis)
{
	struct nc_call c = nc_call_begin(g, NC_OP_Squeeze, 2);

	nc_call_in(&c, 0, x);
	nc_call_ints_in(&c, 1, &axis, 1);
	return nc_call_end(&c);
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
		return nc_build_fail(g, (int)none, "lstm", "out of memory");
	part[0] = gates_to_onnx(g, x, units);
	part[1] = (int)none;
	return unsqueeze(g, npu_graph_concat(g, 2, part, 0), 0);
}

/* Sigmoid, Tanh, ... by the ONNX name; @op by its row above. */
static void set_activations(struct nc_call *c, const struct npu_lstm_attr *attr)
{
	const char **name;

	if (c->err)
		return;
	name = nc_alloc_array(c->g->arena, 3, sizeof(*name));
	if (!name) {
		c->err = nc_build_fail(c->g, -ENOMEM, "lstm", "out of memory");
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
	int ret = nc_build_check_rank(g, "lstm", x, 3);
	struct nc_call c;
	int64_t units, out;

	ret = ret ? ret : nc_build_check_rank(g, "lstm", kernel, 2);
	ret = ret ? ret : nc_build_check_rank(g, "lstm", recurrent, 2);
	if (!ret && bias != NPU_TENSOR_NONE)
		ret = nc_build_check_rank(g, "lstm", bias, 1);
	if (ret)
		return ret;
	units = g->tensor[recurrent]->dim[0];
	if ((unsigned int)attr->activation >= COUNT(unaries) ||
	    (unsigned int)attr->recurrent_activation >= COUNT(unaries))
		return nc_build_fail(g, -EINVAL, "lstm", "there is no such activation");
	if (g->tensor[recurrent]->dim[1] != 4 * units || g->tensor[kernel]->dim[1] != 4 * units ||
	    (bias != NPU_TENSOR_NONE && g->tensor[bias]->dim[0] != 4 * units))
		return nc_build_fail(g, -EINVAL, "lstm",
			    "kernel [in, 4 units], recurrent [units, 4 units] and bias [4 units] do not fit");
	x = npu_graph_transpose(g, x, swap);
	kernel = lstm_weights(g, kernel, units);
	recurrent = lstm_weights(g, recurrent, units);
	if (bias != NPU_TENSOR_NONE)
		bias = lstm_bias(g, bias, units);
	c = nc_call_begin(g, NC_OP_LSTM, bias == NPU_TENSOR_NONE ? 3 : 4);
	nc_call_in(&c, 0, x);
	nc_call_in(&c, 1, kernel);
	nc_call_in(&c, 2, recurrent);
	if (bias != NPU_TENSOR_NONE)
		nc_call_in(&c, 3, bias);
	nc_call_int(&c, "hidden_size", units);
	set_activations(&c, attr);
	if (!attr->return_sequences && !c.err) {
		/* Y_h instead of Y. */
		c.n->outs = 2;
		c.n->out = nc_alloc_array(g->arena, 2, sizeof(*c.n->out));
		out = nc_graph_tensor(g, NULL);
		if (!c.n->out || out < 0)
			return nc_build_fail(g, -ENOMEM, "lstm", "out of memory");
		c.n->out[0] = NC_NONE;
		c.n->out[1] = (uint32_t)out;
		c.err = nc_graph_node(g, c.n);
		return c.err ? c.err : squeeze(g, (int)out, 0);
	}
	x = nc_call_end(&c);
	x = x < 0 ? x : squeeze(g, x, 1);
	return x < 0 ? x : npu_graph_transpose(g, x, swap);
}
