/* SPDX-License-Identifier: MIT */
/* Read protobuf's wire format; every length is compared with what is there. */
#include <string.h>
#include "pb.h"

bool pb_varint(struct pb_span *s, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (!s->left)
			return false;
		byte = *s->at++;
		s->left--;
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool get_bytes(struct pb_span *s, uint64_t size, struct pb_span *bytes)
{
	if (size > s->left)
		return false;
	*bytes = (struct pb_span){ s->at, (size_t)size };
	s->at += size;
	s->left -= (size_t)size;
	return true;
}

bool pb_field(struct pb_span *s, unsigned int *number, unsigned int *wire, uint64_t *value,
	      struct pb_span *bytes)
{
	uint64_t key;

	if (!pb_varint(s, &key) || key >> 3 == 0 || key >> 3 > 1u << 29)
		return false;
	*number = (unsigned int)(key >> 3);
	*wire = key & 7;
	switch (*wire) {
	case PB_VARINT:
		return pb_varint(s, value);
	case PB_64:
		return get_bytes(s, 8, bytes);
	case PB_32:
		return get_bytes(s, 4, bytes);
	case PB_BYTES:
		return pb_varint(s, value) && get_bytes(s, *value, bytes);
	default:
		return false;
	}
}

bool pb_is(struct pb_span bytes, const char *text)
{
	size_t length = strlen(text);

	return bytes.left == length && !memcmp(bytes.at, text, length);
}
