/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: the binary form of every instruction. docs/hardware.md sections
 * 7 to 10 say what they do; npu_ops.h.inc lists them; npu_check.h judges them.
 *
 * A descriptor is 1 to 8 lines of 64 bytes, little-endian, no sticky state.
 * Every byte that a struct below does not name, and every rsvd field, is 0.
 * Tensor dimensions go from outermost to innermost: d0..d3, or n, h, w, c.
 */
#ifndef NPU_ISA_H
#define NPU_ISA_H

#include <stddef.h>
#include <stdint.h>
#include "npu_regs.h"

#define NPU_LINE_BYTES		64
#define NPU_DESC_LINES_MAX	8
#define NPU_DESC_BYTES_MAX	(NPU_LINE_BYTES * NPU_DESC_LINES_MAX)
#define NPU_SEMAPHORES		64
#define NPU_SEM_MAX		65535	/* a signal beyond it faults */
#define NPU_SEM_PORTS		3
#define NPU_LOOP_LEVELS		4
#define NPU_LOOP_STEPS		4
#define NPU_MAP_OPERANDS	12
#define NPU_MAP_UOPS		64
#define NPU_MAP_REGS		32
#define NPU_MAP_CONSTS		32
#define NPU_REDUCE_LANES	16
#define NPU_CONV_CBLOCK		64	/* channels per accumulation block */
#define NPU_REG_NONE		0xff
#define NPU_GATHER_COORDS	4	/* indices per row */
#define NPU_ELEMS_MAX		(1ull << 32)	/* product of the dimensions of any operand */

enum npu_opcode {
#define NPU_OP(name, code, engine, body, cap) NPU_OP_##name = code,
#include "npu_ops.h.inc"
};

enum npu_uop {
#define NPU_UOP(name, code, nsrc, cost, cap) NPU_UOP_##name = code,
#include "npu_ops.h.inc"
};

enum npu_rop {
#define NPU_ROP(name, code) NPU_ROP_##name = code,
#include "npu_ops.h.inc"
};

enum npu_dtype {
	NPU_F32 = 0,
	NPU_I32 = 1,
	NPU_BF16 = 2,
	NPU_F16 = 3,
	NPU_I8 = 4,
	NPU_U8 = 5,
	NPU_I16 = 6,
	NPU_BOOL = 7,	/* one byte, 0 or 1 */
	NPU_I64 = 8,	/* memory side of LOAD and STORE only */
	NPU_DTYPES = 9,
};

static inline unsigned int npu_dtype_bytes(unsigned int dtype)
{
	static const uint8_t bytes[NPU_DTYPES] = { 4, 4, 2, 2, 1, 1, 2, 1, 8 };

	return dtype < NPU_DTYPES ? bytes[dtype] : 0;
}

enum npu_mem_space {
	NPU_SPACE_SPM = 0,	/* scratchpad, byte addressed */
	NPU_SPACE_ACC = 1,	/* accumulators, byte addressed, 32-bit elements only */
	NPU_SPACE_MEM = 2,	/* guest memory; never in a struct npu_ref */
};

/**
 * struct npu_sem_ref - one wait or signal port
 * @sem: semaphore number
 * @count: waits take and signals add this much; 0: port unused, and sem is 0
 */
struct npu_sem_ref {
	uint8_t sem;
	uint8_t count;
};

/**
 * struct npu_desc_hdr - first 24 bytes of every descriptor
 * @opcode: enum npu_opcode
 * @lines: length of the descriptor in 64-byte lines
 * @flags: NPU_F_*, per instruction
 * @tag: free for software, echoed in fault and trace records
 * @wait: taken before the descriptor starts
 * @signal: added after all its writes are visible to the other engines
 */
struct npu_desc_hdr {
	uint8_t opcode;
	uint8_t lines;
	uint16_t flags;
	uint32_t tag;
	struct npu_sem_ref wait[NPU_SEM_PORTS];
	struct npu_sem_ref signal[NPU_SEM_PORTS];
	uint32_t rsvd;
};

/* Flags of every instruction */
#define NPU_F_TRACE		(1u << 15)	/* write a trace record (CAP_TRACE) */
#define NPU_F_SLICE		(1u << 14)	/* a time slice may end here (CAP_SLICE) */
/* CONV, WGRAD (no BIAS), MATMUL */
#define NPU_F_ACCUMULATE	(1u << 0)	/* start from the accumulators, not from 0 */
#define NPU_F_BIAS		(1u << 1)	/* start from a vector; not with ACCUMULATE */
/* CONV, WGRAD */
#define NPU_F_DEPTHWISE		(1u << 2)	/* k == c, one filter per channel */
#define NPU_F_ROT180		(1u << 3)	/* taps in reverse: kh-1-y, kw-1-x (CONV) */
/* REDUCE */
#define NPU_F_LANES_IN		(1u << 0)	/* continue from 16 partial results */
#define NPU_F_LANES_OUT		(1u << 1)	/* leave 16 partial results */
#define NPU_F_TRAP		(1u << 2)	/* I32: overflow faults (CAP_TRAP) */
/* POOL, UNPOOL */
#define NPU_F_POOL_AVERAGE	(1u << 0)	/* else maximum */
#define NPU_F_POOL_COUNT_PAD	(1u << 1)	/* average divides by kh * kw always */
#define NPU_F_POOL_INDEX	(1u << 2)	/* also write the position (CAP_UNPOOL) */
/* GATHER, SCATTER */
#define NPU_F_ADD		(1u << 0)	/* SCATTER: add, do not replace (CAP_SCATTER_ADD) */
#define NPU_F_FROM_END		(1u << 1)	/* negative indices count from the end */

/**
 * struct npu_ref - address of an operand in SPM or ACC
 * @addr: byte offset in the space; with @reg added, a multiple of the element size
 * @space: enum npu_mem_space, SPM or ACC
 * @dtype: enum npu_dtype
 * @reg: CP register whose low 32 bits are added to addr, or NPU_REG_NONE
 * @rsvd: must be 0
 */
struct npu_ref {
	uint32_t addr;
	uint8_t space;
	uint8_t dtype;
	uint8_t reg;
	uint8_t rsvd;
};

/**
 * struct npu_view - a 4-D view of SPM or ACC
 * @ref: element (0, 0, 0, 0)
 * @stride: step per dimension d0..d3 in elements; may be 0 or negative
 */
struct npu_view {
	struct npu_ref ref;
	int32_t stride[4];
};

/**
 * struct npu_mem - a 5-D view of memory
 * @reg: CP register that holds the base address (mandatory)
 * @dtype: element type in memory
 * @rsvd: must be 0
 * @offset_bytes: added to the base
 * @stride_bytes: step per dimension d0..d4 in bytes; may be 0 (LOAD) or negative
 * @rsvd1: must be 0
 */
struct npu_mem {
	uint8_t reg;
	uint8_t dtype;
	uint8_t rsvd[6];
	int64_t offset_bytes;
	int32_t stride_bytes[5];
	uint32_t rsvd1;
};

/* END, NOP */
struct npu_desc_ctrl {
	struct npu_desc_hdr hdr;
};

/**
 * struct npu_desc_loop - LOOP: repeat the descriptors up to the matching ENDL
 * @count: 1 .. 65535
 */
struct npu_desc_loop {
	struct npu_desc_hdr hdr;
	uint32_t count;
	uint32_t rsvd;
};

/**
 * struct npu_loop_step - register step at the end of each iteration
 * @step: added modulo 2^64
 * @reg: CP register, or NPU_REG_NONE for an unused entry (step is 0 then)
 */
struct npu_loop_step {
	int64_t step;
	uint8_t reg;
	uint8_t rsvd[7];
};

struct npu_desc_endl {
	struct npu_desc_hdr hdr;
	struct npu_loop_step step[NPU_LOOP_STEPS];
};

/* SETR: reg = imm. ADDR: reg += imm, modulo 2^64. */
struct npu_desc_setr {
	struct npu_desc_hdr hdr;
	uint8_t reg;
	uint8_t rsvd[7];
	int64_t imm;
};

/**
 * struct npu_desc_dma - LOAD (memory to SPM) and STORE (SPM to memory)
 * @dim: elements per dimension, each >= 1
 * @mem: memory side
 * @spm: SPM side, space SPM
 * @spm_stride: step per dimension in elements of spm.dtype
 */
struct npu_desc_dma {
	struct npu_desc_hdr hdr;
	uint32_t dim[5];
	uint32_t rsvd;
	struct npu_mem mem;
	struct npu_ref spm;
	int32_t spm_stride[5];
	uint32_t rsvd1;
};

/**
 * struct npu_desc_fill - FILL: every element of an SPM region = value
 * @value: bit pattern, low npu_dtype_bytes() bytes used, the others 0
 */
struct npu_desc_fill {
	struct npu_desc_hdr hdr;
	uint32_t dim[5];
	uint32_t value;
	struct npu_ref spm;
	int32_t spm_stride[5];
	uint32_t rsvd;
};

/**
 * struct npu_desc_gather - GATHER, SCATTER: rows chosen by indices
 * @dim: rows d0, d1, d2
 * @row_elems: contiguous elements per row, on both sides
 * @limit: one per index of a row, 1 .. 4 of them: an index outside of
 *	0 .. limit-1 faults INDEX; 0 behind the last
 * @step_bytes: step in memory per unit of each index; 0 behind the last
 * @mem: row at position 0 with indices 0; stride_bytes[0..2] are the steps per
 *	d0, d1, d2, the others 0
 * @spm: first row in SPM
 * @spm_stride: step per d0, d1, d2 in elements
 * @rsvd: must be 0
 * @index: I32 in SPM
 * @index_stride: step per d0, d1, d2 and from one index of a row to the next
 */
struct npu_desc_gather {
	struct npu_desc_hdr hdr;
	uint32_t dim[3];
	uint32_t row_elems;
	uint32_t limit[NPU_GATHER_COORDS];
	int32_t step_bytes[NPU_GATHER_COORDS];
	struct npu_mem mem;
	struct npu_ref spm;
	int32_t spm_stride[3];
	uint32_t rsvd;
	struct npu_ref index;
	int32_t index_stride[4];
};

/* Indices per row: limits that are not 0. */
static inline unsigned int npu_gather_coords(const struct npu_desc_gather *d)
{
	unsigned int coords = 0;

	while (coords < NPU_GATHER_COORDS && d->limit[coords])
		coords++;
	return coords;
}

/**
 * struct npu_conv_shape - the loop nest that CONV, WGRAD and POOL share
 * @n: images
 * @h: input rows
 * @w: input columns
 * @c: input channels
 * @oh: output rows
 * @ow: output columns
 * @k: output channels (POOL: equals c)
 * @kh: kernel rows
 * @kw: kernel columns
 * @stride_h: input rows per output row, >= 1
 * @stride_w: input columns per output column, >= 1
 * @dil_h: input rows between taps, >= 1
 * @dil_w: input columns between taps, >= 1
 * @pad_top: output row 0, tap 0 reads input row -pad_top; may be negative
 * @pad_left: same for columns
 * @up_h: the input is seen with up_h-1 zero rows after each row, >= 1 (POOL: 1)
 * @up_w: same for columns
 */
struct npu_conv_shape {
	uint16_t n, h, w, c;
	uint16_t oh, ow, k;
	uint16_t kh, kw;
	uint16_t stride_h, stride_w;
	uint16_t dil_h, dil_w;
	int16_t pad_top, pad_left;
	uint8_t up_h, up_w;
};

/**
 * struct npu_desc_conv - CONV: acc[n][oh][ow][k] = init + sum x * w
 * @shape: loop nest
 * @in: x[0][0][0][0] in SPM; channels are contiguous
 * @in_stride: step per image, row, column in elements
 * @weights: packed weights in SPM, npu_weight_index()
 * @bias: vector of k elements in SPM (BIAS), else all zero bytes
 * @acc: output element 0 in ACC; output channels are contiguous
 * @acc_stride: step per image, row, column in elements
 */
struct npu_desc_conv {
	struct npu_desc_hdr hdr;
	struct npu_conv_shape shape;
	struct npu_ref in;
	struct npu_ref weights;
	struct npu_ref bias;
	struct npu_ref acc;
	int32_t in_stride[3];
	int32_t acc_stride[3];
};

/**
 * struct npu_desc_wgrad - WGRAD: acc[packed weight] = init + sum x * dy
 * @shape: loop nest of the forward convolution
 * @in: x as in CONV
 * @dy: gradient of the output in SPM; channels are contiguous
 * @acc: packed weight gradients in ACC, npu_weight_index()
 * @in_stride: step of x per image, row, column
 * @dy_stride: step of dy per image, row, column
 */
struct npu_desc_wgrad {
	struct npu_desc_hdr hdr;
	struct npu_conv_shape shape;
	struct npu_ref in;
	struct npu_ref dy;
	struct npu_ref acc;
	int32_t in_stride[3];
	int32_t dy_stride[3];
};

/**
 * struct npu_desc_matmul - MATMUL: acc[b0][b1][m][n] = init + sum_k a * b
 * @dim: b0, b1, m, n, k; each >= 1
 * @a: SPM, strides b0, b1, m, k
 * @b: SPM, strides b0, b1, k, n
 * @bias: vector over n in SPM (BIAS), else all zero bytes
 * @acc: ACC; n is contiguous
 * @a_stride: elements
 * @b_stride: elements
 * @acc_stride: elements, strides b0, b1, m
 */
struct npu_desc_matmul {
	struct npu_desc_hdr hdr;
	uint32_t dim[5];
	uint32_t rsvd;
	struct npu_ref a;
	struct npu_ref b;
	struct npu_ref bias;
	struct npu_ref acc;
	int32_t a_stride[4];
	int32_t b_stride[4];
	int32_t acc_stride[3];
	uint32_t rsvd1;
};

/**
 * struct npu_desc_map - MAP: run a short program for every element
 * @dim: iteration space d0..d3, each >= 1
 * @operands: number of views, 1 .. NPU_MAP_OPERANDS
 * @uops: number of micro-ops, 1 .. NPU_MAP_UOPS
 * @consts: number of constants, 0 .. NPU_MAP_CONSTS
 * @rsvd: must be 0
 * @view: the operands; micro-ops (u32) and then constants (u32) follow directly
 *
 * Micro-op word: [7:0] enum npu_uop, [12:8] dst, [18:13] a, [24:19] b,
 * [30:25] c, [31] 0. A source below 32 is a register, otherwise constant
 * (source - 32). LD: a is the operand. ST: dst is the operand.
 */
struct npu_desc_map {
	struct npu_desc_hdr hdr;
	uint32_t dim[4];
	uint8_t operands;
	uint8_t uops;
	uint8_t consts;
	uint8_t rsvd;
	uint32_t rsvd1;
	struct npu_view view[];
};

#define NPU_UOP_CONST		32	/* sources from here on are constants */
#define NPU_UOP_WORD(op, dst, a, b, c) \
	((uint32_t)(op) | (uint32_t)(dst) << 8 | (uint32_t)(a) << 13 | \
	 (uint32_t)(b) << 19 | (uint32_t)(c) << 25)
#define NPU_UOP_OP(word)	((word) & 0xff)
#define NPU_UOP_DST(word)	((word) >> 8 & 0x1f)
#define NPU_UOP_A(word)		((word) >> 13 & 0x3f)
#define NPU_UOP_B(word)		((word) >> 19 & 0x3f)
#define NPU_UOP_C(word)		((word) >> 25 & 0x3f)

/**
 * struct npu_desc_reduce - REDUCE: out = rop over the axes in @axes
 * @dim: iteration space d0..d3
 * @rop: enum npu_rop
 * @axes: bit i set: dimension i is reduced (and out.stride[i] is 0)
 * @in: F32 or I32, SPM or ACC
 * @out: same type as in (ARGMAX, ARGMIN: I32), SPM. With LANES_IN or
 *	LANES_OUT each output is NPU_REDUCE_LANES contiguous elements at
 *	ref + stride * index.
 */
struct npu_desc_reduce {
	struct npu_desc_hdr hdr;
	uint32_t dim[4];
	uint8_t rop;
	uint8_t axes;
	uint8_t rsvd[6];
	struct npu_view in;
	struct npu_view out;
};

/**
 * struct npu_desc_pool - POOL, UNPOOL: window reduction per channel
 * @shape: k equals c, up_h and up_w are 1
 * @in: SPM or ACC; channels contiguous (UNPOOL: the gradient, output-shaped)
 * @out: SPM; channels contiguous (UNPOOL: added to, input-shaped)
 * @index: I32 positions h * w_total + w in SPM, shaped and strided as out
 *	(UNPOOL: as in), with POOL_INDEX; else all zero bytes
 * @in_stride: step per image, row, column in elements
 * @out_stride: step per image, row, column in elements
 * @index_base: added to each position; 0 without POOL_INDEX
 * @index_row: w_total; 0 without POOL_INDEX
 */
struct npu_desc_pool {
	struct npu_desc_hdr hdr;
	struct npu_conv_shape shape;
	struct npu_ref in;
	struct npu_ref out;
	struct npu_ref index;
	int32_t in_stride[3];
	int32_t out_stride[3];
	int32_t index_base;
	int32_t index_row;
};

/*
 * Position of weight (k, c, y, x) in the packed order
 * [K/cols][C/64][kh][kw][<=64][cols], in elements. The last block of C holds
 * only the channels that are left; the last panel of K is padded to cols.
 * Depthwise weights are [kh][kw][c].
 */
static inline uint64_t npu_weight_index(uint32_t k, uint32_t c, uint32_t y, uint32_t x,
					uint32_t c_total, uint32_t kh, uint32_t kw,
					uint32_t cols)
{
	uint64_t taps = (uint64_t)kh * kw;
	uint32_t block = c / NPU_CONV_CBLOCK * NPU_CONV_CBLOCK;
	uint32_t block_c = c_total - block < NPU_CONV_CBLOCK ? c_total - block : NPU_CONV_CBLOCK;

	return (((uint64_t)(k / cols) * c_total + block) * taps +
		((uint64_t)y * kw + x) * block_c + (c - block)) * cols + k % cols;
}

/* Elements of packed weights for k_total output channels. */
static inline uint64_t npu_weight_elems(uint32_t k_total, uint32_t c_total,
					uint32_t kh, uint32_t kw, uint32_t cols)
{
	return ((uint64_t)k_total + cols - 1) / cols * cols * c_total * kh * kw;
}

_Static_assert(sizeof(struct npu_job_entry) == 64, "ring slot");
_Static_assert(sizeof(struct npu_job_done) == 64, "completion record");
_Static_assert(sizeof(struct npu_desc_hdr) == 24, "header");
_Static_assert(sizeof(struct npu_ref) == 8, "ref");
_Static_assert(sizeof(struct npu_view) == 24, "view");
_Static_assert(sizeof(struct npu_mem) == 40, "mem");
_Static_assert(sizeof(struct npu_desc_ctrl) == 24, "ctrl");
_Static_assert(sizeof(struct npu_desc_loop) == 32, "loop");
_Static_assert(sizeof(struct npu_desc_endl) == 88, "endl");
_Static_assert(sizeof(struct npu_desc_setr) == 40, "setr");
_Static_assert(sizeof(struct npu_desc_dma) == 120, "dma");
_Static_assert(sizeof(struct npu_desc_fill) == 80, "fill");
_Static_assert(sizeof(struct npu_desc_gather) == 160, "gather");
_Static_assert(sizeof(struct npu_conv_shape) == 32, "shape");
_Static_assert(sizeof(struct npu_desc_conv) == 112, "conv");
_Static_assert(sizeof(struct npu_desc_wgrad) == 104, "wgrad");
_Static_assert(sizeof(struct npu_desc_matmul) == 128, "matmul");
_Static_assert(sizeof(struct npu_desc_map) == 48, "map");
_Static_assert(sizeof(struct npu_desc_reduce) == 96, "reduce");
_Static_assert(sizeof(struct npu_desc_pool) == 112, "pool");

#endif
