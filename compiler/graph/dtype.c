/* SPDX-License-Identifier: MIT */
/* Element types: what they are called, and elements as the device computes with them. */
#include "graph.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const struct {
	const char *name;
	size_t bytes;
	enum nc_class class;
	int onnx;	/* TensorProto.DataType */
} dtypes[NC_DTYPES] = {
	[NPU_GRAPH_F32] = { "f32", 4, NC_CLASS_FLOAT, 1 },
	[NPU_GRAPH_I32] = { "i32", 4, NC_CLASS_INT, 6 },
	[NPU_GRAPH_I64] = { "i64", 8, NC_CLASS_INT, 7 },
	[NPU_GRAPH_BOOL] = { "bool", 1, NC_CLASS_BOOL, 9 },
	[NPU_GRAPH_I8] = { "i8", 1, NC_CLASS_INT, 3 },
	[NPU_GRAPH_U8] = { "u8", 1, NC_CLASS_INT, 2 },
	[NPU_GRAPH_I16] = { "i16", 2, NC_CLASS_INT, 5 },
	[NPU_GRAPH_F16] = { "f16", 2, NC_CLASS_FLOAT, 10 },
	[NPU_GRAPH_BF16] = { "bf16", 2, NC_CLASS_FLOAT, 16 },
};

int nc_dtype_of_onnx(int64_t type)
{
	for (int d = 0; d < NC_DTYPES; d++)
		if (dtypes[d].onnx == type)
			return d;
	return -1;
}

int nc_dtype_to_onnx(enum npu_graph_dtype dtype)
{
	return dtypes[dtype].onnx;
}

size_t nc_dtype_bytes(enum npu_graph_dtype dtype)
{
	return dtypes[dtype].bytes;
}

const char *nc_dtype_name(enum npu_graph_dtype dtype)
{
	return dtypes[dtype].name;
}

enum nc_class nc_dtype_class(enum npu_graph_dtype dtype)
{
	return dtypes[dtype].class;
}

const char *nc_class_text(unsigned int classes)
{
	static const char *const text[] = {
		"nothing", "floats", "integers", "floats and integers", "bool",
		"floats and bool", "integers and bool", "every type",
	};

	return text[classes & 7];
}

static float from_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Conversions make the NaNs that the device's make (HW 9), of no sign. */
static float half_to_float(uint16_t h)
{
	unsigned int exponent = h >> 10 & 31, fraction = h & 0x3ff;
	float f;

	if (exponent == 31 && fraction)
		return NAN;
	if (exponent == 31)
		f = INFINITY;
	else if (exponent)
		f = ldexpf((float)(fraction | 0x400), (int)exponent - 25);
	else
		f = ldexpf((float)fraction, -24);
	return h & 0x8000 ? -f : f;
}

/* A float as 16 bits; half precision rounds twice nowhere, since scaling is exact. */
static uint16_t float_to_half(float f)
{
	uint16_t sign = signbit(f) ? 0x8000 : 0;
	int exponent;
	float steps;

	if (isnan(f))
		return 0x7e00;
	f = fabsf(f);
	if (isinf(f))
		return sign | 0x7c00;
	if (f == 0)
		return sign;
	frexpf(f, &exponent);
	exponent = exponent < -13 ? -14 : exponent - 1;
	if (exponent > 15)
		return sign | 0x7c00;
	steps = rintf(ldexpf(f, 10 - exponent));
	return (uint16_t)(sign | (unsigned int)((exponent + 14) * 1024 + (int)steps));
}

static uint32_t bf16_to_bits(uint16_t half)
{
	uint32_t bits = (uint32_t)half << 16;

	return isnan(from_bits(bits)) ? 0x7fc00000 : bits;
}

static uint16_t float_to_bf16(uint32_t bits)
{
	if (isnan(from_bits(bits)))
		return 0x7fc0;
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

int nc_word_get(const struct nc_tensor *t, uint64_t i, uint32_t *word)
{
	const char *at = (const char *)t->data + i * nc_dtype_bytes(t->dtype);
	uint16_t half;
	int64_t wide;
	float f;

	switch (t->dtype) {
	case NPU_GRAPH_I64:
		memcpy(&wide, at, sizeof(wide));
		*word = (uint32_t)wide;
		return wide == (int32_t)wide ? 0 : -ERANGE;
	case NPU_GRAPH_I8:
		*word = (uint32_t)*(const int8_t *)at;
		return 0;
	case NPU_GRAPH_U8:
	case NPU_GRAPH_BOOL:
		*word = *(const uint8_t *)at;
		return 0;
	case NPU_GRAPH_F32:
	case NPU_GRAPH_I32:
		memcpy(word, at, sizeof(*word));
		return 0;
	default:
		memcpy(&half, at, sizeof(half));
		if (t->dtype == NPU_GRAPH_F16) {
			f = half_to_float(half);
			memcpy(word, &f, sizeof(f));
		} else {
			*word = t->dtype == NPU_GRAPH_BF16 ? bf16_to_bits(half) :
							     (uint32_t)(int16_t)half;
		}
		return 0;
	}
}

bool nc_is_zero(const struct nc_tensor *t, uint64_t i)
{
	uint32_t word;

	if (nc_word_get(t, i, &word))
		return false;
	return nc_dtype_class(t->dtype) == NC_CLASS_FLOAT ? from_bits(word) == 0 : !word;
}

int nc_word_put(enum npu_graph_dtype dtype, void *data, uint64_t i, uint32_t word)
{
	char *at = (char *)data + i * nc_dtype_bytes(dtype);
	int64_t value = (int32_t)word;
	uint16_t half;
	int lo, hi;

	switch (dtype) {
	case NPU_GRAPH_F16:
	case NPU_GRAPH_BF16:
		half = dtype == NPU_GRAPH_F16 ? float_to_half(from_bits(word)) :
						float_to_bf16(word);
		memcpy(at, &half, sizeof(half));
		return 0;
	case NPU_GRAPH_I64:
		memcpy(at, &value, sizeof(value));
		return 0;
	case NPU_GRAPH_F32:
	case NPU_GRAPH_I32:
		memcpy(at, &word, sizeof(word));
		return 0;
	default:
		lo = dtype == NPU_GRAPH_I8 ? INT8_MIN : dtype == NPU_GRAPH_I16 ? INT16_MIN : 0;
		hi = dtype == NPU_GRAPH_I8 ? INT8_MAX : dtype == NPU_GRAPH_I16 ? INT16_MAX :
		     dtype == NPU_GRAPH_U8 ? UINT8_MAX : 1;
		memcpy(at, &value, nc_dtype_bytes(dtype));
		return value < lo || value > hi ? -ERANGE : 0;
	}
}
