/* SPDX-License-Identifier: MIT */
/* Buffers, files into buffers, address spaces and what the device sees in them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libnpu_rig.h"

#define PAGE	4096u

static void test_buffers(void **state)
{
	struct rig *rig = *state;
	static const uint64_t sizes[] = { 1, 4095, 4096, 4097, 3 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct npu_buffer *buf = npu_buffer_create(rig->dev, sizes[i]);
		uint64_t bytes;
		char *map;

		assert_some(buf);
		bytes = npu_buffer_bytes(buf);
		assert_true(bytes >= sizes[i] && bytes < sizes[i] + PAGE);
		map = npu_buffer_map(buf);
		assert_some(map);
		assert_ptr_equal(map, npu_buffer_map(buf));
		for (uint64_t k = 0; k < bytes; k++)
			assert_int_equal(map[k], 0);
		memset(map, 0xa5, bytes);
		npu_buffer_destroy(buf);
	}
	npu_buffer_destroy(NULL);
	assert_none(npu_buffer_create(rig->dev, 0), -EINVAL, "0 bytes");
	assert_none(npu_buffer_create(rig->dev, UINT64_MAX), -EINVAL, "buffer");
	assert_none(npu_buffer_create(rig->dev, UINT64_MAX - 4096), -EINVAL, "buffer");
}

/* Odd sizes and offsets around the chunks of the reader, from a file in @dir. */
static void check_read_file(struct rig *rig, const char *dir)
{
	const size_t file_bytes = (5u << 18) + 12345;
	static const struct {
		uint64_t buffer_offset;
		uint64_t file_offset;
		uint64_t bytes;
	} part[] = {
		{ 0, 0, 1 }, { 0, 0, 0 }, { 3, 5, 4096 }, { 1, 262143, 262145 },
		{ 4096, 262144, 262144 }, { 17, 1, 5u << 18 }, { 0, 0, (5u << 18) + 12345 },
		{ 100, (5u << 18) + 12344, 1 },
	};
	struct npu_buffer *buf = npu_buffer_create(rig->dev, file_bytes + 4096);
	uint8_t *bytes = malloc(file_bytes);
	uint8_t *map;
	char *path;

	assert_some(buf);
	map = npu_buffer_map(buf);
	assert_some(map);
	for (size_t i = 0; i < file_bytes; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	path = rig_file_in(dir, bytes, file_bytes);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		uint64_t end = part[i].buffer_offset + part[i].bytes;

		memset(map, 0x77, npu_buffer_bytes(buf));
		assert_ok(npu_buffer_read_file(buf, part[i].buffer_offset, path,
					       part[i].file_offset, part[i].bytes));
		assert_memory_equal(map + part[i].buffer_offset, bytes + part[i].file_offset,
				    part[i].bytes);
		assert_true(!part[i].buffer_offset || map[part[i].buffer_offset - 1] == 0x77);
		assert_int_equal(map[end], 0x77);
	}

	assert_err(npu_buffer_read_file(buf, 0, path, 1, file_bytes), -ENODATA, "ends before");
	assert_err(npu_buffer_read_file(buf, 0, path, file_bytes, 1), -ENODATA, path);
	assert_err(npu_buffer_read_file(buf, 0, path, 1ull << 40, 1), -ENODATA, "ends before");
	assert_err(npu_buffer_read_file(buf, 0, path, UINT64_MAX, 1), -EINVAL, "offset");
	assert_err(npu_buffer_read_file(buf, file_bytes + 8192, path, 0, 1), -EINVAL, "leave");
	assert_err(npu_buffer_read_file(buf, 1, path, 0, UINT64_MAX), -EINVAL, "leave");
	assert_err(npu_buffer_read_file(buf, 0, "/nonexistent/x", 0, 1), -ENOENT, "No such file");
	assert_err(npu_buffer_read_file(buf, 0, "/tmp", 0, 1), -EISDIR, "/tmp");
	assert_err(npu_buffer_read_file(buf, 0, "/dev/zero", 0, 1), -EINVAL, "regular file");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_err(npu_buffer_read_file(buf, 0, path, 0, 1), -EINVAL, "regular file");
	unlink(path);
	free(path);
	free(bytes);
	npu_buffer_destroy(buf);
}

static void test_read_file(void **state)
{
	check_read_file(*state, "/tmp");
	/* In the guest, if there is one: 9p cannot read into device memory by itself. */
	if (!access("/mnt/share", W_OK))
		check_read_file(*state, "/mnt/share");
}

/* What the device reads through @va. */
static uint32_t device_word(struct rig *rig, uint64_t va)
{
	struct npu_job job = rig_job_read(rig, 0, (int64_t)(va - rig->data_va), 1);
	struct prog_build *pb = pb_create("peek");

	pb_load(pb, 0, (int64_t)(va - rig->data_va), 0, 1, 0);
	pb_store(pb, 0, 0, 0, 1, 0);
	pb_end(pb);
	job = rig_job(rig, 0, pb);
	assert_ok(rig_run(rig->queue, job));
	return rig->word[0];
}

static void test_space_places(void **state)
{
	struct rig *rig = *state;
	struct npu_buffer *buf[40];
	uint64_t va[40];

	for (unsigned int i = 0; i < 40; i++) {
		buf[i] = npu_buffer_create(rig->dev, (1 + i % 3) * PAGE + (i == 7 ? 3 << 20 : 0));
		assert_some(buf[i]);
		assert_ok(npu_space_map(rig->space, buf[i], 0, &va[i]));
		assert_true(va[i] >= 1 << 20);
		*(uint32_t *)npu_buffer_map(buf[i]) = 1000 + i;
		for (unsigned int k = 0; k < i; k++)
			assert_true(va[k] + npu_buffer_bytes(buf[k]) < va[i] ||
				    va[i] + npu_buffer_bytes(buf[i]) < va[k]);
	}
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(device_word(rig, va[i]), 1000 + i);
	/* A hole that fits is found again. */
	assert_ok(npu_space_unmap(rig->space, va[5], npu_buffer_bytes(buf[5])));
	assert_ok(npu_space_map(rig->space, buf[5], 0, &va[0]));
	assert_int_equal(va[0], va[5]);
	/* Destroyed first, unmapped later: the mapping keeps the memory. */
	for (unsigned int i = 0; i < 40; i++)
		npu_buffer_destroy(buf[i]);
	assert_int_equal(device_word(rig, va[39]), 1039);
	assert_int_equal(device_word(rig, va[5]), 1005);
}

static void test_space_replace(void **state)
{
	struct rig *rig = *state;
	struct npu_buffer *a = npu_buffer_create(rig->dev, 8 * PAGE);
	struct npu_buffer *b = npu_buffer_create(rig->dev, 8 * PAGE);
	const uint64_t va = 1ull << 40;
	uint32_t *map_a = npu_buffer_map(a);
	uint32_t *map_b = npu_buffer_map(b);

	assert_some(map_a);
	assert_some(map_b);
	for (unsigned int i = 0; i < 8; i++) {
		map_a[i * PAGE / 4] = 100 + i;
		map_b[i * PAGE / 4] = 200 + i;
	}
	assert_ok(npu_space_map_at(rig->space, a, 0, 8 * PAGE, va, 0));
	assert_int_equal(device_word(rig, va + 7 * PAGE), 107);
	/* The middle is replaced; the device must not use what it has cached. */
	assert_int_equal(device_word(rig, va + 3 * PAGE), 103);
	assert_ok(npu_space_map_at(rig->space, b, PAGE, 2 * PAGE, va + 3 * PAGE, 0));
	assert_int_equal(device_word(rig, va + 2 * PAGE), 102);
	assert_int_equal(device_word(rig, va + 3 * PAGE), 201);
	assert_int_equal(device_word(rig, va + 4 * PAGE), 202);
	assert_int_equal(device_word(rig, va + 5 * PAGE), 105);
	/* Twice the same, and the same page at two addresses. */
	assert_ok(npu_space_map_at(rig->space, a, 0, 8 * PAGE, va, 0));
	assert_ok(npu_space_map_at(rig->space, a, 0, 8 * PAGE, va, NPU_MAP_READONLY));
	assert_ok(npu_space_map_at(rig->space, a, 0, PAGE, va + 8 * PAGE, 0));
	assert_int_equal(device_word(rig, va + 3 * PAGE), 103);
	assert_int_equal(device_word(rig, va + 8 * PAGE), 100);
	/* Unmapping what is partly mapped, not at all, or nearly everything. */
	assert_ok(npu_space_unmap(rig->space, va - PAGE, 3 * PAGE));
	assert_ok(npu_space_unmap(rig->space, va - PAGE, 3 * PAGE));
	assert_ok(npu_space_unmap(rig->space, 1ull << 41, 1ull << 46));
	npu_buffer_destroy(a);
	assert_int_equal(device_word(rig, va + 2 * PAGE), 102);
	assert_err(rig_run(rig->queue, rig_job_read(rig, 0, (int64_t)(va - rig->data_va), 5)),
		   -EFAULT, "MMU_UNMAPPED");
	npu_buffer_destroy(b);
}

static void test_space_arguments(void **state)
{
	struct rig *rig = *state;
	struct npu_buffer *buf = npu_buffer_create(rig->dev, 2 * PAGE);
	struct npu_device *other_dev = rig_open();
	struct npu_buffer *other = npu_buffer_create(other_dev, PAGE);
	const uint64_t va = 1ull << 40;
	uint64_t out;

	assert_err(npu_space_map_at(rig->space, buf, 1, PAGE, va, 0), -EINVAL, "offset");
	assert_err(npu_space_map_at(rig->space, buf, 0, 1, va, 0), -EINVAL, "pages");
	assert_err(npu_space_map_at(rig->space, buf, 0, 0, va, 0), -EINVAL, "pages");
	assert_err(npu_space_map_at(rig->space, buf, 0, PAGE, va + 8, 0), -EINVAL, "pages");
	assert_err(npu_space_map_at(rig->space, buf, 0, 3 * PAGE, va, 0), -EINVAL, "leave");
	assert_err(npu_space_map_at(rig->space, buf, UINT64_MAX - PAGE + 1, PAGE, va, 0), -EINVAL,
		   "leave");
	assert_err(npu_space_map_at(rig->space, buf, 0, PAGE, 0, 0), -EINVAL, "not between");
	assert_err(npu_space_map_at(rig->space, buf, 0, PAGE, 1ull << 48, 0), -EINVAL, "between");
	assert_err(npu_space_map_at(rig->space, buf, 0, PAGE, -(uint64_t)PAGE, 0), -EINVAL,
		   "between");
	assert_err(npu_space_map_at(rig->space, buf, 0, 2 * PAGE, (1ull << 48) - PAGE, 0), -EINVAL,
		   "between");
	assert_err(npu_space_map_at(rig->space, buf, 0, PAGE, va, 2), -EINVAL, "flags");
	assert_err(npu_space_map(rig->space, buf, 0x80000000, &out), -EINVAL, "flags");
	assert_err(npu_space_map(rig->space, other, 0, &out), -EINVAL, "another device");
	assert_err(npu_space_unmap(rig->space, va, 0), -EINVAL, "pages");
	assert_err(npu_space_unmap(rig->space, va + 1, PAGE), -EINVAL, "pages");
	assert_err(npu_space_unmap(rig->space, va, UINT64_MAX - PAGE + 1), -EINVAL, "between");
	assert_err(npu_space_destroy(rig->space), -EBUSY, "queues");
	assert_ok(npu_space_destroy(NULL));
	npu_buffer_destroy(other);
	npu_device_close(other_dev);
	npu_buffer_destroy(buf);
	/* Nothing of that had an effect. */
	assert_ok(rig_run(rig->queue, rig_job_set(rig, 0, 3, 7)));
	assert_int_equal(rig->word[3], 7);
}

static void test_space_limit(void **state)
{
	struct rig *rig = *state;
	struct npu_space *space[65];
	unsigned int count = 0;

	while (count < 65 && (space[count] = npu_space_create(rig->dev)))
		count++;
	assert_in_range(count, 1, 63);
	assert_non_null(strstr(npu_error(), "no more"));
	assert_int_equal(errno, ENOSPC);
	while (count)
		assert_ok(npu_space_destroy(space[--count]));
	space[0] = npu_space_create(rig->dev);
	assert_some(space[0]);
	assert_ok(npu_space_destroy(space[0]));
}

/* What is given back can be had again, more often than there is room for at once. */
static void test_reuse(void **state)
{
	struct rig *rig = *state;
	unsigned int rounds = rig_is_sim() ? 4200 : 200;

	for (unsigned int i = 0; i < rounds; i++) {
		struct npu_buffer *buf = npu_buffer_create(rig->dev, 3 * PAGE);
		struct npu_queue *queue = npu_queue_create(rig->space, NPU_PRIORITY_LOW, 0);
		uint64_t va;

		assert_some(buf);
		assert_some(queue);
		assert_ok(npu_space_map(rig->space, buf, 0, &va));
		if (i % 2)
			npu_buffer_destroy(buf);
		assert_ok(npu_space_unmap(rig->space, va, 3 * PAGE));
		if (!(i % 2))
			npu_buffer_destroy(buf);
		npu_queue_destroy(queue);
	}
}

/* Pages around each buffer are not mapped; read-only ones cannot be written. */
static void test_guards(void **state)
{
	struct rig *rig = *state;
	struct npu_queue_fault fault;

	assert_err(rig_run(rig->queue, rig_job_read(rig, 0, RIG_DATA_BYTES, 42)), -EFAULT, "tag 42");
	assert_ok(npu_queue_get_fault(rig->queue, &fault));
	assert_true(fault.banned && !fault.hung);
	assert_int_equal(fault.code, 13);
	assert_int_equal(fault.tag, 42);
	assert_int_equal(fault.va, rig->data_va + RIG_DATA_BYTES);
	assert_non_null(strstr(fault.text, "MMU_UNMAPPED"));
	assert_non_null(strstr(fault.text, "LOAD"));
}

static void test_readonly(void **state)
{
	struct rig *rig = *state;
	int64_t code = (int64_t)(rig->code_va - rig->data_va);
	struct npu_queue_fault fault;

	assert_err(rig_run(rig->queue, rig_job_write(rig, 1, code)), -EFAULT, "MMU_PERM");
	assert_ok(npu_queue_get_fault(rig->queue, &fault));
	assert_int_equal(fault.code, 14);
	assert_int_equal(fault.va, rig->code_va);
	assert_non_null(strstr(fault.text, "writing"));
}

/* Random mappings of a few pages; the device must see what the model says. */
static void test_random_maps(void **state)
{
	enum { BUFFERS = 4, PAGES = 12, BUFFER_PAGES = 8 };
	const char *text = getenv("NPU_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : (unsigned int)time(NULL);
	struct rig *rig = *state;
	const uint64_t va = (1ull << 40) - 5 * PAGE;
	struct npu_buffer *buf[BUFFERS];
	uint32_t expect[PAGES] = { 0 };

	print_message("NPU_SEED=%u\n", seed);
	srand(seed);
	for (uint32_t b = 0; b < BUFFERS; b++) {
		buf[b] = npu_buffer_create(rig->dev, BUFFER_PAGES * PAGE);
		assert_some(buf[b]);
		for (uint32_t i = 0; i < BUFFER_PAGES; i++)
			((uint32_t *)npu_buffer_map(buf[b]))[i * PAGE / 4] = 1 + b * 100 + i;
	}
	for (int round = 0; round < 200; round++) {
		uint32_t at = (uint32_t)rand() % PAGES;
		uint32_t pages = 1 + (uint32_t)rand() % (PAGES - at < 5 ? PAGES - at : 5);
		uint32_t from = (uint32_t)rand() % (BUFFER_PAGES - pages + 1);
		uint32_t b = (uint32_t)rand() % (BUFFERS + 2);

		if (b < BUFFERS)
			assert_ok(npu_space_map_at(rig->space, buf[b], from * PAGE, pages * PAGE,
						   va + at * PAGE, 0));
		else
			assert_ok(npu_space_unmap(rig->space, va + at * PAGE, pages * PAGE));
		for (uint32_t i = 0; i < pages; i++)
			expect[at + i] = b < BUFFERS ? 1 + b * 100 + from + i : 0;
		for (uint32_t i = 0; i < PAGES; i++)
			if (expect[i])
				assert_int_equal(device_word(rig, va + i * PAGE), expect[i]);
	}
	for (uint32_t b = 0; b < BUFFERS; b++)
		npu_buffer_destroy(buf[b]);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_rig(test_buffers),
		with_rig(test_read_file),
		with_rig(test_space_places),
		with_rig(test_space_replace),
		with_rig(test_space_arguments),
		with_rig(test_space_limit),
		with_rig(test_reuse),
		with_rig(test_guards),
		with_rig(test_readonly),
		with_rig(test_random_maps),
	};

	return rig_run_tests(tests, NULL, NULL);
}
