// SPDX-License-Identifier: MIT
/* The IDX reader: whole, cut, foreign and oversized files. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "ref_idx.h"
#include "ref_test.h"

static const uint8_t whole[] = {
	0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 51, 102, 153, 204, 255,
};

/* Writes bytes to a new file, plain or by gzip, and reads it as IDX. */
static int read_bytes(const uint8_t *bytes, size_t count, bool gzip,
		      struct ref_idx *idx, char *err, size_t err_bytes)
{
	char path[] = "/tmp/npu-test-idx-XXXXXX";
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	if (gzip) {
		gzFile file = gzdopen(fd, "wb");

		assert_non_null(file);
		assert_int_equal(gzwrite(file, bytes, (unsigned int)count),
				 (int)count);
		assert_int_equal(gzclose(file), Z_OK);
	} else {
		assert_int_equal(write(fd, bytes, count), (ssize_t)count);
		close(fd);
	}
	ret = ref_idx_read(path, idx, err, err_bytes);
	unlink(path);
	return ret;
}

static void whole_file_is_read(void **state)
{
	(void)state;
	for (int gzip = 0; gzip < 2; gzip++) {
		struct ref_idx idx;
		float row[3];

		assert_int_equal(read_bytes(whole, sizeof(whole), gzip, &idx,
					    NULL, 0), 0);
		assert_int_equal(idx.rank, 2);
		assert_int_equal(idx.dims[0], 2);
		assert_int_equal(idx.dims[1], 3);
		assert_memory_equal(idx.data, whole + 12, 6);
		assert_int_equal(ref_idx_to_float(&idx, 1, 1, row), 0);
		assert_true(row[0] == 0.6f && row[1] == 0.8f && row[2] == 1);
		assert_int_equal(ref_idx_to_float(&idx, 1, 2, row), -EINVAL);
		assert_int_equal(ref_idx_to_float(&idx, -1, 1, row), -EINVAL);
		ref_idx_free(&idx);
		ref_idx_free(&idx);
	}
}

/* A broken file is refused with a message and nothing to free. */
static void refuse(const uint8_t *bytes, size_t count, int want,
		   const char *says)
{
	struct ref_idx idx;
	char err[200] = "";

	assert_int_equal(read_bytes(bytes, count, false, &idx, err,
				    sizeof(err)), want);
	assert_null(idx.data);
	if (!strstr(err, says))
		fail_msg("'%s' does not say '%s'", err, says);
}

static void broken_files_are_refused(void **state)
{
	uint8_t bytes[sizeof(whole) + 1];

	(void)state;
	for (size_t cut = 0; cut < sizeof(whole); cut++)
		refuse(whole, cut, -EINVAL, cut < 4 ? "not an IDX" :
		       cut < 12 ? "inside the header" : "truncated");
	memcpy(bytes, whole, sizeof(whole));
	bytes[sizeof(whole)] = 1;
	refuse(bytes, sizeof(bytes), -EINVAL, "data after");
	bytes[0] = 1;
	refuse(bytes, sizeof(whole), -EINVAL, "not an IDX");
	bytes[0] = 0;
	bytes[2] = 0x0d;
	refuse(bytes, sizeof(whole), -EINVAL, "0x0d");
	bytes[2] = 8;
	bytes[3] = 5;
	refuse(bytes, sizeof(whole), -EINVAL, "5 dimensions");
	bytes[3] = 2;
	bytes[7] = 0;
	refuse(bytes, sizeof(whole), -EINVAL, "is 0");
	memset(bytes + 4, 0xff, 8);
	refuse(bytes, sizeof(whole), -EFBIG, "1 GiB");
}

static void missing_file_is_named(void **state)
{
	struct ref_idx idx;
	char err[100] = "", tiny[4] = "";

	(void)state;
	assert_int_equal(ref_idx_read("/nonexistent/file", &idx, err,
				      sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "/nonexistent/file"));
	assert_int_equal(ref_idx_read("/nonexistent/file", &idx, tiny,
				      sizeof(tiny)), -ENOENT);
	assert_int_equal(ref_idx_read(NULL, &idx, NULL, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_file_is_read),
		cmocka_unit_test(broken_files_are_refused),
		cmocka_unit_test(missing_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
