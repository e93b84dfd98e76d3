/* SPDX-License-Identifier: MIT */
/* Descriptors to text: npu_disasm(). */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "npu_check.h"
#include "npu_disasm.h"
#include "npu_fields.h"

struct text {
	char *at;
	size_t bytes;
	size_t length;
	const char *line_break;
};

__attribute__((format(printf, 2, 3)))
static void put(struct text *t, const char *format, ...)
{
	bool room = t->length < t->bytes;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(room ? t->at + t->length : NULL, room ? t->bytes - t->length : 0,
		      format, args);
	va_end(args);
	t->length += n > 0 ? (size_t)n : 0;
}

static void put_lower(struct text *t, const char *name)
{
	for (; *name; name++)
		put(t, "%c", tolower((unsigned char)*name));
}

static void put_hex(struct text *t, int64_t value)
{
	uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	put(t, "%s0x%" PRIx64, value < 0 ? "-" : "", magnitude);
}

/* ---- Whether text can say it all ---- */

static bool ref_has_text(const struct npu_ref *ref)
{
	return ref->space <= NPU_SPACE_ACC && ref->dtype < NPU_DTYPES &&
		(ref->reg < NPU_REGS || ref->reg == NPU_REG_NONE);
}

static bool step_has_text(const struct npu_loop_step *step)
{
	return step->reg < NPU_REGS || (step->reg == NPU_REG_NONE && !step->step);
}

static bool field_has_text(const struct npu_field *f, const uint8_t *at)
{
	const struct npu_mem *mem = (const void *)at;
	const struct npu_loop_step *step = (const void *)at;

	switch (f->kind) {
	case NPU_FIELD_ROP:
		return npu_rop_name(*at);
	case NPU_FIELD_AXES:
		return *at < 16;
	case NPU_FIELD_REG:
		return *at < NPU_REGS;
	case NPU_FIELD_REF:
		return ref_has_text((const void *)at);
	case NPU_FIELD_MEM:
		return mem->reg < NPU_REGS && mem->dtype < NPU_DTYPES;
	case NPU_FIELD_STEP:
		for (unsigned int i = 0; i < f->count; i++) {
			if (!step_has_text(&step[i]))
				return false;
		}
		return true;
	default:
		return true;
	}
}

static bool uop_has_text(uint32_t word)
{
	const unsigned int op = NPU_UOP_OP(word);
	const unsigned int source[3] = { NPU_UOP_A(word), NPU_UOP_B(word), NPU_UOP_C(word) };

	if (!npu_uop_name(op) || word >> 31)
		return false;
	if (op == NPU_UOP_ST && NPU_UOP_DST(word) >= NPU_MAP_OPERANDS)
		return false;
	for (unsigned int i = 0; i < 3; i++) {
		if (i >= npu_uop_sources(op) && source[i])
			return false;
		if (op == NPU_UOP_LD && source[i] >= NPU_MAP_OPERANDS)
			return false;
	}
	return true;
}

static bool map_has_text(const struct npu_desc_map *d)
{
	const uint32_t *uop = npu_map_uops(d);

	for (unsigned int i = 0; i < d->operands; i++) {
		if (!ref_has_text(&d->view[i].ref))
			return false;
	}
	for (unsigned int i = 0; i < d->uops; i++) {
		if (!uop_has_text(uop[i]))
			return false;
	}
	return true;
}

static bool ports_have_text(const struct npu_sem_ref port[NPU_SEM_PORTS])
{
	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		if (port[i].sem >= NPU_SEMAPHORES || (!port[i].count && port[i].sem))
			return false;
	}
	return true;
}

static bool flags_have_text(const struct npu_desc_hdr *hdr)
{
	unsigned int left = hdr->flags;

	for (const struct npu_flag *f = npu_op_flags(hdr->opcode); f->bit; f++)
		left &= ~(unsigned int)f->bit;
	return !left;
}

static bool counts_fit(const struct npu_desc_map *d)
{
	return d->operands <= NPU_MAP_OPERANDS && d->uops <= NPU_MAP_UOPS &&
		d->consts <= NPU_MAP_CONSTS;
}

static bool has_text(const void *desc, size_t avail_bytes)
{
	const struct npu_desc_hdr *hdr = desc;
	size_t lines;

	if (!npu_op_name(hdr->opcode) || (hdr->opcode == NPU_OP_MAP && !counts_fit(desc)))
		return false;
	lines = (npu_desc_bytes(desc) + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES;
	if (hdr->lines != lines || lines > NPU_DESC_LINES_MAX ||
	    lines * NPU_LINE_BYTES > avail_bytes)
		return false;
	if (!flags_have_text(hdr) || !ports_have_text(hdr->wait) ||
	    !ports_have_text(hdr->signal) || !npu_reserved_is_clear(desc))
		return false;
	for (const struct npu_field *f = npu_body_fields(hdr->opcode); f->name; f++) {
		if (f->flag && !(hdr->flags & f->flag))
			continue;
		if (!field_has_text(f, (const uint8_t *)desc + f->offset))
			return false;
	}
	return hdr->opcode != NPU_OP_MAP || map_has_text(desc);
}

/* ---- Printing ---- */

static void put_ports(struct text *t, const char *name, const struct npu_sem_ref *port)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i < NPU_SEM_PORTS; i++) {
		if (port[i].count)
			used = i + 1;
	}
	for (unsigned int i = 0; i < used; i++) {
		if (i == 0)
			put(t, " %s=", name);
		else
			put(t, ",");
		if (port[i].count)
			put(t, "s%u:%u", port[i].sem, port[i].count);
		else
			put(t, "-");
	}
}

static void put_header(struct text *t, const struct npu_desc_hdr *hdr)
{
	put(t, "%s", npu_op_name(hdr->opcode));
	for (const struct npu_flag *f = npu_op_flags(hdr->opcode); f->bit; f++) {
		if (hdr->flags & f->bit)
			put(t, ".%s", f->name);
	}
	if (hdr->tag)
		put(t, " tag=%" PRIu32, hdr->tag);
	put_ports(t, "wait", hdr->wait);
	put_ports(t, "signal", hdr->signal);
}

static void put_strides(struct text *t, const char *name, const int32_t *stride,
			unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		put(t, "%s%" PRId32, i ? "," : name, stride[i]);
	put(t, "%s", count ? ")" : "");
}

static void put_ref(struct text *t, const char *name, unsigned int number,
		    const struct npu_ref *ref)
{
	put(t, "%s%s", t->line_break, name);
	if (number != NPU_REG_NONE)
		put(t, "%u", number);
	put(t, "=%s[0x%" PRIx32, ref->space == NPU_SPACE_SPM ? "spm" : "acc", ref->addr);
	if (ref->reg != NPU_REG_NONE)
		put(t, "+r%u", ref->reg);
	put(t, "]:%s", npu_dtype_name(ref->dtype));
}

static void put_mem(struct text *t, const struct npu_field *f, const struct npu_mem *mem)
{
	put(t, "%s%s=mem[r%u%s", t->line_break, f->name, mem->reg,
	    mem->offset_bytes < 0 ? "" : "+");
	put_hex(t, mem->offset_bytes);
	put(t, "]:%s", npu_dtype_name(mem->dtype));
	put_strides(t, " stride_bytes=(", mem->stride_bytes, f->strides);
}

static void put_steps(struct text *t, const char *name, const struct npu_loop_step *step)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i < NPU_LOOP_STEPS; i++) {
		if (step[i].reg != NPU_REG_NONE)
			used = i + 1;
	}
	for (unsigned int i = 0; i < used; i++) {
		if (i == 0)
			put(t, " %s=", name);
		else
			put(t, ",");
		if (step[i].reg != NPU_REG_NONE)
			put(t, "r%u:%" PRId64, step[i].reg, step[i].step);
		else
			put(t, "-");
	}
}

static void put_axes(struct text *t, const char *name, unsigned int axes)
{
	const char *before = "(";

	put(t, " %s=", name);
	for (unsigned int i = 0; i < 4; i++) {
		if (!(axes & 1u << i))
			continue;
		put(t, "%s%u", before, i);
		before = ",";
	}
	put(t, "%s)", axes ? "" : "(");
}

static int64_t field_get(unsigned int kind, const void *at)
{
	union {
		uint8_t u8;
		uint16_t u16;
		int16_t i16;
		uint32_t u32;
		int32_t i32;
		int64_t i64;
	} v;

	memcpy(&v, at, npu_field_bytes(kind));
	switch (kind) {
	case NPU_FIELD_U16: return v.u16;
	case NPU_FIELD_I16: return v.i16;
	case NPU_FIELD_U32:
	case NPU_FIELD_X32: return v.u32;
	case NPU_FIELD_I32: return v.i32;
	case NPU_FIELD_I64: return v.i64;
	default: return v.u8;
	}
}

static void put_number(struct text *t, unsigned int kind, int64_t value)
{
	bool small = value > -65536 && value < 65536;

	if (kind == NPU_FIELD_X32 || (kind == NPU_FIELD_I64 && !small))
		put_hex(t, value);
	else
		put(t, "%" PRId64, value);
}

static void put_numbers(struct text *t, const struct npu_field *f, const uint8_t *at)
{
	unsigned int bytes = npu_field_bytes(f->kind);

	if (f->count == 1 && f->optional && field_get(f->kind, at) == f->preset)
		return;
	put(t, " %s=%s", f->name, f->count > 1 ? "(" : "");
	for (unsigned int i = 0; i < f->count; i++) {
		put(t, "%s", i ? "," : "");
		put_number(t, f->kind, field_get(f->kind, at + i * bytes));
	}
	put(t, "%s", f->count > 1 ? ")" : "");
}

static void put_field(struct text *t, const struct npu_field *f, const void *desc)
{
	const uint8_t *at = (const uint8_t *)desc + f->offset;
	const void *strides = (const uint8_t *)desc + f->stride_offset;

	switch (f->kind) {
	case NPU_FIELD_COUNT:
		break;
	case NPU_FIELD_AXES:
		put_axes(t, f->name, *at);
		break;
	case NPU_FIELD_ROP:
		put(t, " %s=", f->name);
		put_lower(t, npu_rop_name(*at));
		break;
	case NPU_FIELD_REG:
		put(t, " %s=r%u", f->name, *at);
		break;
	case NPU_FIELD_REF:
		put_ref(t, f->name, NPU_REG_NONE, (const void *)at);
		put_strides(t, " stride=(", strides, f->strides);
		break;
	case NPU_FIELD_MEM:
		put_mem(t, f, (const void *)at);
		break;
	case NPU_FIELD_STEP:
		put_steps(t, f->name, (const void *)at);
		break;
	default:
		put_numbers(t, f, at);
		break;
	}
}

static void put_source(struct text *t, unsigned int op, unsigned int source)
{
	if (op == NPU_UOP_LD)
		put(t, ", v%u", source);
	else if (source < NPU_UOP_CONST)
		put(t, ", m%u", source);
	else
		put(t, ", k%u", source - NPU_UOP_CONST);
}

static void put_uop(struct text *t, uint32_t word)
{
	const unsigned int op = NPU_UOP_OP(word);
	const unsigned int source[3] = { NPU_UOP_A(word), NPU_UOP_B(word), NPU_UOP_C(word) };

	put(t, "%s", t->line_break);
	put_lower(t, npu_uop_name(op));
	put(t, " %c%u", op == NPU_UOP_ST ? 'v' : 'm', NPU_UOP_DST(word));
	for (unsigned int i = 0; i < npu_uop_sources(op); i++)
		put_source(t, op, source[i]);
}

static void put_map_tail(struct text *t, const struct npu_desc_map *d)
{
	const uint32_t *uop = npu_map_uops(d), *constant = npu_map_consts(d);

	for (unsigned int i = 0; i < d->operands; i++) {
		put_ref(t, "v", i, &d->view[i].ref);
		put_strides(t, " stride=(", d->view[i].stride, 4);
	}
	for (unsigned int i = 0; i < d->consts; i++)
		put(t, "%sk%u=0x%08" PRIx32, t->line_break, i, constant[i]);
	for (unsigned int i = 0; i < d->uops; i++)
		put_uop(t, uop[i]);
}

static size_t put_raw(struct text *t, const uint8_t *byte)
{
	put(t, ".line ");
	for (size_t i = 0; i < NPU_LINE_BYTES; i++)
		put(t, "%02x", byte[i]);
	return NPU_LINE_BYTES;
}

static size_t put_desc(struct text *t, const void *desc)
{
	const struct npu_desc_hdr *hdr = desc;

	put_header(t, hdr);
	for (const struct npu_field *f = npu_body_fields(hdr->opcode); f->name; f++) {
		if (!f->flag || hdr->flags & f->flag)
			put_field(t, f, desc);
	}
	if (hdr->opcode == NPU_OP_MAP)
		put_map_tail(t, desc);
	return hdr->lines * (size_t)NPU_LINE_BYTES;
}

size_t npu_disasm(const void *desc, size_t avail_bytes, unsigned int flags,
		  char *text, size_t text_bytes, size_t *used_bytes)
{
	struct text t = {
		.at = text,
		.bytes = text_bytes,
		.line_break = flags & NPU_DISASM_ONE_LINE ? " " : "\n\t",
	};
	size_t used = has_text(desc, avail_bytes) ? put_desc(&t, desc) : put_raw(&t, desc);

	if (used_bytes)
		*used_bytes = used;
	return t.length;
}
