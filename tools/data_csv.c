/* SPDX-License-Identifier: MIT */
/* Data sets of text: a sample a line, numbers between commas, the last one is the label. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "data.h"

/**
 * struct csv - a file being read
 * @at: the rest of it, which ends with a 0
 * @line: number of the line, from 1
 * @columns: of each line
 * @room: samples that there is memory for
 */
struct csv {
	struct data *d;
	char *at;
	uint64_t line;
	uint64_t columns;
	uint64_t room;
	char *error;
};

#define complain(c, ...)	data_fail((c)->error, (c)->d->x_path, __VA_ARGS__)

/* Line feeds, carriage returns before them; the end of the text ends a line as well. */
static char *next_line(struct csv *c)
{
	char *line = c->at, *end = strchr(line, '\n');

	if (!*line)
		return NULL;
	c->at = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	else
		end = c->at;
	if (end > line && end[-1] == '\r')
		end[-1] = '\0';
	c->line++;
	return line;
}

/* The number at *@text, and whether a comma follows; false if it is none. */
static bool take_number(char **text, double *value, bool *more)
{
	char *end;

	*text += strspn(*text, " \t");
	*value = strtod(*text, &end);
	if (end == *text)
		return false;
	end += strspn(end, " \t");
	*more = *end == ',';
	*text = end + *more;
	return *more || !*end;
}

/* A line of which no column is a number has the names of columns. */
static bool is_header(char *line)
{
	bool more = true, any = false;

	while (more && !any) {
		char *comma = strchr(line, ','), *at = line;
		double value;

		any = take_number(&at, &value, &more);
		more = comma;
		line = comma ? comma + 1 : line;
	}
	return !any;
}

static bool grow(struct csv *c)
{
	struct data *d = c->d;
	uint64_t room = c->room ? 2 * c->room : 1024;
	void *x, *label;

	if (d->set.samples < c->room)
		return true;
	x = realloc(d->x, room * d->x_bytes);
	if (x)
		d->x = x;
	label = x ? realloc(d->label, room * d->label_bytes) : NULL;
	if (!label)
		return complain(c, "out of memory");
	d->label = label;
	c->room = room;
	return true;
}

static bool store_label(struct csv *c, double value)
{
	struct data *d = c->d;
	char where[32];

	snprintf(where, sizeof(where), "line %" PRIu64, c->line);
	if (!data_label_fits(&d->want, d->x_path, where, value, c->error))
		return false;
	if (data_has_classes(&d->want) && value != floor(value))
		return complain(c, "%s: label %g is no whole number; the last column must be the class",
				where, value);
	if (data_has_classes(&d->want))
		((int32_t *)d->label)[d->set.samples] = (int32_t)value;
	else
		((float *)d->label)[d->set.samples] = (float)value;
	return true;
}

static bool take_line(struct csv *c, char *line)
{
	struct data *d = c->d;
	float *x = (float *)d->x + d->set.samples * (c->columns - 1);
	uint64_t column = 0;
	bool more = true;
	double value;

	for (; more; column++) {
		if (!take_number(&line, &value, &more))
			return complain(c, "line %" PRIu64 ": column %" PRIu64 " is no number: \"%.20s\"",
					c->line, column + 1, line);
		if (column >= c->columns)
			continue;
		if (!isfinite(value) || (column + 1 < c->columns && !isfinite((float)value)))
			return complain(c, "line %" PRIu64 ": column %" PRIu64 " is %g; remove or repair the sample",
					c->line, column + 1, value);
		if (column + 1 < c->columns)
			x[column] = (float)value;
	}
	if (column != c->columns)
		return complain(c, "line %" PRIu64 ": has %" PRIu64 " columns; the model takes %" PRIu64 " (\"%.100s\"), and one is the label",
				c->line, column, c->columns - 1, d->want.input.name);
	if (!store_label(c, value))
		return false;
	d->set.samples++;
	return true;
}

static bool check_model(struct csv *c)
{
	const struct data_want *want = &c->d->want;
	struct npu_tensor_info label = data_label_info(want);

	if (want->input.type != NPU_TYPE_F32)
		return complain(c, "input \"%.100s\" is not of f32; use npy:X,Y", want->input.name);
	if (data_elems(&label) != 1)
		return complain(c, "the loss needs %" PRIu64 " labels for a sample, a line has one; use npy:X,Y%s",
				data_elems(&label),
				want->loss == NPU_LOSS_CATEGORICAL_CROSSENTROPY ?
				", or --loss sparse_categorical_crossentropy" : "");
	return true;
}

static bool take_text(struct csv *c)
{
	char *line;

	while ((line = next_line(c))) {
		if (!line[strspn(line, " \t")] || (c->line == 1 && is_header(line)))
			continue;
		if (!grow(c) || !take_line(c, line))
			return false;
	}
	return c->d->set.samples || complain(c, "has no samples; at least one line of numbers is needed");
}

bool data_csv_open(struct data *d, char *error)
{
	struct csv c = { .d = d, .error = error, .columns = data_elems(&d->want.input) + 1 };
	size_t bytes;
	uint8_t *all;
	char *text;
	bool good;

	if (!check_model(&c))
		return false;
	all = data_read_all(d->x_path, &bytes, error);
	if (!all)
		return false;
	text = realloc(all, bytes + 1);
	if (!text) {
		free(all);
		return complain(&c, "out of memory");
	}
	text[bytes] = '\0';
	c.at = text;
	if (memchr(text, '\0', bytes))
		good = complain(&c, "is no text; numbers with commas between them are needed");
	else
		good = take_text(&c);
	free(text);
	return good;
}
