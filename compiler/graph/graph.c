/* SPDX-License-Identifier: MIT */
/* The graph IR: tensors, nodes, attributes, messages, text form. */
#include "graph.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int64_t nc_elems(enum npu_graph_dtype dtype, unsigned int rank, const int64_t *dim)
{
	uint64_t elems = 1, span = 1;

	for (unsigned int i = 0; i < rank; i++) {
		if (dim[i] < 0)
			return -EINVAL;
		/* Without its zeroes, so that every partial product is bounded. */
		if (__builtin_mul_overflow(span, dim[i] ? (uint64_t)dim[i] : 1, &span) ||
		    span > NC_TENSOR_BYTES_MAX / nc_dtype_bytes(dtype))
			return -EOVERFLOW;
		elems *= (uint64_t)dim[i];
	}
	return (int64_t)elems;
}

/* Room for one more element in a growing array of the arena. */
static void *grow(struct nc_arena *a, void *array, uint32_t count, uint32_t *room, size_t size)
{
	uint32_t more = *room ? *room * 2 : 16;
	void *p;

	if (count < *room)
		return array;
	p = nc_alloc_array(a, more, size);
	if (!p)
		return NULL;
	if (count)
		memcpy(p, array, count * size);
	*room = more;
	return p;
}

static int graph_fail(struct npu_graph *g, int err)
{
	if (!g->err)
		g->err = err;
	return err;
}

static int no_memory(struct npu_graph *g)
{
	return graph_fail(g, nc_error(&g->diag, -ENOMEM, "graph \"%s\": out of memory", g->name));
}

int64_t nc_graph_tensor(struct npu_graph *g, const char *name)
{
	struct nc_tensor **list;
	struct nc_tensor *t;

	if (g->tensors >= NC_TENSORS_MAX)
		return graph_fail(g, nc_error(&g->diag, -E2BIG,
					      "graph \"%s\": more than %u tensors",
					      g->name, NC_TENSORS_MAX));
	list = grow(g->arena, g->tensor, g->tensors, &g->tensor_room, sizeof(*list));
	t = list ? nc_alloc(g->arena, sizeof(*t)) : NULL;
	if (!t)
		return no_memory(g);
	g->tensor = list;
	t->name = name && *name ? nc_strdup(g->arena, name) : "";
	if (!t->name)
		return no_memory(g);
	t->node = NC_NONE;
	g->tensor[g->tensors] = t;
	return g->tensors++;
}

int64_t nc_graph_const(struct npu_graph *g, const char *name, enum npu_graph_dtype dtype,
		       unsigned int rank, const int64_t *dim, const void *data)
{
	int64_t t = nc_graph_tensor(g, name);
	int ret;

	if (t < 0)
		return t;
	ret = nc_tensor_shape(g, NULL, (uint32_t)t, dtype, rank, dim);
	if (ret)
		return ret;
	g->tensor[t]->data = data;
	g->const_elems += g->tensor[t]->elems;
	return t;
}

int64_t nc_graph_ints(struct npu_graph *g, const int64_t *value, uint32_t count)
{
	int64_t dim = count;
	int64_t *data = nc_alloc_array(g->arena, count, sizeof(*data));

	if (!data)
		return no_memory(g);
	if (count)
		memcpy(data, value, count * sizeof(*data));
	return nc_graph_const(g, NULL, NPU_GRAPH_I64, 1, &dim, data);
}

int64_t nc_graph_float(struct npu_graph *g, float value)
{
	float *data = nc_alloc(g->arena, sizeof(*data));

	if (!data)
		return no_memory(g);
	*data = value;
	return nc_graph_const(g, NULL, NPU_GRAPH_F32, 0, NULL, data);
}

int nc_graph_add_input(struct npu_graph *g, uint32_t tensor)
{
	uint32_t *list = grow(g->arena, g->input, g->inputs, &g->input_room, sizeof(*list));

	if (!list)
		return no_memory(g);
	g->input = list;
	g->input[g->inputs++] = tensor;
	g->tensor[tensor]->input = true;
	return 0;
}

int nc_graph_add_output(struct npu_graph *g, const char *name, uint32_t tensor)
{
	struct nc_output *list = grow(g->arena, g->output, g->outputs, &g->output_room,
				      sizeof(*list));

	if (!list)
		return no_memory(g);
	g->output = list;
	name = nc_strdup(g->arena, name);
	if (!name)
		return no_memory(g);
	g->output[g->outputs++] = (struct nc_output){ .name = name, .tensor = tensor };
	return 0;
}

int nc_graph_add_param(struct npu_graph *g, uint32_t tensor)
{
	uint32_t *list = grow(g->arena, g->param, g->params, &g->param_room, sizeof(*list));

	if (!list)
		return no_memory(g);
	g->param = list;
	g->param[g->params++] = tensor;
	g->tensor[tensor]->init = g->tensor[tensor]->data;
	g->tensor[tensor]->data = NULL;
	return 0;
}

int nc_tensor_shape(struct npu_graph *g, const struct nc_node *n, uint32_t tensor,
		    enum npu_graph_dtype dtype, unsigned int rank, const int64_t *dim)
{
	struct nc_tensor *t;
	int64_t elems;

	if (tensor == NC_NONE)
		return 0;
	t = g->tensor[tensor];
	if (rank > NPU_GRAPH_RANK_MAX)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "tensor \"%s\" would have %u dimensions; at most %d are possible",
				     t->name, rank, NPU_GRAPH_RANK_MAX);
	elems = nc_elems(dtype, rank, dim);
	if (elems == -EINVAL)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "tensor \"%s\" would have a negative dimension", t->name);
	if (elems < 0)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "tensor \"%s\" would be larger than %llu GiB; use a smaller shape",
				     t->name, NC_TENSOR_BYTES_MAX >> 30);
	t->dtype = dtype;
	t->rank = rank;
	memset(t->dim, 0, sizeof(t->dim));
	if (rank)
		memcpy(t->dim, dim, rank * sizeof(*dim));
	t->elems = (uint64_t)elems;
	return 0;
}

struct nc_node *nc_node_new(struct npu_graph *g, const struct nc_op *op, const char *name,
			    uint32_t ins, uint32_t outs)
{
	struct nc_node *n = nc_alloc(g->arena, sizeof(*n));

	if (!n)
		goto err_memory;
	n->op = op;
	n->type = op->name;
	n->number = g->nodes;
	n->ins = ins;
	n->outs = outs;
	n->name = name && *name ? nc_strdup(g->arena, name) : "";
	n->in = nc_alloc_array(g->arena, ins, sizeof(*n->in));
	n->out = nc_alloc_array(g->arena, outs, sizeof(*n->out));
	if (!n->name || !n->in || !n->out)
		goto err_memory;
	for (uint32_t i = 0; i < ins; i++)
		n->in[i] = NC_NONE;
	for (uint32_t i = 0; i < outs; i++)
		n->out[i] = NC_NONE;
	return n;

err_memory:
	no_memory(g);
	return NULL;
}

static int check_counts(struct npu_graph *g, const struct nc_node *n)
{
	const struct nc_op *op = n->op;

	if (n->ins < op->in_min || (op->in_max != NC_VARIADIC && n->ins > op->in_max))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "has %u inputs; the operator takes %u to %u", n->ins,
				     op->in_min, op->in_max);
	if (n->outs < op->out_min || (op->out_max != NC_VARIADIC && n->outs > op->out_max))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "has %u outputs; the operator gives %u to %u", n->outs,
				     op->out_min, op->out_max);
	for (uint32_t i = 0; i < n->ins; i++)
		if (n->in[i] == NC_NONE && (i < op->in_min || op->in_max == NC_VARIADIC))
			return nc_node_error(&g->diag, n, -EINVAL, "input %u is missing", i);
	return 0;
}

/* All inputs known and the outputs small: others' shapes may depend on it. */
static bool fold_early(const struct npu_graph *g, const struct nc_node *n)
{
	for (uint32_t i = 0; i < n->outs; i++)
		if (nc_out(g, n, i) && nc_out(g, n, i)->elems > NC_EAGER_ELEMS)
			return false;
	return true;
}

struct nc_node **nc_graph_take(struct npu_graph *g, uint32_t *count)
{
	struct nc_node **list = g->node;

	*count = g->nodes;
	g->node = NULL;
	g->nodes = 0;
	g->node_room = 0;
	return list;
}

int nc_graph_append(struct npu_graph *g, struct nc_node *n)
{
	struct nc_node **list;

	if (g->nodes >= NC_NODES_MAX)
		return graph_fail(g, nc_error(&g->diag, -E2BIG,
					      "graph \"%s\": more than %u nodes",
					      g->name, NC_NODES_MAX));
	list = grow(g->arena, g->node, g->nodes, &g->node_room, sizeof(*list));
	if (!list)
		return no_memory(g);
	g->node = list;
	n->index = g->nodes;
	g->node[g->nodes++] = n;
	for (uint32_t i = 0; i < n->outs; i++)
		if (n->out[i] != NC_NONE)
			g->tensor[n->out[i]]->node = n->index;
	return 0;
}

int nc_graph_node(struct npu_graph *g, struct nc_node *n)
{
	int ret;

	if (g->err)
		return g->err;
	ret = check_counts(g, n);
	if (!ret)
		ret = n->op->infer(g, n);
	if (ret)
		return graph_fail(g, ret);
	ret = nc_graph_append(g, n);
	if (!ret && fold_early(g, n))
		ret = nc_fold_node(g, n);
	return ret ? graph_fail(g, ret) : 0;
}

int nc_node_error(struct nc_diag *diag, const struct nc_node *n, int err, const char *fmt, ...)
{
	char text[NC_DIAG_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!n)
		return nc_error(diag, err, "%s", text);
	if (!n->name[0])
		return nc_error(diag, err, "node #%u (%s): %s", n->number, n->type, text);
	return nc_error(diag, err, "node \"%.100s\" (#%u, %s): %s", n->name, n->number,
			n->type, text);
}

const char *nc_shape_text(const struct nc_tensor *t, char text[NC_SHAPE_TEXT])
{
	int at = snprintf(text, NC_SHAPE_TEXT, "%s[", nc_dtype_name(t->dtype));

	for (unsigned int i = 0; i < t->rank; i++)
		at += snprintf(text + at, NC_SHAPE_TEXT - (size_t)at, "%s%" PRId64,
			       i ? "," : "", t->dim[i]);
	snprintf(text + at, NC_SHAPE_TEXT - (size_t)at, "]");
	return text;
}

struct nc_tensor *nc_in(const struct npu_graph *g, const struct nc_node *n, uint32_t i)
{
	return i < n->ins && n->in[i] != NC_NONE ? g->tensor[n->in[i]] : NULL;
}

struct nc_tensor *nc_out(const struct npu_graph *g, const struct nc_node *n, uint32_t i)
{
	return i < n->outs && n->out[i] != NC_NONE ? g->tensor[n->out[i]] : NULL;
}

const struct nc_attr *nc_attr_given(const struct nc_node *n, const char *name)
{
	for (uint32_t i = 0; i < n->attrs; i++)
		if (!strcmp(n->attr[i].name, name))
			return &n->attr[i];
	return NULL;
}

const struct nc_attr *nc_attr(const struct nc_node *n, const char *name)
{
	static const struct nc_attr nothing = { .name = "", .s = "" };
	const struct nc_attr *a = nc_attr_given(n, name);

	if (a)
		return a;
	for (a = n->op->attr; a->name; a++)
		if (!strcmp(a->name, name))
			return a;
	return &nothing;
}

void nc_attr_drop(struct nc_node *n, const char *name)
{
	for (uint32_t i = 0; i < n->attrs; i++)
		if (!strcmp(n->attr[i].name, name))
			n->attr[i--] = n->attr[--n->attrs];
}

int nc_attr_set(struct npu_graph *g, struct nc_node *n, const struct nc_attr *attr)
{
	struct nc_attr *list;

	nc_attr_drop(n, attr->name);
	list = nc_alloc_array(g->arena, n->attrs + 1, sizeof(*list));
	if (!list)
		return no_memory(g);
	if (n->attrs)
		memcpy(list, n->attr, n->attrs * sizeof(*list));
	list[n->attrs++] = *attr;
	n->attr = list;
	return 0;
}

int nc_attr_set_int(struct npu_graph *g, struct nc_node *n, const char *name, int64_t i)
{
	return nc_attr_set(g, n, &(struct nc_attr){ .name = name, .type = NC_ATTR_INT, .i = i });
}

int nc_attr_set_ints(struct npu_graph *g, struct nc_node *n, const char *name,
		     const int64_t *ints, uint32_t count)
{
	int64_t *copy = nc_alloc_array(g->arena, count, sizeof(*copy));

	if (!copy)
		return no_memory(g);
	if (count)
		memcpy(copy, ints, count * sizeof(*copy));
	return nc_attr_set(g, n, &(struct nc_attr){ .name = name, .type = NC_ATTR_INTS,
						    .count = count, .ints = copy });
}

int nc_attr_set_float(struct npu_graph *g, struct nc_node *n, const char *name, float f)
{
	return nc_attr_set(g, n, &(struct nc_attr){ .name = name, .type = NC_ATTR_FLOAT, .f = f });
}

int nc_attr_set_string(struct npu_graph *g, struct nc_node *n, const char *name, const char *s)
{
	return nc_attr_set(g, n, &(struct nc_attr){ .name = name, .type = NC_ATTR_STRING,
						    .s = s });
}

int nc_in_ints(struct npu_graph *g, const struct nc_node *n, uint32_t i,
	       int64_t *value, uint32_t max)
{
	struct nc_tensor *t = nc_in(g, n, i);
	char text[NC_SHAPE_TEXT];

	if (!t)
		return 0;
	if (t->dtype != NPU_GRAPH_I64 && t->dtype != NPU_GRAPH_I32)
		return nc_node_error(&g->diag, n, -EINVAL, "input %u is %s; it must hold integers",
				     i, nc_shape_text(t, text));
	if (t->rank > 1 || t->elems > max)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %u is %s; it must be a list of at most %u values",
				     i, nc_shape_text(t, text), max);
	if (!nc_known(g, t))
		return nc_node_error(&g->diag, n, -ENOTSUP,
				     "input %u (\"%s\") depends on the data of a run; it must be known while compiling",
				     i, t->name);
	for (uint64_t k = 0; k < t->elems; k++)
		value[k] = t->dtype == NPU_GRAPH_I64 ? ((const int64_t *)t->data)[k] :
						       ((const int32_t *)t->data)[k];
	return (int)t->elems;
}

int nc_axis(struct npu_graph *g, const struct nc_node *n, int64_t axis, unsigned int rank)
{
	if (axis < -(int64_t)rank || axis >= (int64_t)rank)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "axis %" PRId64 " is outside of a tensor with %u dimensions",
				     axis, rank);
	return (int)(axis < 0 ? axis + rank : axis);
}

static void print_attr(const struct nc_attr *a, FILE *out)
{
	fprintf(out, " %s=", a->name);
	switch (a->type) {
	case NC_ATTR_INT:
		fprintf(out, "%" PRId64, a->i);
		break;
	case NC_ATTR_FLOAT:
		fprintf(out, "%.9g", a->f);
		break;
	case NC_ATTR_STRING:
		fprintf(out, "\"%s\"", a->s);
		break;
	case NC_ATTR_TENSOR:
		fprintf(out, "%%%u", a->tensor);
		break;
	default:
		for (uint32_t i = 0; i < a->count; i++) {
			putc(i ? ',' : '[', out);
			if (a->type == NC_ATTR_INTS)
				fprintf(out, "%" PRId64, a->ints[i]);
			else if (a->type == NC_ATTR_FLOATS)
				fprintf(out, "%.9g", a->floats[i]);
			else
				fprintf(out, "\"%s\"", a->strings[i]);
		}
		fputs(a->count ? "]" : "[]", out);
	}
}

static void print_args(const uint32_t *t, uint32_t count, FILE *out)
{
	for (uint32_t i = 0; i < count; i++) {
		if (t[i] == NC_NONE)
			fputs(" -", out);
		else
			fprintf(out, " %%%u", t[i]);
	}
}

int nc_graph_print(const struct npu_graph *g, FILE *out)
{
	char text[NC_SHAPE_TEXT];

	fprintf(out, "graph \"%s\"\n", g->name);
	for (uint32_t i = 0; i < g->tensors; i++) {
		const struct nc_tensor *t = g->tensor[i];

		fprintf(out, "tensor %%%u %s %s\"%s\"\n", i, nc_shape_text(t, text),
			t->input ? "input " : t->init ? "param " : t->data ? "const " : "",
			t->name);
	}
	for (uint32_t i = 0; i < g->nodes; i++) {
		const struct nc_node *n = g->node[i];

		fprintf(out, "node #%u %s \"%s\"", i, n->op->name, n->name);
		print_args(n->in, n->ins, out);
		fputs(" ->", out);
		print_args(n->out, n->outs, out);
		for (uint32_t k = 0; k < n->attrs; k++)
			print_attr(&n->attr[k], out);
		putc('\n', out);
	}
	for (uint32_t i = 0; i < g->outputs; i++)
		fprintf(out, "output \"%s\" %%%u\n", g->output[i].name, g->output[i].tensor);
	return ferror(out) ? -EIO : 0;
}
