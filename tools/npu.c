/* SPDX-License-Identifier: MIT */
/* npu: one command for everything around the device; this file picks the sub-command. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "tool.h"

static const struct tool_command commands[] = {
	{ "info", "what a device is", cmd_info },
	{ "run", "run a model on files, check its outputs", cmd_run },
	{ "suite", "run a folder of tests in ONNX's layout", cmd_suite },
	{ "dis", "print a program as text", cmd_dis },
	{ "train", "train a network on a data set", cmd_train },
	{ "evaluate", "judge a network by a data set", cmd_evaluate },
};

#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static int print_help(void)
{
	puts("usage: npu COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	puts("\n"
	     "npu COMMAND --help tells about a command. Devices are named as in\n"
	     "  --device /dev/accel/accel0    a device behind npu.ko (default: the first one)\n"
	     "  --device sim                  the device core inside this process\n"
	     "  --device sim,array_rows=8,array_cols=8,spm_bytes=128K,variant=scalar,threads=1");
	return TOOL_OK;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	/* A file that may not grow is an error of write(), with a message. */
	signal(SIGXFSZ, SIG_IGN);
	if (!name)
		return tool_usage(NULL, "no command");
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		return print_help();
	if (!strcmp(name, "--version")) {
		printf("npu %s\n", npu_version());
		return TOOL_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		int status;

		if (strcmp(name, commands[i].name))
			continue;
		status = commands[i].run(argc - 1, argv + 1);
		if ((fflush(stdout) || ferror(stdout)) && status == TOOL_OK)
			status = tool_fail("standard output: cannot be written");
		return status;
	}
	return tool_usage(NULL, "there is no command \"%s\"", name);
}
