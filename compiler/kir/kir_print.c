/* SPDX-License-Identifier: MIT */
/*
 * Text form of the kernel IR; kir_parse.c has its grammar by example.
 */
#include "kir.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "npu_check.h"

/* Constants with more elements are abbreviated in dumps. */
#define DUMP_ELEMS_MAX	16

static void print_string(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* Bits as a decimal float when that is exact and looks like one, else in hex. */
static void print_bits(FILE *out, uint32_t bits)
{
	float f, magnitude;

	memcpy(&f, &bits, sizeof(f));
	magnitude = fabsf(f);
	if (bits == 0)
		fprintf(out, "0");
	else if (magnitude >= 1e-30f && magnitude <= 1e30f)
		fprintf(out, "%.9gf", (double)f);
	else
		fprintf(out, "0x%08" PRIx32, bits);
}

static void print_data(FILE *out, const struct kir_tensor *t, bool abbreviate)
{
	const uint32_t *word = t->data;
	uint32_t sum = 2166136261u;

	fprintf(out, " {");
	if (abbreviate && t->elems > DUMP_ELEMS_MAX) {
		for (uint64_t i = 0; i < t->elems; i++)
			sum = (sum ^ word[i]) * 16777619u;
		fprintf(out, " hash 0x%08" PRIx32, sum);
	} else {
		for (uint64_t i = 0; i < t->elems; i++) {
			fputc(' ', out);
			print_bits(out, word[i]);
		}
	}
	fprintf(out, " }");
}

static void print_tensor(FILE *out, const struct kir_tensor *t, uint32_t i, bool abbreviate)
{
	static const char *const kind[] = {
		[KIR_INPUT] = "input", [KIR_OUTPUT] = "output",
		[KIR_CONST] = "const", [KIR_TEMP] = "temp",
	};

	fprintf(out, "t%" PRIu32 " %s %s ", i, kind[t->kind], npu_dtype_name(t->dtype));
	print_string(out, t->name);
	if (t->kind == KIR_INPUT || t->kind == KIR_OUTPUT) {
		fprintf(out, " [");
		for (unsigned int d = 0; d < t->rank; d++)
			fprintf(out, "%s%" PRId64, d ? "," : "", t->dim[d]);
		fprintf(out, "]");
	} else {
		fprintf(out, " %" PRIu64, t->elems);
	}
	if (t->kind == KIR_CONST)
		print_data(out, t, abbreviate);
	fputc('\n', out);
}

static void print_view(FILE *out, const struct kir_view *v, unsigned int ndim)
{
	if (v->tensor == KIR_NO_TENSOR) {
		fprintf(out, "none");
		return;
	}
	fprintf(out, "t%" PRIu32 "+%" PRId64 "(", v->tensor, v->offset);
	for (unsigned int i = 0; i < ndim; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "", v->stride[i]);
	fputc(')', out);
}

static void print_dims(FILE *out, const uint32_t *dim, unsigned int ndim)
{
	fputc('[', out);
	for (unsigned int i = 0; i < ndim; i++)
		fprintf(out, "%s%" PRIu32, i ? "," : "", dim[i]);
	fputc(']', out);
}

static void print_source(FILE *out, const char *before, unsigned int src)
{
	if (src < NPU_UOP_CONST)
		fprintf(out, "%sm%u", before, src);
	else
		fprintf(out, "%sk%u", before, src - NPU_UOP_CONST);
}

static void print_uop(FILE *out, uint32_t word)
{
	unsigned int op = NPU_UOP_OP(word), dst = NPU_UOP_DST(word);
	unsigned int src[3] = { NPU_UOP_A(word), NPU_UOP_B(word), NPU_UOP_C(word) };
	unsigned int sources = npu_uop_sources(op);
	const char *name = npu_uop_name(op);

	if (op == NPU_UOP_ST) {
		fprintf(out, "ST o%u,", dst);
		print_source(out, "", src[0]);
		return;
	}
	fprintf(out, "m%u=%s", dst, name ? name : "?");
	if (op == NPU_UOP_LD) {
		fprintf(out, " o%u", src[0]);
		return;
	}
	for (unsigned int i = 0; i < sources; i++)
		print_source(out, i ? "," : " ", src[i]);
}

static void print_map(FILE *out, const struct kir_map *m)
{
	fprintf(out, " map=");
	print_dims(out, m->dim, m->ndim);
	for (unsigned int i = 0; i < m->operands; i++) {
		const struct kir_operand *o = &m->operand[i];

		if (o->acc) {
			fprintf(out, " acc:%u", o->acc_group);
		} else {
			fprintf(out, " %s:", o->write ? "st" : "ld");
			print_view(out, &o->view, m->ndim);
		}
	}
	if (m->consts) {
		fprintf(out, " k=[");
		for (unsigned int i = 0; i < m->consts; i++) {
			fprintf(out, "%s", i ? "," : "");
			print_bits(out, m->konst[i]);
		}
		fprintf(out, "]");
	}
	fprintf(out, " {");
	for (unsigned int i = 0; i < m->uops; i++) {
		fprintf(out, "%s", i ? "; " : " ");
		print_uop(out, m->uop[i]);
	}
	fprintf(out, " }");
}

static void print_operand(FILE *out, const char *name, const struct kir_view *v,
			  unsigned int ndim)
{
	fprintf(out, " %s=", name);
	print_view(out, v, ndim);
}

static void print_window(FILE *out, const struct kir_window *w)
{
	fprintf(out, " n=%" PRIu32 " h=%" PRIu32 " w=%" PRIu32 " c=%" PRIu32 " oh=%" PRIu32
		" ow=%" PRIu32 " k=%" PRIu32 " kh=%" PRIu32 " kw=%" PRIu32,
		w->n, w->h, w->w, w->c, w->oh, w->ow, w->k, w->kh, w->kw);
	fprintf(out, " stride=[%" PRIu32 ",%" PRIu32 "] dil=[%" PRIu32 ",%" PRIu32 "] pad=[%" PRId32
		",%" PRId32 "] up=[%" PRIu32 ",%" PRIu32 "]", w->stride_h, w->stride_w, w->dil_h,
		w->dil_w, w->pad_top, w->pad_left, w->up_h, w->up_w);
}

static void print_steps(FILE *out, const char *name, const int64_t *step, unsigned int count)
{
	fprintf(out, " %s=[", name);
	for (unsigned int i = 0; i < count; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "", step[i]);
	fputc(']', out);
}

static void print_gather(FILE *out, const struct kir_gather *g, uint32_t node)
{
	fprintf(out, "%s n%" PRIu32 " dim=", g->scatter ? "scatter" : "gather", node);
	print_dims(out, g->dim, 4);
	fprintf(out, " limit=");
	print_dims(out, g->limit, g->coords);
	print_steps(out, "step", g->step, g->coords);
	print_steps(out, "row_step", g->row_step, 3);
	print_operand(out, "table", &g->table, 1);
	print_operand(out, "index", &g->index, 4);
	print_operand(out, "data", &g->data, 4);
}

static void print_op(FILE *out, const struct kir_op *op)
{
	switch (op->kind) {
	case KIR_MATMUL: {
		const struct kir_matmul *m = &op->matmul;

		fprintf(out, "matmul n%" PRIu32 " dim=", op->node);
		print_dims(out, (uint32_t[]){ m->b0, m->b1, m->m, m->n, m->k }, 5);
		fprintf(out, " groups=%u", m->groups);
		print_operand(out, "a", &m->a, 4);
		print_operand(out, "b", &m->b, 4);
		print_operand(out, "bias", &m->bias, 1);
		print_map(out, &m->epilogue);
		break;
	}
	case KIR_CONV: {
		const struct kir_conv *c = &op->conv;

		fprintf(out, "conv n%" PRIu32, op->node);
		print_window(out, &c->win);
		fprintf(out, " groups=%" PRIu32, c->groups);
		if (c->panel)
			fprintf(out, " panel=%" PRIu32, c->panel);
		print_operand(out, "in", &c->in, 4);
		print_operand(out, "weights", &c->weights, c->panel ? 1 : 4);
		print_operand(out, "bias", &c->bias, 1);
		print_map(out, &c->epilogue);
		break;
	}
	case KIR_WGRAD:
		fprintf(out, "wgrad n%" PRIu32, op->node);
		print_window(out, &op->wgrad.win);
		fprintf(out, " groups=%" PRIu32, op->wgrad.groups);
		print_operand(out, "in", &op->wgrad.in, 4);
		print_operand(out, "dy", &op->wgrad.dy, 4);
		print_map(out, &op->wgrad.epilogue);
		break;
	case KIR_MAP:
		fprintf(out, "map n%" PRIu32, op->node);
		print_map(out, &op->map);
		break;
	case KIR_REDUCE:
		fprintf(out, "reduce n%" PRIu32 " dim=", op->node);
		print_dims(out, op->reduce.dim, op->reduce.ndim);
		fprintf(out, " axes=0x%x rop=%s%s", op->reduce.axes, npu_rop_name(op->reduce.rop),
			op->reduce.trap ? " trap" : "");
		print_operand(out, "in", &op->reduce.in, op->reduce.ndim);
		print_operand(out, "out", &op->reduce.out, op->reduce.ndim);
		break;
	case KIR_POOL:
		fprintf(out, "pool n%" PRIu32, op->node);
		print_window(out, &op->pool.win);
		fprintf(out, " kind=%s", !op->pool.average ? "max" :
			op->pool.count_pad ? "average_pad" : "average");
		if (op->pool.index.tensor != KIR_NO_TENSOR)
			print_operand(out, "index", &op->pool.index, 4);
		print_operand(out, "in", &op->pool.in, 4);
		print_operand(out, "out", &op->pool.out, 4);
		break;
	case KIR_UNPOOL:
		fprintf(out, "unpool n%" PRIu32, op->node);
		print_window(out, &op->unpool.win);
		print_operand(out, "in", &op->unpool.in, 4);
		print_operand(out, "index", &op->unpool.index, 4);
		print_operand(out, "out", &op->unpool.out, 4);
		break;
	case KIR_COPY:
		fprintf(out, "copy n%" PRIu32 " dim=", op->node);
		print_dims(out, op->copy.dim, op->copy.ndim);
		print_operand(out, "in", &op->copy.in, op->copy.ndim);
		print_operand(out, "out", &op->copy.out, op->copy.ndim);
		fprintf(out, " value=");
		print_bits(out, op->copy.value);
		break;
	case KIR_GATHER:
		print_gather(out, &op->gather, op->node);
		break;
	}
	fputc('\n', out);
}

static int print(const struct kir *k, FILE *out, bool abbreviate)
{
	fprintf(out, "kir ");
	print_string(out, k->name);
	fputc('\n', out);
	for (uint32_t i = 0; i < k->nodes; i++) {
		fprintf(out, "n%" PRIu32 " ", i);
		print_string(out, k->node[i].name);
		fputc(' ', out);
		print_string(out, k->node[i].op);
		fputc('\n', out);
	}
	for (uint32_t i = 0; i < k->tensors; i++)
		print_tensor(out, &k->tensor[i], i, abbreviate);
	for (uint32_t i = 0; i < k->ops; i++)
		print_op(out, k->op[i]);
	return ferror(out) ? -EIO : 0;
}

int kir_print(const struct kir *k, FILE *out)
{
	return print(k, out, false);
}

int kir_dump(const struct kir *k, FILE *out)
{
	return print(k, out, true);
}
