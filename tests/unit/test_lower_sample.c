/* SPDX-License-Identifier: MIT */
/* GridSample and AffineGrid through front half and kernel IR, against one place at a time. */
#include <math.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

static const char *const modes[] = { "nearest", "linear", "cubic" };
static const char *const paddings[] = { "zeros", "border", "reflection" };

/**
 * struct image - one channel and how it continues
 * @size: height and width
 */
struct image {
	const float *data;
	int64_t size[2];
	int mode, padding;
	bool corners;
};

static double mirrored(double t, double low, double high)
{
	if (high <= low)
		return low;
	while (t < low || t > high)
		t = t < low ? 2 * low - t : 2 * high - t;
	return t;
}

static double pixel(const struct image *m, double row, double column)
{
	double at[2] = { row, column }, margin = m->corners ? 0 : 0.5;

	for (int a = 0; a < 2; a++) {
		double last = (double)(m->size[a] - 1);

		if (m->padding == 0 && (at[a] < 0 || at[a] > last))
			return 0;
		if (m->padding == 2)
			at[a] = mirrored(at[a], -margin, last + margin);
		at[a] = fmin(fmax(at[a], 0), last);
	}
	return m->data[(int64_t)at[0] * m->size[1] + (int64_t)at[1]];
}

/* Cubic convolution with a = -3/4, or a triangle. */
static double kernel(int mode, double t)
{
	const double a = -0.75;

	t = fabs(t);
	if (mode == 1)
		return t < 1 ? 1 - t : 0;
	if (t <= 1)
		return (a + 2) * t * t * t - (a + 3) * t * t + 1;
	return t < 2 ? a * t * t * t - 5 * a * t * t + 8 * a * t - 4 * a : 0;
}

static double sample(const struct image *m, const float *grid)
{
	double at[2], sum = 0, margin = m->corners ? 0 : 0.5;

	for (int a = 0; a < 2; a++) {
		double g = grid[1 - a], last = (double)(m->size[a] - 1);

		at[a] = m->corners ? (g + 1) / 2 * last : ((g + 1) * (double)m->size[a] - 1) / 2;
		if (m->mode == 0)
			at[a] = nearbyint(at[a]);
		if (m->padding == 1 && (at[a] < -margin || at[a] > last + margin))
			at[a] = fmin(fmax(at[a], 0), last);
		if (m->padding == 2)
			at[a] = mirrored(at[a], -margin, last + margin);
	}
	if (m->mode == 0)
		return pixel(m, at[0], at[1]);
	for (int i = -1; i < 3; i++)
		for (int k = -1; k < 3; k++) {
			double row = floor(at[0]) + i, column = floor(at[1]) + k;

			sum += kernel(m->mode, at[0] - row) * kernel(m->mode, at[1] - column) *
			       pixel(m, row, column);
		}
	return sum;
}

static void grid_sample(int mode, int padding, bool corners)
{
	int64_t batch = 1 + net_rand(2), channels = 1 + net_rand(3);
	int64_t h = 1 + net_rand(6), w = 1 + net_rand(6), oh = 1 + net_rand(4), ow = 1 + net_rand(4);
	struct ref_tensor x = net_values(4, INTS(batch, channels, h, w), -1, 1), want;
	struct ref_tensor grid = net_values(4, INTS(batch, oh, ow, 2), -1.9f, 1.9f);
	struct nc_node *n;
	struct net net;
	int in[2];

	assert_int_equal(ref_tensor_alloc(&want, 4, INTS(batch, channels, oh, ow)), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
		int64_t plane = e / (oh * ow), place = e % (oh * ow);
		struct image m = { .data = x.data + plane * h * w, .size = { h, w }, .mode = mode,
				   .padding = padding, .corners = corners };

		want.data[e] = (float)sample(&m, grid.data + (plane / channels * oh * ow + place) * 2);
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_feed(&net, &grid);
	n = net_node(&net, "GridSample", 2, in, 1);
	nc_attr_set_string(net.g, n, "mode", modes[mode]);
	nc_attr_set_string(net.g, n, "padding_mode", paddings[padding]);
	nc_attr_set_int(net.g, n, "align_corners", corners);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	/* A place near a border may fall on its other side. */
	net_expect(&net, &want, 1e-3);
	ref_tensor_free(&x);
	ref_tensor_free(&grid);
}

static void test_grid_sample(void **state)
{
	(void)state;
	for (int i = 0; i < 90; i++)
		grid_sample(i % 3, i / 3 % 3, i / 9 & 1);
}

static void test_affine_grid(void **state)
{
	struct ref_tensor theta = net_values(SHAPE(2, 2, 3), -1, 1), want;

	(void)state;
	for (int corners = 0; corners < 2; corners++) {
		const int64_t h = 3, w = 4;
		struct nc_node *n;
		struct net net;
		int in[2];

		assert_int_equal(ref_tensor_alloc(&want, 4, INTS(2, h, w, 2)), 0);
		for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
			const float *row = theta.data + e / (2 * h * w) * 6 + e % 2 * 3;
			double x = (double)(e / 2 % w), y = (double)(e / 2 / w % h);

			x = corners ? 2 * x / (double)(w - 1) - 1 : (2 * x + 1) / (double)w - 1;
			y = corners ? 2 * y / (double)(h - 1) - 1 : (2 * y + 1) / (double)h - 1;
			want.data[e] = (float)(row[0] * x + row[1] * y + row[2]);
		}
		net_begin(&net);
		in[0] = net_input(&net, &theta);
		in[1] = net_ints(&net, INTS(2, 5, h, w), 4);
		n = net_node(&net, "AffineGrid", 2, in, 1);
		nc_attr_set_int(net.g, n, "align_corners", corners);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		net_expect(&net, &want, 1e-5);
	}
	ref_tensor_free(&theta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grid_sample),
		cmocka_unit_test(test_affine_grid),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
