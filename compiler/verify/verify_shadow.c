/* SPDX-License-Identifier: MIT */
/*
 * A cell of state per element of a memory. Pages whose cells are all equal
 * store one cell, so that large memories cost little.
 */
#include "verify.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_CELLS	1024u

/* @cell: PAGE_CELLS cells, or NULL: all are @all. */
struct page {
	struct cell all;
	struct cell *cell;
};

struct shadow {
	uint64_t bytes;
	uint32_t unit;
	uint64_t pages;
	struct page page[];
};

struct shadow *shadow_create(uint64_t bytes, uint32_t unit)
{
	uint64_t pages = bytes / unit / PAGE_CELLS + 1;
	struct shadow *s;

	if (pages > (SIZE_MAX - sizeof(*s)) / sizeof(s->page[0]))
		return NULL;
	s = calloc(1, sizeof(*s) + pages * sizeof(s->page[0]));
	if (!s)
		return NULL;
	s->bytes = bytes;
	s->unit = unit;
	s->pages = pages;
	return s;
}

void shadow_destroy(struct shadow *s)
{
	if (!s)
		return;
	for (uint64_t i = 0; i < s->pages; i++)
		free(s->page[i].cell);
	free(s);
}

uint64_t shadow_bytes(const struct shadow *s)
{
	return s->bytes;
}

static int split(struct page *p)
{
	if (p->cell)
		return 0;
	p->cell = malloc(PAGE_CELLS * sizeof(*p->cell));
	if (!p->cell)
		return -ENOMEM;
	for (unsigned int i = 0; i < PAGE_CELLS; i++)
		p->cell[i] = p->all;
	return 0;
}

static bool equal(const struct cell *a, const struct cell *b)
{
	for (unsigned int i = 0; i < VERIFY_ENGINES; i++)
		if (a->reader[i] != b->reader[i])
			return false;
	return a->writer == b->writer;
}

/* A page that became uniform again is stored so. */
static void join(struct page *p)
{
	for (unsigned int i = 1; i < PAGE_CELLS; i++)
		if (!equal(&p->cell[i], &p->cell[0]))
			return;
	p->all = p->cell[0];
	free(p->cell);
	p->cell = NULL;
}

int shadow_visit(struct shadow *s, uint64_t lo_bytes, uint64_t hi_bytes,
		 int (*fn)(void *arg, struct cell *cell), void *arg)
{
	uint64_t at = lo_bytes / s->unit, end = (hi_bytes + s->unit - 1) / s->unit;

	while (at < end) {
		struct page *p = &s->page[at / PAGE_CELLS];
		uint32_t first = at % PAGE_CELLS;
		uint32_t count = end - at < PAGE_CELLS - first ? (uint32_t)(end - at) :
			PAGE_CELLS - first;
		int ret;

		at += count;
		if (count == PAGE_CELLS && !p->cell) {
			ret = fn(arg, &p->all);
			if (ret)
				return ret;
			continue;
		}
		ret = split(p);
		for (uint32_t i = 0; i < count && !ret; i++)
			ret = fn(arg, &p->cell[first + i]);
		if (ret)
			return ret;
		if (count == PAGE_CELLS)
			join(p);
	}
	return 0;
}
