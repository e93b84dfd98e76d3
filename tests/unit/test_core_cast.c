/* SPDX-License-Identifier: MIT */
/* LOAD and STORE between element types, against the rules of HW 8 one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core_bus.h"
#include "npu_check.h"

#define CTX	1u
#define IN_VA	0x10000000ull
#define OUT_VA	0x11000000ull
#define CMD_VA	0x20000000ull
#define BYTES	(64u << 10)
#define ELEMS	96u

static struct core_cmds cmds;

struct fixture {
	struct core_bus *bus;
	uint8_t *in;
	uint8_t *out;
	uint64_t jobs;
};

static int setup(void **state)
{
	static const struct npu_core_config config = {
		.spm_bytes = BYTES,
		.acc_bytes = 16u << 10,
		.synchronous = true,
	};
	struct fixture *f = calloc(1, sizeof(*f));

	f->bus = core_bus_create(&config, 4u << 20);
	core_bus_context(f->bus, CTX);
	core_bus_queue(f->bus, 0, CTX, 1, 1, 3);
	f->in = core_bus_ptr(f->bus, core_bus_buffer(f->bus, CTX, IN_VA, BYTES), BYTES);
	f->out = core_bus_ptr(f->bus, core_bus_buffer(f->bus, CTX, OUT_VA, BYTES), BYTES);
	core_bus_pte(f->bus, CTX, CMD_VA, 0);
	f->jobs = f->bus->next;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	core_bus_destroy(f->bus);
	free(f);
	return 0;
}

static uint32_t run(struct fixture *f)
{
	const uint64_t regs[2] = { IN_VA, OUT_VA };
	struct core_job job;

	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), 0);
	core_bus_write(f->bus, core_bus_queue_reg(0, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	f->bus->tail[0] = 0;
	f->bus->next = f->jobs;
	core_bus_invalidate(f->bus);
	job = core_bus_job(f->bus, CTX, CMD_VA, &cmds, regs, 2);
	return core_bus_run(f->bus, 0, &job);
}

/* @count elements @step apart in memory, @spm_step apart in SPM. */
static void transfer(unsigned int opcode, unsigned int mem, unsigned int spm, uint32_t count,
		     int32_t step, int32_t spm_step)
{
	struct npu_desc_dma *d = core_cmds_copy(&cmds, opcode, opcode == NPU_OP_STORE, 0, 0, 4);

	d->dim[4] = count;
	d->mem.dtype = (uint8_t)mem;
	d->mem.stride_bytes[4] = step * (int32_t)npu_dtype_bytes(mem);
	d->spm.dtype = (uint8_t)spm;
	d->spm_stride[4] = spm_step;
}

/* ---- the naive reference ---- */

static bool is_float(unsigned int dtype)
{
	return dtype == NPU_F32 || dtype == NPU_F16 || dtype == NPU_BF16;
}

/* The nearest of the numbers with @bits significant bits, for what is exact in double. */
static double nearest(double d, int bits, int exponent_min, double max)
{
	double unit;
	int e;

	if (!isfinite(d) || !d)
		return d;
	frexp(d, &e);
	e = e - 1 < exponent_min ? exponent_min : e - 1;
	unit = ldexp(1, e - bits + 1);
	d = nearbyint(d / unit) * unit;
	return fabs(d) > max ? copysign(INFINITY, d) : d;
}

/* IEEE 754 binary16. */
static double half_number(uint32_t h)
{
	double sign = h >> 15 ? -1 : 1, fraction = h & 0x3ff;
	int exponent = (int)(h >> 10 & 0x1f);

	if (exponent == 31)
		return fraction ? NAN : sign * INFINITY;
	if (!exponent)
		return sign * fraction * 0x1p-24;
	return sign * (fraction + 0x400) * ldexp(1, exponent - 25);
}

/* An element as a number; integers and floats of at most 32 bits fit a double. */
static long double number(unsigned int dtype, const void *at)
{
	uint32_t word = 0;
	int64_t i = 0;
	float f;

	switch (dtype) {
	case NPU_F32:
		memcpy(&f, at, 4);
		return f;
	case NPU_F16:
		memcpy(&word, at, 2);
		return half_number(word);
	case NPU_BF16:
		memcpy((char *)&word + 2, at, 2);
		memcpy(&f, &word, 4);
		return f;
	default:
		memcpy(&i, at, npu_dtype_bytes(dtype));
		if (dtype != NPU_U8 && dtype != NPU_BOOL && dtype != NPU_I64) {
			unsigned int shift = 64 - 8 * npu_dtype_bytes(dtype);

			i = (int64_t)((uint64_t)i << shift) >> shift;
		}
		return i;
	}
}

/* The number that @dtype holds instead of @x; false when there is none. */
static bool held(unsigned int dtype, long double x, long double *r)
{
	static const long double low[NPU_DTYPES] = {
		[NPU_I32] = -0x1p31L, [NPU_I8] = -128, [NPU_I16] = -32768, [NPU_I64] = -0x1p63L,
	}, high[NPU_DTYPES] = {
		[NPU_I32] = 0x1p31L - 1, [NPU_I8] = 127, [NPU_U8] = 255, [NPU_I16] = 32767,
		[NPU_BOOL] = 1, [NPU_I64] = 0x1p63L - 1,
	};

	switch (dtype) {
	case NPU_F32:
		*r = (float)x;
		return true;
	case NPU_F16:
		*r = nearest((double)x, 11, -14, 65504);
		return true;
	case NPU_BF16:
		*r = nearest((double)x, 8, -126, 0x1.fep127);
		return true;
	default:
		*r = nearbyintl(x);
		return *r >= low[dtype] && *r <= high[dtype];
	}
}

static bool same(long double a, long double b)
{
	return (isnan(a) && isnan(b)) || a == b;
}

/* ---- tests ---- */

static uint64_t random_bits(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

/* Elements of @from that @to can hold, unless nothing else is found. */
static void fill(uint8_t *data, unsigned int from, unsigned int to, uint32_t count, int32_t step)
{
	static const float special[] = { 0, -0.0f, 0.5f, 1.5f, 2.5f, 65519, 65520, 1e-8f, 3e38f };
	unsigned int bytes = npu_dtype_bytes(from);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *at = data + (size_t)i * (size_t)step * bytes;
		long double r;

		for (unsigned int k = 0; k < 1000; k++) {
			uint64_t word = random_bits() >> rand() % 64;
			float f = (float)(int32_t)random_bits() / (float)(1u << rand() % 31);

			if (from == NPU_BOOL)
				word &= 1;
			if (from == NPU_F32 && k % 4 == 0)
				f = special[rand() % 9];
			if (from == NPU_F32 && k % 4 < 3)
				memcpy(&word, &f, 4);
			if (rand() % 2 && !is_float(from) && from != NPU_BOOL)
				word = 0 - word;
			memcpy(at, &word, bytes);
			if (held(to, number(from, at), &r))
				break;
			memset(at, 0, bytes);
		}
	}
}

static void check(const uint8_t *got, unsigned int got_type, int32_t got_step,
		  const uint8_t *from, unsigned int from_type, int32_t from_step, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		long double x = number(from_type, from + (size_t)i * (size_t)from_step *
				       npu_dtype_bytes(from_type));
		long double y = number(got_type, got + (size_t)i * (size_t)got_step *
				       npu_dtype_bytes(got_type));
		long double want;

		assert_true(held(got_type, x, &want));
		if (!same(y, want))
			fail_msg("%s %.20Lg becomes %s %.20Lg instead of %.20Lg",
				 npu_dtype_name(from_type), x, npu_dtype_name(got_type), y, want);
	}
}

static void test_values(void **state)
{
	static const unsigned int spm_types[] = { NPU_F32, NPU_I32 };
	struct fixture *f = *state;

	for (unsigned int round = 0; round < 40; round++) {
		for (unsigned int i = 0; i < 2 * NPU_DTYPES; i++) {
			unsigned int spm = spm_types[i % 2], mem = i / 2;
			int32_t step = 1 + rand() % 3, spm_step = 1 + rand() % 3;
			uint32_t count = 1 + (uint32_t)rand() % ELEMS;

			fill(f->in, mem, spm, count, step);
			cmds.used = 0;
			transfer(NPU_OP_LOAD, mem, spm, count, step, spm_step);
			transfer(NPU_OP_STORE, spm, spm, count, 1, spm_step);
			core_cmds_end(&cmds);
			if (mem == spm)
				continue;
			assert_int_equal(run(f), 0);
			check(f->out, spm, 1, f->in, mem, step, count);

			fill(f->in, spm, mem, count, 1);
			cmds.used = 0;
			transfer(NPU_OP_LOAD, spm, spm, count, 1, spm_step);
			transfer(NPU_OP_STORE, mem, spm, count, step, spm_step);
			core_cmds_end(&cmds);
			assert_int_equal(run(f), 0);
			check(f->out, mem, step, f->in, spm, 1, count);
		}
	}
}

static void refuse(struct fixture *f, unsigned int from, unsigned int to, const void *value)
{
	bool store = from == NPU_F32 || from == NPU_I32;

	memset(f->in, 0, ELEMS * 8);
	memcpy(f->in + 70 * npu_dtype_bytes(from), value, npu_dtype_bytes(from));
	cmds.used = 0;
	if (store) {
		transfer(NPU_OP_LOAD, from, from, ELEMS, 1, 1);
		transfer(NPU_OP_STORE, to, from, ELEMS, 1, 1);
	} else {
		transfer(NPU_OP_LOAD, from, to, ELEMS, 1, 1);
	}
	core_cmds_end(&cmds);
	assert_int_equal(run(f), NPU_FAULT_CAST);
	assert_int_equal(core_bus_read64(f->bus, core_bus_queue_reg(0, NPU_QUEUE_FAULT_VA)), 0);
}

static void test_faults(void **state)
{
	static const int64_t wide[] = { 0x80000000ll, -0x80000001ll, INT64_MAX, INT64_MIN };
	static const int32_t words[] = { 256, -1, 32768, 2 };
	static const unsigned int words_to[] = { NPU_U8, NPU_BOOL, NPU_I16, NPU_BOOL };
	static const float floats[] = { NAN, INFINITY, 0x1p63f, -129, 1.6f, 255.5f };
	static const unsigned int floats_to[] = {
		NPU_I8, NPU_I64, NPU_I64, NPU_I8, NPU_BOOL, NPU_U8,
	};
	static const uint8_t two = 2;
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 4; i++)
		refuse(f, NPU_I64, NPU_I32, &wide[i]);
	for (unsigned int i = 0; i < 4; i++)
		refuse(f, NPU_I32, words_to[i], &words[i]);
	for (unsigned int i = 0; i < 6; i++)
		refuse(f, NPU_F32, floats_to[i], &floats[i]);
	refuse(f, NPU_BOOL, NPU_I32, &two);
	refuse(f, NPU_BOOL, NPU_F32, &two);
}

/* A conversion makes one NaN; without one, bits stay. */
static void test_nan(void **state)
{
	static const uint32_t in[] = { 0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff };
	static const uint16_t half[] = { 0x7e00, 0xfe00, 0x7c01, 0xffff };
	static const uint16_t brain[] = { 0x7fc0, 0xffc0, 0x7f81, 0xffff };
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 4; i++) {
		uint32_t word;
		uint16_t out[2];

		memcpy(f->in, &in[i], 4);
		cmds.used = 0;
		transfer(NPU_OP_LOAD, NPU_F32, NPU_F32, 1, 1, 1);
		transfer(NPU_OP_STORE, NPU_F32, NPU_F32, 1, 1, 1);
		core_cmds_end(&cmds);
		assert_int_equal(run(f), 0);
		memcpy(&word, f->out, 4);
		assert_int_equal(word, in[i]);
		for (unsigned int k = 0; k < 2; k++) {
			const unsigned int type = k ? NPU_BF16 : NPU_F16;

			memcpy(f->in, &in[i], 4);
			cmds.used = 0;
			transfer(NPU_OP_LOAD, NPU_F32, NPU_F32, 1, 1, 1);
			transfer(NPU_OP_STORE, type, NPU_F32, 1, 1, 1);
			core_cmds_end(&cmds);
			assert_int_equal(run(f), 0);
			memcpy(&out[k], f->out, 2);

			memcpy(f->in, k ? &brain[i] : &half[i], 2);
			cmds.used = 0;
			transfer(NPU_OP_LOAD, type, NPU_F32, 1, 1, 1);
			transfer(NPU_OP_STORE, NPU_F32, NPU_F32, 1, 1, 1);
			core_cmds_end(&cmds);
			assert_int_equal(run(f), 0);
			memcpy(&word, f->out, 4);
			assert_int_equal(word, 0x7fc00000);
		}
		assert_int_equal(out[0], 0x7e00);
		assert_int_equal(out[1], 0x7fc0);
	}
}

int main(void)
{
	const char *text = getenv("NPU_TEST_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : (unsigned int)time(NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nan, setup, teardown),
	};

	printf("# NPU_TEST_SEED=%u\n", seed);
	srand(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
