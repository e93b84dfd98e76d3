/* SPDX-License-Identifier: MIT */
/* Random numbers and claims of the fuzz targets. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t fuzz_bits(struct fuzz_random *r)
{
	uint64_t x;

	r->state += 0x9e3779b97f4a7c15ull;
	x = r->state;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

size_t fuzz_below(struct fuzz_random *r, size_t n)
{
	return n ? (size_t)(fuzz_bits(r) % n) : 0;
}

uint64_t fuzz_number(struct fuzz_random *r)
{
	static const uint64_t edge[] = {
		0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff,
		0x80000000, 0xffffffff, 0x100000000, 1ull << 36, 1ull << 40, INT64_MAX,
		1ull << 63, (1ull << 62) + 1, 4096, 65535 * 4, 1u << 20,
	};

	switch (fuzz_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		return fuzz_below(r, 9);
	case 3:
	case 4:
		return 0 - (uint64_t)fuzz_below(r, 5);
	case 5:
		return edge[fuzz_below(r, sizeof(edge) / sizeof(edge[0]))] + fuzz_below(r, 3) - 1;
	case 6:
		return 1ull << fuzz_below(r, 64);
	default:
		return fuzz_bits(r) >> fuzz_below(r, 64);
	}
}

void fuzz_broken(const char *file, int line, const char *claim)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
	abort();
}

bool fuzz_is_message(const char *text)
{
	const char *c = text;

	while ((unsigned char)*c >= ' ' && *c != 0x7f)
		c++;
	return *text && !*c;
}
