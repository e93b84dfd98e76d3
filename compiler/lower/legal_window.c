/* SPDX-License-Identifier: MIT */
/* Convolution and pooling over one or two spatial axes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "legal.h"
#include "graph/ops.h"
#include "graph/shape.h"

/*
 * [n, c, w] or [n, c, h, w] as the device's n, h, w, c (for weights k, c, kh, kw
 * stays in order; see weight_view()).
 */
static struct kir_view image_view(const struct nc_view *v)
{
	struct kir_view r = { .tensor = v->tensor, .offset = v->offset };

	r.stride[0] = v->stride[0];
	r.stride[1] = v->rank == 4 ? v->stride[2] : 0;
	r.stride[2] = v->stride[v->rank - 1];
	r.stride[3] = v->stride[1];
	return r;
}

static struct kir_view weight_view(const struct nc_view *v)
{
	struct kir_view r = { .tensor = v->tensor, .offset = v->offset };

	r.stride[0] = v->stride[0];
	r.stride[1] = v->stride[1];
	r.stride[2] = v->rank == 4 ? v->stride[2] : 0;
	r.stride[3] = v->stride[v->rank - 1];
	return r;
}

static struct nc_view image_as_nhwc(const struct nc_view *v)
{
	struct kir_view k = image_view(v);
	struct nc_view r = { .tensor = v->tensor, .rank = 4, .offset = v->offset };

	r.dim[0] = v->dim[0];
	r.dim[1] = v->rank == 4 ? v->dim[2] : 1;
	r.dim[2] = v->dim[v->rank - 1];
	r.dim[3] = v->dim[1];
	memcpy(r.stride, k.stride, 4 * sizeof(*r.stride));
	return r;
}

/* @x: what the window moves over; @y: an output of it, for its channels. */
static int window_fields(struct nc_legal *l, const struct nc_node *n, const struct nc_tensor *x,
			 const struct nc_tensor *y, const struct nc_window *w,
			 struct kir_window *win)
{
	unsigned int last;

	if (w->spatial > 2)
		return nc_node_error(l->diag, n, -ENOTSUP,
				     "%u spatial axes are not supported; 1 and 2 are", w->spatial);
	last = w->spatial - 1;
	for (unsigned int i = 0; i < x->rank; i++)
		if (x->dim[i] > INT32_MAX)
			return nc_node_error(l->diag, n, -ENOTSUP,
					     "dimension %u of the input is %" PRId64 "; it must be below 2^31",
					     i, x->dim[i]);
	*win = (struct kir_window){
		.n = (uint32_t)x->dim[0],
		.h = last ? (uint32_t)w->in[0] : 1, .w = (uint32_t)w->in[last],
		.c = (uint32_t)x->dim[1],
		.oh = last ? (uint32_t)w->out[0] : 1, .ow = (uint32_t)w->out[last],
		.k = (uint32_t)y->dim[1],
		.kh = last ? (uint32_t)w->kernel[0] : 1, .kw = (uint32_t)w->kernel[last],
		.stride_h = last ? (uint32_t)w->stride[0] : 1,
		.stride_w = (uint32_t)w->stride[last],
		.dil_h = last ? (uint32_t)w->dilation[0] : 1,
		.dil_w = (uint32_t)w->dilation[last],
		.pad_top = last ? (int32_t)w->pad[0][0] : 0,
		.pad_left = (int32_t)w->pad[0][last],
		.up_h = last ? (uint32_t)w->up[0] : 1, .up_w = (uint32_t)w->up[last],
	};
	return 0;
}

static int window(struct nc_legal *l, const struct nc_node *n, const struct nc_tensor *y,
		  struct nc_window *w, struct kir_window *win)
{
	int ret = nc_window_get(l->g, n, w);

	return ret ? ret : window_fields(l, n, nc_in(l->g, n, 0), y, w, win);
}

int nc_lower_conv(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_view in, weights, bias, out, nhwc;
	struct kir_conv conv = { .groups = (uint32_t)nc_attr(n, "group")->i };
	struct nc_window w;
	struct nc_loop lp;
	struct kir_op *op;
	int ret = window(l, n, nc_out(l->g, n, 0), &w, &conv.win);

	ret = ret ? ret : nc_legal_in(l, n, 0, &in);
	ret = ret ? ret : nc_legal_in(l, n, 1, &weights);
	if (ret)
		return ret;
	conv.in = image_view(&in);
	conv.weights = weight_view(&weights);
	conv.bias.tensor = KIR_NO_TENSOR;
	if (nc_in(l->g, n, 2)) {
		ret = nc_legal_in(l, n, 2, &bias);
		if (ret)
			return ret;
		conv.bias = nc_legal_loops(&bias, 0, 1);
	}
	ret = nc_legal_out(l, n, 0, &out);
	if (ret)
		return ret;
	nhwc = image_as_nhwc(&out);
	nc_loop_init(&lp, 4, nhwc.dim);
	ret = nc_loop_store(&lp, &nhwc, nc_map_acc(&lp.m, 0));
	ret = ret ? ret : nc_loop_epilogue(l, n, &lp, &conv.epilogue);
	if (ret)
		return ret;
	op = nc_legal_op(l, n, KIR_CONV);
	if (!op)
		return l->err;
	op->conv = conv;
	return 0;
}

/* [k, c, kw] or [k, c, kh, kw] as the loops kh, kw, c, k. */
static struct nc_view weights_as_hwck(const struct nc_view *v)
{
	unsigned int last = v->rank - 1;
	struct nc_view r = { .tensor = v->tensor, .rank = 4, .offset = v->offset };

	memcpy(r.dim, (int64_t[]){ last == 3 ? v->dim[2] : 1, v->dim[last], v->dim[1], v->dim[0] },
	       4 * sizeof(*r.dim));
	memcpy(r.stride, (int64_t[]){ last == 3 ? v->stride[2] : 0, v->stride[last], v->stride[1],
				      v->stride[0] }, 4 * sizeof(*r.stride));
	return r;
}

int nc_lower_weight_grad(struct nc_legal *l, const struct nc_node *n)
{
	struct kir_wgrad grad = { .groups = (uint32_t)nc_attr(n, "group")->i };
	struct nc_view in, dy, out, hwck;
	struct nc_window w;
	struct nc_loop lp;
	struct kir_op *op;
	int ret = window(l, n, nc_in(l->g, n, 1), &w, &grad.win);

	ret = ret ? ret : nc_legal_in(l, n, 0, &in);
	ret = ret ? ret : nc_legal_in(l, n, 1, &dy);
	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (ret)
		return ret;
	if (!nc_in(l->g, n, 0)->elems)
		return nc_legal_fill(l, n, 0, &out);
	grad.in = image_view(&in);
	grad.dy = image_view(&dy);
	hwck = weights_as_hwck(&out);
	nc_loop_init(&lp, 4, hwck.dim);
	ret = nc_loop_store(&lp, &hwck, nc_map_acc(&lp.m, 0));
	ret = ret ? ret : nc_loop_epilogue(l, n, &lp, &grad.epilogue);
	if (ret)
		return ret;
	op = nc_legal_op(l, n, KIR_WGRAD);
	if (!op)
		return l->err;
	op->wgrad = grad;
	return 0;
}

/* Per output position: what an average over kh kw must be multiplied by. */
static float recount(const struct nc_node *n, const struct nc_window *w, uint64_t position)
{
	double all = 1, counted = 1;

	for (unsigned int i = w->spatial; i-- > 0;) {
		int64_t first = (int64_t)(position % (uint64_t)w->out[i]) * w->stride[i];
		int64_t room = w->in[i] + w->pad[0][i] + w->pad[1][i] - first;
		int64_t taps = (room + w->dilation[i] - 1) / w->dilation[i];

		position /= (uint64_t)w->out[i];
		all *= (double)w->kernel[i];
		counted *= (double)(taps < w->kernel[i] ? taps : w->kernel[i]);
	}
	return (float)(n->op->code == NC_OP_SumPool ? all : all / counted);
}

/*
 * A window of an average with count_include_pad does not count what lies
 * beyond the padding (ceil_mode); a sum does not divide by its count.
 */
static int rescale(struct nc_legal *l, const struct nc_node *n, const struct nc_window *w,
		   const struct nc_view *whole, const struct nc_view *out)
{
	int64_t dim[NPU_GRAPH_RANK_MAX] = { 1, 1, 1, 1, 1 };
	uint64_t elems = 1;
	struct nc_view factor;
	struct nc_loop lp;
	float *data;
	int r;

	for (unsigned int i = 0; n->op->code != NC_OP_SumPool && i < w->spatial; i++) {
		dim[2 + i] = w->out[i];
		elems *= (uint64_t)w->out[i];
	}
	data = nc_alloc_array(l->k->arena, elems, sizeof(*data));
	if (!data)
		return nc_node_error(l->diag, n, -ENOMEM, "out of memory");
	for (uint64_t e = 0; e < elems; e++)
		data[e] = recount(n, w, e);
	r = nc_legal_const(l, "", NPU_F32, w->spatial + 2, dim, data, &factor);
	if (r)
		return r;
	nc_loop_init(&lp, out->rank, out->dim);
	r = nc_map_op(&lp.m, NPU_UOP_FMUL, nc_loop_load(&lp, whole),
		      nc_loop_load(&lp, &factor), 0);
	r = nc_loop_store(&lp, out, r);
	return r ? r : nc_loop_emit(l, n, &lp);
}

/* Whether two views of one shape step alike, as values and their positions must. */
static bool same_steps(const struct nc_view *a, const struct nc_view *b)
{
	for (unsigned int i = 0; i < a->rank; i++)
		if (a->dim[i] > 1 && a->stride[i] != b->stride[i])
			return false;
	return true;
}

int nc_lower_pool(struct nc_legal *l, const struct nc_node *n)
{
	bool sum = n->op->code == NC_OP_SumPool;
	bool max = n->op->code == NC_OP_MaxPool || n->op->code == NC_OP_MaxPoolAt;
	struct kir_pool pool = { .average = !max, .index.tensor = KIR_NO_TENSOR };
	struct nc_view in, out, to, at;
	struct nc_window w;
	struct kir_op *op;
	bool again, apart = false;
	int ret = window(l, n, nc_out(l->g, n, 0), &w, &pool.win);

	ret = ret ? ret : nc_legal_in(l, n, 0, &in);
	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (ret)
		return ret;
	pool.count_pad = sum || (pool.average && nc_attr(n, "count_include_pad")->i);
	again = sum || (pool.count_pad && w.ceil);
	to = out;
	if (n->op->code == NC_OP_MaxPoolAt) {
		ret = nc_legal_temp(l, NPU_I32, out.rank, out.dim, l->val[n->out[0]].order, &at);
		if (ret)
			return ret;
		nc_legal_set(l, n, 1, &at);
		pool.index = image_view(&at);
		apart = !same_steps(&out, &at);
	}
	if (again || apart)
		ret = nc_legal_temp(l, NPU_F32, out.rank, out.dim, l->val[n->out[0]].order, &to);
	if (ret)
		return ret;
	pool.in = image_view(&in);
	pool.out = image_view(&to);
	op = nc_legal_op(l, n, KIR_POOL);
	if (!op)
		return l->err;
	op->pool = pool;
	if (apart)
		return nc_legal_copy(l, n, &to, &out);
	return again ? rescale(l, n, &w, &to, &out) : 0;
}

/* @v, or a copy of it in the order of output 0. */
static int in_order(struct nc_legal *l, const struct nc_node *n, enum npu_dtype dtype,
		    struct nc_view *v)
{
	struct nc_view to;
	int ret = nc_legal_temp(l, dtype, v->rank, v->dim, l->val[n->out[0]].order, &to);

	if (ret || same_steps(v, &to))
		return ret;
	ret = nc_legal_copy(l, n, v, &to);
	*v = to;
	return ret;
}

int nc_lower_unpool(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *dx = nc_out(l->g, n, 0);
	struct nc_view dy, at, out;
	struct kir_unpool unpool;
	struct nc_window w;
	struct kir_op *op;
	int ret = nc_unpool_window(l->g, n, &w);

	ret = ret ? ret : window_fields(l, n, dx, dx, &w, &unpool.win);
	ret = ret ? ret : nc_legal_in(l, n, 0, &dy);
	ret = ret ? ret : nc_legal_in_int(l, n, 1, &at);
	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (!ret && !same_steps(&dy, &at)) {
		ret = in_order(l, n, NPU_F32, &dy);
		ret = ret ? ret : in_order(l, n, NPU_I32, &at);
	}
	if (ret)
		return ret;
	unpool.in = image_view(&dy);
	unpool.index = image_view(&at);
	unpool.out = image_view(&out);
	op = nc_legal_op(l, n, KIR_UNPOOL);
	if (!op)
		return l->err;
	op->unpool = unpool;
	return 0;
}
