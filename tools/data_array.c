/* SPDX-License-Identifier: MIT */
/* Data sets of two arrays, inputs and labels: IDX and .npy. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "data.h"
#include "tensor_file.h"

static bool check_counts(const struct data *d, int64_t inputs, int64_t labels, char *error)
{
	if (inputs == labels)
		return true;
	return data_fail(error, d->x_path, "has %" PRId64 " samples, but %.200s has %" PRId64 " labels; give files that belong together",
			 inputs, d->label_path, labels);
}

/* The labels in @t, which has been looked into, as the loss wants them. */
static bool take_labels(struct data *d, struct tensor_file *t, char *error)
{
	struct npu_tensor_info info = data_label_info(&d->want);

	if (!data_shape_fits(t->path, "labels", t->rank, t->dim, &info, error))
		return false;
	if (data_has_classes(&d->want) && t->type.kind == 'f')
		return data_fail(error, t->path, "has labels of %s; this loss needs class numbers, which are integers",
				 tensor_type_text(t->type));
	info.dim[0] = t->dim[0];
	info.bytes = t->count * tensor_type_of(info.type).bytes;
	d->label = malloc(info.bytes);
	if (!d->label)
		return data_fail(error, t->path, "out of memory");
	return tensor_file_read(t, &info, false, d->label, error);
}

/* ---- IDX ---- */

#define IDX_HEAD_BYTES	4
#define IDX_U8		0x08
#define IDX_TYPES	7

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* 0, 0, type, rank, dimensions; the elements take the rest of the file. */
static bool parse_idx(struct tensor_file *t, size_t size, char *error)
{
	static const struct tensor_type type[IDX_TYPES] = {
		{ 'u', 1 }, { 'i', 1 }, { 0, 0 }, { 'i', 2 }, { 'i', 4 }, { 'f', 4 }, { 'f', 8 },
	};
	const uint8_t *head = t->memory;
	uint64_t bytes;

	if (size < IDX_HEAD_BYTES || head[0] || head[1] || head[2] < IDX_U8 ||
	    head[2] >= IDX_U8 + IDX_TYPES || !type[head[2] - IDX_U8].kind || !head[3] ||
	    head[3] > NPU_RANK_MAX)
		return data_fail(error, t->path, "is no IDX file; other arrays are given as npy:X,Y");
	t->type = type[head[2] - IDX_U8];
	t->rank = head[3];
	t->big_endian = true;
	t->offset_bytes = IDX_HEAD_BYTES + 4u * t->rank;
	if (size < t->offset_bytes)
		return data_fail(error, t->path, "is cut off in its header; fetch it again");
	for (unsigned int i = 0; i < t->rank; i++)
		t->dim[i] = big_endian(head + IDX_HEAD_BYTES + 4 * i);
	if (!tensor_count(t))
		return data_fail(error, t->path, "its header says more than any file has");
	bytes = t->offset_bytes + t->count * t->type.bytes;
	if (size < bytes)
		return data_fail(error, t->path, "is cut off: %zu bytes, its header says %" PRIu64 "; fetch it again",
				 size, bytes);
	if (size > bytes)
		return data_fail(error, t->path, "has %zu bytes, but its header says %" PRIu64 "; fetch it again", size,
				 bytes);
	t->data = head + t->offset_bytes;
	return true;
}

static bool open_idx(struct tensor_file *t, const char *path, char *error)
{
	size_t size;

	*t = (struct tensor_file){ .path = path, .memory = data_read_all(path, &size, error) };
	return t->memory && parse_idx(t, size, error);
}

static bool take_images(struct data *d, struct tensor_file *t, char *error)
{
	const struct npu_tensor_info *want = &d->want.input;

	if (t->type.kind != 'u')
		return data_fail(error, t->path, "has elements of %s; images must be bytes",
				 tensor_type_text(t->type));
	if (want->type != NPU_TYPE_F32 && want->type != NPU_TYPE_U8)
		return data_fail(error, t->path, "images need an input of f32 or u8; \"%.100s\" is neither",
				 want->name);
	if (!data_shape_fits(t->path, "samples", t->rank, t->dim, want, error))
		return false;
	d->images = want->type == NPU_TYPE_F32;
	d->set.samples = (uint64_t)t->dim[0];
	memmove(t->memory, t->data, t->count);
	d->x = t->memory;
	t->memory = NULL;
	return true;
}

bool data_idx_open(struct data *d, char *error)
{
	struct tensor_file x = { .path = NULL }, y = { .path = NULL };
	bool good = open_idx(&x, d->x_path, error) && open_idx(&y, d->label_path, error) &&
		    check_counts(d, x.dim[0], y.dim[0], error) && take_images(d, &x, error) &&
		    take_labels(d, &y, error);

	tensor_file_close(&x);
	tensor_file_close(&y);
	return good;
}

/* ---- .npy ---- */

static bool open_npy(struct tensor_file *t, const char *path, const struct npu_tensor_info *want,
		     char *error)
{
	unsigned char magic[6];
	gzFile f = gzopen(path, "rbe");
	int got = f ? gzread(f, magic, sizeof(magic)) : -1, err = errno;

	if (f)
		gzclose(f);
	if (!f)
		return data_fail(error, path, "%s", strerror(err));
	if (!got)
		return data_fail(error, path, "is empty; fetch it again");
	if (got != sizeof(magic) || memcmp(magic, "\x93NUMPY", sizeof(magic)))
		return data_fail(error, path, "is no .npy file; save it with numpy.save()");
	return tensor_file_open(t, path, want, error);
}

/* Rows that are in the file as the model takes them stay there. */
static bool take_rows(struct data *d, struct tensor_file *t, char *error)
{
	struct npu_tensor_info info = d->want.input;

	if (!data_shape_fits(t->path, "samples", t->rank, t->dim, &info, error))
		return false;
	d->set.samples = (uint64_t)t->dim[0];
	if (tensor_file_is_plain(t, &info)) {
		d->stream = data_stream_open(t->path, t->offset_bytes, d->x_bytes, error);
		return d->stream;
	}
	info.dim[0] = t->dim[0];
	info.bytes = d->set.samples * d->x_bytes;
	d->x = malloc(info.bytes);
	if (!d->x)
		return data_fail(error, t->path, "out of memory");
	return tensor_file_read(t, &info, false, d->x, error);
}

bool data_npy_open(struct data *d, char *error)
{
	struct npu_tensor_info label = data_label_info(&d->want);
	struct tensor_file x = { .path = NULL }, y = { .path = NULL };
	bool good = open_npy(&x, d->x_path, &d->want.input, error) &&
		    open_npy(&y, d->label_path, &label, error) &&
		    check_counts(d, x.rank ? x.dim[0] : 1, y.rank ? y.dim[0] : 1, error) &&
		    take_rows(d, &x, error) && take_labels(d, &y, error);

	tensor_file_close(&x);
	tensor_file_close(&y);
	return good;
}
