/* SPDX-License-Identifier: MIT */
/* What rules are written with. */
#include "grad.h"

#include <errno.h>

uint32_t nc_grad_out(const struct nc_grad *d, uint32_t i)
{
	uint32_t t = i < d->e.n->outs ? d->e.n->out[i] : NC_NONE;

	return t == NC_NONE || t >= d->tensors ? NC_NONE : d->sum[t];
}

bool nc_grad_wants(const struct nc_grad *d, uint32_t i)
{
	uint32_t t = nc_x_in(&d->e, i);

	return t != NC_NONE && t < d->tensors && d->wanted[t];
}

void nc_grad_add_to(const struct nc_grad *d, uint32_t tensor, uint32_t t)
{
	const struct nc_tensor *x = nc_x_get(&d->e, tensor), *part = nc_x_get(&d->e, t);
	char text[2][NC_SHAPE_TEXT];
	uint32_t *sum;

	if (t == NC_NONE || tensor >= d->tensors || !d->wanted[tensor] || d->e.g->err)
		return;
	if (x->rank != part->rank || x->elems != part->elems) {
		d->e.g->err = nc_node_error(&d->e.g->diag, d->e.n, -EINVAL,
					    "the gradient of \"%s\" is %s, not %s", x->name,
					    nc_shape_text(part, text[0]),
					    nc_shape_text(x, text[1]));
		return;
	}
	sum = &d->sum[tensor];
	*sum = *sum == NC_NONE ? t : nc_x_2(&d->e, NC_OP_Add, *sum, t);
}

void nc_grad_add(const struct nc_grad *d, uint32_t i, uint32_t t)
{
	if (nc_grad_wants(d, i))
		nc_grad_add_to(d, nc_x_in(&d->e, i), t);
}

void nc_grad_add_broadcast(const struct nc_grad *d, uint32_t i, uint32_t t)
{
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, i));
	const struct nc_tensor *wide = nc_x_get(&d->e, t);
	unsigned int more = wide->rank - x->rank, axes = 0;

	if (t == NC_NONE || !nc_grad_wants(d, i))
		return;
	for (unsigned int k = 0; k < wide->rank; k++)
		if (wide->dim[k] != 1 && (k < more || x->dim[k - more] == 1))
			axes |= 1u << k;
	if (axes)
		t = nc_x_reduce(&d->e, NC_OP_ReduceSum, t, axes);
	if (more)
		t = nc_x_reshape(&d->e, t, x->rank, x->dim);
	nc_grad_add(d, i, t);
}

void nc_grad_replace(const struct nc_grad *d, struct nc_node *n)
{
	n->index = d->node;
	n->number = d->e.n->number;
	d->e.g->node[d->node] = n;
	for (uint32_t i = 0; i < n->outs; i++)
		if (n->out[i] != NC_NONE)
			d->e.g->tensor[n->out[i]]->node = d->node;
}

void nc_grad_refuse(const struct nc_grad *d, const char *why)
{
	if (!d->e.g->err)
		d->e.g->err = nc_node_error(&d->e.g->diag, d->e.n, -ENOTSUP,
					    "has no gradient: %s", why);
}

int64_t nc_grad_int(const struct nc_grad *d, const char *name)
{
	return nc_attr(d->e.n, name)->i;
}

float nc_grad_float(const struct nc_grad *d, const char *name)
{
	return nc_attr(d->e.n, name)->f;
}

uint32_t nc_grad_zeros(const struct nc_grad *d, uint32_t like)
{
	const struct nc_tensor *x = nc_x_get(&d->e, like);
	uint32_t shape = nc_x_ints(&d->e, x->dim, x->rank);

	return nc_x_cast(&d->e, nc_x_node(&d->e, NC_OP_ConstantOfShape, NULL, 1, &shape), x->dtype);
}

uint32_t nc_grad_plus(const struct nc_grad *d, uint32_t t, float c)
{
	return nc_x_scalar(&d->e, NC_OP_Add, t, c);
}

uint32_t nc_grad_times(const struct nc_grad *d, uint32_t t, float c)
{
	return c == 1 ? t : nc_x_scalar(&d->e, NC_OP_Mul, t, c);
}

uint32_t nc_grad_square(const struct nc_grad *d, uint32_t t)
{
	return nc_x_2(&d->e, NC_OP_Mul, t, t);
}
