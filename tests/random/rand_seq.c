/* SPDX-License-Identifier: MIT */
/* Recipes of recurrent operators, attention and resizing. */
#include <string.h>

#include "rand.h"

static const char *const activations[] = {
	"Sigmoid", "Tanh", "Relu", "HardSigmoid", "LeakyRelu", "ThresholdedRelu", "Elu", "Softsign",
	"Softplus", "ScaledTanh", "Affine",
};

static void draw_activations(struct rg *g, int count)
{
	Onnx__AttributeProto *a = ob_attr(&g->b, g->node, "activations");
	float value[6];

	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
	a->strings = ob_alloc(&g->b, (size_t)count * sizeof(*a->strings));
	for (int i = 0; i < count; i++) {
		const char *s = activations[rg_below(g, 11)];

		value[i] = (float)rg_uniform(g, 0.1, 0.9);
		a->strings[a->n_strings].len = strlen(s);
		a->strings[a->n_strings].data = (uint8_t *)strcpy(ob_alloc(&g->b, 32), s);
		a->n_strings++;
	}
	/* As many as there are, so that none is left to a default that ONNX does not name. */
	rg_floats(g, "activation_alpha", (size_t)count, value);
	rg_floats(g, "activation_beta", (size_t)count, value);
}

static bool recurrent(struct rg *g, const char *op)
{
	static const char *const directions[] = { "forward", "reverse", "bidirectional" };
	int gates = *op == 'L' ? 4 : *op == 'G' ? 3 : 1, funcs = *op == 'L' ? 3 : *op == 'G' ? 2 : 1;
	unsigned int way = rg_below(g, 3), dirs = way == 2 ? 2 : 1;
	bool layout = g->opset >= 14 && rg_once(g, 4);
	int64_t steps = rg_between(g, 1, 5), batch = rg_between(g, 1, 3), f = rg_dim(g, 20);
	int64_t h = rg_once(g, 3) ? rg_dim(g, 33) : rg_between(g, 1, 6);
	int type = rg_once(g, 8) ? EV_F16 : EV_F32, x, w, r, opt[5] = { -1, -1, -1, -1, -1 };
	int64_t dx[] = { steps, batch, f }, dw[] = { dirs, gates * h, f };
	int64_t dr[] = { dirs, gates * h, h }, db[] = { dirs, 2 * gates * h };
	int64_t ds[] = { dirs, batch, h }, dp[] = { dirs, 3 * h };
	int last = 0;

	if (layout) {
		memcpy(dx, (int64_t[]){ batch, steps, f }, sizeof(dx));
		memcpy(ds, (int64_t[]){ batch, dirs, h }, sizeof(ds));
	}
	x = rg_like(g, type, 3, dx, RG_ANY);
	w = rg_new(g, type, 3, dw, RG_WEIGHT, rg_once(g, 4) ? RG_INPUT : RG_KNOWN);
	r = rg_new(g, type, 3, dr, RG_WEIGHT, rg_once(g, 4) ? RG_INPUT : RG_KNOWN);
	if (rg_once(g, 2))
		opt[0] = rg_new(g, type, 2, db, RG_WEIGHT, RG_DRAWN);
	if (rg_once(g, 4)) {
		double lens[4];

		for (int i = 0; i < batch; i++)
			lens[i] = (double)rg_between(g, 1, steps);
		opt[1] = rg_given(g, EV_I32, 1, &batch, lens, RG_DRAWN);
	}
	if (rg_once(g, 3))
		opt[2] = rg_new(g, type, 3, ds, RG_UNIT, RG_DRAWN);
	if (*op == 'L' && rg_once(g, 3))
		opt[3] = rg_new(g, type, 3, ds, RG_UNIT, RG_DRAWN);
	if (*op == 'L' && rg_once(g, 4))
		opt[4] = rg_new(g, type, 2, dp, RG_WEIGHT, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, w);
	rg_arg(g, r);
	for (int i = 0; i < 5; i++)
		last = opt[i] >= 0 ? i + 1 : last;
	for (int i = 0; i < last; i++)
		rg_arg(g, opt[i]);
	rg_int(g, "hidden_size", h);
	if (way || rg_once(g, 2))
		rg_text(g, "direction", directions[way]);
	if (layout)
		rg_int(g, "layout", 1);
	if (rg_once(g, 6))
		rg_float(g, "clip", 0.7f);
	if (*op == 'L' && rg_once(g, 6))
		rg_int(g, "input_forget", 1);
	if (*op == 'G' && rg_once(g, 2))
		rg_int(g, "linear_before_reset", 1);
	if (rg_once(g, 4))
		draw_activations(g, funcs * (int)dirs);
	return rg_commit(g, *op == 'L' ? 3 : 2);
}

static bool attention(struct rg *g, const char *op)
{
	bool flat = rg_once(g, 2), past = rg_once(g, 4), lengths = !past && g->opset >= 24 && rg_once(g, 4);
	int64_t batch = rg_between(g, 1, 2), kv = rg_between(g, 1, 3), q = kv * rg_between(g, 1, 2);
	int64_t tq = rg_once(g, 4) ? rg_dim(g, 33) : rg_between(g, 1, 6);
	int64_t tk = rg_once(g, 4) ? rg_dim(g, 33) : rg_between(g, 1, 6);
	int64_t d = rg_dim(g, 17), dv = rg_once(g, 2) ? d : rg_dim(g, 17), before = rg_between(g, 1, 4);
	int64_t total = tk + (past ? before : 0);
	int type = rg_once(g, 6) ? EV_F16 : EV_F32, x[7] = { -1, -1, -1, -1, -1, -1, -1 };
	int64_t dq[] = { batch, q, tq, d }, dk[] = { batch, kv, tk, d }, dvs[] = { batch, kv, tk, dv };
	int64_t fq[] = { batch, tq, q * d }, fk[] = { batch, tk, kv * d }, fv[] = { batch, tk, kv * dv };
	int64_t dm[] = { rg_once(g, 2) ? 1 : batch, rg_once(g, 2) ? 1 : q, tq, total };
	int64_t pk[] = { batch, kv, before, d }, pv[] = { batch, kv, before, dv };
	unsigned int outs = past ? 3 : 1;
	int last = 3, rank = (int)rg_between(g, 2, 4);

	x[0] = flat ? rg_like(g, type, 3, fq, RG_ANY) : rg_like(g, type, 4, dq, RG_ANY);
	x[1] = flat ? rg_like(g, type, 3, fk, RG_ANY) : rg_like(g, type, 4, dk, RG_ANY);
	x[2] = flat ? rg_like(g, type, 3, fv, RG_ANY) : rg_like(g, type, 4, dvs, RG_ANY);
	if (rank == 3)
		dm[1] = rg_once(g, 2) ? 1 : q;
	if (rg_once(g, 2))
		x[3] = rg_new(g, rg_once(g, 2) ? EV_BOOL : type, rank, dm + 4 - rank, RG_ANY,
			      RG_DRAWN);
	if (past) {
		x[4] = rg_new(g, type, 4, pk, RG_ANY, RG_DRAWN);
		x[5] = rg_new(g, type, 4, pv, RG_ANY, RG_DRAWN);
	}
	if (lengths) {
		double lens[2] = { (double)rg_between(g, 1, tk), (double)rg_between(g, 1, tk) };

		x[6] = rg_given(g, EV_I64, 1, &batch, lens, RG_DRAWN);
	}
	rg_begin(g, op);
	for (int i = 3; i < 7; i++)
		last = x[i] >= 0 ? i + 1 : last;
	for (int i = 0; i < last; i++)
		rg_arg(g, x[i]);
	if (flat) {
		rg_int(g, "q_num_heads", q);
		rg_int(g, "kv_num_heads", kv);
	}
	/* With past and lengths the versions differ in what is masked. */
	if (!past && !lengths && rg_once(g, 3))
		rg_int(g, "is_causal", 1);
	if (rg_once(g, 3))
		rg_float(g, "scale", (float)rg_uniform(g, 0.05, 1));
	if (x[3] < 0 && !lengths && rg_once(g, 4))
		rg_float(g, "softcap", (float)rg_uniform(g, 0.5, 4));
	/* And before the masks, the scores are the same in all of them. */
	if (past && rg_once(g, 3))
		outs = 4;
	return rg_commit(g, outs);
}

static bool rotary(struct rg *g, const char *op)
{
	bool flat = rg_once(g, 2), ids = rg_once(g, 2);
	int64_t batch = rg_between(g, 1, 2), heads = rg_between(g, 1, 3), t = rg_between(g, 1, 6);
	int64_t half = rg_between(g, 1, 9), extra = rg_once(g, 3) ? rg_between(g, 1, 5) : 0;
	int64_t d = 2 * half + extra, rows = rg_between(g, 1, 12);
	int64_t dx[] = { batch, heads, t, d }, fx[] = { batch, t, heads * d };
	int64_t cache[] = { batch, t, half }, table[] = { rows, half }, di[] = { batch, t };
	int x, co, si, at = -1, type = rg_once(g, 6) ? EV_F16 : EV_F32;
	double elem[12];

	x = flat ? rg_like(g, type, 3, fx, RG_ANY) : rg_like(g, type, 4, dx, RG_ANY);
	co = ids ? rg_new(g, type, 2, table, RG_UNIT, RG_DRAWN) :
		   rg_new(g, type, 3, cache, RG_UNIT, RG_DRAWN);
	si = ids ? rg_new(g, type, 2, table, RG_UNIT, RG_DRAWN) :
		   rg_new(g, type, 3, cache, RG_UNIT, RG_DRAWN);
	for (int i = 0; i < batch * t; i++)
		elem[i] = (double)rg_between(g, 0, rows - 1);
	if (ids)
		at = rg_given(g, EV_I64, 2, di, elem, RG_DRAWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, co);
	rg_arg(g, si);
	if (ids)
		rg_arg(g, at);
	if (flat)
		rg_int(g, "num_heads", heads);
	if (extra || rg_once(g, 2))
		rg_int(g, "rotary_embedding_dim", extra ? 2 * half : 0);
	if (rg_once(g, 2))
		rg_int(g, "interleaved", rg_below(g, 2));
	return rg_commit(g, 1);
}

/* Scales whose coordinates are exact, so that all agree about the nearest element. */
static bool resize(struct rg *g, const char *op)
{
	static const char *const modes[] = { "nearest", "linear", "cubic" };
	static const char *const transforms[] = {
		"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel",
		"half_pixel_symmetric", "tf_crop_and_resize",
	};
	static const char *const nearests[] = {
		"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
	};
	static const float exact[] = { 1, 2, 0.5f, 4, 0.25f, 1, 2, 3, 1.5f, 0.75f };
	int x = rg_some(g, RG_FLOATS & ~(g->opset < 13 ? 1u << EV_BF16 : 0), 1, 4, RG_ANY), rank;
	uint32_t mode = rg_below(g, 3), transform = rg_below(g, g->opset >= 19 ? 5 : 4);
	int64_t sizes[REF_MAX_RANK];
	double scales[REF_MAX_RANK];
	int by, roi = -1;
	int64_t count;
	bool by_size;

	if (x < 0)
		return false;
	rank = rg_get(g, x)->rank;
	count = rank;
	by_size = rg_once(g, 2);
	/* What a part of an image is scaled to is not the same to all. */
	if (rg_once(g, 8)) {
		transform = 5;
		by_size = true;
	}
	for (int i = 0; i < rank; i++) {
		int64_t d = rg_get(g, x)->dims[i];

		scales[i] = rg_once(g, 2) ? 1 : exact[rg_below(g, mode ? 10 : 5)];
		sizes[i] = mode ? rg_between(g, 1, d < 1 ? 1 : d < 30 ? 2 * d : d) :
			(int64_t)(scales[i] * (double)d);
		if (rg_once(g, 3))
			sizes[i] = d;
		if (!sizes[i])
			return false;
	}
	/* Quotients of sizes are exact in few of the transformations only. */
	if (!mode && transform > 1)
		transform = 0;
	if (transform == 5) {
		double ends[2 * REF_MAX_RANK];
		int64_t twice = 2 * rank;

		for (int i = 0; i < rank; i++) {
			ends[i] = rg_uniform(g, -0.2, 0.5);
			ends[rank + i] = rg_uniform(g, 0.6, 1.2);
		}
		roi = rg_given(g, EV_F32, 1, &twice, ends, RG_KNOWN);
	}
	by = by_size ? rg_list(g, rank, sizes) : rg_given(g, EV_F32, 1, &count, scales, RG_KNOWN);
	rg_begin(g, op);
	rg_arg(g, x);
	rg_arg(g, roi);
	rg_arg(g, by_size ? -1 : by);
	if (by_size)
		rg_arg(g, by);
	rg_text(g, "mode", modes[mode]);
	if (transform || rg_once(g, 2))
		rg_text(g, "coordinate_transformation_mode", transforms[transform]);
	if (!mode && rg_once(g, 2))
		rg_text(g, "nearest_mode", nearests[rg_below(g, 4)]);
	if (mode == 2 && rg_once(g, 2))
		rg_float(g, "cubic_coeff_a", -0.5f);
	if (mode == 2 && rg_once(g, 3))
		rg_int(g, "exclude_outside", 1);
	if (transform == 5 && rg_once(g, 2))
		rg_float(g, "extrapolation_value", 1.5f);
	if (mode && g->opset >= 18 && transform != 5 && rg_once(g, 4))
		rg_int(g, "antialias", 1);
	return rg_commit(g, 1);
}

static bool upsample(struct rg *g, const char *op)
{
	static const float exact[] = { 1, 2, 3, 4, 1.5f };
	int x = rg_some(g, 1u << EV_F32 | 1u << EV_F16, 1, 4, RG_ANY), by = -1;
	float scales[REF_MAX_RANK];
	double elem[REF_MAX_RANK];
	int64_t rank;

	if (x < 0)
		return false;
	rank = rg_get(g, x)->rank;
	for (int64_t i = 0; i < rank; i++)
		elem[i] = scales[i] = rg_once(g, 2) ? 1 : exact[rg_below(g, 5)];
	if (g->opset >= 9)
		by = rg_given(g, EV_F32, 1, &rank, elem, RG_KNOWN);
	rg_begin(g, op);
	rg_arg(g, x);
	if (g->opset >= 9)
		rg_arg(g, by);
	else
		rg_floats(g, "scales", (size_t)rank, scales);
	if (rg_once(g, 2))
		rg_text(g, "mode", rg_once(g, 2) ? "nearest" : "linear");
	return rg_commit(g, 1);
}

const struct rg_recipe rg_seq[] = {
	{ "LSTM", 7, 3, recurrent },
	{ "GRU", 7, 2, recurrent },
	{ "RNN", 7, 2, recurrent },
	{ "Attention", 23, 5, attention },
	{ "RotaryEmbedding", 23, 2, rotary },
	{ "Resize", 13, 4, resize },
	{ "Upsample", 7, 2, upsample },
	{ NULL, 0, 0, NULL }
};
