/* SPDX-License-Identifier: MIT */
/* MAPs that are transpositions: LD, ST and nothing else. */
#include "ve_map.h"

#define UNIT_ROWS	64	/* of the source */
#define UNIT_COLS	8192	/* between two looks at cancel */

struct transpose {
	const struct npu_exec *x;
	const struct map_plan *plan;
	const struct map_view *src;
	const struct map_view *dst;
	uint32_t src_dim;	/* contiguous in the source */
	uint32_t dst_dim;	/* contiguous in the destination */
	uint64_t row_units;	/* units along dst_dim */
	uint64_t units;
	uint32_t parts;
};

static bool find_dim(const struct map_plan *plan, const struct map_view *view, uint32_t not,
		     uint32_t *dim)
{
	for (uint32_t i = 0; i < plan->dims; i++) {
		if (view->stride[i] != 1 || i == not)
			continue;
		*dim = i;
		return true;
	}
	return false;
}

static void transpose_unit(const struct transpose *t, uint64_t unit)
{
	const struct map_plan *plan = t->plan;
	const uint32_t first = (uint32_t)(unit % t->row_units) * UNIT_ROWS;
	const uint32_t left = plan->dim[t->dst_dim] - first;
	const uint32_t cols = plan->dim[t->src_dim];
	const ptrdiff_t dst_step = t->dst->stride[t->src_dim];
	ptrdiff_t src = first * t->src->stride[t->dst_dim], dst = first;
	uint64_t index = unit / t->row_units;

	for (uint32_t i = 0; i < plan->dims; i++) {
		if (i == t->src_dim || i == t->dst_dim)
			continue;
		src += (ptrdiff_t)(index % plan->dim[i]) * t->src->stride[i];
		dst += (ptrdiff_t)(index % plan->dim[i]) * t->dst->stride[i];
		index /= plan->dim[i];
	}
	for (uint64_t col = 0; col < cols && !npu_cancelled(t->x); col += UNIT_COLS)
		t->x->kern->transpose((float *)t->dst->base + dst + (ptrdiff_t)col * dst_step,
				      dst_step, (const float *)t->src->base + src + col,
				      t->src->stride[t->dst_dim],
				      left < UNIT_ROWS ? left : UNIT_ROWS,
				      cols - col < UNIT_COLS ? (uint32_t)(cols - col) : UNIT_COLS);
}

static void transpose_part(void *arg, uint32_t part)
{
	const struct transpose *t = arg;
	const uint64_t end = npu_part_first(t->units, t->parts, part + 1);

	for (uint64_t u = npu_part_first(t->units, t->parts, part); u < end; u++) {
		if (npu_cancelled(t->x))
			return;
		transpose_unit(t, u);
	}
}

bool npu_map_transpose(const struct npu_exec *x, const struct map_plan *plan,
		       const struct npu_desc_map *d)
{
	const uint32_t *word = (const uint32_t *)(const void *)&d->view[d->operands];
	struct transpose t = { .x = x, .plan = plan };
	uint64_t elems = 1;

	if (d->uops != 2 || NPU_UOP_OP(word[0]) != NPU_UOP_LD ||
	    NPU_UOP_OP(word[1]) != NPU_UOP_ST || NPU_UOP_A(word[1]) != NPU_UOP_DST(word[0]))
		return false;
	t.src = &plan->view[NPU_UOP_A(word[0])];
	t.dst = &plan->view[NPU_UOP_DST(word[1])];
	if (!find_dim(plan, t.src, UINT32_MAX, &t.src_dim) ||
	    !find_dim(plan, t.dst, t.src_dim, &t.dst_dim))
		return false;
	for (uint32_t i = 0; i < plan->dims; i++)
		elems *= plan->dim[i];
	t.row_units = (plan->dim[t.dst_dim] - 1) / UNIT_ROWS + 1;
	t.units = elems / plan->dim[t.src_dim] / plan->dim[t.dst_dim] * t.row_units;
	t.parts = npu_engine_parts(x, t.units, elems);
	npu_engine_run(x, transpose_part, &t, t.parts);
	return true;
}
