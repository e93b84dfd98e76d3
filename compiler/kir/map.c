/* SPDX-License-Identifier: MIT */
/* Assembler for micro-programs. */
#include "map.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static int sources(unsigned int op)
{
	switch (op) {
#define NPU_UOP(name, code, nsrc, cost, cap) case code: return nsrc;
#include "npu_ops.h.inc"
	default:
		return 0;
	}
}

static int append(struct nc_map *m, enum npu_uop op, int a, int b, int c)
{
	if (m->uops >= NC_MAP_UOPS)
		return -E2BIG;
	m->uop[m->uops].op = (uint8_t)op;
	m->uop[m->uops].src[0] = a;
	m->uop[m->uops].src[1] = b;
	m->uop[m->uops].src[2] = c;
	return (int)m->uops++;
}

int nc_map_op(struct nc_map *m, enum npu_uop op, int a, int b, int c)
{
	const int src[3] = { a, b, c };

	for (int i = 0; i < sources(op); i++)
		if (src[i] < 0)
			return src[i];
	return append(m, op, a, b, c);
}

static bool same_view(const struct kir_view *a, const struct kir_view *b)
{
	return a->tensor == b->tensor && a->offset == b->offset &&
	       !memcmp(a->stride, b->stride, sizeof(a->stride));
}

static int add_operand(struct nc_map *m, const struct kir_operand *o)
{
	if (m->operands >= NC_MAP_OPERANDS)
		return -E2BIG;
	m->operand[m->operands] = *o;
	return (int)m->operands++;
}

/* The value that loads operand @i. */
static int load_of(const struct nc_map *m, unsigned int i)
{
	for (unsigned int k = 0; k < m->uops; k++)
		if (m->uop[k].op == NPU_UOP_LD && m->uop[k].src[0] == (int)i)
			return (int)k;
	return -EINVAL;
}

int nc_map_load(struct nc_map *m, const struct kir_view *view)
{
	int at;

	for (unsigned int i = 0; i < m->operands; i++) {
		const struct kir_operand *o = &m->operand[i];

		if (!o->write && !o->acc && same_view(&o->view, view))
			return load_of(m, i);
	}
	at = add_operand(m, &(struct kir_operand){ .view = *view });
	return at < 0 ? at : append(m, NPU_UOP_LD, at, 0, 0);
}

int nc_map_acc(struct nc_map *m, unsigned int group)
{
	int at = add_operand(m, &(struct kir_operand){
		.view = { .tensor = KIR_NO_TENSOR }, .acc = true, .acc_group = group });

	return at < 0 ? at : append(m, NPU_UOP_LD, at, 0, 0);
}

int nc_map_store(struct nc_map *m, const struct kir_view *view, int value)
{
	int at;

	if (value < 0)
		return value;
	at = add_operand(m, &(struct kir_operand){ .view = *view, .write = true });
	if (at < 0)
		return at;
	at = append(m, NPU_UOP_ST, value, at, 0);
	return at < 0 ? at : 0;
}

int nc_map_bits(struct nc_map *m, uint32_t value)
{
	for (unsigned int i = 0; i < m->consts; i++)
		if (m->konst[i] == value)
			return (int)(NC_MAP_CONST + i);
	if (m->consts >= NC_MAP_CONSTS)
		return -E2BIG;
	m->konst[m->consts] = value;
	return (int)(NC_MAP_CONST + m->consts++);
}

int nc_map_float(struct nc_map *m, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return nc_map_bits(m, bits);
}

/* What of a program is needed, and where values are read last. */
struct liveness {
	bool uop[NC_MAP_UOPS];
	bool konst[NC_MAP_CONSTS];
	bool operand[NC_MAP_OPERANDS];
	int last[NC_MAP_UOPS];
};

static void find_live(const struct nc_map *m, struct liveness *l)
{
	memset(l, 0, sizeof(*l));
	for (int i = (int)m->uops - 1; i >= 0; i--) {
		unsigned int op = m->uop[i].op;

		if (op != NPU_UOP_ST && !l->uop[i])
			continue;
		l->uop[i] = true;
		if (op == NPU_UOP_LD) {
			l->operand[m->uop[i].src[0]] = true;
			continue;
		}
		if (op == NPU_UOP_ST)
			l->operand[m->uop[i].src[1]] = true;
		for (int k = 0; k < sources(op); k++) {
			int v = m->uop[i].src[k];

			if (v >= NC_MAP_CONST) {
				l->konst[v - NC_MAP_CONST] = true;
			} else if (!l->uop[v] || l->last[v] < i) {
				l->uop[v] = true;
				l->last[v] = i;
			}
		}
	}
}

/* A free register, or -E2BIG. */
static int take_reg(uint32_t *busy)
{
	for (int r = 0; r < NPU_MAP_REGS; r++) {
		if (!(*busy & 1u << r)) {
			*busy |= 1u << r;
			return r;
		}
	}
	return -E2BIG;
}

/* Operands and constants that are used, renumbered. */
static int finish_tables(const struct nc_map *m, const struct liveness *l,
			 struct kir_map *out, unsigned int *operand, unsigned int *konst)
{
	out->operands = 0;
	out->consts = 0;
	for (unsigned int i = 0; i < m->operands; i++) {
		if (!l->operand[i])
			continue;
		if (out->operands >= NPU_MAP_OPERANDS)
			return -E2BIG;
		operand[i] = out->operands;
		out->operand[out->operands++] = m->operand[i];
	}
	for (unsigned int i = 0; i < m->consts; i++) {
		if (!l->konst[i])
			continue;
		if (out->consts >= NPU_MAP_CONSTS)
			return -E2BIG;
		konst[i] = out->consts;
		out->konst[out->consts++] = m->konst[i];
	}
	return 0;
}

int nc_map_finish(const struct nc_map *m, struct kir_map *out)
{
	unsigned int operand[NC_MAP_OPERANDS] = { 0 }, konst[NC_MAP_CONSTS] = { 0 };
	int reg[NC_MAP_UOPS] = { 0 };
	struct liveness l;
	uint32_t busy = 0;
	int ret;

	find_live(m, &l);
	ret = finish_tables(m, &l, out, operand, konst);
	if (ret)
		return ret;
	out->uops = 0;
	for (int i = 0; i < (int)m->uops; i++) {
		unsigned int op = m->uop[i].op, src[3] = { 0 };

		if (!l.uop[i])
			continue;
		if (out->uops >= NPU_MAP_UOPS)
			return -E2BIG;
		if (op == NPU_UOP_LD) {
			src[0] = operand[m->uop[i].src[0]];
		} else {
			for (int k = 0; k < sources(op); k++) {
				int v = m->uop[i].src[k];

				src[k] = v >= NC_MAP_CONST ?
					NPU_UOP_CONST + konst[v - NC_MAP_CONST] :
					(unsigned int)reg[v];
			}
			for (int k = 0; k < sources(op); k++) {
				int v = m->uop[i].src[k];

				if (v < NC_MAP_CONST && l.last[v] == i)
					busy &= ~(1u << reg[v]);
			}
		}
		if (op == NPU_UOP_ST) {
			reg[i] = (int)operand[m->uop[i].src[1]];
		} else {
			reg[i] = take_reg(&busy);
			if (reg[i] < 0)
				return reg[i];
		}
		out->uop[out->uops++] = NPU_UOP_WORD(op, (unsigned int)reg[i],
						     src[0], src[1], src[2]);
	}
	if (sizeof(struct npu_desc_map) + out->operands * sizeof(struct npu_view) +
	    (out->uops + out->consts) * sizeof(uint32_t) > NPU_DESC_BYTES_MAX)
		return -E2BIG;
	return 0;
}

static float as_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static uint32_t as_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static float minimum(float a, float b)
{
	if (isnan(a) || isnan(b))
		return NAN;
	if (a == b)
		return signbit(a) ? a : b;
	return a < b ? a : b;
}

/* fp32 micro-ops with an fp32 result. */
static int run_float(unsigned int op, float a, float b, float c, float *r)
{
	switch (op) {
	case NPU_UOP_FADD: *r = a + b; break;
	case NPU_UOP_FSUB: *r = a - b; break;
	case NPU_UOP_FMUL: *r = a * b; break;
	case NPU_UOP_FMA: *r = fmaf(a, b, c); break;
	case NPU_UOP_FDIV: *r = a / b; break;
	case NPU_UOP_FMIN: *r = minimum(a, b); break;
	case NPU_UOP_FMAX: *r = -minimum(-a, -b); break;
	case NPU_UOP_FABS: *r = fabsf(a); break;
	case NPU_UOP_FNEG: *r = -a; break;
	case NPU_UOP_FSQRT: *r = sqrtf(a); break;
	case NPU_UOP_FFLOOR: *r = floorf(a); break;
	case NPU_UOP_FCEIL: *r = ceilf(a); break;
	case NPU_UOP_FRINT: *r = rintf(a); break;
	case NPU_UOP_FTRUNC: *r = truncf(a); break;
	case NPU_UOP_EXP: *r = (float)exp(a); break;
	case NPU_UOP_LOG: *r = (float)log(a); break;
	case NPU_UOP_TANH: *r = (float)tanh(a); break;
	case NPU_UOP_SIGMOID: *r = (float)(1 / (1 + exp(-(double)a))); break;
	case NPU_UOP_ERF: *r = (float)erf(a); break;
	case NPU_UOP_SIN: *r = (float)sin(a); break;
	case NPU_UOP_COS: *r = (float)cos(a); break;
	default: return -ENOTSUP;
	}
	return 0;
}

static int64_t round_clamp(float a)
{
	double r = nearbyint(a);

	if (isnan(r))
		return 0;
	return r < INT32_MIN ? INT32_MIN : r > INT32_MAX ? INT32_MAX : (int64_t)r;
}

/* Towards 0; HW 10 for what has no quotient. */
static uint32_t divide(int32_t a, int32_t b)
{
	if (!b)
		return UINT32_MAX;
	return b == -1 ? 0 - (uint32_t)a : (uint32_t)(a / b);
}

/* HW 9: one NaN from arithmetic; a sign is changed, not computed. */
static uint32_t float_bits(unsigned int op, float f)
{
	return isnan(f) && op != NPU_UOP_FABS && op != NPU_UOP_FNEG ? 0x7fc00000 : as_bits(f);
}

/* Like the device's, but -ENOTSUP where that faults. */
static int run_trapping(unsigned int op, uint32_t a, uint32_t b, uint32_t *r)
{
	const int64_t x = (int32_t)a, y = (int32_t)b;
	int64_t exact;

	switch (op) {
	case NPU_UOP_IADDT: exact = x + y; break;
	case NPU_UOP_ISUBT: exact = x - y; break;
	case NPU_UOP_IMULT: exact = x * y; break;
	case NPU_UOP_IDIVT: exact = y ? x / y : -1; break;
	case NPU_UOP_F2IT:
		exact = isnan(as_float(a)) ? INT64_MAX : (int64_t)nearbyint(fmax(fmin(
			as_float(a), 0x1p40), -0x1p40));
		break;
	default: return -ENOTSUP;
	}
	*r = (uint32_t)exact;
	return exact < INT32_MIN || exact > INT32_MAX ? -ENOTSUP : 0;
}

/* Comparisons, integers, selection. */
static int run_other(unsigned int op, uint32_t a, uint32_t b, uint32_t c, uint32_t *r)
{
	switch (op) {
	case NPU_UOP_MOV: *r = a; break;
	case NPU_UOP_SEL: *r = a ? b : c; break;
	case NPU_UOP_FLT: *r = as_float(a) < as_float(b) ? UINT32_MAX : 0; break;
	case NPU_UOP_FLE: *r = as_float(a) <= as_float(b) ? UINT32_MAX : 0; break;
	case NPU_UOP_FEQ: *r = as_float(a) == as_float(b) ? UINT32_MAX : 0; break;
	case NPU_UOP_IDIV: *r = divide((int32_t)a, (int32_t)b); break;
	case NPU_UOP_IREM: *r = b ? a - b * divide((int32_t)a, (int32_t)b) : a; break;
	case NPU_UOP_IADD: *r = a + b; break;
	case NPU_UOP_ISUB: *r = a - b; break;
	case NPU_UOP_IMUL: *r = a * b; break;
	case NPU_UOP_IMIN: *r = (int32_t)a < (int32_t)b ? a : b; break;
	case NPU_UOP_IMAX: *r = (int32_t)a > (int32_t)b ? a : b; break;
	case NPU_UOP_IAND: *r = a & b; break;
	case NPU_UOP_IOR: *r = a | b; break;
	case NPU_UOP_IXOR: *r = a ^ b; break;
	case NPU_UOP_ISHL: *r = a << (b & 31); break;
	case NPU_UOP_ISHR: *r = a >> (b & 31); break;
	case NPU_UOP_ISAR: *r = (uint32_t)((int32_t)a >> (b & 31)); break;
	case NPU_UOP_ILT: *r = (int32_t)a < (int32_t)b ? UINT32_MAX : 0; break;
	case NPU_UOP_IEQ: *r = a == b ? UINT32_MAX : 0; break;
	case NPU_UOP_I2F: *r = as_bits((float)(int32_t)a); break;
	case NPU_UOP_F2I: *r = (uint32_t)(int32_t)round_clamp(as_float(a)); break;
	default: return run_trapping(op, a, b, r);
	}
	return 0;
}

int nc_map_run(const struct nc_map *m, const uint32_t *in, uint32_t *out)
{
	uint32_t value[NC_MAP_UOPS];

	for (unsigned int i = 0; i < m->uops; i++) {
		unsigned int op = m->uop[i].op;
		uint32_t src[3] = { 0 };
		float f;

		if (op == NPU_UOP_LD) {
			value[i] = in[m->uop[i].src[0]];
			continue;
		}
		for (int k = 0; k < sources(op); k++) {
			int v = m->uop[i].src[k];

			src[k] = v >= NC_MAP_CONST ? m->konst[v - NC_MAP_CONST] : value[v];
		}
		if (op == NPU_UOP_ST) {
			out[m->uop[i].src[1]] = src[0];
			continue;
		}
		if (!run_float(op, as_float(src[0]), as_float(src[1]), as_float(src[2]), &f))
			value[i] = float_bits(op, f);
		else if (run_other(op, src[0], src[1], src[2], &value[i]))
			return -ENOTSUP;
	}
	return 0;
}
