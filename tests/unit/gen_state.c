/* SPDX-License-Identifier: MIT */
/* The state of a generator: its random numbers, defaults, register values, seed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gen_desc.h"

/* splitmix64 */
uint64_t gen_u64(struct gen *g)
{
	uint64_t z = g->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t gen_below(struct gen *g, uint32_t n)
{
	return (uint32_t)((gen_u64(g) >> 32) * n >> 32);
}

uint32_t gen_range(struct gen *g, uint32_t first, uint32_t last)
{
	return first + gen_below(g, last - first + 1);
}

uint64_t gen_test_seed(void)
{
	const char *text = getenv("NPU_TEST_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = text ? strtoull(text, NULL, 0) :
		(uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
	printf("# NPU_TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}

void gen_init(struct gen *g, uint64_t seed)
{
	*g = (struct gen) {
		.limits = {
			.caps = ~0ull,
			.spm_bytes = 8 << 20,
			.acc_bytes = 256 << 10,
			.array_rows = 16,
			.array_cols = 32,
		},
		.mem_lo = 0x12300000,
		.mem_bytes = 1 << 20,
		.state = seed,
	};
	gen_regs(g);
}

void gen_regs(struct gen *g)
{
	for (unsigned int i = 0; i < NPU_REGS; i++) {
		if (i < GEN_MEM_REG)
			g->regs[i] = gen_below(g, g->limits.acc_bytes / 16) * 8ull |
				gen_u64(g) << 32;
		else
			g->regs[i] = g->mem_lo + gen_below(g, (uint32_t)g->mem_bytes / 8) * 8ull;
	}
	g->regs[0] = 0;
}
