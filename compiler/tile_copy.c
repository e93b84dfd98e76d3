/* SPDX-License-Identifier: MIT */
/*
 * Tiles of copies and fills. Between two memory tensors they need no engine
 * but DMA; between two tensors that live in SPM they are maps.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

struct copy_arg {
	struct nc_back *b;
	const struct kir_view *in;
	const struct kir_view *out;
	const uint32_t *full;
};

static bool has_input(const struct kir_copy *c)
{
	return c->in.tensor != KIR_NO_TENSOR;
}

static bool composes(const struct kir_copy *c, unsigned int outer, unsigned int inner)
{
	int64_t dim = c->dim[inner];

	return c->out.stride[outer] == c->out.stride[inner] * dim &&
	       (!has_input(c) || c->in.stride[outer] == c->in.stride[inner] * dim);
}

static void keep_dim(struct kir_copy *c, unsigned int to, unsigned int from)
{
	c->dim[to] = c->dim[from];
	c->in.stride[to] = c->in.stride[from];
	c->out.stride[to] = c->out.stride[from];
}

/* As few dimensions as the views allow, but four at least. */
static void collapse(struct kir_copy *c)
{
	unsigned int ndim = 0;

	for (unsigned int i = 0; i < c->ndim; i++) {
		uint64_t merged;

		if (c->dim[i] == 1)
			continue;
		merged = ndim ? (uint64_t)c->dim[ndim - 1] * c->dim[i] : 0;
		if (ndim && merged <= UINT32_MAX && composes(c, ndim - 1, i)) {
			keep_dim(c, ndim - 1, i);
			c->dim[ndim - 1] = (uint32_t)merged;
		} else {
			keep_dim(c, ndim++, i);
		}
	}
	for (; ndim < NC_LOOPS; ndim++) {
		for (unsigned int i = ndim; i > 0; i--)
			keep_dim(c, i, i - 1);
		c->dim[0] = 1;
		c->in.stride[0] = 0;
		c->out.stride[0] = 0;
	}
	c->ndim = ndim;
}

/* The last four loops of @view, moved to @at of the outer ones. */
static struct kir_view inner_view(const struct kir_view *view, const struct nc_nest *nest)
{
	unsigned int outer = nest->dims - NC_LOOPS;
	struct kir_view v = *view;

	for (unsigned int i = 0; i < nest->dims; i++)
		v.offset += nest->at[i] * view->stride[i];
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		v.stride[i] = view->stride[i + outer];
	return v;
}

static struct nc_cost copy_cost(const void *arg, const uint32_t *tile)
{
	const struct copy_arg *a = arg;
	struct nc_nest nest = { .dims = NC_LOOPS };
	struct nc_model m = { 0 };
	struct nc_operand o = { .write = true };

	memcpy(nest.full, a->full, NC_LOOPS * sizeof(*tile));
	memcpy(nest.tile, tile, NC_LOOPS * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	nc_operand_view(a->b, &o, a->out, NULL, tile, NC_PACK_MEMORY);
	nc_model_dma(a->b, &m, &o, m.tiles);
	if (a->in->tensor != KIR_NO_TENSOR) {
		m.bytes = 0;
		o = (struct nc_operand){ 0 };
		nc_operand_view(a->b, &o, a->in, NULL, tile, NC_PACK_ROWS);
		nc_model_dma(a->b, &m, &o, m.tiles);
	}
	return nc_model_cost(a->b, &m);
}

static int add_fill(struct nc_back *b, uint32_t node, const struct kir_copy *c,
		    const struct nc_nest *nest)
{
	struct nc_tile *t = nc_add_tile(b, NPU_OP_FILL, node, 1);
	struct kir_view out = inner_view(&c->out, nest);

	if (!t)
		return -ENOMEM;
	t->value = c->value;
	nc_operand_view(b, &t->operand[0], &out, NULL, nest->size + nest->dims - NC_LOOPS,
			NC_PACK_MEMORY);
	t->operand[0].write = true;
	return 0;
}

/* Both operands name one place in SPM: at most one of them is resident. */
static int add_copy(struct nc_back *b, uint32_t node, const struct kir_copy *c,
		    const struct nc_nest *nest)
{
	struct nc_tile *t = nc_add_tile(b, NC_COPY, node, 2);
	const uint32_t *size = nest->size + nest->dims - NC_LOOPS;
	struct kir_view in = inner_view(&c->in, nest), out = inner_view(&c->out, nest);

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
	const struct kir_copy *c = &op->copy;
	struct kir_op map = { .kind = KIR_MAP, .node = op->node };

	map.map = (struct kir_map){
		.ndim = c->ndim,
		.operands = 2,
		.operand = { { .view = c->in }, { .view = c->out, .write = true } },
		.uops = 2,
		.uop = { NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0), NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0) },
	};
	memcpy(map.map.dim, c->dim, sizeof(c->dim));
	return nc_tile_map(b, &map);
}

int nc_tile_copy(struct nc_back *b, const struct kir_op *op)
{
	struct kir_copy c = op->copy;
	struct copy_arg arg = { .b = b };
	struct nc_search s = { .dims = NC_LOOPS, .cost = copy_cost, .arg = &arg };
	struct nc_nest nest = { 0 };
	struct kir_view in, out;
	int ret = 0;

	if (has_input(&c) && nc_resident(b, c.in.tensor) && nc_resident(b, c.out.tensor))
		return copy_as_map(b, op);
	collapse(&c);
	nest.dims = c.ndim;
	in = inner_view(&c.in, &nest);
	out = inner_view(&c.out, &nest);
	arg.in = &in;
	arg.out = &out;
	arg.full = s.full;
	memcpy(s.full, c.dim + c.ndim - NC_LOOPS, NC_LOOPS * sizeof(s.full[0]));
	if (!nc_search(&s))
		return nc_op_error(b, op->node, "the smallest tile of the copy does not fit %u bytes of scratchpad",
				   nc_cache_bytes(b));
	for (unsigned int i = 0; i < c.ndim; i++) {
		nest.full[i] = c.dim[i];
		nest.tile[i] = i < c.ndim - NC_LOOPS ? 1 : s.tile[i - (c.ndim - NC_LOOPS)];
	}
	nc_nest_first(&nest);
	do
		ret = has_input(&c) ? add_copy(b, op->node, &c, &nest) :
			add_fill(b, op->node, &c, &nest);
	while (!ret && nc_nest_next(&nest));
	return ret;
}
