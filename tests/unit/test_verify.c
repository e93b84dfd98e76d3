/* SPDX-License-Identifier: MIT */
/*
 * The verifier: it is silent about sound programs and names each mistake that
 * is planted in one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "back.h"
#include "npu_disasm.h"
#include "npu_prog_read.h"
#include "prog_build.h"

/* ---- programs as assembly ---- */

/* Input r2 and output r3 of 64 floats, scratch of 1 KiB, SPM 4 KiB, ACC 1 KiB. */
static void *assemble(const char *text, size_t *bytes)
{
	const int64_t dim[] = { 64 };
	struct prog_build *pb = pb_create("asm");
	static _Alignas(8) uint8_t cmds[8192];
	struct npu_asm_error error;
	size_t used;

	pb_tensor(pb, NPU_PROG_INPUT, "x", NPU_F32, 2, 0, 1, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "y", NPU_F32, 3, 0, 1, dim);
	pb_consts(pb, (const float[64]){ 1 }, 64 * sizeof(float));
	pb_header(pb)->spm_bytes = 4096;
	pb_header(pb)->acc_bytes = 1024;
	pb_header(pb)->scratch_bytes = 1024;
	pb_header(pb)->array = 4 | 4 << 16;
	if (npu_asm(text, cmds, sizeof(cmds), &used, &error))
		fail_msg("line %u, column %u: %s in\n%s", error.line, error.column, error.text, text);
	for (size_t at = 0; at < used; at += cmds[at + 1] * NPU_LINE_BYTES)
		pb_desc(pb, cmds + at, cmds[at + 1] * NPU_LINE_BYTES);
	return pb_finish(pb, bytes);
}

static void check(const char *text, const char *says)
{
	struct nc_diag diag = { "" };
	size_t bytes;
	void *image = assemble(text, &bytes);
	int ret = nc_verify_image(image, bytes, &diag);

	if (!says && ret)
		fail_msg("'%s' for\n%s", diag.text, text);
	if (says && (!ret || !strstr(diag.text, says)))
		fail_msg("'%s' does not say '%s' for\n%s", diag.text, says, text);
	free(image);
}

#define LOAD_X(ports) \
	"LOAD " ports " dim=(1,1,1,1,64) mem=mem[r2+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
#define NEGATE(ports, to) \
	"MAP " ports " dim=(1,1,1,64) v0=spm[0x0]:f32 stride=(0,0,0,1) v1=spm[" to "]:f32 stride=(0,0,0,1)\n" \
	" ld m0, v0\n fneg m0, m0\n st v1, m0\n"
#define STORE_Y(ports, from) \
	"STORE " ports " dim=(1,1,1,1,64) mem=mem[r3+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[" from "]:f32 stride=(0,0,0,0,1)\n"
#define END "END\n"

static void test_sound(void **state)
{
	(void)state;
	check(LOAD_X("signal=s1:1") NEGATE("wait=s1:1 signal=s2:1", "0x100")
	      STORE_Y("wait=s2:1", "0x100") END, NULL);
	/* In place, and ordered by way of a third engine. */
	check(LOAD_X("signal=s1:1") NEGATE("wait=s1:1 signal=s2:1", "0x0")
	      STORE_Y("wait=s2:1", "0x0") END, NULL);
	/* One signal of two for two waits of one. */
	check(LOAD_X("") LOAD_X("signal=s1:2") NEGATE("wait=s1:1", "0x100")
	      NEGATE("wait=s1:1 signal=s2:1", "0x200") STORE_Y("wait=s2:1", "0x200") END, NULL);
}

static void test_races(void **state)
{
	(void)state;
	check(LOAD_X("") NEGATE("signal=s2:1", "0x100") STORE_Y("wait=s2:1", "0x100") END,
	      "data race: MAP at 0x80 (node '') reads v0, not ordered after LOAD at 0x0");
	check(LOAD_X("signal=s1:1") NEGATE("wait=s1:1", "0x100") STORE_Y("", "0x100") END,
	      "reads spm, not ordered after MAP");
	/* The next load overwrites what is being read. */
	check(LOAD_X("signal=s1:1") NEGATE("wait=s1:1 signal=s2:1", "0x100") LOAD_X("")
	      STORE_Y("wait=s2:1", "0x100") END,
	      "writes spm, not ordered after MAP");
	/* A signal of an earlier descriptor does not tell of a later one. */
	check(LOAD_X("signal=s1:1") LOAD_X("") NEGATE("wait=s1:1 signal=s2:1", "0x100")
	      STORE_Y("wait=s2:1", "0x100") END,
	      "not ordered after LOAD at 0x80");
	/* Through memory: the load does not wait for the store. */
	check(LOAD_X("signal=s1:1")
	      "STORE wait=s1:1 dim=(1,1,1,1,64) mem=mem[r1+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      "LOAD signal=s3:1 dim=(1,1,1,1,64) mem=mem[r1+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x400]:f32 stride=(0,0,0,0,1)\n"
	      STORE_Y("wait=s3:1", "0x400") END,
	      "reads mem, not ordered after STORE");
}

/* Rows that interleave without touching each other are no race. */
static void test_interleaved(void **state)
{
	static const char *const text =
		"LOAD signal=s1:1 dim=(1,1,1,8,4) mem=mem[r2+0x0]:f32 stride_bytes=(0,0,0,32,4) spm=spm[0x0]:f32 stride=(0,0,0,8,1)\n"
		"MAP wait=s1:1 signal=s2:1 dim=(1,1,8,4) v0=spm[0x0]:f32 stride=(0,0,8,1) v1=spm[0x100]:f32 stride=(0,0,8,1)\n"
		" ld m0, v0\n st v1, m0\n"
		"LOAD signal=s1:1 dim=(1,1,1,8,4) mem=mem[r2+0x10]:f32 stride_bytes=(0,0,0,32,4) spm=spm[%s]:f32 stride=(0,0,0,8,1)\n"
		"MAP wait=s1:1 signal=s2:1 dim=(1,1,8,4) v0=spm[%s]:f32 stride=(0,0,8,1) v1=spm[0x110]:f32 stride=(0,0,8,1)\n"
		" ld m0, v0\n st v1, m0\n"
		STORE_Y("wait=s2:2", "0x100") END;
	char buf[2048];

	(void)state;
	snprintf(buf, sizeof(buf), text, "0x10", "0x10");
	check(buf, NULL);
	snprintf(buf, sizeof(buf), text, "0xc", "0xc");
	check(buf, "writes spm, not ordered after MAP");
}

static void test_unwritten(void **state)
{
	(void)state;
	check(NEGATE("signal=s2:1", "0x100") STORE_Y("wait=s2:1", "0x100") END,
	      "operand v0: reads what was never written");
	check(LOAD_X("signal=s1:1") NEGATE("wait=s1:1 signal=s2:1", "0x100")
	      STORE_Y("wait=s2:1", "0x104") END, "operand spm: reads what was never written");
	check("LOAD signal=s3:1 dim=(1,1,1,1,64) mem=mem[r1+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      STORE_Y("wait=s3:1", "0x0") END, "operand mem: reads what was never written");
	check("MATMUL.accumulate dim=(1,1,1,1,1) a=spm[0x0]:f32 stride=(0,0,0,0) b=spm[0x0]:f32 stride=(0,0,0,0) acc=acc[0x0]:f32 stride=(0,0,0)\n"
	      END, "reads what was never written");
}

static void test_bounds(void **state)
{
	(void)state;
	check(LOAD_X("signal=s1:1") NEGATE("wait=s1:1 signal=s2:1", "0xf04")
	      STORE_Y("wait=s2:1", "0x100") END, "SPM_BOUNDS");
	check("LOAD dim=(1,1,1,1,65) mem=mem[r2+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "operand mem: leaves its memory");
	check("LOAD dim=(1,1,1,1,64) mem=mem[r0+0x4]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "operand mem: leaves its memory");
	check("LOAD dim=(1,1,1,1,2) mem=mem[r2+0x0]:f32 stride_bytes=(0,0,0,0,-4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "operand mem: leaves its memory");
	check("LOAD dim=(1,1,1,1,1) mem=mem[r4+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "operand mem: leaves its memory");
	check("LOAD dim=(1,1,1,1,1) mem=mem[r30+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "memory that is not bound");
}

static void test_read_only(void **state)
{
	(void)state;
	check(LOAD_X("signal=s1:1")
	      "STORE wait=s1:1 dim=(1,1,1,1,64) mem=mem[r2+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "writes a constant or an input");
	check(LOAD_X("signal=s1:1")
	      "STORE wait=s1:1 dim=(1,1,1,1,64) mem=mem[r0+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "writes a constant or an input");
}

static void test_overlap(void **state)
{
	(void)state;
	check(LOAD_X("signal=s1:1") NEGATE("wait=s1:1 signal=s2:1", "0x4")
	      STORE_Y("wait=s2:1", "0x4") END, "writes what another operand reads");
	check("LOAD dim=(1,1,1,2,64) mem=mem[r2+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,1,1)\n"
	      END, "writes an element twice");
	check("FILL dim=(1,1,1,2,64) value=0x0 spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n" END,
	      "writes an element twice");
}

static void test_outputs(void **state)
{
	(void)state;
	check(LOAD_X("signal=s1:1")
	      "STORE wait=s1:1 dim=(1,1,1,1,63) mem=mem[r3+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0]:f32 stride=(0,0,0,0,1)\n"
	      END, "output 'y' is not stored whole");
}

static void test_streams(void **state)
{
	(void)state;
	check(LOAD_X("signal=s1:1"), "CMD_END");
	check(LOAD_X("wait=s1:1") END, "not covered by signals");
	check("NOP wait=s1:1\n" END, "not covered by signals");
	check("NOP signal=s1:1\n" END, "does not know semaphores of CP");
}

/* Halves by a loop: registers step through input, output and scratchpad. */
static void test_loops(void **state)
{
	static const char *const text =
		"SETR reg=r30 imm=0\n"
		"LOOP count=%u\n"
		"LOAD signal=s1:1 dim=(1,1,1,1,32) mem=mem[r2+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0+r30]:f32 stride=(0,0,0,0,1)\n"
		"STORE wait=s1:1 dim=(1,1,1,1,32) mem=mem[r3+0x0]:f32 stride_bytes=(0,0,0,0,4) spm=spm[0x0+r30]:f32 stride=(0,0,0,0,1)\n"
		"ENDL step=r2:128,r3:128,r30:%u\n" END;
	char buf[2048];

	(void)state;
	snprintf(buf, sizeof(buf), text, 2, 128);
	check(buf, NULL);
	snprintf(buf, sizeof(buf), text, 1, 128);
	check(buf, "output 'y' is not stored whole");
	snprintf(buf, sizeof(buf), text, 3, 128);
	check(buf, "operand mem: leaves its memory");
	/* The second load would overwrite what the first store still reads. */
	snprintf(buf, sizeof(buf), text, 2, 0);
	check(buf, "writes spm, not ordered after STORE");
}

/* ---- compiled programs ---- */

static const char network[] =
	"kir \"network\"\n"
	"n0 \"fc\" \"MatMul\"\n"
	"n1 \"sum\" \"ReduceSum\"\n"
	"t0 input f32 \"x\" [60,80]\n"
	"t1 const f32 \"w\" 1600 { rand 1 }\n"
	"t2 output f32 \"h\" [60,20]\n"
	"t3 output f32 \"y\" [60]\n"
	"matmul n0 dim=[1,1,60,20,80] groups=1 a=t0+0(0,0,80,1) b=t1+0(0,0,20,1) bias=none map=[1,1,60,20] acc:0 st:t2+0(0,0,20,1) { m0=LD o0; ST o1,m0 }\n"
	"reduce n1 dim=[60,20] axes=0x2 rop=SUM in=t2+0(20,1) out=t3+0(1,0)\n";

static void *compile(size_t *bytes)
{
	const struct npu_target target = {
		.array_rows = 4, .array_cols = 4, .spm_bytes = 8192, .acc_bytes = 4096,
	};
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = kir_parse(arena, network, &diag);
	void *image;

	assert_non_null(k);
	if (nc_back(k, &target, NULL, NULL, &image, bytes, &diag))
		fail_msg("%s", diag.text);
	nc_arena_destroy(arena);
	return image;
}

static struct npu_desc_hdr *desc_at(const struct npu_prog_view *v, uint32_t at_bytes)
{
	return (void *)((char *)(uintptr_t)v->cmds + at_bytes);
}

/* Take out the @skip-th signal of @sem, and the wait that it was for. */
static bool cut(const struct npu_prog_view *v, unsigned int sem, unsigned int skip)
{
	unsigned int signals = 0, waits = 0;
	bool found = false;

	for (uint32_t at = 0; at < v->cmd_bytes; at += desc_at(v, at)->lines * 64) {
		struct npu_desc_hdr *hdr = desc_at(v, at);

		for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
			if (hdr->signal[i].count && hdr->signal[i].sem == sem &&
			    signals++ == skip) {
				hdr->signal[i] = (struct npu_sem_ref){ 0 };
				found = true;
			}
			if (hdr->wait[i].count && hdr->wait[i].sem == sem && waits++ == skip)
				hdr->wait[i] = (struct npu_sem_ref){ 0 };
		}
	}
	return found;
}

/* Every one of the compiler's semaphore pairs is needed, and missed when cut. */
static void test_every_pair_counts(void **state)
{
	unsigned int pairs = 0;
	size_t bytes;
	void *image = compile(&bytes), *copy = malloc(bytes);
	struct nc_diag diag = { "" };

	(void)state;
	assert_int_equal(nc_verify_image(image, bytes, &diag), 0);
	for (unsigned int sem = 0; sem < NPU_SEMAPHORES; sem++)
		for (unsigned int skip = 0;; skip++) {
			struct npu_prog_view v;
			const char *error;

			memcpy(copy, image, bytes);
			assert_int_equal(npu_prog_read(copy, bytes, &v, &error), 0);
			if (!cut(&v, sem, skip))
				break;
			pairs++;
			((struct npu_prog_header *)copy)->crc32 = npu_prog_crc32(copy, bytes);
			diag.text[0] = 0;
			assert_int_equal(nc_verify_image(copy, bytes, &diag), -EINVAL);
			assert_non_null(strstr(diag.text, "data race"));
		}
	assert_in_range(pairs, 20, 1000);
	free(copy);
	free(image);
}

/* No byte can be changed without a message or an equally sound program; no crash. */
static void test_damaged(void **state)
{
	size_t bytes;
	unsigned char *image = compile(&bytes);

	(void)state;
	for (size_t i = 0; i < bytes; i += i < 256 ? 1 : 37) {
		unsigned char keep = image[i];
		struct nc_diag diag = { "" };

		image[i] ^= (unsigned char)(1u << i % 8);
		assert_true(nc_verify_image(image, bytes, &diag) < 0);
		((struct npu_prog_header *)(void *)image)->crc32 = npu_prog_crc32(image, bytes);
		diag.text[0] = 0;
		if (nc_verify_image(image, bytes, &diag))
			assert_string_not_equal(diag.text, "");
		image[i] = keep;
		((struct npu_prog_header *)(void *)image)->crc32 = npu_prog_crc32(image, bytes);
	}
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_races),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_unwritten),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_outputs),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_every_pair_counts),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
