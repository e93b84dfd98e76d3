/* SPDX-License-Identifier: MIT */
/*
 * Pack: weights of convolutions go in the order that the array wants (HW 9.1).
 * Constants do so now, others by maps at run time. Convolutions with the same
 * weights share them, so that they stay in SPM between uses.
 *
 * requires: legal kernel IR, fused and sliced
 * establishes: the same results; every convolution has packed weights
 */
#include "nc.h"

#include <errno.h>
#include <string.h>

#include "kir/kir_view.h"

/* Loops of packed weights, as they lie in memory. */
enum { GROUP, PANEL, BLOCK, KH, KW, C, K, LOOPS };

/**
 * struct packed - weights that are packed already
 * @conv: for which convolution
 * @tensor: the packed ones
 * @writes: struct pack.writes of the original ones at that time
 */
struct packed {
	struct packed *next;
	struct kir_conv conv;
	uint32_t tensor;
	uint32_t writes;
};

/**
 * struct pack - the pass
 * @done: what is packed
 * @writes: per tensor: how many operations have written it so far
 */
struct pack {
	struct nc_back *b;
	struct packed *done;
	uint32_t *writes;
};

/**
 * struct part - blocks of packed weights that have one shape
 * @first: where they start, per loop in its own units
 * @dim: trip counts
 * @from: steps in the original weights
 * @to: steps in the packed weights
 */
struct part {
	uint32_t first[LOOPS];
	uint32_t dim[LOOPS];
	int64_t from[LOOPS];
	int64_t to[LOOPS];
};

/* ---- constants ---- */

static float weight(const struct nc_back *b, const struct kir_conv *c, uint32_t k, uint32_t ch,
		    uint32_t y, uint32_t x)
{
	const struct kir_view *v = &c->weights;
	const float *data = b->k->tensor[v->tensor].data;

	return data[v->offset + k * v->stride[0] + ch * v->stride[1] + y * v->stride[2] +
		    x * v->stride[3]];
}

static void pack_const(const struct nc_back *b, const struct kir_conv *c, uint32_t panel,
		       float *out)
{
	const struct kir_window *w = &c->win;
	struct kir_conv packed = *c;

	packed.panel = panel;
	for (uint32_t k = 0; k < w->k; k++)
		for (uint32_t ch = 0; ch < w->c / c->groups; ch++)
			for (uint32_t y = 0; y < w->kh; y++)
				for (uint32_t x = 0; x < w->kw; x++)
					out[kir_conv_packed_at(&packed, k, ch, y, x)] =
						weight(b, c, k, ch, y, x);
}

/* ---- at run time ---- */

static int add_map(struct pack *p, uint32_t node, const struct kir_map *map)
{
	struct kir_op *op = kir_add_op(p->b->k, KIR_MAP, node);

	if (!op)
		return nc_no_memory(p->b);
	op->map = *map;
	op->map.uops = 2;
	op->map.uop[0] = NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0);
	op->map.uop[1] = NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0);
	return 0;
}

/*
 * Copy @part of @from to @to. It is a map, since DMA would fetch the weights one
 * by one. A nest has six loops; groups that make it seven follow each other.
 */
static int copy_part(struct pack *p, uint32_t node, const struct part *part,
		     struct kir_view from, struct kir_view to)
{
	uint32_t rounds = 1;
	unsigned int used = 0;
	int ret = 0;

	for (unsigned int i = 0; i < LOOPS; i++) {
		from.offset += part->first[i] * part->from[i];
		to.offset += part->first[i] * part->to[i];
		used += part->dim[i] > 1;
	}
	if (used > KIR_DIMS)
		rounds = part->dim[GROUP];
	for (uint32_t g = 0; g < rounds && !ret; g++) {
		struct kir_map m = { .operands = 2 };

		for (unsigned int i = rounds > 1 ? PANEL : GROUP; i < LOOPS; i++) {
			if (part->dim[i] == 1 && (m.ndim || i < K))
				continue;
			from.stride[m.ndim] = part->from[i];
			to.stride[m.ndim] = part->to[i];
			m.dim[m.ndim++] = part->dim[i];
		}
		m.operand[0].view = from;
		m.operand[1].view = to;
		m.operand[1].write = true;
		ret = add_map(p, node, &m);
		from.offset += part->from[GROUP];
		to.offset += part->to[GROUP];
	}
	return ret;
}

/* The columns of each group's last panel that no output channel has. */
static int fill_tail(struct pack *p, uint32_t node, const struct kir_conv *c, struct kir_view to)
{
	uint32_t k = c->win.k / c->groups, panel = p->b->target.array_cols;
	uint32_t rows = c->win.c / c->groups * c->win.kh * c->win.kw;
	struct kir_op *op;

	if (k % panel == 0)
		return 0;
	op = kir_add_op(p->b->k, KIR_COPY, node);
	if (!op)
		return nc_no_memory(p->b);
	op->copy = (struct kir_copy){
		.ndim = 3,
		.dim = { c->groups, rows, panel - k % panel },
		.in.tensor = KIR_NO_TENSOR,
		.out = {
			.tensor = to.tensor,
			.offset = (int64_t)(k / panel) * rows * panel + k % panel,
			.stride = { (int64_t)npu_ceil_div(k, panel) * rows * panel, panel, 1 },
		},
	};
	return 0;
}

/* Panels that are whole, and the rest; blocks of channels that are, and the rest. */
static int copy_parts(struct pack *p, uint32_t node, const struct kir_conv *c, struct kir_view to)
{
	const struct kir_window *w = &c->win;
	const int64_t *from = c->weights.stride;
	uint32_t panel = p->b->target.array_cols, k = w->k / c->groups, ch = w->c / c->groups;
	int64_t taps = (int64_t)w->kh * w->kw, panel_elems = taps * ch * panel;
	int ret = 0;

	for (unsigned int i = 0; i < 4 && !ret; i++) {
		bool last_panel = i & 1, last_block = i & 2;
		uint32_t rows = last_block ? ch % NPU_CONV_CBLOCK : NPU_CONV_CBLOCK;
		struct part part = {
			.first = { [PANEL] = last_panel ? k / panel : 0,
				   [BLOCK] = last_block ? ch / NPU_CONV_CBLOCK : 0 },
			.dim = { c->groups, last_panel ? 1 : k / panel,
				 last_block ? 1 : ch / NPU_CONV_CBLOCK, w->kh, w->kw, rows,
				 last_panel ? k % panel : panel },
			.from = { k * from[0], panel * from[0], NPU_CONV_CBLOCK * from[1],
				  from[2], from[3], from[1], from[0] },
			.to = { (int64_t)npu_ceil_div(k, panel) * panel_elems, panel_elems,
				NPU_CONV_CBLOCK * taps * panel, (int64_t)w->kw * rows * panel,
				(int64_t)rows * panel, panel, 1 },
		};

		if (part.dim[PANEL] && part.dim[BLOCK] && part.dim[C] && part.dim[K])
			ret = copy_part(p, node, &part, c->weights, to);
	}
	return ret ? ret : fill_tail(p, node, c, to);
}

static int copy_depthwise(struct pack *p, uint32_t node, const struct kir_conv *c,
			  struct kir_view to)
{
	const struct kir_window *w = &c->win;
	const int64_t *from = c->weights.stride;
	struct part part = {
		.dim = { 1, 1, 1, w->kh, w->kw, 1, w->k },
		.from = { [KH] = from[2], [KW] = from[3], [K] = from[0] },
		.to = { [KH] = (int64_t)w->kw * w->k, [KW] = w->k, [K] = 1 },
	};

	return copy_part(p, node, &part, c->weights, to);
}

/* ---- the pass ---- */

static bool same_weights(const struct pack *p, const struct packed *d, const struct kir_conv *c)
{
	const struct kir_window *a = &d->conv.win, *w = &c->win;

	return a->k == w->k && a->c == w->c && a->kh == w->kh && a->kw == w->kw &&
	       d->conv.groups == c->groups && d->writes == p->writes[c->weights.tensor] &&
	       kir_view_equal(&d->conv.weights, &c->weights, 4,
			      (uint32_t[]){ w->k, w->c / c->groups, w->kh, w->kw });
}

static int64_t add_packed(struct pack *p, uint32_t node, const struct kir_conv *c)
{
	struct nc_back *b = p->b;
	const struct kir_tensor *from = &b->k->tensor[c->weights.tensor];
	bool known = from->kind == KIR_CONST;
	struct kir_conv packed = *c;
	struct kir_tensor t = { .kind = known ? KIR_CONST : KIR_TEMP, .dtype = NPU_F32 };
	struct kir_view to = { .stride = { 1 } };
	int64_t tensor;
	float *data = NULL;
	int ret;

	packed.panel = b->target.array_cols;
	t.elems = kir_conv_packed_elems(&packed);
	if (!t.elems)
		return nc_op_error(b, node, "the weights have 2^32 elements or more");
	t.name = nc_printf(b->arena, "%s.packed", from->name);
	if (known)
		data = nc_alloc_array(b->arena, t.elems, sizeof(*data));
	if (!t.name || (known && !data))
		return nc_no_memory(b);
	if (known)
		pack_const(b, c, packed.panel, data);
	tensor = kir_add_tensor(b->k, &t);
	if (tensor < 0)
		return nc_no_memory(b);
	b->k->tensor[tensor].data = data;
	to.tensor = (uint32_t)tensor;
	if (known)
		return tensor;
	ret = kir_depthwise(&c->win, c->groups) ? copy_depthwise(p, node, c, to) : copy_parts(p, node, c, to);
	return ret ? ret : tensor;
}

static int pack_weights(struct pack *p, uint32_t node, struct kir_conv *c)
{
	struct packed *d = p->done;
	int64_t tensor;

	if (c->panel)
		return c->panel == p->b->target.array_cols ? 0 :
			nc_op_error(p->b, node, "the weights are packed for an array of %u columns; this one has %u",
				    c->panel, p->b->target.array_cols);
	while (d && !same_weights(p, d, c))
		d = d->next;
	if (!d) {
		d = nc_alloc(p->b->arena, sizeof(*d));
		tensor = d ? add_packed(p, node, c) : nc_no_memory(p->b);
		if (tensor < 0)
			return (int)tensor;
		*d = (struct packed){ .next = p->done, .conv = *c, .tensor = (uint32_t)tensor,
				      .writes = p->writes[c->weights.tensor] };
		p->done = d;
	}
	c->panel = p->b->target.array_cols;
	c->weights = (struct kir_view){ .tensor = d->tensor, .stride = { 1 } };
	return 0;
}

static void count_writes(struct pack *p, struct kir_op *op)
{
	struct kir_access access[KIR_ACCESSES_MAX];
	unsigned int count = kir_op_accesses(op, access);

	for (unsigned int i = 0; i < count; i++)
		if (access[i].write)
			p->writes[access[i].view->tensor]++;
}

int nc_pack(struct nc_back *b)
{
	struct kir *k = b->k;
	struct pack p = { .b = b };
	struct kir_op **op = k->op;
	uint32_t ops = k->ops;
	int ret = 0;

	p.writes = nc_alloc_array(b->arena, (size_t)k->tensors + 1, sizeof(*p.writes));
	if (!p.writes)
		return nc_no_memory(b);
	k->op = NULL;
	k->ops = 0;
	for (uint32_t i = 0; i < ops && !ret; i++) {
		if (op[i]->kind == KIR_CONV)
			ret = pack_weights(&p, op[i]->node, &op[i]->conv);
		if (!ret && kir_push_op(k, op[i]))
			ret = nc_no_memory(b);
		count_writes(&p, op[i]);
	}
	return ret;
}
