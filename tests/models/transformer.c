/* SPDX-License-Identifier: MIT */
/* See transformer.h. */
#include "transformer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EPSILON		1e-5f
/* Added to the scores of what must not be looked at. */
#define MASKED		(-10000.0f)
#define NAME_BYTES	64

const struct transformer_size bert_base = {
	.layers = 12, .width = 768, .heads = 12, .inner = 3072, .vocabulary = 30522, .steps = 512,
};

const struct transformer_size gpt_small = {
	.layers = 4, .width = 256, .heads = 8, .inner = 1024, .vocabulary = 1000, .steps = 64,
	.decoder = true,
};

const struct transformer_size bert_test = {
	.layers = 2, .width = 128, .heads = 4, .inner = 512, .vocabulary = 300, .steps = 40,
};

const struct transformer_size gpt_test = {
	.layers = 2, .width = 64, .heads = 4, .inner = 256, .vocabulary = 100, .steps = 20,
	.decoder = true,
};

/* ---- weights ---- */

/* In [-1, 1); splitmix64. */
static double uniform(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (double)(int64_t)(z ^ z >> 31) * 0x1p-63;
}

/**
 * struct filler - hands out weights, or only counts them
 * @at: NULL: counts
 */
struct filler {
	uint64_t state;
	float *at;
	size_t count;
};

/* @count weights of @middle +- @limit. */
static const float *fill(struct filler *f, size_t count, double middle, double limit)
{
	float *w = f->at;

	f->count += count;
	if (!w)
		return NULL;
	for (size_t i = 0; i < count; i++)
		w[i] = (float)(middle + limit * uniform(&f->state));
	f->at += count;
	return w;
}

static const float *kernel(struct filler *f, int ins, int outs)
{
	return fill(f, (size_t)ins * (size_t)outs, 0, sqrt(6.0 / (ins + outs)));
}

static const float *bias(struct filler *f, int count)
{
	return fill(f, (size_t)count, 0, 0.1);
}

static const float *scale(struct filler *f, int count)
{
	return fill(f, (size_t)count, 1, 0.25);
}

static void fill_block(struct filler *f, struct ref_block *b, int width, int inner)
{
	b->q = kernel(f, width, width);
	b->q_bias = bias(f, width);
	b->k = kernel(f, width, width);
	b->k_bias = bias(f, width);
	b->v = kernel(f, width, width);
	b->v_bias = bias(f, width);
	b->out = kernel(f, width, width);
	b->out_bias = bias(f, width);
	b->norm1 = scale(f, width);
	b->norm1_bias = bias(f, width);
	b->up = kernel(f, width, inner);
	b->up_bias = bias(f, inner);
	b->down = kernel(f, inner, width);
	b->down_bias = bias(f, width);
	b->norm2 = scale(f, width);
	b->norm2_bias = bias(f, width);
}

static void fill_all(struct filler *f, const struct transformer_size *s, struct ref_transformer *r)
{
	size_t width = (size_t)s->width;

	*r = (struct ref_transformer){
		.layers = s->layers, .width = s->width, .heads = s->heads, .inner = s->inner,
		.vocabulary = s->vocabulary, .decoder = s->decoder, .epsilon = EPSILON,
	};
	/* A decoder's logits would say the last token again if that outweighed the layers. */
	r->tokens = fill(f, (size_t)s->vocabulary * width, 0, s->decoder ? 0.2 : 1);
	r->positions = fill(f, (size_t)s->steps * width, 0, 1);
	r->norm = scale(f, s->width);
	r->norm_bias = bias(f, s->width);
	for (int i = 0; i < s->layers; i++)
		fill_block(f, &r->block[i], s->width, s->inner);
	if (s->decoder)
		return;
	r->types = fill(f, 2 * width, 0, 1);
	r->pool = kernel(f, s->width, s->width);
	r->pool_bias = bias(f, s->width);
}

int transformer_init(struct transformer *t, const struct transformer_size *size, uint64_t seed)
{
	struct filler f = { .at = NULL };

	*t = (struct transformer){ .size = *size };
	if (size->layers > REF_TRANSFORMER_LAYERS_MAX || size->width % size->heads)
		return -EINVAL;
	fill_all(&f, size, &t->ref);
	t->weight = malloc(f.count * sizeof(*t->weight));
	if (!t->weight)
		return -ENOMEM;
	f = (struct filler){ .state = seed, .at = t->weight };
	fill_all(&f, size, &t->ref);
	return 0;
}

void transformer_free(struct transformer *t)
{
	free(t->weight);
	t->weight = NULL;
}

/* ---- parts ---- */

/**
 * struct builder - a graph being made
 * @mask: added to attention's scores
 */
struct builder {
	struct npu_graph *g;
	const struct transformer *t;
	int mask;
};

static int constant(struct npu_graph *g, const float *w, unsigned int rank, int64_t a, int64_t b)
{
	const int64_t dim[] = { a, b };

	return npu_graph_const(g, NULL, NPU_GRAPH_F32, rank, dim, w);
}

static int dense(struct npu_graph *g, int x, const float *kernel, const float *bias, int ins,
		 int outs)
{
	return npu_graph_dense(g, x, constant(g, kernel, 2, ins, outs),
			       constant(g, bias, 1, outs, 0));
}

static int norm(const struct builder *b, int x, const float *scale, const float *bias)
{
	int width = b->t->size.width;

	return npu_graph_layer_norm(b->g, x, -1, constant(b->g, scale, 1, width, 0),
				    constant(b->g, bias, 1, width, 0), EPSILON);
}

static int add(const struct builder *b, int x, int y)
{
	return npu_graph_binary(b->g, NPU_BINARY_ADD, x, y);
}

static int feed_forward(const struct builder *b, const struct ref_block *w, int x)
{
	const struct transformer_size *s = &b->t->size;

	x = dense(b->g, x, w->up, w->up_bias, s->width, s->inner);
	x = npu_graph_unary(b->g, NPU_UNARY_GELU, x, 0, 0);
	return dense(b->g, x, w->down, w->down_bias, s->inner, s->width);
}

/* Queries, keys and values from one product, as GPT-2 has it. */
static void project(const struct builder *b, const struct ref_block *w, int x, int part[3])
{
	struct npu_graph *g = b->g;
	int width = b->t->size.width;
	const int64_t size[] = { width, width, width };
	const int kernel[] = {
		constant(g, w->q, 2, width, width), constant(g, w->k, 2, width, width),
		constant(g, w->v, 2, width, width),
	};
	const int bias[] = {
		constant(g, w->q_bias, 1, width, 0), constant(g, w->k_bias, 1, width, 0),
		constant(g, w->v_bias, 1, width, 0),
	};

	x = npu_graph_dense(g, x, npu_graph_concat(g, 3, kernel, 1), npu_graph_concat(g, 3, bias, 0));
	npu_graph_split(g, x, -1, 3, size, part);
}

static int table(struct npu_graph *g, const float *w, int rows, int width, int index)
{
	return npu_graph_gather(g, constant(g, w, 2, rows, width), index, 0);
}

/* ---- BERT ---- */

static int bert_layer(const struct builder *b, const struct ref_block *w, int x)
{
	struct npu_graph *g = b->g;
	int width = b->t->size.width;
	int q = dense(g, x, w->q, w->q_bias, width, width);
	int k = dense(g, x, w->k, w->k_bias, width, width);
	int v = dense(g, x, w->v, w->v_bias, width, width);
	int y = npu_graph_multi_head_attention(g, q, k, v, (unsigned int)b->t->size.heads, b->mask);

	y = dense(g, y, w->out, w->out_bias, width, width);
	x = norm(b, add(b, x, y), w->norm1, w->norm1_bias);
	return norm(b, add(b, x, feed_forward(b, w, x)), w->norm2, w->norm2_bias);
}

/* 0 for tokens that count, MASKED for the others: [1, 1, 1, steps]. */
static int bert_mask(struct npu_graph *g, int keep, int64_t steps)
{
	const float one = 1, masked = MASKED;
	int x = npu_graph_cast(g, keep, NPU_GRAPH_F32);

	x = npu_graph_binary(g, NPU_BINARY_SUB, constant(g, &one, 0, 0, 0), x);
	x = npu_graph_binary(g, NPU_BINARY_MUL, x, constant(g, &masked, 0, 0, 0));
	return npu_graph_reshape(g, x, 4, (const int64_t[]){ 1, 1, 1, steps });
}

struct npu_graph *transformer_bert(const struct transformer *t, int64_t steps)
{
	const struct transformer_size *s = &t->size;
	const struct ref_transformer *r = &t->ref;
	const int64_t dim[] = { 1, steps };
	struct npu_graph *g = npu_graph_create("bert");
	struct builder b = { .g = g, .t = t };
	int tokens, types, x;

	if (!g)
		return NULL;
	tokens = npu_graph_input(g, "input_ids", NPU_GRAPH_I64, 2, dim);
	types = npu_graph_input(g, "token_type_ids", NPU_GRAPH_I64, 2, dim);
	b.mask = bert_mask(g, npu_graph_input(g, "attention_mask", NPU_GRAPH_I64, 2, dim), steps);
	x = table(g, r->tokens, s->vocabulary, s->width, tokens);
	x = add(&b, x, constant(g, r->positions, 2, steps, s->width));
	x = add(&b, x, table(g, r->types, 2, s->width, types));
	x = norm(&b, x, r->norm, r->norm_bias);
	for (int i = 0; i < s->layers; i++)
		x = bert_layer(&b, &r->block[i], x);
	npu_graph_output(g, "hidden", x);
	x = npu_graph_slice(g, x, (const int64_t[]){ 0, 0, 0 },
			    (const int64_t[]){ 1, 1, s->width }, (const int64_t[]){ 1, 1, 1 });
	x = npu_graph_reshape(g, x, 2, (const int64_t[]){ 1, s->width });
	x = dense(g, x, r->pool, r->pool_bias, s->width, s->width);
	npu_graph_output(g, "pooled", npu_graph_unary(g, NPU_UNARY_TANH, x, 0, 0));
	return g;
}

/* ---- GPT ---- */

static int gpt_finish(const struct builder *b, int x)
{
	const struct ref_transformer *r = &b->t->ref;
	int tokens = constant(b->g, r->tokens, 2, r->vocabulary, r->width);

	x = norm(b, x, r->norm, r->norm_bias);
	return npu_graph_matmul(b->g, x, npu_graph_transpose(b->g, tokens, (unsigned int[]){ 1, 0 }));
}

/* What attention has mixed, and the rest of the layer. */
static int gpt_rest(const struct builder *b, const struct ref_block *w, int x, int mixed)
{
	int width = b->t->size.width;

	mixed = npu_graph_merge_heads(b->g, mixed);
	x = add(b, x, dense(b->g, mixed, w->out, w->out_bias, width, width));
	return add(b, x, feed_forward(b, w, norm(b, x, w->norm2, w->norm2_bias)));
}

/* Queries, keys, values in heads. */
static void gpt_heads(const struct builder *b, const struct ref_block *w, int x, int part[3])
{
	project(b, w, norm(b, x, w->norm1, w->norm1_bias), part);
	for (int i = 0; i < 3; i++)
		part[i] = npu_graph_split_heads(b->g, part[i], (unsigned int)b->t->size.heads);
}

/* [steps, steps]: MASKED where the key comes after the query. */
static int gpt_mask(struct npu_graph *g, int64_t steps)
{
	float *m = calloc((size_t)(steps * steps), sizeof(*m));
	int x;

	for (int64_t i = 0; m && i < steps * steps; i++)
		m[i] = i % steps > i / steps ? MASKED : 0;
	x = m ? constant(g, m, 2, steps, steps) : -ENOMEM;
	free(m);
	return x;
}

struct npu_graph *transformer_gpt(const struct transformer *t, int64_t steps)
{
	const struct transformer_size *s = &t->size;
	const struct ref_transformer *r = &t->ref;
	struct npu_graph *g = npu_graph_create("gpt");
	struct builder b = { .g = g, .t = t };
	int x, part[3];

	if (!g)
		return NULL;
	b.mask = gpt_mask(g, steps);
	x = npu_graph_input(g, "tokens", NPU_GRAPH_I64, 2, (const int64_t[]){ 1, steps });
	x = table(g, r->tokens, s->vocabulary, s->width, x);
	x = add(&b, x, constant(g, r->positions, 2, steps, s->width));
	for (int i = 0; i < s->layers; i++) {
		gpt_heads(&b, &r->block[i], x, part);
		x = gpt_rest(&b, &r->block[i], x,
			     npu_graph_masked_attention(g, part[0], part[1], part[2], b.mask, 0));
	}
	npu_graph_output(g, "logits", gpt_finish(&b, x));
	return g;
}

/* The cache with this step's keys or values where @now holds. */
static int update_cache(const struct builder *b, const char *what, int layer, int now, int x)
{
	const struct transformer_size *s = &b->t->size;
	const int64_t dim[] = { 1, s->heads, s->steps, s->width / s->heads };
	char name[NAME_BYTES];
	int past;

	snprintf(name, sizeof(name), "past_%s.%d", what, layer);
	past = npu_graph_input(b->g, name, NPU_GRAPH_F32, 4, dim);
	x = npu_graph_where(b->g, now, x, past);
	snprintf(name, sizeof(name), "present_%s.%d", what, layer);
	npu_graph_output(b->g, name, x);
	return x;
}

/* 0, 1, ... */
static int count_up(struct npu_graph *g, int64_t count)
{
	int64_t *value = calloc((size_t)count, sizeof(*value));
	int x;

	for (int64_t i = 0; value && i < count; i++)
		value[i] = i;
	x = value ? npu_graph_const(g, NULL, NPU_GRAPH_I64, 1, &count, value) : -ENOMEM;
	free(value);
	return x;
}

/* Inputs of the next step that the host need not compute. */
static void gpt_next(struct npu_graph *g, int logits, int position)
{
	const int64_t one = 1;
	int step = npu_graph_const(g, NULL, NPU_GRAPH_I64, 1, &one, &one);

	npu_graph_output(g, "next_token", npu_graph_arg_max(g, logits, -1, true));
	npu_graph_output(g, "next_position", npu_graph_binary(g, NPU_BINARY_ADD, position, step));
}

struct npu_graph *transformer_gpt_step(const struct transformer *t)
{
	const struct transformer_size *s = &t->size;
	const struct ref_transformer *r = &t->ref;
	const float zero = 0, masked = MASKED;
	struct npu_graph *g = npu_graph_create("gpt_step");
	struct builder b = { .g = g, .t = t };
	int x, position, all, now, seen, part[3], steps = s->steps;

	if (!g)
		return NULL;
	x = npu_graph_input(g, "token", NPU_GRAPH_I64, 2, (const int64_t[]){ 1, 1 });
	position = npu_graph_input(g, "position", NPU_GRAPH_I64, 1, (const int64_t[]){ 1 });
	all = count_up(g, steps);
	now = npu_graph_binary(g, NPU_BINARY_EQUAL, all, position);
	now = npu_graph_reshape(g, now, 2, (const int64_t[]){ steps, 1 });
	seen = npu_graph_binary(g, NPU_BINARY_LESS_OR_EQUAL, all, position);
	b.mask = npu_graph_where(g, seen, constant(g, &zero, 0, 0, 0), constant(g, &masked, 0, 0, 0));
	x = table(g, r->tokens, s->vocabulary, s->width, x);
	x = add(&b, x, table(g, r->positions, steps, s->width, position));
	for (int i = 0; i < s->layers; i++) {
		gpt_heads(&b, &r->block[i], x, part);
		part[1] = update_cache(&b, "key", i, now, part[1]);
		part[2] = update_cache(&b, "value", i, now, part[2]);
		x = gpt_rest(&b, &r->block[i], x,
			     npu_graph_masked_attention(g, part[0], part[1], part[2], b.mask, 0));
	}
	x = npu_graph_reshape(g, gpt_finish(&b, x), 2, (const int64_t[]){ 1, s->vocabulary });
	npu_graph_output(g, "logits", x);
	gpt_next(g, x, position);
	return g;
}
