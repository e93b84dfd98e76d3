/* SPDX-License-Identifier: MIT */
/* What the parts of the ONNX reader and writer share. */
#ifndef NPU_COMPILER_ONNX_H
#define NPU_COMPILER_ONNX_H

#include "graph/graph.h"

/* protobuf's own limit for a message. */
#define NC_ONNX_BYTES_MAX	0x7fffffffu
#define NC_ONNX_DEPTH_MAX	64
#define NC_ONNX_OPSET_MIN	1
#define NC_ONNX_OPSET_MAX	25
/* What export writes. */
#define NC_ONNX_OPSET_WRITE	17
#define NC_ONNX_IR_WRITE	8

/*
 * Walk the wire format before anything is unpacked: nesting below
 * NC_ONNX_DEPTH_MAX, lengths inside their messages, no groups, and no more
 * memory than a small multiple of the file. 0, or -EINVAL with a message.
 */
int nc_onnx_scan(const uint8_t *data, size_t bytes, struct nc_diag *diag);
/* The same for a message of another type: a struct ProtobufCMessageDescriptor. */
int nc_onnx_scan_message(const void *type, const uint8_t *data, size_t bytes,
			 struct nc_diag *diag);

#define NC_ONNX_NO_FOLDER	(-1)

/* A model in memory; the graph is empty before. 0, or -errno in the graph. */
int nc_onnx_import(struct npu_graph *g, const uint8_t *data, size_t bytes, const char *bind);
/* The same; tensors may be in files beneath the open @folder, but nowhere else. */
int nc_onnx_import_from(struct npu_graph *g, const uint8_t *data, size_t bytes, const char *bind,
			int folder);

#endif
