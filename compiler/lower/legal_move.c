/* SPDX-License-Identifier: MIT */
/* Operators that move elements: views where possible, else copies. */
#include <errno.h>
#include <string.h>

#include "legal.h"
#include "graph/ops.h"
#include "graph/shape.h"

/* Where a copy of input 0 should be made so that output 0 is at its home. */
static int copy_place(struct nc_legal *l, const struct nc_node *n, const struct nc_view *in,
		      struct nc_view *place)
{
	const struct nc_value *out = &l->val[n->out[0]];

	if (out->has_home && out->home.tensor != in->tensor &&
	    !nc_view_back(l->g, n, &out->home, place))
		return 0;
	return nc_legal_temp(l, kir_dtype(l->k->tensor[in->tensor].dtype), in->rank, in->dim, NULL, place);
}

int nc_lower_view(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_view in, out, place;
	int ret = nc_legal_in_any(l, n, 0, &in);

	if (ret)
		return ret;
	ret = nc_view_through(l->g, n, 0, &in, &out);
	if (ret == -EDOM) {
		ret = copy_place(l, n, &in, &place);
		ret = ret ? ret : nc_legal_copy(l, n, &in, &place);
		ret = ret ? ret : nc_view_through(l->g, n, 0, &place, &out);
	}
	if (!ret)
		nc_legal_set(l, n, 0, &out);
	return ret;
}

int nc_lower_dropout(struct nc_legal *l, const struct nc_node *n)
{
	static const uint32_t one = 1;
	struct nc_view all;
	int ret = 0;

	/* Nothing is dropped. */
	if (nc_legal_wanted(l, n, 1)) {
		ret = nc_legal_const(l, "", NPU_I32, 0, NULL, &one, &all);
		nc_view_expand(&all, nc_out(l->g, n, 1)->rank, nc_out(l->g, n, 1)->dim, &all);
		if (!ret)
			nc_legal_set(l, n, 1, &all);
	}
	return ret || !nc_legal_wanted(l, n, 0) ? ret : nc_lower_view(l, n);
}

int nc_lower_split(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_view in, out;
	int ret = nc_legal_in_any(l, n, 0, &in);

	for (uint32_t i = 0; !ret && i < n->outs; i++) {
		if (!nc_legal_wanted(l, n, i))
			continue;
		ret = nc_view_through(l->g, n, i, &in, &out);
		if (!ret)
			nc_legal_set(l, n, i, &out);
	}
	return ret;
}

/* Inputs that were computed at their place need nothing. */
int nc_lower_concat(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_value *val = &l->val[n->out[0]];
	int axis = nc_axis(l->g, n, nc_attr(n, "axis")->i, nc_out(l->g, n, 0)->rank);
	struct nc_view part = val->home, in;
	int ret = 0;

	if (axis < 0)
		return axis;
	for (uint32_t i = 0; !ret && i < n->ins; i++) {
		const struct nc_tensor *x = nc_in(l->g, n, i);

		if (!x->elems)
			continue;
		part.dim[axis] = x->dim[axis];
		ret = nc_legal_in_any(l, n, i, &in);
		if (ret)
			return ret;
		/* The home holds it, even if its view is elsewhere. */
		if (!nc_view_equal(&in, &part) &&
		    !(l->val[n->in[i]].has_home && nc_view_equal(&l->val[n->in[i]].home, &part)))
			ret = nc_legal_copy(l, n, &in, &part);
		part.offset += x->dim[axis] * part.stride[axis];
	}
	if (!ret)
		nc_legal_set(l, n, 0, &val->home);
	return ret;
}

/* A constant value everywhere: one element seen by all. */
int nc_lower_fill(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_attr *value = nc_attr_given(n, "value");
	const struct nc_tensor *y = nc_out(l->g, n, 0);
	static const uint32_t zero;
	struct nc_view one, all;
	int ret;

	if (value)
		ret = nc_legal_value(l, l->g->tensor[value->tensor], &one);
	else
		ret = nc_legal_const(l, y->name, NPU_F32, 0, NULL, &zero, &one);

	if (ret)
		return ret;
	nc_view_expand(&one, y->rank, y->dim, &all);
	nc_legal_set(l, n, 0, &all);
	return 0;
}

/* Every element of @out = the one of @value. */
static int spread(struct nc_legal *l, const struct nc_node *n, const struct nc_view *value,
		  const struct nc_view *out)
{
	const struct kir_tensor *t = &l->k->tensor[value->tensor];
	struct nc_view all;

	if (t->kind == KIR_CONST)
		return nc_legal_fill(l, n, ((const uint32_t *)t->data)[value->offset], out);
	nc_view_expand(value, out->rank, out->dim, &all);
	return nc_legal_copy(l, n, &all, out);
}

/* The border as slabs: two per padded axis, inside what earlier axes left. */
static int fill_border(struct nc_legal *l, const struct nc_node *n, const struct nc_view *value,
		       int64_t pad[2][NPU_GRAPH_RANK_MAX], const struct nc_view *out)
{
	struct nc_view inner = *out;

	for (unsigned int i = 0; i < out->rank; i++) {
		int64_t before = pad[0][i] > 0 ? pad[0][i] : 0;
		int64_t after = pad[1][i] > 0 ? pad[1][i] : 0;
		struct nc_view slab = inner;
		int ret = 0;

		slab.dim[i] = before;
		if (before)
			ret = spread(l, n, value, &slab);
		slab.dim[i] = after;
		slab.offset = inner.offset + (inner.dim[i] - after) * inner.stride[i];
		if (!ret && after)
			ret = spread(l, n, value, &slab);
		if (ret)
			return ret;
		inner.offset += before * inner.stride[i];
		inner.dim[i] -= before + after;
	}
	return 0;
}

/* The padding value as a view of one element. */
static int pad_value(struct nc_legal *l, const struct nc_node *n, struct nc_view *v)
{
	static const uint32_t zero;
	enum npu_dtype dtype = nc_legal_dtype(nc_in(l->g, n, 0));
	struct nc_view any;
	int ret;

	if (!nc_in(l->g, n, 2))
		return nc_legal_const(l, "", dtype, 0, NULL, &zero, v);
	ret = nc_legal_in_any(l, n, 2, &any);
	return ret ? ret : nc_view_reshape(&any, 0, NULL, v) ? 0 : -EINVAL;
}

int nc_lower_pad(struct nc_legal *l, const struct nc_node *n)
{
	bool empty = !nc_in(l->g, n, 0)->elems;
	int64_t pad[2][NPU_GRAPH_RANK_MAX];
	struct nc_view in, out, to, value;
	int ret = nc_pads_get(l->g, n, pad);

	ret = ret ? ret : pad_value(l, n, &value);
	ret = ret ? ret : nc_legal_out(l, n, 0, &out);
	if (ret)
		return ret;
	if (empty)
		return spread(l, n, &value, &out);
	ret = nc_legal_in_any(l, n, 0, &in);
	if (ret)
		return ret;
	to = out;
	for (unsigned int i = 0; i < out.rank; i++) {
		int64_t first = pad[0][i] < 0 ? -pad[0][i] : 0;
		int64_t last = in.dim[i] + (pad[1][i] < 0 ? pad[1][i] : 0);

		/* Negative padding crops. */
		if (first >= last) {
			empty = true;
			continue;
		}
		in.offset += first * in.stride[i];
		in.dim[i] = last - first;
		to.offset += (pad[0][i] > 0 ? pad[0][i] : 0) * to.stride[i];
		to.dim[i] = last - first;
	}
	if (empty)
		return spread(l, n, &value, &out);
	ret = fill_border(l, n, &value, pad, &out);
	return ret ? ret : nc_legal_copy(l, n, &in, &to);
}
