/* SPDX-License-Identifier: MIT */
/* Windows of convolution and pooling: which part of an input axis a tile sees. */
#include "nc.h"

#include <errno.h>

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && a < 0);
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

struct nc_axis nc_window_rows(const struct kir_window *w)
{
	return (struct nc_axis){ .in = w->h, .stride = w->stride_h, .dil = w->dil_h,
				 .up = w->up_h, .pad = w->pad_top };
}

struct nc_axis nc_window_columns(const struct kir_window *w)
{
	return (struct nc_axis){ .in = w->w, .stride = w->stride_w, .dil = w->dil_w,
				 .up = w->up_w, .pad = w->pad_left };
}

struct nc_axis_tile nc_axis_tile(const struct nc_axis *a, uint32_t out_at, uint32_t outs,
				 uint32_t tap_at, uint32_t taps)
{
	/* Positions in the upsampled input, first and last tap of the tile. */
	int64_t lo = (int64_t)out_at * a->stride - a->pad + (int64_t)tap_at * a->dil;
	int64_t hi = lo + (int64_t)(outs - 1) * a->stride + (int64_t)(taps - 1) * a->dil;
	int64_t first = clamp(-floor_div(-lo, a->up), 0, (int64_t)a->in - 1);
	int64_t last = clamp(floor_div(hi, a->up), first, (int64_t)a->in - 1);

	return (struct nc_axis_tile){
		.first = (uint32_t)first,
		.count = (uint32_t)(last - first + 1),
		.pad = first * a->up - lo,
	};
}

uint32_t nc_axis_rows(const struct nc_axis *a, uint32_t outs, uint32_t taps)
{
	uint64_t reach = (uint64_t)(outs - 1) * a->stride + (uint64_t)(taps - 1) * a->dil;

	reach = reach / a->up + 1;
	return reach < a->in ? (uint32_t)reach : a->in;
}

int nc_window_check(struct nc_back *b, uint32_t node, const struct kir_window *w)
{
	if (w->kh > UINT16_MAX || w->kw > UINT16_MAX || w->stride_h > UINT16_MAX ||
	    w->stride_w > UINT16_MAX || w->dil_h > UINT16_MAX || w->dil_w > UINT16_MAX)
		return nc_op_error(b, node, "kernel, stride and dilation must be below 65536");
	if (w->up_h > UINT8_MAX || w->up_w > UINT8_MAX)
		return nc_op_error(b, node, "input upsampling (stride of a transposed convolution) must be below 256");
	return 0;
}

int nc_window_shape(struct nc_back *b, uint32_t node, const struct kir_window *w,
		    const struct nc_axis_tile *rows, const struct nc_axis_tile *columns,
		    struct npu_conv_shape *s)
{
	if (rows->pad > INT16_MAX || rows->pad < INT16_MIN || columns->pad > INT16_MAX ||
	    columns->pad < INT16_MIN)
		return nc_op_error(b, node, "padding reaches more than 32767 pixels away from the image");
	s->h = (uint16_t)rows->count;
	s->w = (uint16_t)columns->count;
	s->pad_top = (int16_t)rows->pad;
	s->pad_left = (int16_t)columns->pad;
	s->stride_h = (uint16_t)w->stride_h;
	s->stride_w = (uint16_t)w->stride_w;
	s->dil_h = (uint16_t)w->dil_h;
	s->dil_w = (uint16_t)w->dil_w;
	s->up_h = (uint8_t)w->up_h;
	s->up_w = (uint8_t)w->up_w;
	return 0;
}
