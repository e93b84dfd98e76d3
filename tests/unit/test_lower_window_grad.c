/* SPDX-License-Identifier: MIT */
/* The operators that gradients of windows are made of. */
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

/* A window that fits @in, and its outputs. */
static struct ref_window random_window(int spatial, const int64_t *in, int64_t *out)
{
	struct ref_window w = { .auto_pad = REF_PAD_NOTSET };

	for (int i = 0; i < spatial; i++) {
		int64_t reach;

		w.kernel[i] = 1 + net_rand(4);
		w.strides[i] = 1 + net_rand(3);
		w.dilations[i] = 1 + net_rand(3) / 2;
		while ((w.kernel[i] - 1) * w.dilations[i] + 1 > in[i])
			w.kernel[i]--;
		w.pads[i] = net_rand((uint32_t)w.kernel[i]);
		w.pads[spatial + i] = net_rand((uint32_t)w.kernel[i]);
		reach = (w.kernel[i] - 1) * w.dilations[i] + 1;
		out[i] = (in[i] + w.pads[i] + w.pads[spatial + i] - reach) / w.strides[i] + 1;
	}
	return w;
}

static void set_window(struct net *net, struct nc_node *n, const struct ref_window *w,
		       const int64_t *sizes, int64_t groups, uint32_t spatial)
{
	static const int64_t ones[] = { 1, 1 };

	nc_attr_set_ints(net->g, n, "kernel_shape", w->kernel, spatial);
	nc_attr_set_ints(net->g, n, "strides", w->strides, spatial);
	nc_attr_set_ints(net->g, n, "dilations", w->dilations, spatial);
	nc_attr_set_ints(net->g, n, "pads", w->pads, spatial);
	nc_attr_set_ints(net->g, n, "ups", ones, spatial);
	nc_attr_set_ints(net->g, n, "sizes", sizes, spatial);
	nc_attr_set_int(net->g, n, "group", groups);
}

/* @after: the gradient goes into a map, as that of an optimiser. */
static void weight_grad(int spatial, bool after)
{
	int64_t groups = net_rand(2) ? 1 : 1 + net_rand(4);
	int64_t x_dim[4], y_dim[4];
	struct ref_tensor x, dy, want;
	struct ref_window win;
	struct nc_node *n;
	struct net net;
	int in[2], t;

	net_shape(2 + spatial, 9, x_dim);
	x_dim[0] = 1 + net_rand(3);
	x_dim[1] = groups * (1 + net_rand(net_rand(5) ? 4 : 80));
	y_dim[1] = groups * (1 + net_rand(net_rand(5) ? 4 : 40));
	if (net_rand(4) == 0) {
		/* depthwise */
		groups = x_dim[1];
		y_dim[1] = groups * (1 + net_rand(2));
	}
	y_dim[0] = x_dim[0];
	win = random_window(spatial, x_dim + 2, y_dim + 2);
	x = net_values(2 + spatial, x_dim, -1, 1);
	dy = net_values(2 + spatial, y_dim, -1, 1);
	assert_int_equal(ref_conv_weight_grad(&win, groups, &x, &dy, &want), 0);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_feed(&net, &dy);
	n = net_node(&net, "WeightGrad", 2, in, 1);
	set_window(&net, n, &win, y_dim + 2, groups, (uint32_t)spatial);
	net_add(&net, n);
	t = net_out(n, 0);
	if (after) {
		struct ref_tensor w = net_values(want.rank, want.dims, -1, 1);

		in[0] = net_input(&net, &w);
		in[1] = t;
		n = net_node(&net, "Sub", 2, in, 1);
		net_add(&net, n);
		t = net_out(n, 0);
		for (int64_t i = 0; i < ref_tensor_elems(&want); i++)
			want.data[i] = w.data[i] - want.data[i];
		net_output(&net, t);
		net_expect(&net, &want, 1e-3);
		ref_tensor_free(&w);
	} else {
		net_output(&net, t);
		net_expect(&net, &want, 1e-3);
	}
	ref_tensor_free(&x);
	ref_tensor_free(&dy);
}

static void test_weight_grad(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		weight_grad(1, i % 2);
		weight_grad(2, i % 2);
	}
}

/* A gradient that is no output of the window, or too few channels. */
static void test_weight_grad_refused(void **state)
{
	static const int64_t sizes[] = { 4, 4 };
	struct ref_window win = { .kernel = { 3, 3 }, .strides = { 1, 1 }, .dilations = { 1, 1 } };
	struct ref_tensor x = net_values(SHAPE(2, 4, 6, 6), -1, 1);
	struct ref_tensor dy[] = {
		net_values(SHAPE(2, 4, 4, 5), -1, 1), net_values(SHAPE(2, 3, 4, 4), -1, 1),
		net_values(SHAPE(1, 4, 4, 4), -1, 1),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(dy) / sizeof(dy[0]); i++) {
		struct nc_node *n;
		struct net net;
		int in[2];

		net_begin(&net);
		in[0] = net_input(&net, &x);
		in[1] = net_input(&net, &dy[i]);
		n = net_node(&net, "WeightGrad", 2, in, 1);
		set_window(&net, n, &win, sizes, 2, 2);
		assert_int_equal(nc_graph_node(net.g, n), -EINVAL);
		assert_non_null(strstr(npu_graph_error(net.g), "do not belong to one convolution"));
		net_end(&net);
		ref_tensor_free(&dy[i]);
	}
	ref_tensor_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weight_grad),
		cmocka_unit_test(test_weight_grad_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
