// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables (HW 5.2), written by the CPU and walked by the device. Pages are
 * 4 KiB. All functions are called under the lock of the address space.
 *
 * Changes come in steps so that nothing fails half-way: npu_pt_reserve() makes
 * the tables that a mapping needs, npu_pt_map() and npu_pt_unmap() cannot
 * fail, and npu_pt_prune() unlinks tables that became empty. What is unlinked
 * may be freed only after the device has acknowledged an invalidation.
 */

#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "isa/npu_regs.h"
#include "npu_pt.h"

#define NPU_PT_ROOT_LEVEL	(NPU_PT_LEVELS - 1)

/**
 * struct npu_pt_table - one table
 * @pte: its entries, in memory that the device reads
 * @dma: bus address of @pte
 * @parent: table that points here, NULL for the root
 * @index: entry of @parent
 * @level: 0 holds pages
 * @used: entries that are valid
 * @link: in a list of unlinked tables
 * @child: tables below, NPU_PT_ENTRIES of them above level 0
 */
struct npu_pt_table {
	__le64 *pte;
	dma_addr_t dma;
	struct npu_pt_table *parent;
	u16 index;
	u8 level;
	u16 used;
	struct list_head link;
	struct npu_pt_table *child[];
};

static unsigned int npu_pt_shift(unsigned int level)
{
	return NPU_PAGE_SHIFT + level * NPU_PT_INDEX_BITS;
}

static unsigned int npu_pt_index(u64 va, unsigned int level)
{
	return va >> npu_pt_shift(level) & (NPU_PT_ENTRIES - 1);
}

/* First address behind the entry of @level that holds @va, or @end. */
static u64 npu_pt_entry_end(u64 va, u64 end, unsigned int level)
{
	return min(end, (va | ((1ull << npu_pt_shift(level)) - 1)) + 1);
}

static struct npu_pt_table *npu_pt_table_alloc(struct npu_pt *pt, unsigned int level)
{
	struct npu_pt_table *table;

	table = kvzalloc(struct_size(table, child, level ? NPU_PT_ENTRIES : 0),
			 GFP_KERNEL_ACCOUNT);
	if (!table)
		return NULL;
	table->pte = dma_alloc_coherent(pt->dev, NPU_PT_ENTRIES * sizeof(__le64),
					&table->dma, GFP_KERNEL_ACCOUNT);
	if (!table->pte) {
		kvfree(table);
		return NULL;
	}
	table->level = level;
	return table;
}

static void npu_pt_table_free(struct npu_pt *pt, struct npu_pt_table *table)
{
	dma_free_coherent(pt->dev, NPU_PT_ENTRIES * sizeof(__le64), table->pte, table->dma);
	kvfree(table);
}

static void npu_pt_free_tree(struct npu_pt *pt, struct npu_pt_table *table)
{
	unsigned int i;

	for (i = 0; table->level && i < NPU_PT_ENTRIES; i++)
		if (table->child[i])
			npu_pt_free_tree(pt, table->child[i]);
	npu_pt_table_free(pt, table);
}

int npu_pt_init(struct npu_pt *pt, struct device *dev)
{
	BUILD_BUG_ON(PAGE_SIZE != NPU_PAGE_BYTES);
	pt->dev = dev;
	pt->root = npu_pt_table_alloc(pt, NPU_PT_ROOT_LEVEL);
	return pt->root ? 0 : -ENOMEM;
}

/* Free all tables; the device must not walk them any more. */
void npu_pt_fini(struct npu_pt *pt)
{
	if (pt->root)
		npu_pt_free_tree(pt, pt->root);
	pt->root = NULL;
}

dma_addr_t npu_pt_root_dma(const struct npu_pt *pt)
{
	return pt->root->dma;
}

static void npu_pt_set(struct npu_pt_table *table, unsigned int index, u64 pte)
{
	WRITE_ONCE(table->pte[index], cpu_to_le64(pte));
}

static struct npu_pt_table *npu_pt_child_make(struct npu_pt *pt, struct npu_pt_table *table,
					      unsigned int index)
{
	struct npu_pt_table *child = table->child[index];

	if (child)
		return child;
	child = npu_pt_table_alloc(pt, table->level - 1);
	if (!child)
		return NULL;
	child->parent = table;
	child->index = index;
	table->child[index] = child;
	table->used++;
	/* The device may walk at once: the empty table comes first. */
	dma_wmb();
	npu_pt_set(table, index, child->dma | NPU_PTE_VALID);
	return child;
}

/**
 * npu_pt_reserve() - make the tables for a mapping
 * @pt: page tables
 * @va: first address
 * @bytes: size
 *
 * Return: 0, or -ENOMEM; npu_pt_prune() removes what is left without use
 */
int npu_pt_reserve(struct npu_pt *pt, u64 va, u64 bytes)
{
	struct npu_pt_table *table;
	u64 end = va + bytes;

	for (; va < end; va = npu_pt_entry_end(va, end, 1)) {
		table = pt->root;
		while (table && table->level)
			table = npu_pt_child_make(pt, table, npu_pt_index(va, table->level));
		if (!table)
			return -ENOMEM;
	}
	return 0;
}

/* The level 0 table for @va, or NULL. */
static struct npu_pt_table *npu_pt_leaf(struct npu_pt *pt, u64 va)
{
	struct npu_pt_table *table = pt->root;

	while (table && table->level)
		table = table->child[npu_pt_index(va, table->level)];
	return table;
}

/**
 * npu_pt_map() - map pages into a range that is reserved and not mapped
 * @pt: page tables
 * @va: first address
 * @bytes: size
 * @sgt: pages, mapped for the device
 * @offset_bytes: where in @sgt to start
 * @pte_flags: NPU_PTE_READ, NPU_PTE_WRITE
 */
void npu_pt_map(struct npu_pt *pt, u64 va, u64 bytes, struct sg_table *sgt, u64 offset_bytes,
		u64 pte_flags)
{
	struct npu_pt_table *leaf = NULL;
	struct sg_dma_page_iter iter;
	u64 end = va + bytes;

	for_each_sgtable_dma_page(sgt, &iter, offset_bytes >> PAGE_SHIFT) {
		unsigned int index = npu_pt_index(va, 0);

		if (va == end)
			break;
		if (!leaf || !index)
			leaf = npu_pt_leaf(pt, va);
		if (WARN_ON_ONCE(!leaf))
			return;
		npu_pt_set(leaf, index, (sg_page_iter_dma_address(&iter) & NPU_PTE_ADDR_MASK) |
			   pte_flags | NPU_PTE_LEAF | NPU_PTE_VALID);
		leaf->used++;
		va += NPU_PAGE_BYTES;
	}
}

/* Unmap a range of which every page is mapped. */
void npu_pt_unmap(struct npu_pt *pt, u64 va, u64 bytes)
{
	struct npu_pt_table *leaf = NULL;
	u64 end = va + bytes;

	for (; va < end; va += NPU_PAGE_BYTES) {
		unsigned int index = npu_pt_index(va, 0);

		if (!leaf || !index)
			leaf = npu_pt_leaf(pt, va);
		if (WARN_ON_ONCE(!leaf))
			return;
		npu_pt_set(leaf, index, 0);
		leaf->used--;
	}
}

static void npu_pt_prune_table(struct npu_pt_table *table, u64 va, u64 end,
			       struct list_head *unused)
{
	u64 next;

	for (; table->level && va < end; va = next) {
		struct npu_pt_table *child = table->child[npu_pt_index(va, table->level)];

		next = npu_pt_entry_end(va, end, table->level);
		if (child)
			npu_pt_prune_table(child, va, next, unused);
	}
	if (table->used || !table->parent)
		return;
	npu_pt_set(table->parent, table->index, 0);
	table->parent->child[table->index] = NULL;
	table->parent->used--;
	list_add_tail(&table->link, unused);
}

/**
 * npu_pt_prune() - unlink the tables of a range that have no entry left
 * @pt: page tables
 * @va: first address
 * @bytes: size
 * @unused: list that they are added to
 */
void npu_pt_prune(struct npu_pt *pt, u64 va, u64 bytes, struct list_head *unused)
{
	npu_pt_prune_table(pt->root, va, va + bytes, unused);
}

/* Free unlinked tables; the device must have acknowledged that it forgot them. */
void npu_pt_free_tables(struct npu_pt *pt, struct list_head *unused)
{
	struct npu_pt_table *table, *next;

	list_for_each_entry_safe(table, next, unused, link)
		npu_pt_table_free(pt, table);
	INIT_LIST_HEAD(unused);
}
