/* SPDX-License-Identifier: MIT */
/* See libnpu_rig.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libnpu_rig.h"

#define SLOT_BYTES	(16u << 10)

struct npu_device *rig_open(void)
{
	const char *spec = getenv("NPU_DEVICE");
	struct npu_device *dev = npu_device_open(spec ? spec : NPU_TEST_DEVICE);

	assert_some(dev);
	return dev;
}

void rig_set_output(void)
{
	if (!rig_is_sim())
		cmocka_set_message_output(CM_OUTPUT_TAP);
}

int rig_is_sim(void)
{
	const char *spec = getenv("NPU_DEVICE");

	return !strncmp(spec ? spec : NPU_TEST_DEVICE, "sim", 3);
}

void rig_init(struct rig *rig, struct npu_device *dev, uint32_t timeout_ms)
{
	rig->dev = dev;
	rig->space = npu_space_create(dev);
	assert_some(rig->space);
	rig->code = npu_buffer_create(dev, RIG_JOB_SLOTS * SLOT_BYTES);
	assert_some(rig->code);
	assert_ok(npu_space_map(rig->space, rig->code, NPU_MAP_READONLY, &rig->code_va));
	rig->data = npu_buffer_create(dev, RIG_DATA_BYTES);
	assert_some(rig->data);
	assert_ok(npu_space_map(rig->space, rig->data, 0, &rig->data_va));
	rig->word = npu_buffer_map(rig->data);
	assert_some(rig->word);
	rig->queue = npu_queue_create(rig->space, NPU_PRIORITY_NORMAL, timeout_ms);
	assert_some(rig->queue);
}

void rig_exit(struct rig *rig)
{
	npu_queue_destroy(rig->queue);
	assert_ok(npu_space_destroy(rig->space));
	npu_buffer_destroy(rig->data);
	npu_buffer_destroy(rig->code);
}

int rig_open_device(void **state)
{
	*state = rig_open();
	return 0;
}

int rig_close_device(void **state)
{
	npu_device_close(*state);
	return 0;
}

int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig_init(rig, rig_open(), 0);
	*state = rig;
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	rig_exit(rig);
	npu_device_close(rig->dev);
	free(rig);
	return 0;
}

struct npu_job rig_job(struct rig *rig, unsigned int slot, struct prog_build *pb)
{
	char *code = npu_buffer_map(rig->code);
	size_t bytes;
	void *cmds = pb_take_commands(pb, &bytes);
	uint64_t va = rig->code_va + slot * SLOT_BYTES;

	assert_true(slot < RIG_JOB_SLOTS && bytes <= SLOT_BYTES - 64);
	assert_some(code);
	code += slot * SLOT_BYTES;
	memcpy(code, cmds, bytes);
	memcpy(code + SLOT_BYTES - 64, &rig->data_va, sizeof(rig->data_va));
	free(cmds);
	return (struct npu_job){
		.cmd_va = va,
		.cmd_bytes = (uint32_t)bytes,
		.bind_va = va + SLOT_BYTES - 64,
		.bind_count = 1,
	};
}

struct npu_job rig_job_set(struct rig *rig, unsigned int slot, uint32_t to, uint32_t value)
{
	struct prog_build *pb = pb_create("set");

	pb_fill(pb, 0, 1, value, 0);
	pb_store(pb, 0, to * 4, 0, 1, 0);
	pb_end(pb);
	return rig_job(rig, slot, pb);
}

struct npu_job rig_job_copy(struct rig *rig, unsigned int slot, uint32_t to, uint32_t from)
{
	struct prog_build *pb = pb_create("copy");

	pb_load(pb, 0, from * 4, 0, 1, 0);
	pb_store(pb, 0, to * 4, 0, 1, 0);
	pb_end(pb);
	return rig_job(rig, slot, pb);
}

struct npu_job rig_job_slow_set(struct rig *rig, unsigned int slot, uint32_t to, uint32_t value)
{
	struct prog_build *pb = pb_create("slow");

	/* Some ten milliseconds of memory traffic. */
	pb_fill(pb, 4096, 8192, value, -1);
	pb_loop(pb, 300);
	pb_load(pb, 0, RIG_DATA_BYTES / 2, 4096, 8192, -1);
	pb_endl(pb);
	pb_fill(pb, 0, 1, value, 0);
	pb_store(pb, 0, to * 4, 0, 1, 0);
	pb_end(pb);
	return rig_job(rig, slot, pb);
}

struct npu_job rig_job_hang(struct rig *rig, unsigned int slot)
{
	struct prog_build *pb = pb_create("hang");

	pb_hang(pb);
	pb_end(pb);
	return rig_job(rig, slot, pb);
}

struct npu_job rig_job_read(struct rig *rig, unsigned int slot, int64_t offset_bytes,
			    uint32_t tag)
{
	struct prog_build *pb = pb_create("read");

	pb_set_tag(pb, tag);
	pb_load(pb, 0, offset_bytes, 0, 1, -1);
	pb_end(pb);
	return rig_job(rig, slot, pb);
}

struct npu_job rig_job_write(struct rig *rig, unsigned int slot, int64_t offset_bytes)
{
	struct prog_build *pb = pb_create("write");

	pb_fill(pb, 0, 1, 1, 0);
	pb_store(pb, 0, offset_bytes, 0, 1, 0);
	pb_end(pb);
	return rig_job(rig, slot, pb);
}

int rig_run(struct npu_queue *queue, struct npu_job job)
{
	struct npu_fence *fence;
	int ret;

	assert_ok(npu_queue_submit(queue, &job, NULL, 0, &fence));
	ret = npu_fence_wait(fence, -1);
	npu_fence_destroy(fence);
	return ret;
}

char *rig_file_in(const char *dir, const void *data, size_t bytes)
{
	char *path = malloc(strlen(dir) + 32);
	int fd;

	if (!path)
		abort();
	sprintf(path, "%s/npu-test.XXXXXX", dir);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	close(fd);
	return path;
}

char *rig_file(const void *data, size_t bytes)
{
	return rig_file_in("/tmp", data, bytes);
}
