/* SPDX-License-Identifier: MIT */
/* What the sub-commands share; see tool.h. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "npu_check.h"
#include "tool.h"

int tool_fail(const char *fmt, ...)
{
	va_list args;

	fputs("npu: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return TOOL_FAILED;
}

int tool_fail_npu(void)
{
	return tool_fail("%s", npu_error());
}

int tool_usage(const char *command, const char *fmt, ...)
{
	va_list args;

	fputs("npu: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	if (command)
		fprintf(stderr, "; see npu %s --help\n", command);
	else
		fputs("; see npu --help\n", stderr);
	return TOOL_USAGE;
}

int tool_bad_option(const char *command, char **argv, int result)
{
	const char *word = argv[optind - 1];

	if (result == ':')
		return tool_usage(command, "%s: %s needs a value", command, word);
	return tool_usage(command, "%s: there is no option %s", command, word);
}

bool tool_parse_u32(const char *text, uint32_t *number)
{
	char *end;
	unsigned long long parsed;

	errno = 0;
	parsed = strtoull(text, &end, 0);
	if (errno || end == text || *end || strchr(text, '-') || parsed > UINT32_MAX)
		return false;
	*number = (uint32_t)parsed;
	return true;
}

bool tool_parse_double(const char *text, double *number)
{
	char *end;

	*number = strtod(text, &end);
	return end != text && !*end && isfinite(*number) && *number >= 0;
}

bool tool_same_file(const char *a, const char *b)
{
	struct stat x;
	struct stat y;

	return !stat(a, &x) && !stat(b, &y) && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

const char *tool_type_name(unsigned int type)
{
	const char *name = npu_dtype_name(type);

	return name ? name : "unknown";
}

static const char *list(unsigned int rank, const int64_t *number)
{
	static char text[NPU_RANK_MAX * 22 + 3];
	int used = snprintf(text, sizeof(text), "[");

	for (unsigned int i = 0; i < rank; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%" PRId64,
				 i ? ", " : "", number[i]);
	snprintf(text + used, sizeof(text) - (size_t)used, "]");
	return text;
}

const char *tool_shape(const struct npu_tensor_info *info)
{
	return list(info->rank, info->dim);
}

const char *tool_index(const struct npu_tensor_info *info, uint64_t at)
{
	int64_t index[NPU_RANK_MAX];

	for (unsigned int i = info->rank; i-- > 0;) {
		uint64_t dim = (uint64_t)info->dim[i];

		index[i] = (int64_t)(at % dim);
		at /= dim;
	}
	return list(info->rank, index);
}

void tool_print_name(const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c < 0x20 || c == 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

void tool_print_caps(uint64_t caps)
{
	static const char *const name[] = {
		"fp32", "int8", "bf16", "cast", "wgrad", "unpool", "gather", "scatter-add", "rng",
		"trace", "strict", "slice", "trap",
	};
	const char *between = "";

	for (unsigned int i = 0; i < 64; i++) {
		if (!(caps >> i & 1))
			continue;
		if (i < sizeof(name) / sizeof(name[0]))
			printf("%s%s", between, name[i]);
		else
			printf("%sbit-%u", between, i);
		between = " ";
	}
}
