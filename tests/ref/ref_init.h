/* SPDX-License-Identifier: MIT */
/*
 * Initialisers as Keras defines them, for tests. The product has its own;
 * tests exchange parameters as arrays, never by seed.
 *
 * The generator is counter-based: any element can be computed alone. All
 * arithmetic is modulo 2^64.
 *
 *	G         = 0x9e3779b97f4a7c15
 *	fin(z)    : z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
 *	            z = (z ^ (z >> 27)) * 0x94d049bb133111eb
 *	            z ^ (z >> 31)
 *	key       = fin(fin(seed + G) + tensor + G)
 *	bits(e)   = fin(key + (e + 1) * G)
 *	uniform(e) = (bits(e) >> 11) * 2^-53, in [0, 1)
 *	normal(e) = sqrt(-2 ln(1 - uniform(2e))) * cos(2 pi uniform(2e + 1))
 *
 * so bits(e) is output e of splitmix64 started at key. e counts the elements of
 * the tensor in row-major order, except where said otherwise.
 */
#ifndef REF_INIT_H
#define REF_INIT_H

#include <stdint.h>

#include "ref_models.h"

uint64_t ref_rng_bits(uint64_t seed, uint64_t tensor, uint64_t elem);
double ref_rng_uniform(uint64_t seed, uint64_t tensor, uint64_t elem);
double ref_rng_normal(uint64_t seed, uint64_t tensor, uint64_t elem);

/*
 * (2 uniform(e) - 1) * sqrt(6 / (fan_in + fan_out)), rounded to fp32. Keras
 * layouts: the last two dimensions are in and out, what stands before them is
 * the receptive field and multiplies both fans. A vector [n] has both fans n.
 */
int ref_init_glorot_uniform(uint64_t seed, uint64_t tensor, int rank,
			    const int64_t *dims, float *out);
/*
 * rows = product of all dimensions but the last, cols = the last. A matrix of
 * max(rows, cols) x min(rows, cols) of normal(e) is factored as Q R; R's
 * diagonal is made positive by flipping columns of Q; Q is transposed when rows
 * < cols. Rank 2 at least.
 */
int ref_init_orthogonal(uint64_t seed, uint64_t tensor, int rank,
			const int64_t *dims, float *out);
/* 4 units values in Keras order i, f, c, o: f is 1, the others are 0. */
int ref_init_lstm_bias(int64_t units, float *out);

/* Parameter idx of a network; its tensor number is idx. */
int ref_init_param(enum ref_model model, int idx, uint64_t seed, float *out);
/* malloc'ed arrays for all parameters, initialised; unused entries NULL. */
int ref_init_model(enum ref_model model, uint64_t seed,
		   float *params[REF_MODEL_MAX_PARAMS]);
void ref_init_model_free(float *params[REF_MODEL_MAX_PARAMS]);

#endif
