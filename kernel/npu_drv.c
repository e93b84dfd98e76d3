// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module, the PCI function, the device node and its files. How the parts
 * work together, and the locks: npu_drv.h.
 */

#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "npu_compat.h"
#include "npu_drv.h"
#include "npu_gem.h"
#include "npu_job.h"
#include "npu_queue.h"
#include "npu_reset.h"
#include "npu_uapi.h"
#include "npu_vm.h"

static uint npu_timeout_ms = 2000;
module_param_named(timeout_ms, npu_timeout_ms, uint, 0644);
MODULE_PARM_DESC(timeout_ms, "Running time of a job whose queue asks for none, in ms, up to "
		 __stringify(NPU_TIMEOUT_MAX_MS) " (2000)");

struct workqueue_struct *npu_release_wq;

unsigned int npu_default_timeout_ms(void)
{
	return clamp(READ_ONCE(npu_timeout_ms), 1u, (uint)NPU_TIMEOUT_MAX_MS);
}

/* ---- Files ---- */

static int npu_open(struct drm_device *drm, struct drm_file *file)
{
	struct npu_file *nfile = kzalloc(sizeof(*nfile), GFP_KERNEL_ACCOUNT);

	if (!nfile)
		return -ENOMEM;
	xa_init_flags(&nfile->vms, XA_FLAGS_ALLOC);
	xa_init_flags(&nfile->queues, XA_FLAGS_ALLOC);
	file->driver_priv = nfile;
	return 0;
}

static void npu_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct npu_file *nfile = to_npu_file(file);

	npu_queue_close_file(nfile);
	npu_vm_close_file(nfile);
	kfree(nfile);
}

static void npu_show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	struct npu_file *nfile = to_npu_file(file);
	u64 run_ns, cycles;
	struct npu_queue *queue;
	unsigned long id;

	xa_lock(&nfile->queues);
	run_ns = atomic64_read(&nfile->past_run_ns);
	cycles = atomic64_read(&nfile->past_cycles);
	xa_for_each(&nfile->queues, id, queue) {
		run_ns += npu_queue_run_ns(queue);
		cycles += npu_queue_cycles(queue);
	}
	xa_unlock(&nfile->queues);
	drm_printf(p, "drm-engine-npu:\t%llu ns\n", run_ns);
	drm_printf(p, "drm-cycles-npu:\t%llu\n", cycles);
	drm_printf(p, "drm-maxfreq-npu:\t%llu Hz\n",
		   (u64)to_npu_device(file->minor->dev)->hw.clock_khz * 1000);
	drm_show_memory_stats(p, file);
}

/* ---- ioctls ---- */

#define NPU_IOCTL(name, func)	DRM_IOCTL_DEF_DRV(NPU_##name, npu_ioctl_##func, 0)

static const struct drm_ioctl_desc npu_ioctls[] = {
	NPU_IOCTL(DEV_QUERY, dev_query),
	NPU_IOCTL(BO_CREATE, bo_create),
	NPU_IOCTL(BO_MMAP_OFFSET, bo_mmap_offset),
	NPU_IOCTL(VM_CREATE, vm_create),
	NPU_IOCTL(VM_DESTROY, vm_destroy),
	NPU_IOCTL(VM_BIND, vm_bind),
	NPU_IOCTL(QUEUE_CREATE, queue_create),
	NPU_IOCTL(QUEUE_DESTROY, queue_destroy),
	NPU_IOCTL(QUEUE_QUERY, queue_query),
	NPU_IOCTL(SUBMIT, submit),
};

/*
 * The core lets an accel node have every DRM ioctl, and some of those expect a
 * DRM master, which such a node does not have: GET_UNIQUE and GET_MAGIC oops.
 * Only what makes sense here is let through.
 */
static bool npu_ioctl_allowed(unsigned int cmd)
{
	unsigned int nr = DRM_IOCTL_NR(cmd);

	if (nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END)
		return true;
	switch (nr) {
	case DRM_IOCTL_NR(DRM_IOCTL_VERSION):
	case DRM_IOCTL_NR(DRM_IOCTL_GET_CAP):
	case DRM_IOCTL_NR(DRM_IOCTL_GEM_CLOSE):
	case DRM_IOCTL_NR(DRM_IOCTL_PRIME_HANDLE_TO_FD):
	case DRM_IOCTL_NR(DRM_IOCTL_PRIME_FD_TO_HANDLE):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_CREATE):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_DESTROY):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_WAIT):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_RESET):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_SIGNAL):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_QUERY):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_TRANSFER):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL):
	case DRM_IOCTL_NR(DRM_IOCTL_SYNCOBJ_EVENTFD):
		return true;
	default:
		return false;
	}
}

static long npu_unlocked_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return npu_ioctl_allowed(cmd) ? drm_ioctl(filp, cmd, arg) : -EACCES;
}

#ifdef CONFIG_COMPAT
static long npu_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return npu_ioctl_allowed(cmd) ? drm_compat_ioctl(filp, cmd, arg) : -EACCES;
}
#else
#define npu_compat_ioctl	NULL
#endif

static const struct file_operations npu_fops = {
	.owner = THIS_MODULE,
	.open = accel_open,
	.release = drm_release,
	.unlocked_ioctl = npu_unlocked_ioctl,
	.compat_ioctl = npu_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = drm_gem_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver npu_drm_driver = {
	.driver_features = DRIVER_COMPUTE_ACCEL | DRIVER_GEM | DRIVER_GEM_GPUVA |
			   DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE,
	.open = npu_open,
	.postclose = npu_postclose,
	.show_fdinfo = npu_show_fdinfo,
	.gem_create_object = npu_gem_create_object,
	.ioctls = npu_ioctls,
	.num_ioctls = ARRAY_SIZE(npu_ioctls),
	.fops = &npu_fops,
	.name = "npu",
	.desc = "Open NPU",
	NPU_COMPAT_DRIVER_DATE
	.major = DRM_NPU_DRIVER_MAJOR,
	.minor = DRM_NPU_DRIVER_MINOR,
};

/* ---- PCI function ---- */

static void npu_destroy_idas(struct drm_device *drm, void *data)
{
	struct npu_device *ndev = data;

	ida_destroy(&ndev->queue_ida);
	ida_destroy(&ndev->ctx_ida);
}

static int npu_init_locks(struct npu_device *ndev)
{
	int ret;

	spin_lock_init(&ndev->queues_lock);
	ida_init(&ndev->queue_ida);
	ida_init(&ndev->ctx_ida);
	ret = drmm_add_action_or_reset(&ndev->drm, npu_destroy_idas, ndev);
	if (!ret)
		ret = drmm_mutex_init(&ndev->drm, &ndev->detach_lock);
	if (!ret)
		ret = drmm_mutex_init(&ndev->drm, &ndev->vms_lock);
	if (!ret)
		ret = drmm_mutex_init(&ndev->drm, &ndev->tlb_lock);
	return ret;
}

static int npu_init_hw(struct npu_device *ndev)
{
	struct pci_dev *pdev = to_pci_dev(ndev->drm.dev);
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	/* As wide as the address in a page-table entry. */
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(fls64(NPU_PTE_ADDR_MASK)));
	if (ret)
		return ret;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	ret = npu_hw_probe(ndev);
	if (ret)
		return ret;
	ndev->ctx_table = dmam_alloc_coherent(&pdev->dev, NPU_CONTEXTS * NPU_CTX_ENTRY_BYTES,
					      &ndev->ctx_table_dma, GFP_KERNEL);
	if (!ndev->ctx_table)
		return -ENOMEM;
	ret = npu_irq_init(ndev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	ret = npu_hw_reset(ndev);
	if (ret) {
		drm_err(&ndev->drm, "the device does not come out of reset: %d\n", ret);
		pci_clear_master(pdev);
		return ret;
	}
	npu_hw_run(ndev);
	return 0;
}

static int npu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct npu_device *ndev;
	int ret;

	ndev = devm_drm_dev_alloc(&pdev->dev, &npu_drm_driver, struct npu_device, drm);
	if (IS_ERR(ndev))
		return PTR_ERR(ndev);
	pci_set_drvdata(pdev, ndev);
	ret = npu_init_locks(ndev);
	if (!ret)
		ret = npu_reset_init(ndev);
	if (!ret)
		ret = npu_init_hw(ndev);
	if (ret)
		return ret;
	ret = drm_dev_register(&ndev->drm, 0);
	if (ret)
		npu_reset_shutdown(ndev);
	return ret;
}

static void npu_remove(struct pci_dev *pdev)
{
	struct npu_device *ndev = pci_get_drvdata(pdev);

	/* First the DMA: files that are closed from now on free memory at once. */
	npu_reset_shutdown(ndev);
	disable_work_sync(&ndev->wedge_work);
	drm_dev_unplug(&ndev->drm);
	disable_work_sync(&ndev->fault_work);
	npu_queue_unplug_all(ndev);
	npu_vm_unplug_all(ndev);
}

static void npu_pci_reset_prepare(struct pci_dev *pdev)
{
	npu_reset_prepare_function(pci_get_drvdata(pdev));
}

static void npu_pci_reset_done(struct pci_dev *pdev)
{
	npu_reset_finish_function(pci_get_drvdata(pdev));
}

static pci_ers_result_t npu_pci_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	npu_reset_dead(pci_get_drvdata(pdev), "the bus is in error");
	return PCI_ERS_RESULT_DISCONNECT;
}

static const struct pci_error_handlers npu_pci_error_handlers = {
	.error_detected = npu_pci_error_detected,
	.reset_prepare = npu_pci_reset_prepare,
	.reset_done = npu_pci_reset_done,
};

static const struct pci_device_id npu_pci_ids[] = {
	{ PCI_DEVICE(NPU_PCI_VENDOR_ID, NPU_PCI_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, npu_pci_ids);

static struct pci_driver npu_pci_driver = {
	.name = "npu",
	.id_table = npu_pci_ids,
	.probe = npu_probe,
	.remove = npu_remove,
	.err_handler = &npu_pci_error_handlers,
};

static int __init npu_init(void)
{
	int ret;

	npu_release_wq = alloc_workqueue("npu-release", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!npu_release_wq)
		return -ENOMEM;
	ret = pci_register_driver(&npu_pci_driver);
	if (ret)
		destroy_workqueue(npu_release_wq);
	return ret;
}

static void __exit npu_exit(void)
{
	pci_unregister_driver(&npu_pci_driver);
	/* The last lines of whoever dropped the last reference to the module. */
	rcu_barrier();
	destroy_workqueue(npu_release_wq);
}

module_init(npu_init);
module_exit(npu_exit);

MODULE_DESCRIPTION("Open NPU (DRM accel)");
MODULE_LICENSE("GPL");
