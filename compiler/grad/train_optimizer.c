/* SPDX-License-Identifier: MIT */
/* Optimizers: element by element over all parameters at once, which is one map. */
#include "train.h"

#include <errno.h>

int npu_optimizer_slots(enum npu_optimizer optimizer)
{
	switch (optimizer) {
	case NPU_OPTIMIZER_SGD:
		return 0;
	case NPU_OPTIMIZER_MOMENTUM:
	case NPU_OPTIMIZER_NESTEROV:
		return 1;
	case NPU_OPTIMIZER_ADAM:
	case NPU_OPTIMIZER_ADAMW:
		return 2;
	default:
		return -EINVAL;
	}
}

static uint32_t hyper(const struct nc_expand *e, const struct nc_update *u, enum npu_hyper which)
{
	return nc_x_slice(e, u->hyper, 0, which, which + 1, 1);
}

static uint32_t mul(const struct nc_expand *e, uint32_t a, uint32_t b)
{
	return nc_x_2(e, NC_OP_Mul, a, b);
}

static uint32_t add(const struct nc_expand *e, uint32_t a, uint32_t b)
{
	return nc_x_2(e, NC_OP_Add, a, b);
}

static uint32_t sub(const struct nc_expand *e, uint32_t a, uint32_t b)
{
	return nc_x_2(e, NC_OP_Sub, a, b);
}

static void momentum(const struct nc_expand *e, struct nc_update *u, bool nesterov)
{
	uint32_t keep = hyper(e, u, NPU_HYPER_KEEP);
	uint32_t move = mul(e, u->gradient, hyper(e, u, NPU_HYPER_RATE));
	uint32_t v = sub(e, mul(e, u->slot[0], keep), move);

	u->param = add(e, u->param, nesterov ? sub(e, mul(e, v, keep), move) : v);
	u->slot[0] = v;
}

static void adam(const struct nc_expand *e, struct nc_update *u, bool decay)
{
	uint32_t g = u->gradient, m = u->slot[0], v = u->slot[1], w = u->param, by;

	if (decay)
		w = sub(e, w, mul(e, w, hyper(e, u, NPU_HYPER_DECAY)));
	m = add(e, m, mul(e, sub(e, g, m), hyper(e, u, NPU_HYPER_MIX1)));
	v = add(e, v, mul(e, sub(e, mul(e, g, g), v), hyper(e, u, NPU_HYPER_MIX2)));
	by = add(e, nc_x_1(e, NC_OP_Sqrt, v), hyper(e, u, NPU_HYPER_EPSILON));
	by = nc_x_2(e, NC_OP_Div, mul(e, m, hyper(e, u, NPU_HYPER_RATE)), by);
	u->param = sub(e, w, by);
	u->slot[0] = m;
	u->slot[1] = v;
}

/* Scaled down if all gradients together are longer than they may be. */
static void clip(const struct nc_expand *e, struct nc_update *u)
{
	uint32_t limit = hyper(e, u, NPU_HYPER_CLIP_NORM);
	uint32_t norm = nc_x_reduce(e, NC_OP_ReduceL2, u->gradient, 1);
	uint32_t scale = nc_x_2(e, NC_OP_Div, limit, nc_x_2(e, NC_OP_Max, norm, limit));

	u->gradient = mul(e, u->gradient, scale);
}

void nc_train_update(const struct nc_expand *e, const struct npu_step *step, struct nc_update *u)
{
	if (step->clip_norm)
		clip(e, u);
	switch (step->optimizer) {
	case NPU_OPTIMIZER_MOMENTUM:
	case NPU_OPTIMIZER_NESTEROV:
		momentum(e, u, step->optimizer == NPU_OPTIMIZER_NESTEROV);
		break;
	case NPU_OPTIMIZER_ADAM:
	case NPU_OPTIMIZER_ADAMW:
		adam(e, u, step->optimizer == NPU_OPTIMIZER_ADAMW);
		break;
	default:
		u->param = sub(e, u->param, mul(e, u->gradient, hyper(e, u, NPU_HYPER_RATE)));
		break;
	}
}
