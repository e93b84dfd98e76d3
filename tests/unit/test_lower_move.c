/* SPDX-License-Identifier: MIT */
/* Operators that move elements, homes of outputs and concatenations, empty tensors. */
#include <string.h>

#include "net.h"
#include "ref_test.h"

static int64_t random_dims(int rank, int64_t *dims)
{
	int64_t elems = 1;

	net_shape(rank, 5, dims);
	for (int i = 0; i < rank; i++)
		elems *= dims[i];
	return elems;
}

/* Split @dims into factors and join neighbours: another shape of the same size. */
static int other_shape(int rank, const int64_t *dims, int64_t *out)
{
	int64_t elems = 1;
	int n = 0;

	for (int i = 0; i < rank; i++)
		elems *= dims[i];
	while (n < 6 && elems > 1) {
		int64_t f = 1 + net_rand((uint32_t)elems);

		while (elems % f)
			f--;
		if (f == 1 && net_rand(2))
			continue;
		out[n++] = f;
		elems /= f;
	}
	if (elems > 1)
		out[n++] = elems;
	return n;
}

static void finish(struct net *net, struct nc_node *n, struct ref_tensor *want)
{
	net_add(net, n);
	net_output(net, net_out(n, 0));
	net_expect(net, want, 1e-6);
}

static void reshape(void)
{
	int64_t dims[5], to[8];
	int rank = (int)net_rand(5), to_rank;
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	int in[2];

	random_dims(rank, dims);
	to_rank = other_shape(rank, dims, to);
	x = net_values(rank, dims, -1, 1);
	assert_int_equal(ref_reshape(&x, to_rank, to, false, &want), 0);
	if (to_rank && net_rand(2))
		to[net_rand((uint32_t)to_rank)] = -1;
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, to, to_rank);
	n = net_node(&net, "Reshape", 2, in, 1);
	finish(&net, n, &want);
	ref_tensor_free(&x);
}

static void flatten(void)
{
	int64_t dims[5];
	int rank = (int)net_rand(5), axis = (int)net_rand((uint32_t)rank + 1);
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	int in;

	random_dims(rank, dims);
	x = net_values(rank, dims, -1, 1);
	assert_int_equal(ref_flatten(&x, axis, &want), 0);
	net_begin(&net);
	in = net_feed(&net, &x);
	n = net_node(&net, "Flatten", 1, &in, 1);
	nc_attr_set_int(net.g, n, "axis", net_rand(2) || axis == rank ? axis : axis - rank);
	finish(&net, n, &want);
	ref_tensor_free(&x);
}

/* Unsqueeze by random axes, then Squeeze of the same. */
static void squeeze(void)
{
	int64_t dims[4], axes[2];
	int rank = (int)net_rand(4), count = 2;
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	int in[2];

	random_dims(rank, dims);
	x = net_values(rank, dims, -1, 1);
	assert_int_equal(ref_transpose(&x, (const int64_t[]){ 0, 1, 2, 3 }, &want), 0);
	axes[0] = net_rand((uint32_t)rank + 2);
	axes[1] = (axes[0] + 1 + net_rand((uint32_t)rank + 1)) % (rank + 2);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, axes, count);
	n = net_node(&net, "Unsqueeze", 2, in, 1);
	net_add(&net, n);
	in[0] = npu_graph_unary(net.g, NPU_UNARY_IDENTITY, net_out(n, 0), 0, 0);
	n = net_node(&net, "Squeeze", 2, in, 1);
	finish(&net, n, &want);
	ref_tensor_free(&x);
}

static void transpose(void)
{
	int64_t dims[6], perm[6];
	int rank = (int)net_rand(6);
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	bool given = net_rand(3);
	int in;

	random_dims(rank, dims);
	for (int i = 0; i < rank; i++) {
		int j = (int)net_rand((uint32_t)i + 1);

		perm[i] = perm[j];
		perm[j] = i;
	}
	x = net_values(rank, dims, -1, 1);
	assert_int_equal(ref_transpose(&x, given ? perm : NULL, &want), 0);
	net_begin(&net);
	in = net_feed(&net, &x);
	n = net_node(&net, "Transpose", 1, &in, 1);
	if (given)
		nc_attr_set_ints(net.g, n, "perm", perm, (uint32_t)rank);
	finish(&net, n, &want);
	ref_tensor_free(&x);
}

static void slice(void)
{
	int64_t dims[4], start[4], end[4], axes[4], step[4];
	int rank = 1 + (int)net_rand(4), count = 0;
	struct ref_tensor x, want;
	struct ref_slice attr;
	struct nc_node *n;
	struct net net;
	int in[5];

	random_dims(rank, dims);
	for (int i = 0; i < rank; i++) {
		if (!net_rand(3))
			continue;
		axes[count] = net_rand(2) ? i : i - rank;
		step[count] = (int64_t)net_rand(5) - 2;
		if (!step[count])
			step[count] = 1;
		start[count] = (int64_t)net_rand(9) - 4;
		end[count] = step[count] > 0 ? INT64_MAX : INT64_MIN;
		if (net_rand(3))
			end[count] = (int64_t)net_rand(13) - 6;
		count++;
	}
	x = net_values(rank, dims, -1, 1);
	attr = (struct ref_slice){ .count = count, .starts = start, .ends = end, .axes = axes,
				   .steps = step };
	assert_int_equal(ref_slice(&attr, &x, &want), 0);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, start, count);
	in[2] = net_ints(&net, end, count);
	in[3] = net_ints(&net, axes, count);
	in[4] = net_ints(&net, step, count);
	n = net_node(&net, "Slice", 5, in, 1);
	finish(&net, n, &want);
	ref_tensor_free(&x);
}

/* Some inputs are there twice, some are outputs too, some come from each other. */
static void concat(void)
{
	int rank = 1 + (int)net_rand(4), axis = (int)net_rand((uint32_t)rank);
	uint32_t count = 1 + net_rand(5);
	const struct ref_tensor *list[8];
	struct ref_tensor x[8], want;
	struct nc_node *n;
	int64_t dims[4];
	struct net net;
	int in[8];

	random_dims(rank, dims);
	net_begin(&net);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t kind = i ? net_rand(4) : 3;

		if (kind == 0) {
			assert_int_equal(ref_unary(REF_RELU, NULL, list[i - 1], &x[i]), 0);
			in[i] = npu_graph_unary(net.g, NPU_UNARY_RELU, in[i - 1], 0, 0);
		} else if (kind == 1) {
			assert_int_equal(ref_unary(REF_IDENTITY, NULL, list[i - 1], &x[i]), 0);
			in[i] = in[i - 1];
		} else {
			dims[axis] = 1 + net_rand(4);
			x[i] = net_values(rank, dims, -1, 1);
			in[i] = net_feed(&net, &x[i]);
		}
		list[i] = &x[i];
	}
	n = net_node(&net, "Concat", count, in, 1);
	nc_attr_set_int(net.g, n, "axis", net_rand(2) ? axis : axis - rank);
	assert_int_equal(ref_concat(list, (int)count, axis, &want), 0);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	if (net_rand(2))
		npu_graph_output(net.g, "part", in[0]);
	net_expect(&net, &want, 1e-6);
	for (uint32_t i = 0; i < count; i++)
		ref_tensor_free(&x[i]);
}

static void pad(void)
{
	int64_t dims[4], pads[8], axes[4];
	int rank = 1 + (int)net_rand(4), count = 0;
	struct ref_tensor x, want, value;
	float v = net_rand(2) ? 3.5f : 0;
	struct nc_node *n;
	struct net net;
	int in[4];

	random_dims(rank, dims);
	for (int i = 0; i < rank; i++)
		if (net_rand(4))
			axes[count++] = i;
	for (int i = 0; i < count; i++) {
		pads[i] = (int64_t)net_rand(6) - 2;
		pads[count + i] = (int64_t)net_rand(6) - 2;
		if (dims[axes[i]] + pads[i] + pads[count + i] < 1)
			pads[i] = 2;
	}
	for (int i = 0; i < count; i++)
		if (dims[axes[i]] + pads[i] + pads[count + i] < 1)
			pads[count + i] = 1;
	x = net_values(rank, dims, -1, 1);
	value = tensor(SCALAR, &v);
	assert_int_equal(ref_pad(&x, count, pads, axes, v, &want), 0);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, pads, 2 * count);
	in[2] = v != 0 || net_rand(2) ? net_feed(&net, &value) : NPU_TENSOR_NONE;
	in[3] = net_ints(&net, axes, count);
	n = net_node(&net, "Pad", 4, in, 1);
	finish(&net, n, &want);
	ref_tensor_free(&x);
	ref_tensor_free(&value);
}

/* x + 0 in the expanded shape. */
static void expand(void)
{
	int64_t dims[4], to[4];
	int rank = (int)net_rand(5);
	struct ref_tensor x, zero, want;
	struct nc_node *n;
	struct net net;
	int in[2];

	random_dims(rank, to);
	for (int i = 0; i < rank; i++)
		dims[i] = net_rand(2) ? to[i] : 1;
	x = net_values(rank, dims, -1, 1);
	zero = net_values(rank, to, 0, 0);
	assert_int_equal(ref_binary(REF_ADD, &x, &zero, &want), 0);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, to, rank);
	n = net_node(&net, "Expand", 2, in, 1);
	finish(&net, n, &want);
	ref_tensor_free(&x);
	ref_tensor_free(&zero);
}

/* Split, and the parts back together. */
static void split(void)
{
	int rank = 1 + (int)net_rand(4), axis = (int)net_rand((uint32_t)rank), part[6];
	uint32_t count = 1 + net_rand(5);
	struct ref_tensor x, want;
	bool sizes = net_rand(2);
	int64_t dims[4], size[6];
	struct nc_node *n;
	struct net net;
	int in[2];

	random_dims(rank, dims);
	dims[axis] = 0;
	for (uint32_t i = 0; i < count; i++) {
		size[i] = sizes ? 1 + net_rand(3) : 2;
		dims[axis] += size[i];
	}
	x = net_values(rank, dims, -1, 1);
	assert_int_equal(ref_unary(REF_ABS, NULL, &x, &want), 0);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, size, count);
	n = net_node(&net, "Split", sizes ? 2 : 1, in, count);
	nc_attr_set_int(net.g, n, "axis", axis - rank);
	net_add(&net, n);
	for (uint32_t i = 0; i < count; i++) {
		part[i] = net_out(n, i);
		if (net_rand(2))
			part[i] = npu_graph_unary(net.g, NPU_UNARY_ABS, part[i], 0, 0);
	}
	part[0] = npu_graph_concat(net.g, count, part, axis);
	net_output(&net, npu_graph_unary(net.g, NPU_UNARY_ABS, part[0], 0, 0));
	net_expect(&net, &want, 1e-6);
	ref_tensor_free(&x);
}

static void test_movement(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		reshape();
		flatten();
		squeeze();
		transpose();
		slice();
		concat();
		pad();
		expand();
		split();
	}
}

/* A tensor that is several outputs; inputs and constants that are outputs. */
static void test_outputs(void **state)
{
	struct ref_tensor x = net_values(SHAPE(3, 4), -1, 1), c = net_values(SHAPE(5), 0, 1), got;
	struct net net;
	int in, y;

	(void)state;
	net_begin(&net);
	in = net_input(&net, &x);
	y = npu_graph_unary(net.g, NPU_UNARY_NEG, in, 0, 0);
	npu_graph_output(net.g, "a", y);
	npu_graph_output(net.g, "b", npu_graph_unary(net.g, NPU_UNARY_NEG, y, 0, 0));
	npu_graph_output(net.g, "c", y);
	npu_graph_output(net.g, "d", in);
	npu_graph_output(net.g, "e", net_const(&net, &c));
	net_run(&net);
	for (unsigned int i = 0; i < 4; i++) {
		got = net_result(&net, i);
		for (int k = 0; k < 12; k++)
			assert_true(got.data[k] == (i & 1 ? x.data[k] : -x.data[k]));
		ref_tensor_free(&got);
	}
	got = net_result(&net, 4);
	expect_same(&got, &c);
	ref_tensor_free(&x);
	ref_tensor_free(&c);
	net_end(&net);
}

/* Parts of a concatenation are computed in place. */
static void test_concat_in_place(void **state)
{
	struct ref_tensor x = net_values(SHAPE(3, 4), -1, 1);
	struct net net;
	int part[3], in;

	(void)state;
	net_begin(&net);
	in = net_input(&net, &x);
	part[0] = npu_graph_unary(net.g, NPU_UNARY_NEG, in, 0, 0);
	part[1] = npu_graph_unary(net.g, NPU_UNARY_ABS, in, 0, 0);
	part[2] = npu_graph_unary(net.g, NPU_UNARY_EXP, part[1], 0, 0);
	npu_graph_output(net.g, "y", npu_graph_concat(net.g, 3, part, 1));
	net_run(&net);
	/* The third reads the tensor that it would write. */
	assert_int_equal(net_count(&net, KIR_COPY), 1);
	ref_tensor_free(&x);
	net_end(&net);
}

/* Shape -> Gather -> Concat -> Reshape is a constant; nothing of it is left. */
static void test_shape_chain(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -1, 1), want;
	const int64_t minus_one = -1, zero = 0;
	struct nc_node *n;
	struct net net;
	int in[2], y;

	(void)state;
	assert_int_equal(ref_reshape(&x, 2, INTS(2, 12), false, &want), 0);
	net_begin(&net);
	y = net_input(&net, &x);
	n = net_node(&net, "Shape", 1, &y, 1);
	net_add(&net, n);
	in[0] = net_out(n, 0);
	in[1] = net_ints(&net, &zero, 1);
	n = net_node(&net, "Gather", 2, in, 1);
	net_add(&net, n);
	in[0] = net_out(n, 0);
	in[1] = net_ints(&net, &minus_one, 1);
	n = net_node(&net, "Concat", 2, in, 1);
	net_add(&net, n);
	in[0] = npu_graph_unary(net.g, NPU_UNARY_RELU, y, 0, 0);
	in[1] = net_out(n, 0);
	n = net_node(&net, "Reshape", 2, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_run(&net);
	assert_int_equal(net.k->ops, 1);
	ref_tensor_free(&x);
	ref_tensor_free(&want);
	net_end(&net);
}

/* A constant that would be large stays a view of one element. */
static void test_large_constant(void **state)
{
	const int64_t shape[] = { 1000, 1000 };
	struct ref_tensor x = net_values(SHAPE(1000), -1, 1), got;
	struct nc_node *n;
	struct net net;
	int in;

	(void)state;
	net_begin(&net);
	in = net_ints(&net, shape, 2);
	n = net_node(&net, "ConstantOfShape", 1, &in, 1);
	net_add(&net, n);
	in = npu_graph_binary(net.g, NPU_BINARY_ADD, net_out(n, 0), net_input(&net, &x));
	npu_graph_output(net.g, "y", npu_graph_reduce(net.g, NPU_REDUCE_MAX, in, 1,
						      (const int[]){ 0 }, false));
	net_run(&net);
	for (uint32_t i = 0; i < net.k->tensors; i++)
		assert_true(net.k->tensor[i].kind != KIR_CONST || net.k->tensor[i].elems == 1);
	got = net_result(&net, 0);
	expect_same(&got, &x);
	ref_tensor_free(&x);
	net_end(&net);
}

static void test_empty(void **state)
{
	const int64_t none[] = { 0 };
	struct ref_tensor x = net_values(SHAPE(3), -1, 1), got;
	struct ref_tensor c;
	struct net net;
	int part[2];

	(void)state;
	/* Empty parts of a concatenation are nothing. */
	assert_int_equal(ref_tensor_alloc(&c, 1, none), 0);
	net_begin(&net);
	part[0] = net_const(&net, &c);
	part[1] = npu_graph_unary(net.g, NPU_UNARY_NEG, net_input(&net, &x), 0, 0);
	npu_graph_output(net.g, "y", npu_graph_concat(net.g, 2, part, 0));
	net_run(&net);
	got = net_result(&net, 0);
	assert_int_equal(got.dims[0], 3);
	ref_tensor_free(&got);
	net_end(&net);
	/* An empty input becomes an empty output without an operation. */
	net_begin(&net);
	part[1] = npu_graph_unary(net.g, NPU_UNARY_NEG, net_input(&net, &c), 0, 0);
	npu_graph_output(net.g, "y", part[1]);
	net_run(&net);
	got = net_result(&net, 0);
	assert_int_equal(got.dims[0], 0);
	assert_int_equal(net.k->ops, 0);
	ref_tensor_free(&got);
	net_end(&net);
	ref_tensor_free(&x);
	ref_tensor_free(&c);
}

/* Reductions of no integers: what every integer leaves as it is. */
static void test_empty_reduction(void **state)
{
	static const struct {
		const char *op;
		int32_t want;
	} cases[] = {
		{ "ReduceSum", 0 }, { "ReduceProd", 1 }, { "ReduceMax", INT32_MIN },
		{ "ReduceMin", INT32_MAX }, { "ReduceL1", 0 },
	};
	const int64_t dim[] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct net net;
		struct nc_node *n;
		int x;

		net_begin(&net);
		x = npu_graph_input(net.g, "x", NPU_GRAPH_I32, 1, dim);
		net_bind(&net, 0, dim);
		n = net_node(&net, cases[i].op, 1, &x, 1);
		net_add(&net, n);
		assert_int_equal(npu_graph_output(net.g, "y", net_out(n, 0)), 0);
		net_run(&net);
		for (uint32_t t = 0; t < net.k->tensors; t++)
			if (net.k->tensor[t].kind == KIR_OUTPUT)
				assert_int_equal((int32_t)net.data->word[t][0], cases[i].want);
		net_end(&net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_movement),
		cmocka_unit_test(test_outputs),
		cmocka_unit_test(test_concat_in_place),
		cmocka_unit_test(test_shape_chain),
		cmocka_unit_test(test_large_constant),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_empty_reduction),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
