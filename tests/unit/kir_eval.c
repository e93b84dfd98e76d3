/* SPDX-License-Identifier: MIT */
/* A naive interpreter of the kernel IR. */
#include "kir_eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct kir_data *kir_data_create(const struct kir *k)
{
	struct kir_data *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->k = k;
	d->word = calloc((size_t)k->tensors + 1, sizeof(uint32_t *));
	for (uint32_t i = 0; d->word && i < k->tensors; i++) {
		const struct kir_tensor *t = &k->tensor[i];

		d->word[i] = malloc(t->elems * sizeof(uint32_t));
		if (!d->word[i]) {
			kir_data_destroy(d);
			return NULL;
		}
		if (t->kind == KIR_CONST)
			memcpy(d->word[i], t->data, t->elems * sizeof(uint32_t));
		else
			memset(d->word[i], t->kind == KIR_INPUT ? 0 : 0xa5,
			       t->elems * sizeof(uint32_t));
	}
	return d;
}

void kir_data_destroy(struct kir_data *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; d->word && i < d->k->tensors; i++)
		free(d->word[i]);
	free(d->word);
	free(d);
}

static float as_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static uint32_t as_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static uint32_t *at(struct kir_data *d, const struct kir_view *v, unsigned int ndim,
		    const uint32_t *index)
{
	int64_t element = v->offset;

	for (unsigned int i = 0; i < ndim; i++)
		element += v->stride[i] * (int64_t)index[i];
	return &d->word[v->tensor][element];
}

/* The next index, row-major; false after the last. */
static bool next(unsigned int ndim, const uint32_t *dim, uint32_t *index)
{
	for (unsigned int i = ndim; i-- > 0;) {
		if (++index[i] < dim[i])
			return true;
		index[i] = 0;
	}
	return false;
}

/* ---- maps ---- */

static float minimum(float a, float b)
{
	if (isnan(a) || isnan(b))
		return NAN;
	if (a == b)
		return signbit(a) ? a : b;
	return a < b ? a : b;
}

static float maximum(float a, float b)
{
	if (isnan(a) || isnan(b))
		return NAN;
	if (a == b)
		return signbit(a) ? b : a;
	return a > b ? a : b;
}

static uint32_t to_integer(float f)
{
	if (isnan(f))
		return 0;
	if (f >= 0x1p31f)
		return INT32_MAX;
	if (f <= -0x1p31f)
		return (uint32_t)INT32_MIN;
	return (uint32_t)(int32_t)lrintf(f);
}

static uint32_t divide(int32_t a, int32_t b)
{
	if (b == 0)
		return UINT32_MAX;
	return a == INT32_MIN && b == -1 ? (uint32_t)a : (uint32_t)(a / b);
}

static uint32_t remainder_of(int32_t a, int32_t b)
{
	if (b == 0)
		return (uint32_t)a;
	return a == INT32_MIN && b == -1 ? 0 : (uint32_t)(a % b);
}

static uint32_t mask(bool condition)
{
	return condition ? UINT32_MAX : 0;
}

static uint32_t run_float(unsigned int op, float a, float b, float c)
{
	switch (op) {
	case NPU_UOP_FADD: return as_bits(a + b);
	case NPU_UOP_FSUB: return as_bits(a - b);
	case NPU_UOP_FMUL: return as_bits(a * b);
	case NPU_UOP_FMA: return as_bits(fmaf(a, b, c));
	case NPU_UOP_FDIV: return as_bits(a / b);
	case NPU_UOP_FMIN: return as_bits(minimum(a, b));
	case NPU_UOP_FMAX: return as_bits(maximum(a, b));
	case NPU_UOP_FSQRT: return as_bits(sqrtf(a));
	case NPU_UOP_FFLOOR: return as_bits(floorf(a));
	case NPU_UOP_FCEIL: return as_bits(ceilf(a));
	case NPU_UOP_FRINT: return as_bits(rintf(a));
	case NPU_UOP_FTRUNC: return as_bits(truncf(a));
	case NPU_UOP_FLT: return mask(a < b);
	case NPU_UOP_FLE: return mask(a <= b);
	case NPU_UOP_FEQ: return mask(a == b);
	case NPU_UOP_EXP: return as_bits((float)exp((double)a));
	case NPU_UOP_LOG: return as_bits((float)log((double)a));
	case NPU_UOP_TANH: return as_bits((float)tanh((double)a));
	case NPU_UOP_SIGMOID: return as_bits((float)(1 / (1 + exp(-(double)a))));
	case NPU_UOP_ERF: return as_bits((float)erf((double)a));
	case NPU_UOP_SIN: return as_bits((float)sin((double)a));
	case NPU_UOP_COS: return as_bits((float)cos((double)a));
	case NPU_UOP_F2I: case NPU_UOP_F2IT: return to_integer(a);
	}
	abort();
}

static bool fits(int64_t x)
{
	return x >= INT32_MIN && x <= INT32_MAX;
}

/* Whether the device faults. */
static bool overflows(unsigned int op, uint32_t a, uint32_t b)
{
	int64_t x = (int32_t)a, y = (int32_t)b;
	float f = as_float(a);

	switch (op) {
	case NPU_UOP_IADDT: return !fits(x + y);
	case NPU_UOP_ISUBT: return !fits(x - y);
	case NPU_UOP_IMULT: return !fits(x * y);
	case NPU_UOP_IDIVT: return y && !fits(x / y);
	case NPU_UOP_F2IT: return !(f >= -0x1p31f && f < 0x1p31f);
	default: return false;
	}
}

/* Philox2x32-10 (HW 10.1). */
static uint32_t random_bits(uint32_t a, uint32_t b, uint32_t key)
{
	for (int i = 0; i < 10; i++, key += 0x9e3779b9) {
		uint64_t product = (uint64_t)a * 0xd256d193;

		a = (uint32_t)(product >> 32) ^ key ^ b;
		b = (uint32_t)product;
	}
	return a;
}

static uint32_t run_uop(unsigned int op, uint32_t a, uint32_t b, uint32_t c)
{
	switch (op) {
	case NPU_UOP_MOV: return a;
	case NPU_UOP_SEL: return a ? b : c;
	case NPU_UOP_RNG: return random_bits(a, b, c);
	case NPU_UOP_FABS: return a & 0x7fffffff;
	case NPU_UOP_FNEG: return a ^ 0x80000000;
	case NPU_UOP_IADD: case NPU_UOP_IADDT: return a + b;
	case NPU_UOP_ISUB: case NPU_UOP_ISUBT: return a - b;
	case NPU_UOP_IMUL: case NPU_UOP_IMULT: return a * b;
	case NPU_UOP_IDIV: case NPU_UOP_IDIVT: return divide((int32_t)a, (int32_t)b);
	case NPU_UOP_IREM: return remainder_of((int32_t)a, (int32_t)b);
	case NPU_UOP_IMIN: return (int32_t)a < (int32_t)b ? a : b;
	case NPU_UOP_IMAX: return (int32_t)a > (int32_t)b ? a : b;
	case NPU_UOP_IAND: return a & b;
	case NPU_UOP_IOR: return a | b;
	case NPU_UOP_IXOR: return a ^ b;
	case NPU_UOP_ISHL: return a << (b & 31);
	case NPU_UOP_ISHR: return a >> (b & 31);
	case NPU_UOP_ISAR: return (uint32_t)((int32_t)a >> (b & 31));
	case NPU_UOP_ILT: return mask((int32_t)a < (int32_t)b);
	case NPU_UOP_IEQ: return mask(a == b);
	case NPU_UOP_I2F: return as_bits((float)(int32_t)a);
	}
	return run_float(op, as_float(a), as_float(b), as_float(c));
}

static uint32_t source(const struct kir_map *m, const uint32_t *reg, unsigned int src)
{
	if (src < NPU_UOP_CONST)
		return reg[src];
	return src - NPU_UOP_CONST < m->consts ? m->konst[src - NPU_UOP_CONST] : 0;
}

/* The program for one element; @acc are the accumulator groups of an epilogue. */
static void run_map(struct kir_data *d, const struct kir_map *m, const uint32_t *index,
		    const float *acc)
{
	uint32_t reg[NPU_MAP_REGS] = { 0 };
	uint32_t number = 0;

	for (unsigned int i = 0; i < m->ndim; i++)
		number = number * m->dim[i] + index[i];
	for (unsigned int i = 0; i < m->uops; i++) {
		unsigned int op = NPU_UOP_OP(m->uop[i]), dst = NPU_UOP_DST(m->uop[i]);
		const struct kir_operand *o;

		if (op == NPU_UOP_LD) {
			o = &m->operand[NPU_UOP_A(m->uop[i])];
			reg[dst] = o->acc ? as_bits(acc[o->acc_group]) :
				*at(d, &o->view, m->ndim, index);
		} else if (op == NPU_UOP_ST) {
			o = &m->operand[dst];
			*at(d, &o->view, m->ndim, index) =
				source(m, reg, NPU_UOP_A(m->uop[i]));
		} else if (op == NPU_UOP_IOTA) {
			reg[dst] = number;
		} else {
			uint32_t a = source(m, reg, NPU_UOP_A(m->uop[i]));
			uint32_t b = source(m, reg, NPU_UOP_B(m->uop[i]));

			d->fault = d->fault || overflows(op, a, b);
			reg[dst] = run_uop(op, a, b, source(m, reg, NPU_UOP_C(m->uop[i])));
		}
	}
}

static void eval_map(struct kir_data *d, const struct kir_map *m)
{
	uint32_t index[KIR_DIMS] = { 0 };

	do
		run_map(d, m, index, NULL);
	while (next(m->ndim, m->dim, index));
}

/* ---- products ---- */

static float load(struct kir_data *d, const struct kir_view *v, unsigned int ndim,
		  const uint32_t *index)
{
	return as_float(*at(d, v, ndim, index));
}

static float bias_of(struct kir_data *d, const struct kir_view *bias, uint32_t n)
{
	return bias->tensor == KIR_NO_TENSOR ? 0.0f : load(d, bias, 1, &n);
}

static void eval_matmul(struct kir_data *d, const struct kir_matmul *m)
{
	uint32_t columns = m->n / m->groups, i[4] = { 0 };
	float *acc = calloc(m->groups, sizeof(*acc));

	if (!acc)
		abort();
	do {
		for (uint32_t g = 0; g < m->groups; g++) {
			uint32_t n = g * columns + i[3];

			acc[g] = bias_of(d, &m->bias, n);
			for (uint32_t k = 0; k < m->k; k++)
				acc[g] = fmaf(load(d, &m->a, 4, (uint32_t[]){ i[0], i[1], i[2], k }),
					      load(d, &m->b, 4, (uint32_t[]){ i[0], i[1], k, n }),
					      acc[g]);
		}
		run_map(d, &m->epilogue, i, acc);
	} while (next(4, m->epilogue.dim, i));
	free(acc);
}

/* ---- windows ---- */

/* Input row or column of a tap, or -1 outside and between upsampled ones. */
static int64_t tap(uint32_t out, uint32_t t, uint32_t in, uint32_t stride, uint32_t dil,
		   int32_t pad, uint32_t up)
{
	int64_t p = (int64_t)out * stride - pad + (int64_t)t * dil;

	return p < 0 || p % up || p / up >= in ? -1 : p / up;
}

static int64_t tap_row(const struct kir_window *w, uint32_t oh, uint32_t y)
{
	return tap(oh, y, w->h, w->stride_h, w->dil_h, w->pad_top, w->up_h);
}

static int64_t tap_column(const struct kir_window *w, uint32_t ow, uint32_t x)
{
	return tap(ow, x, w->w, w->stride_w, w->dil_w, w->pad_left, w->up_w);
}

/* Weight @ch of output channel @k, which counts over all groups. */
static float conv_weight(struct kir_data *d, const struct kir_conv *c, uint32_t k, uint32_t ch,
			 uint32_t y, uint32_t x)
{
	const struct kir_window *w = &c->win;
	uint32_t k_group = w->k / c->groups, c_group = w->c / c->groups;
	uint64_t at = ((uint64_t)y * w->kw + x) * w->k + k;

	if (!c->panel)
		return load(d, &c->weights, 4, (uint32_t[]){ k, ch, y, x });
	if (c->groups == 1 || c->groups != w->c || w->k != w->c)
		at = k / k_group * npu_weight_elems(k_group, c_group, w->kh, w->kw, c->panel) +
			npu_weight_index(k % k_group, ch, y, x, c_group, w->kh, w->kw, c->panel);
	return load(d, &c->weights, 1, (uint32_t[]){ (uint32_t)at });
}

static float conv_tap(struct kir_data *d, const struct kir_conv *c, const uint32_t i[4],
		      uint32_t y, uint32_t x, uint32_t ch, float acc)
{
	const struct kir_window *w = &c->win;
	uint32_t c_group = w->c / c->groups, group = i[3] / (w->k / c->groups);
	int64_t row = tap_row(w, i[1], y), column = tap_column(w, i[2], x);
	float in = 0.0f;

	if (row >= 0 && column >= 0)
		in = load(d, &c->in, 4, (uint32_t[]){ i[0], (uint32_t)row, (uint32_t)column,
						      group * c_group + ch });
	return fmaf(in, conv_weight(d, c, i[3], ch, y, x), acc);
}

static void eval_conv(struct kir_data *d, const struct kir_conv *c)
{
	const struct kir_window *w = &c->win;
	uint32_t c_group = w->c / c->groups, i[4] = { 0 };

	do {
		float acc = bias_of(d, &c->bias, i[3]);

		for (uint32_t block = 0; block < c_group; block += NPU_CONV_CBLOCK)
			for (uint32_t y = 0; y < w->kh; y++)
				for (uint32_t x = 0; x < w->kw; x++)
					for (uint32_t ch = block; ch < c_group &&
					     ch < block + NPU_CONV_CBLOCK; ch++)
						acc = conv_tap(d, c, i, y, x, ch, acc);
		run_map(d, &c->epilogue, i, &acc);
	} while (next(4, c->epilogue.dim, i));
}

/* Epilogue loops kh, kw, c, k; sums in ascending order of n, oh, ow. */
static void eval_wgrad(struct kir_data *d, const struct kir_wgrad *g)
{
	const struct kir_window *w = &g->win;
	const uint32_t places[3] = { w->n, w->oh, w->ow };
	uint32_t c_group = w->c / g->groups, k_group = w->k / g->groups, i[4] = { 0 };

	do {
		uint32_t channel = i[3] / k_group * c_group + i[2], p[3] = { 0 };
		float acc = 0.0f;

		do {
			int64_t row = tap_row(w, p[1], i[0]), column = tap_column(w, p[2], i[1]);
			float in = 0.0f;

			if (row >= 0 && column >= 0)
				in = load(d, &g->in, 4, (uint32_t[]){ p[0], (uint32_t)row,
								      (uint32_t)column, channel });
			acc = fmaf(in, load(d, &g->dy, 4, (uint32_t[]){ p[0], p[1], p[2], i[3] }),
				   acc);
		} while (next(3, places, p));
		run_map(d, &g->epilogue, i, &acc);
	} while (next(4, g->epilogue.dim, i));
}

static void eval_pool(struct kir_data *d, const struct kir_pool *p)
{
	const struct kir_window *w = &p->win;
	uint32_t dim[4] = { w->n, w->oh, w->ow, w->c }, i[4] = { 0 };

	do {
		float acc = p->average ? 0.0f : -INFINITY;
		uint32_t taps = 0, position = UINT32_MAX;

		for (uint32_t y = 0; y < w->kh; y++)
			for (uint32_t x = 0; x < w->kw; x++) {
				int64_t row = tap_row(w, i[1], y), column = tap_column(w, i[2], x);
				float in;

				if (row < 0 || column < 0)
					continue;
				in = load(d, &p->in, 4, (uint32_t[]){ i[0], (uint32_t)row,
								      (uint32_t)column, i[3] });
				if (!taps || in > acc || (isnan(in) && !isnan(acc)))
					position = (uint32_t)(row * w->w + column);
				acc = p->average ? acc + in : maximum(acc, in);
				taps++;
			}
		if (p->average && p->count_pad)
			taps = w->kh * w->kw;
		if (p->average && taps)
			acc /= (float)taps;
		*at(d, &p->out, 4, i) = as_bits(acc);
		if (p->index.tensor != KIR_NO_TENSOR)
			*at(d, &p->index, 4, i) = position;
	} while (next(4, dim, i));
}

static void eval_unpool(struct kir_data *d, const struct kir_unpool *p)
{
	const struct kir_window *w = &p->win;
	uint32_t dim[4] = { w->n, w->oh, w->ow, w->c }, i[4] = { 0 };
	uint32_t out[4] = { w->n, w->h, w->w, w->c }, o[4] = { 0 };

	do {
		*at(d, &p->out, 4, o) = 0;
	} while (next(4, out, o));
	do {
		int32_t position = (int32_t)*at(d, &p->index, 4, i);
		uint32_t *sum;

		if (position < 0)
			continue;
		sum = at(d, &p->out, 4, (uint32_t[]){ i[0], (uint32_t)position / w->w,
						      (uint32_t)position % w->w, i[3] });
		*sum = as_bits(as_float(*sum) + load(d, &p->in, 4, i));
	} while (next(4, dim, i));
}

/* ---- reductions ---- */

static float combine_float(enum npu_rop rop, float lane, float x, bool element)
{
	switch (rop) {
	case NPU_ROP_SUM: return lane + x;
	case NPU_ROP_PROD: return lane * x;
	case NPU_ROP_MAX: return maximum(lane, x);
	case NPU_ROP_MIN: return minimum(lane, x);
	default: return element ? fmaf(x, x, lane) : lane + x;
	}
}

static uint32_t combine(enum npu_rop rop, bool is_float, uint32_t lane, uint32_t x, bool element)
{
	if (is_float)
		return as_bits(combine_float(rop, as_float(lane), as_float(x), element));
	switch (rop) {
	case NPU_ROP_SUM: return lane + x;
	case NPU_ROP_PROD: return lane * x;
	case NPU_ROP_MAX: return (int32_t)lane > (int32_t)x ? lane : x;
	case NPU_ROP_MIN: return (int32_t)lane < (int32_t)x ? lane : x;
	default: return element ? lane + x * x : lane + x;
	}
}

/* The same in so many bits that it cannot overflow. */
static bool combine_fits(enum npu_rop rop, uint32_t lane, uint32_t x, bool element)
{
	int64_t a = (int32_t)lane, b = (int32_t)x;

	if (rop == NPU_ROP_PROD)
		return fits(a * b);
	if (rop == NPU_ROP_SUMSQ && element)
		return fits(b * b) && fits(a + b * b);
	return rop == NPU_ROP_MAX || rop == NPU_ROP_MIN || fits(a + b);
}

static uint32_t start(enum npu_rop rop, bool is_float)
{
	switch (rop) {
	case NPU_ROP_PROD: return is_float ? as_bits(1.0f) : 1;
	case NPU_ROP_MAX: return is_float ? as_bits(-INFINITY) : (uint32_t)INT32_MIN;
	case NPU_ROP_MIN: return is_float ? as_bits(INFINITY) : (uint32_t)INT32_MAX;
	default: return 0;
	}
}

/* For ARGMAX and ARGMIN NaN beats everything; -0 and +0 are equal. */
static bool beats(enum npu_rop rop, bool is_float, uint32_t x, uint32_t best)
{
	bool max = rop == NPU_ROP_ARGMAX;
	float a = as_float(x), b = as_float(best);

	if (!is_float)
		return max ? (int32_t)x > (int32_t)best : (int32_t)x < (int32_t)best;
	if (isnan(a) || isnan(b))
		return isnan(a) && !isnan(b);
	return max ? a > b : a < b;
}

/* One result: @index holds the kept dimensions, the others run. */
static uint32_t reduce_one(struct kir_data *d, const struct kir_reduce *r, const uint32_t *kept)
{
	bool is_float = kir_dtype(d->k->tensor[r->in.tensor].dtype) == NPU_F32;
	bool arg = r->rop == NPU_ROP_ARGMAX || r->rop == NPU_ROP_ARGMIN;
	uint32_t lane[NPU_REDUCE_LANES], index[KIR_DIMS] = { 0 }, dim[KIR_DIMS];
	uint32_t e = 0, best = 0, best_e = 0;

	for (unsigned int i = 0; i < NPU_REDUCE_LANES; i++)
		lane[i] = start(r->rop, is_float);
	for (unsigned int i = 0; i < r->ndim; i++)
		dim[i] = r->axes >> i & 1 ? r->dim[i] : 1;
	do {
		uint32_t full[KIR_DIMS], x;

		for (unsigned int i = 0; i < r->ndim; i++)
			full[i] = r->axes >> i & 1 ? index[i] : kept[i];
		x = *at(d, &r->in, r->ndim, full);
		if (arg) {
			if (e == 0 || beats(r->rop, is_float, x, best)) {
				best = x;
				best_e = e;
			}
		} else {
			uint32_t *l = &lane[e % NPU_REDUCE_LANES];

			if (r->trap && !combine_fits(r->rop, *l, x, true))
				d->fault = true;
			*l = combine(r->rop, is_float, *l, x, true);
		}
		e++;
	} while (next(r->ndim, dim, index));
	if (arg)
		return best_e;
	for (unsigned int half = NPU_REDUCE_LANES / 2; half; half /= 2)
		for (unsigned int i = 0; i < half; i++) {
			if (r->trap && !combine_fits(r->rop, lane[i], lane[i + half], false))
				d->fault = true;
			lane[i] = combine(r->rop, is_float, lane[i], lane[i + half], false);
		}
	return lane[0];
}

static void eval_reduce(struct kir_data *d, const struct kir_reduce *r)
{
	uint32_t kept[KIR_DIMS] = { 0 }, dim[KIR_DIMS];

	for (unsigned int i = 0; i < r->ndim; i++)
		dim[i] = r->axes >> i & 1 ? 1 : r->dim[i];
	do
		*at(d, &r->out, r->ndim, kept) = reduce_one(d, r, kept);
	while (next(r->ndim, dim, kept));
}

static void eval_copy(struct kir_data *d, const struct kir_copy *c)
{
	uint32_t index[KIR_DIMS] = { 0 };

	do
		*at(d, &c->out, c->ndim, index) = c->in.tensor == KIR_NO_TENSOR ? c->value :
			*at(d, &c->in, c->ndim, index);
	while (next(c->ndim, c->dim, index));
}

static void eval_gather(struct kir_data *d, const struct kir_gather *g)
{
	const uint32_t rows[4] = { g->dim[0], g->dim[1], g->dim[2], 1 };
	uint32_t i[4] = { 0 };

	do {
		int64_t row = g->table.offset;

		for (unsigned int j = 0; j < 3; j++)
			row += i[j] * g->row_step[j];
		for (unsigned int j = 0; j < g->coords; j++) {
			const uint32_t which[4] = { i[0], i[1], i[2], j };
			int64_t x = (int32_t)*at(d, &g->index, 4, which);

			if (x < 0)
				x += g->limit[j];
			if (x < 0 || x >= g->limit[j]) {
				d->fault = true;
				return;
			}
			row += x * g->step[j];
		}
		for (uint32_t e = 0; e < g->dim[3]; e++) {
			const uint32_t which[4] = { i[0], i[1], i[2], e };
			uint32_t *there = &d->word[g->table.tensor][row + e];
			uint32_t *here = at(d, &g->data, 4, which);

			if (g->scatter)
				*there = *here;
			else
				*here = *there;
		}
	} while (next(4, rows, i));
}

void kir_eval(struct kir_data *d)
{
	for (uint32_t i = 0; i < d->k->ops && !d->fault; i++) {
		const struct kir_op *op = d->k->op[i];

		switch (op->kind) {
		case KIR_MATMUL:
			eval_matmul(d, &op->matmul);
			break;
		case KIR_CONV:
			eval_conv(d, &op->conv);
			break;
		case KIR_WGRAD:
			eval_wgrad(d, &op->wgrad);
			break;
		case KIR_MAP:
			eval_map(d, &op->map);
			break;
		case KIR_REDUCE:
			eval_reduce(d, &op->reduce);
			break;
		case KIR_POOL:
			eval_pool(d, &op->pool);
			break;
		case KIR_UNPOOL:
			eval_unpool(d, &op->unpool);
			break;
		case KIR_COPY:
			eval_copy(d, &op->copy);
			break;
		case KIR_GATHER:
			eval_gather(d, &op->gather);
			break;
		}
	}
}
