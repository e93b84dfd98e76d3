/* SPDX-License-Identifier: MIT */
/*
 * The in-process device: a core, and a small driver for it. The driver does
 * what npu.ko does, by the same registers, rings and page tables; buffers are
 * anonymous memory, the interrupt is a callback, and one thread stands for the
 * kernel's interrupt handlers and timers.
 *
 * Locks, outermost first:
 *   lock      everything of the driver; held over register accesses
 *   bus_lock  the table of chunks against DMA; written under both
 *   irq_lock  what the thread has to do
 * The core's callbacks take bus_lock or irq_lock only, so that a register
 * access under lock may end in a callback.
 */
#ifndef NPU_SIM_H
#define NPU_SIM_H

#include <pthread.h>
#include "internal.h"
#include "npu_core.h"

/* Slots of a ring, and completion records; either fills one page. */
#define SIM_RING_LOG2		6
#define SIM_RING_SLOTS		(1u << SIM_RING_LOG2)
/* Budgets of jobs, as npu.ko has them. */
#define SIM_DEFAULT_TIMEOUT_MS	2000
#define SIM_MAX_TIMEOUT_MS	60000
/* The core has this long to stop a queue or to acknowledge an invalidation. */
#define SIM_ACK_LIMIT_NS	10000000000ull

/**
 * struct sim_chunk - memory on the bus, at (index + 1) << SIM_CHUNK_SHIFT
 * @mem: NULL: the entry is free
 * @bytes: size
 * @refs: the buffer, and each page that is mapped; protected by lock
 * @words: the driver's own structures: accessed by 64-bit words, because the
 *	device reads words beside those that the driver writes
 * @next_dead: list of chunks that wait for the end of an invalidation
 */
struct sim_chunk {
	char *mem;
	uint64_t bytes;
	uint64_t refs;
	bool words;
	struct sim_chunk *next_dead;
};

#define SIM_CHUNK_SHIFT		36
#define SIM_CHUNKS		4096u

/**
 * struct sim_space - a context of the device
 * @ctx: context number
 * @queues: that use it
 * @root: bus address of the level 3 table
 * @pool: chunks that tables are taken from; freed with the space
 * @pools: their number
 * @tables_left: tables not yet taken from the last one
 */
struct sim_space {
	unsigned int ctx;
	unsigned int queues;
	uint64_t root;
	uint64_t *pool;
	size_t pools;
	unsigned int tables_left;
};

struct sim_fence {
	unsigned int refs;
	bool signalled;
	int error;
};

struct sim_job {
	struct sim_job *next;
	struct npu_job args;
	uint64_t seqno;
	struct sim_fence *done;
	unsigned int waits;
	struct sim_fence *wait[];
};

/**
 * struct sim_queue - a hardware queue
 * @hw: its number
 * @space: where its jobs run
 * @report: state, fault and counters as QUEUE_QUERY gives them
 * @ring: slots
 * @done: completion records
 * @bus: where @ring and @done are
 * @first: oldest job that has not ended
 * @last: newest one
 * @unpushed: oldest job that is not in the ring
 * @pushed: jobs in the ring
 * @jobs: jobs that have not ended
 * @next_seqno: of the next job; ring slots follow from it
 * @tail: value of the doorbell
 * @guilty_seqno: the job that ended the queue; 0: none
 * @guilty_error: what its fence gets
 * @settled: the queue has ended and the hardware has let go
 * @budget_ns: running time allowed to a job
 * @run_base_ns: QUEUE_RUN_NS when the oldest job became that
 * @progress: QUEUE_PROGRESS when it was last looked at
 * @check_ns: when to look at the budget; UINT64_MAX: never
 * @stop_limit_ns: when the hardware must have let go; UINT64_MAX: no stop asked
 */
struct sim_queue {
	unsigned int hw;
	struct sim_space *space;
	struct drm_npu_queue_query report;
	struct npu_job_entry *ring;
	struct npu_job_done *done;
	uint64_t bus;
	struct sim_job *first;
	struct sim_job *last;
	struct sim_job *unpushed;
	unsigned int pushed;
	unsigned int jobs;
	uint64_t next_seqno;
	uint32_t tail;
	uint64_t guilty_seqno;
	int guilty_error;
	bool settled;
	uint64_t budget_ns;
	uint64_t run_base_ns;
	uint64_t progress;
	uint64_t check_ns;
	uint64_t stop_limit_ns;
};

/**
 * struct sim_device - a core and its driver
 * @base: what the library sees
 * @core: the device
 * @lock: see above
 * @changed: a fence, a queue, an acknowledgement: look again; with @lock
 * @wedged: the core did not react in time: it was reset and is not used again
 * @ctx_table: context table
 * @ctx_table_bus: its address
 * @space: by context number
 * @queue: by hardware number
 * @bus_lock: see above
 * @chunk: what is on the bus
 * @next_chunk: where to look for a free entry
 * @irq_lock: see above
 * @irq_cond: the thread has something to do
 * @irq: an interrupt has come
 * @quit: the thread shall end
 * @deadline_ns: when the thread wakes by itself
 * @thread: interrupts and timers
 */
struct sim_device {
	struct npu_device base;
	struct npu_core *core;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool wedged;
	uint64_t *ctx_table;
	uint64_t ctx_table_bus;
	struct sim_space *space[NPU_CONTEXTS];
	struct sim_queue *queue[NPU_QUEUES];

	pthread_rwlock_t bus_lock;
	struct sim_chunk chunk[SIM_CHUNKS];
	unsigned int next_chunk;

	pthread_mutex_t irq_lock;
	pthread_cond_t irq_cond;
	bool irq;
	bool quit;
	uint64_t deadline_ns;
	pthread_t thread;
};

static inline struct sim_device *to_sim(struct npu_device *dev)
{
	return (struct sim_device *)(void *)dev;
}

/* Functions named _locked are called with lock held. */

/* ---- backend_sim.c ---- */

uint64_t sim_now_ns(void);
/* Wait for @changed until @deadline_ns; false when the time is over. */
bool sim_wait_locked(struct sim_device *sim, uint64_t deadline_ns);
/* Have the thread look at deadlines no later than @deadline_ns. */
void sim_wake_by(struct sim_device *sim, uint64_t deadline_ns);

/* ---- sim_mem.c ---- */

/* Zeroed memory on the bus, with one reference: its address; 0 after npu_fail(). */
uint64_t sim_chunk_create_locked(struct sim_device *sim, uint64_t bytes, bool words);
void sim_chunk_put_locked(struct sim_device *sim, uint64_t bus);
/* Host address of a bus address. */
void *sim_bus_to_host(struct sim_device *sim, uint64_t bus);
int sim_bus_read(void *opaque, uint64_t bus, void *buf, size_t bytes);
int sim_bus_write(void *opaque, uint64_t bus, const void *buf, size_t bytes);

int sim_buffer_create(struct npu_buffer *buf);
void sim_buffer_destroy(struct npu_buffer *buf);
int sim_buffer_map(struct npu_buffer *buf);
int sim_space_create(struct npu_space *space);
int sim_space_destroy(struct npu_space *space);
int sim_space_bind(struct npu_space *space, struct npu_buffer *buf,
		   const struct drm_npu_vm_bind_op *op);

/* ---- sim_job.c ---- */

/* Look at everything the device may have done; returns when to look again. */
uint64_t sim_service_locked(struct sim_device *sim);
/* The device does not react: reset it for good and end all jobs. */
void sim_wedge_locked(struct sim_device *sim);

int sim_queue_create(struct npu_queue *queue);
void sim_queue_destroy(struct npu_queue *queue);
int sim_queue_query(struct npu_queue *queue, struct drm_npu_queue_query *query);
int sim_submit(struct npu_queue *queue, const struct npu_job *job,
	       struct npu_fence *const *wait, unsigned int waits, struct npu_fence *done);
int sim_fence_wait(struct npu_fence *fence, int timeout_ms, bool *job_error);
void sim_fence_destroy(struct npu_fence *fence);

#endif
