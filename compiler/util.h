/* SPDX-License-Identifier: MIT */
/*
 * What every pass uses: an arena, and one message.
 */
#ifndef NPU_COMPILER_UTIL_H
#define NPU_COMPILER_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct nc_arena;

/* All memory of one compilation; freed as a whole. NULL without memory. */
struct nc_arena *nc_arena_create(void);
void nc_arena_destroy(struct nc_arena *a);
/* Zeroed and 64-byte aligned; NULL without memory or above the arena's limit. */
void *nc_alloc(struct nc_arena *a, size_t bytes);
/* count * size with an overflow check. */
void *nc_alloc_array(struct nc_arena *a, size_t count, size_t size);
char *nc_strdup(struct nc_arena *a, const char *s);
char *nc_printf(struct nc_arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Bytes in use, alignment included; nc_arena_limit() sets a cap (0: none). */
size_t nc_arena_bytes(const struct nc_arena *a);
void nc_arena_limit(struct nc_arena *a, size_t bytes);
/* Raise the cap, if there is one. */
void nc_arena_more(struct nc_arena *a, size_t bytes);

#define NC_DIAG_BYTES	512

/**
 * struct nc_diag - the first error of a compilation
 * @text: one line: node, shape, rule, and what to do
 */
struct nc_diag {
	char text[NC_DIAG_BYTES];
};

/*
 * What @err of work in @a is to be told as: if the arena's limit is what stopped
 * it, a message that says so takes the place of the one that is there. Returns
 * the error then.
 */
int nc_arena_explain(const struct nc_arena *a, struct nc_diag *diag, int err);

/* Record a message if none is there yet; returns @err, for `return nc_error()`. */
int nc_error(struct nc_diag *diag, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
