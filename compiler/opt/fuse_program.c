/* SPDX-License-Identifier: MIT */
/*
 * Concatenation of micro-programs: both are put in single-assignment form, what
 * the first stores and the second loads becomes a value, what nobody needs goes,
 * and registers are assigned anew.
 */
#include "fuse.h"

#include <string.h>

#include "kir/kir_view.h"
#include "npu_check.h"

#define STEPS		(2 * NPU_MAP_UOPS)
#define OPERANDS	(2 * NPU_MAP_OPERANDS)
#define NO_VALUE	UINT16_MAX
#define CONSTANT	0x8000u		/* value: constant + index */

/* A micro-op whose result is the value with its own index. */
struct step {
	uint8_t op;
	uint8_t operand;
	uint8_t sources;
	bool needed;
	uint16_t source[3];
};

struct merge {
	struct step step[STEPS];
	unsigned int steps;
	struct kir_operand operand[OPERANDS];
	unsigned int operands;
	uint32_t konst[2 * NPU_MAP_CONSTS];
	unsigned int consts;
};

static uint16_t constant(struct merge *g, uint32_t bits)
{
	unsigned int i = 0;

	while (i < g->consts && g->konst[i] != bits)
		i++;
	if (i == g->consts)
		g->konst[g->consts++] = bits;
	return (uint16_t)(CONSTANT + i);
}

static bool same_operand(const struct kir_operand *a, const struct kir_operand *b,
			 const struct kir_map *nest)
{
	if (a->write || b->write || a->acc != b->acc)
		return false;
	return a->acc ? a->acc_group == b->acc_group :
		kir_view_equal(&a->view, &b->view, nest->ndim, nest->dim);
}

static bool is_written(const struct kir_map *m, uint32_t tensor)
{
	for (unsigned int i = 0; i < m->operands; i++)
		if (m->operand[i].write && m->operand[i].view.tensor == tensor)
			return true;
	return false;
}

/* A load that the program did before and that still holds. */
static uint16_t earlier_load(const struct merge *g, const struct kir_map *m,
			     const struct kir_operand *o)
{
	if (!o->acc && is_written(m, o->view.tensor))
		return NO_VALUE;
	for (unsigned int i = 0; i < g->steps; i++)
		if (g->step[i].op == NPU_UOP_LD &&
		    same_operand(&g->operand[g->step[i].operand], o, m))
			return (uint16_t)i;
	return NO_VALUE;
}

static struct step *add_step(struct merge *g, unsigned int op)
{
	struct step *s = &g->step[g->steps++];

	*s = (struct step){ .op = (uint8_t)op };
	return s;
}

static uint8_t add_operand(struct merge *g, const struct kir_operand *o)
{
	g->operand[g->operands] = *o;
	return (uint8_t)g->operands++;
}

/*
 * Append @m. @known holds the values of operands that need no load, and
 * receives what is stored; a store of an operand in @drop is left out.
 */
static void append(struct merge *g, const struct kir_map *m, const uint16_t *known,
		   const bool *drop, uint16_t *stored)
{
	uint16_t reg[NPU_MAP_REGS];

	for (unsigned int i = 0; i < m->uops; i++) {
		unsigned int op = NPU_UOP_OP(m->uop[i]), dst = NPU_UOP_DST(m->uop[i]);
		unsigned int src[3] = { NPU_UOP_A(m->uop[i]), NPU_UOP_B(m->uop[i]),
					NPU_UOP_C(m->uop[i]) };
		uint16_t value[3] = { NO_VALUE, NO_VALUE, NO_VALUE };
		struct step *s;

		if (op == NPU_UOP_LD) {
			reg[dst] = known ? known[src[0]] : NO_VALUE;
			if (reg[dst] == NO_VALUE)
				reg[dst] = earlier_load(g, m, &m->operand[src[0]]);
			if (reg[dst] != NO_VALUE)
				continue;
			s = add_step(g, op);
			s->operand = add_operand(g, &m->operand[src[0]]);
			reg[dst] = (uint16_t)(g->steps - 1);
			continue;
		}
		for (unsigned int j = 0; j < npu_uop_sources(op); j++)
			value[j] = src[j] < NPU_UOP_CONST ? reg[src[j]] :
				constant(g, m->konst[src[j] - NPU_UOP_CONST]);
		if (op == NPU_UOP_ST) {
			stored[dst] = value[0];
			if (drop && drop[dst])
				continue;
		} else if (op == NPU_UOP_MOV) {
			reg[dst] = value[0];
			continue;
		}
		s = add_step(g, op);
		s->sources = (uint8_t)npu_uop_sources(op);
		memcpy(s->source, value, sizeof(value));
		if (op == NPU_UOP_ST)
			s->operand = add_operand(g, &m->operand[dst]);
		else
			reg[dst] = (uint16_t)(g->steps - 1);
	}
}

/* What stores need, backwards; then for each value its last user. */
static void find_needed(struct merge *g, uint16_t *last_use)
{
	for (unsigned int i = g->steps; i-- > 0;) {
		struct step *s = &g->step[i];

		if (s->op == NPU_UOP_ST)
			s->needed = true;
		for (unsigned int j = 0; s->needed && j < s->sources; j++) {
			if (s->source[j] & CONSTANT)
				continue;
			if (!g->step[s->source[j]].needed)
				last_use[s->source[j]] = (uint16_t)i;
			g->step[s->source[j]].needed = true;
		}
	}
}

/* Operands and constants that are left, in their order of use. */
static bool number_operands(struct merge *g, struct kir_map *out, uint8_t *operand,
			    uint8_t *konst)
{
	memset(operand, UINT8_MAX, OPERANDS);
	memset(konst, UINT8_MAX, 2 * NPU_MAP_CONSTS);
	for (unsigned int i = 0; i < g->steps; i++) {
		const struct step *s = &g->step[i];

		if (!s->needed)
			continue;
		if (s->op == NPU_UOP_LD || s->op == NPU_UOP_ST) {
			if (out->operands == NPU_MAP_OPERANDS)
				return false;
			operand[s->operand] = (uint8_t)out->operands;
			out->operand[out->operands++] = g->operand[s->operand];
		}
		for (unsigned int j = 0; j < s->sources; j++) {
			unsigned int c = s->source[j] & ~CONSTANT;

			if (!(s->source[j] & CONSTANT) || konst[c] != UINT8_MAX)
				continue;
			if (out->consts == NPU_MAP_CONSTS)
				return false;
			konst[c] = (uint8_t)out->consts;
			out->konst[out->consts++] = g->konst[c];
		}
	}
	return true;
}

static int lowest_free(uint32_t busy)
{
	return busy == UINT32_MAX ? -1 : __builtin_ctz(~busy);
}

/* Micro-ops with registers: a value's register is free from its last use on. */
static bool assign_registers(const struct merge *g, struct kir_map *out, const uint8_t *operand,
			     const uint8_t *konst, const uint16_t *last_use)
{
	uint8_t reg[STEPS];
	uint32_t busy = 0;

	for (unsigned int i = 0; i < g->steps; i++) {
		const struct step *s = &g->step[i];
		unsigned int src[3] = { 0 };
		int dst = 0;

		if (!s->needed)
			continue;
		for (unsigned int j = 0; j < s->sources; j++)
			src[j] = s->source[j] & CONSTANT ?
				NPU_UOP_CONST + konst[s->source[j] & ~CONSTANT] :
				reg[s->source[j]];
		for (unsigned int j = 0; j < s->sources; j++)
			if (!(s->source[j] & CONSTANT) && last_use[s->source[j]] == i)
				busy &= ~(1u << reg[s->source[j]]);
		if (s->op == NPU_UOP_LD)
			src[0] = operand[s->operand];
		if (s->op == NPU_UOP_ST) {
			dst = operand[s->operand];
		} else {
			dst = lowest_free(busy);
			if (dst < 0)
				return false;
			busy |= 1u << dst;
			reg[i] = (uint8_t)dst;
		}
		if (out->uops == NPU_MAP_UOPS)
			return false;
		out->uop[out->uops++] = NPU_UOP_WORD(s->op, dst, src[0], src[1], src[2]);
	}
	return true;
}

bool fuse_programs(const struct kir_map *p, const struct kir_map *m, const unsigned int *forward,
		   const bool *drop, struct kir_map *out)
{
	uint16_t stored[NPU_MAP_OPERANDS], known[NPU_MAP_OPERANDS], last_use[STEPS];
	uint8_t operand[OPERANDS], konst[2 * NPU_MAP_CONSTS];
	struct merge g = { .steps = 0 };

	append(&g, p, NULL, drop, stored);
	for (unsigned int i = 0; i < m->operands; i++)
		known[i] = forward[i] < NPU_MAP_OPERANDS ? stored[forward[i]] : NO_VALUE;
	append(&g, m, known, NULL, stored);
	find_needed(&g, last_use);
	*out = (struct kir_map){ .ndim = p->ndim };
	memcpy(out->dim, p->dim, sizeof(p->dim));
	if (!number_operands(&g, out, operand, konst) ||
	    !assign_registers(&g, out, operand, konst, last_use))
		return false;
	return sizeof(struct npu_desc_map) + out->operands * sizeof(struct npu_view) +
		4 * (out->uops + out->consts) <= NPU_DESC_BYTES_MAX;
}
