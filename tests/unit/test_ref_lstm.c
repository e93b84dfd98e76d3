// SPDX-License-Identifier: MIT
/* Every attribute and input of the oracle's LSTM. */
#include <math.h>
#include <string.h>

#include "ref_test.h"

#define SEQ 5
#define BATCH 3
#define INPUT 4
#define HIDDEN 6

/* An LSTM of one unit and one input, for arithmetic by hand. */
struct unit {
	struct ref_tensor x, w, r, b, h, c, p;
	struct ref_lstm_inputs in;
};

/* Gates in order i, o, f, c; x = 1, h = 0.5, c = 2, bias 0.1 twice. */
static void unit_setup(struct unit *u)
{
	u->x = tensor(SHAPE(1, 1, 1), VALUES(1));
	u->w = tensor(SHAPE(1, 4, 1), VALUES(0.1f, 0.2f, 0.3f, 0.4f));
	u->r = tensor(SHAPE(1, 4, 1), VALUES(0.2f, 0.4f, 0.6f, 0.8f));
	u->b = tensor(SHAPE(1, 8), VALUES(0.1f, 0.1f, 0.1f, 0.1f,
					  0.1f, 0.1f, 0.1f, 0.1f));
	u->h = tensor(SHAPE(1, 1, 1), VALUES(0.5f));
	u->c = tensor(SHAPE(1, 1, 1), VALUES(2));
	u->p = tensor(SHAPE(1, 3), VALUES(0.5f, 0.25f, -0.5f));
	u->in = (struct ref_lstm_inputs){
		.x = &u->x, .w = &u->w, .r = &u->r, .b = &u->b,
		.initial_h = &u->h, .initial_c = &u->c,
	};
}

static void unit_teardown(struct unit *u)
{
	ref_tensor_free(&u->x);
	ref_tensor_free(&u->w);
	ref_tensor_free(&u->r);
	ref_tensor_free(&u->b);
	ref_tensor_free(&u->h);
	ref_tensor_free(&u->c);
	ref_tensor_free(&u->p);
}

static void unit_expect(const struct unit *u, const struct ref_lstm *attr,
			double want_h, double want_c)
{
	struct ref_tensor y, y_h, y_c;
	float h = (float)want_h, c = (float)want_c;

	assert_int_equal(ref_lstm(attr, &u->in, &y, &y_h, &y_c), 0);
	expect(&y, SHAPE(1, 1, 1, 1), &h);
	expect(&y_h, SHAPE(1, 1, 1), &h);
	expect(&y_c, SHAPE(1, 1, 1), &c);
}

static double sig(double x)
{
	return 1 / (1 + exp(-x));
}

/* Sums of the gates: i 0.4, o 0.6, f 0.8, c 1.0. */
static void unit_by_hand(void **state)
{
	struct ref_lstm attr = { 0 }, coupled = { .input_forget = true };
	struct unit u;
	double c;

	(void)state;
	unit_setup(&u);
	c = sig(0.8) * 2 + sig(0.4) * tanh(1);
	unit_expect(&u, &attr, sig(0.6) * tanh(c), c);
	c = (1 - sig(0.4)) * 2 + sig(0.4) * tanh(1);
	unit_expect(&u, &coupled, sig(0.6) * tanh(c), c);
	u.in.b = NULL;
	c = sig(0.6) * 2 + sig(0.2) * tanh(0.8);
	unit_expect(&u, &attr, sig(0.4) * tanh(c), c);
	unit_teardown(&u);
}

static void unit_peepholes(void **state)
{
	struct ref_lstm attr = { 0 }, coupled = { .input_forget = true };
	struct unit u;
	double c;

	(void)state;
	unit_setup(&u);
	u.in.p = &u.p;
	c = sig(0.8 - 0.5 * 2) * 2 + sig(0.4 + 0.5 * 2) * tanh(1);
	unit_expect(&u, &attr, sig(0.6 + 0.25 * c) * tanh(c), c);
	c = (1 - sig(1.4)) * 2 + sig(1.4) * tanh(1);
	unit_expect(&u, &coupled, sig(0.6 + 0.25 * c) * tanh(c), c);
	unit_teardown(&u);
}

/* The clip bounds what goes into f, g and h, and not the cell state. */
static void unit_clip(void **state)
{
	struct ref_lstm attr = { .clip = 0.5f };
	struct unit u;
	double c;

	(void)state;
	unit_setup(&u);
	c = sig(0.5) * 2 + sig(0.4) * tanh(0.5);
	unit_expect(&u, &attr, sig(0.5) * tanh(0.5), c);
	unit_teardown(&u);
}

static void unit_activations(void **state)
{
	static const enum ref_unary_op acts[] = { REF_HARD_SIGMOID, REF_RELU,
						  REF_AFFINE };
	static const enum ref_unary_op tie[] = { REF_SIGMOID,
						 REF_THRESHOLDED_RELU,
						 REF_SOFTSIGN };
	static const enum ref_unary_op rest[] = { REF_LEAKY_RELU, REF_ELU,
						  REF_SCALED_TANH };
	struct ref_lstm attr = {
		.activations = acts,
		.activation_alpha = VALUES(0.5f, 3),
		.alpha_count = 2,
		.activation_beta = VALUES(0.25f),
		.beta_count = 1,
	};
	struct unit u;
	double c;

	(void)state;
	unit_setup(&u);
	/* Relu takes no alpha; Affine's beta is its default, 0. */
	c = 0.65 * 2 + 0.45 * 1;
	unit_expect(&u, &attr, 0.55 * 3 * c, c);
	/* With none left the defaults rule: hard sigmoid 0.2 x + 0.5. */
	attr.alpha_count = 0;
	attr.beta_count = 0;
	c = 0.66 * 2 + 0.58;
	unit_expect(&u, &attr, 0.62 * c, c);
	/* In an LSTM ThresholdedRelu lets its threshold through. */
	attr.activations = tie;
	u.w.data[3] = 0.5f;
	u.r.data[3] = 1;
	u.in.b = NULL;
	c = sig(0.6) * 2 + sig(0.2);
	unit_expect(&u, &attr, sig(0.4) * c / (1 + c), c);
	attr.activations = rest;
	attr.alpha_count = 2;
	attr.activation_alpha = VALUES(0.5f, 2);
	u.w.data[3] = -1.5f;
	c = 0.6 * 2 + 0.2 * 2 * expm1(-1);
	unit_expect(&u, &attr, 0.4 * tanh(c), c);
	unit_teardown(&u);
}

static void zero_weights_decay_the_cell(void **state)
{
	struct ref_tensor x = counting(SHAPE(2, 1, 3), 0), w, r, y, y_c;
	struct ref_tensor c = tensor(SHAPE(1, 1, 2), VALUES(1, -4));
	struct ref_lstm attr = { 0 };
	struct ref_lstm_inputs in = { .x = &x, .w = &w, .r = &r };

	(void)state;
	assert_int_equal(ref_tensor_alloc(&w, SHAPE(1, 8, 3)), 0);
	assert_int_equal(ref_tensor_alloc(&r, SHAPE(1, 8, 2)), 0);
	assert_int_equal(ref_lstm(&attr, &in, &y, NULL, NULL), 0);
	expect(&y, SHAPE(2, 1, 1, 2), VALUES(0, 0, 0, 0));
	in.initial_c = &c;
	assert_int_equal(ref_lstm(&attr, &in, &y, NULL, &y_c), 0);
	expect(&y_c, SHAPE(1, 1, 2), VALUES(0.25f, -1));
	expect(&y, SHAPE(2, 1, 1, 2),
	       VALUES(0.231058579f, -0.482013790f, 0.122459331f, -0.380797078f));
	ref_tensor_free(&x);
	ref_tensor_free(&w);
	ref_tensor_free(&r);
	ref_tensor_free(&c);
}

/* A bidirectional LSTM with every input, and its two halves. */
struct net {
	struct ref_tensor x, w, r, b, h, c, p;
	int32_t lens[BATCH];
	struct ref_lstm_inputs in;
};

struct outputs {
	struct ref_tensor y, y_h, y_c;
};

static void net_setup(struct net *n)
{
	uint32_t rng = 17;

	n->x = scattered(SHAPE(SEQ, BATCH, INPUT), &rng);
	n->w = scattered(SHAPE(2, 4 * HIDDEN, INPUT), &rng);
	n->r = scattered(SHAPE(2, 4 * HIDDEN, HIDDEN), &rng);
	n->b = scattered(SHAPE(2, 8 * HIDDEN), &rng);
	n->h = scattered(SHAPE(2, BATCH, HIDDEN), &rng);
	n->c = scattered(SHAPE(2, BATCH, HIDDEN), &rng);
	n->p = scattered(SHAPE(2, 3 * HIDDEN), &rng);
	n->lens[0] = SEQ;
	n->lens[1] = 2;
	n->lens[2] = 0;
	n->in = (struct ref_lstm_inputs){
		.x = &n->x, .w = &n->w, .r = &n->r, .b = &n->b, .p = &n->p,
		.initial_h = &n->h, .initial_c = &n->c,
		.sequence_lens = n->lens,
	};
}

static void net_teardown(struct net *n)
{
	ref_tensor_free(&n->x);
	ref_tensor_free(&n->w);
	ref_tensor_free(&n->r);
	ref_tensor_free(&n->b);
	ref_tensor_free(&n->h);
	ref_tensor_free(&n->c);
	ref_tensor_free(&n->p);
}

static struct outputs run(const struct ref_lstm *attr,
			  const struct ref_lstm_inputs *in)
{
	struct outputs o;

	assert_int_equal(ref_lstm(attr, in, &o.y, &o.y_h, &o.y_c), 0);
	return o;
}

static void outputs_free(struct outputs *o)
{
	ref_tensor_free(&o->y);
	ref_tensor_free(&o->y_h);
	ref_tensor_free(&o->y_c);
}

/* Index at of one axis, which stays with size 1. */
static struct ref_tensor pick(const struct ref_tensor *t, int64_t axis,
			      int64_t at)
{
	int64_t end = at + 1;
	struct ref_slice cut = { .count = 1, .starts = &at, .ends = &end,
				 .axes = &axis };
	struct ref_tensor y;

	assert_int_equal(ref_slice(&cut, t, &y), 0);
	return y;
}

static struct ref_tensor permuted(const struct ref_tensor *t,
				  const int64_t *perm)
{
	struct ref_tensor y;

	assert_int_equal(ref_transpose(t, perm, &y), 0);
	return y;
}

static void both_directions_are_two_lstms(void **state)
{
	struct ref_lstm both = { .direction = REF_BIDIRECTIONAL };
	struct outputs all;
	struct net n;

	(void)state;
	net_setup(&n);
	all = run(&both, &n.in);
	for (int dir = 0; dir < 2; dir++) {
		struct ref_lstm one = { .direction = dir ? REF_REVERSE :
							   REF_FORWARD };
		struct ref_tensor w = pick(&n.w, 0, dir);
		struct ref_tensor r = pick(&n.r, 0, dir);
		struct ref_tensor b = pick(&n.b, 0, dir);
		struct ref_tensor p = pick(&n.p, 0, dir);
		struct ref_tensor h = pick(&n.h, 0, dir);
		struct ref_tensor c = pick(&n.c, 0, dir);
		struct ref_lstm_inputs in = {
			.x = &n.x, .w = &w, .r = &r, .b = &b, .p = &p,
			.initial_h = &h, .initial_c = &c,
			.sequence_lens = n.lens,
		};
		struct ref_tensor part;
		struct outputs half = run(&one, &in);

		part = pick(&all.y, 1, dir);
		expect_same(&part, &half.y);
		part = pick(&all.y_h, 0, dir);
		expect_same(&part, &half.y_h);
		part = pick(&all.y_c, 0, dir);
		expect_same(&part, &half.y_c);
		outputs_free(&half);
		ref_tensor_free(&w);
		ref_tensor_free(&r);
		ref_tensor_free(&b);
		ref_tensor_free(&p);
		ref_tensor_free(&h);
		ref_tensor_free(&c);
	}
	outputs_free(&all);
	net_teardown(&n);
}

static void layout_is_a_transposition(void **state)
{
	struct ref_lstm time_major = { .direction = REF_BIDIRECTIONAL };
	struct ref_lstm batch_major = { .direction = REF_BIDIRECTIONAL,
					.layout = 1 };
	struct outputs want, got;
	struct ref_lstm_inputs in;
	struct ref_tensor x, h, c, t;
	struct net n;

	(void)state;
	net_setup(&n);
	want = run(&time_major, &n.in);
	x = permuted(&n.x, INTS(1, 0, 2));
	h = permuted(&n.h, INTS(1, 0, 2));
	c = permuted(&n.c, INTS(1, 0, 2));
	in = n.in;
	in.x = &x;
	in.initial_h = &h;
	in.initial_c = &c;
	got = run(&batch_major, &in);
	t = permuted(&got.y, INTS(1, 2, 0, 3));
	expect_same(&t, &want.y);
	t = permuted(&got.y_h, INTS(1, 0, 2));
	expect_same(&t, &want.y_h);
	t = permuted(&got.y_c, INTS(1, 0, 2));
	expect_same(&t, &want.y_c);
	outputs_free(&want);
	outputs_free(&got);
	ref_tensor_free(&x);
	ref_tensor_free(&h);
	ref_tensor_free(&c);
	net_teardown(&n);
}

/* Each sequence alone, cut to its length, gives what the batch gave. */
static void sequence_lengths_cut(void **state)
{
	struct ref_lstm attr = { .direction = REF_BIDIRECTIONAL };
	struct outputs all;
	struct net n;

	(void)state;
	net_setup(&n);
	all = run(&attr, &n.in);
	for (int64_t s = 0; s < BATCH; s++) {
		int64_t start = 0, len = n.lens[s];
		struct ref_slice head = { .count = 1, .starts = &start,
					  .ends = &len };
		struct ref_slice tail = { .count = 1, .starts = &len,
					  .ends = INTS(INT64_MAX) };
		struct ref_tensor column = pick(&n.x, 1, s), x, part;
		struct ref_tensor h = pick(&n.h, 1, s), c = pick(&n.c, 1, s);
		struct ref_tensor y = pick(&all.y, 2, s);
		struct ref_lstm_inputs in = n.in;
		struct outputs one;

		assert_int_equal(ref_slice(&head, &column, &x), 0);
		in.x = &x;
		in.initial_h = &h;
		in.initial_c = &c;
		in.sequence_lens = NULL;
		one = run(&attr, &in);
		part = pick(&all.y_h, 1, s);
		expect_same(&part, &one.y_h);
		part = pick(&all.y_c, 1, s);
		expect_same(&part, &one.y_c);
		assert_int_equal(ref_slice(&head, &y, &part), 0);
		expect_same(&part, &one.y);
		assert_int_equal(ref_slice(&tail, &y, &part), 0);
		for (int64_t i = 0; i < ref_tensor_elems(&part); i++)
			assert_true(part.data[i] == 0);
		ref_tensor_free(&part);
		outputs_free(&one);
		ref_tensor_free(&column);
		ref_tensor_free(&x);
		ref_tensor_free(&h);
		ref_tensor_free(&c);
		ref_tensor_free(&y);
	}
	outputs_free(&all);
	net_teardown(&n);
}

/* Three activations per direction, each with its own parameters. */
static void directions_have_their_activations(void **state)
{
	static const enum ref_unary_op acts[] = {
		REF_SIGMOID, REF_ELU, REF_TANH,
		REF_SIGMOID, REF_ELU, REF_LEAKY_RELU,
	};
	struct ref_lstm both = { .direction = REF_BIDIRECTIONAL,
				 .activations = acts,
				 .activation_alpha = VALUES(0.5f, 0.75f, 0.2f),
				 .alpha_count = 3 };
	struct ref_lstm back = { .direction = REF_REVERSE,
				 .activations = acts + 3,
				 .activation_alpha = VALUES(0.75f, 0.2f),
				 .alpha_count = 2 };
	struct ref_tensor w, r, part;
	struct ref_lstm_inputs in;
	struct outputs all, one;
	struct net n;

	(void)state;
	net_setup(&n);
	in = (struct ref_lstm_inputs){ .x = &n.x, .w = &n.w, .r = &n.r };
	all = run(&both, &in);
	w = pick(&n.w, 0, 1);
	r = pick(&n.r, 0, 1);
	in.w = &w;
	in.r = &r;
	one = run(&back, &in);
	part = pick(&all.y, 1, 1);
	expect_same(&part, &one.y);
	outputs_free(&all);
	outputs_free(&one);
	ref_tensor_free(&w);
	ref_tensor_free(&r);
	net_teardown(&n);
}

static void bad_lstms_are_refused(void **state)
{
	static const enum ref_unary_op acts[] = { REF_SIGMOID, REF_GELU,
						  REF_TANH };
	struct ref_lstm bad[] = {
		{ .direction = 3 },
		{ .direction = REF_BIDIRECTIONAL, .layout = 2 },
		{ .direction = REF_BIDIRECTIONAL, .layout = 1 },
		{ .direction = REF_BIDIRECTIONAL, .clip = -1 },
		{ .direction = REF_BIDIRECTIONAL, .clip = NAN },
		{ .direction = REF_BIDIRECTIONAL, .hidden_size = HIDDEN + 1 },
		{ .direction = REF_BIDIRECTIONAL, .activations = acts },
		{ .direction = REF_BIDIRECTIONAL, .alpha_count = 1 },
		{ .direction = REF_FORWARD },
	};
	struct ref_lstm good = { .direction = REF_BIDIRECTIONAL };
	struct ref_tensor y, y_h, y_c;
	struct net n;

	(void)state;
	net_setup(&n);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_refused(ref_lstm(&bad[i], &n.in, &y, &y_h, &y_c), y);
		assert_null(y_h.data);
		assert_null(y_c.data);
	}
	n.lens[0] = SEQ + 1;
	assert_refused(ref_lstm(&good, &n.in, &y, NULL, NULL), y);
	n.lens[0] = -1;
	assert_refused(ref_lstm(&good, &n.in, &y, NULL, NULL), y);
	n.in.sequence_lens = NULL;
	n.in.b = &n.p;
	assert_refused(ref_lstm(&good, &n.in, &y, NULL, NULL), y);
	n.in.b = NULL;
	n.in.p = &n.b;
	assert_refused(ref_lstm(&good, &n.in, &y, NULL, NULL), y);
	n.in.p = NULL;
	n.in.initial_h = &n.x;
	assert_refused(ref_lstm(&good, &n.in, &y, NULL, NULL), y);
	assert_refused(ref_lstm(NULL, &n.in, &y, NULL, NULL), y);
	net_teardown(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unit_by_hand),
		cmocka_unit_test(unit_peepholes),
		cmocka_unit_test(unit_clip),
		cmocka_unit_test(unit_activations),
		cmocka_unit_test(zero_weights_decay_the_cell),
		cmocka_unit_test(both_directions_are_two_lstms),
		cmocka_unit_test(layout_is_a_transposition),
		cmocka_unit_test(sequence_lengths_cut),
		cmocka_unit_test(directions_have_their_activations),
		cmocka_unit_test(bad_lstms_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
