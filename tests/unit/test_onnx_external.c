/* SPDX-License-Identifier: MIT */
/*
 * Tensors in other files: what may be read, and the many ways to ask for what may
 * not, at each place where a model can have a tensor.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "onnx/onnx.h"
#include "onnx_build.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define EXTERNAL ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL
#define INTS(...)	((const int64_t[]){ __VA_ARGS__ })
#define ELEMS	4

/* Where a model can have a tensor. */
enum place {
	INITIALIZER,
	CONSTANT,
	ATTRIBUTE,	/* of an operator: ConstantOfShape */
	BRANCH,		/* a Constant in a body */
	BRANCH_INITIALIZER,
	FUNCTION,	/* a Constant in a function */
	SPARSE_INITIALIZER,
	SPARSE_INDICES,
	SPARSE_CONSTANT,
	PLACES
};

static bool is_sparse(enum place place)
{
	return place >= SPARSE_INITIALIZER;
}

static char dir[] = "/tmp/npu-external-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[4][256];
	static unsigned int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
	return path[next];
}

static void write_file(const char *name, const void *data, size_t bytes)
{
	FILE *f = fopen(path_of(name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
}

/* dir/m/: the model's folder; dir/: what is outside of it. */
static int make_files(void **state)
{
	static const float four[ELEMS] = { 1, 2, 3, 4 }, secret[ELEMS] = { 7, 7, 7, 7 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(mkdir(path_of("m"), 0777), 0);
	assert_int_equal(mkdir(path_of("m/sub"), 0777), 0);
	write_file("m/w.bin", four, sizeof(four));
	write_file("m/sub/w.bin", four, sizeof(four));
	write_file("secret", secret, sizeof(secret));
	write_file("m/linked", secret, sizeof(secret));
	assert_int_equal(link(path_of("m/linked"), path_of("other-name")), 0);
	assert_int_equal(symlink("w.bin", path_of("m/soft")), 0);
	assert_int_equal(symlink("../secret", path_of("m/soft-out")), 0);
	assert_int_equal(symlink("sub", path_of("m/soft-dir")), 0);
	assert_int_equal(symlink("..", path_of("m/soft-up")), 0);
	assert_int_equal(mkfifo(path_of("m/fifo"), 0666), 0);
	/* A hole of 64 GiB */
	write_file("m/hole", "", 0);
	assert_int_equal(truncate(path_of("m/hole"), 1ll << 36), 0);
	return 0;
}

static int remove_files(void **state)
{
	static const char *const names[] = {
		"m/w.bin", "m/sub/w.bin", "secret", "m/linked", "other-name", "m/soft", "m/soft-out",
		"m/soft-dir", "m/soft-up", "m/fifo", "m/hole", "m/model.onnx",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	rmdir(path_of("m/sub"));
	rmdir(path_of("m"));
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

/* ---- A model with one tensor in a file ---- */

static void add_entry(struct ob *b, Onnx__TensorProto *t, const char *key, const char *value)
{
	Onnx__StringStringEntryProto *e = ob_alloc(b, sizeof(*e));

	onnx__string_string_entry_proto__init(e);
	e->key = (char *)(uintptr_t)key;
	e->value = (char *)(uintptr_t)value;
	t->external_data[t->n_external_data++] = e;
}

/* @entries: "key=value" separated by blanks. */
static Onnx__TensorProto *make_tensor(struct ob *b, const char *name, size_t rank,
				      const int64_t *dim, const char *entries)
{
	Onnx__TensorProto *t = ob_tensor(b, name, FLOAT, rank, dim, "", 0);
	char *text = strcpy(ob_alloc(b, strlen(entries) + 1), entries), *save = NULL;

	t->has_raw_data = 0;
	t->has_data_location = 1;
	t->data_location = EXTERNAL;
	t->external_data = ob_alloc(b, 16 * sizeof(void *));
	for (char *s = strtok_r(text, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		char *value = strchr(s, '=');

		*value++ = 0;
		add_entry(b, t, s, value);
	}
	return t;
}

static Onnx__SparseTensorProto *make_sparse(struct ob *b, Onnx__TensorProto *t, bool indices)
{
	Onnx__SparseTensorProto *s = ob_alloc(b, sizeof(*s));
	Onnx__TensorProto *other = ob_tensor(b, "i", FLOAT, 1, INTS(1), "abcd", 4);

	onnx__sparse_tensor_proto__init(s);
	s->values = indices ? other : t;
	s->indices = indices ? t : other;
	s->n_dims = 1;
	s->dims = memcpy(ob_alloc(b, 8), INTS(ELEMS), 8);
	return s;
}

static void add_constant(struct ob *b, Onnx__TensorProto *t, const char *out)
{
	ob_attr(b, ob_node(b, "Constant", "", out), "value")->t = t;
}

/* What is built from here to end_body() goes to a body; returns what comes after it. */
static Onnx__GraphProto begin_body(struct ob *b)
{
	Onnx__GraphProto outer = b->graph;

	onnx__graph_proto__init(&b->graph);
	b->graph.node = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.output = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.initializer = ob_alloc(b, OB_MAX * sizeof(void *));
	return outer;
}

static Onnx__GraphProto *end_body(struct ob *b, const Onnx__GraphProto *outer)
{
	Onnx__GraphProto *body = ob_alloc(b, sizeof(*body));

	*body = b->graph;
	b->graph = *outer;
	return body;
}

static void add_branches(struct ob *b, Onnx__TensorProto *t, bool initializer)
{
	static const uint8_t yes = 1;
	Onnx__GraphProto outer = begin_body(b), *body;
	Onnx__NodeProto *n;

	if (initializer)
		b->graph.initializer[b->graph.n_initializer++] = t;
	else
		add_constant(b, t, "w");
	ob_node(b, "Identity", "w", "v");
	ob_output(b, "v");
	body = end_body(b, &outer);
	ob_initializer(b, "c", ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, 0, NULL, &yes, 1);
	n = ob_node(b, "If", "c", "w");
	ob_attr(b, n, "then_branch")->g = body;
	ob_attr(b, n, "else_branch")->g = body;
}

static void add_function(struct ob *b, Onnx__TensorProto *t)
{
	Onnx__GraphProto outer = begin_body(b), *body;
	Onnx__FunctionProto *f = ob_alloc(b, sizeof(*f));

	add_constant(b, t, "v");
	body = end_body(b, &outer);
	onnx__function_proto__init(f);
	f->name = (char *)(uintptr_t)"Weight";
	f->domain = (char *)(uintptr_t)"own";
	f->n_output = 1;
	f->output = ob_alloc(b, sizeof(char *));
	f->output[0] = (char *)(uintptr_t)"v";
	f->n_node = body->n_node;
	f->node = body->node;
	b->model.functions = ob_alloc(b, sizeof(f));
	b->model.functions[b->model.n_functions++] = f;
	ob_node(b, "Weight", "", "w")->domain = (char *)(uintptr_t)"own";
}

static void add_tensor(struct ob *b, enum place place, Onnx__TensorProto *t)
{
	Onnx__AttributeProto *a;

	switch (place) {
	case INITIALIZER:
		b->graph.initializer[b->graph.n_initializer++] = t;
		break;
	case CONSTANT:
		add_constant(b, t, "w");
		break;
	case ATTRIBUTE:
		ob_initializer(b, "s", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, INTS(1), INTS(4), 8);
		ob_attr(b, ob_node(b, "ConstantOfShape", "s", "w"), "value")->t = t;
		break;
	case BRANCH:
	case BRANCH_INITIALIZER:
		add_branches(b, t, place == BRANCH_INITIALIZER);
		break;
	case FUNCTION:
		add_function(b, t);
		break;
	case SPARSE_INITIALIZER:
	case SPARSE_INDICES:
		b->graph.sparse_initializer = ob_alloc(b, sizeof(void *));
		b->graph.sparse_initializer[0] = make_sparse(b, t, place == SPARSE_INDICES);
		b->graph.n_sparse_initializer = 1;
		break;
	default:
		a = ob_attr(b, ob_node(b, "Constant", "", "w"), "sparse_value");
		a->sparse_tensor = make_sparse(b, t, false);
		break;
	}
}

/* Read the model with the tensor at @place; NULL and a message in @error. */
static struct npu_graph *read_model(enum place place, size_t rank, const int64_t *dim,
				    const char *entries, char error[NC_DIAG_BYTES])
{
	size_t bytes;
	const uint8_t *data;
	struct npu_graph *g;
	struct ob b;

	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 1, INTS(1));
	add_tensor(&b, place, make_tensor(&b, "w", place == ATTRIBUTE ? 1 : rank,
					  place == ATTRIBUTE ? INTS(1) : dim, entries));
	ob_node(&b, "Add", "x w", "y");
	ob_output(&b, "y");
	data = ob_pack(&b, &bytes);
	write_file("m/model.onnx", data, bytes);
	ob_end(&b);
	g = npu_graph_read_onnx(path_of("m/model.onnx"), NULL, error, NC_DIAG_BYTES);
	return g;
}

static void expect_refused(enum place place, const char *entries, const char *word)
{
	char error[NC_DIAG_BYTES] = "";

	if (read_model(place, 1, INTS(ELEMS), entries, error))
		fail_msg("place %d was read with %s", place, entries);
	if (!strstr(error, is_sparse(place) ? "sparse" : word) || strchr(error, '\n'))
		fail_msg("place %d, %s: no \"%s\" in: %s", place, entries, word, error);
}

/* ---- Tests ---- */

static void test_read(void **state)
{
	static const char *const good[] = {
		"location=w.bin", "location=./sub/w.bin", "location=sub/../w.bin",
		"location=w.bin length=16", "location=w.bin offset=0 length=16 checksum=abc",
	};
	char error[NC_DIAG_BYTES];

	(void)state;
	for (int place = 0; place < SPARSE_INITIALIZER; place++)
		for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
			struct npu_graph *g;
			bool found = false;

			if (place == ATTRIBUTE && strstr(good[i], "length"))
				continue;
			g = read_model((enum place)place, 1, INTS(ELEMS), good[i], error);
			if (!g)
				fail_msg("place %d, %s: %s", place, good[i], error);
			for (uint32_t t = 0; t < g->tensors; t++) {
				const float *data = g->tensor[t]->data;

				found |= data && g->tensor[t]->elems == ELEMS && data[0] == 1 &&
					 data[3] == (place == ATTRIBUTE ? 1 : 4);
			}
			assert_true(found);
			npu_graph_destroy(g);
		}
}

static void test_offset(void **state)
{
	char error[NC_DIAG_BYTES];
	struct npu_graph *g;
	bool found = false;

	(void)state;
	g = read_model(INITIALIZER, 1, INTS(2), "location=w.bin offset=8 length=8", error);
	if (!g)
		fail_msg("%s", error);
	for (uint32_t t = 0; t < g->tensors; t++) {
		const float *data = g->tensor[t]->data;

		found |= data && g->tensor[t]->elems == 2 && data[0] == 3 && data[1] == 4;
	}
	assert_true(found);
	npu_graph_destroy(g);
}

/* Whatever else there is on this machine stays where it is. */
static void test_escapes(void **state)
{
	static const struct {
		const char *entries, *word;
	} cases[] = {
		{ "location=../secret", "outside of the model's folder" },
		{ "location=sub/../../secret", "outside of the model's folder" },
		{ "location=/etc/passwd", "outside of the model's folder" },
		{ "location=//etc/passwd", "outside of the model's folder" },
		{ "location=soft", "a link" },
		{ "location=soft-out", "a link" },
		{ "location=soft-dir/w.bin", "a link" },
		{ "location=soft-up/secret", "a link" },
		{ "location=linked", "other names" },
		{ "location=fifo", "not a regular file" },
		{ "location=sub", "not a regular file" },
		{ "location=.", "not a regular file" },
		{ "location=/dev/zero", "outside of the model's folder" },
		{ "location=/proc/self/environ", "outside of the model's folder" },
		{ "location=nowhere", "No such file" },
		{ "location=w.bin/", "Not a directory" },
		{ "location=", "something else than one location" },
		{ "offset=0", "no location" },
		{ "location=w.bin location=w.bin", "something else than one location" },
		{ "location=w.bin offset=0 offset=0", "something else" },
		{ "location=w.bin length=16 length=16", "something else" },
		{ "location=w.bin basepath=/etc", "something else" },
		{ "location=w.bin __class__=x", "something else" },
	};
	static const char *const numbers[] = { "-1", "+1", "1.0", "0x10", "1k", "",
		"9223372036854775808", "18446744073709551616", "99999999999999999999999" };

	(void)state;
	for (int place = 0; place < PLACES; place++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			expect_refused((enum place)place, cases[i].entries, cases[i].word);
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			char entries[100];

			snprintf(entries, sizeof(entries), "location=w.bin offset=%s", numbers[i]);
			expect_refused((enum place)place, entries, "offset is not a number");
			snprintf(entries, sizeof(entries), "location=w.bin length=%s", numbers[i]);
			expect_refused((enum place)place, entries, "length is not a number");
		}
		expect_refused((enum place)place, "location=w.bin offset=16", "too short");
		expect_refused((enum place)place, "location=w.bin offset=9223372036854775807",
			       "too short");
		expect_refused((enum place)place, "location=w.bin length=12", "length is not what");
		expect_refused((enum place)place, "location=w.bin length=9223372036854775807",
			       "length is not what");
	}
}

/* Gigabytes that are not there: a message before they take memory. */
static void test_holes(void **state)
{
	char error[NC_DIAG_BYTES];

	(void)state;
	assert_null(read_model(INITIALIZER, 1, INTS(1ll << 30), "location=hole", error));
	assert_non_null(strstr(error, "more than 1024 MiB"));
	assert_null(read_model(INITIALIZER, 1, INTS(1ll << 34), "location=hole offset=1", error));
	assert_non_null(strstr(error, "too short"));
	assert_null(read_model(INITIALIZER, 2, INTS(1ll << 34, 1ll << 34), "location=hole", error));
	assert_non_null(strstr(error, "negative or too large"));
	assert_null(read_model(INITIALIZER, 1, INTS(-4), "location=w.bin", error));
	assert_non_null(strstr(error, "negative or too large"));
}

/* Said in two ways that contradict each other; and a model without a folder. */
static void test_contradictions(void **state)
{
	static float list[ELEMS];
	struct npu_graph *g;
	struct ob b;
	Onnx__TensorProto *t;
	const uint8_t *data;
	size_t bytes;

	(void)state;
	for (int form = 0; form < 4; form++) {
		static const char *const word[] = { "one file", "some are in the model",
						    "some are in the model", "does not say so" };

		ob_begin(&b, 17);
		t = make_tensor(&b, "w", 1, INTS(ELEMS), "location=w.bin");
		t->has_raw_data = form == 1;
		t->n_float_data = form == 2 ? ELEMS : 0;
		t->float_data = form == 2 ? list : NULL;
		t->has_data_location = form != 3;
		t->data_location = form == 3 ? 0 : EXTERNAL;
		add_tensor(&b, INITIALIZER, t);
		ob_node(&b, "Relu", "w", "y");
		ob_output(&b, "y");
		data = ob_pack(&b, &bytes);
		g = npu_graph_create("no folder");
		assert_int_not_equal(nc_onnx_import(g, data, bytes, NULL), 0);
		if (!strstr(npu_graph_error(g), word[form]))
			fail_msg("no \"%s\" in: %s", word[form], npu_graph_error(g));
		npu_graph_destroy(g);
		ob_end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_offset),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_contradictions),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
