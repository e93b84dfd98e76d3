/* SPDX-License-Identifier: MIT */
/*
 * What npu train leaves behind besides the network: a CSV row for each step, and a plot.
 * A row is in the file before the step's checkpoint is: so a run that goes on from a
 * checkpoint finds all rows before it, cuts off those after it, and the file becomes what
 * it would have been without an interruption.
 */
#ifndef NPU_TRAIN_LOG_H
#define NPU_TRAIN_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/**
 * struct train_log - a CSV file; each row starts with the number of a step, from 0
 * @path: NULL: there is none, and nothing is written
 * @f: open
 */
struct train_log {
	const char *path;
	FILE *f;
};

/**
 * struct train_curve - loss and accuracy of each step
 * @has_accuracy: else @accuracy is 0
 * @point: of step @first and those after it
 */
struct train_curve {
	bool has_accuracy;
	uint64_t first, points, room;
	struct train_point {
		double loss, accuracy;
	} *point;
};

/*
 * Begin the file with @header (which ends the line), or go on behind the row of the last of
 * @steps. @row, which may be NULL, sees the rows that stay. TOOL_OK or TOOL_FAILED.
 */
int train_log_open(struct train_log *log, const char *header, uint64_t steps,
		   void (*row)(void *ctx, const char *text), void *ctx);
/* End a row that has been written to @f; 0, or -errno with a message by npu_set_error(). */
int train_log_end_row(struct train_log *log);
int train_log_close(struct train_log *log);
/* A name as a field. */
void train_log_print_name(FILE *f, const char *name);

/* False without memory. */
bool train_curve_add(struct train_curve *c, double loss, double accuracy);
/* Write an SVG plot, whole or not at all; TOOL_OK or TOOL_FAILED. */
int train_plot_write(const char *path, const struct train_curve *c);

#endif
