/* SPDX-License-Identifier: MIT */
/*
 * Inside the verifier. It shares no code with the passes it judges, and works
 * out for itself which elements a descriptor touches.
 */
#ifndef NPU_COMPILER_VERIFY_H
#define NPU_COMPILER_VERIFY_H

#include <stdbool.h>
#include "npu_isa.h"
#include "util.h"

#define VERIFY_DIMS	8
#define VERIFY_TOUCHES	(2 * NPU_MAP_OPERANDS)

/**
 * struct touch - the elements that an operand reads or writes
 * @name: operand, static
 * @space: enum npu_space
 * @reg: register that @base_bytes is relative to, or NPU_REG_NONE
 * @write: written, else read
 * @elem_bytes: size of an element
 * @shared: another operand of the descriptor may be the identical view
 * @base_bytes: address of element 0
 * @dims: dimensions
 * @dim: trip counts
 * @step_bytes: may be 0 or negative
 */
struct touch {
	const char *name;
	uint8_t space;
	uint8_t reg;
	bool write;
	bool shared;
	uint32_t elem_bytes;
	int64_t base_bytes;
	unsigned int dims;
	uint64_t dim[VERIFY_DIMS];
	int64_t step_bytes[VERIFY_DIMS];
};

/* verify_touch.c: reads come before writes; returns their number. */
unsigned int verify_touches(const void *desc, uint32_t array_cols,
			    struct touch touch[VERIFY_TOUCHES]);

/**
 * verify_runs() - call @fn for each contiguous run of bytes
 * Returns the first non-zero value of @fn, or 0. Repetition (step 0) is left
 * out when @t reads.
 */
int verify_runs(const struct touch *t, int (*fn)(void *arg, int64_t lo_bytes, uint64_t bytes),
		void *arg);

/* verify_shadow.c */
#define VERIFY_ENGINES	4
#define VERIFY_READ_ONLY	UINT32_MAX	/* written before the job, for ever */
#define VERIFY_FORBIDDEN	(UINT32_MAX - 1)	/* belongs to nobody */

/**
 * struct cell - who touched some bytes last
 * @writer: 0: nobody; VERIFY_READ_ONLY; else an event
 * @reader: last event of each engine that read since
 */
struct cell {
	uint32_t writer;
	uint32_t reader[VERIFY_ENGINES];
};

struct shadow;

/* Shadow of @bytes, @unit bytes to a cell; NULL without memory. */
struct shadow *shadow_create(uint64_t bytes, uint32_t unit);
void shadow_destroy(struct shadow *s);
uint64_t shadow_bytes(const struct shadow *s);
/*
 * Call @fn for groups of cells that cover [lo, hi) and have equal state; it may
 * change the state of the group. Returns its first non-zero value; -ENOMEM.
 */
int shadow_visit(struct shadow *s, uint64_t lo_bytes, uint64_t hi_bytes,
		 int (*fn)(void *arg, struct cell *cell), void *arg);

#endif
