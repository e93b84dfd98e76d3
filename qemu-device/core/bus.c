/* SPDX-License-Identifier: MIT */
/*
 * Every byte that a job moves over the bus goes through here, in chunks of at
 * most NPU_BUS_CHUNK_BYTES. Each chunk is one hold of bus_lock, and starts
 * with the check that the job's generation is still current: so a reset that
 * has had bus_lock once is certain that the job writes nothing any more.
 */
#include <errno.h>
#include "core.h"

int npu_job_fault(struct npu_core *core, enum npu_fault_code code, uint64_t va, bool write)
{
	struct npu_fault *f = &core->job.fault;

	if (!f->code) {
		f->code = code;
		f->va = va;
		f->write = write;
	}
	return -EFAULT;
}

int npu_bus_enter(struct npu_core *core)
{
	struct npu_fx fx = { .vectors = 0 };

	pthread_mutex_lock(&core->bus_lock);
	if (atomic_load(&core->generation) != core->job.generation) {
		npu_bus_leave(core);
		return -ECANCELED;
	}
	if (atomic_load(&core->tlb_stale)) {
		npu_tlb_service(core, &fx);
		if (fx.vectors)
			core->ops.irq(core->opaque, 0);
	}
	return 0;
}

void npu_bus_leave(struct npu_core *core)
{
	pthread_mutex_unlock(&core->bus_lock);
	npu_tlb_try_service(core);
}

static int transfer(struct npu_core *core, uint64_t bus_addr, void *buf, size_t bytes, bool write)
{
	return write ? core->ops.dma_write(core->opaque, bus_addr, buf, bytes) :
		       core->ops.dma_read(core->opaque, bus_addr, buf, bytes);
}

/*
 * The first byte of a chunk that the bus refuses. The bus takes a prefix of
 * the chunk or not, so halving finds its end; what is repeated is the same.
 */
static size_t first_refused(struct npu_core *core, uint64_t bus_addr, uint8_t *buf, size_t bytes,
			    bool write)
{
	size_t good = 0;

	while (bytes > 1) {
		size_t half = bytes / 2;

		if (transfer(core, bus_addr + good, buf + good, half, write)) {
			bytes = half;
		} else {
			good += half;
			bytes -= half;
		}
	}
	return good;
}

static int physical(struct npu_core *core, uint64_t bus_addr, void *buf, size_t bytes, bool write)
{
	int ret = npu_bus_enter(core);

	if (ret)
		return ret;
	if (transfer(core, bus_addr, buf, bytes, write))
		ret = npu_job_fault(core, NPU_FAULT_BUS, bus_addr, write);
	npu_bus_leave(core);
	return ret;
}

int npu_bus_read(struct npu_core *core, uint64_t bus_addr, void *buf, size_t bytes)
{
	return physical(core, bus_addr, buf, bytes, false);
}

int npu_bus_write(struct npu_core *core, uint64_t bus_addr, const void *buf, size_t bytes)
{
	return physical(core, bus_addr, (void *)(uintptr_t)buf, bytes, true);
}

/* Bytes from @va on that are contiguous on the bus, at most @bytes and a chunk. */
static int contiguous(struct npu_core *core, uint64_t va, size_t bytes, bool write,
		      uint64_t *bus_addr, size_t *chunk_bytes)
{
	struct npu_fault before = core->job.fault;
	uint64_t left;
	uint64_t next;
	int ret = npu_mmu_translate(core, va, write, bus_addr, &left);

	if (ret)
		return ret;
	if (bytes > NPU_BUS_CHUNK_BYTES)
		bytes = NPU_BUS_CHUNK_BYTES;
	*chunk_bytes = left < bytes ? (size_t)left : bytes;
	while (*chunk_bytes < bytes) {
		if (npu_mmu_translate(core, va + *chunk_bytes, write, &next, &left)) {
			/* The next chunk starts here and reports it. */
			core->job.fault = before;
			break;
		}
		if (next != *bus_addr + *chunk_bytes)
			break;
		*chunk_bytes += left < bytes - *chunk_bytes ? (size_t)left : bytes - *chunk_bytes;
	}
	return 0;
}

/* One chunk; *done_bytes is its size. */
static int chunk(struct npu_core *core, uint64_t va, uint8_t *buf, size_t bytes, bool write,
		 size_t *done_bytes)
{
	uint64_t bus_addr;
	int ret = npu_bus_enter(core);

	if (ret)
		return ret;
	ret = contiguous(core, va, bytes, write, &bus_addr, done_bytes);
	if (!ret && transfer(core, bus_addr, buf, *done_bytes, write)) {
		size_t good = first_refused(core, bus_addr, buf, *done_bytes, write);

		ret = npu_job_fault(core, NPU_FAULT_BUS, va + good, write);
	}
	npu_bus_leave(core);
	return ret;
}

static int virtual(struct npu_core *core, uint64_t va, uint8_t *buf, size_t bytes, bool write)
{
	while (bytes) {
		size_t done_bytes = 0;
		int ret;

		if (npu_job_cancelled(core))
			return -ECANCELED;
		ret = chunk(core, va, buf, bytes, write, &done_bytes);
		if (ret)
			return ret;
		va += done_bytes;
		buf += done_bytes;
		bytes -= done_bytes;
	}
	return 0;
}

int npu_va_read(struct npu_core *core, uint64_t va, void *buf, size_t bytes)
{
	return virtual(core, va, buf, bytes, false);
}

int npu_va_write(struct npu_core *core, uint64_t va, const void *buf, size_t bytes)
{
	return virtual(core, va, (uint8_t *)(uintptr_t)buf, bytes, true);
}
