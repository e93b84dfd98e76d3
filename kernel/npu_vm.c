// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces: creation, destruction, and the synchronous VM_BIND.
 *
 * A mapping holds its buffer and pins its pages. What a mapping gave up - pages
 * and page tables - is released only after the device has acknowledged that it
 * uses no old translation: a job that still runs then faults, which is its
 * owner's business. Buffers of a job in flight stay, because GEM_CLOSE does not
 * unmap and an address space with queues is not destroyed.
 *
 * Each operation of VM_BIND first gets all memory that it needs and then
 * changes things without failing, so the address space is never half-changed.
 */

#include <linux/sched/signal.h>
#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "npu_drv.h"
#include "npu_gem.h"
#include "npu_reset.h"
#include "npu_trace.h"
#include "npu_uapi.h"
#include "npu_vm.h"

/**
 * struct npu_vma - one mapping
 * @base: range and buffer
 * @link: in a list of mappings that wait for an acknowledgment
 *
 * It holds a reference and a pin of its buffer.
 */
struct npu_vma {
	struct drm_gpuva base;
	struct list_head link;
};

static struct npu_vma *to_npu_vma(struct drm_gpuva *base)
{
	return container_of(base, struct npu_vma, base);
}

/**
 * struct npu_vm_change - what one call changes
 * @vm: address space
 * @map: new mapping of the present operation, preallocated
 * @prev: remains before the range, preallocated
 * @next: remains behind the range, preallocated
 * @vm_bo: for @map
 * @flags: of @map
 * @removed: mappings that the device may still use
 * @tables: page tables that the device may still walk
 * @start: first address with an old translation
 * @end: end of these addresses; not above @start if there is none
 */
struct npu_vm_change {
	struct npu_vm *vm;
	struct npu_vma *map;
	struct npu_vma *prev;
	struct npu_vma *next;
	struct drm_gpuvm_bo *vm_bo;
	u32 flags;
	struct list_head removed;
	struct list_head tables;
	u64 start;
	u64 end;
};

/* ---- Invalidation ---- */

/*
 * Wait until the device uses no old translation of the range. A device that
 * does not answer is reset or has its DMA turned off, as that of a dead device
 * is: no translation either way.
 */
static void npu_vm_invalidate(struct npu_vm *vm, u64 va, u64 bytes)
{
	struct npu_device *ndev = vm->ndev;
	u64 pages = bytes >> NPU_PAGE_SHIFT;
	u32 gen, seq;
	int idx;

	if (READ_ONCE(ndev->dead) || !drm_dev_enter(&ndev->drm, &idx))
		return;
	mutex_lock(&ndev->tlb_lock);
	gen = READ_ONCE(ndev->reset_gen);
	seq = npu_hw_tlb_invalidate(ndev, vm->ctx, va, pages > U32_MAX ? 0 : pages);
	if (!wait_event_timeout(ndev->event_wq,
				npu_hw_tlb_acked(ndev, seq) || READ_ONCE(ndev->reset_gen) != gen,
				msecs_to_jiffies(NPU_ACK_TIMEOUT_MS)))
		npu_reset_device(ndev, gen, "invalidation not acknowledged");
	mutex_unlock(&ndev->tlb_lock);
	drm_dev_exit(idx);
}

/* ---- Mappings ---- */

static void npu_vma_free(struct npu_vma *vma)
{
	struct drm_gem_object *obj = vma->base.gem.obj;

	/* Unlinking may drop the last reference but this one. */
	drm_gem_object_get(obj);
	dma_resv_lock(obj->resv, NULL);
	drm_gpuva_unlink(&vma->base);
	npu_bo_unpin_locked(to_npu_bo(obj));
	dma_resv_unlock(obj->resv);
	drm_gem_object_put(obj);
	kfree(vma);
}

static void npu_vm_unmap_range(struct npu_vm_change *change, u64 va, u64 bytes)
{
	/* No tables: the device is gone, and every translation with it. */
	if (!change->vm->pt.root)
		return;
	npu_pt_unmap(&change->vm->pt, va, bytes);
	change->start = min(change->start, va);
	change->end = max(change->end, va + bytes);
}

static int npu_vm_step_map(struct drm_gpuva_op *op, void *priv)
{
	struct npu_vm_change *change = priv;
	struct drm_gem_object *obj = op->map.gem.obj;
	struct npu_vma *vma = change->map;
	u64 pte_flags = NPU_PTE_READ;

	change->map = NULL;
	if (!(change->flags & DRM_NPU_VM_BIND_READONLY))
		pte_flags |= NPU_PTE_WRITE;
	drm_gpuva_map(&change->vm->base, &vma->base, &op->map);
	dma_resv_lock(obj->resv, NULL);
	drm_gpuva_link(&vma->base, change->vm_bo);
	dma_resv_unlock(obj->resv);
	npu_pt_map(&change->vm->pt, op->map.va.addr, op->map.va.range, to_npu_bo(obj)->sgt,
		   op->map.gem.offset, pte_flags);
	return 0;
}

static int npu_vm_step_remap(struct drm_gpuva_op *op, void *priv)
{
	struct npu_vm_change *change = priv;
	struct npu_vma *old = to_npu_vma(op->remap.unmap->va);
	struct npu_vma *prev = op->remap.prev ? change->prev : NULL;
	struct npu_vma *next = op->remap.next ? change->next : NULL;
	struct drm_gem_object *obj = old->base.gem.obj;
	u64 va, bytes;

	drm_gpuva_op_remap_to_unmap_range(&op->remap, &va, &bytes);
	npu_vm_unmap_range(change, va, bytes);
	drm_gpuva_remap(prev ? &prev->base : NULL, next ? &next->base : NULL, &op->remap);

	dma_resv_lock(obj->resv, NULL);
	if (prev) {
		drm_gpuva_link(&prev->base, old->base.vm_bo);
		npu_bo_pin_again_locked(to_npu_bo(obj));
		change->prev = NULL;
	}
	if (next) {
		drm_gpuva_link(&next->base, old->base.vm_bo);
		npu_bo_pin_again_locked(to_npu_bo(obj));
		change->next = NULL;
	}
	dma_resv_unlock(obj->resv);
	list_add_tail(&old->link, &change->removed);
	return 0;
}

static int npu_vm_step_unmap(struct drm_gpuva_op *op, void *priv)
{
	struct npu_vm_change *change = priv;
	struct npu_vma *vma = to_npu_vma(op->unmap.va);

	npu_vm_unmap_range(change, vma->base.va.addr, vma->base.va.range);
	drm_gpuva_unmap(&op->unmap);
	list_add_tail(&vma->link, &change->removed);
	return 0;
}

static void npu_vm_free(struct drm_gpuvm *base)
{
	struct npu_vm *vm = to_npu_vm(base);

	mutex_destroy(&vm->lock);
	kfree(vm);
}

static struct drm_gpuvm_bo *npu_vm_bo_alloc(void)
{
	return kzalloc(sizeof(struct drm_gpuvm_bo), GFP_KERNEL_ACCOUNT);
}

static void npu_vm_bo_free(struct drm_gpuvm_bo *vm_bo)
{
	kfree(vm_bo);
}

static const struct drm_gpuvm_ops npu_vm_ops = {
	.vm_free = npu_vm_free,
	.vm_bo_alloc = npu_vm_bo_alloc,
	.vm_bo_free = npu_vm_bo_free,
	.sm_step_map = npu_vm_step_map,
	.sm_step_remap = npu_vm_step_remap,
	.sm_step_unmap = npu_vm_step_unmap,
};

/* ---- Changes ---- */

static void npu_vm_change_init(struct npu_vm_change *change, struct npu_vm *vm)
{
	*change = (struct npu_vm_change) {
		.vm = vm,
		.start = U64_MAX,
		.removed = LIST_HEAD_INIT(change->removed),
		.tables = LIST_HEAD_INIT(change->tables),
	};
}

/* Make the device forget what was removed, then let go of it. */
static void npu_vm_change_finish(struct npu_vm_change *change)
{
	struct npu_vma *vma, *next;

	if (change->start < change->end)
		npu_vm_invalidate(change->vm, change->start, change->end - change->start);
	list_for_each_entry_safe(vma, next, &change->removed, link)
		npu_vma_free(vma);
	npu_pt_free_tables(&change->vm->pt, &change->tables);
}

/* Unlink empty tables of the range; the device may have cached a way to them. */
static void npu_vm_change_prune(struct npu_vm_change *change, u64 va, u64 bytes)
{
	const struct list_head *last = change->tables.prev;

	npu_pt_prune(&change->vm->pt, va, bytes, &change->tables);
	if (change->tables.prev == last)
		return;
	change->start = min(change->start, va);
	change->end = max(change->end, va + bytes);
}

static void npu_vm_change_unprepare(struct npu_vm_change *change)
{
	kfree(change->map);
	kfree(change->prev);
	kfree(change->next);
	change->map = NULL;
	change->prev = NULL;
	change->next = NULL;
}

static void npu_vm_change_put_vm_bo(struct npu_vm_change *change, struct drm_gem_object *obj)
{
	if (!change->vm_bo)
		return;
	dma_resv_lock(obj->resv, NULL);
	drm_gpuvm_bo_put(change->vm_bo);
	dma_resv_unlock(obj->resv);
	change->vm_bo = NULL;
}

static int npu_vm_change_prepare(struct npu_vm_change *change)
{
	change->prev = kzalloc(sizeof(*change->prev), GFP_KERNEL_ACCOUNT);
	change->next = kzalloc(sizeof(*change->next), GFP_KERNEL_ACCOUNT);
	return change->prev && change->next ? 0 : -ENOMEM;
}

static int npu_vm_change_prepare_map(struct npu_vm_change *change,
				     const struct drm_npu_vm_bind_op *op,
				     struct drm_gem_object *obj)
{
	struct npu_vm *vm = change->vm;
	struct drm_gpuvm_bo *vm_bo;
	int ret;

	change->flags = op->flags;
	change->map = kzalloc(sizeof(*change->map), GFP_KERNEL_ACCOUNT);
	if (!change->map)
		return -ENOMEM;
	ret = npu_pt_reserve(&vm->pt, op->va, op->size);
	if (ret)
		return ret;
	dma_resv_lock(obj->resv, NULL);
	vm_bo = drm_gpuvm_bo_obtain(&vm->base, obj);
	dma_resv_unlock(obj->resv);
	if (IS_ERR(vm_bo))
		return PTR_ERR(vm_bo);
	change->vm_bo = vm_bo;
	return npu_bo_pin(to_npu_bo(obj));
}

static int npu_vm_map(struct npu_vm_change *change, const struct drm_npu_vm_bind_op *op,
		      struct drm_gem_object *obj)
{
	int ret;

	ret = npu_vm_change_prepare(change);
	if (!ret)
		ret = npu_vm_change_prepare_map(change, op, obj);
	if (!ret)
		ret = drm_gpuvm_sm_map(&change->vm->base, change, op->va, op->size, obj,
				       op->bo_offset);
	npu_vm_change_unprepare(change);
	npu_vm_change_put_vm_bo(change, obj);
	npu_vm_change_prune(change, op->va, op->size);
	return ret;
}

static int npu_vm_unmap(struct npu_vm_change *change, u64 va, u64 bytes)
{
	int ret;

	ret = npu_vm_change_prepare(change);
	if (!ret)
		ret = drm_gpuvm_sm_unmap(&change->vm->base, change, va, bytes);
	npu_vm_change_unprepare(change);
	npu_vm_change_prune(change, va, bytes);
	return ret;
}

/* ---- Life ---- */

static void npu_vm_set_ctx(struct npu_vm *vm, u64 root)
{
	__le64 *entry = vm->ndev->ctx_table + vm->ctx * (NPU_CTX_ENTRY_BYTES / sizeof(__le64));

	dma_wmb();
	WRITE_ONCE(*entry, cpu_to_le64(root));
}

static struct npu_vm *npu_vm_make(struct npu_device *ndev)
{
	struct drm_gem_object *resv_obj;
	struct npu_vm *vm;
	int ret;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	ret = ida_alloc_range(&ndev->ctx_ida, 1, ndev->hw.contexts - 1, GFP_KERNEL);
	if (ret < 0)
		goto err_free;
	vm->ctx = ret;
	ret = npu_pt_init(&vm->pt, ndev->drm.dev);
	if (ret)
		goto err_free_ctx;
	resv_obj = drm_gpuvm_resv_object_alloc(&ndev->drm);
	if (!resv_obj) {
		ret = -ENOMEM;
		goto err_free_pt;
	}
	vm->ndev = ndev;
	mutex_init(&vm->lock);
	drm_gpuvm_init(&vm->base, "npu", 0, &ndev->drm, resv_obj, NPU_VA_START,
		       NPU_VA_END - NPU_VA_START, 0, 0, &npu_vm_ops);
	drm_gem_object_put(resv_obj);

	mutex_lock(&ndev->vms_lock);
	ndev->vms[vm->ctx] = vm;
	mutex_unlock(&ndev->vms_lock);
	npu_vm_set_ctx(vm, npu_pt_root_dma(&vm->pt) | NPU_CTX_VALID);
	atomic_inc(&ndev->vms_used);
	return vm;

err_free_pt:
	npu_pt_fini(&vm->pt);
err_free_ctx:
	ida_free(&ndev->ctx_ida, vm->ctx);
err_free:
	kfree(vm);
	return ERR_PTR(ret);
}

/*
 * Take the address space off the device and drop the file's reference. It stays
 * in npu_device.vms until it holds no DMA mapping, so that removal of the
 * device finds it.
 */
static void npu_vm_close(struct npu_vm *vm)
{
	struct npu_device *ndev = vm->ndev;
	struct npu_vm_change change;
	struct drm_gpuva *va, *next;
	int idx;

	mutex_lock(&vm->lock);
	vm->closed = true;
	if (drm_dev_enter(&ndev->drm, &idx)) {
		npu_vm_set_ctx(vm, 0);
		npu_vm_invalidate(vm, 0, NPU_VA_END);
		drm_dev_exit(idx);
	}
	npu_pt_fini(&vm->pt);
	npu_vm_change_init(&change, vm);
	drm_gpuvm_for_each_va_safe(va, next, &vm->base) {
		drm_gpuva_remove(va);
		list_add_tail(&to_npu_vma(va)->link, &change.removed);
	}
	npu_vm_change_finish(&change);
	mutex_unlock(&vm->lock);

	mutex_lock(&ndev->vms_lock);
	ndev->vms[vm->ctx] = NULL;
	mutex_unlock(&ndev->vms_lock);
	ida_free(&ndev->ctx_ida, vm->ctx);
	atomic_dec(&ndev->vms_used);
	npu_vm_put(vm);
}

/* The device is gone: free what belongs to its DMA. Buffers keep their pages. */
static void npu_vm_unplug(struct npu_vm *vm)
{
	struct drm_gpuva *va;

	mutex_lock(&vm->lock);
	npu_pt_fini(&vm->pt);
	drm_gpuvm_for_each_va(va, &vm->base)
		npu_bo_unmap_dma(to_npu_bo(va->gem.obj));
	mutex_unlock(&vm->lock);
}

/**
 * npu_vm_unplug_all() - release the DMA of all address spaces
 * @ndev: device, unplugged and with DMA off
 */
void npu_vm_unplug_all(struct npu_device *ndev)
{
	unsigned int ctx;

	for (ctx = 0; ctx < NPU_CONTEXTS; ctx++) {
		struct npu_vm *vm;

		mutex_lock(&ndev->vms_lock);
		vm = ndev->vms[ctx];
		if (vm)
			drm_gpuvm_get(&vm->base);
		mutex_unlock(&ndev->vms_lock);
		if (!vm)
			continue;
		npu_vm_unplug(vm);
		npu_vm_put(vm);
	}
}

/* Return: a reference to the address space @id of the file, or NULL */
struct npu_vm *npu_vm_lookup(struct npu_file *nfile, u32 id)
{
	struct npu_vm *vm;

	xa_lock(&nfile->vms);
	vm = xa_load(&nfile->vms, id);
	if (vm)
		drm_gpuvm_get(&vm->base);
	xa_unlock(&nfile->vms);
	return vm;
}

/**
 * npu_vm_attach_queue() - keep the address space from being destroyed
 * @vm: address space
 *
 * Return: 0, or -ENOENT when it is being destroyed
 */
int npu_vm_attach_queue(struct npu_vm *vm)
{
	int ret = 0;

	mutex_lock(&vm->lock);
	if (vm->closed)
		ret = -ENOENT;
	else
		vm->queue_count++;
	mutex_unlock(&vm->lock);
	return ret;
}

void npu_vm_detach_queue(struct npu_vm *vm)
{
	mutex_lock(&vm->lock);
	vm->queue_count--;
	mutex_unlock(&vm->lock);
}

/* Close what the file still has; its queues are gone. */
void npu_vm_close_file(struct npu_file *nfile)
{
	struct npu_vm *vm;
	unsigned long id;

	xa_for_each(&nfile->vms, id, vm) {
		xa_erase(&nfile->vms, id);
		npu_vm_close(vm);
	}
	xa_destroy(&nfile->vms);
}

/* ---- ioctls ---- */

int npu_ioctl_vm_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct npu_device *ndev = to_npu_device(drm);
	struct npu_file *nfile = to_npu_file(file);
	struct drm_npu_vm_create *args = data;
	struct npu_vm *vm;
	int idx, ret;
	u32 id;

	if (args->flags)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	ret = READ_ONCE(ndev->dead);
	if (ret)
		goto out_exit;
	if (atomic_inc_return(&nfile->vm_count) > NPU_FILE_VMS_MAX) {
		ret = -ENOSPC;
		goto err_count;
	}
	/* The id is taken first and leads nowhere until everything is ready. */
	ret = xa_alloc_cyclic(&nfile->vms, &id, NULL, XA_LIMIT(1, INT_MAX),
			      &nfile->next_vm_id, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		goto err_count;
	vm = npu_vm_make(ndev);
	if (IS_ERR(vm)) {
		ret = PTR_ERR(vm);
		goto err_id;
	}
	xa_store(&nfile->vms, id, vm, GFP_KERNEL_ACCOUNT);
	args->vm_id = id;
	ret = 0;
	goto out_exit;

err_id:
	xa_release(&nfile->vms, id);
err_count:
	atomic_dec(&nfile->vm_count);
out_exit:
	drm_dev_exit(idx);
	return ret;
}

int npu_ioctl_vm_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct npu_file *nfile = to_npu_file(file);
	struct drm_npu_vm_destroy *args = data;
	struct npu_vm *vm;
	int ret = 0;

	if (args->pad)
		return -EINVAL;
	vm = npu_vm_lookup(nfile, args->vm_id);
	if (!vm)
		return -ENOENT;
	mutex_lock(&vm->lock);
	if (vm->closed)
		ret = -ENOENT;
	else if (vm->queue_count)
		ret = -EBUSY;
	else
		vm->closed = true;
	mutex_unlock(&vm->lock);
	if (!ret) {
		xa_erase(&nfile->vms, args->vm_id);
		npu_vm_close(vm);
		atomic_dec(&nfile->vm_count);
	}
	npu_vm_put(vm);
	return ret;
}

static int npu_vm_bind_check(const struct drm_npu_vm_bind_op *op)
{
	if (op->pad || !op->size)
		return -EINVAL;
	if (!IS_ALIGNED(op->va | op->size | op->bo_offset, NPU_PAGE_BYTES))
		return -EINVAL;
	if (op->va < NPU_VA_START || op->va > NPU_VA_END || op->size > NPU_VA_END - op->va)
		return -EINVAL;
	switch (op->op) {
	case DRM_NPU_VM_BIND_OP_MAP:
		return op->flags & ~DRM_NPU_VM_BIND_READONLY ? -EINVAL : 0;
	case DRM_NPU_VM_BIND_OP_UNMAP:
		return op->flags || op->handle || op->bo_offset ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* Check all operations, look up their buffers; the caller puts @objs, also on error. */
static int npu_vm_bind_prepare(struct drm_file *file, const struct drm_npu_vm_bind_op *ops,
			       u32 count, struct drm_gem_object **objs)
{
	int ret;
	u32 i;

	for (i = 0; i < count; i++) {
		ret = npu_vm_bind_check(&ops[i]);
		if (ret)
			return ret;
		if (ops[i].op != DRM_NPU_VM_BIND_OP_MAP)
			continue;
		objs[i] = drm_gem_object_lookup(file, ops[i].handle);
		if (!objs[i])
			return -ENOENT;
		if (ops[i].bo_offset > objs[i]->size ||
		    ops[i].size > objs[i]->size - ops[i].bo_offset)
			return -EINVAL;
	}
	return 0;
}

static int npu_vm_bind_locked(struct npu_vm *vm, const struct drm_npu_vm_bind_op *ops,
			      u32 count, struct drm_gem_object **objs, u32 *done)
{
	struct npu_vm_change change;
	int ret = 0;
	u32 i;

	lockdep_assert_held(&vm->lock);
	npu_vm_change_init(&change, vm);
	for (i = 0; i < count; i++) {
		if (ops[i].op == DRM_NPU_VM_BIND_OP_MAP)
			ret = npu_vm_map(&change, &ops[i], objs[i]);
		else
			ret = npu_vm_unmap(&change, ops[i].va, ops[i].size);
		if (ret)
			break;
		trace_npu_vm_bind(vm->ndev, vm->ctx, &ops[i]);
		cond_resched();
	}
	npu_vm_change_finish(&change);
	*done = i;
	return ret;
}

int npu_ioctl_vm_bind(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct npu_device *ndev = to_npu_device(drm);
	struct drm_npu_vm_bind *args = data;
	struct drm_npu_vm_bind_op *ops;
	struct drm_gem_object **objs;
	u32 i, count = args->ops.count;
	struct npu_vm *vm;
	int idx, ret;

	if (args->flags || !count)
		return -EINVAL;
	ops = npu_uapi_array_copy(&args->ops, sizeof(*ops), DRM_NPU_VM_BIND_OPS_MAX);
	if (IS_ERR(ops))
		return PTR_ERR(ops);
	objs = kvcalloc(count, sizeof(*objs), GFP_KERNEL_ACCOUNT);
	if (!objs) {
		ret = -ENOMEM;
		goto out_free;
	}
	vm = npu_vm_lookup(to_npu_file(file), args->vm_id);
	if (!vm) {
		ret = -ENOENT;
		goto out_free;
	}
	ret = npu_vm_bind_prepare(file, ops, count, objs);
	if (ret)
		goto out_put;
	if (!drm_dev_enter(drm, &idx)) {
		ret = -ENODEV;
		goto out_put;
	}
	ret = mutex_lock_interruptible(&vm->lock);
	if (ret)
		goto out_exit;
	ret = vm->closed ? -ENOENT : READ_ONCE(ndev->dead);
	if (!ret)
		ret = npu_vm_bind_locked(vm, ops, count, objs, &args->ops.count);
	mutex_unlock(&vm->lock);
out_exit:
	drm_dev_exit(idx);
out_put:
	for (i = 0; i < count; i++)
		if (objs[i])
			drm_gem_object_put(objs[i]);
	npu_vm_put(vm);
out_free:
	kvfree(objs);
	kvfree(ops);
	return ret;
}
