/* SPDX-License-Identifier: MIT */
/* Buffers: memory that host and device share. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "internal.h"

/* Larger requests are refused before anybody computes with them. */
#define BUFFER_BYTES_MAX	(1ull << 36)

uint64_t npu_page_align(uint64_t bytes)
{
	return (bytes + NPU_PAGE_BYTES - 1) & ~(uint64_t)(NPU_PAGE_BYTES - 1);
}

struct npu_buffer *npu_buffer_create(struct npu_device *dev, uint64_t bytes)
{
	struct npu_buffer *buf;

	if (!bytes || bytes > BUFFER_BYTES_MAX)
		return npu_fail_null(-EINVAL, "buffer: %llu bytes are not between 1 and %llu",
				     (unsigned long long)bytes, BUFFER_BYTES_MAX);
	buf = calloc(1, sizeof(*buf));
	if (!buf)
		return npu_fail_null(-ENOMEM, "buffer: out of memory");
	buf->dev = dev;
	buf->bytes = npu_page_align(bytes);
	if (dev->ops->buffer_create(buf)) {
		free(buf);
		return NULL;
	}
	return buf;
}

void npu_buffer_destroy(struct npu_buffer *buf)
{
	if (!buf)
		return;
	buf->dev->ops->buffer_destroy(buf);
	free(buf);
}

void *npu_buffer_map(struct npu_buffer *buf)
{
	if (!buf->map && buf->dev->ops->buffer_map(buf))
		return NULL;
	return buf->map;
}

uint64_t npu_buffer_bytes(const struct npu_buffer *buf)
{
	return buf->bytes;
}

int npu_buffer_check_range(const struct npu_buffer *buf, uint64_t offset, uint64_t bytes)
{
	if (offset > buf->bytes || bytes > buf->bytes - offset)
		return npu_fail(-EINVAL,
				"buffer: %llu bytes at offset %llu leave a buffer of %llu bytes",
				(unsigned long long)bytes, (unsigned long long)offset,
				(unsigned long long)buf->bytes);
	return 0;
}

int npu_buffer_read_file(struct npu_buffer *buf, uint64_t buffer_offset,
			 const char *path, uint64_t file_offset, uint64_t bytes)
{
	uint64_t file_bytes;
	char *map;
	int fd;
	int ret = npu_buffer_check_range(buf, buffer_offset, bytes);

	if (ret)
		return ret;
	map = npu_buffer_map(buf);
	if (!map)
		return -errno;
	fd = npu_file_open(path, &file_bytes);
	if (fd < 0)
		return fd;
	ret = npu_uring_read(fd, path, file_offset, map + buffer_offset, bytes);
	close(fd);
	return ret;
}
