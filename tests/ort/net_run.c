/* SPDX-License-Identifier: MIT */
/*
 * A model on the device core in this process, with what it costs.
 *
 *	net_run MODEL DIR [DEVICE]
 *
 * Reads DIR/input_I.bin, writes DIR/npu_I.bin. Prints, separated by spaces:
 * seconds to compile, descriptors, MACs, bytes moved, modelled cycles, milliseconds
 * of the second run, MiB of memory at most.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "npu.h"

#define PATH_BYTES	4096

static void die(const char *what)
{
	fprintf(stderr, "net_run: %s: %s\n", what, npu_error());
	exit(1);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void read_inputs(struct npu_model *model, struct npu_session *s, const char *dir)
{
	char path[PATH_BYTES];

	for (unsigned int i = 0; i < npu_model_inputs(model); i++) {
		snprintf(path, sizeof(path), "%s/input_%u.bin", dir, i);
		if (npu_session_read_input(s, i, path, 0))
			die(path);
	}
}

static void write_outputs(struct npu_model *model, struct npu_session *s, const char *dir)
{
	struct npu_tensor_info info;
	char path[PATH_BYTES];

	for (unsigned int i = 0; i < npu_model_outputs(model); i++) {
		const void *data = npu_session_map_output(s, i);
		FILE *f;

		snprintf(path, sizeof(path), "%s/npu_%u.bin", dir, i);
		f = fopen(path, "wb");
		if (npu_model_output_info(model, i, &info) || !data || !f ||
		    fwrite(data, 1, info.bytes, f) != info.bytes || fclose(f))
			die(path);
	}
}

int main(int argc, char **argv)
{
	struct npu_counters first, c;
	struct npu_session *s;
	struct npu_device *dev;
	struct npu_model *model;
	struct rusage usage;
	double at, compiled, ran;

	if (argc < 3) {
		fputs("usage: net_run MODEL DIR [DEVICE]\n", stderr);
		return 2;
	}
	dev = npu_device_open(argc > 3 ? argv[3] : "sim");
	if (!dev)
		die("device");
	at = seconds();
	model = npu_model_open(dev, argv[1], "*=1");
	if (!model)
		die(argv[1]);
	compiled = seconds() - at;
	s = npu_session_create(model);
	if (!s)
		die("session");
	read_inputs(model, s, argv[2]);
	if (npu_session_run(s) || npu_session_get_counters(s, &first))
		die("run");
	at = seconds();
	if (npu_session_run(s) || npu_session_get_counters(s, &c))
		die("run");
	ran = seconds() - at;
	write_outputs(model, s, argv[2]);
	getrusage(RUSAGE_SELF, &usage);
	printf("%.2f %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %.1f %ld\n", compiled,
	       c.descriptors - first.descriptors, c.macs - first.macs,
	       c.read_bytes + c.write_bytes - first.read_bytes - first.write_bytes,
	       c.cycles - first.cycles, ran * 1e3, usage.ru_maxrss / 1024);
	npu_session_destroy(s);
	npu_model_close(model);
	npu_device_close(dev);
	return 0;
}
