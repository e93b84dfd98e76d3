/* SPDX-License-Identifier: MIT */
/*
 * docs/hardware.md against the code: every table row that states a code, an
 * offset or a cost has its counterpart in isa/, and the reverse.
 * Arguments: hardware.md npu_regs.h
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "npu_check.h"

#define CELLS_MAX	8
#define ROWS_MAX	512
#define CELL_BYTES	160

/**
 * struct row - a row of a table, or one that the code asks for
 * @table: heads of its columns, joined by '|'
 * @cell: text
 * @line: in hardware.md
 * @found: the code knows it
 */
struct row {
	char table[CELL_BYTES];
	char cell[CELLS_MAX][CELL_BYTES];
	unsigned int line;
	bool found;
};

static const char *doc_path;
static const char *regs_path;
static struct row rows[ROWS_MAX];
static unsigned int row_count;

/* Cells of "| a | b |", trimmed. Returns their number. */
static unsigned int split(const char *line, char cell[CELLS_MAX][CELL_BYTES])
{
	unsigned int count = 0;

	memset(cell, 0, CELLS_MAX * (size_t)CELL_BYTES);
	while (*line == '|' && line[1] && line[1] != '\n') {
		size_t length = strcspn(++line, "|\n");
		const char *next = line + length;

		while (length && *line == ' ') {
			line++;
			length--;
		}
		while (length && line[length - 1] == ' ')
			length--;
		assert_true(count < CELLS_MAX);
		snprintf(cell[count++], CELL_BYTES, "%.*s", (int)length, line);
		line = next;
	}
	return count;
}

static void join(char table[CELL_BYTES], char cell[CELLS_MAX][CELL_BYTES], unsigned int count)
{
	size_t length = 0;

	for (unsigned int i = 0; i < count; i++) {
		assert_true(length + strlen(cell[i]) + 2 <= CELL_BYTES);
		strcpy(table + length, cell[i]);
		length += strlen(cell[i]);
		strcpy(table + length++, "|");
	}
}

static int read_tables(void **state)
{
	FILE *f = fopen(doc_path, "r");
	char line[1024], table[CELL_BYTES] = "";
	unsigned int number = 0;

	(void)state;
	if (!f) {
		print_error("cannot read %s\n", doc_path);
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		char cell[CELLS_MAX][CELL_BYTES];
		unsigned int count = split(line, cell);

		number++;
		if (!count) {
			table[0] = 0;
		} else if (!table[0]) {
			join(table, cell, count);
		} else if (strncmp(cell[0], "---", 3)) {
			struct row *r = &rows[row_count++];

			assert_true(row_count < ROWS_MAX);
			strcpy(r->table, table);
			memcpy(r->cell, cell, sizeof(cell));
			r->line = number;
		}
	}
	fclose(f);
	return 0;
}

static bool same_nocase(const char *a, const char *b)
{
	while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

/* The row of @table whose first two cells are these: a number in any base, a name. */
static struct row *find_row(const char *table, uint64_t code, const char *name)
{
	for (unsigned int i = 0; i < row_count; i++) {
		struct row *r = &rows[i];
		char *end;

		if (!strcmp(r->table, table) && strtoull(r->cell[0], &end, 0) == code && !*end &&
		    same_nocase(r->cell[1], name)) {
			r->found = true;
			return r;
		}
	}
	fail_msg("%s: table %s lacks a row for %s (0x%llx)", doc_path, table, name,
		 (unsigned long long)code);
	return NULL;
}

static void expect_cell(const struct row *r, unsigned int column, const char *text)
{
	if (strcmp(r->cell[column], text))
		fail_msg("%s:%u: %s: '%s' should be '%s'", doc_path, r->line, r->cell[1],
			 r->cell[column], text);
}

static void expect_number(const struct row *r, unsigned int column, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	expect_cell(r, column, text);
}

/* Every row of @table has been asked for, and there are some. */
static void expect_no_others(const char *table)
{
	bool any = false;

	for (unsigned int i = 0; i < row_count; i++) {
		if (strcmp(rows[i].table, table))
			continue;
		any = true;
		if (!rows[i].found)
			fail_msg("%s:%u: the code has no %s %s", doc_path, rows[i].line,
				 rows[i].cell[0], rows[i].cell[1]);
	}
	assert_true(any);
}

static void test_instructions(void **state)
{
	static const char table[] = "opcode|name|engine|struct|bytes|capability|";
	struct row *r;

	(void)state;
#define NPU_OP(name, code, engine, body, cap)					\
	r = find_row(table, code, #name);					\
	expect_cell(r, 1, #name);						\
	expect_cell(r, 2, #engine);						\
	expect_cell(r, 3, #body);						\
	if (code != NPU_OP_MAP)							\
		expect_number(r, 4, sizeof(struct npu_desc_##body));		\
	expect_cell(r, 5, #cap);
#include "npu_ops.h.inc"
	expect_no_others(table);
	r = find_row(table, NPU_OP_MAP, "MAP");
	assert_int_equal(strtoul(r->cell[4], NULL, 10), sizeof(struct npu_desc_map));
}

static void test_micro_ops(void **state)
{
	static const char table[] = "code|name|sources|cost|capability|effect|";
	struct row *r;

	(void)state;
#define NPU_UOP(name, code, nsrc, cost, cap)					\
	r = find_row(table, code, #name);					\
	expect_cell(r, 1, #name);						\
	expect_number(r, 2, nsrc);						\
	expect_number(r, 3, cost);						\
	expect_cell(r, 4, #cap);
#include "npu_ops.h.inc"
	expect_no_others(table);
}

static void test_reductions(void **state)
{
	static const char table[] = "code|name|lane starts as|combine x|empty lane (LANES_OUT)|";

	(void)state;
#define NPU_ROP(name, code) find_row(table, code, #name);
#include "npu_ops.h.inc"
	expect_no_others(table);
}

static void test_engines(void **state)
{
	static const char table[] = "code|engine|does|";

	(void)state;
	for (unsigned int i = 0; i < NPU_ENGINES; i++)
		find_row(table, i, npu_engine_name(i));
	expect_no_others(table);
}

static void test_types(void **state)
{
	static const char table[] = "code|dtype|bytes|where|";

	(void)state;
	for (unsigned int i = 0; i < NPU_DTYPES; i++)
		expect_number(find_row(table, i, npu_dtype_name(i)), 2, npu_dtype_bytes(i));
	expect_no_others(table);
}

static void test_faults(void **state)
{
	static const char table[] = "code|name|cause|";

	(void)state;
	for (unsigned int i = 1; i < NPU_FAULT_CODES; i++)
		expect_cell(find_row(table, i, npu_fault_name(i)), 1, npu_fault_name(i));
	expect_no_others(table);
}

static void test_states(void **state)
{
	static const char table[] = "code|state|meaning|leaves to|";

	(void)state;
	find_row(table, NPU_QUEUE_STATE_DISABLED, "DISABLED");
	find_row(table, NPU_QUEUE_STATE_IDLE, "IDLE");
	find_row(table, NPU_QUEUE_STATE_RUNNABLE, "RUNNABLE");
	find_row(table, NPU_QUEUE_STATE_RUNNING, "RUNNING");
	find_row(table, NPU_QUEUE_STATE_STOPPING, "STOPPING");
	find_row(table, NPU_QUEUE_STATE_STOPPED, "STOPPED");
	find_row(table, NPU_QUEUE_STATE_FAULTED, "FAULTED");
	expect_no_others(table);
}

/* ---- npu_regs.h, read as text: its constants are no list ---- */

struct define {
	char name[64];
	char value[64];
};

/* The next "#define NAME value", without its comment. */
static bool next_define(FILE *f, struct define *d)
{
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "#define %63s %63[^\t\n/]", d->name, d->value) == 2)
			return true;
	}
	return false;
}

/* Offset, when the value is plain hexadecimal of @digits digits. */
static bool plain_hex(const char *value, unsigned int digits, unsigned long *number)
{
	char *end;

	if (strncmp(value, "0x", 2))
		return false;
	*number = strtoul(value, &end, 16);
	return end == value + 2 + digits && (!*end || isspace((unsigned char)*end));
}

static void test_registers(void **state)
{
	static const char table[] = "offset|name|access|reset|meaning|";
	FILE *f = fopen(regs_path, "r");
	unsigned int count = 0;
	struct define d;

	(void)state;
	assert_non_null(f);
	while (next_define(f, &d)) {
		unsigned long offset;

		if (!strncmp(d.name, "NPU_REG_", 8) && plain_hex(d.value, 3, &offset))
			find_row(table, offset, d.name + strlen("NPU_REG_"));
		else if (!strncmp(d.name, "NPU_QUEUE_", 10) && plain_hex(d.value, 2, &offset) &&
			 strcmp(d.name, "NPU_QUEUE_STRIDE"))
			find_row(table, offset, d.name + strlen("NPU_"));
		else
			continue;
		count++;
	}
	fclose(f);
	assert_true(count > 40);
	expect_no_others(table);
}

/* NPU_CAP_X and NPU_IRQ_X are single bits, the rest of those names are masks. */
static void test_bits(void **state)
{
	static const struct {
		const char *prefix;
		const char *table;
	} sets[] = {
		{ "NPU_CAP_", "bit|name|feature|" },
		{ "NPU_IRQ_", "bit|name|event|" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		FILE *f = fopen(regs_path, "r");
		size_t length = strlen(sets[i].prefix);
		struct define d;

		assert_non_null(f);
		while (next_define(f, &d)) {
			unsigned int bit;

			if (strncmp(d.name, sets[i].prefix, length))
				continue;
			if (sscanf(d.value, "(1u << %u)", &bit) == 1 ||
			    sscanf(d.value, "(1ull << %u)", &bit) == 1)
				find_row(sets[i].table, bit, d.name + length);
		}
		fclose(f);
		expect_no_others(sets[i].table);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instructions),
		cmocka_unit_test(test_micro_ops),
		cmocka_unit_test(test_reductions),
		cmocka_unit_test(test_engines),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_bits),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: %s hardware.md npu_regs.h\n", argv[0]);
		return 2;
	}
	doc_path = argv[1];
	regs_path = argv[2];
	return cmocka_run_group_tests(tests, read_tables, NULL);
}
