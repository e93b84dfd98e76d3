/* SPDX-License-Identifier: MIT */
/* Assemble program images from descriptors; see prog_build.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "npu_prog_read.h"
#include "prog_build.h"

struct bytes {
	char *data;
	size_t used;
	size_t room;
};

struct prog_build {
	struct npu_prog_header header;
	uint32_t tag;
	struct bytes cmds;
	struct bytes consts;
	struct bytes tensors;
	struct bytes nodes;
	struct bytes strings;
};

static void *append(struct bytes *b, const void *data, size_t bytes)
{
	if (b->used + bytes > b->room) {
		b->room = (b->used + bytes) * 2 + 256;
		b->data = realloc(b->data, b->room);
		if (!b->data)
			abort();
	}
	if (data)
		memcpy(b->data + b->used, data, bytes);
	else
		memset(b->data + b->used, 0, bytes);
	b->used += bytes;
	return b->data + b->used - bytes;
}

static uint32_t append_string(struct prog_build *pb, const char *s)
{
	uint32_t offset = (uint32_t)pb->strings.used;

	append(&pb->strings, s, strlen(s) + 1);
	return offset;
}

struct prog_build *pb_create(const char *name)
{
	struct prog_build *pb = calloc(1, sizeof(*pb));

	if (!pb)
		abort();
	append(&pb->strings, "", 1);
	pb->header = (struct npu_prog_header){
		.magic = NPU_PROG_MAGIC,
		.version_major = NPU_PROG_VERSION_MAJOR,
		.version_minor = NPU_PROG_VERSION_MINOR,
		.isa_version = NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR,
		.array = 16 | 32u << 16,
		.caps = NPU_CAP_FP32,
		.name = append_string(pb, name),
	};
	return pb;
}

struct npu_prog_header *pb_header(struct prog_build *pb)
{
	return &pb->header;
}

void pb_tensor(struct prog_build *pb, enum npu_prog_tensor_kind kind, const char *name,
	       enum npu_dtype dtype, unsigned int reg, uint64_t offset_bytes,
	       unsigned int rank, const int64_t *dim)
{
	struct npu_prog_tensor t = {
		.name = append_string(pb, name),
		.kind = kind,
		.dtype = dtype,
		.reg = reg,
		.rank = rank,
		.offset_bytes = offset_bytes,
		.size_bytes = npu_dtype_bytes(dtype),
	};

	for (unsigned int i = 0; i < rank; i++) {
		t.dim[i] = dim[i];
		t.size_bytes *= dim[i];
	}
	append(&pb->tensors, &t, sizeof(t));
}

uint32_t pb_node(struct prog_build *pb, const char *name, const char *op)
{
	struct npu_prog_node n = { .name = append_string(pb, name) };

	n.op = append_string(pb, op);
	append(&pb->nodes, &n, sizeof(n));
	return (uint32_t)(pb->nodes.used / sizeof(n));
}

void pb_consts(struct prog_build *pb, const void *data, size_t bytes)
{
	append(&pb->consts, data, bytes);
}

void pb_set_tag(struct prog_build *pb, uint32_t tag)
{
	pb->tag = tag;
}

void pb_desc(struct prog_build *pb, void *desc, size_t bytes)
{
	struct npu_desc_hdr *hdr = desc;
	size_t lines = (bytes + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES;

	hdr->lines = (uint8_t)lines;
	hdr->tag = pb->tag;
	append(&pb->cmds, desc, bytes);
	append(&pb->cmds, NULL, lines * NPU_LINE_BYTES - bytes);
}

static void set_port(struct npu_sem_ref *port, int sem)
{
	if (sem >= 0)
		*port = (struct npu_sem_ref){ .sem = (uint8_t)sem, .count = 1 };
}

static struct npu_ref spm_ref(uint32_t addr)
{
	return (struct npu_ref){ .addr = addr, .space = NPU_SPACE_SPM, .dtype = NPU_F32,
				 .reg = NPU_REG_NONE };
}

static void append_dma(struct prog_build *pb, enum npu_opcode opcode, unsigned int reg,
		       int64_t offset_bytes, uint32_t spm, uint32_t elems, int wait, int signal)
{
	struct npu_desc_dma d = {
		.hdr = { .opcode = opcode },
		.dim = { 1, 1, 1, 1, elems },
		.mem = { .reg = (uint8_t)reg, .dtype = NPU_F32, .offset_bytes = offset_bytes,
			 .stride_bytes = { 0, 0, 0, 0, 4 } },
		.spm = spm_ref(spm),
		.spm_stride = { 0, 0, 0, 0, 1 },
	};

	set_port(&d.hdr.wait[0], wait);
	set_port(&d.hdr.signal[0], signal);
	pb_desc(pb, &d, sizeof(d));
}

void pb_load(struct prog_build *pb, unsigned int reg, int64_t offset_bytes, uint32_t spm,
	     uint32_t elems, int signal)
{
	append_dma(pb, NPU_OP_LOAD, reg, offset_bytes, spm, elems, -1, signal);
}

void pb_store(struct prog_build *pb, unsigned int reg, int64_t offset_bytes, uint32_t spm,
	      uint32_t elems, int wait)
{
	append_dma(pb, NPU_OP_STORE, reg, offset_bytes, spm, elems, wait, -1);
}

void pb_fill(struct prog_build *pb, uint32_t spm, uint32_t elems, uint32_t value, int signal)
{
	struct npu_desc_fill d = {
		.hdr = { .opcode = NPU_OP_FILL },
		.dim = { 1, 1, 1, 1, elems },
		.value = value,
		.spm = spm_ref(spm),
		.spm_stride = { 0, 0, 0, 0, 1 },
	};

	set_port(&d.hdr.signal[0], signal);
	pb_desc(pb, &d, sizeof(d));
}

static uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* MAP over two views, each with stride 1 in the last dimension. */
static void append_map(struct prog_build *pb, uint32_t spm_in, uint32_t spm_out,
		       uint32_t spm_other, uint32_t elems, const uint32_t *uop,
		       unsigned int uops, const uint32_t *constant, unsigned int consts,
		       const int wait[2], int signal)
{
	const uint32_t spm[3] = { spm_in, spm_out, spm_other };
	union {
		struct npu_desc_map map;
		uint8_t byte[NPU_DESC_BYTES_MAX];
		uint32_t word[NPU_DESC_BYTES_MAX / 4];
	} d = { .map = {
		.hdr = { .opcode = NPU_OP_MAP },
		.dim = { 1, 1, 1, elems },
		.operands = spm_other == UINT32_MAX ? 2 : 3,
		.uops = (uint8_t)uops,
		.consts = (uint8_t)consts,
	} };
	size_t at = sizeof(d.map);

	for (unsigned int i = 0; i < d.map.operands; i++) {
		struct npu_view view = { .ref = spm_ref(spm[i]), .stride = { 0, 0, 0, 1 } };

		memcpy(&d.byte[at], &view, sizeof(view));
		at += sizeof(view);
	}
	memcpy(&d.byte[at], uop, uops * 4);
	at += uops * 4;
	if (consts)
		memcpy(&d.byte[at], constant, consts * 4);
	at += consts * 4;
	set_port(&d.map.hdr.wait[0], wait[0]);
	set_port(&d.map.hdr.wait[1], wait[1]);
	set_port(&d.map.hdr.signal[0], signal);
	pb_desc(pb, &d, at);
}

void pb_affine(struct prog_build *pb, uint32_t spm_in, uint32_t spm_out, uint32_t elems,
	       float scale, float offset, int wait, int signal)
{
	const uint32_t constant[] = { float_bits(scale), float_bits(offset) };
	const uint32_t uop[] = {
		NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0),
		NPU_UOP_WORD(NPU_UOP_FMA, 0, 0, NPU_UOP_CONST, NPU_UOP_CONST + 1),
		NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0),
	};

	append_map(pb, spm_in, spm_out, UINT32_MAX, elems, uop, 3, constant, 2,
		   (int[]){ wait, -1 }, signal);
}

static void append_add(struct prog_build *pb, uint32_t spm_in, uint32_t spm_out,
		       uint32_t spm_other, uint32_t elems, int wait, int signal)
{
	const uint32_t uop[] = {
		NPU_UOP_WORD(NPU_UOP_LD, 0, 0, 0, 0),
		NPU_UOP_WORD(NPU_UOP_LD, 1, 2, 0, 0),
		NPU_UOP_WORD(NPU_UOP_FADD, 0, 0, 1, 0),
		NPU_UOP_WORD(NPU_UOP_ST, 1, 0, 0, 0),
	};

	append_map(pb, spm_in, spm_out, spm_other, elems, uop, 4, NULL, 0,
		   (int[]){ wait, -1 }, signal);
}

static void append_ctrl(struct prog_build *pb, enum npu_opcode opcode, int wait)
{
	struct npu_desc_ctrl d = { .hdr = { .opcode = opcode } };

	set_port(&d.hdr.wait[0], wait);
	pb_desc(pb, &d, sizeof(d));
}

void pb_hang(struct prog_build *pb)
{
	append_ctrl(pb, NPU_OP_NOP, NPU_SEMAPHORES - 1);
}

void pb_end(struct prog_build *pb)
{
	append_ctrl(pb, NPU_OP_END, -1);
}

void pb_loop(struct prog_build *pb, uint32_t count)
{
	struct npu_desc_loop d = { .hdr = { .opcode = NPU_OP_LOOP }, .count = count };

	pb_desc(pb, &d, sizeof(d));
}

void pb_endl(struct prog_build *pb)
{
	struct npu_desc_endl d = { .hdr = { .opcode = NPU_OP_ENDL } };

	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++)
		d.step[i].reg = NPU_REG_NONE;
	pb_desc(pb, &d, sizeof(d));
}

static void free_build(struct prog_build *pb)
{
	free(pb->cmds.data);
	free(pb->consts.data);
	free(pb->tensors.data);
	free(pb->nodes.data);
	free(pb->strings.data);
	free(pb);
}

void *pb_take_commands(struct prog_build *pb, size_t *bytes)
{
	void *cmds = pb->cmds.data;

	*bytes = pb->cmds.used;
	pb->cmds.data = NULL;
	free_build(pb);
	return cmds;
}

void *pb_finish(struct prog_build *pb, size_t *bytes)
{
	const struct {
		enum npu_prog_section_type type;
		const struct bytes *content;
	} part[] = {
		{ NPU_PROG_CMDS, &pb->cmds },
		{ NPU_PROG_CONSTS, &pb->consts },
		{ NPU_PROG_TENSORS, &pb->tensors },
		{ NPU_PROG_NODES, &pb->nodes },
		{ NPU_PROG_STRINGS, &pb->strings },
	};
	const unsigned int parts = sizeof(part) / sizeof(part[0]);
	struct npu_prog_section table[sizeof(part) / sizeof(part[0])] = { 0 };
	struct bytes image = { 0 };
	struct npu_prog_header *h;

	append(&image, &pb->header, sizeof(pb->header));
	append(&image, NULL, sizeof(table));
	for (unsigned int i = 0; i < parts; i++) {
		append(&image, NULL, -image.used % NPU_PROG_ALIGN);
		table[i].type = part[i].type;
		table[i].offset_bytes = image.used;
		table[i].size_bytes = part[i].content->used;
		if (part[i].content->used)
			append(&image, part[i].content->data, part[i].content->used);
	}
	memcpy(image.data + sizeof(*h), table, sizeof(table));
	h = (struct npu_prog_header *)(void *)image.data;
	h->sections = parts;
	h->file_bytes = image.used;
	h->crc32 = npu_prog_crc32(image.data, image.used);
	free_build(pb);
	*bytes = image.used;
	return image.data;
}

void *pb_affine_program(uint32_t n, float scale, float offset, int consts, size_t *bytes)
{
	struct prog_build *pb = pb_create("affine");
	const int64_t dim[] = { n };
	const uint32_t spm_x = 0, spm_y = n * 4, spm_c = n * 8;

	pb_tensor(pb, NPU_PROG_INPUT, "x", NPU_F32, NPU_PROG_REG_FIRST_IO, 0, 1, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "y", NPU_F32, NPU_PROG_REG_FIRST_IO + 1, 0, 1, dim);
	pb_header(pb)->spm_bytes = n * 12;
	pb_set_tag(pb, pb_node(pb, "scale", "Mul"));
	if (consts)
		pb_load(pb, NPU_PROG_REG_CONSTS, 0, spm_c, n, -1);
	pb_load(pb, NPU_PROG_REG_FIRST_IO, 0, spm_x, n, 0);
	pb_affine(pb, spm_x, spm_y, n, scale, offset, 0, consts ? -1 : 1);
	if (consts) {
		float *c = malloc(n * sizeof(*c));

		if (!c)
			abort();
		for (uint32_t i = 0; i < n; i++)
			c[i] = 0.5f * (float)i;
		pb_consts(pb, c, n * sizeof(*c));
		free(c);
		pb_set_tag(pb, pb_node(pb, "plus", "Add"));
		append_add(pb, spm_y, spm_y, spm_c, n, -1, 1);
	}
	pb_store(pb, NPU_PROG_REG_FIRST_IO + 1, 0, spm_y, n, 1);
	pb_end(pb);
	return pb_finish(pb, bytes);
}

void *pb_copy_program(uint32_t n, size_t *bytes)
{
	struct prog_build *pb = pb_create("copy");
	const int64_t dim[] = { n };

	pb_tensor(pb, NPU_PROG_INPUT, "x", NPU_F32, NPU_PROG_REG_FIRST_IO, 0, 1, dim);
	pb_tensor(pb, NPU_PROG_OUTPUT, "y", NPU_F32, NPU_PROG_REG_FIRST_IO + 1, 0, 1, dim);
	pb_header(pb)->spm_bytes = n * 4;
	pb_set_tag(pb, pb_node(pb, "copy", "Identity"));
	pb_load(pb, NPU_PROG_REG_FIRST_IO, 0, 0, n, 0);
	pb_store(pb, NPU_PROG_REG_FIRST_IO + 1, 0, 0, n, 0);
	pb_end(pb);
	return pb_finish(pb, bytes);
}
