/* SPDX-License-Identifier: MIT */
/* Kernels over vec_avx512.h. */
#include "vec_avx512.h"

#define KERN_VARIANT	npu_kern_avx512
#include "kern_table.h"
