/* SPDX-License-Identifier: MIT */
/*
 * Reductions range after range. What is left of a range is its 16 lanes, from
 * which the next one goes on; ARGMAX and ARGMIN have no lanes, there the best
 * element so far is kept, as a key that compares like HW 9.3.1 says.
 */
#include "tile_reduce.h"

#include <errno.h>
#include <string.h>

/* Arrays of the state of ARGMAX and ARGMIN, one element per output each. */
enum { RANGE_VALUE, RANGE_INDEX, BEST_KEY, BEST_INDEX, ARG_ARRAYS };

static uint64_t outputs(const struct reduction *r, const uint32_t *tile)
{
	uint32_t kept[NC_LOOPS];

	reduction_kept(r, tile, kept);
	return npu_dims_elems(kept, NC_LOOPS);
}

uint64_t reduction_state_bytes(const struct reduction *r, const uint32_t *tile)
{
	uint64_t per_output = r->arg ? ARG_ARRAYS : NPU_REDUCE_LANES;

	return npu_sat_mul(outputs(r, tile), per_output * 4) + NC_ALIGN_BYTES;
}

/* Buffer for the state, seen with @elems per output by all of @kept. */
static int add_state(struct reduction *r, const uint32_t *kept, unsigned int elems,
		     unsigned int arrays, struct nc_acc *state)
{
	uint64_t step = elems;

	for (unsigned int i = NC_LOOPS; i-- > 0;) {
		state->stride[i] = (int32_t)step;
		step *= kept[i];
	}
	state->group = (int32_t)step;
	state->buffer = nc_add_buffer(r->b, NPU_SPACE_SPM,
				      r->arg ? NPU_I32 :
				      kir_dtype(r->b->k->tensor[r->op->in.tensor].dtype),
				      step * arrays);
	return state->buffer == UINT32_MAX ? -ENOMEM : 0;
}

/* REDUCE into array @array of the state. */
static int add_range(struct reduction *r, const struct nc_nest *at, enum npu_rop rop,
		     unsigned int flags, const struct nc_acc *state, unsigned int array)
{
	struct nc_tile *t = reduction_add(r, at, rop, flags);
	uint32_t kept[NC_LOOPS];

	if (!t)
		return -ENOMEM;
	reduction_kept(r, at->size, kept);
	nc_operand_buffer(r->b, &t->operand[1], state->buffer, (int64_t)array * state->group,
			  kept, state->stride);
	t->operand[1].write = true;
	if (rop != NPU_ROP_ARGMAX && rop != NPU_ROP_ARGMIN)
		t->operand[1].dtype = t->operand[0].dtype;
	return 0;
}

static void add_array(struct kir_map *m, unsigned int array, bool write)
{
	m->operand[m->operands++] = (struct kir_operand){
		.acc = true,
		.acc_group = array,
		.write = write,
		.view.tensor = KIR_NO_TENSOR,
	};
}

static void add_uop(struct kir_map *m, unsigned int op, unsigned int dst, unsigned int a,
		    unsigned int b, unsigned int c)
{
	m->uop[m->uops++] = NPU_UOP_WORD(op, dst, a, b, c);
}

/* Copy array @array of the state to the output. */
static int add_result(struct reduction *r, const struct nc_nest *outs,
		      const struct nc_acc *state, unsigned int array)
{
	struct kir_map *map = nc_alloc(r->b->arena, sizeof(*map));
	uint32_t kept[NC_LOOPS];

	if (!map)
		return nc_no_memory(r->b);
	reduction_kept(r, outs->size, kept);
	map->ndim = NC_LOOPS;
	add_array(map, array, false);
	map->operand[map->operands++] = (struct kir_operand){
		.view = reduction_view(r, &r->op->out, r->out_stride, outs->at),
		.write = true,
	};
	add_uop(map, NPU_UOP_LD, 0, 0, 0, 0);
	add_uop(map, NPU_UOP_ST, 1, 0, 0, 0);
	return nc_add_map(r->b, r->node, map, NULL, kept, state, 0);
}

/*
 * Bits of m0 to a key in m0 that orders as signed integers do: negative floats
 * with their magnitude flipped, -0 as +0, NaN beyond everything.
 */
static void add_key(const struct reduction *r, struct kir_map *m)
{
	const unsigned int k = NPU_UOP_CONST + m->consts;

	if (kir_dtype(r->b->k->tensor[r->op->in.tensor].dtype) != NPU_F32)
		return;
	m->konst[m->consts++] = 31;
	m->konst[m->consts++] = INT32_MAX;
	m->konst[m->consts++] = r->op->rop == NPU_ROP_ARGMAX ? INT32_MAX : (uint32_t)INT32_MIN;
	m->konst[m->consts++] = 0;
	add_uop(m, NPU_UOP_FADD, 0, 0, k + 3, 0);
	add_uop(m, NPU_UOP_FEQ, 4, 0, 0, 0);
	add_uop(m, NPU_UOP_ISAR, 5, 0, k, 0);
	add_uop(m, NPU_UOP_IAND, 5, 5, k + 1, 0);
	add_uop(m, NPU_UOP_IXOR, 5, 0, 5, 0);
	add_uop(m, NPU_UOP_SEL, 0, 4, 5, k + 2);
}

/* Keep the better of the range's element and the best so far; the first wins ties. */
static int add_best(struct reduction *r, const struct nc_nest *at, uint32_t number,
		    const struct nc_acc *state)
{
	struct kir_map *m = nc_alloc(r->b->arena, sizeof(*m));
	uint32_t kept[NC_LOOPS];

	if (!m)
		return nc_no_memory(r->b);
	reduction_kept(r, at->size, kept);
	m->ndim = NC_LOOPS;
	m->konst[m->consts++] = number;
	add_array(m, RANGE_VALUE, false);
	add_array(m, RANGE_INDEX, false);
	add_array(m, BEST_KEY, true);
	add_array(m, BEST_INDEX, true);
	add_uop(m, NPU_UOP_LD, 0, 0, 0, 0);
	add_uop(m, NPU_UOP_LD, 1, 1, 0, 0);
	add_uop(m, NPU_UOP_IADD, 1, 1, NPU_UOP_CONST, 0);
	add_key(r, m);
	if (number) {
		bool max = r->op->rop == NPU_ROP_ARGMAX;

		add_array(m, BEST_KEY, false);
		add_array(m, BEST_INDEX, false);
		add_uop(m, NPU_UOP_LD, 2, 4, 0, 0);
		add_uop(m, NPU_UOP_LD, 3, 5, 0, 0);
		add_uop(m, NPU_UOP_ILT, 4, max ? 2 : 0, max ? 0 : 2, 0);
		add_uop(m, NPU_UOP_SEL, 0, 4, 0, 2);
		add_uop(m, NPU_UOP_SEL, 1, 4, 1, 3);
	}
	add_uop(m, NPU_UOP_ST, 2, 0, 0, 0);
	add_uop(m, NPU_UOP_ST, 3, 1, 0, 0);
	return nc_add_map(r->b, r->node, m, NULL, kept, state, 0);
}

/* Number of the first reduced element of a range. */
static uint32_t first_number(const struct reduction *r, const struct nc_nest *at)
{
	uint32_t number = 0;

	for (unsigned int i = r->kept; i < r->ndim; i++)
		number = number * r->dim[i] + at->at[i];
	return number;
}

static int add_arg_range(struct reduction *r, const struct nc_nest *at,
			 const struct nc_acc *state)
{
	bool max = r->op->rop == NPU_ROP_ARGMAX;
	int ret = add_range(r, at, max ? NPU_ROP_MAX : NPU_ROP_MIN, 0, state, RANGE_VALUE);

	if (!ret)
		ret = add_range(r, at, r->op->rop, 0, state, RANGE_INDEX);
	if (!ret)
		ret = add_best(r, at, first_number(r, at), state);
	return ret;
}

int reduction_split(struct reduction *r, const struct nc_nest *outs, const uint32_t *tile)
{
	struct nc_nest ranges = *outs;
	unsigned int flags = NPU_F_LANES_OUT;
	struct nc_acc state = { 0 };
	uint32_t kept[NC_LOOPS];
	bool more;
	int ret;

	reduction_kept(r, outs->size, kept);
	ret = add_state(r, kept, r->arg ? 1 : NPU_REDUCE_LANES, r->arg ? ARG_ARRAYS : 1, &state);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < r->ndim; i++)
		ranges.tile[i] = i < r->kept ? ranges.full[i] : tile[i];
	nc_nest_first(&ranges);
	do {
		struct nc_nest at = ranges;

		memcpy(at.at, outs->at, r->kept * sizeof(at.at[0]));
		memcpy(at.size, outs->size, r->kept * sizeof(at.size[0]));
		more = nc_nest_next(&ranges);
		if (!more)
			flags &= ~NPU_F_LANES_OUT;
		ret = r->arg ? add_arg_range(r, &at, &state) :
			add_range(r, &at, r->op->rop, flags, &state, 0);
		flags = NPU_F_LANES_IN | NPU_F_LANES_OUT;
	} while (!ret && more);
	return ret ? ret : add_result(r, outs, &state, r->arg ? BEST_INDEX : 0);
}
