/* SPDX-License-Identifier: MIT */
/* Random kernel IR: legal, of every kind of operation, in awkward shapes. */
#ifndef SWEEP_GEN_KIR_H
#define SWEEP_GEN_KIR_H

#include "kir/kir.h"

/**
 * gen_kir() - a list of one to four operations
 * @arena: its memory
 * @seed: the same seed gives the same list
 * @elems: about how many elements, or multiply-accumulates / 16, an operation has
 */
struct kir *gen_kir(struct nc_arena *arena, uint64_t seed, uint32_t elems);

/* Pseudo-random bits for inputs. */
uint32_t gen_bits(uint64_t *state);

#endif
