/* SPDX-License-Identifier: MIT */
/* Convolution and pooling through front half and kernel IR. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

static const struct {
	const char *name;
	enum ref_auto_pad pad;
} auto_pads[] = {
	{ "NOTSET", REF_PAD_NOTSET },
	{ "SAME_UPPER", REF_PAD_SAME_UPPER },
	{ "SAME_LOWER", REF_PAD_SAME_LOWER },
	{ "VALID", REF_PAD_VALID },
};

/* A window that fits @in; padding is always less than the window's reach. */
static struct ref_window random_window(int spatial, const int64_t *in)
{
	struct ref_window w = { .auto_pad = net_rand(2) ? REF_PAD_NOTSET :
				auto_pads[1 + net_rand(3)].pad };

	for (int i = 0; i < spatial; i++) {
		w.kernel[i] = 1 + net_rand(4);
		w.strides[i] = 1 + net_rand(3);
		w.dilations[i] = 1 + net_rand(3) / 2;
		while ((w.kernel[i] - 1) * w.dilations[i] + 1 > in[i])
			w.kernel[i]--;
		if (w.auto_pad == REF_PAD_NOTSET) {
			w.pads[i] = net_rand((uint32_t)w.kernel[i]);
			w.pads[spatial + i] = net_rand((uint32_t)w.kernel[i]);
		}
	}
	return w;
}

static void set_window(struct net *net, struct nc_node *n, const struct ref_window *w,
		       int spatial)
{
	nc_attr_set_ints(net->g, n, "kernel_shape", w->kernel, (uint32_t)spatial);
	if (net_rand(2) || w->strides[0] != 1 || w->strides[1] > 1 || w->strides[2] > 1)
		nc_attr_set_ints(net->g, n, "strides", w->strides, (uint32_t)spatial);
	if (net_rand(2) || w->dilations[0] != 1 || w->dilations[1] > 1 || w->dilations[2] > 1)
		nc_attr_set_ints(net->g, n, "dilations", w->dilations, (uint32_t)spatial);
	if (w->auto_pad == REF_PAD_NOTSET)
		nc_attr_set_ints(net->g, n, "pads", w->pads, 2 * (uint32_t)spatial);
	else
		nc_attr_set_string(net->g, n, "auto_pad", auto_pads[w->auto_pad].name);
}

static void conv(int spatial)
{
	int64_t groups = net_rand(2) ? 1 : 1 + net_rand(4);
	int64_t x_dim[5], w_dim[5];
	struct ref_tensor x, w, b, want;
	struct ref_window win;
	struct nc_node *n;
	struct net net;
	int in[3];

	net_shape(2 + spatial, spatial > 2 ? 5 : 9, x_dim);
	x_dim[0] = 1 + net_rand(3);
	x_dim[1] = groups * (1 + net_rand(net_rand(5) ? 4 : 80));
	win = random_window(spatial, x_dim + 2);
	w_dim[0] = groups * (1 + net_rand(4));
	w_dim[1] = x_dim[1] / groups;
	if (net_rand(4) == 0) {
		/* depthwise */
		groups = x_dim[1];
		w_dim[0] = groups * (1 + net_rand(2));
		w_dim[1] = 1;
	}
	memcpy(w_dim + 2, win.kernel, (size_t)spatial * sizeof(*w_dim));
	x = net_values(2 + spatial, x_dim, -1, 1);
	w = net_values(2 + spatial, w_dim, -1, 1);
	b = net_values(1, w_dim, -1, 1);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_rand(3) ? net_const(&net, &w) : net_feed(&net, &w);
	in[2] = net_rand(3) ? net_feed(&net, &b) : NPU_TENSOR_NONE;
	n = net_node(&net, "Conv", in[2] == NPU_TENSOR_NONE ? 2 : 3, in, 1);
	set_window(&net, n, &win, spatial);
	if (net_rand(2))
		nc_attr_drop(n, "kernel_shape");
	nc_attr_set_int(net.g, n, "group", groups);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	assert_int_equal(ref_conv(&win, groups, &x, &w, in[2] == NPU_TENSOR_NONE ? NULL : &b,
				  &want), 0);
	/* Hundreds of products may cancel. */
	net_expect(&net, &want, 1e-3);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&b);
}

static void test_conv(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		conv(1);
		conv(2);
		conv(3);
	}
}

static void conv_transpose(int spatial)
{
	int64_t groups = 1 + net_rand(3), extra[3], sizes[3];
	int64_t x_dim[5], w_dim[5], b_dim;
	struct ref_window win = { .auto_pad = REF_PAD_NOTSET };
	struct ref_tensor x, w, b, want;
	struct nc_node *n;
	struct net net;
	int in[3];

	net_shape(2 + spatial, 5, x_dim);
	net_shape(2 + spatial, 4, w_dim);
	x_dim[1] *= groups;
	w_dim[0] = x_dim[1];
	b_dim = w_dim[1] * groups;
	for (int i = 0; i < spatial; i++) {
		int64_t room;

		win.kernel[i] = w_dim[2 + i];
		win.strides[i] = 1 + net_rand(3);
		win.dilations[i] = 1 + net_rand(2);
		extra[i] = net_rand((uint32_t)win.strides[i]);
		room = win.strides[i] * (x_dim[2 + i] - 1) +
		       (win.kernel[i] - 1) * win.dilations[i] + extra[i];
		win.pads[i] = net_rand(room < 3 ? (uint32_t)room / 2 + 1 : 3);
		win.pads[spatial + i] = net_rand(room < 3 ? (uint32_t)room / 2 + 1 : 3);
		if (win.pads[i] + win.pads[spatial + i] > room)
			win.pads[spatial + i] = 0;
		if (win.pads[i] > room)
			win.pads[i] = 0;
	}
	x = net_values(2 + spatial, x_dim, -1, 1);
	w = net_values(2 + spatial, w_dim, -1, 1);
	b = net_values(1, &b_dim, -1, 1);
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_rand(3) ? net_const(&net, &w) : net_feed(&net, &w);
	in[2] = net_rand(3) ? net_feed(&net, &b) : NPU_TENSOR_NONE;
	assert_int_equal(ref_conv_transpose(&win, extra, groups, &x, &w,
					    in[2] == NPU_TENSOR_NONE ? NULL : &b, &want), 0);
	n = net_node(&net, "ConvTranspose", in[2] == NPU_TENSOR_NONE ? 2 : 3, in, 1);
	set_window(&net, n, &win, spatial);
	nc_attr_set_int(net.g, n, "group", groups);
	for (int i = 0; i < spatial; i++)
		sizes[i] = want.dims[2 + i];
	nc_attr_set_ints(net.g, n, "output_padding", extra, (uint32_t)spatial);
	/* Said another way: pads follow from the shape; an odd one is before. */
	if (win.pads[0] - win.pads[spatial] == 1 && spatial == 1) {
		nc_attr_drop(n, "pads");
		nc_attr_set_ints(net.g, n, "output_shape", sizes, (uint32_t)spatial);
	}
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-3);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&b);
}

static void test_conv_transpose(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		conv_transpose(1);
		conv_transpose(2);
		conv_transpose(3);
	}
}

/* @large: windows that do not stay whole, or see everything. */
static void pool(int spatial, bool average, bool large)
{
	struct ref_pool attr = {
		.ceil_mode = net_rand(2),
		.count_include_pad = average && net_rand(2),
	};
	struct ref_tensor x, want;
	int64_t x_dim[5];
	struct nc_node *n;
	struct net net;
	int in, ret;

	net_shape(2 + spatial, spatial > 2 ? 6 : 9, x_dim);
	for (int i = 0; large && i < 2; i++) {
		x_dim[i] = 1 + net_rand(2);
		x_dim[2 + i] = 34 + net_rand(8);
	}
	x = net_values(2 + spatial, x_dim, -1, 1);
	attr.win = random_window(spatial, x_dim + 2);
	for (int i = 0; large && i < 2; i++) {
		attr.win.dilations[i] = 1;
		attr.win.kernel[i] = net_rand(2) ? x_dim[2 + i] : 33;
	}
	ret = average ? ref_average_pool(&attr, &x, &want) : ref_max_pool(&attr, &x, &want, NULL);
	/* The oracle has no value for a window without any element. */
	if (ret) {
		ref_tensor_free(&x);
		return;
	}
	net_begin(&net);
	in = net_feed(&net, &x);
	n = net_node(&net, average ? "AveragePool" : "MaxPool", 1, &in, 1);
	set_window(&net, n, &attr.win, spatial);
	nc_attr_set_int(net.g, n, "ceil_mode", attr.ceil_mode);
	if (average)
		nc_attr_set_int(net.g, n, "count_include_pad", attr.count_include_pad);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-5);
	ref_tensor_free(&x);
}

static void test_pool(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		pool(1 + i % 3, false, false);
		pool(1 + i % 3, true, false);
	}
	for (int i = 0; i < 20; i++)
		pool(2 + i % 4 / 2, i & 1, true);
}

/* Norms of windows: the average that counts padding, times its number of taps. */
static void test_lp_pool(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		int spatial = 1 + i % 3, p = 1 + (int)net_rand(3);
		struct ref_pool attr = { .count_include_pad = true };
		struct ref_tensor x, raised, want;
		int64_t x_dim[5], taps = 1;
		struct nc_node *n;
		struct net net;
		int in;

		net_shape(2 + spatial, 6, x_dim);
		x = net_values(2 + spatial, x_dim, -1, 1);
		attr.win = random_window(spatial, x_dim + 2);
		raised = net_values(2 + spatial, x_dim, 0, 1);
		for (int64_t e = 0; e < ref_tensor_elems(&x); e++)
			raised.data[e] = powf(fabsf(x.data[e]), (float)p);
		assert_int_equal(ref_average_pool(&attr, &raised, &want), 0);
		for (int k = 0; k < spatial; k++)
			taps *= attr.win.kernel[k];
		for (int64_t e = 0; e < ref_tensor_elems(&want); e++)
			want.data[e] = powf(want.data[e] * (float)taps, 1 / (float)p);
		net_begin(&net);
		in = net_feed(&net, &x);
		n = net_node(&net, "LpPool", 1, &in, 1);
		set_window(&net, n, &attr.win, spatial);
		nc_attr_set_int(net.g, n, "p", p);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		net_expect(&net, &want, 1e-4);
		ref_tensor_free(&x);
		ref_tensor_free(&raised);
	}
}

/* @tensor of any type as an f32 output. */
static void float_output(struct net *net, int tensor)
{
	struct nc_node *n = net_node(net, "Cast", 1, &tensor, 1);

	nc_attr_set_int(net->g, n, "to", 1);
	net_add(net, n);
	net_output(net, net_out(n, 0));
}

/* Where maxima are. */
static void pool_indices(int spatial)
{
	struct ref_pool attr = { .ceil_mode = net_rand(2) };
	struct ref_tensor x, y, want;
	int64_t x_dim[5], *indices;
	struct nc_node *n;
	struct net net;
	int in;

	attr.storage_order = spatial == 2 && net_rand(2);
	net_shape(2 + spatial, spatial > 2 ? 6 : 9, x_dim);
	x = net_values(2 + spatial, x_dim, -1, 1);
	attr.win = random_window(spatial, x_dim + 2);
	if (ref_max_pool(&attr, &x, &y, &indices)) {
		ref_tensor_free(&x);
		return;
	}
	assert_int_equal(ref_tensor_alloc(&want, y.rank, y.dims), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&y); e++)
		want.data[e] = (float)indices[e];
	net_begin(&net);
	in = net_feed(&net, &x);
	n = net_node(&net, "MaxPool", 1, &in, 2);
	set_window(&net, n, &attr.win, spatial);
	nc_attr_set_int(net.g, n, "ceil_mode", attr.ceil_mode);
	nc_attr_set_int(net.g, n, "storage_order", attr.storage_order);
	net_add(&net, n);
	float_output(&net, net_out(n, 1));
	net_expect(&net, &want, 0);
	ref_tensor_free(&x);
	ref_tensor_free(&y);
	free(indices);
}

static void test_pool_indices(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		pool_indices(1 + i % 3);
}

/* Maxima back where they were, in the corner of a larger image. */
static void test_max_unpool(void **state)
{
	struct ref_pool attr = {
		.win = { .kernel = { 2, 3 }, .strides = { 2, 3 }, .dilations = { 1, 1 } },
	};
	struct ref_tensor x = net_values(SHAPE(2, 3, 6, 9), -1, 1), y, small, want;
	struct nc_node *n;
	int64_t *indices;
	struct net net;
	int in[3];

	(void)state;
	assert_int_equal(ref_max_pool(&attr, &x, &y, &indices), 0);
	assert_int_equal(ref_tensor_alloc(&small, x.rank, x.dims), 0);
	memset(small.data, 0, (size_t)ref_tensor_elems(&small) * sizeof(float));
	for (int64_t e = 0; e < ref_tensor_elems(&y); e++)
		small.data[indices[e]] = y.data[e];
	assert_int_equal(ref_pad(&small, 4, INTS(0, 0, 0, 0, 0, 0, 1, 2), NULL, 0, &want), 0);
	net_begin(&net);
	in[0] = net_input(&net, &x);
	n = net_node(&net, "MaxPool", 1, in, 2);
	set_window(&net, n, &attr.win, 2);
	net_add(&net, n);
	in[0] = net_out(n, 0);
	in[1] = net_out(n, 1);
	in[2] = net_ints(&net, INTS(2, 3, 7, 11), 4);
	n = net_node(&net, "MaxUnpool", 3, in, 1);
	nc_attr_set_ints(net.g, n, "kernel_shape", attr.win.kernel, 2);
	nc_attr_set_ints(net.g, n, "strides", attr.win.strides, 2);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 0);
	ref_tensor_free(&x);
	ref_tensor_free(&y);
	ref_tensor_free(&small);
	free(indices);
}

/* Overlapping blocks of rows and columns, added up by a loop. */
static void col2im(void)
{
	int64_t kernel[2], stride[2], dilation[2], pad[2], out[2], places[2];
	int64_t batch = 1 + net_rand(2), channels = 1 + net_rand(3);
	struct ref_tensor x, want;
	struct nc_node *n;
	struct net net;
	int in[3];

	for (int i = 0; i < 2; i++) {
		kernel[i] = 1 + net_rand(3);
		stride[i] = 1 + net_rand(2);
		dilation[i] = 1 + net_rand(2);
		pad[i] = net_rand(2);
		places[i] = 1 + net_rand(4);
		out[i] = (places[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - pad[i] +
			 net_rand((uint32_t)stride[i]);
		out[i] = out[i] < 1 ? 1 : out[i];
		if ((out[i] + pad[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1 != places[i])
			pad[i] = 0, places[i] = kernel[i] = out[i] = 1;
	}
	x = net_values(SHAPE(batch, channels * kernel[0] * kernel[1], places[0] * places[1]),
		       -1, 1);
	assert_int_equal(ref_tensor_alloc(&want, 4, INTS(batch, channels, out[0], out[1])), 0);
	memset(want.data, 0, (size_t)ref_tensor_elems(&want) * sizeof(float));
	for (int64_t e = 0; e < ref_tensor_elems(&x); e++) {
		int64_t place = e % x.dims[2], tap = e / x.dims[2] % (kernel[0] * kernel[1]);
		int64_t plane = e / x.dims[2] / (kernel[0] * kernel[1]);
		int64_t h = place / places[1] * stride[0] + tap / kernel[1] * dilation[0] - pad[0];
		int64_t w = place % places[1] * stride[1] + tap % kernel[1] * dilation[1] - pad[1];

		if (h >= 0 && h < out[0] && w >= 0 && w < out[1])
			want.data[(plane * out[0] + h) * out[1] + w] += x.data[e];
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, out, 2);
	in[2] = net_ints(&net, kernel, 2);
	n = net_node(&net, "Col2Im", 3, in, 1);
	nc_attr_set_ints(net.g, n, "strides", stride, 2);
	nc_attr_set_ints(net.g, n, "dilations", dilation, 2);
	nc_attr_set_ints(net.g, n, "pads", INTS(pad[0], pad[1], 0, 0), 4);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-5);
	ref_tensor_free(&x);
}

static void test_col2im(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		col2im();
}

static void test_global_pool(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		struct ref_tensor x, want;
		int64_t dims[5];
		struct nc_node *n;
		struct net net;
		int in;

		net_shape(5, 7, dims);
		x = net_values(3 + (int)net_rand(3), dims, -1, 1);
		net_begin(&net);
		in = net_feed(&net, &x);
		n = net_node(&net, i & 1 ? "GlobalMaxPool" : "GlobalAveragePool", 1, &in, 1);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		assert_int_equal(i & 1 ? ref_global_max_pool(&x, &want) :
					 ref_global_average_pool(&x, &want), 0);
		net_expect(&net, &want, 1e-5);
		ref_tensor_free(&x);
	}
}

/* Convolutions in a row keep channels last in memory: no copies in between. */
static void test_layout(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 9, 9), -1, 1);
	struct ref_tensor w = net_values(SHAPE(4, 3, 3, 3), -1, 1);
	struct ref_tensor v = net_values(SHAPE(5, 4, 2, 2), -1, 1);
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_const(&net, &w);
	n = net_node(&net, "Conv", 2, in, 1);
	net_add(&net, n);
	in[0] = net_out(n, 0);
	n = net_node(&net, "Relu", 1, in, 1);
	net_add(&net, n);
	in[0] = net_out(n, 0);
	in[1] = net_const(&net, &v);
	n = net_node(&net, "Conv", 2, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_run(&net);
	assert_int_equal(net.k->ops, 3);
	assert_int_equal(net.k->op[1]->map.ndim, 1);
	assert_int_equal(net.k->op[2]->conv.in.stride[3], 1);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&v);
	net_end(&net);
}

/* A node over @x and a constant, on either side; @want follows. */
static int after(struct net *net, const char *op, enum ref_binary_op ref, int x, bool first,
		 const struct ref_tensor *c, struct ref_tensor *want)
{
	int in[2] = { x, net_const(net, c) };
	struct nc_node *n;
	struct ref_tensor r;

	if (first) {
		in[0] = in[1];
		in[1] = x;
	}
	assert_int_equal(ref_binary(ref, first ? c : want, first ? want : c, &r), 0);
	ref_tensor_free(want);
	*want = r;
	n = net_node(net, op, 2, in, 1);
	net_add(net, n);
	return net_out(n, 0);
}

/*
 * Batch normalisation and what else is one value per channel becomes part of
 * the weights, but not what others use too, and not a value per column.
 */
static void test_fold_conv(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 3, 6, 5), -1, 1);
	struct ref_tensor w = net_values(SHAPE(4, 3, 3, 3), -1, 1);
	struct ref_tensor column = net_values(SHAPE(4, 1, 1), 1, 2);
	struct ref_tensor row = net_values(SHAPE(1, 3), 1, 2);
	struct ref_tensor one = net_values(SHAPE(1, 1), 1, 2);
	struct ref_window win = { .kernel = { 3, 3 } };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		static const unsigned int maps[] = { 0, 3, 4 };
		struct ref_tensor want, got;
		struct ref_compare res;
		struct nc_node *n;
		struct net net;
		int in[5], t, conv;

		assert_int_equal(ref_conv(&win, 1, &x, &w, NULL, &want), 0);
		net_begin(&net);
		in[0] = net_input(&net, &x);
		in[1] = net_const(&net, &w);
		n = net_node(&net, "Conv", 2, in, 1);
		net_add(&net, n);
		conv = t = net_out(n, 0);
		t = after(&net, "Mul", REF_MUL, t, true, &column, &want);
		t = after(&net, "Sub", REF_SUB, t, true, &one, &want);
		if (i == 1)
			t = after(&net, "Div", REF_DIV, t, false, &row, &want);
		t = after(&net, "Div", REF_DIV, t, false, &column, &want);
		t = after(&net, "Add", REF_ADD, t, false, &column, &want);
		npu_graph_output(net.g, "y", t);
		if (i == 2)
			npu_graph_output(net.g, "conv", conv);
		net_run(&net);
		/* 0: one operation; 1: from the row on, 2: from the start on in maps */
		assert_int_equal(net_count(&net, KIR_CONV), 1);
		assert_int_equal(net_count(&net, KIR_MAP), maps[i]);
		got = net_result(&net, 0);
		assert_int_equal(ref_compare_tensors(&got, &want, 1e-4, 1e-4, &res), 0);
		ref_tensor_free(&got);
		net_end(&net);
		ref_tensor_free(&want);
	}
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&column);
	ref_tensor_free(&row);
	ref_tensor_free(&one);
}

static void conv_batch_norm(void)
{
	struct ref_tensor x = net_values(SHAPE(2, 4, 6, 5), -1, 1);
	struct ref_tensor w = net_values(SHAPE(6, 2, 2, 3), -1, 1), v[4], want, col;
	struct ref_window win = { .kernel = { 2, 3 } };
	struct nc_node *n;
	struct net net;
	int in[5];

	for (int i = 0; i < 4; i++)
		v[i] = net_values(SHAPE(6), 0.5f, 1);
	assert_int_equal(ref_conv(&win, 2, &x, &w, NULL, &want), 0);
	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_const(&net, &w);
	n = net_node(&net, "Conv", 2, in, 1);
	nc_attr_set_int(net.g, n, "group", 2);
	net_add(&net, n);
	in[0] = net_out(n, 0);
	for (int i = 0; i < 4; i++)
		in[1 + i] = net_const(&net, &v[i]);
	n = net_node(&net, "BatchNormalization", 5, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	for (int i = 0; i < 4; i++) {
		static const struct { int in; enum ref_binary_op op; } order[] = {
			{ 2, REF_SUB }, { 3, REF_DIV }, { 0, REF_MUL }, { 1, REF_ADD },
		};
		struct ref_tensor r;

		col = tensor(3, INTS(6, 1, 1), v[order[i].in].data);
		for (int k = 0; order[i].op == REF_DIV && k < 6; k++)
			col.data[k] = sqrtf(col.data[k] + 1e-5f);
		assert_int_equal(ref_binary(order[i].op, &want, &col, &r), 0);
		ref_tensor_free(&want);
		ref_tensor_free(&col);
		want = r;
	}
	net_expect(&net, &want, 1e-3);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	for (int i = 0; i < 4; i++)
		ref_tensor_free(&v[i]);
}

static void test_conv_batch_norm(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		conv_batch_norm();
}

/* A model with channels last: transposes around every operator are only views. */
static void test_channels_last(void **state)
{
	struct ref_tensor x = net_values(SHAPE(2, 9, 9, 3), -1, 1);
	struct ref_tensor w = net_values(SHAPE(3, 3, 3, 3), -1, 1);
	const unsigned int to_nchw[] = { 0, 3, 1, 2 }, to_nhwc[] = { 0, 2, 3, 1 };
	struct nc_node *n;
	struct net net;
	int in[2], t;

	(void)state;
	net_begin(&net);
	t = net_input(&net, &x);
	for (int i = 0; i < 3; i++) {
		in[0] = npu_graph_transpose(net.g, t, to_nchw);
		in[1] = net_const(&net, &w);
		n = net_node(&net, "Conv", 2, in, 1);
		nc_attr_set_ints(net.g, n, "pads", INTS(1, 1, 1, 1), 4);
		net_add(&net, n);
		t = npu_graph_transpose(net.g, net_out(n, 0), to_nhwc);
		t = npu_graph_unary(net.g, NPU_UNARY_RELU, t, 0, 0);
	}
	npu_graph_output(net.g, "y", t);
	net_run(&net);
	assert_int_equal(net.k->ops, 6);
	assert_int_equal(net_count(&net, KIR_COPY), 0);
	for (uint32_t i = 0; i < net.k->ops; i += 2)
		assert_int_equal(net.k->op[i]->conv.in.stride[3], 1);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	net_end(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conv),
		cmocka_unit_test(test_conv_transpose),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_lp_pool),
		cmocka_unit_test(test_pool_indices),
		cmocka_unit_test(test_max_unpool),
		cmocka_unit_test(test_col2im),
		cmocka_unit_test(test_global_pool),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_channels_last),
		cmocka_unit_test(test_fold_conv),
		cmocka_unit_test(test_conv_batch_norm),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
