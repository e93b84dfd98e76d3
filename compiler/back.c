/* SPDX-License-Identifier: MIT */
/* The back half: its passes in order. */
#include "nc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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
	.caps = NPU_CAP_FP32,
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

static int set_target(struct nc_back *b, const struct npu_target *given)
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

struct dump {
	const char *letters;
	FILE *out;
};

static void dump(const struct nc_back *b, const struct dump *d, char letter)
{
	if (!d->letters || !d->out || !strchr(d->letters, letter))
		return;
	fprintf(d->out, "## %c\n", letter);
	switch (letter) {
	case 'K':
	case 'F':
	case 'S':
		kir_dump(b->k, d->out);
		break;
	case 'P':
		nc_plan_dump(b, d->out);
		break;
	case 'T':
		nc_tile_dump(b, d->out);
		break;
	default:
		nc_code_dump(b, d->out);
		break;
	}
}

/*
 * Tiles have to fit beside the resident tensors. If one does not, all of the
 * scratchpad is for tiles.
 */
static int plan_and_tile(struct nc_back *b, const struct dump *d)
{
	struct nc_diag *diag = b->diag, first = { "" };
	uint32_t tensors = b->k->tensors;
	int ret = nc_plan(b, nc_resident_limit(b));

	if (ret)
		return ret;
	b->diag = &first;
	ret = nc_tile(b);
	b->diag = diag;
	if (ret == -EOPNOTSUPP && b->cache_from) {
		b->k->tensors = tensors;
		b->packed = NULL;
		ret = nc_plan(b, 0);
		if (!ret)
			ret = nc_tile(b);
	} else if (ret) {
		nc_error(diag, ret, "%s", first.text);
	}
	if (ret)
		return ret;
	dump(b, d, 'P');
	dump(b, d, 'T');
	return 0;
}

static int run_passes(struct nc_back *b, const struct dump *d, void **image, size_t *image_bytes)
{
	int ret = kir_verify(b->k, b->diag);

	dump(b, d, 'K');
	if (!ret)
		ret = nc_fuse(b);
	if (!ret)
		dump(b, d, 'F');
	if (!ret)
		ret = nc_slice(b);
	if (!ret)
		dump(b, d, 'S');
	if (!ret)
		ret = kir_verify(b->k, b->diag);
	if (!ret)
		ret = plan_and_tile(b, d);
	if (!ret)
		ret = nc_place(b);
	if (!ret)
		dump(b, d, 'A');
	if (!ret)
		ret = nc_order(b);
	if (!ret)
		dump(b, d, 'O');
	return ret ? ret : nc_emit(b, image, image_bytes);
}

int nc_back(struct kir *k, const struct npu_target *target, const char *dump_letters,
	    FILE *dump_file, void **image, size_t *image_bytes, struct nc_diag *diag)
{
	struct nc_back b = { .arena = k->arena, .diag = diag, .k = k };
	struct dump d = { .letters = dump_letters, .out = dump_file };
	int ret = set_target(&b, target);

	*image = NULL;
	*image_bytes = 0;
	if (!ret)
		ret = run_passes(&b, &d, image, image_bytes);
	return ret;
}
