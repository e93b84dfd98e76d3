/* SPDX-License-Identifier: MIT */
/*
 * Footprints: which bytes a legal descriptor touches, and whether they lie
 * inside the memories. Bounds of the checker, hazards of the strict mode and
 * the compiler's verifier all come from here.
 */
#include <stdbool.h>
#include "npu_check.h"

#define DIMS_MAX 8

struct builder {
	const struct npu_limits *limits;
	const uint64_t *regs;
	struct npu_access *access;
	unsigned int count;
};

/* Lattice of an operand: dims outermost first, steps in bytes. */
struct lattice {
	unsigned int dims;
	uint64_t dim[DIMS_MAX];
	int64_t step_bytes[DIMS_MAX];
};

enum mode {
	READ = 1,
	WRITE = 2,
	UPDATE = READ | WRITE,
};

static void add_dim(struct lattice *l, uint64_t dim, int64_t step_bytes)
{
	/* A dimension of 1 has no step, one of step 0 adds no address. */
	if (dim <= 1 || step_bytes == 0)
		return;
	l->dim[l->dims] = dim;
	l->step_bytes[l->dims] = step_bytes;
	l->dims++;
}

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

/*
 * Every byte of the bounding interval is touched: true exactly when, taken by
 * rising step, no step is longer than what the smaller ones cover together.
 */
static bool is_contiguous(const struct lattice *l, unsigned int elem_bytes)
{
	uint64_t cover = elem_bytes;
	bool used[DIMS_MAX] = { false };

	for (unsigned int round = 0; round < l->dims; round++) {
		unsigned int best = DIMS_MAX;

		for (unsigned int i = 0; i < l->dims; i++) {
			if (used[i])
				continue;
			if (best == DIMS_MAX ||
			    magnitude(l->step_bytes[i]) < magnitude(l->step_bytes[best]))
				best = i;
		}
		used[best] = true;
		if (magnitude(l->step_bytes[best]) > cover)
			return false;
		cover += (l->dim[best] - 1) * magnitude(l->step_bytes[best]);
	}
	return true;
}

/* Interval relative to element 0. False when it does not fit 63 bits. */
static bool bounding(const struct lattice *l, unsigned int elem_bytes, int64_t *lo, int64_t *hi)
{
	*lo = 0;
	*hi = elem_bytes;
	for (unsigned int i = 0; i < l->dims; i++) {
		int64_t reach;

		if (__builtin_mul_overflow(l->dim[i] - 1, l->step_bytes[i], &reach) ||
		    __builtin_add_overflow(reach < 0 ? *lo : *hi, reach, reach < 0 ? lo : hi))
			return false;
	}
	return true;
}

static void add_range(struct builder *b, const struct npu_access *proto, const struct lattice *l,
		      int64_t base, bool base_fits, enum mode mode)
{
	struct npu_access a = *proto;
	bool fits = base_fits && bounding(l, a.elem_bytes, &a.lo_bytes, &a.hi_bytes) &&
		!__builtin_add_overflow(a.lo_bytes, base, &a.lo_bytes) &&
		!__builtin_add_overflow(a.hi_bytes, base, &a.hi_bytes);

	if (fits) {
		a.contiguous = is_contiguous(l, a.elem_bytes);
	} else {
		a.lo_bytes = INT64_MIN;
		a.hi_bytes = INT64_MAX;
	}
	if (mode & READ)
		b->access[b->count++] = a;
	a.write = 1;
	if (mode & WRITE)
		b->access[b->count++] = a;
}

/* Operand in SPM or ACC; strides in elements. */
static void add_ref(struct builder *b, const char *name, const struct npu_ref *ref,
		    enum mode mode, unsigned int dims, const uint64_t *dim, const int32_t *stride)
{
	unsigned int elem_bytes = npu_dtype_bytes(ref->dtype);
	bool resolve = b->regs && ref->reg < NPU_REGS;
	int64_t base = (int64_t)ref->addr + (resolve ? (uint32_t)b->regs[ref->reg] : 0);
	struct lattice l = { .dims = 0 };
	struct npu_access proto = {
		.space = ref->space,
		.elem_bytes = (uint8_t)elem_bytes,
		.reg = b->regs ? NPU_REG_NONE : ref->reg,
		.name = name,
	};

	for (unsigned int i = 0; i < dims; i++)
		add_dim(&l, dim[i], (int64_t)stride[i] * elem_bytes);
	add_range(b, &proto, &l, base, true, mode);
}

static void add_vector(struct builder *b, const char *name, const struct npu_ref *ref,
		       enum mode mode, uint64_t elems)
{
	static const int32_t one = 1;

	add_ref(b, name, ref, mode, 1, &elems, &one);
}

/* Three strides, the innermost dimension contiguous. */
static void add_rows(struct builder *b, const char *name, const struct npu_ref *ref,
		     enum mode mode, const uint64_t dim[4], const int32_t stride[3])
{
	const int32_t full[4] = { stride[0], stride[1], stride[2], 1 };

	add_ref(b, name, ref, mode, 4, dim, full);
}

static void add_mem(struct builder *b, const struct npu_mem *mem, enum mode mode,
		    const struct lattice *l)
{
	uint64_t base = (uint64_t)mem->offset_bytes + (b->regs ? b->regs[mem->reg] : 0);
	bool fits = !b->regs || base <= INT64_MAX;
	struct npu_access proto = {
		.space = NPU_SPACE_MEM,
		.elem_bytes = (uint8_t)npu_dtype_bytes(mem->dtype),
		.reg = b->regs ? NPU_REG_NONE : mem->reg,
		.name = "mem",
	};

	add_range(b, &proto, l, (int64_t)base, fits, mode);
}

static void dma_accesses(struct builder *b, const struct npu_desc_dma *d)
{
	bool load = d->hdr.opcode == NPU_OP_LOAD;
	struct lattice l = { .dims = 0 };
	uint64_t dim[5];

	for (unsigned int i = 0; i < 5; i++) {
		dim[i] = d->dim[i];
		add_dim(&l, d->dim[i], d->mem.stride_bytes[i]);
	}
	add_mem(b, &d->mem, load ? READ : WRITE, &l);
	add_ref(b, "spm", &d->spm, load ? WRITE : READ, 5, dim, d->spm_stride);
}

static void fill_accesses(struct builder *b, const struct npu_desc_fill *d)
{
	uint64_t dim[5];

	for (unsigned int i = 0; i < 5; i++)
		dim[i] = d->dim[i];
	add_ref(b, "spm", &d->spm, WRITE, 5, dim, d->spm_stride);
}

/* Memory: every row that the limits allow. */
static void gather_accesses(struct builder *b, const struct npu_desc_gather *d)
{
	const uint64_t dim[4] = { d->dim[0], d->dim[1], d->dim[2], d->row_elems };
	const int32_t stride[4] = { d->spm_stride[0], d->spm_stride[1], d->spm_stride[2], 1 };
	const uint64_t index[4] = { d->dim[0], d->dim[1], d->dim[2], npu_gather_coords(d) };
	bool gather = d->hdr.opcode == NPU_OP_GATHER;
	enum mode table = gather ? READ : d->hdr.flags & NPU_F_ADD ? UPDATE : WRITE;
	struct lattice l = { .dims = 0 };

	for (unsigned int i = 0; i < 3; i++)
		add_dim(&l, d->dim[i], d->mem.stride_bytes[i]);
	for (unsigned int i = 0; i < NPU_GATHER_COORDS; i++)
		add_dim(&l, d->limit[i], d->step_bytes[i]);
	add_dim(&l, d->row_elems, npu_dtype_bytes(d->mem.dtype));
	add_mem(b, &d->mem, table, &l);
	add_ref(b, "spm", &d->spm, gather ? WRITE : READ, 4, dim, stride);
	add_ref(b, "index", &d->index, READ, 4, index, d->index_stride);
}

/* Packed weights, the padding columns of the last panel included. */
static uint64_t weight_elems(const struct builder *b, const struct npu_conv_shape *s,
			     unsigned int flags)
{
	if (flags & NPU_F_DEPTHWISE)
		return (uint64_t)s->kh * s->kw * s->c;
	return npu_weight_elems(s->k, s->c, s->kh, s->kw, b->limits->array_cols);
}

static void conv_accesses(struct builder *b, const struct npu_desc_conv *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const uint64_t in_dim[4] = { s->n, s->h, s->w, s->c };
	const uint64_t out_dim[4] = { s->n, s->oh, s->ow, s->k };
	enum mode acc = d->hdr.flags & NPU_F_ACCUMULATE ? UPDATE : WRITE;

	add_rows(b, "in", &d->in, READ, in_dim, d->in_stride);
	add_vector(b, "weights", &d->weights, READ,
		   weight_elems(b, s, d->hdr.flags));
	if (d->hdr.flags & NPU_F_BIAS)
		add_vector(b, "bias", &d->bias, READ, s->k);
	add_rows(b, "acc", &d->acc, acc, out_dim, d->acc_stride);
}

/*
 * WGRAD leaves the padding columns of the last panel alone. The rows of all
 * panels are cols apart; that the first panels fill theirs moves no bound.
 */
static void packed_gradients(struct builder *b, const struct npu_desc_wgrad *d, enum mode mode)
{
	const struct npu_conv_shape *s = &d->shape;
	uint32_t cols = b->limits->array_cols;
	uint64_t rows = (uint64_t)s->c * s->kh * s->kw;

	if (d->hdr.flags & NPU_F_DEPTHWISE || s->k % cols == 0) {
		add_vector(b, "acc", &d->acc, mode, weight_elems(b, s, d->hdr.flags));
	} else if (rows == 1) {
		add_vector(b, "acc", &d->acc, mode, s->k);
	} else {
		const uint64_t dim[2] = { (s->k + (uint64_t)cols - 1) / cols * rows, s->k % cols };
		const int32_t stride[2] = { (int32_t)cols, 1 };

		add_ref(b, "acc", &d->acc, mode, 2, dim, stride);
	}
}

static void wgrad_accesses(struct builder *b, const struct npu_desc_wgrad *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const uint64_t in_dim[4] = { s->n, s->h, s->w, s->c };
	const uint64_t dy_dim[4] = { s->n, s->oh, s->ow, s->k };
	enum mode acc = d->hdr.flags & NPU_F_ACCUMULATE ? UPDATE : WRITE;

	add_rows(b, "in", &d->in, READ, in_dim, d->in_stride);
	add_rows(b, "dy", &d->dy, READ, dy_dim, d->dy_stride);
	packed_gradients(b, d, acc);
}

static void matmul_accesses(struct builder *b, const struct npu_desc_matmul *d)
{
	const uint64_t a_dim[4] = { d->dim[0], d->dim[1], d->dim[2], d->dim[4] };
	const uint64_t b_dim[4] = { d->dim[0], d->dim[1], d->dim[4], d->dim[3] };
	const uint64_t acc_dim[4] = { d->dim[0], d->dim[1], d->dim[2], d->dim[3] };
	enum mode acc = d->hdr.flags & NPU_F_ACCUMULATE ? UPDATE : WRITE;

	add_ref(b, "a", &d->a, READ, 4, a_dim, d->a_stride);
	add_ref(b, "b", &d->b, READ, 4, b_dim, d->b_stride);
	if (d->hdr.flags & NPU_F_BIAS)
		add_vector(b, "bias", &d->bias, READ, d->dim[3]);
	add_rows(b, "acc", &d->acc, acc, acc_dim, d->acc_stride);
}

static void map_accesses(struct builder *b, const struct npu_desc_map *d)
{
	static const char *const name[NPU_MAP_OPERANDS] = {
		"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
	};
	const uint64_t dim[4] = { d->dim[0], d->dim[1], d->dim[2], d->dim[3] };
	const uint32_t *uop = npu_map_uops(d);
	unsigned int mode[NPU_MAP_OPERANDS] = { 0 };

	for (unsigned int i = 0; i < d->uops; i++) {
		if (NPU_UOP_OP(uop[i]) == NPU_UOP_LD)
			mode[NPU_UOP_A(uop[i])] |= READ;
		else if (NPU_UOP_OP(uop[i]) == NPU_UOP_ST)
			mode[NPU_UOP_DST(uop[i])] |= WRITE;
	}
	for (unsigned int i = 0; i < d->operands; i++)
		add_ref(b, name[i], &d->view[i].ref, mode[i], 4, dim, d->view[i].stride);
}

static void reduce_accesses(struct builder *b, const struct npu_desc_reduce *d)
{
	const bool lanes_in = d->hdr.flags & NPU_F_LANES_IN;
	const bool lanes_out = d->hdr.flags & NPU_F_LANES_OUT;
	uint64_t in_dim[4], out_dim[5];
	int32_t out_stride[5];

	for (unsigned int i = 0; i < 4; i++) {
		in_dim[i] = d->dim[i];
		out_dim[i] = d->axes & 1u << i ? 1 : d->dim[i];
		out_stride[i] = d->out.stride[i];
	}
	out_stride[4] = 1;
	add_ref(b, "in", &d->in.ref, READ, 4, in_dim, d->in.stride);
	out_dim[4] = NPU_REDUCE_LANES;
	if (lanes_in)
		add_ref(b, "out", &d->out.ref, READ, 5, out_dim, out_stride);
	out_dim[4] = lanes_out ? NPU_REDUCE_LANES : 1;
	add_ref(b, "out", &d->out.ref, WRITE, 5, out_dim, out_stride);
}

static void pool_accesses(struct builder *b, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const uint64_t big[4] = { s->n, s->h, s->w, s->c };
	const uint64_t small[4] = { s->n, s->oh, s->ow, s->c };
	bool pool = d->hdr.opcode == NPU_OP_POOL;

	add_rows(b, "in", &d->in, READ, pool ? big : small, d->in_stride);
	add_rows(b, "out", &d->out, pool ? WRITE : UPDATE, pool ? small : big, d->out_stride);
	if (d->hdr.flags & NPU_F_POOL_INDEX)
		add_rows(b, "index", &d->index, pool ? WRITE : READ, small,
			 pool ? d->out_stride : d->in_stride);
}

unsigned int npu_desc_accesses(const struct npu_limits *limits, const void *desc,
			       const uint64_t *regs,
			       struct npu_access access[NPU_ACCESSES_MAX])
{
	const struct npu_desc_hdr *hdr = desc;
	struct builder b = { .limits = limits, .regs = regs, .access = access };

	switch (hdr->opcode) {
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
		dma_accesses(&b, desc);
		break;
	case NPU_OP_FILL:
		fill_accesses(&b, desc);
		break;
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		gather_accesses(&b, desc);
		break;
	case NPU_OP_CONV:
		conv_accesses(&b, desc);
		break;
	case NPU_OP_WGRAD:
		wgrad_accesses(&b, desc);
		break;
	case NPU_OP_MATMUL:
		matmul_accesses(&b, desc);
		break;
	case NPU_OP_MAP:
		map_accesses(&b, desc);
		break;
	case NPU_OP_REDUCE:
		reduce_accesses(&b, desc);
		break;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		pool_accesses(&b, desc);
		break;
	default:
		break;
	}
	return b.count;
}
