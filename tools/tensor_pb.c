/* SPDX-License-Identifier: MIT */
/*
 * ONNX TensorProto, the one message that test data comes in: a reader and a
 * writer of just its fields.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pb.h"
#include "tensor_file.h"

enum field {
	FIELD_DIMS = 1,
	FIELD_DATA_TYPE = 2,
	FIELD_FLOAT_DATA = 4,
	FIELD_INT32_DATA = 5,
	FIELD_STRING_DATA = 6,
	FIELD_INT64_DATA = 7,
	FIELD_NAME = 8,
	FIELD_RAW_DATA = 9,
	FIELD_DOUBLE_DATA = 10,
	FIELD_UINT64_DATA = 11,
	FIELD_EXTERNAL_DATA = 13,
};

static bool add_dim(struct tensor_file *t, uint64_t dim)
{
	if (t->rank == NPU_RANK_MAX)
		return false;
	t->dim[t->rank++] = (int64_t)dim;
	return true;
}

/* Elements that are not in raw_data: repeated fields, packed or one by one. */
struct values {
	uint8_t *bytes;
	size_t used;
	size_t room;
};

static bool add_value(struct values *v, const void *value, size_t bytes)
{
	/* An empty list has no memory to copy to. */
	if (!bytes)
		return true;
	if (v->used + bytes > v->room) {
		size_t room = v->room * 2 + 4096;
		uint8_t *bigger = realloc(v->bytes, room);

		if (!bigger)
			return false;
		v->bytes = bigger;
		v->room = room;
	}
	memcpy(v->bytes + v->used, value, bytes);
	v->used += bytes;
	return true;
}

/* Integers of any type come as varints; @elem_bytes of each are kept. */
static bool add_varints(struct values *v, struct pb_span packed, unsigned int elem_bytes)
{
	uint64_t value;

	while (packed.left)
		if (!pb_varint(&packed, &value) || !add_value(v, &value, elem_bytes))
			return false;
	return true;
}

static bool add_elements(struct values *v, unsigned int number, unsigned int wire, uint64_t value,
			 struct pb_span bytes, unsigned int elem_bytes)
{
	if (number == FIELD_FLOAT_DATA || number == FIELD_DOUBLE_DATA)
		return wire != PB_VARINT && add_value(v, bytes.at, bytes.left);
	if (wire == PB_VARINT)
		return add_value(v, &value, elem_bytes);
	return wire == PB_BYTES && add_varints(v, bytes, elem_bytes);
}

/* TensorProto.DataType to our type. */
static struct tensor_type type_of(uint64_t data_type)
{
	static const struct tensor_type type[] = {
		[1] = { 'f', 4 }, [2] = { 'u', 1 }, [3] = { 'i', 1 }, [4] = { 'u', 2 },
		[5] = { 'i', 2 }, [6] = { 'i', 4 }, [7] = { 'i', 8 }, [9] = { 'b', 1 },
		[10] = { 'f', 2 }, [11] = { 'f', 8 }, [12] = { 'u', 4 }, [13] = { 'u', 8 },
		[16] = { 'h', 2 },
	};

	return data_type < sizeof(type) / sizeof(type[0]) ? type[data_type] :
							     (struct tensor_type){ 0, 0 };
}

/* Dimensions and type, which may come after the elements. */
static const char *parse_shape(struct tensor_file *t, struct pb_span s)
{
	while (s.left) {
		unsigned int number;
		unsigned int wire;
		uint64_t value;
		struct pb_span bytes = { NULL, 0 };

		if (!pb_field(&s, &number, &wire, &value, &bytes))
			return "not a TensorProto, or cut off";
		if (number == FIELD_DIMS && wire == PB_VARINT && !add_dim(t, value))
			return "too many dimensions";
		while (number == FIELD_DIMS && wire == PB_BYTES && bytes.left)
			if (!pb_varint(&bytes, &value) || !add_dim(t, value))
				return "the shape is not valid";
		if (number == FIELD_DATA_TYPE && wire == PB_VARINT)
			t->type = type_of(value);
		if (number == FIELD_EXTERNAL_DATA)
			return "its elements are in another file, which is not supported";
	}
	if (!t->type.kind)
		return "not a TensorProto, or of a type that is not supported";
	return tensor_count(t) ? NULL : "the shape is not valid";
}

static const char *parse_elements(struct tensor_file *t, struct pb_span s, struct values *v,
				  struct pb_span *raw)
{
	while (s.left) {
		unsigned int number;
		unsigned int wire;
		uint64_t value = 0;
		struct pb_span bytes = { NULL, 0 };

		if (!pb_field(&s, &number, &wire, &value, &bytes))
			return "not a TensorProto, or cut off";
		switch (number) {
		case FIELD_RAW_DATA:
			if (wire == PB_BYTES)
				*raw = bytes;
			break;
		case FIELD_FLOAT_DATA:
		case FIELD_INT32_DATA:
		case FIELD_INT64_DATA:
		case FIELD_DOUBLE_DATA:
		case FIELD_UINT64_DATA:
			if (!add_elements(v, number, wire, value, bytes, t->type.bytes))
				return "its elements are not valid";
			break;
		}
	}
	return NULL;
}

bool tensor_pb_parse(struct tensor_file *t, const uint8_t *bytes, size_t size,
		     char error[TENSOR_ERROR_BYTES])
{
	struct pb_span all = { bytes, size };
	struct pb_span raw = { NULL, 0 };
	struct values v = { .bytes = NULL };
	const char *why = parse_shape(t, all);

	if (!why)
		why = parse_elements(t, all, &v, &raw);
	if (!why && v.used) {
		t->data = v.bytes;
		t->memory = v.bytes;
		raw.left = v.used;
	} else if (!why) {
		t->data = raw.at ? raw.at : bytes;
	}
	if (!why && raw.left != t->count * t->type.bytes)
		why = "shape and number of elements do not agree";
	if (!why)
		return true;
	free(v.bytes);
	*t = (struct tensor_file){ .path = t->path };
	snprintf(error, TENSOR_ERROR_BYTES, "%s: %s", t->path, why);
	return false;
}

/* ---- Writing ---- */

static size_t put_varint(uint8_t *at, uint64_t value)
{
	size_t used = 0;

	for (; value > 0x7f; value >>= 7)
		at[used++] = (uint8_t)(value | 0x80);
	at[used++] = (uint8_t)value;
	return used;
}

static size_t put_key(uint8_t *at, enum field number, enum pb_wire wire)
{
	return put_varint(at, (uint64_t)number << 3 | wire);
}

void *tensor_pb_head(const struct npu_tensor_info *info, size_t *size)
{
	size_t name_bytes = strlen(info->name);
	uint8_t *head = malloc(name_bytes + 16 * (NPU_RANK_MAX + 4));
	struct tensor_type type = tensor_type_of(info->type);
	size_t used = 0;

	if (!head)
		return NULL;
	for (unsigned int i = 0; i < info->rank; i++) {
		used += put_key(head + used, FIELD_DIMS, PB_VARINT);
		used += put_varint(head + used, (uint64_t)info->dim[i]);
	}
	for (unsigned int data_type = 1; data_type < 17; data_type++) {
		struct tensor_type candidate = type_of(data_type);

		if (candidate.kind != type.kind || candidate.bytes != type.bytes)
			continue;
		used += put_key(head + used, FIELD_DATA_TYPE, PB_VARINT);
		used += put_varint(head + used, data_type);
	}
	used += put_key(head + used, FIELD_NAME, PB_BYTES);
	used += put_varint(head + used, name_bytes);
	memcpy(head + used, info->name, name_bytes);
	used += name_bytes;
	used += put_key(head + used, FIELD_RAW_DATA, PB_BYTES);
	used += put_varint(head + used, info->bytes);
	*size = used;
	return head;
}
