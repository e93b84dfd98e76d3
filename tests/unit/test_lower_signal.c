/* SPDX-License-Identifier: MIT */
/* Spectra and windows through front half and kernel IR, against their definitions. */
#include <math.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

/* Here, as the operator table has an "I" of its own for a while. */
#include <complex.h>

#define LENGTH_MAX	16

/* Element @k of the transform of @x, which has @length elements. */
static double complex spectrum(const double complex *x, int64_t length, int64_t k, bool inverse)
{
	double complex sum = 0;

	for (int64_t n = 0; n < length; n++)
		sum += x[n] * cexp((inverse ? 2 : -2) * M_PI * _Complex_I * (double)(k * n) / (double)length);
	return inverse ? sum / (double)length : sum;
}

/* Sequence (@outer, @inner) of x [outer, size, inner, parts], cut or filled up to @length. */
static void gather(const struct ref_tensor *x, int64_t outer, int64_t inner, int64_t length,
		   bool half, double complex *to)
{
	int64_t size = x->dims[1], parts = x->dims[3];

	for (int64_t n = 0; n < length; n++) {
		/* The other half of a spectrum mirrors the first. */
		int64_t from = half && n > length / 2 ? length - n : n;
		const float *at = x->data + ((outer * size + from) * x->dims[2] + inner) * parts;

		to[n] = 0;
		if (from < size)
			to[n] = at[0] + (parts > 1 ? at[1] * _Complex_I : 0);
		if (from != n)
			to[n] = conj(to[n]);
	}
}

static void dft(bool inverse, bool onesided)
{
	int64_t size = 1 + net_rand(9), length = 1 + net_rand(LENGTH_MAX - 1);
	int64_t outer = 1 + net_rand(3), inner = 1 + net_rand(3);
	int64_t parts = onesided ? 1 + inverse : 1 + (int64_t)net_rand(2);
	int64_t bins = onesided && !inverse ? length / 2 + 1 : length, out = onesided && inverse ? 1 : 2;
	struct ref_tensor x = net_values(4, INTS(outer, size, inner, parts), -1, 1), want;
	double complex line[LENGTH_MAX];
	struct nc_node *n;
	struct net net;
	int in[3];

	/* What is real in a spectrum of a real signal. */
	for (int64_t i = 0; onesided && inverse && i < ref_tensor_elems(&x); i++) {
		int64_t k = i / (inner * parts) % size;

		if (i % 2 && (!k || 2 * k == length))
			x.data[i] = 0;
	}
	assert_int_equal(ref_tensor_alloc(&want, 4, INTS(outer, bins, inner, out)), 0);
	for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
		int64_t q = e % out, i = e / out % inner, k = e / out / inner % bins;
		double complex y;

		gather(&x, e / out / inner / bins, i, length, onesided && inverse, line);
		y = spectrum(line, length, k, inverse);
		want.data[e] = (float)(q ? cimag(y) : creal(y));
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_ints(&net, &length, 1);
	in[2] = net_ints(&net, INTS(net_rand(2) ? 1 : -3), 1);
	n = net_node(&net, "DFT", 3, in, 1);
	nc_attr_set_int(net.g, n, "inverse", inverse);
	nc_attr_set_int(net.g, n, "onesided", onesided);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-4);
	ref_tensor_free(&x);
}

static void test_dft(void **state)
{
	(void)state;
	for (int i = 0; i < 80; i++)
		dft(i & 1, i & 2);
}

static void test_stft(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		int64_t length = 2 + net_rand(7), step = 1 + net_rand(4);
		int64_t size = length + net_rand(20), frames = (size - length) / step + 1;
		bool onesided = net_rand(2);
		int64_t bins = onesided ? length / 2 + 1 : length;
		struct ref_tensor x = net_values(3, INTS(2, size, 1), -1, 1), want;
		struct ref_tensor w = net_values(1, &length, 0, 1);
		double complex line[LENGTH_MAX];
		struct nc_node *n;
		struct net net;
		int in[3];

		assert_int_equal(ref_tensor_alloc(&want, 4, INTS(2, frames, bins, 2)), 0);
		for (int64_t e = 0; e < ref_tensor_elems(&want); e++) {
			int64_t k = e / 2 % bins, frame = e / 2 / bins % frames;
			const float *from = x.data + e / 2 / bins / frames * size + frame * step;
			double complex y;

			for (int64_t i = 0; i < length; i++)
				line[i] = from[i] * w.data[i];
			y = spectrum(line, length, k, false);
			want.data[e] = (float)(e % 2 ? cimag(y) : creal(y));
		}
		net_begin(&net);
		in[0] = net_feed(&net, &x);
		in[1] = net_ints(&net, &step, 1);
		in[2] = net_feed(&net, &w);
		n = net_node(&net, "STFT", 3, in, 1);
		nc_attr_set_int(net.g, n, "onesided", onesided);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		net_expect(&net, &want, 1e-4);
		ref_tensor_free(&x);
		ref_tensor_free(&w);
	}
}

/* Values of the usual formulas at a quarter of the period. */
static void test_windows(void **state)
{
	static const struct {
		const char *op;
		double first, quarter, half;
	} cases[] = {
		{ "HannWindow", 0, 0.5, 1 }, { "HammingWindow", 4.0 / 46, 25.0 / 46, 1 },
		{ "BlackmanWindow", 0, 0.34, 1 },
	};

	(void)state;
	for (int i = 0; i < 6; i++) {
		/* Eight of a period, or nine with both its ends. */
		int64_t size = i & 1 ? 9 : 8;
		struct ref_tensor got;
		struct nc_node *n;
		struct net net;
		int in;

		net_begin(&net);
		in = net_ints(&net, &size, 1);
		n = net_node(&net, cases[i / 2].op, 1, &in, 1);
		nc_attr_set_int(net.g, n, "periodic", !(i & 1));
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		net_run(&net);
		got = net_result(&net, 0);
		assert_int_equal(got.dims[0], size);
		assert_true(fabs(got.data[0] - cases[i / 2].first) < 1e-6);
		assert_true(fabs(got.data[2] - cases[i / 2].quarter) < 1e-6);
		assert_true(fabs(got.data[4] - cases[i / 2].half) < 1e-6);
		assert_true(fabs(got.data[6] - cases[i / 2].quarter) < 1e-6);
		assert_true(size == 8 || fabs(got.data[8] - cases[i / 2].first) < 1e-6);
		ref_tensor_free(&got);
		net_end(&net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dft),
		cmocka_unit_test(test_stft),
		cmocka_unit_test(test_windows),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
