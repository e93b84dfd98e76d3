/* SPDX-License-Identifier: MIT */
/* Normalisations through front half and kernel IR. */
#include <math.h>
#include <string.h>

#include "nc.h"
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

/* Statistics of half precision are singles unless the model says otherwise. */
static void test_stash_type(void **state)
{
	static const enum npu_graph_dtype want[] = { NPU_GRAPH_F32, NPU_GRAPH_F16 };
	const int64_t onnx[] = { 1, 10 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct nc_node *n;
		struct net net;
		int in[2];

		net_begin(&net);
		in[0] = npu_graph_input(net.g, "x", NPU_GRAPH_F16, 2, INTS(3, 4));
		in[1] = npu_graph_input(net.g, "s", NPU_GRAPH_F16, 1, INTS(4));
		n = net_node(&net, "LayerNormalization", 2, in, 3);
		nc_attr_set_int(net.g, n, "stash_type", onnx[i]);
		nc_attr_set_float(net.g, n, "epsilon", 1e-12f);
		net_add(&net, n);
		assert_int_equal(net.g->tensor[net_out(n, 0)]->dtype, NPU_GRAPH_F16);
		for (uint32_t k = 1; k < 3; k++) {
			assert_int_equal(net.g->tensor[net_out(n, k)]->dtype, want[i]);
			npu_graph_output(net.g, k == 1 ? "mean" : "inverse", net_out(n, k));
		}
		net_bind(&net, 0, VALUES(1, 2, 3, 6, 0, 0, 4, 4, 1, 1, 1, 1));
		net_bind(&net, 1, VALUES(1, 1, 1, 1));
		net_run(&net);
		for (uint32_t t = 0; t < net.k->tensors; t++)
			if (net.k->tensor[t].kind == KIR_OUTPUT &&
			    !strcmp(net.k->tensor[t].name, "mean"))
				assert_memory_equal(net.data->word[t], VALUES(3, 2), 8);
		/* What is added to the variance is not rounded to half precision. */
		for (uint32_t t = 0; t < net.k->tensors; t++)
			if (net.k->tensor[t].kind == KIR_OUTPUT &&
			    !strcmp(net.k->tensor[t].name, "inverse"))
				assert_true(((float *)net.data->word[t])[2] > 0.99e6f);
		net_end(&net);
	}
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

/* A node over @a and a number (or nothing), as exporters write functions out. */
static int op(struct net *net, const char *name, int a, const float *value)
{
	struct ref_tensor scalar;
	struct nc_node *n;
	int in[2] = { a };

	if (value) {
		scalar = tensor(0, NULL, value);
		in[1] = net_const(net, &scalar);
		ref_tensor_free(&scalar);
	}
	n = net_node(net, name, value ? 2 : 1, in, 1);
	net_add(net, n);
	return net_out(n, 0);
}

static int op2(struct net *net, const char *name, int a, int b)
{
	struct nc_node *n = net_node(net, name, 2, (const int[]){ a, b }, 1);

	net_add(net, n);
	return net_out(n, 0);
}

static int mean(struct net *net, int x)
{
	return op2(net, "ReduceMean", x, net_ints(net, INTS(-1), 1));
}

#define NUMBER(v)	VALUES(v)

static int gelu(struct net *net, int x)
{
	int t = op(net, "Erf", op(net, "Div", x, NUMBER(1.41421356f)), NULL);

	return op(net, "Mul", op2(net, "Mul", x, op(net, "Add", t, NUMBER(1))), NUMBER(0.5f));
}

static int hard_swish(struct net *net, int x)
{
	struct ref_tensor six = tensor(0, NULL, NUMBER(6)), zero = tensor(0, NULL, NUMBER(0));
	int in[3] = { op(net, "Add", x, NUMBER(3)), net_const(net, &zero), net_const(net, &six) };
	struct nc_node *n = net_node(net, "Clip", 3, in, 1);

	net_add(net, n);
	ref_tensor_free(&six);
	ref_tensor_free(&zero);
	return op(net, "Div", op2(net, "Mul", x, net_out(n, 0)), NUMBER(6));
}

static int layer_norm_parts(struct net *net, int x, int scale, int bias)
{
	int centred = op2(net, "Sub", x, mean(net, x));
	int var = mean(net, op(net, "Pow", centred, NUMBER(2)));
	int t = op(net, "Sqrt", op(net, "Add", var, NUMBER(1e-5f)), NULL);

	t = op2(net, "Mul", op2(net, "Div", centred, t), scale);
	return op2(net, "Add", t, bias);
}

static int layer_norm_whole(struct net *net, int x, int scale, int bias)
{
	struct nc_node *n = net_node(net, "LayerNormalization", 3,
				     (const int[]){ x, scale, bias }, 1);

	net_add(net, n);
	return net_out(n, 0);
}

/* Operations that are left after fusing. */
static unsigned int fused(struct net *net, int y)
{
	struct nc_diag diag = { "" };
	struct nc_back b = { .diag = &diag };
	unsigned int ops;

	npu_graph_output(net->g, "y", y);
	net_run(net);
	b.arena = net->k->arena;
	b.k = net->k;
	assert_int_equal(nc_target_set(&b, NULL), 0);
	assert_int_equal(nc_fuse(&b), 0);
	ops = net->k->ops;
	net_end(net);
	return ops;
}

/* Written out, functions cost what the operators do: no pass has to recognise them. */
static void test_written_out(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 5, 40), -3, 3);
	struct ref_tensor scale = net_values(SHAPE(40), 1, 2);
	unsigned int ops[2];
	struct net net;

	(void)state;
	net_begin(&net);
	assert_int_equal(fused(&net, gelu(&net, net_input(&net, &x))), 1);
	net_begin(&net);
	assert_int_equal(fused(&net, hard_swish(&net, net_input(&net, &x))), 1);
	for (int i = 0; i < 2; i++) {
		int in, s;

		net_begin(&net);
		in = net_input(&net, &x);
		s = net_const(&net, &scale);
		ops[i] = fused(&net, i ? layer_norm_whole(&net, in, s, s) :
					 layer_norm_parts(&net, in, s, s));
	}
	assert_true(ops[0] <= ops[1]);
	ref_tensor_free(&x);
	ref_tensor_free(&scale);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layer_norm),
		cmocka_unit_test(test_stash_type),
		cmocka_unit_test(test_channel_norm),
		cmocka_unit_test(test_batch_norm),
		cmocka_unit_test(test_lrn),
		cmocka_unit_test(test_written_out),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
