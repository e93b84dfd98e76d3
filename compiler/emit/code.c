/* SPDX-License-Identifier: MIT */
/* The descriptor stream while it is made. */
#include "nc.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "npu_disasm.h"

static bool make_room(struct nc_back *b, size_t bytes)
{
	struct nc_code *c = &b->code;

	if (c->bytes + bytes > c->room_bytes) {
		size_t room = c->room_bytes ? c->room_bytes * 2 : 64 * NPU_DESC_BYTES_MAX;
		uint8_t *data = nc_alloc(b->arena, room);

		if (!data)
			return false;
		if (c->bytes)
			memcpy(data, c->data, c->bytes);
		c->data = data;
		c->room_bytes = room;
	}
	if (c->count == c->room) {
		uint32_t room = c->room ? c->room * 2 : 256;
		uint32_t *start = nc_alloc_array(b->arena, room, sizeof(*start));

		if (!start)
			return false;
		if (c->count)
			memcpy(start, c->start, c->count * sizeof(*start));
		c->start = start;
		c->room = room;
	}
	return true;
}

void *nc_code_add(struct nc_back *b, const void *desc, size_t bytes)
{
	struct nc_code *c = &b->code;
	uint8_t *at;

	if (c->bytes + bytes > NPU_CMD_BYTES_MAX) {
		nc_error(b->diag, -E2BIG, "the program needs more than %u MiB of commands: use a smaller batch",
			 NPU_CMD_BYTES_MAX >> 20);
		return NULL;
	}
	if (!make_room(b, bytes)) {
		nc_no_memory(b);
		return NULL;
	}
	at = c->data + c->bytes;
	memcpy(at, desc, bytes);
	c->start[c->count++] = (uint32_t)(c->bytes / NPU_LINE_BYTES);
	c->bytes += bytes;
	return at;
}

int nc_code_dump(const struct nc_back *b, FILE *out)
{
	char text[NPU_DISASM_BYTES_MAX];

	for (uint32_t i = 0; i < b->code.count; i++) {
		const struct npu_desc_hdr *hdr = nc_code_at(&b->code, i);

		npu_disasm(hdr, (size_t)hdr->lines * NPU_LINE_BYTES, NPU_DISASM_ONE_LINE, text,
			   sizeof(text), NULL);
		fprintf(out, "%" PRIu32 ": %s\n", i, text);
	}
	return ferror(out) ? -EIO : 0;
}
