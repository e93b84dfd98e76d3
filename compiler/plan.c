/* SPDX-License-Identifier: MIT */
#include "nc.h"

#include <errno.h>

#include "npu_prog.h"

#define IO_REGS	(NPU_PROG_REG_FIRST_TEMP - NPU_PROG_REG_FIRST_IO)

/* A register per input and output; more of them share registers in equal parts. */
static int assign_io(struct nc_back *b)
{
	uint64_t end[NPU_PROG_REG_FIRST_TEMP] = { 0 };
	uint32_t count = 0, next = 0;

	for (uint32_t i = 0; i < b->k->tensors; i++)
		count += b->k->tensor[i].kind == KIR_INPUT || b->k->tensor[i].kind == KIR_OUTPUT;
	if (count > NPU_PROG_TENSORS_MAX)
		return nc_error(b->diag, -E2BIG, "%u inputs and outputs; a program has at most %u",
				count, NPU_PROG_TENSORS_MAX);
	for (uint32_t i = 0; i < b->k->tensors; i++) {
		const struct kir_tensor *t = &b->k->tensor[i];
		struct nc_home *home = &b->home[i];
		uint64_t bytes = t->elems * npu_dtype_bytes(t->dtype);

		if (t->kind != KIR_INPUT && t->kind != KIR_OUTPUT)
			continue;
		home->reg = (uint8_t)(NPU_PROG_REG_FIRST_IO +
				      (count <= IO_REGS ? next : (uint64_t)next * IO_REGS / count));
		home->offset_bytes = end[home->reg];
		end[home->reg] += (bytes + NC_ALIGN_BYTES - 1) / NC_ALIGN_BYTES * NC_ALIGN_BYTES;
		next++;
	}
	return 0;
}

int nc_plan(struct nc_back *b, uint32_t resident_limit_bytes)
{
	(void)resident_limit_bytes;
	b->homes = b->k->tensors;
	b->home = nc_alloc_array(b->arena, (size_t)b->homes + 1, sizeof(*b->home));
	if (!b->home)
		return nc_no_memory(b);
	for (uint32_t i = 0; i < b->homes; i++)
		b->home[i].in_memory = true;
	b->cache_from = 0;
	return assign_io(b);
}
