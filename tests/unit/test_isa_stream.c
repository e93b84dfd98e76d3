/* SPDX-License-Identifier: MIT */
/*
 * The checker of command buffers: random legal streams pass, each rule is seen
 * to break, and semaphore verdicts equal those of running every iteration.
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

#define STREAM_BYTES	8192

static uint64_t seed;

union stream {
	uint64_t align;
	uint8_t byte[STREAM_BYTES];
};

static void test_random_legal(void **state)
{
	static union stream s;
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 2000; i++) {
		struct npu_diag diag;
		enum npu_fault_code code;
		size_t bytes, at;

		gen_init(&g, seed + i);
		g.no_ports = gen_below(&g, 4) == 0;
		memset(&s, 0, sizeof(s));
		bytes = gen_stream(&g, &s, gen_range(&g, 4096, STREAM_BYTES - NPU_LINE_BYTES));
		code = npu_check_stream(&g.limits, &s, bytes, &at, &diag);
		if (code)
			fail_msg("at %zu: %s: %s: %s", at, npu_fault_name(code), diag.field,
				 diag.text);
		code = npu_check_stream(&g.limits, &s, bytes + NPU_LINE_BYTES, NULL, NULL);
		assert_int_equal(code, NPU_FAULT_NONE);
		code = npu_check_stream(&g.limits, &s, bytes - NPU_LINE_BYTES, NULL, NULL);
		assert_int_equal(code, bytes > NPU_LINE_BYTES ? NPU_FAULT_CMD_END : NPU_FAULT_JOB);
		s.byte[bytes + gen_below(&g, NPU_LINE_BYTES)] = 1;
		assert_int_equal(npu_check_stream(&g.limits, &s, bytes + NPU_LINE_BYTES, &at, NULL),
				 NPU_FAULT_RESERVED);
		assert_int_equal(at, bytes);
	}
}

#define FILL "FILL dim=(1,1,1,1,1) value=0 spm=spm[0]:f32 stride=(0,0,0,0,0)"
#define MAP "MAP dim=(1,1,1,1) v0=spm[0]:f32 stride=(0,0,0,0) k0=0 st v0, k0"

static const struct {
	const char *text;
	enum npu_fault_code fault;
	size_t at_lines;
} rules[] = {
	{ "END", NPU_FAULT_NONE, 0 },
	{ "NOP\nEND", NPU_FAULT_NONE, 1 },
	{ "NOP", NPU_FAULT_CMD_END, 1 },
	{ "LOOP count=2\nENDL\nEND", NPU_FAULT_NONE, 3 },
	{ "LOOP count=2\nEND", NPU_FAULT_LOOP, 1 },
	{ "ENDL\nEND", NPU_FAULT_LOOP, 0 },
	{ "LOOP count=2\nENDL\nENDL\nEND", NPU_FAULT_LOOP, 3 },
	{ "LOOP count=2\nLOOP count=2\nLOOP count=2\nLOOP count=2\n"
	  "ENDL\nENDL\nENDL\nENDL\nEND", NPU_FAULT_NONE, 12 },
	{ "LOOP count=2\nLOOP count=2\nLOOP count=2\nLOOP count=2\nLOOP count=2\n"
	  "ENDL\nENDL\nENDL\nENDL\nENDL\nEND", NPU_FAULT_LOOP, 4 },
	{ "END\nEND", NPU_FAULT_RESERVED, 1 },
	{ "NOP\nLOOP count=0\nENDL\nEND", NPU_FAULT_OPERAND, 1 },
	/* Semaphores: FILL is 2 lines, MAP 2 */
	{ FILL " signal=s0:1\n" MAP " wait=s0:1\nEND", NPU_FAULT_NONE, 4 },
	{ MAP " wait=s0:1\n" FILL " signal=s0:1\nEND", NPU_FAULT_SEMAPHORE, 0 },
	{ FILL " signal=s0:1\n" MAP " wait=s0:2\nEND", NPU_FAULT_SEMAPHORE, 2 },
	{ FILL " wait=s0:1 signal=s0:1\nEND", NPU_FAULT_SEMAPHORE, 0 },
	{ FILL " signal=s0:1\n" MAP " signal=s0:1\nEND", NPU_FAULT_SEMAPHORE, 2 },
	{ FILL " signal=s0:2\n" MAP " wait=s0:1\nNOP wait=s0:1\nEND", NPU_FAULT_SEMAPHORE, 4 },
	{ FILL " signal=s0:1\n" FILL " wait=s0:1\nEND wait=s1:1", NPU_FAULT_SEMAPHORE, 4 },
	{ "NOP signal=s0:1\nEND wait=s0:1", NPU_FAULT_NONE, 1 },
	{ FILL " signal=s0:3\nLOOP count=3\n" MAP " wait=s0:1\nENDL\nEND", NPU_FAULT_NONE, 7 },
	{ FILL " signal=s0:3\nLOOP count=4\n" MAP " wait=s0:1\nENDL\nEND",
	  NPU_FAULT_SEMAPHORE, 3 },
	{ FILL " signal=s0:9\nLOOP count=3\nLOOP count=3\n" MAP " wait=s0:1\nENDL\nENDL\nEND",
	  NPU_FAULT_NONE, 10 },
	{ FILL " signal=s0:8\nLOOP count=3\nLOOP count=3\n" MAP " wait=s0:1\nENDL\nENDL\nEND",
	  NPU_FAULT_SEMAPHORE, 4 },
	{ "LOOP count=257\n" FILL " signal=s0:255\nENDL\nEND", NPU_FAULT_NONE, 5 },
	{ "NOP signal=s0:1\nLOOP count=257\nNOP signal=s0:255\nENDL\nEND",
	  NPU_FAULT_SEMAPHORE, 2 },
	{ "LOOP count=65535\nLOOP count=65535\nLOOP count=65535\nLOOP count=65535\n"
	  "NOP signal=s0:255\nENDL\nENDL\nENDL\nENDL\nEND", NPU_FAULT_SEMAPHORE, 4 },
	{ "LOOP count=65535\nLOOP count=65535\nLOOP count=65535\nLOOP count=65535\n"
	  "NOP signal=s0:255\nNOP wait=s0:255\nENDL\nENDL\nENDL\nENDL\nEND", NPU_FAULT_NONE,
	  14 },
};

static void test_rules(void **state)
{
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct npu_diag diag;
		struct npu_asm_error e;
		enum npu_fault_code code;
		static union stream s;
		size_t bytes, at = 0;

		if (npu_asm(rules[i].text, &s, sizeof(s), &bytes, &e))
			fail_msg("%s: %u:%u: %s", rules[i].text, e.line, e.column, e.text);
		code = npu_check_stream(&g.limits, &s, bytes, &at, &diag);
		if (code != rules[i].fault || at != rules[i].at_lines * NPU_LINE_BYTES)
			fail_msg("%s: got %s at line %zu: %s: %s", rules[i].text,
				 npu_fault_name(code), at / NPU_LINE_BYTES, diag.field, diag.text);
		assert_int_equal(diag.code, code);
	}
}

static void test_sizes(void **state)
{
	static union stream s;
	struct gen g;
	size_t bytes;

	(void)state;
	gen_init(&g, seed);
	assert_int_equal(npu_asm("END", &s, sizeof(s), &bytes, NULL), 0);
	assert_int_equal(npu_check_stream(&g.limits, &s, 0, NULL, NULL), NPU_FAULT_JOB);
	assert_int_equal(npu_check_stream(&g.limits, &s, 63, NULL, NULL), NPU_FAULT_JOB);
	assert_int_equal(npu_check_stream(&g.limits, &s, 65, NULL, NULL), NPU_FAULT_JOB);
	bytes = (size_t)NPU_CMD_BYTES_MAX + 64;
	assert_int_equal(npu_check_stream(&g.limits, &s, bytes, NULL, NULL), NPU_FAULT_JOB);
}

/* ---- Semaphores against every iteration ---- */

struct naive {
	int64_t value[NPU_SEMAPHORES];
	int producer[NPU_SEMAPHORES];
	int consumer[NPU_SEMAPHORES];
	bool bad;
};

static void naive_ports(struct naive *n, const struct npu_desc_hdr *hdr)
{
	int engine = npu_op_engine(hdr->opcode);

	for (int i = 0; i < 3; i++) {
		const struct npu_sem_ref *p = &hdr->wait[i];

		if (!p->count)
			continue;
		n->bad |= n->consumer[p->sem] >= 0 && n->consumer[p->sem] != engine;
		n->consumer[p->sem] = engine;
		n->value[p->sem] -= p->count;
		n->bad |= n->value[p->sem] < 0;
	}
	for (int i = 0; i < 3; i++) {
		const struct npu_sem_ref *p = &hdr->signal[i];

		if (!p->count)
			continue;
		n->bad |= n->producer[p->sem] >= 0 && n->producer[p->sem] != engine;
		n->producer[p->sem] = engine;
		n->value[p->sem] += p->count;
		n->bad |= n->value[p->sem] > NPU_SEM_MAX;
	}
}

/* Returns the offset after the block's ENDL or at its END. */
static size_t naive_block(struct naive *n, const uint8_t *cmds, size_t at)
{
	for (;;) {
		const struct npu_desc_hdr *hdr = (const void *)(cmds + at);
		const struct npu_desc_loop *loop = (const void *)hdr;
		size_t next = at + hdr->lines * (size_t)NPU_LINE_BYTES;

		if (hdr->opcode == NPU_OP_END) {
			naive_ports(n, hdr);
			return at;
		}
		if (hdr->opcode == NPU_OP_ENDL)
			return next;
		if (hdr->opcode == NPU_OP_LOOP) {
			size_t end = next;

			for (uint32_t i = 0; i < loop->count && !n->bad; i++)
				end = naive_block(n, cmds, next);
			if (n->bad)
				return at;
			next = end;
		} else {
			naive_ports(n, hdr);
		}
		if (n->bad)
			return at;
		at = next;
	}
}

static size_t append(union stream *s, size_t at, const union gen_any *d)
{
	memcpy(s->byte + at, d, d->hdr.lines * (size_t)NPU_LINE_BYTES);
	return at + d->hdr.lines * (size_t)NPU_LINE_BYTES;
}

static void random_ports(struct gen *g, struct npu_sem_ref port[3], bool large)
{
	for (unsigned int i = 0; i < 3; i++) {
		if (gen_below(g, 3) == 0)
			port[i] = (struct npu_sem_ref) {
				.sem = (uint8_t)(i * 2 + gen_below(g, 2)),
				.count = (uint8_t)gen_range(g, 1, large ? 255 : 4),
			};
	}
}

/* Not legal by construction: about as many are refused as pass. */
static size_t random_semaphores(struct gen *g, union stream *s)
{
	static const char *const text[] = { FILL, MAP, "NOP" };
	bool large = gen_below(g, 4) == 0;
	unsigned int depth = 0, kind = gen_below(g, 3);
	union gen_any d;
	size_t at = 0, used;

	assert_int_equal(npu_asm(FILL " signal=s0:9,s2:9,s4:9", &d, sizeof(d), &used, NULL), 0);
	at = append(s, at, &d);
	for (unsigned int i = gen_range(g, 1, 12); i; i--) {
		unsigned int what = gen_below(g, 6);

		memset(&d, 0, sizeof(d));
		if (what == 0 && depth < NPU_LOOP_LEVELS) {
			assert_int_equal(npu_asm("LOOP count=1", &d, sizeof(d), &used, NULL), 0);
			d.loop.count = gen_range(g, 1, large && !depth ? 300 : 5);
			depth++;
		} else if (what == 1 && depth) {
			assert_int_equal(npu_asm("ENDL", &d, sizeof(d), &used, NULL), 0);
			depth--;
		} else {
			bool source = gen_below(g, 2);

			int err = npu_asm(text[source ? 0 : kind], &d, sizeof(d), &used, NULL);

			assert_int_equal(err, 0);
			random_ports(g, source ? d.hdr.signal : d.hdr.wait, large);
		}
		at = append(s, at, &d);
	}
	assert_int_equal(npu_asm("ENDL", &d, sizeof(d), &used, NULL), 0);
	while (depth--)
		at = append(s, at, &d);
	assert_int_equal(npu_asm("END", &d, sizeof(d), &used, NULL), 0);
	return append(s, at, &d);
}

static void test_semaphores(void **state)
{
	unsigned int refused = 0, rounds = 30000;
	static union stream s;
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (unsigned int i = 0; i < rounds; i++) {
		size_t bytes = random_semaphores(&g, &s), at;
		struct naive n = { .bad = false };
		enum npu_fault_code code = npu_check_stream(&g.limits, &s, bytes, &at, NULL);

		memset(n.producer, 0xff, sizeof(n.producer));
		memset(n.consumer, 0xff, sizeof(n.consumer));
		naive_block(&n, s.byte, 0);
		assert_int_equal(code, n.bad ? NPU_FAULT_SEMAPHORE : NPU_FAULT_NONE);
		refused += n.bad;
	}
	assert_in_range(refused, rounds / 10, rounds - rounds / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_legal),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_semaphores),
	};

	seed = gen_test_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
