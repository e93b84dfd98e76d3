/* SPDX-License-Identifier: MIT */
/*
 * The checker of one descriptor: random legal ones pass, every reserved byte is
 * guarded, and each rule is seen to hold and to break, with its fault and field.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gen_desc.h"
#include "npu_disasm.h"

static uint64_t seed;

static void expect(const struct gen *g, const union gen_any *d, size_t avail_bytes,
		   enum npu_fault_code want)
{
	struct npu_diag diag;
	enum npu_fault_code code = npu_check_desc(&g->limits, d, avail_bytes, &diag);

	if (code != want)
		print_error("%s: want %s, got %s: %s: %s\n", npu_op_name(d->hdr.opcode),
			    npu_fault_name(want), npu_fault_name(code), diag.field, diag.text);
	assert_int_equal(code, want);
	assert_int_equal(diag.code, code);
	assert_non_null(diag.field);
	assert_non_null(diag.text);
}

static void random_limits(struct gen *g)
{
	static const uint32_t size[] = { 4, 8, 16, 32, 256 };

	g->limits.array_rows = size[gen_below(g, 5)];
	g->limits.array_cols = size[gen_below(g, 5)];
	if (gen_below(g, 2)) {
		g->limits.spm_bytes = 64 << 10;
		g->limits.acc_bytes = 16 << 10;
	}
	if (gen_below(g, 2))
		g->limits.caps = NPU_CAP_FP32 | (gen_u64(g) & 0x1fff);
	g->defined = gen_below(g, 2);
	gen_regs(g);
}

static void test_random_legal(void **state)
{
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 100000; i++) {
		union gen_any d;
		unsigned int op;
		size_t bytes;

		gen_init(&g, seed + i);
		random_limits(&g);
		op = gen_opcode(&g);
		bytes = gen_desc(&g, op, &d);
		expect(&g, &d, bytes, NPU_FAULT_NONE);
		expect(&g, &d, bytes - 1, NPU_FAULT_CMD_END);
		assert_int_equal(npu_check_bounds(&g.limits, &d, g.regs, NULL), NPU_FAULT_NONE);
	}
}

/* ---- Reserved bytes ---- */

#define NAME(map, type, field) \
	memset((map) + offsetof(type, field), 1, sizeof(((type *)0)->field))

static void name_ref(uint8_t *map, size_t at)
{
	memset(map + at, 1, 7);
}

static void name_mem(uint8_t *map, size_t at, unsigned int strides)
{
	memset(map + at, 1, 2);
	memset(map + at + 8, 1, 8 + 4 * strides);
}

static void name_gather(uint8_t *map)
{
	NAME(map, struct npu_desc_gather, dim);
	NAME(map, struct npu_desc_gather, row_elems);
	NAME(map, struct npu_desc_gather, limit);
	NAME(map, struct npu_desc_gather, step_bytes);
	name_mem(map, offsetof(struct npu_desc_gather, mem), 3);
	name_ref(map, offsetof(struct npu_desc_gather, spm));
	NAME(map, struct npu_desc_gather, spm_stride);
	name_ref(map, offsetof(struct npu_desc_gather, index));
	NAME(map, struct npu_desc_gather, index_stride);
}

static void name_conv(uint8_t *map, bool bias)
{
	NAME(map, struct npu_desc_conv, shape);
	name_ref(map, offsetof(struct npu_desc_conv, in));
	name_ref(map, offsetof(struct npu_desc_conv, weights));
	if (bias)
		name_ref(map, offsetof(struct npu_desc_conv, bias));
	name_ref(map, offsetof(struct npu_desc_conv, acc));
	NAME(map, struct npu_desc_conv, in_stride);
	NAME(map, struct npu_desc_conv, acc_stride);
}

static void name_matmul(uint8_t *map, bool bias)
{
	NAME(map, struct npu_desc_matmul, dim);
	name_ref(map, offsetof(struct npu_desc_matmul, a));
	name_ref(map, offsetof(struct npu_desc_matmul, b));
	if (bias)
		name_ref(map, offsetof(struct npu_desc_matmul, bias));
	name_ref(map, offsetof(struct npu_desc_matmul, acc));
	NAME(map, struct npu_desc_matmul, a_stride);
	NAME(map, struct npu_desc_matmul, b_stride);
	NAME(map, struct npu_desc_matmul, acc_stride);
}

static void name_map(uint8_t *map, const struct npu_desc_map *d)
{
	NAME(map, struct npu_desc_map, dim);
	NAME(map, struct npu_desc_map, operands);
	NAME(map, struct npu_desc_map, uops);
	NAME(map, struct npu_desc_map, consts);
	for (size_t i = 0; i < d->operands; i++) {
		name_ref(map, 48 + 24 * i);
		memset(map + 48 + 24 * i + 8, 1, 16);
	}
	memset(map + 48 + 24 * d->operands, 1, 4u * (d->uops + (size_t)d->consts));
}

static void name_pool(uint8_t *map, bool index)
{
	NAME(map, struct npu_desc_pool, shape);
	name_ref(map, offsetof(struct npu_desc_pool, in));
	name_ref(map, offsetof(struct npu_desc_pool, out));
	NAME(map, struct npu_desc_pool, in_stride);
	NAME(map, struct npu_desc_pool, out_stride);
	if (!index)
		return;
	name_ref(map, offsetof(struct npu_desc_pool, index));
	NAME(map, struct npu_desc_pool, index_base);
	NAME(map, struct npu_desc_pool, index_row);
}

/* 1 for each byte that has a meaning, said apart from the tables of isa/. */
static void named_bytes(const union gen_any *d, uint8_t map[NPU_DESC_BYTES_MAX])
{
	bool bias = d->hdr.flags & NPU_F_BIAS;

	memset(map, 0, NPU_DESC_BYTES_MAX);
	memset(map, 1, 20);
	switch (d->hdr.opcode) {
	case NPU_OP_LOOP:
		NAME(map, struct npu_desc_loop, count);
		break;
	case NPU_OP_ENDL:
		for (size_t i = 0; i < 4; i++)
			memset(map + 24 + 16 * i, 1, 9);
		break;
	case NPU_OP_SETR:
	case NPU_OP_ADDR:
		NAME(map, struct npu_desc_setr, reg);
		NAME(map, struct npu_desc_setr, imm);
		break;
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
		NAME(map, struct npu_desc_dma, dim);
		name_mem(map, offsetof(struct npu_desc_dma, mem), 5);
		name_ref(map, offsetof(struct npu_desc_dma, spm));
		NAME(map, struct npu_desc_dma, spm_stride);
		break;
	case NPU_OP_FILL:
		NAME(map, struct npu_desc_fill, dim);
		NAME(map, struct npu_desc_fill, value);
		name_ref(map, offsetof(struct npu_desc_fill, spm));
		NAME(map, struct npu_desc_fill, spm_stride);
		break;
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		name_gather(map);
		break;
	case NPU_OP_CONV:
		name_conv(map, bias);
		break;
	case NPU_OP_WGRAD:
		NAME(map, struct npu_desc_wgrad, shape);
		name_ref(map, offsetof(struct npu_desc_wgrad, in));
		name_ref(map, offsetof(struct npu_desc_wgrad, dy));
		name_ref(map, offsetof(struct npu_desc_wgrad, acc));
		NAME(map, struct npu_desc_wgrad, in_stride);
		NAME(map, struct npu_desc_wgrad, dy_stride);
		break;
	case NPU_OP_MATMUL:
		name_matmul(map, bias);
		break;
	case NPU_OP_MAP:
		name_map(map, &d->map);
		break;
	case NPU_OP_REDUCE:
		NAME(map, struct npu_desc_reduce, dim);
		NAME(map, struct npu_desc_reduce, rop);
		NAME(map, struct npu_desc_reduce, axes);
		name_ref(map, offsetof(struct npu_desc_reduce, in));
		NAME(map, struct npu_desc_reduce, in.stride);
		name_ref(map, offsetof(struct npu_desc_reduce, out));
		NAME(map, struct npu_desc_reduce, out.stride);
		break;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		name_pool(map, d->hdr.flags & NPU_F_POOL_INDEX);
		break;
	default:
		break;
	}
}

static void test_reserved_bytes(void **state)
{
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 2000; i++) {
		uint8_t named[NPU_DESC_BYTES_MAX];
		union gen_any d;
		size_t bytes;

		gen_init(&g, seed + i);
		bytes = gen_desc(&g, gen_opcode(&g), &d);
		named_bytes(&d, named);
		for (size_t at = 0; at < bytes; at++) {
			if (named[at])
				continue;
			assert_int_equal(d.byte[at], 0);
			d.byte[at] = (uint8_t)gen_range(&g, 1, 255);
			expect(&g, &d, bytes, NPU_FAULT_RESERVED);
			d.byte[at] = 0;
		}
	}
}

/* Damage of any byte is refused, or leaves a descriptor that all functions bear. */
static void test_any_damage(void **state)
{
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		struct npu_access access[NPU_ACCESSES_MAX];
		union gen_any d;
		size_t bytes;

		gen_init(&g, seed + i);
		bytes = gen_desc(&g, gen_opcode(&g), &d);
		for (size_t at = 0; at < bytes; at++) {
			uint8_t old = d.byte[at];
			struct npu_diag diag;

			d.byte[at] = (uint8_t)gen_u64(&g);
			if (!npu_check_desc(&g.limits, &d, bytes, &diag)) {
				assert_true(npu_desc_accesses(&g.limits, &d, NULL, access) <=
					    NPU_ACCESSES_MAX);
				npu_check_bounds(&g.limits, &d, g.regs, &diag);
			} else {
				assert_true(diag.field[0] && diag.text[0]);
			}
			d.byte[at] = old;
		}
	}
	for (unsigned int i = 0; i < 100000; i++) {
		union gen_any d;

		for (size_t at = 0; at < sizeof(d.byte); at++)
			d.byte[at] = (uint8_t)(gen_below(&g, 2) ? gen_u64(&g) : 0);
		d.hdr.opcode = (uint8_t)gen_opcode(&g);
		npu_check_desc(&g.limits, &d, gen_below(&g, sizeof(d) + 1), NULL);
	}
}

/* ---- Rules, one text each ---- */

#define FILL_OK	"FILL dim=(1,1,1,2,8) value=0 spm=spm[0]:f32 stride=(0,0,0,8,1)"
#define LOAD(dim, mem, spm) "LOAD dim=" dim " mem=" mem " stride_bytes=(0,0,0,0,4) spm=" spm \
	" stride=(0,0,0,0,1)"
#define ROWS(dim, elems, limit, step, mem) " dim=" dim " row_elems=" elems " limit=" limit \
	" step_bytes=" step " mem=mem[r0]:" mem " stride_bytes=(0,0,0)" \
	" spm=spm[0]:f32 stride=(0,0,4) index=spm[64]:i32 stride=(0,0,1,0)"
#define SHAPE(c, k) "n=1 h=4 w=4 c=" c " oh=4 ow=4 k=" k " kh=3 kw=3 "
#define CONV(shape, in, weights, acc) " " shape " in=" in " stride=(64,16,4) weights=" weights \
	" acc=" acc " stride=(64,16,4)"
#define CONV_F32(shape) CONV(shape, "spm[0]:f32", "spm[0x1000]:f32", "acc[0]:f32")
#define WGRAD(shape, in, dy, acc) " " shape " in=" in " stride=(64,16,4) dy=" dy \
	" stride=(64,16,4) acc=" acc
#define MATMUL(dim, a, b, acc) " dim=" dim " a=" a " stride=(0,0,1,1) b=" b \
	" stride=(0,0,1,1) acc=" acc " stride=(0,0,1)"
#define REDUCE(axes, in, out, stride) " axes=" axes " dim=(1,1,4,4) in=" in \
	" stride=(0,0,4,1) out=" out " stride=" stride
#define POOL(shape, in, out) " " shape " in=" in " stride=(64,16,4) out=" out " stride=(64,16,4)"
#define POOL_INDEX(row) " index=spm[0x2000]:i32 index_base=0 index_row=" row
#define MAP(views, uops) "MAP dim=(1,1,1,4) " views " " uops
#define V0 "v0=spm[0]:f32 stride=(0,0,0,1)"
#define V1 "v1=acc[0]:f32 stride=(0,0,0,1)"

struct rule {
	const char *text;
	enum npu_fault_code fault;
	const char *field;
};

static const struct rule rules[] = {
	/* Header */
	{ "NOP wait=s0:1,s63:255 signal=s0:255", NPU_FAULT_NONE, "" },
	{ "NOP wait=s5:1,s5:1", NPU_FAULT_OPERAND, "wait" },
	{ "NOP signal=s5:1,-,s5:2", NPU_FAULT_OPERAND, "signal" },
	{ "LOOP wait=s1:1 count=1", NPU_FAULT_OPERAND, "wait" },
	{ "ENDL signal=s1:1", NPU_FAULT_OPERAND, "signal" },
	/* Control */
	{ "LOOP count=65535", NPU_FAULT_NONE, "" },
	{ "LOOP count=0", NPU_FAULT_OPERAND, "count" },
	{ "LOOP count=65536", NPU_FAULT_OPERAND, "count" },
	/* LOAD, STORE, FILL */
	{ FILL_OK, NPU_FAULT_NONE, "" },
	{ "FILL dim=(1,1,0,2,8) value=0 spm=spm[0]:f32 stride=(0,0,0,8,1)",
	  NPU_FAULT_OPERAND, "dim" },
	{ "FILL dim=(1,1,1,2,8) value=0 spm=acc[0]:f32 stride=(0,0,0,8,1)",
	  NPU_FAULT_OPERAND, "spm" },
	{ "FILL dim=(1,1,1,2,8) value=0 spm=spm[0]:f16 stride=(0,0,0,8,1)",
	  NPU_FAULT_OPERAND, "spm" },
	{ "FILL dim=(1,1,1,2,8) value=256 spm=spm[0]:u8 stride=(0,0,0,8,1)", NPU_FAULT_RESERVED,
	  "value" },
	{ "FILL dim=(1,1,1,2,8) value=255 spm=spm[0]:u8 stride=(0,0,0,8,1)", NPU_FAULT_NONE, "" },
	{ "FILL dim=(1,1,1,2,8) value=0x10000 spm=spm[0]:bf16 stride=(0,0,0,8,1)",
	  NPU_FAULT_RESERVED, "value" },
	{ "FILL dim=(1,1,1,2,8) value=0 spm=spm[2]:f32 stride=(0,0,0,8,1)",
	  NPU_FAULT_ALIGN, "spm" },
	{ "FILL dim=(1,1,1,2,8) value=0 spm=spm[2+r1]:f32 stride=(0,0,0,8,1)", NPU_FAULT_NONE, "" },
	{ "FILL dim=(1,1,1,1,1) value=0 spm=spm[0x7fffff]:u8 stride=(0,0,0,0,0)", NPU_FAULT_NONE, "" },
	{ "FILL dim=(1,1,1,1,1) value=0 spm=spm[0x800000]:u8 stride=(0,0,0,0,0)",
	  NPU_FAULT_SPM_BOUNDS, "spm" },
	/* 8 MiB downwards, and 4 bytes more: no register can lift that into the SPM */
	{ "FILL dim=(1,1,1,1,2097152) value=0 spm=spm[0+r1]:f32 stride=(0,0,0,0,-1)",
	  NPU_FAULT_NONE, "" },
	{ "FILL dim=(1,1,1,1,2097153) value=0 spm=spm[0+r1]:f32 stride=(0,0,0,0,-1)",
	  NPU_FAULT_SPM_BOUNDS, "spm" },
	{ LOAD("(1,1,1,1,4)", "mem[r0]:f32", "spm[0]:f32"), NPU_FAULT_NONE, "" },
	{ LOAD("(1,1,1,1,4)", "mem[r0]:i64", "spm[0]:i32"), NPU_FAULT_ALIGN, "mem" },
	{ LOAD("(1,1,1,1,1)", "mem[r0]:i64", "spm[0]:i32"), NPU_FAULT_NONE, "" },
	{ LOAD("(1,1,1,1,4)", "mem[r0]:i32", "spm[0]:i64"), NPU_FAULT_OPERAND, "spm" },
	{ LOAD("(1,1,1,1,4)", "mem[r0]:bool", "spm[0]:bool"), NPU_FAULT_OPERAND, "spm" },
	{ LOAD("(65536,65536,2,1,1)", "mem[r0]:f32", "spm[0]:f32"), NPU_FAULT_OPERAND, "dim" },
	{ LOAD("(65536,65536,1,1,1)", "mem[r0]:f32", "spm[0]:f32"), NPU_FAULT_NONE, "" },
	{ LOAD("(1,1,1,1,4194304)", "mem[r0]:u8", "spm[0]:u8"), NPU_FAULT_NONE, "" },
	{ LOAD("(1,1,1,1,2097152)", "mem[r0]:f32", "spm[4]:f32"), NPU_FAULT_SPM_BOUNDS, "spm" },
	{ LOAD("(1,1,1,1,2097152)", "mem[r0]:f32", "spm[4+r0]:f32"), NPU_FAULT_SPM_BOUNDS, "spm" },
	/* GATHER, SCATTER */
	{ "GATHER" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(16,0,0,0)", "f32"), NPU_FAULT_NONE, "" },
	{ "GATHER.from_end" ROWS("(1,1,2)", "4", "(9,3,1,5)", "(16,0,-4,8)", "f32"),
	  NPU_FAULT_NONE, "" },
	{ "GATHER" ROWS("(1,1,0)", "4", "(9,0,0,0)", "(16,0,0,0)", "f32"), NPU_FAULT_OPERAND,
	  "dim, row_elems" },
	{ "GATHER" ROWS("(65536,65536,1)", "2", "(9,0,0,0)", "(16,0,0,0)", "f32"),
	  NPU_FAULT_OPERAND, "dim, row_elems" },
	{ "GATHER" ROWS("(65536,65536,1)", "1", "(9,9,0,0)", "(16,16,0,0)", "f32"),
	  NPU_FAULT_OPERAND, "dim" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(0,0,0,0)", "(0,0,0,0)", "f32"), NPU_FAULT_OPERAND,
	  "limit" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(9,0,9,0)", "(16,0,0,0)", "f32"), NPU_FAULT_OPERAND,
	  "limit" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(16,4,0,0)", "f32"), NPU_FAULT_RESERVED,
	  "step_bytes" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(18,0,0,0)", "f32"), NPU_FAULT_ALIGN,
	  "step_bytes" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(1,0,0,0)", "(18,0,0,0)", "f32"), NPU_FAULT_NONE, "" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(4294967295,0,0,0)", "(16,0,0,0)", "f32"),
	  NPU_FAULT_OPERAND, "limit, row_elems" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(65536,16384,1,1)", "(16,0,0,0)", "f32"),
	  NPU_FAULT_NONE, "" },
	{ "GATHER" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(16,0,0,0)", "i64"), NPU_FAULT_NONE, "" },
	{ "GATHER dim=(1,1,2) row_elems=4 limit=(9,0,0,0) step_bytes=(16,0,0,0)"
	  " mem=mem[r0]:f32 stride_bytes=(0,0,2) spm=spm[0]:f32 stride=(0,0,4)"
	  " index=spm[64]:i32 stride=(0,0,1,0)", NPU_FAULT_ALIGN, "mem" },
	{ "GATHER dim=(1,1,2) row_elems=4 limit=(9,0,0,0) step_bytes=(16,0,0,0)"
	  " mem=mem[r0]:f32 stride_bytes=(0,0,0) spm=spm[0]:f32 stride=(0,0,4)"
	  " index=spm[64]:f32 stride=(0,0,1,0)", NPU_FAULT_OPERAND, "index" },
	{ "SCATTER.add" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(16,0,0,0)", "i32"),
	  NPU_FAULT_OPERAND, "mem" },
	/* CONV */
	{ "CONV" CONV_F32(SHAPE("4", "4")), NPU_FAULT_NONE, "" },
	{ "CONV.accumulate.rot180" CONV_F32(SHAPE("4", "4")), NPU_FAULT_NONE, "" },
	{ "CONV.accumulate.bias bias=spm[0]:f32" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND,
	  "flags" },
	{ "CONV.depthwise" CONV_F32(SHAPE("4", "3")), NPU_FAULT_OPERAND, "k" },
	{ "CONV" CONV_F32(SHAPE("0", "4")), NPU_FAULT_OPERAND, "n, h, w, c" },
	{ "CONV" CONV_F32(SHAPE("4", "0")), NPU_FAULT_OPERAND, "n, oh, ow, k" },
	{ "CONV n=1 h=4 w=4 c=4 oh=4 ow=4 k=4 kh=0 kw=1" CONV_F32(""), NPU_FAULT_OPERAND,
	  "kh, kw, c, k" },
	{ "CONV" CONV_F32("n=1 h=4 w=4 c=60000 oh=4 ow=4 k=60000 kh=1 kw=2"), NPU_FAULT_OPERAND,
	  "kh, kw, c, k" },
	{ "CONV.depthwise" CONV("n=1 h=1 w=1 c=60000 oh=1 ow=1 k=60000 kh=1 kw=2", "spm[0]:f32",
				"spm[0x200000]:f32", "acc[0]:f32"), NPU_FAULT_NONE, "" },
	{ "CONV stride_h=0" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "stride_h, stride_w" },
	{ "CONV stride_w=0" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "stride_h, stride_w" },
	{ "CONV dil_h=0" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "dil_h, dil_w" },
	{ "CONV dil_w=0" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "dil_h, dil_w" },
	{ "CONV up_h=0" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "up_h, up_w" },
	{ "CONV up_w=0" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "up_h, up_w" },
	{ "CONV pad_top=-32768 pad_left=32767 up_w=255" CONV_F32(SHAPE("4", "4")), NPU_FAULT_NONE,
	  "" },
	{ "CONV" CONV(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "in" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:i32", "spm[0]:i32", "acc[0]:i32"),
	  NPU_FAULT_OPERAND, "in" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:bf16", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "weights" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "spm[0]:f32"),
	  NPU_FAULT_OPERAND, "acc" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "acc[0]:i32"),
	  NPU_FAULT_OPERAND, "acc" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:u8", "spm[0]:i8", "acc[0]:i32"),
	  NPU_FAULT_NONE, "" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:u8", "spm[0]:u8", "acc[0]:i32"),
	  NPU_FAULT_OPERAND, "weights" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:i8", "spm[0]:i8", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "acc" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:bf16", "spm[0]:bf16", "acc[0]:f32"),
	  NPU_FAULT_NONE, "" },
	{ "CONV.bias bias=acc[0]:f32" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "bias" },
	{ "CONV.bias bias=spm[0]:i32" CONV_F32(SHAPE("4", "4")), NPU_FAULT_OPERAND, "bias" },
	/* 9 * 4 rows of one 32-column panel are 4608 bytes */
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0x7fee00]:f32", "acc[0]:f32"),
	  NPU_FAULT_NONE, "" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0x7fee04]:f32", "acc[0]:f32"),
	  NPU_FAULT_SPM_BOUNDS, "weights" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "acc[0x3ff00]:f32"),
	  NPU_FAULT_NONE, "" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "acc[0x3ff04]:f32"),
	  NPU_FAULT_ACC_BOUNDS, "acc" },
	{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "acc[2]:f32"), NPU_FAULT_ALIGN,
	  "acc" },
	/* WGRAD: columns beyond k are not written */
	{ "WGRAD" WGRAD(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "acc[0x3ee70]:f32"),
	  NPU_FAULT_NONE, "" },
	{ "WGRAD" WGRAD(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "acc[0x3ee74]:f32"),
	  NPU_FAULT_ACC_BOUNDS, "acc" },
	{ "WGRAD" WGRAD(SHAPE("4", "4"), "spm[0]:u8", "spm[0]:i8", "acc[0]:i32"),
	  NPU_FAULT_OPERAND, "in" },
	{ "WGRAD" WGRAD(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:bf16", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "dy" },
	{ "WGRAD.depthwise" WGRAD(SHAPE("4", "5"), "spm[0]:f32", "spm[0]:f32", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "k" },
	/* MATMUL */
	{ "MATMUL" MATMUL("(1,1,2,2,2)", "spm[0]:f32", "spm[0]:f32", "acc[0]:f32"),
	  NPU_FAULT_NONE, "" },
	{ "MATMUL" MATMUL("(1,1,2,2,0)", "spm[0]:f32", "spm[0]:f32", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "dim" },
	{ "MATMUL" MATMUL("(1,1,65536,1,65537)", "spm[0]:f32", "spm[0]:f32", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "dim" },
	{ "MATMUL" MATMUL("(1,1,1,65536,65537)", "spm[0]:f32", "spm[0]:f32", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "dim" },
	{ "MATMUL.bias.accumulate bias=spm[0]:f32"
	  MATMUL("(1,1,2,2,2)", "spm[0]:f32", "spm[0]:f32", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "flags" },
	{ "MATMUL" MATMUL("(1,1,2,2,2)", "spm[0]:f32", "spm[0]:i8", "acc[0]:f32"),
	  NPU_FAULT_OPERAND, "b" },
	/* MAP */
	{ MAP(V0, "st v0, k0 k0=1"), NPU_FAULT_NONE, "" },
	{ MAP(V0 " " V1, "ld m0, v0 st v1, m0"), NPU_FAULT_NONE, "" },
	{ MAP("", "iota m0"), NPU_FAULT_OPERAND, "operands" },
	{ MAP(V0, ""), NPU_FAULT_OPERAND, "uops" },
	{ MAP(V0, "ld m0, v0"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0, "st v0, m0"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0, "ld m0, v0 fadd m2, m0, m1 st v0, m2"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0, "st v0, m0 ld m0, v0"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0, "st v0, k0 k0=1 mov m1, m0 st v0, m1"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0, "ld m0, v1 st v0, m0"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0, "st v1, k0 k0=1"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0, "st v0, k1 k0=1"), NPU_FAULT_OPERAND, "uop" },
	{ MAP(V0 " " V1, "st v0, k0 k0=1"), NPU_FAULT_OPERAND, "v1" },
	{ MAP(V0 " " V1, "ld m0, v0 st v0, m0"), NPU_FAULT_OPERAND, "v1" },
	{ MAP("v0=acc[0]:i8 stride=(0,0,0,1)", "st v0, k0 k0=1"), NPU_FAULT_OPERAND, "v0" },
	{ MAP("v0=spm[0]:i64 stride=(0,0,0,1)", "st v0, k0 k0=1"), NPU_FAULT_OPERAND, "v0" },
	{ MAP("v0=spm[0]:i8 stride=(0,0,0,1)", "st v0, k0 k0=1"), NPU_FAULT_NONE, "" },
	{ MAP("v0=spm[0]:f32 stride=(0,0,0,-1)", "st v0, k0 k0=1"), NPU_FAULT_SPM_BOUNDS, "v0" },
	{ MAP("v0=spm[12]:f32 stride=(0,0,0,-1)", "st v0, k0 k0=1"), NPU_FAULT_NONE, "" },
	/* REDUCE */
	{ "REDUCE rop=sum" REDUCE("(3)", "acc[0]:f32", "spm[0]:f32", "(0,0,1,0)"),
	  NPU_FAULT_NONE, "" },
	{ "REDUCE rop=sum" REDUCE("(3)", "acc[0]:f32", "spm[0]:f32", "(0,0,1,1)"),
	  NPU_FAULT_OPERAND, "out" },
	{ "REDUCE rop=sum" REDUCE("(3)", "acc[0]:f32", "acc[0]:f32", "(0,0,1,0)"),
	  NPU_FAULT_OPERAND, "out" },
	{ "REDUCE rop=sum" REDUCE("(3)", "acc[0]:f32", "spm[0]:i32", "(0,0,1,0)"),
	  NPU_FAULT_OPERAND, "out" },
	{ "REDUCE rop=sum" REDUCE("(3)", "spm[0]:i8", "spm[0]:i8", "(0,0,1,0)"),
	  NPU_FAULT_OPERAND, "in" },
	{ "REDUCE.trap rop=sum" REDUCE("(3)", "acc[0]:i32", "spm[0]:i32", "(0,0,1,0)"),
	  NPU_FAULT_NONE, "" },
	{ "REDUCE.trap rop=sum" REDUCE("(3)", "acc[0]:f32", "spm[0]:f32", "(0,0,1,0)"),
	  NPU_FAULT_OPERAND, "in" },
	{ "REDUCE rop=argmax" REDUCE("(3)", "spm[0]:f32", "spm[0]:i32", "(0,0,1,0)"),
	  NPU_FAULT_NONE, "" },
	{ "REDUCE rop=argmin" REDUCE("(3)", "spm[0]:f32", "spm[0]:f32", "(0,0,1,0)"),
	  NPU_FAULT_OPERAND, "out" },
	{ "REDUCE.lanes_out rop=argmax" REDUCE("(3)", "spm[0]:f32", "spm[0]:i32", "(0,0,1,0)"),
	  NPU_FAULT_OPERAND, "flags" },
	{ "REDUCE.lanes_out rop=max" REDUCE("(0,1,2,3)", "spm[0]:f32", "spm[0x7fffc0]:f32",
					    "(0,0,0,0)"), NPU_FAULT_NONE, "" },
	{ "REDUCE.lanes_in rop=max" REDUCE("(0,1,2,3)", "spm[0]:f32", "spm[0x7fffc4]:f32",
					   "(0,0,0,0)"), NPU_FAULT_SPM_BOUNDS, "out" },
	/* POOL, UNPOOL */
	{ "POOL" POOL(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32"), NPU_FAULT_NONE, "" },
	{ "POOL.average.count_pad" POOL(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32"),
	  NPU_FAULT_NONE, "" },
	{ "POOL" POOL(SHAPE("4", "3"), "acc[0]:f32", "spm[0]:f32"), NPU_FAULT_OPERAND, "k" },
	{ "POOL up_h=2" POOL(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32"), NPU_FAULT_OPERAND,
	  "up_h, up_w" },
	{ "POOL" POOL(SHAPE("4", "4"), "acc[0]:i32", "spm[0]:i32"), NPU_FAULT_OPERAND, "in" },
	{ "POOL" POOL(SHAPE("4", "4"), "acc[0]:f32", "acc[0]:f32"), NPU_FAULT_OPERAND, "out" },
	{ "POOL.count_pad" POOL(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32"), NPU_FAULT_OPERAND,
	  "flags" },
	{ "POOL.average.index" POOL(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32") POOL_INDEX("4"),
	  NPU_FAULT_OPERAND, "flags" },
	{ "POOL.index" POOL(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32") POOL_INDEX("4"),
	  NPU_FAULT_NONE, "" },
	{ "POOL.index" POOL(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32") POOL_INDEX("0"),
	  NPU_FAULT_OPERAND, "index_row" },
	{ "UNPOOL" POOL(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32"), NPU_FAULT_OPERAND, "flags" },
	{ "UNPOOL.index.average" POOL(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32") POOL_INDEX("4"),
	  NPU_FAULT_OPERAND, "flags" },
};

static void assemble(const char *text, union gen_any *d)
{
	struct npu_asm_error e;
	size_t used;

	memset(d, 0, sizeof(*d));
	if (npu_asm(text, d, sizeof(*d), &used, &e))
		fail_msg("%s: %u:%u: %s", text, e.line, e.column, e.text);
}

static void test_rules(void **state)
{
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		enum npu_fault_code code;
		struct npu_diag diag;
		union gen_any d;

		assemble(rules[i].text, &d);
		code = npu_check_desc(&g.limits, &d, sizeof(d), &diag);
		if (code != rules[i].fault || strcmp(diag.field, rules[i].field))
			fail_msg("%s: want %s %s, got %s %s: %s", rules[i].text,
				 npu_fault_name(rules[i].fault), rules[i].field,
				 npu_fault_name(code), diag.field, diag.text);
	}
}

/* What no text can say: bytes put into a legal descriptor. */
static void test_raw_rules(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		uint8_t value;
		enum npu_fault_code fault;
	} raw[] = {
		{ "NOP", 0, 0x00, NPU_FAULT_OPCODE },
		{ "NOP", 0, 0x07, NPU_FAULT_OPCODE },
		{ "NOP", 0, 0xff, NPU_FAULT_OPCODE },
		{ "NOP", 1, 0, NPU_FAULT_RESERVED },
		{ "NOP", 1, 2, NPU_FAULT_RESERVED },
		{ "NOP", 2, 1, NPU_FAULT_RESERVED },
		{ "NOP", 3, 0x20, NPU_FAULT_RESERVED },
		{ "NOP", 8, 3, NPU_FAULT_RESERVED },
		{ "NOP wait=s3:1", 8, 64, NPU_FAULT_OPERAND },
		{ "NOP signal=s3:1", 14, 255, NPU_FAULT_OPERAND },
		{ "SETR reg=r1 imm=0", 24, 32, NPU_FAULT_OPERAND },
		{ "SETR reg=r1 imm=0", 24, NPU_REG_NONE, NPU_FAULT_OPERAND },
		{ "ENDL", 24, 1, NPU_FAULT_RESERVED },
		{ "ENDL step=r1:1", 32, 32, NPU_FAULT_OPERAND },
		{ FILL_OK, offsetof(struct npu_desc_fill, spm) + 4, 2, NPU_FAULT_OPERAND },
		{ FILL_OK, offsetof(struct npu_desc_fill, spm) + 4, 255, NPU_FAULT_OPERAND },
		{ FILL_OK, offsetof(struct npu_desc_fill, spm) + 5, NPU_DTYPES, NPU_FAULT_OPERAND },
		{ FILL_OK, offsetof(struct npu_desc_fill, spm) + 5, 255, NPU_FAULT_OPERAND },
		{ FILL_OK, offsetof(struct npu_desc_fill, spm) + 6, 32, NPU_FAULT_OPERAND },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:f32", "spm[0]:f32"),
		  offsetof(struct npu_desc_dma, mem), 32, NPU_FAULT_OPERAND },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:f32", "spm[0]:f32"),
		  offsetof(struct npu_desc_dma, mem), NPU_REG_NONE, NPU_FAULT_OPERAND },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:f32", "spm[0]:f32"),
		  offsetof(struct npu_desc_dma, mem) + 1, NPU_DTYPES, NPU_FAULT_OPERAND },
		{ "REDUCE rop=sum" REDUCE("(3)", "acc[0]:f32", "spm[0]:f32", "(0,0,1,0)"),
		  offsetof(struct npu_desc_reduce, rop), 7, NPU_FAULT_OPCODE },
		{ "REDUCE rop=sum" REDUCE("(3)", "acc[0]:f32", "spm[0]:f32", "(0,0,1,0)"),
		  offsetof(struct npu_desc_reduce, axes), 0x18, NPU_FAULT_OPERAND },
		{ MAP(V0, "st v0, k0 k0=1"), 40, 0, NPU_FAULT_OPERAND },
		{ MAP(V0, "st v0, k0 k0=1"), 40, 13, NPU_FAULT_OPERAND },
		{ MAP(V0, "st v0, k0 k0=1"), 41, 65, NPU_FAULT_OPERAND },
		{ MAP(V0, "st v0, k0 k0=1"), 42, 33, NPU_FAULT_OPERAND },
		{ MAP(V0, "st v0, k0 k0=1"), 72, 0, NPU_FAULT_OPCODE },
		{ MAP(V0, "st v0, k0 k0=1"), 75, 0x80, NPU_FAULT_RESERVED },
		{ MAP(V0, "st v0, k0 k0=1"), 75, 0x02, NPU_FAULT_RESERVED },
		{ MAP(V0, "iota m0 st v0, m0"), 73, 0x20, NPU_FAULT_RESERVED },
	};
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
		enum npu_fault_code code;
		struct npu_diag diag;
		union gen_any d;

		assemble(raw[i].text, &d);
		expect(&g, &d, sizeof(d), NPU_FAULT_NONE);
		d.byte[raw[i].offset] = raw[i].value;
		code = npu_check_desc(&g.limits, &d, sizeof(d), &diag);
		if (code != raw[i].fault)
			fail_msg("%s, byte %zu = %u: want %s, got %s: %s: %s", raw[i].text,
				 raw[i].offset, raw[i].value, npu_fault_name(raw[i].fault),
				 npu_fault_name(code), diag.field, diag.text);
	}
}

/* The full length needs 12 views, 64 micro-ops and 32 constants: too much together. */
static void test_map_length(void **state)
{
	union gen_any d = { .map = { .hdr = { .opcode = NPU_OP_MAP, .lines = 8 } } };
	struct npu_diag diag;
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	d.map.operands = NPU_MAP_OPERANDS;
	d.map.uops = NPU_MAP_UOPS;
	d.map.consts = NPU_MAP_CONSTS;
	assert_int_equal(npu_check_desc(&g.limits, &d, sizeof(d), &diag), NPU_FAULT_OPERAND);
	d.hdr.lines = 12;
	assert_int_equal(npu_check_desc(&g.limits, &d, sizeof(d), &diag), NPU_FAULT_OPERAND);
}

/* Each capability bit guards what it names, and nothing else. */
static void test_capabilities(void **state)
{
	static const struct {
		const char *text;
		uint64_t cap;
	} needs[] = {
		{ "NOP", NPU_CAP_FP32 },
		{ "NOP.trace", NPU_CAP_FP32 | NPU_CAP_TRACE },
		{ "NOP.slice", NPU_CAP_FP32 | NPU_CAP_SLICE },
		{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:u8", "spm[0]:i8", "acc[0]:i32"),
		  NPU_CAP_FP32 | NPU_CAP_INT8 },
		{ "CONV" CONV(SHAPE("4", "4"), "spm[0]:bf16", "spm[0]:bf16", "acc[0]:f32"),
		  NPU_CAP_FP32 | NPU_CAP_BF16 },
		{ MAP("v0=spm[0]:u8 stride=(0,0,0,1)", "st v0, k0 k0=1"),
		  NPU_CAP_FP32 | NPU_CAP_INT8 },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:f32", "spm[0]:i32"), NPU_CAP_FP32 | NPU_CAP_CAST },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:i16", "spm[0]:i32"), NPU_CAP_FP32 | NPU_CAP_CAST },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:u8", "spm[0]:i32"), NPU_CAP_FP32 | NPU_CAP_CAST },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:bf16", "spm[0]:f32"), NPU_CAP_FP32 | NPU_CAP_CAST },
		{ LOAD("(1,1,1,1,4)", "mem[r0]:u8", "spm[0]:u8"), NPU_CAP_FP32 | NPU_CAP_INT8 },
		{ "WGRAD" WGRAD(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32", "acc[0]:f32"),
		  NPU_CAP_WGRAD },
		{ "POOL.index" POOL(SHAPE("4", "4"), "acc[0]:f32", "spm[0]:f32") POOL_INDEX("4"),
		  NPU_CAP_FP32 | NPU_CAP_UNPOOL },
		{ "UNPOOL.index" POOL(SHAPE("4", "4"), "spm[0]:f32", "spm[0]:f32") POOL_INDEX("4"),
		  NPU_CAP_UNPOOL },
		{ "GATHER" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(16,0,0,0)", "f32"), NPU_CAP_GATHER },
		{ "SCATTER" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(16,0,0,0)", "f16"),
		  NPU_CAP_GATHER | NPU_CAP_CAST },
		{ "SCATTER.add" ROWS("(1,1,2)", "4", "(9,0,0,0)", "(16,0,0,0)", "f32"),
		  NPU_CAP_GATHER | NPU_CAP_SCATTER_ADD },
		{ "REDUCE.trap rop=sum" REDUCE("(3)", "acc[0]:i32", "spm[0]:i32", "(0,0,1,0)"),
		  NPU_CAP_FP32 | NPU_CAP_TRAP },
		{ MAP(V0, "iaddt m0, k0, k0 st v0, m0 k0=1"), NPU_CAP_FP32 | NPU_CAP_TRAP },
		{ MAP(V0, "rng m0, k0, k0, k0 st v0, m0 k0=1"), NPU_CAP_FP32 | NPU_CAP_RNG },
	};
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		union gen_any d;

		assemble(needs[i].text, &d);
		g.limits.caps = needs[i].cap;
		expect(&g, &d, sizeof(d), NPU_FAULT_NONE);
		for (unsigned int bit = 0; bit < 64; bit++) {
			if (!(needs[i].cap & 1ull << bit))
				continue;
			g.limits.caps = needs[i].cap & ~(1ull << bit);
			expect(&g, &d, sizeof(d), NPU_FAULT_UNSUPPORTED);
		}
	}
}

static void test_truncated(void **state)
{
	union gen_any d;
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (unsigned int i = 0; i < 200; i++) {
		size_t bytes = gen_desc(&g, gen_opcode(&g), &d);

		/* A block of exactly this size, so that a read past the end is seen. */
		for (size_t avail = 0; avail <= bytes; avail += NPU_LINE_BYTES / 4) {
			void *part = malloc(avail ? avail : 1);

			memcpy(part, &d, avail);
			assert_int_equal(npu_check_desc(&g.limits, part, avail, NULL),
					 avail < bytes ? NPU_FAULT_CMD_END : NPU_FAULT_NONE);
			free(part);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_legal),
		cmocka_unit_test(test_reserved_bytes),
		cmocka_unit_test(test_any_damage),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_raw_rules),
		cmocka_unit_test(test_map_length),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_truncated),
	};

	seed = gen_test_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
