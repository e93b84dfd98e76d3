/* SPDX-License-Identifier: MIT */
/*
 * Rows of a file straight into mapped memory by io_uring, all rows of a batch at once.
 * Where io_uring is forbidden, or cannot write to such memory (9p, FUSE), by pread().
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "data.h"

#define DEPTH		64u
#define PIECE_BYTES_MAX	(1u << 20)

/* Neighbouring bytes of the file that are wanted. */
struct piece {
	uint64_t offset_bytes;
	char *dst;
	unsigned int left_bytes;
};

/**
 * struct data_stream - a file of rows
 * @has_ring: @ring works
 * @list: pieces of a batch, with room for @room
 */
struct data_stream {
	int fd;
	char *path;
	uint64_t offset_bytes, row_bytes;
	bool has_ring;
	struct io_uring ring;
	struct piece *list;
	size_t room;
};

struct data_stream *data_stream_open(const char *path, uint64_t offset_bytes, uint64_t row_bytes,
				     char *error)
{
	struct data_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		data_fail(error, path, "out of memory");
		return NULL;
	}
	*s = (struct data_stream){
		.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .path = strdup(path),
		.offset_bytes = offset_bytes, .row_bytes = row_bytes,
	};
	if (s->fd < 0 || !s->path) {
		data_fail(error, path, "%s", strerror(errno));
		data_stream_close(s);
		return NULL;
	}
	s->has_ring = !io_uring_queue_init(DEPTH, &s->ring, 0);
	return s;
}

void data_stream_close(struct data_stream *s)
{
	if (!s)
		return;
	if (s->has_ring)
		io_uring_queue_exit(&s->ring);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s->list);
	free(s);
}

static int fail_read(const struct data_stream *s, const struct piece *p, int err)
{
	uint64_t row = (p->offset_bytes - s->offset_bytes) / s->row_bytes;
	char error[DATA_ERROR_BYTES];

	data_fail(error, s->path, "row %" PRIu64 ": cannot be read: %s", row,
		  err == -ENODATA ? "the file became shorter" : strerror(-err));
	return npu_set_error(err, error);
}

/* ---- pieces ---- */

static bool add_piece(struct data_stream *s, size_t *count, const struct piece *p)
{
	if (*count == s->room) {
		size_t room = s->room ? 2 * s->room : DEPTH;
		struct piece *list = realloc(s->list, room * sizeof(*list));

		if (!list)
			return false;
		s->list = list;
		s->room = room;
	}
	s->list[(*count)++] = *p;
	return true;
}

/* Rows that follow each other are read at once, long ones in several pieces. */
static bool cut_pieces(struct data_stream *s, const uint64_t *row, unsigned int count, char *dst,
		       size_t *pieces)
{
	*pieces = 0;
	for (unsigned int i = 0, rows; i < count; i += rows) {
		uint64_t done = 0, bytes;

		for (rows = 1; i + rows < count && row[i + rows] == row[i] + rows;)
			rows++;
		bytes = rows * s->row_bytes;
		while (done < bytes) {
			uint64_t left = bytes - done;
			const struct piece p = {
				.offset_bytes = s->offset_bytes + row[i] * s->row_bytes + done,
				.dst = dst + i * s->row_bytes + done,
				.left_bytes = (unsigned int)(left < PIECE_BYTES_MAX ? left :
							     PIECE_BYTES_MAX),
			};

			if (!add_piece(s, pieces, &p))
				return false;
			done += p.left_bytes;
		}
	}
	return true;
}

/* ---- io_uring ---- */

static void ask(struct data_stream *s, struct piece *p)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

	io_uring_prep_read(sqe, s->fd, p->dst, p->left_bytes, p->offset_bytes);
	io_uring_sqe_set_data(sqe, p);
}

/* One result: whether it has been asked for the rest. */
static bool take(struct data_stream *s, struct io_uring_cqe *cqe, int *err, struct piece **failed)
{
	struct piece *p = io_uring_cqe_get_data(cqe);
	int result = cqe->res;

	io_uring_cqe_seen(&s->ring, cqe);
	if (result == -EINTR || result == -EAGAIN)
		result = 0;
	else if (result <= 0 && !*err) {
		*err = result ? result : -ENODATA;
		*failed = p;
	}
	if (*err)
		return false;
	p->offset_bytes += (unsigned int)result;
	p->dst += result;
	p->left_bytes -= (unsigned int)result;
	if (p->left_bytes)
		ask(s, p);
	return p->left_bytes;
}

/* Ends with nothing in flight, so that no late write reaches the memory. */
static int read_by_ring(struct data_stream *s, size_t count, struct piece **failed)
{
	unsigned int flying = 0;
	struct io_uring_cqe *cqe;
	size_t next = 0;
	int err = 0;

	while (flying || (next < count && !err)) {
		int ret;

		for (; !err && next < count && flying < DEPTH; flying++)
			ask(s, &s->list[next++]);
		ret = io_uring_submit_and_wait(&s->ring, 1);
		if (ret < 0 && ret != -EINTR && !err) {
			err = -ENOSYS;
			break;
		}
		while (!io_uring_peek_cqe(&s->ring, &cqe))
			flying -= !take(s, cqe, &err, failed);
	}
	/* After a failed submission: what the kernel already has. */
	while (flying > io_uring_sq_ready(&s->ring))
		if (!io_uring_wait_cqe(&s->ring, &cqe))
			flying -= !take(s, cqe, &err, failed);
	return err;
}

/* ---- without ---- */

static int read_plainly(struct data_stream *s, size_t count, struct piece **failed)
{
	char *bounce = malloc(PIECE_BYTES_MAX);
	int err = bounce ? 0 : -ENOMEM;

	*failed = s->list;
	for (size_t i = 0; !err && i < count; i++) {
		struct piece *p = *failed = &s->list[i];

		while (!err && p->left_bytes) {
			ssize_t got = pread(s->fd, bounce, p->left_bytes, (off_t)p->offset_bytes);

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				err = got ? -errno : -ENODATA;
				break;
			}
			memcpy(p->dst, bounce, (size_t)got);
			p->dst += got;
			p->offset_bytes += (uint64_t)got;
			p->left_bytes -= (unsigned int)got;
		}
	}
	free(bounce);
	return err;
}

int data_stream_read(struct data_stream *s, const uint64_t *row, unsigned int count, void *dst)
{
	struct piece *failed = NULL;
	size_t pieces;
	int err = -ENOSYS;

	if (!cut_pieces(s, row, count, dst, &pieces))
		return npu_set_error(-ENOMEM, "data: out of memory");
	if (s->has_ring)
		err = read_by_ring(s, pieces, &failed);
	if (err == -ENOSYS || err == -EPERM || err == -EFAULT || err == -ENOMEM) {
		if (s->has_ring)
			io_uring_queue_exit(&s->ring);
		s->has_ring = false;
		err = read_plainly(s, pieces, &failed);
	}
	return err ? fail_read(s, failed, err) : 0;
}
