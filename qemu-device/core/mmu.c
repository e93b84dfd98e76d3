/* SPDX-License-Identifier: MIT */
/*
 * Address translation (HW 5): context table, 4-level walk, TLB, invalidation.
 * Everything here runs under bus_lock. Only valid entries are ever kept, so a
 * mapping may grow without an invalidation.
 */
#include <string.h>
#include "core.h"

#define LARGE_OFFSET_MASK	((uint64_t)NPU_LARGE_PAGE_BYTES - 1)
#define SMALL_OFFSET_MASK	((uint64_t)NPU_PAGE_BYTES - 1)
#define PTE_GROUP		8u	/* level 0 entries read at once */

#define TAG_CTX_SHIFT		36	/* above the number of a 4 KiB page */
#define TAG_EPOCH_SHIFT		44
#define EPOCH_MAX		((1u << (64 - TAG_EPOCH_SHIFT)) - 1)

_Static_assert(NPU_VA_BITS - NPU_PAGE_SHIFT <= TAG_CTX_SHIFT, "page number");
_Static_assert(NPU_CONTEXTS <= 1u << (TAG_EPOCH_SHIFT - TAG_CTX_SHIFT), "context");

static uint64_t make_tag(const struct npu_core *core, uint64_t page)
{
	return (uint64_t)core->tlb.epoch << TAG_EPOCH_SHIFT |
	       (uint64_t)core->job.ctx << TAG_CTX_SHIFT | page;
}

static struct npu_tlb_entry *slot_of(struct npu_core *core, struct npu_tlb_entry *set,
				     uint32_t count, uint64_t page)
{
	/* Contexts start at different places, as their addresses are alike. */
	return &set[(page + core->job.ctx * 37u) & (count - 1)];
}

static const struct npu_tlb_entry *lookup(struct npu_core *core, struct npu_tlb_entry *set,
					  uint32_t count, uint64_t page)
{
	const struct npu_tlb_entry *e = slot_of(core, set, count, page);

	return e->tag == make_tag(core, page) ? e : NULL;
}

static void insert(struct npu_core *core, struct npu_tlb_entry *set, uint32_t count,
		   uint64_t page, uint64_t pte)
{
	struct npu_tlb_entry *e = slot_of(core, set, count, page);

	e->tag = make_tag(core, page);
	e->pte = pte;
}

static bool allows(uint64_t pte, bool write)
{
	return pte & (write ? NPU_PTE_WRITE : NPU_PTE_READ);
}

static int read_entry(struct npu_core *core, uint64_t bus_addr, void *buf, size_t bytes)
{
	return core->ops.dma_read(core->opaque, bus_addr, buf, bytes);
}

/* Root table of the job's context. */
static int read_root(struct npu_core *core, uint64_t va, bool write, uint64_t *table)
{
	uint64_t entry[NPU_CTX_ENTRY_BYTES / 8];

	if (read_entry(core, core->job.ctx_table + core->job.ctx * NPU_CTX_ENTRY_BYTES,
		       entry, sizeof(entry)))
		return npu_job_fault(core, NPU_FAULT_BUS, va, write);
	if (!(entry[0] & NPU_CTX_VALID) || entry[0] & ~(NPU_CTX_VALID | NPU_CTX_ROOT_MASK) ||
	    entry[1])
		return npu_job_fault(core, NPU_FAULT_CONTEXT, 0, false);
	*table = entry[0] & NPU_CTX_ROOT_MASK;
	return 0;
}

int npu_mmu_check_context(struct npu_core *core)
{
	uint64_t table;

	return read_root(core, core->job.ctx_table + core->job.ctx * NPU_CTX_ENTRY_BYTES,
			 false, &table);
}

static enum npu_fault_code judge_pte(uint64_t pte, unsigned int level)
{
	if (!(pte & NPU_PTE_VALID))
		return NPU_FAULT_MMU_UNMAPPED;
	if (pte & NPU_PTE_RSVD_MASK)
		return NPU_FAULT_MMU_PTE;
	if (!(pte & NPU_PTE_LEAF))
		return level == 0 || pte & (NPU_PTE_READ | NPU_PTE_WRITE) ? NPU_FAULT_MMU_PTE :
									     NPU_FAULT_NONE;
	if (level > 1 || (level == 1 && pte & NPU_PTE_ADDR_MASK & LARGE_OFFSET_MASK))
		return NPU_FAULT_MMU_PTE;
	return NPU_FAULT_NONE;
}

/* Levels 3 to 1: the level 0 table, or a 2 MiB leaf, as *pte. */
static int walk_upper(struct npu_core *core, uint64_t va, bool write, uint64_t *pte)
{
	uint64_t table;
	int ret = read_root(core, va, write, &table);

	for (unsigned int level = NPU_PT_LEVELS - 1; !ret && level > 0; level--) {
		uint64_t index = va >> (NPU_PAGE_SHIFT + NPU_PT_INDEX_BITS * level) &
				 (NPU_PT_ENTRIES - 1);
		enum npu_fault_code code;

		if (read_entry(core, table + index * 8, pte, 8))
			return npu_job_fault(core, NPU_FAULT_BUS, va, write);
		code = judge_pte(*pte, level);
		if (code)
			return npu_job_fault(core, code, va, write);
		table = *pte & NPU_PTE_ADDR_MASK;
	}
	return ret;
}

/* Level 0: the entry of @va; valid neighbours are kept too. */
static int walk_leaf(struct npu_core *core, uint64_t table, uint64_t va, bool write,
		     uint64_t *pte)
{
	uint64_t page = va >> NPU_PAGE_SHIFT;
	uint64_t first = page & ~(uint64_t)(PTE_GROUP - 1);
	uint64_t group[PTE_GROUP];
	enum npu_fault_code code;

	if (read_entry(core, table + (first & (NPU_PT_ENTRIES - 1)) * 8, group, sizeof(group)))
		return npu_job_fault(core, NPU_FAULT_BUS, va, write);
	for (unsigned int i = 0; i < PTE_GROUP; i++)
		if (!judge_pte(group[i], 0))
			insert(core, core->tlb.small, NPU_TLB_SMALL, first + i, group[i]);
	*pte = group[page & (PTE_GROUP - 1)];
	code = judge_pte(*pte, 0);
	return code ? npu_job_fault(core, code, va, write) : 0;
}

static int walk(struct npu_core *core, uint64_t va, bool write, uint64_t *pte, bool *large)
{
	uint64_t region = va >> NPU_LARGE_PAGE_SHIFT;
	const struct npu_tlb_entry *known = lookup(core, core->tlb.walk, NPU_TLB_WALKS, region);
	uint64_t upper = 0;
	int ret;

	if (!known) {
		ret = walk_upper(core, va, write, &upper);
		if (ret)
			return ret;
		*large = upper & NPU_PTE_LEAF;
		*pte = upper;
		if (*large) {
			insert(core, core->tlb.large, NPU_TLB_LARGE, region, upper);
			return 0;
		}
		insert(core, core->tlb.walk, NPU_TLB_WALKS, region, upper);
	} else {
		upper = known->pte;
	}
	*large = false;
	return walk_leaf(core, upper & NPU_PTE_ADDR_MASK, va, write, pte);
}

int npu_mmu_translate(struct npu_core *core, uint64_t va, bool write, uint64_t *bus_addr,
		      uint64_t *left_bytes)
{
	const struct npu_tlb_entry *e;
	bool large = false;
	uint64_t offset_mask;
	uint64_t pte = 0;
	int ret;

	if (va >> NPU_VA_BITS)
		return npu_job_fault(core, NPU_FAULT_MMU_UNMAPPED, va, write);
	e = lookup(core, core->tlb.small, NPU_TLB_SMALL, va >> NPU_PAGE_SHIFT);
	if (!e) {
		e = lookup(core, core->tlb.large, NPU_TLB_LARGE, va >> NPU_LARGE_PAGE_SHIFT);
		large = e;
	}
	/* A cached entry may lack a right that the table has been given since. */
	if (e && allows(e->pte, write)) {
		pte = e->pte;
	} else {
		ret = walk(core, va, write, &pte, &large);
		if (ret)
			return ret;
		if (!allows(pte, write))
			return npu_job_fault(core, NPU_FAULT_MMU_PERM, va, write);
	}
	offset_mask = large ? LARGE_OFFSET_MASK : SMALL_OFFSET_MASK;
	*bus_addr = (pte & NPU_PTE_ADDR_MASK) + (va & offset_mask);
	*left_bytes = offset_mask + 1 - (va & offset_mask);
	return 0;
}

static void flush(struct npu_tlb *tlb)
{
	uint32_t epoch = atomic_load(&tlb->epoch);

	if (epoch == EPOCH_MAX) {
		memset(tlb->small, 0, sizeof(tlb->small));
		memset(tlb->large, 0, sizeof(tlb->large));
		memset(tlb->walk, 0, sizeof(tlb->walk));
		epoch = 0;
	}
	atomic_store(&tlb->epoch, epoch + 1);
}

void npu_tlb_service(struct npu_core *core, struct npu_fx *fx)
{
	pthread_mutex_lock(&core->lock);
	if (atomic_exchange(&core->tlb_stale, false)) {
		flush(&core->tlb);
		if (core->tlb_ack_seq != core->tlb_inv_seq) {
			core->tlb_ack_seq = core->tlb_inv_seq;
			npu_irq_event_locked(core, NPU_IRQ_TLB_ACK, fx);
		}
	}
	pthread_mutex_unlock(&core->lock);
}

void npu_tlb_try_service(struct npu_core *core)
{
	struct npu_fx fx = { .vectors = 0 };

	/*
	 * Whoever fails to get bus_lock knows that its holder looks at
	 * tlb_stale again after it has let go.
	 */
	while (atomic_load(&core->tlb_stale) && !pthread_mutex_trylock(&core->bus_lock)) {
		npu_tlb_service(core, &fx);
		pthread_mutex_unlock(&core->bus_lock);
	}
	if (fx.vectors)
		npu_fx_flush(core, &fx);
}
