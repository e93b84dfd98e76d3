/* SPDX-License-Identifier: MIT */
/*
 * npu-mission: the mission's networks on real images, judged by tests/ref.
 *
 *	npu-mission reference DIR	compute with tests/ref what is expected
 *	npu-mission run DIR		compute on the NPU and compare
 *
 * Both sides make the same parameters from a fixed seed and take the same
 * images, the first of Fashion-MNIST's test set. They share the parameters and
 * the images, and nothing else: the expectation comes from naive loops in
 * double precision.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "npu.h"
#include "npu_graph.h"
#include "npu_models.h"
#include "ref_compare.h"
#include "ref_idx.h"
#include "ref_models.h"

#define SEED		2026
#define CLASSES		10
#define PIXELS		(28 * 28)
#define ABS_TOLERANCE	1e-5	/* of a probability; fp32 against double */
#define WAIT_STEP_MS	2000

struct options {
	const char *command;
	const char *dir;
	const char *images_path;
	const char *device;
	const char *only;
	int64_t images;
};

struct outcome {
	bool ok;
	struct ref_argmax agreement;
	struct ref_compare error;
	struct npu_counters counters;
	double compile_s;
	double run_s;
};

static int fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("npu-mission: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A line of progress; on a terminal the next one replaces it. */
static void progress(const char *net, const char *what)
{
	printf(isatty(1) ? "\r\033[K%-10s %s" : "%-10s %s\n", net, what);
	fflush(stdout);
}

static float *read_images(const struct options *opt)
{
	struct ref_idx idx;
	char error[160];
	float *images;

	if (ref_idx_read(opt->images_path, &idx, error, sizeof(error))) {
		fail("%s", error);
		return NULL;
	}
	images = malloc((size_t)opt->images * PIXELS * sizeof(*images));
	if (!images || idx.rank != 3 || idx.dims[1] * idx.dims[2] != PIXELS ||
	    ref_idx_to_float(&idx, 0, opt->images, images)) {
		fail("%s: needs %" PRId64 " images of 28 x 28", opt->images_path, opt->images);
		free(images);
		images = NULL;
	}
	ref_idx_free(&idx);
	return images;
}

static void free_params(float **param)
{
	for (unsigned int i = 0; i < NPU_NET_PARAMS_MAX; i++)
		free(param[i]);
}

static int make_params(enum npu_net net, float *param[NPU_NET_PARAMS_MAX])
{
	int count = npu_net_params(net);
	struct npu_net_param info;

	memset(param, 0, NPU_NET_PARAMS_MAX * sizeof(*param));
	for (int i = 0; i < count; i++) {
		npu_net_param(net, (unsigned int)i, &info);
		param[i] = calloc(info.elems, sizeof(float));
		if (!param[i])
			return -ENOMEM;
	}
	return npu_net_init(net, SEED, param);
}

static const char *result_path(const struct options *opt, enum npu_net net, char *path,
			       size_t bytes)
{
	snprintf(path, bytes, "%s/%s.probabilities", opt->dir, npu_net_name(net));
	return path;
}

static int reference_net(const struct options *opt, enum npu_net net, const float *images)
{
	size_t count = (size_t)opt->images * CLASSES;
	float *param[NPU_NET_PARAMS_MAX];
	float *probs = malloc(count * sizeof(*probs));
	char path[4096], temp[4100];
	FILE *file;
	int err;

	err = make_params(net, param);
	if (!err && probs)
		err = ref_model_forward((enum ref_model)net, (const float *const *)param, images,
					opt->images, probs);
	free_params(param);
	if (err || !probs) {
		free(probs);
		return fail("%s: reference: %s", npu_net_name(net), strerror(err ? -err : ENOMEM));
	}
	snprintf(temp, sizeof(temp), "%s.new", result_path(opt, net, path, sizeof(path)));
	file = fopen(temp, "wb");
	err = !file || fwrite(probs, sizeof(*probs), count, file) != count;
	err |= file && fclose(file);
	free(probs);
	if (err || rename(temp, path)) {
		err = errno;
		unlink(temp);
		return fail("%s: %s", path, strerror(err));
	}
	return 0;
}

/* The expectation: all of it, of as many images, or none. */
static float *read_expected(const struct options *opt, enum npu_net net)
{
	size_t count = (size_t)opt->images * CLASSES;
	float *probs = malloc(count * sizeof(*probs));
	char path[4096];
	FILE *file = fopen(result_path(opt, net, path, sizeof(path)), "rb");
	bool whole = file && probs && fread(probs, sizeof(*probs), count, file) == count &&
		     fgetc(file) == EOF;

	if (file)
		fclose(file);
	if (whole)
		return probs;
	free(probs);
	fail("%s: not the reference's result for %" PRId64 " images; run npu-mission reference first",
	     path, opt->images);
	return NULL;
}

static struct npu_model *open_net(struct npu_device *dev, enum npu_net net, int64_t batch)
{
	float *param[NPU_NET_PARAMS_MAX];
	struct npu_graph *graph = NULL;
	struct npu_model *model = NULL;

	if (!make_params(net, param))
		graph = npu_net_build(net, batch, (const float *const *)param);
	free_params(param);
	if (!graph) {
		fail("%s: no memory for the graph", npu_net_name(net));
		return NULL;
	}
	model = npu_model_from_graph(dev, graph);
	if (!model)
		fail("%s: %s", npu_net_name(net), npu_error());
	npu_graph_destroy(graph);
	return model;
}

/* Set, run, get: nothing computes between set and get but the NPU. */
static int run_session(const struct options *opt, struct npu_session *s, enum npu_net net,
		       const float *images, float *probs, struct outcome *out)
{
	double start;
	char text[80];
	int err;

	if (npu_session_set_input(s, 0, images, (uint64_t)opt->images * PIXELS * sizeof(float)))
		return -1;
	start = now_s();
	if (npu_session_start(s))
		return -1;
	while ((err = npu_session_wait(s, WAIT_STEP_MS)) == -ETIME) {
		snprintf(text, sizeof(text), "computing, %.0f s", now_s() - start);
		progress(npu_net_name(net), text);
	}
	out->run_s = now_s() - start;
	if (err || npu_session_get_counters(s, &out->counters))
		return -1;
	return npu_session_get_output(s, 0, probs,
				      (uint64_t)opt->images * CLASSES * sizeof(float));
}

static int run_net(const struct options *opt, struct npu_device *dev, enum npu_net net,
		   const float *images, struct outcome *out)
{
	float *probs = calloc((size_t)opt->images * CLASSES, sizeof(*probs));
	float *expected = NULL;
	struct npu_model *model = NULL;
	struct npu_session *session = NULL;
	double start = now_s();
	int err = -1;

	progress(npu_net_name(net), "compiling");
	if (probs)
		model = open_net(dev, net, opt->images);
	out->compile_s = now_s() - start;
	if (!model)
		goto out;
	progress(npu_net_name(net), "computing");
	session = npu_session_create(model);
	if (!session || run_session(opt, session, net, images, probs, out)) {
		fail("%s: %s", npu_net_name(net), npu_error());
		goto out;
	}
	progress(npu_net_name(net), "comparing");
	expected = read_expected(opt, net);
	if (!expected)
		goto out;
	err = 0;
	ref_compare_argmax(probs, expected, opt->images, CLASSES, &out->agreement);
	out->ok = !ref_compare(probs, expected, opt->images * CLASSES, ABS_TOLERANCE, 0,
			       &out->error) &&
		  out->agreement.agree == opt->images;
out:
	if (session)
		npu_session_destroy(session);
	if (model)
		npu_model_close(model);
	free(expected);
	free(probs);
	return err;
}

static void print_table(const struct options *opt, const struct outcome *outcome,
			const bool *ran, uint32_t clock_khz)
{
	printf("%s%-10s %6s %9s %10s %5s %7s %7s %9s %9s %9s %8s %8s  %s\n",
	       isatty(1) ? "\r\033[K" : "", "network", "images", "agreement", "max error",
	       "jobs", "descr.", "GMAC", "MiB read", "MiB writ.", "Mcycles", "model ms", "wall s",
	       "check");
	for (unsigned int i = 0; i < NPU_NETS; i++) {
		const struct outcome *o = &outcome[i];

		if (!ran[i])
			continue;
		printf("%-10s %6" PRId64 " %8.2f%% %10.2e %5" PRIu64 " %7" PRIu64
		       " %7.2f %9.1f %9.1f %9.2f %8.2f %8.2f  %s\n",
		       npu_net_name(i), opt->images,
		       100.0 * (double)o->agreement.agree / (double)opt->images,
		       o->error.max_abs_err, o->counters.jobs, o->counters.descriptors,
		       (double)o->counters.macs * 1e-9, (double)o->counters.read_bytes / 1048576,
		       (double)o->counters.write_bytes / 1048576,
		       (double)o->counters.cycles * 1e-6,
		       (double)o->counters.cycles / clock_khz, o->run_s, o->ok ? "ok" : "FAILED");
	}
}

/* Returns the number of networks that failed. */
static int run_all(const struct options *opt, struct npu_device *dev, uint32_t clock_khz,
		   const float *images)
{
	struct outcome outcome[NPU_NETS] = { 0 };
	bool ran[NPU_NETS] = { false };
	int failed = 0;

	for (unsigned int i = 0; i < NPU_NETS; i++) {
		if (opt->only && strcmp(opt->only, npu_net_name(i)))
			continue;
		ran[i] = !run_net(opt, dev, i, images, &outcome[i]);
		failed += !ran[i] || !outcome[i].ok;
	}
	print_table(opt, outcome, ran, clock_khz);
	return failed;
}

static int command_run(const struct options *opt, const float *images)
{
	struct npu_device *dev = npu_device_open(opt->device);
	struct npu_device_info info;
	int failed;

	if (!dev)
		return fail("%s", npu_error());
	npu_device_get_info(dev, &info);
	printf("%s: %s\n", info.path, info.name);
	failed = run_all(opt, dev, info.clock_khz, images);
	npu_device_close(dev);
	return failed;
}

static int command_reference(const struct options *opt, const float *images)
{
	int failed = 0;

	for (unsigned int i = 0; i < NPU_NETS; i++)
		if (!opt->only || !strcmp(opt->only, npu_net_name(i)))
			failed += reference_net(opt, i, images) != 0;
	return failed;
}

static int usage(FILE *out)
{
	fputs("usage: npu-mission reference|run [OPTION...] DIR\n"
	      "Computes the mission's networks on Fashion-MNIST images: with the naive\n"
	      "reference into DIR, or on the NPU, comparing with what is in DIR.\n"
	      "  --data FILE    images, IDX or IDX.gz\n"
	      "  --device SPEC  node, or sim (the first node)\n"
	      "  --images N     how many (1000)\n"
	      "  --only NET     cnn, rnn or attention\n", out);
	return out == stdout ? 0 : 2;
}

static int parse(int argc, char **argv, struct options *opt)
{
	static const struct option options[] = {
		{ "data", required_argument, NULL, 'D' },
		{ "device", required_argument, NULL, 'd' },
		{ "images", required_argument, NULL, 'n' },
		{ "only", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool known = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'D': opt->images_path = optarg; break;
		case 'd': opt->device = optarg; break;
		case 'n': opt->images = atoll(optarg); break;
		case 'o': opt->only = optarg; break;
		case 'h': exit(usage(stdout));
		default: return usage(stderr);
		}
	}
	if (argc - optind != 2 || opt->images < 1 || opt->images > 10000)
		return usage(stderr);
	opt->command = argv[optind];
	opt->dir = argv[optind + 1];
	for (unsigned int i = 0; i < NPU_NETS; i++)
		known |= !opt->only || !strcmp(opt->only, npu_net_name(i));
	if (!known)
		return fail("no network '%s'; there are cnn, rnn and attention", opt->only), 2;
	return 0;
}

int main(int argc, char **argv)
{
	struct options opt = { .images_path = REF_FASHION_MNIST_TEST_IMAGES, .images = 1000 };
	int err = parse(argc, argv, &opt);
	float *images;

	if (err)
		return err;
	images = read_images(&opt);
	if (!images)
		return 1;
	if (!strcmp(opt.command, "reference"))
		err = command_reference(&opt, images);
	else if (!strcmp(opt.command, "run"))
		err = command_run(&opt, images);
	else
		err = usage(stderr);
	free(images);
	return err == 2 ? 2 : err != 0;
}
