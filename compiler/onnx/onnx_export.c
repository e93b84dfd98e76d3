/* SPDX-License-Identifier: MIT */
/*
 * A graph as an ONNX model of opset 17. What depends on constants only becomes
 * initialisers. Operators whose newest form is younger than that are written
 * in the older form, or as the operators that they are made of.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_import.h"
#include "graph/shape.h"

struct name_use {
	const char *name;
	uint32_t tensor;
};

/**
 * struct export - one model being written
 * @a: of everything that only lives until it is written
 * @name: of each tensor
 * @use: all names that the graph gives, sorted
 * @used: tensors that something written refers to
 * @node: @initializer: what is written, growing
 * @fresh: number of the next name made here
 * @batch: name of the first dimension of inputs and outputs; NULL: it is a number
 */
struct export {
	struct npu_graph *g;
	struct nc_arena *a;
	const char **name;
	struct name_use *use;
	uint32_t uses;
	bool *used;
	Onnx__NodeProto **node;
	size_t nodes, node_room;
	Onnx__TensorProto **initializer;
	size_t initializers;
	uint32_t fresh;
	const char *batch;
	int err;
};

/* Memory that is there, or an error that is noticed at the end. */
static void *take(struct export *x, size_t count, size_t size)
{
	void *p = nc_alloc_array(x->a, count, size);

	if (!p)
		x->err = nc_error(&x->g->diag, -ENOMEM, "out of memory");
	return p;
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* ---- names ---- */

static int compare_uses(const void *a, const void *b)
{
	const struct name_use *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

/* "@base#N", which nothing in the graph is called. */
static const char *fresh_name(struct export *x, const char *base)
{
	for (;;) {
		char *name = nc_printf(x->a, "%s#%u", base, x->fresh++);
		uint32_t low = 0, high = x->uses;

		while (name && low < high) {
			uint32_t mid = (low + high) / 2;

			if (strcmp(x->use[mid].name, name) < 0)
				low = mid + 1;
			else
				high = mid;
		}
		if (!name)
			x->err = nc_error(&x->g->diag, -ENOMEM, "out of memory");
		if (!name || low == x->uses || strcmp(x->use[low].name, name))
			return name ? name : "";
	}
}

/* Inputs keep their names; a computed tensor takes that of its first output. */
static bool name_is_fixed(const struct export *x, uint32_t tensor)
{
	const struct npu_graph *g = x->g;

	if (g->tensor[tensor]->input)
		return true;
	for (uint32_t i = 0; i < g->outputs; i++)
		if (g->output[i].tensor == tensor)
			return !g->tensor[tensor]->data;
	return false;
}

static const char *first_output(const struct export *x, uint32_t tensor)
{
	const struct npu_graph *g = x->g;

	if (g->tensor[tensor]->input || g->tensor[tensor]->data)
		return NULL;
	for (uint32_t i = 0; i < g->outputs; i++)
		if (g->output[i].tensor == tensor)
			return g->output[i].name;
	return NULL;
}

/* The names that the graph itself gives; "" for a tensor without. */
static int list_names(struct export *x)
{
	struct npu_graph *g = x->g;

	x->use = take(x, g->tensors + g->outputs, sizeof(*x->use));
	x->name = take(x, g->tensors, sizeof(*x->name));
	if (x->err)
		return x->err;
	for (uint32_t i = 0; i < g->tensors; i++) {
		const char *out = first_output(x, i);

		x->name[i] = out ? out : g->tensor[i]->name;
		if (*x->name[i])
			x->use[x->uses++] = (struct name_use){ x->name[i], i };
	}
	/* Outputs that will be written as copies. */
	for (uint32_t i = 0; i < g->outputs; i++)
		if (x->name[g->output[i].tensor] != g->output[i].name)
			x->use[x->uses++] = (struct name_use){ g->output[i].name, NC_NONE };
	qsort(x->use, x->uses, sizeof(*x->use), compare_uses);
	return 0;
}

/*
 * Every tensor gets a name and no two the same: of several that have one, those
 * that may be renamed are.
 */
static int choose_names(struct export *x)
{
	struct npu_graph *g = x->g;
	int ret = list_names(x);

	if (ret)
		return ret;
	for (uint32_t i = 0, keeper = 0; i + 1 < x->uses; i++) {
		uint32_t t = x->use[i + 1].tensor;

		if (strcmp(x->use[keeper].name, x->use[i + 1].name)) {
			keeper = i + 1;
			continue;
		}
		if (t == NC_NONE || name_is_fixed(x, t)) {
			t = x->use[keeper].tensor;
			keeper = i + 1;
		}
		if (t == NC_NONE || name_is_fixed(x, t))
			return nc_error(&g->diag, -EINVAL,
					"the name \"%s\" stands for two inputs or outputs",
					x->use[i].name);
		x->name[t] = fresh_name(x, x->use[i].name);
	}
	for (uint32_t i = 0; i < g->tensors; i++)
		if (!*x->name[i])
			x->name[i] = fresh_name(x, "tensor");
	return x->err;
}

/* ---- nodes ---- */

static Onnx__NodeProto *add_node(struct export *x, const char *op, const char *name,
				 size_t ins, size_t outs)
{
	Onnx__NodeProto *p;

	if (x->nodes == x->node_room) {
		size_t room = x->node_room ? 2 * x->node_room : 64;
		Onnx__NodeProto **list = take(x, room, sizeof(*list));

		if (!list)
			return NULL;
		if (x->nodes)
			memcpy(list, x->node, x->nodes * sizeof(*list));
		x->node = list;
		x->node_room = room;
	}
	p = take(x, 1, sizeof(*p));
	if (!p)
		return NULL;
	onnx__node_proto__init(p);
	p->op_type = text(op);
	p->name = name && *name ? text(name) : NULL;
	p->n_input = ins;
	p->input = take(x, ins, sizeof(*p->input));
	p->n_output = outs;
	p->output = take(x, outs, sizeof(*p->output));
	if (x->err)
		return NULL;
	x->node[x->nodes++] = p;
	return p;
}

static Onnx__AttributeProto *add_attr(struct export *x, Onnx__NodeProto *p, const char *name,
				      Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto **list = take(x, p->n_attribute + 1, sizeof(*list));
	Onnx__AttributeProto *a = take(x, 1, sizeof(*a));

	if (x->err)
		return NULL;
	onnx__attribute_proto__init(a);
	a->name = text(name);
	a->has_type = true;
	a->type = type;
	if (p->n_attribute)
		memcpy(list, p->attribute, p->n_attribute * sizeof(*list));
	list[p->n_attribute++] = a;
	p->attribute = list;
	return a;
}

static Onnx__TensorProto *make_tensor(struct export *x, const struct nc_tensor *t,
				      const char *name)
{
	Onnx__TensorProto *p = take(x, 1, sizeof(*p));

	if (!p)
		return NULL;
	onnx__tensor_proto__init(p);
	p->name = text(name);
	p->n_dims = t->rank;
	p->dims = (int64_t *)(uintptr_t)t->dim;
	p->has_data_type = true;
	p->data_type = nc_dtype_to_onnx(t->dtype);
	p->has_raw_data = true;
	p->raw_data.len = t->elems * nc_dtype_bytes(t->dtype);
	p->raw_data.data = (uint8_t *)(uintptr_t)t->data;
	return p;
}

static void add_ints(struct export *x, Onnx__NodeProto *p, const char *name,
		     const int64_t *ints, size_t count)
{
	Onnx__AttributeProto *a = add_attr(x, p, name,
					   ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
	int64_t *copy = take(x, count, sizeof(*copy));

	if (x->err)
		return;
	memcpy(copy, ints, count * sizeof(*copy));
	a->n_ints = count;
	a->ints = copy;
}

static void copy_attr(struct export *x, Onnx__NodeProto *p, const struct nc_attr *from)
{
	static const Onnx__AttributeProto__AttributeType type[] = {
		[NC_ATTR_INT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
		[NC_ATTR_FLOAT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,
		[NC_ATTR_STRING] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING,
		[NC_ATTR_INTS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS,
		[NC_ATTR_FLOATS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS,
		[NC_ATTR_STRINGS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS,
		[NC_ATTR_TENSOR] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR,
	};
	Onnx__AttributeProto *a = add_attr(x, p, from->name, type[from->type]);

	if (!a)
		return;
	a->has_i = from->type == NC_ATTR_INT;
	a->i = from->i;
	a->has_f = from->type == NC_ATTR_FLOAT;
	a->f = from->f;
	a->has_s = from->type == NC_ATTR_STRING;
	if (a->has_s)
		a->s = (ProtobufCBinaryData){ strlen(from->s), (uint8_t *)text(from->s) };
	if (from->type == NC_ATTR_INTS) {
		a->n_ints = from->count;
		a->ints = (int64_t *)(uintptr_t)from->ints;
	} else if (from->type == NC_ATTR_FLOATS) {
		a->n_floats = from->count;
		a->floats = (float *)(uintptr_t)from->floats;
	} else if (from->type == NC_ATTR_STRINGS) {
		a->strings = take(x, from->count, sizeof(*a->strings));
		for (uint32_t i = 0; a->strings && i < from->count; i++)
			a->strings[i] = (ProtobufCBinaryData){
				strlen(from->strings[i]), (uint8_t *)text(from->strings[i]) };
		a->n_strings = from->count;
	} else if (from->type == NC_ATTR_TENSOR) {
		a->t = make_tensor(x, x->g->tensor[from->tensor], "");
	}
}

/* The operator and its operands as they are, without the attributes in @drop. */
static Onnx__NodeProto *copy_node(struct export *x, const struct nc_node *n, size_t ins,
				  const char *const *drop)
{
	Onnx__NodeProto *p = add_node(x, n->op->name, n->name, ins, n->outs);

	if (!p)
		return NULL;
	for (size_t i = 0; i < ins; i++) {
		p->input[i] = text(n->in[i] == NC_NONE ? "" : x->name[n->in[i]]);
		if (n->in[i] != NC_NONE)
			x->used[n->in[i]] = true;
	}
	for (uint32_t i = 0; i < n->outs; i++)
		p->output[i] = text(n->out[i] == NC_NONE ? "" : x->name[n->out[i]]);
	for (uint32_t i = 0; i < n->attrs && !x->err; i++) {
		const char *const *d = drop;

		while (d && *d && strcmp(*d, n->attr[i].name))
			d++;
		if (!d || !*d)
			copy_attr(x, p, &n->attr[i]);
	}
	return p;
}

/* ---- operators that are younger, or were different ---- */

/* A fresh tensor, or @out: op(a, b); @b may be NULL. */
static const char *apply(struct export *x, const char *op, const char *a, const char *b,
			 const char *out)
{
	Onnx__NodeProto *p = add_node(x, op, NULL, b ? 2 : 1, 1);

	if (!out)
		out = fresh_name(x, "part");
	if (!p)
		return "";
	p->input[0] = text(a);
	if (b)
		p->input[1] = text(b);
	p->output[0] = text(out);
	return out;
}

/* A scalar Constant. */
static const char *number(struct export *x, float value)
{
	Onnx__NodeProto *p = add_node(x, "Constant", NULL, 0, 1);
	const char *out = fresh_name(x, "part");
	Onnx__AttributeProto *a;

	if (!p)
		return "";
	p->output[0] = text(out);
	a = add_attr(x, p, "value_float", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
	if (a) {
		a->has_f = true;
		a->f = value;
	}
	return out;
}

/* A Constant of integers, which live until the model is written. */
static const char *numbers(struct export *x, int64_t *ints, size_t count)
{
	Onnx__NodeProto *p = add_node(x, "Constant", NULL, 0, 1);
	const char *out = fresh_name(x, "part");
	Onnx__AttributeProto *a;

	if (!p)
		return "";
	p->output[0] = text(out);
	a = add_attr(x, p, "value_ints", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
	if (a) {
		a->n_ints = count;
		a->ints = ints;
	}
	return out;
}

static void write_gelu(struct export *x, const struct nc_node *n)
{
	const char *in = x->name[n->in[0]], *out = x->name[n->out[0]], *t;

	x->used[n->in[0]] = true;
	if (!strcmp(nc_attr(n, "approximate")->s, "tanh")) {
		t = apply(x, "Mul", in, in, NULL);
		t = apply(x, "Mul", t, number(x, 0.044715f), NULL);
		t = apply(x, "Add", t, number(x, 1), NULL);
		t = apply(x, "Mul", t, in, NULL);
		t = apply(x, "Mul", t, number(x, (float)(M_2_SQRTPI * M_SQRT1_2)), NULL);
		t = apply(x, "Tanh", t, NULL, NULL);
	} else {
		t = apply(x, "Mul", in, number(x, (float)M_SQRT1_2), NULL);
		t = apply(x, "Erf", t, NULL, NULL);
	}
	t = apply(x, "Add", t, number(x, 1), NULL);
	t = apply(x, "Mul", t, in, NULL);
	apply(x, "Mul", t, number(x, 0.5f), out);
}

static void write_mish(struct export *x, const struct nc_node *n)
{
	const char *in = x->name[n->in[0]], *t;

	x->used[n->in[0]] = true;
	t = apply(x, "Softplus", in, NULL, NULL);
	t = apply(x, "Tanh", t, NULL, NULL);
	apply(x, "Mul", in, t, x->name[n->out[0]]);
}

static void write_swish(struct export *x, const struct nc_node *n)
{
	const char *in = x->name[n->in[0]], *t;

	x->used[n->in[0]] = true;
	t = apply(x, "Mul", in, number(x, nc_attr(n, "alpha")->f), NULL);
	t = apply(x, "Sigmoid", t, NULL, NULL);
	apply(x, "Mul", in, t, x->name[n->out[0]]);
}

/* Axes are an attribute; reducing over none does not exist. */
static int write_reduce(struct export *x, const struct nc_node *n)
{
	static const char *const drop[] = { "axes", "noop_with_empty_axes", NULL };
	int64_t axes[NPU_GRAPH_RANK_MAX];
	int count = nc_in_ints(x->g, n, 1, axes, NPU_GRAPH_RANK_MAX);
	Onnx__NodeProto *p;

	if (count < 0)
		return count;
	if (!count && nc_attr(n, "noop_with_empty_axes")->i)
		return nc_node_error(&x->g->diag, n, -ENOTSUP,
				     "reduces over no axis, which opset %d cannot say",
				     NC_ONNX_OPSET_WRITE);
	p = copy_node(x, n, 1, drop);
	if (p && count)
		add_ints(x, p, "axes", axes, (size_t)count);
	return x->err;
}

/* The parts as a constant, which every version understands. */
static int write_split(struct export *x, const struct nc_node *n)
{
	static const char *const drop[] = { "num_outputs", "split", NULL };
	int64_t *part = take(x, n->outs, sizeof(*part));
	char **in = take(x, 2, sizeof(*in));
	Onnx__NodeProto *p;
	int axis, ret;

	if (x->err)
		return x->err;
	ret = nc_split_get(x->g, n, &axis, part);
	if (ret)
		return ret;
	in[1] = text(numbers(x, part, n->outs));
	p = copy_node(x, n, 1, drop);
	if (!p)
		return x->err;
	in[0] = p->input[0];
	p->n_input = 2;
	p->input = in;
	return x->err;
}

/* Pads of all axes, without the axes input. */
static int write_pad(struct export *x, const struct nc_node *n)
{
	static const char *const drop[] = { "pads", "value", NULL };
	unsigned int rank = nc_in(x->g, n, 0)->rank;
	uint32_t in[3] = { n->in[0], NC_NONE, n->ins > 2 ? n->in[2] : NC_NONE };
	int64_t *all = take(x, 2 * rank, sizeof(*all));
	int64_t pad[2][NPU_GRAPH_RANK_MAX];
	struct nc_node copy = *n;
	Onnx__NodeProto *p;
	const char *name;
	int ret = nc_pads_get(x->g, n, pad);

	if (ret || x->err)
		return ret ? ret : x->err;
	memcpy(all, pad[0], rank * sizeof(*all));
	memcpy(all + rank, pad[1], rank * sizeof(*all));
	name = numbers(x, all, 2 * rank);
	copy.in = in;
	p = copy_node(x, &copy, in[2] == NC_NONE ? 2 : 3, drop);
	if (p)
		p->input[1] = text(name);
	return x->err;
}

/* AveragePool had no dilations before opset 19. */
static int write_average_pool(struct export *x, const struct nc_node *n)
{
	static const char *const drop[] = { "dilations", NULL };
	const struct nc_attr *d = nc_attr(n, "dilations");

	for (uint32_t i = 0; i < d->count; i++)
		if (d->ints[i] != 1)
			return nc_node_error(&x->g->diag, n, -ENOTSUP,
					     "is a dilated average, which opset %d cannot say",
					     NC_ONNX_OPSET_WRITE);
	copy_node(x, n, n->ins, drop);
	return x->err;
}

static int write_node(struct export *x, const struct nc_node *n)
{
	static const char *const casts[] = { "saturate", "round_mode", NULL };

	switch (n->op->code) {
	case NC_OP_Gelu:
		write_gelu(x, n);
		return x->err;
	case NC_OP_Mish:
		write_mish(x, n);
		return x->err;
	case NC_OP_Swish:
		write_swish(x, n);
		return x->err;
	case NC_OP_ReduceMean: case NC_OP_ReduceMax: case NC_OP_ReduceMin:
	case NC_OP_ReduceProd: case NC_OP_ReduceL1: case NC_OP_ReduceL2:
	case NC_OP_ReduceSumSquare: case NC_OP_ReduceLogSum: case NC_OP_ReduceLogSumExp:
		return write_reduce(x, n);
	case NC_OP_Split:
		return write_split(x, n);
	case NC_OP_Pad:
		return write_pad(x, n);
	case NC_OP_AveragePool:
		return write_average_pool(x, n);
	default:
		if (n->op->since > NC_ONNX_OPSET_WRITE)
			return nc_node_error(&x->g->diag, n, -ENOTSUP,
					     "cannot be written in opset %d", NC_ONNX_OPSET_WRITE);
		copy_node(x, n, n->ins, n->op->code == NC_OP_Cast ? casts : NULL);
		return x->err;
	}
}

/* ---- the model ---- */

static Onnx__ValueInfoProto *make_value(struct export *x, const struct nc_tensor *t,
					const char *name)
{
	Onnx__ValueInfoProto *v = take(x, 1, sizeof(*v));
	Onnx__TypeProto *type = take(x, 1, sizeof(*type));
	Onnx__TypeProto__Tensor *tensor = take(x, 1, sizeof(*tensor));
	Onnx__TensorShapeProto *shape = take(x, 1, sizeof(*shape));
	Onnx__TensorShapeProto__Dimension *dim = take(x, t->rank, sizeof(*dim));
	Onnx__TensorShapeProto__Dimension **dims = take(x, t->rank, sizeof(*dims));

	if (x->err)
		return NULL;
	onnx__value_info_proto__init(v);
	onnx__type_proto__init(type);
	onnx__type_proto__tensor__init(tensor);
	onnx__tensor_shape_proto__init(shape);
	v->name = text(name);
	v->type = type;
	type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type->tensor_type = tensor;
	tensor->has_elem_type = true;
	tensor->elem_type = nc_dtype_to_onnx(t->dtype);
	tensor->shape = shape;
	shape->n_dim = t->rank;
	shape->dim = dims;
	for (unsigned int i = 0; i < t->rank; i++) {
		onnx__tensor_shape_proto__dimension__init(&dim[i]);
		dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		dim[i].dim_value = t->dim[i];
		dims[i] = &dim[i];
	}
	if (x->batch && t->rank) {
		dim[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
		dim[0].dim_param = text(x->batch);
	}
	return v;
}

/* Nodes whose results are needed and not constant. */
static int write_nodes(struct export *x)
{
	const struct npu_graph *g = x->g;
	bool *needed = take(x, g->tensors, sizeof(*needed));
	int ret = 0;

	if (!needed)
		return x->err;
	for (uint32_t i = 0; i < g->outputs; i++)
		needed[g->output[i].tensor] = true;
	for (uint32_t i = g->nodes; i-- > 0;) {
		const struct nc_node *n = g->node[i];
		bool any = false;

		for (uint32_t k = 0; k < n->outs; k++)
			any |= nc_out(g, n, k) && needed[n->out[k]] && !nc_out(g, n, k)->data;
		for (uint32_t k = 0; any && k < n->ins; k++)
			if (n->in[k] != NC_NONE)
				needed[n->in[k]] = true;
	}
	for (uint32_t i = 0; !ret && i < g->nodes; i++) {
		const struct nc_node *n = g->node[i];
		bool any = false;

		for (uint32_t k = 0; k < n->outs; k++)
			any |= nc_out(g, n, k) && needed[n->out[k]] && !nc_out(g, n, k)->data;
		if (any)
			ret = write_node(x, n);
	}
	/* Outputs that are inputs, constants, or other outputs. */
	for (uint32_t i = 0; !ret && i < g->outputs; i++) {
		const char *from = x->name[g->output[i].tensor];

		if (from == g->output[i].name)
			continue;
		x->used[g->output[i].tensor] = true;
		apply(x, "Identity", from, NULL, g->output[i].name);
		ret = x->err;
	}
	return ret;
}

static int write_initializers(struct export *x)
{
	const struct npu_graph *g = x->g;

	x->initializer = take(x, g->tensors, sizeof(*x->initializer));
	for (uint32_t i = 0; !x->err && i < g->tensors; i++)
		if (x->used[i] && g->tensor[i]->data)
			x->initializer[x->initializers++] = make_tensor(x, g->tensor[i], x->name[i]);
	return x->err;
}

static int make_graph(struct export *x, Onnx__GraphProto *graph)
{
	struct npu_graph *g = x->g;
	int ret;

	nc_graph_params_known(g);
	ret = nc_fold(g);
	x->used = take(x, g->tensors, sizeof(*x->used));
	ret = ret ? ret : x->err;
	ret = ret ? ret : choose_names(x);
	ret = ret ? ret : write_nodes(x);
	ret = ret ? ret : write_initializers(x);
	if (ret)
		return ret;
	graph->name = text(*g->name ? g->name : "graph");
	graph->n_node = x->nodes;
	graph->node = x->node;
	graph->n_initializer = x->initializers;
	graph->initializer = x->initializer;
	graph->n_input = g->inputs;
	graph->input = take(x, g->inputs, sizeof(*graph->input));
	graph->n_output = g->outputs;
	graph->output = take(x, g->outputs, sizeof(*graph->output));
	for (uint32_t i = 0; !x->err && i < g->inputs; i++)
		graph->input[i] = make_value(x, g->tensor[g->input[i]], x->name[g->input[i]]);
	for (uint32_t i = 0; !x->err && i < g->outputs; i++)
		graph->output[i] = make_value(x, g->tensor[g->output[i].tensor],
					      g->output[i].name);
	return x->err;
}

static int export(struct export *x, const char *path)
{
	Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
	Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
	Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
	Onnx__OperatorSetIdProto *opsets[] = { &opset };
	int ret = make_graph(x, &graph);

	if (ret)
		return ret;
	opset.domain = text("");
	opset.has_version = true;
	opset.version = NC_ONNX_OPSET_WRITE;
	model.has_ir_version = true;
	model.ir_version = NC_ONNX_IR_WRITE;
	model.producer_name = text("npu");
	model.n_opset_import = 1;
	model.opset_import = opsets;
	model.graph = &graph;
	return nc_onnx_write_file(&x->g->diag, &model, path);
}

int npu_graph_write_onnx(struct npu_graph *g, const char *path)
{
	return npu_graph_write_onnx_batch(g, path, NULL);
}

int npu_graph_write_onnx_batch(struct npu_graph *g, const char *path, const char *batch)
{
	struct nc_graph_state saved;
	struct export x = { .g = g, .batch = batch };
	int ret;

	if (g->err)
		return g->err;
	/* What an earlier attempt said does not hold for this one. */
	g->diag.text[0] = 0;
	if (g->source)
		return nc_onnx_write_source(g, path);
	ret = nc_graph_save(g, &saved);
	if (ret)
		return ret;
	x.a = nc_arena_create();
	ret = x.a ? export(&x, path) : -ENOMEM;
	nc_arena_destroy(x.a);
	nc_graph_restore(g, &saved);
	if (ret)
		nc_error(&g->diag, ret, "%s: out of memory", path);
	return ret;
}
