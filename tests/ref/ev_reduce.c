/* SPDX-License-Identifier: MIT */
/* Operators along axes: reductions, arg, softmax, running sums. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

enum kind {
	SUM, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE, KINDS
};

static const char *const kind_name[KINDS] = {
	"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
	"ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare",
};

/* What is reduced of an element, and how it joins the others. */
static double join(enum kind kind, double sum, double v)
{
	switch (kind) {
	case MAX:
		return isnan(sum) || isnan(v) ? NAN : v > sum ? v : sum;
	case MIN:
		return isnan(sum) || isnan(v) ? NAN : v < sum ? v : sum;
	case PROD:
		return sum * v;
	case L1:
		return sum + fabs(v);
	case L2:
	case SUM_SQUARE:
		return sum + v * v;
	case LOG_SUM_EXP:
		return sum + exp(v);
	default:
		return sum + v;
	}
}

static double lowest(int type, bool low)
{
	if (ev_is_float(type))
		return low ? -INFINITY : INFINITY;
	if (type == EV_BOOL)
		return !low;
	/* The ends of a two's complement type. */
	if (type == EV_U8 || type == EV_U16 || type == EV_U32)
		return low ? 0 : ldexp(1, 8 * (int)ev_type_bytes(type)) - 1;
	return low ? -ldexp(1, 8 * (int)ev_type_bytes(type) - 1) :
		     ldexp(1, 8 * (int)ev_type_bytes(type) - 1) - 1;
}

static double first(enum kind kind, int type)
{
	if (kind == MAX || kind == MIN)
		return lowest(type, kind == MAX);
	return kind == PROD ? 1 : 0;
}

static double last(enum kind kind, double sum, double count)
{
	switch (kind) {
	case MEAN:
		return sum / count;
	case L2:
		return sqrt(sum);
	case LOG_SUM:
	case LOG_SUM_EXP:
		return log(sum);
	default:
		return sum;
	}
}

/* Shape of the result: one element along each axis of the set, or none. */
static int reduced(const struct ev_value *x, int axes, bool keep, int64_t *dims)
{
	int rank = 0;

	for (int i = 0; i < x->rank; i++) {
		if (!(axes >> i & 1))
			dims[rank++] = x->dims[i];
		else if (keep)
			dims[rank++] = 1;
	}
	return rank;
}

/* Number of the result that the element at @coord goes into. */
static int64_t group(const struct ev_value *x, int axes, const int64_t *coord)
{
	int64_t at = 0;

	for (int i = 0; i < x->rank; i++)
		if (!(axes >> i & 1))
			at = at * x->dims[i] + coord[i];
	return at;
}

static int run_reduce(struct ev_call *c)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	int ret = ev_need(c, 1), axes, rank;
	const struct ev_value *x = c->in[0];
	enum kind kind = SUM;
	bool given;
	double *y, count;

	if (ret)
		return ret;
	while (kind < KINDS && strcmp(kind_name[kind], c->node->op_type))
		kind++;
	axes = ev_axes(c, 1, x->rank, &given);
	if (axes < 0)
		return ev_bad(c, "axes");
	if (!given && ev_attr_i(c, "noop_with_empty_axes", 0)) {
		y = ev_out_like(c, 0, x);
		for (int64_t i = 0; y && i < x->elems; i++)
			y[i] = kind == MAX || kind == MIN ? x->v[i] :
				last(kind, join(kind, first(kind, x->type), x->v[i]), 1);
		return y ? 0 : -EINVAL;
	}
	axes = given ? axes : (1 << x->rank) - 1;
	rank = reduced(x, axes, ev_attr_i(c, "keepdims", 1), dims);
	y = ev_out(c, 0, x->type, rank, dims);
	if (!y)
		return -EINVAL;
	for (int64_t i = 0; i < c->out[0].elems; i++)
		y[i] = first(kind, x->type);
	for (int64_t i = 0; i < x->elems; i++, ev_step(x->rank, x->dims, coord)) {
		int64_t k = group(x, axes, coord);

		y[k] = join(kind, y[k], x->v[i]);
		if (!ev_is_float(x->type))
			y[k] = ev_round(x->type, y[k]);
	}
	count = c->out[0].elems ? (double)x->elems / (double)c->out[0].elems : 0;
	for (int64_t i = 0; i < c->out[0].elems; i++) {
		y[i] = last(kind, y[i], count);
		if (!ev_is_float(x->type))
			y[i] = trunc(y[i]);
	}
	return 0;
}

/**
 * struct line - elements along an axis
 * @count: how many
 * @step: distance
 * @lines: how many lines there are
 */
struct line {
	int64_t count, step, lines;
};

static struct line line_of(const struct ev_value *x, int axis)
{
	struct line l = { .count = x->dims[axis], .step = ev_count(x->dims, axis + 1, x->rank) };

	l.lines = ev_count(x->dims, 0, axis) * l.step;
	return l;
}

/* Where line @i starts. */
static int64_t line_start(const struct line *l, int64_t i)
{
	return i / l->step * l->count * l->step + i % l->step;
}

static int run_arg(struct ev_call *c)
{
	int ret = ev_need(c, 1), axis, rank;
	const struct ev_value *x = c->in[0];
	bool max = !strcmp(c->node->op_type, "ArgMax");
	bool last_one = ev_attr_i(c, "select_last_index", 0);
	int64_t dims[REF_MAX_RANK];
	struct line l;
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", 0), x->rank);
	if (axis < 0)
		return ev_bad(c, "axis");
	rank = reduced(x, 1 << axis, ev_attr_i(c, "keepdims", 1), dims);
	y = ev_out(c, 0, EV_I64, rank, dims);
	l = line_of(x, axis);
	if (!y || (!l.count && l.lines))
		return -EINVAL;
	for (int64_t i = 0; i < l.lines; i++) {
		const double *v = x->v + line_start(&l, i);
		int64_t best = 0;

		for (int64_t k = 1; k < l.count; k++) {
			double a = v[k * l.step], b = v[best * l.step];

			if ((max ? a > b : a < b) || (last_one && a == b))
				best = k;
		}
		y[i] = (double)best;
	}
	return 0;
}

/* One line of Softmax, LogSoftmax, Hardmax. */
static void soft_line(char kind, const double *x, double *y, int64_t count, int64_t step)
{
	double max = -INFINITY, sum = 0;
	int64_t best = 0;

	for (int64_t k = 0; k < count; k++) {
		if (x[k * step] > max) {
			max = x[k * step];
			best = k;
		}
	}
	for (int64_t k = 0; k < count; k++)
		sum += exp(x[k * step] - max);
	for (int64_t k = 0; k < count; k++) {
		double v = x[k * step] - max;

		y[k * step] = kind == 'H' ? k == best : kind == 'L' ? v - log(sum) : exp(v) / sum;
	}
}

static int run_softmax(struct ev_call *c)
{
	int ret = ev_need(c, 1), axis;
	const struct ev_value *x = c->in[0];
	struct line l;
	double *y;

	if (ret)
		return ret;
	axis = ev_axis(ev_attr_i(c, "axis", c->opset < 13 ? 1 : -1), x->rank);
	y = ev_out_like(c, 0, x);
	if (axis < 0 || !y || !x->dims[axis])
		return ev_bad(c, "axis");
	l = line_of(x, axis);
	if (c->opset < 13) {
		/* Everything from the axis on is one line. */
		l.count = ev_count(x->dims, axis, x->rank);
		l.step = 1;
		l.lines = ev_count(x->dims, 0, axis);
	}
	for (int64_t i = 0; l.count && i < l.lines; i++)
		soft_line(*c->node->op_type, x->v + line_start(&l, i), y + line_start(&l, i),
			  l.count, l.step);
	return 0;
}

static int run_cum_sum(struct ev_call *c)
{
	bool exclusive = ev_attr_i(c, "exclusive", 0), reverse = ev_attr_i(c, "reverse", 0);
	int ret = ev_need(c, 2), axis;
	const struct ev_value *x = c->in[0];
	int64_t axis_value;
	struct line l;
	double *y;

	if (ret)
		return ret;
	if (ev_ints(c, 1, &axis_value, 1) != 1)
		return ev_bad(c, "axis");
	axis = ev_axis(axis_value, x->rank);
	y = ev_out_like(c, 0, x);
	if (axis < 0 || !y)
		return ev_bad(c, "axis");
	l = line_of(x, axis);
	for (int64_t i = 0; i < l.lines; i++) {
		double sum = 0;

		for (int64_t k = 0; k < l.count; k++) {
			int64_t at = line_start(&l, i) + (reverse ? l.count - 1 - k : k) * l.step;

			y[at] = exclusive ? sum : sum + x->v[at];
			sum += x->v[at];
			if (!ev_is_float(x->type))
				y[at] = ev_round(x->type, y[at]);
		}
	}
	return 0;
}

const struct ev_op ev_ops_reduce[] = {
	{ "ReduceSum", run_reduce, false },
	{ "ReduceMean", run_reduce, false },
	{ "ReduceMax", run_reduce, true },
	{ "ReduceMin", run_reduce, true },
	{ "ReduceProd", run_reduce, false },
	{ "ReduceL1", run_reduce, false },
	{ "ReduceL2", run_reduce, false },
	{ "ReduceLogSum", run_reduce, false },
	{ "ReduceLogSumExp", run_reduce, false },
	{ "ReduceSumSquare", run_reduce, false },
	{ "ArgMax", run_arg, true },
	{ "ArgMin", run_arg, true },
	{ "Softmax", run_softmax, false },
	{ "LogSoftmax", run_softmax, false },
	{ "Hardmax", run_softmax, true },
	{ "CumSum", run_cum_sum, false },
	{ NULL, NULL, false }
};
