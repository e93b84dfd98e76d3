/* SPDX-License-Identifier: MIT */
/* Training on small models: losses, scalars, data sets, checkpoints, and what goes wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libnpu_rig.h"
#include "npu_train.h"

#define BATCH		4
#define IN		3
#define OUT		2
#define SAMPLES		14	/* the last batch is partial */

static const float kernel[IN * OUT] = { 0.5f, -0.25f, 0.125f, 0.75f, -0.5f, 0.25f };
static const float bias[OUT] = { 0.1f, -0.2f };

enum end { END_LOGITS, END_SOFTMAX };

/* Predictions [4, 2] of x [4, 3]. */
static struct npu_graph *make_graph(enum end end)
{
	static const int64_t x_dim[] = { BATCH, IN }, k_dim[] = { IN, OUT }, b_dim[] = { OUT };
	struct npu_graph *g = npu_graph_create("small");
	int x = npu_graph_input(g, "x", NPU_GRAPH_F32, 2, x_dim);
	int k = npu_graph_param(g, "kernel", 2, k_dim, kernel);

	x = npu_graph_dense(g, x, k, npu_graph_param(g, "bias", 1, b_dim, bias));
	if (end == END_SOFTMAX)
		x = npu_graph_softmax(g, x, -1);
	npu_graph_output(g, "y", x);
	return g;
}

/* Sample @s: its input, its class, and what it should be mapped to. */
static float sample_x(uint64_t s, int i)
{
	return (float)((s * 7 + (uint64_t)i * 5) % 11) / 8 - 0.5f;
}

static int32_t sample_class(uint64_t s)
{
	return s * 3 % 5 < 2;
}

static float sample_y(uint64_t s, int o)
{
	return (float)((s * 5 + (uint64_t)o * 3) % 7) / 4;
}

/**
 * struct data - a data set of these samples
 * @targets: labels are sample_y(), else classes
 * @one_hot: labels are classes as probabilities
 * @odd: sample with an input that is no number; SAMPLES: none
 * @reads: how often each sample was read
 */
struct data {
	bool targets, one_hot;
	uint64_t odd;
	unsigned int reads[SAMPLES];
};

static int read_samples(void *ctx, const uint64_t *index, unsigned int count, void *const *input,
			void *labels)
{
	struct data *d = ctx;
	float *x = input[0], *y = labels;
	int32_t *class = labels;

	for (unsigned int i = 0; i < count; i++) {
		assert_true(index[i] < SAMPLES);
		d->reads[index[i]]++;
		for (int k = 0; k < IN; k++)
			x[i * IN + (unsigned int)k] = sample_x(index[i], k);
		if (index[i] == d->odd)
			x[i * IN + 1] = NAN;
		for (int o = 0; o < OUT && (d->targets || d->one_hot); o++)
			y[i * OUT + (unsigned int)o] = d->targets ? sample_y(index[i], o) :
							(float)(sample_class(index[i]) == o);
		if (!d->targets && !d->one_hot)
			class[i] = sample_class(index[i]);
	}
	return 0;
}

static struct npu_train *begin(struct npu_device *dev, struct npu_graph *g,
			       const struct npu_train_options *o)
{
	struct npu_train *t = npu_train_create(dev, g, o);

	assert_some(t);
	return t;
}

static void step(struct npu_train *t, struct data *d, uint64_t first, unsigned int count,
		 struct npu_train_metrics *m)
{
	void *input[] = { npu_train_map_input(t, 0) };
	uint64_t index[BATCH];

	for (unsigned int i = 0; i < count; i++)
		index[i] = first + i;
	assert_some(input[0]);
	read_samples(d, index, count, input, npu_train_map_labels(t));
	assert_ok(npu_train_start(t, count));
	assert_ok(npu_train_wait(t, m));
}

/* Prediction and mean squared error by hand. */
static double squared_error(const float *k, const float *b, uint64_t first, unsigned int count,
			    double *dk, double *db)
{
	double loss = 0;

	for (uint64_t s = first; s < first + count; s++)
		for (int o = 0; o < OUT; o++) {
			double y = (double)b[o], d;

			for (int i = 0; i < IN; i++)
				y += (double)sample_x(s, i) * (double)k[i * OUT + o];
			d = y - (double)sample_y(s, o);
			loss += d * d / OUT / count;
			for (int i = 0; i < IN; i++)
				dk[i * OUT + o] += 2 * d * (double)sample_x(s, i) / OUT / count;
			db[o] += 2 * d / OUT / count;
		}
	return loss;
}

#define expect_near(got, want, error) near(__LINE__, got, want, error)

static void near(int line, double got, double want, double error)
{
	if (!(fabs(got - want) <= error * fmax(1, fabs(want))))
		fail_msg("line %d: %.9g, not %.9g", line, got, want);
}

/* A step of plain gradient descent on a linear model is a formula. */
static void test_linear(void **state)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_SGD);
	struct data d = { .targets = true, .odd = SAMPLES };
	double dk[IN * OUT] = { 0 }, db[OUT] = { 0 }, loss, norm = 0;
	struct npu_graph *g = make_graph(END_LOGITS);
	float value[IN * OUT + OUT];
	struct npu_train_metrics m;
	struct npu_train *t;
	const float *norms;

	o.learning_rate = 0.5f;
	o.gradient_norms = true;
	t = begin(*state, g, &o);
	assert_int_equal(npu_train_batch(t), BATCH);
	assert_int_equal(npu_train_inputs(t), 1);
	assert_int_equal(npu_train_input_bytes(t, 0), IN * sizeof(float));
	assert_int_equal(npu_train_label_bytes(t), OUT * sizeof(float));
	assert_true(npu_train_memory_bytes(t) > 0);
	loss = squared_error(kernel, bias, 1, 3, dk, db);
	step(t, &d, 1, 3, &m);
	expect_near(m.loss, loss, 1e-6);
	assert_int_equal(m.samples, 3);
	norms = npu_train_norms(t);
	assert_some(norms);
	for (int i = 0; i < IN * OUT; i++)
		norm += dk[i] * dk[i];
	expect_near((double)norms[0], sqrt(norm), 1e-6);
	expect_near((double)norms[1], sqrt(db[0] * db[0] + db[1] * db[1]), 1e-6);
	assert_ok(npu_train_update_graph(t));
	npu_graph_get_params(g, value);
	for (int i = 0; i < IN * OUT; i++)
		expect_near((double)value[i], (double)kernel[i] - 0.5 * dk[i], 1e-6);
	for (int i = 0; i < OUT; i++)
		expect_near((double)value[IN * OUT + i], (double)bias[i] - 0.5 * db[i], 1e-6);
	npu_train_destroy(t);
	npu_graph_destroy(g);
}

/* Gradients that are too long keep their direction. */
static void test_clip(void **state)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_SGD);
	struct data d = { .targets = true, .odd = SAMPLES };
	float value[2][IN * OUT + OUT];
	double ratio = 0, moved = 0;

	o.learning_rate = 1;
	for (int clip = 0; clip < 2; clip++) {
		struct npu_graph *g = make_graph(END_LOGITS);
		struct npu_train_metrics m;
		struct npu_train *t;

		o.clip_norm = clip ? 0.125f : 1000;
		t = begin(*state, g, &o);
		step(t, &d, 0, BATCH, &m);
		assert_ok(npu_train_update_graph(t));
		npu_graph_get_params(g, value[clip]);
		npu_train_destroy(t);
		npu_graph_destroy(g);
	}
	for (int i = 0; i < IN * OUT + OUT; i++) {
		double first = (double)(i < IN * OUT ? kernel[i] : bias[i - IN * OUT]);
		double full = (double)value[0][i] - first, part = (double)value[1][i] - first;

		moved += part * part;
		ratio = i ? ratio : part / full;
		expect_near(part, full * ratio, 1e-6);
	}
	expect_near(sqrt(moved), 0.125, 1e-6);
}

/* Samples whose larger prediction, by the first parameters, is that of their class. */
static uint64_t count_right(uint64_t first, unsigned int count)
{
	uint64_t right = 0;

	for (uint64_t s = first; s < first + count; s++) {
		float y[OUT] = { bias[0], bias[1] };

		for (int i = 0; i < IN; i++)
			for (int o = 0; o < OUT; o++)
				y[o] += sample_x(s, i) * kernel[i * OUT + o];
		right += (y[1] > y[0]) == sample_class(s);
	}
	return right;
}

/* Classes as numbers or probabilities, from logits or after softmax, are one loss. */
static void test_cross_entropy(void **state)
{
	static const struct {
		enum npu_loss loss;
		bool from_logits;
		enum end end;
	} kinds[] = {
		{ NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, true, END_LOGITS },
		{ NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, false, END_SOFTMAX },
		{ NPU_LOSS_CATEGORICAL_CROSSENTROPY, true, END_LOGITS },
		{ NPU_LOSS_CATEGORICAL_CROSSENTROPY, false, END_SOFTMAX },
	};
	struct npu_train_metrics first = { 0 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct npu_train_options o = npu_train_defaults(kinds[i].loss, NPU_OPTIMIZER_ADAM);
		bool one_hot = kinds[i].loss == NPU_LOSS_CATEGORICAL_CROSSENTROPY;
		struct data d = { .one_hot = one_hot, .odd = SAMPLES };
		struct npu_graph *g = make_graph(kinds[i].end);
		struct npu_train_metrics m;
		struct npu_train *t;

		o.from_logits = kinds[i].from_logits;
		t = begin(*state, g, &o);
		for (int k = 0; k < 3; k++) {
			step(t, &d, 4, BATCH - 1, &m);
			if (!k)
				assert_int_equal(m.correct, count_right(4, BATCH - 1));
		}
		if (!i)
			first = m;
		expect_near(m.loss, first.loss, 1e-6);
		assert_int_equal(m.correct, first.correct);
		npu_train_destroy(t);
		npu_graph_destroy(g);
	}
}

static void final_values(struct npu_train *t, struct npu_graph *g, float *value)
{
	assert_ok(npu_train_update_graph(t));
	npu_graph_get_params(g, value);
}

/* Philox2x32-10 as the manual defines RNG. */
static uint32_t random_bits(uint32_t a, uint32_t b, uint32_t key)
{
	for (int i = 0; i < 10; i++, key += 0x9e3779b9) {
		uint64_t p = (uint64_t)a * 0xd256d193;

		a = (uint32_t)(p >> 32) ^ key ^ b;
		b = (uint32_t)p;
	}
	return a;
}

/* y = dropout(x w): what is dropped follows from seed, step and element. */
static void test_dropout(void **state)
{
	static const int64_t x_dim[] = { BATCH, IN }, w_dim[] = { IN };
	static const float w[IN] = { 1, -2, 0.5f }, x[BATCH * IN] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
	};
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_SGD);
	struct npu_graph *g = npu_graph_create("drop");
	const float ratio = 0.375f, rate = 1e-5f;
	unsigned int dropped = 0;
	struct npu_train *t;
	float value[IN];
	int y;

	y = npu_graph_input(g, "x", NPU_GRAPH_F32, 2, x_dim);
	y = npu_graph_binary(g, NPU_BINARY_MUL, y, npu_graph_param(g, "w", 1, w_dim, w));
	npu_graph_output(g, "y", npu_graph_dropout(g, y, ratio));
	o.learning_rate = rate;
	o.seed = 77;
	t = begin(*state, g, &o);
	for (uint32_t k = 1; k < 20; k++) {
		double loss = 0, dw[IN] = { 0 };
		struct npu_train_metrics m;
		float next[IN];

		npu_graph_get_params(g, value);
		for (uint32_t i = 0; i < BATCH * IN; i++) {
			bool kept = random_bits(i, k, 77) + 0x80000000u >= 0x60000000u;
			double in = (double)x[i] / 0.625, v = in * (double)value[i % IN];

			dropped += !kept;
			loss += kept ? v * v / (BATCH * IN) : 0;
			dw[i % IN] += kept ? 2 * v * in / (BATCH * IN) : 0;
		}
		memcpy(npu_train_map_input(t, 0), x, sizeof(x));
		memset(npu_train_map_labels(t), 0, sizeof(x));
		assert_ok(npu_train_start(t, BATCH));
		assert_ok(npu_train_wait(t, &m));
		expect_near(m.loss, loss, 1e-5);
		final_values(t, g, next);
		for (int i = 0; i < IN; i++)
			expect_near((double)next[i], (double)value[i] - (double)rate * dw[i], 1e-5);
	}
	/* Of 228; and not the same ones each time, or the losses would show it. */
	assert_in_range(dropped, 55, 116);
	npu_train_destroy(t);
	assert_int_equal(npu_graph_dropout(g, y, 1), -EINVAL);
	npu_graph_destroy(g);
}

/* The batch's statistics in training, the running ones in evaluation. */
static void test_batch_norm(void **state)
{
	static const int64_t x_dim[] = { BATCH, IN }, c_dim[] = { IN };
	static const float one[IN] = { 1, 1, 1 }, zero[IN] = { 0 }, mean[IN] = { 1, 2, 3 };
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_SGD);
	struct npu_graph *g = npu_graph_create("norm");
	struct npu_train_metrics m;
	double loss = 0, epsilon = 1e-3;
	struct npu_train *t;
	float *x, value[4 * IN];
	int in[5];

	in[0] = npu_graph_input(g, "x", NPU_GRAPH_F32, 2, x_dim);
	in[1] = npu_graph_param(g, "scale", 1, c_dim, one);
	in[2] = npu_graph_param(g, "bias", 1, c_dim, zero);
	in[3] = npu_graph_param(g, "mean", 1, c_dim, mean);
	in[4] = npu_graph_param(g, "variance", 1, c_dim, one);
	npu_graph_output(g, "y", npu_graph_batch_norm(g, in[0], in[1], in[2], in[3], in[4],
						      (float)epsilon, 0.75f));
	o.learning_rate = 1e-6f;
	t = begin(*state, g, &o);
	x = npu_train_map_input(t, 0);
	for (int i = 0; i < BATCH * IN; i++)
		x[i] = sample_x((uint64_t)i, i) * 4;
	memset(npu_train_map_labels(t), 0, BATCH * IN * sizeof(float));
	for (int c = 0; c < IN; c++) {
		double sum = 0, square = 0;

		for (int i = 0; i < BATCH; i++)
			sum += (double)x[i * IN + c] / BATCH;
		for (int i = 0; i < BATCH; i++)
			square += pow((double)x[i * IN + c] - sum, 2) / BATCH;
		loss += square / (square + epsilon) / IN;
		value[c] = (float)(0.75 * (double)mean[c] + 0.25 * sum);
		value[IN + c] = (float)(0.75 + 0.25 * square);
	}
	assert_ok(npu_train_start(t, BATCH));
	assert_ok(npu_train_wait(t, &m));
	expect_near(m.loss, loss, 1e-5);
	for (int i = 0; i < 2 * IN; i++) {
		float now[4 * IN];

		final_values(t, g, now);
		expect_near((double)now[2 * IN + i], (double)value[i], 1e-5);
	}
	npu_train_destroy(t);
	npu_graph_destroy(g);
}

/* ---- fit ---- */

/**
 * struct watch - what a run of fit reported
 * @stop_after: steps; 0: does not stop
 * @losses: of each step
 */
struct watch {
	unsigned int calls, stop_after;
	double losses[64];
	unsigned int epochs_ended;
	double validation;
};

static int watch(void *ctx, const struct npu_train_progress *p)
{
	struct watch *w = ctx;

	assert_int_equal(p->steps, 4);
	assert_true(p->step < p->steps);
	assert_int_equal(p->last.samples, p->step == 3 ? SAMPLES % BATCH : BATCH);
	assert_int_equal(p->epoch_ended, p->step == 3);
	assert_int_equal(p->sum.samples, p->epoch_ended ? SAMPLES : (p->step + 1) * BATCH);
	w->losses[w->calls++] = p->last.loss;
	w->epochs_ended += p->epoch_ended;
	if (p->validation)
		w->validation = p->validation->loss;
	return w->stop_after == w->calls ? 42 : 0;
}

/* Stopped anywhere and gone on, it is the same run to the bit. */
static void test_fit_and_resume(void **state)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
							NPU_OPTIMIZER_ADAM);
	char path[] = "/tmp/npu-checkpoint-XXXXXX";
	float want[IN * OUT + OUT], got[IN * OUT + OUT];
	struct watch whole = { 0 };
	struct data d = { .odd = SAMPLES };
	struct npu_dataset set = { .samples = SAMPLES, .read = read_samples, .ctx = &d };
	struct npu_fit fit = { .data = &set, .validation = &set, .epochs = 3, .shuffle = true,
			       .checkpoint = path, .on_step = watch, .ctx = &whole };
	struct npu_graph *g = make_graph(END_SOFTMAX);
	struct npu_train *t = begin(*state, g, &o);

	close(mkstemp(path));
	assert_ok(npu_train_fit(t, &fit));
	assert_int_equal(whole.calls, 12);
	assert_int_equal(whole.epochs_ended, 3);
	/* In each epoch, and in the validation after it. */
	for (unsigned int s = 0; s < SAMPLES; s++)
		assert_int_equal(d.reads[s], 6);
	assert_true(whole.validation > 0);
	final_values(t, g, want);
	npu_train_destroy(t);
	npu_graph_destroy(g);

	for (unsigned int stop = 1; stop < 12; stop += 2) {
		struct watch w = { .stop_after = stop };

		fit.ctx = &w;
		g = make_graph(END_SOFTMAX);
		t = begin(*state, g, &o);
		assert_int_equal(npu_train_fit(t, &fit), 42);
		assert_int_equal(npu_train_steps(t), stop);
		npu_train_destroy(t);
		t = begin(*state, g, &o);
		assert_ok(npu_train_load_checkpoint(t, path));
		assert_int_equal(npu_train_steps(t), stop);
		w.stop_after = 0;
		assert_ok(npu_train_fit(t, &fit));
		assert_int_equal(w.calls, 12);
		assert_memory_equal(w.losses, whole.losses, sizeof(w.losses));
		final_values(t, g, got);
		assert_memory_equal(got, want, sizeof(want));
		npu_train_destroy(t);
		npu_graph_destroy(g);
	}
	unlink(path);
}

/* The order of an epoch has each sample once, and is another one than the last epoch's. */
static void test_shuffle(void **state)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_SGD);
	struct data d = { .targets = true, .odd = SAMPLES };
	struct npu_dataset set = { .samples = SAMPLES, .read = read_samples, .ctx = &d };
	struct watch w[2] = { { 0 } };
	struct npu_fit fit = { .data = &set, .epochs = 2, .on_step = watch };

	for (int shuffle = 0; shuffle < 2; shuffle++) {
		struct npu_graph *g = make_graph(END_LOGITS);
		struct npu_train *t = begin(*state, g, &o);

		fit.shuffle = shuffle;
		fit.ctx = &w[shuffle];
		assert_ok(npu_train_fit(t, &fit));
		npu_train_destroy(t);
		npu_graph_destroy(g);
	}
	assert_true(memcmp(w[0].losses, w[1].losses, 4 * sizeof(double)));
	for (unsigned int s = 0; s < SAMPLES; s++)
		assert_int_equal(d.reads[s], 4);
}

/* ---- what goes wrong ---- */

static void test_not_finite(void **state)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_MOMENTUM);
	struct data d = { .targets = true, .odd = 5 };
	struct npu_dataset set = { .samples = SAMPLES, .read = read_samples, .ctx = &d };
	struct npu_fit fit = { .data = &set, .epochs = 1 };
	struct npu_graph *g = make_graph(END_LOGITS);
	float before[IN * OUT + OUT], after[IN * OUT + OUT];
	struct npu_train_metrics m;
	struct npu_train *t = begin(*state, g, &o);

	step(t, &d, 0, BATCH, &m);
	final_values(t, g, before);
	assert_err(npu_train_fit(t, &fit), -EDOM, "step 2: input \"x\" is not finite in sample 1");
	assert_int_equal(npu_train_steps(t), 1);
	final_values(t, g, after);
	assert_memory_equal(before, after, sizeof(after));
	/* Nothing is lost: it goes on with what is right. */
	d.odd = SAMPLES;
	assert_ok(npu_train_fit(t, &fit));
	assert_int_equal(npu_train_steps(t), 4);
	npu_train_destroy(t);

	o.learning_rate = 1e30f;
	t = begin(*state, g, &o);
	fit.epochs = 10;
	assert_err(npu_train_fit(t, &fit), -EDOM, "lower the learning rate");
	npu_train_destroy(t);
	npu_graph_destroy(g);
}

static void test_bad_options(void **state)
{
	static const struct {
		float rate, beta1, epsilon, clip;
		const char *word;
	} bad[] = {
		{ 0, 0.9f, 1e-7f, 0, "learning rate" },
		{ NAN, 0.9f, 1e-7f, 0, "learning rate" },
		{ 1, 1.5f, 1e-7f, 0, "beta" },
		{ 1, 0.9f, 0, 0, "epsilon" },
		{ 1, 0.9f, 1e-7f, -1, "clip" },
	};
	struct npu_graph *g = make_graph(END_LOGITS), *empty = npu_graph_create("empty");
	struct npu_train_options o;
	struct npu_train *t;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_ADAM);
		o.learning_rate = bad[i].rate;
		o.beta1 = bad[i].beta1;
		o.epsilon = bad[i].epsilon;
		o.clip_norm = bad[i].clip;
		assert_none(npu_train_create(*state, g, &o), -EINVAL, bad[i].word);
	}
	o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_ADAM);
	assert_none(npu_train_create(*state, empty, &o), -EINVAL, "no output");
	o.optimizer = NPU_OPTIMIZERS;
	assert_none(npu_train_create(*state, g, &o), -EINVAL, "no optimizer");
	o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_SGD);
	t = begin(*state, g, &o);
	assert_err(npu_train_start(t, 0), -EINVAL, "1 to 4");
	assert_err(npu_train_start(t, BATCH + 1), -EINVAL, "5 samples");
	assert_err(npu_train_wait(t, NULL), -EINVAL, "start one");
	assert_none(npu_train_map_input(t, 1), -EINVAL, "no input 1");
	assert_none(npu_train_norms(t), -EINVAL, "not measured");
	assert_err(npu_train_set_learning_rate(t, -1), -EINVAL, "learning rate");
	assert_err(npu_train_fit(t, &(struct npu_fit){ .epochs = 1 }), -EINVAL, "empty");
	npu_train_destroy(t);
	npu_graph_destroy(g);
	npu_graph_destroy(empty);
}

static char *read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	char *data = malloc(1 << 16);

	*bytes = fread(data, 1, 1 << 16, f);
	fclose(f);
	return data;
}

static void refuse_file(struct npu_train *t, const void *data, size_t bytes, const char *word)
{
	char *path = rig_file(data, bytes);

	assert_err(npu_train_load_checkpoint(t, path), -EINVAL, word);
	unlink(path);
	free(path);
}

/* Every byte of a checkpoint counts, and a wrong one changes nothing. */
static void test_bad_checkpoints(void **state)
{
	struct npu_train_options o = npu_train_defaults(NPU_LOSS_MSE, NPU_OPTIMIZER_MOMENTUM);
	float before[IN * OUT + OUT], after[IN * OUT + OUT];
	struct npu_graph *g = make_graph(END_LOGITS);
	char path[] = "/tmp/npu-checkpoint-XXXXXX";
	struct npu_train *t, *other;
	size_t bytes;
	char *data;

	close(mkstemp(path));
	t = begin(*state, g, &o);
	assert_ok(npu_train_save_checkpoint(t, path));
	assert_err(npu_train_save_checkpoint(t, "/no/such/folder/file"), -ENOENT, "one before");
	data = read_file(path, &bytes);
	final_values(t, g, before);
	for (size_t i = 0; i < bytes; i++) {
		data[i] ^= 0x10;
		refuse_file(t, data, bytes, "cannot go on");
		data[i] ^= 0x10;
		refuse_file(t, data, i, i < 8 ? "no checkpoint" : "cannot go on");
	}
	final_values(t, g, after);
	assert_memory_equal(before, after, sizeof(after));
	o.seed++;
	other = begin(*state, g, &o);
	assert_err(npu_train_load_checkpoint(other, path), -EINVAL, "another seed");
	npu_train_destroy(other);
	o.optimizer = NPU_OPTIMIZER_ADAM;
	other = begin(*state, g, &o);
	assert_err(npu_train_load_checkpoint(other, path), -EINVAL, "another optimizer");
	assert_err(npu_train_load_checkpoint(other, "/no/such/file"), -ENOENT, "/no/such/file");
	npu_train_destroy(other);
	npu_train_destroy(t);
	npu_graph_destroy(g);
	free(data);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_clip),
		cmocka_unit_test(test_cross_entropy),
		cmocka_unit_test(test_dropout),
		cmocka_unit_test(test_batch_norm),
		cmocka_unit_test(test_fit_and_resume),
		cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_bad_checkpoints),
	};

	return rig_run_tests(tests, rig_open_device, rig_close_device);
}
