/* SPDX-License-Identifier: MIT */
/* A CSV row for each step, also of runs that go on; see train_log.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "npu.h"
#include "tool.h"
#include "train_log.h"

static int fail_log(const struct train_log *log)
{
	return tool_fail("%s: cannot be written: %s", log->path, strerror(errno));
}

/* Whether @text is the whole row of @step. */
static bool is_row(const char *text, size_t length, uint64_t step)
{
	char *end;

	return length && text[length - 1] == '\n' && *text >= '0' && *text <= '9' &&
	       strtoull(text, &end, 10) == step && *end == ',';
}

/* Read past @header and @steps rows; the bytes of these, or -1 after a message. */
static off_t skip(const struct train_log *log, const char *header, uint64_t steps,
		  void (*row)(void *ctx, const char *text), void *ctx)
{
	char *text = NULL;
	size_t room = 0;
	uint64_t step = 0;
	ssize_t length = getline(&text, &room, log->f);
	off_t bytes = length;

	if (length < 0 || strcmp(text, header)) {
		tool_fail("%s: is not of this network and its options; give another file, or begin anew without --resume",
			  log->path);
		free(text);
		return -1;
	}
	for (; step < steps; step++) {
		length = getline(&text, &room, log->f);
		if (length < 0 || !is_row(text, (size_t)length, step))
			break;
		bytes += length;
		if (row)
			row(ctx, text);
	}
	free(text);
	if (step == steps)
		return bytes;
	tool_fail("%s: ends after %" PRIu64 " steps, but the checkpoint is of step %" PRIu64 "; give another file, or begin anew without --resume",
		  log->path, step, steps);
	return -1;
}

static int go_on(struct train_log *log, const char *header, uint64_t steps,
		 void (*row)(void *ctx, const char *text), void *ctx)
{
	off_t bytes;

	log->f = fopen(log->path, "r+e");
	if (!log->f)
		return tool_fail("%s: %s; it must have the steps before the checkpoint, or begin anew without --resume",
				 log->path, strerror(errno));
	bytes = skip(log, header, steps, row, ctx);
	if (bytes < 0)
		return TOOL_FAILED;
	if (ftruncate(fileno(log->f), bytes) || fseeko(log->f, bytes, SEEK_SET))
		return fail_log(log);
	return TOOL_OK;
}

int train_log_open(struct train_log *log, const char *header, uint64_t steps,
		   void (*row)(void *ctx, const char *text), void *ctx)
{
	if (!log->path)
		return TOOL_OK;
	if (steps)
		return go_on(log, header, steps, row, ctx);
	log->f = fopen(log->path, "we");
	if (!log->f || fputs(header, log->f) < 0 || fflush(log->f))
		return fail_log(log);
	return TOOL_OK;
}

int train_log_end_row(struct train_log *log)
{
	char error[512];

	fputc('\n', log->f);
	if (!fflush(log->f) && !ferror(log->f))
		return 0;
	snprintf(error, sizeof(error), "%s: cannot be written: %s", log->path, strerror(errno));
	return npu_set_error(errno ? -errno : -EIO, error);
}

int train_log_close(struct train_log *log)
{
	int err = log->f ? fclose(log->f) : 0;

	log->f = NULL;
	return err ? fail_log(log) : TOOL_OK;
}

void train_log_print_name(FILE *f, const char *name)
{
	if (!strpbrk(name, ",\"\r\n")) {
		fputs(name, f);
		return;
	}
	fputc('"', f);
	for (; *name; name++) {
		if (*name == '"')
			fputc('"', f);
		/* A row is a line. */
		fputc(*name == '\n' || *name == '\r' ? ' ' : *name, f);
	}
	fputc('"', f);
}

bool train_curve_add(struct train_curve *c, double loss, double accuracy)
{
	if (c->points == c->room) {
		uint64_t room = c->room ? 2 * c->room : 1024;
		struct train_point *point = realloc(c->point, room * sizeof(*point));

		if (!point)
			return false;
		c->point = point;
		c->room = room;
	}
	c->point[c->points++] = (struct train_point){ .loss = loss, .accuracy = accuracy };
	return true;
}
