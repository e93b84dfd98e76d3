/* SPDX-License-Identifier: MIT */
/* ONNX models by hand. */
#include "onnx_build.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void *ob_alloc(struct ob *b, size_t bytes)
{
	void *p = calloc(1, bytes ? bytes : 1);

	assert(p && b->used < sizeof(b->heap) / sizeof(*b->heap));
	b->heap[b->used++] = p;
	return p;
}

static char *copy(struct ob *b, const char *s)
{
	return strcpy(ob_alloc(b, strlen(s) + 1), s);
}

void ob_begin(struct ob *b, int64_t opset)
{
	memset(b, 0, sizeof(*b));
	onnx__model_proto__init(&b->model);
	onnx__graph_proto__init(&b->graph);
	onnx__operator_set_id_proto__init(&b->opset);
	b->opset.has_version = 1;
	b->opset.version = opset;
	b->opsets[0] = &b->opset;
	b->model.n_opset_import = 1;
	b->model.opset_import = b->opsets;
	b->model.graph = &b->graph;
	b->model.has_ir_version = 1;
	b->model.ir_version = 8;
	b->graph.node = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.input = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.output = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.initializer = ob_alloc(b, OB_MAX * sizeof(void *));
}

void ob_end(struct ob *b)
{
	while (b->used)
		free(b->heap[--b->used]);
}

static char **names(struct ob *b, const char *list, size_t *count)
{
	char **name = ob_alloc(b, OB_MAX * sizeof(*name));
	char *text = copy(b, list), *save = NULL;

	*count = 0;
	for (char *s = strtok_r(text, " ", &save); s; s = strtok_r(NULL, " ", &save))
		name[(*count)++] = strcmp(s, "-") ? s : s + 1;
	return name;
}

Onnx__NodeProto *ob_node(struct ob *b, const char *op, const char *in, const char *out)
{
	Onnx__NodeProto *n = ob_alloc(b, sizeof(*n));

	onnx__node_proto__init(n);
	n->op_type = copy(b, op);
	n->input = names(b, in, &n->n_input);
	n->output = names(b, out, &n->n_output);
	n->attribute = ob_alloc(b, OB_MAX * sizeof(void *));
	b->graph.node[b->graph.n_node++] = n;
	return n;
}

Onnx__AttributeProto *ob_attr(struct ob *b, Onnx__NodeProto *n, const char *name)
{
	Onnx__AttributeProto *a = ob_alloc(b, sizeof(*a));

	onnx__attribute_proto__init(a);
	a->name = copy(b, name);
	n->attribute[n->n_attribute++] = a;
	return a;
}

void ob_int(struct ob *b, Onnx__NodeProto *n, const char *name, int64_t value)
{
	Onnx__AttributeProto *a = ob_attr(b, n, name);

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
	a->has_i = 1;
	a->i = value;
}

void ob_float(struct ob *b, Onnx__NodeProto *n, const char *name, float value)
{
	Onnx__AttributeProto *a = ob_attr(b, n, name);

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
	a->has_f = 1;
	a->f = value;
}

void ob_string(struct ob *b, Onnx__NodeProto *n, const char *name, const char *value)
{
	Onnx__AttributeProto *a = ob_attr(b, n, name);

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
	a->has_s = 1;
	a->s.len = strlen(value);
	a->s.data = (uint8_t *)copy(b, value);
}

void ob_ints(struct ob *b, Onnx__NodeProto *n, const char *name, size_t count,
	     const int64_t *value)
{
	Onnx__AttributeProto *a = ob_attr(b, n, name);

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
	a->n_ints = count;
	a->ints = memcpy(ob_alloc(b, count * sizeof(*value)), value, count * sizeof(*value));
}

Onnx__ValueInfoProto *ob_input(struct ob *b, const char *name, int type, size_t rank,
			       const int64_t *dim)
{
	Onnx__ValueInfoProto *v = ob_alloc(b, sizeof(*v));
	Onnx__TypeProto *t = ob_alloc(b, sizeof(*t));
	Onnx__TypeProto__Tensor *tensor = ob_alloc(b, sizeof(*tensor));
	Onnx__TensorShapeProto *shape = ob_alloc(b, sizeof(*shape));

	onnx__value_info_proto__init(v);
	onnx__type_proto__init(t);
	onnx__type_proto__tensor__init(tensor);
	onnx__tensor_shape_proto__init(shape);
	v->name = copy(b, name);
	v->type = t;
	t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	t->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = type;
	tensor->shape = shape;
	shape->n_dim = rank;
	shape->dim = ob_alloc(b, rank * sizeof(void *));
	for (size_t i = 0; i < rank; i++) {
		Onnx__TensorShapeProto__Dimension *d = ob_alloc(b, sizeof(*d));
		const char letter[] = { (char)('a' - 1 - dim[i]), 0 };

		onnx__tensor_shape_proto__dimension__init(d);
		d->value_case = dim[i] < 0 ?
			ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM :
			ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		if (dim[i] < 0)
			d->dim_param = copy(b, letter);
		else
			d->dim_value = dim[i];
		shape->dim[i] = d;
	}
	b->graph.input[b->graph.n_input++] = v;
	return v;
}

Onnx__ValueInfoProto *ob_output(struct ob *b, const char *name)
{
	Onnx__ValueInfoProto *v = ob_alloc(b, sizeof(*v));

	onnx__value_info_proto__init(v);
	v->name = copy(b, name);
	b->graph.output[b->graph.n_output++] = v;
	return v;
}

Onnx__TensorProto *ob_tensor(struct ob *b, const char *name, int type, size_t rank,
			     const int64_t *dim, const void *data, size_t bytes)
{
	Onnx__TensorProto *t = ob_alloc(b, sizeof(*t));

	onnx__tensor_proto__init(t);
	t->name = copy(b, name);
	t->n_dims = rank;
	t->dims = ob_alloc(b, rank * sizeof(*dim));
	if (rank)
		memcpy(t->dims, dim, rank * sizeof(*dim));
	t->has_data_type = 1;
	t->data_type = type;
	t->has_raw_data = 1;
	t->raw_data.len = bytes;
	t->raw_data.data = memcpy(ob_alloc(b, bytes), data, bytes);
	return t;
}

Onnx__TensorProto *ob_initializer(struct ob *b, const char *name, int type, size_t rank,
				  const int64_t *dim, const void *data, size_t bytes)
{
	Onnx__TensorProto *t = ob_tensor(b, name, type, rank, dim, data, bytes);

	b->graph.initializer[b->graph.n_initializer++] = t;
	return t;
}

const uint8_t *ob_pack(struct ob *b, size_t *bytes)
{
	uint8_t *data;

	*bytes = onnx__model_proto__get_packed_size(&b->model);
	data = ob_alloc(b, *bytes);
	onnx__model_proto__pack(&b->model, data);
	return data;
}
