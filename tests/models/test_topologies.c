/* SPDX-License-Identifier: MIT */
/*
 * The topologies of ONNX's light_* models, with fewer channels and seeded weights, on the
 * device core in this process: on the default device and on a small one, against the
 * oracle over ONNX nodes. Prints TAP.
 *
 *	test_topologies [DATA]		DATA/light_*.onnx; NULL: what scripts/data fetched
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ev.h"
#include "npu.h"
#include "seeded.h"

#define SEED		3u
#define SHRINK		8
#define SIDE		224
#define TOLERANCE	1e-4
#define PATH_BYTES	4096

static const char *const devices[] = {
	"sim", "sim,array_rows=8,array_cols=8,spm_bytes=128K,acc_bytes=16K",
};

/* ShuffleNet's channels are not divided: groups of theirs are shuffled. */
static const struct topology {
	const char *name;
	unsigned int shrink;
} topologies[] = {
	{ "bvlc_alexnet", SHRINK }, { "densenet121", SHRINK }, { "inception_v1", SHRINK },
	{ "inception_v2", SHRINK }, { "resnet50", SHRINK }, { "shufflenet", 1 },
	{ "squeezenet", SHRINK }, { "vgg19", SHRINK }, { "zfnet512", SHRINK },
};

/* The largest difference, and the largest value. */
struct distance {
	double worst, largest;
};

static struct distance distance(const struct ev_value *want, const float *got, const double *other)
{
	struct distance d = { 0, 0 };

	for (int64_t i = 0; i < want->elems; i++) {
		double difference = fabs((got ? (double)got[i] : other[i]) - want->v[i]);

		d.largest = fmax(d.largest, fabs(want->v[i]));
		d.worst = difference <= d.worst ? d.worst : difference;
	}
	return d;
}

static int compare(struct npu_session *s, unsigned int index, const struct ev_value *want,
		   char *why, size_t bytes)
{
	const float *got = npu_session_map_output(s, index);
	struct distance d;

	if (!got || !want) {
		snprintf(why, bytes, "there is no output %u", index);
		return -1;
	}
	d = distance(want, got, NULL);
	snprintf(why, bytes, "output %u differs by %.3g, the largest value is %.3g", index,
		 d.worst, d.largest);
	return d.worst <= TOLERANCE * d.largest ? 0 : -1;
}

/* Random values, the same for device and oracle. */
static void fill(struct ev_value *x, float *data, uint32_t state)
{
	for (int64_t i = 0; i < x->elems; i++) {
		state = state * 1664525u + 1013904223u;
		data[i] = (float)(int32_t)state / 2147483648.0f;
		x->v[i] = data[i];
	}
}

static int run(const char *device, const char *path, const struct ev_env *env,
	       const Onnx__GraphProto *g, const float *image, size_t image_bytes, char *why,
	       size_t bytes)
{
	struct npu_device *dev = npu_device_open(device);
	struct npu_model *model = dev ? npu_model_open(dev, path, NULL) : NULL;
	struct npu_session *s = model ? npu_session_create(model) : NULL;
	int ret = -1;

	if (!s || npu_session_set_input(s, 0, image, image_bytes) || npu_session_run(s)) {
		snprintf(why, bytes, "%s", npu_error());
	} else {
		ret = 0;
		for (size_t i = 0; !ret && i < g->n_output; i++)
			ret = compare(s, (unsigned int)i, ev_env_find(env, g->output[i]->name),
				      why, bytes);
	}
	npu_session_destroy(s);
	npu_model_close(model);
	npu_device_close(dev);
	return ret;
}

/* What the oracle makes of a random image. 0, or -1 with @why. */
static int evaluate(const Onnx__ModelProto *m, uint32_t seed, float *image, struct ev_env *env,
		    char *why, size_t bytes)
{
	static const int64_t dims[] = { 1, 3, SIDE, SIDE };
	char message[256];
	struct ev_value x;

	if (ev_alloc(&x, EV_F32, 4, dims))
		abort();
	fill(&x, image, seed);
	if (ev_env_set(env, m->graph->input[0]->name, &x))
		abort();
	if (!ev_graph_run(m, env, NULL, message))
		return 0;
	snprintf(why, bytes, "%s", message);
	return -1;
}

/* A model whose outputs hardly depend on the input proves nothing. */
static int expect_apart(const Onnx__GraphProto *g, const struct ev_env *a, const struct ev_env *b,
			char *why, size_t bytes)
{
	for (size_t i = 0; i < g->n_output; i++) {
		const struct ev_value *x = ev_env_find(a, g->output[i]->name);
		struct distance d = distance(x, NULL, ev_env_find(b, g->output[i]->name)->v);

		if (!(d.worst > 100 * TOLERANCE * d.largest)) {
			snprintf(why, bytes, "output %zu is the same for all images", i);
			return -1;
		}
	}
	return 0;
}

/* 0, or -1 with @why. */
static int check(const Onnx__ModelProto *m, char *why, size_t bytes)
{
	const size_t image_bytes = 3 * SIDE * SIDE * sizeof(float);
	char path[] = "/tmp/npu-topology-XXXXXX";
	struct ev_env env = { 0 }, other = { 0 };
	float *image = malloc(image_bytes);
	int fd = mkstemp(path), ret;

	if (!image || fd < 0 || !seeded_write(m, path))
		abort();
	ret = evaluate(m, SEED + 1, image, &other, why, bytes);
	ret = ret ? ret : evaluate(m, SEED, image, &env, why, bytes);
	ret = ret ? ret : expect_apart(m->graph, &env, &other, why, bytes);
	for (size_t d = 0; !ret && d < sizeof(devices) / sizeof(devices[0]); d++)
		ret = run(devices[d], path, &env, m->graph, image, image_bytes, why, bytes);
	ev_env_free(&env);
	ev_env_free(&other);
	free(image);
	close(fd);
	unlink(path);
	return ret;
}

int main(int argc, char **argv)
{
	const size_t count = sizeof(topologies) / sizeof(topologies[0]);
	const char *cache = getenv("NPU_CACHE"), *home = getenv("HOME");
	char path[PATH_BYTES];
	int failed = 0;

	for (size_t i = 0; i < count; i++) {
		const struct topology *t = &topologies[i];
		Onnx__ModelProto *m;
		char why[512] = "";
		int ret;

		if (argc > 1)
			snprintf(path, sizeof(path), "%s/light_%s.onnx", argv[1], t->name);
		else
			snprintf(path, sizeof(path), "%s%s/onnx-testdata/light/light_%s.onnx",
				 cache ? cache : home ? home : "",
				 cache ? "" : "/.cache/npu", t->name);
		if (!i && access(path, R_OK)) {
			printf("1..0 # SKIP no %s; run scripts/data\n", path);
			return 0;
		}
		if (!i)
			printf("1..%zu\n", count);
		m = seeded_read(path, SEED, t->shrink);
		ret = m ? check(m, why, sizeof(why)) : -1;
		printf("%s %zu - %s%s%s\n", ret ? "not ok" : "ok", i + 1, t->name,
		       ret ? ": " : " # ", m ? why : "cannot be read");
		failed |= ret;
		seeded_free(m);
	}
	return !!failed;
}
