/* SPDX-License-Identifier: MIT */
/* Index arithmetic shared by the operators of the oracle. */
#ifndef REF_PRIV_H
#define REF_PRIV_H

#include "ref.h"

/* Larger than any tensor of a test, small enough that no product overflows. */
#define REF_MAX_ELEMS ((int64_t)1 << 40)

/* True for a tensor with data, a legal rank and legal dimensions. */
bool ref_valid(const struct ref_tensor *t);
/* Product of dims[from] .. dims[to - 1]. */
int64_t ref_count(const struct ref_tensor *t, int from, int to);
/* An axis in [-rank, rank - 1] made non-negative, or -EINVAL. */
int ref_axis(int64_t axis, int rank);
void ref_strides(const struct ref_tensor *t, int64_t *strides);
/* The next coordinate in row-major order; all zero after the last. */
void ref_step(int rank, const int64_t *dims, int64_t *coord);
/* The common numpy shape in out (rank and dims only), or -EINVAL. */
int ref_broadcast(const struct ref_tensor *const *xs, int count,
		  struct ref_tensor *out);
/* Where x, broadcast to rank axes, has the element at coord. */
int64_t ref_broadcast_off(const struct ref_tensor *x, int rank,
			  const int64_t *coord);

/* One spatial axis of a window operator, defaults and padding worked out. */
struct ref_win_axis {
	int64_t in;
	int64_t out;
	int64_t kernel;
	int64_t stride;
	int64_t dilation;
	int64_t pad_begin;
	int64_t pad_end;
};

/*
 * Fills axes[0..2] for the spatial dimensions of x [n, c, ...]; with fewer
 * than three the leading ones are of size 1. -EINVAL when no output is left.
 */
int ref_window_resolve(const struct ref_window *win, const struct ref_tensor *x,
		       bool ceil_mode, struct ref_win_axis *axes);

/* IEEE 754-2019 maximum and minimum as far as NaN is concerned. */
double ref_max(double a, double b);
double ref_min(double a, double b);

#endif
