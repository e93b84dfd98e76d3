/* SPDX-License-Identifier: MIT */
/*
 * Weights of convolutions in the order that the array wants (HW 9.1), as new
 * constants of the kernel IR. Groups follow each other. A convolution that
 * appears more than once shares them, so that they stay in SPM between uses.
 */
#include "nc.h"

#include <string.h>

#include "kir/kir_view.h"

bool nc_conv_depthwise(const struct kir_conv *c)
{
	return c->groups > 1 && c->groups == c->win.c && c->win.k == c->win.c;
}

uint64_t nc_conv_group_elems(const struct nc_back *b, const struct kir_conv *c)
{
	const struct kir_window *w = &c->win;

	return npu_weight_elems(w->k / c->groups, w->c / c->groups, w->kh, w->kw,
				b->target.array_cols);
}

static bool same_weights(const struct kir_conv *a, const struct kir_conv *c)
{
	const struct kir_window *w = &a->win;

	return w->k == c->win.k && w->c == c->win.c && w->kh == c->win.kh && w->kw == c->win.kw &&
	       a->groups == c->groups &&
	       kir_view_equal(&a->weights, &c->weights, 4,
			      (uint32_t[]){ w->k, w->c / a->groups, w->kh, w->kw });
}

static float weight(const struct nc_back *b, const struct kir_conv *c, uint32_t k, uint32_t ch,
		    uint32_t y, uint32_t x)
{
	const struct kir_view *v = &c->weights;
	const float *data = b->k->tensor[v->tensor].data;

	return data[v->offset + k * v->stride[0] + ch * v->stride[1] + y * v->stride[2] +
		    x * v->stride[3]];
}

static void pack_group(const struct nc_back *b, const struct kir_conv *c, uint32_t g, float *out)
{
	const struct kir_window *w = &c->win;
	uint32_t k_group = w->k / c->groups, c_group = w->c / c->groups;

	for (uint32_t k = 0; k < k_group; k++)
		for (uint32_t ch = 0; ch < c_group; ch++)
			for (uint32_t y = 0; y < w->kh; y++)
				for (uint32_t x = 0; x < w->kw; x++)
					out[npu_weight_index(k, ch, y, x, c_group, w->kh, w->kw,
							     b->target.array_cols)] =
						weight(b, c, g * k_group + k, ch, y, x);
}

static void pack_depthwise(const struct nc_back *b, const struct kir_conv *c, float *out)
{
	const struct kir_window *w = &c->win;

	for (uint32_t y = 0; y < w->kh; y++)
		for (uint32_t x = 0; x < w->kw; x++)
			for (uint32_t k = 0; k < w->k; k++)
				*out++ = weight(b, c, k, 0, y, x);
}

static int64_t pack(struct nc_back *b, const struct kir_conv *c)
{
	const struct kir_window *w = &c->win;
	uint64_t group = nc_conv_group_elems(b, c);
	bool depthwise = nc_conv_depthwise(c);
	struct kir_tensor t = {
		.kind = KIR_CONST,
		.dtype = NPU_F32,
		.elems = depthwise ? (uint64_t)w->kh * w->kw * w->k : group * c->groups,
	};
	float *data = nc_alloc_array(b->arena, t.elems, sizeof(*data));
	int64_t tensor;

	t.name = nc_printf(b->arena, "%s.packed", b->k->tensor[c->weights.tensor].name);
	if (!data || !t.name)
		return -1;
	if (depthwise)
		pack_depthwise(b, c, data);
	for (uint32_t g = 0; g < c->groups && !depthwise; g++)
		pack_group(b, c, g, data + g * group);
	tensor = kir_add_tensor(b->k, &t);
	if (tensor >= 0)
		b->k->tensor[tensor].data = data;
	return tensor;
}

uint32_t nc_pack_weights(struct nc_back *b, const struct kir_conv *c)
{
	struct nc_packed *p = b->packed;
	int64_t tensor;

	for (; p; p = p->next)
		if (same_weights(p->conv, c))
			return p->tensor;
	p = nc_alloc(b->arena, sizeof(*p));
	tensor = p ? pack(b, c) : -1;
	if (tensor < 0) {
		nc_no_memory(b);
		return KIR_NO_TENSOR;
	}
	*p = (struct nc_packed){ .next = b->packed, .conv = c, .tensor = (uint32_t)tensor };
	b->packed = p;
	return p->tensor;
}
