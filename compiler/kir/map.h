/* SPDX-License-Identifier: MIT */
/*
 * Assembler for micro-programs. A program is built from values, each computed
 * once; registers are given out when it is finished. So any emitter can be
 * used anywhere: alone, in an LSTM cell, on the host over constants.
 *
 * A value is a number; negative ones are errors, which every function accepts
 * and passes on, so that only the end must be checked.
 */
#ifndef NPU_COMPILER_MAP_H
#define NPU_COMPILER_MAP_H

#include "kir.h"

#define NC_MAP_UOPS	224
#define NC_MAP_CONSTS	64
#define NC_MAP_OPERANDS	20
/* Values from here on are constants. */
#define NC_MAP_CONST	0x1000

/*
 * @ints: the function is to be computed on integers (truth values are 0 and 1)
 * @to_ints: and so is its result, which for most is the same
 * @to_bool: the result is a truth value
 * @traps: integers that 32 bits cannot hold fault: the tensor has more of them
 */
struct nc_map {
	bool ints, to_ints, to_bool, traps;
	unsigned int uops, consts, operands;
	struct {
		uint8_t op;
		int src[3];	/* LD: operand; ST: value, operand */
	} uop[NC_MAP_UOPS];
	uint32_t konst[NC_MAP_CONSTS];
	struct kir_operand operand[NC_MAP_OPERANDS];
};

/* Load; a view that is loaded already gives the same value. */
int nc_map_load(struct nc_map *m, const struct kir_view *view);
/* Load accumulator group @group (epilogues). */
int nc_map_acc(struct nc_map *m, unsigned int group);
/* 0, or the error of @value. */
int nc_map_store(struct nc_map *m, const struct kir_view *view, int value);
int nc_map_float(struct nc_map *m, float value);
int nc_map_bits(struct nc_map *m, uint32_t value);
/* Sources that the micro-op does not read are 0. */
int nc_map_op(struct nc_map *m, enum npu_uop op, int a, int b, int c);

/*
 * Fill in everything of @out but its loop nest. -E2BIG when it does not fit
 * the device's program, registers, constants, operands or a descriptor.
 */
int nc_map_finish(const struct nc_map *m, struct kir_map *out);

/*
 * Run it once here: in[i] and out[i] are the bits of operand i. The functions
 * are the C library's, not the device's to the last bit.
 */
int nc_map_run(const struct nc_map *m, const uint32_t *in, uint32_t *out);

#endif
