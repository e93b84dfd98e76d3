/* SPDX-License-Identifier: MIT */
/* Operators that work element by element: loads, the operator's function, a store. */
#include <errno.h>

#include "legal.h"
#include "graph/ops.h"

/* More inputs than this are taken in several maps. */
#define VARIADIC_MAX	8

int nc_legal_load(struct nc_legal *l, const struct nc_node *n, uint32_t i,
		      struct nc_loop *lp)
{
	const struct nc_tensor *t = nc_in(l->g, n, i);
	struct nc_view v;
	uint32_t word;
	int ret;

	if (t->data && t->elems == 1 && !nc_word_get(t, 0, &word))
		return nc_map_bits(&lp->m, word);
	ret = nc_legal_in_any(l, n, i, &v);
	return ret ? ret : nc_loop_load(lp, &v);
}

int nc_legal_too_long(struct nc_legal *l, const struct nc_node *n, int ret)
{
	if (ret == -E2BIG)
		return nc_node_error(l->diag, n, ret,
				     "its micro-program is too long for the device");
	return ret;
}

int nc_legal_narrow(struct nc_map *m, enum npu_graph_dtype dtype, int r)
{
	int shift;

	if (r < 0)
		return r;
	switch (dtype) {
	case NPU_GRAPH_U8:
		return nc_map_op(m, NPU_UOP_IAND, r, nc_map_bits(m, 0xff), 0);
	case NPU_GRAPH_I8:
	case NPU_GRAPH_I16:
		shift = nc_map_bits(m, dtype == NPU_GRAPH_I8 ? 24 : 16);
		r = nc_map_op(m, NPU_UOP_ISHL, r, shift, 0);
		return nc_map_op(m, NPU_UOP_ISAR, r, shift, 0);
	default:
		return r;
	}
}

int nc_lower_pointwise(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *y = nc_out(l->g, n, 0);
	int x[VARIADIC_MAX], ret;
	struct nc_loop lp;
	struct nc_view out;

	nc_loop_init(&lp, y->rank, y->dim);
	nc_map_types(&lp.m, nc_in(l->g, n, 0)->dtype, y->dtype);
	for (uint32_t i = 0; i < n->ins; i++) {
		x[i] = -ENOENT;
		if (!nc_in(l->g, n, i))
			continue;
		x[i] = nc_legal_load(l, n, i, &lp);
		if (x[i] < 0)
			return nc_legal_too_long(l, n, x[i]);
	}
	ret = nc_legal_narrow(&lp.m, y->dtype, nc_legal_emit(l, n, &lp.m, x));
	if (ret < 0)
		return nc_legal_too_long(l, n, ret);
	x[0] = ret;
	ret = nc_legal_out(l, n, 0, &out);
	ret = ret ? ret : nc_loop_store(&lp, &out, x[0]);
	ret = ret ? ret : nc_loop_emit(l, n, &lp);
	return nc_legal_too_long(l, n, ret);
}

/* One map over inputs [from, to), and over @part if it is not the first. */
static int variadic_part(struct nc_legal *l, const struct nc_node *n, uint32_t from, uint32_t to,
			 const struct nc_view *part, const struct nc_view *out)
{
	bool mean = n->op->code == NC_OP_Mean;
	enum npu_uop op = mean ? NPU_UOP_FADD : (enum npu_uop)n->op->arg;
	struct nc_loop lp;
	int r = -1;

	nc_loop_init(&lp, out->rank, out->dim);
	nc_map_types(&lp.m, nc_in(l->g, n, 0)->dtype, nc_out(l->g, n, 0)->dtype);
	op = nc_uop_for(&lp.m, op);
	if (part)
		r = nc_loop_load(&lp, part);
	for (uint32_t i = from; i < to; i++) {
		int x = nc_legal_load(l, n, i, &lp);

		if (x < 0)
			return x;
		r = i || part ? nc_map_op(&lp.m, op, r, x, 0) : x;
	}
	if (mean && to == n->ins)
		r = nc_map_op(&lp.m, NPU_UOP_FDIV, r, nc_map_float(&lp.m, (float)n->ins), 0);
	r = nc_loop_store(&lp, out, nc_legal_narrow(&lp.m, nc_out(l->g, n, 0)->dtype, r));
	return r ? r : nc_loop_emit(l, n, &lp);
}

int nc_lower_variadic(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *y = nc_out(l->g, n, 0);
	struct nc_view part, last;
	int ret = 0;

	for (uint32_t from = 0; !ret && from < n->ins; from += VARIADIC_MAX) {
		uint32_t to = n->ins - from > VARIADIC_MAX ? from + VARIADIC_MAX : n->ins;

		if (to == n->ins)
			ret = nc_legal_out(l, n, 0, &part);
		else
			ret = nc_legal_temp(l, nc_legal_dtype(y), y->rank, y->dim, NULL, &part);
		ret = ret ? ret : variadic_part(l, n, from, to, from ? &last : NULL, &part);
		last = part;
	}
	return nc_legal_too_long(l, n, ret);
}
