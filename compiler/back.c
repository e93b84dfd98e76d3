/* SPDX-License-Identifier: MIT */
/* The back half: its passes in order. */
#include "nc.h"

#include <errno.h>
#include <string.h>

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
	case 'W':
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
		ret = nc_pack(b);
	if (!ret)
		dump(b, d, 'W');
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
	int ret = nc_target_set(&b, target);

	*image = NULL;
	*image_bytes = 0;
	if (!ret)
		ret = run_passes(&b, &d, image, image_bytes);
	return ret;
}
