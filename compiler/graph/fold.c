/* SPDX-License-Identifier: MIT */
/*
 * Constant folding: values of what depends on constants only. Shape arithmetic
 * is exact in 64-bit integers; fp32 arithmetic runs the operator's own
 * micro-program here, so an operator needs no second definition.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kir/map.h"
#include "ops.h"
#include "shape.h"
#include "view.h"

/* A result may be this much larger than its inputs before it stays a view. */
#define FOLD_GROWTH		4
#define FOLD_FREE_ELEMS		(1u << 16)
/* All results together: this many times what was given, and this much more. */
#define FOLD_TOTAL		16
#define FOLD_TOTAL_FREE_ELEMS	(1u << 24)

static void *result(struct npu_graph *g, const struct nc_node *n, uint32_t i)
{
	struct nc_tensor *t = nc_out(g, n, i);
	void *data = nc_alloc_array(g->arena, t->elems ? t->elems : 1, nc_dtype_bytes(t->dtype));

	if (!data)
		nc_node_error(&g->diag, n, -ENOMEM, "out of memory for constant \"%s\"", t->name);
	return data;
}

static int64_t get_int(const struct nc_tensor *t, int64_t i)
{
	uint32_t word;

	if (t->dtype == NPU_GRAPH_I64)
		return ((const int64_t *)t->data)[i];
	nc_word_get(t, (uint64_t)i, &word);
	return (int32_t)word;
}

static void put_int(enum npu_graph_dtype dtype, void *data, uint64_t i, int64_t value)
{
	if (dtype == NPU_GRAPH_I64)
		((int64_t *)data)[i] = value;
	else
		nc_word_put(dtype, data, i, dtype == NPU_GRAPH_BOOL ? value != 0 : (uint32_t)value);
}

/* Modulo 2^64, by squaring; a negative exponent gives 0 unless the base is 1 or -1. */
static int64_t int_power(int64_t a, int64_t b)
{
	uint64_t square = (uint64_t)a, r = 1, left = (uint64_t)b;

	if (b < 0 && a != 1 && a != -1)
		return 0;
	for (; left; left >>= 1) {
		if (left & 1)
			r *= square;
		square *= square;
	}
	return (int64_t)r;
}

/* Integer arithmetic modulo 2^64, as ONNX leaves overflow open. */
static int int_binary(enum nc_opcode code, int64_t a, int64_t b, int64_t *r)
{
	switch (code) {
	case NC_OP_Add:
	case NC_OP_Sum:
		*r = (int64_t)((uint64_t)a + (uint64_t)b);
		return 0;
	case NC_OP_Sub:
		*r = (int64_t)((uint64_t)a - (uint64_t)b);
		return 0;
	case NC_OP_Mul:
		*r = (int64_t)((uint64_t)a * (uint64_t)b);
		return 0;
	case NC_OP_Div:
		if (!b)
			return -EDOM;
		*r = b == -1 ? (int64_t)-(uint64_t)a : a / b;
		return 0;
	case NC_OP_Pow:
		*r = int_power(a, b);
		return 0;
	case NC_OP_Min:
		*r = a < b ? a : b;
		return 0;
	case NC_OP_Max:
		*r = a > b ? a : b;
		return 0;
	default:
		return -ENOTSUP;
	}
}

static int int_unary(enum nc_opcode code, int64_t a, int64_t *r)
{
	switch (code) {
	case NC_OP_Neg:
		*r = (int64_t)-(uint64_t)a;
		return 0;
	case NC_OP_Abs:
		*r = a < 0 ? (int64_t)-(uint64_t)a : a;
		return 0;
	case NC_OP_Sign:
		*r = (a > 0) - (a < 0);
		return 0;
	case NC_OP_Relu:
		*r = a > 0 ? a : 0;
		return 0;
	case NC_OP_Max:
	case NC_OP_Min:
	case NC_OP_Sum:
		*r = a;
		return 0;
	default:
		return -ENOTSUP;
	}
}

/* Views of the inputs over the output's shape. */
static void input_views(struct npu_graph *g, const struct nc_node *n, struct nc_view *view)
{
	const struct nc_tensor *y = nc_out(g, n, 0);

	for (uint32_t i = 0; i < n->ins; i++) {
		const struct nc_tensor *t = nc_in(g, n, i);
		struct nc_view dense;

		if (!t)
			continue;
		nc_view_dense(&dense, 0, t->rank, t->dim);
		nc_view_expand(&dense, y->rank, y->dim, &view[i]);
	}
}

static int eval_ints(struct npu_graph *g, struct nc_node *n, const struct nc_view *view)
{
	struct nc_tensor *y = nc_out(g, n, 0);
	void *data = result(g, n, 0);

	if (!data)
		return -ENOMEM;
	for (uint64_t e = 0; e < y->elems; e++) {
		int64_t r = get_int(nc_in(g, n, 0), nc_view_at(&view[0], e));
		int ret = n->ins == 1 ? int_unary(n->op->code, r, &r) : 0;

		for (uint32_t i = 1; !ret && i < n->ins; i++)
			ret = int_binary(n->op->code, r,
					 get_int(nc_in(g, n, i), nc_view_at(&view[i], e)), &r);
		if (ret == -EDOM)
			return nc_node_error(&g->diag, n, -EINVAL, "divides by a constant 0");
		if (ret)
			return ret;
		put_int(y->dtype, data, e, r);
	}
	y->data = data;
	return 0;
}

/* The operator's micro-program over what the device would compute with. */
static int eval_words(struct npu_graph *g, struct nc_node *n, const struct nc_view *view)
{
	uint32_t in[NC_MAP_OPERANDS] = { 0 }, out[NC_MAP_OPERANDS];
	struct nc_tensor *y = nc_out(g, n, 0);
	struct nc_map m = { 0 };
	int x[NC_MAP_OPERANDS], ret;
	void *data;

	nc_map_types(&m, nc_in(g, n, 0)->dtype, y->dtype);
	for (uint32_t i = 0; i < n->ins; i++) {
		struct kir_view operand = { .tensor = i };

		x[i] = nc_in(g, n, i) ? nc_map_load(&m, &operand) : -ENOENT;
	}
	ret = n->op->emit(&m, n, x);
	if (ret == -EINVAL)
		return nc_node_error(&g->diag, n, ret,
				     "an attribute has a value outside of its range");
	if (ret < 0)
		return ret == -E2BIG ? -ENOTSUP : ret;
	ret = nc_map_store(&m, &(struct kir_view){ .tensor = KIR_NO_TENSOR }, ret);
	if (ret)
		return -ENOTSUP;
	data = result(g, n, 0);
	if (!data)
		return -ENOMEM;
	for (uint64_t e = 0; e < y->elems; e++) {
		for (unsigned int o = 0; o + 1 < m.operands; o++) {
			uint32_t i = m.operand[o].view.tensor;

			if (nc_word_get(nc_in(g, n, i), (uint64_t)nc_view_at(&view[i], e), &in[o]))
				return -ENOTSUP;
		}
		ret = nc_map_run(&m, in, out);
		if (ret)
			return ret;
		nc_word_put(y->dtype, data, e, out[m.operands - 1]);
	}
	y->data = data;
	return 0;
}

int nc_eval_pointwise(struct npu_graph *g, struct nc_node *n)
{
	struct nc_view view[NC_MAP_OPERANDS - 1];
	bool ints = true;
	int ret = -ENOTSUP;

	if (n->ins > NC_MAP_OPERANDS - 1)
		return -ENOTSUP;
	input_views(g, n, view);
	for (uint32_t i = 0; i < n->ins; i++)
		ints = ints && nc_in(g, n, i) &&
		       nc_dtype_class(nc_in(g, n, i)->dtype) != NC_CLASS_FLOAT;
	if (!(nc_dtype_class(nc_in(g, n, 0)->dtype) & n->op->types))
		return -ENOTSUP;
	if (ints)
		ret = eval_ints(g, n, view);
	return ret == -ENOTSUP ? eval_words(g, n, view) : ret;
}

/* Of one kind of types: its two types need not be the same. */
int nc_eval_pow(struct npu_graph *g, struct nc_node *n)
{
	if (nc_dtype_class(nc_in(g, n, 0)->dtype) != nc_dtype_class(nc_in(g, n, 1)->dtype))
		return -ENOTSUP;
	return nc_eval_pointwise(g, n);
}

/* Shape arithmetic: product, sum, extremes of integers. */
int nc_eval_reduce(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_tensor *y = nc_out(g, n, 0);
	static const enum nc_opcode code[] = {
		[NPU_REDUCE_SUM] = NC_OP_Add, [NPU_REDUCE_MAX] = NC_OP_Max,
		[NPU_REDUCE_MIN] = NC_OP_Min, [NPU_REDUCE_PROD] = NC_OP_Mul,
	};
	unsigned int axes;
	int64_t acc;
	void *data;
	int ret = nc_reduce_axes(g, n, &axes);

	if (ret)
		return ret;
	if (nc_dtype_class(x->dtype) == NC_CLASS_FLOAT || !x->elems || axes != (1u << x->rank) - 1 ||
	    (n->op->arg != NPU_REDUCE_SUM && n->op->arg != NPU_REDUCE_MAX &&
	     n->op->arg != NPU_REDUCE_MIN && n->op->arg != NPU_REDUCE_PROD))
		return -ENOTSUP;
	acc = get_int(x, 0);
	for (uint64_t e = 1; e < x->elems; e++)
		int_binary(code[n->op->arg], acc, get_int(x, (int64_t)e), &acc);
	data = result(g, n, 0);
	if (!data)
		return -ENOMEM;
	put_int(y->dtype, data, 0, acc);
	y->data = data;
	return 0;
}

int nc_eval_cast(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_tensor *y = nc_out(g, n, 0);
	bool from_float = nc_dtype_class(x->dtype) == NC_CLASS_FLOAT;
	bool to_float = nc_dtype_class(y->dtype) == NC_CLASS_FLOAT;
	void *data = result(g, n, 0);

	if (!data)
		return -ENOMEM;
	for (uint64_t e = 0; e < y->elems; e++) {
		uint32_t word;
		float f;

		if (from_float) {
			nc_word_get(x, e, &word);
			memcpy(&f, &word, sizeof(f));
		} else {
			f = (float)get_int(x, (int64_t)e);
			memcpy(&word, &f, sizeof(f));
		}
		if (to_float)
			nc_word_put(y->dtype, data, e, word);
		else if (!from_float)
			put_int(y->dtype, data, e, get_int(x, (int64_t)e));
		else if (y->dtype == NPU_GRAPH_BOOL)
			((uint8_t *)data)[e] = f != 0;
		else if (!(fabsf(f) < (y->dtype == NPU_GRAPH_I64 ? 0x1p63f : 0x1p31f)))
			return nc_node_error(&g->diag, n, -EINVAL,
					     "constant %g does not fit the integer type", f);
		else
			put_int(y->dtype, data, e, (int64_t)f);
	}
	y->data = data;
	return 0;
}

int nc_eval_shape(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0);
	struct nc_tensor *y = nc_out(g, n, 0);
	int64_t start = nc_attr(n, "start")->i, *data = result(g, n, 0);

	if (!data)
		return -ENOMEM;
	if (start < 0)
		start = start < -(int64_t)x->rank ? 0 : start + x->rank;
	for (uint64_t e = 0; e < y->elems; e++)
		data[e] = x->dim[start + (int64_t)e];
	y->data = data;
	return 0;
}

int nc_eval_non_zero(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *y = nc_out(g, n, 0);
	int64_t *data = result(g, n, 0), count = y->dim[1], at = 0;

	if (!data)
		return -ENOMEM;
	for (uint64_t e = 0; e < x->elems; e++) {
		uint64_t rest = e;

		if (nc_is_zero(x, e))
			continue;
		for (unsigned int i = x->rank; i-- > 0;) {
			data[i * (uint64_t)count + (uint64_t)at] =
				(int64_t)(rest % (uint64_t)x->dim[i]);
			rest /= (uint64_t)x->dim[i];
		}
		at++;
	}
	nc_out(g, n, 0)->data = data;
	return 0;
}

int nc_eval_has_element(struct npu_graph *g, struct nc_node *n)
{
	uint8_t *data = result(g, n, 0);

	if (!data)
		return -ENOMEM;
	*data = nc_in(g, n, 0) != NULL;
	nc_out(g, n, 0)->data = data;
	return 0;
}

int nc_eval_size(struct npu_graph *g, struct nc_node *n)
{
	int64_t *data = result(g, n, 0);

	if (!data)
		return -ENOMEM;
	*data = (int64_t)nc_in(g, n, 0)->elems;
	nc_out(g, n, 0)->data = data;
	return 0;
}

int nc_eval_range(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *start = nc_in(g, n, 0), *delta = nc_in(g, n, 2);
	struct nc_tensor *y = nc_out(g, n, 0);
	void *data = result(g, n, 0);

	if (!data)
		return -ENOMEM;
	for (uint64_t e = 0; e < y->elems; e++) {
		if (y->dtype == NPU_GRAPH_F32)
			((float *)data)[e] = *(const float *)start->data +
					     (float)e * *(const float *)delta->data;
		else
			put_int(y->dtype, data, e,
				get_int(start, 0) + (int64_t)e * get_int(delta, 0));
	}
	y->data = data;
	return 0;
}

/* Is it worth it? A small model must not become a large one, nor take long. */
static bool too_much(struct npu_graph *g, const struct nc_node *n)
{
	uint64_t in = 0, out = 0;

	for (uint32_t i = 0; i < n->ins; i++)
		in += nc_in(g, n, i) ? nc_in(g, n, i)->elems : 0;
	for (uint32_t i = 0; i < n->outs; i++)
		out += nc_out(g, n, i) ? nc_out(g, n, i)->elems : 0;
	if (out > FOLD_FREE_ELEMS && out / FOLD_GROWTH > in)
		return true;
	if (g->folded_elems + out > FOLD_TOTAL_FREE_ELEMS + FOLD_TOTAL * g->const_elems)
		return true;
	g->folded_elems += out;
	return false;
}

int nc_fold_node(struct npu_graph *g, struct nc_node *n)
{
	bool values = n->op->code != NC_OP_Shape && n->op->code != NC_OP_Size &&
		      n->op->code != NC_OP_OptionalHasElement;
	bool wanted = false;
	int ret;

	if (!n->op->eval)
		return 0;
	for (uint32_t i = 0; i < n->outs; i++)
		wanted |= nc_out(g, n, i) && !nc_out(g, n, i)->data;
	for (uint32_t i = 0; values && i < n->ins; i++)
		wanted &= !nc_in(g, n, i) || nc_in(g, n, i)->data;
	if (!wanted || too_much(g, n))
		return 0;
	ret = n->op->eval(g, n);
	return ret == -ENOTSUP ? 0 : ret;
}

int nc_fold(struct npu_graph *g)
{
	for (uint32_t i = 0; i < g->nodes; i++) {
		int ret = nc_fold_node(g, g->node[i]);

		if (ret)
			return ret;
	}
	return 0;
}
