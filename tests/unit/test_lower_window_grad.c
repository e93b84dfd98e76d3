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

/* Node "MaxPoolAt" over @t. */
static struct nc_node *max_pool_at(struct net *net, int t, const struct ref_pool *attr,
				   uint32_t spatial)
{
	struct nc_node *n = net_node(net, "MaxPoolAt", 1, &t, 2);

	nc_attr_set_ints(net->g, n, "kernel_shape", attr->win.kernel, spatial);
	nc_attr_set_ints(net->g, n, "strides", attr->win.strides, spatial);
	nc_attr_set_ints(net->g, n, "dilations", attr->win.dilations, spatial);
	nc_attr_set_ints(net->g, n, "pads", attr->win.pads, 2 * spatial);
	nc_attr_set_int(net->g, n, "ceil_mode", attr->ceil_mode);
	net_add(net, n);
	return n;
}

static int unpool(struct net *net, int dy, int at, const struct ref_window *w,
		  const int64_t *sizes, uint32_t spatial)
{
	struct nc_node *n = net_node(net, "Unpool", 2, (const int[]){ dy, at }, 1);

	nc_attr_set_ints(net->g, n, "sizes", sizes, spatial);
	if (w) {
		nc_attr_set_ints(net->g, n, "kernel_shape", w->kernel, spatial);
		nc_attr_set_ints(net->g, n, "strides", w->strides, spatial);
		nc_attr_set_ints(net->g, n, "dilations", w->dilations, spatial);
		nc_attr_set_ints(net->g, n, "pads", w->pads, spatial);
	}
	net_add(net, n);
	return net_out(n, 0);
}

static int as_float(struct net *net, int t)
{
	struct nc_node *n = net_node(net, "Cast", 1, &t, 1);

	nc_attr_set_int(net->g, n, "to", 1); /* ONNX FLOAT */
	net_add(net, n);
	return net_out(n, 0);
}

/* @what: 0 the maxima, 1 their positions, 2 and 3 sums at those, with and without window. */
static void positions(int spatial, int what)
{
	struct ref_pool attr = { .ceil_mode = net_rand(2) };
	struct ref_tensor x, y, dy, want;
	int64_t x_dim[4], out[2], *index, places = 1, plane = 1;
	struct nc_node *n;
	struct net net;
	int at, t;

	net_shape(2 + spatial, 9, x_dim);
	attr.win = random_window(spatial, x_dim + 2, out);
	x = net_values(2 + spatial, x_dim, -1, 1);
	/* Few values, so that many are equal. */
	for (int64_t i = 0; i < ref_tensor_elems(&x); i++)
		x.data[i] = (float)(int)(x.data[i] * 3);
	assert_int_equal(ref_max_pool(&attr, &x, &y, &index), 0);
	for (int i = 0; i < spatial; i++) {
		plane *= x_dim[2 + i];
		places *= y.dims[2 + i];
	}
	for (int64_t i = 0; i < ref_tensor_elems(&y); i++)
		index[i] -= i / places * plane;
	dy = net_values(y.rank, y.dims, -1, 1);
	net_begin(&net);
	n = max_pool_at(&net, net_feed(&net, &x), &attr, (uint32_t)spatial);
	t = net_out(n, 0);
	at = net_out(n, 1);
	if (what == 0) {
		want = y;
	} else if (what == 1) {
		want = y;
		for (int64_t i = 0; i < ref_tensor_elems(&y); i++)
			want.data[i] = (float)index[i];
		t = as_float(&net, at);
	} else {
		assert_int_equal(ref_unpool(&dy, index, spatial, x_dim + 2, &want), 0);
		ref_tensor_free(&y);
		t = unpool(&net, net_feed(&net, &dy), at, what == 2 ? &attr.win : NULL, x_dim + 2,
			   (uint32_t)spatial);
	}
	net_output(&net, t);
	net_expect(&net, &want, 1e-5);
	free(index);
	ref_tensor_free(&dy);
	ref_tensor_free(&x);
}

static void test_positions(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		for (int what = 0; what < 4; what++)
			positions(1 + net_rand(2), what);
}

/* Positions of another shape, or no sizes for every axis. */
static void test_unpool_refused(void **state)
{
	struct ref_tensor dy = net_values(SHAPE(1, 2, 3, 3), -1, 1);
	const int32_t position[18] = { 0 };
	const int64_t dims[] = { 1, 2, 3, 3 }, sizes[] = { 6, 6 };

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct nc_node *n;
		struct net net;
		int in[2];

		net_begin(&net);
		in[0] = net_input(&net, &dy);
		in[1] = npu_graph_input(net.g, "at", NPU_GRAPH_I32, 3 + i, dims);
		net_bind(&net, 1, position);
		n = net_node(&net, "Unpool", 2, in, 1);
		nc_attr_set_ints(net.g, n, "sizes", sizes, 2 - i);
		assert_int_equal(nc_graph_node(net.g, n), -EINVAL);
		assert_non_null(strstr(npu_graph_error(net.g), "with a size for each"));
		net_end(&net);
	}
	ref_tensor_free(&dy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weight_grad),
		cmocka_unit_test(test_weight_grad_refused),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_unpool_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
