/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "kern_gen.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static uint64_t next(struct kern_gen *g)
{
	g->state ^= g->state << 13;
	g->state ^= g->state >> 7;
	g->state ^= g->state << 17;
	return g->state;
}

uint32_t kern_below(struct kern_gen *g, uint32_t n)
{
	return (uint32_t)((next(g) >> 20) % n);
}

uint32_t kern_range(struct kern_gen *g, uint32_t first, uint32_t last)
{
	return first + kern_below(g, last - first + 1);
}

static bool one_in(struct kern_gen *g, uint32_t n)
{
	return kern_below(g, n) == 0;
}

static uint32_t pick(struct kern_gen *g, const uint32_t *from, size_t count)
{
	return from[kern_below(g, (uint32_t)count)];
}

uint32_t kern_value(struct kern_gen *g)
{
	static const uint32_t special[] = {
		0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
		0x7f800001, 0xffc12345, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x7f7fffff,
	};
	float x = (float)kern_below(g, 1u << 24) / (float)(1u << 22) - 2.0f;
	uint32_t bits;

	if (one_in(g, 400))
		return pick(g, special, COUNT(special));
	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* A size below, at or above what kernels divide by. */
static uint32_t odd_size(struct kern_gen *g, uint32_t max)
{
	static const uint32_t around[] = {
		1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 28, 31, 32, 33, 48, 63, 64, 65, 96,
		127, 128, 129, 160, 255, 256, 257, 300, 511, 512, 513, 1000, 1023, 1024, 1025,
	};
	uint32_t size = one_in(g, 3) ? kern_range(g, 1, max) : pick(g, around, COUNT(around));

	return size <= max ? size : kern_range(g, 1, max);
}

/*
 * Room for a view of @dims sizes and strides (in elements), which may be
 * negative: sets the reference to element 0.
 */
static bool place(struct kern_gen *g, unsigned int space, unsigned int dtype, int dims,
		  const uint32_t *dim, const int32_t *stride, struct npu_ref *ref)
{
	uint32_t *taken = space == NPU_SPACE_ACC ? &g->acc_next : &g->spm_next;
	const uint32_t limit = space == NPU_SPACE_ACC ? g->acc_elems : g->spm_elems;
	int64_t lo = 0, hi = 0;
	uint64_t bytes;

	for (int i = 0; i < dims; i++) {
		const int64_t last = ((int64_t)dim[i] - 1) * stride[i];

		if (last < 0)
			lo += last;
		else
			hi += last;
	}
	*taken += kern_below(g, 20);
	if (hi - lo + 1 > (int64_t)limit - *taken)
		return false;
	bytes = 4 * (uint64_t)(*taken - lo);
	*taken += (uint32_t)(hi - lo + 1);
	*ref = (struct npu_ref) {
		.addr = (uint32_t)bytes,
		.space = (uint8_t)space,
		.dtype = (uint8_t)dtype,
		.reg = NPU_REG_NONE,
	};
	if (one_in(g, 4)) {
		ref->reg = (uint8_t)kern_below(g, NPU_REGS);
		if ((uint32_t)g->regs[ref->reg] <= ref->addr)
			ref->addr -= (uint32_t)g->regs[ref->reg];
		else
			ref->reg = NPU_REG_NONE;
	}
	return true;
}

static bool place_vector(struct kern_gen *g, uint64_t elems, struct npu_ref *ref)
{
	if (elems > UINT32_MAX)
		return false;
	return place(g, NPU_SPACE_SPM, NPU_F32, 1, &(uint32_t){ (uint32_t)elems },
		     &(int32_t){ 1 }, ref);
}

/* Strides of image, row, column for channels that are contiguous. */
static void image_strides(struct kern_gen *g, uint32_t h, uint32_t w, uint32_t c,
			  int32_t stride[3])
{
	stride[2] = (int32_t)(c + (one_in(g, 4) ? kern_below(g, 5) : 0));
	stride[1] = stride[2] * (int32_t)w + (one_in(g, 4) ? (int32_t)kern_below(g, 9) : 0);
	stride[0] = stride[1] * (int32_t)h;
	for (int i = 0; i < 3; i++)
		if (one_in(g, 16))
			stride[i] = -stride[i];
}

/* An input may also repeat. */
static void input_strides(struct kern_gen *g, uint32_t h, uint32_t w, uint32_t c,
			  int32_t stride[3])
{
	image_strides(g, h, w, c, stride);
	if (one_in(g, 10))
		stride[kern_below(g, 3)] = 0;
}

static bool place_image(struct kern_gen *g, unsigned int space, const uint32_t dim[4],
			const int32_t stride[3], struct npu_ref *ref)
{
	const int32_t all[4] = { stride[0], stride[1], stride[2], 1 };

	return place(g, space, NPU_F32, 4, dim, all, ref);
}

static uint16_t te_flags(struct kern_gen *g)
{
	static const uint16_t start[] = { 0, NPU_F_BIAS, NPU_F_ACCUMULATE };

	return start[kern_below(g, 3)];
}

static void window_shape(struct kern_gen *g, struct npu_conv_shape *s)
{
	s->n = (uint16_t)kern_range(g, 1, 3);
	s->h = (uint16_t)kern_range(g, 1, 12);
	s->w = (uint16_t)kern_range(g, 1, 20);
	s->oh = (uint16_t)kern_range(g, 1, 8);
	s->ow = (uint16_t)kern_range(g, 1, 20);
	s->kh = (uint16_t)kern_range(g, 1, 5);
	s->kw = (uint16_t)kern_range(g, 1, 5);
	s->stride_h = (uint16_t)(one_in(g, 2) ? 1 : kern_range(g, 1, 4));
	s->stride_w = (uint16_t)(one_in(g, 2) ? 1 : kern_range(g, 1, 4));
	s->dil_h = (uint16_t)(one_in(g, 3) ? kern_range(g, 1, 3) : 1);
	s->dil_w = (uint16_t)(one_in(g, 3) ? kern_range(g, 1, 3) : 1);
	s->pad_top = (int16_t)((int)kern_below(g, 8) - 3);
	s->pad_left = (int16_t)((int)kern_below(g, 8) - 3);
	s->up_h = 1;
	s->up_w = 1;
}

bool kern_conv(struct kern_gen *g, union kern_desc *d)
{
	struct npu_desc_conv *v = &d->conv;
	struct npu_conv_shape *s = &v->shape;
	const bool depthwise = one_in(g, 4);
	uint64_t weights;

	memset(d, 0, sizeof(*d));
	v->hdr.opcode = NPU_OP_CONV;
	v->hdr.flags = te_flags(g) | (depthwise ? NPU_F_DEPTHWISE : 0) |
		       (one_in(g, 3) ? NPU_F_ROT180 : 0);
	window_shape(g, s);
	s->c = (uint16_t)odd_size(g, depthwise ? 600 : 200);
	s->k = (uint16_t)(depthwise ? s->c : odd_size(g, 130));
	if (one_in(g, 4)) {
		s->up_h = (uint8_t)kern_range(g, 1, 3);
		s->up_w = (uint8_t)kern_range(g, 1, 3);
	}
	weights = depthwise ? (uint64_t)s->c * s->kh * s->kw :
		  (uint64_t)(s->k + g->array_cols - 1) / g->array_cols * g->array_cols *
		  s->c * s->kh * s->kw;
	if ((uint64_t)s->n * s->oh * s->ow * s->kh * s->kw * s->c * (depthwise ? 1 : s->k) >
	    g->work)
		return false;
	input_strides(g, s->h, s->w, s->c, v->in_stride);
	image_strides(g, s->oh, s->ow, s->k, v->acc_stride);
	return place_image(g, NPU_SPACE_SPM, (uint32_t[]){ s->n, s->h, s->w, s->c },
			   v->in_stride, &v->in) &&
	       place_image(g, NPU_SPACE_ACC, (uint32_t[]){ s->n, s->oh, s->ow, s->k },
			   v->acc_stride, &v->acc) &&
	       place_vector(g, weights, &v->weights) &&
	       (!(v->hdr.flags & NPU_F_BIAS) || place_vector(g, s->k, &v->bias));
}

bool kern_wgrad(struct kern_gen *g, union kern_desc *d)
{
	struct npu_desc_wgrad *v = &d->wgrad;
	struct npu_conv_shape *s = &v->shape;
	const bool depthwise = one_in(g, 4);
	uint64_t weights;

	memset(d, 0, sizeof(*d));
	v->hdr.opcode = NPU_OP_WGRAD;
	v->hdr.flags = (one_in(g, 2) ? NPU_F_ACCUMULATE : 0) | (depthwise ? NPU_F_DEPTHWISE : 0);
	window_shape(g, s);
	s->c = (uint16_t)(one_in(g, 3) ? kern_range(g, 1, 3) : odd_size(g, depthwise ? 600 : 200));
	s->k = (uint16_t)(depthwise ? s->c : odd_size(g, 130));
	if (one_in(g, 4)) {
		s->up_h = (uint8_t)kern_range(g, 1, 3);
		s->up_w = (uint8_t)kern_range(g, 1, 3);
	}
	weights = depthwise ? (uint64_t)s->c * s->kh * s->kw :
		  (uint64_t)(s->k + g->array_cols - 1) / g->array_cols * g->array_cols *
		  s->c * s->kh * s->kw;
	if (weights > UINT32_MAX ||
	    (uint64_t)s->n * s->oh * s->ow * s->kh * s->kw * s->c * (depthwise ? 1 : s->k) >
	    g->work)
		return false;
	input_strides(g, s->h, s->w, s->c, v->in_stride);
	input_strides(g, s->oh, s->ow, s->k, v->dy_stride);
	return place_image(g, NPU_SPACE_SPM, (uint32_t[]){ s->n, s->h, s->w, s->c },
			   v->in_stride, &v->in) &&
	       place_image(g, NPU_SPACE_SPM, (uint32_t[]){ s->n, s->oh, s->ow, s->k },
			   v->dy_stride, &v->dy) &&
	       place(g, NPU_SPACE_ACC, NPU_F32, 1, &(uint32_t){ (uint32_t)weights },
		     &(int32_t){ 1 }, &v->acc);
}

/* Strides of a matrix operand: b0, b1 and two inner dimensions. */
static void matrix_strides(struct kern_gen *g, uint32_t b1, uint32_t rows, uint32_t cols,
			   int32_t stride[4])
{
	const int32_t gap = one_in(g, 3) ? (int32_t)kern_below(g, 7) : 0;

	if (one_in(g, 3)) {
		stride[2] = 1;
		stride[3] = (int32_t)rows + gap;
		stride[1] = stride[3] * (int32_t)cols;
	} else {
		stride[3] = one_in(g, 5) ? 2 : 1;
		stride[2] = (int32_t)cols * stride[3] + gap;
		stride[1] = stride[2] * (int32_t)rows;
	}
	stride[0] = stride[1] * (int32_t)b1;
	for (int i = 0; i < 4; i++) {
		if (one_in(g, 20))
			stride[i] = 0;
		else if (one_in(g, 20))
			stride[i] = -stride[i];
	}
}

bool kern_matmul(struct kern_gen *g, union kern_desc *d)
{
	struct npu_desc_matmul *v = &d->matmul;
	uint32_t *dim = v->dim;
	int32_t acc_stride[4];

	memset(d, 0, sizeof(*d));
	v->hdr.opcode = NPU_OP_MATMUL;
	v->hdr.flags = te_flags(g);
	dim[0] = kern_range(g, 1, 3);
	dim[1] = kern_range(g, 1, 3);
	dim[2] = odd_size(g, 70);
	dim[3] = odd_size(g, 300);
	dim[4] = odd_size(g, 700);
	if ((uint64_t)dim[0] * dim[1] * dim[2] * dim[3] * dim[4] > g->work)
		return false;
	matrix_strides(g, dim[1], dim[2], dim[4], v->a_stride);
	matrix_strides(g, dim[1], dim[4], dim[3], v->b_stride);
	acc_stride[3] = 1;
	acc_stride[2] = (int32_t)(dim[3] + (one_in(g, 3) ? kern_below(g, 5) : 0));
	acc_stride[1] = acc_stride[2] * (int32_t)dim[2];
	acc_stride[0] = acc_stride[1] * (int32_t)dim[1];
	memcpy(v->acc_stride, acc_stride, sizeof(v->acc_stride));
	return place(g, NPU_SPACE_SPM, NPU_F32, 4,
		     (uint32_t[]){ dim[0], dim[1], dim[2], dim[4] }, v->a_stride, &v->a) &&
	       place(g, NPU_SPACE_SPM, NPU_F32, 4,
		     (uint32_t[]){ dim[0], dim[1], dim[4], dim[3] }, v->b_stride, &v->b) &&
	       place(g, NPU_SPACE_ACC, NPU_F32, 4, dim, acc_stride, &v->acc) &&
	       (!(v->hdr.flags & NPU_F_BIAS) || place_vector(g, dim[3], &v->bias));
}

/* Strides that reach no element twice: row-major over a random order, with gaps. */
static void dense_strides(struct kern_gen *g, const uint32_t dim[4], int32_t stride[4])
{
	int order[4] = { 0, 1, 2, 3 };
	int32_t step = one_in(g, 6) ? (int32_t)kern_range(g, 2, 3) : 1;

	if (one_in(g, 3)) {
		for (int i = 3; i > 0; i--) {
			const int j = (int)kern_below(g, (uint32_t)i + 1), t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
	}
	for (int i = 3; i >= 0; i--) {
		stride[order[i]] = one_in(g, 20) ? -step : step;
		step *= (int32_t)dim[order[i]];
		if (one_in(g, 10))
			step += (int32_t)kern_range(g, 1, 4);
	}
}

static bool map_view(struct kern_gen *g, struct npu_desc_map *d, unsigned int dtype, bool stored)
{
	struct npu_view *view = &d->view[d->operands];

	dense_strides(g, d->dim, view->stride);
	if (!stored) {
		const uint32_t kind = kern_below(g, 6);

		for (int i = 0; i < 4; i++)
			if (kind == 5 || (kind == 4 && i < 3) || (kind == 3 && one_in(g, 2)))
				view->stride[i] = 0;
	}
	if (!place(g, one_in(g, 4) ? NPU_SPACE_ACC : NPU_SPACE_SPM, dtype, 4, d->dim,
		   view->stride, &view->ref))
		return false;
	d->operands++;
	return true;
}

/*
 * Registers 0 .. 15 hold floats and 16 .. 31 integers, so that most operations
 * see values of their kind; some see the others.
 */
#define FLOAT_REGS	16
#define OPS(...)	((const uint32_t[]){ __VA_ARGS__ })
#define PICK(g, ...)	pick(g, OPS(__VA_ARGS__), COUNT(OPS(__VA_ARGS__)))

struct map_writer {
	struct kern_gen *g;
	struct npu_desc_map *d;
	uint32_t word[NPU_MAP_UOPS];
	uint32_t floats;	/* registers 0 .. floats - 1 are written */
	uint32_t ints;
	uint32_t latest;	/* written by the last operation */
};

static uint32_t map_source(struct map_writer *w, bool is_float)
{
	if (one_in(w->g, 8))
		is_float = !is_float;
	if (one_in(w->g, 3) && is_float == (w->latest < FLOAT_REGS))
		return w->latest;
	if (one_in(w->g, 5))	/* even constants are floats, odd ones integers */
		return NPU_UOP_CONST + kern_below(w->g, NPU_MAP_CONSTS / 2) * 2 + !is_float;
	return is_float ? kern_below(w->g, w->floats) :
	       FLOAT_REGS + kern_below(w->g, w->ints);
}

/* A register to write: a new one or a used one. */
static uint32_t map_target(struct map_writer *w, bool is_float)
{
	uint32_t *count = is_float ? &w->floats : &w->ints;
	uint32_t reg = kern_below(w->g, *count + 1);

	if (reg == *count && reg < FLOAT_REGS - 1)
		(*count)++;
	else if (reg == *count)
		reg = 0;
	return is_float ? reg : FLOAT_REGS + reg;
}

static void map_emit(struct map_writer *w, uint32_t op, uint32_t dst, uint32_t a, uint32_t b,
		     uint32_t c)
{
	w->word[w->d->uops++] = NPU_UOP_WORD(op, dst, a, b, c);
	if (op != NPU_UOP_ST)
		w->latest = dst;
}

static void map_float_op(struct map_writer *w)
{
	struct kern_gen *g = w->g;
	const uint32_t a = map_source(w, true), b = map_source(w, true), c = map_source(w, true);

	switch (kern_below(g, 6)) {
	case 0:
		map_emit(w, PICK(g, NPU_UOP_FABS, NPU_UOP_FNEG, NPU_UOP_FSQRT, NPU_UOP_FFLOOR,
				 NPU_UOP_FCEIL, NPU_UOP_FRINT, NPU_UOP_FTRUNC, NPU_UOP_MOV),
			 map_target(w, true), a, 0, 0);
		break;
	case 1:
		map_emit(w, PICK(g, NPU_UOP_EXP, NPU_UOP_LOG, NPU_UOP_TANH, NPU_UOP_SIGMOID,
				 NPU_UOP_ERF, NPU_UOP_SIN, NPU_UOP_COS),
			 map_target(w, true), a, 0, 0);
		break;
	case 2:
		map_emit(w, NPU_UOP_FMA, map_target(w, true), a, b, c);
		break;
	case 3:
		map_emit(w, NPU_UOP_SEL, map_target(w, true), map_source(w, false), b, c);
		break;
	default:
		map_emit(w, PICK(g, NPU_UOP_FADD, NPU_UOP_FSUB, NPU_UOP_FMUL, NPU_UOP_FDIV,
				 NPU_UOP_FMIN, NPU_UOP_FMAX), map_target(w, true), a, b, 0);
		break;
	}
}

static void map_int_op(struct map_writer *w)
{
	struct kern_gen *g = w->g;
	const uint32_t a = map_source(w, false), b = map_source(w, false);

	switch (kern_below(g, 5)) {
	case 0:
		map_emit(w, PICK(g, NPU_UOP_FLT, NPU_UOP_FLE, NPU_UOP_FEQ), map_target(w, false),
			 map_source(w, true), map_source(w, true), 0);
		break;
	case 1:
		map_emit(w, NPU_UOP_F2I, map_target(w, false), map_source(w, true), 0, 0);
		break;
	case 2:
		if (one_in(g, 2))
			map_emit(w, NPU_UOP_I2F, map_target(w, true), a, 0, 0);
		else
			map_emit(w, NPU_UOP_IOTA, map_target(w, false), 0, 0, 0);
		break;
	case 3:
		map_emit(w, PICK(g, NPU_UOP_SEL, NPU_UOP_RNG), map_target(w, false), a, b,
			 map_source(w, false));
		break;
	default:
		map_emit(w, PICK(g, NPU_UOP_IADD, NPU_UOP_ISUB, NPU_UOP_IMUL, NPU_UOP_IDIV,
				 NPU_UOP_IREM, NPU_UOP_IMIN, NPU_UOP_IMAX, NPU_UOP_IAND,
				 NPU_UOP_IOR, NPU_UOP_IXOR, NPU_UOP_ISHL, NPU_UOP_ISHR,
				 NPU_UOP_ISAR, NPU_UOP_ILT, NPU_UOP_IEQ, NPU_UOP_IDIVT),
			 map_target(w, false), a, b, 0);
		break;
	}
}

/* Loads first, then operations with loads and stores between them. */
static bool map_program(struct map_writer *w)
{
	struct kern_gen *g = w->g;
	struct npu_desc_map *d = w->d;
	const uint32_t loads = kern_range(g, 2, 4), stores = kern_range(g, 1, 3);
	const uint32_t ops = one_in(g, 8) ? 50 : kern_range(g, 0, 12);

	for (uint32_t i = 0; i < loads; i++) {
		const bool is_float = i != 1 && (i == 0 || one_in(g, 2));

		if (!map_view(g, d, is_float ? NPU_F32 : NPU_I32, false))
			return false;
		map_emit(w, NPU_UOP_LD, is_float ? w->floats++ : FLOAT_REGS + w->ints++, i, 0, 0);
	}
	for (uint32_t i = 0; i < ops; i++) {
		if (one_in(g, 3))
			map_int_op(w);
		else
			map_float_op(w);
	}
	for (uint32_t i = 0; i < stores; i++) {
		const bool is_float = one_in(g, 2);

		if (!map_view(g, d, is_float ? NPU_F32 : NPU_I32, true))
			return false;
		map_emit(w, NPU_UOP_ST, loads + i, map_source(w, is_float), 0, 0);
		if (one_in(g, 4))	/* what was stored can be loaded again */
			map_emit(w, NPU_UOP_LD, map_target(w, is_float), loads + i, 0, 0);
		if (is_float)
			map_float_op(w);
		else
			map_int_op(w);
		if (one_in(g, 4))	/* and stored over */
			map_emit(w, NPU_UOP_ST, loads + i, map_source(w, is_float), 0, 0);
	}
	return true;
}

/* A transposition of two dimensions, and a program that does nothing else. */
static bool map_move(struct map_writer *w)
{
	struct kern_gen *g = w->g;
	struct npu_desc_map *d = w->d;
	const uint32_t row = kern_below(g, 3), col = kern_range(g, row + 1, 3);
	int32_t *stride, step = 1;

	for (uint32_t i = 0; i < 4; i++)
		d->dim[i] = i == row || i == col ? odd_size(g, 100) : kern_range(g, 1, 3);
	if (!map_view(g, d, NPU_F32, false))
		return false;
	stride = d->view[1].stride;
	for (uint32_t i = 4; i-- > 0;) {
		const uint32_t at = i == row ? col : i == col ? row : i;

		stride[at] = step;
		step *= (int32_t)d->dim[at];
	}
	if (!place(g, NPU_SPACE_SPM, NPU_F32, 4, d->dim, stride, &d->view[1].ref))
		return false;
	d->operands++;
	map_emit(w, NPU_UOP_LD, 0, 0, 0, 0);
	map_emit(w, NPU_UOP_ST, 1, 0, 0, 0);
	return true;
}

static bool map_compute(struct map_writer *w)
{
	struct kern_gen *g = w->g;
	struct npu_desc_map *d = w->d;
	const uint32_t long_dim = kern_below(g, 4);
	uint32_t left = 6000;

	for (uint32_t i = 0; i < 4; i++) {
		d->dim[i] = i == long_dim ? odd_size(g, 1100) : kern_range(g, 1, 5);
		if (d->dim[i] > left)
			d->dim[i] = 1;
		left /= d->dim[i];
	}
	if (!map_program(w))
		return false;
	if (one_in(g, 4)) {	/* in place: the first operand is also stored */
		struct npu_view *view = &d->view[0];

		dense_strides(g, d->dim, view->stride);
		if (!place(g, NPU_SPACE_SPM, NPU_F32, 4, d->dim, view->stride, &view->ref))
			return false;
		map_emit(w, NPU_UOP_ST, 0, map_source(w, true), 0, 0);
		if (one_in(g, 2))
			map_float_op(w);
	}
	return true;
}

bool kern_map(struct kern_gen *g, union kern_desc *d)
{
	struct map_writer w = { .g = g, .d = &d->map };
	uint32_t *words;

	memset(d, 0, sizeof(*d));
	d->hdr.opcode = NPU_OP_MAP;
	if (!(one_in(g, 10) ? map_move(&w) : map_compute(&w)))
		return false;
	d->map.consts = NPU_MAP_CONSTS;
	words = (uint32_t *)&d->map.view[d->map.operands];
	if ((uint8_t *)(words + d->map.uops + d->map.consts) > (uint8_t *)(d + 1))
		return false;
	memcpy(words, w.word, d->map.uops * sizeof(*words));
	for (uint32_t i = 0; i < d->map.consts; i++)
		words[d->map.uops + i] = i % 2 ? (uint32_t)next(g) : kern_value(g);
	return true;
}

bool kern_reduce(struct kern_gen *g, union kern_desc *d)
{
	struct npu_desc_reduce *v = &d->reduce;
	const bool integer = one_in(g, 3);
	uint32_t left = 20000, kept[4];
	int32_t step;

	memset(d, 0, sizeof(*d));
	v->hdr.opcode = NPU_OP_REDUCE;
	v->rop = (uint8_t)kern_below(g, 7);
	v->axes = (uint8_t)kern_below(g, 16);
	if (v->rop != NPU_ROP_ARGMAX && v->rop != NPU_ROP_ARGMIN)
		v->hdr.flags = (one_in(g, 4) ? NPU_F_LANES_IN : 0) |
			       (one_in(g, 4) ? NPU_F_LANES_OUT : 0);
	for (int i = 0; i < 4; i++) {
		v->dim[i] = one_in(g, 3) ? odd_size(g, 1100) : kern_range(g, 1, 6);
		if (v->dim[i] > left)
			v->dim[i] = 1;
		left /= v->dim[i];
		kept[i] = v->axes >> i & 1 ? 1 : v->dim[i];
	}
	dense_strides(g, v->dim, v->in.stride);
	if (one_in(g, 10))
		v->in.stride[kern_below(g, 4)] = 0;
	dense_strides(g, kept, v->out.stride);
	step = v->hdr.flags ? NPU_REDUCE_LANES : 1;
	for (int i = 0; i < 4; i++)
		v->out.stride[i] = v->axes >> i & 1 ? 0 : v->out.stride[i] * step;
	if (!place(g, one_in(g, 2) ? NPU_SPACE_ACC : NPU_SPACE_SPM,
		   integer ? NPU_I32 : NPU_F32, 4, v->dim, v->in.stride, &v->in.ref) ||
	    !place(g, NPU_SPACE_SPM, integer || v->rop >= NPU_ROP_ARGMAX ? NPU_I32 : NPU_F32, 4,
		   kept, v->out.stride, &v->out.ref))
		return false;
	g->spm_next += NPU_REDUCE_LANES - 1;
	return g->spm_next <= g->spm_elems;
}

/* The positions of @v, shaped as an operand with these dimensions and strides. */
static bool place_index(struct kern_gen *g, struct npu_desc_pool *v, const uint32_t dim[4],
			const int32_t stride[3])
{
	v->index_row = (int32_t)(one_in(g, 6) ? kern_range(g, 1, 30) : kern_range(g, v->shape.w, 99));
	if (one_in(g, 20))
		v->index_row = INT32_MAX;
	v->index_base = one_in(g, 2) ? 0 : (int32_t)next(g);
	if (!place_image(g, NPU_SPACE_SPM, dim, stride, &v->index))
		return false;
	v->index.dtype = NPU_I32;
	return true;
}

bool kern_pool(struct kern_gen *g, union kern_desc *d)
{
	struct npu_desc_pool *v = &d->pool;
	struct npu_conv_shape *s = &v->shape;

	memset(d, 0, sizeof(*d));
	v->hdr.opcode = NPU_OP_POOL;
	if (one_in(g, 3))
		v->hdr.flags = NPU_F_POOL_AVERAGE | (one_in(g, 2) ? NPU_F_POOL_COUNT_PAD : 0);
	else if (one_in(g, 2))
		v->hdr.flags = NPU_F_POOL_INDEX;
	window_shape(g, s);
	s->c = (uint16_t)odd_size(g, 300);
	s->k = s->c;
	if ((uint64_t)s->n * s->oh * s->ow * s->kh * s->kw * s->c > g->work)
		return false;
	input_strides(g, s->h, s->w, s->c, v->in_stride);
	image_strides(g, s->oh, s->ow, s->c, v->out_stride);
	return place_image(g, one_in(g, 2) ? NPU_SPACE_ACC : NPU_SPACE_SPM,
			   (uint32_t[]){ s->n, s->h, s->w, s->c }, v->in_stride, &v->in) &&
	       place_image(g, NPU_SPACE_SPM, (uint32_t[]){ s->n, s->oh, s->ow, s->c },
			   v->out_stride, &v->out) &&
	       (!(v->hdr.flags & NPU_F_POOL_INDEX) ||
		place_index(g, v, (uint32_t[]){ s->n, s->oh, s->ow, s->c }, v->out_stride));
}

bool kern_unpool(struct kern_gen *g, union kern_desc *d)
{
	struct npu_desc_pool *v = &d->pool;
	struct npu_conv_shape *s = &v->shape;

	memset(d, 0, sizeof(*d));
	v->hdr.opcode = NPU_OP_UNPOOL;
	v->hdr.flags = NPU_F_POOL_INDEX;
	window_shape(g, s);
	if (one_in(g, 2)) {	/* that of many networks */
		s->kh = s->kw = s->stride_h = s->stride_w = 2;
		s->pad_top = s->pad_left = 0;
		s->dil_h = s->dil_w = 1;
	}
	s->c = (uint16_t)odd_size(g, 300);
	s->k = s->c;
	input_strides(g, s->oh, s->ow, s->c, v->in_stride);
	image_strides(g, s->h, s->w, s->c, v->out_stride);
	return place_image(g, one_in(g, 2) ? NPU_SPACE_ACC : NPU_SPACE_SPM,
			   (uint32_t[]){ s->n, s->oh, s->ow, s->c }, v->in_stride, &v->in) &&
	       place_image(g, NPU_SPACE_SPM, (uint32_t[]){ s->n, s->h, s->w, s->c },
			   v->out_stride, &v->out) &&
	       place_index(g, v, (uint32_t[]){ s->n, s->oh, s->ow, s->c }, v->in_stride);
}

/* An index for output (oh, ow): mostly of its window, now and then from elsewhere. */
static uint32_t unpool_index(struct kern_gen *g, const struct npu_desc_pool *v, uint32_t oh,
			     uint32_t ow, uint32_t wrong)
{
	const struct npu_conv_shape *s = &v->shape;
	int32_t h = (int32_t)(oh * s->stride_h + kern_below(g, s->kh) * s->dil_h) - s->pad_top;
	int32_t w = (int32_t)(ow * s->stride_w + kern_below(g, s->kw) * s->dil_w) - s->pad_left;

	if (one_in(g, wrong))
		return kern_below(g, UINT32_MAX);
	if (one_in(g, 50))
		return UINT32_MAX;
	if (h < 0 || h >= s->h || w < 0 || w >= s->w || w >= v->index_row || one_in(g, 50)) {
		h = (int32_t)kern_below(g, s->h);
		w = (int32_t)kern_below(g, s->w < v->index_row ? s->w : (uint32_t)v->index_row);
	}
	return (uint32_t)h * (uint32_t)v->index_row + (uint32_t)w + (uint32_t)v->index_base;
}

void kern_unpool_indices(struct kern_gen *g, const struct npu_desc_pool *v, uint32_t *spm)
{
	const struct npu_conv_shape *s = &v->shape;
	const uint32_t wrong = one_in(g, 5) ? 200 : UINT32_MAX;
	uint32_t base = v->index.addr;

	if (v->index.reg != NPU_REG_NONE)
		base += (uint32_t)g->regs[v->index.reg];
	for (int32_t n = 0; n < s->n; n++)
		for (int32_t oh = 0; oh < s->oh; oh++)
			for (int32_t ow = 0; ow < s->ow; ow++)
				for (int32_t c = 0; c < s->c; c++)
					spm[(int64_t)base / 4 + n * v->in_stride[0] +
					    oh * v->in_stride[1] + ow * v->in_stride[2] + c] =
						unpool_index(g, v, (uint32_t)oh, (uint32_t)ow,
							     wrong);
}
