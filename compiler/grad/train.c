/* SPDX-License-Identifier: MIT */
/*
 * A training step of a network, as a graph: parameters are parts of an input, the
 * prediction gets a loss, a Gradient says how the loss depends on the parameters, an
 * optimizer makes new ones. An evaluation stops after the loss.
 */
#include "train.h"

#include <errno.h>
#include <string.h>

#include "graph/ops.h"

/* Keras's bound on probabilities, so that no logarithm is infinite. */
#define PROBABILITY_MIN	1e-7f

/**
 * struct train - a step being made
 * @e: makes nodes
 * @params: elements of all parameters
 * @labels: @weights: @random: inputs
 * @dropouts: nodes so far
 * @u: parameters and slots; of the inputs first, then of the outputs
 * @fixed: per parameter: the value after a step that is not the optimizer's, or NC_NONE
 * @prediction: the graph's first output
 * @classes: what classes are chosen by: logits, or the prediction
 * @loss: the sum over the batch
 */
struct train {
	struct nc_expand e;
	const struct npu_step *step;
	int64_t params;
	uint32_t labels, weights, random, dropouts;
	struct nc_update u;
	uint32_t *fixed;
	uint32_t prediction, classes, loss;
};

/* ---- parameters ---- */

int npu_graph_params(const struct npu_graph *g)
{
	return (int)g->params;
}

int npu_graph_param_info(const struct npu_graph *g, unsigned int index, const char **name,
			 int64_t dim[NPU_GRAPH_RANK_MAX], uint64_t *first)
{
	const struct nc_tensor *t;

	if (index >= g->params)
		return -EINVAL;
	t = g->tensor[g->param[index]];
	*name = t->name;
	*first = 0;
	memcpy(dim, t->dim, sizeof(t->dim));
	for (unsigned int i = 0; i < index; i++)
		*first += g->tensor[g->param[i]]->elems;
	return (int)t->rank;
}

uint64_t npu_graph_param_elems(const struct npu_graph *g)
{
	uint64_t elems = 0;

	for (uint32_t i = 0; i < g->params; i++)
		elems += g->tensor[g->param[i]]->elems;
	return elems;
}

void npu_graph_get_params(const struct npu_graph *g, float *value)
{
	for (uint32_t i = 0; i < g->params; i++) {
		const struct nc_tensor *t = g->tensor[g->param[i]];

		memcpy(value, t->init, t->elems * sizeof(*value));
		value += t->elems;
	}
}

/* The values are the arena's, and nobody has a copy of them. */
void npu_graph_set_params(struct npu_graph *g, const float *value)
{
	for (uint32_t i = 0; i < g->params; i++) {
		const struct nc_tensor *t = g->tensor[g->param[i]];

		memcpy((void *)(uintptr_t)t->init, value, t->elems * sizeof(*value));
		value += t->elems;
	}
}

/* What the nodes to come are a part of, for messages and traces. */
static int set_part(struct train *s, const char *name)
{
	s->e.n = nc_node_new(s->e.g, nc_op_get(NC_OP_Identity), name, 0, 0);
	return s->e.g->err;
}

/* ---- inputs and outputs ---- */

static uint32_t add_input(struct train *s, const char *name, enum npu_graph_dtype dtype,
			  unsigned int rank, const int64_t *dim)
{
	struct npu_graph *g = s->e.g;
	int64_t t = g->err ? g->err : nc_graph_tensor(g, name);

	if (t < 0)
		return NC_NONE;
	g->err = nc_tensor_shape(g, NULL, (uint32_t)t, dtype, rank, dim);
	if (!g->err)
		g->err = nc_graph_add_input(g, (uint32_t)t);
	return (uint32_t)t;
}

static void add_output(struct train *s, const char *name, uint32_t t)
{
	if (!s->e.g->err)
		s->e.g->err = nc_graph_add_output(s->e.g, name, t);
}

/* The shape of the labels, and what is wrong with the prediction. */
static int add_inputs(struct train *s)
{
	struct npu_graph *g = s->e.g;
	const struct nc_tensor *y = g->tensor[s->prediction];
	bool sparse = s->step->loss == NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY;
	const int64_t hypers = NPU_HYPERS, two = 2;
	char text[NC_SHAPE_TEXT];

	if (y->dtype != NPU_GRAPH_F32 || y->rank < 1u + sparse || !y->elems || y->data)
		return nc_error(&g->diag, -ENOTSUP,
				"output \"%s\" is %s%s; a loss needs a prediction f32[batch, ...] that is computed",
				g->output[0].name, y->data ? "a constant " : "",
				nc_shape_text(y, text));
	s->labels = add_input(s, "train.labels", sparse ? NPU_GRAPH_I32 : NPU_GRAPH_F32,
			      y->rank - sparse, y->dim);
	s->weights = add_input(s, "train.weights", NPU_GRAPH_F32, 1, y->dim);
	if (s->step->train) {
		s->u.hyper = add_input(s, "train.scalars", NPU_GRAPH_F32, 1, &hypers);
		s->random = add_input(s, "train.random", NPU_GRAPH_I32, 1, &two);
	}
	s->u.param = add_input(s, "train.params", NPU_GRAPH_F32, 1, &s->params);
	for (int i = 0; s->step->train && i < npu_optimizer_slots(s->step->optimizer); i++)
		s->u.slot[i] = add_input(s, i ? "train.slot2" : "train.slot1", NPU_GRAPH_F32, 1,
					 &s->params);
	return g->err;
}

/* Each parameter is a part of the input from now on. */
static int place_params(struct train *s)
{
	struct npu_graph *g = s->e.g;
	int64_t at = 0;

	for (uint32_t i = 0; i < g->params; i++) {
		struct nc_tensor *t = g->tensor[g->param[i]];
		uint32_t part = nc_x_slice(&s->e, s->u.param, 0, at, at + (int64_t)t->elems, 1);
		uint32_t shape = nc_x_ints(&s->e, t->dim, t->rank);
		struct nc_node *n = g->err ? NULL : nc_node_new(g, nc_op_get(NC_OP_Reshape), t->name,
								2, 1);

		if (!n)
			return g->err;
		at += (int64_t)t->elems;
		n->in[0] = part;
		n->in[1] = shape;
		n->out[0] = g->param[i];
		t->init = NULL;
		if (nc_graph_node(g, n))
			return g->err;
	}
	return g->err;
}

/* ---- layers that differ in training ---- */

static int64_t param_index(const struct npu_graph *g, uint32_t tensor)
{
	for (uint32_t i = 0; i < g->params; i++)
		if (g->param[i] == tensor)
			return i;
	return -1;
}

/* The batch's own statistics; the running ones are updated if they are parameters. */
static int batch_norm(struct train *s, const struct nc_node *n)
{
	struct npu_graph *g = s->e.g;
	struct nc_node *r = nc_node_new(g, n->op, n->name, n->ins, 3);

	if (!r)
		return g->err;
	memcpy(r->in, n->in, n->ins * sizeof(*r->in));
	r->number = n->number;
	r->attr = n->attr;
	r->attrs = n->attrs;
	r->out[0] = n->out[0];
	if (nc_attr_set_int(g, r, "training_mode", 1))
		return g->err;
	for (uint32_t i = 1; i < 3; i++) {
		int64_t t = nc_graph_tensor(g, NULL), param = param_index(g, n->in[2 + i]);

		if (t < 0)
			return (int)t;
		r->out[i] = (uint32_t)t;
		if (param >= 0)
			s->fixed[param] = r->out[i];
	}
	return nc_graph_node(g, r);
}

static uint32_t int_scalar(struct train *s, uint32_t value)
{
	const int64_t number = (int32_t)value;

	return nc_x_cast(&s->e, nc_x_ints(&s->e, &number, 1), NPU_GRAPH_I32);
}

/* 0, @step, .. along an axis of @count. */
static uint32_t ramp(struct train *s, int64_t count, int64_t step, int64_t rows, int64_t columns)
{
	int32_t *data = nc_x_alloc(&s->e, count, sizeof(*data));
	int64_t t;

	for (int64_t i = 0; data && i < count; i++)
		data[i] = (int32_t)(uint32_t)(i * step);
	t = data ? nc_graph_const(s->e.g, NULL, NPU_GRAPH_I32, 2,
				  (const int64_t[]){ rows, columns }, data) : -1;
	return t < 0 ? NC_NONE : (uint32_t)t;
}

/* Keep each element with probability 1 - @ratio, scaled up by its inverse; [rows, columns]. */
static uint32_t drop(struct train *s, uint32_t x, int64_t rows, int64_t columns, float ratio)
{
	const struct nc_expand *e = &s->e;
	uint32_t counter = nc_x_2(e, NC_OP_Add, ramp(s, rows, columns, rows, 1),
				  ramp(s, columns, 1, 1, columns));
	uint32_t key = nc_x_2(e, NC_OP_Add, nc_x_slice(e, s->random, 0, 0, 1, 1),
			      int_scalar(s, s->dropouts++ * 0x85ebca6bu));
	uint32_t step = nc_x_slice(e, s->random, 0, 1, 2, 1), bits, kept;
	/* As signed integers, bits are uniform from -2^31 on. */
	double least = (double)ratio * 0x1p32 - 0x1p31;

	bits = nc_x_node(e, NC_OP_RandomBits, NULL, 3, (const uint32_t[]){ counter, step, key });
	kept = nc_x_2(e, NC_OP_GreaterOrEqual, bits, int_scalar(s, (uint32_t)(int32_t)least));
	return nc_x_where(e, kept, nc_x_scalar(e, NC_OP_Mul, x, 1 / (1 - ratio)),
			  nc_x_float(e, 0));
}

static int dropout(struct train *s, const struct nc_node *n)
{
	const struct nc_expand layer = s->e, own = { .g = s->e.g, .n = n };
	const struct nc_tensor *x = nc_in(own.g, n, 0), *r = nc_in(own.g, n, 1);
	int64_t rows = x->rank && x->dim[0] ? x->dim[0] : 1;
	float ratio = 0.5f;
	uint32_t t;

	if (r && r->data)
		nc_word_get(r, 0, (uint32_t *)(void *)&ratio);
	if (ratio == 0 || !x->elems)
		return nc_graph_append(own.g, (struct nc_node *)(uintptr_t)n);
	if (!(ratio > 0 && ratio < 1) || x->dtype != NPU_GRAPH_F32 || nc_out(own.g, n, 1) ||
	    (r && !r->data))
		return nc_node_error(&own.g->diag, n, -ENOTSUP,
				     "can be trained through for f32, without a mask as output, and with a constant ratio in 0 .. 1");
	s->e = own;
	t = nc_x_reshape(&s->e, n->in[0], 2, (const int64_t[]){ rows, (int64_t)x->elems / rows });
	t = drop(s, t, rows, (int64_t)x->elems / rows, ratio);
	nc_x_result(&s->e, 0, nc_x_reshape(&s->e, t, x->rank, x->dim));
	s->e = layer;
	return own.g->err;
}

static int append_nodes(struct train *s, struct nc_node **list, uint32_t count)
{
	struct npu_graph *g = s->e.g;
	int ret = g->err;

	for (uint32_t i = 0; !ret && i < count; i++)
		if (s->step->train && list[i]->op->code == NC_OP_BatchNormalization)
			ret = batch_norm(s, list[i]);
		else if (s->step->train && list[i]->op->code == NC_OP_Dropout)
			ret = dropout(s, list[i]);
		else
			ret = nc_graph_append(g, list[i]);
	return ret;
}

/* ---- losses ---- */

static uint32_t f2(const struct train *s, enum nc_opcode code, uint32_t a, uint32_t b)
{
	return nc_x_2(&s->e, code, a, b);
}

/* The labels as probabilities, of the prediction's shape. */
static uint32_t targets(struct train *s)
{
	const struct nc_tensor *y = nc_x_get(&s->e, s->prediction);
	int64_t dim[NPU_GRAPH_RANK_MAX], classes = y->dim[y->rank - 1];
	int32_t *range;
	int64_t t;

	if (s->step->loss != NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY)
		return s->labels;
	range = nc_x_alloc(&s->e, classes, sizeof(*range));
	for (int64_t i = 0; range && i < classes; i++)
		range[i] = (int32_t)i;
	t = range ? nc_graph_const(s->e.g, NULL, NPU_GRAPH_I32, 1, &classes, range) : -1;
	memcpy(dim, y->dim, sizeof(dim));
	dim[y->rank - 1] = 1;
	if (t < 0)
		return NC_NONE;
	return nc_x_cast(&s->e, f2(s, NC_OP_Equal, nc_x_reshape(&s->e, s->labels, y->rank, dim),
				   (uint32_t)t), NPU_GRAPH_F32);
}

/* The logarithm of the predicted probabilities. */
static uint32_t log_probabilities(struct train *s)
{
	const struct nc_tensor *y = nc_x_get(&s->e, s->prediction);
	const struct nc_node *last = y->node == NC_NONE ? NULL : s->e.g->node[y->node];
	bool softmax = !s->step->from_logits && last && last->op->code == NC_OP_Softmax &&
		       (nc_attr(last, "axis")->i == -1 ||
			nc_attr(last, "axis")->i == (int64_t)y->rank - 1);
	uint32_t t = s->prediction;

	s->classes = s->prediction;
	if (softmax)
		s->classes = t = last->in[0];
	if (softmax || s->step->from_logits)
		return nc_x_node(&s->e, NC_OP_LogSoftmax, NC_X_ATTRS(NC_X_INT("axis", -1)), 1, &t);
	t = nc_x_node(&s->e, NC_OP_Clip, NULL, 3,
		      (const uint32_t[]){ t, nc_x_float(&s->e, PROBABILITY_MIN),
					  nc_x_float(&s->e, 1 - PROBABILITY_MIN) });
	return nc_x_1(&s->e, NC_OP_Log, t);
}

/* The sum of what the samples lose, times their weights. */
static void add_loss(struct train *s)
{
	const struct nc_tensor *y = nc_x_get(&s->e, s->prediction);
	bool mse = s->step->loss == NPU_LOSS_MSE;
	int64_t places = (int64_t)y->elems / y->dim[0], one = 1;
	const int64_t dim[] = { y->dim[0], places };
	float scale;
	uint32_t t;

	if (mse) {
		t = f2(s, NC_OP_Sub, s->prediction, s->labels);
		t = f2(s, NC_OP_Mul, t, t);
		scale = 1 / (float)places;
	} else {
		t = f2(s, NC_OP_Mul, targets(s), log_probabilities(s));
		scale = -(float)y->dim[y->rank - 1] / (float)places;
	}
	t = nc_x_reduce(&s->e, NC_OP_ReduceSum, nc_x_reshape(&s->e, t, 2, dim), 2);
	if (scale != 1)
		t = nc_x_scalar(&s->e, NC_OP_Mul, t, scale);
	t = f2(s, NC_OP_Mul, nc_x_reshape(&s->e, t, 1, y->dim), s->weights);
	s->loss = nc_x_reshape(&s->e, nc_x_reduce(&s->e, NC_OP_ReduceSum, t, 1), 1, &one);
	add_output(s, "train.loss", s->loss);
}

/* Places of samples with weight where the likeliest class is the label's. */
static void add_correct(struct train *s)
{
	const struct nc_tensor *y = nc_x_get(&s->e, s->prediction);
	const struct nc_attr last[] = { NC_X_INT("axis", -1), NC_X_INT("keepdims", 0), NC_X_END };
	bool sparse = s->step->loss == NPU_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY;
	int64_t dim[2] = { y->dim[0], 1 }, one = 1;
	uint32_t t, label = s->labels;

	for (unsigned int i = 1; i + 1 < y->rank; i++)
		dim[1] *= y->dim[i];
	t = nc_x_cast(&s->e, nc_x_node(&s->e, NC_OP_ArgMax, last, 1, &s->classes), NPU_GRAPH_I32);
	if (!sparse)
		label = nc_x_cast(&s->e, nc_x_node(&s->e, NC_OP_ArgMax, last, 1, &label),
				  NPU_GRAPH_I32);
	t = nc_x_reshape(&s->e, f2(s, NC_OP_Equal, t, label), 2, dim);
	dim[1] = 1;
	label = nc_x_scalar(&s->e, NC_OP_Greater, nc_x_reshape(&s->e, s->weights, 2, dim), 0);
	t = nc_x_cast(&s->e, f2(s, NC_OP_And, t, label), NPU_GRAPH_F32);
	t = nc_x_reshape(&s->e, nc_x_reduce(&s->e, NC_OP_ReduceSum, t, 3), 1, &one);
	add_output(s, "train.correct", t);
}

/* ---- the step ---- */

/* Gradients of the loss in all parameters, as one vector and each by itself. */
static uint32_t add_gradients(struct train *s, uint32_t *each)
{
	struct npu_graph *g = s->e.g;
	struct nc_node *n = nc_node_new(g, nc_op_get(NC_OP_Gradient), "gradient", g->params + 1,
					g->params);

	for (uint32_t i = 0; n && i < g->params; i++) {
		int64_t t = nc_graph_tensor(g, NULL);

		n->in[i + 1] = g->param[i];
		n->out[i] = t < 0 ? NC_NONE : (uint32_t)t;
	}
	if (!n || g->err)
		return NC_NONE;
	n->in[0] = s->loss;
	if (nc_graph_node(g, n))
		return NC_NONE;
	for (uint32_t i = 0; i < g->params; i++) {
		int64_t elems = (int64_t)g->tensor[g->param[i]]->elems;

		each[i] = nc_x_reshape(&s->e, n->out[i], 1, &elems);
	}
	return nc_x_concat(&s->e, 0, g->params, each);
}

/* Statistics that layers keep are updated by these, not by the optimizer. */
static uint32_t with_fixed(struct train *s, uint32_t param)
{
	struct npu_graph *g = s->e.g;
	uint32_t *part = nc_x_alloc(&s->e, g->params, sizeof(*part));
	bool any = false;
	int64_t at = 0;

	for (uint32_t i = 0; part && i < g->params; i++) {
		int64_t elems = (int64_t)g->tensor[g->param[i]]->elems;

		any |= s->fixed[i] != NC_NONE;
		if (s->fixed[i] != NC_NONE)
			part[i] = nc_x_reshape(&s->e, s->fixed[i], 1, &elems);
		else
			part[i] = nc_x_slice(&s->e, param, 0, at, at + elems, 1);
		at += elems;
	}
	return any ? nc_x_concat(&s->e, 0, g->params, part) : param;
}

static void add_step(struct train *s)
{
	struct npu_graph *g = s->e.g;
	uint32_t *each = nc_x_alloc(&s->e, g->params, sizeof(*each)), norms;

	if (!each || set_part(s, "gradient"))
		return;
	s->u.gradient = add_gradients(s, each);
	for (uint32_t i = 0; s->step->gradient_norms && i < g->params; i++)
		each[i] = nc_x_reduce(&s->e, NC_OP_ReduceL2, each[i], 1);
	norms = s->step->gradient_norms ? nc_x_concat(&s->e, 0, g->params, each) : NC_NONE;
	if (set_part(s, "optimizer"))
		return;
	nc_train_update(&s->e, s->step, &s->u);
	add_output(s, "train.params", with_fixed(s, s->u.param));
	for (int i = 0; i < npu_optimizer_slots(s->step->optimizer); i++)
		add_output(s, i ? "train.slot2" : "train.slot1", s->u.slot[i]);
	if (s->step->gradient_norms)
		add_output(s, "train.norms", norms);
}

static int check(const struct npu_graph *g, const struct npu_step *step, struct nc_diag *diag)
{
	if ((unsigned int)step->loss >= NPU_LOSSES || (unsigned int)step->optimizer >= NPU_OPTIMIZERS)
		return nc_error(diag, -EINVAL, "there is no loss %d, or no optimizer %d", step->loss,
				step->optimizer);
	if (!g->outputs)
		return nc_error(diag, -EINVAL, "graph \"%s\" has no output to be trained", g->name);
	if (!g->params)
		return nc_error(diag, -EINVAL,
				"graph \"%s\" has no parameters; all of its constants are frozen, or none is of floats",
				g->name);
	return 0;
}

int nc_train(struct npu_graph *g, const struct npu_step *step)
{
	struct train s = { .step = step, .params = (int64_t)npu_graph_param_elems(g) };
	struct nc_node **list;
	uint32_t count;
	int ret = check(g, step, &g->diag);

	if (ret)
		return ret;
	s.e.g = g;
	if (set_part(&s, "parameters"))
		return g->err;
	s.fixed = nc_x_alloc(&s.e, g->params, sizeof(*s.fixed));
	if (!s.fixed)
		return -ENOMEM;
	memset(s.fixed, 0xff, g->params * sizeof(*s.fixed));
	s.prediction = g->output[0].tensor;
	ret = add_inputs(&s);
	if (ret)
		return ret;
	list = nc_graph_take(g, &count);
	ret = place_params(&s);
	ret = ret ? ret : append_nodes(&s, list, count);
	if (ret)
		return ret;
	g->output = NULL;
	g->outputs = g->output_room = 0;
	if (set_part(&s, "loss"))
		return g->err;
	add_loss(&s);
	if (step->loss != NPU_LOSS_MSE)
		add_correct(&s);
	if (step->train)
		add_step(&s);
	else
		add_output(&s, "train.prediction", s.prediction);
	return g->err;
}
