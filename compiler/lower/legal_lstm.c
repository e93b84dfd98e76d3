/* SPDX-License-Identifier: MIT */
/*
 * LSTM, unrolled over time. The input's part of all gates and all steps is one
 * product. A step is one product with four accumulator groups, whose epilogue
 * is the whole cell; where that is too much for one epilogue (peepholes, long
 * activations) it leaves the sums to one or several maps. The batch is a
 * dimension of every operation.
 *
 * Sequence lengths: every step computes, and a map then chooses between the new
 * state and the old one by step < length. In reverse direction the state simply
 * stays the initial one until the sequence's last element comes.
 */
#include <errno.h>
#include <string.h>

#include "legal.h"
#include "graph/activation.h"
#include "graph/ops.h"

/* In the order of ONNX's weights. */
enum gate { GATE_I, GATE_O, GATE_F, GATE_C, GATES };
enum func { FUNC_F, FUNC_G, FUNC_H, FUNCS };

/**
 * struct state - the cell's state between two steps, [1, 1, batch, hidden]
 * @set: false: zero
 */
struct state {
	bool set;
	struct nc_view view;
};

/**
 * struct lstm - one LSTM node, direction by direction
 * @x: [steps, batch, features]
 * @w: [directions, 4 hidden, features]; @r, @b, @p likewise
 * @y: [steps, directions, batch, hidden], if has_y
 * @y_h: [directions, batch, hidden], if has_h; @y_c likewise
 * @cells: as @y: the cells of all steps, if has_cells
 * @proj: x W^T + bias of this direction, [steps, batch, 4 hidden]
 * @h: @c: spare states that take turns
 * @pre: sums of the gates, if has_pre
 */
struct lstm {
	struct nc_legal *l;
	const struct nc_node *n;
	int64_t steps, batch, hidden, dirs;
	float clip;
	bool input_forget;
	bool has_b, has_len, has_h0, has_c0, has_p;
	bool has_y, has_h, has_c, has_cells;
	struct nc_view x, w, r, b, len, h0, c0, p;
	struct nc_view y, y_h, y_c, cells;
	struct nc_activation act[2 * FUNCS];
	int64_t dir;
	struct nc_view proj;
	struct nc_view h[2], c[2];
	bool has_pre;
	struct nc_view pre[GATES];
	struct nc_view new_h, new_c;
};

static int optional_input(struct lstm *s, uint32_t i, bool *has, struct nc_view *v)
{
	*has = nc_in(s->l->g, s->n, i);
	return *has ? nc_legal_in(s->l, s->n, i, v) : 0;
}

static int get_inputs(struct lstm *s)
{
	static const unsigned int swap[] = { 1, 0, 2 };
	const struct nc_tensor *len = nc_in(s->l->g, s->n, 4);
	bool layout = nc_attr(s->n, "layout")->i;
	bool unused;
	int ret;

	ret = optional_input(s, 0, &unused, &s->x);
	ret = ret ? ret : optional_input(s, 1, &unused, &s->w);
	ret = ret ? ret : optional_input(s, 2, &unused, &s->r);
	ret = ret ? ret : optional_input(s, 3, &s->has_b, &s->b);
	ret = ret ? ret : optional_input(s, 5, &s->has_h0, &s->h0);
	ret = ret ? ret : optional_input(s, 6, &s->has_c0, &s->c0);
	ret = ret ? ret : optional_input(s, 7, &s->has_p, &s->p);
	if (ret)
		return ret;
	if (layout) {
		nc_view_permute(&s->x, swap, &s->x);
		nc_view_permute(&s->h0, swap, &s->h0);
		nc_view_permute(&s->c0, swap, &s->c0);
	}
	s->steps = s->x.dim[0];
	s->batch = s->x.dim[1];
	s->hidden = s->r.dim[2];
	s->dirs = s->r.dim[0];
	/* Full length everywhere is no length. */
	s->has_len = len && !len->data;
	for (uint64_t i = 0; len && len->data && i < len->elems; i++)
		s->has_len |= ((const int32_t *)len->data)[i] != s->steps;
	return s->has_len ? nc_legal_in_int(s->l, s->n, 4, &s->len) : 0;
}

/* A step of Y must be apart from its neighbours: steps outermost in memory. */
static bool steps_outermost(const struct nc_view *y)
{
	int64_t span = 0;

	for (unsigned int i = 1; i < 4; i++)
		if (y->dim[i] > 1)
			span += (y->dim[i] - 1) * (y->stride[i] < 0 ? -y->stride[i] :
								      y->stride[i]);
	return y->dim[0] == 1 || y->stride[0] > span;
}

/* Is @tensor that of an output before output @i? A map writes each tensor once. */
static bool written_already(const struct lstm *s, uint32_t i, uint32_t tensor)
{
	return (i > 0 && s->has_y && s->y.tensor == tensor) ||
	       (i > 1 && s->has_h && s->y_h.tensor == tensor) ||
	       (i > 2 && s->has_c && s->y_c.tensor == tensor);
}

/*
 * A place for output @i, whose axis d is axis perm[d] of the operator's output:
 * its home if the steps can write there, else a tensor of its own.
 */
static int get_output(struct lstm *s, uint32_t i, const unsigned int *perm, unsigned int rank,
		      const int64_t *dim, struct nc_view *v)
{
	unsigned int back[4];
	struct nc_view out;
	int ret;

	if (nc_legal_home(s->l, s->n, i, &out) && !written_already(s, i, out.tensor)) {
		nc_view_permute(&out, perm, v);
		if (i == 1 || i == 2 || steps_outermost(v)) {
			nc_legal_set(s->l, s->n, i, &out);
			return 0;
		}
	}
	ret = nc_legal_temp(s->l, NPU_F32, rank, dim, NULL, v);
	for (unsigned int d = 0; d < rank; d++)
		back[perm[d]] = d;
	nc_view_permute(v, back, &out);
	nc_legal_set(s->l, s->n, i, &out);
	return ret;
}

static int get_outputs(struct lstm *s)
{
	static const unsigned int y_perm[2][4] = { { 0, 1, 2, 3 }, { 1, 2, 0, 3 } };
	static const unsigned int h_perm[2][3] = { { 0, 1, 2 }, { 1, 0, 2 } };
	const int64_t dim[] = { s->steps, s->dirs, s->batch, s->hidden };
	bool layout = nc_attr(s->n, "layout")->i;
	int ret = 0;

	s->has_y = nc_legal_wanted(s->l, s->n, 0);
	s->has_h = nc_legal_wanted(s->l, s->n, 1);
	s->has_c = nc_legal_wanted(s->l, s->n, 2);
	s->has_cells = nc_legal_wanted(s->l, s->n, 3);
	if (s->has_y)
		ret = get_output(s, 0, y_perm[layout], 4, dim, &s->y);
	if (!ret && s->has_h)
		ret = get_output(s, 1, h_perm[layout], 3, dim + 1, &s->y_h);
	if (!ret && s->has_c)
		ret = get_output(s, 2, h_perm[layout], 3, dim + 1, &s->y_c);
	if (!ret && s->has_cells)
		ret = get_output(s, 3, y_perm[0], 4, dim, &s->cells);
	return ret;
}

/* [1, 1, batch, hidden] at @offset, with the last two strides of @v. */
static struct nc_view cell_view(const struct lstm *s, const struct nc_view *v, int64_t offset)
{
	return (struct nc_view){
		.tensor = v->tensor, .rank = 4, .offset = v->offset + offset,
		.dim = { 1, 1, s->batch, s->hidden },
		.stride = { 0, 0, v->stride[v->rank - 2], v->stride[v->rank - 1] },
	};
}

static int cell_temp(struct lstm *s, struct nc_view *v)
{
	const int64_t dim[] = { 1, 1, s->batch, s->hidden };

	return nc_legal_temp(s->l, NPU_F32, 4, dim, NULL, v);
}

/* Wb + Rb: computed here when constant, else by a map. */
static int add_biases(struct lstm *s, struct nc_view *sum)
{
	const struct nc_tensor *b = nc_in(s->l->g, s->n, 3);
	const int64_t dim = 4 * s->hidden;
	struct nc_view wb = { .tensor = s->b.tensor, .rank = 1, .dim = { dim },
			      .stride = { s->b.stride[1] },
			      .offset = s->b.offset + s->dir * s->b.stride[0] };
	struct nc_view rb = wb;
	struct nc_loop lp;
	int ret;

	if (b->data) {
		const float *from = (const float *)b->data + s->dir * 2 * dim;
		float *data = nc_alloc_array(s->l->k->arena, (size_t)dim, sizeof(*data));

		if (!data)
			return nc_node_error(s->l->diag, s->n, -ENOMEM, "out of memory");
		for (int64_t i = 0; i < dim; i++)
			data[i] = from[i] + from[dim + i];
		return nc_legal_const(s->l, "", NPU_F32, 1, &dim, data, sum);
	}
	rb.offset += dim * rb.stride[0];
	ret = nc_legal_temp(s->l, NPU_F32, 1, &dim, NULL, sum);
	if (ret)
		return ret;
	nc_loop_init(&lp, 1, &dim);
	ret = nc_loop_store(&lp, sum, nc_map_op(&lp.m, NPU_UOP_FADD, nc_loop_load(&lp, &wb),
						nc_loop_load(&lp, &rb), 0));
	return ret ? ret : nc_loop_emit(s->l, s->n, &lp);
}

/* proj = x W^T + Wb + Rb, all steps at once. */
static int project(struct lstm *s)
{
	const int64_t dim[] = { s->steps, s->batch, 4 * s->hidden };
	struct nc_product p = { .a = s->x, .alpha = 1, .beta = 1, .has_c = s->has_b };
	int ret = nc_legal_temp(s->l, NPU_F32, 3, dim, NULL, &s->proj);

	if (!ret && s->has_b)
		ret = add_biases(s, &p.c);
	if (ret)
		return ret;
	p.b = (struct nc_view){
		.tensor = s->w.tensor, .rank = 3,
		.offset = s->w.offset + s->dir * s->w.stride[0],
		.dim = { s->steps, s->x.dim[2], 4 * s->hidden },
		.stride = { 0, s->w.stride[2], s->w.stride[1] },
	};
	p.out = s->proj;
	return nc_legal_product(s->l, s->n, &p);
}

/* An activation over a value, clipped first where asked for. */
static int activate(struct lstm *s, struct nc_map *m, enum func func, int x)
{
	const struct nc_activation *a = &s->act[s->dir * FUNCS + func];

	if (s->clip > 0) {
		x = nc_map_op(m, NPU_UOP_FMAX, x, nc_map_float(m, -s->clip), 0);
		x = nc_map_op(m, NPU_UOP_FMIN, x, nc_map_float(m, s->clip), 0);
	}
	/* Unlike the operator, an LSTM keeps x == alpha. */
	if (a->n.op->code == NC_OP_ThresholdedRelu) {
		float alpha = nc_attr(&a->n, "alpha")->f;
		int low = nc_map_op(m, NPU_UOP_FLT, x, nc_map_float(m, alpha), 0);

		return nc_map_op(m, NPU_UOP_SEL, low, nc_map_float(m, 0), x);
	}
	return nc_legal_emit(s->l, &a->n, m, &x);
}

/* sum + P[gate] * c, if there are peepholes; P is in the order i, o, f. */
static int add_peephole(struct lstm *s, struct nc_loop *lp, enum gate gate, int sum, int c)
{
	struct nc_view p;

	if (!s->has_p || c < 0)
		return sum;
	p = (struct nc_view){
		.tensor = s->p.tensor, .rank = 1, .dim = { s->hidden },
		.stride = { s->p.stride[1] },
		.offset = s->p.offset + s->dir * s->p.stride[0] +
			  (int64_t)gate * s->hidden * s->p.stride[1],
	};
	return nc_map_op(&lp->m, NPU_UOP_FMA, nc_loop_load(lp, &p), c, sum);
}

/* Where a step reads and writes. */
struct step {
	struct state h, c;
	struct nc_view x[GATES];
	struct nc_view out_h, out_c;
};

#define NO_VALUE	(-1000)

/* f c + i g, or i g at the beginning. */
static int next_c(struct nc_loop *lp, int i, int f, int g, int c)
{
	int ig = nc_map_op(&lp->m, NPU_UOP_FMUL, i, g, 0);

	return c == NO_VALUE ? ig : nc_map_op(&lp->m, NPU_UOP_FMA, f, c, ig);
}

/* The whole cell over the gates' sums. */
static int emit_cell(struct lstm *s, const struct step *t, struct nc_loop *lp, const int *sum)
{
	int c = t->c.set ? nc_loop_load(lp, &t->c.view) : NO_VALUE;
	int i, f, g, o, ret;

	i = activate(s, &lp->m, FUNC_F, add_peephole(s, lp, GATE_I, sum[GATE_I], c));
	if (s->input_forget)
		f = nc_map_op(&lp->m, NPU_UOP_FSUB, nc_map_float(&lp->m, 1), i, 0);
	else
		f = activate(s, &lp->m, FUNC_F, add_peephole(s, lp, GATE_F, sum[GATE_F], c));
	g = activate(s, &lp->m, FUNC_G, sum[GATE_C]);
	c = next_c(lp, i, f, g, c);
	ret = nc_loop_store(lp, &t->out_c, c);
	o = activate(s, &lp->m, FUNC_F, add_peephole(s, lp, GATE_O, sum[GATE_O], c));
	c = nc_map_op(&lp->m, NPU_UOP_FMUL, o, activate(s, &lp->m, FUNC_H, c), 0);
	return ret ? ret : nc_loop_store(lp, &t->out_h, c);
}

/* The product with the state, and its epilogue; without a state, a map. */
static int add_step(struct lstm *s, const struct step *t, struct nc_loop *lp)
{
	const struct nc_view *h = &t->h.view, *r = &s->r;
	struct kir_map epilogue = { 0 };
	struct kir_matmul *mm;
	struct kir_op *op;
	int ret;

	if (!t->h.set)
		return nc_loop_emit(s->l, s->n, lp);
	/* Asks for its length before anything is added. */
	ret = nc_map_finish(&lp->m, &epilogue);
	ret = ret ? ret : nc_loop_epilogue(s->l, s->n, lp, &epilogue);
	if (ret)
		return ret;
	op = nc_legal_op(s->l, s->n, KIR_MATMUL);
	if (!op)
		return s->l->err;
	mm = &op->matmul;
	mm->b0 = 1;
	mm->b1 = 1;
	mm->m = (uint32_t)s->batch;
	mm->n = (uint32_t)(GATES * s->hidden);
	mm->k = (uint32_t)s->hidden;
	mm->groups = GATES;
	mm->a = (struct kir_view){ .tensor = h->tensor, .offset = h->offset,
				   .stride = { 0, 0, s->batch == 1 ? 0 : h->stride[2],
					       s->hidden == 1 ? 0 : h->stride[3] } };
	mm->b = (struct kir_view){ .tensor = r->tensor,
				   .offset = r->offset + s->dir * r->stride[0],
				   .stride = { 0, 0, s->hidden == 1 ? 0 : r->stride[2],
					       r->stride[1] } };
	mm->bias = (struct kir_view){ .tensor = KIR_NO_TENSOR };
	mm->epilogue = epilogue;
	return 0;
}

static void start_sums(struct lstm *s, const struct step *t, struct nc_loop *lp, int *sum)
{
	const int64_t dim[] = { 1, 1, s->batch, s->hidden };

	nc_loop_init(lp, 4, dim);
	for (unsigned int i = 0; i < GATES; i++) {
		sum[i] = nc_loop_load(lp, &t->x[i]);
		if (t->h.set)
			sum[i] = nc_map_op(&lp->m, NPU_UOP_FADD, nc_map_acc(&lp->m, i), sum[i], 0);
	}
}

/* Everything in one operation; -E2BIG when the device cannot. */
static int cell_fused(struct lstm *s, const struct step *t)
{
	struct nc_loop lp;
	int sum[GATES], ret;

	start_sums(s, t, &lp, sum);
	ret = emit_cell(s, t, &lp, sum);
	return ret ? ret : add_step(s, t, &lp);
}

/* Only the sums, into s->pre; @t then reads them as its x. */
static int cell_sums(struct lstm *s, struct step *t)
{
	struct nc_loop lp;
	int sum[GATES], ret = 0;

	if (!t->h.set)
		return 0;
	start_sums(s, t, &lp, sum);
	for (unsigned int i = 0; i < GATES; i++) {
		t->x[i] = s->pre[i];
		ret = ret ? ret : nc_loop_store(&lp, &t->x[i], sum[i]);
	}
	ret = ret ? ret : add_step(s, t, &lp);
	t->h.set = false;
	return ret;
}

/* out = activation(x + peephole c), one gate in a map of its own. */
static int gate_alone(struct lstm *s, enum gate gate, enum func func, const struct nc_view *x,
		      const struct state *c, const struct nc_view *out)
{
	struct nc_loop lp;
	int r;

	nc_loop_init(&lp, 4, x->dim);
	r = nc_loop_load(&lp, x);
	if (c->set && gate != GATE_C)
		r = add_peephole(s, &lp, gate, r, s->has_p ? nc_loop_load(&lp, &c->view) : -1);
	r = nc_loop_store(&lp, out, activate(s, &lp.m, func, r));
	return r ? r : nc_loop_emit(s->l, s->n, &lp);
}

/* One activation per map: for those that need a whole program each. */
static int cell_split(struct lstm *s, const struct step *t)
{
	struct state c = { .set = true, .view = t->out_c };
	const struct nc_view *gate = s->pre, squashed = s->pre[GATE_C];
	struct nc_loop lp;
	int r, f, ret;

	ret = gate_alone(s, GATE_I, FUNC_F, &t->x[GATE_I], &t->c, &gate[GATE_I]);
	if (!ret && !s->input_forget)
		ret = gate_alone(s, GATE_F, FUNC_F, &t->x[GATE_F], &t->c, &gate[GATE_F]);
	ret = ret ? ret : gate_alone(s, GATE_C, FUNC_G, &t->x[GATE_C], &t->c, &gate[GATE_C]);
	if (ret)
		return ret;
	nc_loop_init(&lp, 4, t->out_c.dim);
	r = nc_loop_load(&lp, &gate[GATE_I]);
	f = t->c.set && !s->input_forget ? nc_loop_load(&lp, &gate[GATE_F]) :
		nc_map_op(&lp.m, NPU_UOP_FSUB, nc_map_float(&lp.m, 1), r, 0);
	r = next_c(&lp, r, f, nc_loop_load(&lp, &gate[GATE_C]),
		   t->c.set ? nc_loop_load(&lp, &t->c.view) : NO_VALUE);
	ret = nc_loop_store(&lp, &t->out_c, r);
	ret = ret ? ret : nc_loop_emit(s->l, s->n, &lp);
	ret = ret ? ret : gate_alone(s, GATE_O, FUNC_F, &t->x[GATE_O], &c, &gate[GATE_O]);
	/* The state's way into h has the activation, but no peephole. */
	ret = ret ? ret : gate_alone(s, GATE_C, FUNC_H, &t->out_c, &c, &squashed);
	if (ret)
		return ret;
	nc_loop_init(&lp, 4, t->out_h.dim);
	r = nc_map_op(&lp.m, NPU_UOP_FMUL, nc_loop_load(&lp, &gate[GATE_O]),
		      nc_loop_load(&lp, &squashed), 0);
	ret = nc_loop_store(&lp, &t->out_h, r);
	return ret ? ret : nc_loop_emit(s->l, s->n, &lp);
}

static int add_cell(struct lstm *s, struct step *t)
{
	struct nc_loop lp;
	int sum[GATES], ret = cell_fused(s, t);

	if (ret != -E2BIG)
		return ret;
	for (unsigned int i = 0; !s->has_pre && i < GATES; i++) {
		ret = cell_temp(s, &s->pre[i]);
		if (ret)
			return ret;
	}
	s->has_pre = true;
	ret = cell_sums(s, t);
	if (ret)
		return ret;
	start_sums(s, t, &lp, sum);
	ret = emit_cell(s, t, &lp, sum);
	ret = ret ? ret : nc_loop_emit(s->l, s->n, &lp);
	return ret == -E2BIG ? cell_split(s, t) : ret;
}

static int load_state(struct nc_loop *lp, const struct state *st)
{
	return st->set ? nc_loop_load(lp, &st->view) : nc_map_float(&lp->m, 0);
}

/* Beyond a sequence's end the state stays and Y is 0. */
static int choose_state(struct lstm *s, int64_t time, const struct state *h,
			const struct state *c, const struct nc_view *out_h,
			const struct nc_view *out_c)
{
	const int64_t dim[] = { 1, 1, s->batch, s->hidden };
	struct nc_view len = { .tensor = s->len.tensor, .rank = 4, .offset = s->len.offset,
			       .dim = { 1, 1, s->batch, 1 },
			       .stride = { 0, 0, s->len.stride[0], 0 } };
	struct nc_loop lp;
	int inside, new_h, r, ret;

	nc_loop_init(&lp, 4, dim);
	inside = nc_map_op(&lp.m, NPU_UOP_ILT, nc_map_bits(&lp.m, (uint32_t)time),
			   nc_loop_load(&lp, &len), 0);
	new_h = nc_loop_load(&lp, &s->new_h);
	r = nc_map_op(&lp.m, NPU_UOP_SEL, inside, new_h, load_state(&lp, h));
	ret = nc_loop_store(&lp, out_h, r);
	r = nc_map_op(&lp.m, NPU_UOP_SEL, inside, nc_loop_load(&lp, &s->new_c),
		      load_state(&lp, c));
	ret = ret ? ret : nc_loop_store(&lp, out_c, r);
	if (!ret && s->has_y) {
		struct nc_view y = cell_view(s, &s->y, time * s->y.stride[0] +
						       s->dir * s->y.stride[1]);

		r = nc_map_op(&lp.m, NPU_UOP_SEL, inside, new_h, nc_map_float(&lp.m, 0));
		ret = nc_loop_store(&lp, &y, r);
	}
	return ret ? ret : nc_loop_emit(s->l, s->n, &lp);
}

static int make_temps(struct lstm *s)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < 2 && i < s->steps; i++) {
		/* Without lengths, Y itself holds the states. */
		if (!s->has_y || s->has_len)
			ret = cell_temp(s, &s->h[i]);
		ret = ret ? ret : cell_temp(s, &s->c[i]);
	}
	if (!ret && s->has_len) {
		ret = cell_temp(s, &s->new_h);
		ret = ret ? ret : cell_temp(s, &s->new_c);
	}
	return ret;
}

static int run_step(struct lstm *s, int64_t i, int64_t time, struct state *h, struct state *c)
{
	bool last = i == s->steps - 1;
	struct nc_view y = { 0 }, cell = { 0 }, out_h = s->h[i & 1], out_c = s->c[i & 1];
	struct step t = { .h = *h, .c = *c };
	int ret;

	for (unsigned int g = 0; g < GATES; g++)
		t.x[g] = cell_view(s, &s->proj, time * s->proj.stride[0] +
						(int64_t)g * s->hidden * s->proj.stride[2]);
	if (s->has_y)
		y = cell_view(s, &s->y, time * s->y.stride[0] + s->dir * s->y.stride[1]);
	if (s->has_y && !s->has_len)
		out_h = y;
	else if (last && s->has_h)
		out_h = cell_view(s, &s->y_h, s->dir * s->y_h.stride[0]);
	if (s->has_cells)
		cell = cell_view(s, &s->cells, time * s->cells.stride[0] +
					       s->dir * s->cells.stride[1]);
	if (s->has_cells)
		out_c = cell;
	else if (last && s->has_c)
		out_c = cell_view(s, &s->y_c, s->dir * s->y_c.stride[0]);
	t.out_h = s->has_len ? s->new_h : out_h;
	t.out_c = s->has_len ? s->new_c : out_c;
	ret = add_cell(s, &t);
	if (!ret && s->has_len)
		ret = choose_state(s, time, h, c, &out_h, &out_c);
	if (!ret && last && s->has_h && s->has_y && !s->has_len) {
		struct nc_view y_h = cell_view(s, &s->y_h, s->dir * s->y_h.stride[0]);

		ret = nc_legal_copy(s->l, s->n, &y, &y_h);
	}
	if (!ret && last && s->has_c && s->has_cells) {
		struct nc_view y_c = cell_view(s, &s->y_c, s->dir * s->y_c.stride[0]);

		ret = nc_legal_copy(s->l, s->n, &cell, &y_c);
	}
	*h = (struct state){ .set = true, .view = out_h };
	*c = (struct state){ .set = true, .view = out_c };
	return ret;
}

static int run_direction(struct lstm *s)
{
	bool reverse = s->dir || !strcmp(nc_attr(s->n, "direction")->s, "reverse");
	struct state h = { .set = s->has_h0 }, c = { .set = s->has_c0 };
	int ret = project(s);

	ret = ret ? ret : make_temps(s);
	if (s->has_h0)
		h.view = cell_view(s, &s->h0, s->dir * s->h0.stride[0]);
	if (s->has_c0)
		c.view = cell_view(s, &s->c0, s->dir * s->c0.stride[0]);
	for (int64_t i = 0; !ret && i < s->steps; i++)
		ret = run_step(s, i, reverse ? s->steps - 1 - i : i, &h, &c);
	return ret;
}

int nc_lower_lstm(struct nc_legal *l, const struct nc_node *n)
{
	static const char *const standard[FUNCS] = { "Sigmoid", "Tanh", "Tanh" };
	struct lstm s = {
		.l = l, .n = n,
		.clip = nc_attr(n, "clip")->f,
		.input_forget = nc_attr(n, "input_forget")->i,
	};
	int ret = get_inputs(&s);

	ret = ret ? ret : nc_activations_get(l->diag, n, (unsigned int)s.dirs, FUNCS, standard,
					     s.act);
	ret = ret ? ret : get_outputs(&s);
	for (s.dir = 0; !ret && s.dir < s.dirs; s.dir++)
		ret = run_direction(&s);
	return ret;
}
