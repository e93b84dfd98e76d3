/* SPDX-License-Identifier: MIT */
/* Gradients of what combines elements; broadcast inputs get the sum of theirs. */
#include "grad.h"

static uint32_t f2(const struct nc_grad *d, enum nc_opcode code, uint32_t a, uint32_t b)
{
	return nc_x_2(&d->e, code, a, b);
}

void nc_grad_sum(const struct nc_grad *d)
{
	for (uint32_t i = 0; i < d->e.n->ins; i++)
		nc_grad_add_broadcast(d, i, nc_grad_out(d, 0));
}

void nc_grad_mean(const struct nc_grad *d)
{
	uint32_t t = nc_grad_times(d, nc_grad_out(d, 0), 1.0f / (float)d->e.n->ins);

	for (uint32_t i = 0; i < d->e.n->ins; i++)
		nc_grad_add_broadcast(d, i, t);
}

void nc_grad_sub(const struct nc_grad *d)
{
	nc_grad_add_broadcast(d, 0, nc_grad_out(d, 0));
	if (nc_grad_wants(d, 1))
		nc_grad_add_broadcast(d, 1, nc_x_1(&d->e, NC_OP_Neg, nc_grad_out(d, 0)));
}

void nc_grad_mul(const struct nc_grad *d)
{
	for (uint32_t i = 0; i < 2; i++)
		if (nc_grad_wants(d, i))
			nc_grad_add_broadcast(d, i, f2(d, NC_OP_Mul, nc_grad_out(d, 0),
						       nc_x_in(&d->e, 1 - i)));
}

/* y = a / b: dy / b, and -y dy / b */
void nc_grad_div(const struct nc_grad *d)
{
	uint32_t t = f2(d, NC_OP_Div, nc_grad_out(d, 0), nc_x_in(&d->e, 1));

	nc_grad_add_broadcast(d, 0, t);
	if (nc_grad_wants(d, 1))
		nc_grad_add_broadcast(d, 1, nc_x_1(&d->e, NC_OP_Neg,
						   f2(d, NC_OP_Mul, t, d->e.n->out[0])));
}

/* y = a^b: b a^(b - 1), and y log(a), which is 0 for a = 0 */
void nc_grad_pow(const struct nc_grad *d)
{
	uint32_t a = nc_x_in(&d->e, 0), b = nc_x_in(&d->e, 1), y = d->e.n->out[0], t;
	uint32_t power = nc_x_cast(&d->e, b, NPU_GRAPH_F32);

	if (nc_grad_wants(d, 0)) {
		t = f2(d, NC_OP_Pow, a, nc_grad_plus(d, power, -1));
		t = f2(d, NC_OP_Mul, nc_grad_out(d, 0), f2(d, NC_OP_Mul, power, t));
		nc_grad_add_broadcast(d, 0, t);
	}
	if (nc_grad_wants(d, 1)) {
		t = nc_x_where(&d->e, nc_x_scalar(&d->e, NC_OP_Greater, a, 0), a,
			       nc_x_float(&d->e, 1));
		t = f2(d, NC_OP_Mul, y, nc_x_1(&d->e, NC_OP_Log, t));
		nc_grad_add_broadcast(d, 1, f2(d, NC_OP_Mul, nc_grad_out(d, 0), t));
	}
}

/* x where x > 0, else slope x */
void nc_grad_prelu(const struct nc_grad *d)
{
	uint32_t x = nc_x_in(&d->e, 0), slope = nc_x_in(&d->e, 1), dy = nc_grad_out(d, 0);
	uint32_t positive = nc_x_scalar(&d->e, NC_OP_Greater, x, 0);

	nc_grad_add(d, 0, nc_x_where(&d->e, positive, dy, f2(d, NC_OP_Mul, dy, slope)));
	if (nc_grad_wants(d, 1))
		nc_grad_add_broadcast(d, 1, nc_x_where(&d->e, positive, nc_x_float(&d->e, 0),
						       f2(d, NC_OP_Mul, dy, x)));
}

void nc_grad_where(const struct nc_grad *d)
{
	uint32_t cond = nc_x_in(&d->e, 0), zero = nc_x_float(&d->e, 0), dy = nc_grad_out(d, 0);

	if (nc_grad_wants(d, 1))
		nc_grad_add_broadcast(d, 1, nc_x_where(&d->e, cond, dy, zero));
	if (nc_grad_wants(d, 2))
		nc_grad_add_broadcast(d, 2, nc_x_where(&d->e, cond, zero, dy));
}

/* Max and Min: the first input that is the result gets all of it. */
void nc_grad_extreme(const struct nc_grad *d)
{
	uint32_t rest = nc_grad_out(d, 0), zero = nc_x_float(&d->e, 0);

	for (uint32_t i = 0; i < d->e.n->ins; i++) {
		uint32_t is = f2(d, NC_OP_Equal, nc_x_in(&d->e, i), d->e.n->out[0]);

		if (nc_grad_wants(d, i))
			nc_grad_add_broadcast(d, i, nc_x_where(&d->e, is, rest, zero));
		if (i + 1 < d->e.n->ins)
			rest = nc_x_where(&d->e, is, zero, rest);
	}
}
