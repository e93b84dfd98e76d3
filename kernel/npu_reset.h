/* SPDX-License-Identifier: GPL-2.0-only */
/* Hangs, faults and resets; see npu_reset.c. */
#ifndef NPU_RESET_H
#define NPU_RESET_H

#include <linux/types.h>

struct npu_device;
struct npu_queue;
struct work_struct;

bool npu_reset_lock(struct npu_device *ndev);
void npu_reset_unlock(struct npu_device *ndev, bool cookie);

int npu_reset_init(struct npu_device *ndev);
void npu_reset_shutdown(struct npu_device *ndev);
void npu_reset_device(struct npu_device *ndev, u32 gen, const char *reason);
void npu_reset_prepare_function(struct npu_device *ndev);
void npu_reset_finish_function(struct npu_device *ndev);
void npu_reset_dead(struct npu_device *ndev, const char *reason);

void npu_reset_watchdog(struct work_struct *work);
void npu_reset_faults(struct npu_device *ndev, u64 queues);
void npu_reset_detach_locked(struct npu_queue *queue, int error);

#endif
