// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers: the only file that touches a BAR. It knows the register map and
 * the sequences that docs/hardware.md asks for (cited as HW), and no policy.
 * What it reads is bounded before anybody uses it as a size or an index.
 */

#include <linux/bitfield.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/pci.h>
#include <drm/drm_print.h>

#include "npu_drv.h"

/* What a read returns when the device is gone. */
#define NPU_HW_GONE	0xffffffffu

static u32 npu_hw_read32(struct npu_device *ndev, u32 reg)
{
	return readl(ndev->hw.regs + reg);
}

static u64 npu_hw_read64(struct npu_device *ndev, u32 reg)
{
	return readq(ndev->hw.regs + reg);
}

static void npu_hw_write32(struct npu_device *ndev, u32 reg, u32 value)
{
	writel(value, ndev->hw.regs + reg);
}

static void npu_hw_write64(struct npu_device *ndev, u32 reg, u64 value)
{
	writeq(value, ndev->hw.regs + reg);
}

static u32 npu_hw_queue_reg(u32 queue, u32 reg)
{
	return NPU_QUEUE_BASE + queue * NPU_QUEUE_STRIDE + reg;
}

/**
 * npu_hw_probe() - map the registers and learn what the device is
 * @ndev: device
 *
 * Return: 0, -ENODEV when it is not a device that this driver knows, or -errno
 */
int npu_hw_probe(struct npu_device *ndev)
{
	struct pci_dev *pdev = to_pci_dev(ndev->drm.dev);
	struct npu_hw *hw = &ndev->hw;
	u32 id, limits, latency, array;

	if (pci_resource_len(pdev, NPU_PCI_BAR_REGS) < NPU_BAR_REGS_BYTES) {
		drm_err(&ndev->drm, "BAR %d is smaller than 0x%x bytes\n",
			NPU_PCI_BAR_REGS, NPU_BAR_REGS_BYTES);
		return -ENODEV;
	}
	hw->regs = pcim_iomap_region(pdev, NPU_PCI_BAR_REGS, "npu");
	if (IS_ERR(hw->regs))
		return PTR_ERR(hw->regs);

	id = npu_hw_read32(ndev, NPU_REG_ID);
	hw->version = npu_hw_read32(ndev, NPU_REG_VERSION);
	if (id != NPU_ID_VALUE || hw->version >> 16 != NPU_VERSION_MAJOR) {
		drm_err(&ndev->drm, "unknown device: id 0x%08x, version 0x%08x\n",
			id, hw->version);
		return -ENODEV;
	}

	array = npu_hw_read32(ndev, NPU_REG_ARRAY);
	limits = npu_hw_read32(ndev, NPU_REG_LIMITS);
	latency = npu_hw_read32(ndev, NPU_REG_DMA_LATENCY);
	hw->caps = npu_hw_read64(ndev, NPU_REG_CAPS);
	hw->array_rows = array & 0xffff;
	hw->array_cols = array >> 16;
	hw->spm_bytes = npu_hw_read32(ndev, NPU_REG_SPM_BYTES);
	hw->acc_bytes = npu_hw_read32(ndev, NPU_REG_ACC_BYTES);
	hw->clock_khz = npu_hw_read32(ndev, NPU_REG_CLOCK_KHZ);
	hw->dma_bytes_per_kcycle = npu_hw_read32(ndev, NPU_REG_DMA_BW);
	hw->dma_latency_cycles = latency & 0xffff;
	hw->dma_bursts = latency >> 16;
	hw->ve_bytes_per_cycle = npu_hw_read32(ndev, NPU_REG_VE_BW);
	hw->queues = min(limits & 0xff, NPU_QUEUES);
	hw->contexts = min(limits >> 8 & 0xff, NPU_CONTEXTS);
	hw->vectors = min(limits >> 16 & 0xff, NPU_VECTORS);
	if (hw->queues < 1 || hw->contexts < 2 || hw->vectors < 2) {
		drm_err(&ndev->drm, "impossible limits 0x%08x\n", limits);
		return -ENODEV;
	}
	return 0;
}

/**
 * npu_hw_reset() - reset the device and point it to the context table (HW 2.4)
 * @ndev: device
 *
 * Once it returns 0, the device has forgotten everything, also translations,
 * and touches no memory until npu_hw_run().
 *
 * Return: 0, -ETIMEDOUT, or -ENODEV when the device is gone
 */
int npu_hw_reset(struct npu_device *ndev)
{
	u32 status;
	int ret;

	npu_hw_write32(ndev, NPU_REG_CONTROL, NPU_CONTROL_RESET);
	ret = read_poll_timeout(npu_hw_read32, status, status & NPU_STATUS_READY,
				100, NPU_RESET_TIMEOUT_MS * USEC_PER_MSEC, false,
				ndev, NPU_REG_STATUS);
	if (!npu_hw_present(ndev))
		return -ENODEV;
	if (ret)
		return ret;
	npu_hw_write64(ndev, NPU_REG_CTX_TABLE, ndev->ctx_table_dma);
	npu_hw_write32(ndev, NPU_REG_IRQ_ENABLE, NPU_IRQ_MASK);
	return 0;
}

void npu_hw_run(struct npu_device *ndev)
{
	npu_hw_write32(ndev, NPU_REG_CONTROL, NPU_CONTROL_RUN);
}

/* Take no new jobs. Reading back makes sure that the device has seen it. */
void npu_hw_pause(struct npu_device *ndev)
{
	npu_hw_write32(ndev, NPU_REG_CONTROL, 0);
	npu_hw_read32(ndev, NPU_REG_CONTROL);
}

/* Whether registers can be believed: a device that is gone reads as ones or zeroes. */
bool npu_hw_present(struct npu_device *ndev)
{
	return npu_hw_read32(ndev, NPU_REG_ID) == NPU_ID_VALUE;
}

bool npu_hw_busy(struct npu_device *ndev)
{
	return npu_hw_read32(ndev, NPU_REG_STATUS) & NPU_STATUS_BUSY;
}

u64 npu_hw_time_ns(struct npu_device *ndev)
{
	return npu_hw_read64(ndev, NPU_REG_TIME_NS);
}

/**
 * npu_hw_queue_start() - enable a disabled queue (HW 3.3)
 * @ndev: device
 * @queue: hardware number
 * @config: how; the ring is empty for the device afterwards
 *
 * Return: 0, or -EIO when the device does not accept it
 */
int npu_hw_queue_start(struct npu_device *ndev, u32 queue, const struct npu_hw_queue *config)
{
	u32 state;

	npu_hw_write32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_CONFIG),
		       FIELD_PREP(NPU_QUEUE_CONFIG_CTX_MASK, config->ctx) |
		       FIELD_PREP(NPU_QUEUE_CONFIG_PRIO_MASK, config->priority) |
		       FIELD_PREP(NPU_QUEUE_CONFIG_VECTOR_MASK, config->vector));
	npu_hw_write64(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_RING), config->ring_dma);
	npu_hw_write32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_RING_LOG2), config->ring_log2);
	npu_hw_write32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	state = npu_hw_queue_state(ndev, queue);
	if (state != NPU_QUEUE_STATE_IDLE) {
		drm_err(&ndev->drm, "queue %u: state %u after enabling\n", queue, state);
		return -EIO;
	}
	return 0;
}

/* Abandon the queue's job and take no more; done when it is STOPPED. */
void npu_hw_queue_stop(struct npu_device *ndev, u32 queue)
{
	npu_hw_write32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_CTRL),
		       NPU_QUEUE_CTRL_ENABLE | NPU_QUEUE_CTRL_STOP);
}

/**
 * npu_hw_queue_disable() - disable an idle, stopped or faulted queue
 * @ndev: device
 * @queue: hardware number
 *
 * Return: 0, or -EIO when the device does not accept it
 */
int npu_hw_queue_disable(struct npu_device *ndev, u32 queue)
{
	u32 state;

	npu_hw_write32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_CTRL), 0);
	state = npu_hw_queue_state(ndev, queue);
	return state == NPU_QUEUE_STATE_DISABLED ? 0 : -EIO;
}

void npu_hw_queue_doorbell(struct npu_device *ndev, u32 queue, u32 tail)
{
	npu_hw_write32(ndev, NPU_DOORBELL_BASE + queue * NPU_DOORBELL_PAGE_BYTES +
		       NPU_DOORBELL_TAIL, tail);
}

u32 npu_hw_queue_state(struct npu_device *ndev, u32 queue)
{
	return npu_hw_read32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_STATE));
}

/* Time spent RUNNING; 0 when the device is gone, so that no sum takes harm. */
u64 npu_hw_queue_run_ns(struct npu_device *ndev, u32 queue)
{
	u64 run_ns = npu_hw_read64(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_RUN_NS));

	return run_ns == U64_MAX ? 0 : run_ns;
}

u64 npu_hw_queue_progress(struct npu_device *ndev, u32 queue)
{
	return npu_hw_read64(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_PROGRESS));
}

/* The fault record of a queue in state FAULTED (HW 6). */
void npu_hw_queue_fault(struct npu_device *ndev, u32 queue, struct npu_fault *fault)
{
	u32 info = npu_hw_read32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_FAULT_INFO));

	*fault = (struct npu_fault) {
		.code = FIELD_GET(NPU_FAULT_INFO_CODE_MASK, info),
		.engine = FIELD_GET(NPU_FAULT_INFO_ENGINE_MASK, info),
		.opcode = FIELD_GET(NPU_FAULT_INFO_OPCODE_MASK, info),
		.write = info & NPU_FAULT_INFO_WRITE,
		.tag = npu_hw_read32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_FAULT_TAG)),
		.aux = npu_hw_read32(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_FAULT_AUX)),
		.va = npu_hw_read64(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_FAULT_VA)),
		.desc_va = npu_hw_read64(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_FAULT_DESC_VA)),
		.job_id = npu_hw_read64(ndev, npu_hw_queue_reg(queue, NPU_QUEUE_FAULT_SEQNO)),
	};
}

/**
 * npu_hw_tlb_invalidate() - request an invalidation (HW 5.3)
 * @ndev: device
 * @ctx: context
 * @va: first page
 * @pages: pages, 0 for the whole context and its table entry
 *
 * Context: holds npu_device.tlb_lock
 * Return: number of the request, for npu_hw_tlb_acked()
 */
u32 npu_hw_tlb_invalidate(struct npu_device *ndev, u32 ctx, u64 va, u32 pages)
{
	lockdep_assert_held(&ndev->tlb_lock);
	/* The device walks tables as it finds them: they are written before. */
	wmb();
	npu_hw_write64(ndev, NPU_REG_TLB_INV_VA, va);
	npu_hw_write32(ndev, NPU_REG_TLB_INV_PAGES, pages);
	npu_hw_write32(ndev, NPU_REG_TLB_INV, ctx);
	return npu_hw_read32(ndev, NPU_REG_TLB_INV_SEQ);
}

bool npu_hw_tlb_acked(struct npu_device *ndev, u32 seq)
{
	return (s32)(npu_hw_read32(ndev, NPU_REG_TLB_ACK_SEQ) - seq) >= 0;
}

/* Pending device events, acknowledged. */
u32 npu_hw_irq_take(struct npu_device *ndev)
{
	u32 events = npu_hw_read32(ndev, NPU_REG_IRQ_STATUS);

	if (events == NPU_HW_GONE)
		return 0;
	if (events)
		npu_hw_write32(ndev, NPU_REG_IRQ_STATUS, events);
	return events & NPU_IRQ_MASK;
}

/* Those of @queues that have new completions, acknowledged (HW 2.5). */
u64 npu_hw_done_take(struct npu_device *ndev, u64 queues)
{
	u64 done = npu_hw_read64(ndev, NPU_REG_DONE_QUEUES) & queues;

	if (done)
		npu_hw_write64(ndev, NPU_REG_DONE_QUEUES, done);
	return done;
}

/* Queues with a new fault record, acknowledged. */
u64 npu_hw_faults_take(struct npu_device *ndev)
{
	u64 faulted = npu_hw_read64(ndev, NPU_REG_FAULT_QUEUES);

	if (faulted)
		npu_hw_write64(ndev, NPU_REG_FAULT_QUEUES, faulted);
	return faulted;
}
