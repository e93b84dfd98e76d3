/* SPDX-License-Identifier: MIT */
/*
 * Descriptors as text and back. A statement is one descriptor: its name with
 * flags as suffixes, then fields, the names being those of the structs:
 *
 *	CONV.bias tag=3 wait=s1:1 signal=s2:1
 *		n=1 h=28 w=28 c=1 oh=26 ow=26 k=32 kh=3 kw=3
 *		in=spm[0x400+r5]:f32 stride=(784,28,1)
 *		weights=spm[0x8000]:f32
 *		bias=spm[0x9000]:f32
 *		acc=acc[0x0]:f32 stride=(21632,832,32)
 *
 *	MAP signal=-,s4:1 dim=(1,1,1,64)
 *		v0=acc[0x0]:f32 stride=(0,0,0,1)
 *		v1=spm[0x0+r5]:f32 stride=(0,0,0,1)
 *		k0=0x3f800000
 *		ld m0, v0
 *		fadd m1, m0, k0
 *		st v1, m1
 *
 *	LOAD dim=(1,1,1,8,32) mem=mem[r16+0x40]:f32 stride_bytes=(0,0,0,128,4)
 *		spm=spm[0x0]:f32 stride=(0,0,0,32,1)
 *	ENDL step=r5:64,-,r6:-4
 *
 * A line that starts with white space continues its statement; '#' starts a
 * comment. ".line" and 128 hexadecimal digits are 64 bytes as they are.
 * r0 .. r31 are CP registers, m0 .. m31 those of a MAP, s0 .. s63 semaphores.
 */
#ifndef NPU_DISASM_H
#define NPU_DISASM_H

#include "npu_isa.h"

#define NPU_DISASM_BYTES_MAX	8192	/* room for the text of any descriptor */
#define NPU_DISASM_ONE_LINE	(1u << 0)	/* blanks instead of line breaks */

/**
 * struct npu_asm_error - why a text was refused
 * @line: from 1
 * @column: from 1, bytes
 * @text: token and reason
 */
struct npu_asm_error {
	unsigned int line;
	unsigned int column;
	char text[120];
};

/*
 * Text of the descriptor at @desc (8-byte aligned, @avail_bytes >= 64), without
 * a final line break. Bytes that have no other text become one ".line", so that
 * npu_asm() gives back any multiple of 64 bytes. Stores at most @text_bytes - 1
 * characters and a NUL; returns the full length, as snprintf() does. @used_bytes
 * (may be NULL) receives the bytes that the text stands for.
 */
size_t npu_disasm(const void *desc, size_t avail_bytes, unsigned int flags,
		  char *text, size_t text_bytes, size_t *used_bytes);

/*
 * Assemble all statements of @text to @out. Judges the text only: what the
 * fields mean is npu_check_desc()'s. Returns 0 and the length in @used_bytes,
 * -EINVAL for a mistake in the text, or -ENOSPC when @out_bytes do not suffice;
 * then @used_bytes covers the statements before it and @error (may be NULL)
 * tells where and why.
 */
int npu_asm(const char *text, void *out, size_t out_bytes, size_t *used_bytes,
	    struct npu_asm_error *error);

#endif
