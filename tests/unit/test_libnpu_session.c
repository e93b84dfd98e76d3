/* SPDX-License-Identifier: MIT */
/* Programs, models and sessions: good ones end to end, and broken ones. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libnpu_rig.h"
#include "npu_graph.h"
#include "npu_prog_read.h"

/* A program as a file and as a model that was made of it. */
static struct npu_model *open_image(struct npu_device *dev, void *image, size_t bytes)
{
	char *path = rig_file(image, bytes);
	struct npu_model *model = npu_model_open(dev, path, NULL);

	unlink(path);
	free(path);
	free(image);
	return model;
}

static void check_affine(struct npu_session *s, uint32_t n, float scale, float offset, int consts)
{
	const float *y = npu_session_map_output(s, 0);
	float *x = npu_session_map_input(s, 0);

	assert_some(x);
	assert_some(y);
	for (uint32_t i = 0; i < n; i++)
		x[i] = (float)i * 0.25f;
	assert_ok(npu_session_run(s));
	for (uint32_t i = 0; i < n; i++)
		assert_true(y[i] == x[i] * scale + offset + (consts ? 0.5f * (float)i : 0));
}

static void test_info(void **state)
{
	struct npu_device *dev = *state;
	struct npu_tensor_info info;
	struct npu_model *model;
	size_t bytes;
	void *image = pb_affine_program(10, 2, 1, 1, &bytes);

	model = open_image(dev, image, bytes);
	assert_some(model);
	assert_string_equal(npu_model_name(model), "affine");
	assert_int_equal(npu_model_inputs(model), 1);
	assert_int_equal(npu_model_outputs(model), 1);
	assert_ok(npu_model_input_info(model, 0, &info));
	assert_string_equal(info.name, "x");
	assert_int_equal(info.type, NPU_TYPE_F32);
	assert_int_equal(info.rank, 1);
	assert_int_equal(info.dim[0], 10);
	assert_int_equal(info.bytes, 40);
	assert_ok(npu_model_output_info(model, 0, &info));
	assert_string_equal(info.name, "y");
	assert_err(npu_model_input_info(model, 1, &info), -EINVAL, "no input 1");
	assert_err(npu_model_output_info(model, 1, &info), -EINVAL, "no output 1");
	npu_model_close(model);
	npu_model_close(NULL);
}

static void test_run(void **state)
{
	static const uint32_t sizes[] = { 1, 15, 16, 1000, 4099 };
	struct npu_device *dev = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int consts = 0; consts < 2; consts++) {
			struct npu_counters c;
			struct npu_model *model;
			struct npu_session *s;
			size_t bytes;
			void *image = pb_affine_program(sizes[i], 2, 1, consts, &bytes);

			model = open_image(dev, image, bytes);
			assert_some(model);
			s = npu_session_create(model);
			assert_some(s);
			check_affine(s, sizes[i], 2, 1, consts);
			check_affine(s, sizes[i], 2, 1, consts);
			assert_ok(npu_session_get_counters(s, &c));
			assert_int_equal(c.jobs, 2);
			assert_int_equal(c.write_bytes, 2 * 4 * sizes[i]);
			npu_session_destroy(s);
			npu_model_close(model);
		}
	}
	npu_session_destroy(NULL);
}

/* An image in memory; two sessions of one model, with constants of their own. */
static void test_from_program(void **state)
{
	struct npu_device *dev = *state;
	struct npu_session *s[2];
	struct npu_program *prog;
	struct npu_model *model;
	size_t bytes;
	char *image = pb_affine_program(33, -1, 4, 1, &bytes);
	char *odd = malloc(bytes + 1);

	/* An image is copied, so it need not be aligned, nor stay. */
	memcpy(odd + 1, image, bytes);
	prog = npu_program_from_image(odd + 1, bytes);
	assert_some(prog);
	free(odd);
	free(image);
	model = npu_model_from_program(dev, prog);
	assert_some(model);
	for (int i = 0; i < 2; i++) {
		s[i] = npu_session_create(model);
		assert_some(s[i]);
	}
	for (int i = 0; i < 2; i++)
		check_affine(s[i], 33, -1, 4, 1);
	for (int i = 0; i < 2; i++)
		npu_session_destroy(s[i]);
	npu_model_close(model);
	npu_program_close(prog);
	npu_program_close(NULL);
}

static void test_set_and_get(void **state)
{
	struct npu_device *dev = *state;
	const uint32_t n = 70001;
	float *x = malloc(n * 4);
	float *y = calloc(n, 4);
	struct npu_model *model;
	struct npu_session *s;
	size_t bytes;
	void *image = pb_copy_program(n, &bytes);
	char *path;

	for (uint32_t i = 0; i < n; i++)
		x[i] = (float)i;
	model = open_image(dev, image, bytes);
	assert_some(model);
	s = npu_session_create(model);
	assert_some(s);
	assert_ok(npu_session_set_input(s, 0, x, n * 4));
	assert_ok(npu_session_run(s));
	assert_ok(npu_session_get_output(s, 0, y, n * 4));
	assert_memory_equal(x, y, n * 4);

	path = rig_file(x, n * 4);
	assert_err(npu_session_read_input(s, 0, path, 4), -ENODATA, path);
	x[0] = -1;
	assert_ok(npu_session_read_input(s, 0, path, 0));
	assert_ok(npu_session_run(s));
	assert_ok(npu_session_get_output(s, 0, y, n * 4));
	assert_true(y[0] == 0 && y[n - 1] == (float)(n - 1));
	unlink(path);
	free(path);

	assert_err(npu_session_set_input(s, 0, x, n * 4 - 1), -EINVAL, "\"x\" has 280004 bytes");
	assert_err(npu_session_set_input(s, 1, x, n * 4), -EINVAL, "no input 1");
	assert_err(npu_session_get_output(s, 0, y, 0), -EINVAL, "\"y\"");
	assert_err(npu_session_get_output(s, 7, y, 0), -EINVAL, "no output 7");
	assert_none(npu_session_map_input(s, 1), -EINVAL, "no input 1");
	assert_none(npu_session_map_output(s, 1), -EINVAL, "no output 1");
	assert_err(npu_session_read_input(s, 1, "/dev/null", 0), -EINVAL, "no input 1");
	assert_err(npu_session_wait(s, 0), -EINVAL, "start one");
	assert_ok(npu_session_start(s));
	assert_err(npu_session_start(s), -EBUSY, "in flight");
	assert_ok(npu_session_wait(s, -1));
	/* Destroyed with a run in flight. */
	assert_ok(npu_session_start(s));
	npu_session_destroy(s);
	npu_model_close(model);
	free(x);
	free(y);
}

/* What comes out goes in again, without a copy, unless something else is put in. */
static void test_feed(void **state)
{
	struct npu_device *dev = *state;
	const uint32_t n = 5000;
	struct npu_model *model;
	struct npu_session *s;
	float *x, want = 1;
	const float *y;
	size_t bytes;
	void *image = pb_affine_program(n, 2, 1, 0, &bytes);

	model = open_image(dev, image, bytes);
	assert_some(model);
	s = npu_session_create(model);
	assert_some(s);
	assert_err(npu_session_feed(s, 1, 0), -EINVAL, "no output 1");
	assert_err(npu_session_feed(s, 0, 1), -EINVAL, "no input 1");
	assert_ok(npu_session_feed(s, 0, 0));
	assert_err(npu_session_feed(s, 0, 0), -EINVAL, "fed already");
	x = npu_session_map_input(s, 0);
	assert_some(x);
	for (uint32_t i = 0; i < n; i++)
		x[i] = want;
	for (int run = 0; run < 6; run++) {
		if (run == 4) {
			/* Other values than those of the last run. */
			want = -3;
			x = npu_session_map_input(s, 0);
			assert_some(x);
			for (uint32_t i = 0; i < n; i++)
				x[i] = want;
		}
		assert_ok(npu_session_run(s));
		want = want * 2 + 1;
		y = npu_session_map_output(s, 0);
		assert_some(y);
		for (uint32_t i = 0; i < n; i++)
			assert_true(y[i] == want);
	}
	assert_ok(npu_session_start(s));
	assert_err(npu_session_feed(s, 0, 0), -EBUSY, "in flight");
	npu_session_destroy(s);
	npu_model_close(model);
}

/* s = 2 s + table[index], which faults when there is no such row; y = -s. */
static struct npu_model *row_model(struct npu_device *dev)
{
	static const int64_t one = 1, four = 4, rows[] = { 3, 4 };
	static const float table[3][4] = { { 1, 1, 1, 1 }, { 2, 2, 2, 2 }, { 5, 6, 7, 8 } };
	struct npu_graph *g = npu_graph_create("rows");
	int state, row, sum;
	struct npu_model *model;

	state = npu_graph_input(g, "s", NPU_GRAPH_F32, 1, &four);
	row = npu_graph_gather(g, npu_graph_const(g, "table", NPU_GRAPH_F32, 2, rows, table),
			       npu_graph_input(g, "index", NPU_GRAPH_I32, 1, &one), 0);
	sum = npu_graph_binary(g, NPU_BINARY_ADD, npu_graph_reshape(g, row, 1, &four),
			       npu_graph_binary(g, NPU_BINARY_ADD, state, state));
	npu_graph_output(g, "s next", sum);
	npu_graph_output(g, "y", npu_graph_unary(g, NPU_UNARY_NEG, sum, 0, 0));
	model = npu_model_from_graph(dev, g);
	npu_graph_destroy(g);
	return model;
}

#define AHEAD	3

/* Each run has its own inputs and outputs; what is fed goes through all of them. */
static void test_ahead(void **state)
{
	static const float rows[] = { 1, 2, 5 };
	struct npu_model *model = row_model(*state);
	struct npu_session *s;
	float want = 0, y[4] = { 0 };
	int32_t index = 0;
	int started = 0;

	assert_some(model);
	assert_none(npu_session_create_ahead(model, 0), -EINVAL, "1 to 8");
	assert_none(npu_session_create_ahead(model, NPU_SESSION_RUNS_MAX + 1), -EINVAL, "9 runs");
	s = npu_session_create_ahead(model, AHEAD);
	assert_some(s);
	assert_ok(npu_session_feed(s, 0, 0));
	assert_ok(npu_session_set_input(s, 0, y, sizeof(y)));
	for (int run = 0; run < 10; run++) {
		for (; started < 10 && started < run + AHEAD; started++) {
			index = started % 3;
			assert_ok(npu_session_set_input(s, 1, &index, 4));
			assert_ok(npu_session_start(s));
		}
		if (started - run == AHEAD) {
			assert_err(npu_session_start(s), -EBUSY, "3 runs are in flight");
			assert_err(npu_session_set_input(s, 1, &index, 4), -EBUSY, "in flight");
		} else {
			assert_err(npu_session_set_input(s, 0, y, sizeof(y)), -EBUSY, "\"s\"");
		}
		assert_ok(npu_session_wait(s, -1));
		want = 2 * want + rows[run % 3];
		assert_ok(npu_session_get_output(s, 1, y, sizeof(y)));
		assert_true(y[0] == -want);
		assert_ok(npu_session_get_output(s, 0, y, sizeof(y)));
		assert_true(y[0] == want);
	}
	assert_err(npu_session_wait(s, 0), -EINVAL, "start one");
	npu_session_destroy(s);
	npu_model_close(model);
}

/* After a fault, runs that were ahead of it fail too, and the state is as it was. */
static void test_ahead_fault(void **state)
{
	struct npu_model *model = row_model(*state);
	struct npu_session *s = npu_session_create_ahead(model, AHEAD);
	static const int32_t index[] = { 1, 9, 0 };
	float y[4] = { 3, 3, 3, 3 };
	const float *kept;
	int last = 0;

	assert_some(s);
	assert_ok(npu_session_feed(s, 0, 0));
	assert_ok(npu_session_set_input(s, 0, y, sizeof(y)));
	for (int i = 0; i < AHEAD; i++) {
		assert_ok(npu_session_set_input(s, 1, &index[i], 4));
		last = npu_session_start(s);
		/* The fault may be there before the run behind it. */
		assert_true(!last || (i == AHEAD - 1 && last == -ECANCELED));
	}
	assert_ok(npu_session_wait(s, -1));
	assert_err(npu_session_wait(s, -1), -EFAULT, "index 9 of a dimension of 3");
	if (!last)
		assert_err(npu_session_wait(s, -1), -ECANCELED, "");
	kept = npu_session_map_input(s, 0);
	assert_some(kept);
	assert_true(kept[0] == 8 && kept[3] == 8);
	npu_session_destroy(s);
	npu_model_close(model);
}

/* Memory can only be exchanged for the same kind, and as a whole. */
static void test_feed_refused(void **state)
{
	static const int64_t dim[] = { 6 }, small[] = { 5 };
	struct npu_device *dev = *state;
	struct prog_build *pb = pb_create("odd");
	const unsigned int reg = NPU_PROG_REG_FIRST_IO;
	struct npu_model *model;
	struct npu_session *s;
	size_t bytes;
	void *image;

	pb_tensor(pb, NPU_PROG_INPUT, "a", NPU_F32, reg, 0, 1, dim);
	pb_tensor(pb, NPU_PROG_INPUT, "b", NPU_F32, reg, 64, 1, dim);
	pb_tensor(pb, NPU_PROG_INPUT, "c", NPU_F32, reg + 1, 0, 1, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "y", NPU_F32, reg + 2, 0, 1, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "z", NPU_I32, reg + 3, 0, 1, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "short", NPU_F32, reg + 4, 0, 1, small);
	pb_load(pb, reg + 1, 0, 0, 6, 0);
	pb_store(pb, reg + 2, 0, 0, 6, 0);
	image = pb_finish(pb, &bytes);
	model = open_image(dev, image, bytes);
	assert_some(model);
	s = npu_session_create(model);
	assert_some(s);
	assert_err(npu_session_feed(s, 0, 0), -EINVAL, "\"y\" cannot feed input \"a\"");
	assert_err(npu_session_feed(s, 0, 0), -EINVAL, "share registers");
	assert_err(npu_session_feed(s, 1, 2), -EINVAL, "element type");
	assert_err(npu_session_feed(s, 2, 2), -EINVAL, "size");
	assert_ok(npu_session_feed(s, 0, 2));
	npu_session_destroy(s);
	npu_model_close(model);
}

/* Several tensors of several types in one register, and scratch memory. */
static void test_packed(void **state)
{
	struct npu_device *dev = *state;
	struct prog_build *pb = pb_create("packed");
	const int64_t dim[] = { 2, 3 };
	const int32_t a[] = { 1, 2, 3, 4, 5, 6 };
	const int32_t b[] = { 7, 8, 9, 10, 11, 12 };
	const int32_t file[] = { 0, 13, 14, 15, 16, 17, 18 };
	struct npu_tensor_info info;
	struct npu_model *model;
	struct npu_session *s;
	int32_t out[6];
	size_t bytes;
	void *image;
	char *path;

	/* Through scratch: b, a to scratch; then back in the other order. */
	pb_tensor(pb, NPU_PROG_INPUT, "a", NPU_I32, NPU_PROG_REG_FIRST_IO, 0, 2, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "swapped_b", NPU_I32, NPU_PROG_REG_FIRST_IO, 8192, 2, dim);
	pb_tensor(pb, NPU_PROG_INPUT, "b", NPU_I32, NPU_PROG_REG_FIRST_IO, 64, 2, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "swapped_a", NPU_I32, NPU_PROG_REG_FIRST_IO, 8256, 2, dim);
	pb_header(pb)->scratch_bytes = 48;
	pb_load(pb, NPU_PROG_REG_FIRST_IO, 0, 0, 6, 0);
	pb_store(pb, NPU_PROG_REG_SCRATCH, 0, 0, 6, 0);
	pb_load(pb, NPU_PROG_REG_FIRST_IO, 64, 64, 6, 1);
	pb_store(pb, NPU_PROG_REG_SCRATCH, 24, 64, 6, 1);
	pb_store(pb, NPU_PROG_REG_FIRST_IO, 8192, 64, 6, -1);
	pb_store(pb, NPU_PROG_REG_FIRST_IO, 8256, 0, 6, -1);
	pb_end(pb);
	image = pb_finish(pb, &bytes);
	model = open_image(dev, image, bytes);
	assert_some(model);
	assert_int_equal(npu_model_inputs(model), 2);
	assert_int_equal(npu_model_outputs(model), 2);
	assert_ok(npu_model_input_info(model, 1, &info));
	assert_string_equal(info.name, "b");
	assert_int_equal(info.type, NPU_TYPE_I32);
	s = npu_session_create(model);
	assert_some(s);
	assert_ok(npu_session_set_input(s, 0, a, sizeof(a)));
	assert_ok(npu_session_set_input(s, 1, b, sizeof(b)));
	assert_ok(npu_session_run(s));
	assert_ok(npu_session_get_output(s, 0, out, sizeof(out)));
	assert_memory_equal(out, b, sizeof(b));
	assert_ok(npu_session_get_output(s, 1, out, sizeof(out)));
	assert_memory_equal(out, a, sizeof(a));
	/* From a file, to where the tensor is and nowhere else. */
	path = rig_file(file, sizeof(file));
	assert_ok(npu_session_read_input(s, 1, path, 4));
	unlink(path);
	free(path);
	assert_ok(npu_session_run(s));
	assert_ok(npu_session_get_output(s, 0, out, sizeof(out)));
	assert_memory_equal(out, file + 1, sizeof(out));
	assert_ok(npu_session_get_output(s, 1, out, sizeof(out)));
	assert_memory_equal(out, a, sizeof(a));
	npu_session_destroy(s);
	npu_model_close(model);
}

static void test_device_mismatch(void **state)
{
	struct npu_device *dev = *state;

	for (int what = 0; what < 6; what++) {
		static const char *const word[] = {
			"columns", "SPM", "SPM", "capabilities", "version of the hardware",
			"version of the hardware",
		};
		size_t bytes;
		char *image = pb_affine_program(4, 1, 1, 1, &bytes);
		struct npu_prog_header *h = (void *)image;

		switch (what) {
		case 0: h->array = 16 | 31u << 16; break;
		case 1: h->spm_bytes = 1u << 30; break;
		case 2: h->acc_bytes = 1u << 30; break;
		case 3: h->caps = 1ull << 63; break;
		case 4: h->isa_version += 1; break;
		case 5: h->isa_version += 1 << 16; break;
		}
		h->crc32 = npu_prog_crc32(image, bytes);
		assert_none(open_image(dev, image, bytes), -EOPNOTSUPP, word[what]);
	}
}

static void test_bad_files(void **state)
{
	struct npu_device *dev = *state;
	size_t bytes;
	char *image = pb_affine_program(300, 1, 1, 1, &bytes);
	struct npu_model *model;
	char *path;

	assert_none(npu_model_open(dev, "/nonexistent.npu", NULL), -ENOENT, "/nonexistent.npu");
	assert_none(npu_model_open(dev, "/tmp", NULL), -EISDIR, "/tmp");
	assert_none(npu_program_open("/dev/zero"), -EINVAL, "regular");
	assert_none(npu_program_from_image(image, 0), -EINVAL, "empty");
	assert_none(npu_program_from_image(image, 100), -EINVAL, "too short");
	for (size_t cut = 0; cut < bytes; cut += cut < 512 ? 7 : 101) {
		path = rig_file(image, cut);
		errno = 0;
		assert_null(npu_program_open(path));
		assert_int_equal(errno, EINVAL);
		assert_non_null(strstr(npu_error(), path));
		unlink(path);
		free(path);
	}
	/* Cut off after it was opened: the constants are no longer there. */
	path = rig_file(image, bytes);
	model = npu_model_open(dev, path, NULL);
	assert_some(model);
	assert_int_equal(truncate(path, 1000), 0);
	assert_none(npu_session_create(model), -ENODATA, "ends before");
	npu_model_close(model);
	unlink(path);
	free(path);
	free(image);
}

/* Inputs, constants, commands and what lies between: nothing for the device to write. */
static void test_protection(void **state)
{
	static const struct {
		unsigned int reg;
		int64_t offset_bytes;
		const char *word;
	} store[] = {
		{ NPU_PROG_REG_CONSTS, 0, "MMU_PERM" },
		{ NPU_PROG_REG_FIRST_IO, 0, "MMU_PERM" },
		/* Constants, input, output, commands: a page each, and a free one between. */
		{ NPU_PROG_REG_FIRST_IO, 0x4000, "MMU_PERM" },
		{ NPU_PROG_REG_FIRST_IO, 0x1000, "MMU_UNMAPPED" },
	};
	const int64_t dim[] = { 4 };

	for (size_t i = 0; i < sizeof(store) / sizeof(store[0]); i++) {
		struct prog_build *pb = pb_create("trespass");
		struct npu_model *model;
		struct npu_session *s;
		size_t bytes;
		void *image;

		pb_tensor(pb, NPU_PROG_INPUT, "x", NPU_F32, NPU_PROG_REG_FIRST_IO, 0, 1, dim);
		pb_tensor(pb, NPU_PROG_OUTPUT, "y", NPU_F32, NPU_PROG_REG_FIRST_IO + 1, 0, 1, dim);
		pb_consts(pb, dim, sizeof(dim));
		pb_fill(pb, 0, 4, 0, 0);
		pb_store(pb, NPU_PROG_REG_FIRST_IO + 1, 0, 0, 4, 0);
		pb_store(pb, store[i].reg, store[i].offset_bytes, 0, 4, -1);
		pb_end(pb);
		image = pb_finish(pb, &bytes);
		model = open_image(*state, image, bytes);
		assert_some(model);
		s = npu_session_create(model);
		assert_some(s);
		assert_err(npu_session_run(s), -EFAULT, store[i].word);
		assert_non_null(strstr(npu_error(), "writing"));
		npu_session_destroy(s);
		npu_model_close(model);
	}
}

/* A fault tells the node of the graph. */
static void test_fault_names_node(void **state)
{
	struct npu_device *dev = *state;
	struct prog_build *pb = pb_create("broken");
	struct npu_model *model;
	struct npu_session *s;
	size_t bytes;
	void *image;

	pb_set_tag(pb, pb_node(pb, "conv1", "Conv"));
	pb_load(pb, 5, 8, 0, 1, -1);
	pb_end(pb);
	image = pb_finish(pb, &bytes);
	model = open_image(dev, image, bytes);
	assert_some(model);
	s = npu_session_create(model);
	assert_some(s);
	assert_err(npu_session_run(s), -EFAULT, "broken: job: MMU_UNMAPPED");
	assert_non_null(strstr(npu_error(), "node \"conv1\", Conv"));
	assert_err(npu_session_run(s), -ECANCELED, "stopped");
	npu_session_destroy(s);
	npu_model_close(model);
}

/* Row @index of four. */
static void *gather_program(uint32_t index, size_t *bytes)
{
	struct prog_build *pb = pb_create("table");
	struct npu_desc_gather d = {
		.hdr = { .opcode = NPU_OP_GATHER },
		.dim = { 1, 1, 1 },
		.row_elems = 2,
		.limit = { 4 },
		.step_bytes = { 8 },
		.mem = { .reg = NPU_PROG_REG_FIRST_IO, .dtype = NPU_F32 },
		.spm = { .addr = 0, .reg = NPU_REG_NONE, .dtype = NPU_F32 },
		.index = { .addr = 64, .reg = NPU_REG_NONE, .dtype = NPU_I32 },
	};

	pb_tensor(pb, NPU_PROG_INPUT, "x", NPU_F32, NPU_PROG_REG_FIRST_IO, 0, 2,
		  (int64_t[]){ 4, 2 });
	pb_tensor(pb, NPU_PROG_OUTPUT, "y", NPU_F32, NPU_PROG_REG_FIRST_IO + 1, 0, 1,
		  (int64_t[]){ 2 });
	pb_header(pb)->caps |= NPU_CAP_GATHER;
	pb_set_tag(pb, pb_node(pb, "rows", "Gather"));
	pb_fill(pb, 64, 1, index, -1);
	d.hdr.signal[0] = (struct npu_sem_ref){ .sem = 1, .count = 1 };
	pb_desc(pb, &d, sizeof(d));
	pb_store(pb, NPU_PROG_REG_FIRST_IO + 1, 0, 0, 2, 1);
	pb_end(pb);
	return pb_finish(pb, bytes);
}

/* A wrong index is told with the node, itself and what it may be. */
static void test_fault_tells_index(void **state)
{
	static const struct {
		int32_t index;
		const char *says;
	} bad[] = { { 4, "index 4 of a dimension of 4" }, { -1, "index -1 of a dimension of 4" } };
	const float x[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct npu_model *model;
	struct npu_session *s;
	float y[2] = { 0, 0 };
	size_t bytes;

	for (unsigned int i = 0; i < 3; i++) {
		void *image = gather_program(i < 2 ? (uint32_t)bad[i].index : 3, &bytes);

		model = open_image(*state, image, bytes);
		assert_some(model);
		s = npu_session_create(model);
		assert_some(s);
		assert_ok(npu_session_set_input(s, 0, x, sizeof(x)));
		if (i < 2) {
			assert_err(npu_session_run(s), -EFAULT, "INDEX fault by GATHER");
			assert_non_null(strstr(npu_error(), bad[i].says));
			assert_non_null(strstr(npu_error(), "node \"rows\", Gather"));
		} else {
			assert_ok(npu_session_run(s));
			assert_ok(npu_session_get_output(s, 0, y, sizeof(y)));
			assert_true(y[0] == 6 && y[1] == 7);
		}
		npu_session_destroy(s);
		npu_model_close(model);
	}
}

/*
 * Every byte of an image changed, the checksum made good: refused, or run to
 * some end, and the next good program works. One thread: programs may make
 * operands overlap, and then the device's threads race for the same bytes.
 */
static void test_hostile(void **state)
{
	struct npu_device *dev = rig_is_sim() ? npu_device_open("sim,threads=1") : rig_open();
	size_t bytes;
	char *good = pb_affine_program(6, 2, 1, 1, &bytes);
	struct npu_model *model;
	struct npu_session *s;
	unsigned int opened = 0;
	unsigned int hung = 0;
	unsigned int faulted = 0;

	(void)state;
	assert_some(dev);
	for (size_t i = 0; i < bytes; i++) {
		char *image = malloc(bytes);
		struct npu_program *prog;

		model = NULL;
		s = NULL;
		memcpy(image, good, bytes);
		image[i] ^= i % 2 ? 0xff : 0x10;
		((struct npu_prog_header *)(void *)image)->crc32 = npu_prog_crc32(image, bytes);
		prog = npu_program_from_image(image, bytes);
		free(image);
		if (prog)
			model = npu_model_from_program(dev, prog);
		if (model)
			s = npu_session_create(model);
		if (s) {
			int ret = npu_session_start(s);

			assert_int_equal(ret, 0);
			ret = npu_session_wait(s, 300);
			hung += ret == -ETIME;
			faulted += ret == -EFAULT;
			assert_true(ret == 0 || ret == -EFAULT || ret == -ETIME);
			opened++;
		} else {
			assert_true(strlen(npu_error()) > 8);
		}
		npu_session_destroy(s);
		npu_model_close(model);
		npu_program_close(prog);
	}
	print_message("%zu bytes: %u ran, of these %u faulted, %u did not end\n", bytes, opened,
		      faulted, hung);
	assert_true(opened > 0 && opened < bytes && faulted > 0);
	free(good);
	good = pb_affine_program(6, 2, 1, 1, &bytes);
	model = open_image(dev, good, bytes);
	assert_some(model);
	s = npu_session_create(model);
	assert_some(s);
	check_affine(s, 6, 2, 1, 1);
	npu_session_destroy(s);
	npu_model_close(model);
	npu_device_close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_from_program),
		cmocka_unit_test(test_set_and_get),
		cmocka_unit_test(test_feed),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_ahead_fault),
		cmocka_unit_test(test_feed_refused),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_device_mismatch),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_protection),
		cmocka_unit_test(test_fault_tells_index),
		cmocka_unit_test(test_fault_names_node),
		cmocka_unit_test(test_hostile),
	};

	return rig_run_tests(tests, rig_open_device, rig_close_device);
}
