/* SPDX-License-Identifier: MIT */
/*
 * Layers of the mission's networks with their derivatives, in naive loops over doubles.
 * Backward functions take the gradient of the layer's output and add to those of its
 * parameters; the gradient of its input, which may be NULL, is written.
 */
#ifndef REF_LAYERS_H
#define REF_LAYERS_H

#include <stdint.h>

/* y[rows, out] = x[rows, in] k[in, out] + b[out]; @b may be NULL. */
void ref_dense(int64_t rows, int64_t in, int64_t out, const double *x, const double *k,
	       const double *b, double *y);
void ref_dense_back(int64_t rows, int64_t in, int64_t out, const double *x, const double *k,
		    const double *dy, double *dx, double *dk, double *db);

/* Valid 3x3 convolution: x[n, h, w, c], k[3, 3, c, out], y[n, h - 2, w - 2, out]. */
void ref_conv3(int64_t n, int64_t h, int64_t w, int64_t c, int64_t out, const double *x,
	       const double *k, const double *b, double *y);
void ref_conv3_back(int64_t n, int64_t h, int64_t w, int64_t c, int64_t out, const double *x,
		    const double *k, const double *dy, double *dx, double *dk, double *db);

/* 2x2 maxima of x[n, h, w, c], y[n, h / 2, w / 2, c]; the first one gets the gradient. */
void ref_pool2(int64_t n, int64_t h, int64_t w, int64_t c, const double *x, double *y);
void ref_pool2_back(int64_t n, int64_t h, int64_t w, int64_t c, const double *x, const double *dy,
		    double *dx);

/* In place; the gradient by the result. */
void ref_relu(int64_t elems, double *x);
void ref_relu_back(int64_t elems, const double *y, double *dy);

/*
 * LSTM over x[n, steps, in], gates i, f, c, o: sigmoid, relu for candidate and output.
 * @h: all states [n, steps, units]. @keep: what the way back needs, 6 units per state.
 */
void ref_train_lstm(int64_t n, int64_t steps, int64_t in, int64_t units, const double *x,
		    const double *k, const double *r, const double *b, double *h, double *keep);
/* @dh: gradient of all states; it is overwritten. */
void ref_train_lstm_back(int64_t n, int64_t steps, int64_t in, int64_t units, const double *x,
			 const double *k, const double *r, const double *h, const double *keep,
			 double *dh, double *dx, double *dk, double *dr, double *db);

/* y = p v, p = softmax(q k^T / sqrt(units)), each [n, steps, units]; @p [n, steps, steps]. */
void ref_train_attention(int64_t n, int64_t steps, int64_t units, const double *q,
			 const double *k, const double *v, double *p, double *y);
void ref_train_attention_back(int64_t n, int64_t steps, int64_t units, const double *q,
			      const double *k, const double *v, const double *p, const double *dy,
			      double *dq, double *dk, double *dv);

/*
 * Mean cross-entropy of softmax(x[n, classes]) and its gradient; the number of samples
 * whose largest logit is the label's in @correct.
 */
double ref_cross_entropy(int64_t n, int64_t classes, const double *x, const int32_t *label,
			 double *dx, int64_t *correct);

#endif
