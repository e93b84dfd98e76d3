/* SPDX-License-Identifier: MIT */
/* What a run of the suite came to: lines, summary, table, CSV. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "suite.h"
#include "tool.h"

#define TABLE_COLUMNS	6

/* Columns of the summary, beside the results of tests that no list names. */
enum tally_column {
	TALLY_PASSED,
	TALLY_FAILED,
	TALLY_UNSUPPORTED,
	TALLY_EXCLUDED,
	TALLY_COLUMNS,
};

static bool is_stale(const struct suite_test *test)
{
	return test->result == SUITE_PASS && (test->excluded || test->known);
}

bool suite_is_bad(const struct suite_test *test, bool strict)
{
	if (is_stale(test))
		return true;
	if (test->excluded || test->result == SUITE_PASS)
		return false;
	return test->result == SUITE_FAIL || (strict && !test->known);
}

static enum tally_column column_of(const struct suite_test *test)
{
	if (test->result == SUITE_PASS)
		return TALLY_PASSED;
	if (test->excluded)
		return TALLY_EXCLUDED;
	return test->result == SUITE_FAIL ? TALLY_FAILED : TALLY_UNSUPPORTED;
}

/* ---- Lines ---- */

static void print_reason(const struct suite_test *test)
{
	if (is_stale(test)) {
		printf("passes, but is listed as \"%s\": take it off the list",
		       test->excluded ? test->excluded->reason : test->known->reason);
		return;
	}
	if (test->excluded)
		printf("%s; ", test->excluded->reason);
	tool_print_name(test->reason ? test->reason : "out of memory");
}

void suite_print_test(const struct suite_test *test, bool strict, size_t number)
{
	static const char *const word[TALLY_COLUMNS] = {
		"pass", "FAIL", "unsupported", "excluded",
	};
	bool bad = suite_is_bad(test, strict);
	bool plain = test->result == SUITE_PASS && !bad;

	if (number)
		printf("%s %zu %s/%s", bad ? "not ok" : "ok", number, test->group, test->name);
	else
		printf("%-12s %s/%s", is_stale(test) ? "STALE" : word[column_of(test)],
		       test->group, test->name);
	if (!plain) {
		fputs(!number ? ": " : bad ? " # " : " # SKIP ", stdout);
		print_reason(test);
	}
	putchar('\n');
}

/* ---- Summary ---- */

void suite_add_counters(struct npu_counters *sum, const struct npu_counters *c)
{
	sum->jobs += c->jobs;
	sum->descriptors += c->descriptors;
	sum->macs += c->macs;
	sum->read_bytes += c->read_bytes;
	sum->write_bytes += c->write_bytes;
	sum->cycles += c->cycles;
	sum->faults += c->faults;
}

/* " (strings 3, random 2)": how many are excluded for which reason. */
static void print_reasons(const struct suite *suite)
{
	const char *between = " (";

	for (size_t i = 0; i < suite->tests; i++) {
		const struct suite_entry *entry = suite->test[i].excluded;
		size_t count = 0;
		bool first = true;

		for (size_t k = 0; entry && k < suite->tests; k++) {
			const struct suite_entry *other = suite->test[k].excluded;

			if (!other || strcmp(other->reason, entry->reason) ||
			    suite->test[k].result == SUITE_PASS)
				continue;
			if (k < i)
				first = false;
			count++;
		}
		if (!count || !first || suite->test[i].result == SUITE_PASS)
			continue;
		printf("%s%s %zu", between, entry->reason, count);
		between = ", ";
	}
	if (*between == ',')
		putchar(')');
}

void suite_print_summary(const struct suite *suite)
{
	size_t count[TALLY_COLUMNS] = { 0 };
	struct npu_counters sum = { 0 };
	double ms = 0;

	for (size_t i = 0; i < suite->tests; i++) {
		count[column_of(&suite->test[i])]++;
		suite_add_counters(&sum, &suite->test[i].counters);
		ms += suite->test[i].ms;
	}
	printf("# suite     %zu passed, %zu failed, %zu unsupported, %zu excluded",
	       count[TALLY_PASSED], count[TALLY_FAILED], count[TALLY_UNSUPPORTED],
	       count[TALLY_EXCLUDED]);
	print_reasons(suite);
	printf("; %.1f s\n", ms / 1e3);
	printf("# counters  %" PRIu64 " jobs, %" PRIu64 " descriptors, %" PRIu64
	       " multiply-accumulates, %" PRIu64 " faults\n", sum.jobs, sum.descriptors, sum.macs,
	       sum.faults);
	printf("#           %" PRIu64 " bytes read, %" PRIu64 " bytes written, %" PRIu64
	       " cycles modelled\n", sum.read_bytes, sum.write_bytes, sum.cycles);
}

/* ---- Files ---- */

/* Close a file that was written; 0 or TOOL_FAILED. */
static int finish(FILE *out, const char *path)
{
	bool good = !ferror(out);

	if (fclose(out) || !good)
		return tool_fail("%s: cannot be written: %s", path, strerror(errno));
	return TOOL_OK;
}

static FILE *start(const char *path)
{
	FILE *out = fopen(path, "we");

	if (!out)
		tool_fail("%s: cannot be written: %s", path, strerror(errno));
	return out;
}

/* A row: tests with one operator go by it, others by their group. */
struct row {
	const char *name;
	bool is_op;
	size_t count[TALLY_COLUMNS];
};

static int compare_rows(const void *a, const void *b)
{
	const struct row *one = a;
	const struct row *other = b;

	if (one->is_op != other->is_op)
		return one->is_op ? -1 : 1;
	return strcmp(one->name, other->name);
}

/* As many rows as there are tests at most; malloc()ed. */
static struct row *count_rows(const struct suite *suite, size_t *rows)
{
	struct row *row = calloc(suite->tests + 1, sizeof(*row));

	*rows = 0;
	for (size_t i = 0; row && i < suite->tests; i++) {
		const struct suite_test *test = &suite->test[i];
		const char *name = *test->op ? test->op : test->group;
		size_t k = 0;

		while (k < *rows && (row[k].is_op != !!*test->op || strcmp(row[k].name, name)))
			k++;
		if (k == *rows)
			row[(*rows)++] = (struct row){ .name = name, .is_op = !!*test->op };
		row[k].count[column_of(test)]++;
	}
	if (row)
		qsort(row, *rows, sizeof(*row), compare_rows);
	return row;
}

static size_t counted(const struct row *row)
{
	return row->count[TALLY_PASSED] + row->count[TALLY_FAILED] +
	       row->count[TALLY_UNSUPPORTED];
}

static void write_cells(FILE *out, const struct row *row, size_t rows, bool ops)
{
	size_t cells = 0;

	for (size_t i = 0; i < rows; i++) {
		if (row[i].is_op != ops || (ops && !row[i].count[TALLY_PASSED]) || !counted(&row[i]))
			continue;
		fprintf(out, "| %s %zu/%zu ", row[i].name, row[i].count[TALLY_PASSED],
			counted(&row[i]));
		if (++cells % TABLE_COLUMNS == 0)
			fputs("|\n", out);
	}
	while (cells % TABLE_COLUMNS)
		fputs(++cells % TABLE_COLUMNS ? "| " : "| |\n", out);
}

/* Operators that pass no test; nothing if there is none. */
static void write_missing(FILE *out, const struct row *row, size_t rows)
{
	const char *between = "\nNone passes of ";

	for (size_t i = 0; i < rows; i++) {
		if (!row[i].is_op || row[i].count[TALLY_PASSED] || !counted(&row[i]))
			continue;
		fprintf(out, "%s%s (%zu)", between, row[i].name, counted(&row[i]));
		between = ", ";
	}
	if (*between == ',')
		fputs(".\n", out);
}

static void write_head(FILE *out)
{
	for (int i = 0; i < TABLE_COLUMNS; i++)
		fputs("| ", out);
	fputs("|\n", out);
	for (int i = 0; i < TABLE_COLUMNS; i++)
		fputs("| --- ", out);
	fputs("|\n", out);
}

int suite_write_table(const struct suite *suite, const char *path)
{
	FILE *out = start(path);
	struct row *row;
	size_t rows;

	if (!out)
		return TOOL_FAILED;
	row = count_rows(suite, &rows);
	if (!row) {
		fclose(out);
		return tool_fail("suite: out of memory");
	}
	fputs("Tests of a single operator, passed of all that are not excluded:\n\n", out);
	write_head(out);
	write_cells(out, row, rows, true);
	write_missing(out, row, rows);
	fputs("\nTests of several operators, by group:\n\n", out);
	write_head(out);
	write_cells(out, row, rows, false);
	free(row);
	return finish(out, path);
}

int suite_write_csv(const struct suite *suite, const char *path)
{
	static const char *const word[TALLY_COLUMNS] = {
		"pass", "fail", "unsupported", "excluded",
	};
	FILE *out = start(path);

	if (!out)
		return TOOL_FAILED;
	fputs("group,test,operator,result,reason,sets,ms,jobs,descriptors,macs,read_bytes,"
	      "write_bytes,cycles,message\n", out);
	for (size_t i = 0; i < suite->tests; i++) {
		const struct suite_test *t = &suite->test[i];
		const struct npu_counters *c = &t->counters;
		const struct suite_entry *entry = t->excluded ? t->excluded : t->known;

		fprintf(out, "%s,%s,%s,%s,%s,%u,%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
			",%" PRIu64 ",%" PRIu64 ",\"", t->group, t->name, t->op, word[column_of(t)],
			entry ? entry->reason : "", t->sets, t->ms, c->jobs, c->descriptors, c->macs,
			c->read_bytes, c->write_bytes, c->cycles);
		for (const char *p = t->reason ? t->reason : ""; *p; p++)
			fputs(*p == '"' ? "\"\"" : (char[]){ *p, '\0' }, out);
		fputs("\"\n", out);
	}
	return finish(out, path);
}
