// SPDX-License-Identifier: MIT
/* Scaled dot-product attention. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_priv.h"

/* Turns a row of scores into weights that sum to 1. */
static void softmax_row(double *row, int64_t count)
{
	double max = -INFINITY, sum = 0;

	for (int64_t i = 0; i < count; i++)
		max = ref_max(max, row[i]);
	for (int64_t i = 0; i < count; i++) {
		row[i] = exp(row[i] - max);
		sum += row[i];
	}
	for (int64_t i = 0; i < count; i++)
		row[i] /= sum;
}

static int attention_check(const struct ref_tensor *q,
			   const struct ref_tensor *k,
			   const struct ref_tensor *v,
			   const struct ref_tensor *mask)
{
	int rank;

	if (!ref_valid(q) || !ref_valid(k) || !ref_valid(v) ||
	    (mask && !ref_valid(mask)))
		return -EINVAL;
	rank = q->rank;
	if (rank < 2 || k->rank != rank || v->rank != rank ||
	    (mask && mask->rank > rank))
		return -EINVAL;
	for (int i = 0; i < rank - 2; i++)
		if (k->dims[i] != q->dims[i] || v->dims[i] != q->dims[i])
			return -EINVAL;
	if (k->dims[rank - 1] != q->dims[rank - 1] || !q->dims[rank - 1] ||
	    v->dims[rank - 2] != k->dims[rank - 2] || !k->dims[rank - 2])
		return -EINVAL;
	for (int i = 0; mask && i < mask->rank; i++) {
		int at = rank - mask->rank + i;
		int64_t want = at == rank - 1 ? k->dims[rank - 2] : q->dims[at];

		if (mask->dims[i] != 1 && mask->dims[i] != want)
			return -EINVAL;
	}
	return 0;
}

int ref_attention(const struct ref_tensor *q, const struct ref_tensor *k,
		  const struct ref_tensor *v, const struct ref_tensor *mask,
		  float scale, struct ref_tensor *y)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	int64_t depth, depth_v, keys, queries, rows;
	double factor, *score;
	int ret, rank;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	ret = attention_check(q, k, v, mask);
	if (ret)
		return ret;
	rank = q->rank;
	depth = q->dims[rank - 1];
	depth_v = v->dims[rank - 1];
	keys = k->dims[rank - 2];
	queries = q->dims[rank - 2];
	factor = scale != 0 ? scale : 1 / sqrt((double)depth);
	memcpy(dims, q->dims, sizeof(dims));
	dims[rank - 1] = depth_v;
	ret = ref_tensor_alloc(y, rank, dims);
	if (ret)
		return ret;
	score = calloc((size_t)keys, sizeof(*score));
	if (!score) {
		ref_tensor_free(y);
		return -ENOMEM;
	}
	rows = ref_count(q, 0, rank - 1);
	for (int64_t row = 0; row < rows; row++) {
		const float *pq = q->data + row * depth;
		const float *pk = k->data + row / queries * keys * depth;
		const float *pv = v->data + row / queries * keys * depth_v;

		for (int64_t j = 0; j < keys; j++) {
			score[j] = 0;
			for (int64_t c = 0; c < depth; c++)
				score[j] += (double)pq[c] * pk[j * depth + c];
			score[j] *= factor;
			coord[rank - 1] = j;
			if (mask)
				score[j] += mask->data[ref_broadcast_off(
					mask, rank, coord)];
		}
		softmax_row(score, keys);
		for (int64_t c = 0; c < depth_v; c++) {
			double acc = 0;

			for (int64_t j = 0; j < keys; j++)
				acc += score[j] * pv[j * depth_v + c];
			y->data[row * depth_v + c] = (float)acc;
		}
		ref_step(rank - 1, q->dims, coord);
	}
	free(score);
	return 0;
}
