/* SPDX-License-Identifier: MIT */
/*
 * Einsum: operands are multiplied one after the other, as matrices. Labels in
 * both that are needed later are the batch, other common ones are summed over.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "expand.h"
#include "expand_util.h"

#define TERMS_MAX	16
/* Letters first, then the dimensions of the ellipsis from the last one on. */
#define LETTERS		52
#define LABELS		(LETTERS + NPU_GRAPH_RANK_MAX)

/**
 * struct term - the labels of an operand, or of the result
 * @t: the tensor
 */
struct term {
	uint32_t t;
	unsigned int rank;
	uint8_t label[NPU_GRAPH_RANK_MAX];
};

/**
 * struct einsum - a parsed equation
 * @size: of each label
 * @seen: how many operands' dimensions have it
 */
struct einsum {
	unsigned int terms;
	struct term term[TERMS_MAX];
	struct term out;
	int64_t size[LABELS];
	unsigned int seen[LABELS];
};

static int label_of(char c)
{
	return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

/* One term up to a comma, an arrow or the end; @wide: dimensions that "..." stands for. */
static const char *parse_term(const char *at, unsigned int wide, struct term *term)
{
	term->rank = 0;
	for (; *at && *at != ',' && *at != '-'; at++) {
		int label = label_of(*at);

		if (isspace((unsigned char)*at))
			continue;
		if (!strncmp(at, "...", 3)) {
			if (term->rank + wide > NPU_GRAPH_RANK_MAX)
				return NULL;
			for (unsigned int i = wide; i-- > 0;)
				term->label[term->rank++] = (uint8_t)(LETTERS + i);
			at += 2;
			continue;
		}
		if (label < 0 || term->rank == NPU_GRAPH_RANK_MAX)
			return NULL;
		term->label[term->rank++] = (uint8_t)label;
	}
	return at;
}

static unsigned int letters_of(const char *at)
{
	unsigned int count = 0;

	for (; *at && *at != ',' && *at != '-'; at++)
		count += label_of(*at) >= 0;
	return count;
}

/* Sizes of the labels from operand @i; 1 goes with everything. */
static bool take_sizes(struct einsum *s, const struct term *term, const struct nc_tensor *x)
{
	if (term->rank != x->rank)
		return false;
	for (unsigned int i = 0; i < x->rank; i++) {
		int64_t *size = &s->size[term->label[i]];

		if (s->seen[term->label[i]]++ && *size != x->dim[i] && *size != 1 &&
		    x->dim[i] != 1)
			return false;
		if (*size <= 1 || s->seen[term->label[i]] == 1)
			*size = x->dim[i];
	}
	return true;
}

/* Without an arrow: the ellipsis, then letters that are there once, sorted. */
static void implicit_output(struct einsum *s, unsigned int wide)
{
	s->out.rank = 0;
	for (unsigned int i = wide; i-- > 0;)
		s->out.label[s->out.rank++] = (uint8_t)(LETTERS + i);
	for (unsigned int k = 0; k < LETTERS; k++) {
		unsigned int label = (k + 26) % LETTERS;

		if (s->seen[label] == 1 && s->out.rank < NPU_GRAPH_RANK_MAX)
			s->out.label[s->out.rank++] = (uint8_t)label;
	}
}

static bool parse(struct npu_graph *g, const struct nc_node *n, struct einsum *s)
{
	const char *at = nc_attr(n, "equation")->s;
	unsigned int widest = 0;

	memset(s, 0, sizeof(*s));
	for (uint32_t i = 0; i < n->ins; i++) {
		const struct nc_tensor *x = nc_in(g, n, i);
		unsigned int letters, wide;

		if (i >= TERMS_MAX || (i && *at++ != ','))
			return false;
		letters = letters_of(at);
		wide = x->rank > letters ? x->rank - letters : 0;
		at = parse_term(at, wide, &s->term[i]);
		if (!at || !take_sizes(s, &s->term[i], x))
			return false;
		s->term[i].t = n->in[i];
		widest = wide > widest ? wide : widest;
	}
	s->terms = n->ins;
	if (!*at) {
		implicit_output(s, widest);
		return true;
	}
	at = !strncmp(at, "->", 2) ? parse_term(at + 2, widest, &s->out) : NULL;
	if (!at || *at)
		return false;
	for (unsigned int i = 0; i < s->out.rank; i++) {
		if (!s->seen[s->out.label[i]])
			return false;
		for (unsigned int k = 0; k < i; k++)
			if (s->out.label[k] == s->out.label[i])
				return false;
	}
	return true;
}

int nc_infer_einsum(struct npu_graph *g, struct nc_node *n)
{
	int64_t dim[NPU_GRAPH_RANK_MAX];
	struct einsum s;

	for (uint32_t i = 1; i < n->ins; i++)
		if (nc_in(g, n, i)->dtype != nc_in(g, n, 0)->dtype)
			return nc_node_error(&g->diag, n, -EINVAL,
					     "inputs have different element types");
	if (!parse(g, n, &s))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "equation \"%.100s\" does not fit its %u inputs",
				     nc_attr(n, "equation")->s, n->ins);
	for (unsigned int i = 0; i < s.out.rank; i++)
		dim[i] = s.size[s.out.label[i]];
	return nc_tensor_shape(g, n, n->out[0], nc_in(g, n, 0)->dtype, s.out.rank, dim);
}

static int find(const struct term *term, unsigned int label)
{
	for (unsigned int i = 0; i < term->rank; i++)
		if (term->label[i] == label)
			return (int)i;
	return -1;
}

static void drop(struct term *term, unsigned int at)
{
	term->rank--;
	memmove(&term->label[at], &term->label[at + 1], term->rank - at);
}

/* The term with its labels in the order of @label, which holds all of them. */
static void reorder(const struct nc_expand *e, struct term *term, const uint8_t *label)
{
	int64_t perm[NPU_GRAPH_RANK_MAX];
	bool same = true;

	for (unsigned int i = 0; i < term->rank; i++) {
		perm[i] = find(term, label[i]);
		same &= perm[i] == (int64_t)i;
	}
	if (!same)
		term->t = nc_x_transpose(e, term->t, perm);
	memcpy(term->label, label, term->rank);
}

/* A label that is there twice: its dimensions last, as one, of which every n + 1st. */
static void diagonals(const struct nc_expand *e, struct term *term)
{
	for (unsigned int i = 0; i < term->rank; i++) {
		unsigned int k = i + 1;
		int64_t dim[NPU_GRAPH_RANK_MAX], size;

		while (k < term->rank && term->label[k] != term->label[i])
			k++;
		if (k == term->rank)
			continue;
		term->t = nc_x_last(e, nc_x_last(e, term->t, k, false), i, false);
		memcpy(dim, nc_x_get(e, term->t)->dim, sizeof(dim));
		size = dim[term->rank - 1];
		dim[term->rank - 2] = size * size;
		drop(term, k);
		term->t = nc_x_reshape(e, term->t, term->rank, dim);
		term->t = nc_x_slice(e, term->t, term->rank - 1, 0, size * size, size + 1);
		term->t = nc_x_last(e, term->t, i, true);
		i--;
	}
}

/* Whether the result or an operand from @from on has the label. */
static bool needed(const struct einsum *s, unsigned int from, unsigned int label)
{
	for (unsigned int i = from; i < s->terms; i++)
		if (find(&s->term[i], label) >= 0)
			return true;
	return find(&s->out, label) >= 0;
}

/* Labels that nobody else has are summed over. */
static void sum_alone(const struct nc_expand *e, const struct einsum *s, struct term *term,
		      const struct term *other, unsigned int from)
{
	struct term left = { .rank = 0 };
	int64_t dim[NPU_GRAPH_RANK_MAX];
	unsigned int axes = 0;

	for (unsigned int i = 0; i < term->rank; i++) {
		if (!needed(s, from, term->label[i]) &&
		    (!other || find(other, term->label[i]) < 0)) {
			axes |= 1u << i;
			continue;
		}
		dim[left.rank] = nc_x_get(e, term->t)->dim[i];
		left.label[left.rank++] = term->label[i];
	}
	if (!axes)
		return;
	left.t = nc_x_reduce(e, NC_OP_ReduceSum, term->t, axes);
	left.t = nc_x_reshape(e, left.t, left.rank, dim);
	*term = left;
}

/* Dimensions of 1 where the other operand has more. */
static void widen(const struct nc_expand *e, const struct einsum *s, struct term *term,
		  const struct term *other)
{
	const struct nc_tensor *x = nc_x_get(e, term->t);
	int64_t dim[NPU_GRAPH_RANK_MAX];
	bool wider = false;

	for (unsigned int i = 0; i < term->rank; i++) {
		dim[i] = find(other, term->label[i]) >= 0 ? s->size[term->label[i]] : x->dim[i];
		wider |= dim[i] != x->dim[i];
	}
	if (wider)
		term->t = nc_x_2(e, NC_OP_Expand, term->t, nc_x_ints(e, dim, term->rank));
}

/* Labels of @term of one kind, in order; their number and the product of their sizes. */
enum kind { BATCH, OWN, SUMMED };

static unsigned int pick(const struct nc_expand *e, const struct einsum *s,
			 const struct term *term, const struct term *other, unsigned int from,
			 enum kind kind, uint8_t *label, int64_t *size)
{
	unsigned int count = 0;

	*size = 1;
	for (unsigned int i = 0; i < term->rank; i++) {
		bool common = find(other, term->label[i]) >= 0;
		enum kind is = !common ? OWN : needed(s, from, term->label[i]) ? BATCH : SUMMED;

		if (is != kind)
			continue;
		label[count++] = term->label[i];
		*size *= nc_x_get(e, term->t)->dim[i];
	}
	return count;
}

/* @a = @a times @b; operands from @from on come later. -E2BIG: too many dimensions. */
static int multiply(const struct nc_expand *e, const struct einsum *s, struct term *a,
		    struct term *b, unsigned int from)
{
	uint8_t order_a[NPU_GRAPH_RANK_MAX], order_b[NPU_GRAPH_RANK_MAX];
	uint8_t batch[NPU_GRAPH_RANK_MAX], sum[NPU_GRAPH_RANK_MAX], own[NPU_GRAPH_RANK_MAX];
	int64_t dim[NPU_GRAPH_RANK_MAX], batches, rows, columns, inner;
	unsigned int nb, ns, na, no;
	struct term r = { .rank = 0 };

	sum_alone(e, s, a, b, from);
	sum_alone(e, s, b, a, from);
	widen(e, s, a, b);
	widen(e, s, b, a);
	nb = pick(e, s, a, b, from, BATCH, batch, &batches);
	na = pick(e, s, a, b, from, OWN, own, &rows);
	ns = pick(e, s, a, b, from, SUMMED, sum, &inner);
	memcpy(order_a, batch, nb);
	memcpy(order_a + nb, own, na);
	memcpy(order_a + nb + na, sum, ns);
	memcpy(r.label, order_a, nb + na);
	r.rank = nb + na;
	no = pick(e, s, b, a, from, OWN, own, &columns);
	if (r.rank + no > NPU_GRAPH_RANK_MAX)
		return nc_node_error(&e->g->diag, e->n, -ENOTSUP,
				     "a product on the way has more than %d dimensions",
				     NPU_GRAPH_RANK_MAX);
	memcpy(order_b, batch, nb);
	memcpy(order_b + nb, sum, ns);
	memcpy(order_b + nb + ns, own, no);
	memcpy(r.label + r.rank, own, no);
	r.rank += no;
	reorder(e, a, order_a);
	reorder(e, b, order_b);
	for (unsigned int i = 0; i < nb + na; i++)
		dim[i] = nc_x_get(e, a->t)->dim[i];
	for (unsigned int i = 0; i < no; i++)
		dim[nb + na + i] = nc_x_get(e, b->t)->dim[nb + ns + i];
	r.t = nc_x_2(e, NC_OP_MatMul,
		     nc_x_reshape(e, a->t, 3, (const int64_t[]){ batches, rows, inner }),
		     nc_x_reshape(e, b->t, 3, (const int64_t[]){ batches, inner, columns }));
	r.t = nc_x_reshape(e, r.t, r.rank, dim);
	*a = r;
	return 0;
}

int nc_expand_einsum(const struct nc_expand *e)
{
	struct einsum s;
	int ret = 0;

	if (!parse(e->g, e->n, &s))
		return nc_node_error(&e->g->diag, e->n, -EINVAL, "its equation is malformed");
	for (unsigned int i = 0; i < s.terms; i++)
		diagonals(e, &s.term[i]);
	for (unsigned int i = 1; !ret && i < s.terms; i++)
		ret = multiply(e, &s, &s.term[0], &s.term[i], i + 1);
	if (ret)
		return ret;
	sum_alone(e, &s, &s.term[0], NULL, s.terms);
	reorder(e, &s.term[0], s.out.label);
	nc_x_result(e, 0, s.term[0].t);
	return nc_x_done(e);
}
