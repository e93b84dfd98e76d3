/* SPDX-License-Identifier: MIT */
/*
 * Order: semaphores, so that engines which run apart from each other still see
 * each other's data in the order of the stream.
 *
 * requires: code that is right when run one descriptor after the other (place)
 * establishes: the same for engines that only keep their own order
 *
 * Each ordered pair of engines has one semaphore. A descriptor waits for the
 * latest descriptor of another engine that it depends on, unless something it
 * has waited for before already implies that. Waits of a pair take its signals
 * one by one in order, so all counts are 1 and a descriptor has at most one
 * port per other engine: three.
 */
#include "nc.h"

#include <string.h>

#include "npu_prog.h"

#define ENGINES		4	/* DI, TE, VE, DO */
#define GRANULE_SHIFT	6
#define GRANULES_MAX	(1u << 20)
/* Granules of a space that all descriptors together look at: bounds the time of this pass. */
#define VISITS_MAX	(1u << 28)

static const uint8_t engine_index[NPU_ENGINES] = {
	[NPU_ENGINE_CP] = ENGINES,
	[NPU_ENGINE_DI] = 0, [NPU_ENGINE_TE] = 1, [NPU_ENGINE_VE] = 2, [NPU_ENGINE_DO] = 3,
};

/* Numbers of descriptors are one more than their index; 0: none. */
struct granule {
	uint32_t written;
	uint32_t read[ENGINES];
};

struct space {
	unsigned int shift;
	uint64_t granules;
	struct granule *granule;
};

/* Per descriptor: engine, and what had completed when it started. */
struct event {
	uint8_t engine;
	uint32_t known[ENGINES];
};

struct order {
	struct nc_back *b;
	struct space spm;
	struct space acc;
	struct space mem[NPU_REGS];
	struct event *event;
	/* What each engine knows to be complete of the others. */
	uint32_t known[ENGINES][ENGINES];
};

/* @bytes of it, of which descriptors access @accessed_bytes one after the other. */
static int init_space(struct order *o, struct space *s, uint64_t bytes, uint64_t accessed_bytes)
{
	s->shift = GRANULE_SHIFT;
	/* Coarser ones cost engines some of what they could do at a time, no more. */
	while (bytes >> s->shift >= GRANULES_MAX || accessed_bytes >> s->shift >= VISITS_MAX)
		s->shift++;
	s->granules = (bytes >> s->shift) + 1;
	s->granule = nc_alloc_array(o->b->arena, s->granules, sizeof(*s->granule));
	return s->granule ? 0 : nc_no_memory(o->b);
}

/* Bytes that descriptors access: of SPM, of ACC, and by each register. */
struct traffic {
	uint64_t spm_bytes;
	uint64_t acc_bytes;
	uint64_t mem_bytes[NPU_REGS];
};

static void sum_traffic(const struct nc_back *b, struct traffic *t)
{
	struct npu_access access[NPU_ACCESSES_MAX];

	for (uint32_t i = 0; i < b->code.count; i++) {
		unsigned int count = npu_desc_accesses(&b->limits, nc_code_at(&b->code, i), NULL,
						       access);

		for (unsigned int k = 0; k < count; k++) {
			const struct npu_access *a = &access[k];
			uint64_t *sum = a->space == NPU_SPACE_SPM ? &t->spm_bytes :
					a->space == NPU_SPACE_ACC ? &t->acc_bytes :
					&t->mem_bytes[a->reg];

			*sum += (uint64_t)(a->hi_bytes - a->lo_bytes);
		}
	}
}

/* Constants and inputs are never written, but share the code of what is. */
static int init_spaces(struct order *o)
{
	const struct nc_back *b = o->b;
	uint64_t bytes[NPU_REGS] = { 0 };
	struct traffic traffic = { 0 };
	int ret;

	sum_traffic(b, &traffic);
	ret = init_space(o, &o->spm, b->limits.spm_bytes, traffic.spm_bytes);
	if (!ret)
		ret = init_space(o, &o->acc, b->limits.acc_bytes, traffic.acc_bytes);
	bytes[NPU_PROG_REG_SCRATCH] = b->scratch_bytes;
	for (uint32_t i = 0; i < b->k->tensors; i++) {
		const struct kir_tensor *t = &b->k->tensor[i];
		const struct nc_home *home = &b->home[i];

		if (t->kind == KIR_INPUT || t->kind == KIR_OUTPUT)
			bytes[home->reg] = npu_max_u64(bytes[home->reg], home->offset_bytes +
						       t->elems * npu_dtype_bytes(t->dtype));
	}
	for (unsigned int i = 0; i < NPU_REGS && !ret; i++)
		if (bytes[i])
			ret = init_space(o, &o->mem[i], bytes[i], traffic.mem_bytes[i]);
	return ret;
}

static struct space *space_of(struct order *o, const struct npu_access *a)
{
	if (a->space == NPU_SPACE_SPM)
		return &o->spm;
	if (a->space == NPU_SPACE_ACC)
		return &o->acc;
	return o->mem[a->reg].granule ? &o->mem[a->reg] : NULL;
}

static void depend(struct order *o, uint32_t on, unsigned int engine, uint32_t dep[ENGINES])
{
	unsigned int other;

	if (!on)
		return;
	other = o->event[on - 1].engine;
	if (other != engine && dep[other] < on)
		dep[other] = on;
}

/* What @a of descriptor @number must come after; then it leaves its mark. */
static void visit(struct order *o, const struct npu_access *a, uint32_t number,
		  uint32_t dep[ENGINES])
{
	struct space *s = space_of(o, a);
	unsigned int engine = o->event[number - 1].engine;

	if (!s)
		return;
	for (int64_t i = a->lo_bytes >> s->shift; i <= (a->hi_bytes - 1) >> s->shift; i++) {
		struct granule *g = &s->granule[i];

		depend(o, g->written, engine, dep);
		if (!a->write) {
			g->read[engine] = number;
			continue;
		}
		for (unsigned int e = 0; e < ENGINES; e++)
			depend(o, g->read[e], engine, dep);
		memset(g->read, 0, sizeof(g->read));
		g->written = number;
	}
}

/* Whether having waited for @by implies that @what has completed. */
static bool implies(const struct order *o, uint32_t by, uint32_t what)
{
	return o->event[by - 1].known[o->event[what - 1].engine] >= what;
}

static void connect(struct order *o, uint32_t producer, uint32_t consumer)
{
	unsigned int from = o->event[producer - 1].engine, to = o->event[consumer - 1].engine;
	struct npu_sem_ref sem = { .sem = (uint8_t)(from * ENGINES + to), .count = 1 };
	struct npu_sem_ref *signal = nc_code_at(&o->b->code, producer - 1)->signal;
	struct npu_sem_ref *wait = nc_code_at(&o->b->code, consumer - 1)->wait;

	while (signal->count)
		signal++;
	while (wait->count)
		wait++;
	*signal = sem;
	*wait = sem;
}

static void learn(uint32_t known[ENGINES], const struct event *from)
{
	for (unsigned int e = 0; e < ENGINES; e++)
		if (known[e] < from->known[e])
			known[e] = from->known[e];
}

static void order_one(struct order *o, uint32_t number)
{
	struct npu_access access[NPU_ACCESSES_MAX];
	struct event *event = &o->event[number - 1];
	uint32_t *known = o->known[event->engine];
	uint32_t dep[ENGINES] = { 0 };
	unsigned int count = npu_desc_accesses(&o->b->limits, nc_code_at(&o->b->code, number - 1),
					       NULL, access);

	for (unsigned int i = 0; i < count; i++)
		visit(o, &access[i], number, dep);
	for (unsigned int e = 0; e < ENGINES; e++)
		if (dep[e] <= known[e])
			dep[e] = 0;
	for (unsigned int e = 0; e < ENGINES; e++)
		for (unsigned int f = 0; f < ENGINES; f++)
			if (e != f && dep[e] && dep[f] && implies(o, dep[f], dep[e]))
				dep[e] = 0;
	for (unsigned int e = 0; e < ENGINES; e++) {
		if (!dep[e])
			continue;
		connect(o, dep[e], number);
		learn(known, &o->event[dep[e] - 1]);
	}
	known[event->engine] = number;
	memcpy(event->known, known, sizeof(event->known));
}

int nc_order(struct nc_back *b)
{
	struct order o = { .b = b };
	int ret = init_spaces(&o);

	if (ret)
		return ret;
	o.event = nc_alloc_array(b->arena, (size_t)b->code.count + 1, sizeof(*o.event));
	if (!o.event)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < b->code.count; i++) {
		o.event[i].engine = engine_index[npu_op_engine(nc_code_at(&b->code, i)->opcode)];
		order_one(&o, i + 1);
	}
	return 0;
}
