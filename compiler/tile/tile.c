/* SPDX-License-Identifier: MIT */
/*
 * Tile: every operation becomes a sequence of tile operations whose data fits
 * the memories of the target.
 *
 * requires: legal kernel IR, homes in SPM (plan)
 * establishes: nc_back.tile and .buffer; each tile operation's operands fit
 *	the cache, its buffers the accumulators. Splitting changes no result:
 *	contractions and reductions are cut where HW 9 allows, in its order.
 */
#include "nc.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "kir/kir_view.h"
#include "npu_check.h"

static void *grow(struct nc_back *b, void *array, uint32_t count, uint32_t *room, size_t size)
{
	uint32_t bigger = *room ? *room * 2 : 64;
	void *p;

	if (count < *room)
		return array;
	p = *room > UINT32_MAX / 2 ? NULL : nc_alloc_array(b->arena, bigger, size);
	if (!p) {
		nc_no_memory(b);
		return NULL;
	}
	if (count)
		memcpy(p, array, count * size);
	*room = bigger;
	return p;
}

struct nc_tile *nc_add_tile(struct nc_back *b, unsigned int opcode, uint32_t node,
			    unsigned int operands)
{
	struct nc_tile **array = grow(b, b->tile, b->tiles, &b->tile_room, sizeof(*array));
	struct nc_tile *t;

	if (!array)
		return NULL;
	b->tile = array;
	t = nc_alloc(b->arena, sizeof(*t) + operands * sizeof(t->operand[0]));
	if (!t) {
		nc_no_memory(b);
		return NULL;
	}
	t->opcode = (uint8_t)opcode;
	t->node = node;
	t->operands = operands;
	array[b->tiles++] = t;
	return t;
}

uint32_t nc_add_buffer(struct nc_back *b, uint8_t space, uint8_t dtype, uint64_t elems)
{
	struct nc_buffer *array = grow(b, b->buffer, b->buffers, &b->buffer_room, sizeof(*array));

	if (!array)
		return UINT32_MAX;
	b->buffer = array;
	array[b->buffers] = (struct nc_buffer){
		.space = space,
		.dtype = dtype,
		.bytes = (uint32_t)(elems * npu_dtype_bytes(dtype)),
		.first_tile = UINT32_MAX,
	};
	return b->buffers++;
}

/* First and last use of each buffer. */
static void buffer_uses(struct nc_back *b)
{
	for (uint32_t i = 0; i < b->tiles; i++)
		for (uint32_t j = 0; j < b->tile[i]->operands; j++) {
			const struct nc_operand *o = &b->tile[i]->operand[j];
			struct nc_buffer *buf;

			if (o->tensor != KIR_NO_TENSOR)
				continue;
			buf = &b->buffer[o->buffer];
			if (buf->first_tile == UINT32_MAX)
				buf->first_tile = i;
			buf->last_tile = i;
		}
}

/* A DMA step is 32 bits of bytes; nothing smaller helps but another layout. */
static int check_strides(struct nc_back *b, struct kir_op *op)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count = kir_op_accesses(op, access);

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int d = 0; d < access[i].ndim; d++) {
			int64_t stride = access[i].view->stride[d];

			if (access[i].dim[d] > 1 && (stride > INT32_MAX / 8 || stride < INT32_MIN / 8))
				return nc_op_error(b, op->node,
						   "%s moves by %lld elements per step; the DMA engine's steps are below 2 GiB: use a smaller batch",
						   access[i].name, (long long)stride);
		}
	return 0;
}

static int tile_op(struct nc_back *b, struct kir_op *op)
{
	int ret = check_strides(b, op);

	if (ret)
		return ret;
	switch (op->kind) {
	case KIR_MATMUL:
		return nc_tile_matmul(b, op);
	case KIR_CONV:
		return nc_tile_conv(b, op);
	case KIR_WGRAD:
		return nc_tile_wgrad(b, op);
	case KIR_MAP:
		return nc_tile_map(b, op);
	case KIR_REDUCE:
		return nc_tile_reduce(b, op);
	case KIR_POOL:
		return nc_tile_pool(b, op);
	case KIR_UNPOOL:
		return nc_tile_unpool(b, op);
	case KIR_COPY:
		return nc_tile_copy(b, op);
	case KIR_GATHER:
		return nc_tile_gather(b, op);
	}
	return -EINVAL;
}

/* Tensors that tiling added live in memory. */
static int extend_homes(struct nc_back *b)
{
	struct nc_home *home = nc_alloc_array(b->arena, (size_t)b->k->tensors + 1, sizeof(*home));

	if (!home)
		return nc_no_memory(b);
	memcpy(home, b->home, b->homes * sizeof(*home));
	for (uint32_t i = b->homes; i < b->k->tensors; i++)
		home[i].in_memory = true;
	b->home = home;
	b->homes = b->k->tensors;
	return 0;
}

int nc_tile(struct nc_back *b)
{
	b->tiles = 0;
	b->buffers = 0;
	for (uint32_t i = 0; i < b->k->ops; i++) {
		int ret = tile_op(b, b->k->op[i]);

		if (ret)
			return ret;
	}
	buffer_uses(b);
	return extend_homes(b);
}

static void dump_operand(const struct nc_back *b, const struct nc_operand *o, FILE *out)
{
	if (o->tensor == KIR_NO_TENSOR)
		fprintf(out, " %s%s%" PRIu32 "+%" PRId64, o->write ? ">" : "",
			b->buffer[o->buffer].space == NPU_SPACE_ACC ? "acc" : "spm", o->buffer,
			o->offset);
	else
		fprintf(out, " %st%" PRIu32 "+%" PRId64, o->write ? ">" : "", o->tensor, o->offset);
	fputc('[', out);
	for (unsigned int i = 0; i < NC_LOOPS; i++) {
		fprintf(out, "%s%" PRIu32, i ? " " : "", o->dim[i]);
		if (o->dim[i] > 1 && o->tensor != KIR_NO_TENSOR)
			fprintf(out, ":%" PRId64, o->stride[i]);
		if (o->dim[i] > 1)
			fprintf(out, "/%" PRId32, o->spm_stride[i]);
	}
	fputc(']', out);
}

int nc_tile_dump(const struct nc_back *b, FILE *out)
{
	for (uint32_t i = 0; i < b->tiles; i++) {
		const struct nc_tile *t = b->tile[i];

		fprintf(out, "%s n%" PRIu32, t->opcode == NC_COPY ? "COPY" : npu_op_name(t->opcode),
			t->node);
		if (t->flags)
			fprintf(out, " flags=0x%x", t->flags);
		if (t->opcode == NPU_OP_CONV || t->opcode == NPU_OP_WGRAD ||
		    t->opcode == NPU_OP_POOL || t->opcode == NPU_OP_UNPOOL)
			fprintf(out, " n=%u h=%u w=%u c=%u oh=%u ow=%u k=%u kh=%u kw=%u pad=[%d,%d]",
				t->shape.n, t->shape.h, t->shape.w, t->shape.c, t->shape.oh,
				t->shape.ow, t->shape.k, t->shape.kh, t->shape.kw,
				t->shape.pad_top, t->shape.pad_left);
		else
			fprintf(out, " dim=[%u,%u,%u,%u,%u]", t->dim[0], t->dim[1], t->dim[2],
				t->dim[3], t->dim[4]);
		if ((t->opcode == NPU_OP_POOL || t->opcode == NPU_OP_UNPOOL) && t->index_row)
			fprintf(out, " index=%" PRId32 "+%" PRId32, t->index_row, t->index_base);
		if (t->opcode == NPU_OP_MAP && t->iota_base)
			fprintf(out, " iota=%" PRIu32, t->iota_base);
		for (uint32_t j = 0; j < t->operands; j++)
			dump_operand(b, &t->operand[j], out);
		fputc('\n', out);
	}
	return ferror(out) ? -EIO : 0;
}
