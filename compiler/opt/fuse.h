/* SPDX-License-Identifier: MIT */
/* Inside fuse: iteration spaces (fuse_space.c) and micro-programs (fuse_program.c). */
#ifndef NPU_COMPILER_FUSE_H
#define NPU_COMPILER_FUSE_H

#include "kir/kir.h"

#define FUSE_ATOMS	(2 * KIR_DIMS)

/**
 * struct fuse_atom - a loop that both iteration spaces have in common
 * @size: trip count
 * @p: dimension of the producer that it is a part of
 * @p_step: steps of that dimension per step of the atom
 * @m: dimension of the consumer
 * @m_step: steps of that dimension per step of the atom
 */
struct fuse_atom {
	uint32_t size;
	unsigned int p;
	uint32_t p_step;
	unsigned int m;
	uint32_t m_step;
};

/**
 * fuse_atoms() - match two iteration spaces by the tensor between them
 * @p: producer; @pv its view of the tensor, which it writes
 * @m: consumer; @mv its view, which it reads
 * @atom: result, in the producer's order, outermost first
 * Returns the number of atoms, or -1 when the spaces do not match.
 */
int fuse_atoms(const struct kir_map *p, const struct kir_view *pv, const struct kir_map *m,
	       const struct kir_view *mv, struct fuse_atom atom[FUSE_ATOMS]);

/*
 * Rewrite @m, or both maps, to one common nest: that of @p when @keep_p, else
 * any. The maps become as the nest says. False when it cannot be had.
 */
bool fuse_space(struct kir_map *p, struct kir_map *m, const struct fuse_atom *atom,
		unsigned int atoms, bool keep_p);

/**
 * fuse_programs() - one program that does what @p and then @m do
 * @forward: per operand of @m, the operand of @p that stores what it loads,
 *	or NPU_MAP_OPERANDS
 * @drop: per operand of @p that is stored, whether nobody else needs it
 * @out: result; dimensions are the maps', which have one nest
 * False when it does not fit a descriptor.
 */
bool fuse_programs(const struct kir_map *p, const struct kir_map *m, const unsigned int *forward,
		   const bool *drop, struct kir_map *out);

#endif
