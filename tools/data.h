/* SPDX-License-Identifier: MIT */
/*
 * Data sets for training and evaluation, from files: which, in what form, and whether
 * they fit the model. Files are hostile: every length is compared with what is there.
 */
#ifndef NPU_DATA_H
#define NPU_DATA_H

#include <stdbool.h>
#include <stdint.h>
#include "npu.h"
#include "npu_train.h"

#define DATA_ERROR_BYTES	512

/**
 * struct data_want - what a model takes
 * @input: its input, [batch, ...]
 * @output: its prediction, [batch, ...]
 * @loss: decides about labels
 */
struct data_want {
	struct npu_tensor_info input, output;
	enum npu_loss loss;
};

struct data_stream;

/**
 * struct data - a data set
 * @set: for npu_train_fit()
 * @want: what it is for
 * @x_path: file of the inputs
 * @label_path: file of the labels; may be the same
 * @x: inputs in memory, as the model takes them, or the bytes of images; NULL: @stream
 *	reads them
 * @images: @x are bytes, to be divided by 255
 * @x_bytes: of a sample, as the model takes it
 * @label: labels in memory, as the model takes them
 * @label_bytes: of a sample
 */
struct data {
	struct npu_dataset set;
	struct data_want want;
	char *x_path, *label_path;
	void *x;
	bool images;
	uint64_t x_bytes;
	struct data_stream *stream;
	void *label;
	uint64_t label_bytes;
};

/* "idx:IMAGES,LABELS", "npy:X,Y" or "csv:FILE"; NULL and a message otherwise. */
struct data *data_open(const char *spec, const struct data_want *want,
		       char error[DATA_ERROR_BYTES]);
void data_close(struct data *d);
/* Whether @path is one of the data set's files. */
bool data_has_file(const struct data *d, const char *path);

/* ---- Inside ---- */

bool data_fail(char *error, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Elements of a sample, of a tensor whose first dimension is the batch. */
uint64_t data_elems(const struct npu_tensor_info *info);
/* What a sample's labels are. */
struct npu_tensor_info data_label_info(const struct data_want *want);
bool data_has_classes(const struct data_want *want);
/* The whole content of @path, unpacked if it is gzipped; malloc()ed. */
uint8_t *data_read_all(const char *path, size_t *bytes, char *error);
/*
 * Whether @rank dimensions @dim of a file, the first of which counts samples, are those of
 * @want, but for dimensions of 1. @what: "samples" or "labels".
 */
bool data_shape_fits(const char *path, const char *what, unsigned int rank, const int64_t *dim,
		     const struct npu_tensor_info *want, char *error);
/* Whether one label is right for the loss; @where: "row 7" */
bool data_label_fits(const struct data_want *want, const char *path, const char *where,
		     double value, char *error);

bool data_idx_open(struct data *d, char *error);
bool data_npy_open(struct data *d, char *error);
bool data_csv_open(struct data *d, char *error);

/* Rows of @row_bytes, from @offset_bytes of @path on, by io_uring straight to their place. */
struct data_stream *data_stream_open(const char *path, uint64_t offset_bytes, uint64_t row_bytes,
				     char *error);
void data_stream_close(struct data_stream *s);
/* 0, or -errno with a message by npu_set_error(). */
int data_stream_read(struct data_stream *s, const uint64_t *row, unsigned int count, void *dst);

#endif
