/* SPDX-License-Identifier: MIT */
/*
 * The 64 hardware queues: states, doorbells, stop, arbitration, and what the
 * end of a job means for its queue (HW 3). Everything here runs under lock.
 */
#include "core.h"

/* The only writer of a queue's state; keeps the arbiter's sets. */
static void set_state(struct npu_core *core, uint32_t index, enum npu_queue_state state)
{
	struct npu_queue *q = &core->queue[index];
	uint32_t prio = (q->config & NPU_QUEUE_CONFIG_PRIO_MASK) >> NPU_QUEUE_CONFIG_PRIO_SHIFT;
	uint64_t bit = 1ull << index;

	if (state == NPU_QUEUE_STATE_RUNNABLE) {
		core->runnable[prio] |= bit;
		pthread_cond_signal(&core->work);
	} else {
		core->runnable[prio] &= ~bit;
	}
	q->state = state;
}

bool npu_queue_has_job_locked(const struct npu_core *core, uint32_t index)
{
	return (core->job_active || core->job_parked) &&
	       core->job.generation == atomic_load(&core->generation) &&
	       core->job.queue == index;
}

/* The queue keeps time and progress of every job, also of an abandoned one. */
static struct npu_queue *leave_job(struct npu_core *core, uint64_t end_ns)
{
	struct npu_job *job = &core->job;
	struct npu_queue *q = &core->queue[job->queue];

	if (job->start_ns && end_ns > job->start_ns)
		q->run_ns += end_ns - job->start_ns;
	q->progress += atomic_load(&core->retired);
	atomic_store(&core->retired, 0);
	core->job_active = false;
	core->job_parked = false;
	pthread_cond_signal(&core->work);
	pthread_cond_signal(&core->watch);
	return q;
}

static void count_job(struct npu_core *core, struct npu_queue *q, uint64_t cycles)
{
	struct npu_totals *t = &core->totals;

	q->cycles += cycles;
	t->cycles += cycles;
	t->descriptors += atomic_load(&core->retired);
	t->macs += core->job.macs;
	t->read_bytes += core->job.read_bytes;
	t->write_bytes += core->job.write_bytes;
}

static void stopped(struct npu_core *core, struct npu_fx *fx)
{
	set_state(core, core->job.queue, NPU_QUEUE_STATE_STOPPED);
	npu_irq_event_locked(core, NPU_IRQ_STOPPED, fx);
}

void npu_queue_complete_locked(struct npu_core *core, uint64_t end_ns, uint64_t cycles,
			       struct npu_fx *fx)
{
	uint32_t index = core->job.queue;
	uint32_t vector = (core->queue[index].config & NPU_QUEUE_CONFIG_VECTOR_MASK) >>
			  NPU_QUEUE_CONFIG_VECTOR_SHIFT;
	uint64_t bit = 1ull << index;
	struct npu_queue *q;

	count_job(core, &core->queue[index], cycles);
	core->totals.jobs++;
	q = leave_job(core, end_ns);
	q->head++;
	if (vector && !(core->done_queues & bit))
		fx->vectors |= 1u << vector;
	core->done_queues |= bit;
	/* A stop that came while the record was written finds the job done. */
	if (q->state == NPU_QUEUE_STATE_STOPPING)
		stopped(core, fx);
	else
		set_state(core, index, q->head == q->tail ? NPU_QUEUE_STATE_IDLE :
							    NPU_QUEUE_STATE_RUNNABLE);
}

void npu_queue_fail_locked(struct npu_core *core, uint64_t end_ns, uint64_t cycles,
			   struct npu_fx *fx)
{
	uint32_t index = core->job.queue;
	struct npu_queue *q;

	count_job(core, &core->queue[index], cycles);
	core->totals.faults++;
	q = leave_job(core, end_ns);
	if (q->state == NPU_QUEUE_STATE_STOPPING) {
		stopped(core, fx);
		return;
	}
	q->fault = core->job.fault;
	set_state(core, index, NPU_QUEUE_STATE_FAULTED);
	core->fault_queues |= 1ull << index;
	npu_irq_event_locked(core, NPU_IRQ_FAULT, fx);
}

void npu_queue_abandon_locked(struct npu_core *core, uint64_t end_ns, struct npu_fx *fx)
{
	leave_job(core, end_ns);
	stopped(core, fx);
}

static void queue_enable(struct npu_core *core, uint32_t index, struct npu_fx *fx)
{
	struct npu_queue *q = &core->queue[index];
	uint32_t ctx = q->config & NPU_QUEUE_CONFIG_CTX_MASK;
	uint32_t vector = (q->config & NPU_QUEUE_CONFIG_VECTOR_MASK) >>
			  NPU_QUEUE_CONFIG_VECTOR_SHIFT;

	if (ctx >= NPU_CONTEXTS || vector >= NPU_VECTORS ||
	    q->ring_log2 < 1 || q->ring_log2 > NPU_QUEUE_RING_LOG2_MAX) {
		npu_fx_error_locked(core, fx,
				    "queue %u: not enabled: context %u, vector %u or ring log2 %u is out of range",
				    index, ctx, vector, q->ring_log2);
		return;
	}
	q->head = 0;
	q->tail = 0;
	set_state(core, index, NPU_QUEUE_STATE_IDLE);
}

static void queue_disable(struct npu_core *core, uint32_t index, struct npu_fx *fx)
{
	switch (core->queue[index].state) {
	case NPU_QUEUE_STATE_IDLE:
	case NPU_QUEUE_STATE_STOPPED:
	case NPU_QUEUE_STATE_FAULTED:
		set_state(core, index, NPU_QUEUE_STATE_DISABLED);
		break;
	case NPU_QUEUE_STATE_DISABLED:
		break;
	default:
		npu_fx_error_locked(core, fx, "queue %u: disabled while it has jobs; stop it first",
				    index);
	}
}

static void queue_stop(struct npu_core *core, uint32_t index, uint64_t now_ns,
		       struct npu_fx *fx)
{
	switch (core->queue[index].state) {
	case NPU_QUEUE_STATE_IDLE:
	case NPU_QUEUE_STATE_RUNNABLE:
		set_state(core, index, NPU_QUEUE_STATE_STOPPED);
		npu_irq_event_locked(core, NPU_IRQ_STOPPED, fx);
		break;
	case NPU_QUEUE_STATE_RUNNING:
		set_state(core, index, NPU_QUEUE_STATE_STOPPING);
		/* Nobody is inside a parked job who would let go. */
		if (core->job_parked)
			npu_queue_abandon_locked(core, now_ns, fx);
		else
			atomic_store(&core->cancel, true);
		break;
	default:
		break;
	}
}

void npu_queue_write_ctrl_locked(struct npu_core *core, uint32_t index, uint32_t value,
				 uint64_t now_ns, struct npu_fx *fx)
{
	if (value & NPU_QUEUE_CTRL_STOP)
		queue_stop(core, index, now_ns, fx);
	if (!(value & NPU_QUEUE_CTRL_ENABLE))
		queue_disable(core, index, fx);
	else if (core->queue[index].state == NPU_QUEUE_STATE_DISABLED)
		queue_enable(core, index, fx);
}

void npu_queue_doorbell_locked(struct npu_core *core, uint32_t index, uint32_t tail,
			       struct npu_fx *fx)
{
	struct npu_queue *q = &core->queue[index];

	if (q->state != NPU_QUEUE_STATE_IDLE && q->state != NPU_QUEUE_STATE_RUNNABLE &&
	    q->state != NPU_QUEUE_STATE_RUNNING) {
		npu_fx_error_locked(core, fx, "queue %u: doorbell in state %u", index,
				    (unsigned int)q->state);
		return;
	}
	if (tail - q->head > 1u << q->ring_log2) {
		npu_fx_error_locked(core, fx, "queue %u: doorbell %u is %u slots ahead of %u",
				    index, tail, tail - q->head, q->head);
		return;
	}
	q->tail = tail;
	if (q->state == NPU_QUEUE_STATE_RUNNING)
		return;
	set_state(core, index, tail == q->head ? NPU_QUEUE_STATE_IDLE : NPU_QUEUE_STATE_RUNNABLE);
}

uint32_t npu_queue_pick_locked(struct npu_core *core)
{
	if (!(core->control & NPU_CONTROL_RUN) || !core->ready || core->job_active ||
	    core->job_parked)
		return NPU_QUEUES;
	for (unsigned int prio = NPU_PRIORITIES; prio-- > 0;) {
		uint64_t set = core->runnable[prio];
		uint64_t later;
		uint32_t index;

		if (!set)
			continue;
		/* Those after the last one served, else from the start. */
		later = set & ~(((2ull << core->last_served[prio]) - 1));
		index = (uint32_t)__builtin_ctzll(later ? later : set);
		core->last_served[prio] = (uint8_t)index;
		return index;
	}
	return NPU_QUEUES;
}

void npu_queue_start_locked(struct npu_core *core, uint32_t index)
{
	struct npu_queue *q = &core->queue[index];
	struct npu_job *job = &core->job;
	uint32_t slot = q->head & ((1u << q->ring_log2) - 1);

	set_state(core, index, NPU_QUEUE_STATE_RUNNING);
	core->job_active = true;
	core->job_timed_out = false;
	atomic_store(&core->cancel, false);
	atomic_store(&core->retired, 0);
	job->queue = index;
	job->ctx = q->config & NPU_QUEUE_CONFIG_CTX_MASK;
	job->generation = atomic_load(&core->generation);
	job->ctx_table = core->ctx_table;
	job->slot_addr = q->ring + (uint64_t)slot * sizeof(struct npu_job_entry);
	job->start_ns = 0;
	job->fault = (struct npu_fault){ .code = NPU_FAULT_NONE };
	job->macs = 0;
	job->read_bytes = 0;
	job->write_bytes = 0;
	if (core->forget_owner) {
		core->forget_owner = false;
		core->memory_owner = NPU_CTX_NONE;
	}
}
