/* SPDX-License-Identifier: MIT */
/* Shared by the generators of random kernel IR. */
#ifndef SWEEP_GEN_PRIV_H
#define SWEEP_GEN_PRIV_H

#include "gen_kir.h"

#define GEN_POOL 32

/**
 * struct gen - a list being made
 * @k: the list
 * @state: of the random numbers
 * @elems: about how many elements an operation has
 * @pool: tensors that may be read
 * @pools: their number
 */
struct gen {
	struct kir *k;
	uint64_t state;
	uint32_t elems;
	uint32_t pool[GEN_POOL];
	unsigned int pools;
};

uint32_t gen_below(struct gen *g, uint32_t n);
uint32_t gen_range(struct gen *g, uint32_t lo, uint32_t hi);
bool gen_chance(struct gen *g, uint32_t percent);
uint32_t gen_tensor(struct gen *g, enum kir_tensor_kind kind, enum npu_dtype dtype,
		    uint64_t elems);
/* A random program for @m, whose operands are there. */
void gen_program(struct gen *g, struct kir_map *m, bool floats, bool iota);

/* A network over a batch: operations that keep samples apart, mostly. */
void gen_batch(struct gen *g);

#endif
