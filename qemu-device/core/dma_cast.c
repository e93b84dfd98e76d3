/* SPDX-License-Identifier: MIT */
/* Element types of LOAD and STORE (HW 8): each value through an exact one. */
#include <math.h>
#include <string.h>
#include "core.h"

/**
 * struct value - an element of any type, exact
 * @real: in @d, else in @i
 */
struct value {
	bool real;
	int64_t i;
	double d;
};

/* Significant bits and least normal exponent of the narrow formats. */
struct format {
	int bits;
	int exponent_min;
	int exponent_max;
};

static const struct format f16 = { .bits = 11, .exponent_min = -14, .exponent_max = 15 };
static const struct format bf16 = { .bits = 8, .exponent_min = -126, .exponent_max = 127 };

static double decode(const struct format *f, uint16_t word)
{
	int fraction_bits = f->bits - 1;
	unsigned int exponent = (word & 0x7fffu) >> fraction_bits;
	unsigned int fraction = word & ((1u << fraction_bits) - 1);
	double sign = word & 0x8000u ? -1 : 1;

	if ((int)exponent == f->exponent_max - f->exponent_min + 2)
		return fraction ? NAN : sign * INFINITY;
	if (!exponent)
		return sign * ldexp(fraction, f->exponent_min - fraction_bits);
	return sign * ldexp(fraction + (1u << fraction_bits),
			    (int)exponent - 1 + f->exponent_min - fraction_bits);
}

static uint16_t encode(const struct format *f, double d)
{
	int fraction_bits = f->bits - 1;
	uint16_t infinity = (uint16_t)((f->exponent_max - f->exponent_min + 2) << fraction_bits);
	uint16_t sign = signbit(d) ? 0x8000u : 0;
	int exponent;
	double steps;

	if (isnan(d))
		return (uint16_t)(infinity | 1u << (fraction_bits - 1));
	if (isinf(d))
		return sign | infinity;
	if (d == 0)
		return sign;
	frexp(d, &exponent);
	exponent = exponent - 1 < f->exponent_min ? f->exponent_min : exponent - 1;
	/* In units of the last place; a carry into the next exponent is right as it is. */
	steps = rint(ldexp(fabs(d), fraction_bits - exponent));
	if (exponent > f->exponent_max)
		return sign | infinity;
	steps += ldexp(exponent - f->exponent_min, fraction_bits);
	return steps >= infinity ? sign | infinity : (uint16_t)(sign | (uint16_t)steps);
}

static bool get(unsigned int dtype, const uint8_t *at, struct value *v)
{
	uint16_t half;
	int16_t i16;
	int32_t i32;
	float f;

	v->real = dtype == NPU_F32 || dtype == NPU_F16 || dtype == NPU_BF16;
	switch (dtype) {
	case NPU_F32:
		memcpy(&f, at, sizeof(f));
		v->d = f;
		return true;
	case NPU_F16:
	case NPU_BF16:
		memcpy(&half, at, sizeof(half));
		v->d = decode(dtype == NPU_F16 ? &f16 : &bf16, half);
		return true;
	case NPU_I64:
		memcpy(&v->i, at, sizeof(v->i));
		return true;
	case NPU_I32:
		memcpy(&i32, at, sizeof(i32));
		v->i = i32;
		return true;
	case NPU_I16:
		memcpy(&i16, at, sizeof(i16));
		v->i = i16;
		return true;
	case NPU_I8:
		v->i = (*at ^ 0x80) - 0x80;
		return true;
	default:
		v->i = *at;
		return dtype == NPU_U8 || *at <= 1;
	}
}

/* What rounds to the same, in a double: bits below those that matter become one. */
static double as_real(const struct value *v)
{
	int64_t i = v->i;

	if (v->real)
		return v->d;
	if (i >= -(1ll << 53) && i <= 1ll << 53)
		return (double)i;
	return (double)((i & ~0x7ffll) | (i & 0x7ff ? 0x400 : 0));
}

static bool put_integer(unsigned int dtype, int64_t i, uint8_t *at)
{
	static const struct {
		int64_t min, max;
	} range[NPU_DTYPES] = {
		[NPU_I64] = { INT64_MIN, INT64_MAX }, [NPU_I32] = { INT32_MIN, INT32_MAX },
		[NPU_I16] = { INT16_MIN, INT16_MAX }, [NPU_I8] = { INT8_MIN, INT8_MAX },
		[NPU_U8] = { 0, UINT8_MAX }, [NPU_BOOL] = { 0, 1 },
	};

	if (i < range[dtype].min || i > range[dtype].max)
		return false;
	/* Little-endian, as the host is. */
	memcpy(at, &i, npu_dtype_bytes(dtype));
	return true;
}

static bool put(unsigned int dtype, const struct value *v, uint8_t *at)
{
	uint16_t half;
	double r;
	float f;

	switch (dtype) {
	case NPU_F32:
		f = (float)as_real(v);
		memcpy(at, &f, sizeof(f));
		return true;
	case NPU_F16:
	case NPU_BF16:
		half = encode(dtype == NPU_F16 ? &f16 : &bf16, as_real(v));
		memcpy(at, &half, sizeof(half));
		return true;
	default:
		if (!v->real)
			return put_integer(dtype, v->i, at);
		r = rint(v->d);
		return r >= -0x1p63 && r < 0x1p63 && put_integer(dtype, (int64_t)r, at);
	}
}

bool npu_cast_row(unsigned int to, uint8_t *dst, int64_t dst_step, unsigned int from,
		  const uint8_t *src, int64_t src_step, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++, dst += dst_step, src += src_step) {
		struct value v = { 0 };

		if (!get(from, src, &v) || !put(to, &v, dst))
			return false;
	}
	return true;
}
