/* SPDX-License-Identifier: MIT */
/*
 * Elements by index. An index that is known is a copy for each run of equal
 * steps, any other is for GATHER and SCATTER. To combine elements for one place,
 * every candidate is compared with the index, and what does not match takes no
 * part in a reduction.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "legal.h"
#include "graph/ops.h"

/* More copies than this are rather found by comparison. */
#define COPIES_MAX	512

static int op2(struct nc_map *m, enum npu_uop op, int a, int b)
{
	return nc_map_op(m, op, a, b, 0);
}

static int bits(struct nc_map *m, uint32_t value)
{
	return nc_map_bits(m, value);
}

/* 0 .. count - 1 along dimension @at of @rank. */
static int range_view(struct nc_legal *l, unsigned int rank, unsigned int at, int64_t count,
		      struct nc_view *v)
{
	int32_t *data = nc_alloc_array(l->k->arena, (size_t)count, sizeof(*data));
	struct nc_view line;
	int ret;

	if (!data)
		return nc_error(l->diag, -ENOMEM, "out of memory");
	for (int64_t i = 0; i < count; i++)
		data[i] = (int32_t)i;
	ret = nc_legal_const(l, "", NPU_I32, 1, &count, data, &line);
	*v = (struct nc_view){ .tensor = line.tensor, .rank = rank };
	for (unsigned int i = 0; i < rank; i++)
		v->dim[i] = 1;
	v->dim[at] = count;
	v->stride[at] = 1;
	return ret;
}

/* Dimension @at of size 1 in front of dimension @at. */
static struct nc_view insert_dim(const struct nc_view *v, unsigned int at)
{
	struct nc_view r = *v;

	memmove(&r.dim[at + 1], &v->dim[at], (v->rank - at) * sizeof(*v->dim));
	memmove(&r.stride[at + 1], &v->stride[at], (v->rank - at) * sizeof(*v->stride));
	r.dim[at] = 1;
	r.stride[at] = 0;
	r.rank++;
	return r;
}

/* Whether the index at @index, seen from the end if negative, is the one at @range. */
static int matches(struct nc_loop *lp, const struct nc_view *index, const struct nc_view *range,
		   int64_t size)
{
	struct nc_map *m = &lp->m;
	int at = nc_loop_load(lp, index);
	int below = op2(m, NPU_UOP_ILT, at, bits(m, 0));

	at = op2(m, NPU_UOP_IADD, at, op2(m, NPU_UOP_IAND, below, bits(m, (uint32_t)size)));
	return op2(m, NPU_UOP_IEQ, at, nc_loop_load(lp, range));
}

/* out[a, b, c] = over d: rop of what matches; [a, b, c, d] are the loops. */
struct search {
	int64_t dim[4];
	struct nc_view index, range, value;
	int64_t size;
	enum npu_rop rop;
	enum npu_dtype dtype;
	uint32_t identity;
};

static int search(struct nc_legal *l, const struct nc_node *n, const struct search *s,
		  struct nc_view *out)
{
	const int64_t kept[] = { s->dim[0], s->dim[1], s->dim[2], 1 };
	struct nc_view all;
	struct nc_loop lp;
	int r, ret = nc_legal_temp(l, s->dtype, 4, s->dim, NULL, &all);

	ret = ret ? ret : nc_legal_temp(l, s->dtype, 4, kept, NULL, out);
	if (ret)
		return ret;
	nc_loop_init(&lp, 4, s->dim);
	r = matches(&lp, &s->index, &s->range, s->size);
	r = nc_map_op(&lp.m, NPU_UOP_SEL, r, nc_loop_load(&lp, &s->value),
		      bits(&lp.m, s->identity));
	ret = nc_loop_store(&lp, &all, r);
	ret = ret ? ret : nc_loop_emit(l, n, &lp);
	return ret ? ret : nc_legal_reduce(l, n, s->rop, 1u << 3, &all, out);
}

/* The known index @i as 0 .. size - 1, or -1. */
static int64_t known_index(const struct nc_tensor *index, uint64_t i, int64_t size)
{
	uint32_t word;
	int64_t at;

	if (nc_word_get(index, i, &word))
		return -1;
	at = (int32_t)word;
	if (at < 0)
		at += size;
	return at < size ? at : -1;
}

static bool few_runs(const struct nc_tensor *index, int64_t size)
{
	uint32_t runs = 0;
	int64_t step = 0, last = -1;

	for (uint64_t i = 0; i < index->elems; i++) {
		int64_t at = known_index(index, i, size);

		if (i && at - last == step && runs)
			goto next;
		step = i + 1 < index->elems ? known_index(index, i + 1, size) - at : 0;
		runs++;
next:
		last = at;
	}
	return runs <= COPIES_MAX;
}

/* One copy for each run of @index: of @list in order, of @table as indexed. */
static int copy_runs(struct nc_legal *l, const struct nc_node *n, const struct nc_tensor *index,
		     const struct nc_view *table, const struct nc_view *list, bool take)
{
	int64_t count = (int64_t)index->elems, size = table->dim[1];

	for (int64_t i = 0, run; i < count; i += run) {
		int64_t at = known_index(index, (uint64_t)i, size), step = 0;
		struct nc_view there = *table, here = *list;
		int ret;

		run = 1;
		if (i + 1 < count)
			step = known_index(index, (uint64_t)i + 1, size) - at;
		while (i + run < count && (take || step) &&
		       known_index(index, (uint64_t)(i + run), size) == at + run * step)
			run++;
		if (at < 0 || at + (run - 1) * step < 0)
			return nc_node_error(l->diag, n, -EINVAL,
					     "index %lld is outside of an axis with %lld elements",
					     (long long)i, (long long)size);
		there.offset += at * there.stride[1];
		there.dim[1] = run;
		there.stride[1] *= step;
		here.offset += i * here.stride[1];
		here.dim[1] = run;
		ret = nc_legal_copy(l, n, take ? &there : &here, take ? &here : &there);
		if (ret)
			return ret;
	}
	return 0;
}

/* A short list of copies does it. */
static bool by_copies(const struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *index = nc_in(l->g, n, 1);

	return index->data && index->dim[0] == 1 && few_runs(index, nc_in(l->g, n, 0)->dim[1]);
}

int nc_lower_take(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_view in, out;
	int ret;

	if (!by_copies(l, n))
		return nc_legal_gather_rows(l, n);
	ret = nc_legal_in_any(l, n, 0, &in);
	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	return ret ? ret : copy_runs(l, n, nc_in(l->g, n, 1), &in, &out, true);
}

/* How Put combines what is there with what comes. */
struct combine {
	const char *name;
	enum npu_rop rop;
	enum npu_uop uop;
	uint32_t identity[2];	/* of floats, of integers */
};

static const struct combine combines[] = {
	{ "none", NPU_ROP_SUM, NPU_UOP_MOV, { 0, 0 } },
	{ "add", NPU_ROP_SUM, NPU_UOP_FADD, { 0, 0 } },
	{ "mul", NPU_ROP_PROD, NPU_UOP_FMUL, { 0x3f800000, 1 } },
	{ "max", NPU_ROP_MAX, NPU_UOP_FMAX, { 0xff800000, 0x80000000 } },
	{ "min", NPU_ROP_MIN, NPU_UOP_FMIN, { 0x7f800000, 0x7fffffff } },
};

static const struct combine *find_combine(const char *name)
{
	for (size_t i = 0; i < sizeof(combines) / sizeof(*combines); i++)
		if (!strcmp(combines[i].name, name))
			return &combines[i];
	return NULL;
}

static int put_by_search(struct nc_legal *l, const struct nc_node *n, const struct combine *how,
			 const struct nc_view *x, const struct nc_view *at,
			 const struct nc_view *updates, const struct nc_view *out)
{
	bool ints = nc_dtype_class(nc_in(l->g, n, 0)->dtype) != NC_CLASS_FLOAT;
	struct search s = {
		/* Loops: batch, place, rest, update. */
		.dim = { x->dim[0], x->dim[1], x->dim[2], at->dim[1] },
		.rop = how->rop, .identity = how->identity[ints], .size = x->dim[1],
		.dtype = ints ? NPU_I32 : NPU_F32,
	};
	struct nc_view found;
	struct nc_loop lp;
	int r, ret;

	s.index = insert_dim(at, 1);
	s.index = insert_dim(&s.index, 2);
	s.value = *updates;
	s.value.rank = 4;
	s.value.dim[1] = 1;
	s.value.stride[1] = 0;
	s.value.dim[3] = updates->dim[1];
	s.value.stride[3] = updates->stride[1];
	ret = range_view(l, 4, 1, s.size, &s.range);
	ret = ret ? ret : search(l, n, &s, &found);
	if (ret)
		return ret;
	found.rank = 3;
	nc_loop_init(&lp, 3, out->dim);
	lp.m.ints = ints;
	lp.m.traps = l->traps;
	r = nc_loop_load(&lp, x);
	r = op2(&lp.m, nc_uop_for(&lp.m, how->uop), r, nc_loop_load(&lp, &found));
	r = nc_legal_narrow(&lp.m, nc_in(l->g, n, 0)->dtype, r);
	ret = nc_loop_store(&lp, out, r);
	return ret ? ret : nc_loop_emit(l, n, &lp);
}

int nc_lower_put(struct nc_legal *l, const struct nc_node *n)
{
	const struct combine *how = find_combine(nc_attr(n, "reduction")->s);
	bool replace = how && how->uop == NPU_UOP_MOV;
	struct nc_view x, at, updates, out;
	int ret;

	if (!how)
		return nc_node_error(l->diag, n, -EINVAL,
				     "reduction \"%s\" is none of none, add, mul, max, min",
				     nc_attr(n, "reduction")->s);
	if (replace && !(by_copies(l, n) && nc_in(l->g, n, 2)->dim[0] == nc_in(l->g, n, 0)->dim[0]))
		return nc_legal_scatter_rows(l, n);
	ret = nc_legal_in_any(l, n, 0, &x);
	ret = ret ? ret : nc_legal_in_any(l, n, 2, &updates);
	ret = ret || replace ? ret : nc_legal_in_int(l, n, 1, &at);
	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (!ret && !replace)
		return put_by_search(l, n, how, &x, &at, &updates, &out);
	ret = ret ? ret : nc_legal_copy(l, n, &x, &out);
	return ret ? ret : copy_runs(l, n, nc_in(l->g, n, 1), &out, &updates, false);
}

/* The last of equals is the first from the other end. */
int nc_lower_arg(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(l->g, n, 0);
	int axis = nc_axis(l->g, n, nc_attr(n, "axis")->i, x->rank);
	bool last = nc_attr(n, "select_last_index")->i;
	struct nc_view in, out, keep, number;
	struct nc_loop lp;
	int r, ret = nc_legal_in_any(l, n, 0, &in);

	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (axis < 0 || ret)
		return axis < 0 ? axis : ret;
	keep = in;
	keep.dim[axis] = 1;
	if (!nc_view_reshape(&out, in.rank, keep.dim, &keep))
		return nc_node_error(l->diag, n, -EINVAL, "its output has no such view");
	if (x->dim[axis] == 1)
		return nc_legal_fill(l, n, 0, &keep);
	if (!last)
		return nc_legal_reduce(l, n, (enum npu_rop)n->op->arg, 1u << axis, &in, &keep);
	in.offset += (in.dim[axis] - 1) * in.stride[axis];
	in.stride[axis] = -in.stride[axis];
	ret = nc_legal_temp(l, NPU_I32, keep.rank, keep.dim, NULL, &number);
	ret = ret ? ret : nc_legal_reduce(l, n, (enum npu_rop)n->op->arg, 1u << axis, &in, &number);
	if (ret)
		return ret;
	nc_loop_init(&lp, keep.rank, keep.dim);
	r = op2(&lp.m, NPU_UOP_ISUB, bits(&lp.m, (uint32_t)(x->dim[axis] - 1)),
		nc_loop_load(&lp, &number));
	ret = nc_loop_store(&lp, &keep, r);
	return ret ? ret : nc_loop_emit(l, n, &lp);
}
