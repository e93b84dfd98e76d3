/* SPDX-License-Identifier: MIT */
/*
 * Sessions: all memory that a program wants, in an address space of its own.
 * Commands with the binding tables, and constants, are read-only for the
 * device; inputs and outputs have a buffer per binding register and slot. Runs
 * take the slots in turn, so that the next one's inputs can be filled while
 * others are in flight. Jobs of a queue run one after the other: they share
 * constants and scratch memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"
#include "npu_isa.h"

/*
 * A run may take this long: for what every job does, and per
 * multiply-accumulate on the slowest host that is worth waiting for.
 */
#define BASE_TIMEOUT_MS		10000
#define MACS_PER_MS		50000

#define REGS			NPU_PROG_REG_FIRST_TEMP

/* Memory, and where the device sees it. */
struct memory {
	struct npu_buffer *buf;
	uint64_t va;
};

/**
 * struct slot - what one run needs for itself
 * @reg: memory bound to each register by the slot's last run, or for its next one
 * @bind: its binding table, in the session's code
 * @turn: per register of an input: the feed's turn when the run was started
 * @running: the run in flight, or NULL
 */
struct slot {
	struct memory reg[REGS];
	uint64_t *bind;
	uint8_t turn[REGS];
	struct npu_fence *running;
};

/**
 * struct feed - an input that gets an output's values
 * @out: register of the output; 0: not fed
 * @fresh: the last run's output is the next one's input
 * @turn: which of @memory is the input; the output is the one after it
 * @memory: one more than slots: what the oldest run in flight read is not written
 */
struct feed {
	uint8_t out;
	bool fresh;
	uint8_t turn;
	struct memory memory[NPU_SESSION_RUNS_MAX + 1];
};

/**
 * struct npu_session - see the top of this file
 * @model: what it runs
 * @space: its address space
 * @queue: its queue
 * @code: commands, then the binding tables
 * @job: what is submitted, but for the binding table
 * @shared: memory of registers that all runs share
 * @feed: by register of the input
 * @slots: runs that may be in flight
 * @started: runs ever started, @waited: and ended; the slot of run n is n % slots
 * @failed: a run failed, so those in flight fail, too
 * @slot: the slots
 */
struct npu_session {
	const struct npu_model *model;
	struct npu_space *space;
	struct npu_queue *queue;
	struct npu_buffer *code;
	struct npu_job job;
	struct memory shared[NPU_PROG_REG_FIRST_IO];
	struct feed feed[REGS];
	unsigned int slots;
	uint64_t started, waited;
	bool failed;
	struct slot slot[];
};

/* Make a buffer of @bytes, mapped on both sides, for register @reg. */
static int make_memory(struct npu_session *s, unsigned int reg, uint64_t bytes,
		       unsigned int flags, struct memory *m)
{
	if (!bytes)
		return 0;
	m->buf = npu_buffer_create(s->model->dev, bytes);
	if (!m->buf)
		return -errno;
	if (s->job.bind_count <= reg)
		s->job.bind_count = reg + 1;
	return npu_space_map(s->space, m->buf, flags, &m->va);
}

/* Registers that only inputs use are not written by the device. */
static unsigned int io_flags(const struct npu_prog_view *view, unsigned int reg)
{
	for (unsigned int i = 0; i < view->tensor_count; i++)
		if (view->tensors[i].reg == reg && view->tensors[i].kind == NPU_PROG_OUTPUT)
			return 0;
	return NPU_MAP_READONLY;
}

static int load_consts(struct npu_session *s)
{
	struct npu_buffer *buf = s->shared[NPU_PROG_REG_CONSTS].buf;
	void *map;

	if (!buf)
		return 0;
	map = npu_buffer_map(buf);
	return map ? npu_program_read_consts(s->model->prog, map) : -errno;
}

static int load_code(struct npu_session *s)
{
	const struct npu_prog_view *view = &s->model->prog->view;
	uint64_t table_bytes = s->job.bind_count * sizeof(uint64_t);
	char *map;
	int ret;

	s->code = npu_buffer_create(s->model->dev, view->cmd_bytes + s->slots * table_bytes);
	if (!s->code)
		return -errno;
	map = npu_buffer_map(s->code);
	if (!map)
		return -errno;
	memcpy(map, view->cmds, view->cmd_bytes);
	/* Commands are whole descriptors, so the tables are aligned. */
	for (unsigned int i = 0; i < s->slots; i++)
		s->slot[i].bind = (uint64_t *)(void *)(map + view->cmd_bytes + i * table_bytes);
	ret = npu_space_map(s->space, s->code, NPU_MAP_READONLY, &s->job.cmd_va);
	s->job.cmd_bytes = view->cmd_bytes;
	return ret;
}

static int make_all_memory(struct npu_session *s)
{
	const struct npu_prog_view *view = &s->model->prog->view;
	int ret = make_memory(s, NPU_PROG_REG_CONSTS, view->const_bytes, NPU_MAP_READONLY,
			      &s->shared[NPU_PROG_REG_CONSTS]);

	if (!ret)
		ret = make_memory(s, NPU_PROG_REG_SCRATCH, view->header->scratch_bytes, 0,
				  &s->shared[NPU_PROG_REG_SCRATCH]);
	for (unsigned int i = 0; i < s->slots; i++)
		for (unsigned int reg = NPU_PROG_REG_FIRST_IO; !ret && reg < REGS; reg++)
			ret = make_memory(s, reg, view->io_bytes[reg], io_flags(view, reg),
					  &s->slot[i].reg[reg]);
	return ret;
}

static int set_up(struct npu_session *s)
{
	uint64_t timeout_ms = BASE_TIMEOUT_MS + s->model->prog->view.header->macs / MACS_PER_MS;
	uint32_t max_ms = s->model->dev->info.max_timeout_ms;
	int ret;

	s->space = npu_space_create(s->model->dev);
	if (!s->space)
		return -errno;
	ret = make_all_memory(s);
	if (!ret)
		ret = load_consts(s);
	if (!ret)
		ret = load_code(s);
	if (ret)
		return ret;
	s->queue = npu_queue_create(s->space, NPU_PRIORITY_NORMAL,
				    timeout_ms < max_ms ? (uint32_t)timeout_ms : max_ms);
	return s->queue ? 0 : -errno;
}

struct npu_session *npu_session_create_ahead(struct npu_model *model, unsigned int runs)
{
	struct npu_session *s;

	if (!runs || runs > NPU_SESSION_RUNS_MAX)
		return npu_fail_null(-EINVAL, "session: %u runs in flight; 1 to %u are possible",
				     runs, NPU_SESSION_RUNS_MAX);
	s = calloc(1, sizeof(*s) + runs * sizeof(*s->slot));
	if (!s)
		return npu_fail_null(-ENOMEM, "session: out of memory");
	s->model = model;
	s->slots = runs;
	if (set_up(s)) {
		npu_session_destroy(s);
		return NULL;
	}
	return s;
}

struct npu_session *npu_session_create(struct npu_model *model)
{
	return npu_session_create_ahead(model, 1);
}

/* Of slots, registers that a feed has taken over are the feed's. */
static bool is_fed(const struct npu_session *s, unsigned int reg)
{
	for (unsigned int in = NPU_PROG_REG_FIRST_IO; in < REGS; in++)
		if (s->feed[in].out && (in == reg || s->feed[in].out == reg))
			return true;
	return false;
}

void npu_session_destroy(struct npu_session *s)
{
	int err = errno;

	if (!s)
		return;
	for (unsigned int i = 0; i < s->slots; i++)
		npu_fence_destroy(s->slot[i].running);
	npu_queue_destroy(s->queue);
	npu_space_destroy(s->space);
	npu_buffer_destroy(s->code);
	for (unsigned int reg = 0; reg < NPU_PROG_REG_FIRST_IO; reg++)
		npu_buffer_destroy(s->shared[reg].buf);
	for (unsigned int reg = NPU_PROG_REG_FIRST_IO; reg < REGS; reg++) {
		for (unsigned int i = 0; i < s->slots && !is_fed(s, reg); i++)
			npu_buffer_destroy(s->slot[i].reg[reg].buf);
		for (unsigned int i = 0; i <= s->slots; i++)
			npu_buffer_destroy(s->feed[reg].memory[i].buf);
	}
	free(s);
	/* It also undoes what failed, and the caller wants to know why. */
	errno = err;
}

/* ---- Inputs and outputs ---- */

static const struct npu_prog_tensor *find_tensor(const struct npu_session *s, bool output,
						 unsigned int index)
{
	const struct npu_model *model = s->model;

	if (index >= (output ? model->outputs : model->inputs))
		return npu_fail_null(-EINVAL, "%s: there is no %s %u", npu_model_name(model),
				     output ? "output" : "input", index);
	return model->tensor[output ? model->inputs + index : index];
}

/* The next run's, which must not be in use. */
static struct slot *next_slot(struct npu_session *s)
{
	struct slot *slot = &s->slot[s->started % s->slots];

	if (slot->running)
		return npu_fail_null(-EBUSY, "%s: %u run%s in flight; wait for one first",
				     npu_model_name(s->model), s->slots,
				     s->slots == 1 ? " is" : "s are");
	return slot;
}

/* The last run's that ended; before any, that of the first. */
static struct slot *last_slot(struct npu_session *s)
{
	return &s->slot[(s->waited ? s->waited - 1 : 0) % s->slots];
}

static void *map_tensor(struct npu_buffer *buf, const struct npu_prog_tensor *t)
{
	/* Without elements it may have no memory; NULL would be an error. */
	static uint64_t nothing;
	char *map = t->size_bytes ? npu_buffer_map(buf) : NULL;

	if (!t->size_bytes)
		return &nothing;
	return map ? map + t->offset_bytes : NULL;
}

static int check_bytes(const struct npu_session *s, const struct npu_prog_tensor *t,
		       uint64_t bytes)
{
	if (bytes == t->size_bytes)
		return 0;
	return npu_fail(-EINVAL, "%s: tensor \"%s\" has %llu bytes, not %llu",
			npu_model_name(s->model), s->model->prog->view.strings + t->name,
			(unsigned long long)t->size_bytes, (unsigned long long)bytes);
}

/* The memory of @t that the next run reads; the caller sets it, so no output feeds it. */
static struct npu_buffer *input_memory(struct npu_session *s, const struct npu_prog_tensor *t)
{
	struct slot *slot = next_slot(s);
	struct feed *f = &s->feed[t->reg];

	if (!slot || !f->out)
		return slot ? slot->reg[t->reg].buf : NULL;
	if (s->started != s->waited)
		return npu_fail_null(-EBUSY, "%s: a run in flight may read input \"%s\"; wait for all first",
				     npu_model_name(s->model),
				     s->model->prog->view.strings + t->name);
	f->fresh = false;
	return f->memory[f->turn].buf;
}

const void *npu_session_peek_input(struct npu_session *s, unsigned int index)
{
	const struct npu_prog_tensor *t = find_tensor(s, false, index);
	const struct feed *f = t ? &s->feed[t->reg] : NULL;
	const struct slot *slot = &s->slot[s->started % s->slots];

	if (!t)
		return NULL;
	return map_tensor(f->out ? f->memory[(f->turn + f->fresh) % (s->slots + 1)].buf :
				   slot->reg[t->reg].buf, t);
}

void *npu_session_map_input(struct npu_session *s, unsigned int index)
{
	const struct npu_prog_tensor *t = find_tensor(s, false, index);
	struct npu_buffer *buf = t && t->size_bytes ? input_memory(s, t) : NULL;

	return !t || (t->size_bytes && !buf) ? NULL : map_tensor(buf, t);
}

const void *npu_session_map_output(struct npu_session *s, unsigned int index)
{
	const struct npu_prog_tensor *t = find_tensor(s, true, index);

	return t ? map_tensor(last_slot(s)->reg[t->reg].buf, t) : NULL;
}

int npu_session_set_input(struct npu_session *s, unsigned int index, const void *data,
			  uint64_t bytes)
{
	const struct npu_prog_tensor *t = find_tensor(s, false, index);
	void *map;

	if (!t)
		return -errno;
	if (check_bytes(s, t, bytes))
		return -EINVAL;
	map = npu_session_map_input(s, index);
	if (!map)
		return -errno;
	if (bytes)
		memcpy(map, data, bytes);
	return 0;
}

int npu_session_get_output(struct npu_session *s, unsigned int index, void *data, uint64_t bytes)
{
	const struct npu_prog_tensor *t = find_tensor(s, true, index);
	const void *map;

	if (!t)
		return -errno;
	if (check_bytes(s, t, bytes))
		return -EINVAL;
	map = npu_session_map_output(s, index);
	if (!map)
		return -errno;
	if (bytes)
		memcpy(data, map, bytes);
	return 0;
}

int npu_session_read_input(struct npu_session *s, unsigned int index, const char *path,
			   uint64_t file_offset)
{
	const struct npu_prog_tensor *t = find_tensor(s, false, index);
	struct npu_buffer *buf;

	if (!t)
		return -errno;
	if (!t->size_bytes)
		return 0;
	buf = input_memory(s, t);
	return buf ? npu_buffer_read_file(buf, t->offset_bytes, path, file_offset,
					  t->size_bytes) : -errno;
}

/* ---- Outputs as inputs ---- */

/* Memory that is exchanged must be one tensor's alone. */
static bool is_alone(const struct npu_session *s, const struct npu_prog_tensor *t)
{
	const struct npu_prog_view *view = &s->model->prog->view;

	for (unsigned int i = 0; i < view->tensor_count; i++)
		if (view->tensors[i].reg == t->reg && &view->tensors[i] != t)
			return false;
	return t->reg >= NPU_PROG_REG_FIRST_IO && !t->offset_bytes;
}

static int check_feed(const struct npu_session *s, const struct npu_prog_tensor *out,
		      const struct npu_prog_tensor *in)
{
	const char *strings = s->model->prog->view.strings;
	const char *what = NULL;

	if (out->dtype != in->dtype || out->size_bytes != in->size_bytes)
		what = "they differ in element type or size";
	else if (!is_alone(s, out) || !is_alone(s, in))
		what = "the model has so many inputs and outputs that they share registers; "
			"put some together";
	else if (s->feed[in->reg].out)
		what = "the input is fed already";
	for (unsigned int i = 0; !what && i < REGS; i++)
		if (s->feed[i].out == out->reg)
			what = "the output feeds another input already";
	if (what)
		return npu_fail(-EINVAL, "%s: output \"%s\" cannot feed input \"%s\": %s",
				npu_model_name(s->model), strings + out->name, strings + in->name,
				what);
	return 0;
}

static int drop_memory(struct npu_session *s, struct memory *m)
{
	int ret = npu_space_unmap(s->space, m->va, npu_buffer_bytes(m->buf));

	if (ret)
		return ret;
	npu_buffer_destroy(m->buf);
	m->buf = NULL;
	return 0;
}

/* Inputs are read-only, but this one will be an output in turn: map it again. */
static int let_write(struct npu_session *s, struct memory *m)
{
	uint64_t old = m->va;
	int ret = npu_space_map(s->space, m->buf, 0, &m->va);

	return ret ? ret : npu_space_unmap(s->space, old, npu_buffer_bytes(m->buf));
}

/* The input's memory of all slots, and the first one's of the output, are the feed's. */
static void connect(struct npu_session *s, uint8_t in, uint8_t out)
{
	struct feed *f = &s->feed[in];

	*f = (struct feed){ .out = out };
	for (unsigned int i = 0; i < s->slots; i++)
		f->memory[i] = s->slot[i].reg[in];
	f->memory[s->slots] = s->slot[0].reg[out];
	for (unsigned int i = 0; i < s->slots; i++) {
		s->slot[i].reg[in] = f->memory[0];
		s->slot[i].reg[out] = f->memory[1];
	}
}

int npu_session_feed(struct npu_session *s, unsigned int output, unsigned int input)
{
	const struct npu_prog_tensor *out = find_tensor(s, true, output);
	const struct npu_prog_tensor *in = out ? find_tensor(s, false, input) : NULL;
	int ret;

	if (!in)
		return -errno;
	if (s->started != s->waited)
		return npu_fail(-EBUSY, "%s: a run is in flight; wait for it first",
				npu_model_name(s->model));
	ret = check_feed(s, out, in);
	if (ret || !in->size_bytes)
		return ret;
	for (unsigned int i = 0; i < s->slots; i++) {
		ret = ret ? ret : let_write(s, &s->slot[i].reg[in->reg]);
		if (i)
			ret = ret ? ret : drop_memory(s, &s->slot[i].reg[out->reg]);
	}
	if (ret)
		return ret;
	connect(s, in->reg, out->reg);
	return 0;
}

/* Inputs take the results of the run before, and their memory takes the next ones. */
static void take_feeds(struct npu_session *s, struct slot *slot)
{
	for (unsigned int in = NPU_PROG_REG_FIRST_IO; in < REGS; in++) {
		struct feed *f = &s->feed[in];

		if (!f->out)
			continue;
		slot->turn[in] = f->turn;
		f->turn = (uint8_t)((f->turn + f->fresh) % (s->slots + 1));
		slot->reg[in] = f->memory[f->turn];
		slot->reg[f->out] = f->memory[(f->turn + 1) % (s->slots + 1)];
	}
}

/* @slot's run has not happened, nor has any after it: its inputs are the next one's. */
static void undo_feeds(struct npu_session *s, const struct slot *slot)
{
	for (unsigned int in = NPU_PROG_REG_FIRST_IO; in < REGS; in++) {
		struct feed *f = &s->feed[in];

		if (!f->out)
			continue;
		for (f->turn = 0; f->memory[f->turn].buf != slot->reg[in].buf;)
			f->turn++;
		f->fresh = false;
	}
}

/* ---- Running ---- */

int npu_session_start(struct npu_session *s)
{
	struct slot *slot = next_slot(s);
	struct npu_job job = s->job;
	int ret;

	if (!slot)
		return -errno;
	if (!s->queue)
		return npu_fail(-EIO, "%s: the session could not be opened again after a failure",
				npu_model_name(s->model));
	take_feeds(s, slot);
	for (unsigned int reg = 0; reg < job.bind_count; reg++)
		slot->bind[reg] = reg < NPU_PROG_REG_FIRST_IO ? s->shared[reg].va :
								slot->reg[reg].va;
	if (job.bind_count)
		job.bind_va = job.cmd_va + job.cmd_bytes +
			      (uint64_t)(slot - s->slot) * job.bind_count * sizeof(uint64_t);
	ret = npu_queue_submit(s->queue, &job, NULL, 0, &slot->running);
	if (ret) {
		for (unsigned int in = NPU_PROG_REG_FIRST_IO; in < REGS; in++)
			s->feed[in].turn = slot->turn[in];
		return ret;
	}
	for (unsigned int in = NPU_PROG_REG_FIRST_IO; in < REGS; in++)
		s->feed[in].fresh = s->feed[in].out;
	s->failed = s->failed && s->started != s->waited;
	s->started++;
	return 0;
}

/* Add which node of the graph it was. */
static int explain(struct npu_session *s, int err)
{
	const struct npu_prog_view *view = &s->model->prog->view;
	struct npu_queue_fault fault;

	if (err != -EFAULT || npu_queue_get_fault(s->queue, &fault) ||
	    !*npu_prog_node_name(view, fault.tag))
		return npu_fail(err, "%s: %s", npu_model_name(s->model), npu_error());
	return npu_fail(err, "%s: %s (node \"%s\", %s)", npu_model_name(s->model), npu_error(),
			npu_prog_node_name(view, fault.tag), npu_prog_node_op(view, fault.tag));
}

int npu_session_wait(struct npu_session *s, int timeout_ms)
{
	struct slot *slot = &s->slot[s->waited % s->slots];
	int ret;

	if (!slot->running)
		return npu_fail(-EINVAL, "%s: no run is in flight; start one first",
				npu_model_name(s->model));
	ret = npu_fence_wait(slot->running, timeout_ms);
	if (ret == -ETIME)
		return ret;
	npu_fence_destroy(slot->running);
	slot->running = NULL;
	s->waited++;
	if (!ret)
		return 0;
	if (!s->failed)
		undo_feeds(s, slot);
	s->failed = true;
	return explain(s, ret);
}

void npu_session_rewind(struct npu_session *s, unsigned int runs)
{
	s->started -= runs;
	s->waited = s->started;
	undo_feeds(s, &s->slot[s->started % s->slots]);
}

/* Map @m again, in a space that is new. */
static int map_again(struct npu_session *s, struct memory *m, unsigned int flags)
{
	return m->buf ? npu_space_map(s->space, m->buf, flags, &m->va) : 0;
}

static int map_all_again(struct npu_session *s)
{
	const struct npu_prog_view *view = &s->model->prog->view;
	int ret = map_again(s, &s->shared[NPU_PROG_REG_CONSTS], NPU_MAP_READONLY);

	ret = ret ? ret : map_again(s, &s->shared[NPU_PROG_REG_SCRATCH], 0);
	ret = ret ? ret : npu_space_map(s->space, s->code, NPU_MAP_READONLY, &s->job.cmd_va);
	for (unsigned int reg = NPU_PROG_REG_FIRST_IO; reg < REGS; reg++) {
		for (unsigned int i = 0; i < s->slots && !is_fed(s, reg); i++)
			ret = ret ? ret : map_again(s, &s->slot[i].reg[reg], io_flags(view, reg));
		for (unsigned int i = 0; i <= s->slots; i++)
			ret = ret ? ret : map_again(s, &s->feed[reg].memory[i], 0);
	}
	return ret;
}

int npu_session_reopen(struct npu_session *s)
{
	uint32_t timeout_ms = s->queue->timeout_ms;

	npu_queue_destroy(s->queue);
	npu_space_destroy(s->space);
	s->queue = NULL;
	s->space = npu_space_create(s->model->dev);
	if (!s->space || map_all_again(s))
		return -errno;
	s->queue = npu_queue_create(s->space, NPU_PRIORITY_NORMAL, timeout_ms);
	return s->queue ? 0 : -errno;
}

int npu_session_run(struct npu_session *s)
{
	int ret = npu_session_start(s);

	return ret ? ret : npu_session_wait(s, -1);
}

static uint64_t bytes_of(const struct npu_buffer *buf)
{
	return buf ? npu_buffer_bytes(buf) : 0;
}

uint64_t npu_session_memory_bytes(const struct npu_session *s)
{
	uint64_t bytes = bytes_of(s->code);

	for (unsigned int reg = 0; reg < NPU_PROG_REG_FIRST_IO; reg++)
		bytes += bytes_of(s->shared[reg].buf);
	for (unsigned int reg = NPU_PROG_REG_FIRST_IO; reg < REGS; reg++) {
		for (unsigned int i = 0; i < s->slots && !is_fed(s, reg); i++)
			bytes += bytes_of(s->slot[i].reg[reg].buf);
		for (unsigned int i = 0; i <= s->slots; i++)
			bytes += bytes_of(s->feed[reg].memory[i].buf);
	}
	return bytes;
}

int npu_session_get_counters(struct npu_session *s, struct npu_counters *counters)
{
	return npu_queue_get_counters(s->queue, counters);
}
