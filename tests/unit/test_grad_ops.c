/* SPDX-License-Identifier: MIT */
/*
 * Gradients of single operators, run in kernel IR, against central differences of the
 * oracle's float64. A case is text: the operator, its attributes, its inputs.
 *
 * Attribute: "name=1", "name=1,2", "name=0.5", "name=text". Input: "3,4@-1:2" floats of
 * that shape in that range, "=1,2" an int64 constant, "?1,0" a bool one, "-" none. "outputs=3" is the number of
 * outputs that y is made of.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "ev.h"
#include "ref_test.h"

#define INPUTS		8
#define OUTPUTS		3
#define ATTRS		8
#define TEXT		64
/* Of the largest element of the gradient. */
#define TOLERANCE	1e-4

struct grad_case {
	const char *op;
	const char *attrs;
	const char *in[INPUTS];
};

static const struct grad_case cases[] = {
	{ "Abs", "", { "3,5@-2:2" } },
	{ "Acos", "", { "3,5@-0.8:0.8" } },
	{ "Acosh", "", { "3,5@1.2:3" } },
	{ "Asin", "", { "3,5@-0.8:0.8" } },
	{ "Asinh", "", { "3,5@-2:2" } },
	{ "Atan", "", { "3,5@-2:2" } },
	{ "Atanh", "", { "3,5@-0.8:0.8" } },
	{ "Ceil", "", { "3,5@-2:2" } },
	{ "Celu", "alpha=0.7", { "3,5@-2:2" } },
	{ "Cos", "", { "3,5@-2:2" } },
	{ "Cosh", "", { "3,5@-2:2" } },
	{ "Elu", "alpha=1.5", { "3,5@-2:2" } },
	{ "Erf", "", { "3,5@-2:2" } },
	{ "Exp", "", { "3,5@-2:2" } },
	{ "Floor", "", { "3,5@-2:2" } },
	{ "Gelu", "", { "3,5@-2:2" } },
	{ "Gelu", "approximate=tanh", { "3,5@-2:2" } },
	{ "HardSigmoid", "alpha=0.25 beta=0.4", { "3,5@-4:4" } },
	{ "HardSwish", "", { "3,5@-5:5" } },
	{ "LeakyRelu", "alpha=0.1", { "3,5@-2:2" } },
	{ "Log", "", { "3,5@0.5:2" } },
	{ "Mish", "", { "3,5@-2:2" } },
	{ "Neg", "", { "3,5@-2:2" } },
	{ "Reciprocal", "", { "3,5@0.5:2" } },
	{ "Relu", "", { "3,5@-2:2" } },
	{ "Round", "", { "3,5@-2:2" } },
	{ "Selu", "", { "3,5@-2:2" } },
	{ "Shrink", "lambd=0.8 bias=0.3", { "3,5@-2:2" } },
	{ "Sigmoid", "", { "3,5@-2:2" } },
	{ "Sign", "", { "3,5@-2:2" } },
	{ "Sin", "", { "3,5@-2:2" } },
	{ "Sinh", "", { "3,5@-2:2" } },
	{ "Softplus", "", { "3,5@-2:2" } },
	{ "Softsign", "", { "3,5@-2:2" } },
	{ "Sqrt", "", { "3,5@0.5:2" } },
	{ "Swish", "alpha=1.3", { "3,5@-2:2" } },
	{ "Tan", "", { "3,5@-1:1" } },
	{ "Tanh", "", { "3,5@-2:2" } },
	{ "ThresholdedRelu", "alpha=0.5", { "3,5@-2:2" } },
	{ "Clip", "", { "3,5@-2:2", "@-1:-0.9", "@0.9:1" } },

	{ "Add", "", { "3,5@-2:2", "3,5@-2:2" } },
	{ "Add", "", { "2,3,5@-2:2", "3,1@-2:2" } },
	{ "Sub", "", { "3,5@-2:2", "1,5@-2:2" } },
	{ "Sub", "", { "5@-2:2", "2,3,5@-2:2" } },
	{ "Mul", "", { "3,1@-2:2", "1,5@-2:2" } },
	{ "Div", "", { "3,5@-2:2", "3,5@0.5:2" } },
	{ "Div", "", { "5@-2:2", "3,1@0.5:2" } },
	{ "Pow", "", { "3,5@0.5:2", "3,5@-2:2" } },
	{ "Pow", "", { "3,5@0.5:2", "@1.5:3" } },
	{ "PRelu", "", { "2,3,5@-2:2", "3,1@-1:1" } },
	{ "Max", "", { "3,5@-2:2", "5@-2:2", "3,1@-2:2" } },
	{ "Min", "", { "3,5@-2:2", "3,5@-2:2" } },
	{ "Sum", "", { "3,5@-2:2", "5@-2:2", "3,1@-2:2" } },
	{ "Mean", "", { "3,5@-2:2", "5@-2:2", "3,1@-2:2" } },

	{ "Where", "", { "?1,0,0,1,1", "3,5@-2:2", "5@-2:2" } },
	{ "Where", "", { "?0,1", "@-2:2", "3,2@-2:2" } },

	{ "Identity", "", { "3,5@-2:2" } },
	{ "Reshape", "", { "3,4@-2:2", "=2,6" } },
	{ "Flatten", "", { "2,3,4@-2:2" } },
	{ "Squeeze", "", { "3,1,4@-2:2", "=1" } },
	{ "Unsqueeze", "", { "3,4@-2:2", "=0,3" } },
	{ "Transpose", "perm=2,0,1", { "2,3,4@-2:2" } },
	{ "Slice", "", { "5,7@-2:2", "=1,2", "=4,6" } },
	{ "Slice", "", { "9,8@-2:2", "=7,1", "=0,7", "=0,1" } },
	{ "Expand", "", { "3,1@-2:2", "=2,3,4" } },
	{ "Split", "axis=1 num_outputs=2 outputs=2", { "3,6@-2:2" } },
	{ "Split", "outputs=3", { "7,2@-2:2", "=2,4,1" } },
	{ "Concat", "axis=1", { "2,3@-2:2", "2,1@-2:2", "2,4@-2:2" } },
	{ "Pad", "", { "3,4@-2:2", "=1,0,2,3" } },
	{ "Pad", "", { "5,4@-2:2", "=1,-1,-2,3" } },
	{ "Pad", "mode=reflect", { "5,4@-2:2", "=2,1,1,2" } },
	{ "Tile", "", { "2,3@-2:2", "=2,3" } },
	{ "DepthToSpace", "blocksize=2", { "1,8,2,3@-2:2" } },
	{ "SpaceToDepth", "blocksize=2", { "1,2,4,6@-2:2" } },
	{ "Gather", "", { "5,4@-2:2", "=3,0,3,-1" } },
	{ "Gather", "axis=1", { "3,6@-2:2", "=5,5,2" } },
	{ "ScatterElements", "", { "6@-2:2", "=4,1", "2@-2:2" } },
	{ "ScatterElements", "reduction=add", { "6@-2:2", "=4,1,4", "3@-2:2" } },
	{ "CumSum", "", { "3,6@-2:2", "=1" } },
	{ "Trilu", "upper=0", { "5,5@-2:2" } },

	{ "Softmax", "", { "3,7@-2:2" } },
	{ "Softmax", "axis=1", { "3,7,2@-2:2" } },
	{ "LogSoftmax", "", { "3,7@-2:2" } },
	{ "ReduceSum", "", { "3,4,5@-2:2", "=1" } },
	{ "ReduceSum", "keepdims=0", { "3,4,5@-2:2", "=0,2" } },
	{ "ReduceMean", "keepdims=0", { "3,4,5@-2:2", "=1,2" } },
	{ "ReduceMax", "", { "3,4,5@-2:2", "=2" } },
	{ "ReduceMin", "", { "3,4,5@-2:2", "=0,1,2" } },
	{ "ReduceProd", "keepdims=0", { "3,4@-2:2", "=1" } },
	{ "ReduceL1", "", { "3,4,5@-2:2", "=1" } },
	{ "ReduceL2", "", { "3,4,5@-2:2", "=1" } },
	{ "ReduceSumSquare", "", { "3,4,5@-2:2", "=2" } },
	{ "ReduceLogSum", "", { "3,4,5@0.5:2", "=2" } },
	{ "ReduceLogSumExp", "", { "3,4,5@-2:2", "=1" } },

	{ "MatMul", "", { "3,4@-2:2", "4,5@-2:2" } },
	{ "MatMul", "", { "2,3,4@-2:2", "4,5@-2:2" } },
	{ "MatMul", "", { "2,3,4@-2:2", "2,4,5@-2:2" } },
	{ "MatMul", "", { "2,1,3,4@-2:2", "5,4,2@-2:2" } },
	{ "MatMul", "", { "4@-2:2", "4,5@-2:2" } },
	{ "MatMul", "", { "2,3,4@-2:2", "4@-2:2" } },
	{ "MatMul", "", { "4@-2:2", "4@-2:2" } },
	{ "MatMul", "", { "4@-2:2", "2,4,3@-2:2" } },
	{ "Gemm", "", { "3,4@-2:2", "4,5@-2:2", "5@-2:2" } },
	{ "Gemm", "transA=1 transB=1 alpha=0.5 beta=2.0", { "4,3@-2:2", "5,4@-2:2", "3,1@-2:2" } },

	{ "Conv", "", { "2,3,7,6@-2:2", "4,3,3,2@-1:1", "4@-1:1" } },
	{ "Conv", "group=2 strides=2,1 pads=1,0,1,2", { "2,4,9,8@-2:2", "6,2,3,3@-1:1" } },
	{ "Conv", "group=4 dilations=2,1", { "1,4,9,8@-2:2", "4,1,3,3@-1:1" } },
	{ "Conv", "strides=3 auto_pad=SAME_UPPER", { "2,3,8@-2:2", "4,3,3@-1:1", "4@-1:1" } },
	{ "Conv", "strides=2,1,1", { "1,2,4,5,4@-2:2", "3,2,2,3,2@-1:1" } },
	{ "ConvTranspose", "", { "2,3,4,5@-2:2", "3,4,3,2@-1:1", "4@-1:1" } },
	{ "ConvTranspose", "group=2 strides=2,3 pads=1,0,1,1 output_padding=1,2", { "1,4,4,5@-2:2", "4,2,3,3@-1:1" } },
	{ "MaxPool", "kernel_shape=2,2 strides=2,2", { "2,3,6,6@-2:2" } },
	{ "MaxPool", "kernel_shape=3,2 pads=1,1,1,0", { "1,2,7,8@-2:2" } },
	{ "MaxPool", "kernel_shape=3 strides=2 ceil_mode=1", { "1,2,9@-2:2" } },
	{ "AveragePool", "kernel_shape=2,2 strides=2,2", { "2,3,6,6@-2:2" } },
	{ "AveragePool", "kernel_shape=3,3 pads=1,1,1,1 strides=2,2", { "1,2,7,8@-2:2" } },
	{ "AveragePool", "kernel_shape=3,3 pads=1,1,1,1 count_include_pad=1", { "1,2,7,8@-2:2" } },
	{ "AveragePool", "kernel_shape=3 strides=3 ceil_mode=1", { "1,2,8@-2:2" } },
	{ "LpPool", "kernel_shape=2,2 p=3", { "1,2,6,6@0.5:2" } },
	{ "GlobalAveragePool", "", { "2,3,4,5@-2:2" } },
	{ "GlobalMaxPool", "", { "2,3,4,5@-2:2" } },

	{ "LayerNormalization", "", { "4,9@-2:2", "9@-1:1", "9@-1:1" } },
	{ "RMSNormalization", "", { "4,9@-2:2", "9@-1:1" } },
	{ "GroupNormalization", "num_groups=3", { "2,6,5@-2:2", "6@-1:1", "6@-1:1" } },
	{ "InstanceNormalization", "", { "2,3,9@-2:2", "3@-1:1", "3@-1:1" } },
	{ "LpNormalization", "", { "3,6@-2:2" } },
	{ "LRN", "size=3", { "1,7,3,3@-2:2" } },
	{ "Einsum", "equation=ij,jk->ki", { "3,4@-2:2", "4,5@-2:2" } },
	{ "LSTM", "hidden_size=5", { "3,2,4@-1:1", "1,20,4@-1:1", "1,20,5@-1:1", "1,40@-1:1" } },
	{ "LSTM", "hidden_size=3 direction=bidirectional",
	  { "4,2,2@-1:1", "2,12,2@-1:1", "2,12,3@-1:1", "2,24@-1:1", "-", "2,2,3@-1:1",
	    "2,2,3@-1:1" } },
	{ "LSTM", "hidden_size=3 direction=reverse layout=1",
	  { "2,4,3@-1:1", "1,12,3@-1:1", "1,12,3@-1:1", "-", "-", "2,1,3@-1:1", "2,1,3@-1:1" } },
	{ "LSTM", "hidden_size=3 direction=bidirectional outputs=3",
	  { "3,2,2@-1:1", "2,12,2@-1:1", "2,12,3@-1:1", "2,24@-1:1" } },
	{ "LSTM", "hidden_size=3 layout=1 outputs=3",
	  { "2,4,3@-1:1", "1,12,3@-1:1", "1,12,3@-1:1", "-", "-", "2,1,3@-1:1", "2,1,3@-1:1" } },
	{ "LSTM", "hidden_size=3 activations=HardSigmoid,Relu,Softsign",
	  { "3,2,2@-1:1", "1,12,2@-1:1", "1,12,3@-1:1", "1,24@-1:1" } },
	{ "LSTM", "hidden_size=2 activations=Affine,ScaledTanh,LeakyRelu "
		  "activation_alpha=0.4,1.2,0.1 activation_beta=0.3,0.8",
	  { "3,2,2@-1:1", "1,8,2@-1:1", "1,8,2@-1:1" } },
	{ "RNN", "hidden_size=2 activations=Elu activation_alpha=0.6",
	  { "3,2,2@-1:1", "1,2,2@-1:1", "1,2,2@-1:1" } },
	{ "LSTM", "hidden_size=2", { "1,3,2@-1:1", "1,8,2@-1:1", "1,8,2@-1:1" } },
	{ "GRU", "hidden_size=5", { "3,2,4@-1:1", "1,15,4@-1:1", "1,15,5@-1:1", "1,30@-1:1" } },
	{ "GRU", "hidden_size=3 linear_before_reset=1 direction=bidirectional outputs=2",
	  { "3,2,4@-1:1", "2,9,4@-1:1", "2,9,3@-1:1", "2,18@-1:1" } },
	{ "RNN", "hidden_size=5", { "4,2,3@-1:1", "1,5,3@-1:1", "1,5,5@-1:1", "1,10@-1:1" } },
	{ "Resize", "mode=linear", { "1,2,3,4@-2:2", "-", "-", "=1,2,6,8" } },
};

/**
 * struct input - an input of a case
 * @is: there is one
 * @diff: it is float, with a gradient
 * @truth: it is bool
 * @t: its values
 * @ev: the same for the oracle
 */
struct input {
	bool is, diff, truth;
	struct ref_tensor t;
	struct ev_value ev;
};

static unsigned int numbers(const char *text, double *value, unsigned int max)
{
	unsigned int n = 0;
	char *end;

	for (; *text && *text != '@' && n < max; text = *end == ',' ? end + 1 : end) {
		value[n++] = strtod(text, &end);
		if (end == text)
			fail_msg("cannot read \"%s\"", text);
	}
	return n;
}

static struct input make_input(const char *text)
{
	struct input x = { .is = text && *text != '-' };
	double list[REF_MAX_RANK] = { 0 };
	int64_t dims[REF_MAX_RANK];
	unsigned int n;

	if (!x.is)
		return x;
	x.truth = *text == '?';
	n = numbers(text + (*text == '=' || x.truth), list, REF_MAX_RANK);
	for (unsigned int i = 0; i < n; i++)
		dims[i] = (int64_t)list[i];
	if (*text == '=' || x.truth) {
		assert_int_equal(ev_alloc(&x.ev, x.truth ? EV_BOOL : EV_I64, 1,
					  (const int64_t[]){ n }), 0);
		memcpy(x.ev.v, list, n * sizeof(*list));
		return x;
	}
	x.diff = true;
	text = strchr(text, '@') + 1;
	x.t = net_values((int)n, dims, strtof(text, NULL), strtof(strchr(text, ':') + 1, NULL));
	assert_int_equal(ev_alloc(&x.ev, EV_F32, (int)n, dims), 0);
	for (int64_t i = 0; i < x.ev.elems; i++)
		x.ev.v[i] = x.t.data[i];
	return x;
}

/**
 * struct attrs - attributes for the oracle
 * @node: refers to the rest
 */
struct attrs {
	Onnx__NodeProto node;
	Onnx__AttributeProto attr[ATTRS], *list[ATTRS];
	char name[ATTRS][TEXT], value[ATTRS][TEXT];
	int64_t ints[ATTRS][8];
	float floats[ATTRS][8];
	ProtobufCBinaryData strings[ATTRS][8];
	const char *words[ATTRS][8];
};

/* "Relu,Tanh" as strings; the commas go. */
static void read_words(struct attrs *a, size_t i)
{
	Onnx__AttributeProto *p = &a->attr[i];

	p->strings = a->strings[i];
	for (char *word = strtok(a->value[i], ","); word; word = strtok(NULL, ",")) {
		a->words[i][p->n_strings] = word;
		p->strings[p->n_strings++] = (ProtobufCBinaryData){ strlen(word), (uint8_t *)word };
	}
}

static void read_attr(struct attrs *a, size_t i, const struct nc_op *op)
{
	Onnx__AttributeProto *p = &a->attr[i];
	const struct nc_attr *row = op->attr;
	double list[8];

	for (; row->name && strcmp(row->name, a->name[i]); row++)
		;
	if (!row->name)
		fail_msg("%s has no attribute %s", op->name, a->name[i]);
	onnx__attribute_proto__init(p);
	p->name = a->name[i];
	p->has_type = true;
	switch (row->type) {
	case NC_ATTR_INT:
		p->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
		p->has_i = true;
		p->i = atoll(a->value[i]);
		return;
	case NC_ATTR_FLOAT:
		p->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
		p->has_f = true;
		p->f = strtof(a->value[i], NULL);
		return;
	case NC_ATTR_STRING:
		p->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
		p->has_s = true;
		p->s = (ProtobufCBinaryData){ strlen(a->value[i]), (uint8_t *)a->value[i] };
		return;
	case NC_ATTR_STRINGS:
		p->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
		read_words(a, i);
		return;
	case NC_ATTR_FLOATS:
		p->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
		p->n_floats = numbers(a->value[i], list, 8);
		p->floats = a->floats[i];
		for (size_t k = 0; k < p->n_floats; k++)
			p->floats[k] = (float)list[k];
		return;
	default:
		p->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
		p->n_ints = numbers(a->value[i], list, 8);
		p->ints = a->ints[i];
		for (size_t k = 0; k < p->n_ints; k++)
			p->ints[k] = (int64_t)list[k];
	}
}

static void read_attrs(struct attrs *a, const struct grad_case *c, const struct nc_op *op,
		       unsigned int *outs)
{
	const char *at = c->attrs;
	int used;

	memset(a, 0, sizeof(*a));
	onnx__node_proto__init(&a->node);
	a->node.op_type = (char *)(uintptr_t)c->op;
	a->node.attribute = a->list;
	for (; sscanf(at, " %63[^=]=%63s%n", a->name[a->node.n_attribute],
		      a->value[a->node.n_attribute], &used) == 2; at += used) {
		size_t i = a->node.n_attribute;

		if (!strcmp(a->name[i], "outputs")) {
			*outs = (unsigned int)atoi(a->value[i]);
			continue;
		}
		a->node.n_attribute++;
		a->list[i] = &a->attr[i];
		read_attr(a, i, op);
	}
}

static void set_attrs(struct net *net, struct nc_node *n, const struct attrs *a)
{
	for (size_t i = 0; i < a->node.n_attribute; i++) {
		const Onnx__AttributeProto *p = &a->attr[i];

		if (p->has_i)
			nc_attr_set_int(net->g, n, p->name, p->i);
		else if (p->has_f)
			nc_attr_set_float(net->g, n, p->name, p->f);
		else if (p->has_s)
			nc_attr_set_string(net->g, n, p->name, a->value[i]);
		else if (p->n_strings)
			nc_attr_set(net->g, n, &(struct nc_attr){
				.name = p->name, .type = NC_ATTR_STRINGS,
				.count = (uint32_t)p->n_strings, .strings = a->words[i] });
		else if (p->n_floats)
			nc_attr_set(net->g, n, &(struct nc_attr){
				.name = p->name, .type = NC_ATTR_FLOATS,
				.count = (uint32_t)p->n_floats, .floats = p->floats });
		else
			nc_attr_set_ints(net->g, n, p->name, p->ints, (uint32_t)p->n_ints);
	}
}

/**
 * struct weights - what y is made of: outputs times these
 * @outs: how many
 * @t: of each
 */
struct weights {
	unsigned int outs;
	struct ref_tensor t[OUTPUTS];
};

/* The oracle's sum of the outputs times @w; without, @w gets random ones. */
static double weighted_sum(const struct attrs *a, const struct input *x, struct weights *w)
{
	struct ev_call call = { .node = &a->node, .opset = 25, .outs = w->outs };
	double sum = 0;

	for (unsigned int i = 0; i < INPUTS; i++) {
		if (!x[i].is)
			continue;
		call.in[i] = &x[i].ev;
		call.ins = i + 1;
	}
	if (ev_call_run(&call, NULL))
		fail_msg("oracle: %s: %s", a->node.op_type, call.why);
	for (unsigned int o = 0; o < w->outs; o++) {
		if (!w->t[o].data)
			w->t[o] = net_values(call.out[o].rank, call.out[o].dims, -1, 1);
		for (int64_t i = 0; i < call.out[o].elems; i++)
			sum += (double)w->t[o].data[i] * call.out[o].v[i];
	}
	ev_call_free(&call);
	return sum;
}

/* Central differences in float64. */
static struct ref_tensor differences(const struct attrs *a, struct input *x, unsigned int which,
				     struct weights *w)
{
	struct ev_value *v = &x[which].ev;
	struct ref_tensor r;

	assert_int_equal(ref_tensor_alloc(&r, v->rank, v->dims), 0);
	for (int64_t i = 0; i < v->elems; i++) {
		double old = v->v[i], h = 1e-6 * fmax(1, fabs(old)), up;

		v->v[i] = old + h;
		up = weighted_sum(a, x, w);
		v->v[i] = old - h;
		r.data[i] = (float)((up - weighted_sum(a, x, w)) / (2 * h));
		v->v[i] = old;
	}
	return r;
}

static void expect_close(const struct ref_tensor *got, const struct ref_tensor *want,
			 const struct grad_case *c, unsigned int input)
{
	double largest = 1e-3;

	assert_int_equal(ref_tensor_elems(got), ref_tensor_elems(want));
	for (int64_t i = 0; i < ref_tensor_elems(want); i++)
		largest = fmax(largest, fabs((double)want->data[i]));
	for (int64_t i = 0; i < ref_tensor_elems(want); i++)
		if (!(fabs((double)got->data[i] - (double)want->data[i]) <= TOLERANCE * largest))
			fail_msg("%s %s (%s): gradient of input %u, element %lld is %g, not %g",
				 c->op, c->attrs, c->in[0], input, (long long)i,
				 (double)got->data[i], (double)want->data[i]);
}

/* y times random weights, and its gradients as outputs. */
static void build(struct net *net, const struct grad_case *c, const struct attrs *a,
		  struct input *x, const struct weights *w)
{
	int in[INPUTS], diff[INPUTS], dx[INPUTS], y = 0;
	unsigned int ins = 0, diffs = 0;
	struct nc_node *n;

	net_begin(net);
	for (unsigned int i = 0; i < INPUTS; i++) {
		int64_t ints[8];
		uint8_t truth[8];

		in[i] = NPU_TENSOR_NONE;
		if (!x[i].is)
			continue;
		ins = i + 1;
		for (int64_t k = 0; !x[i].diff && k < x[i].ev.elems; k++) {
			ints[k] = (int64_t)x[i].ev.v[k];
			truth[k] = ints[k] != 0;
		}
		if (x[i].truth)
			in[i] = npu_graph_const(net->g, NULL, NPU_GRAPH_BOOL, 1, &x[i].ev.elems,
						truth);
		else
			in[i] = x[i].diff ? net_input(net, &x[i].t) :
					    net_ints(net, ints, x[i].ev.elems);
		if (x[i].diff)
			diff[diffs++] = in[i];
	}
	n = net_node(net, c->op, ins, in, w->outs);
	set_attrs(net, n, a);
	net_add(net, n);
	for (unsigned int o = 0; o < w->outs; o++) {
		int part = npu_graph_binary(net->g, NPU_BINARY_MUL, net_out(n, o),
					    net_const(net, &w->t[o]));

		part = npu_graph_reduce(net->g, NPU_REDUCE_SUM, part, 0, NULL, false);
		y = o ? npu_graph_binary(net->g, NPU_BINARY_ADD, y, part) : part;
	}
	if (npu_graph_gradients(net->g, y, diffs, diff, dx))
		fail_msg("%s: %s", c->op, npu_graph_error(net->g));
	for (unsigned int i = 0; i < diffs; i++)
		net_output(net, dx[i]);
}

static void check(const struct grad_case *c)
{
	const struct nc_op *op = nc_op_find(c->op);
	struct weights w = { .outs = 1 };
	struct ref_tensor want, got;
	struct input x[INPUTS];
	struct attrs a;
	struct net net;
	unsigned int index = 0;

	assert_non_null(op);
	read_attrs(&a, c, op, &w.outs);
	for (unsigned int i = 0; i < INPUTS; i++)
		x[i] = make_input(c->in[i]);
	weighted_sum(&a, x, &w);
	build(&net, c, &a, x, &w);
	net_run(&net);
	for (unsigned int i = 0; i < INPUTS; i++) {
		if (!x[i].diff)
			continue;
		want = differences(&a, x, i, &w);
		got = net_result(&net, index++);
		expect_close(&got, &want, c, i);
		ref_tensor_free(&want);
		ref_tensor_free(&got);
	}
	for (unsigned int i = 0; i < INPUTS; i++) {
		ref_tensor_free(&x[i].t);
		ev_free(&x[i].ev);
	}
	for (unsigned int o = 0; o < w.outs; o++)
		ref_tensor_free(&w.t[o]);
	net_end(&net);
}

static void test_operators(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (getenv("NPU_TEST_ONLY") && strcmp(getenv("NPU_TEST_ONLY"), cases[i].op))
			continue;
		check(&cases[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operators),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
