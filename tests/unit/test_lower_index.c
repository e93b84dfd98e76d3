/* SPDX-License-Identifier: MIT */
/* Operators that address elements by index, against loops over single elements. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

#define RANK_MAX	4
#define ROUNDS		60

/**
 * struct indices - an index tensor
 * @known: a constant, else an input
 */
struct indices {
	int rank;
	int64_t dim[RANK_MAX];
	int64_t elems;
	int32_t value[1024];
	bool known;
};

static int64_t count_of(int rank, const int64_t *dim)
{
	int64_t r = 1;

	for (int i = 0; i < rank; i++)
		r *= dim[i];
	return r;
}

/* Numbers in -size .. size - 1. */
static void make_indices(struct indices *x, int rank, const int64_t *dim, int64_t size)
{
	x->rank = rank;
	memcpy(x->dim, dim, (size_t)rank * sizeof(*dim));
	x->elems = count_of(rank, dim);
	assert_true(x->elems <= 1024);
	for (int64_t i = 0; i < x->elems; i++)
		x->value[i] = (int32_t)net_rand((uint32_t)(2 * size)) - (int32_t)size;
	x->known = net_rand(2);
}

static int feed_indices(struct net *net, const struct indices *x)
{
	int t = x->known ? npu_graph_const(net->g, NULL, NPU_GRAPH_I32, 1, &x->elems, x->value) :
			   net_input_i32(net, x->elems, x->value);

	return npu_graph_reshape(net->g, t, (unsigned int)x->rank, x->dim);
}

static int64_t wrapped(int32_t i, int64_t size)
{
	return i < 0 ? i + size : i;
}

/* Position of row-major element @e. */
static void position(int rank, const int64_t *dim, int64_t e, int64_t *at)
{
	for (int i = rank; i-- > 0;) {
		at[i] = e % dim[i];
		e /= dim[i];
	}
}

static int64_t element(int rank, const int64_t *dim, const int64_t *at)
{
	int64_t e = 0;

	for (int i = 0; i < rank; i++)
		e = e * dim[i] + at[i];
	return e;
}

static int as_float(struct net *net, int t)
{
	struct nc_node *n = net_node(net, "Cast", 1, &t, 1);

	nc_attr_set_int(net->g, n, "to", 1);
	net_add(net, n);
	return net_out(n, 0);
}

static void gather(void)
{
	int rank = 1 + (int)net_rand(3), axis = (int)net_rand((uint32_t)rank), in[2];
	int64_t dims[RANK_MAX], at_dims[2], out[5], at[5], from[RANK_MAX];
	struct ref_tensor x, want;
	struct indices index;
	struct nc_node *n;
	struct net net;
	int q = (int)net_rand(3);

	net_shape(rank, 6, dims);
	net_shape(q, 5, at_dims);
	x = net_values(rank, dims, -4, 4);
	make_indices(&index, q, at_dims, dims[axis]);
	for (int i = 0; i < rank - 1 + q; i++)
		out[i] = i < axis ? dims[i] : i < axis + q ? at_dims[i - axis] : dims[i - q + 1];
	assert_int_equal(ref_tensor_alloc(&want, rank - 1 + q, out), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
		position(rank - 1 + q, out, e, at);
		for (int i = 0; i < rank; i++)
			from[i] = i < axis ? at[i] : at[i + q - 1];
		from[axis] = wrapped(index.value[element(q, at_dims, at + axis)], dims[axis]);
		want.data[e] = x.data[element(rank, dims, from)];
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = feed_indices(&net, &index);
	n = net_node(&net, "Gather", 2, in, 1);
	nc_attr_set_int(net.g, n, "axis", net_rand(2) ? axis : axis - rank);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 0);
	ref_tensor_free(&x);
}

/* GatherElements, or ScatterElements with a reduction. */
static void elements(const char *reduction)
{
	int rank = 1 + (int)net_rand(3), axis = (int)net_rand((uint32_t)rank), in[3];
	int64_t dims[RANK_MAX], at_dims[RANK_MAX], at[RANK_MAX];
	struct ref_tensor x, u, want;
	struct indices index;
	struct nc_node *n;
	struct net net;

	net_shape(rank, 5, dims);
	for (int i = 0; i < rank; i++)
		at_dims[i] = 1 + net_rand((uint32_t)dims[i]);
	x = net_values(rank, dims, -4, 4);
	u = net_values(rank, at_dims, -4, 4);
	make_indices(&index, rank, at_dims, dims[axis]);
	/* Without a reduction no two updates may meet. */
	for (int64_t e = 0; reduction && !strcmp(reduction, "none") && e < index.elems; e++) {
		position(rank, at_dims, e, at);
		index.value[e] = (int32_t)(at[axis] - (net_rand(2) ? dims[axis] : 0));
	}
	assert_int_equal(ref_tensor_alloc(&want, rank, reduction ? dims : at_dims), 0);
	if (reduction)
		memcpy(want.data, x.data, (size_t)ref_tensor_elems(&x) * sizeof(float));
	for (int64_t e = 0; e < index.elems; e++) {
		float *to;

		position(rank, at_dims, e, at);
		at[axis] = wrapped(index.value[e], dims[axis]);
		if (!reduction) {
			want.data[e] = x.data[element(rank, dims, at)];
			continue;
		}
		to = &want.data[element(rank, dims, at)];
		*to = !strcmp(reduction, "none") ? u.data[e] :
		      !strcmp(reduction, "add") ? *to + u.data[e] :
		      !strcmp(reduction, "mul") ? *to * u.data[e] :
		      !strcmp(reduction, "max") ? fmaxf(*to, u.data[e]) : fminf(*to, u.data[e]);
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = feed_indices(&net, &index);
	in[2] = reduction ? net_feed(&net, &u) : 0;
	n = net_node(&net, reduction ? "ScatterElements" : "GatherElements", reduction ? 3 : 2, in,
		     1);
	nc_attr_set_int(net.g, n, "axis", axis);
	if (reduction)
		nc_attr_set_string(net.g, n, "reduction", reduction);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-5);
	ref_tensor_free(&x);
	ref_tensor_free(&u);
}

/* Coordinates of the first @count dimensions; ScatterND with a reduction. */
static void coordinates(const char *reduction)
{
	int rank = 2 + (int)net_rand(2), count = 1 + (int)net_rand((uint32_t)rank), in[3];
	int64_t dims[RANK_MAX], at_dims[2], part[RANK_MAX], rest, rows = 1 + net_rand(5);
	struct ref_tensor x, u, want;
	struct indices index;
	struct nc_node *n;
	struct net net;

	net_shape(rank, 5, dims);
	at_dims[0] = rows;
	at_dims[1] = count;
	part[0] = rows;
	for (int i = count; i < rank; i++)
		part[1 + i - count] = dims[i];
	rest = count_of(rank - count, dims + count);
	x = net_values(rank, dims, -4, 4);
	u = net_values(1 + rank - count, part, -4, 4);
	make_indices(&index, 2, at_dims, 1);
	for (int64_t e = 0; e < index.elems; e++)
		index.value[e] = (int32_t)net_rand((uint32_t)(2 * dims[e % count])) -
				 (int32_t)dims[e % count];
	assert_int_equal(ref_tensor_alloc(&want, reduction ? rank : 1 + rank - count,
					  reduction ? dims : part), 0);
	if (reduction)
		memcpy(want.data, x.data, (size_t)ref_tensor_elems(&x) * sizeof(float));
	for (int64_t r = 0; r < rows; r++) {
		int64_t at = 0;

		for (int i = 0; i < count; i++)
			at = at * dims[i] + wrapped(index.value[r * count + i], dims[i]);
		for (int64_t k = 0; k < rest; k++) {
			if (reduction)
				want.data[at * rest + k] += u.data[r * rest + k];
			else
				want.data[r * rest + k] = x.data[at * rest + k];
		}
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = feed_indices(&net, &index);
	in[2] = reduction ? net_feed(&net, &u) : 0;
	n = net_node(&net, reduction ? "ScatterND" : "GatherND", reduction ? 3 : 2, in, 1);
	if (reduction)
		nc_attr_set_string(net.g, n, "reduction", reduction);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-5);
	ref_tensor_free(&x);
	ref_tensor_free(&u);
}

/* Few different values, so that there are equal ones. */
static struct ref_tensor coarse(int rank, const int64_t *dims)
{
	struct ref_tensor x = net_values(rank, dims, -3, 3);

	for (int64_t i = 0; i < ref_tensor_elems(&x); i++)
		x.data[i] = rintf(x.data[i]);
	return x;
}

/* Elements of a row that come before element @i. */
static int64_t place(const float *row, int64_t size, int64_t step, int64_t i, bool largest)
{
	int64_t before = 0;

	for (int64_t k = 0; k < size; k++) {
		float a = row[k * step], b = row[i * step];

		before += (largest ? a > b : a < b) || (a == b && k < i);
	}
	return before;
}

static void topk(void)
{
	int rank = 1 + (int)net_rand(3), axis = (int)net_rand((uint32_t)rank), in[2];
	bool largest = net_rand(2), numbers = net_rand(2);
	int64_t dims[RANK_MAX], out[RANK_MAX], at[RANK_MAX], k, step;
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;

	net_shape(rank, 7, dims);
	k = 1 + net_rand((uint32_t)dims[axis]);
	memcpy(out, dims, sizeof(out));
	out[axis] = k;
	step = count_of(rank - axis - 1, dims + axis + 1);
	x = coarse(rank, dims);
	assert_int_equal(ref_tensor_alloc(&want, rank, out), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&x); e++) {
		int64_t i, to;

		position(rank, dims, e, at);
		i = at[axis];
		to = place(&x.data[e - i * step], dims[axis], step, i, largest);
		at[axis] = to;
		if (to < k)
			want.data[element(rank, out, at)] = numbers ? (float)i : x.data[e];
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, &k, 1);
	n = net_node(&net, "TopK", 2, in, 2);
	nc_attr_set_int(net.g, n, "axis", axis);
	nc_attr_set_int(net.g, n, "largest", largest);
	net_add(&net, n);
	net_output(&net, numbers ? as_float(&net, net_out(n, 1)) : net_out(n, 0));
	net_expect(&net, &want, 0);
	ref_tensor_free(&x);
}

static void arg(void)
{
	int rank = 1 + (int)net_rand(4), axis = (int)net_rand((uint32_t)rank), x_in;
	bool largest = net_rand(2), last = net_rand(2);
	int64_t dims[RANK_MAX], out[RANK_MAX], at[RANK_MAX];
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;

	net_shape(rank, 6, dims);
	memcpy(out, dims, sizeof(out));
	out[axis] = 1;
	x = coarse(rank, dims);
	assert_int_equal(ref_tensor_alloc(&want, rank, out), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
		float best = 0;

		position(rank, out, e, at);
		for (int64_t i = 0; i < dims[axis]; i++) {
			float v;

			at[axis] = i;
			v = x.data[element(rank, dims, at)];
			if (!i || (largest ? v > best : v < best) || (last && v == best)) {
				best = v;
				want.data[e] = (float)i;
			}
		}
	}
	net_begin(&net);
	x_in = net_feed(&net, &x);
	n = net_node(&net, largest ? "ArgMax" : "ArgMin", 1, &x_in, 1);
	nc_attr_set_int(net.g, n, "axis", axis);
	nc_attr_set_int(net.g, n, "select_last_index", last);
	net_add(&net, n);
	net_output(&net, as_float(&net, net_out(n, 0)));
	net_expect(&net, &want, 0);
	ref_tensor_free(&x);
}

static void cum_sum(void)
{
	int rank = 1 + (int)net_rand(3), in[2];
	int64_t dims[RANK_MAX], axis = net_rand((uint32_t)rank), step, size;
	bool exclusive = net_rand(2), reverse = net_rand(2);
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;

	net_shape(rank, 9, dims);
	x = net_values(rank, dims, -1, 1);
	size = dims[axis];
	step = count_of(rank - (int)axis - 1, dims + axis + 1);
	assert_int_equal(ref_tensor_alloc(&want, rank, dims), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&x); e++) {
		int64_t i = e / step % size;
		double sum = 0;

		for (int64_t k = 0; k < size; k++)
			if ((reverse ? k > i : k < i) || (k == i && !exclusive))
				sum += x.data[e + (k - i) * step];
		want.data[e] = (float)sum;
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, &axis, 1);
	n = net_node(&net, "CumSum", 2, in, 1);
	nc_attr_set_int(net.g, n, "exclusive", exclusive);
	nc_attr_set_int(net.g, n, "reverse", reverse);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-4);
	ref_tensor_free(&x);
}

/* An element between its neighbours on the axis, which ends with its last one. */
static double between(const float *row, int64_t size, int64_t step, double x)
{
	int64_t low = (int64_t)floor(x), a = low < 0 ? 0 : low, b = low + 1;

	a = a < size ? a : size - 1;
	b = b < 0 ? 0 : b < size ? b : size - 1;
	return row[a * step] + (row[b * step] - row[a * step]) * (x - (double)low);
}

/* One axis of [outer, size, inner], as the nearest or between two. */
static void resize(void)
{
	bool linear = net_rand(2), corners = net_rand(2);
	int64_t dims[3], out[3], sizes[3];
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	int in[4] = { 0, NPU_TENSOR_NONE, NPU_TENSOR_NONE };

	net_shape(3, 6, dims);
	memcpy(out, dims, sizeof(out));
	out[1] = 1 + net_rand(9);
	memcpy(sizes, out, sizeof(out));
	x = net_values(3, dims, -4, 4);
	assert_int_equal(ref_tensor_alloc(&want, 3, out), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
		int64_t at[3];
		double p;

		position(3, out, e, at);
		p = corners ? out[1] == 1 ? 0 : (double)(at[1] * (dims[1] - 1)) / (double)(out[1] - 1) :
		    ((double)at[1] + 0.5) * (double)dims[1] / (double)out[1] - 0.5;
		if (!linear)
			p = ceil(p - 0.5);
		want.data[e] = (float)between(&x.data[at[0] * dims[1] * dims[2] + at[2]], dims[1],
					      dims[2], p);
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[3] = net_ints(&net, sizes, 3);
	n = net_node(&net, "Resize", 4, in, 1);
	nc_attr_set_string(net.g, n, "mode", linear ? "linear" : "nearest");
	nc_attr_set_string(net.g, n, "coordinate_transformation_mode",
			   corners ? "align_corners" : "half_pixel");
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	/* Neighbours of up to 4 that cancel: what is left is off by their rounding. */
	net_expect(&net, &want, 1e-4);
	ref_tensor_free(&x);
}

static void test_resize(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		resize();
}

static void test_gather(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		gather();
}

static void test_elements(void **state)
{
	static const char *const reduction[] = { NULL, "none", "add", "mul", "max", "min" };

	(void)state;
	for (int i = 0; i < 2 * ROUNDS; i++)
		elements(reduction[i % 6]);
}

static void test_coordinates(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		coordinates(i % 2 ? "add" : NULL);
}

static void test_topk(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		topk();
}

static void test_arg(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		arg();
}

static void test_cum_sum(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		cum_sum();
}

/* A known index that is none. */
static void test_bounds(void **state)
{
	struct ref_tensor x = net_values(1, (const int64_t[]){ 3 }, -1, 1), square;
	static const int32_t outside[] = { 3, -4 };
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		const int64_t one = 1;

		net_begin(&net);
		in[0] = net_input(&net, &x);
		in[1] = npu_graph_const(net.g, NULL, NPU_GRAPH_I32, 1, &one, &outside[i]);
		n = net_node(&net, "Gather", 2, in, 1);
		net_add(&net, n);
		npu_graph_output(net.g, "y", net_out(n, 0));
		net_refused(&net, -EINVAL, (const char *const[]){ "index 0", "3 elements", NULL });
		net_end(&net);
	}
	/* (0, 3) of 3 x 3 is not (1, 0). */
	square = net_values(2, (const int64_t[]){ 3, 3 }, -1, 1);
	net_begin(&net);
	in[0] = net_input(&net, &square);
	in[1] = net_ints(&net, (const int64_t[]){ 0, 3 }, 2);
	n = net_node(&net, "GatherND", 2, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_refused(&net, -EINVAL, (const char *const[]){ "index 1", "3 elements", NULL });
	net_end(&net);
	ref_tensor_free(&square);
	ref_tensor_free(&x);
}

/* A feed of indices as one input, another as a second; whether the run faults. */
static bool faults(const char *op, int64_t rank, const int64_t *dims, int64_t indices,
		   const int64_t *index_dims, const int32_t *index, const char *reduction)
{
	struct ref_tensor x = net_values((int)rank, dims, 1, 2);
	struct nc_node *n;
	struct net net;
	bool fault;
	int in[3];

	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_input_i32(&net, count_of((int)indices, index_dims), index);
	in[1] = npu_graph_reshape(net.g, in[1], (unsigned int)indices, index_dims);
	in[2] = in[0];
	n = net_node(&net, op, strncmp(op, "Scatter", 7) ? 2 : 3, in, 1);
	if (reduction)
		nc_attr_set_string(net.g, n, "reduction", reduction);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_run(&net);
	fault = net.data->fault;
	ref_tensor_free(&x);
	net_end(&net);
	return fault;
}

/* Each index has its own limit, and nothing outside of it passes for an element. */
static void test_outside(void **state)
{
	static const struct {
		const char *op;
		int64_t rank, dims[2], indices, index_dims[3];
		const char *reduction;
	} test[] = {
		{ "Gather", 1, { 3 }, 1, { 4 }, NULL },
		{ "GatherElements", 2, { 2, 3 }, 2, { 4, 1 }, NULL },
		{ "GatherND", 2, { 3, 3 }, 2, { 2, 2 }, NULL },
		{ "ScatterND", 2, { 2, 3 }, 3, { 2, 3, 2 }, NULL },
		{ "ScatterElements", 2, { 2, 3 }, 2, { 2, 3 }, NULL },
		{ "ScatterND", 2, { 2, 3 }, 3, { 2, 3, 2 }, "add" },
		{ "ScatterElements", 2, { 2, 3 }, 2, { 2, 3 }, "max" },
	};
	static const int32_t bad[] = { 9, -9, INT32_MIN, INT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(test) / sizeof(*test); i++) {
		int64_t count = count_of((int)test[i].indices, test[i].index_dims);

		for (int round = 0; round < 10; round++) {
			int32_t index[12];

			for (int64_t k = 0; k < count; k++)
				index[k] = (int32_t)net_rand(4) - 2;
			assert_false(faults(test[i].op, test[i].rank, test[i].dims, test[i].indices,
					    test[i].index_dims, index, test[i].reduction));
			index[net_rand((uint32_t)count)] = bad[round % 4];
			assert_true(faults(test[i].op, test[i].rank, test[i].dims, test[i].indices,
					   test[i].index_dims, index, test[i].reduction));
		}
	}
	/* (0, 3) of 3 x 3 is not (1, 0). */
	assert_true(faults("GatherND", 2, (int64_t[]){ 3, 3 }, 2, (int64_t[]){ 1, 2 },
			   (int32_t[]){ 0, 3 }, NULL));
}

/* What a fault names is the user's operator, not one that it is made of. */
static void test_names(void **state)
{
	const int64_t dims[] = { 2, 5 }, k = 3;
	struct ref_tensor x = coarse(2, dims);
	struct nc_node *n;
	struct net net;

	(void)state;
	net_begin(&net);
	n = net_node(&net, "TopK", 2, (int[]){ net_input(&net, &x), net_ints(&net, &k, 1) }, 2);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_run(&net);
	assert_true(net.k->ops > 1);
	for (uint32_t i = 0; i < net.k->ops; i++)
		assert_string_equal(net.k->node[net.k->op[i]->node].op, "TopK");
	net_end(&net);
	ref_tensor_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_coordinates),
		cmocka_unit_test(test_topk),
		cmocka_unit_test(test_arg),
		cmocka_unit_test(test_cum_sum),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_names),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
