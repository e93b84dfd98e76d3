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
/**
 * struct nc_onnx_options - how a model is read
 * @bind: dimensions, "N=1,seq=28", or NULL
 * @folder: open; tensors may be in files beneath it, but nowhere else. Or NC_ONNX_NO_FOLDER
 * @train: initialisers become parameters, and the graph keeps the model
 * @batch: first dimension of all inputs; 0: as the model and @bind say
 */
struct nc_onnx_options {
	const char *bind;
	int folder;
	bool train;
	int64_t batch;
};

int nc_onnx_import_from(struct npu_graph *g, const uint8_t *data, size_t bytes,
			const struct nc_onnx_options *options);
/* Write g->source with the values of the parameters, whole or not at all. */
int nc_onnx_write_source(struct npu_graph *g, const char *path);

#endif
