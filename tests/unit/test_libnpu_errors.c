/* SPDX-License-Identifier: MIT */
/*
 * Paths that nobody takes by using the library: every allocation fails once,
 * and the device stops to react. Linked with the library's objects, so that
 * allocations can be caught and the device be declared dead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libnpu_rig.h"
#include "npu_prog.h"
#include "sim.h"

/* Allocations until one fails; negative: none does. Of this thread only. */
static _Thread_local int countdown = -1;

static bool fails_now(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *s);
void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *s);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t bytes)
{
	return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return fails_now() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (!fails_now())
		return __real_mmap(at, bytes, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

/* What an application does, on a program of its own; 0 or what went wrong first. */
static int use_model(const char *path)
{
	struct npu_device *dev = npu_device_open("sim,threads=1");
	struct npu_model *model = dev ? npu_model_open(dev, path, NULL) : NULL;
	struct npu_session *s = model ? npu_session_create(model) : NULL;
	float x[6] = { 1, 2, 3, 4, 5, 6 };
	float y[6];
	int ret = s ? 0 : -errno;

	if (!ret)
		ret = npu_session_set_input(s, 0, x, sizeof(x));
	if (!ret)
		ret = npu_session_run(s);
	if (!ret)
		ret = npu_session_get_output(s, 0, y, sizeof(y));
	if (!ret)
		assert_true(y[5] == 6 * 2 + 1 + 2.5f);
	npu_session_destroy(s);
	npu_model_close(model);
	npu_device_close(dev);
	return ret;
}

/* The same on the lower level, with mappings that need page tables of their own. */
static int use_space(const char *path)
{
	struct npu_device *dev = npu_device_open("sim,threads=1,array_rows=8");
	struct npu_space *space = dev ? npu_space_create(dev) : NULL;
	struct npu_buffer *buf = space ? npu_buffer_create(dev, 3 << 20) : NULL;
	struct npu_queue *queue = buf ? npu_queue_create(space, NPU_PRIORITY_LOW, 100) : NULL;
	int ret = queue ? 0 : -errno;

	for (uint64_t i = 0; !ret && i < 40; i++)
		ret = npu_space_map_at(space, buf, 0, 4096, (i + 1) << 39 | i << 30, 0);
	if (!ret)
		ret = npu_space_unmap(space, 1ull << 39, 4096);
	if (!ret)
		ret = npu_buffer_read_file(buf, 0, path, 0, 64);
	npu_queue_destroy(queue);
	npu_buffer_destroy(buf);
	npu_space_destroy(space);
	npu_device_close(dev);
	return ret;
}

static void test_allocations(void **state)
{
	int (*const use[])(const char *path) = { use_model, use_space };
	size_t bytes;
	void *image = pb_affine_program(6, 2, 1, 1, &bytes);
	char *path = rig_file(image, bytes);

	(void)state;
	free(image);
	for (int which = 0; which < 2; which++) {
		int n = 0;

		for (;; n++) {
			int ret;

			assert_null(npu_device_open("reset the message"));
			countdown = n;
			ret = use[which](path);
			if (countdown >= 0)
				break;
			/* A failed allocation may be made up for, or be told. */
			assert_true(ret == 0 || ret == -ENOMEM || ret == -EINVAL);
			if (ret && !strstr(npu_error(), "memory") && !strstr(npu_error(), "threads"))
				fail_msg("allocation %d: %d: %s", n, ret, npu_error());
			assert_true(n < 1000);
		}
		countdown = -1;
		print_message("%d allocations\n", n);
		assert_true(n > 10);
	}
	unlink(path);
	free(path);
}

/* The device does not react any more: all jobs end, nothing new starts. */
static void test_dead_device(void **state)
{
	struct npu_device *dev = npu_device_open("sim");
	struct sim_device *sim = to_sim(dev);
	struct rig rig = { 0 };
	struct rig other = { 0 };
	struct npu_fence *fence[3];
	struct npu_queue_fault fault;
	struct npu_job job[2];
	uint64_t va;

	(void)state;
	rig_init(&rig, dev, 60000);
	rig_init(&other, dev, 0);
	job[0] = rig_job_hang(&rig, 0);
	job[1] = rig_job_set(&other, 0, 0, 1);
	assert_ok(npu_queue_submit(rig.queue, &job[0], NULL, 0, &fence[0]));
	assert_ok(npu_queue_submit(rig.queue, &job[0], NULL, 0, &fence[1]));
	assert_ok(npu_queue_submit(other.queue, &job[1], fence, 1, &fence[2]));
	pthread_mutex_lock(&sim->lock);
	sim_wedge_locked(sim);
	pthread_mutex_unlock(&sim->lock);
	for (int i = 0; i < 3; i++) {
		assert_err(npu_fence_wait(fence[i], -1), -EIO, "reset");
		npu_fence_destroy(fence[i]);
	}
	assert_int_equal(other.word[0], 0);
	assert_err(npu_queue_submit(other.queue, &job[1], NULL, 0, NULL), -EIO, "dead");
	assert_ok(npu_queue_get_fault(other.queue, &fault));
	assert_true(fault.banned && !fault.hung);
	assert_string_equal(fault.text, "the device was reset");
	assert_none(npu_queue_create(rig.space, NPU_PRIORITY_LOW, 0), -EIO, "dead");
	assert_none(npu_space_create(dev), -EIO, "dead");
	assert_err(npu_space_map(rig.space, rig.data, 0, &va), -EIO, "dead");
	rig_exit(&rig);
	rig_exit(&other);
	npu_device_close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocations),
		cmocka_unit_test(test_dead_device),
	};

	return rig_run_tests(tests, NULL, NULL);
}
