/* SPDX-License-Identifier: GPL-2.0-only */
/* Buffer objects; see npu_gem.c. */
#ifndef NPU_GEM_H
#define NPU_GEM_H

#include <drm/drm_gem_shmem_helper.h>

/**
 * struct npu_bo - a buffer
 * @base: GEM object with its pages
 * @sgt: pages as the device sees them, while @pins > 0 and the device is
 *	there; protected by the object's dma_resv
 * @pins: mappings in address spaces, each of which keeps the pages; same lock
 */
struct npu_bo {
	struct drm_gem_shmem_object base;
	struct sg_table *sgt;
	u32 pins;
};

static inline struct npu_bo *to_npu_bo(struct drm_gem_object *obj)
{
	return container_of(to_drm_gem_shmem_obj(obj), struct npu_bo, base);
}

struct drm_gem_object *npu_gem_create_object(struct drm_device *drm, size_t size_bytes);

int npu_bo_pin(struct npu_bo *bo);
void npu_bo_pin_again_locked(struct npu_bo *bo);
void npu_bo_unpin_locked(struct npu_bo *bo);
void npu_bo_unmap_dma(struct npu_bo *bo);

int npu_ioctl_bo_create(struct drm_device *drm, void *data, struct drm_file *file);
int npu_ioctl_bo_mmap_offset(struct drm_device *drm, void *data, struct drm_file *file);

#endif
