/* SPDX-License-Identifier: MIT */
/*
 * Programs for tests of the npu command.
 *
 *	prog_tool make FILE N	writes y = 2 x + 1 + 0.5 i, F32 [N]
 *	prog_tool fault FILE	writes a program whose node "bad" faults
 *	prog_tool asm FILE	assembles stdin, compares with FILE's commands
 *	prog_tool onnx FILE	writes an ONNX model y = relu(x), F32 [2, 4]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "npu_disasm.h"
#include "npu_graph.h"
#include "npu_prog_read.h"
#include "prog_build.h"

static int write_file(const char *path, void *image, size_t bytes)
{
	FILE *f = fopen(path, "wb");
	int failed = !f || fwrite(image, 1, bytes, f) != bytes;

	free(image);
	return (f && fclose(f)) || failed;
}

static void *faulting_program(size_t *bytes)
{
	struct prog_build *pb = pb_create("faulting");

	pb_set_tag(pb, pb_node(pb, "bad", "Conv"));
	pb_load(pb, 5, 8, 0, 1, -1);
	pb_end(pb);
	return pb_finish(pb, bytes);
}

/* Room for what the tests use; aligned as readers want it. */
static union {
	char bytes[1 << 16];
	uint64_t align;
} text, code, image;

static int assemble(const char *path)
{
	struct npu_prog_view view;
	struct npu_asm_error where;
	const char *error;
	size_t text_bytes = fread(text.bytes, 1, sizeof(text.bytes) - 1, stdin);
	size_t code_bytes;
	FILE *f = fopen(path, "rb");
	size_t bytes = f ? fread(image.bytes, 1, sizeof(image.bytes), f) : 0;

	if (f)
		fclose(f);
	text.bytes[text_bytes] = '\0';
	if (npu_prog_read(image.bytes, bytes, &view, &error)) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	if (npu_asm(text.bytes, code.bytes, sizeof(code.bytes), &code_bytes, &where)) {
		fprintf(stderr, "%u:%u: %s\n", where.line, where.column, where.text);
		return 1;
	}
	return code_bytes != view.cmd_bytes || memcmp(code.bytes, view.cmds, code_bytes);
}

static int write_onnx(const char *path)
{
	struct npu_graph *g = npu_graph_create("relu");
	const int64_t dim[] = { 2, 4 };
	int x;
	int ret;

	if (!g)
		return 1;
	x = npu_graph_input(g, "x", NPU_GRAPH_F32, 2, dim);
	npu_graph_output(g, "y", npu_graph_unary(g, NPU_UNARY_RELU, x, 0, 0));
	ret = npu_graph_write_onnx(g, path);
	npu_graph_destroy(g);
	return ret != 0;
}

int main(int argc, char **argv)
{
	size_t bytes;
	void *made;

	if (argc == 4 && !strcmp(argv[1], "make")) {
		made = pb_affine_program((uint32_t)atoi(argv[3]), 2, 1, 1, &bytes);
		return write_file(argv[2], made, bytes);
	}
	if (argc == 3 && !strcmp(argv[1], "fault")) {
		made = faulting_program(&bytes);
		return write_file(argv[2], made, bytes);
	}
	if (argc == 3 && !strcmp(argv[1], "onnx"))
		return write_onnx(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "asm"))
		return assemble(argv[2]);
	return 2;
}
