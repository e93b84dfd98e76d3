/* SPDX-License-Identifier: MIT */
/*
 * Speed of the device's arithmetic on this host: products as a ratio to the
 * FMA peak of registers, vector instructions as a ratio to a loop over the
 * same data written for the purpose. Both are measured in turn, because the
 * clocks of shared machines drift; medians are printed.
 *
 *	bench_kern [VARIANT [THREADS [CASE]]]
 */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core.h"
#include "kern.h"

#define SPM_BYTES	(8u << 20)
#define ACC_BYTES	(256u << 10)
#define ROUNDS		9
#define SLICE_NS	4000000		/* each side of a comparison, each round */
#define COLS		32

static const atomic_bool cancel;
static const uint64_t regs[NPU_REGS];
static struct npu_exec exec;
static uint32_t fault_aux;
static unsigned int threads;

/* One thread is timed by its own clock, which others on the machine do not move. */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- The FMA peak ---- */

#define PEAK_STEPS	1000

__attribute__((target("avx512f"))) static void peak_avx512(void)
{
	__m512 acc[24];
	__m512 x = _mm512_set1_ps(0.999f);

	for (int i = 0; i < 24; i++)
		acc[i] = _mm512_set1_ps((float)i);
	for (int s = 0; s < PEAK_STEPS; s++) {
#pragma GCC unroll 24
		for (int i = 0; i < 24; i++)
			acc[i] = _mm512_fmadd_ps(acc[i], x, x);
	}
#pragma GCC unroll 24
	for (int i = 0; i < 24; i++)
		__asm__ volatile("" : : "v"(acc[i]));
}

__attribute__((target("avx2,fma"))) static void peak_avx2(void)
{
	__m256 acc[12];
	__m256 x = _mm256_set1_ps(0.999f);

	for (int i = 0; i < 12; i++)
		acc[i] = _mm256_set1_ps((float)i);
	for (int s = 0; s < PEAK_STEPS; s++) {
#pragma GCC unroll 12
		for (int i = 0; i < 12; i++)
			acc[i] = _mm256_fmadd_ps(acc[i], x, x);
	}
#pragma GCC unroll 12
	for (int i = 0; i < 12; i++)
		__asm__ volatile("" : : "x"(acc[i]));
}

/* Multiply-accumulates per nanosecond of one thread. */
static double peak_once(void)
{
	const bool avx512 = exec.kern == &npu_kern_avx512;
	const uint64_t start = now_ns();
	uint64_t calls = 0, ns;

	do {
		for (int i = 0; i < 100; i++, calls++) {
			if (avx512)
				peak_avx512();
			else
				peak_avx2();
		}
		ns = now_ns() - start;
	} while (ns < SLICE_NS);
	return (double)calls * PEAK_STEPS * (avx512 ? 24 * 16 : 12 * 8) / (double)ns;
}

struct peak_parts {
	double rate[64];
};

static void peak_part(void *arg, uint32_t part)
{
	((struct peak_parts *)arg)->rate[part] = peak_once();
}

static double peak(void)
{
	struct peak_parts p = { 0 };
	double sum = 0;

	npu_pool_run(exec.pool, peak_part, &p, threads);
	for (unsigned int i = 0; i < threads; i++)
		sum += p.rate[i];
	return sum;
}

/* ---- Cases ---- */

union any_desc {
	uint64_t words[NPU_DESC_BYTES_MAX / 8];
	struct npu_desc_hdr hdr;
	struct npu_desc_conv conv;
	struct npu_desc_wgrad wgrad;
	struct npu_desc_matmul matmul;
	struct npu_desc_map map;
	struct npu_desc_reduce reduce;
	struct npu_desc_pool pool;
};

static struct npu_ref spm(uint32_t elems)
{
	return (struct npu_ref) { .addr = elems * 4, .reg = NPU_REG_NONE };
}

static struct npu_ref acc(uint32_t elems)
{
	return (struct npu_ref) { .addr = elems * 4, .space = NPU_SPACE_ACC, .reg = NPU_REG_NONE };
}

struct conv_case {
	const char *name;
	uint16_t n, h, c, k, kernel, stride, pad;
	bool depthwise;
};

static const struct conv_case conv_cases[] = {
	{ "ResNet 3x3 64-64 28x28", 1, 28, 64, 64, 3, 1, 1, false },
	{ "ResNet 3x3 128-128 14x14", 1, 14, 128, 128, 3, 1, 1, false },
	{ "ResNet 3x3 256-256 7x7", 1, 7, 256, 256, 3, 1, 1, false },
	{ "ResNet 1x1 256-64 28x28", 1, 28, 256, 64, 1, 1, 0, false },
	{ "ResNet 1x1 64-256 14x14", 1, 14, 64, 256, 1, 1, 0, false },
	{ "ResNet 7x7/2 3-64 56x56", 1, 56, 3, 64, 7, 2, 3, false },
	{ "mission 3x3 1-32 28x28 n3", 3, 28, 1, 32, 3, 1, 0, false },
	{ "mission 3x3 32-64 13x13 n8", 8, 13, 32, 64, 3, 1, 0, false },
	{ "depthwise 3x3 96 25x25", 1, 25, 96, 96, 3, 1, 1, true },
	{ "depthwise 3x3/2 96 28x28", 1, 28, 96, 96, 3, 2, 1, true },
	{ "depthwise 3x3 576 10x10", 1, 10, 576, 576, 3, 1, 1, true },
};

static double make_conv(const struct conv_case *t, union any_desc *d)
{
	const uint16_t o = (uint16_t)((t->h + 2 * t->pad - t->kernel) / t->stride + 1);
	const uint32_t in = (uint32_t)t->n * t->h * t->h * t->c;
	struct npu_desc_conv *v = &d->conv;

	v->hdr.opcode = NPU_OP_CONV;
	v->hdr.flags = t->depthwise ? NPU_F_DEPTHWISE : 0;
	v->shape = (struct npu_conv_shape) {
		.n = t->n, .h = t->h, .w = t->h, .c = t->c, .oh = o, .ow = o, .k = t->k,
		.kh = t->kernel, .kw = t->kernel, .stride_h = t->stride, .stride_w = t->stride,
		.dil_h = 1, .dil_w = 1, .pad_top = (int16_t)t->pad, .pad_left = (int16_t)t->pad,
		.up_h = 1, .up_w = 1,
	};
	v->in = spm(0);
	v->weights = spm((in + 15) / 16 * 16);
	v->acc = acc(0);
	v->in_stride[2] = t->c;
	v->in_stride[1] = t->c * t->h;
	v->in_stride[0] = t->c * t->h * t->h;
	v->acc_stride[2] = t->k;
	v->acc_stride[1] = t->k * o;
	v->acc_stride[0] = t->k * o * o;
	return (double)t->n * o * o * t->kernel * t->kernel * t->c * (t->depthwise ? 1 : t->k);
}

/* Weight gradients; they are in ACC. */
static const struct conv_case wgrad_cases[] = {
	{ "WGRAD mission 3x3 1-32 28x28 n8", 8, 28, 1, 32, 3, 1, 0, false },
	{ "WGRAD mission 3x3 1-32 28x28 n32", 32, 28, 1, 32, 3, 1, 0, false },
	{ "WGRAD mission 3x3 32-64 13x13 n32", 32, 13, 32, 64, 3, 1, 0, false },
	{ "WGRAD ResNet 3x3 64-64 56x56", 1, 56, 64, 64, 3, 1, 1, false },
	{ "WGRAD 3x3 96-64 14x14", 1, 14, 96, 64, 3, 1, 1, false },
	{ "WGRAD ResNet 1x1 64-256 28x28", 1, 28, 64, 256, 1, 1, 0, false },
	{ "WGRAD ResNet 7x7/2 3-64 112x112", 1, 112, 3, 64, 7, 2, 3, false },
	{ "WGRAD depthwise 3x3 96 25x25", 1, 25, 96, 96, 3, 1, 1, true },
};

static double make_wgrad(const struct conv_case *t, union any_desc *d)
{
	union any_desc conv = { 0 };
	const double macs = make_conv(t, &conv);
	const struct npu_desc_conv *c = &conv.conv;
	struct npu_desc_wgrad *v = &d->wgrad;

	v->hdr.opcode = NPU_OP_WGRAD;
	v->hdr.flags = c->hdr.flags;
	v->shape = c->shape;
	v->in = c->in;
	v->dy = c->weights;
	v->acc = acc(0);
	memcpy(v->in_stride, c->in_stride, sizeof(v->in_stride));
	memcpy(v->dy_stride, c->acc_stride, sizeof(v->dy_stride));
	return macs;
}

struct matmul_case {
	const char *name;
	uint32_t batch, m, n, k;
	bool a_transposed, b_transposed;
};

static const struct matmul_case matmul_cases[] = {
	{ "BERT 128x512x768", 1, 128, 512, 768, false, false },
	{ "BERT q k^T 4x 128x128x64", 4, 128, 128, 64, false, true },
	{ "BERT p v 4x 128x64x128", 4, 128, 64, 128, false, false },
	{ "LSTM 32x2048x512", 1, 32, 2048, 512, false, false },
	{ "LSTM 1x2048x512", 1, 1, 2048, 512, false, false },
	{ "mission LSTM 32x256x64", 1, 32, 256, 64, false, false },
	{ "mission dense 32x64x1600", 1, 32, 64, 1600, false, false },
	{ "mission scores 32x 28x28x32", 32, 28, 28, 32, false, true },
	{ "gradient x^T dy 1000x64x32", 1, 1000, 64, 32, true, false },
	{ "gradient dy w^T 32x1600x64", 1, 32, 1600, 64, false, true },
};

static double make_matmul(const struct matmul_case *t, union any_desc *d)
{
	struct npu_desc_matmul *v = &d->matmul;
	const int32_t m = (int32_t)t->m, n = (int32_t)t->n, k = (int32_t)t->k;

	v->hdr.opcode = NPU_OP_MATMUL;
	memcpy(v->dim, (uint32_t[]){ 1, t->batch, t->m, t->n, t->k }, sizeof(v->dim));
	v->a = spm(0);
	v->b = spm((t->batch * t->m * t->k + 15) / 16 * 16);
	v->acc = acc(0);
	memcpy(v->a_stride, (int32_t[]){ 0, m * k, t->a_transposed ? 1 : k,
					 t->a_transposed ? m : 1 }, sizeof(v->a_stride));
	memcpy(v->b_stride, (int32_t[]){ 0, n * k, t->b_transposed ? 1 : n,
					 t->b_transposed ? k : 1 }, sizeof(v->b_stride));
	memcpy(v->acc_stride, (int32_t[]){ 0, m * n, n }, sizeof(v->acc_stride));
	return (double)t->batch * t->m * t->n * t->k;
}

/* ---- Vector cases, each with a loop that does the same ---- */

#define ELEMS	(64u << 10)	/* of a MAP operand: 256 KiB */

#define LOOP	__attribute__((target_clones("default", "avx2,fma", "arch=skylake-avx512"), \
			       optimize("O3", "no-trapping-math", "no-math-errno")))

LOOP static void loop_bias_relu(float *restrict out, const float *restrict a,
				const float *restrict bias)
{
	for (uint32_t i = 0; i < ELEMS; i += 64)
		for (uint32_t j = 0; j < 64; j++) {
			const float x = a[i + j] + bias[j];

			out[i + j] = x > 0 ? x : 0;
		}
}

LOOP static void loop_add(float *restrict out, const float *restrict a, const float *restrict b)
{
	for (uint32_t i = 0; i < ELEMS; i++)
		out[i] = a[i] + b[i];
}

/* w, m, v and g one after another in a; w, m, v updated in place */
LOOP static void loop_adam(float *restrict w, const float *restrict g,
			   const float *restrict unused)
{
	float *restrict m = w + ELEMS, *restrict v = w + 2 * ELEMS;

	(void)unused;
	for (uint32_t i = 0; i < ELEMS; i++) {
		m[i] = 0.9f * m[i] + 0.1f * g[i];
		v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
		w[i] -= 0.001f * m[i] / (sqrtf(v[i]) + 1e-7f);
	}
}

LOOP static void loop_sum_rows(float *restrict out, const float *restrict a,
			       const float *restrict unused)
{
	(void)unused;
	for (uint32_t r = 0; r < ELEMS / 128; r++) {
		float lane[16] = { 0 };

		for (uint32_t i = 0; i < 128; i += 16)
			for (uint32_t j = 0; j < 16; j++)
				lane[j] += a[r * 128 + i + j];
		for (uint32_t half = 8; half; half /= 2)
			for (uint32_t j = 0; j < half; j++)
				lane[j] += lane[j + half];
		out[r] = lane[0];
	}
}

LOOP static void loop_sum_cols(float *restrict out, const float *restrict a,
			       const float *restrict unused)
{
	float lane[16][64] = { 0 };

	(void)unused;
	for (uint32_t r = 0; r < ELEMS / 64; r++)
		for (uint32_t j = 0; j < 64; j++)
			lane[r % 16][j] += a[r * 64 + j];
	for (uint32_t half = 8; half; half /= 2)
		for (uint32_t i = 0; i < half; i++)
			for (uint32_t j = 0; j < 64; j++)
				lane[i][j] += lane[i + half][j];
	for (uint32_t j = 0; j < 64; j++)
		out[j] = lane[0][j];
}

LOOP static void loop_max_pool(float *restrict out, const float *restrict a,
			       const float *restrict unused)
{
	(void)unused;
	for (uint32_t y = 0; y < 16; y++)
		for (uint32_t x = 0; x < 16; x++)
			for (uint32_t c = 0; c < 64; c++) {
				const float *p = a + (2 * y * 32 + 2 * x) * 64 + c;
				const float s = p[0] > p[64] ? p[0] : p[64];
				const float *q = p + 32 * 64;
				const float t = q[0] > q[64] ? q[0] : q[64];

				out[(y * 16 + x) * 64 + c] = s > t ? s : t;
			}
}

struct writer {
	struct npu_desc_map *d;
	uint32_t word[NPU_MAP_UOPS];
	float consts[NPU_MAP_CONSTS];
};

static void view(struct writer *w, uint32_t at, int32_t row, int32_t col)
{
	w->d->view[w->d->operands++] = (struct npu_view) {
		.ref = spm(at), .stride = { 0, 0, row, col },
	};
}

static void op(struct writer *w, uint32_t code, uint32_t dst, uint32_t a, uint32_t b, uint32_t c)
{
	w->word[w->d->uops++] = NPU_UOP_WORD(code, dst, a, b, c);
}

static uint32_t constant(struct writer *w, float x)
{
	w->consts[w->d->consts] = x;
	return NPU_UOP_CONST + w->d->consts++;
}

static void finish(struct writer *w)
{
	uint32_t *words = (uint32_t *)&w->d->view[w->d->operands];

	memcpy(words, w->word, w->d->uops * 4);
	memcpy(words + w->d->uops, w->consts, w->d->consts * 4u);
}

static struct writer start_map(union any_desc *d, uint32_t rows, uint32_t cols)
{
	d->hdr.opcode = NPU_OP_MAP;
	d->map.dim[0] = d->map.dim[1] = 1;
	d->map.dim[2] = rows;
	d->map.dim[3] = cols;
	return (struct writer) { .d = &d->map };
}

static void make_bias_relu(union any_desc *d)
{
	struct writer w = start_map(d, ELEMS / 64, 64);

	view(&w, 0, 64, 1);
	view(&w, ELEMS, 64, 1);
	view(&w, 2 * ELEMS, 0, 1);
	op(&w, NPU_UOP_LD, 0, 1, 0, 0);
	op(&w, NPU_UOP_LD, 1, 2, 0, 0);
	op(&w, NPU_UOP_FADD, 0, 0, 1, 0);
	op(&w, NPU_UOP_FMAX, 0, 0, constant(&w, 0), 0);
	op(&w, NPU_UOP_ST, 0, 0, 0, 0);
	finish(&w);
}

static void make_add(union any_desc *d)
{
	struct writer w = start_map(d, 1, ELEMS);

	view(&w, 0, 0, 1);
	view(&w, ELEMS, 0, 1);
	view(&w, 2 * ELEMS, 0, 1);
	op(&w, NPU_UOP_LD, 0, 1, 0, 0);
	op(&w, NPU_UOP_LD, 1, 2, 0, 0);
	op(&w, NPU_UOP_FADD, 0, 0, 1, 0);
	op(&w, NPU_UOP_ST, 0, 0, 0, 0);
	finish(&w);
}

static void make_adam(union any_desc *d)
{
	struct writer w = start_map(d, 1, ELEMS);

	for (uint32_t i = 0; i < 4; i++) {
		view(&w, i * ELEMS, 0, 1);
		op(&w, NPU_UOP_LD, i, i, 0, 0);
	}
	op(&w, NPU_UOP_FMUL, 4, 3, constant(&w, 0.1f), 0);
	op(&w, NPU_UOP_FMA, 1, 1, constant(&w, 0.9f), 4);
	op(&w, NPU_UOP_ST, 1, 1, 0, 0);
	op(&w, NPU_UOP_FMUL, 4, 3, constant(&w, 0.001f), 0);
	op(&w, NPU_UOP_FMUL, 4, 4, 3, 0);
	op(&w, NPU_UOP_FMA, 2, 2, constant(&w, 0.999f), 4);
	op(&w, NPU_UOP_ST, 2, 2, 0, 0);
	op(&w, NPU_UOP_FSQRT, 4, 2, 0, 0);
	op(&w, NPU_UOP_FADD, 4, 4, constant(&w, 1e-7f), 0);
	op(&w, NPU_UOP_FDIV, 4, 1, 4, 0);
	op(&w, NPU_UOP_FMA, 0, 4, constant(&w, -0.001f), 0);
	op(&w, NPU_UOP_ST, 0, 0, 0, 0);
	finish(&w);
}

/* One function of one operand. */
static void make_function(union any_desc *d, uint32_t code)
{
	struct writer w = start_map(d, 1, ELEMS);

	view(&w, 0, 0, 1);
	view(&w, ELEMS, 0, 1);
	op(&w, NPU_UOP_LD, 0, 1, 0, 0);
	op(&w, code, 0, 0, 0, 0);
	op(&w, NPU_UOP_ST, 0, 0, 0, 0);
	finish(&w);
}

static void make_exp(union any_desc *d) { make_function(d, NPU_UOP_EXP); }
static void make_sigmoid(union any_desc *d) { make_function(d, NPU_UOP_SIGMOID); }
static void make_tanh(union any_desc *d) { make_function(d, NPU_UOP_TANH); }
static void make_erf(union any_desc *d) { make_function(d, NPU_UOP_ERF); }
static void make_sin(union any_desc *d) { make_function(d, NPU_UOP_SIN); }

/* i, f, g, o in rows of 4 x 64; c, h in rows of 64 */
static void make_lstm_cell(union any_desc *d)
{
	struct writer w = start_map(d, ELEMS / 256, 64);

	for (int32_t i = 0; i < 4; i++)
		view(&w, (uint32_t)i * 64, 256, 1);
	view(&w, ELEMS, 64, 1);
	view(&w, 2 * ELEMS, 64, 1);
	for (uint32_t i = 0; i < 5; i++)
		op(&w, NPU_UOP_LD, i, i, 0, 0);
	op(&w, NPU_UOP_SIGMOID, 0, 0, 0, 0);
	op(&w, NPU_UOP_SIGMOID, 1, 1, 0, 0);
	op(&w, NPU_UOP_TANH, 2, 2, 0, 0);
	op(&w, NPU_UOP_SIGMOID, 3, 3, 0, 0);
	op(&w, NPU_UOP_FMUL, 4, 4, 1, 0);
	op(&w, NPU_UOP_FMA, 4, 0, 2, 4);
	op(&w, NPU_UOP_ST, 4, 4, 0, 0);
	op(&w, NPU_UOP_TANH, 5, 4, 0, 0);
	op(&w, NPU_UOP_FMUL, 5, 5, 3, 0);
	op(&w, NPU_UOP_ST, 5, 5, 0, 0);
	finish(&w);
}

/* exp(x - row) over rows of 28: short rows, one scalar each */
static void make_softmax_exp(union any_desc *d)
{
	struct writer w = start_map(d, ELEMS / 28, 28);

	view(&w, 0, 28, 1);
	view(&w, ELEMS, 28, 1);
	view(&w, 2 * ELEMS, 1, 0);
	op(&w, NPU_UOP_LD, 0, 1, 0, 0);
	op(&w, NPU_UOP_LD, 1, 2, 0, 0);
	op(&w, NPU_UOP_FSUB, 0, 0, 1, 0);
	op(&w, NPU_UOP_EXP, 0, 0, 0, 0);
	op(&w, NPU_UOP_ST, 0, 0, 0, 0);
	finish(&w);
}

/* A random number in 0 .. 1 for every element. */
static void make_uniform(union any_desc *d)
{
	struct writer w = start_map(d, 1, ELEMS);

	view(&w, 0, 0, 1);
	op(&w, NPU_UOP_IOTA, 0, 0, 0, 0);
	op(&w, NPU_UOP_RNG, 0, 0, constant(&w, 1), constant(&w, 2));
	/* Of the float 1, the lowest five bits: 0. */
	op(&w, NPU_UOP_ISHR, 0, 0, NPU_UOP_CONST, 0);
	op(&w, NPU_UOP_I2F, 0, 0, 0, 0);
	op(&w, NPU_UOP_FMUL, 0, 0, constant(&w, 0x1p-24f), 0);
	op(&w, NPU_UOP_ST, 0, 0, 0, 0);
	finish(&w);
}

static void make_transpose(union any_desc *d)
{
	struct writer w = start_map(d, 256, ELEMS / 256);

	view(&w, 0, ELEMS / 256, 1);
	view(&w, ELEMS, 1, 256);
	op(&w, NPU_UOP_LD, 0, 1, 0, 0);
	op(&w, NPU_UOP_ST, 0, 0, 0, 0);
	finish(&w);
}

static void make_reduce(union any_desc *d, uint32_t rows, uint32_t cols, unsigned int axes,
			unsigned int rop)
{
	struct npu_desc_reduce *v = &d->reduce;

	v->hdr.opcode = NPU_OP_REDUCE;
	memcpy(v->dim, (uint32_t[]){ 1, 1, rows, cols }, sizeof(v->dim));
	v->rop = (uint8_t)rop;
	v->axes = (uint8_t)axes;
	v->in = (struct npu_view) { .ref = spm(ELEMS), .stride = { 0, 0, (int32_t)cols, 1 } };
	v->out = (struct npu_view) {
		.ref = spm(0), .stride = { 0, 0, axes & 4 ? 0 : 1, axes & 8 ? 0 : 1 },
	};
}

static void make_sum_rows(union any_desc *d)
{
	make_reduce(d, ELEMS / 128, 128, 8, NPU_ROP_SUM);
}

static void make_sum_cols(union any_desc *d)
{
	make_reduce(d, ELEMS / 64, 64, 4, NPU_ROP_SUM);
}

static void make_max_short(union any_desc *d)
{
	make_reduce(d, ELEMS / 10, 10, 8, NPU_ROP_MAX);
}

static void make_argmax(union any_desc *d)
{
	make_reduce(d, ELEMS / 10, 10, 8, NPU_ROP_ARGMAX);
}

static void make_max_pool(union any_desc *d)
{
	struct npu_desc_pool *v = &d->pool;

	v->hdr.opcode = NPU_OP_POOL;
	v->shape = (struct npu_conv_shape) {
		.n = 1, .h = 32, .w = 32, .c = 64, .oh = 16, .ow = 16, .k = 64, .kh = 2, .kw = 2,
		.stride_h = 2, .stride_w = 2, .dil_h = 1, .dil_w = 1, .up_h = 1, .up_w = 1,
	};
	v->in = spm(ELEMS);
	v->out = spm(0);
	memcpy(v->in_stride, (int32_t[]){ 32 * 32 * 64, 32 * 64, 64 }, sizeof(v->in_stride));
	memcpy(v->out_stride, (int32_t[]){ 16 * 16 * 64, 16 * 64, 64 }, sizeof(v->out_stride));
}

static void make_max_pool_index(union any_desc *d)
{
	struct npu_desc_pool *v = &d->pool;

	make_max_pool(d);
	v->hdr.flags = NPU_F_POOL_INDEX;
	v->index = spm(2 * ELEMS);
	v->index.dtype = NPU_I32;
	v->index_row = 32;
}

/* Back to where the maxima came from. */
static void make_unpool(union any_desc *d)
{
	struct npu_desc_pool *v = &d->pool;

	make_max_pool_index(d);
	npu_ve_exec(&exec, d);
	v->hdr.opcode = NPU_OP_UNPOOL;
	v->in = spm(0);
	v->out = spm(ELEMS);
	memcpy(v->in_stride, (int32_t[]){ 16 * 16 * 64, 16 * 64, 64 }, sizeof(v->in_stride));
	memcpy(v->out_stride, (int32_t[]){ 32 * 32 * 64, 32 * 64, 64 }, sizeof(v->out_stride));
}

static const struct vector_case {
	const char *name;
	void (*make)(union any_desc *d);
	void (*loop)(float *restrict out, const float *restrict a, const float *restrict b);
	uint32_t elems;
} vector_cases[] = {
	{ "MAP a + b", make_add, loop_add, ELEMS },
	{ "MAP relu(a + bias[64])", make_bias_relu, loop_bias_relu, ELEMS },
	{ "MAP adam", make_adam, loop_adam, ELEMS },
	{ "MAP exp", make_exp, NULL, ELEMS },
	{ "MAP sigmoid", make_sigmoid, NULL, ELEMS },
	{ "MAP tanh", make_tanh, NULL, ELEMS },
	{ "MAP erf", make_erf, NULL, ELEMS },
	{ "MAP sin", make_sin, NULL, ELEMS },
	{ "MAP LSTM cell", make_lstm_cell, NULL, ELEMS / 4 },
	{ "MAP exp(x - row), rows of 28", make_softmax_exp, NULL, ELEMS },
	{ "MAP uniform random numbers", make_uniform, NULL, ELEMS },
	{ "MAP transpose 256x256", make_transpose, NULL, ELEMS },
	{ "REDUCE sum of rows of 128", make_sum_rows, loop_sum_rows, ELEMS },
	{ "REDUCE sum of 64 columns", make_sum_cols, loop_sum_cols, ELEMS },
	{ "REDUCE max of rows of 10", make_max_short, NULL, ELEMS },
	{ "REDUCE argmax of rows of 10", make_argmax, NULL, ELEMS },
	{ "POOL max 2x2 64 channels", make_max_pool, loop_max_pool, ELEMS },
	{ "POOL max and index 2x2", make_max_pool_index, NULL, ELEMS },
	{ "UNPOOL 2x2 64 channels", make_unpool, NULL, ELEMS },
};

/* ---- Measuring ---- */

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *x)
{
	qsort(x, ROUNDS, sizeof(*x), ascending);
	return x[ROUNDS / 2];
}

static void run(const union any_desc *d)
{
	if (d->hdr.opcode < NPU_OP_MAP)
		npu_te_exec(&exec, d);
	else
		npu_ve_exec(&exec, d);
}

/* Nanoseconds of one execution. */
static double time_desc(const union any_desc *d)
{
	const uint64_t start = now_ns();
	uint64_t calls = 0, ns;

	do {
		run(d);
		calls++;
		ns = now_ns() - start;
	} while (ns < SLICE_NS);
	return (double)ns / (double)calls;
}

static double time_loop(const struct vector_case *t)
{
	float *base = (float *)exec.spm;
	const uint64_t start = now_ns();
	uint64_t calls = 0, ns;

	do {
		t->loop(base, base + (t->loop == loop_adam ? 3 * ELEMS : ELEMS), base + 2 * ELEMS);
		calls++;
		ns = now_ns() - start;
	} while (ns < SLICE_NS);
	return (double)ns / (double)calls;
}

static void bench_product(const char *name, const union any_desc *d, double macs)
{
	double rate[ROUNDS], ratio[ROUNDS];

	run(d);
	for (int r = 0; r < ROUNDS; r++) {
		rate[r] = macs / time_desc(d);
		ratio[r] = rate[r] / peak();
	}
	printf("%-34s %8.3f MMAC %8.1f GMAC/s %5.0f %% of peak\n", name, macs / 1e6, median(rate),
	       100 * median(ratio));
}

static void bench_vector(const struct vector_case *t, const union any_desc *d)
{
	double ns[ROUNDS], ratio[ROUNDS];

	run(d);
	for (int r = 0; r < ROUNDS; r++) {
		ns[r] = time_desc(d);
		ratio[r] = t->loop ? time_loop(t) / ns[r] : 0;
	}
	printf("%-32s %8u elems %8.3f ns/elem", t->name, t->elems, median(ns) / t->elems);
	if (t->loop)
		printf(" %5.0f %% of a loop", 100 * median(ratio));
	putchar('\n');
}

static void refill(void)
{
	uint32_t state = 1;

	for (uint32_t i = 0; i < SPM_BYTES / 4; i++) {
		state = state * 1664525u + 1013904223u;
		((float *)exec.spm)[i] = (float)(state >> 8) / (float)(1 << 23) - 1.0f;
	}
	memset(exec.acc, 0, ACC_BYTES);
}

static bool wanted(const char *name, const char *filter)
{
	if (filter && !strstr(name, filter))
		return false;
	refill();
	return true;
}

static enum npu_core_variant parse_variant(const char *name)
{
	for (int v = NPU_CORE_VARIANT_SCALAR; v <= NPU_CORE_VARIANT_AVX512; v++)
		if (npu_kern_get(v) && !strcmp(npu_kern_get(v)->name, name))
			return v;
	return NPU_CORE_VARIANT_AUTO;
}

int main(int argc, char **argv)
{
	static const struct npu_core_ops ops;
	const char *filter = argc > 3 ? argv[3] : NULL;

	threads = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 1;
	if (threads < 1 || threads > 64) {
		fprintf(stderr, "bench_kern: threads must be 1 .. 64\n");
		return EXIT_FAILURE;
	}
	exec = (struct npu_exec) {
		.fault_aux = &fault_aux,
		.spm = aligned_alloc(4096, SPM_BYTES),
		.acc = aligned_alloc(4096, ACC_BYTES),
		.array_cols = COLS,
		.regs = regs,
		.kern = npu_kern_get(argc > 1 ? parse_variant(argv[1]) : NPU_CORE_VARIANT_AUTO),
		.pool = npu_pool_create(threads, &ops, NULL),
		.cancel = &cancel,
	};
	if (!exec.spm || !exec.acc || !exec.pool)
		return EXIT_FAILURE;
	printf("%s, %u threads, FMA peak %.1f GMAC/s\n", exec.kern->name, threads, peak());
	for (size_t i = 0; i < sizeof(conv_cases) / sizeof(conv_cases[0]); i++) {
		union any_desc d = { 0 };

		if (wanted(conv_cases[i].name, filter))
			bench_product(conv_cases[i].name, &d, make_conv(&conv_cases[i], &d));
	}
	for (size_t i = 0; i < sizeof(wgrad_cases) / sizeof(wgrad_cases[0]); i++) {
		union any_desc d = { 0 };

		if (wanted(wgrad_cases[i].name, filter))
			bench_product(wgrad_cases[i].name, &d, make_wgrad(&wgrad_cases[i], &d));
	}
	for (size_t i = 0; i < sizeof(matmul_cases) / sizeof(matmul_cases[0]); i++) {
		union any_desc d = { 0 };

		if (wanted(matmul_cases[i].name, filter))
			bench_product(matmul_cases[i].name, &d, make_matmul(&matmul_cases[i], &d));
	}
	for (size_t i = 0; i < sizeof(vector_cases) / sizeof(vector_cases[0]); i++) {
		union any_desc d = { 0 };

		if (!wanted(vector_cases[i].name, filter))
			continue;
		vector_cases[i].make(&d);
		bench_vector(&vector_cases[i], &d);
	}
	npu_pool_destroy(exec.pool);
	free(exec.spm);
	free(exec.acc);
	return EXIT_SUCCESS;
}
