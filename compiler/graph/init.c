/* SPDX-License-Identifier: MIT */
/*
 * Initial values of parameters, as Keras chooses them, from a counter-based
 * generator: element e of parameter p of a seed is the same everywhere.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "npu_models.h"

/* splitmix64's output function. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

struct stream {
	uint64_t key;
	uint64_t next;
};

#define GOLDEN	0x9e3779b97f4a7c15u

static struct stream stream_of(uint64_t seed, uint64_t param)
{
	return (struct stream){ .key = mix(mix(seed + GOLDEN) + param + GOLDEN) };
}

/* In [0, 1), 53 bits. */
static double uniform(struct stream *s)
{
	return (double)(mix(s->key + ++s->next * GOLDEN) >> 11) * 0x1p-53;
}

/* Nearly normal, with exact arithmetic only: 12 uniform numbers. */
static double normal(struct stream *s)
{
	double sum = -6;

	for (unsigned int i = 0; i < 12; i++)
		sum += uniform(s);
	return sum;
}

/* Uniform in +-sqrt(6 / (fan in + fan out)). */
static void glorot_uniform(struct stream *s, const struct npu_net_param *p, float *out)
{
	double field = 1, limit;

	for (unsigned int i = 0; i + 2 < p->rank; i++)
		field *= (double)p->dim[i];
	limit = sqrt(6 / (field * (double)(p->dim[p->rank - 2] + p->dim[p->rank - 1])));
	for (size_t i = 0; i < p->elems; i++)
		out[i] = (float)((2 * uniform(s) - 1) * limit);
}

/*
 * Orthonormal rows of a [rows, cols] matrix, rows <= cols, by Gram and Schmidt,
 * twice per row for accuracy.
 */
static int orthogonal(struct stream *s, const struct npu_net_param *p, float *out)
{
	size_t rows = (size_t)p->dim[0], cols = (size_t)p->dim[1];
	double *m = calloc(rows * cols, sizeof(*m));

	if (!m)
		return -ENOMEM;
	for (size_t r = 0; r < rows; r++) {
		double *row = m + r * cols, norm = 0;

		for (size_t c = 0; c < cols; c++)
			row[c] = normal(s);
		for (size_t k = 0; k < 2 * r; k++) {
			const double *other = m + k % r * cols;
			double dot = 0;

			for (size_t c = 0; c < cols; c++)
				dot += row[c] * other[c];
			for (size_t c = 0; c < cols; c++)
				row[c] -= dot * other[c];
		}
		for (size_t c = 0; c < cols; c++)
			norm += row[c] * row[c];
		for (size_t c = 0; c < cols; c++)
			row[c] /= sqrt(norm);
	}
	for (size_t i = 0; i < rows * cols; i++)
		out[i] = (float)m[i];
	free(m);
	return 0;
}

/* Zero, but 1 for the forget gate of an LSTM (gates i, f, c, o). */
static void biases(const struct npu_net_param *p, float *out)
{
	size_t units = p->elems / 4;

	for (size_t i = 0; i < p->elems; i++)
		out[i] = !strncmp(p->name, "lstm", 4) && i / units == 1;
}

int npu_net_init(enum npu_net net, uint64_t seed, float *const *param)
{
	struct npu_net_param p;
	int ret = npu_net_params(net) < 0 || !param ? -EINVAL : 0;

	for (unsigned int i = 0; !ret && !npu_net_param(net, i, &p); i++) {
		struct stream s = stream_of(seed, i);

		if (p.rank == 1)
			biases(&p, param[i]);
		else if (strstr(p.name, "recurrent"))
			ret = orthogonal(&s, &p, param[i]);
		else
			glorot_uniform(&s, &p, param[i]);
	}
	return ret;
}
