/* SPDX-License-Identifier: MIT */
/*
 * Operands of tile operations: from a view of the kernel IR to what one
 * descriptor sees, and how a copy of it is packed in SPM.
 */
#include "nc.h"

#include <string.h>

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

/* Whether loop @i takes space in a packed copy: it moves, or the engine wants it contiguous. */
static bool takes_space(const struct nc_operand *o, unsigned int i, enum nc_pack pack)
{
	if (o->dim[i] <= 1)
		return false;
	return o->stride[i] || pack == NC_PACK_ROWS ||
		(pack == NC_PACK_INNER && i == NC_LOOPS - 1);
}

/* Loops from outermost to innermost in SPM. */
static void packing_order(const struct nc_operand *o, enum nc_pack pack,
			  unsigned int order[NC_LOOPS])
{
	unsigned int sorted = pack == NC_PACK_ROWS ? 0 : pack == NC_PACK_INNER ? NC_LOOPS - 1 :
		NC_LOOPS;

	for (unsigned int i = 0; i < NC_LOOPS; i++)
		order[i] = i;
	for (unsigned int i = 1; i < sorted; i++)
		for (unsigned int j = i; j > 0 && magnitude(o->stride[order[j - 1]]) <
		     magnitude(o->stride[order[j]]); j--) {
			unsigned int swap = order[j];

			order[j] = order[j - 1];
			order[j - 1] = swap;
		}
}

static void pack_operand(struct nc_operand *o, enum nc_pack pack)
{
	unsigned int order[NC_LOOPS];
	uint64_t elems = 1;

	packing_order(o, pack, order);
	for (unsigned int i = NC_LOOPS; i-- > 0;) {
		unsigned int loop = order[i];

		o->spm_stride[loop] = 0;
		if (!takes_space(o, loop, pack))
			continue;
		o->spm_stride[loop] = (int32_t)elems;
		elems *= o->dim[loop];
	}
	o->spm_elems = elems;
}

void nc_operand_view(struct nc_back *b, struct nc_operand *o, const struct kir_view *view,
		     const int64_t at[NC_LOOPS], const uint32_t dim[NC_LOOPS], enum nc_pack pack)
{
	o->tensor = view->tensor;
	o->dtype = kir_dtype(b->k->tensor[view->tensor].dtype);
	o->offset = view->offset;
	for (unsigned int i = 0; i < NC_LOOPS; i++) {
		o->dim[i] = dim[i];
		o->stride[i] = dim[i] > 1 ? view->stride[i] : 0;
		if (at)
			o->offset += at[i] * view->stride[i];
	}
	pack_operand(o, pack);
	if (!nc_resident(b, view->tensor))
		return;
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		o->spm_stride[i] = (int32_t)o->stride[i];
	o->spm_elems = 0;
}

void nc_operand_buffer(struct nc_back *b, struct nc_operand *o, uint32_t buffer, int64_t offset,
		       const uint32_t dim[NC_LOOPS], const int32_t spm_stride[NC_LOOPS])
{
	uint64_t elems = 1;

	o->tensor = KIR_NO_TENSOR;
	o->buffer = buffer;
	o->dtype = b->buffer[buffer].dtype;
	o->offset = offset;
	memcpy(o->dim, dim, sizeof(o->dim));
	for (unsigned int i = NC_LOOPS; i-- > 0;) {
		o->spm_stride[i] = spm_stride ? spm_stride[i] : (int32_t)elems;
		elems *= dim[i];
	}
}

uint64_t nc_operand_bytes(const struct nc_operand *o)
{
	uint64_t bytes = o->spm_elems * npu_dtype_bytes(o->dtype);

	return (bytes + NC_ALIGN_BYTES - 1) / NC_ALIGN_BYTES * NC_ALIGN_BYTES;
}
