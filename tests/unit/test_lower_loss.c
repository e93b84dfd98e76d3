/* SPDX-License-Identifier: MIT */
/* Losses of classifiers through front half and kernel IR, against loops in double. */
#include <math.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

#define CLASSES_MAX	7
#define TARGETS_MAX	64

static const char *const reductions[] = { "none", "sum", "mean" };

/**
 * struct loss - one case
 * @targets: N times places, each with a class
 * @ignore: class that does not count, if @ignores
 */
struct loss {
	int64_t batch, classes, places;
	bool softmax, weighted, ignores;
	int reduction;
	int32_t ignore;
	int32_t target[TARGETS_MAX];
	struct ref_tensor x, weight;
};

static double log_prob(const struct loss *s, int64_t batch, int64_t place, int64_t class)
{
	const float *x = s->x.data + batch * s->classes * s->places + place;
	double sum = 0;

	for (int64_t c = 0; s->softmax && c < s->classes; c++)
		sum += exp(x[c * s->places]);
	return x[class * s->places] - (s->softmax ? log(sum) : 0);
}

static struct ref_tensor judge(const struct loss *s)
{
	struct ref_tensor y;
	double sum = 0, weights = 0;

	assert_int_equal(ref_tensor_alloc(&y, s->reduction ? 0 : 2, INTS(s->batch, s->places)), 0);
	for (int64_t i = 0; i < s->batch * s->places; i++) {
		int32_t t = s->target[i];
		bool counts = !s->ignores || t != s->ignore;
		double w = !counts ? 0 : s->weighted ? s->weight.data[t] : 1;
		double loss = counts ? -w * log_prob(s, i / s->places, i % s->places, t) : 0;

		if (!s->reduction)
			y.data[i] = (float)loss;
		sum += loss;
		weights += w;
	}
	if (s->reduction)
		y.data[0] = (float)(s->reduction == 1 ? sum : sum / weights);
	return y;
}

static void make(struct loss *s)
{
	*s = (struct loss){
		.batch = 1 + net_rand(4), .classes = 2 + net_rand(CLASSES_MAX - 1),
		.places = 1 + net_rand(5), .softmax = net_rand(2), .weighted = net_rand(2),
		.ignores = net_rand(2), .reduction = (int)net_rand(3),
	};
	s->ignore = net_rand(2) ? (int32_t)net_rand((uint32_t)s->classes) : -3;
	s->x = net_values(3, INTS(s->batch, s->classes, s->places), -3, 3);
	s->weight = net_values(1, INTS(s->classes), 0.5f, 2);
	for (int64_t i = 0; i < s->batch * s->places; i++)
		s->target[i] = s->ignores && net_rand(3) == 0 ? s->ignore :
			       (int32_t)net_rand((uint32_t)s->classes);
	/* A mean needs something that counts. */
	s->target[0] = s->ignore == 0;
}

static void test_losses(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		struct loss s;
		struct ref_tensor want;
		struct nc_node *n;
		struct net net;
		int in[3];

		make(&s);
		want = judge(&s);
		net_begin(&net);
		in[0] = net_feed(&net, &s.x);
		in[1] = net_input_i32(&net, s.batch * s.places, s.target);
		in[1] = npu_graph_reshape(net.g, in[1], 2, INTS(s.batch, s.places));
		in[2] = s.weighted ? net_feed(&net, &s.weight) : NPU_TENSOR_NONE;
		n = net_node(&net, s.softmax ? "SoftmaxCrossEntropyLoss" :
					       "NegativeLogLikelihoodLoss", 3, in, 1);
		nc_attr_set_string(net.g, n, "reduction", reductions[s.reduction]);
		if (s.ignores)
			nc_attr_set_int(net.g, n, "ignore_index", s.ignore);
		net_add(&net, n);
		net_output(&net, net_out(n, 0));
		net_expect(&net, &want, 1e-4);
		ref_tensor_free(&s.x);
		ref_tensor_free(&s.weight);
	}
}

/* What is ignored does not count, were it infinite. */
static void test_ignored_infinity(void **state)
{
	const float x[] = { -INFINITY, -1, -INFINITY, -2 };
	const int32_t target[] = { -1, 1 };
	struct ref_tensor t = tensor(SHAPE(2, 2), x), want = tensor(SHAPE(2), VALUES(0, 2));
	struct nc_node *n;
	struct net net;
	int in[2];

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &t);
	in[1] = net_input_i32(&net, 2, target);
	n = net_node(&net, "NegativeLogLikelihoodLoss", 2, in, 1);
	nc_attr_set_string(net.g, n, "reduction", "none");
	nc_attr_set_int(net.g, n, "ignore_index", -1);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-6);
	ref_tensor_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_ignored_infinity),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
