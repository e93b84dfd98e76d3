/* SPDX-License-Identifier: MIT */
/*
 * A model on the device core in this process, with what it costs.
 *
 *	net_run run MODEL DIR
 *	net_run decode MODEL DIR GIVEN COUNT
 *
 * Reads DIR/input_I.bin, writes DIR/npu_I.bin; as a decoder (transformer_gpt_step())
 * reads GIVEN tokens of DIR/token.bin, writes the logits of COUNT steps to DIR/npu_0.bin
 * and all tokens to DIR/npu_token.bin. Prints, separated by spaces: seconds to compile,
 * descriptors, MACs, bytes moved, modelled cycles, milliseconds of the second run or of
 * all steps, MiB of memory at most.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "decode.h"
#include "npu.h"

#define PATH_BYTES	4096

static void die(const char *what)
{
	fprintf(stderr, "net_run: %s: %s\n", what, npu_error());
	exit(1);
}

/* Of the processor, all threads; others on this machine do not count. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
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

/**
 * struct bench - a model and what it takes
 * @dir: of its inputs and outputs
 * @compile_seconds: of the processor
 * @first: the counters before what is measured
 * @started: when that began
 */
struct bench {
	struct npu_device *dev;
	struct npu_model *model;
	struct npu_session *s;
	const char *dir;
	double compile_seconds;
	struct npu_counters first;
	double started;
};

static void open_bench(struct bench *b, const char *model, const char *dir)
{
	double at = seconds();

	*b = (struct bench){ .dir = dir, .dev = npu_device_open("sim") };
	if (!b->dev)
		die("device");
	b->model = npu_model_open(b->dev, model, "*=1");
	if (!b->model)
		die(model);
	b->compile_seconds = seconds() - at;
	b->s = npu_session_create(b->model);
	if (!b->s)
		die("session");
}

static void start(struct bench *b)
{
	if (npu_session_get_counters(b->s, &b->first))
		die("counters");
	b->started = seconds();
}

static void stop(const struct bench *b)
{
	double ran = seconds() - b->started;
	struct npu_counters c;
	struct rusage usage;

	if (npu_session_get_counters(b->s, &c))
		die("counters");
	getrusage(RUSAGE_SELF, &usage);
	printf("%.2f %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %.1f %ld\n",
	       b->compile_seconds, c.descriptors - b->first.descriptors, c.macs - b->first.macs,
	       c.read_bytes + c.write_bytes - b->first.read_bytes - b->first.write_bytes,
	       c.cycles - b->first.cycles, ran * 1e3, usage.ru_maxrss / 1024);
}

static void close_bench(struct bench *b)
{
	npu_session_destroy(b->s);
	npu_model_close(b->model);
	npu_device_close(b->dev);
}

static void run(struct bench *b)
{
	read_inputs(b->model, b->s, b->dir);
	if (npu_session_run(b->s))
		die("run");
	start(b);
	if (npu_session_run(b->s))
		die("run");
	stop(b);
	write_outputs(b->model, b->s, b->dir);
}

/* The whole of a file, read or written. */
static void transfer(const char *dir, const char *name, const char *mode, void *data, size_t bytes)
{
	char path[PATH_BYTES];
	size_t done;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, mode);
	if (!f)
		die(path);
	done = *mode == 'r' ? fread(data, 1, bytes, f) : fwrite(data, 1, bytes, f);
	if (fclose(f) || done != bytes)
		die(path);
}

static void decode(struct bench *b, unsigned int given, unsigned int count)
{
	int out = decode_find_output(b->model, "logits");
	struct npu_tensor_info info;
	int64_t *token;
	char *logits;

	if (out < 0 || npu_model_output_info(b->model, (unsigned int)out, &info))
		die("logits");
	token = calloc(count + 1, sizeof(*token));
	logits = calloc(count, info.bytes);
	if (!token || !logits || given > count)
		die("tokens");
	transfer(b->dir, "token.bin", "rb", token, given * sizeof(*token));
	if (decode_feed(b->model, b->s))
		die("feed");
	start(b);
	if (decode_run(b->model, b->s, token, given, count, (float *)(void *)logits))
		die("run");
	stop(b);
	transfer(b->dir, "npu_0.bin", "wb", logits, count * info.bytes);
	transfer(b->dir, "npu_token.bin", "wb", token, (count + 1) * sizeof(*token));
	free(token);
	free(logits);
}

int main(int argc, char **argv)
{
	struct bench b;

	if (!(argc == 4 && !strcmp(argv[1], "run")) && !(argc == 6 && !strcmp(argv[1], "decode"))) {
		fputs("usage: see the top of net_run.c\n", stderr);
		return 2;
	}
	open_bench(&b, argv[2], argv[3]);
	if (argc == 4)
		run(&b);
	else
		decode(&b, (unsigned int)strtoul(argv[4], NULL, 0),
		       (unsigned int)strtoul(argv[5], NULL, 0));
	close_bench(&b);
	return 0;
}
