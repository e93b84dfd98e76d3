/* SPDX-License-Identifier: MIT */
/* The activations that recurrent operators name in their attributes. */
#include "activation.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool activation_known(enum nc_opcode code)
{
	switch (code) {
	case NC_OP_Relu: case NC_OP_Tanh: case NC_OP_Sigmoid: case NC_OP_Affine:
	case NC_OP_LeakyRelu: case NC_OP_ThresholdedRelu: case NC_OP_ScaledTanh:
	case NC_OP_HardSigmoid: case NC_OP_Elu: case NC_OP_Softsign: case NC_OP_Softplus:
		return true;
	default:
		return false;
	}
}

static const struct nc_op *activation_find(const char *name)
{
	for (int i = 0; i < NC_OPS; i++) {
		const struct nc_op *op = nc_op_get((enum nc_opcode)i);

		if (activation_known(op->code) && !strcasecmp(op->name, name))
			return op;
	}
	return NULL;
}

/* The next of the list's values, if the activation has such a parameter. */
static void take_parameter(struct nc_activation *a, const char *name, const struct nc_attr *list,
			   uint32_t *used)
{
	const struct nc_attr *spec;

	for (spec = a->n.op->attr; spec->name; spec++)
		if (!strcmp(spec->name, name))
			break;
	if (!spec->name || *used >= list->count)
		return;
	a->attr[a->n.attrs++] = (struct nc_attr){
		.name = name, .type = NC_ATTR_FLOAT, .f = list->floats[(*used)++],
	};
}

int nc_activations_get(struct nc_diag *diag, const struct nc_node *n, unsigned int dirs,
		       unsigned int per, const char *const *standard,
		       struct nc_activation *act)
{
	const struct nc_attr *names = nc_attr(n, "activations");
	uint32_t alphas = 0, betas = 0, count = dirs * per;

	if (names->count && names->count != count)
		return nc_node_error(diag, n, -EINVAL, "has %u activations; it needs %u",
				     names->count, count);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = names->count ? names->strings[i] : standard[i % per];
		struct nc_activation *a = &act[i];

		memset(a, 0, sizeof(*a));
		a->n = (struct nc_node){ .op = activation_find(name), .type = n->type,
					 .name = n->name,
					 .number = n->number, .ins = 1, .outs = 1,
					 .attr = a->attr };
		if (!a->n.op)
			return nc_node_error(diag, n, -ENOTSUP, "activation \"%s\" is unknown",
					     name);
		take_parameter(a, "alpha", nc_attr(n, "activation_alpha"), &alphas);
		take_parameter(a, "beta", nc_attr(n, "activation_beta"), &betas);
	}
	return 0;
}
