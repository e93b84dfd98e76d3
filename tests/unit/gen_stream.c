/* SPDX-License-Identifier: MIT */
/* Random legal streams: loops and semaphores around gen_desc(). */
#include <string.h>

#include "gen_desc.h"

/**
 * struct flow - semaphores of the stream so far
 * @level: loops open
 * @left: signals not yet taken, by the loop level that gave them
 * @total: upper bound of the value, all levels and iterations
 * @producer: engine plus 1, 0 while free
 * @consumer: same
 * @count: iterations of the loop that opened each level
 */
struct flow {
	unsigned int level;
	uint32_t left[NPU_LOOP_LEVELS + 1][NPU_SEMAPHORES];
	uint64_t total[NPU_SEMAPHORES];
	uint8_t producer[NPU_SEMAPHORES];
	uint8_t consumer[NPU_SEMAPHORES];
	uint32_t count[NPU_LOOP_LEVELS + 1];
};

/* Waits take what the same iteration has signalled, so every iteration is alike. */
static void flow_ports(struct gen *g, struct flow *f, struct npu_desc_hdr *hdr)
{
	uint8_t engine = (uint8_t)(npu_op_engine(hdr->opcode) + 1);
	unsigned int waits = 0, signals = 0;
	uint64_t times = 1;

	for (unsigned int i = 1; i <= f->level; i++)
		times *= f->count[i];
	for (unsigned int s = 0; s < NPU_SEMAPHORES && waits < NPU_SEM_PORTS; s++) {
		uint32_t left = f->left[f->level][s];

		if (!left || (f->consumer[s] && f->consumer[s] != engine) || gen_below(g, 2))
			continue;
		f->consumer[s] = engine;
		hdr->wait[waits].sem = (uint8_t)s;
		hdr->wait[waits].count = (uint8_t)gen_range(g, 1, left < 255 ? left : 255);
		f->left[f->level][s] -= hdr->wait[waits++].count;
	}
	for (unsigned int tries = gen_below(g, 6); tries && signals < NPU_SEM_PORTS; tries--) {
		unsigned int s = gen_below(g, NPU_SEMAPHORES);
		uint8_t count = (uint8_t)gen_range(g, 1, 3);
		bool twice = false;

		for (unsigned int i = 0; i < signals; i++)
			twice |= hdr->signal[i].sem == s;
		if (twice || (f->producer[s] && f->producer[s] != engine) ||
		    f->total[s] + count * times > NPU_SEM_MAX)
			continue;
		f->producer[s] = engine;
		f->total[s] += count * times;
		f->left[f->level][s] += count;
		hdr->signal[signals++] = (struct npu_sem_ref) { (uint8_t)s, count };
	}
}

static void flow_open(struct flow *f, uint32_t count)
{
	f->count[++f->level] = count;
	memset(f->left[f->level], 0, sizeof(f->left[0]));
}

static void flow_close(struct flow *f)
{
	for (unsigned int s = 0; s < NPU_SEMAPHORES; s++)
		f->left[f->level - 1][s] += f->left[f->level][s] * f->count[f->level];
	f->level--;
}

/* Indices that every row may have, so that the result is defined. */
static size_t fill_indices(struct gen *g, const struct npu_desc_gather *d, void *to)
{
	union gen_any *fill = to;
	unsigned int coords = npu_gather_coords(d);
	uint32_t least = UINT32_MAX;

	for (unsigned int i = 0; i < coords; i++)
		least = d->limit[i] < least ? d->limit[i] : least;
	memset(fill, 0, 2 * (size_t)NPU_LINE_BYTES);
	fill->fill = (struct npu_desc_fill) {
		.hdr = { .opcode = NPU_OP_FILL, .lines = 2 },
		.dim = { 1, d->dim[0], d->dim[1], d->dim[2], coords },
		.value = gen_below(g, least),
		.spm = d->index,
	};
	memcpy(fill->fill.spm_stride + 1, d->index_stride, sizeof(d->index_stride));
	if (d->hdr.flags & NPU_F_FROM_END && gen_below(g, 2))
		fill->fill.value = ~fill->fill.value;
	return 2 * (size_t)NPU_LINE_BYTES;
}

/* The same for UNPOOL: one position in its image. */
static size_t fill_positions(struct gen *g, const struct npu_desc_pool *d, void *to)
{
	const uint32_t row = (uint32_t)d->index_row;
	union gen_any *fill = to;
	uint32_t words[2];

	memset(fill, 0, 2 * (size_t)NPU_LINE_BYTES);
	fill->map = (struct npu_desc_map) {
		.hdr = { .opcode = NPU_OP_MAP, .lines = 2 },
		.dim = { d->shape.n, d->shape.oh, d->shape.ow, d->shape.c },
		.operands = 1,
		.uops = 1,
		.consts = 1,
	};
	fill->map.view[0].ref = d->index;
	memcpy(fill->map.view[0].stride, d->in_stride, sizeof(d->in_stride));
	fill->map.view[0].stride[3] = 1;
	words[0] = NPU_UOP_WORD(NPU_UOP_ST, 0, NPU_UOP_CONST, 0, 0);
	words[1] = gen_below(g, d->shape.h) * row + (uint32_t)d->index_base +
		   gen_below(g, d->shape.w < row ? d->shape.w : row);
	memcpy(&fill->map.view[1], words, sizeof(words));
	return 2 * (size_t)NPU_LINE_BYTES;
}

size_t gen_stream(struct gen *g, void *cmds, size_t bytes)
{
	const size_t reserve = (NPU_LOOP_LEVELS + 1) * 2 * NPU_LINE_BYTES;
	union gen_any desc;
	struct flow f = { .level = 0 };
	bool ports = !g->no_ports;
	size_t at = 0;

	g->no_ports = true;
	while (at + reserve + 2 * NPU_DESC_BYTES_MAX <= bytes) {
		unsigned int op = gen_opcode(g);
		size_t length;

		if (op == NPU_OP_END || (op == NPU_OP_LOOP && f.level == NPU_LOOP_LEVELS) ||
		    (op == NPU_OP_ENDL && !f.level))
			continue;
		length = gen_desc(g, op, &desc);
		if (op == NPU_OP_LOOP) {
			desc.loop.count = gen_range(g, 1, 4);
			flow_open(&f, desc.loop.count);
		} else if (op == NPU_OP_ENDL) {
			flow_close(&f);
		} else if (ports) {
			flow_ports(g, &f, &desc.hdr);
		}
		if (g->defined && (op == NPU_OP_GATHER || op == NPU_OP_SCATTER))
			at += fill_indices(g, &desc.gather, (uint8_t *)cmds + at);
		if (g->defined && op == NPU_OP_UNPOOL)
			at += fill_positions(g, &desc.pool, (uint8_t *)cmds + at);
		memcpy((uint8_t *)cmds + at, &desc, length);
		at += length;
	}
	for (; f.level; flow_close(&f)) {
		size_t length = gen_desc(g, NPU_OP_ENDL, &desc);

		memcpy((uint8_t *)cmds + at, &desc, length);
		at += length;
	}
	gen_desc(g, NPU_OP_END, &desc);
	memcpy((uint8_t *)cmds + at, &desc, NPU_LINE_BYTES);
	g->no_ports = !ports;
	return at + NPU_LINE_BYTES;
}
