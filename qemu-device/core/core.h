/* SPDX-License-Identifier: MIT */
/*
 * State of a device, shared by the files of the control part. Prototypes are
 * grouped under the file that defines them.
 *
 * Locks, outermost first; only reset waits for bus_lock, for at most one chunk:
 *
 *  bus_lock	a chunk of bus traffic on behalf of a job: the check of its
 *		generation, the translation, the callbacks (dma_*, irq). Owns
 *		the TLB. Callbacks under it may not reset the core.
 *  lock	registers, queues, interrupt state, which job runs. No callback
 *		is called under it.
 *
 * The run thread (or npu_core_run()) owns core->job, the memories and the
 * timing model while job_active is set. It polls core->cancel between chunks
 * and descriptors; whoever wants it back sets a reason under lock, then cancel.
 */
#ifndef NPU_CORE_PRIV_H
#define NPU_CORE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include "exec.h"
#include "npu_check.h"
#include "npu_core.h"
#include "npu_regs.h"
#include "timing.h"

#define NPU_BUS_CHUNK_BYTES	65536u

/**
 * struct npu_fx - what a register access or a job leaves to do without lock
 * @vectors: MSI-X vectors to raise, one bit each
 * @tlb: a TLB invalidation waits
 * @generation: of whom a job raises them, see npu_fx_flush_job()
 * @logged: @level and @text are set
 * @level: of the line
 * @text: the line
 */
struct npu_fx {
	uint32_t vectors;
	bool tlb;
	uint32_t generation;
	bool logged;
	enum npu_core_log level;
	char text[160];
};

struct npu_fault {
	enum npu_fault_code code;
	uint8_t engine;
	uint8_t opcode;
	uint8_t ctx;
	bool write;
	uint32_t tag;
	uint32_t aux;
	uint64_t va;
	uint64_t desc_va;
	uint64_t seqno;
	uint64_t cycle;
};

/* Protected by lock. */
struct npu_queue {
	enum npu_queue_state state;
	uint32_t config;
	uint32_t ring_log2;
	uint64_t ring;
	uint32_t head;
	uint32_t tail;
	uint64_t run_ns;	/* without the job that runs now */
	uint64_t progress;	/* without the job that runs now */
	uint64_t cycles;	/* of jobs that have ended */
	struct npu_fault fault;
};

struct npu_totals {
	uint64_t jobs;
	uint64_t descriptors;
	uint64_t macs;
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint64_t cycles;
	uint64_t faults;
};

#define NPU_TLB_SMALL		1024u	/* 4 KiB translations, direct mapped */
#define NPU_TLB_LARGE		64u	/* 2 MiB translations */
#define NPU_TLB_WALKS		64u	/* level 0 tables by 2 MiB of addresses */

/* A translation or a table; tag 0 never matches (epochs start at 1). */
struct npu_tlb_entry {
	uint64_t tag;		/* epoch, context, page number */
	uint64_t pte;		/* as read, or the table's address */
};

/* Protected by bus_lock. */
struct npu_tlb {
	atomic_uint epoch;	/* entries of another epoch are dead */
	struct npu_tlb_entry small[NPU_TLB_SMALL];
	struct npu_tlb_entry large[NPU_TLB_LARGE];
	struct npu_tlb_entry walk[NPU_TLB_WALKS];
};

struct npu_sem {
	uint32_t value;
	uint8_t producer;	/* engine, or NPU_ENGINES while nobody is */
	uint8_t consumer;
};

struct npu_loop {
	uint32_t body;		/* offset of the first descriptor of the body */
	uint32_t left;		/* iterations, the current one included */
};

#define NPU_FETCH_PAGES		4u

/**
 * struct npu_fetch - command bytes of one page, copied once
 * @page_va: context address of the page
 * @bytes: valid up to here from the start of the page; 0: nothing
 * @first: valid from here
 * @epoch: of the TLB when it was read
 * @checked: bit per line: a descriptor that starts here and ends in this page
 *	has passed npu_check_desc()
 */
struct npu_fetch {
	uint64_t page_va;
	uint32_t bytes;
	uint32_t first;
	uint32_t epoch;
	uint64_t checked;
	_Alignas(64) uint8_t data[NPU_PAGE_BYTES];
};

/* Owned by the run thread while job_active, else protected by lock. */
struct npu_job {
	uint32_t queue;
	uint32_t ctx;
	uint32_t generation;
	uint64_t ctx_table;	/* as the register was when the job started */
	uint64_t slot_addr;	/* bus address of its ring entry */
	uint64_t start_ns;	/* 0: not known yet */
	struct npu_job_entry entry;
	struct npu_fault fault;
	uint64_t macs;
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint32_t pc;		/* offset of the next descriptor */
	uint32_t tag;		/* of the descriptor at pc */
	uint8_t opcode;		/* of the descriptor at pc, 0 before it is read */
	uint64_t cycle;		/* when it starts */
	uint32_t loops;
	struct npu_loop loop[NPU_LOOP_LEVELS];
	uint64_t regs[NPU_REGS];
	struct npu_sem sem[NPU_SEMAPHORES];
	struct npu_fetch fetch[NPU_FETCH_PAGES];
	_Alignas(64) uint8_t desc[NPU_DESC_BYTES_MAX];
};

/* Bytes of a memory that may differ from 0: lo .. hi - 1. */
struct npu_extent {
	uint32_t lo;
	uint32_t hi;
};

#define NPU_CTX_NONE		0xffffffffu

struct npu_core {
	struct npu_core_ops ops;
	void *opaque;
	struct npu_core_config config;	/* defaults filled in */
	struct npu_limits limits;

	pthread_mutex_t bus_lock;
	pthread_mutex_t lock;
	pthread_cond_t work;		/* the run thread sleeps here */
	pthread_cond_t watch;		/* the watchdog thread sleeps here */
	pthread_t run_thread;
	pthread_t watch_thread;
	bool run_started;
	bool watch_started;

	/* Set under lock, polled without it. */
	atomic_bool cancel;		/* the job in flight must end now */
	atomic_bool tlb_stale;		/* flush before the next translation */
	atomic_uint generation;		/* counts resets */

	/* Protected by lock */
	bool exiting;
	bool ready;
	bool job_active;		/* the run thread is inside core->job */
	bool job_parked;		/* core->job waits for ever, nobody is inside */
	bool job_timed_out;		/* the watchdog's reason for cancel */
	bool forget_owner;		/* memories must be zeroed before any job */
	uint32_t control;
	uint32_t irq_status;
	uint32_t irq_enable;
	uint64_t done_queues;
	uint64_t fault_queues;
	uint64_t ctx_table;
	uint64_t tlb_inv_va;
	uint32_t tlb_inv_pages;
	uint32_t tlb_inv_seq;
	uint32_t tlb_ack_seq;
	struct npu_totals totals;	/* of jobs that have ended */
	struct npu_queue queue[NPU_QUEUES];
	uint64_t runnable[NPU_PRIORITIES];	/* queues by priority */
	uint8_t last_served[NPU_PRIORITIES];

	struct npu_tlb tlb;
	_Atomic uint64_t retired;		/* descriptors of core->job, written by its owner */

	/* Owned as core->job is */
	struct npu_job job;
	struct npu_model model;
	struct npu_exec exec;
	uint32_t index_aux;		/* of exec's last NPU_FAULT_INDEX */
	struct npu_pool *pool;
	uint8_t *spm;
	uint8_t *acc;
	struct npu_extent spm_dirty;
	struct npu_extent acc_dirty;
	uint32_t memory_owner;		/* context whose data SPM and ACC hold */
	uint8_t *staging;		/* NPU_BUS_CHUNK_BYTES, for strided DMA */
	uint8_t *window;		/* NPU_PAGE_BYTES, for short pieces */
};

static inline bool npu_job_cancelled(const struct npu_core *core)
{
	return atomic_load_explicit(&core->cancel, memory_order_relaxed);
}

/* ---- fx.c ---- */

/* Set bits of IRQ_STATUS; raises vector 0 when one of them is new and enabled. */
void npu_irq_event_locked(struct npu_core *core, uint32_t bits, struct npu_fx *fx);
/* A line for the log; a second one in the same access is dropped. */
void npu_fx_log(struct npu_fx *fx, enum npu_core_log level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A guest error: a line for the log and IRQ_ERROR. */
void npu_fx_error_locked(struct npu_core *core, struct npu_fx *fx, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Do it, without lock. */
void npu_fx_flush(struct npu_core *core, struct npu_fx *fx);
/* The same on behalf of fx->generation: nothing is raised after a later reset. */
void npu_fx_flush_job(struct npu_core *core, struct npu_fx *fx);

/* ---- queue.c ---- */

void npu_queue_write_ctrl_locked(struct npu_core *core, uint32_t index, uint32_t value,
				 uint64_t now_ns, struct npu_fx *fx);
void npu_queue_doorbell_locked(struct npu_core *core, uint32_t index, uint32_t tail,
			       struct npu_fx *fx);
/* The next queue to serve, or NPU_QUEUES when nothing may run. */
uint32_t npu_queue_pick_locked(struct npu_core *core);
/* Make queue @index RUNNING and core->job its next job, with job_active. */
void npu_queue_start_locked(struct npu_core *core, uint32_t index);
/* Whether core->job belongs to queue @index and has not ended. */
bool npu_queue_has_job_locked(const struct npu_core *core, uint32_t index);
/*
 * The job has ended, with success, with job.fault, or because of a stop:
 * account for it and give its queue the next state. The device is free then.
 */
void npu_queue_complete_locked(struct npu_core *core, uint64_t end_ns, uint64_t cycles,
			       struct npu_fx *fx);
void npu_queue_fail_locked(struct npu_core *core, uint64_t end_ns, uint64_t cycles,
			   struct npu_fx *fx);
void npu_queue_abandon_locked(struct npu_core *core, uint64_t end_ns, struct npu_fx *fx);

/* ---- mmu.c ---- */

/*
 * Bus address of @va in the job's context, and how many bytes from there on
 * belong to the same page. With bus_lock. 0, or -EFAULT with the job's fault set.
 */
int npu_mmu_translate(struct npu_core *core, uint64_t va, bool write, uint64_t *bus_addr,
		      uint64_t *left_bytes);
/* Check the job's entry in the context table. With bus_lock. */
int npu_mmu_check_context(struct npu_core *core);
/* Flush if asked to and acknowledge; with bus_lock. */
void npu_tlb_service(struct npu_core *core, struct npu_fx *fx);
/* The same when bus_lock is free; otherwise its holder does it on leaving. */
void npu_tlb_try_service(struct npu_core *core);

/* ---- bus.c ---- */

/* All return 0, -ECANCELED, or -EFAULT with the job's fault set. */
int npu_bus_enter(struct npu_core *core);
void npu_bus_leave(struct npu_core *core);
int npu_bus_read(struct npu_core *core, uint64_t bus_addr, void *buf, size_t bytes);
int npu_bus_write(struct npu_core *core, uint64_t bus_addr, const void *buf, size_t bytes);
int npu_va_read(struct npu_core *core, uint64_t va, void *buf, size_t bytes);
int npu_va_write(struct npu_core *core, uint64_t va, const void *buf, size_t bytes);
/* Record the job's fault, the first one wins; returns -EFAULT. */
int npu_job_fault(struct npu_core *core, enum npu_fault_code code, uint64_t va, bool write);

/* ---- dma.c ---- */

int npu_dma_load(struct npu_core *core, const struct npu_desc_dma *d);
int npu_dma_store(struct npu_core *core, const struct npu_desc_dma *d);
/*
 * A LOAD or STORE whose addresses leave the context's: report the first bad one
 * in index order. Nothing else about it has been checked, so SPM is not touched.
 */
int npu_dma_probe(struct npu_core *core, const struct npu_desc_dma *d);
int npu_dma_fill(struct npu_core *core, const struct npu_desc_fill *d);

/* ---- dma_gather.c ---- */

/* GATHER and SCATTER. */
int npu_dma_gather(struct npu_core *core, const struct npu_desc_gather *d);
/* Its table leaves the addresses of the context. */
int npu_dma_gather_refuse(struct npu_core *core, const struct npu_desc_gather *d);

/* ---- dma_cast.c ---- */

/* Elements from one type to another, steps in bytes; false at one that does not fit. */
bool npu_cast_row(unsigned int to, uint8_t *dst, int64_t dst_step, unsigned int from,
		  const uint8_t *src, int64_t src_step, uint64_t count);

/* ---- cp.c ---- */

enum npu_cp_result {
	NPU_CP_END,		/* END reached */
	NPU_CP_FAULT,		/* job.fault is set */
	NPU_CP_STALLED,		/* the next descriptor's waits can never be met */
	NPU_CP_CANCELLED,	/* see core->lock for the reason */
};

/* Bindings into registers, everything else 0. */
int npu_cp_start(struct npu_core *core);
enum npu_cp_result npu_cp_run(struct npu_core *core);
/* The job's fault is about the descriptor at pc. */
void npu_cp_blame(struct npu_core *core);

/* ---- run.c ---- */

/*
 * Whether a job that reaches @cycle must end: in synchronous mode the watchdog
 * counts modelled time, as nobody else could interrupt a long descriptor.
 */
bool npu_job_too_long(const struct npu_core *core, uint64_t cycle);
int npu_run_threads_start(struct npu_core *core);
void npu_run_threads_stop(struct npu_core *core);

/* ---- pool.c ---- */

struct npu_pool *npu_pool_create(unsigned int threads, const struct npu_core_ops *ops,
				 void *opaque);
void npu_pool_destroy(struct npu_pool *pool);

/* ---- core.c ---- */

/* Abandon the job and return to reset values; @announce: set IRQ_RESET_DONE. */
void npu_core_reset_registers(struct npu_core *core, bool announce);

#endif
