/* SPDX-License-Identifier: MIT */
/* Symbolic dimensions of a model's inputs: bound by the user, or by inputs at hand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"
#include "onnx_read.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64

static void test_bindings(void **state)
{
	static const struct {
		const char *bind;
		int64_t a, b;
		const char *word;
	} cases[] = {
		{ "a=5,b=7", 5, 7, NULL },
		{ "b=7,a=5", 5, 7, NULL },
		{ "*=3", 3, 3, NULL },
		{ "a=2,*=9", 2, 9, NULL },
		{ NULL, 0, 0, "a=NUMBER" },
		{ "", 0, 0, "a=NUMBER" },
		{ "a=5", 0, 0, "b=NUMBER" },
		{ "a", 0, 0, "list of dimensions" },
		{ "a=", 0, 0, "must be a number" },
		{ "a=x", 0, 0, "must be a number" },
		{ "a=0,b=1", 0, 1, NULL },
		{ "a=-1,b=1", 0, 0, "must be a number" },
		{ "a=5,b=99999999999", 0, 0, "must be a number" },
		{ "a=5;b=6", 0, 0, "must be a number" },
		{ "=5", 0, 0, "list of dimensions" },
		{ "a=5,b=7,c=1", 0, 0, "no input has a dimension \"c\"" },
		{ "*=3,aa=1", 0, 0, "no input has a dimension \"aa\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ob b;
		struct net net;

		ob_begin(&b, 13);
		ob_input(&b, "x", FLOAT, 2, INTS(-1, -2));
		ob_node(&b, "Relu", "x", "y");
		ob_output(&b, "y");
		if (cases[i].word) {
			expect_refused(&b, cases[i].bind, WORDS(cases[i].word));
			continue;
		}
		expect_read(&b, cases[i].bind, &net);
		assert_int_equal(net.g->tensor[net.g->input[0]]->dim[0], cases[i].a);
		assert_int_equal(net.g->tensor[net.g->input[0]]->dim[1], cases[i].b);
		net_end(&net);
	}
}

/* Reshape of x by an input: @given for both; NULL or the message. */
static void read_given(struct npu_graph_given *given, unsigned int count, const char *word)
{
	struct npu_graph *g = npu_graph_create("given");
	struct ob b;
	size_t bytes;
	const uint8_t *data;
	int ret;

	ob_begin(&b, 13);
	ob_input(&b, "x", FLOAT, 2, INTS(-1, 6));
	ob_input(&b, "rows", INT64, 1, INTS(1));
	ob_input(&b, "rest", INT64, 1, INTS(1));
	ob_node(&b, "Concat", "rows rest", "shape");
	ob_int(&b, b.graph.node[0], "axis", 0);
	ob_node(&b, "Reshape", "x shape", "y");
	ob_output(&b, "y");
	data = ob_pack(&b, &bytes);
	ret = nc_graph_give(g, given, count);
	ret = ret ? ret : nc_onnx_import(g, data, bytes, NULL);
	ob_end(&b);
	if (word) {
		assert_int_not_equal(ret, 0);
		if (!strstr(npu_graph_error(g), word))
			fail_msg("no \"%s\" in: %s", word, npu_graph_error(g));
	} else {
		if (ret)
			fail_msg("%s", npu_graph_error(g));
		assert_int_equal(g->inputs, 1);
		assert_int_equal(g->tensor[g->output[0].tensor]->dim[0], 3);
		assert_int_equal(g->tensor[g->output[0].tensor]->dim[1], 8);
	}
	npu_graph_destroy(g);
}

/* Shapes that inputs decide about: the values given for these inputs count. */
static void test_given(void **state)
{
	const int64_t three = 3, rest[] = { -1, -1 };
	struct npu_graph_given all[] = {
		{ .name = "rows", .dtype = NPU_GRAPH_I64, .rank = 1, .dim = { 1 }, .data = &three },
		{ .name = "rest", .dtype = NPU_GRAPH_I64, .rank = 1, .dim = { 1 }, .data = rest },
		{ .name = "x", .rank = 2, .dim = { 4, 6 } },
	}, given[3];

	(void)state;
	read_given(all, 3, NULL);
	read_given(all, 2, "bind it with a=NUMBER");
	memcpy(given, all, sizeof(all));
	given[1].data = NULL;
	read_given(given, 3, "must be known while compiling");
	given[1] = all[1];
	given[1].dtype = NPU_GRAPH_I32;
	read_given(given, 3, "must be known while compiling");
	given[1] = all[1];
	given[1].dim[0] = 2;
	read_given(given, 3, "dimension 0 is 1, but 2 in what is given");
	given[1] = all[1];
	given[2].rank = 1;
	read_given(given, 3, "has 2 dimensions, but 1 in what is given");
	given[2].rank = 9;
	read_given(given, 3, "at most 8");
	given[2] = all[2];
	given[2].dim[1] = 5;
	read_given(given, 3, "dimension 1 is 6, but 5 in what is given");
}

/* x [a,b] and y [b,a], read with what is given for some of them. */
static void read_pair(const char *bind, const struct npu_graph_given *given, unsigned int count,
		      const char *const *words)
{
	struct npu_graph *g = npu_graph_create("pair");
	struct ob b;
	size_t bytes;
	const uint8_t *data;
	int ret;

	ob_begin(&b, 13);
	ob_input(&b, "x", FLOAT, 2, INTS(-1, -2));
	ob_input(&b, "y", FLOAT, 2, INTS(-2, -1));
	ob_node(&b, "MatMul", "x y", "z");
	ob_output(&b, "z");
	data = ob_pack(&b, &bytes);
	ret = nc_graph_give(g, given, count);
	ret = ret ? ret : nc_onnx_import(g, data, bytes, bind);
	ob_end(&b);
	if (!words && ret)
		fail_msg("%s", npu_graph_error(g));
	for (uint32_t i = 0; !words && i < 2; i++) {
		assert_int_equal(g->tensor[g->input[0]]->dim[i], 3 + i);
		assert_int_equal(g->tensor[g->input[1]]->dim[i], 4 - i);
	}
	if (words)
		assert_int_not_equal(ret, 0);
	for (; words && *words; words++)
		if (!strstr(npu_graph_error(g), *words))
			fail_msg("no \"%s\" in: %s", *words, npu_graph_error(g));
	npu_graph_destroy(g);
}

/* An input at hand binds the dimensions that it names, for the others too. */
static void test_shared_names(void **state)
{
	const struct npu_graph_given x = { .name = "x", .rank = 2, .dim = { 3, 4 } };
	const struct npu_graph_given y = { .name = "y", .rank = 2, .dim = { 4, 3 } };
	const struct npu_graph_given wrong = { .name = "y", .rank = 2, .dim = { 4, 5 } };

	(void)state;
	read_pair(NULL, &x, 1, NULL);
	read_pair(NULL, &y, 1, NULL);
	read_pair(NULL, (const struct npu_graph_given[]){ x, y }, 2, NULL);
	read_pair("*=7", &x, 1, NULL);
	read_pair("a=3", &x, 1, NULL);
	read_pair(NULL, (const struct npu_graph_given[]){ x, wrong }, 2,
		  WORDS("\"a\" is 3", "\"x\"", "5 for \"y\""));
	read_pair("a=9", &x, 1, WORDS("\"a\" is bound to 9", "is 3", "\"x\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_shared_names),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
