/*
 * The NPU as a PCI device: glue between QEMU and the device core.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Owns what is QEMU's: PCI identity, BARs, MSI-X, reset, properties, and access
 * to guest memory. Everything that docs/hardware.md describes happens in the
 * core (npu_core.h).
 *
 * Threads: the core's workers call npu_dma_*() and npu_irq() without the big
 * lock and never take it. Interrupts go through a guarded bottom half. DMA
 * reaches plain RAM only, so it neither re-enters a device nor waits for the
 * big lock; that makes it safe to join the workers in unrealize.
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "system/dma.h"
#include "exec/memory.h"
#include "npu_core.h"
#include "npu_regs.h"
#include "trace.h"

#define TYPE_NPU "npu"
OBJECT_DECLARE_SIMPLE_TYPE(NPUState, NPU)

#define NPU_PCIE_CAP_OFFSET 0x80

QEMU_BUILD_BUG_ON(NPU_VECTORS > 32); /* irq_pending is a word */

struct NPUState {
    PCIDevice parent_obj;

    MemoryRegion regs;
    struct npu_core *core;
    struct npu_core_config config;
    char *variant;

    QEMUBH *irq_bh;
    uint32_t irq_pending; /* atomic: vectors to raise, set by any thread */
};

/*
 * Whether all of a range is RAM that can be copied directly: then the access
 * below finishes without the big lock. Called within an RCU critical section.
 */
static bool npu_range_is_ram(AddressSpace *as, dma_addr_t addr, dma_addr_t len,
                             bool is_write)
{
    const MemTxAttrs attrs = { .memory = 1 };

    while (len) {
        hwaddr xlat;
        hwaddr part = len;
        MemoryRegion *mr = address_space_translate(as, addr, &xlat, &part,
                                                   is_write, attrs);

        if (!part || !memory_access_is_direct(mr, is_write, attrs)) {
            return false;
        }
        addr += part;
        len -= part;
    }
    return true;
}

static int npu_dma(NPUState *s, dma_addr_t addr, void *buf, size_t len,
                   DMADirection dir)
{
    const MemTxAttrs attrs = { .memory = 1 };
    AddressSpace *as = pci_get_address_space(PCI_DEVICE(s));
    bool is_write = dir == DMA_DIRECTION_FROM_DEVICE;

    RCU_READ_LOCK_GUARD();
    if (addr + len < addr || !npu_range_is_ram(as, addr, len, is_write) ||
        dma_memory_rw(as, addr, buf, len, dir, attrs) != MEMTX_OK) {
        trace_npu_dma_refused(addr, len, is_write);
        return -EFAULT;
    }
    return 0;
}

static int npu_dma_read(void *opaque, uint64_t addr, void *buf, size_t len)
{
    return npu_dma(opaque, addr, buf, len, DMA_DIRECTION_TO_DEVICE);
}

static int npu_dma_write(void *opaque, uint64_t addr, const void *buf,
                         size_t len)
{
    return npu_dma(opaque, addr, (void *)buf, len, DMA_DIRECTION_FROM_DEVICE);
}

static void npu_irq(void *opaque, unsigned int vector)
{
    NPUState *s = opaque;

    qatomic_or(&s->irq_pending, 1u << vector);
    qemu_bh_schedule(s->irq_bh);
}

static void npu_irq_bh(void *opaque)
{
    NPUState *s = opaque;
    uint32_t pending = qatomic_xchg(&s->irq_pending, 0);

    while (pending) {
        unsigned int vector = ctz32(pending);

        pending &= pending - 1;
        trace_npu_irq(vector);
        msix_notify(PCI_DEVICE(s), vector);
    }
}

static uint64_t npu_now_ns(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void npu_log(void *opaque, enum npu_core_log level, const char *text)
{
    if (level == NPU_CORE_LOG_GUEST_ERROR) {
        qemu_log_mask(LOG_GUEST_ERROR, "npu: %s\n", text);
    }
    trace_npu_log(text);
}

static void npu_thread_enter(void *opaque)
{
    rcu_register_thread();
}

static void npu_thread_exit(void *opaque)
{
    rcu_unregister_thread();
}

static const struct npu_core_ops npu_core_callbacks = {
    .dma_read = npu_dma_read,
    .dma_write = npu_dma_write,
    .irq = npu_irq,
    .now_ns = npu_now_ns,
    .log = npu_log,
    .thread_enter = npu_thread_enter,
    .thread_exit = npu_thread_exit,
};

static uint64_t npu_regs_read(void *opaque, hwaddr addr, unsigned int size)
{
    NPUState *s = opaque;
    uint64_t value = npu_core_mmio_read(s->core, addr, size);

    trace_npu_read(addr, size, value);
    return value;
}

static void npu_regs_write(void *opaque, hwaddr addr, uint64_t value,
                           unsigned int size)
{
    NPUState *s = opaque;

    trace_npu_write(addr, size, value);
    npu_core_mmio_write(s->core, addr, value, size);
}

static const MemoryRegionOps npu_regs_ops = {
    .read = npu_regs_read,
    .write = npu_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static void npu_write_config(PCIDevice *pdev, uint32_t addr, uint32_t value,
                             int len)
{
    pci_default_write_config(pdev, addr, value, len);
    pcie_cap_flr_write_config(pdev, addr, value, len);
}

static bool npu_parse_variant(NPUState *s, Error **errp)
{
    static const char * const names[] = {
        [NPU_CORE_VARIANT_AUTO] = "auto",
        [NPU_CORE_VARIANT_SCALAR] = "scalar",
        [NPU_CORE_VARIANT_AVX2] = "avx2",
        [NPU_CORE_VARIANT_AVX512] = "avx512",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!s->variant || !strcmp(s->variant, names[i])) {
            s->config.variant = i;
            return true;
        }
    }
    error_setg(errp, "npu: variant '%s' is none of auto, scalar, avx2, avx512",
               s->variant);
    return false;
}

static bool npu_init_pci(NPUState *s, Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(s);

    if (pcie_endpoint_cap_init(pdev, NPU_PCIE_CAP_OFFSET) < 0) {
        error_setg(errp, "npu: no room for the PCIe capability");
        return false;
    }
    pcie_cap_flr_init(pdev);
    if (msix_init_exclusive_bar(pdev, NPU_VECTORS, NPU_PCI_BAR_MSIX, errp)) {
        return false;
    }
    for (unsigned int i = 0; i < NPU_VECTORS; i++) {
        msix_vector_use(pdev, i);
    }
    memory_region_init_io(&s->regs, OBJECT(s), &npu_regs_ops, s, "npu-regs",
                          NPU_BAR_REGS_BYTES);
    pci_register_bar(pdev, NPU_PCI_BAR_REGS, PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->regs);
    return true;
}

static void npu_realize(PCIDevice *pdev, Error **errp)
{
    NPUState *s = NPU(pdev);
    const char *why = NULL;

    if (!npu_parse_variant(s, errp)) {
        return;
    }
    s->irq_bh = qemu_bh_new_guarded(npu_irq_bh, s,
                                    &DEVICE(s)->mem_reentrancy_guard);
    s->core = npu_core_create(&s->config, &npu_core_callbacks, s, &why);
    if (!s->core) {
        error_setg(errp, "npu: %s", why);
    } else if (npu_init_pci(s, errp)) {
        return;
    }
    if (s->core) {
        npu_core_destroy(s->core);
    }
    qemu_bh_delete(s->irq_bh);
}

static void npu_unrealize(PCIDevice *pdev)
{
    NPUState *s = NPU(pdev);

    npu_core_destroy(s->core);
    qemu_bh_delete(s->irq_bh);
    msix_uninit_exclusive_bar(pdev);
    pcie_cap_exit(pdev);
}

/* Cold and warm reset of the machine or bus, and function-level reset. */
static void npu_reset_hold(Object *obj, ResetType type)
{
    NPUState *s = NPU(obj);

    npu_core_reset(s->core);
    qatomic_set(&s->irq_pending, 0);
}

static const Property npu_properties[] = {
    DEFINE_PROP_UINT32("array_rows", NPUState, config.array_rows, 0),
    DEFINE_PROP_UINT32("array_cols", NPUState, config.array_cols, 0),
    DEFINE_PROP_UINT32("spm_bytes", NPUState, config.spm_bytes, 0),
    DEFINE_PROP_UINT32("acc_bytes", NPUState, config.acc_bytes, 0),
    DEFINE_PROP_UINT32("threads", NPUState, config.threads, 0),
    DEFINE_PROP_STRING("variant", NPUState, variant),
    DEFINE_PROP_UINT32("watchdog_ms", NPUState, config.watchdog_ms, 0),
};

/* A running job lives in host threads: the state cannot be saved yet. */
static const VMStateDescription npu_vmstate = {
    .name = TYPE_NPU,
    .unmigratable = 1,
};

static void npu_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);
    ResettableClass *rc = RESETTABLE_CLASS(oc);

    pc->realize = npu_realize;
    pc->exit = npu_unrealize;
    pc->config_write = npu_write_config;
    pc->vendor_id = NPU_PCI_VENDOR_ID;
    pc->device_id = NPU_PCI_DEVICE_ID;
    pc->class_id = NPU_PCI_CLASS;
    rc->phases.hold = npu_reset_hold;
    dc->desc = "Neural processing unit";
    dc->vmsd = &npu_vmstate;
    device_class_set_props(dc, npu_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo npu_types[] = {
    {
        .name = TYPE_NPU,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(NPUState),
        .class_init = npu_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(npu_types)
