/* SPDX-License-Identifier: MIT */
/* Tensors in files: what is written is read back; formats by hand; damage. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "tensor_file.h"

#define DIR_TEMPLATE	"/tmp/npu-tensor.XXXXXX"

static char dir[sizeof(DIR_TEMPLATE)];

static struct npu_tensor_info make_info(enum npu_dtype_public type, unsigned int rank,
					const int64_t *dim)
{
	struct npu_tensor_info info = { .name = "t", .type = type, .rank = rank,
					.bytes = tensor_type_of(type).bytes };

	for (unsigned int i = 0; i < rank; i++) {
		info.dim[i] = dim[i];
		info.bytes *= (uint64_t)dim[i];
	}
	return info;
}

static const char *put_file(const char *name, const void *data, size_t bytes)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
	return path;
}

static const char *put_gz(const char *name, const void *data, size_t bytes)
{
	static char path[128];
	gzFile f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = gzopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(gzwrite(f, data, (unsigned int)bytes), bytes);
	assert_int_equal(gzclose(f), Z_OK);
	return path;
}

/* Open, match, read as a program would. */
static bool read_as(const char *path, const struct npu_tensor_info *info, bool scale, void *dst,
		    char *error)
{
	struct tensor_file t;
	bool good;

	*error = '\0';
	if (!tensor_file_open(&t, path, info, error))
		return false;
	good = tensor_file_matches(&t, info, error) &&
	       tensor_file_read(&t, info, scale, dst, error);
	tensor_file_close(&t);
	return good;
}

static void test_round_trip(void **state)
{
	static const enum npu_dtype_public types[] = {
		NPU_TYPE_F32, NPU_TYPE_I32, NPU_TYPE_I64, NPU_TYPE_BOOL, NPU_TYPE_I8,
		NPU_TYPE_U8, NPU_TYPE_I16, NPU_TYPE_BF16, NPU_TYPE_F16,
	};
	static const size_t count = sizeof(types) / sizeof(types[0]);
	static const char *const names[] = { "t.npy", "t.pb", "t.bin" };
	static const int64_t dims[][3] = { { 2, 3, 4 }, { 1, 1, 300 }, { 7, 1, 1 } };
	char error[TENSOR_ERROR_BYTES];
	char path[128];

	(void)state;
	for (size_t i = 0; i < count * 3 * 3; i++) {
		enum npu_dtype_public type = types[i % count];
		struct npu_tensor_info info = make_info(type, (unsigned int)(i / count % 3) + 1,
							dims[i / (3 * count)]);
		uint8_t data[4096];
		uint8_t back[4096];

		for (size_t k = 0; k < info.bytes; k++)
			data[k] = type == NPU_TYPE_BOOL ? k % 2 : (uint8_t)(k * 37 + i);
		/* NaN is not kept bit by bit; numpy has no name for bfloat16. */
		for (size_t k = 1; (type == NPU_TYPE_F16 || type == NPU_TYPE_BF16) && k < info.bytes;
		     k += 2)
			data[k] &= 0xb8;
		for (size_t n = type == NPU_TYPE_BF16; n < 3; n++) {
			snprintf(path, sizeof(path), "%s/%s", dir, names[n]);
			assert_true(tensor_file_write(path, &info, data, error));
			memset(back, 0xee, sizeof(back));
			if (!read_as(path, &info, false, back, error))
				fail_msg("%s", error);
			assert_memory_equal(back, data, info.bytes);
		}
	}
}

static void test_npy(void **state)
{
	static const int64_t dim[] = { 2, 2 };
	struct npu_tensor_info info = make_info(NPU_TYPE_F32, 2, dim);
	struct npu_tensor_info ints = make_info(NPU_TYPE_I64, 2, dim);
	char error[TENSOR_ERROR_BYTES];
	float out[4];
	int64_t out_int[4];
	char file[256];
	static const struct {
		const char *header;
		const char *error;
	} bad[] = {
		{ "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2), }", "element type" },
		{ "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", "Fortran" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -2), }", "shape" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2", "shape" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4194304, 4194304), }", "shape" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }", "cut off" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1,2), }", "shape [1, 2]" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", "shape [4]" },
		{ "{}", "element type" },
	};

	(void)state;
	/* Big-endian i2, version 2, as numpy would not write it but allows. */
	memcpy(file, "\x93NUMPY\x02\x00\x40\x00\x00\x00", 12);
	memset(file + 12, ' ', 64);
	memcpy(file + 12, "{'descr': '>i2', 'fortran_order': False, 'shape': (2, 1, 2), }", 62);
	memcpy(file + 76, "\x00\x01\xff\xfe\x01\x00\x7f\xff", 8);
	assert_true(read_as(put_file("a.npy", file, 84), &info, false, out, error));
	assert_true(out[0] == 1 && out[1] == -2 && out[2] == 256 && out[3] == 32767);
	assert_true(read_as(put_file("a.npy", file, 84), &info, true, out, error));
	assert_true(out[3] == 32767.0f / 255);
	assert_true(read_as(put_file("a.npy", file, 84), &ints, false, out_int, error));
	assert_true(out_int[1] == -2 && out_int[3] == 32767);
	assert_false(read_as(put_file("a.npy", file, 84), &ints, true, out_int, error));
	assert_non_null(strstr(error, "integers"));

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t length = strlen(bad[i].header);

		memset(file, ' ', sizeof(file));
		memcpy(file, "\x93NUMPY\x01\x00", 8);
		file[8] = (char)length;
		file[9] = 0;
		memcpy(file + 10, bad[i].header, length);
		assert_false(read_as(put_file("bad.npy", file, 10 + length + 16), &info, false, out,
				     error));
		if (!strstr(error, bad[i].error))
			fail_msg("%s: %s", bad[i].header, error);
	}
}

/* Images as in Fashion-MNIST: more of them than the model takes. */
static void test_idx(void **state)
{
	static const int64_t dim[] = { 2, 3, 3, 1 };
	static const int64_t wrong_dim[] = { 5, 3, 1, 1 };
	struct npu_tensor_info info = make_info(NPU_TYPE_F32, 4, dim);
	struct npu_tensor_info wrong = make_info(NPU_TYPE_F32, 4, wrong_dim);
	char error[TENSOR_ERROR_BYTES];
	uint8_t file[16 + 5 * 9] = { 0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 3 };
	float out[18];
	const char *path;

	(void)state;
	for (int i = 0; i < 45; i++)
		file[16 + i] = (uint8_t)(i * 5);
	for (int packed = 0; packed < 2; packed++) {
		path = packed ? put_gz("i.gz", file, sizeof(file)) :
				put_file("i", file, sizeof(file));
		assert_true(read_as(path, &info, true, out, error));
		for (int i = 0; i < 18; i++)
			assert_true(out[i] == (float)(i * 5) / 255);
		assert_true(read_as(path, &info, false, out, error));
		assert_true(out[17] == 85);
		assert_false(read_as(path, &wrong, false, out, error));
		assert_non_null(strstr(error, "shape [5, 3, 3]"));
	}
	/* A gzip file that is cut off or damaged. */
	{
		uint8_t packed[256];
		FILE *f = fopen(path, "rb");
		size_t bytes = fread(packed, 1, sizeof(packed), f);

		fclose(f);
		assert_false(read_as(put_file("c.gz", packed, bytes - 9), &info, false, out, error));
		assert_non_null(strstr(error, "cut off"));
		packed[bytes - 6] ^= 1;
		assert_false(read_as(put_file("c.gz", packed, bytes), &info, false, out, error));
		assert_non_null(strstr(error, "damaged"));
	}
}

/* TensorProto with its other ways to hold elements. */
static void test_pb(void **state)
{
	static const int64_t dim[] = { 3 };
	struct npu_tensor_info info = make_info(NPU_TYPE_F32, 1, dim);
	struct npu_tensor_info ints = make_info(NPU_TYPE_I32, 1, dim);
	char error[TENSOR_ERROR_BYTES];
	float out[3];
	int32_t out_int[3];
	/* dims: 3 packed, float_data packed, then the type; name in between. */
	static const uint8_t floats[] = { 0x0a, 1, 3, 0x22, 12, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40,
					  0, 0, 0x40, 0x40, 0x42, 1, 'x', 0x10, 1 };
	/* one float_data field per element */
	static const uint8_t single[] = { 0x08, 3, 0x10, 1, 0x25, 0, 0, 0x80, 0x3f, 0x25, 0, 0, 0,
					  0x40, 0x25, 0, 0, 0x40, 0x40 };
	/* int32_data 1, -1, 300 packed */
	static const uint8_t int32[] = { 0x08, 3, 0x10, 6, 0x2a, 13, 1, 0xff, 0xff, 0xff, 0xff,
					 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0xac, 0x02 };
	static const uint8_t few[] = { 0x08, 3, 0x10, 1, 0x25, 0, 0, 0x80, 0x3f };
	static const uint8_t none[] = { 0x08, 3, 0x10, 1 };
	static const uint8_t external[] = { 0x08, 3, 0x10, 1, 0x6a, 0 };
	static const uint8_t negative[] = { 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 1, 0x10, 1 };
	static const uint8_t strings[] = { 0x08, 3, 0x10, 8 };
	static const uint8_t group[] = { 0x08, 3, 0x10, 1, 0x0b };

	(void)state;
	assert_true(read_as(put_file("a.pb", floats, sizeof(floats)), &info, false, out, error));
	assert_true(out[0] == 1 && out[1] == 2 && out[2] == 3);
	assert_true(read_as(put_file("a.pb", single, sizeof(single)), &info, false, out, error));
	assert_true(out[0] == 1 && out[1] == 2 && out[2] == 3);
	assert_true(read_as(put_file("a.pb", int32, sizeof(int32)), &ints, false, out_int, error));
	assert_true(out_int[0] == 1 && out_int[1] == -1 && out_int[2] == 300);
#define refuse(bytes, word) \
	do { \
		assert_false(read_as(put_file("b.pb", bytes, sizeof(bytes)), &info, false, out, error)); \
		assert_non_null(strstr(error, word)); \
	} while (0)
	refuse(few, "do not agree");
	refuse(none, "do not agree");
	refuse(external, "another file");
	refuse(negative, "shape");
	refuse(strings, "type");
	refuse(group, "not a TensorProto");
}

/* Any cut and any changed byte gives a tensor or a message, never more. */
static void test_damage(void **state)
{
	static const int64_t dim[] = { 4, 5 };
	static const char *const names[] = { "d.npy", "d.pb", "d.bin" };
	struct npu_tensor_info info = make_info(NPU_TYPE_F32, 2, dim);
	char error[TENSOR_ERROR_BYTES];
	float data[20] = { 1, 2, 3 };
	float out[20];
	char path[128];

	(void)state;
	for (size_t n = 0; n < 3; n++) {
		uint8_t good[512];
		uint8_t bad[512];
		size_t bytes;
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, names[n]);
		assert_true(tensor_file_write(path, &info, data, error));
		f = fopen(path, "rb");
		bytes = fread(good, 1, sizeof(good), f);
		fclose(f);
		for (size_t i = 0; i < bytes; i++) {
			assert_false(read_as(put_file(names[n], good, i), &info, false, out, error));
			assert_true(strlen(error) > 10);
			for (int how = 0; how < 3; how++) {
				memcpy(bad, good, bytes);
				bad[i] = how == 0 ? 0 : how == 1 ? 0xff : good[i] ^ 0x11;
				if (!read_as(put_file(names[n], bad, bytes), &info, false, out, error))
					assert_true(strlen(error) > 10);
			}
		}
	}
	assert_false(read_as("/nonexistent/x.npy", &info, false, out, error));
	assert_non_null(strstr(error, "No such file"));
	assert_false(read_as("/dev/zero", &info, false, out, error));
	assert_false(read_as("/tmp", &info, false, out, error));
	assert_false(tensor_file_write("/nonexistent/x.npy", &info, data, error));
	assert_non_null(strstr(error, "cannot be written"));
	assert_true(tensor_file_write("/dev/null", &info, data, error));
	assert_int_equal(access("/dev/null", W_OK), 0);
}

static void test_values_that_do_not_fit(void **state)
{
	static const int64_t dim[] = { 2 };
	struct npu_tensor_info i64 = make_info(NPU_TYPE_I64, 1, dim);
	struct npu_tensor_info i32 = make_info(NPU_TYPE_I32, 1, dim);
	struct npu_tensor_info boolean = make_info(NPU_TYPE_BOOL, 1, dim);
	struct npu_tensor_info f32 = make_info(NPU_TYPE_F32, 1, dim);
	char error[TENSOR_ERROR_BYTES];
	int64_t data[] = { 2, 1ll << 31 };
	int64_t out[2];
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/v.npy", dir);
	assert_true(tensor_file_write(path, &i64, data, error));
	assert_false(read_as(path, &i32, false, out, error));
	assert_non_null(strstr(error, "element 1 is 2147483648"));
	assert_false(read_as(path, &boolean, false, out, error));
	assert_non_null(strstr(error, "element 0 is 2"));
	assert_true(tensor_file_write(path, &f32, data, error));
	assert_false(read_as(path, &i32, false, out, error));
	assert_non_null(strstr(error, "integers"));
}

/* Halves and other types to what a device takes, with its rounding. */
static void test_conversions(void **state)
{
	static const int64_t dim[] = { 8 };
	static const float in[8] = { 1, -2.0009766f, 65519, 65520, 5.9604645e-8f, 2.9e-8f,
				     6.1035156e-5f, 1.00146484375f };
	static const uint16_t half[8] = { 0x3c00, 0xc000, 0x7bff, 0x7c00, 1, 0, 0x400, 0x3c02 };
	static const uint16_t brain[8] = { 0x3f80, 0xc000, 0x4780, 0x4780, 0x3380, 0x32f9, 0x3880,
					   0x3f80 };
	struct npu_tensor_info f32 = make_info(NPU_TYPE_F32, 1, dim);
	struct npu_tensor_info f16 = make_info(NPU_TYPE_F16, 1, dim);
	struct npu_tensor_info bf16 = make_info(NPU_TYPE_BF16, 1, dim);
	struct npu_tensor_info i16 = make_info(NPU_TYPE_I16, 1, dim);
	struct npu_tensor_info u8 = make_info(NPU_TYPE_U8, 1, dim);
	const int16_t words[8] = { 0, 255, 1, 2, 3, 4, 5, 256 };
	char error[TENSOR_ERROR_BYTES];
	uint16_t out[8];
	uint8_t bytes[8];
	float back[8];
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/h.npy", dir);
	assert_true(tensor_file_write(path, &f32, in, error));
	assert_true(read_as(path, &f16, false, out, error));
	assert_memory_equal(out, half, sizeof(half));
	assert_true(read_as(path, &bf16, false, out, error));
	assert_memory_equal(out, brain, sizeof(brain));
	assert_true(tensor_file_write(path, &f16, half, error));
	assert_true(read_as(path, &f32, false, back, error));
	assert_true(back[2] == 65504 && isinf(back[3]) && back[4] == in[4] && back[6] == in[6]);
	snprintf(path, sizeof(path), "%s/h.pb", dir);
	assert_true(tensor_file_write(path, &bf16, brain, error));
	assert_true(read_as(path, &f32, false, back, error));
	assert_true(back[0] == 1 && back[2] == 65536);
	assert_true(tensor_file_write(path, &i16, words, error));
	assert_false(read_as(path, &u8, false, bytes, error));
	assert_non_null(strstr(error, "element 7 is 256"));
}

static bool compare(const char *path, const struct npu_tensor_info *info, const float *data,
		    struct tensor_diff *diff)
{
	char error[TENSOR_ERROR_BYTES];
	struct tensor_file t;

	assert_true(tensor_file_open(&t, path, info, error));
	assert_true(tensor_file_compare(&t, info, data, 1e-3, 1e-5, diff, error));
	tensor_file_close(&t);
	return !diff->wrong;
}

static void test_compare(void **state)
{
	static const int64_t dim[] = { 4 };
	struct npu_tensor_info info = make_info(NPU_TYPE_F32, 1, dim);
	const float expected[4] = { 0, 100, NAN, INFINITY };
	float got[4] = { 0, 100, NAN, INFINITY };
	char error[TENSOR_ERROR_BYTES];
	struct tensor_diff diff;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/c.npy", dir);
	assert_true(tensor_file_write(path, &info, expected, error));
	assert_true(compare(path, &info, got, &diff));
	assert_true(diff.max_abs == 0 && diff.max_rel == 0);
	got[1] = 100.0625f;
	assert_true(compare(path, &info, got, &diff));
	assert_true(diff.max_abs == 0.0625 && diff.max_rel == 0.000625);
	got[1] = 100.25f;
	got[0] = 0.5f;
	assert_false(compare(path, &info, got, &diff));
	assert_true(diff.wrong == 2 && diff.at == 0 && diff.got == 0.5 && diff.max_abs == 0.5);
	got[0] = 0;
	got[1] = 100;
	got[2] = 1;
	assert_false(compare(path, &info, got, &diff));
	got[2] = NAN;
	got[3] = -INFINITY;
	assert_false(compare(path, &info, got, &diff));
	got[3] = NAN;
	assert_false(compare(path, &info, got, &diff));
	assert_true(diff.wrong == 1 && diff.at == 3);
	/* The worst one, not the first one. */
	memcpy(got, expected, sizeof(got));
	got[0] = 2e-5f;
	got[1] = 200;
	assert_false(compare(path, &info, got, &diff));
	assert_true(diff.wrong == 2 && diff.at == 1 && diff.got == 200 && diff.expected == 100);
}

/* No tolerance for integers, however large. */
static void test_compare_integers(void **state)
{
	static const int64_t dim[] = { 2 };
	struct npu_tensor_info info = make_info(NPU_TYPE_I64, 1, dim);
	int64_t data[2] = { 5, (1ll << 62) + 1 };
	char error[TENSOR_ERROR_BYTES];
	struct tensor_diff diff;
	struct tensor_file t;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/i.npy", dir);
	assert_true(tensor_file_write(path, &info, data, error));
	assert_true(tensor_file_open(&t, path, &info, error));
	assert_true(tensor_file_compare(&t, &info, data, 1, 1, &diff, error));
	assert_true(!diff.wrong);
	data[1]--;
	assert_true(tensor_file_compare(&t, &info, data, 1, 1, &diff, error));
	assert_true(diff.wrong == 1 && diff.at == 1);
	tensor_file_close(&t);
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, DIR_TEMPLATE);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_npy),
		cmocka_unit_test(test_idx),
		cmocka_unit_test(test_pb),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_values_that_do_not_fit),
		cmocka_unit_test(test_conversions),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_compare_integers),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
