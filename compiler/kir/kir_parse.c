/* SPDX-License-Identifier: MIT */
/*
 * Reads the text form of the kernel IR:
 *
 *	kir "name"
 *	n0 "node name" "operator"
 *	t0 input f32 "x" [2,3]
 *	t1 const f32 "w" 4 { 1f -2.5f 0x7f800000 0 }
 *	t2 const f32 "v" 100 { rand 7 }
 *	t3 temp f32 "" 6
 *	map n0 map=[6] ld:t0+0(1) st:t3+0(1) k=[0] { m0=LD o0; m0=FMAX m0,k0; ST o1,m0 }
 *
 * A view is a tensor, an offset and a stride per loop dimension. "# ..." is a
 * comment. { rand SEED } fills with values in [-1, 1) for tests. Indices are
 * written for people and must be the next ones.
 */
#include "kir.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "npu_check.h"
#include "npu_prog.h"

#define WORD_BYTES	256

struct parser {
	const char *at;
	unsigned int line;
	struct kir *k;
	struct nc_diag *diag;
	bool failed;
};

static void fail(struct parser *p, const char *what)
{
	if (!p->failed)
		nc_error(p->diag, -EINVAL, "kernel IR text, line %u: %s", p->line, what);
	p->failed = true;
}

/* Spaces, and comments, but not the end of a line. */
static void skip_space(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r')
		p->at++;
	if (*p->at == '#')
		while (*p->at && *p->at != '\n')
			p->at++;
}

static bool accept(struct parser *p, const char *token)
{
	size_t bytes = strlen(token);

	skip_space(p);
	if (p->failed || strncmp(p->at, token, bytes))
		return false;
	p->at += bytes;
	return true;
}

static void expect(struct parser *p, const char *token)
{
	char what[WORD_BYTES + 32];

	if (accept(p, token) || p->failed)
		return;
	snprintf(what, sizeof(what), "'%.64s' expected at '%.16s'", token, p->at);
	what[strcspn(what, "\n")] = 0;
	fail(p, what);
}

static void end_line(struct parser *p)
{
	skip_space(p);
	if (*p->at == '\n') {
		p->at++;
		p->line++;
	} else if (*p->at) {
		fail(p, "end of line expected");
	}
}

static int64_t number(struct parser *p, int64_t min, int64_t max)
{
	char *end;
	long long v;

	skip_space(p);
	errno = 0;
	v = strtoll(p->at, &end, 0);
	if (end == p->at || errno || v < min || v > max) {
		fail(p, "number expected, or out of range");
		return min;
	}
	p->at = end;
	return v;
}

static uint32_t u32(struct parser *p)
{
	return (uint32_t)number(p, 0, UINT32_MAX);
}

/* The bits of "1.5f", or of an integer. */
static uint32_t bits(struct parser *p)
{
	const char *f;
	uint32_t v;
	float value;
	char *end;

	skip_space(p);
	f = p->at + strspn(p->at, "+-.0123456789e");
	if (*f == 'f' && strncmp(p->at, "0x", 2)) {
		value = strtof(p->at, &end);
		if (end == f) {
			memcpy(&v, &value, sizeof(v));
			p->at = end + 1;
			return v;
		}
	}
	return (uint32_t)number(p, INT32_MIN, UINT32_MAX);
}

static void word(struct parser *p, char *buf)
{
	size_t n = 0;

	skip_space(p);
	while ((isalnum((unsigned char)p->at[n]) || p->at[n] == '_') && n < WORD_BYTES - 1) {
		buf[n] = p->at[n];
		n++;
	}
	buf[n] = 0;
	p->at += n;
	if (!n)
		fail(p, "word expected");
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

static char unescape(struct parser *p)
{
	if (*p->at == 'x' && hex_digit(p->at[1]) >= 0 && hex_digit(p->at[2]) >= 0) {
		p->at += 3;
		return (char)(hex_digit(p->at[-2]) * 16 + hex_digit(p->at[-1]));
	}
	return *p->at ? *p->at++ : 0;
}

static void string(struct parser *p, char *buf)
{
	size_t n = 0;

	expect(p, "\"");
	while (!p->failed && *p->at && *p->at != '"' && *p->at != '\n' && n < WORD_BYTES - 1) {
		if (*p->at == '\\') {
			p->at++;
			buf[n++] = unescape(p);
		} else {
			buf[n++] = *p->at++;
		}
	}
	buf[n] = 0;
	expect(p, "\"");
}

static unsigned int dims(struct parser *p, uint32_t *dim, unsigned int max)
{
	unsigned int n = 0;

	expect(p, "[");
	if (accept(p, "]"))
		return 0;
	do {
		if (n == max) {
			fail(p, "too many dimensions");
			return n;
		}
		dim[n++] = u32(p);
	} while (accept(p, ","));
	expect(p, "]");
	return n;
}

static void fixed_dims(struct parser *p, const char *name, uint32_t *dim, unsigned int n)
{
	expect(p, name);
	if (dims(p, dim, n) != n)
		fail(p, "too few dimensions");
}

static uint32_t field(struct parser *p, const char *name)
{
	expect(p, name);
	return u32(p);
}

static void view(struct parser *p, struct kir_view *v, unsigned int ndim)
{
	*v = (struct kir_view){ .tensor = KIR_NO_TENSOR };
	if (accept(p, "none"))
		return;
	expect(p, "t");
	v->tensor = (uint32_t)number(p, 0, UINT32_MAX - 1);
	expect(p, "+");
	v->offset = number(p, INT64_MIN, INT64_MAX);
	expect(p, "(");
	for (unsigned int i = 0; i < ndim && !p->failed; i++) {
		if (i)
			expect(p, ",");
		v->stride[i] = number(p, INT64_MIN, INT64_MAX);
	}
	expect(p, ")");
}

static void operand(struct parser *p, const char *name, struct kir_view *v, unsigned int ndim)
{
	expect(p, name);
	view(p, v, ndim);
}

/* ---- micro-programs ---- */

static uint32_t source(struct parser *p)
{
	if (accept(p, "m"))
		return (uint32_t)number(p, 0, NPU_MAP_REGS - 1);
	expect(p, "k");
	return NPU_UOP_CONST + (uint32_t)number(p, 0, NPU_MAP_CONSTS - 1);
}

static unsigned int uop_code(struct parser *p)
{
	char name[WORD_BYTES];

	word(p, name);
	for (unsigned int op = 1; op < 256; op++)
		if (npu_uop_name(op) && !strcmp(npu_uop_name(op), name))
			return op;
	fail(p, "unknown micro-op");
	return NPU_UOP_MOV;
}

static uint32_t uop(struct parser *p)
{
	uint32_t src[3] = { 0 }, dst;
	unsigned int op;

	if (accept(p, "ST ")) {
		expect(p, "o");
		dst = (uint32_t)number(p, 0, NPU_MAP_OPERANDS - 1);
		expect(p, ",");
		return NPU_UOP_WORD(NPU_UOP_ST, dst, source(p), 0, 0);
	}
	expect(p, "m");
	dst = (uint32_t)number(p, 0, NPU_MAP_REGS - 1);
	expect(p, "=");
	op = uop_code(p);
	if (op == NPU_UOP_LD) {
		expect(p, "o");
		return NPU_UOP_WORD(op, dst, (uint32_t)number(p, 0, NPU_MAP_OPERANDS - 1), 0, 0);
	}
	for (unsigned int i = 0; i < npu_uop_sources(op); i++) {
		if (i)
			expect(p, ",");
		src[i] = source(p);
	}
	return NPU_UOP_WORD(op, dst, src[0], src[1], src[2]);
}

static void map_operand(struct parser *p, struct kir_map *m)
{
	struct kir_operand *o = &m->operand[m->operands];

	if (m->operands == NPU_MAP_OPERANDS) {
		fail(p, "too many operands");
		return;
	}
	if (accept(p, "acc:")) {
		o->acc = true;
		o->acc_group = u32(p);
		o->view.tensor = KIR_NO_TENSOR;
	} else {
		o->write = accept(p, "st:");
		if (!o->write)
			expect(p, "ld:");
		view(p, &o->view, m->ndim);
	}
	m->operands++;
}

static void map(struct parser *p, struct kir_map *m)
{
	expect(p, "map=");
	m->ndim = dims(p, m->dim, KIR_DIMS);
	while (!p->failed && *p->at && !accept(p, "{")) {
		if (!accept(p, "k=[")) {
			map_operand(p, m);
			continue;
		}
		do {
			if (m->consts == NPU_MAP_CONSTS)
				fail(p, "too many constants");
			else
				m->konst[m->consts++] = bits(p);
		} while (accept(p, ","));
		expect(p, "]");
	}
	do {
		if (m->uops == NPU_MAP_UOPS)
			fail(p, "too many micro-ops");
		else
			m->uop[m->uops++] = uop(p);
	} while (accept(p, ";"));
	expect(p, "}");
}

/* ---- lines ---- */

static enum npu_dtype dtype(struct parser *p)
{
	char name[WORD_BYTES];

	word(p, name);
	for (unsigned int i = 0; i < NPU_DTYPES; i++)
		if (!strcmp(npu_dtype_name(i), name))
			return i;
	fail(p, "unknown element type");
	return NPU_F32;
}

static void random_data(struct parser *p, const struct kir_tensor *t, uint32_t *data)
{
	uint64_t state = u32(p) * 2654435769ull + 1;

	for (uint64_t i = 0; i < t->elems; i++) {
		float f;
		int32_t v;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		v = (int32_t)(state >> 40) - (1 << 23);
		f = (float)v / (float)(1 << 23);
		if (t->dtype == NPU_F32)
			memcpy(&data[i], &f, sizeof(f));
		else
			data[i] = (uint32_t)v;
	}
}

static void const_data(struct parser *p, struct kir_tensor *t)
{
	uint32_t *data = nc_alloc_array(p->k->arena, t->elems, sizeof(*data));

	if (!data) {
		fail(p, "out of memory");
		return;
	}
	t->data = data;
	expect(p, "{");
	if (accept(p, "rand")) {
		random_data(p, t, data);
	} else if (accept(p, "hash")) {
		fail(p, "this is a dump: the constant's data is not in it");
	} else {
		for (uint64_t i = 0; i < t->elems && !p->failed; i++)
			data[i] = bits(p);
	}
	expect(p, "}");
}

static void user_dims(struct parser *p, struct kir_tensor *t)
{
	uint32_t dim[NPU_PROG_RANK_MAX];

	t->rank = dims(p, dim, NPU_PROG_RANK_MAX);
	t->elems = 1;
	for (unsigned int i = 0; i < t->rank; i++) {
		t->dim[i] = dim[i];
		if (__builtin_mul_overflow(t->elems, (uint64_t)dim[i], &t->elems))
			fail(p, "tensor is too large");
	}
}

static void tensor(struct parser *p)
{
	static const char *const kinds[] = { "input", "output", "const", "temp" };
	char name[WORD_BYTES];
	struct kir_tensor t = { .kind = KIR_TEMP + 1 };

	if ((uint32_t)number(p, 0, UINT32_MAX) != p->k->tensors)
		fail(p, "not the next tensor");
	word(p, name);
	for (unsigned int i = 0; i < 4; i++)
		if (!strcmp(name, kinds[i]))
			t.kind = i;
	if (t.kind > KIR_TEMP)
		fail(p, "unknown kind of tensor");
	t.dtype = dtype(p);
	string(p, name);
	t.name = name;
	if (t.kind == KIR_INPUT || t.kind == KIR_OUTPUT)
		user_dims(p, &t);
	else
		t.elems = (uint64_t)number(p, 1, UINT32_MAX);
	if (t.kind == KIR_CONST && !p->failed)
		const_data(p, &t);
	if (!p->failed && kir_add_tensor(p->k, &t) < 0)
		fail(p, "out of memory");
}

static void node(struct parser *p)
{
	char name[WORD_BYTES], op[WORD_BYTES];

	if ((uint32_t)number(p, 0, UINT32_MAX) != p->k->nodes)
		fail(p, "not the next node");
	string(p, name);
	string(p, op);
	if (!p->failed && kir_add_node(p->k, name, op) < 0)
		fail(p, "out of memory");
}

static void window(struct parser *p, struct kir_window *w)
{
	uint32_t stride[2], dil[2], up[2];

	w->n = field(p, "n=");
	w->h = field(p, "h=");
	w->w = field(p, "w=");
	w->c = field(p, "c=");
	w->oh = field(p, "oh=");
	w->ow = field(p, "ow=");
	w->k = field(p, "k=");
	w->kh = field(p, "kh=");
	w->kw = field(p, "kw=");
	fixed_dims(p, "stride=", stride, 2);
	fixed_dims(p, "dil=", dil, 2);
	expect(p, "pad=[");
	w->pad_top = (int32_t)number(p, INT32_MIN, INT32_MAX);
	expect(p, ",");
	w->pad_left = (int32_t)number(p, INT32_MIN, INT32_MAX);
	expect(p, "]");
	fixed_dims(p, "up=", up, 2);
	if (p->failed)
		return;
	w->stride_h = stride[0];
	w->stride_w = stride[1];
	w->dil_h = dil[0];
	w->dil_w = dil[1];
	w->up_h = up[0];
	w->up_w = up[1];
}

static void matmul(struct parser *p, struct kir_matmul *m)
{
	uint32_t dim[5] = { 0 };

	fixed_dims(p, "dim=", dim, 5);
	m->b0 = dim[0];
	m->b1 = dim[1];
	m->m = dim[2];
	m->n = dim[3];
	m->k = dim[4];
	m->groups = field(p, "groups=");
	operand(p, "a=", &m->a, 4);
	operand(p, "b=", &m->b, 4);
	operand(p, "bias=", &m->bias, 1);
	map(p, &m->epilogue);
}

static void conv(struct parser *p, struct kir_conv *c)
{
	window(p, &c->win);
	c->groups = field(p, "groups=");
	if (accept(p, "panel="))
		c->panel = u32(p);
	operand(p, "in=", &c->in, 4);
	operand(p, "weights=", &c->weights, c->panel ? 1 : 4);
	operand(p, "bias=", &c->bias, 1);
	map(p, &c->epilogue);
}

static void wgrad(struct parser *p, struct kir_wgrad *g)
{
	window(p, &g->win);
	g->groups = field(p, "groups=");
	operand(p, "in=", &g->in, 4);
	operand(p, "dy=", &g->dy, 4);
	map(p, &g->epilogue);
}

static void reduce(struct parser *p, struct kir_reduce *r)
{
	char name[WORD_BYTES];

	expect(p, "dim=");
	r->ndim = dims(p, r->dim, KIR_DIMS);
	r->axes = field(p, "axes=");
	expect(p, "rop=");
	word(p, name);
	for (r->rop = 0; npu_rop_name(r->rop); r->rop++)
		if (!strcmp(npu_rop_name(r->rop), name))
			break;
	r->trap = accept(p, "trap");
	operand(p, "in=", &r->in, r->ndim);
	operand(p, "out=", &r->out, r->ndim);
}

static void pool(struct parser *p, struct kir_pool *pool)
{
	char name[WORD_BYTES];

	window(p, &pool->win);
	expect(p, "kind=");
	word(p, name);
	pool->average = !strncmp(name, "average", 7);
	pool->count_pad = !strcmp(name, "average_pad");
	pool->index.tensor = KIR_NO_TENSOR;
	if (accept(p, "index="))
		view(p, &pool->index, 4);
	operand(p, "in=", &pool->in, 4);
	operand(p, "out=", &pool->out, 4);
}

static void unpool(struct parser *p, struct kir_unpool *u)
{
	window(p, &u->win);
	operand(p, "in=", &u->in, 4);
	operand(p, "index=", &u->index, 4);
	operand(p, "out=", &u->out, 4);
}

static void copy(struct parser *p, struct kir_copy *c)
{
	expect(p, "dim=");
	c->ndim = dims(p, c->dim, KIR_DIMS);
	operand(p, "in=", &c->in, c->ndim);
	operand(p, "out=", &c->out, c->ndim);
	expect(p, "value=");
	c->value = bits(p);
}

static void steps(struct parser *p, const char *name, int64_t *step, unsigned int count)
{
	expect(p, name);
	expect(p, "[");
	for (unsigned int i = 0; i < count; i++) {
		if (i)
			expect(p, ",");
		step[i] = number(p, 0, INT64_MAX);
	}
	expect(p, "]");
}

static void gather(struct parser *p, struct kir_gather *g, bool scatter)
{
	g->scatter = scatter;
	fixed_dims(p, "dim=", g->dim, 4);
	expect(p, "limit=");
	g->coords = dims(p, g->limit, NPU_GATHER_COORDS);
	steps(p, "step=", g->step, g->coords);
	steps(p, "row_step=", g->row_step, 3);
	operand(p, "table=", &g->table, 1);
	operand(p, "index=", &g->index, 4);
	operand(p, "data=", &g->data, 4);
}

static void op(struct parser *p)
{
	/* A gather in the other direction. */
	enum { SCATTER = KIR_GATHER + 1 };
	static const char *const kinds[] = {
		[KIR_MATMUL] = "matmul", [KIR_CONV] = "conv", [KIR_WGRAD] = "wgrad",
		[KIR_MAP] = "map", [KIR_REDUCE] = "reduce", [KIR_POOL] = "pool",
		[KIR_UNPOOL] = "unpool", [KIR_COPY] = "copy", [KIR_GATHER] = "gather", [SCATTER] = "scatter",
	};
	unsigned int kind = 0;
	struct kir_op *o;
	uint32_t from;

	while (kind <= SCATTER && !accept(p, kinds[kind]))
		kind++;
	if (kind > SCATTER) {
		fail(p, "unknown operation");
		return;
	}
	expect(p, "n");
	from = u32(p);
	o = kir_add_op(p->k, kind == SCATTER ? KIR_GATHER : kind, from);
	if (!o) {
		fail(p, "out of memory");
		return;
	}
	switch (o->kind) {
	case KIR_MATMUL:
		matmul(p, &o->matmul);
		break;
	case KIR_CONV:
		conv(p, &o->conv);
		break;
	case KIR_WGRAD:
		wgrad(p, &o->wgrad);
		break;
	case KIR_MAP:
		map(p, &o->map);
		break;
	case KIR_REDUCE:
		reduce(p, &o->reduce);
		break;
	case KIR_POOL:
		pool(p, &o->pool);
		break;
	case KIR_UNPOOL:
		unpool(p, &o->unpool);
		break;
	case KIR_COPY:
		copy(p, &o->copy);
		break;
	case KIR_GATHER:
		gather(p, &o->gather, kind == SCATTER);
		break;
	}
}

struct kir *kir_parse(struct nc_arena *arena, const char *text, struct nc_diag *diag)
{
	struct parser p = { .at = text, .line = 1, .diag = diag };
	char name[WORD_BYTES];

	p.k = kir_create(arena, "");
	if (!p.k) {
		nc_error(diag, -ENOMEM, "out of memory");
		return NULL;
	}
	while (accept(&p, "\n"))
		p.line++;
	expect(&p, "kir");
	string(&p, name);
	p.k->name = nc_strdup(arena, name);
	if (!p.k->name)
		fail(&p, "out of memory");
	end_line(&p);
	while (!p.failed && *p.at) {
		skip_space(&p);
		if (*p.at == 'n' && isdigit((unsigned char)p.at[1]) && p.at++)
			node(&p);
		else if (*p.at == 't' && isdigit((unsigned char)p.at[1]) && p.at++)
			tensor(&p);
		else if (*p.at && *p.at != '\n')
			op(&p);
		if (!p.failed)
			end_line(&p);
	}
	return p.failed ? NULL : p.k;
}
