/* SPDX-License-Identifier: MIT */
/*
 * Judge a program image. Every count, offset and size is compared with what
 * the file has before anything is read through it.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>
#include "npu_isa.h"
#include "npu_prog_read.h"

static int refuse(const char **error, int err, const char *text)
{
	*error = text;
	return err;
}

uint32_t npu_prog_crc32(const void *image, size_t bytes)
{
	struct npu_prog_header header;
	uLong crc;

	if (bytes < sizeof(header))
		return 0;
	memcpy(&header, image, sizeof(header));
	header.crc32 = 0;
	crc = crc32_z(0, (const Bytef *)&header, sizeof(header));
	return (uint32_t)crc32_z(crc, (const Bytef *)image + sizeof(header),
				 bytes - sizeof(header));
}

static int check_header(const struct npu_prog_header *h, size_t bytes, const char **error)
{
	if (h->magic != NPU_PROG_MAGIC)
		return refuse(error, -EINVAL, "not a program file");
	if (h->version_major != NPU_PROG_VERSION_MAJOR ||
	    h->version_minor > NPU_PROG_VERSION_MINOR)
		return refuse(error, -EOPNOTSUPP,
			      "a version of the program format that is not known; compile again");
	if (h->file_bytes > bytes)
		return refuse(error, -EINVAL, "the file is cut off");
	if (h->file_bytes != bytes || bytes > NPU_PROG_BYTES_MAX)
		return refuse(error, -EINVAL, "the file is larger than its header says");
	if (h->crc32 != npu_prog_crc32(h, bytes))
		return refuse(error, -EINVAL, "the checksum is wrong: the file is damaged");
	if (h->isa_version >> 16 != NPU_VERSION_MAJOR ||
	    (h->isa_version & 0xffff) > NPU_VERSION_MINOR)
		return refuse(error, -EOPNOTSUPP,
			      "made for a version of the hardware that is not known; compile again");
	if (h->scratch_bytes > NPU_PROG_BYTES_MAX)
		return refuse(error, -EINVAL, "header: scratch_bytes is too large");
	for (size_t i = 0; i < sizeof(h->rsvd) / sizeof(h->rsvd[0]); i++)
		if (h->rsvd[i])
			return refuse(error, -EINVAL, "header: a reserved field is not 0");
	return 0;
}

/* Sections by type; entry 0 is unused. */
struct section_index {
	const struct npu_prog_section *section[NPU_PROG_STRINGS + 1];
};

static bool overlap(const struct npu_prog_section *a, const struct npu_prog_section *b)
{
	return a->size_bytes && b->size_bytes &&
	       a->offset_bytes < b->offset_bytes + b->size_bytes &&
	       b->offset_bytes < a->offset_bytes + a->size_bytes;
}

static int index_sections(const struct npu_prog_header *h, struct section_index *index,
			  const char **error)
{
	const struct npu_prog_section *table = (const void *)(h + 1);
	uint64_t table_end = sizeof(*h) + (uint64_t)h->sections * sizeof(*table);

	memset(index, 0, sizeof(*index));
	if (h->sections > NPU_PROG_SECTIONS_MAX || table_end > h->file_bytes)
		return refuse(error, -EINVAL, "header: too many sections");
	for (uint32_t i = 0; i < h->sections; i++) {
		const struct npu_prog_section *s = &table[i];

		if (s->type < NPU_PROG_CMDS || s->type > NPU_PROG_STRINGS || s->rsvd)
			return refuse(error, -EINVAL, "section table: unknown type");
		if (index->section[s->type])
			return refuse(error, -EINVAL, "section table: a type appears twice");
		if (s->offset_bytes % NPU_PROG_ALIGN || s->offset_bytes < table_end ||
		    s->offset_bytes > h->file_bytes ||
		    s->size_bytes > h->file_bytes - s->offset_bytes)
			return refuse(error, -EINVAL, "section table: a section leaves the file");
		for (uint32_t k = 0; k < i; k++)
			if (overlap(&table[k], s))
				return refuse(error, -EINVAL, "section table: sections overlap");
		index->section[s->type] = s;
	}
	return 0;
}

/* A section as an array: its start and element count, 0 when it is not there. */
static int get_array(const struct npu_prog_header *h, const struct npu_prog_section *s,
		     size_t elem_bytes, uint64_t max_count, const void **start, uint64_t *count)
{
	*start = NULL;
	*count = 0;
	if (!s || !s->size_bytes)
		return 0;
	if (s->size_bytes % elem_bytes || s->size_bytes / elem_bytes > max_count)
		return -EINVAL;
	*start = (const char *)h + s->offset_bytes;
	*count = s->size_bytes / elem_bytes;
	return 0;
}

static int get_parts(const struct npu_prog_header *h, const struct section_index *index,
		     struct npu_prog_view *view, const char **error)
{
	const struct npu_prog_section *const *section = index->section;
	const void *start;
	uint64_t count;

	if (get_array(h, section[NPU_PROG_STRINGS], 1, NPU_PROG_BYTES_MAX, &start, &count) ||
	    !count)
		return refuse(error, -EINVAL, "there is no string section");
	view->strings = start;
	view->string_bytes = count;
	if (view->strings[0] || view->strings[count - 1])
		return refuse(error, -EINVAL, "strings: not terminated");
	if (h->name >= count)
		return refuse(error, -EINVAL, "header: the name is outside the strings");

	if (get_array(h, section[NPU_PROG_CMDS], NPU_LINE_BYTES,
		      NPU_CMD_BYTES_MAX / NPU_LINE_BYTES, &view->cmds, &count) || !count)
		return refuse(error, -EINVAL, "there are no commands, or they have a bad size");
	view->cmd_bytes = (uint32_t)(count * NPU_LINE_BYTES);

	get_array(h, section[NPU_PROG_CONSTS], 1, NPU_PROG_BYTES_MAX, &view->consts,
		  &view->const_bytes);
	if (view->const_bytes)
		view->const_offset_bytes = section[NPU_PROG_CONSTS]->offset_bytes;

	if (get_array(h, section[NPU_PROG_TENSORS], sizeof(*view->tensors),
		      NPU_PROG_TENSORS_MAX, &start, &count))
		return refuse(error, -EINVAL, "tensors: the section has a bad size");
	view->tensors = start;
	view->tensor_count = (uint32_t)count;

	if (get_array(h, section[NPU_PROG_NODES], sizeof(*view->nodes), NPU_PROG_NODES_MAX,
		      &start, &count))
		return refuse(error, -EINVAL, "nodes: the section has a bad size");
	view->nodes = start;
	view->node_count = (uint32_t)count;
	return 0;
}

static int check_tensor(const struct npu_prog_tensor *t, struct npu_prog_view *view,
			const char **error)
{
	uint64_t size_bytes = npu_dtype_bytes(t->dtype);
	bool empty = false;

	if (t->name >= view->string_bytes)
		return refuse(error, -EINVAL, "tensors: a name is outside the strings");
	if (t->kind != NPU_PROG_INPUT && t->kind != NPU_PROG_OUTPUT)
		return refuse(error, -EINVAL, "tensors: neither input nor output");
	if (!size_bytes)
		return refuse(error, -EINVAL, "tensors: unknown element type");
	if (t->reg < NPU_PROG_REG_FIRST_IO || t->reg >= NPU_PROG_REG_FIRST_TEMP)
		return refuse(error, -EINVAL, "tensors: the binding register is out of range");
	if (t->rank > NPU_PROG_RANK_MAX)
		return refuse(error, -EINVAL, "tensors: too many dimensions");
	for (unsigned int i = 0; i < NPU_PROG_RANK_MAX; i++) {
		if (i >= t->rank ? t->dim[i] != 0 : t->dim[i] < 0)
			return refuse(error, -EINVAL, "tensors: a dimension is out of range");
		if (i < t->rank && (uint64_t)t->dim[i] > NPU_PROG_BYTES_MAX / size_bytes)
			return refuse(error, -EINVAL, "tensors: a tensor is too large");
		if (i < t->rank && t->dim[i])
			size_bytes *= (uint64_t)t->dim[i];
		empty |= i < t->rank && !t->dim[i];
	}
	if (empty)
		size_bytes = 0;
	if (t->size_bytes != size_bytes)
		return refuse(error, -EINVAL, "tensors: size and dimensions do not agree");
	if (t->offset_bytes > NPU_PROG_BYTES_MAX - size_bytes ||
	    t->offset_bytes % npu_dtype_bytes(t->dtype))
		return refuse(error, -EINVAL, "tensors: an offset is out of range");
	if (view->io_bytes[t->reg] < t->offset_bytes + size_bytes)
		view->io_bytes[t->reg] = t->offset_bytes + size_bytes;
	return 0;
}

int npu_prog_read(const void *image, size_t bytes, struct npu_prog_view *view,
		  const char **error)
{
	const struct npu_prog_header *h = image;
	struct section_index index;
	int ret;

	memset(view, 0, sizeof(*view));
	if ((uintptr_t)image % 8)
		return refuse(error, -EINVAL, "the image is not aligned to 8 bytes");
	if (bytes < sizeof(*h))
		return refuse(error, -EINVAL, "not a program file: too short");
	ret = check_header(h, bytes, error);
	if (ret)
		return ret;
	ret = index_sections(h, &index, error);
	if (ret)
		return ret;
	view->header = h;
	ret = get_parts(h, &index, view, error);
	for (uint32_t i = 0; !ret && i < view->tensor_count; i++)
		ret = check_tensor(&view->tensors[i], view, error);
	for (uint32_t i = 0; !ret && i < view->node_count; i++)
		if (view->nodes[i].name >= view->string_bytes ||
		    view->nodes[i].op >= view->string_bytes)
			ret = refuse(error, -EINVAL, "nodes: a name is outside the strings");
	if (ret)
		memset(view, 0, sizeof(*view));
	return ret;
}

static const struct npu_prog_node *find_node(const struct npu_prog_view *view, uint32_t tag)
{
	return tag && tag <= view->node_count ? &view->nodes[tag - 1] : NULL;
}

const char *npu_prog_node_name(const struct npu_prog_view *view, uint32_t tag)
{
	const struct npu_prog_node *node = find_node(view, tag);

	return node ? view->strings + node->name : "";
}

const char *npu_prog_node_op(const struct npu_prog_view *view, uint32_t tag)
{
	const struct npu_prog_node *node = find_node(view, tag);

	return node ? view->strings + node->op : "";
}
