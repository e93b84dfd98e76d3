/* SPDX-License-Identifier: MIT */
/*
 * Random graphs on the in-process device, judged by the oracle. A graph that
 * fails is made smaller as long as it still does and written as a test that
 * `npu suite` runs.
 *
 *	random [COUNT [SEED [ELEMS [OPS]]]]
 *
 * COUNT: without it, what NPU_RANDOM_COUNT says, or 20,000. ELEMS: the most elements
 * of a tensor, 0 for several sizes. OPS: names of operators with commas between;
 * all without. NPU_RANDOM_OUT is the folder of what fails (the current one),
 * NPU_RANDOM_FAILURES how many of these end the run (10), NPU_RANDOM_SHRINK how
 * many seconds each may take to become small (120).
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rand_case.h"

#define REASONS		64

/**
 * struct tally - what came of all graphs; in memory that processes share
 * @seed: of the graph that is running
 * @device: it runs on
 * @count: by verdict, graphs times devices
 * @reason: of those that are not supported
 */
struct tally {
	uint64_t seed, graphs, nodes, empty, loose, judged;
	int device;
	uint64_t count[RC_VERDICTS];
	struct {
		char text[RC_TEXT];
		uint64_t count;
	} reason[REASONS];
	char why[RC_TEXT];
	enum rc_verdict verdict;
};

static const char *const verdict_name[RC_VERDICTS] = {
	[RC_PASS] = "passed", [RC_UNSUPPORTED] = "unsupported", [RC_VAGUE] = "vague",
	[RC_REFUSED] = "refused though legal", [RC_UNSOUND] = "an unsound program",
	[RC_BROKEN] = "did not run", [RC_WRONG] = "wrong results", [RC_CRASH] = "crashed",
};

static struct rc_device devices[] = {
	{ .spec = "sim,threads=1" },
	{ .spec = "sim,threads=1,array_rows=8,array_cols=8,spm_bytes=128K,acc_bytes=16K" },
};

#define DEVICES	(int)(sizeof(devices) / sizeof(devices[0]))

static struct tally *tally;
static char folder[64];
static const char *only;
static int64_t elems_given;

/* Most are small; some fill the small device's scratchpad, few are beyond it. */
static int64_t elems_of(uint64_t seed)
{
	static const int64_t about[] = { 60, 300, 300, 1000, 1000, 4000, 4000, 40000 };

	return elems_given ? elems_given : about[seed * 0x9e3779b97f4a7c15ull >> 61];
}

static void count_reason(const char *why)
{
	char text[RC_TEXT];

	rc_kind(RC_UNSUPPORTED, why, text);
	for (int i = 0; i < REASONS; i++) {
		if (tally->reason[i].count && strcmp(tally->reason[i].text, text))
			continue;
		strcpy(tally->reason[i].text, text);
		tally->reason[i].count++;
		return;
	}
}

/* True if nothing went wrong. */
static bool run_seed(uint64_t seed)
{
	struct rg *g = rg_create(seed, elems_of(seed), only);
	struct rc_case *c = g ? rc_from_graph(g) : NULL;
	char why[RC_TEXT] = "";
	bool good = true;

	tally->seed = seed;
	tally->graphs++;
	if (!c || rc_evaluate(c, why)) {
		tally->empty++;
	} else {
		tally->nodes += c->model->graph->n_node;
		for (int d = 0; d < DEVICES && good; d++) {
			enum rc_verdict v;

			tally->device = d;
			rc_limit(true);
			v = rc_run(c, &devices[d], folder, &tally->loose, &tally->judged, why);
			rc_limit(false);
			tally->count[v]++;
			if (v == RC_UNSUPPORTED)
				count_reason(why);
			else if (v != RC_PASS)
				good = false;
			tally->verdict = v;
		}
		if (!good)
			memcpy(tally->why, why, sizeof(why));
	}
	rc_destroy(c);
	if (g)
		rg_destroy(g);
	return good;
}

/* Graphs [from, to) in a process of their own; the first that fails, or @to. */
static uint64_t run_seeds(uint64_t from, uint64_t to)
{
	pid_t pid;
	int status;

	tally->seed = from;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		for (uint64_t s = from; s < to; s++)
			if (!run_seed(s))
				_exit(1);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return to;
	if (!WIFEXITED(status)) {
		tally->verdict = RC_CRASH;
		tally->count[RC_CRASH]++;
		snprintf(tally->why, sizeof(tally->why), "signal %d", WTERMSIG(status));
	}
	return tally->seed;
}

static void print_nodes(const char *what, const struct rc_case *c)
{
	printf("\t%s:", what);
	for (size_t i = 0; i < c->model->graph->n_node; i++) {
		const Onnx__NodeProto *n = c->model->graph->node[i];
		const struct ev_value *x = ev_env_find(&c->out[0], n->output[0]);

		printf(" %s[", n->op_type);
		for (int k = 0; x && k < x->rank; k++)
			printf("%s%lld", k ? "," : "", (long long)x->dims[k]);
		putchar(']');
	}
	putchar('\n');
}

static uint64_t number_of(const char *variable, uint64_t unset)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 0) : unset;
}

static void report_failure(uint64_t seed)
{
	struct rc_judge j = { .verdict = tally->verdict, .device = &devices[tally->device],
			      .folder = folder };
	const char *out = getenv("NPU_RANDOM_OUT");
	struct rg *g = rg_create(seed, elems_of(seed), only);
	struct rc_case *c = g ? rc_from_graph(g) : NULL;
	char why[RC_TEXT], dir[1000];

	snprintf(why, sizeof(why), "%s", tally->why);
	rc_kind(j.verdict, why, j.kind);
	j.end = time(NULL) + (time_t)number_of("NPU_RANDOM_SHRINK", 120);
	printf("seed %llu, device %s: %s: %s\n", (unsigned long long)seed, j.device->spec,
	       verdict_name[j.verdict], why);
	printf("\tagain by: random 1 %llu %lld%s%s\n", (unsigned long long)seed,
	       (long long)elems_given, only ? " " : "", only ? only : "");
	if (!c || rc_evaluate(c, why)) {
		printf("\tcannot be made again\n");
	} else {
		print_nodes("nodes", c);
		fflush(stdout);
		c = rc_shrink(c, &j);
		rc_try(c, &j, why);
		snprintf(dir, sizeof(dir), "%s/test_random_%llu", out ? out : ".",
			 (unsigned long long)seed);
		print_nodes("smallest", c);
		printf("\t%s\n", why);
		if (rc_save(c, dir))
			printf("\tcannot write %s\n", dir);
		else
			printf("\tnpu suite %s --device %s\n", dir, j.device->spec);
	}
	rc_destroy(c);
	if (g)
		rg_destroy(g);
}

static void report(uint64_t seed, uint64_t failed)
{
	printf("%llu graphs from seed %llu, %llu nodes:",
	       (unsigned long long)tally->graphs, (unsigned long long)seed,
	       (unsigned long long)tally->nodes);
	for (int v = 0; v < RC_VERDICTS; v++)
		if (tally->count[v])
			printf(" %llu %s,", (unsigned long long)tally->count[v], verdict_name[v]);
	printf(" %llu came to nothing; %llu elements judged, %llu left to rounding\n",
	       (unsigned long long)tally->empty, (unsigned long long)tally->judged,
	       (unsigned long long)tally->loose);
	for (int i = 0; i < REASONS && tally->reason[i].count; i++)
		printf("\t%llu unsupported: %s\n", (unsigned long long)tally->reason[i].count,
		       tally->reason[i].text);
	if (failed)
		printf("%llu failed\n", (unsigned long long)failed);
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) :
				    number_of("NPU_RANDOM_COUNT", 20000);
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) << 20;
	uint64_t most = number_of("NPU_RANDOM_FAILURES", 10), failed = 0;
	char command[100];

	elems_given = argc > 3 ? strtoll(argv[3], NULL, 0) : 0;
	only = argc > 4 ? argv[4] : NULL;
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(folder, sizeof(folder), "%.40s/npu-random-XXXXXX", tmp ? tmp : "/tmp");
	if (tally == MAP_FAILED || !mkdtemp(folder)) {
		perror("random");
		return 1;
	}
	printf("%llu graphs from seed %llu\n", (unsigned long long)count, (unsigned long long)seed);
	for (uint64_t s = seed; s < seed + count && failed < most; s++) {
		s = run_seeds(s, seed + count);
		if (s < seed + count) {
			failed++;
			report_failure(s);
		}
	}
	report(seed, failed);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command) || failed;
}
