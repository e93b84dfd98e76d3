/* SPDX-License-Identifier: MIT */
/* ONNX files: read whole with their limits, written whole or not at all. */
#define _GNU_SOURCE	/* O_PATH */
#include "onnx_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All of a regular file of limited size, malloc()ed. */
static int read_whole(const char *path, struct nc_diag *diag, uint8_t **data, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = 0;
	size_t used = 0, size;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		ret = nc_error(diag, -errno, "cannot open: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return ret;
	}
	*data = NULL;
	if (!S_ISREG(st.st_mode))
		ret = nc_error(diag, -EINVAL, "not a regular file");
	else if (st.st_size > (off_t)NC_ONNX_BYTES_MAX)
		ret = nc_error(diag, -EFBIG, "larger than 2 GiB, which no ONNX file is");
	size = ret ? 0 : (size_t)st.st_size;
	if (!ret)
		*data = malloc(size + 1);
	if (!ret && !*data)
		ret = nc_error(diag, -ENOMEM, "out of memory");
	while (!ret && used < size) {
		ssize_t n = read(fd, *data + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = nc_error(diag, -errno, "cannot read: %s", strerror(errno));
		else if (!n)
			ret = nc_error(diag, -EIO, "became shorter while it was read");
		used += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	*bytes = used;
	return ret;
}

/* The folder that @path is in, to look up files beneath it; NC_ONNX_NO_FOLDER if there is none. */
static int open_folder(const char *path)
{
	const char *base = strrchr(path, '/');
	char *folder = base ? strndup(path, (size_t)(base - path) + 1) : strdup(".");
	int fd = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : NC_ONNX_NO_FOLDER;

	free(folder);
	return fd < 0 ? NC_ONNX_NO_FOLDER : fd;
}

static void put_error(char *error, size_t error_bytes, const char *path, const char *text)
{
	if (error_bytes)
		snprintf(error, error_bytes, "%s: %s", path, text);
}

struct npu_graph *npu_graph_read_onnx(const char *path, const char *bind,
				      char *error, size_t error_bytes)
{
	return npu_graph_read_onnx_given(path, bind, NULL, 0, error, error_bytes);
}

static struct npu_graph *read_graph(const char *path, struct nc_onnx_options *options,
				    const struct npu_graph_given *given, unsigned int count,
				    char *error, size_t error_bytes)
{
	const char *base = strrchr(path, '/');
	struct npu_graph *g = npu_graph_create(base ? base + 1 : path);
	uint8_t *data = NULL;
	size_t bytes = 0;
	int ret;

	if (!g) {
		put_error(error, error_bytes, path, "out of memory");
		return NULL;
	}
	ret = nc_graph_give(g, given, count);
	if (!ret)
		ret = read_whole(path, &g->diag, &data, &bytes);
	if (!ret) {
		options->folder = open_folder(path);
		ret = nc_onnx_import_from(g, data, bytes, options);
		if (options->folder != NC_ONNX_NO_FOLDER)
			close(options->folder);
	}
	free(data);
	if (!ret)
		return g;
	put_error(error, error_bytes, path, npu_graph_error(g));
	npu_graph_destroy(g);
	errno = -ret;
	return NULL;
}

struct npu_graph *npu_graph_read_onnx_given(const char *path, const char *bind,
					    const struct npu_graph_given *given,
					    unsigned int count, char *error, size_t error_bytes)
{
	struct nc_onnx_options options = { .bind = bind };

	return read_graph(path, &options, given, count, error, error_bytes);
}

struct npu_graph *npu_graph_read_onnx_params(const char *path, const char *bind, int64_t batch,
					     char *error, size_t error_bytes)
{
	struct nc_onnx_options options = { .bind = bind, .train = true, .batch = batch };

	return read_graph(path, &options, NULL, 0, error, error_bytes);
}

/* ---- writing ---- */

/* protobuf-c writes in small pieces: into a file of stdio. */
struct file_buffer {
	ProtobufCBuffer base;
	FILE *f;
};

static void append(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data)
{
	/* Errors are in the stream. */
	if (fwrite(data, 1, bytes, ((struct file_buffer *)buffer)->f) != bytes)
		return;
}

/* All of @model to the new file @fd, which is closed. 0, or an errno. */
static int write_whole(const Onnx__ModelProto *model, int fd)
{
	FILE *f = fdopen(fd, "wb");
	struct file_buffer buffer = { .base = { .append = append }, .f = f };
	int err = 0;

	if (!f) {
		err = errno;
		close(fd);
		return err;
	}
	errno = 0;
	onnx__model_proto__pack_to_buffer(model, &buffer.base);
	if (fflush(f) || ferror(f) || fsync(fd) || fchmod(fd, 0644))
		err = errno ? errno : EIO;
	if (fclose(f) && !err)
		err = errno;
	return err;
}

/* Beside the target, then renamed: readers see the old file or the new one. */
int nc_onnx_write_file(struct nc_diag *diag, const Onnx__ModelProto *model, const char *path)
{
	size_t room = strlen(path) + sizeof(".XXXXXX");
	char *temp;
	int fd, err;

	if (onnx__model_proto__get_packed_size(model) > NC_ONNX_BYTES_MAX)
		return nc_error(diag, -EFBIG,
				"the model is larger than 2 GiB, which no ONNX file can be");
	temp = malloc(room);
	if (!temp)
		return nc_error(diag, -ENOMEM, "%s: out of memory", path);
	snprintf(temp, room, "%s.XXXXXX", path);
	fd = mkstemp(temp);
	err = fd < 0 ? errno : write_whole(model, fd);
	if (!err && rename(temp, path))
		err = errno;
	if (err && fd >= 0)
		unlink(temp);
	free(temp);
	return err ? nc_error(diag, -err, "%s: cannot write: %s", path, strerror(err)) : 0;
}
