/* SPDX-License-Identifier: MIT */
/*
 * Program images made by hand, for tests of the loader and the library that
 * do not want the compiler. Memory is taken with malloc() and errors abort:
 * this is test code.
 */
#ifndef PROG_BUILD_H
#define PROG_BUILD_H

#include <stddef.h>
#include <stdint.h>
#include "npu_isa.h"
#include "npu_prog.h"

struct prog_build;

struct prog_build *pb_create(const char *name);
/* The header; fields that pb_finish() does not fill may be changed. */
struct npu_prog_header *pb_header(struct prog_build *pb);
void pb_tensor(struct prog_build *pb, enum npu_prog_tensor_kind kind, const char *name,
	       enum npu_dtype dtype, unsigned int reg, uint64_t offset_bytes,
	       unsigned int rank, const int64_t *dim);
/* Returns the tag. */
uint32_t pb_node(struct prog_build *pb, const char *name, const char *op);
void pb_consts(struct prog_build *pb, const void *data, size_t bytes);
/* Append a descriptor of @bytes; its length in lines is filled in. */
void pb_desc(struct prog_build *pb, void *desc, size_t bytes);

/* Commands alone, without END: malloc()ed; and the image. Both free @pb. */
void *pb_take_commands(struct prog_build *pb, size_t *bytes);
void *pb_finish(struct prog_build *pb, size_t *bytes);

/* Vectors of F32. A semaphore is -1 or one that is waited for or signalled by 1. */
void pb_load(struct prog_build *pb, unsigned int reg, int64_t offset_bytes, uint32_t spm,
	     uint32_t elems, int signal);
void pb_store(struct prog_build *pb, unsigned int reg, int64_t offset_bytes, uint32_t spm,
	      uint32_t elems, int wait);
void pb_fill(struct prog_build *pb, uint32_t spm, uint32_t elems, uint32_t value, int signal);
/* out = in * scale + offset */
void pb_affine(struct prog_build *pb, uint32_t spm_in, uint32_t spm_out, uint32_t elems,
	       float scale, float offset, int wait, int signal);
/* Repeat what is between the two. */
void pb_loop(struct prog_build *pb, uint32_t count);
void pb_endl(struct prog_build *pb);
/* Wait for a signal that never comes. */
void pb_hang(struct prog_build *pb);
void pb_end(struct prog_build *pb);

/* The next descriptors carry this tag. */
void pb_set_tag(struct prog_build *pb, uint32_t tag);

/*
 * A whole program: input "x" and output "y", F32 [n]; y = x * scale + offset,
 * and with @consts also y += c, where c are n constants 0.5 * i.
 */
void *pb_affine_program(uint32_t n, float scale, float offset, int consts, size_t *bytes);

/* A program that copies "x" to "y", F32 [n]. */
void *pb_copy_program(uint32_t n, size_t *bytes);

#endif
