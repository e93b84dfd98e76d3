/* SPDX-License-Identifier: MIT */
/*
 * Tensors in files: .npy, IDX, ONNX TensorProto, plain elements; all but
 * TensorProto may be gzipped. Files are as hostile as programs: every length
 * is compared with what is there.
 */
#ifndef NPU_TENSOR_FILE_H
#define NPU_TENSOR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "npu.h"

#define TENSOR_ERROR_BYTES	256

/**
 * struct tensor_type - element type as numpy says it
 * @kind: 'f' float, 'h' bfloat16 (the high half of a float), 'i' signed,
 *	'u' unsigned, 'b' bool; 0: none of these
 * @bytes: size of an element
 */
struct tensor_type {
	char kind;
	unsigned int bytes;
};

/**
 * struct tensor_file - a tensor that has been found in a file
 * @path: of the file
 * @type: its elements
 * @big_endian: their byte order
 * @rank: dimensions
 * @dim: outermost first
 * @count: elements
 * @open_ended: the outermost dimension counts examples: any number of them may be taken
 * @offset_bytes: where the elements start in the file, if @data is NULL
 * @data: the elements, or NULL when nobody has read them yet
 * @memory: what to free
 */
struct tensor_file {
	const char *path;
	struct tensor_type type;
	bool big_endian;
	unsigned int rank;
	int64_t dim[NPU_RANK_MAX];
	uint64_t count;
	bool open_ended;
	uint64_t offset_bytes;
	const uint8_t *data;
	void *memory;
};

/* The file type of a device type; kind 0 if there is none. */
struct tensor_type tensor_type_of(enum npu_dtype_public type);
/* "float32" and the like, in a static buffer. */
const char *tensor_type_text(struct tensor_type type);

/*
 * Look into @path. A plain file is taken to hold what @want says. False and a
 * message in @error otherwise; nothing is to be closed then.
 */
bool tensor_file_open(struct tensor_file *t, const char *path,
		      const struct npu_tensor_info *want, char error[TENSOR_ERROR_BYTES]);
void tensor_file_close(struct tensor_file *t);
/* Read the first @count elements into memory, if they are not there. */
bool tensor_file_load(struct tensor_file *t, uint64_t count, char error[TENSOR_ERROR_BYTES]);
/* Whether the shape is that of @want, but for dimensions of 1. */
bool tensor_file_matches(const struct tensor_file *t, const struct npu_tensor_info *want,
			 char error[TENSOR_ERROR_BYTES]);
/* Whether the bytes in the file are what the device takes. */
bool tensor_file_is_plain(const struct tensor_file *t, const struct npu_tensor_info *want);
/*
 * Convert the first elements to @dst as @want says; @scale: divided by 255. A
 * value that does not fit is an error.
 */
bool tensor_file_read(struct tensor_file *t, const struct npu_tensor_info *want, bool scale,
		      void *dst, char error[TENSOR_ERROR_BYTES]);

/**
 * struct tensor_diff - how two tensors differ
 * @max_abs: largest absolute difference
 * @max_rel: largest relative difference
 * @wrong: elements beyond the tolerance
 * @at: the one of these that is farthest from the file's
 * @got: its value
 * @expected: what the file has there
 */
struct tensor_diff {
	double max_abs;
	double max_rel;
	uint64_t wrong;
	uint64_t at;
	double got;
	double expected;
};

/*
 * Compare @data, as @info says, with the file: |got - expected| <= atol + rtol
 * |expected|, infinities and NaN as they are; integers and bools exactly.
 */
bool tensor_file_compare(struct tensor_file *t, const struct npu_tensor_info *info,
			 const void *data, double rtol, double atol, struct tensor_diff *diff,
			 char error[TENSOR_ERROR_BYTES]);

/* @head, then @data; a regular file appears whole or not at all. */
bool tensor_file_write_bytes(const char *path, const void *head, size_t head_bytes,
			     const void *data, size_t bytes, char error[TENSOR_ERROR_BYTES]);
/* Write as the name says (.npy, .pb, else plain); a regular file appears whole or not at all. */
bool tensor_file_write(const char *path, const struct npu_tensor_info *info, const void *data,
		       char error[TENSOR_ERROR_BYTES]);

/* ---- tensor_pb.c ---- */

/* Parse a TensorProto: @t->data points into @bytes or to t->memory. */
bool tensor_pb_parse(struct tensor_file *t, const uint8_t *bytes, size_t size,
		     char error[TENSOR_ERROR_BYTES]);
/* What comes before the elements in a TensorProto; malloc()ed. */
void *tensor_pb_head(const struct npu_tensor_info *info, size_t *size);

/* ---- Inside ---- */

/* The whole content, unpacked if it is gzipped; malloc()ed. NULL and a message otherwise. */
void *tensor_file_read_all(const char *path, uint64_t most_bytes, size_t *size, char *error);
bool tensor_file_read_at(const char *path, uint64_t offset, void *dst, uint64_t bytes,
			 char *error);
/* "a.npy" ends with ".npy". */
bool tensor_has_suffix(const char *path, const char *suffix);
/* @count = product of dims; false if it is not below 2^40 or a dimension is negative. */
bool tensor_count(struct tensor_file *t);

#endif
