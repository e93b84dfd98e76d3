/* SPDX-License-Identifier: MIT */
/*
 * The walk from graph to kernel IR: what is needed, in which layout, and where
 * it should be computed.
 *
 * Movement operators become views. So that the other side of a movement costs
 * nothing either, a tensor may have a home before it is computed: the program's
 * output, or its part of a concatenation, seen back through movements. What is
 * not at its home in the end is copied there.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "legal.h"
#include "graph/ops.h"
#include "graph/shape.h"

static int no_memory(struct nc_legal *l)
{
	return nc_error(l->diag, -ENOMEM, "graph \"%s\": out of memory", l->g->name);
}

/* Of inputs and outputs in memory. */
static enum npu_dtype memory_dtype(enum npu_graph_dtype dtype)
{
	static const enum npu_dtype npu[NC_DTYPES] = {
		[NPU_GRAPH_F32] = NPU_F32, [NPU_GRAPH_I32] = NPU_I32, [NPU_GRAPH_I64] = NPU_I64,
		[NPU_GRAPH_BOOL] = NPU_BOOL, [NPU_GRAPH_I8] = NPU_I8, [NPU_GRAPH_U8] = NPU_U8,
		[NPU_GRAPH_I16] = NPU_I16, [NPU_GRAPH_F16] = NPU_F16,
		[NPU_GRAPH_BF16] = NPU_BF16,
	};

	return npu[dtype];
}

enum npu_dtype nc_legal_dtype(const struct nc_tensor *t)
{
	return kir_dtype(memory_dtype(t->dtype));
}

static int add_tensor(struct nc_legal *l, const char *name, enum kir_tensor_kind kind,
		      enum npu_dtype dtype, unsigned int rank, const int64_t *dim,
		      const void *data, uint32_t *index)
{
	struct kir_tensor t = {
		.name = name, .kind = kind, .dtype = dtype, .rank = rank, .data = data,
		.elems = 1,
	};
	int64_t at;

	for (unsigned int i = 0; i < rank; i++) {
		t.dim[i] = dim[i];
		t.elems *= (uint64_t)dim[i];
	}
	at = kir_add_tensor(l->k, &t);
	if (at < 0)
		return no_memory(l);
	*index = (uint32_t)at;
	return 0;
}

int nc_legal_temp(struct nc_legal *l, enum npu_dtype dtype, unsigned int rank,
		  const int64_t *dim, const unsigned int *order, struct nc_view *v)
{
	uint32_t index;
	int ret = add_tensor(l, "", KIR_TEMP, dtype, rank, dim, NULL, &index);

	if (ret)
		return ret;
	if (order)
		nc_view_ordered(v, index, rank, dim, order);
	else
		nc_view_dense(v, index, rank, dim);
	return 0;
}

int nc_legal_const(struct nc_legal *l, const char *name, enum npu_dtype dtype,
		   unsigned int rank, const int64_t *dim, const void *data, struct nc_view *v)
{
	uint32_t index;
	int ret = add_tensor(l, name, KIR_CONST, dtype, rank, dim, data, &index);

	if (!ret)
		nc_view_dense(v, index, rank, dim);
	return ret;
}

int nc_legal_value(struct nc_legal *l, const struct nc_tensor *t, struct nc_view *v)
{
	const void *data = t->data;
	uint32_t *word;

	if (t->dtype != NPU_GRAPH_F32 && t->dtype != NPU_GRAPH_I32) {
		word = nc_alloc_array(l->k->arena, t->elems, sizeof(*word));
		if (!word)
			return no_memory(l);
		for (uint64_t i = 0; i < t->elems; i++)
			if (nc_word_get(t, i, &word[i]))
				return nc_error(l->diag, -ERANGE,
						"constant \"%s\": element %" PRIu64 " is %" PRId64 "; the NPU computes with 32-bit integers",
						t->name, i, ((const int64_t *)t->data)[i]);
		data = word;
	}
	return nc_legal_const(l, t->name, nc_legal_dtype(t), t->rank, t->dim, data, v);
}

static int legal_in(struct nc_legal *l, const struct nc_node *n, uint32_t i,
		    unsigned int types, struct nc_view *v)
{
	const struct nc_tensor *t = nc_in(l->g, n, i);
	struct nc_value *val = &l->val[n->in[i]];
	char text[NC_SHAPE_TEXT];
	int ret;

	if (!(nc_dtype_class(t->dtype) & types))
		return nc_node_error(l->diag, n, -ENOTSUP,
				     "input %u (\"%s\") is %s; the NPU computes this operator on %s",
				     i, t->name, nc_shape_text(t, text), nc_class_text(types));
	if (!t->elems)
		return nc_node_error(l->diag, n, -ENOTSUP, "input %u (\"%s\") is empty: %s", i,
				     t->name, nc_shape_text(t, text));
	if (!val->has_view && t->data) {
		ret = nc_legal_value(l, t, &val->view);
		if (ret)
			return ret;
		val->has_view = true;
	}
	*v = val->view;
	return 0;
}

int nc_legal_in(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v)
{
	return legal_in(l, n, i, NC_CLASS_FLOAT, v);
}

int nc_legal_in_int(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v)
{
	return legal_in(l, n, i, NC_CLASS_INT | NC_CLASS_BOOL, v);
}

int nc_legal_in_any(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v)
{
	return legal_in(l, n, i, NC_CLASS_FLOAT | NC_CLASS_INT | NC_CLASS_BOOL, v);
}

/* An operation may not write a tensor that it also reads. */
static bool reads_tensor(const struct nc_legal *l, const struct nc_node *n, uint32_t tensor)
{
	for (uint32_t i = 0; i < n->ins; i++)
		if (n->in[i] != NC_NONE && l->val[n->in[i]].has_view &&
		    l->val[n->in[i]].view.tensor == tensor)
			return true;
	return false;
}

bool nc_legal_home(const struct nc_legal *l, const struct nc_node *n, uint32_t i,
		   struct nc_view *v)
{
	const struct nc_value *val = &l->val[n->out[i]];

	if (!val->has_home || reads_tensor(l, n, val->home.tensor))
		return false;
	*v = val->home;
	return true;
}

int nc_legal_out(struct nc_legal *l, const struct nc_node *n, uint32_t i, struct nc_view *v)
{
	const struct nc_tensor *t = nc_out(l->g, n, i);
	struct nc_value *val = &l->val[n->out[i]];
	int ret;

	if (!nc_legal_home(l, n, i, &val->view)) {
		ret = nc_legal_temp(l, nc_legal_dtype(t), t->rank, t->dim, val->order,
				    &val->view);
		if (ret)
			return ret;
	}
	val->has_view = true;
	*v = val->view;
	return 0;
}

void nc_legal_set(struct nc_legal *l, const struct nc_node *n, uint32_t i,
		  const struct nc_view *v)
{
	struct nc_value *val = &l->val[n->out[i]];

	val->view = *v;
	val->has_view = true;
}

bool nc_legal_wanted(const struct nc_legal *l, const struct nc_node *n, uint32_t i)
{
	return i < n->outs && n->out[i] != NC_NONE && l->val[n->out[i]].needed;
}

bool nc_legal_scalar(const struct nc_legal *l, const struct nc_node *n, uint32_t i, float *value)
{
	const struct nc_tensor *t = nc_in(l->g, n, i);

	uint32_t word;

	if (!t || !t->data || t->elems != 1 || nc_word_get(t, 0, &word))
		return false;
	if (nc_dtype_class(t->dtype) == NC_CLASS_FLOAT)
		memcpy(value, &word, sizeof(*value));
	else
		*value = (float)(int32_t)word;
	return true;
}

struct kir_op *nc_legal_op(struct nc_legal *l, const struct nc_node *n, enum kir_kind kind)
{
	struct kir_op *op;

	if (l->k->ops - l->first_op >= NC_NODE_OPS_MAX || l->k->ops >= NC_OPS_MAX) {
		l->err = nc_node_error(
			l->diag, n, -EFBIG,
			"needs more than %u operations, or all nodes together %u; make it smaller (fewer steps or dimensions)",
			NC_NODE_OPS_MAX, NC_OPS_MAX);
		return NULL;
	}
	op = kir_add_op(l->k, kind, l->node);
	if (!op)
		l->err = no_memory(l);
	return op;
}

/* Everything that an output depends on at run time. Nodes are in order. */
static int mark_needed(struct nc_legal *l)
{
	const struct npu_graph *g = l->g;

	for (uint32_t i = 0; i < g->outputs; i++)
		l->val[g->output[i].tensor].needed = true;
	for (uint32_t i = g->nodes; i-- > 0;) {
		const struct nc_node *n = g->node[i];
		bool needed = false;

		for (uint32_t k = 0; k < n->outs; k++)
			needed |= nc_out(g, n, k) && !nc_out(g, n, k)->data &&
				  nc_out(g, n, k)->elems && l->val[n->out[k]].needed;
		for (uint32_t k = 0; needed && k < n->ins; k++)
			if (nc_in(g, n, k))
				l->val[n->in[k]].needed = true;
	}
	return 0;
}

static bool node_needed(const struct nc_legal *l, const struct nc_node *n)
{
	for (uint32_t i = 0; i < n->outs; i++) {
		const struct nc_tensor *t = nc_out(l->g, n, i);

		if (t && !t->data && t->elems && l->val[n->out[i]].needed)
			return true;
	}
	return false;
}

/* Output axes are the input's, if possibly of another size. */
static bool keeps_axes(enum nc_opcode code)
{
	return code == NC_OP_Concat || code == NC_OP_Pad || code == NC_OP_Slice ||
	       code == NC_OP_Split;
}

/* The first input that is as large as the output decides. */
static const unsigned int *inherited_order(const struct nc_legal *l, const struct nc_node *n,
					   const struct nc_tensor *y)
{
	for (uint32_t i = 0; i < n->ins; i++) {
		const struct nc_tensor *x = nc_in(l->g, n, i);

		if (x && !x->data && x->rank == y->rank &&
		    (keeps_axes(n->op->code) ||
		     !memcmp(x->dim, y->dim, y->rank * sizeof(*y->dim))))
			return l->val[n->in[i]].order;
	}
	return NULL;
}

/* Convolution and pooling work on channels-last memory; others keep what they get. */
static void choose_order(struct nc_legal *l, const struct nc_node *n, uint32_t i)
{
	const struct nc_tensor *y = nc_out(l->g, n, i);
	unsigned int *order = l->val[n->out[i]].order;
	unsigned int perm[NPU_GRAPH_RANK_MAX], at = 0;
	const unsigned int *from;

	switch (n->op->code) {
	case NC_OP_WindowConv:
	case NC_OP_Conv:
	case NC_OP_MaxPool:
	case NC_OP_MaxPoolAt:
	case NC_OP_Unpool:
	case NC_OP_AveragePool:
	case NC_OP_SumPool:
		order[at++] = 0;
		for (unsigned int d = 2; d < y->rank; d++)
			order[at++] = d;
		order[at] = 1;
		return;
	case NC_OP_Transpose:
		if (nc_perm_get(l->g, n, perm))
			return;
		for (unsigned int d = 0; d < y->rank; d++)
			for (unsigned int o = 0; o < y->rank; o++)
				if (perm[o] == l->val[n->in[0]].order[d])
					order[d] = o;
		return;
	default:
		from = n->op->code == NC_OP_MatMul ? NULL : inherited_order(l, n, y);
		if (from)
			memcpy(order, from, y->rank * sizeof(*order));
	}
}

static void choose_orders(struct nc_legal *l)
{
	const struct npu_graph *g = l->g;

	for (uint32_t i = 0; i < g->tensors; i++)
		for (unsigned int d = 0; d < NPU_GRAPH_RANK_MAX; d++)
			l->val[i].order[d] = d;
	for (uint32_t i = 0; i < g->nodes; i++)
		for (uint32_t k = 0; k < g->node[i]->outs; k++)
			if (nc_out(g, g->node[i], k))
				choose_order(l, g->node[i], k);
}

static int declare_inputs(struct nc_legal *l)
{
	const struct npu_graph *g = l->g;

	for (uint32_t i = 0; i < g->inputs; i++) {
		const struct nc_tensor *t = g->tensor[g->input[i]];
		struct nc_value *val = &l->val[g->input[i]];
		uint32_t index;
		int ret;

		ret = add_tensor(l, t->name, KIR_INPUT, memory_dtype(t->dtype), t->rank, t->dim,
				 NULL, &index);
		if (ret)
			return ret;
		nc_view_dense(&val->view, index, t->rank, t->dim);
		val->has_view = true;
	}
	return 0;
}

/* A tensor's home is the first output that it is. */
static int declare_outputs(struct nc_legal *l, uint32_t *first)
{
	const struct npu_graph *g = l->g;

	*first = l->k->tensors;
	for (uint32_t i = 0; i < g->outputs; i++) {
		const struct nc_tensor *t = g->tensor[g->output[i].tensor];
		struct nc_value *val = &l->val[g->output[i].tensor];
		uint32_t index;
		int ret;

		ret = add_tensor(l, g->output[i].name, KIR_OUTPUT, memory_dtype(t->dtype), t->rank,
				 t->dim, NULL, &index);
		if (ret)
			return ret;
		/* What rounds on the way out is not read back. */
		if (val->has_home || !t->elems || (nc_legal_dtype(t) == NPU_F32 && t->dtype != NPU_GRAPH_F32))
			continue;
		nc_view_dense(&val->home, index, t->rank, t->dim);
		val->has_home = true;
	}
	return 0;
}

/* Can a home be given to this tensor? */
static bool wants_home(const struct nc_legal *l, uint32_t tensor)
{
	const struct nc_tensor *t = l->g->tensor[tensor];

	return t->node != NC_NONE && !t->data && t->elems && !l->val[tensor].has_home;
}

/* The parts of a concatenation, unless something is in it twice. */
static int concat_homes(struct nc_legal *l, const struct nc_node *n)
{
	struct nc_value *val = &l->val[n->out[0]];
	const struct nc_tensor *y = nc_out(l->g, n, 0);
	int axis = nc_axis(l->g, n, nc_attr(n, "axis")->i, y->rank);
	int64_t offset = 0;
	int ret;

	if (axis < 0)
		return axis;
	if (!val->has_home) {
		ret = nc_legal_temp(l, nc_legal_dtype(y), y->rank, y->dim, val->order,
				    &val->home);
		if (ret)
			return ret;
		val->has_home = true;
	}
	for (uint32_t i = 0; i < n->ins; i++) {
		const struct nc_tensor *x = nc_in(l->g, n, i);
		struct nc_value *part = &l->val[n->in[i]];

		if (wants_home(l, n->in[i])) {
			part->home = val->home;
			part->home.offset += offset * val->home.stride[axis];
			part->home.dim[axis] = x->dim[axis];
			part->has_home = true;
		}
		offset += x->dim[axis];
	}
	return 0;
}

static int choose_homes(struct nc_legal *l)
{
	const struct npu_graph *g = l->g;

	for (uint32_t i = g->nodes; i-- > 0;) {
		const struct nc_node *n = g->node[i];
		int ret = 0;

		if (!node_needed(l, n))
			continue;
		if (n->op->code == NC_OP_Concat) {
			ret = concat_homes(l, n);
		} else if (n->op->lower == nc_lower_view && l->val[n->out[0]].has_home &&
			   wants_home(l, n->in[0])) {
			struct nc_value *x = &l->val[n->in[0]];

			ret = nc_view_back(l->g, n, &l->val[n->out[0]].home, &x->home);
			x->has_home = !ret;
			ret = ret == -EDOM ? 0 : ret;
		}
		if (ret)
			return ret;
	}
	return 0;
}

/* The row of the operator says which types of its first input the device computes. */
static int check_types(struct nc_legal *l, const struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(l->g, n, 0);
	char text[NC_SHAPE_TEXT];

	if (!x || nc_dtype_class(x->dtype) & n->op->types)
		return 0;
	return nc_node_error(l->diag, n, -ENOTSUP,
			     "input 0 (\"%s\") is %s; the NPU computes this operator on %s",
			     x->name, nc_shape_text(x, text), nc_class_text(n->op->types));
}

static int lower_node(struct nc_legal *l, const struct nc_node *n)
{
	const char *name = n->name[0] ? n->name :
			   nc_printf(l->k->arena, "%s_%u", n->type, n->index);
	int64_t node = name ? kir_add_node(l->k, name, n->type) : -ENOMEM;
	int ret;

	if (node < 0)
		return no_memory(l);
	l->node = (uint32_t)node;
	l->first_op = l->k->ops;
	if (!node_needed(l, n))
		return 0;
	if (!n->op->lower)
		return nc_node_error(l->diag, n, -ENOTSUP,
				     "input \"%s\" depends on the data of a run; this operator is supported on constants only",
				     nc_in(l->g, n, 0) ? nc_in(l->g, n, 0)->name : "");
	for (uint32_t i = 0; i < n->outs; i++) {
		const struct nc_tensor *t = nc_out(l->g, n, i);
		char text[NC_SHAPE_TEXT];

		if (!t || !l->val[n->out[i]].needed)
			continue;
		for (unsigned int d = 0; d < t->rank; d++)
			if (t->dim[d] > INT32_MAX)
				return nc_node_error(l->diag, n, -ENOTSUP,
						     "output %u is %s; a dimension must be below 2^31",
						     i, nc_shape_text(t, text));
	}
	l->traps = nc_out(l->g, n, 0) && nc_out(l->g, n, 0)->dtype == NPU_GRAPH_I64;
	ret = check_types(l, n);
	ret = ret ? ret : n->op->lower(l, n);
	for (uint32_t i = 0; !ret && i < n->outs; i++) {
		const struct nc_value *val = n->out[i] == NC_NONE ? NULL : &l->val[n->out[i]];

		if (val && val->has_home && val->has_view &&
		    !nc_view_equal(&val->view, &val->home))
			ret = nc_legal_copy(l, n, &val->view, &val->home);
	}
	return ret;
}

/* Inputs and constants that are outputs, and outputs that are there twice. */
static int finish_outputs(struct nc_legal *l, uint32_t first)
{
	const struct npu_graph *g = l->g;

	for (uint32_t i = 0; i < g->outputs; i++) {
		uint32_t tensor = g->output[i].tensor;
		const struct nc_tensor *t = g->tensor[tensor];
		struct nc_value *val = &l->val[tensor];
		struct nc_view out;
		int64_t node;
		int ret;

		if (!t->elems)
			continue;
		nc_view_dense(&out, first + i, t->rank, t->dim);
		if (!t->data && !t->input && val->has_home && nc_view_equal(&out, &val->home))
			continue;
		node = kir_add_node(l->k, g->output[i].name, "output");
		if (node < 0)
			return no_memory(l);
		l->node = (uint32_t)node;
		l->first_op = l->k->ops;
		if (!val->has_view) {
			ret = nc_legal_value(l, t, &val->view);
			if (ret)
				return ret;
			val->has_view = true;
		}
		ret = nc_legal_copy(l, NULL, &val->view, &out);
		if (ret)
			return ret;
	}
	return 0;
}

int nc_legalise(struct npu_graph *g, struct kir *k)
{
	struct nc_legal l = { .g = g, .k = k, .diag = &g->diag };
	uint32_t first = 0;
	int ret;

	if (!g->outputs)
		return nc_error(&g->diag, -EINVAL, "graph \"%s\" has no outputs", g->name);
	l.val = nc_alloc_array(k->arena, g->tensors, sizeof(*l.val));
	if (!l.val)
		return no_memory(&l);
	ret = mark_needed(&l);
	choose_orders(&l);
	ret = ret ? ret : declare_inputs(&l);
	ret = ret ? ret : declare_outputs(&l, &first);
	ret = ret ? ret : choose_homes(&l);
	for (uint32_t i = 0; !ret && i < g->nodes; i++)
		ret = lower_node(&l, g->node[i]);
	return ret ? ret : finish_outputs(&l, first);
}
