/* SPDX-License-Identifier: MIT */
/* The field and flag tables of npu_fields.h. */
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
	FIELD(gather, rows, U32),
	FIELD(gather, row_elems, U32),
	FIELD(gather, limit, U32),
	MEM(gather, mem, 1),
	REF(gather, spm, spm_row_stride, 1, 0),
	FLAT(gather, index, 0),
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
	FIELD(map, operands, U8),
	FIELD(map, uops, U8),
	FIELD(map, consts, U8),
	{ .name = NULL },
};

static const struct npu_field reduce_fields[] = {
	ARRAY(reduce, dim, U32, 4),
	FIELD(reduce, rop, ROP),
	FIELD(reduce, axes, U8),
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
	COMMON_FLAGS
};

static const struct npu_flag pool_flags[] = {
	{ "average", NPU_F_POOL_AVERAGE, 0 },
	{ "count_pad", NPU_F_POOL_COUNT_PAD, 0 },
	{ "index", NPU_F_POOL_INDEX, NPU_CAP_UNPOOL },
	COMMON_FLAGS
};

static const struct npu_flag scatter_flags[] = {
	{ "add", NPU_F_ADD, NPU_CAP_SCATTER_ADD },
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
	case NPU_OP_SCATTER: return scatter_flags;
	default: return common_flags;
	}
}
