/* SPDX-License-Identifier: MIT */
/*
 * Footprints and bounds against a naive walk over every element: the walk knows
 * the meaning of each instruction and nothing of intervals.
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

static uint64_t seed;

/**
 * struct walk - addresses of the elements of one operand
 * @name: as in the struct
 * @space: enum npu_space
 * @write: written, else read
 * @reg: register of the operand
 * @elem_bytes: size of an element
 * @count: elements
 * @room: elements that @at has room for
 * @at: byte address of each
 */
struct walk {
	const char *name;
	unsigned int space;
	bool write;
	unsigned int reg;
	int64_t elem_bytes;
	unsigned int count;
	unsigned int room;
	int64_t *at;
};

struct walks {
	const uint64_t *regs;
	uint32_t cols;
	unsigned int count;
	struct walk walk[NPU_ACCESSES_MAX];
};

static void walks_clear(struct walks *ws)
{
	while (ws->count)
		free(ws->walk[--ws->count].at);
}

static struct walk *new_walk(struct walks *ws, const char *name, unsigned int space, bool write,
			     unsigned int reg, unsigned int dtype)
{
	struct walk *w = &ws->walk[ws->count++];

	assert_true(ws->count <= NPU_ACCESSES_MAX);
	*w = (struct walk) {
		.name = name,
		.space = space,
		.write = write,
		.reg = reg,
		.elem_bytes = npu_dtype_bytes(dtype),
	};
	return w;
}

static void visit(struct walk *w, int64_t at)
{
	if (w->count == w->room) {
		w->room = w->room ? 2 * w->room : 256;
		w->at = realloc(w->at, w->room * sizeof(*w->at));
		assert_non_null(w->at);
	}
	w->at[w->count++] = at;
}

static struct walk *new_ref_walk(struct walks *ws, const char *name, const struct npu_ref *ref,
				 bool write)
{
	return new_walk(ws, name, ref->space, write, ref->reg, ref->dtype);
}

/* Address of the element @step elements from the operand's first. */
static int64_t ref_at(const struct walks *ws, const struct npu_ref *ref, int64_t step)
{
	int64_t base = ref->addr;

	if (ws->regs && ref->reg != NPU_REG_NONE)
		base += (int64_t)(ws->regs[ref->reg] & 0xffffffff);
	return base + step * (int64_t)npu_dtype_bytes(ref->dtype);
}

static int64_t mem_at(const struct walks *ws, const struct npu_mem *mem, int64_t step_bytes)
{
	return (int64_t)((ws->regs ? ws->regs[mem->reg] : 0) + (uint64_t)mem->offset_bytes +
			 (uint64_t)step_bytes);
}

/* Four nested loops with an address of their own. */
static void walk_4d(struct walks *ws, const char *name, const struct npu_ref *ref, bool write,
		    uint32_t d0, uint32_t d1, uint32_t d2, uint32_t d3,
		    int64_t s0, int64_t s1, int64_t s2, int64_t s3)
{
	struct walk *w = new_ref_walk(ws, name, ref, write);

	for (uint32_t a = 0; a < d0; a++)
		for (uint32_t b = 0; b < d1; b++)
			for (uint32_t c = 0; c < d2; c++)
				for (uint32_t d = 0; d < d3; d++)
					visit(w, ref_at(ws, ref,
							a * s0 + b * s1 + c * s2 + d * s3));
}

static void walk_5d(struct walks *ws, const struct npu_ref *ref, bool write,
		    const uint32_t dim[5], const int32_t stride[5])
{
	struct walk *w = new_ref_walk(ws, "spm", ref, write);
	uint32_t i[5];

	for (i[0] = 0; i[0] < dim[0]; i[0]++)
		for (i[1] = 0; i[1] < dim[1]; i[1]++)
			for (i[2] = 0; i[2] < dim[2]; i[2]++)
				for (i[3] = 0; i[3] < dim[3]; i[3]++)
					for (i[4] = 0; i[4] < dim[4]; i[4]++) {
						int64_t step = 0;

						for (int j = 0; j < 5; j++)
							step += (int64_t)i[j] * stride[j];
						visit(w, ref_at(ws, ref, step));
					}
}

static void walk_dma(struct walks *ws, const struct npu_desc_dma *d, bool load)
{
	struct walk *w = new_walk(ws, "mem", NPU_SPACE_MEM, !load, d->mem.reg, d->mem.dtype);
	const int32_t *s = d->mem.stride_bytes;
	uint32_t i[5];

	for (i[0] = 0; i[0] < d->dim[0]; i[0]++)
		for (i[1] = 0; i[1] < d->dim[1]; i[1]++)
			for (i[2] = 0; i[2] < d->dim[2]; i[2]++)
				for (i[3] = 0; i[3] < d->dim[3]; i[3]++)
					for (i[4] = 0; i[4] < d->dim[4]; i[4]++) {
						int64_t step = 0;

						for (int j = 0; j < 5; j++)
							step += (int64_t)i[j] * s[j];
						visit(w, mem_at(ws, &d->mem, step));
					}
	walk_5d(ws, &d->spm, load, d->dim, d->spm_stride);
}

/* The row at position @i with indices @x, both counted in one number. */
static int64_t gather_row(const struct npu_desc_gather *d, uint64_t i, uint64_t x)
{
	int64_t at = 0;

	for (int j = 2; j >= 0; i /= d->dim[j--])
		at += (int64_t)(i % d->dim[j]) * d->mem.stride_bytes[j];
	for (int j = 3; j >= 0; j--)
		if (d->limit[j]) {
			at += (int64_t)(x % d->limit[j]) * d->step_bytes[j];
			x /= d->limit[j];
		}
	return at;
}

static void walk_gather(struct walks *ws, const struct npu_desc_gather *d, bool gather)
{
	int64_t elem_bytes = npu_dtype_bytes(d->mem.dtype);
	bool add = !gather && d->hdr.flags & NPU_F_ADD;
	const int32_t *s = d->spm_stride, *t = d->index_stride;
	uint64_t table = 1;
	uint32_t coords = 0;

	for (int j = 0; j < 4 && d->limit[j]; j++) {
		table *= d->limit[j];
		coords++;
	}
	for (int write = gather || add ? 0 : 1; write <= (gather ? 0 : 1); write++) {
		struct walk *w = new_walk(ws, "mem", NPU_SPACE_MEM, write, d->mem.reg,
					  d->mem.dtype);

		for (uint64_t i = 0; i < (uint64_t)d->dim[0] * d->dim[1] * d->dim[2]; i++)
			for (uint64_t x = 0; x < table; x++)
				for (uint32_t e = 0; e < d->row_elems; e++)
					visit(w, mem_at(ws, &d->mem, gather_row(d, i, x) +
							e * elem_bytes));
	}
	walk_4d(ws, "spm", &d->spm, gather, d->dim[0], d->dim[1], d->dim[2], d->row_elems,
		s[0], s[1], s[2], 1);
	walk_4d(ws, "index", &d->index, false, d->dim[0], d->dim[1], d->dim[2], coords,
		t[0], t[1], t[2], t[3]);
}

/* @padded: with the padding columns of the last panel. */
static void walk_weights(struct walks *ws, const char *name, const struct npu_ref *ref, bool write,
			 const struct npu_conv_shape *s, bool depthwise, bool padded)
{
	struct walk *w = new_ref_walk(ws, name, ref, write);
	uint32_t panels = (s->k + ws->cols - 1) / ws->cols;
	uint32_t k_total = padded ? panels * ws->cols : s->k;

	for (uint32_t y = 0; y < s->kh; y++)
		for (uint32_t x = 0; x < s->kw; x++)
			for (uint32_t c = 0; c < s->c; c++) {
				if (depthwise) {
					visit(w, ref_at(ws, ref, (y * s->kw + x) * s->c + c));
					continue;
				}
				for (uint32_t k = 0; k < k_total; k++)
					visit(w, ref_at(ws, ref, (int64_t)
						npu_weight_index(k, c, y, x, s->c, s->kh, s->kw,
								 ws->cols)));
			}
}

static void walk_conv(struct walks *ws, const struct npu_desc_conv *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const int32_t *is = d->in_stride, *as = d->acc_stride;

	walk_4d(ws, "in", &d->in, false, s->n, s->h, s->w, s->c, is[0], is[1], is[2], 1);
	walk_weights(ws, "weights", &d->weights, false, s, d->hdr.flags & NPU_F_DEPTHWISE, true);
	if (d->hdr.flags & NPU_F_BIAS)
		walk_4d(ws, "bias", &d->bias, false, 1, 1, 1, s->k, 0, 0, 0, 1);
	if (d->hdr.flags & NPU_F_ACCUMULATE)
		walk_4d(ws, "acc", &d->acc, false, s->n, s->oh, s->ow, s->k,
			as[0], as[1], as[2], 1);
	walk_4d(ws, "acc", &d->acc, true, s->n, s->oh, s->ow, s->k, as[0], as[1], as[2], 1);
}

static void walk_wgrad(struct walks *ws, const struct npu_desc_wgrad *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const int32_t *is = d->in_stride, *ds = d->dy_stride;
	bool depthwise = d->hdr.flags & NPU_F_DEPTHWISE;

	walk_4d(ws, "in", &d->in, false, s->n, s->h, s->w, s->c, is[0], is[1], is[2], 1);
	walk_4d(ws, "dy", &d->dy, false, s->n, s->oh, s->ow, s->k, ds[0], ds[1], ds[2], 1);
	if (d->hdr.flags & NPU_F_ACCUMULATE)
		walk_weights(ws, "acc", &d->acc, false, s, depthwise, false);
	walk_weights(ws, "acc", &d->acc, true, s, depthwise, false);
}

static void walk_matmul(struct walks *ws, const struct npu_desc_matmul *d)
{
	const uint32_t b0 = d->dim[0], b1 = d->dim[1], m = d->dim[2], n = d->dim[3], k = d->dim[4];
	const int32_t *as = d->a_stride, *bs = d->b_stride, *cs = d->acc_stride;

	walk_4d(ws, "a", &d->a, false, b0, b1, m, k, as[0], as[1], as[2], as[3]);
	walk_4d(ws, "b", &d->b, false, b0, b1, k, n, bs[0], bs[1], bs[2], bs[3]);
	if (d->hdr.flags & NPU_F_BIAS)
		walk_4d(ws, "bias", &d->bias, false, 1, 1, 1, n, 0, 0, 0, 1);
	if (d->hdr.flags & NPU_F_ACCUMULATE)
		walk_4d(ws, "acc", &d->acc, false, b0, b1, m, n, cs[0], cs[1], cs[2], 1);
	walk_4d(ws, "acc", &d->acc, true, b0, b1, m, n, cs[0], cs[1], cs[2], 1);
}

static void walk_map(struct walks *ws, const struct npu_desc_map *d)
{
	static const char *const name[] = {
		"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
	};
	const uint32_t *uop = npu_map_uops(d);

	for (unsigned int v = 0; v < d->operands; v++) {
		const int32_t *s = d->view[v].stride;
		bool loads = false, stores = false;

		for (unsigned int i = 0; i < d->uops; i++) {
			loads |= (uop[i] & 0xff) == NPU_UOP_LD && (uop[i] >> 13 & 63) == v;
			stores |= (uop[i] & 0xff) == NPU_UOP_ST && (uop[i] >> 8 & 31) == v;
		}
		for (int write = 0; write < 2; write++) {
			if (write ? stores : loads)
				walk_4d(ws, name[v], &d->view[v].ref, write, d->dim[0], d->dim[1],
					d->dim[2], d->dim[3], s[0], s[1], s[2], s[3]);
		}
	}
}

static void walk_reduce_out(struct walks *ws, const struct npu_desc_reduce *d, bool write,
			    unsigned int lanes)
{
	struct walk *w = new_ref_walk(ws, "out", &d->out.ref, write);
	const int32_t *s = d->out.stride;
	int64_t i[4];

	for (i[0] = 0; i[0] < d->dim[0]; i[0]++)
		for (i[1] = 0; i[1] < d->dim[1]; i[1]++)
			for (i[2] = 0; i[2] < d->dim[2]; i[2]++)
				for (i[3] = 0; i[3] < d->dim[3]; i[3]++) {
					int64_t step = i[0] * s[0] + i[1] * s[1] + i[2] * s[2] +
						i[3] * s[3];

					for (uint32_t lane = 0; lane < lanes; lane++)
						visit(w, ref_at(ws, &d->out.ref, step + lane));
				}
}

static void walk_reduce(struct walks *ws, const struct npu_desc_reduce *d)
{
	const int32_t *s = d->in.stride;

	walk_4d(ws, "in", &d->in.ref, false, d->dim[0], d->dim[1], d->dim[2], d->dim[3],
		s[0], s[1], s[2], s[3]);
	if (d->hdr.flags & NPU_F_LANES_IN)
		walk_reduce_out(ws, d, false, 16);
	walk_reduce_out(ws, d, true, d->hdr.flags & NPU_F_LANES_OUT ? 16 : 1);
}

static void walk_pool(struct walks *ws, const struct npu_desc_pool *d)
{
	const struct npu_conv_shape *s = &d->shape;
	const int32_t *is = d->in_stride, *os = d->out_stride;

	if (d->hdr.opcode == NPU_OP_POOL) {
		walk_4d(ws, "in", &d->in, false, s->n, s->h, s->w, s->c, is[0], is[1], is[2], 1);
		walk_4d(ws, "out", &d->out, true, s->n, s->oh, s->ow, s->c, os[0], os[1], os[2], 1);
		if (d->hdr.flags & NPU_F_POOL_INDEX)
			walk_4d(ws, "index", &d->index, true, s->n, s->oh, s->ow, s->c,
				os[0], os[1], os[2], 1);
		return;
	}
	walk_4d(ws, "in", &d->in, false, s->n, s->oh, s->ow, s->c, is[0], is[1], is[2], 1);
	walk_4d(ws, "index", &d->index, false, s->n, s->oh, s->ow, s->c, is[0], is[1], is[2], 1);
	walk_4d(ws, "out", &d->out, false, s->n, s->h, s->w, s->c, os[0], os[1], os[2], 1);
	walk_4d(ws, "out", &d->out, true, s->n, s->h, s->w, s->c, os[0], os[1], os[2], 1);
}

static void walk_desc(struct walks *ws, const union gen_any *d)
{
	switch (d->hdr.opcode) {
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
		walk_dma(ws, &d->dma, d->hdr.opcode == NPU_OP_LOAD);
		break;
	case NPU_OP_FILL:
		walk_5d(ws, &d->fill.spm, true, d->fill.dim, d->fill.spm_stride);
		break;
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		walk_gather(ws, &d->gather, d->hdr.opcode == NPU_OP_GATHER);
		break;
	case NPU_OP_CONV:
		walk_conv(ws, &d->conv);
		break;
	case NPU_OP_WGRAD:
		walk_wgrad(ws, &d->wgrad);
		break;
	case NPU_OP_MATMUL:
		walk_matmul(ws, &d->matmul);
		break;
	case NPU_OP_MAP:
		walk_map(ws, &d->map);
		break;
	case NPU_OP_REDUCE:
		walk_reduce(ws, &d->reduce);
		break;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		walk_pool(ws, &d->pool);
		break;
	default:
		break;
	}
}

static void interval(const struct walk *w, int64_t *lo, int64_t *hi, bool *contiguous)
{
	uint8_t *seen;

	*lo = INT64_MAX;
	*hi = INT64_MIN;
	for (unsigned int i = 0; i < w->count; i++) {
		*lo = w->at[i] < *lo ? w->at[i] : *lo;
		*hi = w->at[i] + w->elem_bytes > *hi ? w->at[i] + w->elem_bytes : *hi;
	}
	seen = calloc(1, (size_t)(*hi - *lo));
	for (unsigned int i = 0; i < w->count; i++)
		memset(seen + (w->at[i] - *lo), 1, (size_t)w->elem_bytes);
	*contiguous = !memchr(seen, 0, (size_t)(*hi - *lo));
	free(seen);
}

static const struct npu_access *find(const struct npu_access *access, unsigned int count,
				     const struct walk *w)
{
	for (unsigned int i = 0; i < count; i++) {
		if (!strcmp(access[i].name, w->name) && access[i].write == w->write)
			return &access[i];
	}
	fail_msg("no range for %s", w->name);
	return NULL;
}

static void compare(const struct gen *g, const union gen_any *d, const uint64_t *regs)
{
	struct walks ws = { .regs = regs, .cols = g->limits.array_cols };
	struct npu_access access[NPU_ACCESSES_MAX];
	unsigned int count = npu_desc_accesses(&g->limits, d, regs, access);

	walk_desc(&ws, d);
	assert_int_equal(count, ws.count);
	for (unsigned int i = 0; i < ws.count; i++) {
		const struct walk *w = &ws.walk[i];
		const struct npu_access *a = find(access, count, w);
		int64_t lo, hi;
		bool contiguous;

		interval(w, &lo, &hi, &contiguous);
		assert_int_equal(a->space, w->space);
		assert_int_equal(a->elem_bytes, w->elem_bytes);
		assert_int_equal(a->reg, regs ? NPU_REG_NONE : w->reg);
		if (a->lo_bytes != lo || a->hi_bytes != hi || a->contiguous != contiguous)
			fail_msg("%s %s: want %" PRId64 " .. %" PRId64 " %d, got %" PRId64 " .. %"
				 PRId64 " %d", npu_op_name(d->hdr.opcode), w->name, lo, hi,
				 contiguous, a->lo_bytes, a->hi_bytes, a->contiguous);
	}
	walks_clear(&ws);
}

static void small_gen(struct gen *g, uint64_t state)
{
	static const uint32_t cols[] = { 4, 8, 32 };

	gen_init(g, state);
	g->limits.spm_bytes = 128 << 10;
	g->limits.acc_bytes = 32 << 10;
	g->limits.array_cols = cols[gen_below(g, 3)];
	g->mem_bytes = 64 << 10;
	g->defined = gen_below(g, 2);
	gen_regs(g);
}

static void test_footprints(void **state)
{
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		union gen_any d;

		small_gen(&g, seed + i);
		gen_desc(&g, gen_opcode(&g), &d);
		compare(&g, &d, NULL);
		compare(&g, &d, g.regs);
	}
}

/* Operands of @d, for damage. */
static unsigned int refs_of(union gen_any *d, struct npu_ref *ref[NPU_MAP_OPERANDS])
{
	unsigned int count = 0;

	switch (d->hdr.opcode) {
	case NPU_OP_LOAD:
	case NPU_OP_STORE:
		ref[count++] = &d->dma.spm;
		break;
	case NPU_OP_FILL:
		ref[count++] = &d->fill.spm;
		break;
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		ref[count++] = &d->gather.spm;
		ref[count++] = &d->gather.index;
		break;
	case NPU_OP_CONV:
		ref[count++] = &d->conv.in;
		ref[count++] = &d->conv.weights;
		ref[count++] = &d->conv.acc;
		break;
	case NPU_OP_WGRAD:
		ref[count++] = &d->wgrad.in;
		ref[count++] = &d->wgrad.dy;
		ref[count++] = &d->wgrad.acc;
		break;
	case NPU_OP_MATMUL:
		ref[count++] = &d->matmul.a;
		ref[count++] = &d->matmul.b;
		ref[count++] = &d->matmul.acc;
		break;
	case NPU_OP_MAP:
		while (count < d->map.operands) {
			ref[count] = &d->map.view[count].ref;
			count++;
		}
		break;
	case NPU_OP_REDUCE:
		ref[count++] = &d->reduce.in.ref;
		ref[count++] = &d->reduce.out.ref;
		break;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		ref[count++] = &d->pool.in;
		ref[count++] = &d->pool.out;
		if (d->hdr.flags & NPU_F_POOL_INDEX)
			ref[count++] = &d->pool.index;
		break;
	default:
		break;
	}
	return count;
}

/* Which faults the naive walk finds, as a set of bits. */
static uint32_t naive_faults(const struct gen *g, const union gen_any *d, const uint64_t *regs)
{
	struct walks ws = { .regs = regs, .cols = g->limits.array_cols };
	uint32_t faults = 0;

	walk_desc(&ws, d);
	for (unsigned int i = 0; i < ws.count; i++) {
		const struct walk *w = &ws.walk[i];

		for (unsigned int e = 0; e < w->count; e++) {
			uint64_t at = (uint64_t)w->at[e], end = at + (uint64_t)w->elem_bytes;
			bool inside = w->at[e] >= 0;

			if (w->space == NPU_SPACE_SPM && (!inside || end > g->limits.spm_bytes))
				faults |= 1u << NPU_FAULT_SPM_BOUNDS;
			if (w->space == NPU_SPACE_ACC && (!inside || end > g->limits.acc_bytes))
				faults |= 1u << NPU_FAULT_ACC_BOUNDS;
			if (w->space == NPU_SPACE_MEM &&
			    (at >> NPU_VA_BITS || (end - 1) >> NPU_VA_BITS))
				faults |= 1u << NPU_FAULT_MMU_UNMAPPED;
			if (w->at[e] % w->elem_bytes)
				faults |= 1u << NPU_FAULT_ALIGN;
		}
	}
	walks_clear(&ws);
	return faults;
}

static void expect_one_of(const union gen_any *d, enum npu_fault_code code, uint32_t faults)
{
	if (code ? !(faults & 1u << code) : faults)
		fail_msg("%s: got %s, naive faults 0x%x", npu_op_name(d->hdr.opcode),
			 npu_fault_name(code), faults);
}

/* Addresses near every edge; also of refs without a register, statically. */
static void test_damaged_addresses(void **state)
{
	unsigned int refused = 0;
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		struct npu_ref *ref[NPU_MAP_OPERANDS];
		enum npu_fault_code code;
		struct npu_diag diag;
		union gen_any d;
		unsigned int count;

		small_gen(&g, seed + i);
		g.no_regs = true;
		gen_desc(&g, gen_opcode(&g), &d);
		count = refs_of(&d, ref);
		if (!count)
			continue;
		count = gen_below(&g, count);
		if (gen_below(&g, 2))
			ref[count]->addr += gen_below(&g, 2) ? gen_below(&g, 64) :
				(uint32_t)gen_u64(&g);
		else
			ref[count]->addr -= gen_below(&g, g.limits.spm_bytes);
		code = npu_check_desc(&g.limits, &d, sizeof(d), &diag);
		expect_one_of(&d, code, naive_faults(&g, &d, g.regs));
		refused += code != NPU_FAULT_NONE;
	}
	assert_true(refused > 1000);
}

static void test_damaged_registers(void **state)
{
	unsigned int refused = 0;
	struct gen g;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		enum npu_fault_code code;
		struct npu_diag diag;
		union gen_any d;

		small_gen(&g, seed + i);
		gen_desc(&g, gen_opcode(&g), &d);
		for (unsigned int r = 0; r < GEN_FREE_REG; r++) {
			if (r >= GEN_MEM_REG) {
				if (gen_below(&g, 4) == 0)
					g.regs[r] = (1ull << NPU_VA_BITS) - gen_below(&g, 1 << 17);
				else if (gen_below(&g, 8) == 0)
					g.regs[r] = gen_u64(&g) >> gen_below(&g, 40);
				else if (gen_below(&g, 8) == 0)
					g.regs[r] -= g.mem_lo + gen_below(&g, 1 << 16);
			} else if (gen_below(&g, 3) == 0) {
				g.regs[r] += gen_u64(&g) >> gen_below(&g, 64);
			}
		}
		/* What registers alone can mend is legal before they are known. */
		assert_int_equal(npu_check_desc(&g.limits, &d, sizeof(d), NULL), NPU_FAULT_NONE);
		code = npu_check_bounds(&g.limits, &d, g.regs, &diag);
		assert_int_equal(code, diag.code);
		expect_one_of(&d, code, naive_faults(&g, &d, g.regs));
		refused += code != NPU_FAULT_NONE;
	}
	assert_true(refused > 1000);
}

/* Extremes: nothing wraps, every range saturates or is exact. */
static void test_extreme_strides(void **state)
{
	struct npu_access access[NPU_ACCESSES_MAX];
	uint64_t regs[NPU_REGS] = { 0 };
	struct npu_diag diag;
	union gen_any d;
	struct gen g;

	(void)state;
	gen_init(&g, seed);
	gen_desc(&g, NPU_OP_LOAD, &d);
	for (unsigned int i = 0; i < 5; i++) {
		d.dma.dim[i] = 1;
		d.dma.mem.stride_bytes[i] = INT32_MIN;
		d.dma.spm_stride[i] = INT32_MIN;
	}
	d.dma.mem.dtype = NPU_U8;
	d.dma.mem.offset_bytes = INT64_MAX;
	d.dma.spm.dtype = NPU_F32;
	d.dma.spm.reg = NPU_REG_NONE;
	d.dma.spm.addr = 0;
	assert_int_equal(npu_check_desc(&g.limits, &d, sizeof(d), &diag), NPU_FAULT_NONE);
	npu_desc_accesses(&g.limits, &d, NULL, access);
	assert_true(access[0].lo_bytes == INT64_MIN && access[0].hi_bytes == INT64_MAX);
	assert_int_equal(npu_check_bounds(&g.limits, &d, regs, NULL), NPU_FAULT_MMU_UNMAPPED);
	d.dma.mem.offset_bytes = 0;
	regs[d.dma.mem.reg] = 1ull << 63;
	npu_desc_accesses(&g.limits, &d, regs, access);
	assert_true(access[0].lo_bytes == INT64_MIN && access[0].hi_bytes == INT64_MAX);
	d.dma.dim[0] = UINT32_MAX;
	assert_int_equal(npu_check_desc(&g.limits, &d, sizeof(d), &diag), NPU_FAULT_SPM_BOUNDS);
	d.dma.dim[1] = 2;
	assert_int_equal(npu_check_desc(&g.limits, &d, sizeof(d), &diag), NPU_FAULT_OPERAND);
	d.dma.dim[0] = 1u << 31;
	d.dma.spm.reg = 0;
	d.dma.spm_stride[0] = INT32_MAX;
	d.dma.spm_stride[1] = INT32_MAX;
	assert_int_equal(npu_check_desc(&g.limits, &d, sizeof(d), &diag), NPU_FAULT_SPM_BOUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_footprints),
		cmocka_unit_test(test_damaged_addresses),
		cmocka_unit_test(test_damaged_registers),
		cmocka_unit_test(test_extreme_strides),
	};

	seed = gen_test_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
