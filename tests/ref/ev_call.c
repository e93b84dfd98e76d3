/* SPDX-License-Identifier: MIT */
/* A node's evaluation: attributes, index arithmetic, rounding errors put in. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

int ev_bad(struct ev_call *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, args);
	va_end(args);
	return -EINVAL;
}

/* ---- Attributes ---- */

const Onnx__AttributeProto *ev_attr(const struct ev_call *c, const char *name)
{
	for (size_t i = 0; i < c->node->n_attribute; i++) {
		const Onnx__AttributeProto *a = c->node->attribute[i];

		if (strcmp(a->name, name))
			continue;
		if (!a->ref_attr_name || !*a->ref_attr_name)
			return a;
		return c->caller ? ev_attr(c->caller, a->ref_attr_name) : NULL;
	}
	return NULL;
}

int64_t ev_attr_i(const struct ev_call *c, const char *name, int64_t unset)
{
	const Onnx__AttributeProto *a = ev_attr(c, name);

	return a ? a->i : unset;
}

double ev_attr_f(const struct ev_call *c, const char *name, double unset)
{
	const Onnx__AttributeProto *a = ev_attr(c, name);

	return a ? a->f : unset;
}

bool ev_attr_is(const struct ev_call *c, const char *name, const char *text, const char *unset)
{
	const Onnx__AttributeProto *a = ev_attr(c, name);

	if (!a)
		return !strcmp(text, unset);
	return a->s.len == strlen(text) && !memcmp(a->s.data, text, a->s.len);
}

const int64_t *ev_attr_ints(const struct ev_call *c, const char *name, size_t *count)
{
	const Onnx__AttributeProto *a = ev_attr(c, name);

	*count = a ? a->n_ints : 0;
	return a && a->n_ints ? a->ints : NULL;
}

/* ---- Outputs, axes, indices ---- */

double *ev_out(struct ev_call *c, unsigned int i, int type, int rank, const int64_t *dims)
{
	ev_free(&c->out[i]);
	if (ev_alloc(&c->out[i], type, rank, dims)) {
		ev_bad(c, "output %u is too large", i);
		return NULL;
	}
	return c->out[i].v;
}

double *ev_out_like(struct ev_call *c, unsigned int i, const struct ev_value *x)
{
	return ev_out(c, i, x->type, x->rank, x->dims);
}

int ev_need(struct ev_call *c, unsigned int ins)
{
	for (unsigned int i = 0; i < ins; i++)
		if (i >= c->ins || !c->in[i])
			return ev_bad(c, "input %u is missing", i);
	return 0;
}

int ev_shaped(struct ev_call *c, unsigned int i, int rank, const int64_t *dims)
{
	const struct ev_value *x = i < c->ins ? c->in[i] : NULL;

	if (x && (x->rank != rank || memcmp(x->dims, dims, (size_t)rank * sizeof(*dims))))
		return ev_bad(c, "shape of input %u", i);
	return 0;
}

int ev_spreads(struct ev_call *c, unsigned int i, int rank, const int64_t *dims)
{
	const struct ev_value *x = i < c->ins ? c->in[i] : NULL;

	if (x && x->rank > rank)
		return ev_bad(c, "rank of input %u", i);
	for (int k = 0; x && k < x->rank; k++)
		if (x->dims[k] != 1 && x->dims[k] != dims[rank - x->rank + k])
			return ev_bad(c, "shape of input %u", i);
	return 0;
}

int ev_axis(int64_t axis, int rank)
{
	if (axis < -rank || axis >= rank)
		return -1;
	return (int)(axis < 0 ? axis + rank : axis);
}

int ev_ints(const struct ev_call *c, unsigned int i, int64_t *value, int most)
{
	const struct ev_value *x = i < c->ins ? c->in[i] : NULL;

	if (!x || x->elems > most)
		return -1;
	for (int64_t k = 0; k < x->elems; k++)
		value[k] = x->v[k] >= 0x1p63 ? INT64_MAX : (int64_t)x->v[k];
	return (int)x->elems;
}

int ev_axes(const struct ev_call *c, unsigned int i, int rank, bool *given)
{
	int64_t from_input[REF_MAX_RANK];
	const int64_t *axes;
	size_t count;
	int set = 0;

	axes = ev_attr_ints(c, "axes", &count);
	if (!axes && i < c->ins && c->in[i]) {
		int n = ev_ints(c, i, from_input, REF_MAX_RANK);

		if (n < 0)
			return -1;
		axes = from_input;
		count = (size_t)n;
	}
	*given = count > 0;
	for (size_t k = 0; k < count; k++) {
		int axis = ev_axis(axes[k], rank);

		if (axis < 0 || set >> axis & 1)
			return -1;
		set |= 1 << axis;
	}
	return set;
}

int64_t ev_count(const int64_t *dims, int from, int to)
{
	int64_t n = 1;

	for (int i = from; i < to; i++)
		n *= dims[i];
	return n;
}

void ev_step(int rank, const int64_t *dims, int64_t *coord)
{
	for (int i = rank - 1; i >= 0; i--) {
		if (++coord[i] < dims[i])
			return;
		coord[i] = 0;
	}
}

int64_t ev_at(const struct ev_value *x, const int64_t *coord)
{
	int64_t at = 0;

	for (int i = 0; i < x->rank; i++)
		at = at * x->dims[i] + coord[i];
	return at;
}

int64_t ev_at_broadcast(const struct ev_value *x, int rank, const int64_t *coord)
{
	int64_t at = 0;

	for (int i = 0; i < x->rank; i++)
		at = at * x->dims[i] + (x->dims[i] == 1 ? 0 : coord[rank - x->rank + i]);
	return at;
}

int ev_broadcast(const struct ev_call *c, unsigned int from, unsigned int to, int64_t *dims)
{
	int rank = 0;

	for (unsigned int n = from; n < to; n++)
		rank = c->in[n]->rank > rank ? c->in[n]->rank : rank;
	for (int i = 0; i < rank; i++)
		dims[i] = 1;
	for (unsigned int n = from; n < to; n++) {
		const struct ev_value *x = c->in[n];

		for (int i = 0; i < x->rank; i++) {
			int64_t *d = &dims[rank - x->rank + i];

			if (*d == 1)
				*d = x->dims[i];
			else if (x->dims[i] != 1 && x->dims[i] != *d)
				return -1;
		}
	}
	return rank;
}

double ev_sigmoid(double v)
{
	return v >= 0 ? 1 / (1 + exp(-v)) : exp(v) / (1 + exp(v));
}

/* ---- Running ---- */

static const struct ev_op *find(const char *name)
{
	static const struct ev_op *const tables[] = {
		ev_ops_point, ev_ops_reduce, ev_ops_move, ev_ops_index, ev_ops_window,
		ev_ops_matmul, ev_ops_norm, ev_ops_rnn, ev_ops_attention, ev_ops_resize,
		ev_ops_shape, ev_ops_signal, ev_ops_loss, ev_ops_sample,
	};

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct ev_op *op = tables[t]; op->name; op++)
			if (!strcmp(op->name, name))
				return op;
	return NULL;
}

bool ev_has_op(const char *name)
{
	return find(name);
}

/* A cast, or an interpolation, is exact depending on what it is of. */
static bool is_exact(const struct ev_call *c, const struct ev_op *op)
{
	if (!strncmp(op->name, "Cast", 4))
		return c->in[0] && c->outs && ev_is_known(c->out[0].type) &&
		       (!ev_is_float(c->out[0].type) ||
			ev_type_bytes(c->in[0]->type) < ev_type_bytes(c->out[0].type) ||
			c->in[0]->type == c->out[0].type);
	if (!strncmp(op->name, "Scatter", 7))
		return !ev_attr_is(c, "reduction", "add", "none") &&
		       !ev_attr_is(c, "reduction", "mul", "none");
	return op->exact;
}

/* Uniform in (-1, 1). */
static double chance(struct ev_noise *noise)
{
	uint64_t z = noise->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return ((double)(z >> 11) + 0.5) * 0x1p-52 - 1;
}

double ev_jitter(const struct ev_call *c, double v)
{
	return c->noise ? v * (1 + ev_epsilon(c->in[0]->type) * chance(c->noise)) : v;
}

double ev_jitter_sum(const struct ev_call *c, double sum)
{
	if (!c->noise || !ev_is_float(c->in[0]->type))
		return sum;
	return sum * (1 + ev_epsilon(EV_F32) * chance(c->noise));
}

static void disturb(struct ev_value *x, struct ev_noise *noise)
{
	double eps = x->v && ev_is_float(x->type) ? ev_epsilon(x->type) : 0;

	for (int64_t i = 0; eps && i < x->elems; i++)
		x->v[i] *= 1 + eps * chance(noise);
}

/* Inputs a rounding away: what is lost inside of the operator shows. */
static int run_disturbed(struct ev_call *c, const struct ev_op *op, struct ev_noise *noise)
{
	struct ev_value near[EV_MAX_IO] = { 0 };
	const struct ev_value *given[EV_MAX_IO];
	int ret = 0;

	memcpy(given, c->in, sizeof(given));
	for (unsigned int i = 0; i < c->ins && !ret; i++) {
		if (!given[i])
			continue;
		ret = ev_copy(&near[i], given[i]);
		/* Whole exponents decide whether a negative base has a power at all. */
		if (!ret && !(i && !strcmp(op->name, "Pow")))
			disturb(&near[i], noise);
		c->in[i] = &near[i];
	}
	c->noise = noise;
	ret = ret ? ret : op->run(c);
	c->noise = NULL;
	memcpy(c->in, given, sizeof(given));
	for (unsigned int i = 0; i < c->ins; i++)
		ev_free(&near[i]);
	for (unsigned int i = 0; i < c->outs && !ret; i++)
		disturb(&c->out[i], noise);
	return ret;
}

/*
 * Almost at a step, a result may be on either side: four roundings away are close. What is
 * at a step to the bit, after noise, came there without rounding.
 */
static bool is_step(const struct ev_call *c, const struct ev_op *op)
{
	if (!c->ins || !c->in[0] || !ev_is_float(c->in[0]->type))
		return false;
	if (!strncmp(op->name, "Cast", 4))
		return c->outs && !ev_is_float(c->out[0].type);
	return !strcmp(op->name, "Round") || !strcmp(op->name, "Floor") || !strcmp(op->name, "Ceil");
}

static int run_leaning(struct ev_call *c, const struct ev_op *op, const struct ev_noise *noise)
{
	const struct ev_value *given = c->in[0];
	struct ev_value near;
	int ret = ev_copy(&near, given);

	if (ret)
		return ret;
	for (int64_t i = 0; i < near.elems; i++)
		if (2 * near.v[i] != rint(2 * near.v[i]))
			near.v[i] += noise->lean * 4 * ev_epsilon(near.type) * fabs(near.v[i]);
	c->in[0] = &near;
	ret = op->run(c);
	c->in[0] = given;
	ev_free(&near);
	return ret;
}

/* Comparisons of floats that are almost equal may go either way. */
static void doubt(struct ev_call *c, struct ev_noise *noise)
{
	int64_t coord[REF_MAX_RANK] = { 0 };

	/* CastLike has a second input of any shape, but it is of the output's type. */
	if (c->ins != 2 || !c->in[0] || !c->in[1] || !ev_is_float(c->in[0]->type) ||
	    !ev_is_float(c->in[1]->type))
		return;
	for (int64_t i = 0; i < c->out[0].elems; i++) {
		double a = c->in[0]->v[ev_at_broadcast(c->in[0], c->out[0].rank, coord)];
		double b = c->in[1]->v[ev_at_broadcast(c->in[1], c->out[0].rank, coord)];
		double close = 4 * ev_epsilon(c->in[0]->type) * (fabs(a) + fabs(b));

		if (a != b && fabs(a - b) <= close)
			c->out[0].v[i] = noise->lean ? noise->lean > 0 : chance(noise) > 0;
		ev_step(c->out[0].rank, c->out[0].dims, coord);
	}
}

int ev_call_run(struct ev_call *c, struct ev_noise *noise)
{
	const ev_run_fn control = ev_control(c);
	const struct ev_op *op = control ? NULL : find(c->node->op_type);
	int ret;

	c->why[0] = 0;
	if (control) {
		c->noise = noise;
		ret = control(c);
		c->noise = NULL;
		return ret;
	}
	if (!op) {
		ev_bad(c, "the oracle has no operator %s", c->node->op_type);
		return -ENOSYS;
	}
	ret = op->run(c);
	if (!ret && noise && noise->on && c->outs && c->out[0].type == EV_BOOL)
		doubt(c, noise);
	if (!ret && noise && noise->on && noise->lean && is_step(c, op)) {
		ev_call_free(c);
		ret = run_leaning(c, op, noise);
	} else if (!ret && noise && noise->on && !is_exact(c, op)) {
		ev_call_free(c);
		ret = run_disturbed(c, op, noise);
	}
	for (unsigned int i = 0; i < c->outs && !ret; i++) {
		struct ev_value *x = &c->out[i];

		for (int64_t e = 0; x->v && !ev_is_float(x->type) && e < x->elems; e++)
			if (!(fabs(x->v[e]) <= 0x1p53))
				ret = -ERANGE;
	}
	return ret;
}

void ev_call_free(struct ev_call *c)
{
	for (unsigned int i = 0; i < EV_MAX_IO; i++)
		ev_free(&c->out[i]);
}
