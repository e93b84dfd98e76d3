/* SPDX-License-Identifier: MIT */
/* Values of the oracle: element types, storage, what they are in files. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

#define ELEMS_MAX	((int64_t)1 << 28)

static const struct {
	const char *name;
	size_t bytes;
	int bits;	/* of an integer, negative when it has a sign; of a float's fraction */
	bool is_float;
} types[] = {
	[EV_F32] = { "f32", 4, 23, true },
	[EV_U8] = { "u8", 1, 8, false },
	[EV_I8] = { "i8", 1, -8, false },
	[EV_U16] = { "u16", 2, 16, false },
	[EV_I16] = { "i16", 2, -16, false },
	[EV_I32] = { "i32", 4, -32, false },
	[EV_I64] = { "i64", 8, -64, false },
	[EV_BOOL] = { "bool", 1, 1, false },
	[EV_F16] = { "f16", 2, 10, true },
	[EV_F64] = { "f64", 8, 52, true },
	[EV_U32] = { "u32", 4, 32, false },
	[EV_U64] = { "u64", 8, 64, false },
	[EV_BF16] = { "bf16", 2, 7, true },
};

bool ev_is_known(int type)
{
	return type > 0 && type < (int)(sizeof(types) / sizeof(types[0])) && types[type].bytes;
}

bool ev_is_float(int type)
{
	return types[type].is_float;
}

size_t ev_type_bytes(int type)
{
	return types[type].bytes;
}

const char *ev_type_name(int type)
{
	return ev_is_known(type) ? types[type].name : "?";
}

double ev_epsilon(int type)
{
	return types[type].is_float ? ldexp(1, -types[type].bits) : 0;
}

/* To nearest, ties to even, with @bits of fraction and the exponents of the format. */
static double round_float(double v, int bits, int exponent_min, double max)
{
	int exponent;
	double step;

	if (!isfinite(v) || v == 0)
		return v;
	frexp(v, &exponent);
	exponent = exponent - 1 < exponent_min ? exponent_min : exponent - 1;
	step = ldexp(1, exponent - bits);
	v = rint(v / step) * step;
	return fabs(v) > max ? copysign(INFINITY, v) : v;
}

static double wrap(double v, int bits)
{
	int width = abs(bits);
	uint64_t mask = width == 64 ? UINT64_MAX : (1ull << width) - 1;
	uint64_t word;

	/* What does not fit into the widest integers has no value to wrap. */
	if (!(fabs(v) < 0x1p63))
		return v;
	word = (uint64_t)(int64_t)v & mask;
	if (bits < 0 && width < 64 && word >> (width - 1))
		return (double)(int64_t)word - ldexp(1, width);
	return bits == -64 ? (double)(int64_t)word : (double)word;
}

double ev_round(int type, double v)
{
	switch (type) {
	case EV_F64:
		return v;
	case EV_F32:
		return (float)v;
	case EV_F16:
		return round_float(v, 10, -14, 65504);
	case EV_BF16:
		return round_float(v, 7, -126, 0x1.fep127);
	case EV_BOOL:
		return v != 0;
	default:
		return wrap(v, types[type].bits);
	}
}

int ev_alloc(struct ev_value *x, int type, int rank, const int64_t *dims)
{
	memset(x, 0, sizeof(*x));
	if (!ev_is_known(type) || rank < 0 || rank > REF_MAX_RANK)
		return -EINVAL;
	x->elems = 1;
	for (int i = 0; i < rank; i++) {
		if (dims[i] < 0 || dims[i] > ELEMS_MAX || x->elems * dims[i] > ELEMS_MAX)
			return -EINVAL;
		x->dims[i] = dims[i];
		x->elems *= dims[i];
	}
	x->v = calloc((size_t)x->elems + 1, sizeof(*x->v));
	if (!x->v)
		return -ENOMEM;
	x->type = type;
	x->rank = rank;
	return 0;
}

int ev_copy(struct ev_value *to, const struct ev_value *from)
{
	int ret = ev_alloc(to, from->type, from->rank, from->dims);

	if (!ret)
		memcpy(to->v, from->v, (size_t)from->elems * sizeof(*from->v));
	return ret;
}

void ev_free(struct ev_value *x)
{
	free(x->v);
	memset(x, 0, sizeof(*x));
}

bool ev_same_shape(const struct ev_value *a, const struct ev_value *b)
{
	return a->rank == b->rank &&
	       !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(*a->dims));
}

static uint64_t load(const uint8_t *p, size_t bytes)
{
	uint64_t word = 0;

	for (size_t i = 0; i < bytes; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

static double float_of(int type, uint64_t word)
{
	uint32_t low = (uint32_t)word;
	int exponent;
	double d;
	float f;

	switch (type) {
	case EV_F64:
		memcpy(&d, &word, sizeof(d));
		return d;
	case EV_BF16:
		low <<= 16;
		/* fall through */
	case EV_F32:
		memcpy(&f, &low, sizeof(f));
		return f;
	default:
		exponent = low >> 10 & 31;
		d = exponent ? ldexp((low & 0x3ff) | 0x400, exponent - 25) :
			       ldexp(low & 0x3ff, -24);
		if (exponent == 31)
			d = low & 0x3ff ? NAN : INFINITY;
		return low >> 15 & 1 ? -d : d;
	}
}

static uint64_t word_of(int type, double v)
{
	uint64_t word = 0;
	uint32_t low;
	int exponent;
	float f = (float)v;

	switch (type) {
	case EV_F64:
		memcpy(&word, &v, sizeof(v));
		return word;
	case EV_F32:
	case EV_BF16:
		f = isnan(v) ? NAN : (float)ev_round(type, v);
		memcpy(&low, &f, sizeof(low));
		return type == EV_F32 ? low : low >> 16;
	case EV_F16:
		if (isnan(v))
			return 0x7e00;
		v = ev_round(type, v);
		word = signbit(v) ? 0x8000 : 0;
		v = fabs(v);
		if (isinf(v))
			return word | 0x7c00;
		if (v < 0x1p-14)
			return word | (uint64_t)ldexp(v, 24);
		frexp(v, &exponent);
		return word | ((uint64_t)ldexp(v, 11 - exponent) + ((uint64_t)(exponent + 13) << 10));
	default:
		/* The largest i64 has no double of its own. */
		if (type == EV_I64 && v >= 0x1p63)
			return INT64_MAX;
		return v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v;
	}
}

void ev_from_bytes(struct ev_value *x, const void *data)
{
	size_t bytes = types[x->type].bytes;

	for (int64_t i = 0; i < x->elems; i++) {
		uint64_t word = load((const uint8_t *)data + (size_t)i * bytes, bytes);

		if (types[x->type].is_float)
			x->v[i] = float_of(x->type, word);
		else if (types[x->type].bits == -64)
			x->v[i] = (double)(int64_t)word;
		else
			x->v[i] = wrap((double)word, types[x->type].bits);
	}
}

void ev_to_bytes(const struct ev_value *x, void *data)
{
	size_t bytes = types[x->type].bytes;
	uint8_t *p = data;

	for (int64_t i = 0; i < x->elems; i++) {
		uint64_t word = word_of(x->type, x->v[i]);

		for (size_t b = 0; b < bytes; b++)
			*p++ = (uint8_t)(word >> (8 * b));
	}
}

int ev_from_proto(struct ev_value *x, const Onnx__TensorProto *p)
{
	int type = p->data_type, ret = ev_alloc(x, type, (int)p->n_dims, p->dims);
	size_t elems = (size_t)x->elems;

	if (ret)
		return ret;
	if (p->has_raw_data && p->raw_data.len == elems * types[type].bytes) {
		ev_from_bytes(x, p->raw_data.data);
		return 0;
	}
	for (size_t i = 0; i < elems; i++) {
		if (i < p->n_float_data)
			x->v[i] = p->float_data[i];
		else if (i < p->n_double_data)
			x->v[i] = p->double_data[i];
		else if (i < p->n_int64_data)
			x->v[i] = (double)p->int64_data[i];
		else if (i < p->n_uint64_data)
			x->v[i] = (double)p->uint64_data[i];
		else if (i < p->n_int32_data && types[type].is_float)
			x->v[i] = float_of(type, (uint16_t)p->int32_data[i]);
		else if (i < p->n_int32_data)
			x->v[i] = p->int32_data[i];
		else
			ret = -EINVAL;
	}
	if (ret)
		ev_free(x);
	return ret;
}
