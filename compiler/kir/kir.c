/* SPDX-License-Identifier: MIT */
/*
 * The kernel IR as a container: tensors, nodes and operations in growing
 * arrays of the arena. What makes a list legal is in kir_check.c.
 */
#include "kir.h"

#include <errno.h>
#include <string.h>

#define KIR_GROW_FROM	16

struct kir *kir_create(struct nc_arena *arena, const char *name)
{
	struct kir *k = nc_alloc(arena, sizeof(*k));

	if (!k)
		return NULL;
	k->arena = arena;
	k->name = nc_strdup(arena, name ? name : "");
	return k->name ? k : NULL;
}

/*
 * Room for one more element of an array that holds @count. Arrays double
 * whenever they hold a power of two, so their capacity need not be stored.
 */
static void *grow(struct nc_arena *arena, void *array, uint32_t count, size_t size)
{
	uint32_t room = count < KIR_GROW_FROM ? KIR_GROW_FROM : count;
	void *bigger;

	if (count && (count < KIR_GROW_FROM || (count & (count - 1))))
		return array;
	if (count > UINT32_MAX / 2)
		return NULL;
	bigger = nc_alloc_array(arena, count ? (size_t)room * 2 : room, size);
	if (bigger && count)
		memcpy(bigger, array, (size_t)count * size);
	return bigger;
}

int64_t kir_add_tensor(struct kir *k, const struct kir_tensor *t)
{
	struct kir_tensor *array = grow(k->arena, k->tensor, k->tensors, sizeof(*array));
	struct kir_tensor copy = *t;

	copy.name = nc_strdup(k->arena, t->name ? t->name : "");
	if (!array || !copy.name)
		return -ENOMEM;
	if (t->data) {
		size_t bytes = (size_t)t->elems * npu_dtype_bytes(t->dtype);
		void *data = nc_alloc_array(k->arena, t->elems, npu_dtype_bytes(t->dtype));

		if (!data)
			return -ENOMEM;
		memcpy(data, t->data, bytes);
		copy.data = data;
	}
	k->tensor = array;
	array[k->tensors] = copy;
	return k->tensors++;
}

int64_t kir_add_node(struct kir *k, const char *name, const char *op)
{
	struct kir_node *array = grow(k->arena, k->node, k->nodes, sizeof(*array));
	struct kir_node node = {
		.name = nc_strdup(k->arena, name ? name : ""),
		.op = nc_strdup(k->arena, op ? op : ""),
	};

	if (!array || !node.name || !node.op)
		return -ENOMEM;
	k->node = array;
	array[k->nodes] = node;
	return k->nodes++;
}

int kir_push_op(struct kir *k, struct kir_op *op)
{
	struct kir_op **array = grow(k->arena, k->op, k->ops, sizeof(struct kir_op *));

	if (!array)
		return -ENOMEM;
	k->op = array;
	array[k->ops++] = op;
	return 0;
}

struct kir_op *kir_add_op(struct kir *k, enum kir_kind kind, uint32_t node)
{
	struct kir_op *op = nc_alloc(k->arena, sizeof(*op));

	if (!op)
		return NULL;
	op->kind = kind;
	op->node = node;
	return kir_push_op(k, op) ? NULL : op;
}
