/* SPDX-License-Identifier: MIT */
/*
 * What is made and destroyed leaves nothing: memory of the process, open files,
 * mappings, memory of the device; after hundreds of rounds a forgotten piece shows.
 */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libnpu_rig.h"
#include "npu_graph.h"

#define ROUNDS		400
#define DEVICE_ROUNDS	60
#define ELEMS		1024
/* Less than one object of each round; malloc()'s caches and arenas move a little. */
#define SLACK_BYTES	8192
#define SLACK_FILES	4
#define SLACK_KIB	1536

struct usage {
	size_t bytes;
	unsigned int files;
	unsigned int mappings;
	size_t mapped_kib;
	unsigned long long device_bytes;
};

/* Lines like "drm-total-memory: 16 KiB", which the driver's files have. */
static unsigned long long count_device_bytes(const char *fd)
{
	unsigned long long number, sum = 0;
	char path[512], line[256], unit[8];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		int got = sscanf(line, "drm-total-%*[^:]: %llu %7s", &number, unit);

		if (got > 0)
			sum += number << (got == 1 ? 0 : *unit == 'K' ? 10 : 20);
	}
	if (f)
		fclose(f);
	return sum;
}

static void count_files(struct usage *usage)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		usage->files++;
		usage->device_bytes += count_device_bytes(entry->d_name);
	}
	closedir(dir);
}

/* Mappings, and the size of those that are not a thread's arena or stack. */
static void count_mappings(struct usage *usage)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		assert_int_equal(sscanf(line, "%lx-%lx", &start, &end), 2);
		usage->mappings++;
		if (!strstr(line, "---p"))
			usage->mapped_kib += (end - start) >> 10;
	}
	fclose(f);
}

static struct usage measure(void)
{
	struct usage usage = { .mappings = 0 };

	malloc_trim(0);
	count_files(&usage);
	count_mappings(&usage);
	usage.bytes = mallinfo2().uordblks + mallinfo2().hblkhd;
	return usage;
}

static void check_growth(const char *what, struct usage before)
{
	struct usage after = measure();

	if (after.bytes > before.bytes + SLACK_BYTES ||
	    after.files > before.files + SLACK_FILES ||
	    after.mappings > before.mappings + SLACK_FILES ||
	    after.mapped_kib > before.mapped_kib + SLACK_KIB ||
	    after.device_bytes > before.device_bytes)
		fail_msg("%s: %zu bytes, %u files, %u mappings of %zu KiB, %llu bytes of the device "
			 "became %zu, %u, %u of %zu, %llu",
			 what, before.bytes, before.files, before.mappings, before.mapped_kib,
			 before.device_bytes, after.bytes, after.files, after.mappings,
			 after.mapped_kib, after.device_bytes);
}

/* All that a job needs, a job that waits for another, and one that is refused. */
static void use_queue(struct npu_device *dev)
{
	struct npu_fence *first, *second;
	struct npu_job set, copy;
	struct rig rig;

	rig_init(&rig, dev, 0);
	set = rig_job_set(&rig, 0, 1, 7);
	copy = rig_job_copy(&rig, 1, 2, 1);
	assert_ok(npu_queue_submit(rig.queue, &set, NULL, 0, &first));
	assert_ok(npu_queue_submit(rig.queue, &copy, &first, 1, &second));
	assert_ok(npu_fence_wait(second, -1));
	assert_int_equal(rig.word[2], 7);
	npu_fence_destroy(first);
	npu_fence_destroy(second);
	set.cmd_bytes = 1;
	assert_int_equal(npu_queue_submit(rig.queue, &set, NULL, 0, &first), -EINVAL);
	rig_exit(&rig);
}

static void use_model(struct npu_device *dev, const char *path)
{
	struct npu_model *model = npu_model_open(dev, path, NULL);
	struct npu_session *s;

	assert_some(model);
	s = npu_session_create(model);
	assert_some(s);
	assert_ok(npu_session_read_input(s, 0, path, 0));
	assert_ok(npu_session_run(s));
	npu_session_destroy(s);
	npu_model_close(model);
	assert_null(npu_model_open(dev, "/proc/self/cmdline", NULL));
}

static void test_queues(void **state)
{
	struct npu_device *dev = rig_open();
	struct usage before;

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		use_queue(dev);
	before = measure();
	for (unsigned int i = 0; i < ROUNDS; i++)
		use_queue(dev);
	check_growth("queues", before);
	npu_device_close(dev);
}

static void test_models(void **state)
{
	struct npu_device *dev = rig_open();
	struct usage before;
	size_t bytes;
	void *image = pb_affine_program(ELEMS, 2, 1, 1, &bytes);
	char *path = rig_file(image, bytes);

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		use_model(dev, path);
	before = measure();
	for (unsigned int i = 0; i < ROUNDS; i++)
		use_model(dev, path);
	check_growth("models", before);
	unlink(path);
	free(path);
	free(image);
	npu_device_close(dev);
}

static void test_devices(void **state)
{
	struct usage before = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 2 * DEVICE_ROUNDS; i++) {
		struct npu_device *dev = rig_open();

		use_queue(dev);
		npu_device_close(dev);
		assert_null(npu_device_open("/dev/null"));
		if (i == DEVICE_ROUNDS)
			before = measure();
	}
	check_growth("devices", before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_devices),
	};

	return rig_run_tests(tests, NULL, NULL);
}
