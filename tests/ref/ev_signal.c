/* SPDX-License-Identifier: MIT */
/* Spectra, and the windows that are put on signals before. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ev_priv.h"

/* A number of an input that has one; @unset without the input, -1 when it has more. */
static int64_t number(const struct ev_call *c, unsigned int i, int64_t unset)
{
	int64_t v;

	if (i >= c->ins || !c->in[i])
		return unset;
	return ev_ints(c, i, &v, 1) == 1 ? v : -1;
}

static int run_window(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	int64_t size = ret ? 0 : number(c, 0, -1);
	double whole = (double)(ev_attr_i(c, "periodic", 1) ? size : size - 1), *y;
	/* Weights of the constant, of one turn and of two. */
	double w[3] = { 0.5, -0.5, 0 };

	if (ret || size < 0)
		return ev_bad(c, "size");
	if (!strcmp(c->node->op_type, "HammingWindow")) {
		w[0] = 25.0 / 46;
		w[1] = w[0] - 1;
	} else if (!strcmp(c->node->op_type, "BlackmanWindow")) {
		w[0] = 0.42;
		w[2] = 0.08;
	}
	y = ev_out(c, 0, (int)ev_attr_i(c, "output_datatype", EV_F32), 1, &size);
	for (int64_t i = 0; y && i < size; i++) {
		double turn = 2 * M_PI * (double)i / whole;

		y[i] = w[0] + w[1] * cos(turn) + w[2] * cos(2 * turn);
	}
	return y ? 0 : -EINVAL;
}

/**
 * struct line - complex numbers, some elements apart
 * @parts: 1 if they are real
 */
struct line {
	const double *v;
	int64_t count, step;
	int parts;
};

/* Frequency @k of @n samples; what is beyond the line is 0. @window: factors, or NULL. */
static void frequency(const struct line *x, int64_t n, int64_t k, bool inverse,
		      const double *window, double out[2])
{
	out[0] = out[1] = 0;
	for (int64_t i = 0; i < n && i < x->count; i++) {
		double turn = (inverse ? 2 : -2) * M_PI * (double)(i * k % n) / (double)n;
		double re = x->v[i * x->step] * (window ? window[i] : 1);
		double im = x->parts == 2 ? x->v[i * x->step + 1] * (window ? window[i] : 1) : 0;

		out[0] += re * cos(turn) - im * sin(turn);
		out[1] += re * sin(turn) + im * cos(turn);
	}
	out[0] /= inverse ? (double)n : 1;
	out[1] /= inverse ? (double)n : 1;
}

static int run_dft(struct ev_call *c)
{
	bool inverse = ev_attr_i(c, "inverse", 0), onesided = ev_attr_i(c, "onesided", 0);
	int ret = ev_need(c, 1), axis;
	const struct ev_value *x = c->in[0];
	int64_t dims[REF_MAX_RANK], n, inner;
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(c->opset < 20 ? ev_attr_i(c, "axis", 1) : number(c, 2, -2), x->rank);
	if (axis < 0 || axis == x->rank - 1 || x->dims[x->rank - 1] < 1 ||
	    x->dims[x->rank - 1] > 2)
		return ev_bad(c, "axis or parts");
	/* One side is enough of real signals only. */
	if (onesided && (inverse || x->dims[x->rank - 1] == 2))
		return ev_bad(c, "onesided");
	n = number(c, 1, x->dims[axis]);
	if (n < 1)
		return ev_bad(c, "length");
	memcpy(dims, x->dims, sizeof(dims));
	dims[axis] = onesided ? n / 2 + 1 : n;
	dims[x->rank - 1] = 2;
	inner = ev_count(dims, axis + 1, x->rank - 1);
	y = ev_out(c, 0, x->type, x->rank, dims);
	for (int64_t i = 0; y && i < c->out[0].elems / 2; i++) {
		int parts = (int)x->dims[x->rank - 1];
		int64_t k = i / inner % dims[axis], o = i / inner / dims[axis];
		const struct line line = {
			.v = x->v + (o * x->dims[axis] * inner + i % inner) * parts,
			.count = x->dims[axis], .step = inner * parts, .parts = parts,
		};

		frequency(&line, n, k, inverse, NULL, y + 2 * i);
	}
	return y ? 0 : -EINVAL;
}

static int run_stft(struct ev_call *c)
{
	int ret = ev_need(c, 2), parts;
	const struct ev_value *x = c->in[0], *window = c->ins > 2 ? c->in[2] : NULL;
	int64_t dims[4], step, n;
	double *y;

	if (ret)
		return ret;
	step = number(c, 1, -1);
	n = number(c, 3, window ? window->elems : -1);
	if (x->rank != 3 || step < 1 || n < 1 || n > x->dims[1] ||
	    (window && (window->rank != 1 || window->elems != n)))
		return ev_bad(c, "signal, step, window or length");
	parts = (int)x->dims[2];
	if (parts < 1 || parts > 2)
		return ev_bad(c, "parts");
	dims[0] = x->dims[0];
	dims[1] = (x->dims[1] - n) / step + 1;
	dims[2] = ev_attr_i(c, "onesided", 1) ? n / 2 + 1 : n;
	dims[3] = 2;
	y = ev_out(c, 0, x->type, 4, dims);
	for (int64_t i = 0; y && i < c->out[0].elems / 2; i++) {
		int64_t frame = i / dims[2] % dims[1], batch = i / dims[2] / dims[1];
		const struct line line = {
			.v = x->v + (batch * x->dims[1] + frame * step) * parts,
			.count = n, .step = parts, .parts = parts,
		};

		frequency(&line, n, i % dims[2], false, window ? window->v : NULL, y + 2 * i);
	}
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_signal[] = {
	{ "BlackmanWindow", run_window, false },
	{ "HammingWindow", run_window, false },
	{ "HannWindow", run_window, false },
	{ "DFT", run_dft, false },
	{ "STFT", run_stft, false },
	{ NULL, NULL, false }
};
