/* SPDX-License-Identifier: MIT */
/*
 * Protobuf's wire format: a message is a row of fields, each a key (number,
 * wire type) and then a varint, 4 or 8 bytes, or a length and bytes.
 */
#ifndef NPU_PB_H
#define NPU_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pb_wire {
	PB_VARINT = 0,
	PB_64 = 1,
	PB_BYTES = 2,
	PB_32 = 5,
};

/**
 * struct pb_span - bytes that are still to be read
 * @at: next one
 * @left: how many
 */
struct pb_span {
	const uint8_t *at;
	size_t left;
};

bool pb_varint(struct pb_span *s, uint64_t *value);
/* The next field; *bytes is its content, for a varint *value. False: damaged. */
bool pb_field(struct pb_span *s, unsigned int *number, unsigned int *wire, uint64_t *value,
	      struct pb_span *bytes);
/* Whether @text is just what @bytes holds. */
bool pb_is(struct pb_span bytes, const char *text);

#endif
