// SPDX-License-Identifier: MIT
/* Buffers: content, mappings, sharing between files, accounting. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <xf86drm.h>

#include "util.h"

/* What was in memory before must not show: the guest boots with init_on_alloc=0. */
static void memory_is_zeroed(void)
{
	const uint64_t bytes = 4 << 20;
	int fd = need_open(), round;
	uint64_t i;

	for (round = 0; round < rounds(8); round++) {
		struct buffer buffer = need_buffer(fd, bytes);

		for (i = 0; i < bytes / 8; i++)
			if (((uint64_t *)buffer.map)[i])
				tap_fail("round %d: word %llu is not 0", round,
					 (unsigned long long)i);
		memset(buffer.map, 0xa5, bytes);
		buffer_close(fd, &buffer);
	}
	node_close(fd);
}

static void two_mappings_see_each_other(void)
{
	struct drm_npu_bo_mmap_offset offset = {};
	int fd = need_open();
	struct buffer buffer = need_buffer(fd, 2 * PAGE);
	uint32_t *second;

	offset.handle = buffer.handle;
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset), 0);
	second = mmap(NULL, buffer.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset.offset);
	check(second != MAP_FAILED);
	((uint32_t *)buffer.map)[1024] = 0x12345678;
	check_eq(second[1024], 0x12345678);
	munmap(second, buffer.bytes);
	buffer_close(fd, &buffer);
	node_close(fd);
}

static void mmap_arguments(void)
{
	struct drm_npu_bo_mmap_offset offset = {};
	int fd = need_open();
	struct buffer buffer = need_buffer(fd, 2 * PAGE);
	void *map;

	offset.handle = buffer.handle;
	check_eq(npu_ioctl(fd, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset), 0);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, offset.offset);
	check(map == MAP_FAILED && errno == EINVAL);
	map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, offset.offset);
	check(map == MAP_FAILED && errno == EINVAL);
	map = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, offset.offset);
	check(map == MAP_FAILED && errno == EINVAL);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	check(map == MAP_FAILED && errno == EINVAL);
	/* It does not grow. */
	map = mremap(buffer.map, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	check(map == MAP_FAILED);
	/* It moves. */
	((char *)buffer.map)[PAGE] = 42;
	map = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(map != MAP_FAILED);
	map = mremap(buffer.map, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map);
	check(map != MAP_FAILED);
	check_eq(((char *)map)[PAGE], 42);
	munmap(map, 2 * PAGE);
	node_close(fd);
}

static void mapping_outlives_handle_and_file(void)
{
	int fd = need_open();
	struct buffer buffer = need_buffer(fd, PAGE);
	struct drm_gem_close gem_close = { .handle = buffer.handle };

	strcpy(buffer.map, "still here");
	check_eq(npu_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem_close), 0);
	check(!strcmp(buffer.map, "still here"));
	close(fd);
	check(!strcmp(buffer.map, "still here"));
	node_close(fd);
}

static void forked_child(void *arg)
{
	struct buffer *buffer = arg;

	check(!strcmp(buffer->map, "from the parent"));
	strcpy(buffer->map, "from the child");
}

static void mapping_survives_fork(void)
{
	int fd = need_open();
	struct buffer buffer = need_buffer(fd, PAGE);

	strcpy(buffer.map, "from the parent");
	need_exit(need_fork(forked_child, &buffer));
	check(!strcmp(buffer.map, "from the child"));
	buffer_close(fd, &buffer);
	node_close(fd);
}

static void shared_by_dma_buf(void)
{
	int fd = need_open(), other = need_open(), dma_buf = -1;
	struct buffer buffer = need_buffer(fd, PAGE);
	struct drm_npu_bo_mmap_offset offset = {};
	char *map;

	check_eq(drmPrimeHandleToFD(fd, buffer.handle, DRM_CLOEXEC | DRM_RDWR, &dma_buf), 0);
	check_eq(drmPrimeFDToHandle(other, dma_buf, &offset.handle), 0);
	check_eq(npu_ioctl(other, DRM_IOCTL_NPU_BO_MMAP_OFFSET, &offset), 0);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other, offset.offset);
	check(map != MAP_FAILED);
	strcpy(buffer.map, "shared");
	check(!strcmp(map, "shared"));
	buffer_close(fd, &buffer);
	node_close(fd);
	close(dma_buf);
	check(!strcmp(map, "shared"));
	munmap(map, PAGE);
	node_close(other);
}

static void fdinfo_counts_memory(void)
{
	int fd = need_open();
	uint64_t before = need_fdinfo(fd, "drm-total-memory");
	struct buffer buffer = need_buffer(fd, 64 * PAGE);

	check_eq(need_fdinfo(fd, "drm-total-memory") - before, 64 * PAGE);
	check_eq(need_fdinfo(fd, "drm-resident-memory") - before, 64 * PAGE);
	buffer_close(fd, &buffer);
	check_eq(need_fdinfo(fd, "drm-total-memory"), before);
	node_close(fd);
}

/* Memory is taken when it is first used, so this asks for more than there is. */
static void many_and_large(void)
{
	uint32_t handle;
	int fd = need_open(), i;

	for (i = 0; i < rounds(1000); i++)
		check_eq(bo_create(fd, 256 << 20, &handle), 0);
	node_close(fd);
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(memory_is_zeroed),
		TAP_TEST(two_mappings_see_each_other),
		TAP_TEST(mmap_arguments),
		TAP_TEST(mapping_outlives_handle_and_file),
		TAP_TEST(mapping_survives_fork),
		TAP_TEST(shared_by_dma_buf),
		TAP_TEST(fdinfo_counts_memory),
		TAP_TEST(many_and_large),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
