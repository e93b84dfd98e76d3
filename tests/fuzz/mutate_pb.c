/* SPDX-License-Identifier: MIT */
/*
 * Changes to protobuf messages that stay protobuf: what only breaks the wire
 * format is refused at the door, and finds nothing behind it.
 */
#include "fuzz.h"

#include <string.h>

#define FIELDS_MAX	4096
#define DEPTH_MAX	24
#define NO_PARENT	UINT32_MAX
#define PIECE_BYTES_MAX	4096

enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/**
 * struct field - a field that is there
 * @field: what it means; NULL: unknown
 * @tag_at: its first byte
 * @length_at: LENGTH: where that is
 * @value_at: first byte of its value
 * @end: first byte behind it
 * @parent: the field that it is in
 */
struct field {
	const ProtobufCFieldDescriptor *field;
	size_t tag_at, length_at, value_at, end;
	uint32_t parent;
	uint8_t wire;
};

struct message {
	uint8_t *data;
	size_t size, max_size;
	struct field field[FIELDS_MAX];
	uint32_t fields;
};

static bool get_varint(const uint8_t *data, size_t end, size_t *at, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && *at < end; shift += 7) {
		uint8_t byte = data[(*at)++];

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static size_t put_varint(uint8_t *at, uint64_t value)
{
	size_t used = 0;

	for (; value > 0x7f; value >>= 7)
		at[used++] = (uint8_t)(value | 0x80);
	at[used++] = (uint8_t)value;
	return used;
}

/* List the fields in @at .. @end, and those within; stops where it is damaged. */
static void walk(struct message *m, const ProtobufCMessageDescriptor *type, size_t at, size_t end,
		 uint32_t parent, unsigned int depth)
{
	while (at < end && m->fields < FIELDS_MAX) {
		struct field *f = &m->field[m->fields];
		uint32_t number = m->fields;
		uint64_t tag, value;

		*f = (struct field){ .tag_at = at, .parent = parent };
		if (!get_varint(m->data, end, &at, &tag))
			return;
		f->wire = tag & 7;
		f->field = protobuf_c_message_descriptor_get_field(type, (unsigned int)(tag >> 3));
		f->length_at = f->value_at = at;
		if (f->wire == VARINT) {
			if (!get_varint(m->data, end, &at, &value))
				return;
		} else if (f->wire == LENGTH) {
			if (!get_varint(m->data, end, &at, &value) || value > end - at)
				return;
			f->value_at = at;
			at += (size_t)value;
		} else if (f->wire == FIXED32 || f->wire == FIXED64) {
			value = f->wire == FIXED32 ? 4 : 8;
			if (value > end - at)
				return;
			at += (size_t)value;
		} else {
			return;
		}
		f->end = at;
		m->fields++;
		if (f->wire == LENGTH && f->field && f->field->type == PROTOBUF_C_TYPE_MESSAGE &&
		    depth < DEPTH_MAX)
			walk(m, f->field->descriptor, f->value_at, f->end, number, depth + 1);
	}
}

/* Bytes @from .. @to become @bytes of @with; false if there is no room. */
static bool replace(struct message *m, size_t from, size_t to, const void *with, size_t bytes)
{
	if (m->size - (to - from) + bytes > m->max_size)
		return false;
	memmove(m->data + from + bytes, m->data + to, m->size - to);
	memcpy(m->data + from, with, bytes);
	m->size = m->size - (to - from) + bytes;
	return true;
}

/* The same inside of field @parent, whose lengths follow; the fields listed are void then. */
static bool splice(struct message *m, uint32_t parent, size_t from, size_t to, const void *with,
		   size_t bytes)
{
	size_t before = m->size;

	if (!replace(m, from, to, with, bytes))
		return false;
	for (; parent != NO_PARENT; parent = m->field[parent].parent) {
		const struct field *f = &m->field[parent];
		uint8_t length[10];
		size_t now = f->end - f->value_at + m->size - before;
		size_t used = put_varint(length, now);

		if (!replace(m, f->length_at, f->value_at, length, used))
			return false;
	}
	return true;
}

/* Another field that @f's value could be, or @f. */
static const struct field *like(const struct message *m, const struct field *f,
				struct fuzz_random *r)
{
	const struct field *found = f;
	size_t seen = 0;

	for (uint32_t i = 0; i < m->fields; i++) {
		const struct field *g = &m->field[i];
		bool fits = f->field && g->field && g->wire == f->wire &&
			    g->field->type == f->field->type &&
			    g->field->descriptor == f->field->descriptor;

		if (g != f && fits && !fuzz_below(r, ++seen))
			found = g;
	}
	return found;
}

/* @f's value becomes @bytes of @with; with a length before it if it has one. */
static bool set_value(struct message *m, const struct field *f, const void *with, size_t bytes)
{
	uint8_t value[PIECE_BYTES_MAX + 10];
	size_t used = f->wire == LENGTH ? put_varint(value, bytes) : 0;

	if (bytes > PIECE_BYTES_MAX)
		return false;
	memcpy(value + used, with, bytes);
	return splice(m, f->parent, f->length_at, f->end, value, used + bytes);
}

static void change_number(struct message *m, const struct field *f, struct fuzz_random *r)
{
	static const float edge[] = { 0, -0.0f, 1, -1, 0.5f, 1e30f, -1e30f, 1e-42f };
	uint64_t value = fuzz_number(r);
	uint8_t text[10];

	if (f->wire == VARINT) {
		set_value(m, f, text, put_varint(text, value));
		return;
	}
	if (f->wire == FIXED32 && fuzz_below(r, 4)) {
		float number = edge[fuzz_below(r, sizeof(edge) / sizeof(edge[0]))];

		memcpy(&value, &number, sizeof(number));
	}
	memcpy(m->data + f->value_at, &value, f->wire == FIXED32 ? 4 : 8);
}

/* Inside of a string, of bytes, or of packed numbers. */
static void change_bytes(struct message *m, const struct field *f, struct fuzz_random *r)
{
	uint8_t piece[PIECE_BYTES_MAX + 16];
	size_t bytes = f->end - f->value_at;
	uint64_t value = fuzz_number(r);

	if (bytes > PIECE_BYTES_MAX)
		return;
	memcpy(piece, m->data + f->value_at, bytes);
	if (bytes % 8 == 0 && bytes && fuzz_below(r, 2)) {
		/* a list of 64-bit integers in raw_data, most likely */
		memcpy(piece + fuzz_below(r, bytes / 8) * 8, &value, 8);
	} else if (f->field && f->field->type != PROTOBUF_C_TYPE_STRING &&
		   f->field->type != PROTOBUF_C_TYPE_BYTES && fuzz_below(r, 2)) {
		bytes += put_varint(piece + bytes, value);
	} else {
		bytes = LLVMFuzzerMutate(piece, bytes, bytes + 16);
	}
	set_value(m, f, piece, bytes);
}

static void change_value(struct message *m, const struct fuzz_pb_words *words,
			 const struct field *f, struct fuzz_random *r)
{
	const char *word = NULL;

	if (f->wire != LENGTH) {
		change_number(m, f, r);
		return;
	}
	if (f->field && words && fuzz_below(r, 4))
		word = words->word(f->field, r);
	if (word)
		set_value(m, f, word, strlen(word));
	else
		change_bytes(m, f, r);
}

static void change_one(struct message *m, const struct fuzz_pb_words *words,
		       struct fuzz_random *r)
{
	const struct field *f = &m->field[fuzz_below(r, m->fields)], *other;
	uint8_t piece[PIECE_BYTES_MAX];
	size_t bytes = f->end - f->tag_at;

	switch (fuzz_below(r, 10)) {
	case 0:	/* drop */
		splice(m, f->parent, f->tag_at, f->end, "", 0);
		return;
	case 1:	/* repeat */
		if (bytes > sizeof(piece))
			return;
		memcpy(piece, m->data + f->tag_at, bytes);
		splice(m, f->parent, f->end, f->end, piece, bytes);
		return;
	case 2:	/* take another's value */
	case 3:
	case 4:
		other = like(m, f, r);
		bytes = other->end - other->value_at;
		if (bytes > sizeof(piece))
			return;
		memcpy(piece, m->data + other->value_at, bytes);
		set_value(m, f, piece, bytes);
		return;
	case 5:	/* another field is added to the message that this one is in */
		other = &m->field[fuzz_below(r, m->fields)];
		bytes = other->end - other->tag_at;
		if (bytes > sizeof(piece))
			return;
		memcpy(piece, m->data + other->tag_at, bytes);
		splice(m, f->parent, f->tag_at, f->tag_at, piece, bytes);
		return;
	default:
		/* Messages change by their fields. */
		for (unsigned int i = 0; i < 8 && f->field &&
		     f->field->type == PROTOBUF_C_TYPE_MESSAGE; i++)
			f = &m->field[fuzz_below(r, m->fields)];
		change_value(m, words, f, r);
		return;
	}
}

size_t fuzz_pb_mutate(const ProtobufCMessageDescriptor *type, const struct fuzz_pb_words *words,
		      uint8_t *data, size_t size, size_t max_size, struct fuzz_random *r)
{
	static struct message m;

	m.data = data;
	m.size = size;
	m.max_size = max_size;
	m.fields = 0;
	walk(&m, type, 0, size, NO_PARENT, 0);
	if (!m.fields || !fuzz_below(r, 16))
		return LLVMFuzzerMutate(data, size, max_size);
	change_one(&m, words, r);
	return m.size;
}
