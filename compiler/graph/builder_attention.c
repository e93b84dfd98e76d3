/* SPDX-License-Identifier: MIT */
/* The graph builder: what transformers are made of. */
#include <errno.h>
#include <math.h>

#include "builder.h"

int npu_graph_gather(struct npu_graph *g, int x, int index, int axis)
{
	struct nc_call c;
	int ret = nc_build_check(g, "gather", x);

	ret = ret ? ret : nc_build_check(g, "gather", index);
	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_Gather, 2);
	nc_call_in(&c, 0, x);
	nc_call_in(&c, 1, index);
	nc_call_int(&c, "axis", axis);
	return nc_call_end(&c);
}

int npu_graph_layer_norm(struct npu_graph *g, int x, int axis, int scale, int bias, float epsilon)
{
	struct nc_call c;
	int ret = nc_build_check(g, "layer_norm", x);

	ret = ret ? ret : nc_build_check(g, "layer_norm", scale);
	if (!ret && bias != NPU_TENSOR_NONE)
		ret = nc_build_check(g, "layer_norm", bias);
	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_LayerNormalization, bias == NPU_TENSOR_NONE ? 2 : 3);
	nc_call_in(&c, 0, x);
	nc_call_in(&c, 1, scale);
	if (bias != NPU_TENSOR_NONE)
		nc_call_in(&c, 2, bias);
	nc_call_int(&c, "axis", axis);
	nc_call_float(&c, "epsilon", epsilon);
	return nc_call_end(&c);
}

int npu_graph_where(struct npu_graph *g, int condition, int a, int b)
{
	struct nc_call c;
	int ret = nc_build_check(g, "where", condition);

	ret = ret ? ret : nc_build_check(g, "where", a);
	ret = ret ? ret : nc_build_check(g, "where", b);
	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_Where, 3);
	nc_call_in(&c, 0, condition);
	nc_call_in(&c, 1, a);
	nc_call_in(&c, 2, b);
	return nc_call_end(&c);
}

int npu_graph_cast(struct npu_graph *g, int x, enum npu_graph_dtype dtype)
{
	struct nc_call c;
	int ret = nc_build_check(g, "cast", x);

	if (ret)
		return ret;
	if ((unsigned int)dtype >= NC_DTYPES)
		return nc_build_fail(g, -EINVAL, "cast", "there is no such element type");
	c = nc_call_begin(g, NC_OP_Cast, 1);
	nc_call_in(&c, 0, x);
	nc_call_int(&c, "to", nc_dtype_to_onnx(dtype));
	return nc_call_end(&c);
}

int npu_graph_arg_max(struct npu_graph *g, int x, int axis, bool keep_dims)
{
	struct nc_call c;
	int ret = nc_build_check(g, "arg_max", x);

	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_ArgMax, 1);
	nc_call_in(&c, 0, x);
	nc_call_int(&c, "axis", axis);
	nc_call_int(&c, "keepdims", keep_dims);
	return nc_call_end(&c);
}

int npu_graph_split(struct npu_graph *g, int x, int axis, unsigned int parts,
		    const int64_t *size, int *part)
{
	struct nc_call c;
	int ret = nc_build_check(g, "split", x);

	if (!ret && (!parts || parts > NC_NODE_ARGS_MAX))
		ret = nc_build_fail(g, -EINVAL, "split", "makes 1 to 4096 tensors");
	for (unsigned int i = 0; ret && i < parts && parts <= NC_NODE_ARGS_MAX; i++)
		part[i] = ret;
	if (ret)
		return ret;
	c = nc_call_begin(g, NC_OP_Split, 2);
	nc_call_in(&c, 0, x);
	nc_call_ints_in(&c, 1, size, parts);
	nc_call_int(&c, "axis", axis);
	return nc_call_end_many(&c, parts, part);
}

/* ---- attention ---- */

int npu_graph_masked_attention(struct npu_graph *g, int q, int k, int v, int mask, float scale)
{
	unsigned int perm[NPU_GRAPH_RANK_MAX], rank;
	int ret = nc_build_check(g, "attention", q);
	int64_t factor;
	int x;

	ret = ret ? ret : nc_build_check(g, "attention", k);
	ret = ret ? ret : nc_build_check(g, "attention", v);
	if (ret)
		return ret;
	rank = g->tensor[q]->rank;
	if (rank < 2 || g->tensor[k]->rank != rank || g->tensor[v]->rank != rank)
		return nc_build_fail(g, -EINVAL, "attention",
				     "q, k and v must have the same number of dimensions, at least 2");
	for (unsigned int i = 0; i < rank; i++)
		perm[i] = i;
	perm[rank - 1] = rank - 2;
	perm[rank - 2] = rank - 1;
	if (scale == 0)
		scale = 1 / sqrtf((float)g->tensor[q]->dim[rank - 1]);
	factor = nc_graph_float(g, scale);
	if (factor < 0)
		return (int)factor;
	x = npu_graph_transpose(g, k, perm);
	x = npu_graph_matmul(g, q, x);
	x = npu_graph_binary(g, NPU_BINARY_MUL, x, (int)factor);
	if (mask != NPU_TENSOR_NONE)
		x = npu_graph_binary(g, NPU_BINARY_ADD, x, mask);
	x = npu_graph_softmax(g, x, -1);
	return npu_graph_matmul(g, x, v);
}

int npu_graph_attention(struct npu_graph *g, int q, int k, int v, float scale)
{
	return npu_graph_masked_attention(g, q, k, v, NPU_TENSOR_NONE, scale);
}

static const unsigned int swap_heads[] = { 0, 2, 1, 3 };

int npu_graph_split_heads(struct npu_graph *g, int x, unsigned int heads)
{
	const int64_t *dim;
	int ret = nc_build_check_rank(g, "split_heads", x, 3);

	if (ret)
		return ret;
	dim = g->tensor[x]->dim;
	if (!heads || dim[2] % heads)
		return nc_build_fail(g, -EINVAL, "split_heads",
				     "the features are not a multiple of the number of heads");
	x = npu_graph_reshape(g, x, 4, (const int64_t[]){ dim[0], dim[1], heads, dim[2] / heads });
	return x < 0 ? x : npu_graph_transpose(g, x, swap_heads);
}

int npu_graph_merge_heads(struct npu_graph *g, int x)
{
	const int64_t *dim;
	int ret = nc_build_check_rank(g, "merge_heads", x, 4);

	if (ret)
		return ret;
	x = npu_graph_transpose(g, x, swap_heads);
	if (x < 0)
		return x;
	dim = g->tensor[x]->dim;
	return npu_graph_reshape(g, x, 3, (const int64_t[]){ dim[0], dim[1], dim[2] * dim[3] });
}

int npu_graph_multi_head_attention(struct npu_graph *g, int q, int k, int v, unsigned int heads,
				   int mask)
{
	q = npu_graph_split_heads(g, q, heads);
	k = npu_graph_split_heads(g, k, heads);
	v = npu_graph_split_heads(g, v, heads);
	return npu_graph_merge_heads(g, npu_graph_masked_attention(g, q, k, v, mask, 0));
}
