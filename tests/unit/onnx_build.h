/* SPDX-License-Identifier: MIT */
/* ONNX models by hand, for tests of the reader: small, and as wrong as wanted. */
#ifndef ONNX_BUILD_H
#define ONNX_BUILD_H

#include "onnx.pb-c.h"

#define OB_MAX	64

/**
 * struct ob - a model in the making
 * @graph: fill in what the functions below do not
 * Everything is on the heap until ob_end().
 */
struct ob {
	Onnx__ModelProto model;
	Onnx__GraphProto graph;
	Onnx__OperatorSetIdProto opset;
	Onnx__OperatorSetIdProto *opsets[1];
	void *heap[4096];
	unsigned int used;
};

void ob_begin(struct ob *b, int64_t opset);
void ob_end(struct ob *b);
/* Zeroed memory until ob_end(). */
void *ob_alloc(struct ob *b, size_t bytes);

/* Names are separated by spaces; "-" is an empty one. */
Onnx__NodeProto *ob_node(struct ob *b, const char *op, const char *in, const char *out);
Onnx__AttributeProto *ob_attr(struct ob *b, Onnx__NodeProto *n, const char *name);
void ob_int(struct ob *b, Onnx__NodeProto *n, const char *name, int64_t value);
void ob_float(struct ob *b, Onnx__NodeProto *n, const char *name, float value);
void ob_string(struct ob *b, Onnx__NodeProto *n, const char *name, const char *value);
void ob_ints(struct ob *b, Onnx__NodeProto *n, const char *name, size_t count,
	     const int64_t *value);
/* Float inputs; a negative dimension is -d'th letter as a name: -1 "a", -2 "b", 0 as it is. */
Onnx__ValueInfoProto *ob_input(struct ob *b, const char *name, int type, size_t rank,
			       const int64_t *dim);
Onnx__ValueInfoProto *ob_output(struct ob *b, const char *name);
/* With raw data that is copied. */
Onnx__TensorProto *ob_tensor(struct ob *b, const char *name, int type, size_t rank,
			     const int64_t *dim, const void *data, size_t bytes);
Onnx__TensorProto *ob_initializer(struct ob *b, const char *name, int type, size_t rank,
				  const int64_t *dim, const void *data, size_t bytes);

/* The packed model; valid until ob_end(). */
const uint8_t *ob_pack(struct ob *b, size_t *bytes);

#endif
