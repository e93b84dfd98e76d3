/* SPDX-License-Identifier: MIT */
/*
 * What the suite must know of a model beside what the library tells: its
 * operators, and all inputs and outputs in the file's order, also those that
 * are no longer there after compilation.
 */
#ifndef NPU_ONNX_HEAD_H
#define NPU_ONNX_HEAD_H

#include <stdbool.h>

/**
 * struct onnx_head - names in a model
 * @op: its operator, "Conv"; "" if it has several or none
 * @nodes: nodes of the graph, constants apart
 * @input: names of the graph's inputs that are not initialisers
 * @inputs: how many
 * @output: names of the graph's outputs
 * @outputs: how many
 */
struct onnx_head {
	char op[64];
	unsigned int nodes;
	char **input;
	unsigned int inputs;
	char **output;
	unsigned int outputs;
};

/* False and *@why otherwise; nothing is to be freed then. */
bool onnx_head_read(struct onnx_head *head, const char *path, const char **why);
void onnx_head_free(struct onnx_head *head);

#endif
