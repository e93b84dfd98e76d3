/* SPDX-License-Identifier: MIT */
/*
 * Small networks over a batch. A value has steps, samples and features, laid
 * out [steps][samples][features] or [samples][steps][features]; layers are
 * products, maps, reductions, convolutions and recurrences. Now and then a
 * layer mixes samples.
 */
#include "gen_priv.h"

#include <string.h>

/* A value: its tensor and strides. Features are contiguous. */
struct value {
	uint32_t tensor;
	uint32_t steps;
	uint32_t samples;
	uint32_t features;
	int64_t step;
	int64_t sample;
};

static struct value new_value(struct gen *g, enum kir_tensor_kind kind, uint32_t steps,
			      uint32_t samples, uint32_t features)
{
	bool steps_first = gen_chance(g, 60);

	return (struct value){
		.tensor = gen_tensor(g, kind, NPU_F32, (uint64_t)steps * samples * features),
		.steps = steps, .samples = samples, .features = features,
		.step = steps_first ? (int64_t)samples * features : features,
		.sample = steps_first ? features : (int64_t)steps * features,
	};
}

/* Loops steps, samples, features over @v, and one of size 1 in front. */
static struct kir_view view_of(const struct value *v)
{
	return (struct kir_view){ .tensor = v->tensor, .stride = { 0, v->step, v->sample, 1 } };
}

static void add_operand(struct kir_map *m, const struct kir_view *v, bool write)
{
	m->operand[m->operands++] = (struct kir_operand){ .view = *v, .write = write };
}

static void add_acc(struct kir_map *m)
{
	m->operand[m->operands++] = (struct kir_operand){
		.acc = true, .view.tensor = KIR_NO_TENSOR,
	};
}

static enum kir_tensor_kind inner_kind(struct gen *g)
{
	return gen_chance(g, 12) ? KIR_OUTPUT : KIR_TEMP;
}

static void set_dim(struct kir_map *m, const struct value *v, uint32_t features)
{
	m->ndim = 4;
	memcpy(m->dim, (uint32_t[]){ 1, v->steps, v->samples, features }, 4 * sizeof(m->dim[0]));
}

/* out = program(in * w); rows are sometimes one dimension. */
static struct value dense(struct gen *g, const struct value *in)
{
	struct kir_op *op = kir_add_op(g->k, KIR_MATMUL, 0);
	struct kir_matmul *m = &op->matmul;
	uint32_t n = gen_range(g, 1, 40);
	struct value out = new_value(g, inner_kind(g), in->steps, in->samples, n);
	struct kir_view ov = view_of(&out);

	m->b0 = 1;
	m->b1 = in->steps;
	m->m = in->samples;
	m->n = n;
	m->k = in->features;
	m->groups = 1;
	m->a = view_of(in);
	m->b = (struct kir_view){ .tensor = gen_tensor(g, KIR_CONST, NPU_F32, (uint64_t)m->k * n),
				  .stride = { 0, 0, n, 1 } };
	m->bias.tensor = KIR_NO_TENSOR;
	if (gen_chance(g, 50))
		m->bias = (struct kir_view){ .tensor = gen_tensor(g, KIR_CONST, NPU_F32, n),
					     .stride = { 1 } };
	set_dim(&m->epilogue, in, n);
	add_acc(&m->epilogue);
	add_operand(&m->epilogue, &ov, true);
	gen_program(g, &m->epilogue, true, false);
	if (gen_chance(g, 50) && in->step == in->sample * in->samples &&
	    out.step == out.sample * out.samples) {
		m->m *= m->b1;
		m->epilogue.dim[2] = m->m;
		m->epilogue.dim[1] = 1;
		m->b1 = 1;
	}
	return out;
}

static struct value map(struct gen *g, const struct value *in, const struct value *other)
{
	struct kir_op *op = kir_add_op(g->k, KIR_MAP, 0);
	struct value out = new_value(g, inner_kind(g), in->steps, in->samples, in->features);
	struct kir_view v = view_of(in), ov = view_of(&out);

	set_dim(&op->map, in, in->features);
	add_operand(&op->map, &v, false);
	if (other->features == in->features && other->steps == in->steps &&
	    other->tensor != in->tensor) {
		v = view_of(other);
		add_operand(&op->map, &v, false);
	}
	add_operand(&op->map, &ov, true);
	gen_program(g, &op->map, true, false);
	return out;
}

/* Over the features, or over the samples. */
static struct value reduce(struct gen *g, const struct value *in, bool samples)
{
	struct kir_op *op = kir_add_op(g->k, KIR_REDUCE, 0);
	struct kir_reduce *r = &op->reduce;
	struct value out = new_value(g, inner_kind(g), in->steps, samples ? 1 : in->samples,
				     samples ? in->features : 1);

	r->ndim = 4;
	memcpy(r->dim, (uint32_t[]){ 1, in->steps, in->samples, in->features },
	       4 * sizeof(r->dim[0]));
	r->axes = samples ? 1u << 2 : 1u << 3;
	r->rop = gen_chance(g, 50) ? NPU_ROP_SUM : NPU_ROP_MAX;
	r->in = view_of(in);
	r->out = view_of(&out);
	r->out.stride[samples ? 2 : 3] = 0;
	return out;
}

/* in - vector, where the vector stands for all features or for all samples. */
static struct value spread(struct gen *g, const struct value *in, const struct value *vector)
{
	struct kir_op *op = kir_add_op(g->k, KIR_MAP, 0);
	struct value out = new_value(g, inner_kind(g), in->steps, in->samples, in->features);
	struct kir_view v = view_of(in), w = view_of(vector), ov = view_of(&out);

	if (vector->samples == 1)
		w.stride[2] = 0;
	if (vector->features == 1)
		w.stride[3] = 0;
	set_dim(&op->map, in, in->features);
	add_operand(&op->map, &w, false);
	add_operand(&op->map, &v, false);
	add_operand(&op->map, &ov, true);
	gen_program(g, &op->map, true, false);
	return out;
}

/* h(t) = program(in(t), h(t - 1) * w), the states being steps of one tensor. */
static struct value scan(struct gen *g, const struct value *in)
{
	uint32_t n = in->features;
	struct value out = new_value(g, inner_kind(g), in->steps, in->samples, n);
	uint32_t w = gen_tensor(g, KIR_CONST, NPU_F32, (uint64_t)n * n);

	for (uint32_t t = 0; t < in->steps; t++) {
		struct kir_op *op = kir_add_op(g->k, t ? KIR_MATMUL : KIR_MAP, 0);
		struct kir_matmul *m = &op->matmul;
		struct kir_map *map = t ? &m->epilogue : &op->map;
		struct kir_view v = view_of(in), ov = view_of(&out);

		map->ndim = 4;
		memcpy(map->dim, (uint32_t[]){ 1, 1, in->samples, n }, 4 * sizeof(map->dim[0]));
		v.offset = t * in->step;
		ov.offset = t * out.step;
		v.stride[1] = ov.stride[1] = 0;
		if (t) {
			m->b0 = m->b1 = 1;
			m->m = in->samples;
			m->n = m->k = n;
			m->groups = 1;
			m->a = ov;
			m->a.offset -= out.step;
			m->b = (struct kir_view){ .tensor = w, .stride = { 0, 0, n, 1 } };
			m->bias.tensor = KIR_NO_TENSOR;
			add_acc(map);
		}
		add_operand(map, &v, false);
		add_operand(map, &ov, true);
		gen_program(g, map, true, false);
	}
	return out;
}

/* Features as an image with channels, 3 x 3 window, padding of 1. */
static struct value window(struct gen *g, const struct value *in, bool pool)
{
	uint32_t c = in->features % 4 ? 1 : 4, h = in->features / c;
	uint32_t k = pool ? c : gen_range(g, 1, 20);
	struct kir_op *op = kir_add_op(g->k, pool ? KIR_POOL : KIR_CONV, 0);
	struct value out = new_value(g, inner_kind(g), 1, in->samples, h * k);
	struct kir_window win = {
		.n = in->samples, .h = h, .w = 1, .c = c, .oh = h, .ow = 1, .k = k,
		.kh = 3, .kw = 1, .stride_h = 1, .stride_w = 1, .dil_h = 1, .dil_w = 1,
		.pad_top = 1, .up_h = 1, .up_w = 1,
	};
	struct kir_view iv = { .tensor = in->tensor, .stride = { in->sample, c, c, 1 } };
	struct kir_view ov = { .tensor = out.tensor, .stride = { out.sample, k, k, 1 } };

	if (pool) {
		op->pool = (struct kir_pool){ .win = win, .in = iv, .out = ov,
					      .index.tensor = KIR_NO_TENSOR };
		return out;
	}
	op->conv.win = win;
	op->conv.groups = 1;
	op->conv.in = iv;
	op->conv.weights = (struct kir_view){
		.tensor = gen_tensor(g, gen_chance(g, 50) ? KIR_CONST : KIR_INPUT, NPU_F32,
				     (uint64_t)k * c * 3),
		.stride = { c * 3, 3, 1, 1 },
	};
	op->conv.bias.tensor = KIR_NO_TENSOR;
	op->conv.epilogue.ndim = 4;
	memcpy(op->conv.epilogue.dim, (uint32_t[]){ in->samples, h, 1, k }, 4 * sizeof(k));
	add_acc(&op->conv.epilogue);
	add_operand(&op->conv.epilogue, &ov, true);
	gen_program(g, &op->conv.epilogue, true, false);
	return out;
}

static void copy_out(struct gen *g, const struct value *in)
{
	struct kir_op *op = kir_add_op(g->k, KIR_COPY, 0);
	struct value out = new_value(g, KIR_OUTPUT, in->steps, in->samples, in->features);

	op->copy.ndim = 4;
	memcpy(op->copy.dim, (uint32_t[]){ 1, in->steps, in->samples, in->features },
	       4 * sizeof(op->copy.dim[0]));
	op->copy.in = view_of(in);
	op->copy.out = view_of(&out);
}

void gen_batch(struct gen *g)
{
	uint32_t samples = gen_range(g, 2, 40), steps = gen_chance(g, 50) ? 1 : gen_range(g, 2, 5);
	uint32_t features = g->elems / samples / steps;
	unsigned int layers = gen_range(g, 2, 6);
	struct value v, before;

	features = features < 1 ? 1 : features > 300 ? 300 : features;
	v = new_value(g, KIR_INPUT, steps, samples, features);
	/* The batch is what the first input counts first. */
	g->k->tensor[v.tensor].rank = 2;
	g->k->tensor[v.tensor].dim[0] = samples;
	g->k->tensor[v.tensor].dim[1] = (int64_t)steps * features;
	before = v;
	for (unsigned int i = 0; i < layers; i++) {
		struct value next, vector;

		switch (gen_below(g, 7)) {
		case 0:
		case 1:
			next = dense(g, &v);
			break;
		case 2:
			next = map(g, &v, &before);
			break;
		case 3:
			vector = reduce(g, &v, gen_chance(g, 20));
			next = spread(g, &v, &vector);
			break;
		case 4:
			next = v.features <= 64 ? scan(g, &v) : dense(g, &v);
			break;
		default:
			next = v.steps == 1 ? window(g, &v, gen_chance(g, 40)) : dense(g, &v);
			break;
		}
		before = v;
		v = next;
	}
	copy_out(g, &v);
}
