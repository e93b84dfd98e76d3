/* SPDX-License-Identifier: MIT */
/*
 * Random kernel IR. Operations read new inputs and constants, or parts of what
 * earlier operations wrote, through permuted, strided, reversed and broadcast
 * views; they write tensors whole, in a permuted layout.
 */
#include "gen_priv.h"

#include <stdlib.h>
#include <string.h>

#include "kir/kir_view.h"
#include "npu_check.h"

uint32_t gen_bits(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 32);
}

uint32_t gen_below(struct gen *g, uint32_t n)
{
	return (uint32_t)((uint64_t)gen_bits(&g->state) * n >> 32);
}

uint32_t gen_range(struct gen *g, uint32_t lo, uint32_t hi)
{
	return lo + gen_below(g, hi - lo + 1);
}

bool gen_chance(struct gen *g, uint32_t percent)
{
	return gen_below(g, 100) < percent;
}

/* 1, small, beside a power of two or a multiple of 16, or anything up to @max. */
static uint32_t size(struct gen *g, uint32_t max)
{
	uint32_t v;

	switch (gen_below(g, 5)) {
	case 0:
		v = gen_range(g, 1, 3);
		break;
	case 1:
		v = gen_range(g, 1, 12);
		break;
	case 2:
		v = (16u << gen_below(g, 4)) + gen_below(g, 3) - 1;
		break;
	case 3:
		v = 16 * gen_range(g, 1, 8);
		break;
	default:
		v = gen_range(g, 1, max);
		break;
	}
	return v < max ? v : max;
}

/* @n sizes whose product stays below about @elems; one of them may be large. */
static void sizes(struct gen *g, uint32_t *dim, unsigned int n, uint64_t elems)
{
	unsigned int large = gen_below(g, n);
	uint64_t product = 1;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t left = elems / product;

		dim[i] = left < 2 ? 1 : size(g, left < 300 ? (uint32_t)left : 300);
		product *= dim[i];
	}
	product /= dim[large];
	if (gen_chance(g, 50) && elems / product > dim[large])
		dim[large] = gen_range(g, dim[large], (uint32_t)(elems / product));
}

/* ---- tensors and views ---- */

uint32_t gen_tensor(struct gen *g, enum kir_tensor_kind kind, enum npu_dtype dtype,
			   uint64_t elems)
{
	struct kir_tensor t = {
		.kind = kind,
		.dtype = dtype,
		.elems = elems,
		.rank = 1,
		.dim = { (int64_t)elems },
		.name = nc_printf(g->k->arena, "t%u", g->k->tensors),
	};
	uint32_t *data = NULL;
	int64_t index;

	if (kind == KIR_CONST) {
		data = malloc(elems * sizeof(*data));
		if (!data)
			abort();
		for (uint64_t i = 0; i < elems; i++) {
			float f = (float)(int32_t)gen_bits(&g->state) * 0x1p-31f;

			memcpy(&data[i], &f, sizeof(f));
			if (dtype == NPU_I32)
				data[i] = gen_bits(&g->state) >> 8;
		}
		t.data = data;
	}
	index = kir_add_tensor(g->k, &t);
	free(data);
	if (index < 0)
		abort();
	return (uint32_t)index;
}

static void permutation(struct gen *g, unsigned int *order, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		order[i] = i;
	for (unsigned int i = n; i-- > 1 && gen_chance(g, 60);) {
		unsigned int j = gen_below(g, i + 1), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
}

/* Strides of a layout in random dimension order, with gaps if @gaps. */
static uint64_t layout(struct gen *g, const uint32_t *dim, unsigned int n, bool gaps,
		       const bool *broadcast, int64_t *stride)
{
	unsigned int order[KIR_DIMS];
	uint64_t elems = 1;

	permutation(g, order, n);
	for (unsigned int i = n; i-- > 0;) {
		unsigned int d = order[i];

		stride[d] = broadcast && broadcast[d] ? 0 : (int64_t)elems;
		if (stride[d])
			elems *= dim[d];
		if (gaps && gen_chance(g, 10))
			elems += gen_below(g, 5);
	}
	return elems;
}

/* Read the loops backwards, at random. */
static void reverse(struct gen *g, struct kir_view *v, const uint32_t *dim, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (gen_chance(g, 5)) {
			v->offset += v->stride[i] * (int64_t)(dim[i] - 1);
			v->stride[i] = -v->stride[i];
		}
}

/* An older tensor with at least @elems elements, or a new one. */
static uint32_t readable(struct gen *g, enum npu_dtype dtype, uint64_t elems)
{
	for (unsigned int i = g->pools; i-- > 0 && gen_chance(g, 80);) {
		const struct kir_tensor *t = &g->k->tensor[g->pool[i]];

		if (t->dtype == dtype && t->elems >= elems)
			return g->pool[i];
	}
	return gen_tensor(g, gen_chance(g, 30) ? KIR_CONST : KIR_INPUT, dtype, elems + gen_below(g, 3));
}

static void read_view(struct gen *g, struct kir_view *v, enum npu_dtype dtype, const uint32_t *dim,
		      unsigned int n, uint32_t broadcast_percent)
{
	bool broadcast[KIR_DIMS];
	uint64_t elems, room;

	memset(v, 0, sizeof(*v));
	for (unsigned int i = 0; i < n; i++)
		broadcast[i] = gen_chance(g, broadcast_percent);
	elems = layout(g, dim, n, true, broadcast, v->stride);
	v->tensor = readable(g, dtype, elems);
	room = g->k->tensor[v->tensor].elems - elems;
	v->offset = room ? gen_below(g, (uint32_t)(room < 1000 ? room : 1000) + 1) : 0;
	reverse(g, v, dim, n);
}

static void write_view(struct gen *g, struct kir_view *v, enum npu_dtype dtype,
		       const uint32_t *dim, unsigned int n)
{
	uint64_t elems;

	memset(v, 0, sizeof(*v));
	elems = layout(g, dim, n, false, NULL, v->stride);
	v->tensor = gen_tensor(g, gen_chance(g, 60) ? KIR_OUTPUT : KIR_TEMP, dtype, elems);
	reverse(g, v, dim, n);
}

static void publish(struct gen *g, const struct kir_view *v)
{
	if (g->pools < GEN_POOL)
		g->pool[g->pools++] = v->tensor;
}

/* ---- micro-programs ---- */

static const uint8_t float_uops[] = {
	NPU_UOP_FADD, NPU_UOP_FSUB, NPU_UOP_FMUL, NPU_UOP_FMA, NPU_UOP_FMIN, NPU_UOP_FMAX,
	NPU_UOP_FABS, NPU_UOP_FNEG, NPU_UOP_FRINT, NPU_UOP_FFLOOR, NPU_UOP_MOV,
};
static const uint8_t int_uops[] = {
	NPU_UOP_IADD, NPU_UOP_ISUB, NPU_UOP_IMUL, NPU_UOP_IAND, NPU_UOP_IOR, NPU_UOP_IXOR,
	NPU_UOP_IMIN, NPU_UOP_IMAX, NPU_UOP_ILT, NPU_UOP_IEQ, NPU_UOP_SEL, NPU_UOP_IDIV,
};

struct program {
	struct kir_map *m;
	bool floats;
	unsigned int regs;
};

static void add_uop(struct program *p, unsigned int op, unsigned int dst, unsigned int a,
		    unsigned int b, unsigned int c)
{
	p->m->uop[p->m->uops++] = NPU_UOP_WORD(op, dst, a, b, c);
}

static unsigned int source(struct gen *g, const struct program *p)
{
	if (p->m->consts && gen_chance(g, 20))
		return NPU_UOP_CONST + gen_below(g, p->m->consts);
	return gen_below(g, p->regs);
}

/* Loads of all inputs, some arithmetic, stores of all outputs. */
void gen_program(struct gen *g, struct kir_map *m, bool floats, bool iota)
{
	struct program program = { .m = m, .floats = floats }, *p = &program;
	unsigned int steps = gen_below(g, 8);

	m->consts = gen_below(g, 4);
	for (unsigned int i = 0; i < m->consts; i++) {
		float f = (float)(int32_t)gen_bits(&g->state) * 0x1p-30f;

		memcpy(&m->konst[i], &f, sizeof(f));
		if (!p->floats)
			m->konst[i] = gen_bits(&g->state) >> gen_below(g, 32);
	}
	for (unsigned int i = 0; i < m->operands; i++)
		if (!m->operand[i].write)
			add_uop(p, NPU_UOP_LD, p->regs++, i, 0, 0);
	if (iota) {
		add_uop(p, NPU_UOP_IOTA, p->regs, 0, 0, 0);
		if (p->floats)
			add_uop(p, NPU_UOP_I2F, p->regs, p->regs, 0, 0);
		p->regs++;
	}
	for (unsigned int i = 0; i < steps; i++) {
		unsigned int op = p->floats ? float_uops[gen_below(g, sizeof(float_uops))] :
			int_uops[gen_below(g, sizeof(int_uops))];
		unsigned int n = npu_uop_sources(op), dst = gen_below(g, p->regs + 1);

		add_uop(p, op, dst, source(g, p), n > 1 ? source(g, p) : 0,
			n > 2 ? source(g, p) : 0);
		if (dst == p->regs)
			p->regs++;
	}
	for (unsigned int i = 0; i < m->operands; i++)
		if (m->operand[i].write)
			add_uop(p, NPU_UOP_ST, i, gen_chance(g, 50) ? p->regs - 1 : source(g, p), 0, 0);
}

static void add_operands(struct gen *g, struct kir_map *m, enum npu_dtype dtype,
			 unsigned int inputs, unsigned int outputs)
{
	for (unsigned int i = 0; i < inputs; i++)
		read_view(g, &m->operand[m->operands++].view, dtype, m->dim, m->ndim,
			  gen_chance(g, 30) ? 40 : 0);
	for (unsigned int i = 0; i < outputs; i++) {
		struct kir_operand *o = &m->operand[m->operands++];

		o->write = true;
		write_view(g, &o->view, dtype, m->dim, m->ndim);
	}
}

static void publish_map(struct gen *g, const struct kir_map *m)
{
	for (unsigned int i = 0; i < m->operands; i++)
		if (m->operand[i].write)
			publish(g, &m->operand[i].view);
}

static void epilogue(struct gen *g, struct kir_map *m, const uint32_t dim[4], unsigned int groups)
{
	m->ndim = 4;
	memcpy(m->dim, dim, 4 * sizeof(*dim));
	for (unsigned int i = 0; i < groups; i++) {
		struct kir_operand *o = &m->operand[m->operands++];

		o->acc = true;
		o->acc_group = i;
		o->view.tensor = KIR_NO_TENSOR;
	}
	add_operands(g, m, NPU_F32, gen_chance(g, 40) ? gen_below(g, 3) : 0, gen_chance(g, 15) ? 2 : 1);
	gen_program(g, m, true, false);
}

/* ---- operations ---- */

static void vector_view(struct gen *g, struct kir_view *v, uint32_t n)
{
	if (gen_chance(g, 50))
		read_view(g, v, NPU_F32, &n, 1, 10);
	else
		*v = (struct kir_view){ .tensor = KIR_NO_TENSOR };
}

static void gen_map(struct gen *g)
{
	struct kir_op *op = kir_add_op(g->k, KIR_MAP, 0);
	struct kir_map *m = &op->map;
	bool floats = gen_chance(g, 70);

	m->ndim = gen_range(g, 1, KIR_DIMS);
	sizes(g, m->dim, m->ndim, g->elems);
	add_operands(g, m, floats ? NPU_F32 : NPU_I32, gen_range(g, 1, 3), gen_range(g, 1, 2));
	/* Now and then in place: read what is written. */
	if (g->pools && gen_chance(g, 20)) {
		struct kir_operand *o = &m->operand[m->operands - 1];
		uint32_t tensor = g->pool[g->pools - 1];

		if (g->k->tensor[tensor].kind == KIR_TEMP &&
		    g->k->tensor[tensor].elems == g->k->tensor[o->view.tensor].elems &&
		    g->k->tensor[tensor].dtype == g->k->tensor[o->view.tensor].dtype &&
		    m->operand[0].view.tensor != tensor && m->operand[1].view.tensor != tensor &&
		    m->operand[2].view.tensor != tensor) {
			g->k->tensor[o->view.tensor].kind = KIR_TEMP;
			o->view.tensor = tensor;
			m->operand[m->operands] = *o;
			m->operand[m->operands++].write = false;
		}
	}
	gen_program(g, m, floats, gen_chance(g, 15));
	publish_map(g, m);
}

static void gen_matmul(struct gen *g)
{
	struct kir_op *op = kir_add_op(g->k, KIR_MATMUL, 0);
	struct kir_matmul *m = &op->matmul;
	uint32_t dim[5], columns;

	sizes(g, dim, 5, (uint64_t)g->elems * 16);
	m->b0 = dim[0] < 5 ? dim[0] : 1;
	m->b1 = dim[1] < 9 ? dim[1] : 1;
	m->m = dim[2];
	columns = dim[3];
	m->k = dim[4];
	m->groups = gen_chance(g, 70) ? 1 : gen_range(g, 2, 4);
	m->n = columns * m->groups;
	read_view(g, &m->a, NPU_F32, (uint32_t[]){ m->b0, m->b1, m->m, m->k }, 4, 10);
	read_view(g, &m->b, NPU_F32, (uint32_t[]){ m->b0, m->b1, m->k, m->n }, 4, 10);
	vector_view(g, &m->bias, m->n);
	epilogue(g, &m->epilogue, (uint32_t[]){ m->b0, m->b1, m->m, columns }, m->groups);
	publish_map(g, &m->epilogue);
}

static void gen_axis(struct gen *g, uint32_t kernel, uint32_t *in, uint32_t *out,
		     uint32_t *stride, uint32_t *dil, int32_t *pad, uint32_t up)
{
	uint64_t seen, reach;

	*stride = gen_chance(g, 60) ? 1 : gen_range(g, 1, 4);
	*dil = gen_chance(g, 70) ? 1 : gen_range(g, 1, 3);
	*in = size(g, gen_chance(g, 20) ? 80 : 24);
	*pad = gen_chance(g, 50) ? 0 : (int32_t)gen_below(g, 2 * kernel) - 1;
	seen = ((uint64_t)*in - 1) * up + 1 + (uint64_t)(*pad > 0 ? *pad : 0) + gen_below(g, 2);
	reach = (uint64_t)(kernel - 1) * *dil + 1;
	*out = seen < reach ? 1 : (uint32_t)((seen - reach) / *stride + 1);
}

static void gen_window(struct gen *g, struct kir_window *w, uint32_t max_kernel, uint32_t max_up)
{
	w->kh = gen_range(g, 1, max_kernel);
	w->kw = gen_chance(g, 70) ? w->kh : gen_range(g, 1, max_kernel);
	w->up_h = gen_range(g, 1, max_up);
	w->up_w = gen_range(g, 1, max_up);
	gen_axis(g, w->kh, &w->h, &w->oh, &w->stride_h, &w->dil_h, &w->pad_top, w->up_h);
	gen_axis(g, w->kw, &w->w, &w->ow, &w->stride_w, &w->dil_w, &w->pad_left, w->up_w);
}

static void gen_conv(struct gen *g)
{
	struct kir_op *op = kir_add_op(g->k, KIR_CONV, 0);
	struct kir_conv *c = &op->conv;
	struct kir_window *w = &c->win;
	uint64_t macs = (uint64_t)g->elems * 16, outs;
	uint32_t c_group, k_group, dim[4];

	gen_window(g, w, gen_chance(g, 20) ? 7 : 3, gen_chance(g, 15) ? 3 : 1);
	outs = (uint64_t)w->oh * w->ow * w->kh * w->kw;
	c_group = size(g, macs / outs < 2 ? 1 : macs / outs < 200 ? (uint32_t)(macs / outs) : 200);
	macs /= outs * c_group;
	k_group = macs < 2 ? 1 : size(g, macs < 150 ? (uint32_t)macs : 150);
	macs /= k_group;
	c->groups = macs < 2 || gen_chance(g, 60) ? 1 : gen_range(g, 1, macs < 6 ? (uint32_t)macs : 6);
	if (gen_chance(g, 15)) {
		c->groups = c_group;
		c_group = 1;
		k_group = gen_chance(g, 80) ? 1 : 2;
	}
	macs /= c->groups;
	w->n = macs < 2 ? 1 : gen_range(g, 1, macs < 4 ? (uint32_t)macs : 4);
	w->c = c_group * c->groups;
	w->k = k_group * c->groups;
	memcpy(dim, (uint32_t[]){ w->k, c_group, w->kh, w->kw }, sizeof(dim));
	read_view(g, &c->in, NPU_F32, (uint32_t[]){ w->n, w->h, w->w, w->c }, 4, 3);
	read_view(g, &c->weights, NPU_F32, dim, 4, 3);
	vector_view(g, &c->bias, w->k);
	epilogue(g, &c->epilogue, (uint32_t[]){ w->n, w->oh, w->ow, w->k }, 1);
	publish_map(g, &c->epilogue);
}

/* Input, output gradient, and gradients of the weights stored in any order. */
static void gen_wgrad(struct gen *g)
{
	struct kir_op *op = kir_add_op(g->k, KIR_WGRAD, 0);
	struct kir_wgrad *c = &op->wgrad;
	struct kir_window *w = &c->win;
	uint64_t macs = (uint64_t)g->elems * 16;
	uint32_t c_group, k_group;

	gen_window(g, w, gen_chance(g, 20) ? 7 : 3, gen_chance(g, 15) ? 3 : 1);
	macs /= (uint64_t)w->oh * w->ow * w->kh * w->kw;
	c_group = macs < 2 ? 1 : size(g, macs < 200 ? (uint32_t)macs : 200);
	macs /= c_group;
	k_group = macs < 2 ? 1 : size(g, macs < 150 ? (uint32_t)macs : 150);
	macs /= k_group;
	c->groups = macs < 2 || gen_chance(g, 60) ? 1 : gen_range(g, 1, macs < 6 ? (uint32_t)macs : 6);
	if (gen_chance(g, 15)) {
		c->groups = c_group;
		c_group = 1;
		k_group = gen_chance(g, 80) ? 1 : 2;
	}
	macs /= c->groups;
	w->n = macs < 2 ? 1 : gen_range(g, 1, macs < 9 ? (uint32_t)macs : 9);
	w->c = c_group * c->groups;
	w->k = k_group * c->groups;
	read_view(g, &c->in, NPU_F32, (uint32_t[]){ w->n, w->h, w->w, w->c }, 4, 3);
	read_view(g, &c->dy, NPU_F32, (uint32_t[]){ w->n, w->oh, w->ow, w->k }, 4, 3);
	epilogue(g, &c->epilogue, (uint32_t[]){ w->kh, w->kw, c_group, w->k }, 1);
	publish_map(g, &c->epilogue);
}

/* Sums at the positions that a maximum has found. */
static void gen_unpool(struct gen *g, const struct kir_pool *from)
{
	struct kir_op *op = kir_add_op(g->k, KIR_UNPOOL, 0);
	const struct kir_window *w = &from->win;
	struct kir_unpool *p = &op->unpool;

	p->win = *w;
	p->index = from->index;
	p->in = from->out;
	if (gen_chance(g, 80))
		p->in.tensor = gen_tensor(g, KIR_INPUT, NPU_F32,
					  g->k->tensor[from->out.tensor].elems);
	write_view(g, &p->out, NPU_F32, (uint32_t[]){ w->n, w->h, w->w, w->c }, 4);
	publish(g, &p->out);
}

static void gen_pool(struct gen *g)
{
	struct kir_op *op = kir_add_op(g->k, KIR_POOL, 0);
	struct kir_pool *p = &op->pool;
	struct kir_window *w = &p->win;
	uint64_t left = g->elems;

	gen_window(g, w, 4, 1);
	left /= (uint64_t)w->oh * w->ow * w->kh * w->kw;
	w->c = left < 2 ? 1 : size(g, left < 200 ? (uint32_t)left : 200);
	left /= w->c;
	w->n = left < 2 ? 1 : gen_range(g, 1, left < 5 ? (uint32_t)left : 5);
	w->k = w->c;
	p->average = gen_chance(g, 50);
	p->count_pad = p->average && gen_chance(g, 50);
	read_view(g, &p->in, NPU_F32, (uint32_t[]){ w->n, w->h, w->w, w->c }, 4, 3);
	write_view(g, &p->out, NPU_F32, (uint32_t[]){ w->n, w->oh, w->ow, w->c }, 4);
	publish(g, &p->out);
	p->index.tensor = KIR_NO_TENSOR;
	if (p->average || gen_chance(g, 50))
		return;
	p->index = p->out;
	p->index.tensor = gen_tensor(g, gen_chance(g, 30) ? KIR_OUTPUT : KIR_TEMP, NPU_I32,
				     g->k->tensor[p->out.tensor].elems);
	if (gen_chance(g, 80))
		gen_unpool(g, p);
}

static void gen_reduce(struct gen *g)
{
	struct kir_op *op = kir_add_op(g->k, KIR_REDUCE, 0);
	struct kir_reduce *r = &op->reduce;
	enum npu_dtype dtype = gen_chance(g, 75) ? NPU_F32 : NPU_I32;
	uint32_t kept[KIR_DIMS];

	r->rop = gen_below(g, NPU_ROP_ARGMIN + 1);
	r->ndim = gen_range(g, 1, 4);
	sizes(g, r->dim, r->ndim, g->elems);
	r->axes = gen_range(g, 1, (1u << r->ndim) - 1);
	read_view(g, &r->in, dtype, r->dim, r->ndim, 5);
	for (unsigned int i = 0; i < r->ndim; i++)
		kept[i] = r->axes >> i & 1 ? 1 : r->dim[i];
	write_view(g, &r->out, r->rop >= NPU_ROP_ARGMAX ? NPU_I32 : dtype, kept, r->ndim);
	for (unsigned int i = 0; i < r->ndim; i++)
		if (r->axes >> i & 1)
			r->out.stride[i] = 0;
	publish(g, &r->out);
}

/* A copy, or two that write the two halves of a dimension. */
static void gen_copy(struct gen *g)
{
	enum npu_dtype dtype = gen_chance(g, 75) ? NPU_F32 : NPU_I32;
	unsigned int ndim = gen_range(g, 1, KIR_DIMS), axis;
	uint32_t dim[KIR_DIMS], done = 0;
	struct kir_view out;

	sizes(g, dim, ndim, g->elems);
	write_view(g, &out, dtype, dim, ndim);
	axis = gen_below(g, ndim);
	while (done < dim[axis]) {
		struct kir_op *op = kir_add_op(g->k, KIR_COPY, 0);
		struct kir_copy *c = &op->copy;
		uint32_t left = dim[axis] - done;

		c->ndim = ndim;
		memcpy(c->dim, dim, sizeof(dim));
		c->dim[axis] = gen_chance(g, 50) ? left : gen_range(g, 1, left);
		c->out = out;
		c->out.offset += done * out.stride[axis];
		c->value = gen_bits(&g->state);
		c->in.tensor = KIR_NO_TENSOR;
		if (gen_chance(g, 85))
			read_view(g, &c->in, dtype, c->dim, ndim, gen_chance(g, 20) ? 40 : 0);
		done += c->dim[axis];
	}
	publish(g, &out);
}

/* Something all of which may be changed: a copy of something older. */
static uint32_t changeable(struct gen *g, enum npu_dtype dtype, uint32_t elems)
{
	struct kir_copy *c = &kir_add_op(g->k, KIR_COPY, 0)->copy;

	c->ndim = 1;
	c->dim[0] = elems;
	read_view(g, &c->in, dtype, c->dim, 1, 0);
	write_view(g, &c->out, dtype, c->dim, 1);
	return c->out.tensor;
}

/* Remainders by the smallest limit: every one a legal index, half of them negative. */
static void gen_indices(struct gen *g, struct kir_gather *k)
{
	struct kir_map *m = &kir_add_op(g->k, KIR_MAP, 0)->map;
	struct kir_view out;

	m->ndim = 4;
	m->konst[0] = UINT32_MAX;
	for (unsigned int i = 0; i < k->coords; i++)
		m->konst[0] = k->limit[i] < m->konst[0] ? k->limit[i] : m->konst[0];
	for (unsigned int i = 0; i < 4; i++)
		m->dim[i] = i == 3 ? k->coords : gen_chance(g, 20) ? 1 : k->dim[i];
	m->consts = 1;
	m->operands = 2;
	read_view(g, &m->operand[0].view, NPU_I32, m->dim, 4, 10);
	m->operand[1].write = true;
	write_view(g, &m->operand[1].view, NPU_I32, m->dim, 4);
	m->uop[m->uops++] = NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0);
	m->uop[m->uops++] = NPU_UOP_WORD(NPU_UOP_IREM, 0, 0, NPU_UOP_CONST, 0);
	m->uop[m->uops++] = NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0);
	out = m->operand[1].view;
	for (unsigned int i = 0; i < 4; i++)
		if (m->dim[i] == 1)
			out.stride[i] = 0;
	k->index = out;
}

/* Rows of a table that lies in any order, but for the elements of a row. */
static void gen_gather(struct gen *g)
{
	enum npu_dtype dtype = gen_chance(g, 75) ? NPU_F32 : NPU_I32;
	struct kir_gather k = { .scatter = gen_chance(g, 50), .coords = gen_range(g, 1, 4) };
	uint64_t elems;
	struct kir_op *op;

	sizes(g, k.dim, 4, g->elems / 4 + 1);
	if (gen_chance(g, 50))
		k.dim[gen_below(g, 3)] = 1;
	elems = k.dim[3];
	for (unsigned int i = 0; i < 3 + k.coords; i++) {
		uint32_t count = i < 3 ? k.dim[i] : k.limit[i - 3];

		if (i >= 3)
			count = k.limit[i - 3] = gen_range(g, 1, 8);
		if (elems * count > g->elems * 2ull || (i < 3 && gen_chance(g, 50)))
			continue;
		*(i < 3 ? &k.row_step[i] : &k.step[i - 3]) = (int64_t)elems;
		elems *= count;
	}
	gen_indices(g, &k);
	k.table.tensor = k.scatter ? changeable(g, dtype, (uint32_t)elems) :
		readable(g, dtype, elems);
	k.table.stride[0] = 1;
	if (k.scatter)
		read_view(g, &k.data, dtype, k.dim, 4, 10);
	else
		write_view(g, &k.data, dtype, k.dim, 4);
	if (k.scatter && k.data.tensor == k.table.tensor)
		return;
	op = kir_add_op(g->k, KIR_GATHER, 0);
	op->gather = k;
	publish(g, k.scatter ? &k.table : &k.data);
}

/* The nest of an earlier map, its dimensions split and swapped at random. */
static void similar_nest(struct gen *g, const struct kir_map *from, const struct kir_view *view,
			 struct kir_map *m, struct kir_view *read)
{
	unsigned int order[KIR_DIMS];

	*read = *view;
	m->ndim = from->ndim;
	if (gen_chance(g, 70))
		for (unsigned int i = 0; i < m->ndim; i++)
			order[i] = i;
	else
		permutation(g, order, m->ndim);
	for (unsigned int i = 0; i < m->ndim; i++) {
		m->dim[i] = from->dim[order[i]];
		read->stride[i] = view->stride[order[i]];
	}
	if (m->ndim < KIR_DIMS && m->dim[0] % 2 == 0 && gen_chance(g, 40)) {
		for (unsigned int i = m->ndim++; i > 0; i--) {
			m->dim[i] = m->dim[i - 1];
			read->stride[i] = read->stride[i - 1];
		}
		m->dim[0] = 2;
		m->dim[1] /= 2;
		read->stride[0] = read->stride[1] * (int64_t)m->dim[1];
	}
}

/* A map that could become part of an earlier operation; false without one. */
static bool gen_follow(struct gen *g)
{
	const struct kir_map *from = NULL;
	const struct kir_view *view = NULL;
	struct kir_op *op;
	struct kir_map *m;

	for (uint32_t i = g->k->ops; i-- > 0 && !view;) {
		from = kir_op_map(g->k->op[i]);
		for (unsigned int j = 0; from && j < from->operands; j++)
			if (from->operand[j].write &&
			    g->k->tensor[from->operand[j].view.tensor].dtype == NPU_F32)
				view = &from->operand[j].view;
	}
	if (!view)
		return false;
	op = kir_add_op(g->k, KIR_MAP, 0);
	m = &op->map;
	similar_nest(g, from, view, m, &m->operand[0].view);
	m->operands = 1;
	if (gen_chance(g, 70))
		g->k->tensor[view->tensor].kind = KIR_TEMP;
	add_operands(g, m, NPU_F32, gen_below(g, 3), gen_range(g, 1, 2));
	gen_program(g, m, true, false);
	publish_map(g, m);
	return true;
}

/* A part of an older tensor, changed in place; false without one. */
static bool gen_update(struct gen *g)
{
	uint32_t tensor = g->pools ? g->pool[gen_below(g, g->pools)] : 0;
	const struct kir_tensor *t = g->pools ? &g->k->tensor[tensor] : NULL;
	uint32_t elems, part;
	struct kir_map *m;

	if (!t || (t->kind != KIR_TEMP && t->kind != KIR_OUTPUT))
		return false;
	elems = (uint32_t)t->elems;
	part = gen_chance(g, 50) ? elems : gen_range(g, 1, elems);
	m = &kir_add_op(g->k, KIR_MAP, 0)->map;
	m->ndim = 1;
	m->dim[0] = part;
	for (unsigned int i = 0; i < 2; i++) {
		m->operand[i].view.tensor = tensor;
		m->operand[i].view.offset = elems - part;
		m->operand[i].view.stride[0] = 1;
		m->operand[i].write = i;
	}
	m->operands = 2;
	gen_program(g, m, t->dtype == NPU_F32, false);
	return true;
}

struct kir *gen_kir(struct nc_arena *arena, uint64_t seed, uint32_t elems)
{
	struct gen g = { .state = seed * 0x9e3779b97f4a7c15ull, .elems = elems };
	unsigned int ops;

	g.k = kir_create(arena, "sweep");
	if (!g.k || kir_add_node(g.k, "node", "Op") < 0)
		abort();
	gen_bits(&g.state);
	if (gen_chance(&g, 25)) {
		gen_batch(&g);
		return g.k;
	}
	ops = gen_chance(&g, 40) ? 1 : gen_range(&g, 2, 6);
	for (unsigned int i = 0; i < ops; i++) {
		static void (*const gen[])(struct gen *) = {
			gen_map, gen_matmul, gen_conv, gen_pool, gen_reduce, gen_copy, gen_gather,
			gen_map, gen_matmul, gen_conv, gen_wgrad,
		};

		if (gen_chance(&g, 15) && gen_update(&g))
			continue;
		if (gen_chance(&g, 35) && gen_follow(&g))
			continue;
		gen[gen_below(&g, sizeof(gen) / sizeof(gen[0]))](&g);
	}
	return g.k;
}
