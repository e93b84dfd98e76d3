/* SPDX-License-Identifier: MIT */
/* Elements of tensors in files: conversion to what a model takes, comparison. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensor_file.h"

static bool fail(char *error, const char *path, const char *why)
{
	snprintf(error, TENSOR_ERROR_BYTES, "%s: %s", path, why);
	return false;
}

bool tensor_file_load(struct tensor_file *t, uint64_t count, char error[TENSOR_ERROR_BYTES])
{
	uint64_t bytes = count * t->type.bytes;

	if (t->data)
		return true;
	t->memory = malloc(bytes ? bytes : 1);
	if (!t->memory)
		return fail(error, t->path, "out of memory");
	if (!tensor_file_read_at(t->path, t->offset_bytes, t->memory, bytes, error))
		return false;
	t->data = t->memory;
	return true;
}

bool tensor_file_is_plain(const struct tensor_file *t, const struct npu_tensor_info *want)
{
	struct tensor_type type = tensor_type_of(want->type);

	return !t->data && t->type.kind == type.kind && t->type.bytes == type.bytes &&
	       (!t->big_endian || type.bytes == 1);
}

/* The next dimension that is not 1, from *i on; -1 at the end. */
static int64_t next_dim(const int64_t *dim, unsigned int rank, unsigned int *i)
{
	while (*i < rank && dim[*i] == 1)
		++*i;
	return *i < rank ? dim[(*i)++] : -1;
}

bool tensor_file_matches(const struct tensor_file *t, const struct npu_tensor_info *want,
			 char error[TENSOR_ERROR_BYTES])
{
	unsigned int i = 0;
	unsigned int k = 0;
	uint64_t count = want->bytes / tensor_type_of(want->type).bytes;
	bool same = true;
	char shape[128];
	int used = 0;

	if (t->open_ended && t->rank && t->count >= count) {
		uint64_t example = t->dim[0] ? t->count / (uint64_t)t->dim[0] : 0;

		if (example && count % example == 0)
			return true;
	}
	while (same) {
		int64_t a = next_dim(t->dim, t->rank, &i);
		int64_t b = next_dim(want->dim, want->rank, &k);

		same = a == b;
		if (a < 0 || b < 0)
			break;
	}
	if (same)
		return true;
	for (unsigned int d = 0; d < t->rank && used < (int)sizeof(shape) - 24; d++)
		used += snprintf(shape + used, sizeof(shape) - (size_t)used, "%s%" PRId64,
				 d ? ", " : "", t->dim[d]);
	shape[used] = '\0';
	snprintf(error, TENSOR_ERROR_BYTES, "%s: has the shape [%s], which is not that of \"%s\"",
		 t->path, shape, want->name);
	return false;
}

/* ---- Conversion ---- */

static uint64_t load_bits(const struct tensor_file *t, uint64_t k)
{
	const uint8_t *p = t->data + k * t->type.bytes;
	uint64_t bits = 0;

	for (unsigned int i = 0; i < t->type.bytes; i++)
		bits |= (uint64_t)p[t->big_endian ? t->type.bytes - 1 - i : i] << (8 * i);
	return bits;
}

static double half_to_double(uint16_t bits)
{
	int exponent = bits >> 10 & 0x1f;
	double value = bits & 0x3ff;

	if (exponent == 31)
		value = value != 0 ? NAN : INFINITY;
	else if (exponent)
		value = ldexp(value + 1024, exponent - 25);
	else
		value = ldexp(value, -24);
	return bits & 0x8000 ? -value : value;
}

static bool is_float(struct tensor_type type)
{
	return type.kind == 'f' || type.kind == 'h';
}

static double load_float(const struct tensor_file *t, uint64_t k)
{
	uint64_t bits = load_bits(t, k);
	uint32_t bits32 = (uint32_t)bits;
	float single;
	double value;

	if (t->type.kind == 'h')
		bits32 <<= 16;
	switch (t->type.kind == 'h' ? 4 : t->type.bytes) {
	case 2:
		return half_to_double((uint16_t)bits);
	case 4:
		memcpy(&single, &bits32, sizeof(single));
		return single;
	default:
		memcpy(&value, &bits, sizeof(value));
		return value;
	}
}

static int64_t load_int(const struct tensor_file *t, uint64_t k)
{
	uint64_t bits = load_bits(t, k);
	unsigned int unused = 64 - 8 * t->type.bytes;

	if (t->type.kind == 'i')
		return (int64_t)(bits << unused) >> unused;
	return (int64_t)bits;
}

/* @value in @type, which is not of floats; false if it does not fit. */
static bool store_int(int64_t value, struct tensor_type type, void *dst, uint64_t k)
{
	if (type.bytes < 8) {
		int64_t values = (int64_t)1 << (type.kind == 'b' ? 1 : 8 * type.bytes);
		int64_t low = type.kind == 'i' ? -values / 2 : 0;

		if (value < low || value >= low + values)
			return false;
	}
	memcpy((char *)dst + k * type.bytes, &value, type.bytes);
	return true;
}

/* The double nearest to @value with @bits of fraction and exponents not below @least. */
static double round_bits(double value, int bits, int least)
{
	int exponent;
	double unit;

	frexp(value, &exponent);
	if (exponent - 1 < least)
		exponent = least + 1;
	unit = ldexp(1, exponent - 1 - bits);
	return rint(value / unit) * unit;
}

static uint16_t double_to_half(double value)
{
	uint16_t sign = signbit(value) ? 0x8000 : 0;
	double size = fabs(value);
	int exponent;

	if (isnan(value))
		return 0x7e00;
	size = isinf(size) ? size : round_bits(size, 10, -14);
	if (size >= 65520)
		return sign | 0x7c00;
	if (size < ldexp(1, -14))
		return (uint16_t)(sign | (uint16_t)ldexp(size, 24));
	frexp(size, &exponent);
	return (uint16_t)(sign | (exponent + 14) << 10 |
			  ((uint16_t)ldexp(size, 11 - exponent) & 0x3ff));
}

static void store_float(double value, struct tensor_type type, void *dst, uint64_t k)
{
	float single = (float)value;
	uint32_t bits;

	if (type.bytes == 4) {
		((float *)dst)[k] = single;
	} else if (type.kind == 'f') {
		((uint16_t *)dst)[k] = double_to_half(value);
	} else {
		memcpy(&bits, &single, sizeof(bits));
		if (!isnan(single))
			bits += 0x7fff + (bits >> 16 & 1);
		((uint16_t *)dst)[k] = (uint16_t)(bits >> 16);
	}
}

bool tensor_file_read(struct tensor_file *t, const struct npu_tensor_info *want, bool scale,
		      void *dst, char error[TENSOR_ERROR_BYTES])
{
	struct tensor_type type = tensor_type_of(want->type);
	uint64_t count = want->bytes / type.bytes;

	if (!tensor_file_load(t, count, error))
		return false;
	if (!is_float(type) && (is_float(t->type) || scale))
		return fail(error, t->path, "has fractions, the model wants integers");
	for (uint64_t k = 0; k < count; k++) {
		if (is_float(type)) {
			double value = is_float(t->type) ? load_float(t, k) :
							   (double)load_int(t, k);

			store_float(scale ? (float)value / 255 : value, type, dst, k);
		} else if (!store_int(load_int(t, k), type, dst, k)) {
			snprintf(error, TENSOR_ERROR_BYTES, "%s: element %" PRIu64 " is %" PRId64
				 ", which does not fit \"%s\"", t->path, k, load_int(t, k),
				 want->name);
			return false;
		}
	}
	return true;
}

static double element(const struct tensor_file *t, uint64_t k)
{
	return is_float(t->type) ? load_float(t, k) : (double)load_int(t, k);
}

/* How far @a is beyond the tolerance around @b; 0: within it. */
static double excess_of(double a, double b, double rtol, double atol)
{
	double difference = fabs(a - b);

	if (a == b || (isnan(a) && isnan(b)))
		return 0;
	if (!isfinite(a) || !isfinite(b))
		return INFINITY;
	return difference <= atol + rtol * fabs(b) ? 0 : difference - rtol * fabs(b);
}

bool tensor_file_compare(struct tensor_file *t, const struct npu_tensor_info *info,
			 const void *data, double rtol, double atol, struct tensor_diff *diff,
			 char error[TENSOR_ERROR_BYTES])
{
	struct tensor_file got = { .type = tensor_type_of(info->type), .data = data };
	uint64_t count = info->bytes / got.type.bytes;
	double worst = 0;

	if (!tensor_file_load(t, count, error))
		return false;
	*diff = (struct tensor_diff){ .wrong = 0 };
	for (uint64_t k = 0; k < count; k++) {
		double a = element(&got, k);
		double b = element(t, k);
		double difference = fabs(a - b);
		double excess;

		if (is_float(t->type) || is_float(got.type))
			excess = excess_of(a, b, rtol, atol);
		else	/* doubles do not hold all of 64 bits */
			excess = load_int(&got, k) == load_int(t, k) ? 0 : 1 + difference;
		if (!excess && (a == b || isnan(b)))
			continue;
		if (!(difference <= diff->max_abs))
			diff->max_abs = difference;
		if (b != 0 && !(difference / fabs(b) <= diff->max_rel))
			diff->max_rel = difference / fabs(b);
		if (!excess)
			continue;
		/* Nothing is worse than infinity and NaN; of equals the first is named. */
		if (!diff->wrong++ || excess > worst) {
			worst = excess;
			diff->at = k;
			diff->got = a;
			diff->expected = b;
		}
	}
	return true;
}
