/* SPDX-License-Identifier: MIT */
/*
 * The life of a job (HW 3.4) and the threads that serve: the run thread takes
 * jobs and runs them, the watchdog thread ends those that run too long.
 */
#include <errno.h>
#include <fenv.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core.h"

#define ZERO_PART_BYTES		(256u << 10)	/* between two looks at cancel */

static uint64_t now_ns(const struct npu_core *core)
{
	return core->ops.now_ns(core->opaque);
}

/* ---- Start ---- */

static int check_slot(struct npu_core *core)
{
	const struct npu_job_entry *e = &core->job.entry;

	if (e->cmd_va % NPU_LINE_BYTES || e->cmd_bytes % NPU_LINE_BYTES || !e->cmd_bytes ||
	    e->cmd_bytes > NPU_CMD_BYTES_MAX || e->flags || e->bind_va % 8 ||
	    e->bind_count > NPU_REGS || e->done_addr % sizeof(struct npu_job_done) ||
	    e->rsvd0 || e->rsvd1[0] || e->rsvd1[1])
		return npu_job_fault(core, NPU_FAULT_JOB, 0, false);
	return 0;
}

static int check_context(struct npu_core *core)
{
	int ret = npu_bus_enter(core);

	if (ret)
		return ret;
	ret = npu_mmu_check_context(core);
	npu_bus_leave(core);
	return ret;
}

static int zero_extent(struct npu_core *core, uint8_t *memory, struct npu_extent *dirty)
{
	while (dirty->lo < dirty->hi) {
		uint32_t bytes = dirty->hi - dirty->lo;

		if (npu_job_cancelled(core))
			return -ECANCELED;
		bytes = bytes < ZERO_PART_BYTES ? bytes : ZERO_PART_BYTES;
		memset(memory + dirty->lo, 0, bytes);
		dirty->lo += bytes;
	}
	*dirty = (struct npu_extent){ .lo = UINT32_MAX };
	return 0;
}

/* No context sees another's data. */
static int own_memories(struct npu_core *core)
{
	int ret;

	if (core->memory_owner == core->job.ctx)
		return 0;
	core->memory_owner = NPU_CTX_NONE;
	ret = zero_extent(core, core->spm, &core->spm_dirty);
	if (!ret)
		ret = zero_extent(core, core->acc, &core->acc_dirty);
	if (!ret)
		core->memory_owner = core->job.ctx;
	return ret;
}

static int start_job(struct npu_core *core)
{
	struct npu_job *job = &core->job;
	int ret;

	memset(&job->entry, 0, sizeof(job->entry));
	ret = npu_bus_read(core, job->slot_addr, &job->entry, sizeof(job->entry));
	if (!ret)
		ret = check_slot(core);
	if (!ret)
		ret = check_context(core);
	if (!ret)
		ret = own_memories(core);
	return ret ? ret : npu_cp_start(core);
}

static enum npu_cp_result run_job(struct npu_core *core)
{
	struct npu_job *job = &core->job;
	uint64_t start_ns = now_ns(core);
	enum npu_cp_result result;
	int ret;

	pthread_mutex_lock(&core->lock);
	job->start_ns = start_ns;
	pthread_cond_signal(&core->watch);
	pthread_mutex_unlock(&core->lock);
	npu_model_start(&core->model);
	ret = start_job(core);
	if (ret)
		result = ret == -ECANCELED ? NPU_CP_CANCELLED : NPU_CP_FAULT;
	else
		result = npu_cp_run(core);
	job->fault.ctx = (uint8_t)job->ctx;
	job->fault.seqno = job->entry.seqno;
	return result;
}

/* ---- End ---- */

/* Everything but the seqno, then the seqno: who sees it sees all of it. */
static int write_record(struct npu_core *core, uint64_t end_ns, uint64_t cycles)
{
	const struct npu_job *job = &core->job;
	struct npu_job_done done = {
		.status = (uint32_t)job->fault.code,
		.descriptors = (uint32_t)atomic_load(&core->retired),
		.start_ns = job->start_ns,
		.end_ns = end_ns,
		.cycles = cycles,
		.macs = job->macs,
		.read_bytes = job->read_bytes,
		.write_bytes = job->write_bytes,
		.seqno = job->entry.seqno,
	};
	uint64_t addr = job->entry.done_addr;
	int ret;

	if (!addr || addr % sizeof(done))
		return 0;
	ret = npu_bus_write(core, addr, &done, offsetof(struct npu_job_done, seqno));
	if (ret)
		return ret;
	atomic_thread_fence(memory_order_seq_cst);
	return npu_bus_write(core, addr + offsetof(struct npu_job_done, seqno), &done.seqno,
			     sizeof(done.seqno));
}

static void log_end(struct npu_core *core, uint64_t cycles, struct npu_fx *fx)
{
	npu_fx_log(fx, NPU_CORE_LOG_TRACE, "queue %u job %llu: %llu descriptors, %llu cycles",
		   core->job.queue, (unsigned long long)core->job.entry.seqno,
		   (unsigned long long)atomic_load(&core->retired), (unsigned long long)cycles);
}

static void log_fault(struct npu_core *core, struct npu_fx *fx)
{
	const struct npu_fault *f = &core->job.fault;

	npu_fx_log(fx, NPU_CORE_LOG_FAULT,
		   "queue %u job %llu: fault %s, context %u, descriptor 0x%llx tag %u, address 0x%llx",
		   core->job.queue, (unsigned long long)f->seqno,
		   npu_fault_name((unsigned int)f->code), f->ctx,
		   (unsigned long long)f->desc_va, f->tag, (unsigned long long)f->va);
}

static bool overtaken(const struct npu_core *core)
{
	return core->job.generation != atomic_load(&core->generation);
}

/* The last thing done for a job that a reset has overtaken. With lock. */
static void let_go_locked(struct npu_core *core, struct npu_fx *fx)
{
	core->job_active = false;
	core->ready = true;
	fx->generation = atomic_load(&core->generation);
	npu_irq_event_locked(core, NPU_IRQ_RESET_DONE, fx);
	pthread_cond_signal(&core->watch);
}

/* Success or fault: the record, then the queue. */
static void end_job(struct npu_core *core, struct npu_fx *fx)
{
	uint64_t end_ns = now_ns(core);
	uint64_t cycles = npu_model_total(&core->model);

	/* -EFAULT makes a fault of a success; a reset is noticed below. */
	write_record(core, end_ns, cycles);
	pthread_mutex_lock(&core->lock);
	if (overtaken(core)) {
		let_go_locked(core, fx);
	} else if (core->job.fault.code) {
		log_fault(core, fx);
		npu_queue_fail_locked(core, end_ns, cycles, fx);
	} else {
		log_end(core, cycles, fx);
		npu_queue_complete_locked(core, end_ns, cycles, fx);
	}
	pthread_mutex_unlock(&core->lock);
}

/* The engines have let go. Returns whether the job ends and end_job() is to follow. */
static bool settle(struct npu_core *core, enum npu_cp_result result, struct npu_fx *fx)
{
	uint64_t end_ns = now_ns(core);
	bool ends = false;

	pthread_mutex_lock(&core->lock);
	if (overtaken(core)) {
		let_go_locked(core, fx);
	} else if (core->queue[core->job.queue].state == NPU_QUEUE_STATE_STOPPING) {
		npu_queue_abandon_locked(core, end_ns, fx);
	} else if (result == NPU_CP_END || result == NPU_CP_FAULT) {
		ends = true;
	} else if (core->job_timed_out) {
		npu_job_fault(core, NPU_FAULT_WATCHDOG, 0, false);
		npu_cp_blame(core);
		ends = true;
	} else {
		/* Stalled; or cancelled for no reason above: the core is destroyed. */
		core->job_active = false;
		core->job_parked = true;
	}
	pthread_mutex_unlock(&core->lock);
	return ends;
}

/* Run the job that npu_queue_start_locked() has set up; or give up a parked one. */
static void serve(struct npu_core *core, bool parked)
{
	struct npu_fx fx = { .generation = core->job.generation };
	enum npu_cp_result result = parked ? NPU_CP_STALLED : run_job(core);

	if (settle(core, result, &fx))
		end_job(core, &fx);
	npu_fx_flush_job(core, &fx);
}

/* ---- Watchdog ---- */

static bool time_is_up(const struct npu_core *core, uint64_t now)
{
	uint64_t limit_ns = core->config.watchdog_ms * 1000000ull;

	return limit_ns && core->job.start_ns && now > core->job.start_ns &&
	       now - core->job.start_ns > limit_ns;
}

bool npu_job_too_long(const struct npu_core *core, uint64_t cycle)
{
	const struct npu_core_config *c = &core->config;

	return c->synchronous && c->watchdog_ms && cycle / c->clock_khz >= c->watchdog_ms;
}

/* Sleep for about the rest of the job's time, in host time; lock is held. */
static void watch_sleep(struct npu_core *core)
{
	uint64_t sleep_ns = core->config.watchdog_ms * 1000000ull / 4 + 1000000;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	sleep_ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(sleep_ns / 1000000000);
	until.tv_nsec = (long)(sleep_ns % 1000000000);
	pthread_cond_timedwait(&core->watch, &core->lock, &until);
}

static void *watch_main(void *data)
{
	struct npu_core *core = data;

	if (core->ops.thread_enter)
		core->ops.thread_enter(core->opaque);
	pthread_mutex_lock(&core->lock);
	while (!core->exiting) {
		uint64_t now;

		if ((!core->job_active && !core->job_parked) || core->job_timed_out) {
			pthread_cond_wait(&core->watch, &core->lock);
			continue;
		}
		pthread_mutex_unlock(&core->lock);
		now = now_ns(core);
		pthread_mutex_lock(&core->lock);
		if (core->exiting || (!core->job_active && !core->job_parked))
			continue;
		if (time_is_up(core, now)) {
			core->job_timed_out = true;
			atomic_store(&core->cancel, true);
			pthread_cond_signal(&core->work);
		} else {
			watch_sleep(core);
		}
	}
	pthread_mutex_unlock(&core->lock);
	if (core->ops.thread_exit)
		core->ops.thread_exit(core->opaque);
	return NULL;
}

/* ---- Serving ---- */

/* With lock, which is dropped meanwhile. Returns false when there is nothing to do. */
static bool serve_next_locked(struct npu_core *core)
{
	bool parked = core->job_parked && core->job_timed_out;
	uint32_t index;

	if (parked) {
		core->job_parked = false;
		core->job_active = true;
	} else {
		index = npu_queue_pick_locked(core);
		if (index == NPU_QUEUES)
			return false;
		npu_queue_start_locked(core, index);
	}
	pthread_mutex_unlock(&core->lock);
	serve(core, parked);
	pthread_mutex_lock(&core->lock);
	return true;
}

static void *run_main(void *data)
{
	struct npu_core *core = data;

	if (core->ops.thread_enter)
		core->ops.thread_enter(core->opaque);
	fesetenv(FE_DFL_ENV);
	pthread_mutex_lock(&core->lock);
	while (!core->exiting)
		if (!serve_next_locked(core))
			pthread_cond_wait(&core->work, &core->lock);
	pthread_mutex_unlock(&core->lock);
	if (core->ops.thread_exit)
		core->ops.thread_exit(core->opaque);
	return NULL;
}

unsigned int npu_core_run(struct npu_core *core, unsigned int max_jobs)
{
	unsigned int ended = 0;
	uint64_t now;
	fenv_t env;

	if (!core->config.synchronous)
		return 0;
	fegetenv(&env);
	fesetenv(FE_DFL_ENV);
	now = now_ns(core);
	pthread_mutex_lock(&core->lock);
	if (core->job_parked && time_is_up(core, now))
		core->job_timed_out = true;
	while (ended < max_jobs && serve_next_locked(core))
		ended += !core->job_parked;
	pthread_mutex_unlock(&core->lock);
	fesetenv(&env);
	return ended;
}

int npu_run_threads_start(struct npu_core *core)
{
	if (core->config.synchronous)
		return 0;
	if (pthread_create(&core->run_thread, NULL, run_main, core))
		return -EAGAIN;
	core->run_started = true;
	if (!core->config.watchdog_ms)
		return 0;
	if (pthread_create(&core->watch_thread, NULL, watch_main, core))
		return -EAGAIN;
	core->watch_started = true;
	return 0;
}

void npu_run_threads_stop(struct npu_core *core)
{
	pthread_mutex_lock(&core->lock);
	core->exiting = true;
	atomic_store(&core->cancel, true);
	pthread_cond_broadcast(&core->work);
	pthread_cond_broadcast(&core->watch);
	pthread_mutex_unlock(&core->lock);
	if (core->run_started)
		pthread_join(core->run_thread, NULL);
	if (core->watch_started)
		pthread_join(core->watch_thread, NULL);
}
