/* SPDX-License-Identifier: MIT */
/*
 * The oracle itself, judged by ONNX's backend tests: each model is evaluated
 * and compared with the outputs that are stored with it. Prints TAP.
 *
 *	ev_check [DIR...]
 *
 * Without DIR: the tests that scripts/data fetched.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ev.h"

/* Some outputs have been computed in half precision. */
#define TOLERANCE	1e-3

static unsigned int tests, failed, skipped;

/* A whole file, malloc()ed; NULL when there is none. */
static uint8_t *read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;

	if (f && !fstat(fileno(f), &st)) {
		*bytes = (size_t)st.st_size;
		data = malloc(*bytes + 1);
		if (data && fread(data, 1, *bytes, f) != *bytes) {
			free(data);
			data = NULL;
		}
	}
	if (f)
		fclose(f);
	return data;
}

static int read_tensor(const char *dir, const char *what, size_t i, struct ev_value *x)
{
	Onnx__TensorProto *p;
	char path[4096];
	uint8_t *data;
	size_t bytes;
	int ret;

	snprintf(path, sizeof(path), "%s/test_data_set_0/%s_%zu.pb", dir, what, i);
	data = read_file(path, &bytes);
	p = data ? onnx__tensor_proto__unpack(NULL, bytes, data) : NULL;
	ret = p ? ev_from_proto(x, p) : -EINVAL;
	if (p)
		onnx__tensor_proto__free_unpacked(p, NULL);
	free(data);
	return ret;
}

/* Element that differs, -1 for none, -2 for another shape or type. */
static int64_t differs(const struct ev_value *got, const struct ev_value *want)
{
	double eps = 4 * ev_epsilon(want->type);

	if (!ev_same_shape(got, want) || got->type != want->type)
		return -2;
	for (int64_t i = 0; i < want->elems; i++) {
		double g = ev_round(want->type, got->v[i]), w = want->v[i];
		double most = 1e-6 + fabs(w) * fmax(TOLERANCE, eps);

		if (g == w || (isnan(g) && isnan(w)))
			continue;
		if (!ev_is_float(want->type) || !(fabs(g - w) <= most))
			return i;
	}
	return -1;
}

static void result(const char *name, char kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* @kind: 'p' passed, 'f' failed, 's' nothing that the oracle speaks of. */
static void result(const char *name, char kind, const char *fmt, ...)
{
	va_list args;

	if (kind == 's') {
		skipped++;
		printf("# %s left out", name);
	} else {
		tests++;
		failed += kind == 'f';
		printf("%s %u - %s", kind == 'f' ? "not ok" : "ok", tests, name);
	}
	if (kind != 'p') {
		printf(": ");
		va_start(args, fmt);
		vprintf(fmt, args);
		va_end(args);
	}
	putchar('\n');
}

static const char *unknown_in(const Onnx__ModelProto *m, Onnx__NodeProto *const *node,
			      size_t count);

/* Whether the model has a function of that name; what it is made of is asked elsewhere. */
static bool is_function(const Onnx__ModelProto *m, const char *name)
{
	for (size_t i = 0; i < m->n_functions; i++)
		if (!strcmp(m->functions[i]->name, name))
			return true;
	return false;
}

static const char *unknown_node(const Onnx__ModelProto *m, const Onnx__NodeProto *n)
{
	static const char *const control[] = { "If", "Loop", "Scan" };
	const char *unknown = NULL;

	if (is_function(m, n->op_type))
		return NULL;
	for (size_t i = 0; i < sizeof(control) / sizeof(control[0]); i++) {
		if (strcmp(n->op_type, control[i]))
			continue;
		for (size_t a = 0; a < n->n_attribute && !unknown; a++)
			if (n->attribute[a]->g)
				unknown = unknown_in(m, n->attribute[a]->g->node,
						     n->attribute[a]->g->n_node);
		return unknown;
	}
	return (n->domain && *n->domain) || !ev_has_op(n->op_type) ? n->op_type : NULL;
}

static const char *unknown_in(const Onnx__ModelProto *m, Onnx__NodeProto *const *node,
			      size_t count)
{
	const char *unknown = NULL;

	for (size_t i = 0; i < count && !unknown; i++)
		unknown = unknown_node(m, node[i]);
	return unknown;
}

/* An operator that the oracle does not have; NULL when it has all. */
static const char *unknown_op(const Onnx__ModelProto *m)
{
	const char *unknown = unknown_in(m, m->graph->node, m->graph->n_node);

	for (size_t i = 0; i < m->n_functions && !unknown; i++)
		unknown = unknown_in(m, m->functions[i]->node, m->functions[i]->n_node);
	return unknown;
}

static void evaluate(const char *dir, const char *name, const Onnx__ModelProto *m)
{
	struct ev_env env = { 0 };
	char why[256];
	int ret;

	for (size_t i = 0; i < m->graph->n_input; i++) {
		struct ev_value x;

		if (read_tensor(dir, "input", i, &x)) {
			result(name, 's', "input %zu is of another kind", i);
			goto out;
		}
		if (ev_env_set(&env, m->graph->input[i]->name, &x))
			abort();
	}
	ret = ev_graph_run(m, &env, NULL, why);
	if (ret) {
		result(name, ret == -ENOSYS ? 's' : 'f', "%s", why);
		goto out;
	}
	for (size_t i = 0; i < m->graph->n_output; i++) {
		const struct ev_value *got = ev_env_find(&env, m->graph->output[i]->name);
		struct ev_value want;
		int64_t at;

		if (read_tensor(dir, "output", i, &want)) {
			result(name, 's', "output %zu is of another kind", i);
			goto out;
		}
		at = got ? differs(got, &want) : -2;
		if (at >= 0)
			result(name, 'f', "output %zu, element %lld: %.9g, expected %.9g", i,
			       (long long)at, got->v[at], want.v[at]);
		else if (at == -2)
			result(name, 'f', "output %zu: another shape or type", i);
		ev_free(&want);
		if (at != -1)
			goto out;
	}
	result(name, 'p', "%s", "");
out:
	ev_env_free(&env);
}

static void check_test(const char *dir, const char *name)
{
	Onnx__ModelProto *m;
	char path[4096];
	const char *op;
	uint8_t *data;
	size_t bytes;

	snprintf(path, sizeof(path), "%s/model.onnx", dir);
	data = read_file(path, &bytes);
	if (!data)
		return;
	m = onnx__model_proto__unpack(NULL, bytes, data);
	op = m && m->graph ? unknown_op(m) : NULL;
	if (!m || !m->graph)
		result(name, 'f', "model.onnx is not legal");
	else if (op)
		result(name, 's', "no operator %s", op);
	else
		evaluate(dir, name, m);
	if (m)
		onnx__model_proto__free_unpacked(m, NULL);
	free(data);
}

/* False when there is no such folder. */
static bool check_folder(const char *folder)
{
	struct dirent **entry;
	int n = scandir(folder, &entry, NULL, alphasort);

	for (int k = 0; k < n; k++) {
		char dir[2048];

		snprintf(dir, sizeof(dir), "%s/%s", folder, entry[k]->d_name);
		if (!strncmp(entry[k]->d_name, "test_", 5))
			check_test(dir, entry[k]->d_name);
		free(entry[k]);
	}
	if (n >= 0)
		free(entry);
	return n >= 0;
}

static void check_fetched(void)
{
	static const char *const group[] = {
		"node", "simple", "pytorch-converted", "pytorch-operator",
	};
	const char *cache = getenv("NPU_CACHE"), *home = getenv("HOME");
	char folder[1024];

	for (size_t i = 0; i < sizeof(group) / sizeof(group[0]); i++) {
		snprintf(folder, sizeof(folder), "%s%s/onnx-testdata/%s",
			 cache ? cache : home ? home : "", cache ? "" : "/.cache/npu", group[i]);
		check_folder(folder);
	}
}

int main(int argc, char **argv)
{
	if (argc == 1)
		check_fetched();
	for (int i = 1; i < argc; i++)
		if (!check_folder(argv[i]))
			result(argv[i], 'f', "there is no such folder");
	if (!tests) {
		printf("1..0 # SKIP there are no ONNX backend tests; run scripts/data\n");
		return 0;
	}
	printf("1..%u\n# %u passed, %u failed, %u left out\n", tests, tests - failed, failed,
	       skipped);
	return failed > 0;
}
