/* SPDX-License-Identifier: MIT */
/* Kernels over vec_avx2.h. */
#include "vec_avx2.h"

#define KERN_VARIANT	npu_kern_avx2
#include "kern_table.h"
