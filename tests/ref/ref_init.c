// SPDX-License-Identifier: MIT
/* Keras' initialisers over a counter-based generator. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_init.h"

#define GOLDEN 0x9e3779b97f4a7c15u
#define MAX_ELEMS ((int64_t)1 << 32)

static uint64_t fin(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t ref_rng_bits(uint64_t seed, uint64_t tensor, uint64_t elem)
{
	uint64_t key = fin(fin(seed + GOLDEN) + tensor + GOLDEN);

	return fin(key + (elem + 1) * GOLDEN);
}

double ref_rng_uniform(uint64_t seed, uint64_t tensor, uint64_t elem)
{
	return (double)(ref_rng_bits(seed, tensor, elem) >> 11) * 0x1p-53;
}

double ref_rng_normal(uint64_t seed, uint64_t tensor, uint64_t elem)
{
	double radius = ref_rng_uniform(seed, tensor, 2 * elem);
	double turn = ref_rng_uniform(seed, tensor, 2 * elem + 1);

	return sqrt(-2 * log(1 - radius)) * cos(2 * M_PI * turn);
}

/* Product of dims[0 .. count), or -EINVAL. */
static int64_t product(int count, const int64_t *dims)
{
	int64_t n = 1;

	for (int i = 0; i < count; i++) {
		if (dims[i] < 1 || dims[i] > MAX_ELEMS / n)
			return -EINVAL;
		n *= dims[i];
	}
	return n;
}

int ref_init_glorot_uniform(uint64_t seed, uint64_t tensor, int rank,
			    const int64_t *dims, float *out)
{
	int64_t elems;
	double fan_in, fan_out, limit;

	if (rank < 1 || !dims || !out)
		return -EINVAL;
	elems = product(rank, dims);
	if (elems < 0)
		return -EINVAL;
	fan_in = (double)dims[0];
	fan_out = (double)dims[0];
	if (rank >= 2) {
		double field = (double)product(rank - 2, dims);

		fan_in = field * (double)dims[rank - 2];
		fan_out = field * (double)dims[rank - 1];
	}
	limit = sqrt(6 / (fan_in + fan_out));
	for (int64_t e = 0; e < elems; e++) {
		double u = ref_rng_uniform(seed, tensor, (uint64_t)e);

		out[e] = (float)((2 * u - 1) * limit);
	}
	return 0;
}

static double column_dot(const double *q, int64_t rows, int64_t cols, int64_t a,
			 int64_t b)
{
	double acc = 0;

	for (int64_t r = 0; r < rows; r++)
		acc += q[r * cols + a] * q[r * cols + b];
	return acc;
}

/*
 * Gram-Schmidt, twice per column for orthogonality to the last digits. It only
 * ever divides by a positive norm, so R's diagonal is positive by construction,
 * and such a factorisation is unique.
 */
static int orthonormalise(double *q, int64_t rows, int64_t cols)
{
	for (int64_t c = 0; c < cols; c++) {
		double norm;

		for (int pass = 0; pass < 2; pass++)
			for (int64_t p = 0; p < c; p++) {
				double d = column_dot(q, rows, cols, p, c);

				for (int64_t r = 0; r < rows; r++)
					q[r * cols + c] -= d * q[r * cols + p];
			}
		norm = sqrt(column_dot(q, rows, cols, c, c));
		if (!(norm > 0))
			return -EINVAL;
		for (int64_t r = 0; r < rows; r++)
			q[r * cols + c] /= norm;
	}
	return 0;
}

int ref_init_orthogonal(uint64_t seed, uint64_t tensor, int rank,
			const int64_t *dims, float *out)
{
	int64_t rows, cols, tall, wide;
	double *q;
	int ret;

	if (rank < 2 || !dims || !out || product(rank, dims) < 0)
		return -EINVAL;
	rows = product(rank - 1, dims);
	cols = dims[rank - 1];
	tall = rows > cols ? rows : cols;
	wide = rows > cols ? cols : rows;
	q = calloc((size_t)(tall * wide), sizeof(*q));
	if (!q)
		return -ENOMEM;
	for (int64_t e = 0; e < tall * wide; e++)
		q[e] = ref_rng_normal(seed, tensor, (uint64_t)e);
	ret = orthonormalise(q, tall, wide);
	for (int64_t r = 0; !ret && r < rows; r++)
		for (int64_t c = 0; c < cols; c++)
			out[r * cols + c] = (float)(rows < cols ?
						    q[c * wide + r] :
						    q[r * wide + c]);
	free(q);
	return ret;
}

int ref_init_lstm_bias(int64_t units, float *out)
{
	if (units < 1 || !out)
		return -EINVAL;
	for (int64_t i = 0; i < 4 * units; i++)
		out[i] = i / units == 1 ? 1.0f : 0.0f;
	return 0;
}

int ref_init_param(enum ref_model model, int idx, uint64_t seed, float *out)
{
	const struct ref_model_param *param = ref_model_param(model, idx);

	if (!param || !out)
		return -EINVAL;
	switch (param->init) {
	case REF_INIT_GLOROT_UNIFORM:
		return ref_init_glorot_uniform(seed, (uint64_t)idx, param->rank,
					       param->dims, out);
	case REF_INIT_ORTHOGONAL:
		return ref_init_orthogonal(seed, (uint64_t)idx, param->rank,
					   param->dims, out);
	case REF_INIT_ZEROS:
		memset(out, 0, (size_t)ref_model_param_elems(param) *
			       sizeof(*out));
		return 0;
	case REF_INIT_LSTM_BIAS:
		return ref_init_lstm_bias(param->dims[0] / 4, out);
	}
	return -EINVAL;
}

int ref_init_model(enum ref_model model, uint64_t seed,
		   float *params[REF_MODEL_MAX_PARAMS])
{
	int count = ref_model_param_count(model);

	if (count < 0 || !params)
		return -EINVAL;
	memset(params, 0, REF_MODEL_MAX_PARAMS * sizeof(*params));
	for (int i = 0; i < count; i++) {
		int64_t elems = ref_model_param_elems(ref_model_param(model, i));
		int ret = -ENOMEM;

		params[i] = calloc((size_t)elems, sizeof(*params[i]));
		if (params[i])
			ret = ref_init_param(model, i, seed, params[i]);
		if (ret) {
			ref_init_model_free(params);
			return ret;
		}
	}
	return 0;
}

void ref_init_model_free(float *params[REF_MODEL_MAX_PARAMS])
{
	for (int i = 0; i < REF_MODEL_MAX_PARAMS; i++) {
		free(params[i]);
		params[i] = NULL;
	}
}
