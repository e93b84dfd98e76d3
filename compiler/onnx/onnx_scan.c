/* SPDX-License-Identifier: MIT */
/*
 * A look at the wire format of an ONNX file before protobuf unpacks it, which
 * recurses and allocates as the file says. The walk needs the schema, because
 * only that tells nested messages from strings; it has a stack of its own.
 */
#include "onnx.h"

#include <errno.h>

#include "onnx.pb-c.h"

/* Unpacked, a file may take this many times its size, and this much more. */
#define GROWTH		4
#define FREE_BYTES	(256ull << 20)
/* protobuf-c's notes about a field while it unpacks a message, and a pointer. */
#define FIELD_BYTES	64

enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

struct scan {
	const uint8_t *at;
	const uint8_t *end;
	uint64_t memory_bytes;
	unsigned int depth;
	struct {
		const ProtobufCMessageDescriptor *type;
		const uint8_t *end;
	} frame[NC_ONNX_DEPTH_MAX];
};

/* False at the end of the data or beyond 64 bits. */
static bool get_varint(struct scan *s, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && s->at < end; shift += 7) {
		uint8_t byte = *s->at++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* Into a nested message, or over @bytes of anything else. */
static const char *take_length(struct scan *s, const ProtobufCFieldDescriptor *field,
			       uint64_t bytes)
{
	if (!field || field->type == PROTOBUF_C_TYPE_STRING ||
	    field->type == PROTOBUF_C_TYPE_BYTES) {
		s->memory_bytes += bytes;
		s->at += bytes;
		return NULL;
	}
	if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
		/* packed numbers: a byte may become eight */
		s->memory_bytes += field->type == PROTOBUF_C_TYPE_FLOAT ||
				   field->type == PROTOBUF_C_TYPE_DOUBLE ? bytes : 8 * bytes;
		s->at += bytes;
		return NULL;
	}
	if (s->depth == NC_ONNX_DEPTH_MAX)
		return "is nested too deeply";
	s->frame[s->depth].type = field->descriptor;
	s->frame[s->depth].end = s->at + bytes;
	s->depth++;
	s->memory_bytes += s->frame[s->depth - 1].type->sizeof_message;
	return NULL;
}

static const char *take_field(struct scan *s)
{
	const ProtobufCMessageDescriptor *type = s->frame[s->depth - 1].type;
	const uint8_t *end = s->frame[s->depth - 1].end;
	const ProtobufCFieldDescriptor *field;
	uint64_t tag, value;

	if (!get_varint(s, end, &tag) || tag >> 3 > UINT32_MAX >> 3 || !(tag >> 3))
		return "has a damaged field";
	field = protobuf_c_message_descriptor_get_field(type, (unsigned int)(tag >> 3));
	s->memory_bytes += FIELD_BYTES;
	switch (tag & 7) {
	case VARINT:
		return get_varint(s, end, &value) ? NULL : "is cut off in a number";
	case FIXED64:
	case FIXED32:
		value = (tag & 7) == FIXED64 ? 8 : 4;
		if (value > (uint64_t)(end - s->at))
			return "is cut off in a number";
		s->at += value;
		return NULL;
	case LENGTH:
		if (!get_varint(s, end, &value) || value > (uint64_t)(end - s->at))
			return "is cut off, or a length in it is wrong";
		return take_length(s, field, value);
	default:
		return "uses a wire type that ONNX does not";
	}
}

int nc_onnx_scan_message(const void *type, const uint8_t *data, size_t bytes,
			 struct nc_diag *diag)
{
	struct scan s = { .at = data, .end = data + bytes, .depth = 1 };
	uint64_t most = FREE_BYTES + GROWTH * (uint64_t)bytes;

	s.frame[0].type = type;
	s.frame[0].end = s.end;
	while (s.depth) {
		const char *error;

		if (s.at == s.frame[s.depth - 1].end) {
			s.depth--;
			continue;
		}
		error = take_field(&s);
		if (!error && s.memory_bytes > most)
			error = "would take far more memory than its size";
		if (error)
			return nc_error(diag, -EINVAL, "not an ONNX model: it %s (at byte %zu)",
					error, (size_t)(s.at - data));
	}
	return 0;
}

int nc_onnx_scan(const uint8_t *data, size_t bytes, struct nc_diag *diag)
{
	return nc_onnx_scan_message(&onnx__model_proto__descriptor, data, bytes, diag);
}
