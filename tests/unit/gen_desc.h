/* SPDX-License-Identifier: MIT */
/*
 * Random legal descriptors and command streams, legal by construction: nothing
 * here asks the checker. Used by the tests of isa/, of the core and by fuzzers.
 */
#ifndef GEN_DESC_H
#define GEN_DESC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "npu_check.h"

#define GEN_MEM_REG	16	/* r16 .. r29 hold memory addresses, r0 .. r15 offsets */
#define GEN_FREE_REG	30	/* r30 and r31 are never an operand's register */
#define GEN_PLACED_MAX	16

/* Room for any descriptor, with all its faces. */
union gen_any {
	uint64_t align;
	uint8_t byte[NPU_DESC_BYTES_MAX];
	struct npu_desc_hdr hdr;
	struct npu_desc_loop loop;
	struct npu_desc_endl endl;
	struct npu_desc_setr setr;
	struct npu_desc_dma dma;
	struct npu_desc_fill fill;
	struct npu_desc_gather gather;
	struct npu_desc_conv conv;
	struct npu_desc_wgrad wgrad;
	struct npu_desc_matmul matmul;
	struct npu_desc_map map;
	struct npu_desc_reduce reduce;
	struct npu_desc_pool pool;
};

/**
 * struct gen - state of a generator
 * @limits: what descriptors may use; set before gen_desc()
 * @defined: values are defined: written operands reach no address twice and
 *	overlap no other operand of the descriptor, indices may still be anything
 * @no_regs: SPM and ACC operands use no registers
 * @no_ports: no semaphores
 * @mem_lo: memory operands lie in mem_lo .. mem_lo + mem_bytes - 1
 * @mem_bytes: at least 64 KiB
 * @regs: register values for which every operand is in bounds
 * @state: of the random numbers
 * @placed: internal, operands of the descriptor so far
 * @placed_count: internal
 */
struct gen {
	struct npu_limits limits;
	bool defined;
	bool no_regs;
	bool no_ports;
	uint64_t mem_lo;
	uint64_t mem_bytes;
	uint64_t regs[NPU_REGS];
	uint64_t state;
	struct gen_range {
		unsigned int space;
		uint64_t lo_bytes;
		uint64_t hi_bytes;
	} placed[GEN_PLACED_MAX];
	unsigned int placed_count;
};

/* Every capability, 16 x 32 array, 8 MiB SPM, 256 KiB ACC, 1 MiB of memory. */
void gen_init(struct gen *g, uint64_t seed);

/* New values for @regs within the limits and the memory window; gen_init() does it too. */
void gen_regs(struct gen *g);

uint64_t gen_u64(struct gen *g);

/* 0 .. n - 1 */
uint32_t gen_below(struct gen *g, uint32_t n);

/* first .. last */
uint32_t gen_range(struct gen *g, uint32_t first, uint32_t last);

/* An opcode that the capabilities allow. */
unsigned int gen_opcode(struct gen *g);

/*
 * Write one legal descriptor to @desc. Returns its length in bytes, a multiple
 * of NPU_LINE_BYTES.
 */
size_t gen_desc(struct gen *g, unsigned int opcode, union gen_any *desc);

/*
 * Write a legal stream of at most @bytes (>= 4 KiB) to @cmds: loops, covered
 * waits, one END. Loops only step r30 and r31. Returns the length in bytes.
 */
size_t gen_stream(struct gen *g, void *cmds, size_t bytes);

/* Seed for a test program: argv-free, from NPU_TEST_SEED or the clock; prints it. */
uint64_t gen_test_seed(void);

#endif
