/* SPDX-License-Identifier: MIT */
/* Legality of one descriptor: npu_check_desc() and npu_check_bounds(). */
#include <stdbool.h>
#include "npu_check.h"
#include "npu_fields.h"

/* Sets of enum npu_dtype and enum npu_mem_space, as bits. */
#define T(dtype)	(1u << NPU_##dtype)
#define T_WORD		(T(F32) | T(I32))
#define T_BYTE		(T(I8) | T(U8))
#define T_SPM		(T_WORD | T_BYTE | T(BF16))
#define S_SPM		(1u << NPU_SPACE_SPM)
#define S_ACC		(1u << NPU_SPACE_ACC)

struct check {
	const struct npu_limits *limits;
	const void *desc;
	const struct npu_desc_hdr *hdr;
	struct npu_diag diag;
};

static enum npu_fault_code refuse(struct check *ck, enum npu_fault_code code,
				  const char *field, const char *text)
{
	ck->diag.code = code;
	ck->diag.field = field;
	ck->diag.text = text;
	return code;
}

static bool lacks(const struct check *ck, uint64_t cap)
{
	return (ck->limits->caps & cap) != cap;
}

/* ---- Length, reserved bytes, header ---- */

static enum npu_fault_code check_counts(struct check *ck, const struct npu_desc_map *d)
{
	if (d->operands < 1 || d->operands > NPU_MAP_OPERANDS)
		return refuse(ck, NPU_FAULT_OPERAND, "operands", "must be 1 .. 12");
	if (d->uops < 1 || d->uops > NPU_MAP_UOPS)
		return refuse(ck, NPU_FAULT_OPERAND, "uops", "must be 1 .. 64");
	if (d->consts > NPU_MAP_CONSTS)
		return refuse(ck, NPU_FAULT_OPERAND, "consts", "must be 0 .. 32");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_length(struct check *ck, size_t avail_bytes)
{
	size_t lines = (npu_desc_bytes(ck->desc) + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES;

	if (lines > NPU_DESC_LINES_MAX)
		return refuse(ck, NPU_FAULT_OPERAND, "uops",
			      "operands, micro-ops and constants exceed 8 lines");
	if (ck->hdr->lines != lines)
		return refuse(ck, NPU_FAULT_RESERVED, "lines",
			      "must be the exact length of the instruction");
	if (lines * NPU_LINE_BYTES > avail_bytes)
		return refuse(ck, NPU_FAULT_CMD_END, "lines",
			      "the stream ends inside the descriptor");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_reserved(struct check *ck)
{
	if (!npu_reserved_is_clear(ck->desc))
		return refuse(ck, NPU_FAULT_RESERVED, "reserved",
			      "a byte that the instruction does not use is not 0");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_flags(struct check *ck)
{
	unsigned int left = ck->hdr->flags;

	for (const struct npu_flag *f = npu_op_flags(ck->hdr->opcode); f->bit; f++) {
		if (!(left & f->bit))
			continue;
		if (lacks(ck, f->cap))
			return refuse(ck, NPU_FAULT_UNSUPPORTED, "flags",
				      "the device lacks the capability of a flag");
		left &= ~(unsigned int)f->bit;
	}
	if (left)
		return refuse(ck, NPU_FAULT_RESERVED, "flags", "a flag that the instruction lacks");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_ports(struct check *ck, const char *field,
				       const struct npu_sem_ref port[NPU_SEM_PORTS])
{
	bool loop = ck->hdr->opcode == NPU_OP_LOOP || ck->hdr->opcode == NPU_OP_ENDL;

	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		if (!port[i].count && !port[i].sem)
			continue;
		if (!port[i].count)
			return refuse(ck, NPU_FAULT_RESERVED, field,
				      "semaphore of an unused port must be 0");
		if (loop)
			return refuse(ck, NPU_FAULT_OPERAND, field,
				      "LOOP and ENDL have no semaphore ports");
		if (port[i].sem >= NPU_SEMAPHORES)
			return refuse(ck, NPU_FAULT_OPERAND, field, "semaphore must be 0 .. 63");
		for (unsigned int j = 0; j < i; j++) {
			if (port[j].count && port[j].sem == port[i].sem)
				return refuse(ck, NPU_FAULT_OPERAND, field,
					      "two ports name the same semaphore");
		}
	}
	return NPU_FAULT_NONE;
}

/* ---- Building blocks ---- */

static enum npu_fault_code check_dtype(struct check *ck, const char *field, unsigned int dtype,
				       unsigned int types)
{
	uint64_t cap = 0;

	if (dtype >= NPU_DTYPES)
		return refuse(ck, NPU_FAULT_OPERAND, field, "unknown element type");
	if (!(types & 1u << dtype))
		return refuse(ck, NPU_FAULT_OPERAND, field, "element type not allowed here");
	if (T_BYTE & 1u << dtype)
		cap = NPU_CAP_INT8;
	else if (dtype == NPU_BF16)
		cap = NPU_CAP_BF16;
	if (lacks(ck, cap))
		return refuse(ck, NPU_FAULT_UNSUPPORTED, field,
			      "the device lacks the capability of the element type");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_ref(struct check *ck, const char *field,
				     const struct npu_ref *ref, unsigned int spaces,
				     unsigned int types)
{
	enum npu_fault_code code;

	if (ref->space > NPU_SPACE_ACC)
		return refuse(ck, NPU_FAULT_OPERAND, field, "space must be SPM or ACC");
	if (!(spaces & 1u << ref->space))
		return refuse(ck, NPU_FAULT_OPERAND, field, "operand is in the wrong space");
	if (ref->space == NPU_SPACE_ACC)
		types &= T_WORD;
	code = check_dtype(ck, field, ref->dtype, types);
	if (code)
		return code;
	if (ref->reg >= NPU_REGS && ref->reg != NPU_REG_NONE)
		return refuse(ck, NPU_FAULT_OPERAND, field, "register must be 0 .. 31 or 0xff");
	return NPU_FAULT_NONE;
}

/* Strides of dimensions of 1 reach no address and may be anything. */
static enum npu_fault_code check_mem(struct check *ck, const struct npu_mem *mem,
				     const uint32_t *dim, unsigned int dims)
{
	int32_t elem_bytes = (int32_t)npu_dtype_bytes(mem->dtype);

	/* Types that differ from SPM's need CAST, which check_cast() sees to. */
	if (mem->dtype >= NPU_DTYPES)
		return refuse(ck, NPU_FAULT_OPERAND, "mem", "unknown element type");
	if (mem->reg >= NPU_REGS)
		return refuse(ck, NPU_FAULT_OPERAND, "mem", "register must be 0 .. 31");
	for (unsigned int i = 0; i < dims; i++) {
		if (dim[i] > 1 && mem->stride_bytes[i] % elem_bytes)
			return refuse(ck, NPU_FAULT_ALIGN, "mem",
				      "stride not a multiple of the element size");
	}
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_dims(struct check *ck, const char *field, const uint32_t *dim,
				      unsigned int dims)
{
	uint64_t elems = 1;

	for (unsigned int i = 0; i < dims; i++) {
		if (!dim[i])
			return refuse(ck, NPU_FAULT_OPERAND, field, "must be at least 1");
		if (__builtin_mul_overflow(elems, (uint64_t)dim[i], &elems) ||
		    elems > NPU_ELEMS_MAX)
			return refuse(ck, NPU_FAULT_OPERAND, field, "more than 2^32 elements");
	}
	return NPU_FAULT_NONE;
}

/* @per_channel: one filter per channel, k equals c. */
static enum npu_fault_code check_shape(struct check *ck, const struct npu_conv_shape *s,
				       bool per_channel)
{
	const uint32_t image[] = { s->n, s->h, s->w, s->c };
	const uint32_t output[] = { s->n, s->oh, s->ow, s->k };
	const uint32_t filter[] = { s->kh, s->kw, s->c, per_channel ? 1 : s->k };
	enum npu_fault_code code;

	code = check_dims(ck, "n, h, w, c", image, 4);
	if (!code)
		code = check_dims(ck, "n, oh, ow, k", output, 4);
	if (!code)
		code = check_dims(ck, "kh, kw, c, k", filter, 4);
	if (code)
		return code;
	if (per_channel && s->k != s->c)
		return refuse(ck, NPU_FAULT_OPERAND, "k", "must equal c");
	if (!s->stride_h || !s->stride_w)
		return refuse(ck, NPU_FAULT_OPERAND, "stride_h, stride_w", "must be at least 1");
	if (!s->dil_h || !s->dil_w)
		return refuse(ck, NPU_FAULT_OPERAND, "dil_h, dil_w", "must be at least 1");
	if (!s->up_h || !s->up_w)
		return refuse(ck, NPU_FAULT_OPERAND, "up_h, up_w", "must be at least 1");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_init_flags(struct check *ck)
{
	const unsigned int both = NPU_F_BIAS | NPU_F_ACCUMULATE;

	if ((ck->hdr->flags & both) == both)
		return refuse(ck, NPU_FAULT_OPERAND, "flags", "BIAS excludes ACCUMULATE");
	return NPU_FAULT_NONE;
}

/*
 * Types of a product: x is F32 or BF16 with F32 sums, or I8/U8 with I32 sums;
 * y is as x, but I8 for bytes.
 */
static enum npu_fault_code check_product(struct check *ck, const char *x_name,
					 const struct npu_ref *x, const char *y_name,
					 const struct npu_ref *y)
{
	unsigned int x_types = T(F32) | T(BF16) | T_BYTE;
	enum npu_fault_code code = check_ref(ck, x_name, x, S_SPM, x_types);
	unsigned int y_types;

	if (code)
		return code;
	y_types = T_BYTE & 1u << x->dtype ? T(I8) : 1u << x->dtype;
	return check_ref(ck, y_name, y, S_SPM, y_types);
}

static unsigned int sum_types(unsigned int x_dtype)
{
	return T_BYTE & 1u << x_dtype ? T(I32) : T(F32);
}

/* ---- One function per descriptor body ---- */

static enum npu_fault_code check_loop(struct check *ck, const struct npu_desc_loop *d)
{
	if (d->count < 1 || d->count > 65535)
		return refuse(ck, NPU_FAULT_OPERAND, "count", "must be 1 .. 65535");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_endl(struct check *ck, const struct npu_desc_endl *d)
{
	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++) {
		if (d->step[i].reg == NPU_REG_NONE && d->step[i].step)
			return refuse(ck, NPU_FAULT_RESERVED, "step",
				      "must be 0 in an unused entry");
		if (d->step[i].reg >= NPU_REGS && d->step[i].reg != NPU_REG_NONE)
			return refuse(ck, NPU_FAULT_OPERAND, "step",
				      "register must be 0 .. 31 or 0xff");
	}
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_setr(struct check *ck, const struct npu_desc_setr *d)
{
	if (d->reg >= NPU_REGS)
		return refuse(ck, NPU_FAULT_OPERAND, "reg", "register must be 0 .. 31");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_cast(struct check *ck, const struct npu_mem *mem,
				      const struct npu_ref *spm)
{
	if (mem->dtype != spm->dtype && lacks(ck, NPU_CAP_CAST))
		return refuse(ck, NPU_FAULT_UNSUPPORTED, "mem",
			      "the device lacks CAST: both sides must have one type");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_dma(struct check *ck, const struct npu_desc_dma *d)
{
	enum npu_fault_code code = check_dims(ck, "dim", d->dim, 5);

	if (!code)
		code = check_mem(ck, &d->mem, d->dim, 5);
	if (!code)
		code = check_ref(ck, "spm", &d->spm, S_SPM, T_SPM);
	if (!code)
		code = check_cast(ck, &d->mem, &d->spm);
	return code;
}

static enum npu_fault_code check_fill(struct check *ck, const struct npu_desc_fill *d)
{
	enum npu_fault_code code = check_dims(ck, "dim", d->dim, 5);
	unsigned int bits;

	if (!code)
		code = check_ref(ck, "spm", &d->spm, S_SPM, T_SPM);
	if (code)
		return code;
	bits = npu_dtype_bytes(d->spm.dtype) * 8;
	if (bits < 32 && d->value >> bits)
		return refuse(ck, NPU_FAULT_RESERVED, "value", "must fit the element type");
	return NPU_FAULT_NONE;
}

/* Limits and steps of the indices: used ones first, the others 0. */
static enum npu_fault_code check_coords(struct check *ck, const struct npu_desc_gather *d)
{
	int32_t elem_bytes = (int32_t)npu_dtype_bytes(d->mem.dtype);
	unsigned int coords = npu_gather_coords(d);

	if (!coords)
		return refuse(ck, NPU_FAULT_OPERAND, "limit", "the first must be at least 1");
	for (unsigned int i = 0; i < NPU_GATHER_COORDS; i++) {
		if (i >= coords && d->limit[i])
			return refuse(ck, NPU_FAULT_OPERAND, "limit", "must be 0 behind a 0");
		if (i >= coords && d->step_bytes[i])
			return refuse(ck, NPU_FAULT_RESERVED, "step_bytes",
				      "must be 0 where limit is 0");
		if (d->limit[i] > 1 && d->step_bytes[i] % elem_bytes)
			return refuse(ck, NPU_FAULT_ALIGN, "step_bytes",
				      "not a multiple of the element size");
	}
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_gather(struct check *ck, const struct npu_desc_gather *d)
{
	const unsigned int coords = npu_gather_coords(d);
	const uint32_t moved[4] = { d->dim[0], d->dim[1], d->dim[2], d->row_elems };
	const uint32_t index[4] = { d->dim[0], d->dim[1], d->dim[2], coords ? coords : 1 };
	uint32_t table[NPU_GATHER_COORDS + 1] = { d->row_elems };
	bool add = ck->hdr->flags & NPU_F_ADD;
	enum npu_fault_code code = check_dims(ck, "dim, row_elems", moved, 4);

	for (unsigned int i = 0; i < coords; i++)
		table[i + 1] = d->limit[i];
	if (!code)
		code = check_dims(ck, "dim", index, 4);
	if (!code)
		code = check_mem(ck, &d->mem, d->dim, 3);
	if (!code)
		code = check_coords(ck, d);
	if (!code)
		code = check_dims(ck, "limit, row_elems", table, coords + 1);
	if (!code)
		code = check_ref(ck, "spm", &d->spm, S_SPM, add ? T(F32) : T_SPM);
	if (!code)
		code = check_ref(ck, "index", &d->index, S_SPM, T(I32));
	if (!code && add && d->mem.dtype != d->spm.dtype)
		code = refuse(ck, NPU_FAULT_OPERAND, "mem", "ADD needs one type on both sides");
	if (!code)
		code = check_cast(ck, &d->mem, &d->spm);
	return code;
}

static enum npu_fault_code check_conv(struct check *ck, const struct npu_desc_conv *d)
{
	bool depthwise = ck->hdr->flags & NPU_F_DEPTHWISE;
	enum npu_fault_code code = check_shape(ck, &d->shape, depthwise);

	if (!code)
		code = check_init_flags(ck);
	if (!code)
		code = check_product(ck, "in", &d->in, "weights", &d->weights);
	if (!code && ck->hdr->flags & NPU_F_BIAS)
		code = check_ref(ck, "bias", &d->bias, S_SPM, sum_types(d->in.dtype));
	if (!code)
		code = check_ref(ck, "acc", &d->acc, S_ACC, sum_types(d->in.dtype));
	return code;
}

static enum npu_fault_code check_wgrad(struct check *ck, const struct npu_desc_wgrad *d)
{
	bool depthwise = ck->hdr->flags & NPU_F_DEPTHWISE;
	enum npu_fault_code code = check_shape(ck, &d->shape, depthwise);

	if (!code)
		code = check_ref(ck, "in", &d->in, S_SPM, T(F32) | T(BF16));
	if (!code)
		code = check_ref(ck, "dy", &d->dy, S_SPM, 1u << d->in.dtype);
	if (!code)
		code = check_ref(ck, "acc", &d->acc, S_ACC, T(F32));
	return code;
}

static enum npu_fault_code check_matmul(struct check *ck, const struct npu_desc_matmul *d)
{
	const uint32_t a_dim[] = { d->dim[0], d->dim[1], d->dim[2], d->dim[4] };
	const uint32_t b_dim[] = { d->dim[0], d->dim[1], d->dim[4], d->dim[3] };
	enum npu_fault_code code = check_dims(ck, "dim", d->dim, 4);

	if (!code)
		code = check_dims(ck, "dim", a_dim, 4);
	if (!code)
		code = check_dims(ck, "dim", b_dim, 4);
	if (!code)
		code = check_init_flags(ck);
	if (!code)
		code = check_product(ck, "a", &d->a, "b", &d->b);
	if (!code && ck->hdr->flags & NPU_F_BIAS)
		code = check_ref(ck, "bias", &d->bias, S_SPM, sum_types(d->a.dtype));
	if (!code)
		code = check_ref(ck, "acc", &d->acc, S_ACC, sum_types(d->a.dtype));
	return code;
}

static enum npu_fault_code check_source(struct check *ck, const struct npu_desc_map *d,
					unsigned int source, uint32_t written)
{
	if (source >= NPU_UOP_CONST + (unsigned int)d->consts)
		return refuse(ck, NPU_FAULT_OPERAND, "uop", "constant that the descriptor lacks");
	if (source < NPU_UOP_CONST && !(written & 1u << source))
		return refuse(ck, NPU_FAULT_OPERAND, "uop",
			      "register is read before it is written");
	return NPU_FAULT_NONE;
}

/* One micro-op; @written is the set of registers that hold a value. */
static enum npu_fault_code check_uop(struct check *ck, const struct npu_desc_map *d,
				     uint32_t word, uint32_t *written)
{
	const unsigned int op = NPU_UOP_OP(word);
	const unsigned int source[3] = { NPU_UOP_A(word), NPU_UOP_B(word), NPU_UOP_C(word) };
	unsigned int view = d->operands;

	if (!npu_uop_name(op))
		return refuse(ck, NPU_FAULT_OPCODE, "uop", "unknown micro-op");
	if (lacks(ck, npu_uop_cap(op)))
		return refuse(ck, NPU_FAULT_UNSUPPORTED, "uop",
			      "the device lacks the capability of a micro-op");
	if (word >> 31)
		return refuse(ck, NPU_FAULT_RESERVED, "uop", "bit 31 must be 0");
	for (unsigned int i = 0; i < 3; i++) {
		enum npu_fault_code code = NPU_FAULT_NONE;

		if (i >= npu_uop_sources(op)) {
			if (source[i])
				return refuse(ck, NPU_FAULT_RESERVED, "uop",
					      "unused source must be 0");
		} else if (op == NPU_UOP_LD) {
			view = source[i];
		} else {
			code = check_source(ck, d, source[i], *written);
		}
		if (code)
			return code;
	}
	if (op == NPU_UOP_ST)
		view = NPU_UOP_DST(word);
	if ((op == NPU_UOP_LD || op == NPU_UOP_ST) && view >= d->operands)
		return refuse(ck, NPU_FAULT_OPERAND, "uop", "operand that the descriptor lacks");
	if (op != NPU_UOP_ST)
		*written |= 1u << NPU_UOP_DST(word);
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_map(struct check *ck, const struct npu_desc_map *d)
{
	static const char *const name[NPU_MAP_OPERANDS] = {
		"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
	};
	const uint32_t *uop = npu_map_uops(d);
	enum npu_fault_code code = check_dims(ck, "dim", d->dim, 4);
	uint32_t written = 0;
	uint32_t loaded = 0;
	uint32_t stored = 0;

	for (unsigned int i = 0; i < d->operands && !code; i++)
		code = check_ref(ck, name[i], &d->view[i].ref, S_SPM | S_ACC, T_SPM);
	for (unsigned int i = 0; i < d->uops && !code; i++) {
		code = check_uop(ck, d, uop[i], &written);
		if (!code && NPU_UOP_OP(uop[i]) == NPU_UOP_LD)
			loaded |= 1u << NPU_UOP_A(uop[i]);
		else if (!code && NPU_UOP_OP(uop[i]) == NPU_UOP_ST)
			stored |= 1u << NPU_UOP_DST(uop[i]);
	}
	if (!code && !stored)
		code = refuse(ck, NPU_FAULT_OPERAND, "uop", "the program stores nothing");
	/* It would have no footprint, and so no bounds. */
	for (unsigned int i = 0; i < d->operands && !code; i++)
		if (!((loaded | stored) >> i & 1))
			code = refuse(ck, NPU_FAULT_OPERAND, name[i], "is neither loaded nor stored");
	return code;
}

static enum npu_fault_code check_reduce(struct check *ck, const struct npu_desc_reduce *d)
{
	bool arg = d->rop == NPU_ROP_ARGMAX || d->rop == NPU_ROP_ARGMIN;
	bool lanes = ck->hdr->flags & (NPU_F_LANES_IN | NPU_F_LANES_OUT);
	enum npu_fault_code code = check_dims(ck, "dim", d->dim, 4);

	if (code)
		return code;
	if (!npu_rop_name(d->rop))
		return refuse(ck, NPU_FAULT_OPCODE, "rop", "unknown reduction");
	if (d->axes >> 4)
		return refuse(ck, NPU_FAULT_OPERAND, "axes", "must be a set of dimensions 0 .. 3");
	if (arg && lanes)
		return refuse(ck, NPU_FAULT_OPERAND, "flags", "ARGMAX and ARGMIN have no lanes");
	for (unsigned int i = 0; i < 4; i++) {
		if (d->axes & 1u << i && d->out.stride[i])
			return refuse(ck, NPU_FAULT_OPERAND, "out",
				      "stride of a reduced dimension must be 0");
	}
	code = check_ref(ck, "in", &d->in.ref, S_SPM | S_ACC,
			 ck->hdr->flags & NPU_F_TRAP ? T(I32) : T_WORD);
	if (!code)
		code = check_ref(ck, "out", &d->out.ref, S_SPM,
				 arg ? T(I32) : 1u << d->in.ref.dtype);
	return code;
}

static enum npu_fault_code check_pool(struct check *ck, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	bool average = ck->hdr->flags & NPU_F_POOL_AVERAGE;
	bool index = ck->hdr->flags & NPU_F_POOL_INDEX;
	bool pool = ck->hdr->opcode == NPU_OP_POOL;
	enum npu_fault_code code = check_shape(ck, s, true);

	if (code)
		return code;
	if (s->up_h != 1 || s->up_w != 1)
		return refuse(ck, NPU_FAULT_OPERAND, "up_h, up_w", "must be 1");
	if (ck->hdr->flags & NPU_F_POOL_COUNT_PAD && !average)
		return refuse(ck, NPU_FAULT_OPERAND, "flags", "COUNT_PAD needs AVERAGE");
	if (average && index)
		return refuse(ck, NPU_FAULT_OPERAND, "flags", "an average has no positions");
	if (!pool && !index)
		return refuse(ck, NPU_FAULT_OPERAND, "flags", "UNPOOL needs POOL_INDEX");
	if (index && d->index_row < 1)
		return refuse(ck, NPU_FAULT_OPERAND, "index_row", "must be at least 1");
	code = check_ref(ck, "in", &d->in, S_SPM | S_ACC, T(F32));
	if (!code)
		code = check_ref(ck, "out", &d->out, S_SPM, T(F32));
	if (!code && index)
		code = check_ref(ck, "index", &d->index, S_SPM, T(I32));
	return code;
}

static enum npu_fault_code check_body(struct check *ck)
{
	switch (ck->hdr->opcode) {
	case NPU_OP_LOOP: return check_loop(ck, ck->desc);
	case NPU_OP_ENDL: return check_endl(ck, ck->desc);
	case NPU_OP_SETR:
	case NPU_OP_ADDR: return check_setr(ck, ck->desc);
	case NPU_OP_LOAD:
	case NPU_OP_STORE: return check_dma(ck, ck->desc);
	case NPU_OP_FILL: return check_fill(ck, ck->desc);
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER: return check_gather(ck, ck->desc);
	case NPU_OP_CONV: return check_conv(ck, ck->desc);
	case NPU_OP_WGRAD: return check_wgrad(ck, ck->desc);
	case NPU_OP_MATMUL: return check_matmul(ck, ck->desc);
	case NPU_OP_MAP: return check_map(ck, ck->desc);
	case NPU_OP_REDUCE: return check_reduce(ck, ck->desc);
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL: return check_pool(ck, ck->desc);
	default: return NPU_FAULT_NONE;
	}
}

/* ---- Bounds ---- */

/* A register only adds: it can lift a low start, never lower an end. */
static bool leaves(const struct npu_access *a, int64_t size_bytes)
{
	int64_t lowest = a->reg == NPU_REG_NONE ? 0 : -(int64_t)UINT32_MAX;

	return a->lo_bytes < lowest || a->hi_bytes > size_bytes ||
		a->hi_bytes - a->lo_bytes > size_bytes;
}

static enum npu_fault_code check_range(struct check *ck, const struct npu_access *a)
{
	switch (a->space) {
	case NPU_SPACE_SPM:
		if (leaves(a, ck->limits->spm_bytes))
			return refuse(ck, NPU_FAULT_SPM_BOUNDS, a->name, "leaves the scratchpad");
		break;
	case NPU_SPACE_ACC:
		if (leaves(a, ck->limits->acc_bytes))
			return refuse(ck, NPU_FAULT_ACC_BOUNDS, a->name, "leaves the accumulators");
		break;
	default:
		if (a->reg == NPU_REG_NONE && leaves(a, 1ll << NPU_VA_BITS))
			return refuse(ck, NPU_FAULT_MMU_UNMAPPED, a->name,
				      "leaves the 48 bits of context addresses");
		break;
	}
	if (a->reg == NPU_REG_NONE && a->lo_bytes % a->elem_bytes)
		return refuse(ck, NPU_FAULT_ALIGN, a->name,
			      "address not a multiple of the element size");
	return NPU_FAULT_NONE;
}

static enum npu_fault_code check_ranges(struct check *ck, const uint64_t *regs)
{
	struct npu_access access[NPU_ACCESSES_MAX];
	unsigned int count = npu_desc_accesses(ck->limits, ck->desc, regs, access);
	enum npu_fault_code code = NPU_FAULT_NONE;

	for (unsigned int i = 0; i < count && !code; i++)
		code = check_range(ck, &access[i]);
	return code;
}

static enum npu_fault_code check_all(struct check *ck, size_t avail_bytes)
{
	enum npu_fault_code code;

	if (avail_bytes < NPU_LINE_BYTES)
		return refuse(ck, NPU_FAULT_CMD_END, "opcode", "the stream ends without END");
	if (!npu_op_name(ck->hdr->opcode))
		return refuse(ck, NPU_FAULT_OPCODE, "opcode", "unknown opcode");
	if (lacks(ck, npu_op_cap(ck->hdr->opcode)))
		return refuse(ck, NPU_FAULT_UNSUPPORTED, "opcode",
			      "the device lacks the capability of the instruction");
	code = ck->hdr->opcode == NPU_OP_MAP ? check_counts(ck, ck->desc) : NPU_FAULT_NONE;
	if (!code)
		code = check_length(ck, avail_bytes);
	if (!code)
		code = check_flags(ck);
	if (!code)
		code = check_reserved(ck);
	if (!code)
		code = check_ports(ck, "wait", ck->hdr->wait);
	if (!code)
		code = check_ports(ck, "signal", ck->hdr->signal);
	if (!code)
		code = check_body(ck);
	if (!code)
		code = check_ranges(ck, NULL);
	return code;
}

static struct check check_of(const struct npu_limits *limits, const void *desc)
{
	return (struct check) {
		.limits = limits,
		.desc = desc,
		.hdr = desc,
		.diag = { .code = NPU_FAULT_NONE, .field = "", .text = "" },
	};
}

enum npu_fault_code npu_check_desc(const struct npu_limits *limits, const void *desc,
				   size_t avail_bytes, struct npu_diag *diag)
{
	struct check ck = check_of(limits, desc);
	enum npu_fault_code code = check_all(&ck, avail_bytes);

	if (diag)
		*diag = ck.diag;
	return code;
}

enum npu_fault_code npu_check_bounds(const struct npu_limits *limits, const void *desc,
				     const uint64_t *regs, struct npu_diag *diag)
{
	struct check ck = check_of(limits, desc);
	enum npu_fault_code code = check_ranges(&ck, regs);

	if (diag)
		*diag = ck.diag;
	return code;
}
