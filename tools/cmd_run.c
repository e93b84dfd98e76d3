/* SPDX-License-Identifier: MIT */
/* npu run: a model on files, its outputs to files, a check, the counters. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "given.h"
#include "onnx_head.h"
#include "tensor_file.h"
#include "tool.h"

#define FILES_MAX	4096
#define PATTERN_SEED	1u

/**
 * struct files - arguments of --input or --output
 * @argument: [NAME=]FILE
 * @count: how many
 * @next: from here on, those without a name have not been taken
 */
struct files {
	const char *argument[FILES_MAX];
	unsigned int count;
	unsigned int next;
};

/**
 * struct run - what was asked for, and what is open
 * @model_path: program or ONNX file
 * @spec: device, or NULL
 * @bind: symbolic dimensions, or NULL
 * @check_dir: expected outputs, or NULL
 * @repeat: number of runs
 * @counters: print them
 * @scale: divide integer inputs by 255
 * @rtol: relative tolerance of the check
 * @atol: absolute tolerance of the check
 * @input: files of inputs
 * @output: files of outputs
 * @shape: shapes of inputs, NAME=2x3
 * @head: names in the model, if @file is there
 * @file: for each input of @head its file, or NULL; NULL: the model knows its inputs
 * @dev: open, or NULL
 * @model: open, or NULL
 * @session: open, or NULL
 */
struct run {
	const char *model_path;
	const char *spec;
	const char *bind;
	const char *check_dir;
	uint32_t repeat;
	bool counters;
	bool scale;
	double rtol;
	double atol;
	struct files input;
	struct files output;
	struct files shape;
	struct onnx_head head;
	const char **file;
	struct npu_device *dev;
	struct npu_model *model;
	struct npu_session *session;
};

static void print_help(void)
{
	puts("usage: npu run MODEL [OPTION...]\n\n"
	     "Runs a program (.npu) or an ONNX model on the NPU.\n\n"
	     "  --device SPEC          see npu --help\n"
	     "  --bind N=1000,...      values of symbolic dimensions; *=1 binds the others\n"
	     "                         as .npy and .pb files do that are given for inputs\n"
	     "  --shape NAME=2x3       shape of an input, where the model leaves it open\n"
	     "  --input [NAME=]FILE    an input; without NAME the next one. .npy, IDX (also\n"
	     "                         gzipped; more examples than needed are left), ONNX\n"
	     "                         TensorProto (.pb), else the plain elements\n"
	     "  --scale                divide what comes from files by 255 (images)\n"
	     "  --output [NAME=]FILE   where an output goes: .npy, .pb, else plain elements\n"
	     "  --check DIR            compare output i with DIR/output_i.pb, .npy or .bin;\n"
	     "                         inputs without a file come from DIR/input_i.*\n"
	     "  --rtol R, --atol A     tolerance of the check: A + R |expected| (1e-3, 1e-5)\n"
	     "  --repeat N             run N times\n"
	     "  --counters             print the device's counters of these runs\n\n"
	     "An input without a file is filled with a pattern. Status 0: done; 1: failed, or\n"
	     "beyond the tolerance; 2: called wrongly.");
}

/* ---- Inputs ---- */

/*
 * The file argument of tensor @name: the one that names it, else the next one
 * without a name. Called once for each tensor, in order; NULL: none.
 */
static const char *take_file(struct files *files, const char *name)
{
	size_t length = strlen(name);

	for (unsigned int i = 0; i < files->count; i++) {
		const char *equals = strchr(files->argument[i], '=');

		if (equals && (size_t)(equals - files->argument[i]) == length &&
		    !strncmp(files->argument[i], name, length))
			return equals + 1;
	}
	while (files->next < files->count) {
		const char *argument = files->argument[files->next++];

		if (!strchr(argument, '='))
			return argument;
	}
	return NULL;
}

/* DIR/STEM_INDEX with an ending of ours that exists, or "" in @path. */
static void find_in_dir(const char *dir, const char *stem, unsigned int index, char *path,
			size_t path_bytes)
{
	static const char *const ending[] = { "pb", "npy", "bin" };
	struct stat st;

	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		snprintf(path, path_bytes, "%s/%s_%u.%s", dir, stem, index, ending[i]);
		if (!stat(path, &st))
			return;
	}
	*path = '\0';
}

static void fill_pattern(void *data, const struct npu_tensor_info *info, unsigned int index)
{
	struct tensor_type type = tensor_type_of(info->type);
	uint64_t count = type.bytes ? info->bytes / type.bytes : 0;
	uint32_t x = PATTERN_SEED + index * 2654435761u;

	for (uint64_t k = 0; k < count; k++) {
		x = x * 1664525u + 1013904223u;
		if (type.kind == 'f' && type.bytes == 4)
			((float *)data)[k] = (float)(int32_t)x / 2147483648.0f;
		else if (type.bytes == 4)
			((int32_t *)data)[k] = x >> 31;
		else if (type.bytes == 8)
			((int64_t *)data)[k] = x >> 31;
		else if (type.bytes == 2) /* 1 in each type */
			((uint16_t *)data)[k] = !(x >> 31) ? 0 : type.kind == 'i' ? 1 :
						type.kind == 'f' ? 0x3c00 : 0x3f80;
		else
			((uint8_t *)data)[k] = (uint8_t)(x >> 31);
	}
}

static int set_from_file(struct run *run, unsigned int index, const struct npu_tensor_info *info,
			 const char *path)
{
	char error[TENSOR_ERROR_BYTES];
	struct tensor_file t;
	void *data;
	int status = TOOL_OK;

	if (!tensor_file_open(&t, path, info, error))
		return tool_fail("%s", error);
	if (!tensor_file_matches(&t, info, error)) {
		status = tool_fail("%s", error);
	} else if (tensor_file_is_plain(&t, info) && !run->scale) {
		if (npu_session_read_input(run->session, index, path, t.offset_bytes))
			status = tool_fail_npu();
	} else {
		data = npu_session_map_input(run->session, index);
		if (!data)
			status = tool_fail_npu();
		else if (!tensor_file_read(&t, info, run->scale, data, error))
			status = tool_fail("%s", error);
	}
	tensor_file_close(&t);
	return status;
}

/* The file of input @index of the model, or NULL; @found has room for it. */
static const char *file_of(struct run *run, unsigned int index, const char *name, char found[4096])
{
	const char *path = NULL;

	if (run->file) {
		/* Those before it may be constants by now. */
		for (index = 0; index < run->head.inputs; index++)
			if (!strcmp(run->head.input[index], name))
				break;
		path = index < run->head.inputs ? run->file[index] : NULL;
	} else {
		path = take_file(&run->input, name);
	}
	if (!path && run->check_dir) {
		find_in_dir(run->check_dir, "input", index, found, 4096);
		path = *found ? found : NULL;
	}
	return path;
}

static int set_input(struct run *run, unsigned int index)
{
	struct npu_tensor_info info;
	char found[4096] = "";
	const char *path;
	void *data;

	if (npu_model_input_info(run->model, index, &info))
		return tool_fail_npu();
	path = file_of(run, index, info.name, found);
	printf("input     \"");
	tool_print_name(info.name);
	printf("\" %s %s: %s\n", tool_type_name(info.type), tool_shape(&info),
	       path ? path : "no file, filled with a pattern");
	if (path)
		return set_from_file(run, index, &info, path);
	data = npu_session_map_input(run->session, index);
	if (!data)
		return tool_fail_npu();
	fill_pattern(data, &info, index);
	return TOOL_OK;
}

/* ---- Outputs ---- */

/* -1: there is nothing to compare with. */
static int check_output(struct run *run, unsigned int index, const struct npu_tensor_info *info,
			const void *data)
{
	char error[TENSOR_ERROR_BYTES];
	struct tensor_diff diff;
	struct tensor_file t;
	char path[4096];
	int status = TOOL_OK;

	find_in_dir(run->check_dir, "output", index, path, sizeof(path));
	if (!*path)
		return -1;
	if (!tensor_file_open(&t, path, info, error))
		return tool_fail("%s", error);
	if (!tensor_file_matches(&t, info, error) ||
	    !tensor_file_compare(&t, info, data, run->rtol, run->atol, &diff, error)) {
		status = tool_fail("%s", error);
	} else {
		printf("check     \"");
		tool_print_name(info->name);
		printf("\" with %s: max error %.3g, relative %.3g: %s\n", path, diff.max_abs,
		       diff.max_rel, diff.wrong ? "WRONG" : "ok");
		if (diff.wrong)
			status = tool_fail("%s: %" PRIu64 " of %" PRIu64 " elements differ; the "
					   "worst, %s, is %.9g, expected %.9g", path, diff.wrong,
					   info->bytes / tensor_type_of(info->type).bytes,
					   tool_index(info, diff.at), diff.got, diff.expected);
	}
	tensor_file_close(&t);
	return status;
}

static int use_output(struct run *run, unsigned int index, const struct npu_tensor_info *info,
		      const void *data, unsigned int *checked)
{
	char error[TENSOR_ERROR_BYTES];
	const char *path;
	int status = TOOL_OK;

	path = take_file(&run->output, info->name);
	printf("output    \"");
	tool_print_name(info->name);
	printf("\" %s %s%s%s\n", tool_type_name(info->type), tool_shape(info), path ? ": " : "",
	       path ? path : "");
	if (path && !tensor_file_write(path, info, data, error))
		return tool_fail("%s", error);
	if (run->check_dir) {
		status = check_output(run, index, info, data);
		*checked += status != -1;
	}
	return status == -1 ? TOOL_OK : status;
}

/*
 * A copy: 9p and direct I/O pin the pages that they write from, which a mapping of
 * device memory does not allow.
 */
static int handle_output(struct run *run, unsigned int index, unsigned int *checked)
{
	struct npu_tensor_info info;
	void *data;
	int status;

	if (npu_model_output_info(run->model, index, &info))
		return tool_fail_npu();
	data = malloc(info.bytes ? info.bytes : 1);
	if (!data)
		return tool_fail("out of memory");
	if (npu_session_get_output(run->session, index, data, info.bytes))
		status = tool_fail_npu();
	else
		status = use_output(run, index, &info, data, checked);
	free(data);
	return status;
}

static int handle_outputs(struct run *run)
{
	unsigned int checked = 0;
	int status = TOOL_OK;

	for (unsigned int i = 0; i < npu_model_outputs(run->model); i++)
		if (handle_output(run, i, &checked))
			status = TOOL_FAILED;
	if (run->check_dir && !checked && !status)
		status = tool_fail("%s: has no output_0.pb, output_0.npy or output_0.bin to "
				   "compare with", run->check_dir);
	return status;
}

/* ---- Running ---- */

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int print_counters(struct run *run)
{
	struct npu_device_info info;
	struct npu_counters c;

	if (npu_session_get_counters(run->session, &c) ||
	    npu_device_get_info(run->dev, &info))
		return tool_fail_npu();
	printf("counters  %" PRIu64 " jobs, %" PRIu64 " descriptors, %" PRIu64
	       " multiply-accumulates\n", c.jobs, c.descriptors, c.macs);
	printf("          %" PRIu64 " bytes read, %" PRIu64 " bytes written, %" PRIu64 " faults\n",
	       c.read_bytes, c.write_bytes, c.faults);
	printf("          %" PRIu64 " cycles modelled (%.3f ms at %u kHz), %.3f ms on the engines\n",
	       c.cycles, (double)c.cycles / info.clock_khz, info.clock_khz,
	       (double)c.run_ns / 1e6);
	return TOOL_OK;
}

static int run_model(struct run *run)
{
	double first_ms = 0;
	double best_ms = 0;

	for (uint32_t i = 0; i < run->repeat; i++) {
		double start_ms = now_ms();
		double run_ms;

		if (npu_session_run(run->session))
			return tool_fail_npu();
		run_ms = now_ms() - start_ms;
		first_ms = i ? first_ms : run_ms;
		best_ms = i && best_ms < run_ms ? best_ms : run_ms;
	}
	if (run->repeat == 1)
		printf("run       %.3f ms\n", first_ms);
	else
		printf("run       %u times, first %.3f ms, best %.3f ms\n", run->repeat, first_ms,
		       best_ms);
	return run->counters ? print_counters(run) : TOOL_OK;
}

/* ---- The model ---- */

/* Whether an input or output of the model is called as the first @length bytes of @name. */
static bool has_tensor(const struct run *run, bool output, const char *name, size_t length)
{
	unsigned int count = output ? npu_model_outputs(run->model) : npu_model_inputs(run->model);
	struct npu_tensor_info info;

	for (unsigned int i = 0; run->file && !output && i < run->head.inputs; i++)
		if (strlen(run->head.input[i]) == length &&
		    !strncmp(run->head.input[i], name, length))
			return true;
	for (unsigned int i = 0; i < count; i++) {
		if (output)
			npu_model_output_info(run->model, i, &info);
		else
			npu_model_input_info(run->model, i, &info);
		if (strlen(info.name) == length && !strncmp(info.name, name, length))
			return true;
	}
	return false;
}

static int check_files(const struct run *run, bool output)
{
	unsigned int count = output ? npu_model_outputs(run->model) : npu_model_inputs(run->model);
	const struct files *files = output ? &run->output : &run->input;
	const char *what = output ? "output" : "input";

	if (run->file && !output)
		count = run->head.inputs;
	if (files->count > count)
		return tool_fail("%s: has %u %ss, %u files are given", run->model_path, count, what,
				 files->count);
	for (unsigned int i = 0; i < files->count; i++) {
		const char *name = files->argument[i];
		const char *equals = strchr(name, '=');

		if (equals && !has_tensor(run, output, name, (size_t)(equals - name)))
			return tool_fail("%s: has no %s \"%.*s\"", run->model_path, what,
					 (int)(equals - name), name);
	}
	return TOOL_OK;
}

/* The path in [NAME=]FILE. */
static const char *path_of(const char *argument)
{
	const char *equals = strchr(argument, '=');

	return equals ? equals + 1 : argument;
}

/* No output may take the place of what is read, or of another output. */
static int check_overwriting(const struct run *run)
{
	for (unsigned int i = 0; i < run->output.count; i++) {
		const char *path = path_of(run->output.argument[i]);

		if (tool_same_file(path, run->model_path))
			return tool_fail("%s: is the model; give the output another file", path);
		for (unsigned int k = 0; k < run->input.count; k++)
			if (tool_same_file(path, path_of(run->input.argument[k])))
				return tool_fail("%s: is an input; give the output another file",
						 path);
		for (unsigned int k = 0; k < i; k++) {
			const char *other = path_of(run->output.argument[k]);

			if (!strcmp(path, other) || tool_same_file(path, other))
				return tool_fail("%s: is to hold two outputs; give each a file of "
						 "its own", path);
		}
	}
	return TOOL_OK;
}

/* --shape NAME= for each input of the head; TOOL_FAILED if there is no such input. */
static int match_shapes(const struct run *run, const char **shape)
{
	for (unsigned int k = 0; k < run->shape.count; k++) {
		const char *name = run->shape.argument[k];
		const char *equals = strchr(name, '=');
		unsigned int i = 0;

		while (i < run->head.inputs && (strlen(run->head.input[i]) != (size_t)(equals - name) ||
						strncmp(run->head.input[i], name,
							(size_t)(equals - name))))
			i++;
		if (i == run->head.inputs)
			return tool_fail("%s: has no input \"%.*s\"", run->model_path,
					 (int)(equals - name), name);
		shape[i] = equals + 1;
	}
	return TOOL_OK;
}

/* Open a model that needs to know what its inputs are going to be. */
static int open_given(struct run *run)
{
	const char **shape = calloc(run->head.inputs + 1, sizeof(*shape));
	const char **paths;
	char (*found)[4096];
	int status = TOOL_FAILED;

	run->file = calloc(run->head.inputs + 1, sizeof(*run->file));
	paths = calloc(run->head.inputs + 1, sizeof(*paths));
	found = calloc(run->head.inputs + 1, sizeof(*found));
	if (!shape || !run->file || !paths || !found) {
		tool_fail("out of memory");
	} else if (!match_shapes(run, shape)) {
		for (unsigned int i = 0; i < run->head.inputs; i++) {
			run->file[i] = take_file(&run->input, run->head.input[i]);
			paths[i] = file_of(run, 0, run->head.input[i], found[i]);
		}
		run->model = given_open_model(run->dev, run->model_path, run->bind, &run->head,
					      paths, shape);
		status = run->model ? TOOL_OK : TOOL_FAILED;
	}
	free(found);
	free(paths);
	free(shape);
	return status;
}

static int open_model(struct run *run)
{
	const char *why;

	if (!run->shape.count)
		run->model = npu_model_open(run->dev, run->model_path, run->bind);
	if (run->model)
		return TOOL_OK;
	if (!run->shape.count && !run->input.count && !run->check_dir)
		return tool_fail_npu();
	if (onnx_head_read(&run->head, run->model_path, &why))
		return open_given(run);
	if (run->shape.count)
		return tool_fail("%s: --shape is for ONNX models: %s", run->model_path, why);
	return tool_fail_npu();
}

static int run_all(struct run *run)
{
	int status = TOOL_OK;

	if (check_overwriting(run))
		return TOOL_FAILED;
	run->dev = npu_device_open(run->spec);
	if (!run->dev)
		return tool_fail_npu();
	if (open_model(run))
		return TOOL_FAILED;
	if (check_files(run, false) || check_files(run, true))
		return TOOL_FAILED;
	run->session = npu_session_create(run->model);
	if (!run->session)
		return tool_fail_npu();
	printf("model     \"");
	tool_print_name(npu_model_name(run->model));
	puts("\"");
	for (unsigned int i = 0; !status && i < npu_model_inputs(run->model); i++)
		status = set_input(run, i);
	if (!status)
		status = run_model(run);
	return status ? status : handle_outputs(run);
}

/* ---- Options ---- */

static int add_file(struct files *files, const char *argument)
{
	if (files->count == FILES_MAX)
		return tool_usage("run", "run: more than %u files", FILES_MAX);
	files->argument[files->count++] = argument;
	return TOOL_OK;
}

static int parse_option(struct run *run, int c)
{
	switch (c) {
	case 'd':
		run->spec = optarg;
		return TOOL_OK;
	case 'b':
		run->bind = optarg;
		return TOOL_OK;
	case 'S':
		if (!strchr(optarg, '='))
			return tool_usage("run", "run: --shape %s is not like x=1x3x224x224", optarg);
		return add_file(&run->shape, optarg);
	case 'i':
		return add_file(&run->input, optarg);
	case 'o':
		return add_file(&run->output, optarg);
	case 'c':
		run->check_dir = optarg;
		return TOOL_OK;
	case 's':
		run->scale = true;
		return TOOL_OK;
	case 'C':
		run->counters = true;
		return TOOL_OK;
	case 'n':
		if (!tool_parse_u32(optarg, &run->repeat) || !run->repeat)
			return tool_usage("run", "run: --repeat %s is not a positive number", optarg);
		return TOOL_OK;
	default:
		if (!tool_parse_double(optarg, c == 'r' ? &run->rtol : &run->atol))
			return tool_usage("run", "run: tolerance %s is not a number", optarg);
		return TOOL_OK;
	}
}

static int parse_options(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "bind", required_argument, NULL, 'b' },
		{ "shape", required_argument, NULL, 'S' },
		{ "input", required_argument, NULL, 'i' },
		{ "output", required_argument, NULL, 'o' },
		{ "check", required_argument, NULL, 'c' },
		{ "scale", no_argument, NULL, 's' },
		{ "rtol", required_argument, NULL, 'r' },
		{ "atol", required_argument, NULL, 'a' },
		{ "repeat", required_argument, NULL, 'n' },
		{ "counters", no_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, ":d:b:i:o:c:n:h", options, NULL)) != -1) {
		int status;

		if (c == '?' || c == ':')
			return tool_bad_option("run", argv, c);
		if (c == 'h') {
			print_help();
			return -1;
		}
		status = parse_option(run, c);
		if (status)
			return status;
	}
	if (argc - optind != 1)
		return tool_usage("run", "run: one model is needed");
	run->model_path = argv[optind];
	return TOOL_OK;
}

int cmd_run(int argc, char **argv)
{
	struct run *run = calloc(1, sizeof(*run));
	int status;

	if (!run)
		return tool_fail("out of memory");
	run->repeat = 1;
	run->rtol = 1e-3;
	run->atol = 1e-5;
	status = parse_options(run, argc, argv);
	if (status == TOOL_OK)
		status = run_all(run);
	npu_session_destroy(run->session);
	npu_model_close(run->model);
	npu_device_close(run->dev);
	onnx_head_free(&run->head);
	free(run->file);
	free(run);
	return status < 0 ? TOOL_OK : status;
}
