/* SPDX-License-Identifier: MIT */
/* A TensorProto as the npu command reads it, and the head that it writes. */
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"
#include "tensor_file.h"

/* What was found is as large as it says, and can be compared with itself. */
static void check_tensor(struct tensor_file *t)
{
	struct npu_tensor_info info = { .name = "x", .rank = t->rank };
	char error[TENSOR_ERROR_BYTES] = "";
	struct tensor_diff diff;
	void *copy;

	memcpy(info.dim, t->dim, sizeof(info.dim));
	for (int type = 0; type < 16 && !info.bytes; type++) {
		struct tensor_type ours = tensor_type_of((enum npu_dtype_public)type);

		if (ours.kind != t->type.kind || ours.bytes != t->type.bytes)
			continue;
		info.type = (enum npu_dtype_public)type;
		info.bytes = t->count * ours.bytes;
	}
	if (!info.bytes)
		return;
	fuzz_require(tensor_file_matches(t, &info, error));
	copy = malloc(info.bytes);
	if (!copy)
		return;
	if (tensor_file_read(t, &info, false, copy, error)) {
		fuzz_require(tensor_file_compare(t, &info, copy, 0, 0, &diff, error));
		fuzz_require(!diff.wrong);
	} else {
		fuzz_require(fuzz_is_message(error));
	}
	free(copy);
}

static void check_head(const struct tensor_file *t)
{
	struct npu_tensor_info info = { .name = "x", .rank = t->rank, .type = NPU_TYPE_F32 };
	size_t size;
	void *head;

	memcpy(info.dim, t->dim, sizeof(info.dim));
	info.bytes = 4 * t->count;
	head = tensor_pb_head(&info, &size);
	free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tensor_file t = { .path = "t.pb" };
	char error[TENSOR_ERROR_BYTES] = "";

	if (tensor_pb_parse(&t, data, size, error)) {
		check_tensor(&t);
		check_head(&t);
	} else {
		fuzz_require(fuzz_is_message(error));
	}
	tensor_file_close(&t);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct fuzz_random r = { .state = seed };

	return fuzz_pb_mutate(&onnx__tensor_proto__descriptor, NULL, data, size, max_size, &r);
}
