/* SPDX-License-Identifier: MIT */
/* A model with inputs and the results it must have; running it on devices. */
#ifndef RAND_CASE_H
#define RAND_CASE_H

#include <time.h>

#include "ev.h"
#include "npu.h"
#include "npu_graph.h"
#include "rand.h"

#define RC_TEXT		400

/* What a model came to on a device. */
enum rc_verdict {
	RC_PASS,
	RC_UNSUPPORTED,	/* the compiler says so */
	RC_VAGUE,	/* the oracle finds it illegal, or has nothing certain to say */
	RC_REFUSED,	/* it does not compile, though it is legal */
	RC_UNSOUND,	/* the verifier finds a race, or a read of what nobody wrote */
	RC_BROKEN,	/* it does not load, start or end well */
	RC_WRONG,	/* other results */
	RC_CRASH,	/* the process dies, or does not come to an end */
	RC_VERDICTS,
};

/**
 * struct rc_case - a model, inputs, results
 * @model: unpacked, owned
 * @in: values of the inputs; their names are the model's
 * @out: all values, without noise and with it
 */
struct rc_case {
	Onnx__ModelProto *model;
	struct ev_env in;
	struct ev_env out[RG_RUNS];
};

/**
 * struct rc_device - a device to run on
 * @spec: as npu_device_open() takes it
 * @dev: open, or NULL
 */
struct rc_device {
	const char *spec;
	struct npu_device *dev;
	struct npu_target target;
};

/* ---- rand_case.c ---- */

/* Takes a copy of a model; the inputs are empty. NULL without memory. */
struct rc_case *rc_create(const Onnx__ModelProto *model);
struct rc_case *rc_from_graph(const struct rg *g);
void rc_destroy(struct rc_case *c);
/* Evaluate the model; 0, or an error and why. Done before it is run. */
int rc_evaluate(struct rc_case *c, char why[RC_TEXT]);
/* How far element @i of the result @name may be off; infinite where rounding decides. */
double rc_tolerance(const struct rc_case *c, const char *name, int64_t i, double typical);
/* What errors of rounding are like in @name: the median. */
double rc_typical(const struct rc_case *c, const char *name);
/* Write it as a test of ONNX's backend suite: folder @dir is made. 0 or -1. */
int rc_save(const struct rc_case *c, const char *dir);

/* ---- rand_device.c ---- */

/* @loose: results that rounding decides; added to. */
enum rc_verdict rc_run(const struct rc_case *c, struct rc_device *d, const char *folder,
		       uint64_t *loose, uint64_t *judged, char why[RC_TEXT]);

/* ---- rand_shrink.c ---- */

/**
 * struct rc_judge - what a smaller model must still do
 * @verdict: what the whole one came to
 * @kind: and why, as rc_kind() has it
 * @device: where
 * @folder: for files
 * @end: when it is small enough, of time()
 * @keep: nodes that nobody takes have a part in it
 */
struct rc_judge {
	enum rc_verdict verdict;
	char kind[RC_TEXT];
	struct rc_device *device;
	const char *folder;
	time_t end;
	bool keep;
};

/* @why without what differs from graph to graph: names, numbers, shapes. */
void rc_kind(enum rc_verdict verdict, const char *why, char kind[RC_TEXT]);

/* End the process should a graph never end: by its own time, or waiting. */
void rc_limit(bool on);
/* Run in a process of its own: a crash is a verdict. */
enum rc_verdict rc_try(const struct rc_case *c, const struct rc_judge *j, char why[RC_TEXT]);
/* Smaller and smaller models that fail as @c does; @c is taken over. */
struct rc_case *rc_shrink(struct rc_case *c, const struct rc_judge *j);

#endif
