/* SPDX-License-Identifier: MIT */
/*
 * Verify: replay a program's descriptors with a vector clock per engine and a
 * queue of signals per semaphore, and prove for every element that its reads
 * and writes are ordered, that it lies in its memory, and that it is written
 * before it is read.
 *
 * An event is a descriptor of DI, TE, VE or DO as it is executed: its number,
 * from 1, times 4, plus its engine. Event e happens before what engine g does
 * next when known[g][engine of e] has reached it.
 */
#include "verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "back.h"
#include "npu_check.h"
#include "npu_prog_read.h"

#define EVENTS_MAX	(1u << 26)

static const uint8_t engine_index[NPU_ENGINES] = {
	[NPU_ENGINE_CP] = VERIFY_ENGINES,
	[NPU_ENGINE_DI] = 0, [NPU_ENGINE_TE] = 1, [NPU_ENGINE_VE] = 2, [NPU_ENGINE_DO] = 3,
};

/* A signal that was given: the sum of counts so far, and what it tells. */
struct signal {
	uint64_t total;
	uint32_t known[VERIFY_ENGINES];
};

struct semaphore {
	struct signal *signal;
	size_t count;
	size_t room;
	size_t next;
	uint64_t waited;
};

/* A register: an absolute value, or relative to a binding. */
struct reg {
	uint8_t binding;
	int64_t value;
};

struct loop {
	uint32_t body;
	uint32_t left;
};

struct verify {
	struct npu_prog_view view;
	struct nc_diag *diag;
	uint32_t unit;
	struct shadow *spm;
	struct shadow *acc;
	struct shadow *mem[NPU_PROG_REG_FIRST_TEMP];
	struct semaphore semaphore[NPU_SEMAPHORES];
	uint32_t known[VERIFY_ENGINES][VERIFY_ENGINES];
	struct reg reg[NPU_REGS];
	struct loop loop[NPU_LOOP_LEVELS];
	unsigned int loops;
	/* The event under way, its descriptor, and the operand that is looked at. */
	uint32_t event;
	uint32_t events;
	uint32_t at_bytes;
	const struct npu_desc_hdr *hdr;
	const struct touch *touch;
	struct shadow *shadow;
	/* Offset of the descriptor of each event, for messages. */
	uint32_t *where;
	size_t where_room;
};

static const struct npu_desc_hdr *desc_at(const struct verify *v, uint32_t at_bytes)
{
	return (const void *)((const char *)v->view.cmds + at_bytes);
}

static int fail(struct verify *v, const char *what)
{
	return nc_error(v->diag, -EINVAL, "%s at 0x%x (node '%s'), operand %s: %s",
			npu_op_name(v->hdr->opcode), v->at_bytes,
			npu_prog_node_name(&v->view, v->hdr->tag),
			v->touch ? v->touch->name : "-", what);
}

static int no_memory(struct verify *v)
{
	return nc_error(v->diag, -ENOMEM, "out of memory");
}

static int fail_race(struct verify *v, uint32_t other, const char *verb)
{
	const struct npu_desc_hdr *hdr = desc_at(v, v->where[other / VERIFY_ENGINES]);

	return nc_error(v->diag, -EINVAL, "data race: %s at 0x%x (node '%s') %s %s, not ordered after %s at 0x%x (node '%s')",
			npu_op_name(v->hdr->opcode), v->at_bytes,
			npu_prog_node_name(&v->view, v->hdr->tag), verb, v->touch->name,
			npu_op_name(hdr->opcode), v->where[other / VERIFY_ENGINES],
			npu_prog_node_name(&v->view, hdr->tag));
}

/* ---- elements ---- */

static bool happened(const struct verify *v, uint32_t event)
{
	unsigned int engine = v->event % VERIFY_ENGINES;

	return event % VERIFY_ENGINES == engine ||
		v->known[engine][event % VERIFY_ENGINES] >= event;
}

static int read_cell(void *arg, struct cell *c)
{
	struct verify *v = arg;

	if (c->writer == VERIFY_READ_ONLY)
		return 0;
	if (c->writer == VERIFY_FORBIDDEN)
		return fail(v, "reads memory that belongs to no tensor");
	if (!c->writer)
		return fail(v, "reads what was never written");
	if (!happened(v, c->writer))
		return fail_race(v, c->writer, "reads");
	c->reader[v->event % VERIFY_ENGINES] = v->event;
	return 0;
}

static int write_cell(void *arg, struct cell *c)
{
	struct verify *v = arg;

	if (c->writer == VERIFY_READ_ONLY)
		return fail(v, "writes a constant or an input");
	if (c->writer == VERIFY_FORBIDDEN)
		return fail(v, "writes memory that belongs to no tensor");
	if (c->writer == v->event)
		return fail(v, "writes an element twice");
	if (c->writer && !happened(v, c->writer))
		return fail_race(v, c->writer, "writes");
	for (unsigned int e = 0; e < VERIFY_ENGINES; e++) {
		uint32_t reader = c->reader[e];

		if (reader == v->event && !v->touch->shared)
			return fail(v, "writes what another operand reads");
		if (reader && !happened(v, reader))
			return fail_race(v, reader, "writes");
		c->reader[e] = 0;
	}
	c->writer = v->event;
	return 0;
}

static int touch_run(void *arg, int64_t lo_bytes, uint64_t bytes)
{
	struct verify *v = arg;

	if (lo_bytes < 0 || (uint64_t)lo_bytes > shadow_bytes(v->shadow) ||
	    bytes > shadow_bytes(v->shadow) - (uint64_t)lo_bytes)
		return fail(v, "leaves its memory");
	return shadow_visit(v->shadow, (uint64_t)lo_bytes, (uint64_t)lo_bytes + bytes,
			    v->touch->write ? write_cell : read_cell, v);
}

/* The memory of @t, and its base made absolute in there. */
static int resolve(struct verify *v, struct touch *t)
{
	struct reg reg = { .binding = NPU_REG_NONE };

	if (t->reg != NPU_REG_NONE)
		reg = v->reg[t->reg];
	if (t->space == NPU_SPACE_MEM) {
		v->shadow = reg.binding < NPU_PROG_REG_FIRST_TEMP ? v->mem[reg.binding] : NULL;
		t->base_bytes += reg.value;
		return v->shadow ? 0 : fail(v, "memory that is not bound");
	}
	if (reg.binding != NPU_REG_NONE)
		return fail(v, "an SPM address that depends on a binding");
	t->base_bytes += (uint32_t)reg.value;
	v->shadow = t->space == NPU_SPACE_SPM ? v->spm : v->acc;
	return 0;
}

static int touch_all(struct verify *v)
{
	struct touch touch[VERIFY_TOUCHES];
	unsigned int count = verify_touches(v->hdr, v->view.header->array >> 16, touch);
	int ret = 0;

	if (count > VERIFY_TOUCHES)
		return fail(v, "the verifier does not know this instruction");
	for (unsigned int i = 0; i < count && !ret; i++) {
		v->touch = &touch[i];
		ret = resolve(v, &touch[i]);
		if (!ret)
			ret = verify_runs(&touch[i], touch_run, v);
	}
	v->touch = NULL;
	return ret == -ENOMEM ? no_memory(v) : ret;
}

/* ---- clocks ---- */

static void learn(uint32_t *known, const uint32_t *from)
{
	for (unsigned int e = 0; e < VERIFY_ENGINES; e++)
		if (known[e] < from[e])
			known[e] = from[e];
}

static int take(struct verify *v, const struct npu_sem_ref *wait)
{
	struct semaphore *s = &v->semaphore[wait->sem];

	if (!wait->count)
		return 0;
	s->waited += wait->count;
	while (s->next < s->count && s->signal[s->next].total < s->waited)
		s->next++;
	if (s->next == s->count)
		return fail(v, "waits for a signal that no earlier descriptor gives");
	learn(v->known[v->event % VERIFY_ENGINES], s->signal[s->next].known);
	return 0;
}

static int give(struct verify *v, const struct npu_sem_ref *signal)
{
	struct semaphore *s = &v->semaphore[signal->sem];

	if (!signal->count)
		return 0;
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct signal *array = realloc(s->signal, room * sizeof(*array));

		if (!array)
			return no_memory(v);
		s->signal = array;
		s->room = room;
	}
	s->signal[s->count].total = (s->count ? s->signal[s->count - 1].total : 0) +
		signal->count;
	memcpy(s->signal[s->count].known, v->known[v->event % VERIFY_ENGINES],
	       sizeof(s->signal[0].known));
	s->count++;
	return 0;
}

static int note_event(struct verify *v, unsigned int engine)
{
	if (v->events == EVENTS_MAX)
		return nc_error(v->diag, -E2BIG, "more than %u descriptors are executed", EVENTS_MAX);
	v->events++;
	if (v->events >= v->where_room) {
		size_t room = v->where_room ? v->where_room * 2 : 1024;
		uint32_t *where = realloc(v->where, room * sizeof(*where));

		if (!where)
			return no_memory(v);
		v->where = where;
		v->where_room = room;
	}
	v->where[v->events] = v->at_bytes;
	v->event = v->events * VERIFY_ENGINES + engine;
	return 0;
}

static int run_engine(struct verify *v, unsigned int engine)
{
	int ret = note_event(v, engine);

	for (unsigned int i = 0; i < NPU_SEM_PORTS && !ret; i++)
		ret = take(v, &v->hdr->wait[i]);
	if (!ret)
		ret = touch_all(v);
	v->known[engine][engine] = v->event;
	for (unsigned int i = 0; i < NPU_SEM_PORTS && !ret; i++)
		ret = give(v, &v->hdr->signal[i]);
	return ret;
}

/* ---- command processor ---- */

static void add_steps(struct verify *v, const struct npu_desc_endl *d)
{
	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++)
		if (d->step[i].reg != NPU_REG_NONE)
			v->reg[d->step[i].reg].value += d->step[i].step;
}

/* Offset of the next descriptor. The stream has passed npu_check_stream(). */
static uint32_t run_cp(struct verify *v)
{
	const struct npu_desc_setr *setr = (const void *)v->hdr;
	uint32_t next = v->at_bytes + v->hdr->lines * NPU_LINE_BYTES;
	struct loop *loop;

	switch (v->hdr->opcode) {
	case NPU_OP_LOOP:
		v->loop[v->loops++] = (struct loop){
			.body = next,
			.left = ((const struct npu_desc_loop *)(const void *)v->hdr)->count,
		};
		break;
	case NPU_OP_ENDL:
		add_steps(v, (const void *)v->hdr);
		loop = &v->loop[v->loops - 1];
		if (--loop->left)
			return loop->body;
		v->loops--;
		break;
	case NPU_OP_SETR:
		v->reg[setr->reg] = (struct reg){ .binding = NPU_REG_NONE, .value = setr->imm };
		break;
	case NPU_OP_ADDR:
		v->reg[setr->reg].value += setr->imm;
		break;
	}
	return next;
}

static int run_stream(struct verify *v)
{
	for (;;) {
		unsigned int engine;
		int ret;

		v->hdr = desc_at(v, v->at_bytes);
		if (v->hdr->opcode == NPU_OP_END)
			return 0;
		engine = engine_index[npu_op_engine(v->hdr->opcode)];
		if (engine == VERIFY_ENGINES) {
			for (unsigned int i = 0; i < NPU_SEM_PORTS; i++)
				if (v->hdr->wait[i].count || v->hdr->signal[i].count)
					return fail(v, "the verifier does not know semaphores of CP");
			v->at_bytes = run_cp(v);
			continue;
		}
		ret = run_engine(v, engine);
		if (ret)
			return ret;
		v->at_bytes += v->hdr->lines * NPU_LINE_BYTES;
	}
}

/* ---- memories ---- */

static int set_writer(void *arg, struct cell *c)
{
	c->writer = *(const uint32_t *)arg;
	return 0;
}

static int mark(struct verify *v, struct shadow *s, uint64_t lo, uint64_t hi, uint32_t writer)
{
	if (lo == hi)
		return 0;
	return shadow_visit(s, lo, hi, set_writer, &writer) ? no_memory(v) : 0;
}

/* Bytes per cell: the smallest element that the program uses. */
static uint32_t smallest_element(const struct verify *v)
{
	uint32_t smallest = 4;

	for (uint32_t at = 0; desc_at(v, at)->opcode != NPU_OP_END;
	     at += desc_at(v, at)->lines * NPU_LINE_BYTES) {
		struct touch touch[VERIFY_TOUCHES];
		unsigned int count = verify_touches(desc_at(v, at), 1, touch);

		for (unsigned int i = 0; count <= VERIFY_TOUCHES && i < count; i++)
			if (touch[i].elem_bytes < smallest)
				smallest = touch[i].elem_bytes;
	}
	return smallest;
}

static int create_memory(struct verify *v)
{
	const struct npu_prog_header *h = v->view.header;
	int ret = 0;

	v->unit = smallest_element(v);
	v->spm = shadow_create(h->spm_bytes, v->unit);
	v->acc = shadow_create(h->acc_bytes, v->unit);
	v->mem[NPU_PROG_REG_CONSTS] = shadow_create(v->view.const_bytes, v->unit);
	v->mem[NPU_PROG_REG_SCRATCH] = shadow_create(h->scratch_bytes, v->unit);
	for (unsigned int i = NPU_PROG_REG_FIRST_IO; i < NPU_PROG_REG_FIRST_TEMP; i++) {
		v->mem[i] = shadow_create(v->view.io_bytes[i], v->unit);
		if (!v->mem[i])
			return no_memory(v);
		ret = mark(v, v->mem[i], 0, v->view.io_bytes[i], VERIFY_FORBIDDEN);
		if (ret)
			return ret;
	}
	if (!v->spm || !v->acc || !v->mem[NPU_PROG_REG_CONSTS] || !v->mem[NPU_PROG_REG_SCRATCH])
		return no_memory(v);
	ret = mark(v, v->mem[NPU_PROG_REG_CONSTS], 0, v->view.const_bytes, VERIFY_READ_ONLY);
	for (uint32_t i = 0; i < v->view.tensor_count && !ret; i++) {
		const struct npu_prog_tensor *t = &v->view.tensors[i];

		ret = mark(v, v->mem[t->reg], t->offset_bytes, t->offset_bytes + t->size_bytes,
			   t->kind == NPU_PROG_INPUT ? VERIFY_READ_ONLY : 0);
	}
	for (unsigned int i = 0; i < NPU_REGS; i++)
		v->reg[i].binding = i < NPU_PROG_REG_FIRST_TEMP ? (uint8_t)i : NPU_REG_NONE;
	return ret;
}

static int find_unwritten(void *arg, struct cell *c)
{
	(void)arg;
	return c->writer ? 0 : -EINVAL;
}

static int check_outputs(struct verify *v)
{
	for (uint32_t i = 0; i < v->view.tensor_count; i++) {
		const struct npu_prog_tensor *t = &v->view.tensors[i];
		int ret = shadow_visit(v->mem[t->reg], t->offset_bytes,
				       t->offset_bytes + t->size_bytes, find_unwritten, NULL);

		if (ret == -ENOMEM)
			return no_memory(v);
		if (ret)
			return nc_error(v->diag, -EINVAL, "output '%s' is not stored whole",
					v->view.strings + t->name);
	}
	return 0;
}

static void release(struct verify *v)
{
	shadow_destroy(v->spm);
	shadow_destroy(v->acc);
	for (unsigned int i = 0; i < NPU_PROG_REG_FIRST_TEMP; i++)
		shadow_destroy(v->mem[i]);
	for (unsigned int i = 0; i < NPU_SEMAPHORES; i++)
		free(v->semaphore[i].signal);
	free(v->where);
}

static int check_stream(struct verify *v)
{
	const struct npu_prog_header *h = v->view.header;
	struct npu_limits limits = {
		.caps = h->caps,
		.spm_bytes = h->spm_bytes,
		.acc_bytes = h->acc_bytes,
		.array_rows = h->array & 0xffff,
		.array_cols = h->array >> 16,
	};
	struct npu_diag why = { 0 };
	size_t at = 0;

	if (!limits.array_rows || !limits.array_cols)
		return nc_error(v->diag, -EINVAL, "header: the array has no rows or columns");
	if (npu_check_stream(&limits, v->view.cmds, v->view.cmd_bytes, &at, &why))
		return nc_error(v->diag, -EINVAL, "descriptor at 0x%zx: %s: %s (%s)", at, why.field,
				why.text, npu_fault_name(why.code));
	return 0;
}

int nc_verify_image(const void *image, size_t image_bytes, struct nc_diag *diag)
{
	struct verify *v = calloc(1, sizeof(*v));
	const char *error = "";
	int ret;

	if (!v)
		return nc_error(diag, -ENOMEM, "out of memory");
	v->diag = diag;
	ret = npu_prog_read(image, image_bytes, &v->view, &error);
	if (ret)
		nc_error(diag, ret, "%s", error);
	if (!ret)
		ret = check_stream(v);
	if (!ret)
		ret = create_memory(v);
	if (!ret)
		ret = run_stream(v);
	if (!ret)
		ret = check_outputs(v);
	release(v);
	free(v);
	return ret;
}
