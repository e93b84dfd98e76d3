/* SPDX-License-Identifier: MIT */
/*
 * The npu command: what its sub-commands share. A sub-command gets its own
 * argv (argv[0] is its name) and returns the exit status: 0 done, 1 failed,
 * 2 called wrongly. Errors are one line on stderr, "npu: what: why".
 */
#ifndef NPU_TOOL_H
#define NPU_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include "npu.h"

enum tool_status {
	TOOL_OK = 0,
	TOOL_FAILED = 1,
	TOOL_USAGE = 2,
};

/**
 * struct tool_command - a sub-command
 * @name: as typed
 * @summary: one line for npu --help
 * @run: see the top of this file
 */
struct tool_command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

int cmd_info(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_suite(int argc, char **argv);
int cmd_dis(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);

/* Print "npu: ..." on stderr; returns TOOL_FAILED. */
int tool_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same with the library's message. */
int tool_fail_npu(void);
/* Print "npu: ..." and where help is; returns TOOL_USAGE. */
int tool_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* After getopt_long() returned '?' or ':'. */
int tool_bad_option(const char *command, char **argv, int result);

/* Whole numbers and decimals; false unless all of @text is one in range. */
bool tool_parse_u32(const char *text, uint32_t *number);
bool tool_parse_double(const char *text, double *number);

/* Whether both are names of one regular file. */
bool tool_same_file(const char *a, const char *b);

/* "f32", "i64", ... */
const char *tool_type_name(unsigned int type);
/* "[2, 3]" in a static buffer. */
const char *tool_shape(const struct npu_tensor_info *info);
/* Where element @at of the tensor is, "[0, 7]", in a static buffer. */
const char *tool_index(const struct npu_tensor_info *info, uint64_t at);
/* Print text from a file so that it cannot do anything to a terminal. */
void tool_print_name(const char *name);
/* The names of NPU_CAP_* bits, separated by blanks. */
void tool_print_caps(uint64_t caps);

#endif
