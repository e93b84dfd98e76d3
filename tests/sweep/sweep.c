/* SPDX-License-Identifier: MIT */
/*
 * Operation sweep: random kernel IR, compiled for several targets, run on the
 * device core in this process. Outputs equal the naive interpreter's to the
 * bit, so those of all targets are the same; and every program is proven sound.
 *
 *	sweep [CASES [SEED [ELEMS]]]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "back.h"
#include "gen_kir.h"
#include "kir_eval.h"
#include "machine.h"

/**
 * struct target - a device
 * @tiny: memories so small that an operation may be refused
 */
struct target {
	const char *name;
	struct npu_target compile;
	bool tiny;
};

static const struct target targets[] = {
	{ .name = "default" },
	{ .name = "8x8", .compile = { .array_rows = 8, .array_cols = 8, .spm_bytes = 128 << 10,
				      .acc_bytes = 16 << 10 } },
	{ .name = "tiny", .compile = { .array_rows = 4, .array_cols = 4, .spm_bytes = 16 << 10,
				       .acc_bytes = 4 << 10 }, .tiny = true },
};

#define TARGETS (sizeof(targets) / sizeof(targets[0]))

/* Operations before and after fusion, and compilations refused on the tiny target. */
static unsigned int given, kept, refused;

static struct npu_core_config device_of(const struct target *t)
{
	struct npu_core_config c = {
		.array_rows = t->compile.array_rows,
		.array_cols = t->compile.array_cols,
		.spm_bytes = t->compile.spm_bytes,
		.acc_bytes = t->compile.acc_bytes,
		.threads = 1,
		.synchronous = true,
	};

	/* A program for less than the smallest device runs on the smallest. */
	if (t->tiny) {
		c.spm_bytes = 64 << 10;
		c.acc_bytes = 16 << 10;
	}
	return c;
}

static bool is_nan(uint32_t bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

static int compare(const struct kir *k, const struct kir_data *want, void *const *got)
{
	unsigned int io = 0;

	for (uint32_t i = 0; i < k->tensors; i++) {
		const struct kir_tensor *t = &k->tensor[i];
		const uint32_t *g;

		if (t->kind != KIR_INPUT && t->kind != KIR_OUTPUT)
			continue;
		g = got[io++];
		for (uint64_t e = 0; t->kind == KIR_OUTPUT && e < t->elems; e++) {
			uint32_t w = want->word[i][e];

			if (g[e] == w || (t->dtype == NPU_F32 && is_nan(g[e]) && is_nan(w)))
				continue;
			printf("output %s, element %llu: 0x%08x, expected 0x%08x\n", t->name,
			       (unsigned long long)e, g[e], w);
			return -1;
		}
	}
	return 0;
}

static void fill_inputs(struct kir_data *d, uint64_t seed)
{
	for (uint32_t i = 0; i < d->k->tensors; i++) {
		const struct kir_tensor *t = &d->k->tensor[i];

		for (uint64_t e = 0; t->kind == KIR_INPUT && e < t->elems; e++) {
			uint32_t bits = gen_bits(&seed);
			float f = (float)(int32_t)bits * 0x1p-30f;

			memcpy(&d->word[i][e], &f, sizeof(f));
			if (t->dtype == NPU_I32)
				d->word[i][e] = bits >> (bits & 31);
		}
	}
}

/* Compile, prove, run and compare for one target; what went wrong is printed. */
static int run_target(const struct target *t, const struct kir *k, const struct kir_data *want,
		      void *const *got, void *image, size_t bytes)
{
	struct npu_core_config config = device_of(t);
	struct nc_diag diag = { "" };
	struct npu_job_done done;
	char why[200];

	if (nc_verify_image(image, bytes, &diag)) {
		printf("verifier: %s\n", diag.text);
		return -1;
	}
	if (machine_run(&config, image, bytes, got, &done, why)) {
		printf("the job does not end: %s\n", why);
		return -1;
	}
	if (done.status) {
		printf("fault %u: %s\n", done.status, why);
		return -1;
	}
	return compare(k, want, got);
}

static int compile(uint64_t seed, uint32_t elems, const struct target *t, void **image,
		   size_t *bytes)
{
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = gen_kir(arena, seed, elems);
	uint32_t ops = k->ops;
	int ret = nc_back(k, &t->compile, NULL, NULL, image, bytes, &diag);

	given += ops;
	kept += k->ops;
	if (ret == -EOPNOTSUPP && t->tiny)
		refused++;
	else if (ret)
		printf("compiler: %s\n", diag.text);
	nc_arena_destroy(arena);
	return ret;
}

static int run_case(uint64_t seed, uint32_t elems)
{
	struct nc_arena *arena = nc_arena_create();
	struct kir *k = gen_kir(arena, seed, elems);
	struct kir_data *want = kir_data_create(k);
	void **got = calloc((size_t)k->tensors + 1, sizeof(void *));
	unsigned int io = 0;
	int ret = 0;

	if (!want || !got)
		abort();
	fill_inputs(want, seed);
	for (uint32_t i = 0; i < k->tensors; i++) {
		if (k->tensor[i].kind != KIR_INPUT && k->tensor[i].kind != KIR_OUTPUT)
			continue;
		got[io] = malloc(k->tensor[i].elems * sizeof(uint32_t));
		memcpy(got[io++], want->word[i], k->tensor[i].elems * sizeof(uint32_t));
	}
	kir_eval(want);
	for (unsigned int i = 0; i < TARGETS && !ret; i++) {
		void *image;
		size_t bytes;

		ret = compile(seed, elems, &targets[i], &image, &bytes);
		if (ret == -EOPNOTSUPP && targets[i].tiny) {
			ret = 0;
			continue;
		}
		if (!ret)
			ret = run_target(&targets[i], k, want, got, image, bytes);
		if (ret)
			printf("target %s, seed %llu, elems %u\n", targets[i].name,
			       (unsigned long long)seed, elems);
		free(image);
	}
	if (ret) {
		struct nc_diag diag = { "" };

		kir_verify(k, &diag);
		printf("%s\n", diag.text);
		kir_dump(k, stdout);
	}
	while (io)
		free(got[--io]);
	free(got);
	kir_data_destroy(want);
	nc_arena_destroy(arena);
	return ret;
}

int main(int argc, char **argv)
{
	unsigned long cases = argc > 1 ? strtoul(argv[1], NULL, 0) : 100;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) << 20;
	uint32_t elems = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 0) : 0;

	printf("%lu cases from seed %llu\n", cases, (unsigned long long)seed);
	for (unsigned long i = 0; i < cases; i++) {
		/* Most around the small target's memories, some around the default's. */
		static const uint32_t about[] = { 300, 3000, 20000, 60000 };
		uint32_t n = elems ? elems : about[(seed + i) % 4];

		if (run_case(seed + i, n))
			return 1;
	}
	printf("all equal; %u operations became %u by fusion and slicing, %u refused on the tiny target\n",
	       given, kept, refused);
	return 0;
}
