/* SPDX-License-Identifier: MIT */
/* The functions that the rows of ops.h.inc name. */
#ifndef NPU_COMPILER_OPS_H
#define NPU_COMPILER_OPS_H

#include "graph.h"
#include "npu_isa.h"

/* arg of comparisons */
enum nc_compare {
	NC_EQUAL,
	NC_LESS,
	NC_LESS_EQUAL,
	NC_GREATER,
	NC_GREATER_EQUAL,
};

/* upgrade.c */
#define UPGRADE(f) int nc_upgrade_##f(struct npu_graph *g, struct nc_node *n, int64_t opset)
UPGRADE(axes);
UPGRADE(batch_norm);
UPGRADE(broadcast);
UPGRADE(cast);
UPGRADE(cast_like);
UPGRADE(clip);
UPGRADE(concat);
UPGRADE(dropout);
UPGRADE(group_norm);
UPGRADE(lp_pool);
UPGRADE(pad);
UPGRADE(prelu);
UPGRADE(reshape);
UPGRADE(selu);
UPGRADE(slice);
UPGRADE(softmax);
UPGRADE(split);
UPGRADE(tile);
UPGRADE(topk);
/* expand_resize.c, expand_einsum.c, expand_signal.c */
UPGRADE(dft);
UPGRADE(resize);
UPGRADE(upsample);
#undef UPGRADE

#define INFER(f) int nc_infer_##f(struct npu_graph *g, struct nc_node *n)
/* shape.c: elements */
INFER(axis);
INFER(broadcast);
INFER(cast);
INFER(clip);
INFER(compare);
INFER(constant_of_shape);
INFER(dropout);
INFER(has_element);
INFER(non_zero);
INFER(pow);
INFER(prelu);
INFER(range);
INFER(same);
INFER(shape);
INFER(size);
INFER(test);
INFER(where);
/* shape_move.c: the same elements elsewhere */
INFER(center_crop_pad);
INFER(concat);
INFER(depth_to_space);
INFER(eye_like);
INFER(expand);
INFER(flatten);
INFER(gather);
INFER(pad);
INFER(reshape);
INFER(slice);
INFER(split);
INFER(space_to_depth);
INFER(squeeze);
INFER(tile);
INFER(transpose);
INFER(trilu);
INFER(unsqueeze);
/* shape_nn.c: windows, products, reductions, recurrent */
INFER(col2im);
INFER(conv);
INFER(conv_transpose);
INFER(gemm);
INFER(global_pool);
INFER(matmul);
INFER(max_unpool);
INFER(pool);
INFER(recurrent);
INFER(reduce);
INFER(window_conv);
INFER(weight_grad);
INFER(unpool);
/* expand_resize.c, expand_einsum.c, expand_loss.c, expand_sample.c, expand_signal.c */
INFER(affine_grid);
INFER(dft);
INFER(stft);
INFER(window);
INFER(einsum);
INFER(grid_sample);
INFER(loss);
INFER(resize);
/* shape_index.c: indices */
INFER(arg);
INFER(compress);
INFER(gather_elements);
INFER(gather_nd);
INFER(one_hot);
INFER(put);
INFER(scatter_elements);
INFER(scatter_nd);
INFER(take);
INFER(topk);
/* shape_norm.c: normalisations */
INFER(batch_norm);
INFER(channel_norm);
INFER(layer_norm);
/* shape_attention.c */
INFER(attention);
INFER(rotary);
/* grad/grad.c, expand_optimizer.c */
INFER(gradient);
INFER(optimizer);
#undef INFER

#define EXPAND(f) int nc_expand_##f(const struct nc_expand *e)
/* expand/expand_attention.c */
EXPAND(attention);
EXPAND(rotary);
/* expand/expand_conv.c */
EXPAND(col2im);
EXPAND(conv);
EXPAND(conv_transpose);
/* expand/expand_pool.c */
EXPAND(global_lp_pool);
EXPAND(lp_pool);
EXPAND(max_unpool);
EXPAND(pool);
/* expand/expand_norm.c */
EXPAND(batch_norm);
EXPAND(group_norm);
EXPAND(instance_norm);
EXPAND(layer_norm);
EXPAND(lp_norm);
EXPAND(lrn);
EXPAND(mean_variance);
EXPAND(reduce);
EXPAND(rms_norm);
/* expand/expand_matmul.c */
EXPAND(gemm);
EXPAND(matmul);
/* expand/expand_index.c */
EXPAND(compress);
EXPAND(gather);
EXPAND(gather_elements);
EXPAND(gather_nd);
EXPAND(hardmax);
EXPAND(one_hot);
EXPAND(scatter_elements);
EXPAND(scatter_nd);
EXPAND(topk);
/* expand/expand_optimizer.c */
EXPAND(optimizer);
/* expand/expand_sample.c */
EXPAND(affine_grid);
EXPAND(grid_sample);
/* expand/expand_signal.c */
EXPAND(dft);
EXPAND(stft);
EXPAND(window);
/* expand/expand_sequence.c */
EXPAND(reverse_sequence);
EXPAND(tensor_scatter);
/* expand/expand_move.c */
EXPAND(center_crop_pad);
EXPAND(cum_sum);
EXPAND(depth_to_space);
EXPAND(eye_like);
EXPAND(pad);
EXPAND(space_to_depth);
EXPAND(tile);
EXPAND(trilu);
/* expand_einsum.c, expand_resize.c */
EXPAND(einsum);
EXPAND(resize);
/* expand/expand_loss.c */
EXPAND(loss);
/* expand/expand_rnn.c */
EXPAND(lstm);
EXPAND(rnn);
#undef EXPAND

/* fold.c, fold_move.c */
#define EVAL(f) int nc_eval_##f(struct npu_graph *g, struct nc_node *n)
EVAL(cast);
EVAL(concat);
EVAL(copy);
EVAL(fill);
EVAL(gather);
EVAL(has_element);
EVAL(move);
EVAL(non_zero);
EVAL(pad);
EVAL(pointwise);
EVAL(pow);
EVAL(range);
EVAL(reduce);
EVAL(shape);
EVAL(size);
#undef EVAL

/* lower/ */
#define LOWER(f) int nc_lower_##f(struct nc_legal *l, const struct nc_node *n)
LOWER(arg);
LOWER(concat);
LOWER(conv);
LOWER(weight_grad);
LOWER(unpool);
LOWER(dropout);
LOWER(fill);
LOWER(gather_elements);
LOWER(gather_nd);
LOWER(gemm);
LOWER(global_pool);
LOWER(lstm);
LOWER(matmul);
LOWER(pad);
LOWER(pointwise);
LOWER(pool);
LOWER(pow);
LOWER(put);
LOWER(reduce);
LOWER(scatter_elements);
LOWER(scatter_nd);
LOWER(softmax);
LOWER(split);
LOWER(take);
LOWER(variadic);
LOWER(view);
#undef LOWER

/* What @m computes from and to. */
void nc_map_types(struct nc_map *m, enum npu_graph_dtype from, enum npu_graph_dtype to);
/* The integer micro-op that does to integers what @op does to floats, when @m is on them. */
enum npu_uop nc_uop_for(const struct nc_map *m, enum npu_uop op);

/* funcs.c, funcs_math.c, funcs_int.c */
#define EMIT(f) int nc_emit_##f(struct nc_map *m, const struct nc_node *n, const int *x)
EMIT(acos);
EMIT(acosh);
EMIT(affine);
EMIT(asin);
EMIT(asinh);
EMIT(atan);
EMIT(atanh);
EMIT(bit_shift);
EMIT(cast);
EMIT(compare);
EMIT(cosh);
EMIT(is_inf);
EMIT(is_nan);
EMIT(logic);
EMIT(mod);
EMIT(not);
EMIT(shrink);
EMIT(sinh);
EMIT(tan);
EMIT(random_bits);
EMIT(relu_grad);
EMIT(where);
EMIT(celu);
EMIT(clip);
EMIT(elu);
EMIT(gelu);
EMIT(hard_sigmoid);
EMIT(hard_swish);
EMIT(leaky_relu);
EMIT(mean);
EMIT(mish);
EMIT(pow);
EMIT(prelu);
EMIT(reciprocal);
EMIT(relu);
EMIT(scaled_tanh);
EMIT(selu);
EMIT(sign);
EMIT(softplus);
EMIT(softsign);
EMIT(swish);
EMIT(thresholded_relu);
EMIT(uop);
#undef EMIT

#endif
