/* SPDX-License-Identifier: MIT */
/*
 * The body of a variant: include a vec_*.h, define KERN_VARIANT as the name of
 * the table, and include this.
 */
#include "kern_math.h"
#include "kern_gemm.h"
#include "kern_map.h"
#include "kern_reduce.h"
#include "kern_pool.h"

const struct npu_kern KERN_VARIANT = {
	.name = VEC_NAME,
	.tile_rows = GEMM_ROWS,
	.gemm = kern_gemm,
	.depthwise = kern_depthwise,
	.correlate = kern_correlate,
	.copy_rows = kern_copy_rows,
	.transpose = kern_transpose,
	.gather = kern_gather,
	.scatter = kern_scatter,
	.spread = kern_spread,
	.iota = kern_iota,
	.uop = {
#define UOP(name, sources, expr) [NPU_UOP_##name] = uop_##name,
		UOPS
#undef UOP
#define UOP(name, sources, op, test) [NPU_UOP_##name] = uop_##name,
		TRAP_UOPS
#undef UOP
	},
	.uop_canon = {
#define UOP(name, sources, expr) [NPU_UOP_##name] = uop_canon_##name,
		HOST_UOPS
#undef UOP
	},
	.lanes = {
		{
			[NPU_ROP_SUM] = lanes_sum_f32,
			[NPU_ROP_PROD] = lanes_prod_f32,
			[NPU_ROP_MAX] = lanes_max_f32,
			[NPU_ROP_MIN] = lanes_min_f32,
			[NPU_ROP_SUMSQ] = lanes_sumsq_f32,
		},
		{
			[NPU_ROP_SUM] = lanes_sum_i32,
			[NPU_ROP_PROD] = lanes_prod_i32,
			[NPU_ROP_MAX] = lanes_max_i32,
			[NPU_ROP_MIN] = lanes_min_i32,
			[NPU_ROP_SUMSQ] = lanes_sumsq_i32,
		},
		{
			[NPU_ROP_SUM] = lanes_sum_trap,
			[NPU_ROP_PROD] = lanes_prod_trap,
			[NPU_ROP_MAX] = lanes_max_i32,
			[NPU_ROP_MIN] = lanes_min_i32,
			[NPU_ROP_SUMSQ] = lanes_sumsq_trap,
		},
	},
	.columns = {
		{
			[NPU_ROP_SUM] = columns_sum_f32,
			[NPU_ROP_PROD] = columns_prod_f32,
			[NPU_ROP_MAX] = columns_max_f32,
			[NPU_ROP_MIN] = columns_min_f32,
			[NPU_ROP_SUMSQ] = columns_sumsq_f32,
		},
		{
			[NPU_ROP_SUM] = columns_sum_i32,
			[NPU_ROP_PROD] = columns_prod_i32,
			[NPU_ROP_MAX] = columns_max_i32,
			[NPU_ROP_MIN] = columns_min_i32,
			[NPU_ROP_SUMSQ] = columns_sumsq_i32,
		},
		{
			[NPU_ROP_SUM] = columns_sum_trap,
			[NPU_ROP_PROD] = columns_prod_trap,
			[NPU_ROP_MAX] = columns_max_i32,
			[NPU_ROP_MIN] = columns_min_i32,
			[NPU_ROP_SUMSQ] = columns_sumsq_trap,
		},
	},
	.pool_max = kern_pool_max,
	.pool_max_index = kern_pool_max_index,
	.pool_avg = kern_pool_avg,
	.unpool = kern_unpool,
};
