/* SPDX-License-Identifier: MIT */
/* Gradients of what puts elements elsewhere: they go back. */
#include "grad.h"

#include <string.h>

#include "graph/shape.h"

void nc_grad_reshape(const struct nc_grad *d)
{
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, 0));

	nc_grad_add(d, 0, nc_x_reshape(&d->e, nc_grad_out(d, 0), x->rank, x->dim));
}

void nc_grad_expand(const struct nc_grad *d)
{
	nc_grad_add_broadcast(d, 0, nc_grad_out(d, 0));
}

void nc_grad_transpose(const struct nc_grad *d)
{
	unsigned int perm[NPU_GRAPH_RANK_MAX];
	int64_t back[NPU_GRAPH_RANK_MAX];

	if (nc_perm_get(d->e.g, d->e.n, perm))
		return;
	for (unsigned int i = 0; i < nc_x_get(&d->e, d->e.n->out[0])->rank; i++)
		back[perm[i]] = i;
	nc_grad_add(d, 0, nc_x_transpose(&d->e, nc_grad_out(d, 0), back));
}

/* Axis by axis: in ascending order, apart by the step, at the start. */
void nc_grad_slice(const struct nc_grad *d)
{
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, 0));
	int64_t pad[2 * NPU_GRAPH_RANK_MAX] = { 0 };
	uint32_t t = nc_grad_out(d, 0);
	struct nc_slice s;

	if (nc_slice_get(d->e.g, d->e.n, &s) || !nc_x_get(&d->e, t)->elems)
		return;
	for (unsigned int i = 0; i < x->rank; i++) {
		int64_t step = s.step[i] < 0 ? -s.step[i] : s.step[i], last = s.dim[i] - 1;
		int64_t first = s.step[i] < 0 ? s.start[i] - last * step : s.start[i];

		if (s.step[i] < 0)
			t = nc_x_slice(&d->e, t, i, -1, INT64_MIN, -1);
		t = nc_x_spread(&d->e, t, i, step);
		pad[i] = first;
		pad[x->rank + i] = x->dim[i] - first - nc_x_get(&d->e, t)->dim[i];
	}
	nc_grad_add(d, 0, nc_x_pad(&d->e, t, pad));
}

void nc_grad_pad(const struct nc_grad *d)
{
	const struct nc_tensor *x = nc_x_get(&d->e, nc_x_in(&d->e, 0));
	int64_t pad[2][NPU_GRAPH_RANK_MAX], back[2 * NPU_GRAPH_RANK_MAX];

	if (nc_pads_get(d->e.g, d->e.n, pad))
		return;
	for (unsigned int i = 0; i < x->rank; i++) {
		back[i] = -pad[0][i];
		back[x->rank + i] = -pad[1][i];
	}
	nc_grad_add(d, 0, nc_x_pad(&d->e, nc_grad_out(d, 0), back));
}

void nc_grad_concat(const struct nc_grad *d)
{
	const struct nc_tensor *y = nc_x_get(&d->e, d->e.n->out[0]);
	int axis = nc_axis(d->e.g, d->e.n, nc_grad_int(d, "axis"), y->rank);
	int64_t at = 0;

	for (uint32_t i = 0; axis >= 0 && i < d->e.n->ins; i++) {
		int64_t size = nc_x_get(&d->e, nc_x_in(&d->e, i))->dim[axis];

		if (nc_grad_wants(d, i))
			nc_grad_add(d, i, nc_x_slice(&d->e, nc_grad_out(d, 0), (unsigned int)axis, at,
						     at + size, 1));
		at += size;
	}
}

void nc_grad_split(const struct nc_grad *d)
{
	uint32_t outs = d->e.n->outs;
	int64_t *size = nc_x_alloc(&d->e, outs, sizeof(*size));
	uint32_t *part = nc_x_alloc(&d->e, outs, sizeof(*part));
	int axis;

	if (!size || !part || nc_split_get(d->e.g, d->e.n, &axis, size))
		return;
	for (uint32_t i = 0; i < outs; i++) {
		part[i] = nc_grad_out(d, i);
		if (part[i] == NC_NONE)
			part[i] = nc_grad_zeros(d, d->e.n->out[i]);
	}
	nc_grad_add(d, 0, nc_x_concat(&d->e, axis, outs, part));
}

/* Rows that were taken more than once add up. */
void nc_grad_take(const struct nc_grad *d)
{
	uint32_t zeros = nc_grad_zeros(d, nc_x_in(&d->e, 0));

	nc_grad_add(d, 0, nc_x_node(&d->e, NC_OP_Put,
				    NC_X_ATTRS(NC_X_STRING("reduction", "add")), 3,
				    (const uint32_t[]){ zeros, nc_x_in(&d->e, 1),
							nc_grad_out(d, 0) }));
}

/* What was replaced has no gradient; what was added to has all of it. */
void nc_grad_put(const struct nc_grad *d)
{
	const char *how = nc_attr(d->e.n, "reduction")->s;
	uint32_t index = nc_x_in(&d->e, 1), dy = nc_grad_out(d, 0), t = dy;
	uint32_t values = nc_x_in(&d->e, 2);

	if (strcmp(how, "none") && strcmp(how, "add")) {
		nc_grad_refuse(d, "only scattering without a reduction, or with add, has");
		return;
	}
	if (nc_grad_wants(d, 0) && !strcmp(how, "none"))
		t = nc_x_node(&d->e, NC_OP_Put, NULL, 3,
			      (const uint32_t[]){ dy, index, nc_grad_zeros(d, values) });
	nc_grad_add(d, 0, t);
	if (nc_grad_wants(d, 2))
		nc_grad_add(d, 2, nc_x_2(&d->e, NC_OP_Take, dy, index));
}
