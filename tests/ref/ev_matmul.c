/* SPDX-License-Identifier: MIT */
/* Products of matrices and of sums named by letters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

static int run_gemm(struct ev_call *c)
{
	int ret = ev_need(c, 2);
	const struct ev_value *a = c->in[0], *b = c->in[1];
	bool ta = ev_attr_i(c, "transA", 0), tb = ev_attr_i(c, "transB", 0);
	double alpha = ev_attr_f(c, "alpha", 1), beta = ev_attr_f(c, "beta", 1), *y;
	int64_t dims[2], depth;

	if (ret)
		return ret;
	if (a->rank != 2 || b->rank != 2 || a->dims[!ta] != b->dims[tb])
		return ev_bad(c, "shapes");
	dims[0] = a->dims[ta];
	dims[1] = b->dims[!tb];
	depth = a->dims[!ta];
	if (ev_spreads(c, 2, 2, dims))
		return -EINVAL;
	y = ev_out(c, 0, a->type, 2, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++) {
		int64_t coord[] = { i / dims[1], i % dims[1] };
		double sum = 0;

		for (int64_t k = 0; k < depth; k++)
			sum = ev_jitter_sum(c, sum +
				a->v[ta ? k * dims[0] + coord[0] : coord[0] * depth + k] *
				b->v[tb ? coord[1] * depth + k : k * dims[1] + coord[1]]);
		y[i] = alpha * sum;
		if (c->ins > 2 && c->in[2])
			y[i] += beta * c->in[2]->v[ev_at_broadcast(c->in[2], 2, coord)];
	}
	return y ? 0 : -EINVAL;
}

static int run_matmul(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 }, rows, cols, depth;
	int ret = ev_need(c, 2), rank;
	struct ev_value a, b, batch_a, batch_b;
	struct ev_call batch = { .ins = 2, .in = { &batch_a, &batch_b } };
	double *y;

	if (ret)
		return ret;
	a = *c->in[0];
	b = *c->in[1];
	if (!a.rank || !b.rank)
		return ev_bad(c, "a scalar");
	/* A vector is a matrix of one row or one column. */
	if (a.rank == 1) {
		a.dims[1] = a.dims[0];
		a.dims[0] = 1;
		a.rank = 2;
	}
	if (b.rank == 1) {
		b.dims[1] = 1;
		b.rank = 2;
	}
	rows = a.dims[a.rank - 2];
	depth = a.dims[a.rank - 1];
	cols = b.dims[b.rank - 1];
	batch_a = a;
	batch_b = b;
	batch_a.rank -= 2;
	batch_b.rank -= 2;
	rank = ev_broadcast(&batch, 0, 2, dims);
	if (rank < 0 || b.dims[b.rank - 2] != depth)
		return ev_bad(c, "shapes");
	dims[rank++] = rows;
	dims[rank++] = cols;
	y = ev_out(c, 0, a.type, rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems; i++, ev_step(rank, dims, coord)) {
		const double *m = a.v + ev_at_broadcast(&batch_a, rank - 2, coord) * rows * depth;
		const double *n = b.v + ev_at_broadcast(&batch_b, rank - 2, coord) * depth * cols;

		for (int64_t k = 0; k < depth; k++)
			y[i] = ev_jitter_sum(c, y[i] + m[coord[rank - 2] * depth + k] *
							n[k * cols + coord[rank - 1]]);
		if (!ev_is_float(a.type))
			y[i] = ev_round(a.type, y[i]);
	}
	if (!y)
		return -EINVAL;
	/* And the axes that a vector lacks go again. */
	if (c->in[0]->rank == 1)
		memmove(&c->out[0].dims[rank - 2], &c->out[0].dims[rank - 1], sizeof(*dims));
	c->out[0].rank -= (c->in[0]->rank == 1) + (c->in[1]->rank == 1);
	return 0;
}

/* ---- Einsum ---- */

#define LETTERS	64

/**
 * struct einsum - an equation over operands
 * @terms: the left side, letters of each operand; '.' and digits stand for "..."
 * @result: the right side
 * @size: of each letter, 0 while it is not known
 */
struct einsum {
	char term[EV_MAX_IO][LETTERS];
	char result[LETTERS];
	int64_t size[128];
};

/*
 * One term without spaces. The axes of "..." become the characters 1 .. count,
 * counted from the last, so that terms align as broadcasting does.
 */
static int expand(const char *text, size_t length, int dots, char *to)
{
	int n = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == ' ')
			continue;
		if (text[i] == '.') {
			for (int d = dots; d > 0; d--)
				to[n++] = (char)d;
			i += 2;
		} else {
			to[n++] = text[i];
		}
		if (n > 40)
			return -1;
	}
	to[n] = 0;
	return n;
}

static int letters(const char *text, size_t length)
{
	int n = 0;

	for (size_t i = 0; i < length; i++)
		n += text[i] != ' ' && text[i] != '.';
	return n;
}

static int parse(struct ev_call *c, const char *text, struct einsum *e)
{
	const char *arrow = strstr(text, "->"), *end = arrow ? arrow : text + strlen(text);
	int dots = 0, seen[128] = { 0 }, n = 0;

	for (unsigned int k = 0; k < c->ins; k++) {
		const char *stop = text;
		int here;

		while (stop < end && *stop != ',')
			stop++;
		here = c->in[k]->rank - letters(text, (size_t)(stop - text));
		if (here < 0 || expand(text, (size_t)(stop - text), here, e->term[k]) !=
		    c->in[k]->rank)
			return ev_bad(c, "a term does not fit");
		dots = here > dots ? here : dots;
		for (int i = 0; i < c->in[k]->rank; i++) {
			int64_t *size = &e->size[(int)e->term[k][i]], dim = c->in[k]->dims[i];

			if (*size > 1 && dim != 1 && dim != *size)
				return ev_bad(c, "sizes differ");
			*size = *size > 1 || (*size == 1 && dim == 1) ? *size : dim;
			seen[(int)e->term[k][i]]++;
		}
		text = stop + (stop < end);
	}
	if (arrow)
		return expand(arrow + 2, strlen(arrow + 2), dots, e->result) < 0 ? -EINVAL : 0;
	for (int d = dots; d > 0; d--)
		e->result[n++] = (char)d;
	for (int l = 'A'; l <= 'z'; l++)
		if (seen[l] == 1)
			e->result[n++] = (char)l;
	return 0;
}

static int64_t operand_at(const struct ev_value *x, const char *term, const int64_t *value)
{
	int64_t at = 0;

	for (int i = 0; i < x->rank; i++)
		at = at * x->dims[i] + (x->dims[i] == 1 ? 0 : value[(int)term[i]]);
	return at;
}

static int run_einsum(struct ev_call *c)
{
	const Onnx__AttributeProto *a = ev_attr(c, "equation");
	int64_t dims[REF_MAX_RANK], value[128] = { 0 }, coord[LETTERS] = { 0 }, sizes[LETTERS];
	int ret = c->ins ? ev_need(c, c->ins) : -EINVAL, rank, n = 0;
	struct einsum e = { 0 };
	char order[LETTERS], text[256];
	int64_t total = 1;
	double *y;

	if (ret || !a || a->s.len >= sizeof(text))
		return -EINVAL;
	memcpy(text, a->s.data, a->s.len);
	text[a->s.len] = 0;
	if (parse(c, text, &e))
		return -EINVAL;
	rank = (int)strlen(e.result);
	for (int i = 0; i < rank; i++) {
		order[n] = e.result[i];
		dims[i] = sizes[n++] = e.size[(int)e.result[i]];
	}
	for (int l = 1; l < 128; l++)
		if (e.size[l] && !strchr(e.result, l)) {
			order[n] = (char)l;
			sizes[n++] = e.size[l];
		}
	for (int i = 0; i < n; i++)
		total *= sizes[i];
	y = ev_out(c, 0, c->in[0]->type, rank, dims);
	if (!y)
		return -EINVAL;
	for (int64_t i = 0; i < total; i++, ev_step(n, sizes, coord)) {
		double product = 1;

		for (int k = 0; k < n; k++)
			value[(int)order[k]] = coord[k];
		for (unsigned int k = 0; k < c->ins; k++)
			product *= c->in[k]->v[operand_at(c->in[k], e.term[k], value)];
		y[ev_at(&c->out[0], coord)] += product;
	}
	for (int64_t i = 0; !ev_is_float(c->in[0]->type) && i < c->out[0].elems; i++)
		y[i] = ev_round(c->in[0]->type, y[i]);
	return 0;
}

const struct ev_op ev_ops_matmul[] = {
	{ "Gemm", run_gemm, false },
	{ "MatMul", run_matmul, false },
	{ "Einsum", run_einsum, false },
	{ NULL, NULL, false }
};
