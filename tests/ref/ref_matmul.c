// SPDX-License-Identifier: MIT
/* Matrix products. */
#include <errno.h>

#include "ref_priv.h"

int ref_gemm(const struct ref_gemm *attr, const struct ref_tensor *a,
	     const struct ref_tensor *b, const struct ref_tensor *c,
	     struct ref_tensor *y)
{
	static const struct ref_gemm defaults = { .alpha = 1, .beta = 1 };
	int64_t m, n, k, bk;
	int ret;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	attr = attr ? attr : &defaults;
	if (!ref_valid(a) || !ref_valid(b) || a->rank != 2 || b->rank != 2)
		return -EINVAL;
	m = a->dims[attr->trans_a ? 1 : 0];
	k = a->dims[attr->trans_a ? 0 : 1];
	bk = b->dims[attr->trans_b ? 1 : 0];
	n = b->dims[attr->trans_b ? 0 : 1];
	if (k != bk)
		return -EINVAL;
	if (c) {
		int64_t want[] = { m, n };

		if (!ref_valid(c) || c->rank > 2)
			return -EINVAL;
		for (int i = 0; i < c->rank; i++)
			if (c->dims[i] != 1 &&
			    c->dims[i] != want[2 - c->rank + i])
				return -EINVAL;
	}
	ret = ref_tensor_alloc(y, 2, (int64_t[]){ m, n });
	if (ret)
		return ret;
	for (int64_t i = 0; i < m; i++)
	for (int64_t j = 0; j < n; j++) {
		int64_t coord[] = { i, j };
		double acc = 0;

		for (int64_t l = 0; l < k; l++) {
			double va = a->data[attr->trans_a ? l * m + i :
							    i * k + l];
			double vb = b->data[attr->trans_b ? j * k + l :
							    l * n + j];

			acc += va * vb;
		}
		acc *= attr->alpha;
		if (c)
			acc += (double)attr->beta *
			       c->data[ref_broadcast_off(c, 2, coord)];
		y->data[i * n + j] = (float)acc;
	}
	return 0;
}

/* A vector as the matrix numpy makes of it; data stays t's. */
static struct ref_tensor as_matrix(const struct ref_tensor *t, bool is_left)
{
	struct ref_tensor m = *t;

	if (t->rank == 1) {
		m.rank = 2;
		m.dims[0] = is_left ? 1 : t->dims[0];
		m.dims[1] = is_left ? t->dims[0] : 1;
	}
	return m;
}

/* t without its last two axes: only for shapes and offsets. */
static struct ref_tensor batch_of(const struct ref_tensor *t)
{
	struct ref_tensor batch = *t;

	batch.rank -= 2;
	return batch;
}

int ref_matmul(const struct ref_tensor *a, const struct ref_tensor *b,
	       struct ref_tensor *y)
{
	struct ref_tensor ma, mb, batch_a, batch_b, batch;
	int64_t coord[REF_MAX_RANK] = { 0 };
	int64_t m, n, k, batches;
	int ret, rank;

	if (!y)
		return -EINVAL;
	y->data = NULL;
	if (!ref_valid(a) || !ref_valid(b) || a->rank < 1 || b->rank < 1)
		return -EINVAL;
	ma = as_matrix(a, true);
	mb = as_matrix(b, false);
	m = ma.dims[ma.rank - 2];
	k = ma.dims[ma.rank - 1];
	n = mb.dims[mb.rank - 1];
	if (mb.dims[mb.rank - 2] != k)
		return -EINVAL;
	batch_a = batch_of(&ma);
	batch_b = batch_of(&mb);
	ret = ref_broadcast((const struct ref_tensor *[]){ &batch_a, &batch_b },
			    2, &batch);
	if (ret)
		return ret;
	batches = ref_tensor_elems(&batch);
	rank = batch.rank;
	if (a->rank > 1)
		batch.dims[rank++] = m;
	if (b->rank > 1)
		batch.dims[rank++] = n;
	ret = ref_tensor_alloc(y, rank, batch.dims);
	if (ret)
		return ret;
	for (int64_t p = 0; p < batches; p++) {
		const float *pa = a->data + m * k *
			ref_broadcast_off(&batch_a, batch.rank, coord);
		const float *pb = b->data + k * n *
			ref_broadcast_off(&batch_b, batch.rank, coord);

		for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			double acc = 0;

			for (int64_t l = 0; l < k; l++)
				acc += (double)pa[i * k + l] * pb[l * n + j];
			y->data[(p * m + i) * n + j] = (float)acc;
		}
		ref_step(batch.rank, batch.dims, coord);
	}
	return 0;
}
