/* SPDX-License-Identifier: MIT */
/*
 * What the importer says about models that other tests do not have: a line for each
 * message, with a node as text. What tools say is in npu_tool.sh.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "net.h"
#include "onnx/onnx.h"
#include "onnx_build.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT32	ONNX__TENSOR_PROTO__DATA_TYPE__INT32
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64
#define BOOL	ONNX__TENSOR_PROTO__DATA_TYPE__BOOL
#define OPSET	23
#define NUMBERS_MAX	16

/**
 * struct row - a node that is refused
 * @op: operator, of opset 7 with Tile@7
 * @in: inputs: f[2,3] is of floats, l of int64, i of int32, b of bool; with =1,2 they are
 *	constants, filled up with the last number; - is not there
 * @attr: axis:1 alpha:1.5 mode:'edge' pads:[1,2] activations:['Tanh'] value:{1,2}
 * @word: in the message
 */
struct row {
	const char *op, *in, *attr, *word;
};

static const struct row rows[] = {
	{ "LSTM", "f[2,2,2] f[1,8,2] f[1,8,2]", "hidden_size:2 activations:['Tanh']",
	  "has 1 activations; it needs 3" },
	{ "LSTM", "f[2,2,2] f[1,8,2] f[1,8,2]", "direction:'sideways'", "\"sideways\" is unknown" },
	{ "LSTM", "f[2,2,2] f[1,8,2] f[1,8,2]", "layout:2", "layout is 2; it must be 0 or 1" },
	{ "LSTM", "f[2,0,2] f[1,8,2] f[1,8,2]", "", "f32[2,0,2] is empty" },
	{ "GRU", "i[2,2,2] f[1,6,2] f[1,6,2]", "", "X is i32[2,2,2]; it must be floats" },
	{ "GRU", "f[2,2,2] f[1,6,2] f[1,6,2] - l[2]", "", "sequence_lens is " },
	{ "GRU", "f[2,2,2] f[1,5,2] f[1,6,2]", "", "W is f32[1,5,2]; it must be f32[1,6,2]" },
	{ "Cast", "f[1]=1e30", "to:6", "does not fit the integer type" },
	{ "Unsqueeze", "f[1,1,1,1,1,1,1,1] l[1]=0", "", "would have 9 dimensions" },
	{ "ConstantOfShape", "l[1]=-2", "", "negative dimension" },
	{ "ConstantOfShape", "l[1]=2", "value:{1,2}", "value has 2 elements; it must have 1" },
	{ "ConstantOfShape", "l[1]=2", "value:{}", "attribute \"value\" has no value" },
	{ "PRelu", "f[2,3] f[5]", "", "slope f32[5] does not broadcast to the input f32[2,3]" },
	{ "Dropout", "f[2] f[]=0.5 b[]", "", "training_mode must be a constant scalar" },
	{ "Dropout", "f[2] f[]=0.5 b[]=1", "", "export the model for inference" },
	{ "Attention", "f[1,2,3,4] f[1,2,5,4] f[1,2,5,4] - f[1,2,3,3] f[1,2,3,3]", "",
	  "input 4 is f32[1,2,3,3]; it must be [1,2,steps,4]" },
	{ "Attention", "f[1,2,3,4] f[1,2,5,4] f[1,2,5,4] f[3,6]", "", "f32[3,6] does not fit" },
	{ "Attention", "f[1,2,3,4] f[1,2,5,4] f[1,2,5,4] f[2,5]", "", "does not broadcast to [1,2,3,5]" },
	{ "Attention@24", "f[1,2,3,4] f[1,2,5,4] f[1,2,5,4] - - - l[2]", "",
	  "nonpad_kv_seqlen is i64[2]; it must be i64[1]" },
	{ "Attention", "f[1,2,3,4] f[1,2,5,3] f[1,2,5,4]", "", "Q and K need the same features" },
	{ "ArgMax", "f[2,0]", "axis:1", "axis 1 has no elements" },
	{ "OneHot", "l[2] l[]=9223372036854775807 f[2]", "", "is too large" },
	{ "OneHot", "l[2] f[]=1e30 f[2]", "", "is 1e+30" },
	{ "OneHot", "l[2] l[] f[2]", "", "one number that is known while compiling" },
	{ "TopK", "f[2,3] l[1]=4", "", "k is 4; axis 1 has 3 elements" },
	{ "Compress", "f[2,3] b[2]", "axis:0", "the condition decides the shape" },
	{ "Expand", "f[2,3] l[2]=5", "", "f32[2,3] does not broadcast to the shape asked for" },
	{ "Concat", "f[2,3] f[3,3]", "axis:1", "may differ in axis 1 only" },
	{ "Pad", "f[2,3] l[4]=1 - l[2]=0", "", "axis 0 is there twice" },
	{ "Pad", "f[2,3] l[4]=1", "mode:'mirror'", "\"mirror\" is none of" },
	{ "Tile", "f[2,3] l[2]=-1", "", "cannot be repeated -1 times" },
	{ "Tile@1", "f[2,3] f[]=-1 f[]=0", "", "cannot repeat -1 times" },
	{ "Slice", "f[2,3] l[2]=0 l[1]=1", "", "has 2 starts, 1 ends" },
	{ "Slice", "f[2,3] l[2]=0 l[2]=1 l[2]=1", "", "axis 1 is there twice" },
	{ "ConvTranspose", "f[1,2,4,4] f[2,2,3,3]", "pads:[9,9,9,9]", "spatial axis 0 would have" },
	{ "ConvTranspose", "f[1,2,4,4] f[2,2,3,3]", "output_shape:[1,2,3]",
	  "output_shape has 3 entries; 2 are needed" },
	{ "MaxPool", "f[1,2,4,4]", "kernel_shape:[2,2] pads:[2,0,0,0]", "padded by a whole window" },
	{ "MaxUnpool", "f[1,1,2,2] l[1,1,2,2]", "kernel_shape:[2,2] pads:[9,9,9,9]",
	  "nothing that is not padding" },
	{ "MaxUnpool", "f[1,1,2,2] l[1,1,2,2] l[3]=4", "kernel_shape:[2,2]",
	  "output_shape has 3 entries; 4 are needed" },
	{ "Col2Im", "f[1,4,4] l[2]=4 l[1]=2", "", "image_shape has 2 entries, block_shape 1" },
	{ "Col2Im", "f[1,4,4] l[2]=4 l[2]=0", "", "image and block sides" },
	{ "Gemm", "f[2,3] f[3,4] f[3,4]", "", "C f32[3,4] does not broadcast to [2,4]" },
	{ "LpPool@1", "f[1,2,4,4]", "kernel_shape:[2,2] p:2.5", "p is 2.5; whole numbers" },
	{ "BatchNormalization@7", "f[2] f[2] f[2] f[2] f[2]", "spatial:0",
	  "spatial=0 is supported for inference" },
	{ "GroupNormalization@18", "f[1,4,2] f[4] f[4]", "num_groups:2", "one value for each group" },
	{ "Einsum", "f[2,3]", "equation:'i(j->i'", "does not fit its 1 inputs" },
	{ "SoftmaxCrossEntropyLoss", "f[2,3] l[2] f[4]", "", "weights f32[4] do not fit" },
	{ "Transpose", "f[2,3]", "perm:[0,0]", "perm" },
	{ "If", "f[2]", "", "the condition must be one truth value" },
	{ "Scan@8", "f[2]", "num_scan_inputs:1", "before opset 9 it runs over a batch" },
	{ "Scan", "f[2]", "num_scan_inputs:2", "its inputs and outputs do not fit its body" },
};

/* ---- From text ---- */

/* Up to @max numbers after @at, separated by commas, ended by @end; what is behind it. */
static const char *get_numbers(const char *at, char end, double *number, size_t max, size_t *count)
{
	char *next;

	*count = 0;
	while (*at && *at != end) {
		assert_true(*count < max);
		number[(*count)++] = strtod(at, &next);
		assert_ptr_not_equal(at, next);
		at = *next == ',' ? next + 1 : next;
	}
	return *at == end ? at + 1 : at;
}

static void put_number(int type, void *data, size_t i, const char *text, double number)
{
	switch (type) {
	case FLOAT:
		((float *)data)[i] = (float)number;
		break;
	case INT64:
		/* all digits of it */
		((int64_t *)data)[i] = strtoll(text, NULL, 10);
		break;
	case INT32:
		((int32_t *)data)[i] = (int32_t)number;
		break;
	default:
		((uint8_t *)data)[i] = number != 0;
		break;
	}
}

static void add_input(struct ob *b, const char *name, const char *text)
{
	int type = *text == 'f' ? FLOAT : *text == 'l' ? INT64 : *text == 'i' ? INT32 : BOOL;
	size_t rank, count, elems = 1;
	double dims[8], number[1];
	int64_t dim[8];
	uint64_t data[64];
	const char *value;

	assert_int_equal(text[1], '[');
	text = get_numbers(text + 2, ']', dims, 8, &rank);
	for (size_t i = 0; i < rank; i++) {
		dim[i] = (int64_t)dims[i];
		elems *= (size_t)dims[i];
	}
	if (*text != '=') {
		ob_input(b, name, type, rank, dim);
		return;
	}
	assert_true(elems <= 64);
	value = text + 1;
	get_numbers(value, '\0', number, 1, &count);
	for (size_t i = 0; i < elems; i++)
		put_number(type, data, i, value, number[0]);
	ob_initializer(b, name, type, rank, dim, data,
		       elems * (type == INT64 ? 8 : type == BOOL ? 1 : 4));
}

static void add_list(struct ob *b, Onnx__NodeProto *n, const char *name, const char *text)
{
	double number[NUMBERS_MAX];
	int64_t ints[NUMBERS_MAX];
	size_t count;

	if (text[1] == '\'') {
		Onnx__AttributeProto *a = ob_attr(b, n, name);

		a->n_strings = 1;
		a->strings = ob_alloc(b, sizeof(*a->strings));
		a->strings[0].len = strcspn(text + 2, "'");
		a->strings[0].data = memcpy(ob_alloc(b, a->strings[0].len), text + 2,
					    a->strings[0].len);
		return;
	}
	get_numbers(text + 1, *text == '[' ? ']' : '}', number, NUMBERS_MAX, &count);
	for (size_t i = 0; i < count; i++)
		ints[i] = (int64_t)number[i];
	if (*text == '[') {
		ob_ints(b, n, name, count, ints);
	} else {
		Onnx__AttributeProto *a = ob_attr(b, n, name);
		const int64_t dim = (int64_t)count;

		a->t = count ? ob_tensor(b, "", INT64, 1, &dim, ints, count * 8) : NULL;
	}
}

static void add_attribute(struct ob *b, Onnx__NodeProto *n, char *text)
{
	char *value = strchr(text, ':');

	assert_non_null(value);
	*value++ = '\0';
	if (*value == '[' || *value == '{') {
		add_list(b, n, text, value);
	} else if (*value == '\'') {
		value[strlen(value) - 1] = '\0';
		ob_string(b, n, text, value + 1);
	} else if (strchr(value, '.')) {
		ob_float(b, n, text, strtof(value, NULL));
	} else {
		ob_int(b, n, text, strtoll(value, NULL, 10));
	}
}

static void make(struct ob *b, const struct row *r)
{
	char op[40], text[200], names[64] = "", *save;
	const char *opset = strchr(r->op, '@');
	Onnx__NodeProto *n;
	int used = 0;

	ob_begin(b, opset ? strtoll(opset + 1, NULL, 10) : OPSET);
	strcpy(text, r->in);
	for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		char name[] = { (char)('a' + used++), '\0' };

		strcat(strcat(names, used > 1 ? " " : ""), *t == '-' ? "-" : name);
		if (*t != '-')
			add_input(b, name, t);
	}
	snprintf(op, sizeof(op), "%.*s", (int)strcspn(r->op, "@"), r->op);
	n = ob_node(b, op, names, "y");
	strcpy(text, r->attr);
	for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
		add_attribute(b, n, t);
	ob_output(b, "y");
}

/* ---- Tests ---- */

/* Reads and compiles what was built, which is refused with @word in one line. */
static void expect_said(struct ob *b, const char *what, const char *word)
{
	struct npu_graph *g = npu_graph_create("words");
	size_t bytes, image_bytes;
	const uint8_t *data = ob_pack(b, &bytes);
	void *image = NULL;
	int ret = nc_onnx_import(g, data, bytes, NULL);

	ret = ret ? ret : npu_graph_compile(g, NULL, NULL, NULL, &image, &image_bytes);
	if (!ret)
		fail_msg("%s was taken, without \"%s\"", what, word);
	if (!strstr(npu_graph_error(g), word) || strchr(npu_graph_error(g), '\n'))
		fail_msg("%s: no \"%s\" in: %s", what, word, npu_graph_error(g));
	free(image);
	npu_graph_destroy(g);
	ob_end(b);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ob b;

		make(&b, &rows[i]);
		expect_said(&b, rows[i].op, rows[i].word);
	}
}

/* Lists that are too long to be meant; a dimension that is not there. */
static void test_counts(void **state)
{
	static int64_t many[5000];
	Onnx__NodeProto *n;
	struct ob b;

	(void)state;
	make(&b, &(const struct row){ "Relu", "f[2]", "", NULL });
	ob_ints(&b, ob_node(&b, "Transpose", "a", "z"), "perm", 5000, many);
	expect_said(&b, "Transpose", "attribute \"perm\" has 5000 entries; at most 4096 are possible");

	make(&b, &(const struct row){ "Relu", "f[2]", "", NULL });
	n = ob_node(&b, "Concat", "a", "z");
	n->input = ob_alloc(&b, 5000 * sizeof(*n->input));
	n->n_input = 5000;
	for (size_t i = 0; i < n->n_input; i++)
		n->input[i] = (char *)(uintptr_t)"a";
	expect_said(&b, "Concat", "has thousands of inputs or outputs");

	make(&b, &(const struct row){ "Relu", "f[2]", "", NULL });
	n = ob_node(&b, "Split", "a", "");
	n->n_output = NC_TENSORS_MAX + 1;
	n->output = ob_alloc(&b, n->n_output * sizeof(*n->output));
	for (size_t i = 0; i < n->n_output; i++)
		n->output[i] = (char *)(uintptr_t)"";
	expect_said(&b, "Split", "tensors; at most 1048576 are possible");

	make(&b, &(const struct row){ "Relu", "f[2]", "", NULL });
	b.graph.input[0]->type->tensor_type->shape->dim[0]->value_case =
		ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
	expect_said(&b, "no name", "dimension 0 is open and has no name; bind it with *=NUMBER");
}

/* Bytes that are no message at all: a group, a field 0, lengths beyond the end. */
static void test_bytes(void **state)
{
	static const struct {
		uint8_t byte[4];
		size_t bytes;
		const char *word;
	} cases[] = {
		{ { 7 << 3 | 3, 7 << 3 | 4 }, 2, "wire type that ONNX does not" },
		{ { 7 << 3 | 7 }, 1, "wire type that ONNX does not" },
		{ { 0, 0 }, 2, "damaged field" },
		{ { 7 << 3 | 2, 5, 0 }, 3, "a length in it is wrong" },
		{ { 1 << 3, 0x80 }, 2, "cut off in a number" },
		{ { 1 << 3 | 5, 0, 0, 0 }, 4, "cut off in a number" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct npu_graph *g = npu_graph_create("bytes");

		assert_int_equal(nc_onnx_import(g, cases[i].byte, cases[i].bytes, NULL), -EINVAL);
		if (!strstr(npu_graph_error(g), cases[i].word))
			fail_msg("no \"%s\" in: %s", cases[i].word, npu_graph_error(g));
		npu_graph_destroy(g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
