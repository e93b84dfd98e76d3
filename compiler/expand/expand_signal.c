/* SPDX-License-Identifier: MIT */
/*
 * Spectra as products with known matrices, which the multiplier array is there
 * for; windows and mel filters are constants, as their sizes are known.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "expand.h"
#include "expand_util.h"

/* Elements of a transform's matrix; longer transforms want a fast one. */
#define MATRIX_MAX	(1ll << 25)

/**
 * struct dft - a discrete Fourier transform along an axis
 * @length: of the transform
 * @parts: of an input element: 1 real, 2 complex
 * @real: the output is the real signal of a half spectrum
 * @bins: elements of the output
 * @used: elements of the input that it takes, the rest of them being 0
 */
struct dft {
	unsigned int axis;
	int64_t length, parts, bins, used;
	bool inverse, onesided, real;
};

/* A scalar input of integers; @value stays without it. */
static int one_int(struct npu_graph *g, const struct nc_node *n, uint32_t i, int64_t *value)
{
	int64_t v;
	int count = nc_in_ints(g, n, i, &v, 1);

	if (count > 0)
		*value = v;
	return count < 0 ? count : 0;
}

static int dft_finish(struct npu_graph *g, const struct nc_node *n, struct dft *d, int64_t size)
{
	d->real = d->inverse && d->onesided;
	d->bins = d->onesided && !d->inverse ? d->length / 2 + 1 : d->length;
	d->used = d->real ? d->length / 2 + 1 : d->length;
	if (d->used > size)
		d->used = size;
	if (d->length < 1 || (d->onesided && d->parts != (d->inverse ? 2 : 1)))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "a transform of length %" PRId64 " over elements of %" PRId64 " parts: onesided takes real signals and gives half spectra, inverse the other way round",
				     d->length, d->parts);
	if (d->length > MATRIX_MAX / 4 / d->bins)
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "a transform of length %" PRId64 " is too long; up to 2896 are always possible",
				     d->length);
	return 0;
}

static int dft_get(struct npu_graph *g, const struct nc_node *n, struct dft *d)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	char text[NC_SHAPE_TEXT];
	int64_t axis = -2;
	int ret = one_int(g, n, 2, &axis);

	if (ret)
		return ret;
	if (x->rank < 2 || x->dim[x->rank - 1] < 1 || x->dim[x->rank - 1] > 2)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s must have 1 or 2 parts in its last dimension",
				     nc_shape_text(x, text));
	ret = nc_axis(g, n, axis, x->rank);
	if (ret < 0)
		return ret;
	if (ret == (int)x->rank - 1)
		return nc_node_error(&g->diag, n, -EINVAL, "the last dimension is no axis of it");
	*d = (struct dft){
		.axis = (unsigned int)ret, .parts = x->dim[x->rank - 1],
		.inverse = nc_attr(n, "inverse")->i, .onesided = nc_attr(n, "onesided")->i,
	};
	d->length = x->dim[d->axis];
	if (d->inverse && d->onesided)
		d->length = 2 * (x->dim[d->axis] - 1);
	ret = one_int(g, n, 1, &d->length);
	return ret ? ret : dft_finish(g, n, d, x->dim[d->axis]);
}

int nc_infer_dft(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	struct dft d;
	int ret = dft_get(g, n, &d);

	if (ret)
		return ret;
	memcpy(dim, x->dim, sizeof(dim));
	dim[d.axis] = d.bins;
	dim[x->rank - 1] = d.real ? 1 : 2;
	return nc_tensor_shape(g, n, n->out[0], x->dtype, x->rank, dim);
}

/* Before opset 20 the axis is an attribute. */
int nc_upgrade_dft(struct npu_graph *g, struct nc_node *n, int64_t opset)
{
	const struct nc_attr *given = nc_attr_given(n, "axis");
	int64_t axis = given ? given->i : 1, t;
	uint32_t *in = nc_alloc_array(g->arena, 3, sizeof(*in));

	if (opset >= 20)
		return 0;
	t = nc_graph_ints(g, &axis, 1);
	if (!in || t < 0)
		return nc_node_error(&g->diag, n, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < 2; i++)
		in[i] = i < n->ins ? n->in[i] : NC_NONE;
	in[2] = (uint32_t)t;
	n->in = in;
	n->ins = 3;
	nc_attr_drop(n, "axis");
	return 0;
}

/* What element @i of the input, part @p, adds to element @k of the output, part @q. */
static double coefficient(const struct dft *d, int64_t i, int64_t p, int64_t k, int64_t q)
{
	double angle = 2 * M_PI * (double)(i * k % d->length) / (double)d->length;
	double scale = d->inverse ? 1 / (double)d->length : 1;

	/* Half a spectrum stands for its mirror image, too. */
	if (d->real && i && 2 * i != d->length)
		scale *= 2;
	if (d->inverse)
		angle = -angle;
	/* (a + b i) (cos - sin i) */
	if (p == q)
		return scale * cos(angle);
	return scale * (p ? sin(angle) : -sin(angle));
}

/* [used parts, bins parts] */
static uint32_t dft_matrix(const struct nc_expand *e, const struct dft *d)
{
	int64_t out = d->real ? 1 : 2;
	const int64_t dim[] = { d->used * d->parts, d->bins * out };
	float *data = nc_x_alloc(e, dim[0] * dim[1], sizeof(*data));
	int64_t t;

	for (int64_t r = 0; data && r < dim[0]; r++)
		for (int64_t c = 0; c < dim[1]; c++)
			data[r * dim[1] + c] = (float)coefficient(d, r / d->parts, r % d->parts,
								  c / out, c % out);
	t = data ? nc_graph_const(e->g, NULL, NPU_GRAPH_F32, 2, dim, data) : -1;
	return t < 0 ? NC_NONE : (uint32_t)t;
}

/* Swap @axis with the one before the parts. */
static uint32_t swapped(const struct nc_expand *e, uint32_t t, unsigned int axis)
{
	unsigned int rank = nc_x_get(e, t)->rank;
	int64_t perm[NPU_GRAPH_RANK_MAX];

	for (unsigned int i = 0; i < rank; i++)
		perm[i] = i;
	perm[axis] = rank - 2;
	perm[rank - 2] = axis;
	return axis == rank - 2 ? t : nc_x_transpose(e, t, perm);
}

static uint32_t transform(const struct nc_expand *e, const struct dft *d, uint32_t t)
{
	enum npu_graph_dtype dtype = nc_x_get(e, t)->dtype;
	int64_t dim[NPU_GRAPH_RANK_MAX], flat[2];
	const struct nc_tensor *x;
	unsigned int rank;

	t = swapped(e, nc_x_slice(e, t, d->axis, 0, d->used, 1), d->axis);
	x = nc_x_get(e, t);
	rank = x->rank;
	memcpy(dim, x->dim, sizeof(dim));
	flat[1] = d->used * d->parts;
	flat[0] = (int64_t)x->elems / flat[1];
	t = nc_x_reshape(e, t, 2, flat);
	t = nc_x_2(e, NC_OP_MatMul, t, nc_x_cast(e, dft_matrix(e, d), dtype));
	dim[rank - 2] = d->bins;
	dim[rank - 1] = d->real ? 1 : 2;
	return swapped(e, nc_x_reshape(e, t, rank, dim), d->axis);
}

int nc_expand_dft(const struct nc_expand *e)
{
	struct dft d;
	int ret = dft_get(e->g, e->n, &d);

	if (ret)
		return ret;
	nc_x_result(e, 0, transform(e, &d, nc_x_in(e, 0)));
	return nc_x_done(e);
}

/* Frames of a signal; @step apart. */
static int stft_get(struct npu_graph *g, const struct nc_node *n, struct dft *d, int64_t *step,
		    int64_t *frames)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *w = nc_in(g, n, 2);
	char text[NC_SHAPE_TEXT];
	int ret = one_int(g, n, 1, step);

	if (ret)
		return ret;
	*d = (struct dft){ .axis = 2, .onesided = nc_attr(n, "onesided")->i };
	if (x->rank != 3 || x->dim[2] < 1 || x->dim[2] > 2 ||
	    (w && (w->rank != 1 || w->dtype != x->dtype)))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "signal %s must be [batch, length, 1 or 2], the window a vector of its type",
				     nc_shape_text(x, text));
	d->parts = x->dim[2];
	d->length = w ? w->dim[0] : 0;
	ret = one_int(g, n, 3, &d->length);
	if (ret)
		return ret;
	if (d->length < 1 || d->length > x->dim[1] || *step < 1 || (w && w->dim[0] != d->length))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "frames of %" PRId64 " elements, %" PRId64 " apart, do not fit the signal %s or the window",
				     d->length, *step, nc_shape_text(x, text));
	*frames = (x->dim[1] - d->length) / *step + 1;
	return dft_finish(g, n, d, d->length);
}

int nc_infer_stft(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	int64_t step = 0, frames;
	struct dft d;
	int ret = stft_get(g, n, &d, &step, &frames);

	return ret ? ret : nc_tensor_shape(g, n, n->out[0], x->dtype, 4,
					   (const int64_t[]){ x->dim[0], frames, d.bins, 2 });
}

int nc_expand_stft(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	int64_t step = 0, frames, *index;
	uint32_t t = NC_NONE;
	struct dft d;
	int ret = stft_get(e->g, e->n, &d, &step, &frames);

	if (ret)
		return ret;
	index = nc_x_alloc(e, frames * d.length, sizeof(*index));
	for (int64_t i = 0; index && i < frames * d.length; i++)
		index[i] = i / d.length * step + i % d.length;
	if (index)
		t = nc_x_take(e, nc_x_in(e, 0), 1, index, frames * d.length);
	t = nc_x_reshape(e, t, 4, (const int64_t[]){ x->dim[0], frames, d.length, d.parts });
	if (nc_x_in(e, 2) != NC_NONE)
		t = nc_x_2(e, NC_OP_Mul, t, nc_x_reshape(e, nc_x_in(e, 2), 2,
							 (const int64_t[]){ d.length, 1 }));
	nc_x_result(e, 0, transform(e, &d, t));
	return nc_x_done(e);
}

/* The type of a constant that an attribute names. */
static int output_type(struct npu_graph *g, const struct nc_node *n)
{
	int dtype = nc_dtype_of_onnx(nc_attr(n, "output_datatype")->i);

	if (dtype >= 0 && nc_dtype_class((enum npu_graph_dtype)dtype) == NC_CLASS_FLOAT)
		return dtype;
	return nc_node_error(&g->diag, n, -ENOTSUP,
			     "output_datatype %" PRId64 " is not supported; float, float16 and bfloat16 are",
			     nc_attr(n, "output_datatype")->i);
}

static void constant_result(const struct nc_expand *e, unsigned int rank, const int64_t *dim,
			    const float *data)
{
	int64_t t = data ? nc_graph_const(e->g, NULL, NPU_GRAPH_F32, rank, dim, data) : -1;

	if (t >= 0)
		nc_x_result(e, 0, nc_x_cast(e, (uint32_t)t, nc_x_get(e, e->n->out[0])->dtype));
}

int nc_infer_window(struct npu_graph *g, struct nc_node *n)
{
	int dtype = output_type(g, n), ret;
	int64_t size = 0;

	ret = dtype < 0 ? dtype : one_int(g, n, 0, &size);
	return ret ? ret : nc_tensor_shape(g, n, n->out[0], (enum npu_graph_dtype)dtype, 1, &size);
}

/* a - b cos(x) + c cos(2 x) over a period. */
int nc_expand_window(const struct nc_expand *e)
{
	static const double hann[] = { 0.5, 0.5, 0 }, hamming[] = { 25.0 / 46, 21.0 / 46, 0 };
	static const double blackman[] = { 0.42, 0.5, 0.08 };
	const double *c = e->n->op->code == NC_OP_HannWindow ? hann :
			  e->n->op->code == NC_OP_HammingWindow ? hamming : blackman;
	int64_t size = nc_x_get(e, e->n->out[0])->dim[0];
	int64_t period = nc_attr(e->n, "periodic")->i || size == 1 ? size : size - 1;
	float *data = nc_x_alloc(e, size, sizeof(*data));

	for (int64_t i = 0; data && i < size; i++) {
		double x = 2 * M_PI * (double)i / (double)period;

		data[i] = (float)(c[0] - c[1] * cos(x) + c[2] * cos(2 * x));
	}
	constant_result(e, 1, &size, data);
	return nc_x_done(e);
}
