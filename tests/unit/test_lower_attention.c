/* SPDX-License-Identifier: MIT */
/* Attention and RotaryEmbedding through front half and kernel IR. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

/**
 * struct attention_case - a random attention in separate heads
 * @group: query heads of a key head
 */
struct attention_case {
	int64_t batch, heads, group, steps, keys, past, features, values;
	bool packed, causal, has_mask;
	struct ref_tensor q, k, v, past_k, past_v, mask;
};

static void random_case(struct attention_case *c)
{
	*c = (struct attention_case){
		.batch = 1 + net_rand(3), .heads = 1 + net_rand(3), .group = 1 + net_rand(3),
		.steps = 1 + net_rand(5), .keys = 1 + net_rand(6),
		.past = net_rand(2) ? 1 + net_rand(4) : 0, .features = 1 + net_rand(6),
		.values = 1 + net_rand(6), .packed = net_rand(2), .has_mask = net_rand(2),
		.causal = net_rand(2),
	};
	c->q = net_values(4, INTS(c->batch, c->heads * c->group, c->steps, c->features), -2, 2);
	c->k = net_values(4, INTS(c->batch, c->heads, c->keys, c->features), -2, 2);
	c->v = net_values(4, INTS(c->batch, c->heads, c->keys, c->values), -2, 2);
	c->past_k = net_values(4, INTS(c->batch, c->heads, c->past + !c->past, c->features),
			       -2, 2);
	c->past_v = net_values(4, INTS(c->batch, c->heads, c->past + !c->past, c->values), -2, 2);
	c->mask = net_values(2, INTS(c->steps, c->past + c->keys), -2, 2);
}

static void free_case(struct attention_case *c)
{
	struct ref_tensor *all[] = { &c->q, &c->k, &c->v, &c->past_k, &c->past_v, &c->mask };

	for (unsigned int i = 0; i < 6; i++)
		ref_tensor_free(all[i]);
}

/* Cache and new steps, each head repeated for its queries. */
static struct ref_tensor all_heads(const struct attention_case *c, const struct ref_tensor *past,
				   const struct ref_tensor *now)
{
	const struct ref_tensor *parts[] = { past, now };
	struct ref_tensor joined, wide;
	int64_t row;

	assert_int_equal(ref_concat(parts + !c->past, 1 + !!c->past, 2, &joined), 0);
	row = joined.dims[2] * joined.dims[3];
	assert_int_equal(ref_tensor_alloc(&wide, 4, INTS(c->batch, c->heads * c->group,
							 joined.dims[2], joined.dims[3])), 0);
	for (int64_t h = 0; h < c->batch * c->heads * c->group; h++)
		memcpy(wide.data + h * row, joined.data + h / c->group * row,
		       (size_t)row * sizeof(float));
	ref_tensor_free(&joined);
	return wide;
}

static struct ref_tensor expected(const struct attention_case *c, float scale)
{
	struct ref_tensor k = all_heads(c, &c->past_k, &c->k);
	struct ref_tensor v = all_heads(c, &c->past_v, &c->v);
	int64_t total = c->past + c->keys;
	struct ref_tensor bias = tensor(2, c->mask.dims, c->mask.data), y;

	for (int64_t i = 0; i < c->steps; i++)
		for (int64_t j = 0; j < total; j++) {
			float *b = &bias.data[i * total + j];

			*b = c->has_mask ? *b : 0;
			if (c->causal && j > c->past + i)
				*b = -INFINITY;
		}
	assert_int_equal(ref_attention(&c->q, &k, &v, &bias, scale, &y), 0);
	ref_tensor_free(&bias);
	ref_tensor_free(&k);
	ref_tensor_free(&v);
	return y;
}

/* Heads beside the features, behind the steps. */
static void pack(struct ref_tensor *t)
{
	const int64_t dims[] = { t->dims[0], t->dims[2], t->dims[1] * t->dims[3] };
	struct ref_tensor turned;

	assert_int_equal(ref_transpose(t, INTS(0, 2, 1, 3), &turned), 0);
	ref_tensor_free(t);
	assert_int_equal(ref_reshape(&turned, 3, dims, false, t), 0);
	ref_tensor_free(&turned);
}

static void attention(void)
{
	float scale = net_rand(2) ? 0 : 0.3f;
	struct attention_case c;
	struct ref_tensor want;
	struct nc_node *n;
	struct net net;
	int in[6];

	random_case(&c);
	want = expected(&c, scale);
	if (c.packed) {
		pack(&c.q);
		pack(&c.k);
		pack(&c.v);
		pack(&want);
	}
	net_begin(&net);
	in[0] = net_feed(&net, &c.q);
	in[1] = net_feed(&net, &c.k);
	in[2] = net_feed(&net, &c.v);
	in[3] = c.has_mask ? net_feed(&net, &c.mask) : NPU_TENSOR_NONE;
	in[4] = c.past ? net_feed(&net, &c.past_k) : NPU_TENSOR_NONE;
	in[5] = c.past ? net_feed(&net, &c.past_v) : NPU_TENSOR_NONE;
	n = net_node(&net, "Attention", 6, in, 1);
	if (c.packed) {
		nc_attr_set_int(net.g, n, "q_num_heads", c.heads * c.group);
		nc_attr_set_int(net.g, n, "kv_num_heads", c.heads);
	}
	nc_attr_set_int(net.g, n, "is_causal", c.causal);
	if (scale > 0)
		nc_attr_set_float(net.g, n, "scale", scale);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-4);
	free_case(&c);
}

static void test_attention(void **state)
{
	(void)state;
	for (int i = 0; i < 120; i++)
		attention();
}

/* Pair @p of a head's features is turned by the angle of its step. */
static void turn(float *x, const float *cos, const float *sin, int64_t half, bool interleaved)
{
	for (int64_t p = 0; p < half; p++) {
		float *a = &x[interleaved ? 2 * p : p];
		float *b = &x[interleaved ? 2 * p + 1 : p + half];
		float re = cos[p] * *a - sin[p] * *b, im = sin[p] * *a + cos[p] * *b;

		*a = re;
		*b = im;
	}
}

static void rotary(void)
{
	int64_t batch = 1 + net_rand(3), heads = 1 + net_rand(3), steps = 1 + net_rand(4);
	int64_t half = 1 + net_rand(3), features = 2 * half + net_rand(3);
	struct ref_tensor x = net_values(4, INTS(batch, heads, steps, features), -1, 1);
	struct ref_tensor cos = net_values(3, INTS(batch, steps, half), -1, 1);
	struct ref_tensor sin = net_values(3, INTS(batch, steps, half), -1, 1);
	struct ref_tensor want = tensor(4, x.dims, x.data);
	bool interleaved = net_rand(2), packed = net_rand(2);
	struct nc_node *n;
	struct net net;
	int in[3];

	for (int64_t row = 0; row < batch * heads * steps; row++) {
		int64_t at = (row / (heads * steps) * steps + row % steps) * half;

		turn(want.data + row * features, cos.data + at, sin.data + at, half, interleaved);
	}
	if (packed) {
		pack(&x);
		pack(&want);
	}
	net_begin(&net);
	in[0] = net_feed(&net, &x);
	in[1] = net_feed(&net, &cos);
	in[2] = net_feed(&net, &sin);
	n = net_node(&net, "RotaryEmbedding", 3, in, 1);
	nc_attr_set_int(net.g, n, "interleaved", interleaved);
	if (packed)
		nc_attr_set_int(net.g, n, "num_heads", heads);
	if (2 * half < features)
		nc_attr_set_int(net.g, n, "rotary_embedding_dim", 2 * half);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-5);
	ref_tensor_free(&x);
	ref_tensor_free(&cos);
	ref_tensor_free(&sin);
}

static void test_rotary(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		rotary();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attention),
		cmocka_unit_test(test_rotary),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
