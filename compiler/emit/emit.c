/* SPDX-License-Identifier: MIT */
/*
 * Emit: the program file.
 *
 * requires: ordered code, homes of all tensors (order)
 * establishes: an image of isa/npu_prog.h; the same input gives the same bytes
 */
#include "nc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "npu_prog_read.h"

/* Strings behind each other; offset 0 is "". */
struct strings {
	char *data;
	size_t bytes;
	size_t room;
};

struct image {
	struct nc_back *b;
	struct strings strings;
	struct npu_prog_header header;
	struct npu_prog_tensor *tensor;
	uint32_t tensors;
	struct npu_prog_node *node;
};

static int add_string(struct strings *s, const char *text, uint32_t *offset)
{
	size_t bytes = strlen(text) + 1;

	*offset = 0;
	if (bytes == 1)
		return 0;
	if (s->bytes + bytes > UINT32_MAX)
		return -E2BIG;
	if (s->bytes + bytes > s->room) {
		size_t room = (s->bytes + bytes) * 2;
		char *data = realloc(s->data, room);

		if (!data)
			return -ENOMEM;
		s->data = data;
		s->room = room;
	}
	memcpy(s->data + s->bytes, text, bytes);
	*offset = (uint32_t)s->bytes;
	s->bytes += bytes;
	return 0;
}

static int add_tensor(struct image *im, uint32_t index)
{
	const struct kir_tensor *t = &im->b->k->tensor[index];
	struct npu_prog_tensor *p = &im->tensor[im->tensors++];

	*p = (struct npu_prog_tensor){
		.kind = t->kind == KIR_INPUT ? NPU_PROG_INPUT : NPU_PROG_OUTPUT,
		.dtype = (uint8_t)t->dtype,
		.reg = im->b->home[index].reg,
		.rank = (uint8_t)t->rank,
		.offset_bytes = im->b->home[index].offset_bytes,
		.size_bytes = t->elems * npu_dtype_bytes(t->dtype),
	};
	for (unsigned int i = 0; i < t->rank; i++)
		p->dim[i] = t->dim[i];
	return add_string(&im->strings, t->name, &p->name);
}

static int make_tables(struct image *im)
{
	const struct kir *k = im->b->k;
	int ret = 0;

	im->tensor = nc_alloc_array(im->b->arena, (size_t)k->tensors + 1, sizeof(*im->tensor));
	im->node = nc_alloc_array(im->b->arena, (size_t)k->nodes + 1, sizeof(*im->node));
	im->strings = (struct strings){ .data = calloc(1, 64), .bytes = 1, .room = 64 };
	if (!im->tensor || !im->node || !im->strings.data)
		return -ENOMEM;
	for (uint32_t i = 0; i < k->tensors && !ret; i++)
		if (k->tensor[i].kind == KIR_INPUT || k->tensor[i].kind == KIR_OUTPUT)
			ret = add_tensor(im, i);
	for (uint32_t i = 0; i < k->nodes && !ret; i++) {
		ret = add_string(&im->strings, k->node[i].name, &im->node[i].name);
		if (!ret)
			ret = add_string(&im->strings, k->node[i].op, &im->node[i].op);
	}
	if (!ret)
		ret = add_string(&im->strings, k->name, &im->header.name);
	return ret;
}

static uint64_t cast_cap(const struct npu_desc_hdr *hdr)
{
	const struct npu_desc_dma *d = (const void *)hdr;
	const struct npu_desc_gather *g = (const void *)hdr;

	if (hdr->opcode == NPU_OP_GATHER || hdr->opcode == NPU_OP_SCATTER)
		return g->mem.dtype == g->spm.dtype ? 0 : NPU_CAP_CAST;
	if (hdr->opcode != NPU_OP_LOAD && hdr->opcode != NPU_OP_STORE)
		return 0;
	return d->mem.dtype == d->spm.dtype ? 0 : NPU_CAP_CAST;
}

/* Of the instruction, its types, its flags and its micro-ops. */
static uint64_t desc_caps(const struct npu_desc_hdr *hdr)
{
	const struct npu_desc_map *map = (const void *)hdr;
	uint64_t caps = npu_op_cap(hdr->opcode) | cast_cap(hdr);

	if (hdr->opcode == NPU_OP_REDUCE && hdr->flags & NPU_F_TRAP)
		caps |= NPU_CAP_TRAP;
	if (hdr->opcode == NPU_OP_POOL && hdr->flags & NPU_F_POOL_INDEX)
		caps |= NPU_CAP_UNPOOL;
	for (unsigned int i = 0; hdr->opcode == NPU_OP_MAP && i < map->uops; i++)
		caps |= npu_uop_cap(NPU_UOP_OP(npu_map_uops(map)[i]));
	return caps;
}

static void fill_header(struct image *im)
{
	const struct nc_back *b = im->b;
	struct npu_prog_header *h = &im->header;

	h->magic = NPU_PROG_MAGIC;
	h->version_major = NPU_PROG_VERSION_MAJOR;
	h->version_minor = NPU_PROG_VERSION_MINOR;
	h->isa_version = NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR;
	h->array = b->target.array_rows | b->target.array_cols << 16;
	h->spm_bytes = (uint32_t)b->spm_bytes;
	h->acc_bytes = (uint32_t)b->acc_bytes;
	h->caps = NPU_CAP_FP32;
	h->scratch_bytes = b->scratch_bytes;
	for (uint32_t i = 0; i < b->code.count; i++) {
		const struct npu_desc_hdr *hdr = nc_code_at(&b->code, i);

		h->macs += npu_desc_macs(&b->timing, hdr);
		h->caps |= desc_caps(hdr);
	}
}

static void copy_consts(const struct nc_back *b, char *to)
{
	for (uint32_t i = 0; i < b->k->tensors; i++) {
		const struct kir_tensor *t = &b->k->tensor[i];

		if (i < b->homes && b->home[i].in_consts)
			memcpy(to + b->home[i].offset_bytes, t->data,
			       t->elems * npu_dtype_bytes(t->dtype));
	}
}

static uint64_t align(uint64_t bytes)
{
	return (bytes + NPU_PROG_ALIGN - 1) / NPU_PROG_ALIGN * NPU_PROG_ALIGN;
}

static int write_image(struct image *im, void **image, size_t *image_bytes)
{
	const struct nc_back *b = im->b;
	struct npu_prog_section section[] = {
		{ .type = NPU_PROG_CMDS, .size_bytes = b->code.bytes },
		{ .type = NPU_PROG_CONSTS, .size_bytes = b->consts_bytes },
		{ .type = NPU_PROG_TENSORS, .size_bytes = im->tensors * sizeof(*im->tensor) },
		{ .type = NPU_PROG_NODES, .size_bytes = b->k->nodes * sizeof(*im->node) },
		{ .type = NPU_PROG_STRINGS, .size_bytes = im->strings.bytes },
	};
	const unsigned int sections = sizeof(section) / sizeof(section[0]);
	struct npu_prog_header *h = &im->header;
	uint64_t at = align(sizeof(*h) + sizeof(section));
	char *file;

	for (unsigned int i = 0; i < sections; i++) {
		section[i].offset_bytes = at;
		at = align(at + section[i].size_bytes);
	}
	h->sections = sections;
	h->file_bytes = at;
	file = at > NPU_PROG_BYTES_MAX ? NULL : calloc(1, at);
	if (!file)
		return -ENOMEM;
	memcpy(file, h, sizeof(*h));
	memcpy(file + sizeof(*h), section, sizeof(section));
	memcpy(file + section[0].offset_bytes, b->code.data, b->code.bytes);
	copy_consts(b, file + section[1].offset_bytes);
	memcpy(file + section[2].offset_bytes, im->tensor, section[2].size_bytes);
	memcpy(file + section[3].offset_bytes, im->node, section[3].size_bytes);
	memcpy(file + section[4].offset_bytes, im->strings.data, section[4].size_bytes);
	((struct npu_prog_header *)(void *)file)->crc32 = npu_prog_crc32(file, at);
	*image = file;
	*image_bytes = at;
	return 0;
}

int nc_emit(struct nc_back *b, void **image, size_t *image_bytes)
{
	static const struct npu_desc_ctrl end = { .hdr = { .opcode = NPU_OP_END, .lines = 1 } };
	uint8_t line[NPU_LINE_BYTES] = { 0 };
	struct image im = { .b = b };
	int ret;

	memcpy(line, &end, sizeof(end));
	if (!nc_code_add(b, line, sizeof(line)))
		return -ENOMEM;
	fill_header(&im);
	ret = make_tables(&im);
	if (!ret)
		ret = write_image(&im, image, image_bytes);
	free(im.strings.data);
	return ret ? nc_error(b->diag, ret, "out of memory for the program file") : 0;
}
