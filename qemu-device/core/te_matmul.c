/* SPDX-License-Identifier: MIT */
/*
 * MATMUL (HW 9.2): blocks of columns, chunks of depth, tiles of rows. Rows of
 * a are packed per tile; b is used in place where n is contiguous.
 */
#include "engine.h"

#define COLS_DIRECT	128	/* columns per block, b in place */
#define COLS_PACKED	64	/* columns per block, b packed */

static const float zeros[COLS_DIRECT];

struct matmul {
	const struct npu_exec *x;
	uint32_t b1, m, n, k;
	const float *a;
	const float *b;
	const float *bias;
	float *acc;
	ptrdiff_t a_stride[4];
	ptrdiff_t b_stride[4];
	ptrdiff_t acc_stride[3];
	bool accumulate;
	bool pack_b;
	uint32_t block_cols;
	uint32_t tile_rows;
	uint64_t tiles;		/* of rows */
	uint64_t blocks;	/* of columns */
	uint64_t units;
	uint32_t parts;
};

/* A block of columns of one product: pointers to its first elements. */
struct matmul_block {
	const float *a;
	const float *b;
	const float *bias;
	float *acc;
	uint32_t cols;
};

static struct matmul_block matmul_block(const struct matmul *v, uint64_t index)
{
	const uint64_t batch = index / v->blocks;
	const ptrdiff_t b0 = (ptrdiff_t)(batch / v->b1), b1 = (ptrdiff_t)(batch % v->b1);
	const uint32_t col = (uint32_t)(index % v->blocks) * v->block_cols;

	return (struct matmul_block) {
		.a = v->a + b0 * v->a_stride[0] + b1 * v->a_stride[1],
		.b = v->b + b0 * v->b_stride[0] + b1 * v->b_stride[1] + col * v->b_stride[3],
		.bias = v->bias ? v->bias + col : zeros,
		.acc = v->acc + b0 * v->acc_stride[0] + b1 * v->acc_stride[1] + col,
		.cols = v->n - col < v->block_cols ? v->n - col : v->block_cols,
	};
}

/* dst[t][j] = b[t][j], rows COLS_PACKED apart */
static void matmul_pack_b(const struct matmul *v, const float *b, uint32_t cols,
			  uint32_t depth, float *dst)
{
	const struct npu_kern *kern = v->x->kern;
	const ptrdiff_t k_step = v->b_stride[2], n_step = v->b_stride[3];

	if (k_step == 1) {
		kern->transpose(dst, COLS_PACKED, b, n_step, cols, depth);
	} else {
		for (uint32_t t = 0; t < depth; t++)
			kern->gather((uint32_t *)dst + t * COLS_PACKED,
				     (const uint32_t *)(b + t * k_step), n_step, cols);
	}
}

/* A tile of a for @g, by depth where m is contiguous; a single row is used in place. */
static void matmul_pack_a(const struct matmul *v, const float *a, float *dst,
			  struct npu_kern_gemm *g)
{
	const struct npu_kern *kern = v->x->kern;
	const ptrdiff_t m_step = v->a_stride[2], k_step = v->a_stride[3];
	const float *src[NPU_KERN_DEPTH];

	g->a = dst;
	g->a_by_depth = false;
	if (k_step == 1 && g->rows == 1) {
		g->a = a;
	} else if (k_step == 1) {
		for (uint32_t i = 0; i < g->rows; i++)
			src[i] = a + i * m_step;
		kern->copy_rows(dst, NPU_KERN_DEPTH, src, g->rows, g->depth);
	} else if (m_step == 1) {
		for (uint32_t t = 0; t < g->depth; t++)
			src[t] = a + t * k_step;
		kern->copy_rows(dst, NPU_KERN_ROWS_MAX, src, g->depth, g->rows);
		g->a_by_depth = true;
		g->a_step = NPU_KERN_ROWS_MAX;
	} else {
		for (uint32_t i = 0; i < g->rows; i++)
			kern->gather((uint32_t *)dst + i * NPU_KERN_DEPTH,
				     (const uint32_t *)(a + i * m_step), k_step, g->depth);
	}
}

/* Row tiles first .. end of one block of columns, a chunk of depth at a time. */
static void matmul_tiles(const struct matmul *v, const struct matmul_block *block,
			 uint64_t first, uint64_t end)
{
	_Alignas(64) float a[NPU_KERN_ROWS_MAX * NPU_KERN_DEPTH];
	_Alignas(64) float b[NPU_KERN_DEPTH * COLS_PACKED];

	for (uint64_t k = 0; k < v->k; k += NPU_KERN_DEPTH) {
		struct npu_kern_gemm g = {
			.cols = block->cols,
			.depth = v->k - k < NPU_KERN_DEPTH ? (uint32_t)(v->k - k) : NPU_KERN_DEPTH,
			.w = block->b + (ptrdiff_t)k * v->b_stride[2],
			.w_stride = v->b_stride[2],
			.init = k || v->accumulate ? NULL : block->bias,
		};

		if (v->pack_b) {
			matmul_pack_b(v, g.w, g.cols, g.depth, b);
			g.w = b;
			g.w_stride = COLS_PACKED;
		}
		for (uint64_t tile = first; tile < end; tile++) {
			const uint32_t row = (uint32_t)tile * v->tile_rows;
			const float *from = block->a + row * v->a_stride[2] +
					    (ptrdiff_t)k * v->a_stride[3];

			if (npu_cancelled(v->x))
				return;
			g.rows = v->m - row < v->tile_rows ? v->m - row : v->tile_rows;
			for (uint32_t i = 0; i < g.rows; i++)
				g.acc[i] = block->acc + (row + i) * v->acc_stride[2];
			matmul_pack_a(v, from, a, &g);
			v->x->kern->gemm(&g);
		}
	}
}

static void matmul_part(void *arg, uint32_t part)
{
	const struct matmul *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);
	uint64_t u = npu_part_first(v->units, v->parts, part);

	while (u < end && !npu_cancelled(v->x)) {
		const struct matmul_block block = matmul_block(v, u / v->tiles);
		const uint64_t tile = u % v->tiles;
		const uint64_t count = v->tiles - tile < end - u ? v->tiles - tile : end - u;

		matmul_tiles(v, &block, tile, tile + count);
		u += count;
	}
}

enum npu_fault_code npu_te_matmul(const struct npu_exec *x, const struct npu_desc_matmul *d)
{
	const uint16_t flags = d->hdr.flags;
	const uint32_t rows_max = x->kern->tile_rows;
	struct matmul v = {
		.x = x,
		.b1 = d->dim[1],
		.m = d->dim[2],
		.n = d->dim[3],
		.k = d->dim[4],
		.a = npu_operand(x, &d->a),
		.b = npu_operand(x, &d->b),
		.bias = flags & NPU_F_BIAS ? npu_operand(x, &d->bias) : NULL,
		.acc = npu_operand(x, &d->acc),
		.accumulate = flags & NPU_F_ACCUMULATE,
	};

	for (int i = 0; i < 4; i++) {
		v.a_stride[i] = d->a_stride[i];
		v.b_stride[i] = d->b_stride[i];
	}
	for (int i = 0; i < 3; i++)
		v.acc_stride[i] = d->acc_stride[i];
	v.tiles = ((uint64_t)v.m + rows_max - 1) / rows_max;
	v.tile_rows = (uint32_t)((v.m + v.tiles - 1) / v.tiles);
	v.tiles = ((uint64_t)v.m + v.tile_rows - 1) / v.tile_rows;
	v.pack_b = v.b_stride[3] != 1;
	v.block_cols = v.pack_b ? COLS_PACKED : COLS_DIRECT;
	v.blocks = ((uint64_t)v.n + v.block_cols - 1) / v.block_cols;
	v.units = (uint64_t)d->dim[0] * v.b1 * v.blocks * v.tiles;
	v.parts = npu_engine_parts(x, v.units, v.units * v.tile_rows * v.block_cols * v.k);
	npu_engine_run(x, matmul_part, &v, v.parts);
	return NPU_FAULT_NONE;
}
