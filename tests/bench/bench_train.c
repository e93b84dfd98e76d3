/* SPDX-License-Identifier: MIT */
/*
 * Samples per second of training the mission's networks, batch 32, Adam, on random
 * images, and where the time goes: the device runs a step, the library submits it and
 * wakes up after it, the rest is filling batches.
 *
 *	bench_train [DEVICE [SECONDS [NETWORK]]]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "npu_models.h"
#include "npu_train.h"

#define BATCH		32
#define PIXELS		784
#define POOL		1024	/* images to choose from */
#define ROUNDS		5

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_train: %s: %s\n", what, npu_error());
	exit(1);
}

/**
 * struct sums - of the steps of a round
 * @fill: @start: @wait: seconds in these
 */
struct sums {
	uint64_t steps;
	double fill, start, wait;
};

static void fill(struct npu_train *t, const float *images, uint64_t step)
{
	float *x = npu_train_map_input(t, 0);
	int32_t *y = npu_train_map_labels(t);

	if (!x || !y)
		die("batch");
	for (unsigned int i = 0; i < BATCH; i++) {
		uint64_t image = (step * BATCH + i) * 2654435761u % POOL;

		memcpy(x + i * PIXELS, images + image * PIXELS, PIXELS * sizeof(*x));
		y[i] = (int32_t)(image % 10);
	}
}

static struct sums run_round(struct npu_train *t, const float *images, double seconds)
{
	struct sums s = { 0 };
	double begin = now_s(), at = begin;
	unsigned int flying = 0;
	uint64_t started = 0;

	while (at - begin < seconds || flying) {
		double then;

		if (at - begin < seconds && flying < NPU_TRAIN_AHEAD) {
			fill(t, images, started++);
			then = now_s();
			s.fill += then - at;
			if (npu_train_start(t, BATCH))
				die("start");
			at = now_s();
			s.start += at - then;
			flying++;
			continue;
		}
		if (npu_train_wait(t, NULL))
			die("wait");
		then = now_s();
		s.wait += then - at;
		at = then;
		s.steps++;
		flying--;
	}
	return s;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct npu_graph *build(enum npu_net net)
{
	float *param[NPU_NET_PARAMS_MAX] = { NULL };
	struct npu_net_param info;
	struct npu_graph *g;

	for (unsigned int i = 0; !npu_net_param(net, i, &info); i++)
		param[i] = calloc(info.elems, sizeof(float));
	if (npu_net_init(net, 1, param))
		exit(1);
	g = npu_net_build(net, BATCH, (const float *const *)param);
	for (unsigned int i = 0; i < NPU_NET_PARAMS_MAX; i++)
		free(param[i]);
	return g;
}

static void bench(struct npu_device *dev, enum npu_net net, const float *images, double seconds)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
							NPU_OPTIMIZER_ADAM);
	struct npu_graph *g = build(net);
	struct npu_train *t = npu_train_create(dev, g, &o);
	struct npu_counters before, after;
	double rate[ROUNDS], steps = 0;
	struct sums all = { 0 };

	if (!t)
		die(npu_net_name(net));
	run_round(t, images, seconds / ROUNDS);
	if (npu_train_get_counters(t, &before))
		die("counters");
	for (int i = 0; i < ROUNDS; i++) {
		double begin = now_s();
		struct sums s = run_round(t, images, seconds / ROUNDS);

		rate[i] = (double)s.steps * BATCH / (now_s() - begin);
		all.steps += s.steps;
		all.fill += s.fill;
		all.start += s.start;
		all.wait += s.wait;
	}
	if (npu_train_get_counters(t, &after))
		die("counters");
	qsort(rate, ROUNDS, sizeof(*rate), compare);
	steps = (double)all.steps;
	printf("%-10s %8.0f %8.0f %8.0f %8.3f %8.3f %8.3f %8.3f %8.1f %8.2f\n", npu_net_name(net),
	       rate[ROUNDS / 2], rate[0], rate[ROUNDS - 1],
	       (double)(after.run_ns - before.run_ns) / steps * 1e-6, all.fill / steps * 1e3,
	       all.start / steps * 1e3, all.wait / steps * 1e3,
	       (double)(after.macs - before.macs) / (double)(after.run_ns - before.run_ns),
	       (double)(after.cycles - before.cycles) / steps * 1e-6);
	npu_train_destroy(t);
	npu_graph_destroy(g);
}

int main(int argc, char **argv)
{
	struct npu_device *dev = npu_device_open(argc > 1 && *argv[1] ? argv[1] : NULL);
	double seconds = argc > 2 ? atof(argv[2]) : 10;
	float *images = calloc((size_t)POOL * PIXELS, sizeof(*images));
	uint32_t seed = 1;

	if (!dev)
		die("device");
	for (size_t i = 0; images && i < (size_t)POOL * PIXELS; i++) {
		seed = seed * 1664525 + 1013904223;
		images[i] = (float)(seed >> 24) / 255;
	}
	printf("%-10s %8s %8s %8s %8s %8s %8s %8s %8s %8s\n", "training", "images/s", "lowest",
	       "highest", "device", "fill", "submit", "wait", "GMAC/s", "Mcycles");
	printf("%-10s %8s %8s %8s %8s %8s %8s %8s\n", "", "", "", "", "ms/step", "ms/step", "ms/step",
	       "ms/step");
	for (int net = 0; net < NPU_NETS; net++)
		if (argc < 4 || !strcmp(argv[3], npu_net_name((enum npu_net)net)))
			bench(dev, (enum npu_net)net, images, seconds);
	free(images);
	npu_device_close(dev);
	return 0;
}
