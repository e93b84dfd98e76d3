/* SPDX-License-Identifier: MIT */
/*
 * Planning of MAP. Dimensions that every view walks alike are merged. Micro-ops
 * become steps on values, named once (a register written twice is two values),
 * so that loads and stores of contiguous views need no copy: the value is in
 * the view.
 */
#include <string.h>
#include "ve_map.h"

#define ZERO_CONST	NPU_MAP_CONSTS

/* Merge dimension i + 1 into i where all views allow it and 32 bits; drop sizes of 1. */
static void merge_dims(struct map_plan *plan, const struct npu_desc_map *d)
{
	uint32_t dims = 0;

	for (uint32_t i = 0; i < 4; i++) {
		bool merge = dims && (uint64_t)plan->dim[dims - 1] * d->dim[i] <= UINT32_MAX;

		if (d->dim[i] == 1)
			continue;
		for (uint32_t v = 0; v < plan->views && merge; v++) {
			const struct map_view *view = &plan->view[v];

			merge = view->stride[dims - 1] ==
				(ptrdiff_t)d->view[v].stride[i] * d->dim[i];
		}
		if (merge)
			plan->dim[dims - 1] *= d->dim[i];
		else
			plan->dim[dims++] = d->dim[i];
		for (uint32_t v = 0; v < plan->views; v++)
			plan->view[v].stride[dims - 1] = d->view[v].stride[i];
	}
	if (!dims) {
		plan->dim[dims++] = 1;
		for (uint32_t v = 0; v < plan->views; v++)
			plan->view[v].stride[0] = 1;
	}
	plan->dims = dims;
}

static void name_consts(struct map_plan *plan, const uint32_t *consts, uint32_t count)
{
	for (uint32_t i = 0; i < MAP_CONSTS; i++) {
		plan->value[i] = (struct map_value) { .place = MAP_IN_CONST, .index = (uint8_t)i };
		for (uint32_t j = 0; j < MAP_SPLAT; j++)
			plan->consts[i][j] = i < count ? consts[i] : 0;
	}
}

/* What micro-op @word does, apart from its values. False: unknown. */
static bool decode_step(const struct npu_kern *kern, uint32_t word, struct map_step *step)
{
	static const uint8_t sources[NPU_KERN_UOPS] = {
#define NPU_UOP(name, code, nsrc, cost, cap) [code] = nsrc,
#include "npu_ops.h.inc"
	};
	const uint32_t op = NPU_UOP_OP(word);

	*step = (struct map_step) { .kind = MAP_STEP_OP, .op = (uint8_t)op };
	if (op == NPU_UOP_LD) {
		step->kind = MAP_STEP_LOAD;
		step->view = NPU_UOP_A(word);
		return true;
	}
	if (op >= NPU_KERN_UOPS)
		return false;
	step->sources = sources[op];
	if (op == NPU_UOP_ST) {
		step->kind = MAP_STEP_STORE;
		step->view = NPU_UOP_DST(word);
	} else if (op == NPU_UOP_IOTA) {
		step->kind = MAP_STEP_IOTA;
	} else if (op == NPU_UOP_MOV) {
		step->kind = MAP_STEP_NONE;
	} else {
		return kern->uop[op] != NULL;
	}
	return true;
}

/* Whether @op takes its sources as they are: to arithmetic, one NaN is like another. */
static bool sees_bits(uint32_t op)
{
	return op < NPU_UOP_FADD || op == NPU_UOP_FABS || op == NPU_UOP_FNEG ||
	       (op >= NPU_UOP_IADD && op != NPU_UOP_F2I && op != NPU_UOP_F2IT);
}

static void choose_kernels(struct map_plan *plan)
{
	const struct npu_kern *kern = plan->x->kern;

	for (uint32_t i = 0; i < plan->steps; i++) {
		struct map_step *step = &plan->step[i];

		if (step->kind != MAP_STEP_OP)
			continue;
		step->fn = kern->uop[step->op];
		if (plan->value[step->dst].bits_seen && kern->uop_canon[step->op])
			step->fn = kern->uop_canon[step->op];
	}
}

static bool name_values(struct map_plan *plan, const struct npu_desc_map *d)
{
	const uint32_t *word = (const uint32_t *)(const void *)&d->view[d->operands];
	uint8_t reg[NPU_MAP_REGS];
	uint8_t values = MAP_CONSTS;

	name_consts(plan, word + d->uops, d->consts);
	memset(reg, ZERO_CONST, sizeof(reg));
	plan->steps = 0;
	for (uint32_t i = 0; i < d->uops; i++) {
		const uint32_t operand[3] = {
			NPU_UOP_A(word[i]), NPU_UOP_B(word[i]), NPU_UOP_C(word[i]),
		};
		const uint8_t number = (uint8_t)plan->steps;
		struct map_step *step = &plan->step[number];

		if (!decode_step(plan->x->kern, word[i], step))
			return false;
		for (uint32_t s = 0; s < step->sources; s++) {
			step->src[s] = operand[s] < NPU_UOP_CONST ? reg[operand[s]] :
				       (uint8_t)(operand[s] - NPU_UOP_CONST);
			plan->value[step->src[s]].last_use = number;
			plan->value[step->src[s]].bits_seen |=
				step->kind != MAP_STEP_NONE && sees_bits(step->op);
		}
		if (step->kind == MAP_STEP_NONE) {	/* MOV: another name */
			reg[NPU_UOP_DST(word[i])] = step->src[0];
			continue;
		}
		if (step->kind != MAP_STEP_STORE) {
			plan->value[values] = (struct map_value) {
				.place = MAP_IN_BUFFER,
				.def = number,
				.last_use = number,
			};
			step->dst = values;
			reg[NPU_UOP_DST(word[i])] = values++;
		}
		plan->steps++;
	}
	return true;
}

/* Whether a step first .. end - 1 stores to the memory of @view. */
static bool stored_between(const struct map_plan *plan, uint32_t first, uint32_t end,
			   uint32_t view)
{
	for (uint32_t i = first; i < end; i++)
		if (plan->step[i].kind == MAP_STEP_STORE &&
		    plan->view[plan->step[i].view].base == plan->view[view].base)
			return true;
	return false;
}

/* Whether a step first .. end - 1 reads the memory of @view. */
static bool read_between(const struct map_plan *plan, uint32_t first, uint32_t end,
			 uint32_t view)
{
	const uint32_t *base = plan->view[view].base;

	for (uint32_t i = first; i < end; i++) {
		const struct map_step *step = &plan->step[i];

		if (step->kind == MAP_STEP_LOAD && plan->view[step->view].base == base)
			return true;
		for (uint32_t s = 0; s < step->sources; s++) {
			const struct map_value *value = &plan->value[step->src[s]];

			if (value->place == MAP_IN_VIEW && plan->view[value->index].base == base)
				return true;
		}
	}
	return false;
}

static bool in_place(const struct map_plan *plan, uint32_t view)
{
	return plan->view[view].access == MAP_CONTIGUOUS ||
	       plan->view[view].access == MAP_SAME;
}

/* Loads whose value can stay in memory until its last use. */
static void fold_loads(struct map_plan *plan)
{
	for (uint32_t i = 0; i < plan->steps; i++) {
		struct map_step *step = &plan->step[i];
		struct map_value *value = &plan->value[step->dst];

		if (step->kind != MAP_STEP_LOAD || !in_place(plan, step->view) ||
		    stored_between(plan, i, value->last_use, step->view))
			continue;
		value->place = MAP_IN_VIEW;
		value->index = step->view;
		step->kind = MAP_STEP_NONE;
	}
}

/* Stores whose value can be computed into memory, and stay there. */
static void fold_stores(struct map_plan *plan)
{
	for (uint32_t i = 0; i < plan->steps; i++) {
		struct map_step *step = &plan->step[i];
		struct map_value *value = &plan->value[step->src[0]];

		if (step->kind != MAP_STEP_STORE ||
		    plan->view[step->view].access != MAP_CONTIGUOUS ||
		    value->place != MAP_IN_BUFFER ||
		    plan->step[value->def].kind != MAP_STEP_OP ||
		    read_between(plan, value->def + 1u, i, step->view) ||
		    stored_between(plan, value->def, i, step->view) ||
		    stored_between(plan, i + 1, value->last_use, step->view))
			continue;
		value->place = MAP_IN_VIEW;
		value->index = step->view;
		step->kind = MAP_STEP_NONE;
	}
}

/* A buffer for every value that is in none; repeated loads keep theirs. */
static void assign_buffers(struct map_plan *plan)
{
	uint8_t busy_until[MAP_BUFFERS];	/* step, exclusive */

	plan->buffers = 0;
	for (uint32_t i = 0; i < plan->steps; i++) {
		const struct map_step *step = &plan->step[i];
		struct map_value *value = &plan->value[step->dst];
		uint8_t until = value->last_use;
		uint32_t b = 0;

		if (step->kind == MAP_STEP_NONE || step->kind == MAP_STEP_STORE ||
		    value->place != MAP_IN_BUFFER)
			continue;
		if (step->kind == MAP_STEP_LOAD &&
		    plan->view[step->view].access == MAP_REPEATED) {
			until = UINT8_MAX;
			b = plan->buffers;
		}
		while (b < plan->buffers && busy_until[b] > i)
			b++;
		if (b == plan->buffers)
			plan->buffers++;
		busy_until[b] = until;
		value->index = (uint8_t)b;
	}
}

static void mark_splats(struct map_plan *plan)
{
	for (uint32_t i = 0; i < plan->steps; i++) {
		struct map_step *step = &plan->step[i];

		for (uint32_t s = 0; s < step->sources; s++) {
			const struct map_value *value = &plan->value[step->src[s]];

			if (value->place == MAP_IN_CONST ||
			    (value->place == MAP_IN_VIEW &&
			     plan->view[value->index].access == MAP_SAME))
				step->splat |= (uint8_t)(1u << s);
		}
	}
}

static enum map_access row_access(const struct map_plan *plan, const struct map_view *view)
{
	const ptrdiff_t inner = view->stride[plan->dims - 1];

	return inner == 1 ? MAP_CONTIGUOUS : inner == 0 ? MAP_SAME : MAP_STRIDED;
}

static enum map_access block_access(const struct map_plan *plan, const struct map_view *view)
{
	const uint32_t last = plan->dims - 1;
	bool contiguous = view->stride[last] == 1, repeated = true;

	for (uint32_t i = 0; i < last; i++) {
		contiguous &= view->stride[i] == view->stride[i + 1] * plan->dim[i + 1];
		repeated &= view->stride[i] == 0;
	}
	if (contiguous)
		return MAP_CONTIGUOUS;
	if (repeated)
		return view->stride[last] ? MAP_REPEATED : MAP_SAME;
	return MAP_STRIDED;
}

/* Strips of one long row, or of several short ones. */
static void cut_strips(struct map_plan *plan, uint64_t elems)
{
	const uint32_t inner = plan->dim[plan->dims - 1];
	const uint64_t rows = elems / inner;

	if (plan->row_pieces) {
		plan->row_pieces = (inner - 1) / plan->strip + 1;
		plan->units = rows * plan->row_pieces;
	} else {
		plan->strip_rows = plan->strip / inner;
		plan->units = (rows - 1) / plan->strip_rows + 1;
	}
}

enum npu_fault_code npu_map_plan(struct map_plan *plan, const struct npu_exec *x,
				 const struct npu_desc_map *d)
{
	uint64_t elems = 1;

	plan->x = x;
	plan->views = d->operands;
	for (uint32_t v = 0; v < plan->views; v++)
		plan->view[v].base = npu_operand(x, &d->view[v].ref);
	merge_dims(plan, d);
	for (uint32_t i = 0; i < plan->dims; i++)
		elems *= plan->dim[i];
	plan->row_pieces = plan->dim[plan->dims - 1] > MAP_STRIP_MIN;
	for (uint32_t v = 0; v < plan->views; v++)
		plan->view[v].access = plan->row_pieces ? row_access(plan, &plan->view[v]) :
							  block_access(plan, &plan->view[v]);
	if (!name_values(plan, d))
		return NPU_FAULT_UNSUPPORTED;
	choose_kernels(plan);
	fold_loads(plan);
	fold_stores(plan);
	assign_buffers(plan);
	mark_splats(plan);
	plan->strip = MAP_STRIP_MAX;
	while (plan->strip > MAP_STRIP_MIN && plan->strip * plan->buffers > MAP_L1_WORDS)
		plan->strip /= 2;
	cut_strips(plan, elems);
	plan->parts = npu_engine_parts(x, plan->units, elems * d->uops);
	return NPU_FAULT_NONE;
}
