/* SPDX-License-Identifier: MIT */
/*
 * A model under ONNX Runtime, for tests/ort/compare.
 *
 *	ort_run run MODEL DIR SEED [PHOTO]	writes DIR/input_I.bin and DIR/output_I.bin
 *	ort_run compare DIR OUTPUTS [DIR2]	compares with DIR/npu_I.bin
 *
 * Inputs are what DIR has, else random by SEED, or a photo as BlazeFace wants it; open
 * dimensions are 1. Outputs are floats; npu's may differ by 1e-3 of the largest one.
 * DIR2 has the outputs for another input: they must differ by more than that, or the
 * model's output says nothing.
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

static int run(const char *model, const char *dir, uint32_t seed, const char *photo)
{
	const char *in_name[TENSORS_MAX], *out_name[TENSORS_MAX];
	OrtValue *in[TENSORS_MAX], *out[TENSORS_MAX] = { NULL };
	OrtSessionOptions *options;
	OrtAllocator *allocator;
	OrtSession *session;
	size_t ins, outs;
	OrtEnv *env;

	check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "ort_run", &env));
	check(ort->CreateSessionOptions(&options));
	check(ort->CreateSession(env, model, options, &session));
	check(ort->GetAllocatorWithDefaultOptions(&allocator));
	check(ort->SessionGetInputCount(session, &ins));
	check(ort->SessionGetOutputCount(session, &outs));
	if (ins > TENSORS_MAX || outs > TENSORS_MAX) {
		fprintf(stderr, "ort_run: more than %d inputs or outputs\n", TENSORS_MAX);
		return 1;
	}
	for (size_t i = 0; i < ins; i++) {
		char *name;

		check(ort->SessionGetInputName(session, i, allocator, &name));
		in_name[i] = name;
		in[i] = make_input(session, i, &seed, photo, dir);
	}
	for (size_t i = 0; i < outs; i++) {
		char *name;

		check(ort->SessionGetOutputName(session, i, allocator, &name));
		out_name[i] = name;
	}
	check(ort->Run(session, NULL, in_name, (const OrtValue *const *)in, ins, out_name, outs, out));
	for (size_t i = 0; i < outs; i++)
		write_output(out[i], i, dir);
	return 0;
}

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
	if (argc >= 4 && !strcmp(argv[1], "compare"))
		return compare(argv[2], strtoul(argv[3], NULL, 0), argv[4]);
	fputs("usage: see the top of ort_run.c\n", stderr);
	return 2;
}
