/* SPDX-License-Identifier: MIT */
/*
 * Micro-ops on single values, in every variant that this host runs: the same
 * bits as the reference, and for the functions of HW appendix A an error below
 * 2 ulp of what the host's double-precision library says. NPU_MATH_STEP=1
 * tries all 2^32 inputs.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "kern.h"
#include "ref_isa.h"

#define BLOCK		1024
#define DEFAULT_STEP	20011

static uint64_t step = DEFAULT_STEP;
static uint64_t random_state;

static const uint32_t special[] = {
	0x00000000, 0x80000000,		/* zeros */
	0x00000001, 0x80000001,		/* denormals */
	0x007fffff, 0x807fffff, 0x00800000, 0x80800000,
	0x3effffff, 0x3f000000, 0x3f000001, 0xbf000000,	/* around 0.5 */
	0x3f800000, 0xbf800000, 0x3fc00000, 0xbfc00000, 0x40200000,
	0x3f280000, 0x3f27ffff, 0x3f6c0000, 0x3f6bffff,	/* ends of ranges in appendix A */
	0x42b20000, 0x42b17218, 0x42b17217, 0xc2d20000, 0xc2aeac50, 0xc2cff1b5,
	0x487fffff, 0x48800000, 0x49800000, 0x40490fdb, 0x3fc90fdb,
	0x4b7fffff, 0x4b800000, 0x4effffff, 0x4f000000, 0xcf000000, 0xcf000001,
	0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,	/* largest, infinities */
	0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff,	/* NaN, also -1 */
	2, 31, 32, 33, 0x7fffffff, 0xfffffffe,		/* integers */
};

#define SPECIALS	(sizeof(special) / sizeof(special[0]))

static bool is_nan(uint32_t bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

static float as_float(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static void check_kernel(const struct npu_kern *kern, npu_kern_uop_fn *fn, unsigned int op,
			 bool any_nan, const struct npu_kern_uop *u, const uint32_t *want)
{
	fn(u);
	for (size_t i = 0; i < u->count; i++) {
		if (want[i] == u->dst[i] || (any_nan && is_nan(want[i]) && is_nan(u->dst[i])))
			continue;
		fail_msg("%s: micro-op %02x of %08x, %08x, %08x is %08x, not %08x", kern->name, op,
			 u->src[0][i], u->src[1][i], u->src[2][i], u->dst[i], want[i]);
	}
}

/* What uop_canon has, uop may give any NaN for. */
static void check_block(unsigned int op, const uint32_t *a, const uint32_t *b,
			const uint32_t *c, size_t count)
{
	uint32_t want[BLOCK], got[BLOCK];
	bool overflow = false;

	for (size_t i = 0; i < count; i++) {
		want[i] = ref_isa_uop(op, a[i], b[i], c[i]);
		overflow |= ref_isa_overflows(op, a[i], b[i]);
	}
	for (int variant = NPU_CORE_VARIANT_SCALAR; variant <= NPU_CORE_VARIANT_AVX512; variant++) {
		const struct npu_kern *kern = npu_kern_get(variant);
		atomic_uint trapped = 0;
		const struct npu_kern_uop u = {
			.dst = got, .src = { a, b, c }, .count = count, .trapped = &trapped,
		};

		if (!kern)
			continue;
		check_kernel(kern, kern->uop[op], op, kern->uop_canon[op] != NULL, &u, want);
		assert_int_equal(atomic_load(&trapped), overflow);
		if (kern->uop_canon[op])
			check_kernel(kern, kern->uop_canon[op], op, false, &u, want);
	}
}

static const uint8_t uops[] = {
#define NPU_UOP(name, code, nsrc, cost, cap) code,
#include "npu_ops.h.inc"
};

/* Loads, stores, MOV and IOTA are no kernels. */
static bool is_kernel(unsigned int op)
{
	return op > NPU_UOP_IOTA;
}

static void test_table_is_complete(void **state)
{
	(void)state;
	for (int variant = NPU_CORE_VARIANT_AUTO; variant <= NPU_CORE_VARIANT_AVX512; variant++) {
		const struct npu_kern *kern = npu_kern_get(variant);

		for (size_t i = 0; i < sizeof(uops) && kern; i++)
			assert_int_equal(is_kernel(uops[i]), kern->uop[uops[i]] != NULL);
	}
	assert_non_null(npu_kern_get(NPU_CORE_VARIANT_AUTO));
	assert_ptr_equal(npu_kern_get(NPU_CORE_VARIANT_SCALAR), &npu_kern_scalar);
}

/* The vectors for philox2x32-10 that the authors' library Random123 comes with. */
static void test_random_numbers(void **state)
{
	static const uint32_t known[][4] = {
		{ 0x00000000, 0x00000000, 0x00000000, 0xff1dae59 },
		{ 0xffffffff, 0xffffffff, 0xffffffff, 0x2c3f628b },
		{ 0x243f6a88, 0x85a308d3, 0x13198a2e, 0xdd7ce038 },
	};
	uint32_t a[BLOCK], b[BLOCK], c[BLOCK];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_int_equal(ref_isa_uop(NPU_UOP_RNG, known[i][0], known[i][1], known[i][2]),
				 known[i][3]);
		for (uint32_t j = 0; j < BLOCK; j++) {
			a[j] = known[i][0] + j;
			b[j] = known[i][1] + j % 3;
			c[j] = known[i][2];
		}
		check_block(NPU_UOP_RNG, a, b, c, BLOCK);
	}
}

static void test_special_values(void **state)
{
	uint32_t a[BLOCK], b[BLOCK], c[BLOCK];

	(void)state;
	for (size_t o = 0; o < sizeof(uops); o++) {
		if (!is_kernel(uops[o]))
			continue;
		for (size_t i = 0; i < SPECIALS; i++) {
			for (size_t k = 0; k < SPECIALS; k++) {
				for (size_t j = 0; j < SPECIALS; j++) {
					a[j] = special[i];
					b[j] = special[j];
					c[j] = special[k];
				}
				check_block(uops[o], a, b, c, SPECIALS);
			}
		}
	}
}

static uint32_t random_bits(void)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 32);
}

static void test_random_values(void **state)
{
	uint32_t a[BLOCK], b[BLOCK], c[BLOCK];

	(void)state;
	for (size_t o = 0; o < sizeof(uops); o++) {
		if (!is_kernel(uops[o]))
			continue;
		for (int round = 0; round < 40; round++) {
			for (size_t i = 0; i < BLOCK; i++) {
				a[i] = random_bits();
				b[i] = random_bits() >> (round % 2 * 20);
				c[i] = random_bits();
			}
			check_block(uops[o], a, b, c, BLOCK - (size_t)round);
		}
	}
}

static const uint8_t functions[] = {
	NPU_UOP_EXP, NPU_UOP_LOG, NPU_UOP_TANH, NPU_UOP_SIGMOID, NPU_UOP_ERF, NPU_UOP_SIN,
	NPU_UOP_COS,
};

static void check_functions(const uint32_t *x, size_t count)
{
	for (size_t i = 0; i < sizeof(functions); i++)
		check_block(functions[i], x, x, x, count);
}

/* Of both signs, every exponent. */
static void test_exponents(void **state)
{
	uint32_t x[BLOCK];

	(void)state;
	for (uint32_t exponent = 0; exponent < 512; exponent++) {
		for (size_t i = 0; i < BLOCK; i++)
			x[i] = exponent << 23 | random_bits() >> 9;
		check_functions(x, BLOCK);
	}
}

/* The floats next to @x and -@x. */
static void check_around(double x)
{
	const float centre = (float)x;
	uint32_t bits, around[BLOCK];

	memcpy(&bits, &centre, sizeof(bits));
	for (uint32_t i = 0; i < BLOCK; i++)
		around[i] = (bits + i / 2 - BLOCK / 4) ^ i << 31;
	check_functions(around, BLOCK);
}

/* Where a step of appendix A rounds the other way, or another formula begins. */
static void test_breakpoints(void **state)
{
	static const double ends[] = { 89, 105, 0.65625, 0.921875, 4, 0x1p18, 0x1p-126 };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		check_around(ends[i]);
	for (int n = 0; n < 152; n++) {			/* k of E and its half */
		check_around((n + 0.5) * M_LN2);
		check_around((n + 0.5) * M_LN2 / 2);	/* of TANH */
	}
	for (int n = -148; n < 128; n++) {		/* k of LOG, exponents */
		check_around(ldexp(M_SQRT1_2, n));
		check_around(ldexp(1, n));
	}
	for (int n = 1; n < 200; n++)			/* zeros and ends of quarter turns */
		check_around(n * M_PI_4);
	for (int n = 0; n < 200; n++)
		check_around((1 + random_bits() % 0x80000) * M_PI_4);
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* Distance of @got from @want in units of the last place that binary32 has there. */
static double error_ulp(float got, double want)
{
	const double largest = (double)FLT_MAX;
	int exponent;

	if (isinf(got) && fabs(want) > largest)
		return 0;	/* whether it rounds to infinity is a matter of half an ulp */
	if (!isfinite(got))
		return INFINITY;
	frexp(fmin(fabs(want), largest), &exponent);
	return fabs((double)got - want) / ldexp(1, exponent < -125 ? -149 : exponent - 24);
}

static void check_function(unsigned int op, double (*truth)(double), const char *name)
{
	uint32_t x[BLOCK], y[BLOCK];
	double worst = 0;
	uint32_t worst_at = 0;

	for (uint64_t at = 0; at < 1ull << 32; at += step * BLOCK) {
		for (size_t i = 0; i < BLOCK; i++)
			x[i] = (uint32_t)(at + i * step);
		check_block(op, x, x, x, BLOCK);
		npu_kern_get(NPU_CORE_VARIANT_AUTO)->uop[op](&(struct npu_kern_uop) {
			.dst = y, .src = { x }, .count = BLOCK,
		});
		for (size_t i = 0; i < BLOCK; i++) {
			const double want = truth((double)as_float(x[i]));
			double error;

			if (isnan(want)) {
				assert_true(is_nan(y[i]));
				continue;
			}
			assert_false(is_nan(y[i]));
			if (isinf(want)) {
				assert_true((double)as_float(y[i]) == want);
				continue;
			}
			assert_int_equal(signbit(want) != 0, y[i] >> 31);
			error = error_ulp(as_float(y[i]), want);
			if (error > worst) {
				worst = error;
				worst_at = x[i];
			}
		}
	}
	print_message("%s: at most %.4f ulp, at %a\n", name, worst, (double)as_float(worst_at));
	assert_true(worst < 2);
}

#define FUNCTION(name, truth, op) \
static void test_##name(void **state) \
{ \
	(void)state; \
	check_function(op, truth, #name); \
}
FUNCTION(exp, exp, NPU_UOP_EXP)
FUNCTION(log, log, NPU_UOP_LOG)
FUNCTION(tanh, tanh, NPU_UOP_TANH)
FUNCTION(sigmoid, sigmoid, NPU_UOP_SIGMOID)
FUNCTION(erf, erf, NPU_UOP_ERF)
FUNCTION(sin, sin, NPU_UOP_SIN)
FUNCTION(cos, cos, NPU_UOP_COS)

int main(void)
{
	const char *text = getenv("NPU_TEST_SEED"), *step_text = getenv("NPU_MATH_STEP");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_complete),
		cmocka_unit_test(test_random_numbers),
		cmocka_unit_test(test_special_values),
		cmocka_unit_test(test_random_values),
		cmocka_unit_test(test_exponents),
		cmocka_unit_test(test_breakpoints),
		cmocka_unit_test(test_exp),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_tanh),
		cmocka_unit_test(test_sigmoid),
		cmocka_unit_test(test_erf),
		cmocka_unit_test(test_sin),
		cmocka_unit_test(test_cos),
	};

	random_state = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	printf("# NPU_TEST_SEED=%" PRIu64 "\n", random_state);
	if (step_text && strtoull(step_text, NULL, 0))
		step = strtoull(step_text, NULL, 0);
	return cmocka_run_group_tests_name("math", tests, NULL, NULL);
}
