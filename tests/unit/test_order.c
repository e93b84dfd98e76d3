/* SPDX-License-Identifier: MIT */
/*
 * The order pass on random streams, against brute force: the relation that its
 * semaphores make orders every two descriptors that touch the same bytes, and
 * without any one of them it does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "nc.h"
#include "npu_check.h"
#include "npu_prog.h"

#define DESCS	48
#define SPM	4096u
#define ACC	1024u
#define SCRATCH	4096u

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % n;
}

/* ---- random streams ---- */

/* A vector of whole 64-byte granules, so that the pass need not be careful. */
static uint32_t place(uint32_t memory, uint32_t *elems)
{
	uint32_t granules = 1 + below(4);
	uint32_t at = below(memory / 64 - granules + 1);

	*elems = granules * 16;
	return at * 64;
}

static struct npu_ref ref(uint8_t space, uint32_t addr)
{
	return (struct npu_ref){ .addr = addr, .space = space, .reg = NPU_REG_NONE };
}

static void random_dma(struct npu_desc_dma *d, bool load)
{
	uint32_t elems, spm = place(SPM, &elems);

	d->hdr = (struct npu_desc_hdr){ .opcode = load ? NPU_OP_LOAD : NPU_OP_STORE, .lines = 2 };
	for (unsigned int i = 0; i < 5; i++)
		d->dim[i] = 1;
	d->dim[4] = elems;
	/* Scratch is read and written; r2 is an input that only loads use. */
	d->mem.reg = load && below(3) == 0 ? 2 : NPU_PROG_REG_SCRATCH;
	d->mem.offset_bytes = below((SCRATCH - elems * 4) / 64 + 1) * 64;
	d->mem.stride_bytes[4] = 4;
	d->spm = ref(NPU_SPACE_SPM, spm);
	d->spm_stride[4] = 1;
}

static void random_matmul(struct npu_desc_matmul *d)
{
	uint32_t n, k, acc = place(ACC, &n), a = place(SPM, &k);

	d->hdr = (struct npu_desc_hdr){ .opcode = NPU_OP_MATMUL, .lines = 2 };
	for (unsigned int i = 0; i < 3; i++)
		d->dim[i] = 1;
	d->dim[3] = n;
	d->dim[4] = 1;
	d->a = ref(NPU_SPACE_SPM, a);
	d->b = ref(NPU_SPACE_SPM, below((SPM - n * 4) / 64 + 1) * 64);
	d->b_stride[3] = 1;
	d->acc = ref(NPU_SPACE_ACC, acc);
	if (below(2))
		d->hdr.flags = NPU_F_ACCUMULATE;
}

static void random_map(struct npu_desc_map *d)
{
	uint32_t elems, out = place(SPM, &elems), *uop;
	bool acc = below(2);

	d->hdr = (struct npu_desc_hdr){ .opcode = NPU_OP_MAP, .lines = 2 };
	for (unsigned int i = 0; i < 3; i++)
		d->dim[i] = 1;
	d->dim[3] = elems;
	d->operands = 2;
	d->uops = 2;
	d->view[0].ref = ref(acc ? NPU_SPACE_ACC : NPU_SPACE_SPM,
			     below(((acc ? ACC : SPM) - elems * 4) / 64 + 1) * 64);
	d->view[0].stride[3] = 1;
	d->view[1].ref = ref(NPU_SPACE_SPM, out);
	d->view[1].stride[3] = 1;
	uop = (uint32_t *)(void *)&d->view[2];
	uop[0] = NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0);
	uop[1] = NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0);
}

static void random_stream(struct nc_back *b, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		union nc_desc d;

		memset(&d, 0, sizeof(d));
		switch (below(4)) {
		case 0:
			random_dma(&d.dma, true);
			break;
		case 1:
			random_dma(&d.dma, false);
			break;
		case 2:
			random_matmul(&d.matmul);
			break;
		default:
			random_map(&d.map);
			break;
		}
		assert_non_null(nc_code_add(b, &d, (size_t)d.hdr.lines * NPU_LINE_BYTES));
	}
}

/* ---- brute force ---- */

struct edge {
	unsigned int from;
	unsigned int to;
};

static unsigned int engine(const struct nc_back *b, unsigned int i)
{
	return npu_op_engine(nc_code_at(&b->code, i)->opcode);
}

/* The n-th signal of a semaphore is for its n-th wait. */
static unsigned int list_edges(const struct nc_back *b, struct edge *edge)
{
	unsigned int edges = 0;

	for (unsigned int i = 0; i < b->code.count; i++)
		for (unsigned int port = 0; port < NPU_SEM_PORTS; port++) {
			const struct npu_sem_ref *w = &nc_code_at(&b->code, i)->wait[port];
			unsigned int before = 0, signals = 0;

			if (!w->count)
				continue;
			assert_int_equal(w->count, 1);
			for (unsigned int j = 0; j < i; j++)
				for (unsigned int q = 0; q < NPU_SEM_PORTS; q++)
					before += nc_code_at(&b->code, j)->wait[q].count &&
						nc_code_at(&b->code, j)->wait[q].sem == w->sem;
			for (unsigned int j = 0; j < i; j++)
				for (unsigned int q = 0; q < NPU_SEM_PORTS; q++) {
					const struct npu_sem_ref *s =
						&nc_code_at(&b->code, j)->signal[q];

					if (s->count && s->sem == w->sem && signals++ == before)
						edge[edges++] = (struct edge){ j, i };
				}
		}
	return edges;
}

/* What completes before what starts; edge @without is left out. */
static void close_order(const struct nc_back *b, const struct edge *edge, unsigned int edges,
			unsigned int without, bool before[DESCS][DESCS])
{
	unsigned int n = b->code.count;

	memset(before, 0, sizeof(bool) * DESCS * DESCS);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < i; j++)
			before[j][i] = engine(b, i) == engine(b, j);
	for (unsigned int e = 0; e < edges; e++)
		if (e != without)
			before[edge[e].from][edge[e].to] = true;
	for (unsigned int k = 0; k < n; k++)
		for (unsigned int i = 0; i < n; i++)
			for (unsigned int j = 0; before[i][k] && j < n; j++)
				before[i][j] = before[i][j] || before[k][j];
}

static bool conflict(const struct nc_back *b, unsigned int i, unsigned int j)
{
	struct npu_access x[NPU_ACCESSES_MAX], y[NPU_ACCESSES_MAX];
	unsigned int xs = npu_desc_accesses(&b->limits, nc_code_at(&b->code, i), NULL, x);
	unsigned int ys = npu_desc_accesses(&b->limits, nc_code_at(&b->code, j), NULL, y);

	for (unsigned int p = 0; p < xs; p++)
		for (unsigned int q = 0; q < ys; q++)
			if (x[p].space == y[q].space && x[p].reg == y[q].reg &&
			    (x[p].write || y[q].write) && x[p].lo_bytes < y[q].hi_bytes &&
			    y[q].lo_bytes < x[p].hi_bytes)
				return true;
	return false;
}

static bool all_ordered(const struct nc_back *b, bool before[DESCS][DESCS])
{
	for (unsigned int i = 0; i < b->code.count; i++)
		for (unsigned int j = 0; j < i; j++)
			if (!before[j][i] && conflict(b, i, j))
				return false;
	return true;
}

static void test_random(void **state)
{
	struct edge edge[DESCS * NPU_SEM_PORTS];
	static bool before[DESCS][DESCS];
	unsigned int total = 0;

	(void)state;
	for (unsigned int round = 0; round < 300; round++) {
		struct nc_arena *arena = nc_arena_create();
		struct nc_diag diag = { "" };
		struct nc_back b = {
			.arena = arena, .diag = &diag, .k = kir_create(arena, "order"),
			.scratch_bytes = SCRATCH,
			.limits = { .caps = NPU_CAP_FP32, .spm_bytes = SPM, .acc_bytes = ACC,
				    .array_rows = 4, .array_cols = 4 },
		};
		static const struct npu_desc_ctrl end = {
			.hdr = { .opcode = NPU_OP_END, .lines = 1 },
		};
		uint8_t line[NPU_LINE_BYTES] = { 0 };
		uint64_t first = seed;
		unsigned int edges;

		random_stream(&b, DESCS);
		assert_int_equal(nc_order(&b), 0);
		edges = list_edges(&b, edge);
		total += edges;
		close_order(&b, edge, edges, UINT32_MAX, before);
		if (!all_ordered(&b, before))
			fail_msg("seed %llu: a conflict is not ordered",
				 (unsigned long long)first);
		for (unsigned int e = 0; e < edges; e++) {
			close_order(&b, edge, edges, e, before);
			if (all_ordered(&b, before))
				fail_msg("seed %llu: the wait of %u for %u is not needed",
					 (unsigned long long)first, edge[e].to, edge[e].from);
		}
		memcpy(line, &end, sizeof(end));
		assert_non_null(nc_code_add(&b, line, sizeof(line)));
		assert_int_equal(npu_check_stream(&b.limits, b.code.data, b.code.bytes, NULL, NULL),
				 NPU_FAULT_NONE);
		nc_arena_destroy(arena);
	}
	assert_true(total > 3000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	print_message("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
