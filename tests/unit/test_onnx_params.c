/* SPDX-License-Identifier: MIT */
/*
 * ONNX models read for training: which initialisers are parameters, what the batch does,
 * and that a model is written as it was but for the parameters' values.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "npu_models.h"
#include "npu_train_graph.h"
#include "onnx_build.h"
#include "ref_test.h"

#define FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64
#define BYTES_MAX	(8u << 20)

static char dir[] = "/tmp/npu-params-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[4][512];
	static unsigned int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
	return path[next];
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	(void)state;
	while (d && (e = readdir(d)))
		unlink(path_of(e->d_name));
	closedir(d);
	return rmdir(dir);
}

static void write_file(const char *name, const void *data, size_t bytes)
{
	FILE *f = fopen(path_of(name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
}

static Onnx__ModelProto *read_model(const char *name)
{
	uint8_t *data = malloc(BYTES_MAX);
	FILE *f = fopen(path_of(name), "rb");
	Onnx__ModelProto *model;

	assert_non_null(f);
	assert_non_null(data);
	model = onnx__model_proto__unpack(NULL, fread(data, 1, BYTES_MAX, f), data);
	assert_non_null(model);
	fclose(f);
	free(data);
	return model;
}

static struct npu_graph *read_params(const char *name, const char *bind, int64_t batch)
{
	char error[512];
	struct npu_graph *g = npu_graph_read_onnx_params(path_of(name), bind, batch, error,
							 sizeof(error));

	if (!g)
		fail_msg("%s", error);
	return g;
}

static const char *param_name(const struct npu_graph *g, unsigned int i)
{
	int64_t dim[NPU_GRAPH_RANK_MAX];
	const char *name = "";
	uint64_t first;

	npu_graph_param_info(g, i, &name, dim, &first);
	return name;
}

/* The outputs of @g, or of file @name, on two images. */
static struct ref_tensor outputs(struct npu_graph *g, const char *name, const float *images)
{
	struct ref_tensor y;
	char error[512];
	struct net net;

	if (!g)
		g = npu_graph_read_onnx(path_of(name), NULL, error, sizeof(error));
	if (!g)
		fail_msg("%s", error);
	net_take(&net, g);
	net_bind(&net, 0, images);
	net_run(&net);
	y = net_result(&net, 0);
	net_end(&net);
	return y;
}

/* Read, other values, written: what is in the file is the network with these. */
static void test_networks(void **state)
{
	float *room = malloc(NPU_NET_PARAMS_MAX * (1 << 20)), *all = malloc(4u << 20);
	struct ref_tensor x = net_values(SHAPE(2, 784), 0, 1);

	(void)state;
	for (enum npu_net which = 0; which < NPU_NETS; which++) {
		struct ref_tensor want, got;
		float *param[NPU_NET_PARAMS_MAX];
		struct npu_net_param p;
		struct npu_graph *g;

		for (unsigned int i = 0; !npu_net_param(which, i, &p); i++)
			param[i] = room + (size_t)i * (1 << 18);
		assert_int_equal(npu_net_init(which, 3, param), 0);
		g = npu_net_build(which, 2, (const float *const *)param);
		assert_int_equal(npu_graph_write_onnx(g, path_of("a.onnx")), 0);
		npu_graph_destroy(g);
		/* The file has its own order and layouts: change what it has. */
		g = read_params("a.onnx", NULL, 2);
		assert_int_equal(npu_graph_params(g) > 0, 1);
		npu_graph_get_params(g, all);
		for (uint64_t i = 0; i < npu_graph_param_elems(g); i++)
			all[i] = 0.9f * all[i] + 0.001f * (float)(i % 7);
		npu_graph_set_params(g, all);
		assert_int_equal(npu_graph_write_onnx(g, path_of("b.onnx")), 0);
		want = outputs(g, NULL, x.data);
		got = outputs(NULL, "b.onnx", x.data);
		expect_within(&got, &want, 0);
		ref_tensor_free(&got);
		got = outputs(NULL, "a.onnx", x.data);
		assert_memory_not_equal(got.data, want.data, 20 * sizeof(float));
		ref_tensor_free(&got);
		ref_tensor_free(&want);
	}
	ref_tensor_free(&x);
	free(room);
	free(all);
}

static char *copy_text(struct ob *b, const char *s)
{
	return strcpy(ob_alloc(b, strlen(s) + 1), s);
}

/*
 * y = resize(x, scales) w + b in opset 17, with a symbolic batch. w is raw, b is in
 * float_data, scales and shape decide about shapes, index is integers, s is a scalar.
 */
static void build(struct ob *b)
{
	static const float w[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, scales[] = { 1, 2 }, s = 2;
	static const int64_t shape[] = { -1, 4 }, index[] = { 3, 2, 1, 0 };
	Onnx__StringStringEntryProto *meta;
	Onnx__TensorProto *bias;

	ob_begin(b, 17);
	ob_input(b, "x", FLOAT, 2, INTS(-1, 2));
	ob_initializer(b, "scales", FLOAT, 1, INTS(2), scales, sizeof(scales));
	ob_initializer(b, "w", FLOAT, 2, INTS(4, 2), w, sizeof(w));
	ob_initializer(b, "shape", INT64, 1, INTS(2), shape, sizeof(shape));
	bias = ob_initializer(b, "b", FLOAT, 1, INTS(2), NULL, 0);
	bias->has_raw_data = false;
	bias->n_float_data = 2;
	bias->float_data = ob_alloc(b, 2 * sizeof(float));
	bias->float_data[0] = 0.5f;
	bias->float_data[1] = -0.5f;
	ob_initializer(b, "s", FLOAT, 0, NULL, &s, sizeof(s));
	ob_initializer(b, "index", INT64, 1, INTS(4), index, sizeof(index));
	ob_node(b, "Resize", "x - scales", "r");
	ob_node(b, "Reshape", "r shape", "f");
	ob_int(b, ob_node(b, "Gather", "f index", "h"), "axis", 1);
	ob_node(b, "MatMul", "h w", "m");
	ob_node(b, "Mul", "m s", "n");
	ob_node(b, "Add", "n b", "y");
	ob_output(b, "y");
	meta = ob_alloc(b, sizeof(*meta));
	onnx__string_string_entry_proto__init(meta);
	meta->key = copy_text(b, "author");
	meta->value = copy_text(b, "somebody");
	b->model.metadata_props = ob_alloc(b, sizeof(meta));
	b->model.metadata_props[0] = meta;
	b->model.n_metadata_props = 1;
	b->model.doc_string = copy_text(b, "what it is");
	b->graph.doc_string = copy_text(b, "how it works");
}

/* Packed and written; the bytes must be freed. */
static uint8_t *put(struct ob *b, const char *name, size_t *bytes)
{
	const uint8_t *data = ob_pack(b, bytes);
	uint8_t *copy = malloc(*bytes);

	memcpy(copy, data, *bytes);
	write_file(name, data, *bytes);
	ob_end(b);
	return copy;
}

static void test_which(void **state)
{
	struct npu_graph *g;
	struct ob b;
	size_t bytes;

	(void)state;
	build(&b);
	free(put(&b, "m.onnx", &bytes));
	g = read_params("m.onnx", NULL, 3);
	assert_int_equal(npu_graph_params(g), 2);
	assert_string_equal(param_name(g, 0), "w");
	assert_string_equal(param_name(g, 1), "b");
	assert_int_equal(npu_graph_param_elems(g), 10);
	assert_int_equal(npu_graph_freeze(g, "s*"), 0);
	assert_int_equal(npu_graph_freeze(g, "[w]"), 1);
	assert_int_equal(npu_graph_params(g), 1);
	assert_string_equal(param_name(g, 0), "b");
	assert_int_equal(npu_graph_freeze(g, "*"), 1);
	assert_int_equal(npu_graph_freeze(g, "*"), 0);
	npu_graph_destroy(g);
}

static void test_shapes(void **state)
{
	struct npu_graph *g;
	int64_t dim[NPU_GRAPH_RANK_MAX];
	Onnx__ValueInfoProto *v;
	const char *name;
	struct ob b;
	size_t bytes;

	(void)state;
	build(&b);
	free(put(&b, "m.onnx", &bytes));
	g = read_params("m.onnx", NULL, 3);
	assert_int_equal(npu_graph_shape(g, npu_graph_get_input(g, 0, &name), dim), 2);
	assert_string_equal(name, "x");
	assert_int_equal(dim[0], 3);
	assert_int_equal(npu_graph_type(g, npu_graph_get_output(g, 0, &name)), NPU_GRAPH_F32);
	assert_string_equal(name, "y");
	assert_int_equal(npu_graph_get_input(g, 1, &name), -EINVAL);
	assert_int_equal(npu_graph_get_output(g, 1, &name), -EINVAL);
	assert_int_equal(npu_graph_type(g, -1), -EINVAL);
	assert_int_equal(npu_graph_type(g, 1 << 30), -EINVAL);
	npu_graph_destroy(g);
	/* A dimension without number and name. */
	ob_begin(&b, 17);
	v = ob_input(&b, "x", FLOAT, 2, INTS(0, 2));
	v->type->tensor_type->shape->dim[0]->value_case = 0;
	ob_node(&b, "Relu", "x", "y");
	ob_output(&b, "y");
	free(put(&b, "open.onnx", &bytes));
	g = read_params("open.onnx", NULL, 5);
	npu_graph_shape(g, npu_graph_get_output(g, 0, &name), dim);
	assert_int_equal(dim[0], 5);
	npu_graph_destroy(g);
}

/* All that is not a parameter's value is in the copy as it was, unknown fields too. */
static void test_copy(void **state)
{
	static const float values[] = { 8, 7, 6, 5, 4, 3, 2, 1, 0.25f, 0.75f };
	static const uint8_t unknown[] = { 0xa2, 0x3f, 3, 'a', 'b', 'c' };	/* field 1012 */
	Onnx__ModelProto *model, *old;
	size_t bytes, again_bytes;
	struct npu_graph *g;
	uint8_t *data, *again;
	struct ob b;

	(void)state;
	build(&b);
	data = put(&b, "m.onnx", &bytes);
	data = realloc(data, bytes + sizeof(unknown));
	memcpy(data + bytes, unknown, sizeof(unknown));
	bytes += sizeof(unknown);
	write_file("m.onnx", data, bytes);
	g = read_params("m.onnx", NULL, 3);
	npu_graph_set_params(g, values);
	/* The file itself may be gone by then. */
	unlink(path_of("m.onnx"));
	assert_int_equal(npu_graph_write_onnx(g, path_of("n.onnx")), 0);
	npu_graph_destroy(g);

	model = read_model("n.onnx");
	old = onnx__model_proto__unpack(NULL, bytes, data);
	assert_memory_equal(model->graph->initializer[1]->raw_data.data, values, 32);
	assert_memory_equal(model->graph->initializer[3]->raw_data.data, values + 8, 8);
	assert_int_equal(model->graph->initializer[3]->n_float_data, 0);
	/* With the old values it is the old model. */
	memcpy(model->graph->initializer[1]->raw_data.data,
	       old->graph->initializer[1]->raw_data.data, 32);
	onnx__tensor_proto__free_unpacked(model->graph->initializer[3], NULL);
	model->graph->initializer[3] = old->graph->initializer[3];
	again_bytes = onnx__model_proto__get_packed_size(model);
	again = malloc(again_bytes);
	onnx__model_proto__pack(model, again);
	assert_int_equal(again_bytes, bytes);
	/* protobuf-c puts fields in their order, as data has them. */
	onnx__model_proto__pack(old, data);
	assert_memory_equal(again, data, bytes);
	old->graph->initializer[3] = old->graph->initializer[5];
	old->graph->n_initializer = 5;
	onnx__tensor_proto__free_unpacked(model->graph->initializer[3], NULL);
	model->graph->initializer[3] = model->graph->initializer[5];
	model->graph->n_initializer = 5;
	onnx__model_proto__free_unpacked(model, NULL);
	onnx__model_proto__free_unpacked(old, NULL);
	free(again);
	free(data);
}

/* What was in another file is in the copy, parameter or not. */
static void test_external(void **state)
{
	static const float four[] = { 1, 2, 3, 4 };
	static const float values[] = { 5, 6 };
	Onnx__ModelProto *model;
	struct npu_graph *g;
	struct ob b;
	size_t bytes;

	(void)state;
	write_file("w.bin", four, sizeof(four));
	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 2, INTS(2, 2));
	for (int i = 0; i < 2; i++) {
		Onnx__TensorProto *t = ob_initializer(&b, i ? "frozen" : "w", FLOAT, 1, INTS(2),
						      NULL, 0);
		const char *const entry[][2] = { { "location", "w.bin" },
						 { "offset", i ? "8" : "0" } };

		t->has_raw_data = false;
		t->has_data_location = true;
		t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
		t->n_external_data = 2;
		t->external_data = ob_alloc(&b, 2 * sizeof(*t->external_data));
		for (int k = 0; k < 2; k++) {
			Onnx__StringStringEntryProto *e = ob_alloc(&b, sizeof(*e));

			onnx__string_string_entry_proto__init(e);
			e->key = copy_text(&b, entry[k][0]);
			e->value = copy_text(&b, entry[k][1]);
			t->external_data[k] = e;
		}
	}
	ob_node(&b, "Mul", "x w", "m");
	ob_node(&b, "Add", "m frozen", "y");
	ob_output(&b, "y");
	free(put(&b, "m.onnx", &bytes));
	g = read_params("m.onnx", NULL, 2);
	assert_int_equal(npu_graph_freeze(g, "frozen"), 1);
	npu_graph_set_params(g, values);
	assert_int_equal(npu_graph_write_onnx(g, path_of("n.onnx")), 0);
	npu_graph_destroy(g);
	model = read_model("n.onnx");
	for (int i = 0; i < 2; i++) {
		const Onnx__TensorProto *t = model->graph->initializer[i];

		assert_int_equal(t->n_external_data, 0);
		assert_false(t->has_data_location);
		assert_int_equal(t->raw_data.len, 8);
		assert_memory_equal(t->raw_data.data, i ? four + 2 : values, 8);
	}
	onnx__model_proto__free_unpacked(model, NULL);
}

static void refused(const char *name, const char *bind, int64_t batch, const char *words)
{
	char error[512] = "";

	assert_null(npu_graph_read_onnx_params(path_of(name), bind, batch, error, sizeof(error)));
	if (!strstr(error, words))
		fail_msg("\"%s\" instead of \"%s\"", error, words);
}

static void test_refused(void **state)
{
	struct npu_graph *g;
	struct ob b;
	size_t bytes;

	(void)state;
	build(&b);
	free(put(&b, "m.onnx", &bytes));
	refused("m.onnx", "a=4", 3, "is bound to 4, but is 3");
	refused("none.onnx", NULL, 3, "No such file");
	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 2, INTS(8, 2));
	ob_node(&b, "Relu", "x", "y");
	ob_output(&b, "y");
	free(put(&b, "fixed.onnx", &bytes));
	refused("fixed.onnx", NULL, 3, "has a batch of 8, not 3");
	npu_graph_destroy(read_params("fixed.onnx", NULL, 8));
	npu_graph_destroy(read_params("fixed.onnx", NULL, 0));
	ob_begin(&b, 17);
	ob_input(&b, "x", FLOAT, 0, NULL);
	ob_node(&b, "Relu", "x", "y");
	ob_output(&b, "y");
	free(put(&b, "scalar.onnx", &bytes));
	refused("scalar.onnx", NULL, 3, "is a scalar");

	g = read_params("m.onnx", NULL, 3);
	assert_int_equal(npu_graph_write_onnx(g, path_of("none/n.onnx")), -ENOENT);
	assert_non_null(strstr(npu_graph_error(g), "cannot write: No such file"));
	npu_graph_destroy(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
