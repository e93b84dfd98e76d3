/* SPDX-License-Identifier: MIT */
/*
 * Models that ask for too much or make no sense: little ones that would become
 * huge, attributes beyond any range, operators without inputs or with inputs of
 * every rank. All of them end soon with a program or with one line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "net.h"
#include "onnx/onnx.h"
#include "onnx_build.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64
#define BOOL	ONNX__TENSOR_PROTO__DATA_TYPE__BOOL
#define OPSET	25
#define BIG	(1ll << 32)

/* Memory that a model of a few hundred bytes may take. */
#define BYTES_MAX	((1ull << 30) + (1 << 20))

static const struct npu_target small = {
	.array_rows = 8, .array_cols = 8, .spm_bytes = 64u << 10, .acc_bytes = 16u << 10,
};

/* Read and compile; 0, or -errno and one line in @text. */
static int compile(struct ob *b, const struct npu_target *target, char text[NC_DIAG_BYTES])
{
	struct npu_graph *g = npu_graph_create("hostile");
	size_t bytes, image_bytes;
	const uint8_t *data = ob_pack(b, &bytes);
	void *image = NULL;
	int ret = nc_onnx_import(g, data, bytes, NULL);

	ret = ret ? ret : npu_graph_compile(g, target, NULL, NULL, &image, &image_bytes);
	assert_true(nc_arena_bytes(g->arena) < BYTES_MAX);
	strcpy(text, npu_graph_error(g));
	assert_int_equal(!ret, !text[0]);
	for (const char *c = text; *c; c++)
		assert_true((unsigned char)*c >= ' ');
	free(image);
	npu_graph_destroy(g);
	ob_end(b);
	return ret;
}

static void expect_refused(struct ob *b, const char *word)
{
	char text[NC_DIAG_BYTES];

	ob_output(b, "y");
	if (!compile(b, &small, text))
		fail_msg("compiled, without \"%s\"", word);
	if (!strstr(text, word))
		fail_msg("no \"%s\" in: %s", word, text);
}

static void begin(struct ob *b)
{
	ob_begin(b, OPSET);
	ob_input(b, "x", FLOAT, 4, INTS(1, 4, 8, 8));
}

/* An initialiser of @count integers. */
static void add_ints(struct ob *b, const char *name, size_t count, const int64_t *value)
{
	const int64_t dim = (int64_t)count;

	ob_initializer(b, name, INT64, 1, &dim, value, count * sizeof(*value));
}

/* ---- What grows ---- */

static void test_bombs(void **state)
{
	static const int64_t huge[] = { BIG, BIG, BIG, BIG }, wide[] = { 1 << 13, 1 << 13, 16, 8 };
	struct ob b;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const int64_t *list = i ? wide : huge;
		const char *word = i ? "more than 10" : "larger than 64 GiB";

		begin(&b);
		add_ints(&b, "n", 4, list);
		ob_node(&b, "Tile", "x n", "y");
		expect_refused(&b, "larger than 64 GiB");
		begin(&b);
		add_ints(&b, "n", 4, list);
		ob_initializer(&b, "one", FLOAT, 0, NULL, (const float[]){ 1 }, 4);
		ob_node(&b, "Expand", "one n", "e");
		ob_node(&b, "Add", "e x", "y");
		expect_refused(&b, i ? "" : word);
		begin(&b);
		add_ints(&b, "n", 4, list);
		ob_node(&b, "ConstantOfShape", "n", "c");
		ob_node(&b, "Softmax", "c", "y");
		expect_refused(&b, i ? "more than " : word);
	}
	begin(&b);
	ob_initializer(&b, "a", INT64, 0, NULL, INTS(0), 8);
	ob_initializer(&b, "b", INT64, 0, NULL, INTS(INT64_MAX), 8);
	ob_initializer(&b, "c", INT64, 0, NULL, INTS(1), 8);
	ob_node(&b, "Range", "a b c", "y");
	expect_refused(&b, "would make 9.2");
	begin(&b);
	ob_initializer(&b, "a", INT64, 0, NULL, INTS(INT64_MIN), 8);
	ob_initializer(&b, "b", INT64, 0, NULL, INTS(INT64_MAX), 8);
	ob_initializer(&b, "c", INT64, 0, NULL, INTS(0), 8);
	ob_node(&b, "Range", "a b c", "y");
	expect_refused(&b, "Range");
	begin(&b);
	add_ints(&b, "n", 8, INTS(0, 0, 0, INT64_MAX, 0, 0, 0, INT64_MAX));
	ob_node(&b, "Pad", "x n", "y");
	expect_refused(&b, "Pad");
	begin(&b);
	add_ints(&b, "n", 8, INTS(0, 0, 0, BIG, 0, 0, 0, BIG));
	ob_node(&b, "Pad", "x n", "y");
	expect_refused(&b, "larger than 64 GiB");
	begin(&b);
	add_ints(&b, "n", 8, INTS(0, 0, 0, INT64_MIN, 0, 0, 0, INT64_MIN));
	ob_node(&b, "Pad", "x n", "y");
	expect_refused(&b, "Pad");
	begin(&b);
	add_ints(&b, "n", 4, INTS(1, 4, BIG, BIG));
	ob_node(&b, "Resize", "x - - n", "y");
	expect_refused(&b, "axis 2 is scaled by");
	begin(&b);
	ob_initializer(&b, "s", FLOAT, 1, INTS(4), (const float[]){ 1, 1, 1e30f, 1e30f }, 16);
	ob_node(&b, "Resize", "x - s", "y");
	expect_refused(&b, "Resize");
	begin(&b);
	ob_initializer(&b, "s", FLOAT, 1, INTS(4), (const float[]){ 1, 1, 0, -1 }, 16);
	ob_node(&b, "Resize", "x - s", "y");
	expect_refused(&b, "Resize");
}

/* Tensors that are legal and large: a program, or a word about memory. */
static void test_large(void **state)
{
	static const char *const ops[] = {
		"Relu", "ReduceMean", "Softmax", "GlobalLpPool", "GlobalAveragePool", "CumSum",
		"MeanVarianceNormalization", "Concat",
	};
	char text[NC_DIAG_BYTES];
	struct ob b;

	(void)state;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		bool sum = !strcmp(ops[i], "CumSum"), both = !strcmp(ops[i], "Concat");
		Onnx__NodeProto *n;
		int ret;

		ob_begin(&b, OPSET);
		ob_input(&b, "x", FLOAT, 3, i % 2 ? INTS(1 << 25, 8, 8) : INTS(2, 3, 1 << 28));
		ob_initializer(&b, "axis", INT64, 0, NULL, INTS(0), 8);
		n = ob_node(&b, ops[i], sum ? "x axis" : both ? "x x" : "x", "y");
		if (both)
			ob_int(&b, n, "axis", -1);
		ob_output(&b, "y");
		ret = compile(&b, NULL, text);
		if (ret && ret != -E2BIG && ret != -EOPNOTSUPP && ret != -ENOTSUP)
			fail_msg("%s: %d, %s", ops[i], ret, text);
	}
}

/* ---- Control flow ---- */

static Onnx__GraphProto begin_body(struct ob *b)
{
	Onnx__GraphProto outer = b->graph;

	onnx__graph_proto__init(&b->graph);
	b->graph.node = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.input = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.output = ob_alloc(b, OB_MAX * sizeof(void *));
	return outer;
}

static void end_body(struct ob *b, const Onnx__GraphProto *outer, Onnx__NodeProto *n,
		     const char *name)
{
	Onnx__GraphProto *body = ob_alloc(b, sizeof(*body));

	*body = b->graph;
	b->graph = *outer;
	ob_attr(b, n, name)->g = body;
}

/* @depth loops around each other, @trips times each, one more node at a time. */
static void add_loop(struct ob *b, unsigned int depth, const char *in, const char *out)
{
	char names[6][16];
	Onnx__GraphProto outer;
	Onnx__NodeProto *n;
	char list[64];

	for (int i = 0; i < 6; i++)
		snprintf(names[i], sizeof(names[i]), "%c%u", 'a' + i, depth);
	snprintf(list, sizeof(list), "trips - %s", in);
	n = ob_node(b, "Loop", list, out);
	outer = begin_body(b);
	ob_input(b, names[0], INT64, 0, NULL);
	ob_input(b, names[1], BOOL, 0, NULL);
	ob_input(b, names[2], FLOAT, 4, INTS(1, 4, 8, 8));
	ob_node(b, "Identity", names[1], names[3]);
	if (depth)
		add_loop(b, depth - 1, names[2], names[4]);
	else
		ob_node(b, "Relu", names[2], names[4]);
	ob_output(b, names[3]);
	ob_output(b, names[4]);
	end_body(b, &outer, n, "body");
}

static void test_loops(void **state)
{
	static const struct {
		int64_t trips;
		unsigned int depth;
		const char *word;
	} cases[] = {
		{ INT64_MAX, 0, "65536 iterations" },
		{ 60000, 1, "nodes" },
		{ 1000, 3, "nodes" },
		{ 2, 17, "bodies are nested too deeply" },
		{ 2, 20, "it is nested too deeply" },
	};
	char text[NC_DIAG_BYTES];
	struct ob b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&b);
		ob_initializer(&b, "trips", INT64, 0, NULL, &cases[i].trips, 8);
		add_loop(&b, cases[i].depth, "x", "y");
		ob_output(&b, "y");
		if (!compile(&b, &small, text))
			fail_msg("%lld trips were compiled", (long long)cases[i].trips);
		if (!strstr(text, cases[i].word) && !strstr(text, "memory") &&
		    !strstr(text, "more than"))
			fail_msg("no \"%s\" in: %s", cases[i].word, text);
	}
}

/* ---- Functions ---- */

#define DOMAIN	"own"

static Onnx__NodeProto *call_of(struct ob *b, const char *name)
{
	Onnx__NodeProto *n = ob_alloc(b, sizeof(*n));

	onnx__node_proto__init(n);
	n->op_type = (char *)(uintptr_t)name;
	n->domain = (char *)(uintptr_t)DOMAIN;
	return n;
}

/* A function without inputs and outputs that is @count times @n. */
static Onnx__FunctionProto *function_of(struct ob *b, const char *name, size_t count,
					Onnx__NodeProto *n)
{
	Onnx__FunctionProto *f = ob_alloc(b, sizeof(*f));

	onnx__function_proto__init(f);
	f->name = (char *)(uintptr_t)name;
	f->domain = (char *)(uintptr_t)DOMAIN;
	f->n_node = count;
	f->node = ob_alloc(b, (count + 1) * sizeof(*f->node));
	for (size_t i = 0; i < count; i++)
		f->node[i] = n;
	return f;
}

/* Functions that call the next one many times; the last one does nothing. */
static void test_call_bomb(void **state)
{
	static const char *const name[] = { "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7" };
	Onnx__FunctionProto *list[8];
	struct ob b;

	(void)state;
	begin(&b);
	for (size_t i = 0; i < 8; i++)
		list[i] = function_of(&b, name[i], i < 7 ? 64 : 0,
				      call_of(&b, name[i < 7 ? i + 1 : 0]));
	b.model.functions = list;
	b.model.n_functions = 8;
	b.graph.node[b.graph.n_node++] = call_of(&b, "f0");
	ob_node(&b, "Relu", "x", "y");
	expect_refused(&b, "called more than a million times");
}

/* Many functions, and as many calls of the last one: no search through all of them. */
static void test_many_functions(void **state)
{
	const size_t count = 100000;
	Onnx__FunctionProto **list;
	Onnx__NodeProto **node, *n;
	char text[NC_DIAG_BYTES];
	struct ob b;

	(void)state;
	begin(&b);
	list = ob_alloc(&b, count * sizeof(*list));
	list[0] = function_of(&b, "other", 0, NULL);
	for (size_t i = 1; i < count - 1; i++)
		list[i] = list[0];
	list[count - 1] = function_of(&b, "f", 0, NULL);
	b.model.functions = list;
	b.model.n_functions = count;
	node = ob_alloc(&b, count * sizeof(*node));
	n = call_of(&b, "f");
	for (size_t i = 0; i < count - 1; i++)
		node[i] = n;
	node[count - 1] = ob_node(&b, "Relu", "x", "y");
	b.graph.node = node;
	b.graph.n_node = count;
	ob_output(&b, "y");
	if (compile(&b, &small, text))
		fail_msg("%s", text);
}

/* A node of a function, and the call of it, with very many attributes. */
static void test_many_attributes(void **state)
{
	const size_t count = 100000;
	Onnx__AttributeProto *a, *c;
	Onnx__NodeProto *n, *call;
	Onnx__FunctionProto *list[1];
	struct ob b;

	(void)state;
	begin(&b);
	n = call_of(&b, "Relu");
	n->domain = NULL;
	n->attribute = ob_alloc(&b, count * sizeof(a));
	a = ob_attr(&b, n, "alpha");
	a->ref_attr_name = (char *)(uintptr_t)"slope";
	call = call_of(&b, "f");
	call->attribute = ob_alloc(&b, count * sizeof(c));
	c = ob_attr(&b, call, "other");
	for (size_t i = 0; i < count; i++) {
		n->attribute[i] = a;
		call->attribute[i] = c;
	}
	n->n_attribute = call->n_attribute = count;
	list[0] = function_of(&b, "f", 1, n);
	b.model.functions = list;
	b.model.n_functions = 1;
	b.graph.node[b.graph.n_node++] = call;
	ob_node(&b, "Relu", "x", "y");
	expect_refused(&b, "more than 256 attributes");

	begin(&b);
	list[0] = function_of(&b, "f", 0, NULL);
	list[0]->n_opset_import = count;
	list[0]->opset_import = ob_alloc(&b, count * sizeof(*list[0]->opset_import));
	for (size_t i = 0; i < count; i++)
		list[0]->opset_import[i] = b.opsets[0];
	b.model.functions = list;
	b.model.n_functions = 1;
	ob_node(&b, "Relu", "x", "y");
	expect_refused(&b, "more than 256 opsets");
}

/* ---- Every operator, with inputs and attributes of all kinds ---- */

static void add_any_attributes(struct ob *b, Onnx__NodeProto *n, const struct nc_op *op,
			       int64_t value)
{
	for (const struct nc_attr *a = op->attr; a->name; a++) {
		if (a->type == NC_ATTR_INT)
			ob_int(b, n, a->name, value);
		else if (a->type == NC_ATTR_INTS)
			ob_ints(b, n, a->name, 4, INTS(value, value, value, value));
		else if (a->type == NC_ATTR_FLOAT)
			ob_float(b, n, a->name, (float)value);
		else if (a->type == NC_ATTR_STRING)
			ob_string(b, n, a->name, "nonsense");
	}
}

/* One attribute only, so that no other one is the reason to say no. */
static void add_one_attribute(struct ob *b, Onnx__NodeProto *n, const struct nc_op *op,
			      unsigned int which, int64_t value)
{
	const struct nc_attr *a = op->attr;

	while (a->name && which--)
		a++;
	if (a->name && a->type == NC_ATTR_INT)
		ob_int(b, n, a->name, value);
	else if (a->name && a->type == NC_ATTR_INTS)
		ob_ints(b, n, a->name, 2, INTS(value, value));
	else if (a->name && a->type == NC_ATTR_FLOAT)
		ob_float(b, n, a->name, (float)value);
}

static void try_op(const struct nc_op *op, unsigned int ins, size_t rank, int kind, int64_t value)
{
	static const int64_t dim[] = { 2, 2, 3, 3, 1, 1, 1, 1 };
	static const int64_t twos[64] = { 2, 2, 1 };
	static const char *const name[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
	char list[32] = "", text[NC_DIAG_BYTES];
	Onnx__NodeProto *n;
	struct ob b;

	ob_begin(&b, OPSET);
	for (unsigned int i = 0; i < ins; i++) {
		size_t elems = 1;

		for (size_t k = 0; k < rank; k++)
			elems *= (size_t)dim[k];
		if (kind == 1 && i)
			ob_initializer(&b, name[i], INT64, rank, dim, twos, elems * 8);
		else
			ob_input(&b, name[i], kind == 2 ? INT64 : FLOAT, rank, dim);
		strcat(strcat(list, i ? " " : ""), name[i]);
	}
	n = ob_node(&b, op->name, list, op->out_min > 1 ? "y z" : "y");
	if (value < 0 || kind == 2)
		add_any_attributes(&b, n, op, value);
	else
		add_one_attribute(&b, n, op, (unsigned int)rank, value);
	ob_output(&b, "y");
	compile(&b, &small, text);
}

/* Zero inputs, too many, ranks that do not fit: no more than a message. */
static void test_inputs(void **state)
{
	(void)state;
	for (int i = 0; i < NC_OPS; i++) {
		const struct nc_op *op = nc_op_get((enum nc_opcode)i);
		unsigned int most = op->in_max < 7 ? op->in_max + 1u : 8u;
		struct ob b;

		if (!op->since)
			continue;
		for (unsigned int ins = 0; ins <= most; ins++)
			for (size_t rank = 0; rank <= 4; rank++)
				try_op(op, ins, rank, (int)(rank + ins) % 2, 1);
		if (!op->in_min)
			continue;
		ob_begin(&b, OPSET);
		ob_node(&b, op->name, "", "y");
		expect_refused(&b, "input");
	}
}

/* A first output that nobody wants is one that the operator computes all the same. */
static void test_outputs(void **state)
{
	static const struct {
		const char *op, *in, *out, *attribute;
	} cases[] = {
		{ "MaxPool", "x", "- y", "kernel_shape" },
		{ "TopK", "x k", "- y", NULL },
		{ "Dropout", "x", "- y", NULL },
		{ "LayerNormalization", "x s", "- - y", NULL },
		{ "Split", "x", "- y", NULL },
		{ "LSTM", "t w r", "- - y", NULL },
		{ "GRU", "t v q", "- y", NULL },
	};
	char text[NC_DIAG_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Onnx__NodeProto *n;
		struct ob b;

		begin(&b);
		ob_initializer(&b, "k", INT64, 1, INTS(1), INTS(3), 8);
		ob_input(&b, "s", FLOAT, 1, INTS(8));
		ob_input(&b, "t", FLOAT, 3, INTS(2, 2, 2));
		ob_input(&b, "w", FLOAT, 3, INTS(1, 8, 2));
		ob_input(&b, "r", FLOAT, 3, INTS(1, 8, 2));
		ob_input(&b, "v", FLOAT, 3, INTS(1, 6, 2));
		ob_input(&b, "q", FLOAT, 3, INTS(1, 6, 2));
		n = ob_node(&b, cases[i].op, cases[i].in, cases[i].out);
		if (cases[i].attribute)
			ob_ints(&b, n, cases[i].attribute, 2, INTS(2, 2));
		if (cases[i].op[1] == 'p')
			ob_int(&b, n, "num_outputs", 2);
		if (cases[i].in[0] == 't')
			ob_int(&b, n, "hidden_size", 2);
		ob_output(&b, "y");
		if (compile(&b, &small, text))
			fail_msg("%s: %s", cases[i].op, text);
	}
}

/* Zero, negative, one more than fits: divisors, strides, axes, block sizes, groups. */
static void test_attributes(void **state)
{
	static const int64_t values[] = { 0, -1, 4, 5, 255, BIG, BIG + 1, INT64_MAX, INT64_MIN };

	(void)state;
	for (int i = 0; i < NC_OPS; i++) {
		const struct nc_op *op = nc_op_get((enum nc_opcode)i);

		if (!op->since)
			continue;
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
			for (size_t rank = 0; rank <= 4; rank += 2)
				for (int kind = 0; kind < 3; kind++)
					try_op(op, op->in_min, rank, kind, values[v]);
	}
}

static void test_ranges(void **state)
{
	static const struct {
		const char *op, *in, *attribute;
		int64_t value;
		const char *word;
	} cases[] = {
		{ "DepthToSpace", "x", "blocksize", BIG, "no whole blocks of size" },
		{ "DepthToSpace", "x", "blocksize", 0, "no whole blocks of size" },
		{ "SpaceToDepth", "x", "blocksize", BIG, "no whole blocks of size" },
		{ "SpaceToDepth", "x", "blocksize", 0, "no whole blocks of size" },
		{ "SpaceToDepth", "x", "blocksize", -1, "no whole blocks of size" },
		{ "Conv", "x w", "group", 0, "group" },
		{ "Conv", "x w", "group", -4, "group" },
		{ "Conv", "x w", "group", BIG, "group" },
		{ "Conv", "x w", "group", 1ll << 62, "group" },
		{ "ConvTranspose", "x w", "group", 0, "group" },
		{ "Softmax", "x", "axis", 4, "axis 4" },
		{ "Softmax", "x", "axis", -5, "axis -5" },
		{ "Concat", "x x", "axis", 4, "axis 4" },
		{ "Split", "x", "axis", 4, "axis 4" },
		{ "ArgMax", "x", "axis", 4, "axis 4" },
		{ "Hardmax", "x", "axis", INT64_MAX, "axis" },
		{ "LRN", "x", "size", 0, "size" },
		{ "LRN", "x", "size", INT64_MIN, "size" },
		{ "GroupNormalization", "x s s", "num_groups", 0, "num_groups" },
		{ "LSTM", "t u u", "hidden_size", BIG, "hidden_size" },
		{ "BitShift", "n n", "to", 1, "unknown" },
	};
	static const struct {
		const char *op, *in, *attribute;
		int64_t value;
		const char *word;
	} lists[] = {
		{ "Conv", "x w", "strides", 0, "strides" },
		{ "Conv", "x w", "strides", -1, "strides" },
		{ "Conv", "x w", "strides", BIG, "strides" },
		{ "Conv", "x w", "dilations", 0, "dilations" },
		{ "Conv", "x w", "dilations", BIG, "dilations" },
		{ "Conv", "x w", "kernel_shape", BIG, "kernel" },
		{ "ConvTranspose", "x w", "strides", 0, "strides" },
		{ "MaxPool", "x", "kernel_shape", 0, "kernel" },
		{ "MaxPool", "x", "kernel_shape", BIG, "kernel" },
		{ "AveragePool", "x", "kernel_shape", -1, "kernel" },
		{ "LpPool", "x", "kernel_shape", 9, "" },
		{ "Transpose", "x", "perm", 4, "perm" },
	};
	struct ob b;

	(void)state;
	for (int list = 0; list < 2; list++)
		for (size_t i = 0; i < (list ? sizeof(lists) / sizeof(lists[0]) :
					       sizeof(cases) / sizeof(cases[0])); i++) {
			Onnx__NodeProto *n;

			begin(&b);
			ob_input(&b, "w", FLOAT, 4, INTS(4, 4, 3, 3));
			ob_input(&b, "t", FLOAT, 3, INTS(2, 2, 2));
			ob_input(&b, "u", FLOAT, 3, INTS(1, 8, 2));
			ob_input(&b, "s", FLOAT, 1, INTS(4));
			add_ints(&b, "n", 2, INTS(1, 2));
			n = ob_node(&b, list ? lists[i].op : cases[i].op,
				    list ? lists[i].in : cases[i].in, "y");
			if (list)
				ob_ints(&b, n, lists[i].attribute, 2,
					INTS(lists[i].value, lists[i].value));
			else
				ob_int(&b, n, cases[i].attribute, cases[i].value);
			expect_refused(&b, list ? lists[i].word : cases[i].word);
		}
}

/* What folding computes says why it does not. */
static void test_folded(void **state)
{
	struct ob b;

	(void)state;
	ob_begin(&b, OPSET);
	add_ints(&b, "n", 2, INTS(1, 2));
	ob_string(&b, ob_node(&b, "BitShift", "n n", "y"), "direction", "UP");
	expect_refused(&b, "an attribute has a value outside of its range");
	ob_begin(&b, OPSET);
	ob_initializer(&b, "f", FLOAT, 1, INTS(2), "abcdefg", 8);
	ob_string(&b, ob_node(&b, "Gelu", "f", "y"), "approximate", "add");
	expect_refused(&b, "an attribute has a value outside of its range");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_call_bomb),
		cmocka_unit_test(test_many_functions),
		cmocka_unit_test(test_many_attributes),
		cmocka_unit_test(test_inputs),
		cmocka_unit_test(test_outputs),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_folded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
