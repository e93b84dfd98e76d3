/* SPDX-License-Identifier: MIT */
/* The operator table: ops.h.inc with the attribute sets that it names. */
#include "ops.h"

#include <float.h>
#include <string.h>

#include "npu_isa.h"

#define INT(n, v)	{ .name = n, .type = NC_ATTR_INT, .i = v }
#define FLOAT(n, v)	{ .name = n, .type = NC_ATTR_FLOAT, .f = v }
#define STRING(n, v)	{ .name = n, .type = NC_ATTR_STRING, .s = v }
#define LIST(n, t)	{ .name = n, .type = NC_ATTR_##t }
/* Attributes that later versions of the operator do not have; after newer ones of that name. */
#define OLD_INT(n, v, last)	{ .name = n, .type = NC_ATTR_INT, .i = v, .until = last }
#define OLD_FLOAT(n, v, last)	{ .name = n, .type = NC_ATTR_FLOAT, .f = v, .until = last }
#define OLD_STRING(n, v, last)	{ .name = n, .type = NC_ATTR_STRING, .s = v, .until = last }
#define OLD_LIST(n, t, last)	{ .name = n, .type = NC_ATTR_##t, .until = last }
#define ATTRS(set)	static const struct nc_attr attr_##set[]
#define END		{ .name = NULL }

ATTRS(none) = { END };
ATTRS(broadcast) = { OLD_INT("axis", 0, 6), OLD_INT("broadcast", 0, 6), END };
ATTRS(alpha_1) = { FLOAT("alpha", 1.0f), END };
ATTRS(affine) = { FLOAT("alpha", 1.0f), FLOAT("beta", 0.0f), END };
ATTRS(scaled_tanh) = { FLOAT("alpha", 1.0f), FLOAT("beta", 1.0f), END };
ATTRS(gelu) = { STRING("approximate", "none"), END };
ATTRS(hard_sigmoid) = { FLOAT("alpha", 0.2f), FLOAT("beta", 0.5f), END };
ATTRS(leaky_relu) = { FLOAT("alpha", 0.01f), END };
ATTRS(selu) = {
	FLOAT("alpha", 1.67326319217681884765625f),
	FLOAT("gamma", 1.05070102214813232421875f),
	END
};

ATTRS(shrink) = { FLOAT("bias", 0.0f), FLOAT("lambd", 0.5f), END };
ATTRS(is_inf) = { INT("detect_negative", 1), INT("detect_positive", 1), END };
ATTRS(mod) = { INT("fmod", 0), END };
ATTRS(bit_shift) = { STRING("direction", ""), END };

ATTRS(conv) = {
	STRING("auto_pad", "NOTSET"),
	LIST("dilations", INTS),
	INT("group", 1),
	LIST("kernel_shape", INTS),
	LIST("pads", INTS),
	LIST("strides", INTS),
	END
};
ATTRS(max_pool) = {
	STRING("auto_pad", "NOTSET"),
	INT("ceil_mode", 0),
	LIST("dilations", INTS),
	LIST("kernel_shape", INTS),
	LIST("pads", INTS),
	INT("storage_order", 0),
	LIST("strides", INTS),
	END
};
ATTRS(average_pool) = {
	STRING("auto_pad", "NOTSET"),
	INT("ceil_mode", 0),
	INT("count_include_pad", 0),
	LIST("dilations", INTS),
	LIST("kernel_shape", INTS),
	LIST("pads", INTS),
	LIST("strides", INTS),
	END
};
ATTRS(lp_pool) = {
	STRING("auto_pad", "NOTSET"),
	INT("ceil_mode", 0),
	LIST("dilations", INTS),
	LIST("kernel_shape", INTS),
	INT("p", 2),
	OLD_FLOAT("p", 2.0f, 1),
	LIST("pads", INTS),
	LIST("strides", INTS),
	END
};
ATTRS(global_lp_pool) = { INT("p", 2), OLD_FLOAT("p", 2.0f, 1), END };
ATTRS(conv_transpose) = {
	STRING("auto_pad", "NOTSET"),
	LIST("dilations", INTS),
	INT("group", 1),
	LIST("kernel_shape", INTS),
	LIST("output_padding", INTS),
	LIST("output_shape", INTS),
	LIST("pads", INTS),
	LIST("strides", INTS),
	END
};
ATTRS(window_conv) = {
	LIST("dilations", INTS),
	INT("group", 1),
	/* before the input, per axis; may be negative */
	LIST("pads", INTS),
	/* of the output */
	LIST("sizes", INTS),
	LIST("strides", INTS),
	/* distance of input elements, zeroes between them */
	LIST("ups", INTS),
	END
};
/* As above, and the window of the weights. */
ATTRS(weight_grad) = {
	LIST("dilations", INTS),
	INT("group", 1),
	LIST("kernel_shape", INTS),
	LIST("pads", INTS),
	LIST("sizes", INTS),
	LIST("strides", INTS),
	LIST("ups", INTS),
	END
};
/* The output's sides; the window that chose the positions, if there is one. */
ATTRS(unpool) = {
	LIST("dilations", INTS),
	LIST("kernel_shape", INTS),
	/* before the input, per axis */
	LIST("pads", INTS),
	LIST("sizes", INTS),
	LIST("strides", INTS),
	END
};
ATTRS(max_unpool) = {
	LIST("kernel_shape", INTS),
	LIST("pads", INTS),
	LIST("strides", INTS),
	END
};
ATTRS(col2im) = {
	LIST("dilations", INTS),
	LIST("pads", INTS),
	LIST("strides", INTS),
	END
};
ATTRS(gemm) = {
	FLOAT("alpha", 1.0f),
	FLOAT("beta", 1.0f),
	OLD_INT("broadcast", 0, 6),
	INT("transA", 0),
	INT("transB", 0),
	END
};

ATTRS(batch_norm) = {
	FLOAT("epsilon", 1e-5f),
	OLD_INT("is_test", 0, 6),
	FLOAT("momentum", 0.9f),
	/* 0 has statistics per element */
	OLD_INT("spatial", 1, 8),
	INT("training_mode", 0),
	END
};
ATTRS(epsilon) = { FLOAT("epsilon", 1e-5f), END };
ATTRS(group_norm) = {
	FLOAT("epsilon", 1e-5f),
	INT("num_groups", 0),
	INT("stash_type", 1),
	END
};
ATTRS(layer_norm) = {
	INT("axis", -1),
	FLOAT("epsilon", 1e-5f),
	INT("stash_type", 1),
	END
};
ATTRS(mean_variance) = { LIST("axes", INTS), END };
ATTRS(lp_norm) = { INT("axis", -1), INT("p", 2), END };
ATTRS(lrn) = {
	FLOAT("alpha", 0.0001f),
	FLOAT("beta", 0.75f),
	FLOAT("bias", 1.0f),
	INT("size", 0),
	END
};

ATTRS(axis_last) = { INT("axis", -1), END };
ATTRS(axis_0) = { INT("axis", 0), END };
ATTRS(axis_1) = { INT("axis", 1), END };
ATTRS(concat) = { INT("axis", 0), END };
ATTRS(loss) = { INT("ignore_index", 0), STRING("reduction", "mean"), END };
ATTRS(reduce) = {
	OLD_LIST("axes", INTS, 17),
	INT("keepdims", 1),
	INT("noop_with_empty_axes", 0),
	END
};

ATTRS(lstm) = {
	LIST("activation_alpha", FLOATS),
	LIST("activation_beta", FLOATS),
	LIST("activations", STRINGS),
	FLOAT("clip", 0.0f),
	STRING("direction", "forward"),
	INT("hidden_size", 0),
	INT("input_forget", 0),
	INT("layout", 0),
	OLD_INT("output_sequence", 0, 6),
	END
};

ATTRS(gru) = {
	LIST("activation_alpha", FLOATS),
	LIST("activation_beta", FLOATS),
	LIST("activations", STRINGS),
	FLOAT("clip", 0.0f),
	STRING("direction", "forward"),
	INT("hidden_size", 0),
	INT("layout", 0),
	OLD_INT("output_sequence", 0, 6),
	INT("linear_before_reset", 0),
	END
};
ATTRS(rnn) = {
	LIST("activation_alpha", FLOATS),
	LIST("activation_beta", FLOATS),
	LIST("activations", STRINGS),
	FLOAT("clip", 0.0f),
	STRING("direction", "forward"),
	INT("hidden_size", 0),
	INT("layout", 0),
	OLD_INT("output_sequence", 0, 6),
	END
};

ATTRS(attention) = {
	INT("is_causal", 0),
	INT("kv_num_heads", 0),
	/* steps that a query sees before and after its own; -1: all */
	INT("left_window_size", -1),
	INT("q_num_heads", 0),
	INT("qk_matmul_output_mode", 0),
	INT("right_window_size", -1),
	/* 1 / sqrt(features) unless given */
	FLOAT("scale", 0.0f),
	FLOAT("softcap", 0.0f),
	INT("softmax_precision", 1),
	END
};
ATTRS(rotary) = {
	INT("interleaved", 0),
	INT("num_heads", 0),
	INT("rotary_embedding_dim", 0),
	END
};

ATTRS(dropout) = {
	OLD_INT("is_test", 0, 6),
	OLD_FLOAT("ratio", 0.5f, 11),
	INT("seed", 0),
	END
};
ATTRS(reshape) = { INT("allowzero", 0), OLD_LIST("shape", INTS, 4), END };
ATTRS(squeeze) = { OLD_LIST("axes", INTS, 12), END };
ATTRS(transpose) = { LIST("perm", INTS), END };
ATTRS(slice) = {
	OLD_LIST("axes", INTS, 9),
	OLD_LIST("ends", INTS, 9),
	OLD_LIST("starts", INTS, 9),
	END
};
ATTRS(split) = {
	INT("axis", 0),
	INT("num_outputs", 0),
	OLD_LIST("split", INTS, 12),
	END
};
ATTRS(pad) = {
	STRING("mode", "constant"),
	OLD_LIST("paddings", INTS, 1),
	OLD_LIST("pads", INTS, 10),
	OLD_FLOAT("value", 0.0f, 10),
	END
};
ATTRS(depth_to_space) = { INT("blocksize", 0), STRING("mode", "DCR"), END };
ATTRS(space_to_depth) = { INT("blocksize", 0), END };
ATTRS(resize) = {
	INT("antialias", 0),
	LIST("axes", INTS),
	STRING("coordinate_transformation_mode", "half_pixel"),
	FLOAT("cubic_coeff_a", -0.75f),
	INT("exclude_outside", 0),
	FLOAT("extrapolation_value", 0.0f),
	STRING("keep_aspect_ratio_policy", "stretch"),
	STRING("mode", "nearest"),
	STRING("nearest_mode", "round_prefer_floor"),
	END
};
ATTRS(grid_sample) = {
	INT("align_corners", 0),
	STRING("mode", "linear"),
	STRING("padding_mode", "zeros"),
	END
};
ATTRS(affine_grid) = { INT("align_corners", 0), END };
ATTRS(dft) = { OLD_INT("axis", 1, 19), INT("inverse", 0), INT("onesided", 0), END };
ATTRS(stft) = { INT("onesided", 1), END };
ATTRS(window) = { INT("output_datatype", 1), INT("periodic", 1), END };
ATTRS(upsample) = {
	OLD_FLOAT("height_scale", 1.0f, 6),
	STRING("mode", "nearest"),
	OLD_LIST("scales", FLOATS, 8),
	OLD_FLOAT("width_scale", 1.0f, 6),
	END
};
ATTRS(einsum) = { STRING("equation", ""), END };
ATTRS(center_crop_pad) = { LIST("axes", INTS), END };
ATTRS(reverse_sequence) = { INT("batch_axis", 1), INT("time_axis", 0), END };
ATTRS(tensor_scatter) = { INT("axis", -2), STRING("mode", "linear"), END };
ATTRS(trilu) = { INT("upper", 1), END };
ATTRS(eye_like) = { INT("dtype", 0), INT("k", 0), END };
ATTRS(cum_sum) = { INT("exclusive", 0), INT("reverse", 0), END };
ATTRS(arg) = { INT("axis", 0), INT("keepdims", 1), INT("select_last_index", 0), END };
ATTRS(gather_nd) = { INT("batch_dims", 0), END };
ATTRS(scatter_elements) = { INT("axis", 0), STRING("reduction", "none"), END };
ATTRS(scatter_nd) = { STRING("reduction", "none"), END };
ATTRS(adagrad) = {
	FLOAT("decay_factor", 0.0f),
	FLOAT("epsilon", 1e-6f),
	FLOAT("norm_coefficient", 0.0f),
	END
};
ATTRS(adam) = {
	FLOAT("alpha", 0.9f),
	FLOAT("beta", 0.999f),
	FLOAT("epsilon", 1e-6f),
	FLOAT("norm_coefficient", 0.0f),
	FLOAT("norm_coefficient_post", 0.0f),
	END
};
ATTRS(momentum) = {
	FLOAT("alpha", 0.0f),
	FLOAT("beta", 0.0f),
	STRING("mode", "standard"),
	FLOAT("norm_coefficient", 0.0f),
	END
};
ATTRS(put) = { STRING("reduction", "none"), END };
ATTRS(topk) = {
	INT("axis", -1),
	OLD_INT("k", 0, 9),
	INT("largest", 1),
	INT("sorted", 1),
	END
};
ATTRS(compress) = { INT("axis", 0), END };
ATTRS(clip) = { OLD_FLOAT("max", FLT_MAX, 10), OLD_FLOAT("min", -FLT_MAX, 10), END };
ATTRS(constant_of_shape) = { LIST("value", TENSOR), END };
ATTRS(shape) = { INT("end", INT64_MAX), INT("start", 0), END };
ATTRS(cast) = {
	STRING("round_mode", "up"),
	INT("saturate", 1),
	INT("to", 0),
	OLD_STRING("to", "", 5),
	END
};

#define nc_upgrade_none	NULL
#define nc_expand_none	NULL
#define nc_infer_none	NULL
#define nc_eval_none	NULL
#define nc_lower_none	NULL
#define nc_emit_none	NULL

static const struct nc_op table[NC_OPS] = {
#define NC_OP(n, s, imin, imax, omin, omax, a, u, i, ev, lo, em, ar, ty)	\
	[NC_OP_##n] = {							\
		.name = #n, .code = NC_OP_##n, .since = s,		\
		.in_min = imin, .in_max = imax,				\
		.out_min = omin, .out_max = omax,			\
		.attr = attr_##a, .upgrade = nc_upgrade_##u,		\
		.infer = nc_infer_##i, .eval = nc_eval_##ev,		\
		.lower = nc_lower_##lo, .emit = nc_emit_##em, .arg = ar, .types = ty, \
	},
#define NC_EXPAND(n, s, imin, imax, omin, omax, a, u, i, ev, lo, ex, ar) \
	[NC_OP_##n] = {							\
		.name = #n, .code = NC_OP_##n, .since = s,		\
		.in_min = imin, .in_max = imax,				\
		.out_min = omin, .out_max = omax,			\
		.attr = attr_##a, .upgrade = nc_upgrade_##u,		\
		.infer = nc_infer_##i, .eval = nc_eval_##ev,		\
		.lower = nc_lower_##lo, .expand = nc_expand_##ex, .arg = ar, \
		.types = NC_CLASS_FLOAT | NC_CLASS_INT | NC_CLASS_BOOL,	\
	},
#include "ops.h.inc"
};

const struct nc_op *nc_op_get(enum nc_opcode code)
{
	return &table[code];
}

const struct nc_op *nc_op_find(const char *name)
{
	for (int i = 0; i < NC_OPS; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}
