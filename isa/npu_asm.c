/* SPDX-License-Identifier: MIT */
/* Text to descriptors: npu_asm(). The grammar is at the head of npu_disasm.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "npu_check.h"
#include "npu_disasm.h"
#include "npu_fields.h"

/**
 * struct asm_state - the text and the statement being read
 * @at: next character
 * @line_at: first character of its line
 * @line: its number
 * @error: where to tell
 * @error_at: the token that was refused
 * @seen: bit per row of the field table
 * @seen_ports: bit 0 tag, 1 wait, 2 signal
 * @uops: micro-ops so far
 * @consts: constants so far
 * @uop: micro-ops
 * @constant: constants
 * @desc: descriptor so far, without the micro-ops and constants of a MAP
 */
struct asm_state {
	const char *at;
	const char *line_at;
	unsigned int line;
	struct npu_asm_error *error;
	const char *error_at;
	uint32_t seen;
	uint32_t seen_ports;
	unsigned int uops;
	unsigned int consts;
	uint32_t uop[NPU_MAP_UOPS];
	uint32_t constant[NPU_MAP_CONSTS];
	union {
		uint8_t byte[NPU_DESC_BYTES_MAX];
		struct npu_desc_hdr hdr;
		struct npu_desc_map map;
	} desc;
};

/* A name or number in the text. */
struct token {
	const char *at;
	size_t length;
};

__attribute__((format(printf, 3, 4)))
static int fail(struct asm_state *s, struct token tok, const char *format, ...)
{
	struct npu_asm_error *e = s->error;
	int shown = tok.length < 32 ? (int)tok.length : 32;
	va_list args;
	int n;

	s->error_at = tok.at;
	e->line = s->line;
	e->column = (unsigned int)(tok.at - s->line_at) + 1;
	if (shown)
		n = snprintf(e->text, sizeof(e->text), "'%.*s': ", shown, tok.at);
	else
		n = snprintf(e->text, sizeof(e->text), "%s",
			     *tok.at && *tok.at != '\n' ? "" : "end of line: ");
	va_start(args, format);
	vsnprintf(e->text + n, sizeof(e->text) - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- Scanner ---- */

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static struct token here(const struct asm_state *s)
{
	struct token tok = { .at = s->at, .length = 0 };

	while (is_name(tok.at[tok.length]))
		tok.length++;
	if (!tok.length && isgraph((unsigned char)*tok.at))
		tok.length = 1;
	return tok;
}

static struct token take_name(struct asm_state *s)
{
	struct token tok = { .at = s->at, .length = 0 };

	while (is_name(tok.at[tok.length]))
		tok.length++;
	s->at += tok.length;
	return tok;
}

static bool same(struct token tok, const char *name)
{
	return strlen(name) == tok.length && !strncmp(tok.at, name, tok.length);
}

static bool same_nocase(struct token tok, const char *name)
{
	return strlen(name) == tok.length && !strncasecmp(tok.at, name, tok.length);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/*
 * Skip blanks, comments and continued line breaks. False when the statement
 * ends here: at the end of the text or before a line that starts in column 1.
 */
static bool more(struct asm_state *s)
{
	bool line_start = false;

	for (;;) {
		while (is_blank(*s->at)) {
			line_start = false;
			s->at++;
		}
		if (*s->at == '#')
			s->at += strcspn(s->at, "\n");
		if (*s->at != '\n')
			return *s->at && !line_start;
		s->line_at = ++s->at;
		s->line++;
		line_start = true;
	}
}

static bool take(struct asm_state *s, char c)
{
	if (*s->at != c)
		return false;
	s->at++;
	return true;
}

static int expect(struct asm_state *s, char c)
{
	return take(s, c) ? 0 : fail(s, here(s), "'%c' expected", c);
}

/* A comma, and blanks after it. */
static int expect_comma(struct asm_state *s)
{
	int err = expect(s, ',');

	while (!err && is_blank(*s->at))
		s->at++;
	return err;
}

/* 16 and more: no digit */
static unsigned int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (unsigned int)(at - digits) : 16;
}

static int parse_number(struct asm_state *s, int64_t min, int64_t max, int64_t *value)
{
	struct token tok = here(s);
	bool negative = take(s, '-');
	unsigned int base = 10;
	const char *first;
	uint64_t magnitude = 0;
	bool fits = true;

	if (!negative)
		take(s, '+');
	if (s->at[0] == '0' && (s->at[1] == 'x' || s->at[1] == 'X')) {
		base = 16;
		s->at += 2;
	}
	for (first = s->at; digit_of(*s->at) < base; s->at++)
		fits = fits && !__builtin_mul_overflow(magnitude, base, &magnitude) &&
			!__builtin_add_overflow(magnitude, digit_of(*s->at), &magnitude);
	if (s->at == first || is_name(*s->at))
		return fail(s, tok, "number expected");
	fits = fits && magnitude <= (uint64_t)INT64_MAX + negative;
	*value = (int64_t)(negative ? 0 - magnitude : magnitude);
	if (!fits || *value < min || *value > max) {
		tok.length = (size_t)(s->at - tok.at);
		return fail(s, tok, "must be %" PRId64 " .. %" PRId64, min, max);
	}
	return 0;
}

/* One letter and a number below @limit: r5, m3, v0, k1, s2. */
static int parse_indexed(struct asm_state *s, char letter, unsigned int limit, unsigned int *index)
{
	struct token tok = here(s);
	int64_t value;
	int err;

	if (tok.length < 2 || tok.at[0] != letter || !isdigit((unsigned char)tok.at[1]))
		return fail(s, tok, "%c0 .. %c%u expected", letter, letter, limit - 1);
	s->at++;
	err = parse_number(s, 0, INT64_MAX, &value);
	if (err || value >= limit)
		return fail(s, tok, "%c0 .. %c%u expected", letter, letter, limit - 1);
	*index = (unsigned int)value;
	return 0;
}

/* ---- Values of fields ---- */

static void field_range(unsigned int kind, int64_t *min, int64_t *max)
{
	static const struct {
		int64_t min;
		int64_t max;
	} range[] = {
		[NPU_FIELD_U8] = { 0, UINT8_MAX },
		[NPU_FIELD_U16] = { 0, UINT16_MAX },
		[NPU_FIELD_I16] = { INT16_MIN, INT16_MAX },
		[NPU_FIELD_U32] = { 0, UINT32_MAX },
		[NPU_FIELD_I32] = { INT32_MIN, INT32_MAX },
		[NPU_FIELD_I64] = { INT64_MIN, INT64_MAX },
		[NPU_FIELD_X32] = { 0, UINT32_MAX },
	};

	*min = range[kind].min;
	*max = range[kind].max;
}

/* Little-endian, as descriptors are. */
static void field_set(struct asm_state *s, unsigned int kind, size_t offset, int64_t value)
{
	memcpy(s->desc.byte + offset, &value, npu_field_bytes(kind));
}

/* "(1,2,3)", exactly @count numbers of @kind. */
static int parse_numbers(struct asm_state *s, unsigned int kind, size_t offset, unsigned int count)
{
	int64_t min, max, value;
	int err = expect(s, '(');

	field_range(kind, &min, &max);
	for (unsigned int i = 0; i < count && !err; i++) {
		if (i)
			err = expect_comma(s);
		if (!err)
			err = parse_number(s, min, max, &value);
		if (!err)
			field_set(s, kind, offset + i * npu_field_bytes(kind), value);
	}
	return err ? err : expect(s, ')');
}

static int parse_scalar(struct asm_state *s, unsigned int kind, size_t offset)
{
	int64_t min, max, value;
	int err;

	field_range(kind, &min, &max);
	err = parse_number(s, min, max, &value);
	if (!err)
		field_set(s, kind, offset, value);
	return err;
}

static int parse_dtype(struct asm_state *s, uint8_t *dtype)
{
	struct token tok;
	int err = expect(s, ':');

	if (err)
		return err;
	tok = take_name(s);
	for (unsigned int i = 0; i < NPU_DTYPES; i++) {
		if (same(tok, npu_dtype_name(i))) {
			*dtype = (uint8_t)i;
			return 0;
		}
	}
	return fail(s, tok, "element type expected");
}

/* " stride=(...)" after an operand. */
static int parse_strides(struct asm_state *s, const char *name, size_t offset, unsigned int count)
{
	struct token tok;

	if (!count)
		return 0;
	if (!more(s))
		return fail(s, here(s), "%s expected", name);
	tok = take_name(s);
	if (!same(tok, name))
		return fail(s, tok, "%s expected", name);
	return expect(s, '=') ? -EINVAL : parse_numbers(s, NPU_FIELD_I32, offset, count);
}

/* spm[0x400+r5]:f32 */
static int parse_ref(struct asm_state *s, size_t offset, size_t stride_offset,
		     unsigned int strides)
{
	struct npu_ref ref = { .reg = NPU_REG_NONE };
	struct token tok = take_name(s);
	unsigned int reg;
	int64_t addr;
	int err;

	if (same(tok, "acc"))
		ref.space = NPU_SPACE_ACC;
	else if (!same(tok, "spm"))
		return fail(s, tok, "spm or acc expected");
	err = expect(s, '[');
	if (!err)
		err = parse_number(s, 0, UINT32_MAX, &addr);
	if (!err && take(s, '+')) {
		err = parse_indexed(s, 'r', NPU_REGS, &reg);
		if (!err)
			ref.reg = (uint8_t)reg;
	}
	if (!err)
		err = expect(s, ']');
	if (!err)
		err = parse_dtype(s, &ref.dtype);
	if (err)
		return err;
	ref.addr = (uint32_t)addr;
	memcpy(s->desc.byte + offset, &ref, sizeof(ref));
	return parse_strides(s, "stride", stride_offset, strides);
}

/* mem[r4+0x100]:f32 */
static int parse_mem(struct asm_state *s, const struct npu_field *f)
{
	struct npu_mem mem = { .dtype = 0 };
	struct token tok = take_name(s);
	unsigned int reg;
	int err;

	if (!same(tok, "mem"))
		return fail(s, tok, "mem expected");
	err = expect(s, '[');
	if (!err)
		err = parse_indexed(s, 'r', NPU_REGS, &reg);
	if (!err)
		mem.reg = (uint8_t)reg;
	if (!err && (*s->at == '+' || *s->at == '-'))
		err = parse_number(s, INT64_MIN, INT64_MAX, &mem.offset_bytes);
	if (!err)
		err = expect(s, ']');
	if (!err)
		err = parse_dtype(s, &mem.dtype);
	if (err)
		return err;
	memcpy(s->desc.byte + f->offset, &mem, sizeof(mem));
	return parse_strides(s, "stride_bytes", f->stride_offset, f->strides);
}

/* r5:64,-,r6:-4 */
static int parse_steps(struct asm_state *s, const struct npu_field *f)
{
	struct npu_loop_step step;
	unsigned int i = 0, reg;
	int err = 0;

	do {
		if (i == f->count)
			return fail(s, here(s), "at most %u steps", f->count);
		step = (struct npu_loop_step) { .reg = NPU_REG_NONE };
		if (!take(s, '-')) {
			err = parse_indexed(s, 'r', NPU_REGS, &reg);
			if (!err)
				err = expect(s, ':');
			if (!err)
				err = parse_number(s, INT64_MIN, INT64_MAX, &step.step);
			if (err)
				return err;
			step.reg = (uint8_t)reg;
		}
		memcpy(s->desc.byte + f->offset + i * sizeof(step), &step, sizeof(step));
		i++;
	} while (take(s, ','));
	return 0;
}

/* (1,2): a set of dimensions */
static int parse_axes(struct asm_state *s, const struct npu_field *f)
{
	unsigned int axes = 0;
	int64_t axis;
	int err = expect(s, '(');

	if (err || take(s, ')'))
		return err;
	do {
		while (is_blank(*s->at))
			s->at++;
		err = parse_number(s, 0, 3, &axis);
		if (err)
			return err;
		axes |= 1u << axis;
	} while (take(s, ','));
	field_set(s, NPU_FIELD_AXES, f->offset, axes);
	return expect(s, ')');
}

static int parse_rop(struct asm_state *s, const struct npu_field *f)
{
	struct token tok = take_name(s);

	for (unsigned int i = 0; i <= UINT8_MAX; i++) {
		if (npu_rop_name(i) && same_nocase(tok, npu_rop_name(i))) {
			field_set(s, NPU_FIELD_ROP, f->offset, i);
			return 0;
		}
	}
	return fail(s, tok, "reduction expected");
}

static int parse_field_value(struct asm_state *s, const struct npu_field *f)
{
	unsigned int reg;
	int err;

	switch (f->kind) {
	case NPU_FIELD_AXES:
		return parse_axes(s, f);
	case NPU_FIELD_ROP:
		return parse_rop(s, f);
	case NPU_FIELD_REG:
		err = parse_indexed(s, 'r', NPU_REGS, &reg);
		if (!err)
			field_set(s, NPU_FIELD_REG, f->offset, reg);
		return err;
	case NPU_FIELD_REF:
		return parse_ref(s, f->offset, f->stride_offset, f->strides);
	case NPU_FIELD_MEM:
		return parse_mem(s, f);
	case NPU_FIELD_STEP:
		return parse_steps(s, f);
	default:
		return f->count > 1 ? parse_numbers(s, f->kind, f->offset, f->count) :
			parse_scalar(s, f->kind, f->offset);
	}
}

/* s1:1,-,s4:2 */
static int parse_ports(struct asm_state *s, struct npu_sem_ref port[NPU_SEM_PORTS])
{
	unsigned int i = 0, sem;
	int64_t count;
	int err;

	do {
		if (i == NPU_SEM_PORTS)
			return fail(s, here(s), "at most %u semaphores", NPU_SEM_PORTS);
		if (!take(s, '-')) {
			err = parse_indexed(s, 's', NPU_SEMAPHORES, &sem);
			if (!err)
				err = expect(s, ':');
			if (!err)
				err = parse_number(s, 1, UINT8_MAX, &count);
			if (err)
				return err;
			port[i].sem = (uint8_t)sem;
			port[i].count = (uint8_t)count;
		}
		i++;
	} while (take(s, ','));
	return 0;
}

/* ---- MAP ---- */

/* The @number of "v3=" or "k3=": elements come in order. */
static bool numbered(struct token tok, char letter, unsigned int number)
{
	char name[8];

	snprintf(name, sizeof(name), "%c%u", letter, number);
	return same(tok, name);
}

static int parse_map_element(struct asm_state *s, struct token tok)
{
	struct npu_desc_map *d = &s->desc.map;
	size_t view = offsetof(struct npu_desc_map, view) + d->operands * sizeof(struct npu_view);
	int64_t value;
	int err;

	if (tok.at[0] == 'v' && d->operands < NPU_MAP_OPERANDS &&
	    numbered(tok, 'v', d->operands)) {
		d->operands++;
		return parse_ref(s, view, view + offsetof(struct npu_view, stride), 4);
	}
	if (tok.at[0] == 'k' && s->consts < NPU_MAP_CONSTS && numbered(tok, 'k', s->consts)) {
		err = parse_number(s, 0, UINT32_MAX, &value);
		if (!err)
			s->constant[s->consts++] = (uint32_t)value;
		return err;
	}
	return fail(s, tok, "no field of MAP, or not the next of v0 .. v%u, k0 .. k%u",
		    NPU_MAP_OPERANDS - 1, NPU_MAP_CONSTS - 1);
}

static int parse_source(struct asm_state *s, unsigned int op, unsigned int *source)
{
	unsigned int index = 0;
	int err;

	if (op == NPU_UOP_LD) {
		err = parse_indexed(s, 'v', NPU_MAP_OPERANDS, &index);
	} else if (*s->at == 'k') {
		err = parse_indexed(s, 'k', NPU_MAP_CONSTS, &index);
		index += NPU_UOP_CONST;
	} else {
		err = parse_indexed(s, 'm', NPU_MAP_REGS, &index);
	}
	*source = index;
	return err;
}

/* fma m3, m1, k0, m2 */
static int parse_uop(struct asm_state *s, struct token tok)
{
	unsigned int source[3] = { 0, 0, 0 }, dst, op;
	int err;

	for (op = 0; op <= UINT8_MAX; op++) {
		if (npu_uop_name(op) && same_nocase(tok, npu_uop_name(op)))
			break;
	}
	if (op > UINT8_MAX || s->desc.hdr.opcode != NPU_OP_MAP)
		return fail(s, tok, "field= or, in a MAP, a micro-op expected");
	if (s->uops == NPU_MAP_UOPS)
		return fail(s, tok, "more than %u micro-ops", NPU_MAP_UOPS);
	while (is_blank(*s->at))
		s->at++;
	err = op == NPU_UOP_ST ? parse_indexed(s, 'v', NPU_MAP_OPERANDS, &dst) :
		parse_indexed(s, 'm', NPU_MAP_REGS, &dst);
	for (unsigned int i = 0; i < npu_uop_sources(op) && !err; i++) {
		err = expect_comma(s);
		if (!err)
			err = parse_source(s, op, &source[i]);
	}
	if (!err)
		s->uop[s->uops++] = NPU_UOP_WORD(op, dst, source[0], source[1], source[2]);
	return err;
}

/* ---- Statements ---- */

static int parse_opcode(struct asm_state *s)
{
	struct token tok = take_name(s);

	for (unsigned int op = 0; op <= UINT8_MAX; op++) {
		if (npu_op_name(op) && same(tok, npu_op_name(op))) {
			s->desc.hdr.opcode = (uint8_t)op;
			return 0;
		}
	}
	return fail(s, tok.length ? tok : here(s), "instruction expected");
}

static int parse_flag(struct asm_state *s)
{
	struct token tok = take_name(s);
	const struct npu_flag *f = npu_op_flags(s->desc.hdr.opcode);

	while (f->bit && !same(tok, f->name))
		f++;
	if (!f->bit)
		return fail(s, tok, "%s has no such flag", npu_op_name(s->desc.hdr.opcode));
	if (s->desc.hdr.flags & f->bit)
		return fail(s, tok, "given twice");
	s->desc.hdr.flags |= f->bit;
	return 0;
}

static void set_presets(struct asm_state *s)
{
	for (const struct npu_field *f = npu_body_fields(s->desc.hdr.opcode); f->name; f++) {
		for (unsigned int i = 0; f->kind == NPU_FIELD_STEP && i < f->count; i++)
			s->desc.byte[f->offset + i * sizeof(struct npu_loop_step) +
				     offsetof(struct npu_loop_step, reg)] = NPU_REG_NONE;
		if (f->optional)
			field_set(s, f->kind, f->offset, f->preset);
	}
}

static const char *flag_name(unsigned int opcode, unsigned int bit)
{
	const struct npu_flag *f = npu_op_flags(opcode);

	while (f->bit && f->bit != bit)
		f++;
	return f->bit ? f->name : "";
}

/* tag, wait and signal. 1 when @tok is none of them. */
static int parse_header_field(struct asm_state *s, struct token tok)
{
	static const char *const name[] = { "tag", "wait", "signal" };
	unsigned int i = 0;

	while (i < 3 && !same(tok, name[i]))
		i++;
	if (i == 3)
		return 1;
	if (s->seen_ports & 1u << i)
		return fail(s, tok, "given twice");
	s->seen_ports |= 1u << i;
	if (i == 0)
		return parse_scalar(s, NPU_FIELD_U32, offsetof(struct npu_desc_hdr, tag));
	return parse_ports(s, i == 1 ? s->desc.hdr.wait : s->desc.hdr.signal);
}

static int parse_field(struct asm_state *s, struct token tok)
{
	const unsigned int opcode = s->desc.hdr.opcode;
	const struct npu_field *fields = npu_body_fields(opcode), *f = fields;
	int err = parse_header_field(s, tok);

	if (err <= 0)
		return err;
	while (f->name && (f->kind == NPU_FIELD_COUNT || !same(tok, f->name)))
		f++;
	if (!f->name && opcode == NPU_OP_MAP)
		return parse_map_element(s, tok);
	if (!f->name)
		return fail(s, tok, "%s has no such field", npu_op_name(opcode));
	if (f->flag && !(s->desc.hdr.flags & f->flag))
		return fail(s, tok, "needs %s.%s", npu_op_name(opcode), flag_name(opcode, f->flag));
	if (s->seen & 1u << (f - fields))
		return fail(s, tok, "given twice");
	s->seen |= 1u << (f - fields);
	return parse_field_value(s, f);
}

static int check_complete(struct asm_state *s, struct token name)
{
	const struct npu_field *fields = npu_body_fields(s->desc.hdr.opcode);

	for (const struct npu_field *f = fields; f->name; f++) {
		if (f->optional || f->kind == NPU_FIELD_COUNT || f->kind == NPU_FIELD_STEP)
			continue;
		if ((!f->flag || s->desc.hdr.flags & f->flag) && !(s->seen & 1u << (f - fields)))
			return fail(s, name, "field %s is missing", f->name);
	}
	return 0;
}

/* Micro-ops and constants go behind the last view. */
static int finish_map(struct asm_state *s, struct token name)
{
	struct npu_desc_map *d = &s->desc.map;
	size_t at = offsetof(struct npu_desc_map, view) + d->operands * sizeof(struct npu_view);

	d->uops = (uint8_t)s->uops;
	d->consts = (uint8_t)s->consts;
	if (npu_desc_bytes(d) > NPU_DESC_BYTES_MAX)
		return fail(s, name, "operands, micro-ops and constants exceed %u lines",
			    NPU_DESC_LINES_MAX);
	memcpy(s->desc.byte + at, s->uop, s->uops * sizeof(uint32_t));
	memcpy(s->desc.byte + at + s->uops * sizeof(uint32_t), s->constant,
	       s->consts * sizeof(uint32_t));
	return 0;
}

static int expect_blank(struct asm_state *s)
{
	if (!*s->at || isspace((unsigned char)*s->at) || *s->at == '#')
		return 0;
	return fail(s, here(s), "blank expected");
}

static int parse_element(struct asm_state *s)
{
	struct token tok = take_name(s);
	int err;

	if (!tok.length)
		return fail(s, here(s), "field or micro-op expected");
	err = take(s, '=') ? parse_field(s, tok) : parse_uop(s, tok);
	return err ? err : expect_blank(s);
}

static int parse_desc(struct asm_state *s, size_t *bytes)
{
	const struct token name = here(s);
	const char *line_at = s->line_at;
	unsigned int line = s->line;
	int err = parse_opcode(s);

	while (!err && take(s, '.'))
		err = parse_flag(s);
	if (!err)
		err = expect_blank(s);
	if (!err)
		set_presets(s);
	while (!err && more(s))
		err = parse_element(s);
	if (!err)
		err = check_complete(s, name);
	if (!err && s->desc.hdr.opcode == NPU_OP_MAP)
		err = finish_map(s, name);
	/* The scanner has left the line of the name. */
	if (err && s->error_at == name.at) {
		s->error->line = line;
		s->error->column = (unsigned int)(name.at - line_at) + 1;
	}
	*bytes = npu_desc_bytes(&s->desc);
	return err;
}

/* .line and 128 digits */
static int parse_raw(struct asm_state *s)
{
	struct token tok;

	s->at++;
	tok = take_name(s);
	if (!same(tok, "line"))
		return fail(s, tok, "instruction or .line expected");
	if (!more(s))
		return fail(s, here(s), "digits expected");
	tok = take_name(s);
	if (tok.length != 2 * NPU_LINE_BYTES ||
	    strspn(tok.at, "0123456789abcdefABCDEF") != tok.length)
		return fail(s, tok, "%u hexadecimal digits expected", 2 * NPU_LINE_BYTES);
	for (size_t i = 0; i < NPU_LINE_BYTES; i++)
		s->desc.byte[i] = (uint8_t)(digit_of(tok.at[2 * i]) * 16 +
					    digit_of(tok.at[2 * i + 1]));
	return more(s) ? fail(s, here(s), "end of line expected") : 0;
}

/* Descriptor of the statement at the scanner, and its bytes in whole lines. */
static int parse_statement(struct asm_state *s, size_t *bytes)
{
	int err;

	memset(&s->desc, 0, sizeof(s->desc));
	s->seen = 0;
	s->seen_ports = 0;
	s->uops = 0;
	s->consts = 0;
	if (*s->at == '.') {
		*bytes = NPU_LINE_BYTES;
		return parse_raw(s);
	}
	err = parse_desc(s, bytes);
	if (err)
		return err;
	*bytes = (*bytes + NPU_LINE_BYTES - 1) / NPU_LINE_BYTES * NPU_LINE_BYTES;
	s->desc.hdr.lines = (uint8_t)(*bytes / NPU_LINE_BYTES);
	return 0;
}

int npu_asm(const char *text, void *out, size_t out_bytes, size_t *used_bytes,
	    struct npu_asm_error *error)
{
	struct npu_asm_error unused;
	struct asm_state s = {
		.at = text,
		.line_at = text,
		.line = 1,
		.error = error ? error : &unused,
	};

	*used_bytes = 0;
	while (more(&s) || *s.at) {
		unsigned int line = s.line;
		size_t bytes;
		int err = parse_statement(&s, &bytes);

		if (err)
			return err;
		if (bytes > out_bytes - *used_bytes) {
			s.error->line = line;
			s.error->column = 1;
			snprintf(s.error->text, sizeof(s.error->text),
				 "the output holds only %zu bytes", out_bytes);
			return -ENOSPC;
		}
		memcpy((uint8_t *)out + *used_bytes, &s.desc, bytes);
		*used_bytes += bytes;
	}
	return 0;
}
