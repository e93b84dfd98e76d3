/* SPDX-License-Identifier: MIT */
/* The message of the last failure, one per thread. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "internal.h"

#define MESSAGE_BYTES	512

static _Thread_local char message[MESSAGE_BYTES];

const char *npu_error(void)
{
	return message;
}

const char *npu_version(void)
{
	return NPU_LIBRARY_VERSION;
}

static void format(int err, const char *fmt, va_list args)
{
	char text[MESSAGE_BYTES];

	/* Not in place: an argument may be the message itself. */
	vsnprintf(text, sizeof(text), fmt, args);
	/* Names come from files: a message stays one line. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	memcpy(message, text, sizeof(text));
	errno = -err;
}

int npu_fail(int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	format(err, fmt, args);
	va_end(args);
	return err;
}

void *npu_fail_null(int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	format(err, fmt, args);
	va_end(args);
	return NULL;
}

int npu_set_error(int err, const char *text)
{
	return npu_fail(err, "%s", text);
}

int npu_fail_memory(const char *what)
{
	return npu_fail(-ENOMEM, "%s: out of memory", what);
}
