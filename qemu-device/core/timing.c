/* SPDX-License-Identifier: MIT */
/* The event-driven timing model of a job; see timing.h. */
#include <string.h>
#include "timing.h"

static void sem_signal(struct npu_sem_times *s, uint32_t count, uint64_t cycle)
{
	uint32_t last = (s->first + s->runs - 1) % NPU_MODEL_SEM_RUNS;

	if (s->runs == NPU_MODEL_SEM_RUNS) {
		s->count[last] += count;
		s->cycle[last] = cycle;
		return;
	}
	last = (s->first + s->runs++) % NPU_MODEL_SEM_RUNS;
	s->count[last] = count;
	s->cycle[last] = cycle;
}

/* When @count has become available, and take it. */
static uint64_t sem_wait(struct npu_sem_times *s, uint32_t count)
{
	uint64_t cycle = 0;

	while (count && s->runs) {
		uint32_t taken = s->count[s->first] < count ? s->count[s->first] : count;

		cycle = s->cycle[s->first];
		s->count[s->first] -= taken;
		count -= taken;
		if (!s->count[s->first]) {
			s->first = (s->first + 1) % NPU_MODEL_SEM_RUNS;
			s->runs--;
		}
	}
	return cycle;
}

/* Put [start, end) in place of the intervals from @first to @last - 1. */
static void busy_replace(struct npu_model *m, uint32_t first, uint32_t last, uint64_t start,
			 uint64_t end)
{
	struct npu_busy *b = m->busy;

	if (first == last && m->busy_count == NPU_MODEL_BUSY_MAX) {
		/* Never while the engines' queues bound what is in flight. */
		if (first)
			b[first - 1].end = end;
		else
			b[0].start = start;
		return;
	}
	memmove(&b[first + 1], &b[last], (m->busy_count - last) * sizeof(b[0]));
	m->busy_count = m->busy_count - (last - first) + 1;
	b[first] = (struct npu_busy){ .start = start, .end = end };
}

static void busy_forget(struct npu_model *m)
{
	uint32_t dead = 0;

	while (dead < m->busy_count && m->busy[dead].end <= m->cp)
		dead++;
	if (dead) {
		m->busy_count -= dead;
		memmove(m->busy, m->busy + dead, m->busy_count * sizeof(m->busy[0]));
	}
}

/*
 * Use the memory for @cycles, as soon as it is free from @from on: data phases
 * do not overlap. Returns when the last byte has moved. All of [from, end) is
 * busy afterwards, so there is one interval per descriptor at most.
 */
static uint64_t busy_reserve(struct npu_model *m, uint64_t from, uint64_t cycles)
{
	const struct npu_busy *b = m->busy;
	uint32_t first = 0;
	uint32_t last;
	uint64_t start = from;
	uint64_t at = from;

	if (!cycles)
		return from;
	while (first < m->busy_count && b[first].end < from)
		first++;
	for (last = first; last < m->busy_count; last++) {
		uint64_t gap = b[last].start > at ? b[last].start - at : 0;

		if (b[last].start < start)
			start = b[last].start;
		if (gap > cycles)
			break;
		cycles -= gap;
		at = b[last].end > at ? b[last].end : at;
		if (!cycles) {
			/* Ends where this one starts: they touch. */
			uint64_t end = b[last].start;

			busy_replace(m, first, last + 1, start, at);
			return end;
		}
	}
	at = npu_sat_add(at, cycles);
	busy_replace(m, first, last, start, at);
	return at;
}

void npu_model_start(struct npu_model *m)
{
	m->cp = npu_job_start_cycles(&m->params);
	m->last_end = m->cp;
	m->busy_count = 0;
	memset(m->engine_free, 0, sizeof(m->engine_free));
	memset(m->started, 0, sizeof(m->started));
	memset(m->issued, 0, sizeof(m->issued));
	for (unsigned int i = 0; i < NPU_SEMAPHORES; i++) {
		m->sem[i].first = 0;
		m->sem[i].runs = 0;
	}
}

/* CP hands the descriptor over when the engine's queue has room. */
static uint64_t dispatch(struct npu_model *m, enum npu_engine engine, const void *desc)
{
	uint64_t oldest = m->started[engine][m->issued[engine] % NPU_CP_QUEUE_DEPTH];

	m->cp = npu_max_u64(npu_sat_add(m->cp, npu_cp_cycles(desc)), oldest);
	return m->cp;
}

struct npu_span npu_model_issue(struct npu_model *m, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;
	enum npu_engine engine = npu_op_engine(hdr->opcode);
	struct npu_span span = { .start = dispatch(m, engine, desc) };

	span.start = npu_max_u64(span.start, m->engine_free[engine]);
	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++)
		if (hdr->wait[i].count)
			span.start = npu_max_u64(span.start,
						 sem_wait(&m->sem[hdr->wait[i].sem],
							  hdr->wait[i].count));
	if (engine == NPU_ENGINE_CP) {
		m->cp = span.start;
		span.end = span.start;
	} else if (hdr->opcode != NPU_OP_FILL &&
		   (engine == NPU_ENGINE_DI || engine == NPU_ENGINE_DO)) {
		busy_forget(m);
		span.end = busy_reserve(m, npu_sat_add(span.start,
						       npu_dma_latency(&m->params, desc)),
					npu_dma_cycles(&m->params, desc));
	} else {
		span.end = npu_sat_add(span.start, npu_desc_cycles(&m->params, desc));
	}
	m->started[engine][m->issued[engine]++ % NPU_CP_QUEUE_DEPTH] = span.start;
	m->engine_free[engine] = span.end;
	m->last_end = npu_max_u64(m->last_end, span.end);
	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++)
		if (hdr->signal[i].count)
			sem_signal(&m->sem[hdr->signal[i].sem], hdr->signal[i].count, span.end);
	return span;
}

uint64_t npu_model_total(const struct npu_model *m)
{
	return npu_sat_add(m->last_end, npu_job_end_cycles(&m->params));
}
