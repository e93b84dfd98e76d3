/* SPDX-License-Identifier: MIT */
/* The field and flag tables of npu_fields.h. */
#include <string.h>
#include "npu_fields.h"

#define FIELD(body, field, k)							\
	{ .name = #field, .kind = NPU_FIELD_##k, .count = 1,			\
	  .offset = offsetof(struct npu_desc_##body, field) }
#define ARRAY(body, field, k, n)						\
	{ .name = #field, .kind = NPU_FIELD_##k, .count = (n),			\
	  .offset = offsetof(struct npu_desc_##body, field) }
#define REF(body, field, stride, n, f)						\
	{ .name = #field, .kind = NPU_FIELD_REF, .count = 1,			\
	  .offset = offsetof(struct npu_desc_##body, field),			\
	  .stride_offset = offsetof(struct npu_desc_##body, stride),		\
	  .strides = (n), .flag = (f) }
#define FLAT(body, field, f)	REF(body, field, field, 0, f)
#define MEM(body, field, n)							\
	{ .name = #field, .kind = NPU_FIELD_MEM, .count = 1,			\
	  .offset = offsetof(struct npu_desc_##body, field),			\
	  .stride_offset = offsetof(struct npu_desc_##body, field.stride_bytes), \
	  .strides = (n) }
#define VIEW(body, field)							\
	{ .name = #field, .kind = NPU_FIELD_REF, .count = 1,			\
	  .offset = offsetof(struct npu_desc_##body, field.ref),		\
	  .stride_offset = offsetof(struct npu_desc_##body, field.stride),	\
	  .strides = 4 }
#define SHAPE(body, field, k)							\
	{ .name = #field, .kind = NPU_FIELD_##k, .count = 1,			\
	  .offset = offsetof(struct npu_desc_##body, shape.field) }
#define SHAPE_PRESET(body, field, k, value)					\
	{ .name = #field, .kind = NPU_FIELD_##k, .count = 1,			\
	  .offset = offsetof(struct npu_desc_##body, shape.field),		\
	  .optional = 1, .preset = (value) }
#define CONV_SHAPE(body)							\
	SHAPE(body, n, U16), SHAPE(body, h, U16), SHAPE(body, w, U16),		\
	SHAPE(body, c, U16), SHAPE(body, oh, U16), SHAPE(body, ow, U16),	\
	SHAPE(body, k, U16), SHAPE(body, kh, U16), SHAPE(body, kw, U16),	\
	SHAPE_PRESET(body, stride_h, U16, 1), SHAPE_PRESET(body, stride_w, U16, 1), \
	SHAPE_PRESET(body, dil_h, U16, 1), SHAPE_PRESET(body, dil_w, U16, 1),	\
	SHAPE_PRESET(body, pad_top, I16, 0), SHAPE_PRESET(body, pad_left, I16, 0), \
	SHAPE_PRESET(body, up_h, U8, 1), SHAPE_PRESET(body, up_w, U8, 1)

static const struct npu_field ctrl_fields[] = {
	{ .name = NULL },
};

static const struct npu_field loop_fields[] = {
	FIELD(loop, count, U32),
	{ .name = NULL },
};

static const struct npu_field endl_fields[] = {
	ARRAY(endl, step, STEP, NPU_LOOP_STEPS),
	{ .name = NULL },
};

static const struct npu_field setr_fields[] = {
	FIELD(setr, reg, REG),
	FIELD(setr, imm, I64),
	{ .name = NULL },
};

static const struct npu_field dma_fields[] = {
	ARRAY(dma, dim, U32, 5),
	MEM(dma, mem, 5),
	REF(dma, spm, spm_stride, 5, 0),
	{ .name = NULL },
};

static const struct npu_field fill_fields[] = {
	ARRAY(fill, dim, U32, 5),
	FIELD(fill, value, X32),
	REF(fill, spm, spm_stride, 5, 0),
	{ .name = NULL },
};

static const struct npu_field gather_fields[] = {
	ARRAY(gather, dim, U32, 3),
	FIELD(gather, row_elems, U32),
	ARRAY(gather, limit, U32, NPU_GATHER_COORDS),
	ARRAY(gather, step_bytes, I32, NPU_GATHER_COORDS),
	MEM(gather, mem, 3),
	REF(gather, spm, spm_stride, 3, 0),
	REF(gather, index, index_stride, 4, 0),
	{ .name = NULL },
};

static const struct npu_field conv_fields[] = {
	CONV_SHAPE(conv),
	REF(conv, in, in_stride, 3, 0),
	FLAT(conv, weights, 0),
	FLAT(conv, bias, NPU_F_BIAS),
	REF(conv, acc, acc_stride, 3, 0),
	{ .name = NULL },
};

static const struct npu_field wgrad_fields[] = {
	CONV_SHAPE(wgrad),
	REF(wgrad, in, in_stride, 3, 0),
	REF(wgrad, dy, dy_stride, 3, 0),
	FLAT(wgrad, acc, 0),
	{ .name = NULL },
};

static const struct npu_field matmul_fields[] = {
	ARRAY(matmul, dim, U32, 5),
	REF(matmul, a, a_stride, 4, 0),
	REF(matmul, b, b_stride, 4, 0),
	FLAT(matmul, bias, NPU_F_BIAS),
	REF(matmul, acc, acc_stride, 3, 0),
	{ .name = NULL },
};

/* Views, micro-ops and constants follow; their counts come from the text. */
static const struct npu_field map_fields[] = {
	ARRAY(map, dim, U32, 4),
	FIELD(map, operands, COUNT),
	FIELD(map, uops, COUNT),
	FIELD(map, consts, COUNT),
	{ .name = NULL },
};

static const struct npu_field reduce_fields[] = {
	ARRAY(reduce, dim, U32, 4),
	FIELD(reduce, rop, ROP),
	FIELD(reduce, axes, AXES),
	VIEW(reduce, in),
	VIEW(reduce, out),
	{ .name = NULL },
};

static const struct npu_field pool_fields[] = {
	CONV_SHAPE(pool),
	REF(pool, in, in_stride, 3, 0),
	REF(pool, out, out_stride, 3, 0),
	FLAT(pool, index, NPU_F_POOL_INDEX),
	{ .name = "index_base", .kind = NPU_FIELD_I32, .count = 1,
	  .offset = offsetof(struct npu_desc_pool, index_base),
	  .flag = NPU_F_POOL_INDEX },
	{ .name = "index_row", .kind = NPU_FIELD_I32, .count = 1,
	  .offset = offsetof(struct npu_desc_pool, index_row),
	  .flag = NPU_F_POOL_INDEX },
	{ .name = NULL },
};

#define COMMON_FLAGS								\
	{ "slice", NPU_F_SLICE, NPU_CAP_SLICE },				\
	{ "trace", NPU_F_TRACE, NPU_CAP_TRACE },				\
	{ NULL, 0, 0 }

static const struct npu_flag common_flags[] = {
	COMMON_FLAGS
};

static const struct npu_flag conv_flags[] = {
	{ "accumulate", NPU_F_ACCUMULATE, 0 },
	{ "bias", NPU_F_BIAS, 0 },
	{ "depthwise", NPU_F_DEPTHWISE, 0 },
	{ "rot180", NPU_F_ROT180, 0 },
	COMMON_FLAGS
};

static const struct npu_flag wgrad_flags[] = {
	{ "accumulate", NPU_F_ACCUMULATE, 0 },
	{ "depthwise", NPU_F_DEPTHWISE, 0 },
	COMMON_FLAGS
};

static const struct npu_flag matmul_flags[] = {
	{ "accumulate", NPU_F_ACCUMULATE, 0 },
	{ "bias", NPU_F_BIAS, 0 },
	COMMON_FLAGS
};

static const struct npu_flag reduce_flags[] = {
	{ "lanes_in", NPU_F_LANES_IN, 0 },
	{ "lanes_out", NPU_F_LANES_OUT, 0 },
	{ "trap", NPU_F_TRAP, NPU_CAP_TRAP },
	COMMON_FLAGS
};

static const struct npu_flag pool_flags[] = {
	{ "average", NPU_F_POOL_AVERAGE, 0 },
	{ "count_pad", NPU_F_POOL_COUNT_PAD, 0 },
	{ "index", NPU_F_POOL_INDEX, NPU_CAP_UNPOOL },
	COMMON_FLAGS
};

static const struct npu_flag gather_flags[] = {
	{ "from_end", NPU_F_FROM_END, 0 },
	COMMON_FLAGS
};

static const struct npu_flag scatter_flags[] = {
	{ "add", NPU_F_ADD, NPU_CAP_SCATTER_ADD },
	{ "from_end", NPU_F_FROM_END, 0 },
	COMMON_FLAGS
};

unsigned int npu_body_bytes(unsigned int opcode)
{
	switch (opcode) {
#define NPU_OP(name, code, engine, body, cap) \
	case code: return sizeof(struct npu_desc_##body);
#include "npu_ops.h.inc"
	default: return 0;
	}
}

const struct npu_field *npu_body_fields(unsigned int opcode)
{
	switch (opcode) {
#define NPU_OP(name, code, engine, body, cap) \
	case code: return body##_fields;
#include "npu_ops.h.inc"
	default: return ctrl_fields;
	}
}

const struct npu_flag *npu_op_flags(unsigned int opcode)
{
	switch (opcode) {
	case NPU_OP_CONV: return conv_flags;
	case NPU_OP_WGRAD: return wgrad_flags;
	case NPU_OP_MATMUL: return matmul_flags;
	case NPU_OP_REDUCE: return reduce_flags;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL: return pool_flags;
	case NPU_OP_GATHER: return gather_flags;
	case NPU_OP_SCATTER: return scatter_flags;
	default: return common_flags;
	}
}

unsigned int npu_field_bytes(unsigned int kind)
{
	switch (kind) {
	case NPU_FIELD_REF:
	case NPU_FIELD_MEM:
	case NPU_FIELD_STEP:
		return 0;
	case NPU_FIELD_U16:
	case NPU_FIELD_I16:
		return 2;
	case NPU_FIELD_U32:
	case NPU_FIELD_I32:
	case NPU_FIELD_X32:
		return 4;
	case NPU_FIELD_I64:
		return 8;
	default:
		return 1;
	}
}

size_t npu_desc_bytes(const void *desc)
{
	const struct npu_desc_map *map = desc;
	size_t bytes = npu_body_bytes(map->hdr.opcode);

	if (map->hdr.opcode == NPU_OP_MAP)
		bytes += map->operands * sizeof(struct npu_view) +
			(map->uops + (size_t)map->consts) * sizeof(uint32_t);
	return bytes;
}

static void mark(uint8_t *named, size_t offset, size_t bytes)
{
	memset(named + offset, 1, bytes);
}

static void mark_ref(uint8_t *named, size_t offset)
{
	mark(named, offset, offsetof(struct npu_ref, rsvd));
}

static void mark_field(uint8_t *named, const struct npu_field *f)
{
	switch (f->kind) {
	case NPU_FIELD_REF:
		mark_ref(named, f->offset);
		mark(named, f->stride_offset, f->strides * sizeof(int32_t));
		break;
	case NPU_FIELD_MEM:
		mark(named, f->offset, offsetof(struct npu_mem, rsvd));
		mark(named, f->offset + offsetof(struct npu_mem, offset_bytes), sizeof(int64_t));
		mark(named, f->stride_offset, f->strides * sizeof(int32_t));
		break;
	case NPU_FIELD_STEP:
		for (size_t i = 0; i < f->count; i++)
			mark(named, f->offset + i * sizeof(struct npu_loop_step),
			     offsetof(struct npu_loop_step, rsvd));
		break;
	default:
		mark(named, f->offset, (size_t)f->count * npu_field_bytes(f->kind));
		break;
	}
}

static void mark_map_tail(uint8_t *named, const struct npu_desc_map *d)
{
	size_t words = offsetof(struct npu_desc_map, view) + d->operands * sizeof(struct npu_view);

	for (size_t i = 0; i < d->operands; i++) {
		size_t at = offsetof(struct npu_desc_map, view) + i * sizeof(struct npu_view);

		mark_ref(named, at);
		mark(named, at + offsetof(struct npu_view, stride), 4 * sizeof(int32_t));
	}
	mark(named, words, (d->uops + (size_t)d->consts) * sizeof(uint32_t));
}

bool npu_reserved_is_clear(const void *desc)
{
	uint8_t named[NPU_DESC_BYTES_MAX] = { 0 };
	const struct npu_desc_hdr *hdr = desc;
	const uint8_t *byte = desc;

	mark(named, 0, offsetof(struct npu_desc_hdr, rsvd));
	for (const struct npu_field *f = npu_body_fields(hdr->opcode); f->name; f++) {
		if (!f->flag || hdr->flags & f->flag)
			mark_field(named, f);
	}
	if (hdr->opcode == NPU_OP_MAP)
		mark_map_tail(named, desc);
	for (size_t i = 0; i < hdr->lines * (size_t)NPU_LINE_BYTES; i++) {
		if (byte[i] && !named[i])
			return false;
	}
	return true;
}
