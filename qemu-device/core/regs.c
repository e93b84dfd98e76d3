/* SPDX-License-Identifier: MIT */
/*
 * The register map (HW 2.2, 2.3): which offsets exist, who may access them and
 * how, and what each read and write does. Work per access does not depend on
 * anything that a guest controls.
 */
#include "core.h"

enum { RO = 1, WO = 2, RW = RO | WO };

/* Indexed by offset / 4; bytes 0: no register, or the upper half of the one before. */
struct reg {
	uint8_t bytes;
	uint8_t access;
};

static const struct reg device_regs[] = {
	[NPU_REG_ID / 4] = { 4, RO },
	[NPU_REG_VERSION / 4] = { 4, RO },
	[NPU_REG_CAPS / 4] = { 8, RO },
	[NPU_REG_ARRAY / 4] = { 4, RO },
	[NPU_REG_SPM_BYTES / 4] = { 4, RO },
	[NPU_REG_ACC_BYTES / 4] = { 4, RO },
	[NPU_REG_LIMITS / 4] = { 4, RO },
	[NPU_REG_CLOCK_KHZ / 4] = { 4, RO },
	[NPU_REG_DMA_BW / 4] = { 4, RO },
	[NPU_REG_DMA_LATENCY / 4] = { 4, RO },
	[NPU_REG_VE_BW / 4] = { 4, RO },
	[NPU_REG_CONTROL / 4] = { 4, RW },
	[NPU_REG_STATUS / 4] = { 4, RO },
	[NPU_REG_CTX_TABLE / 4] = { 8, RW },
	[NPU_REG_TLB_INV_VA / 4] = { 8, RW },
	[NPU_REG_TLB_INV_PAGES / 4] = { 4, RW },
	[NPU_REG_TLB_INV / 4] = { 4, WO },
	[NPU_REG_TLB_INV_SEQ / 4] = { 4, RO },
	[NPU_REG_TLB_ACK_SEQ / 4] = { 4, RO },
	[NPU_REG_IRQ_STATUS / 4] = { 4, RW },
	[NPU_REG_IRQ_ENABLE / 4] = { 4, RW },
	[NPU_REG_DONE_QUEUES / 4] = { 8, RW },
	[NPU_REG_FAULT_QUEUES / 4] = { 8, RW },
	[NPU_REG_COUNT_JOBS / 4] = { 8, RO },
	[NPU_REG_COUNT_DESCRIPTORS / 4] = { 8, RO },
	[NPU_REG_COUNT_MACS / 4] = { 8, RO },
	[NPU_REG_COUNT_READ_BYTES / 4] = { 8, RO },
	[NPU_REG_COUNT_WRITE_BYTES / 4] = { 8, RO },
	[NPU_REG_COUNT_CYCLES / 4] = { 8, RO },
	[NPU_REG_COUNT_FAULTS / 4] = { 8, RO },
	[NPU_REG_TIME_NS / 4] = { 8, RO },
	[NPU_REG_TIME_NS / 4 + 1] = { 0, 0 },
};

static const struct reg queue_regs[NPU_QUEUE_STRIDE / 4] = {
	[NPU_QUEUE_CTRL / 4] = { 4, RW },
	[NPU_QUEUE_CONFIG / 4] = { 4, RW },
	[NPU_QUEUE_RING / 4] = { 8, RW },
	[NPU_QUEUE_RING_LOG2 / 4] = { 4, RW },
	[NPU_QUEUE_HEAD / 4] = { 4, RO },
	[NPU_QUEUE_TAIL / 4] = { 4, RO },
	[NPU_QUEUE_STATE / 4] = { 4, RO },
	[NPU_QUEUE_RUN_NS / 4] = { 8, RO },
	[NPU_QUEUE_PROGRESS / 4] = { 8, RO },
	[NPU_QUEUE_CYCLES / 4] = { 8, RO },
	[NPU_QUEUE_FAULT_INFO / 4] = { 4, RO },
	[NPU_QUEUE_FAULT_TAG / 4] = { 4, RO },
	[NPU_QUEUE_FAULT_VA / 4] = { 8, RO },
	[NPU_QUEUE_FAULT_DESC_VA / 4] = { 8, RO },
	[NPU_QUEUE_FAULT_SEQNO / 4] = { 8, RO },
	[NPU_QUEUE_FAULT_CYCLE / 4] = { 8, RO },
	[NPU_QUEUE_FAULT_AUX / 4] = { 4, RO },
};

static const struct reg doorbell_regs[] = {
	[NPU_DOORBELL_TAIL / 4] = { 4, WO },
};

enum block { BLOCK_NONE, BLOCK_DEVICE, BLOCK_QUEUE, BLOCK_DOORBELL };

/**
 * struct target - where an access goes
 * @block: kind of register
 * @index: queue
 * @offset: of the register in its block
 * @shift: 32 when the upper half of a 64-bit register is meant
 * @access: RO, WO, RW
 * @mask: bits of the register that the access covers
 */
struct target {
	enum block block;
	uint32_t index;
	uint32_t offset;
	unsigned int shift;
	unsigned int access;
	uint64_t mask;
};

static bool find_in(const struct reg *regs, size_t count, uint32_t offset, unsigned int bytes,
		    struct target *t)
{
	size_t i = offset / 4;
	bool upper = false;

	if (i < count && !regs[i].bytes && i && regs[i - 1].bytes == 8) {
		upper = true;
		i--;
	}
	if (i >= count || !regs[i].bytes || bytes > regs[i].bytes || (upper && bytes == 8))
		return false;
	t->offset = (uint32_t)i * 4;
	t->shift = upper ? 32 : 0;
	t->access = regs[i].access;
	t->mask = bytes == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << t->shift;
	return true;
}

static bool find(uint64_t offset, unsigned int bytes, struct target *t)
{
	uint64_t rest;

	*t = (struct target){ .block = BLOCK_NONE };
	if ((bytes != 4 && bytes != 8) || offset % bytes || offset >= NPU_BAR_REGS_BYTES)
		return false;
	if (offset < NPU_QUEUE_BASE) {
		t->block = BLOCK_DEVICE;
		return find_in(device_regs, sizeof(device_regs) / sizeof(device_regs[0]),
			       (uint32_t)offset, bytes, t);
	}
	if (offset >= NPU_DOORBELL_BASE) {
		rest = offset - NPU_DOORBELL_BASE;
		t->block = BLOCK_DOORBELL;
		t->index = (uint32_t)(rest / NPU_DOORBELL_PAGE_BYTES);
		return t->index < NPU_QUEUES &&
		       find_in(doorbell_regs, sizeof(doorbell_regs) / sizeof(doorbell_regs[0]),
			       (uint32_t)(rest % NPU_DOORBELL_PAGE_BYTES), bytes, t);
	}
	rest = offset - NPU_QUEUE_BASE;
	t->block = BLOCK_QUEUE;
	t->index = (uint32_t)(rest / NPU_QUEUE_STRIDE);
	return t->index < NPU_QUEUES &&
	       find_in(queue_regs, sizeof(queue_regs) / sizeof(queue_regs[0]),
		       (uint32_t)(rest % NPU_QUEUE_STRIDE), bytes, t);
}

static uint64_t read_device(const struct npu_core *core, uint32_t offset, uint64_t now_ns)
{
	const struct npu_core_config *c = &core->config;

	switch (offset) {
	case NPU_REG_ID: return NPU_ID_VALUE;
	case NPU_REG_VERSION: return NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR;
	case NPU_REG_CAPS: return core->limits.caps;
	case NPU_REG_ARRAY: return c->array_cols << 16 | c->array_rows;
	case NPU_REG_SPM_BYTES: return c->spm_bytes;
	case NPU_REG_ACC_BYTES: return c->acc_bytes;
	case NPU_REG_LIMITS: return NPU_VECTORS << 16 | NPU_CONTEXTS << 8 | NPU_QUEUES;
	case NPU_REG_CLOCK_KHZ: return c->clock_khz;
	case NPU_REG_DMA_BW: return c->dma_bytes_per_kcycle;
	case NPU_REG_DMA_LATENCY: return c->dma_bursts << 16 | c->dma_latency_cycles;
	case NPU_REG_VE_BW: return c->ve_bytes_per_cycle;
	case NPU_REG_CONTROL: return core->control;
	case NPU_REG_STATUS:
		return (core->ready ? NPU_STATUS_READY : 0u) |
		       (core->job_active || core->job_parked ? NPU_STATUS_BUSY : 0u);
	case NPU_REG_CTX_TABLE: return core->ctx_table;
	case NPU_REG_TLB_INV_VA: return core->tlb_inv_va;
	case NPU_REG_TLB_INV_PAGES: return core->tlb_inv_pages;
	case NPU_REG_TLB_INV_SEQ: return core->tlb_inv_seq;
	case NPU_REG_TLB_ACK_SEQ: return core->tlb_ack_seq;
	case NPU_REG_IRQ_STATUS: return core->irq_status;
	case NPU_REG_IRQ_ENABLE: return core->irq_enable;
	case NPU_REG_DONE_QUEUES: return core->done_queues;
	case NPU_REG_FAULT_QUEUES: return core->fault_queues;
	case NPU_REG_COUNT_JOBS: return core->totals.jobs;
	case NPU_REG_COUNT_DESCRIPTORS: return core->totals.descriptors;
	case NPU_REG_COUNT_MACS: return core->totals.macs;
	case NPU_REG_COUNT_READ_BYTES: return core->totals.read_bytes;
	case NPU_REG_COUNT_WRITE_BYTES: return core->totals.write_bytes;
	case NPU_REG_COUNT_CYCLES: return core->totals.cycles;
	case NPU_REG_COUNT_FAULTS: return core->totals.faults;
	case NPU_REG_TIME_NS: return now_ns;
	default: return 0;
	}
}

static uint32_t fault_info(const struct npu_fault *f)
{
	return ((uint32_t)f->code & NPU_FAULT_INFO_CODE_MASK) |
	       (uint32_t)f->engine << NPU_FAULT_INFO_ENGINE_SHIFT |
	       (f->write ? NPU_FAULT_INFO_WRITE : 0u) |
	       (uint32_t)f->opcode << NPU_FAULT_INFO_OPCODE_SHIFT |
	       (uint32_t)f->ctx << NPU_FAULT_INFO_CTX_SHIFT;
}

static uint64_t read_queue(const struct npu_core *core, uint32_t index, uint32_t offset,
			   uint64_t now_ns)
{
	const struct npu_queue *q = &core->queue[index];
	bool running = npu_queue_has_job_locked(core, index);
	uint64_t start_ns = running ? core->job.start_ns : 0;

	switch (offset) {
	case NPU_QUEUE_CTRL:
		return q->state == NPU_QUEUE_STATE_DISABLED ? 0 : NPU_QUEUE_CTRL_ENABLE;
	case NPU_QUEUE_CONFIG: return q->config;
	case NPU_QUEUE_RING: return q->ring;
	case NPU_QUEUE_RING_LOG2: return q->ring_log2;
	case NPU_QUEUE_HEAD: return q->head;
	case NPU_QUEUE_TAIL: return q->tail;
	case NPU_QUEUE_STATE: return q->state;
	case NPU_QUEUE_RUN_NS:
		return q->run_ns + (start_ns && now_ns > start_ns ? now_ns - start_ns : 0);
	case NPU_QUEUE_PROGRESS:
		return q->progress + (running ? atomic_load(&core->retired) : 0);
	case NPU_QUEUE_CYCLES: return q->cycles;
	case NPU_QUEUE_FAULT_INFO: return fault_info(&q->fault);
	case NPU_QUEUE_FAULT_TAG: return q->fault.tag;
	case NPU_QUEUE_FAULT_VA: return q->fault.va;
	case NPU_QUEUE_FAULT_DESC_VA: return q->fault.desc_va;
	case NPU_QUEUE_FAULT_SEQNO: return q->fault.seqno;
	case NPU_QUEUE_FAULT_CYCLE: return q->fault.cycle;
	case NPU_QUEUE_FAULT_AUX: return q->fault.aux;
	default: return 0;
	}
}

static uint64_t read_target(const struct npu_core *core, const struct target *t, uint64_t now_ns)
{
	return t->block == BLOCK_DEVICE ? read_device(core, t->offset, now_ns) :
					  read_queue(core, t->index, t->offset, now_ns);
}

static void write_irq_enable(struct npu_core *core, uint32_t value, struct npu_fx *fx)
{
	uint32_t fresh = value & ~core->irq_enable & NPU_IRQ_MASK;

	core->irq_enable = value & NPU_IRQ_MASK;
	if (fresh & core->irq_status)
		fx->vectors |= 1u << 0;
}

static void request_invalidation(struct npu_core *core, uint32_t context, struct npu_fx *fx)
{
	core->tlb_inv_seq++;
	/* The context may be about to change hands: so must its data in SPM and ACC. */
	if (context == NPU_TLB_INV_ALL || core->tlb_inv_pages == 0)
		core->forget_owner = true;
	atomic_store(&core->tlb_stale, true);
	fx->tlb = true;
}

/* @value has the bits of @t->mask; of 64-bit RW registers it is merged already. */
static void write_device(struct npu_core *core, const struct target *t, uint64_t value,
			 struct npu_fx *fx)
{
	switch (t->offset) {
	case NPU_REG_CONTROL:
		core->control = (uint32_t)value & NPU_CONTROL_RUN;
		pthread_cond_signal(&core->work);
		break;
	case NPU_REG_CTX_TABLE: core->ctx_table = value & NPU_CTX_ROOT_MASK; break;
	case NPU_REG_TLB_INV_VA: core->tlb_inv_va = value & NPU_CTX_ROOT_MASK; break;
	case NPU_REG_TLB_INV_PAGES: core->tlb_inv_pages = (uint32_t)value; break;
	case NPU_REG_TLB_INV: request_invalidation(core, (uint32_t)value, fx); break;
	case NPU_REG_IRQ_STATUS: core->irq_status &= ~(uint32_t)value; break;
	case NPU_REG_IRQ_ENABLE: write_irq_enable(core, (uint32_t)value, fx); break;
	case NPU_REG_DONE_QUEUES: core->done_queues &= ~value; break;
	case NPU_REG_FAULT_QUEUES: core->fault_queues &= ~value; break;
	}
}

static void write_queue(struct npu_core *core, const struct target *t, uint64_t value,
			uint64_t now_ns, struct npu_fx *fx)
{
	struct npu_queue *q = &core->queue[t->index];

	if (t->offset == NPU_QUEUE_CTRL) {
		npu_queue_write_ctrl_locked(core, t->index, (uint32_t)value, now_ns, fx);
		return;
	}
	if (q->state != NPU_QUEUE_STATE_DISABLED) {
		npu_fx_error_locked(core, fx, "queue %u: register 0x%02x written while enabled",
				    t->index, t->offset);
		return;
	}
	switch (t->offset) {
	case NPU_QUEUE_CONFIG: q->config = (uint32_t)value & NPU_QUEUE_CONFIG_MASK; break;
	case NPU_QUEUE_RING: q->ring = value & NPU_CTX_ROOT_MASK; break;
	case NPU_QUEUE_RING_LOG2: q->ring_log2 = (uint32_t)value; break;
	}
}

/* Registers where a write of one half keeps the other. */
static bool keeps_other_half(const struct target *t)
{
	if (t->block == BLOCK_QUEUE)
		return t->offset == NPU_QUEUE_RING;
	return t->block == BLOCK_DEVICE &&
	       (t->offset == NPU_REG_CTX_TABLE || t->offset == NPU_REG_TLB_INV_VA);
}

static void write_target(struct npu_core *core, const struct target *t, uint64_t value,
			 uint64_t now_ns, struct npu_fx *fx)
{
	if (!core->ready && !(t->block == BLOCK_DEVICE && t->offset == NPU_REG_IRQ_ENABLE)) {
		npu_fx_log(fx, NPU_CORE_LOG_GUEST_ERROR, "register written while a reset is under way");
		return;
	}
	if (keeps_other_half(t))
		value |= read_target(core, t, now_ns) & ~t->mask;
	switch (t->block) {
	case BLOCK_DEVICE: write_device(core, t, value, fx); break;
	case BLOCK_QUEUE: write_queue(core, t, value, now_ns, fx); break;
	case BLOCK_DOORBELL: npu_queue_doorbell_locked(core, t->index, (uint32_t)value, fx); break;
	case BLOCK_NONE: break;
	}
}

static void log_bad_access(struct npu_core *core, const char *what, uint64_t offset,
			   unsigned int bytes)
{
	struct npu_fx fx = { .vectors = 0 };

	npu_fx_log(&fx, NPU_CORE_LOG_GUEST_ERROR, "%s of %u bytes at 0x%05llx: no such register",
		   what, bytes, (unsigned long long)offset);
	npu_fx_flush(core, &fx);
}

uint64_t npu_core_mmio_read(struct npu_core *core, uint64_t offset, unsigned int bytes)
{
	struct target t;
	uint64_t now_ns = 0;
	uint64_t value;

	if (!find(offset, bytes, &t) || !(t.access & RO)) {
		log_bad_access(core, "read", offset, bytes);
		return 0;
	}
	if ((t.block == BLOCK_DEVICE && t.offset == NPU_REG_TIME_NS) ||
	    (t.block == BLOCK_QUEUE && t.offset == NPU_QUEUE_RUN_NS))
		now_ns = core->ops.now_ns(core->opaque);
	pthread_mutex_lock(&core->lock);
	value = read_target(core, &t, now_ns);
	pthread_mutex_unlock(&core->lock);
	return (value & t.mask) >> t.shift;
}

void npu_core_mmio_write(struct npu_core *core, uint64_t offset, uint64_t value,
			 unsigned int bytes)
{
	struct npu_fx fx = { .vectors = 0 };
	uint64_t now_ns = 0;
	struct target t;

	if (!find(offset, bytes, &t) || !(t.access & WO)) {
		if (!(t.access & RO))
			log_bad_access(core, "write", offset, bytes);
		return;
	}
	value = value << t.shift & t.mask;
	if (t.block == BLOCK_DEVICE && t.offset == NPU_REG_CONTROL && value & NPU_CONTROL_RESET) {
		npu_core_reset_registers(core, true);
		return;
	}
	if (t.block == BLOCK_QUEUE && t.offset == NPU_QUEUE_CTRL)
		now_ns = core->ops.now_ns(core->opaque);
	pthread_mutex_lock(&core->lock);
	write_target(core, &t, value, now_ns, &fx);
	pthread_mutex_unlock(&core->lock);
	npu_fx_flush(core, &fx);
}
