/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "gen_desc.h"

#define DIMS_MAX	8

enum use {
	USE_READ,
	USE_WRITE,
};

static bool chance(struct gen *g, uint32_t percent)
{
	return gen_below(g, 100) < percent;
}

static bool has(const struct gen *g, uint64_t cap)
{
	return (g->limits.caps & cap) == cap;
}

/* ---- Strides and placement ---- */

/* Extent of an operand in steps of its stride unit, relative to element 0. */
struct extent {
	int64_t lo;
	int64_t hi;
};

static struct extent extent_of(unsigned int dims, const uint32_t *dim, const int32_t *stride)
{
	struct extent e = { 0, 0 };

	for (unsigned int i = 0; i < dims; i++) {
		int64_t reach = (int64_t)(dim[i] - 1) * stride[i];

		if (reach < 0)
			e.lo += reach;
		else
			e.hi += reach;
	}
	return e;
}

/*
 * Strides in which no two elements meet: dimensions nested in random order,
 * with gaps and either sign. The last @fixed dimensions stay dense and innermost.
 */
static void injective_strides(struct gen *g, unsigned int dims, const uint32_t *dim,
			      unsigned int fixed, int32_t unit, int32_t *stride)
{
	unsigned int order[DIMS_MAX];
	int64_t cover = unit;

	for (unsigned int i = 0; i < dims; i++)
		order[i] = dims - 1 - i;
	for (unsigned int i = fixed; i + 1 < dims && chance(g, 30); i++) {
		unsigned int j = gen_range(g, i, dims - 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (unsigned int i = 0; i < dims; i++) {
		if (i >= fixed && chance(g, 25))
			cover += (int64_t)unit * gen_below(g, 4);
		stride[order[i]] = (int32_t)(i >= fixed && chance(g, 15) ? -cover : cover);
		cover += (int64_t)(dim[order[i]] - 1) * cover;
	}
}

static void any_strides(struct gen *g, unsigned int dims, const uint32_t *dim,
			unsigned int fixed, int32_t unit, int32_t *stride)
{
	injective_strides(g, dims, dim, fixed, unit, stride);
	for (unsigned int i = 0; i < dims - fixed; i++) {
		if (chance(g, 15))
			stride[i] = 0;
		else if (chance(g, 10))
			stride[i] = unit * ((int32_t)gen_below(g, 33) - 16);
	}
}

static void pick_strides(struct gen *g, enum use use, unsigned int dims, const uint32_t *dim,
			 unsigned int fixed, int32_t unit, uint64_t limit, int32_t *stride)
{
	for (unsigned int tries = 0; ; tries++) {
		struct extent e;

		if (tries > 32) {
			int64_t cover = unit;

			for (unsigned int i = dims; i-- > 0;) {
				stride[i] = (int32_t)cover;
				cover *= dim[i];
			}
			return;
		}
		if (g->defined && use == USE_WRITE)
			injective_strides(g, dims, dim, fixed, unit, stride);
		else
			any_strides(g, dims, dim, fixed, unit, stride);
		e = extent_of(dims, dim, stride);
		if ((uint64_t)(e.hi - e.lo) + (uint64_t)unit <= limit)
			return;
	}
}

static bool is_free(const struct gen *g, const struct gen_range *r)
{
	for (unsigned int i = 0; i < g->placed_count; i++) {
		if (g->placed[i].space == r->space && g->placed[i].lo_bytes < r->hi_bytes &&
		    r->lo_bytes < g->placed[i].hi_bytes)
			return false;
	}
	return true;
}

/*
 * Place @length_bytes in a window, aligned; first fit when chance fails.
 * Operands are at most a 32nd of their space, so that one always fits.
 */
static uint64_t place(struct gen *g, unsigned int space, uint64_t window_bytes,
		      uint64_t length_bytes, unsigned int align)
{
	uint64_t slots = (window_bytes - length_bytes) / align;
	struct gen_range r = { .space = space };

	for (unsigned int tries = 0; ; tries++) {
		uint64_t slot = tries < 64 ? gen_u64(g) % (slots + 1) : tries - 64u;

		r.lo_bytes = slot * align;
		r.hi_bytes = r.lo_bytes + length_bytes;
		if (!g->defined || is_free(g, &r))
			break;
	}
	if (g->placed_count < GEN_PLACED_MAX)
		g->placed[g->placed_count++] = r;
	return r.lo_bytes;
}

static uint32_t space_bytes(const struct gen *g, unsigned int space)
{
	return space == NPU_SPACE_SPM ? g->limits.spm_bytes : g->limits.acc_bytes;
}

/* Elements that any one operand may span. */
static uint64_t budget_bytes(const struct gen *g, unsigned int space)
{
	return space_bytes(g, space) / 32;
}

/* Choose address and register for an operand of this extent. */
static struct npu_ref place_ref(struct gen *g, unsigned int space, unsigned int dtype,
				struct extent e)
{
	unsigned int elem_bytes = npu_dtype_bytes(dtype);
	uint64_t length_bytes = (uint64_t)(e.hi - e.lo + 1) * elem_bytes;
	uint64_t at = place(g, space, space_bytes(g, space), length_bytes, elem_bytes);
	uint64_t base = at + (uint64_t)-e.lo * elem_bytes;
	struct npu_ref ref = {
		.addr = (uint32_t)base,
		.space = (uint8_t)space,
		.dtype = (uint8_t)dtype,
		.reg = NPU_REG_NONE,
	};

	if (!g->no_regs && chance(g, 30)) {
		unsigned int reg = gen_below(g, GEN_MEM_REG);

		if ((uint32_t)g->regs[reg] <= base) {
			ref.addr -= (uint32_t)g->regs[reg];
			ref.reg = (uint8_t)reg;
		}
	}
	return ref;
}

static struct npu_ref make_ref(struct gen *g, enum use use, unsigned int space,
			       unsigned int dtype, unsigned int dims, const uint32_t *dim,
			       unsigned int fixed, int32_t *stride)
{
	uint64_t limit = budget_bytes(g, space) / npu_dtype_bytes(dtype);

	pick_strides(g, use, dims, dim, fixed, 1, limit, stride);
	return place_ref(g, space, dtype, extent_of(dims, dim, stride));
}

/* Contiguous innermost dimension that has no stride field. */
static struct npu_ref make_rows(struct gen *g, enum use use, unsigned int space,
				unsigned int dtype, const uint32_t dim[4], int32_t stride[3])
{
	int32_t full[4];
	struct npu_ref ref = make_ref(g, use, space, dtype, 4, dim, 1, full);

	memcpy(stride, full, 3 * sizeof(*stride));
	return ref;
}

static struct npu_ref make_vector(struct gen *g, unsigned int space, unsigned int dtype,
				  uint64_t elems)
{
	struct extent e = { 0, (int64_t)elems - 1 };

	return place_ref(g, space, dtype, e);
}

/* @stride receives dims - fixed steps in bytes; those in the result are 0. */
static struct npu_mem make_table(struct gen *g, enum use use, unsigned int dtype,
				 unsigned int dims, const uint32_t *dim, unsigned int fixed,
				 int32_t *stride)
{
	unsigned int elem_bytes = npu_dtype_bytes(dtype);
	unsigned int reg = gen_range(g, GEN_MEM_REG, GEN_FREE_REG - 1);
	struct npu_mem mem = { .reg = (uint8_t)reg, .dtype = (uint8_t)dtype };
	struct extent e;
	uint64_t at;

	pick_strides(g, use, dims, dim, fixed, (int32_t)elem_bytes, g->mem_bytes, stride);
	e = extent_of(dims, dim, stride);
	at = place(g, NPU_SPACE_MEM, g->mem_bytes, (uint64_t)(e.hi - e.lo) + elem_bytes,
		   elem_bytes);
	mem.offset_bytes = (int64_t)(g->mem_lo + at - g->regs[reg]) - e.lo;
	return mem;
}

static struct npu_mem make_mem(struct gen *g, enum use use, unsigned int dtype,
			       unsigned int dims, const uint32_t *dim, unsigned int fixed)
{
	int32_t stride[DIMS_MAX];
	struct npu_mem mem = make_table(g, use, dtype, dims, dim, fixed, stride);

	memcpy(mem.stride_bytes, stride, (dims - fixed) * sizeof(*stride));
	return mem;
}

/* Dimensions whose product is at most @elems. */
static void pick_dims(struct gen *g, unsigned int dims, uint64_t elems, uint32_t *dim)
{
	unsigned int first = gen_below(g, dims);

	for (unsigned int i = 0; i < dims; i++) {
		unsigned int at = (first + i) % dims;
		uint32_t most = elems < 40 ? (uint32_t)elems : 40;

		dim[at] = chance(g, 30) ? 1 : gen_range(g, 1, most ? most : 1);
		elems /= dim[at];
	}
}

/* ---- Types ---- */

static unsigned int pick_dtype(struct gen *g, unsigned int types)
{
	unsigned int dtype;

	if (!has(g, NPU_CAP_INT8))
		types &= ~(1u << NPU_I8 | 1u << NPU_U8);
	if (!has(g, NPU_CAP_BF16))
		types &= ~(1u << NPU_BF16);
	if (!has(g, NPU_CAP_CAST))
		types &= ~(1u << NPU_F16 | 1u << NPU_I16 | 1u << NPU_BOOL | 1u << NPU_I64);
	do {
		dtype = gen_below(g, NPU_DTYPES);
	} while (!(types & 1u << dtype));
	return dtype;
}

#define SPM_TYPES (1u << NPU_F32 | 1u << NPU_I32 | 1u << NPU_BF16 | 1u << NPU_I8 | 1u << NPU_U8)
#define X_TYPES (1u << NPU_F32 | 1u << NPU_BF16 | 1u << NPU_I8 | 1u << NPU_U8)

/* ---- Bodies ---- */

static void gen_endl(struct gen *g, struct npu_desc_endl *d)
{
	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++) {
		d->step[i].reg = NPU_REG_NONE;
		if (chance(g, 40)) {
			d->step[i].reg = (uint8_t)(GEN_FREE_REG + gen_below(g, 2));
			d->step[i].step = (int64_t)gen_u64(g) >> gen_below(g, 60);
		}
	}
}

static void gen_setr(struct gen *g, struct npu_desc_setr *d)
{
	d->reg = (uint8_t)(GEN_FREE_REG + gen_below(g, 2));
	d->imm = (int64_t)gen_u64(g) >> gen_below(g, 64);
}

/* Elements that fit both sides of a copy, whatever their type. */
static uint64_t move_elems(const struct gen *g)
{
	uint64_t spm_elems = budget_bytes(g, NPU_SPACE_SPM) / 8;
	uint64_t mem_elems = g->mem_bytes / 64 / 8;

	return spm_elems < mem_elems ? spm_elems : mem_elems;
}

static void gen_dma(struct gen *g, struct npu_desc_dma *d)
{
	bool load = d->hdr.opcode == NPU_OP_LOAD;
	unsigned int spm_type = pick_dtype(g, SPM_TYPES);
	unsigned int mem_type = has(g, NPU_CAP_CAST) && chance(g, 50) ?
		pick_dtype(g, (1u << NPU_DTYPES) - 1) : spm_type;

	pick_dims(g, 5, move_elems(g), d->dim);
	d->mem = make_mem(g, load ? USE_READ : USE_WRITE, mem_type, 5, d->dim, 0);
	d->spm = make_ref(g, load ? USE_WRITE : USE_READ, NPU_SPACE_SPM, spm_type, 5, d->dim, 0,
			  d->spm_stride);
}

static void gen_fill(struct gen *g, struct npu_desc_fill *d)
{
	unsigned int dtype = pick_dtype(g, SPM_TYPES);

	pick_dims(g, 5, budget_bytes(g, NPU_SPACE_SPM) / 8, d->dim);
	d->spm = make_ref(g, USE_WRITE, NPU_SPACE_SPM, dtype, 5, d->dim, 0, d->spm_stride);
	d->value = (uint32_t)(gen_u64(g) >> (64 - npu_dtype_bytes(dtype) * 8));
}

static void gen_gather(struct gen *g, struct npu_desc_gather *d)
{
	bool gather = d->hdr.opcode == NPU_OP_GATHER, add = d->hdr.flags & NPU_F_ADD;
	unsigned int spm_type = add ? NPU_F32 : pick_dtype(g, SPM_TYPES);
	unsigned int mem_type = !add && has(g, NPU_CAP_CAST) && chance(g, 50) ?
		pick_dtype(g, (1u << NPU_DTYPES) - 1) : spm_type;
	unsigned int coords = gen_range(g, 1, NPU_GATHER_COORDS);
	uint32_t dim[4], table[DIMS_MAX], index[4];
	int32_t stride[DIMS_MAX];

	pick_dims(g, 4, move_elems(g) / 16, dim);
	memcpy(d->dim, dim, sizeof(d->dim));
	d->row_elems = dim[3];
	memcpy(table, dim, sizeof(d->dim));
	for (unsigned int i = 0; i < coords; i++)
		table[3 + i] = d->limit[i] = gen_range(g, 1, 16u >> coords);
	table[3 + coords] = d->row_elems;
	d->mem = make_table(g, gather ? USE_READ : USE_WRITE, mem_type, 4 + coords, table, 1,
			    stride);
	memcpy(d->mem.stride_bytes, stride, sizeof(d->dim));
	memcpy(d->step_bytes, stride + 3, coords * sizeof(*stride));
	d->spm = make_ref(g, gather ? USE_WRITE : USE_READ, NPU_SPACE_SPM, spm_type, 4, dim, 1,
			  stride);
	memcpy(d->spm_stride, stride, sizeof(d->spm_stride));
	memcpy(index, dim, sizeof(d->dim));
	index[3] = coords;
	d->index = make_ref(g, USE_READ, NPU_SPACE_SPM, NPU_I32, 4, index, 0, d->index_stride);
}

static void gen_shape(struct gen *g, struct npu_conv_shape *s, bool per_channel, bool up)
{
	uint64_t acc_elems = budget_bytes(g, NPU_SPACE_ACC) / 4;
	uint64_t spm_elems = budget_bytes(g, NPU_SPACE_SPM) / 4;
	uint64_t smaller = acc_elems < spm_elems ? acc_elems : spm_elems;
	uint32_t dim[4], more[2];

	pick_dims(g, 4, smaller, dim);
	s->n = (uint16_t)dim[0];
	s->oh = (uint16_t)dim[1];
	s->ow = (uint16_t)dim[2];
	s->k = (uint16_t)dim[3];
	s->c = per_channel ? s->k : (uint16_t)gen_range(g, 1, chance(g, 20) ? 100 : 12);
	/* Weights in ACC (WGRAD) bound the filter, the image bounds h and w. */
	if (!per_channel) {
		uint64_t panel = npu_weight_elems(s->k, 1, 1, 1, g->limits.array_cols);

		while (s->c > 1 && panel * s->c > smaller)
			s->c /= 2;
		if (panel > smaller)
			s->k = s->c = 1;
		panel = npu_weight_elems(s->k, s->c, 1, 1, g->limits.array_cols);
		pick_dims(g, 2, smaller / panel, more);
	} else {
		pick_dims(g, 2, smaller / s->c, more);
	}
	s->kh = (uint16_t)(more[0] < 7 ? more[0] : 7);
	s->kw = (uint16_t)(more[1] < 7 ? more[1] : 7);
	pick_dims(g, 2, spm_elems / ((uint64_t)s->n * s->c) + 1, more);
	s->h = (uint16_t)more[0];
	s->w = (uint16_t)more[1];
	while ((uint64_t)s->n * s->h * s->w * s->c > spm_elems && s->n * s->h * s->w > 1) {
		s->h = (uint16_t)((s->h + 1) / 2);
		s->w = (uint16_t)((s->w + 1) / 2);
		if (s->h == 1 && s->w == 1)
			s->n = (uint16_t)((s->n + 1) / 2);
	}
	s->stride_h = (uint16_t)gen_range(g, 1, 3);
	s->stride_w = (uint16_t)gen_range(g, 1, 3);
	s->dil_h = (uint16_t)gen_range(g, 1, 3);
	s->dil_w = (uint16_t)gen_range(g, 1, 3);
	s->pad_top = (int16_t)((int)gen_below(g, 8) - 3);
	s->pad_left = (int16_t)((int)gen_below(g, 8) - 3);
	s->up_h = up && chance(g, 30) ? (uint8_t)gen_range(g, 1, 4) : 1;
	s->up_w = up && chance(g, 30) ? (uint8_t)gen_range(g, 1, 4) : 1;
}

static unsigned int weight_type(unsigned int x_type)
{
	return x_type == NPU_U8 ? NPU_I8 : x_type;
}

static unsigned int sum_type(unsigned int x_type)
{
	return x_type == NPU_I8 || x_type == NPU_U8 ? NPU_I32 : NPU_F32;
}

static uint64_t weights_of(const struct gen *g, const struct npu_conv_shape *s, bool depthwise)
{
	return depthwise ? (uint64_t)s->kh * s->kw * s->c :
		npu_weight_elems(s->k, s->c, s->kh, s->kw, g->limits.array_cols);
}

static void gen_conv(struct gen *g, struct npu_desc_conv *d)
{
	struct npu_conv_shape *s = &d->shape;
	unsigned int type = pick_dtype(g, X_TYPES);
	bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;

	gen_shape(g, s, depthwise, true);
	d->in = make_rows(g, USE_READ, NPU_SPACE_SPM, type,
			  (const uint32_t[4]) { s->n, s->h, s->w, s->c }, d->in_stride);
	d->weights = make_vector(g, NPU_SPACE_SPM, weight_type(type),
				 weights_of(g, s, depthwise));
	if (d->hdr.flags & NPU_F_BIAS)
		d->bias = make_vector(g, NPU_SPACE_SPM, sum_type(type), s->k);
	d->acc = make_rows(g, USE_WRITE, NPU_SPACE_ACC, sum_type(type),
			   (const uint32_t[4]) { s->n, s->oh, s->ow, s->k }, d->acc_stride);
}

static void gen_wgrad(struct gen *g, struct npu_desc_wgrad *d)
{
	struct npu_conv_shape *s = &d->shape;
	unsigned int type = pick_dtype(g, 1u << NPU_F32 | 1u << NPU_BF16);
	bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;

	gen_shape(g, s, depthwise, true);
	d->in = make_rows(g, USE_READ, NPU_SPACE_SPM, type,
			  (const uint32_t[4]) { s->n, s->h, s->w, s->c }, d->in_stride);
	d->dy = make_rows(g, USE_READ, NPU_SPACE_SPM, type,
			  (const uint32_t[4]) { s->n, s->oh, s->ow, s->k }, d->dy_stride);
	d->acc = make_vector(g, NPU_SPACE_ACC, NPU_F32, weights_of(g, s, depthwise));
}

static void gen_matmul(struct gen *g, struct npu_desc_matmul *d)
{
	unsigned int type = pick_dtype(g, X_TYPES);
	uint64_t elems = budget_bytes(g, NPU_SPACE_ACC) / 8;
	uint32_t *dim = d->dim;

	pick_dims(g, 4, elems, dim);
	dim[4] = gen_range(g, 1, 40);
	while (dim[4] > 1 && (uint64_t)dim[0] * dim[1] * (dim[2] + dim[3]) * dim[4] > elems)
		dim[4] /= 2;
	d->a = make_ref(g, USE_READ, NPU_SPACE_SPM, type, 4,
			(const uint32_t[4]) { dim[0], dim[1], dim[2], dim[4] }, 0, d->a_stride);
	d->b = make_ref(g, USE_READ, NPU_SPACE_SPM, weight_type(type), 4,
			(const uint32_t[4]) { dim[0], dim[1], dim[4], dim[3] }, 0, d->b_stride);
	if (d->hdr.flags & NPU_F_BIAS)
		d->bias = make_vector(g, NPU_SPACE_SPM, sum_type(type), dim[3]);
	d->acc = make_rows(g, USE_WRITE, NPU_SPACE_ACC, sum_type(type), dim, d->acc_stride);
}

static unsigned int pick_uop(struct gen *g)
{
	static const uint8_t codes[] = {
#define NPU_UOP(name, code, nsrc, cost, cap) code,
#include "npu_ops.h.inc"
	};
	unsigned int op;

	do {
		op = chance(g, 20) ? NPU_UOP_LD : codes[gen_below(g, sizeof(codes))];
	} while (!has(g, npu_uop_cap(op)));
	return op;
}

/* A register that holds a value or, less often, a constant; there is at least one. */
static unsigned int pick_source(struct gen *g, uint32_t written, unsigned int consts)
{
	unsigned int source;

	if (consts && (!written || chance(g, 25)))
		return NPU_UOP_CONST + gen_below(g, consts);
	do {
		source = gen_below(g, NPU_UOP_CONST);
	} while (!(written & 1u << source));
	return source;
}

/* First every operand is used, the last micro-op is a ST; else anything whose sources exist. */
static void gen_program(struct gen *g, struct npu_desc_map *d, uint32_t *uop, uint32_t stored)
{
	uint32_t written = 0;

	for (unsigned int i = 0; i < d->uops; i++) {
		unsigned int op = i + 1 == d->uops ? NPU_UOP_ST : pick_uop(g);
		unsigned int source[3] = { 0, 0, 0 };
		unsigned int dst = gen_below(g, NPU_MAP_REGS);

		if (i < d->operands)
			op = stored & 1u << i && chance(g, 50) ? NPU_UOP_ST : NPU_UOP_LD;
		else if (i + 1 < d->uops && op == NPU_UOP_ST && chance(g, 70))
			op = NPU_UOP_FADD;
		if (!written && !d->consts && npu_uop_sources(op))
			op = i + 1 < d->uops ? NPU_UOP_LD : NPU_UOP_ST;
		for (unsigned int j = 0; j < npu_uop_sources(op); j++)
			source[j] = op == NPU_UOP_LD ? gen_below(g, d->operands) :
				pick_source(g, written, d->consts);
		if (op == NPU_UOP_LD && i < d->operands)
			source[0] = i;
		if (op == NPU_UOP_ST && i < d->operands)
			dst = i;
		else if (op == NPU_UOP_ST)
			do {
				dst = gen_below(g, d->operands);
			} while (!(stored & 1u << dst));
		if (op != NPU_UOP_ST)
			written |= 1u << dst;
		uop[i] = NPU_UOP_WORD(op, dst, source[0], source[1], source[2]);
	}
}

/* Bits of -8.0 .. 8.0 in quarters. */
static uint32_t small_float(struct gen *g)
{
	float value = ((float)gen_below(g, 65) - 32.0f) / 4.0f;
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static size_t gen_map(struct gen *g, struct npu_desc_map *d)
{
	uint32_t stored = 0, words[NPU_MAP_UOPS + NPU_MAP_CONSTS];
	unsigned int room;
	size_t bytes;

	pick_dims(g, 4, budget_bytes(g, NPU_SPACE_ACC) / 8, d->dim);
	d->operands = (uint8_t)gen_range(g, 1, NPU_MAP_OPERANDS);
	bytes = sizeof(*d) + d->operands * sizeof(struct npu_view);
	room = (unsigned int)(NPU_DESC_BYTES_MAX - bytes) / 4;
	d->uops = (uint8_t)gen_range(g, d->operands + 1u, room < NPU_MAP_UOPS ? room : NPU_MAP_UOPS);
	room -= d->uops;
	d->consts = (uint8_t)gen_below(g, (room < NPU_MAP_CONSTS ? room : NPU_MAP_CONSTS) + 1);
	stored = 1u << gen_below(g, d->operands) | (uint32_t)gen_u64(g);
	for (unsigned int i = 0; i < d->operands; i++) {
		bool acc = chance(g, 30);
		unsigned int dtype = pick_dtype(g, acc ? 1u << NPU_F32 | 1u << NPU_I32 : SPM_TYPES);

		d->view[i].ref = make_ref(g, stored & 1u << i ? USE_WRITE : USE_READ,
					  acc ? NPU_SPACE_ACC : NPU_SPACE_SPM, dtype, 4, d->dim,
					  0, d->view[i].stride);
	}
	gen_program(g, d, words, stored);
	for (unsigned int i = 0; i < d->consts; i++)
		words[d->uops + i] = chance(g, 50) ? (uint32_t)gen_u64(g) : small_float(g);
	memcpy((uint8_t *)d + bytes, words, (d->uops + d->consts) * sizeof(*words));
	return bytes + (d->uops + d->consts) * sizeof(*words);
}

static void gen_reduce(struct gen *g, struct npu_desc_reduce *d)
{
	bool lanes = d->hdr.flags & (NPU_F_LANES_IN | NPU_F_LANES_OUT);
	unsigned int type = gen_below(g, 2) ? NPU_I32 : NPU_F32;
	uint32_t out_dim[5];
	int32_t stride[5];

	if (type == NPU_I32 && has(g, NPU_CAP_TRAP) && chance(g, 30))
		d->hdr.flags |= NPU_F_TRAP;
	d->rop = (uint8_t)gen_below(g, lanes ? NPU_ROP_ARGMAX : NPU_ROP_ARGMIN + 1);
	d->axes = (uint8_t)gen_below(g, 16);
	pick_dims(g, 4, budget_bytes(g, NPU_SPACE_ACC) / 4 / NPU_REDUCE_LANES, d->dim);
	for (unsigned int i = 0; i < 4; i++)
		out_dim[i] = d->axes & 1u << i ? 1 : d->dim[i];
	out_dim[4] = lanes ? NPU_REDUCE_LANES : 1;
	d->in.ref = make_ref(g, USE_READ, chance(g, 50) ? NPU_SPACE_ACC : NPU_SPACE_SPM, type, 4,
			     d->dim, 0, d->in.stride);
	d->out.ref = make_ref(g, USE_WRITE, NPU_SPACE_SPM,
			      d->rop >= NPU_ROP_ARGMAX ? NPU_I32 : type, 5, out_dim, 1, stride);
	for (unsigned int i = 0; i < 4; i++)
		d->out.stride[i] = d->axes & 1u << i ? 0 : stride[i];
}

static void gen_pool(struct gen *g, struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	bool pool = d->hdr.opcode == NPU_OP_POOL;
	bool index = d->hdr.flags & NPU_F_POOL_INDEX;

	gen_shape(g, &d->shape, true, false);
	uint32_t big[4] = { s->n, s->h, s->w, s->c }, small[4] = { s->n, s->oh, s->ow, s->c };

	d->in = make_rows(g, USE_READ, chance(g, 50) ? NPU_SPACE_ACC : NPU_SPACE_SPM, NPU_F32,
			  pool ? big : small, d->in_stride);
	d->out = make_rows(g, USE_WRITE, NPU_SPACE_SPM, NPU_F32, pool ? small : big,
			   d->out_stride);
	if (index) {
		const int32_t *stride = pool ? d->out_stride : d->in_stride;
		int32_t full[4] = { stride[0], stride[1], stride[2], 1 };

		d->index = place_ref(g, NPU_SPACE_SPM, NPU_I32, extent_of(4, small, full));
		d->index_row = (int32_t)gen_range(g, s->w, s->w + 100);
		d->index_base = (int32_t)gen_u64(g) >> gen_below(g, 31);
	}
}

/* ---- Headers ---- */

static uint16_t pick_flags(struct gen *g, unsigned int opcode)
{
	unsigned int flags = 0, init = gen_below(g, 3);

	if (has(g, NPU_CAP_TRACE) && chance(g, 20))
		flags |= NPU_F_TRACE;
	if (has(g, NPU_CAP_SLICE) && chance(g, 20))
		flags |= NPU_F_SLICE;
	switch (opcode) {
	case NPU_OP_CONV:
		flags |= gen_below(g, 4) * NPU_F_DEPTHWISE;
		/* fallthrough */
	case NPU_OP_MATMUL:
		flags |= init == 1 ? NPU_F_ACCUMULATE : init == 2 ? NPU_F_BIAS : 0;
		break;
	case NPU_OP_WGRAD:
		flags |= init == 1 ? NPU_F_ACCUMULATE : 0;
		flags |= chance(g, 30) ? NPU_F_DEPTHWISE : 0;
		break;
	case NPU_OP_REDUCE:
		flags |= gen_below(g, 4) * NPU_F_LANES_IN;
		break;
	case NPU_OP_POOL:
		if (init == 1)
			flags |= NPU_F_POOL_AVERAGE | gen_below(g, 2) * NPU_F_POOL_COUNT_PAD;
		else if (init == 2 && has(g, NPU_CAP_UNPOOL))
			flags |= NPU_F_POOL_INDEX;
		break;
	case NPU_OP_UNPOOL:
		flags |= NPU_F_POOL_INDEX;
		break;
	case NPU_OP_SCATTER:
		flags |= has(g, NPU_CAP_SCATTER_ADD) ? gen_below(g, 2) * NPU_F_ADD : 0;
		/* fallthrough */
	case NPU_OP_GATHER:
		flags |= gen_below(g, 2) * NPU_F_FROM_END;
		break;
	default:
		break;
	}
	return (uint16_t)flags;
}

static void pick_ports(struct gen *g, struct npu_sem_ref port[NPU_SEM_PORTS])
{
	unsigned int first = gen_below(g, NPU_SEMAPHORES);

	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		if (chance(g, 70))
			continue;
		port[i].sem = (uint8_t)((first + i * 7) % NPU_SEMAPHORES);
		port[i].count = (uint8_t)gen_range(g, 1, chance(g, 20) ? 255 : 2);
	}
}

unsigned int gen_opcode(struct gen *g)
{
	static const uint8_t codes[] = {
#define NPU_OP(name, code, engine, body, cap) code,
#include "npu_ops.h.inc"
	};
	unsigned int op;

	do {
		op = codes[gen_below(g, sizeof(codes))];
	} while (!has(g, npu_op_cap(op)));
	return op;
}

/* Bytes of the body once it is filled in. */
static size_t gen_body(struct gen *g, union gen_any *d)
{
	switch (d->hdr.opcode) {
	case NPU_OP_LOOP:
		d->loop.count = chance(g, 80) ? gen_range(g, 1, 5) : gen_range(g, 1, 65535);
		return sizeof(struct npu_desc_loop);
	case NPU_OP_ENDL:
		gen_endl(g, &d->endl);
		return sizeof(struct npu_desc_endl);
	case NPU_OP_SETR:
	case NPU_OP_ADDR:
		gen_setr(g, &d->setr);
		return sizeof(struct npu_desc_setr);
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
		gen_dma(g, &d->dma);
		return sizeof(struct npu_desc_dma);
	case NPU_OP_FILL:
		gen_fill(g, &d->fill);
		return sizeof(struct npu_desc_fill);
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		gen_gather(g, &d->gather);
		return sizeof(struct npu_desc_gather);
	case NPU_OP_CONV:
		gen_conv(g, &d->conv);
		return sizeof(struct npu_desc_conv);
	case NPU_OP_WGRAD:
		gen_wgrad(g, &d->wgrad);
		return sizeof(struct npu_desc_wgrad);
	case NPU_OP_MATMUL:
		gen_matmul(g, &d->matmul);
		return sizeof(struct npu_desc_matmul);
	case NPU_OP_MAP:
		return gen_map(g, &d->map);
	case NPU_OP_REDUCE:
		gen_reduce(g, &d->reduce);
		return sizeof(struct npu_desc_reduce);
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		gen_pool(g, &d->pool);
		return sizeof(struct npu_desc_pool);
	default:
		return sizeof(struct npu_desc_ctrl);
	}
}

size_t gen_desc(struct gen *g, unsigned int opcode, union gen_any *desc)
{
	struct npu_desc_hdr *hdr = &desc->hdr;
	size_t bytes;

	memset(desc, 0, NPU_DESC_BYTES_MAX);
	g->placed_count = 0;
	hdr->opcode = (uint8_t)opcode;
	hdr->flags = pick_flags(g, opcode);
	hdr->tag = chance(g, 70) ? (uint32_t)gen_u64(g) : 0;
	if (!g->no_ports && opcode != NPU_OP_LOOP && opcode != NPU_OP_ENDL) {
		pick_ports(g, hdr->wait);
		pick_ports(g, hdr->signal);
	}
	bytes = gen_body(g, desc);
	hdr->lines = (uint8_t)((bytes + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES);
	return hdr->lines * (size_t)NPU_LINE_BYTES;
}
