/* SPDX-License-Identifier: MIT */
/* Recipes of spectra, sampled images and losses. */
#include <string.h>

#include "rand.h"

/* Products of cosines that the oracle takes its time for. */
#define SAMPLES_MOST	65

static int number(struct rg *g, int64_t v)
{
	double elem = (double)v;

	return rg_given(g, EV_I64, 0, NULL, &elem, RG_KNOWN);
}

static bool spectral_window(struct rg *g, const char *op)
{
	int64_t size = 1 + rg_dim(g, g->elems < SAMPLES_MOST ? g->elems : SAMPLES_MOST);

	rg_begin(g, op);
	rg_arg(g, number(g, size));
	if (rg_once(g, 2))
		rg_int(g, "periodic", rg_below(g, 2));
	if (rg_once(g, 4))
		rg_int(g, "output_datatype", rg_once(g, 2) ? EV_F32 : EV_F16);
	return rg_commit(g, 1);
}

static bool dft(struct rg *g, const char *op)
{
	int64_t dims[4] = { rg_between(g, 1, 2), rg_dim(g, SAMPLES_MOST), rg_between(g, 1, 4), 1 };
	int axis = g->opset < 20 || rg_once(g, 2) ? 1 : (int)rg_between(g, 1, 2), rank = 4, x;
	bool inverse = rg_once(g, 3), onesided;
	int64_t length = 0;

	dims[3] = rg_between(g, 1, 2);
	if (rg_once(g, 2)) {
		dims[2] = dims[3];
		rank = 3;
		axis = 1;
	}
	x = rg_like(g, EV_F32, rank, dims, RG_ANY);
	onesided = !inverse && dims[rank - 1] == 1 && rg_once(g, 2);
	if (rg_once(g, 3))
		length = rg_between(g, 1, dims[axis] + 3);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, length ? number(g, length) : -1);
	if (g->opset >= 20)
		rg_arg(g, number(g, rg_once(g, 2) ? axis : axis - rank));
	else
		rg_int(g, "axis", axis);
	if (inverse)
		rg_int(g, "inverse", 1);
	if (onesided)
		rg_int(g, "onesided", 1);
	return rg_commit(g, 1);
}

static bool stft(struct rg *g, const char *op)
{
	int64_t dims[3] = { rg_between(g, 1, 2), 1 + rg_dim(g, SAMPLES_MOST), 1 };
	int64_t length = rg_between(g, 1, dims[1] < 20 ? dims[1] : 20);
	uint32_t given = rg_below(g, 3);
	int x = rg_like(g, EV_F32, 3, dims, RG_ANY), window = -1;

	if (given < 2)
		window = rg_new(g, EV_F32, 1, &length, RG_UNIT, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, number(g, rg_between(g, 1, 6)));
	rg_arg(g, window);
	if (given)
		rg_arg(g, number(g, length));
	if (rg_once(g, 2))
		rg_int(g, "onesided", rg_below(g, 2));
	return rg_commit(g, 1);
}

/* ---- Sampled images ---- */

static bool affine_grid(struct rg *g, const char *op)
{
	int n = (int)rg_between(g, 2, 3);
	int64_t size[5] = { rg_between(g, 1, 2), rg_between(g, 1, 3) };
	int64_t dims[3] = { size[0], n, n + 1 };
	int theta;

	for (int i = 0; i < n; i++)
		size[2 + i] = rg_between(g, 2, n == 2 ? 9 : 5);
	theta = rg_new(g, EV_F32, 3, dims, RG_ANY, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, theta);
	rg_arg(g, rg_list(g, n + 2, size));
	if (rg_once(g, 2))
		rg_int(g, "align_corners", rg_below(g, 2));
	return rg_commit(g, 1);
}

/* Between pixels and between places where rounding decides. */
static bool grid_sample(struct rg *g, const char *op)
{
	static const char *const modes[][3] = { { "bilinear", "nearest", "bicubic" },
						{ "linear", "nearest", "cubic" } };
	static const char *const paddings[] = { "zeros", "border", "reflection" };
	int n = g->opset < 20 || rg_once(g, 2) ? 2 : 3;
	int64_t dims[5] = { rg_between(g, 1, 2), rg_between(g, 1, 3) }, to[5] = { dims[0] };
	uint32_t mode = rg_below(g, n == 2 ? 3 : 2);
	int x, grid;

	for (int i = 0; i < n; i++) {
		dims[2 + i] = rg_between(g, 2, 9);
		to[1 + i] = rg_between(g, 1, 5);
	}
	to[1 + n] = n;
	x = rg_like(g, EV_F32, n + 2, dims, RG_ANY);
	grid = rg_new(g, EV_F32, n + 2, to, rg_once(g, 3) ? RG_ANY : RG_UNIT, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, grid);
	if (mode || rg_once(g, 2))
		rg_text(g, "mode", modes[g->opset >= 20][mode]);
	if (rg_once(g, 2))
		rg_text(g, "padding_mode", paddings[rg_below(g, 3)]);
	if (rg_once(g, 2))
		rg_int(g, "align_corners", rg_below(g, 2));
	return rg_commit(g, 1);
}

/* ---- Losses ---- */

static bool loss(struct rg *g, const char *op)
{
	static const char *const reductions[] = { "mean", "sum", "none" };
	bool softmax = *op == 'S';
	int x = rg_some(g, 1u << EV_F32 | 1u << EV_F16, 2, 4, RG_ANY), rank, target, weight = -1;
	int64_t dims[REF_MAX_RANK], elems = 1, classes, ignored = -5;
	double elem[600];

	if (x < 0)
		return false;
	rank = rg_get(g, x)->rank;
	classes = rg_get(g, x)->dims[1];
	for (int i = 0, k = 0; i < rank; i++)
		if (i != 1)
			elems *= dims[k++] = rg_get(g, x)->dims[i];
	if (!classes || !elems || elems > 600)
		return false;
	if (rg_once(g, 3))
		ignored = rg_once(g, 2) ? -1 : rg_between(g, 0, classes - 1);
	for (int64_t i = 0; i < elems; i++)
		elem[i] = (double)(i && ignored != -5 && rg_once(g, 3) ? ignored :
				   rg_between(g, 0, classes - 1));
	target = rg_given(g, rg_once(g, 2) ? EV_I64 : EV_I32, rank - 1, dims, elem, RG_DRAWN);
	if (rg_once(g, 2))
		weight = rg_new(g, rg_get(g, x)->type, 1, &classes, RG_POSITIVE, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, target);
	if (weight >= 0)
		rg_arg(g, weight);
	if (ignored != -5)
		rg_int(g, "ignore_index", ignored);
	if (rg_once(g, 2))
		rg_text(g, "reduction", reductions[rg_below(g, 3)]);
	return rg_commit(g, 1 + (softmax && rg_once(g, 2)));
}

const struct rg_recipe rg_signal[] = {
	{ "BlackmanWindow", 17, 1, spectral_window },
	{ "HammingWindow", 17, 1, spectral_window },
	{ "HannWindow", 17, 1, spectral_window },
	{ "DFT", 17, 1, dft },
	{ "STFT", 17, 1, stft },
	{ "AffineGrid", 20, 1, affine_grid },
	{ "GridSample", 16, 1, grid_sample },
	{ "NegativeLogLikelihoodLoss", 13, 1, loss },
	{ "SoftmaxCrossEntropyLoss", 13, 1, loss },
	{ NULL, 0, 0, NULL }
};
