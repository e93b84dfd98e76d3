/* SPDX-License-Identifier: MIT */
/*
 * The device's arithmetic, in every variant that this host runs and on one and
 * three threads, against the element-by-element reference: all of SPM and ACC
 * are the same afterwards, bit by bit.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "core.h"
#include "kern.h"
#include "kern_gen.h"
#include "ref_isa.h"

#define SPM_ELEMS	(64u << 10)
#define ACC_ELEMS	(16u << 10)
#define DEFAULT_CASES	40	/* of each instruction and array width; NPU_TEST_CASES */
#define WORK		150000
#define LARGE_CASES	3	/* with work for several threads */
#define LARGE_WORK	3000000
#define NAN_ELEMS	40
#define SMALL_VALUES	2	/* work that stands for such values */

static uint64_t seed;
static uint32_t cases = DEFAULT_CASES;
static struct npu_pool *pools[2];

/**
 * struct machine - two copies of the memories; the first is the reference's
 * @spm: exactly as large as told, so that sanitisers see the ends
 * @acc: likewise
 */
struct machine {
	uint32_t *spm[2];
	uint32_t *acc[2];
};

static void fill(struct kern_gen *g, uint32_t *at, uint32_t elems)
{
	for (uint32_t i = 0; i < elems; i++)
		at[i] = kern_value(g);
}

/* Integers that add up to something, a few of them large. */
static void fill_small(struct kern_gen *g, uint32_t *at, uint32_t elems)
{
	const uint32_t large = kern_below(g, 2) ? UINT32_MAX : 2000;

	for (uint32_t i = 0; i < elems; i++)
		at[i] = kern_below(g, large) ? kern_below(g, 5) - 2 :
			kern_below(g, UINT32_MAX) >> kern_below(g, 8);
}

static void check_same(const char *what, const uint32_t *want, const uint32_t *got,
		       uint32_t elems)
{
	for (uint32_t i = 0; i < elems; i++)
		if (want[i] != got[i])
			fail_msg("%s: element %u of %s is %08x, not %08x", what, i,
				 elems == SPM_ELEMS ? "SPM" : "ACC", got[i], want[i]);
}

static void run_case(struct kern_gen *g, const struct machine *m, const union kern_desc *d,
		     const char *name)
{
	uint32_t *spm = malloc(SPM_ELEMS * 4), *acc = malloc(ACC_ELEMS * 4);
	struct ref_isa_unpool unpool = { false, 0 };
	bool overflow = false;
	const struct ref_isa ref = {
		.overflow = &overflow,
		.unpool = &unpool,
		.spm = (uint8_t *)m->spm[0],
		.acc = (uint8_t *)m->acc[0],
		.regs = g->regs,
		.array_cols = g->array_cols,
	};

	assert_non_null(spm);
	assert_non_null(acc);
	memcpy(spm, m->spm[0], SPM_ELEMS * 4);
	memcpy(acc, m->acc[0], ACC_ELEMS * 4);
	assert_true(ref_isa_exec(&ref, d));
	for (int variant = NPU_CORE_VARIANT_SCALAR; variant <= NPU_CORE_VARIANT_AVX512; variant++) {
		const struct npu_kern *kern = npu_kern_get(variant);

		for (int p = 0; p < 2 && kern; p++) {
			const atomic_bool cancel = false;
			uint32_t aux = 0;
			const struct npu_exec x = {
				.fault_aux = &aux,
				.spm = (uint8_t *)m->spm[1],
				.acc = (uint8_t *)m->acc[1],
				.array_cols = g->array_cols,
				.regs = g->regs,
				.kern = kern,
				.pool = pools[p],
				.cancel = &cancel,
			};
			char what[200];

			snprintf(what, sizeof(what), "%s, %s, %u threads", name, kern->name,
				 npu_pool_threads(pools[p]));
			memcpy(m->spm[1], spm, SPM_ELEMS * 4);
			memcpy(m->acc[1], acc, ACC_ELEMS * 4);
			assert_int_equal(d->hdr.opcode < NPU_OP_MAP ? npu_te_exec(&x, d) :
					 npu_ve_exec(&x, d),
					 overflow ? NPU_FAULT_OVERFLOW :
					 unpool.faulted ? NPU_FAULT_INDEX : NPU_FAULT_NONE);
			if (unpool.faulted) {
				assert_int_equal(aux, unpool.index);
				continue;
			}
			check_same(what, m->spm[0], m->spm[1], SPM_ELEMS);
			check_same(what, m->acc[0], m->acc[1], ACC_ELEMS);
		}
	}
	free(spm);
	free(acc);
}

static struct machine make_machine(void)
{
	struct machine m;

	for (int i = 0; i < 2; i++) {
		m.spm[i] = malloc(SPM_ELEMS * 4);
		m.acc[i] = malloc(ACC_ELEMS * 4);
		assert_non_null(m.spm[i]);
		assert_non_null(m.acc[i]);
	}
	return m;
}

static void free_machine(const struct machine *m)
{
	for (int i = 0; i < 2; i++) {
		free(m->spm[i]);
		free(m->acc[i]);
	}
}

static void run_cases(const char *name, bool (*make)(struct kern_gen *, union kern_desc *),
		      uint32_t array_cols, uint32_t count, uint64_t work)
{
	struct machine m = make_machine();

	for (uint32_t i = 0; i < count; i++) {
		const uint64_t state = (seed + i) * 0x9e3779b97f4a7c15ull + array_cols + work;
		struct kern_gen g = {
			.state = state ? state : 1,
			.spm_elems = SPM_ELEMS,
			.acc_elems = ACC_ELEMS,
			.array_cols = array_cols,
			.work = work,
		};
		union kern_desc d;
		char what[100];

		for (int r = 0; r < NPU_REGS; r++)
			g.regs[r] = (uint64_t)kern_below(&g, 5) << 32 | kern_below(&g, 200) * 4;
		do {
			g.spm_next = kern_below(&g, SPM_ELEMS / 2);
			g.acc_next = kern_below(&g, ACC_ELEMS / 2);
		} while (!make(&g, &d));
		fill(&g, m.spm[0], SPM_ELEMS);
		fill(&g, m.acc[0], ACC_ELEMS);
		if (work == SMALL_VALUES) {
			fill_small(&g, m.spm[0], SPM_ELEMS);
			fill_small(&g, m.acc[0], ACC_ELEMS);
		}
		if (d.hdr.opcode == NPU_OP_UNPOOL)
			kern_unpool_indices(&g, &d.pool, m.spm[0]);
		snprintf(what, sizeof(what), "%s case %u, %u columns", name, i, array_cols);
		run_case(&g, &m, &d, what);
	}
	free_machine(&m);
}

static void test_conv(void **state)
{
	static const uint32_t cols[] = { 4, 8, 12, 16, 32, 48, 64, 256 };

	(void)state;
	for (size_t i = 0; i < sizeof(cols) / sizeof(cols[0]); i++)
		run_cases("CONV", kern_conv, cols[i], cases, WORK);
	run_cases("large CONV", kern_conv, 32, LARGE_CASES, LARGE_WORK);
}

static void test_wgrad(void **state)
{
	static const uint32_t cols[] = { 4, 8, 12, 16, 32, 48, 64, 256 };

	(void)state;
	for (size_t i = 0; i < sizeof(cols) / sizeof(cols[0]); i++)
		run_cases("WGRAD", kern_wgrad, cols[i], 2 * cases, WORK);
	run_cases("large WGRAD", kern_wgrad, 32, 2 * LARGE_CASES, LARGE_WORK);
}

static void test_matmul(void **state)
{
	(void)state;
	run_cases("MATMUL", kern_matmul, 32, 4 * cases, WORK);
	run_cases("large MATMUL", kern_matmul, 32, LARGE_CASES, LARGE_WORK);
}

static void test_map(void **state)
{
	(void)state;
	run_cases("MAP", kern_map, 32, 8 * cases, 0);
}

/* m1 = @make of NaN, m2 = @look at m1, which is stored. */
static void nan_case(struct kern_gen *g, const struct machine *m, uint32_t make, uint32_t look)
{
	union kern_desc d = { 0 };
	struct npu_desc_map *map = &d.map;
	uint32_t *word;
	char what[100];

	map->hdr.opcode = NPU_OP_MAP;
	map->operands = 2;
	map->uops = 4;
	for (int i = 0; i < 4; i++)
		map->dim[i] = i == 3 ? NAN_ELEMS : 1;
	for (uint32_t v = 0; v < 2; v++)
		map->view[v] = (struct npu_view) {
			.ref = { .addr = v * NAN_ELEMS * 4, .reg = NPU_REG_NONE },
			.stride = { 0, 0, 0, 1 },
		};
	word = (uint32_t *)&map->view[2];
	word[0] = NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0);
	word[1] = NPU_UOP_WORD(make, 1, 0, 0, 0);
	word[2] = NPU_UOP_WORD(look, 2, 1, 1, 1);
	word[3] = NPU_UOP_WORD(NPU_UOP_ST, 1, 2, 0, 0);
	for (uint32_t i = 0; i < NAN_ELEMS; i++)
		m->spm[0][i] = 0x7f800001 + i * 0x12345 + (i % 2 ? 0x80000000 : 0);
	snprintf(what, sizeof(what), "micro-op %02x of a NaN by %02x", look, make);
	run_case(g, m, &d, what);
}

/* Whatever looks at a NaN that arithmetic has made sees the same one. */
static void test_nan(void **state)
{
	static const uint8_t look[] = {
#define NPU_UOP(name, code, nsrc, cost, cap) code,
#include "npu_ops.h.inc"
	};
	struct machine m = make_machine();
	struct kern_gen g = { .array_cols = 32 };

	(void)state;
	memset(m.spm[0], 0, SPM_ELEMS * 4);
	memset(m.acc[0], 0, ACC_ELEMS * 4);
	for (uint32_t make = NPU_UOP_FADD; make <= NPU_UOP_COS; make++)
		for (size_t i = 0; i < sizeof(look); i++)
			if (npu_kern_scalar.uop[make] &&
			    (npu_kern_scalar.uop[look[i]] || look[i] == NPU_UOP_MOV))
				nan_case(&g, &m, make, look[i]);
	free_machine(&m);
}

#define TRAP_ELEMS	300

/* @op over elements that do not overflow, but for the one at @at if that is one. */
static void trap_case(struct kern_gen *g, const struct machine *m, uint32_t op, uint32_t elems,
		      uint32_t at)
{
	union kern_desc d = { 0 };
	struct npu_desc_map *map = &d.map;
	uint32_t *word, *a = m->spm[0], *b = a + TRAP_ELEMS;
	char what[100];

	map->hdr.opcode = NPU_OP_MAP;
	map->operands = 3;
	map->uops = 4;
	for (int i = 0; i < 4; i++)
		map->dim[i] = i == 3 ? elems : 1;
	for (uint32_t v = 0; v < 3; v++)
		map->view[v] = (struct npu_view) {
			.ref = { .addr = v * TRAP_ELEMS * 4, .reg = NPU_REG_NONE },
			.stride = { 0, 0, 0, 1 },
		};
	word = (uint32_t *)&map->view[3];
	word[0] = NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0);
	word[1] = NPU_UOP_WORD(NPU_UOP_LD, 1, 1, 0, 0);
	word[2] = NPU_UOP_WORD(op, 2, 0, op == NPU_UOP_F2IT ? 0 : 1, 0);
	word[3] = NPU_UOP_WORD(NPU_UOP_ST, 2, 2, 0, 0);
	/* Beyond the end: what must not be looked at. */
	for (uint32_t i = 0; i < TRAP_ELEMS; i++) {
		bool wanted = i == at || i >= elems;

		do {
			a[i] = kern_below(g, 3) ? kern_below(g, 9) - 4 + (kern_below(g, 3) << 30) :
				kern_below(g, 2) ? kern_value(g) : kern_below(g, UINT32_MAX);
			b[i] = kern_below(g, 2) ? kern_below(g, 5) - 2 : kern_below(g, UINT32_MAX);
			if (op == NPU_UOP_IDIVT && wanted) {
				a[i] = 0x80000000;
				b[i] = UINT32_MAX;
			}
		} while (ref_isa_overflows(op, a[i], b[i]) != wanted);
	}
	snprintf(what, sizeof(what), "micro-op %02x of %u elements, overflow at %u", op, elems, at);
	run_case(g, m, &d, what);
}

/* One element among many, and only that. */
static void test_trap(void **state)
{
	static const uint8_t ops[] = {
		NPU_UOP_IADDT, NPU_UOP_ISUBT, NPU_UOP_IMULT, NPU_UOP_IDIVT, NPU_UOP_F2IT,
	};
	struct machine m = make_machine();
	struct kern_gen g = { .array_cols = 32, .state = seed | 1 };

	(void)state;
	memset(m.spm[0], 0, SPM_ELEMS * 4);
	memset(m.acc[0], 0, ACC_ELEMS * 4);
	for (size_t i = 0; i < sizeof(ops); i++)
		for (uint32_t round = 0; round < 60; round++) {
			const uint32_t elems = kern_range(&g, 1, TRAP_ELEMS);

			trap_case(&g, &m, ops[i], elems, kern_below(&g, elems + 1));
		}
	free_machine(&m);
}

/* Sums and products near the limit, with and without one that is beyond. */
static bool kern_trap_reduce(struct kern_gen *g, union kern_desc *d)
{
	if (!kern_reduce(g, d) || d->reduce.in.ref.dtype != NPU_I32)
		return false;
	d->hdr.flags |= NPU_F_TRAP;
	return true;
}

static void test_trap_reduce(void **state)
{
	(void)state;
	run_cases("trapping REDUCE", kern_trap_reduce, 32, 4 * cases, 1);
	run_cases("trapping REDUCE", kern_trap_reduce, 32, 4 * cases, SMALL_VALUES);
}

static void test_reduce(void **state)
{
	(void)state;
	run_cases("REDUCE", kern_reduce, 32, 8 * cases, 0);
}

static void test_pool(void **state)
{
	(void)state;
	run_cases("POOL", kern_pool, 32, 4 * cases, WORK);
}

static void test_unpool(void **state)
{
	(void)state;
	run_cases("UNPOOL", kern_unpool, 32, 4 * cases, WORK);
}

/* A cancelled descriptor returns soon and reports no fault. */
static void test_cancel(void **state)
{
	const atomic_bool cancel = true;
	uint32_t *spm = calloc(SPM_ELEMS, 4), *acc = calloc(ACC_ELEMS, 4);
	const uint64_t regs[NPU_REGS] = { 0 };
	const struct npu_exec x = {
		.spm = (uint8_t *)spm,
		.acc = (uint8_t *)acc,
		.array_cols = 32,
		.regs = regs,
		.kern = npu_kern_get(NPU_CORE_VARIANT_SCALAR),
		.pool = pools[1],
		.cancel = &cancel,
	};
	const struct npu_desc_matmul d = {
		.hdr.opcode = NPU_OP_MATMUL,
		.dim = { 1, 1, 100, 100, 1u << 31 },
		.a.reg = NPU_REG_NONE,
		.b.reg = NPU_REG_NONE,
		.acc = { .space = NPU_SPACE_ACC, .reg = NPU_REG_NONE },
		.acc_stride = { 0, 0, 100 },
	};

	(void)state;
	assert_int_equal(npu_te_exec(&x, &d), NPU_FAULT_NONE);
	free(spm);
	free(acc);
}

struct running {
	struct npu_exec x;
	union kern_desc d;
};

static void *run_until_cancelled(void *arg)
{
	const struct running *r = arg;

	assert_int_equal(r->d.hdr.opcode < NPU_OP_MAP ? npu_te_exec(&r->x, &r->d) :
			 npu_ve_exec(&r->x, &r->d), NPU_FAULT_NONE);
	return NULL;
}

/* 2^32 elements, or nearly, at a few addresses: legal, and over when told to be. */
static void largest_map(union kern_desc *d)
{
	uint32_t *word = (uint32_t *)&d->map.view[2];

	d->map.hdr.opcode = NPU_OP_MAP;
	d->map.operands = 2;
	d->map.uops = 2;
	memcpy(d->map.dim, (uint32_t[]){ 65536, 65536, 1, 1 }, sizeof(d->map.dim));
	for (int v = 0; v < 2; v++)
		d->map.view[v].ref = (struct npu_ref) { .addr = v * 64, .reg = NPU_REG_NONE };
	word[0] = NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0);
	word[1] = NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0);
}

static void largest_reduce(union kern_desc *d, unsigned int rop, unsigned int axes)
{
	d->reduce.hdr.opcode = NPU_OP_REDUCE;
	memcpy(d->reduce.dim, (uint32_t[]){ 65536, 65536, 1, 1 }, sizeof(d->reduce.dim));
	d->reduce.rop = (uint8_t)rop;
	d->reduce.axes = (uint8_t)axes;
	d->reduce.in.ref.reg = NPU_REG_NONE;
	d->reduce.out.ref = (struct npu_ref) { .addr = 64, .reg = NPU_REG_NONE };
}

static void largest_pool(union kern_desc *d, unsigned int flags)
{
	d->pool.hdr.opcode = NPU_OP_POOL;
	d->pool.hdr.flags = (uint16_t)flags;
	d->pool.shape = (struct npu_conv_shape) {
		.n = 1, .h = 65535, .w = 65535, .c = 1, .oh = 1, .ow = 65535, .k = 1,
		.kh = 65535, .kw = 65535, .stride_h = 1, .stride_w = 1,
		.dil_h = 1, .dil_w = 1, .up_h = 1, .up_w = 1,
	};
	d->pool.in.reg = NPU_REG_NONE;
	d->pool.out = (struct npu_ref) { .addr = 64, .reg = NPU_REG_NONE };
	d->pool.index = (struct npu_ref) { .addr = 128, .dtype = NPU_I32, .reg = NPU_REG_NONE };
	d->pool.index_row = 65535;
}

/* Of the whole image at one address. */
static void largest_unpool(union kern_desc *d)
{
	largest_pool(d, NPU_F_POOL_INDEX);
	d->pool.hdr.opcode = NPU_OP_UNPOOL;
	d->pool.shape.oh = 65535;
	d->pool.shape.kh = d->pool.shape.kw = 8;
}

/* Every weight has a sum of 2^32 products, at a few addresses. */
static void largest_wgrad(union kern_desc *d, unsigned int flags)
{
	d->wgrad.hdr.opcode = NPU_OP_WGRAD;
	d->wgrad.hdr.flags = (uint16_t)flags;
	d->wgrad.shape = (struct npu_conv_shape) {
		.n = 65535, .h = 1, .w = 1, .c = 1, .oh = 65535, .ow = 1, .k = 1,
		.kh = 65535, .kw = 1, .stride_h = 1, .stride_w = 1,
		.dil_h = 1, .dil_w = 1, .up_h = 1, .up_w = 1,
	};
	d->wgrad.in.reg = NPU_REG_NONE;
	d->wgrad.dy.reg = NPU_REG_NONE;
	d->wgrad.acc.reg = NPU_REG_NONE;
	d->wgrad.acc.space = NPU_SPACE_ACC;
}

static void test_largest(void **state)
{
	uint32_t *spm = calloc(SPM_ELEMS, 4), *acc = calloc(65536 * 4, 4);
	atomic_bool cancel;

	(void)state;
	assert_non_null(spm);
	assert_non_null(acc);
	for (int i = 0; i < 11; i++) {
		struct running r = {
			.x = {
				.spm = (uint8_t *)spm,
				.acc = (uint8_t *)acc,
				.array_cols = 4,
				.kern = npu_kern_get(NPU_CORE_VARIANT_SCALAR),
				.pool = pools[i % 2],
				.cancel = &cancel,
			},
		};
		pthread_t thread;

		if (i < 2)
			largest_map(&r.d);
		else if (i < 5)
			largest_reduce(&r.d, i == 2 ? NPU_ROP_ARGMAX : NPU_ROP_SUM,
				       i == 4 ? 12 : 3);
		else if (i < 8)
			largest_pool(&r.d, i == 5 ? 0 : i == 6 ? NPU_F_POOL_AVERAGE :
				     NPU_F_POOL_INDEX);
		else if (i == 8)
			largest_unpool(&r.d);
		else
			largest_wgrad(&r.d, i == 9 ? 0 : NPU_F_DEPTHWISE);
		atomic_store(&cancel, false);
		assert_int_equal(pthread_create(&thread, NULL, run_until_cancelled, &r), 0);
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		atomic_store(&cancel, true);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	free(spm);
	free(acc);
}

/* A row beyond 2^32 is outside, not where it is modulo 2^32. */
static void test_far_row(void **state)
{
	const atomic_bool cancel = false;
	float spm[64], acc[16];
	const struct npu_desc_conv d = {
		.hdr.opcode = NPU_OP_CONV,
		.shape = {
			.n = 1, .h = 1, .w = 1, .c = 1, .oh = 65535, .ow = 1, .k = 1,
			.kh = 4, .kw = 1, .stride_h = 65535, .stride_w = 1,
			.dil_h = 65535, .dil_w = 1, .pad_top = -1, .up_h = 1, .up_w = 1,
		},
		.in.reg = NPU_REG_NONE,
		.weights.reg = NPU_REG_NONE,
		.acc = { .space = NPU_SPACE_ACC, .reg = NPU_REG_NONE },
	};
	const struct npu_exec x = {
		.spm = (uint8_t *)spm,
		.acc = (uint8_t *)acc,
		.array_cols = 4,
		.kern = npu_kern_get(NPU_CORE_VARIANT_AUTO),
		.pool = pools[0],
		.cancel = &cancel,
	};

	(void)state;
	for (int i = 0; i < 64; i++)
		spm[i] = 1;
	assert_int_equal(npu_te_exec(&x, &d), NPU_FAULT_NONE);
	assert_true(acc[0] == 0);
}

/* What is not implemented is refused, not ignored. */
static void test_unsupported(void **state)
{
	const struct npu_exec x = { .kern = npu_kern_get(NPU_CORE_VARIANT_AUTO) };

	(void)state;
	for (unsigned int op = 0; op < 256; op++) {
		const struct npu_desc_hdr hdr = { .opcode = (uint8_t)op };

		if (op != NPU_OP_CONV && op != NPU_OP_WGRAD && op != NPU_OP_MATMUL)
			assert_int_equal(npu_te_exec(&x, &hdr), NPU_FAULT_UNSUPPORTED);
		if (op < NPU_OP_MAP || op > NPU_OP_UNPOOL)
			assert_int_equal(npu_ve_exec(&x, &hdr), NPU_FAULT_UNSUPPORTED);
	}
}

int main(void)
{
	static const struct npu_core_ops ops;
	const char *text = getenv("NPU_TEST_SEED"), *count = getenv("NPU_TEST_CASES");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conv),
		cmocka_unit_test(test_wgrad),
		cmocka_unit_test(test_matmul),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_nan),
		cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_trap),
		cmocka_unit_test(test_trap_reduce),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_unpool),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_far_row),
		cmocka_unit_test(test_unsupported),
	};
	int failed;

	seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	printf("# NPU_TEST_SEED=%" PRIu64 "\n", seed);
	if (count && strtoul(count, NULL, 0))
		cases = (uint32_t)strtoul(count, NULL, 0);
	pools[0] = npu_pool_create(1, &ops, NULL);
	pools[1] = npu_pool_create(3, &ops, NULL);
	if (!pools[0] || !pools[1])
		return EXIT_FAILURE;
	failed = cmocka_run_group_tests_name("kern", tests, NULL, NULL);
	npu_pool_destroy(pools[0]);
	npu_pool_destroy(pools[1]);
	return failed;
}
