/* SPDX-License-Identifier: MIT */
/*
 * npu dis: a program file as text. What is not a descriptor is a comment, so
 * the assembler of isa/ takes the text back.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "npu_disasm.h"
#include "npu_prog_read.h"
#include "tool.h"

/* The whole file, malloc()ed: NULL after tool_fail(). */
static void *read_file(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t done = 0;
	char *data = NULL;

	if (fd < 0 || fstat(fd, &st)) {
		tool_fail("%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		tool_fail("%s: not a regular file", path);
	} else {
		*bytes = (size_t)st.st_size;
		data = malloc(*bytes + 1);
		if (!data)
			tool_fail("%s: no memory for %zu bytes", path, *bytes);
	}
	while (data && done < *bytes) {
		ssize_t got = read(fd, data + done, *bytes - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			tool_fail("%s: cannot be read: %s", path,
				  got ? strerror(errno) : "it became shorter");
			free(data);
			data = NULL;
		} else {
			done += (size_t)got;
		}
	}
	if (fd >= 0)
		close(fd);
	return data;
}

static void print_tensor(const struct npu_prog_view *view, const struct npu_prog_tensor *t)
{
	struct npu_tensor_info info = { .rank = t->rank };

	memcpy(info.dim, t->dim, sizeof(info.dim));
	printf("# %s \"", t->kind == NPU_PROG_INPUT ? "input " : "output");
	tool_print_name(view->strings + t->name);
	printf("\" %s %s at r%u+0x%" PRIx64 ", %" PRIu64 " bytes\n", tool_type_name(t->dtype),
	       tool_shape(&info), t->reg, t->offset_bytes, t->size_bytes);
}

static void print_head(const struct npu_prog_view *view)
{
	const struct npu_prog_header *h = view->header;

	fputs("# program \"", stdout);
	tool_print_name(view->strings + h->name);
	printf("\", format %u.%u, %" PRIu64 " bytes, checksum 0x%08x\n", h->version_major,
	       h->version_minor, h->file_bytes, h->crc32);
	printf("# hardware %u.%u, array %u x %u, SPM %u bytes, ACC %u bytes, capabilities ",
	       h->isa_version >> 16, h->isa_version & 0xffff, h->array & 0xffff, h->array >> 16,
	       h->spm_bytes, h->acc_bytes);
	tool_print_caps(h->caps);
	printf("\n# commands %u bytes, constants %" PRIu64 " bytes (r%u), scratch %" PRIu64
	       " bytes (r%u), %" PRIu64 " multiply-accumulates, %u nodes\n", view->cmd_bytes,
	       view->const_bytes, NPU_PROG_REG_CONSTS, h->scratch_bytes, NPU_PROG_REG_SCRATCH,
	       h->macs, view->node_count);
	for (uint32_t i = 0; i < view->tensor_count; i++)
		print_tensor(view, &view->tensors[i]);
}

static void print_node(const struct npu_prog_view *view, uint32_t tag)
{
	if (!*npu_prog_node_op(view, tag) && !*npu_prog_node_name(view, tag))
		return;
	fputs("\n# node \"", stdout);
	tool_print_name(npu_prog_node_name(view, tag));
	fputs("\" (", stdout);
	tool_print_name(npu_prog_node_op(view, tag));
	puts(")");
}

static void print_commands(const struct npu_prog_view *view)
{
	const char *cmds = view->cmds;
	uint32_t at_bytes = 0;
	uint32_t tag = 0;

	while (at_bytes < view->cmd_bytes) {
		const struct npu_desc_hdr *hdr = (const void *)(cmds + at_bytes);
		char text[NPU_DISASM_BYTES_MAX];
		size_t used_bytes;

		if (hdr->tag != tag)
			print_node(view, hdr->tag);
		tag = hdr->tag;
		npu_disasm(hdr, view->cmd_bytes - at_bytes, 0, text, sizeof(text), &used_bytes);
		printf("# 0x%x\n%s\n", at_bytes, text);
		at_bytes += (uint32_t)used_bytes;
	}
}

static int print_program(const char *path)
{
	struct npu_prog_view view;
	const char *error;
	size_t bytes;
	void *image = read_file(path, &bytes);
	int status = TOOL_OK;

	if (!image)
		return TOOL_FAILED;
	if (npu_prog_read(image, bytes, &view, &error)) {
		status = tool_fail("%s: %s", path, error);
	} else {
		print_head(&view);
		print_commands(&view);
	}
	free(image);
	return status;
}

int cmd_dis(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c != 'h')
			return tool_bad_option("dis", argv, c);
		puts("usage: npu dis FILE.npu\n\n"
		     "Prints a program: its tables, and every descriptor under its graph node.");
		return TOOL_OK;
	}
	if (argc - optind != 1)
		return tool_usage("dis", "dis: one program file is needed");
	return print_program(argv[optind]);
}
