/* SPDX-License-Identifier: MIT */
/* Legality of a whole command buffer: npu_check_stream(). */
#include <string.h>
#include "npu_check.h"

#define NO_ENGINE	0xff

/**
 * struct stream - one walk over a command buffer
 * @cmds: checked descriptors from here to the END at @end_bytes
 * @end_bytes: offset of END
 * @produced: per semaphore, signals minus waits so far in stream order
 * @producer: enum npu_engine, or NO_ENGINE
 * @consumer: same
 * @at_bytes: descriptor under judgement
 * @diag: why it was refused
 */
struct stream {
	const uint8_t *cmds;
	size_t end_bytes;
	int64_t produced[NPU_SEMAPHORES];
	uint8_t producer[NPU_SEMAPHORES];
	uint8_t consumer[NPU_SEMAPHORES];
	size_t at_bytes;
	struct npu_diag diag;
};

static enum npu_fault_code refuse(struct stream *st, enum npu_fault_code code,
				  const char *field, const char *text)
{
	st->diag.code = code;
	st->diag.field = field;
	st->diag.text = text;
	return code;
}

static const struct npu_desc_hdr *desc_at(const struct stream *st, size_t offset)
{
	return (const struct npu_desc_hdr *)(const void *)(st->cmds + offset);
}

static size_t after(const struct stream *st, size_t offset)
{
	return offset + desc_at(st, offset)->lines * (size_t)NPU_LINE_BYTES;
}

/* Each descriptor for itself, loop nesting, and the END. */
static enum npu_fault_code walk_descriptors(struct stream *st, const struct npu_limits *limits,
					    size_t bytes)
{
	unsigned int depth = 0;

	for (size_t at = 0; ; at = after(st, at)) {
		enum npu_fault_code code;

		st->at_bytes = at;
		code = npu_check_desc(limits, st->cmds + at, bytes - at, &st->diag);
		if (code)
			return code;
		switch (desc_at(st, at)->opcode) {
		case NPU_OP_LOOP:
			if (++depth > NPU_LOOP_LEVELS)
				return refuse(st, NPU_FAULT_LOOP, "opcode",
					      "more than 4 loop levels");
			break;
		case NPU_OP_ENDL:
			if (!depth--)
				return refuse(st, NPU_FAULT_LOOP, "opcode", "ENDL without LOOP");
			break;
		case NPU_OP_END:
			if (depth)
				return refuse(st, NPU_FAULT_LOOP, "opcode", "END inside a loop");
			st->end_bytes = at;
			return NPU_FAULT_NONE;
		default:
			break;
		}
	}
}

static enum npu_fault_code check_tail(struct stream *st, size_t bytes)
{
	for (size_t i = after(st, st->end_bytes); i < bytes; i++) {
		st->at_bytes = i / NPU_LINE_BYTES * NPU_LINE_BYTES;
		if (st->cmds[i])
			return refuse(st, NPU_FAULT_RESERVED, "reserved",
				      "bytes after END must be 0");
	}
	return NPU_FAULT_NONE;
}

static enum npu_fault_code claim(struct stream *st, uint8_t owner[NPU_SEMAPHORES],
				 const struct npu_sem_ref *port, enum npu_engine engine,
				 const char *field, const char *text)
{
	if (!port->count)
		return NPU_FAULT_NONE;
	if (owner[port->sem] != NO_ENGINE && owner[port->sem] != engine)
		return refuse(st, NPU_FAULT_SEMAPHORE, field, text);
	owner[port->sem] = (uint8_t)engine;
	return NPU_FAULT_NONE;
}

static enum npu_fault_code run_ports(struct stream *st, const struct npu_desc_hdr *hdr)
{
	enum npu_engine engine = npu_op_engine(hdr->opcode);

	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		const struct npu_sem_ref *wait = &hdr->wait[i];
		enum npu_fault_code code = claim(st, st->consumer, wait, engine, "wait",
						 "the semaphore has another consuming engine");

		if (code)
			return code;
		st->produced[wait->sem] -= wait->count;
		if (wait->count && st->produced[wait->sem] < 0)
			return refuse(st, NPU_FAULT_SEMAPHORE, "wait",
				      "not covered by signals earlier in the stream");
	}
	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		const struct npu_sem_ref *signal = &hdr->signal[i];
		enum npu_fault_code code = claim(st, st->producer, signal, engine, "signal",
						 "the semaphore has another producing engine");

		if (code)
			return code;
		st->produced[signal->sem] += signal->count;
		if (signal->count && st->produced[signal->sem] > NPU_SEM_MAX)
			return refuse(st, NPU_FAULT_SEMAPHORE, "signal", "counts beyond 65535");
	}
	return NPU_FAULT_NONE;
}

static enum npu_fault_code run_block(struct stream *st, size_t *at);

/*
 * Balances move by the same amount in every iteration, so what holds in the
 * first and in the last one holds in all of them. @at: LOOP, then its ENDL.
 */
static enum npu_fault_code run_loop(struct stream *st, size_t *at)
{
	const struct npu_desc_loop *loop = (const void *)desc_at(st, *at);
	size_t body = after(st, *at);
	int64_t before[NPU_SEMAPHORES];
	enum npu_fault_code code;

	memcpy(before, st->produced, sizeof(before));
	*at = body;
	code = run_block(st, at);
	if (code || loop->count == 1)
		return code;
	for (unsigned int i = 0; i < NPU_SEMAPHORES; i++)
		st->produced[i] = before[i] + (st->produced[i] - before[i]) * (loop->count - 1);
	*at = body;
	return run_block(st, at);
}

/* Up to the ENDL or END that closes the block. Depth was checked before. */
static enum npu_fault_code run_block(struct stream *st, size_t *at)
{
	for (;;) {
		const struct npu_desc_hdr *hdr = desc_at(st, *at);
		enum npu_fault_code code;

		st->at_bytes = *at;
		code = hdr->opcode == NPU_OP_LOOP ? run_loop(st, at) : run_ports(st, hdr);
		if (code || hdr->opcode == NPU_OP_ENDL || hdr->opcode == NPU_OP_END)
			return code;
		*at = after(st, *at);
	}
}

static enum npu_fault_code check_stream(struct stream *st, const struct npu_limits *limits,
					size_t bytes)
{
	enum npu_fault_code code;
	size_t at = 0;

	if (!bytes || bytes % NPU_LINE_BYTES || bytes > NPU_CMD_BYTES_MAX)
		return refuse(st, NPU_FAULT_JOB, "cmd_bytes",
			      "must be a multiple of 64, 64 .. 1 GiB");
	code = walk_descriptors(st, limits, bytes);
	if (!code)
		code = check_tail(st, bytes);
	if (!code)
		code = run_block(st, &at);
	return code;
}

enum npu_fault_code npu_check_stream(const struct npu_limits *limits, const void *cmds,
				     size_t bytes, size_t *at_bytes, struct npu_diag *diag)
{
	struct stream st = {
		.cmds = cmds,
		.diag = { .code = NPU_FAULT_NONE, .field = "", .text = "" },
	};
	enum npu_fault_code code;

	memset(st.producer, NO_ENGINE, sizeof(st.producer));
	memset(st.consumer, NO_ENGINE, sizeof(st.consumer));
	code = check_stream(&st, limits, bytes);
	if (at_bytes)
		*at_bytes = st.at_bytes;
	if (diag)
		*diag = st.diag;
	return code;
}
