/* SPDX-License-Identifier: MIT */
/*
 * A model under ONNX Runtime, for tests/ort/compare.
 *
 *	ort_run run MODEL DIR SEED [PHOTO]	writes DIR/input_I.bin and DIR/output_I.bin
 *	ort_run compare DIR OUTPUTS [DIR2]	compares with DIR/npu_I.bin
 *	ort_run decode MODEL DIR GIVEN COUNT	a decoder with a cache, step by step
 *
 * Inputs are what DIR has, else random by SEED, or a photo as BlazeFace wants it; open
 * dimensions are 1. Outputs are floats; npu's may differ by 1e-3 of the largest one.
 * DIR2 has the outputs for another input: they must differ by more than that, or the
 * model's output says nothing.
 * A decoder's outputs present_* and next_* are past_* and * of the next step; GIVEN tokens
 * are those of DIR/token.bin. All logits are DIR/output_0.bin, tokens DIR/ort_token.bin.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onnxruntime_c_api.h>

#include "../../examples/face/picture.h"

#define TENSORS_MAX	64
#define RANK_MAX	8
#define TOLERANCE	1e-3

static const OrtApi *ort;

static void check(OrtStatus *status)
{
	if (!status)
		return;
	fprintf(stderr, "ort_run: %s\n", ort->GetErrorMessage(status));
	exit(1);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *allocate(size_t bytes)
{
	void *p = calloc(1, bytes ? bytes : 1);

	if (!p)
		die("memory");
	return p;
}

static FILE *open_file(const char *dir, const char *stem, size_t index, const char *mode)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s_%zu.bin", dir, stem, index);
	f = fopen(path, mode);
	if (!f)
		die(path);
	return f;
}

static void write_file(const char *dir, const char *stem, size_t index, const void *data,
		       size_t bytes)
{
	FILE *f = open_file(dir, stem, index, "wb");

	if (fwrite(data, 1, bytes, f) != bytes || fclose(f))
		die(stem);
}

/* From -1 to 1, the same on every machine. */
static float next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return (float)(int32_t)*state / 2147483648.0f;
}

static size_t element_bytes(ONNXTensorElementDataType type)
{
	switch (type) {
	case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
	case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
		return 4;
	case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
		return 8;
	case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL:
		return 1;
	default:
		fprintf(stderr, "ort_run: element type %d is not supported\n", (int)type);
		exit(1);
	}
}

/* The input as somebody left it in @dir. */
static bool read_input(const char *dir, size_t index, void *data, size_t bytes)
{
	char path[4096];
	bool there;
	FILE *f;

	snprintf(path, sizeof(path), "%s/input_%zu.bin", dir, index);
	f = fopen(path, "rb");
	if (!f)
		return false;
	there = fread(data, 1, bytes, f) == bytes && fgetc(f) == EOF;
	fclose(f);
	if (!there)
		fprintf(stderr, "ort_run: %s: has not %zu bytes\n", path, bytes);
	if (!there)
		exit(1);
	return true;
}

static OrtValue *make_input(OrtSession *session, size_t index, uint32_t *seed, const char *photo,
			    const char *dir)
{
	const OrtTensorTypeAndShapeInfo *shape;
	ONNXTensorElementDataType type;
	OrtMemoryInfo *memory;
	OrtTypeInfo *info;
	OrtValue *value;
	int64_t dim[RANK_MAX];
	size_t rank, elems = 1, bytes;
	struct picture p;
	bool there;
	void *data;

	check(ort->SessionGetInputTypeInfo(session, index, &info));
	check(ort->CastTypeInfoToTensorInfo(info, &shape));
	check(ort->GetTensorElementType(shape, &type));
	check(ort->GetDimensionsCount(shape, &rank));
	if (rank > RANK_MAX) {
		fprintf(stderr, "ort_run: input %zu has too many dimensions\n", index);
		exit(1);
	}
	check(ort->GetDimensions(shape, dim, rank));
	for (size_t i = 0; i < rank; i++) {
		dim[i] = dim[i] > 0 ? dim[i] : 1;
		elems *= (size_t)dim[i];
	}
	bytes = elems * element_bytes(type);
	data = allocate(bytes);
	there = read_input(dir, index, data, bytes);
	if (photo && (rank != 4 || dim[1] != dim[2] || dim[3] != 3 || !picture_read(&p, photo)))
		exit(1);
	if (photo)
		picture_to_square(&p, (int)dim[1], data);
	for (size_t i = 0; !photo && !there && i < elems; i++) {
		float r = next_random(seed);

		if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
			((float *)data)[i] = r;
		else
			((uint8_t *)data)[i * element_bytes(type)] = r > 0;
	}
	write_file(dir, "input", index, data, bytes);
	check(ort->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
	check(ort->CreateTensorWithDataAsOrtValue(memory, data, bytes, dim, rank, type, &value));
	ort->ReleaseTypeInfo(info);
	return value;
}

static void write_output(OrtValue *value, size_t index, const char *dir)
{
	OrtTensorTypeAndShapeInfo *shape;
	ONNXTensorElementDataType type;
	size_t elems;
	void *data;

	check(ort->GetTensorTypeAndShape(value, &shape));
	check(ort->GetTensorElementType(shape, &type));
	check(ort->GetTensorShapeElementCount(shape, &elems));
	check(ort->GetTensorMutableData(value, &data));
	if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
		fprintf(stderr, "ort_run: output %zu is not of floats\n", index);
		exit(1);
	}
	write_file(dir, "output", index, data, elems * sizeof(float));
}

/**
 * struct model - a session with its inputs and outputs
 * @allocator: of the names
 */
struct model {
	OrtSession *session;
	OrtAllocator *allocator;
	size_t ins, outs;
	const char *in_name[TENSORS_MAX], *out_name[TENSORS_MAX];
	OrtValue *in[TENSORS_MAX], *out[TENSORS_MAX];
};

static void open_model(struct model *m, const char *path)
{
	OrtSessionOptions *options;
	OrtEnv *env;
	char *name;

	*m = (struct model){ .ins = 0 };
	check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "ort_run", &env));
	check(ort->CreateSessionOptions(&options));
	check(ort->CreateSession(env, path, options, &m->session));
	check(ort->GetAllocatorWithDefaultOptions(&m->allocator));
	check(ort->SessionGetInputCount(m->session, &m->ins));
	check(ort->SessionGetOutputCount(m->session, &m->outs));
	if (m->ins > TENSORS_MAX || m->outs > TENSORS_MAX) {
		fprintf(stderr, "ort_run: more than %d inputs or outputs\n", TENSORS_MAX);
		exit(1);
	}
	for (size_t i = 0; i < m->ins; i++) {
		check(ort->SessionGetInputName(m->session, i, m->allocator, &name));
		m->in_name[i] = name;
	}
	for (size_t i = 0; i < m->outs; i++) {
		check(ort->SessionGetOutputName(m->session, i, m->allocator, &name));
		m->out_name[i] = name;
	}
}

static void run_model(struct model *m)
{
	check(ort->Run(m->session, NULL, m->in_name, (const OrtValue *const *)m->in, m->ins,
		       m->out_name, m->outs, m->out));
}

static int run(const char *path, const char *dir, uint32_t seed, const char *photo)
{
	struct model m;

	open_model(&m, path);
	for (size_t i = 0; i < m.ins; i++)
		m.in[i] = make_input(m.session, i, &seed, photo, dir);
	run_model(&m);
	for (size_t i = 0; i < m.outs; i++)
		write_output(m.out[i], i, dir);
	return 0;
}

/* ---- decoding ---- */

static size_t find_name(const char *const *name, size_t count, const char *wanted)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(name[i], wanted))
			return i;
	fprintf(stderr, "ort_run: the model has no \"%s\"\n", wanted);
	exit(1);
}

/* The output's value is the input's from now on. */
static void pass_on(struct model *m, size_t output)
{
	const char *from = m->out_name[output];
	char to[4096];
	size_t in;

	if (!strncmp(from, "present_", 8))
		snprintf(to, sizeof(to), "past_%s", from + 8);
	else if (!strncmp(from, "next_", 5))
		snprintf(to, sizeof(to), "%s", from + 5);
	else
		return;
	in = find_name(m->in_name, m->ins, to);
	ort->ReleaseValue(m->in[in]);
	m->in[in] = m->out[output];
	m->out[output] = NULL;
}

/* Zeros: an empty cache, position 0. */
static OrtValue *make_zeros(OrtSession *session, OrtAllocator *allocator, size_t index)
{
	const OrtTensorTypeAndShapeInfo *shape;
	ONNXTensorElementDataType type;
	int64_t dim[RANK_MAX];
	OrtTypeInfo *info;
	size_t rank, elems;
	OrtValue *value;
	void *data;

	check(ort->SessionGetInputTypeInfo(session, index, &info));
	check(ort->CastTypeInfoToTensorInfo(info, &shape));
	check(ort->GetTensorElementType(shape, &type));
	check(ort->GetDimensionsCount(shape, &rank));
	check(ort->GetDimensions(shape, dim, rank < RANK_MAX ? rank : RANK_MAX));
	check(ort->GetTensorShapeElementCount(shape, &elems));
	check(ort->CreateTensorAsOrtValue(allocator, dim, rank, type, &value));
	check(ort->GetTensorMutableData(value, &data));
	memset(data, 0, elems * element_bytes(type));
	ort->ReleaseTypeInfo(info);
	return value;
}

static void read_tokens(const char *dir, int64_t *token, size_t count)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/token.bin", dir);
	f = fopen(path, "rb");
	if (!f || fread(token, sizeof(*token), count, f) != count)
		die(path);
	fclose(f);
}

static int decode(const char *path, const char *dir, size_t given, size_t count)
{
	int64_t *token = allocate((count + 1) * sizeof(*token)), *data;
	size_t in, next, logits, elems;
	OrtTensorTypeAndShapeInfo *shape;
	struct model m;
	char name[4096];
	void *row;
	FILE *f = open_file(dir, "output", 0, "wb");

	open_model(&m, path);
	in = find_name(m.in_name, m.ins, "token");
	next = find_name(m.out_name, m.outs, "next_token");
	logits = find_name(m.out_name, m.outs, "logits");
	for (size_t i = 0; i < m.ins; i++)
		m.in[i] = make_zeros(m.session, m.allocator, i);
	read_tokens(dir, token, given);
	for (size_t i = 0; i < count; i++) {
		check(ort->GetTensorMutableData(m.in[in], (void **)&data));
		*data = token[i];
		run_model(&m);
		check(ort->GetTensorMutableData(m.out[next], (void **)&data));
		if (i + 1 >= given)
			token[i + 1] = *data;
		check(ort->GetTensorTypeAndShape(m.out[logits], &shape));
		check(ort->GetTensorShapeElementCount(shape, &elems));
		check(ort->GetTensorMutableData(m.out[logits], &row));
		if (fwrite(row, sizeof(float), elems, f) != elems)
			die("logits");
		for (size_t k = 0; k < m.outs; k++)
			pass_on(&m, k);
		ort->ReleaseValue(m.out[logits]);
		m.out[logits] = NULL;
	}
	if (fclose(f))
		die("logits");
	snprintf(name, sizeof(name), "%s/ort_token.bin", dir);
	f = fopen(name, "wb");
	if (!f || fwrite(token, sizeof(*token), count + 1, f) != count + 1 || fclose(f))
		die(name);
	return 0;
}

/* ---- comparing ---- */

static float *read_floats(const char *dir, const char *stem, size_t index, size_t *count)
{
	FILE *f = open_file(dir, stem, index, "rb");
	float *data;
	long bytes;

	if (fseek(f, 0, SEEK_END) || (bytes = ftell(f)) < 0)
		die(stem);
	rewind(f);
	*count = (size_t)bytes / sizeof(float);
	data = allocate((size_t)bytes);
	if (fread(data, sizeof(float), *count, f) != *count)
		die(stem);
	fclose(f);
	return data;
}

/* The largest difference as a part of the largest value; infinite if the sizes differ. */
static double difference(const char *dir, const char *stem, const float *want, size_t count,
			 size_t index, double *largest)
{
	size_t got_count;
	float *got = read_floats(dir, stem, index, &got_count);
	double worst = count == got_count ? 0 : INFINITY;

	*largest = 0;
	for (size_t k = 0; k < count && count == got_count; k++) {
		double d = fabs((double)got[k] - want[k]);

		*largest = fmax(*largest, fabs(want[k]));
		/* A NaN stays. */
		worst = d <= worst ? worst : d;
	}
	free(got);
	return worst > 0 ? worst / *largest : worst;
}

static int compare(const char *dir, size_t outputs, const char *other)
{
	int status = 0;

	for (size_t i = 0; i < outputs; i++) {
		size_t count;
		float *want = read_floats(dir, "output", i, &count);
		double largest, apart;
		double worst = difference(dir, "npu", want, count, i, &largest);
		bool good = worst <= TOLERANCE;

		printf("output %zu: %zu values, largest %.6g, differ by %.3g of it", i, count,
		       largest, worst);
		if (other) {
			apart = difference(other, "output", want, count, i, &largest);
			good = good && apart > TOLERANCE;
			printf(", with another input by %.3g", apart);
		}
		printf(": %s\n", good ? "ok" : "WRONG");
		status |= !good;
		free(want);
	}
	return status;
}

int main(int argc, char **argv)
{
	ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
	if (ort && argc >= 5 && !strcmp(argv[1], "run"))
		return run(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 0), argv[5]);
	if (ort && argc == 6 && !strcmp(argv[1], "decode"))
		return decode(argv[2], argv[3], strtoul(argv[4], NULL, 0),
			      strtoul(argv[5], NULL, 0));
	if (argc >= 4 && !strcmp(argv[1], "compare"))
		return compare(argv[2], strtoul(argv[3], NULL, 0), argv[4]);
	fputs("usage: see the top of ort_run.c\n", stderr);
	return 2;
}
