/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hardware as the rest of the driver sees it. Only npu_hw.c touches BARs.
 * Unless said otherwise, the caller is between drm_dev_enter() and
 * drm_dev_exit(), or in probe or remove.
 */
#ifndef NPU_HW_H
#define NPU_HW_H

#include <linux/types.h>

#include "isa/npu_regs.h"

struct npu_device;

/**
 * struct npu_hw - registers and properties
 * @regs: BAR 0
 * @caps: NPU_CAP_*
 * @version: hardware version
 * @array_rows: multiplier rows
 * @array_cols: multiplier columns
 * @spm_bytes: scratchpad
 * @acc_bytes: accumulators
 * @queues: hardware queues, 1 .. NPU_QUEUES
 * @contexts: hardware contexts, 2 .. NPU_CONTEXTS
 * @vectors: MSI-X vectors that the device can use, 2 .. NPU_VECTORS
 * @clock_khz: clock of the timing model
 * @dma_bytes_per_kcycle: memory bandwidth
 * @dma_latency_cycles: memory latency
 * @dma_bursts: bursts in flight
 * @ve_bytes_per_cycle: vector width
 */
struct npu_hw {
	void __iomem *regs;
	u64 caps;
	u32 version;
	u16 array_rows;
	u16 array_cols;
	u32 spm_bytes;
	u32 acc_bytes;
	u32 queues;
	u32 contexts;
	u32 vectors;
	u32 clock_khz;
	u32 dma_bytes_per_kcycle;
	u32 dma_latency_cycles;
	u32 dma_bursts;
	u32 ve_bytes_per_cycle;
};

/**
 * struct npu_hw_queue - what a hardware queue is started with
 * @ring_dma: bus address of the ring
 * @ring_log2: log2 of its entries
 * @ctx: context of its jobs
 * @priority: 0 .. NPU_PRIORITIES - 1
 * @vector: MSI-X vector of its completions
 */
struct npu_hw_queue {
	dma_addr_t ring_dma;
	u32 ring_log2;
	u32 ctx;
	u32 priority;
	u32 vector;
};

/**
 * struct npu_fault - a fault record
 * @code: enum npu_fault_code
 * @engine: enum npu_engine
 * @opcode: instruction
 * @write: the access that faulted was a write
 * @tag: tag of the descriptor
 * @aux: depends on @code
 * @va: address that faulted, or 0
 * @desc_va: address of the descriptor
 * @job_id: seqno of the job
 */
struct npu_fault {
	u8 code;
	u8 engine;
	u8 opcode;
	bool write;
	u32 tag;
	u32 aux;
	u64 va;
	u64 desc_va;
	u64 job_id;
};

int npu_hw_probe(struct npu_device *ndev);
int npu_hw_reset(struct npu_device *ndev);
void npu_hw_run(struct npu_device *ndev);
void npu_hw_pause(struct npu_device *ndev);
bool npu_hw_present(struct npu_device *ndev);
bool npu_hw_busy(struct npu_device *ndev);
u64 npu_hw_time_ns(struct npu_device *ndev);

int npu_hw_queue_start(struct npu_device *ndev, u32 queue, const struct npu_hw_queue *config);
void npu_hw_queue_stop(struct npu_device *ndev, u32 queue);
int npu_hw_queue_disable(struct npu_device *ndev, u32 queue);
void npu_hw_queue_doorbell(struct npu_device *ndev, u32 queue, u32 tail);
u32 npu_hw_queue_state(struct npu_device *ndev, u32 queue);
u64 npu_hw_queue_run_ns(struct npu_device *ndev, u32 queue);
u64 npu_hw_queue_progress(struct npu_device *ndev, u32 queue);
void npu_hw_queue_fault(struct npu_device *ndev, u32 queue, struct npu_fault *fault);

u32 npu_hw_tlb_invalidate(struct npu_device *ndev, u32 ctx, u64 va, u32 pages);
bool npu_hw_tlb_acked(struct npu_device *ndev, u32 seq);

u32 npu_hw_irq_take(struct npu_device *ndev);
u64 npu_hw_done_take(struct npu_device *ndev, u64 queues);
u64 npu_hw_faults_take(struct npu_device *ndev);

#endif
