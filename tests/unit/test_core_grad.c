/* SPDX-License-Identifier: MIT */
/*
 * The gradients of a convolution, as docs/hardware.md 9.1 says they are made:
 * CONV of dy with ROT180 and up for the input, WGRAD for the weights. Judged by
 * loops that send every product where it belongs. All values are small integers,
 * so that no order of summation matters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core.h"
#include "gen_desc.h"
#include "kern.h"

#define COLS		8
#define SPM_ELEMS	(32u << 10)
#define ACC_ELEMS	(16u << 10)
#define ROUNDS		150

/**
 * struct layer - a forward convolution and its tensors
 * @s: its shape
 * @depthwise: a filter per channel
 * @x: input [n][h][w][c]
 * @w: weights [k][c][kh][kw]; depthwise [k][kh][kw]
 * @dy: gradient of the output [n][oh][ow][k]
 * @dx: gradient of the input
 * @dw: gradient of the weights
 */
struct layer {
	struct npu_conv_shape s;
	bool depthwise;
	float *x, *w, *dy, *dx, *dw;
};

static uint32_t filter_c(const struct layer *l)
{
	return l->depthwise ? 1 : l->s.c;
}

static float *numbers(struct gen *g, size_t count)
{
	float *at = malloc(count * sizeof(*at));

	assert_non_null(at);
	for (size_t i = 0; i < count; i++)
		at[i] = g ? (float)gen_below(g, 7) - 3.0f : 0.0f;
	return at;
}

/* Every product of the forward convolution, to the two gradients. */
static void backward(const struct layer *l)
{
	const struct npu_conv_shape *s = &l->s;
	const int taps = s->kh * s->kw, outputs = s->n * s->oh * s->ow;

	for (int o = 0; o < outputs; o++) {
		const int ow = o % s->ow, oh = o / s->ow % s->oh, n = o / s->ow / s->oh;

		for (int t = 0; t < taps; t++) {
			const int h = oh * s->stride_h - s->pad_top + t / s->kw * s->dil_h;
			const int w = ow * s->stride_w - s->pad_left + t % s->kw * s->dil_w;

			if (h < 0 || h >= s->h || w < 0 || w >= s->w)
				continue;
			for (int k = 0; k < s->k; k++) {
				const float dy = l->dy[o * s->k + k];

				for (uint32_t j = 0; j < filter_c(l); j++) {
					const uint32_t c = l->depthwise ? (uint32_t)k : j;
					const size_t x = ((size_t)(n * s->h + h) * s->w +
							  (size_t)w) * s->c + c;
					const size_t f = ((size_t)k * filter_c(l) + j) *
							 (size_t)taps + (size_t)t;

					l->dx[x] += dy * l->w[f];
					l->dw[f] += dy * l->x[x];
				}
			}
		}
	}
}

static struct layer make_layer(struct gen *g, bool depthwise)
{
	struct layer l = { .depthwise = depthwise };
	struct npu_conv_shape *s = &l.s;
	size_t image, output, filter;

	do {
		*s = (struct npu_conv_shape) {
			.n = (uint16_t)gen_range(g, 1, 2),
			.h = (uint16_t)gen_range(g, 1, 9), .w = (uint16_t)gen_range(g, 1, 9),
			.c = (uint16_t)gen_range(g, 1, 20),
			.kh = (uint16_t)gen_range(g, 1, 4), .kw = (uint16_t)gen_range(g, 1, 4),
			.stride_h = (uint16_t)gen_range(g, 1, 3),
			.stride_w = (uint16_t)gen_range(g, 1, 3),
			.dil_h = (uint16_t)gen_range(g, 1, 2), .dil_w = (uint16_t)gen_range(g, 1, 2),
			.pad_top = (int16_t)gen_below(g, 4), .pad_left = (int16_t)gen_below(g, 4),
			.up_h = 1, .up_w = 1,
		};
		s->k = (uint16_t)(depthwise ? s->c : gen_range(g, 1, 20));
	} while (s->h + 2 * s->pad_top <= s->dil_h * (s->kh - 1) ||
		 s->w + 2 * s->pad_left <= s->dil_w * (s->kw - 1));
	s->oh = (uint16_t)((s->h + 2 * s->pad_top - s->dil_h * (s->kh - 1) - 1) / s->stride_h + 1);
	s->ow = (uint16_t)((s->w + 2 * s->pad_left - s->dil_w * (s->kw - 1) - 1) / s->stride_w + 1);
	image = (size_t)s->n * s->h * s->w * s->c;
	output = (size_t)s->n * s->oh * s->ow * s->k;
	filter = (size_t)s->k * filter_c(&l) * s->kh * s->kw;
	l.x = numbers(g, image);
	l.w = numbers(g, filter);
	l.dy = numbers(g, output);
	l.dx = numbers(NULL, image);
	l.dw = numbers(NULL, filter);
	backward(&l);
	return l;
}

static void free_layer(struct layer *l)
{
	free(l->x);
	free(l->w);
	free(l->dy);
	free(l->dx);
	free(l->dw);
}

static struct npu_ref ref(unsigned int space, uint32_t elem)
{
	return (struct npu_ref) {
		.addr = elem * 4, .space = (uint8_t)space, .reg = NPU_REG_NONE,
	};
}

/* Where weight (k, c, tap) of a convolution with these channels is. */
static size_t packed(const struct layer *l, uint32_t k, uint32_t c, uint32_t tap,
		     uint32_t c_total)
{
	const struct npu_conv_shape *s = &l->s;

	if (l->depthwise)
		return (size_t)tap * s->c + k;
	return npu_weight_index(k, c, tap / s->kw, tap % s->kw, c_total, s->kh, s->kw, COLS);
}

static void check_input(const struct npu_exec *x, const struct layer *l)
{
	const struct npu_conv_shape *s = &l->s;
	const uint32_t taps = (uint32_t)s->kh * s->kw, weights = SPM_ELEMS / 2;
	float *spm = (float *)(void *)x->spm;
	struct npu_desc_conv d = {
		.hdr = {
			.opcode = NPU_OP_CONV,
			.flags = NPU_F_ROT180 | (l->depthwise ? NPU_F_DEPTHWISE : 0),
		},
		.shape = {
			.n = s->n, .h = s->oh, .w = s->ow, .c = s->k, .oh = s->h, .ow = s->w,
			.k = s->c, .kh = s->kh, .kw = s->kw, .stride_h = 1, .stride_w = 1,
			.dil_h = s->dil_h, .dil_w = s->dil_w,
			.pad_top = (int16_t)(s->dil_h * (s->kh - 1) - s->pad_top),
			.pad_left = (int16_t)(s->dil_w * (s->kw - 1) - s->pad_left),
			.up_h = (uint8_t)s->stride_h, .up_w = (uint8_t)s->stride_w,
		},
		.in = ref(NPU_SPACE_SPM, 0),
		.weights = ref(NPU_SPACE_SPM, weights),
		.acc = ref(NPU_SPACE_ACC, 0),
		.in_stride = { s->oh * s->ow * s->k, s->ow * s->k, s->k },
		.acc_stride = { s->h * s->w * s->c, s->w * s->c, s->c },
	};

	memcpy(spm, l->dy, (size_t)s->n * s->oh * s->ow * s->k * 4);
	for (uint32_t k = 0; k < s->k; k++)
		for (uint32_t c = 0; c < filter_c(l); c++)
			for (uint32_t t = 0; t < taps; t++)
				spm[weights + packed(l, l->depthwise ? k : c, k, t, s->k)] =
					l->w[(k * filter_c(l) + c) * taps + t];
	assert_int_equal(npu_te_exec(x, &d), NPU_FAULT_NONE);
	for (uint32_t i = 0; i < (uint32_t)s->n * s->h * s->w * s->c; i++)
		if (((float *)(void *)x->acc)[i] != l->dx[i])
			fail_msg("%s: dx[%u] is %g, not %g", x->kern->name, i,
				 (double)((float *)(void *)x->acc)[i], (double)l->dx[i]);
}

static void check_weights(const struct npu_exec *x, const struct layer *l)
{
	const struct npu_conv_shape *s = &l->s;
	const uint32_t taps = (uint32_t)s->kh * s->kw, dy = SPM_ELEMS / 2;
	const float *acc = (const float *)(const void *)x->acc;
	float *spm = (float *)(void *)x->spm;
	struct npu_desc_wgrad d = {
		.hdr = {
			.opcode = NPU_OP_WGRAD,
			.flags = l->depthwise ? NPU_F_DEPTHWISE : 0,
		},
		.shape = *s,
		.in = ref(NPU_SPACE_SPM, 0),
		.dy = ref(NPU_SPACE_SPM, dy),
		.acc = ref(NPU_SPACE_ACC, 0),
		.in_stride = { s->h * s->w * s->c, s->w * s->c, s->c },
		.dy_stride = { s->oh * s->ow * s->k, s->ow * s->k, s->k },
	};

	memcpy(spm, l->x, (size_t)s->n * s->h * s->w * s->c * 4);
	memcpy(spm + dy, l->dy, (size_t)s->n * s->oh * s->ow * s->k * 4);
	assert_int_equal(npu_te_exec(x, &d), NPU_FAULT_NONE);
	for (uint32_t k = 0; k < s->k; k++)
		for (uint32_t c = 0; c < filter_c(l); c++)
			for (uint32_t t = 0; t < taps; t++) {
				const float want = l->dw[(k * filter_c(l) + c) * taps + t];
				const float got = acc[packed(l, k, c, t, s->c)];

				if (got != want)
					fail_msg("%s: dw(%u, %u, %u) is %g, not %g", x->kern->name,
						 k, c, t, (double)got, (double)want);
			}
}

static void check_layers(bool depthwise)
{
	static const struct npu_core_ops ops;
	const atomic_bool cancel = false;
	struct npu_pool *pool = npu_pool_create(1, &ops, NULL);
	struct npu_exec x = {
		.spm = malloc(SPM_ELEMS * 4),
		.acc = malloc(ACC_ELEMS * 4),
		.array_cols = COLS,
		.pool = pool,
		.cancel = &cancel,
	};
	struct gen g;

	assert_non_null(x.spm);
	assert_non_null(x.acc);
	gen_init(&g, gen_test_seed());
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct layer l = make_layer(&g, depthwise);

		for (int variant = NPU_CORE_VARIANT_SCALAR; variant <= NPU_CORE_VARIANT_AVX512;
		     variant++) {
			x.kern = npu_kern_get(variant);
			if (!x.kern)
				continue;
			memset(x.spm, 0, SPM_ELEMS * 4);
			check_input(&x, &l);
			check_weights(&x, &l);
		}
		free_layer(&l);
	}
	npu_pool_destroy(pool);
	free(x.spm);
	free(x.acc);
}

static void test_dense(void **state)
{
	(void)state;
	check_layers(false);
}

static void test_depthwise(void **state)
{
	(void)state;
	check_layers(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_depthwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
