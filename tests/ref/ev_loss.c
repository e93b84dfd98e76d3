/* SPDX-License-Identifier: MIT */
/* Losses, forward: [batch, classes, places...] and a class for each place. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

/**
 * struct loss - what is lost at each place
 * @log: logarithms of probabilities, [batch, classes, places]
 * @each: per target
 * @total: of the targets' weights
 */
struct loss {
	const double *log;
	int64_t classes, places;
	double *each, total;
};

static int lose(struct ev_call *c, struct loss *l)
{
	const struct ev_value *target = c->in[1], *weight = c->ins > 2 ? c->in[2] : NULL;
	const Onnx__AttributeProto *ignored = ev_attr(c, "ignore_index");

	for (int64_t i = 0; i < target->elems; i++) {
		int64_t t = (int64_t)target->v[i], n = i / l->places;
		double w;

		if (ignored && t == ignored->i)
			continue;
		if (t < 0 || t >= l->classes)
			return ev_bad(c, "target");
		w = weight ? weight->v[t] : 1;
		l->total += w;
		l->each[i] = -w * l->log[(n * l->classes + t) * l->places + i % l->places];
	}
	return 0;
}

/* Output 0 from all places, as "reduction" wants it. */
static int reduce(struct ev_call *c, const struct loss *l)
{
	const struct ev_value *x = c->in[0], *target = c->in[1];
	double sum = 0, *y;

	if (ev_attr_is(c, "reduction", "none", "mean")) {
		y = ev_out(c, 0, x->type, target->rank, target->dims);
		if (y)
			memcpy(y, l->each, (size_t)target->elems * sizeof(*y));
		return y ? 0 : -EINVAL;
	}
	for (int64_t i = 0; i < target->elems; i++)
		sum += l->each[i];
	y = ev_out(c, 0, x->type, 0, NULL);
	if (y)
		y[0] = ev_attr_is(c, "reduction", "sum", "mean") ? sum : sum / l->total;
	return y ? 0 : -EINVAL;
}

static void log_softmax(const struct ev_value *x, int64_t places, double *y)
{
	int64_t classes = x->dims[1];

	for (int64_t i = 0; i < x->dims[0] * places; i++) {
		int64_t at = i / places * classes * places + i % places;
		double max = -INFINITY, sum = 0;

		for (int64_t k = 0; k < classes; k++)
			max = fmax(max, x->v[at + k * places]);
		for (int64_t k = 0; k < classes; k++)
			sum += exp(x->v[at + k * places] - max);
		for (int64_t k = 0; k < classes; k++)
			y[at + k * places] = x->v[at + k * places] - max - log(sum);
	}
}

static int run_loss(struct ev_call *c)
{
	bool softmax = *c->node->op_type == 'S';
	const struct ev_value *x = c->in[0];
	int64_t dims[REF_MAX_RANK];
	struct loss l = { 0 };
	double *log = NULL;
	int ret = ev_need(c, 2);

	if (ret)
		return ret;
	if (x->rank < 2)
		return ev_bad(c, "rank");
	dims[0] = x->dims[0];
	memcpy(dims + 1, x->dims + 2, (size_t)(x->rank - 2) * sizeof(*dims));
	if (ev_shaped(c, 1, x->rank - 1, dims) || ev_shaped(c, 2, 1, &x->dims[1]))
		return -EINVAL;
	l.classes = x->dims[1];
	l.places = ev_count(x->dims, 2, x->rank);
	l.each = calloc((size_t)c->in[1]->elems + 1, sizeof(*l.each));
	log = calloc((size_t)x->elems + 1, sizeof(*log));
	if (!l.each || !log) {
		free(l.each);
		free(log);
		return -ENOMEM;
	}
	if (softmax)
		log_softmax(x, l.places, log);
	l.log = softmax ? log : x->v;
	ret = lose(c, &l);
	ret = ret ? ret : reduce(c, &l);
	if (!ret && softmax && c->outs > 1) {
		double *y = ev_out_like(c, 1, x);

		if (y)
			memcpy(y, log, (size_t)x->elems * sizeof(*y));
		ret = y ? 0 : -EINVAL;
	}
	free(l.each);
	free(log);
	return ret;
}

const struct ev_op ev_ops_loss[] = {
	{ "NegativeLogLikelihoodLoss", run_loss, false },
	{ "SoftmaxCrossEntropyLoss", run_loss, false },
	{ NULL, NULL, false }
};
