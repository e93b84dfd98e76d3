/* SPDX-License-Identifier: MIT */
/*
 * GATHER and SCATTER (HW 8): a row at a time, in order. Indices are copied out
 * of SPM before they are judged, so a row of GATHER may even overwrite them.
 */
#include <errno.h>
#include <string.h>
#include "core.h"
#include "kern.h"

/**
 * struct rows - a descriptor with its registers resolved
 * @core: device
 * @d: it
 * @scatter: SPM to memory
 * @cast: the sides' types differ
 * @coords: indices per row
 * @mem: context address of position 0 with indices 0
 * @spm: first row
 * @index: first index
 */
struct rows {
	struct npu_core *core;
	const struct npu_desc_gather *d;
	bool scatter;
	bool cast;
	unsigned int coords;
	uint64_t mem;
	uint8_t *spm;
	const uint8_t *index;
};

static uint8_t *spm_at(struct npu_core *core, const struct npu_ref *ref)
{
	uint64_t offset = ref->addr;

	if (ref->reg != NPU_REG_NONE)
		offset += (uint32_t)core->job.regs[ref->reg];
	return core->spm + offset;
}

static struct rows rows_of(struct npu_core *core, const struct npu_desc_gather *d)
{
	return (struct rows){
		.core = core,
		.d = d,
		.scatter = d->hdr.opcode == NPU_OP_SCATTER,
		.cast = d->mem.dtype != d->spm.dtype,
		.coords = npu_gather_coords(d),
		.mem = core->job.regs[d->mem.reg] + (uint64_t)d->mem.offset_bytes,
		.spm = spm_at(core, &d->spm),
		.index = spm_at(core, &d->index),
	};
}

static int bad_index(const struct rows *r, int32_t index, uint32_t limit)
{
	int ret = npu_job_fault(r->core, NPU_FAULT_INDEX, limit, r->scatter);

	r->core->job.fault.aux = (uint32_t)index;
	return ret;
}

/* What the indices at @at add to the address of their row. */
static int resolve(const struct rows *r, const uint8_t *at, uint64_t *mem)
{
	for (unsigned int j = 0; j < r->coords; j++) {
		uint32_t limit = r->d->limit[j];
		int32_t index;
		int64_t x;

		memcpy(&index, at, sizeof(index));
		x = index;
		if (x < 0 && r->d->hdr.flags & NPU_F_FROM_END)
			x += limit;
		if (x < 0 || x >= limit)
			return bad_index(r, index, limit);
		*mem += (uint64_t)(x * r->d->step_bytes[j]);
		at += (int64_t)r->d->index_stride[3] * (int64_t)sizeof(index);
	}
	return 0;
}

/* By way of the staging buffer, which one side of holds elements as memory does. */
static int cast_row(const struct rows *r, uint64_t mem, uint8_t *spm)
{
	const unsigned int mem_type = r->d->mem.dtype, spm_type = r->d->spm.dtype;
	const uint32_t mem_bytes = npu_dtype_bytes(mem_type), spm_bytes = npu_dtype_bytes(spm_type);
	uint8_t *buf = r->core->staging;
	uint32_t left = r->d->row_elems;

	while (left) {
		uint32_t part = left < NPU_BUS_CHUNK_BYTES / 8 ? left : NPU_BUS_CHUNK_BYTES / 8;
		bool fits = true;
		int ret = 0;

		if (r->scatter)
			fits = npu_cast_row(mem_type, buf, mem_bytes, spm_type, spm, spm_bytes, part);
		else
			ret = npu_va_read(r->core, mem, buf, (size_t)part * mem_bytes);
		if (!ret && !r->scatter)
			fits = npu_cast_row(spm_type, spm, spm_bytes, mem_type, buf, mem_bytes, part);
		if (!fits)
			return npu_job_fault(r->core, NPU_FAULT_CAST, 0, r->scatter);
		if (!ret && r->scatter)
			ret = npu_va_write(r->core, mem, buf, (size_t)part * mem_bytes);
		if (ret)
			return ret;
		mem += (uint64_t)part * mem_bytes;
		spm += (uint64_t)part * spm_bytes;
		left -= part;
	}
	return 0;
}

/* memory += SPM, by way of the staging buffer; no piece leaves a page. */
static int add_row(const struct rows *r, uint64_t mem, const uint8_t *spm)
{
	npu_kern_uop_fn *add = r->core->exec.kern->uop_canon[NPU_UOP_FADD];
	uint32_t *buf = (uint32_t *)(void *)r->core->staging;
	uint64_t left = (uint64_t)r->d->row_elems * sizeof(*buf);

	while (left) {
		const uint64_t room = NPU_PAGE_BYTES - mem % NPU_PAGE_BYTES;
		const size_t part = left < room ? left : room;
		const struct npu_kern_uop u = {
			.dst = buf,
			.src = { buf, (const uint32_t *)(const void *)spm },
			.count = part / sizeof(*buf),
		};
		int ret = npu_va_read(r->core, mem, buf, part);

		if (ret)
			return ret;
		add(&u);
		ret = npu_va_write(r->core, mem, buf, part);
		if (ret)
			return ret;
		mem += part;
		spm += part;
		left -= part;
	}
	return 0;
}

static int move_row(const struct rows *r, uint64_t mem, uint8_t *spm)
{
	size_t bytes = (size_t)r->d->row_elems * npu_dtype_bytes(r->d->spm.dtype);

	if (r->d->hdr.flags & NPU_F_ADD)
		return add_row(r, mem, spm);
	if (r->cast)
		return cast_row(r, mem, spm);
	return r->scatter ? npu_va_write(r->core, mem, spm, bytes) :
			    npu_va_read(r->core, mem, spm, bytes);
}

static uint64_t moved_bytes(const struct npu_desc_gather *d)
{
	return npu_dims_elems(d->dim, 3) * d->row_elems * npu_dtype_bytes(d->mem.dtype);
}

int npu_dma_gather_refuse(struct npu_core *core, const struct npu_desc_gather *d)
{
	return npu_job_fault(core, NPU_FAULT_MMU_UNMAPPED, rows_of(core, d).mem,
			     d->hdr.opcode == NPU_OP_SCATTER);
}

int npu_dma_gather(struct npu_core *core, const struct npu_desc_gather *d)
{
	const struct rows r = rows_of(core, d);
	const int64_t spm_bytes = npu_dtype_bytes(d->spm.dtype);
	uint32_t i[3];

	for (i[0] = 0; i[0] < d->dim[0]; i[0]++)
		for (i[1] = 0; i[1] < d->dim[1]; i[1]++)
			for (i[2] = 0; i[2] < d->dim[2]; i[2]++) {
				int64_t spm = 0, index = 0;
				uint64_t mem = r.mem;
				int ret;

				for (unsigned int j = 0; j < 3; j++) {
					spm += (int64_t)i[j] * d->spm_stride[j];
					index += (int64_t)i[j] * d->index_stride[j];
					mem += (uint64_t)((int64_t)i[j] * d->mem.stride_bytes[j]);
				}
				if (npu_job_cancelled(core))
					return -ECANCELED;
				ret = resolve(&r, r.index + index * 4, &mem);
				if (!ret)
					ret = move_row(&r, mem, r.spm + spm * spm_bytes);
				if (ret)
					return ret;
			}
	if (r.scatter)
		core->job.write_bytes += moved_bytes(d);
	else
		core->job.read_bytes += moved_bytes(d);
	return 0;
}
