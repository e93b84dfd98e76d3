/* SPDX-License-Identifier: GPL-2.0-only */
/* Arguments of ioctls: copying them in and out by the rules of npu_accel.h. */
#ifndef NPU_UAPI_H
#define NPU_UAPI_H

#include <linux/types.h>

#include "uapi/drm/npu_accel.h"

struct drm_device;
struct drm_file;

void *npu_uapi_array_copy(const struct drm_npu_obj_array *in, size_t elem_bytes, u32 count_max);
int npu_ioctl_dev_query(struct drm_device *drm, void *data, struct drm_file *file);

#endif
