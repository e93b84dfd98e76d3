/* SPDX-License-Identifier: MIT */
/* Tensors to files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tensor_file.h"

static bool write_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes) {
		ssize_t done = write(fd, at, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		at += done;
		bytes -= (size_t)done;
	}
	return true;
}

/* Format 1.0: magic, length, a Python literal padded so that the data is aligned. */
static void *npy_head(const struct npu_tensor_info *info, size_t *size)
{
	static const unsigned char magic[8] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0 };
	struct tensor_type type = tensor_type_of(info->type);
	char *head = malloc(512);
	int used;

	if (!head)
		return NULL;
	used = snprintf(head + 10, 500, "{'descr': '%s%c%u', 'fortran_order': False, 'shape': (",
			type.bytes == 1 ? "|" : "<", type.kind, type.bytes);
	for (unsigned int i = 0; i < info->rank; i++)
		used += snprintf(head + 10 + used, (size_t)(500 - used), "%" PRId64 ", ",
				 info->dim[i]);
	used += snprintf(head + 10 + used, (size_t)(500 - used), "), }");
	while ((10 + used + 1) % 64)
		head[10 + used++] = ' ';
	head[10 + used++] = '\n';
	memcpy(head, magic, sizeof(magic));
	head[8] = (char)(used & 0xff);
	head[9] = (char)(used >> 8);
	*size = 10 + (size_t)used;
	return head;
}

/* Where to write: a new file beside @path, or @path itself if it is, say, a pipe. */
static int open_target(const char *path, char **temporary)
{
	struct stat st;
	int fd;

	*temporary = NULL;
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return open(path, O_WRONLY | O_CLOEXEC);
	*temporary = malloc(strlen(path) + sizeof(".XXXXXX"));
	if (!*temporary) {
		errno = ENOMEM;
		return -1;
	}
	sprintf(*temporary, "%s.XXXXXX", path);
	fd = mkostemp(*temporary, O_CLOEXEC);
	if (fd >= 0) {
		mode_t mask = umask(0);

		umask(mask);
		fchmod(fd, 0666 & ~mask);
	}
	return fd;
}

bool tensor_file_write_bytes(const char *path, const void *head, size_t head_bytes,
			     const void *data, size_t bytes, char error[TENSOR_ERROR_BYTES])
{
	char *temporary = NULL;
	int fd = open_target(path, &temporary);
	bool good = fd >= 0 && write_all(fd, head, head_bytes) && write_all(fd, data, bytes);

	if (fd >= 0 && close(fd))
		good = false;
	if (good && temporary && rename(temporary, path))
		good = false;
	if (!good) {
		snprintf(error, TENSOR_ERROR_BYTES, "%s: cannot be written: %s", path,
			 strerror(errno));
		if (fd >= 0 && temporary)
			unlink(temporary);
	}
	free(temporary);
	return good;
}

bool tensor_file_write(const char *path, const struct npu_tensor_info *info, const void *data,
		       char error[TENSOR_ERROR_BYTES])
{
	bool is_npy = tensor_has_suffix(path, ".npy");
	bool is_pb = tensor_has_suffix(path, ".pb");
	size_t head_bytes = 0;
	void *head = NULL;
	bool good;

	if (is_npy)
		head = npy_head(info, &head_bytes);
	else if (is_pb)
		head = tensor_pb_head(info, &head_bytes);
	if (!head && (is_npy || is_pb)) {
		snprintf(error, TENSOR_ERROR_BYTES, "%s: out of memory", path);
		return false;
	}
	good = tensor_file_write_bytes(path, head, head_bytes, data, info->bytes, error);
	free(head);
	return good;
}
