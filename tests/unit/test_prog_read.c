/* SPDX-License-Identifier: MIT */
/* The program reader: good images, each rule broken alone, and bytes at random. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "npu_check.h"
#include "npu_prog_read.h"
#include "prog_build.h"

#define N	6

static struct npu_prog_header *header_of(void *image)
{
	return image;
}

static struct npu_prog_section *section_of(void *image, enum npu_prog_section_type type)
{
	struct npu_prog_section *table = (void *)(header_of(image) + 1);

	for (uint32_t i = 0; i < header_of(image)->sections; i++)
		if (table[i].type == type)
			return &table[i];
	return NULL;
}

static struct npu_prog_tensor *tensors_of(void *image)
{
	return (void *)((char *)image + section_of(image, NPU_PROG_TENSORS)->offset_bytes);
}

static void test_good(void **state)
{
	struct npu_limits limits = { .caps = NPU_CAP_FP32, .spm_bytes = 1 << 20,
				     .acc_bytes = 1 << 16, .array_rows = 16, .array_cols = 32 };
	struct npu_prog_view view;
	const char *error = NULL;
	size_t bytes;
	void *image = pb_affine_program(N, 2, 1, 1, &bytes);
	struct npu_diag diag;

	(void)state;
	assert_int_equal(npu_prog_read(image, bytes, &view, &error), 0);
	assert_ptr_equal(view.header, image);
	assert_string_equal(view.strings + view.header->name, "affine");
	assert_int_equal(view.tensor_count, 2);
	assert_string_equal(view.strings + view.tensors[0].name, "x");
	assert_int_equal(view.const_bytes, N * 4);
	assert_int_equal(view.const_offset_bytes % NPU_PROG_ALIGN, 0);
	assert_memory_equal((char *)image + view.const_offset_bytes, view.consts, N * 4);
	assert_int_equal(view.io_bytes[NPU_PROG_REG_FIRST_IO], N * 4);
	assert_int_equal(view.io_bytes[NPU_PROG_REG_FIRST_IO + 1], N * 4);
	assert_int_equal(view.io_bytes[NPU_PROG_REG_FIRST_IO + 2], 0);
	assert_string_equal(npu_prog_node_name(&view, 1), "scale");
	assert_string_equal(npu_prog_node_op(&view, 2), "Add");
	assert_string_equal(npu_prog_node_name(&view, 0), "");
	assert_string_equal(npu_prog_node_name(&view, 3), "");
	/* The builder makes streams that the device takes. */
	assert_int_equal(npu_check_stream(&limits, view.cmds, view.cmd_bytes, NULL, &diag), 0);
	free(image);
}

/* One wrong thing in an otherwise good image, the checksum made good again. */
enum breakage {
	MAGIC, VERSION_MAJOR, VERSION_MINOR, FILE_BYTES_MORE, FILE_BYTES_LESS, ISA_MAJOR,
	ISA_MINOR, SCRATCH, RESERVED, SECTIONS, SECTION_TYPE, SECTION_TYPE_0, SECTION_RSVD,
	SECTION_TWICE, SECTION_ALIGN, SECTION_IN_TABLE, SECTION_OFFSET, SECTION_SIZE,
	SECTION_SIZE_WRAP, SECTION_OVERLAP, NAME, NO_STRINGS, STRINGS_START, STRINGS_END,
	NO_CMDS, CMDS_SIZE, TENSORS_SIZE, NODES_SIZE, TENSOR_NAME, TENSOR_KIND, TENSOR_DTYPE,
	TENSOR_REG_LOW, TENSOR_REG_HIGH, TENSOR_RANK, TENSOR_DIM_0, TENSOR_DIM_NEGATIVE,
	TENSOR_DIM_HUGE, TENSOR_DIM_UNUSED, TENSOR_SIZE, TENSOR_OFFSET, TENSOR_OFFSET_ALIGN,
	NODE_NAME, NODE_OP, BREAKAGES
};

static const char *const expected_text[BREAKAGES] = {
	[MAGIC] = "not a program", [VERSION_MAJOR] = "version of the program format",
	[VERSION_MINOR] = "version of the program format", [FILE_BYTES_MORE] = "cut off",
	[FILE_BYTES_LESS] = "larger", [ISA_MAJOR] = "hardware", [ISA_MINOR] = "hardware",
	[SCRATCH] = "scratch", [RESERVED] = "reserved", [SECTIONS] = "too many sections",
	[SECTION_TYPE] = "unknown type", [SECTION_TYPE_0] = "unknown type",
	[SECTION_RSVD] = "unknown type", [SECTION_TWICE] = "twice",
	[SECTION_ALIGN] = "leaves the file", [SECTION_IN_TABLE] = "leaves the file",
	[SECTION_OFFSET] = "leaves the file", [SECTION_SIZE] = "leaves the file",
	[SECTION_SIZE_WRAP] = "leaves the file", [SECTION_OVERLAP] = "overlap",
	[NAME] = "header: the name", [NO_STRINGS] = "no string",
	[STRINGS_START] = "not terminated", [STRINGS_END] = "not terminated",
	[NO_CMDS] = "no commands", [CMDS_SIZE] = "no commands",
	[TENSORS_SIZE] = "tensors: the section", [NODES_SIZE] = "nodes: the section",
	[TENSOR_NAME] = "tensors: a name", [TENSOR_KIND] = "neither input",
	[TENSOR_DTYPE] = "element type", [TENSOR_REG_LOW] = "register",
	[TENSOR_REG_HIGH] = "register", [TENSOR_RANK] = "many dimensions",
	[TENSOR_DIM_0] = "do not agree", [TENSOR_DIM_NEGATIVE] = "dimension is out",
	[TENSOR_DIM_HUGE] = "too large", [TENSOR_DIM_UNUSED] = "dimension is out",
	[TENSOR_SIZE] = "do not agree", [TENSOR_OFFSET] = "an offset",
	[TENSOR_OFFSET_ALIGN] = "an offset", [NODE_NAME] = "nodes: a name",
	[NODE_OP] = "nodes: a name",
};

static void break_section(void *image, enum breakage what)
{
	struct npu_prog_section *consts = section_of(image, NPU_PROG_CONSTS);
	struct npu_prog_section *strings = section_of(image, NPU_PROG_STRINGS);
	uint32_t file_bytes = (uint32_t)header_of(image)->file_bytes;

	switch (what) {
	case SECTION_TYPE: consts->type = 6; break;
	case SECTION_TYPE_0: consts->type = 0; break;
	case SECTION_RSVD: consts->rsvd = 1; break;
	case SECTION_TWICE: consts->type = NPU_PROG_CMDS; break;
	case SECTION_ALIGN: consts->offset_bytes += 32; consts->size_bytes = 0; break;
	case SECTION_IN_TABLE: consts->offset_bytes = 64; break;
	case SECTION_OFFSET: consts->offset_bytes = (file_bytes + 127) / 64 * 64;
			     consts->size_bytes = 0; break;
	case SECTION_SIZE: strings->size_bytes += 64; break;
	case SECTION_SIZE_WRAP: consts->size_bytes = UINT64_MAX - 63; break;
	case SECTION_OVERLAP: consts->size_bytes += 64; break;
	case NO_STRINGS: strings->size_bytes = 0; break;
	case STRINGS_START: ((char *)image)[strings->offset_bytes] = 'x'; break;
	case STRINGS_END: strings->size_bytes--; break;
	case NO_CMDS: section_of(image, NPU_PROG_CMDS)->size_bytes = 0; break;
	case CMDS_SIZE: section_of(image, NPU_PROG_CMDS)->size_bytes -= 32; break;
	case TENSORS_SIZE: section_of(image, NPU_PROG_TENSORS)->size_bytes -= 8; break;
	case NODES_SIZE: section_of(image, NPU_PROG_NODES)->size_bytes -= 4; break;
	default: break;
	}
}

static void break_tensor(struct npu_prog_tensor *t, enum breakage what)
{
	switch (what) {
	case TENSOR_NAME: t->name = 1 << 20; break;
	case TENSOR_KIND: t->kind = 3; break;
	case TENSOR_DTYPE: t->dtype = NPU_DTYPES; break;
	case TENSOR_REG_LOW: t->reg = NPU_PROG_REG_SCRATCH; break;
	case TENSOR_REG_HIGH: t->reg = NPU_PROG_REG_FIRST_TEMP; break;
	case TENSOR_RANK: t->rank = 9; break;
	case TENSOR_DIM_0: t->dim[0] = 0; break;
	case TENSOR_DIM_NEGATIVE: t->dim[0] = -N; break;
	case TENSOR_DIM_HUGE: t->rank = 3; t->dim[0] = t->dim[1] = 1ll << 31;
			      t->dim[2] = 1; t->size_bytes = 0; break;
	case TENSOR_DIM_UNUSED: t->dim[1] = 1; break;
	case TENSOR_SIZE: t->size_bytes++; break;
	case TENSOR_OFFSET: t->offset_bytes = UINT64_MAX - 7; break;
	case TENSOR_OFFSET_ALIGN: t->offset_bytes = 2; break;
	default: break;
	}
}

static void break_image(void *image, enum breakage what)
{
	struct npu_prog_header *h = header_of(image);
	struct npu_prog_node *node =
		(void *)((char *)image + section_of(image, NPU_PROG_NODES)->offset_bytes);

	switch (what) {
	case MAGIC: h->magic ^= 1; break;
	case VERSION_MAJOR: h->version_major++; break;
	case VERSION_MINOR: h->version_minor++; break;
	case FILE_BYTES_MORE: h->file_bytes++; break;
	case FILE_BYTES_LESS: h->file_bytes--; break;
	case ISA_MAJOR: h->isa_version += 1 << 16; break;
	case ISA_MINOR: h->isa_version++; break;
	case SCRATCH: h->scratch_bytes = NPU_PROG_BYTES_MAX + 1; break;
	case RESERVED: h->rsvd[14] = 1; break;
	case SECTIONS: h->sections = NPU_PROG_SECTIONS_MAX + 1; break;
	case NAME: h->name = 1 << 20; break;
	case NODE_NAME: node->name = 1 << 20; break;
	case NODE_OP: node[1].op = 1 << 20; break;
	default: break_section(image, what);
		 break_tensor(tensors_of(image), what);
	}
}

static void test_each_rule(void **state)
{
	(void)state;
	for (int what = 0; what < BREAKAGES; what++) {
		struct npu_prog_view view;
		const char *error = NULL;
		size_t bytes;
		void *image = pb_affine_program(N, 2, 1, 1, &bytes);
		int ret;

		break_image(image, what);
		header_of(image)->crc32 = npu_prog_crc32(image, bytes);
		ret = npu_prog_read(image, bytes, &view, &error);
		if (ret >= 0)
			print_error("breakage %d was not seen\n", what);
		assert_true(ret == -EINVAL || ret == -EOPNOTSUPP);
		if (!strstr(error, expected_text[what]))
			print_error("breakage %d: %s\n", what, error);
		assert_non_null(strstr(error, expected_text[what]));
		assert_null(view.cmds);
		free(image);
	}
}

/* A tensor without elements takes no memory. */
static void test_no_elements(void **state)
{
	struct npu_prog_view view;
	const char *error;
	size_t bytes;
	void *image = pb_affine_program(N, 2, 1, 1, &bytes);
	struct npu_prog_tensor *t = tensors_of(image);

	(void)state;
	t->rank = 3;
	t->dim[0] = 1 << 20;
	t->dim[1] = 0;
	t->dim[2] = 1 << 10;
	t->size_bytes = 0;
	header_of(image)->crc32 = npu_prog_crc32(image, bytes);
	assert_int_equal(npu_prog_read(image, bytes, &view, &error), 0);
	assert_int_equal(view.io_bytes[NPU_PROG_REG_FIRST_IO], 0);
	/* What there would be without the 0 is bounded too. */
	t->dim[2] = 1 << 20;
	header_of(image)->crc32 = npu_prog_crc32(image, bytes);
	assert_int_equal(npu_prog_read(image, bytes, &view, &error), -EINVAL);
	assert_non_null(strstr(error, "too large"));
	free(image);
}

/* Any single byte changed, and any cut, is noticed. */
static void test_damage(void **state)
{
	struct npu_prog_view view;
	const char *error;
	size_t bytes;
	uint8_t *image = pb_affine_program(N, 2, 1, 1, &bytes);

	(void)state;
	for (size_t i = 0; i < bytes; i++) {
		image[i] ^= 0x5a;
		assert_true(npu_prog_read(image, bytes, &view, &error) < 0);
		image[i] ^= 0x5a;
	}
	for (size_t i = 0; i < bytes; i++) {
		uint8_t *cut = malloc(i ? i : 1);

		memcpy(cut, image, i);
		assert_true(npu_prog_read(cut, i, &view, &error) < 0);
		free(cut);
	}
	free(image);
}

/* Touch all that the view promises, so that a sanitizer sees a broken promise. */
static uint64_t walk(const struct npu_prog_view *view)
{
	const uint8_t *cmds = view->cmds;
	const uint8_t *consts = view->consts;
	uint64_t sum = 0;

	for (size_t i = 0; i < view->cmd_bytes; i++)
		sum += cmds[i];
	for (size_t i = 0; i < view->const_bytes; i++)
		sum += consts[i];
	for (uint32_t i = 0; i < view->tensor_count; i++)
		sum += strlen(view->strings + view->tensors[i].name);
	for (uint32_t i = 0; i <= view->node_count + 1; i++)
		sum += strlen(npu_prog_node_name(view, i)) + strlen(npu_prog_node_op(view, i));
	return sum;
}

static void test_random_damage(void **state)
{
	const char *text = getenv("NPU_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : (unsigned int)time(NULL);
	unsigned int accepted = 0;
	size_t bytes;
	uint8_t *good = pb_affine_program(N, 2, 1, 1, &bytes);
	uint8_t *image = malloc(bytes);

	(void)state;
	print_message("NPU_SEED=%u\n", seed);
	srand(seed);
	for (int round = 0; round < 20000; round++) {
		struct npu_prog_view view;
		const char *error;
		size_t offset = (size_t)rand() % (rand() % 2 ? 128 + 5 * 24 : bytes);

		memcpy(image, good, bytes);
		for (int k = rand() % 3; k >= 0; k--, offset++)
			image[offset % bytes] = rand() % 3 ? rand() & 0xff : -(rand() % 2);
		((struct npu_prog_header *)(void *)image)->crc32 = npu_prog_crc32(image, bytes);
		if (!npu_prog_read(image, bytes, &view, &error)) {
			accepted++;
			assert_true(walk(&view) > 0);
		}
	}
	print_message("%u of 20000 accepted\n", accepted);
	assert_true(accepted > 0);
	free(image);
	free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_each_rule),
		cmocka_unit_test(test_no_elements),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
