/* SPDX-License-Identifier: MIT */
/*
 * Jobs of the in-process device: rings, fences, budgets, and what follows a
 * fault or a hang. A job waits in its queue until the fences it depends on
 * are signalled, then goes to the ring, in order.
 *
 * A job that fails bans its address space: its queues take no more jobs, what
 * has not started is cancelled, and the hardware queues are stopped. A queue
 * has settled when the hardware has let go of its ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"

/* How much longer than its budget a job may run while it makes progress. */
#define EXTENSIONS	8
/* Jobs of a queue that have not ended. */
#define JOBS_MAX	4096u

static uint64_t queue_read(struct sim_device *sim, const struct sim_queue *q, uint32_t reg,
			   unsigned int bytes)
{
	return npu_core_mmio_read(sim->core, NPU_QUEUE_BASE + q->hw * NPU_QUEUE_STRIDE + reg,
				  bytes);
}

static void queue_write(struct sim_device *sim, const struct sim_queue *q, uint32_t reg,
			uint64_t value, unsigned int bytes)
{
	npu_core_mmio_write(sim->core, NPU_QUEUE_BASE + q->hw * NPU_QUEUE_STRIDE + reg, value,
			    bytes);
}

/* ---- Fences ---- */

static void put_fence_locked(struct sim_fence *f)
{
	if (!--f->refs)
		free(f);
}

static void signal_locked(struct sim_device *sim, struct sim_fence *f, int error)
{
	f->signalled = true;
	f->error = error;
	pthread_cond_broadcast(&sim->changed);
}

/* ---- Jobs ---- */

static void free_job_locked(struct sim_job *job)
{
	for (unsigned int i = 0; i < job->waits; i++)
		put_fence_locked(job->wait[i]);
	if (job->done)
		put_fence_locked(job->done);
	free(job);
}

/* The oldest job has ended. */
static void end_first_locked(struct sim_device *sim, struct sim_queue *q, int error)
{
	struct sim_job *job = q->first;

	q->first = job->next;
	if (!q->first)
		q->last = NULL;
	if (q->unpushed == job)
		q->unpushed = q->first;
	else
		q->pushed--;
	q->jobs--;
	signal_locked(sim, job->done, error);
	free_job_locked(job);
}

static bool is_ready(const struct sim_job *job)
{
	for (unsigned int i = 0; i < job->waits; i++)
		if (!job->wait[i]->signalled)
			return false;
	return true;
}

/* The oldest job of the ring starts to use its budget. */
static void start_watch_locked(struct sim_device *sim, struct sim_queue *q)
{
	if (!q->pushed) {
		q->check_ns = UINT64_MAX;
		return;
	}
	q->run_base_ns = queue_read(sim, q, NPU_QUEUE_RUN_NS, 8);
	q->progress = queue_read(sim, q, NPU_QUEUE_PROGRESS, 8);
	q->check_ns = sim_now_ns() + q->budget_ns;
	sim_wake_by(sim, q->check_ns);
}

static void push_locked(struct sim_device *sim, struct sim_queue *q)
{
	uint32_t tail = q->tail;

	while (q->report.state == DRM_NPU_QUEUE_OK && q->unpushed &&
	       q->pushed < SIM_RING_SLOTS && is_ready(q->unpushed)) {
		const struct sim_job *job = q->unpushed;
		uint32_t slot = tail++ % SIM_RING_SLOTS;
		uint64_t done_bus = q->bus + NPU_PAGE_BYTES + slot * sizeof(*q->done);

		q->ring[slot] = (struct npu_job_entry){
			.cmd_va = job->args.cmd_va,
			.cmd_bytes = job->args.cmd_bytes,
			.bind_va = job->args.bind_va,
			.bind_count = job->args.bind_count,
			.done_addr = done_bus,
			.seqno = job->seqno,
		};
		q->unpushed = job->next;
		q->pushed++;
	}
	if (tail == q->tail)
		return;
	if (q->pushed == tail - q->tail)
		start_watch_locked(sim, q);
	q->tail = tail;
	npu_core_mmio_write(sim->core,
			    NPU_DOORBELL_BASE + q->hw * NPU_DOORBELL_PAGE_BYTES + NPU_DOORBELL_TAIL,
			    tail, 4);
}

/* ---- Completion ---- */

static void count_locked(struct drm_npu_queue_query *report, const struct npu_job_done *done)
{
	if (!done->status)
		report->jobs++;
	report->descriptors += done->descriptors;
	report->macs += done->macs;
	report->read_bytes += done->read_bytes;
	report->write_bytes += done->write_bytes;
	report->cycles += done->cycles;
	report->run_ns += done->end_ns - done->start_ns;
}

/* Jobs whose completion record says success. */
static void complete_locked(struct sim_device *sim, struct sim_queue *q)
{
	bool any = false;

	while (q->pushed) {
		const struct npu_job_done *done = &q->done[q->first->seqno % SIM_RING_SLOTS];

		if (__atomic_load_n(&done->seqno, __ATOMIC_ACQUIRE) != q->first->seqno ||
		    done->status)
			break;
		count_locked(&q->report, done);
		end_first_locked(sim, q, 0);
		any = true;
	}
	if (any)
		start_watch_locked(sim, q);
}

/* ---- Failure ---- */

/* A queue that has ended: stop the hardware, and end the jobs when it has let go. */
static void settle_locked(struct sim_device *sim, struct sim_queue *q)
{
	uint32_t state = sim->wedged ? NPU_QUEUE_STATE_DISABLED :
				       (uint32_t)queue_read(sim, q, NPU_QUEUE_STATE, 4);

	if (q->settled)
		return;
	if (state == NPU_QUEUE_STATE_RUNNABLE || state == NPU_QUEUE_STATE_RUNNING) {
		queue_write(sim, q, NPU_QUEUE_CTRL,
			    NPU_QUEUE_CTRL_ENABLE | NPU_QUEUE_CTRL_STOP, 4);
		state = (uint32_t)queue_read(sim, q, NPU_QUEUE_STATE, 4);
	}
	if (state == NPU_QUEUE_STATE_RUNNABLE || state == NPU_QUEUE_STATE_RUNNING ||
	    state == NPU_QUEUE_STATE_STOPPING) {
		if (q->stop_limit_ns == UINT64_MAX) {
			q->stop_limit_ns = sim_now_ns() + SIM_ACK_LIMIT_NS;
			sim_wake_by(sim, q->stop_limit_ns);
		}
		return;
	}
	q->settled = true;
	q->stop_limit_ns = UINT64_MAX;
	q->check_ns = UINT64_MAX;
	complete_locked(sim, q);
	q->check_ns = UINT64_MAX;
	while (q->first) {
		int error = q->first->seqno == q->guilty_seqno ? q->guilty_error : -ECANCELED;

		end_first_locked(sim, q, sim->wedged ? -EIO : error);
	}
	pthread_cond_broadcast(&sim->changed);
}

/* @guilty's oldest job failed: nothing more runs in its address space. */
static void ban_locked(struct sim_device *sim, struct sim_queue *guilty, uint32_t state,
		       int error)
{
	guilty->guilty_seqno = guilty->first ? guilty->first->seqno : 0;
	guilty->guilty_error = error;
	guilty->report.state = state;
	for (unsigned int i = 0; i < NPU_QUEUES; i++) {
		struct sim_queue *q = sim->queue[i];

		if (!q || q->space != guilty->space)
			continue;
		if (q->report.state == DRM_NPU_QUEUE_OK)
			q->report.state = DRM_NPU_QUEUE_BANNED;
		settle_locked(sim, q);
	}
}

static void handle_fault_locked(struct sim_device *sim, struct sim_queue *q)
{
	uint32_t info = (uint32_t)queue_read(sim, q, NPU_QUEUE_FAULT_INFO, 4);
	struct drm_npu_queue_query *r = &q->report;

	if (queue_read(sim, q, NPU_QUEUE_STATE, 4) != NPU_QUEUE_STATE_FAULTED ||
	    r->state != DRM_NPU_QUEUE_OK)
		return;
	r->fault_code = info & NPU_FAULT_INFO_CODE_MASK;
	r->fault_engine = (info & NPU_FAULT_INFO_ENGINE_MASK) >> NPU_FAULT_INFO_ENGINE_SHIFT;
	r->fault_opcode = (info & NPU_FAULT_INFO_OPCODE_MASK) >> NPU_FAULT_INFO_OPCODE_SHIFT;
	r->fault_flags = info & NPU_FAULT_INFO_WRITE ? 1 : 0;
	r->fault_tag = (uint32_t)queue_read(sim, q, NPU_QUEUE_FAULT_TAG, 4);
	r->fault_aux = (uint32_t)queue_read(sim, q, NPU_QUEUE_FAULT_AUX, 4);
	r->fault_va = queue_read(sim, q, NPU_QUEUE_FAULT_VA, 8);
	r->fault_desc_va = queue_read(sim, q, NPU_QUEUE_FAULT_DESC_VA, 8);
	complete_locked(sim, q);
	if (q->first)
		count_locked(r, &q->done[q->first->seqno % SIM_RING_SLOTS]);
	ban_locked(sim, q, DRM_NPU_QUEUE_FAULTED, -EFAULT);
}

/* The budget counts running time only; a job that gets on may have more of it. */
static void check_budget_locked(struct sim_device *sim, struct sim_queue *q, uint64_t now_ns)
{
	uint64_t run_ns = queue_read(sim, q, NPU_QUEUE_RUN_NS, 8) - q->run_base_ns;
	uint64_t progress = queue_read(sim, q, NPU_QUEUE_PROGRESS, 8);

	if (run_ns < q->budget_ns) {
		q->check_ns = now_ns + q->budget_ns - run_ns;
	} else if (progress != q->progress && run_ns < EXTENSIONS * q->budget_ns) {
		q->progress = progress;
		q->check_ns = now_ns + q->budget_ns;
	} else {
		ban_locked(sim, q, DRM_NPU_QUEUE_HUNG, -EDEADLK);
	}
}

void sim_wedge_locked(struct sim_device *sim)
{
	npu_core_reset(sim->core);
	sim->wedged = true;
	for (unsigned int i = 0; i < NPU_QUEUES; i++) {
		struct sim_queue *q = sim->queue[i];

		if (!q)
			continue;
		if (q->report.state == DRM_NPU_QUEUE_OK)
			q->report.state = DRM_NPU_QUEUE_LOST;
		settle_locked(sim, q);
	}
	pthread_cond_broadcast(&sim->changed);
}

/* ---- The thread's work ---- */

static void take_events_locked(struct sim_device *sim)
{
	uint32_t status = (uint32_t)npu_core_mmio_read(sim->core, NPU_REG_IRQ_STATUS, 4);
	uint64_t done;
	uint64_t faults;

	/* Cleared before they are looked at: what comes later interrupts again. */
	npu_core_mmio_write(sim->core, NPU_REG_IRQ_STATUS, status, 4);
	done = npu_core_mmio_read(sim->core, NPU_REG_DONE_QUEUES, 8);
	npu_core_mmio_write(sim->core, NPU_REG_DONE_QUEUES, done, 8);
	faults = npu_core_mmio_read(sim->core, NPU_REG_FAULT_QUEUES, 8);
	npu_core_mmio_write(sim->core, NPU_REG_FAULT_QUEUES, faults, 8);
	for (unsigned int i = 0; i < NPU_QUEUES; i++) {
		struct sim_queue *q = sim->queue[i];

		if (!q)
			continue;
		if (done >> i & 1)
			complete_locked(sim, q);
		if (faults >> i & 1)
			handle_fault_locked(sim, q);
		if (q->report.state != DRM_NPU_QUEUE_OK)
			settle_locked(sim, q);
	}
	/* Acknowledgements and stops have waiters of their own. */
	if (status)
		pthread_cond_broadcast(&sim->changed);
}

uint64_t sim_service_locked(struct sim_device *sim)
{
	uint64_t now_ns = sim_now_ns();
	uint64_t next_ns = UINT64_MAX;

	if (sim->wedged)
		return next_ns;
	take_events_locked(sim);
	for (unsigned int i = 0; i < NPU_QUEUES; i++) {
		struct sim_queue *q = sim->queue[i];

		if (q && q->check_ns <= now_ns)
			check_budget_locked(sim, q, now_ns);
		if (q && q->stop_limit_ns <= now_ns)
			sim_wedge_locked(sim);
	}
	for (unsigned int i = 0; i < NPU_QUEUES; i++) {
		struct sim_queue *q = sim->queue[i];

		if (!q)
			continue;
		push_locked(sim, q);
		next_ns = q->check_ns < next_ns ? q->check_ns : next_ns;
		next_ns = q->stop_limit_ns < next_ns ? q->stop_limit_ns : next_ns;
	}
	return next_ns;
}

/* ---- What the library calls ---- */

static void start_hardware(struct sim_device *sim, const struct sim_queue *q, uint32_t priority)
{
	uint32_t vector = 1 + q->hw % (NPU_VECTORS - 1);

	queue_write(sim, q, NPU_QUEUE_CONFIG,
		    q->space->ctx | priority << NPU_QUEUE_CONFIG_PRIO_SHIFT |
		    vector << NPU_QUEUE_CONFIG_VECTOR_SHIFT, 4);
	queue_write(sim, q, NPU_QUEUE_RING, q->bus, 8);
	queue_write(sim, q, NPU_QUEUE_RING_LOG2, SIM_RING_LOG2, 4);
	queue_write(sim, q, NPU_QUEUE_CTRL, NPU_QUEUE_CTRL_ENABLE, 4);
}

static int create_queue_locked(struct sim_device *sim, struct npu_queue *out)
{
	unsigned int hw = 0;
	struct sim_queue *q;

	if (sim->wedged)
		return npu_fail(-EIO, "queue: the device is dead");
	while (hw < NPU_QUEUES && sim->queue[hw])
		hw++;
	if (hw == NPU_QUEUES)
		return npu_fail(-ENOSPC, "queue: the device has no more of them");
	q = calloc(1, sizeof(*q));
	if (!q)
		return npu_fail_memory("queue");
	q->hw = hw;
	q->space = sim->space[out->space->id];
	q->bus = sim_chunk_create_locked(sim, 2 * NPU_PAGE_BYTES, true);
	if (!q->bus) {
		free(q);
		return -errno;
	}
	q->ring = sim_bus_to_host(sim, q->bus);
	q->done = sim_bus_to_host(sim, q->bus + NPU_PAGE_BYTES);
	/* Job n is in slot n of the ring, modulo its size; 0 means none. */
	q->next_seqno = SIM_RING_SLOTS;
	q->budget_ns = 1000000ull * (out->timeout_ms ? out->timeout_ms : SIM_DEFAULT_TIMEOUT_MS);
	q->check_ns = UINT64_MAX;
	q->stop_limit_ns = UINT64_MAX;
	start_hardware(sim, q, out->priority);
	q->space->queues++;
	sim->queue[hw] = q;
	out->id = hw;
	out->private = q;
	return 0;
}

int sim_queue_create(struct npu_queue *queue)
{
	struct sim_device *sim = to_sim(queue->space->dev);
	int ret;

	pthread_mutex_lock(&sim->lock);
	ret = create_queue_locked(sim, queue);
	pthread_mutex_unlock(&sim->lock);
	return ret;
}

void sim_queue_destroy(struct npu_queue *queue)
{
	struct sim_device *sim = to_sim(queue->space->dev);
	struct sim_queue *q = queue->private;

	pthread_mutex_lock(&sim->lock);
	if (q->report.state == DRM_NPU_QUEUE_OK)
		q->report.state = DRM_NPU_QUEUE_BANNED;
	settle_locked(sim, q);
	while (!q->settled)
		sim_wait_locked(sim, UINT64_MAX);
	queue_write(sim, q, NPU_QUEUE_CTRL, 0, 4);
	sim->queue[q->hw] = NULL;
	q->space->queues--;
	sim_chunk_put_locked(sim, q->bus);
	free(q);
	/* Jobs elsewhere may have waited for ours. */
	sim_wake_by(sim, 0);
	pthread_mutex_unlock(&sim->lock);
}

int sim_queue_query(struct npu_queue *queue, struct drm_npu_queue_query *query)
{
	struct sim_device *sim = to_sim(queue->space->dev);
	const struct sim_queue *q = queue->private;

	pthread_mutex_lock(&sim->lock);
	*query = q->report;
	query->queue_id = queue->id;
	pthread_mutex_unlock(&sim->lock);
	return 0;
}

static int submit_locked(struct sim_device *sim, struct sim_queue *q, struct sim_job *job)
{
	if (sim->wedged)
		return npu_fail(-EIO, "submit: the device is dead");
	if (q->report.state != DRM_NPU_QUEUE_OK)
		return npu_fail(-ECANCELED,
				"submit: the queue was stopped because a job failed");
	if (q->jobs == JOBS_MAX)
		return npu_fail(-ENOSPC,
				"submit: too many jobs are waiting already; wait for some");
	job->seqno = q->next_seqno++;
	for (unsigned int i = 0; i < job->waits; i++)
		job->wait[i]->refs++;
	job->done->refs++;
	if (q->last)
		q->last->next = job;
	else
		q->first = job;
	q->last = job;
	if (!q->unpushed)
		q->unpushed = job;
	q->jobs++;
	push_locked(sim, q);
	return 0;
}

int sim_submit(struct npu_queue *queue, const struct npu_job *args,
	       struct npu_fence *const *wait, unsigned int waits, struct npu_fence *done)
{
	struct sim_device *sim = to_sim(queue->space->dev);
	struct sim_job *job = calloc(1, sizeof(*job) + waits * sizeof(job->wait[0]));
	struct sim_fence *fence = calloc(1, sizeof(*fence));
	int ret;

	if (!job || !fence) {
		free(job);
		free(fence);
		return npu_fail_memory("submit");
	}
	job->args = *args;
	job->done = fence;
	job->waits = waits;
	for (unsigned int i = 0; i < waits; i++)
		job->wait[i] = wait[i]->private;
	if (done) {
		fence->refs = 1;
		done->private = fence;
	}
	pthread_mutex_lock(&sim->lock);
	ret = submit_locked(sim, queue->private, job);
	pthread_mutex_unlock(&sim->lock);
	if (ret) {
		free(job);
		free(fence);
	}
	return ret;
}

int sim_fence_wait(struct npu_fence *fence, int timeout_ms, bool *job_error)
{
	struct sim_device *sim = to_sim(fence->dev);
	const struct sim_fence *f = fence->private;
	uint64_t until_ns = UINT64_MAX;
	int ret;

	if (timeout_ms >= 0)
		until_ns = sim_now_ns() + (uint64_t)timeout_ms * 1000000;
	pthread_mutex_lock(&sim->lock);
	while (!f->signalled && sim_wait_locked(sim, until_ns))
		;
	ret = f->signalled ? f->error : -ETIME;
	*job_error = f->signalled && f->error;
	pthread_mutex_unlock(&sim->lock);
	return ret;
}

void sim_fence_destroy(struct npu_fence *fence)
{
	struct sim_device *sim = to_sim(fence->dev);

	pthread_mutex_lock(&sim->lock);
	put_fence_locked(fence->private);
	pthread_mutex_unlock(&sim->lock);
}
