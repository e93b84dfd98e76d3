/* SPDX-License-Identifier: MIT */
/*
 * The cycle model, HW 11: for how many cycles a descriptor keeps its engine
 * busy. The device counts with these formulas and the compiler plans with
 * them. Pure, no allocation; descriptors must have passed npu_check_desc().
 * Products and sums saturate at UINT64_MAX, also before they are divided: only
 * a POOL of more than 10^17 cycles comes near.
 */
#ifndef NPU_TIMING_H
#define NPU_TIMING_H

#include <stdbool.h>
#include "npu_check.h"

/**
 * struct npu_timing - the properties that time depends on, each >= 1
 * @rows: multiplier rows
 * @cols: multiplier columns
 * @dma_bytes_per_kcycle: memory bandwidth, bytes per 1000 cycles
 * @dma_latency_cycles: memory latency
 * @dma_bursts: 64-byte bursts in flight
 * @ve_bytes_per_cycle: vector width, >= 4
 */
struct npu_timing {
	uint32_t rows;
	uint32_t cols;
	uint32_t dma_bytes_per_kcycle;
	uint32_t dma_latency_cycles;
	uint32_t dma_bursts;
	uint32_t ve_bytes_per_cycle;
};

#define NPU_BURST_BYTES		64	/* memory access granule */
#define NPU_FILL_BYTES_PER_CYCLE 64	/* width of DI's port to the scratchpad */
#define NPU_TE_OVERHEAD_CYCLES	16
#define NPU_VE_OVERHEAD_CYCLES	16
#define NPU_VE_COST_UNIT	4	/* cost that one element takes a lane per cycle */
#define NPU_CP_QUEUE_DEPTH	16	/* descriptors dispatched to one engine, HW 11 */

static inline uint64_t npu_sat_mul(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

static inline uint64_t npu_sat_add(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

static inline uint64_t npu_ceil_div(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static inline uint64_t npu_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- Tensor engine ---- */

/**
 * struct npu_te_work - a TE descriptor as the array sees it
 * @passes: blocks of stationary operand
 * @streamed: rows streamed against each block
 * @rate: cycles per streamed row
 * @macs: multiply-accumulates of the definition, padding taps included
 */
struct npu_te_work {
	uint64_t passes;
	uint64_t streamed;
	uint32_t rate;
	uint64_t macs;
};

static inline uint32_t npu_te_rate(unsigned int dtype)
{
	return dtype == NPU_F32 ? 8 : dtype == NPU_BF16 ? 2 : 1;
}

/* With fewer channels than rows, several taps share a block. */
static inline uint64_t npu_conv_passes(const struct npu_timing *t, const struct npu_conv_shape *s,
				       bool depthwise)
{
	uint64_t taps = (uint64_t)s->kh * s->kw;

	if (depthwise)
		return npu_ceil_div(taps, t->rows) * npu_ceil_div(s->c, t->cols);
	if (s->c < t->rows)
		return npu_ceil_div(taps * s->c, t->rows) * npu_ceil_div(s->k, t->cols);
	return taps * npu_ceil_div(s->c, t->rows) * npu_ceil_div(s->k, t->cols);
}

static inline struct npu_te_work npu_te_conv_work(const struct npu_timing *t,
						  const struct npu_desc_conv *d)
{
	const struct npu_conv_shape *s = &d->shape;
	bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;
	uint64_t positions = (uint64_t)s->n * s->oh * s->ow;
	uint64_t filter = (uint64_t)s->kh * s->kw * s->k * (depthwise ? 1u : s->c);

	return (struct npu_te_work) {
		.passes = npu_conv_passes(t, s, depthwise),
		.streamed = positions,
		.rate = npu_te_rate(d->in.dtype),
		.macs = npu_sat_mul(positions, filter),
	};
}

static inline struct npu_te_work npu_te_wgrad_work(const struct npu_timing *t,
						   const struct npu_desc_wgrad *d)
{
	const struct npu_conv_shape *s = &d->shape;
	bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;
	uint64_t positions = (uint64_t)s->n * s->oh * s->ow;
	uint64_t taps = (uint64_t)s->kh * s->kw * (depthwise ? 1u : s->c);

	return (struct npu_te_work) {
		.passes = npu_ceil_div(positions, t->rows) * npu_ceil_div(s->k, t->cols),
		.streamed = taps,
		.rate = npu_te_rate(d->in.dtype),
		.macs = npu_sat_mul(positions, taps * s->k),
	};
}

static inline struct npu_te_work npu_te_matmul_work(const struct npu_timing *t,
						    const struct npu_desc_matmul *d)
{
	uint64_t batch = (uint64_t)d->dim[0] * d->dim[1];
	uint64_t blocks = npu_sat_mul(npu_ceil_div(d->dim[4], t->rows),
				      npu_ceil_div(d->dim[3], t->cols));
	uint64_t outputs = npu_sat_mul(batch, (uint64_t)d->dim[2] * d->dim[3]);

	return (struct npu_te_work) {
		.passes = npu_sat_mul(batch, blocks),
		.streamed = d->dim[2],
		.rate = npu_te_rate(d->a.dtype),
		.macs = npu_sat_mul(outputs, d->dim[4]),
	};
}

static inline struct npu_te_work npu_te_work_of(const struct npu_timing *t, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	switch (hdr->opcode) {
	case NPU_OP_CONV:
		return npu_te_conv_work(t, desc);
	case NPU_OP_WGRAD:
		return npu_te_wgrad_work(t, desc);
	case NPU_OP_MATMUL:
		return npu_te_matmul_work(t, desc);
	default:
		return (struct npu_te_work) { .passes = 0 };
	}
}

static inline uint64_t npu_te_cycles(const struct npu_timing *t, const void *desc)
{
	struct npu_te_work w = npu_te_work_of(t, desc);
	uint64_t pass_cycles = npu_sat_mul(w.rate, npu_max_u64(w.streamed, t->rows));

	return npu_sat_add((uint64_t)t->rows + t->cols + NPU_TE_OVERHEAD_CYCLES,
			   npu_sat_mul(w.passes, pass_cycles));
}

/* Multiply-accumulates of a descriptor of any engine. */
static inline uint64_t npu_desc_macs(const struct npu_timing *t, const void *desc)
{
	return npu_te_work_of(t, desc).macs;
}

/* ---- Vector engine ---- */

/**
 * struct npu_ve_work - a VE descriptor as lanes and ports see it
 * @bytes: read and written
 * @elems: elements computed
 * @cost: vector slots per element
 */
struct npu_ve_work {
	uint64_t bytes;
	uint64_t elems;
	uint64_t cost;
};

static inline bool npu_view_is_scalar(const struct npu_view *v)
{
	return !v->stride[0] && !v->stride[1] && !v->stride[2] && !v->stride[3];
}

static inline uint64_t npu_dims_elems(const uint32_t *dim, unsigned int dims)
{
	uint64_t elems = 1;

	for (unsigned int i = 0; i < dims; i++)
		elems = npu_sat_mul(elems, dim[i]);
	return elems;
}

static inline struct npu_ve_work npu_ve_map_work(const struct npu_desc_map *d)
{
	const uint32_t *uop = npu_map_uops(d);
	struct npu_ve_work w = { .elems = npu_dims_elems(d->dim, 4) };

	for (unsigned int i = 0; i < d->uops; i++) {
		unsigned int op = NPU_UOP_OP(uop[i]);
		const struct npu_view *v = NULL;

		w.cost += npu_uop_cost(op);
		if (op == NPU_UOP_LD && !npu_view_is_scalar(&d->view[NPU_UOP_A(uop[i])]))
			v = &d->view[NPU_UOP_A(uop[i])];
		else if (op == NPU_UOP_ST)
			v = &d->view[NPU_UOP_DST(uop[i])];
		if (v)
			w.bytes += w.elems * npu_dtype_bytes(v->ref.dtype);
	}
	return w;
}

static inline struct npu_ve_work npu_ve_reduce_work(const struct npu_desc_reduce *d)
{
	uint64_t elems = npu_dims_elems(d->dim, 4), outs = 1, moved = 1;

	for (unsigned int i = 0; i < 4; i++)
		outs *= d->axes & 1u << i ? 1 : d->dim[i];
	if (d->hdr.flags & NPU_F_LANES_OUT)
		moved = NPU_REDUCE_LANES;
	if (d->hdr.flags & NPU_F_LANES_IN)
		moved += NPU_REDUCE_LANES;
	return (struct npu_ve_work) {
		.bytes = (elems + outs * moved) * 4,
		.elems = elems,
		.cost = 1,
	};
}

/* POOL reads every tap; UNPOOL reads and writes what it adds to. */
static inline struct npu_ve_work npu_ve_pool_work(const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	uint64_t elems = (uint64_t)s->n * s->oh * s->ow * s->c;
	uint64_t taps = (uint64_t)s->kh * s->kw;
	bool pool = d->hdr.opcode == NPU_OP_POOL;
	uint64_t moved = pool ? taps + 1 : 3;

	if (d->hdr.flags & NPU_F_POOL_INDEX)
		moved++;
	return (struct npu_ve_work) {
		.bytes = npu_sat_mul(elems, moved * 4),
		.elems = elems,
		.cost = pool ? taps : 1,
	};
}

static inline uint64_t npu_ve_cycles(const struct npu_timing *t, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;
	struct npu_ve_work w;
	uint64_t lanes = t->ve_bytes_per_cycle / 4;

	switch (hdr->opcode) {
	case NPU_OP_MAP:
		w = npu_ve_map_work(desc);
		break;
	case NPU_OP_REDUCE:
		w = npu_ve_reduce_work(desc);
		break;
	default:
		w = npu_ve_pool_work(desc);
		break;
	}
	return npu_sat_add(NPU_VE_OVERHEAD_CYCLES,
			   npu_max_u64(npu_ceil_div(w.bytes, t->ve_bytes_per_cycle),
				       npu_sat_mul(npu_ceil_div(w.elems, lanes),
						   npu_ceil_div(w.cost, NPU_VE_COST_UNIT))));
}

/* ---- DMA ---- */

/* Bytes of a run of contiguous memory, in whole bursts. */
static inline uint64_t npu_burst_bytes(uint64_t run_bytes)
{
	return npu_sat_mul(npu_ceil_div(run_bytes, NPU_BURST_BYTES), NPU_BURST_BYTES);
}

/* Inner dimensions that follow each other without a gap form one run. */
static inline uint64_t npu_dma_array_bytes(const struct npu_desc_dma *d)
{
	uint64_t run_bytes = npu_dtype_bytes(d->mem.dtype), runs = 1;
	bool dense = true;

	for (unsigned int i = 5; i-- > 0;) {
		if (d->dim[i] == 1)
			continue;
		dense = dense && (uint64_t)d->mem.stride_bytes[i] == run_bytes;
		if (dense)
			run_bytes *= d->dim[i];
		else
			runs *= d->dim[i];
	}
	return npu_sat_mul(runs, npu_burst_bytes(run_bytes));
}

/* Memory traffic of a DI or DO descriptor in whole bursts; 0 for FILL. */
static inline uint64_t npu_dma_bytes(const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;
	const struct npu_desc_gather *g = desc;
	uint64_t row_bytes;

	switch (hdr->opcode) {
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
		return npu_dma_array_bytes(desc);
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		row_bytes = npu_burst_bytes((uint64_t)g->row_elems *
					    npu_dtype_bytes(g->mem.dtype));
		/* ADD reads what it writes. */
		if (hdr->opcode == NPU_OP_SCATTER && hdr->flags & NPU_F_ADD)
			row_bytes *= 2;
		return npu_sat_mul(npu_dims_elems(g->dim, 3), row_bytes);
	default:
		return 0;
	}
}

/* Latency allows dma_bursts bursts per dma_latency_cycles. */
static inline uint64_t npu_dma_bandwidth(const struct npu_timing *t)
{
	uint64_t window = (uint64_t)t->dma_bursts * NPU_BURST_BYTES * 1000 /
		t->dma_latency_cycles;
	uint64_t bytes_per_kcycle = window < t->dma_bytes_per_kcycle ?
		window : t->dma_bytes_per_kcycle;

	return bytes_per_kcycle ? bytes_per_kcycle : 1;
}

/* Data phase: holds the memory. Starts npu_dma_latency() after the descriptor. */
static inline uint64_t npu_dma_cycles(const struct npu_timing *t, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;
	const struct npu_desc_fill *fill = desc;

	if (hdr->opcode == NPU_OP_FILL)
		return npu_ceil_div(npu_dims_elems(fill->dim, 5) *
				    npu_dtype_bytes(fill->spm.dtype), NPU_FILL_BYTES_PER_CYCLE);
	return npu_ceil_div(npu_sat_mul(npu_dma_bytes(desc), 1000), npu_dma_bandwidth(t));
}

static inline uint64_t npu_dma_latency(const struct npu_timing *t, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	return hdr->opcode == NPU_OP_FILL ? 0 : t->dma_latency_cycles;
}

/* ---- Command processor and job ---- */

/* Fetch and decode, the same for descriptors of every engine. */
static inline uint64_t npu_cp_cycles(const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	return hdr->lines + 1ull;
}

/* From the ring slot to the first fetch: slot, then bindings. */
static inline uint64_t npu_job_start_cycles(const struct npu_timing *t)
{
	return 2ull * t->dma_latency_cycles;
}

/* From the last descriptor to the completion record. */
static inline uint64_t npu_job_end_cycles(const struct npu_timing *t)
{
	return t->dma_latency_cycles;
}

/* Cycles from start to end of a descriptor on its engine; 0 for CP ones. */
static inline uint64_t npu_desc_cycles(const struct npu_timing *t, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	switch (npu_op_engine(hdr->opcode)) {
	case NPU_ENGINE_DI:
	case NPU_ENGINE_DO:
		return npu_sat_add(npu_dma_latency(t, desc), npu_dma_cycles(t, desc));
	case NPU_ENGINE_TE:
		return npu_te_cycles(t, desc);
	case NPU_ENGINE_VE:
		return npu_ve_cycles(t, desc);
	default:
		return 0;
	}
}

#endif
