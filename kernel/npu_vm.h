/* SPDX-License-Identifier: GPL-2.0-only */
/* Address spaces; see npu_vm.c. */
#ifndef NPU_VM_H
#define NPU_VM_H

#include <drm/drm_gpuvm.h>

#include "npu_pt.h"

struct npu_device;
struct npu_file;

/**
 * struct npu_vm - an address space
 * @base: what is mapped where, protected by @lock; its reference count is ours
 * @ndev: the device
 * @ctx: hardware context
 * @lock: see npu_drv.h
 * @pt: page tables, protected by @lock; gone after unplug
 * @queue_count: queues that use it, protected by @lock
 * @closed: no queue may be added any more, protected by @lock
 * @banned: a job of it faulted or hung: no job of it runs again; written under
 *	npu_device.reset_lock, read without
 */
struct npu_vm {
	struct drm_gpuvm base;
	struct npu_device *ndev;
	u32 ctx;
	struct mutex lock;	/* see npu_drv.h */
	struct npu_pt pt;
	u32 queue_count;
	bool closed;
	bool banned;
};

static inline struct npu_vm *to_npu_vm(struct drm_gpuvm *base)
{
	return container_of(base, struct npu_vm, base);
}

static inline void npu_vm_put(struct npu_vm *vm)
{
	if (vm)
		drm_gpuvm_put(&vm->base);
}

struct npu_vm *npu_vm_lookup(struct npu_file *nfile, u32 id);
int npu_vm_attach_queue(struct npu_vm *vm);
void npu_vm_detach_queue(struct npu_vm *vm);
void npu_vm_close_file(struct npu_file *nfile);
void npu_vm_unplug_all(struct npu_device *ndev);

int npu_ioctl_vm_create(struct drm_device *drm, void *data, struct drm_file *file);
int npu_ioctl_vm_destroy(struct drm_device *drm, void *data, struct drm_file *file);
int npu_ioctl_vm_bind(struct drm_device *drm, void *data, struct drm_file *file);

#endif
