/* SPDX-License-Identifier: MIT */
/* A model through importer, compiler, verifier, loader and device. */
#include "rand_case.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back.h"

static const struct {
	int type;
	enum npu_graph_dtype graph;
	enum npu_dtype_public device;
} types[] = {
	{ EV_F32, NPU_GRAPH_F32, NPU_TYPE_F32 }, { EV_I32, NPU_GRAPH_I32, NPU_TYPE_I32 },
	{ EV_I64, NPU_GRAPH_I64, NPU_TYPE_I64 }, { EV_BOOL, NPU_GRAPH_BOOL, NPU_TYPE_BOOL },
	{ EV_I8, NPU_GRAPH_I8, NPU_TYPE_I8 }, { EV_U8, NPU_GRAPH_U8, NPU_TYPE_U8 },
	{ EV_I16, NPU_GRAPH_I16, NPU_TYPE_I16 }, { EV_F16, NPU_GRAPH_F16, NPU_TYPE_F16 },
	{ EV_BF16, NPU_GRAPH_BF16, NPU_TYPE_BF16 },
};

#define TYPES	(sizeof(types) / sizeof(types[0]))

static enum npu_graph_dtype graph_type(int type)
{
	for (size_t i = 0; i < TYPES; i++)
		if (types[i].type == type)
			return types[i].graph;
	return NPU_GRAPH_F32;
}

static int type_of(enum npu_dtype_public device)
{
	for (size_t i = 0; i < TYPES; i++)
		if (types[i].device == device)
			return types[i].type;
	return 0;
}

/* An error of the compiler: one of those that say "not yet", or not. */
static enum rc_verdict refusal(const char *message, int err, char why[RC_TEXT])
{
	snprintf(why, RC_TEXT, "%s", message);
	return err == ENOTSUP ? RC_UNSUPPORTED : RC_REFUSED;
}

static struct npu_graph *read_model(const struct rc_case *c, const char *path,
				    enum rc_verdict *verdict, char why[RC_TEXT])
{
	struct npu_graph_given given[OB_MAX] = { { .name = NULL } };
	char error[RC_TEXT] = "";
	struct npu_graph *g;
	unsigned int n = 0;

	for (size_t i = 0; i < c->in.count && n < OB_MAX; i++) {
		const struct ev_value *x = &c->in.value[i];
		void *data = malloc((size_t)x->elems * ev_type_bytes(x->type) + 1);

		if (!data)
			abort();
		ev_to_bytes(x, data);
		given[n] = (struct npu_graph_given){
			.name = c->in.name[i], .dtype = graph_type(x->type),
			.rank = (unsigned int)x->rank, .data = data,
		};
		memcpy(given[n++].dim, x->dims, sizeof(x->dims));
	}
	errno = 0;
	g = npu_graph_read_onnx_given(path, NULL, given, n, error, sizeof(error));
	if (!g)
		*verdict = refusal(strstr(error, ".onnx: ") ? strstr(error, ".onnx: ") + 7 : error,
				   errno, why);
	while (n)
		free((void *)(uintptr_t)given[--n].data);
	return g;
}

static bool set_inputs(const struct rc_case *c, struct npu_model *m, struct npu_session *s)
{
	for (unsigned int i = 0; i < npu_model_inputs(m); i++) {
		struct npu_tensor_info info;
		const struct ev_value *x;
		void *to;

		npu_model_input_info(m, i, &info);
		x = ev_env_find(&c->in, info.name);
		if (!x || type_of(info.type) != x->type ||
		    info.bytes != (uint64_t)x->elems * ev_type_bytes(x->type))
			return false;
		to = npu_session_map_input(s, i);
		if (to)
			ev_to_bytes(x, to);
		else if (info.bytes)
			return false;
	}
	return true;
}

/* Compare output @info with the oracle's; false and why. */
static bool compare(const struct rc_case *c, const struct npu_tensor_info *info, const void *data,
		    uint64_t *loose, uint64_t *judged, char why[RC_TEXT])
{
	const struct ev_value *want = ev_env_find(&c->out[0], info->name);
	int type = type_of(info->type);
	struct ev_value got;
	double typical;
	bool good = true;

	if (!want || type != want->type || (int)info->rank != want->rank ||
	    memcmp(info->dim, want->dims, info->rank * sizeof(*info->dim))) {
		snprintf(why, RC_TEXT, "\"%s\" has another shape or type (%s)", info->name,
			 ev_type_name(type));
		return false;
	}
	if (ev_alloc(&got, type, want->rank, want->dims))
		abort();
	ev_from_bytes(&got, data);
	typical = rc_typical(c, info->name);
	*judged += (uint64_t)want->elems;
	for (int64_t i = 0; i < want->elems && good; i++) {
		double most = rc_tolerance(c, info->name, i, typical);

		*loose += isinf(most);
		/* Values are rounded once more on their way out. */
		most += fabs(want->v[i] - ev_round(type, want->v[i]));
		if (fabs(got.v[i] - want->v[i]) <= most)
			continue;
		snprintf(why, RC_TEXT, "\"%s\" (%s) element %lld is %.9g, expected %.9g within %.3g",
			 info->name, ev_type_name(type), (long long)i, got.v[i], want->v[i], most);
		good = isinf(most);
	}
	ev_free(&got);
	return good;
}

static enum rc_verdict run_session(const struct rc_case *c, struct npu_model *m,
				   uint64_t *loose, uint64_t *judged, char why[RC_TEXT])
{
	struct npu_session *s = npu_session_create(m);
	enum rc_verdict v = RC_BROKEN;
	bool good = true;

	if (!s || !set_inputs(c, m, s) || npu_session_run(s)) {
		snprintf(why, RC_TEXT, "%s", *npu_error() ? npu_error() : "an input does not fit");
		good = false;
	}
	if (good && npu_model_outputs(m) != c->model->graph->n_output) {
		snprintf(why, RC_TEXT, "the program has %u outputs", npu_model_outputs(m));
		good = false;
	}
	v = good ? RC_PASS : RC_BROKEN;
	for (unsigned int i = 0; v == RC_PASS && i < npu_model_outputs(m); i++) {
		struct npu_tensor_info info;

		npu_model_output_info(m, i, &info);
		if (!compare(c, &info, npu_session_map_output(s, i), loose, judged, why))
			v = RC_WRONG;
	}
	npu_session_destroy(s);
	return v;
}

static bool open_device(struct rc_device *d, char why[RC_TEXT])
{
	if (!d->dev)
		d->dev = npu_device_open(d->spec);
	if (d->dev && !npu_device_get_target(d->dev, &d->target))
		return true;
	snprintf(why, RC_TEXT, "cannot open it: %s", npu_error());
	return false;
}

static enum rc_verdict run_image(const struct rc_case *c, struct rc_device *d, const void *image,
				 size_t bytes, uint64_t *loose, uint64_t *judged,
				 char why[RC_TEXT])
{
	struct npu_program *prog = NULL;
	struct npu_model *m = NULL;
	struct nc_diag diag = { "" };
	enum rc_verdict v = RC_BROKEN;

	if (nc_verify_image(image, bytes, &diag)) {
		snprintf(why, RC_TEXT, "%s", diag.text);
		return RC_UNSOUND;
	}
	prog = npu_program_from_image(image, bytes);
	if (prog)
		m = npu_model_from_program(d->dev, prog);
	if (m)
		v = run_session(c, m, loose, judged, why);
	else
		snprintf(why, RC_TEXT, "%s", npu_error());
	npu_model_close(m);
	npu_program_close(prog);
	return v;
}

enum rc_verdict rc_run(const struct rc_case *c, struct rc_device *d, const char *folder,
		       uint64_t *loose, uint64_t *judged, char why[RC_TEXT])
{
	enum rc_verdict v = RC_BROKEN;
	struct npu_graph *g;
	void *image = NULL;
	char path[1200];
	size_t bytes;

	*why = 0;
	if (!open_device(d, why))
		return RC_BROKEN;
	snprintf(path, sizeof(path), "%s/case", folder);
	errno = 0;
	if (rc_save(c, path)) {
		snprintf(why, RC_TEXT, "cannot write files in %s: %s", folder, strerror(errno));
		return RC_BROKEN;
	}
	strcat(path, "/model.onnx");
	g = read_model(c, path, &v, why);
	if (!g)
		return v;
	errno = -npu_graph_compile(g, &d->target, NULL, NULL, &image, &bytes);
	if (errno)
		v = refusal(npu_graph_error(g), errno, why);
	npu_graph_destroy(g);
	if (image)
		v = run_image(c, d, image, bytes, loose, judged, why);
	free(image);
	return v;
}
