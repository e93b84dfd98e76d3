/* SPDX-License-Identifier: MIT */
/* Address spaces: which buffer is where, and the choice of free addresses. */
#include <errno.h>
#include <stdlib.h>
#include "internal.h"

/* Where the library starts to place buffers: small addresses are mistakes. */
#define FIRST_VA	(1ull << 20)
/* Buffers of this size and more are placed so that large pages are possible. */
#define LARGE_BYTES	NPU_LARGE_PAGE_BYTES

struct npu_space *npu_space_create(struct npu_device *dev)
{
	struct npu_space *space = calloc(1, sizeof(*space));

	if (!space)
		return npu_fail_null(-ENOMEM, "address space: out of memory");
	space->dev = dev;
	if (dev->ops->space_create(space)) {
		free(space);
		return NULL;
	}
	return space;
}

int npu_space_destroy(struct npu_space *space)
{
	int ret;

	if (!space)
		return 0;
	ret = space->dev->ops->space_destroy(space);
	if (ret)
		return ret;
	npu_ranges_free(&space->used);
	free(space);
	return 0;
}

static int check_va(const struct npu_space *space, const char *what, uint64_t va,
		    uint64_t bytes)
{
	const struct npu_device *dev = space->dev;

	if (va % NPU_PAGE_BYTES || bytes % NPU_PAGE_BYTES || !bytes)
		return npu_fail(-EINVAL, "%s: %#llx bytes at %#llx: not a number of whole pages",
				what, (unsigned long long)bytes, (unsigned long long)va);
	if (va < dev->va_start || va > dev->va_end || bytes > dev->va_end - va)
		return npu_fail(-EINVAL,
				"%s: %#llx bytes at %#llx: not between %#llx and %#llx",
				what, (unsigned long long)bytes, (unsigned long long)va,
				(unsigned long long)dev->va_start,
				(unsigned long long)dev->va_end);
	return 0;
}

int npu_space_map_at(struct npu_space *space, struct npu_buffer *buf, uint64_t buffer_offset,
		     uint64_t bytes, uint64_t va, unsigned int flags)
{
	struct drm_npu_vm_bind_op op = {
		.op = DRM_NPU_VM_BIND_OP_MAP,
		.flags = flags & NPU_MAP_READONLY ? DRM_NPU_VM_BIND_READONLY : 0,
		.bo_offset = buffer_offset,
		.va = va,
		.size = bytes,
	};
	int ret;

	if (flags & ~NPU_MAP_READONLY)
		return npu_fail(-EINVAL, "map: unknown flags %#x", flags & ~NPU_MAP_READONLY);
	if (buf->dev != space->dev)
		return npu_fail(-EINVAL, "map: the buffer belongs to another device");
	ret = check_va(space, "map", va, bytes);
	if (ret)
		return ret;
	if (buffer_offset % NPU_PAGE_BYTES)
		return npu_fail(-EINVAL, "map: offset %#llx is not a number of whole pages",
				(unsigned long long)buffer_offset);
	ret = npu_buffer_check_range(buf, buffer_offset, bytes);
	if (ret)
		return ret;
	if (npu_ranges_reserve(&space->used))
		return npu_fail_memory("map");
	ret = space->dev->ops->space_bind(space, buf, &op);
	if (!ret)
		npu_ranges_add(&space->used, va, va + bytes);
	return ret;
}

int npu_space_map(struct npu_space *space, struct npu_buffer *buf, unsigned int flags,
		  uint64_t *va)
{
	const struct npu_device *dev = space->dev;
	uint64_t start = dev->va_start > FIRST_VA ? dev->va_start : FIRST_VA;
	uint64_t align = buf->bytes >= LARGE_BYTES ? LARGE_BYTES : NPU_PAGE_BYTES;
	uint64_t place;
	int ret;

	/* A page stays free around each buffer, so that running over its end faults. */
	if (!npu_ranges_find(&space->used, start, dev->va_end, buf->bytes, align,
			     NPU_PAGE_BYTES, &place))
		return npu_fail(-ENOSPC, "map: no %#llx free addresses in a row",
				(unsigned long long)buf->bytes);
	ret = npu_space_map_at(space, buf, 0, buf->bytes, place, flags);
	if (!ret)
		*va = place;
	return ret;
}

int npu_space_unmap(struct npu_space *space, uint64_t va, uint64_t bytes)
{
	struct drm_npu_vm_bind_op op = {
		.op = DRM_NPU_VM_BIND_OP_UNMAP,
		.va = va,
		.size = bytes,
	};
	int ret = check_va(space, "unmap", va, bytes);

	if (ret)
		return ret;
	if (npu_ranges_reserve(&space->used))
		return npu_fail_memory("unmap");
	ret = space->dev->ops->space_bind(space, NULL, &op);
	if (!ret)
		npu_ranges_remove(&space->used, va, va + bytes);
	return ret;
}
