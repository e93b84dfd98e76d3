/* SPDX-License-Identifier: MIT */
/* Program images on the device core, in this process. */
#ifndef SWEEP_MACHINE_H
#define SWEEP_MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include "npu_core.h"
#include "npu_regs.h"

/**
 * machine_run() - run a program once on a device of its own
 * @config: properties of the device
 * @image: program file
 * @image_bytes: its size
 * @tensor: per input and output in the program's order, its data; outputs are
 *	filled in
 * @done: completion record
 * @why: text of the fault, when the status is not 0
 *
 * Memory that the program has to write first holds a pattern. Returns 0, or -1
 * when the job did not end, or the image is not a program.
 */
int machine_run(const struct npu_core_config *config, const void *image, size_t image_bytes,
		void *const *tensor, struct npu_job_done *done, char why[200]);

#endif
