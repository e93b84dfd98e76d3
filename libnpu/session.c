/* SPDX-License-Identifier: MIT */
/*
 * Sessions: all memory that a program wants, in an address space of its own.
 * Commands with the binding table, and constants, are read-only for the
 * device; inputs and outputs have one buffer per binding register.
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

/**
 * struct npu_session - see the top of this file
 * @model: what it runs
 * @space: its address space
 * @queue: its queue
 * @code: commands, then the binding table
 * @bind: the binding table, in @code
 * @reg: memory bound to each register; NULL: none
 * @feed: per register of an input: the output's register it is fed from, or 0
 * @fresh: that register holds the result of a run that the input does not have yet
 * @job: what is submitted
 * @running: the run in flight, or NULL
 */
struct npu_session {
	const struct npu_model *model;
	struct npu_space *space;
	struct npu_queue *queue;
	struct npu_buffer *code;
	uint64_t *bind;
	struct npu_buffer *reg[NPU_PROG_REG_FIRST_TEMP];
	uint8_t feed[NPU_PROG_REG_FIRST_TEMP];
	bool fresh[NPU_PROG_REG_FIRST_TEMP];
	struct npu_job job;
	struct npu_fence *running;
};

/* Make a buffer of @bytes, mapped on both sides, for register @reg. */
static int bind_register(struct npu_session *s, unsigned int reg, uint64_t bytes,
			 unsigned int flags, uint64_t *table)
{
	if (!bytes)
		return 0;
	s->reg[reg] = npu_buffer_create(s->model->dev, bytes);
	if (!s->reg[reg])
		return -errno;
	if (s->job.bind_count <= reg)
		s->job.bind_count = reg + 1;
	return npu_space_map(s->space, s->reg[reg], flags, &table[reg]);
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
	struct npu_buffer *buf = s->reg[NPU_PROG_REG_CONSTS];
	void *map;

	if (!buf)
		return 0;
	map = npu_buffer_map(buf);
	return map ? npu_program_read_consts(s->model->prog, map) : -errno;
}

static int load_code(struct npu_session *s, const uint64_t *table)
{
	const struct npu_prog_view *view = &s->model->prog->view;
	uint64_t va;
	char *map;
	int ret;

	s->code = npu_buffer_create(s->model->dev,
				    view->cmd_bytes + s->job.bind_count * sizeof(*table));
	if (!s->code)
		return -errno;
	map = npu_buffer_map(s->code);
	if (!map)
		return -errno;
	memcpy(map, view->cmds, view->cmd_bytes);
	/* Commands are whole descriptors, so the table is aligned. */
	s->bind = (uint64_t *)(void *)(map + view->cmd_bytes);
	memcpy(s->bind, table, s->job.bind_count * sizeof(*table));
	ret = npu_space_map(s->space, s->code, NPU_MAP_READONLY, &va);
	if (ret)
		return ret;
	s->job.cmd_va = va;
	s->job.cmd_bytes = view->cmd_bytes;
	s->job.bind_va = s->job.bind_count ? va + view->cmd_bytes : 0;
	return 0;
}

static int set_up(struct npu_session *s)
{
	const struct npu_prog_view *view = &s->model->prog->view;
	uint64_t table[NPU_PROG_REG_FIRST_TEMP] = { 0 };
	uint64_t timeout_ms = BASE_TIMEOUT_MS + view->header->macs / MACS_PER_MS;
	uint32_t max_ms = s->model->dev->info.max_timeout_ms;
	int ret;

	s->space = npu_space_create(s->model->dev);
	if (!s->space)
		return -errno;
	ret = bind_register(s, NPU_PROG_REG_CONSTS, view->const_bytes, NPU_MAP_READONLY, table);
	if (!ret)
		ret = bind_register(s, NPU_PROG_REG_SCRATCH, view->header->scratch_bytes, 0,
				    table);
	for (unsigned int reg = NPU_PROG_REG_FIRST_IO; !ret && reg < NPU_PROG_REG_FIRST_TEMP; reg++)
		ret = bind_register(s, reg, view->io_bytes[reg], io_flags(view, reg), table);
	if (!ret)
		ret = load_consts(s);
	if (!ret)
		ret = load_code(s, table);
	if (ret)
		return ret;
	s->queue = npu_queue_create(s->space, NPU_PRIORITY_NORMAL,
				    timeout_ms < max_ms ? (uint32_t)timeout_ms : max_ms);
	return s->queue ? 0 : -errno;
}

struct npu_session *npu_session_create(struct npu_model *model)
{
	struct npu_session *s = calloc(1, sizeof(*s));

	if (!s)
		return npu_fail_null(-ENOMEM, "session: out of memory");
	s->model = model;
	if (set_up(s)) {
		npu_session_destroy(s);
		return NULL;
	}
	return s;
}

void npu_session_destroy(struct npu_session *s)
{
	int err = errno;

	if (!s)
		return;
	npu_fence_destroy(s->running);
	npu_queue_destroy(s->queue);
	npu_space_destroy(s->space);
	npu_buffer_destroy(s->code);
	for (unsigned int i = 0; i < NPU_PROG_REG_FIRST_TEMP; i++)
		npu_buffer_destroy(s->reg[i]);
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

static void *map_tensor(struct npu_session *s, const struct npu_prog_tensor *t)
{
	/* Without elements it may have no memory; NULL would be an error. */
	static uint64_t nothing;
	char *map = t->size_bytes ? npu_buffer_map(s->reg[t->reg]) : NULL;

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

void *npu_session_map_input(struct npu_session *s, unsigned int index)
{
	const struct npu_prog_tensor *t = find_tensor(s, false, index);

	if (!t)
		return NULL;
	s->fresh[t->reg] = false;
	return map_tensor(s, t);
}

const void *npu_session_map_output(struct npu_session *s, unsigned int index)
{
	const struct npu_prog_tensor *t = find_tensor(s, true, index);

	return t ? map_tensor(s, t) : NULL;
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
	map = map_tensor(s, t);
	if (!map)
		return -errno;
	if (bytes)
		memcpy(map, data, bytes);
	s->fresh[t->reg] = false;
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
	map = map_tensor(s, t);
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

	if (!t)
		return -errno;
	s->fresh[t->reg] = false;
	if (!t->size_bytes)
		return 0;
	return npu_buffer_read_file(s->reg[t->reg], t->offset_bytes, path, file_offset,
				    t->size_bytes);
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
	else if (s->feed[in->reg])
		what = "the input is fed already";
	for (unsigned int i = 0; !what && i < NPU_PROG_REG_FIRST_TEMP; i++)
		if (s->feed[i] == out->reg)
			what = "the output feeds another input already";
	if (what)
		return npu_fail(-EINVAL, "%s: output \"%s\" cannot feed input \"%s\": %s",
				npu_model_name(s->model), strings + out->name, strings + in->name,
				what);
	return 0;
}

/* Inputs are read-only, but this one will be an output in turn: map it again. */
static int let_write(struct npu_session *s, unsigned int reg)
{
	uint64_t old = s->bind[reg];
	int ret = npu_space_map(s->space, s->reg[reg], 0, &s->bind[reg]);

	return ret ? ret : npu_space_unmap(s->space, old, npu_buffer_bytes(s->reg[reg]));
}

int npu_session_feed(struct npu_session *s, unsigned int output, unsigned int input)
{
	const struct npu_prog_tensor *out = find_tensor(s, true, output);
	const struct npu_prog_tensor *in = out ? find_tensor(s, false, input) : NULL;
	int ret;

	if (!in)
		return -errno;
	if (s->running)
		return npu_fail(-EBUSY, "%s: a run is in flight; wait for it first",
				npu_model_name(s->model));
	ret = check_feed(s, out, in);
	if (ret || !in->size_bytes)
		return ret;
	ret = let_write(s, in->reg);
	if (ret)
		return ret;
	s->feed[in->reg] = (uint8_t)out->reg;
	s->fresh[in->reg] = false;
	return 0;
}

/* Inputs take the results of the last run, and their memory takes the next ones. */
static void exchange(struct npu_session *s)
{
	for (unsigned int in = NPU_PROG_REG_FIRST_IO; in < NPU_PROG_REG_FIRST_TEMP; in++) {
		unsigned int out = s->feed[in];
		struct npu_buffer *buf = s->reg[in];
		uint64_t va;

		if (!s->fresh[in])
			continue;
		va = s->bind[in];
		s->reg[in] = s->reg[out];
		s->bind[in] = s->bind[out];
		s->reg[out] = buf;
		s->bind[out] = va;
		s->fresh[in] = false;
	}
}

/* ---- Running ---- */

int npu_session_start(struct npu_session *s)
{
	if (s->running)
		return npu_fail(-EBUSY, "%s: a run is in flight; wait for it first",
				npu_model_name(s->model));
	exchange(s);
	return npu_queue_submit(s->queue, &s->job, NULL, 0, &s->running);
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
	int ret;

	if (!s->running)
		return npu_fail(-EINVAL, "%s: no run is in flight; start one first",
				npu_model_name(s->model));
	ret = npu_fence_wait(s->running, timeout_ms);
	if (ret == -ETIME)
		return ret;
	npu_fence_destroy(s->running);
	s->running = NULL;
	for (unsigned int i = 0; !ret && i < NPU_PROG_REG_FIRST_TEMP; i++)
		s->fresh[i] = s->feed[i];
	return ret ? explain(s, ret) : 0;
}

int npu_session_run(struct npu_session *s)
{
	int ret = npu_session_start(s);

	return ret ? ret : npu_session_wait(s, -1);
}

int npu_session_get_counters(struct npu_session *s, struct npu_counters *counters)
{
	return npu_queue_get_counters(s->queue, counters);
}
