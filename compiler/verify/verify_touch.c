/* SPDX-License-Identifier: MIT */
/* What each instruction reads and writes, from HW 8 to 10. */
#include "verify.h"

#include <string.h>

#include "npu_check.h"

struct list {
	struct touch *touch;
	unsigned int count;
};

static struct touch *add(struct list *l, const char *name, const struct npu_ref *ref, bool write,
			 unsigned int dims, const uint64_t *dim, const int32_t *stride)
{
	struct touch *t = &l->touch[l->count++];

	*t = (struct touch){
		.name = name,
		.space = ref->space,
		.reg = ref->reg,
		.write = write,
		.elem_bytes = npu_dtype_bytes(ref->dtype),
		.base_bytes = ref->addr,
		.dims = dims,
	};
	for (unsigned int i = 0; i < dims; i++) {
		t->dim[i] = dim[i];
		t->step_bytes[i] = (int64_t)stride[i] * t->elem_bytes;
	}
	return t;
}

static void add_vector(struct list *l, const char *name, const struct npu_ref *ref, uint64_t elems)
{
	add(l, name, ref, false, 1, &elems, (int32_t[]){ 1 });
}

/* Three strides and a contiguous innermost dimension. */
static void add_image(struct list *l, const char *name, const struct npu_ref *ref, bool write,
		      const int32_t stride[3], uint64_t n, uint64_t h, uint64_t w, uint64_t c)
{
	add(l, name, ref, write, 4, (uint64_t[]){ n, h, w, c },
	    (int32_t[]){ stride[0], stride[1], stride[2], 1 });
}

static void dma(struct list *l, const struct npu_desc_dma *d)
{
	bool load = d->hdr.opcode == NPU_OP_LOAD;
	uint64_t dim[5];

	for (unsigned int i = 0; i < 5; i++)
		dim[i] = d->dim[i];
	for (unsigned int pass = 0; pass < 2; pass++) {
		struct touch *t;

		if ((pass == 0) != load) {
			add(l, "spm", &d->spm, load, 5, dim, d->spm_stride);
			continue;
		}
		t = &l->touch[l->count++];
		*t = (struct touch){
			.name = "mem",
			.space = NPU_SPACE_MEM,
			.reg = d->mem.reg,
			.write = !load,
			.elem_bytes = npu_dtype_bytes(d->mem.dtype),
			.base_bytes = d->mem.offset_bytes,
			.dims = 5,
		};
		for (unsigned int i = 0; i < 5; i++) {
			t->dim[i] = d->dim[i];
			t->step_bytes[i] = d->mem.stride_bytes[i];
		}
	}
}

static void fill(struct list *l, const struct npu_desc_fill *d)
{
	uint64_t dim[5];

	for (unsigned int i = 0; i < 5; i++)
		dim[i] = d->dim[i];
	add(l, "spm", &d->spm, true, 5, dim, d->spm_stride);
}

/* Memory: every row that the limits allow; a SCATTER leaves some of it as it was. */
static void gather(struct list *l, const struct npu_desc_gather *d)
{
	const uint64_t dim[4] = { d->dim[0], d->dim[1], d->dim[2], d->row_elems };
	const int32_t stride[4] = { d->spm_stride[0], d->spm_stride[1], d->spm_stride[2], 1 };
	struct touch table = {
		.name = "mem",
		.space = NPU_SPACE_MEM,
		.reg = d->mem.reg,
		.elem_bytes = npu_dtype_bytes(d->mem.dtype),
		.base_bytes = d->mem.offset_bytes,
	};
	uint64_t index[4] = { d->dim[0], d->dim[1], d->dim[2], 0 };
	bool scatter = d->hdr.opcode == NPU_OP_SCATTER;

	for (unsigned int i = 0; i < 3; i++)
		if (d->mem.stride_bytes[i]) {
			table.dim[table.dims] = d->dim[i];
			table.step_bytes[table.dims++] = d->mem.stride_bytes[i];
		}
	for (; index[3] < NPU_GATHER_COORDS && d->limit[index[3]]; index[3]++) {
		if (d->step_bytes[index[3]]) {
			table.dim[table.dims] = d->limit[index[3]];
			table.step_bytes[table.dims++] = d->step_bytes[index[3]];
		}
	}
	table.dim[table.dims] = d->row_elems;
	table.step_bytes[table.dims++] = table.elem_bytes;
	l->touch[l->count++] = table;
	add(l, "index", &d->index, false, 4, index, d->index_stride);
	add(l, "spm", &d->spm, !scatter, 4, dim, stride);
	if (!scatter)
		return;
	table.write = true;
	table.shared = true;
	l->touch[l->count++] = table;
}

static void conv(struct list *l, const struct npu_desc_conv *d, uint32_t cols)
{
	const struct npu_conv_shape *s = &d->shape;
	uint64_t taps = (uint64_t)s->kh * s->kw;
	uint64_t panels = ((uint64_t)s->k + cols - 1) / cols;

	add_image(l, "in", &d->in, false, d->in_stride, s->n, s->h, s->w, s->c);
	add_vector(l, "weights", &d->weights, d->hdr.flags & NPU_F_DEPTHWISE ?
		   taps * s->c : panels * cols * s->c * taps);
	if (d->hdr.flags & NPU_F_BIAS)
		add_vector(l, "bias", &d->bias, s->k);
	if (d->hdr.flags & NPU_F_ACCUMULATE)
		add_image(l, "acc", &d->acc, false, d->acc_stride, s->n, s->oh, s->ow, s->k);
	add_image(l, "acc", &d->acc, true, d->acc_stride, s->n, s->oh, s->ow, s->k);
	l->touch[l->count - 1].shared = d->hdr.flags & NPU_F_ACCUMULATE;
}

/* Packed gradients: panels that are whole, then the columns that the last one has. */
static void add_gradients(struct list *l, const struct npu_desc_wgrad *d, bool write,
			  uint32_t cols)
{
	const struct npu_conv_shape *s = &d->shape;
	bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;
	bool shared = write && d->hdr.flags & NPU_F_ACCUMULATE;
	uint64_t rows = (uint64_t)s->kh * s->kw * s->c;
	uint64_t whole = depthwise ? rows : s->k / cols * rows * cols;
	uint64_t rest = depthwise ? 0 : s->k % cols;
	struct npu_ref last = d->acc;

	last.addr += (uint32_t)(whole * npu_dtype_bytes(last.dtype));
	if (whole)
		add(l, "acc", &d->acc, write, 1, &whole, (int32_t[]){ 1 })->shared = shared;
	if (rest)
		add(l, "acc", &last, write, 2, (uint64_t[]){ rows, rest },
		    (int32_t[]){ (int32_t)cols, 1 })->shared = shared;
}

static void wgrad(struct list *l, const struct npu_desc_wgrad *d, uint32_t cols)
{
	const struct npu_conv_shape *s = &d->shape;

	add_image(l, "in", &d->in, false, d->in_stride, s->n, s->h, s->w, s->c);
	add_image(l, "dy", &d->dy, false, d->dy_stride, s->n, s->oh, s->ow, s->k);
	if (d->hdr.flags & NPU_F_ACCUMULATE)
		add_gradients(l, d, false, cols);
	add_gradients(l, d, true, cols);
}

static void matmul(struct list *l, const struct npu_desc_matmul *d)
{
	uint64_t b0 = d->dim[0], b1 = d->dim[1], m = d->dim[2], n = d->dim[3], k = d->dim[4];

	add(l, "a", &d->a, false, 4, (uint64_t[]){ b0, b1, m, k }, d->a_stride);
	add(l, "b", &d->b, false, 4, (uint64_t[]){ b0, b1, k, n }, d->b_stride);
	if (d->hdr.flags & NPU_F_BIAS)
		add_vector(l, "bias", &d->bias, n);
	if (d->hdr.flags & NPU_F_ACCUMULATE)
		add_image(l, "acc", &d->acc, false, d->acc_stride, b0, b1, m, n);
	add_image(l, "acc", &d->acc, true, d->acc_stride, b0, b1, m, n);
	l->touch[l->count - 1].shared = d->hdr.flags & NPU_F_ACCUMULATE;
}

static void map(struct list *l, const struct npu_desc_map *d)
{
	static const char *const name[NPU_MAP_OPERANDS] = {
		"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
	};
	uint64_t dim[4] = { d->dim[0], d->dim[1], d->dim[2], d->dim[3] };
	const uint32_t *uop = npu_map_uops(d);
	uint32_t loaded = 0, stored = 0;

	for (unsigned int i = 0; i < d->uops; i++) {
		if (NPU_UOP_OP(uop[i]) == NPU_UOP_LD)
			loaded |= 1u << NPU_UOP_A(uop[i]);
		else if (NPU_UOP_OP(uop[i]) == NPU_UOP_ST)
			stored |= 1u << NPU_UOP_DST(uop[i]);
	}
	for (unsigned int i = 0; i < d->operands; i++)
		if (loaded >> i & 1)
			add(l, name[i], &d->view[i].ref, false, 4, dim, d->view[i].stride);
	for (unsigned int i = 0; i < d->operands; i++) {
		struct touch *t;

		if (!(stored >> i & 1))
			continue;
		t = add(l, name[i], &d->view[i].ref, true, 4, dim, d->view[i].stride);
		for (unsigned int j = 0; j < d->operands; j++)
			if (loaded >> j & 1 && !memcmp(&d->view[i], &d->view[j], sizeof(d->view[i])))
				t->shared = true;
	}
}

static void reduce(struct list *l, const struct npu_desc_reduce *d)
{
	uint64_t in[4], out[5];
	int32_t stride[5] = { 0, 0, 0, 0, 1 };

	for (unsigned int i = 0; i < 4; i++) {
		in[i] = d->dim[i];
		out[i] = d->axes >> i & 1 ? 1 : d->dim[i];
		stride[i] = d->out.stride[i];
	}
	add(l, "in", &d->in.ref, false, 4, in, d->in.stride);
	out[4] = NPU_REDUCE_LANES;
	if (d->hdr.flags & NPU_F_LANES_IN)
		add(l, "out", &d->out.ref, false, 5, out, stride);
	if (!(d->hdr.flags & NPU_F_LANES_OUT))
		out[4] = 1;
	add(l, "out", &d->out.ref, true, 5, out, stride)->shared = d->hdr.flags & NPU_F_LANES_IN;
}

static void pool(struct list *l, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;

	if (d->hdr.opcode == NPU_OP_POOL) {
		add_image(l, "in", &d->in, false, d->in_stride, s->n, s->h, s->w, s->c);
		add_image(l, "out", &d->out, true, d->out_stride, s->n, s->oh, s->ow, s->c);
		if (d->hdr.flags & NPU_F_POOL_INDEX)
			add_image(l, "index", &d->index, true, d->out_stride, s->n, s->oh, s->ow, s->c);
		return;
	}
	add_image(l, "in", &d->in, false, d->in_stride, s->n, s->oh, s->ow, s->c);
	add_image(l, "index", &d->index, false, d->in_stride, s->n, s->oh, s->ow, s->c);
	add_image(l, "out", &d->out, false, d->out_stride, s->n, s->h, s->w, s->c);
	add_image(l, "out", &d->out, true, d->out_stride, s->n, s->h, s->w, s->c);
	l->touch[l->count - 1].shared = true;
}

unsigned int verify_touches(const void *desc, uint32_t array_cols,
			    struct touch touch[VERIFY_TOUCHES])
{
	const struct npu_desc_hdr *hdr = desc;
	struct list l = { .touch = touch };

	switch (hdr->opcode) {
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
		dma(&l, desc);
		break;
	case NPU_OP_FILL:
		fill(&l, desc);
		break;
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		gather(&l, desc);
		break;
	case NPU_OP_CONV:
		conv(&l, desc, array_cols);
		break;
	case NPU_OP_WGRAD:
		wgrad(&l, desc, array_cols);
		break;
	case NPU_OP_MATMUL:
		matmul(&l, desc);
		break;
	case NPU_OP_MAP:
		map(&l, desc);
		break;
	case NPU_OP_REDUCE:
		reduce(&l, desc);
		break;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		pool(&l, desc);
		break;
	default:
		return UINT32_MAX;
	}
	return l.count;
}

/* Dimensions that move, outermost step first; the innermost ones make up @run_bytes. */
static unsigned int split_runs(const struct touch *t, uint64_t *dim, int64_t *step,
			       int64_t *base, uint64_t *run_bytes)
{
	unsigned int n = 0;

	*base = t->base_bytes;
	for (unsigned int i = 0; i < t->dims; i++) {
		int64_t s = t->step_bytes[i];
		unsigned int at = n;

		if (t->dim[i] <= 1 || (s == 0 && !t->write))
			continue;
		if (s < 0) {
			*base += s * (int64_t)(t->dim[i] - 1);
			s = -s;
		}
		for (; at > 0 && step[at - 1] < s; at--) {
			dim[at] = dim[at - 1];
			step[at] = step[at - 1];
		}
		dim[at] = t->dim[i];
		step[at] = s;
		n++;
	}
	*run_bytes = t->elem_bytes;
	while (n && step[n - 1] == (int64_t)*run_bytes)
		*run_bytes *= dim[--n];
	return n;
}

int verify_runs(const struct touch *t, int (*fn)(void *arg, int64_t lo_bytes, uint64_t bytes),
		void *arg)
{
	uint64_t dim[VERIFY_DIMS], index[VERIFY_DIMS] = { 0 }, run_bytes;
	int64_t step[VERIFY_DIMS], at;
	unsigned int n = split_runs(t, dim, step, &at, &run_bytes);

	for (;;) {
		unsigned int d = n;
		int ret = fn(arg, at, run_bytes);

		if (ret)
			return ret;
		for (; d > 0; d--) {
			at += step[d - 1];
			if (++index[d - 1] < dim[d - 1])
				break;
			at -= step[d - 1] * (int64_t)dim[d - 1];
			index[d - 1] = 0;
		}
		if (!d)
			return 0;
	}
}
