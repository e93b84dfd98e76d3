/* SPDX-License-Identifier: MIT */
/*
 * ONNX's light_* models with weights that count: theirs are constants, so that the outputs
 * do not depend on the input. Each float weight, an initializer or made by
 * ConstantOfShape, gets seeded random values by the operator that takes it, of a scale
 * that lets values neither vanish nor explode. What goes into a last Softmax becomes an
 * output too.
 */
#ifndef SEEDED_H
#define SEEDED_H

#include <stdbool.h>
#include <stdint.h>

#include "onnx.pb-c.h"

/*
 * Reads a model of one output. @by > 1 divides all numbers of channels that it divides.
 * NULL when it cannot be read or its weights are not understood.
 */
Onnx__ModelProto *seeded_read(const char *path, uint64_t seed, unsigned int by);
void seeded_free(Onnx__ModelProto *m);
bool seeded_write(const Onnx__ModelProto *m, const char *path);

#endif
