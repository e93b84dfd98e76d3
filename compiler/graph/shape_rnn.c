/* SPDX-License-Identifier: MIT */
/* Shapes of recurrent operators; a row's arg is its number of gates. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops.h"

/* Input @i, if it is there, must be of X's type and @rank dimensions @dim. */
static int state_input(struct npu_graph *g, const struct nc_node *n, uint32_t i,
		      const char *what, unsigned int rank, const int64_t *dim)
{
	const struct nc_tensor *t = nc_in(g, n, i);
	struct nc_tensor want = { .dtype = nc_in(g, n, 0)->dtype, .rank = rank };
	char text[2][NC_SHAPE_TEXT];

	if (!t)
		return 0;
	memcpy(want.dim, dim, rank * sizeof(*dim));
	if (t->dtype == want.dtype && t->rank == rank &&
	    !memcmp(t->dim, dim, rank * sizeof(*dim)))
		return 0;
	return nc_node_error(&g->diag, n, -EINVAL, "%s is %s; it must be %s", what,
			     nc_shape_text(t, text[0]), nc_shape_text(&want, text[1]));
}

int nc_infer_recurrent(struct npu_graph *g, struct nc_node *n)
{
	const struct nc_tensor *x = nc_in(g, n, 0), *r = nc_in(g, n, 2), *len = nc_in(g, n, 4);
	const char *direction = nc_attr(n, "direction")->s;
	int64_t dirs = !strcmp(direction, "bidirectional") ? 2 : 1;
	int64_t layout = nc_attr(n, "layout")->i, size = nc_attr(n, "hidden_size")->i;
	char tx[NC_SHAPE_TEXT], tr[NC_SHAPE_TEXT];
	int64_t gates = n->op->arg, seq, batch, hidden;
	int ret = 0;

	if (dirs == 1 && strcmp(direction, "forward") && strcmp(direction, "reverse"))
		return nc_node_error(&g->diag, n, -EINVAL, "direction \"%s\" is unknown",
				     direction);
	if (layout != 0 && layout != 1)
		return nc_node_error(&g->diag, n, -EINVAL,
				     "layout is %" PRId64 "; it must be 0 or 1", layout);
	if (x->rank != 3 || r->rank != 3 || r->dim[2] < 1 || r->dim[2] > INT32_MAX ||
	    (nc_attr_given(n, "hidden_size") && size != r->dim[2]))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "input %s, recurrence %s and hidden_size %" PRId64 " do not fit: they must be [steps, batch, features] and [directions, %d hidden, hidden]",
				     nc_shape_text(x, tx), nc_shape_text(r, tr), size,
				     n->op->arg);
	seq = x->dim[layout];
	batch = x->dim[!layout];
	hidden = r->dim[2];
	if (!seq || !batch || !x->dim[2])
		return nc_node_error(&g->diag, n, -ENOTSUP, "input %s is empty",
				     nc_shape_text(x, tx));

	const int64_t wdim[] = { dirs, gates * hidden, x->dim[2] };
	const int64_t rdim[] = { dirs, gates * hidden, hidden };
	const int64_t bdim[] = { dirs, 2 * gates * hidden };
	const int64_t pdim[] = { dirs, 3 * hidden };
	const int64_t sdim[] = { layout ? batch : dirs, layout ? dirs : batch, hidden };
	const int64_t ydim[2][4] = { { seq, dirs, batch, hidden }, { batch, seq, dirs, hidden } };

	if (nc_dtype_class(x->dtype) != NC_CLASS_FLOAT)
		return nc_node_error(&g->diag, n, -EINVAL, "X is %s; it must be floats",
				     nc_shape_text(x, tx));
	ret = state_input(g, n, 1, "W", 3, wdim);
	ret = ret ? ret : state_input(g, n, 2, "R", 3, rdim);
	ret = ret ? ret : state_input(g, n, 3, "B", 2, bdim);
	ret = ret ? ret : state_input(g, n, 5, "initial_h", 3, sdim);
	ret = ret ? ret : state_input(g, n, 6, "initial_c", 3, sdim);
	ret = ret ? ret : state_input(g, n, 7, "P", 2, pdim);
	if (ret)
		return ret;
	if (len && (len->dtype != NPU_GRAPH_I32 || len->rank != 1 || len->dim[0] != batch))
		return nc_node_error(&g->diag, n, -EINVAL,
				     "sequence_lens is %s; it must be i32[%" PRId64 "]",
				     nc_shape_text(len, tx), batch);
	if (n->outs > 0)
		ret = nc_tensor_shape(g, n, n->out[0], x->dtype, 4, ydim[layout]);
	if (!ret && n->outs > 3)
		ret = nc_tensor_shape(g, n, n->out[3], x->dtype, 4, ydim[0]);
	for (uint32_t i = 1; !ret && i < n->outs && i < 3; i++)
		ret = nc_tensor_shape(g, n, n->out[i], x->dtype, 3, sdim);
	return ret;
}
