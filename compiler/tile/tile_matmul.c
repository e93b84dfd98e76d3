/* SPDX-License-Identifier: MIT */
/*
 * Tiles of products: blocks of rows and columns, each summed over ascending
 * pieces of k into accumulators and then read by the epilogue.
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

enum { B0, B1, M, N, K, DIMS };

struct matmul_arg {
	struct nc_back *b;
	const struct kir_matmul *op;
	union nc_desc *map_desc;
	bool columns_outside;
};

/* Loops around the tiles, outermost first; k is always the innermost. */
static void order_loops(bool columns_outside, unsigned int order[DIMS])
{
	order[0] = B0;
	order[1] = B1;
	order[2] = columns_outside ? N : M;
	order[3] = columns_outside ? M : N;
	order[4] = K;
}

static uint32_t full_size(const struct kir_matmul *op, unsigned int dim)
{
	const uint32_t full[DIMS] = { op->b0, op->b1, op->m, op->n / op->groups, op->k };

	return full[dim];
}

static void set_nest(const struct kir_matmul *op, bool columns_outside, const uint32_t *tile,
		     struct nc_nest *nest)
{
	unsigned int order[DIMS];

	order_loops(columns_outside, order);
	nest->dims = DIMS;
	for (unsigned int i = 0; i < DIMS; i++) {
		nest->full[i] = full_size(op, order[i]);
		nest->tile[i] = tile[order[i]];
	}
}

/* Bits of the nest's loops that a view with strides on @dims moves with. */
static unsigned int depends(const struct kir_view *view, const unsigned int *dims,
			    unsigned int ndims, const unsigned int order[DIMS])
{
	unsigned int bits = 0;

	for (unsigned int i = 0; i < ndims; i++)
		for (unsigned int j = 0; j < DIMS; j++)
			if (order[j] == dims[i] && view->stride[i])
				bits |= 1u << j;
	return bits;
}

static uint64_t fetches(const struct matmul_arg *a, const struct nc_nest *nest,
			const struct kir_view *view, const unsigned int dims[4])
{
	unsigned int order[DIMS];
	uint64_t elems = 1;

	order_loops(a->columns_outside, order);
	for (unsigned int i = 0; i < 4; i++)
		if (view->stride[i])
			elems = npu_sat_mul(elems, dims[i] == N ? a->op->n :
					    full_size(a->op, dims[i]));
	return nc_nest_fetches(a->b, nest, depends(view, dims, 4, order), elems);
}

static void model_operands(const struct matmul_arg *a, const uint32_t *tile,
			   const struct nc_nest *nest, struct nc_model *m)
{
	static const unsigned int a_dims[] = { B0, B1, M, K }, b_dims[] = { B0, B1, K, N };
	const struct kir_matmul *op = a->op;
	struct nc_operand o = { 0 };

	nc_operand_view(a->b, &o, &op->a, NULL,
			(uint32_t[]){ tile[B0], tile[B1], tile[M], tile[K] }, NC_PACK_MEMORY);
	nc_model_dma(a->b, m, &o, fetches(a, nest, &op->a, a_dims));
	o = (struct nc_operand){ 0 };
	nc_operand_view(a->b, &o, &op->b, NULL,
			(uint32_t[]){ tile[B0], tile[B1], tile[K], tile[N] }, NC_PACK_MEMORY);
	for (unsigned int g = 0; g < op->groups; g++)
		nc_model_dma(a->b, m, &o, fetches(a, nest, &op->b, b_dims));
}

static struct nc_cost matmul_cost(const void *arg, const uint32_t *tile)
{
	const struct matmul_arg *a = arg;
	const struct kir_matmul *op = a->op;
	union nc_desc d = { .matmul = {
		.hdr.opcode = NPU_OP_MATMUL,
		.dim = { tile[B0], tile[B1], tile[M], tile[N] * op->groups, tile[K] },
	} };
	struct nc_model m = { 0 };
	struct nc_nest nest = { 0 };
	uint64_t outputs;

	set_nest(op, a->columns_outside, tile, &nest);
	m.tiles = nc_nest_tiles(&nest);
	m.te = npu_te_cycles(&a->b->timing, &d) * m.tiles;
	m.acc_bytes = npu_sat_mul((uint64_t)tile[B0] * tile[B1],
				  (uint64_t)tile[M] * tile[N] * op->groups * 4);
	model_operands(a, tile, &nest, &m);
	if (op->bias.tensor != KIR_NO_TENSOR)
		m.bytes += (uint64_t)tile[N] * op->groups * 4 + NC_ALIGN_BYTES;
	outputs = m.tiles / npu_ceil_div(op->k, tile[K]);
	nc_model_map(a->b, &m, &op->epilogue, a->map_desc, tile, outputs);
	return nc_model_cost(a->b, &m);
}

/* One MATMUL: columns n .. n + size of group g, or all groups when @g is -1. */
static int add_product(struct nc_back *b, uint32_t node, const struct kir_matmul *op,
		       const int64_t at[DIMS], const uint32_t size[DIMS], int g,
		       const struct nc_acc *acc)
{
	bool bias = op->bias.tensor != KIR_NO_TENSOR && at[K] == 0;
	struct nc_tile *t = nc_add_tile(b, NPU_OP_MATMUL, node, bias ? 4 : 3);
	uint32_t columns = g < 0 ? op->n : size[N];
	int64_t column = at[N] + (g < 0 ? 0 : g * (int64_t)(op->n / op->groups));

	if (!t)
		return -ENOMEM;
	t->flags = bias ? NPU_F_BIAS : at[K] ? NPU_F_ACCUMULATE : 0;
	memcpy(t->dim, (uint32_t[]){ size[B0], size[B1], size[M], columns, size[K] },
	       sizeof(t->dim));
	nc_operand_view(b, &t->operand[0], &op->a, (int64_t[]){ at[B0], at[B1], at[M], at[K] },
			(uint32_t[]){ size[B0], size[B1], size[M], size[K] }, NC_PACK_MEMORY);
	nc_operand_view(b, &t->operand[1], &op->b, (int64_t[]){ at[B0], at[B1], at[K], column },
			(uint32_t[]){ size[B0], size[B1], size[K], columns }, NC_PACK_MEMORY);
	nc_operand_buffer(b, &t->operand[2], acc->buffer, g < 0 ? 0 : (int64_t)g * acc->group,
			  (uint32_t[]){ size[B0], size[B1], size[M], columns }, acc->stride);
	t->operand[2].write = true;
	if (bias) {
		struct kir_view view = op->bias;

		view.stride[NC_LOOPS - 1] = view.stride[0];
		view.stride[0] = 0;
		nc_operand_view(b, &t->operand[3], &view, (int64_t[]){ 0, 0, 0, column },
				(uint32_t[]){ 1, 1, 1, columns }, NC_PACK_INNER);
	}
	return 0;
}

/* The tile at @at: products of each group, and after the last k the epilogue. */
static int add_tile(struct nc_back *b, uint32_t node, const struct kir_matmul *op,
		    const int64_t at[DIMS], const uint32_t size[DIMS], struct nc_acc *acc)
{
	uint32_t row = size[N] * op->groups;
	int ret;

	if (at[K] == 0) {
		acc->buffer = nc_add_buffer(b, NPU_SPACE_ACC, NPU_F32,
					    (uint64_t)size[B0] * size[B1] * size[M] * row);
		if (acc->buffer == UINT32_MAX)
			return -ENOMEM;
		acc->stride[0] = (int32_t)(size[B1] * size[M] * row);
		acc->stride[1] = (int32_t)(size[M] * row);
		acc->stride[2] = (int32_t)row;
		acc->stride[3] = 1;
		acc->group = (int32_t)size[N];
	}
	if (size[N] == op->n / op->groups) {
		ret = add_product(b, node, op, at, size, -1, acc);
	} else {
		ret = 0;
		for (unsigned int g = 0; g < op->groups && !ret; g++)
			ret = add_product(b, node, op, at, size, (int)g, acc);
	}
	if (ret || at[K] + size[K] < op->k)
		return ret;
	return nc_add_map(b, node, &op->epilogue, at, size, acc, 0);
}

static int add_tiles(struct nc_back *b, uint32_t node, const struct kir_matmul *op,
		     const uint32_t *tile, bool columns_outside)
{
	struct nc_nest nest = { 0 };
	struct nc_acc acc = { 0 };
	unsigned int order[DIMS];
	int ret;

	order_loops(columns_outside, order);
	set_nest(op, columns_outside, tile, &nest);
	nc_nest_first(&nest);
	do {
		uint32_t size[DIMS];
		int64_t at[DIMS];

		for (unsigned int i = 0; i < DIMS; i++) {
			at[order[i]] = nest.at[i];
			size[order[i]] = nest.size[i];
		}
		ret = add_tile(b, node, op, at, size, &acc);
		if (ret)
			return ret;
	} while (nc_nest_next(&nest));
	return 0;
}

int nc_tile_matmul(struct nc_back *b, const struct kir_op *op)
{
	const struct kir_matmul *mm = &op->matmul;
	union nc_desc desc;
	struct matmul_arg arg = { .b = b, .op = mm, .map_desc = &desc };
	struct nc_search best = { 0 };
	uint64_t best_cycles = UINT64_MAX;
	bool columns_outside = false;
	int ret = nc_map_template(b, &mm->epilogue, &desc);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < 2; i++) {
		struct nc_search s = { .dims = DIMS, .cost = matmul_cost, .arg = &arg };

		arg.columns_outside = i;
		for (unsigned int d = 0; d < DIMS; d++)
			s.full[d] = full_size(mm, d);
		s.granule[N] = b->target.array_cols;
		s.granule[K] = b->target.array_rows;
		if (nc_search(&s) && matmul_cost(&arg, s.tile).cycles < best_cycles) {
			best_cycles = matmul_cost(&arg, s.tile).cycles;
			best = s;
			columns_outside = i;
		}
	}
	if (best_cycles == UINT64_MAX)
		return nc_op_error(b, op->node, "the smallest tile of the product does not fit %u bytes of scratchpad and %u of accumulators",
				   nc_cache_bytes(b), b->limits.acc_bytes);
	return add_tiles(b, op->node, mm, best.tile, columns_outside);
}
