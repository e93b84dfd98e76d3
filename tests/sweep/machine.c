/* SPDX-License-Identifier: MIT */
/* One job: bindings, constants, scratch and tensors at addresses of their own. */
#include "machine.h"

#include <stdio.h>
#include <string.h>

#include "core_bus.h"
#include "npu_prog_read.h"

#define QUEUE		0
#define CTX		0
#define CMD_VA		(1ull << 40)
#define REG_VA(reg)	((uint64_t)((reg) + 1) << 33)
#define UNWRITTEN	0xa5

static size_t pages(uint64_t bytes)
{
	return (size_t)((bytes + NPU_PAGE_BYTES - 1) / NPU_PAGE_BYTES * NPU_PAGE_BYTES);
}

static size_t ram_needed(const struct npu_prog_view *v)
{
	uint64_t bytes = pages(v->const_bytes) + pages(v->header->scratch_bytes) +
		pages(v->cmd_bytes);

	for (unsigned int i = 0; i < NPU_PROG_REG_FIRST_TEMP; i++)
		bytes += pages(v->io_bytes[i]);
	/* Page tables, rings and records. */
	return (size_t)(bytes + bytes / 256 + (4u << 20));
}

/* Memory for register @reg, filled; its address in this process. */
static uint8_t *bind(struct core_bus *bus, uint64_t *regs, unsigned int reg, uint64_t bytes)
{
	uint8_t *p;

	regs[reg] = REG_VA(reg);
	if (!bytes)
		return NULL;
	p = core_bus_ptr(bus, core_bus_buffer(bus, CTX, REG_VA(reg), bytes), bytes);
	memset(p, UNWRITTEN, bytes);
	return p;
}

static int run_job(struct core_bus *bus, const struct npu_prog_view *v, const uint64_t *regs,
		   struct npu_job_done *done)
{
	uint64_t bindings = core_bus_alloc(bus, NPU_PAGE_BYTES, NPU_PAGE_BYTES);
	uint64_t record = core_bus_alloc(bus, sizeof(*done), 64);
	uint64_t cmds = core_bus_buffer(bus, CTX, CMD_VA + NPU_PAGE_BYTES, v->cmd_bytes);
	struct core_job job = {
		.entry = {
			.cmd_va = CMD_VA + NPU_PAGE_BYTES,
			.cmd_bytes = v->cmd_bytes,
			.bind_va = CMD_VA,
			.bind_count = NPU_PROG_REG_FIRST_TEMP,
			.done_addr = record,
			.seqno = 1,
		},
		.done = core_bus_ptr(bus, record, sizeof(*done)),
	};
	uint32_t status;

	core_bus_map(bus, CTX, CMD_VA, bindings, NPU_PAGE_BYTES, NPU_PTE_READ);
	memcpy(core_bus_ptr(bus, bindings, NPU_PAGE_BYTES), regs,
	       NPU_PROG_REG_FIRST_TEMP * sizeof(*regs));
	memcpy(core_bus_ptr(bus, cmds, v->cmd_bytes), v->cmds, v->cmd_bytes);
	status = core_bus_run(bus, QUEUE, &job);
	memcpy(done, job.done, sizeof(*done));
	return status == UINT32_MAX ? -1 : 0;
}

int machine_run(const struct npu_core_config *config, const void *image, size_t image_bytes,
		void *const *tensor, struct npu_job_done *done, char why[200])
{
	uint64_t regs[NPU_REGS] = { 0 };
	uint8_t *base[NPU_PROG_REG_FIRST_TEMP];
	struct npu_prog_view v;
	struct core_bus *bus;
	const char *error;
	int ret;

	memset(done, 0, sizeof(*done));
	if (npu_prog_read(image, image_bytes, &v, &error)) {
		snprintf(why, 200, "%s", error);
		return -1;
	}
	bus = core_bus_create(config, ram_needed(&v));
	core_bus_context(bus, CTX);
	core_bus_queue(bus, QUEUE, CTX, 1, 1, 2);
	base[0] = bind(bus, regs, NPU_PROG_REG_CONSTS, v.const_bytes);
	base[1] = bind(bus, regs, NPU_PROG_REG_SCRATCH, v.header->scratch_bytes);
	if (v.const_bytes)
		memcpy(base[0], v.consts, v.const_bytes);
	for (unsigned int i = NPU_PROG_REG_FIRST_IO; i < NPU_PROG_REG_FIRST_TEMP; i++)
		base[i] = bind(bus, regs, i, v.io_bytes[i]);
	for (uint32_t i = 0; i < v.tensor_count; i++)
		if (v.tensors[i].kind == NPU_PROG_INPUT)
			memcpy(base[v.tensors[i].reg] + v.tensors[i].offset_bytes, tensor[i],
			       v.tensors[i].size_bytes);
	ret = run_job(bus, &v, regs, done);
	for (uint32_t i = 0; i < v.tensor_count && !ret; i++)
		if (v.tensors[i].kind == NPU_PROG_OUTPUT)
			memcpy(tensor[i], base[v.tensors[i].reg] + v.tensors[i].offset_bytes,
			       v.tensors[i].size_bytes);
	snprintf(why, 200, "%s", bus->fault_text);
	core_bus_destroy(bus);
	return ret;
}
