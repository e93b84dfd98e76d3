/* SPDX-License-Identifier: MIT */
/*
 * The kernel IR's meaning, straight from docs/hardware.md section 9 and 10 and
 * as slow as it reads: one loop nest per operation, no tiles, no views merged.
 * Results are those of the device to the bit, except where functions (EXP,
 * TANH, ...) are used: those come from libm here.
 */
#ifndef KIR_EVAL_H
#define KIR_EVAL_H

#include "kir/kir.h"

/**
 * struct kir_data - the elements of all tensors of a kernel IR
 * @k: the list
 * @fault: an index was outside of its limit, or an integer did not fit; no
 *	operation has run after it
 * @word: per tensor, its elements as bits; INPUTs are 0 until the caller fills
 *	them, CONSTs have their data, the others a pattern
 */
struct kir_data {
	const struct kir *k;
	bool fault;
	uint32_t **word;
};

/* NULL without memory. */
struct kir_data *kir_data_create(const struct kir *k);
void kir_data_destroy(struct kir_data *d);

/* Run all operations in order. */
void kir_eval(struct kir_data *d);

#endif
