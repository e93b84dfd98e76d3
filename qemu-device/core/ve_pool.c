/* SPDX-License-Identifier: MIT */
/* POOL (HW 9.4): a kernel per output position, over all its channels. */
#include "ve_pool.h"

struct pool {
	const struct npu_exec *x;
	struct npu_conv_shape s;
	const float *in;
	float *out;
	ptrdiff_t in_stride[3];
	ptrdiff_t out_stride[3];
	uint32_t *index;	/* strides as out, or NULL */
	uint32_t index_base;
	uint32_t index_row;
	bool average;
	bool count_pad;
	uint64_t rows;	/* of outputs: n * oh */
	uint32_t parts;
};

static void pool_row(const struct pool *v, uint64_t row)
{
	const struct npu_conv_shape *s = &v->s;
	const uint32_t n = (uint32_t)(row / s->oh), oh = (uint32_t)(row % s->oh);
	const int64_t top = (int64_t)oh * s->stride_h - s->pad_top;
	const float *image = v->in + n * v->in_stride[0];
	struct npu_kern_pool p = {
		.row_step = s->dil_h * v->in_stride[1],
		.col_step = s->dil_w * v->in_stride[2],
		.position_row = s->dil_h * v->index_row,
		.position_col = s->dil_w,
		.channels = s->c,
		.cancel = v->x->cancel,
	};
	uint32_t y0, y1;

	pool_window(top, s->kh, s->dil_h, s->h, &y0, &y1);
	for (uint32_t ow = 0; ow < s->ow; ow++) {
		const int64_t left = (int64_t)ow * s->stride_w - s->pad_left;
		const ptrdiff_t at = n * v->out_stride[0] + oh * v->out_stride[1] +
				     ow * v->out_stride[2];
		uint32_t x0, x1;

		pool_window(left, s->kw, s->dil_w, s->w, &x0, &x1);
		p.rows = y1 - y0;
		p.cols = x1 - x0;
		if (!p.rows || !p.cols)
			p.rows = p.cols = 0;
		else
			p.src = image + (top + (int64_t)y0 * s->dil_h) * v->in_stride[1] +
				(left + (int64_t)x0 * s->dil_w) * v->in_stride[2];
		p.out = v->out + at;
		if (v->index) {
			p.index = v->index + at;
			p.position = pool_position(v->index_base, v->index_row,
						   top + (int64_t)y0 * s->dil_h,
						   left + (int64_t)x0 * s->dil_w);
			v->x->kern->pool_max_index(&p);
			continue;
		}
		if (!v->average) {
			v->x->kern->pool_max(&p);
			continue;
		}
		p.divisor = v->count_pad ? (float)((uint32_t)s->kh * s->kw) :
			    p.rows ? (float)(p.rows * p.cols) : 1.0f;
		v->x->kern->pool_avg(&p);
	}
}

static void pool_part(void *arg, uint32_t part)
{
	const struct pool *v = arg;
	const uint64_t end = npu_part_first(v->rows, v->parts, part + 1);

	for (uint64_t r = npu_part_first(v->rows, v->parts, part); r < end; r++) {
		if (npu_cancelled(v->x))
			return;
		pool_row(v, r);
	}
}

enum npu_fault_code npu_ve_pool(const struct npu_exec *x, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	struct pool v = {
		.x = x,
		.s = *s,
		.in = npu_operand(x, &d->in),
		.out = npu_operand(x, &d->out),
		.average = d->hdr.flags & NPU_F_POOL_AVERAGE,
		.count_pad = d->hdr.flags & NPU_F_POOL_COUNT_PAD,
		.rows = (uint64_t)s->n * s->oh,
	};

	if (d->hdr.flags & NPU_F_POOL_INDEX) {
		v.index = npu_operand(x, &d->index);
		v.index_base = (uint32_t)d->index_base;
		v.index_row = (uint32_t)d->index_row;
	}
	for (int i = 0; i < 3; i++) {
		v.in_stride[i] = d->in_stride[i];
		v.out_stride[i] = d->out_stride[i];
	}
	v.parts = npu_engine_parts(x, v.rows, v.rows * s->ow * s->c * s->kh * s->kw);
	npu_engine_run(x, pool_part, &v, v.parts);
	return NPU_FAULT_NONE;
}
