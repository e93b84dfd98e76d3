/* SPDX-License-Identifier: MIT */
/* See decode.h. */
#include "decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES	128

int decode_find_input(const struct npu_model *model, const char *name)
{
	struct npu_tensor_info info;

	for (unsigned int i = 0; i < npu_model_inputs(model); i++)
		if (!npu_model_input_info(model, i, &info) && !strcmp(info.name, name))
			return (int)i;
	return -1;
}

int decode_find_output(const struct npu_model *model, const char *name)
{
	struct npu_tensor_info info;

	for (unsigned int i = 0; i < npu_model_outputs(model); i++)
		if (!npu_model_output_info(model, i, &info) && !strcmp(info.name, name))
			return (int)i;
	return -1;
}

int decode_feed(const struct npu_model *model, struct npu_session *s)
{
	for (unsigned int i = 0; i < npu_model_outputs(model); i++) {
		struct npu_tensor_info info;
		char name[NAME_BYTES];
		int input, ret = npu_model_output_info(model, i, &info);

		if (ret)
			return ret;
		if (!strncmp(info.name, "present_", 8))
			snprintf(name, sizeof(name), "past_%s", info.name + 8);
		else if (!strncmp(info.name, "next_", 5))
			snprintf(name, sizeof(name), "%s", info.name + 5);
		else
			continue;
		input = decode_find_input(model, name);
		ret = input < 0 ? -ENOENT : npu_session_feed(s, i, (unsigned int)input);
		if (ret)
			return ret;
	}
	return 0;
}

int decode_run(const struct npu_model *model, struct npu_session *s, int64_t *token,
	       unsigned int given, unsigned int count, float *logits)
{
	int in = decode_find_input(model, "token"), next = decode_find_output(model, "next_token");
	int out = decode_find_output(model, "logits");
	struct npu_tensor_info info;

	if (in < 0 || next < 0 || out < 0)
		return -ENOENT;
	npu_model_output_info(model, (unsigned int)out, &info);
	for (unsigned int i = 0; i < count; i++) {
		int ret = 0;

		if (i < given)
			ret = npu_session_set_input(s, (unsigned int)in, &token[i], sizeof(*token));
		ret = ret ? ret : npu_session_run(s);
		ret = ret ? ret : npu_session_get_output(s, (unsigned int)out,
							 (char *)logits + i * info.bytes, info.bytes);
		if (!ret && i + 1 >= given)
			ret = npu_session_get_output(s, (unsigned int)next, &token[i + 1],
						     sizeof(*token));
		if (ret)
			return ret;
	}
	return 0;
}
