/* SPDX-License-Identifier: MIT */
/*
 * Data sets from files: what a model sees of them, what is refused with which words, and
 * files that are cut off anywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <liburing.h>
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

#include "data.h"
#include "tool.h"

#define SPARSE	NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY
#define DENSE	NPU_LOSS_CATEGORICAL_CROSSENTROPY
#define CLASSES	3
#define SIDE	2
#define PIXELS	(SIDE * SIDE)
#define IMAGES	5

/* What io_uring refuses, as in containers. */
static enum {
	NOTHING, A_RING, LATER_SUBMITS,
} refusal;

int __real_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);

int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	return refusal == A_RING ? -EPERM : __real_io_uring_queue_init(entries, ring, flags);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count)
{
	static unsigned int submits;

	if (refusal == LATER_SUBMITS && ++submits % 4 == 0)
		return -EINVAL;
	return __real_io_uring_submit_and_wait(ring, count);
}

static char dir[] = "/tmp/npu-data-XXXXXX";
static char message[512];

/* The data sets are told about errors of a batch by the library. */
int npu_set_error(int err, const char *text)
{
	snprintf(message, sizeof(message), "%s", text);
	return err;
}

bool tool_same_file(const char *a, const char *b)
{
	return !strcmp(a, b);
}

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

static void put(const char *name, const void *data, size_t bytes)
{
	FILE *f = fopen(path_of(name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
}

static void put_gz(const char *name, const void *data, size_t bytes)
{
	gzFile f = gzopen(path_of(name), "wb");

	assert_non_null(f);
	assert_int_equal(gzwrite(f, data, (unsigned int)bytes), bytes);
	assert_int_equal(gzclose(f), Z_OK);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static struct data *open_spec(const struct data_want *want, const char *spec)
{
	return data_open(spec, want, message);
}

/* "KIND:DIR/A,DIR/B"; @b may be NULL. */
static const char *spec_of(const char *kind, const char *a, const char *b)
{
	static char spec[1024];

	snprintf(spec, sizeof(spec), "%s:%s%s%s", kind, path_of(a), b ? "," : "", b ? path_of(b) : "");
	return spec;
}

static void refused(const struct data_want *want, const char *spec, const char *words)
{
	struct data *d = open_spec(want, spec);

	assert_null(d);
	if (!strstr(message, words))
		fail_msg("\"%s\" instead of \"%s\"", message, words);
}

static struct data *opened(const struct data_want *want, const char *spec, uint64_t samples)
{
	struct data *d = open_spec(want, spec);

	if (!d)
		fail_msg("%s", message);
	assert_int_equal(d->set.samples, samples);
	return d;
}

/* Images [batch, 2, 2, 1] to 3 classes, or to a row of 2 numbers. */
static struct data_want want_of(enum npu_loss loss)
{
	struct data_want want = {
		.input = { .name = "x", .type = NPU_TYPE_F32, .rank = 4, .dim = { 4, SIDE, SIDE, 1 } },
		.output = { .name = "y", .type = NPU_TYPE_F32, .rank = 2, .dim = { 4, CLASSES } },
		.loss = loss,
	};

	if (loss == NPU_LOSS_MSE)
		want.output.dim[1] = 1;
	return want;
}

/* ---- IDX ---- */

static uint8_t images[4 + 12 + IMAGES * PIXELS];
static uint8_t labels[4 + 4 + IMAGES];

static void make_idx(void)
{
	static const uint8_t image_head[] = {
		0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, SIDE, 0, 0, 0, SIDE,
	};
	static const uint8_t label_head[] = { 0, 0, 8, 1, 0, 0, 0, IMAGES };

	memcpy(images, image_head, sizeof(image_head));
	memcpy(labels, label_head, sizeof(label_head));
	for (unsigned int i = 0; i < IMAGES * PIXELS; i++)
		images[sizeof(image_head) + i] = (uint8_t)(255 - 3 * i);
	for (unsigned int i = 0; i < IMAGES; i++)
		labels[sizeof(label_head) + i] = (uint8_t)(i % CLASSES);
	put("x.idx", images, sizeof(images));
	put("y.idx", labels, sizeof(labels));
}

/* Samples in another order, one of them twice. */
static void expect_images(struct data *d)
{
	static const uint64_t index[] = { 3, 0, 1, 3 };
	float x[4 * PIXELS];
	int32_t label[4];
	void *input = x;

	assert_int_equal(d->set.read(d->set.ctx, index, 4, &input, label), 0);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(label[i], index[i] % CLASSES);
		for (unsigned int k = 0; k < PIXELS; k++)
			assert_true(x[i * PIXELS + k] ==
				    (float)(255 - 3 * (index[i] * PIXELS + k)) / 255);
	}
	data_close(d);
}

static void test_idx(void **state)
{
	struct data_want want = want_of(SPARSE);

	(void)state;
	make_idx();
	put_gz("x.gz", images, sizeof(images));
	put_gz("y.gz", labels, sizeof(labels));
	expect_images(opened(&want, spec_of("idx", "x.idx", "y.idx"), IMAGES));
	expect_images(opened(&want, spec_of("idx", "x.gz", "y.gz"), IMAGES));
	expect_images(opened(&want, spec_of("idx", "x.gz", "y.idx"), IMAGES));
}

/* The model's own bytes are what is in the file. */
static void test_idx_bytes(void **state)
{
	static const uint64_t index[] = { 2 };
	struct data_want want = want_of(SPARSE);
	uint8_t x[PIXELS];
	void *input = x;
	int32_t label;
	struct data *d;

	(void)state;
	make_idx();
	want.input.type = NPU_TYPE_U8;
	d = opened(&want, spec_of("idx", "x.idx", "y.idx"), IMAGES);
	assert_int_equal(d->set.read(d->set.ctx, index, 1, &input, &label), 0);
	assert_memory_equal(x, images + 16 + 2 * PIXELS, PIXELS);
	data_close(d);
	want.input.type = NPU_TYPE_I32;
	refused(&want, spec_of("idx", "x.idx", "y.idx"), "an input of f32 or u8");
}

static void test_idx_wrong(void **state)
{
	struct data_want want = want_of(SPARSE);
	uint8_t bad[sizeof(images)];

	(void)state;
	make_idx();
	refused(&want, spec_of("idx", "x.idx", "none"), "none: No such file");
	refused(&want, spec_of("idx", "y.idx", "x.idx"), "shape [] each; the model takes [2, 2, 1]");
	refused(&want, spec_of("idx", "x.idx", "x.idx"), "labels of shape [2, 2] each");
	put("empty", "", 0);
	refused(&want, spec_of("idx", "empty", "y.idx"), "empty: is empty");
	refused(&want, "idx:x", "two files with a comma");
	refused(&want, "idx:,y", "two files with a comma");
	refused(&want, "idx:x,", "two files with a comma");
	refused(&want, "tar:x", "no data set; idx:");
	refused(&want, "csv:", "a file is needed");
	memcpy(bad, labels, sizeof(labels));
	bad[8 + 3] = CLASSES;
	put("bad", bad, sizeof(labels));
	refused(&want, spec_of("idx", "x.idx", "bad"),
		"bad: row 3: label 3 is out of range; the model has 3 classes, 0 to 2");
	memcpy(bad, labels, sizeof(labels));
	bad[7] = 4;
	put("bad", bad, sizeof(labels) - 1);
	refused(&want, spec_of("idx", "x.idx", "bad"), "has 5 samples, but");
	put("bad", bad, sizeof(labels));
	refused(&want, spec_of("idx", "x.idx", "bad"), "has 13 bytes, but its header says 12");
	memset(bad + 4, 0xff, 4);
	put("bad", bad, sizeof(labels));
	refused(&want, spec_of("idx", "x.idx", "bad"), "is cut off: 13 bytes");
	memcpy(bad, images, sizeof(images));
	bad[2] = 9;
	put("bad", bad, sizeof(images));
	refused(&want, spec_of("idx", "bad", "y.idx"), "images must be bytes");
	put("bad", images, 10);
	refused(&want, spec_of("idx", "bad", "y.idx"), "is cut off in its header");
	bad[2] = 0x0a;
	put("bad", bad, sizeof(images));
	refused(&want, spec_of("idx", "bad", "y.idx"), "is no IDX file");
	memcpy(bad, images, sizeof(images));
	memset(bad + 4, 0, 4);
	put("bad", bad, 16);
	put("zero", bad, 16);
	bad[3] = 1;
	put("none.idx", bad, 8);
	refused(&want, spec_of("idx", "zero", "none.idx"), "has no samples");
}

/* ---- .npy ---- */

static size_t npy(uint8_t *file, const char *type, const char *shape, const void *data,
		  size_t bytes)
{
	static const uint8_t magic[] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0 };
	int length = snprintf((char *)file + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
			      type, shape);

	memset(file + 10 + length, ' ', (size_t)(118 - length));
	file[127] = '\n';
	memcpy(file, magic, sizeof(magic));
	memcpy(file + 128, data, bytes);
	return 128 + bytes;
}

static void put_npy(const char *name, const char *type, const char *shape, const void *data,
		    size_t bytes)
{
	static uint8_t file[4096];

	put(name, file, npy(file, type, shape, data, bytes));
}

static float rows[IMAGES * PIXELS];

static void make_npy(void)
{
	static const int64_t classes[IMAGES] = { 0, 1, 2, 0, 1 };

	for (unsigned int i = 0; i < IMAGES * PIXELS; i++)
		rows[i] = (float)i - 7.5f;
	put_npy("x.npy", "<f4", "5, 2, 2", rows, sizeof(rows));
	put_npy("y.npy", "<i8", "5,", classes, sizeof(classes));
}

static void expect_rows(struct data *d, bool streamed)
{
	static const uint64_t index[] = { 4, 0, 1, 2, 0 };
	float x[IMAGES * PIXELS];
	int32_t label[IMAGES];
	void *input = x;

	assert_int_equal(!d->x, streamed);
	for (unsigned int round = 0; round < 2; round++) {
		memset(x, 0, sizeof(x));
		assert_int_equal(d->set.read(d->set.ctx, index, IMAGES, &input, label), 0);
		for (unsigned int i = 0; i < IMAGES; i++) {
			assert_memory_equal(x + i * PIXELS, rows + index[i] * PIXELS,
					    PIXELS * sizeof(float));
			assert_int_equal(label[i], index[i] % CLASSES);
		}
	}
	data_close(d);
}

static void test_npy(void **state)
{
	struct data_want want = want_of(SPARSE);
	double wide[IMAGES * PIXELS];
	uint8_t file[1024];

	(void)state;
	make_npy();
	expect_rows(opened(&want, spec_of("npy", "x.npy", "y.npy"), IMAGES), true);
	put_gz("x.gz", file, npy(file, "<f4", "5, 2, 2", rows, sizeof(rows)));
	expect_rows(opened(&want, spec_of("npy", "x.gz", "y.npy"), IMAGES), false);
	for (unsigned int i = 0; i < IMAGES * PIXELS; i++)
		wide[i] = (double)rows[i];
	put_npy("wide.npy", "<f8", "5, 2, 2, 1", wide, sizeof(wide));
	expect_rows(opened(&want, spec_of("npy", "wide.npy", "y.npy"), IMAGES), false);
}

/* Many rows, neighbours and not: more than are in flight at once. */
static void read_stream(void)
{
	enum { ROWS = 1000, COLUMNS = 700 };
	float *data = malloc(ROWS * COLUMNS * sizeof(float));
	float *x = malloc(ROWS * COLUMNS * sizeof(float));
	struct data_stream *s;
	uint64_t row[ROWS];

	for (unsigned int i = 0; i < ROWS * COLUMNS; i++)
		data[i] = (float)i;
	put("rows", data, ROWS * COLUMNS * sizeof(float));
	for (unsigned int gap = 1; gap < 8; gap++) {
		s = data_stream_open(path_of("rows"), 0, COLUMNS * sizeof(float), message);
		assert_non_null(s);
		for (unsigned int i = 0; i < ROWS; i++)
			row[i] = i * gap % ROWS;
		assert_int_equal(data_stream_read(s, row, ROWS, x), 0);
		for (unsigned int i = 0; i < ROWS; i++)
			assert_memory_equal(x + i * COLUMNS, data + row[i] * COLUMNS,
					    COLUMNS * sizeof(float));
		row[500] = ROWS;
		assert_int_equal(data_stream_read(s, row, ROWS, x), -ENODATA);
		assert_non_null(strstr(message, "row 1000: cannot be read: the file became shorter"));
		/* The read that has this row begins with others. */
		for (unsigned int i = 0; i < 3; i++)
			row[i] = ROWS - 2 + i;
		message[0] = '\0';
		assert_int_equal(data_stream_read(s, row, 3, x), -ENODATA);
		assert_non_null(strstr(message, "row 1000: cannot be read: the file became shorter"));
		data_stream_close(s);
	}
	free(data);
	free(x);
}

static void test_stream(void **state)
{
	(void)state;
	for (refusal = LATER_SUBMITS; refusal > NOTHING; refusal--)
		read_stream();
	read_stream();
}

static void test_npy_wrong(void **state)
{
	static const uint64_t index[] = { 1, 2 };
	struct data_want want = want_of(SPARSE);
	static const int64_t bad[IMAGES] = { 0, 1, -1, 0, 1 }, big[IMAGES] = { 0, 1, 1ll << 40 };
	float copy[IMAGES * PIXELS], x[2 * PIXELS];
	void *input = x;
	int32_t label[2];
	struct data *d;

	(void)state;
	make_npy();
	put_npy("bad.npy", "<i8", "5,", bad, sizeof(bad));
	refused(&want, spec_of("npy", "x.npy", "bad.npy"), "bad.npy: row 2: label -1 is out of range");
	put_npy("bad.npy", "<i8", "5,", big, sizeof(big));
	refused(&want, spec_of("npy", "x.npy", "bad.npy"), "element 2 is 1099511627776, which does not fit");
	put_npy("bad.npy", "<i8", "5, 1, 2", bad, sizeof(bad));
	refused(&want, spec_of("npy", "x.npy", "bad.npy"), "cut off");
	put_npy("bad.npy", "<i8", "", bad, 8);
	refused(&want, spec_of("npy", "bad.npy", "bad.npy"), "its first dimension must count samples");
	put_npy("bad.npy", "<f4", "5,", rows, 20);
	refused(&want, spec_of("npy", "x.npy", "bad.npy"), "this loss needs class numbers");
	refused(&want, spec_of("npy", "y.npy", "y.npy"), "shape [] each; the model takes [2, 2, 1] (\"x\")");
	put_text("bad.npy", "1 2 3 4 5 6 7");
	refused(&want, spec_of("npy", "bad.npy", "y.npy"), "is no .npy file");
	put("bad.npy", "", 0);
	refused(&want, spec_of("npy", "bad.npy", "y.npy"), "is empty");
	memcpy(copy, rows, sizeof(rows));
	copy[2 * PIXELS + 1] = NAN;
	put_npy("nan.npy", "<f4", "5, 2, 2", copy, sizeof(copy));
	d = opened(&want, spec_of("npy", "nan.npy", "y.npy"), IMAGES);
	assert_int_equal(d->set.read(d->set.ctx, index, 1, &input, label), 0);
	assert_int_equal(d->set.read(d->set.ctx, index, 2, &input, label), -EDOM);
	assert_non_null(strstr(message, "nan.npy: row 2: has nan"));
	data_close(d);
	copy[2 * PIXELS + 1] = -INFINITY;
	put_npy("inf.npy", ">f4", "5, 2, 2", copy, sizeof(copy));
	{
		uint8_t file[1024];

		put_gz("inf.gz", file, npy(file, "<f4", "5, 2, 2", copy, sizeof(copy)));
	}
	refused(&want, spec_of("npy", "inf.gz", "y.npy"), "inf.gz: row 2: has -inf");
}

static void test_other_losses(void **state)
{
	static const uint64_t index[] = { 1 };
	float probability[IMAGES * CLASSES] = { 1, 0, 0, 0.25f, 0.75f }, got[CLASSES], x[PIXELS];
	struct data_want want = want_of(DENSE);
	void *input = x;
	struct data *d;

	(void)state;
	make_npy();
	make_idx();
	put_npy("p.npy", "<f4", "5, 3", probability, sizeof(probability));
	d = opened(&want, spec_of("npy", "x.npy", "p.npy"), IMAGES);
	assert_int_equal(d->set.read(d->set.ctx, index, 1, &input, got), 0);
	assert_memory_equal(got, probability + CLASSES, sizeof(got));
	data_close(d);
	refused(&want, spec_of("npy", "x.npy", "y.npy"), "labels of shape [] each; the model takes [3]");
	probability[7] = 2;
	put_npy("p.npy", "<f4", "5, 3", probability, sizeof(probability));
	refused(&want, spec_of("npy", "x.npy", "p.npy"), "row 2: label 2 is no probability");
	want = want_of(NPU_LOSS_MSE);
	put_npy("r.npy", "<f4", "5,", rows, 20);
	d = opened(&want, spec_of("npy", "x.npy", "r.npy"), IMAGES);
	assert_int_equal(d->set.read(d->set.ctx, index, 1, &input, got), 0);
	assert_true(got[0] == rows[1]);
	data_close(d);
	d = opened(&want, spec_of("idx", "x.idx", "y.idx"), IMAGES);
	assert_int_equal(d->set.read(d->set.ctx, index, 1, &input, got), 0);
	assert_true(got[0] == 1);
	data_close(d);
	probability[1] = NAN;
	put_npy("r.npy", "<f4", "5,", probability, 20);
	refused(&want, spec_of("npy", "x.npy", "r.npy"), "row 1: the label is nan");
}

/* ---- CSV ---- */

static void test_csv(void **state)
{
	static const char *const text[] = {
		"1,2,3,4,0\n-5,6e0,.7,8,2\n",
		"a,b,c,\"d\",class\n1,2,3,4,0\n-5,6,0.7,8,2",
		",,,,\r\n1,2,3,4,0\r\n\r\n -5 ,\t6, 0.7 ,8, 2 \r\n",
	};
	static const float second[] = { -5, 6, 0.7f, 8 };
	static const uint64_t index[] = { 1, 0 };
	struct data_want want = want_of(SPARSE);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		float x[2 * PIXELS];
		void *input = x;
		int32_t label[2];
		struct data *d;

		put_text("d.csv", text[i]);
		d = opened(&want, spec_of("csv", "d.csv", NULL), 2);
		assert_int_equal(d->set.read(d->set.ctx, index, 2, &input, label), 0);
		assert_memory_equal(x, second, sizeof(second));
		assert_true(x[4] == 1 && x[7] == 4);
		assert_int_equal(label[0], 2);
		assert_int_equal(label[1], 0);
		data_close(d);
	}
}

static void test_csv_many(void **state)
{
	struct data_want want = want_of(NPU_LOSS_MSE);
	FILE *f = fopen(path_of("d.csv"), "w");
	uint64_t index[] = { 2999 };
	float x[PIXELS], label;
	void *input = x;
	struct data *d;

	(void)state;
	for (int i = 0; i < 3000; i++)
		fprintf(f, "%d,%d,%d,%d,%g\n", i, 2 * i, 3 * i, 4 * i, i + 0.5);
	fclose(f);
	d = opened(&want, spec_of("csv", "d.csv", NULL), 3000);
	assert_int_equal(d->set.read(d->set.ctx, index, 1, &input, &label), 0);
	assert_true(x[3] == 4 * 2999 && label == 2999.5f);
	data_close(d);
}

static void test_csv_wrong(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "a,b,c,d,e\n", "has no samples" },
		{ "1,2,3,4,0\n1,2,x,4,0\n", "line 2: column 3 is no number: \"x,4,0\"" },
		{ "1,2,3,4,0\na,b,c,d,e\n", "line 2: column 1 is no number: \"a,b,c,d,e\"" },
		{ "1,2,3,4,0\n1,2,,4,0\n", "line 2: column 3 is no number" },
		{ "1,2,3,4,0\n1,2,3 4,0\n", "line 2: column 3 is no number" },
		{ "1,2,3,4,0\n\n1,2,3,0\n", "line 3: has 4 columns; the model takes 4 (\"x\"), and one is the label" },
		{ "1,2,3,4,5,0\n", "line 1: has 6 columns" },
		{ "1,2,3,4,0,\n", "line 1: column 6 is no number" },
		{ "n,o,p,q,r\n1,2,3,4,3\n", "line 2: label 3 is out of range; the model has 3 classes" },
		{ "1,2,3,4,-1\n", "line 1: label -1 is out of range" },
		{ "1,2,3,4,1.5\n", "label 1.5 is no whole number" },
		{ "1,2,nan,4,1\n", "line 1: column 3 is nan" },
		{ "1,2,1e39,4,1\n", "line 1: column 3 is 1e+39" },
		{ "1,2,3,4,inf\n", "line 1: column 5 is inf" },
		{ "1,2,3,x,1\n1,2,3,4,1\n", "line 1: column 4 is no number" },
	};
	struct data_want want = want_of(SPARSE);

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_text("d.csv", cases[i].text);
		refused(&want, spec_of("csv", "d.csv", NULL), cases[i].words);
	}
	put("d.csv", "1,2\0,3,4,0\n", 12);
	refused(&want, spec_of("csv", "d.csv", NULL), "is no text");
	put("d.csv", "", 0);
	refused(&want, spec_of("csv", "d.csv", NULL), "is empty");
	want.input.type = NPU_TYPE_I64;
	refused(&want, spec_of("csv", "d.csv", NULL), "is not of f32");
	want = want_of(DENSE);
	refused(&want, spec_of("csv", "d.csv", NULL), "needs 3 labels for a sample, a line has one");
}

/* ---- cut off ---- */

/* However much is missing: refused with a message, and with gzip as well. */
static void cut(const char *kind, const char *name, const void *data, size_t bytes,
		const char *a, const char *b, enum npu_loss loss)
{
	struct data_want want = want_of(loss);

	for (size_t length = 0; length < bytes; length++) {
		put(name, data, length);
		message[0] = '\0';
		if (open_spec(&want, spec_of(kind, a, b)))
			fail_msg("%s of %zu instead of %zu bytes is taken", name, length, bytes);
		assert_true(strlen(message) > strlen(name));
		assert_non_null(strstr(message, name));
	}
}

static size_t packed(uint8_t *dst, const char *name, const void *data, size_t bytes)
{
	FILE *f;
	size_t size;

	put_gz(name, data, bytes);
	f = fopen(path_of(name), "rb");
	size = fread(dst, 1, 4096, f);
	fclose(f);
	return size;
}

static void test_cut(void **state)
{
	static const char text[] = "1,2,3,4,0\n-5,6,0.7,8,2\n";
	static const int32_t classes[IMAGES];
	uint8_t file[4096], zipped[4096];
	struct data_want want = want_of(SPARSE);
	size_t bytes;

	(void)state;
	make_idx();
	make_npy();
	cut("idx", "cut", images, sizeof(images), "cut", "y.idx", SPARSE);
	cut("idx", "cut", labels, sizeof(labels), "x.idx", "cut", SPARSE);
	cut("idx", "cut", zipped, packed(zipped, "cut", images, sizeof(images)), "cut", "y.idx", SPARSE);
	bytes = npy(file, "<f4", "5, 2, 2", rows, sizeof(rows));
	cut("npy", "cut", file, bytes, "cut", "y.npy", SPARSE);
	cut("npy", "cut", zipped, packed(zipped, "cut", file, bytes), "cut", "y.npy", SPARSE);
	bytes = npy(file, "<i4", "5,", classes, sizeof(classes));
	cut("npy", "cut", file, bytes, "x.npy", "cut", SPARSE);
	/* Text may end anywhere: it is refused, or has fewer samples. */
	for (size_t length = 0; length + 1 < sizeof(text); length++) {
		struct data *d;

		put("cut", text, length);
		d = open_spec(&want, spec_of("csv", "cut", NULL));
		assert_true(d ? d->set.samples == (length < 22 ? 1 : 2) : *message);
		data_close(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idx),
		cmocka_unit_test(test_idx_bytes),
		cmocka_unit_test(test_idx_wrong),
		cmocka_unit_test(test_npy),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_npy_wrong),
		cmocka_unit_test(test_other_losses),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_csv_many),
		cmocka_unit_test(test_csv_wrong),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
