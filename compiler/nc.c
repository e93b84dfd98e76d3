/* SPDX-License-Identifier: MIT */
/* What the passes of the back half share: the target and messages. */
#include "nc.h"

#include <errno.h>
#include <stdarg.h>

/* Default preset of the device. */
static const struct npu_target default_target = {
	.array_rows = 16,
	.array_cols = 32,
	.spm_bytes = 8u << 20,
	.acc_bytes = 256u << 10,
	.dma_bytes_per_kcycle = 16000,
	.dma_latency_cycles = 100,
	.dma_bursts = 32,
	.ve_bytes_per_cycle = 64,
	.caps = NPU_CAP_FP32 | NPU_CAP_CAST | NPU_CAP_WGRAD | NPU_CAP_UNPOOL | NPU_CAP_GATHER |
		NPU_CAP_SCATTER_ADD | NPU_CAP_RNG | NPU_CAP_TRAP,
};

int nc_no_memory(struct nc_back *b)
{
	return nc_error(b->diag, -ENOMEM, "out of memory");
}

int nc_op_error(struct nc_back *b, uint32_t node, const char *fmt, ...)
{
	char text[NC_DIAG_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return nc_error(b->diag, -EOPNOTSUPP, "node '%s' (%s): %s", b->k->node[node].name,
			b->k->node[node].op, text);
}

static uint32_t pick(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

int nc_target_set(struct nc_back *b, const struct npu_target *given)
{
	const struct npu_target *d = &default_target;
	struct npu_target *t = &b->target;

	*t = given ? *given : default_target;
	t->array_rows = pick(t->array_rows, d->array_rows);
	t->array_cols = pick(t->array_cols, d->array_cols);
	t->spm_bytes = pick(t->spm_bytes, d->spm_bytes);
	t->acc_bytes = pick(t->acc_bytes, d->acc_bytes);
	t->dma_bytes_per_kcycle = pick(t->dma_bytes_per_kcycle, d->dma_bytes_per_kcycle);
	t->dma_latency_cycles = pick(t->dma_latency_cycles, d->dma_latency_cycles);
	t->dma_bursts = pick(t->dma_bursts, d->dma_bursts);
	t->ve_bytes_per_cycle = pick(t->ve_bytes_per_cycle, d->ve_bytes_per_cycle);
	t->caps = t->caps ? t->caps : d->caps;
	if (t->array_rows > UINT16_MAX || t->array_cols > UINT16_MAX || t->spm_bytes < 4096 ||
	    t->acc_bytes < 4096 || t->ve_bytes_per_cycle < 4)
		return nc_error(b->diag, -EINVAL, "target: array, memory or vector size out of range");
	b->timing = (struct npu_timing){
		.rows = t->array_rows,
		.cols = t->array_cols,
		.dma_bytes_per_kcycle = t->dma_bytes_per_kcycle,
		.dma_latency_cycles = t->dma_latency_cycles,
		.dma_bursts = t->dma_bursts,
		.ve_bytes_per_cycle = t->ve_bytes_per_cycle,
	};
	b->limits = (struct npu_limits){
		.caps = t->caps,
		.spm_bytes = t->spm_bytes & ~(NC_ALIGN_BYTES - 1u),
		.acc_bytes = t->acc_bytes & ~(NC_ALIGN_BYTES - 1u),
		.array_rows = t->array_rows,
		.array_cols = t->array_cols,
	};
	return 0;
}

uint32_t nc_resident_limit(const struct nc_back *b)
{
	return b->limits.spm_bytes / 2 / NC_ALIGN_BYTES * NC_ALIGN_BYTES;
}
