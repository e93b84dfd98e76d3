/* SPDX-License-Identifier: MIT */
/*
 * Build networks in C, read and write ONNX, compile. Part of libnpu.
 *
 * A tensor is a small integer. Every builder function returns one, or -errno;
 * given a negative tensor it returns that, so a whole network can be built
 * and checked once, by the status of npu_graph_output() or npu_graph_error().
 * Shapes are known at once: npu_graph_shape() answers after each call.
 *
 * Layouts are Keras's: images are [batch, height, width, channels], sequences
 * [batch, steps, features], convolution kernels [kh, kw, in, out], dense
 * kernels [in, out].
 */
#ifndef NPU_GRAPH_H
#define NPU_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct npu_graph;

#define NPU_GRAPH_RANK_MAX	8
#define NPU_TENSOR_NONE		(-0x7fffffff)	/* an optional tensor that is not there */

enum npu_graph_dtype {
	NPU_GRAPH_F32,
	NPU_GRAPH_I32,
	NPU_GRAPH_I64,
	NPU_GRAPH_BOOL,
	NPU_GRAPH_I8,
	NPU_GRAPH_U8,
	NPU_GRAPH_I16,
	NPU_GRAPH_F16,
	NPU_GRAPH_BF16,
};

enum npu_graph_pad {
	NPU_PAD_VALID,		/* no padding */
	NPU_PAD_SAME,		/* output = ceil(input / stride), odd pixel at the end */
	NPU_PAD_EXPLICIT,	/* pads given */
};

/* Operators of npu_graph_unary(); alpha and beta as in the ONNX operator. */
enum npu_graph_unary {
	NPU_UNARY_IDENTITY, NPU_UNARY_RELU, NPU_UNARY_LEAKY_RELU, NPU_UNARY_ELU,
	NPU_UNARY_SELU, NPU_UNARY_SIGMOID, NPU_UNARY_HARD_SIGMOID, NPU_UNARY_TANH,
	NPU_UNARY_SOFTPLUS, NPU_UNARY_SOFTSIGN, NPU_UNARY_THRESHOLDED_RELU,
	NPU_UNARY_EXP, NPU_UNARY_LOG, NPU_UNARY_SQRT, NPU_UNARY_RECIPROCAL,
	NPU_UNARY_NEG, NPU_UNARY_ABS, NPU_UNARY_ERF, NPU_UNARY_GELU,
	NPU_UNARY_FLOOR, NPU_UNARY_CEIL, NPU_UNARY_ROUND, NPU_UNARY_SIGN,
	NPU_UNARY_SIN, NPU_UNARY_COS,
};

/* Those that compare give NPU_GRAPH_BOOL. */
enum npu_graph_binary {
	NPU_BINARY_ADD, NPU_BINARY_SUB, NPU_BINARY_MUL, NPU_BINARY_DIV,
	NPU_BINARY_MIN, NPU_BINARY_MAX, NPU_BINARY_POW,
	NPU_BINARY_EQUAL, NPU_BINARY_LESS, NPU_BINARY_LESS_OR_EQUAL,
	NPU_BINARY_GREATER, NPU_BINARY_GREATER_OR_EQUAL,
};

enum npu_graph_reduce {
	NPU_REDUCE_SUM, NPU_REDUCE_MEAN, NPU_REDUCE_MAX, NPU_REDUCE_MIN, NPU_REDUCE_PROD,
	NPU_REDUCE_L1, NPU_REDUCE_L2, NPU_REDUCE_SUM_SQUARE, NPU_REDUCE_LOG_SUM,
	NPU_REDUCE_LOG_SUM_EXP,
};

/**
 * struct npu_window_attr - kernel window of convolution and pooling
 * @kernel: height and width (pooling; a convolution takes them from its kernel)
 * @stride: 0 means 1
 * @dilation: 0 means 1
 * @pad: how the input is padded
 * @pads: top, left, bottom, right, for NPU_PAD_EXPLICIT
 * @groups: convolution: 0 means 1
 * @count_include_pad: average pooling
 */
struct npu_window_attr {
	uint32_t kernel[2];
	uint32_t stride[2];
	uint32_t dilation[2];
	enum npu_graph_pad pad;
	uint32_t pads[4];
	uint32_t groups;
	bool count_include_pad;
};

/**
 * struct npu_lstm_attr - Keras's LSTM
 * @activation: of candidate and output (Keras default: tanh)
 * @recurrent_activation: of the gates (Keras default: sigmoid)
 * @return_sequences: all steps [batch, steps, units], else the last [batch, units]
 */
struct npu_lstm_attr {
	enum npu_graph_unary activation;
	enum npu_graph_unary recurrent_activation;
	bool return_sequences;
};

/* A graph, or NULL without memory. @name may be NULL. */
struct npu_graph *npu_graph_create(const char *name);
void npu_graph_destroy(struct npu_graph *g);

/* Message of the first error, or "". Valid until the graph is destroyed. */
const char *npu_graph_error(const struct npu_graph *g);

/* Rank of @tensor, its dimensions in @dim; or -errno. */
int npu_graph_shape(const struct npu_graph *g, int tensor, int64_t dim[NPU_GRAPH_RANK_MAX]);
/* Its enum npu_graph_dtype, or -errno. */
int npu_graph_type(const struct npu_graph *g, int tensor);
/* The tensor that is input, or output, @index, and its name; -EINVAL: there are fewer. */
int npu_graph_get_input(const struct npu_graph *g, unsigned int index, const char **name);
int npu_graph_get_output(const struct npu_graph *g, unsigned int index, const char **name);

int npu_graph_input(struct npu_graph *g, const char *name, enum npu_graph_dtype dtype,
		    unsigned int rank, const int64_t *dim);
/* @data is copied. */
int npu_graph_const(struct npu_graph *g, const char *name, enum npu_graph_dtype dtype,
		    unsigned int rank, const int64_t *dim, const void *data);
/*
 * A constant (NPU_GRAPH_F32) that training changes; @name tells it from others. @data, its
 * first value, is copied.
 */
int npu_graph_param(struct npu_graph *g, const char *name, unsigned int rank, const int64_t *dim,
		    const float *data);
/*
 * The gradients of the sum of @y's elements in each of @x, in @dx: tensors like any
 * other, also to be differentiated again. All of f32. 0 or -errno.
 */
int npu_graph_gradients(struct npu_graph *g, int y, unsigned int count, const int *x, int *dx);
/* Make @tensor an output called @name; 0 or -errno. */
int npu_graph_output(struct npu_graph *g, const char *name, int tensor);

int npu_graph_conv2d(struct npu_graph *g, int x, int kernel, int bias,
		     const struct npu_window_attr *attr);
int npu_graph_max_pool2d(struct npu_graph *g, int x, const struct npu_window_attr *attr);
int npu_graph_average_pool2d(struct npu_graph *g, int x, const struct npu_window_attr *attr);
/* x [..., in] times kernel [in, out] plus bias [out] (or NPU_TENSOR_NONE). */
int npu_graph_dense(struct npu_graph *g, int x, int kernel, int bias);
/* numpy semantics. */
int npu_graph_matmul(struct npu_graph *g, int a, int b);
/*
 * x [batch, steps, in], kernel [in, 4 units], recurrent [units, 4 units], bias
 * [4 units] or NPU_TENSOR_NONE; gates in Keras's order i, f, c, o.
 */
int npu_graph_lstm(struct npu_graph *g, int x, int kernel, int recurrent, int bias,
		   const struct npu_lstm_attr *attr);
/* softmax(q k^T * scale) v over the last two axes; scale 0 means 1 / sqrt(features). */
int npu_graph_attention(struct npu_graph *g, int q, int k, int v, float scale);
/* The same with @mask added before softmax, broadcast to [..., queries, keys]. */
int npu_graph_masked_attention(struct npu_graph *g, int q, int k, int v, int mask, float scale);
/* [batch, steps, features] as [batch, heads, steps, features / heads], and back. */
int npu_graph_split_heads(struct npu_graph *g, int x, unsigned int heads);
int npu_graph_merge_heads(struct npu_graph *g, int x);
/*
 * q [batch, queries, features], k and v [batch, keys, features]: attention in @heads
 * parts of the features. @mask as above, of rank 4 or less, or NPU_TENSOR_NONE.
 */
int npu_graph_multi_head_attention(struct npu_graph *g, int q, int k, int v, unsigned int heads,
				   int mask);
/*
 * (x - mean) / sqrt(variance + epsilon) over the axes from @axis on, times @scale plus
 * @bias, which have the dimensions of these axes; @bias may be NPU_TENSOR_NONE.
 */
int npu_graph_layer_norm(struct npu_graph *g, int x, int axis, int scale, int bias, float epsilon);
/*
 * Elements of @x along @axis by @index, integers of any shape, which stands in the result
 * where the axis was. Rows of a table: @axis 0.
 */
int npu_graph_gather(struct npu_graph *g, int x, int index, int axis);
int npu_graph_softmax(struct npu_graph *g, int x, int axis);
/*
 * (x - mean) / sqrt(variance + epsilon) * scale + bias per channel, the last axis; all four are
 * vectors. In training, mean and variance are the batch's, and parameters @mean and @variance
 * become momentum times what they were plus (1 - momentum) times those.
 */
int npu_graph_batch_norm(struct npu_graph *g, int x, int scale, int bias, int mean, int variance,
			 float epsilon, float momentum);
/* In training, @x with a part @ratio of its elements 0 and the rest scaled up; else @x. */
int npu_graph_dropout(struct npu_graph *g, int x, float ratio);
int npu_graph_unary(struct npu_graph *g, enum npu_graph_unary op, int x, float alpha, float beta);
int npu_graph_binary(struct npu_graph *g, enum npu_graph_binary op, int a, int b);
int npu_graph_reduce(struct npu_graph *g, enum npu_graph_reduce op, int x,
		     unsigned int axes, const int *axis, bool keep_dims);
/* Where the largest element along @axis is, the first of several; NPU_GRAPH_I64. */
int npu_graph_arg_max(struct npu_graph *g, int x, int axis, bool keep_dims);
/* @a where @condition (NPU_GRAPH_BOOL) holds, else @b; all three broadcast. */
int npu_graph_where(struct npu_graph *g, int condition, int a, int b);
int npu_graph_cast(struct npu_graph *g, int x, enum npu_graph_dtype dtype);
/* One dimension may be -1. */
int npu_graph_reshape(struct npu_graph *g, int x, unsigned int rank, const int64_t *dim);
int npu_graph_flatten(struct npu_graph *g, int x);
int npu_graph_transpose(struct npu_graph *g, int x, const unsigned int *perm);
int npu_graph_concat(struct npu_graph *g, unsigned int count, const int *x, int axis);
/* The opposite: @parts tensors of the given sizes along @axis, in @part. 0 or -errno. */
int npu_graph_split(struct npu_graph *g, int x, int axis, unsigned int parts,
		    const int64_t *size, int *part);
/* Per axis of x: start, end, step as in ONNX Slice. */
int npu_graph_slice(struct npu_graph *g, int x, const int64_t *start, const int64_t *end,
		    const int64_t *step);

/*
 * Read an ONNX file. Symbolic dimensions get the values in @bind, a text like
 * "N=1000,seq=28" ("*=1" binds all others); NULL binds nothing. Returns NULL, errno
 * (ENOTSUP for what there is no way to run) and a message in @error, which holds
 * @error_bytes.
 */
struct npu_graph *npu_graph_read_onnx(const char *path, const char *bind,
				      char *error, size_t error_bytes);

/**
 * struct npu_graph_given - an input of a model as it is going to be
 * @name: of the input
 * @dtype: element type of @data
 * @rank: dimensions
 * @dim: outermost first
 * @data: dense, row-major; or NULL
 */
struct npu_graph_given {
	const char *name;
	enum npu_graph_dtype dtype;
	unsigned int rank;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	const void *data;
};

/*
 * The same, with inputs at hand: open dimensions are those of @given, and an
 * input that decides about shapes (what Reshape or Slice take, say) becomes a
 * constant with the value given; the model does not have this input any more.
 */
struct npu_graph *npu_graph_read_onnx_given(const char *path, const char *bind,
					    const struct npu_graph_given *given,
					    unsigned int count, char *error, size_t error_bytes);
/*
 * Read an ONNX file for training: initialisers of type FLOAT with one dimension or more are
 * parameters (npu_train_graph.h), but those that shapes depend on. The first dimension of
 * all inputs is @batch (0: whatever it is), and may be symbolic.
 */
struct npu_graph *npu_graph_read_onnx_params(const char *path, const char *bind, int64_t batch,
					     char *error, size_t error_bytes);
/*
 * Write the graph as ONNX (opset 17); the file appears whole or not at all. What
 * npu_graph_read_onnx_params() has read is written as it was, with the parameters' values
 * of now, and with all initialisers in the file itself.
 */
int npu_graph_write_onnx(struct npu_graph *g, const char *path);
/*
 * The same; the first dimension of the inputs and outputs of a graph that was built is
 * called @batch and open. No constant of the graph may depend on it.
 */
int npu_graph_write_onnx_batch(struct npu_graph *g, const char *path, const char *batch);

/**
 * struct npu_target - the device to compile for; 0 fields mean the default preset
 * @array_rows: multiplier rows
 * @array_cols: multiplier columns
 * @spm_bytes: scratchpad
 * @acc_bytes: accumulators
 * @dma_bytes_per_kcycle: memory bandwidth, for the cost model
 * @dma_latency_cycles: memory latency
 * @dma_bursts: bursts in flight
 * @ve_bytes_per_cycle: vector width
 * @caps: NPU_CAP_* of the device
 */
struct npu_target {
	uint32_t array_rows;
	uint32_t array_cols;
	uint32_t spm_bytes;
	uint32_t acc_bytes;
	uint32_t dma_bytes_per_kcycle;
	uint32_t dma_latency_cycles;
	uint32_t dma_bursts;
	uint32_t ve_bytes_per_cycle;
	uint64_t caps;
};

/*
 * Compile into a program file image (isa/npu_prog.h), malloc()ed. @dump may be
 * NULL or a list of pass letters whose result is printed to @dump_file (a
 * FILE pointer). 0, or -errno with npu_graph_error().
 */
int npu_graph_compile(struct npu_graph *g, const struct npu_target *target,
		      const char *dump, void *dump_file,
		      void **image, size_t *image_bytes);

#ifdef __cplusplus
}
#endif

#endif
