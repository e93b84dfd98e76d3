// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts: vector 0 for device events, the others for completions, each for
 * a fixed set of queues. Handlers are threads; all of their work is bounded by
 * the number of queues and the size of the rings.
 */

#include <linux/bitops.h>
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "npu_drv.h"
#include "npu_queue.h"
#include "npu_reset.h"

static irqreturn_t npu_irq_event(int irq, void *data)
{
	struct npu_device *ndev = data;
	bool cookie;
	u32 events;
	int idx;

	if (!drm_dev_enter(&ndev->drm, &idx))
		return IRQ_NONE;
	cookie = dma_fence_begin_signalling();
	events = npu_hw_irq_take(ndev);
	if (events & NPU_IRQ_FAULT)
		npu_reset_faults(ndev, npu_hw_faults_take(ndev));
	if (events & (NPU_IRQ_TLB_ACK | NPU_IRQ_STOPPED | NPU_IRQ_RESET_DONE))
		wake_up_all(&ndev->event_wq);
	/* A doorbell may meet a queue that faulted a moment ago: not an error. */
	if (events & NPU_IRQ_ERROR)
		drm_dbg(&ndev->drm, "the device ignored a register access\n");
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);
	return events ? IRQ_HANDLED : IRQ_NONE;
}

static void npu_irq_reap(struct npu_device *ndev, u32 index)
{
	struct npu_queue *queue = npu_queue_get_by_index(ndev, index);

	if (!queue)
		return;
	if (npu_ring_reap(queue))
		npu_reset_faults(ndev, BIT_ULL(index));
	npu_queue_put(queue);
}

static irqreturn_t npu_irq_done(int irq, void *data)
{
	struct npu_vector *vector = data;
	struct npu_device *ndev = vector->ndev;
	u64 done, left;
	bool cookie;
	int idx;

	if (!drm_dev_enter(&ndev->drm, &idx))
		return IRQ_NONE;
	cookie = dma_fence_begin_signalling();
	done = npu_hw_done_take(ndev, vector->queues);
	for (left = done; left; left &= left - 1)
		npu_irq_reap(ndev, __ffs64(left));
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);
	return done ? IRQ_HANDLED : IRQ_NONE;
}

/**
 * npu_irq_init() - allocate and request the vectors
 * @ndev: device
 *
 * Return: 0 or -errno
 */
int npu_irq_init(struct npu_device *ndev)
{
	struct pci_dev *pdev = to_pci_dev(ndev->drm.dev);
	unsigned int i;
	int count, ret;

	count = pci_alloc_irq_vectors(pdev, 2, ndev->hw.vectors, PCI_IRQ_MSIX);
	if (count < 0) {
		drm_err(&ndev->drm, "no MSI-X vectors: %d\n", count);
		return count;
	}
	ndev->vector_count = count;
	ret = devm_request_threaded_irq(&pdev->dev, pci_irq_vector(pdev, 0), NULL, npu_irq_event,
					IRQF_ONESHOT, "npu-event", ndev);
	if (ret)
		return ret;
	for (i = 0; i < ndev->hw.queues; i++)
		ndev->vectors[1 + i % (count - 1)].queues |= BIT_ULL(i);
	for (i = 1; i < count; i++) {
		ndev->vectors[i].ndev = ndev;
		ret = devm_request_threaded_irq(&pdev->dev, pci_irq_vector(pdev, i), NULL,
						npu_irq_done, IRQF_ONESHOT, "npu-done",
						&ndev->vectors[i]);
		if (ret)
			return ret;
	}
	return 0;
}
