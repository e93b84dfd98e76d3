/* SPDX-License-Identifier: MIT */
/* GATHER and SCATTER of docs/hardware.md section 8, element by element. */
#include <math.h>
#include <string.h>
#include "ref_isa.h"

static uint64_t spm_address(const struct ref_isa *m, const struct npu_ref *ref)
{
	return ref->addr + (ref->reg == 0xff ? 0 : m->regs[ref->reg] & 0xffffffff);
}

static void add(uint8_t *there, const uint8_t *here)
{
	float sum, x;

	memcpy(&sum, there, 4);
	memcpy(&x, here, 4);
	sum += x;
	if (isnan(sum))
		memcpy(there, &(uint32_t){ 0x7fc00000 }, 4);
	else
		memcpy(there, &sum, 4);
}

/* One row; false at an index outside of its limit. */
static bool row(const struct ref_isa *m, const struct npu_desc_gather *d,
		const struct ref_isa_memory *mem, const int64_t i[3], struct ref_isa_index *bad)
{
	int64_t elem_bytes = npu_dtype_bytes(d->spm.dtype);
	int64_t spm = (int64_t)spm_address(m, &d->spm), index = (int64_t)spm_address(m, &d->index);
	int64_t at = (int64_t)m->regs[d->mem.reg] + d->mem.offset_bytes;

	for (int j = 0; j < 3; j++) {
		at += i[j] * d->mem.stride_bytes[j];
		spm += i[j] * d->spm_stride[j] * elem_bytes;
		index += i[j] * d->index_stride[j] * 4;
	}
	for (int j = 0; j < 4 && d->limit[j]; j++) {
		int32_t x;
		int64_t number;

		memcpy(&x, m->spm + index + (int64_t)j * d->index_stride[3] * 4, 4);
		number = x;
		if (d->hdr.flags & NPU_F_FROM_END && x < 0)
			number = (int64_t)d->limit[j] + x;
		if (number < 0 || number > (int64_t)d->limit[j] - 1) {
			bad->index = x;
			bad->limit = d->limit[j];
			return false;
		}
		at += number * d->step_bytes[j];
	}
	for (uint32_t e = 0; e < d->row_elems; e++) {
		uint8_t *there = mem->data + (at - (int64_t)mem->va) + e * elem_bytes;
		uint8_t *here = m->spm + spm + e * elem_bytes;

		if (d->hdr.opcode == NPU_OP_GATHER)
			memcpy(here, there, (size_t)elem_bytes);
		else if (d->hdr.flags & NPU_F_ADD)
			add(there, here);
		else
			memcpy(there, here, (size_t)elem_bytes);
	}
	return true;
}

bool ref_isa_gather(const struct ref_isa *m, const struct npu_desc_gather *d,
		    const struct ref_isa_memory *mem, struct ref_isa_index *bad)
{
	int64_t i[3];

	for (i[0] = 0; i[0] < d->dim[0]; i[0]++)
		for (i[1] = 0; i[1] < d->dim[1]; i[1]++)
			for (i[2] = 0; i[2] < d->dim[2]; i[2]++)
				if (!row(m, d, mem, i, bad))
					return false;
	return true;
}
