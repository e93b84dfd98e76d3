/* SPDX-License-Identifier: MIT */
/* Text of descriptors: it is refused with a place, or gives bytes that have a text. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "npu_disasm.h"

#define CODE_BYTES	16384u
#define TEXT_BYTES	(CODE_BYTES / NPU_LINE_BYTES * 200 + NPU_DISASM_BYTES_MAX)

static void round_trip(const uint64_t *code, size_t bytes)
{
	static uint64_t back[CODE_BYTES / 8];
	static char text[8 * TEXT_BYTES];
	struct npu_asm_error error;
	size_t length = 0, used;

	for (size_t at = 0; at < bytes; at += used) {
		length += npu_disasm(&code[at / 8], bytes - at, 0, text + length,
				     sizeof(text) - length, &used);
		fuzz_require(length + 2 < sizeof(text) && used);
		text[length++] = '\n';
		text[length] = 0;
	}
	fuzz_require(!npu_asm(text, back, sizeof(back), &used, &error));
	fuzz_require(used == bytes && !memcmp(code, back, bytes));
}

/* One line less than it needs: refused, and nothing behind it is written. */
static void check_room(const char *text, size_t bytes)
{
	uint8_t *code = malloc(bytes - NPU_LINE_BYTES + 1);
	struct npu_asm_error error;
	size_t used;

	if (!code)
		return;
	fuzz_require(npu_asm(text, code, bytes - NPU_LINE_BYTES, &used, &error) == -ENOSPC);
	free(code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t code[CODE_BYTES / 8];
	struct npu_asm_error error = { .line = 0 };
	char *text = malloc(size + 1);
	size_t used;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (!npu_asm(text, code, sizeof(code), &used, &error) && used) {
		round_trip(code, used);
		check_room(text, used);
	} else if (error.line) {
		fuzz_require(error.column && strlen(error.text) < sizeof(error.text));
	}
	free(text);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static const char *const word[] = {
		"CONV", "MAP", "LOAD", "ENDL", ".line ", "spm[0x0]:f32", "mem[r16]:i64", "dim=(1,1)",
		"wait=s1:1", "signal=-,s2:1", "stride=(", "v0=", "m31", "k0=0x3f800000", "\n\t",
		"0xffffffffffffffff", "-9223372036854775808", "step=r5:64", ".bias", "#", "tag=",
	};
	struct fuzz_random r = { .state = seed };
	const char *w = word[fuzz_below(&r, sizeof(word) / sizeof(word[0]))];
	size_t at = fuzz_below(&r, size + 1), bytes = strlen(w);

	if (fuzz_below(&r, 3) || size + bytes > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memmove(data + at + bytes, data + at, size - at);
	for (size_t i = 0; i < bytes; i++)
		data[at + i] = (uint8_t)w[i];
	return size + bytes;
}
