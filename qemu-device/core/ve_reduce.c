/* SPDX-License-Identifier: MIT */
/*
 * REDUCE (HW 9.3). A block of outputs has its 16 lanes as 16 rows of a state,
 * one column per output. When outputs are contiguous in the input, each input
 * row is combined into its lane's row; when reduced elements are, a kernel
 * fills the lanes of each output, and the block is transposed. The tree then
 * combines rows.
 */
#include <string.h>
#include "engine.h"

#define LANES		NPU_REDUCE_LANES
#define TRAPPING	2	/* kernels of I32 with TRAP */
#define BLOCK_MAX	256	/* outputs of a block, contiguous in the input */
#define BLOCK_ROWS	64	/* outputs of a block, reduced elements contiguous */
#define CALL_ROWS	512	/* input rows per call of a kernel: stay in L1 */
#define CALL_ELEMS	8192	/* elements of an output between two looks at cancel */
#define DENSE_ELEMS	1024	/* elements collected at a time, a multiple of 16 */

struct axis {
	uint32_t size;
	ptrdiff_t in;
	ptrdiff_t out;
};

struct reduce_block;

struct reduce {
	const struct npu_exec *x;
	uint32_t rop;
	bool is_int;
	uint32_t type;			/* of kernels: F32, I32, I32 with TRAP */
	atomic_uint *trapped;
	bool lanes_in;
	bool lanes_out;
	const uint32_t *in;
	uint32_t *out;
	struct axis kept[4];
	struct axis reduced[4];
	uint32_t kepts, reduceds;	/* axes, at least 1 each */
	uint32_t start;			/* identity, bits */
	enum npu_uop combine;
	void (*take)(const struct reduce *v, const struct reduce_block *block, uint32_t *state);
	uint32_t block;			/* outputs per unit, of the innermost kept axis */
	uint64_t elems;			/* per output */
	uint64_t blocks;		/* along the innermost kept axis */
	uint64_t units;
	uint32_t parts;
};

/* Outputs of one unit. */
struct reduce_block {
	const uint32_t *in;
	uint32_t *out;
	uint32_t count;
};

static void add_axis(struct axis *axes, uint32_t *count, struct axis axis)
{
	struct axis *last = *count ? &axes[*count - 1] : NULL;

	if (last && last->size == 1) {
		*last = axis;
	} else if (last && last->in == axis.in * axis.size && last->out == axis.out * axis.size &&
		   (uint64_t)last->size * axis.size <= UINT32_MAX) {
		last->size *= axis.size;
		last->in = axis.in;
		last->out = axis.out;
	} else if (axis.size > 1 || !last) {
		axes[(*count)++] = axis;
	}
}

/* Input offset of element @index in the row-major order of @axes. */
static ptrdiff_t axis_offset(const struct axis *axes, uint32_t count, uint64_t index,
			     ptrdiff_t *out)
{
	ptrdiff_t in = 0;

	*out = 0;
	if (count == 1) {	/* spare the divisions */
		*out = (ptrdiff_t)index * axes->out;
		return (ptrdiff_t)index * axes->in;
	}
	for (uint32_t i = count; i-- > 0;) {
		const ptrdiff_t at = (ptrdiff_t)(index % axes[i].size);

		index /= axes[i].size;
		in += at * axes[i].in;
		*out += at * axes[i].out;
	}
	return in;
}

static struct reduce_block reduce_block(const struct reduce *v, uint64_t unit)
{
	const struct axis *last = &v->kept[v->kepts - 1];
	const uint32_t first = (uint32_t)(unit % v->blocks) * v->block;
	ptrdiff_t out, in = axis_offset(v->kept, v->kepts - 1, unit / v->blocks, &out);

	return (struct reduce_block) {
		.in = v->in + in + first * last->in,
		.out = v->out + out + first * last->out,
		.count = last->size - first < v->block ? last->size - first : v->block,
	};
}

/* Combine 16 rows of lanes to one of results. */
static void combine_lanes(const struct reduce *v, uint32_t *state)
{
	const struct npu_kern *kern = v->x->kern;
	npu_kern_uop_fn *last = kern->uop_canon[v->combine];

	for (uint32_t half = LANES / 2; half; half /= 2) {
		const struct npu_kern_uop u = {
			.dst = state,
			.src = { state, state + half * v->block },
			.count = half * v->block,
			.trapped = v->trapped,
		};

		if (half == 1 && last)
			last(&u);
		else
			kern->uop[v->combine](&u);
	}
}

/* Lanes that are results: the maximum of x and x is x, or the NaN of HW 9. */
static void canon_lanes(const struct reduce *v, uint32_t *state)
{
	const struct npu_kern_uop u = {
		.dst = state,
		.src = { state, state },
		.count = LANES * v->block,
	};

	if (!v->is_int)
		v->x->kern->uop[NPU_UOP_FMAX](&u);
}

static void take_columns(const struct reduce *v, const struct reduce_block *block,
			 uint32_t *state)
{
	const struct npu_kern *kern = v->x->kern;
	const struct axis *last = &v->reduced[v->reduceds - 1];
	struct npu_kern_columns c = {
		.lanes = state,
		.lane_step = v->block,
		.row_step = last->in,
		.columns = block->count,
		.trapped = v->trapped,
	};
	uint64_t e = 0;
	ptrdiff_t unused;

	while (e < v->elems && !npu_cancelled(v->x)) {
		const uint64_t run = last->size - e % last->size;

		c.first = e % LANES;
		c.src = block->in + axis_offset(v->reduced, v->reduceds, e, &unused);
		c.rows = run < CALL_ROWS ? run : CALL_ROWS;
		kern->columns[v->type][v->rop](&c);
		e += c.rows;
	}
}

/* Few contiguous elements per output: transposed, they are rows of neighbours. */
static void take_short_rows(const struct reduce *v, const struct reduce_block *block,
			    uint32_t *state)
{
	const struct npu_kern *kern = v->x->kern;
	_Alignas(64) uint32_t columns[LANES * BLOCK_ROWS];
	const struct npu_kern_columns c = {
		.lanes = state,
		.lane_step = v->block,
		.src = columns,
		.row_step = v->block,
		.rows = v->elems,
		.columns = block->count,
		.trapped = v->trapped,
	};

	kern->transpose((float *)columns, v->block, (const float *)block->in,
			v->kept[v->kepts - 1].in, block->count, (uint32_t)v->elems);
	kern->columns[v->type][v->rop](&c);
}

/* Elements of one output that are not one contiguous run: collect, then combine. */
static void take_scattered(const struct reduce *v, const uint32_t *in, uint32_t *lanes)
{
	const struct npu_kern *kern = v->x->kern;
	const struct axis *last = &v->reduced[v->reduceds - 1];
	uint32_t dense[DENSE_ELEMS];
	struct npu_kern_lanes l = {
		.lanes = lanes, .src = dense, .rows = 1, .trapped = v->trapped,
	};
	uint64_t e = 0;
	ptrdiff_t unused;

	while (e < v->elems && !npu_cancelled(v->x)) {
		const uint32_t *src = in + axis_offset(v->reduced, v->reduceds, e, &unused);
		const uint64_t run = last->size - e % last->size;
		const uint64_t room = DENSE_ELEMS - l.count;
		const size_t count = run < room ? run : room;

		kern->gather(dense + l.count, src, last->in, count);
		l.count += count;
		e += count;
		if (l.count == DENSE_ELEMS || e == v->elems) {
			kern->lanes[v->type][v->rop](&l);
			l.count = 0;
		}
	}
}

/* Lanes of each output, 16 contiguous elements, @step apart: stored ones or the start. */
static void start_lanes(const struct reduce *v, const struct reduce_block *block,
			uint32_t *lanes)
{
	const ptrdiff_t step = v->kept[v->kepts - 1].out;
	const struct npu_kern *kern = v->x->kern;
	const float *src[BLOCK_ROWS];

	if (!v->lanes_in) {
		kern->spread(lanes, &v->start, 0, 1, block->count * LANES);
		return;
	}
	for (uint32_t j = 0; j < block->count; j++)
		src[j] = (const float *)block->out + j * step;
	kern->copy_rows((float *)lanes, LANES, src, block->count, LANES);
}

static void take_rows(const struct reduce *v, const struct reduce_block *block,
		      uint32_t *state)
{
	const struct npu_kern *kern = v->x->kern;
	const ptrdiff_t step = v->kept[v->kepts - 1].in;
	_Alignas(64) uint32_t lanes[BLOCK_ROWS * LANES];

	start_lanes(v, block, lanes);
	if (v->reduceds == 1 && v->reduced[0].in == 1) {
		for (uint64_t e = 0; e < v->elems && !npu_cancelled(v->x); e += CALL_ELEMS) {
			const uint64_t left = v->elems - e;
			const struct npu_kern_lanes l = {
				.lanes = lanes,
				.src = block->in + e,
				.rows = block->count,
				.row_step = step,
				.count = left < CALL_ELEMS ? left : CALL_ELEMS,
				.trapped = v->trapped,
			};

			kern->lanes[v->type][v->rop](&l);
		}
	} else {
		for (uint32_t j = 0; j < block->count; j++)
			take_scattered(v, block->in + j * step, lanes + j * LANES);
	}
	kern->transpose((float *)state, v->block, (const float *)lanes, LANES, block->count,
			LANES);
}

static void reduce_unit(const struct reduce *v, const struct reduce_block *block)
{
	const ptrdiff_t step = v->kept[v->kepts - 1].out;
	const struct npu_kern *kern = v->x->kern;
	_Alignas(64) uint32_t state[LANES * BLOCK_MAX];

	/* Columns that are no outputs combine, too, and must not overflow. */
	if (v->type == TRAPPING)
		memset(state, 0, LANES * v->block * sizeof(*state));
	if (v->take != take_rows && v->lanes_in)
		kern->transpose((float *)state, v->block, (const float *)block->out, step,
				block->count, LANES);
	else if (v->take != take_rows)
		kern->spread(state, &v->start, 0, 1, LANES * v->block);
	v->take(v, block, state);
	if (v->lanes_out) {
		canon_lanes(v, state);
		kern->transpose((float *)block->out, step, (const float *)state, v->block, LANES,
				block->count);
		return;
	}
	combine_lanes(v, state);
	kern->scatter(block->out, step, state, block->count);
}

/* Whether element @x replaces @best; -0 and +0 are equal, a NaN replaces a number. */
static bool arg_better(const struct reduce *v, uint32_t x, uint32_t best)
{
	const bool max = v->rop == NPU_ROP_ARGMAX;
	float fx, fbest;

	if (v->is_int)
		return max ? (int32_t)x > (int32_t)best : (int32_t)x < (int32_t)best;
	memcpy(&fx, &x, sizeof(fx));
	memcpy(&fbest, &best, sizeof(fbest));
	if (fx != fx)
		return fbest == fbest;
	return max ? fx > fbest : fx < fbest;
}

/* Position of the extreme among the elements of one output. */
static uint32_t arg_output(const struct reduce *v, const uint32_t *in)
{
	const struct axis *last = &v->reduced[v->reduceds - 1];
	uint32_t best = *in, best_at = 0;
	uint64_t e = 0;
	ptrdiff_t unused;

	while (e < v->elems && !npu_cancelled(v->x)) {
		const uint32_t *src = in + axis_offset(v->reduced, v->reduceds, e, &unused);
		const uint64_t run = last->size - e % last->size;
		const uint64_t end = e + (run < CALL_ELEMS ? run : CALL_ELEMS);

		for (; e < end; e++, src += last->in) {
			if (!arg_better(v, *src, best))
				continue;
			best = *src;
			best_at = (uint32_t)e;
		}
	}
	return best_at;
}

static void arg_unit(const struct reduce *v, const struct reduce_block *block)
{
	const struct axis *kept = &v->kept[v->kepts - 1];

	for (uint32_t j = 0; j < block->count; j++)
		block->out[j * kept->out] = arg_output(v, block->in + j * kept->in);
}

static void reduce_part(void *arg, uint32_t part)
{
	const struct reduce *v = arg;
	const uint64_t end = npu_part_first(v->units, v->parts, part + 1);

	for (uint64_t u = npu_part_first(v->units, v->parts, part); u < end; u++) {
		const struct reduce_block block = reduce_block(v, u);

		if (npu_cancelled(v->x))
			return;
		if (v->rop == NPU_ROP_ARGMAX || v->rop == NPU_ROP_ARGMIN)
			arg_unit(v, &block);
		else
			reduce_unit(v, &block);
	}
}

static void choose_operation(struct reduce *v)
{
	switch (v->rop) {
	case NPU_ROP_PROD:
		v->start = v->is_int ? 1 : 0x3f800000;
		v->combine = v->type == TRAPPING ? NPU_UOP_IMULT :
			     v->is_int ? NPU_UOP_IMUL : NPU_UOP_FMUL;
		break;
	case NPU_ROP_MAX:
		v->start = v->is_int ? 0x80000000 : 0xff800000;
		v->combine = v->is_int ? NPU_UOP_IMAX : NPU_UOP_FMAX;
		break;
	case NPU_ROP_MIN:
		v->start = v->is_int ? 0x7fffffff : 0x7f800000;
		v->combine = v->is_int ? NPU_UOP_IMIN : NPU_UOP_FMIN;
		break;
	default:
		v->start = 0;
		v->combine = v->type == TRAPPING ? NPU_UOP_IADDT :
			     v->is_int ? NPU_UOP_IADD : NPU_UOP_FADD;
		break;
	}
}

enum npu_fault_code npu_ve_reduce(const struct npu_exec *x, const struct npu_desc_reduce *d)
{
	const struct axis unit = { .size = 1, .in = 1, .out = 1 };
	struct reduce v = {
		.x = x,
		.rop = d->rop,
		.is_int = d->in.ref.dtype == NPU_I32,
		.lanes_in = d->hdr.flags & NPU_F_LANES_IN,
		.lanes_out = d->hdr.flags & NPU_F_LANES_OUT,
		.in = npu_operand(x, &d->in.ref),
		.out = npu_operand(x, &d->out.ref),
		.elems = 1,
	};
	const struct axis *inner;
	uint64_t outputs = 1;
	atomic_uint trapped = 0;

	v.trapped = &trapped;
	v.type = d->hdr.flags & NPU_F_TRAP ? TRAPPING : v.is_int;
	for (uint32_t i = 0; i < 4; i++) {
		const struct axis axis = {
			.size = d->dim[i],
			.in = d->in.stride[i],
			.out = d->out.stride[i],
		};

		if (d->axes >> i & 1)
			add_axis(v.reduced, &v.reduceds, axis);
		else
			add_axis(v.kept, &v.kepts, axis);
	}
	add_axis(v.reduced, &v.reduceds, unit);
	add_axis(v.kept, &v.kepts, unit);
	for (uint32_t i = 0; i < v.reduceds; i++)
		v.elems *= v.reduced[i].size;
	for (uint32_t i = 0; i < v.kepts; i++)
		outputs *= v.kept[i].size;
	choose_operation(&v);

	inner = &v.kept[v.kepts - 1];
	if (inner->in == 1 && v.reduced[v.reduceds - 1].in != 1)
		v.take = take_columns;
	else if (v.reduceds == 1 && v.reduced[0].in == 1 && v.elems <= LANES)
		v.take = take_short_rows;
	else
		v.take = take_rows;
	v.block = v.take == take_columns ? BLOCK_MAX : BLOCK_ROWS;
	if (v.block > inner->size)
		v.block = inner->size;
	v.blocks = ((uint64_t)inner->size + v.block - 1) / v.block;
	v.units = outputs / inner->size * v.blocks;
	v.parts = npu_engine_parts(x, v.units, outputs * v.elems);
	npu_engine_run(x, reduce_part, &v, v.parts);
	return atomic_load(&trapped) ? NPU_FAULT_OVERFLOW : NPU_FAULT_NONE;
}
