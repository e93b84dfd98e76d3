/* SPDX-License-Identifier: MIT */
/*
 * The cycle model: figures worked out by hand from HW 11, the formulas again in
 * 128 bits for random and for extreme descriptors, and saturation.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gen_desc.h"
#include "npu_disasm.h"
#include "npu_timing.h"

typedef unsigned __int128 u128;

static uint64_t seed;

/* 16 x 32 array, 16 GB/s at 1 GHz */
static const struct npu_timing preset = {
	.rows = 16,
	.cols = 32,
	.dma_bytes_per_kcycle = 16000,
	.dma_latency_cycles = 100,
	.dma_bursts = 32,
	.ve_bytes_per_cycle = 64,
};

static void assemble(const char *text, union gen_any *d)
{
	struct npu_asm_error e;
	size_t used;

	memset(d, 0, sizeof(*d));
	if (npu_asm(text, d, sizeof(*d), &used, &e))
		fail_msg("%s: %u:%u: %s", text, e.line, e.column, e.text);
}

#define CONV_REFS(x, acc) " in=spm[0]:" x " stride=(0,0,0) weights=spm[0]:" x \
	" acc=acc[0]:" acc " stride=(0,0,0)"
#define WGRAD_REFS " in=spm[0]:f32 stride=(0,0,0) dy=spm[0]:f32 stride=(0,0,0) acc=acc[0]:f32"
#define POOL_REFS " in=spm[0]:f32 stride=(0,0,0) out=spm[0]:f32 stride=(0,0,0)"
#define INDEX " index=spm[0]:i32 index_base=0 index_row=1"
#define POOL_SHAPE " n=1 h=26 w=26 c=32 oh=13 ow=13 k=32 kh=2 kw=2 stride_h=2 stride_w=2"
#define GATHER_REFS " dim=(1,5,2) row_elems=5 limit=(99,0,0,0) step_bytes=(20,0,0,0)" \
	" mem=mem[r0]:f32 stride_bytes=(0,0,0) spm=spm[0]:f32 stride=(0,10,5)" \
	" index=spm[0]:i32 stride=(0,2,1,0)"
#define FLAT " spm=spm[0]:f32 stride=(0,0,0,0,1)"

static const struct {
	const char *text;
	uint64_t cycles;
	uint64_t macs;
} figures[] = {
	/* 16 + 32 + 16 + 8 * 1 pass (9 rows in one block) * 676 */
	{ "CONV n=1 h=28 w=28 c=1 oh=26 ow=26 k=32 kh=3 kw=3" CONV_REFS("f32", "f32"),
	  5472, 676 * 9 * 32 },
	/* 9 taps * 2 * 2 blocks, 121 rows */
	{ "CONV n=1 h=13 w=13 c=32 oh=11 ow=11 k=64 kh=3 kw=3" CONV_REFS("f32", "f32"),
	  64 + 8 * 36 * 121, 121 * 9 * 32 * 64 },
	{ "CONV n=1 h=13 w=13 c=32 oh=11 ow=11 k=64 kh=3 kw=3" CONV_REFS("bf16", "f32"),
	  64 + 2 * 36 * 121, 121 * 9 * 32 * 64 },
	{ "CONV n=1 h=13 w=13 c=32 oh=11 ow=11 k=64 kh=3 kw=3" CONV_REFS("i8", "i32"),
	  64 + 36 * 121, 121 * 9 * 32 * 64 },
	/* 24 channels do not share blocks: 9 * 2, not ceil(216 / 16) */
	{ "CONV n=1 h=13 w=13 c=24 oh=11 ow=11 k=32 kh=3 kw=3" CONV_REFS("f32", "f32"),
	  64 + 8 * 18 * 121, 121 * 9 * 24 * 32 },
	/* 15 channels do: ceil(135 / 16) = 9 */
	{ "CONV n=1 h=13 w=13 c=15 oh=11 ow=11 k=32 kh=3 kw=3" CONV_REFS("f32", "f32"),
	  64 + 8 * 9 * 121, 121 * 9 * 15 * 32 },
	/* one row costs as many cycles as the array has rows */
	{ "CONV n=1 h=1 w=1 c=16 oh=1 ow=1 k=32 kh=1 kw=1" CONV_REFS("f32", "f32"),
	  64 + 8 * 16, 16 * 32 },
	{ "CONV.depthwise n=1 h=6 w=6 c=40 oh=4 ow=4 k=40 kh=3 kw=3" CONV_REFS("f32", "f32"),
	  64 + 8 * 2 * 16, 16 * 9 * 40 },
	{ "CONV.depthwise n=1 h=8 w=8 c=40 oh=5 ow=5 k=40 kh=5 kw=5" CONV_REFS("f32", "f32"),
	  64 + 8 * 4 * 25, 25 * 25 * 40 },
	/* ceil(32 / 16) * ceil(33 / 32) passes of 36 rows */
	{ "WGRAD n=2 h=6 w=6 c=4 oh=4 ow=4 k=33 kh=3 kw=3" WGRAD_REFS, 64 + 8 * 4 * 36,
	  32 * 36 * 33 },
	{ "WGRAD.depthwise n=2 h=6 w=6 c=33 oh=4 ow=4 k=33 kh=3 kw=3" WGRAD_REFS,
	  64 + 8 * 4 * 16, 32 * 9 * 33 },
	{ "MATMUL dim=(2,3,5,33,17) a=spm[0]:f32 stride=(0,0,0,0) b=spm[0]:f32"
	  " stride=(0,0,0,0) acc=acc[0]:f32 stride=(0,0,0)", 64 + 8 * 24 * 16,
	  6 * 5 * 33 * 17 },
	/* 1024 elements: 64 per port and cycle, 16 lanes */
	{ "MAP dim=(1,1,1,1024) v0=spm[0]:f32 stride=(0,0,0,1) ld m0, v0 st v0, m0",
	  16 + 128, 0 },
	{ "MAP dim=(1,1,1,1024) v0=spm[0]:f32 stride=(0,0,0,1) ld m0, v0 exp m0, m0 exp m0, m0"
	  " exp m0, m0 exp m0, m0 exp m0, m0 st v0, m0", 16 + 64 * 6, 0 },
	{ "MAP dim=(1,1,1,1024) v0=spm[0]:f32 stride=(0,0,0,0) v1=spm[0]:f32 stride=(0,0,0,1)"
	  " ld m0, v0 st v1, m0", 16 + 64, 0 },
	{ "MAP dim=(1,1,4,256) v0=spm[0]:f32 stride=(0,0,0,1) v1=spm[0]:i8 stride=(0,0,0,1)"
	  " ld m0, v0 st v1, m0", 16 + 80, 0 },
	{ "MAP dim=(1,1,1,1) v0=spm[0]:f32 stride=(0,0,0,0) k0=0 st v0, k0", 17, 0 },
	{ "REDUCE rop=sum dim=(1,1,1,1024) axes=(3) in=spm[0]:f32 stride=(0,0,0,1)"
	  " out=spm[0]:f32 stride=(0,0,0,0)", 16 + 65, 0 },
	{ "REDUCE.lanes_out rop=sum dim=(1,1,1,1024) axes=(3) in=spm[0]:f32 stride=(0,0,0,1)"
	  " out=spm[0]:f32 stride=(0,0,0,0)", 16 + 65, 0 },
	{ "REDUCE.lanes_in.lanes_out rop=sum dim=(1,1,1,1024) axes=(3) in=spm[0]:f32"
	  " stride=(0,0,0,1) out=spm[0]:f32 stride=(0,0,0,0)", 16 + 66, 0 },
	{ "REDUCE rop=sum dim=(1,1,64,16) axes=(3) in=spm[0]:f32 stride=(0,0,16,1)"
	  " out=spm[0]:f32 stride=(0,0,1,0)", 16 + 68, 0 },
	/* 5408 outputs, 4 taps read and 1 written */
	{ "POOL" POOL_SHAPE POOL_REFS, 16 + 1690, 0 },
	{ "POOL.index" POOL_SHAPE POOL_REFS INDEX, 16 + 2028, 0 },
	{ "UNPOOL.index" POOL_SHAPE POOL_REFS INDEX, 16 + 1352, 0 },
	/* 16 bytes per cycle after 100 */
	{ "LOAD dim=(1,1,1,1,1024) mem=mem[r0]:f32 stride_bytes=(0,0,0,0,4)" FLAT, 356, 0 },
	{ "STORE dim=(1,1,1,1,1024) mem=mem[r0]:f32 stride_bytes=(0,0,0,0,4)" FLAT, 356, 0 },
	{ "LOAD dim=(1,1,1,32,32) mem=mem[r0]:f32 stride_bytes=(0,0,0,128,4)" FLAT, 356, 0 },
	/* strides of dimensions of 1 say nothing */
	{ "LOAD dim=(1,32,1,32,1) mem=mem[r0]:f32 stride_bytes=(9,128,7,4,5)" FLAT, 356, 0 },
	/* runs of 20 and of 100 bytes are 1 and 2 bursts */
	{ "LOAD dim=(1,1,1,10,5) mem=mem[r0]:f32 stride_bytes=(0,0,0,200,4)" FLAT, 140, 0 },
	{ "LOAD dim=(1,1,1,10,25) mem=mem[r0]:f32 stride_bytes=(0,0,0,200,4)" FLAT, 180, 0 },
	{ "LOAD dim=(1,1,1,1,10) mem=mem[r0]:f32 stride_bytes=(0,0,0,0,0)" FLAT, 140, 0 },
	{ "LOAD dim=(1,1,1,1,10) mem=mem[r0]:f32 stride_bytes=(0,0,0,0,-4)" FLAT, 140, 0 },
	{ "LOAD dim=(1,1,1,1,512) mem=mem[r0]:i64 stride_bytes=(0,0,0,0,8)" FLAT, 356, 0 },
	{ "LOAD dim=(1,1,1,1,1) mem=mem[r0]:f32 stride_bytes=(0,0,0,0,0)" FLAT, 104, 0 },
	{ "GATHER" GATHER_REFS, 140, 0 },
	{ "SCATTER" GATHER_REFS, 140, 0 },
	{ "SCATTER.add" GATHER_REFS, 180, 0 },
	{ "FILL dim=(1,1,1,1,1000) value=0" FLAT, 63, 0 },
	{ "NOP", 0, 0 },
};

static void test_figures(void **state)
{

	(void)state;
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		union gen_any d;

		assemble(figures[i].text, &d);
		if (npu_desc_cycles(&preset, &d) != figures[i].cycles ||
		    npu_desc_macs(&preset, &d) != figures[i].macs)
			fail_msg("%s: %" PRIu64 " cycles, %" PRIu64 " macs", figures[i].text,
				 npu_desc_cycles(&preset, &d), npu_desc_macs(&preset, &d));
	}
}

static void test_overheads(void **state)
{
	union gen_any d;

	(void)state;
	assemble("NOP", &d);
	assert_int_equal(npu_cp_cycles(&d), 2);
	assemble("ENDL", &d);
	assert_int_equal(npu_cp_cycles(&d), 3);
	assert_int_equal(npu_job_start_cycles(&preset), 200);
	assert_int_equal(npu_job_end_cycles(&preset), 100);
}

/* The latency bounds the bandwidth when few bursts are in flight. */
static void test_bandwidth(void **state)
{
	struct npu_timing t = preset;
	union gen_any d;

	(void)state;
	assemble("LOAD dim=(1,1,1,1,1024) mem=mem[r0]:f32 stride_bytes=(0,0,0,0,4)" FLAT, &d);
	assert_int_equal(npu_dma_cycles(&t, &d), 256);
	t.dma_latency_cycles = 1000;
	assert_int_equal(npu_dma_cycles(&t, &d), 2000);
	assert_int_equal(npu_dma_latency(&t, &d), 1000);
	t.dma_bursts = 1;
	assert_int_equal(npu_dma_cycles(&t, &d), 64000);
	t.dma_latency_cycles = UINT32_MAX;
	assert_int_equal(npu_dma_cycles(&t, &d), 4096000);
	t = preset;
	t.dma_bytes_per_kcycle = UINT32_MAX;
	t.dma_bursts = UINT32_MAX;
	t.dma_latency_cycles = 1;
	assert_int_equal(npu_dma_cycles(&t, &d), 1);
}

/* ---- The formulas in 128 bits ---- */

static u128 up(u128 a, u128 b)
{
	return (a + b - 1) / b;
}

static uint64_t sat(u128 v)
{
	return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

static u128 bigger(u128 a, u128 b)
{
	return a > b ? a : b;
}

static uint64_t te_again(const struct npu_timing *t, const union gen_any *d)
{
	static const unsigned int rate[NPU_DTYPES] = {
		[NPU_F32] = 8, [NPU_BF16] = 2, [NPU_I8] = 1, [NPU_U8] = 1,
	};
	const struct npu_conv_shape *s = &d->conv.shape;
	bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;
	u128 positions = (u128)s->n * s->oh * s->ow, taps = (u128)s->kh * s->kw, passes, m, r;
	const uint32_t *dim = d->matmul.dim;

	if (d->hdr.opcode == NPU_OP_MATMUL) {
		passes = (u128)dim[0] * dim[1] * up(dim[4], t->rows) * up(dim[3], t->cols);
		m = dim[2];
		r = rate[d->matmul.a.dtype];
	} else if (d->hdr.opcode == NPU_OP_WGRAD) {
		passes = up(positions, t->rows) * up(s->k, t->cols);
		m = taps * (depthwise ? 1 : s->c);
		r = rate[d->wgrad.in.dtype];
	} else {
		if (depthwise)
			passes = up(taps, t->rows) * up(s->c, t->cols);
		else if (s->c < t->rows)
			passes = up(taps * s->c, t->rows) * up(s->k, t->cols);
		else
			passes = taps * up(s->c, t->rows) * up(s->k, t->cols);
		m = positions;
		r = rate[d->conv.in.dtype];
	}
	return sat((u128)t->rows + t->cols + 16 + r * passes * bigger(m, t->rows));
}

static uint64_t ve_again(const struct npu_timing *t, const union gen_any *d)
{
	u128 bytes = 0, elems = 1, cost = 0, outs = 1;
	const struct npu_conv_shape *s = &d->pool.shape;
	const uint32_t *uop;

	switch (d->hdr.opcode) {
	case NPU_OP_MAP:
		uop = npu_map_uops(&d->map);
		for (unsigned int i = 0; i < 4; i++)
			elems *= d->map.dim[i];
		for (unsigned int i = 0; i < d->map.uops; i++) {
			unsigned int op = uop[i] & 0xff;
			unsigned int view = op == NPU_UOP_LD ? uop[i] >> 13 & 63 : uop[i] >> 8 & 31;
			const struct npu_view *v = &d->map.view[view];

			cost += npu_uop_cost(op);
			if (op == NPU_UOP_ST || (op == NPU_UOP_LD &&
						 (v->stride[0] || v->stride[1] || v->stride[2] ||
						  v->stride[3])))
				bytes += elems * npu_dtype_bytes(v->ref.dtype);
		}
		break;
	case NPU_OP_REDUCE:
		for (unsigned int i = 0; i < 4; i++) {
			elems *= d->reduce.dim[i];
			outs *= d->reduce.axes >> i & 1 ? 1 : d->reduce.dim[i];
		}
		bytes = elems * 4 + outs * (d->hdr.flags & NPU_F_LANES_OUT ? 64 : 4) +
			outs * (d->hdr.flags & NPU_F_LANES_IN ? 64 : 0);
		cost = 1;
		break;
	default:
		elems = (u128)s->n * s->oh * s->ow * s->c;
		cost = d->hdr.opcode == NPU_OP_POOL ? (u128)s->kh * s->kw : 1;
		bytes = elems * 4 * (d->hdr.opcode == NPU_OP_POOL ? cost + 1 : 3);
		if (d->hdr.flags & NPU_F_POOL_INDEX)
			bytes += elems * 4;
		break;
	}
	return sat(16 + bigger(up(sat(bytes), t->ve_bytes_per_cycle),
			       up(elems, t->ve_bytes_per_cycle / 4) * up(cost, 4)));
}

static uint64_t dma_again(const struct npu_timing *t, const union gen_any *d)
{
	u128 window = (u128)t->dma_bursts * 64 * 1000 / t->dma_latency_cycles, traffic;
	u128 speed = bigger(window < t->dma_bytes_per_kcycle ? window : t->dma_bytes_per_kcycle, 1);
	int i = 4;

	if (d->hdr.opcode == NPU_OP_FILL) {
		traffic = npu_dtype_bytes(d->fill.spm.dtype);
		for (i = 0; i < 5; i++)
			traffic *= d->fill.dim[i];
		return sat(up(traffic, 64));
	}
	if (d->hdr.opcode == NPU_OP_LOAD || d->hdr.opcode == NPU_OP_STORE) {
		u128 run = npu_dtype_bytes(d->dma.mem.dtype), runs = 1;

		for (; i >= 0; i--) {
			if (d->dma.dim[i] > 1 && d->dma.mem.stride_bytes[i] != (__int128)run)
				break;
			run *= d->dma.dim[i];
		}
		for (; i >= 0; i--)
			runs *= d->dma.dim[i];
		traffic = runs * up(run, 64) * 64;
	} else {
		traffic = (u128)d->gather.dim[0] * d->gather.dim[1] * d->gather.dim[2] * 64 *
			up((u128)d->gather.row_elems * npu_dtype_bytes(d->gather.mem.dtype), 64);
		if (d->hdr.opcode == NPU_OP_SCATTER && d->hdr.flags & NPU_F_ADD)
			traffic *= 2;
	}
	return sat(t->dma_latency_cycles + up(traffic * 1000, speed));
}

static uint64_t cycles_again(const struct npu_timing *t, const union gen_any *d)
{
	switch (npu_op_engine(d->hdr.opcode)) {
	case NPU_ENGINE_TE:
		return te_again(t, d);
	case NPU_ENGINE_VE:
		return ve_again(t, d);
	case NPU_ENGINE_DI:
	case NPU_ENGINE_DO:
		return dma_again(t, d);
	default:
		return 0;
	}
}

static void random_timing(struct gen *g, struct npu_timing *t)
{
	*t = (struct npu_timing) {
		.rows = gen_range(g, 4, 256),
		.cols = gen_range(g, 1, 64) * 4,
		.dma_bytes_per_kcycle = 1 + ((uint32_t)gen_u64(g) >> gen_below(g, 31)) / 2,
		.dma_latency_cycles = 1 + ((uint32_t)gen_u64(g) >> gen_below(g, 31)) / 2,
		.dma_bursts = gen_range(g, 1, 64),
		.ve_bytes_per_cycle = 4u << gen_below(g, 8),
	};
}

static void expect_same(const struct npu_timing *t, const union gen_any *d)
{
	uint64_t want = cycles_again(t, d), got = npu_desc_cycles(t, d);

	if (want != got)
		fail_msg("%s: want %" PRIu64 ", got %" PRIu64, npu_op_name(d->hdr.opcode), want,
			 got);
}

static void test_random(void **state)
{
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	for (unsigned int i = 0; i < 50000; i++) {
		struct npu_timing t;
		union gen_any d;

		random_timing(&g, &t);
		gen_desc(&g, gen_opcode(&g), &d);
		expect_same(&t, &d);
	}
}

/* Dimensions up to all that the checker allows. */
static uint32_t large(struct gen *g, uint64_t *room, uint32_t most)
{
	uint32_t v = gen_below(g, 3) ? 1 + ((uint32_t)gen_u64(g) >> gen_below(g, 32)) : UINT32_MAX;

	v = v > most ? most : v;
	v = v > *room ? (uint32_t)*room : v;
	v = v ? v : 1;
	*room /= v;
	return v;
}

static void enlarge_shape(struct gen *g, struct npu_conv_shape *s, bool per_channel)
{
	uint64_t room = 1ull << 32;

	s->k = (uint16_t)large(g, &room, UINT16_MAX);
	s->n = (uint16_t)large(g, &room, UINT16_MAX);
	s->oh = (uint16_t)large(g, &room, UINT16_MAX);
	s->ow = (uint16_t)large(g, &room, UINT16_MAX);
	s->h = s->w = 1;
	room = (1ull << 32) / s->k;
	s->c = per_channel ? s->k : (uint16_t)large(g, &room, UINT16_MAX);
	s->kh = (uint16_t)large(g, &room, UINT16_MAX);
	s->kw = (uint16_t)large(g, &room, UINT16_MAX);
	while ((uint64_t)s->n * s->c > 1ull << 32)
		s->n /= 2;
}

/* Legal but for the memory it would take. */
static void enlarge(struct gen *g, union gen_any *d)
{
	uint64_t room = 1ull << 32;
	uint32_t *dim = d->matmul.dim;

	switch (d->hdr.opcode) {
	case NPU_OP_CONV:
	case NPU_OP_WGRAD:
		enlarge_shape(g, &d->conv.shape, d->hdr.flags & NPU_F_DEPTHWISE);
		break;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		enlarge_shape(g, &d->pool.shape, true);
		break;
	case NPU_OP_MATMUL:
		dim[0] = large(g, &room, UINT32_MAX);
		dim[1] = large(g, &room, UINT32_MAX);
		dim[2] = large(g, &room, UINT32_MAX);
		dim[3] = large(g, &room, UINT32_MAX);
		room = (1ull << 32) / ((uint64_t)dim[0] * dim[1] *
				       (dim[2] > dim[3] ? dim[2] : dim[3]));
		dim[4] = large(g, &room, UINT32_MAX);
		break;
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		for (unsigned int i = 0; i < 3; i++)
			d->gather.dim[i] = large(g, &room, UINT32_MAX);
		d->gather.row_elems = large(g, &room, UINT32_MAX);
		break;
	case NPU_OP_MAP:
	case NPU_OP_REDUCE:
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
	case NPU_OP_FILL:
		/* dim is at the same place, four or five of them */
		for (unsigned int i = 0; i < 4; i++)
			d->dma.dim[i] = large(g, &room, UINT32_MAX);
		break;
	default:
		break;
	}
	if (d->hdr.opcode == NPU_OP_LOAD || d->hdr.opcode == NPU_OP_STORE ||
	    d->hdr.opcode == NPU_OP_FILL)
		d->dma.dim[4] = 1;
}

static void test_extremes(void **state)
{
	struct gen g;

	(void)state;
	_Static_assert(offsetof(struct npu_desc_map, dim) == offsetof(struct npu_desc_dma, dim),
		       "map");
	_Static_assert(offsetof(struct npu_desc_reduce, dim) == offsetof(struct npu_desc_dma, dim),
		       "reduce");
	_Static_assert(offsetof(struct npu_desc_fill, dim) == offsetof(struct npu_desc_dma, dim),
		       "fill");
	gen_init(&g, seed);
	for (unsigned int i = 0; i < 50000; i++) {
		struct npu_timing t;
		union gen_any d;

		random_timing(&g, &t);
		gen_desc(&g, gen_opcode(&g), &d);
		enlarge(&g, &d);
		expect_same(&t, &d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_overheads),
		cmocka_unit_test(test_bandwidth),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_extremes),
	};

	seed = gen_test_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
