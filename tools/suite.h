/* SPDX-License-Identifier: MIT */
/*
 * npu suite: a test is a folder in the layout of ONNX's backend tests:
 * model.onnx, and test_data_set_N with input_I.pb and output_I.pb.
 */
#ifndef NPU_SUITE_H
#define NPU_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "npu.h"

/* What a test came to. */
enum suite_result {
	SUITE_PASS,
	SUITE_FAIL,		/* wrong, or it broke where it must not */
	SUITE_UNSUPPORTED,	/* the compiler refused it, with a reason */
	SUITE_RESULTS,
};

/**
 * struct suite_entry - a test that a list names
 * @name: of the test
 * @reason: one word
 * @seen: there is such a test
 */
struct suite_entry {
	const char *name;
	const char *reason;
	bool seen;
};

/**
 * struct suite_list - tests with a reason each: lines "NAME REASON", "#" starts a comment
 * @path: the file
 * @text: its content, which the entries point into
 * @entry: sorted by name
 * @entries: how many
 */
struct suite_list {
	const char *path;
	char *text;
	struct suite_entry *entry;
	size_t entries;
};

/**
 * struct suite_test - a test and what came of it
 * @dir: its folder
 * @name: last part of @dir
 * @group: the part before, points into @dir's copy
 * @op: its operator, if it has just one; ""
 * @excluded: entry of the exclusions, or NULL
 * @known: entry of what is known not to be supported yet, or NULL
 * @result: what it came to
 * @reason: why, if it did not pass; malloc()ed
 * @sets: data sets that passed
 * @ms: wall time, compilation included
 * @counters: of the device, for this test
 */
struct suite_test {
	char *dir;
	const char *name;
	char *group;
	char op[64];
	const struct suite_entry *excluded;
	const struct suite_entry *known;
	enum suite_result result;
	char *reason;
	unsigned int sets;
	double ms;
	struct npu_counters counters;
};

/**
 * struct suite - all tests of a run
 * @test: sorted by folder
 * @tests: how many
 * @room: of @test
 */
struct suite {
	struct suite_test *test;
	size_t tests;
	size_t room;
};

/* ---- suite_find.c ---- */

/* Add the tests in @dir and below; 0 or TOOL_FAILED. */
int suite_find(struct suite *suite, const char *dir, const char *filter);
void suite_sort(struct suite *suite);
void suite_free(struct suite *suite);
/* 0 or TOOL_FAILED after a message. @list is to be freed in both cases. */
int suite_list_read(struct suite_list *list, const char *path);
/* NULL: not there; it is marked as seen. */
struct suite_entry *suite_list_find(struct suite_list *list, const char *name);
void suite_list_free(struct suite_list *list);

/* ---- suite_case.c ---- */

/* Run @test with the tolerances; all memory is freed but its result. */
void suite_run(struct suite_test *test, struct npu_device *dev, double rtol, double atol);

/* ---- suite_report.c ---- */

/* Whether @test makes the run fail; @strict: what is unsupported must be known. */
bool suite_is_bad(const struct suite_test *test, bool strict);
/* A line, or one of TAP with @number > 0. */
void suite_print_test(const struct suite_test *test, bool strict, size_t number);
void suite_add_counters(struct npu_counters *sum, const struct npu_counters *c);
void suite_print_summary(const struct suite *suite);
/* A table by operator, in Markdown; a line a test. 0 or TOOL_FAILED. */
int suite_write_table(const struct suite *suite, const char *path);
int suite_write_csv(const struct suite *suite, const char *path);

#endif
