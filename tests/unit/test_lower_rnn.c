/* SPDX-License-Identifier: MIT */
/* RNN and GRU through front half and kernel IR. */
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "ref_compare.h"
#include "ref_test.h"

/**
 * struct rnn_case - a random recurrent network
 * @dirs: directions
 * @batch_first: layout 1
 * @half: in half precision
 * @act: activations of both directions
 */
struct rnn_case {
	struct ref_rnn attr;
	int64_t steps, batch, features, hidden, dirs;
	bool batch_first, has_b, has_len, has_h0, half;
	int32_t len[4];
	const char *act[4];
	struct ref_tensor x, w, r, b, h0;
};

static void random_case(struct rnn_case *c, bool gru)
{
	int64_t gates = gru ? 3 : 1;

	*c = (struct rnn_case){
		.attr = { .gru = gru, .linear_before_reset = gru && net_rand(2),
			  .reverse = net_rand(2), .relu = net_rand(2),
			  .clip = net_rand(2) ? 0.3f : 0 },
		.steps = 1 + net_rand(5), .batch = 1 + net_rand(4),
		.features = 1 + net_rand(6), .hidden = 1 + net_rand(7),
		.dirs = 1 + net_rand(2), .batch_first = net_rand(2),
		.has_b = net_rand(2), .has_h0 = net_rand(2),
	};
	if (c->dirs == 2)
		c->attr.reverse = false;
	c->x = net_values(3, INTS(c->steps, c->batch, c->features), -1, 1);
	c->w = net_values(3, INTS(c->dirs, gates * c->hidden, c->features), -1, 1);
	c->r = net_values(3, INTS(c->dirs, gates * c->hidden, c->hidden), -1, 1);
	c->b = net_values(2, INTS(c->dirs, 2 * gates * c->hidden), -1, 1);
	c->h0 = net_values(3, INTS(c->dirs, c->batch, c->hidden), -1, 1);
}

static void free_case(struct rnn_case *c)
{
	ref_tensor_free(&c->x);
	ref_tensor_free(&c->w);
	ref_tensor_free(&c->r);
	ref_tensor_free(&c->b);
	ref_tensor_free(&c->h0);
}

/* @t with its axes exchanged as layout 1 has them; the case's tensor becomes that. */
static int feed(struct net *net, const struct rnn_case *c, struct ref_tensor *t)
{
	struct ref_tensor turned;

	if (c->batch_first) {
		assert_int_equal(ref_transpose(t, INTS(1, 0, 2), &turned), 0);
		ref_tensor_free(t);
		*t = turned;
	}
	return net_feed(net, t);
}

/* TensorProto.DataType */
enum { FLOAT = 1, FLOAT16 = 10 };

static int cast(struct net *net, int t, int to)
{
	struct nc_node *n;

	if (t == NPU_TENSOR_NONE)
		return t;
	n = net_node(net, "Cast", 1, &t, 1);
	nc_attr_set_int(net->g, n, "to", to);
	net_add(net, n);
	return net_out(n, 0);
}

static struct nc_node *build(struct net *net, struct rnn_case *c)
{
	static const char *const names[2][2] = { { "Sigmoid", "relu" }, { "Sigmoid", "Tanh" } };
	const char *const *act = names[!c->attr.relu] + !c->attr.gru;
	uint32_t per = c->attr.gru ? 2 : 1;
	struct nc_node *n;
	int in[6] = { 0 };

	for (uint32_t i = 0; i < 4; i++)
		c->act[i] = act[i % per];
	in[0] = feed(net, c, &c->x);
	in[1] = net_feed(net, &c->w);
	in[2] = net_feed(net, &c->r);
	in[3] = c->has_b ? net_feed(net, &c->b) : NPU_TENSOR_NONE;
	in[4] = c->has_len ? net_input_i32(net, c->batch, c->len) : NPU_TENSOR_NONE;
	in[5] = c->has_h0 ? feed(net, c, &c->h0) : NPU_TENSOR_NONE;
	for (int i = 0; c->half && i < 6; i++)
		if (i != 4)
			in[i] = cast(net, in[i], FLOAT16);
	n = net_node(net, c->attr.gru ? "GRU" : "RNN", 6, in, 2);
	nc_attr_set_int(net->g, n, "layout", c->batch_first);
	nc_attr_set_float(net->g, n, "clip", c->attr.clip);
	if (c->attr.gru)
		nc_attr_set_int(net->g, n, "linear_before_reset", c->attr.linear_before_reset);
	nc_attr_set_string(net->g, n, "direction", c->dirs == 2 ? "bidirectional" :
			   c->attr.reverse ? "reverse" : "forward");
	nc_attr_set(net->g, n, &(struct nc_attr){ .name = "activations",
						  .type = NC_ATTR_STRINGS, .strings = c->act,
						  .count = per * (uint32_t)c->dirs });
	net_add(net, n);
	return n;
}

static void compare(const struct net *net, unsigned int output, struct ref_tensor *want,
		    const int64_t *perm, double tolerance)
{
	struct ref_tensor got = net_result((struct net *)net, output), turned;
	struct ref_compare res;
	char line[256];

	if (perm) {
		assert_int_equal(ref_transpose(want, perm, &turned), 0);
		ref_tensor_free(want);
		*want = turned;
	}
	if (ref_compare_tensors(&got, want, tolerance > 1e-3 ? tolerance : 1e-6, tolerance, &res)) {
		ref_compare_report(&res, "values", line, sizeof(line));
		fail_msg("output %u: %s", output, line);
	}
	ref_tensor_free(&got);
	ref_tensor_free(want);
}

static void run_case(bool gru, bool lens, bool half)
{
	double tolerance = half ? 2e-2 : 1e-4;
	struct ref_tensor y, y_h;
	struct rnn_case c;
	struct nc_node *n;
	struct net net;

	random_case(&c, gru);
	c.has_len = lens;
	c.half = half;
	for (int i = 0; i < 4; i++)
		c.len[i] = (int32_t)net_rand((uint32_t)c.steps + 1);
	assert_int_equal(ref_rnn(&c.attr,
				 &(struct ref_rnn_inputs){
					.x = &c.x, .w = &c.w, .r = &c.r,
					.b = c.has_b ? &c.b : NULL,
					.sequence_lens = c.has_len ? c.len : NULL,
					.initial_h = c.has_h0 ? &c.h0 : NULL },
				 &y, &y_h), 0);
	net_begin(&net);
	n = build(&net, &c);
	net_output(&net, half ? cast(&net, net_out(n, 0), FLOAT) : net_out(n, 0));
	net_output(&net, half ? cast(&net, net_out(n, 1), FLOAT) : net_out(n, 1));
	net_run(&net);
	compare(&net, 0, &y, c.batch_first ? INTS(2, 0, 1, 3) : NULL, tolerance);
	compare(&net, 1, &y_h, c.batch_first ? INTS(1, 0, 2) : NULL, tolerance);
	net_end(&net);
	free_case(&c);
}

static void test_rnn(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		run_case(false, i & 1, i % 4 == 3);
}

static void test_gru(void **state)
{
	(void)state;
	for (int i = 0; i < 80; i++)
		run_case(true, i & 1, i % 4 == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rnn),
		cmocka_unit_test(test_gru),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
