/* SPDX-License-Identifier: MIT */
/* From tile operations to descriptors, once addresses are known. */
#include "nc.h"

#include <string.h>

static struct npu_ref ref(const struct nc_back *b, const struct nc_operand *o, uint32_t addr)
{
	uint8_t space = NPU_SPACE_SPM;

	if (o->tensor == KIR_NO_TENSOR)
		space = b->buffer[o->buffer].space;
	return (struct npu_ref){
		.addr = addr,
		.space = space,
		.dtype = o->dtype,
		.reg = NPU_REG_NONE,
	};
}

static size_t finish(struct npu_desc_hdr *hdr, size_t bytes)
{
	hdr->lines = (uint8_t)((bytes + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES);
	return (size_t)hdr->lines * NPU_LINE_BYTES;
}

static size_t build_conv(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
			 struct npu_desc_conv *d)
{
	const struct nc_operand *o = t->operand;

	d->shape = t->shape;
	d->in = ref(b, &o[0], addr[0]);
	d->weights = ref(b, &o[1], addr[1]);
	d->acc = ref(b, &o[2], addr[2]);
	if (t->flags & NPU_F_BIAS)
		d->bias = ref(b, &o[3], addr[3]);
	memcpy(d->in_stride, o[0].spm_stride, sizeof(d->in_stride));
	memcpy(d->acc_stride, o[2].spm_stride, sizeof(d->acc_stride));
	return sizeof(*d);
}

static size_t build_wgrad(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
			  struct npu_desc_wgrad *d)
{
	const struct nc_operand *o = t->operand;

	d->shape = t->shape;
	d->in = ref(b, &o[0], addr[0]);
	d->dy = ref(b, &o[1], addr[1]);
	d->acc = ref(b, &o[2], addr[2]);
	memcpy(d->in_stride, o[0].spm_stride, sizeof(d->in_stride));
	memcpy(d->dy_stride, o[1].spm_stride, sizeof(d->dy_stride));
	return sizeof(*d);
}

static size_t build_matmul(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
			   struct npu_desc_matmul *d)
{
	const struct nc_operand *o = t->operand;

	memcpy(d->dim, t->dim, sizeof(d->dim));
	d->a = ref(b, &o[0], addr[0]);
	d->b = ref(b, &o[1], addr[1]);
	d->acc = ref(b, &o[2], addr[2]);
	if (t->flags & NPU_F_BIAS)
		d->bias = ref(b, &o[3], addr[3]);
	memcpy(d->a_stride, o[0].spm_stride, sizeof(d->a_stride));
	memcpy(d->b_stride, o[1].spm_stride, sizeof(d->b_stride));
	memcpy(d->acc_stride, o[2].spm_stride, sizeof(d->acc_stride));
	return sizeof(*d);
}

/* The tile counts its elements from 0; the program wants the whole nest's number. */
static void add_iota_base(struct npu_desc_map *d, const struct nc_tile *t, uint32_t *uop)
{
	unsigned int base = NPU_UOP_CONST + t->map->consts;

	d->uops = 0;
	for (unsigned int i = 0; i < t->map->uops; i++) {
		uint32_t word = t->map->uop[i];
		unsigned int dst = NPU_UOP_DST(word);

		uop[d->uops++] = word;
		if (NPU_UOP_OP(word) == NPU_UOP_IOTA)
			uop[d->uops++] = NPU_UOP_WORD(NPU_UOP_IADD, dst, dst, base, 0);
	}
	memcpy(uop + d->uops, t->map->konst, t->map->consts * sizeof(*uop));
	uop[d->uops + t->map->consts] = t->iota_base;
	d->consts = (uint8_t)(t->map->consts + 1);
}

static size_t build_map(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
			struct npu_desc_map *d)
{
	uint32_t *uop;

	memcpy(d->dim, t->dim, sizeof(d->dim));
	d->operands = (uint8_t)t->operands;
	for (unsigned int i = 0; i < t->operands; i++) {
		d->view[i].ref = ref(b, &t->operand[i], addr[i]);
		memcpy(d->view[i].stride, t->operand[i].spm_stride, sizeof(d->view[i].stride));
	}
	uop = (uint32_t *)(void *)&d->view[t->operands];
	if (t->iota_base) {
		add_iota_base(d, t, uop);
	} else {
		d->uops = (uint8_t)t->map->uops;
		d->consts = (uint8_t)t->map->consts;
		memcpy(uop, t->map->uop, t->map->uops * sizeof(*uop));
		memcpy(uop + d->uops, t->map->konst, t->map->consts * sizeof(*uop));
	}
	return sizeof(*d) + t->operands * sizeof(d->view[0]) +
		4 * ((size_t)d->uops + d->consts);
}

static size_t build_reduce(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
			   struct npu_desc_reduce *d)
{
	memcpy(d->dim, t->dim, sizeof(d->dim));
	d->rop = t->rop;
	d->axes = t->axes;
	d->in.ref = ref(b, &t->operand[0], addr[0]);
	memcpy(d->in.stride, t->operand[0].spm_stride, sizeof(d->in.stride));
	d->out.ref = ref(b, &t->operand[1], addr[1]);
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		d->out.stride[i] = t->axes >> i & 1 ? 0 : t->operand[1].spm_stride[i];
	return sizeof(*d);
}

static size_t build_pool(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
			 struct npu_desc_pool *d)
{
	d->shape = t->shape;
	d->in = ref(b, &t->operand[0], addr[0]);
	d->out = ref(b, &t->operand[1], addr[1]);
	if (t->flags & NPU_F_POOL_INDEX)
		d->index = ref(b, &t->operand[2], addr[2]);
	d->index_row = t->index_row;
	d->index_base = t->index_base;
	memcpy(d->in_stride, t->operand[0].spm_stride, sizeof(d->in_stride));
	memcpy(d->out_stride, t->operand[1].spm_stride, sizeof(d->out_stride));
	return sizeof(*d);
}

/*
 * Loops of @o on five dimensions. A copy that does not move in SPM is one
 * element (a broadcast), unless it is stored.
 */
static void dma_dims(const struct nc_operand *o, bool store, uint32_t dim[5],
		     int32_t spm_stride[5])
{
	dim[0] = 1;
	spm_stride[0] = 0;
	for (unsigned int i = 0; i < NC_LOOPS; i++) {
		bool broadcast = !store && o->dim[i] > 1 && !o->spm_stride[i];

		dim[i + 1] = broadcast ? 1 : o->dim[i];
		spm_stride[i + 1] = o->spm_stride[i];
	}
}

static size_t build_fill(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
			 struct npu_desc_fill *d)
{
	dma_dims(&t->operand[0], false, d->dim, d->spm_stride);
	d->value = t->value;
	d->spm = ref(b, &t->operand[0], addr[0]);
	return sizeof(*d);
}

static size_t build_gather(const struct nc_back *b, const struct nc_tile *t,
			   const uint32_t *addr, struct npu_desc_gather *d)
{
	const struct nc_operand *index = &t->operand[NC_GATHER_INDEX];
	const struct nc_operand *data = &t->operand[NC_GATHER_DATA];
	const struct nc_operand *table = &t->operand[NC_GATHER_TABLE];
	const struct kir_gather *g = t->gather;
	uint8_t dtype = (uint8_t)b->k->tensor[table->tensor].dtype;
	int64_t elem_bytes = npu_dtype_bytes(dtype);

	memcpy(d->dim, t->dim, sizeof(d->dim));
	d->row_elems = t->dim[3];
	for (unsigned int i = 0; i < g->coords; i++) {
		d->limit[i] = g->limit[i];
		d->step_bytes[i] = (int32_t)(g->step[i] * elem_bytes);
	}
	d->mem.dtype = dtype;
	d->mem.offset_bytes = (table->offset + t->first_row) * elem_bytes;
	for (unsigned int i = 0; i < 3; i++)
		d->mem.stride_bytes[i] = (int32_t)(g->row_step[i] * elem_bytes);
	d->spm = ref(b, data, addr[NC_GATHER_DATA]);
	memcpy(d->spm_stride, data->spm_stride, sizeof(d->spm_stride));
	d->index = ref(b, index, addr[NC_GATHER_INDEX]);
	memcpy(d->index_stride, index->spm_stride, sizeof(d->index_stride));
	return sizeof(*d);
}

size_t nc_desc_build(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
		     union nc_desc *desc)
{
	struct npu_desc_hdr *hdr = &desc->hdr;
	size_t bytes = 0;

	memset(desc, 0, sizeof(*desc));
	hdr->opcode = t->opcode;
	hdr->flags = t->flags;
	hdr->tag = t->node + 1;
	switch (t->opcode) {
	case NPU_OP_CONV:
		bytes = build_conv(b, t, addr, &desc->conv);
		break;
	case NPU_OP_WGRAD:
		bytes = build_wgrad(b, t, addr, &desc->wgrad);
		break;
	case NPU_OP_MATMUL:
		bytes = build_matmul(b, t, addr, &desc->matmul);
		break;
	case NPU_OP_MAP:
		bytes = build_map(b, t, addr, &desc->map);
		break;
	case NPU_OP_REDUCE:
		bytes = build_reduce(b, t, addr, &desc->reduce);
		break;
	case NPU_OP_POOL:
	case NPU_OP_UNPOOL:
		bytes = build_pool(b, t, addr, &desc->pool);
		break;
	case NPU_OP_FILL:
		bytes = build_fill(b, t, addr, &desc->fill);
		break;
	case NPU_OP_GATHER:
	case NPU_OP_SCATTER:
		bytes = build_gather(b, t, addr, &desc->gather);
		break;
	}
	return finish(hdr, bytes);
}

/* Dimensions of 1 first, then what replicates, then by memory stride. */
static int64_t run_key(const struct npu_desc_dma *d, unsigned int i)
{
	int64_t stride = d->mem.stride_bytes[i];

	if (d->dim[i] == 1)
		return INT64_MAX;
	if (stride == 0)
		return INT64_MAX - 1;
	return stride < 0 ? -stride : stride;
}

/* Long runs of memory go to the inner dimensions, whatever SPM looks like. */
static void order_by_memory(struct npu_desc_dma *d)
{
	for (unsigned int i = 1; i < 5; i++)
		for (unsigned int j = i; j > 0 && run_key(d, j - 1) < run_key(d, j); j--) {
			uint32_t dim = d->dim[j];
			int32_t spm = d->spm_stride[j], mem = d->mem.stride_bytes[j];

			d->dim[j] = d->dim[j - 1];
			d->spm_stride[j] = d->spm_stride[j - 1];
			d->mem.stride_bytes[j] = d->mem.stride_bytes[j - 1];
			d->dim[j - 1] = dim;
			d->spm_stride[j - 1] = spm;
			d->mem.stride_bytes[j - 1] = mem;
		}
}

size_t nc_desc_dma(const struct nc_back *b, const struct nc_operand *o, unsigned int opcode,
		   uint32_t node, uint32_t addr, union nc_desc *desc)
{
	uint8_t dtype = (uint8_t)b->k->tensor[o->tensor].dtype;
	int64_t elem_bytes = npu_dtype_bytes(dtype);
	struct npu_desc_dma *d = &desc->dma;

	memset(desc, 0, sizeof(*desc));
	d->hdr.opcode = (uint8_t)opcode;
	d->hdr.tag = node + 1;
	dma_dims(o, opcode == NPU_OP_STORE, d->dim, d->spm_stride);
	d->mem.dtype = dtype;
	d->mem.offset_bytes = o->offset * elem_bytes;
	for (unsigned int i = 0; i < NC_LOOPS; i++)
		if (d->dim[i + 1] > 1)
			d->mem.stride_bytes[i + 1] = (int32_t)(o->stride[i] * elem_bytes);
	d->spm = ref(b, o, addr);
	order_by_memory(d);
	return finish(&d->hdr, sizeof(*d));
}
