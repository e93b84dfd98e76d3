// SPDX-License-Identifier: MIT
/*
 * Address spaces: limits, and VM_BIND judged by jobs that read and write through
 * the mappings. A random sequence of binds is compared with a plain array of
 * what each page should be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <time.h>
#include <xf86drm.h>

#include "util.h"

#define TEST_VA		0x40000000ull
#define OUT_VA		0x80000000ull

static void contexts_run_out(void)
{
	int fds[8], count = 0, taken = 0, ret = 0, i;
	uint32_t vm;
	struct drm_npu_device_info info;

	for (i = 0; i < 8; i++)
		fds[i] = need_open();
	info = need_device_info(fds[0]);
	/* One file alone does not get all of them. */
	while (!(ret = vm_create(fds[0], &vm)))
		taken++;
	check_eq(ret, -ENOSPC);
	check(taken < (int)info.contexts);
	/* Being refused costs nothing: one given back can be had again. */
	check_eq(vm_destroy(fds[0], vm), 0);
	check_eq(vm_create(fds[0], &vm), 0);
	check_eq(vm_create(fds[0], &vm), -ENOSPC);
	count = taken;
	for (i = 1; i < 8; i++)
		while (!(ret = vm_create(fds[i], &vm)))
			count++;
	check_eq(ret, -ENOSPC);
	check_eq(count, info.contexts);
	/* One given back can be had by another file. */
	check_eq(vm_destroy(fds[0], 1), 0);
	node_close(fds[1]);
	check_eq(vm_create(fds[2], &vm), -ENOSPC);
	check_eq(vm_create(fds[7], &vm), 0);
	for (i = 0; i < 8; i++)
		if (i != 1)
			node_close(fds[i]);
	need_in_use(0, 0);
}

static void destroy_is_refused_with_queues(void)
{
	int fd = need_open();
	uint32_t vm = need_vm(fd), queue = need_queue(fd, vm, 0);

	check_eq(vm_destroy(fd, vm), -EBUSY);
	check_eq(queue_destroy(fd, queue), 0);
	check_eq(vm_destroy(fd, vm), 0);
	node_close(fd);
	need_in_use(0, 0);
}

static void destroy_with_mappings(void)
{
	int fd = need_open();
	struct buffer buffer = need_buffer(fd, 8 * PAGE);
	uint32_t vm = need_vm(fd);

	need_map(fd, vm, &buffer, TEST_VA);
	check_eq(vm_destroy(fd, vm), 0);
	vm = need_vm(fd);
	need_map(fd, vm, &buffer, TEST_VA);
	buffer_close(fd, &buffer);
	check_eq(vm_destroy(fd, vm), 0);
	node_close(fd);
}

static void bound_buffer_survives_close(void)
{
	struct client client = need_client(0);
	struct buffer in = need_buffer(client.fd, PAGE), out = need_buffer(client.fd, PAGE);

	fill_words(in.map, 1024, 1);
	need_map(client.fd, client.vm, &out, OUT_VA);
	need_map(client.fd, client.vm, &in, TEST_VA);
	buffer_close(client.fd, &in);
	need_run(&client, job_copy(&client, 0, TEST_VA, OUT_VA, 1024), 0);
	check_eq(((uint32_t *)out.map)[0], 1 * 1664525u + 1013904223u);
	client_close(&client);
}

static void lowest_and_highest_address(void)
{
	struct client client = need_client(0);
	struct drm_npu_device_info info = need_device_info(client.fd);
	struct buffer in = need_buffer(client.fd, PAGE), out = need_buffer(client.fd, PAGE);

	fill_words(in.map, 1024, 2);
	need_map(client.fd, client.vm, &in, info.va_start);
	need_map(client.fd, client.vm, &out, info.va_end - PAGE);
	need_run(&client, job_copy(&client, 0, in.va, out.va, 1024), 0);
	check(!memcmp(in.map, out.map, PAGE));
	client_close(&client);
}

static void partial_map_of_buffer(void)
{
	struct client client = need_client(0);
	struct buffer in = need_buffer(client.fd, 4 * PAGE), out = need_buffer(client.fd, PAGE);
	struct drm_npu_vm_bind_op op = {
		.handle = in.handle,
		.bo_offset = 2 * PAGE,
		.va = TEST_VA,
		.size = PAGE,
	};

	fill_words(in.map, 4096, 3);
	need_map(client.fd, client.vm, &out, OUT_VA);
	check_eq(vm_bind(client.fd, client.vm, &op, 1), 0);
	need_run(&client, job_copy(&client, 0, TEST_VA, OUT_VA, 1024), 0);
	check(!memcmp((char *)in.map + 2 * PAGE, out.map, PAGE));
	/* Its neighbours are not mapped. */
	need_run(&client, job_copy(&client, 0, TEST_VA + PAGE - 4, OUT_VA, 2), -EFAULT);
	client_close(&client);
}

static void unmap_of_nothing(void)
{
	int fd = need_open();
	uint32_t vm = need_vm(fd);
	struct drm_npu_device_info info = need_device_info(fd);

	check_eq(vm_unmap(fd, vm, TEST_VA, PAGE), 0);
	check_eq(vm_unmap(fd, vm, info.va_start, info.va_end - info.va_start), 0);
	node_close(fd);
}

static void same_buffer_twice(void)
{
	struct client client = need_client(0);
	struct buffer in = need_buffer(client.fd, PAGE), out = need_buffer(client.fd, PAGE);

	need_map(client.fd, client.vm, &out, OUT_VA);
	check_eq(vm_map(client.fd, client.vm, &in, TEST_VA, 0), 0);
	check_eq(vm_map(client.fd, client.vm, &in, TEST_VA + 0x200000, 0), 0);
	check_eq(vm_unmap(client.fd, client.vm, TEST_VA, PAGE), 0);
	fill_words(in.map, 1024, 4);
	need_run(&client, job_copy(&client, 0, TEST_VA + 0x200000, OUT_VA, 1024), 0);
	check(!memcmp(in.map, out.map, PAGE));
	client_close(&client);
}

/* ---- Random binds against a model ---- */

#define MODEL_BUFFERS	4
#define MODEL_BO_PAGES	64
#define MODEL_PAGES	1200
/* So that the window crosses boundaries of tables at two levels. */
#define MODEL_VA	((1ull << 39) - 600 * PAGE)

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % limit;
}

/* First word of each page of a buffer says which it is. */
static uint32_t page_mark(unsigned int buffer, unsigned int page)
{
	return 0x1000000 * (buffer + 1) + page;
}

static void model_map(struct drm_npu_vm_bind_op *op, const struct buffer *buffers,
		      uint32_t *model)
{
	unsigned int pages = 1 + random_below(MODEL_BO_PAGES), buffer = random_below(MODEL_BUFFERS);
	unsigned int first = random_below(MODEL_BO_PAGES - pages + 1);
	unsigned int at = random_below(MODEL_PAGES - pages + 1), i;

	*op = (struct drm_npu_vm_bind_op) {
		.op = DRM_NPU_VM_BIND_OP_MAP,
		.handle = buffers[buffer].handle,
		.bo_offset = first * PAGE,
		.va = MODEL_VA + at * PAGE,
		.size = pages * PAGE,
	};
	for (i = 0; i < pages; i++)
		model[at + i] = page_mark(buffer, first + i);
}

static void model_unmap(struct drm_npu_vm_bind_op *op, uint32_t *model)
{
	unsigned int pages = 1 + random_below(2 * MODEL_BO_PAGES);
	unsigned int at = random_below(MODEL_PAGES - pages + 1), i;

	*op = (struct drm_npu_vm_bind_op) {
		.op = DRM_NPU_VM_BIND_OP_UNMAP,
		.va = MODEL_VA + at * PAGE,
		.size = pages * PAGE,
	};
	for (i = 0; i < pages; i++)
		model[at + i] = 0;
}

/* A job per page that should be there: read its mark. */
static void model_verify(struct client *client, const struct buffer *out, const uint32_t *model)
{
	uint32_t done = 0, word, slot = 0;
	unsigned int i;

	memset(out->map, 0, MODEL_PAGES * 4);
	for (i = 0; i < MODEL_PAGES; i++) {
		if (!model[i])
			continue;
		if (done)
			drmSyncobjDestroy(client->fd, done);
		done = need_submit(client, job_copy(client, slot++, MODEL_VA + i * PAGE,
						    OUT_VA + 4 * i, 1));
		/* Slots are used again when their jobs are over. */
		if (slot == CLIENT_JOBS) {
			check_eq(syncobj_wait(client->fd, done, 60), 0);
			slot = 0;
		}
	}
	if (done)
		check_eq(syncobj_wait(client->fd, done, 60), 0);
	for (i = 0; i < MODEL_PAGES; i++) {
		word = ((uint32_t *)out->map)[i];
		if (word != model[i])
			tap_fail("page %u is 0x%x, not 0x%x", i, word, model[i]);
	}
}

static void random_binds(void)
{
	struct client client = need_client(0);
	struct buffer buffers[MODEL_BUFFERS], out = need_buffer(client.fd, MODEL_PAGES * 4);
	static uint32_t model[MODEL_PAGES];
	struct drm_npu_vm_bind_op ops[16];
	unsigned int i, k, page, round;
	const char *seed = getenv("SEED");

	random_state = seed ? strtoul(seed, NULL, 0) : (unsigned long)time(NULL) | 1;
	printf("# SEED=%u\n", random_state);
	need_map(client.fd, client.vm, &out, OUT_VA);
	for (i = 0; i < MODEL_BUFFERS; i++) {
		buffers[i] = need_buffer(client.fd, MODEL_BO_PAGES * PAGE);
		for (page = 0; page < MODEL_BO_PAGES; page++)
			((uint32_t *)buffers[i].map)[page * 1024] = page_mark(i, page);
	}
	memset(model, 0, sizeof(model));
	for (round = 0; round < (unsigned int)rounds(12); round++) {
		for (k = 0; k < 8; k++) {
			unsigned int count = 1 + random_below(16);

			for (i = 0; i < count; i++)
				if (random_below(3))
					model_map(&ops[i], buffers, model);
				else
					model_unmap(&ops[i], model);
			check_eq(vm_bind(client.fd, client.vm, ops, count), 0);
		}
		model_verify(&client, &out, model);
	}
	client_close(&client);
	need_in_use(0, 0);
}

/* A page that is not mapped any more is not read: each try ends an address space. */
static void unmapped_means_unmapped(void)
{
	struct drm_npu_queue_query query;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		struct client client = need_client(0);
		struct buffer in = need_buffer(client.fd, 4 * PAGE);
		struct buffer out = need_buffer(client.fd, 4 * PAGE);
		uint64_t va = TEST_VA + (i % 4) * PAGE;

		memset(in.map, 0x5a, 4 * PAGE);
		need_map(client.fd, client.vm, &out, OUT_VA);
		need_map(client.fd, client.vm, &in, TEST_VA);
		/* The device knows the translation. */
		need_run(&client, job_copy(&client, 0, TEST_VA, OUT_VA, 4096), 0);
		check(!memcmp(in.map, out.map, 4 * PAGE));
		memset(out.map, 0, 4 * PAGE);
		if (i < 4)
			check_eq(vm_unmap(client.fd, client.vm, va, PAGE), 0);
		else
			check_eq(vm_unmap(client.fd, client.vm, TEST_VA, 4 * PAGE), 0);
		need_run(&client, job_copy(&client, 0, va, OUT_VA, 1024), -EFAULT);
		query = need_query(client.fd, client.queue);
		check_eq(query.state, DRM_NPU_QUEUE_FAULTED);
		check_eq(query.fault_code, NPU_FAULT_MMU_UNMAPPED);
		check_eq(query.fault_va, va);
		check_eq(((uint32_t *)out.map)[0], 0);
		client_close(&client);
	}
}

static void read_only(void)
{
	struct client client = need_client(0);
	struct buffer buffer = need_buffer(client.fd, PAGE), out = need_buffer(client.fd, PAGE);
	struct drm_npu_queue_query query;

	fill_words(buffer.map, 1024, 5);
	need_map(client.fd, client.vm, &out, OUT_VA);
	check_eq(vm_map(client.fd, client.vm, &buffer, TEST_VA, DRM_NPU_VM_BIND_READONLY), 0);
	need_run(&client, job_copy(&client, 0, TEST_VA, OUT_VA, 1024), 0);
	check(!memcmp(buffer.map, out.map, PAGE));
	memset(out.map, 0, PAGE);
	need_run(&client, job_copy(&client, 0, OUT_VA, TEST_VA, 1024), -EFAULT);
	query = need_query(client.fd, client.queue);
	check_eq(query.fault_code, NPU_FAULT_MMU_PERM);
	check_eq(query.fault_va, TEST_VA);
	check_eq(query.fault_flags, 1);
	check_eq(query.fault_engine, NPU_ENGINE_DO);
	check_eq(query.fault_tag, 0x20);
	check(((uint32_t *)buffer.map)[0]);
	client_close(&client);
}

/* What remains on both sides of an unmapped page keeps its rights. */
static void read_only_remains(void)
{
	struct drm_npu_queue_query query;
	unsigned int side;

	for (side = 0; side < 2; side++) {
		struct client client = need_client(0);
		struct buffer buffer = need_buffer(client.fd, 3 * PAGE);
		struct buffer out = need_buffer(client.fd, PAGE);
		uint64_t va = TEST_VA + 2 * side * PAGE;

		fill_words(buffer.map, 3 * 1024, 6);
		need_map(client.fd, client.vm, &out, OUT_VA);
		check_eq(vm_map(client.fd, client.vm, &buffer, TEST_VA, DRM_NPU_VM_BIND_READONLY),
			 0);
		check_eq(vm_unmap(client.fd, client.vm, TEST_VA + PAGE, PAGE), 0);
		/* Another one beside it, which makes the rest be mapped anew. */
		check_eq(vm_unmap(client.fd, client.vm, TEST_VA + 3 * PAGE, PAGE), 0);
		need_run(&client, job_copy(&client, 0, va, OUT_VA, 1024), 0);
		check(!memcmp((uint8_t *)buffer.map + 2 * side * PAGE, out.map, PAGE));
		need_run(&client, job_copy(&client, 0, OUT_VA, va, 1024), -EFAULT);
		query = need_query(client.fd, client.queue);
		check_eq(query.fault_code, NPU_FAULT_MMU_PERM);
		check_eq(query.fault_va, va);
		client_close(&client);
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(contexts_run_out),
		TAP_TEST(destroy_is_refused_with_queues),
		TAP_TEST(destroy_with_mappings),
		TAP_TEST(bound_buffer_survives_close),
		TAP_TEST(lowest_and_highest_address),
		TAP_TEST(partial_map_of_buffer),
		TAP_TEST(unmap_of_nothing),
		TAP_TEST(same_buffer_twice),
		TAP_TEST(random_binds),
		TAP_TEST(unmapped_means_unmapped),
		TAP_TEST(read_only),
		TAP_TEST(read_only_remains),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
