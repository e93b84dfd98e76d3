/* SPDX-License-Identifier: MIT */
/* Devices: which backend a specification means, and what a device tells. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "internal.h"

struct npu_device *npu_device_open(const char *spec)
{
	struct npu_device *dev;

	if (!spec || !*spec)
		dev = npu_drm_open(NULL);
	else if (!strcmp(spec, "sim"))
		dev = npu_sim_open("");
	else if (!strncmp(spec, "sim,", 4))
		dev = npu_sim_open(spec + 4);
	else if (strchr(spec, '/'))
		dev = npu_drm_open(spec);
	else
		return npu_fail_null(-EINVAL, "device \"%s\": neither a path such as "
				     "/dev/accel/accel0 nor \"sim\"", spec);
	if (!dev)
		return NULL;
	snprintf(dev->info.name, sizeof(dev->info.name),
		 "npu %u.%u, %ux%u, SPM %u KiB, ACC %u KiB",
		 dev->info.hw_version >> 16, dev->info.hw_version & 0xffff,
		 dev->info.array_rows, dev->info.array_cols,
		 dev->info.spm_bytes >> 10, dev->info.acc_bytes >> 10);
	return dev;
}

void npu_device_close(struct npu_device *dev)
{
	if (dev)
		dev->ops->close(dev);
}

int npu_device_get_info(struct npu_device *dev, struct npu_device_info *info)
{
	*info = dev->info;
	return 0;
}

int npu_device_get_target(struct npu_device *dev, struct npu_target *target)
{
	*target = dev->target;
	return 0;
}

/* Both backends know the device in the words of the ioctl ABI. */
void npu_device_describe(struct npu_device *dev, const struct drm_npu_device_info *hw)
{
	dev->va_start = hw->va_start;
	dev->va_end = hw->va_end;
	dev->info.hw_version = hw->version;
	dev->info.array_rows = hw->array_rows;
	dev->info.array_cols = hw->array_cols;
	dev->info.spm_bytes = hw->spm_bytes;
	dev->info.acc_bytes = hw->acc_bytes;
	dev->info.clock_khz = hw->clock_khz;
	dev->info.caps = hw->caps;
	dev->info.queues = hw->queues;
	dev->info.max_timeout_ms = hw->max_timeout_ms;
	dev->target = (struct npu_target){
		.array_rows = hw->array_rows,
		.array_cols = hw->array_cols,
		.spm_bytes = hw->spm_bytes,
		.acc_bytes = hw->acc_bytes,
		.dma_bytes_per_kcycle = hw->dma_bytes_per_kcycle,
		.dma_latency_cycles = hw->dma_latency_cycles,
		.dma_bursts = hw->dma_bursts,
		.ve_bytes_per_cycle = hw->ve_bytes_per_cycle,
		.caps = hw->caps,
	};
}
