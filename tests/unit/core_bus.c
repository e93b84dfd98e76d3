/* SPDX-License-Identifier: MIT */
/* A machine around the device core; see core_bus.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core_bus.h"

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "core_bus: out of memory\n");
		exit(1);
	}
	return p;
}

/* ---- Callbacks ---- */

static bool refused(const struct core_bus *bus, uint64_t addr, size_t bytes)
{
	if (addr < CORE_BUS_BASE || bytes > bus->ram_bytes ||
	    addr - CORE_BUS_BASE > bus->ram_bytes - bytes)
		return true;
	for (unsigned int i = 0; i < bus->holes; i++)
		if (addr < bus->hole_hi[i] && addr + bytes > bus->hole_lo[i])
			return true;
	return false;
}

/* RAM is shared: whole words, as in page tables, are read at once and in order. */
static void read_ram(void *to, const uint8_t *from, size_t bytes)
{
	const _Atomic uint64_t *word = (const _Atomic uint64_t *)(const void *)from;

	if ((uintptr_t)from % 8 || bytes % 8 || bytes > 64) {
		memcpy(to, from, bytes);
		return;
	}
	for (size_t i = 0; i < bytes / 8; i++) {
		uint64_t value = atomic_load_explicit(&word[i], memory_order_acquire);

		memcpy((uint8_t *)to + i * 8, &value, 8);
	}
}

static int on_read(void *opaque, uint64_t addr, void *buf, size_t bytes)
{
	struct core_bus *bus = opaque;

	if (bus->on_read)
		bus->on_read(bus, addr, bytes);
	atomic_fetch_add(&bus->reads, 1);
	if (bytes > 65536)
		atomic_fetch_add(&bus->oversize, 1);
	if (refused(bus, addr, bytes))
		return -EFAULT;
	read_ram(buf, bus->ram + (addr - CORE_BUS_BASE), bytes);
	return 0;
}

static int on_write(void *opaque, uint64_t addr, const void *buf, size_t bytes)
{
	struct core_bus *bus = opaque;

	if (bus->on_write)
		bus->on_write(bus, addr, bytes);
	atomic_fetch_add(&bus->writes, 1);
	memmove(&bus->write_log[1], &bus->write_log[0],
		sizeof(bus->write_log) - sizeof(bus->write_log[0]));
	bus->write_log[0].addr = addr;
	bus->write_log[0].bytes = bytes;
	if (bytes > 65536)
		atomic_fetch_add(&bus->oversize, 1);
	if (atomic_load(&bus->frozen))
		atomic_fetch_add(&bus->late_writes, 1);
	if (refused(bus, addr, bytes))
		return -EFAULT;
	memcpy(bus->ram + (addr - CORE_BUS_BASE), buf, bytes);
	return 0;
}

static void on_irq(void *opaque, unsigned int vector)
{
	struct core_bus *bus = opaque;

	pthread_mutex_lock(&bus->lock);
	bus->irqs[vector]++;
	pthread_cond_broadcast(&bus->cond);
	pthread_mutex_unlock(&bus->lock);
}

static uint64_t on_now(void *opaque)
{
	struct core_bus *bus = opaque;

	if (bus->on_now)
		bus->on_now(bus);
	return atomic_fetch_add(&bus->now_ns, 1000);
}

static void on_log(void *opaque, enum npu_core_log level, const char *text)
{
	struct core_bus *bus = opaque;

	if (bus->on_now)
		bus->on_now(bus);
	pthread_mutex_lock(&bus->lock);
	if (level == NPU_CORE_LOG_GUEST_ERROR) {
		bus->errors++;
		snprintf(bus->error_text, sizeof(bus->error_text), "%s", text);
	} else if (level == NPU_CORE_LOG_FAULT) {
		snprintf(bus->fault_text, sizeof(bus->fault_text), "%s", text);
	}
	pthread_mutex_unlock(&bus->lock);
}

/* ---- Machine ---- */

struct core_bus *core_bus_create(const struct npu_core_config *config, size_t ram_bytes)
{
	static const struct npu_core_ops ops = {
		.dma_read = on_read,
		.dma_write = on_write,
		.irq = on_irq,
		.now_ns = on_now,
		.log = on_log,
	};
	struct core_bus *bus = need(calloc(1, sizeof(*bus)));
	const char *error = "no reason given";

	bus->ram = need(calloc(1, ram_bytes));
	bus->ram_bytes = ram_bytes;
	bus->synchronous = config->synchronous;
	bus->next = CORE_BUS_BASE + NPU_PAGE_BYTES;
	atomic_store(&bus->now_ns, 1000000);
	pthread_mutex_init(&bus->lock, NULL);
	pthread_cond_init(&bus->cond, NULL);
	bus->core = npu_core_create(config, &ops, bus, &error);
	if (!bus->core) {
		fprintf(stderr, "core_bus: no device: %s\n", error);
		exit(1);
	}
	bus->ctx_table = core_bus_alloc(bus, NPU_CONTEXTS * NPU_CTX_ENTRY_BYTES, NPU_PAGE_BYTES);
	core_bus_write64(bus, NPU_REG_CTX_TABLE, bus->ctx_table);
	return bus;
}

void core_bus_destroy(struct core_bus *bus)
{
	npu_core_destroy(bus->core);
	pthread_mutex_destroy(&bus->lock);
	pthread_cond_destroy(&bus->cond);
	free(bus->ram);
	free(bus);
}

uint64_t core_bus_alloc(struct core_bus *bus, size_t bytes, size_t align)
{
	uint64_t addr = (bus->next + align - 1) / align * align;

	if (addr - CORE_BUS_BASE > bus->ram_bytes ||
	    bytes > bus->ram_bytes - (addr - CORE_BUS_BASE)) {
		fprintf(stderr, "core_bus: RAM of %zu bytes is used up\n", bus->ram_bytes);
		exit(1);
	}
	bus->next = addr + bytes;
	memset(bus->ram + (addr - CORE_BUS_BASE), 0, bytes);
	return addr;
}

void *core_bus_ptr(struct core_bus *bus, uint64_t bus_addr, size_t bytes)
{
	if (bus_addr < CORE_BUS_BASE || bytes > bus->ram_bytes ||
	    bus_addr - CORE_BUS_BASE > bus->ram_bytes - bytes) {
		fprintf(stderr, "core_bus: test asks for 0x%llx outside of RAM\n",
			(unsigned long long)bus_addr);
		exit(1);
	}
	return bus->ram + (bus_addr - CORE_BUS_BASE);
}

void core_bus_hole(struct core_bus *bus, uint64_t bus_addr, size_t bytes)
{
	bus->hole_lo[bus->holes] = bus_addr;
	bus->hole_hi[bus->holes++] = bus_addr + bytes;
}

uint32_t core_bus_read(struct core_bus *bus, uint64_t offset)
{
	return (uint32_t)npu_core_mmio_read(bus->core, offset, 4);
}

uint64_t core_bus_read64(struct core_bus *bus, uint64_t offset)
{
	return npu_core_mmio_read(bus->core, offset, 8);
}

void core_bus_write(struct core_bus *bus, uint64_t offset, uint32_t value)
{
	npu_core_mmio_write(bus->core, offset, value, 4);
}

void core_bus_write64(struct core_bus *bus, uint64_t offset, uint64_t value)
{
	npu_core_mmio_write(bus->core, offset, value, 8);
}

/* ---- Contexts ---- */

void core_bus_context(struct core_bus *bus, uint32_t ctx)
{
	uint64_t *entry = core_bus_ptr(bus, bus->ctx_table + ctx * NPU_CTX_ENTRY_BYTES,
				       NPU_CTX_ENTRY_BYTES);

	bus->root[ctx] = core_bus_alloc(bus, NPU_PAGE_BYTES, NPU_PAGE_BYTES);
	entry[0] = bus->root[ctx] | NPU_CTX_VALID;
	entry[1] = 0;
}

uint64_t *core_bus_pte(struct core_bus *bus, uint32_t ctx, uint64_t va, unsigned int level)
{
	uint64_t table = bus->root[ctx];

	for (unsigned int l = NPU_PT_LEVELS - 1;; l--) {
		uint64_t index = va >> (NPU_PAGE_SHIFT + NPU_PT_INDEX_BITS * l) &
				 (NPU_PT_ENTRIES - 1);
		uint64_t *pte = core_bus_ptr(bus, table + index * 8, 8);

		if (l == level)
			return pte;
		if (!(*pte & NPU_PTE_VALID))
			*pte = core_bus_alloc(bus, NPU_PAGE_BYTES, NPU_PAGE_BYTES) |
			       NPU_PTE_VALID;
		table = *pte & NPU_PTE_ADDR_MASK;
	}
}

void core_bus_map(struct core_bus *bus, uint32_t ctx, uint64_t va, uint64_t bus_addr,
		  size_t bytes, uint64_t rights)
{
	for (size_t done = 0; done < bytes; done += NPU_PAGE_BYTES)
		*core_bus_pte(bus, ctx, va + done, 0) =
			(bus_addr + done) | NPU_PTE_VALID | NPU_PTE_LEAF | rights;
}

void core_bus_map_large(struct core_bus *bus, uint32_t ctx, uint64_t va, uint64_t bus_addr,
			size_t bytes, uint64_t rights)
{
	for (size_t done = 0; done < bytes; done += NPU_LARGE_PAGE_BYTES)
		*core_bus_pte(bus, ctx, va + done, 1) =
			(bus_addr + done) | NPU_PTE_VALID | NPU_PTE_LEAF | rights;
}

uint64_t core_bus_buffer(struct core_bus *bus, uint32_t ctx, uint64_t va, size_t bytes)
{
	size_t whole = (bytes + NPU_PAGE_BYTES - 1) / NPU_PAGE_BYTES * NPU_PAGE_BYTES;
	uint64_t addr = core_bus_alloc(bus, whole, NPU_PAGE_BYTES);

	core_bus_map(bus, ctx, va, addr, whole, NPU_PTE_READ | NPU_PTE_WRITE);
	return addr;
}

uint32_t core_bus_invalidate(struct core_bus *bus)
{
	core_bus_write(bus, NPU_REG_TLB_INV, NPU_TLB_INV_ALL);
	return core_bus_read(bus, NPU_REG_TLB_INV_SEQ);
}

/* ---- Queues ---- */

void core_bus_queue(struct core_bus *bus, uint32_t queue, uint32_t ctx, uint32_t prio,
		    uint32_t vector, uint32_t ring_log2)
{
	size_t bytes = sizeof(struct npu_job_entry) << ring_log2;

	bus->ring[queue] = core_bus_alloc(bus, bytes, NPU_PAGE_BYTES);
	bus->ring_log2[queue] = ring_log2;
	bus->tail[queue] = 0;
	core_bus_write(bus, core_bus_queue_reg(queue, NPU_QUEUE_CONFIG),
		       ctx | prio << NPU_QUEUE_CONFIG_PRIO_SHIFT |
		       vector << NPU_QUEUE_CONFIG_VECTOR_SHIFT);
	core_bus_write64(bus, core_bus_queue_reg(queue, NPU_QUEUE_RING), bus->ring[queue]);
	core_bus_write(bus, core_bus_queue_reg(queue, NPU_QUEUE_RING_LOG2), ring_log2);
	core_bus_write(bus, core_bus_queue_reg(queue, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	core_bus_write(bus, NPU_REG_CONTROL, NPU_CONTROL_RUN);
	core_bus_write(bus, NPU_REG_IRQ_ENABLE, NPU_IRQ_MASK);
}

void core_bus_push(struct core_bus *bus, uint32_t queue, const struct npu_job_entry *entry)
{
	uint32_t slot = bus->tail[queue]++ & ((1u << bus->ring_log2[queue]) - 1);

	memcpy(core_bus_ptr(bus, bus->ring[queue] + slot * sizeof(*entry), sizeof(*entry)),
	       entry, sizeof(*entry));
}

void core_bus_doorbell(struct core_bus *bus, uint32_t queue)
{
	core_bus_write(bus, NPU_DOORBELL_BASE + queue * NPU_DOORBELL_PAGE_BYTES + NPU_DOORBELL_TAIL,
		       bus->tail[queue]);
}

uint32_t core_bus_state(struct core_bus *bus, uint32_t queue)
{
	return core_bus_read(bus, core_bus_queue_reg(queue, NPU_QUEUE_STATE));
}

/* @states: one bit per state. Interrupts wake it; the state is what counts. */
static bool wait_threaded(struct core_bus *bus, uint32_t queue, uint32_t states)
{
	struct timespec until;
	bool in_time = true;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	while (!(states >> core_bus_state(bus, queue) & 1) && in_time) {
		struct timespec soon;

		clock_gettime(CLOCK_REALTIME, &soon);
		in_time = soon.tv_sec < until.tv_sec;
		soon.tv_nsec += 2000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
		pthread_mutex_lock(&bus->lock);
		pthread_cond_timedwait(&bus->cond, &bus->lock, &soon);
		pthread_mutex_unlock(&bus->lock);
	}
	return states >> core_bus_state(bus, queue) & 1;
}

static bool wait_states(struct core_bus *bus, uint32_t queue, uint32_t states)
{
	if (!bus->synchronous)
		return wait_threaded(bus, queue, states);
	while (!(states >> core_bus_state(bus, queue) & 1))
		if (!npu_core_run(bus->core, 1))
			return states >> core_bus_state(bus, queue) & 1;
	return true;
}

bool core_bus_wait(struct core_bus *bus, uint32_t queue, enum npu_queue_state state)
{
	return wait_states(bus, queue, 1u << state);
}

/* ---- Commands ---- */

void *core_cmds_add(struct core_cmds *c, unsigned int opcode, size_t body_bytes)
{
	size_t lines = (body_bytes + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES;
	struct npu_desc_hdr *hdr;

	if (c->used + lines * NPU_LINE_BYTES > sizeof(c->bytes)) {
		fprintf(stderr, "core_bus: command buffer is full\n");
		exit(1);
	}
	hdr = (struct npu_desc_hdr *)(void *)(c->bytes + c->used);
	memset(hdr, 0, lines * NPU_LINE_BYTES);
	hdr->opcode = (uint8_t)opcode;
	hdr->lines = (uint8_t)lines;
	hdr->tag = (uint32_t)(c->used / NPU_LINE_BYTES);
	c->used += lines * NPU_LINE_BYTES;
	return hdr;
}

void core_cmds_end(struct core_cmds *c)
{
	core_cmds_add(c, NPU_OP_END, sizeof(struct npu_desc_ctrl));
}

struct npu_desc_hdr *core_cmds_nop(struct core_cmds *c)
{
	return core_cmds_add(c, NPU_OP_NOP, sizeof(struct npu_desc_ctrl));
}

struct npu_desc_dma *core_cmds_copy(struct core_cmds *c, unsigned int opcode, unsigned int reg,
				    int64_t offset, uint32_t spm, uint32_t bytes)
{
	struct npu_desc_dma *d = core_cmds_add(c, opcode, sizeof(*d));

	for (unsigned int i = 0; i < 5; i++)
		d->dim[i] = 1;
	d->dim[4] = bytes / 4;
	d->mem = (struct npu_mem){
		.reg = (uint8_t)reg,
		.dtype = NPU_F32,
		.offset_bytes = offset,
		.stride_bytes = { 0, 0, 0, 0, 4 },
	};
	d->spm = (struct npu_ref){ .addr = spm, .dtype = NPU_F32, .reg = NPU_REG_NONE };
	d->spm_stride[4] = 1;
	return d;
}

struct npu_desc_fill *core_cmds_fill(struct core_cmds *c, uint32_t spm, uint32_t bytes,
				     uint32_t value)
{
	struct npu_desc_fill *d = core_cmds_add(c, NPU_OP_FILL, sizeof(*d));

	for (unsigned int i = 0; i < 5; i++)
		d->dim[i] = 1;
	d->dim[4] = bytes / 4;
	d->value = value;
	d->spm = (struct npu_ref){ .addr = spm, .dtype = NPU_I32, .reg = NPU_REG_NONE };
	d->spm_stride[4] = 1;
	return d;
}

struct npu_desc_loop *core_cmds_loop(struct core_cmds *c, uint32_t count)
{
	struct npu_desc_loop *d = core_cmds_add(c, NPU_OP_LOOP, sizeof(*d));

	d->count = count;
	return d;
}

struct npu_desc_endl *core_cmds_endl(struct core_cmds *c)
{
	struct npu_desc_endl *d = core_cmds_add(c, NPU_OP_ENDL, sizeof(*d));

	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++)
		d->step[i].reg = NPU_REG_NONE;
	return d;
}

struct npu_desc_setr *core_cmds_setr(struct core_cmds *c, unsigned int opcode, unsigned int reg,
				     int64_t imm)
{
	struct npu_desc_setr *d = core_cmds_add(c, opcode, sizeof(*d));

	d->reg = (uint8_t)reg;
	d->imm = imm;
	return d;
}

void core_cmds_wait(void *desc, unsigned int port, unsigned int sem, unsigned int count)
{
	struct npu_desc_hdr *hdr = desc;

	hdr->wait[port] = (struct npu_sem_ref){ .sem = (uint8_t)sem, .count = (uint8_t)count };
}

void core_cmds_signal(void *desc, unsigned int port, unsigned int sem, unsigned int count)
{
	struct npu_desc_hdr *hdr = desc;

	hdr->signal[port] = (struct npu_sem_ref){ .sem = (uint8_t)sem, .count = (uint8_t)count };
}

/* ---- Jobs ---- */

struct core_job core_bus_job(struct core_bus *bus, uint32_t ctx, uint64_t va,
			     const struct core_cmds *c, const uint64_t *regs, uint32_t count)
{
	static _Atomic uint64_t seqno = 1000;
	size_t bytes = NPU_PAGE_BYTES + c->used;
	uint64_t addr = core_bus_alloc(bus, (bytes + NPU_PAGE_BYTES - 1) & ~(NPU_PAGE_BYTES - 1ull),
				       NPU_PAGE_BYTES);
	uint64_t done = core_bus_alloc(bus, sizeof(struct npu_job_done), 64);

	/* First page: bindings. Then the commands. */
	core_bus_map(bus, ctx, va, addr, bytes, NPU_PTE_READ);
	if (count)
		memcpy(core_bus_ptr(bus, addr, NPU_PAGE_BYTES), regs, count * sizeof(*regs));
	memcpy(core_bus_ptr(bus, addr + NPU_PAGE_BYTES, c->used), c->bytes, c->used);
	return (struct core_job){
		.entry = {
			.cmd_va = va + NPU_PAGE_BYTES,
			.cmd_bytes = (uint32_t)c->used,
			.bind_va = va,
			.bind_count = count,
			.done_addr = done,
			.seqno = atomic_fetch_add(&seqno, 1),
		},
		.done = core_bus_ptr(bus, done, sizeof(struct npu_job_done)),
		.cmd_bus = addr + NPU_PAGE_BYTES,
	};
}

uint32_t core_bus_run(struct core_bus *bus, uint32_t queue, const struct core_job *job)
{
	memset(job->done, 0xff, sizeof(*job->done));
	core_bus_push(bus, queue, &job->entry);
	core_bus_doorbell(bus, queue);
	if (!wait_states(bus, queue, 1u << NPU_QUEUE_STATE_IDLE | 1u << NPU_QUEUE_STATE_FAULTED))
		return UINT32_MAX;
	return job->done->seqno == job->entry.seqno ? job->done->status : UINT32_MAX;
}
