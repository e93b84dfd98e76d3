/* SPDX-License-Identifier: MIT */
/* Run one test of the suite: model, data sets, comparison. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "given.h"
#include "onnx_head.h"
#include "suite.h"
#include "tensor_file.h"
#include "tool.h"

#define REASON_BYTES	640
/* float16 has 11 bits, bfloat16 8: results are compared within two units of the last one. */
#define HALF_RTOL	1e-3
#define BRAIN_RTOL	8e-3

/**
 * struct run - a test that is open
 * @test: what it came to goes here
 * @dev: device
 * @head: names in the model
 * @set: number of the data set
 * @input: its inputs, in the order of @head
 * @model: compiled, or NULL
 * @session: open, or NULL
 * @rtol: relative tolerance
 * @atol: absolute tolerance
 */
struct run {
	struct suite_test *test;
	struct npu_device *dev;
	struct onnx_head head;
	unsigned int set;
	struct tensor_file *input;
	struct npu_model *model;
	struct npu_session *session;
	double rtol;
	double atol;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Record that the test ends with @result; false, for the caller to return. */
static bool end(struct run *run, enum suite_result result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool end(struct run *run, enum suite_result result, const char *fmt, ...)
{
	char text[REASON_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (run->test->reason)	/* the first one says why */
		return false;
	run->test->result = result;
	run->test->reason = strdup(text);
	return false;
}

/* A message about a file, without the way to it. */
static const char *without_dir(const struct run *run, const char *message)
{
	size_t length = strlen(run->test->dir);

	if (!strncmp(message, run->test->dir, length) && message[length] == '/')
		return message + length + 1;
	return message;
}

static void data_path(const struct run *run, const char *what, unsigned int index, char path[4096])
{
	snprintf(path, 4096, "%s/test_data_set_%u/%s_%u.pb", run->test->dir, run->set, what, index);
}

/* ---- Compiling ---- */

/*
 * Open the data set's inputs; the compiler gets their shapes, and the values
 * that it asks for. An input that cannot be read shows when it is set.
 */
static void open_inputs(struct run *run, struct npu_graph_given *given)
{
	const struct npu_tensor_info any = { .name = "" };
	char error[TENSOR_ERROR_BYTES];
	char path[4096];

	for (unsigned int i = 0; i < run->head.inputs; i++) {
		struct tensor_file *t = &run->input[i];

		data_path(run, "input", i, path);
		if (!tensor_file_open(t, path, &any, error))
			continue;
		given_from_file(&given[i], run->head.input[i], t);
	}
}

static struct npu_graph *read_graph(struct run *run)
{
	struct npu_graph_given *given = calloc(run->head.inputs + 1, sizeof(*given));
	struct npu_graph *graph = NULL;
	unsigned int count = 0;
	char error[512] = "";
	char path[4096];

	run->input = calloc(run->head.inputs + 1, sizeof(*run->input));
	if (!given || !run->input) {
		end(run, SUITE_FAIL, "out of memory");
		free(given);
		return NULL;
	}
	open_inputs(run, given);
	for (unsigned int i = 0; i < run->head.inputs; i++)
		if (given[i].name)
			given[count++] = given[i];
	snprintf(path, sizeof(path), "%s/model.onnx", run->test->dir);
	graph = npu_graph_read_onnx_given(path, NULL, given, count, error, sizeof(error));
	if (!graph)
		end(run, SUITE_UNSUPPORTED, "%s", without_dir(run, error));
	free(given);
	return graph;
}

static bool compile(struct run *run)
{
	struct npu_graph *graph = read_graph(run);

	if (!graph)
		return false;
	run->model = npu_model_from_graph(run->dev, graph);
	if (!run->model)
		end(run, errno == ENOTSUP ? SUITE_UNSUPPORTED : SUITE_FAIL, "%s", npu_error());
	npu_graph_destroy(graph);
	if (!run->model)
		return false;
	run->session = npu_session_create(run->model);
	return run->session || end(run, SUITE_FAIL, "%s", npu_error());
}

/* ---- Tensors ---- */

/* Index of the model's input or output @name, its description in @info; -1: there is none. */
static int find_tensor(const struct run *run, bool output, const char *name,
		       struct npu_tensor_info *info)
{
	unsigned int count = output ? npu_model_outputs(run->model) : npu_model_inputs(run->model);

	for (unsigned int i = 0; i < count; i++) {
		if (output)
			npu_model_output_info(run->model, i, info);
		else
			npu_model_input_info(run->model, i, info);
		if (!strcmp(info->name, name))
			return (int)i;
	}
	return -1;
}

static void shape_text(unsigned int rank, const int64_t *dim, char text[160])
{
	struct npu_tensor_info info = { .rank = rank };

	memcpy(info.dim, dim, rank * sizeof(*dim));
	snprintf(text, 160, "%s", tool_shape(&info));
}

static bool same_shape(struct run *run, const struct tensor_file *t,
		       const struct npu_tensor_info *info)
{
	char have[160];
	char want[160];

	if (t->rank == info->rank && !memcmp(t->dim, info->dim, t->rank * sizeof(*t->dim)))
		return true;
	shape_text(t->rank, t->dim, want);
	shape_text(info->rank, info->dim, have);
	return end(run, SUITE_FAIL, "\"%s\" has the shape %s, the data set %s", info->name, have,
		   want);
}

/* Integers and bools must be of the very type; floats may differ in width. */
static bool same_type(struct run *run, const struct tensor_file *t,
		      const struct npu_tensor_info *info)
{
	struct tensor_type type = tensor_type_of(info->type);
	bool is_float = type.kind == 'f' || type.kind == 'h';
	bool want_float = t->type.kind == 'f' || t->type.kind == 'h';

	if (is_float && want_float)
		return true;
	if (type.kind == t->type.kind && type.bytes == t->type.bytes)
		return true;
	return end(run, SUITE_FAIL, "\"%s\" is %s, in the data set %s", info->name,
		   tool_type_name(info->type), tensor_type_text(t->type));
}

static bool set_input(struct run *run, unsigned int index)
{
	struct tensor_file *t = &run->input[index];
	char error[TENSOR_ERROR_BYTES];
	struct npu_tensor_info info;
	int i = find_tensor(run, false, run->head.input[index], &info);
	void *data;

	/* Nothing that the outputs depend on, or a constant by now. */
	if (i < 0)
		return true;
	if (!t->type.kind)
		return end(run, SUITE_FAIL, "set %u: has no tensor for \"%s\"", run->set, info.name);
	data = npu_session_map_input(run->session, (unsigned int)i);
	if (!data && info.bytes)
		return end(run, SUITE_FAIL, "%s", npu_error());
	if (!same_shape(run, t, &info))
		return false;
	return tensor_file_read(t, &info, false, data, error) ||
	       end(run, SUITE_FAIL, "%s", without_dir(run, error));
}

static bool compare(struct run *run, struct tensor_file *t, const struct npu_tensor_info *info,
		    const void *data)
{
	char error[TENSOR_ERROR_BYTES];
	struct tensor_diff diff;
	double rtol = run->rtol;

	if (t->type.kind == 'h' && rtol < BRAIN_RTOL)
		rtol = BRAIN_RTOL;
	if (t->type.kind == 'f' && t->type.bytes == 2 && rtol < HALF_RTOL)
		rtol = HALF_RTOL;
	if (!tensor_file_compare(t, info, data, rtol, run->atol, &diff, error))
		return end(run, SUITE_FAIL, "%s", without_dir(run, error));
	if (!diff.wrong)
		return true;
	return end(run, SUITE_FAIL, "set %u: \"%s\"%s is %.9g, expected %.9g; %" PRIu64 " of %" PRIu64
		   " elements differ", run->set, info->name,
		   tool_index(info, diff.at), diff.got, diff.expected, diff.wrong,
		   info->bytes / tensor_type_of(info->type).bytes);
}

static bool check_output(struct run *run, unsigned int index)
{
	char error[TENSOR_ERROR_BYTES];
	struct npu_tensor_info info;
	struct tensor_file t;
	char path[4096];
	const void *data;
	bool good;
	int i = find_tensor(run, true, run->head.output[index], &info);

	if (i < 0)
		return end(run, SUITE_FAIL, "the program has no output \"%s\"",
			   run->head.output[index]);
	data_path(run, "output", index, path);
	if (!tensor_file_open(&t, path, &info, error))
		return end(run, SUITE_FAIL, "%s", without_dir(run, error));
	data = npu_session_map_output(run->session, (unsigned int)i);
	if (!data && info.bytes)
		good = end(run, SUITE_FAIL, "%s", npu_error());
	else
		good = same_type(run, &t, &info) && same_shape(run, &t, &info) &&
		       compare(run, &t, &info, data);
	tensor_file_close(&t);
	return good;
}

/* ---- Data sets ---- */

static bool run_set(struct run *run)
{
	if (!compile(run))
		return false;
	for (unsigned int i = 0; i < run->head.inputs; i++)
		if (!set_input(run, i))
			return false;
	if (npu_session_run(run->session))
		return end(run, SUITE_FAIL, "set %u: %s", run->set, npu_error());
	for (unsigned int i = 0; i < run->head.outputs; i++)
		if (!check_output(run, i))
			return false;
	run->test->sets++;
	return true;
}

static void close_set(struct run *run)
{
	struct npu_counters c;

	if (run->session && npu_session_get_counters(run->session, &c))
		end(run, SUITE_FAIL, "%s", npu_error());
	else if (run->session)
		suite_add_counters(&run->test->counters, &c);
	npu_session_destroy(run->session);
	npu_model_close(run->model);
	for (unsigned int i = 0; run->input && i < run->head.inputs; i++)
		tensor_file_close(&run->input[i]);
	free(run->input);
	run->session = NULL;
	run->model = NULL;
	run->input = NULL;
}

/* Each data set has its own program: shapes may differ. */
static void run_sets(struct run *run)
{
	char path[4096];
	struct stat st;
	bool good = true;

	for (run->set = 0; good; run->set++) {
		snprintf(path, sizeof(path), "%s/test_data_set_%u", run->test->dir, run->set);
		if (stat(path, &st))
			break;
		good = run_set(run);
		close_set(run);
	}
	if (!run->set)
		end(run, SUITE_FAIL, "there is no test_data_set_0");
}

void suite_run(struct suite_test *test, struct npu_device *dev, double rtol, double atol)
{
	struct run run = { .test = test, .dev = dev, .rtol = rtol, .atol = atol };
	double start_ms = now_ms();
	const char *why;
	char path[4096];

	test->result = SUITE_PASS;
	snprintf(path, sizeof(path), "%s/model.onnx", test->dir);
	if (onnx_head_read(&run.head, path, &why)) {
		memcpy(test->op, run.head.op, sizeof(test->op));
		run_sets(&run);
		onnx_head_free(&run.head);
	} else {
		end(&run, SUITE_FAIL, "model.onnx: %s", why);
	}
	test->ms = now_ms() - start_ms;
}
