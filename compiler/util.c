/* SPDX-License-Identifier: MIT */
/*
 * The arena and the message of a compilation. An arena is a list of chunks;
 * nothing in it is freed alone.
 */
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN	64

/* Under AddressSanitizer every allocation is its own, so overruns are seen. */
#if defined(__SANITIZE_ADDRESS__)
#define CHUNK_BYTES	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHUNK_BYTES	1
#endif
#endif
#ifndef CHUNK_BYTES
#define CHUNK_BYTES	(256u << 10)
#endif

struct chunk {
	struct chunk *next;
	char *free;
	size_t left_bytes;
};

struct nc_arena {
	struct chunk *chunk;
	size_t used_bytes;
	size_t limit_bytes;
	bool full;
};

struct nc_arena *nc_arena_create(void)
{
	return calloc(1, sizeof(struct nc_arena));
}

void nc_arena_destroy(struct nc_arena *a)
{
	struct chunk *c, *next;

	if (!a)
		return;
	for (c = a->chunk; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

static char *align_up(char *p, size_t align)
{
	return p + (-(uintptr_t)p & (align - 1));
}

/* A chunk with room for @bytes at any alignment, in front of the list. */
static struct chunk *add_chunk(struct nc_arena *a, size_t bytes)
{
	size_t room = bytes + ARENA_ALIGN;
	struct chunk *c;

	if (room < bytes || room + sizeof(*c) < room)
		return NULL;
	if (room < CHUNK_BYTES)
		room = CHUNK_BYTES;
	c = calloc(1, sizeof(*c) + room);
	if (!c)
		return NULL;
	c->free = (char *)(c + 1);
	c->left_bytes = room;
	/* A big allocation must not hide the room left in the current chunk. */
	if (a->chunk && room > CHUNK_BYTES) {
		c->next = a->chunk->next;
		a->chunk->next = c;
	} else {
		c->next = a->chunk;
		a->chunk = c;
	}
	return c;
}

/* Whether the limit allows @bytes more. */
static bool allowed(struct nc_arena *a, size_t bytes)
{
	if (!a->limit_bytes ||
	    (bytes <= a->limit_bytes && a->used_bytes <= a->limit_bytes - bytes))
		return true;
	a->full = true;
	return false;
}

static void *alloc_aligned(struct nc_arena *a, size_t bytes, size_t align)
{
	struct chunk *c = a->chunk;
	size_t gap;
	char *p;

	if (!allowed(a, bytes))
		return NULL;
	gap = c ? (size_t)(align_up(c->free, align) - c->free) : 0;
	if (!c || c->left_bytes < gap || c->left_bytes - gap < bytes) {
		c = add_chunk(a, bytes);
		if (!c)
			return NULL;
		gap = (size_t)(align_up(c->free, align) - c->free);
	}
	p = c->free + gap;
	c->free = p + bytes;
	c->left_bytes -= gap + bytes;
	/* What alignment costs counts, too: many things are small. */
	a->used_bytes += gap + bytes;
	return p;
}

void *nc_alloc(struct nc_arena *a, size_t bytes)
{
	return alloc_aligned(a, bytes ? bytes : 1, ARENA_ALIGN);
}

void *nc_alloc_array(struct nc_arena *a, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return nc_alloc(a, bytes);
}

char *nc_strdup(struct nc_arena *a, const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *p = alloc_aligned(a, bytes, 1);

	return p ? memcpy(p, s, bytes) : NULL;
}

char *nc_printf(struct nc_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	p = alloc_aligned(a, (size_t)n + 1, 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

size_t nc_arena_bytes(const struct nc_arena *a)
{
	return a->used_bytes;
}

void nc_arena_limit(struct nc_arena *a, size_t bytes)
{
	a->limit_bytes = bytes;
}

void nc_arena_more(struct nc_arena *a, size_t bytes)
{
	if (a->limit_bytes && __builtin_add_overflow(a->limit_bytes, bytes, &a->limit_bytes))
		a->limit_bytes = SIZE_MAX;
}

int nc_arena_explain(const struct nc_arena *a, struct nc_diag *diag, int err)
{
	struct nc_diag why = *diag;

	if (err != -ENOMEM || !a->full)
		return err;
	diag->text[0] = 0;
	return nc_error(diag, -E2BIG,
			"compiling takes more than %zu MiB, which is far more than the model's size allows: use smaller shapes or a smaller batch (%.300s)",
			a->limit_bytes >> 20, why.text);
}

int nc_error(struct nc_diag *diag, int err, const char *fmt, ...)
{
	va_list ap;

	if (!diag || diag->text[0])
		return err;
	va_start(ap, fmt);
	vsnprintf(diag->text, sizeof(diag->text), fmt, ap);
	va_end(ap);
	/* Names come from files: a message stays one line. */
	for (char *c = diag->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return err;
}
