// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffer objects: pageable memory from shmem, which address spaces pin and map
 * for the device while they have it bound. A mapping by the CPU keeps the pages
 * for itself, so it stays readable when the device is gone.
 *
 * Synchronisation is explicit only: no fence is ever put into a dma_resv.
 */

#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <drm/drm_gem.h>
#include <drm/drm_vma_manager.h>

#include "npu_drv.h"
#include "npu_gem.h"
#include "npu_uapi.h"

static void npu_gem_free(struct drm_gem_object *obj)
{
	struct npu_bo *bo = to_npu_bo(obj);

	/* Address spaces hold references, so none has it bound. */
	drm_WARN_ON(obj->dev, bo->pins || bo->sgt);
	drm_gem_shmem_free(&bo->base);
}

static enum drm_gem_object_status npu_gem_status(struct drm_gem_object *obj)
{
	return READ_ONCE(to_npu_bo(obj)->base.pages) ? DRM_GEM_OBJECT_RESIDENT : 0;
}

static const struct drm_gem_object_funcs npu_gem_funcs = {
	.free = npu_gem_free,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = drm_gem_shmem_object_mmap,
	.status = npu_gem_status,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

/* For drm_gem_shmem_create(): room for our part. */
struct drm_gem_object *npu_gem_create_object(struct drm_device *drm, size_t size_bytes)
{
	struct npu_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);

	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->base.base.funcs = &npu_gem_funcs;
	return &bo->base.base;
}

static int npu_bo_map_dma_locked(struct npu_bo *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct sg_table *sgt;
	int ret;

	ret = drm_gem_shmem_pin_locked(&bo->base);
	if (ret)
		return ret;
	sgt = drm_gem_shmem_get_sg_table(&bo->base);
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
		goto err_unpin;
	}
	ret = dma_map_sgtable(obj->dev->dev, sgt, DMA_BIDIRECTIONAL, 0);
	if (ret)
		goto err_free_sgt;
	bo->sgt = sgt;
	return 0;

err_free_sgt:
	sg_free_table(sgt);
	kfree(sgt);
err_unpin:
	drm_gem_shmem_unpin_locked(&bo->base);
	return ret;
}

static void npu_bo_unmap_dma_locked(struct npu_bo *bo)
{
	dma_resv_assert_held(bo->base.base.resv);
	if (!bo->sgt)
		return;
	dma_unmap_sgtable(bo->base.base.dev->dev, bo->sgt, DMA_BIDIRECTIONAL, 0);
	sg_free_table(bo->sgt);
	kfree(bo->sgt);
	bo->sgt = NULL;
}

/**
 * npu_bo_pin() - keep the pages and make them visible to the device
 * @bo: buffer; bo->sgt is valid until the pin is dropped
 *
 * Context: between drm_dev_enter() and drm_dev_exit()
 * Return: 0 or -errno
 */
int npu_bo_pin(struct npu_bo *bo)
{
	int ret = 0;

	dma_resv_lock(bo->base.base.resv, NULL);
	if (!bo->pins)
		ret = npu_bo_map_dma_locked(bo);
	if (!ret)
		bo->pins++;
	dma_resv_unlock(bo->base.base.resv);
	return ret;
}

/* One more pin of a buffer that is pinned. */
void npu_bo_pin_again_locked(struct npu_bo *bo)
{
	dma_resv_assert_held(bo->base.base.resv);
	drm_WARN_ON(bo->base.base.dev, !bo->pins);
	bo->pins++;
}

/* Drop a pin; the device must not be able to reach the pages through it. */
void npu_bo_unpin_locked(struct npu_bo *bo)
{
	dma_resv_assert_held(bo->base.base.resv);
	if (--bo->pins)
		return;
	npu_bo_unmap_dma_locked(bo);
	drm_gem_shmem_unpin_locked(&bo->base);
}

/* The device is gone for good: undo the DMA mapping, keep pins and pages. */
void npu_bo_unmap_dma(struct npu_bo *bo)
{
	dma_resv_lock(bo->base.base.resv, NULL);
	npu_bo_unmap_dma_locked(bo);
	dma_resv_unlock(bo->base.base.resv);
}

int npu_ioctl_bo_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_npu_bo_create *args = data;
	struct drm_gem_shmem_object *shmem;
	int ret;

	if (args->flags || !args->size)
		return -EINVAL;
	if (args->size > NPU_VA_END - NPU_VA_START)
		return -EINVAL;
	/* Nothing larger can ever be bound, and arrays of its pages stay sane. */
	if (args->size >> PAGE_SHIFT >= totalram_pages())
		return -ENOMEM;

	shmem = drm_gem_shmem_create(drm, args->size);
	if (IS_ERR(shmem))
		return PTR_ERR(shmem);
	ret = drm_gem_handle_create(file, &shmem->base, &args->handle);
	if (!ret)
		args->size = shmem->base.size;
	/* The handle keeps it. */
	drm_gem_object_put(&shmem->base);
	return ret;
}

int npu_ioctl_bo_mmap_offset(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_npu_bo_mmap_offset *args = data;
	struct drm_gem_object *obj;

	if (args->pad)
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	/* The offset was made with the object. */
	args->offset = drm_vma_node_offset_addr(&obj->vma_node);
	drm_gem_object_put(obj);
	return 0;
}
