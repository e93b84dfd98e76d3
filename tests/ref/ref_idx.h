/* SPDX-License-Identifier: MIT */
/* Reader for IDX files of bytes (MNIST, Fashion-MNIST), plain or gzip. */
#ifndef REF_IDX_H
#define REF_IDX_H

#include <stddef.h>
#include <stdint.h>

/* Where Debian's dataset-fashion-mnist puts its files. */
#define REF_FASHION_MNIST_DIR "/usr/share/datasets/fashion-mnist"
#define REF_FASHION_MNIST_TEST_IMAGES \
	REF_FASHION_MNIST_DIR "/t10k-images-idx3-ubyte.gz"
#define REF_FASHION_MNIST_TEST_LABELS \
	REF_FASHION_MNIST_DIR "/t10k-labels-idx1-ubyte.gz"
#define REF_FASHION_MNIST_TRAIN_IMAGES \
	REF_FASHION_MNIST_DIR "/train-images-idx3-ubyte.gz"
#define REF_FASHION_MNIST_TRAIN_LABELS \
	REF_FASHION_MNIST_DIR "/train-labels-idx1-ubyte.gz"

#define REF_IDX_MAX_RANK 4

struct ref_idx {
	int rank;
	int64_t dims[REF_IDX_MAX_RANK];
	uint8_t *data;
};

/*
 * 0, or -errno with one line in err (may be NULL): -EINVAL for a file that is
 * not a whole IDX file of bytes, -EFBIG beyond 1 GiB, what open says otherwise.
 */
int ref_idx_read(const char *path, struct ref_idx *idx, char *err,
		 size_t err_bytes);
void ref_idx_free(struct ref_idx *idx);
/* Items [first, first + count) along dimension 0, divided by 255 in fp32. */
int ref_idx_to_float(const struct ref_idx *idx, int64_t first, int64_t count,
		     float *out);

#endif
