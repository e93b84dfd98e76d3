/* SPDX-License-Identifier: MIT */
/*
 * Names for the data of operands. Two operands with the same name see the same
 * elements of a tensor at the same places of a packed copy, so one may use the
 * copy that was made for the other.
 */
#include "box.h"

#include <string.h>

/* Loops that take space, by descending step in SPM; neighbours that compose are one. */
static void normalise(const struct nc_operand *o, struct box *key)
{
	memset(key, 0, sizeof(*key));
	key->tensor = o->tensor;
	key->offset = o->offset;
	for (unsigned int i = 0; i < NC_LOOPS; i++) {
		unsigned int at = key->ndim;

		if (o->dim[i] <= 1 || !o->spm_stride[i])
			continue;
		for (; at > 0 && key->spm_stride[at - 1] < o->spm_stride[i]; at--) {
			key->dim[at] = key->dim[at - 1];
			key->stride[at] = key->stride[at - 1];
			key->spm_stride[at] = key->spm_stride[at - 1];
		}
		key->dim[at] = o->dim[i];
		key->stride[at] = o->stride[i];
		key->spm_stride[at] = o->spm_stride[i];
		key->ndim++;
	}
}

static void merge(struct box *key)
{
	unsigned int kept = 0;

	for (unsigned int i = 1; i < key->ndim; i++) {
		bool composes = key->stride[kept] == key->stride[i] * (int64_t)key->dim[i] &&
			key->spm_stride[kept] == (int64_t)(key->spm_stride[i] * key->dim[i]);

		if (!composes) {
			kept++;
			key->dim[kept] = key->dim[i];
		} else {
			key->dim[kept] *= key->dim[i];
		}
		key->stride[kept] = key->stride[i];
		key->spm_stride[kept] = key->spm_stride[i];
	}
	for (unsigned int i = kept + 1; i < key->ndim; i++) {
		key->dim[i] = 0;
		key->stride[i] = 0;
		key->spm_stride[i] = 0;
	}
	if (key->ndim)
		key->ndim = kept + 1;
}

static uint32_t hash(const struct box *key)
{
	uint64_t h = key->tensor * 0x9e3779b97f4a7c15ull ^ (uint64_t)key->offset;

	for (unsigned int i = 0; i < key->ndim; i++) {
		h = (h ^ key->dim[i]) * 0x9e3779b97f4a7c15ull;
		h = (h ^ (uint64_t)key->stride[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return (uint32_t)(h ^ h >> 32);
}

static bool grow(struct box_table *t, struct nc_back *b)
{
	uint32_t room = t->room ? t->room * 2 : 1024;
	struct box *entry = nc_alloc_array(b->arena, room, sizeof(*entry));
	uint32_t *bucket = nc_alloc_array(b->arena, (size_t)room * 2, sizeof(*bucket));

	if (!entry || !bucket)
		return false;
	if (t->count)
		memcpy(entry, t->entry, t->count * sizeof(*entry));
	t->entry = entry;
	t->room = room;
	t->bucket = bucket;
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t at = hash(&entry[i]) & (room * 2 - 1);

		while (bucket[at])
			at = (at + 1) & (room * 2 - 1);
		bucket[at] = i + 1;
	}
	return true;
}

uint32_t box_name(struct box_table *t, struct nc_back *b, const struct nc_operand *o)
{
	struct box key;
	uint32_t at;

	if (t->count == t->room && !grow(t, b)) {
		nc_no_memory(b);
		return UINT32_MAX;
	}
	normalise(o, &key);
	merge(&key);
	at = hash(&key) & (t->room * 2 - 1);
	while (t->bucket[at]) {
		if (!memcmp(&t->entry[t->bucket[at] - 1], &key, sizeof(key)))
			return t->bucket[at] - 1;
		at = (at + 1) & (t->room * 2 - 1);
	}
	t->entry[t->count++] = key;
	t->bucket[at] = t->count;
	return t->count - 1;
}
