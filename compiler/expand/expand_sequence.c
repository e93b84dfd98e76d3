/* SPDX-License-Identifier: MIT */
/* Sequences of which each in a batch has a length or a place of its own, as rows by index. */
#include <errno.h>
#include <string.h>

#include "expand.h"
#include "expand_util.h"

/* Beyond all rows: an index that faults. */
#define NO_ROW	(1 << 30)

static uint32_t ints(const struct nc_expand *e, enum nc_opcode code, uint32_t t, int64_t value)
{
	return nc_x_2(e, code, t, nc_x_ints(e, &value, 1));
}

/* The I64 matrix [count, 1] of i * step. */
static uint32_t column(const struct nc_expand *e, int64_t count, int64_t step)
{
	uint32_t t = ints(e, NC_OP_Mul, nc_x_range(e, count), step);

	return nc_x_reshape(e, t, 2, (const int64_t[]){ count, 1 });
}

/* A length or place for each in the batch as [batch, 1], in I64. */
static int per_batch(const struct nc_expand *e, uint32_t i, int64_t batch, uint32_t *t)
{
	const struct nc_tensor *v = nc_x_get(e, nc_x_in(e, i));
	char text[NC_SHAPE_TEXT];

	if (v->rank != 1 || v->dim[0] != batch || v->dtype != NPU_GRAPH_I64)
		return nc_node_error(&e->g->diag, e->n, -EINVAL, "input %u is %s; it must be i64[%lld]",
				     i, nc_shape_text(v, text), (long long)batch);
	*t = nc_x_reshape(e, nc_x_in(e, i), 2, (const int64_t[]){ batch, 1 });
	return 0;
}

/* Step t of a sequence with length n is its step n - 1 - t, as long as that is one. */
int nc_expand_reverse_sequence(const struct nc_expand *e)
{
	int64_t time = nc_attr(e->n, "time_axis")->i, axis = nc_attr(e->n, "batch_axis")->i;
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	int64_t perm[NPU_GRAPH_RANK_MAX] = { axis, time, 2, 3, 4, 5, 6, 7 };
	int64_t dim[NPU_GRAPH_RANK_MAX], rows[2];
	uint32_t t = nc_x_in(e, 0), len, at;
	int ret;

	if (x->rank < 2 || time < 0 || time > 1 || axis != 1 - time)
		return nc_node_error(&e->g->diag, e->n, -EINVAL,
				     "time_axis and batch_axis must be 0 and 1, or 1 and 0");
	ret = per_batch(e, 1, x->dim[axis], &len);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < x->rank; i++)
		dim[i] = x->dim[perm[i]];
	rows[0] = dim[0] * dim[1];
	rows[1] = (int64_t)x->elems / rows[0];
	at = nc_x_2(e, NC_OP_Sub, ints(e, NC_OP_Sub, len, 1), nc_x_range(e, dim[1]));
	at = nc_x_where(e, ints(e, NC_OP_Less, at, 0), nc_x_range(e, dim[1]), at);
	at = nc_x_2(e, NC_OP_Add, at, column(e, dim[0], dim[1]));
	t = nc_x_reshape(e, nc_x_transpose(e, t, perm), 2, rows);
	t = nc_x_2(e, NC_OP_Gather, t, nc_x_reshape(e, at, 1, rows));
	/* Swapping two axes twice leaves them where they were. */
	t = nc_x_transpose(e, nc_x_reshape(e, t, x->rank, dim), perm);
	nc_x_result(e, 0, t);
	return nc_x_done(e);
}

/**
 * struct cache - where a TensorScatter writes
 * @batch: examples
 * @rows: sequences: examples times what is between them and the steps
 * @steps: of the cache
 * @fresh: of the update
 * @rest: elements of a step
 */
struct cache {
	int64_t batch, rows, steps, fresh, rest;
};

static int cache_get(const struct nc_expand *e, struct cache *c)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0)), *u = nc_x_get(e, nc_x_in(e, 1));
	int axis = nc_axis(e->g, e->n, nc_attr(e->n, "axis")->i, x->rank);
	bool fits = x->rank == u->rank && x->dtype == u->dtype && axis > 0;
	char text[2][NC_SHAPE_TEXT];

	if (axis < 0)
		return axis;
	for (unsigned int i = 0; fits && i < x->rank; i++)
		fits = i == (unsigned int)axis ? u->dim[i] <= x->dim[i] : u->dim[i] == x->dim[i];
	if (!fits)
		return nc_node_error(&e->g->diag, e->n, -EINVAL,
				     "update %s does not fit cache %s along axis %d",
				     nc_shape_text(u, text[0]), nc_shape_text(x, text[1]), axis);
	*c = (struct cache){ .batch = x->dim[0], .rows = 1, .steps = x->dim[axis],
			     .fresh = u->dim[axis] };
	for (int i = 0; i < axis; i++)
		c->rows *= x->dim[i];
	c->rest = (int64_t)x->elems / c->rows / c->steps;
	return 0;
}

/* The step of each new one in its sequence, [batch, fresh]. */
static int places(const struct nc_expand *e, const struct cache *c, uint32_t *at)
{
	const char *mode = nc_attr(e->n, "mode")->s;
	int ret;

	*at = nc_x_range(e, c->fresh);
	if (strcmp(mode, "linear") && strcmp(mode, "circular"))
		return nc_node_error(&e->g->diag, e->n, -EINVAL,
				     "mode \"%s\" is neither linear nor circular", mode);
	if (nc_x_in(e, 2) != NC_NONE) {
		uint32_t first;

		ret = per_batch(e, 2, c->batch, &first);
		if (ret)
			return ret;
		*at = nc_x_2(e, NC_OP_Add, first, *at);
	}
	if (!strcmp(mode, "circular")) {
		*at = ints(e, NC_OP_Mod, *at, c->steps);
	} else if (nc_x_in(e, 2) != NC_NONE) {
		/* A step beyond the cache is no step of the next sequence. */
		int64_t none = NO_ROW;
		uint32_t bad = nc_x_2(e, NC_OP_Or, ints(e, NC_OP_Less, *at, 0),
				      ints(e, NC_OP_GreaterOrEqual, *at, c->steps));

		*at = nc_x_where(e, bad, nc_x_ints(e, &none, 1), *at);
	}
	return 0;
}

int nc_expand_tensor_scatter(const struct nc_expand *e)
{
	const struct nc_tensor *x = nc_x_get(e, nc_x_in(e, 0));
	uint32_t at, cache, update;
	struct cache c = { 0 };
	int ret = cache_get(e, &c);

	ret = ret ? ret : places(e, &c, &at);
	if (ret)
		return ret;
	if (!c.fresh) {
		nc_x_result(e, 0, nc_x_in(e, 0));
		return nc_x_done(e);
	}
	/* The same for all sequences of an example. */
	at = nc_x_reshape(e, at, 3, (const int64_t[]){ nc_x_in(e, 2) == NC_NONE ? 1 : c.batch, 1,
						       c.fresh });
	at = nc_x_2(e, NC_OP_Add, at, nc_x_reshape(e, column(e, c.rows, c.steps), 3,
						   (const int64_t[]){ c.batch, c.rows / c.batch, 1 }));
	at = nc_x_reshape(e, at, 2, (const int64_t[]){ c.rows * c.fresh, 1 });
	cache = nc_x_reshape(e, nc_x_in(e, 0), 2, (const int64_t[]){ c.rows * c.steps, c.rest });
	update = nc_x_reshape(e, nc_x_in(e, 1), 2, (const int64_t[]){ c.rows * c.fresh, c.rest });
	cache = nc_x_node(e, NC_OP_ScatterND, NULL, 3, (const uint32_t[]){ cache, at, update });
	nc_x_result(e, 0, nc_x_reshape(e, cache, x->rank, x->dim));
	return nc_x_done(e);
}
