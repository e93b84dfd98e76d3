/* SPDX-License-Identifier: MIT */
/*
 * A machine around the device core for tests: RAM with holes, page tables,
 * queues, job submission. Test code talks to the device by its registers only.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include <pthread.h>
#include <stdatomic.h>
#include "npu_core.h"
#include "npu_isa.h"

#define CORE_BUS_BASE		0x100000000ull	/* bus address of the RAM */
#define CORE_BUS_HOLES		16
#define CORE_BUS_TEXT		200

/**
 * struct core_bus - RAM, what the device did to it, and the device
 * @ram: the memory
 * @ram_bytes: its size
 * @next: bump allocator, bus address
 * @hole_lo: ranges that refuse accesses
 * @hole_hi: their ends
 * @holes: how many
 * @lock: protects what follows
 * @cond: an interrupt came
 * @irqs: interrupts per vector
 * @errors: guest errors that were logged
 * @fault_text: last fault that was logged
 * @error_text: last guest error that was logged
 * @reads: calls of dma_read, also refused ones
 * @writes: calls of dma_write
 * @oversize: calls with more than 64 KiB: must stay 0
 * @frozen: no write is expected
 * @late_writes: writes while frozen
 * @now_ns: device clock; it goes on by 1000 per reading
 * @write_log: address and size of the newest writes, newest first
 * @on_read: called before each read, may be NULL
 * @on_write: called before each write, may be NULL
 * @on_now: called when the clock is read or a line logged, may be NULL
 * @tail: per queue, what the doorbell was given
 * @ring: per queue
 * @ring_log2: per queue
 * @ctx_table: bus address
 * @root: per context, bus address of the level 3 table
 * @synchronous: the device runs in core_bus_wait() only
 * @core: the device
 */
struct core_bus {
	uint8_t *ram;
	size_t ram_bytes;
	uint64_t next;
	uint64_t hole_lo[CORE_BUS_HOLES];
	uint64_t hole_hi[CORE_BUS_HOLES];
	unsigned int holes;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned int irqs[NPU_VECTORS];
	unsigned int errors;
	char fault_text[CORE_BUS_TEXT];
	char error_text[CORE_BUS_TEXT];
	atomic_uint reads;
	atomic_uint writes;
	atomic_uint oversize;
	atomic_bool frozen;
	atomic_uint late_writes;
	_Atomic uint64_t now_ns;
	struct { uint64_t addr; size_t bytes; } write_log[4];
	void (*on_read)(struct core_bus *bus, uint64_t addr, size_t bytes);
	void (*on_write)(struct core_bus *bus, uint64_t addr, size_t bytes);
	void (*on_now)(struct core_bus *bus);
	uint32_t tail[NPU_QUEUES];
	uint64_t ring[NPU_QUEUES];
	uint32_t ring_log2[NPU_QUEUES];
	uint64_t ctx_table;
	uint64_t root[NPU_CONTEXTS];
	bool synchronous;
	struct npu_core *core;
};

/* Everything here ends the test program with a message when the host lacks memory. */
struct core_bus *core_bus_create(const struct npu_core_config *config, size_t ram_bytes);
void core_bus_destroy(struct core_bus *bus);

/*
 * Memory: allocate (zeroed; freed by setting bus->next back), look at, make
 * refuse.
 */
uint64_t core_bus_alloc(struct core_bus *bus, size_t bytes, size_t align);
void *core_bus_ptr(struct core_bus *bus, uint64_t bus_addr, size_t bytes);
void core_bus_hole(struct core_bus *bus, uint64_t bus_addr, size_t bytes);

/* Registers. */
uint32_t core_bus_read(struct core_bus *bus, uint64_t offset);
uint64_t core_bus_read64(struct core_bus *bus, uint64_t offset);
void core_bus_write(struct core_bus *bus, uint64_t offset, uint32_t value);
void core_bus_write64(struct core_bus *bus, uint64_t offset, uint64_t value);

static inline uint64_t core_bus_queue_reg(uint32_t queue, uint64_t reg)
{
	return NPU_QUEUE_BASE + (uint64_t)queue * NPU_QUEUE_STRIDE + reg;
}

/* Contexts: a valid entry with empty tables; mappings of 4 KiB or 2 MiB pages. */
void core_bus_context(struct core_bus *bus, uint32_t ctx);
void core_bus_map(struct core_bus *bus, uint32_t ctx, uint64_t va, uint64_t bus_addr,
		  size_t bytes, uint64_t rights);
void core_bus_map_large(struct core_bus *bus, uint32_t ctx, uint64_t va, uint64_t bus_addr,
			size_t bytes, uint64_t rights);
/* The entry of @va at @level; the tables above it are made when they lack. */
uint64_t *core_bus_pte(struct core_bus *bus, uint32_t ctx, uint64_t va, unsigned int level);
/* Allocate and map read-write; returns the bus address. */
uint64_t core_bus_buffer(struct core_bus *bus, uint32_t ctx, uint64_t va, size_t bytes);
/* Request an invalidation of everything; returns its sequence number. */
uint32_t core_bus_invalidate(struct core_bus *bus);

/* Queues: set up and enable; RUN is set. */
void core_bus_queue(struct core_bus *bus, uint32_t queue, uint32_t ctx, uint32_t prio,
		    uint32_t vector, uint32_t ring_log2);
/* Put a job into the ring; the doorbell is another call. */
void core_bus_push(struct core_bus *bus, uint32_t queue, const struct npu_job_entry *entry);
void core_bus_doorbell(struct core_bus *bus, uint32_t queue);
uint32_t core_bus_state(struct core_bus *bus, uint32_t queue);
/*
 * Let the device work until queue @queue is in @state: runs a synchronous core,
 * waits for a threaded one. False after five seconds, or when nothing runs.
 */
bool core_bus_wait(struct core_bus *bus, uint32_t queue, enum npu_queue_state state);

/**
 * struct core_cmds - command buffer under construction
 * @bytes: descriptors so far
 * @used: their size
 */
struct core_cmds {
	_Alignas(64) uint8_t bytes[1u << 18];
	size_t used;
};

/* A descriptor of @body_bytes, all 0 but opcode, lines and tag (its number). */
void *core_cmds_add(struct core_cmds *c, unsigned int opcode, size_t body_bytes);
void core_cmds_end(struct core_cmds *c);
struct npu_desc_hdr *core_cmds_nop(struct core_cmds *c);
/* Contiguous @bytes between memory at register @reg + @offset and SPM at @spm. */
struct npu_desc_dma *core_cmds_copy(struct core_cmds *c, unsigned int opcode, unsigned int reg,
				    int64_t offset, uint32_t spm, uint32_t bytes);
struct npu_desc_fill *core_cmds_fill(struct core_cmds *c, uint32_t spm, uint32_t bytes,
				     uint32_t value);
struct npu_desc_loop *core_cmds_loop(struct core_cmds *c, uint32_t count);
struct npu_desc_endl *core_cmds_endl(struct core_cmds *c);
struct npu_desc_setr *core_cmds_setr(struct core_cmds *c, unsigned int opcode, unsigned int reg,
				     int64_t imm);
void core_cmds_wait(void *desc, unsigned int port, unsigned int sem, unsigned int count);
void core_cmds_signal(void *desc, unsigned int port, unsigned int sem, unsigned int count);

/**
 * struct core_job - a job of the simple kind, made by core_bus_job()
 * @entry: for core_bus_push()
 * @done: its completion record in RAM
 * @cmd_bus: where the commands are
 */
struct core_job {
	struct npu_job_entry entry;
	struct npu_job_done *done;
	uint64_t cmd_bus;
};

/* Place commands and bindings at @va (mapped read-only here) of context @ctx. */
struct core_job core_bus_job(struct core_bus *bus, uint32_t ctx, uint64_t va,
			     const struct core_cmds *c, const uint64_t *regs, uint32_t count);
/*
 * Run one job on queue @queue and return the completion status; UINT32_MAX if
 * it did not end. The queue is idle or faulted afterwards.
 */
uint32_t core_bus_run(struct core_bus *bus, uint32_t queue, const struct core_job *job);

#endif
