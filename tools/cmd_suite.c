/* SPDX-License-Identifier: MIT */
/* npu suite: tests in the layout of ONNX's backend tests, all in this process. */
#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "suite.h"
#include "tool.h"

/**
 * struct options - what was asked for
 * @spec: device, or NULL
 * @filter: names of tests
 * @exclude: file, or NULL
 * @known: file, or NULL
 * @csv: file, or NULL
 * @table: file, or NULL
 * @rtol: relative tolerance
 * @atol: absolute tolerance
 * @tap: print TAP
 * @brief: only lines of tests that need attention
 */
struct options {
	const char *spec;
	const char *filter;
	const char *exclude;
	const char *known;
	const char *csv;
	const char *table;
	double rtol;
	double atol;
	bool tap;
	bool brief;
};

/* What a test that brings the process down is called; for the signal handler. */
static char volatile running[256];

static void print_help(void)
{
	puts("usage: npu suite DIR... [OPTION...]\n\n"
	     "Runs every test in DIR and below: a folder with model.onnx, and test_data_set_N\n"
	     "with input_I.pb and output_I.pb. A line a test: pass; FAIL with the worst\n"
	     "element; unsupported with the compiler's reason.\n\n"
	     "  --device SPEC          see npu --help\n"
	     "  --filter GLOB          only tests with such a name\n"
	     "  --rtol R, --atol A     an element may differ by A + R |expected| (1e-3, 1e-7);\n"
	     "                         integers and bools may not\n"
	     "  --exclude FILE         tests that do not count: lines NAME REASON. They are run\n"
	     "                         all the same: one that passes, or does not exist, fails\n"
	     "  --unsupported FILE     the same for tests that cannot work yet; any other one\n"
	     "                         that is unsupported fails then\n"
	     "  --brief                no lines of tests that need no attention\n"
	     "  --tap                  TAP instead\n"
	     "  --csv FILE             all results with the device's counters\n"
	     "  --table FILE           a table by operator, in Markdown\n\n"
	     "Status 0: no test failed; 1: one failed, or a list is stale; 2: called wrongly.");
}

/* ---- Running ---- */

static void report_crash(int number)
{
	static const char text[] = "\nnpu: suite: crashed in ";
	char name[sizeof(running) + 1];
	size_t length = 0;

	while (length < sizeof(running) && running[length]) {
		name[length] = running[length];
		length++;
	}
	name[length++] = '\n';
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
	    write(STDERR_FILENO, name, length) < 0)
		_exit(128 + number);
	signal(number, SIG_DFL);
	raise(number);
}

static void watch_crashes(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], report_crash);
}

static void note_running(const char *name)
{
	size_t i = 0;

	for (; i < sizeof(running) - 1 && name[i]; i++)
		running[i] = name[i];
	running[i] = '\0';
}

static int run_tests(struct suite *suite, struct npu_device *dev, const struct options *o)
{
	int status = TOOL_OK;

	watch_crashes();
	if (o->tap)
		printf("1..%zu\n", suite->tests + 1);
	for (size_t i = 0; i < suite->tests; i++) {
		struct suite_test *test = &suite->test[i];
		bool bad;

		note_running(test->name);
		suite_run(test, dev, o->rtol, o->atol);
		bad = suite_is_bad(test, o->known);
		if (bad)
			status = TOOL_FAILED;
		if (bad || !o->brief || o->tap)
			suite_print_test(test, o->known, o->tap ? i + 1 : 0);
		fflush(stdout);
	}
	return status;
}

/* ---- Lists ---- */

/* Entries that name no test, of those the filter lets through. */
static int check_seen(const struct suite_list *list, const char *filter)
{
	int status = TOOL_OK;

	for (size_t i = 0; i < list->entries; i++)
		if (!list->entry[i].seen && !fnmatch(filter, list->entry[i].name, 0))
			status = tool_fail("%s: names %s, which is no test", list->path,
					   list->entry[i].name);
	return status;
}

static int apply_lists(struct suite *suite, struct suite_list *exclude, struct suite_list *known,
		       const struct options *o)
{
	if ((o->exclude && suite_list_read(exclude, o->exclude)) ||
	    (o->known && suite_list_read(known, o->known)))
		return TOOL_FAILED;
	for (size_t i = 0; i < suite->tests; i++) {
		struct suite_test *test = &suite->test[i];

		test->excluded = suite_list_find(exclude, test->name);
		test->known = suite_list_find(known, test->name);
		if (test->excluded && test->known)
			return tool_fail("%s: names %s, which %s excludes", o->known, test->name,
					 o->exclude);
	}
	return TOOL_OK;
}

/* All tests, and whether the lists are true; then what there is to say of them together. */
static int run_and_judge(struct suite *suite, struct npu_device *dev, struct suite_list *exclude,
			 struct suite_list *known, const struct options *o)
{
	int status = run_tests(suite, dev, o);
	int stale = check_seen(exclude, o->filter) | check_seen(known, o->filter);

	if (o->tap)
		printf("%s %zu the lists name tests that exist\n", stale ? "not ok" : "ok",
		       suite->tests + 1);
	status |= stale;
	suite_print_summary(suite);
	if (o->csv)
		status |= suite_write_csv(suite, o->csv);
	if (o->table)
		status |= suite_write_table(suite, o->table);
	return status;
}

static int run_suite(char **dir, int dirs, const struct options *o)
{
	struct suite_list exclude = { .path = NULL };
	struct suite_list known = { .path = NULL };
	struct suite suite = { .tests = 0 };
	struct npu_device *dev = NULL;
	int status = TOOL_OK;

	for (int i = 0; !status && i < dirs; i++)
		status = suite_find(&suite, dir[i], o->filter);
	if (!status && !suite.tests)
		status = tool_fail("suite: there is no test called %s in %s", o->filter, dir[0]);
	if (!status) {
		suite_sort(&suite);
		status = apply_lists(&suite, &exclude, &known, o);
	}
	if (!status) {
		dev = npu_device_open(o->spec);
		status = dev ? run_and_judge(&suite, dev, &exclude, &known, o) : tool_fail_npu();
	}
	npu_device_close(dev);
	suite_list_free(&exclude);
	suite_list_free(&known);
	suite_free(&suite);
	return status;
}

/* ---- Options ---- */

static int parse_option(struct options *o, int c)
{
	switch (c) {
	case 'd':
		o->spec = optarg;
		return TOOL_OK;
	case 'f':
		o->filter = optarg;
		return TOOL_OK;
	case 'x':
		o->exclude = optarg;
		return TOOL_OK;
	case 'u':
		o->known = optarg;
		return TOOL_OK;
	case 'c':
		o->csv = optarg;
		return TOOL_OK;
	case 't':
		o->table = optarg;
		return TOOL_OK;
	case 'b':
		o->brief = true;
		return TOOL_OK;
	case 'T':
		o->tap = true;
		return TOOL_OK;
	default:
		if (!tool_parse_double(optarg, c == 'r' ? &o->rtol : &o->atol))
			return tool_usage("suite", "suite: tolerance %s is not a number", optarg);
		return TOOL_OK;
	}
}

int cmd_suite(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "filter", required_argument, NULL, 'f' },
		{ "rtol", required_argument, NULL, 'r' },
		{ "atol", required_argument, NULL, 'a' },
		{ "exclude", required_argument, NULL, 'x' },
		{ "unsupported", required_argument, NULL, 'u' },
		{ "brief", no_argument, NULL, 'b' },
		{ "tap", no_argument, NULL, 'T' },
		{ "csv", required_argument, NULL, 'c' },
		{ "table", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { .filter = "*", .rtol = 1e-3, .atol = 1e-7 };
	int c;

	while ((c = getopt_long(argc, argv, ":d:f:h", options, NULL)) != -1) {
		int status;

		if (c == '?' || c == ':')
			return tool_bad_option("suite", argv, c);
		if (c == 'h') {
			print_help();
			return TOOL_OK;
		}
		status = parse_option(&o, c);
		if (status)
			return status;
	}
	if (optind == argc)
		return tool_usage("suite", "suite: a directory with tests is needed");
	return run_suite(argv + optind, argc - optind, &o);
}
