/* SPDX-License-Identifier: MIT */
/*
 * Text form of descriptors: it round-trips for legal descriptors and for any
 * other bytes, and mistakes in a text are told with line, column and reason.
 */
#include <errno.h>
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

static void expect_round_trip(const union gen_any *d, size_t bytes, unsigned int flags)
{
	char text[NPU_DISASM_BYTES_MAX * 2];
	size_t at = 0, length = 0, used;
	struct npu_asm_error error;
	union gen_any back;
	int err;

	while (at < bytes) {
		length += npu_disasm(&d->byte[at], bytes - at, flags, text + length,
				     sizeof(text) - length, &used);
		assert_true(length + 2 < sizeof(text));
		text[length++] = '\n';
		text[length] = 0;
		at += used;
	}
	assert_int_equal(at, bytes);
	err = npu_asm(text, &back, sizeof(back), &used, &error);
	if (err)
		print_error("%s\n%u:%u: %s\n", text, error.line, error.column, error.text);
	assert_int_equal(err, 0);
	if (used != bytes || memcmp(d, &back, bytes))
		print_error("differs: %s\n", text);
	assert_int_equal(used, bytes);
	assert_memory_equal(d, &back, bytes);
}

static void test_legal(void **state)
{
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (unsigned int i = 0; i < 15000; i++) {
		union gen_any d;
		size_t bytes = gen_desc(&g, gen_opcode(&g), &d);
		char text[NPU_DISASM_BYTES_MAX];

		/* A legal descriptor has a text of its own. */
		assert_true(npu_disasm(&d, bytes, 0, text, sizeof(text), NULL) < sizeof(text));
		assert_int_not_equal(text[0], '.');
		expect_round_trip(&d, bytes, i & 1 ? NPU_DISASM_ONE_LINE : 0);
	}
}

static void test_any_bytes(void **state)
{
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (unsigned int i = 0; i < 15000; i++) {
		union gen_any d;
		size_t bytes = gen_desc(&g, gen_opcode(&g), &d);

		for (unsigned int n = gen_range(&g, 1, 3); n; n--) {
			size_t at = gen_below(&g, gen_below(&g, 4) ? (uint32_t)bytes : 32);

			d.byte[at] = (uint8_t)(gen_below(&g, 2) ? gen_u64(&g) : gen_below(&g, 3));
		}
		expect_round_trip(&d, bytes, 0);
	}
	for (unsigned int i = 0; i < 1000; i++) {
		union gen_any d;

		for (size_t at = 0; at < sizeof(d.byte); at++)
			d.byte[at] = (uint8_t)gen_u64(&g);
		expect_round_trip(&d, sizeof(d.byte), 0);
	}
}

static void test_conv_text(void **state)
{
	static const char text[] =
		"# first layer\n"
		"CONV.bias tag=3 wait=s1:1 signal=s2:1,-,s63:255\n"
		"\tn=1 h=28 w=28 c=1 oh=26 ow=26 k=32 kh=3 kw=3 pad_top=-1 # a comment\n"
		"\n"
		"\tin=spm[0x400+r5]:f32 stride=(784,28,1)\n"
		"\tweights=spm[32768]:f32 bias=spm[0x9000]:f32\n"
		"  acc=acc[0x0]:f32 stride=(21632, -832, 32)\n";
	const struct npu_desc_conv want = {
		.hdr = {
			.opcode = NPU_OP_CONV,
			.lines = 2,
			.flags = NPU_F_BIAS,
			.tag = 3,
			.wait = { { 1, 1 } },
			.signal = { { 2, 1 }, { 0, 0 }, { 63, 255 } },
		},
		.shape = {
			.n = 1, .h = 28, .w = 28, .c = 1, .oh = 26, .ow = 26, .k = 32,
			.kh = 3, .kw = 3, .stride_h = 1, .stride_w = 1, .dil_h = 1,
			.dil_w = 1, .pad_top = -1, .up_h = 1, .up_w = 1,
		},
		.in = { .addr = 0x400, .reg = 5 },
		.weights = { .addr = 32768, .reg = NPU_REG_NONE },
		.bias = { .addr = 0x9000, .reg = NPU_REG_NONE },
		.acc = { .space = NPU_SPACE_ACC, .reg = NPU_REG_NONE },
		.in_stride = { 784, 28, 1 },
		.acc_stride = { 21632, -832, 32 },
	};
	union gen_any d;
	size_t used;

	(void)state;
	assert_int_equal(npu_asm(text, &d, sizeof(d), &used, NULL), 0);
	assert_int_equal(used, 2 * NPU_LINE_BYTES);
	assert_memory_equal(&d, &want, sizeof(want));
}

static void test_map_text(void **state)
{
	static const char text[] =
		"MAP dim=(1,2,3,4) v0=acc[0]:f32 stride=(0,0,0,1)\n"
		" v1=spm[0]:i32 stride=(12,-4,0,1)\n"
		" k0=0x3f800000 k1=7\n"
		" ld m0, v0\n"
		" iota m31\n"
		" FMA m3, m31,k1, m0\n"
		" st v1, m3\n"
		"END";
	static const uint32_t words[] = {
		NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0),
		NPU_UOP_WORD(NPU_UOP_IOTA, 31, 0, 0, 0),
		NPU_UOP_WORD(NPU_UOP_FMA, 3, 31, 33, 0),
		NPU_UOP_WORD(NPU_UOP_ST, 1, 3, 0, 0),
		0x3f800000, 7,
	};
	union gen_any d[1];
	size_t used;

	(void)state;
	assert_int_equal(npu_asm(text, d, sizeof(d), &used, NULL), 0);
	assert_int_equal(used, 3 * NPU_LINE_BYTES);
	assert_int_equal(d->hdr.lines, 2);
	assert_int_equal(d->map.operands, 2);
	assert_int_equal(d->map.uops, 4);
	assert_int_equal(d->map.consts, 2);
	assert_int_equal(d->map.view[1].stride[1], -4);
	assert_memory_equal(npu_map_uops(&d->map), words, sizeof(words));
	assert_int_equal(d->byte[2 * NPU_LINE_BYTES], NPU_OP_END);
	assert_int_equal(d->byte[2 * NPU_LINE_BYTES + 1], 1);
}

static void test_mistakes(void **state)
{
#define OPS "in=spm[0]:f32 stride=(1,1,1) weights=spm[0]:f32 acc=acc[0]:f32 stride=(1,1,1)"
	static const struct {
		const char *text;
		unsigned int line;
		unsigned int column;
		const char *reason;
	} bad[] = {
		{ "FOO", 1, 1, "'FOO': instruction expected" },
		{ "\n\n=", 3, 1, "'=': instruction expected" },
		{ "END\nNOP.bias", 2, 5, "'bias': NOP has no such flag" },
		{ "CONV.bias.bias", 1, 11, "'bias': given twice" },
		{ "NOP,", 1, 4, "',': blank expected" },
		{ "NOP tag=1,", 1, 10, "',': blank expected" },
		{ "NOP tag=x", 1, 9, "'x': number expected" },
		{ "NOP tag=12z", 1, 9, "'12z': number expected" },
		{ "NOP tag=0x", 1, 9, "'0x': number expected" },
		{ "NOP tag=", 1, 9, "end of line: number expected" },
		{ "NOP tag=-1", 1, 9, "'-1': must be 0 .. 4294967295" },
		{ "NOP tag=99999999999999999999", 1, 9, "must be 0 .. 4294967295" },
		{ "NOP tag=1 tag=1", 1, 11, "'tag': given twice" },
		{ "NOP wait=s64:1", 1, 10, "'s64': s0 .. s63 expected" },
		{ "NOP wait=s1", 1, 12, "end of line: ':' expected" },
		{ "NOP wait=s1:0", 1, 13, "must be 1 .. 255" },
		{ "NOP wait=s1:1,s2:1,s3:1,s4:1", 1, 25, "at most 3 semaphores" },
		{ "NOP foo=1", 1, 5, "'foo': NOP has no such field" },
		{ "NOP foo", 1, 5, "'foo': field= or, in a MAP, a micro-op expected" },
		{ "NOP (", 1, 5, "'(': field or micro-op expected" },
		{ "NOP\n fadd m0, m1, m2", 2, 2, "'fadd'" },
		{ "LOOP\n\nEND", 1, 1, "'LOOP': field count is missing" },
		{ "NOP\n\tLOOP\n", 2, 2, "'LOOP': field= or" },
		{ "SETR reg=r32 imm=0", 1, 10, "r0 .. r31 expected" },
		{ "SETR reg=r1 imm=0x8000000000000000", 1, 17, "must be -9223372036854775808" },
		{ "ENDL step=r1:1,r1:1,r1:1,r1:1,r1:1", 1, 31, "at most 4 steps" },
		{ "REDUCE rop=mean", 1, 12, "'mean': reduction expected" },
		{ "REDUCE axes=(4)", 1, 14, "must be 0 .. 3" },
		{ "FILL dim=(1,2)", 1, 14, "')': ',' expected" },
		{ "FILL dim=(1,2,3,4,5,6)", 1, 20, "',': ')' expected" },
		{ "FILL dim=1", 1, 10, "'1': '(' expected" },
		{ "FILL\n spm=foo[0]:f32", 2, 6, "'foo': spm or acc expected" },
		{ "FILL\n spm=spm[0]:f33", 2, 13, "'f33': element type expected" },
		{ "FILL\n spm=spm[0]:f32\nEND", 3, 1, "stride expected" },
		{ "FILL\n spm=spm[0]:f32 dim=(1,1,1,1,1)", 2, 17, "'dim': stride expected" },
		{ "FILL\n spm=spm[0+m1]:f32", 2, 12, "'m1': r0 .. r31 expected" },
		{ "LOAD mem=spm[r1]:f32", 1, 10, "'spm': mem expected" },
		{ "LOAD mem=mem[1]:f32", 1, 14, "'1': r0 .. r31 expected" },
		{ "CONV n=70000", 1, 8, "must be 0 .. 65535" },
		{ "CONV bias=spm[0]:f32", 1, 6, "'bias': needs CONV.bias" },
		{ "CONV.bias n=1 h=1 w=1 c=1 oh=1 ow=1 k=1 kh=1 kw=1\n\t" OPS, 1, 1,
		  "'CONV': field bias is missing" },
		{ "MAP operands=1", 1, 5, "'operands': no field of MAP" },
		{ "MAP v1=spm[0]:f32", 1, 5, "'v1': no field of MAP" },
		{ "MAP k0=1 k2=1", 1, 10, "'k2': no field of MAP" },
		{ "MAP fadd m0, m1", 1, 16, "end of line: ',' expected" },
		{ "MAP fadd m32, m1, m2", 1, 10, "'m32': m0 .. m31 expected" },
		{ "MAP fadd m0, v1, m2", 1, 14, "'v1': m0 .. m31 expected" },
		{ "MAP fadd m0, k32, m2", 1, 14, "'k32': k0 .. k31 expected" },
		{ "MAP ld m0, m1", 1, 12, "'m1': v0 .. v11 expected" },
		{ "MAP st m0, m1", 1, 8, "'m0': v0 .. v11 expected" },
		{ ".foo", 1, 2, "'foo': instruction or .line expected" },
		{ ".line 00", 1, 7, "128 hexadecimal digits expected" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct npu_asm_error e = { .text = "" };
		union gen_any d;
		size_t used;
		int err = npu_asm(bad[i].text, &d, sizeof(d), &used, &e);

		if (err != -EINVAL || e.line != bad[i].line || e.column != bad[i].column ||
		    !strstr(e.text, bad[i].reason))
			print_error("%s: got %d, %u:%u: %s\n", bad[i].text, err, e.line, e.column,
				    e.text);
		assert_int_equal(err, -EINVAL);
		assert_int_equal(e.line, bad[i].line);
		assert_int_equal(e.column, bad[i].column);
		assert_non_null(strstr(e.text, bad[i].reason));
	}
}

static void test_output_too_small(void **state)
{
	struct npu_asm_error e;
	union gen_any d;
	size_t used;

	(void)state;
	assert_int_equal(npu_asm("NOP\nNOP\nENDL\n", &d, 3 * NPU_LINE_BYTES, &used, &e), -ENOSPC);
	assert_int_equal(used, 2 * NPU_LINE_BYTES);
	assert_int_equal(e.line, 3);
	assert_int_equal(npu_asm("", &d, 0, &used, &e), 0);
	assert_int_equal(used, 0);
}

/* A MAP whose parts are each legal but do not fit 8 lines together. */
static void test_map_too_long(void **state)
{
	char text[8192] = "MAP dim=(1,1,1,1)";
	struct npu_asm_error e;
	union gen_any d;
	size_t used;

	(void)state;
	for (unsigned int i = 0; i < 12; i++)
		sprintf(text + strlen(text), " v%u=spm[0]:f32 stride=(0,0,0,0)", i);
	for (unsigned int i = 0; i < 44; i++)
		strcat(text, " st v0, k0");
	assert_int_equal(npu_asm(text, &d, sizeof(d), &used, &e), 0);
	assert_int_equal(used, NPU_DESC_BYTES_MAX);
	strcat(text, " st v0, k0");
	assert_int_equal(npu_asm(text, &d, sizeof(d), &used, &e), -EINVAL);
	assert_non_null(strstr(e.text, "exceed 8 lines"));
	for (unsigned int i = 0; i < 20; i++)
		strcat(text, " st v0, k0");
	assert_int_equal(npu_asm(text, &d, sizeof(d), &used, &e), -EINVAL);
	assert_non_null(strstr(e.text, "more than 64 micro-ops"));
}

/* Broken text is refused or accepted, and never more than that. */
static void test_broken_text(void **state)
{
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (unsigned int i = 0; i < 15000; i++) {
		static const char odd[] = " \n\t#.,=()[]:+-0x9fmrvks\x80";
		union gen_any d, out;
		size_t bytes = gen_desc(&g, gen_opcode(&g), &d), used;
		char text[NPU_DISASM_BYTES_MAX];
		uint32_t length = (uint32_t)npu_disasm(&d, bytes, 0, text, sizeof(text), NULL);
		struct npu_asm_error e = { .text = "" };
		char *copy;
		int err;

		for (unsigned int n = gen_range(&g, 1, 3); n; n--)
			text[gen_below(&g, length)] = odd[gen_below(&g, sizeof(odd) - 1)];
		/* A block of its own, so that a read past the end is seen. */
		copy = strndup(text, gen_below(&g, 3) ? length : gen_below(&g, length));
		err = npu_asm(copy, &out, sizeof(out), &used, &e);
		free(copy);
		assert_true(err == 0 || err == -EINVAL || err == -ENOSPC);
		assert_true(!err || (e.line > 0 && e.column > 0 && e.text[0]));
		assert_true(used <= sizeof(out) && used % NPU_LINE_BYTES == 0);
	}
}

static void test_truncated_output(void **state)
{
	union gen_any d;
	struct gen g;
	size_t bytes, full;
	char text[NPU_DISASM_BYTES_MAX], part[64];

	(void)state;
	gen_init(&g, seed);
	bytes = gen_desc(&g, NPU_OP_CONV, &d);
	full = npu_disasm(&d, bytes, 0, text, sizeof(text), NULL);
	assert_int_equal(strlen(text), full);
	assert_int_equal(npu_disasm(&d, bytes, 0, NULL, 0, NULL), full);
	for (size_t room = 1; room <= sizeof(part); room++) {
		memset(part, '!', sizeof(part));
		assert_int_equal(npu_disasm(&d, bytes, 0, part, room, NULL), full);
		assert_int_equal(strlen(part), room - 1);
		assert_memory_equal(part, text, room - 1);
		assert_true(room == sizeof(part) || part[room] == '!');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_legal),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_conv_text),
		cmocka_unit_test(test_map_text),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_output_too_small),
		cmocka_unit_test(test_map_too_long),
		cmocka_unit_test(test_broken_text),
		cmocka_unit_test(test_truncated_output),
	};

	seed = gen_test_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
