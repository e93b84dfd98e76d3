/* SPDX-License-Identifier: MIT */
/*
 * The command processor: fetches descriptors once, checks them, keeps
 * registers, loops and semaphores, and runs each on its engine, one after the
 * other in stream order (the stream order rule of HW 7.3 makes that right).
 */
#include <errno.h>
#include <string.h>
#include "core.h"

/* Results of a step besides 0 and -errno. */
#define STEP_END	1
#define STEP_STALLED	2

static uint8_t *page_line(struct npu_fetch *page, uint64_t va)
{
	return page->data + (va & (NPU_PAGE_BYTES - 1));
}

/*
 * The page of the command buffer that holds @va, with its line at least.
 * When not all of the page can be read, only what is needed is.
 */
static int fetch_page(struct npu_core *core, uint64_t va, struct npu_fetch **result)
{
	struct npu_job *job = &core->job;
	uint64_t page_va = va & ~(uint64_t)(NPU_PAGE_BYTES - 1);
	struct npu_fetch *page = &job->fetch[(va >> NPU_PAGE_SHIFT) % NPU_FETCH_PAGES];
	uint32_t epoch = atomic_load(&core->tlb.epoch);
	uint32_t offset = (uint32_t)(va - page_va);
	uint64_t first = npu_max_u64(page_va, job->entry.cmd_va);
	uint64_t end = page_va + NPU_PAGE_BYTES;
	int ret;

	*result = page;
	if (page->page_va == page_va && page->epoch == epoch && offset >= page->first &&
	    offset < page->bytes)
		return 0;
	/* Modulo 2^64, as the buffer may be said to lie at its end. */
	if (end - job->entry.cmd_va > job->entry.cmd_bytes)
		end = job->entry.cmd_va + job->entry.cmd_bytes;
	page->bytes = 0;
	page->checked = 0;
	page->page_va = page_va;
	page->epoch = epoch;
	ret = npu_va_read(core, first, page_line(page, first), end - first);
	if (ret == -EFAULT) {
		job->fault.code = NPU_FAULT_NONE;
		first = va;
		end = va + NPU_LINE_BYTES;
		ret = npu_va_read(core, first, page_line(page, first), NPU_LINE_BYTES);
	}
	if (ret)
		return ret;
	page->first = (uint32_t)(first - page_va);
	page->bytes = (uint32_t)(end - page_va);
	return 0;
}

/**
 * struct fetched - a descriptor in private memory
 * @desc: it
 * @bytes: its length
 * @page: where it has its mark, or NULL when it spans pages
 * @mark: its bit in page->checked
 */
struct fetched {
	const void *desc;
	uint32_t bytes;
	struct npu_fetch *page;
	uint64_t mark;
};

/* The lines of a descriptor after the first, from more than one page. */
static int fetch_rest(struct npu_core *core, uint64_t va, uint32_t bytes)
{
	for (uint32_t done = NPU_LINE_BYTES; done < bytes; done += NPU_LINE_BYTES) {
		struct npu_fetch *page;
		int ret = fetch_page(core, va + done, &page);

		if (ret)
			return ret;
		memcpy(core->job.desc + done, page_line(page, va + done), NPU_LINE_BYTES);
	}
	return 0;
}

static int fetch(struct npu_core *core, struct fetched *f)
{
	struct npu_job *job = &core->job;
	uint64_t va = job->entry.cmd_va + job->pc;
	uint32_t offset = (uint32_t)(va & (NPU_PAGE_BYTES - 1));
	uint32_t avail = job->entry.cmd_bytes - job->pc;
	uint32_t lines;
	int ret;

	*f = (struct fetched){ .bytes = NPU_LINE_BYTES };
	if (!avail)
		return npu_job_fault(core, NPU_FAULT_CMD_END, 0, false);
	ret = fetch_page(core, va, &f->page);
	if (ret)
		return ret;
	f->desc = page_line(f->page, va);
	f->mark = 1ull << (offset / NPU_LINE_BYTES);
	lines = ((const struct npu_desc_hdr *)f->desc)->lines;
	/* A malformed length is judged, and refused, with one line at hand. */
	if (lines >= 1 && lines <= NPU_DESC_LINES_MAX && lines * NPU_LINE_BYTES <= avail)
		f->bytes = lines * NPU_LINE_BYTES;
	if (offset + f->bytes <= f->page->bytes)
		return 0;
	/* The first line is not read again: it decided the length. */
	memset(job->desc, 0, sizeof(job->desc));
	memcpy(job->desc, f->desc, NPU_LINE_BYTES);
	f->desc = job->desc;
	f->page = NULL;
	return fetch_rest(core, va, f->bytes);
}

static int check(struct npu_core *core, const struct fetched *f)
{
	struct npu_diag diag;

	if (f->page && f->page->checked & f->mark)
		return 0;
	if (npu_check_desc(&core->limits, f->desc, core->job.entry.cmd_bytes - core->job.pc, &diag))
		return npu_job_fault(core, diag.code, 0, false);
	if (f->page)
		f->page->checked |= f->mark;
	return 0;
}

/* HW 7.3: one producing and one consuming engine, no overflow. */
static int check_ports(struct npu_core *core, const struct npu_desc_hdr *hdr, uint8_t engine)
{
	struct npu_sem *sem = core->job.sem;

	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		const struct npu_sem *w = &sem[hdr->wait[i].sem];
		const struct npu_sem *s = &sem[hdr->signal[i].sem];

		if (hdr->wait[i].count && w->consumer != NPU_ENGINES && w->consumer != engine)
			return npu_job_fault(core, NPU_FAULT_SEMAPHORE, 0, false);
		if (hdr->signal[i].count && s->producer != NPU_ENGINES && s->producer != engine)
			return npu_job_fault(core, NPU_FAULT_SEMAPHORE, 0, false);
	}
	return 0;
}

/* Take all waits or none. */
static bool take_waits(struct npu_core *core, const struct npu_desc_hdr *hdr, uint8_t engine)
{
	struct npu_sem *sem = core->job.sem;

	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++)
		if (sem[hdr->wait[i].sem].value < hdr->wait[i].count)
			return false;
	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		if (!hdr->wait[i].count)
			continue;
		sem[hdr->wait[i].sem].value -= hdr->wait[i].count;
		sem[hdr->wait[i].sem].consumer = engine;
	}
	return true;
}

static int give_signals(struct npu_core *core, const struct npu_desc_hdr *hdr, uint8_t engine)
{
	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		struct npu_sem *s = &core->job.sem[hdr->signal[i].sem];

		if (!hdr->signal[i].count)
			continue;
		s->producer = engine;
		s->value += hdr->signal[i].count;
		if (s->value > NPU_SEM_MAX)
			return npu_job_fault(core, NPU_FAULT_SEMAPHORE, 0, false);
	}
	return 0;
}

/* ---- Instructions: one function per body, as npu_ops.h.inc names them ---- */

static int exec_ctrl(struct npu_core *core, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	if (hdr->opcode != NPU_OP_END)
		return 0;
	return core->job.loops ? npu_job_fault(core, NPU_FAULT_LOOP, 0, false) : STEP_END;
}

static int exec_loop(struct npu_core *core, const void *desc)
{
	const struct npu_desc_loop *d = desc;
	struct npu_job *job = &core->job;

	if (job->loops == NPU_LOOP_LEVELS)
		return npu_job_fault(core, NPU_FAULT_LOOP, 0, false);
	job->loop[job->loops++] = (struct npu_loop){
		.body = job->pc + d->hdr.lines * NPU_LINE_BYTES,
		.left = d->count,
	};
	return 0;
}

static int exec_endl(struct npu_core *core, const void *desc)
{
	const struct npu_desc_endl *d = desc;
	struct npu_job *job = &core->job;
	struct npu_loop *loop;

	if (!job->loops)
		return npu_job_fault(core, NPU_FAULT_LOOP, 0, false);
	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++)
		if (d->step[i].reg != NPU_REG_NONE)
			job->regs[d->step[i].reg] += (uint64_t)d->step[i].step;
	loop = &job->loop[job->loops - 1];
	if (--loop->left)
		job->pc = loop->body - d->hdr.lines * NPU_LINE_BYTES;
	else
		job->loops--;
	return 0;
}

static int exec_setr(struct npu_core *core, const void *desc)
{
	const struct npu_desc_setr *d = desc;
	uint64_t base = d->hdr.opcode == NPU_OP_ADDR ? core->job.regs[d->reg] : 0;

	core->job.regs[d->reg] = base + (uint64_t)d->imm;
	return 0;
}

static int exec_dma(struct npu_core *core, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	return hdr->opcode == NPU_OP_LOAD ? npu_dma_load(core, desc) : npu_dma_store(core, desc);
}

static int exec_fill(struct npu_core *core, const void *desc)
{
	return npu_dma_fill(core, desc);
}

static int exec_gather(struct npu_core *core, const void *desc)
{
	return npu_dma_gather(core, desc);
}

static int exec_te(struct npu_core *core, const void *desc)
{
	enum npu_fault_code code = npu_te_exec(&core->exec, desc);

	return code == NPU_FAULT_NONE ? 0 : npu_job_fault(core, code, 0, false);
}

static int exec_ve(struct npu_core *core, const void *desc)
{
	enum npu_fault_code code = npu_ve_exec(&core->exec, desc);

	if (code == NPU_FAULT_NONE)
		return 0;
	if (code == NPU_FAULT_INDEX)
		core->job.fault.aux = core->index_aux;
	return npu_job_fault(core, code, 0, false);
}

#define exec_conv	exec_te
#define exec_wgrad	exec_te
#define exec_matmul	exec_te
#define exec_map	exec_ve
#define exec_reduce	exec_ve
#define exec_pool	exec_ve

static int (*const exec_op[256])(struct npu_core *core, const void *desc) = {
#define NPU_OP(name, code, engine, body, cap) [code] = exec_##body,
#include "npu_ops.h.inc"
};

static void note_write(struct npu_extent *e, const struct npu_access *a)
{
	if (a->lo_bytes < e->lo)
		e->lo = (uint32_t)a->lo_bytes;
	if (a->hi_bytes > e->hi)
		e->hi = (uint32_t)a->hi_bytes;
}

/* Remember what must be zeroed before another context runs. */
static void note_writes(struct npu_core *core, const void *desc)
{
	struct npu_access access[NPU_ACCESSES_MAX];
	unsigned int count = npu_desc_accesses(&core->limits, desc, core->job.regs,
						access);

	for (unsigned int i = 0; i < count; i++) {
		if (!access[i].write)
			continue;
		if (access[i].space == NPU_SPACE_SPM)
			note_write(&core->spm_dirty, &access[i]);
		else if (access[i].space == NPU_SPACE_ACC)
			note_write(&core->acc_dirty, &access[i]);
	}
}

void npu_cp_blame(struct npu_core *core)
{
	struct npu_job *job = &core->job;
	enum npu_engine engine = npu_op_engine(job->opcode);

	job->fault.desc_va = job->entry.cmd_va + job->pc;
	job->fault.cycle = job->cycle;
	job->fault.engine = engine == NPU_ENGINES ? NPU_ENGINE_CP : (uint8_t)engine;
	job->fault.opcode = job->opcode;
	job->fault.tag = job->tag;
}

static int refuse_bounds(struct npu_core *core, const void *desc, enum npu_fault_code code)
{
	const struct npu_desc_hdr *hdr = desc;

	if (code == NPU_FAULT_MMU_UNMAPPED &&
	    (hdr->opcode == NPU_OP_LOAD || hdr->opcode == NPU_OP_STORE))
		return npu_dma_probe(core, desc);
	if (code == NPU_FAULT_MMU_UNMAPPED)
		return npu_dma_gather_refuse(core, desc);
	return npu_job_fault(core, code, 0, false);
}

/* Execute one descriptor whose waits are met. */
static int execute(struct npu_core *core, const struct fetched *f)
{
	const struct npu_desc_hdr *hdr = f->desc;
	uint8_t engine = (uint8_t)npu_op_engine(hdr->opcode);
	struct npu_span span = npu_model_issue(&core->model, f->desc);
	struct npu_diag diag;
	int result;
	int ret;

	core->job.cycle = span.start;
	if (npu_job_too_long(core, span.end))
		return npu_job_fault(core, NPU_FAULT_WATCHDOG, 0, false);
	if (engine != NPU_ENGINE_CP) {
		if (npu_check_bounds(&core->limits, f->desc, core->job.regs, &diag))
			return refuse_bounds(core, f->desc, diag.code);
		note_writes(core, f->desc);
	}
	result = exec_op[hdr->opcode](core, f->desc);
	if (result < 0)
		return result;
	core->job.macs += npu_desc_macs(&core->model.params, f->desc);
	ret = give_signals(core, hdr, engine);
	return ret ? ret : result;
}

static int step(struct npu_core *core)
{
	struct npu_job *job = &core->job;
	const struct npu_desc_hdr *hdr;
	struct fetched f;
	uint8_t engine;
	int ret;

	job->opcode = 0;
	job->tag = 0;
	job->cycle = core->model.cp;
	ret = fetch(core, &f);
	if (ret)
		return ret;
	hdr = f.desc;
	job->opcode = hdr->opcode;
	job->tag = hdr->tag;
	ret = check(core, &f);
	if (ret)
		return ret;
	engine = (uint8_t)npu_op_engine(hdr->opcode);
	ret = check_ports(core, hdr, engine);
	if (ret)
		return ret;
	if (!take_waits(core, hdr, engine))
		return STEP_STALLED;
	ret = execute(core, &f);
	if (ret < 0)
		return ret;
	/* exec_endl() left pc one descriptor before the loop's body. */
	job->pc += f.bytes;
	atomic_fetch_add_explicit(&core->retired, 1, memory_order_relaxed);
	return ret;
}

int npu_cp_start(struct npu_core *core)
{
	struct npu_job *job = &core->job;

	job->pc = 0;
	job->loops = 0;
	memset(job->regs, 0, sizeof(job->regs));
	for (unsigned int i = 0; i < NPU_SEMAPHORES; i++)
		job->sem[i] = (struct npu_sem){ .producer = NPU_ENGINES, .consumer = NPU_ENGINES };
	for (unsigned int i = 0; i < NPU_FETCH_PAGES; i++)
		job->fetch[i].bytes = 0;
	npu_model_start(&core->model);
	return npu_va_read(core, job->entry.bind_va, job->regs,
			   job->entry.bind_count * sizeof(job->regs[0]));
}

enum npu_cp_result npu_cp_run(struct npu_core *core)
{
	for (;;) {
		int ret;

		if (npu_job_cancelled(core))
			return NPU_CP_CANCELLED;
		ret = step(core);
		switch (ret) {
		case 0:
			break;
		case STEP_END:
			return NPU_CP_END;
		case STEP_STALLED:
			return NPU_CP_STALLED;
		case -ECANCELED:
			return NPU_CP_CANCELLED;
		default:
			npu_cp_blame(core);
			return NPU_CP_FAULT;
		}
	}
}
