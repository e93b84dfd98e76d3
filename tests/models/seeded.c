/* SPDX-License-Identifier: MIT */
/*
 * See seeded.h. Filters have no mean: what all pixels have in common would otherwise
 * drown the rest, layer after layer. Everything in a model is malloc()ed, as protobuf-c
 * does, and freed with it; without memory the program ends.
 */
#include "seeded.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void *allocate(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p)
		abort();
	return p;
}

static char *copy_text(const char *text)
{
	char *copy = allocate(strlen(text) + 1, 1);

	strcpy(copy, text);
	return copy;
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

static void fill(struct random *r, enum role role, const Onnx__TensorProto *t, float *w,
		 size_t elems)
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

/* An initializer in the place of what @n makes; NULL if it is no known shape. */
static Onnx__TensorProto *materialise(Onnx__GraphProto *g, Onnx__NodeProto *n)
{
	const Onnx__TensorProto *shape = find_initializer(g, n->input[0]);
	Onnx__TensorProto *t;
	size_t rank;

	if (!shape || !shape->has_raw_data || shape->raw_data.len > RANK_MAX * sizeof(int64_t))
		return NULL;
	rank = shape->raw_data.len / sizeof(int64_t);
	t = allocate(1, sizeof(*t));
	onnx__tensor_proto__init(t);
	/* Nobody reads the node's output under this name any more. */
	t->name = n->output[0];
	n->output[0] = copy_text("");
	t->n_dims = rank;
	t->dims = allocate(rank, sizeof(*t->dims));
	memcpy(t->dims, shape->raw_data.data, shape->raw_data.len);
	t->has_data_type = true;
	t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	g->initializer = realloc(g->initializer, (g->n_initializer + 1) * sizeof(*g->initializer));
	if (!g->initializer)
		abort();
	g->initializer[g->n_initializer++] = t;
	return t;
}

/* Channels; kernels and images have other sizes. */
static void shrink_dims(int64_t *dim, size_t count, int64_t by)
{
	for (size_t i = 0; i < count; i++)
		dim[i] = dim[i] % by ? dim[i] : dim[i] / by;
}

/* False for weights that are no weights. */
static bool set_weight(struct random *r, Onnx__TensorProto *t, enum role role)
{
	size_t elems = 1;
	float *w;

	for (size_t i = 0; i < t->n_dims; i++) {
		if (t->dims[i] < 1 || (uint64_t)t->dims[i] > ELEMS_MAX / elems)
			return false;
		elems *= (size_t)t->dims[i];
	}
	w = allocate(elems, sizeof(*w));
	fill(r, role, t, w, elems);
	free(t->float_data);
	t->float_data = NULL;
	t->n_float_data = 0;
	free(t->raw_data.data);
	t->has_raw_data = true;
	t->raw_data.len = elems * sizeof(*w);
	t->raw_data.data = (uint8_t *)w;
	return true;
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

/* Nodes without a result, and inputs that have a value. */
static void drop_unused(Onnx__GraphProto *g)
{
	size_t nodes = 0, inputs = 0;

	for (size_t i = 0; i < g->n_node; i++)
		if (*g->node[i]->output[0])
			g->node[nodes++] = g->node[i];
		else
			onnx__node_proto__free_unpacked(g->node[i], NULL);
	g->n_node = nodes;
	for (size_t i = 0; i < g->n_input; i++)
		if (find_initializer(g, g->input[i]->name))
			onnx__value_info_proto__free_unpacked(g->input[i], NULL);
		else
			g->input[inputs++] = g->input[i];
	g->n_input = inputs;
}

/* A tensor of floats with this name, of any shape. */
static Onnx__ValueInfoProto *make_value(const char *name)
{
	Onnx__ValueInfoProto *v = allocate(1, sizeof(*v));

	onnx__value_info_proto__init(v);
	v->name = copy_text(name);
	v->type = allocate(1, sizeof(*v->type));
	onnx__type_proto__init(v->type);
	v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	v->type->tensor_type = allocate(1, sizeof(*v->type->tensor_type));
	onnx__type_proto__tensor__init(v->type->tensor_type);
	v->type->tensor_type->has_elem_type = true;
	v->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	return v;
}

/* The only output; and, as Softmax of large numbers says little, its operand. */
static void set_outputs(Onnx__GraphProto *g)
{
	const Onnx__NodeProto *last = find_producer(g, g->output[0]->name);
	Onnx__ValueInfoProto **list = allocate(2, sizeof(*list));

	list[0] = make_value(g->output[0]->name);
	list[1] = is(last, "Softmax") ? make_value(last->input[0]) : NULL;
	for (size_t i = 0; i < g->n_output; i++)
		onnx__value_info_proto__free_unpacked(g->output[i], NULL);
	free(g->output);
	g->output = list;
	g->n_output = list[1] ? 2 : 1;
}

/* Fewer channels: the shapes in the graph's constants. */
static void shrink(Onnx__GraphProto *g, int64_t by)
{
	for (size_t i = 0; i < g->n_initializer; i++) {
		Onnx__TensorProto *t = g->initializer[i];

		if (t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 && t->has_raw_data)
			shrink_dims((int64_t *)(void *)t->raw_data.data,
				    t->raw_data.len / sizeof(int64_t), by);
		else if (t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
			shrink_dims(t->dims, t->n_dims, by);
	}
}

static bool seed_weights(Onnx__GraphProto *g, uint64_t seed)
{
	struct random r = { .state = seed };

	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_input; k++) {
			enum role role = role_of(g->node[i], k);
			Onnx__TensorProto *t = role ? weight(g, g->node[i]->input[k]) : NULL;

			if (!t)
				continue;
			look_around(&r, g, g->node[i]);
			if (!set_weight(&r, t, role))
				return false;
		}
	return true;
}

static uint8_t *read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long end = -1;

	if (f && !fseek(f, 0, SEEK_END))
		end = ftell(f);
	if (end >= 0 && !fseek(f, 0, SEEK_SET)) {
		data = allocate((size_t)end, 1);
		*bytes = fread(data, 1, (size_t)end, f);
	}
	if (f)
		fclose(f);
	return data;
}

Onnx__ModelProto *seeded_read(const char *path, uint64_t seed, unsigned int by)
{
	size_t bytes = 0;
	uint8_t *data = read_file(path, &bytes);
	Onnx__ModelProto *m = data ? onnx__model_proto__unpack(NULL, bytes, data) : NULL;

	free(data);
	if (!m || !m->graph || m->graph->n_output != 1) {
		onnx__model_proto__free_unpacked(m, NULL);
		return NULL;
	}
	/* Initializers need not be inputs any more. */
	m->ir_version = m->ir_version < 4 ? 4 : m->ir_version;
	if (by > 1)
		shrink(m->graph, by);
	if (!seed_weights(m->graph, seed)) {
		onnx__model_proto__free_unpacked(m, NULL);
		return NULL;
	}
	drop_unused(m->graph);
	set_outputs(m->graph);
	return m;
}

void seeded_free(Onnx__ModelProto *m)
{
	onnx__model_proto__free_unpacked(m, NULL);
}

struct out {
	ProtobufCBuffer base;
	FILE *f;
	bool bad;
};

static void append(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data)
{
	struct out *out = (struct out *)buffer;

	out->bad |= fwrite(data, 1, bytes, out->f) != bytes;
}

bool seeded_write(const Onnx__ModelProto *m, const char *path)
{
	struct out out = { .base = { .append = append }, .f = fopen(path, "wb") };

	if (!out.f)
		return false;
	onnx__model_proto__pack_to_buffer(m, &out.base);
	return !fclose(out.f) && !out.bad;
}
