/* SPDX-License-Identifier: MIT */
/* The mission's networks: builder, front half, kernel IR, against the oracle. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "npu_models.h"
#include "ref_init.h"
#include "ref_models.h"
#include "ref_test.h"

#define BATCH	3

static const enum ref_model oracle[NPU_NETS] = {
	[NPU_NET_CNN] = REF_MODEL_CNN,
	[NPU_NET_RNN] = REF_MODEL_RNN,
	[NPU_NET_ATTENTION] = REF_MODEL_ATTENTION,
};

static void compare(enum npu_net which, float *const *param, int64_t batch)
{
	uint32_t state = 77;
	struct ref_tensor images = scattered(SHAPE(batch, 28, 28), &state);
	struct ref_tensor want = counting(SHAPE(batch, 10), 0), got;
	struct net net;

	for (int64_t i = 0; i < batch * 784; i++)
		images.data[i] = fabsf(images.data[i]);
	assert_int_equal(ref_model_forward(oracle[which], (const float *const *)param,
					   images.data, batch, want.data), 0);
	net_take(&net, npu_net_build(which, batch, (const float *const *)param));
	assert_string_equal(npu_graph_error(net.g), "");
	net_bind(&net, 0, images.data);
	net_run(&net);
	got = net_result(&net, 0);
	expect_within(&got, &want, 1e-5);
	ref_tensor_free(&want);
	ref_tensor_free(&images);
	net_end(&net);
}

/* The oracle's own initialisation. */
static void test_forward(void **state)
{
	(void)state;
	for (enum npu_net n = 0; n < NPU_NETS; n++) {
		float *param[REF_MODEL_MAX_PARAMS];

		assert_int_equal(npu_net_params(n), ref_model_param_count(oracle[n]));
		assert_int_equal(ref_init_model(oracle[n], 5, param), 0);
		compare(n, param, 1);
		compare(n, param, BATCH);
		ref_init_model_free(param);
	}
}

static void check_glorot(const struct npu_net_param *p, const float *v)
{
	double field = p->rank == 4 ? 9 : 1, sum = 0, limit, max = 0;

	limit = sqrt(6 / (field * (double)(p->dim[p->rank - 1] + p->dim[p->rank - 2])));
	for (size_t i = 0; i < p->elems; i++) {
		sum += v[i];
		max = fmax(max, fabs(v[i]));
	}
	assert_true(max <= limit && max > 0.9 * limit);
	assert_true(fabs(sum / (double)p->elems) < 4 * limit / sqrt(3 * (double)p->elems));
}

/* Rows are orthonormal. */
static void check_orthogonal(const struct npu_net_param *p, const float *v)
{
	for (int64_t a = 0; a < p->dim[0]; a++)
		for (int64_t b = 0; b <= a; b++) {
			double dot = 0;

			for (int64_t i = 0; i < p->dim[1]; i++)
				dot += (double)v[a * p->dim[1] + i] * v[b * p->dim[1] + i];
			assert_true(fabs(dot - (a == b)) < 1e-6);
		}
}

static void test_init(void **state)
{
	(void)state;
	for (enum npu_net n = 0; n < NPU_NETS; n++) {
		float *param[NPU_NET_PARAMS_MAX], *again[NPU_NET_PARAMS_MAX];
		struct npu_net_param p;
		int count = npu_net_params(n);

		for (int i = 0; i < count; i++) {
			assert_int_equal(npu_net_param(n, (unsigned int)i, &p), 0);
			assert_int_equal(p.elems,
				ref_model_param_elems(ref_model_param(oracle[n], i)));
			param[i] = malloc(p.elems * sizeof(float));
			again[i] = malloc(p.elems * sizeof(float));
		}
		assert_int_equal(npu_net_init(n, 9, param), 0);
		assert_int_equal(npu_net_init(n, 9, again), 0);
		for (int i = 0; i < count; i++) {
			npu_net_param(n, (unsigned int)i, &p);
			assert_memory_equal(param[i], again[i], p.elems * sizeof(float));
			if (strstr(p.name, "recurrent"))
				check_orthogonal(&p, param[i]);
			else if (p.rank > 1)
				check_glorot(&p, param[i]);
			else
				for (size_t e = 0; e < p.elems; e++)
					assert_true(param[i][e] == (!strncmp(p.name, "lstm", 4) &&
								    e / (p.elems / 4) == 1));
		}
		assert_int_equal(npu_net_init(n, 10, again), 0);
		assert_memory_not_equal(param[0], again[0], sizeof(float) * 100);
		compare(n, param, BATCH);
		for (int i = 0; i < count; i++) {
			free(param[i]);
			free(again[i]);
		}
	}
}

/* No data movement of their own but what a reshape of strided data needs. */
static void test_no_copies(void **state)
{
	(void)state;
	for (enum npu_net n = 0; n < NPU_NETS; n++) {
		float *param[REF_MODEL_MAX_PARAMS];
		float images[784] = { 0 };
		struct net net;

		assert_int_equal(ref_init_model(oracle[n], 5, param), 0);
		net_take(&net, npu_net_build(n, 1, (const float *const *)param));
		net_bind(&net, 0, images);
		net_run(&net);
		assert_int_equal(net_count(&net, KIR_COPY), 0);
		net_end(&net);
		ref_init_model_free(param);
	}
}

static void test_bad_arguments(void **state)
{
	const float *none[NPU_NET_PARAMS_MAX] = { 0 };
	struct npu_net_param p;

	(void)state;
	assert_null(npu_net_build(NPU_NETS, 1, none));
	assert_null(npu_net_build(NPU_NET_CNN, 0, none));
	assert_null(npu_net_build(NPU_NET_CNN, 1, NULL));
	assert_null(npu_net_name(NPU_NETS));
	assert_int_equal(npu_net_params(NPU_NETS), -EINVAL);
	assert_int_equal(npu_net_param(NPU_NET_CNN, 8, &p), -EINVAL);
	assert_int_equal(npu_net_init(NPU_NETS, 1, NULL), -EINVAL);
	assert_string_equal(npu_net_name(NPU_NET_RNN), "rnn");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_no_copies),
		cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
