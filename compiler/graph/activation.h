/* SPDX-License-Identifier: MIT */
/* The activations that recurrent operators name in their attributes. */
#ifndef NPU_COMPILER_ACTIVATION_H
#define NPU_COMPILER_ACTIVATION_H

#include "graph.h"

#define NC_ACTIVATIONS_MAX	6	/* two directions of an LSTM */

/**
 * struct nc_activation - an activation as a node of its own operator
 * @n: what its emitter sees
 * @attr: alpha and beta as far as given; ends with a NULL name
 */
struct nc_activation {
	struct nc_node n;
	struct nc_attr attr[3];
};

/*
 * Of recurrent node @n: @per for each of @dirs directions, @standard unless
 * given. -errno with a message.
 */
int nc_activations_get(struct nc_diag *diag, const struct nc_node *n, unsigned int dirs,
		       unsigned int per, const char *const *standard,
		       struct nc_activation *act);

#endif
