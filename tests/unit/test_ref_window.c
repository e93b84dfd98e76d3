// SPDX-License-Identifier: MIT
/* The oracle's convolution, pooling, products and attention. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_test.h"

/* 5x5 and 7x5 counting images under a 3x3 box, as in the ONNX examples. */
static void conv_of_a_box(void **state)
{
	struct ref_tensor x = counting(SHAPE(1, 1, 5, 5), 0);
	struct ref_tensor tall = counting(SHAPE(1, 1, 7, 5), 0), w, y;
	struct ref_window plain = { 0 };
	struct ref_window pads = { .kernel = { 3, 3 },
				   .pads = { 1, 1, 1, 1 } };
	struct ref_window strides = { .strides = { 2, 2 },
				      .pads = { 1, 1, 1, 1 } };
	struct ref_window uneven = { .strides = { 2, 2 },
				     .pads = { 1, 0, 1, 0 } };
	struct ref_window same = { .auto_pad = REF_PAD_SAME_LOWER,
				   .strides = { 2, 2 } };

	(void)state;
	w = tensor(SHAPE(1, 1, 3, 3), VALUES(1, 1, 1, 1, 1, 1, 1, 1, 1));
	assert_int_equal(ref_conv(&plain, 1, &x, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 1, 3, 3),
	       VALUES(54, 63, 72, 99, 108, 117, 144, 153, 162));
	assert_int_equal(ref_conv(&pads, 0, &x, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 1, 5, 5),
	       VALUES(12, 21, 27, 33, 24, 33, 54, 63, 72, 51,
		      63, 99, 108, 117, 81, 93, 144, 153, 162, 111,
		      72, 111, 117, 123, 84));
	assert_int_equal(ref_conv(&strides, 1, &tall, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 1, 4, 3), VALUES(12, 27, 24, 63, 108, 81,
					     123, 198, 141, 112, 177, 124));
	assert_int_equal(ref_conv(&uneven, 1, &tall, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 1, 4, 2),
	       VALUES(21, 33, 99, 117, 189, 207, 171, 183));
	assert_int_equal(ref_conv(&same, 1, &x, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 1, 3, 3),
	       VALUES(12, 27, 24, 63, 108, 81, 72, 117, 84));
	ref_tensor_free(&x);
	ref_tensor_free(&tall);
	ref_tensor_free(&w);
}

static void conv_in_one_dimension(void **state)
{
	struct ref_tensor x = tensor(SHAPE(1, 1, 3), VALUES(1, 2, 3)), y;
	struct ref_tensor w = tensor(SHAPE(2, 1, 2), VALUES(1, 1, 1, -1));
	struct ref_tensor b = tensor(SHAPE(2), VALUES(0.5f, 100));
	struct ref_window win = { .auto_pad = REF_PAD_SAME_UPPER };

	(void)state;
	assert_int_equal(ref_conv(&win, 1, &x, &w, &b, &y), 0);
	expect(&y, SHAPE(1, 2, 3), VALUES(3.5f, 5.5f, 3.5f, 99, 99, 103));
	win.auto_pad = REF_PAD_SAME_LOWER;
	assert_int_equal(ref_conv(&win, 1, &x, &w, &b, &y), 0);
	expect(&y, SHAPE(1, 2, 3), VALUES(1.5f, 3.5f, 5.5f, 99, 99, 99));
	win.auto_pad = REF_PAD_VALID;
	assert_int_equal(ref_conv(&win, 1, &x, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 2, 2), VALUES(3, 5, -1, -1));
	win = (struct ref_window){ .dilations = { 2 }, .pads = { 0, 1 } };
	assert_int_equal(ref_conv(&win, 1, &x, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 2, 2), VALUES(4, 2, -2, 2));
	/* Stride beyond the kernel: SAME needs no padding at all. */
	win = (struct ref_window){ .auto_pad = REF_PAD_SAME_UPPER,
				   .strides = { 3 } };
	assert_int_equal(ref_conv(&win, 1, &x, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 2, 1), VALUES(3, -1));
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&b);
}

static void conv_in_groups(void **state)
{
	struct ref_tensor x = tensor(SHAPE(1, 4, 1), VALUES(1, 2, 3, 4)), y;
	struct ref_tensor w = tensor(SHAPE(4, 2, 1),
				     VALUES(1, 10, 2, 0, 1, 10, 0, 2));
	struct ref_tensor dw = tensor(SHAPE(8, 1, 1),
				      VALUES(1, 2, 3, 4, 5, 6, 7, 8));
	struct ref_window win = { 0 };

	(void)state;
	assert_int_equal(ref_conv(&win, 2, &x, &w, NULL, &y), 0);
	expect(&y, SHAPE(1, 4, 1), VALUES(21, 2, 43, 8));
	assert_int_equal(ref_conv(&win, 4, &x, &dw, NULL, &y), 0);
	expect(&y, SHAPE(1, 8, 1), VALUES(1, 2, 6, 8, 15, 18, 28, 32));
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&dw);
}

/* A kernel of one 1 at its centre, channel to channel, changes nothing. */
static void conv_identity_kernel(void **state)
{
	uint32_t rng = 3;
	struct ref_tensor x = scattered(SHAPE(2, 3, 4, 5, 6), &rng), w, y;
	struct ref_window win = { .pads = { 1, 1, 1, 1, 1, 1 } };

	(void)state;
	assert_int_equal(ref_tensor_alloc(&w, SHAPE(3, 3, 3, 3, 3)), 0);
	for (int c = 0; c < 3; c++)
		w.data[(c * 3 + c) * 27 + 13] = 1;
	assert_int_equal(ref_conv(&win, 1, &x, &w, NULL, &y), 0);
	expect_same(&y, &x);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
}

/* Dilation is a kernel with holes; depth 1 is one dimension less. */
static void conv_dilation_is_holes(void **state)
{
	uint32_t rng = 4;
	struct ref_tensor x = scattered(SHAPE(1, 2, 9, 8), &rng);
	struct ref_tensor w = scattered(SHAPE(3, 2, 2, 3), &rng);
	struct ref_tensor holes, y, z;
	struct ref_window dilated = { .dilations = { 3, 2 },
				      .strides = { 2, 1 },
				      .pads = { 1, 2, 0, 1 } };
	struct ref_window plain = { .strides = { 2, 1 },
				    .pads = { 1, 2, 0, 1 } };
	struct ref_window deep = { .dilations = { 1, 3, 2 },
				   .strides = { 1, 2, 1 },
				   .pads = { 0, 1, 2, 0, 0, 1 } };
	struct ref_tensor x3, w3;

	(void)state;
	assert_int_equal(ref_tensor_alloc(&holes, SHAPE(3, 2, 4, 5)), 0);
	for (int mc = 0; mc < 6; mc++)
		for (int kh = 0; kh < 2; kh++)
			for (int kw = 0; kw < 3; kw++)
				holes.data[(mc * 4 + kh * 3) * 5 + kw * 2] =
					w.data[(mc * 2 + kh) * 3 + kw];
	assert_int_equal(ref_conv(&dilated, 1, &x, &w, NULL, &y), 0);
	assert_int_equal(ref_conv(&plain, 1, &x, &holes, NULL, &z), 0);
	expect_same(&z, &y);
	x3 = tensor(SHAPE(1, 2, 1, 9, 8), x.data);
	w3 = tensor(SHAPE(3, 2, 1, 2, 3), w.data);
	assert_int_equal(ref_conv(&deep, 1, &x3, &w3, NULL, &z), 0);
	assert_int_equal(z.rank, 5);
	z.rank = 4;
	z.dims[2] = z.dims[3];
	z.dims[3] = z.dims[4];
	expect_same(&z, &y);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&x3);
	ref_tensor_free(&w3);
	ref_tensor_free(&holes);
	ref_tensor_free(&y);
}

static void bad_convs_are_refused(void **state)
{
	struct ref_tensor x = counting(SHAPE(1, 4, 3, 3), 0), y;
	struct ref_tensor w = counting(SHAPE(4, 4, 2, 2), 0);
	struct ref_tensor w3 = counting(SHAPE(3, 2, 2, 2), 0);
	struct ref_tensor big = counting(SHAPE(4, 4, 4, 4), 0);
	struct ref_tensor flat = counting(SHAPE(1, 4), 0);
	struct ref_tensor b = counting(SHAPE(3), 0);
	struct ref_window win = { 0 };
	struct ref_window bad[] = {
		{ .strides = { -1, 1 } },
		{ .dilations = { 1, -2 } },
		{ .pads = { 0, 0, 0, -1 } },
		{ .kernel = { 2, 3 } },
		{ .kernel = { 2, 0 } },
		{ .auto_pad = REF_PAD_VALID, .pads = { 1 } },
		{ .auto_pad = 9 },
		{ .dilations = { 3, 3 } },
		{ .pads = { 0, INT64_MAX, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_refused(ref_conv(&bad[i], 1, &x, &w, NULL, &y), y);
	assert_refused(ref_conv(&win, 2, &x, &w, NULL, &y), y);
	assert_refused(ref_conv(&win, 2, &x, &w3, NULL, &y), y);
	assert_refused(ref_conv(&win, -1, &x, &w, NULL, &y), y);
	assert_refused(ref_conv(&win, 1, &x, &big, NULL, &y), y);
	assert_refused(ref_conv(&win, 1, &flat, &w, NULL, &y), y);
	assert_refused(ref_conv(&win, 1, &x, &w, &b, &y), y);
	assert_refused(ref_conv(NULL, 1, &x, &w, NULL, &y), y);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&w3);
	ref_tensor_free(&big);
	ref_tensor_free(&flat);
	ref_tensor_free(&b);
}

/* The precomputed examples of the ONNX pooling operators. */
static void max_pool_examples(void **state)
{
	struct ref_tensor x = counting(SHAPE(1, 1, 5, 5), 1), y;
	struct ref_tensor four = counting(SHAPE(1, 1, 4, 4), 1);
	struct ref_pool pads = { .win = { .kernel = { 5, 5 },
					  .pads = { 2, 2, 2, 2 } } };
	struct ref_pool same = { .win = { .auto_pad = REF_PAD_SAME_UPPER,
					  .kernel = { 3, 3 },
					  .strides = { 2, 2 } } };
	struct ref_pool ceiling = { .win = { .kernel = { 3, 3 },
					     .strides = { 2, 2 } },
				    .ceil_mode = true };
	struct ref_pool dilated = { .win = { .kernel = { 2, 2 },
					     .dilations = { 2, 2 } } };

	(void)state;
	assert_int_equal(ref_max_pool(&pads, &x, &y, NULL), 0);
	expect(&y, SHAPE(1, 1, 5, 5),
	       VALUES(13, 14, 15, 15, 15, 18, 19, 20, 20, 20,
		      23, 24, 25, 25, 25, 23, 24, 25, 25, 25,
		      23, 24, 25, 25, 25));
	assert_int_equal(ref_max_pool(&same, &x, &y, NULL), 0);
	expect(&y, SHAPE(1, 1, 3, 3), VALUES(7, 9, 10, 17, 19, 20, 22, 24, 25));
	assert_int_equal(ref_max_pool(&ceiling, &four, &y, NULL), 0);
	expect(&y, SHAPE(1, 1, 2, 2), VALUES(11, 12, 15, 16));
	assert_int_equal(ref_max_pool(&dilated, &four, &y, NULL), 0);
	expect(&y, SHAPE(1, 1, 2, 2), VALUES(11, 12, 15, 16));
	ref_tensor_free(&x);
	ref_tensor_free(&four);
}

static void max_pool_indices(void **state)
{
	struct ref_tensor x = counting(SHAPE(1, 1, 5, 5), 1), y;
	struct ref_tensor flat = tensor(SHAPE(1, 2, 4),
					VALUES(3, 3, NAN, 4, 0, 0, 0, 0));
	struct ref_pool pool = { .win = { .kernel = { 2, 2 },
					  .strides = { 2, 2 } } };
	struct ref_pool line = { .win = { .kernel = { 2 },
					  .strides = { 2 } } };
	static const int64_t by_row[] = { 6, 8, 16, 18 };
	static const int64_t by_column[] = { 6, 16, 8, 18 };
	static const int64_t first[] = { 0, 2, 4, 6 };
	int64_t *idx;

	(void)state;
	assert_int_equal(ref_max_pool(&pool, &x, &y, &idx), 0);
	assert_memory_equal(idx, by_row, sizeof(by_row));
	free(idx);
	expect(&y, SHAPE(1, 1, 2, 2), VALUES(7, 9, 17, 19));
	pool.storage_order = 1;
	assert_int_equal(ref_max_pool(&pool, &x, &y, &idx), 0);
	assert_memory_equal(idx, by_column, sizeof(by_column));
	free(idx);
	ref_tensor_free(&y);
	assert_int_equal(ref_max_pool(&line, &flat, &y, &idx), 0);
	assert_memory_equal(idx, first, sizeof(first));
	free(idx);
	expect(&y, SHAPE(1, 2, 2), VALUES(3, NAN, 0, 0));
	pool.storage_order = 2;
	assert_refused(ref_max_pool(&pool, &x, &y, &idx), y);
	assert_null(idx);
	ref_tensor_free(&x);
	ref_tensor_free(&flat);
}

static void average_pool_examples(void **state)
{
	struct ref_tensor x = counting(SHAPE(1, 1, 5, 5), 1), y;
	struct ref_tensor four = counting(SHAPE(1, 1, 4, 4), 1);
	struct ref_tensor two = counting(SHAPE(1, 1, 2, 2), 1);
	struct ref_pool pads = { .win = { .kernel = { 5, 5 },
					  .pads = { 2, 2, 2, 2 } } };
	struct ref_pool ceiling = { .win = { .kernel = { 3, 3 },
					     .strides = { 2, 2 } },
				    .ceil_mode = true };
	struct ref_pool corner = { .win = { .kernel = { 3, 3 },
					    .strides = { 3, 3 },
					    .pads = { 1, 1, 1, 1 } },
				   .ceil_mode = true };

	(void)state;
	assert_int_equal(ref_average_pool(&pads, &x, &y), 0);
	expect(&y, SHAPE(1, 1, 5, 5),
	       VALUES(7, 7.5f, 8, 8.5f, 9, 9.5f, 10, 10.5f, 11, 11.5f,
		      12, 12.5f, 13, 13.5f, 14, 14.5f, 15, 15.5f, 16, 16.5f,
		      17, 17.5f, 18, 18.5f, 19));
	pads.count_include_pad = true;
	assert_int_equal(ref_average_pool(&pads, &x, &y), 0);
	expect(&y, SHAPE(1, 1, 5, 5),
	       VALUES(2.52f, 3.6f, 4.8f, 4.08f, 3.24f,
		      4.56f, 6.4f, 8.4f, 7.04f, 5.52f,
		      7.2f, 10, 13, 10.8f, 8.4f,
		      6.96f, 9.6f, 12.4f, 10.24f, 7.92f,
		      6.12f, 8.4f, 10.8f, 8.88f, 6.84f));
	assert_int_equal(ref_average_pool(&ceiling, &four, &y), 0);
	expect(&y, SHAPE(1, 1, 2, 2), VALUES(6, 7.5f, 12, 13.5f));
	/* What ceil_mode adds beyond the padding is never counted. */
	ceiling.count_include_pad = true;
	assert_int_equal(ref_average_pool(&ceiling, &four, &y), 0);
	expect(&y, SHAPE(1, 1, 2, 2), VALUES(6, 7.5f, 12, 13.5f));
	/* The second window would start in the end padding. */
	corner.count_include_pad = true;
	assert_int_equal(ref_average_pool(&corner, &two, &y), 0);
	expect(&y, SHAPE(1, 1, 1, 1), VALUES(10.0f / 9));
	ref_tensor_free(&x);
	ref_tensor_free(&four);
	ref_tensor_free(&two);
}

static void pool_in_other_ranks(void **state)
{
	struct ref_tensor x = counting(SHAPE(1, 2, 5), 0), y;
	struct ref_tensor cube = counting(SHAPE(1, 1, 2, 2, 4), 0);
	struct ref_pool line = { .win = { .kernel = { 3 }, .pads = { 1, 0 },
					  .strides = { 2 } } };
	struct ref_pool box = { .win = { .kernel = { 2, 2, 2 },
					 .strides = { 1, 1, 2 } } };

	(void)state;
	assert_int_equal(ref_max_pool(&line, &x, &y, NULL), 0);
	expect(&y, SHAPE(1, 2, 2), VALUES(1, 3, 6, 8));
	assert_int_equal(ref_average_pool(&line, &x, &y), 0);
	expect(&y, SHAPE(1, 2, 2), VALUES(0.5f, 2, 5.5f, 7));
	assert_int_equal(ref_max_pool(&box, &cube, &y, NULL), 0);
	expect(&y, SHAPE(1, 1, 1, 1, 2), VALUES(13, 15));
	assert_int_equal(ref_average_pool(&box, &cube, &y), 0);
	expect(&y, SHAPE(1, 1, 1, 1, 2), VALUES(6.5f, 8.5f));
	assert_int_equal(ref_global_average_pool(&cube, &y), 0);
	expect(&y, SHAPE(1, 1, 1, 1, 1), VALUES(7.5f));
	assert_int_equal(ref_global_max_pool(&x, &y), 0);
	expect(&y, SHAPE(1, 2, 1), VALUES(4, 9));
	ref_tensor_free(&x);
	ref_tensor_free(&cube);
}

static void bad_pools_are_refused(void **state)
{
	struct ref_tensor x = counting(SHAPE(1, 1, 3), 0), y;
	struct ref_tensor flat = counting(SHAPE(2, 3), 0);
	struct ref_tensor none = tensor(SHAPE(1, 1, 0), NULL);
	struct ref_pool no_kernel = { 0 };
	struct ref_pool too_big = { .win = { .kernel = { 4 } } };
	struct ref_pool only_pad = { .win = { .kernel = { 2 },
					      .pads = { 2, 0 } } };

	(void)state;
	assert_refused(ref_max_pool(&no_kernel, &x, &y, NULL), y);
	assert_refused(ref_max_pool(&too_big, &x, &y, NULL), y);
	assert_refused(ref_max_pool(&only_pad, &x, &y, NULL), y);
	assert_refused(ref_average_pool(&only_pad, &x, &y), y);
	assert_refused(ref_average_pool(NULL, &x, &y), y);
	assert_refused(ref_global_max_pool(&flat, &y), y);
	assert_refused(ref_global_average_pool(&none, &y), y);
	ref_tensor_free(&x);
	ref_tensor_free(&flat);
	ref_tensor_free(&none);
}

static void gemm_forms(void **state)
{
	struct ref_tensor a = tensor(SHAPE(2, 3), VALUES(1, 2, 3, 4, 5, 6));
	struct ref_tensor b = tensor(SHAPE(3, 2), VALUES(1, 2, 3, 4, 5, 6));
	struct ref_tensor row = tensor(SHAPE(2), VALUES(10, 20));
	struct ref_tensor col = tensor(SHAPE(2, 1), VALUES(10, 20));
	struct ref_tensor one = tensor(SCALAR, VALUES(1));
	struct ref_tensor bad = counting(SHAPE(3), 0), y;
	struct ref_gemm both = { .alpha = 0.5f, .beta = 2, .trans_a = true,
				 .trans_b = true };

	(void)state;
	assert_int_equal(ref_gemm(NULL, &a, &b, NULL, &y), 0);
	expect(&y, SHAPE(2, 2), VALUES(22, 28, 49, 64));
	assert_int_equal(ref_gemm(NULL, &a, &b, &row, &y), 0);
	expect(&y, SHAPE(2, 2), VALUES(32, 48, 59, 84));
	assert_int_equal(ref_gemm(NULL, &a, &b, &col, &y), 0);
	expect(&y, SHAPE(2, 2), VALUES(32, 38, 69, 84));
	/* a^T b^T = (b a)^T */
	assert_int_equal(ref_gemm(&both, &a, &b, &one, &y), 0);
	expect(&y, SHAPE(3, 3), VALUES(6.5f, 11.5f, 16.5f, 8, 15, 22,
				       9.5f, 18.5f, 27.5f));
	assert_refused(ref_gemm(NULL, &a, &b, &bad, &y), y);
	assert_refused(ref_gemm(NULL, &a, &a, NULL, &y), y);
	assert_refused(ref_gemm(NULL, &row, &b, NULL, &y), y);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
	ref_tensor_free(&row);
	ref_tensor_free(&col);
	ref_tensor_free(&one);
	ref_tensor_free(&bad);
}

static void matmul_forms(void **state)
{
	struct ref_tensor a = tensor(SHAPE(2, 3), VALUES(1, 2, 3, 4, 5, 6));
	struct ref_tensor b = tensor(SHAPE(3, 2), VALUES(1, 2, 3, 4, 5, 6));
	struct ref_tensor v = tensor(SHAPE(3), VALUES(1, 10, 100)), y;
	struct ref_tensor batch = counting(SHAPE(2, 1, 1, 2), 1);
	struct ref_tensor wide = counting(SHAPE(3, 2, 1), 1);
	struct ref_tensor one = tensor(SCALAR, VALUES(1));

	(void)state;
	assert_int_equal(ref_matmul(&a, &b, &y), 0);
	expect(&y, SHAPE(2, 2), VALUES(22, 28, 49, 64));
	assert_int_equal(ref_matmul(&a, &v, &y), 0);
	expect(&y, SHAPE(2), VALUES(321, 654));
	assert_int_equal(ref_matmul(&v, &b, &y), 0);
	expect(&y, SHAPE(2), VALUES(531, 642));
	assert_int_equal(ref_matmul(&v, &v, &y), 0);
	expect(&y, SCALAR, VALUES(10101));
	assert_int_equal(ref_matmul(&batch, &wide, &y), 0);
	expect(&y, SHAPE(2, 3, 1, 1), VALUES(5, 11, 17, 11, 25, 39));
	assert_refused(ref_matmul(&a, &a, &y), y);
	assert_refused(ref_matmul(&a, &one, &y), y);
	assert_refused(ref_matmul(&one, &a, &y), y);
	ref_tensor_free(&a);
	ref_tensor_free(&b);
	ref_tensor_free(&v);
	ref_tensor_free(&batch);
	ref_tensor_free(&wide);
	ref_tensor_free(&one);
}

static void attention_by_hand(void **state)
{
	/* Scores of the first query: ln 1 and ln 3, so weights 1/4, 3/4. */
	struct ref_tensor q = tensor(SHAPE(1, 2, 1), VALUES(1, 0)), y;
	struct ref_tensor k = tensor(SHAPE(1, 2, 1), VALUES(0, 1.09861229f));
	struct ref_tensor v = tensor(SHAPE(1, 2, 2), VALUES(4, 0, 8, 4));
	struct ref_tensor hide = tensor(SHAPE(1, 2), VALUES(0, -INFINITY));
	struct ref_tensor bad = counting(SHAPE(1, 3, 2), 0);

	(void)state;
	assert_int_equal(ref_attention(&q, &k, &v, NULL, 0, &y), 0);
	expect(&y, SHAPE(1, 2, 2), VALUES(7, 3, 6, 2));
	/* Twice the score is the square of the odds: 1/10, 9/10. */
	assert_int_equal(ref_attention(&q, &k, &v, NULL, 2, &y), 0);
	expect(&y, SHAPE(1, 2, 2), VALUES(7.6f, 3.6f, 6, 2));
	assert_int_equal(ref_attention(&q, &k, &v, &hide, 0, &y), 0);
	expect(&y, SHAPE(1, 2, 2), VALUES(4, 0, 4, 0));
	assert_refused(ref_attention(&q, &k, &bad, NULL, 0, &y), y);
	assert_refused(ref_attention(&q, &v, &v, NULL, 0, &y), y);
	assert_refused(ref_attention(&q, &k, &v, &bad, 0, &y), y);
	ref_tensor_free(&q);
	ref_tensor_free(&k);
	ref_tensor_free(&v);
	ref_tensor_free(&hide);
	ref_tensor_free(&bad);
}

/* The same from MatMul, Mul, Add and Softmax, with a mask per query. */
static void attention_is_its_operators(void **state)
{
	uint32_t rng = 6;
	struct ref_tensor q = scattered(SHAPE(2, 3, 4, 5), &rng);
	struct ref_tensor k = scattered(SHAPE(2, 3, 6, 5), &rng);
	struct ref_tensor v = scattered(SHAPE(2, 3, 6, 7), &rng);
	struct ref_tensor mask = scattered(SHAPE(3, 4, 6), &rng);
	struct ref_tensor scale = tensor(SCALAR, VALUES(0.447213595f));
	struct ref_tensor kt, s, scaled, masked, p, want, y;

	(void)state;
	assert_int_equal(ref_transpose(&k, INTS(0, 1, 3, 2), &kt), 0);
	assert_int_equal(ref_matmul(&q, &kt, &s), 0);
	assert_int_equal(ref_binary(REF_MUL, &s, &scale, &scaled), 0);
	assert_int_equal(ref_binary(REF_ADD, &scaled, &mask, &masked), 0);
	assert_int_equal(ref_softmax(REF_SOFTMAX, &masked, -1, &p), 0);
	assert_int_equal(ref_matmul(&p, &v, &want), 0);
	assert_int_equal(ref_attention(&q, &k, &v, &mask, 0, &y), 0);
	expect_within(&y, &want, 1e-5);
	ref_tensor_free(&q);
	ref_tensor_free(&k);
	ref_tensor_free(&v);
	ref_tensor_free(&mask);
	ref_tensor_free(&scale);
	ref_tensor_free(&kt);
	ref_tensor_free(&s);
	ref_tensor_free(&scaled);
	ref_tensor_free(&masked);
	ref_tensor_free(&p);
	ref_tensor_free(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conv_of_a_box),
		cmocka_unit_test(conv_in_one_dimension),
		cmocka_unit_test(conv_in_groups),
		cmocka_unit_test(conv_identity_kernel),
		cmocka_unit_test(conv_dilation_is_holes),
		cmocka_unit_test(bad_convs_are_refused),
		cmocka_unit_test(max_pool_examples),
		cmocka_unit_test(max_pool_indices),
		cmocka_unit_test(average_pool_examples),
		cmocka_unit_test(pool_in_other_ranks),
		cmocka_unit_test(bad_pools_are_refused),
		cmocka_unit_test(gemm_forms),
		cmocka_unit_test(matmul_forms),
		cmocka_unit_test(attention_by_hand),
		cmocka_unit_test(attention_is_its_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
