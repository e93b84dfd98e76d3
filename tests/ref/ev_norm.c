/* SPDX-License-Identifier: MIT */
/* Normalisations: statistics, and elements relative to them. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ev_priv.h"

/* y = (x - mean) / sqrt(var + epsilon) * scale + bias, by channel. */
static int run_batch_norm(struct ev_call *c)
{
	int ret = ev_need(c, 5);
	const struct ev_value *x = c->in[0];
	double epsilon = ev_attr_f(c, "epsilon", 1e-5f), *y;
	int64_t inner;

	if (ret)
		return ret;
	if (ev_attr_i(c, "training_mode", 0))
		return -ENOSYS;
	if (!ev_attr_i(c, "spatial", 1) || x->rank < 2)
		return ev_bad(c, "not by channel");
	for (unsigned int i = 1; i < 5; i++)
		if (ev_shaped(c, i, 1, &x->dims[1]))
			return -EINVAL;
	inner = ev_count(x->dims, 2, x->rank);
	y = ev_out_like(c, 0, x);
	for (int64_t i = 0; y && i < x->elems; i++) {
		int64_t ch = i / inner % x->dims[1];

		y[i] = (x->v[i] - c->in[3]->v[ch]) / sqrt(c->in[4]->v[ch] + epsilon) *
			c->in[1]->v[ch] + c->in[2]->v[ch];
	}
	return y ? 0 : -EINVAL;
}

/* Mean and 1 / deviation of @count elements. */
static void statistics(const struct ev_call *c, const double *x, int64_t count, bool centre,
		       double epsilon, double *mean, double *scale)
{
	double sum = 0, squares = 0;

	for (int64_t i = 0; i < count; i++)
		sum += x[i];
	*mean = centre ? ev_jitter(c, sum / (double)count) : 0;
	for (int64_t i = 0; i < count; i++)
		squares += (x[i] - *mean) * (x[i] - *mean);
	*scale = 1 / sqrt(squares / (double)count + epsilon);
}

/* InstanceNormalization and GroupNormalization: over groups of channels. */
static int run_channel_norm(struct ev_call *c)
{
	bool instance = *c->node->op_type == 'I';
	int ret = ev_need(c, 3);
	const struct ev_value *x = c->in[0];
	double epsilon = ev_attr_f(c, "epsilon", 1e-5f), *y;
	int64_t groups, inner, size, by;

	if (ret)
		return ret;
	groups = instance ? x->dims[1] : ev_attr_i(c, "num_groups", 0);
	if (x->rank < 2 || groups < 1 || x->dims[1] % groups)
		return ev_bad(c, "groups");
	by = instance || c->opset >= 21 ? x->dims[1] : groups;
	if (ev_shaped(c, 1, 1, &by) || ev_shaped(c, 2, 1, &by))
		return -EINVAL;
	inner = ev_count(x->dims, 2, x->rank);
	size = x->dims[1] / groups * inner;
	y = ev_out_like(c, 0, x);
	for (int64_t g = 0; y && g < x->dims[0] * groups; g++) {
		double mean, scale;

		statistics(c, x->v + g * size, size, true, epsilon, &mean, &scale);
		for (int64_t i = g * size; i < (g + 1) * size; i++) {
			int64_t ch = i / inner % x->dims[1];
			/* Before opset 21 scale and bias were by group. */
			int64_t at = by == x->dims[1] ? ch : ch / (x->dims[1] / groups);

			y[i] = (x->v[i] - mean) * scale * c->in[1]->v[at] + c->in[2]->v[at];
		}
	}
	return y ? 0 : -EINVAL;
}

static int run_layer_norm(struct ev_call *c)
{
	bool centre = *c->node->op_type == 'L';
	int ret = ev_need(c, 2), axis;
	const struct ev_value *x = c->in[0], *bias = c->ins > 2 ? c->in[2] : NULL;
	double epsilon = ev_attr_f(c, "epsilon", 1e-5f), *y, *stats[2] = { NULL };
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 }, size;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", -1), x->rank);
	if (axis < 0)
		return ev_bad(c, "axis");
	if (ev_spreads(c, 1, x->rank, x->dims) || ev_spreads(c, 2, x->rank, x->dims))
		return -EINVAL;
	size = ev_count(x->dims, axis, x->rank);
	for (int i = 0; i < x->rank; i++)
		dims[i] = i < axis ? x->dims[i] : 1;
	y = ev_out_like(c, 0, x);
	for (unsigned int k = 1; k < c->outs && k < 3; k++) {
		stats[k - 1] = ev_out(c, k, (int)ev_attr_i(c, "stash_type", 1), x->rank, dims);
		if (!stats[k - 1])
			return -EINVAL;
	}
	for (int64_t g = 0; y && g < ev_count(x->dims, 0, axis); g++) {
		double mean, scale;

		statistics(c, x->v + g * size, size, centre, epsilon, &mean, &scale);
		if (stats[0])
			stats[0][g] = mean;
		if (stats[1])
			stats[1][g] = scale;
		for (int64_t i = g * size; i < (g + 1) * size; i++) {
			y[i] = (x->v[i] - mean) * scale *
				c->in[1]->v[ev_at_broadcast(c->in[1], x->rank, coord)];
			if (bias)
				y[i] += bias->v[ev_at_broadcast(bias, x->rank, coord)];
			ev_step(x->rank, x->dims, coord);
		}
	}
	return y ? 0 : -EINVAL;
}

/* Over the axes of a set: mean and deviation of each group, in a pass per group. */
static int run_mean_variance(struct ev_call *c)
{
	int64_t coord[REF_MAX_RANK] = { 0 };
	int ret = ev_need(c, 1), axes;
	const struct ev_value *x = c->in[0];
	bool given;
	double *y;

	if (ret)
		return ret;
	axes = ev_axes(c, 1, x->rank, &given);
	if (axes < 0)
		return ev_bad(c, "axes");
	axes = given ? axes : 1 << 0 | 1 << 2 | 1 << 3;
	y = ev_out_like(c, 0, x);
	for (int64_t i = 0; y && i < x->elems; i++, ev_step(x->rank, x->dims, coord)) {
		int64_t at[REF_MAX_RANK] = { 0 }, count = 0;
		double sum = 0, squares = 0, mean;

		for (int64_t k = 0; k < x->elems; k++, ev_step(x->rank, x->dims, at)) {
			bool same = true;

			for (int a = 0; a < x->rank; a++)
				same = same && (axes >> a & 1 || at[a] == coord[a]);
			count += same;
			sum += same ? x->v[k] : 0;
			squares += same ? x->v[k] * x->v[k] : 0;
		}
		mean = ev_jitter(c, sum / (double)count);
		y[i] = (x->v[i] - mean) /
			(sqrt(fmax(squares / (double)count - sum / (double)count * sum / (double)count, 0)) +
			 1e-9);
	}
	return y ? 0 : -EINVAL;
}

static int run_lp_norm(struct ev_call *c)
{
	int ret = ev_need(c, 1), axis;
	const struct ev_value *x = c->in[0];
	int64_t p = ev_attr_i(c, "p", 2), inner, count;
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", -1), x->rank);
	if (axis < 0 || p < 1 || p > 2)
		return ev_bad(c, "axis or p");
	inner = ev_count(x->dims, axis + 1, x->rank);
	count = x->dims[axis];
	y = ev_out_like(c, 0, x);
	for (int64_t line = 0; y && count && line < x->elems / count; line++) {
		int64_t start = line / inner * count * inner + line % inner;
		double sum = 0;

		for (int64_t k = 0; k < count; k++) {
			double v = x->v[start + k * inner];

			sum += p == 1 ? fabs(v) : v * v;
		}
		sum = p == 1 ? sum : sqrt(sum);
		for (int64_t k = 0; k < count; k++)
			y[start + k * inner] = x->v[start + k * inner] / sum;
	}
	return y ? 0 : -EINVAL;
}

static int run_lrn(struct ev_call *c)
{
	int ret = ev_need(c, 1);
	const struct ev_value *x = c->in[0];
	double alpha = ev_attr_f(c, "alpha", 0.0001f), beta = ev_attr_f(c, "beta", 0.75);
	double bias = ev_attr_f(c, "bias", 1), *y;
	int64_t size = ev_attr_i(c, "size", 0), inner;

	if (ret)
		return ret;
	if (x->rank < 2 || size < 1)
		return ev_bad(c, "size");
	inner = ev_count(x->dims, 2, x->rank);
	y = ev_out_like(c, 0, x);
	for (int64_t i = 0; y && i < x->elems; i++) {
		int64_t ch = i / inner % x->dims[1];
		double sum = 0;

		for (int64_t k = ch - (size - 1) / 2; k <= ch + size / 2; k++)
			if (k >= 0 && k < x->dims[1])
				sum += x->v[i + (k - ch) * inner] * x->v[i + (k - ch) * inner];
		y[i] = x->v[i] / pow(bias + alpha / (double)size * sum, beta);
	}
	return y ? 0 : -EINVAL;
}

const struct ev_op ev_ops_norm[] = {
	{ "BatchNormalization", run_batch_norm, false },
	{ "InstanceNormalization", run_channel_norm, false },
	{ "GroupNormalization", run_channel_norm, false },
	{ "LayerNormalization", run_layer_norm, false },
	{ "RMSNormalization", run_layer_norm, false },
	{ "MeanVarianceNormalization", run_mean_variance, false },
	{ "LpNormalization", run_lp_norm, false },
	{ "LRN", run_lrn, false },
	{ NULL, NULL, false }
};
