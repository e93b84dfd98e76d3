/* SPDX-License-Identifier: MIT */
/*
 * What fuzzing starts from, made by the project itself: a model of each operator,
 * a few of more than one node, the programs they compile to, and descriptors as
 * text.
 *
 *	fuzz_seeds DIR		writes DIR/onnx, DIR/tensor, DIR/program, DIR/asm, DIR/core
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen_desc.h"
#include "graph/graph.h"
#include "npu_disasm.h"
#include "onnx/onnx.h"
#include "onnx_build.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64
#define BOOL	ONNX__TENSOR_PROTO__DATA_TYPE__BOOL
#define INT32	ONNX__TENSOR_PROTO__DATA_TYPE__INT32
#define OPSET	25
#define INPUTS	8
#define STREAMS	16
#define CODE_BYTES	4096u

static const char *out_dir;

static void write_seed(const char *kind, const char *name, const void *data, size_t bytes)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", out_dir, kind);
	if (mkdir(path, 0777) && errno != EEXIST)
		goto err_file;
	snprintf(path, sizeof(path), "%s/%s/%s", out_dir, kind, name);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f))
		goto err_file;
	return;

err_file:
	perror(path);
	exit(1);
}

/* ---- A model of each operator ---- */

/**
 * struct form - what inputs an operator may want
 * @type: of all inputs, or of the first if @rest is not 0
 * @shape: of input i, ends with -1
 * @value: inputs from the second on are initialisers filled with this; -1: no
 */
struct form {
	int type, rest;
	int64_t shape[INPUTS][5];
	int value;
};

#define ALL(...)	{ { __VA_ARGS__, -1 }, { __VA_ARGS__, -1 }, { __VA_ARGS__, -1 }, \
			  { __VA_ARGS__, -1 }, { __VA_ARGS__, -1 }, { __VA_ARGS__, -1 } }

static const struct form forms[] = {
	{ FLOAT, 0, ALL(2, 3, 4), -1 },
	{ FLOAT, 0, { { 1, 2, 4, 4, -1 }, { 2, 2, 2, 2, -1 }, { 2, -1 }, { 2, -1 }, { 2, -1 } }, 1 },
	{ FLOAT, 0, { { 1, 2, 4, 4, -1 }, { 2, -1 }, { 2, -1 }, { 2, -1 }, { 2, -1 } }, 1 },
	{ FLOAT, 0, { { 2, 2, 2, -1 }, { 1, 8, 2, -1 }, { 1, 8, 2, -1 } }, 1 },
	{ FLOAT, 0, { { 2, 2, 2, -1 }, { 1, 6, 2, -1 }, { 1, 6, 2, -1 } }, 1 },
	{ FLOAT, 0, { { 2, 2, 2, -1 }, { 1, 2, 2, -1 }, { 1, 2, 2, -1 } }, 1 },
	{ FLOAT, 0, ALL(2, 2), -1 },
	{ FLOAT, 0, ALL(1, 2, 4, 4), -1 },
	{ FLOAT, INT64, { { 2, 3, 4, -1 }, { 1, -1 }, { 1, -1 }, { 1, -1 }, { 1, -1 } }, 1 },
	{ FLOAT, INT64, { { 2, 3, 4, -1 }, { 3, -1 }, { 3, -1 }, { 3, -1 } }, 2 },
	{ FLOAT, INT64, { { 2, 3, 4, -1 }, { 6, -1 }, { -1 } }, 1 },
	{ FLOAT, INT64, { { 2, 3, 4, -1 }, { -1 }, { -1 } }, 1 },
	{ FLOAT, INT64, { { 2, 2, -1 }, { 2, 2, -1 }, { 2, 2, -1 } }, 1 },
	{ INT64, 0, { { 3, -1 }, { 3, -1 }, { 3, -1 } }, 2 },
	{ INT64, 0, { { -1 }, { -1 }, { -1 } }, 3 },
	{ BOOL, 0, ALL(2, 3), -1 },
	{ BOOL, FLOAT, ALL(2, 3), -1 },
	{ INT32, 0, ALL(2, 3), -1 },
};

static bool has(const struct nc_op *op, const char *attribute)
{
	for (const struct nc_attr *a = op->attr; a->name; a++)
		if (!strcmp(a->name, attribute))
			return true;
	return false;
}

/* Without these, operators that have them say no. */
static void add_attributes(struct ob *b, Onnx__NodeProto *n, const struct nc_op *op)
{
	static const int64_t two[] = { 2, 2 };
	static const struct {
		const char *name;
		int64_t value;
	} ints[] = {
		{ "to", FLOAT }, { "blocksize", 2 }, { "hidden_size", 2 }, { "num_heads", 1 },
		{ "q_num_heads", 1 }, { "kv_num_heads", 1 }, { "num_groups", 2 },
		{ "num_outputs", 2 }, { "size", 3 },
	};

	if (has(op, "kernel_shape"))
		ob_ints(b, n, "kernel_shape", 2, two);
	if (has(op, "equation"))
		ob_string(b, n, "equation", "ij,jk->ik");
	if (!strcmp(op->name, "BitShift"))
		ob_string(b, n, "direction", "LEFT");
	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
		if (has(op, ints[i].name) && strcmp(op->name, "Attention"))
			ob_int(b, n, ints[i].name, ints[i].value);
}

static void add_input(struct ob *b, const struct form *form, unsigned int i, const char *name)
{
	union {
		float f[64];
		int64_t l[64];
		int32_t w[128];
		uint8_t c[512];
	} data = { .c = { 0 } };
	int type = i && form->rest ? form->rest : form->type;
	size_t rank = 0, elems = 1;

	while (form->shape[i][rank] >= 0 && rank < 5)
		elems *= (size_t)form->shape[i][rank++];
	if (form->value < 0 || (!i && form->type == FLOAT) || elems > 64) {
		ob_input(b, name, type, rank, form->shape[i]);
		return;
	}
	for (size_t k = 0; k < elems; k++) {
		if (type == FLOAT)
			data.f[k] = (float)form->value / (float)(k + 1);
		else if (type == INT64)
			data.l[k] = form->value;
		else
			data.w[k] = form->value;
	}
	ob_initializer(b, name, type, rank, form->shape[i], &data,
		       elems * (type == INT64 ? 8 : type == BOOL ? 1 : 4));
}

static void make_op(struct ob *b, const struct nc_op *op, const struct form *form,
		    unsigned int ins)
{
	static const char *const name[INPUTS] = { "x", "w", "b", "c", "d", "e", "f", "g" };
	static const char *const outs[] = { "", "y", "y z", "y z v", "y z v u" };
	char list[2 * INPUTS + 1] = "";

	ob_begin(b, OPSET);
	for (unsigned int i = 0; i < ins; i++) {
		add_input(b, form, i, name[i]);
		strcat(strcat(list, i ? " " : ""), name[i]);
	}
	add_attributes(b, ob_node(b, op->name, list, outs[op->out_min ? op->out_min : 1]), op);
	ob_output(b, "y");
}

/* Whether it is read and compiled; then its program is a seed too. */
static bool try_model(const char *name, struct ob *b)
{
	static const struct npu_target target = {
		.array_rows = 8, .array_cols = 8, .spm_bytes = 64u << 10, .acc_bytes = 16u << 10,
	};
	struct npu_graph *g = npu_graph_create(name);
	size_t bytes, image_bytes;
	const uint8_t *data = ob_pack(b, &bytes);
	void *image = NULL;
	bool good;

	good = !nc_onnx_import(g, data, bytes, "*=2") &&
	       !npu_graph_compile(g, &target, NULL, NULL, &image, &image_bytes);
	if (good && image_bytes <= 4096)
		write_seed("program", name, image, image_bytes);
	free(image);
	npu_graph_destroy(g);
	return good;
}

static void write_model(const char *name, struct ob *b)
{
	size_t bytes;
	const uint8_t *data = ob_pack(b, &bytes);

	write_seed("onnx", name, data, bytes);
}

/* The first form that works, with few inputs and with many; or none that does. */
static void seed_op(const struct nc_op *op)
{
	unsigned int most = op->in_max == NC_VARIADIC ? 2 : op->in_max;
	unsigned int taken = 0;
	struct ob b;

	most = most > 6 ? 6 : most;
	for (unsigned int ins = most; ins + 1 > op->in_min && taken < 2; ins--) {
		for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
			char name[64];
			bool good;

			snprintf(name, sizeof(name), "%s-%u", op->name, ins);
			make_op(&b, op, &forms[i], ins);
			good = try_model(name, &b);
			if (good)
				write_model(name, &b);
			ob_end(&b);
			taken += good;
			if (good)
				break;
		}
		if (!ins)
			break;
	}
	if (taken)
		return;
	make_op(&b, op, &forms[0], op->in_min);
	write_model(op->name, &b);
	ob_end(&b);
}

/* ---- Models of more than one node ---- */

static void finish(const char *name, struct ob *b)
{
	if (!try_model(name, b))
		fprintf(stderr, "%s does not compile\n", name);
	write_model(name, b);
	ob_end(b);
}

#define INTS(...)	((const int64_t[]){ __VA_ARGS__ })

static void seed_conv_net(void)
{
	static const float weight[2 * 2 * 9] = { 0.5f, -1, 0.25f, 2 };
	Onnx__NodeProto *n;
	struct ob b;

	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 4, INTS(-1, 2, 6, 6));
	ob_initializer(&b, "w", FLOAT, 4, INTS(2, 2, 3, 3), weight, sizeof(weight));
	ob_initializer(&b, "s", FLOAT, 1, INTS(2), weight, 8);
	ob_initializer(&b, "shape", INT64, 1, INTS(2), INTS(0, -1), 16);
	n = ob_node(&b, "Conv", "x w s", "c");
	ob_string(&b, n, "auto_pad", "SAME_UPPER");
	ob_node(&b, "BatchNormalization", "c s s s s", "n");
	ob_node(&b, "Relu", "n", "r");
	n = ob_node(&b, "MaxPool", "r", "p");
	ob_ints(&b, n, "kernel_shape", 2, INTS(2, 2));
	ob_ints(&b, n, "strides", 2, INTS(2, 2));
	ob_node(&b, "Reshape", "p shape", "f");
	ob_node(&b, "Softmax", "f", "y");
	ob_output(&b, "y");
	finish("net-conv", &b);
}

static void seed_shapes(void)
{
	Onnx__NodeProto *n;
	struct ob b;

	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 3, INTS(-1, 3, 4));
	ob_initializer(&b, "one", INT64, 1, INTS(1), INTS(1), 8);
	ob_initializer(&b, "rest", INT64, 1, INTS(1), INTS(-1), 8);
	ob_node(&b, "Shape", "x", "s");
	ob_node(&b, "Gather", "s one", "g");
	n = ob_node(&b, "Concat", "g rest", "t");
	ob_int(&b, n, "axis", 0);
	ob_node(&b, "Reshape", "x t", "r");
	n = ob_node(&b, "Transpose", "r", "q");
	ob_ints(&b, n, "perm", 2, INTS(1, 0));
	ob_node(&b, "MatMul", "r q", "y");
	ob_output(&b, "y");
	finish("net-shapes", &b);
}

/* A graph for an attribute: z = op(x, x), or of what the caller fills in. */
static Onnx__GraphProto *make_body(struct ob *b, const char *op, const char *in)
{
	Onnx__GraphProto *outer = ob_alloc(b, sizeof(*outer)), *body = ob_alloc(b, sizeof(*body));

	*outer = b->graph;
	onnx__graph_proto__init(&b->graph);
	b->graph.node = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.input = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.output = ob_alloc(b, OB_MAX * sizeof(void *));
	ob_node(b, op, in, "z");
	*body = b->graph;
	b->graph = *outer;
	return body;
}

static void add_graph(struct ob *b, Onnx__NodeProto *n, const char *name, Onnx__GraphProto *body)
{
	Onnx__AttributeProto *a = ob_attr(b, n, name);

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
	a->g = body;
}

static void add_value_info(struct ob *b, Onnx__ValueInfoProto ***list, size_t *count,
			   const char *name)
{
	Onnx__ValueInfoProto *v = ob_alloc(b, sizeof(*v));

	onnx__value_info_proto__init(v);
	v->name = strcpy(ob_alloc(b, strlen(name) + 1), name);
	(*list)[(*count)++] = v;
}

static void seed_if(void)
{
	Onnx__GraphProto *yes, *no;
	Onnx__NodeProto *n;
	struct ob b;

	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 2, INTS(2, 3));
	ob_input(&b, "c", BOOL, 0, NULL);
	yes = make_body(&b, "Add", "x x");
	no = make_body(&b, "Relu", "x");
	add_value_info(&b, &yes->output, &yes->n_output, "z");
	add_value_info(&b, &no->output, &no->n_output, "z");
	n = ob_node(&b, "If", "c", "y");
	add_graph(&b, n, "then_branch", yes);
	add_graph(&b, n, "else_branch", no);
	ob_output(&b, "y");
	finish("net-if", &b);
}

static void seed_loop(void)
{
	static const uint8_t yes = 1;
	Onnx__GraphProto *body;
	Onnx__NodeProto *n;
	struct ob b;

	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 2, INTS(2, 3));
	ob_initializer(&b, "m", INT64, 0, NULL, INTS(3), 8);
	ob_initializer(&b, "c", BOOL, 0, NULL, &yes, 1);
	body = make_body(&b, "Add", "v x");
	add_value_info(&b, &body->input, &body->n_input, "i");
	add_value_info(&b, &body->input, &body->n_input, "on");
	add_value_info(&b, &body->input, &body->n_input, "v");
	add_value_info(&b, &body->output, &body->n_output, "on");
	add_value_info(&b, &body->output, &body->n_output, "z");
	add_value_info(&b, &body->output, &body->n_output, "z");
	n = ob_node(&b, "Loop", "m c x", "last y");
	add_graph(&b, n, "body", body);
	ob_output(&b, "y");
	finish("net-loop", &b);
}

static void seed_function(void)
{
	Onnx__FunctionProto *f;
	Onnx__GraphProto *body;
	Onnx__NodeProto *n;
	struct ob b;

	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 2, INTS(2, 3));
	body = make_body(&b, "LeakyRelu", "in");
	ob_attr(&b, body->node[0], "alpha")->ref_attr_name = (char *)(uintptr_t)"slope";
	f = ob_alloc(&b, sizeof(*f));
	onnx__function_proto__init(f);
	f->name = (char *)(uintptr_t)"Leak";
	f->domain = (char *)(uintptr_t)"own";
	f->n_input = f->n_output = 1;
	f->input = ob_alloc(&b, sizeof(char *));
	f->output = ob_alloc(&b, sizeof(char *));
	f->input[0] = (char *)(uintptr_t)"in";
	f->output[0] = (char *)(uintptr_t)"z";
	f->n_node = body->n_node;
	f->node = body->node;
	f->n_opset_import = 1;
	f->opset_import = b.opsets;
	b.model.n_functions = 1;
	b.model.functions = ob_alloc(&b, sizeof(f));
	b.model.functions[0] = f;
	n = ob_node(&b, "Leak", "x", "y");
	n->domain = (char *)(uintptr_t)"own";
	ob_float(&b, n, "slope", 0.25f);
	ob_output(&b, "y");
	finish("net-function", &b);
}

/* ---- Tensors, text, commands ---- */

static void seed_tensor(const char *name, Onnx__TensorProto *t)
{
	uint8_t *data = malloc(onnx__tensor_proto__get_packed_size(t));

	assert(data);
	write_seed("tensor", name, data, onnx__tensor_proto__pack(t, data));
	free(data);
}

static void seed_tensors(void)
{
	static float list[4] = { 1, 2, 3, -4 };
	static const uint8_t raw[64] = { 1, 0, 1, 1 };
	static const int types[] = { 1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 16 };
	static const unsigned int elem_bytes[] = { 4, 1, 1, 2, 4, 8, 1, 2, 8, 4, 8, 2 };
	static int64_t longs[4] = { 1, -1, INT64_MAX, 0 };
	static int32_t words[4] = { 1, 0, 1, 1 };
	Onnx__TensorProto *t;
	struct ob b;

	ob_begin(&b, 13);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "raw-%d", types[i]);
		seed_tensor(name, ob_tensor(&b, "t", types[i], 2, INTS(2, 2), raw,
					    (size_t)4 * elem_bytes[i]));
	}
	t = ob_tensor(&b, "t", FLOAT, 1, INTS(4), "", 0);
	t->has_raw_data = 0;
	t->n_float_data = 4;
	t->float_data = list;
	seed_tensor("floats", t);
	t = ob_tensor(&b, "t", INT64, 1, INTS(4), "", 0);
	t->has_raw_data = 0;
	t->n_int64_data = 4;
	t->int64_data = longs;
	seed_tensor("longs", t);
	t = ob_tensor(&b, "t", BOOL, 2, INTS(2, 2), "", 0);
	t->has_raw_data = 0;
	t->n_int32_data = 4;
	t->int32_data = words;
	seed_tensor("words", t);
	ob_end(&b);
}

static void seed_streams(void)
{
	static char text[CODE_BYTES * 16];
	static uint64_t code[CODE_BYTES / 8];
	struct gen g;

	gen_init(&g, 1);
	for (unsigned int i = 0; i < STREAMS; i++) {
		size_t length = 0, used, bytes;
		char name[32];

		bytes = gen_stream(&g, code, sizeof(code));
		for (size_t at = 0; at < bytes; at += used) {
			length += npu_disasm(&code[at / 8], bytes - at, 0, text + length,
					     sizeof(text) - length, &used);
			assert(length + 2 < sizeof(text));
			text[length++] = '\n';
		}
		snprintf(name, sizeof(name), "stream-%u", i);
		write_seed("asm", name, text, length < 4096 ? length : 4096);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: fuzz_seeds DIR\n");
		return 2;
	}
	out_dir = argv[1];
	if (mkdir(out_dir, 0777) && errno != EEXIST) {
		perror(out_dir);
		return 1;
	}
	for (int i = 0; i < NC_OPS; i++)
		if (nc_op_get((enum nc_opcode)i)->since)
			seed_op(nc_op_get((enum nc_opcode)i));
	seed_conv_net();
	seed_shapes();
	seed_if();
	seed_loop();
	seed_function();
	seed_tensors();
	seed_streams();
	return 0;
}
