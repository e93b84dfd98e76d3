/* SPDX-License-Identifier: MIT */
/* Normalisations through front half and kernel IR. */
#include <math.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

#define EPSILON	0.01f

/* y = y op other, in place. */
static void apply(enum ref_binary_op op, struct ref_tensor *y, const struct ref_tensor *other)
{
	struct ref_tensor r;

	assert_int_equal(ref_binary(op, y, other, &r), 0);
	ref_tensor_free(y);
	*y = r;
}

/* A vector per channel as [c, 1, ...] for @rank dimensions. */
static struct ref_tensor column(const struct ref_tensor *v, int rank)
{
	int64_t dims[REF_MAX_RANK] = { v->dims[0], 1, 1, 1, 1, 1, 1 };

	return tensor(rank - 1, dims, v->data);
}

static void judge(struct net *net, struct nc_node *n, struct ref_tensor *want)
{
	net_add(net, n);
	net_output(net, net_out(n, 0));
	net_expect(net, want, 1e-3);
}

static void random_shape(int rank, int64_t *dims)
{
	net_shape(rank, 6, dims);
	/* Statistics over few elements cancel. */
	dims[rank - 1] += 8;
}

static void layer_norm(bool rms)
{
	int rank = 2 + (int)net_rand(3), axis = (int)net_rand((uint32_t)rank);
	struct ref_tensor x, scale, bias, want;
	int64_t dims[REF_MAX_RANK];
	struct nc_node *n;
	struct net net;
	int in[3];

	random_shape(rank, dims);
	x = net_values(rank, dims, -2, 3);
	scale = net_values(rank - axis, dims + axis, -1, 1);
	bias = net_values(rank - axis, dims + axis, -1, 1);
	assert_int_equal(ref_normalize(&x, ~0u << axis, !rms, EPSILON, &want), 0);
	apply(REF_MUL, &want, &scale);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_feed(&net, &scale);
	if (!rms) {
		in[2] = net_feed(&net, &bias);
		apply(REF_ADD, &want, &bias);
	}
	n = net_node(&net, rms ? "RMSNormalization" : "LayerNormalization", rms ? 2 : 3, in, 1);
	nc_attr_set_int(net.g, n, "axis", net_rand(2) ? axis : axis - rank);
	nc_attr_set_float(net.g, n, "epsilon", EPSILON);
	judge(&net, n, &want);
	ref_tensor_free(&x);
	ref_tensor_free(&scale);
	ref_tensor_free(&bias);
}

static void test_layer_norm(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		layer_norm(i & 1);
}

/* Instance, group, and batch normalisation in training mode. */
static void channel_norm(int kind)
{
	static const char *const names[] = {
		"InstanceNormalization", "GroupNormalization", "BatchNormalization"
	};
	int rank = 3 + (int)net_rand(2);
	struct ref_tensor x, v[4], flat, normal, want, col;
	int64_t dims[REF_MAX_RANK], groups = 1 + net_rand(3), flat_dims[3];
	struct nc_node *n;
	struct net net;
	int in[5];

	random_shape(rank, dims);
	dims[1] *= groups;
	x = net_values(rank, dims, -2, 3);
	for (int i = 0; i < 4; i++)
		v[i] = net_values(1, dims + 1, 0.1f, 1);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	for (int i = 0; i < 4; i++)
		in[1 + i] = net_feed(&net, &v[i]);
	n = net_node(&net, names[kind], kind == 2 ? 5 : 3, in, 1);
	nc_attr_set_float(net.g, n, "epsilon", EPSILON);
	if (kind == 2) {
		nc_attr_set_int(net.g, n, "training_mode", 1);
		assert_int_equal(ref_normalize(&x, ~2u, true, EPSILON, &want), 0);
	} else {
		flat_dims[0] = dims[0];
		flat_dims[1] = kind == 1 ? groups : dims[1];
		flat_dims[2] = -1;
		if (kind == 1)
			nc_attr_set_int(net.g, n, "num_groups", groups);
		assert_int_equal(ref_reshape(&x, 3, flat_dims, false, &flat), 0);
		assert_int_equal(ref_normalize(&flat, 4, true, EPSILON, &normal), 0);
		assert_int_equal(ref_reshape(&normal, rank, dims, false, &want), 0);
		ref_tensor_free(&flat);
		ref_tensor_free(&normal);
	}
	for (int i = 0; i < 2; i++) {
		col = column(&v[i], rank);
		apply(i ? REF_ADD : REF_MUL, &want, &col);
		ref_tensor_free(&col);
	}
	judge(&net, n, &want);
	ref_tensor_free(&x);
	for (int i = 0; i < 4; i++)
		ref_tensor_free(&v[i]);
}

static void test_channel_norm(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		channel_norm(i % 3);
}

/* With given statistics: constants become one factor and one summand. */
static void batch_norm(bool known)
{
	int rank = 2 + (int)net_rand(3);
	int64_t dims[REF_MAX_RANK];
	struct ref_tensor x, v[4], want, col;
	struct nc_node *n;
	struct net net;
	int in[5];

	net_shape(rank, 6, dims);
	x = net_values(rank, dims, -2, 3);
	want = tensor(rank, dims, x.data);
	for (int i = 0; i < 4; i++)
		v[i] = net_values(1, dims + 1, 0.5f, 1);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	for (int i = 0; i < 4; i++)
		in[1 + i] = known ? net_const(&net, &v[i]) : net_feed(&net, &v[i]);
	n = net_node(&net, "BatchNormalization", 5, in, 1);
	nc_attr_set_float(net.g, n, "epsilon", EPSILON);
	for (int i = 0; i < 4; i++) {
		static const struct { int in; enum ref_binary_op op; } order[] = {
			{ 2, REF_SUB }, { 3, REF_DIV }, { 0, REF_MUL }, { 1, REF_ADD },
		};

		col = column(&v[order[i].in], rank);
		for (int64_t e = 0; order[i].op == REF_DIV && e < ref_tensor_elems(&col); e++)
			col.data[e] = sqrtf(col.data[e] + EPSILON);
		apply(order[i].op, &want, &col);
		ref_tensor_free(&col);
	}
	judge(&net, n, &want);
	ref_tensor_free(&x);
	for (int i = 0; i < 4; i++)
		ref_tensor_free(&v[i]);
}

static void test_batch_norm(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		batch_norm(i & 1);
}

static void test_lrn(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		int rank = 3 + (int)net_rand(3);
		int64_t dims[REF_MAX_RANK], size = 1 + net_rand(6);
		struct ref_tensor x, want;
		struct nc_node *n;
		struct net net;
		int in;

		net_shape(rank, 6, dims);
		x = net_values(rank, dims, -3, 3);
		net_begin(&net);
		in = net_feed(&net, &x);
		n = net_node(&net, "LRN", 1, &in, 1);
		nc_attr_set_int(net.g, n, "size", size);
		nc_attr_set_float(net.g, n, "alpha", 0.5f);
		nc_attr_set_float(net.g, n, "beta", 0.6f);
		nc_attr_set_float(net.g, n, "bias", 1.5f);
		assert_int_equal(ref_lrn(&x, size, 0.5, 0.6f, 1.5, &want), 0);
		judge(&net, n, &want);
		ref_tensor_free(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layer_norm),
		cmocka_unit_test(test_channel_norm),
		cmocka_unit_test(test_batch_norm),
		cmocka_unit_test(test_lrn),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
