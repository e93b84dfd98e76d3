/* SPDX-License-Identifier: MIT */
/*
 * The timing model of one job (HW 11): when each descriptor starts and ends on
 * its engine. The cycles that a descriptor takes are npu_timing.h's; queues,
 * semaphores and the shared memory are here. Depends on the descriptors only.
 */
#ifndef NPU_CORE_TIMING_H
#define NPU_CORE_TIMING_H

#include "npu_timing.h"

/* More than one per descriptor that can be in flight on DI and DO. */
#define NPU_MODEL_BUSY_MAX	40u
#define NPU_MODEL_SEM_RUNS	256u

/* The memory is busy from start to end - 1. */
struct npu_busy {
	uint64_t start;
	uint64_t end;
};

/**
 * struct npu_sem_times - when a semaphore's counts became available
 * @cycle: of a signal
 * @count: what is left of it
 * @first: oldest one, index modulo NPU_MODEL_SEM_RUNS
 * @runs: how many. When there is no room, the newest two become one, at the
 *	later of their times
 */
struct npu_sem_times {
	uint64_t cycle[NPU_MODEL_SEM_RUNS];
	uint32_t count[NPU_MODEL_SEM_RUNS];
	uint32_t first;
	uint32_t runs;
};

/**
 * struct npu_model - the engines in modelled time
 * @params: of the device
 * @cp: when CP is ready for the next descriptor; no later one starts before
 * @last_end: when everything issued so far has ended
 * @engine_free: when an engine has ended all it was given
 * @started: start of the newest descriptors per engine, a ring
 * @issued: descriptors per engine
 * @busy: intervals in which data moves, ascending and disjoint
 * @busy_count: how many; those that end before cp are dropped
 * @sem: semaphores
 */
struct npu_model {
	struct npu_timing params;
	uint64_t cp;
	uint64_t last_end;
	uint64_t engine_free[NPU_ENGINES];
	uint64_t started[NPU_ENGINES][NPU_CP_QUEUE_DEPTH];
	uint64_t issued[NPU_ENGINES];
	struct npu_busy busy[NPU_MODEL_BUSY_MAX];
	uint32_t busy_count;
	struct npu_sem_times sem[NPU_SEMAPHORES];
};

/* Life of a descriptor in cycles of its job. */
struct npu_span {
	uint64_t start;
	uint64_t end;
};

void npu_model_start(struct npu_model *m);
/* The next descriptor in stream order; its waits are covered by earlier signals. */
struct npu_span npu_model_issue(struct npu_model *m, const void *desc);
/* All cycles of the job, if it ends now. */
uint64_t npu_model_total(const struct npu_model *m);

#endif
