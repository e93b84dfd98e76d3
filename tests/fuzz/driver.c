/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target where there is no libFuzzer: every file of the corpus as it
 * is, then changed again and again. The same arguments give the same inputs.
 *
 *	fuzz_T [-runs=N] [-seed=N] [-only=N] FILE|DIR...
 *
 * An input that ends the program is kept as ./crash-T-RUN; -only=RUN repeats
 * just it.
 */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>

#define INPUT_BYTES_MAX		16384u
#define CHANGES_MAX		4
#define INPUT_S			120	/* nobody who waits that long waits for a result */

struct file {
	uint8_t *bytes;
	size_t size;
	char *name;
};

static struct file *files;
static size_t file_count;

/* What is being run, for save_input(). */
static const char *target;
static unsigned long run_number;
static uint8_t input[INPUT_BYTES_MAX];
static size_t input_size;

static void save_input(void)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "crash-%s-%lu", target, run_number);
	f = fopen(path, "wb");
	if (!f || fwrite(input, 1, input_size, f) != input_size || fclose(f))
		perror(path);
	else
		fprintf(stderr, "%s: run %lu ended it; the input is ./%s\n", target, run_number,
			path);
}

static void on_signal(int number)
{
	fprintf(stderr, "%s: signal %d, %s\n", target, number,
		number == SIGALRM ? "an input took too long" : "a claim is broken");
	save_input();
	_exit(1);
}

/* ---- The corpus ---- */

static void add_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	struct file *file;

	files = realloc(files, (file_count + 1) * sizeof(*files));
	file = files ? &files[file_count] : NULL;
	if (!f || !file || size > INPUT_BYTES_MAX) {
		fprintf(stderr, "%s: cannot be read, or too large\n", path);
		exit(2);
	}
	*file = (struct file){ .bytes = malloc(size + 1), .size = size, .name = strdup(path) };
	if (!file->bytes || !file->name || fread(file->bytes, 1, size, f) != size) {
		perror(path);
		exit(2);
	}
	fclose(f);
	file_count++;
}

static void add(const char *path)
{
	struct dirent **entry;
	struct stat st;
	int count;

	if (stat(path, &st)) {
		perror(path);
		exit(2);
	}
	if (!S_ISDIR(st.st_mode)) {
		add_file(path, (size_t)st.st_size);
		return;
	}
	/* In order, so that a seed means the same everywhere. */
	count = scandir(path, &entry, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char *inner = malloc(strlen(path) + strlen(entry[i]->d_name) + 2);

		if (!inner)
			exit(2);
		sprintf(inner, "%s/%s", path, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.')
			add(inner);
		free(inner);
		free(entry[i]);
	}
	if (count >= 0)
		free(entry);
}

/* ---- Runs ---- */

static struct fuzz_random byte_random;

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	struct fuzz_random *r = &byte_random;
	size_t at = fuzz_below(r, size);
	size_t count = 1 + fuzz_below(r, 8);
	uint64_t value = fuzz_number(r);

	switch (fuzz_below(r, 5)) {
	case 0:	/* insert */
		if (size + count > max_size)
			break;
		memmove(data + at + count, data + at, size - at);
		memcpy(data + at, &value, count);
		return size + count;
	case 1:	/* drop */
		if (count > size - at)
			break;
		memmove(data + at, data + at + count, size - at - count);
		return size - count;
	case 2:	/* flip */
		if (size)
			data[at] ^= (uint8_t)(1u << fuzz_below(r, 8));
		return size;
	case 3:	/* cut */
		if (!fuzz_below(r, 8))
			return at;
		break;
	default:
		break;
	}
	if (count <= size - at)
		memcpy(data + at, &value, count);
	else if (size < max_size)
		data[size++] = (uint8_t)value;
	return size;
}

static void try(unsigned long number)
{
	run_number = number;
	alarm(INPUT_S);
	/* A copy of its own size, so that reading beyond it shows. */
	uint8_t *exact = malloc(input_size ? input_size : 1);

	if (!exact)
		exit(2);
	memcpy(exact, input, input_size);
	LLVMFuzzerTestOneInput(exact, input_size);
	free(exact);
	alarm(0);
}

static void try_changed(unsigned long number, uint64_t seed)
{
	struct fuzz_random r = { .state = seed ^ number * 0xd1342543de82ef95ull };
	const struct file *from = &files[fuzz_below(&r, file_count)];

	byte_random.state = fuzz_bits(&r);
	memcpy(input, from->bytes, from->size);
	input_size = from->size;
	for (size_t n = 1 + fuzz_below(&r, CHANGES_MAX); n; n--)
		input_size = LLVMFuzzerCustomMutator(input, input_size, sizeof(input),
						     (unsigned int)fuzz_bits(&r));
	try(number);
}

int main(int argc, char **argv)
{
	unsigned long runs = 0, only = 0, start;
	uint64_t seed = 1;

	target = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "-runs=", 6))
			runs = strtoul(argv[i] + 6, NULL, 10);
		else if (!strncmp(argv[i], "-seed=", 6))
			seed = strtoull(argv[i] + 6, NULL, 10);
		else if (!strncmp(argv[i], "-only=", 6))
			only = strtoul(argv[i] + 6, NULL, 10);
		else
			add(argv[i]);
	}
	if (!file_count) {
		fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [-only=N] FILE|DIR...\n", target);
		return 2;
	}
	signal(SIGALRM, on_signal);
	signal(SIGABRT, on_signal);
	__sanitizer_set_death_callback(save_input);
	for (start = 1; start <= file_count && !only; start++) {
		memcpy(input, files[start - 1].bytes, files[start - 1].size);
		input_size = files[start - 1].size;
		try(start);
	}
	start = only ? only : file_count + 1;
	for (unsigned long i = start; i <= (only ? only : runs); i++)
		try_changed(i, seed);
	printf("%s: %zu files, %lu runs, seed %llu\n", target, file_count,
	       runs > file_count ? runs : (unsigned long)file_count, (unsigned long long)seed);
	for (size_t i = 0; i < file_count; i++) {
		free(files[i].bytes);
		free(files[i].name);
	}
	free(files);
	return 0;
}
