// SPDX-License-Identifier: MIT
/* Layers and their derivatives, one element at a time. */
#include "ref_layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ref_dense(int64_t rows, int64_t in, int64_t out, const double *x, const double *k,
	       const double *b, double *y)
{
	for (int64_t r = 0; r < rows; r++) {
		double *yr = y + r * out;

		for (int64_t o = 0; o < out; o++)
			yr[o] = b ? b[o] : 0;
		for (int64_t i = 0; i < in; i++)
			for (int64_t o = 0; o < out; o++)
				yr[o] += x[r * in + i] * k[i * out + o];
	}
}

void ref_dense_back(int64_t rows, int64_t in, int64_t out, const double *x, const double *k,
		    const double *dy, double *dx, double *dk, double *db)
{
	for (int64_t r = 0; r < rows; r++) {
		const double *g = dy + r * out;

		for (int64_t i = 0; i < in; i++) {
			double sum = 0;

			for (int64_t o = 0; o < out; o++) {
				dk[i * out + o] += x[r * in + i] * g[o];
				sum += k[i * out + o] * g[o];
			}
			if (dx)
				dx[r * in + i] = sum;
		}
		for (int64_t o = 0; db && o < out; o++)
			db[o] += g[o];
	}
}

/* Calls of a body for each place and tap: x and k elements of channel c, y of channel 0. */
#define EACH_TAP(n, h, w, c, out)						\
	for (int64_t image = 0; image < (n); image++)				\
		for (int64_t oy = 0; oy < (h) - 2; oy++)			\
			for (int64_t ox = 0; ox < (w) - 2; ox++)		\
				for (int64_t tap = 0; tap < 9; tap++)		\
					for (int64_t ch = 0; ch < (c); ch++)

#define X_AT	(((image * h + oy + tap / 3) * w + ox + tap % 3) * c + ch)
#define Y_AT	(((image * (h - 2) + oy) * (w - 2) + ox) * out)
#define K_AT	((tap * c + ch) * out)

void ref_conv3(int64_t n, int64_t h, int64_t w, int64_t c, int64_t out, const double *x,
	       const double *k, const double *b, double *y)
{
	for (int64_t i = 0; i < n * (h - 2) * (w - 2) * out; i++)
		y[i] = b[i % out];
	EACH_TAP(n, h, w, c, out)
		for (int64_t o = 0; o < out; o++)
			y[Y_AT + o] += x[X_AT] * k[K_AT + o];
}

void ref_conv3_back(int64_t n, int64_t h, int64_t w, int64_t c, int64_t out, const double *x,
		    const double *k, const double *dy, double *dx, double *dk, double *db)
{
	if (dx)
		memset(dx, 0, (size_t)(n * h * w * c) * sizeof(*dx));
	for (int64_t i = 0; i < n * (h - 2) * (w - 2) * out; i++)
		db[i % out] += dy[i];
	EACH_TAP(n, h, w, c, out) {
		double sum = 0;

		for (int64_t o = 0; o < out; o++) {
			dk[K_AT + o] += x[X_AT] * dy[Y_AT + o];
			sum += k[K_AT + o] * dy[Y_AT + o];
		}
		if (dx)
			dx[X_AT] += sum;
	}
}

/* Which of the four elements is the largest, the first of several. */
static int64_t largest(const double *x, int64_t w, int64_t c)
{
	const int64_t at[] = { 0, c, w * c, w * c + c };
	int64_t best = 0;

	for (int i = 1; i < 4; i++)
		if (x[at[i]] > x[best])
			best = at[i];
	return best;
}

void ref_pool2(int64_t n, int64_t h, int64_t w, int64_t c, const double *x, double *y)
{
	for (int64_t image = 0; image < n; image++)
		for (int64_t oy = 0; oy < h / 2; oy++)
			for (int64_t ox = 0; ox < w / 2; ox++)
				for (int64_t ch = 0; ch < c; ch++) {
					const double *from = x + ((image * h + 2 * oy) * w + 2 * ox) * c + ch;

					*y++ = from[largest(from, w, c)];
				}
}

void ref_pool2_back(int64_t n, int64_t h, int64_t w, int64_t c, const double *x, const double *dy,
		    double *dx)
{
	memset(dx, 0, (size_t)(n * h * w * c) * sizeof(*dx));
	for (int64_t image = 0; image < n; image++)
		for (int64_t oy = 0; oy < h / 2; oy++)
			for (int64_t ox = 0; ox < w / 2; ox++)
				for (int64_t ch = 0; ch < c; ch++) {
					int64_t at = ((image * h + 2 * oy) * w + 2 * ox) * c + ch;

					dx[at + largest(x + at, w, c)] += *dy++;
				}
}

void ref_relu(int64_t elems, double *x)
{
	for (int64_t i = 0; i < elems; i++)
		x[i] = x[i] > 0 ? x[i] : 0;
}

void ref_relu_back(int64_t elems, const double *y, double *dy)
{
	for (int64_t i = 0; i < elems; i++)
		dy[i] = y[i] > 0 ? dy[i] : 0;
}

/* Rows of keep: gates i, f, c, o after their functions, the cell, the cell after relu. */
enum { KEEP_I, KEEP_F, KEEP_C, KEEP_O, KEEP_CELL, KEEP_OUT, KEEPS };

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

void ref_train_lstm(int64_t n, int64_t steps, int64_t in, int64_t units, const double *x,
		    const double *k, const double *r, const double *b, double *h, double *keep)
{
	double *sum = calloc((size_t)(4 * units), sizeof(*sum));

	for (int64_t s = 0; s < n * steps; s++) {
		const double *before = s % steps ? keep + (s - 1) * KEEPS * units : NULL;
		double *now = keep + s * KEEPS * units;

		memcpy(sum, b, (size_t)(4 * units) * sizeof(*sum));
		for (int64_t i = 0; i < in; i++)
			for (int64_t g = 0; g < 4 * units; g++)
				sum[g] += x[s * in + i] * k[i * 4 * units + g];
		for (int64_t i = 0; before && i < units; i++)
			for (int64_t g = 0; g < 4 * units; g++)
				sum[g] += h[(s - 1) * units + i] * r[i * 4 * units + g];
		for (int64_t u = 0; u < units; u++) {
			double i = sigmoid(sum[u]), f = sigmoid(sum[units + u]);
			double c = fmax(sum[2 * units + u], 0), o = sigmoid(sum[3 * units + u]);
			double cell = i * c + (before ? f * before[KEEP_CELL * units + u] : 0);

			now[KEEP_I * units + u] = i;
			now[KEEP_F * units + u] = f;
			now[KEEP_C * units + u] = c;
			now[KEEP_O * units + u] = o;
			now[KEEP_CELL * units + u] = cell;
			now[KEEP_OUT * units + u] = fmax(cell, 0);
			h[s * units + u] = o * fmax(cell, 0);
		}
	}
	free(sum);
}

void ref_train_lstm_back(int64_t n, int64_t steps, int64_t in, int64_t units, const double *x,
			 const double *k, const double *r, const double *h, const double *keep,
			 double *dh, double *dx, double *dk, double *dr, double *db)
{
	double *dsum = calloc((size_t)(4 * units), sizeof(*dsum));
	double *dcell = calloc((size_t)units, sizeof(*dcell));
	double *back = calloc((size_t)units, sizeof(*back));

	for (int64_t s = n * steps; s-- > 0;) {
		const double *now = keep + s * KEEPS * units;
		const double *before = s % steps ? now - KEEPS * units : NULL;

		if (s % steps == steps - 1)
			memset(dcell, 0, (size_t)units * sizeof(*dcell));
		for (int64_t u = 0; u < units; u++) {
			double i = now[KEEP_I * units + u], f = now[KEEP_F * units + u];
			double c = now[KEEP_C * units + u], o = now[KEEP_O * units + u];
			double out = now[KEEP_OUT * units + u], g = dh[s * units + u];
			double d = dcell[u] + (now[KEEP_CELL * units + u] > 0 ? g * o : 0);

			dsum[u] = d * c * i * (1 - i);
			dsum[units + u] = before ? d * before[KEEP_CELL * units + u] * f * (1 - f) : 0;
			dsum[2 * units + u] = c > 0 ? d * i : 0;
			dsum[3 * units + u] = g * out * o * (1 - o);
			dcell[u] = d * f;
		}
		ref_dense_back(1, in, 4 * units, x + s * in, k, dsum, dx ? dx + s * in : NULL, dk,
			       db);
		if (!before)
			continue;
		ref_dense_back(1, units, 4 * units, h + (s - 1) * units, r, dsum, back, dr, NULL);
		for (int64_t u = 0; u < units; u++)
			dh[(s - 1) * units + u] += back[u];
	}
	free(dsum);
	free(dcell);
	free(back);
}

static void softmax(int64_t n, const double *x, double *y)
{
	double most = x[0], sum = 0;

	for (int64_t i = 1; i < n; i++)
		most = fmax(most, x[i]);
	for (int64_t i = 0; i < n; i++)
		sum += y[i] = exp(x[i] - most);
	for (int64_t i = 0; i < n; i++)
		y[i] /= sum;
}

void ref_train_attention(int64_t n, int64_t steps, int64_t units, const double *q,
			 const double *k, const double *v, double *p, double *y)
{
	for (int64_t s = 0; s < n * steps; s++) {
		int64_t first = s / steps * steps;
		double *row = p + s * steps;

		for (int64_t t = 0; t < steps; t++) {
			row[t] = 0;
			for (int64_t u = 0; u < units; u++)
				row[t] += q[s * units + u] * k[(first + t) * units + u];
			row[t] /= sqrt((double)units);
		}
		softmax(steps, row, row);
		for (int64_t u = 0; u < units; u++) {
			y[s * units + u] = 0;
			for (int64_t t = 0; t < steps; t++)
				y[s * units + u] += row[t] * v[(first + t) * units + u];
		}
	}
}

void ref_train_attention_back(int64_t n, int64_t steps, int64_t units, const double *q,
			      const double *k, const double *v, const double *p, const double *dy,
			      double *dq, double *dk, double *dv)
{
	double *dp = calloc((size_t)steps, sizeof(*dp));
	size_t bytes = (size_t)(n * steps * units) * sizeof(*dq);

	memset(dq, 0, bytes);
	memset(dk, 0, bytes);
	memset(dv, 0, bytes);
	for (int64_t s = 0; s < n * steps; s++) {
		int64_t first = s / steps * steps;
		const double *row = p + s * steps, *g = dy + s * units;
		double mean = 0;

		for (int64_t t = 0; t < steps; t++) {
			dp[t] = 0;
			for (int64_t u = 0; u < units; u++) {
				dp[t] += g[u] * v[(first + t) * units + u];
				dv[(first + t) * units + u] += row[t] * g[u];
			}
			mean += row[t] * dp[t];
		}
		for (int64_t t = 0; t < steps; t++) {
			double d = row[t] * (dp[t] - mean) / sqrt((double)units);

			for (int64_t u = 0; u < units; u++) {
				dq[s * units + u] += d * k[(first + t) * units + u];
				dk[(first + t) * units + u] += d * q[s * units + u];
			}
		}
	}
	free(dp);
}

double ref_cross_entropy(int64_t n, int64_t classes, const double *x, const int32_t *label,
			 double *dx, int64_t *correct)
{
	double loss = 0;

	*correct = 0;
	for (int64_t s = 0; s < n; s++) {
		double *p = dx + s * classes;
		int64_t best = 0;

		softmax(classes, x + s * classes, p);
		loss -= log(p[label[s]]);
		for (int64_t i = 1; i < classes; i++)
			if (x[s * classes + i] > x[s * classes + best])
				best = i;
		*correct += best == label[s];
		p[label[s]] -= 1;
		for (int64_t i = 0; i < classes; i++)
			p[i] /= (double)n;
	}
	return loss / (double)n;
}
