/* SPDX-License-Identifier: MIT */
/*
 * LOAD, STORE and FILL (HW 8). A transfer is planned first: dimensions are
 * ordered by their step in memory, so that memory is walked upwards, and
 * merged where they follow each other on both sides. What is then contiguous
 * in memory moves in chunks; what is not contiguous in SPM goes through a
 * staging buffer; short pieces of a LOAD come from a window read at once.
 */
#include <errno.h>
#include <string.h>
#include "core.h"

#define DMA_DIMS	5u
/* Pieces closer than this, and shorter, are taken from a window. */
#define WINDOW_STEP_MAX	1024u
#define FILL_POLL_BYTES	(1u << 20)

/* Steps in bytes. Addresses of both sides are computed modulo 2^64. */
struct dma_dim {
	uint64_t count;
	int64_t mem;
	int64_t spm;
};

/**
 * struct plan - a transfer in normal form
 * @core: device
 * @store: SPM to memory
 * @elem_bytes: size of an element in memory
 * @mem_type: its type there
 * @spm_type: and in SPM
 * @rank: dimensions used; their counts are 2 or more
 * @dim: outermost first
 * @inner: the dimensions from here on are contiguous in memory
 * @run_bytes: size of what they span
 * @straight: that is contiguous in SPM in the same order
 * @windowed: LOAD pieces come from the window
 * @probe: only translate
 * @mem: context address of the element with all indices 0
 * @mem_end: end of the last element
 * @spm: that element in SPM, an offset
 * @window_lo: the window holds the bytes from here
 * @window_hi: to here
 */
struct plan {
	struct npu_core *core;
	bool store;
	uint32_t elem_bytes;
	uint8_t mem_type;
	uint8_t spm_type;
	unsigned int rank;
	struct dma_dim dim[DMA_DIMS];
	unsigned int inner;
	uint64_t run_bytes;
	bool straight;
	bool windowed;
	bool probe;
	uint64_t mem;
	uint64_t mem_end;
	uint64_t spm;
	uint64_t window_lo;
	uint64_t window_hi;
};

/* Dimensions of one element do nothing. */
static void plan_strip(struct plan *p, const uint32_t *dim, const int32_t *mem_stride,
		       const int32_t *spm_stride)
{
	p->rank = 0;
	for (unsigned int i = 0; i < DMA_DIMS; i++) {
		if (dim[i] == 1)
			continue;
		p->dim[p->rank++] = (struct dma_dim){
			.count = dim[i],
			.mem = mem_stride[i],
			.spm = (int64_t)spm_stride[i] * npu_dtype_bytes(p->spm_type),
		};
	}
}

/* Make all memory steps positive and descending; repeats go outside. */
static void plan_sort(struct plan *p)
{
	for (unsigned int i = 0; i < p->rank; i++) {
		struct dma_dim *d = &p->dim[i];

		if (d->mem >= 0)
			continue;
		p->mem += (d->count - 1) * (uint64_t)d->mem;
		p->spm += (d->count - 1) * (uint64_t)d->spm;
		d->mem = -d->mem;
		d->spm = -d->spm;
	}
	for (unsigned int i = 1; i < p->rank; i++) {
		struct dma_dim d = p->dim[i];
		unsigned int j = i;

		for (; j && d.mem && p->dim[j - 1].mem && p->dim[j - 1].mem < d.mem; j--)
			p->dim[j] = p->dim[j - 1];
		for (; j && !d.mem; j--)
			p->dim[j] = p->dim[j - 1];
		p->dim[j] = d;
	}
}

static void plan_merge(struct plan *p)
{
	unsigned int out = 0;

	for (unsigned int i = 1; i < p->rank; i++) {
		struct dma_dim *o = &p->dim[out];
		const struct dma_dim *d = &p->dim[i];

		if ((uint64_t)o->mem == (uint64_t)d->mem * d->count &&
		    (uint64_t)o->spm == (uint64_t)d->spm * d->count)
			*o = (struct dma_dim){
				.count = o->count * d->count,
				.mem = d->mem,
				.spm = d->spm,
			};
		else
			p->dim[++out] = *d;
	}
	if (p->rank)
		p->rank = out + 1;
}

static void plan_runs(struct plan *p)
{
	p->inner = p->rank;
	p->run_bytes = p->elem_bytes;
	p->straight = p->mem_type == p->spm_type;
	while (p->inner && p->dim[p->inner - 1].mem > 0 &&
	       (uint64_t)p->dim[p->inner - 1].mem == p->run_bytes) {
		const struct dma_dim *d = &p->dim[--p->inner];

		p->straight = p->straight && d->spm > 0 && (uint64_t)d->spm == p->run_bytes;
		p->run_bytes *= d->count;
	}
}

static void plan_window(struct plan *p)
{
	uint64_t end = p->mem + p->run_bytes;

	for (unsigned int i = 0; i < p->inner; i++)
		end += (p->dim[i].count - 1) * (uint64_t)p->dim[i].mem;
	p->mem_end = end;
	p->window_lo = 0;
	p->window_hi = 0;
	p->windowed = !p->store && p->inner && p->run_bytes < WINDOW_STEP_MAX &&
		      p->dim[p->inner - 1].mem <= (int64_t)WINDOW_STEP_MAX;
}

/* @in_order: keep the order of indices, so that the first bad address is met first. */
static void plan_make(struct plan *p, struct npu_core *core, const struct npu_desc_dma *d,
		      bool store, bool in_order)
{
	const uint64_t *regs = core->job.regs;
	uint64_t spm_offset = d->spm.addr;

	if (d->spm.reg != NPU_REG_NONE)
		spm_offset += (uint32_t)regs[d->spm.reg];
	*p = (struct plan){
		.core = core,
		.store = store,
		.elem_bytes = npu_dtype_bytes(d->mem.dtype),
		.mem_type = d->mem.dtype,
		.spm_type = d->spm.dtype,
		.mem = regs[d->mem.reg] + (uint64_t)d->mem.offset_bytes,
		.spm = spm_offset,
	};
	plan_strip(p, d->dim, d->mem.stride_bytes, d->spm_stride);
	if (!in_order)
		plan_sort(p);
	plan_merge(p);
	plan_runs(p);
	if (!in_order)
		plan_window(p);
}

/* Read by way of the window, which never leaves a page: all of it may be read. */
static int window_read(struct plan *p, uint64_t mem, uint8_t *to, uint64_t bytes)
{
	uint8_t *window = p->core->window;

	while (bytes) {
		uint64_t left;

		if (mem < p->window_lo || mem >= p->window_hi) {
			uint64_t end = (mem | (NPU_PAGE_BYTES - 1)) + 1;
			int ret;

			p->window_lo = mem;
			p->window_hi = end < p->mem_end ? end : p->mem_end;
			ret = npu_va_read(p->core, mem, window, p->window_hi - mem);
			if (ret) {
				p->window_hi = 0;
				return ret;
			}
		}
		left = p->window_hi - mem;
		left = left < bytes ? left : bytes;
		memcpy(to, window + (mem - p->window_lo), left);
		mem += left;
		to += left;
		bytes -= left;
	}
	return 0;
}

static int mem_move(struct plan *p, uint64_t mem, uint8_t *buf, uint64_t bytes)
{
	if (p->store)
		return npu_va_write(p->core, mem, buf, bytes);
	if (p->windowed)
		return window_read(p, mem, buf, bytes);
	return npu_va_read(p->core, mem, buf, bytes);
}

static void copy_elem(uint8_t *to, const uint8_t *from, uint32_t elem_bytes)
{
	switch (elem_bytes) {
	case 1: *to = *from; break;
	case 2: memcpy(to, from, 2); break;
	case 4: memcpy(to, from, 4); break;
	default: memcpy(to, from, elem_bytes); break;
	}
}

/**
 * struct spm_walk - position in the SPM side of a run
 * @index: per inner dimension
 * @at: current element
 */
struct spm_walk {
	uint64_t index[DMA_DIMS];
	uint8_t *at;
};

static void walk_next(const struct plan *p, struct spm_walk *w)
{
	for (unsigned int i = p->rank; i-- > p->inner;) {
		const struct dma_dim *d = &p->dim[i];

		w->at += d->spm;
		if (++w->index[i] < d->count)
			return;
		w->at -= (int64_t)d->count * d->spm;
		w->index[i] = 0;
	}
}

/* @count elements between the staging buffer and SPM. */
static int stage_row(const struct plan *p, uint8_t *buf, uint8_t *at, int64_t step,
		     uint64_t count)
{
	bool fits;

	if (p->mem_type == p->spm_type) {
		for (uint64_t i = 0; i < count; i++, at += step, buf += p->elem_bytes) {
			if (p->store)
				copy_elem(buf, at, p->elem_bytes);
			else
				copy_elem(at, buf, p->elem_bytes);
		}
		return 0;
	}
	if (p->store)
		fits = npu_cast_row(p->mem_type, buf, p->elem_bytes, p->spm_type, at, step, count);
	else
		fits = npu_cast_row(p->spm_type, at, step, p->mem_type, buf, p->elem_bytes, count);
	return fits ? 0 : npu_job_fault(p->core, NPU_FAULT_CAST, 0, p->store);
}

/* Between the staging buffer and scattered elements of SPM. */
static int stage(const struct plan *p, struct spm_walk *w, uint8_t *buf, uint64_t bytes)
{
	static const struct dma_dim one = { .count = 1 };
	const struct dma_dim *last = p->rank > p->inner ? &p->dim[p->rank - 1] : &one;

	while (bytes) {
		uint64_t done = p->rank > p->inner ? w->index[p->rank - 1] : 0;
		uint64_t row = last->count - done;
		int ret;

		if (row > bytes / p->elem_bytes)
			row = bytes / p->elem_bytes;
		ret = stage_row(p, buf, w->at, last->spm, row);
		if (ret)
			return ret;
		buf += row * p->elem_bytes;
		bytes -= row * p->elem_bytes;
		if (p->rank == p->inner)
			return 0;
		w->index[p->rank - 1] += row - 1;
		w->at += (int64_t)(row - 1) * last->spm;
		walk_next(p, w);
	}
	return 0;
}

/* Find out whether a run can be accessed, without SPM. */
static int probe_run(struct plan *p, uint64_t mem)
{
	uint64_t left = p->run_bytes;

	while (left) {
		uint64_t bus_addr;
		uint64_t page_left;
		int ret = npu_job_cancelled(p->core) ? -ECANCELED : npu_bus_enter(p->core);

		if (ret)
			return ret;
		ret = npu_mmu_translate(p->core, mem, p->store, &bus_addr, &page_left);
		npu_bus_leave(p->core);
		if (ret)
			return ret;
		page_left = page_left < left ? page_left : left;
		mem += page_left;
		left -= page_left;
	}
	return 0;
}

static int move_run(struct plan *p, uint64_t mem, uint64_t spm)
{
	struct spm_walk w = { .at = p->core->spm + spm };
	uint8_t *buf = p->core->staging;
	uint64_t left = p->run_bytes;

	if (p->straight)
		return mem_move(p, mem, w.at, left);
	while (left) {
		uint64_t part = left < NPU_BUS_CHUNK_BYTES ? left : NPU_BUS_CHUNK_BYTES;
		int ret = p->store ? stage(p, &w, buf, part) : 0;

		ret = ret ? ret : mem_move(p, mem, buf, part);
		if (!ret && !p->store)
			ret = stage(p, &w, buf, part);
		if (ret)
			return ret;
		mem += part;
		left -= part;
	}
	return 0;
}

static int move_all(struct plan *p)
{
	uint64_t index[DMA_DIMS] = { 0 };
	uint64_t mem = p->mem;
	uint64_t spm = p->spm;

	for (;;) {
		unsigned int i = p->inner;
		int ret;

		if (npu_job_cancelled(p->core))
			return -ECANCELED;
		ret = p->probe ? probe_run(p, mem) : move_run(p, mem, spm);
		if (ret)
			return ret;
		for (; i > 0; i--) {
			const struct dma_dim *d = &p->dim[i - 1];

			mem += (uint64_t)d->mem;
			spm += (uint64_t)d->spm;
			if (++index[i - 1] < d->count)
				break;
			mem -= d->count * (uint64_t)d->mem;
			spm -= d->count * (uint64_t)d->spm;
			index[i - 1] = 0;
		}
		if (!i)
			return 0;
	}
}

static int transfer(struct npu_core *core, const struct npu_desc_dma *d, bool store)
{
	struct plan p;
	int ret;

	plan_make(&p, core, d, store, false);
	ret = move_all(&p);
	if (ret == -EFAULT) {
		/* Once more in the order of indices, to meet the first bad address. */
		core->job.fault.code = NPU_FAULT_NONE;
		plan_make(&p, core, d, store, true);
		ret = move_all(&p);
	}
	return ret;
}

int npu_dma_probe(struct npu_core *core, const struct npu_desc_dma *d)
{
	struct plan p;
	int ret;

	plan_make(&p, core, d, d->hdr.opcode == NPU_OP_STORE, true);
	p.probe = true;
	ret = move_all(&p);
	return ret ? ret : npu_job_fault(core, NPU_FAULT_MMU_UNMAPPED, 0, p.store);
}

static uint64_t moved_bytes(const struct npu_desc_dma *d)
{
	return npu_dims_elems(d->dim, DMA_DIMS) * npu_dtype_bytes(d->mem.dtype);
}

int npu_dma_load(struct npu_core *core, const struct npu_desc_dma *d)
{
	int ret = transfer(core, d, false);

	if (!ret)
		core->job.read_bytes += moved_bytes(d);
	return ret;
}

int npu_dma_store(struct npu_core *core, const struct npu_desc_dma *d)
{
	int ret = transfer(core, d, true);

	if (!ret)
		core->job.write_bytes += moved_bytes(d);
	return ret;
}

static void fill_row(uint8_t *to, uint64_t count, int64_t step, uint32_t value,
		     uint32_t elem_bytes)
{
	for (uint64_t i = 0; i < count; i++) {
		copy_elem(to, (const uint8_t *)&value, elem_bytes);
		to += step;
	}
}

/* A FILL is a LOAD without memory: the same plan over SPM steps alone. */
static void plan_fill(struct plan *p, struct npu_core *core, const struct npu_desc_fill *d)
{
	int32_t mem_stride[DMA_DIMS];
	uint64_t spm_offset = d->spm.addr;

	if (d->spm.reg != NPU_REG_NONE)
		spm_offset += (uint32_t)core->job.regs[d->spm.reg];
	*p = (struct plan){
		.core = core,
		.elem_bytes = npu_dtype_bytes(d->spm.dtype),
		.mem_type = d->spm.dtype,
		.spm_type = d->spm.dtype,
		.spm = spm_offset,
	};
	memcpy(mem_stride, d->spm_stride, sizeof(mem_stride));
	plan_strip(p, d->dim, mem_stride, d->spm_stride);
	plan_sort(p);
	/* Writing the same place again changes nothing. */
	while (p->rank && !p->dim[0].spm)
		memmove(&p->dim[0], &p->dim[1], --p->rank * sizeof(p->dim[0]));
	plan_merge(p);
}

int npu_dma_fill(struct npu_core *core, const struct npu_desc_fill *d)
{
	uint64_t index[DMA_DIMS] = { 0 };
	struct dma_dim row = { .count = 1 };
	struct plan p;
	uint8_t *at;

	plan_fill(&p, core, d);
	if (p.rank)
		row = p.dim[--p.rank];
	at = core->spm + p.spm;
	for (;;) {
		unsigned int i = p.rank;
		uint64_t done = 0;

		while (done < row.count) {
			uint64_t part = row.count - done;

			if (npu_job_cancelled(core))
				return -ECANCELED;
			part = part < FILL_POLL_BYTES ? part : FILL_POLL_BYTES;
			fill_row(at + (int64_t)done * row.spm, part, row.spm, d->value,
				 p.elem_bytes);
			done += part;
		}
		for (; i > 0; i--) {
			at += p.dim[i - 1].spm;
			if (++index[i - 1] < p.dim[i - 1].count)
				break;
			at -= (int64_t)p.dim[i - 1].count * p.dim[i - 1].spm;
			index[i - 1] = 0;
		}
		if (!i)
			return 0;
	}
}
