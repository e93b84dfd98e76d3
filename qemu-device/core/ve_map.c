/* SPDX-License-Identifier: MIT */
/* MAP (HW 10): run a plan strip by strip. */
#include <string.h>
#include "ve_map.h"

#define COPY_ROWS	32	/* row pointers handed to a kernel at a time */

/* What a thread has at hand while it runs its strips. */
struct map_worker {
	const struct map_plan *plan;
	bool repeated_loaded;
	uint64_t first;			/* number of the strip's first element */
	uint32_t count;			/* elements of the strip */
	uint32_t rows;			/* it has this many innermost rows, */
	uint32_t row_elems;		/* of this many elements */
	uint32_t index[3];		/* position of its first row */
	uint32_t column;		/* where in that row it starts */
	uint32_t *view[NPU_MAP_OPERANDS];	/* contiguous and same views */
	_Alignas(64) uint32_t splat[NPU_MAP_OPERANDS][MAP_SPLAT];
	_Alignas(64) uint32_t buffer[MAP_BUFFERS * MAP_STRIP_MIN];
};

_Static_assert(MAP_BUFFERS * MAP_STRIP_MIN >= MAP_L1_WORDS, "longer strips fit too");

static ptrdiff_t row_offset(const struct map_plan *plan, const struct map_view *view,
			    const uint32_t index[3])
{
	ptrdiff_t offset = 0;

	for (uint32_t i = 0; i + 1 < plan->dims; i++)
		offset += index[i] * view->stride[i];
	return offset;
}

static void next_row(const struct map_plan *plan, uint32_t index[3])
{
	for (uint32_t i = plan->dims - 1; i-- > 0;) {
		if (++index[i] < plan->dim[i])
			return;
		index[i] = 0;
	}
}

static void seek_row(const struct map_plan *plan, uint64_t row, uint32_t index[3])
{
	for (uint32_t i = plan->dims - 1; i-- > 0;) {
		index[i] = (uint32_t)(row % plan->dim[i]);
		row /= plan->dim[i];
	}
}

/* Position the worker at strip @unit. */
static void start_strip(struct map_worker *w, uint64_t unit)
{
	const struct map_plan *plan = w->plan;
	const uint32_t inner = plan->dim[plan->dims - 1];
	uint64_t row;

	if (plan->row_pieces) {
		const uint32_t piece = (uint32_t)(unit % plan->row_pieces);

		row = unit / plan->row_pieces;
		w->column = piece * plan->strip;
		w->row_elems = inner - w->column < plan->strip ? inner - w->column : plan->strip;
		w->rows = 1;
	} else {
		uint64_t rows = 1;

		for (uint32_t i = 0; i + 1 < plan->dims; i++)
			rows *= plan->dim[i];
		row = unit * plan->strip_rows;
		w->column = 0;
		w->row_elems = inner;
		w->rows = rows - row < plan->strip_rows ? (uint32_t)(rows - row) : plan->strip_rows;
	}
	w->count = w->rows * w->row_elems;
	w->first = row * inner + w->column;
	seek_row(plan, row, w->index);
	for (uint32_t v = 0; v < plan->views; v++) {
		const struct map_view *view = &plan->view[v];

		if (view->access != MAP_CONTIGUOUS && view->access != MAP_SAME)
			continue;
		w->view[v] = view->base + row_offset(plan, view, w->index) +
			     w->column * view->stride[plan->dims - 1];
	}
}

/* @view's elements of the strip into a dense buffer. */
static void load_view(const struct map_worker *w, const struct map_view *view, uint32_t *dst)
{
	const struct map_plan *plan = w->plan;
	const struct npu_kern *kern = plan->x->kern;
	const ptrdiff_t step = view->stride[plan->dims - 1];
	uint32_t index[3] = { w->index[0], w->index[1], w->index[2] };
	const float *src[COPY_ROWS];
	uint32_t pending = 0;

	if (view->access == MAP_CONTIGUOUS) {
		src[0] = (const float *)w->view[view - plan->view];
		kern->copy_rows((float *)dst, 0, src, 1, w->count);
		return;
	}
	for (uint32_t r = 0; r < w->rows; r++) {
		const uint32_t *from = view->base + row_offset(plan, view, index) +
				       w->column * step;

		if (step == 1) {
			src[pending++] = (const float *)from;
			if (pending == COPY_ROWS || r + 1 == w->rows) {
				kern->copy_rows((float *)dst, w->row_elems, src, pending,
						w->row_elems);
				dst += pending * w->row_elems;
				pending = 0;
			}
		} else if (step == 0) {
			kern->spread(dst, from, 0, 1, w->row_elems);
			dst += w->row_elems;
		} else {
			kern->gather(dst, from, step, w->row_elems);
			dst += w->row_elems;
		}
		next_row(plan, index);
	}
}

static void store_view(const struct map_worker *w, const struct map_view *view,
			  const uint32_t *src)
{
	const struct map_plan *plan = w->plan;
	const struct npu_kern *kern = plan->x->kern;
	const ptrdiff_t step = view->stride[plan->dims - 1];
	uint32_t index[3] = { w->index[0], w->index[1], w->index[2] };
	const float *from = (const float *)src;

	if (view->access == MAP_CONTIGUOUS) {
		kern->copy_rows((float *)w->view[view - plan->view], 0, &from, 1, w->count);
		return;
	}
	for (uint32_t r = 0; r < w->rows; r++, src += w->row_elems) {
		uint32_t *to = view->base + row_offset(plan, view, index) + w->column * step;

		from = (const float *)src;
		if (step == 1)
			kern->copy_rows((float *)to, 0, &from, 1, w->row_elems);
		else
			kern->scatter(to, step, src, w->row_elems);
		next_row(plan, index);
	}
}

static uint32_t *value_strip(struct map_worker *w, uint8_t number)
{
	const struct map_value *value = &w->plan->value[number];

	switch (value->place) {
	case MAP_IN_CONST:
		return (uint32_t *)w->plan->consts[value->index];
	case MAP_IN_VIEW:
		return w->plan->view[value->index].access == MAP_SAME ?
		       w->splat[value->index] : w->view[value->index];
	default:
		return w->buffer + value->index * w->plan->strip;
	}
}

static void store_strip(struct map_worker *w, const struct map_step *step)
{
	const struct map_view *view = &w->plan->view[step->view];
	const uint32_t *src = value_strip(w, step->src[0]);
	uint32_t expanded[MAP_STRIP_MAX];

	if (step->splat) {
		for (uint32_t i = 0; i < w->count; i++)
			expanded[i] = *src;
		src = expanded;
	}
	store_view(w, view, src);
}

static void run_step(struct map_worker *w, const struct map_step *step)
{
	const struct map_plan *plan = w->plan;
	struct npu_kern_uop u;

	switch (step->kind) {
	case MAP_STEP_OP:
		u.dst = value_strip(w, step->dst);
		for (uint32_t s = 0; s < step->sources; s++)
			u.src[s] = value_strip(w, step->src[s]);
		u.splat = step->splat;
		u.count = w->count;
		u.trapped = plan->trapped;
		step->fn(&u);
		break;
	case MAP_STEP_LOAD:
		if (plan->view[step->view].access == MAP_REPEATED && w->repeated_loaded)
			break;
		load_view(w, &plan->view[step->view], value_strip(w, step->dst));
		break;
	case MAP_STEP_STORE:
		store_strip(w, step);
		break;
	case MAP_STEP_IOTA:
		plan->x->kern->iota(value_strip(w, step->dst), (uint32_t)w->first, w->count);
		break;
	case MAP_STEP_NONE:
		break;
	}
}

static void map_part(void *arg, uint32_t part)
{
	const struct map_plan *plan = arg;
	const uint64_t end = npu_part_first(plan->units, plan->parts, part + 1);
	struct map_worker w;

	w.plan = plan;
	w.repeated_loaded = false;
	memset(w.index, 0, sizeof(w.index));
	for (uint64_t u = npu_part_first(plan->units, plan->parts, part); u < end; u++) {
		if (npu_cancelled(plan->x))
			return;
		start_strip(&w, u);
		for (uint32_t v = 0; v < plan->views; v++)
			if (plan->view[v].access == MAP_SAME)
				for (uint32_t i = 0; i < MAP_SPLAT; i++)
					w.splat[v][i] = *w.view[v];
		for (uint32_t i = 0; i < plan->steps; i++)
			run_step(&w, &plan->step[i]);
		w.repeated_loaded = true;
	}
}

enum npu_fault_code npu_ve_map(const struct npu_exec *x, const struct npu_desc_map *d)
{
	struct map_plan plan;
	enum npu_fault_code fault = npu_map_plan(&plan, x, d);
	atomic_uint trapped = 0;

	plan.trapped = &trapped;
	if (fault == NPU_FAULT_NONE && !npu_map_transpose(x, &plan, d))
		npu_engine_run(x, map_part, &plan, plan.parts);
	return atomic_load(&trapped) ? NPU_FAULT_OVERFLOW : fault;
}
