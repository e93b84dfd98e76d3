/* SPDX-License-Identifier: MIT */
/*
 * Sets of elements that views reach, and the list of views of an operation.
 * Pure functions; the passes' common arithmetic on offsets and strides.
 */
#ifndef NPU_COMPILER_KIR_VIEW_H
#define NPU_COMPILER_KIR_VIEW_H

#include "kir.h"

#define KIR_ACCESSES_MAX	(NPU_MAP_OPERANDS + 3)

/**
 * struct kir_access - a view as its operation uses it
 * @view: in the operation
 * @name: operand name, static
 * @write: written, else read
 * @in_map: operand of a map or an epilogue
 * @ndim: loop dimensions
 * @dim: trip counts
 */
struct kir_access {
	struct kir_view *view;
	const char *name;
	bool write;
	bool in_map;
	unsigned int ndim;
	uint32_t dim[KIR_DIMS];
};

/* Elements between the first and the last that the limits allow; 0: 2^32 or more. */
uint32_t kir_gather_elems(const struct kir_gather *g);

/* Channels do not mix, and the array has a mode for it. */
bool kir_depthwise(const struct kir_window *w, uint32_t groups);
/* Elements of packed weights, group after group; 0: 2^32 or more. */
uint32_t kir_conv_packed_elems(const struct kir_conv *c);
/* Where the packed weight (k, c, y, x) is; @k counts over all groups, @c in one. */
uint64_t kir_conv_packed_at(const struct kir_conv *conv, uint32_t k, uint32_t c, uint32_t y,
			    uint32_t x);

/* The views of @op that name a tensor; returns their number. */
unsigned int kir_op_accesses(struct kir_op *op, struct kir_access access[KIR_ACCESSES_MAX]);

/* The map of @op: its own, or its epilogue; NULL when it has none. */
struct kir_map *kir_op_map(struct kir_op *op);

/**
 * struct kir_span - a view as a set of elements
 * @lo: smallest element
 * @hi: one past the largest element
 * @elems: number of loop points (of elements, if no two points coincide)
 * @ndim: dimensions left, 0 for a single element
 * @dim: trip counts > 1
 * @stride: positive and descending; neighbours that compose are merged
 */
struct kir_span {
	int64_t lo;
	int64_t hi;
	uint64_t elems;
	unsigned int ndim;
	uint64_t dim[KIR_DIMS];
	int64_t stride[KIR_DIMS];
};

/* 0, or -EOVERFLOW when an element index does not fit. Broadcast dimensions are dropped. */
int kir_span(const struct kir_view *view, unsigned int ndim, const uint32_t *dim,
	     struct kir_span *span);

/* Every element between lo and hi is reached, each once. */
bool kir_span_dense(const struct kir_span *s);
/* No two loop points reach the same element (sufficient test). */
bool kir_span_injective(const struct kir_span *s);
/* No element is in both (sufficient test: apart, or interleaved like slices). */
bool kir_span_disjoint(const struct kir_span *a, const struct kir_span *b);

bool kir_view_equal(const struct kir_view *a, const struct kir_view *b, unsigned int ndim,
		    const uint32_t *dim);

#endif
