// SPDX-License-Identifier: MIT
/* IDX files: a big-endian header, then bytes in row-major order. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "ref_idx.h"

#define IDX_TYPE_UBYTE 0x08
#define MAX_BYTES ((int64_t)1 << 30)

struct message {
	const char *path;
	char *buf;
	size_t bytes;
};

__attribute__((format(printf, 3, 4)))
static int fail(const struct message *msg, int ret, const char *fmt, ...)
{
	va_list args;
	int used;

	if (!msg->buf || !msg->bytes)
		return ret;
	used = snprintf(msg->buf, msg->bytes, "%s: ", msg->path);
	if (used < 0 || (size_t)used >= msg->bytes)
		return ret;
	va_start(args, fmt);
	vsnprintf(msg->buf + used, msg->bytes - (size_t)used, fmt, args);
	va_end(args);
	return ret;
}

/* Exactly count bytes; -EINVAL for a short or corrupt file. */
static int read_exact(gzFile file, uint8_t *out, int64_t count)
{
	while (count > 0) {
		unsigned int chunk = count > 1 << 20 ? 1 << 20 :
						       (unsigned int)count;
		int got = gzread(file, out, chunk);

		if (got <= 0)
			return -EINVAL;
		out += got;
		count -= got;
	}
	return 0;
}

static int read_header(gzFile file, struct ref_idx *idx, int64_t *elems,
		       const struct message *msg)
{
	uint8_t word[4];

	if (read_exact(file, word, 4) || word[0] || word[1])
		return fail(msg, -EINVAL, "not an IDX file");
	if (word[2] != IDX_TYPE_UBYTE)
		return fail(msg, -EINVAL,
			    "element type 0x%02x, only bytes (0x08) are read",
			    word[2]);
	if (word[3] < 1 || word[3] > REF_IDX_MAX_RANK)
		return fail(msg, -EINVAL, "%d dimensions, 1 to %d are read",
			    word[3], REF_IDX_MAX_RANK);
	idx->rank = word[3];
	*elems = 1;
	for (int i = 0; i < idx->rank; i++) {
		int64_t dim;

		if (read_exact(file, word, 4))
			return fail(msg, -EINVAL, "ends inside the header");
		dim = (int64_t)word[0] << 24 | word[1] << 16 | word[2] << 8 |
		      word[3];
		if (!dim)
			return fail(msg, -EINVAL, "dimension %d is 0", i);
		if (dim > MAX_BYTES / *elems)
			return fail(msg, -EFBIG, "larger than 1 GiB");
		idx->dims[i] = dim;
		*elems *= dim;
	}
	return 0;
}

static int read_body(gzFile file, struct ref_idx *idx,
		     const struct message *msg)
{
	uint8_t extra;
	int64_t elems = 0;
	int ret;

	ret = read_header(file, idx, &elems, msg);
	if (ret)
		return ret;
	idx->data = malloc((size_t)elems);
	if (!idx->data)
		return fail(msg, -ENOMEM, "no memory for %" PRId64 " bytes",
			    elems);
	if (read_exact(file, idx->data, elems))
		return fail(msg, -EINVAL,
			    "truncated or corrupt, %" PRId64 " bytes expected",
			    elems);
	if (gzread(file, &extra, 1) != 0)
		return fail(msg, -EINVAL,
			    "data after the %" PRId64 " bytes announced",
			    elems);
	return 0;
}

int ref_idx_read(const char *path, struct ref_idx *idx, char *err,
		 size_t err_bytes)
{
	struct message msg = { .path = path, .buf = err, .bytes = err_bytes };
	gzFile file;
	int ret;

	if (!path || !idx)
		return -EINVAL;
	memset(idx, 0, sizeof(*idx));
	errno = 0;
	file = gzopen(path, "rb");
	if (!file) {
		ret = errno ? -errno : -ENOMEM;
		return fail(&msg, ret, "%s", strerror(-ret));
	}
	ret = read_body(file, idx, &msg);
	gzclose(file);
	if (ret)
		ref_idx_free(idx);
	return ret;
}

void ref_idx_free(struct ref_idx *idx)
{
	if (!idx)
		return;
	free(idx->data);
	memset(idx, 0, sizeof(*idx));
}

int ref_idx_to_float(const struct ref_idx *idx, int64_t first, int64_t count,
		     float *out)
{
	int64_t item = 1;

	if (!idx || !idx->data || !out || first < 0 || count < 0 ||
	    first > idx->dims[0] || count > idx->dims[0] - first)
		return -EINVAL;
	for (int i = 1; i < idx->rank; i++)
		item *= idx->dims[i];
	for (int64_t i = 0; i < count * item; i++)
		out[i] = (float)idx->data[first * item + i] / 255.0f;
	return 0;
}
