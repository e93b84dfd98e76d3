/* SPDX-License-Identifier: MIT */
/* The ONNX reader: older forms, bindings, and everything a file can do wrong. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front.h"
#include "onnx/onnx.h"
#include "onnx_read.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64

/* x [2,3,4] -> op -> y, results compared with @want. */
static void run_one(struct ob *b, const struct ref_tensor *x, struct ref_tensor *want)
{
	struct net net;

	ob_output(b, "y");
	expect_read(b, NULL, &net);
	net_bind(&net, 0, x->data);
	net_expect(&net, want, 1e-5);
}

static void begin_one(struct ob *b, int64_t opset)
{
	ob_begin(b, opset);
	ob_input(b, "x", FLOAT, 3, INTS(2, 3, 4));
}

/* The same operators with attributes (old) and with inputs (new). */
static void test_old_and_new_forms(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -2, 2), want;
	const struct ref_slice slice = { .count = 2, .starts = INTS(1, -3), .ends = INTS(9, 4),
					 .axes = INTS(1, 2) };
	const int64_t axes[] = { 1 }, starts[] = { 1, -3 }, ends[] = { 9, 4 }, on[] = { 1, 2 };
	const int64_t pads[] = { 0, 1, 0, 2, 0, 1 };
	const float low = -0.5f, high = 0.75f;
	struct ob b;
	Onnx__NodeProto *n;

	(void)state;
	for (int new = 0; new < 2; new++) {
		struct ref_reduce reduce = { .axes = axes, .axis_count = 1, .keepdims = true };
		struct ref_unary_attr clip = { low, high };

		begin_one(&b, new ? 18 : 11);
		n = ob_node(&b, "ReduceMean", new ? "x axes" : "x", "y");
		if (new)
			ob_initializer(&b, "axes", INT64, 1, INTS(1), axes, sizeof(axes));
		else
			ob_ints(&b, n, "axes", 1, axes);
		ref_reduce(REF_REDUCE_MEAN, &reduce, &x, &want);
		run_one(&b, &x, &want);

		begin_one(&b, new ? 13 : 9);
		n = ob_node(&b, "Slice", new ? "x s e a" : "x", "y");
		if (new) {
			ob_initializer(&b, "s", INT64, 1, INTS(2), starts, sizeof(starts));
			ob_initializer(&b, "e", INT64, 1, INTS(2), ends, sizeof(ends));
			ob_initializer(&b, "a", INT64, 1, INTS(2), on, sizeof(on));
		} else {
			ob_ints(&b, n, "starts", 2, starts);
			ob_ints(&b, n, "ends", 2, ends);
			ob_ints(&b, n, "axes", 2, on);
		}
		ref_slice(&slice, &x, &want);
		run_one(&b, &x, &want);

		begin_one(&b, new ? 13 : 6 + 1);
		n = ob_node(&b, "Clip", new ? "x - max" : "x", "y");
		if (new) {
			ob_initializer(&b, "max", FLOAT, 0, NULL, &high, sizeof(high));
			clip.alpha = -1e30f;
		} else {
			ob_float(&b, n, "min", low);
			ob_float(&b, n, "max", high);
		}
		ref_unary(REF_CLIP, &clip, &x, &want);
		run_one(&b, &x, &want);

		begin_one(&b, new ? 13 : 10);
		n = ob_node(&b, "Pad", new ? "x p v" : "x", "y");
		if (new) {
			ob_initializer(&b, "p", INT64, 1, INTS(6), pads, sizeof(pads));
			ob_initializer(&b, "v", FLOAT, 0, NULL, &low, sizeof(low));
		} else {
			ob_ints(&b, n, "pads", 6, pads);
			ob_float(&b, n, "value", low);
		}
		ref_pad(&x, 3, pads, NULL, low, &want);
		run_one(&b, &x, &want);

		begin_one(&b, new ? 13 : 11);
		n = ob_node(&b, "Unsqueeze", new ? "x a" : "x", "u");
		if (new)
			ob_initializer(&b, "a", INT64, 1, INTS(1), axes, sizeof(axes));
		else
			ob_ints(&b, n, "axes", 1, axes);
		n = ob_node(&b, "Squeeze", new ? "u a" : "u", "y");
		if (!new)
			ob_ints(&b, n, "axes", 1, axes);
		ref_unary(REF_IDENTITY, NULL, &x, &want);
		run_one(&b, &x, &want);

		/* Split in unequal parts, and back in other order. */
		begin_one(&b, new ? 13 : 11);
		n = ob_node(&b, "Split", new ? "x s" : "x", "p q");
		ob_int(&b, n, "axis", 2);
		if (new)
			ob_initializer(&b, "s", INT64, 1, INTS(2), INTS(1, 3), 16);
		else
			ob_ints(&b, n, "split", 2, INTS(1, 3));
		n = ob_node(&b, "Concat", "q p", "y");
		ob_int(&b, n, "axis", 2);
		{
			struct ref_tensor p, q;
			const struct ref_tensor *list[] = { &q, &p };

			ref_slice(&(struct ref_slice){ .count = 1, .starts = INTS(0),
				.ends = INTS(1), .axes = INTS(2) }, &x, &p);
			ref_slice(&(struct ref_slice){ .count = 1, .starts = INTS(1),
				.ends = INTS(4), .axes = INTS(2) }, &x, &q);
			ref_concat(list, 2, 2, &want);
			ref_tensor_free(&p);
			ref_tensor_free(&q);
		}
		run_one(&b, &x, &want);

		/* Softmax: all dimensions from the axis on, and one. */
		for (int axis = 0; axis < 4; axis++) {
			begin_one(&b, new ? 13 : 12);
			n = ob_node(&b, axis & 1 ? "LogSoftmax" : "Softmax", "x", "y");
			if (axis < 3)
				ob_int(&b, n, "axis", axis);
			if (new)
				ref_softmax(axis & 1 ? REF_LOG_SOFTMAX : REF_SOFTMAX, &x,
					    axis < 3 ? axis : -1, &want);
			else
				ref_softmax_2d(axis & 1 ? REF_LOG_SOFTMAX : REF_SOFTMAX, &x,
					       axis < 3 ? axis : 1, &want);
			run_one(&b, &x, &want);
		}
	}
	ref_tensor_free(&x);
}

/* Typed lists instead of raw bytes, Constant nodes of each kind. */
static void test_data_forms(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -2, 2), want, c = x;
	Onnx__TensorProto *t;
	Onnx__AttributeProto *a;
	Onnx__NodeProto *n;
	float values[4] = { 1, 2, 3, 4 };
	int64_t shape[] = { 6, -1 };
	struct ob b;

	(void)state;
	c = tensor(SHAPE(4), values);
	for (int form = 0; form < 3; form++) {
		begin_one(&b, 13);
		n = ob_node(&b, "Mul", "x c", form ? "m" : "y");
		if (form < 2) {
			t = ob_tensor(&b, "c", FLOAT, 1, INTS(4), "", 0);
			t->has_raw_data = 0;
			t->n_float_data = 4;
			t->float_data = values;
		}
		if (form == 0) {
			b.graph.initializer[b.graph.n_initializer++] = t;
		} else {
			/* Nodes in order: the constant first. */
			n = ob_node(&b, "Constant", "", "c");
			b.graph.node[1] = b.graph.node[0];
			b.graph.node[0] = n;
			if (form == 1) {
				a = ob_attr(&b, n, "value");
				a->t = t;
			} else {
				a = ob_attr(&b, n, "value_floats");
				a->n_floats = 4;
				a->floats = values;
			}
			n = ob_node(&b, "Constant", "", "s");
			a = ob_attr(&b, n, "value_ints");
			a->n_ints = 2;
			a->ints = shape;
			ob_node(&b, "Reshape", "m s", "y");
		}
		ref_binary(REF_MUL, &x, &c, &want);
		if (form) {
			want.rank = 2;
			want.dims[0] = 6;
			want.dims[1] = 4;
		}
		run_one(&b, &x, &want);
	}
	ref_tensor_free(&x);
	ref_tensor_free(&c);
}

/* An initialiser that is an input too (IR version 3) is no input. */
static void test_old_inputs(void **state)
{
	const float c = 2;
	struct net net;
	struct ob b;

	(void)state;
	ob_begin(&b, 8);
	ob_input(&b, "c", FLOAT, 0, NULL);
	ob_input(&b, "x", FLOAT, 1, INTS(3));
	ob_initializer(&b, "c", FLOAT, 0, NULL, &c, sizeof(c));
	ob_node(&b, "Mul", "x c", "y");
	ob_output(&b, "y");
	expect_read(&b, NULL, &net);
	assert_int_equal(net.g->inputs, 1);
	net_end(&net);
}

/* One wrong thing each, in an otherwise good model. */
static void test_refused(void **state)
{
	const float four[4] = { 0 };
	struct ob b;
	Onnx__TensorProto *t;
	Onnx__NodeProto *n;
	Onnx__StringStringEntryProto entry;
	Onnx__StringStringEntryProto *entries[] = { &entry };
	Onnx__TypeProto__Tensor *type;
	char *long_name;

#define MODEL(opset)	do { begin_one(&b, opset); ob_output(&b, "y"); } while (0)
#define GOOD		ob_node(&b, "Relu", "x", "y")

	(void)state;
	MODEL(0);
	GOOD;
	expect_refused(&b, NULL, WORDS("opset 0", "1 to 25"));
	MODEL(26);
	GOOD;
	expect_refused(&b, NULL, WORDS("opset 26"));
	MODEL(13);
	b.model.n_opset_import = 0;
	GOOD;
	expect_refused(&b, NULL, WORDS("does not say which opset"));
	MODEL(13);
	b.model.graph = NULL;
	expect_refused(&b, NULL, WORDS("no graph"));

	MODEL(13);
	ob_node(&b, "NoSuchOp", "x", "y");
	expect_refused(&b, NULL, WORDS("#0 (NoSuchOp)", "not supported"));
	MODEL(13);
	ob_node(&b, "Affine", "x", "y");
	expect_refused(&b, NULL, WORDS("Affine", "not supported"));
	MODEL(13);
	n = GOOD;
	n->domain = (char *)(uintptr_t)"com.example";
	n->name = (char *)(uintptr_t)"act\n\x1b[2J";
	expect_refused(&b, NULL, WORDS("\"act??[2J\"", "com.example"));
	MODEL(13);
	ob_node(&b, "Gelu", "x", "y");
	expect_refused(&b, NULL, WORDS("Gelu", "does not have this operator yet"));
	MODEL(13);
	ob_node(&b, "Relu", "nowhere", "y");
	expect_refused(&b, NULL, WORDS("\"nowhere\"", "no node"));
	MODEL(13);
	ob_node(&b, "Relu", "z", "y");
	ob_node(&b, "Relu", "x", "z");
	expect_refused(&b, NULL, WORDS("\"z\"", "later node"));
	MODEL(13);
	ob_node(&b, "Relu", "y", "y");
	expect_refused(&b, NULL, WORDS("\"y\"", "later node"));
	MODEL(13);
	GOOD;
	GOOD;
	expect_refused(&b, NULL, WORDS("\"y\"", "defined twice"));
	MODEL(13);
	ob_node(&b, "Relu", "x", "other");
	expect_refused(&b, NULL, WORDS("output \"y\"", "no node"));
	MODEL(13);
	ob_node(&b, "Relu", "", "y");
	expect_refused(&b, NULL, WORDS("0 inputs"));
	MODEL(13);
	ob_node(&b, "Relu", "x x", "y");
	expect_refused(&b, NULL, WORDS("2 inputs"));
	MODEL(13);
	ob_node(&b, "Relu", "-", "y");
	expect_refused(&b, NULL, WORDS("0 inputs"));
	MODEL(13);
	ob_node(&b, "Add", "- x", "y");
	expect_refused(&b, NULL, WORDS("input 0 is missing"));
	MODEL(13);
	ob_node(&b, "Relu", "x", "y q");
	expect_refused(&b, NULL, WORDS("2 outputs"));

	MODEL(13);
	ob_int(&b, GOOD, "alpha", 1);
	expect_refused(&b, NULL, WORDS("attribute \"alpha\"", "unknown"));
	MODEL(13);
	n = ob_node(&b, "Softmax", "x", "y");
	ob_int(&b, n, "axis", 1);
	ob_int(&b, n, "axis", 1);
	expect_refused(&b, NULL, WORDS("\"axis\"", "twice"));
	MODEL(13);
	ob_float(&b, ob_node(&b, "Softmax", "x", "y"), "axis", 1);
	expect_refused(&b, NULL, WORDS("\"axis\"", "another type"));
	MODEL(13);
	ob_int(&b, ob_node(&b, "Softmax", "x", "y"), "axis", INT64_MIN);
	expect_refused(&b, NULL, WORDS("axis -9223372036854775808"));
	MODEL(13);
	ob_int(&b, ob_node(&b, "Flatten", "x", "y"), "axis", 4);
	expect_refused(&b, NULL, WORDS("axis 4"));
	MODEL(13);
	ob_ints(&b, ob_node(&b, "Transpose", "x", "y"), "perm", 2, INTS(0, 1));
	expect_refused(&b, NULL, WORDS("perm has 2 entries"));
	MODEL(13);
	n = ob_node(&b, "Constant", "", "y");
	expect_refused(&b, NULL, WORDS("(Constant)", "one attribute"));
	MODEL(13);
	ob_string(&b, ob_node(&b, "Constant", "", "y"), "value_string", "text");
	expect_refused(&b, NULL, WORDS("value_string"));

	/* Tensors: bytes and shape disagree, in every direction. */
#define INIT(rank, dims, bytes)						\
	do {								\
		MODEL(13);						\
		t = ob_initializer(&b, "w", FLOAT, rank, dims, four, bytes); \
		ob_node(&b, "Add", "x w", "y");				\
	} while (0)
	INIT(1, INTS(4), 12);
	expect_refused(&b, NULL, WORDS("initialiser \"w\"", "4 elements"));
	INIT(1, INTS(3), 16);
	expect_refused(&b, NULL, WORDS("initialiser \"w\"", "3 elements"));
	INIT(1, INTS(-4), 16);
	expect_refused(&b, NULL, WORDS("negative or too large"));
	INIT(2, INTS(INT64_MAX, INT64_MAX), 16);
	expect_refused(&b, NULL, WORDS("negative or too large"));
	INIT(3, INTS(1 << 20, 1 << 20, 0), 0);
	expect_refused(&b, NULL, WORDS("negative or too large"));
	INIT(1, INTS(1 << 30), 16);
	expect_refused(&b, NULL, WORDS("1073741824 elements"));
	INIT(1, INTS(1 << 30), 0);
	t->has_raw_data = 0;
	expect_refused(&b, NULL, WORDS("1073741824 elements"));
	INIT(1, INTS(4), 0);
	t->has_raw_data = 0;
	t->n_int64_data = 4;
	t->int64_data = (int64_t *)(uintptr_t)INTS(1, 2, 3, 4);
	expect_refused(&b, NULL, WORDS("other data"));
	INIT(9, INTS(1, 1, 1, 1, 1, 1, 1, 1, 1), 4);
	expect_refused(&b, NULL, WORDS("9 dimensions"));
	INIT(1, INTS(4), 16);
	t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
	expect_refused(&b, NULL, WORDS("DOUBLE"));
	INIT(1, INTS(4), 16);
	t->data_type = 12345;
	expect_refused(&b, NULL, WORDS("unknown", "not supported"));
	INIT(1, INTS(4), 16);
	t->name = NULL;
	expect_refused(&b, NULL, WORDS("initialiser without a name"));
	INIT(1, INTS(4), 16);
	onnx__string_string_entry_proto__init(&entry);
	entry.key = (char *)(uintptr_t)"location";
	entry.value = (char *)(uintptr_t)"../../etc/passwd";
	t->n_external_data = 1;
	t->external_data = entries;
	expect_refused(&b, NULL, WORDS("\"w\"", "another file"));
	INIT(1, INTS(4), 16);
	t->has_data_location = 1;
	t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	expect_refused(&b, NULL, WORDS("another file", "some are in the model"));

	/* Inputs */
	MODEL(13);
	GOOD;
	b.graph.input[0]->type->tensor_type->shape = NULL;
	expect_refused(&b, NULL, WORDS("\"x\"", "no shape"));
	MODEL(13);
	GOOD;
	type = b.graph.input[0]->type->tensor_type;
	type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
	expect_refused(&b, NULL, WORDS("\"x\"", "STRING"));
	MODEL(13);
	GOOD;
	b.graph.input[0]->type = NULL;
	expect_refused(&b, NULL, WORDS("\"x\"", "not a tensor"));
	ob_begin(&b, 13);
	ob_input(&b, "x", FLOAT, 3, INTS(1 << 20, 1 << 20, 1 << 20));
	ob_output(&b, "x");
	expect_refused(&b, NULL, WORDS("\"x\"", "larger"));
	MODEL(13);
	GOOD;
	ob_input(&b, "x", FLOAT, 1, INTS(1));
	expect_refused(&b, NULL, WORDS("\"x\"", "defined twice"));
	long_name = ob_alloc(&b, 1);
	ob_end(&b);
	MODEL(13);
	long_name = ob_alloc(&b, 5001);
	memset(long_name, 'n', 5000);
	ob_node(&b, "Relu", "x", "y")->output[0] = long_name;
	expect_refused(&b, NULL, WORDS("longer than 4096"));
}

/* A message that would be unpacked far larger than its bytes. */
static void test_memory_bomb(void **state)
{
	const size_t count = 3u << 20;
	uint8_t *data = malloc(16 + 2 * count);
	struct npu_graph *g = npu_graph_create("bomb");
	size_t at = 0;
	uint64_t length = 2 * count;

	(void)state;
	/* model.graph = 7, filled with empty nodes (field 1). */
	data[at++] = 7 << 3 | 2;
	while (length >= 128) {
		data[at++] = (uint8_t)(length | 0x80);
		length >>= 7;
	}
	data[at++] = (uint8_t)length;
	for (size_t i = 0; i < count; i++) {
		data[at++] = 1 << 3 | 2;
		data[at++] = 0;
	}
	assert_int_equal(nc_onnx_import(g, data, at, NULL), -EINVAL);
	assert_non_null(strstr(npu_graph_error(g), "memory"));
	npu_graph_destroy(g);
	free(data);
}

/* Thousands of nodes that each make a megabyte out of nothing are left alone. */
static void test_fold_bomb(void **state)
{
	const int64_t shape[] = { 255, 256 };
	struct npu_graph *g = npu_graph_create("bomb");
	const float one = 1;
	int c, s;

	(void)state;
	c = npu_graph_const(g, NULL, NPU_GRAPH_F32, 0, NULL, &one);
	s = npu_graph_const(g, NULL, NPU_GRAPH_I64, 1, INTS(2), shape);
	for (int i = 0; i < 5000; i++) {
		struct nc_node *n = nc_node_new(g, nc_op_find("Expand"), NULL, 2, 1);

		n->in[0] = (uint32_t)c;
		n->in[1] = (uint32_t)s;
		n->out[0] = (uint32_t)nc_graph_tensor(g, NULL);
		assert_int_equal(nc_graph_node(g, n), 0);
	}
	assert_int_equal(nc_fold(g), 0);
	assert_true(nc_arena_bytes(g->arena) < 100u << 20);
	npu_graph_destroy(g);
}

/* graph.node.attribute.g.node.attribute.g ... deeper than any stack. */
static void test_nesting(void **state)
{
	const size_t levels = 200000;
	uint8_t *data = malloc(levels * 8 + 16), *at = data + levels * 8 + 16;
	/* Inside of graph (7): node, attribute, g, node, ... */
	static const uint8_t field[] = { 1, 5, 6 };
	struct npu_graph *g = npu_graph_create("deep");
	uint64_t bytes = 0;

	(void)state;
	for (size_t i = levels; i-- > 0;) {
		uint8_t tag = (uint8_t)((i ? field[(i - 1) % 3] : 7) << 3 | 2);
		uint8_t length[10];
		unsigned int n = 0;
		uint64_t left = bytes;

		do {
			length[n++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
			left >>= 7;
		} while (left);
		at -= n;
		memcpy(at, length, n);
		*--at = tag;
		bytes += n + 1;
	}
	assert_int_equal(nc_onnx_import(g, at, bytes, NULL), -EINVAL);
	assert_non_null(strstr(npu_graph_error(g), "nested too deeply"));
	npu_graph_destroy(g);
	free(data);
}

/* A model with something of everything. */
static const uint8_t *rich_model(struct ob *b, size_t *bytes)
{
	const float w[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	const int64_t shape[] = { 2, -1 };
	Onnx__NodeProto *n;

	ob_begin(b, 13);
	ob_input(b, "x", FLOAT, 4, INTS(-1, 2, 5, 5));
	ob_initializer(b, "w", FLOAT, 4, INTS(1, 2, 2, 2), w, sizeof(w));
	ob_initializer(b, "s", INT64, 1, INTS(2), shape, sizeof(shape));
	n = ob_node(b, "Conv", "x w", "c");
	ob_ints(b, n, "kernel_shape", 2, INTS(2, 2));
	ob_string(b, n, "auto_pad", "SAME_UPPER");
	n = ob_node(b, "LeakyRelu", "c", "r");
	ob_float(b, n, "alpha", 0.5f);
	ob_node(b, "Reshape", "r s", "y");
	ob_output(b, "y");
	return ob_pack(b, bytes);
}

/* Cut off anywhere, and with any byte changed: an error or a graph, no more. */
static void test_damage(void **state)
{
	struct npu_graph *g;
	struct ob b;
	size_t bytes;
	const uint8_t *good = rich_model(&b, &bytes);

	(void)state;
	for (size_t cut = 0; cut <= bytes; cut++) {
		uint8_t *data = malloc(cut + !cut);

		memcpy(data, good, cut);
		g = npu_graph_create("cut");
		if (nc_onnx_import(g, data, cut, "*=2"))
			assert_string_not_equal(npu_graph_error(g), "");
		else
			assert_true(cut == bytes || cut > bytes - 20);
		npu_graph_destroy(g);
		free(data);
	}
	for (size_t i = 0; i < bytes * 40; i++) {
		uint8_t *data = malloc(bytes);
		struct kir *k;

		memcpy(data, good, bytes);
		for (uint32_t n = 1 + net_rand(3); n; n--)
			data[i % bytes] = (uint8_t)net_rand(256);
		g = npu_graph_create("changed");
		if (nc_onnx_import(g, data, bytes, "*=2"))
			assert_string_not_equal(npu_graph_error(g), "");
		else if (!nc_front(g, NULL, NULL, NULL, &k))
			nc_arena_destroy(k->arena);
		npu_graph_destroy(g);
		free(data);
	}
	ob_end(&b);
}

static void test_files(void **state)
{
	char path[] = "/tmp/npu-huge-XXXXXX", error[200];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)NC_ONNX_BYTES_MAX + 1), 0);
	close(fd);
	assert_null(npu_graph_read_onnx(path, NULL, error, sizeof(error)));
	unlink(path);
	assert_non_null(strstr(error, "larger than 2 GiB"));
	assert_null(npu_graph_read_onnx("/nonexistent/model.onnx", NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/model.onnx: cannot open: No such file"));
	assert_null(npu_graph_read_onnx("/dev/null", NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "not a regular file"));
	assert_null(npu_graph_read_onnx("/tmp", NULL, error, 10));
	assert_int_equal(strlen(error), 9);
	assert_null(npu_graph_read_onnx("/tmp", NULL, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_and_new_forms),
		cmocka_unit_test(test_data_forms),
		cmocka_unit_test(test_old_inputs),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_memory_bomb),
		cmocka_unit_test(test_fold_bomb),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_files),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
