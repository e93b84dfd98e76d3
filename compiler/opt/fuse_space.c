/* SPDX-License-Identifier: MIT */
/*
 * Two loop nests over the elements of one tensor, brought to a common form.
 * Neither nest visits an element twice, so an element pairs one point of each;
 * splitting dimensions until both have the same ones ("atoms") finds the pairs.
 */
#include "fuse.h"

#include <string.h>

/* A dimension with its step in the shared tensor. */
struct axis {
	unsigned int dim;
	uint32_t left;
	uint32_t step;
	int64_t stride;
};

/* Dimensions that move, smallest stride first; -1 if one stands or goes backwards. */
static int list_axes(const struct kir_map *m, const struct kir_view *v, struct axis *axis)
{
	int count = 0;

	for (unsigned int i = 0; i < m->ndim; i++) {
		int at = count;

		if (m->dim[i] == 1)
			continue;
		if (v->stride[i] <= 0)
			return -1;
		for (; at > 0 && axis[at - 1].stride > v->stride[i]; at--)
			axis[at] = axis[at - 1];
		axis[at] = (struct axis){
			.dim = i, .left = m->dim[i], .step = 1, .stride = v->stride[i],
		};
		count++;
	}
	return count;
}

/* Take @size off the inner end of an axis; true when it is used up. */
static bool take(struct axis *a, uint32_t size)
{
	a->left /= size;
	a->step *= size;
	a->stride *= size;
	return a->left == 1;
}

/* The producer's order: its dimensions, inside of each the larger step first. */
static void sort_atoms(struct fuse_atom *atom, unsigned int count)
{
	for (unsigned int i = 1; i < count; i++)
		for (unsigned int j = i; j > 0; j--) {
			const struct fuse_atom *a = &atom[j - 1], *b = &atom[j];
			struct fuse_atom swap = atom[j];

			if (a->p < b->p || (a->p == b->p && a->p_step > b->p_step))
				break;
			atom[j] = atom[j - 1];
			atom[j - 1] = swap;
		}
}

int fuse_atoms(const struct kir_map *p, const struct kir_view *pv, const struct kir_map *m,
	       const struct kir_view *mv, struct fuse_atom atom[FUSE_ATOMS])
{
	struct axis pa[KIR_DIMS], ma[KIR_DIMS];
	int ps = list_axes(p, pv, pa), ms = list_axes(m, mv, ma), pi = 0, mi = 0;
	unsigned int count = 0;

	if (ps < 0 || ms < 0 || pv->offset != mv->offset)
		return -1;
	while (pi < ps && mi < ms) {
		struct axis *a = &pa[pi], *b = &ma[mi];
		uint32_t size = a->left < b->left ? a->left : b->left;

		if (a->stride != b->stride || a->left % size || b->left % size)
			return -1;
		atom[count++] = (struct fuse_atom){
			.size = size, .p = a->dim, .p_step = a->step, .m = b->dim, .m_step = b->step,
		};
		pi += take(a, size);
		mi += take(b, size);
	}
	if (pi < ps || mi < ms)
		return -1;
	sort_atoms(atom, count);
	return (int)count;
}

/* Strides of a map's operands over the atoms. */
static void spread(const struct kir_map *m, const struct fuse_atom *atom, unsigned int atoms,
		   bool producer, int64_t stride[NPU_MAP_OPERANDS][FUSE_ATOMS])
{
	for (unsigned int i = 0; i < m->operands; i++)
		for (unsigned int j = 0; j < atoms; j++) {
			const int64_t *of = m->operand[i].view.stride;

			stride[i][j] = producer ? of[atom[j].p] * atom[j].p_step :
				of[atom[j].m] * atom[j].m_step;
		}
}

/* Merge atom @j into its predecessor @kept, if all operands agree. */
static bool join(const struct kir_map *m, const struct fuse_atom *atom, unsigned int kept,
		 unsigned int j, int64_t stride[NPU_MAP_OPERANDS][FUSE_ATOMS])
{
	for (unsigned int i = 0; i < m->operands; i++)
		if (stride[i][kept] != stride[i][j] * (int64_t)atom[j].size)
			return false;
	return true;
}

static void move_atom(const struct kir_map *m, int64_t stride[NPU_MAP_OPERANDS][FUSE_ATOMS],
		      unsigned int to, unsigned int from)
{
	for (unsigned int i = 0; i < m->operands; i++)
		stride[i][to] = stride[i][from];
}

static void set_space(struct kir_map *m, int64_t stride[NPU_MAP_OPERANDS][FUSE_ATOMS],
		      unsigned int ndim, const uint32_t *dim)
{
	m->ndim = ndim;
	memcpy(m->dim, dim, ndim * sizeof(*dim));
	for (unsigned int i = 0; i < m->operands; i++)
		memcpy(m->operand[i].view.stride, stride[i], ndim * sizeof(int64_t));
}

/* @m over the dimensions of @p: the atoms of a dimension must compose. */
static bool onto_producer(const struct kir_map *p, struct kir_map *m,
			  const struct fuse_atom *atom, unsigned int atoms)
{
	int64_t stride[NPU_MAP_OPERANDS][FUSE_ATOMS], whole[NPU_MAP_OPERANDS][FUSE_ATOMS];

	memset(whole, 0, sizeof(whole));
	spread(m, atom, atoms, false, stride);
	for (unsigned int j = 0; j < atoms; j++) {
		if (j && atom[j].p == atom[j - 1].p && !join(m, atom, j - 1, j, stride))
			return false;
		for (unsigned int i = 0; i < m->operands; i++)
			whole[i][atom[j].p] = stride[i][j];
	}
	set_space(m, whole, p->ndim, p->dim);
	return true;
}

/* Both over the atoms, merged where both agree. */
static bool onto_atoms(struct kir_map *p, struct kir_map *m, const struct fuse_atom *atom,
		       unsigned int atoms)
{
	int64_t ps[NPU_MAP_OPERANDS][FUSE_ATOMS], ms[NPU_MAP_OPERANDS][FUSE_ATOMS];
	uint32_t dim[FUSE_ATOMS] = { 1 };
	unsigned int ndim = 0;

	spread(p, atom, atoms, true, ps);
	spread(m, atom, atoms, false, ms);
	for (unsigned int j = 0; j < atoms; j++) {
		bool joins = ndim && (uint64_t)dim[ndim - 1] * atom[j].size <= UINT32_MAX &&
			join(p, atom, ndim - 1, j, ps) && join(m, atom, ndim - 1, j, ms);

		if (!joins)
			dim[ndim++] = 1;
		move_atom(p, ps, ndim - 1, j);
		move_atom(m, ms, ndim - 1, j);
		dim[ndim - 1] *= atom[j].size;
	}
	if (ndim > KIR_DIMS)
		return false;
	if (!ndim) {
		memset(ps, 0, sizeof(ps));
		memset(ms, 0, sizeof(ms));
		ndim = 1;
	}
	set_space(p, ps, ndim, dim);
	set_space(m, ms, ndim, dim);
	return true;
}

bool fuse_space(struct kir_map *p, struct kir_map *m, const struct fuse_atom *atom,
		unsigned int atoms, bool keep_p)
{
	return keep_p ? onto_producer(p, m, atom, atoms) : onto_atoms(p, m, atom, atoms);
}
