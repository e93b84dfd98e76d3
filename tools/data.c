/* SPDX-License-Identifier: MIT */
/* Data sets: the file formats by name, what all of them are checked for, batches. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "data.h"
#include "tensor_file.h"
#include "tool.h"

#define MEMORY_MAX	(8ull << 30)	/* of a file that is read whole */
#define PIXEL_MAX	255

bool data_fail(char *error, const char *path, const char *fmt, ...)
{
	int used = snprintf(error, DATA_ERROR_BYTES, "%.200s: ", path);
	va_list args;

	va_start(args, fmt);
	vsnprintf(error + used, DATA_ERROR_BYTES - (size_t)used, fmt, args);
	va_end(args);
	return false;
}

/* ---- What a model takes ---- */

uint64_t data_elems(const struct npu_tensor_info *info)
{
	uint64_t elems = 1;

	for (unsigned int i = 1; i < info->rank; i++)
		elems *= (uint64_t)info->dim[i];
	return elems;
}

bool data_has_classes(const struct data_want *want)
{
	return want->loss == NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY;
}

struct npu_tensor_info data_label_info(const struct data_want *want)
{
	struct npu_tensor_info info = want->output;

	info.name = "labels";
	info.type = NPU_TYPE_F32;
	if (data_has_classes(want)) {
		info.type = NPU_TYPE_I32;
		info.rank--;
	}
	return info;
}

/* The next dimension that is not 1, from *i on; -1 at the end. */
static int64_t next_dim(const int64_t *dim, unsigned int rank, unsigned int *i)
{
	while (*i < rank && dim[*i] == 1)
		++*i;
	return *i < rank ? dim[(*i)++] : -1;
}

/* "[28, 28]", of what follows the first dimension. */
static const char *list(unsigned int rank, const int64_t *dim, char text[NPU_RANK_MAX * 22 + 3])
{
	int used = sprintf(text, "[");

	for (unsigned int i = 1; i < rank; i++)
		used += sprintf(text + used, "%s%" PRId64, i > 1 ? ", " : "", dim[i]);
	sprintf(text + used, "]");
	return text;
}

bool data_shape_fits(const char *path, const char *what, unsigned int rank, const int64_t *dim,
		     const struct npu_tensor_info *want, char *error)
{
	char have[NPU_RANK_MAX * 22 + 3], takes[NPU_RANK_MAX * 22 + 3];
	unsigned int i = 1, k = 1;
	int64_t a, b;

	if (!rank)
		return data_fail(error, path, "is one number; its first dimension must count samples");
	if (!dim[0])
		return data_fail(error, path, "has no samples; at least one is needed");
	do {
		a = next_dim(dim, rank, &i);
		b = next_dim(want->dim, want->rank, &k);
	} while (a == b && a >= 0);
	if (a == b)
		return true;
	return data_fail(error, path, "has %s of shape %s each; the model takes %s (\"%.100s\"): give a model and data that fit", what,
			 list(rank, dim, have), list(want->rank, want->dim, takes), want->name);
}

bool data_label_fits(const struct data_want *want, const char *path, const char *where,
		     double value, char *error)
{
	int64_t classes = want->output.dim[want->output.rank - 1];

	if (!isfinite(value))
		return data_fail(error, path, "%s: the label is %g; remove or repair the sample", where,
				 value);
	if (data_has_classes(want) && (value < 0 || value >= (double)classes))
		return data_fail(error, path, "%s: label %.15g is out of range; the model has %" PRId64
				 " classes, 0 to %" PRId64 ": remove the sample, or take another model", where, value, classes, classes - 1);
	if (want->loss == NPU_LOSS_CATEGORICAL_CROSSENTROPY && !(value >= 0 && value <= 1))
		return data_fail(error, path, "%s: label %g is no probability from 0 to 1; class numbers need --loss sparse_categorical_crossentropy",
				 where, value);
	return true;
}

/* ---- Checks ---- */

static bool check_inputs(const struct data *d, char *error)
{
	uint64_t elems = data_elems(&d->want.input);
	const float *x = d->x;

	if (!x || d->images || d->want.input.type != NPU_TYPE_F32)
		return true;
	for (uint64_t i = 0; i < d->set.samples * elems; i++)
		if (!isfinite(x[i]))
			return data_fail(error, d->x_path, "row %" PRIu64 ": has %g; remove or repair the sample",
					 i / elems, (double)x[i]);
	return true;
}

static bool check_labels(const struct data *d, char *error)
{
	const struct npu_tensor_info info = data_label_info(&d->want);
	uint64_t elems = data_elems(&info);
	char where[32];

	for (uint64_t i = 0; i < d->set.samples * elems; i++) {
		double value = data_has_classes(&d->want) ? ((const int32_t *)d->label)[i] :
							    (double)((const float *)d->label)[i];

		snprintf(where, sizeof(where), "row %" PRIu64, i / elems);
		if (!data_label_fits(&d->want, d->label_path, where, value, error))
			return false;
	}
	return true;
}

/* ---- Batches ---- */

/* What the file has only now is checked only now. */
static int check_batch(const struct data *d, const uint64_t *index, unsigned int count,
		       const float *x)
{
	uint64_t elems = data_elems(&d->want.input);
	char error[DATA_ERROR_BYTES];

	if (d->want.input.type != NPU_TYPE_F32)
		return 0;
	for (uint64_t i = 0; i < count * elems; i++) {
		if (isfinite(x[i]))
			continue;
		data_fail(error, d->x_path, "row %" PRIu64 ": has %g; remove or repair the sample",
			  index[i / elems], (double)x[i]);
		return npu_set_error(-EDOM, error);
	}
	return 0;
}

static void copy_inputs(const struct data *d, const uint64_t *index, unsigned int count, void *dst)
{
	uint64_t elems = data_elems(&d->want.input);
	uint64_t row_bytes = d->images ? elems : d->x_bytes;
	float *x = dst;

	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *row = (const uint8_t *)d->x + index[i] * row_bytes;

		for (uint64_t k = 0; d->images && k < elems; k++)
			x[i * elems + k] = (float)row[k] / PIXEL_MAX;
		if (!d->images)
			memcpy((char *)dst + i * d->x_bytes, row, d->x_bytes);
	}
}

static int read_batch(void *ctx, const uint64_t *index, unsigned int count, void *const *input,
		      void *labels)
{
	struct data *d = ctx;
	int ret = 0;

	for (unsigned int i = 0; i < count; i++)
		memcpy((char *)labels + i * d->label_bytes,
		       (const char *)d->label + index[i] * d->label_bytes, d->label_bytes);
	if (d->x) {
		copy_inputs(d, index, count, input[0]);
	} else {
		ret = data_stream_read(d->stream, index, count, input[0]);
		ret = ret ? ret : check_batch(d, index, count, input[0]);
	}
	return ret;
}

/* ---- Files ---- */

uint8_t *data_read_all(const char *path, size_t *bytes, char *error)
{
	uint8_t *all = tensor_file_read_all(path, MEMORY_MAX, bytes, error);

	if (all && *bytes)
		return all;
	if (all)
		data_fail(error, path, "is empty; fetch it again");
	free(all);
	return NULL;
}

static const struct {
	const char *prefix;
	bool (*open)(struct data *d, char *error);
	bool two_files;
} formats[] = {
	{ "idx:", data_idx_open, true },
	{ "npy:", data_npy_open, true },
	{ "csv:", data_csv_open, false },
};

#define FORMATS	(sizeof(formats) / sizeof(formats[0]))

/* The files of "PREFIX:A,B". */
static bool find_files(struct data *d, const char *spec, const char *files, bool two, char *error)
{
	const char *comma = two ? strrchr(files, ',') : NULL;

	if (two && (!comma || comma == files || !comma[1]))
		return data_fail(error, spec, "two files with a comma between them are needed, inputs and labels");
	if (!*files)
		return data_fail(error, spec, "a file is needed");
	d->x_path = two ? strndup(files, (size_t)(comma - files)) : strdup(files);
	d->label_path = strdup(two ? comma + 1 : files);
	return (d->x_path && d->label_path) || data_fail(error, spec, "out of memory");
}

static bool open_spec(struct data *d, const char *spec, char *error)
{
	for (size_t i = 0; i < FORMATS; i++) {
		size_t length = strlen(formats[i].prefix);

		if (strncmp(spec, formats[i].prefix, length))
			continue;
		return find_files(d, spec, spec + length, formats[i].two_files, error) &&
		       formats[i].open(d, error) && check_inputs(d, error) &&
		       check_labels(d, error);
	}
	return data_fail(error, spec, "no data set; idx:IMAGES,LABELS, npy:X,Y and csv:FILE are");
}

struct data *data_open(const char *spec, const struct data_want *want,
		       char error[DATA_ERROR_BYTES])
{
	struct npu_tensor_info label = data_label_info(want);
	struct data *d = calloc(1, sizeof(*d));

	if (!d) {
		data_fail(error, spec, "out of memory");
		return NULL;
	}
	d->want = *want;
	d->x_bytes = data_elems(&want->input) * tensor_type_of(want->input.type).bytes;
	d->label_bytes = data_elems(&label) * tensor_type_of(label.type).bytes;
	d->set = (struct npu_dataset){ .read = read_batch, .ctx = d };
	if (open_spec(d, spec, error))
		return d;
	data_close(d);
	return NULL;
}

void data_close(struct data *d)
{
	if (!d)
		return;
	data_stream_close(d->stream);
	free(d->x);
	free(d->label);
	free(d->x_path);
	free(d->label_path);
	free(d);
}

bool data_has_file(const struct data *d, const char *path)
{
	return tool_same_file(d->x_path, path) || tool_same_file(d->label_path, path);
}
