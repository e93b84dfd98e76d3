/* SPDX-License-Identifier: MIT */
/* What files say about the inputs of an ONNX model, for the compiler. */
#ifndef NPU_GIVEN_H
#define NPU_GIVEN_H

#include "npu_graph.h"
#include "onnx_head.h"
#include "tensor_file.h"

/*
 * Input @name is going to be as @t, which stays open as long as @given is used. The
 * elements are told if they are here and of a type that the device has.
 */
void given_from_file(struct npu_graph_given *given, const char *name, const struct tensor_file *t);
/* From a shape like "2x3x4"; false if it is none. */
bool given_from_text(struct npu_graph_given *given, const char *name, const char *text);

/*
 * Open ONNX model @path with open dimensions, and inputs that decide about shapes,
 * bound to what is at hand for input i of @head: @shape[i], else @file[i], each of
 * which may be NULL. NULL after tool_fail().
 */
struct npu_model *given_open_model(struct npu_device *dev, const char *path, const char *bind,
				   const struct onnx_head *head, const char *const *file,
				   const char *const *shape);

#endif
