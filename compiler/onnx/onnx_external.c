/* SPDX-License-Identifier: MIT */
/*
 * Tensors whose elements are in another file. A model names the file, and nobody
 * vouches for the model: only regular files beneath its own folder are read, on a
 * way without links, and only if they have no other name, which could be one of
 * somebody else's secrets.
 */
#include "onnx_import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

/* What a file on disk takes as constants, folded and packed ones included. */
#define GROWTH		4
#define BLOCK_BYTES	512	/* of st_blocks */

/* A file that constants have come from. */
struct nc_onnx_file {
	struct nc_onnx_file *next;
	dev_t device;
	ino_t inode;
};

/**
 * struct external - what a tensor says about its file
 * @name: of the tensor
 * @what: it is
 * @location: of the file, relative to the model's folder
 * @offset_bytes: of the elements
 * @length_bytes: of the elements, if @has_length
 */
struct external {
	struct nc_onnx_import *im;
	const char *name;
	const char *what;
	const char *location;
	uint64_t offset_bytes;
	uint64_t length_bytes;
	bool has_offset, has_length, has_checksum;
};

static int refuse_data(const struct external *x, int err, const char *why)
{
	if (!x->location)
		return refuse(x->im, err, "%s \"%.100s\": its data are in another file: %s",
			      x->what, x->name, why);
	return refuse(x->im, err, "%s \"%.100s\": its data are in the file \"%.150s\": %s",
		      x->what, x->name, x->location, why);
}

/* Decimal digits and nothing else. */
static bool parse_bytes(const char *text, uint64_t *bytes)
{
	*bytes = 0;
	for (const char *c = text; *c; c++)
		if (*c < '0' || *c > '9' || __builtin_mul_overflow(*bytes, 10u, bytes) ||
		    __builtin_add_overflow(*bytes, (uint64_t)(*c - '0'), bytes))
			return false;
	return *text && *bytes <= INT64_MAX;
}

/* One entry, which has not been there before. */
static int take_entry(struct external *x, const char *key, const char *value)
{
	if (!strcmp(key, "location") && !x->location && *value) {
		x->location = value;
		return 0;
	}
	if (!strcmp(key, "offset") && !x->has_offset) {
		x->has_offset = true;
		return parse_bytes(value, &x->offset_bytes) ? 0 :
		       refuse_data(x, -EINVAL, "the offset is not a number of bytes");
	}
	if (!strcmp(key, "length") && !x->has_length) {
		x->has_length = true;
		return parse_bytes(value, &x->length_bytes) ? 0 :
		       refuse_data(x, -EINVAL, "the length is not a number of bytes");
	}
	if (!strcmp(key, "checksum") && !x->has_checksum) {
		x->has_checksum = true;
		return 0;
	}
	return refuse_data(x, -EINVAL,
			   "it is described by something else than one location, offset, length and checksum");
}

static int describe(struct external *x, const Onnx__TensorProto *t)
{
	if (t->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
		return refuse_data(x, -EINVAL, "but the tensor does not say so in data_location");
	if (t->has_raw_data || t->n_float_data || t->n_int32_data || t->n_int64_data)
		return refuse_data(x, -EINVAL, "but some are in the model, too");
	for (size_t i = 0; i < t->n_external_data; i++) {
		int ret = take_entry(x, nc_onnx_text(t->external_data[i]->key),
				     nc_onnx_text(t->external_data[i]->value));

		if (ret)
			return ret;
	}
	return x->location ? 0 : refuse_data(x, -EINVAL, "it has no location");
}

/* A way of names down from the model's folder, whatever the file system does meanwhile. */
static int open_file(const struct external *x)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	if (x->im->folder == NC_ONNX_NO_FOLDER)
		return refuse_data(x, -ENOTSUP, "save the model with all data in one file");
	do
		fd = syscall(SYS_openat2, x->im->folder, x->location, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	if (fd >= 0)
		return (int)fd;
	switch (errno) {
	case EXDEV:
		return refuse_data(x, -EACCES, "that is outside of the model's folder");
	case ELOOP:
		return refuse_data(x, -EACCES, "a part of that is a link, which is not followed");
	case ENOSYS:
		return refuse_data(x, -ENOTSUP,
				   "this kernel cannot open it safely (openat2); save the model with all data in one file");
	default:
		return refuse_data(x, -errno, strerror(errno));
	}
}

/*
 * The model is larger by this file, once: a model may take memory as it is large.
 * Holes cost nothing to make, so they do not count.
 */
static int count_file(const struct external *x, const struct stat *st)
{
	struct nc_onnx_file **files = x->im->files, *file = *files;
	uint64_t on_disk = (uint64_t)st->st_blocks * BLOCK_BYTES, size = (uint64_t)st->st_size;

	while (file && (file->device != st->st_dev || file->inode != st->st_ino))
		file = file->next;
	if (file)
		return 0;
	nc_arena_more(x->im->g->arena, GROWTH * (on_disk < size ? on_disk : size));
	file = nc_alloc(x->im->g->arena, sizeof(*file));
	if (!file)
		return nc_onnx_no_memory(x->im);
	*file = (struct nc_onnx_file){ .next = *files, .device = st->st_dev, .inode = st->st_ino };
	*files = file;
	return 0;
}

/* The file that is open is one to be read, and large enough. */
static int check_file(const struct external *x, int fd, uint64_t bytes)
{
	uint64_t end;
	struct stat st;

	if (fstat(fd, &st))
		return refuse_data(x, -errno, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse_data(x, -EACCES, "that is not a regular file");
	if (st.st_nlink != 1)
		return refuse_data(x, -EACCES, "that file has other names, too; make a copy of it");
	if (x->has_length && x->length_bytes != bytes)
		return refuse_data(x, -EINVAL, "the length is not what its elements need");
	if (__builtin_add_overflow(x->offset_bytes, bytes, &end) || end > (uint64_t)st.st_size)
		return refuse_data(x, -EINVAL, "the file is too short for them");
	return count_file(x, &st);
}

static int read_file(const struct external *x, int fd, uint8_t *data, size_t bytes)
{
	size_t used = 0;

	while (used < bytes) {
		ssize_t n = pread(fd, data + used, bytes - used, (off_t)(x->offset_bytes + used));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse_data(x, -errno, strerror(errno));
		if (!n)
			return refuse_data(x, -EIO, "the file became shorter while it was read");
		used += (size_t)n;
	}
	return 0;
}

int nc_onnx_external(struct nc_onnx_import *im, const Onnx__TensorProto *t, const char *name,
		     const char *what, size_t bytes, void **data)
{
	struct external x = { .im = im, .name = nc_onnx_text(name), .what = what };
	int ret = describe(&x, t), fd;

	if (ret)
		return ret;
	fd = open_file(&x);
	if (fd < 0)
		return fd;
	ret = check_file(&x, fd, bytes);
	*data = ret ? NULL : nc_alloc(im->g->arena, bytes);
	if (!ret && !*data)
		ret = nc_onnx_no_memory(im);
	ret = ret ? ret : read_file(&x, fd, *data, bytes);
	close(fd);
	return ret;
}
