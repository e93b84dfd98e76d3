/* SPDX-License-Identifier: MIT */
/*
 * A model with seeded random weights instead of its own, see tests/models/seeded.h.
 *
 *	seed_weights MODEL.onnx SEED OUT.onnx
 */
#include <stdio.h>
#include <stdlib.h>

#include "seeded.h"

int main(int argc, char **argv)
{
	Onnx__ModelProto *m;

	if (argc != 4) {
		fputs("usage: seed_weights MODEL.onnx SEED OUT.onnx\n", stderr);
		return 2;
	}
	m = seeded_read(argv[1], strtoull(argv[2], NULL, 0), 1);
	if (!m || !seeded_write(m, argv[3])) {
		fprintf(stderr, "seed_weights: %s\n", m ? argv[3] : argv[1]);
		return 1;
	}
	seeded_free(m);
	return 0;
}
