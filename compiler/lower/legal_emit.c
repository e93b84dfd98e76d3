/* SPDX-License-Identifier: MIT */
/*
 * One function per loop shape: from views of any rank to kernel IR operations.
 * Dimensions are ordered as they lie in memory and joined where possible; what
 * is then still too deep for the IR becomes several operations.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "legal.h"

/**
 * struct peel - outer loops that are unrolled here
 * @loops: how many
 * @dim: trip counts
 * @at: current position
 */
struct peel {
	unsigned int loops;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	int64_t at[NPU_GRAPH_RANK_MAX];
};

static void peel_init(struct peel *p, const struct nc_walk *w, unsigned int keep)
{
	memset(p, 0, sizeof(*p));
	p->loops = w->ndim > keep ? w->ndim - keep : 0;
	memcpy(p->dim, w->dim, p->loops * sizeof(*p->dim));
}

static bool peel_next(struct peel *p)
{
	for (unsigned int i = p->loops; i-- > 0;) {
		if (++p->at[i] < p->dim[i])
			return true;
		p->at[i] = 0;
	}
	return false;
}

/* Array @v of the walk inside the peeled loops, with at least one dimension. */
static struct kir_view peeled_view(const struct peel *p, const struct nc_walk *w, unsigned int v,
				   const struct nc_view *view)
{
	struct kir_view r = { .tensor = view->tensor, .offset = view->offset };

	for (unsigned int i = 0; i < p->loops; i++)
		r.offset += p->at[i] * w->stride[v][i];
	for (unsigned int i = p->loops; i < w->ndim; i++)
		r.stride[i - p->loops] = w->stride[v][i];
	return r;
}

static unsigned int peeled_dims(const struct peel *p, const struct nc_walk *w, uint32_t *dim)
{
	for (unsigned int i = p->loops; i < w->ndim; i++)
		dim[i - p->loops] = (uint32_t)w->dim[i];
	if (w->ndim > p->loops)
		return w->ndim - p->loops;
	dim[0] = 1;
	return 1;
}

static int copy_once(struct nc_legal *l, const struct nc_node *n, const struct nc_view *in,
		     const struct nc_view *out, uint32_t value)
{
	const struct nc_view *view[] = { out, in ? in : out };
	struct nc_walk w;
	struct peel p;

	nc_walk_init(&w, 2, view, NULL);
	nc_walk_sort(&w, 0);
	peel_init(&p, &w, KIR_DIMS);
	do {
		struct kir_op *op = nc_legal_op(l, n, KIR_COPY);

		if (!op)
			return l->err;
		op->copy.ndim = peeled_dims(&p, &w, op->copy.dim);
		op->copy.out = peeled_view(&p, &w, 0, out);
		op->copy.in = (struct kir_view){ .tensor = KIR_NO_TENSOR };
		if (in)
			op->copy.in = peeled_view(&p, &w, 1, in);
		op->copy.value = value;
	} while (peel_next(&p));
	return 0;
}

int nc_legal_copy(struct nc_legal *l, const struct nc_node *n, const struct nc_view *in,
		  const struct nc_view *out)
{
	struct nc_view apart;
	int ret;

	/* From one part of a tensor to another: not in one operation. */
	if (in->tensor == out->tensor) {
		ret = nc_legal_temp(l, kir_dtype(l->k->tensor[in->tensor].dtype), in->rank, in->dim, NULL,
				    &apart);
		ret = ret ? ret : copy_once(l, n, in, &apart, 0);
		return ret ? ret : copy_once(l, n, &apart, out, 0);
	}
	return copy_once(l, n, in, out, 0);
}

int nc_legal_fill(struct nc_legal *l, const struct nc_node *n, uint32_t value,
		  const struct nc_view *out)
{
	return copy_once(l, n, NULL, out, value);
}

/* Over single elements only. */
static int reduce_nothing(struct nc_legal *l, const struct nc_node *n, enum npu_rop rop,
			  const struct nc_view *in, const struct nc_view *out)
{
	bool ints = kir_dtype(l->k->tensor[in->tensor].dtype) != NPU_F32;
	enum npu_uop square = !ints ? NPU_UOP_FMUL : l->traps ? NPU_UOP_IMULT : NPU_UOP_IMUL;
	enum npu_uop op = rop != NPU_ROP_SUMSQ ? NPU_UOP_MOV : square;
	struct nc_loop lp;
	int x, ret;

	nc_loop_init(&lp, out->rank, out->dim);
	x = nc_loop_load(&lp, in);
	ret = nc_loop_store(&lp, out, nc_map_op(&lp.m, op, x, x, 0));
	return ret ? ret : nc_loop_emit(l, n, &lp);
}

/*
 * Kept dimensions first, then reduced ones, both sides dense: two dimensions
 * that always join.
 */
static int reduce_packed(struct nc_legal *l, const struct nc_node *n, enum npu_rop rop,
			 unsigned int axes, const struct nc_view *in, const struct nc_view *out)
{
	unsigned int perm[NPU_GRAPH_RANK_MAX], at = 0, packed_axes = 0;
	struct nc_view from, to, packed, result;
	int ret;

	for (unsigned int i = 0; i < in->rank; i++)
		if (!(axes >> i & 1))
			perm[at++] = i;
	for (unsigned int i = 0; i < in->rank; i++) {
		if (axes >> i & 1) {
			packed_axes |= 1u << at;
			perm[at++] = i;
		}
	}
	nc_view_permute(in, perm, &from);
	nc_view_permute(out, perm, &to);
	ret = nc_legal_temp(l, kir_dtype(l->k->tensor[in->tensor].dtype), from.rank, from.dim, NULL,
			    &packed);
	ret = ret ? ret : nc_legal_temp(l, kir_dtype(l->k->tensor[out->tensor].dtype), to.rank,
					to.dim, NULL, &result);
	ret = ret ? ret : nc_legal_copy(l, n, &from, &packed);
	ret = ret ? ret : nc_legal_reduce(l, n, rop, packed_axes, &packed, &result);
	return ret ? ret : nc_legal_copy(l, n, &result, &to);
}

int nc_legal_reduce(struct nc_legal *l, const struct nc_node *n, enum npu_rop rop,
		    unsigned int axes, const struct nc_view *in, const struct nc_view *out)
{
	unsigned int tag[NPU_GRAPH_RANK_MAX], left = 0;
	struct nc_view over = *out;
	const struct nc_view *view[] = { in, &over };
	struct nc_walk w;
	struct kir_op *op;

	for (unsigned int i = 0; i < in->rank; i++) {
		tag[i] = axes >> i & 1;
		over.dim[i] = in->dim[i];
		if (tag[i])
			over.stride[i] = 0;
	}
	nc_walk_init(&w, 2, view, tag);
	nc_walk_sort(&w, 0);
	for (unsigned int i = 0; i < w.ndim; i++)
		left |= w.tag[i] << i;
	if (!left)
		return reduce_nothing(l, n, rop, in, out);
	if (w.ndim > KIR_DIMS)
		return reduce_packed(l, n, rop, axes, in, out);
	op = nc_legal_op(l, n, KIR_REDUCE);
	if (!op)
		return l->err;
	op->reduce.rop = rop;
	op->reduce.trap = l->traps && (rop == NPU_ROP_SUM || rop == NPU_ROP_PROD ||
				       rop == NPU_ROP_SUMSQ) &&
		kir_dtype(l->k->tensor[in->tensor].dtype) == NPU_I32;
	op->reduce.axes = left;
	op->reduce.ndim = w.ndim;
	for (unsigned int i = 0; i < w.ndim; i++) {
		op->reduce.dim[i] = (uint32_t)w.dim[i];
		op->reduce.in.stride[i] = w.stride[0][i];
		op->reduce.out.stride[i] = w.stride[1][i];
	}
	op->reduce.in.tensor = in->tensor;
	op->reduce.in.offset = in->offset;
	op->reduce.out.tensor = out->tensor;
	op->reduce.out.offset = out->offset;
	return 0;
}

void nc_loop_init(struct nc_loop *lp, unsigned int rank, const int64_t *dim)
{
	memset(lp, 0, sizeof(*lp));
	lp->rank = rank;
	memcpy(lp->dim, dim, rank * sizeof(*dim));
}

/* The operand view that names @v; a new one when it is not there yet. */
static int loop_view(struct nc_loop *lp, const struct nc_view *v, struct kir_view *operand)
{
	struct nc_view over;
	unsigned int i;

	nc_view_expand(v, lp->rank, lp->dim, &over);
	for (i = 0; i < lp->views; i++)
		if (nc_view_equal(&lp->view[i], &over))
			break;
	if (i == NC_MAP_OPERANDS)
		return -E2BIG;
	if (i == lp->views)
		lp->view[lp->views++] = over;
	*operand = (struct kir_view){ .tensor = i };
	return 0;
}

int nc_loop_load(struct nc_loop *lp, const struct nc_view *v)
{
	struct kir_view operand;
	int ret = loop_view(lp, v, &operand);

	return ret ? ret : nc_map_load(&lp->m, &operand);
}

int nc_loop_store(struct nc_loop *lp, const struct nc_view *v, int value)
{
	struct kir_view operand;
	int ret = loop_view(lp, v, &operand);

	return ret ? ret : nc_map_store(&lp->m, &operand, value);
}

int nc_loop_emit(struct nc_legal *l, const struct nc_node *n, struct nc_loop *lp)
{
	const struct nc_view *view[NC_MAP_OPERANDS];
	unsigned int lead = 0;
	struct kir_map map = { 0 };
	struct nc_walk w;
	struct peel p;
	int ret = nc_map_finish(&lp->m, &map);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < lp->views; i++)
		view[i] = &lp->view[i];
	for (unsigned int i = 0; i < map.operands; i++)
		if (map.operand[i].write)
			lead = map.operand[i].view.tensor;
	nc_walk_init(&w, lp->views, view, NULL);
	nc_walk_sort(&w, lead);
	peel_init(&p, &w, KIR_DIMS);
	do {
		struct kir_op *op = nc_legal_op(l, n, KIR_MAP);

		if (!op)
			return l->err;
		op->map = map;
		op->map.ndim = peeled_dims(&p, &w, op->map.dim);
		for (unsigned int i = 0; i < map.operands; i++) {
			uint32_t v = map.operand[i].view.tensor;

			op->map.operand[i].view = peeled_view(&p, &w, v, &lp->view[v]);
		}
	} while (peel_next(&p));
	return 0;
}

struct kir_view nc_legal_loops(const struct nc_view *v, unsigned int first, unsigned int count)
{
	struct kir_view r = { .tensor = v->tensor, .offset = v->offset };

	for (unsigned int i = 0; i < count; i++)
		r.stride[i] = v->dim[first + i] == 1 ? 0 : v->stride[first + i];
	return r;
}

int nc_loop_epilogue(struct nc_legal *l, const struct nc_node *n, const struct nc_loop *lp,
		     struct kir_map *map)
{
	int ret = nc_map_finish(&lp->m, map);

	if (ret)
		return nc_node_error(l->diag, n, ret, "its epilogue is too long for the device");
	map->ndim = 4;
	for (unsigned int i = 0; i < 4; i++)
		map->dim[i] = (uint32_t)lp->dim[i];
	for (unsigned int i = 0; i < map->operands; i++)
		if (!map->operand[i].acc)
			map->operand[i].view = nc_legal_loops(
				&lp->view[map->operand[i].view.tensor], 0, 4);
	return 0;
}

int nc_legal_unary(struct nc_legal *l, const struct nc_node *n, enum npu_uop op,
		   const struct nc_view *in, const struct nc_view *out)
{
	struct nc_loop lp;
	int ret;

	nc_loop_init(&lp, out->rank, out->dim);
	ret = nc_loop_store(&lp, out, nc_map_op(&lp.m, op, nc_loop_load(&lp, in), 0, 0));
	return ret ? ret : nc_loop_emit(l, n, &lp);
}

int nc_legal_emit(struct nc_legal *l, const struct nc_node *n, struct nc_map *m, const int *x)
{
	int r = n->op->emit(m, n, x);

	if (r == -EINVAL)
		return nc_node_error(l->diag, n, r, "an attribute has a value outside of its range");
	return r;
}

/* Views of one product without its outer batches, in the order of product_views(). */
enum { A, B, C, OUT, PRODUCT_VIEWS };

/*
 * The rows of consecutive batches are rows of one product when the right side
 * does not change with the batch.
 */
static void join_rows(struct nc_walk *w, int64_t *m, int64_t *row)
{
	unsigned int last = w->ndim - 1;

	if (!w->ndim || w->stride[B][last] || *m > UINT32_MAX / w->dim[last])
		return;
	for (unsigned int v = 0; v < PRODUCT_VIEWS; v++) {
		if (v == B)
			continue;
		if (*m == 1)
			row[v] = w->stride[v][last];
		if (w->stride[v][last] != row[v] * *m)
			return;
	}
	*m *= w->dim[last];
	w->ndim--;
}

static int product_epilogue(struct nc_legal *l, const struct nc_node *n,
			    const struct nc_product *p, const int64_t *dim,
			    const struct nc_view *c, const struct nc_view *out, bool bias,
			    struct kir_map *map)
{
	struct nc_loop lp;
	int r;

	nc_loop_init(&lp, 4, dim);
	r = nc_map_acc(&lp.m, 0);
	if (p->alpha != 1)
		r = nc_map_op(&lp.m, NPU_UOP_FMUL, r, nc_map_float(&lp.m, p->alpha), 0);
	if (p->has_c && !bias) {
		int x = nc_loop_load(&lp, c);

		if (p->beta == 1)
			r = nc_map_op(&lp.m, NPU_UOP_FADD, r, x, 0);
		else
			r = nc_map_op(&lp.m, NPU_UOP_FMA, x, nc_map_float(&lp.m, p->beta), r);
	}
	r = nc_loop_store(&lp, out, r);
	return r ? r : nc_loop_epilogue(l, n, &lp, map);
}

/**
 * struct product_part - one matmul of a product: up to two batches
 * @b: batch sizes
 * @m: rows
 * @at: views over b0, b1, rows, columns
 */
struct product_part {
	uint32_t b[2];
	int64_t m;
	struct kir_view at[PRODUCT_VIEWS];
};

static struct nc_view part_view(const struct kir_view *v, const int64_t *dim)
{
	struct nc_view r = { .tensor = v->tensor, .rank = 4, .offset = v->offset };

	memcpy(r.dim, dim, 4 * sizeof(*dim));
	memcpy(r.stride, v->stride, 4 * sizeof(*r.stride));
	return r;
}

static int add_matmul(struct nc_legal *l, const struct nc_node *n, const struct nc_product *p,
		      const struct product_part *part, bool bias)
{
	unsigned int batch = p->out.rank - 2;
	int64_t dim[4] = { part->b[0], part->b[1], part->m, p->out.dim[batch + 1] };
	struct kir_op *op = nc_legal_op(l, n, KIR_MATMUL);
	struct nc_view c = part_view(&part->at[C], dim), out = part_view(&part->at[OUT], dim);
	struct kir_matmul *mm;

	if (!op)
		return l->err;
	mm = &op->matmul;
	mm->b0 = part->b[0];
	mm->b1 = part->b[1];
	mm->m = (uint32_t)part->m;
	mm->n = (uint32_t)dim[3];
	mm->k = (uint32_t)p->a.dim[batch + 1];
	mm->groups = 1;
	mm->a = part->at[A];
	mm->a.stride[3] = mm->k == 1 ? 0 : p->a.stride[batch + 1];
	mm->b = part->at[B];
	mm->b.stride[2] = mm->k == 1 ? 0 : p->b.stride[batch];
	mm->bias = (struct kir_view){ .tensor = KIR_NO_TENSOR };
	if (bias) {
		mm->bias = (struct kir_view){ .tensor = c.tensor, .offset = c.offset };
		mm->bias.stride[0] = c.stride[3];
	}
	return product_epilogue(l, n, p, dim, &c, &out, bias, &mm->epilogue);
}

int nc_legal_product(struct nc_legal *l, const struct nc_node *n, const struct nc_product *p)
{
	unsigned int batch = p->out.rank - 2, inner;
	struct nc_view outer[PRODUCT_VIEWS] = { [A] = p->a, [B] = p->b, [OUT] = p->out };
	const struct nc_view *view[PRODUCT_VIEWS] = { outer, outer + 1, outer + 2, outer + 3 };
	struct product_part part = { .b = { 1, 1 }, .m = p->out.dim[batch] };
	bool bias = p->has_c && p->alpha == 1 && p->beta == 1;
	int64_t row[PRODUCT_VIEWS], col[PRODUCT_VIEWS];
	struct nc_walk w;
	struct peel peel;
	int ret;

	nc_view_expand(p->has_c ? &p->c : &p->out, p->out.rank, p->out.dim, &outer[C]);
	for (unsigned int i = 0; i <= batch; i++)
		bias = bias && (!outer[C].stride[i] || outer[C].dim[i] == 1);
	for (unsigned int v = 0; v < PRODUCT_VIEWS; v++) {
		row[v] = part.m == 1 ? 0 : outer[v].stride[batch];
		col[v] = p->out.dim[batch + 1] == 1 ? 0 : outer[v].stride[batch + 1];
		outer[v].rank = batch;
	}
	nc_walk_init(&w, PRODUCT_VIEWS, view, NULL);
	nc_walk_sort(&w, OUT);
	join_rows(&w, &part.m, row);
	peel_init(&peel, &w, 2);
	inner = w.ndim - peel.loops;
	for (unsigned int i = 0; i < inner; i++)
		part.b[2 - inner + i] = (uint32_t)w.dim[peel.loops + i];
	do {
		for (unsigned int v = 0; v < PRODUCT_VIEWS; v++) {
			struct kir_view at = peeled_view(&peel, &w, v, view[v]);

			part.at[v] = (struct kir_view){ .tensor = at.tensor, .offset = at.offset };
			for (unsigned int i = 0; i < inner; i++)
				part.at[v].stride[2 - inner + i] = at.stride[i];
			part.at[v].stride[2] = row[v];
			part.at[v].stride[3] = col[v];
		}
		ret = add_matmul(l, n, p, &part, bias);
	} while (!ret && peel_next(&peel));
	return ret;
}
