/* SPDX-License-Identifier: MIT */
/*
 * Tiles of copies and fills. Between two memory tensors they need no engine
 * but DMA; between two tensors that live in SPM they are maps.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

/* A copy's nest is kept as a map without a program: output first, input if any. */
enum { OUT, IN };

static bool has_input(const struct kir_map *m)
{
	return m->operands > IN;
}

static struct kir_map nest_of(const struct kir_copy *c)
{
	struct kir_map m = {
		.ndim = c->ndim,
		.operands = c->in.tensor == KIR_NO_TENSOR ? 1 : 2,
		.operand = { { .view = c->out, .write = true }, { .view = c->in } },
	};

	memcpy(m.dim, c->dim, sizeof(c->dim));
	nc_map_collapse(&m);
	return m;
}

/* The last four loops of an operand, moved to where the outer ones stand. */
static struct kir_view view_at(const struct kir_map *m, unsigned int operand,
			       const struct nc_nest *nest)
{
	struct kir_view v = nc_map_inner(m).operand[operand].view;

	for (unsigned int i = 0; i < nest->dims; i++)
		v.offset += nest->at[i] * m->operand[operand].view.stride[i];
	return v;
}

struct copy_arg {
	struct nc_back *b;
	const struct kir_map *inner;
};

static struct nc_cost copy_cost(const void *arg, const uint32_t *tile)
{
	const struct copy_arg *a = arg;
	struct nc_nest nest = { .dims = NC_LOOPS };
	struct nc_model m = { 0 };
	struct nc_operand o = { .write = true };

	memcpy(nest.full, a->inner->dim, NC_LOOPS * sizeof(*tile));
	memcpy(nest.tile, tile, NC_LOOPS * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	nc_operand_view(a->b, &o, &a->inner->operand[OUT].view, NULL, tile, NC_PACK_MEMORY);
	nc_model_dma(a->b, &m, &o, m.tiles);
	if (has_input(a->inner)) {
		m.bytes = 0;
		o = (struct nc_operand){ 0 };
		nc_operand_view(a->b, &o, &a->inner->operand[IN].view, NULL, tile, NC_PACK_ROWS);
		nc_model_dma(a->b, &m, &o, m.tiles);
	}
	return nc_model_cost(a->b, &m);
}

static int add_fill(struct nc_back *b, const struct kir_op *op, const struct kir_map *m,
		    const struct nc_nest *nest)
{
	struct nc_tile *t = nc_add_tile(b, NPU_OP_FILL, op->node, 1);
	struct kir_view out = view_at(m, OUT, nest);

	if (!t)
		return -ENOMEM;
	t->value = op->copy.value;
	nc_operand_view(b, &t->operand[0], &out, NULL, nest->size + nest->dims - NC_LOOPS,
			NC_PACK_MEMORY);
	t->operand[0].write = true;
	return 0;
}

/* Both operands name one place in SPM: at most one of them is resident. */
static int add_copy(struct nc_back *b, const struct kir_op *op, const struct kir_map *m,
		    const struct nc_nest *nest)
{
	struct nc_tile *t = nc_add_tile(b, NC_COPY, op->node, 2);
	const uint32_t *size = nest->size + nest->dims - NC_LOOPS;
	struct kir_view in = view_at(m, IN, nest), out = view_at(m, OUT, nest);

	if (!t)
		return -ENOMEM;
	nc_operand_view(b, &t->operand[0], &in, NULL, size, NC_PACK_ROWS);
	nc_operand_view(b, &t->operand[1], &out, NULL, size, NC_PACK_ROWS);
	t->operand[1].write = true;
	return 0;
}

/* LD and ST, for tensors that DMA does not reach. */
static int copy_as_map(struct nc_back *b, const struct kir_op *op)
{
	struct kir_op map = { .kind = KIR_MAP, .node = op->node, .map = nest_of(&op->copy) };

	map.map.uops = 2;
	map.map.uop[0] = NPU_UOP_WORD(NPU_UOP_LD, 0, IN, 0, 0);
	map.map.uop[1] = NPU_UOP_WORD(NPU_UOP_ST, OUT, 0, 0, 0);
	return nc_tile_map(b, &map);
}

int nc_tile_copy(struct nc_back *b, const struct kir_op *op)
{
	struct kir_map m = nest_of(&op->copy), inner = nc_map_inner(&m);
	unsigned int outer = m.ndim - NC_LOOPS;
	struct copy_arg arg = { .b = b, .inner = &inner };
	struct nc_search s = { .dims = NC_LOOPS, .cost = copy_cost, .arg = &arg };
	struct nc_nest nest = { .dims = m.ndim };
	int ret;

	if (has_input(&m) && nc_resident(b, op->copy.in.tensor) &&
	    nc_resident(b, op->copy.out.tensor))
		return copy_as_map(b, op);
	memcpy(s.full, inner.dim, NC_LOOPS * sizeof(s.full[0]));
	if (!nc_search(&s))
		return nc_op_error(b, op->node, "the smallest tile of the copy does not fit %u bytes of scratchpad",
				   nc_cache_bytes(b));
	for (unsigned int i = 0; i < m.ndim; i++) {
		nest.full[i] = m.dim[i];
		nest.tile[i] = i < outer ? 1 : s.tile[i - outer];
	}
	nc_nest_first(&nest);
	do
		ret = has_input(&m) ? add_copy(b, op, &m, &nest) : add_fill(b, op, &m, &nest);
	while (!ret && nc_nest_next(&nest));
	return ret;
}
