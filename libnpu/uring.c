/* SPDX-License-Identifier: MIT */
/*
 * Files straight into mapped memory by io_uring: chunks, several in flight,
 * what came short is asked for again. Two systems cannot do that, and the bytes
 * come by pread() and a copy: where io_uring is forbidden (a container's
 * policy), and where a file system reads by DMA into the pages of the caller
 * (9p, FUSE), which a mapping of device memory does not have: -EFAULT.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "internal.h"

#define CHUNK_BYTES	(256u << 10)
#define DEPTH		8u

struct chunk {
	uint64_t done_bytes;	/* from the start of the whole read */
	uint32_t left_bytes;
	bool busy;
};

struct transfer {
	struct io_uring ring;
	int fd;
	uint64_t file_offset;
	char *dst;
	uint64_t bytes;
	uint64_t next_bytes;	/* start of the first chunk that nobody has */
	unsigned int in_flight;
	int err;		/* the first error; nothing more is asked for then */
	struct chunk chunk[DEPTH];
};

/* Queue the rest of @c. There is a free entry for each chunk. */
static void ask(struct transfer *t, struct chunk *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);

	io_uring_prep_read(sqe, t->fd, t->dst + c->done_bytes, c->left_bytes,
			   t->file_offset + c->done_bytes);
	io_uring_sqe_set_data(sqe, c);
	c->busy = true;
	t->in_flight++;
}

static void fill_queue(struct transfer *t)
{
	for (unsigned int i = 0; i < DEPTH && t->next_bytes < t->bytes; i++) {
		struct chunk *c = &t->chunk[i];
		uint64_t left = t->bytes - t->next_bytes;

		if (c->busy)
			continue;
		c->done_bytes = t->next_bytes;
		c->left_bytes = left < CHUNK_BYTES ? (uint32_t)left : CHUNK_BYTES;
		t->next_bytes += c->left_bytes;
		ask(t, c);
	}
}

static void take(struct transfer *t, struct io_uring_cqe *cqe)
{
	struct chunk *c = io_uring_cqe_get_data(cqe);
	int result = cqe->res;

	io_uring_cqe_seen(&t->ring, cqe);
	c->busy = false;
	t->in_flight--;
	if (result == -EINTR)
		result = 0;
	else if (result <= 0 && !t->err)
		t->err = result ? result : -ENODATA;
	if (t->err)
		return;
	c->done_bytes += (uint32_t)result;
	c->left_bytes -= (uint32_t)result;
	if (c->left_bytes)
		ask(t, c);
}

/* Ends with nothing in flight, so that no late write reaches the memory. */
static int run(struct transfer *t)
{
	struct io_uring_cqe *cqe;

	fill_queue(t);
	while (t->in_flight) {
		int ret = io_uring_submit_and_wait(&t->ring, 1);

		if (ret < 0 && ret != -EINTR) {
			t->err = ret;
			break;
		}
		while (!io_uring_peek_cqe(&t->ring, &cqe))
			take(t, cqe);
		if (!t->err)
			fill_queue(t);
	}
	/* After a failed submission: what the kernel already has. */
	while (t->in_flight > io_uring_sq_ready(&t->ring))
		if (!io_uring_wait_cqe(&t->ring, &cqe))
			take(t, cqe);
	return t->err;
}

static int read_plainly(int fd, uint64_t file_offset, char *dst, uint64_t bytes)
{
	char *bounce = malloc(CHUNK_BYTES);
	int ret = bounce ? 0 : -ENOMEM;

	while (!ret && bytes) {
		size_t want = bytes < CHUNK_BYTES ? (size_t)bytes : CHUNK_BYTES;
		ssize_t got = pread(fd, bounce, want, (off_t)file_offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			ret = got ? -errno : -ENODATA;
			break;
		}
		memcpy(dst, bounce, (size_t)got);
		dst += got;
		file_offset += (uint64_t)got;
		bytes -= (uint64_t)got;
	}
	free(bounce);
	return ret;
}

int npu_file_open(const char *path, uint64_t *bytes)
{
	/* O_NONBLOCK: the name of a pipe must not stop us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = 0;

	if (fd < 0 || fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (!err) {
		*bytes = (uint64_t)st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return npu_fail(err, "%s: %s", path, err == -EINVAL ? "not a regular file" : strerror(-err));
}

int npu_uring_read(int fd, const char *path, uint64_t file_offset, void *dst, uint64_t bytes)
{
	struct transfer t = { .fd = fd, .file_offset = file_offset, .dst = dst, .bytes = bytes };
	int ret;

	if (file_offset > INT64_MAX || bytes > INT64_MAX - file_offset)
		return npu_fail(-EINVAL, "%s: offset %#llx is out of range", path,
				(unsigned long long)file_offset);
	ret = io_uring_queue_init(DEPTH, &t.ring, 0);
	if (!ret) {
		ret = run(&t);
		io_uring_queue_exit(&t.ring);
	}
	if (ret == -ENOSYS || ret == -EPERM || ret == -ENOMEM || ret == -EFAULT)
		ret = read_plainly(fd, file_offset, dst, bytes);
	if (ret == -ENODATA)
		return npu_fail(ret, "%s: ends before the %llu bytes at offset %llu that are needed",
				path, (unsigned long long)bytes, (unsigned long long)file_offset);
	if (ret)
		return npu_fail(ret, "%s: cannot be read: %s", path, strerror(-ret));
	return 0;
}
