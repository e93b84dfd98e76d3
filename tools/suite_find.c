/* SPDX-License-Identifier: MIT */
/* Which tests there are, and lists of tests. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "suite.h"
#include "tool.h"

#define DEPTH_MAX	16
#define LIST_BYTES_MAX	(16 << 20)

static int no_memory(void)
{
	return tool_fail("suite: out of memory");
}

/* ---- Tests ---- */

static int add_test(struct suite *suite, const char *dir)
{
	struct suite_test *test;
	char *slash;

	if (suite->tests == suite->room) {
		size_t room = suite->room * 2 + 64;

		test = realloc(suite->test, room * sizeof(*test));
		if (!test)
			return no_memory();
		suite->test = test;
		suite->room = room;
	}
	test = &suite->test[suite->tests];
	*test = (struct suite_test){ .dir = strdup(dir), .group = strdup(dir) };
	suite->tests++;
	if (!test->dir || !test->group)
		return no_memory();
	slash = strrchr(test->dir, '/');
	test->name = slash ? slash + 1 : test->dir;
	slash = strrchr(test->group, '/');
	if (slash)
		*slash = '\0';
	slash = slash ? strrchr(test->group, '/') : NULL;
	if (slash)
		memmove(test->group, slash + 1, strlen(slash));
	return TOOL_OK;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int find_below(struct suite *suite, const char *dir, const char *filter, unsigned int depth)
{
	DIR *open_dir = opendir(dir);
	struct dirent *entry;
	int status = TOOL_OK;

	if (!open_dir)
		return tool_fail("%s: %s", dir, strerror(errno));
	while (!status && (entry = readdir(open_dir))) {
		char path[4096];
		struct stat st;
		int used = snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);

		if (used >= (int)sizeof(path))
			status = tool_fail("%s: the path is too long", dir);
		else if (!strcmp(entry->d_name, "model.onnx"))
			status = fnmatch(filter, last_part(dir), 0) ? TOOL_OK :
								      add_test(suite, dir);
		else if (entry->d_name[0] != '.' && depth < DEPTH_MAX && !lstat(path, &st) &&
			 S_ISDIR(st.st_mode))
			status = find_below(suite, path, filter, depth + 1);
	}
	closedir(open_dir);
	return status;
}

int suite_find(struct suite *suite, const char *dir, const char *filter)
{
	char trimmed[4096];
	size_t length = strlen(dir);

	while (length > 1 && dir[length - 1] == '/')
		length--;
	if (!length || length >= sizeof(trimmed))
		return tool_fail("%s: not a path", dir);
	memcpy(trimmed, dir, length);
	trimmed[length] = '\0';
	return find_below(suite, trimmed, filter, 0);
}

static int compare_tests(const void *a, const void *b)
{
	return strcmp(((const struct suite_test *)a)->dir, ((const struct suite_test *)b)->dir);
}

void suite_sort(struct suite *suite)
{
	if (suite->tests)
		qsort(suite->test, suite->tests, sizeof(*suite->test), compare_tests);
}

void suite_free(struct suite *suite)
{
	for (size_t i = 0; i < suite->tests; i++) {
		free(suite->test[i].dir);
		free(suite->test[i].group);
		free(suite->test[i].reason);
	}
	free(suite->test);
}

/* ---- Lists ---- */

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file ? malloc(LIST_BYTES_MAX) : NULL;
	size_t bytes = text ? fread(text, 1, LIST_BYTES_MAX - 1, file) : 0;

	if (!text || ferror(file)) {
		tool_fail("%s: %s", path, strerror(errno));
		free(text);
		text = NULL;
	} else if (strnlen(text, bytes) < bytes || bytes == LIST_BYTES_MAX - 1) {
		tool_fail("%s: not a list of tests", path);
		free(text);
		text = NULL;
	} else {
		text[bytes] = '\0';
	}
	if (file)
		fclose(file);
	return text;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct suite_entry *)a)->name,
		      ((const struct suite_entry *)b)->name);
}

static int add_line(struct suite_list *list, char *line, unsigned int number)
{
	struct suite_entry *longer;
	char *save = NULL;
	char *name;
	char *reason;

	line[strcspn(line, "#")] = '\0';
	name = strtok_r(line, " \t\r", &save);
	reason = strtok_r(NULL, " \t\r", &save);
	if (!name)
		return TOOL_OK;
	if (!reason || strtok_r(NULL, " \t\r", &save))
		return tool_fail("%s:%u: wants \"NAME REASON\", the reason as one word", list->path,
				 number);
	longer = realloc(list->entry, (list->entries + 1) * sizeof(*longer));
	if (!longer)
		return no_memory();
	list->entry = longer;
	longer[list->entries++] = (struct suite_entry){ .name = name, .reason = reason };
	return TOOL_OK;
}

int suite_list_read(struct suite_list *list, const char *path)
{
	unsigned int number = 0;
	char *next;

	*list = (struct suite_list){ .path = path, .text = read_text(path) };
	if (!list->text)
		return TOOL_FAILED;
	for (char *line = list->text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (add_line(list, line, ++number))
			return TOOL_FAILED;
	}
	if (list->entries)
		qsort(list->entry, list->entries, sizeof(*list->entry), compare_entries);
	for (size_t i = 1; i < list->entries; i++)
		if (!strcmp(list->entry[i - 1].name, list->entry[i].name))
			return tool_fail("%s: names %s twice", path, list->entry[i].name);
	return TOOL_OK;
}

struct suite_entry *suite_list_find(struct suite_list *list, const char *name)
{
	struct suite_entry key = { .name = name };
	struct suite_entry *found = NULL;

	if (list->entries)
		found = bsearch(&key, list->entry, list->entries, sizeof(key), compare_entries);
	if (found)
		found->seen = true;
	return found;
}

void suite_list_free(struct suite_list *list)
{
	free(list->entry);
	free(list->text);
}
