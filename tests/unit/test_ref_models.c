// SPDX-License-Identifier: MIT
/*
 * The oracle's networks against the same networks made of its operators (two
 * pieces of code, two layouts), and the initialisers against their definitions.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_init.h"
#include "ref_models.h"
#include "ref_test.h"

#define BATCH 3

/* Rounding to fp32 after every operator separates the two ways. */
#define LAYERS_RTOL 2e-5

struct net {
	float *params[REF_MODEL_MAX_PARAMS];
	struct ref_tensor images; /* [BATCH, 28, 28] */
	struct ref_tensor probs;  /* [BATCH, 10] */
};

/* Parameters by seed, biases included, so that none can be forgotten. */
static void net_setup(struct net *net, enum ref_model model)
{
	uint32_t rng = 11 + (uint32_t)model;

	assert_int_equal(ref_init_model(model, 5, net->params), 0);
	for (int i = 0; i < ref_model_param_count(model); i++) {
		const struct ref_model_param *p = ref_model_param(model, i);

		if (p->rank > 1)
			continue;
		for (int64_t e = 0; e < ref_model_param_elems(p); e++)
			net->params[i][e] += 0.1f * sinf((float)(e + i));
	}
	net->images = scattered(SHAPE(BATCH, 28, 28), &rng);
	for (int i = 0; i < BATCH * 784; i++)
		net->images.data[i] = fabsf(net->images.data[i]);
	assert_int_equal(ref_tensor_alloc(&net->probs, SHAPE(BATCH, 10)), 0);
	assert_int_equal(ref_model_forward(model,
					   (const float *const *)net->params,
					   net->images.data, BATCH,
					   net->probs.data), 0);
}

static void net_teardown(struct net *net)
{
	ref_init_model_free(net->params);
	ref_tensor_free(&net->images);
	ref_tensor_free(&net->probs);
}

static struct ref_tensor param(const struct net *net, enum ref_model model,
			       int idx)
{
	const struct ref_model_param *p = ref_model_param(model, idx);

	return tensor(p->rank, p->dims, net->params[idx]);
}

/* The operators of a chain give up their input. */
static void take(struct ref_tensor *x, struct ref_tensor *y, int ret)
{
	assert_int_equal(ret, 0);
	ref_tensor_free(x);
	*x = *y;
}

static void then_transpose(struct ref_tensor *x, const int64_t *perm)
{
	struct ref_tensor y;
	int ret = ref_transpose(x, perm, &y);

	take(x, &y, ret);
}

static void then_reshape(struct ref_tensor *x, int rank, const int64_t *shape)
{
	struct ref_tensor y;
	int ret = ref_reshape(x, rank, shape, false, &y);

	take(x, &y, ret);
}

static void then_relu(struct ref_tensor *x)
{
	struct ref_tensor y;
	int ret = ref_unary(REF_RELU, NULL, x, &y);

	take(x, &y, ret);
}

static void then_dense(struct ref_tensor *x, const struct net *net,
		       enum ref_model model, int idx)
{
	struct ref_tensor w = param(net, model, idx);
	struct ref_tensor b = param(net, model, idx + 1), y, z;
	int ret = ref_matmul(x, &w, &y);

	take(x, &y, ret);
	ret = ref_binary(REF_ADD, x, &b, &z);
	take(x, &z, ret);
	ref_tensor_free(&w);
	ref_tensor_free(&b);
}

static void then_conv_relu_pool(struct ref_tensor *x, const struct net *net,
				int idx)
{
	struct ref_tensor w = param(net, REF_MODEL_CNN, idx);
	struct ref_tensor b = param(net, REF_MODEL_CNN, idx + 1), y;
	struct ref_window win = { 0 };
	struct ref_pool pool = { .win = { .kernel = { 2, 2 },
					  .strides = { 2, 2 } } };
	int ret;

	then_transpose(&w, INTS(3, 2, 0, 1));
	ret = ref_conv(&win, 1, x, &w, &b, &y);
	take(x, &y, ret);
	then_relu(x);
	ret = ref_max_pool(&pool, x, &y, NULL);
	take(x, &y, ret);
	ref_tensor_free(&w);
	ref_tensor_free(&b);
}

/* Softmax, then the verdict. */
static void finish(struct ref_tensor *x, struct net *net)
{
	struct ref_tensor y;
	int ret = ref_softmax(REF_SOFTMAX, x, -1, &y);

	take(x, &y, ret);
	expect_within(x, &net->probs, LAYERS_RTOL);
	net_teardown(net);
}

static void cnn_is_its_operators(void **state)
{
	struct net net;
	struct ref_tensor x;

	(void)state;
	net_setup(&net, REF_MODEL_CNN);
	x = tensor(SHAPE(BATCH, 1, 28, 28), net.images.data);
	then_conv_relu_pool(&x, &net, 0);
	then_conv_relu_pool(&x, &net, 2);
	then_transpose(&x, INTS(0, 2, 3, 1));
	then_reshape(&x, 2, INTS(0, -1));
	then_dense(&x, &net, REF_MODEL_CNN, 4);
	then_relu(&x);
	then_dense(&x, &net, REF_MODEL_CNN, 6);
	finish(&x, &net);
}

/* Keras [in, 4u] in order i, f, c, o to ONNX [1, 4u, in] in order i, o, f, c. */
static struct ref_tensor onnx_gates(const struct net *net, int idx)
{
	struct ref_tensor keras = param(net, REF_MODEL_RNN, idx);
	struct ref_tensor part[4], y;
	static const int64_t order[4] = { 0, 3, 1, 2 };

	if (keras.rank == 1)
		then_reshape(&keras, 2, INTS(1, -1));
	for (int g = 0; g < 4; g++) {
		int64_t start = order[g] * 64, end = start + 64;
		struct ref_slice cut = { .count = 1, .starts = &start,
					 .ends = &end, .axes = INTS(1) };

		assert_int_equal(ref_slice(&cut, &keras, &part[g]), 0);
	}
	assert_int_equal(ref_concat((const struct ref_tensor *[]){
				    &part[0], &part[1], &part[2], &part[3] },
				    4, 1, &y), 0);
	for (int g = 0; g < 4; g++)
		ref_tensor_free(&part[g]);
	ref_tensor_free(&keras);
	then_transpose(&y, NULL);
	then_reshape(&y, 3, INTS(1, 256, -1));
	return y;
}

static void then_lstm(struct ref_tensor *x, const struct net *net, int idx)
{
	static const enum ref_unary_op acts[] = { REF_SIGMOID, REF_RELU,
						  REF_RELU };
	struct ref_tensor w = onnx_gates(net, idx);
	struct ref_tensor r = onnx_gates(net, idx + 1);
	struct ref_tensor b = onnx_gates(net, idx + 2), y;
	struct ref_lstm attr = { .activations = acts, .layout = 1 };
	struct ref_lstm_inputs in = { .x = x, .w = &w, .r = &r, .b = &b };
	int ret;

	/* ONNX has a second bias; Keras does not. */
	then_reshape(&b, 2, INTS(1, 256));
	assert_int_equal(ref_pad(&b, 1, INTS(0, 256), INTS(1), 0, &y), 0);
	ref_tensor_free(&b);
	b = y;
	ret = ref_lstm(&attr, &in, &y, NULL, NULL);
	take(x, &y, ret);
	then_reshape(x, 3, INTS(BATCH, 28, 64));
	ref_tensor_free(&w);
	ref_tensor_free(&r);
	ref_tensor_free(&b);
}

static void rnn_is_its_operators(void **state)
{
	struct ref_slice last = { .count = 1, .starts = INTS(-1),
				  .ends = INTS(INT64_MAX), .axes = INTS(1) };
	struct net net;
	struct ref_tensor x, y;
	int ret;

	(void)state;
	net_setup(&net, REF_MODEL_RNN);
	x = tensor(SHAPE(BATCH, 28, 28), net.images.data);
	then_lstm(&x, &net, 0);
	then_lstm(&x, &net, 3);
	ret = ref_slice(&last, &x, &y);
	take(&x, &y, ret);
	then_reshape(&x, 2, INTS(BATCH, 64));
	then_dense(&x, &net, REF_MODEL_RNN, 6);
	finish(&x, &net);
}

static void attention_is_its_operators(void **state)
{
	struct ref_tensor x, q, k, v, y;
	struct net net;
	int ret;

	(void)state;
	net_setup(&net, REF_MODEL_ATTENTION);
	x = tensor(SHAPE(BATCH, 28, 28), net.images.data);
	then_dense(&x, &net, REF_MODEL_ATTENTION, 0);
	q = tensor(x.rank, x.dims, x.data);
	k = tensor(x.rank, x.dims, x.data);
	v = tensor(x.rank, x.dims, x.data);
	then_dense(&q, &net, REF_MODEL_ATTENTION, 2);
	then_dense(&k, &net, REF_MODEL_ATTENTION, 4);
	then_dense(&v, &net, REF_MODEL_ATTENTION, 6);
	ret = ref_attention(&q, &k, &v, NULL, 0, &y);
	take(&x, &y, ret);
	ref_tensor_free(&q);
	ref_tensor_free(&k);
	ref_tensor_free(&v);
	then_reshape(&x, 2, INTS(0, -1));
	then_dense(&x, &net, REF_MODEL_ATTENTION, 8);
	then_relu(&x);
	then_dense(&x, &net, REF_MODEL_ATTENTION, 10);
	finish(&x, &net);
}

static void zero_parameters_prefer_nothing(void **state)
{
	(void)state;
	for (int model = 0; model < REF_MODEL_COUNT; model++) {
		float *params[REF_MODEL_MAX_PARAMS], probs[10];
		float images[REF_MODEL_PIXELS];

		for (int i = 0; i < REF_MODEL_PIXELS; i++)
			images[i] = (float)(i % 7) / 7;
		assert_int_equal(ref_init_model(model, 1, params), 0);
		for (int i = 0; i < ref_model_param_count(model); i++)
			memset(params[i], 0, sizeof(float) * (size_t)
			       ref_model_param_elems(ref_model_param(model, i)));
		assert_int_equal(ref_model_forward(model,
						   (const float *const *)params,
						   images, 1, probs), 0);
		for (int i = 0; i < 10; i++)
			assert_true(fabs(probs[i] - 0.1) < 1e-7);
		ref_init_model_free(params);
	}
}

static void bad_models_are_refused(void **state)
{
	const float *params[REF_MODEL_MAX_PARAMS] = { NULL };
	float images[REF_MODEL_PIXELS] = { 0 }, probs[10];

	(void)state;
	assert_int_equal(ref_model_forward(REF_MODEL_CNN, params, images, 1,
					   probs), -EINVAL);
	assert_int_equal(ref_model_forward(REF_MODEL_COUNT, params, images, 1,
					   probs), -EINVAL);
	assert_int_equal(ref_model_forward(REF_MODEL_CNN, NULL, images, 1,
					   probs), -EINVAL);
	assert_int_equal(ref_model_param_count(-1), -EINVAL);
	assert_null(ref_model_param(REF_MODEL_RNN, 8));
	assert_null(ref_model_name(REF_MODEL_COUNT));
}

/* The sizes Keras prints for these networks. */
static void parameter_counts(void **state)
{
	static const int64_t want[REF_MODEL_COUNT] = {
		[REF_MODEL_CNN] = 121930,
		[REF_MODEL_RNN] = 57482,
		[REF_MODEL_ATTENTION] = 62154,
	};

	(void)state;
	for (int model = 0; model < REF_MODEL_COUNT; model++) {
		int64_t elems = 0;

		for (int i = 0; i < ref_model_param_count(model); i++)
			elems += ref_model_param_elems(ref_model_param(model, i));
		assert_int_equal(elems, want[model]);
	}
}

/* splitmix64 as it is published: a state that moves, then the mixing. */
static uint64_t splitmix64(uint64_t *rng)
{
	uint64_t z = *rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void generator_is_splitmix64(void **state)
{
	uint64_t zero = 0, rng = 42;

	(void)state;
	assert_true(splitmix64(&zero) == 0xe220a8397b1dcdafu);
	assert_true(splitmix64(&zero) == 0x6e789e6aa1b965f4u);
	rng = splitmix64(&rng) + 3;
	rng = splitmix64(&rng);
	for (uint64_t e = 0; e < 100; e++) {
		uint64_t bits = splitmix64(&rng);

		assert_true(ref_rng_bits(42, 3, e) == bits);
		assert_true(ref_rng_uniform(42, 3, e) ==
			    (double)(bits >> 11) / 9007199254740992.0);
	}
}

static void normal_has_its_moments(void **state)
{
	double sum = 0, square = 0, fourth = 0;
	const int count = 100000;

	(void)state;
	for (int e = 0; e < count; e++) {
		double v = ref_rng_normal(9, 1, (uint64_t)e);

		sum += v;
		square += v * v;
		fourth += v * v * v * v;
	}
	assert_true(fabs(sum / count) < 0.015);
	assert_true(fabs(square / count - 1) < 0.02);
	assert_true(fabs(fourth / count - 3) < 0.15);
}

static void glorot_has_its_limit(void **state)
{
	static const struct {
		int rank;
		int64_t dims[4];
		double fans;
	} cases[] = {
		{ 2, { 100, 50 }, 150 },
		{ 4, { 3, 3, 32, 64 }, 9 * 96 },
		{ 4, { 5, 3, 8, 4 }, 15 * 12 },
		{ 1, { 500 }, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		double limit = sqrt(6 / cases[i].fans), sum = 0, max = 0;
		int64_t elems = 1;
		float *out;

		for (int d = 0; d < cases[i].rank; d++)
			elems *= cases[i].dims[d];
		out = calloc((size_t)elems, sizeof(*out));
		assert_non_null(out);
		assert_int_equal(ref_init_glorot_uniform(1, i, cases[i].rank,
							 cases[i].dims, out), 0);
		for (int64_t e = 0; e < elems; e++) {
			sum += out[e];
			max = fabs(out[e]) > max ? fabs(out[e]) : max;
		}
		assert_true(max <= (float)limit && max > 0.97 * limit);
		assert_true(fabs(sum / (double)elems) < 0.1 * limit);
		free(out);
	}
	assert_int_equal(ref_init_glorot_uniform(1, 0, 0, NULL, NULL), -EINVAL);
}

/* Rows or columns, whichever are fewer, are orthonormal. */
static void orthogonal_is_orthonormal(void **state)
{
	static const int64_t sizes[][2] = { { 64, 256 }, { 20, 20 }, { 30, 7 } };
	static float m[64 * 256];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		int64_t rows = sizes[s][0], cols = sizes[s][1];
		bool by_row = rows < cols;
		int64_t few = by_row ? rows : cols, many = by_row ? cols : rows;

		assert_int_equal(ref_init_orthogonal(3, s, 2, sizes[s], m), 0);
		for (int64_t a = 0; a < few; a++)
		for (int64_t b = 0; b < few; b++) {
			double dot = 0;

			for (int64_t i = 0; i < many; i++)
				dot += by_row ?
				       (double)m[a * cols + i] * m[b * cols + i] :
				       (double)m[i * cols + a] * m[i * cols + b];
			assert_true(fabs(dot - (a == b)) < 1e-6);
		}
	}
	assert_int_equal(ref_init_orthogonal(3, 0, 1, INTS(4), m), -EINVAL);
}

/* For one column, Q is the normalised column and R its positive norm. */
static void orthogonal_keeps_the_sign(void **state)
{
	float q[5];
	double norm = 0;

	(void)state;
	assert_int_equal(ref_init_orthogonal(8, 2, 2, INTS(5, 1), q), 0);
	for (uint64_t e = 0; e < 5; e++)
		norm += pow(ref_rng_normal(8, 2, e), 2);
	for (uint64_t e = 0; e < 5; e++)
		assert_true(fabs(q[e] - ref_rng_normal(8, 2, e) / sqrt(norm)) <
			    1e-6);
}

static void lstm_bias_opens_the_forget_gate(void **state)
{
	float bias[12];

	(void)state;
	assert_int_equal(ref_init_lstm_bias(3, bias), 0);
	for (int i = 0; i < 12; i++)
		assert_true(bias[i] == (i >= 3 && i < 6 ? 1 : 0));
	assert_int_equal(ref_init_lstm_bias(0, bias), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cnn_is_its_operators),
		cmocka_unit_test(rnn_is_its_operators),
		cmocka_unit_test(attention_is_its_operators),
		cmocka_unit_test(zero_parameters_prefer_nothing),
		cmocka_unit_test(bad_models_are_refused),
		cmocka_unit_test(parameter_counts),
		cmocka_unit_test(generator_is_splitmix64),
		cmocka_unit_test(normal_has_its_moments),
		cmocka_unit_test(glorot_has_its_limit),
		cmocka_unit_test(orthogonal_is_orthonormal),
		cmocka_unit_test(orthogonal_keeps_the_sign),
		cmocka_unit_test(lstm_bias_opens_the_forget_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
