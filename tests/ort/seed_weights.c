/* SPDX-License-Identifier: MIT */
/*
 * A model with seeded random weights instead of its own.
 *
 *	seed_weights MODEL.onnx SEED OUT.onnx
 *
 * ONNX's light_* models have constants for weights, so that their outputs do not
 * depend on the input. Here each float weight, an initializer or made by
 * ConstantOfShape, gets values by the operator that takes it. Filters have no mean:
 * what all pixels have in common would otherwise drown the rest, layer after layer.
 * What goes into a last Softmax becomes an output too.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"

#define RANK_MAX	8
#define ELEMS_MAX	(1 << 28)
/* Of the variance of a normal distribution, what is left behind Relu. */
#define RELU_VARIANCE	0.34
/* Branches that are added up again and again count less each. */
#define BRANCH_SCALE	0.5

/* How to fill a weight. */
enum role {
	ROLE_NONE,
	ROLE_FILTER,	/* [out, in ...] */
	ROLE_DENSE,	/* [in, out] */
	ROLE_SCALE,	/* around 1 */
	ROLE_OFFSET,	/* around 0 */
	ROLE_VARIANCE,	/* around 1, positive */
};

/**
 * struct random - the next weights
 * @state: of the generator
 * @variance: of what filters are applied to
 * @scale: the mean of ROLE_SCALE
 */
struct random {
	uint64_t state;
	double variance;
	double scale;
};

static void die(const char *what, const char *name)
{
	fprintf(stderr, "seed_weights: %s: %s\n", name, what);
	exit(1);
}

static void *allocate(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p)
		die("out of memory", "weights");
	return p;
}

/* In [-1, 1); splitmix64. */
static double uniform(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (double)(int64_t)z * 0x1p-63;
}

/* @outs rows of @fan_in weights without a mean; @step elements from one to the next. */
static void fill_rows(struct random *r, float *w, size_t outs, size_t fan_in, size_t row,
		      size_t step)
{
	double limit = sqrt(3 / (r->variance * (double)fan_in));

	for (size_t o = 0; o < outs; o++) {
		float *at = w + o * row;
		double sum = 0;

		for (size_t i = 0; i < fan_in; i++)
			sum += at[i * step] = (float)(uniform(r) * limit);
		for (size_t i = 0; fan_in > 1 && i < fan_in; i++)
			at[i * step] -= (float)(sum / (double)fan_in);
	}
}

static void fill(struct random *r, enum role role, const Onnx__TensorProto *t, float *w, size_t elems)
{
	size_t first = 1;

	/* Dimensions of 1 in front are there for Reshape to take away. */
	for (size_t i = 0; i < t->n_dims && first == 1; i++)
		first = (size_t)t->dims[i];
	switch (role) {
	case ROLE_FILTER:
		fill_rows(r, w, first, elems / first, elems / first, 1);
		break;
	case ROLE_DENSE:
		fill_rows(r, w, elems / first, first, 1, elems / first);
		break;
	case ROLE_SCALE:
		for (size_t i = 0; i < elems; i++)
			w[i] = (float)(r->scale * (1 + 0.25 * uniform(r)));
		break;
	case ROLE_VARIANCE:
		for (size_t i = 0; i < elems; i++)
			w[i] = (float)(1 + 0.5 * uniform(r));
		break;
	default:
		for (size_t i = 0; i < elems; i++)
			w[i] = (float)(0.1 * uniform(r));
		break;
	}
}

/* ---- the model ---- */

static Onnx__TensorProto *find_initializer(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_initializer; i++)
		if (!strcmp(g->initializer[i]->name, name))
			return g->initializer[i];
	return NULL;
}

/* What computes @name, or NULL. */
static Onnx__NodeProto *find_producer(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_output; k++)
			if (!strcmp(g->node[i]->output[k], name))
				return g->node[i];
	return NULL;
}

static bool is(const Onnx__NodeProto *n, const char *op)
{
	return n && !strcmp(n->op_type, op);
}

static bool is_transposed(const Onnx__NodeProto *n)
{
	for (size_t i = 0; i < n->n_attribute; i++)
		if (!strcmp(n->attribute[i]->name, "transB"))
			return n->attribute[i]->i;
	return false;
}

static enum role role_of(const Onnx__NodeProto *n, size_t input)
{
	static const enum role norm[] = {
		ROLE_NONE, ROLE_SCALE, ROLE_OFFSET, ROLE_OFFSET, ROLE_VARIANCE,
	};

	if (is(n, "BatchNormalization"))
		return input < sizeof(norm) / sizeof(norm[0]) ? norm[input] : ROLE_NONE;
	if (is(n, "Conv"))
		return input == 1 ? ROLE_FILTER : input == 2 ? ROLE_OFFSET : ROLE_NONE;
	if (is(n, "Gemm") && input == 1)
		return is_transposed(n) ? ROLE_FILTER : ROLE_DENSE;
	if (is(n, "MatMul"))
		return input == 1 ? ROLE_DENSE : ROLE_NONE;
	if (is(n, "Mul"))
		return ROLE_SCALE;
	return is(n, "Add") || is(n, "Gemm") ? ROLE_OFFSET : ROLE_NONE;
}

/* What a filter sees has no negative values. */
static bool is_behind_relu(const Onnx__GraphProto *g, const char *name)
{
	static const char *const keep[] = {
		"AveragePool", "Concat", "Dropout", "GlobalAveragePool", "LRN", "MaxPool",
		"Reshape", "Transpose",
	};
	const Onnx__NodeProto *n = find_producer(g, name);

	for (size_t i = 0; n && i < sizeof(keep) / sizeof(keep[0]); i++)
		if (is(n, keep[i]))
			return is_behind_relu(g, n->input[0]);
	return is(n, "Relu");
}

static bool is_added_up(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; is(g->node[i], "Sum") && k < g->node[i]->n_input; k++)
			if (!strcmp(g->node[i]->input[k], name))
				return true;
	return false;
}

static void look_around(struct random *r, const Onnx__GraphProto *g, const Onnx__NodeProto *n)
{
	r->variance = is_behind_relu(g, n->input[0]) ? RELU_VARIANCE : 1;
	r->scale = is_added_up(g, n->output[0]) ? BRANCH_SCALE : 1;
}

/* An initializer in the place of what @n makes. */
static Onnx__TensorProto *materialise(Onnx__GraphProto *g, Onnx__NodeProto *n)
{
	const Onnx__TensorProto *shape = find_initializer(g, n->input[0]);
	Onnx__TensorProto *t = allocate(1, sizeof(*t));
	size_t rank;

	if (!shape || !shape->has_raw_data || shape->raw_data.len > RANK_MAX * sizeof(int64_t))
		die("its shape is not a constant", n->output[0]);
	rank = shape->raw_data.len / sizeof(int64_t);
	onnx__tensor_proto__init(t);
	t->name = n->output[0];
	t->n_dims = rank;
	t->dims = allocate(rank, sizeof(*t->dims));
	memcpy(t->dims, shape->raw_data.data, shape->raw_data.len);
	t->has_data_type = true;
	t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	g->initializer = realloc(g->initializer, (g->n_initializer + 1) * sizeof(*g->initializer));
	if (!g->initializer)
		die("out of memory", t->name);
	g->initializer[g->n_initializer++] = t;
	/* Nobody reads the node's output under this name any more. */
	n->output[0] = (char *)(uintptr_t)"";
	return t;
}

static void set_weight(struct random *r, Onnx__TensorProto *t, enum role role)
{
	size_t elems = 1;
	float *w;

	for (size_t i = 0; i < t->n_dims; i++) {
		if (t->dims[i] < 1 || (uint64_t)t->dims[i] > ELEMS_MAX / elems)
			die("is empty or too large", t->name);
		elems *= (size_t)t->dims[i];
	}
	w = allocate(elems, sizeof(*w));
	fill(r, role, t, w, elems);
	t->n_float_data = 0;
	t->has_raw_data = true;
	t->raw_data.len = elems * sizeof(*w);
	t->raw_data.data = (uint8_t *)w;
}

/* Weights may come through a node that gives them other dimensions. */
static Onnx__TensorProto *weight(Onnx__GraphProto *g, const char *name)
{
	Onnx__TensorProto *t = find_initializer(g, name);
	Onnx__NodeProto *n = t ? NULL : find_producer(g, name);

	if (is(n, "Unsqueeze") || is(n, "Reshape"))
		return weight(g, n->input[0]);
	if (is(n, "ConstantOfShape"))
		return materialise(g, n);
	return t && t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ? t : NULL;
}

static void drop_unused(Onnx__GraphProto *g)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->n_node; i++)
		if (*g->node[i]->output[0])
			g->node[kept++] = g->node[i];
	g->n_node = kept;
}

/* Softmax of large numbers says little: its operand is an output as well. */
static void add_logits(Onnx__GraphProto *g)
{
	const Onnx__NodeProto *last = g->n_output == 1 ? find_producer(g, g->output[0]->name) : NULL;
	Onnx__TypeProto *type = allocate(1, sizeof(*type));
	Onnx__ValueInfoProto *v = allocate(1, sizeof(*v));
	Onnx__ValueInfoProto **list = allocate(2, sizeof(*list));

	if (!is(last, "Softmax"))
		return;
	onnx__type_proto__init(type);
	onnx__value_info_proto__init(v);
	*type = *g->output[0]->type;
	v->name = last->input[0];
	v->type = type;
	list[0] = g->output[0];
	list[1] = v;
	g->output = list;
	g->n_output = 2;
}

static Onnx__ModelProto *read_model(const char *path)
{
	FILE *f = fopen(path, "rb");
	Onnx__ModelProto *m;
	uint8_t *data;
	long bytes;

	if (!f || fseek(f, 0, SEEK_END) || (bytes = ftell(f)) < 0 || fseek(f, 0, SEEK_SET))
		die("cannot be read", path);
	data = allocate((size_t)bytes, 1);
	if (fread(data, 1, (size_t)bytes, f) != (size_t)bytes)
		die("cannot be read", path);
	fclose(f);
	m = onnx__model_proto__unpack(NULL, (size_t)bytes, data);
	if (!m || !m->graph)
		die("is not an ONNX model", path);
	free(data);
	return m;
}

struct out {
	ProtobufCBuffer base;
	FILE *f;
};

static void append(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data)
{
	struct out *out = (struct out *)buffer;

	if (fwrite(data, 1, bytes, out->f) != bytes)
		die("cannot be written", "the model");
}

/* For a process of a few seconds: what it took goes when it ends. */
int main(int argc, char **argv)
{
	struct out out = { .base = { .append = append } };
	struct random r;
	Onnx__ModelProto *m;
	Onnx__GraphProto *g;
	size_t weights = 0;

	if (argc != 4) {
		fputs("usage: seed_weights MODEL.onnx SEED OUT.onnx\n", stderr);
		return 2;
	}
	m = read_model(argv[1]);
	g = m->graph;
	r.state = strtoull(argv[2], NULL, 0);
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_input; k++) {
			enum role role = role_of(g->node[i], k);
			Onnx__TensorProto *t = role ? weight(g, g->node[i]->input[k]) : NULL;

			if (!t)
				continue;
			look_around(&r, g, g->node[i]);
			set_weight(&r, t, role);
			weights++;
		}
	drop_unused(g);
	add_logits(g);
	out.f = fopen(argv[3], "wb");
	if (!out.f)
		die("cannot be written", argv[3]);
	onnx__model_proto__pack_to_buffer(m, &out.base);
	if (fclose(out.f))
		die("cannot be written", argv[3]);
	printf("%zu weights with seed %s\n", weights, argv[2]);
	return 0;
}
