/* SPDX-License-Identifier: MIT */
/* What recipes are made with: chance, tensors, nodes that the oracle approves of. */
#include "rand.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Results beyond these are of no use to the nodes that come next. */
#define FLOAT_MOST	1e4
#define HALF_MOST	1e3
#define INT_MOST	(1 << 20)
/* Noise that is as large as this, relative to the tensor, judges nothing. */
#define NOISE_MOST	1e-2
#define HALF_NOISE_MOST	0.3

/* ---- Chance ---- */

static uint64_t next(struct rg *g)
{
	uint64_t z = g->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t rg_below(struct rg *g, uint32_t n)
{
	return n ? (uint32_t)((next(g) >> 32) * n >> 32) : 0;
}

bool rg_once(struct rg *g, uint32_t n)
{
	return !rg_below(g, n);
}

int64_t rg_between(struct rg *g, int64_t low, int64_t high)
{
	return low + rg_below(g, (uint32_t)(high - low + 1));
}

double rg_uniform(struct rg *g, double low, double high)
{
	return low + (high - low) * (double)(next(g) >> 11) * 0x1p-53;
}

int rg_type(struct rg *g, unsigned int types)
{
	int list[32], n = 0;

	if (types >> EV_F32 & 1 && !rg_once(g, 4))
		return EV_F32;
	for (int t = 0; t < 32; t++)
		if (types >> t & 1)
			list[n++] = t;
	return list[rg_below(g, (uint32_t)n)];
}

int64_t rg_dim(struct rg *g, int64_t most)
{
	static const int16_t about[] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129,
		255, 256, 257, 511, 513, 1000, 1024, 1025, 2047, 2049, 4097, 8191, 16385, 32767,
	};
	uint32_t n = 0;

	while (n < sizeof(about) / sizeof(about[0]) && about[n] <= most)
		n++;
	/* Small ones more often. */
	return n ? about[rg_once(g, 2) ? rg_below(g, n) : rg_below(g, n < 9 ? n : 9)] : 1;
}

void rg_shape(struct rg *g, int rank, int64_t *dims)
{
	int64_t left = g->elems;
	int order[REF_MAX_RANK];

	for (int i = 0; i < rank; i++)
		order[i] = i;
	for (int i = rank - 1; i > 0; i--) {
		int k = (int)rg_below(g, (uint32_t)i + 1), t = order[i];

		order[i] = order[k];
		order[k] = t;
	}
	for (int i = 0; i < rank; i++) {
		dims[order[i]] = rg_dim(g, left);
		left /= dims[order[i]];
	}
	if (rank && rg_once(g, 60))
		dims[rg_below(g, (uint32_t)rank)] = 0;
}

/* ---- Tensors ---- */

const struct ev_value *rg_get(const struct rg *g, int v)
{
	return &g->value[v].run[0];
}

int rg_pick(struct rg *g, unsigned int types, int rank_min, int rank_max)
{
	int list[RG_VALUES], n = 0;

	for (unsigned int i = 0; i < g->values; i++) {
		const struct ev_value *x = &g->value[i].run[0];

		if (!(types >> x->type & 1) || x->rank < rank_min || x->rank > rank_max ||
		    x->elems > g->elems || g->value[i].odd || (!x->elems && !rg_once(g, 4)))
			continue;
		list[n++] = (int)i;
	}
	if (!n)
		return -2;
	/* The newest make chains, any other diamonds. */
	if (rg_once(g, 2))
		return list[n - 1 - (int)rg_below(g, n < 3 ? (uint32_t)n : 3)];
	return list[rg_below(g, (uint32_t)n)];
}

static double element(struct rg *g, int type, enum rg_style style)
{
	static const double special[] = { INFINITY, -INFINITY, NAN, 0, 1, -1, -0.0, 1e30 };
	double v;

	if (type == EV_BOOL)
		return rg_below(g, 2);
	if (!ev_is_float(type)) {
		int64_t low = type == EV_U8 || style == RG_POSITIVE ? style == RG_POSITIVE : -9;

		if (rg_once(g, 20) && style == RG_ANY && type != EV_I64)
			return ev_round(type, rg_uniform(g, -70000, 70000));
		return (double)rg_between(g, low, 12);
	}
	switch (style) {
	case RG_SPECIAL:
		v = rg_once(g, 2) ? special[rg_below(g, 8)] : rg_uniform(g, -2, 2);
		break;
	case RG_UNIT:
		v = rg_uniform(g, -0.95, 0.95);
		break;
	case RG_POSITIVE:
		v = rg_uniform(g, 0.1, 3);
		break;
	case RG_WEIGHT:
		v = rg_uniform(g, -0.5, 0.5);
		break;
	default:
		v = rg_once(g, 8) ? (double)rg_between(g, -4, 4) : rg_uniform(g, -2.5, 2.5);
	}
	return ev_round(type, v);
}

/* A tensor with the elements of @x, which is taken over. */
static int add_source(struct rg *g, struct ev_value *x, enum rg_source source)
{
	struct rg_value *v = &g->value[g->values];
	size_t bytes = (size_t)x->elems * ev_type_bytes(x->type);
	Onnx__TensorProto *t;
	void *data;

	if (g->values == RG_VALUES || g->b.graph.n_node + 2 > RG_NODES) {
		ev_free(x);
		return -2;
	}
	memset(v, 0, sizeof(*v));
	if (source == RG_DRAWN)
		source = rg_once(g, 2) ? RG_INPUT : rg_below(g, RG_SOURCES);
	if (source == RG_KNOWN)
		source = 1 + rg_below(g, RG_SOURCES - 1);
	snprintf(v->name, sizeof(v->name), "%c%u", "xwk"[source], g->names++);
	data = ob_alloc(&g->b, bytes);
	ev_to_bytes(x, data);
	if (source == RG_INPUT) {
		ob_input(&g->b, v->name, x->type, (size_t)x->rank, x->dims);
		v->is_input = true;
		/* A dimension of 0 is one, not a name. */
		for (int i = 0; i < x->rank; i++)
			g->b.graph.input[g->b.graph.n_input - 1]->type->tensor_type->shape->dim[i]
				->dim_value = x->dims[i];
	} else if (source == RG_INITIALIZER) {
		ob_initializer(&g->b, v->name, x->type, (size_t)x->rank, x->dims, data, bytes);
	} else {
		Onnx__NodeProto *n = ob_node(&g->b, "Constant", "", v->name);
		Onnx__AttributeProto *a = ob_attr(&g->b, n, "value");

		t = ob_tensor(&g->b, v->name, x->type, (size_t)x->rank, x->dims, data, bytes);
		a->has_type = 1;
		a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
		a->t = t;
	}
	v->known = source != RG_INPUT;
	for (int64_t i = 0; i < x->elems; i++)
		v->odd = v->odd || !(fabs(x->v[i]) <= INT_MOST);
	for (int r = 1; r < RG_RUNS; r++)
		if (ev_copy(&v->run[r], x))
			abort();
	v->run[0] = *x;
	return (int)g->values++;
}

int rg_given(struct rg *g, int type, int rank, const int64_t *dims, const double *elem,
	     enum rg_source source)
{
	struct ev_value x;

	if (ev_alloc(&x, type, rank, dims))
		return -2;
	for (int64_t i = 0; i < x.elems; i++)
		x.v[i] = ev_round(type, elem[i]);
	return add_source(g, &x, source);
}

int rg_new(struct rg *g, int type, int rank, const int64_t *dims, enum rg_style style,
	   enum rg_source source)
{
	struct ev_value x;

	if (ev_alloc(&x, type, rank, dims) || x.elems > 4 * g->elems) {
		ev_free(&x);
		return -2;
	}
	for (int64_t i = 0; i < x.elems; i++)
		x.v[i] = element(g, type, style);
	return add_source(g, &x, source);
}

int rg_some(struct rg *g, unsigned int types, int rank_min, int rank_max, enum rg_style style)
{
	int64_t dims[REF_MAX_RANK];
	int rank, v = -1;

	if (!rg_once(g, style == RG_ANY ? 5 : 2))
		v = rg_pick(g, types, rank_min, rank_max);
	if (v >= 0)
		return v;
	rank_max = rank_max > rank_min + 4 && !rg_once(g, 10) ? rank_min + 4 : rank_max;
	rank = (int)rg_between(g, rank_min, rank_max);
	rg_shape(g, rank, dims);
	return rg_new(g, rg_type(g, types), rank, dims, style, RG_DRAWN);
}

int rg_like(struct rg *g, int type, int rank, const int64_t *dims, enum rg_style style)
{
	for (unsigned int i = 0; style == RG_ANY && i < g->values; i++) {
		const struct ev_value *x = &g->value[i].run[0];

		if (x->type == type && x->rank == rank && !g->value[i].odd && rg_once(g, 2) &&
		    !memcmp(x->dims, dims, (size_t)rank * sizeof(*dims)))
			return (int)i;
	}
	return rg_new(g, type, rank, dims, style, RG_DRAWN);
}

int rg_list(struct rg *g, int count, const int64_t *value)
{
	double elem[32];
	int64_t dims = count;

	for (int i = 0; i < count; i++)
		elem[i] = (double)value[i];
	return rg_given(g, EV_I64, 1, &dims, elem, rg_once(g, 8) ? RG_INPUT : RG_KNOWN);
}

int rg_scalar(struct rg *g, int type, double value)
{
	return rg_given(g, type, 0, NULL, &value, rg_once(g, 8) ? RG_INPUT : RG_KNOWN);
}

/* ---- Nodes ---- */

Onnx__NodeProto *rg_begin(struct rg *g, const char *op)
{
	g->ins = 0;
	/* It is added to the graph when it stays: Constant nodes come before it. */
	g->node = ob_node(&g->b, op, "", "");
	g->b.graph.n_node--;
	return g->node;
}

void rg_arg(struct rg *g, int v)
{
	g->in[g->ins++] = v;
}

void rg_int(struct rg *g, const char *name, int64_t value)
{
	ob_int(&g->b, g->node, name, value);
}

void rg_float(struct rg *g, const char *name, float value)
{
	ob_float(&g->b, g->node, name, value);
}

void rg_text(struct rg *g, const char *name, const char *value)
{
	ob_string(&g->b, g->node, name, value);
}

void rg_ints(struct rg *g, const char *name, size_t count, const int64_t *value)
{
	ob_ints(&g->b, g->node, name, count, value);
}

void rg_floats(struct rg *g, const char *name, size_t count, const float *value)
{
	Onnx__AttributeProto *a = ob_attr(&g->b, g->node, name);

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
	a->n_floats = count;
	a->floats = memcpy(ob_alloc(&g->b, count * sizeof(*value)), value,
			   count * sizeof(*value));
}

static bool refuse(struct rg *g, const char *why)
{
	snprintf(g->why, sizeof(g->why), "%s: %s", g->node->op_type, why);
	return false;
}

/* Whether a result can be judged, and be used by other nodes. */
static bool is_good(struct rg *g, const struct ev_value *run)
{
	const struct ev_value *x = &run[0];
	double most = x->type == EV_F16 ? HALF_MOST : FLOAT_MOST, large = 0;
	double limit = x->type == EV_F16 || x->type == EV_BF16 ? HALF_NOISE_MOST : NOISE_MOST;
	int64_t loose = 0;

	if (x->elems > 4 * g->elems)
		return refuse(g, "too large");
	for (int r = 1; r < RG_RUNS; r++)
		if (!ev_same_shape(x, &run[r]))
			return refuse(g, "its shape depends on rounding");
	for (int64_t i = 0; i < x->elems; i++) {
		if (ev_is_float(x->type) ? !(fabs(x->v[i]) <= most) :
					   fabs(x->v[i]) > INT_MOST)
			return refuse(g, "too large a number");
		large = fmax(large, fabs(x->v[i]));
	}
	for (int64_t i = 0; i < x->elems; i++) {
		double away = 0;

		for (int r = 1; r < RG_RUNS; r++) {
			double d = fabs(run[r].v[i] - x->v[i]);

			away = d <= away ? away : isnan(d) ? INFINITY : d;
		}
		loose += ev_is_float(x->type) ? !(away <= limit * large) : away != 0;
	}
	/* Some decisions by a hair's breadth are part of life. */
	if (loose * 5 > x->elems)
		return refuse(g, "chaotic");
	return true;
}

/* All names that a body sees, in run @r; borrowed. */
static struct ev_env visible(struct rg *g, int r, const char *name[RG_VALUES],
			     struct ev_value value[RG_VALUES])
{
	for (unsigned int v = 0; v < g->values; v++) {
		name[v] = g->value[v].name;
		value[v] = g->value[v].run[r];
	}
	return (struct ev_env){ .name = name, .value = value, .count = g->values };
}

bool rg_commit(struct rg *g, unsigned int outs)
{
	struct ev_value value[RG_VALUES];
	const char *name[RG_VALUES];
	unsigned int before = g->values;
	struct ev_env env;
	struct ev_call c;
	bool good = true;
	int ret = 0;

	for (unsigned int i = 0; i < g->ins; i++)
		if (g->in[i] < -1)
			return refuse(g, "an input is missing");
	if (before + outs > RG_VALUES || g->b.graph.n_node + 1 > RG_NODES)
		return refuse(g, "no room");
	g->node->n_input = g->node->n_output = 0;
	for (unsigned int i = 0; i < g->ins; i++)
		g->node->input[g->node->n_input++] = g->in[i] < 0 ? ob_alloc(&g->b, 1) :
			strcpy(ob_alloc(&g->b, 16), g->value[g->in[i]].name);
	for (unsigned int o = 0; o < outs; o++) {
		memset(&g->value[before + o], 0, sizeof(*g->value));
		snprintf(g->value[before + o].name, sizeof(g->value->name), "t%u", g->names++);
		g->node->output[g->node->n_output++] =
			strcpy(ob_alloc(&g->b, 16), g->value[before + o].name);
	}
	for (int r = 0; r < RG_RUNS && !ret; r++) {
		struct ev_noise noise = { .on = r > 0, .state = g->seed + 1000 * before + (uint64_t)r };

		env = visible(g, r, name, value);
		memset(&c, 0, sizeof(c));
		c.node = g->node;
		c.model = &g->b.model;
		c.outer = &env;
		c.opset = g->opset;
		c.ins = g->ins;
		c.outs = outs;
		for (unsigned int i = 0; i < g->ins; i++)
			c.in[i] = g->in[i] < 0 ? NULL : &g->value[g->in[i]].run[r];
		ret = ev_call_run(&c, &noise);
		for (unsigned int o = 0; o < outs && !ret; o++) {
			g->value[before + o].run[r] = c.out[o];
			memset(&c.out[o], 0, sizeof(c.out[o]));
			if (!g->value[before + o].run[r].v)
				ret = -EINVAL;
		}
		ev_call_free(&c);
	}
	if (ret)
		good = refuse(g, *c.why ? c.why : "not legal");
	for (unsigned int o = 0; o < outs && good; o++)
		good = is_good(g, g->value[before + o].run);
	if (!good) {
		for (unsigned int o = 0; o < outs; o++)
			for (int r = 0; r < RG_RUNS; r++)
				ev_free(&g->value[before + o].run[r]);
		return false;
	}
	g->b.graph.node[g->b.graph.n_node++] = g->node;
	g->values += outs;
	for (unsigned int o = 0; o < outs; o++)
		g->value[before + o].known = true;
	for (unsigned int i = 0; i < g->ins; i++) {
		if (g->in[i] < 0)
			continue;
		g->value[g->in[i]].uses++;
		for (unsigned int o = 0; o < outs && !g->value[g->in[i]].known; o++)
			g->value[before + o].known = false;
	}
	return true;
}

struct rg_mark rg_mark(const struct rg *g)
{
	return (struct rg_mark){
		.used = g->b.used, .values = g->values, .nodes = g->b.graph.n_node,
		.inputs = g->b.graph.n_input, .initializers = g->b.graph.n_initializer,
		.functions = g->b.model.n_functions,
	};
}

static void set_functions(struct rg *g, size_t count)
{
	g->b.model.n_functions = count;
	g->b.model.functions = g->function;
	/* Only a model with functions has their domain. */
	g->b.model.n_opset_import = count ? 2 : 1;
	g->b.model.opset_import = g->opset_import;
}

void rg_add_function(struct rg *g, Onnx__FunctionProto *f)
{
	/* The model's import outlives a function that is taken back. */
	static char domain[] = "local";

	onnx__operator_set_id_proto__init(&g->local);
	f->domain = domain;
	g->local.domain = domain;
	g->local.has_version = 1;
	g->local.version = 1;
	g->opset_import[0] = &g->b.opset;
	g->opset_import[1] = &g->local;
	g->function[g->b.model.n_functions] = f;
	set_functions(g, g->b.model.n_functions + 1);
}

void rg_back(struct rg *g, const struct rg_mark *m)
{
	while (g->values > m->values) {
		struct rg_value *v = &g->value[--g->values];

		for (int r = 0; r < RG_RUNS; r++)
			ev_free(&v->run[r]);
	}
	while (g->b.used > m->used)
		free(g->b.heap[--g->b.used]);
	if (g->b.model.n_functions != m->functions)
		set_functions(g, m->functions);
	g->b.graph.n_node = m->nodes;
	g->b.graph.n_input = m->inputs;
	g->b.graph.n_initializer = m->initializers;
}
