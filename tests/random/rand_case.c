/* SPDX-License-Identifier: MIT */
/* Models with inputs and results: made, evaluated, written as a test of the suite. */
#include "rand_case.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct rc_case *rc_create(const Onnx__ModelProto *model)
{
	size_t bytes = onnx__model_proto__get_packed_size(model);
	struct rc_case *c = calloc(1, sizeof(*c));
	uint8_t *data = malloc(bytes + 1);

	if (c && data) {
		onnx__model_proto__pack(model, data);
		c->model = onnx__model_proto__unpack(NULL, bytes, data);
	}
	free(data);
	if (c && !c->model) {
		free(c);
		c = NULL;
	}
	return c;
}

void rc_destroy(struct rc_case *c)
{
	if (!c)
		return;
	ev_env_free(&c->in);
	for (int r = 0; r < RG_RUNS; r++)
		ev_env_free(&c->out[r]);
	onnx__model_proto__free_unpacked(c->model, NULL);
	free(c);
}

struct rc_case *rc_from_graph(const struct rg *g)
{
	struct rc_case *c = rc_create(&g->b.model);

	for (unsigned int v = 0; c && v < g->values; v++) {
		const char *name = NULL;
		struct ev_value x;

		if (!g->value[v].is_input)
			continue;
		for (size_t i = 0; i < c->model->graph->n_input; i++)
			if (!strcmp(c->model->graph->input[i]->name, g->value[v].name))
				name = c->model->graph->input[i]->name;
		if (!name || ev_copy(&x, rg_get(g, (int)v)) || ev_env_set(&c->in, name, &x)) {
			rc_destroy(c);
			return NULL;
		}
	}
	return c;
}

int rc_evaluate(struct rc_case *c, char why[RC_TEXT])
{
	int ret = 0;

	for (int r = 0; r < RG_RUNS && !ret; r++) {
		/* One run leans to each side, so that no chance has to find what is close. */
		struct ev_noise noise = { .on = r > 0, .lean = r == 1 ? 1 : r == 2 ? -1 : 0,
					  .state = 77 + (uint64_t)r };

		ev_env_free(&c->out[r]);
		for (size_t i = 0; i < c->in.count && !ret; i++) {
			struct ev_value x;

			ret = ev_copy(&x, &c->in.value[i]);
			ret = ret ? ret : ev_env_set(&c->out[r], c->in.name[i], &x);
		}
		ret = ret ? ret : ev_graph_run(c->model, &c->out[r], &noise, why);
	}
	for (size_t i = 0; i < c->model->graph->n_output && !ret; i++) {
		const struct ev_value *x = ev_env_find(&c->out[0],
						       c->model->graph->output[i]->name);

		for (int r = 1; r < RG_RUNS && x; r++) {
			const struct ev_value *y = ev_env_find(&c->out[r],
							       c->model->graph->output[i]->name);

			if (!ev_same_shape(x, y))
				ret = -EINVAL;
		}
		for (int64_t k = 0; x && k < x->elems; k++)
			if (!(fabs(x->v[k]) <= 1e6))
				ret = -EINVAL;
		if (!x)
			ret = -EINVAL;
		if (ret)
			snprintf(why, RC_TEXT, "output %zu cannot be judged", i);
	}
	return ret;
}

/* ---- Tolerance ---- */

static double deviation(const struct rc_case *c, const char *name, int64_t i)
{
	const struct ev_value *x = ev_env_find(&c->out[0], name);
	double away = 0;

	for (int r = 1; r < RG_RUNS; r++) {
		double d = fabs(ev_env_find(&c->out[r], name)->v[i] - x->v[i]);

		away = d <= away ? away : isnan(d) ? INFINITY : d;
	}
	return away;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double rc_typical(const struct rc_case *c, const char *name)
{
	const struct ev_value *x = ev_env_find(&c->out[0], name);
	double *all = malloc(((size_t)x->elems + 1) * sizeof(*all)), median;

	if (!all || !x->elems) {
		free(all);
		return 0;
	}
	for (int64_t i = 0; i < x->elems; i++)
		all[i] = deviation(c, name, i);
	qsort(all, (size_t)x->elems, sizeof(*all), ascending);
	median = all[x->elems / 2];
	free(all);
	return median;
}

double rc_tolerance(const struct rc_case *c, const char *name, int64_t i, double typical)
{
	const struct ev_value *x = ev_env_find(&c->out[0], name);
	double away = deviation(c, name, i), v = fabs(x->v[i]);

	if (!ev_is_float(x->type))
		return away ? INFINITY : 0;
	/* A jump is a decision that rounding makes. */
	if (away > 1e-2 * (v + 1) && ev_epsilon(x->type) < 1e-4)
		return INFINITY;
	/* What nothing disturbed must be there to the bit. */
	if (!away && !typical)
		return 0;
	/* Functions are good to a few units of the last place, of 1 where they cancel. */
	return 16 * away + 6 * typical + 6 * ev_epsilon(x->type) * v + 6 * ev_epsilon(EV_F32);
}

/* ---- Files ---- */

static int write_file(const char *path, const void *data, size_t bytes)
{
	FILE *f = fopen(path, "wb");
	size_t done = f ? fwrite(data, 1, bytes, f) : 0;

	if (f && fclose(f))
		return -1;
	return done == bytes ? 0 : -1;
}

static int write_tensor(const char *path, const char *name, const struct ev_value *x)
{
	size_t bytes = (size_t)x->elems * ev_type_bytes(x->type), size;
	Onnx__TensorProto p = ONNX__TENSOR_PROTO__INIT;
	int64_t dims[REF_MAX_RANK];
	uint8_t *raw = malloc(bytes + 1), *packed = NULL;
	int ret = -1;

	if (raw) {
		ev_to_bytes(x, raw);
		memcpy(dims, x->dims, sizeof(dims));
		p.name = (char *)(uintptr_t)name;
		p.has_data_type = 1;
		p.data_type = x->type;
		p.n_dims = (size_t)x->rank;
		p.dims = dims;
		p.has_raw_data = 1;
		p.raw_data.data = raw;
		p.raw_data.len = bytes;
		size = onnx__tensor_proto__get_packed_size(&p);
		packed = malloc(size + 1);
		if (packed) {
			onnx__tensor_proto__pack(&p, packed);
			ret = write_file(path, packed, size);
		}
	}
	free(packed);
	free(raw);
	return ret;
}

static int save_model(const struct rc_case *c, const char *path)
{
	size_t bytes = onnx__model_proto__get_packed_size(c->model);
	uint8_t *data = malloc(bytes + 1);
	int ret = -1;

	if (data) {
		onnx__model_proto__pack(c->model, data);
		ret = write_file(path, data, bytes);
	}
	free(data);
	return ret;
}

int rc_save(const struct rc_case *c, const char *dir)
{
	const Onnx__GraphProto *graph = c->model->graph;
	char path[1200];
	int ret;

	mkdir(dir, 0777);
	snprintf(path, sizeof(path), "%s/test_data_set_0", dir);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/model.onnx", dir);
	ret = save_model(c, path);
	for (size_t i = 0; i < graph->n_input && !ret; i++) {
		const char *name = graph->input[i]->name;

		snprintf(path, sizeof(path), "%s/test_data_set_0/input_%zu.pb", dir, i);
		ret = write_tensor(path, name, ev_env_find(&c->in, name));
	}
	for (size_t i = 0; i < graph->n_output && !ret; i++) {
		const char *name = graph->output[i]->name;
		const struct ev_value *x = ev_env_find(&c->out[0], name);

		snprintf(path, sizeof(path), "%s/test_data_set_0/output_%zu.pb", dir, i);
		/* A model that is not legal has no results. */
		ret = x ? write_tensor(path, name, x) : 0;
	}
	return ret;
}
