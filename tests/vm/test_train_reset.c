/* SPDX-License-Identifier: MIT */
/*
 * Training goes on through resets of the device, to the bit: a child resets the function
 * again and again while the parent trains, and the parameters come out as without.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "npu_models.h"
#include "npu_train.h"
#include "tap.h"
#include "util.h"

#define BATCH		8
#define STEPS		120
#define PIXELS		784

/* Batch @step, always the same. */
static void fill(float *x, int32_t *y, uint64_t step)
{
	uint32_t seed = (uint32_t)step * 2654435761u + 1;

	for (int i = 0; i < BATCH * PIXELS; i++) {
		seed = seed * 1664525 + 1013904223;
		x[i] = (float)(seed >> 24) / 255;
	}
	for (int i = 0; i < BATCH; i++)
		y[i] = (int32_t)((step * BATCH + (uint64_t)i) % 10);
}

static struct npu_graph *build(void)
{
	float *param[NPU_NET_PARAMS_MAX] = { NULL };
	struct npu_net_param info;
	struct npu_graph *g;

	for (unsigned int i = 0; !npu_net_param(NPU_NET_ATTENTION, i, &info); i++)
		param[i] = calloc(info.elems, sizeof(float));
	npu_net_init(NPU_NET_ATTENTION, 3, param);
	g = npu_net_build(NPU_NET_ATTENTION, BATCH, (const float *const *)param);
	for (unsigned int i = 0; i < NPU_NET_PARAMS_MAX; i++)
		free(param[i]);
	return g;
}

/* The parameters after STEPS steps, or NULL. */
static float *train(void)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
							NPU_OPTIMIZER_ADAM);
	struct npu_device *dev = npu_device_open(NULL);
	struct npu_graph *g = build();
	struct npu_train *t = dev && g ? npu_train_create(dev, g, &o) : NULL;
	float *value = NULL;
	uint64_t started = 0;
	int ret = t ? 0 : -1;

	while (!ret && npu_train_steps(t) < STEPS) {
		if (started < STEPS && started - npu_train_steps(t) < NPU_TRAIN_AHEAD) {
			fill(npu_train_map_input(t, 0), npu_train_map_labels(t), started++);
			ret = npu_train_start(t, BATCH);
		} else {
			ret = npu_train_wait(t, NULL);
		}
	}
	if (ret || npu_train_update_graph(t)) {
		printf("# training: %s\n", npu_error());
	} else {
		value = calloc(npu_graph_param_elems(g), sizeof(*value));
		npu_graph_get_params(g, value);
	}
	npu_train_destroy(t);
	npu_graph_destroy(g);
	npu_device_close(dev);
	return value;
}

static uint64_t elems(void)
{
	struct npu_graph *g = build();
	uint64_t count = npu_graph_param_elems(g);

	npu_graph_destroy(g);
	return count;
}

static void reset_often(void *arg)
{
	volatile int *stop = arg;
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", need_pci_address());
	while (!*stop) {
		usleep(30000 + (unsigned int)rand() % 100000);
		need_write_file(path, "1");
	}
}

static void same_bits_through_resets(void)
{
	int fd = need_open();
	uint64_t before = need_usage(fd).device_resets, resets;
	float *want = train(), *got;
	volatile int *stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = need_fork(reset_often, (void *)(uintptr_t)stop);

	got = train();
	*stop = 1;
	need_exit(child);
	resets = need_usage(fd).device_resets - before;
	printf("# %llu resets\n", (unsigned long long)resets);
	check(resets > 0);
	check(want && got && !memcmp(want, got, elems() * sizeof(*got)));
	free(want);
	free(got);
	close(fd);
}

int main(void)
{
	const struct tap_test tests[] = {
		TAP_TEST(same_bits_through_resets),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
