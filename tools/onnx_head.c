/* SPDX-License-Identifier: MIT */
/* Read names of an ONNX model straight from the wire format. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "onnx_head.h"
#include "pb.h"

#define MODEL_BYTES_MAX	0x7fffffff

enum field {
	MODEL_GRAPH = 7,
	GRAPH_NODE = 1,
	GRAPH_INITIALIZER = 5,
	GRAPH_INPUT = 11,
	GRAPH_OUTPUT = 12,
	NODE_OP_TYPE = 4,
	TENSOR_NAME = 8,
	VALUE_NAME = 1,
};

/* The last bytes field @number of @message; false if the message is damaged. */
static bool find(struct pb_span message, unsigned int number, struct pb_span *found)
{
	*found = (struct pb_span){ NULL, 0 };
	while (message.left) {
		struct pb_span bytes = { NULL, 0 };
		unsigned int this_number;
		unsigned int wire;
		uint64_t value;

		if (!pb_field(&message, &this_number, &wire, &value, &bytes))
			return false;
		if (this_number == number && wire == PB_BYTES)
			*found = bytes;
	}
	return true;
}

static bool add_name(char ***list, unsigned int *count, struct pb_span name)
{
	char **longer = realloc(*list, (*count + 1) * sizeof(**list));

	if (!longer)
		return false;
	*list = longer;
	longer[*count] = strndup(name.at ? (const char *)name.at : "", name.left);
	if (!longer[*count])
		return false;
	++*count;
	return true;
}

static bool add_node(struct onnx_head *head, struct pb_span node)
{
	struct pb_span op;

	if (!find(node, NODE_OP_TYPE, &op))
		return false;
	if (pb_is(op, "Constant"))
		return true;
	if (!head->nodes++ && op.left < sizeof(head->op) && op.left) {
		memcpy(head->op, op.at, op.left);
		head->op[op.left] = '\0';
	} else {
		head->op[0] = '\0';
	}
	return true;
}

/* Before IR version 4, initialisers were inputs too. */
static void drop_input(struct onnx_head *head, struct pb_span name)
{
	for (unsigned int i = 0; i < head->inputs; i++) {
		if (!pb_is(name, head->input[i]))
			continue;
		free(head->input[i]);
		head->inputs--;
		memmove(&head->input[i], &head->input[i + 1],
			(head->inputs - i) * sizeof(*head->input));
		return;
	}
}

/* One walk for the names, one for the initialisers, which may come first. */
static bool read_graph(struct onnx_head *head, struct pb_span graph, bool initializers)
{
	while (graph.left) {
		struct pb_span bytes = { NULL, 0 };
		struct pb_span name;
		unsigned int number;
		unsigned int wire;
		uint64_t value;
		bool good = true;

		if (!pb_field(&graph, &number, &wire, &value, &bytes))
			return false;
		if (wire != PB_BYTES)
			continue;
		if (initializers && number == GRAPH_INITIALIZER) {
			good = find(bytes, TENSOR_NAME, &name);
			drop_input(head, name);
		} else if (!initializers && number == GRAPH_NODE) {
			good = add_node(head, bytes);
		} else if (!initializers && number == GRAPH_INPUT) {
			good = find(bytes, VALUE_NAME, &name) &&
			       add_name(&head->input, &head->inputs, name);
		} else if (!initializers && number == GRAPH_OUTPUT) {
			good = find(bytes, VALUE_NAME, &name) &&
			       add_name(&head->output, &head->outputs, name);
		}
		if (!good)
			return false;
	}
	return true;
}

static uint8_t *read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data = NULL;
	long size = -1;

	if (file && !fseek(file, 0, SEEK_END))
		size = ftell(file);
	if (size >= 0 && size <= MODEL_BYTES_MAX)
		data = malloc((size_t)size + 1);
	else if (size > MODEL_BYTES_MAX)
		errno = EFBIG;
	if (data) {
		rewind(file);
		*bytes = fread(data, 1, (size_t)size, file);
		if (ferror(file)) {
			free(data);
			data = NULL;
		}
	}
	if (file)
		fclose(file);
	return data;
}

bool onnx_head_read(struct onnx_head *head, const char *path, const char **why)
{
	struct pb_span graph;
	size_t bytes = 0;
	uint8_t *data = read_file(path, &bytes);
	struct pb_span model = { data, bytes };
	bool good;

	*head = (struct onnx_head){ .nodes = 0 };
	if (!data) {
		*why = strerror(errno);
		return false;
	}
	good = find(model, MODEL_GRAPH, &graph) && read_graph(head, graph, false) &&
	       read_graph(head, graph, true);
	free(data);
	if (good)
		return true;
	onnx_head_free(head);
	*why = "not an ONNX model";
	return false;
}

void onnx_head_free(struct onnx_head *head)
{
	for (unsigned int i = 0; i < head->inputs; i++)
		free(head->input[i]);
	for (unsigned int i = 0; i < head->outputs; i++)
		free(head->output[i]);
	free(head->input);
	free(head->output);
	*head = (struct onnx_head){ .nodes = 0 };
}
