/* SPDX-License-Identifier: MIT */
/*
 * Tiles of reductions. Kept dimensions are tiled at will; the reduced elements
 * of an output are cut into ranges of their numbering, which start at
 * multiples of 16 (HW 9.3). When the input's layout has no such ranges, it is
 * packed first.
 */
#include "tile_reduce.h"

#include <errno.h>
#include <string.h>

#include "npu_check.h"

static void add_dim(struct reduction *r, uint32_t dim, int64_t in, int64_t out)
{
	r->dim[r->ndim] = dim;
	r->in_stride[r->ndim] = in;
	r->out_stride[r->ndim] = out;
	r->ndim++;
}

/* Append the dimensions of one sort, merging those that compose. */
static void add_dims(struct reduction *r, bool reduced)
{
	const struct kir_reduce *op = r->op;
	unsigned int first = r->ndim;

	for (unsigned int i = 0; i < op->ndim; i++) {
		unsigned int last = r->ndim - 1;
		int64_t in = op->in.stride[i], out = reduced ? 0 : op->out.stride[i];

		if (op->dim[i] == 1 || (op->axes >> i & 1) != reduced)
			continue;
		if (r->ndim > first && r->in_stride[last] == in * op->dim[i] &&
		    r->out_stride[last] == out * op->dim[i] &&
		    (uint64_t)r->dim[last] * op->dim[i] <= UINT32_MAX) {
			r->dim[last] *= op->dim[i];
			r->in_stride[last] = in;
			r->out_stride[last] = out;
		} else {
			add_dim(r, op->dim[i], in, out);
		}
	}
}

static void normalise(struct reduction *r)
{
	unsigned int pad = 0;

	/* Once to count, then with dimensions of 1 in front, so that there are four. */
	r->ndim = 0;
	add_dims(r, false);
	add_dims(r, true);
	if (r->ndim < NC_LOOPS)
		pad = NC_LOOPS - r->ndim;
	r->ndim = 0;
	for (unsigned int i = 0; i < pad; i++)
		add_dim(r, 1, 0, 0);
	add_dims(r, false);
	r->kept = r->ndim;
	add_dims(r, true);
	if (r->kept == r->ndim)
		add_dim(r, 1, 0, 0);
}

/*
 * Whether reduced dimensions are cut, and if so, whether every tile is a range
 * of the numbering that starts where it may.
 */
static bool is_split(const struct reduction *r, const uint32_t *tile, bool *legal)
{
	uint64_t inner = 1;
	bool split = false;

	*legal = true;
	for (unsigned int i = r->ndim; i-- > r->kept;) {
		if (tile[i] < r->dim[i]) {
			split = true;
			if (!r->arg && inner * tile[i] % NPU_REDUCE_LANES)
				*legal = false;
			for (unsigned int j = r->kept; j < i; j++)
				if (tile[j] != 1)
					*legal = false;
		}
		inner *= r->dim[i];
	}
	return split;
}

static unsigned int axes(const struct reduction *r)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < NC_LOOPS; i++)
		if (r->ndim - NC_LOOPS + i >= r->kept)
			mask |= 1u << i;
	return mask;
}

struct kir_view reduction_view(const struct reduction *r, const struct kir_view *view,
			       const int64_t *stride, const uint32_t *at)
{
	struct kir_view v = { .tensor = view->tensor, .offset = view->offset };

	for (unsigned int i = 0; i < r->ndim; i++)
		v.offset += at[i] * stride[i];
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		v.stride[i] = stride[r->ndim - NC_LOOPS + i];
	return v;
}

void reduction_kept(const struct reduction *r, const uint32_t *size, uint32_t dim[NC_LOOPS])
{
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		dim[i] = axes(r) >> i & 1 ? 1 : size[r->ndim - NC_LOOPS + i];
}

static struct nc_cost reduce_cost(const void *arg, const uint32_t *tile)
{
	static const uint32_t origin[NC_SEARCH_DIMS];
	const struct reduction *r = arg;
	union nc_desc desc = { .hdr.opcode = NPU_OP_REDUCE };
	struct npu_desc_reduce *d = &desc.reduce;
	struct kir_view in = reduction_view(r, &r->op->in, r->in_stride, origin);
	struct kir_view out = reduction_view(r, &r->op->out, r->out_stride, origin);
	struct nc_operand o = { 0 };
	struct nc_nest nest = { .dims = r->ndim };
	struct nc_model m = { 0 };
	uint32_t kept[NC_LOOPS];
	bool legal, split = is_split(r, tile, &legal);

	if (!legal)
		return (struct nc_cost){ .pressure = UINT64_MAX, .cycles = UINT64_MAX };
	memcpy(nest.full, r->dim, sizeof(r->dim));
	memcpy(nest.tile, tile, r->ndim * sizeof(*tile));
	m.tiles = nc_nest_tiles(&nest);
	d->axes = (uint8_t)axes(r);
	memcpy(d->dim, tile + r->ndim - NC_LOOPS, sizeof(d->dim));
	reduction_kept(r, tile, kept);
	m.ve = npu_ve_cycles(&r->b->timing, &desc) * m.tiles * (r->arg && split ? 2 : 1);
	nc_operand_view(r->b, &o, &in, NULL, d->dim, NC_PACK_MEMORY);
	nc_model_dma(r->b, &m, &o, m.tiles);
	o = (struct nc_operand){ .write = true };
	nc_operand_view(r->b, &o, &out, NULL, kept, NC_PACK_MEMORY);
	nc_model_dma(r->b, &m, &o, m.tiles);
	if (split)
		m.bytes += reduction_state_bytes(r, tile);
	return nc_model_cost(r->b, &m);
}

/* ---- tiles ---- */

struct nc_tile *reduction_add(struct reduction *r, const struct nc_nest *nest, enum npu_rop rop,
			      unsigned int flags)
{
	struct nc_tile *t = nc_add_tile(r->b, NPU_OP_REDUCE, r->node, 2);
	struct kir_view in = reduction_view(r, &r->op->in, r->in_stride, nest->at);

	if (!t)
		return NULL;
	t->flags = (uint16_t)(flags | (r->op->trap ? NPU_F_TRAP : 0));
	t->rop = (uint8_t)rop;
	t->axes = (uint8_t)axes(r);
	memcpy(t->dim, nest->size + r->ndim - NC_LOOPS, NC_LOOPS * sizeof(t->dim[0]));
	nc_operand_view(r->b, &t->operand[0], &in, NULL, t->dim, NC_PACK_MEMORY);
	t->operand[1].write = true;
	return t;
}

static int add_whole(struct reduction *r, const struct nc_nest *nest)
{
	struct kir_view out = reduction_view(r, &r->op->out, r->out_stride, nest->at);
	struct nc_tile *t = reduction_add(r, nest, r->op->rop, 0);
	uint32_t kept[NC_LOOPS];

	if (!t)
		return -ENOMEM;
	reduction_kept(r, nest->size, kept);
	nc_operand_view(r->b, &t->operand[1], &out, NULL, kept, NC_PACK_MEMORY);
	return 0;
}

static int add_tiles(struct reduction *r, const uint32_t *tile)
{
	struct nc_nest outs = { .dims = r->ndim };
	bool legal, split = is_split(r, tile, &legal);
	int ret;

	memcpy(outs.full, r->dim, sizeof(r->dim));
	memcpy(outs.tile, r->dim, sizeof(r->dim));
	memcpy(outs.tile, tile, r->kept * sizeof(*tile));
	nc_nest_first(&outs);
	do
		ret = split ? reduction_split(r, &outs, tile) : add_whole(r, &outs);
	while (!ret && nc_nest_next(&outs));
	return ret;
}

static bool search(struct reduction *r, uint32_t *tile)
{
	struct nc_search s = { .cost = reduce_cost, .arg = r };

	normalise(r);
	if (r->ndim - r->kept > NC_LOOPS)
		return false;
	s.dims = r->ndim;
	for (unsigned int i = 0; i < r->ndim; i++)
		s.full[i] = i + NC_LOOPS < r->ndim ? 1 : r->dim[i];
	s.granule[r->ndim - 1] = NPU_REDUCE_LANES;
	if (!nc_search(&s))
		return false;
	memcpy(tile, s.tile, sizeof(s.tile));
	return true;
}

/* A copy of the input whose reduced elements follow each other in @packed. */
static int pack_input(struct nc_back *b, uint32_t node, const struct kir_reduce *op,
		      struct kir_reduce *packed)
{
	struct kir_op copy = { .kind = KIR_COPY, .node = node };
	struct kir_tensor t = {
		.kind = KIR_TEMP,
		.dtype = kir_dtype(b->k->tensor[op->in.tensor].dtype),
		.elems = 1,
		.name = "packed",
	};
	int64_t tensor;

	*packed = *op;
	packed->in.offset = 0;
	for (unsigned int reduced = 2; reduced-- > 0;)
		for (unsigned int i = op->ndim; i-- > 0;) {
			if ((op->axes >> i & 1) != reduced)
				continue;
			packed->in.stride[i] = (int64_t)t.elems;
			t.elems *= op->dim[i];
		}
	tensor = kir_add_tensor(b->k, &t);
	if (tensor < 0)
		return nc_no_memory(b);
	packed->in.tensor = (uint32_t)tensor;
	copy.copy.ndim = op->ndim;
	memcpy(copy.copy.dim, op->dim, sizeof(op->dim));
	copy.copy.in = op->in;
	copy.copy.out = packed->in;
	return nc_tile_copy(b, &copy);
}

int nc_tile_reduce(struct nc_back *b, const struct kir_op *op)
{
	struct reduction r = {
		.b = b, .op = &op->reduce, .node = op->node,
		.arg = op->reduce.rop == NPU_ROP_ARGMAX || op->reduce.rop == NPU_ROP_ARGMIN,
	};
	uint32_t tile[NC_SEARCH_DIMS];
	struct kir_reduce packed;
	int ret;

	if (search(&r, tile))
		return add_tiles(&r, tile);
	ret = pack_input(b, op->node, &op->reduce, &packed);
	if (ret)
		return ret;
	r.op = &packed;
	if (!search(&r, tile))
		return nc_op_error(b, op->node, "%u elements of one %s result do not fit %u bytes of scratchpad",
				   NPU_REDUCE_LANES, npu_rop_name(op->reduce.rop),
				   nc_cache_bytes(b));
	return add_tiles(&r, tile);
}
