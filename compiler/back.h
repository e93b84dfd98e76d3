/* SPDX-License-Identifier: MIT */
/* The back half of the compiler: kernel IR in, program file out. */
#ifndef NPU_COMPILER_BACK_H
#define NPU_COMPILER_BACK_H

#include "kir/kir.h"
#include "npu_graph.h"

/*
 * Compile @k (which is changed) into a program image (isa/npu_prog.h),
 * malloc()ed. @target may have 0 fields (default preset). @dump is NULL or
 * letters of passes whose result is printed to @dump_file:
 *	K kernel IR as given, F fuse, S slice, P plan, T tile, A place, O order
 * 0, or -errno with a message.
 */
int nc_back(struct kir *k, const struct npu_target *target, const char *dump, FILE *dump_file,
	    void **image, size_t *image_bytes, struct nc_diag *diag);

/*
 * Prove a program image sound without running it: format, descriptors, bounds,
 * semaphores, no data race, no read of unwritten SPM, ACC, scratch or output,
 * every output byte stored. 0, or -EINVAL and the first thing found wrong.
 */
int nc_verify_image(const void *image, size_t image_bytes, struct nc_diag *diag);

#endif
