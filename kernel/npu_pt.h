/* SPDX-License-Identifier: GPL-2.0-only */
/* Page tables of one address space; see npu_pt.c. */
#ifndef NPU_PT_H
#define NPU_PT_H

#include <linux/list.h>
#include <linux/types.h>

struct device;
struct npu_pt_table;
struct sg_table;

/**
 * struct npu_pt - a tree of page tables
 * @dev: device that walks them
 * @root: level NPU_PT_LEVELS - 1; NULL once npu_pt_fini() was called
 */
struct npu_pt {
	struct device *dev;
	struct npu_pt_table *root;
};

int npu_pt_init(struct npu_pt *pt, struct device *dev);
void npu_pt_fini(struct npu_pt *pt);
dma_addr_t npu_pt_root_dma(const struct npu_pt *pt);

int npu_pt_reserve(struct npu_pt *pt, u64 va, u64 bytes);
void npu_pt_map(struct npu_pt *pt, u64 va, u64 bytes, struct sg_table *sgt, u64 offset_bytes,
		u64 pte_flags);
void npu_pt_unmap(struct npu_pt *pt, u64 va, u64 bytes);
void npu_pt_prune(struct npu_pt *pt, u64 va, u64 bytes, struct list_head *unused);
void npu_pt_free_tables(struct npu_pt *pt, struct list_head *unused);

#endif
