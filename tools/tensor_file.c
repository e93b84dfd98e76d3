/* SPDX-License-Identifier: MIT */
/* Find the tensor in a file: which format, where the elements are. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "tensor_file.h"

#define HEAD_BYTES	65536u		/* holds the header of any .npy or IDX file */
#define MEMORY_MAX	(4ull << 30)	/* of a file that has to be unpacked or parsed */

/**
 * struct source - the start of a file
 * @bytes: what has been read
 * @have: how much that is
 * @total: size of the whole
 */
struct source {
	const uint8_t *bytes;
	size_t have;
	uint64_t total;
};

static bool fail(char *error, const char *path, const char *why)
{
	snprintf(error, TENSOR_ERROR_BYTES, "%s: %s", path, why);
	return false;
}

bool tensor_has_suffix(const char *path, const char *suffix)
{
	size_t length = strlen(path);
	size_t suffix_length = strlen(suffix);

	return length >= suffix_length && !strcmp(path + length - suffix_length, suffix);
}

struct tensor_type tensor_type_of(enum npu_dtype_public type)
{
	switch ((int)type) {
	case NPU_TYPE_F32: return (struct tensor_type){ 'f', 4 };
	case NPU_TYPE_I32: return (struct tensor_type){ 'i', 4 };
	case NPU_TYPE_BF16: return (struct tensor_type){ 'h', 2 };
	case NPU_TYPE_F16: return (struct tensor_type){ 'f', 2 };
	case NPU_TYPE_I8: return (struct tensor_type){ 'i', 1 };
	case NPU_TYPE_U8: return (struct tensor_type){ 'u', 1 };
	case NPU_TYPE_I16: return (struct tensor_type){ 'i', 2 };
	case NPU_TYPE_I64: return (struct tensor_type){ 'i', 8 };
	case NPU_TYPE_BOOL: return (struct tensor_type){ 'b', 1 };
	default: return (struct tensor_type){ 0, 0 };
	}
}

const char *tensor_type_text(struct tensor_type type)
{
	static char text[32];

	if (type.kind == 'b' || type.kind == 'h')
		return type.kind == 'b' ? "bool" : "bfloat16";
	snprintf(text, sizeof(text), "%s%u", type.kind == 'f' ? "float" :
		 type.kind == 'i' ? "int" : "uint", 8 * type.bytes);
	return text;
}

bool tensor_count(struct tensor_file *t)
{
	t->count = 1;
	for (unsigned int i = 0; i < t->rank; i++) {
		if (t->dim[i] < 0 || t->dim[i] > 1ll << 40)
			return false;
		t->count *= (uint64_t)t->dim[i];
		if (t->count > 1ull << 40)
			return false;
	}
	return true;
}

/* ---- Formats ---- */

static bool parse_npy_shape(struct tensor_file *t, const char *text)
{
	const char *at = strstr(text, "'shape':");

	at = at ? strchr(at, '(') : NULL;
	if (!at)
		return false;
	for (at++; *at && *at != ')';) {
		char *end;
		long long dim = strtoll(at, &end, 10);

		if (end == at || dim < 0 || t->rank == NPU_RANK_MAX)
			return false;
		t->dim[t->rank++] = dim;
		at = end + strspn(end, " ,");
	}
	return *at == ')';
}

/* '<f4' and the like: byte order, kind, size. */
static bool parse_npy_type(struct tensor_file *t, const char *text)
{
	const char *at = strstr(text, "'descr':");
	char order;

	at = at ? strchr(at + 8, '\'') : NULL;
	if (!at || strlen(at) < 5)
		return false;
	order = at[1];
	t->type = (struct tensor_type){ at[2], (unsigned int)(at[3] - '0') };
	t->big_endian = order == '>';
	return strchr("<>|=", order) && strchr("fiub", at[2]) && strchr("1248", at[3]) &&
	       at[4] == '\'';
}

static bool parse_npy(struct tensor_file *t, const struct source *src, char *error)
{
	char text[4096];
	size_t start;
	size_t length;

	if (src->have < 12)
		return fail(error, t->path, ".npy: cut off");
	start = src->bytes[6] == 1 ? 10 : 12;
	length = src->bytes[8] | (size_t)src->bytes[9] << 8;
	if (start == 12)
		length |= (size_t)src->bytes[10] << 16 | (size_t)src->bytes[11] << 24;
	if (length >= sizeof(text) || start + length > src->have)
		return fail(error, t->path, ".npy: the header is cut off or too long");
	memcpy(text, src->bytes + start, length);
	text[length] = '\0';
	if (!parse_npy_type(t, text))
		return fail(error, t->path, ".npy: an element type that is not supported");
	if (!strstr(text, "'fortran_order': False"))
		return fail(error, t->path, ".npy: Fortran order is not supported");
	if (!parse_npy_shape(t, text) || !tensor_count(t))
		return fail(error, t->path, ".npy: the shape is not valid");
	t->offset_bytes = start + length;
	return true;
}

/* 0, 0, type, rank, dimensions as big-endian words; and the size fits exactly. */
static bool is_idx(const struct source *src)
{
	return src->have > 8 && !src->bytes[0] && !src->bytes[1] && src->bytes[2] >= 8 &&
	       src->bytes[2] <= 14 && src->bytes[3] >= 1 && src->bytes[3] <= NPU_RANK_MAX &&
	       src->have >= 4 + 4u * src->bytes[3];
}

static bool parse_idx(struct tensor_file *t, const struct source *src)
{
	static const struct tensor_type type[7] = {
		{ 'u', 1 }, { 'i', 1 }, { 0, 0 }, { 'i', 2 }, { 'i', 4 }, { 'f', 4 }, { 'f', 8 },
	};
	uint64_t elem_bytes;

	t->type = type[src->bytes[2] - 8];
	t->rank = src->bytes[3];
	for (unsigned int i = 0; i < t->rank; i++) {
		const uint8_t *p = src->bytes + 4 + 4 * i;

		t->dim[i] = (int64_t)((uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]);
	}
	t->big_endian = true;
	t->open_ended = true;
	t->offset_bytes = 4 + 4 * t->rank;
	elem_bytes = t->type.bytes;
	return t->type.kind && tensor_count(t) &&
	       src->total == t->offset_bytes + t->count * elem_bytes;
}

static bool parse(struct tensor_file *t, const struct source *src,
		  const struct npu_tensor_info *want, char *error)
{
	static const struct tensor_file empty;
	const char *path = t->path;

	if (src->have >= 6 && !memcmp(src->bytes, "\x93NUMPY", 6)) {
		if (!parse_npy(t, src, error))
			return false;
	} else if (!is_idx(src) || !parse_idx(t, src)) {
		*t = empty;
		t->path = path;
		t->type = tensor_type_of(want->type);
		t->rank = want->rank;
		memcpy(t->dim, want->dim, sizeof(t->dim));
		if (!t->type.kind || !tensor_count(t))
			return fail(error, path, "elements of this type cannot come from files");
		if (src->total != want->bytes) {
			snprintf(error, TENSOR_ERROR_BYTES, "%s: %" PRIu64 " bytes, but \"%s\" has "
				 "%" PRIu64, path, src->total, want->name, want->bytes);
			return false;
		}
	}
	if (src->total < t->offset_bytes ||
	    (src->total - t->offset_bytes) / t->type.bytes < t->count)
		return fail(error, path, "the file is cut off");
	return true;
}

/* ---- Files ---- */

void *tensor_file_read_all(const char *path, uint64_t most_bytes, size_t *size, char *error)
{
	gzFile file = gzopen(path, "rbe");
	size_t room = 1 << 20;
	uint8_t *bytes = file ? malloc(room) : NULL;
	int got = bytes ? 1 : -1;

	*size = 0;
	if (!file) {
		fail(error, path, strerror(errno));
		return NULL;
	}
	while (got > 0) {
		if (*size == room) {
			uint8_t *bigger = room < most_bytes ? realloc(bytes, room * 2) : NULL;

			if (!bigger) {
				fail(error, path, "too large");
				break;
			}
			bytes = bigger;
			room *= 2;
		}
		got = gzread(file, bytes + *size,
			     room - *size < 1u << 30 ? (unsigned int)(room - *size) : 1u << 30);
		if (got > 0)
			*size += (size_t)got;
		else if (got < 0)
			fail(error, path, "cannot be unpacked: the file is damaged");
	}
	/* A stream that is cut off shows only when it is closed. */
	if (gzclose(file) && !got) {
		fail(error, path, "cannot be unpacked: the file is cut off");
		got = -1;
	}
	if (got) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

bool tensor_file_read_at(const char *path, uint64_t offset, void *dst, uint64_t bytes, char *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *at = dst;

	while (fd >= 0 && bytes) {
		ssize_t got = pread(fd, at, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		at += got;
		offset += (uint64_t)got;
		bytes -= (uint64_t)got;
	}
	if (fd < 0 || bytes)
		fail(error, path, fd < 0 || errno ? strerror(errno) : "the file is cut off");
	if (fd >= 0)
		close(fd);
	return fd >= 0 && !bytes;
}

static bool open_in_memory(struct tensor_file *t, const struct npu_tensor_info *want, char *error)
{
	size_t size;
	uint8_t *bytes = tensor_file_read_all(t->path, MEMORY_MAX, &size, error);
	struct source src = { .bytes = bytes, .have = size, .total = size };
	bool good;

	if (!bytes)
		return false;
	if (tensor_has_suffix(t->path, ".pb")) {
		good = tensor_pb_parse(t, bytes, size, error);
	} else {
		good = parse(t, &src, want, error);
		if (good)
			t->data = bytes + t->offset_bytes;
	}
	if (good && !t->memory)
		t->memory = bytes;
	else
		free(bytes);
	return good;
}

bool tensor_file_open(struct tensor_file *t, const char *path,
		      const struct npu_tensor_info *want, char error[TENSOR_ERROR_BYTES])
{
	struct source src;
	struct stat st;
	uint8_t *head;
	bool good;

	*t = (struct tensor_file){ .path = path };
	if (stat(path, &st))
		return fail(error, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(error, path, "not a regular file");
	head = malloc(HEAD_BYTES);
	if (!head)
		return fail(error, path, "out of memory");
	src = (struct source){
		.bytes = head,
		.have = (uint64_t)st.st_size < HEAD_BYTES ? (size_t)st.st_size : HEAD_BYTES,
		.total = (uint64_t)st.st_size,
	};
	good = tensor_file_read_at(path, 0, head, src.have, error);
	if (good && (tensor_has_suffix(path, ".pb") ||
		     (src.have >= 2 && head[0] == 0x1f && head[1] == 0x8b)))
		good = open_in_memory(t, want, error);
	else if (good)
		good = parse(t, &src, want, error);
	free(head);
	return good;
}

void tensor_file_close(struct tensor_file *t)
{
	free(t->memory);
	*t = (struct tensor_file){ .path = NULL };
}
