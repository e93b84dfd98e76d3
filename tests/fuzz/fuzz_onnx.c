/* SPDX-License-Identifier: MIT */
/*
 * An ONNX model, read and compiled. It is a program that the
 * loader takes, or one line that says why not.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "npu_prog_read.h"
#include "onnx/onnx.h"
#include "onnx.pb-c.h"

/* Sanitizers make memory expensive. */
#define COMPILE_BYTES	(32u << 20)
/* On a small device everything is split; so that it ends soon, only models that are small. */
#define SMALL_ELEMS	(1u << 20)

static const struct npu_target small = {
	.array_rows = 8,
	.array_cols = 8,
	.spm_bytes = 64u << 10,
	.acc_bytes = 16u << 10,
};

static const struct npu_target *target_for(const struct npu_graph *g)
{
	uint64_t elems = 0;

	for (uint32_t i = 0; i < g->tensors; i++)
		elems += g->tensor[i]->elems;
	return elems <= SMALL_ELEMS ? &small : NULL;
}

static void check_program(const void *image, size_t bytes)
{
	struct npu_prog_view view;
	const char *error;

	fuzz_require(!npu_prog_read(image, bytes, &view, &error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct npu_graph *g = npu_graph_create("fuzz");
	void *image = NULL;
	size_t bytes;
	int ret = -1;

	if (!g)
		return 0;
	g->free_bytes = COMPILE_BYTES;
	ret = nc_onnx_import(g, data, size, "*=2");
	ret = ret ? ret : npu_graph_compile(g, target_for(g), NULL, NULL, &image, &bytes);
	fuzz_require(!ret == !npu_graph_error(g)[0]);
	if (ret)
		fuzz_require(fuzz_is_message(npu_graph_error(g)));
	else
		check_program(image, bytes);
	free(image);
	npu_graph_destroy(g);
	return 0;
}

/* ---- Mutation ---- */

static const struct nc_op *any_op(struct fuzz_random *r)
{
	return nc_op_get((enum nc_opcode)fuzz_below(r, NC_OPS));
}

static const char *any_attribute(struct fuzz_random *r)
{
	const struct nc_attr *a = any_op(r)->attr;
	size_t count = 0;

	while (a[count].name)
		count++;
	return count ? a[fuzz_below(r, count)].name : NULL;
}

static const char *any_text(struct fuzz_random *r)
{
	static const char *const text[] = {
		"SAME_UPPER", "SAME_LOWER", "VALID", "constant", "reflect", "edge", "wrap",
		"nearest", "linear", "cubic", "half_pixel", "align_corners", "asymmetric",
		"forward", "reverse", "bidirectional", "Tanh", "Sigmoid", "Relu", "HardSigmoid",
		"add", "mul", "max", "min", "none", "ij,jk->ik", "...i,...i->...", "ii->i",
		"mean", "sum", "DCR", "CRD", "tanh", "floor", "ceil", "stretch", "not_larger",
	};

	return text[fuzz_below(r, sizeof(text) / sizeof(text[0]))];
}

static const char *word(const ProtobufCFieldDescriptor *field, struct fuzz_random *r)
{
	static const char *const other[] = { "If", "Loop", "Constant", "Scan" };

	if (!strcmp(field->name, "op_type"))
		return fuzz_below(r, 16) ? any_op(r)->name : other[fuzz_below(r, 4)];
	if (!strcmp(field->name, "name"))
		return any_attribute(r);
	if (!strcmp(field->name, "s"))
		return any_text(r);
	return NULL;
}

static size_t put(uint8_t *data, size_t size, size_t max_size, Onnx__ModelProto *m)
{
	size_t bytes = onnx__model_proto__get_packed_size(m);

	if (bytes > max_size)
		return size;
	return onnx__model_proto__pack(m, data);
}

/* A name that something in the graph has. */
static const char *any_name(const Onnx__GraphProto *g, struct fuzz_random *r)
{
	size_t i = fuzz_below(r, g->n_input + g->n_initializer + g->n_node);

	if (i < g->n_input)
		return g->input[i]->name;
	i -= g->n_input;
	if (i < g->n_initializer)
		return g->initializer[i]->name;
	i -= g->n_initializer;
	return i < g->n_node && g->node[i]->n_output ? g->node[i]->output[0] : NULL;
}

static void set_text(char **text, const char *to)
{
	char *copy = strdup(to ? to : "");

	if (!copy)
		return;
	if (*text != protobuf_c_empty_string)
		free(*text);
	*text = copy;
}

static void add_value(Onnx__AttributeProto *a, const struct nc_attr *spec, struct fuzz_random *r)
{
	size_t count = fuzz_below(r, 5);
	const char *text = any_text(r);

	switch (spec->type) {
	case NC_ATTR_INT:
		a->has_i = 1;
		a->i = (int64_t)fuzz_number(r);
		break;
	case NC_ATTR_FLOAT:
		a->has_f = 1;
		a->f = (float)fuzz_below(r, 9) - 4;
		break;
	case NC_ATTR_STRING:
		a->has_s = 1;
		a->s.data = (uint8_t *)strdup(text);
		a->s.len = strlen(text);
		break;
	case NC_ATTR_INTS:
		a->ints = calloc(count + 1, sizeof(*a->ints));
		a->n_ints = a->ints ? count : 0;
		for (size_t i = 0; i < a->n_ints; i++)
			a->ints[i] = (int64_t)(fuzz_below(r, 4) ? fuzz_below(r, 4) : fuzz_number(r));
		break;
	default:
		break;
	}
}

/* An attribute that @op knows, with a value of its type. */
static void add_attribute(Onnx__NodeProto *n, const struct nc_op *op, struct fuzz_random *r)
{
	Onnx__AttributeProto *a, **list;
	size_t count = 0;

	while (op->attr[count].name)
		count++;
	if (!count)
		return;
	list = realloc(n->attribute, (n->n_attribute + 1) * sizeof(*list));
	a = malloc(sizeof(*a));
	if (!list || !a) {
		free(a);
		return;
	}
	n->attribute = list;
	onnx__attribute_proto__init(a);
	count = fuzz_below(r, count);
	set_text(&a->name, op->attr[count].name);
	add_value(a, &op->attr[count], r);
	list[n->n_attribute++] = a;
}

/* Node @n computes something else, from names that are there. */
static void remake_node(const Onnx__GraphProto *g, Onnx__NodeProto *n, struct fuzz_random *r)
{
	const struct nc_op *op = any_op(r);
	size_t room = op->in_max == NC_VARIADIC ? op->in_min + 4u : op->in_max;
	size_t count = op->in_min + fuzz_below(r, room - op->in_min + 1);
	char **in = calloc(count + 1, sizeof(*in));

	if (!in)
		return;
	for (size_t i = 0; i < n->n_input; i++)
		if (i >= count)
			free(n->input[i]);
	for (size_t i = 0; i < count; i++) {
		in[i] = i < n->n_input ? n->input[i] : NULL;
		if (!in[i])
			set_text(&in[i], any_name(g, r));
	}
	free(n->input);
	n->input = in;
	n->n_input = count;
	set_text(&n->op_type, op->name);
	for (size_t i = fuzz_below(r, 4); i; i--)
		add_attribute(n, op, r);
}

/* Changes that a graph knows of, and bytes do not. */
static void change_graph(Onnx__GraphProto *g, struct fuzz_random *r)
{
	Onnx__NodeProto *n = g->n_node ? g->node[fuzz_below(r, g->n_node)] : NULL;
	const struct nc_op *op = n && n->op_type ? nc_op_find(n->op_type) : NULL;

	if (!n)
		return;
	switch (fuzz_below(r, 4)) {
	case 0:
		remake_node(g, n, r);
		break;
	case 1:
		if (n->n_input)
			set_text(&n->input[fuzz_below(r, n->n_input)], any_name(g, r));
		break;
	default:
		if (op)
			add_attribute(n, op, r);
		break;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static const struct fuzz_pb_words words = { .word = word };
	struct fuzz_random r = { .state = seed };
	Onnx__ModelProto *m = NULL;
	struct nc_diag diag = { "" };

	if (fuzz_below(&r, 4) || nc_onnx_scan(data, size, &diag))
		return fuzz_pb_mutate(&onnx__model_proto__descriptor, &words, data, size, max_size,
				      &r);
	m = onnx__model_proto__unpack(NULL, size, data);
	if (!m)
		return LLVMFuzzerMutate(data, size, max_size);
	if (m->graph)
		change_graph(m->graph, &r);
	size = put(data, size, max_size, m);
	onnx__model_proto__free_unpacked(m, NULL);
	return size;
}
