/* SPDX-License-Identifier: MIT */
/* LSTM with every attribute and activation, through front half and kernel IR. */
#include <string.h>

#include "net.h"
#include "ref_test.h"

static const enum ref_unary_op functions[] = {
	REF_RELU, REF_TANH, REF_SIGMOID, REF_AFFINE, REF_LEAKY_RELU, REF_THRESHOLDED_RELU,
	REF_SCALED_TANH, REF_HARD_SIGMOID, REF_ELU, REF_SOFTSIGN, REF_SOFTPLUS,
};

/**
 * struct config - one LSTM
 * @outs: bit i: output i is asked for
 */
struct config {
	struct ref_lstm attr;
	int64_t steps, batch, input, hidden;
	bool bias, lens, const_lens, h0, c0, peepholes;
	unsigned int outs;
	enum ref_unary_op activation[6];
	float alpha[6], beta[6];
};

static struct ref_tensor part(int rank, const int64_t *dims)
{
	return net_values(rank, dims, -0.7f, 0.7f);
}

static void set_attributes(struct net *net, struct nc_node *n, const struct config *c)
{
	static const char *const direction[] = { "forward", "reverse", "bidirectional" };
	const char **names = nc_alloc_array(net->g->arena, 6, sizeof(*names));
	uint32_t dirs = c->attr.direction == REF_BIDIRECTIONAL ? 2 : 1;

	nc_attr_set_string(net->g, n, "direction", direction[c->attr.direction]);
	nc_attr_set_int(net->g, n, "hidden_size", c->hidden);
	nc_attr_set_int(net->g, n, "layout", c->attr.layout);
	nc_attr_set_int(net->g, n, "input_forget", c->attr.input_forget);
	if (c->attr.clip > 0)
		nc_attr_set_float(net->g, n, "clip", c->attr.clip);
	if (!c->attr.activations)
		return;
	for (uint32_t i = 0; i < 3 * dirs; i++)
		names[i] = ref_unary_name(c->activation[i]);
	nc_attr_set(net->g, n, &(struct nc_attr){ .name = "activations", .type = NC_ATTR_STRINGS,
						  .count = 3 * dirs, .strings = names });
	nc_attr_set(net->g, n, &(struct nc_attr){
		.name = "activation_alpha", .type = NC_ATTR_FLOATS,
		.count = (uint32_t)c->attr.alpha_count, .floats = c->alpha });
	nc_attr_set(net->g, n, &(struct nc_attr){
		.name = "activation_beta", .type = NC_ATTR_FLOATS,
		.count = (uint32_t)c->attr.beta_count, .floats = c->beta });
}

static void check(struct config *c)
{
	int64_t dirs = c->attr.direction == REF_BIDIRECTIONAL ? 2 : 1;
	const int64_t t = c->steps, b = c->batch, h = c->hidden;
	struct ref_tensor x = part(SHAPE(c->attr.layout ? b : t, c->attr.layout ? t : b, c->input));
	struct ref_tensor w = part(SHAPE(dirs, 4 * h, c->input)), r = part(SHAPE(dirs, 4 * h, h));
	struct ref_tensor bias = part(SHAPE(dirs, 8 * h)), p = part(SHAPE(dirs, 3 * h));
	int64_t s0 = c->attr.layout ? b : dirs, s1 = c->attr.layout ? dirs : b;
	struct ref_tensor h0 = part(SHAPE(s0, s1, h)), c0 = part(SHAPE(s0, s1, h));
	struct ref_tensor want[3], got;
	struct ref_lstm_inputs in = {
		.x = &x, .w = &w, .r = &r, .b = c->bias ? &bias : NULL,
		.initial_h = c->h0 ? &h0 : NULL, .initial_c = c->c0 ? &c0 : NULL,
		.p = c->peepholes ? &p : NULL,
	};
	unsigned int index = 0;
	int32_t lens[16];
	struct nc_node *n;
	struct net net;
	int feed[8];

	for (int64_t i = 0; i < b; i++)
		lens[i] = (int32_t)net_rand((uint32_t)t + 1);
	if (c->lens)
		in.sequence_lens = lens;
	net_begin(&net);
	feed[0] = net_feed(&net, &x);
	feed[1] = net_feed(&net, &w);
	feed[2] = net_feed(&net, &r);
	feed[3] = c->bias ? net_feed(&net, &bias) : NPU_TENSOR_NONE;
	feed[4] = !c->lens ? NPU_TENSOR_NONE : !c->const_lens ? net_input_i32(&net, b, lens) :
		  npu_graph_const(net.g, NULL, NPU_GRAPH_I32, 1, &b, lens);
	feed[5] = c->h0 ? net_feed(&net, &h0) : NPU_TENSOR_NONE;
	feed[6] = c->c0 ? net_feed(&net, &c0) : NPU_TENSOR_NONE;
	feed[7] = c->peepholes ? net_feed(&net, &p) : NPU_TENSOR_NONE;
	n = net_node(&net, "LSTM", 8, feed, 3);
	set_attributes(&net, n, c);
	for (uint32_t i = 0; i < 3; i++)
		if (!(c->outs & 1u << i) && net_rand(2))
			n->out[i] = NC_NONE;
	net_add(&net, n);
	for (uint32_t i = 0; i < 3; i++)
		if (c->outs & 1u << i)
			net_output(&net, net_out(n, i));
	net_run(&net);
	assert_int_equal(ref_lstm(&c->attr, &in, &want[0], &want[1], &want[2]), 0);
	for (uint32_t i = 0; i < 3; i++) {
		if (c->outs & 1u << i) {
			got = net_result(&net, index++);
			expect_within(&got, &want[i], 1e-4);
		}
		ref_tensor_free(&want[i]);
	}
	net_end(&net);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&r);
	ref_tensor_free(&bias);
	ref_tensor_free(&p);
	ref_tensor_free(&h0);
	ref_tensor_free(&c0);
}

static struct config random_config(void)
{
	struct config c = {
		.steps = 1 + net_rand(5), .batch = 1 + net_rand(4), .input = 1 + net_rand(6),
		.hidden = 1 + net_rand(6), .outs = 1 + net_rand(7),
		.attr = {
			.direction = (enum ref_direction)net_rand(3),
			.layout = (int)net_rand(2),
			.clip = net_rand(3) ? 0 : 0.4f,
			.input_forget = !net_rand(4),
		},
		.bias = net_rand(3), .lens = !net_rand(3), .const_lens = net_rand(2),
		.h0 = net_rand(2), .c0 = net_rand(2), .peepholes = !net_rand(3),
	};

	return c;
}

static void test_random(void **state)
{
	(void)state;
	for (int i = 0; i < 150; i++) {
		struct config c = random_config();

		check(&c);
	}
}

/* Each function in each place, with its own and with given parameters. */
static void test_activations(void **state)
{
	const unsigned int count = sizeof(functions) / sizeof(*functions);

	(void)state;
	for (unsigned int i = 0; i < 3 * count * 4; i++) {
		struct config c = random_config();

		for (unsigned int k = 0; k < 6; k++) {
			c.activation[k] = functions[net_rand(count)];
			c.alpha[k] = 0.1f + (float)net_rand(5) / 10;
			c.beta[k] = 0.1f + (float)net_rand(5) / 10;
		}
		c.activation[i % 3] = functions[i / 3 % count];
		c.attr.activations = c.activation;
		c.attr.activation_alpha = c.alpha;
		c.attr.activation_beta = c.beta;
		c.attr.alpha_count = (int)net_rand(4);
		c.attr.beta_count = (int)net_rand(4);
		check(&c);
	}
}

/* The longest functions in all places at once do not fit one program. */
static void test_long_programs(void **state)
{
	(void)state;
	for (int i = 0; i < 16; i++) {
		struct config c = random_config();

		for (unsigned int k = 0; k < 6; k++)
			c.activation[k] = REF_SOFTPLUS;
		c.attr.activations = c.activation;
		c.attr.clip = 0.3f;
		c.peepholes = i & 1;
		c.lens = i & 2;
		c.attr.input_forget = i & 4;
		check(&c);
	}
}

/* A step of a plain LSTM is one operation. */
static void test_one_operation_per_step(void **state)
{
	struct ref_tensor x = part(SHAPE(5, 2, 3)), w = part(SHAPE(1, 16, 3));
	struct ref_tensor r = part(SHAPE(1, 16, 4)), b = part(SHAPE(1, 32));
	struct nc_node *n;
	struct net net;
	int in[4];

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_const(&net, &w);
	in[2] = net_const(&net, &r);
	in[3] = net_const(&net, &b);
	n = net_node(&net, "LSTM", 4, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_run(&net);
	/* The input's product, the first step without a state, four steps. */
	assert_int_equal(net_count(&net, KIR_MATMUL), 5);
	assert_int_equal(net_count(&net, KIR_MAP), 1);
	assert_int_equal(net.k->ops, 6);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&r);
	ref_tensor_free(&b);
	net_end(&net);
}

static void test_refused(void **state)
{
	struct ref_tensor x = part(SHAPE(2, 2, 3)), w = part(SHAPE(1, 16, 3));
	struct ref_tensor r = part(SHAPE(1, 16, 4)), long_x;
	static const char *const bad[] = { "Sigmoid", "Gelu", "Tanh" };
	struct nc_node *n;
	struct net net;
	int in[3];

	(void)state;
	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_const(&net, &w);
	in[2] = net_const(&net, &r);
	n = net_node(&net, "LSTM", 3, in, 1);
	nc_attr_set(net.g, n, &(struct nc_attr){ .name = "activations", .type = NC_ATTR_STRINGS,
						 .count = 3, .strings = bad });
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_refused(&net, -ENOTSUP, (const char *const[]){ "\"node\"", "LSTM", "Gelu", NULL });
	net_end(&net);

	/* More steps than operations that a node may become. */
	long_x = part(SHAPE(70000, 1, 3));
	net_begin(&net);
	in[0] = net_input(&net, &long_x);
	in[1] = net_const(&net, &w);
	in[2] = net_const(&net, &r);
	n = net_node(&net, "LSTM", 3, in, 1);
	net_add(&net, n);
	npu_graph_output(net.g, "y", net_out(n, 0));
	net_refused(&net, -EFBIG, (const char *const[]){ "LSTM", "65536 operations", NULL });
	ref_tensor_free(&long_x);
	net_end(&net);

	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_const(&net, &w);
	in[2] = in[1];
	n = net_node(&net, "LSTM", 3, in, 1);
	assert_int_equal(nc_graph_node(net.g, n), -EINVAL);
	assert_non_null(strstr(npu_graph_error(net.g), "f32[1,16,3]"));
	net_end(&net);
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_activations),
		cmocka_unit_test(test_long_programs),
		cmocka_unit_test(test_one_operation_per_step),
		cmocka_unit_test(test_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
