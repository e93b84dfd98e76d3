/* SPDX-License-Identifier: MIT */
/* Sequences with lengths and places of their own, crops to the centre: against loops. */
#include <string.h>

#include "net.h"
#include "ref_test.h"

#define BATCH_MAX	4

/* @count numbers below @below as a 64-bit input, or known. */
static int places(struct net *net, int32_t *value, int64_t count, uint32_t below, bool known)
{
	int64_t wide[BATCH_MAX];
	struct nc_node *n;
	int in;

	for (int64_t i = 0; i < count; i++) {
		value[i] = (int32_t)net_rand(below);
		wide[i] = value[i];
	}
	if (known)
		return net_ints(net, wide, count);
	in = net_input_i32(net, count, value);
	n = net_node(net, "Cast", 1, &in, 1);
	nc_attr_set_int(net->g, n, "to", 7);
	net_add(net, n);
	return net_out(n, 0);
}

static void reverse(int time)
{
	int64_t steps = 1 + net_rand(6), batch = 1 + net_rand(BATCH_MAX), rest = 1 + net_rand(4);
	struct ref_tensor x = net_values(3, time ? INTS(batch, steps, rest) :
						   INTS(steps, batch, rest), -1, 1), want;
	int32_t len[BATCH_MAX];
	struct nc_node *n;
	struct net net;
	int in[2];

	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = places(&net, len, batch, (uint32_t)steps + 1, net_rand(2));
	n = net_node(&net, "ReverseSequence", 2, in, 1);
	nc_attr_set_int(net.g, n, "time_axis", time);
	nc_attr_set_int(net.g, n, "batch_axis", !time);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_tensor_alloc(&want, 3, x.dims), 0);
	for (int64_t t = 0; t < steps; t++)
		for (int64_t b = 0; b < batch; b++)
			for (int64_t i = 0; i < rest; i++) {
				int64_t from = t < len[b] ? len[b] - 1 - t : t;
				int64_t at = time ? b * steps + t : t * batch + b;
				int64_t of = time ? b * steps + from : from * batch + b;

				want.data[at * rest + i] = x.data[of * rest + i];
			}
	net_expect(&net, &want, 1e-6);
	ref_tensor_free(&x);
}

static void test_reverse_sequence(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		reverse(i & 1);
}

/* [batch, heads, steps, rest] or [batch, steps, rest] */
static void tensor_scatter(bool circular)
{
	int64_t steps = 2 + net_rand(6), fresh = 1 + net_rand((uint32_t)steps);
	int64_t batch = 1 + net_rand(BATCH_MAX), heads = 1 + net_rand(3), rest = 1 + net_rand(4);
	struct ref_tensor x = net_values(4, INTS(batch, heads, steps, rest), -1, 1), want;
	struct ref_tensor u = net_values(4, INTS(batch, heads, fresh, rest), -1, 1);
	bool start = net_rand(2);
	int32_t at[BATCH_MAX] = { 0 };
	struct nc_node *n;
	struct net net;
	int in[3] = { 0, 0, NPU_TENSOR_NONE };

	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_feed(&net, &u);
	if (!start)
		in[2] = places(&net, at, batch, (uint32_t)(circular ? 3 * steps : steps - fresh + 1),
			       net_rand(2));
	n = net_node(&net, "TensorScatter", start ? 2 : 3, in, 1);
	nc_attr_set_string(net.g, n, "mode", circular ? "circular" : "linear");
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_tensor_from(&want, 4, x.dims, x.data), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&u); e++) {
		int64_t row = e / rest / fresh, step = e / rest % fresh;

		step = (at[row / heads] + step) % steps;
		want.data[(row * steps + step) * rest + e % rest] = u.data[e];
	}
	net_expect(&net, &want, 1e-6);
	ref_tensor_free(&x);
	ref_tensor_free(&u);
}

static void test_tensor_scatter(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		tensor_scatter(i & 1);
}

static void crop(void)
{
	int64_t dims[3], size[3];
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	int in[2];

	net_shape(3, 7, dims);
	net_shape(3, 9, size);
	x = net_values(3, dims, 1, 2);
	assert_int_equal(ref_tensor_alloc(&want, 3, size), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
		int64_t rest = e, from = 0, step = 1;
		bool inside = true;

		for (int i = 3; i-- > 0;) {
			/* The middle of one lies on the middle of the other, rounded down. */
			int64_t more = size[i] - dims[i];
			int64_t at = rest % size[i] - (more > 0 ? more / 2 : -(-more / 2));

			inside &= at >= 0 && at < dims[i];
			from += at * step;
			step *= dims[i];
			rest /= size[i];
		}
		want.data[e] = inside ? x.data[from] : 0;
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, size, 3);
	n = net_node(&net, "CenterCropPad", 2, in, 1);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-6);
	ref_tensor_free(&x);
}

static void test_crop(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		crop();
}

static void test_refused(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 4), -1, 1), u = net_values(SHAPE(2, 4, 4), -1, 1);
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_input(&net, &u);
	n = net_node(&net, "TensorScatter", 2, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_refused(&net, -EINVAL, (const char *const[]){ "f32[2,4,4]", "f32[2,3,4]", "axis 1", NULL });
	net_end(&net);

	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_ints(&net, INTS(1, 2), 2);
	n = net_node(&net, "ReverseSequence", 2, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_refused(&net, -EINVAL, (const char *const[]){ "i64[2]", "i64[3]", NULL });
	net_end(&net);
	ref_tensor_free(&x);
	ref_tensor_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reverse_sequence),
		cmocka_unit_test(test_tensor_scatter),
		cmocka_unit_test(test_crop),
		cmocka_unit_test(test_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
