/* SPDX-License-Identifier: MIT */
/* Instructions of docs/hardware.md sections 9 and 10, element by element. */
#include <math.h>
#include <string.h>
#include "ref_isa.h"

static uint8_t *address(const struct ref_isa *m, const struct npu_ref *ref)
{
	uint64_t at = ref->addr;

	if (ref->reg != NPU_REG_NONE)
		at += m->regs[ref->reg] & 0xffffffff;
	return (ref->space == NPU_SPACE_ACC ? m->acc : m->spm) + at;
}

/* All elements are 32 bits wide here. */
static uint32_t get(const uint8_t *base, int64_t elem)
{
	uint32_t bits;

	memcpy(&bits, base + 4 * elem, sizeof(bits));
	return bits;
}

static void put(uint8_t *base, int64_t elem, uint32_t bits)
{
	memcpy(base + 4 * elem, &bits, sizeof(bits));
}

static float as_float(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static uint32_t as_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* Of a floating-point result: there is one NaN. */
static uint32_t result(float x)
{
	return isnan(x) ? 0x7fc00000 : as_bits(x);
}

static float get_f(const uint8_t *base, int64_t elem)
{
	return as_float(get(base, elem));
}

static void put_f(uint8_t *base, int64_t elem, float x)
{
	put(base, elem, result(x));
}

static float maximum(float a, float b)
{
	if (isnan(a) || isnan(b))
		return NAN;
	if (a == 0 && b == 0)
		return signbit(a) ? b : a;
	return a > b ? a : b;
}

static float minimum(float a, float b)
{
	return -maximum(-a, -b);
}

/* Row or column at @pos of an upsampled image of @size; -1: outside or inserted. */
static int64_t source_position(int64_t pos, int64_t size, int64_t up)
{
	if (pos < 0 || pos >= (size - 1) * up + 1 || pos % up != 0)
		return -1;
	return pos / up;
}

/* @in: element 0 of an input with these steps per image, row, column. */
static float conv_input(const struct npu_conv_shape *s, const uint8_t *in,
			const int32_t stride[3], int64_t n, int64_t oh, int64_t ow, int64_t y,
			int64_t x, int64_t c)
{
	int64_t h = source_position(oh * s->stride_h - s->pad_top + y * s->dil_h, s->h, s->up_h);
	int64_t w = source_position(ow * s->stride_w - s->pad_left + x * s->dil_w, s->w, s->up_w);

	if (h < 0 || w < 0)
		return 0.0f;
	return get_f(in, n * stride[0] + h * stride[1] + w * stride[2] + c);
}

/* Where weight (k, c, y, x) is. */
static int64_t weight_elem(const struct ref_isa *m, const struct npu_conv_shape *s,
			   bool depthwise, int64_t k, int64_t c, int64_t y, int64_t x)
{
	const int64_t cols = m->array_cols;
	int64_t block = c / 64, in_block = s->c - block * 64 < 64 ? s->c - block * 64 : 64;
	int64_t at;

	if (depthwise)
		return (y * s->kw + x) * s->c + k;
	/* panel, then block, row, column, channel, output channel */
	at = k / cols * s->c * s->kh * s->kw;
	at += block * 64 * s->kh * s->kw;
	at += (y * s->kw + x) * in_block;
	at += c - block * 64;
	return at * cols + k % cols;
}

static float conv_weight(const struct ref_isa *m, const struct npu_desc_conv *d, int64_t k,
			 int64_t c, int64_t y, int64_t x)
{
	const struct npu_conv_shape *s = &d->shape;

	if (d->hdr.flags & NPU_F_ROT180) {
		y = s->kh - 1 - y;
		x = s->kw - 1 - x;
	}
	return get_f(address(m, &d->weights),
		     weight_elem(m, s, d->hdr.flags & NPU_F_DEPTHWISE, k, c, y, x));
}

static float conv_sum(const struct ref_isa *m, const struct npu_desc_conv *d, int64_t n,
		      int64_t oh, int64_t ow, int64_t k, float acc)
{
	const struct npu_conv_shape *s = &d->shape;
	const uint8_t *in = address(m, &d->in);

	for (int64_t cb = 0; cb < s->c; cb += 64)
		for (int64_t y = 0; y < s->kh; y++)
			for (int64_t x = 0; x < s->kw; x++)
				for (int64_t c = cb; c < cb + 64 && c < s->c; c++)
					acc = fmaf(conv_input(s, in, d->in_stride, n, oh, ow, y, x,
							      c),
						   conv_weight(m, d, k, c, y, x), acc);
	return acc;
}

static float conv_sum_depthwise(const struct ref_isa *m, const struct npu_desc_conv *d,
				int64_t n, int64_t oh, int64_t ow, int64_t k, float acc)
{
	for (int64_t y = 0; y < d->shape.kh; y++)
		for (int64_t x = 0; x < d->shape.kw; x++)
			acc = fmaf(conv_input(&d->shape, address(m, &d->in), d->in_stride, n, oh,
					      ow, y, x, k),
				   conv_weight(m, d, k, k, y, x), acc);
	return acc;
}

static float start_value(const struct ref_isa *m, const struct npu_desc_hdr *hdr,
			 const struct npu_ref *bias, int64_t column, float old)
{
	if (hdr->flags & NPU_F_ACCUMULATE)
		return old;
	if (hdr->flags & NPU_F_BIAS)
		return get_f(address(m, bias), column);
	return 0.0f;
}

static void conv(const struct ref_isa *m, const struct npu_desc_conv *d)
{
	const struct npu_conv_shape *s = &d->shape;
	uint8_t *out = address(m, &d->acc);

	for (int64_t n = 0; n < s->n; n++) {
		for (int64_t oh = 0; oh < s->oh; oh++) {
			for (int64_t ow = 0; ow < s->ow; ow++) {
				for (int64_t k = 0; k < s->k; k++) {
					int64_t at = n * d->acc_stride[0] + oh * d->acc_stride[1] +
						     ow * d->acc_stride[2] + k;
					float acc = start_value(m, &d->hdr, &d->bias, k,
								get_f(out, at));

					if (d->hdr.flags & NPU_F_DEPTHWISE)
						acc = conv_sum_depthwise(m, d, n, oh, ow, k, acc);
					else
						acc = conv_sum(m, d, n, oh, ow, k, acc);
					put_f(out, at, acc);
				}
			}
		}
	}
}

static float wgrad_sum(const struct ref_isa *m, const struct npu_desc_wgrad *d, int64_t k,
		       int64_t c, int64_t y, int64_t x, float acc)
{
	const struct npu_conv_shape *s = &d->shape;
	const uint8_t *in = address(m, &d->in), *dy = address(m, &d->dy);

	for (int64_t n = 0; n < s->n; n++)
		for (int64_t oh = 0; oh < s->oh; oh++)
			for (int64_t ow = 0; ow < s->ow; ow++)
				acc = fmaf(conv_input(s, in, d->in_stride, n, oh, ow, y, x, c),
					   get_f(dy, n * d->dy_stride[0] + oh * d->dy_stride[1] +
						 ow * d->dy_stride[2] + k), acc);
	return acc;
}

static void wgrad(const struct ref_isa *m, const struct npu_desc_wgrad *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;
	uint8_t *out = address(m, &d->acc);

	for (int64_t k = 0; k < s->k; k++) {
		for (int64_t c = depthwise ? k : 0; c < (depthwise ? k + 1 : s->c); c++) {
			for (int64_t tap = 0; tap < s->kh * s->kw; tap++) {
				int64_t y = tap / s->kw, x = tap % s->kw;
				int64_t at = weight_elem(m, s, depthwise, k, c, y, x);
				float start = d->hdr.flags & NPU_F_ACCUMULATE ? get_f(out, at) : 0;

				put_f(out, at, wgrad_sum(m, d, k, c, y, x, start));
			}
		}
	}
}

static void matmul(const struct ref_isa *m, const struct npu_desc_matmul *d)
{
	const uint8_t *a = address(m, &d->a), *b = address(m, &d->b);
	uint8_t *out = address(m, &d->acc);
	int64_t count = (int64_t)d->dim[0] * d->dim[1] * d->dim[2] * d->dim[3];

	for (int64_t i = 0; i < count; i++) {
		int64_t n = i % d->dim[3], row = i / d->dim[3] % d->dim[2];
		int64_t b1 = i / d->dim[3] / d->dim[2] % d->dim[1];
		int64_t b0 = i / d->dim[3] / d->dim[2] / d->dim[1];
		int64_t at = b0 * d->acc_stride[0] + b1 * d->acc_stride[1] +
			     row * d->acc_stride[2] + n;
		float acc = start_value(m, &d->hdr, &d->bias, n, get_f(out, at));

		for (int64_t k = 0; k < d->dim[4]; k++)
			acc = fmaf(get_f(a, b0 * d->a_stride[0] + b1 * d->a_stride[1] +
					 row * d->a_stride[2] + k * d->a_stride[3]),
				   get_f(b, b0 * d->b_stride[0] + b1 * d->b_stride[1] +
					 k * d->b_stride[2] + n * d->b_stride[3]), acc);
		put_f(out, at, acc);
	}
}

static uint32_t truth(bool holds)
{
	return holds ? 0xffffffff : 0;
}

static uint32_t quotient(int32_t a, int32_t b)
{
	if (b == 0)
		return 0xffffffff;
	return (uint32_t)((int64_t)a / b);
}

static uint32_t to_integer(float x)
{
	float r = rintf(x);

	if (isnan(x))
		return 0;
	if (r >= 2147483648.0f)
		return INT32_MAX;
	if (r <= -2147483648.0f)
		return (uint32_t)INT32_MIN;
	return (uint32_t)(int32_t)r;
}

bool ref_isa_overflows(unsigned int op, uint32_t a, uint32_t b)
{
	const int64_t x = (int32_t)a, y = (int32_t)b;
	int64_t r;

	switch (op) {
	case NPU_UOP_IADDT: r = x + y; break;
	case NPU_UOP_ISUBT: r = x - y; break;
	case NPU_UOP_IMULT: r = x * y; break;
	case NPU_UOP_IDIVT: r = y ? x / y : -1; break;
	case NPU_UOP_F2IT:
		return !(rintf(as_float(a)) >= -2147483648.0f && rintf(as_float(a)) < 2147483648.0f);
	default: return false;
	}
	return r < INT32_MIN || r > INT32_MAX;
}

static uint32_t integer_uop(unsigned int op, uint32_t a, uint32_t b)
{
	const int32_t sa = (int32_t)a, sb = (int32_t)b;

	switch (op) {
	case NPU_UOP_IADD: case NPU_UOP_IADDT: return a + b;
	case NPU_UOP_ISUB: case NPU_UOP_ISUBT: return a - b;
	case NPU_UOP_IMUL: case NPU_UOP_IMULT: return a * b;
	case NPU_UOP_IDIV: case NPU_UOP_IDIVT: return quotient(sa, sb);
	case NPU_UOP_IREM: return a - b * quotient(sa, sb);
	case NPU_UOP_IMIN: return sa < sb ? a : b;
	case NPU_UOP_IMAX: return sa > sb ? a : b;
	case NPU_UOP_IAND: return a & b;
	case NPU_UOP_IOR: return a | b;
	case NPU_UOP_IXOR: return a ^ b;
	case NPU_UOP_ISHL: return a << b % 32;
	case NPU_UOP_ISHR: return a >> b % 32;
	case NPU_UOP_ISAR: return (uint32_t)(((int64_t)sa) >> b % 32);
	case NPU_UOP_ILT: return truth(sa < sb);
	default: return truth(a == b);
	}
}

static uint32_t philox(uint32_t a, uint32_t b, uint32_t key)
{
	for (int round = 0; round < 10; round++, key += 0x9e3779b9) {
		const uint64_t product = (uint64_t)a * 0xd256d193;

		a = (uint32_t)(product >> 32) ^ key ^ b;
		b = (uint32_t)product;
	}
	return a;
}

uint32_t ref_isa_uop(unsigned int op, uint32_t a, uint32_t b, uint32_t c)
{
	const float x = as_float(a), y = as_float(b), z = as_float(c);

	switch (op) {
	case NPU_UOP_RNG: return philox(a, b, c);
	case NPU_UOP_SEL: return a != 0 ? b : c;
	case NPU_UOP_FADD: return result(x + y);
	case NPU_UOP_FSUB: return result(x - y);
	case NPU_UOP_FMUL: return result(x * y);
	case NPU_UOP_FMA: return result(fmaf(x, y, z));
	case NPU_UOP_FDIV: return result(x / y);
	case NPU_UOP_FMIN: return result(minimum(x, y));
	case NPU_UOP_FMAX: return result(maximum(x, y));
	case NPU_UOP_FABS: return a & 0x7fffffff;
	case NPU_UOP_FNEG: return a ^ 0x80000000;
	case NPU_UOP_FSQRT: return result(sqrtf(x));
	case NPU_UOP_FFLOOR: return result(floorf(x));
	case NPU_UOP_FCEIL: return result(ceilf(x));
	case NPU_UOP_FRINT: return result(nearbyintf(x));
	case NPU_UOP_FTRUNC: return result(truncf(x));
	case NPU_UOP_FLT: return truth(x < y);
	case NPU_UOP_FLE: return truth(x <= y);
	case NPU_UOP_FEQ: return truth(x == y);
	case NPU_UOP_EXP: return result(ref_isa_exp(x));
	case NPU_UOP_LOG: return result(ref_isa_log(x));
	case NPU_UOP_TANH: return result(ref_isa_tanh(x));
	case NPU_UOP_SIGMOID: return result(ref_isa_sigmoid(x));
	case NPU_UOP_ERF: return result(ref_isa_erf(x));
	case NPU_UOP_SIN: return result(ref_isa_sin(x));
	case NPU_UOP_COS: return result(ref_isa_cos(x));
	case NPU_UOP_I2F: return result((float)(int32_t)a);
	case NPU_UOP_F2I: case NPU_UOP_F2IT: return to_integer(x);
	default: return integer_uop(op, a, b);
	}
}

static int64_t view_elem(const struct npu_view *view, const uint32_t index[4])
{
	int64_t elem = 0;

	for (int i = 0; i < 4; i++)
		elem += (int64_t)index[i] * view->stride[i];
	return elem;
}

static void map_element(const struct ref_isa *m, const struct npu_desc_map *d,
			const uint32_t index[4], uint32_t number)
{
	const uint8_t *words = (const uint8_t *)&d->view[d->operands];
	uint32_t reg[NPU_MAP_REGS] = { 0 };

	for (unsigned int i = 0; i < d->uops; i++) {
		const uint32_t w = get(words, i);
		const uint32_t field[3] = { w >> 13 & 63, w >> 19 & 63, w >> 25 & 63 };
		const uint32_t dst = w >> 8 & 31;
		const struct npu_view *view;
		uint32_t src[3];

		for (int s = 0; s < 3; s++) {
			if (field[s] < 32)
				src[s] = reg[field[s]];
			else
				src[s] = field[s] - 32 < d->consts ?
					 get(words, d->uops + field[s] - 32) : 0;
		}
		switch (w & 0xff) {
		case NPU_UOP_LD:
			view = &d->view[field[0]];
			reg[dst] = get(address(m, &view->ref), view_elem(view, index));
			break;
		case NPU_UOP_ST:
			view = &d->view[dst];
			put(address(m, &view->ref), view_elem(view, index), src[0]);
			break;
		case NPU_UOP_MOV:
			reg[dst] = src[0];
			break;
		case NPU_UOP_IOTA:
			reg[dst] = number;
			break;
		default:
			if (ref_isa_overflows(w & 0xff, src[0], src[1]))
				*m->overflow = true;
			reg[dst] = ref_isa_uop(w & 0xff, src[0], src[1], src[2]);
			break;
		}
	}
}

static void map(const struct ref_isa *m, const struct npu_desc_map *d)
{
	uint32_t index[4], number = 0;

	for (index[0] = 0; index[0] < d->dim[0]; index[0]++)
		for (index[1] = 0; index[1] < d->dim[1]; index[1]++)
			for (index[2] = 0; index[2] < d->dim[2]; index[2]++)
				for (index[3] = 0; index[3] < d->dim[3]; index[3]++)
					map_element(m, d, index, number++);
}

static uint32_t lane_start(unsigned int rop, bool integer)
{
	switch (rop) {
	case NPU_ROP_PROD:
		return integer ? 1 : as_bits(1.0f);
	case NPU_ROP_MAX:
		return integer ? (uint32_t)INT32_MIN : as_bits(-INFINITY);
	case NPU_ROP_MIN:
		return integer ? INT32_MAX : as_bits(INFINITY);
	default:
		return 0;
	}
}

/*
 * Two lanes, or a lane and an element of anything but SUMSQ. Integers tell
 * @overflow; without TRAP nobody listens.
 */
static uint32_t lane_combine(unsigned int rop, bool integer, uint32_t a, uint32_t b,
			     bool *overflow)
{
	if (integer && rop == NPU_ROP_PROD)
		*overflow |= ref_isa_overflows(NPU_UOP_IMULT, a, b);
	else if (integer && rop != NPU_ROP_MAX && rop != NPU_ROP_MIN)
		*overflow |= ref_isa_overflows(NPU_UOP_IADDT, a, b);
	switch (rop) {
	case NPU_ROP_PROD:
		return ref_isa_uop(integer ? NPU_UOP_IMUL : NPU_UOP_FMUL, a, b, 0);
	case NPU_ROP_MAX:
		return ref_isa_uop(integer ? NPU_UOP_IMAX : NPU_UOP_FMAX, a, b, 0);
	case NPU_ROP_MIN:
		return ref_isa_uop(integer ? NPU_UOP_IMIN : NPU_UOP_FMIN, a, b, 0);
	default:
		return ref_isa_uop(integer ? NPU_UOP_IADD : NPU_UOP_FADD, a, b, 0);
	}
}

static uint32_t lane_take(unsigned int rop, bool integer, uint32_t lane, uint32_t x,
			  bool *overflow)
{
	if (rop != NPU_ROP_SUMSQ)
		return lane_combine(rop, integer, lane, x, overflow);
	if (integer) {
		*overflow |= ref_isa_overflows(NPU_UOP_IMULT, x, x);
		return lane_combine(NPU_ROP_SUM, true, lane, x * x, overflow);
	}
	return result(fmaf(as_float(x), as_float(x), as_float(lane)));
}

/* Calls take(arg, e, bits) for the elements of the output at @index in row-major order. */
static void each_reduced(const struct ref_isa *m, const struct npu_desc_reduce *d,
			 const uint32_t index[4], void (*take)(void *, uint32_t, uint32_t),
			 void *arg)
{
	uint32_t first[4], end[4], i[4], e = 0;

	for (int j = 0; j < 4; j++) {
		bool reduced = d->axes >> j & 1;

		first[j] = reduced ? 0 : index[j];
		end[j] = reduced ? d->dim[j] : index[j] + 1;
	}
	for (i[0] = first[0]; i[0] < end[0]; i[0]++)
		for (i[1] = first[1]; i[1] < end[1]; i[1]++)
			for (i[2] = first[2]; i[2] < end[2]; i[2]++)
				for (i[3] = first[3]; i[3] < end[3]; i[3]++)
					take(arg, e++, get(address(m, &d->in.ref),
							   view_elem(&d->in, i)));
}

struct lanes {
	unsigned int rop;
	bool integer;
	bool used[16];
	uint32_t lane[16];
	bool overflow;
};

static void take_lane(void *arg, uint32_t e, uint32_t x)
{
	struct lanes *l = arg;
	const bool first = (l->rop == NPU_ROP_MAX || l->rop == NPU_ROP_MIN) && !l->used[e % 16];

	l->lane[e % 16] = first ? x : lane_take(l->rop, l->integer, l->lane[e % 16], x,
							  &l->overflow);
	l->used[e % 16] = true;
}

struct extreme {
	unsigned int rop;
	bool integer;
	bool any;
	uint32_t best;
	uint32_t at;
};

static void take_extreme(void *arg, uint32_t e, uint32_t x)
{
	struct extreme *m = arg;
	const bool max = m->rop == NPU_ROP_ARGMAX;
	bool better;

	if (m->integer)
		better = max ? (int32_t)x > (int32_t)m->best : (int32_t)x < (int32_t)m->best;
	else if (isnan(as_float(m->best)))
		better = false;
	else if (isnan(as_float(x)))
		better = true;
	else
		better = max ? as_float(x) > as_float(m->best) : as_float(x) < as_float(m->best);
	if (m->any && !better)
		return;
	m->any = true;
	m->best = x;
	m->at = e;
}

static void put_reduced(uint8_t *base, int64_t elem, bool integer, uint32_t bits)
{
	if (integer)
		put(base, elem, bits);
	else
		put_f(base, elem, as_float(bits));
}

static void reduce_output(const struct ref_isa *m, const struct npu_desc_reduce *d,
			  const uint32_t index[4])
{
	const bool integer = d->in.ref.dtype == NPU_I32;
	const int64_t at = view_elem(&d->out, index);
	uint8_t *out = address(m, &d->out.ref);
	struct lanes l = { .rop = d->rop, .integer = integer };
	struct extreme extreme = { .rop = d->rop, .integer = integer };

	if (d->rop == NPU_ROP_ARGMAX || d->rop == NPU_ROP_ARGMIN) {
		each_reduced(m, d, index, take_extreme, &extreme);
		put(out, at, extreme.at);
		return;
	}
	for (int i = 0; i < 16; i++) {
		l.lane[i] = lane_start(d->rop, integer);
		if (d->hdr.flags & NPU_F_LANES_IN) {
			l.lane[i] = get(out, at + i);
			l.used[i] = true;
		}
	}
	each_reduced(m, d, index, take_lane, &l);
	if (d->hdr.flags & NPU_F_LANES_OUT) {
		for (int i = 0; i < 16; i++)
			put_reduced(out, at + i, integer, l.lane[i]);
		if (d->hdr.flags & NPU_F_TRAP && l.overflow)
			*m->overflow = true;
		return;
	}
	for (int half = 8; half >= 1; half /= 2)
		for (int i = 0; i < half; i++)
			l.lane[i] = lane_combine(d->rop, integer, l.lane[i], l.lane[i + half],
						 &l.overflow);
	if (d->hdr.flags & NPU_F_TRAP && l.overflow)
		*m->overflow = true;
	put_reduced(out, at, integer, l.lane[0]);
}

static void reduce(const struct ref_isa *m, const struct npu_desc_reduce *d)
{
	uint32_t end[4], i[4];

	for (int j = 0; j < 4; j++)
		end[j] = d->axes >> j & 1 ? 1 : d->dim[j];
	for (i[0] = 0; i[0] < end[0]; i[0]++)
		for (i[1] = 0; i[1] < end[1]; i[1]++)
			for (i[2] = 0; i[2] < end[2]; i[2]++)
				for (i[3] = 0; i[3] < end[3]; i[3]++)
					reduce_output(m, d, i);
}

/* Its position goes to @position. */
static float pool_window(const struct ref_isa *m, const struct npu_desc_pool *d, int64_t n,
			 int64_t oh, int64_t ow, int64_t c, uint32_t *position)
{
	const struct npu_conv_shape *s = &d->shape;
	const bool average = d->hdr.flags & NPU_F_POOL_AVERAGE;
	float acc = average ? 0.0f : -INFINITY;
	float best = 0;
	int64_t valid = 0;

	*position = 0xffffffff;
	for (int64_t y = 0; y < s->kh; y++) {
		for (int64_t x = 0; x < s->kw; x++) {
			int64_t h = oh * s->stride_h - s->pad_top + y * s->dil_h;
			int64_t w = ow * s->stride_w - s->pad_left + x * s->dil_w;
			float in;

			if (h < 0 || h >= s->h || w < 0 || w >= s->w)
				continue;
			in = get_f(address(m, &d->in), n * d->in_stride[0] +
				   h * d->in_stride[1] + w * d->in_stride[2] + c);
			if (average)
				acc += in;
			else
				acc = valid ? maximum(acc, in) : in;
			if (!valid || (!isnan(best) && (isnan(in) || in > best))) {
				best = in;
				*position = (uint32_t)(h * d->index_row + w + d->index_base);
			}
			valid++;
		}
	}
	if (!average)
		return acc;
	if (d->hdr.flags & NPU_F_POOL_COUNT_PAD)
		return acc / (float)((int64_t)s->kh * s->kw);
	return valid ? acc / (float)valid : 0.0f;
}

static void pool(const struct ref_isa *m, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const int64_t count = (int64_t)s->n * s->oh * s->ow * s->c;

	for (int64_t i = 0; i < count; i++) {
		int64_t c = i % s->c, ow = i / s->c % s->ow, oh = i / s->c / s->ow % s->oh;
		int64_t n = i / s->c / s->ow / s->oh;
		int64_t at = n * d->out_stride[0] + oh * d->out_stride[1] +
			     ow * d->out_stride[2] + c;
		uint32_t position;

		put_f(address(m, &d->out), at, pool_window(m, d, n, oh, ow, c, &position));
		if (d->hdr.flags & NPU_F_POOL_INDEX)
			put(address(m, &d->index), at, position);
	}
}

static void unpool(const struct ref_isa *m, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const int64_t count = (int64_t)s->n * s->oh * s->ow * s->c;
	uint8_t *out = address(m, &d->out);

	for (int64_t i = 0; i < count; i++) {
		int64_t c = i % s->c, ow = i / s->c % s->ow, oh = i / s->c / s->ow % s->oh;
		int64_t n = i / s->c / s->ow / s->oh;
		int64_t from = n * d->in_stride[0] + oh * d->in_stride[1] +
			       ow * d->in_stride[2] + c;
		uint32_t index = get(address(m, &d->index), from);
		uint32_t p = index - (uint32_t)d->index_base;
		int64_t h = p / (uint32_t)d->index_row, w = p % (uint32_t)d->index_row;
		int64_t to = n * d->out_stride[0] + h * d->out_stride[1] +
			     w * d->out_stride[2] + c;

		if (h < s->h && w < s->w) {
			put_f(out, to, get_f(out, to) + get_f(address(m, &d->in), from));
		} else if (index != 0xffffffff) {
			m->unpool->faulted = true;
			m->unpool->index = index;
			return;
		}
	}
}

bool ref_isa_exec(const struct ref_isa *m, const void *desc)
{
	switch (((const struct npu_desc_hdr *)desc)->opcode) {
	case NPU_OP_CONV:
		conv(m, desc);
		return true;
	case NPU_OP_WGRAD:
		wgrad(m, desc);
		return true;
	case NPU_OP_MATMUL:
		matmul(m, desc);
		return true;
	case NPU_OP_MAP:
		map(m, desc);
		return true;
	case NPU_OP_REDUCE:
		reduce(m, desc);
		return true;
	case NPU_OP_POOL:
		pool(m, desc);
		return true;
	case NPU_OP_UNPOOL:
		unpool(m, desc);
		return true;
	default:
		return false;
	}
}
