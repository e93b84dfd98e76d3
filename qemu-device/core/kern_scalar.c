/* SPDX-License-Identifier: MIT */
/* Kernels over vec_scalar.h. */
#include "vec_scalar.h"

#define KERN_VARIANT	npu_kern_scalar
#include "kern_table.h"
