/* SPDX-License-Identifier: MIT */
/*
 * Memory of the in-process device: chunks on the bus, the DMA callbacks, and
 * the page tables of contexts (HW 5). All pages are 4 KiB.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "sim.h"

#define POOL_TABLES	64u

/* ---- Chunks ---- */

static struct sim_chunk *find_chunk(struct sim_device *sim, uint64_t bus)
{
	uint64_t index = (bus >> SIM_CHUNK_SHIFT) - 1;

	return index < SIM_CHUNKS ? &sim->chunk[index] : NULL;
}

static uint64_t offset_in_chunk(uint64_t bus)
{
	return bus & ((1ull << SIM_CHUNK_SHIFT) - 1);
}

void *sim_bus_to_host(struct sim_device *sim, uint64_t bus)
{
	return find_chunk(sim, bus)->mem + offset_in_chunk(bus);
}

uint64_t sim_chunk_create_locked(struct sim_device *sim, uint64_t bytes, bool words)
{
	unsigned int tried = 0;
	unsigned int index;
	void *mem;

	while (tried < SIM_CHUNKS && sim->chunk[(sim->next_chunk + tried) % SIM_CHUNKS].mem)
		tried++;
	if (tried == SIM_CHUNKS) {
		npu_fail(-ENOSPC, "buffer: more than %u at once", SIM_CHUNKS);
		return 0;
	}
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED) {
		npu_fail(-errno, "buffer of %llu bytes: %s", (unsigned long long)bytes,
			 strerror(errno));
		return 0;
	}
	index = (sim->next_chunk + tried) % SIM_CHUNKS;
	sim->next_chunk = (index + 1) % SIM_CHUNKS;
	pthread_rwlock_wrlock(&sim->bus_lock);
	sim->chunk[index] = (struct sim_chunk){ .mem = mem, .bytes = bytes, .refs = 1,
						.words = words };
	pthread_rwlock_unlock(&sim->bus_lock);
	return (index + 1ull) << SIM_CHUNK_SHIFT;
}

static void free_chunk(struct sim_device *sim, struct sim_chunk *c)
{
	pthread_rwlock_wrlock(&sim->bus_lock);
	munmap(c->mem, c->bytes);
	c->mem = NULL;
	pthread_rwlock_unlock(&sim->bus_lock);
}

void sim_chunk_put_locked(struct sim_device *sim, uint64_t bus)
{
	struct sim_chunk *c = find_chunk(sim, bus);

	if (!--c->refs)
		free_chunk(sim, c);
}

/* ---- DMA ---- */

static void copy_words(uint64_t *dst, const uint64_t *src, size_t words)
{
	for (size_t i = 0; i < words; i++)
		__atomic_store_n(&dst[i], __atomic_load_n(&src[i], __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
}

static int access_bus(struct sim_device *sim, uint64_t bus, void *buf, size_t bytes, bool write)
{
	struct sim_chunk *c = find_chunk(sim, bus);
	uint64_t offset = offset_in_chunk(bus);
	int ret = -EFAULT;

	pthread_rwlock_rdlock(&sim->bus_lock);
	if (c && c->mem && offset <= c->bytes && bytes <= c->bytes - offset) {
		void *dst = write ? c->mem + offset : buf;
		void *src = write ? buf : c->mem + offset;

		if (c->words && !(offset % 8) && !(bytes % 8) && !((uintptr_t)buf % 8))
			copy_words(dst, src, bytes / 8);
		else
			memcpy(dst, src, bytes);
		ret = 0;
	}
	pthread_rwlock_unlock(&sim->bus_lock);
	return ret;
}

int sim_bus_read(void *opaque, uint64_t bus, void *buf, size_t bytes)
{
	return access_bus(opaque, bus, buf, bytes, false);
}

int sim_bus_write(void *opaque, uint64_t bus, const void *buf, size_t bytes)
{
	return access_bus(opaque, bus, (void *)(uintptr_t)buf, bytes, true);
}

/* ---- Buffers ---- */

int sim_buffer_create(struct npu_buffer *buf)
{
	struct sim_device *sim = to_sim(buf->dev);

	pthread_mutex_lock(&sim->lock);
	buf->handle = sim_chunk_create_locked(sim, buf->bytes, false);
	pthread_mutex_unlock(&sim->lock);
	return buf->handle ? 0 : -errno;
}

void sim_buffer_destroy(struct npu_buffer *buf)
{
	struct sim_device *sim = to_sim(buf->dev);

	pthread_mutex_lock(&sim->lock);
	sim_chunk_put_locked(sim, buf->handle);
	pthread_mutex_unlock(&sim->lock);
}

int sim_buffer_map(struct npu_buffer *buf)
{
	struct sim_device *sim = to_sim(buf->dev);

	pthread_mutex_lock(&sim->lock);
	buf->map = sim_bus_to_host(sim, buf->handle);
	pthread_mutex_unlock(&sim->lock);
	return 0;
}

/* ---- Page tables ---- */

static uint64_t load_entry(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

static void store_entry(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* Bus address of an empty table; 0 after npu_fail(). */
static uint64_t take_table(struct sim_device *sim, struct sim_space *space)
{
	if (!space->tables_left) {
		uint64_t *pool = realloc(space->pool, (space->pools + 1) * sizeof(*pool));
		uint64_t bus;

		if (!pool) {
			npu_fail_memory("page table");
			return 0;
		}
		space->pool = pool;
		bus = sim_chunk_create_locked(sim, POOL_TABLES * NPU_PAGE_BYTES, true);
		if (!bus)
			return 0;
		pool[space->pools++] = bus;
		space->tables_left = POOL_TABLES;
	}
	return space->pool[space->pools - 1] + --space->tables_left * (uint64_t)NPU_PAGE_BYTES;
}

/*
 * The level 0 entry of @va. Without @create NULL if a table is not there, and
 * *skip_bytes is how far from @va on there is none; with it NULL without memory.
 */
static uint64_t *find_entry(struct sim_device *sim, struct sim_space *space, uint64_t va,
			    bool create, uint64_t *skip_bytes)
{
	uint64_t table = space->root;

	for (unsigned int level = NPU_PT_LEVELS - 1;; level--) {
		unsigned int shift = NPU_PAGE_SHIFT + NPU_PT_INDEX_BITS * level;
		uint64_t *entry = sim_bus_to_host(sim, table);

		entry += va >> shift & (NPU_PT_ENTRIES - 1);
		if (level == 0)
			return entry;
		table = load_entry(entry) & NPU_PTE_ADDR_MASK;
		if (table)
			continue;
		if (!create) {
			*skip_bytes = (1ull << shift) - (va & ((1ull << shift) - 1));
			return NULL;
		}
		table = take_table(sim, space);
		if (!table)
			return NULL;
		store_entry(entry, table | NPU_PTE_VALID);
	}
}

static void invalidate_locked(struct sim_device *sim, unsigned int ctx, uint64_t va,
			      uint64_t pages)
{
	uint64_t limit_ns = sim_now_ns() + SIM_ACK_LIMIT_NS;
	uint32_t seq;

	if (sim->wedged)
		return;
	npu_core_mmio_write(sim->core, NPU_REG_TLB_INV_VA, va, 8);
	npu_core_mmio_write(sim->core, NPU_REG_TLB_INV_PAGES, pages > UINT32_MAX ? 0 : pages, 4);
	npu_core_mmio_write(sim->core, NPU_REG_TLB_INV, ctx, 4);
	seq = (uint32_t)npu_core_mmio_read(sim->core, NPU_REG_TLB_INV_SEQ, 4);
	while (!sim->wedged) {
		uint32_t ack = (uint32_t)npu_core_mmio_read(sim->core, NPU_REG_TLB_ACK_SEQ, 4);

		if ((int32_t)(ack - seq) >= 0)
			break;
		if (!sim_wait_locked(sim, limit_ns))
			sim_wedge_locked(sim);
	}
}

static void free_space_locked(struct sim_device *sim, struct sim_space *space)
{
	for (size_t i = 0; i < space->pools; i++)
		sim_chunk_put_locked(sim, space->pool[i]);
	free(space->pool);
	free(space);
}

static int create_space_locked(struct sim_device *sim, struct npu_space *out)
{
	struct sim_space *space;
	unsigned int ctx = 0;

	while (ctx < NPU_CONTEXTS && sim->space[ctx])
		ctx++;
	if (ctx == NPU_CONTEXTS)
		return npu_fail(-ENOSPC, "address space: the device has no more of them");
	space = calloc(1, sizeof(*space));
	if (!space)
		return npu_fail_memory("address space");
	space->ctx = ctx;
	space->root = take_table(sim, space);
	if (!space->root) {
		free_space_locked(sim, space);
		return -errno;
	}
	store_entry(&sim->ctx_table[ctx * 2], space->root | NPU_CTX_VALID);
	sim->space[ctx] = space;
	out->id = ctx;
	return 0;
}

int sim_space_create(struct npu_space *space)
{
	struct sim_device *sim = to_sim(space->dev);
	int ret;

	pthread_mutex_lock(&sim->lock);
	ret = sim->wedged ? npu_fail(-EIO, "address space: the device is dead") :
			    create_space_locked(sim, space);
	pthread_mutex_unlock(&sim->lock);
	return ret;
}

/*
 * Set the entries of [@va, @va + @bytes) to @pte and the pages after it, or to 0.
 * Returns whether something was mapped there; *dead collects chunks to free
 * once the device has acknowledged.
 */
static bool set_entries(struct sim_device *sim, struct sim_space *space, uint64_t va,
			uint64_t bytes, uint64_t pte, struct sim_chunk **dead)
{
	uint64_t end = va + bytes;
	bool stale = false;
	uint64_t skip_bytes;

	for (; va < end; va += skip_bytes) {
		uint64_t *entry = find_entry(sim, space, va, false, &skip_bytes);
		uint64_t old;

		if (!entry)
			continue;
		skip_bytes = NPU_PAGE_BYTES;
		old = load_entry(entry);
		if (old != pte)
			store_entry(entry, pte);
		if (pte) {
			find_chunk(sim, pte & NPU_PTE_ADDR_MASK)->refs++;
			pte += NPU_PAGE_BYTES;
		}
		if (old) {
			struct sim_chunk *c = find_chunk(sim, old & NPU_PTE_ADDR_MASK);

			stale = true;
			if (!--c->refs) {
				c->next_dead = *dead;
				*dead = c;
			}
		}
	}
	return stale;
}

static int make_tables(struct sim_device *sim, struct sim_space *space, uint64_t va,
		       uint64_t bytes)
{
	uint64_t end = va + bytes;
	uint64_t skip_bytes;

	for (; va < end; va = (va | (NPU_LARGE_PAGE_BYTES - 1)) + 1)
		if (!find_entry(sim, space, va, true, &skip_bytes))
			return -errno;
	return 0;
}

static int bind_locked(struct sim_device *sim, struct sim_space *space,
		       const struct npu_buffer *buf, const struct drm_npu_vm_bind_op *op)
{
	struct sim_chunk *dead = NULL;
	uint64_t pte = 0;

	if (sim->wedged)
		return npu_fail(-EIO, "map: the device is dead");
	if (buf) {
		int ret = make_tables(sim, space, op->va, op->size);

		if (ret)
			return ret;
		pte = (buf->handle + op->bo_offset) | NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_READ;
		if (!(op->flags & DRM_NPU_VM_BIND_READONLY))
			pte |= NPU_PTE_WRITE;
	}
	if (set_entries(sim, space, op->va, op->size, pte, &dead))
		invalidate_locked(sim, space->ctx, op->va, op->size >> NPU_PAGE_SHIFT);
	while (dead) {
		struct sim_chunk *c = dead;

		dead = c->next_dead;
		free_chunk(sim, c);
	}
	return 0;
}

int sim_space_bind(struct npu_space *space, struct npu_buffer *buf,
		   const struct drm_npu_vm_bind_op *op)
{
	struct sim_device *sim = to_sim(space->dev);
	int ret;

	pthread_mutex_lock(&sim->lock);
	ret = bind_locked(sim, sim->space[space->id], buf, op);
	pthread_mutex_unlock(&sim->lock);
	return ret;
}

int sim_space_destroy(struct npu_space *out)
{
	struct sim_device *sim = to_sim(out->dev);
	struct sim_space *space;
	struct sim_chunk *dead = NULL;
	int ret = 0;

	pthread_mutex_lock(&sim->lock);
	space = sim->space[out->id];
	if (space->queues) {
		ret = npu_fail(-EBUSY, "address space: %u queues use it; destroy them first",
			       space->queues);
	} else {
		set_entries(sim, space, sim->base.va_start,
			    sim->base.va_end - sim->base.va_start, 0, &dead);
		store_entry(&sim->ctx_table[space->ctx * 2], 0);
		invalidate_locked(sim, space->ctx, 0, 0);
		while (dead) {
			struct sim_chunk *c = dead;

			dead = c->next_dead;
			free_chunk(sim, c);
		}
		sim->space[space->ctx] = NULL;
		free_space_locked(sim, space);
	}
	pthread_mutex_unlock(&sim->lock);
	return ret;
}
