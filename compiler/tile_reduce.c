/* SPDX-License-Identifier: MIT */
/*
 * Tiles of reductions. Kept dimensions are tiled at will; the reduced elements
 * of an output are cut into ranges of their numbering that start at multiples
 * of 16, which continue each other's 16 lanes (HW 9.3).
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

/* The operation with kept dimensions first; four dimensions at least. */
struct reduce_arg {
	struct nc_back *b;
	const struct kir_reduce *op;
	unsigned int ndim;
	unsigned int kept;
	uint32_t dim[NC_SEARCH_DIMS];
	int64_t in_stride[NC_SEARCH_DIMS];
	int64_t out_stride[NC_SEARCH_DIMS];
	bool arg;
};

static void add_dim(struct reduce_arg *a, uint32_t dim, int64_t in, int64_t out)
{
	a->dim[a->ndim] = dim;
	a->in_stride[a->ndim] = in;
	a->out_stride[a->ndim] = out;
	a->ndim++;
}

/* Append the dimensions of one sort, merging those that compose. */
static void add_dims(struct reduce_arg *a, bool reduced)
{
	const struct kir_reduce *op = a->op;
	unsigned int first = a->ndim;

	for (unsigned int i = 0; i < op->ndim; i++) {
		unsigned int last = a->ndim - 1;
		int64_t in = op->in.stride[i], out = reduced ? 0 : op->out.stride[i];

		if (op->dim[i] == 1 || (op->axes >> i & 1) != reduced)
			continue;
		if (a->ndim > first && a->in_stride[last] == in * op->dim[i] &&
		    a->out_stride[last] == out * op->dim[i] &&
		    (uint64_t)a->dim[last] * op->dim[i] <= UINT32_MAX) {
			a->dim[last] *= op->dim[i];
			a->in_stride[last] = in;
			a->out_stride[last] = out;
		} else {
			add_dim(a, op->dim[i], in, out);
		}
	}
}

static void normalise(struct reduce_arg *a)
{
	unsigned int pad = 0;

	/* At most three dimensions of 1 in front, so that there are four. */
	add_dims(a, false);
	add_dims(a, true);
	if (a->ndim < NC_LOOPS)
		pad = NC_LOOPS - a->ndim;
	a->ndim = 0;
	for (unsigned int i = 0; i < pad; i++)
		add_dim(a, 1, 0, 0);
	add_dims(a, false);
	a->kept = a->ndim;
	add_dims(a, true);
	if (a->kept == a->ndim)
		add_dim(a, 1, 0, 0);
}

/* The reduced part of every tile is a range that starts at a multiple of 16. */
static bool splits_lanes(const struct reduce_arg *a, const uint32_t *tile, bool *legal)
{
	uint64_t inner = 1;
	bool split = false;

	*legal = true;
	for (unsigned int i = a->ndim; i-- > a->kept;) {
		if (tile[i] < a->dim[i]) {
			uint64_t step = inner * tile[i];

			split = true;
			if (step % NPU_REDUCE_LANES)
				*legal = false;
			/* Only outermost dimensions are cut further, one at a time. */
			for (unsigned int j = a->kept; j < i; j++)
				if (tile[j] != 1)
					*legal = false;
		}
		inner *= a->dim[i];
	}
	return split;
}

static unsigned int axes(const struct reduce_arg *a)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < NC_LOOPS; i++)
		if (a->ndim - NC_LOOPS + i >= a->kept)
			mask |= 1u << i;
	return mask;
}

static struct kir_view loops_view(const struct reduce_arg *a, const struct kir_view *view,
				  const int64_t *stride, const uint32_t *at)
{
	struct kir_view v = { .tensor = view->tensor, .offset = view->offset };

	for (unsigned int i = 0; i < a->ndim; i++)
		v.offset += at[i] * stride[i];
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		v.stride[i] = stride[a->ndim - NC_LOOPS + i];
	return v;
}

static void kept_dims(const struct reduce_arg *a, const uint32_t *size, uint32_t dim[NC_LOOPS])
{
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		dim[i] = axes(a) >> i & 1 ? 1 : size[a->ndim - NC_LOOPS + i];
}

static struct nc_cost reduce_cost(const void *arg, const uint32_t *tile)
{
	static const uint32_t origin[NC_SEARCH_DIMS];
	const struct reduce_arg *a = arg;
	uint8_t room[NPU_DESC_BYTES_MAX] __attribute__((aligned(8))) = { 0 };
	struct npu_desc_reduce *d = (void *)room;
	struct kir_view in = loops_view(a, &a->op->in, a->in_stride, origin);
	struct kir_view out = loops_view(a, &a->op->out, a->out_stride, origin);
	struct nc_operand o = { 0 };
	struct nc_nest nest = { .dims = a->ndim };
	struct nc_model m = { 0 };
	uint32_t kept[NC_LOOPS];
	bool legal, split = splits_lanes(a, tile, &legal);

	if (!legal || (split && a->arg))
		return (struct nc_cost){ .pressure = UINT64_MAX, .cycles = UINT64_MAX };
	memcpy(nest.full, a->dim, sizeof(a->dim));
	memcpy(nest.tile, tile, a->ndim * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	d->hdr.opcode = NPU_OP_REDUCE;
	d->axes = (uint8_t)axes(a);
	memcpy(d->dim, tile + a->ndim - NC_LOOPS, sizeof(d->dim));
	kept_dims(a, tile, kept);
	m.ve = npu_ve_cycles(&a->b->timing, d) * m.tiles;
	nc_operand_view(a->b, &o, &in, NULL, d->dim, NC_PACK_MEMORY);
	nc_model_dma(a->b, &m, &o, m.tiles);
	o = (struct nc_operand){ .write = true };
	nc_operand_view(a->b, &o, &out, NULL, kept, NC_PACK_MEMORY);
	nc_model_dma(a->b, &m, &o, m.tiles);
	if (split)
		m.bytes += npu_sat_mul(npu_dims_elems(kept, NC_LOOPS), 4 * NPU_REDUCE_LANES) +
			NC_ALIGN_BYTES;
	return nc_model_cost(a->b, &m);
}

/* ---- tiles ---- */

static struct nc_tile *add_reduce(struct reduce_arg *a, uint32_t node, const struct nc_nest *nest,
				  unsigned int flags)
{
	struct nc_tile *t = nc_add_tile(a->b, NPU_OP_REDUCE, node, 2);
	struct kir_view in = loops_view(a, &a->op->in, a->in_stride, nest->at);

	if (!t)
		return NULL;
	t->flags = (uint16_t)flags;
	t->rop = (uint8_t)a->op->rop;
	t->axes = (uint8_t)axes(a);
	memcpy(t->dim, nest->size + a->ndim - NC_LOOPS, NC_LOOPS * sizeof(t->dim[0]));
	nc_operand_view(a->b, &t->operand[0], &in, NULL, t->dim, NC_PACK_MEMORY);
	t->operand[1].write = true;
	return t;
}

static int add_whole(struct reduce_arg *a, uint32_t node, const struct nc_nest *nest)
{
	struct kir_view out = loops_view(a, &a->op->out, a->out_stride, nest->at);
	struct nc_tile *t = add_reduce(a, node, nest, 0);
	uint32_t kept[NC_LOOPS];

	if (!t)
		return -ENOMEM;
	kept_dims(a, nest->size, kept);
	nc_operand_view(a->b, &t->operand[1], &out, NULL, kept, NC_PACK_MEMORY);
	return 0;
}

/* Element 0 of each output's lanes is its result after the last range. */
static int add_result(struct reduce_arg *a, uint32_t node, const struct nc_nest *nest,
		      const struct nc_acc *lanes)
{
	struct kir_map *map = nc_alloc(a->b->arena, sizeof(*map));
	uint32_t kept[NC_LOOPS];

	if (!map)
		return nc_no_memory(a->b);
	kept_dims(a, nest->size, kept);
	*map = (struct kir_map){
		.ndim = NC_LOOPS,
		.operands = 2,
		.operand = {
			{ .acc = true },
			{ .view = loops_view(a, &a->op->out, a->out_stride, nest->at),
			  .write = true },
		},
		.uops = 2,
		.uop = { NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0), NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0) },
	};
	return nc_add_map(a->b, node, map, NULL, kept, lanes, 0);
}

/* One tile of outputs, reduced range after range. */
static int add_split(struct reduce_arg *a, uint32_t node, struct nc_nest *outs,
		     const uint32_t *tile)
{
	struct nc_nest ranges = *outs;
	struct nc_acc lanes = { 0 };
	uint32_t kept[NC_LOOPS];
	uint64_t elems = NPU_REDUCE_LANES;
	unsigned int flags = NPU_F_LANES_OUT;
	bool more;

	kept_dims(a, outs->size, kept);
	for (unsigned int i = NC_LOOPS; i-- > 0;) {
		lanes.stride[i] = (int32_t)elems;
		elems *= kept[i];
	}
	lanes.buffer = nc_add_buffer(a->b, NPU_SPACE_SPM, a->b->k->tensor[a->op->in.tensor].dtype,
				     elems);
	if (lanes.buffer == UINT32_MAX)
		return -ENOMEM;
	/* The nest of the ranges: kept dimensions are one tile, where @outs stands. */
	for (unsigned int i = 0; i < a->ndim; i++)
		ranges.tile[i] = i < a->kept ? ranges.full[i] : tile[i];
	nc_nest_first(&ranges);
	do {
		struct nc_nest at = ranges;
		struct nc_tile *t;

		for (unsigned int i = 0; i < a->kept; i++) {
			at.at[i] = outs->at[i];
			at.size[i] = outs->size[i];
		}
		more = nc_nest_next(&ranges);
		if (!more)
			flags &= ~NPU_F_LANES_OUT;
		t = add_reduce(a, node, &at, flags);
		if (!t)
			return -ENOMEM;
		nc_operand_buffer(a->b, &t->operand[1], lanes.buffer, 0, kept, lanes.stride);
		t->operand[1].write = true;
		flags = NPU_F_LANES_IN | NPU_F_LANES_OUT;
	} while (more);
	return add_result(a, node, outs, &lanes);
}

int nc_tile_reduce(struct nc_back *b, const struct kir_op *op)
{
	struct reduce_arg a = {
		.b = b, .op = &op->reduce,
		.arg = op->reduce.rop == NPU_ROP_ARGMAX || op->reduce.rop == NPU_ROP_ARGMIN,
	};
	struct nc_search s = { .cost = reduce_cost, .arg = &a };
	struct nc_nest outs = { 0 };
	bool legal, split;
	int ret;

	normalise(&a);
	if (a.ndim - a.kept > NC_LOOPS)
		return nc_op_error(b, op->node, "more than four reduced dimensions that do not merge");
	s.dims = a.ndim;
	for (unsigned int i = 0; i < a.ndim; i++) {
		s.full[i] = i + NC_LOOPS < a.ndim ? 1 : a.dim[i];
		if (i + 1 == a.ndim)
			s.granule[i] = NPU_REDUCE_LANES;
	}
	if (!nc_search(&s))
		return nc_op_error(b, op->node, "the elements of one %s result do not fit %u bytes of scratchpad%s",
				   npu_rop_name(op->reduce.rop), nc_cache_bytes(b),
				   a.arg ? " and cannot be split" : "");
	split = splits_lanes(&a, s.tile, &legal);
	outs.dims = a.ndim;
	memcpy(outs.full, a.dim, sizeof(a.dim));
	memcpy(outs.tile, a.dim, sizeof(a.dim));
	memcpy(outs.tile, s.tile, a.kept * sizeof(s.tile[0]));
	nc_nest_first(&outs);
	do
		ret = split ? add_split(&a, op->node, &outs, s.tile) : add_whole(&a, op->node, &outs);
	while (!ret && nc_nest_next(&outs));
	return ret;
}
