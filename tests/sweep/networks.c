/* SPDX-License-Identifier: MIT */
/*
 * The networks of the mission: compiled for a batch of 1000, for the default
 * device and for a small one, every program is proven sound. A batch of 20 is
 * run: both devices give the same bits, and so does each sample alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back.h"
#include "gen_kir.h"
#include "machine.h"
#include "npu_models.h"

#define BATCH	20
#define LARGE	1000
#define CLASSES	10
#define PIXELS	(28 * 28)
#define SEED	1u

static const struct npu_target small = {
	.array_rows = 8, .array_cols = 8, .spm_bytes = 128 << 10, .acc_bytes = 16 << 10,
};

struct network {
	enum npu_net net;
	float *param[NPU_NET_PARAMS_MAX];
};

static int fail(const struct network *n, const char *what, const char *why)
{
	printf("%s: %s: %s\n", npu_net_name(n->net), what, why);
	return -1;
}

/* Compile for @batch and prove the program sound; *@image is malloc()ed. */
static int compile(const struct network *n, int64_t batch, const struct npu_target *target,
		   void **image, size_t *bytes)
{
	struct npu_graph *g = npu_net_build(n->net, batch, (const float *const *)n->param);
	struct nc_diag diag = { "" };
	int ret = 0;

	*image = NULL;
	if (!g)
		return fail(n, "build", "no graph");
	if (npu_graph_compile(g, target, NULL, NULL, image, bytes))
		ret = fail(n, "compile", npu_graph_error(g));
	else if (nc_verify_image(*image, *bytes, &diag))
		ret = fail(n, "verify", diag.text);
	npu_graph_destroy(g);
	return ret;
}

static int run(const struct network *n, const void *image, size_t bytes,
	       const struct npu_target *target, float *images, float *out)
{
	struct npu_core_config config = { .threads = 1, .synchronous = true };
	void *tensor[2] = { images, out };
	struct npu_job_done done;
	char why[200];

	if (target) {
		config.array_rows = target->array_rows;
		config.array_cols = target->array_cols;
		config.spm_bytes = target->spm_bytes;
		config.acc_bytes = target->acc_bytes;
	}
	if (machine_run(&config, image, bytes, tensor, &done, why))
		return fail(n, "run", "the job does not end");
	return done.status ? fail(n, "run", why) : 0;
}

/* Rows are probabilities, and not all alike. */
static int check_rows(const struct network *n, const float *out)
{
	float spread = 0;

	for (unsigned int i = 0; i < BATCH; i++) {
		float sum = 0;

		for (unsigned int c = 0; c < CLASSES; c++) {
			float d = out[i * CLASSES + c] - out[c];

			sum += out[i * CLASSES + c];
			spread += d * d;
		}
		if (!(sum > 0.9999f && sum < 1.0001f))
			return fail(n, "rows", "a row does not sum to 1");
	}
	return spread > 1e-6f ? 0 : fail(n, "rows", "all samples give the same");
}

/* BATCH samples by programs for @batch, one after the other. */
static int run_batch(const struct network *n, int64_t batch, const struct npu_target *target,
		     float *images, float *out)
{
	void *image;
	size_t bytes;
	int ret = compile(n, batch, target, &image, &bytes);

	for (int64_t i = 0; i < BATCH && !ret; i += batch)
		ret = run(n, image, bytes, target, images + i * PIXELS, out + i * CLASSES);
	free(image);
	return ret;
}

static int run_ways(const struct network *n)
{
	static const struct {
		const char *what;
		int64_t batch;
		const struct npu_target *target;
	} way[] = {
		{ "small device", BATCH, &small },
		{ "each sample alone", 1, NULL },
	};
	static float images[BATCH * PIXELS], want[BATCH * CLASSES], got[BATCH * CLASSES];
	uint64_t seed = SEED;

	for (unsigned int i = 0; i < BATCH * PIXELS; i++)
		images[i] = (float)(gen_bits(&seed) & 255) / 255.0f;
	if (run_batch(n, BATCH, NULL, images, want) || check_rows(n, want))
		return -1;
	for (size_t w = 0; w < sizeof(way) / sizeof(way[0]); w++) {
		memset(got, 0xff, sizeof(got));
		if (run_batch(n, way[w].batch, way[w].target, images, got))
			return -1;
		if (memcmp(want, got, sizeof(want)))
			return fail(n, way[w].what, "other bits");
	}
	return 0;
}

static int compile_large(const struct network *n, const struct npu_target *target)
{
	void *image;
	size_t bytes;
	int ret = compile(n, LARGE, target, &image, &bytes);

	free(image);
	return ret;
}

static int make_params(struct network *n)
{
	int params = npu_net_params(n->net);

	for (int i = 0; i < params; i++) {
		struct npu_net_param info;

		if (npu_net_param(n->net, (unsigned int)i, &info))
			return fail(n, "parameters", "cannot be described");
		n->param[i] = malloc(info.elems * sizeof(float));
		if (!n->param[i])
			return fail(n, "parameters", "out of memory");
	}
	return npu_net_init(n->net, SEED, n->param) ? fail(n, "parameters", "no values") : 0;
}

int main(void)
{
	int failed = 0;

	printf("seed %u\n", SEED);
	for (int net = 0; net < NPU_NETS; net++) {
		struct network n = { .net = (enum npu_net)net };
		bool ok = !make_params(&n) && !run_ways(&n) && !compile_large(&n, NULL) &&
			  !compile_large(&n, &small);

		printf("%s: %s\n", npu_net_name(n.net), ok ? "ok" : "FAILED");
		failed |= !ok;
		for (unsigned int i = 0; i < NPU_NET_PARAMS_MAX; i++)
			free(n.param[i]);
	}
	return failed;
}
