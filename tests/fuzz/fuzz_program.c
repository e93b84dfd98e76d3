/* SPDX-License-Identifier: MIT */
/*
 * A program file: its reader, the checker of its commands, what they touch, and
 * their text, which must give the same bytes again.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "npu_check.h"
#include "npu_disasm.h"
#include "npu_prog_read.h"

static const struct npu_limits limits = {
	.caps = UINT64_MAX,
	.spm_bytes = 64u << 10,
	.acc_bytes = 16u << 10,
	.array_rows = 8,
	.array_cols = 8,
};

static void check_text(const struct npu_desc_hdr *desc, size_t avail_bytes)
{
	static char text[NPU_DISASM_BYTES_MAX];
	static uint64_t back[(NPU_DESC_BYTES_MAX + NPU_LINE_BYTES) / 8];
	struct npu_asm_error error;
	size_t used, again, length;

	length = npu_disasm(desc, avail_bytes, 0, text, sizeof(text), &used);
	fuzz_require(length < sizeof(text) && used && used <= avail_bytes);
	fuzz_require(!npu_asm(text, back, sizeof(back), &again, &error));
	fuzz_require(again == used && !memcmp(desc, back, used));
}

static void check_desc(const struct npu_desc_hdr *desc, size_t avail_bytes)
{
	struct npu_access access[NPU_ACCESSES_MAX];
	uint64_t regs[NPU_REGS];
	struct npu_diag diag;

	if (npu_check_desc(&limits, desc, avail_bytes, &diag))
		return;
	for (unsigned int i = 0; i < NPU_REGS; i++)
		regs[i] = i < 16 ? i * 64 : 1ull << (i + 16);
	fuzz_require(npu_desc_accesses(&limits, desc, NULL, access) <= NPU_ACCESSES_MAX);
	fuzz_require(npu_desc_accesses(&limits, desc, regs, access) <= NPU_ACCESSES_MAX);
	npu_check_bounds(&limits, desc, regs, &diag);
}

static void check_view(const struct npu_prog_view *view)
{
	const char *cmds = view->cmds;
	struct npu_diag diag;
	unsigned int sum = 0;
	size_t at;

	npu_check_stream(&limits, cmds, view->cmd_bytes, &at, &diag);
	for (at = 0; at < view->cmd_bytes; at += NPU_LINE_BYTES) {
		const struct npu_desc_hdr *desc = (const void *)(cmds + at);

		check_desc(desc, view->cmd_bytes - at);
		check_text(desc, view->cmd_bytes - at);
		fuzz_require(strlen(npu_prog_node_name(view, desc->tag)) < view->string_bytes);
		fuzz_require(strlen(npu_prog_node_op(view, desc->tag)) < view->string_bytes);
	}
	for (uint32_t i = 0; i < view->tensor_count; i++)
		fuzz_require(strlen(view->strings + view->tensors[i].name) < view->string_bytes);
	/* Constants are inside of the image: the sanitizer sees it if not. */
	for (uint64_t i = 0; i < view->const_bytes; i += NPU_LINE_BYTES)
		sum += ((const volatile uint8_t *)view->consts)[i];
	(void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* libFuzzer's inputs are aligned as malloc()'s are, but nobody promises it. */
	void *image = malloc(size ? size : 1);
	struct npu_prog_view view;
	const char *error = "";

	if (!image)
		return 0;
	memcpy(image, data, size);
	if (!npu_prog_read(image, size, &view, &error))
		check_view(&view);
	else
		fuzz_require(fuzz_is_message(error));
	free(image);
	return 0;
}

/* ---- Mutation ---- */

/* Fields of the file are 4 or 8 bytes in their places. */
static void change_field(uint8_t *data, size_t size, struct fuzz_random *r)
{
	static const unsigned int bytes[] = { 1, 2, 4, 8 };
	unsigned int n = bytes[fuzz_below(r, 4)];
	uint64_t value = fuzz_number(r);

	if (size >= n)
		memcpy(data + fuzz_below(r, size / n) * n, &value, n);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct fuzz_random r = { .state = seed };
	struct npu_prog_header head;

	if (fuzz_below(&r, 4))
		change_field(data, size, &r);
	else
		size = LLVMFuzzerMutate(data, size, max_size);
	if (size < sizeof(head) || !fuzz_below(&r, 16))
		return size;
	/* A checksum that fits: who made the file on purpose has one. */
	memcpy(&head, data, sizeof(head));
	head.magic = NPU_PROG_MAGIC;
	head.file_bytes = size;
	memcpy(data, &head, sizeof(head));
	head.crc32 = npu_prog_crc32(data, size);
	memcpy(data, &head, sizeof(head));
	return size;
}
